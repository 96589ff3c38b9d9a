"""The statements of a problem that can leave it without a plan, as data.

A statement is a limit (a number), a rule (privacy, pins, …) or, where the networks and links
alone allow no plan, something that is missing (a link, a time). Each knows its words, its place
in an instance file and its value, and each can be taken out of a problem. Rates, times,
bandwidths and whether a stream may be split are facts, not statements: they stay.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.network import Costs, LayerCosts, Network, SpanCosts
from edgeplan.model.problem import Device, LayerRule, Link, Problem, Stream
from edgeplan.solvers.elastic import Key

Unit = Literal["s", "B", "W", "USD/h", "/s", "share", "B/s", "count", ""]
"""Unit of an item's amount; ``share`` is of the time, and empty where there is no number."""

Part = str | int
"""A key or an index of a place in a file."""

RULES = frozenset({"privacy", "pin", "ban", "together", "contiguous"})
"""Kinds of statements that cannot give by degrees."""

MISSING = frozenset({"no link", "no time"})
"""Kinds of what a problem lacks."""

_BELOW_ONE = math.nextafter(1.0, 0.0)
_COPIES = 2**30
"""So many replicas for each carry any load; a power of two, so that dividing by it is exact."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A statement of a problem.

    Parameters
    ----------
    key
        Kind and names: the identity, shared with the elastic program.
    item
        In words: ``deadline of stream 'camera'``.
    place
        Where an instance file has it: ``("streams", "camera", "deadline")``. A link's index is
        that in the problem.
    amount
        The number in SI units, or ``None`` where it is none.
    unit
        Of the amount.
    text
        The value in words where it is no number.
    """

    key: Key
    item: str
    place: tuple[Part, ...]
    amount: float | None = None
    unit: Unit = ""
    text: str = ""

    @property
    def kind(self) -> str:
        """The kind of statement."""
        return str(self.key[0])

    @property
    def where(self) -> str:
        """The place as text.

        Examples
        --------
        >>> Item(key=("link capacity", "a", "b"), item="", place=("links", 2, "x")).where
        'links[2].x'
        """
        shown = ""
        for part in self.place:
            shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
        return shown

    def __str__(self) -> str:
        value = self.text or (f"{self.amount:.6g} {self.unit}" if self.amount is not None else "")
        return f"{self.item} ({self.where}): {value}"


def list_items(problem: Problem) -> tuple[Item, ...]:
    """Return every limit and rule of a problem, those whose absence says most first.

    The order is that in which a conflict leaves them out: caps on load, which most instances
    have by default, go before what a user has thought about.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    tuple of Item
        Without limits that are infinite, and without a minimum rate at or below the rate at
        which requests arrive where caps on load imply it.
    """
    return tuple(_items(problem))


def _items(problem: Problem) -> Iterator[Item]:
    if problem.capacity == "utilisation":
        for index, link in enumerate(problem.links):
            if problem.loads(link):
                yield Item(
                    key=("link capacity", link.source, link.target),
                    item=f"utilisation cap of link '{link.name}'",
                    place=("links", index, "utilisation_cap"),
                    amount=link.utilisation_cap,
                    unit="share",
                )
        for device in problem.devices:
            yield _of_device(
                device, "device capacity", "utilisation cap", "utilisation_cap", "share"
            )
    if problem.contiguous:
        yield Item(
            key=("contiguous",), item="contiguous routes", place=("contiguous",), text="true"
        )
    for stream in problem.streams:
        for index, group in enumerate(stream.together):
            yield _rule(stream, "together", "layers that share a device", index, ", ".join(group))
        for index, rule in enumerate(stream.bans):
            yield _rule(stream, "ban", "ban", index, rule_text(rule, "not on"))
        for index, rule in enumerate(stream.pins):
            yield _rule(stream, "pin", "pin", index, rule_text(rule, "on"))
    for device in problem.devices:
        if math.isfinite(device.power_budget_watts):
            yield _of_device(device, "device power", "power budget", "power_budget", "W")
    yield from _budgets(problem)
    for device in problem.devices:
        if math.isfinite(device.memory_bytes):
            yield _of_device(device, "memory", "memory", "memory", "B")
    for stream in problem.streams:
        if stream.privacy is not None:
            before = stream.privacy.before
            yield Item(
                key=("privacy", stream.name),
                item=f"privacy rule of stream '{stream.name}'",
                place=("streams", stream.name, "privacy"),
                text=f"zones {', '.join(stream.privacy.zones)}"
                + (f", before layer {before}" if before is not None else ""),
            )
    for stream in problem.streams:
        if math.isfinite(stream.deadline_seconds):
            yield Item(
                key=("deadline", stream.name),
                item=f"deadline of stream '{stream.name}'",
                place=("streams", stream.name, "deadline"),
                amount=stream.deadline_seconds,
                unit="s",
            )


