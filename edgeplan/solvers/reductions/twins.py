"""Devices and streams that differ by name only."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from edgeplan.model.plan import Plan
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.solvers.reductions.places import permitted, with_bans


def order_identical_devices(problem: Problem) -> Problem:
    """Use identical devices in their order: the first layers may not skip any.

    Devices are identical where swapping their names changes nothing: properties, costs, links
    and what rules allow; none is an origin or a home. Of each plan there is one, with those names
    swapped, in which the n-th layer (of the streams with one route, in their order) runs on none
    but the first n of them.

    Keeps an equal plan for every feasible plan, and so all images of the front and the optimum;
    plans need no way back.
    """
    left = {name: [set(devices) for devices in found] for name, found in permitted(problem).items()}
    changed = False
    for group in _identical(problem):
        number = 0
        for stream in problem.streams:
            if stream.route_limit > 1:
                continue
            for devices in left[stream.name]:
                number += 1
                late = set(group[number:])
                changed |= bool(late & devices)
                devices -= late
    if not changed:
        return problem
    streams = tuple(
        with_bans(problem, stream, left[stream.name]) if stream.route_limit == 1 else stream
        for stream in problem.streams
    )
    return dataclasses.replace(problem, streams=streams)


def _identical(problem: Problem) -> list[list[str]]:
    """Return the groups of two or more identical devices."""
    fixed = {stream.origin for stream in problem.streams}
    fixed |= {home for stream in problem.streams for home in stream.homes.values()}
    groups: list[list[str]] = []
    for device in problem.devices:
        if device.name in fixed:
            continue
        for group in groups:
            if all(_swap(problem, device, problem.device[other]) for other in group):
                group.append(device.name)
                break
        else:
            groups.append([device.name])
    return [group for group in groups if len(group) > 1]


def _swap(problem: Problem, one: Device, two: Device) -> bool:
    """Whether the problem stays what it is when two devices swap their names."""
    if dataclasses.replace(one, name="") != dataclasses.replace(two, name=""):
        return False
    if any(n.costs.get(one.name) != n.costs.get(two.name) for n in problem.networks):
        return False
    for stream in problem.streams:
        for devices in problem.allowed(stream):
            if (one.name in devices) != (two.name in devices):
                return False

    def link(source: str, target: str) -> Link | None:
        found = problem.link.get((source, target))
        return found and dataclasses.replace(found, source="", target="")

    a, b = one.name, two.name
    others = [d.name for d in problem.devices if d.name not in (a, b)]
    return link(a, b) == link(b, a) and all(
        link(a, other) == link(b, other) and link(other, a) == link(other, b) for other in others
    )


def merge_identical_streams(problem: Problem) -> tuple[Problem, Callable[[Plan], Plan]]:
    """Serve streams that differ by name and rate only as one, with their rates added.

    Where load does not matter, the routes of the cheapest of them suit all: what a device keeps
    and whether it is on only becomes less. So nothing is merged where load, power or money is
    limited or the period priced, nor with totals over streams, where each stream counts once
    whatever its rate.

    Keeps a plan of the best weighted price, but not the front: with different routes two equal
    streams may have an image between those of their routes.

    Returns
    -------
    tuple
        The problem, and what makes plans of it plans of the original one.
    """
    names = {stream.name: stream.name for stream in problem.streams}
    if not _couples(problem):
        first: dict[tuple[object, ...], Stream] = {}
        for stream in problem.streams:
            names[stream.name] = first.setdefault(_kind(stream), stream).name

    def restore(plan: Plan) -> Plan:
        return dataclasses.replace(plan, routes={s: plan.routes[names[s]] for s in names})

    if all(name == leader for name, leader in names.items()):
        return problem, lambda plan: plan
    merged = tuple(
        dataclasses.replace(
            stream,
            rate_per_second=math.fsum(
                other.rate_per_second
                for other in problem.streams
                if names[other.name] == stream.name
            ),
        )
        for stream in problem.streams
        if names[stream.name] == stream.name
    )
    return dataclasses.replace(problem, streams=merged), restore


def _couples(problem: Problem) -> bool:
    """Whether what is good for one of two equal streams may be bad for both."""
    budgets = problem.budgets
    return bool(
        problem.objective.aggregate == "total"
        or problem.objective.period_price > 0
        or problem.capacity != "none"
        or problem.load_features
        or math.isfinite(budgets.power_watts)
        or math.isfinite(budgets.dollars_per_hour)
        or math.isfinite(budgets.period_seconds)
        or any(math.isfinite(device.power_budget_watts) for device in problem.devices)
    )


def _kind(stream: Stream) -> tuple[object, ...]:
    plain = dataclasses.replace(stream, name="", rate_per_second=1.0, homes={})
    values = (getattr(plain, field.name) for field in dataclasses.fields(plain))
    homes = tuple(sorted(stream.homes.items()))
    return (*(value for value in values if not isinstance(value, dict)), homes)
