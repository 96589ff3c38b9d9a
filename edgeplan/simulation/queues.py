"""Queues, first come first served, as functions from arrivals to starts and ends.

Where no job comes back, one queue after the other is worked off in numpy; a line before several
servers needs a loop over a small heap. Where jobs come back, `Loop` goes event by event. The
figures behind this choice are printed by ``python -m benchmarks.simulation``.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeplan.simulation.arrivals import Floats
from edgeplan.simulation.jobs import Integers
from edgeplan.simulation.system import Queue


class Line(ABC):
    """A queue that remembers, between calls, until when its servers are taken."""

    @abstractmethod
    def serve(self, at: Floats, work: Floats, servers: Integers | None) -> tuple[Floats, Floats]:
        """Return when jobs start and end.

        Parameters
        ----------
        at
            When they arrive, ascending, none before those of the last call.
        work
            Their times of service.
        servers
            The server that each must take, where coins decide.
        """


class SingleLine(Line):
    """One server: D_n = C_n + max over k ≤ n of (A_k − C_{k−1}), C the sums of services.

    That is Lindley's recursion D_n = max(A_n, D_{n−1}) + S_n, solved for all jobs at once.
    """

    def __init__(self) -> None:
        self._free = 0.0

    def serve(self, at: Floats, work: Floats, servers: Integers | None) -> tuple[Floats, Floats]:
        """Return when jobs start and end."""
        if not at.size:
            return at, at
        ends = np.cumsum(work)
        before = np.concatenate([[0.0], ends[:-1]])
        starts = at - before
        starts[0] = max(starts[0], self._free)
        np.maximum.accumulate(starts, out=starts)
        ends += starts
        starts += before
        # The sums round: no job starts before it is there.
        np.maximum(starts, at, out=starts)
        self._free = float(ends[-1])
        return starts, ends


class RandomLines(Line):
    """Several servers, each with a line of its own."""

    def __init__(self, servers: int) -> None:
        self._lines = [SingleLine() for _ in range(servers)]

    def serve(self, at: Floats, work: Floats, servers: Integers | None) -> tuple[Floats, Floats]:
        """Return when jobs start and end."""
        assert servers is not None
        order = np.argsort(servers, kind="stable")
        cuts = np.searchsorted(servers[order], np.arange(1, len(self._lines)))
        starts, ends = np.empty_like(at), np.empty_like(at)
        for line, which in zip(self._lines, np.split(order, cuts), strict=True):
            starts[which], ends[which] = line.serve(at[which], work[which], None)
        return starts, ends


class SharedLine(Line):
    """One line before several servers: the next job takes the server that is free first."""

    def __init__(self, servers: int) -> None:
        self._free = [0.0] * servers

    def serve(self, at: Floats, work: Floats, servers: Integers | None) -> tuple[Floats, Floats]:
        """Return when jobs start and end."""
        free, replace = self._free, heapq.heapreplace
        ends = []
        for arrival, service in zip(at.tolist(), work.tolist(), strict=True):
            end = max(arrival, free[0]) + service
            replace(free, end)
            ends.append(end)
        finished = np.array(ends, dtype=np.float64)
        return np.maximum(finished - work, at), finished


def line(queue: Queue) -> Line:
    """Return a queue with all servers free."""
    assert queue.servers is not None
    if queue.servers == 1:
        return SingleLine()
    if queue.dispatch == "random":
        return RandomLines(queue.servers)
    return SharedLine(queue.servers)


Seen = dict[int, tuple[list[float], list[float], list[float]]]
"""By queue, when jobs arrived, started and ended there."""


@dataclass(frozen=True, eq=False)
class Path:
    """A way through a loop.

    Parameters
    ----------
    queues
        The queue of each step, its first and its last among the loop's; `DELAY` for none.
    work, servers
        For each step, the services of the jobs on this path by row, and their coins.
    """

    queues: tuple[int, ...]
    work: Sequence[list[float]]
    servers: Sequence[list[int] | None]


DELAY = -1
"""In place of a queue."""


class Loop:
    """Queues to which jobs come back, worked off event by event.

    An event is the arrival of a job at a queue. They are taken in order of time, so a queue's
    servers need only remember until when they are taken: there are no events of departure, and
    delays need none either. New jobs come in order of time: the heap holds only those inside.

    Parameters
    ----------
    queues
        By position in the system, those that jobs pass; without servers nobody waits.
    """

    def __init__(self, queues: dict[int, Queue]) -> None:
        # Empty where there is always a free server.
        self._free = {index: [0.0] * (queue.servers or 0) for index, queue in queues.items()}
        self._shared = {index for index, queue in queues.items() if queue.dispatch == "shared"}
        # (time, number that breaks ties, path, step, row)
        self._events: list[tuple[float, int, int, int, int]] = []
        self._count = 0

    def until(
        self,
        seconds: float,
        paths: Sequence[Path],
        entries: tuple[list[float], list[int], list[int]],
    ) -> tuple[list[tuple[list[int], list[float]]], Seen]:
        """Work off the events up to a time.

        Parameters
        ----------
        seconds
            The time.
        paths
            The ways, always the same, with the jobs that are on them now.
        entries
            Times in order, paths and rows of the jobs that enter, all up to the time.

        Returns
        -------
        tuple
            By path the rows of the jobs that left and when; by queue what was seen.
        """
        events, free, shared = self._events, self._free, self._shared
        times, ways, rows = entries
        coming = zip(times, ways, rows, strict=True)
        upcoming = next(coming, None)
        left: list[tuple[list[int], list[float]]] = [([], []) for _ in paths]
        seen: Seen = {queue: ([], [], []) for queue in free}
        while True:
            if upcoming is not None and not (events and events[0][0] <= upcoming[0]):
                now, way, row = upcoming
                first = 0
                upcoming = next(coming, None)
            elif events and events[0][0] <= seconds:
                now, _, way, first, row = heapq.heappop(events)
            else:
                return left, seen
            path = paths[way]
            end = now
            for step in range(first, len(path.queues)):
                queue, work = path.queues[step], path.work[step][row]
                if queue == DELAY:
                    end += work
                    continue
                taken = free[queue]
                begin = end
                if taken:
                    if begin > now:  # a queue further on: it is reached at another time
                        self._count += 1
                        heapq.heappush(events, (begin, self._count, way, step, row))
                        break
                    if queue in shared:
                        begin = max(now, taken[0])
                        heapq.heapreplace(taken, begin + work)
                    else:
                        coins = path.servers[step]
                        server = 0 if coins is None else coins[row]
                        begin = max(now, taken[server])
                        taken[server] = begin + work
                arrived, started, ended = seen[queue]
                arrived.append(end)
                started.append(begin)
                end = begin + work
                ended.append(end)
            else:
                gone, ends = left[way]
                gone.append(row)
                ends.append(end)

    def renumber(self, rows: Sequence[dict[int, int]]) -> None:
        """Give the jobs that are still inside new rows, by path."""
        # The times stay, so the heap stays one.
        self._events = [
            (time, number, way, step, rows[way][row])
            for time, number, way, step, row in self._events
        ]
