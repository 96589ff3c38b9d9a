"""When a search must end, in one place for all of them."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from edgeplan.solvers.result import Stop


class EndedError(Exception):
    """A search must end early.

    Parameters
    ----------
    stop
        Why.
    """

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


@dataclass
class Watch:
    """Counts states and says when to end.

    Parameters
    ----------
    time_limit
        Seconds of wall time, ``None`` for none.
    event
        Ends the search when it is set; ``None`` for none.
    limit
        Most states that may be visited.
    states
        Visited so far.
    began
        On the clock of ``time.perf_counter``.
    """

    time_limit: float | None
    event: threading.Event | None
    limit: float = math.inf
    states: int = 0
    began: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return time.perf_counter() - self.began

    def check(self) -> None:
        """Raise `EndedError` where the search must end."""
        if self.event is not None and self.event.is_set():
            raise EndedError(Stop.INTERRUPTED)
        if self.time_limit is not None and self.seconds >= self.time_limit:
            raise EndedError(Stop.TIME_LIMIT)

    def visit(self, states: int) -> None:
        """Count states; raise `EndedError` where the search must end before them."""
        self.check()
        if self.states + states > self.limit:
            raise EndedError(Stop.WORK_LIMIT)
        self.states += states
