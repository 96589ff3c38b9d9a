"""The engine: requests from their sources through the queues, in chunks of time.

All requests up to a time T are made, then each block of queues is worked off up to T, in the
order in which jobs pass them. A job that arrives at a queue after T waits for the next chunk:
whatever is made later arrives later still. So memory is bounded by a chunk and the backlog (and
eight bytes per request for its latency), and the result does not depend on the chunks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.simulation.arrivals import Floats
from edgeplan.simulation.jobs import ARRIVALS, ROUTES, JobMaker, Jobs, generator, join
from edgeplan.simulation.queues import DELAY, Line, Loop, Path, line
from edgeplan.simulation.system import System

CHUNK = 1 << 16
"""Requests per chunk: their arrays stay within the processor's cache."""

WARM_UP = 0.1
"""Share of the time at the start that is not counted: the queues are empty then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class QueueRecord:
    """What was seen at a queue after the warm-up.

    Parameters
    ----------
    jobs
        Jobs that arrived.
    wait_seconds
        Sum of their waits.
    busy_seconds
        Sum over the servers of the time that they were busy.
    """

    jobs: int
    wait_seconds: float
    busy_seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """What was seen.

    Parameters
    ----------
    requests
        Requests made, by source, warm-up included.
    warm_up_seconds, seconds
        When counting began and when the last request arrived.
    latencies
        By source: seconds of each request that arrived after the warm-up, in order of arrival.
        Requests in batches that were never filled are left out.
    classes
        In the same shape: the position of each request's class.
    work_seconds
        By class and visit: mean service of a job after the warm-up.
    queues
        What was seen at each queue.
    interrupted
        Whether the run was stopped early.
    """

    requests: tuple[int, ...]
    warm_up_seconds: float
    seconds: float
    latencies: tuple[Floats, ...]
    classes: tuple[NDArray[np.uint16], ...]
    work_seconds: tuple[tuple[float, ...], ...]
    queues: tuple[QueueRecord, ...]
    interrupted: bool


def run(
    system: System,
    requests: int,
    *,
    seed: int = 0,
    warm_up: float = WARM_UP,
    chunk: int = CHUNK,
    on_progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Record:
    """Simulate a system that is empty at first.

    Parameters
    ----------
    system
        What is simulated.
    requests
        How many arrive, all sources together; those on the way then are followed to their end.
    seed
        Of everything random.
    warm_up
        Share of the time, at its start, that is not counted.
    chunk
        Requests per chunk, about.
    on_progress
        Called with the requests that arrived so far and those to arrive.
    stop
        Asked between chunks: whether to end with what there is.
    """
    return _Run(system, requests, seed, warm_up).go(chunk, on_progress, stop)


class _Seen:
    """Sums at one queue; services that go on at the end of a chunk are carried over."""

    def __init__(self, begin: float) -> None:
        self._begin = begin
        self._starts: Floats = np.empty(0)
        self._ends: Floats = np.empty(0)
        self.jobs = 0
        self.wait_seconds = 0.0
        self.busy_seconds = 0.0

    def add(self, at: Floats, starts: Floats, ends: Floats, until: float) -> None:
        counted = (at >= self._begin) & (at <= until)
        self.jobs += int(np.count_nonzero(counted))
        self.wait_seconds += float(np.sum(starts - at, where=counted))
        self._starts = np.concatenate([self._starts, starts])
        self._ends = np.concatenate([self._ends, ends])

    def close(self, until: float) -> None:
        """Add the time that servers were busy up to a time."""
        within = np.clip(self._ends, self._begin, max(until, self._begin)) - np.clip(
            self._starts, self._begin, max(until, self._begin)
        )
        self.busy_seconds += float(np.sum(within))
        later = self._ends > until
        self._starts = np.maximum(self._starts[later], until)
        self._ends = self._ends[later]

    def record(self) -> QueueRecord:
        return QueueRecord(
            jobs=self.jobs, wait_seconds=self.wait_seconds, busy_seconds=self.busy_seconds
        )


class _Block:
    """One queue, or several to which jobs come back, with the jobs that wait to enter."""

    def __init__(self, system: System, queues: tuple[int, ...]) -> None:
        self.queues = queues
        self.waiting: dict[tuple[int, int], list[Jobs]] = {}
        self.line: Line | None = None
        self.loop: Loop | None = None
        # Of a loop: by class and first visit, the queues of a path and the jobs that are on it.
        self.paths: dict[tuple[int, int], tuple[int, ...]] = {}
        self.inside: dict[tuple[int, int], Jobs] = {}
        if not system.is_cyclic(queues):
            self.line = line(system.queues[queues[0]])
            return
        for index, each in enumerate(system.classes):
            inside = [step for step, visit in enumerate(each.visits) if visit.queue in queues]
            if inside:
                self.paths[index, inside[0]] = tuple(
                    DELAY if visit.queue is None else visit.queue
                    for visit in each.visits[inside[0] : inside[-1] + 1]
                )
        passed = sorted({queue for path in self.paths.values() for queue in path} - {DELAY})
        self.loop = Loop({queue: system.queues[queue] for queue in passed})


class _Run:
    def __init__(self, system: System, requests: int, seed: int, warm_up: float) -> None:
        self.system = system
        self.requests = requests
        self.samplers = [
            source.arrivals.sampler(source.rate_per_second, generator(seed, ARRIVALS, index))
            for index, source in enumerate(system.sources)
        ]
        self.coins = [generator(seed, ROUTES, index) for index in range(len(system.sources))]
        self.makers = [JobMaker(system, index, seed) for index in range(len(system.classes))]
        # Of each source, its classes and the borders between them on the coin.
        self.choices = []
        for source in range(len(system.sources)):
            classes = [i for i, each in enumerate(system.classes) if each.source == source]
            borders = np.cumsum([system.classes[i].fraction for i in classes])
            self.choices.append((np.array(classes, dtype=np.uint16), borders[:-1] / borders[-1]))
        self.begin = warm_up * requests / system.rate_per_second
        self.seen = [_Seen(self.begin) for _ in system.queues]
        self.blocks = [_Block(system, queues) for queues in system.blocks]
        self.block_of = {queue: block for block in self.blocks for queue in block.queues}
        self.count = [0] * len(system.sources)
        self.skipped = [0] * len(system.sources)
        self.latencies = [np.empty(0) for _ in system.sources]
        self.classes: list[list[NDArray[np.uint16]]] = [[] for _ in system.sources]
        self.work = [np.zeros(len(each.visits)) for each in system.classes]
        self.jobs = [0] * len(system.classes)

    def go(
        self,
        chunk: int,
        on_progress: Callable[[int, int], None] | None,
        stop: Callable[[], bool] | None,
    ) -> Record:
        now, interrupted = 0.0, False
        while (made := sum(self.count)) < self.requests:
            if on_progress is not None:
                on_progress(made, self.requests)
            if stop is not None and stop():
                interrupted = True
                break
            # After a long silence on, at once, from the next arrival.
            begin = max(now, min(sampler.peek() for sampler in self.samplers))
            until = begin + min(chunk, self.requests - made + 64) / self.system.rate_per_second
            now = self._arrive(until)
            self._advance(now, now)
        self._advance(np.inf, now)
        if on_progress is not None:
            on_progress(sum(self.count), self.requests)
        return self._record(now, interrupted)

    def _arrive(self, until: float) -> float:
        """Make the requests up to a time; return it, or when the last one arrived."""
        room = self.requests - sum(self.count)
        every = [sampler.until(until, room) for sampler in self.samplers]
        if sum(births.size for births in every) >= room:
            # Exactly as many as asked for, the first of all sources.
            order = np.argsort(np.concatenate(every), kind="stable")[:room]
            until = float(np.concatenate(every)[order[-1]])
            source = np.repeat(np.arange(len(every)), [births.size for births in every])
            sizes = np.bincount(source[order], minlength=len(every))
            every = [births[:size] for births, size in zip(every, sizes, strict=True)]
        for index, births in enumerate(every):
            numbers = np.arange(self.count[index], self.count[index] + births.size)
            self.count[index] += births.size
            self.skipped[index] += int(np.searchsorted(births, self.begin))
            held = self.latencies[index]
            if held.size < self.count[index]:
                larger = np.full(max(self.count[index], held.size * 3 // 2), np.nan)
                larger[: held.size] = held
                self.latencies[index] = larger
            self._choose(index, births, numbers)
        return until

    def _choose(self, source: int, births: Floats, numbers: NDArray[np.int64]) -> None:
        classes, borders = self.choices[source]
        if classes.size == 1:
            self.classes[source].append(np.full(births.size, classes[0]))
            self._make(int(classes[0]), births, numbers)
            return
        coins = np.searchsorted(borders, self.coins[source].random(births.size), side="right")
        self.classes[source].append(classes[coins])
        for choice, each in enumerate(classes.tolist()):
            which = np.flatnonzero(coins == choice)
            self._make(each, births[which], numbers[which])

    def _make(self, index: int, births: Floats, numbers: NDArray[np.int64]) -> None:
        jobs = self.makers[index].make(births, numbers)
        first = int(np.searchsorted(jobs.at, self.begin))
        self.jobs[index] += jobs.at.size - first
        for step, work in enumerate(jobs.work):
            self.work[index][step] += np.sum(work[first:])
        self._send(index, 0, jobs)

    def _send(self, index: int, step: int, jobs: Jobs) -> None:
        """Bring jobs through delays to the next queue, or to their end."""
        if not jobs.at.size:
            return
        visits = self.system.classes[index].visits
        while step < len(visits):
            visit = visits[step]
            if visit.queue is not None and self.system.waits_at(visit):
                self.block_of[visit.queue].waiting.setdefault((index, step), []).append(jobs)
                return
            ends = jobs.at + jobs.work[0]
            if visit.queue is not None:
                self.seen[visit.queue].add(jobs.at, jobs.at, ends, np.inf)
            jobs = jobs.moved(ends)
            step += 1
        source = self.system.classes[index].source
        latency = jobs.at[:, np.newaxis] - jobs.births
        self.latencies[source][jobs.numbers] = latency

    def _advance(self, until: float, counted_until: float) -> None:
        """Work off every queue up to a time."""
        for block in self.blocks:
            if block.loop is None:
                self._serve(block, until, counted_until)
            else:
                self._go_round(block, block.loop, until, counted_until)
        for seen in self.seen:
            seen.close(counted_until)

    def _ready(self, block: _Block, until: float) -> dict[tuple[int, int], Jobs]:
        """Return what arrives at a block up to a time; the rest goes on waiting to enter."""
        ready = {}
        waiting, block.waiting = block.waiting, {}
        for key in sorted(waiting):
            now, later = join(waiting[key]).split(until)
            if now.at.size:
                ready[key] = now
            if later.at.size:
                block.waiting[key] = [later]
        return ready

    def _serve(self, block: _Block, until: float, counted_until: float) -> None:
        ready = self._ready(block, until)
        if not ready:
            return
        assert block.line is not None
        parts = list(ready.values())
        at = _joined([part.at for part in parts])
        work = _joined([part.work[0] for part in parts])
        coins = [part.servers[0] for part in parts if part.servers[0] is not None]
        servers = np.concatenate(coins) if coins else None
        if len(parts) == 1:
            starts, ends = block.line.serve(at, work, servers)
            self.seen[block.queues[0]].add(at, starts, ends, counted_until)
        else:
            order = np.argsort(at, kind="stable")
            in_order = at[order]
            coin = None if servers is None else servers[order]
            starts, sorted_ends = block.line.serve(in_order, work[order], coin)
            self.seen[block.queues[0]].add(in_order, starts, sorted_ends, counted_until)
            ends = np.empty_like(at)
            ends[order] = sorted_ends
        cuts = np.cumsum([part.at.size for part in parts])[:-1]
        for (index, step), part, finished in zip(ready, parts, np.split(ends, cuts), strict=True):
            self._send(index, step + 1, part.moved(finished))

    def _go_round(self, block: _Block, loop: Loop, until: float, counted_until: float) -> None:
        ready = self._ready(block, until)
        paths, times, ways, rows = [], [], [], []
        for way, (key, queues) in enumerate(block.paths.items()):
            parts = [jobs[key] for jobs in (block.inside, ready) if key in jobs]
            if key in ready:
                size, before = ready[key].at.size, sum(part.at.size for part in parts[:-1])
                times.append(ready[key].at)
                ways.append(np.full(size, way))
                rows.append(np.arange(before, before + size))
            if parts:
                block.inside[key] = join(parts)
            jobs = block.inside.get(key)
            work = [] if jobs is None else [each.tolist() for each in jobs.work[: len(queues)]]
            coins = (
                []
                if jobs is None
                else [None if c is None else c.tolist() for c in jobs.servers[: len(queues)]]
            )
            paths.append(Path(queues, work, coins))
        order = np.argsort(np.concatenate([np.empty(0), *times]), kind="stable")
        entries = [
            np.concatenate([np.empty(0, dtype=kind), *parts])[order].tolist()
            for kind, parts in ((np.float64, times), (np.int64, ways), (np.int64, rows))
        ]
        left, seen = loop.until(until, paths, (entries[0], entries[1], entries[2]))
        for queue, (arrived, started, ended) in seen.items():
            # Where nobody waits a job is seen before it comes: all count.
            waits = self.system.queues[queue].servers is not None
            last = counted_until if waits else np.inf
            self.seen[queue].add(np.array(arrived), np.array(started), np.array(ended), last)
        moved: list[dict[int, int]] = []
        for (key, queues), (gone, ends) in zip(block.paths.items(), left, strict=True):
            jobs = block.inside.get(key)
            if jobs is None:
                moved.append({})
                continue
            out = np.array(gone, dtype=np.int64)
            stay = np.setdiff1d(np.arange(jobs.at.size), out, assume_unique=True)
            block.inside[key] = jobs.take(stay)
            moved.append({old: new for new, old in enumerate(stay.tolist())})
            leave = jobs.take(out).moved(np.array(ends), len(queues))
            self._send(key[0], key[1] + len(queues), leave)
        loop.renumber(moved)

    def _record(self, now: float, interrupted: bool) -> Record:
        latencies, classes = [], []
        for source, count in enumerate(self.count):
            values = self.latencies[source][self.skipped[source] : count]
            drawn = self.classes[source] or [np.empty(0, dtype=np.uint16)]
            taken = np.concatenate(drawn)[self.skipped[source] :]
            finished = ~np.isnan(values)
            if not finished.all():
                values, taken = values[finished], taken[finished]
            latencies.append(values)
            classes.append(taken)
        return Record(
            requests=tuple(self.count),
            warm_up_seconds=self.begin,
            seconds=now,
            latencies=tuple(latencies),
            classes=tuple(classes),
            work_seconds=tuple(
                tuple((work / jobs if jobs else work * np.nan).tolist())
                for work, jobs in zip(self.work, self.jobs, strict=True)
            ),
            queues=tuple(seen.record() for seen in self.seen),
            interrupted=interrupted,
        )


def _joined(parts: list[Floats]) -> Floats:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
