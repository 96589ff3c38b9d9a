"""One plan of a front: by limits and a preference, and what the next plans would trade for it.

==================  ===========================================================================
prefer              the least of one objective, of equals the least of the next
reference point     the least augmented achievement: the largest shortfall behind the point
                    wished for, over the objectives' ranges (A. P. Wierzbicki, 1980)
pseudo-weights      the point whose shares of what could be gained in each objective are nearest
                    to the weights (K. Deb, 2001)
knee                where the front bends; see `edgeplan.pareto.knees`
==================  ===========================================================================

Limits come first: points that break one are out. Ranges (ideal and nadir) are those of the whole
front, so that a limit does not change what a weight means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeplan.model.errors import Fault, InputError
from edgeplan.pareto.front import TOLERANCE, Front, Point
from edgeplan.pareto.indicators import Array, array, normalised, ranges
from edgeplan.pareto.knees import FLAT, METHODS, Method, knee_scores
from edgeplan.pareto.objectives import CRITERIA, Criterion, prefix_of

AUGMENTATION = 1e-4
"""Weight of the sum of shortfalls beside the largest: of points that are as good by the largest
it takes one that no other dominates."""
NEIGHBOURS = 10
"""Among how many of the nearest points with less of an objective the cheapest is taken for its
marginal rate, where there are three objectives or more."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a little less of an objective costs, going from a point to a neighbour.

    With two objectives the neighbour is the next point. With more it is, of the `NEIGHBOURS`
    nearest that have less of the objective, the one that loses least of the others for each unit
    gained (all normalised): neighbours further round the front trade the others for one another.

    Parameters
    ----------
    objective
        Name of what there would be less of.
    step
        By how much, in SI units; positive.
    neighbour
        Number of the point.
    changes
        How much more of each other objective there would be, in SI units; negative where less.
    """

    objective: str
    step: float
    neighbour: int
    changes: Mapping[str, float]

    @property
    def per_unit(self) -> Mapping[str, float]:
        """How much more of each other objective, per SI unit less of this one."""
        return {name: change / self.step for name, change in self.changes.items()}

    def words(self) -> str:
        """Return the rate in words: ``1 ms less latency costs 300 mJ energy``."""
        own = CRITERIA[self.objective]
        factor, prefix = prefix_of(self.step)
        shown = {
            name: CRITERIA[name].show(abs(rate) * factor) for name, rate in self.per_unit.items()
        }
        parts = [
            f"{verb} " + " and ".join(f"{shown[name]} {name}" for name in names)
            for verb, names in (
                ("costs", [name for name, change in self.changes.items() if change > 0]),
                ("saves", [name for name, change in self.changes.items() if change < 0]),
            )
            if names
        ]
        what = ", and ".join(parts) or "costs nothing"
        return f"1 {prefix}{own.unit} less {self.objective} {what}"

    def as_json(self) -> dict[str, Any]:
        """Return the rate for machines, by the criteria's keys."""
        return {
            "objective": self.objective,
            "step": self.step,
            "neighbour": self.neighbour,
            "changes": {CRITERIA[name].key: value for name, value in self.changes.items()},
            "per_unit": {CRITERIA[name].key: value for name, value in self.per_unit.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A point of a front, and why it.

    Parameters
    ----------
    point, index
        The point and its number in the front.
    why
        In words.
    passing, count
        How many points keep the limits, and how many there are.
    rates
        What a little less of each objective would cost here; none of one that is at its least.
    """

    point: Point
    index: int
    why: str
    passing: int
    count: int
    rates: tuple[Rate, ...]

    def as_json(self, front: Front) -> dict[str, Any]:
        """Return the choice for machines; ``front`` is the one that it was made from."""
        keys = [criterion.key for criterion in front.criteria]
        return {
            "point": self.index,
            **dict(zip(keys, self.point.values, strict=True)),
            "why": self.why,
            "passing": self.passing,
            "count": self.count,
            "rates": [rate.as_json() for rate in self.rates],
        }


def choose(
    front: Front,
    *,
    limits: Mapping[str, float] | None = None,
    prefer: str | Sequence[str] | None = None,
    reference: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    knee: Method | None = None,
) -> Choice:
    """Choose a point of a front.

    At most one of ``prefer``, ``reference``, ``weights`` and ``knee`` is given; none is as the
    hyperplane's knee, or where the front does not bend the least sum of normalised values.

    Parameters
    ----------
    front
        The front.
    limits
        The most that a point may have, by objective name, in SI units.
    prefer
        Name of the objective to have least of; several for one after the other.
    reference
        The point wished for, by objective name, in SI units; what is left out has the nadir's
        value. It may be out of reach, or better than needed.
    weights
        Of objectives, by name; not negative, and 0 where left out. Their sum does not matter.
    knee
        What is meant by a knee.

    Returns
    -------
    Choice
        The point and why, with the marginal rates there.

    Raises
    ------
    InputError
        If the front has no point; an objective is not one of the front's; a number is not one;
        several ways to choose are given; or no point keeps the limits: then with the nearest
        point and what it breaks.
    """
    if not front.points:
        raise InputError.at("front", "has no points to choose from")
    limits = _known(front, limits or {}, "limits")
    ways = {"prefer": prefer, "reference": reference, "weights": weights, "knee": knee}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise InputError.at(given[1], f"cannot be given together with {given[0]}: choose one")
    values = array(front.values, len(front.objectives))
    passing = _passing(front, values, limits)
    unit = normalised(values, *ranges([values]))
    if prefer is not None:
        scores, why = _by_preference(front, values, prefer)
    elif reference is not None:
        scores, why = _by_achievement(front, values, _known(front, reference, "reference"))
    elif weights is not None:
        scores, why = _by_weights(front, unit, _known(front, weights, "weights"))
    else:
        scores, why = _by_knee(values, unit, knee, passing)
    # Of equals the one with the least sum; lexsort's last key is its first.
    columns = (unit.sum(axis=1), *reversed(scores))
    rank = np.lexsort([column[passing] for column in columns])
    index = int(passing[rank[0]])
    return Choice(
        point=front.points[index],
        index=index,
        why=_words(front, limits, len(passing), why),
        passing=len(passing),
        count=len(front.points),
        rates=find_rates(front, index),
    )


def find_rates(front: Front, index: int) -> tuple[Rate, ...]:
    """Return what a little less of each objective costs at a point; see `Rate`.

    Parameters
    ----------
    front
        The front.
    index
        Number of the point.
    """
    values = array(front.values, len(front.objectives))
    unit = normalised(values, *ranges([values]))
    away = unit - unit[index]
    rates = []
    for k, name in enumerate(front.objectives):
        least = values[index, k] - TOLERANCE * abs(values[index, k])
        less = np.flatnonzero(values[:, k] < least)
        if not len(less):
            continue
        if len(front.objectives) <= 2:
            neighbour = less[np.argmax(values[less, k])]
        else:
            distance = np.linalg.norm(away[less], axis=1)
            near = less[np.argsort(distance, kind="stable")[:NEIGHBOURS]]
            losses = np.maximum(np.delete(away[near], k, axis=1), 0.0).sum(axis=1)
            neighbour = near[np.argmin(losses / -away[near, k])]
        rates.append(
            Rate(
                objective=name,
                step=float(values[index, k] - values[neighbour, k]),
                neighbour=int(neighbour),
                changes={
                    other: float(values[neighbour, j] - values[index, j])
                    for j, other in enumerate(front.objectives)
                    if j != k
                },
            )
        )
    return tuple(rates)


def _known(front: Front, given: Mapping[str, float], place: str) -> dict[str, float]:
    """Return numbers by objective, checked to be numbers and of the front's objectives."""
    faults = []
    for name, value in given.items():
        if name not in front.objectives:
            message = f"is no objective of the front; it has {', '.join(front.objectives)}"
            faults.append(Fault(f"{place}.{name[:80]}", message))
        elif not math.isfinite(value):
            faults.append(Fault(f"{place}.{name}", "must be a finite number"))
    if faults:
        raise InputError(faults)
    return {name: float(value) for name, value in given.items()}


def _passing(front: Front, values: Array, limits: Mapping[str, float]) -> Any:
    """Return the numbers of the points that keep the limits."""
    shown = {criterion.name: criterion for criterion in front.criteria}
    column = {name: values[:, k] for k, name in enumerate(front.objectives)}
    kept = {name: column[name] <= limit + TOLERANCE * abs(limit) for name, limit in limits.items()}
    passing = np.flatnonzero(
        np.logical_and.reduce([np.ones(len(values), dtype=bool), *kept.values()])
    )
    if len(passing):
        return passing
    faults = [
        Fault(
            f"limits.{name}",
            f"no point has {name} ≤ {shown[name].show(limits[name])}: the least is "
            f"{shown[name].show(column[name].min())}",
        )
        for name, mask in kept.items()
        if not mask.any()
    ]
    if faults:
        raise InputError(faults)
    # Each can be kept, but not all of them together: show the point that breaks them least.
    span = np.ptp(values, axis=0)
    excess = [
        np.maximum(column[name] - limit, 0.0) / (span[front.objectives.index(name)] or 1.0)
        for name, limit in limits.items()
    ]
    nearest = int(np.argmin(np.max(excess, axis=0)))
    broken = [
        f"{name} {shown[name].show(column[name][nearest])} > {shown[name].show(limit)}"
        for name, limit in limits.items()
        if not kept[name][nearest]
    ]
    alone = ", ".join(f"{name} {int(mask.sum())}" for name, mask in kept.items())
    raise InputError.at(
        "limits",
        f"no point keeps all of them together (points that keep each alone: {alone}); the nearest "
        f"is point {nearest}, which has {' and '.join(broken)}",
    )


def _by_preference(
    front: Front, values: Array, prefer: str | Sequence[str]
) -> tuple[list[Array], str]:
    names = [prefer] if isinstance(prefer, str) else list(prefer)
    if not names:
        raise InputError.at("prefer", "must name an objective")
    _known(front, dict.fromkeys(names, 0.0), "prefer")
    from edgeplan.pareto.indicators import snap

    (equal,) = snap([values], front.tolerance)
    columns = [equal[:, front.objectives.index(name)] for name in names]
    return columns, f"the least {', then the least '.join(names)}"


def _by_achievement(
    front: Front, values: Array, reference: Mapping[str, float]
) -> tuple[list[Array], str]:
    if not reference:
        raise InputError.at("reference", "must have a value for an objective or more")
    ideal, nadir = ranges([values])
    wished = np.asarray(
        [reference.get(name, nadir[k]) for k, name in enumerate(front.objectives)], dtype=float
    )
    short = normalised(values, ideal, nadir) - normalised(wished, ideal, nadir)
    shown = ", ".join(
        f"{criterion.name} {criterion.show(value)}"
        for criterion, value in zip(front.criteria, wished, strict=True)
    )
    achievement = short.max(axis=1) + AUGMENTATION * short.sum(axis=1)
    return [achievement], f"the nearest by achievement to the reference point {shown}"


def _by_weights(front: Front, unit: Array, weights: Mapping[str, float]) -> tuple[list[Array], str]:
    wanted = np.asarray([weights.get(name, 0.0) for name in front.objectives])
    if (wanted < 0).any() or not wanted.any():
        raise InputError.at("weights", "must not be negative, nor all 0")
    wanted = wanted / wanted.sum()
    # An objective that is the same everywhere has nothing to be gained.
    gained = np.where(np.ptp(unit, axis=0) > 0, 1.0 - unit, 0.0)
    total = gained.sum(axis=1, keepdims=True)
    own = np.divide(gained, total, out=np.zeros_like(gained), where=total > 0)
    shown = ", ".join(
        f"{name} {weight:.3g}" for name, weight in zip(front.objectives, wanted, strict=True)
    )
    distance = np.linalg.norm(own - wanted, axis=1)
    return [distance], f"the pseudo-weights nearest to {shown}"


def _by_knee(
    values: Array, unit: Array, knee: Method | None, passing: Any
) -> tuple[list[Array], str]:
    method = knee or METHODS[0]
    if method not in METHODS:
        raise InputError.at("knee", f"must be one of {', '.join(METHODS)}")
    if len(values) > 2:
        scores = knee_scores(values, method)
        if FLAT[method] < scores[passing].max() < np.inf:
            return [-scores], f"the knee ({_MEANT[method]})"
    return [unit.sum(axis=1)], "the least sum of normalised values, as the front has no knee here"


_MEANT: Mapping[Method, str] = {
    "hyperplane": "farthest below the hyperplane through the front's ends",
    "trade-off rate": "the dearest to leave for a point near it",
}


def _words(front: Front, limits: Mapping[str, float], passing: int, why: str) -> str:
    shown: dict[str, Criterion] = {criterion.name: criterion for criterion in front.criteria}
    if not limits:
        return f"{why}, of {len(front.points)} points"
    kept = ", ".join(f"{name} ≤ {shown[name].show(limit)}" for name, limit in limits.items())
    return f"{why}, of the {passing} of {len(front.points)} points with {kept}"
