"""Repairs of problems in which requests wait, replicas are chosen or requests are batched.

The elastic program knows no queues. It is asked about the problem without them, which gives a
lower bound on the price of every repair, and a plan. What this plan, and every other that was
found on the way, needs as things stand is read off the evaluator; so is what a single number of
the conflict needs (`edgeplan.explain.needs`). The cheapest of all these is returned: it may not be
the cheapest there is.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from edgeplan.explain.amounts import bandwidths, with_amount
from edgeplan.explain.capacity import Capacity
from edgeplan.explain.checks import broken, build_seconds
from edgeplan.explain.edits import Edit, mend
from edgeplan.explain.items import Item, list_items, list_missing
from edgeplan.explain.needs import Need
from edgeplan.explain.plans import find_binding
from edgeplan.explain.relaxed import deadline_keys, fitted, unloaded
from edgeplan.explain.repair import (
    Repair,
    RepairResult,
    added_edits,
    needed_items,
    prices,
    without_implied,
)
from edgeplan.explain.shortfall import Shortage
from edgeplan.explain.without import without
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Elastic, ElasticResult, Key
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
    *,
    missing: bool = False,
    needs: Sequence[Need] = (),
    shortage: Shortage | None = None,
    capacity: Capacity | None = None,
    known: Sequence[Plan] = (),
    fixed: Collection[Key] = (),
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
) -> RepairResult:
    """Find a cheap repair of a problem of load that has no plan.

    Parameters
    ----------
    problem
        The problem.
    missing
        Whether links and times that are missing may be added.
    needs
        What single numbers would have to be.
    shortage
        The busy time that is missing.
    capacity
        What routes ask for: finds plans for the problem in which it is not missing.
    known
        Plans that can run, whatever they break.
    fixed
        Statements that must not give. Rates never give here: `needs` tells of them.
    time_limit, stop, threads, seed
        Of the elastic program.

    Returns
    -------
    RepairResult
        Its bound holds for every repair by limits and rules.
    """
    ends = math.inf if time_limit is None else time.monotonic() + time_limit
    lacking = list_missing(problem) if missing else ()
    given = prices((*list_items(problem), *lacking), fixed)
    if time_limit is not None and build_seconds(problem) > time_limit * _BUILD_SHARE:
        found = _NOTHING
    else:
        found = _elastic(problem, lacking, given, fixed, time_limit, stop, threads, seed)
    repairs = [*_by_needs(problem, needs, fixed)]
    plans = list(_relieved(problem, shortage or Shortage(), capacity or Capacity()))
    plans += [plan for plan in (found.plan,) if plan is not None]
    plans += reversed(known[-_PLANS:])
    for repair_ in _by_plans(problem, plans, lacking, given, fixed):
        repairs.append(repair_)
        if time.monotonic() > ends or (stop is not None and stop.is_set()):
            break
    if not repairs:
        if found.infeasible:
            told = "what must not give leaves no plan" if fixed else found.message
            return RepairResult(repair=None, stop=found.stop, message=told)
        return RepairResult(repair=None, stop=found.stop, message="no repair was found")
    price, edits, changed, plan = min(repairs, key=lambda r: (r[0], len(r[1])))
    repair = Repair(
        edits=edits,
        price=price,
        bound=found.bound,
        plan=plan,
        problem=changed,
        evaluation=evaluate(changed, plan),
    )
    return RepairResult(repair=repair, stop=Stop.COMPLETED)


_NOTHING = ElasticResult(
    stop=Stop.TIME_LIMIT, plan=None, bound=None, infeasible=False, seconds=0.0, message=""
)
Found = tuple[float, tuple[Edit, ...], Problem, Plan]
"""Price, edits, the problem with them, and a plan for it."""


def _relieved(problem: Problem, shortage: Shortage, capacity: Capacity) -> Iterator[Plan]:
    """Yield plans for the problem with what is missing, and with more than that."""
    for spare in _SPARE:
        changed = problem
        for short in shortage.places:
            more = short.needed / short.given * spare
            kind, *names = short.item.key
            if kind == "device capacity":
                item = _same(list_items(problem), ("replicas", *names))
            else:
                item = _same(bandwidths(problem), ("bandwidth", *names))
            if item is None or item.amount is None:
                continue
            value = item.amount * more
            try:
                changed = with_amount(
                    changed, item, math.ceil(value) if item.unit == "count" else value
                )
            except InputError:  # more than a problem may state
                return
        load = capacity.find(changed)
        if load is not None and load.plan is not None:
            yield load.plan


def _same(items: Iterable[Item], key: Key) -> Item | None:
    return next((item for item in items if item.key == key), None)


def _elastic(
    problem: Problem,
    lacking: Sequence[Item],
    given: Mapping[Key, float],
    fixed: Collection[Key],
    time_limit: float | None,
    stop: threading.Event | None,
    threads: int,
    seed: int,
) -> ElasticResult:
    """Ask the elastic program about the problem in which nobody waits."""
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
        firm = [key for key in keys if key in fixed]
        kept.update(firm or keys)
        price = math.inf if firm else min((given[key] for key in keys), default=math.inf)
        stated["deadline", stream.name] = price
    easier = unloaded(without_implied(problem), kept)
    opened = unloaded(without_implied(without(problem, lacking)), kept) if lacking else easier
    elastic = Elastic(prices=stated, time_limit=time_limit, threads=threads, seed=seed)
    return elastic.solve(easier, opened=opened, stop=stop)


def _by_needs(problem: Problem, needs: Sequence[Need], fixed: Collection[Key]) -> Iterator[Found]:
    """Yield the repairs in which one number gives."""
    for need in needs:
        item = need.item
        if item.kind in ("rate", "rates") or need.enough is None or item.amount is None:
            continue
        if not need.whole:
            continue
        statement = ("link capacity", *item.key[1:]) if item.kind == "bandwidth" else item.key
        if statement in fixed:
            continue
        assert need.problem is not None
        assert need.plan is not None
        more, less = sorted((need.enough, item.amount), reverse=True)
        edit = Edit(
            key=statement,
            item=item.item,
            place=item.place,
            before=item.amount,
            after=need.enough,
            unit=item.unit,
        )
        yield more / less - 1, (edit,), need.problem, need.plan


def _by_plans(
    problem: Problem,
    plans: Sequence[Plan],
    lacking: Sequence[Item],
    given: Mapping[Key, float],
    fixed: Collection[Key],
) -> Iterator[Found]:
    """Yield what plans need to be feasible."""
    seen = set()
    for plan in plans:
        routes = tuple((name, plan.routes[name]) for name in sorted(plan.routes))
        if routes in seen:
            continue
        seen.add(routes)
        needed = needed_items(problem, plan, lacking)
        base = without(problem, needed) if needed else problem
        if not math.isfinite(evaluate(without(base, list_items(base)), _bare(plan)).objective):
            continue
        mended = mend(base, plan, fixed)
        if mended is None:
            continue
        edits, changed = mended
        fit = fitted(changed, plan)
        price = _price(base, edits, changed, fit, given)
        price += math.fsum(given[item.key] for item in needed)
        yield price, (*added_edits(needed), *edits), changed, fit
        if not needed and len(seen) <= _BY_REPLICAS:
            more = _by_replicas(problem, changed, fit, fixed)
            if more is not None:
                yield _price(problem, more[0], more[1], more[2], given), *more


def _by_replicas(
    problem: Problem, mended: Problem, plan: Plan, fixed: Collection[Key]
) -> tuple[tuple[Edit, ...], Problem, Plan] | None:
    """Return what a plan needs where replicas, and no deadlines, give for it; ``None`` for none.

    All devices that it uses get more of them until it breaks nothing, and then each as few as
    leave it so.
    """
    used = {name for routes in plan.routes.values() for r in routes for name in r.devices}
    items = [
        item
        for item in list_items(problem)
        if item.kind == "replicas" and item.key not in fixed and item.key[1] in used
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
        Edit(
            key=item.key,
            item=item.item,
            place=item.place,
            before=item.amount,
            after=counts[item.key],
            unit=item.unit,
        )
        for item in items
        if counts[item.key] != item.amount
    )
    return edits, changed, fitted(changed, plan)


def _bare(plan: Plan) -> Plan:
    return Plan(routes=plan.routes)


def _price(
    problem: Problem,
    edits: Sequence[Edit],
    changed: Problem,
    plan: Plan,
    given: Mapping[Key, float],
) -> float:
    """Return the price of edits, before numbers are rounded; replicas are whole."""
    used = {b.item.key: b.used for b in find_binding(changed, evaluate(changed, plan))}
    before = {
        b.item.key: b for b in find_binding(problem, evaluate(problem, fitted(problem, plan)))
    }
    total = 0.0
    for edit in edits:
        excess = 1.0
        if edit.unit == "count":
            assert edit.before
            assert edit.after
            excess = edit.after / edit.before - 1
        elif edit.key[0] in _CROWDED:
            excess = max(0.0, before[edit.key].share - 1)
        elif edit.before is not None:
            value = used[edit.key]
            rate = edit.key[0] == "min rate"
            excess = max(0.0, edit.before / value - 1 if rate else value / edit.before - 1)
        total += given[edit.key] * excess
    return total
