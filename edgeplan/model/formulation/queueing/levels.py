"""Levels of waits and decays, and the states that they make of each queue."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeplan.model.formulation.queueing.sets import Decay, State
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey, wait_factor

ZERO_LOAD = 1e-300


@dataclass(frozen=True)
class Levels:
    """Levels by queue: rising waits, falling decays, and boxes for shared dispatch.

    Parameters
    ----------
    waits
        Rising mean waits in seconds W_1 < … < W_n: state j has waits from W_{j−1} (W_0 = 0) to
        W_j, and one more is above all of them, up to the cap on utilisation (in the bound
        program; the plan program has no price for it and leaves it out).
    boxes
        Where jobs are dealt to c > 1 replicas from one queue: rising utilisations and rising
        second moments Σλ E[S²], likewise.
    decays
        Falling decays θ_1 > … > θ_n in 1/s, likewise: θ_0 = ∞, and one more down to 0.
    """

    waits: Mapping[QueueKey, tuple[float, ...]] = field(default_factory=dict)
    boxes: Mapping[QueueKey, tuple[tuple[float, ...], tuple[float, ...]]] = field(
        default_factory=dict
    )
    decays: Mapping[QueueKey, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """What serves a queue.

    Parameters
    ----------
    key
        Its device or link.
    counts
        The numbers of replicas that it may have.
    shared
        Whether one queue feeds all replicas.
    cap
        Largest utilisation of a replica; ``inf`` for any.
    """

    key: QueueKey
    counts: tuple[int, ...]
    shared: bool
    cap: float


def server(problem: Problem, key: QueueKey) -> Server:
    """Return what serves a queue of a problem."""
    limited = problem.capacity == "utilisation"
    kind, name = key
    if kind == "device":
        device = problem.device[name]
        cap = device.utilisation_cap if limited else math.inf
        return Server(key, tuple(device.replica_range), device.dispatch == "shared", cap)
    link = next(link for link in problem.links if link.name == name)
    return Server(key, (1,), False, link.utilisation_cap if limited else math.inf)


def states(problem: Problem, key: QueueKey, levels: Levels) -> tuple[State, ...]:
    r"""Return the states of a queue.

    M/G/1 with c replicas: :math:`w \le W \iff Q / (2cW) + \rho \le 1`, one row. Shared dispatch:
    the wait rises with utilisation and second moment, so that a box of both bounds it.

    Parameters
    ----------
    problem
        The problem.
    key
        The queue.
    levels
        Levels; none of a queue: one state that covers everything.
    """
    serving = server(problem, key)
    found: list[State] = []
    for c in serving.counts:
        cap = () if math.isinf(serving.cap) else ((1 / (c * serving.cap), 0.0),)
        if problem.waiting == "none":
            found.append(State(c, 0.0, 0.0, cap))
        elif serving.shared and c > 1:
            found += _boxes(serving, c, levels, cap)
        else:
            edges = [0.0, *levels.waits.get(key, ()), math.inf]
            for low, high in itertools.pairwise(edges):
                row = () if math.isinf(high) else ((1 / c, 1 / (2 * c * high)),)
                found.append(State(c, low, high, cap + row))
    return tuple(found)


def _boxes(
    serving: Server, c: int, levels: Levels, cap: tuple[tuple[float, float], ...]
) -> list[State]:
    loads, moments = levels.boxes.get(serving.key, ((), ()))
    across = [0.0, *(load for load in loads if load < serving.cap), serving.cap]
    along = [0.0, *moments, math.inf]
    found = []
    for (least, most), (few, many) in itertools.product(
        itertools.pairwise(across), itertools.pairwise(along)
    ):
        row = (1 / (c * most), 0.0)
        rows = (*cap, row) if row not in cap else cap
        if math.isfinite(many):
            rows += ((0.0, 1 / many),)
        low = few * wait_factor(c, "shared", least)
        high = many * wait_factor(c, "shared", most) if math.isfinite(many) else math.inf
        found.append(State(c, low, high, rows))
    return found


def decays(problem: Problem, key: QueueKey, levels: Levels) -> tuple[Decay, ...]:
    """Return the levels of decay of a queue, for each number of replicas."""
    edges = [math.inf, *levels.decays.get(key, ()), 0.0]
    return tuple(
        Decay(c, low, high)
        for c in server(problem, key).counts
        for high, low in itertools.pairwise(edges)
    )
