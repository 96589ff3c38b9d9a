"""What an open loop found: predicted, simulated and measured side by side.

*predicted* is the evaluator's, *measured* what the requests took here. *simulated* is filled in
by whoever can simulate (siblings do not import each other), see `OpenLoopReport.as_json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeplan.execution.generator import Lag
from edgeplan.execution.report import PlannedStage, PlannedTransfer, finite, relative_error

BATCHES = 20
"""Batches whose means give the standard error, each of at least as many requests."""


FULL = 0.99
"""Measured utilisation from which a queue counts as one that grows."""


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """Latencies of one stream's measured requests, from their drawn arrival times.

    Parameters
    ----------
    requests
        How many.
    mean_seconds, p50, p95, p99
        Mean and percentiles in seconds.
    standard_error, p95_standard_error
        Of the mean and of the 95th percentile in seconds, from the spread between batches of
        consecutive requests (which are correlated, since they share queues); ``None`` for too
        few requests.
    batches
        How many there were.
    slo_attainment
        Share of the requests that took no longer than the stream's deadline; ``None`` where it
        has none.
    seconds
        The latencies in order of arrival (not in the JSON).
    """

    requests: int
    mean_seconds: float
    p50: float
    p95: float
    p99: float
    standard_error: float | None
    p95_standard_error: float | None
    batches: int
    slo_attainment: float | None
    seconds: tuple[float, ...] = field(repr=False)

    @classmethod
    def of(cls, seconds: Sequence[float], limit_seconds: float = math.inf) -> Latencies:
        """Return the figures of at least one latency, given in order of arrival."""
        values = np.asarray(seconds, dtype=np.float64)
        batches = BATCHES if len(values) >= BATCHES**2 else len(values) // BATCHES
        error = p95_error = None
        if batches >= 5:
            parts = np.array_split(values, batches)
            error = _standard_error([float(np.mean(part)) for part in parts])
            p95_error = _standard_error([float(np.percentile(part, 95)) for part in parts])
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(
            requests=len(values),
            mean_seconds=float(np.mean(values)),
            p50=p50,
            p95=p95,
            p99=p99,
            standard_error=error,
            p95_standard_error=p95_error,
            batches=batches if error is not None else 0,
            slo_attainment=(
                float(np.mean(values <= limit_seconds)) if math.isfinite(limit_seconds) else None
            ),
            seconds=tuple(values.tolist()),
        )

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "requests": self.requests,
            "mean_seconds": self.mean_seconds,
            "p50": self.p50,
            "p95": self.p95,
            "p99": self.p99,
            "standard_error": self.standard_error,
            "p95_standard_error": self.p95_standard_error,
            "batches": self.batches,
            "slo_attainment": self.slo_attainment,
        }


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the evaluator says of a stream.

    Parameters
    ----------
    unloaded_seconds
        Mean latency without any waiting.
    mean_seconds
        With the mean waits; infinite where a queue is unstable.
    p50, p95, p99
        Percentiles (upper bounds where `tail_basis` is ``safe``); ``None`` where there are none.
    basis
        Of the mean: ``exact`` or ``approximate`` by the model of queues.
    """

    unloaded_seconds: float
    mean_seconds: float
    p50: float | None
    p95: float | None
    p99: float | None
    basis: str

    @property
    def tail_basis(self) -> str:
        """Of the percentiles: ``safe`` where the mean is exact, else ``estimated``."""
        return "safe" if self.basis == "exact" else "estimated"

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "unloaded_seconds": finite(self.unloaded_seconds),
            "mean_seconds": finite(self.mean_seconds),
            "p50": finite(self.p50),
            "p95": finite(self.p95),
            "p99": finite(self.p99),
            "basis": self.basis,
            "tail_basis": self.tail_basis,
        }


