"""The statements of a problem that can leave it without a plan, as data.

A statement is a limit (a number), a rule (privacy, pins, …) or, where the networks and links
alone allow no plan, something that is missing (a link, a time). Each knows its words, its place
in an instance file and its value, and each can be taken out of a problem (`without`). Times,
bandwidths and whether a stream may be split are facts, not statements: they stay. Rates are
facts, too, but where load is planned for (queues, replicas, batches): there a rate and a number of
replicas are what conflicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.network import Network, SpanCosts
from edgeplan.model.problem import Device, LayerRule, Problem, Stream
from edgeplan.solvers.elastic import Key

Unit = Literal["s", "B", "W", "USD/h", "/s", "share", "B/s", "count", ""]
"""Unit of an item's amount; ``share`` is of the time, and empty where there is no number."""

Part = str | int
"""A key or an index of a place in a file."""

RULES = frozenset({"privacy", "pin", "ban", "together", "contiguous"})
"""Kinds of statements that cannot give by degrees."""

MISSING = frozenset({"no link", "no time"})
"""Kinds of what a problem lacks."""


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
    if asks_of_load(problem) and not _says_rate(problem):
        for stream in problem.streams:
            yield Item(
                key=("rate", stream.name),
                item=f"arrival rate of stream '{stream.name}'",
                place=("streams", stream.name, "rate"),
                amount=stream.rate_per_second,
                unit="/s",
            )
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
    if asks_of_load(problem):
        for device in problem.devices:
            yield replicas_of(device)
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
        for index, tail in enumerate(stream.tail_deadlines):
            yield Item(
                key=("tail deadline", stream.name, index),
                item=f"{tail.statistic} deadline of stream '{stream.name}'",
                place=("streams", stream.name, "deadline", tail.statistic),
                amount=tail.seconds,
                unit="s",
            )


def replicas_of(device: Device) -> Item:
    """Return the number of replicas of a device, or the most that a plan may choose."""
    several = device.max_replicas is not None
    return Item(
        key=("replicas", device.name),
        item=f"{'most ' if several else ''}replicas of device '{device.name}'",
        place=("devices", device.name, "replicas", *(("max",) if several else ())),
        amount=device.replica_range[-1],
        unit="count",
    )


def asks_of_load(problem: Problem) -> bool:
    """Whether rates and numbers of replicas count as statements: load is planned for."""
    return bool(problem.load_features) and problem.capacity == "utilisation"


def _says_rate(problem: Problem) -> bool:
    """Whether there is a minimum rate that says more than the rates of the streams.

    It is stated in their proportions: to change one of these would change it, too.
    """
    return bool(problem.budgets.min_rate_per_second) and not implied_rate(problem)


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
    if _says_rate(problem):
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
