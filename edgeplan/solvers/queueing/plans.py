"""Between plans and columns: which columns a plan takes, and which plan values stand for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from edgeplan.model.evaluate import route_price
from edgeplan.model.formulation.queueing import (
    PART,
    SOLE,
    Columns,
    Levels,
    Program,
    Side,
    decays,
    states,
)
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import Queue, QueueKey, Wait, Waits, queues

SMALLEST_FRACTION = 1e-7
"""A route with a smaller share of the requests is rounding noise, and is dropped."""
ROUNDING = 1e-9
"""A queue that exceeds a level by less than this share of it is within it."""


def plan_of(problem: Problem, program: Program, values: Floats) -> Plan:
    """Read a plan out of the values of a program's variables."""
    columns = program.variables.sets.columns
    route = values[program.variables["route"]]
    counts: dict[str, int] = {}
    for (q, c), value in zip(
        program.variables.sets.counts, values[program.variables["count"]], strict=True
    ):
        kind, name = columns.queues[q]
        if value > 0.5 and kind == "device" and len(problem.device[name].replica_range) > 1:
            counts[name] = c
    return plan_from(problem, columns, route, counts)


def plan_from(
    problem: Problem, columns: Columns, route: Floats, replicas: Mapping[str, int]
) -> Plan:
    """Return the plan that takes each column so often; replicas of devices that are off dropped."""
    found: dict[str, tuple[Route, ...]] = {}
    waiting = {g: list(group.streams) for g, group in enumerate(columns.groups)}
    shares: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index in np.flatnonzero(route > SMALLEST_FRACTION):
        g, column = int(columns.group[index]), int(index)
        if columns.kind[column] in (PART, SOLE):
            shares[columns.groups[g].streams[0]].append((float(route[column]), column))
            continue
        for _ in range(round(float(route[column]))):
            name = waiting[g].pop()
            found[name] = (
                Route(devices=columns.devices[column], batch=int(columns.batch[column])),
            )
    for name, parts in shares.items():
        merged: dict[tuple[tuple[str, ...], int], float] = defaultdict(float)
        for share, column in parts:
            merged[columns.devices[column], int(columns.batch[column])] += share
        total = math.fsum(merged.values())
        found[name] = tuple(
            Route(devices=devices, batch=batch, fraction=share / total)
            for (devices, batch), share in sorted(merged.items(), key=lambda m: -m[1])
        )
    on = {device for routes in found.values() for r in routes for device in r.devices}
    return Plan(
        routes={stream.name: found[stream.name] for stream in problem.streams},
        replicas={name: count for name, count in replicas.items() if name in on},
    )


def values_of(problem: Problem, columns: Columns, plan: Plan) -> Floats | None:
    """Return how often a plan takes each column; ``None`` where a route of it is no column."""
    by_route: dict[tuple[int, tuple[str, ...], int], list[int]] = defaultdict(list)
    for index in range(len(columns)):
        key = (int(columns.group[index]), columns.devices[index], int(columns.batch[index]))
        by_route[key].append(index)
    values = np.zeros(len(columns))
    for g, group in enumerate(columns.groups):
        for name in group.streams:
            routes = plan.routes[name]
            for route in routes:
                found = by_route.get((g, route.devices, route.batch))
                if not found:
                    return None
                wanted = SOLE if len(routes) == 1 else PART
                column = next((i for i in found if columns.kind[i] == wanted), found[0])
                values[column] += route.fraction
    return values


def crowd(problem: Problem, plan: Plan) -> dict[QueueKey, Queue]:
    """Return the queues of a plan with the jobs that come to them."""
    prices = {
        stream.name: tuple(route_price(problem, stream, r) for r in plan.routes[stream.name])
        for stream in problem.streams
    }
    return queues(problem, plan, prices)


def round_waits(problem: Problem, plan: Plan, levels: Levels, side: Side) -> Waits:
    """Return a plan's waits as a program by levels prices them: rounded up or down.

    Parameters
    ----------
    problem
        The problem.
    plan
        A plan.
    levels
        Of the program.
    side
        ``plan``: the upper ends of its states (``inf`` above the top level). ``bound``: their
        lower ends.

    Returns
    -------
    Waits
        For `evaluate`. A queue that is over its cap takes its top state.
    """
    found: dict[QueueKey, Wait] = {}
    for key, queue in crowd(problem, plan).items():
        if not queue.jobs:
            found[key] = Wait(0.0, math.inf)
            continue
        busy = queue.utilisation * queue.replicas
        within = [
            state
            for state in states(problem, key, levels)
            if state.replicas == queue.replicas
            and all(b * busy + m * queue.moments <= 1 + ROUNDING for b, m in state.rows)
        ]
        ends = [state.high if side == "plan" else state.low for state in within]
        theta = queue.decay_per_second
        known = [
            level.low if side == "plan" else level.high
            for level in decays(problem, key, levels)
            if level.replicas == queue.replicas and level.low <= theta * (1 + ROUNDING)
        ]
        found[key] = Wait(min(ends, default=math.inf), max(known, default=0.0))
    return found
