"""Predict a profile for a device that is not here, by roofline scaling.

The roofline of a node that does *f* operations and moves *b* bytes on a machine with *F*
operations and *B* bytes per second is max(f / F, b / B) (Williams, Waterman, Patterson:
*Roofline*, Communications of the ACM 52(4), 2009). No machine reaches it; how far a span
stays below it is measured here and taken to be the same there:

    time there = max(time here × r, (time here − fixed here) × r + fixed there)

For a layer, r = roofline there / roofline here, sums over its nodes. For a span of several it is
the mean of its layers' r, each weighted by the layer's time measured here: with a ratio of sums
of rooflines instead, a span would weigh its layers by what they should take and the layers apart
by what they do take, and splitting could win by that alone. As it is, the layers apart take no
less than the whole there if they take no less here.

*Fixed* is what entering a part costs whatever it
computes: here the profile's boundary cost, there the catalogue's ``overhead_seconds`` (where it
has none, time here × r). Of the two readings the dearer is taken: the boundary cost is a small
difference of measured times, and a noisy one must not make small parts look cheap, or plans that
split would win by noise. The assumption, that a span reaches the same fraction of its roofline
there as here, is the weak point: it ignores caches, kernels and number formats. So every result
is labelled ``predicted`` and says from what.

A job of b requests does b times the operations and moves b times the values, and the weights once;
its times, measured here as those of a job, are scaled by the roofs of that.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from edgeplan.model.catalogue import CatalogueDevice
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.graph import Graph, Node
from edgeplan.model.profile import BatchTimes, Profile, Timing
from edgeplan.profiling.calibrate import Calibration, calibrate

_VIEWS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Shape", "Size"})
"""Types that move nothing: their result is their input under another shape, or a few numbers."""


@dataclass(frozen=True)
class _Effort:
    """Operations and bytes of one node."""

    flop: float
    bytes: float


@dataclass(frozen=True)
class _Scale:
    """From here to there."""

    flops_here: float
    bytes_here: float
    flops_there: float
    bytes_there: float

    def ratio(self, efforts: list[_Effort]) -> float:
        here = math.fsum(max(e.flop / self.flops_here, e.bytes / self.bytes_here) for e in efforts)
        there = math.fsum(
            max(e.flop / self.flops_there, e.bytes / self.bytes_there) for e in efforts
        )
        if here == 0.0:  # nothing countable: as bad as the worse of the two roofs
            return max(self.flops_here / self.flops_there, self.bytes_here / self.bytes_there)
        return there / here


@dataclass(frozen=True)
class _Job:
    """Times of a job: of the profile itself, for a single request, or one of its batch sizes."""

    requests: int
    whole: Timing
    spans: tuple[tuple[Timing, ...], ...]
    boundary_seconds: float


class _Ratios:
    """From time here to time there, by span."""

    def __init__(self, profile: Profile, job: _Job, scale: _Scale) -> None:
        sizes = _sizes(profile.graph)
        efforts = [_effort(node, sizes, job.requests) for node in profile.graph.nodes]
        edges = (0, *profile.positions, len(efforts))
        self._efforts, self._edges, self._scale = efforts, edges, scale
        self._here = [row[0].mean_seconds for row in job.spans]
        self._layers = [scale.ratio(efforts[a:b]) for a, b in itertools.pairwise(edges)]

    def of(self, first: int, last: int) -> float:
        """Return the ratio of layers ``first`` to ``last - 1``."""
        here = self._here[first:last]
        total = math.fsum(here)
        if total == 0.0:
            return self._scale.ratio(self._efforts[self._edges[first] : self._edges[last]])
        products = (
            time * ratio for time, ratio in zip(here, self._layers[first:last], strict=True)
        )
        return math.fsum(products) / total


def predict(
    profile: Profile, device: CatalogueDevice, *, reference: Calibration | None = None
) -> Profile:
    """Return the profile of the same network, split alike, on a device of the catalogue.

    Parameters
    ----------
    profile
        Measured.
    device
        Must state ``flops_per_second`` and ``memory_bytes_per_second``.
    reference
        Roofs of the machine that `profile` was measured on, with its threads; by default
        those of this machine (`edgeplan.profiling.calibrate.calibrate`, measured once and
        then kept in the user's cache folder).

    Returns
    -------
    Profile
        With the same graph, positions, layers and tensors, so that profiles of one network
        on several devices can be used together; times labelled ``predicted``, energy left
        to the device's watts, batch sizes likewise. cv² is kept: the spread is taken to scale
        with the time. With
        figures equal to the reference the times are those of `profile`; they never rise
        when a figure of the device does.

    Raises
    ------
    InputError
        If the profile is itself a prediction, if `reference` is another machine's, or if the
        catalogue lacks a figure (each is named).
    """
    _check_device(device)
    _check_basis(profile)
    if reference is None:
        machine = profile.machine
        reference = calibrate(threads=machine.threads, provider=machine.provider)
    _check_reference(profile, reference)
    assert device.flops_per_second is not None
    assert device.memory_bytes_per_second is not None
    scale = _Scale(
        reference.flops_per_second,
        reference.bytes_per_second,
        device.flops_per_second.value,
        device.memory_bytes_per_second.value,
    )
    fixed_there = None if device.overhead_seconds is None else device.overhead_seconds.value

    def job_there(here: Profile | BatchTimes, requests: int) -> _Job:
        job = _Job(requests, here.whole, here.spans, here.boundary_seconds)
        return _there(job, _Ratios(profile, job, scale), fixed_there)

    alone = job_there(profile, 1)
    batches = []
    for batch in profile.batches:
        job = job_there(batch, batch.requests)
        batches.append(
            BatchTimes(
                requests=job.requests,
                whole=job.whole,
                spans=job.spans,
                boundary_seconds=job.boundary_seconds,
                joules=None,
                detail=f"scaled like the single requests from: {batch.detail}",
            )
        )
    return replace(
        profile,
        whole=alone.whole,
        spans=alone.spans,
        boundary_seconds=alone.boundary_seconds,
        joules=None,
        energy_basis="power-model",
        device=device.name,
        basis="predicted",
        basis_detail=_detail(profile, device, reference),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        batches=tuple(batches),
    )


def _there(job: _Job, ratios: _Ratios, fixed_there: float | None) -> _Job:
    """Return the times of a job on the other device."""
    fixed_here, count = job.boundary_seconds, len(job.spans)

    def scaled(timing: Timing, first: int, last: int) -> Timing:
        ratio = ratios.of(first, last)
        mean = _seconds(timing.mean_seconds, ratio, fixed_here, fixed_there)
        share = mean / timing.mean_seconds if timing.mean_seconds > 0 else ratio
        return Timing(
            mean_seconds=mean,
            median_seconds=_seconds(timing.median_seconds, ratio, fixed_here, fixed_there),
            mad_seconds=timing.mad_seconds * share,
            cv2=timing.cv2,
            cpu_seconds=_seconds(timing.cpu_seconds, ratio, fixed_here, fixed_there),
            runs=0,
            basis="predicted",
        )

    return _Job(
        requests=job.requests,
        whole=scaled(job.whole, 0, count),
        spans=tuple(
            tuple(scaled(timing, row, row + entry + 1) for entry, timing in enumerate(timings))
            for row, timings in enumerate(job.spans)
        ),
        boundary_seconds=fixed_here * ratios.of(0, count) if fixed_there is None else fixed_there,
    )


def _seconds(here: float, ratio: float, fixed_here: float, fixed_there: float | None) -> float:
    plain = here * ratio
    if fixed_there is None:
        return plain
    fixed = min(fixed_here, here)
    # Written as a change to the time here, so that equal figures return it to the last bit.
    return max(plain, here + (here - fixed) * (ratio - 1.0) + (fixed_there - fixed))


def _check_device(device: CatalogueDevice) -> None:
    faults = []
    place = f"catalogue.{device.name[:80]}"
    for name in ("flops_per_second", "memory_bytes_per_second"):
        figure = getattr(device, name)
        if figure is None:
            faults.append(
                Fault(f"{place}.{name}", "is not known, and prediction needs it: state it")
            )
        elif not (math.isfinite(figure.value) and figure.value > 0):
            faults.append(Fault(f"{place}.{name}", "must be a positive number"))
    overhead = device.overhead_seconds
    if overhead is not None and not (math.isfinite(overhead.value) and overhead.value >= 0):
        faults.append(Fault(f"{place}.overhead_seconds", "must be a finite number, not negative"))
    if faults:
        raise InputError(faults)


def _check_basis(profile: Profile) -> None:
    if profile.basis != "measured":
        raise InputError.at(
            "profile",
            f"'{profile.network[:80]}' is itself predicted, for '{profile.device[:80]}': "
            "predict from a measured profile",
        )


def _check_reference(profile: Profile, reference: Calibration) -> None:
    machine = profile.machine
    if (machine.cpu, machine.threads) != (reference.cpu, reference.threads):
        raise InputError.at(
            "reference",
            f"holds for {reference.cpu[:80]} with {_threads(reference.threads)}, the profile "
            f"was measured on {machine.cpu[:80]} with {machine.threads}: calibrate on that "
            "machine with as many threads",
        )


def _sizes(graph: Graph) -> dict[str, int]:
    return {value.name: value.bytes or 0 for value in graph.values}


def _effort(node: Node, sizes: dict[str, int], requests: int) -> _Effort:
    outputs = sum(sizes.get(name, 0) for name in node.outputs)
    if node.op_type in _VIEWS:
        return _Effort(0.0, 0.0)
    values = outputs + sum(sizes.get(name, 0) for name in node.inputs)
    # Where the type is not counted: each constant is used, each result element made, once.
    flop = 2.0 * node.macs if node.macs is not None else 2.0 * node.parameters + outputs / 4
    return _Effort(requests * flop, float(node.weight_bytes + requests * values))


def _detail(profile: Profile, device: CatalogueDevice, reference: Calibration) -> str:
    assert device.flops_per_second is not None
    assert device.memory_bytes_per_second is not None
    overhead = (
        "boundary cost scaled likewise"
        if device.overhead_seconds is None
        else f"{device.overhead_seconds.value * 1e3:.4g} ms of overhead per part "
        f"({device.overhead_seconds.kind})"
    )
    uncounted = (
        f"; operations not counted for {', '.join(profile.graph.uncounted)[:80]}"
        if profile.graph.uncounted
        else ""
    )
    return (
        f"roofline scaling of times measured as '{profile.device[:80]}' on "
        f"{profile.machine.cpu[:80]} with {_threads(profile.machine.threads)} "
        f"({reference.flops_per_second / 1e9:.4g} Gflop/s, "
        f"{reference.bytes_per_second / 1e9:.4g} GB/s by calibration) to {device.title[:80]} "
        f"({device.flops_per_second.value / 1e9:.4g} Gflop/s, {device.flops_per_second.kind}; "
        f"{device.memory_bytes_per_second.value / 1e9:.4g} GB/s, "
        f"{device.memory_bytes_per_second.kind}; {overhead}), assuming that each span reaches "
        f"the same fraction of its roofline on both{uncounted}"
    )


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
