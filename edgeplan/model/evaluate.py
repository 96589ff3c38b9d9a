"""The price of a plan, by the rules of DESIGN §4. Knows no solver and no formulation.

The code follows the rules one by one: `route_price` walks a request along a route (stages,
transfers (i)–(iii)); `evaluate` adds the streams up, charges what belongs to devices that are
on, and checks every limit.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.network import Network, Tensor, stages
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem, Stream

RELATIVE_TOLERANCE = 1e-6
"""A limit counts as broken when it is exceeded by more than this share of it."""

ViolationKind = Literal[
    "cannot run",
    "no link",
    "privacy",
    "pin",
    "ban",
    "memory",
    "device capacity",
    "link capacity",
    "deadline",
    "device power",
    "power budget",
    "money budget",
]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A limit that a plan breaks.

    Parameters
    ----------
    kind
        Which rule.
    place
        The stream, device or link it concerns.
    message
        In words, with numbers.
    value, limit
        What the plan has and what is allowed, in SI units; ``None`` where not numbers.
    """

    kind: ViolationKind
    place: str
    message: str
    value: float | None = None
    limit: float | None = None


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
        Volume, and time with the latencies charged.
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class StagePrice:
    """One stage of a route.

    Parameters
    ----------
    device, first, stop
        It runs layers ``first`` to ``stop - 1`` on the device.
    seconds, joules, dollars
        Of its compute. Joules are above idle where the device charges idle.
    transfers
        What arrives before it starts.
    """

    device: str
    first: int
    stop: int
    seconds: float
    joules: float
    dollars: float
    transfers: tuple[Transfer, ...]


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
        All charges added.
    device_joules
        Energy drawn at each device: compute, sending, receiving, the origin's waiting.
    dollars
        Compute, fees, traffic (energy and provisioned prices are added by the evaluation).
    """

    fraction: float
    stages: tuple[StagePrice, ...]
    returned: tuple[Transfer, ...]
    latency_seconds: float
    device_joules: tuple[tuple[str, float], ...]
    dollars: float

    @property
    def transfers(self) -> Iterator[Transfer]:
        """All transfers in order."""
        for stage in self.stages:
            yield from stage.transfers
        yield from self.returned


@dataclass(frozen=True, kw_only=True)
class StreamPrice:
    """Mean price of a request of one stream, its share of devices that are on included."""

    name: str
    latency_seconds: float
    energy_joules: float
    cost_dollars: float
    routes: tuple[RoutePrice, ...]


@dataclass(frozen=True, kw_only=True)
class DeviceLoad:
    """What a plan asks of a device.

    Parameters
    ----------
    on
        Whether it keeps weights (and so serves).
    utilisation
        Busy share of each replica.
    memory_bytes
        Resident weights and the largest peak activation, per replica.
    watts
        Mean power, idle included where it is charged.
    """

    name: str
    on: bool
    utilisation: float
    memory_bytes: int
    watts: float


@dataclass(frozen=True, kw_only=True)
class LinkLoad:
    """What a plan asks of a link: busy share and bytes per second."""

    name: str
    utilisation: float
    bytes_per_second: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The price of a plan: never computed by a solver.

    Parameters
    ----------
    latency_seconds, energy_joules, cost_dollars
        Aggregated over the streams as the objective says; ``inf`` where the plan cannot run.
    objective
        Their weighted sum.
    violations
        Every limit that the plan breaks.
    streams, devices, links
        The same in detail.
    """

    latency_seconds: float
    energy_joules: float
    cost_dollars: float
    objective: float
    violations: tuple[Violation, ...]
    streams: tuple[StreamPrice, ...]
    devices: tuple[DeviceLoad, ...]
    links: tuple[LinkLoad, ...]

    @property
    def feasible(self) -> bool:
        """Whether the plan breaks no limit."""
        return not self.violations


