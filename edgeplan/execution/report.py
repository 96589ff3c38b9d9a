"""What a run found: predicted beside measured, and whether the outputs are equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from edgeplan.execution.schedule import Compute, Move
from edgeplan.execution.split import SplitNetwork
from edgeplan.model.price import StagePrice, Transfer
from edgeplan.networks.comparing import scaled_error as scaled_error


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Repeated times of one thing, in seconds."""

    median_seconds: float
    mean_seconds: float
    p95_seconds: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Summary:
        """Return the summary of at least one time."""
        values = np.asarray(seconds, dtype=np.float64)
        return cls(
            median_seconds=float(np.median(values)),
            mean_seconds=float(np.mean(values)),
            p95_seconds=float(np.percentile(values, 95)),
        )

    def as_json(self) -> dict[str, object]:
        """Return the three numbers."""
        return {
            "median_seconds": self.median_seconds,
            "mean_seconds": self.mean_seconds,
            "p95_seconds": self.p95_seconds,
        }


@dataclass(frozen=True, kw_only=True)
class PlannedTransfer:
    """One transfer of a route, as the evaluator lists it; what was measured is added.

    Parameters
    ----------
    source, target, tensors, bytes
        What crosses which link.
    predicted_seconds
        The evaluator's time.
    emulated
        Whether it was held to the time of the problem's link; else the real link was used.
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    bytes: int
    predicted_seconds: float
    emulated: bool

    @classmethod
    def of(cls, network: SplitNetwork, step: Move, planned: Transfer, **measured: Any) -> Self:
        """Return the report on a step that carries out a planned transfer."""
        return cls(
            source=step.source,
            target=step.target,
            tensors=step.tensors,
            bytes=sum(network.specs[name].bytes for name in step.tensors),
            predicted_seconds=planned.seconds,
            emulated=step.seconds is not None,
            **measured,
        )

    def what_json(self) -> dict[str, object]:
        """Return what crosses which link."""
        return {
            "source": self.source,
            "target": self.target,
            "tensors": list(self.tensors),
            "bytes": self.bytes,
        }


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One stage of a route, as the evaluator lists it; what was measured is added.

    Parameters
    ----------
    device, first, stop
        Layers ``first`` to ``stop - 1`` ran there.
    predicted_seconds
        The evaluator's time.
    emulated
        Whether the stage was held to emulate a slower device: its wall time is then not a
        measurement of a device.
    """

    device: str
    first: int
    stop: int
    predicted_seconds: float
    emulated: bool

    @classmethod
    def of(cls, step: Compute, planned: StagePrice, **measured: Any) -> Self:
        """Return the report on a step that carries out a planned stage."""
        return cls(
            device=step.device,
            first=planned.first,
            stop=planned.stop,
            predicted_seconds=planned.seconds,
            emulated=step.hold_seconds is not None or step.hold_factor is not None,
            **measured,
        )

    def what_json(self) -> dict[str, object]:
        """Return which layers ran where."""
        return {"device": self.device, "layers": [self.first, self.stop]}


@dataclass(frozen=True, kw_only=True)
class TransferReport(PlannedTransfer):
    """One transfer of a route whose requests went one at a time.

    Parameters
    ----------
    measured
        Wall times from the start at the source to the end at the target.
    """

    measured: Summary

    def as_json(self) -> dict[str, object]:
        """Return the report for ``--json``."""
        return {
            **self.what_json(),
            "predicted_seconds": finite(self.predicted_seconds),
            "measured_seconds": self.measured.median_seconds,
            "measured": self.measured.as_json(),
            "emulated": self.emulated,
        }


@dataclass(frozen=True, kw_only=True)
class StageReport(PlannedStage):
    """One stage of a route whose requests went one at a time.

    Parameters
    ----------
    wall, cpu
        Measured times of the computation.
    transfers
        What arrived before it.
    """

    wall: Summary
    cpu: Summary
    transfers: tuple[TransferReport, ...]

    def as_json(self) -> dict[str, object]:
        """Return the report for ``--json``."""
        return {
            **self.what_json(),
            "predicted_seconds": finite(self.predicted_seconds),
            "measured_seconds": self.wall.median_seconds,
            "cpu_seconds": self.cpu.median_seconds,
            "emulated": self.emulated,
            "wall": self.wall.as_json(),
            "cpu": self.cpu.as_json(),
            "transfers": [transfer.as_json() for transfer in self.transfers],
        }


