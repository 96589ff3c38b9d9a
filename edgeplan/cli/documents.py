"""What ``run`` and ``simulate`` write, key by key.

Their schemas are made of these classes, and tests decode what the commands print by them, so that
neither has a key that the other lacks. The classes describe files; the numbers themselves are those
of `edgeplan.execution` and `edgeplan.simulation`. A number is ``null`` where it is infinite or not
known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgeplan.instances.codec import json_schema
from edgeplan.instances.schema import with_header

# --- run: requests one at a time -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Times:
    """Measured times.

    Parameters
    ----------
    median_seconds, mean_seconds, p95_seconds
        Over the requests.
    """

    median_seconds: float
    mean_seconds: float
    p95_seconds: float


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A transfer of a route.

    Parameters
    ----------
    source, target
        Devices.
    tensors
        Names of what crosses.
    bytes
        Of all of them.
    predicted_seconds
        By the evaluator.
    measured_seconds
        The median.
    measured
        Wall times from the start at the source to the end at the target.
    emulated
        Whether it was held to the time of the problem's link.
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    bytes: int
    predicted_seconds: float
    measured_seconds: float
    measured: Times
    emulated: bool


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of layers on a device.

    Parameters
    ----------
    route
        Index of the route, where the stages of all routes are listed.
    device
        Where it ran.
    layers
        First layer, and the one after the last.
    predicted_seconds
        By the evaluator.
    measured_seconds, cpu_seconds
        Medians of wall time and of CPU time.
    emulated
        Whether it was held to the predicted time.
    wall, cpu
        Measured times.
    transfers
        What arrived before it.
    """

    device: str
    layers: tuple[int, int]
    predicted_seconds: float
    measured_seconds: float
    cpu_seconds: float
    emulated: bool
    wall: Times
    cpu: Times
    transfers: tuple[Transfer, ...]
    route: int | None = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """A route of a stream.

    Parameters
    ----------
    fraction
        Share of the stream's requests that the plan sends along it.
    requests
        How many were measured.
    predicted_seconds
        Latency by the evaluator.
    measured_seconds, measured_cpu_seconds
        Median latency, and the same with CPU times of the stages in place of wall times.
    relative_error
        (measured − predicted) ÷ predicted.
    measured
        Wall times from end to end.
    strict_equal
        Whether all outputs equal the unsplit network's bit by bit, optimisation off.
    deployed_max_error
        Largest difference over the output's scale, at the deployed optimisation level.
    stages, returned
        In detail; what is sent back at the end.
    """

    fraction: float
    requests: int
    predicted_seconds: float
    measured_seconds: float
    measured_cpu_seconds: float
    relative_error: float
    measured: Times
    strict_equal: bool
    deployed_max_error: float
    stages: tuple[Stage, ...]
    returned: tuple[Transfer, ...]


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A stream; numbers are means over its routes by their fractions.

    Parameters
    ----------
    name
        Of the stream.
    predicted_seconds, measured_seconds, measured_cpu_seconds
        As of its routes.
    relative_error, relative_error_cpu
        (measured − predicted) ÷ predicted, of wall and of CPU times.
    strict_equal, deployed_max_error
        Of all routes.
    stages
        Of all routes, with the number of the route.
    routes
        In the plan's order.
    """

    name: str
    predicted_seconds: float
    measured_seconds: float
    measured_cpu_seconds: float
    relative_error: float
    relative_error_cpu: float
    strict_equal: bool
    deployed_max_error: float
    stages: tuple[Stage, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A plan executed, requests one at a time: predicted beside measured.

    Parameters
    ----------
    instance
        Name of the instance.
    requests
        Asked for, of each route.
    threads
        Threads of a worker's session.
    links_emulated
        Whether transfers between workers of this machine took the time of the problem's links.
    folder
        Where the parts of the networks are kept; ``null`` where they are not.
    streams
        In the problem's order.
    predicted_devices
        Devices whose profiles are predictions for other machines.
    """

    instance: str
    requests: int
    threads: int
    links_emulated: bool
    folder: str | None
    streams: tuple[Stream, ...]
    predicted_devices: tuple[str, ...]


# --- simulate ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SimulatedDeadline:
    """A percentile deadline.

    Parameters
    ----------
    statistic
        The percentile, like ``p95``.
    limit_seconds
        The deadline.
    attainment
        Simulated share of requests within it.
    half_width
        Half of the 95 % confidence interval of that share.
    met
        Whether the share is large enough.
    """

    statistic: str
    limit_seconds: float
    attainment: float
    half_width: float
    met: bool


@dataclass(frozen=True, kw_only=True)
class SimulatedRoute:
    """The requests of a stream that took a route.

    Parameters
    ----------
    requests
        Counted.
    mean_seconds, p50, p95, p99
        Of the latency.
    half_width
        Half of the 95 % confidence interval of the mean.
    deadlines
        The stream's percentile deadlines, on this route.
    """

    requests: int
    mean_seconds: float
    p50: float
    p95: float
    p99: float
    half_width: float
    deadlines: tuple[SimulatedDeadline, ...]


