"""Instance files out: everything written out with units, and read back to an equal instance."""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from edgeplan.instances import units
from edgeplan.instances.document import MAX_BYTES, Plain, to_json, to_yaml, write_text
from edgeplan.instances.instance import Instance
from edgeplan.instances.schema import INSTANCE_FORMAT, VERSION
from edgeplan.instances.units import Dimension, format_row
from edgeplan.model.errors import InputError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import Costs, LayerCosts, Network
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Problem,
    Stream,
)


def write_instance(instance: Instance | Problem, path: Path) -> None:
    """Write an instance atomically, as YAML or (by the suffix ``.json``) JSON.

    Profiles and catalogue entries that the instance came from are written out as numbers;
    ONNX files stay files, named relative to the new file.

    Parameters
    ----------
    instance
        An instance, or a problem without ONNX files.
    path
        The new file. ``read_instance(path)`` returns an equal instance.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if isinstance(instance, Problem):
        instance = Instance(instance)
    tree = instance_tree(instance, path.parent)
    text = to_json(tree) if path.suffix.lower() == ".json" else to_yaml(tree)
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        message = f"would be larger than {MAX_BYTES:,} bytes; shortlist fewer cuts"
        raise InputError.at(units.cut_path(path), message)
    write_text(path, text)


def instance_tree(instance: Instance, folder: Path) -> dict[str, Plain]:
    """Return the content of an instance file that would lie in a folder."""
    problem = instance.problem
    tree: dict[str, Plain] = {
        "format": INSTANCE_FORMAT,
        "version": VERSION,
        "name": problem.name,
        "networks": {
            network.name: _network(network, instance.sources.get(network.name), folder)
            for network in problem.networks
        },
        "devices": {device.name: _device(device) for device in problem.devices},
        "links": [_link(link) for link in problem.links],
        "streams": {stream.name: _stream(stream) for stream in problem.streams},
        "objective": _objective(problem.objective),
        "capacity": problem.capacity,
        "waiting": problem.waiting,
    }
    if problem.contiguous:
        tree["contiguous"] = True
    budgets = _Fields(problem.budgets, Budgets())
    budgets.take("power", "power_watts", units.POWER)
    budgets.take("money", "dollars_per_hour", units.PRICE_PER_HOUR)
    budgets.take("min_rate", "min_rate_per_second", units.RATE)
    if budgets:
        tree["budgets"] = budgets
    return tree


class _Fields(dict[str, Plain]):
    """The fields of a part that differ from its defaults."""

    def __init__(self, item: object, plain: object) -> None:
        super().__init__()
        self._item, self._plain = item, plain

    def take(self, key: str, field: str, dimension: Dimension | None = None) -> None:
        """Add a field under the file's key if it is not the default."""
        value = getattr(self._item, field)
        if value != getattr(self._plain, field):
            self[key] = value if dimension is None else dimension.format(value)


def _network(network: Network, source: OnnxSource | None, folder: Path) -> dict[str, Plain]:
    names = [layer.name for layer in network.layers]
    part: dict[str, Plain] = {}
    if source is not None:
        part["onnx"] = os.path.relpath(source.path, folder)
        if source.sha256:
            part["sha256"] = source.sha256
        if source.shapes:
            part["shapes"] = {name: list(shape) for name, shape in source.shapes}
    part["layers"] = [
        {
            "name": layer.name,
            "weights": units.DATA.format(layer.weight_bytes),
            "activations": units.DATA.format(layer.activation_bytes),
        }
        for layer in network.layers
    ]
    tensors: list[Plain] = []
    for tensor in network.tensors:
        entry: dict[str, Plain] = {"name": tensor.name, "size": units.DATA.format(tensor.bytes)}
        if tensor.producer is not None:
            entry["producer"] = names[tensor.producer]
        if tensor.consumers:
            entry["consumers"] = [names[consumer] for consumer in tensor.consumers]
        if tensor.output:
            entry["output"] = True
        if tensor.transfer_seconds is not None:
            entry["transfer_time"] = units.TIME.format(tensor.transfer_seconds)
        tensors.append(entry)
    part["tensors"] = tensors
    if network.costs:
        part["costs"] = {device: _costs(costs) for device, costs in network.costs.items()}
    return part


def _costs(costs: Costs) -> dict[str, Plain]:
    part = _job(costs)
    if costs.memory_bytes is not None:
        part["memory"] = format_row(costs.memory_bytes, units.DATA)
    if costs.batches:
        part["batches"] = {str(size): _job(job) for size, job in costs.batches.items()}
    return part


def _job(costs: Costs) -> dict[str, Plain]:
    """Return what one job costs, without what belongs to the device."""
    part: dict[str, Plain] = {}
    if isinstance(costs, LayerCosts):
        part["times"] = format_row(costs.seconds, units.TIME)
        if costs.boundary_seconds:
            part["boundary"] = units.TIME.format(costs.boundary_seconds)
        if costs.cv2:
            part["cv2"] = float(costs.cv2)
        if costs.joules is not None:
            part["energies"] = format_row(costs.joules, units.ENERGY)
        if costs.dollars is not None:
            part["prices"] = format_row(costs.dollars, units.MONEY)
    else:
        part["spans"] = _rows(costs.seconds, units.TIME)
        if costs.cv2:
            part["cv2"] = [" ".join(repr(float(value)) for value in row) for row in costs.cv2]
        if costs.joules is not None:
            part["energies"] = _rows(costs.joules, units.ENERGY)
        if costs.dollars is not None:
            part["prices"] = _rows(costs.dollars, units.MONEY)
    return part


