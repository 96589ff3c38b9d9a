"""The data of the program of queues and routes: groups, routes as columns, queues, states.

Everything here comes from the evaluator's prices of whole routes; the equations only add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.problem import Problem
from edgeplan.model.queueing import Job, QueueKey

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Side = Literal["plan", "bound"]

WHOLE, SOLE, PART = 0, 1, 2
"""What a column is: a route of streams that are whole, the only route of a stream that may be
split, or one of its several routes."""


@dataclass(frozen=True)
class Group:
    """Streams that differ in nothing but their names; one that may be split is a group by itself.

    Parameters
    ----------
    streams
        Their names.
    split
        Whether the stream may be dealt over several routes.
    """

    streams: tuple[str, ...]
    split: bool

    @property
    def size(self) -> int:
        """How many streams they are."""
        return len(self.streams)


@dataclass(frozen=True)
class Tail:
    """A tail deadline of one column.

    Parameters
    ----------
    column
        The column.
    seconds
        The deadline less all that does not wait in queues, in seconds.
    fill
        Time for the batch to fill at that quantile, if all requests take the route.
    log
        ln(n/α): a queue with decay θ takes so much ÷ θ.
    limit
        The deadline itself.
    """

    column: int
    seconds: float
    fill: float
    log: float
    limit: float


@dataclass(frozen=True)
class Columns:
    """Routes as columns, and what each asks of each queue, per unit (one stream, all requests).

    Parameters
    ----------
    groups
        The groups of streams.
    group, kind, batch, devices
        Per column: its group, `WHOLE`, `SOLE` or `PART`, its batch and its devices by layer.
    objective, latency, fill
        Per column: price and mean latency without waits in queues, and mean time for the batch
        to fill (in price and latency, but for `PART`, where it is paid by each route in use).
    wait_price, wait_watts, wait_dollars
        Per group: price, mean power and dollars per second of one second of waiting.
    watts, dollars
        Per column (watts: and device): mean power and dollars per second, without waits.
    column, queue, visits, busy, moment
        Per incidence of a column and a queue: how often it visits, Σλ E[S] and Σλ E[S²]
        (corrected for bursts).
    jobs
        Per incidence: the jobs; only where decays matter, else empty.
    queues
        Keys of the queues.
    tails
        Tail deadlines of columns.
    """

    groups: tuple[Group, ...]
    group: Ints
    kind: Ints
    batch: Ints
    devices: tuple[tuple[str, ...], ...]
    objective: Floats
    latency: Floats
    fill: Floats
    wait_price: Floats
    wait_watts: Floats
    wait_dollars: Floats
    watts: Floats
    dollars: Floats
    column: Ints
    queue: Ints
    visits: Floats
    busy: Floats
    moment: Floats
    jobs: tuple[tuple[Job, ...], ...]
    queues: tuple[QueueKey, ...]
    tails: tuple[Tail, ...]

    def __len__(self) -> int:
        return len(self.group)

    @cached_property
    def sizes(self) -> Ints:
        """Streams per group."""
        return np.array([group.size for group in self.groups], dtype=np.int64)

    @cached_property
    def upper(self) -> Floats:
        """Largest value of each column."""
        return np.where(self.kind == WHOLE, self.sizes[self.group], 1.0)

    def take(self, keep: Ints) -> Columns:
        """Return only some of the columns, in their order."""
        position = np.full(len(self), -1, dtype=np.int64)
        position[keep] = np.arange(len(keep))
        here = np.flatnonzero(position[self.column] >= 0)
        return Columns(
            groups=self.groups,
            group=self.group[keep],
            kind=self.kind[keep],
            batch=self.batch[keep],
            devices=tuple(self.devices[int(index)] for index in keep),
            objective=self.objective[keep],
            latency=self.latency[keep],
            fill=self.fill[keep],
            wait_price=self.wait_price,
            wait_watts=self.wait_watts,
            wait_dollars=self.wait_dollars,
            watts=self.watts[keep],
            dollars=self.dollars[keep],
            column=position[self.column[here]],
            queue=self.queue[here],
            visits=self.visits[here],
            busy=self.busy[here],
            moment=self.moment[here],
            jobs=tuple(self.jobs[int(index)] for index in here) if self.jobs else (),
            queues=self.queues,
            tails=tuple(
                Tail(int(position[t.column]), t.seconds, t.fill, t.log, t.limit)
                for t in self.tails
                if position[t.column] >= 0
            ),
        )


@dataclass(frozen=True)
class State:
    r"""What a queue is in: a number of replicas and a box of waits.

    A queue in it satisfies :math:`b\,\Sigma\lambda E[S] \le 1` and
    :math:`b'\,\Sigma\lambda E[S] + m\,\Sigma\lambda E[S^2] \le 1` for every (b', m) of ``rows``.

    Parameters
    ----------
    replicas
        c.
    low, high
        Mean waits at which the bound program and the plan program price it, in seconds.
    rows
        Factors of Σλ E[S] and of Σλ E[S²], each row at most 1.
    """

    replicas: int
    low: float
    high: float
    rows: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Decay:
    """A level of a queue's decay.

    Parameters
    ----------
    replicas
        c.
    low, high
        θ at which the plan program and the bound program take it, per second; the queue in it
        has a decay of at least ``low``.
    """

    replicas: int
    low: float
    high: float


@dataclass(frozen=True)
class Sets:
    """All index sets of the program.

    Parameters
    ----------
    problem
        The problem.
    columns
        Its routes.
    states
        By queue: states of the mean wait.
    decays
        By queue: levels of the decay; none where nobody asks.
    side
        ``plan`` or ``bound``.
    unit
        Price per unit of the objective.
    steep
        Whether the bound program also charges what a wait exceeds the lower end of its state by
        (a valid inequality, not in the level relaxation).
    """

    problem: Problem
    columns: Columns
    states: tuple[tuple[State, ...], ...]
    decays: tuple[tuple[Decay, ...], ...]
    side: Side
    unit: float = 1.0
    steep: Mapping[tuple[int, int], float] | None = None

    # -- states, flat ------------------------------------------------------------------

    @cached_property
    def state(self) -> tuple[tuple[int, int], ...]:
        """(queue, number) of every state."""
        return tuple((q, k) for q, states in enumerate(self.states) for k in range(len(states)))

    @cached_property
    def first_state(self) -> Ints:
        """Position of each queue's first state among all, and the number of all."""
        return np.concatenate([[0], np.cumsum([len(states) for states in self.states])]).astype(
            np.int64
        )

    @cached_property
    def decay(self) -> tuple[tuple[int, int], ...]:
        """(queue, number) of every level of decay."""
        return tuple((q, k) for q, decays in enumerate(self.decays) for k in range(len(decays)))

    @cached_property
    def first_decay(self) -> Ints:
        """Position of each queue's first level of decay among all, and the number of all."""
        return np.concatenate([[0], np.cumsum([len(found) for found in self.decays])]).astype(
            np.int64
        )

    @cached_property
    def counts(self) -> tuple[tuple[int, int], ...]:
        """(queue, replicas) of every number of replicas that a queue may have."""
        return tuple(
            (q, c)
            for q, states in enumerate(self.states)
            for c in sorted({state.replicas for state in states})
        )

    # -- pairs of an incidence and a state ------------------------------------------------------

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Incidence and state (of all) of every variable p."""
        return _pairs(self.columns.queue, self.first_state)

    @cached_property
    def tailed(self) -> Ints:
        """The incidences of queues with levels of decay: all of them, since all load the queue."""
        has = np.array([bool(found) for found in self.decays], dtype=bool)
        return np.flatnonzero(has[self.columns.queue]) if len(has) else np.zeros(0, np.int64)

    @cached_property
    def decay_pairs(self) -> tuple[Ints, Ints]:
        """Incidence and level (of all) of every variable r."""
        number, level = _pairs(self.columns.queue[self.tailed], self.first_decay)
        return self.tailed[number], level

    @cached_property
    def waits(self) -> Floats:
        """Mean wait at which each state is priced; ``inf`` where the plan program has none."""
        side = "high" if self.side == "plan" else "low"
        return np.array([getattr(self.states[q][k], side) for q, k in self.state], dtype=float)

    @cached_property
    def shared(self) -> tuple[bool, ...]:
        """Whether one queue feeds all replicas, by queue."""
        return tuple(
            kind == "device" and self.problem.device[name].dispatch == "shared"
            for kind, name in self.columns.queues
        )

    @cached_property
    def parts(self) -> Ints:
        """Columns of which several make a stream."""
        return np.flatnonzero(self.columns.kind == PART)

    # -- limits ------------------------------------------------------------------

    @cached_property
    def cramped(self) -> tuple[str, ...]:
        """Devices whose memory is limited."""
        return tuple(d.name for d in self.problem.devices if math.isfinite(d.memory_bytes))

    @cached_property
    def keeps(self) -> tuple[tuple[str, int, int, str], ...]:
        """(network, layer, batch, device) that may need memory: 0 for the weights."""
        found: dict[tuple[str, int, int, str], None] = {}
        cramped = set(self.cramped)
        for index, devices in enumerate(self.columns.devices if cramped else ()):
            stream = self.columns.groups[int(self.columns.group[index])].streams[0]
            network = self.problem.stream[stream].network
            for layer, device in enumerate(devices):
                if device in cramped:
                    found[network, layer, 0, device] = None
                    found[network, layer, int(self.columns.batch[index]), device] = None
        return tuple(found)

    @cached_property
    def periodic(self) -> bool:
        """Whether the period has a price or a limit."""
        budgets = self.problem.budgets
        return self.problem.objective.period_price > 0 or budgets.min_rate_per_second > 0


def _pairs(queue: Ints, first: Ints) -> tuple[Ints, Ints]:
    """Return incidence and state of every pair, incidence by incidence."""
    lengths = first[queue + 1] - first[queue]
    incidence = np.repeat(np.arange(len(queue)), lengths)
    offset = np.arange(len(incidence)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return incidence, first[queue][incidence] + offset
