"""The cheapest repair: which limits and rules would have to give, and by how much.

The elastic program (`edgeplan.solvers.elastic`) finds the plan whose broken statements are the
cheapest to mend; what the plan needs is read off the evaluator's violations, rounded up to three
digits. The mended problem is priced again, and a repair is returned only where the plan is
feasible there.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from edgeplan.explain.checks import broken
from edgeplan.explain.items import (
    MISSING,
    RULES,
    Item,
    Part,
    Unit,
    list_items,
    list_missing,
    rule_text,
    without,
)
from edgeplan.model.evaluate import Evaluation, Violation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import LayerRule, Link, Privacy, Problem, Stream
from edgeplan.solvers.elastic import Elastic, Key
from edgeplan.solvers.result import Stop

DIGITS = 3
"""Significant digits of a mended limit."""

LIMIT_PRICE = 1.0
"""Price of doubling a limit (of halving a minimum rate); less pays in proportion."""
RULE_PRICE = 1.0
"""Price of giving up a pin, a ban, a group of layers or contiguity."""
PRIVACY_PRICE = 10.0
"""Price of letting tagged tensors into a zone that the rule does not name."""
MISSING_PRICE = 10.0
"""Price of a link or a time that is not there."""

_FULL = 0.9995
"""A cap on load cannot be raised to a busy share above this; more capacity is needed."""
_ROUNDS = 8
"""Mending one statement may strain another (replicas cost money); so often at most."""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of a problem.

    Parameters
    ----------
    key
        The statement that gives.
    item
        What changes, in words.
    place
        Where an instance file has it, as in `Item`.
    before, after
        Numbers in SI units, ``None`` where they are none.
    unit
        Of the numbers.
    text_before, text_after
        In words, where there are no numbers.
    """

    key: Key
    item: str
    place: tuple[Part, ...]
    before: float | None = None
    after: float | None = None
    unit: Unit = ""
    text_before: str = ""
    text_after: str = ""

    @property
    def where(self) -> str:
        """The place as text."""
        return Item(key=self.key, item=self.item, place=self.place).where


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
    elastic = Elastic(prices=given, time_limit=time_limit, threads=threads, seed=seed)
    found = elastic.solve(problem, opened=opened, stop=stop)
    if found.plan is None:
        if found.infeasible:
            told = "what must not give leaves no plan by itself" if fixed else found.message
            return RepairResult(repair=None, stop=found.stop, message=told)
        return RepairResult(repair=None, stop=found.stop, message="no repair was found in time")
    needed = [item for item in lacking if _needs(problem, found.plan, item)]
    base = without(problem, needed) if needed else problem
    mended = _mended(base, found.plan)
    if mended is None:
        return RepairResult(
            repair=None, stop=found.stop, message="the repair found did not hold when checked"
        )
    edits, changed = mended
    added = tuple(
        Edit(
            key=item.key,
            item=item.item,
            place=item.place,
            text_before="missing",
            text_after="a link" if item.kind == "no link" else "a time",
        )
        for item in needed
    )
    return RepairResult(
        repair=Repair(
            edits=(*added, *edits),
            price=repair_price(base, found.plan) + math.fsum(given[i.key] for i in needed),
            bound=found.bound,
            plan=found.plan,
            problem=changed,
            evaluation=evaluate(changed, found.plan),
        ),
        stop=found.stop,
    )


def _needs(problem: Problem, plan: Plan, item: Item) -> bool:
    """Whether a plan runs over a missing link, or where there is no time."""
    evaluation = evaluate(without(problem, list_items(problem)), plan)
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


def _mended(problem: Problem, plan: Plan) -> tuple[tuple[Edit, ...], Problem] | None:
    """Return the edits that a plan needs and the problem with them, or ``None``."""
    edits: dict[tuple[Part, ...], Edit] = {}
    current = problem
    for _ in range(_ROUNDS):
        evaluation = evaluate(current, plan)
        if evaluation.feasible:
            return tuple(edits.values()), current
        for key, violation in broken(current, plan).items():
            edit, current = _edit(current, plan, key, violation)
            if (earlier := edits.get(edit.place)) is not None:
                edit = dataclasses.replace(
                    edit, before=earlier.before, text_before=earlier.text_before
                )
            edits[edit.place] = edit
    return None


