"""The network to be placed: layers in their order of execution, tensors, and what each costs.

A network is what the planner sees of a neural network. Its *layers* are the smallest
things placed: ONNX nodes, or groups of nodes between the cuts that were shortlisted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from edgeplan.model.errors import Fault, InputError

CostForm = Literal["layers", "spans"]

LARGEST = 1e30
"""Largest finite amount in any unit: sums and products of such amounts never overflow."""

_TOO_LARGE = f"must be at most {LARGEST:g}"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The smallest thing placed.

    Parameters
    ----------
    name
        Unique in its network.
    weight_bytes
        Resident bytes of its weights, stored once on a device however many streams use it.
    activation_bytes
        Largest sum of live tensors while the layer runs.
    """

    name: str
    weight_bytes: int = 0
    activation_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A value that layers exchange.

    Parameters
    ----------
    name
        Unique in its network; for an ONNX network the value's name in the folded graph.
    bytes
        Size on the wire.
    producer
        Index of the layer that makes it; ``None`` for a graph input.
    consumers
        Indices of the layers that read it, ascending, each after the producer.
    output
        Whether it is a graph output, to be returned to the origin.
    transfer_seconds
        Time to move it over any link, where stated: it replaces bytes ÷ bandwidth.
    """

    name: str
    bytes: int
    producer: int | None
    consumers: tuple[int, ...] = ()
    output: bool = False
    transfer_seconds: float | None = None

    def seconds_at(self, bytes_per_second: float) -> float:
        """Return the time that it keeps a link of a bandwidth busy."""
        if self.transfer_seconds is not None:
            return self.transfer_seconds
        return self.bytes / bytes_per_second


@dataclass(frozen=True, kw_only=True)
class LayerCosts:
    """Cost form ``layers`` on one device: the layers' times plus one boundary cost per stage.

    Parameters
    ----------
    seconds
        Mean time of each layer; ``inf`` where the device cannot run it.
    boundary_seconds
        Added once per stage (entering the runtime, feeding and fetching tensors).
    cv2
        Squared coefficient of variation of a stage's time.
    joules, dollars
        Per layer; where stated they replace watts × time and price × time.
    memory_bytes
        Per layer; where stated it replaces the layer's ``weight_bytes`` on this device.
    batches
        By batch size (2 or more): the costs of one job that serves so many requests at once.
    """

    seconds: tuple[float, ...]
    boundary_seconds: float = 0.0
    cv2: float = 0.0
    joules: tuple[float, ...] | None = None
    dollars: tuple[float, ...] | None = None
    memory_bytes: tuple[int, ...] | None = None
    batches: Mapping[int, LayerCosts] = field(default_factory=dict, hash=False)

    def job(self, batch: int) -> LayerCosts | None:
        """Return the costs of a job of so many requests, ``None`` where there are none."""
        return self if batch == 1 else self.batches.get(batch)

    def stage_cv2(self, first: int, stop: int) -> float:
        """Return the squared coefficient of variation of the time of a stage."""
        return self.cv2

    def stage_seconds(self, first: int, stop: int) -> float:
        """Return the time of the stage of layers ``first`` to ``stop - 1``."""
        return self.boundary_seconds + math.fsum(self.seconds[first:stop])

    def stage_joules(self, first: int, stop: int) -> float | None:
        """Return the stated energy of a stage, or ``None`` where the profile states none."""
        return None if self.joules is None else math.fsum(self.joules[first:stop])

    def stage_dollars(self, first: int, stop: int) -> float | None:
        """Return the stated money of a stage, or ``None`` where the profile states none."""
        return None if self.dollars is None else math.fsum(self.dollars[first:stop])


@dataclass(frozen=True, kw_only=True)
class SpanCosts:
    """Cost form ``spans`` on one device: a table of the times of runs of layers.

    Row ``i`` of a table holds the spans that begin at layer ``i``: entry ``k`` is the span of
    layers ``i`` to ``i + k``, so row ``i`` has ``layers - i`` entries. A span's time includes
    its boundary cost: it is the time of the part that would be deployed.

    Parameters
    ----------
    seconds
        Mean times; ``inf`` where the span cannot run on the device.
    cv2
        Squared coefficients of variation, in the same shape; empty for zeros.
    joules, dollars
        In the same shape; where stated they replace watts × time and price × time.
    memory_bytes
        Per layer; where stated it replaces the layer's ``weight_bytes`` on this device.
    batches
        By batch size (2 or more): the costs of one job that serves so many requests at once.
    """

    seconds: tuple[tuple[float, ...], ...]
    cv2: tuple[tuple[float, ...], ...] = ()
    joules: tuple[tuple[float, ...], ...] | None = None
    dollars: tuple[tuple[float, ...], ...] | None = None
    memory_bytes: tuple[int, ...] | None = None
    batches: Mapping[int, SpanCosts] = field(default_factory=dict, hash=False)

    def job(self, batch: int) -> SpanCosts | None:
        """Return the costs of a job of so many requests, ``None`` where there are none."""
        return self if batch == 1 else self.batches.get(batch)

    def stage_cv2(self, first: int, stop: int) -> float:
        """Return the squared coefficient of variation of the time of a stage."""
        return self.cv2[first][stop - first - 1] if self.cv2 else 0.0

    def stage_seconds(self, first: int, stop: int) -> float:
        """Return the time of the stage of layers ``first`` to ``stop - 1``."""
        return self.seconds[first][stop - first - 1]

    def stage_joules(self, first: int, stop: int) -> float | None:
        """Return the stated energy of a stage, or ``None`` where the profile states none."""
        return None if self.joules is None else self.joules[first][stop - first - 1]

    def stage_dollars(self, first: int, stop: int) -> float | None:
        """Return the stated money of a stage, or ``None`` where the profile states none."""
        return None if self.dollars is None else self.dollars[first][stop - first - 1]


Costs = LayerCosts | SpanCosts


@dataclass(frozen=True)
class Network:
    """A neural network as the planner sees it.

    Parameters
    ----------
    name
        Identity: weights of equal (network, layer) are stored once per device.
    layers
        In their order of execution, which plans cannot change.
    tensors
        Everything that crosses between layers, plus graph inputs and outputs.
    costs
        By device name. A device that is absent cannot run the network. All entries have the
        same cost form.

    Raises
    ------
    InputError
        With every fault found, placed relative to the network.
    """

    name: str
    layers: tuple[Layer, ...]
    tensors: tuple[Tensor, ...]
    costs: Mapping[str, Costs] = field(default_factory=dict)

    def __post_init__(self) -> None:
        faults = list(_network_faults(self))
        if faults:
            raise InputError(faults)

    @cached_property
    def form(self) -> CostForm:
        """The cost form that all devices' costs share."""
        spans = any(isinstance(costs, SpanCosts) for costs in self.costs.values())
        return "spans" if spans else "layers"

    @cached_property
    def layer_index(self) -> Mapping[str, int]:
        """Position of each layer by name."""
        return {layer.name: index for index, layer in enumerate(self.layers)}

    @cached_property
    def inputs(self) -> tuple[Tensor, ...]:
        """The graph inputs."""
        return tuple(tensor for tensor in self.tensors if tensor.producer is None)

    @cached_property
    def outputs(self) -> tuple[Tensor, ...]:
        """The graph outputs."""
        return tuple(tensor for tensor in self.tensors if tensor.output)

    @cached_property
    def read_by(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the tensors that each layer reads."""
        found: list[list[int]] = [[] for _ in self.layers]
        for index, tensor in enumerate(self.tensors):
            for consumer in tensor.consumers:
                found[consumer].append(index)
        return tuple(map(tuple, found))

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Distinct pairs of layers of which the second reads what the first makes."""
        pairs = (
            (tensor.producer, consumer)
            for tensor in self.tensors
            if tensor.producer is not None
            for consumer in tensor.consumers
        )
        return tuple(dict.fromkeys(pairs))

    @cached_property
    def made_by(self) -> tuple[tuple[int, ...], ...]:
        """Positions of the tensors that each layer makes."""
        found: list[list[int]] = [[] for _ in self.layers]
        for index, tensor in enumerate(self.tensors):
            if tensor.producer is not None:
                found[tensor.producer].append(index)
        return tuple(map(tuple, found))

    def memory_bytes(self, layer: int, device: str) -> int:
        """Return the bytes that keeping a layer's weights takes on a device."""
        costs = self.costs.get(device)
        if costs is not None and costs.memory_bytes is not None:
            return costs.memory_bytes[layer]
        return self.layers[layer].weight_bytes


def stages(devices: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Yield each stage of a route as (device, first layer, stop): maximal runs on one device.

    Examples
    --------
    >>> list(stages(["a", "a", "b", "a"]))
    [('a', 0, 2), ('b', 2, 3), ('a', 3, 4)]
    """
    first = 0
    for index in range(1, len(devices) + 1):
        if index == len(devices) or devices[index] != devices[first]:
            yield devices[first], first, index
            first = index


def quotient_cycle(network: Network, devices: Sequence[str]) -> tuple[str, ...]:
    """Return devices that wait for each other in a circle, or nothing: the route is contiguous.

    A route is contiguous where the quotient graph is acyclic: its nodes are the devices, and an
    arc a → b says that a layer on b reads a tensor made on a. Each device then also holds a
    convex set of layers, since a path that left a set and came back would close a circle.

    Parameters
    ----------
    network
        The network.
    devices
        A device for each of its layers.

    Examples
    --------
    >>> layers = tuple(Layer(name=name) for name in "xyz")
    >>> chain = (
    ...     Tensor(name="t", bytes=1, producer=0, consumers=(1,)),
    ...     Tensor(name="u", bytes=1, producer=1, consumers=(2,)),
    ... )
    >>> quotient_cycle(Network("n", layers, chain), ["a", "b", "b"])
    ()
    >>> quotient_cycle(Network("n", layers, chain), ["a", "b", "a"])
    ('b', 'a')
    """
    after: dict[str, set[str]] = {device: set() for device in devices}
    for made, read in {(devices[a], devices[b]) for a, b in network.edges}:
        if made != read:
            after[made].add(read)
    # What is left after removing, again and again, devices that wait for none of the others.
    waiting = dict.fromkeys(devices)
    while free := [d for d in waiting if not any(d in after[other] for other in waiting)]:
        for device in free:
            del waiting[device]
    if not waiting:
        return ()
    path = [next(iter(waiting))]
    while True:  # walk backwards among them until a device comes again
        before = next(d for d in waiting if path[-1] in after[d])
        if before in path:
            return tuple(reversed(path[path.index(before) :]))
        path.append(before)


def _network_faults(network: Network) -> Iterator[Fault]:
    count = len(network.layers)
    if not network.name:
        yield Fault("name", "must not be empty")
    if not count:
        yield Fault("layers", "a network needs at least one layer")
    seen: set[str] = set()
    for index, layer in enumerate(network.layers):
        if layer.name in seen:
            yield Fault(f"layers[{index}].name", f"'{layer.name[:80]}' is used twice")
        seen.add(layer.name)
        for key in ("weight_bytes", "activation_bytes"):
            yield from _bytes_faults(f"layers[{index}].{key}", getattr(layer, key))
    seen = set()
    for index, tensor in enumerate(network.tensors):
        place = f"tensors[{index}]"
        if tensor.name in seen:
            yield Fault(f"{place}.name", f"'{tensor.name[:80]}' is used twice")
        seen.add(tensor.name)
        yield from _bytes_faults(f"{place}.bytes", tensor.bytes)
        if (seconds := tensor.transfer_seconds) is not None:
            if not (math.isfinite(seconds) and seconds >= 0):
                yield Fault(f"{place}.transfer_seconds", "must be a finite number, not negative")
            elif seconds > LARGEST:
                yield Fault(f"{place}.transfer_seconds", _TOO_LARGE)
        earliest = -1 if tensor.producer is None else tensor.producer
        if tensor.producer is not None and not 0 <= tensor.producer < count:
            yield Fault(f"{place}.producer", f"there is no layer {tensor.producer}")
        if list(tensor.consumers) != sorted(set(tensor.consumers)):
            yield Fault(f"{place}.consumers", "must be ascending and distinct")
        for consumer in tensor.consumers:
            if not 0 <= consumer < count:
                yield Fault(f"{place}.consumers", f"there is no layer {consumer}")
            elif consumer <= earliest:
                yield Fault(
                    f"{place}.consumers",
                    f"layer {consumer} runs before the tensor is made (layer {tensor.producer}): "
                    "the layer list must be a topological order",
                )
    forms = {type(costs) for costs in network.costs.values()}
    if len(forms) > 1:
        yield Fault("costs", "all devices must state the same cost form: layers or spans")
    for device, costs in network.costs.items():
        yield from _cost_faults(f"costs.{device}", costs, count)
        yield from _batch_faults(f"costs.{device}.batches", costs, count)


def _cost_faults(place: str, costs: Costs, count: int) -> Iterator[Fault]:
    if costs.memory_bytes is not None:
        if len(costs.memory_bytes) != count:
            yield Fault(f"{place}.memory_bytes", f"needs {count} entries, one per layer")
        extremes = [min(costs.memory_bytes, default=0), max(costs.memory_bytes, default=0)]
        for value in extremes:
            yield from _bytes_faults(f"{place}.memory_bytes", value)
    tables: dict[str, Sequence[Sequence[float]]] = {}
    if isinstance(costs, LayerCosts):
        shape = [count]
        tables["seconds"] = [costs.seconds]
        if costs.joules is not None:
            tables["joules"] = [costs.joules]
        if costs.dollars is not None:
            tables["dollars"] = [costs.dollars]
        for key in ("boundary_seconds", "cv2"):
            if not (math.isfinite(value := getattr(costs, key)) and value >= 0):
                yield Fault(f"{place}.{key}", "must be a finite number, not negative")
            elif value > LARGEST:
                yield Fault(f"{place}.{key}", _TOO_LARGE)
    else:
        shape = list(range(count, 0, -1))
        tables["seconds"] = costs.seconds
        if costs.cv2:
            tables["cv2"] = costs.cv2
        if costs.joules is not None:
            tables["joules"] = costs.joules
        if costs.dollars is not None:
            tables["dollars"] = costs.dollars
    for key, table in tables.items():
        if [len(row) for row in table] != shape:
            yield Fault(
                f"{place}.{key}",
                f"needs {count} entries, one per layer"
                if isinstance(costs, LayerCosts)
                else f"needs rows of {count}, {count - 1}, … 1 entries, row i for the spans "
                "that begin at layer i",
            )
        elif any(math.isnan(value) or value < 0 for row in table for value in row):
            yield Fault(f"{place}.{key}", "must be numbers, not negative")
        elif key != "seconds" and any(math.isinf(value) for row in table for value in row):
            yield Fault(f"{place}.{key}", "must be finite")
        elif any(LARGEST < value < math.inf for row in table for value in row):
            yield Fault(f"{place}.{key}", _TOO_LARGE)


def _batch_faults(place: str, costs: Costs, count: int) -> Iterator[Fault]:
    for size, job in costs.batches.items():
        at = f"{place}.{size}"
        if size < 2:
            yield Fault(at, "a batch has 2 requests or more")
        if type(job) is not type(costs):
            yield Fault(at, "must state the same cost form as single requests")
            continue
        if job.batches:
            yield Fault(f"{at}.batches", "a batch has no batches of its own")
        if job.memory_bytes is not None:
            yield Fault(f"{at}.memory_bytes", "weights do not depend on the batch: leave it out")
        yield from _cost_faults(at, job, count)


def _bytes_faults(place: str, value: int) -> Iterator[Fault]:
    if value < 0:
        yield Fault(place, "must not be negative")
    elif value > LARGEST:
        yield Fault(place, _TOO_LARGE)
