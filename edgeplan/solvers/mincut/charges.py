"""The charges of a problem on two devices as the arcs of an s-t cut.

Each layer of each stream is a node; the nodes on the source's side of a cut run on one device,
the others on the other. Every charge of DESIGN §4 is an amount that falls due in certain
assignments of nodes to sides, and the arcs are laid so that the least cut with given sides of
the layers adds up to exactly these amounts:

* what one layer costs on a device is an arc between its node and a terminal;
* what a change of device between consecutive layers costs (latency of the link, another stage)
  is an arc between their nodes;
* what is paid *once if any* of several layers is on a side (a tensor sent to all its readers
  there, the latency of results, a device that is on) hangs on an auxiliary node that such a
  layer pulls to that side by an arc without limit.

A result that its readers may bring to the origin is the hard case. Its request for the latency
of the link back falls due where *all* of some layers are off the origin, which a cut cannot
say by itself. It can where that request and another latency exclude each other, see
`_StreamCharges.results`; otherwise `unsolvable_results` names the result.

The prices that are put on amounts are a parameter (`StreamPrices`): the objective's for the cut
itself, others to bound what a plan can ask of a limit at the most (`CutGraph.largest`).

Notes
-----
Hu, Bao, Wang, Liu: Dynamic adaptive DNN surgery for inference acceleration on the edge, INFOCOM
2019, cut a network's DAG between an edge and a cloud. Kolmogorov, Zabih: What energy functions
can be minimized via graph cuts?, TPAMI 26 (2004), say which charges are cuts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgeplan.model.network import LayerCosts, Network, Tensor
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.mincut.graph import FAR, NEAR, SIDES, SINK, SOURCE, CutGraph
from edgeplan.solvers.route_costs import on_objective


@dataclass(frozen=True, kw_only=True)
class StreamPrices:
    """What amounts that one request of a stream asks for are worth.

    Parameters
    ----------
    latency
        Per second of latency.
    busy
        Per second of compute, by device. Where transfers occupy the device, per second of each
        transfer too, which is no less than what the evaluator counts.
    load
        Per second that tensors keep a link busy, by (source, target).
    joule
        Per joule drawn at a device, electricity included where money is priced.
    dollar
        Per dollar, without electricity.
    """

    latency: float = 0.0
    busy: Mapping[str, float] = field(default_factory=dict)
    load: Mapping[tuple[str, str], float] = field(default_factory=dict)
    joule: Mapping[str, float] = field(default_factory=dict)
    dollar: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of what streams ask for, and of each device's being on; absent ones are 0."""

    streams: Mapping[str, StreamPrices] = field(default_factory=dict)
    on: Mapping[str, float] = field(default_factory=dict)


def objective_prices(problem: Problem) -> Prices:
    """Return the prices under which amounts add up to the problem's objective."""
    second, joule, dollar = problem.objective.prices
    return Prices(
        streams={
            stream.name: StreamPrices(
                latency=problem.share(stream) * second,
                joule={
                    device.name: problem.share(stream) * (joule + dollar * device.dollars_per_joule)
                    for device in problem.devices
                },
                dollar=problem.share(stream) * dollar,
            )
            for stream in problem.streams
        },
        on={device.name: on_objective(problem, device) for device in problem.devices},
    )


def usable_devices(problem: Problem) -> tuple[str, ...]:
    """Return the devices on which some layer of some stream may run, in the problem's order."""
    usable = {
        device
        for stream in problem.streams
        for devices in problem.allowed(stream)
        for device in devices
    }
    return tuple(device.name for device in problem.devices if device.name in usable)


def cut_devices(problem: Problem) -> tuple[str, str] | None:
    """Return the two devices between which to cut; ``None`` where there are not two.

    Devices on which no layer may run are left out of the count: they can be origins or homes of
    inputs. Where rules leave fewer than two, others that the problem has stand in.
    """
    usable = usable_devices(problem)
    spare = (device.name for device in problem.devices if device.name not in usable)
    pair = tuple(itertools.islice(itertools.chain(usable, spare), max(2, len(usable))))
    return (pair[0], pair[1]) if len(pair) == 2 else None