def _of_device(device: Device, kind: str, words: str, name: str, unit: Unit) -> Item:
    amount: float = getattr(device, _FIELDS[kind])
    return Item(
        key=(kind, device.name),
        item=f"{words} of device '{device.name}'",
        place=("devices", device.name, name),
        amount=amount,
        unit=unit,
    )


_FIELDS = {
    "memory": "memory_bytes",
    "device power": "power_budget_watts",
    "device capacity": "utilisation_cap",
}


def _rule(stream: Stream, kind: str, words: str, index: int, text: str) -> Item:
    name = {"pin": "pins", "ban": "bans", "together": "together"}[kind]
    return Item(
        key=(kind, stream.name, index),
        item=f"{words} of stream '{stream.name}'",
        place=("streams", stream.name, name, index),
        text=text,
    )


def rule_text(rule: LayerRule, word: str) -> str:
    """Return a pin or a ban in words."""
    layers = "all layers" if rule.layers is None else f"layers {', '.join(rule.layers)}"
    return f"{layers} {word} {', '.join(rule.devices) or 'no device'}"


def _budgets(problem: Problem) -> Iterator[Item]:
    budgets = problem.budgets
    if budgets.min_rate_per_second and not implied_rate(problem):
        yield Item(
            key=("min rate",),
            item="minimum rate",
            place=("budgets", "min_rate"),
            amount=budgets.min_rate_per_second,
            unit="/s",
        )
    if math.isfinite(budgets.power_watts):
        yield Item(
            key=("power budget",),
            item="power budget of all devices",
            place=("budgets", "power"),
            amount=budgets.power_watts,
            unit="W",
        )
    if math.isfinite(budgets.dollars_per_hour):
        yield Item(
            key=("money budget",),
            item="money budget",
            place=("budgets", "money"),
            amount=budgets.dollars_per_hour,
            unit="USD/h",
        )


def implied_rate(problem: Problem) -> bool:
    """Whether the minimum rate says nothing: resources that carry the arrivals carry it."""
    return (
        problem.capacity == "utilisation"
        and problem.budgets.min_rate_per_second <= problem.total_rate
    )


def list_missing(problem: Problem) -> tuple[Item, ...]:
    """Return what a problem lacks: times of layers on devices, and links between devices.

    These are the last resort of an explanation: they matter where no plan could run even
    without a single limit or rule. Adding all of them always leaves a plan (all at the origin).

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    tuple of Item
        A missing time is taken away by giving the layer the time 0, a missing link by adding
        one that moves everything at once and for nothing.
    """
    return (
        *(
            Item(
                key=("no link", a.name, b.name),
                item=f"there is no link '{a.name}->{b.name}'",
                place=("links",),
                text="missing",
            )
            for a in problem.devices
            for b in problem.devices
            if a.name != b.name and (a.name, b.name) not in problem.link
        ),
        *(item for network in problem.networks for item in _missing_times(problem, network)),
    )


def _missing_times(problem: Problem, network: Network) -> Iterator[Item]:
    used = any(stream.network == network.name for stream in problem.streams)
    for device in problem.devices if used else ():
        costs = network.costs.get(device.name)
        place: tuple[Part, ...] = ("networks", network.name, "costs", device.name)
        on = f"network '{network.name}' on device '{device.name}'"
        if costs is None:
            yield Item(
                key=("no time", network.name, device.name),
                item=f"there is no profile of {on}",
                place=place,
                text="missing",
            )
        elif isinstance(costs, SpanCosts):
            if any(math.isinf(value) for row in costs.seconds for value in row):
                yield Item(
                    key=("no time", network.name, device.name),
                    item=f"some spans have no time: {on}",
                    place=place,
                    text="unlimited",
                )
        else:
            for index, layer in enumerate(network.layers):
                if math.isinf(costs.seconds[index]):
                    yield Item(
                        key=("no time", network.name, device.name, index),
                        item=f"layer '{layer.name}' has no time: {on}",
                        place=(*place, "times"),
                        text="unlimited",
                    )


def only(problem: Problem, items: Iterable[Item]) -> Problem:
    """Return the problem with just these of its limits and rules."""
    kept = {item.key for item in items}
    return without(problem, [item for item in list_items(problem) if item.key not in kept])


