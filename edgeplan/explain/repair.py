"""The cheapest repair: which limits and rules would have to give, and by how much.

The elastic program (`edgeplan.solvers.elastic`) finds the plan whose broken statements are the
cheapest to mend; `edgeplan.explain.edits` reads off what that plan needs. A repair is returned
only where the evaluator finds the plan feasible in the mended problem.

Where a minimum rate or a deadline is part of the conflict, giving that alone as much as the best
plan under all else needs is a repair, too, and often found (and proved the cheapest) much faster:
see `edgeplan.explain.one_limit`.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgeplan.explain.checks import broken
from edgeplan.explain.edits import Edit, mend
from edgeplan.explain.items import (
    MISSING,
    RULES,
    Item,
    implied_rate,
    list_items,
    list_missing,
)
from edgeplan.explain.one_limit import best_for_one_limit
from edgeplan.explain.without import without
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Elastic, Key
from edgeplan.solvers.result import Stop

LIMIT_PRICE = 1.0
"""Price of doubling a limit (of halving a minimum rate); less pays in proportion."""
RULE_PRICE = 1.0
"""Price of giving up a pin, a ban, a group of layers or contiguity."""
PRIVACY_PRICE = 10.0
"""Price of letting tagged tensors into a zone that the rule does not name."""
MISSING_PRICE = 10.0
"""Price of a link or a time that is not there."""

_ONE_LIMIT_SHARE = 0.6
"""To give a single limit may take at most so much of the time; the elastic program has the rest."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Changes that make a problem feasible.

    Parameters
    ----------
    edits
        The changes.
    price
        Their price before rounding: `LIMIT_PRICE` and the others times what gives.
    bound
        No repair is cheaper than this; ``None`` where that is not known.
    plan
        A plan that is feasible in the mended problem.
    problem
        The mended problem.
    evaluation
        The plan's price there.
    """

    edits: tuple[Edit, ...]
    price: float
    bound: float | None
    plan: Plan
    problem: Problem
    evaluation: Evaluation

    @property
    def cheapest(self) -> bool:
        """Whether no repair is cheaper (by more than rounding)."""
        return self.bound is not None and self.price <= self.bound + 1e-5 * max(1.0, self.price)


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What came of the search for a repair.

    Parameters
    ----------
    repair
        The repair, or ``None``.
    stop
        Why the search stopped.
    message
        For people, where there is no repair.
    """

    repair: Repair | None
    stop: Stop
    message: str = ""


def prices(items: Collection[Item], fixed: Collection[Key] = ()) -> dict[Key, float]:
    """Return the price of each statement that may give."""
    return {
        item.key: (
            PRIVACY_PRICE
            if item.kind == "privacy"
            else RULE_PRICE
            if item.kind in RULES
            else MISSING_PRICE
            if item.kind in MISSING
            else LIMIT_PRICE
        )
        for item in items
        if item.key not in fixed
    }


def repair_price(problem: Problem, plan: Plan) -> float:
    """Return the price of mending all that a plan breaks, which must be able to run."""
    total = 0.0
    given = prices(list_items(problem))
    for key, violation in broken(problem, plan).items():
        excess = 1.0
        if violation is not None and violation.value is not None and violation.limit is not None:
            excess = violation.value / violation.limit - 1
        total += given[key] * excess
    return total


def find_repair(
    problem: Problem,
    *,
    missing: bool = False,
    conflict: Collection[Item] = (),
    fixed: Collection[Key] = (),
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
) -> RepairResult:
    """Find the cheapest repair of a problem that has no plan.

    Parameters
    ----------
    problem
        The problem.
    missing
        Whether links and times that are missing may be added.
    conflict
        Statements of which one has to give, where that is known: tells which to try alone.
    fixed
        Statements that must not give.
    time_limit
        Seconds, ``None`` for no limit.
    stop
        Setting it ends the search with what it has.
    threads, seed
        Of the solver.
    """
    lacking = list_missing(problem) if missing else ()
    opened = without(problem, lacking) if lacking else problem
    given = prices((*list_items(problem), *lacking), fixed)
    began = time.monotonic()
    one = _one_limit(problem, conflict, given, fixed, time_limit, stop, threads, seed)
    if one is not None and one.cheapest:
        return RepairResult(repair=one, stop=Stop.COMPLETED)
    if time_limit is not None:
        time_limit = max(0.0, began + time_limit - time.monotonic())
    whole = _by_elastic(problem, opened, lacking, given, fixed, time_limit, stop, threads, seed)
    return whole if one is None else _cheaper(one, whole)


