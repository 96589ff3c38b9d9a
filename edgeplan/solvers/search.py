"""Which solvers work on a problem, one after another: the one chosen, the next, a witness."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeplan.model.errors import Fault, InputError, SolverError
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.verify import relative_gap
from edgeplan.solvers import registry
from edgeplan.solvers.agreement import agreed, continued
from edgeplan.solvers.result import Progress, Solver, SolverResult, Stop

FIRST_SHARE = 0.4
"""Share of the time limit for a special case that ``auto`` chose, where another can go on."""


def search(
    problem: Problem,
    *,
    solver: str | Solver,
    witness: str | None,
    start: Plan | None,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    on_progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
) -> tuple[SolverResult, str]:
    """Solve a problem by a solver, the next best where ``auto`` chose and it gave up, a witness.

    Parameters
    ----------
    problem
        What to plan.
    solver
        A name of the registry, ``auto``, or a solver with its own options.
    witness
        Name of an unrelated solver that solves the problem again, or ``None``.
    start
        A plan to begin from.
    time_limit, gap, threads, seed
        Options of those named; the time limit is for all of them together.
    on_progress, stop
        As in `Solver.solve`.

    Returns
    -------
    tuple
        What is claimed in the end, and why which solvers were picked.

    Raises
    ------
    InputError
        If a solver is unknown, does not support the problem, or is its own witness.
    SolverError
        If one fails, or two contradict each other.
    """
    work = _Work(problem, start, time_limit, on_progress, stop)
    common: dict[str, object] = {"gap": gap, "threads": threads, "seed": seed}
    auto, why = solver == registry.AUTO, "asked for"
    if isinstance(solver, str):
        options = dict(common)
        if auto:
            solver, why = registry.choose(problem)
            options.update(registry.AUTO_OPTIONS.get(solver, {}))
        share = 1.0
        if auto and registry.next_best(problem, solver) is not None:
            share = FIRST_SHARE
        solver = work.ready(solver, options, share)
    if reasons := solver.unsupported(problem):
        raise refused(solver.name, reasons)
    if witness is not None:
        # Looked up before the first works: a wrong name shows at once.
        name = work.ready(witness, common).name
        if name == solver.name:
            raise InputError.at("witness", f"'{name}' is the solver itself; name another")
    found = work.run(solver)
    other = registry.next_best(problem, solver.name) if auto else None
    if other is not None and found.stop in (Stop.WORK_LIMIT, Stop.TIME_LIMIT) and work.left > 0:
        found = continued(found, work.run(work.ready(other, common)))
        why += f"; it gave up, and {other} went on"
    if witness is not None and found.stop is not Stop.INTERRUPTED:
        second = work.run(work.ready(witness, {**common, "alone": True}))
        found = agreed(found, second)
        why += f"; witness {second.solver} " + _says(second, gap)
    return found, why


def _says(second: SolverResult, gap: float) -> str:
    """Return in words what a witness has to say."""
    if second.infeasible:
        return "finds no plan either"
    left = relative_gap(second.claimed_objective, second.bound)
    if left is None:
        return "came to no bound"
    return "confirms it" if left <= gap else f"came to a gap of {left:.2g}"


def refused(solver: str, reasons: Sequence[str]) -> InputError:
    """Return the error that a solver is not for a problem: one fault for each reason.

    Reasons end in a remedy after a colon; one that several share is said with the last of them.

    Parameters
    ----------
    solver
        The solver's name.
    reasons
        What its `Solver.unsupported` returns.

    Returns
    -------
    InputError
        To be raised.

    Examples
    --------
    >>> print(refused("mincut", ["three devices: use 'highs'", "a limit: use 'highs'"]))
    solver mincut: three devices
    solver mincut: a limit: use 'highs'
    """
    faults: list[Fault] = []
    told: set[str] = set()
    for reason in reversed(reasons):
        what, colon, remedy = reason.rpartition(": use ")
        faults.append(Fault(f"solver {solver}", what if colon and remedy in told else reason))
        told.add(remedy)
    return InputError(reversed(faults))


@dataclass
class _Work:
    """A problem, the best plan so far, and when it has to end."""

    problem: Problem
    start: Plan | None
    time_limit: float | None
    on_progress: Callable[[Progress], None] | None
    stop: threading.Event | None

    def __post_init__(self) -> None:
        self.ends = math.inf
        if self.time_limit is not None:
            self.ends = time.perf_counter() + self.time_limit

    @property
    def left(self) -> float:
        """Seconds left; ``inf`` without a limit."""
        return max(0.0, self.ends - time.perf_counter())

    def ready(self, name: str, options: dict[str, object], share: float = 1.0) -> Solver:
        """Return a solver that supports the problem, with a share of the time that is left."""
        left = share * self.left if math.isfinite(self.ends) else None
        solver = registry.get(name, time_limit=left, **options)
        if reasons := solver.unsupported(self.problem):
            raise refused(solver.name, reasons)
        return solver

    def run(self, solver: Solver) -> SolverResult:
        """Solve; the plan found is what the next one begins from."""
        found = solver.solve(
            self.problem, start=self.start, on_progress=self.on_progress, stop=self.stop
        )
        if found.stop is Stop.FAILED:
            raise SolverError(f"{found.solver}: {found.message}")
        self.start = found.plan or self.start
        return found
