"""From repeated times to the figures that a profile keeps."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from edgeplan.model.profile import SpanBasis, Timing


def squared_variation(values: Sequence[float]) -> float:
    """Return the squared coefficient of variation: sample variance over squared mean.

    Parameters
    ----------
    values
        Times in seconds, at least one.

    Returns
    -------
    float
        Without unit. 0 for a single value or a zero mean. The variance is the unbiased one
        (divided by n − 1), so that E[S²] = mean² (1 + cv²) is not understated by few runs.

    Examples
    --------
    >>> squared_variation([1.0, 2.0, 3.0])
    0.25
    """
    mean = statistics.fmean(values)
    if len(values) < 2 or mean == 0.0:
        return 0.0
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / mean**2


def median_deviation(values: Sequence[float]) -> float:
    """Return the median absolute deviation from the median, unscaled, in the values' unit.

    Examples
    --------
    >>> median_deviation([1.0, 2.0, 4.0, 100.0])
    1.5
    """
    centre = statistics.median(values)
    return statistics.median(abs(value - centre) for value in values)


def summarise(
    wall_seconds: Sequence[float], cpu_seconds: Sequence[float], basis: SpanBasis = "measured"
) -> Timing:
    """Return the figures of repeated runs of one thing.

    Parameters
    ----------
    wall_seconds, cpu_seconds
        Wall and process time of each run, seconds, of equal length, at least one.
    basis
        How the times came about.

    Returns
    -------
    Timing
        Mean, median, median absolute deviation and cv² of the wall time, median CPU time: its
        mean where a coarse clock saw most runs take none, the wall time where it saw nothing.
    """
    wall = statistics.median(wall_seconds)
    cpu = statistics.median(cpu_seconds) or statistics.fmean(cpu_seconds) or wall
    return Timing(
        mean_seconds=statistics.fmean(wall_seconds),
        median_seconds=wall,
        mad_seconds=median_deviation(wall_seconds),
        cv2=squared_variation(wall_seconds),
        cpu_seconds=cpu,
        runs=len(wall_seconds),
        basis=basis,
    )


def interpolate(parts: Sequence[Timing], boundary_seconds: float) -> Timing:
    """Return the time of a span that was not run, from the layers that it joins.

    Joining *n* parts saves *n − 1* boundaries: Σ parts − (n − 1) × boundary, and never less
    than the dearest part. The parts' deviations are taken as independent, so variances and
    squared median deviations add.

    Parameters
    ----------
    parts
        Times of the layers, each measured as a part of its own; at least one.
    boundary_seconds
        What one split adds.

    Returns
    -------
    Timing
        With basis ``interpolated`` and no runs.
    """
    saved = (len(parts) - 1) * boundary_seconds

    def joined(values: Sequence[float]) -> float:
        return max(math.fsum(values) - saved, max(values))

    mean = joined([part.mean_seconds for part in parts])
    variance = math.fsum(part.cv2 * part.mean_seconds**2 for part in parts)
    return Timing(
        mean_seconds=mean,
        median_seconds=joined([part.median_seconds for part in parts]),
        mad_seconds=math.hypot(*(part.mad_seconds for part in parts)),
        cv2=variance / mean**2 if mean > 0 else 0.0,
        cpu_seconds=joined([part.cpu_seconds for part in parts]),
        runs=0,
        basis="interpolated",
    )


def quiet(seconds: Sequence[float]) -> float:
    """Return the lower quartile: what a thing takes on a machine that is left alone.

    A neighbour only ever adds time, so the upper half of the runs holds most of the noise; the
    minimum alone would hang on a single run.

    Examples
    --------
    >>> quiet([1.0, 1.1, 1.2, 9.0, 9.0])
    1.1
    """
    if len(seconds) < 2:
        return seconds[0]
    return statistics.quantiles(seconds, n=4, method="inclusive")[0]


def boundary(runs: Mapping[tuple[int, int], Sequence[float]], count: int) -> float:
    """Return what one more split adds: the median of head + tail − both together.

    Looked at is every split in two of every span whose three times were all measured, not of
    the whole alone: so a single noisy span is in few of the terms. Each time is the lower
    quartile of its runs (:func:`quiet`). Since no part can take less than what entering a part
    costs, the result is capped by the shortest one.

    Parameters
    ----------
    runs
        Wall seconds of each run, by span (first layer, stop).
    count
        Number of layers.

    Returns
    -------
    float
        Seconds, not below 0; 0 for a single layer.

    Examples
    --------
    >>> boundary({(0, 1): [2.0], (1, 2): [3.0], (0, 2): [4.5]}, 2)
    0.5
    """
    times = {span: quiet(seconds) for span, seconds in runs.items()}
    extras = [
        times[first, cut] + times[cut, stop] - times[first, stop]
        for first, cut, stop in itertools.combinations(range(count + 1), 3)
        if times.keys() >= {(first, cut), (cut, stop), (first, stop)}
    ]
    if not extras:
        return 0.0
    return min(max(0.0, statistics.median(extras)), *times.values())
