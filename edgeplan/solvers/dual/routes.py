"""Each stream's cheapest route under multipliers, as arrays: the inner problem of the dual.

The same relaxed charges as `edgeplan.model.dual`, held in NumPy arrays so that hundreds of
evaluations are cheap. Nothing rests on them: the bound that is handed out is recomputed by
`edgeplan.model.dual.dual_bound`, which shares no code with this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.network import LayerCosts, SpanCosts, Tensor
from edgeplan.model.problem import Problem, Stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class RoutePrices:
    """What one request of a stream pays, devices and links in the problem's order.

    ``latency`` per second, ``waiting`` on top while the origin only waits, ``dollar``; ``joule``
    and ``busy`` (a second of a replica) by device; ``link_busy`` by (source, target);
    ``kept`` by (layer, device).
    """

    latency: float
    waiting: float
    dollar: float
    joule: Floats
    busy: Floats
    link_busy: Floats
    kept: Floats


@dataclass(frozen=True, kw_only=True)
class RouteUse:
    """What a route is charged for, per request; the price is their sum with `RoutePrices`.

    ``waiting`` are the seconds in which the origin only waits; the joules are without them.
    """

    devices: Integers
    latency: float
    waiting: float
    dollars: float
    joules: Floats
    busy: Floats
    link_busy: Floats


class PricedRoutes:
    """The relaxed routes of one stream.

    Parameters
    ----------
    problem, stream
        What is planned, and one of its streams.
    """

    def __init__(self, problem: Problem, stream: Stream) -> None:
        self.network = network = problem.network[stream.network]
        self.layers, self.count = len(network.layers), len(problem.devices)
        names = [device.name for device in problem.devices]
        self.at = at = {name: index for index, name in enumerate(names)}
        self.stream, self.origin = stream, at[stream.origin]
        self.replicas = np.array([float(device.replicas) for device in problem.devices])
        self.occupied = np.array([device.transfers == "occupy" for device in problem.devices])
        self.closed = np.ones((self.layers, self.count), dtype=np.bool_)
        for index, allowed in enumerate(problem.allowed(stream)):
            self.closed[index, [at[name] for name in allowed]] = False
        self._links(problem)
        self._compute(problem)
        self._tensors()

    def _links(self, problem: Problem) -> None:
        shape = (self.count, self.count)
        self.missing = np.ones(shape, dtype=np.bool_)
        self.bandwidth = np.full(shape, np.inf)
        self.latency, self.send, self.receive, self.traffic = np.zeros((4, *shape))
        for (source, target), link in problem.link.items():
            ends = self.at[source], self.at[target]
            self.missing[ends] = False
            self.bandwidth[ends] = link.bytes_per_second
            self.latency[ends] = link.latency_seconds
            self.send[ends] = link.send_joules_per_byte
            self.receive[ends] = link.receive_joules_per_byte
            self.traffic[ends] = link.dollars_per_byte
        np.fill_diagonal(self.missing, False)

    def _compute(self, problem: Problem) -> None:
        """Gather seconds, joules and dollars of layers (or spans) and of beginning a stage."""
        count, layers = self.count, self.layers
        spans = self.network.form == "spans"
        shape = (3, layers, layers, count) if spans else (3, layers, count)
        self.work = np.zeros(shape)
        self.begin = np.zeros((3, count))
        self.impossible = np.zeros(shape[1:], dtype=np.bool_)
        for index, device in enumerate(problem.devices):
            self.begin[2, index] = device.dollars_per_request
            costs = self.network.costs.get(device.name)
            prices = (1.0, device.compute_watts, device.dollars_per_second)
            if isinstance(costs, LayerCosts):
                stated = (costs.seconds, costs.joules, costs.dollars)
                seconds = np.where(np.isfinite(costs.seconds), costs.seconds, 0.0)
                for row, (values, price) in enumerate(zip(stated, prices, strict=True)):
                    if row and values is not None:
                        self.work[row, :, index] = values
                        continue
                    self.work[row, :, index] = price * seconds
                    self.begin[row, index] += price * costs.boundary_seconds
            elif isinstance(costs, SpanCosts):
                for first in range(layers):
                    times = np.array(costs.seconds[first])
                    runs = np.isfinite(times)
                    self.impossible[first, first:, index] = ~runs
                    times = np.where(runs, times, 0.0)
                    self.work[0, first, first:, index] = times
                    for row, table in ((1, costs.joules), (2, costs.dollars)):
                        self.work[row, first, first:, index] = (
                            prices[row] * times if table is None else table[first]
                        )

    def _tensors(self) -> None:
        """Gather what moves: between a layer and the next, and for a layer by itself."""
        stream, origin = self.stream, self.origin
        shape = (max(self.layers - 1, 0), self.count, self.count)
        self.seconds, self.sent, self.bytes = np.zeros((3, *shape))
        # Of single layers: rows of (layer, device, source, target, seconds, bytes, latencies).
        rows: list[tuple[float, ...]] = []
        unread = [
            t.producer
            for t in self.network.outputs
            if t.producer is not None and not t.consumers and stream.returns
        ]
        last = max(unread, default=-1)
        self.absent = np.zeros((self.layers, self.count), dtype=np.bool_)
        for tensor in self.network.tensors:
            made = tensor.producer
            seconds = self._seconds(tensor)
            if made is None:
                if not tensor.consumers:
                    continue
                layer = tensor.consumers[0]
                home = self.at[stream.homes.get(tensor.name, stream.origin)]
                off = float(home != origin)
                for device in range(self.count):
                    self._single(rows, tensor, layer, device, home, device, seconds, off)
                continue
            returned = tensor.output and stream.returns
            if made + 1 in tensor.consumers:
                moved = np.full((self.count, self.count), float(tensor.bytes))
                taken, sent = seconds.copy(), seconds.copy()
                if returned:
                    away = np.arange(self.count) != origin
                    moved[away, origin] = taken[away, origin] = 0.0
                    back = seconds[:, origin, None]
                    sent = np.where(away[:, None], np.maximum(0.0, seconds - back), seconds)
                self.seconds[made] += taken
                self.sent[made] += sent
                self.bytes[made] += moved
            if returned:
                for device in range(self.count):
                    self._single(rows, tensor, made, device, device, origin, seconds, 0.0)
        if last >= 0:
            rows += [
                (last, device, device, origin, 0.0, 0.0, 1.0)
                for device in range(self.count)
                if device != origin and not self.missing[device, origin]
            ]
        table = np.array(rows, dtype=float).reshape(len(rows), 7).T
        layer, self.single_device, self.source, self.target = table[:4].astype(np.int64)
        self.cell = layer * self.count + self.single_device
        self.single_seconds, self.single_bytes, latencies = table[4:]
        self.single_latency = latencies * self.latency[self.source, self.target]

    def _single(
        self,
        rows: list[tuple[float, ...]],
        tensor: Tensor,
        layer: int,
        device: int,
        source: int,
        target: int,
        seconds: Floats,
        latencies: float,
    ) -> None:
        if source == target:
            return
        if self.missing[source, target]:
            self.absent[layer, device] = True
            return
        taken = float(seconds[source, target])
        rows.append((layer, device, source, target, taken, float(tensor.bytes), latencies))

    def _seconds(self, tensor: Tensor) -> Floats:
        if tensor.transfer_seconds is not None:
            return np.full(self.bandwidth.shape, tensor.transfer_seconds)
        return np.asarray(tensor.bytes / self.bandwidth)

    def cheapest(self, prices: RoutePrices) -> tuple[float, Integers]:
        """Return the least price of a relaxed route and its device for each layer.

        The price is ``inf``, and the devices mean nothing, where there is no route.
        """
        second = prices.latency + prices.waiting
        waited = np.full(self.count, second)
        waited[self.origin] = prices.latency
        rates = np.stack(
            [waited + prices.busy / self.replicas, prices.joule, np.full(self.count, prices.dollar)]
        )
        begin = np.einsum("rd,rd->d", self.begin, rates)
        occupied = np.where(self.occupied, prices.busy / self.replicas, 0.0)
        byte = (
            self.send * prices.joule[:, None]
            + self.receive * prices.joule
            + self.traffic * prices.dollar
        )
        moving = second + prices.link_busy + occupied
        singles = (
            self.single_seconds * (moving + occupied[:, None])[self.source, self.target]
            + self.single_bytes * byte[self.source, self.target]
            + self.single_latency * second
        )
        sums = np.bincount(self.cell, singles, minlength=self.layers * self.count)
        local: Floats = sums.reshape(self.layers, self.count) + prices.kept
        local[self.closed | self.absent] = np.inf
        enter = np.where(self.missing, np.inf, self.latency * second) + begin
        cross = enter + self.seconds * moving + self.bytes * byte
        if self.occupied.any():
            cross += self.sent * occupied[:, None]
        each = np.arange(self.count)
        if self.network.form == "spans":
            cross[:, each, each] = np.inf
            work = np.einsum("rfsd,rd->fsd", self.work, rates)
            work[self.impossible] = np.inf
            return _by_spans(enter[self.origin], cross, work, local)
        cross[:, each, each] = 0.0
        local += np.einsum("rld,rd->ld", self.work, rates)
        return _by_layers(enter[self.origin] + local[0], cross + local[1:, None, :])

    def use(self, devices: Integers) -> RouteUse:
        """Return what a route is charged for, by the relaxed rules.

        Parameters
        ----------
        devices
            Index of a device for each layer.
        """
        starts = np.flatnonzero(np.r_[True, devices[1:] != devices[:-1]])
        stops = np.r_[starts[1:], self.layers]
        used = devices[starts]
        if self.network.form == "spans":
            work = self.work[:, starts, stops - 1, used]
            work = np.stack([np.bincount(used, row, minlength=self.count) for row in work])
        else:
            rows = self.work[:, np.arange(self.layers), devices]
            work = np.stack([np.bincount(devices, row, minlength=self.count) for row in rows])
        work += np.stack([np.bincount(used, r[used], minlength=self.count) for r in self.begin])
        compute, joules, dollars = work
        size = (self.count, self.count)
        taken, moved, sent = np.zeros((3, *size))
        delay = 0.0
        if devices[0] != self.origin:
            delay += self.latency[self.origin, devices[0]]
        for at in starts[1:]:
            ends = devices[at - 1], devices[at]
            delay += self.latency[ends]
            taken[ends] += self.seconds[at - 1][ends]
            sent[ends] += self.sent[at - 1][ends]
            moved[ends] += self.bytes[at - 1][ends]
        chosen = self.single_device == devices[self.cell // self.count]
        ends = self.source[chosen], self.target[chosen]
        np.add.at(taken, ends, self.single_seconds[chosen])
        np.add.at(sent, ends, self.single_seconds[chosen])
        np.add.at(moved, ends, self.single_bytes[chosen])
        delay += float(self.single_latency[chosen].sum())
        busy = compute + np.where(self.occupied, taken.sum(axis=0) + sent.sum(axis=1), 0.0)
        moving = delay + float(taken.sum())
        return RouteUse(
            devices=devices,
            latency=moving + float(compute.sum()),
            waiting=moving + float(compute.sum() - compute[self.origin]),
            dollars=float(dollars.sum() + (moved * self.traffic).sum()),
            joules=joules + (moved * self.send).sum(axis=1) + (moved * self.receive).sum(axis=0),
            busy=busy / self.replicas,
            link_busy=taken,
        )


def _by_layers(start: Floats, steps: Floats) -> tuple[float, Integers]:
    """Return the least cost of a path through layers and its nodes.

    Products of matrices over (min, +), two by two: as many rounds as the number of layers has
    binary digits, each a few array operations.

    Parameters
    ----------
    start
        Cost of each node of the first layer, shape (nodes,).
    steps
        Cost of each step from a node to one of the next layer, shape (layers - 1, nodes, nodes).
    """
    levels = [steps]
    while len(levels[-1]) > 1:
        level = levels[-1]
        pairs = len(level) // 2 * 2
        left, right = level[:pairs:2], level[1:pairs:2]
        joined = left[:, :, :1] + right[:, :1, :]
        for node in range(1, len(start)):
            np.minimum(joined, left[:, :, node, None] + right[:, None, node, :], out=joined)
        levels.append(np.concatenate([joined, level[pairs:]]))
    if not len(steps):
        node = int(start.argmin())
        return float(start[node]), np.array([node])
    total = start[:, None] + levels[-1][0]
    first, last = divmod(int(total.argmin()), len(start))
    cost = float(total[first, last])
    # The ends of each product are known; its middle is where the two halves add up to it.
    nodes = np.array([first, last])
    for level in reversed(levels[:-1]):
        pairs = len(level) // 2
        begin, end = nodes[:-1][:pairs], nodes[1:][:pairs]
        halves = np.arange(pairs)
        left, right = level[: 2 * pairs : 2], level[1 : 2 * pairs : 2]
        middle = (left[halves, begin, :] + right[halves, :, end]).argmin(axis=1)
        finer = np.empty(len(level) + 1, dtype=np.int64)
        finer[: 2 * pairs : 2] = begin
        finer[1 : 2 * pairs : 2] = middle
        finer[2 * pairs :] = nodes[pairs:]
        nodes = finer
    return cost, nodes


def _by_spans(enter: Floats, cross: Floats, work: Floats, local: Floats) -> tuple[float, Integers]:
    """Return the least cost of a path of spans and its device for each layer.

    Parameters
    ----------
    enter
        Cost of the first stage's beginning by device.
    cross
        Cost of a new stage after each layer, shape (layers - 1, devices, devices).
    work
        Cost of the span first … last by device, shape (layers, layers, devices).
    local
        Cost of each layer by device, shape (layers, devices).
    """
    layers, count = local.shape
    done = np.full((layers, count), np.inf)
    began = np.zeros((layers, count), dtype=np.int64)
    came = np.zeros((layers, count), dtype=np.int64)
    arriving = enter
    each = np.arange(count)
    for first in range(layers):
        if first:
            ways = done[first - 1][:, None] + cross[first - 1]
            came[first] = ways.argmin(axis=0)
            arriving = ways[came[first], each]
        costs = arriving + np.cumsum(local[first:], axis=0) + work[first, first:]
        better = costs < done[first:]
        done[first:][better] = costs[better]
        began[first:][better] = first
    device = int(done[-1].argmin())
    cost = float(done[-1, device])
    devices = np.empty(layers, dtype=np.int64)
    last = layers - 1
    while last >= 0 and np.isfinite(cost):
        first = int(began[last, device])
        devices[first : last + 1] = device
        device, last = int(came[first, device]), first - 1
    return cost, devices
