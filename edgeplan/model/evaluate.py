"""The price of a plan, by the rules of DESIGN §4. Knows no solver and no formulation.

`edgeplan.model.price` walks a request along a route (stages, transfers (i)–(iii)) and
`edgeplan.model.queueing` says how long it waits; `evaluate` adds the streams up, charges what
belongs to devices that are on, and checks every limit.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edgeplan.model.network import Network, quotient_cycle
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import RoutePrice, StagePrice, Transfer, route_price, times
from edgeplan.model.problem import Problem, Stream
from edgeplan.model.queueing import Basis, Queue, QueueKey, Wait, Waits, queues, visits, with_waits

__all__ = [
    "RELATIVE_TOLERANCE",
    "DeadlinePrice",
    "DeviceLoad",
    "Evaluation",
    "LinkLoad",
    "RoutePrice",
    "StagePrice",
    "StreamPrice",
    "Transfer",
    "Violation",
    "ViolationKind",
    "evaluate",
    "route_price",
    "with_tolerance",
]

RELATIVE_TOLERANCE = 1e-6
"""A limit counts as broken when it is exceeded by more than this share of it."""

ViolationKind = Literal[
    "cannot run",
    "no link",
    "privacy",
    "pin",
    "ban",
    "together",
    "contiguous",
    "memory",
    "device capacity",
    "link capacity",
    "deadline",
    "tail deadline",
    "device power",
    "power budget",
    "money budget",
    "min rate",
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
class DeadlinePrice:
    """A deadline and what the plan makes of it.

    Parameters
    ----------
    statistic
        ``mean``, or a percentile: ``p95``.
    limit_seconds, value_seconds
        What is allowed, and the plan's value: of a percentile the largest over the routes.
    basis
        Of a mean: ``exact`` or ``approximate`` as its waits are, ``none`` without waiting. Of a
        percentile: ``safe`` (an upper bound) where the mean is exact, else ``estimated``.
    """

    statistic: str
    limit_seconds: float
    value_seconds: float
    basis: str

    @property
    def slack_seconds(self) -> float:
        """What is left until the deadline; negative where it is broken."""
        return self.limit_seconds - self.value_seconds


@dataclass(frozen=True, kw_only=True)
class StreamPrice:
    """Mean price of a request of one stream, its share of devices that are on included.

    Parameters
    ----------
    basis
        Whether the waits in its latency are ``exact``, ``approximate``, or there are ``none``.
    wait_seconds
        Mean waiting in all, which the latency includes.
    tails
        (probability, seconds) of its slowest route: percentiles of its latency.
    deadlines
        Its deadlines, each with value and slack.
    """

    name: str
    latency_seconds: float
    energy_joules: float
    cost_dollars: float
    routes: tuple[RoutePrice, ...]
    basis: Basis = "none"
    wait_seconds: float = 0.0
    tails: tuple[tuple[float, float], ...] = ()
    deadlines: tuple[DeadlinePrice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DeviceLoad:
    """What a plan asks of a device.

    Parameters
    ----------
    on
        Whether it keeps weights (and so serves).
    utilisation
        Busy share of each replica, with the transfers that occupy it.
    period_seconds
        Seconds that each replica is busy per average request.
    memory_bytes
        Resident weights and the largest peak activation, per replica.
    watts
        Mean power, idle included where it is charged.
    replicas
        Copies while it is on.
    wait_seconds, decay_per_second
        Mean wait of a job here, and θ: it waits longer than x with a probability of at most
        e^{−θx}; ``None`` where nothing waits.
    basis
        Whether the mean wait is ``exact`` or ``approximate``; ``none`` where nothing waits.
    """

    name: str
    on: bool
    utilisation: float
    period_seconds: float
    memory_bytes: int
    watts: float
    replicas: int
    wait_seconds: float | None = None
    decay_per_second: float | None = None
    basis: Basis = "none"


@dataclass(frozen=True, kw_only=True)
class LinkLoad:
    """What a plan asks of a link: busy share, busy seconds per average request, bytes/s.

    The waits are as those of `DeviceLoad`.
    """

    name: str
    utilisation: float
    period_seconds: float
    bytes_per_second: float
    wait_seconds: float | None = None
    decay_per_second: float | None = None
    basis: Basis = "none"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The price of a plan: never computed by a solver.

    Parameters
    ----------
    latency_seconds, energy_joules, cost_dollars
        Aggregated over the streams as the objective says; ``inf`` where the plan cannot run.
    period_seconds
        Seconds per average request of the most loaded resource (device replica or loaded link):
        the inverse of the throughput, in requests of all streams in their proportions.
    bottleneck
        Name of that resource; ``None`` where nothing is loaded.
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
    period_seconds: float
    bottleneck: str | None
    objective: float
    violations: tuple[Violation, ...]
    streams: tuple[StreamPrice, ...]
    devices: tuple[DeviceLoad, ...]
    links: tuple[LinkLoad, ...]

    @property
    def feasible(self) -> bool:
        """Whether the plan breaks no limit."""
        return not self.violations


def evaluate(problem: Problem, plan: Plan, *, waits: Waits | None = None) -> Evaluation:
    """Price a plan and check every limit.

    Parameters
    ----------
    problem
        What was to be planned.
    plan
        Routes for each of its streams.
    waits
        Waits to price in place of those of the plan's own load, by queue: a program that knows
        waits only by levels is checked with them.

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
    crowd = queues(problem, plan, routes) if problem.waiting != "none" else {}
    if crowd:
        if waits is None:
            waits = {
                key: Wait(queue.mean_wait_seconds, queue.decay_per_second)
                for key, queue in crowd.items()
            }
        routes = {
            stream.name: tuple(
                with_waits(problem, stream, price, waits, split=len(routes[stream.name]) > 1)
                for price in routes[stream.name]
            )
            for stream in problem.streams
        }
    kept = plan.kept(problem)
    replicas = {device.name: plan.replica_count(device) for device in problem.devices}
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
                busy[stage.device] += weight * stage.seconds / price.batch
            for device_name, seconds in price.occupied_seconds:
                busy[device_name] += weight * seconds
            for device_name, joules in price.device_joules:
                watts[device_name] += weight * joules
            for transfer in price.transfers:
                link = problem.link.get((transfer.source, transfer.target))
                if link is not None:
                    key = (link.source, link.target)
                    link_busy[key] += weight * transfer.busy_seconds / price.batch
                    link_bytes[key] += weight * transfer.bytes

    # A device that is on costs its idle power (where charged) and its provisioned price,
    # shared by all requests.
    idle_watts = 0.0
    fixed_spending = 0.0
    for device in problem.devices:
        if kept[device.name]:
            fixed_spending += replicas[device.name] * device.dollars_per_hour / 3600
            if device.charge_idle:
                idle = replicas[device.name] * device.idle_watts
                watts[device.name] += idle
                idle_watts += idle
                fixed_spending += idle * device.dollars_per_joule

    streams = []
    for stream in problem.streams:
        prices = routes[stream.name]
        electricity = math.fsum(
            price.fraction * times(problem.device[name].dollars_per_joule, joules)
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
                **_timing(problem, stream, prices, crowd),
            )
        )
    spending += fixed_spending

    devices = tuple(
        DeviceLoad(
            name=device.name,
            on=bool(kept[device.name]),
            utilisation=busy[device.name] / replicas[device.name],
            period_seconds=busy[device.name] / replicas[device.name] / rate,
            memory_bytes=_memory_bytes(problem, plan, device.name, kept[device.name]),
            watts=watts[device.name],
            replicas=replicas[device.name],
            **_queue_fields(("device", device.name), crowd, waits),
        )
        for device in problem.devices
    )
    links = tuple(
        LinkLoad(
            name=link.name,
            utilisation=link_busy[link.source, link.target],
            period_seconds=link_busy[link.source, link.target] / rate,
            bytes_per_second=link_bytes[link.source, link.target],
            **_queue_fields(("link", link.name), crowd, waits),
        )
        for link in problem.links
    )
    latency, energy, cost = (
        math.fsum(
            problem.share(problem.stream[price.name]) * getattr(price, key) for price in streams
        )
        for key in ("latency_seconds", "energy_joules", "cost_dollars")
    )
    resources = [(load.period_seconds, load.name) for load in devices]
    resources += [
        (load.period_seconds, load.name)
        for link, load in zip(problem.links, links, strict=True)
        if problem.loads(link)
    ]
    period, bottleneck = max(resources, key=lambda item: item[0])
    violations = [
        *(
            violation
            for stream in problem.streams
            for violation in _route_violations(
                problem, stream, plan.routes[stream.name], routes[stream.name]
            )
        ),
        *_limit_violations(problem, tuple(streams), devices, links, spending),
        *_exceeds(
            "min rate", "all streams", period, problem.budgets.period_seconds, "s per request"
        ),
    ]
    return Evaluation(
        latency_seconds=latency,
        energy_joules=energy,
        cost_dollars=cost,
        period_seconds=period,
        bottleneck=bottleneck if period > 0 else None,
        objective=problem.objective.value(latency, energy, cost, period),
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
            dataclasses.replace(
                stream,
                deadline_seconds=stream.deadline_seconds * factor,
                tail_deadlines=tuple(
                    dataclasses.replace(tail, seconds=tail.seconds * factor)
                    for tail in stream.tail_deadlines
                ),
            )
            for stream in problem.streams
        ),
        budgets=dataclasses.replace(
            problem.budgets,
            power_watts=problem.budgets.power_watts * factor,
            dollars_per_hour=problem.budgets.dollars_per_hour * factor,
            min_rate_per_second=problem.budgets.min_rate_per_second / factor,
        ),
    )


