"""Jobs on their way, as arrays: when they arrive next, and all that was drawn for them.

Everything random about a job is drawn when it is made, from generators that belong to its class
and visit. So a run with the same seed is the same run whatever the size of the chunks, and two
engines (or simpy, in the tests) can be given the very same jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.simulation.arrivals import Floats, gamma
from edgeplan.simulation.system import JobClass, System

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Jobs:
    """Jobs of one class that are at the same step of their way.

    Parameters
    ----------
    at
        When each arrives at its next visit, in seconds.
    work
        For each visit to come, the time that each job takes there.
    servers
        For each visit to come, the server that each job's coin names; ``None`` without a coin.
    births
        When the requests of each job arrived, shape (jobs, batch).
    numbers
        Positions of these requests among those of their source, in the same shape.
    """

    at: Floats
    work: tuple[Floats, ...]
    servers: tuple[Integers | None, ...]
    births: Floats
    numbers: Integers

    def take(self, which: slice | Integers) -> Jobs:
        """Return some of the jobs, in the order of ``which``."""
        return Jobs(
            self.at[which],
            tuple(work[which] for work in self.work),
            tuple(None if server is None else server[which] for server in self.servers),
            self.births[which],
            self.numbers[which],
        )

    def moved(self, at: Floats, visits: int = 1) -> Jobs:
        """Return the jobs some visits further, arriving at these times."""
        return Jobs(at, self.work[visits:], self.servers[visits:], self.births, self.numbers)

    def split(self, seconds: float) -> tuple[Jobs, Jobs]:
        """Return the jobs that arrive up to a time, in order of arrival, and the later ones."""
        jobs = self
        if np.any(self.at[1:] < self.at[:-1]):
            jobs = self.take(np.argsort(self.at, kind="stable"))
        cut = int(np.searchsorted(jobs.at, seconds, side="right"))
        return jobs.take(slice(cut)), jobs.take(slice(cut, None))


def join(parts: Sequence[Jobs]) -> Jobs:
    """Return jobs together, in the order of the parts."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    servers: list[Integers | None] = []
    for step, server in enumerate(first.servers):
        coins = [each for part in parts if (each := part.servers[step]) is not None]
        servers.append(None if server is None else np.concatenate(coins))
    return Jobs(
        np.concatenate([part.at for part in parts]),
        tuple(np.concatenate([p.work[step] for p in parts]) for step in range(len(first.work))),
        tuple(servers),
        np.concatenate([part.births for part in parts]),
        np.concatenate([part.numbers for part in parts]),
    )


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """Return the generator of one purpose: independent of all others with the same seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


ARRIVALS, ROUTES, WORK, SERVERS = range(4)
"""Purposes of generators; the positions of source, class and visit follow."""


class JobMaker:
    """Fills the batches of one class and draws all that its jobs need.

    Parameters
    ----------
    system
        The system.
    index
        The class's position.
    seed
        Of the run.
    """

    def __init__(self, system: System, index: int, seed: int) -> None:
        self._class: JobClass = system.classes[index]
        self._work = []
        self._servers: list[tuple[np.random.Generator, int] | None] = []
        for step, visit in enumerate(self._class.visits):
            self._work.append((generator(seed, WORK, index, step), visit.mean_seconds, visit.cv2))
            queue = None if visit.queue is None else system.queues[visit.queue]
            flips = queue is not None and queue.dispatch == "random" and (queue.servers or 0) > 1
            self._servers.append(
                (generator(seed, SERVERS, index, step), queue.servers or 1)
                if queue is not None and flips
                else None
            )
        self._births: Floats = np.empty(0)
        self._numbers: Integers = np.empty(0, dtype=np.int64)

    def make(self, births: Floats, numbers: Integers) -> Jobs:
        """Return the jobs that new requests complete; those of a batch that is not full wait."""
        size = self._class.batch
        if self._births.size:
            births = np.concatenate([self._births, births])
            numbers = np.concatenate([self._numbers, numbers])
        full = births.size // size * size
        self._births, self._numbers = births[full:], numbers[full:]
        births, numbers = births[:full].reshape(-1, size), numbers[:full].reshape(-1, size)
        count = full // size
        return Jobs(
            # Copied: a column of the births is no contiguous array.
            np.ascontiguousarray(births[:, -1]),
            tuple(gamma(rng, mean, cv2, count) for rng, mean, cv2 in self._work),
            tuple(
                None if coin is None else (coin[0].random(count) * coin[1]).astype(np.int64)
                for coin in self._servers
            ),
            births,
            numbers,
        )