def _rows(table: Sequence[Sequence[float]], dimension: Dimension) -> list[Plain]:
    return [format_row(row, dimension) for row in table]


def _device(device: Device) -> dict[str, Plain]:
    fields = _Fields(device, Device(name=device.name))
    fields["tier"] = device.tier
    fields["zone"] = device.zone
    fields.take("memory", "memory_bytes", units.DATA)
    fields.take("active_power", "active_watts", units.POWER)
    fields.take("idle_power", "idle_watts", units.POWER)
    fields.take("charge_idle", "charge_idle")
    fields.take("serverless_price", "dollars_per_second", units.PRICE_PER_SECOND)
    fields.take("provisioned_price", "dollars_per_hour", units.PRICE_PER_HOUR)
    fields.take("request_fee", "dollars_per_request", units.PRICE_PER_REQUEST)
    fields.take("electricity_price", "dollars_per_joule", units.PRICE_PER_JOULE)
    fields.take("replicas", "replicas")
    if device.max_replicas is not None:
        fields["replicas"] = {"min": device.replicas, "max": device.max_replicas}
    fields.take("dispatch", "dispatch")
    fields.take("utilisation_cap", "utilisation_cap")
    fields.take("power_budget", "power_budget_watts", units.POWER)
    fields.take("transfers", "transfers")
    return fields


def _link(link: Link) -> dict[str, Plain]:
    fields = _Fields(link, Link(source=link.source, target=link.target, bytes_per_second=0.0))
    fields["from"] = link.source
    fields["to"] = link.target
    fields.take("bandwidth", "bytes_per_second", units.BANDWIDTH)
    fields.take("latency", "latency_seconds", units.TIME)
    fields.take("send_energy", "send_joules_per_byte", units.ENERGY_PER_BYTE)
    fields.take("receive_energy", "receive_joules_per_byte", units.ENERGY_PER_BYTE)
    fields.take("price", "dollars_per_byte", units.PRICE_PER_BYTE)
    fields.take("utilisation_cap", "utilisation_cap")
    fields.take("contention", "contention")
    return fields


def _stream(stream: Stream) -> dict[str, Plain]:
    fields = _Fields(stream, Stream(name=stream.name, network=stream.network, origin=stream.origin))
    fields["network"] = stream.network
    fields["origin"] = stream.origin
    fields["rate"] = units.RATE.format(stream.rate_per_second)
    fields.take("arrival_cv2", "arrival_cv2")
    fields.take("deadline", "deadline_seconds", units.TIME)
    if stream.tail_deadlines:
        deadlines: dict[str, Plain] = {}
        if "deadline" in fields:
            deadlines["mean"] = fields["deadline"]
        for tail in stream.tail_deadlines:
            deadlines[_percentile(tail.probability)] = units.TIME.format(tail.seconds)
        fields["deadline"] = deadlines
    if stream.privacy is not None:
        privacy: dict[str, Plain] = {"zones": list(stream.privacy.zones)}
        if stream.privacy.before is not None:
            privacy["before"] = stream.privacy.before
        fields["privacy"] = privacy
    for key, rules in (("pins", stream.pins), ("bans", stream.bans)):
        if rules:
            fields[key] = [_rule(rule) for rule in rules]
    if stream.together:
        fields["together"] = [list(group) for group in stream.together]
    if stream.homes:
        fields["homes"] = dict(stream.homes)
    fields.take("returns", "returns")
    fields.take("waits", "waits")
    fields.take("splittable", "splittable")
    fields.take("max_routes", "max_routes")
    fields.take("batch", "max_batch")
    return fields


def _percentile(probability: float) -> str:
    """Return the name of a percentile that is read back to exactly the same float."""
    return f"p{Decimal(repr(float(probability))).scaleb(2):f}"


def _rule(rule: LayerRule) -> dict[str, Plain]:
    part: dict[str, Plain] = {"devices": list(rule.devices)}
    if rule.layers is not None:
        part["layers"] = list(rule.layers)
    return part


def _objective(objective: Objective) -> dict[str, Plain]:
    part: dict[str, Plain] = {
        "latency": float(objective.latency),
        "energy": float(objective.energy),
        "cost": float(objective.cost),
        "aggregate": objective.aggregate,
    }
    if objective.throughput:
        part["throughput"] = float(objective.throughput)
    plain = Objective()
    fields = _Fields(objective, plain)
    fields.take("latency", "latency_denominator_seconds", units.TIME)
    fields.take("energy", "energy_denominator_joules", units.ENERGY)
    fields.take("cost", "cost_denominator_dollars", units.MONEY)
    fields.take("throughput", "throughput_denominator_seconds", units.TIME)
    if fields:
        part["denominators"] = fields
    return part