def evaluate(problem: Problem, plan: Plan) -> Evaluation:
    """Price a plan and check every limit.

    Parameters
    ----------
    problem
        What was to be planned.
    plan
        Routes for each of its streams.

    Returns
    -------
    Evaluation
        Prices and violations; an infeasible plan is priced too.

    Raises
    ------
    InputError
        If the plan does not speak of this problem (unknown names, wrong lengths, fractions).
    """
    plan.check(problem)
    routes = {
        stream.name: tuple(
            route_price(problem, stream, route) for route in plan.routes[stream.name]
        )
        for stream in problem.streams
    }
    kept = plan.kept(problem)
    rate = problem.total_rate

    # Per second: busy time, joules and dollars of each device, busy time and bytes of each link.
    busy: dict[str, float] = defaultdict(float)
    watts: dict[str, float] = defaultdict(float)
    link_busy: dict[tuple[str, str], float] = defaultdict(float)
    link_bytes: dict[tuple[str, str], float] = defaultdict(float)
    spending = 0.0
    for stream in problem.streams:
        for price in routes[stream.name]:
            weight = stream.rate_per_second * price.fraction
            spending += weight * price.dollars
            for stage in price.stages:
                busy[stage.device] += weight * stage.seconds
            for device_name, joules in price.device_joules:
                watts[device_name] += weight * joules
            for transfer in price.transfers:
                link = problem.link.get((transfer.source, transfer.target))
                if link is not None:
                    key = (link.source, link.target)
                    link_busy[key] += weight * transfer.bytes / link.bytes_per_second
                    link_bytes[key] += weight * transfer.bytes

    # A device that is on costs its idle power (where charged) and its provisioned price,
    # shared by all requests.
    idle_watts = 0.0
    fixed_spending = 0.0
    for device in problem.devices:
        if kept[device.name]:
            fixed_spending += device.replicas * device.dollars_per_hour / 3600
            if device.charge_idle:
                idle = device.replicas * device.idle_watts
                watts[device.name] += idle
                idle_watts += idle
                fixed_spending += idle * device.dollars_per_joule

    streams = []
    for stream in problem.streams:
        prices = routes[stream.name]
        electricity = math.fsum(
            price.fraction * _times(problem.device[name].dollars_per_joule, joules)
            for price in prices
            for name, joules in price.device_joules
        )
        dollars = math.fsum(price.fraction * price.dollars for price in prices)
        spending += stream.rate_per_second * electricity
        streams.append(
            StreamPrice(
                name=stream.name,
                latency_seconds=math.fsum(p.fraction * p.latency_seconds for p in prices),
                energy_joules=math.fsum(
                    p.fraction * joules for p in prices for _, joules in p.device_joules
                )
                + idle_watts / rate,
                cost_dollars=dollars + electricity + fixed_spending / rate,
                routes=prices,
            )
        )
    spending += fixed_spending

    devices = tuple(
        DeviceLoad(
            name=device.name,
            on=bool(kept[device.name]),
            utilisation=busy[device.name] / device.replicas,
            memory_bytes=_memory_bytes(problem, plan, device.name, kept[device.name]),
            watts=watts[device.name],
        )
        for device in problem.devices
    )
    links = tuple(
        LinkLoad(
            name=link.name,
            utilisation=link_busy[link.source, link.target],
            bytes_per_second=link_bytes[link.source, link.target],
        )
        for link in problem.links
    )
    totals = [
        math.fsum(
            problem.share(problem.stream[price.name]) * getattr(price, key) for price in streams
        )
        for key in ("latency_seconds", "energy_joules", "cost_dollars")
    ]
    violations = [
        *(
            violation
            for stream in problem.streams
            for violation in _route_violations(
                problem, stream, plan.routes[stream.name], routes[stream.name]
            )
        ),
        *_limit_violations(problem, tuple(streams), devices, links, spending),
    ]
    return Evaluation(
        latency_seconds=totals[0],
        energy_joules=totals[1],
        cost_dollars=totals[2],
        objective=problem.objective.value(*totals),
        violations=tuple(violations),
        streams=tuple(streams),
        devices=devices,
        links=links,
    )


