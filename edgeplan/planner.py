"""The whole flow on one screen: a problem in, a priced and certified plan out."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import Evaluation, RoutePrice
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.verify import Certified, verify
from edgeplan.solvers import registry
from edgeplan.solvers.agreement import agreed
from edgeplan.solvers.baselines import Baseline, baselines
from edgeplan.solvers.multipliers import best_multipliers
from edgeplan.solvers.result import Progress, Solver, SolverResult, Stop

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

Status = Literal["optimal", "feasible", "infeasible", "unknown"]
Limit = Literal["time", "work", "interrupted"]


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
    multipliers
        What the bound can be recomputed from, where it stands on such; else ``None``.
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
    multipliers: Multipliers | None = None

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
            "routes": None if self.plan is None else routes_json(self.plan),
            "evaluation": None if self.evaluation is None else evaluation_json(self.evaluation),
            "baselines": {baseline.name: _baseline_json(baseline) for baseline in self.baselines},
        }


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

    why = "asked for"
    common: dict[str, object] = {"gap": gap, "threads": threads, "seed": seed}
    if isinstance(solver, str):
        if solver == "auto":
            solver, why = registry.choose(problem)
        solver = _supporting(problem, registry.get(solver, time_limit=time_limit, **common))
    second = None
    if witness is not None:
        # Both are looked up before either works: a wrong name shows at once.
        common["alone"] = True
        second = _supporting(problem, registry.get(witness, time_limit=time_limit, **common))
        if second.name == solver.name:
            raise InputError.at("witness", f"'{second.name}' is the solver itself; name another")
    _supporting(problem, solver)
    start = best.plan if best else None
    found = _solved(solver, problem, start, on_progress, stop)
    if second is not None and found.stop is not Stop.INTERRUPTED:
        if time_limit is not None:
            rest = max(0.0, time_limit - (time.perf_counter() - began))
            second = registry.get(second.name, time_limit=rest, **common)
        start = found.plan or start
        found = agreed(found, _solved(second, problem, start, on_progress, stop))

    claimed = _certified(problem, found.plan, found, objective=found.claimed_objective)
    plan_, chosen, standing = found.plan, found.solver, claimed
    if best is not None and (claimed.objective is None or _price(best) < claimed.objective):
        # The best baseline, under the solver's bound; it may refute that bound, or a claim
        # that there is no plan.
        plan_, chosen = best.plan, best.name
        standing = _certified(problem, best.plan, found, objective=None)
    multipliers = None
    if _worth_recomputing(standing, found):
        dual = best_multipliers(
            problem,
            upper=standing.objective,
            time_limit=min(RECOMPUTE_SECONDS, 0.1 + found.seconds / 4),
            stop=stop,
        )
        recomputed = _certified(problem, plan_, found, objective=None, multipliers=dual[0])
        if recomputed.rechecked:
            standing, multipliers = recomputed, dual[0]
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


RECOMPUTE_SECONDS = 5.0
"""At most so long a claimed bound is sought again as one that can be recomputed."""


def _worth_recomputing(standing: Certified, found: SolverResult) -> bool:
    """Whether a bound stands on a solver's word alone, and time is left to look for a proof."""
    certificate = standing.certificate
    claimed = certificate is not None and not certificate.proved
    return claimed and standing.objective is not None and found.stop is not Stop.INTERRUPTED


def _supporting(problem: Problem, solver: Solver) -> Solver:
    """Return a solver that supports the problem; refuse one that does not, with the reasons."""
    if reasons := solver.unsupported(problem):
        raise InputError.at(f"solver {solver.name}", "; ".join(reasons))
    return solver


def _solved(
    solver: Solver,
    problem: Problem,
    start: Plan | None,
    on_progress: Callable[[Progress], None] | None,
    stop: threading.Event | None,
) -> SolverResult:
    found = solver.solve(problem, start=start, on_progress=on_progress, stop=stop)
    if found.stop is Stop.FAILED:
        raise SolverError(f"{found.solver}: {found.message}")
    return found


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


def routes_json(plan_: Plan) -> dict[str, Any]:
    """Return a plan's routes for machines: by stream, a device for each layer."""
    return {
        name: [{"fraction": route.fraction, "devices": list(route.devices)} for route in routes]
        for name, routes in plan_.routes.items()
    }


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation for machines, in SI units; ``None`` where a value is infinite."""
    return {
        "latency_seconds": _finite(evaluation.latency_seconds),
        "energy_joules": _finite(evaluation.energy_joules),
        "cost_dollars": _finite(evaluation.cost_dollars),
        "period_seconds": _finite(evaluation.period_seconds),
        "bottleneck": evaluation.bottleneck,
        "objective": _finite(evaluation.objective),
        "violations": [_fields(violation) for violation in evaluation.violations],
        "streams": [
            _fields(stream, leave_out="routes")
            | {"routes": [_route_json(route) for route in stream.routes]}
            for stream in evaluation.streams
        ],
        "devices": [_fields(device) for device in evaluation.devices],
        "links": [_fields(link) for link in evaluation.links],
    }


def _route_json(route: RoutePrice) -> dict[str, Any]:
    return {
        "fraction": route.fraction,
        "latency_seconds": _finite(route.latency_seconds),
        "stages": [
            _fields(stage, leave_out="transfers")
            | {"transfers": [_fields(transfer) for transfer in stage.transfers]}
            for stage in route.stages
        ],
        "returned": [_fields(transfer) for transfer in route.returned],
        "occupied": {name: _finite(seconds) for name, seconds in route.occupied_seconds},
    }


def _fields(item: DataclassInstance, *, leave_out: str = "") -> dict[str, Any]:
    return {
        field.name: _finite(value) if isinstance(value, float) else value
        for field in dataclasses.fields(item)
        if field.name != leave_out
        for value in (getattr(item, field.name),)
    }


def _baseline_json(baseline: Baseline) -> dict[str, Any]:
    evaluation = baseline.evaluation
    document: dict[str, Any] = {"feasible": baseline.feasible}
    for key in (
        "objective",
        "latency_seconds",
        "energy_joules",
        "cost_dollars",
        "period_seconds",
    ):
        document[key] = None if evaluation is None else _finite(getattr(evaluation, key))
    if baseline.why:
        document["why"] = baseline.why
    return document


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
