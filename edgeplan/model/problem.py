"""The problem: networks + topology + streams + objective. The only thing that a solver sees."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from edgeplan.model.errors import InputError
from edgeplan.model.network import Network
from edgeplan.model.validation import problem_faults

Aggregate = Literal["mean", "total"]
ObjectiveName = Literal["weighted", "latency", "energy", "cost", "throughput"]
OBJECTIVES: tuple[ObjectiveName, ...] = ("weighted", "latency", "energy", "cost", "throughput")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A machine that runs layers.

    Parameters
    ----------
    name
        Unique in the topology.
    tier
        Free text: ``device``, ``edge``, ``cloud``… The baseline all-on-one-cloud tries the
        devices whose tier is ``cloud``.
    zone
        Trust zone, named by the streams' privacy rules.
    memory_bytes
        Per replica; ``inf`` for no limit.
    active_watts, idle_watts
        Power while computing and while on but idle.
    charge_idle
        Whether a device that is on is charged idle watts all the time, shared by the requests;
        its compute is then charged (active − idle) × time.
    dollars_per_second
        Price of busy time (serverless).
    dollars_per_hour
        Price of each replica while the device is on (provisioned).
    dollars_per_request
        Fee for each stage served.
    dollars_per_joule
        Price of the energy drawn here.
    replicas, max_replicas
        Identical copies among which requests are dealt: the fewest while the device is on, and
        the most (``None``: no more than the fewest). Between them the plan chooses.
    dispatch
        How jobs are dealt to copies. ``random``: to each with the same probability.
        ``shared``: one queue, and the next free copy takes the next job.
    utilisation_cap
        Largest share of time that a replica may be busy, below 1.
    power_budget_watts
        Largest mean power drawn for these streams, ``inf`` for none. A battery of E joules that
        must last T seconds is E / T.
    transfers
        What moving tensors to and from it keeps busy. ``links``: the links only. ``occupy``: the
        device too, for a tensor's seconds once if it makes the tensor (or is a graph input's
        home) and sends it anywhere, the longest time where links differ, and once for each
        tensor that it receives. ``free_port``: neither the device nor the links at it.
    """

    name: str
    tier: str = "device"
    zone: str = "default"
    memory_bytes: float = math.inf
    active_watts: float = 0.0
    idle_watts: float = 0.0
    charge_idle: bool = False
    dollars_per_second: float = 0.0
    dollars_per_hour: float = 0.0
    dollars_per_request: float = 0.0
    dollars_per_joule: float = 0.0
    replicas: int = 1
    max_replicas: int | None = None
    dispatch: Literal["random", "shared"] = "random"
    utilisation_cap: float = 0.95
    power_budget_watts: float = math.inf
    transfers: Literal["links", "occupy", "free_port"] = "links"

    @property
    def replica_range(self) -> range:
        """The numbers of copies that a plan may choose while the device is on."""
        return range(self.replicas, max(self.replicas, self.max_replicas or 0) + 1)

    @property
    def compute_watts(self) -> float:
        """Power charged per second of compute: above idle where idle is charged already."""
        return self.active_watts - self.idle_watts if self.charge_idle else self.active_watts


@dataclass(frozen=True, kw_only=True)
class Link:
    """A directed connection between two devices.

    Parameters
    ----------
    source, target
        Device names.
    bytes_per_second
        Bandwidth; ``inf`` for transfers that take no time.
    latency_seconds
        One-way delay, charged once per crossing.
    send_joules_per_byte, receive_joules_per_byte
        Energy at either end, drawn by the source and by the target.
    dollars_per_byte
        Price of traffic.
    utilisation_cap
        Largest share of time that the link may be busy, below 1.
    contention
        ``shared``: requests load the link. ``none``: they do not.
    """

    source: str
    target: str
    bytes_per_second: float
    latency_seconds: float = 0.0
    send_joules_per_byte: float = 0.0
    receive_joules_per_byte: float = 0.0
    dollars_per_byte: float = 0.0
    utilisation_cap: float = 0.95
    contention: Literal["shared", "none"] = "shared"

    @property
    def name(self) -> str:
        """The link's name in messages and tables."""
        return f"{self.source}->{self.target}"


