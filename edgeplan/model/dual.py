"""A lower bound on the objective of every plan, recomputed from stored multipliers.

The bound is the Lagrangian one. Each limit that couples streams or layers is taken out and priced
instead, what the streams share is priced likewise, and then every stream may choose its route by
itself. For *any* prices that are not negative no plan costs less than what this adds up to, so the
prices themselves need no trust: whoever doubts a bound computes it again from them. `dual_bound`
does that, knows no solver and no formulation, and is therefore what a certificate with the basis
``dual`` stands on.

The cheapest route under the prices is in turn bounded by a shortest path over (layer, device) in
the order of the layers. It is charged only what is certain to occur: compute, the latency of every
change of device, the tensors that the very next layer reads, graph inputs at their first reader,
and results. Left out, being never negative: tensors that are read later as well, which a path does
not remember, and one latency per producing device of results beyond the last one's.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from edgeplan.model.errors import InputError
from edgeplan.model.multipliers import Multipliers, priced_limits
from edgeplan.model.network import LayerCosts, SpanCosts, Tensor
from edgeplan.model.plan import FRACTION_TOLERANCE
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

RELATIVE_TOLERANCE = 1e-6
"""The evaluator's: plans may exceed a limit by this share of it (a test holds the two equal)."""

_ROUNDING = 2.0**-53
_SMALLEST = 1e-290


def dual_bound(problem: Problem, multipliers: Multipliers) -> float:
    """Return a number that the objective of no feasible plan is below.

    Parameters
    ----------
    problem
        What is planned.
    multipliers
        Any prices; the better they are, the higher the bound.

    Returns
    -------
    float
        In the objective's units, valid for every plan that `evaluate` finds feasible, its
        tolerances for limits and for the fractions of routes included, and streams dealt over
        several routes too. ``inf`` proves that there is no plan: a stream has no way through
        its layers over devices and links that exist and are allowed, or the multipliers show
        that no plan keeps all limits.

    Raises
    ------
    InputError
        If the multipliers do not speak of this problem (see `Multipliers.check`), or requests
        wait in queues, or replicas or batches are chosen.

    Notes
    -----
    Rounding is taken off rigorously. A route's charges are sums of products of numbers that are
    not negative, so m rounded operations change them by at most the factor (1 + u)^m, u = 2^-53;
    the least of them is multiplied by 1 - m u. What is subtracted is raised likewise. m is
    counted generously enough to cover the evaluator's own additions.

    References
    ----------
    Geoffrion: Lagrangean relaxation for integer programming, Mathematical Programming Study 2
    (1974). Higham: Accuracy and Stability of Numerical Algorithms, section 3.1.

    Examples
    --------
    >>> from edgeplan.model.network import Layer, Network
    >>> costs = LayerCosts(seconds=(2.0, 2.0))
    >>> layers = (Layer(name="x"), Layer(name="y"))
    >>> network = Network("n", layers, (), {"a": costs, "b": costs})
    >>> problem = Problem(
    ...     networks=(network,),
    ...     devices=(Device(name="a"), Device(name="b")),
    ...     links=(Link(source="a", target="b", bytes_per_second=1.0),),
    ...     streams=(Stream(name="s", network="n", origin="a"),),
    ...     objective=Objective(latency=0.0, throughput=1.0),
    ...     capacity="none",
    ... )
    >>> round(dual_bound(problem, Multipliers(device_period={"a": 0.5, "b": 0.5})), 6)
    2.0
    """
    if problem.load_features:
        raise InputError.at("multipliers", f"they know no load: {problem.load_features[0]}")
    multipliers.check(problem)
    # Objectives are never negative. Where the limits alone, with nothing else priced, have a bound
    # above 0, every plan exceeds some of them (Farkas' lemma).
    if _lagrangian(problem, multipliers, Objective(latency=0.0)) > 0:
        return math.inf
    return max(0.0, _lagrangian(problem, multipliers, problem.objective))


