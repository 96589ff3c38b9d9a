"""From repeated times to the figures that a profile keeps."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

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
        Mean, median, median absolute deviation and cv² of the wall time, median CPU time.
    """
    return Timing(
        mean_seconds=statistics.fmean(wall_seconds),
        median_seconds=statistics.median(wall_seconds),
        mad_seconds=median_deviation(wall_seconds),
        cv2=squared_variation(wall_seconds),
        cpu_seconds=statistics.median(cpu_seconds),
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


def boundary(spans: Sequence[Sequence[Timing]]) -> float:
    """Return what one more split adds: the median of (Σ parts − whole) per additional part.

    The splits looked at are those whose parts were all measured: head and tail at each inner
    cut, and all layers apart.

    Parameters
    ----------
    spans
        Row ``i``, entry ``k``: layers ``i`` to ``i + k``.

    Returns
    -------
    float
        Seconds, not below 0; 0 for a single layer.
    """
    count = len(spans)
    if count == 1:
        return 0.0
    whole = spans[0][count - 1].median_seconds
    extras = [
        spans[0][cut - 1].median_seconds + spans[cut][count - cut - 1].median_seconds - whole
        for cut in range(1, count)
    ]
    apart = math.fsum(row[0].median_seconds for row in spans)
    extras.append((apart - whole) / (count - 1))
    return max(0.0, statistics.median(extras))
