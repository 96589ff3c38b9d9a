"""Problems in which the number of a statement, or of a fact beside it, is another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from edgeplan.explain.items import Item
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Key

TwoWay = Collection[tuple[str, str]]
"""Links, as (source, target), that a file states once for both directions."""

_FIELDS: Mapping[str, tuple[str, str]] = {
    "deadline": ("streams", "deadline_seconds"),
    "tail deadline": ("streams", "tail_deadlines"),
    "rate": ("streams", "rate_per_second"),
    "rates": ("streams", "rate_per_second"),
    "memory": ("devices", "memory_bytes"),
    "device power": ("devices", "power_budget_watts"),
    "device capacity": ("devices", "utilisation_cap"),
    "replicas": ("devices", "max_replicas"),
    "link capacity": ("links", "utilisation_cap"),
    "bandwidth": ("links", "bytes_per_second"),
    "power budget": ("budgets", "power_watts"),
    "money budget": ("budgets", "dollars_per_hour"),
    "min rate": ("budgets", "min_rate_per_second"),
}


def with_amount(problem: Problem, item: Item, value: float) -> Problem:
    """Return the problem with another number for an item.

    Parameters
    ----------
    problem
        The problem.
    item
        One of its statements that has an amount; or the ``bandwidth`` of a link, perhaps both
        ways, or the ``rates`` of several streams, whose sum is then the amount.
    value
        Its new amount.

    Raises
    ------
    InputError
        If that is no number that a problem may have there.
    """
    part, field = _FIELDS[item.kind]
    if part == "budgets":
        budgets = dataclasses.replace(problem.budgets, **{field: value})
        return dataclasses.replace(problem, budgets=budgets)
    changes: dict[tuple[str, ...], dict[str, Any]] = {}
    names = tuple(map(str, item.key[1:]))
    if item.kind == "rates":
        assert item.amount
        for name in names:
            rate = problem.stream[name].rate_per_second
            changes[(name,)] = {field: rate * value / item.amount}
    elif item.kind == "tail deadline":
        name, index = names[0], int(names[1])
        tails = list(problem.stream[name].tail_deadlines)
        tails[index] = dataclasses.replace(tails[index], seconds=value)
        changes[(name,)] = {field: tuple(tails)}
    elif item.kind == "replicas":
        several = problem.device[names[0]].max_replicas is not None
        changes[names] = {field if several else "replicas": round(value)}
    elif part == "links":
        changes = {direction: {field: value} for direction in directions(item)}
    else:
        changes[names] = {field: value}

    def identity(thing: Any) -> tuple[str, ...]:
        return (thing.source, thing.target) if part == "links" else (thing.name,)

    parts: Any = tuple(
        dataclasses.replace(thing, **changes[identity(thing)])
        if identity(thing) in changes
        else thing
        for thing in getattr(problem, part)
    )
    changed: Any = {part: parts}
    return dataclasses.replace(problem, **changed)


def bandwidths(problem: Problem, two_way: TwoWay = ()) -> Iterator[Item]:
    """Yield the finite bandwidths of links: facts, but more of them may be bought.

    Parameters
    ----------
    problem
        The problem.
    two_way
        Links with one bandwidth for both directions: it is one item.
    """
    for index, link in enumerate(problem.links):
        if not math.isfinite(link.bytes_per_second):
            continue
        item = Item(
            key=("bandwidth", link.source, link.target),
            item=f"bandwidth of link '{link.name}'",
            place=("links", index, "bandwidth"),
            amount=link.bytes_per_second,
            unit="B/s",
        )
        if (stated := as_stated(item, two_way)) is not None:
            yield stated


def as_stated(item: Item, two_way: TwoWay) -> Item | None:
    """Return a number of a link as the file has it; ``None`` where the other direction has it."""
    (ends,) = directions(item)
    if ends[::-1] in two_way:
        return None
    if ends not in two_way:
        return item
    both = (*ends, *ends[::-1])
    return dataclasses.replace(item, key=(item.key[0], *both), item=f"{item.item}, both ways")


def directions(item: Item) -> tuple[tuple[str, str], ...]:
    """Return the directed links, as (source, target), of which an item is a number."""
    names = tuple(map(str, item.key[1:]))
    return tuple(zip(names[::2], names[1::2], strict=True))


def statement_of(key: Key, two_way: TwoWay) -> Key:
    """Return the key of the statement that a key stands for: of a link, as the file has it.

    Examples
    --------
    >>> statement_of(("link capacity", "b", "a"), {("a", "b")})
    ('link capacity', 'a', 'b')
    """
    back = key[:0:-1]
    return (key[0], *back) if key[0] == "link capacity" and back in two_way else key
