"""The price of one request along one route, by the rules of DESIGN §4.

`route_price` walks the request through its stages and lists its transfers by the rules (i) to
(iii); executing a plan and checking its limits both go by that list.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from edgeplan.model.network import Network, Tensor, stages
from edgeplan.model.plan import Route
from edgeplan.model.problem import Problem, Stream


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Bytes that cross one link for one reason.

    Parameters
    ----------
    source, target
        The link's ends.
    tensors
        Names of what crosses; empty where only the latency is charged.
    bytes, seconds
        Volume for one request, and time with the latencies charged (for the route's batch).
    busy_seconds
        Time that the link is busy with the bytes: the time without the latencies.
    wait_seconds
        Mean time in the link's queue.
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    bytes: int
    seconds: float
    busy_seconds: float
    wait_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class StagePrice:
    """One stage of a route.

    Parameters
    ----------
    device, first, stop
        It runs layers ``first`` to ``stop - 1`` on the device.
    seconds
        Time of its compute, for the whole batch of the route.
    joules, dollars
        Of its compute, per request. Joules are above idle where the device charges idle.
    transfers
        What arrives before it starts.
    cv2
        Squared coefficient of variation of its time.
    wait_seconds
        Mean time in the device's queue.
    """

    device: str
    first: int
    stop: int
    seconds: float
    joules: float
    dollars: float
    transfers: tuple[Transfer, ...]
    cv2: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class RoutePrice:
    """One request along one route.

    Parameters
    ----------
    fraction
        Share of the stream's requests.
    stages
        In order.
    returned
        Transfers of the results to the origin.
    latency_seconds
        All charges added, waiting included.
    device_joules
        Energy drawn at each device: compute, sending, receiving, the origin's waiting.
    dollars
        Compute, fees, traffic (energy and provisioned prices are added by the evaluation).
    occupied_seconds
        Time that transfers keep devices busy, for those that they occupy.
    batch
        Requests that travel the route together; devices and links serve them as one job.
    fill_seconds
        Mean time that a request waits until its batch is complete.
    wait_seconds
        All waiting: for the batch and in queues.
    tails
        (probability, seconds): in so much time that share of the requests is served.
    """

    fraction: float
    stages: tuple[StagePrice, ...]
    returned: tuple[Transfer, ...]
    latency_seconds: float
    device_joules: tuple[tuple[str, float], ...]
    dollars: float
    occupied_seconds: tuple[tuple[str, float], ...] = ()
    batch: int = 1
    fill_seconds: float = 0.0
    wait_seconds: float = 0.0
    tails: tuple[tuple[float, float], ...] = ()

    @property
    def transfers(self) -> Iterator[Transfer]:
        """All transfers in order."""
        for stage in self.stages:
            yield from stage.transfers
        yield from self.returned


def route_price(problem: Problem, stream: Stream, route: Route) -> RoutePrice:
    """Price one request along one route.

    The origin is stage 0. For consecutive stages a → b on different devices: (i) one latency
    of link a→b; (ii) each tensor that the stage needs and b neither produced nor received in
    this request, over the link from its producer (a graph input: from its home; homed off the
    origin it also pays that link's latency, once per destination). (iii) Results that the
    origin does not hold return, with one latency per distinct producing device. Waiting in
    queues depends on the other requests: `edgeplan.model.queueing` adds it.

    A batch of b requests is one job: its stages take the times of the profile's batch b, its
    transfers b times the bytes. Its first request waits until b − 1 more have come, its last not
    at all: (b − 1) / 2 times the mean time between the requests of the route.

    Parameters
    ----------
    problem
        Has devices, links and networks.
    stream
        One of its streams.
    route
        A device for each layer of the stream's network, as `Plan.check` holds them.

    Returns
    -------
    RoutePrice
        Seconds, joules and dollars of one request; ``inf`` seconds where a device has no time
        for a stage or a link is missing.
    """
    network = problem.network[stream.network]
    held: dict[str, set[str]] = defaultdict(set)
    for tensor in network.inputs:
        held[stream.homes.get(tensor.name, stream.origin)].add(tensor.name)
    priced = []
    previous = stream.origin
    for device, first, stop in stages(route.devices):
        transfers = tuple(
            _arrivals(problem, stream, network, route, previous, device, first, stop, held)
        )
        held[device].update(
            network.tensors[index].name for made in network.made_by[first:stop] for index in made
        )
        priced.append(_stage_price(problem, network, device, first, stop, route.batch, transfers))
        previous = device
    returned = tuple(_returns(problem, stream, network, route, held)) if stream.returns else ()

    joules: dict[str, float] = defaultdict(float)
    dollars = 0.0
    compute: dict[str, float] = defaultdict(float)
    for stage in priced:
        compute[stage.device] += stage.seconds
        joules[stage.device] += stage.joules
        dollars += stage.dollars + problem.device[stage.device].dollars_per_request
    every = [transfer for stage in priced for transfer in stage.transfers] + list(returned)
    for transfer in every:
        link = problem.link.get((transfer.source, transfer.target))
        if link is not None:
            joules[link.source] += transfer.bytes * link.send_joules_per_byte
            joules[link.target] += transfer.bytes * link.receive_joules_per_byte
            dollars += transfer.bytes * link.dollars_per_byte
    fill = (route.batch - 1) / (2 * stream.rate_per_second * route.fraction)
    latency = math.fsum([*(s.seconds for s in priced), *(t.seconds for t in every), fill])
    origin = problem.device[stream.origin]
    if stream.waits and not origin.charge_idle and origin.idle_watts:
        # A route that cannot run waits forever (inf - inf would be no number).
        waited = latency - compute[origin.name] if math.isfinite(latency) else math.inf
        joules[origin.name] += origin.idle_watts * waited
    return RoutePrice(
        fraction=route.fraction,
        stages=tuple(priced),
        returned=returned,
        latency_seconds=latency,
        device_joules=tuple(joules.items()),
        dollars=dollars,
        occupied_seconds=tuple(_occupied(problem, network, every).items()),
        batch=route.batch,
        fill_seconds=fill,
        wait_seconds=fill,
    )


def _occupied(problem: Problem, network: Network, transfers: list[Transfer]) -> dict[str, float]:
    """Return the time that transfers keep devices busy, for the devices that they occupy.

    A tensor counts once where it is sent from, for the slowest of the links that it takes, and
    once at each device that receives it.
    """
    occupied = {d.name: 0.0 for d in problem.devices if d.transfers == "occupy"}
    if not occupied:
        return occupied
    tensors = {tensor.name: tensor for tensor in network.tensors}
    sent: dict[tuple[str, str], float] = {}
    for transfer in transfers:
        link = problem.link.get((transfer.source, transfer.target))
        for name in transfer.tensors:
            seconds = math.inf if link is None else tensors[name].seconds_at(link.bytes_per_second)
            if transfer.source in occupied:
                key = (transfer.source, name)
                sent[key] = max(seconds, sent.get(key, 0.0))
            if transfer.target in occupied:
                occupied[transfer.target] += seconds
    for (source, _), seconds in sent.items():
        occupied[source] += seconds
    return occupied


def _stage_price(
    problem: Problem,
    network: Network,
    name: str,
    first: int,
    stop: int,
    batch: int,
    transfers: tuple[Transfer, ...],
) -> StagePrice:
    device = problem.device[name]
    costs = network.costs.get(name)
    costs = None if costs is None else costs.job(batch)
    seconds = math.inf if costs is None else costs.stage_seconds(first, stop)
    joules = None if costs is None else costs.stage_joules(first, stop)
    dollars = None if costs is None else costs.stage_dollars(first, stop)
    return StagePrice(
        device=name,
        first=first,
        stop=stop,
        seconds=seconds,
        joules=(times(device.compute_watts, seconds) if joules is None else joules) / batch,
        dollars=(times(device.dollars_per_second, seconds) if dollars is None else dollars) / batch,
        transfers=transfers,
        cv2=0.0 if costs is None else costs.stage_cv2(first, stop),
    )


def times(price: float, amount: float) -> float:
    """Return price × amount; what has no price costs nothing, even an infinite amount."""
    return price * amount if price else 0.0


def _arrivals(
    problem: Problem,
    stream: Stream,
    network: Network,
    route: Route,
    previous: str,
    device: str,
    first: int,
    stop: int,
    held: dict[str, set[str]],
) -> Iterator[Transfer]:
    """Yield rules (i) and (ii): one transfer per link, and mark the tensors as held."""
    latencies: dict[str, int] = defaultdict(int)
    if previous != device:
        latencies[previous] += 1
    tensors: dict[str, list[Tensor]] = defaultdict(list)
    # In the order of the network's tensors, whichever layer reads them first.
    for index in sorted({index for read in network.read_by[first:stop] for index in read}):
        tensor = network.tensors[index]
        made_here = tensor.producer is not None and first <= tensor.producer < stop
        if made_here or tensor.name in held[device]:
            continue
        if tensor.producer is None:
            source = stream.homes.get(tensor.name, stream.origin)
            if source != stream.origin:
                latencies[source] += 1
        else:
            source = route.devices[tensor.producer]
        tensors[source].append(tensor)
        held[device].add(tensor.name)
    for source in dict.fromkeys([*latencies, *tensors]):
        yield _transfer(problem, source, device, tensors[source], latencies[source], route.batch)


def _returns(
    problem: Problem,
    stream: Stream,
    network: Network,
    route: Route,
    held: dict[str, set[str]],
) -> Iterator[Transfer]:
    """Yield rule (iii): results that the origin does not hold, one transfer per producer."""
    tensors: dict[str, list[Tensor]] = defaultdict(list)
    for tensor in network.outputs:
        if tensor.name in held[stream.origin]:
            continue
        if tensor.producer is None:
            tensors[stream.homes.get(tensor.name, stream.origin)].append(tensor)
        else:
            tensors[route.devices[tensor.producer]].append(tensor)
    for source, group in tensors.items():
        yield _transfer(problem, source, stream.origin, group, 1, route.batch)


def _transfer(
    problem: Problem,
    source: str,
    target: str,
    tensors: list[Tensor],
    latencies: int,
    batch: int,
) -> Transfer:
    volume = sum(tensor.bytes for tensor in tensors)
    link = problem.link.get((source, target))
    if link is None:
        busy = seconds = math.inf
    else:
        stated = math.fsum(t.transfer_seconds for t in tensors if t.transfer_seconds is not None)
        moved = sum(tensor.bytes for tensor in tensors if tensor.transfer_seconds is None)
        busy = batch * (stated + moved / link.bytes_per_second)
        seconds = latencies * link.latency_seconds + busy
    return Transfer(
        source=source,
        target=target,
        tensors=tuple(tensor.name for tensor in tensors),
        bytes=volume,
        seconds=seconds,
        busy_seconds=busy,
    )
