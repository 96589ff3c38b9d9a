"""How requests arrive: renewal processes, bursts between two rates, recorded times.

Each kind is a frozen description; `sampler` begins a run of it. Samplers draw in blocks of fixed
size from a generator of their own, so that the times do not depend on how they are asked for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import Fault, InputError

Floats = NDArray[np.float64]

_BLOCK = 8192

_CLOCK = 1e-12
"""A squared coefficient of variation below this is none."""

MOST_CV2 = 1e6
"""Burstier gamma arrivals are refused: of more than a million requests nearly all come at one
moment, and the next one so late that double precision cannot tell services apart."""

POISSON_EXCESS = 0.01
"""Bursts that raise the index of dispersion (1 for Poisson) by less than this are left out."""

MOST_CYCLE_SECONDS = 1e12
"""Bursts that are farther apart are refused: times must be told apart to a millisecond."""

LEAST_RATE, MOST_RATE = 1e-12, 1e12
"""Requests per second that can be simulated."""


class Sampler(ABC):
    """A run of an arrival process, from time 0 on."""

    def __init__(self) -> None:
        self._held: Floats = np.empty(0)

    def until(self, seconds: float, most: float = math.inf) -> Floats:
        """Return the times of the arrivals since the last call, up to a time, ascending.

        Parameters
        ----------
        seconds
            The time.
        most
            So many are enough: there may be more arrivals up to the time than are returned,
            but then at least so many are.
        """
        parts, size = [self._held], self._held.size
        while size < most and not (parts[-1].size and parts[-1][-1] > seconds):
            parts.append(self._more())
            size += parts[-1].size
        joined = np.concatenate(parts) if len(parts) > 1 else parts[0]
        cut = int(np.searchsorted(joined, seconds, side="right"))
        self._held = joined[cut:]
        return joined[:cut]

    def peek(self) -> float:
        """Return when the next request arrives."""
        if not self._held.size:
            self._held = self._more()
        return float(self._held[0])

    @abstractmethod
    def _more(self) -> Floats:
        """Return the next arrivals after all those that were returned, at least one."""


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """Independent gamma-distributed times between arrivals.

    Parameters
    ----------
    cv2
        Squared coefficient of variation of the times between: 1 is Poisson, 0 a clock, more
        than 1 bursts; at most `MOST_CV2`.
    """

    cv2: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.cv2) and self.cv2 >= 0):
            raise InputError.at("cv2", "must be a finite number, not negative")
        if self.cv2 > MOST_CV2:
            raise InputError.at(
                "cv2", f"must be at most {MOST_CV2:g}: burstier arrivals cannot be simulated"
            )

    @property
    def text(self) -> str:
        """In words."""
        return "Poisson" if self.cv2 == 1 else f"gamma, ca² {self.cv2:.4g}"

    def rate_per_second(self, asked: float) -> float:
        """Return the mean rate where ``asked`` is asked for."""
        return asked

    def sampler(self, rate_per_second: float, generator: np.random.Generator) -> Sampler:
        """Begin a run."""
        return _RenewalSampler(self.cv2, rate_per_second, generator)


class _RenewalSampler(Sampler):
    def __init__(self, cv2: float, rate: float, generator: np.random.Generator) -> None:
        super().__init__()
        self._cv2, self._rate, self._generator = cv2, rate, generator
        self._last: float | None = None

    def _more(self) -> Floats:
        gaps = gamma(self._generator, 1 / self._rate, self._cv2, _BLOCK)
        if self._last is None:
            # The stationary process: the first arrival is at a uniform point of a gap drawn
            # in proportion to its length, and such a gamma has a shape larger by one.
            if self._cv2 >= _CLOCK:
                long = self._generator.standard_gamma(1 / self._cv2 + 1) * self._cv2 / self._rate
            else:
                long = 1 / self._rate
            gaps[0] = long * self._generator.random()
            self._last = 0.0
        times = np.cumsum(gaps)
        times += self._last
        self._last = float(times[-1])
        return times


def gamma(generator: np.random.Generator, mean: float, cv2: float, size: int) -> Floats:
    """Return gamma-distributed numbers of a mean and a squared coefficient of variation."""
    if cv2 < _CLOCK or mean == 0:
        return np.full(size, mean)
    if cv2 == 1:
        return generator.standard_exponential(size) * mean
    return generator.standard_gamma(1 / cv2, size) * (mean * cv2)


@dataclass(frozen=True, kw_only=True)
class Mmpp:
    """A Poisson process that switches between a quiet rate and a burst rate (two-state MMPP).

    Parameters
    ----------
    ratio
        Rate within bursts over the quiet rate, at least 1.
    burst_seconds
        Mean length of a burst; bursts and quiet times are exponentially distributed.
    share
        Share of time within bursts.
    """

    ratio: float
    burst_seconds: float
    share: float = 0.5

    def __post_init__(self) -> None:
        faults = []
        if not (math.isfinite(self.ratio) and self.ratio >= 1):
            faults.append(Fault("ratio", "must be a finite number, at least 1"))
        if not (math.isfinite(self.burst_seconds) and self.burst_seconds > 0):
            faults.append(Fault("burst_seconds", "must be a finite time above 0"))
        if not 0 < self.share < 1:
            faults.append(Fault("share", "must be above 0 and below 1"))
        if not faults and self.burst_seconds / self.share > MOST_CYCLE_SECONDS:
            faults.append(Fault("burst_seconds", "over share: bursts are too far apart"))
        if faults:
            raise InputError(faults)

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"MMPP, bursts {self.ratio:.4g} times the quiet rate, {self.burst_seconds:.4g} s "
            f"long, {self.share:.2g} of time"
        )

    def rate_per_second(self, asked: float) -> float:
        """Return the mean rate where ``asked`` is asked for."""
        return asked

    def excess(self, rate_per_second: float) -> float:
        """Return by how much counts over long times are more dispersed than Poisson's.

        The index of dispersion less 1: twice the variance of the rate over its decay and its mean
        (Fischer and Meier-Hellstern 1993, The MMPP cookbook).
        """
        quiet = 1 / (1 - self.share + self.ratio * self.share)
        spread = (self.ratio - 1) * quiet
        variance = self.share * (1 - self.share) * spread**2
        return 2 * variance * (1 - self.share) * self.burst_seconds * rate_per_second

    def sampler(self, rate_per_second: float, generator: np.random.Generator) -> Sampler:
        """Begin a run; of bursts too short to be noticed (`POISSON_EXCESS`) a Poisson process."""
        if self.excess(rate_per_second) < POISSON_EXCESS:
            return _RenewalSampler(1.0, rate_per_second, generator)
        return _MmppSampler(self, rate_per_second, generator)


_SWITCHES = 4096
"""Switches between the two rates that are drawn together; even, so that a block ends with the
other state than it began with."""


class _MmppSampler(Sampler):
    """Arrivals of a Poisson process of rate 1 in a clock that runs at the present rate."""

    def __init__(self, process: Mmpp, rate: float, generator: np.random.Generator) -> None:
        super().__init__()
        switches, self._generator = generator.spawn(2)
        quiet = rate / (1 - process.share + process.ratio * process.share)
        self._rates = np.array([quiet, quiet * process.ratio])
        lengths = [process.burst_seconds * (1 - process.share) / process.share]
        self._means = np.array([*lengths, process.burst_seconds])
        self._switches = switches
        # The first state of each block of switches: the block has an even number of them.
        self._first = int(switches.random() < process.share)
        self._clock = np.zeros(1)
        self._time = np.zeros(1)
        self._last = 0.0

    def _more(self) -> Floats:
        ticks = np.cumsum(self._generator.standard_exponential(_BLOCK))
        ticks += self._last
        self._last = float(ticks[-1])
        clock, time = [self._clock], [self._time]
        while clock[-1][-1] <= self._last:
            state = (np.arange(_SWITCHES) + self._first) % 2
            lengths = self._switches.standard_exponential(_SWITCHES) * self._means[state]
            time.append(time[-1][-1] + np.cumsum(lengths))
            clock.append(clock[-1][-1] + np.cumsum(lengths * self._rates[state]))
        self._clock, self._time = np.concatenate(clock), np.concatenate(time)
        times: Floats = np.interp(ticks, self._clock, self._time)
        past = int(np.searchsorted(self._clock, self._last, side="right")) - 1
        self._clock, self._time = self._clock[past:], self._time[past:]
        return times


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """Recorded arrivals, repeated from the start when they are used up.

    Parameters
    ----------
    times
        Seconds, ascending, at least two that differ.
    name
        Of the file, for people.
    scaled
        Whether they are stretched to the rate that is asked for; else they keep their own.
    """

    times: Floats = field(repr=False)
    name: str = "trace"
    scaled: bool = False

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or self.times.size < 2 or not self.times[-1] > self.times[0]:
            raise InputError.at(self.name[:80], "needs at least two arrivals at different times")
        if not np.isfinite(self.times).all() or np.any(np.diff(self.times) < 0):
            raise InputError.at(self.name[:80], "times must be finite and never decrease")
        with np.errstate(over="ignore"):
            rate = self.own_rate_per_second
        if not LEAST_RATE <= rate <= MOST_RATE:
            raise InputError.at(
                self.name[:80],
                f"has {rate:.3g} arrivals per second; from {LEAST_RATE:g} to {MOST_RATE:g} can be "
                "simulated",
            )

    @property
    def own_rate_per_second(self) -> float:
        """Arrivals per second as recorded."""
        return float((self.times.size - 1) / (self.times[-1] - self.times[0]))

    @property
    def text(self) -> str:
        """In words."""
        return f"trace {self.name[:60]}{', scaled' if self.scaled else ''}"

    def rate_per_second(self, asked: float) -> float:
        """Return the mean rate where ``asked`` is asked for."""
        return asked if self.scaled else self.own_rate_per_second

    def sampler(self, rate_per_second: float, generator: np.random.Generator) -> Sampler:
        """Begin a run; a trace draws nothing."""
        return _TraceSampler(self, self.rate_per_second(rate_per_second))


class _TraceSampler(Sampler):
    def __init__(self, trace: Trace, rate: float) -> None:
        super().__init__()
        # One mean gap before the first arrival, and so between the last and the first again.
        times = (trace.times - trace.times[0]) * trace.own_rate_per_second + 1
        # A short one several times, so that a call returns about a block.
        rounds = np.arange(-(-_BLOCK // times.size))[:, np.newaxis] * times.size
        self._times = ((times + rounds) / rate).ravel()
        self._period = self._times.size / rate
        self._round = 0

    def _more(self) -> Floats:
        times: Floats = self._times + self._round * self._period
        self._round += 1
        return times


Arrivals = Renewal | Mmpp | Trace
"""How requests may arrive."""

POISSON = Renewal()
