"""Where levels go: around a plan's waits, and where a program's solution rounds most."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from edgeplan.model.formulation.queueing import Levels, Program
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey, wait_factor
from edgeplan.solvers.queueing.plans import crowd

MESH = (0.4, 0.6, 0.75, 0.86, 0.94, 1.06, 1.15, 1.3, 1.6, 2.2)
"""First levels of a wait, as multiples of a known plan's."""
SHARE = 0.15
"""Of the gap: queues whose waits are less than that in all get no level at first."""
SHORTEST = 1e-7
"""Waits that are shorter, as a share of the longest job, get no level."""
CLOSEST = 1e-7
"""Two levels are at least so far apart, relatively."""


def first_levels(
    problem: Problem, plan: Plan | None, wait_price: dict[QueueKey, float], allowed: float
) -> Levels:
    """Return levels around the waits of a plan, or none.

    Parameters
    ----------
    problem, plan
        A plan to begin from; ``None`` where none is known.
    wait_price
        By queue: price of a second of waiting there, of that plan.
    allowed
        Rounding that may be left, in the objective's units.
    """
    if plan is None or problem.waiting == "none":
        return Levels()
    queues = crowd(problem, plan)
    paid = {
        key: wait_price.get(key, 0.0) * queue.mean_wait_seconds
        for key, queue in queues.items()
        if queue.jobs and math.isfinite(queue.mean_wait_seconds)
    }
    waits: dict[QueueKey, tuple[float, ...]] = {}
    boxes: dict[QueueKey, tuple[tuple[float, ...], tuple[float, ...]]] = {}
    small = 0.0
    for key in sorted(paid, key=lambda k: paid[k]):
        small += paid[key]
        if small <= SHARE * allowed or not queues[key].mean_wait_seconds > 0:
            continue
        queue = queues[key]
        wait = queue.mean_wait_seconds
        close = max(1 - allowed / (4 * paid[key] * len(paid)), 0.97)
        waits[key] = tuple(sorted(wait * f for f in (*MESH, close, 1 + CLOSEST)))
        if queue.dispatch == "shared":
            rho, moments = queue.utilisation, queue.moments
            boxes[key] = (
                tuple(sorted(rho * f for f in (0.6, 0.9, 0.99, 1 + CLOSEST, 1.1))),
                tuple(sorted(moments * f for f in (0.6, 0.9, 0.99, 1 + CLOSEST, 1.2))),
            )
    return Levels(waits, boxes, {})


def around_plan(problem: Problem, plan: Plan, levels: Levels, close: float) -> Levels:
    """Return levels with the waits and decays of a plan among them, and others just below.

    Rounded by these, the plan's waits are too low by the share ``close`` at most.
    """
    waits, boxes, decays = dict(levels.waits), dict(levels.boxes), dict(levels.decays)
    tailed = any(stream.tail_deadlines for stream in problem.streams)
    for key, queue in crowd(problem, plan).items():
        if not queue.jobs or queue.utilisation >= 1:
            continue
        wait, theta = queue.mean_wait_seconds, queue.decay_per_second
        if wait <= SHORTEST * max(job.seconds for job in queue.jobs):
            wait = 0.0  # rounded down to nothing: HiGHS takes no entries as large as 1 / wait
        if wait > 0 and queue.dispatch == "shared" and queue.replicas > 1:
            loads, moments = boxes.get(key, ((), ()))
            rho, moment = queue.utilisation, queue.moments
            boxes[key] = (
                _merged(loads, (rho * (1 - close / 4), rho * (1 + CLOSEST))),
                _merged(moments, (moment * (1 - close / 4), moment * (1 + CLOSEST))),
            )
        if wait > 0:
            waits[key] = _merged(waits.get(key, ()), (wait * (1 - close), wait * (1 + CLOSEST)))
        if tailed and 0 < theta < math.inf:
            points = (theta * (1 + close), theta * (1 - CLOSEST), theta * 1.3, theta * 0.8)
            decays[key] = _merged(decays.get(key, ()), points)[::-1]
    return Levels(waits, boxes, decays)


def where_rounded(
    program: Program, x: Floats, levels: Levels, allowed: float
) -> tuple[Levels, float]:
    """Split the states that a solution uses where it pays much less than its waits.

    Parameters
    ----------
    program
        The bound program.
    x
        Values of its variables, whole or not.
    levels
        Its levels.
    allowed
        What a state may leave unpaid, in the objective's units.

    Returns
    -------
    tuple
        The new levels, and all that was left unpaid.
    """
    sets = program.variables.sets
    columns = sets.columns
    incidence, state = sets.pairs
    at = x[program.variables["at"]]
    used = x[program.variables["state"]]
    size = len(sets.state)
    price = (columns.wait_price[columns.group[columns.column]] * columns.visits)[incidence]

    def total(value: Floats) -> Floats:
        return np.bincount(state, weights=at * value, minlength=size).astype(float)

    waiters = total(price)
    busy, moment = total(columns.busy[incidence]), total(columns.moment[incidence])
    excess = x[program.variables["excess"]] if len(program.variables["excess"]) else np.zeros(size)
    waits, boxes = dict(levels.waits), dict(levels.boxes)
    unpaid_in_all = 0.0
    for index, (q, k) in enumerate(sets.state):
        if used[index] < 1e-6:
            continue
        found = sets.states[q][k]
        c = found.replicas
        rho = min(busy[index] / used[index] / c, 1 - 1e-6)
        mean = moment[index] / used[index]
        if sets.shared[q] and c > 1:
            wait = mean * wait_factor(c, "shared", rho)
        else:
            wait = mean / c / (2 * (1 - rho))
        steep = (sets.steep or {}).get((q, k), 0.0)
        unpaid = waiters[index] * (wait - found.low) - steep * found.low * excess[index]
        unpaid_in_all += max(unpaid, 0.0)
        if unpaid <= allowed:
            continue
        key = columns.queues[q]
        if sets.shared[q] and c > 1:
            loads, moments = boxes.get(key, ((), ()))
            boxes[key] = (
                _merged(loads, (rho * 0.97, rho * 1.001)),
                _merged(moments, (mean * 0.95, mean * 1.001)),
            )
            continue
        low = found.low if found.low > 0 else wait / 4
        ratio = wait / low
        pieces = 4 if ratio > 1.02 else 2
        points = tuple(low * ratio ** (n / pieces) for n in range(1, pieces + 1))
        points = (*points[:-1], wait * (1 + CLOSEST), *([low] if found.low <= 0 else []))
        waits[key] = _merged(waits.get(key, ()), points)
    return Levels(waits, boxes, dict(levels.decays)), unpaid_in_all


def _merged(levels: Iterable[float], points: Iterable[float]) -> tuple[float, ...]:
    """Return rising levels; of points that (nearly) are levels already, none."""
    found = sorted(levels)
    for point in points:
        if point > 0 and all(abs(point - level) > CLOSEST / 2 * level for level in found):
            found.append(point)
    return tuple(sorted(found))