def _edit(
    problem: Problem, plan: Plan, key: Key, violation: Violation | None
) -> tuple[Edit, Problem]:
    """Return one edit, and the problem after it."""
    kind = key[0]
    value = math.nan if violation is None or violation.value is None else violation.value
    if kind in ("memory", "device power"):
        return _device_limit(problem, key, value)
    if kind == "device capacity":
        return _device_load(problem, key, value)
    if kind == "link capacity":
        return _link_load(problem, key, value)
    if kind in ("power budget", "money budget", "min rate"):
        return _budget(problem, key, value)
    if kind == "contiguous":
        item = _item(problem, key)
        return _ruled(item, "false"), dataclasses.replace(problem, contiguous=False)
    stream = problem.stream[str(key[1])]
    if kind == "deadline":
        item, after = _item(problem, key), above(value)
        changed = dataclasses.replace(stream, deadline_seconds=after)
        return _numbered(item, after), _with_stream(problem, changed)
    if kind == "privacy":
        return _privacy(problem, plan, stream)
    return _layer_rule(problem, plan, stream, key)


def _item(problem: Problem, key: Key) -> Item:
    return next(item for item in list_items(problem) if item.key == key)


def _numbered(item: Item, after: float) -> Edit:
    return Edit(
        key=item.key,
        item=item.item,
        place=item.place,
        before=item.amount,
        after=after,
        unit=item.unit,
    )


def _ruled(item: Item, after: str) -> Edit:
    return Edit(
        key=item.key, item=item.item, place=item.place, text_before=item.text, text_after=after
    )


def _with_stream(problem: Problem, stream: Stream) -> Problem:
    streams = tuple(stream if s.name == stream.name else s for s in problem.streams)
    return dataclasses.replace(problem, streams=streams)


