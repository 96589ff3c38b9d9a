"""What a problem's parts may be: every fault with its place, for `Problem` to raise together."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from edgeplan.model.errors import Fault
from edgeplan.model.network import LARGEST

if TYPE_CHECKING:
    from edgeplan.model.network import Network
    from edgeplan.model.problem import Device, Link, Problem, Stream


MOST_REPLICAS = 1000
"""Largest number of replica counts among which a plan may choose at one device."""


def _positive(value: float) -> bool:
    return value > 0 and not math.isnan(value)


def problem_faults(problem: Problem) -> Iterator[Fault]:
    """Yield every fault of a problem, placed by list index and field name."""
    for kind in ("networks", "devices", "streams"):
        items = getattr(problem, kind)
        if not items:
            yield Fault(kind, "at least one is needed")
        for index, item in enumerate(items):
            if not item.name:
                yield Fault(f"{kind}[{index}].name", "must not be empty")
        yield from _repeats(kind, ((item.name, item.name) for item in items))
    # By its ends, not by its name: devices may have '->' in theirs.
    yield from _repeats("links", (((x.source, x.target), x.name) for x in problem.links))
    devices = {device.name for device in problem.devices}
    for index, device in enumerate(problem.devices):
        yield from _device_faults(f"devices[{index}]", device)
    for index, link in enumerate(problem.links):
        yield from _link_faults(f"links[{index}]", link, devices)
    for index, network in enumerate(problem.networks):
        for name in network.costs:
            if name not in devices:
                yield Fault(f"networks[{index}].costs.{name}", _unknown("device", name, devices))
    networks = {network.name: network for network in problem.networks}
    zones = {device.name: device.zone for device in problem.devices}
    for index, stream in enumerate(problem.streams):
        yield from _stream_faults(f"streams[{index}]", stream, networks, zones)
    yield from _waiting_faults(problem)
    yield from _objective_faults(problem)


def _waiting_faults(problem: Problem) -> Iterator[Fault]:
    if problem.waiting == "none":
        for index, stream in enumerate(problem.streams):
            if stream.tail_deadlines:
                yield Fault(
                    f"streams[{index}].tail_deadlines",
                    "percentiles come from waiting: set waiting to mg1",
                )
        return
    if problem.capacity == "none":
        yield Fault("capacity", "where requests wait, load is limited: set capacity to utilisation")
    for index, device in enumerate(problem.devices):
        if device.transfers == "occupy":
            yield Fault(
                f"devices[{index}].transfers",
                "where requests wait, transfers queue at links: a device cannot be occupied by "
                "them; set links or free_port",
            )


def _repeats(kind: str, items: Iterable[tuple[Hashable, str]]) -> Iterator[Fault]:
    seen: set[Hashable] = set()
    for index, (key, name) in enumerate(items):
        if key in seen:
            yield Fault(f"{kind}[{index}]", f"'{name[:80]}' is there twice")
        seen.add(key)


def _unknown(kind: str, name: str, known: Mapping[str, object] | set[str]) -> str:
    shown = ", ".join(sorted(known)[:12]) or "none"
    return f"there is no {kind} '{name[:80]}'; known: {shown}"


def _amounts(place: str, item: object, *keys: str) -> Iterator[Fault]:
    for key in keys:
        value = getattr(item, key)
        if not (math.isfinite(value) and value >= 0):
            yield Fault(f"{place}.{key}", "must be a finite number, not negative")
        elif value > LARGEST:
            yield Fault(f"{place}.{key}", f"must be at most {LARGEST:g}")


def _limits(place: str, item: object, *keys: str) -> Iterator[Fault]:
    for key in keys:
        value = getattr(item, key)
        if not _positive(value):
            yield Fault(f"{place}.{key}", "must be positive")
        elif not math.isinf(value):
            yield from _moderate(f"{place}.{key}", value)


def _moderate(place: str, value: float) -> Iterator[Fault]:
    """Yield a fault where a positive number could make sums or quotients overflow."""
    if not 1 / LARGEST <= value <= LARGEST:
        yield Fault(place, f"must be between {1 / LARGEST:g} and {LARGEST:g}")


def _device_faults(place: str, device: Device) -> Iterator[Fault]:
    yield from _amounts(
        place,
        device,
        "active_watts",
        "idle_watts",
        "dollars_per_second",
        "dollars_per_hour",
        "dollars_per_request",
        "dollars_per_joule",
    )
    yield from _limits(place, device, "memory_bytes", "power_budget_watts")
    if device.idle_watts > device.active_watts:
        yield Fault(f"{place}.idle_watts", "must not exceed active_watts")
    if device.replicas < 1:
        yield Fault(f"{place}.replicas", "must be at least 1")
    if device.max_replicas is not None and device.max_replicas < max(device.replicas, 1):
        yield Fault(f"{place}.max_replicas", "must be at least 1 and not below replicas")
    elif len(device.replica_range) > MOST_REPLICAS:
        yield Fault(f"{place}.max_replicas", f"a choice among more than {MOST_REPLICAS} numbers")
    if not 0 < device.utilisation_cap < 1:
        yield Fault(f"{place}.utilisation_cap", "must be above 0 and below 1")


def _link_faults(place: str, link: Link, devices: set[str]) -> Iterator[Fault]:
    for key in ("source", "target"):
        name = getattr(link, key)
        if name not in devices:
            yield Fault(f"{place}.{key}", _unknown("device", name, devices))
    if link.source == link.target:
        yield Fault(f"{place}.target", "a link joins two different devices")
    yield from _limits(place, link, "bytes_per_second")
    yield from _amounts(
        place,
        link,
        "latency_seconds",
        "send_joules_per_byte",
        "receive_joules_per_byte",
        "dollars_per_byte",
    )
    if not 0 < link.utilisation_cap < 1:
        yield Fault(f"{place}.utilisation_cap", "must be above 0 and below 1")


def _stream_faults(
    place: str, stream: Stream, networks: Mapping[str, Network], zones: Mapping[str, str]
) -> Iterator[Fault]:
    if not (math.isfinite(stream.rate_per_second) and stream.rate_per_second > 0):
        yield Fault(f"{place}.rate_per_second", "must be a finite positive number")
    else:
        yield from _moderate(f"{place}.rate_per_second", stream.rate_per_second)
    yield from _limits(place, stream, "deadline_seconds")
    yield from _amounts(place, stream, "arrival_cv2")
    for index, tail in enumerate(stream.tail_deadlines):
        yield from _limits(f"{place}.tail_deadlines[{index}]", tail, "seconds")
        if not 0 < tail.probability < 1:
            yield Fault(
                f"{place}.tail_deadlines[{index}].probability", "must be above 0 and below 1"
            )
    yield from _repeats(
        f"{place}.tail_deadlines", ((t.probability, t.statistic) for t in stream.tail_deadlines)
    )
    for key in ("max_routes", "max_batch"):
        if getattr(stream, key) < 1:
            yield Fault(f"{place}.{key}", "must be at least 1")
    if stream.origin not in zones:
        yield Fault(f"{place}.origin", _unknown("device", stream.origin, dict(zones)))
    network = networks.get(stream.network)
    if network is None:
        yield Fault(f"{place}.network", _unknown("network", stream.network, networks))
        return
    inputs = {tensor.name for tensor in network.inputs}
    for name, home in stream.homes.items():
        if name not in inputs:
            yield Fault(f"{place}.homes", _unknown("graph input", name, inputs))
        if home not in zones:
            yield Fault(f"{place}.homes.{name}", _unknown("device", home, dict(zones)))
    for kind in ("pins", "bans"):
        for index, rule in enumerate(getattr(stream, kind)):
            for device in rule.devices:
                if device not in zones:
                    yield Fault(
                        f"{place}.{kind}[{index}].devices", _unknown("device", device, dict(zones))
                    )
            for layer in rule.layers or ():
                if layer not in network.layer_index:
                    yield Fault(
                        f"{place}.{kind}[{index}].layers",
                        _unknown("layer", layer, network.layer_index),
                    )
    for index, group in enumerate(stream.together):
        for layer in group:
            if layer not in network.layer_index:
                yield Fault(
                    f"{place}.together[{index}]", _unknown("layer", layer, network.layer_index)
                )
    if stream.privacy is not None:
        yield from _privacy_faults(f"{place}.privacy", stream, network, zones)


def _privacy_faults(
    place: str, stream: Stream, network: Network, zones: Mapping[str, str]
) -> Iterator[Fault]:
    privacy = stream.privacy
    assert privacy is not None
    if not privacy.zones:
        yield Fault(f"{place}.zones", "at least one zone is needed")
    for zone in privacy.zones:
        if zone not in zones.values():
            yield Fault(f"{place}.zones", _unknown("zone", zone, set(zones.values())))
    if privacy.before is not None and privacy.before not in network.layer_index:
        yield Fault(f"{place}.before", _unknown("layer", privacy.before, network.layer_index))
        return
    stop = 0 if privacy.before is None else network.layer_index[privacy.before]
    for tensor in network.inputs:
        home = stream.homes.get(tensor.name, stream.origin)
        if home in zones and zones[home] not in privacy.zones:
            yield Fault(
                f"{place}.zones",
                f"input '{tensor.name[:80]}' lies on '{home}', whose zone '{zones[home]}' is not "
                "among them",
            )
    for tensor in network.outputs:
        tagged = tensor.producer is None or tensor.producer < stop
        if stream.returns and tagged and zones.get(stream.origin) not in (None, *privacy.zones):
            yield Fault(
                f"{place}.zones",
                f"output '{tensor.name[:80]}' is tagged and returns to '{stream.origin}', whose "
                "zone is not among them",
            )


def _objective_faults(problem: Problem) -> Iterator[Fault]:
    objective = problem.objective
    weights = ("latency", "energy", "cost", "throughput")
    yield from _amounts("objective", objective, *weights)
    for key in (
        "latency_denominator_seconds",
        "energy_denominator_joules",
        "cost_denominator_dollars",
        "throughput_denominator_seconds",
    ):
        value = getattr(objective, key)
        if not (math.isfinite(value) and value > 0):
            yield Fault(f"objective.{key}", "must be a finite positive number")
        else:
            yield from _moderate(f"objective.{key}", value)
    if not any(getattr(objective, key) > 0 for key in weights):
        yield Fault("objective", "at least one weight must be positive")
    yield from _limits("budgets", problem.budgets, "power_watts", "dollars_per_hour")
    rate = problem.budgets.min_rate_per_second
    if rate != 0:
        if not (math.isfinite(rate) and rate > 0):
            yield Fault("budgets.min_rate_per_second", "must be a finite number, not negative")
        else:
            yield from _moderate("budgets.min_rate_per_second", rate)
