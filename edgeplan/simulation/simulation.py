"""What a simulation found, for people and for machines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from edgeplan.simulation.statistics import Estimate, Percentile

Engine = Literal["vectorised", "events", "vectorised and events"]


@dataclass(frozen=True, kw_only=True)
class SimulatedDeadline:
    """A percentile deadline of a route and how many of its requests met it.

    Parameters
    ----------
    statistic
        ``p95`` and the like.
    probability
        The share that must be in time.
    limit_seconds
        In what time.
    attainment
        The share that was.
    """

    statistic: str
    probability: float
    limit_seconds: float
    attainment: Estimate

    @property
    def met(self) -> bool:
        """Whether the simulated share is large enough."""
        return self.attainment.value >= self.probability

    @property
    def margin(self) -> float:
        """What the share has above the one required, in standard errors; −inf if unknown."""
        over = self.attainment.value - self.probability
        error = self.attainment.standard_error
        if error is None or not math.isfinite(over):
            return -math.inf
        return over / error if error else math.copysign(math.inf, over)

    def surely_met(self, confidence: float = 0.95) -> bool:
        """Whether it is large enough at a one-sided level of confidence."""
        return self.attainment.above(self.probability, confidence)

    def surely_missed(self, confidence: float = 0.95) -> bool:
        """Whether it is too small at a one-sided level of confidence."""
        return self.attainment.below(self.probability, confidence)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "statistic": self.statistic,
            "limit_seconds": self.limit_seconds,
            "attainment": finite(self.attainment.value),
            "half_width": self.attainment.half_width,
            "met": self.met,
        }


@dataclass(frozen=True, kw_only=True)
class SimulatedRoute:
    """The requests of a stream that took one route.

    Parameters
    ----------
    requests
        Requests counted.
    mean
        Latency in seconds.
    percentiles
        p50, p95, p99.
    deadlines
        The stream's percentile deadlines, on this route.
    """

    requests: int
    mean: Estimate
    percentiles: tuple[Percentile, ...]
    deadlines: tuple[SimulatedDeadline, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "requests": self.requests,
            "mean_seconds": finite(self.mean.value),
            **{_name(each): finite(each.seconds) for each in self.percentiles},
            "half_width": self.mean.half_width,
            "deadlines": [deadline.as_json() for deadline in self.deadlines],
        }


@dataclass(frozen=True, kw_only=True)
class SimulatedStream:
    """The requests of one stream.

    Parameters
    ----------
    name
        The stream's.
    arrivals
        How requests arrived, in words.
    rate_per_second
        Their mean rate: the problem's, or that of a trace.
    requests
        Requests counted: after the warm-up, and served.
    mean
        Latency in seconds.
    percentiles
        p50, p95, p99 over all of its routes.
    slo_seconds
        The limit that ``slo`` is about: the stream's deadline, else its shortest percentile
        deadline; ``None`` where it has neither.
    slo
        Share of the requests within it.
    energy_joules, cost_dollars
        Per request, with its share of devices that are on.
    routes
        The same by route, in the plan's order.
    stable
        Whether none of the queues that it visits grows without end.
    """

    name: str
    arrivals: str
    rate_per_second: float
    requests: int
    mean: Estimate
    percentiles: tuple[Percentile, ...]
    slo_seconds: float | None
    slo: Estimate | None
    energy_joules: float
    cost_dollars: float
    routes: tuple[SimulatedRoute, ...]
    stable: bool

    @property
    def deadlines(self) -> tuple[SimulatedDeadline, ...]:
        """Each percentile deadline on the route that meets it least surely."""
        return tuple(
            min(each, key=lambda deadline: deadline.margin)
            for each in zip(*(route.deadlines for route in self.routes), strict=True)
        )

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "name": self.name,
            "mean_seconds": finite(self.mean.value),
            **{_name(each): finite(each.seconds) for each in self.percentiles},
            "slo_attainment": None if self.slo is None else finite(self.slo.value),
            "half_width": self.mean.half_width,
            "standard_error": self.mean.standard_error,
            **{
                f"{_name(each)}_interval": [each.low_seconds, each.high_seconds]
                for each in self.percentiles
            },
            "slo_seconds": self.slo_seconds,
            "slo_half_width": None if self.slo is None else self.slo.half_width,
            "deadlines": [deadline.as_json() for deadline in self.deadlines],
            "energy_joules": finite(self.energy_joules),
            "cost_dollars": finite(self.cost_dollars),
            "requests": self.requests,
            "arrivals": self.arrivals,
            "rate_per_second": self.rate_per_second,
            "stable": self.stable,
            "routes": [route.as_json() for route in self.routes],
        }


@dataclass(frozen=True, kw_only=True)
class SimulatedLoad:
    """A device or a link.

    Parameters
    ----------
    name
        The device's or the link's.
    replicas
        Copies; 1 for a link.
    jobs
        Jobs that came after the warm-up.
    utilisation
        Busy share of each copy, simulated; at most 1 where jobs queue.
    offered
        Work that arrives per second of each copy, from the plan's means; from 1 on the queue
        grows without end.
    mean_wait_seconds
        Simulated; ``None`` where no job came, or jobs do not queue.
    """

    name: str
    replicas: int
    jobs: int
    utilisation: float
    offered: float
    mean_wait_seconds: float | None

    @property
    def stable(self) -> bool:
        """Whether the queue does not grow without end (or nothing queues here)."""
        return self.mean_wait_seconds is None or self.offered < 1

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "name": self.name,
            "utilisation": finite(self.utilisation),
            "mean_wait_seconds": self.mean_wait_seconds,
            "replicas": self.replicas,
            "jobs": self.jobs,
            "offered": self.offered,
            "stable": self.stable,
        }


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A plan under random arrivals.

    Parameters
    ----------
    requests
        Requests simulated, warm-up included.
    seed
        Of the run.
    seconds, warm_up_seconds
        Simulated time, and how much of its start is not counted.
    latency_seconds, energy_joules, cost_dollars
        Aggregated over the streams as the problem's objective says (by default per request);
        streams of which no request was counted are left out.
    streams, devices, links
        The same in detail; links that requests load.
    engine
        What worked the queues off.
    interrupted
        Whether the run was stopped before all requests had arrived.
    notes
        What must be known to read the numbers, for people.
    """

    requests: int
    seed: int
    seconds: float
    warm_up_seconds: float
    latency_seconds: float
    energy_joules: float
    cost_dollars: float
    streams: tuple[SimulatedStream, ...]
    devices: tuple[SimulatedLoad, ...]
    links: tuple[SimulatedLoad, ...]
    engine: Engine
    interrupted: bool
    notes: tuple[str, ...]

    @property
    def stable(self) -> bool:
        """Whether no queue grows without end."""
        return all(load.stable for load in (*self.devices, *self.links))

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable simulation, in SI units; ``None`` where nothing is known."""
        return {
            "requests": self.requests,
            "streams": [stream.as_json() for stream in self.streams],
            "devices": [load.as_json() for load in self.devices],
            "links": [load.as_json() for load in self.links],
            "latency_seconds": finite(self.latency_seconds),
            "energy_joules": finite(self.energy_joules),
            "cost_dollars": finite(self.cost_dollars),
            "stable": self.stable,
            "seed": self.seed,
            "simulated_seconds": self.seconds,
            "warm_up_seconds": self.warm_up_seconds,
            "engine": self.engine,
            "interrupted": self.interrupted,
            "notes": list(self.notes),
        }


def _name(percentile: Percentile) -> str:
    return f"p{percentile.probability * 100:.12g}"


def finite(value: float) -> float | None:
    """Return a number, or ``None`` for what JSON has no number for."""
    return value if math.isfinite(value) else None