def build(problem: Problem, prices: Prices) -> CutGraph:
    """Lay out the graph whose cuts are the plans, at given prices.

    Parameters
    ----------
    problem
        With cost form ``layers`` and one route per stream; limits are left out.
    prices
        Of the amounts, not negative; streams without prices are left out.

    Returns
    -------
    CutGraph
        For plans that can run, the least cut with the plan's sides is what the plan adds up to;
        where `unsolvable_results` has something to say, it is no less. For plans that cannot
        run it is infinite.

    Raises
    ------
    ValueError
        If the problem has no two devices to cut between.
    """
    devices = cut_devices(problem)
    if devices is None:
        raise ValueError("a cut is between two devices")
    graph = CutGraph(devices=devices)
    streams = [stream for stream in problem.streams if stream.name in prices.streams]
    for stream in streams:
        graph.layers[stream.name] = graph.add(len(problem.network[stream.network].layers))
    every = range(2, graph.nodes)
    for stream in streams:
        _StreamCharges(problem, stream, prices.streams[stream.name], graph).fill()
    for side in SIDES:
        graph.when_any(every, side, prices.on.get(devices[side], 0.0))
    return graph


def unsolvable_results(problem: Problem, prices: Prices) -> tuple[tuple[str, str], ...]:
    """Return the (stream, result) whose latency back to the origin is not a cut."""
    devices = cut_devices(problem)
    if devices is None:
        return ()
    return tuple(
        (stream.name, name)
        for stream in problem.streams
        if stream.name in prices.streams
        for group in _StreamCharges(
            problem, stream, prices.streams[stream.name], CutGraph(devices=devices)
        ).replies()
        for name in group.unsolvable
    )


@dataclass(frozen=True)
class _Brought:
    """A result, the layer that makes it, and the readers that may bring it to the origin."""

    name: str
    producer: int | None
    readers: tuple[int, ...]


@dataclass(frozen=True)
class _Reply:
    """The results that may return to a stream's origin from one device, over one latency.

    Parameters
    ----------
    source
        Where they are made, or a graph input that is a result lies.
    charge
        Of the latency.
    always
        Whether the latency falls due in any case.
    plain
        Layers any of which asks for the latency by running on ``source``.
    brought
        Results for which either the readers bring them to the origin, at this same latency, or
        they ask for it. One for each producer, and each graph input.
    unsolvable
        Names of results whose readers may bring them by other ways.
    """

    source: str
    charge: float
    always: bool
    plain: tuple[int, ...]
    brought: tuple[_Brought, ...]
    unsolvable: tuple[str, ...]


