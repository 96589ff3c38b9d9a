"""Sends requests at their drawn times, and notes how late it was.

A generator that waits for answers hides the very queues that it is to show (coordinated
omission); this one never waits for an answer, and latencies count from the drawn times. Should
it fall behind all the same, since the machine is too busy to wake it, that is in the numbers and
is said.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeplan.execution.arrivals import Arrival

LATE_SHARE = 0.05
"""Mean lateness over mean latency above which measured times mean little."""
NAP_SECONDS = 0.25
"""Longest sleep at once, so that a stop is heeded soon."""


@dataclass(frozen=True)
class Sent:
    """One request that was sent.

    Parameters
    ----------
    arrival
        What was drawn.
    due_ns, sent_ns
        When it was due and when it was sent, on the generator's clock.
    """

    arrival: Arrival
    due_ns: int
    sent_ns: int


@dataclass(frozen=True, kw_only=True)
class Lag:
    """How late requests were sent, in seconds.

    Parameters
    ----------
    mean_seconds, p95_seconds, max_seconds
        Over the measured requests.
    share
        Mean lateness over the mean measured latency, of which it is a part.
    """

    mean_seconds: float
    p95_seconds: float
    max_seconds: float
    share: float

    @classmethod
    def of(cls, late_seconds: Sequence[float], mean_latency_seconds: float) -> Lag:
        """Return the figures of at least one request."""
        mean = float(np.mean(late_seconds))
        return cls(
            mean_seconds=mean,
            p95_seconds=float(np.percentile(late_seconds, 95)),
            max_seconds=float(np.max(late_seconds)),
            share=mean / mean_latency_seconds if mean_latency_seconds > 0 else 0.0,
        )

    @property
    def fell_behind(self) -> bool:
        """Whether the sender could not keep to the arrival times."""
        return self.share > LATE_SHARE

    def as_json(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "mean_seconds": self.mean_seconds,
            "p95_seconds": self.p95_seconds,
            "max_seconds": self.max_seconds,
            "share_of_latency": self.share,
            "fell_behind": self.fell_behind,
        }


@dataclass
class Generator:
    """Sends arrivals when they are due, whatever has become of earlier ones.

    Parameters
    ----------
    arrivals
        In order of time.
    send
        Called with the number of the request, from 0, and its arrival.
    start_ns
        When the arrivals' time 0 is, on the clock.
    clock_ns, sleep
        For tests: now in nanoseconds, and wait.
    """

    arrivals: Iterator[Arrival]
    send: Callable[[int, Arrival], object]
    start_ns: int
    clock_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], object] = time.sleep
    sent: list[Sent] = field(default_factory=list)
    """What was sent so far; each entry is there before ``send`` is called."""
    error: BaseException | None = None
    """What ended a generator that runs in a thread."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def run(self) -> None:
        """Send until told to stop."""
        for number, arrival in enumerate(self.arrivals):
            due_ns = self.start_ns + int(arrival.seconds * 1e9)
            while (left := due_ns - self.clock_ns()) > 0:
                if self._stop.is_set():
                    return
                self.sleep(min(left * 1e-9, NAP_SECONDS))
            if self._stop.is_set():
                return
            self.sent.append(Sent(arrival, due_ns, self.clock_ns()))
            self.send(number, arrival)

    def __enter__(self) -> Generator:
        """Begin to send, in a thread of its own."""

        def run() -> None:
            try:
                self.run()
            except BaseException as error:  # noqa: BLE001 - raised where the answers are read
                self.error = error

        self._thread = threading.Thread(target=run, name="arrivals", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop."""
        self.stop()

    def stop(self) -> None:
        """Send nothing more; return when nothing more will be sent."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