def _device_limit(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    item, after = _item(problem, key), above(value)
    field = "memory_bytes" if key[0] == "memory" else "power_budget_watts"
    return _numbered(item, after), _with_device(problem, str(key[1]), {field: after})


def _with_device(problem: Problem, name: str, changes: Mapping[str, float]) -> Problem:
    devices = tuple(
        dataclasses.replace(d, **changes) if d.name == name else d  # type: ignore[arg-type]  # fields by name
        for d in problem.devices
    )
    return dataclasses.replace(problem, devices=devices)


def _device_load(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    """Raise a cap on load while that is enough, else add replicas."""
    item, device = _item(problem, key), problem.device[str(key[1])]
    if value < _FULL:
        cap = _share_above(value)
        return _numbered(item, cap), _with_device(problem, device.name, {"utilisation_cap": cap})
    replicas = math.ceil(value * device.replicas / device.utilisation_cap * (1 - 1e-9))
    edit = Edit(
        key=key,
        item=f"replicas of device '{device.name}'",
        place=("devices", device.name, "replicas"),
        before=device.replicas,
        after=replicas,
        unit="count",
    )
    return edit, _with_device(problem, device.name, {"replicas": replicas})


def _link_load(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    """Raise a cap on load while that is enough, else the bandwidth, else share it no more."""
    item = _item(problem, key)
    index = int(item.place[1])
    link = problem.links[index]
    stated = any(t.transfer_seconds for n in problem.networks for t in n.tensors)
    if value < _FULL:
        cap = _share_above(value)
        return _numbered(item, cap), _with_link(
            problem, index, dataclasses.replace(link, utilisation_cap=cap)
        )
    if stated or math.isinf(link.bytes_per_second):
        edit = Edit(
            key=key,
            item=f"contention of link '{link.name}'",
            place=("links", index, "contention"),
            text_before=link.contention,
            text_after="none (faster transfers)",
        )
        return edit, _with_link(problem, index, dataclasses.replace(link, contention="none"))
    bandwidth = above(link.bytes_per_second * value / link.utilisation_cap)
    edit = Edit(
        key=key,
        item=f"bandwidth of link '{link.name}'",
        place=("links", index, "bandwidth"),
        before=link.bytes_per_second,
        after=bandwidth,
        unit="B/s",
    )
    return edit, _with_link(problem, index, dataclasses.replace(link, bytes_per_second=bandwidth))


def _with_link(problem: Problem, index: int, link: Link) -> Problem:
    links = tuple(link if i == index else old for i, old in enumerate(problem.links))
    return dataclasses.replace(problem, links=links)


def _budget(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    item = _item(problem, key)
    field, after = {
        "power budget": ("power_watts", above(value)),
        "money budget": ("dollars_per_hour", above(value)),
        "min rate": ("min_rate_per_second", below(1 / value)),
    }[str(key[0])]
    budgets = dataclasses.replace(problem.budgets, **{field: after})
    return _numbered(item, after), dataclasses.replace(problem, budgets=budgets)


def _privacy(problem: Problem, plan: Plan, stream: Stream) -> tuple[Edit, Problem]:
    """Add the zones that tagged tensors enter."""
    assert stream.privacy is not None
    zones = list(stream.privacy.zones)
    for device in problem.devices:
        changed = _with_privacy(problem, stream, (*zones, device.zone))
        if device.zone in zones or not any(
            device.name in route.devices for route in plan.routes[stream.name]
        ):
            continue
        before = _privacy_faults(_with_privacy(problem, stream, tuple(zones)), plan, stream)
        if _privacy_faults(changed, plan, stream) < before:
            zones.append(device.zone)
    item = _item(problem, ("privacy", stream.name))
    changed = _with_privacy(problem, stream, tuple(zones))
    after = item.text.replace(
        f"zones {', '.join(stream.privacy.zones)}", f"zones {', '.join(zones)}", 1
    )
    return _ruled(item, after), changed


def _with_privacy(problem: Problem, stream: Stream, zones: tuple[str, ...]) -> Problem:
    assert stream.privacy is not None
    privacy = Privacy(zones=zones, before=stream.privacy.before)
    return _with_stream(problem, dataclasses.replace(stream, privacy=privacy))


def _privacy_faults(problem: Problem, plan: Plan, stream: Stream) -> int:
    return sum(
        violation.kind == "privacy" and violation.place == f"stream {stream.name}"
        for violation in evaluate(problem, plan).violations
    )


def _layer_rule(
    problem: Problem, plan: Plan, stream: Stream, key: Key
) -> tuple[Edit, Problem]:
    """Extend a pin by the devices that the plan uses, shorten a ban by them, or drop a group.

    A rule that nothing is left of stays in its place, so that later ones keep theirs.
    """
    item, index = _item(problem, key), int(key[2])
    names = [layer.name for layer in problem.network[stream.network].layers]
    if key[0] == "together":
        groups = (*stream.together[:index], (), *stream.together[index + 1 :])
        return _ruled(item, "removed"), _with_stream(
            problem, dataclasses.replace(stream, together=groups)
        )
    rules = stream.pins if key[0] == "pin" else stream.bans
    rule = rules[index]
    used = {
        device
        for route in plan.routes[stream.name]
        for name, device in zip(names, route.devices, strict=True)
        if rule.layers is None or name in rule.layers
    }
    if key[0] == "pin":
        more = tuple(d.name for d in problem.devices if d.name in used - set(rule.devices))
        changed = LayerRule(devices=(*rule.devices, *more), layers=rule.layers)
        after = rule_text(changed, "on")
    else:
        left = tuple(d for d in rule.devices if d not in used)
        changed = LayerRule(devices=left, layers=rule.layers)
        after = rule_text(changed, "not on") if left else "removed"
    kept = (*rules[:index], changed, *rules[index + 1 :])
    field = "pins" if key[0] == "pin" else "bans"
    return _ruled(item, after), _with_stream(problem, dataclasses.replace(stream, **{field: kept}))


def above(value: float, digits: int = DIGITS) -> float:
    """Round up to so many significant digits; a hair above them does not count.

    Examples
    --------
    >>> above(0.03281), above(0.0328 * (1 + 1e-12)), above(1234567.0)
    (0.0329, 0.0328, 1240000.0)
    """
    return _rounded(value * (1 - 1e-9), digits, ROUND_CEILING)


def below(value: float, digits: int = DIGITS) -> float:
    """Round down to so many significant digits.

    Examples
    --------
    >>> below(0.03289)
    0.0328
    """
    return _rounded(value * (1 + 1e-9), digits, ROUND_FLOOR)


def _rounded(value: float, digits: int, mode: str) -> float:
    exact = Decimal(value)
    if not exact:
        return 0.0
    place = Decimal(1).scaleb(exact.adjusted() - digits + 1)
    return float(exact.quantize(place, rounding=mode))


def _share_above(value: float) -> float:
    """Round a busy share up, but not to 1."""
    for digits in range(DIGITS, 12):
        if (cap := above(value, digits)) < 1:
            return cap
    return value
