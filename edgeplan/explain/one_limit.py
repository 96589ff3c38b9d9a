"""The best plan where a single limit gives: a minimum rate, or the deadline of the one stream.

Without the limit, the plan that is best for what it limits is an ordinary problem, which the
special cases solve fast. How much other repairs must cost follows from the same with less to keep:

- with all other statements kept, the limit must give as much as the best plan needs;
- where other limits give, too, but no rule, as much as the best plan without these needs;
- where a rule is given up, as much as the best plan without all others needs, and the rule's price.

The least of the three is a lower bound on the price of every repair.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Collection, Mapping

from edgeplan.explain.checks import solve_fastest
from edgeplan.explain.items import RULES, Item, list_items
from edgeplan.explain.without import without
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Objective, Problem
from edgeplan.solvers import registry
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.pipeline.problem import reasons_against
from edgeplan.solvers.result import SolverResult, Stop

_GAP = 1e-6
"""Relative gap at which a plan is the best."""
_BOUND_SHARE = 0.5
"""A bound may take at most so much of the time left."""


def best_for_one_limit(
    problem: Problem,
    conflict: Collection[Item],
    prices: Mapping[Key, float],
    *,
    time_limit: float | None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
) -> tuple[Plan, float | None] | None:
    """Return the plan for which a single limit has to give least, all else kept.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        Statements that conflict; the limit is one of them.
    prices
        Of each statement that may give: of raising a limit by itself, or of a rule.
    time_limit
        Seconds, ``None`` for no limit.
    stop
        Setting it ends the search.
    threads, seed
        Of the solvers.

    Returns
    -------
    tuple or None
        The plan and a lower bound on the price of every repair, ``None`` where that is not
        known. ``None`` as a whole where no such limit is in the conflict, no special case
        solves the problem without it, or there was no plan in time.
    """
    item = next((i for i in conflict if i.key in prices and _asks(problem, i)), None)
    if item is None or (time_limit is not None and time_limit <= 0):
        return None
    ends = math.inf if time_limit is None else time.monotonic() + time_limit

    def best(gone: Collection[Item], share: float) -> SolverResult | None:
        asked = _without_limit(without(problem, gone), item)
        left = ends - time.monotonic()
        if registry.choose(asked)[0] == "highs" or left <= 0:
            return None
        return solve_fastest(
            asked,
            time_limit=None if math.isinf(left) else left * share,
            gap=_GAP,
            threads=threads,
            seed=seed,
            stop=stop,
        )

    found = best((), 1.0)
    if found is None or found.plan is None:
        return None

    def excess(result: SolverResult | None) -> float | None:
        """Return the least price of the limit, where it is known."""
        if result is None or result.bound is None:
            return None
        value = result.bound / unit
        return prices[item.key] * max(0.0, value / limit - 1)

    asked = _without_limit(problem, item)
    evaluation = evaluate(asked, found.plan)
    if found.stop is Stop.INTERRUPTED or not evaluation.latency_seconds:
        return found.plan, None
    if item.kind == "min rate":
        unit, limit = asked.objective.period_price, problem.budgets.period_seconds
    else:
        unit, limit = evaluation.objective / evaluation.latency_seconds, item.amount or math.nan
    others = [i for i in list_items(problem) if i.key in prices and i.key != item.key]
    rules = [i for i in others if i.kind in RULES]
    limits = [i for i in others if i.kind not in RULES]
    least = excess(found)
    if least is not None and limits:
        least = _least(least, excess(best(limits, _BOUND_SHARE)))
    if least is not None and rules:
        price = min(prices[i.key] for i in rules)
        # The price of a rule alone may be too much, whatever the limit saves by it.
        if price < least:
            more = excess(best(others, 1.0))
            least = _least(least, price if more is None else price + more)
    return found.plan, least


def _least(first: float, second: float | None) -> float | None:
    return None if second is None else min(first, second)


def _asks(problem: Problem, item: Item) -> bool:
    """Whether it is a limit on what can be an objective by itself."""
    if item.kind == "min rate":
        return not reasons_against(problem.with_objective("throughput"))
    if item.kind != "deadline" or len(problem.streams) != 1:
        return False
    return problem.streams[0].route_limit == 1


def _without_limit(problem: Problem, item: Item) -> Problem:
    """Return the problem without the limit, which asks for the best of what it limits."""
    if item.kind == "min rate":
        budgets = dataclasses.replace(problem.budgets, min_rate_per_second=0.0)
        return dataclasses.replace(problem, budgets=budgets).with_objective("throughput")
    (stream,) = problem.streams
    stream = dataclasses.replace(stream, deadline_seconds=math.inf)
    return dataclasses.replace(problem, streams=(stream,), objective=Objective(latency=1.0))
