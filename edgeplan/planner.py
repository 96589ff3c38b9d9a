"""The whole flow on one screen: a problem in, a priced and certified plan out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from edgeplan.model.errors import SolverError
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.verify import Certified, verify
from edgeplan.result import Limit, Result, Status
from edgeplan.solvers.baselines import Baseline, baselines
from edgeplan.solvers.dual.multipliers import best_multipliers
from edgeplan.solvers.result import Progress, Solver, SolverResult, Stop
from edgeplan.solvers.search import search

RECOMPUTE_SECONDS = 5.0
"""At most so long a claimed bound is sought again as one that can be recomputed."""


def plan(
    problem: Problem,
    *,
    solver: str | Solver = "auto",
    witness: str | None = None,
    time_limit: float | None = None,
    gap: float = 1e-6,
    threads: int = 1,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Plan: baselines first, then a solver from the best of them, then price and certify.

    Parameters
    ----------
    problem
        What to plan.
    solver
        A name of the registry, ``auto``, or a solver with its own options (which then hold
        instead of the next four).
    witness
        Name of a second solver, unrelated to the first, that solves the problem again (with
        what is left of the time limit): where both claim a bound, it stands on both.
    time_limit
        Seconds; ``None`` for none.
    gap
        Relative gap at which the search may stop.
    threads, seed
        Passed to the solver.
    on_progress
        Called with each improvement of incumbent or bound.
    stop
        Setting it ends the search with what it has.

    Returns
    -------
    Result
        Never worse than a baseline; its price is the evaluator's.

    Raises
    ------
    InputError
        If the solver is unknown or does not support the problem.
    SolverError
        If the solver's plan breaks a limit, is dearer than claimed, or if a known plan
        contradicts its bound or its claim of infeasibility.
    """
    began = time.perf_counter()
    known = baselines(problem)
    best = min((b for b in known if b.feasible), key=_price, default=None)
    found, why = search(
        problem,
        solver=solver,
        witness=witness,
        start=best.plan if best else None,
        time_limit=time_limit and max(0.0, time_limit - (time.perf_counter() - began)),
        gap=gap,
        threads=threads,
        seed=seed,
        on_progress=on_progress,
        stop=stop,
    )

    standing = _certified(problem, found.plan, found, objective=found.claimed_objective)
    plan_, chosen = found.plan, found.solver
    if best is not None and (standing.objective is None or _price(best) < standing.objective):
        # The best baseline, under the solver's bound; it may refute that bound, or a claim
        # that there is no plan.
        plan_, chosen = best.plan, best.name
        standing = _certified(problem, best.plan, found, objective=None)
    standing, multipliers = _recomputed(problem, plan_, found, standing, stop)

    closed = standing.gap is not None and standing.gap <= gap
    status: Status = "optimal" if closed else "feasible" if plan_ is not None else "unknown"
    return Result(
        status="infeasible" if found.infeasible else status,
        limit=None if closed else _LIMITS.get(found.stop),
        plan=plan_,
        evaluation=standing.evaluation,
        objective=standing.objective,
        bound=standing.bound,
        gap=standing.gap,
        certificate=standing.certificate,
        solver=found.solver,
        why=why,
        seconds=time.perf_counter() - began,
        baselines=known,
        chosen=None if plan_ is None else chosen,
        message=found.message,
        multipliers=multipliers,
    )


_LIMITS: dict[Stop, Limit] = {
    Stop.TIME_LIMIT: "time",
    Stop.WORK_LIMIT: "work",
    Stop.INTERRUPTED: "interrupted",
}


def _price(baseline: Baseline) -> float:
    return math.inf if baseline.evaluation is None else baseline.evaluation.objective


def _certified(
    problem: Problem,
    plan_: Plan | None,
    found: SolverResult,
    *,
    objective: float | None,
    multipliers: Multipliers | None = None,
) -> Certified:
    """Hold what a solver claims against a plan; refuse what does not hold."""
    certified = verify(
        problem,
        plan_,
        bound=found.bound,
        certificate=found.certificate,
        objective=objective,
        infeasible=found.infeasible,
        multipliers=multipliers,
    )
    if not certified.holds:
        raise SolverError(
            f"{found.solver}: {'; '.join(certified.contradictions)}. Please report this instance"
        )
    return certified


def _recomputed(
    problem: Problem,
    plan_: Plan | None,
    found: SolverResult,
    standing: Certified,
    stop: threading.Event | None,
) -> tuple[Certified, Multipliers | None]:
    """Look for multipliers that prove what stands on a solver's word alone."""
    certificate = standing.certificate
    known = standing.objective is not None or found.infeasible
    interrupted = found.stop is Stop.INTERRUPTED
    if certificate is None or certificate.proved or not known or interrupted:
        return standing, None
    if problem.load_features:  # the multipliers know no queues
        return standing, None
    multipliers, _ = best_multipliers(
        problem,
        upper=standing.objective,
        time_limit=min(RECOMPUTE_SECONDS, 0.1 + found.seconds / 4),
        stop=stop,
    )
    again = _certified(problem, plan_, found, objective=None, multipliers=multipliers)
    return (again, multipliers) if again.rechecked else (standing, None)