@dataclass(frozen=True, kw_only=True)
class RouteReport:
    """One route of a stream.

    Parameters
    ----------
    fraction
        Share of the stream's requests that the plan sends along it.
    requests
        How many were measured.
    predicted_seconds
        The evaluator's latency.
    measured
        Wall times from end to end.
    stages, returned
        In detail.
    strict_equal
        Whether all outputs equal the unsplit network's bit by bit, optimisation off.
    deployed_max_error
        Largest difference to the unsplit network's outputs over the output's scale, at the
        deployed optimisation level.
    """

    fraction: float
    requests: int
    predicted_seconds: float
    measured: Summary
    stages: tuple[StageReport, ...]
    returned: tuple[TransferReport, ...]
    strict_equal: bool
    deployed_max_error: float

    @property
    def measured_seconds(self) -> float:
        """Median wall time from end to end."""
        return self.measured.median_seconds

    @property
    def measured_cpu_seconds(self) -> float:
        """Medians added: computation in CPU time, transfers in wall time."""
        return math.fsum(
            [
                *(stage.cpu.median_seconds for stage in self.stages),
                *(transfer.measured.median_seconds for transfer in self.transfers),
            ]
        )

    @property
    def transfers(self) -> tuple[TransferReport, ...]:
        """All transfers in order."""
        return (*(t for stage in self.stages for t in stage.transfers), *self.returned)

    def as_json(self) -> dict[str, object]:
        """Return the report for ``--json``."""
        return {
            "fraction": self.fraction,
            "requests": self.requests,
            "predicted_seconds": finite(self.predicted_seconds),
            "measured_seconds": self.measured_seconds,
            "measured_cpu_seconds": self.measured_cpu_seconds,
            "relative_error": relative_error(self.measured_seconds, self.predicted_seconds),
            "measured": self.measured.as_json(),
            "strict_equal": self.strict_equal,
            "deployed_max_error": finite(self.deployed_max_error),
            "stages": [stage.as_json() for stage in self.stages],
            "returned": [transfer.as_json() for transfer in self.returned],
        }


@dataclass(frozen=True, kw_only=True)
class StreamReport:
    """One stream; numbers are means over its routes by their fractions.

    Parameters
    ----------
    name
        Of the stream.
    routes
        In the plan's order.
    """

    name: str
    routes: tuple[RouteReport, ...]

    def _mean(self, values: Sequence[float]) -> float:
        total = math.fsum(route.fraction for route in self.routes)
        weighted = (r.fraction * v for r, v in zip(self.routes, values, strict=True))
        return math.fsum(weighted) / total

    @property
    def predicted_seconds(self) -> float:
        """The evaluator's latency."""
        return self._mean([route.predicted_seconds for route in self.routes])

    @property
    def measured_seconds(self) -> float:
        """Median wall time from end to end."""
        return self._mean([route.measured_seconds for route in self.routes])

    @property
    def measured_cpu_seconds(self) -> float:
        """Computation in CPU time, transfers in wall time."""
        return self._mean([route.measured_cpu_seconds for route in self.routes])

    @property
    def relative_error(self) -> float | None:
        """(measured − predicted) ÷ predicted; ``None`` where nothing finite was predicted."""
        return relative_error(self.measured_seconds, self.predicted_seconds)

    @property
    def strict_equal(self) -> bool:
        """Whether the outputs equal the unsplit network's bit by bit, optimisation off."""
        return all(route.strict_equal for route in self.routes)

    @property
    def deployed_max_error(self) -> float:
        """Largest difference over the output's scale at the deployed level."""
        return max(route.deployed_max_error for route in self.routes)

    def as_json(self) -> dict[str, object]:
        """Return the report for ``--json``; ``stages`` lists those of all routes."""
        return {
            "name": self.name,
            "predicted_seconds": finite(self.predicted_seconds),
            "measured_seconds": self.measured_seconds,
            "measured_cpu_seconds": self.measured_cpu_seconds,
            "relative_error": self.relative_error,
            "relative_error_cpu": relative_error(self.measured_cpu_seconds, self.predicted_seconds),
            "strict_equal": self.strict_equal,
            "deployed_max_error": finite(self.deployed_max_error),
            "stages": [
                {"route": index, **stage.as_json()}
                for index, route in enumerate(self.routes)
                for stage in route.stages
            ],
            "routes": [route.as_json() for route in self.routes],
        }


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """What `run` found.

    Parameters
    ----------
    requests
        Asked for, per route.
    threads
        Intra-op threads of each worker.
    links_emulated
        Whether transfers between workers started here took the time of the problem's links;
        each transfer says for itself whether it did.
    streams
        In the problem's order.
    folder
        Where the parts lie; ``None`` where they were temporary.
    """

    requests: int
    threads: int
    links_emulated: bool
    streams: tuple[StreamReport, ...]
    folder: str | None

    def as_json(self) -> dict[str, object]:
        """Return the report for ``--json`` and for the report file."""
        return {
            "requests": self.requests,
            "threads": self.threads,
            "links_emulated": self.links_emulated,
            "folder": self.folder,
            "streams": [stream.as_json() for stream in self.streams],
        }


def relative_error(measured: float, predicted: float) -> float | None:
    """Return (measured − predicted) ÷ predicted, ``None`` where that is no number."""
    if not math.isfinite(predicted) or predicted <= 0:
        return None
    return measured / predicted - 1


def finite(value: float | None) -> float | None:
    """Return the value, ``None`` where there is none or JSON could not hold it."""
    return None if value is None or not math.isfinite(value) else value


def equal_bits(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Return whether two arrays have the same type, shape and bytes."""
    same = one.dtype == other.dtype and one.shape == other.shape
    return same and one.tobytes() == other.tobytes()