def with_tolerance(problem: Problem) -> Problem:
    """Return the problem whose limits, read to the letter, are (nearly) those of `evaluate`.

    A solver that holds limits more strictly than the evaluator would call a plan infeasible, or
    a bound proved, that a plan of the evaluator's refutes: a deadline typed in from a price that
    was shown with six digits is enough. Solvers therefore search this problem.

    Parameters
    ----------
    problem
        The problem as stated.

    Returns
    -------
    Problem
        Every limit larger by 99 % of `RELATIVE_TOLERANCE`, so that a solver's own rounding (up
        to 1e-8 of a limit) stays within it; a utilisation cap stays below 1.

    Examples
    --------
    >>> from edgeplan.model.network import Layer, LayerCosts
    >>> from edgeplan.model.problem import Device
    >>> network = Network("n", (Layer(name="l"),), (), {"d": LayerCosts(seconds=(1.0,))})
    >>> stream = Stream(name="s", network="n", origin="d", deadline_seconds=2.0)
    >>> problem = Problem(networks=(network,), devices=(Device(name="d"),), streams=(stream,))
    >>> with_tolerance(problem).streams[0].deadline_seconds
    2.00000198
    """
    factor = 1 + 0.99 * RELATIVE_TOLERANCE
    below_one = math.nextafter(1.0, 0.0)
    return dataclasses.replace(
        problem,
        devices=tuple(
            dataclasses.replace(
                device,
                memory_bytes=device.memory_bytes * factor,
                power_budget_watts=device.power_budget_watts * factor,
                utilisation_cap=min(device.utilisation_cap * factor, below_one),
            )
            for device in problem.devices
        ),
        links=tuple(
            dataclasses.replace(link, utilisation_cap=min(link.utilisation_cap * factor, below_one))
            for link in problem.links
        ),
        streams=tuple(
            dataclasses.replace(stream, deadline_seconds=stream.deadline_seconds * factor)
            for stream in problem.streams
        ),
        budgets=dataclasses.replace(
            problem.budgets,
            power_watts=problem.budgets.power_watts * factor,
            dollars_per_hour=problem.budgets.dollars_per_hour * factor,
        ),
    )


def route_price(problem: Problem, stream: Stream, route: Route) -> RoutePrice:
    """Price one request along one route.

    The origin is stage 0. For consecutive stages a → b on different devices: (i) one latency
    of link a→b; (ii) each tensor that the stage needs and b neither produced nor received in
    this request, over the link from its producer (a graph input: from its home; homed off the
    origin it also pays that link's latency, once per destination). (iii) Results that the
    origin does not hold return, with one latency per distinct producing device.
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
            tensor.name
            for tensor in network.tensors
            if tensor.producer is not None and first <= tensor.producer < stop
        )
        priced.append(_stage_price(problem, network, device, first, stop, transfers))
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
    latency = math.fsum([*(stage.seconds for stage in priced), *(t.seconds for t in every)])
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
    )


def _stage_price(
    problem: Problem,
    network: Network,
    name: str,
    first: int,
    stop: int,
    transfers: tuple[Transfer, ...],
) -> StagePrice:
    device = problem.device[name]
    costs = network.costs.get(name)
    seconds = math.inf if costs is None else costs.stage_seconds(first, stop)
    joules = None if costs is None else costs.stage_joules(first, stop)
    dollars = None if costs is None else costs.stage_dollars(first, stop)
    return StagePrice(
        device=name,
        first=first,
        stop=stop,
        seconds=seconds,
        joules=_times(device.compute_watts, seconds) if joules is None else joules,
        dollars=_times(device.dollars_per_second, seconds) if dollars is None else dollars,
        transfers=transfers,
    )


def _times(price: float, amount: float) -> float:
    # What has no price costs nothing, even where the amount is infinite.
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
    for tensor in network.tensors:
        needed = any(first <= consumer < stop for consumer in tensor.consumers)
        made_here = tensor.producer is not None and first <= tensor.producer < stop
        if not needed or made_here or tensor.name in held[device]:
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
        yield _transfer(problem, source, device, tensors[source], latencies[source])


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
        yield _transfer(problem, source, stream.origin, group, 1)


def _transfer(
    problem: Problem, source: str, target: str, tensors: list[Tensor], latencies: int
) -> Transfer:
    volume = sum(tensor.bytes for tensor in tensors)
    link = problem.link.get((source, target))
    seconds = (
        math.inf
        if link is None
        else latencies * link.latency_seconds + volume / link.bytes_per_second
    )
    return Transfer(
        source=source,
        target=target,
        tensors=tuple(tensor.name for tensor in tensors),
        bytes=volume,
        seconds=seconds,
    )


def _memory_bytes(
    problem: Problem, plan: Plan, device: str, kept: frozenset[tuple[str, int]]
) -> int:
    weights = sum(problem.network[name].memory_bytes(index, device) for name, index in kept)
    activations = [problem.network[name].layers[index].activation_bytes for name, index in kept]
    return weights + max(activations, default=0)


def _route_violations(
    problem: Problem, stream: Stream, routes: tuple[Route, ...], prices: tuple[RoutePrice, ...]
) -> Iterator[Violation]:
    """Yield what a stream's routes break by themselves: times, links, pins, bans, privacy."""
    network = problem.network[stream.network]
    tagged = problem.tagged(stream)
    place = f"stream {stream.name}"
    found: dict[tuple[ViolationKind, str], None] = {}
    for route, price in zip(routes, prices, strict=True):
        for stage in price.stages:
            if math.isinf(stage.seconds):
                names = (
                    f"{network.layers[stage.first].name} … {network.layers[stage.stop - 1].name}"
                )
                found["cannot run", f"'{stage.device}' has no time for layers {names}"] = None
        for transfer in price.transfers:
            if (transfer.source, transfer.target) not in problem.link:
                found["no link", f"there is no link {transfer.source}->{transfer.target}"] = None
        for index, device in enumerate(route.devices):
            name = network.layers[index].name
            for pin in stream.pins:
                if (pin.layers is None or name in pin.layers) and device not in pin.devices:
                    text = f"layer '{name}' is on '{device}', pinned to {', '.join(pin.devices)}"
                    found["pin", text] = None
            for ban in stream.bans:
                if (ban.layers is None or name in ban.layers) and device in ban.devices:
                    found["ban", f"layer '{name}' is on '{device}', which is banned"] = None
        if stream.privacy is not None:
            for name, holder in _holders(stream, network, route, price):
                zone = problem.device[holder].zone
                if name in tagged and zone not in stream.privacy.zones:
                    text = f"tensor '{name}' enters '{holder}' in zone '{zone}'"
                    found["privacy", text] = None
    for kind, message in found:
        yield Violation(kind=kind, place=place, message=message)