def _lagrangian(problem: Problem, multipliers: Multipliers, objective: Objective) -> float:
    """Return the Lagrangian bound for an objective, rounding error taken off."""
    slack = _rounding_slack(problem)
    routes = []
    for stream in problem.streams:
        prices = _stream_prices(problem, multipliers, objective, stream)
        least = _cheapest_route(problem, stream, prices)
        if math.isinf(least):
            return math.inf
        # Fractions may add up to a little less than 1.
        routes.append(least * max(0.0, 1 - FRACTION_TOLERANCE * stream.route_limit))
    gained = math.fsum(routes) * (1 - slack) - _SMALLEST
    limits = [
        price * limit * (1 + RELATIVE_TOLERANCE)
        for _, price, limit in priced_limits(problem, multipliers)
        if price
    ]
    paid = math.fsum(limits) * (1 + slack) + _SMALLEST
    kept = [_device_value(problem, multipliers, objective, d, slack) for d in problem.devices]
    bound = math.fsum([gained, -paid, *kept])
    bound -= 4 * _ROUNDING * (gained + paid + math.fsum(map(abs, kept)))
    # The evaluator's own sums may be as far below the plan's true price.
    return bound - slack * abs(bound)


def _rounding_slack(problem: Problem) -> float:
    """Return m u for more rounded operations m than any term of the bound goes through."""
    parts = len(problem.devices) + len(problem.links) + len(problem.streams)
    sizes = (len(n.layers) + len(n.tensors) for n in problem.networks)
    return 64 * (16 + parts + sum(sizes)) * _ROUNDING


@dataclass(frozen=True)
class _Prices:
    """What one request of a stream pays for each unit along its route.

    ``latency`` is per second of the request's latency, ``waiting`` on top of it while the origin
    only waits; ``busy`` and ``link_busy`` are per second that a device's replica or a link is
    busy; ``kept`` is per layer on a device.
    """

    latency: float
    waiting: float
    dollar: float
    joule: Mapping[str, float]
    busy: Mapping[str, float]
    link_busy: Mapping[tuple[str, str], float]
    kept: Mapping[str, tuple[float, ...]]


def _stream_prices(
    problem: Problem, given: Multipliers, objective: Objective, stream: Stream
) -> _Prices:
    rate = stream.rate_per_second
    share = problem.share(stream)
    second, joule, dollar = (share * price for price in objective.prices)
    dollar += rate * given.money
    joules = {
        device.name: joule
        + device.dollars_per_joule * dollar
        + rate * (given.power + given.device_power.get(device.name, 0.0))
        for device in problem.devices
    }
    # Shares that add up to a rounding above 1 are taken as shares of their sum.
    shares = math.fsum([*given.device_period.values(), *given.link_period.values()])
    period = (objective.period_price + given.min_rate) / problem.total_rate / max(1.0, shares)
    origin = problem.device[stream.origin]
    waits = stream.waits and not origin.charge_idle
    return _Prices(
        latency=second + given.deadline.get(stream.name, 0.0),
        waiting=joules[origin.name] * origin.idle_watts if waits else 0.0,
        dollar=dollar,
        joule=joules,
        busy={
            d.name: rate
            * (period * given.device_period.get(d.name, 0.0) + given.device_busy.get(d.name, 0.0))
            / d.replicas
            for d in problem.devices
        },
        link_busy={
            ends: rate * (period * given.link_period.get(ends, 0.0) + given.link_busy.get(ends, 0))
            for ends, link in problem.link.items()
            if problem.loads(link)
        },
        kept=given.kept.get(stream.name, {}),
    )


