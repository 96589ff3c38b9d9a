"""From the runs of the spans that were measured to the tables of a profile."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from edgeplan.model.profile import Timing
from edgeplan.profiling.samples import Samples, Samplings, Span
from edgeplan.profiling.statistics import boundary, interpolate, summarise

MOST_SPANS = 120
"""Of more spans than this only layers, heads and tails are run; the others are interpolated."""


def wanted(count: int) -> list[Span]:
    """Return the spans of ``count`` layers to run: layers, heads, tails, then the rest.

    Examples
    --------
    >>> wanted(3)
    [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3)]
    """
    every = [(first, stop) for first in range(count) for stop in range(first + 1, count + 1)]
    ends = dict.fromkeys(
        [
            *((layer, layer + 1) for layer in range(count)),
            *((0, stop) for stop in range(count, 0, -1)),
            *((first, count) for first in range(count)),
        ]
    )
    if len(every) > MOST_SPANS:
        return list(ends)
    return list(dict.fromkeys([*ends, *every]))


def timings(
    spans: Mapping[Span, Samples], count: int
) -> tuple[tuple[tuple[Timing, ...], ...], float]:
    """Return the table of span times and the boundary cost.

    Parameters
    ----------
    spans
        Runs of at least the layers, heads and tails.
    count
        Number of layers.

    Returns
    -------
    spans
        Row ``i``, entry ``k``: layers ``i`` to ``i + k``. Spans that were not run are
        interpolated: their layers joined, each joint saving what all layers apart take more
        than the whole, so that the ends meet.
    boundary_seconds
        `edgeplan.profiling.statistics.boundary` of the runs.
    """
    known = {span: summarise(found.wall, found.cpu) for span, found in spans.items()}
    apart = [known[layer, layer + 1] for layer in range(count)]
    saved = 0.0
    if count > 1:
        extra = math.fsum(part.mean_seconds for part in apart) - known[0, count].mean_seconds
        saved = max(0.0, extra / (count - 1))
    table = tuple(
        tuple(
            known[first, stop] if (first, stop) in known else interpolate(apart[first:stop], saved)
            for stop in range(first + 1, count + 1)
        )
        for first in range(count)
    )
    return table, boundary({span: found.wall for span, found in spans.items()}, count)


def joules(spans: Mapping[Span, Samples], count: int) -> tuple[tuple[float, ...], ...] | None:
    """Return the table of energies per run, or ``None`` where one was not measured."""
    known = {span: found.joules_per_run for span, found in spans.items()}
    if any(value is None for value in known.values()):
        return None

    def of(first: int, stop: int) -> float:
        value = known.get((first, stop))
        if value is not None:
            return value
        return math.fsum(known[layer, layer + 1] or 0.0 for layer in range(first, stop))

    return tuple(
        tuple(of(first, stop) for stop in range(first + 1, count + 1)) for first in range(count)
    )


def whole(sittings: Mapping[str, Samples]) -> Timing:
    """Return the time of the unsplit network over all sittings."""
    return summarise(
        [value for samples in sittings.values() for value in samples.wall],
        [value for samples in sittings.values() for value in samples.cpu],
    )


def detail(found: Samplings, spans: Sequence[Span], count: int, *, warmup: int, rapl: bool) -> str:
    """Return in words what was run and what was not."""
    total = count * (count + 1) // 2
    runs = [len(found.spans[span].wall) for span in spans]
    said = [
        f"{len(spans)} of {total} spans run {min(runs)} to {max(runs)} times each at the "
        f"deployed optimisation level after {warmup} warm-up runs, in rounds, from seeded "
        "random input"
    ]
    if found.disturbed:
        said.append(
            f"{found.disturbed} more runs left out because another process got the processor"
        )
    if len(spans) < total:
        said.append("the other spans joined from their layers (interpolated)")
    medians = [statistics.median(samples.wall) for samples in found.whole.values()]
    if len(medians) > 1:
        spread = (max(medians) - min(medians)) / min(medians)
        said.append(
            f"the unsplit file ran along in {len(medians)} sittings, whose medians differ by up "
            f"to {spread:.1%}"
        )
    said.append(
        "energy by RAPL counters of the whole package, idle power included"
        if rapl
        else "energy left to the device's watts: no RAPL counter can be read here"
    )
    return "; ".join(said)
