"""The cheapest repair: which limits and rules would have to give, and by how much.

The elastic program (`edgeplan.solvers.elastic`) finds the plan whose broken statements are the
cheapest to mend; `edgeplan.explain.edits` reads off what that plan needs. A repair is returned
only where the evaluator finds the plan feasible in the mended problem.

Where a minimum rate or a deadline is part of the conflict, giving that alone as much as the best
plan under all else needs is a repair, too, and often found (and proved the cheapest) much faster:
see `edgeplan.explain.one_limit`. Where load is planned for, see `edgeplan.explain.load_repair`.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Collection, Sequence

from edgeplan.explain.amounts import TwoWay
from edgeplan.explain.capacity import Capacity
from edgeplan.explain.items import Item
from edgeplan.explain.load_repair import find_loaded_repair
from edgeplan.explain.needs import Need
from edgeplan.explain.one_limit import best_for_one_limit
from edgeplan.explain.shortfall import Shortage
from edgeplan.explain.terms import (
    Repair,
    RepairResult,
    Terms,
    priced,
    repair_price,
    without_implied,
)
from edgeplan.explain.without import without
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.result import Stop

_ONE_LIMIT_SHARE = 0.6
"""To give a single limit may take at most so much of the time; the elastic program has the rest."""


def find_repair(
    problem: Problem,
    *,
    missing: bool = False,
    conflict: Collection[Item] = (),
    needs: Sequence[Need] = (),
    shortage: Shortage | None = None,
    capacity: Capacity | None = None,
    known: Sequence[Plan] = (),
    fixed: Collection[Key] = (),
    two_way: TwoWay = (),
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
    needs, shortage, capacity, known
        Where load is planned for: see `find_loaded_repair`.
    fixed
        Statements that must not give.
    two_way
        Links, as (source, target), with one statement for both directions: it gives for both
        at once, at one price.
    time_limit
        Seconds, ``None`` for no limit.
    stop
        Setting it ends the search with what it has.
    threads, seed
        Of the solver.
    """
    terms = Terms.of(
        problem,
        missing=missing,
        fixed=fixed,
        two_way=two_way,
        time_limit=time_limit,
        stop=stop,
        threads=threads,
        seed=seed,
    )
    if problem.load_features:
        return find_loaded_repair(
            problem, terms, needs=needs, shortage=shortage, capacity=capacity, known=known
        )
    one = _one_limit(problem, conflict, terms)
    if one is not None and one.cheapest:
        return RepairResult(repair=one, stop=Stop.COMPLETED)
    whole = _by_elastic(problem, terms)
    return whole if one is None else _cheaper(one, whole)


def _one_limit(problem: Problem, conflict: Collection[Item], terms: Terms) -> Repair | None:
    """Return the repair in which a single limit of the conflict gives, or ``None``."""
    left = terms.seconds_left
    best = best_for_one_limit(
        problem,
        conflict,
        terms.prices,
        time_limit=None if left is None else left * _ONE_LIMIT_SHARE,
        stop=terms.stop,
        threads=terms.threads,
        seed=terms.seed,
    )
    if best is None:
        return None
    plan, bound = best
    if (mended := terms.mend(problem, plan)) is None:
        return None
    edits, changed = mended
    return priced(edits, repair_price(problem, plan, terms.two_way), bound, changed, plan)


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


def _by_elastic(problem: Problem, terms: Terms) -> RepairResult:
    """Find the cheapest repair by the elastic program."""
    opened = without(problem, terms.lacking) if terms.lacking else problem
    found = terms.elastic(without_implied(problem), without_implied(opened), terms.prices)
    if found.plan is None:
        return terms.nothing(found, "no repair was found in time")
    base, added, more = terms.added(problem, found.plan)
    mended = terms.mend(base, found.plan)
    if mended is None:
        return RepairResult(
            repair=None, stop=Stop.FAILED, message="the repair found did not hold when checked"
        )
    edits, changed = mended
    price = repair_price(base, found.plan, terms.two_way) + more
    repair = priced((*added, *edits), price, found.bound, changed, found.plan)
    return RepairResult(repair=repair, stop=found.stop)
