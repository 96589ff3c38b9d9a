"""The plan: for each stream its routes and their fractions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.problem import Device, Problem

FRACTION_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Route:
    """One way to serve a stream.

    Parameters
    ----------
    devices
        A device for each layer of the stream's network, in order.
    fraction
        Share of the stream's requests that take it, above 0.
    batch
        How many requests are gathered before they travel it together, as one job.
    """

    devices: tuple[str, ...]
    fraction: float = 1.0
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """For each stream its routes; the weights that a device keeps follow from them.

    Parameters
    ----------
    routes
        By stream name.
    replicas
        Copies by device name, where the plan chooses; the device's fewest where absent.
    """

    routes: Mapping[str, tuple[Route, ...]]
    replicas: Mapping[str, int] = field(default_factory=dict)

    def replica_count(self, device: Device) -> int:
        """Return how many copies of a device there are while it is on."""
        return self.replicas.get(device.name, device.replicas)

    def check(self, problem: Problem) -> None:
        """Check that the plan speaks of the problem's streams, layers and devices.

        Limits (memory, deadlines, …) are the evaluator's business.

        Raises
        ------
        InputError
            With every fault found.
        """
        faults = list(_plan_faults(self, problem))
        if faults:
            raise InputError(faults)

    def kept(self, problem: Problem) -> Mapping[str, frozenset[tuple[str, int]]]:
        """Return the (network, layer index) pairs whose weights each device keeps."""
        kept: dict[str, set[tuple[str, int]]] = {device.name: set() for device in problem.devices}
        for name, routes in self.routes.items():
            network = problem.stream[name].network
            for route in routes:
                for index, device in enumerate(route.devices):
                    kept[device].add((network, index))
        return {device: frozenset(layers) for device, layers in kept.items()}


def whole(problem: Problem, devices: Mapping[str, str]) -> Plan:
    """Return the plan that runs each stream whole on one device.

    Parameters
    ----------
    problem
        The problem.
    devices
        Device by stream name.
    """
    return Plan(
        routes={
            stream.name: (
                Route(
                    devices=(devices[stream.name],) * len(problem.network[stream.network].layers)
                ),
            )
            for stream in problem.streams
        }
    )


def _plan_faults(plan: Plan, problem: Problem) -> Iterator[Fault]:
    for name in plan.routes:
        if name not in problem.stream:
            yield Fault(f"routes.{name[:80]}", "the problem has no such stream")
    for name, count in plan.replicas.items():
        place = f"replicas.{name[:80]}"
        if name not in problem.device:
            yield Fault(place, "the problem has no such device")
        elif count not in (allowed := problem.device[name].replica_range):
            several = f"{allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else f"{allowed[0]}"
            yield Fault(place, f"{count} replicas, but the device may have {several}")
    for stream in problem.streams:
        place = f"routes.{stream.name}"
        routes = plan.routes.get(stream.name)
        if not routes:
            yield Fault(place, "the plan gives the stream no route")
            continue
        if len(routes) > stream.route_limit:
            yield Fault(place, f"{len(routes)} routes, but at most {stream.route_limit} allowed")
        count = len(problem.network[stream.network].layers)
        for index, route in enumerate(routes):
            if len(route.devices) != count:
                yield Fault(
                    f"{place}[{index}].devices",
                    f"{len(route.devices)} entries, but '{stream.network}' has {count} layers",
                )
            for device in sorted(set(route.devices) - set(problem.device)):
                yield Fault(f"{place}[{index}].devices", f"there is no device '{device[:80]}'")
            if not 1 <= route.batch <= stream.max_batch:
                yield Fault(
                    f"{place}[{index}].batch",
                    f"batches of {route.batch}, but at most {stream.max_batch} allowed",
                )
            if not 0 < route.fraction <= 1 + FRACTION_TOLERANCE:
                yield Fault(f"{place}[{index}].fraction", "must be above 0 and at most 1")
        total = math.fsum(route.fraction for route in routes)
        if not abs(total - 1) <= FRACTION_TOLERANCE * len(routes):
            yield Fault(place, f"fractions add up to {total:.12g}, not 1")
