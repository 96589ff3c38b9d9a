"""A profile: the graph of a network and what its parts cost on one device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edgeplan.model.graph import Graph
from edgeplan.model.network import Layer, Network, SpanCosts, Tensor

Basis = Literal["measured", "predicted"]
SpanBasis = Literal["measured", "interpolated", "predicted"]
EnergyBasis = Literal["rapl", "power-model"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Repeated times of one thing.

    Parameters
    ----------
    mean_seconds, median_seconds, mad_seconds
        Wall time: mean, median and median absolute deviation.
    cv2
        Squared coefficient of variation of the wall time.
    cpu_seconds
        Median CPU time of the process.
    runs
        Number of repetitions; 0 where nothing was run.
    basis
        ``measured``; ``interpolated`` from measured parts; ``predicted`` for another device.
    """

    mean_seconds: float
    median_seconds: float
    mad_seconds: float
    cv2: float
    cpu_seconds: float
    runs: int
    basis: SpanBasis = "measured"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and with what a profile was measured.

    Parameters
    ----------
    cpu, cores, memory_bytes, system
        Hardware and operating system.
    python, onnxruntime, onnx
        Versions.
    provider, threads
        ONNX Runtime's execution provider and intra-op threads.
    """

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    onnxruntime: str
    onnx: str
    provider: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class BatchTimes:
    """What a job of several requests costs on the same device: one batch size.

    The requests lie along the first dimension of every graph input; cuts and layers are those
    of the profile. All times are of the whole job.

    Parameters
    ----------
    requests
        How many requests the job serves.
    whole
        Time of the unsplit network, pinned for the job, at the deployed optimisation level.
    spans
        Row ``i``, entry ``k``: time of the part made of layers ``i`` to ``i + k``.
    boundary_seconds
        Median extra time of a split: (Σ parts − whole) per additional part, not below 0.
    joules
        Of the whole job, in the shape of ``spans``; ``None`` where energy is left to the
        device's watts.
    detail
        What was and was not run.
    """

    requests: int
    whole: Timing
    spans: tuple[tuple[Timing, ...], ...]
    boundary_seconds: float
    joules: tuple[tuple[float, ...], ...] | None
    detail: str

    def costs(self) -> SpanCosts:
        """Return the span table as the planner prices it (means of wall time)."""
        return _costs(self.spans, self.joules)


@dataclass(frozen=True, kw_only=True)
class RefusedBatch:
    """A batch size that was asked for and could not be measured.

    Parameters
    ----------
    requests
        How many requests the job serves.
    reason
        Why not, and what to do.
    """

    requests: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a network's parts cost on one device.

    Parameters
    ----------
    network
        Name of the network.
    onnx
        File name of the ONNX file (no folder).
    sha256
        Hash of model bytes and external data.
    shapes
        Pinned shapes of the graph inputs.
    graph
        Nodes, values and all cuts of the folded graph.
    positions
        Node positions of the shortlisted cuts, ascending: they bound the layers.
    layers, tensors
        What the planner places: groups of nodes between shortlisted cuts, and what they
        exchange.
    whole
        Time of the unsplit network at the deployed optimisation level.
    spans
        Row ``i``, entry ``k``: time of the part made of layers ``i`` to ``i + k``.
    boundary_seconds
        Median extra time of a split: (Σ parts − whole) per additional part, not below 0.
    joules
        In the shape of ``spans``, or ``None`` where energy is left to the device's watts.
    energy_basis
        Where ``joules`` come from.
    device
        Name of the device that the times hold for.
    basis
        Whether they were measured there or predicted.
    basis_detail
        For a prediction, from what and how; for a measurement, what was and was not run.
    machine
        Where the measurement, or the one that the prediction starts from, was made.
    created
        ISO 8601 time.
    batches
        The same for jobs of several requests, by ascending batch size, each at least 2.
    refused_batches
        Batch sizes that were asked for and could not be measured.
    """

    network: str
    onnx: str
    sha256: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    graph: Graph
    positions: tuple[int, ...]
    layers: tuple[Layer, ...]
    tensors: tuple[Tensor, ...]
    whole: Timing
    spans: tuple[tuple[Timing, ...], ...]
    boundary_seconds: float
    joules: tuple[tuple[float, ...], ...] | None
    energy_basis: EnergyBasis | None
    device: str
    basis: Basis
    basis_detail: str
    machine: Machine
    created: str
    batches: tuple[BatchTimes, ...] = ()
    refused_batches: tuple[RefusedBatch, ...] = ()

    def __post_init__(self) -> None:
        # A Network validates layers, tensors and table shapes with places.
        Network(self.network, self.layers, self.tensors, {self.device: self.costs()})

    def costs(self) -> SpanCosts:
        """Return the span tables as the planner prices them (means of wall time)."""
        return replace(
            _costs(self.spans, self.joules),
            batches={batch.requests: batch.costs() for batch in self.batches},
        )


def _costs(
    spans: tuple[tuple[Timing, ...], ...], joules: tuple[tuple[float, ...], ...] | None
) -> SpanCosts:
    return SpanCosts(
        seconds=tuple(tuple(timing.mean_seconds for timing in row) for row in spans),
        cv2=tuple(tuple(timing.cv2 for timing in row) for row in spans),
        joules=joules,
    )
