"""Instances: networks, devices, links, streams, objective."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.cli.tables.table import facts, show

if TYPE_CHECKING:
    from edgeplan.model.network import Network
    from edgeplan.model.problem import Device, Privacy, Problem, Stream


def instance(problem: Problem) -> None:
    """Print networks, devices, links, streams and objective of a problem."""
    batched = any(_batches(network) for network in problem.networks)
    show(
        "Networks",
        (
            "network",
            ">layers",
            ">weights",
            ">peak activation",
            "devices with times",
            "form",
            *(("batches",) if batched else ()),
        ),
        (
            (
                network.name,
                len(network.layers),
                units.size(sum(layer.weight_bytes for layer in network.layers)),
                units.size(max(layer.activation_bytes for layer in network.layers)),
                ", ".join(network.costs),
                network.form,
                *((_batches(network),) if batched else ()),
            )
            for network in problem.networks
        ),
    )
    show(
        "Devices",
        (
            "device", "tier", "zone", ">memory", "?>active", "?>idle", "?>replicas",
            "?>$/s", "?>$/hour", "?>$/request", "?>busy at most",
        ),
        (
            (
                device.name,
                device.tier,
                device.zone,
                units.limit(units.size, device.memory_bytes),
                units.watts(device.active_watts),
                units.watts(device.idle_watts) + (" charged" if device.charge_idle else ""),
                _replicas(device),
                units.dollars(device.dollars_per_second),
                units.dollars(device.dollars_per_hour),
                units.dollars(device.dollars_per_request),
                units.percent(device.utilisation_cap),
            )
            for device in problem.devices
        ),
    )  # fmt: skip
    show(
        "Links",
        (
            "link",
            ">bandwidth",
            ">latency",
            "?>send J/MB",
            "?>receive J/MB",
            "?>$/GB",
            "?contention",
        ),
        (
            (
                link.name,
                units.bandwidth(link.bytes_per_second),
                units.seconds(link.latency_seconds),
                f"{link.send_joules_per_byte * 1e6:.3g}",
                f"{link.receive_joules_per_byte * 1e6:.3g}",
                f"{link.dollars_per_byte * 1e9:.3g}",
                link.contention,
            )
            for link in problem.links
        ),
    )
    bursts = any(stream.arrival_cv2 != 1 for stream in problem.streams)
    largest = any(stream.max_batch > 1 for stream in problem.streams)
    dealt = any(stream.route_limit > 1 for stream in problem.streams)
    show(
        "Streams",
        (
            "stream",
            "network",
            "origin",
            ">rate",
            *((">arrivals",) if bursts else ()),
            *((">batch",) if largest else ()),
            *((">routes",) if dealt else ()),
            ">deadline",
            "privacy",
            "pins and bans",
        ),
        (
            (
                stream.name,
                stream.network,
                stream.origin,
                f"{stream.rate_per_second:.4g} /s",
                *((f"cv² {stream.arrival_cv2:.4g}",) if bursts else ()),
                *((_up_to(stream.max_batch),) if largest else ()),
                *((_up_to(stream.route_limit),) if dealt else ()),
                _deadlines(stream),
                _privacy(stream.privacy),
                units.counted(len(stream.pins), "pin")
                + f", {units.counted(len(stream.bans), 'ban')}"
                if stream.pins or stream.bans
                else "",
            )
            for stream in problem.streams
        ),
    )
    objective = problem.objective
    parts = [
        f"{weight:g} × {name}" + (f" / {scale:g} {unit}" if scale != 1 else f" [{unit}]")
        for name, unit, weight, scale in (
            ("latency", "s", objective.latency, objective.latency_denominator_seconds),
            ("energy", "J", objective.energy, objective.energy_denominator_joules),
            ("cost", "$", objective.cost, objective.cost_denominator_dollars),
            ("period", "s", objective.throughput, objective.throughput_denominator_seconds),
        )
        if weight
    ]
    pairs: dict[str, object] = {
        "minimise": " + ".join(parts),
        "aggregate": objective.aggregate,
        "capacity": problem.capacity,
        "waiting": _WAITING[problem.waiting],
    }
    if not math.isinf(problem.budgets.power_watts):
        pairs["power budget"] = units.watts(problem.budgets.power_watts)
    if not math.isinf(problem.budgets.dollars_per_hour):
        pairs["money budget"] = units.dollars(problem.budgets.dollars_per_hour) + "/h"
    if problem.budgets.min_rate_per_second:
        pairs["minimum rate"] = f"{units.number(problem.budgets.min_rate_per_second)} /s"
    if problem.contiguous:
        pairs["contiguous"] = "yes: on every route the devices can be put in order"
    facts("Objective and limits", pairs)


_WAITING = {
    "none": "none",
    "mg1": "mg1: requests queue at devices and shared links, first come first served",
}


def _batches(network: Network) -> str:
    """Return the sizes of batches for which a network has times."""
    sizes = {size for costs in network.costs.values() for size in costs.batches}
    return ", ".join(map(str, sorted(sizes)))


def _replicas(device: Device) -> str:
    """Return how many copies there may be, and how requests are dealt to them."""
    counts = device.replica_range
    shown = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return f"{shown}, one queue" if device.dispatch == "shared" else shown


def _up_to(most: int) -> str:
    return f"up to {most}" if most > 1 else "1"


def _deadlines(stream: Stream) -> str:
    """Return the deadlines on the mean and on percentiles."""
    shown = [f"{tail.statistic} {units.seconds(tail.seconds)}" for tail in stream.tail_deadlines]
    if not shown or math.isfinite(stream.deadline_seconds):
        mean = units.limit(units.seconds, stream.deadline_seconds)
        shown.insert(0, f"mean {mean}" if shown else mean)
    return ", ".join(shown)


def _privacy(privacy: Privacy | None) -> str:
    if privacy is None:
        return ""
    what = "input" if privacy.before is None else f"all before {privacy.before}"
    return f"{what} stays in {', '.join(privacy.zones)}"
