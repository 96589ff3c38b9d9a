"""Fractions of routes, shifted while that makes a plan cheaper."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

FIRST_STEP, LAST_STEP = 0.25, 1e-7


def shifted(problem: Problem, plan: Plan, stopped: Callable[[], bool]) -> Plan:
    """Return a plan with the same routes whose fractions no small shift makes cheaper.

    Compass search: share is moved from one route of a stream to another, by steps that are
    halved where none helps. Plans that break fewer limits come first, then cheaper ones.

    Parameters
    ----------
    problem, plan
        A plan of the problem.
    stopped
        Whether to end now.
    """

    def value(candidate: Plan) -> tuple[float, float]:
        found = evaluate(problem, candidate)
        broken = math.fsum(
            1 + min((v.value - v.limit) / abs(v.limit), 10.0)
            if v.value is not None and v.limit
            else 11.0
            for v in found.violations
        )
        return broken, found.objective

    best = value(plan)
    moves = [
        (name, a, b)
        for name, routes in plan.routes.items()
        for a, b in itertools.permutations(range(len(routes)), 2)
    ]
    step = FIRST_STEP
    while step >= LAST_STEP and not stopped():
        better = False
        for name, a, b in moves:
            routes = list(plan.routes[name])
            if routes[a].fraction <= step:
                continue
            routes[a] = dataclasses.replace(routes[a], fraction=routes[a].fraction - step)
            routes[b] = dataclasses.replace(routes[b], fraction=routes[b].fraction + step)
            other = dataclasses.replace(plan, routes={**plan.routes, name: tuple(routes)})
            found = value(other)
            if found < best:
                plan, best, better = other, found, True
        if not better:
            step /= 2
    return plan
