"""Fronts beside one another: indicators of quality, knees, and what they have in common.

All objectives are to be small. Of two sets of points, ``A->B`` reads: how A stands to B.

==========================  =====================================================================
``epsilon_additive``        least ε so that every b of B has an a of A with a ≤ b + ε: in SI units,
                            the largest over the objectives
``epsilon_multiplicative``  the same with a ≤ ε × b
``coverage``                share of B's points that are met or dominated by a point of A
``dominated_share``         share of B's points that are dominated by a point of A
==========================  =====================================================================

Of one set: its hypervolume to a reference point, which is stated, and IGD+ to the non-dominated
points of all sets together. The values in SI units add seconds to joules; ``normalised`` has them
with every objective between 0 (ideal) and 1 (nadir) over all non-dominated points, and the
hypervolume as a share of the box from the ideal point to the reference.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edgeplan.model.errors import InputError
from edgeplan.pareto import indicators
from edgeplan.pareto.changes import Changes, find_changes
from edgeplan.pareto.front import TOLERANCE
from edgeplan.pareto.indicators import Array
from edgeplan.pareto.knees import METHODS, Knee, find_knee
from edgeplan.pareto.objectives import Criterion, criteria
from edgeplan.pareto.sets import PointSet, baseline_set, comparable, point_set, table_set

__all__ = ["Comparison", "Normalised", "baseline_set", "compare", "point_set", "table_set"]

MARGIN = 0.1
"""By which share of its range the reference point lies behind the worst value."""


@dataclass(frozen=True, kw_only=True)
class Normalised:
    """Indicators with every objective between 0 and 1; see the module.

    Parameters
    ----------
    ideal, nadir
        The values that are 0 and 1, in SI units.
    hypervolume
        By set: share of the box from the ideal point to the reference.
    epsilon_additive
        By pair.
    igd_plus
        By set.
    """

    ideal: tuple[float, ...]
    nadir: tuple[float, ...]
    hypervolume: Mapping[str, float]
    epsilon_additive: Mapping[str, float]
    igd_plus: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is known of two or more sets of points together; see the module.

    Parameters
    ----------
    objectives
        Names of the criteria by which they were compared.
    sets
        The sets, with these objectives.
    reference, reference_basis
        The hypervolume's reference point in SI units, and in words where it comes from.
    hypervolume, igd_plus
        By set.
    epsilon_additive, epsilon_multiplicative, coverage, dominated_share
        By pair (``A->B``). ε is ``inf`` where no ε will do; the multiplicative one ``None``
        where there are negative values.
    common
        By pair of names (``A&B``): how many images both have.
    normalised
        The same without units.
    knees
        By set and by what is meant by a knee; ``None`` where there is none.
    notes
        What should be known beside the numbers.
    tolerance
        Values that differ by no more than this share count as equal.
    """

    objectives: tuple[str, ...]
    sets: tuple[PointSet, ...]
    reference: tuple[float, ...]
    reference_basis: str
    hypervolume: Mapping[str, float]
    igd_plus: Mapping[str, float]
    epsilon_additive: Mapping[str, float]
    epsilon_multiplicative: Mapping[str, float | None]
    coverage: Mapping[str, float]
    dominated_share: Mapping[str, float]
    common: Mapping[str, int]
    normalised: Normalised
    knees: Mapping[str, Mapping[str, Knee | None]]
    notes: tuple[str, ...]
    tolerance: float

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The objectives, with their units."""
        return criteria(self.objectives)

    @cached_property
    def changes(self) -> tuple[Changes, ...]:
        """What changed from the first set to each of the others, plan by plan."""
        first, *others = self.sets
        return tuple(find_changes(first, other, tolerance=self.tolerance) for other in others)

    def as_json(self, *, details: bool = False) -> dict[str, Any]:
        """Return the comparison for machines; ``null`` is what has no finite number.

        Parameters
        ----------
        details
            Whether every point that changed is listed, and not just how many.
        """
        keys = [criterion.key for criterion in self.criteria]
        return {
            "objectives": list(self.objectives),
            "points": {each.name: len(each) for each in self.sets},
            "hypervolume": dict(self.hypervolume),
            "reference": dict(zip(keys, self.reference, strict=True)),
            "reference_basis": self.reference_basis,
            "epsilon_additive": _finite(self.epsilon_additive),
            "epsilon_multiplicative": _finite(self.epsilon_multiplicative),
            "igd_plus": _finite(self.igd_plus),
            "coverage": dict(self.coverage),
            "dominated_share": dict(self.dominated_share),
            "common": dict(self.common),
            "normalised": {
                "ideal": dict(zip(keys, self.normalised.ideal, strict=True)),
                "nadir": dict(zip(keys, self.normalised.nadir, strict=True)),
                "hypervolume": dict(self.normalised.hypervolume),
                "epsilon_additive": _finite(self.normalised.epsilon_additive),
                "igd_plus": _finite(self.normalised.igd_plus),
            },
            "knees": {
                each.name: {
                    method: self._knee_json(each, knee)
                    for method, knee in self.knees[each.name].items()
                }
                for each in self.sets
            },
            "changes": [change.as_json(details=details) for change in self.changes],
            "notes": list(self.notes),
        }

    def _knee_json(self, each: PointSet, knee: Knee | None) -> dict[str, Any] | None:
        if knee is None:
            return None
        keys = [criterion.key for criterion in self.criteria]
        values = dict(zip(keys, each.values[knee.index], strict=True))
        label = {} if each.labels is None else {"label": each.labels[knee.index]}
        return {"point": knee.index, **label, "score": knee.score, **values}


def compare(
    sets: Sequence[PointSet],
    *,
    reference: Mapping[str, float] | None = None,
    force: bool = False,
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Compare sets of points.

    Parameters
    ----------
    sets
        Two or more, of different names.
    reference
        The hypervolume's reference point, by objective name, in SI units. If absent: the fronts'
        own where all have the same and no point is behind it, else the worst value of any point
        and a tenth of the values' range behind it.
    force
        Compare even sets of different instances, or with different objectives by those that all
        have.
    tolerance
        Values that differ by no more than this share count as equal, where points are counted;
        hypervolume and ε are of the values as they are.

    Raises
    ------
    InputError
        If the sets are not comparable (see `comparable`), none has a point, or the reference
        point lacks an objective.
    """
    sets = comparable(sets, force=force)
    chosen = criteria(sets[0].objectives)
    if not any(map(len, sets)):
        raise InputError.at("", "none of the sets has a point: there is nothing to compare")
    raw = {each.name: each.array for each in sets}
    snapped = dict(zip(raw, indicators.snap(list(raw.values()), tolerance), strict=True))
    corner, basis = _reference(sets, raw, chosen, reference)
    ideal, nadir = indicators.ranges(list(snapped.values()))
    unit = {name: indicators.normalised(each, ideal, nadir) for name, each in snapped.items()}
    pairs = {f"{a}->{b}": (a, b) for a, b in itertools.permutations(raw, 2)}

    joined = np.concatenate(list(snapped.values()))
    kept = indicators.nondominated(joined, equal_too=False)
    best, best_unit = joined[kept], np.concatenate(list(unit.values()))[kept]
    volume = {name: indicators.hypervolume(each, corner) for name, each in raw.items()}
    box = math.prod(max(0.0, float(r - i)) for r, i in zip(corner, ideal, strict=True))

    dominated = {
        pair: indicators.dominated(snapped[b], snapped[a]) for pair, (a, b) in pairs.items()
    }
    present = {pair: indicators.present(snapped[b], snapped[a]) for pair, (a, b) in pairs.items()}
    return Comparison(
        objectives=sets[0].objectives,
        sets=sets,
        reference=corner,
        reference_basis=basis,
        hypervolume=volume,
        igd_plus={name: indicators.igd_plus(each, best) for name, each in snapped.items()},
        epsilon_additive={
            pair: indicators.epsilon_additive(raw[a], raw[b]) for pair, (a, b) in pairs.items()
        },
        epsilon_multiplicative={
            pair: indicators.epsilon_multiplicative(raw[a], raw[b])
            for pair, (a, b) in pairs.items()
        },
        coverage={pair: _share(dominated[pair] | present[pair]) for pair in pairs},
        dominated_share={pair: _share(dominated[pair]) for pair in pairs},
        common={
            f"{a}&{b}": int(present[f"{b}->{a}"].sum()) for a, b in itertools.combinations(raw, 2)
        },
        normalised=Normalised(
            ideal=tuple(map(float, ideal)),
            nadir=tuple(map(float, nadir)),
            hypervolume={name: each / box if box else 0.0 for name, each in volume.items()},
            epsilon_additive={
                pair: indicators.epsilon_additive(unit[a], unit[b])
                for pair, (a, b) in pairs.items()
            },
            igd_plus={name: indicators.igd_plus(each, best_unit) for name, each in unit.items()},
        ),
        knees={
            name: {method: _knee(each, method) for method in METHODS}
            for name, each in snapped.items()
        },
        notes=tuple(_notes(sets, raw, snapped, corner)),
        tolerance=tolerance,
    )