def _timing(
    problem: Problem,
    stream: Stream,
    prices: tuple[RoutePrice, ...],
    crowd: Mapping[QueueKey, Queue],
) -> dict[str, Any]:
    """Return the fields of a stream's price that tell of waits and deadlines."""
    basis: Basis = "none"
    if crowd:
        queues_ = {visit.queue for price in prices for visit in visits(problem, price)}
        exact = all(crowd[queue].basis == "exact" for queue in queues_)
        basis = "exact" if exact else "approximate"
    slowest: dict[float, float] = {}
    for price in prices:
        for probability, seconds in price.tails:
            slowest[probability] = max(seconds, slowest.get(probability, 0.0))
    deadlines = []
    if math.isfinite(stream.deadline_seconds):
        mean = math.fsum(price.fraction * price.latency_seconds for price in prices)
        deadlines.append(
            DeadlinePrice(
                statistic="mean",
                limit_seconds=stream.deadline_seconds,
                value_seconds=mean,
                basis=basis,
            )
        )
    deadlines += [
        DeadlinePrice(
            statistic=tail.statistic,
            limit_seconds=tail.seconds,
            value_seconds=slowest[tail.probability],
            basis="safe" if basis == "exact" else "estimated",
        )
        for tail in stream.tail_deadlines
    ]
    return {
        "basis": basis,
        "wait_seconds": math.fsum(price.fraction * price.wait_seconds for price in prices),
        "tails": tuple(slowest.items()),
        "deadlines": tuple(deadlines),
    }


