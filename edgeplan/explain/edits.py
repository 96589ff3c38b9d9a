"""What a plan needs, as changes of a problem: limits raised, rules widened or removed.

Each change is read off what the evaluator says the plan breaks, with numbers rounded up to three
digits, and the changed problem is priced again until the plan breaks nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from edgeplan.explain.amounts import TwoWay, as_stated, directions, statement_of, with_amount
from edgeplan.explain.checks import broken
from edgeplan.explain.items import Item, Part, Unit, list_items, replicas_of, rule_text
from edgeplan.explain.relaxed import fitted
from edgeplan.model.evaluate import Violation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import LayerRule, Privacy, Problem, Stream
from edgeplan.solvers.elastic import Key

DIGITS = 3
"""Significant digits of a mended limit."""

_MOST_LOST = 0.005
"""A minimum rate has one digit more where rounding down would lose more than this of it."""
_FULL = 0.9995
"""A cap on load cannot be raised to a busy share above this; more capacity is needed."""
_CROWDED = ("device capacity", "link capacity", "replicas")
"""Kinds of statements that break where there is too much to do."""
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


def mend(
    problem: Problem, plan: Plan, fixed: Collection[Key] = (), two_way: TwoWay = ()
) -> tuple[tuple[Edit, ...], Problem] | None:
    """Return the edits that a plan needs and the problem with them.

    Parameters
    ----------
    problem
        The problem.
    plan
        A plan that can run, whatever it breaks.
    fixed
        Statements that must not give.
    two_way
        Links with one statement for both directions: what one of them needs, both get.

    Returns
    -------
    tuple or None
        The edits, and the problem in which the plan is feasible (with the numbers of replicas
        of `fitted`); ``None`` where the edits do not get there.
    """
    edits: dict[tuple[Part, ...], Edit] = {}
    current = problem
    for _ in range(_ROUNDS):
        evaluation = evaluate(current, fitted(current, plan))
        if evaluation.feasible:
            return tuple(edits.values()), current
        needed = broken_statements(current, plan, two_way)
        if crowded := {k: v for k, v in needed.items() if k[0] in _CROWDED}:
            needed = crowded  # what waits there says little of deadlines until it is mended
        if any(key in fixed for key in needed):
            return None
        for key, violation in needed.items():
            edit, current = _edit(current, plan, key, violation, two_way)
            if (earlier := edits.get(edit.place)) is not None:
                edit = dataclasses.replace(
                    edit, before=earlier.before, text_before=earlier.text_before
                )
            edits[edit.place] = edit
    return None


def broken_statements(problem: Problem, plan: Plan, two_way: TwoWay) -> dict[Key, Violation | None]:
    """Return what a plan breaks, as `broken`; of a link's two directions the worse."""
    found: dict[Key, Violation | None] = {}
    for key, violation in broken(problem, plan).items():
        statement = statement_of(key, two_way)
        other = found.get(statement)
        if other is None or _value(violation) > _value(other):
            found[statement] = violation
    return found


def _value(violation: Violation | None) -> float:
    return math.nan if violation is None or violation.value is None else violation.value


def _edit(
    problem: Problem, plan: Plan, key: Key, violation: Violation | None, two_way: TwoWay
) -> tuple[Edit, Problem]:
    """Return one edit, and the problem after it."""
    kind = key[0]
    value = _value(violation)
    if kind in ("memory", "device power"):
        return _device_limit(problem, key, value)
    if kind in ("device capacity", "replicas"):
        return _device_load(problem, key, value)
    if kind == "link capacity":
        return _link_load(problem, key, value, two_way)
    if kind in ("power budget", "money budget", "min rate"):
        return _budget(problem, key, value)
    if kind == "contiguous":
        item = _item(problem, key)
        return _ruled(item, "false"), dataclasses.replace(problem, contiguous=False)
    stream = problem.stream[str(key[1])]
    if kind == "deadline":
        item, after = _item(problem, key), above(value)
        changed = dataclasses.replace(stream, deadline_seconds=after)
        return numbered(item, after), _with_stream(problem, changed)
    if kind == "tail deadline":
        item, after = _item(problem, key), above(value)
        return numbered(item, after), with_amount(problem, item, after)
    if kind == "privacy":
        return _privacy(problem, plan, stream)
    return _layer_rule(problem, plan, stream, key)


