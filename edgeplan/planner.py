"""The whole flow on one screen: a problem in, a priced and certified plan out."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers import registry
from edgeplan.solvers.baselines import Baseline, baselines
from edgeplan.solvers.result import Progress, Solver, SolverResult, Stop, relative_gap

if TYPE_CHECKING:
    from pathlib import Path

PRICE_TOLERANCE = 1e-6
"""A plan may be dearer than its solver claimed by this share, for rounding."""

Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Limit = Literal["time", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What is known after planning. What was not established is ``None``.

    Parameters
    ----------
    status
        ``optimal``: a plan whose gap is at most the one asked. ``feasible``: a plan.
        ``infeasible``: no plan exists. ``unknown``: neither was found.
    limit
        What ended the run early, or ``None``.
    plan, evaluation, objective
        The best plan, and its price by the evaluator.
    bound, gap
        Lower bound on the objective; relative gap to it.
    certificate
        On what bound or infeasibility stands.
    solver, why
        Name and version, and why it was picked.
    seconds
        Wall time.
    baselines
        The plans to beat, priced likewise.
    chosen
        Where the plan came from: the solver's name, or a baseline's where that was as good.
    message
        What the solver had to say.
    """

    status: Status
    limit: Limit | None
    plan: Plan | None
    evaluation: Evaluation | None
    objective: float | None
    bound: float | None
    gap: float | None
    certificate: Certificate | None
    solver: str
    why: str
    seconds: float
    baselines: tuple[Baseline, ...]
    chosen: str | None
    message: str

    def as_json(self, path: Path | None = None) -> dict[str, Any]:
        """Return the machine-readable result; ``path`` is where the plan was written."""
        return {
            "status": self.status,
            "limit": self.limit,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "basis": self.certificate.basis if self.certificate else None,
            "bounded": self.certificate.bounded if self.certificate else None,
            "seconds": self.seconds,
            "solver": self.solver,
            "why": self.why,
            "chosen": self.chosen,
            "message": self.message,
            "plan": None if path is None else str(path),
            "evaluation": None if self.evaluation is None else evaluation_json(self.evaluation),
            "baselines": {baseline.name: _baseline_json(baseline) for baseline in self.baselines},
        }


def plan(
    problem: Problem,
    *,
    solver: str | Solver = "auto",
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

    why = "asked for"
    if isinstance(solver, str):
        if solver == "auto":
            solver, why = registry.choose(problem)
        solver = registry.get(solver, time_limit=time_limit, gap=gap, threads=threads, seed=seed)
    if reasons := solver.unsupported(problem):
        raise InputError.at(f"solver {solver.name}", "; ".join(reasons))
    found = solver.solve(
        problem, start=best.plan if best else None, on_progress=on_progress, stop=stop
    )
    if found.stop is Stop.FAILED:
        raise SolverError(f"{found.solver}: {found.message}")

    _check_infeasible(found, best)
    price = None if found.plan is None else _checked_price(problem, found)
    chosen = None if price is None else found.solver
    plan_, evaluation = found.plan, price
    if best is not None and (evaluation is None or _price(best) < evaluation.objective):
        plan_, evaluation, chosen = best.plan, best.evaluation, best.name
    bound = _checked_bound(found, evaluation)
    objective = None if evaluation is None else evaluation.objective
    remaining = relative_gap(objective, bound)
    closed = remaining is not None and remaining <= gap
    status: Status = "optimal" if closed else "feasible" if plan_ is not None else "unknown"
    return Result(
        status="infeasible" if found.infeasible else status,
        limit=None if closed else _LIMITS.get(found.stop),
        plan=plan_,
        evaluation=evaluation,
        objective=objective,
        bound=bound,
        gap=remaining,
        certificate=found.certificate,
        solver=found.solver,
        why=why,
        seconds=time.perf_counter() - began,
        baselines=known,
        chosen=chosen,
        message=found.message,
    )


_LIMITS: dict[Stop, Limit] = {Stop.TIME_LIMIT: "time", Stop.INTERRUPTED: "interrupted"}


def _price(baseline: Baseline) -> float:
    return math.inf if baseline.evaluation is None else baseline.evaluation.objective


def _tolerance(value: float) -> float:
    return PRICE_TOLERANCE * abs(value) + 1e-12


def _check_infeasible(found: SolverResult, best: Baseline | None) -> None:
    if found.infeasible and best is not None:
        raise SolverError(
            f"{found.solver} claims that no plan exists, but baseline '{best.name}' is one "
            f"(price {_price(best):.9g}): please report this instance"
        )


def _checked_price(problem: Problem, found: SolverResult) -> Evaluation:
    """Price a solver's plan; one-sided, since rounding may make it better than claimed."""
    assert found.plan is not None
    evaluation = evaluate(problem, found.plan)
    if not evaluation.feasible:
        broken = "; ".join(f"{v.place}: {v.message}" for v in evaluation.violations)
        raise SolverError(f"{found.solver} returned a plan that breaks {broken}")
    claimed = found.claimed_objective
    if claimed is not None and evaluation.objective > claimed + _tolerance(claimed):
        raise SolverError(
            f"{found.solver} claims a price of {claimed:.12g}, but the evaluator's is "
            f"{evaluation.objective:.12g}"
        )
    return evaluation


def _checked_bound(found: SolverResult, evaluation: Evaluation | None) -> float | None:
    """Return the solver's bound, at most the price of the best plan; refuse a wrong one."""
    if found.bound is None or evaluation is None:
        return found.bound
    if found.bound > evaluation.objective + _tolerance(evaluation.objective):
        raise SolverError(
            f"{found.solver} claims the bound {found.bound:.12g}, but a plan costs "
            f"{evaluation.objective:.12g}: please report this instance"
        )
    return min(found.bound, evaluation.objective)


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation for machines: aggregated values and violations; ``None`` for inf."""
    return {
        "latency_seconds": _finite(evaluation.latency_seconds),
        "energy_joules": _finite(evaluation.energy_joules),
        "cost_dollars": _finite(evaluation.cost_dollars),
        "objective": _finite(evaluation.objective),
        "violations": [
            {
                "kind": violation.kind,
                "place": violation.place,
                "message": violation.message,
                "value": None if violation.value is None else _finite(violation.value),
                "limit": violation.limit,
            }
            for violation in evaluation.violations
        ],
    }


def _baseline_json(baseline: Baseline) -> dict[str, Any]:
    evaluation = baseline.evaluation
    document: dict[str, Any] = {"feasible": baseline.feasible}
    for key in ("objective", "latency_seconds", "energy_joules", "cost_dollars"):
        document[key] = None if evaluation is None else _finite(getattr(evaluation, key))
    if baseline.why:
        document["why"] = baseline.why
    return document


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
