"""What is known after planning, for people and for machines."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import Evaluation, RoutePrice
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.problem import TailDeadline
from edgeplan.solvers.baselines import Baseline

if TYPE_CHECKING:
    from collections.abc import Collection
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
            "replicas": None if self.evaluation is None else replicas_json(self.evaluation),
            "evaluation": None if self.evaluation is None else evaluation_json(self.evaluation),
            "baselines": {baseline.name: baseline_json(baseline) for baseline in self.baselines},
        }


def routes_json(plan_: Plan) -> dict[str, Any]:
    """Return a plan's routes for machines: by stream, a device for each layer."""
    return {
        name: [
            {"fraction": route.fraction, "devices": list(route.devices), "batch": route.batch}
            for route in routes
        ]
        for name, routes in plan_.routes.items()
    }


def replicas_json(evaluation: Evaluation) -> dict[str, int]:
    """Return for machines how many copies there are of each device that is on."""
    return {load.name: load.replicas for load in evaluation.devices if load.on}


def evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation for machines, in SI units; ``None`` where a value is infinite.

    All of it is predicted by the formulas of the model, and says so. Waits have their basis
    (``exact``, ``approximate``; of a percentile ``safe``, ``estimated``), deadlines their slack.
    """
    return {
        "source": "predicted",
        "latency_seconds": _finite(evaluation.latency_seconds),
        "energy_joules": _finite(evaluation.energy_joules),
        "cost_dollars": _finite(evaluation.cost_dollars),
        "period_seconds": _finite(evaluation.period_seconds),
        "bottleneck": evaluation.bottleneck,
        "objective": _finite(evaluation.objective),
        "violations": [_fields(violation) for violation in evaluation.violations],
        "streams": [
            _fields(stream, leave_out=("routes", "tails", "deadlines"))
            | {
                "tails": _tails_json(stream.tails),
                "deadlines": [
                    _fields(deadline) | {"slack_seconds": _finite(deadline.slack_seconds)}
                    for deadline in stream.deadlines
                ],
                "routes": [_route_json(route) for route in stream.routes],
            }
            for stream in evaluation.streams
        ],
        "devices": [_fields(device) for device in evaluation.devices],
        "links": [_fields(link) for link in evaluation.links],
    }


def _route_json(route: RoutePrice) -> dict[str, Any]:
    return {
        "fraction": route.fraction,
        "batch": route.batch,
        "latency_seconds": _finite(route.latency_seconds),
        "fill_seconds": _finite(route.fill_seconds),
        "wait_seconds": _finite(route.wait_seconds),
        "tails": _tails_json(route.tails),
        "stages": [
            _fields(stage, leave_out=("transfers",))
            | {"transfers": [_fields(transfer) for transfer in stage.transfers]}
            for stage in route.stages
        ],
        "returned": [_fields(transfer) for transfer in route.returned],
        "occupied": {name: _finite(seconds) for name, seconds in route.occupied_seconds},
    }


def _tails_json(tails: tuple[tuple[float, float], ...]) -> dict[str, float | None]:
    """Return percentiles by their names: p95."""
    return {
        TailDeadline(probability=probability, seconds=seconds).statistic: _finite(seconds)
        for probability, seconds in tails
    }


def _fields(item: DataclassInstance, *, leave_out: Collection[str] = ()) -> dict[str, Any]:
    return {
        field.name: _finite(value) if isinstance(value, float) else value
        for field in dataclasses.fields(item)
        if field.name not in leave_out
        for value in (getattr(item, field.name),)
    }


def baseline_json(baseline: Baseline) -> dict[str, Any]:
    """Return the price of a baseline for machines, and why it is not feasible where it is not."""
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