class _StreamCharges:
    """Lays out the charges of one stream."""

    def __init__(
        self, problem: Problem, stream: Stream, prices: StreamPrices, graph: CutGraph
    ) -> None:
        self.problem = problem
        self.stream = stream
        self.network: Network = problem.network[stream.network]
        self.prices = prices
        self.graph = graph
        self.allowed = problem.allowed(stream)
        self.first = graph.layers.get(stream.name, 0)
        origin = problem.device[stream.origin]
        waits = stream.waits and not origin.charge_idle
        idle = origin.idle_watts * prices.joule.get(origin.name, 0.0) if waits else 0.0
        self.waiting = prices.latency + idle
        """Price of a second of latency other than compute at the origin."""

    # -- amounts -----------------------------------------------------------------------------

    def compute(
        self, device: str, seconds: float, joules: float | None, dollars: float | None
    ) -> float:
        """Return the price of compute on a device; joules and dollars where they are stated."""
        machine = self.problem.device[device]
        if joules is None:
            joules = machine.compute_watts * seconds
        if dollars is None:
            dollars = machine.dollars_per_second * seconds
        second = self.prices.latency if device == self.stream.origin else self.waiting
        return math.fsum(
            (
                (second + self.prices.busy.get(device, 0.0)) * seconds,
                self.prices.joule.get(device, 0.0) * joules,
                self.prices.dollar * dollars,
            )
        )

    def layer(self, index: int, device: str) -> float:
        """Return the price of a layer on a device, ``inf`` where it may not run there."""
        if device not in self.allowed[index]:
            return math.inf
        costs = self.costs(device)
        return self.compute(
            device,
            costs.seconds[index],
            None if costs.joules is None else costs.joules[index],
            None if costs.dollars is None else costs.dollars[index],
        )

    def stage(self, device: str) -> float:
        """Return the price of one more stage on a device: its boundary, and the fee."""
        if device not in self.network.costs:
            return math.inf
        costs = self.costs(device)
        boundary = self.compute(
            device,
            costs.boundary_seconds,
            None if costs.joules is None else 0.0,
            None if costs.dollars is None else 0.0,
        )
        return boundary + self.prices.dollar * self.problem.device[device].dollars_per_request

    def costs(self, device: str) -> LayerCosts:
        costs = self.network.costs[device]
        if not isinstance(costs, LayerCosts):
            raise TypeError("a cut needs the cost form 'layers'")
        return costs

    def latency(self, source: str, target: str) -> float:
        """Return the price of a link's latency; ``inf`` where there is no link."""
        link = self.problem.link.get((source, target))
        return math.inf if link is None else self.waiting * link.latency_seconds

    def carry(self, source: str, target: str, tensor: Tensor) -> float:
        """Return the price of moving a tensor over a link; ``inf`` where there is no link."""
        link = self.problem.link.get((source, target))
        if link is None:
            return math.inf
        busy = math.fsum(
            self.prices.busy.get(end, 0.0)
            for end in (source, target)
            if self.problem.device[end].transfers == "occupy"
        )
        second = self.waiting + self.prices.load.get((source, target), 0.0) + busy
        return math.fsum(
            (
                second * tensor.seconds_at(link.bytes_per_second),
                self.prices.joule.get(source, 0.0) * (tensor.bytes * link.send_joules_per_byte),
                self.prices.joule.get(target, 0.0) * (tensor.bytes * link.receive_joules_per_byte),
                self.prices.dollar * (tensor.bytes * link.dollars_per_byte),
            )
        )

    # -- charges -----------------------------------------------------------------------------

    def node(self, layer: int) -> int:
        return self.first + layer

    def nodes(self, layers: Iterable[int]) -> tuple[int, ...]:
        return tuple(self.first + layer for layer in layers)

    def fill(self) -> None:
        """Lay the arcs of every charge of the stream."""
        replies = tuple(self.replies())
        self.places()
        self.share()
        self.steps(
            {b.producer for reply in replies for b in reply.brought if b.producer is not None}
        )
        for tensor in self.network.tensors:
            if tensor.producer is None:
                self.supply(tensor, replies)
            else:
                self.send(tensor, tensor.producer)
        for reply in replies:
            self.results(reply)

    def places(self) -> None:
        """Charge each layer where it runs, and the first stage."""
        for side, device in enumerate(self.graph.devices):
            for index in range(len(self.network.layers)):
                self.graph.when(self.node(index), side, self.layer(index, device))
            self.graph.when(self.node(0), side, self.stage(device))
            if device != self.stream.origin:
                self.graph.when(self.node(0), side, self.latency(self.stream.origin, device))

    def share(self) -> None:
        """Keep together the layers that share a device."""
        for group in self.problem.groups(self.stream):
            for one, other in itertools.pairwise(self.nodes((*group, group[0]))):
                self.graph.apart(one, NEAR, other, math.inf)

    def steps(self, brought: set[int]) -> None:
        """Charge each change of device between consecutive layers.

        After the layers in ``brought`` the latency to the origin is charged with the results.
        """
        for side, source in enumerate(self.graph.devices):
            target = self.graph.devices[1 - side]
            linked = (source, target) in self.problem.link
            for index in range(len(self.network.layers) - 1):
                charge = self.stage(target)
                if not linked or target != self.stream.origin or index not in brought:
                    charge += self.latency(source, target)
                self.graph.apart(self.node(index), side, self.node(index + 1), charge)

    def send(self, tensor: Tensor, producer: int) -> None:
        """Charge a tensor's way once where it is read, and where it returns."""
        for side, source in enumerate(self.graph.devices):
            target = self.graph.devices[1 - side]
            returned = self.returned(tensor) and source != self.stream.origin
            if returned:
                charge = self.carry(source, self.stream.origin, tensor)
                self.graph.when(self.node(producer), side, charge)
            if not returned or target != self.stream.origin:
                readers = self.nodes(tensor.consumers)
                charge = self.carry(source, target, tensor)
                self.graph.any_apart(self.node(producer), side, readers, charge)

    def supply(self, tensor: Tensor, replies: Sequence[_Reply]) -> None:
        """Charge a graph input once where it is read away from its home, and where it returns."""
        home = self.home(tensor)
        distant = home != self.stream.origin
        returned = self.returned(tensor) and distant
        if returned:
            self.graph.always(self.carry(home, self.stream.origin, tensor))
        brought = any(b.name == tensor.name for reply in replies for b in reply.brought)
        for side, device in enumerate(self.graph.devices):
            if device == home or not tensor.consumers:
                continue
            lands = returned and device == self.stream.origin
            charge = 0.0 if lands else self.carry(home, device, tensor)
            if distant and not (lands and brought):
                charge += self.latency(home, device)
            self.graph.when_any(self.nodes(tensor.consumers), side, charge)

    # -- results -----------------------------------------------------------------------------

    def home(self, tensor: Tensor) -> str:
        return self.stream.homes.get(tensor.name, self.stream.origin)

    def returned(self, tensor: Tensor) -> bool:
        return self.stream.returns and tensor.output

    def readers_at_origin(self, tensor: Tensor) -> tuple[int, ...]:
        """Return the readers of a tensor that may run at the origin, as layers."""
        return tuple(c for c in tensor.consumers if self.stream.origin in self.allowed[c])

    def replies(self) -> Iterator[_Reply]:
        """Yield, for each device that results may return from, what asks for the latency."""
        origin = self.stream.origin
        results = [tensor for tensor in self.network.outputs if self.stream.returns]
        homes = [self.home(tensor) for tensor in results if tensor.producer is None]
        for source in dict.fromkeys((*self.graph.devices, *homes)):
            if source != origin:
                charge = self.latency(source, origin)
                if charge and math.isfinite(charge):  # without a link the bytes are forbidden
                    yield self.reply(source, charge, results)

    def reply(self, source: str, charge: float, results: Iterable[Tensor]) -> _Reply:
        origin = self.stream.origin
        always = False
        plain: dict[int, None] = {}
        open_results: list[Tensor] = []
        for tensor in results:
            made = tensor.producer
            here = self.home(tensor) == source if made is None else source in self.allowed[made]
            if not here or any(self.allowed[c] == (origin,) for c in tensor.consumers):
                continue  # never made here, or in any case brought to the origin by a reader
            if self.readers_at_origin(tensor):
                open_results.append(tensor)
            elif made is None:
                always = True
            else:
                plain[made] = None
        brought: dict[int | str, _Brought] = {}
        unsolvable = []
        for tensor in open_results:
            made = tensor.producer
            ends = set(tensor.consumers) if made is None else {made, *tensor.consumers}
            if always or ends & plain.keys():
                continue  # where this one asks for the latency, another does too
            readers = self.readers_at_origin(tensor)
            if made is None or readers == (made + 1,):
                key = tensor.name if made is None else made
                brought[key] = _Brought(tensor.name, made, readers)
            else:
                unsolvable.append(tensor.name)
        return _Reply(
            source, charge, always, tuple(plain), tuple(brought.values()), tuple(unsolvable)
        )

    def results(self, reply: _Reply) -> None:
        """Charge the latency of results from one device, once.

        Let L be the latency's price and x = 1 for a layer off the origin. A *brought* result i
        asks for L where q_i = p·Πx over its readers is 1 (p: its producer is off the origin),
        and where p is 1 and q_i is 0 a reader brings it at the same L, which nothing else
        charges. With u = 1 where a plain result asks for L, the sum is

            L·Σ(p_i − q_i) + L·max(u, q_1, q_2, …) = L·(Σp_i + u − max(0, u + Σq_i − 1)).

        The last term is a least one over an auxiliary w, of L·w(1 − u − Σq_i), and −w·q_i over
        an auxiliary v_i, of v_i(number of factors − 1 − sum of factors): pairs of nodes only,
        each charged where they are apart. (Without plain results u is 0: the origin's side.)
        """
        graph, charge = self.graph, reply.charge
        side = 1 - graph.devices.index(self.stream.origin) if reply.brought else FAR
        if reply.source in graph.devices:
            side = graph.devices.index(reply.source)
        plain = self.nodes(reply.plain)
        for name in reply.unsolvable:
            made = next(t.producer for t in self.network.tensors if t.name == name)
            assert made is not None
            plain = tuple(dict.fromkeys((*plain, self.node(made))))  # no less than it can be
        if reply.always:
            graph.always(charge)
            return
        asks = graph.any_of(plain, side) if plain else (SINK, SOURCE)[side]
        if plain:
            graph.when(asks, side, charge)
        if not reply.brought:
            return
        saves = graph.add()
        graph.apart(saves, side, asks, charge)
        for result in reply.brought:
            factors = self.nodes(result.readers)
            if result.producer is None:
                graph.always(charge)
            else:
                factors = (self.node(result.producer), *factors)
                graph.when(factors[0], side, charge)
            product = graph.add()
            graph.offset.append(-charge)
            graph.when(product, 1 - side, charge)
            for factor in (saves, *factors):
                graph.apart(product, side, factor, charge)