@dataclass(frozen=True, kw_only=True)
class PredictedStream:
    """What the evaluator says of a stream.

    Parameters
    ----------
    mean_seconds
        Mean latency.
    basis
        Of the mean: ``none`` (nobody waits), ``exact`` or ``approximate``.
    p50, p95, p99
        Percentiles, where there are any: upper bounds where the mean is exact, else estimates.
    energy_joules, cost_dollars
        Means per request.
    """

    mean_seconds: float
    basis: Literal["none", "exact", "approximate"]
    energy_joules: float
    cost_dollars: float
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, kw_only=True)
class SimulatedStream:
    """The requests of a stream.

    Parameters
    ----------
    name, arrivals, rate_per_second
        Of the stream; how requests arrived, in words, and how many a second.
    requests
        Counted: after the warm-up, and served.
    mean_seconds, p50, p95, p99
        Of the latency.
    standard_error, half_width
        Of the mean: its standard error, and half of its 95 % confidence interval.
    p50_interval, p95_interval, p99_interval
        95 % confidence intervals of the percentiles.
    slo_seconds, slo_attainment, slo_half_width
        The stream's deadline, else its shortest percentile deadline; the simulated share of
        requests within it, and half of the 95 % confidence interval of that share.
    deadlines
        Percentile deadlines, each on the route that meets it least surely.
    energy_joules, cost_dollars
        Means per request.
    stable
        Whether no queue on its way grows without end.
    routes
        In the plan's order.
    predicted
        The evaluator's values.
    """

    name: str
    arrivals: str
    rate_per_second: float
    requests: int
    mean_seconds: float
    p50: float
    p95: float
    p99: float
    standard_error: float
    half_width: float
    p50_interval: tuple[float, float]
    p95_interval: tuple[float, float]
    p99_interval: tuple[float, float]
    slo_seconds: float
    slo_attainment: float
    slo_half_width: float
    deadlines: tuple[SimulatedDeadline, ...]
    energy_joules: float
    cost_dollars: float
    stable: bool
    routes: tuple[SimulatedRoute, ...]
    predicted: PredictedStream


@dataclass(frozen=True, kw_only=True)
class PredictedLoad:
    """What the evaluator says of a device or a link.

    Parameters
    ----------
    utilisation
        Busy share.
    mean_wait_seconds
        Mean wait for it.
    basis
        Of the wait: ``none``, ``exact`` or ``approximate``.
    """

    utilisation: float
    mean_wait_seconds: float
    basis: Literal["none", "exact", "approximate"]


@dataclass(frozen=True, kw_only=True)
class SimulatedLoad:
    """A device or a link.

    Parameters
    ----------
    name
        Of the device; of the link, its ends.
    replicas
        Copies.
    jobs
        Stages or transfers that it served.
    utilisation
        Busy share of each copy.
    offered
        Work that arrives per second of each copy; from 1 on the queue grows without end.
    mean_wait_seconds
        Mean wait of a job; ``null`` where none came, or jobs do not queue.
    stable
        Whether its queue does not grow without end, or nothing queues.
    predicted
        The evaluator's values.
    """

    name: str
    replicas: int
    jobs: int
    utilisation: float
    offered: float
    mean_wait_seconds: float
    stable: bool
    predicted: PredictedLoad


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A plan under random arrivals: simulated beside predicted.

    Parameters
    ----------
    instance
        Name of the instance.
    requests
        Simulated, warm-up included.
    seed
        Of the arrivals.
    engine
        What worked the queues off.
    simulated_seconds, warm_up_seconds
        Of the simulated clock; what arrived during the warm-up is not counted.
    interrupted
        Whether it was stopped before all requests had arrived.
    latency_seconds, energy_joules, cost_dollars
        Aggregated over the streams as the objective says (by default per request).
    stable
        Whether no queue grows without end.
    streams, devices, links
        In the problem's order.
    notes
        What to know of the numbers.
    predicted
        Latency, energy and cost by the evaluator.
    """

    instance: str
    requests: int
    seed: int
    engine: str
    simulated_seconds: float
    warm_up_seconds: float
    interrupted: bool
    latency_seconds: float
    energy_joules: float
    cost_dollars: float
    stable: bool
    streams: tuple[SimulatedStream, ...]
    devices: tuple[SimulatedLoad, ...]
    links: tuple[SimulatedLoad, ...]
    notes: tuple[str, ...]
    predicted: Mapping[str, float]


DOCUMENTS: Mapping[str, tuple[type, str]] = {
    "run": (Run, "Run of a plan, requests one at a time"),
    "simulation": (Simulation, "Simulation of a plan"),
}
"""By kind of file: its content, and a title."""


def schema(kind: str) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of any kind of file that has one.

    Parameters
    ----------
    kind
        One of `edgeplan.cli.schema.KINDS`.
    """
    from edgeplan.instances import schema as files

    if kind == "front":
        from edgeplan.pareto.schema import front_schema

        return front_schema()
    if kind in DOCUMENTS:
        content, title = DOCUMENTS[kind]
        return with_header(json_schema(content), f"edgeplan-{kind}", title, {})
    return files.schema(kind)
