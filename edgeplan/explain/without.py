"""Problems with some of their statements taken out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable

from edgeplan.explain.items import Item, asks_of_load, implied_rate, list_items
from edgeplan.model.network import Costs, LayerCosts, Network, SpanCosts
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.solvers.elastic import Key

_BELOW_ONE = math.nextafter(1.0, 0.0)
_COPIES = 2**30
"""So many replicas for each carry any load; a power of two, so that dividing by it is exact."""
_NEARLY_ONE = 0.9999
"""A cap that is taken out where requests wait: above it waits are beyond all measure."""
_FEW = 2.0**-20
"""A rate that is taken out is this share of itself: it neither loads anything nor waits."""
_COPIES_IN_QUEUES = 2**20
"""So many replicas for each leave no queue, and waits that a program can still tell from 0."""


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

    Where load is planned for (`asks_of_load`) the cap of a device becomes nearly 1, and it is its
    number of replicas that is replaced by so many, at the price of the fewest. A rate that is
    taken out becomes a millionth of itself.
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
    loaded = asks_of_load(problem)
    unlimited = not loaded and bool(caps) and gone.issuperset(caps)
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
            _loaded_device(device, gone)
            if loaded
            else _device_without(device, gone, rated=rated, lift=not unlimited)
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


def _without_limits(device: Device, gone: set[Key]) -> Device:
    if ("memory", device.name) in gone:
        device = dataclasses.replace(device, memory_bytes=math.inf)
    if ("device power", device.name) in gone:
        device = dataclasses.replace(device, power_budget_watts=math.inf)
    return device


def _loaded_device(device: Device, gone: set[Key]) -> Device:
    device = _without_limits(device, gone)
    if ("device capacity", device.name) in gone:
        cap = max(device.utilisation_cap, _NEARLY_ONE)
        device = dataclasses.replace(device, utilisation_cap=cap)
    if ("replicas", device.name) in gone:
        device = with_copies(device, device.replica_range[-1] * _COPIES_IN_QUEUES)
    return device


def with_copies(device: Device, count: int) -> Device:
    """Return a device with a fixed number of replicas that cost in all what the fewest cost.

    Parameters
    ----------
    device
        The device.
    count
        How many.
    """
    share = device.replicas / count
    if device.charge_idle:  # as many watts for all replicas together, and per second of compute
        idle = device.idle_watts * share
        active = device.active_watts - device.idle_watts + idle
        device = dataclasses.replace(device, active_watts=active, idle_watts=idle)
    return dataclasses.replace(
        device,
        replicas=count,
        max_replicas=None,
        dollars_per_hour=device.dollars_per_hour * share,
        dispatch="random",
    )


def _device_without(device: Device, gone: set[Key], *, rated: bool, lift: bool) -> Device:
    device = _without_limits(device, gone)
    if ("device capacity", device.name) not in gone or not lift:
        return device
    if rated:
        return dataclasses.replace(device, utilisation_cap=_BELOW_ONE)
    return with_copies(device, device.replicas * _COPIES)


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
        rate_per_second=stream.rate_per_second * (_FEW if ("rate", name) in gone else 1.0),
        deadline_seconds=math.inf if ("deadline", name) in gone else stream.deadline_seconds,
        tail_deadlines=tuple(
            tail
            for index, tail in enumerate(stream.tail_deadlines)
            if ("tail deadline", name, index) not in gone
        ),
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