def _reference(
    sets: Sequence[PointSet],
    raw: Mapping[str, Array],
    chosen: Sequence[Criterion],
    given: Mapping[str, float] | None,
) -> tuple[tuple[float, ...], str]:
    """Return the hypervolume's reference point and where it comes from."""
    if given is not None:
        names = [criterion.name for criterion in chosen]
        if set(given) != set(names):
            raise InputError.at("reference", f"must have a value for each of {', '.join(names)}")
        if not all(map(math.isfinite, given.values())):
            raise InputError.at("reference", "must be finite numbers")
        return tuple(float(given[name]) for name in names), "as given"
    joined = np.concatenate(list(raw.values()))
    best, worst = joined.min(axis=0), joined.max(axis=0)
    own = {each.reference for each in sets if each.reference is not None}
    corner = own.pop() if len(own) == 1 else None
    if corner is not None and (worst <= np.asarray(corner)).all():
        return corner, "the one by which the fronts' own hypervolumes are stated"
    span = np.where(worst > best, worst - best, np.where(worst != 0, np.abs(worst), 1.0))
    percent = f"{MARGIN:.0%}".replace("%", " %")
    return (
        tuple(map(float, worst + MARGIN * span)),
        f"the worst value of any point and {percent} of the values' range behind it",
    )


