"""Pure throughput of one stream by CP-SAT: a result of `solve_pipeline` in the problem's terms."""

from __future__ import annotations

import importlib.metadata
import math
import threading
import time
from collections.abc import Callable

from edgeplan.model.certificate import Basis, Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.pipeline.by_cpsat import PipelineOutcome, solve_pipeline
from edgeplan.solvers.pipeline.problem import (
    assignment_of,
    check,
    largest_period,
    pipeline_of,
    plan_of,
)
from edgeplan.solvers.result import Progress, SolverResult, Stop

_BASES: dict[str, tuple[Basis, str]] = {
    # What the pipeline's search calls the basis of its bound: ours, and the witness.
    "enumerated": ("enumerated", "ideals 1"),
    "dual": ("dual", "prices 1"),
    "even": ("dual", "shared work 1"),
}


def solve_throughput(
    problem: Problem,
    *,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    alone: bool,
    start: Plan | None,
    on_progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
) -> SolverResult:
    """Solve a problem that `edgeplan.solvers.pipeline.problem.reasons_against` finds fit.

    Parameters
    ----------
    problem
        One stream, throughput alone.
    time_limit, gap, threads, seed
        As the solver's options.
    alone
        Whether CP-SAT must do without ideals and prices, which other solvers use too.
    start
        A plan to begin from.
    on_progress, stop
        As in `Solver.solve`.

    Returns
    -------
    SolverResult
        Its bound is CP-SAT's claim, or where ideals or prices prove as much, their proof.
    """
    began = time.monotonic()
    pipeline, price = pipeline_of(problem), problem.objective.period_price
    hint = None
    if start is not None and evaluate(problem, start).feasible:
        hint = assignment_of(problem, pipeline, start)

    def report(value: float, bound: float) -> None:
        if on_progress is not None:
            known = value * price if math.isfinite(value) else None
            moment = time.monotonic() - began
            on_progress(Progress(seconds=moment, incumbent=known, bound=bound * price))

    outcome = solve_pipeline(
        pipeline,
        contiguous=problem.contiguous,
        time_limit=time_limit,
        workers=threads,
        seed=seed,
        hint=hint,
        stop=stop,
        on_progress=report,
        ideals=not alone,
        prices=not alone,
    )
    plan = None
    if outcome.assignment is not None:
        plan = plan_of(problem, pipeline, outcome.assignment)
        check(problem, plan, outcome.value)
    infeasible = outcome.infeasible
    if plan is not None and outcome.value > largest_period(problem):
        # Limits on the period are met by the best plan or by none.
        plan = None
        infeasible = outcome.bound > largest_period(problem)
    bound = outcome.bound * price
    claims = infeasible or math.isfinite(bound)
    return SolverResult(
        stop=outcome.stop,
        plan=plan,
        claimed_objective=None if plan is None else evaluate(problem, plan).objective,
        bound=bound if math.isfinite(bound) and not infeasible else None,
        infeasible=infeasible,
        certificate=_certificate(problem, outcome, gap) if claims else None,
        solver=_solver(),
        seconds=time.monotonic() - began,
        message=_message(outcome),
    )


def _certificate(problem: Problem, outcome: PipelineOutcome, gap: float) -> Certificate:
    kind = "contiguous plans" if problem.contiguous else "plans"
    basis, witness = _BASES.get(outcome.basis, ("claimed", _solver()))
    return Certificate(
        basis=basis,
        witnesses=(witness,),
        bounded=f"all {kind} of '{problem.name[:80]}'",
        tolerances=(("relative gap", gap), ("limits, relative", RELATIVE_TOLERANCE)),
    )


def _message(outcome: PipelineOutcome) -> str:
    words = {
        "enumerated": "bound by a dynamic program over ideals",
        "dual": "bound by prices of groups, checked by a dynamic program",
        "even": "bound by sharing all work evenly, without transfers",
    }
    text = words.get(outcome.basis, "bound by CP-SAT")
    if outcome.stop is Stop.TIME_LIMIT:
        text += "; stopped at the time limit"
    return text


def _solver() -> str:
    return f"cp-sat {importlib.metadata.version('ortools')}"
