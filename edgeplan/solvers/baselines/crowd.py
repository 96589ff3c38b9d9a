"""What routes add to queues in which others wait already."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

from edgeplan.model.problem import Problem, Stream
from edgeplan.model.queueing import Job, Queue, QueueKey
from edgeplan.solvers.baselines.candidates import Candidate
from edgeplan.solvers.route_costs import on_objective


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Coming:
    """What comes to a queue, and what a second of waiting there costs in the objective."""

    jobs: tuple[Job, ...] = ()
    price: float = 0.0


class Crowd:
    """The queues under the streams placed so far.

    The cost of a queue is what its device costs for being on and what its wait costs all that
    visit it, at the number of replicas where that is least.

    Parameters
    ----------
    problem
        Where the devices, the links and the objective come from.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._coming: dict[QueueKey, _Coming] = {}
        self._cost: dict[QueueKey, float] = {}
        self._replicas: dict[QueueKey, int] = {}

    def added(self, stream: Stream, candidate: Candidate) -> float:
        """Return what the queues cost more with a stream's route; ``inf`` where one overflows."""
        more = 0.0
        for key, coming in self._with(stream, candidate).items():
            cost, _ = self._best(key, coming)
            if math.isinf(cost):  # perhaps already without it
                return math.inf
            more += cost - self._cost.get(key, 0.0)
        return more

    def replicas(self, stream: Stream, candidate: Candidate) -> dict[str, int]:
        """Return the numbers of replicas by device with a stream's route."""
        counts = dict(self._replicas)
        for key, coming in self._with(stream, candidate).items():
            counts[key] = self._best(key, coming)[1]
        return {
            name: count
            for (kind, name), count in counts.items()
            if kind == "device" and len(self._problem.device[name].replica_range) > 1
        }

    def add(self, stream: Stream, candidate: Candidate) -> None:
        """Place a stream."""
        for key, coming in self._with(stream, candidate).items():
            self._coming[key] = coming
            self._cost[key], self._replicas[key] = self._best(key, coming)

    def _with(self, stream: Stream, candidate: Candidate) -> dict[QueueKey, _Coming]:
        price = self._waiting_price(stream)
        found: dict[QueueKey, _Coming] = {}
        for key, job in candidate.jobs:
            before = found.get(key) or self._coming.get(key) or _Coming()
            found[key] = _Coming(jobs=(*before.jobs, job), price=before.price + price)
        return found

    def _waiting_price(self, stream: Stream) -> float:
        """Return what a second of waiting of all requests of a stream adds to the objective."""
        if self._problem.waiting == "none":
            return 0.0
        origin = self._problem.device[stream.origin]
        watts = origin.idle_watts if stream.waits and not origin.charge_idle else 0.0
        value = self._problem.objective.value(1.0, watts, watts * origin.dollars_per_joule)
        return self._problem.share(stream) * value

    def _best(self, key: QueueKey, coming: _Coming) -> tuple[float, int]:
        """Return the least cost of a queue, and with how many replicas it has that."""
        kind, name = key
        if kind == "link":
            return self._waiting(Queue(1, "random", coming.jobs), coming), 1
        device = self._problem.device[name]
        cap = device.utilisation_cap if self._problem.capacity == "utilisation" else 1.0
        best: tuple[float, int] | None = None
        for count in _from(device.replica_range, coming.jobs, cap):
            queue = Queue(count, device.dispatch, coming.jobs)
            on = on_objective(
                self._problem, dataclasses.replace(device, replicas=count, max_replicas=None)
            )
            cost = on + self._waiting(queue, coming)
            # Costs of replicas rise evenly and waits fall ever more slowly.
            if best is not None and cost >= best[0]:
                break
            best = cost, count
        assert best is not None
        return best

    def _waiting(self, queue: Queue, coming: _Coming) -> float:
        return coming.price * queue.mean_wait_seconds if coming.price else 0.0


def _from(allowed: range, jobs: Iterable[Job], cap: float) -> range:
    """Return the numbers of replicas that keep a cap; the most where none does."""
    busy = sum(job.per_second * job.seconds for job in jobs)
    first = next((count for count in allowed if busy <= cap * count), allowed[-1])
    return range(first, allowed[-1] + 1)