@dataclass(frozen=True, kw_only=True)
class Privacy:
    """Tensors that must never enter a device outside the named zones.

    Parameters
    ----------
    zones
        The zones that may hold the tagged tensors.
    before
        Name of a layer: the graph inputs and every tensor made before it are tagged. ``None``
        tags the graph inputs only.
    """

    zones: tuple[str, ...]
    before: str | None = None


@dataclass(frozen=True, kw_only=True)
class LayerRule:
    """Layers and devices of a pin (the layers run on one of the devices) or a ban (on none).

    Parameters
    ----------
    devices
        Device names.
    layers
        Layer names; ``None`` for all layers.
    """

    devices: tuple[str, ...]
    layers: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TailDeadline:
    """A limit on a percentile of the latency, on every route that a stream takes.

    Parameters
    ----------
    probability
        Share of the requests that must be served in time: 0.95 for the 95th percentile.
    seconds
        In what time.
    """

    probability: float
    seconds: float

    @property
    def statistic(self) -> str:
        """The percentile's name: p95, p99.9."""
        return f"p{self.probability * 100:.12g}"


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A class of requests.

    Parameters
    ----------
    name
        Unique in the problem.
    network
        Name of the network that each request runs.
    origin
        The device where requests arise and to which results return.
    rate_per_second
        Requests per second, positive.
    arrival_cv2
        Squared coefficient of variation of the time from one request to the next: 1 for
        independent requests (Poisson), more for bursts, 0 for a clock.
    deadline_seconds
        Limit on the mean latency over the stream's routes; ``inf`` for none.
    tail_deadlines
        Limits on percentiles of the latency; only where requests wait.
    privacy
        Tensors that must stay in zones, or ``None``.
    pins, bans
        Where layers must or must not run.
    together
        Groups of layer names: the layers of a group share a device, on every route.
    homes
        Devices where graph inputs lie, by tensor name; the origin where absent.
    returns
        Whether graph outputs go back to the origin.
    waits
        Whether the origin stays on, idle, until the answer is there: its idle watts are charged
        for that time. Not where the device has ``charge_idle``: that charges them all the time
        while it keeps weights, and not at all while it keeps none.
    splittable
        Whether requests may be dealt over several routes by fraction.
    max_routes
        Largest number of routes where splittable.
    max_batch
        Largest number of requests that may be gathered and served as one job, where the
        profiles have such batches.
    """

    name: str
    network: str
    origin: str
    rate_per_second: float = 1.0
    arrival_cv2: float = 1.0
    deadline_seconds: float = math.inf
    tail_deadlines: tuple[TailDeadline, ...] = ()
    privacy: Privacy | None = None
    pins: tuple[LayerRule, ...] = ()
    bans: tuple[LayerRule, ...] = ()
    together: tuple[tuple[str, ...], ...] = ()
    homes: Mapping[str, str] = field(default_factory=dict)
    returns: bool = True
    waits: bool = False
    splittable: bool = False
    max_routes: int = 2
    max_batch: int = 1

    @property
    def route_limit(self) -> int:
        """Largest number of routes that a plan may give the stream."""
        return self.max_routes if self.splittable else 1


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The weighted latency–energy–cost(–throughput) objective, to be minimised.

    The price is Σ weight × value ÷ denominator over latency (s), energy (J), cost ($) and the
    period (s). With the default denominators the weights are absolute prices (per second, joule
    and dollar).

    Parameters
    ----------
    latency, energy, cost, throughput
        Weights, not negative, at least one positive. The value of throughput is the period:
        seconds per average request of the most loaded resource, so that less is better.
    latency_denominator_seconds, energy_denominator_joules, cost_denominator_dollars, \
throughput_denominator_seconds
        Stored scales, positive; never recomputed from a baseline that moves.
    aggregate
        ``mean``: per request, weighted by rate. ``total``: summed over streams. The period is
        of all streams together and not aggregated.
    """

    latency: float = 1.0
    energy: float = 0.0
    cost: float = 0.0
    throughput: float = 0.0
    latency_denominator_seconds: float = 1.0
    energy_denominator_joules: float = 1.0
    cost_denominator_dollars: float = 1.0
    throughput_denominator_seconds: float = 1.0
    aggregate: Aggregate = "mean"

    @property
    def prices(self) -> tuple[float, float, float]:
        """Price per second, per joule and per dollar."""
        return (
            self.latency / self.latency_denominator_seconds,
            self.energy / self.energy_denominator_joules,
            self.cost / self.cost_denominator_dollars,
        )

    @property
    def period_price(self) -> float:
        """Price per second of the period."""
        return self.throughput / self.throughput_denominator_seconds

    def value(
        self,
        latency_seconds: float,
        energy_joules: float,
        cost_dollars: float,
        period_seconds: float = 0.0,
    ) -> float:
        """Return the price of aggregated latency, energy, cost and period (0 weight ignores)."""
        values = (latency_seconds, energy_joules, cost_dollars, period_seconds)
        prices = (*self.prices, self.period_price)
        return math.fsum(p * v for p, v in zip(prices, values, strict=True) if p)


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """Limits over all streams together, per unit of time; ``inf`` for none.

    Parameters
    ----------
    power_watts
        Mean power of all devices and links.
    dollars_per_hour
        Mean spending.
    min_rate_per_second
        Requests per second, in the streams' proportions, that the most loaded resource must be
        able to carry at least (the period is at most its inverse); 0 for none.
    """

    power_watts: float = math.inf
    dollars_per_hour: float = math.inf
    min_rate_per_second: float = 0.0

    @property
    def period_seconds(self) -> float:
        """The largest period that the minimum rate allows; ``inf`` for any."""
        return 1 / self.min_rate_per_second if self.min_rate_per_second else math.inf


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Networks, topology, streams and objective: frozen and self-validating.

    Parameters
    ----------
    networks, devices, links, streams
        Each with unique names (a link: a unique pair of devices).
    objective, budgets
        What is minimised, and overall limits.
    capacity
        ``utilisation``: devices and shared links may not be busier than their caps.
        ``none``: load is not limited.
    waiting
        ``mg1``: requests queue at devices and shared links, first come first served.
        ``none``: they do not.
    contiguous
        Whether, on every route, the devices can be ordered so that every tensor moves forward
        (see `quotient_cycle`): each device's set of layers is convex and the quotient acyclic.
    name
        For people.

    Raises
    ------
    InputError
        With every fault found.
    """

    networks: tuple[Network, ...]
    devices: tuple[Device, ...]
    links: tuple[Link, ...] = ()
    streams: tuple[Stream, ...]
    objective: Objective = Objective()
    budgets: Budgets = Budgets()
    capacity: Literal["none", "utilisation"] = "utilisation"
    waiting: Literal["none", "mg1"] = "none"
    contiguous: bool = False
    name: str = "problem"

    def __post_init__(self) -> None:
        faults = list(problem_faults(self))
        if faults:
            raise InputError(faults)

    @cached_property
    def network(self) -> Mapping[str, Network]:
        """Networks by name."""
        return {network.name: network for network in self.networks}

    @cached_property
    def device(self) -> Mapping[str, Device]:
        """Devices by name."""
        return {device.name: device for device in self.devices}

    @cached_property
    def link(self) -> Mapping[tuple[str, str], Link]:
        """Links by (source, target)."""
        return {(link.source, link.target): link for link in self.links}

    @cached_property
    def stream(self) -> Mapping[str, Stream]:
        """Streams by name."""
        return {stream.name: stream for stream in self.streams}

    @cached_property
    def total_rate(self) -> float:
        """Requests per second of all streams, Λ."""
        return math.fsum(stream.rate_per_second for stream in self.streams)

    def batch_sizes(self, stream: Stream) -> tuple[int, ...]:
        """Return the batch sizes that the routes of a stream may have, 1 first."""
        sizes = {
            size for costs in self.network[stream.network].costs.values() for size in costs.batches
        }
        return (1, *sorted(size for size in sizes if size <= stream.max_batch))

    @cached_property
    def load_features(self) -> tuple[str, ...]:
        """What the problem has that only a program of queues and routes knows, in words."""
        found = []
        if self.waiting != "none":
            found.append("requests wait in queues")
        if any(len(device.replica_range) > 1 for device in self.devices):
            found.append("the plan chooses numbers of replicas")
        if any(len(self.batch_sizes(stream)) > 1 for stream in self.streams):
            found.append("requests may be served in batches")
        return tuple(found)

    def share(self, stream: Stream) -> float:
        """Return the weight of one request of a stream in the aggregate."""
        if self.objective.aggregate == "total":
            return 1.0
        return stream.rate_per_second / self.total_rate

    def tagged(self, stream: Stream) -> frozenset[str]:
        """Return the names of the tensors that the stream's privacy rule tags."""
        if stream.privacy is None:
            return frozenset()
        network = self.network[stream.network]
        before = stream.privacy.before
        stop = 0 if before is None else network.layer_index[before]
        return frozenset(
            tensor.name
            for tensor in network.tensors
            if tensor.producer is None or tensor.producer < stop
        )

    def allowed(self, stream: Stream) -> tuple[tuple[str, ...], ...]:
        """Return, for each layer, the devices on which it may run by itself.

        It may where the device has a time for it, no pin, ban or privacy rule of the stream
        speaks against it; layers that share a device may where all of them may. Spans, links,
        memory and limits may still forbid a route.
        """
        if self.stream.get(stream.name) is not stream:  # one with other rules, asked about
            return self._find_allowed(stream)
        if stream.name not in self._allowed:
            self._allowed[stream.name] = self._find_allowed(stream)
        return self._allowed[stream.name]

    @cached_property
    def _allowed(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """What `allowed` has returned, by stream."""
        return {}

    def _find_allowed(self, stream: Stream) -> tuple[tuple[str, ...], ...]:
        network = self.network[stream.network]
        tagged = self.tagged(stream)
        private = {
            layer
            for tensor in network.tensors
            if tensor.name in tagged
            for layer in (
                *tensor.consumers,
                *(() if tensor.producer is None else (tensor.producer,)),
            )
        }
        found = [
            tuple(
                device.name
                for device in self.devices
                if self._may_run(stream, network, index, device, index in private)
            )
            for index in range(len(network.layers))
        ]
        for group in self.groups(stream):
            common = set.intersection(*(set(found[layer]) for layer in group))
            for layer in group:
                found[layer] = tuple(d for d in found[layer] if d in common)
        return tuple(found)

    def groups(self, stream: Stream) -> tuple[tuple[int, ...], ...]:
        """Return the layers that share a device, by index: groups with a layer in common merged.

        Groups of fewer than two layers are left out.
        """
        index = self.network[stream.network].layer_index
        merged: list[set[int]] = []
        for names in stream.together:
            group = {index[name] for name in names}
            apart = [other for other in merged if not other & group]
            merged = [*apart, group.union(*(other for other in merged if other & group))]
        return tuple(sorted(tuple(sorted(group)) for group in merged if len(group) > 1))

    def loads(self, link: Link) -> bool:
        """Whether transfers load a link: it is shared, and neither end has a free port."""
        return link.contention == "shared" and not any(
            self.device[end].transfers == "free_port" for end in (link.source, link.target)
        )

    def _may_run(
        self, stream: Stream, network: Network, index: int, device: Device, private: bool
    ) -> bool:
        costs = network.costs.get(device.name)
        if costs is None:
            return False
        if network.form == "layers" and math.isinf(costs.stage_seconds(index, index + 1)):
            return False
        if private and stream.privacy is not None and device.zone not in stream.privacy.zones:
            return False
        name = network.layers[index].name

        def covers(rule: LayerRule) -> bool:
            return rule.layers is None or name in rule.layers

        return all(device.name in pin.devices for pin in stream.pins if covers(pin)) and not any(
            device.name in ban.devices for ban in stream.bans if covers(ban)
        )

    def asked(self, objective: str | None, *, contiguous: bool = False) -> Problem:
        """Return the problem with another objective, and contiguous where that is asked for.

        Raises
        ------
        InputError
            If there is no such objective.
        """
        problem = self if objective is None else self.with_objective(objective)
        return dataclasses.replace(problem, contiguous=True) if contiguous else problem

    def with_objective(self, name: str) -> Problem:
        """Return the problem with a single objective, or as it stands for ``weighted``.

        Raises
        ------
        InputError
            If there is no such objective.
        """
        if name not in OBJECTIVES:
            raise InputError.at(
                "objective", f"there is no objective '{name[:80]}'; choose {', '.join(OBJECTIVES)}"
            )
        if name == "weighted":
            return self
        weights = {key: float(key == name) for key in OBJECTIVES if key != "weighted"}
        only = Objective(**weights, aggregate=self.objective.aggregate)
        return dataclasses.replace(self, objective=only)
