"""A second, slow simulator: one simpy process per job, given the jobs that the engine drew.

It shares the draws with the engine and nothing else: its queues are simpy's resources. The tests
compare the two request by request, the benchmark their speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from edgeplan.simulation import engine
from edgeplan.simulation.arrivals import Floats
from edgeplan.simulation.jobs import Integers, JobMaker, Jobs
from edgeplan.simulation.system import System

Drawn = list[tuple[int, Jobs]]
"""Jobs with the position of their class."""


def run_recorded(system: System, requests: int, **options: Any) -> tuple[engine.Record, Drawn]:
    """Run the engine; return its record with all jobs that it drew."""
    drawn: Drawn = []

    class Recorder(JobMaker):
        def __init__(self, system: System, index: int, seed: int) -> None:
            super().__init__(system, index, seed)
            self.index = index

        def make(self, births: Floats, numbers: Integers) -> Jobs:
            jobs = super().make(births, numbers)
            drawn.append((self.index, jobs))
            return jobs

    with mock.patch.object(engine, "JobMaker", Recorder):
        record = engine.run(system, requests, **options)
    return record, drawn


def simpy_latencies(system: System, drawn: Drawn) -> tuple[list[Floats], list[float]]:
    """Return the latencies of each source's requests in order, and each queue's mean wait."""
    import simpy

    environment = simpy.Environment()
    servers: list[list[simpy.Resource]] = []
    for queue in system.queues:
        if queue.servers is None:
            servers.append([])
        elif queue.dispatch == "shared":
            servers.append([simpy.Resource(environment, queue.servers)])
        else:
            servers.append([simpy.Resource(environment, 1) for _ in range(queue.servers)])
    waits: list[list[float]] = [[] for _ in system.queues]
    found: list[dict[int, float]] = [{} for _ in system.sources]

    def walk(index: int, jobs: Jobs, row: int) -> Iterator[Any]:
        yield environment.timeout(float(jobs.at[row]))
        each = system.classes[index]
        for step, visit in enumerate(each.visits):
            work = float(jobs.work[step][row])
            if visit.queue is None or not servers[visit.queue]:
                yield environment.timeout(work)
                continue
            coins = jobs.servers[step]
            server = servers[visit.queue][0 if coins is None else int(coins[row])]
            came = environment.now
            with server.request() as turn:
                yield turn
                waits[visit.queue].append(environment.now - came)
                yield environment.timeout(work)
        for birth, number in zip(jobs.births[row], jobs.numbers[row], strict=True):
            found[each.source][int(number)] = environment.now - float(birth)

    for index, jobs in drawn:
        for row in range(jobs.at.size):
            environment.process(walk(index, jobs, row))  # type: ignore[arg-type]
    environment.run()
    latencies = [np.array([values[number] for number in sorted(values)]) for values in found]
    return latencies, [float(np.mean(each)) if each else 0.0 for each in waits]