def without(problem: Problem, items: Collection[Item]) -> Problem:
    """Return the problem without some of its statements; all else is as it was.

    Parameters
    ----------
    problem
        The problem.
    items
        Of `list_items` or `list_missing`.

    Notes
    -----
    A cap on load must be below 1. One that is taken out is therefore replaced: by (nearly) 1
    where the minimum rate limits the load to less than that in any case; else a link is no
    longer shared, and a device has so many replicas, at the same price in all, that no load
    fills them. Where no cap is left, the problem's capacity is no longer limited.
    """
    gone = {item.key for item in items}
    if not gone:
        return problem
    budgets = problem.budgets
    if ("min rate",) in gone or implied_rate(problem):
        budgets = dataclasses.replace(budgets, min_rate_per_second=0.0)
    if ("power budget",) in gone:
        budgets = dataclasses.replace(budgets, power_watts=math.inf)
    if ("money budget",) in gone:
        budgets = dataclasses.replace(budgets, dollars_per_hour=math.inf)
    caps = [i.key for i in list_items(problem) if i.kind in ("device capacity", "link capacity")]
    unlimited = bool(caps) and gone.issuperset(caps)
    rated = bool(budgets.min_rate_per_second)
    added = tuple(
        Link(
            source=str(key[1]),
            target=str(key[2]),
            bytes_per_second=math.inf,
            contention="none",
        )
        for key in sorted(gone, key=str)
        if key[0] == "no link"
    )
    return dataclasses.replace(
        problem,
        networks=tuple(_with_times(problem, network, gone) for network in problem.networks),
        devices=tuple(
            _device_without(device, gone, rated=rated, lift=not unlimited)
            for device in problem.devices
        ),
        links=(
            *(_link_without(link, gone, rated=rated, lift=not unlimited) for link in problem.links),
            *added,
        ),
        streams=tuple(_stream_without(stream, gone) for stream in problem.streams),
        budgets=budgets,
        capacity="none" if unlimited else problem.capacity,
        contiguous=problem.contiguous and ("contiguous",) not in gone,
    )


def _device_without(device: Device, gone: set[Key], *, rated: bool, lift: bool) -> Device:
    if ("memory", device.name) in gone:
        device = dataclasses.replace(device, memory_bytes=math.inf)
    if ("device power", device.name) in gone:
        device = dataclasses.replace(device, power_budget_watts=math.inf)
    if ("device capacity", device.name) not in gone or not lift:
        return device
    if rated:
        return dataclasses.replace(device, utilisation_cap=_BELOW_ONE)
    if device.charge_idle:  # as many watts for all replicas together, and per second of compute
        idle = device.idle_watts / _COPIES
        active = device.active_watts - device.idle_watts + idle
        device = dataclasses.replace(device, active_watts=active, idle_watts=idle)
    return dataclasses.replace(
        device,
        replicas=device.replicas * _COPIES,
        dollars_per_hour=device.dollars_per_hour / _COPIES,
    )


def _link_without(link: Link, gone: set[Key], *, rated: bool, lift: bool) -> Link:
    if ("link capacity", link.source, link.target) not in gone or not lift:
        return link
    if rated:
        return dataclasses.replace(link, utilisation_cap=_BELOW_ONE)
    return dataclasses.replace(link, contention="none")


def _stream_without(stream: Stream, gone: set[Key]) -> Stream:
    name = stream.name
    return dataclasses.replace(
        stream,
        deadline_seconds=math.inf if ("deadline", name) in gone else stream.deadline_seconds,
        privacy=None if ("privacy", name) in gone else stream.privacy,
        pins=tuple(r for i, r in enumerate(stream.pins) if ("pin", name, i) not in gone),
        bans=tuple(r for i, r in enumerate(stream.bans) if ("ban", name, i) not in gone),
        together=tuple(
            group for i, group in enumerate(stream.together) if ("together", name, i) not in gone
        ),
    )


def _with_times(problem: Problem, network: Network, gone: set[Key]) -> Network:
    """Return a network with time 0 where a missing time is taken away."""
    found: dict[str, Costs] = {}
    for device in problem.devices:
        costs = network.costs.get(device.name)
        whole = ("no time", network.name, device.name) in gone
        if whole:
            found[device.name] = _filled(network, costs)
        elif isinstance(costs, LayerCosts) and any(
            ("no time", network.name, device.name, index) in gone
            for index in range(len(network.layers))
        ):
            seconds = tuple(
                0.0 if ("no time", network.name, device.name, index) in gone else value
                for index, value in enumerate(costs.seconds)
            )
            found[device.name] = dataclasses.replace(costs, seconds=seconds)
    return dataclasses.replace(network, costs={**network.costs, **found}) if found else network


def _filled(network: Network, costs: Costs | None) -> Costs:
    count = len(network.layers)
    if isinstance(costs, SpanCosts):
        rows = tuple(
            tuple(0.0 if math.isinf(value) else value for value in row) for row in costs.seconds
        )
        return dataclasses.replace(costs, seconds=rows)
    if network.form == "spans":
        return SpanCosts(seconds=tuple((0.0,) * (count - first) for first in range(count)))
    return LayerCosts(seconds=(0.0,) * count)
