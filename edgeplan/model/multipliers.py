"""Stored prices of what couples streams and layers: what a dual bound is recomputed from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.network import LARGEST
from edgeplan.model.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Multipliers:
    """Prices of what couples streams and layers; none negative, 0 where not named.

    A price is in the objective's units for one unit of what is limited.

    Parameters
    ----------
    device_period, link_period
        Shares, by device and by (source, target), that add up to at most 1: the period is at
        least this mean of the resources' seconds per average request.
    device_busy, link_busy
        Of the busy share of a replica, or of a link that is loaded (limit: the utilisation cap).
    memory
        Of a byte on a device.
    device_power
        Of a watt at a device.
    deadline
        Of a second of a stream's mean latency.
    power, money, min_rate
        Of a watt of all, of a dollar per second, of a second of the period.
    kept
        By stream and device, one for each layer: what the stream pays for having that layer
        there at all. A device is paid so for the weights that it keeps and for being on; where
        that costs more than it is paid, it keeps nothing.
    """

    device_period: Mapping[str, float] = field(default_factory=dict)
    link_period: Mapping[tuple[str, str], float] = field(default_factory=dict)
    device_busy: Mapping[str, float] = field(default_factory=dict)
    link_busy: Mapping[tuple[str, str], float] = field(default_factory=dict)
    memory: Mapping[str, float] = field(default_factory=dict)
    device_power: Mapping[str, float] = field(default_factory=dict)
    deadline: Mapping[str, float] = field(default_factory=dict)
    power: float = 0.0
    money: float = 0.0
    min_rate: float = 0.0
    kept: Mapping[str, Mapping[str, tuple[float, ...]]] = field(default_factory=dict)

    def check(self, problem: Problem) -> None:
        """Check that each price is a price of something that the problem limits.

        Raises
        ------
        InputError
            With every fault found: an unknown name, a negative or infinite price, a price of
            what has no limit, shares of the period above 1.
        """
        faults = list(_faults(self, problem))
        if faults:
            raise InputError(faults)

    def as_json(self) -> dict[str, object]:
        """Return the prices that are not 0 as lists and objects of JSON."""
        found: dict[str, object] = {}
        for key in _BY_NAME:
            prices = {name: price for name, price in getattr(self, key).items() if price}
            if prices:
                found[key] = prices
        for key in _BY_LINK:
            links = [
                {"source": source, "target": target, "price": price}
                for (source, target), price in getattr(self, key).items()
                if price
            ]
            if links:
                found[key] = links
        found.update({key: getattr(self, key) for key in _SINGLE if getattr(self, key)})
        kept = {
            stream: {device: list(row) for device, row in rows.items() if any(row)}
            for stream, rows in self.kept.items()
        }
        if kept := {stream: rows for stream, rows in kept.items() if rows}:
            found["kept"] = kept
        return found

    @classmethod
    def from_json(cls, document: object, problem: Problem) -> Self:
        """Return the multipliers that `as_json` wrote, checked against a problem.

        Raises
        ------
        InputError
            With every fault found and its place, as `check`; also where the form is wrong.
        """
        faults: list[Fault] = []
        values = dict(_read(document, faults))
        if faults:
            raise InputError(faults)
        multipliers = cls(**values)  # type: ignore[arg-type]  # `_read` checks each by its key
        multipliers.check(problem)
        return multipliers


_BY_NAME = ("device_period", "device_busy", "memory", "device_power", "deadline")
_BY_LINK = ("link_period", "link_busy")
_SINGLE = ("power", "money", "min_rate")


def priced_limits(problem: Problem, given: Multipliers) -> Iterator[tuple[str, float, float]]:
    """Yield (place, price, limit) of all that is named and known; shares of the period apart."""
    capacity = problem.capacity == "utilisation"
    for device in problem.devices:
        name = device.name
        cap = device.utilisation_cap if capacity else math.inf
        yield f"device_busy.{name}", given.device_busy.get(name, 0.0), cap
        yield f"memory.{name}", given.memory.get(name, 0.0), device.memory_bytes
        power = given.device_power.get(name, 0.0)
        yield f"device_power.{name}", power, device.power_budget_watts
    for ends, link in problem.link.items():
        cap = link.utilisation_cap if capacity and problem.loads(link) else math.inf
        yield f"link_busy.{link.name}", given.link_busy.get(ends, 0.0), cap
    for stream in problem.streams:
        price = given.deadline.get(stream.name, 0.0)
        yield f"deadline.{stream.name}", price, stream.deadline_seconds
    budgets = problem.budgets
    yield "power", given.power, budgets.power_watts
    yield "money", given.money, budgets.dollars_per_hour / 3600
    yield "min_rate", given.min_rate, budgets.period_seconds


def _faults(given: Multipliers, problem: Problem) -> Iterator[Fault]:
    known = {"deadline": set(problem.stream)}
    for key in _BY_NAME:
        names = known.get(key, set(problem.device))
        kind = "stream" if key == "deadline" else "device"
        for name, price in getattr(given, key).items():
            if name not in names:
                yield Fault(f"{key}.{name[:80]}", f"there is no such {kind}")
            yield from _price_faults(f"{key}.{name[:80]}", price)
    for key in _BY_LINK:
        for ends, price in getattr(given, key).items():
            place = f"{key}.{'->'.join(ends)[:80]}"
            if (link := problem.link.get(ends)) is None:
                yield Fault(place, "there is no such link")
            elif price and not problem.loads(link):
                yield Fault(place, "nothing loads this link")
            yield from _price_faults(place, price)
    for key in _SINGLE:
        yield from _price_faults(key, getattr(given, key))
    for place, price, limit in priced_limits(problem, given):
        if price > 0 and math.isinf(limit):
            yield Fault(place[:120], "has a price, but the problem sets no limit there")
    shares = [*given.device_period.values(), *given.link_period.values()]
    if all(map(math.isfinite, shares)) and math.fsum(shares) > 1 + 1e-9:
        yield Fault("device_period", f"all shares add up to {math.fsum(shares):.12g}, above 1")
    for name, rows in given.kept.items():
        place = f"kept.{name[:80]}"
        if name not in problem.stream:
            yield Fault(place, "there is no such stream")
            continue
        count = len(problem.network[problem.stream[name].network].layers)
        for device, row in rows.items():
            if device not in problem.device:
                yield Fault(f"{place}.{device[:80]}", "there is no such device")
            if len(row) != count:
                yield Fault(f"{place}.{device[:80]}", f"needs {count} entries, one per layer")
            for index, price in enumerate(row):
                yield from _price_faults(f"{place}.{device[:80]}[{index}]", price)


def _price_faults(place: str, price: float) -> Iterator[Fault]:
    if not (math.isfinite(price) and price >= 0):
        yield Fault(place, "must be a finite number, not negative")
    elif price > LARGEST:
        yield Fault(place, f"must be at most {LARGEST:g}")


def _read(document: object, faults: list[Fault]) -> Iterator[tuple[str, object]]:
    """Yield the fields of `Multipliers` from JSON, gathering what has the wrong form."""
    for key, value in _object("", document, faults).items():
        if key in _SINGLE:
            yield key, _number(key, value, faults)
        elif key in _BY_NAME:
            prices = _object(key, value, faults)
            yield (
                key,
                {name: _number(f"{key}.{name[:80]}", x, faults) for name, x in prices.items()},
            )
        elif key in _BY_LINK:
            links: dict[tuple[str, str], float] = {}
            for index, entry in enumerate(_list(key, value, faults)):
                place = f"{key}[{index}]"
                item = _object(place, entry, faults)
                source, target = item.get("source"), item.get("target")
                if set(item) != {"source", "target", "price"}:
                    faults.append(Fault(place, "needs source, target and price, nothing else"))
                elif not isinstance(source, str) or not isinstance(target, str):
                    faults.append(Fault(place, "source and target are names of devices"))
                elif (source, target) in links:
                    faults.append(Fault(place, "this link is there twice"))
                else:
                    price = _number(f"{place}.price", item["price"], faults)
                    links[source, target] = price
            yield key, links
        elif key == "kept":
            yield (
                key,
                {
                    stream: {
                        device: tuple(
                            _number(f"kept.{stream[:80]}.{device[:80]}[{index}]", x, faults)
                            for index, x in enumerate(
                                _list(f"kept.{stream[:80]}.{device[:80]}", row, faults)
                            )
                        )
                        for device, row in _object(f"kept.{stream[:80]}", rows, faults).items()
                    }
                    for stream, rows in _object(key, value, faults).items()
                },
            )
        else:
            faults.append(Fault(str(key)[:80], "there is no such multiplier"))


def _object(place: str, value: object, faults: list[Fault]) -> dict[str, object]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value
    faults.append(Fault(place or "multipliers", "must be an object"))
    return {}


def _list(place: str, value: object, faults: list[Fault]) -> list[object]:
    if isinstance(value, list):
        return value
    faults.append(Fault(place, "must be a list"))
    return []


def _number(place: str, value: object, faults: list[Fault]) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) <= LARGEST else math.inf
    faults.append(Fault(place, "must be a number"))
    return 0.0