def _knee(values: Array, method: Any) -> Knee | None:
    """Return the knee of a set, of its points that no other dominates."""
    rows = np.flatnonzero(indicators.nondominated(values, equal_too=False))
    knee = find_knee(values[rows], method)
    return None if knee is None else Knee(knee.method, int(rows[knee.index]), knee.score)


def _share(mask: indicators.Mask) -> float:
    """Return the share that is true; of nothing, none."""
    return float(mask.mean()) if len(mask) else 0.0


def _notes(
    sets: Sequence[PointSet],
    raw: Mapping[str, Array],
    snapped: Mapping[str, Array],
    corner: Sequence[float],
) -> list[str]:
    """Return what should be known beside the numbers."""
    notes = [f"{each.name}: {note}" for each in sets for note in each.notes]
    known = {each.fingerprint for each in sets if each.fingerprint}
    if len(known) > 1:
        notes.append("the sets are of different instances: their numbers alone are compared")
    for each in sets:
        if not each.fingerprint:
            notes.append(f"{each.name}: nothing says of which instance its points are")
        count = len(each)
        behind = int((raw[each.name] >= np.asarray(corner)).any(axis=1).sum())
        if behind:
            text = f"{behind} of {count} points are not before the reference point and add nothing"
            notes.append(f"{each.name}: {text} to the hypervolume")
        lesser = count - int(indicators.nondominated(snapped[each.name], equal_too=False).sum())
        if lesser:
            text = f"{lesser} of {count} points are dominated by, or equal to, others of its own"
            notes.append(f"{each.name}: {text}")
    return notes


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return numbers for JSON: ``None`` where one is not finite."""
    return {
        key: value if value is not None and math.isfinite(value) else None
        for key, value in values.items()
    }
