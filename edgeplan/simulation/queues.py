"""Queues, first come first served, as functions from arrivals to starts and ends.

Where no job comes back, one queue after the other is worked off in numpy; a line before several
servers needs a loop over a small heap. Where jobs come back, `Loop` goes event by event. The
figures behind this choice are printed by ``python -m benchmarks.simulation``.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod

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


Job = tuple[tuple[float, ...], tuple[int, ...]]
"""The services of a job at its visits in a loop, and its servers there."""


class Loop:
    """Queues to which jobs come back, worked off event by event.

    An event is the arrival of a job at a visit. They are taken in order of time, so a queue's
    servers need only remember until when they are taken: there are no events of departure.

    Parameters
    ----------
    queues
        By position in the system.
    paths
        By (class, first visit): the positions of the queues that its jobs pass from there until
        they leave the loop; −1 for a delay.
    """

    def __init__(
        self, queues: dict[int, Queue], paths: dict[tuple[int, int], tuple[int, ...]]
    ) -> None:
        self._paths = paths
        # Empty where there is always a free server.
        self._free = {position: [0.0] * (queue.servers or 0) for position, queue in queues.items()}
        self._shared = {
            position for position, queue in queues.items()
            if queue.dispatch == "shared" and queue.servers != 1
        }  # fmt: skip
        # (time, number that breaks ties, visit within the path, path, row among its jobs)
        self._events: list[tuple[float, int, int, tuple[int, int], int, Job]] = []
        self._entered = 0

    def enter(self, path: tuple[int, int], at: Floats, first_row: int, jobs: list[Job]) -> None:
        """Let jobs arrive; those of a path are numbered in the order in which they enter."""
        for row, (arrival, job) in enumerate(zip(at.tolist(), jobs, strict=True)):
            self._events.append((arrival, self._entered, 0, path, first_row + row, job))
            self._entered += 1
        heapq.heapify(self._events)

    def until(
        self, seconds: float
    ) -> tuple[
        dict[tuple[int, int], tuple[list[int], list[float]]],
        dict[int, tuple[list[float], list[float], list[float]]],
    ]:
        """Work off the events up to a time.

        Returns
        -------
        tuple
            By path the rows of the jobs that left and when; by queue when jobs arrived, started
            and ended there.
        """
        events, free, shared = self._events, self._free, self._shared
        left: dict[tuple[int, int], tuple[list[int], list[float]]] = {
            path: ([], []) for path in self._paths
        }
        seen: dict[int, tuple[list[float], list[float], list[float]]] = {
            queue: ([], [], []) for queue in free
        }
        while events and events[0][0] <= seconds:
            now, number, visit, path, row, job = events[0]
            queues = self._paths[path]
            queue = queues[visit]
            if queue < 0:
                end = now + job[0][visit]
            else:
                taken = free[queue]
                if not taken:
                    start, end = now, now + job[0][visit]
                elif queue in shared:
                    start = max(now, taken[0])
                    end = start + job[0][visit]
                    heapq.heapreplace(taken, end)
                else:
                    server = job[1][visit]
                    start = max(now, taken[server])
                    end = taken[server] = start + job[0][visit]
                arrived, started, ended = seen[queue]
                arrived.append(now)
                started.append(start)
                ended.append(end)
            if visit + 1 < len(queues):
                heapq.heapreplace(events, (end, number, visit + 1, path, row, job))
            else:
                heapq.heappop(events)
                rows, ends = left[path]
                rows.append(row)
                ends.append(end)
        return left, seen

    def renumber(self, path: tuple[int, int], rows: dict[int, int]) -> None:
        """Give the jobs of a path that are still inside new rows."""
        # The times stay, so the heap stays one.
        self._events = [
            (*event[:4], rows[event[4]], event[5]) if event[3] == path else event
            for event in self._events
        ]
