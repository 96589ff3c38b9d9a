"""What is simulated, apart from any plan: sources, classes of jobs, queues.

A request arrives at a source and takes one of the source's classes by a coin flip. A class walks
its jobs (batches of requests) through visits, one after another. A visit is to a queue, first
come first served, or a pure delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

from edgeplan.model.errors import Fault, InputError
from edgeplan.simulation.arrivals import LEAST_RATE, MOST_RATE, POISSON, Arrivals

Dispatch = Literal["random", "shared"]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A place where jobs wait, first come first served.

    Parameters
    ----------
    name
        For people.
    servers
        Servers; ``None`` for as many as there are jobs, so that nobody waits.
    dispatch
        ``random``: each job flips a coin for its server. ``shared``: one line for all servers.
    """

    name: str
    servers: int | None = 1
    dispatch: Dispatch = "random"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One step of a job.

    Parameters
    ----------
    queue
        Position of the queue; ``None`` for a delay in which nothing is busy.
    mean_seconds, cv2
        Mean and squared coefficient of variation of the time of a job: gamma-distributed,
        constant where ``cv2`` is 0, exponential where it is 1.
    """

    queue: int | None
    mean_seconds: float
    cv2: float = 0.0


@dataclass(frozen=True, kw_only=True)
class JobClass:
    """Jobs that walk alike.

    Parameters
    ----------
    source
        Position of the source.
    fraction
        Share of the source's requests, by independent coin flips.
    batch
        Requests that travel together: a job leaves when its last request has arrived.
    visits
        In order.
    """

    source: int
    visits: tuple[Visit, ...]
    fraction: float = 1.0
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where requests arrive.

    Parameters
    ----------
    name
        For people.
    rate_per_second
        Mean rate; a trace that is not scaled has its own.
    arrivals
        How they are spread.
    """

    name: str
    rate_per_second: float
    arrivals: Arrivals = POISSON

    @property
    def true_rate_per_second(self) -> float:
        """The mean rate at which requests really arrive."""
        return self.arrivals.rate_per_second(self.rate_per_second)


@dataclass(frozen=True, kw_only=True)
class System:
    """Sources, classes of jobs and queues.

    Raises
    ------
    InputError
        If fractions do not add up, a position points nowhere or a number is out of range.
    """

    sources: tuple[Source, ...]
    classes: tuple[JobClass, ...]
    queues: tuple[Queue, ...]

    def __post_init__(self) -> None:
        faults = []
        for index, source in enumerate(self.sources):
            if not (math.isfinite(source.rate_per_second) and source.rate_per_second > 0):
                faults.append(Fault(f"sources[{index}].rate_per_second", "must be positive"))
            elif not LEAST_RATE <= source.true_rate_per_second <= MOST_RATE:
                message = f"must be from {LEAST_RATE:g} to {MOST_RATE:g} to be simulated"
                faults.append(Fault(f"sources[{index}].rate_per_second", message))
            total = math.fsum(each.fraction for each in self.classes if each.source == index)
            if not math.isclose(total, 1, abs_tol=1e-6):
                faults.append(Fault(f"sources[{index}]", f"fractions add up to {total:.9g}, not 1"))
        for index, each in enumerate(self.classes):
            if each.batch < 1:
                faults.append(Fault(f"classes[{index}].batch", "must be at least 1"))
            for number, visit in enumerate(each.visits):
                place = f"classes[{index}].visits[{number}]"
                if visit.queue is not None and not 0 <= visit.queue < len(self.queues):
                    faults.append(Fault(f"{place}.queue", f"there is no queue {visit.queue}"))
                if not (math.isfinite(visit.mean_seconds) and visit.mean_seconds >= 0):
                    faults.append(Fault(f"{place}.mean_seconds", "must be finite, not negative"))
                if not (math.isfinite(visit.cv2) and visit.cv2 >= 0):
                    faults.append(Fault(f"{place}.cv2", "must be finite, not negative"))
        for index, queue in enumerate(self.queues):
            if queue.servers is not None and queue.servers < 1:
                faults.append(Fault(f"queues[{index}].servers", "must be at least 1"))
        if faults:
            raise InputError(faults)

    @cached_property
    def rate_per_second(self) -> float:
        """Requests per second of all sources."""
        return math.fsum(source.true_rate_per_second for source in self.sources)

    @cached_property
    def offered(self) -> tuple[float, ...]:
        """Work that arrives per second of each queue's servers, ρ; a queue with ρ ≥ 1 grows."""
        work = [0.0] * len(self.queues)
        for each in self.classes:
            jobs = self.sources[each.source].true_rate_per_second * each.fraction / each.batch
            for visit in each.visits:
                if visit.queue is not None:
                    work[visit.queue] += jobs * visit.mean_seconds
        return tuple(
            busy / (queue.servers or 1) for busy, queue in zip(work, self.queues, strict=True)
        )

    def waits_at(self, visit: Visit) -> bool:
        """Say whether jobs may have to wait at a visit."""
        return visit.queue is not None and self.queues[visit.queue].servers is not None

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Queues at which jobs may wait, in blocks that jobs pass in this order only.

        A block of several queues, or `is_cyclic`, has jobs that come back: its queues must be
        simulated together, event by event. (They are the strongly connected components of the
        graph of consecutive visits, in topological order.)
        """
        import networkx as nx

        graph: nx.DiGraph[int] = nx.DiGraph()
        for each in self.classes:
            path = [
                visit.queue
                for visit in each.visits
                if visit.queue is not None and self.waits_at(visit)
            ]
            graph.add_nodes_from(path)
            graph.add_edges_from(pairwise(path))
        whole = nx.condensation(graph)
        return tuple(
            tuple(sorted(whole.nodes[block]["members"])) for block in nx.topological_sort(whole)
        )

    def is_cyclic(self, block: tuple[int, ...]) -> bool:
        """Say whether jobs may come back to a queue of the block."""
        if len(block) > 1:
            return True
        for each in self.classes:
            if sum(visit.queue == block[0] for visit in each.visits) > 1:
                return True
        return False
