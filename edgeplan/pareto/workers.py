"""Who explores zones: this process, or several others.

Other processes are started afresh (joblib's loky), never forked: a fork with HiGHS's or CP-SAT's
threads in it deadlocks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from edgeplan.model.problem import Problem
from edgeplan.pareto.box_solvers import make_boxes
from edgeplan.pareto.boxes import Boxes, Vector
from edgeplan.pareto.exploring import Explorer, Finding, Task
from edgeplan.pareto.objectives import Criterion, criteria
from edgeplan.solvers.children import be_child

STOP_SECONDS = 0.1
"""How often a stop is looked for while others work."""


class Explorers(Protocol):
    """Takes tasks, and gives back findings in any order."""

    def submit(self, task: Task) -> None:
        """Give it a task."""

    def results(self) -> list[tuple[Task, Finding]]:
        """Wait for at least one finding; raise `KeyboardInterrupt` where a stop comes first."""
        ...


class _Here:
    """Explores in this process, when it is asked for results."""

    def __init__(self, explorer: Explorer, stop: threading.Event | None) -> None:
        self._explorer = explorer
        self._stop = stop
        self._tasks: list[Task] = []

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def results(self) -> list[tuple[Task, Finding]]:
        task = self._tasks.pop()
        return [(task, self._explorer.explore(task, self._stop))]


class _Elsewhere:
    """Explores in other processes."""

    def __init__(self, pool: Any, stop: threading.Event | None) -> None:
        self._pool = pool
        self._stop = stop
        self._futures: dict[Any, Task] = {}

    def submit(self, task: Task) -> None:
        self._futures[self._pool.submit(_explore, task)] = task

    def results(self) -> list[tuple[Task, Finding]]:
        from concurrent.futures import FIRST_COMPLETED, wait

        done: set[Any] = set()
        while not done:
            done, _ = wait(self._futures, timeout=STOP_SECONDS, return_when=FIRST_COMPLETED)
            # The stop is of this process: a box program elsewhere may take long to end.
            if not done and self._stop is not None and self._stop.is_set():
                raise KeyboardInterrupt
        # In the order of submission, so that a run is the same where the timing is.
        return [
            (self._futures.pop(future), future.result())
            for future in list(self._futures)
            if future in done
        ]


@contextlib.contextmanager
def explorers(
    problem: Problem,
    chosen: Sequence[Criterion],
    boxes: Boxes,
    tolerance: float,
    resolution: Vector,
    solver: str,
    seed: int,
    jobs: int,
    stop: threading.Event | None,
) -> Iterator[Explorers]:
    """Yield explorers of a problem's zones.

    Parameters
    ----------
    problem, chosen, boxes, tolerance, resolution
        As for `Explorer`.
    solver, seed
        Of which boxes are made in other processes.
    jobs
        Number of processes; with 1, this one.
    stop
        Ends exploring; what other processes have not finished is left.
    """
    if jobs == 1:
        yield _Here(Explorer(problem, chosen, boxes, tolerance, resolution), stop)
        return
    from joblib.externals.loky import ProcessPoolExecutor

    names = tuple(criterion.name for criterion in chosen)
    pool = ProcessPoolExecutor(
        max_workers=jobs,
        initializer=_start,
        initargs=(os.getpid(), problem, names, tolerance, resolution, solver, seed),
    )
    whole = False
    try:
        yield _Elsewhere(pool, stop)
        whole = True
    finally:
        pool.shutdown(wait=True, kill_workers=not whole)


_explorer: Explorer | None = None
"""The explorer of this process, where it is another's worker."""


def _start(
    parent: int,
    problem: Problem,
    names: tuple[str, ...],
    tolerance: float,
    resolution: Vector,
    solver: str,
    seed: int,
) -> None:
    global _explorer
    be_child(parent)
    chosen = criteria(names)
    boxes = make_boxes(problem, chosen, solver, seed)
    _explorer = Explorer(problem, chosen, boxes, tolerance, resolution)


def _explore(task: Task) -> Finding:
    assert _explorer is not None
    return _explorer.explore(task)