@dataclass(frozen=True, kw_only=True)
class ServedStage(PlannedStage):
    """One stage of a route under load.

    Parameters
    ----------
    predicted_cv2, predicted_wait_seconds
        The profile's spread, and the evaluator's wait.
    service_seconds, service_cv2
        Mean wall time for which the stage kept the device busy, and its squared coefficient of
        variation.
    cpu_seconds
        Mean CPU time of the computation.
    wait_seconds
        Mean time from being ready until the device took it.
    """

    predicted_cv2: float
    predicted_wait_seconds: float
    service_seconds: float
    service_cv2: float
    cpu_seconds: float
    wait_seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            **self.what_json(),
            "predicted": {
                "service_seconds": finite(self.predicted_seconds),
                "service_cv2": self.predicted_cv2,
                "wait_seconds": finite(self.predicted_wait_seconds),
            },
            "measured": {
                "service_seconds": self.service_seconds,
                "service_cv2": self.service_cv2,
                "cpu_seconds": self.cpu_seconds,
                "wait_seconds": self.wait_seconds,
            },
            "emulated": self.emulated,
        }


@dataclass(frozen=True, kw_only=True)
class ServedTransfer(PlannedTransfer):
    """One transfer of a route under load.

    Parameters
    ----------
    predicted_wait_seconds
        The evaluator's wait for the link.
    measured_seconds
        Mean time from its turn at the source until it was in at the target.
    wait_seconds
        Mean wait for its turn.
    """

    predicted_wait_seconds: float
    measured_seconds: float
    wait_seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            **self.what_json(),
            "predicted": {
                "seconds": finite(self.predicted_seconds),
                "wait_seconds": finite(self.predicted_wait_seconds),
            },
            "measured": {"seconds": self.measured_seconds, "wait_seconds": self.wait_seconds},
            "emulated": self.emulated,
        }


@dataclass(frozen=True, kw_only=True)
class ServedRoute:
    """One route of a stream: its share of the plan, its requests, its steps (`None`: no request).

    Parameters
    ----------
    fraction
        The plan's share.
    requests
        How many of the measured requests took it.
    predicted_seconds
        The evaluator's mean latency.
    mean_seconds
        Measured; ``None`` where no request took it.
    steps
        Transfers and stages in the order in which they happen; empty where no request took it.
    """

    fraction: float
    requests: int
    predicted_seconds: float
    mean_seconds: float | None
    steps: tuple[ServedStage | ServedTransfer, ...]

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        stages = [step for step in self.steps if isinstance(step, ServedStage)]
        transfers = [step for step in self.steps if isinstance(step, ServedTransfer)]
        return {
            "fraction": self.fraction,
            "requests": self.requests,
            "predicted_seconds": finite(self.predicted_seconds),
            "measured_seconds": self.mean_seconds,
            "stages": [stage.as_json() for stage in stages],
            "transfers": [transfer.as_json() for transfer in transfers],
        }


@dataclass(frozen=True, kw_only=True)
class ServedStream:
    """One stream under load.

    Parameters
    ----------
    name
        Of the stream.
    rate_per_second, arrival_cv2
        How its requests were drawn.
    predicted, measured
        The evaluator's figures and the measured ones.
    routes
        In the plan's order.
    strict_equal
        Whether all outputs equal the unsplit network's bit by bit, optimisation off.
    compared
        Requests under load whose outputs were compared with the unsplit network's.
    deployed_max_error
        Largest difference of theirs over the output's scale, at the deployed level; ``None``
        where none was compared.
    """

    name: str
    rate_per_second: float
    arrival_cv2: float
    predicted: Expected
    measured: Latencies
    routes: tuple[ServedRoute, ...]
    strict_equal: bool
    compared: int
    deployed_max_error: float | None

    def as_json(self, simulated: Mapping[str, Any] | None = None) -> dict[str, object]:
        """Return the figures, with those of a simulation where there is one."""
        measured = self.measured
        return {
            "name": self.name,
            "rate_per_second": self.rate_per_second,
            "arrival_cv2": self.arrival_cv2,
            "predicted": self.predicted.as_json(),
            "simulated": None if simulated is None else dict(simulated),
            "measured": measured.as_json(),
            "relative_errors": {
                "predicted": _errors(measured, self.predicted.mean_seconds, self.predicted.p95),
                "simulated": None
                if simulated is None
                else _errors(measured, simulated.get("mean_seconds"), simulated.get("p95")),
            },
            "strict_equal": self.strict_equal,
            "compared": self.compared,
            "deployed_max_error": finite(self.deployed_max_error),
            "routes": [route.as_json() for route in self.routes],
        }