def _device_value(
    problem: Problem, given: Multipliers, objective: Objective, device: Device, slack: float
) -> float:
    """Return the least that a device costs, off or on, less what it is paid for what it keeps.

    On, it costs its idle power and its provisioned price; each layer that it keeps costs its
    bytes, and the largest activation among them comes on top; each is paid for by the streams.
    Without the prices of bytes and of being on, keeping everything is free: whatever is paid is
    then lost to the bound. Never positive; rounding error subtracted.
    """
    name = device.name
    watts = device.replicas * device.idle_watts if device.charge_idle else 0.0
    dollars = device.replicas * device.dollars_per_hour / 3600 + watts * device.dollars_per_joule
    shares = math.fsum(problem.share(stream) for stream in problem.streams)
    _, joule, dollar = (shares / problem.total_rate * price for price in objective.prices)
    on = (joule + given.power + given.device_power.get(name, 0.0)) * watts
    on += (dollar + given.money) * dollars
    byte = given.memory.get(name, 0.0)

    paid: dict[tuple[str, int], float] = defaultdict(float)
    for stream in problem.streams:
        # Fractions may add up to a little more than 1, and be paid for that often.
        most = 1 + FRACTION_TOLERANCE * stream.route_limit
        for index, price in enumerate(given.kept.get(stream.name, {}).get(name, ())):
            paid[stream.network, index] += most * price
    layers = []
    for (network, index), price in paid.items():
        part = problem.network[network]
        cost = byte * part.memory_bytes(index, name)
        if price > cost:
            layers.append((part.layers[index].activation_bytes, price - cost))
    layers.sort()
    best = won = 0.0
    for activation, gain in layers:
        won += gain
        best = min(best, on + byte * activation - won)
    return best - slack * (math.fsum(paid.values()) + on)


def _cheapest_route(problem: Problem, stream: Stream, prices: _Prices) -> float:
    """Return a lower bound on what any route of a stream pays; ``inf`` where there is none."""
    walk = _Walk(problem, stream, prices)
    network = problem.network[stream.network]
    count = len(network.layers)
    allowed = problem.allowed(stream)
    least = {device: walk.enter(stream.origin, device) for device in allowed[0]}
    if network.form == "layers":
        for index in range(count):
            if index:
                least = {
                    device: min(
                        walk.cross(index - 1, previous, device) + cost
                        if previous != device
                        else cost
                        for previous, cost in least.items()
                    )
                    for device in allowed[index]
                }
            least = {d: cost + walk.layer(index, d) for d, cost in least.items()}
            if not least:
                return math.inf
        return min(least.values())
    # Spans: `arriving` is before the first layer of a stage, `done[k]` after its last.
    done: list[dict[str, float]] = [{} for _ in range(count + 1)]
    for first in range(count):
        arriving = least if not first else {}
        for device in allowed[first] if first else ():
            arriving[device] = min(
                (
                    walk.cross(first - 1, previous, device) + cost
                    for previous, cost in done[first].items()
                    if previous != device
                ),
                default=math.inf,
            )
        for device, begun in arriving.items():
            if math.isinf(begun):
                continue
            passed = begun
            for stop in range(first + 1, count + 1):
                if device not in allowed[stop - 1]:
                    break
                passed += walk.local(stop - 1, device)
                cost = passed + walk.span(first, stop, device)
                if cost < done[stop].get(device, math.inf):
                    done[stop][device] = cost
    return min(done[count].values(), default=math.inf)


