"""The numbers of replicas that go with given routes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

ROUNDING = 1e-9
"""A utilisation may exceed its cap by this share before another replica is taken."""

LARGEST_EXCESS = 1e9
"""What a broken limit without numbers counts, in shares of the limit."""


def with_best_replicas(
    problem: Problem, plan: Plan, watch: Callable[[], None] = lambda: None
) -> Plan:
    """Return a plan with the same routes, and numbers of replicas that suit them.

    It begins from the fewest at each device that keep its utilisation cap, and then changes one
    device at a time as long as less is exceeded of the limits or, where none is, the objective
    falls. Where only the mean latency and the devices' own costs count, the counts do not depend
    on each other and each cost is convex, so that this finds the best.

    Parameters
    ----------
    problem
        What the plan is for.
    plan
        Its counts do not matter, its routes stay.
    watch
        Called now and then; may raise to end the search.
    """
    kept = plan.kept(problem)
    ranges = {
        device.name: device.replica_range
        for device in problem.devices
        if len(device.replica_range) > 1 and kept[device.name]
    }
    if not ranges:
        return dataclasses.replace(plan, replicas={})
    counts = fewest(problem, plan, ranges)

    def priced(counts: Mapping[str, int]) -> tuple[float, float]:
        watch()
        return standing(evaluate(problem, dataclasses.replace(plan, replicas=counts)))

    best = priced(counts)
    improved = True
    while improved:
        improved = False
        for name, allowed in ranges.items():
            for count in _neighbours(counts[name], allowed):
                other = counts | {name: count}
                if (price := priced(other)) < best:
                    counts, best, improved = other, price, True
                    break
    return dataclasses.replace(plan, replicas=counts)


def fewest(problem: Problem, plan: Plan, ranges: Mapping[str, range]) -> dict[str, int]:
    """Return for each device the fewest replicas that keep its utilisation cap.

    Parameters
    ----------
    problem, plan
        The routes to be served.
    ranges
        By device, the numbers to choose from; the most where none keeps the cap.
    """
    counts = {}
    start = dataclasses.replace(plan, replicas={})
    for load in evaluate(problem, start).devices:
        if load.name in ranges:
            allowed = ranges[load.name]
            need: float = allowed[0]
            if problem.capacity == "utilisation":
                busy = load.utilisation * load.replicas
                need = busy / problem.device[load.name].utilisation_cap * (1 - ROUNDING)
            counts[load.name] = (
                allowed[-1] if need > allowed[-1] else max(allowed[0], math.ceil(need))
            )
    return counts


def standing(evaluation: Evaluation) -> tuple[float, float]:
    """Return what ranks plans: by how much limits are exceeded, then the objective.

    Parameters
    ----------
    evaluation
        Of a plan; one that is feasible comes before all that are not.
    """
    excess = 0.0
    for violation in evaluation.violations:
        share = LARGEST_EXCESS
        if violation.value is not None and violation.limit is not None and violation.limit > 0:
            share = min(violation.value / violation.limit - 1, LARGEST_EXCESS)
        excess += share
    return excess, evaluation.objective


def _neighbours(count: int, allowed: range) -> Iterator[int]:
    """Yield numbers near one, then farther ones: a few steps cross a long range."""
    step = 1
    while step < len(allowed):
        for other in (count + step, count - step):
            if other in allowed:
                yield other
        step *= 4
