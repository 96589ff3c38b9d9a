"""Repairs of problems in which requests wait, replicas are chosen or requests are batched.

The elastic program knows no queues. It is asked about the problem without them, which gives a
lower bound on the price of every repair, and a plan. What this plan, and every other that was
found on the way, needs as things stand is read off the evaluator; so is what a single number of
the conflict needs (`edgeplan.explain.needs`). The cheapest of all these is returned: it may not be
the cheapest there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edgeplan.explain.amounts import bandwidths, directions, statement_of, with_amount
from edgeplan.explain.capacity import Capacity
from edgeplan.explain.checks import broken, build_seconds
from edgeplan.explain.edits import Edit, numbered
from edgeplan.explain.items import Item, list_items
from edgeplan.explain.needs import Need
from edgeplan.explain.plans import find_binding
from edgeplan.explain.relaxed import deadline_keys, fitted, unloaded
from edgeplan.explain.shortfall import Shortage
from edgeplan.explain.terms import RepairResult, Terms, priced, without_implied
from edgeplan.explain.without import without
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import ElasticResult, Key
from edgeplan.solvers.result import Stop

_BUILD_SHARE = 0.5
"""The elastic program is left out where building it takes more than so much of the time."""
_BY_REPLICAS = 12
"""For so many plans it is looked how many replicas would do."""
_SPARE = (1.0, 1.1, 1.3, 2.0)
"""So many times what is missing is added to find plans that do not wait long."""
_DOUBLINGS = 5
_PLANS = 60
"""Most plans that are mended in search of a cheap repair."""

_CROWDED = frozenset({"device capacity", "link capacity", "replicas"})


def find_loaded_repair(
    problem: Problem,
    terms: Terms,
    *,
    needs: Sequence[Need] = (),
    shortage: Shortage | None = None,
    capacity: Capacity | None = None,
    known: Sequence[Plan] = (),
) -> RepairResult:
    """Find a cheap repair of a problem of load that has no plan.

    Parameters
    ----------
    problem
        The problem.
    terms
        What may give. Rates never give here: `needs` tells of them.
    needs
        What single numbers would have to be.
    shortage
        The busy time that is missing.
    capacity
        What routes ask for: finds plans for the problem in which it is not missing.
    known
        Plans that can run, whatever they break.

    Returns
    -------
    RepairResult
        Its bound holds for every repair by limits and rules.
    """
    left = terms.seconds_left
    slow = left is not None and build_seconds(problem) > left * _BUILD_SHARE
    found = _NOTHING if slow else _elastic(problem, terms)
    repairs = [*_by_needs(problem, needs, terms)]
    plans = list(_relieved(problem, shortage or Shortage(), capacity or Capacity(), terms))
    plans += [plan for plan in (found.plan,) if plan is not None]
    plans += reversed(known[-_PLANS:])
    for repair_ in _by_plans(problem, plans, terms):
        repairs.append(repair_)
        if terms.ended:
            break
    if not repairs:
        return terms.nothing(found, "no repair was found")
    price, edits, changed, plan = min(repairs, key=lambda r: (r[0], len(r[1])))
    repair = priced(edits, price, found.bound, changed, plan)
    return RepairResult(repair=repair, stop=Stop.COMPLETED)


_NOTHING = ElasticResult(
    stop=Stop.TIME_LIMIT, plan=None, bound=None, infeasible=False, seconds=0.0, message=""
)
Found = tuple[float, tuple[Edit, ...], Problem, Plan]
"""Price, edits, the problem with them, and a plan for it."""


def _relieved(
    problem: Problem, shortage: Shortage, capacity: Capacity, terms: Terms
) -> Iterator[Plan]:
    """Yield plans for the problem with what is missing, and with more than that."""
    for spare in _SPARE:
        wanted: dict[Key, tuple[Item, float]] = {}
        for short in shortage.places:
            item = _giving(problem, short.item, terms)
            if item is None or item.amount is None:
                continue
            value = item.amount * short.needed / short.given * spare
            value = math.ceil(value) if item.unit == "count" else value
            # Of a link's two directions the one that lacks more.
            wanted[item.key] = item, max(value, wanted.get(item.key, (item, value))[1])
        changed = problem
        try:
            for item, value in wanted.values():
                changed = with_amount(changed, item, value)
        except InputError:  # more than a problem may state
            return
        load = capacity.find(changed)
        if load is not None and load.plan is not None:
            yield load.plan


def _giving(problem: Problem, cap: Item, terms: Terms) -> Item | None:
    """Return the number that gives where a device or link has too much to do."""
    if cap.kind == "device capacity":
        return next((i for i in list_items(problem) if i.key == ("replicas", cap.key[1])), None)
    (ends,) = directions(cap)
    wide = bandwidths(problem, terms.two_way)
    return next((item for item in wide if ends in directions(item)), None)


def _elastic(problem: Problem, terms: Terms) -> ElasticResult:
    """Ask the elastic program about the problem in which nobody waits."""
    given = terms.prices
    stated: dict[Key, float] = {
        key: price for key, price in given.items() if key[0] not in ("rate", "replicas")
    }
    for device in problem.devices:
        # More work at a device is paid for by its cap or by replicas, whichever may give.
        ways = [given.get((kind, device.name), math.inf) for kind in _CROWDED]
        stated["device capacity", device.name] = min(ways)
    kept: set[Key] = set()
    for stream in problem.streams:
        # One limit on the mean stands for all deadlines; those that are fixed for all where
        # there are any, since what stands for two of which one may give must give as well.
        keys = deadline_keys(problem, stream)
        firm = [key for key in keys if key in terms.fixed]
        kept.update(firm or keys)
        price = math.inf if firm else min((given[key] for key in keys), default=math.inf)
        stated["deadline", stream.name] = price
    easier = unloaded(without_implied(problem), kept)
    opened = easier
    if terms.lacking:
        opened = unloaded(without_implied(without(problem, terms.lacking)), kept)
    return terms.elastic(easier, opened, stated)


def _by_needs(problem: Problem, needs: Sequence[Need], terms: Terms) -> Iterator[Found]:
    """Yield the repairs in which one number gives."""
    for need in needs:
        item = need.item
        if item.kind in ("rate", "rates") or need.enough is None or item.amount is None:
            continue
        if not need.whole:
            continue
        statement = item.key
        if item.kind == "bandwidth":
            statement = ("link capacity", *directions(item)[0])
        if statement in terms.fixed:
            continue
        assert need.problem is not None
        assert need.plan is not None
        more, less = sorted((need.enough, item.amount), reverse=True)
        edit = numbered(item, need.enough, statement)
        yield more / less - 1, (edit,), need.problem, need.plan


def _by_plans(problem: Problem, plans: Sequence[Plan], terms: Terms) -> Iterator[Found]:
    """Yield what plans need to be feasible."""
    seen = set()
    for plan in plans:
        routes = tuple((name, plan.routes[name]) for name in sorted(plan.routes))
        if routes in seen:
            continue
        seen.add(routes)
        base, added, more = terms.added(problem, plan)
        if not math.isfinite(evaluate(without(base, list_items(base)), _bare(plan)).objective):
            continue
        mended = terms.mend(base, plan)
        if mended is None:
            continue
        edits, changed = mended
        fit = fitted(changed, plan)
        price = _price(base, edits, changed, fit, terms) + more
        yield price, (*added, *edits), changed, fit
        if not added and len(seen) <= _BY_REPLICAS:
            by_replicas = _by_replicas(problem, changed, fit, terms)
            if by_replicas is not None:
                yield _price(problem, *by_replicas, terms), *by_replicas


def _by_replicas(
    problem: Problem, mended: Problem, plan: Plan, terms: Terms
) -> tuple[tuple[Edit, ...], Problem, Plan] | None:
    """Return what a plan needs where replicas, and no deadlines, give for it; ``None`` for none.

    All devices that it uses get more of them until it breaks nothing, and then each as few as
    leave it so.
    """
    used = {name for routes in plan.routes.values() for r in routes for name in r.devices}
    items = [
        item
        for item in list_items(problem)
        if item.kind == "replicas" and item.key not in terms.fixed and item.key[1] in used
    ]
    timed = ("deadline", "tail deadline")
    late = [key for key in broken(problem, plan) if key[0] in timed]
    if not items or not late:
        return None
    counts = {item.key: int(item.amount or 1) for item in items}

    def with_counts(some: Mapping[Key, int]) -> Problem | None:
        changed = problem
        try:
            for item in items:
                changed = with_amount(changed, item, some[item.key])
        except InputError:  # more than a problem may state
            return None
        return changed if evaluate(changed, fitted(changed, plan)).feasible else None

    for _ in range(_DOUBLINGS):
        counts = {key: 2 * count for key, count in counts.items()}
        if with_counts(counts) is not None:
            break
    else:
        return None
    for item in items:
        low, high = int(item.amount or 1), counts[item.key]
        while low < high:
            middle = (low + high) // 2
            if with_counts({**counts, item.key: middle}) is not None:
                high = middle
            else:
                low = middle + 1
        counts[item.key] = high
    changed = with_counts(counts)
    assert changed is not None
    edits = tuple(
        numbered(item, counts[item.key]) for item in items if counts[item.key] != item.amount
    )
    return edits, changed, fitted(changed, plan)


def _bare(plan: Plan) -> Plan:
    return Plan(routes=plan.routes)


def _price(
    problem: Problem, edits: Sequence[Edit], changed: Problem, plan: Plan, terms: Terms
) -> float:
    """Return the price of edits, before numbers are rounded; replicas are whole."""
    used = {b.item.key: b.used for b in find_binding(changed, evaluate(changed, plan))}
    before: dict[Key, float] = {}
    for b in find_binding(problem, evaluate(problem, fitted(problem, plan))):
        key = statement_of(b.item.key, terms.two_way)
        before[key] = max(b.share, before.get(key, 0.0))
    total = 0.0
    for edit in edits:
        excess = 1.0
        if edit.unit == "count":
            assert edit.before
            assert edit.after
            excess = edit.after / edit.before - 1
        elif edit.key[0] in _CROWDED:
            excess = max(0.0, before[edit.key] - 1)
        elif edit.before is not None:
            value = used[edit.key]
            rate = edit.key[0] == "min rate"
            excess = max(0.0, edit.before / value - 1 if rate else value / edit.before - 1)
        total += terms.prices[edit.key] * excess
    return total