def _item(problem: Problem, key: Key) -> Item:
    return next(item for item in list_items(problem) if item.key == key)


def numbered(item: Item, after: float, key: Key | None = None) -> Edit:
    """Return the edit that gives an item another number.

    Parameters
    ----------
    item
        What changes.
    after
        Its new number.
    key
        The statement that gives, where that is another than the item.
    """
    return Edit(
        key=item.key if key is None else key,
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
    return numbered(item, after), _with_device(problem, str(key[1]), {field: after})


def _with_device(problem: Problem, name: str, changes: Mapping[str, Any]) -> Problem:
    devices = tuple(
        dataclasses.replace(d, **changes) if d.name == name else d for d in problem.devices
    )
    return dataclasses.replace(problem, devices=devices)


def _device_load(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    """Raise a cap on load while that is enough, else add replicas."""
    item, device = _item(problem, key), problem.device[str(key[1])]
    if value < _FULL:
        cap = _share_above(value)
        return numbered(item, cap), _with_device(problem, device.name, {"utilisation_cap": cap})
    count = device.replica_range[-1]
    replicas = math.ceil(value * count / device.utilisation_cap * (1 - 1e-9))
    several = device.max_replicas is not None
    field = "max_replicas" if several else "replicas"
    copies = replicas_of(device)
    return numbered(copies, replicas, key), _with_device(problem, device.name, {field: replicas})


def _link_load(problem: Problem, key: Key, value: float, two_way: TwoWay) -> tuple[Edit, Problem]:
    """Raise a cap on load while that is enough, else the bandwidth, else share it no more."""
    cap = _item(problem, key)
    index = int(cap.place[1])
    link = problem.links[index]
    item = as_stated(cap, two_way) or cap
    meant = directions(item)
    words = item.item.removeprefix("utilisation cap")
    stated = any(t.transfer_seconds for n in problem.networks for t in n.tensors)

    def changed(**changes: Any) -> Problem:
        """Return the problem with another link, in both directions where one statement is."""
        links = tuple(
            dataclasses.replace(each, **changes) if (each.source, each.target) in meant else each
            for each in problem.links
        )
        return dataclasses.replace(problem, links=links)

    if value < _FULL:
        share = _share_above(value)
        return numbered(item, share, key), changed(utilisation_cap=share)
    if stated or math.isinf(link.bytes_per_second):
        contention = Item(
            key=key,
            item=f"contention{words}",
            place=("links", index, "contention"),
            text=link.contention,
        )
        return _ruled(contention, "none"), changed(contention="none")
    wide = Item(
        key=key,
        item=f"bandwidth{words}",
        place=("links", index, "bandwidth"),
        amount=link.bytes_per_second,
        unit="B/s",
    )
    after = above(link.bytes_per_second * value / link.utilisation_cap)
    return numbered(wide, after), changed(bytes_per_second=after)


def _budget(problem: Problem, key: Key, value: float) -> tuple[Edit, Problem]:
    item = _item(problem, key)
    field, after = {
        "power budget": ("power_watts", above(value)),
        "money budget": ("dollars_per_hour", above(value)),
        "min rate": ("min_rate_per_second", _rate_below(1 / value)),
    }[str(key[0])]
    budgets = dataclasses.replace(problem.budgets, **{field: after})
    return numbered(item, after), dataclasses.replace(problem, budgets=budgets)


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


def _layer_rule(problem: Problem, plan: Plan, stream: Stream, key: Key) -> tuple[Edit, Problem]:
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
    changes: Any = {"pins" if key[0] == "pin" else "bans": kept}
    return _ruled(item, after), _with_stream(problem, dataclasses.replace(stream, **changes))


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


def _rate_below(value: float) -> float:
    """Round a rate down to a number that is easy to read and loses little."""
    after = below(value)
    return after if after >= value * (1 - _MOST_LOST) else below(value, DIGITS + 1)


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
