"""Which variables stand for a stream's routes: places, stages, steps, tensors, results.

A device is *permitted* for a layer of a stream where nothing that concerns this layer alone
speaks against it; only permitted places get variables. The sets also know where one variable
can stand for another: the flow of a tensor to the very next layer is the step of the request
itself, and a tensor with a single reader moves as that flow does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.network import Network, SpanCosts, Tensor
from edgeplan.model.problem import Device, Problem, Stream

Slot = tuple[str, int]
"""(stream, number of the route slot, from 1)."""
Place = tuple[str, int, int, str]
"""(stream, slot, layer, device)."""
Run = tuple[str, int, int, int, str]
"""(stream, slot, first layer, stop, device): a stage."""
Step = tuple[str, int, int, str, str]
"""(stream, slot, layer, device of the layer before, device of the layer)."""
Flow = tuple[str, int, str, int, str, str]
"""(stream, slot, tensor, reading layer, device that made it, device that reads it)."""
Shipment = tuple[str, int, str, str, str]
"""(stream, slot, tensor, from, to)."""
Reply = tuple[str, int, str]
"""(stream, slot, device that results return from)."""
Keep = tuple[str, int, str]
"""(network, layer, device)."""


@dataclass(frozen=True)
class Passage:
    """From where to where requests may go between two layers.

    Parameters
    ----------
    pairs
        (device of the first layer, device of the second).
    before, after
        The permitted devices of either.
    """

    pairs: tuple[tuple[str, str], ...]
    before: tuple[str, ...]
    after: tuple[str, ...]

    @cached_property
    def known(self) -> frozenset[tuple[str, str]]:
        """The pairs, to look them up."""
        return frozenset(self.pairs)

    @cached_property
    def following(self) -> dict[str, tuple[str, ...]]:
        """Devices that a device leads to."""
        return {a: tuple(y for x, y in self.pairs if x == a) for a in self.before}

    @cached_property
    def leading(self) -> dict[str, tuple[str, ...]]:
        """Devices that lead to a device."""
        return {b: tuple(x for x, y in self.pairs if y == b) for b in self.after}


@dataclass(frozen=True)
class RouteSets:
    """Index sets of routes: where layers run, stages, steps, tensors, results.

    Parameters
    ----------
    problem
        The problem.
    """

    problem: Problem

    # -- streams and routes ------------------------------------------------------------------

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams."""
        return tuple(stream.name for stream in self.problem.streams)

    @cached_property
    def split(self) -> tuple[str, ...]:
        """Streams that may use more than one route."""
        return tuple(stream.name for stream in self.problem.streams if stream.route_limit > 1)

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """A slot for each route that a stream may have."""
        return tuple(
            (stream.name, slot)
            for stream in self.problem.streams
            for slot in range(1, stream.route_limit + 1)
        )

    @cached_property
    def split_slots(self) -> tuple[Slot, ...]:
        """The slots of streams with more than one."""
        return tuple((s, r) for s, r in self.slots if s in self.split)

    @cached_property
    def later_slots(self) -> tuple[Slot, ...]:
        """The slots that come after another of the same stream."""
        return tuple((s, r) for s, r in self.slots if r > 1)

    def network(self, stream: str) -> Network:
        """Return the network that a stream runs."""
        return self.problem.network[self.problem.stream[stream].network]

    def home(self, stream: str, tensor: Tensor) -> str:
        """Return the device where a graph input lies."""
        item = self.problem.stream[stream]
        return item.homes.get(tensor.name, item.origin)

    def linked(self, source: str, target: str) -> bool:
        """Whether something on one device can get to another: the same one, or by a link."""
        return source == target or (source, target) in self.problem.link

    # -- where layers may run ------------------------------------------------------------------

    @cached_property
    def permitted(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Devices on which each layer of a stream may run, by stream.

        On top of `Problem.allowed`: a layer must fit a device's memory by itself, the first must
        be reachable from the origin, its graph inputs from their homes, the results must find a
        link back, and with span times a permitted span must cover it.
        """
        return {stream.name: self._permitted(stream) for stream in self.problem.streams}

    def _permitted(self, stream: Stream) -> tuple[tuple[str, ...], ...]:
        network = self.problem.network[stream.network]
        allowed = tuple(
            tuple(
                device
                for device in devices
                if self._fits(network, layer, self.problem.device[device])
                and all(
                    self.linked(source, device) for source in self._sources(stream, network, layer)
                )
                and all(
                    self.linked(device, stream.origin)
                    for tensor in network.outputs
                    if stream.returns and tensor.producer == layer
                )
            )
            for layer, devices in enumerate(self.problem.allowed(stream))
        )
        allowed = _in_common(allowed, self.groups[stream.name])
        if network.form == "layers":
            return allowed
        spans = _spans(network, allowed)
        covered = tuple(
            tuple(
                device
                for device in devices
                if any(i <= layer < j and d == device for i, j, d in spans)
            )
            for layer, devices in enumerate(allowed)
        )
        return _in_common(covered, self.groups[stream.name])

    @cached_property
    def groups(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        """Layers that share a device, by stream."""
        return {stream.name: self.problem.groups(stream) for stream in self.problem.streams}

    def _sources(self, stream: Stream, network: Network, layer: int) -> tuple[str, ...]:
        homes = tuple(
            self.home(stream.name, tensor) for tensor in network.inputs if layer in tensor.consumers
        )
        return (stream.origin, *homes) if layer == 0 else homes

    def _fits(self, network: Network, layer: int, device: Device) -> bool:
        needed = network.memory_bytes(layer, device.name) + network.layers[layer].activation_bytes
        return needed <= device.memory_bytes * (1 + RELATIVE_TOLERANCE)

    @cached_property
    def obstacles(self) -> tuple[str, ...]:
        """Why no plan exists, where that shows before any search; usually empty."""
        found = []
        for stream in self.problem.streams:
            network = self.problem.network[stream.network]
            for layer, devices in enumerate(self.permitted[stream.name]):
                if not devices:
                    name = network.layers[layer].name[:80]
                    found.append(f"stream '{stream.name[:80]}': no device may run layer '{name}'")
            for tensor in self.returned_inputs(stream.name):
                home = self.home(stream.name, tensor)
                if not self.linked(home, stream.origin):
                    found.append(
                        f"stream '{stream.name[:80]}': output '{tensor.name[:80]}' cannot return, "
                        f"there is no link {home[:80]}->{stream.origin[:80]}"
                    )
        return tuple(found)

    @cached_property
    def layers(self) -> tuple[tuple[str, int, int], ...]:
        """(stream, slot, layer)."""
        return tuple(
            (s, r, layer) for s, r in self.slots for layer in range(len(self.permitted[s]))
        )

    @cached_property
    def split_layers(self) -> tuple[tuple[str, int, int], ...]:
        """(stream, slot, layer) of streams that may be split."""
        return tuple((s, r, layer) for s, r, layer in self.layers if s in self.split)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """(stream, slot, layer, permitted device)."""
        return tuple((s, r, n, d) for s, r, n in self.layers for d in self.permitted[s][n])

    @cached_property
    def split_places(self) -> tuple[Place, ...]:
        """The places of streams that may be split."""
        return tuple(place for place in self.places if place[0] in self.split)

    @cached_property
    def shared(self) -> tuple[tuple[str, int, int, int, str], ...]:
        """(stream, slot, first layer of a group, another layer of it, permitted device)."""
        return tuple(
            (s, r, group[0], layer, d)
            for s, r in self.slots
            for group in self.groups[s]
            for layer in group[1:]
            for d in self.permitted[s][layer]
        )

    # -- stages and steps ------------------------------------------------------------------

    @cached_property
    def spans(self) -> dict[str, tuple[tuple[int, int, str], ...]]:
        """(first layer, stop, device) of the possible stages, by stream with span times."""
        return {
            stream: _spans(self.network(stream), self.permitted[stream])
            for stream in self.streams
            if self.network(stream).form == "spans"
        }

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The stages of streams whose network has span times."""
        return tuple((s, r, i, j, d) for s, r in self.slots for i, j, d in self.spans.get(s, ()))

    @cached_property
    def run_places(self) -> tuple[Place, ...]:
        """The places of streams whose network has span times."""
        return tuple(place for place in self.places if self.network(place[0]).form == "spans")

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Steps from the layer before to a layer.

        With layer times they include staying on the device; with span times a step always
        changes the device, which is what makes the runs maximal.
        """
        return tuple(
            (s, r, layer, a, b)
            for s, r, layer in self.layers
            if layer > 0
            for a, targets in self.passages[s][layer - 1].following.items()
            for b in targets
        )

    @cached_property
    def passages(self) -> dict[str, tuple[Passage, ...]]:
        """From where to where a step may go: before each layer but the first, by stream."""
        known: dict[tuple[object, ...], Passage] = {}  # most layers have the same devices

        def passage(before: tuple[str, ...], after: tuple[str, ...], stays: bool) -> Passage:
            key = (before, after, stays)
            if key not in known:
                known[key] = Passage(
                    tuple(
                        (a, b)
                        for a in before
                        for b in after
                        if self.linked(a, b) and (a != b or stays)
                    ),
                    before,
                    after,
                )
            return known[key]

        return {
            s: tuple(
                passage(before, after, self.network(s).form == "layers")
                for before, after in itertools.pairwise(self.permitted[s])
            )
            for s in self.streams
        }

    @cached_property
    def departures(self) -> tuple[Place, ...]:
        """(stream, slot, layer, device of the layer before)."""
        return tuple(
            (s, r, layer, a)
            for s, r, layer in self.layers
            if layer > 0
            for a in self.permitted[s][layer - 1]
        )

    @cached_property
    def arrivals(self) -> tuple[Place, ...]:
        """(stream, slot, layer after the first, device)."""
        return tuple(place for place in self.places if place[2] > 0)

    # -- tensors ------------------------------------------------------------------

    @cached_property
    def tensor(self) -> dict[tuple[str, str], Tensor]:
        """Tensors by (stream, name)."""
        return {
            (s, tensor.name): tensor for s in self.streams for tensor in self.network(s).tensors
        }

    def returned(self, stream: str) -> tuple[Tensor, ...]:
        """Return the graph outputs that must get to the origin."""
        return self.network(stream).outputs if self.problem.stream[stream].returns else ()

    def returned_inputs(self, stream: str) -> tuple[Tensor, ...]:
        """Return the graph inputs that are outputs as well and must get to the origin."""
        return tuple(tensor for tensor in self.returned(stream) if tensor.producer is None)

    def origins(self, stream: str, tensor: Tensor) -> tuple[str, ...]:
        """Return the devices where a tensor may come to be."""
        if tensor.producer is None:
            return (self.home(stream, tensor),)
        return self.permitted[stream][tensor.producer]

    def readers(self, stream: str, tensor: Tensor, source: str, target: str) -> tuple[int, ...]:
        """Return the layers that may read a tensor on one device when it was made on another."""
        if not self.linked(source, target):
            return ()
        return self.reading[stream, tensor.name].get(target, ())

    @cached_property
    def reading(self) -> dict[tuple[str, str], dict[str, tuple[int, ...]]]:
        """The layers that may read a tensor on a device, by (stream, tensor) and device."""
        found: dict[tuple[str, str], dict[str, tuple[int, ...]]] = {}
        for s in self.streams:
            for tensor in self.network(s).tensors:
                here: dict[str, tuple[int, ...]] = {}
                for consumer in tensor.consumers:
                    for d in self.permitted[s][consumer]:
                        here[d] = (*here.get(d, ()), consumer)
                found[s, tensor.name] = here
        return found

    @cached_property
    def _later_reads(self) -> tuple[tuple[str, int, Tensor, int, int], ...]:
        """(stream, slot, tensor, layer that makes it, layer after the next that reads it)."""
        return tuple(
            (s, r, tensor, tensor.producer, consumer)
            for s, r in self.slots
            for tensor in self.network(s).tensors
            if tensor.producer is not None
            for consumer in tensor.consumers
            if consumer > tensor.producer + 1
        )

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """Flows of tensors to readers other than the next layer (its flow is the step)."""
        return tuple(
            (s, r, tensor.name, consumer, a, b)
            for s, r, tensor, producer, consumer in self._later_reads
            for a in self.permitted[s][producer]
            for b in self.permitted[s][consumer]
            if self.linked(a, b)
        )

    @cached_property
    def sendings(self) -> tuple[tuple[str, int, str, int, str], ...]:
        """(stream, slot, tensor, reading layer, device that makes it) of the flows."""
        return tuple(
            (s, r, tensor.name, consumer, a)
            for s, r, tensor, producer, consumer in self._later_reads
            for a in self.permitted[s][producer]
        )

    @cached_property
    def receptions(self) -> tuple[tuple[str, int, str, int, str], ...]:
        """(stream, slot, tensor, reading layer, device that reads it) of the flows."""
        return tuple(
            (s, r, tensor.name, consumer, b)
            for s, r, tensor, _, consumer in self._later_reads
            for b in self.permitted[s][consumer]
        )

    def lands(self, stream: str, tensor: Tensor, target: str) -> bool:
        """Whether a tensor made elsewhere gets to a device in any case: a result to the origin."""
        if not tensor.output:
            return False
        item = self.problem.stream[stream]
        return item.returns and target == item.origin

    @cached_property
    def moves(self) -> dict[str, tuple[tuple[str, str, str], ...]]:
        """(tensor, from, to) that may have to move, by stream."""
        return {s: tuple(self._moves(s)) for s in self.streams}

    def _moves(self, stream: str) -> list[tuple[str, str, str]]:
        found = []
        for tensor in self.network(stream).tensors:
            readers = self.reading[stream, tensor.name]
            targets = [
                device.name
                for device in self.problem.devices
                if device.name in readers or self.lands(stream, tensor, device.name)
            ]
            found += [
                (tensor.name, a, b)
                for a in self.origins(stream, tensor)
                for b in targets
                if a != b and (a, b) in self.problem.link
            ]
        return found

    @cached_property
    def moves_over(self) -> dict[str, dict[tuple[str, str], tuple[str, ...]]]:
        """The tensors that may have to move, by stream and (from, to)."""
        found: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {}
        for s, moves in self.moves.items():
            over: dict[tuple[str, str], list[str]] = {}
            for name, a, b in moves:
                over.setdefault((a, b), []).append(name)
            found[s] = {ends: tuple(names) for ends, names in over.items()}
        return found

    @cached_property
    def shipments(self) -> tuple[Shipment, ...]:
        """Moves of tensors with several readers at the target: charged once for all of them."""
        return tuple(
            (s, r, name, a, b)
            for s, r in self.slots
            for name, a, b in self._moves_of(s, lambda tensor: len(tensor.consumers) > 1)
            if len(self.readers(s, self.tensor[s, name], a, b)) > 1
            and (not self.lands(s, self.tensor[s, name], b) or self._pays_latency(s, name, a))
        )

    def _moves_of(self, stream: str, kind: Callable[[Tensor], bool]) -> list[tuple[str, str, str]]:
        """Return the moves of the tensors of a kind."""
        names = {tensor.name for tensor in self.network(stream).tensors if kind(tensor)}
        return [move for move in self.moves[stream] if move[0] in names] if names else []

    def _pays_latency(self, stream: str, name: str, source: str) -> bool:
        tensor = self.tensor[stream, name]
        return tensor.producer is None and source != self.problem.stream[stream].origin

    @cached_property
    def shipped(self) -> tuple[tuple[str, int, str, int, str, str], ...]:
        """(stream, slot, tensor, reading layer, from, to) of shipments of what layers make."""
        return tuple(
            (s, r, name, consumer, a, b)
            for s, r, name, a, b in self.shipments
            if self.tensor[s, name].producer is not None
            for consumer in self.readers(s, self.tensor[s, name], a, b)
        )

    @cached_property
    def fetched(self) -> tuple[tuple[str, int, str, int, str, str], ...]:
        """(stream, slot, tensor, reading layer, from, to) of shipments of graph inputs."""
        return tuple(
            (s, r, name, consumer, a, b)
            for s, r, name, a, b in self.shipments
            if self.tensor[s, name].producer is None
            for consumer in self.readers(s, self.tensor[s, name], a, b)
        )

    @cached_property
    def forwarded(self) -> dict[str, tuple[tuple[str, str, str], ...]]:
        """(graph input, home off the origin, to) that pay the link's latency, by stream."""
        return {
            s: tuple(
                (name, a, b)
                for name, a, b in self._moves_of(s, lambda tensor: tensor.producer is None)
                if self._pays_latency(s, name, a) and self.readers(s, self.tensor[s, name], a, b)
            )
            for s in self.streams
        }

    # -- results ------------------------------------------------------------------

    @cached_property
    def replies(self) -> tuple[Reply, ...]:
        """(stream, slot, device) from which results may return with a latency."""
        return tuple(dict.fromkeys((s, r, a) for s, r, _, a in self.replied))

    @cached_property
    def replied(self) -> tuple[tuple[str, int, str, str], ...]:
        """(stream, slot, result, device that it may return from)."""
        return tuple(
            (s, r, tensor.name, a)
            for s, r in self.slots
            for tensor in self.returned(s)
            for a in self.origins(s, tensor)
            if (link := self.problem.link.get((a, self.problem.stream[s].origin))) is not None
            if link.latency_seconds > 0
        )


def _in_common(
    allowed: tuple[tuple[str, ...], ...], groups: tuple[tuple[int, ...], ...]
) -> tuple[tuple[str, ...], ...]:
    """Return the devices of each layer; layers that share one have those of all in the group."""
    found = list(allowed)
    for group in groups:
        common = set.intersection(*(set(found[layer]) for layer in group))
        for layer in group:
            found[layer] = tuple(d for d in found[layer] if d in common)
    return tuple(found)


def _spans(
    network: Network, permitted: tuple[tuple[str, ...], ...]
) -> tuple[tuple[int, int, str], ...]:
    """Return the (first, stop, device) that are permitted throughout and have a time."""
    found = []
    for device, costs in network.costs.items():
        assert isinstance(costs, SpanCosts)
        for first in range(len(permitted)):
            for stop in range(first + 1, len(permitted) + 1):
                if device not in permitted[stop - 1]:
                    break
                if math.isfinite(costs.stage_seconds(first, stop)):
                    found.append((first, stop, device))
    return tuple(found)
