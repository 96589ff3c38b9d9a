"""A point of a sweep: what was set, what came of it, and the file that keeps it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.instances.document import Plain, parse_json, read_text, write_text
from edgeplan.instances.plans import plan_from_tree, plan_tree
from edgeplan.model.errors import InputError
from edgeplan.sweeps.parameters import Value

if TYPE_CHECKING:
    from edgeplan.model.plan import Plan
    from edgeplan.result import Result

POINT_FORMAT = "edgeplan-sweep-point"
VALUES = ("latency_seconds", "energy_joules", "cost_dollars", "period_seconds")
_NUMBERS = ("objective", "bound", "gap", "seconds", *VALUES)
_TEXTS = ("status", "limit", "basis", "solver", "chosen", "message")


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """What was planned with some settings.

    Parameters
    ----------
    settings
        Value by path.
    status, limit, objective, bound, gap, basis, solver, chosen, seconds, message
        As in `edgeplan.result.Result`; the basis in words.
    latency_seconds, energy_joules, cost_dollars, period_seconds
        Of the plan, by the evaluator; ``None`` without a plan or where not finite.
    plan
        The plan, or ``None``.
    """

    settings: Mapping[str, Value]
    status: str
    limit: str | None
    objective: float | None
    bound: float | None
    gap: float | None
    basis: str | None
    solver: str
    chosen: str | None
    seconds: float
    message: str
    latency_seconds: float | None
    energy_joules: float | None
    cost_dollars: float | None
    period_seconds: float | None
    plan: Plan | None

    def as_json(self) -> dict[str, Any]:
        """Return the point for machines and for its file."""
        tree: dict[str, Any] = {"settings": dict(self.settings)}
        tree |= {key: getattr(self, key) for key in (*_TEXTS, *_NUMBERS)}
        tree["plan"] = None if self.plan is None else plan_tree(self.plan)
        return tree


def point_of(settings: Mapping[str, Value], result: Result) -> SweepPoint:
    """Return the point of a result."""
    priced = result.evaluation
    values = {key: None if priced is None else _finite(getattr(priced, key)) for key in VALUES}
    return SweepPoint(
        settings=settings,
        status=result.status,
        limit=result.limit,
        objective=_finite(result.objective),
        bound=_finite(result.bound),
        gap=_finite(result.gap),
        basis=None if result.certificate is None else str(result.certificate),
        solver=result.solver,
        chosen=result.chosen,
        seconds=result.seconds,
        message=result.message,
        plan=result.plan,
        **values,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def point_file(folder: Path, settings: Mapping[str, Value]) -> Path:
    """Return where the point of some settings is kept."""
    text = json.dumps(dict(settings), sort_keys=True)
    return folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"


def write_point(point: SweepPoint, file: Path) -> None:
    """Write a point whole or not at all; it is on disk when this returns."""
    tree = {"format": POINT_FORMAT, "version": 1, **point.as_json()}
    write_text(file, json.dumps(tree, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_point(file: Path, settings: Mapping[str, Value]) -> SweepPoint | None:
    """Return the point that a file keeps; ``None`` where it is not that of the settings."""
    try:
        tree = parse_json(read_text(file, max_bytes=500_000_000)).value
    except InputError:
        return None
    if not isinstance(tree, dict) or tree.get("format") != POINT_FORMAT:
        return None
    if tree.get("settings") != dict(settings) or not isinstance(tree.get("status"), str):
        return None
    try:
        stated = tree.get("plan")
        fields: dict[str, Any] = {
            **{key: _typed(tree[key], str) for key in _TEXTS},
            **{key: _typed(tree[key], float) for key in _NUMBERS},
            "plan": None if stated is None else plan_from_tree(stated),
        }
    except (KeyError, InputError):
        return None
    return SweepPoint(settings=settings, **fields)


def _typed(value: Plain, kind: type[str] | type[float]) -> str | float | None:
    if value is None or (kind is str and isinstance(value, str)):
        return value if isinstance(value, str) else None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise InputError.at("", "is of another type")
