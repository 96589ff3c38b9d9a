"""The front: points, each an image and the plan behind it, and what is known about the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.objectives import Criterion, criteria

if TYPE_CHECKING:
    import pandas as pd

    from edgeplan.pareto.choose import Choice
    from edgeplan.pareto.compare import Comparison

TOLERANCE = 1e-9
"""Images that differ by no more than this share of each value count as one."""


@dataclass(frozen=True)
class Point:
    """An image and a plan that has it.

    Parameters
    ----------
    values
        The evaluator's word, in SI units, in the order of the front's objectives.
    plan
        The plan.
    """

    values: tuple[float, ...]
    plan: Plan


@dataclass(frozen=True)
class Hypervolume:
    """How much of a box the front dominates: what is known of the whole front's hypervolume.

    Parameters
    ----------
    lower
        Of the points found.
    upper
        No front of this problem has more; as ``lower`` where the front is exact.
    reference
        The corner of the box, in the order of the front's objectives; empty where no plan was
        found to place it by.
    """

    lower: float
    upper: float
    reference: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Front:
    """Plans none of which dominates another, and how much of the front they are.

    Parameters
    ----------
    objectives
        Names of the criteria, in the order of the values.
    points
        Kept in lexicographic order of their values, whatever the order given.
    exact
        Whether every non-dominated image of the problem has its point here.
    resolution
        δ by objective where not exact but complete: every image y of the problem has a point
        p ≤ y + δ. ``None`` where exact, or where no such thing is known.
    tolerance
        Images that differ by no more than this share of each value count as one.
    hypervolume
        What is known of the whole front's.
    mips
        Programs solved.
    seconds
        Wall time.
    instance, fingerprint
        Name of the problem and its `edgeplan.instances.plans.fingerprint`.
    complete
        Whether the search came to its end; what it has then is what ``exact`` or ``resolution``
        says.
    message
        In words, what ended the search or what else should be known.

    Raises
    ------
    InputError
        With every fault found: unknown objectives, values that are not finite or too few, points
        that dominate or equal others.
    """

    objectives: tuple[str, ...]
    points: tuple[Point, ...]
    exact: bool
    hypervolume: Hypervolume
    resolution: tuple[float, ...] | None = None
    tolerance: float = TOLERANCE
    mips: int = 0
    seconds: float = 0.0
    instance: str = ""
    fingerprint: str = ""
    complete: bool = True
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(sorted(self.points, key=lambda p: p.values)))
        faults = list(_front_faults(self))
        if faults:
            raise InputError(faults)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The objectives, with their units."""
        return criteria(self.objectives)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in the order of the points."""
        return tuple(point.plan for point in self.points)

    @property
    def values(self) -> tuple[tuple[float, ...], ...]:
        """The images, in the order of the points."""
        return tuple(point.values for point in self.points)