def _holders(
    stream: Stream, network: Network, route: Route, price: RoutePrice
) -> Iterator[tuple[str, str]]:
    """Yield every (tensor, device) pair in which the device makes, reads or receives it."""
    for tensor in network.tensors:
        if tensor.producer is None:
            yield tensor.name, stream.homes.get(tensor.name, stream.origin)
        else:
            yield tensor.name, route.devices[tensor.producer]
        for consumer in tensor.consumers:
            yield tensor.name, route.devices[consumer]
    for transfer in price.transfers:
        for name in transfer.tensors:
            yield name, transfer.target


def _limit_violations(
    problem: Problem,
    streams: tuple[StreamPrice, ...],
    devices: tuple[DeviceLoad, ...],
    links: tuple[LinkLoad, ...],
    spending: float,
) -> Iterator[Violation]:
    for price in streams:
        limit = problem.stream[price.name].deadline_seconds
        yield from _exceeds("deadline", f"stream {price.name}", price.latency_seconds, limit, "s")
    for load in devices:
        device = problem.device[load.name]
        place = f"device {load.name}"
        yield from _exceeds("memory", place, load.memory_bytes, device.memory_bytes, "B")
        yield from _exceeds("device power", place, load.watts, device.power_budget_watts, "W")
        if problem.capacity == "utilisation":
            cap = device.utilisation_cap
            yield from _exceeds("device capacity", place, load.utilisation, cap, "busy")
    if problem.capacity == "utilisation":
        for link, used in zip(problem.links, links, strict=True):
            if link.contention == "shared":
                yield from _exceeds(
                    "link capacity",
                    f"link {link.name}",
                    used.utilisation,
                    link.utilisation_cap,
                    "busy",
                )
    power = math.fsum(load.watts for load in devices)
    yield from _exceeds("power budget", "all devices", power, problem.budgets.power_watts, "W")
    hourly = spending * 3600
    limit = problem.budgets.dollars_per_hour
    yield from _exceeds("money budget", "all streams", hourly, limit, "$/h")


def _exceeds(
    kind: ViolationKind, place: str, value: float, limit: float, unit: str
) -> Iterator[Violation]:
    if value > limit * (1 + RELATIVE_TOLERANCE):
        yield Violation(
            kind=kind,
            place=place,
            message=f"{value:.6g} {unit}, but at most {limit:.6g} {unit} allowed",
            value=value,
            limit=limit,
        )