class _Walk:
    """The charges of a stream's route that are certain, at the prices given."""

    def __init__(self, problem: Problem, stream: Stream, prices: _Prices) -> None:
        self.problem, self.stream, self.prices = problem, stream, prices
        self.origin = stream.origin
        self.network = network = problem.network[stream.network]
        self.costs = network.costs
        # Tensors by the layer that makes them where the very next layer reads them; graph inputs
        # by their first reader; results by the layer that makes them.
        self.next: dict[int, list[Tensor]] = defaultdict(list)
        self.first: dict[int, list[Tensor]] = defaultdict(list)
        self.results: dict[int, list[Tensor]] = defaultdict(list)
        for tensor in network.tensors:
            if tensor.producer is None:
                if tensor.consumers:
                    self.first[tensor.consumers[0]].append(tensor)
                continue
            if tensor.producer + 1 in tensor.consumers:
                self.next[tensor.producer].append(tensor)
            if tensor.output and stream.returns:
                self.results[tensor.producer].append(tensor)
        # A result that no layer reads is held by its maker only. The last maker of such pays the
        # one latency of its device; others may be on the same device.
        self.last = max(
            (i for i, made in self.results.items() if any(not t.consumers for t in made)),
            default=-1,
        )

    def enter(self, previous: str, device: str) -> float:
        """Return what every stage pays: the latency of the way to it, its boundary, its fee."""
        latency = self._latency(previous, device) if previous != device else 0.0
        cost = self.problem.device[device].dollars_per_request * self.prices.dollar
        costs = self.costs[device]
        if isinstance(costs, LayerCosts):
            cost += self._compute(
                device,
                costs.boundary_seconds,
                None if costs.joules is None else 0.0,
                None if costs.dollars is None else 0.0,
            )
        return latency + cost

    def cross(self, index: int, previous: str, device: str) -> float:
        """Return what a new stage after layer ``index`` pays, the tensors it made included."""
        cost = self.enter(previous, device)
        if math.isinf(cost):
            return cost
        link = self.problem.link[previous, device]
        for tensor in self.next[index]:
            seconds = sent = tensor.seconds_at(link.bytes_per_second)
            if tensor.output and self.stream.returns and previous != self.origin:
                # A result: `local` has charged the way to the origin, where it goes once, be it
                # returned or read there. Its sender is busy with it once, for the longest time.
                back = self.problem.link.get((previous, self.origin))
                if device == self.origin or back is None:
                    continue
                sent = max(0.0, seconds - tensor.seconds_at(back.bytes_per_second))
            cost += self._carry(link, tensor, seconds, sent)
        return cost

    def layer(self, index: int, device: str) -> float:
        """Return what a layer pays on a device (cost form ``layers``)."""
        costs = self.costs[device]
        assert isinstance(costs, LayerCosts)
        compute = self._compute(
            device,
            costs.seconds[index],
            None if costs.joules is None else costs.joules[index],
            None if costs.dollars is None else costs.dollars[index],
        )
        return compute + self.local(index, device)

    def span(self, first: int, stop: int, device: str) -> float:
        """Return what the compute of a stage costs (cost form ``spans``)."""
        costs = self.costs[device]
        assert isinstance(costs, SpanCosts)
        return self._compute(
            device,
            costs.stage_seconds(first, stop),
            costs.stage_joules(first, stop),
            costs.stage_dollars(first, stop),
        )

    def local(self, index: int, device: str) -> float:
        """Return what a layer pays on a device beside compute: inputs, results, being kept."""
        kept = self.prices.kept.get(device)
        cost = 0.0 if kept is None else kept[index]
        for tensor in self.first[index]:
            home = self.stream.homes.get(tensor.name, self.origin)
            if home != device:
                cost += self._fetch(home, device, tensor)
                if home != self.origin:
                    cost += self._latency(home, device)
        if device != self.origin:
            for tensor in self.results[index]:
                cost += self._fetch(device, self.origin, tensor)
            if index == self.last:
                cost += self._latency(device, self.origin)
        return cost

    def _latency(self, source: str, target: str) -> float:
        link = self.problem.link.get((source, target))
        if link is None:
            return math.inf
        return link.latency_seconds * (self.prices.latency + self.prices.waiting)

    def _fetch(self, source: str, target: str, tensor: Tensor) -> float:
        link = self.problem.link.get((source, target))
        if link is None:
            return math.inf
        seconds = tensor.seconds_at(link.bytes_per_second)
        return self._carry(link, tensor, seconds, seconds)

    def _carry(self, link: Link, tensor: Tensor, seconds: float, sent: float) -> float:
        """Return the price of moving a tensor; ``sent`` is how long its sender is occupied."""
        prices = self.prices
        second = prices.latency + prices.waiting
        second += prices.link_busy.get((link.source, link.target), 0.0)
        if self.problem.device[link.target].transfers == "occupy":
            second += prices.busy[link.target]
        cost = seconds * second
        if self.problem.device[link.source].transfers == "occupy":
            cost += sent * prices.busy[link.source]
        return cost + tensor.bytes * (
            link.send_joules_per_byte * prices.joule[link.source]
            + link.receive_joules_per_byte * prices.joule[link.target]
            + link.dollars_per_byte * prices.dollar
        )

    def _compute(
        self, name: str, seconds: float, joules: float | None, dollars: float | None
    ) -> float:
        if math.isinf(seconds):
            return math.inf
        device, prices = self.problem.device[name], self.prices
        second = prices.latency + prices.busy[name]
        if name != self.origin:
            second += prices.waiting
        joules = device.compute_watts * seconds if joules is None else joules
        dollars = device.dollars_per_second * seconds if dollars is None else dollars
        return seconds * second + joules * prices.joule[name] + dollars * prices.dollar