def _queue_fields(
    key: QueueKey, crowd: Mapping[QueueKey, Queue], waits: Waits | None
) -> dict[str, Any]:
    """Return the fields of a load that tell of its queue; none where nothing waits."""
    if waits is None or key not in crowd or not crowd[key].jobs:
        return {}
    wait = waits[key]
    return {
        "wait_seconds": wait.seconds,
        "decay_per_second": wait.decay_per_second,
        "basis": crowd[key].basis,
    }


def _memory_bytes(
    problem: Problem, plan: Plan, device: str, kept: frozenset[tuple[str, int]]
) -> int:
    """Return the bytes on each replica: distinct weights and the largest peak activation."""
    weights = sum(problem.network[name].memory_bytes(index, device) for name, index in kept)
    activations = (
        route.batch * layer.activation_bytes
        for stream in problem.streams
        for route in plan.routes[stream.name]
        for layer, place in zip(problem.network[stream.network].layers, route.devices, strict=True)
        if place == device
    )
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
        for group in problem.groups(stream):
            for layer in group:
                if route.devices[layer] != route.devices[group[0]]:
                    first, other = (network.layers[index].name for index in (group[0], layer))
                    text = f"layers '{first}' and '{other}' must share a device, but do not"
                    found["together", text] = None
                    break
        if problem.contiguous and (cycle := quotient_cycle(network, route.devices)):
            circle = " -> ".join((*cycle, cycle[0]))
            found["contiguous", f"tensors go round in a circle of devices: {circle}"] = None
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
        for deadline in price.deadlines:
            mean = deadline.statistic == "mean"
            yield from _exceeds(
                "deadline" if mean else "tail deadline",
                f"stream {price.name}",
                deadline.value_seconds,
                deadline.limit_seconds,
                "s" if mean else f"s at {deadline.statistic}",
            )
    for load in devices:
        device = problem.device[load.name]
        place = f"device {load.name}"
        yield from _exceeds("memory", place, load.memory_bytes, device.memory_bytes, "B")
        yield from _exceeds("device power", place, load.watts, device.power_budget_watts, "W")
        if problem.capacity == "utilisation":
            cap = _below_one(problem, device.utilisation_cap, load.utilisation)
            yield from _exceeds("device capacity", place, load.utilisation, cap, "busy")
    if problem.capacity == "utilisation":
        for link, used in zip(problem.links, links, strict=True):
            if problem.loads(link):
                yield from _exceeds(
                    "link capacity",
                    f"link {link.name}",
                    used.utilisation,
                    _below_one(problem, link.utilisation_cap, used.utilisation),
                    "busy",
                )
    power = math.fsum(load.watts for load in devices)
    yield from _exceeds("power budget", "all devices", power, problem.budgets.power_watts, "W")
    hourly = spending * 3600
    limit = problem.budgets.dollars_per_hour
    yield from _exceeds("money budget", "all streams", hourly, limit, "$/h")


def _below_one(problem: Problem, cap: float, utilisation: float) -> float:
    """Return a cap that no tolerance lifts to where a queue grows without end."""
    full = problem.waiting != "none" and utilisation >= 1
    return min(cap, 1 - 2 * RELATIVE_TOLERANCE) if full else cap


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
