"""What the arcs of a chain count towards the objective and towards each limit.

A request walks over nodes (cut, device). Everything that DESIGN §4 charges is put on one of:

* *enter*: the origin hands over to the first stage, at cut 0;
* *body*: layers run on one device: a whole stage where costs are `spans`, one layer at a time
  where they are `layers`;
* *cross*: at a cut the request goes from one device to another;
* *last*: the results of the last layer return;
* *once*: what a device is charged a single time, however often a route comes back to it: being
  on, a graph input that several layers read, the latency of its returns.

All of them are linear in seconds, joules, dollars, bytes and devices that are on. So one table
of `Prices` says what a quantity is (the objective, a deadline, a device's power…), and
`Arcs.parts` writes it on the arcs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeplan.model.network import LayerCosts, SpanCosts, Tensor
from edgeplan.model.problem import Problem
from edgeplan.solvers.chain.prices import Bools, Floats, Prices, allowed_amount


@dataclass(frozen=True, kw_only=True)
class Once:
    """A charge that a route pays once, at the first of its layers that runs on a device.

    Parameters
    ----------
    kind
        ``on``; ``input``: a graph input that several layers read; ``return``: the latency of
        results that return (at the first layer whose result does).
    device
        By index.
    causes
        By layer: whether it causes the charge by running on the device.
    tensor
        The input.
    """

    kind: Literal["on", "input", "return"]
    device: int
    causes: Bools
    tensor: Tensor | None = None


@dataclass(frozen=True)
class Parts:
    """One quantity (or several, along a leading axis) on all arcs.

    Parameters
    ----------
    enter
        By device: from the origin at cut 0.
    cross
        By cut (its row 0 is not used), source, target.
    last
        By device, after the last layer.
    body
        Costs as `spans`: one array by (start cut, device, stop cut). Costs as `layers`: two by
        (layer, device): the layer begins a stage; it continues one.
    """

    enter: Floats
    cross: Floats
    last: Floats
    body: tuple[Floats, ...]

    @property
    def arrays(self) -> tuple[Floats, ...]:
        """All arrays in a fixed order."""
        return (self.enter, self.cross, self.last, *self.body)

    @classmethod
    def of(cls, arrays: Sequence[Floats]) -> Parts:
        """Return parts from `arrays`."""
        enter, cross, last, *body = arrays
        return cls(enter, cross, last, tuple(body))

    @classmethod
    def stack(cls, parts: Sequence[Parts]) -> Parts:
        """Return several quantities along a leading axis."""
        return cls.of([np.stack(group) for group in zip(*(p.arrays for p in parts), strict=True)])


class Arcs:
    """The arcs of a problem's one stream, and what they count in any quantity.

    Parameters
    ----------
    problem
        One stream on a chain (see `Chain.unsupported`).

    Attributes
    ----------
    names
        The devices.
    layers
        Number of layers.
    spans
        Whether costs are span tables.
    walls
        0 on arcs that a route may take, ``inf`` on the others.
    once
        Charges that are paid once.
    weights, peaks
        Bytes of weights and of activation by (layer, device).
    allowed
        Whether a layer may run on a device, by (layer, device).
    """

    def __init__(self, problem: Problem) -> None:
        (self.stream,) = problem.streams
        self.problem = problem
        self.network = problem.network[self.stream.network]
        self.spans = self.network.form == "spans"
        self.names = tuple(device.name for device in problem.devices)
        self.layers = len(self.network.layers)
        self.origin = self.names.index(self.stream.origin)
        self._topology()
        self._tensors()
        self._weights()
        allowed = problem.allowed(self.stream)
        self.allowed = np.array([[name in row for name in self.names] for row in allowed])
        for tensor in self.network.inputs:
            for layer in tensor.consumers:
                # A graph input comes straight from its home, or not at all.
                self.allowed[layer] &= ~self.missing[self._home(tensor)]
        self.seconds, body_walls = self._body_seconds()
        self.once = tuple(self._once())
        self._one_return = np.ones(len(self.names), dtype=np.bool_)
        for charge in self.once:
            if charge.kind == "return":
                self._one_return[charge.device] = False
        self.walls = self._walls(body_walls)

    def _topology(self) -> None:
        problem = self.problem
        count = len(self.names)
        position = {name: index for index, name in enumerate(self.names)}
        self.missing = ~np.eye(count, dtype=np.bool_)
        self._per_second = np.zeros((count, count))  # 1 / bandwidth
        self._latency, self._send, self._receive, self._traffic = np.zeros((4, count, count))
        for link in problem.links:
            ends = position[link.source], position[link.target]
            self.missing[ends] = False
            self._per_second[ends] = 1 / link.bytes_per_second
            self._latency[ends] = link.latency_seconds
            self._send[ends] = link.send_joules_per_byte
            self._receive[ends] = link.receive_joules_per_byte
            self._traffic[ends] = link.dollars_per_byte

    def _tensors(self) -> None:
        """Set what crosses each cut, and which results of each layer return."""
        made: list[list[Tensor]] = [[] for _ in range(self.layers)]
        for tensor in self.network.tensors:
            if tensor.producer is not None:
                made[tensor.producer].append(tensor)
        self.through = [[t for t in group if t.consumers] for group in ([], *made[:-1])]
        returns = self.stream.returns
        self.results = [[t for t in group if t.output and returns] for group in made]
        # The origin holds a result that it reads itself.
        self.unread = [[t for t in group if not t.consumers] for group in self.results]

    def _weights(self) -> None:
        shape = (self.layers, len(self.names))
        self.weights = np.empty(shape)
        self.peaks = np.empty(shape)
        for layer, item in enumerate(self.network.layers):
            self.peaks[layer] = item.activation_bytes
            for device, name in enumerate(self.names):
                self.weights[layer, device] = self.network.memory_bytes(layer, name)

    def _home(self, tensor: Tensor) -> int:
        return self.names.index(self.stream.homes.get(tensor.name, self.stream.origin))

    def memory_limit(self, device: int) -> float:
        """Return the bytes that a device may keep, as the evaluator reads its limit."""
        return allowed_amount(self.problem.devices[device].memory_bytes)

    def _body_seconds(self) -> tuple[Floats, tuple[Floats, ...]]:
        """Return the seconds of the bodies, 0 where there is none, and the walls there."""
        count, devices = self.layers, len(self.names)
        if not self.spans:
            seconds = np.zeros((count, devices))
            for device, name in enumerate(self.names):
                if isinstance(costs := self.network.costs.get(name), LayerCosts):
                    seconds[:, device] = costs.seconds
                limit = self.memory_limit(device)
                self.allowed[:, device] &= self.weights[:, device] + self.peaks[:, device] <= limit
            wall = np.where(self.allowed & np.isfinite(seconds), 0.0, np.inf)
            more = wall.copy()
            for layer in range(1, count):
                if self.results[layer - 1]:
                    more[layer, self.missing[:, self.origin]] = np.inf
            return np.where(np.isfinite(seconds), seconds, 0.0), (wall, more)
        seconds = np.full((count, devices, count + 1), np.inf)
        for device, name in enumerate(self.names):
            if isinstance(costs := self.network.costs.get(name), SpanCosts):
                for first, row in enumerate(costs.seconds):
                    seconds[first, device, first + 1 :] = row
            bad = np.where(self.allowed[:, device], 0.0, 1.0)
            seconds[:, device][sums(bad) > 0] = np.inf
            if self.missing[device, self.origin]:
                inner = np.array([float(bool(group)) for group in self.results])
                seconds[:, device][inner_sums(inner) > 0] = np.inf
            if math.isfinite(limit := self.memory_limit(device)):
                kept = sums(self.weights[:, device]) + peak_of_spans(self.peaks[:, device])
                seconds[:, device][kept > limit] = np.inf
        wall = np.where(np.isfinite(seconds), 0.0, np.inf)
        return np.where(np.isfinite(seconds), seconds, 0.0), (wall,)

    def _walls(self, body: tuple[Floats, ...]) -> Parts:
        count, devices, origin = self.layers, len(self.names), self.origin
        enter = np.where(self.missing[origin], np.inf, 0.0)
        no_way = self.missing | np.eye(devices, dtype=np.bool_)
        cross = np.zeros((count, devices, devices))
        cross[:, no_way] = np.inf
        no_return = self.missing[:, origin]
        for cut in range(1, count):
            if self.results[cut - 1]:
                others = np.arange(devices) != origin
                cross[cut][np.ix_(no_return, others)] = np.inf
            if self.unread[cut - 1]:
                cross[cut, no_return, origin] = np.inf
        last = np.where(no_return & bool(self.results[-1]), np.inf, 0.0)
        return Parts(enter, cross, last, body)

    def _once(self) -> Iterator[Once]:
        """Yield the charges that depend on which devices a route has been on."""
        for device in range(len(self.names)):
            here = self.allowed[:, device]
            if not here.any():
                continue
            yield Once(kind="on", device=device, causes=here)
            for tensor in self.network.inputs:
                readers = np.zeros(self.layers, dtype=np.bool_)
                readers[list(tensor.consumers)] = True
                if device != self._home(tensor) and (readers & here).sum() > 1:
                    yield Once(
                        kind="input",
                        device=device,
                        causes=readers & here,
                        tensor=tensor,
                    )
            makers = np.array([bool(group) for group in self.results]) & here
            if device != self.origin and makers.sum() > 1:
                yield Once(kind="return", device=device, causes=makers)

    def even_shares(self) -> Floats:
        """Return each charge of `once` spread evenly over its causes, by (charge, layer).

        A lower bound may put any shares that add up to 1 on the layers that cause a charge: no
        route then pays more than it.
        """
        causes = [charge.causes for charge in self.once]
        table = np.array(causes, dtype=np.float64).reshape(len(self.once), self.layers)
        found: Floats = table / table.sum(axis=1, keepdims=True)
        return found

    # -- what a quantity counts ------------------------------------------------------------------

    def charges(self, prices: Prices) -> Floats:
        """Return what each of `once` counts in a quantity."""
        found = []
        for charge in self.once:
            if charge.kind == "on":
                found.append(prices.on[charge.device])
            elif charge.kind == "return":
                found.append(self._latencies(prices)[charge.device, self.origin])
            else:
                assert charge.tensor is not None
                found.append(self._input(prices, charge.tensor)[charge.device])
        return np.array(found, dtype=np.float64)

    def parts(self, prices: Prices) -> Parts:
        """Return what all arcs count in a quantity, without `once`; 0 where there are walls."""
        count, devices, origin = self.layers, len(self.names), self.origin
        latencies = self._latencies(prices)
        enter = np.where(self.missing[origin], 0.0, latencies[origin])
        cross = np.zeros((count, devices, devices))
        returned = np.zeros((count, devices))
        unread = np.zeros((count, devices))
        for layer in range(count):
            for into, group in ((returned, self.results[layer]), (unread, self.unread[layer])):
                if group:
                    into[layer] = self._moved(prices, group)[:, origin]
                    into[layer] += np.where(self._one_return, latencies[:, origin], 0.0)
                    into[layer, origin] = 0.0
        others = np.arange(devices) != origin
        for cut in range(1, count):
            cross[cut] = latencies + self._moved(prices, self.through[cut])
            cross[cut][:, others] += returned[cut - 1][:, None]
            cross[cut][:, origin] += unread[cut - 1]
        cross[np.isinf(self.walls.cross)] = 0.0
        last = np.where(np.isinf(self.walls.last), 0.0, returned[-1])
        return Parts(enter, cross, last, self._bodies(prices, returned))

    def _bodies(self, prices: Prices, returned: Floats) -> tuple[Floats, ...]:
        """Return the body arrays: compute, fees, weights, inputs, results that return."""
        count, devices = self.layers, len(self.names)
        inputs = np.zeros((count, devices))
        for tensor in self.network.inputs:
            arrival = self._input(prices, tensor)
            several = {c.device for c in self.once if c.tensor is tensor}
            alone = np.array([device not in several for device in range(devices)])
            for layer in tensor.consumers:
                inputs[layer] += np.where(alone, arrival, 0.0)
        bodies = [np.zeros_like(wall) for wall in self.walls.body]
        for device, machine in enumerate(self.problem.devices):
            costs = self.network.costs.get(machine.name)
            if costs is None:
                continue
            # Seconds of compute count as latency, busy time, and the origin's wait elsewhere;
            # as joules and dollars where the profile does not state these.
            second = prices.second + prices.busy[device]
            if device != self.origin:
                second += self._waiting_watts * prices.joule[self.origin]
            if costs.joules is None:
                second += machine.compute_watts * prices.joule[device]
            if costs.dollars is None:
                second += machine.dollars_per_second * prices.dollar
            fee = machine.dollars_per_request * prices.dollar
            layer = prices.kept[device] * self.weights[:, device] + inputs[:, device]
            back = returned[:, device]
            if isinstance(costs, LayerCosts):
                layer = layer + second * self.seconds[:, device]
                for table, price in (
                    (costs.joules, prices.joule[device]),
                    (costs.dollars, prices.dollar),
                ):
                    if table is not None and price:
                        layer = layer + price * np.array(table)
                bodies[0][:, device] = layer + second * costs.boundary_seconds + fee
                bodies[1][:, device] = layer
                bodies[1][1:, device] += back[:-1]
            else:
                stage = second * self.seconds[:, device] + fee
                for rows, price in (
                    (costs.joules, prices.joule[device]),
                    (costs.dollars, prices.dollar),
                ):
                    if rows is not None and price:
                        for first, row in enumerate(rows):
                            stage[first, first + 1 :] += price * np.array(row)
                if layer.any():
                    stage += sums(layer)
                if back.any():
                    stage += inner_sums(back)
                bodies[0][:, device] = stage
        for body, wall in zip(bodies, self.walls.body, strict=True):
            body[np.isinf(wall)] = 0.0
        return tuple(bodies)

    @property
    def _waiting_watts(self) -> float:
        machine = self.problem.devices[self.origin]
        return machine.idle_watts if self.stream.waits and not machine.charge_idle else 0.0

    def _latencies(self, prices: Prices) -> Floats:
        """Return what one latency of each link counts."""
        second = prices.second + self._waiting_watts * prices.joule[self.origin]
        found: Floats = self._latency * second
        return found

    def _moved(self, prices: Prices, tensors: Sequence[Tensor]) -> Floats:
        """Return what moving tensors over each link counts, latency apart."""
        second = prices.second + self._waiting_watts * prices.joule[self.origin] + prices.link
        volume = float(sum(tensor.bytes for tensor in tensors))
        stated = [t.transfer_seconds for t in tensors if t.transfer_seconds is not None]
        moved = float(sum(t.bytes for t in tensors if t.transfer_seconds is None))
        seconds = math.fsum(stated) * ~self.missing + moved * self._per_second
        byte = (
            self._send * prices.joule[:, None]
            + self._receive * prices.joule[None, :]
            + self._traffic * prices.dollar
        )
        found: Floats = seconds * second + volume * byte
        return found

    def _input(self, prices: Prices, tensor: Tensor) -> Floats:
        """Return what the arrival of a graph input counts on each device; 0 at its home."""
        home = self._home(tensor)
        found: Floats = self._moved(prices, [tensor])[home].copy()
        if home != self.origin:
            found += self._latencies(prices)[home]
        found[home] = 0.0
        return found


def sums(values: Floats) -> Floats:
    """Return the sum over each span of layers, by (start cut, stop cut).

    Added from each start, since differences of running sums would lose digits.

    Examples
    --------
    >>> sums(np.array([1.0, 2.0, 4.0]))
    array([[0., 1., 3., 7.],
           [0., 0., 2., 6.],
           [0., 0., 0., 4.]])
    """
    count = len(values)
    found = np.zeros((count, count + 1))
    found[:, 1:] = np.cumsum(np.triu(np.broadcast_to(values, (count, count))), axis=1)
    return found


def inner_sums(values: Floats) -> Floats:
    """Return the sum over each span of layers but its last, by (start cut, stop cut).

    Examples
    --------
    >>> inner_sums(np.array([1.0, 2.0, 4.0]))
    array([[0., 0., 1., 3.],
           [0., 0., 0., 2.],
           [0., 0., 0., 0.]])
    """
    found = np.zeros((len(values), len(values) + 1))
    found[:, 1:] = sums(values)[:, :-1]
    return found


def peak_of_spans(values: Floats) -> Floats:
    """Return the largest value in each span of layers, by (start cut, stop cut).

    Examples
    --------
    >>> peak_of_spans(np.array([1.0, 4.0, 2.0]))
    array([[0., 1., 4., 4.],
           [0., 0., 4., 4.],
           [0., 0., 0., 2.]])
    """
    count = len(values)
    found = np.zeros((count, count + 1))
    found[:, 1:] = np.maximum.accumulate(np.triu(np.broadcast_to(values, (count, count))), axis=1)
    return found