def _errors(measured: Latencies, mean: float | None, p95: float | None) -> dict[str, object]:
    """Return (measured − other) ÷ other of the mean and the 95th percentile."""
    return {
        "mean": None if mean is None else relative_error(measured.mean_seconds, mean),
        "p95": None if p95 is None else relative_error(measured.p95, p95),
    }


@dataclass(frozen=True, kw_only=True)
class ServingDevice:
    """One device under load.

    Parameters
    ----------
    name
        Of the device.
    predicted_utilisation, predicted_wait_seconds
        The evaluator's.
    utilisation
        Busy seconds ÷ seconds, from the first measured arrival to the last.
    wait_seconds
        Mean wait of the measured requests' stages; ``None`` where there were none.
    service_ratio
        Measured ÷ predicted service time, the stages weighted as they were served; ``None``
        where there were none.
    """

    name: str
    predicted_utilisation: float
    predicted_wait_seconds: float
    utilisation: float
    wait_seconds: float | None
    service_ratio: float | None

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "name": self.name,
            "predicted": {
                "utilisation": finite(self.predicted_utilisation),
                "wait_seconds": finite(self.predicted_wait_seconds),
            },
            "measured": {"utilisation": self.utilisation, "wait_seconds": self.wait_seconds},
            "service_ratio": self.service_ratio,
        }


@dataclass(frozen=True, kw_only=True)
class OpenLoopReport:
    """What `run_open_loop` found.

    Parameters
    ----------
    rate_per_second
        Of all streams together.
    warmup, after
        Requests sent before and after the measured ones, not counted.
    seconds
        From the first measured arrival to the last.
    threads, seed
        As asked for.
    links_emulated
        Whether transfers between workers started here took the time of the problem's links.
    lag
        How late requests were sent.
    controller_cpu_share
        CPU time of the sending process ÷ seconds: it has to share the machine's cores.
    cores
        Of this machine.
    stopped
        Whether the run ended before all requests were sent: asked to, or because too many were
        waiting.
    piled_up
        Whether that was because too many were waiting.
    streams, devices
        In the problem's order; devices that serve nothing are left out.
    """

    rate_per_second: float
    warmup: int
    after: int
    seconds: float
    threads: int
    seed: int
    links_emulated: bool
    lag: Lag
    controller_cpu_share: float
    cores: int
    stopped: bool
    piled_up: bool
    streams: tuple[ServedStream, ...]
    devices: tuple[ServingDevice, ...]

    @property
    def requests(self) -> int:
        """How many were measured."""
        return sum(stream.measured.requests for stream in self.streams)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the measured times mean less than they seem to, in words with the remedy."""
        found = []
        if self.lag.fell_behind:
            found.append(
                f"requests were sent {self.lag.mean_seconds * 1e3:.2g} ms late on average, "
                f"{self.lag.share:.0%} of the latency: the machine is too busy to send in time; "
                "lower --rate or run the workers elsewhere"
            )
        if self.piled_up:
            found.append(
                "requests came faster than they were served, so sending ended: lower --rate"
            )
        found += [
            f"'{device.name[:40]}' is busy all the time: its queue grows as long as the run lasts, "
            "so the times say nothing but how long that was; lower --rate"
            for device in self.devices
            if device.predicted_utilisation >= 1 or device.utilisation >= FULL
        ]
        return tuple(found)

    def as_json(self, simulated: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
        """Return the report for ``--json`` and for the report file.

        Parameters
        ----------
        simulated
            By stream: ``mean_seconds``, ``p95`` and whatever else a simulation of the same plan
            at the same rates found; ``None`` where nobody simulated.
        """
        found = simulated or {}
        return {
            "open_loop": True,
            "rate_per_second": self.rate_per_second,
            "requests": self.requests,
            "warmup": self.warmup,
            "after": self.after,
            "seconds": self.seconds,
            "threads": self.threads,
            "seed": self.seed,
            "links_emulated": self.links_emulated,
            "lag": self.lag.as_json(),
            "controller_cpu_share": self.controller_cpu_share,
            "cores": self.cores,
            "stopped": self.stopped,
            "piled_up": self.piled_up,
            "warnings": list(self.warnings),
            "streams": [stream.as_json(found.get(stream.name)) for stream in self.streams],
            "devices": [device.as_json() for device in self.devices],
        }
