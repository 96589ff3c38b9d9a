"""What a run says about the long run: means, percentiles and shares with their confidence.

Requests that follow each other wait together, so they are no independent sample. The method of
batch means cuts the run into `BATCHES` parts, long enough to be nearly independent, and takes the
spread of the parts' means (Law, Simulation Modeling and Analysis, section 9.5). An interval for a
percentile comes from the share of requests below it, whose batch means have a spread too, read
back through the sorted latencies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeplan.simulation.arrivals import Floats

Flags = NDArray[np.bool_]

BATCHES = 20
"""Parts of a run: few, so that each is long against the time in which a queue forgets."""

LEAST_PER_BATCH = 10
"""With fewer requests per part nothing is said about confidence."""

CONFIDENCE = 0.95

ROUNDING = 1e-9
"""A relative spread that is none."""


@dataclass(frozen=True)
class Estimate:
    """A number that a run estimates.

    Parameters
    ----------
    value
        The estimate; not a number where nothing was observed.
    standard_error
        Its standard deviation, by batch means; ``None`` where there was too little to say.
    """

    value: float
    standard_error: float | None

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % confidence interval."""
        if self.standard_error is None:
            return None
        return student(1 - (1 - CONFIDENCE) / 2) * self.standard_error

    def above(self, limit: float, confidence: float = CONFIDENCE) -> bool:
        """Say whether the number is above a limit, at a one-sided level of confidence."""
        if self.standard_error is None:
            return False
        return self.value - student(confidence) * self.standard_error > limit

    def below(self, limit: float, confidence: float = CONFIDENCE) -> bool:
        """Say whether the number is below a limit, at a one-sided level of confidence."""
        if self.standard_error is None:
            return False
        return self.value + student(confidence) * self.standard_error < limit


@dataclass(frozen=True)
class Percentile:
    """A percentile with its 95 % confidence interval.

    Parameters
    ----------
    probability
        0.95 for the 95th percentile.
    seconds
        The latency that this share of the requests does not exceed.
    low_seconds, high_seconds
        The interval; ``None`` where the run was too short to have a bound on that side.
    """

    probability: float
    seconds: float
    low_seconds: float | None
    high_seconds: float | None


def student(probability: float) -> float:
    """Return the quantile of Student's distribution for the batch means of a run."""
    from scipy.special import stdtrit

    return float(stdtrit(BATCHES - 1, probability))


class Sample:
    """Latencies of requests in the order of their arrival.

    Parameters
    ----------
    seconds
        The latencies.
    """

    def __init__(self, seconds: Floats) -> None:
        self.seconds = seconds

    @cached_property
    def _sorted(self) -> Floats:
        return np.sort(self.seconds)

    def _standard_error(self, values: Floats | Flags) -> float | None:
        size = values.size // BATCHES
        if size < LEAST_PER_BATCH:
            return None
        # What does not fill the batches is left out at the start, where the warm-up ended.
        means = values[values.size - size * BATCHES :].reshape(BATCHES, size).mean(axis=1)
        error = float(means.std(ddof=1) / math.sqrt(BATCHES))
        # Less comes of rounding the time of day, where every request takes the same.
        return error if error > ROUNDING * abs(float(means.mean())) else 0.0

    @property
    def mean(self) -> Estimate:
        """The mean latency."""
        if not self.seconds.size:
            return Estimate(math.nan, None)
        return Estimate(float(self.seconds.mean()), self._standard_error(self.seconds))

    def within(self, limit: float) -> Estimate:
        """Return the share of requests that take at most so many seconds."""
        if not self.seconds.size:
            return Estimate(math.nan, None)
        inside = self.seconds <= limit
        value, error = float(inside.mean()), self._standard_error(inside)
        if error is not None and value in (0.0, 1.0):
            # None of n: the rule of three bounds the share by 3 / n.
            error = 3 / self.seconds.size / student(1 - (1 - CONFIDENCE) / 2)
        return Estimate(value, error)

    def percentile(self, probability: float) -> Percentile:
        """Return a percentile: the smallest latency that this share does not exceed."""
        if not self.seconds.size:
            return Percentile(probability, math.nan, None, None)
        value = self._quantile(probability)
        assert value is not None
        error = self._standard_error(self.seconds <= value)
        if error is None:
            return Percentile(probability, value, None, None)
        half = student(1 - (1 - CONFIDENCE) / 2) * error
        return Percentile(
            probability,
            value,
            self._quantile(probability - half),
            self._quantile(probability + half),
        )

    def _quantile(self, probability: float) -> float | None:
        if not 0 < probability < 1:
            return None
        # A hair less, so that a rounding error does not take the next one.
        rank = math.ceil(probability * self._sorted.size * (1 - 1e-12)) - 1
        return float(self._sorted[max(rank, 0)])