def _one_limit(
    problem: Problem,
    conflict: Collection[Item],
    given: Mapping[Key, float],
    fixed: Collection[Key],
    time_limit: float | None,
    stop: threading.Event | None,
    threads: int,
    seed: int,
) -> Repair | None:
    """Return the repair in which a single limit of the conflict gives, or ``None``."""
    best = best_for_one_limit(
        problem,
        conflict,
        given,
        time_limit=None if time_limit is None else time_limit * _ONE_LIMIT_SHARE,
        stop=stop,
        threads=threads,
        seed=seed,
    )
    if best is None:
        return None
    plan, bound = best
    if (mended := mend(problem, plan, fixed)) is None:
        return None
    edits, changed = mended
    return Repair(
        edits=edits,
        price=repair_price(problem, plan),
        bound=bound,
        plan=plan,
        problem=changed,
        evaluation=evaluate(changed, plan),
    )


def _cheaper(one: Repair, whole: RepairResult) -> RepairResult:
    """Return the cheaper of two repairs, with the better of what is known of all repairs."""
    if (other := whole.repair) is None:
        # That there is none is refuted by the one in hand.
        stop = Stop.FAILED if whole.stop is Stop.COMPLETED else whole.stop
        return RepairResult(repair=one, stop=stop)
    bounds = [bound for bound in (one.bound, other.bound) if bound is not None]
    # Equal prices: what changes a single statement is plainer.
    repair = other if other.price < one.price * (1 - 1e-6) else one
    repair = dataclasses.replace(repair, bound=max(bounds, default=None))
    return RepairResult(repair=repair, stop=Stop.COMPLETED if repair.cheapest else whole.stop)


def _by_elastic(
    problem: Problem,
    opened: Problem,
    lacking: Collection[Item],
    given: Mapping[Key, float],
    fixed: Collection[Key],
    time_limit: float | None,
    stop: threading.Event | None,
    threads: int,
    seed: int,
) -> RepairResult:
    """Find the cheapest repair by the elastic program."""
    elastic = Elastic(prices=given, time_limit=time_limit, threads=threads, seed=seed)
    found = elastic.solve(without_implied(problem), opened=without_implied(opened), stop=stop)
    if found.plan is None:
        if found.infeasible:
            told = "what must not give leaves no plan" if fixed else found.message
            return RepairResult(repair=None, stop=found.stop, message=told)
        return RepairResult(repair=None, stop=found.stop, message="no repair was found in time")
    needed = needed_items(problem, found.plan, lacking)
    base = without(problem, needed) if needed else problem
    mended = mend(base, found.plan, fixed)
    if mended is None:
        return RepairResult(
            repair=None, stop=Stop.FAILED, message="the repair found did not hold when checked"
        )
    edits, changed = mended
    return RepairResult(
        repair=Repair(
            edits=(*added_edits(needed), *edits),
            price=repair_price(base, found.plan) + math.fsum(given[i.key] for i in needed),
            bound=found.bound,
            plan=found.plan,
            problem=changed,
            evaluation=evaluate(changed, found.plan),
        ),
        stop=found.stop,
    )


def without_implied(problem: Problem) -> Problem:
    """Return the problem without a minimum rate that caps on load imply: they are what gives."""
    if not implied_rate(problem):
        return problem
    budgets = dataclasses.replace(problem.budgets, min_rate_per_second=0.0)
    return dataclasses.replace(problem, budgets=budgets)


def needed_items(problem: Problem, plan: Plan, lacking: Collection[Item]) -> list[Item]:
    """Return those of the missing links and times that a plan needs."""
    return [item for item in lacking if _runs_on(problem, plan, item)]


def added_edits(needed: Collection[Item]) -> tuple[Edit, ...]:
    """Return the edits that add missing links and times."""
    return tuple(
        Edit(
            key=item.key,
            item=item.item,
            place=item.place,
            text_before="missing",
            text_after="a link" if item.kind == "no link" else "a time",
        )
        for item in needed
    )


def _runs_on(problem: Problem, plan: Plan, item: Item) -> bool:
    """Whether a plan runs over a missing link, or where there is no time."""
    evaluation = evaluate(without(problem, list_items(problem)), Plan(routes=plan.routes))
    if item.kind == "no link":
        return any(
            (transfer.source, transfer.target) == item.key[1:]
            for price in evaluation.streams
            for route in price.routes
            for transfer in route.transfers
        )
    _, network, device, *layer = item.key
    return any(
        stage.device == device
        and problem.stream[price.name].network == network
        and math.isinf(stage.seconds)
        and (not layer or stage.first <= int(layer[0]) < stage.stop)
        for price in evaluation.streams
        for route in price.routes
        for stage in route.stages
    )
