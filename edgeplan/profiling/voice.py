"""What a measuring process says to its parent while the runtime is busy. Runs in a child."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from edgeplan.networks import sandbox

_TICK_SECONDS = 0.5


class Voice:
    """Signs of life to the parent, and the limit on whatever is going on.

    A thread of its own speaks while the runtime is busy, and tells the parent when one step
    takes too long; the parent then ends this process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said = time.monotonic()
        self._step: tuple[str, float, float] | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def say(self, **data: object) -> None:
        """Send a sign of life."""
        with self._lock:
            self._said = time.monotonic()
            sandbox.report(data)

    def tick(self, **data: object) -> None:
        """Say that work goes on, if nothing was said for a while."""
        if time.monotonic() - self._said > _TICK_SECONDS:
            self.say(event="tick", **data)

    @contextmanager
    def step(self, what: str, seconds: float) -> Iterator[None]:
        """Limit the time of what is done inside."""
        self._step = (what, seconds, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._step = None

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS / 2)
            step = self._step
            if step is not None and time.monotonic() > step[2]:
                self.say(event="late", what=step[0], seconds=step[1])
                return
            self.tick()
