"""What changed from one set of points to another, plan by plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from edgeplan.model.plan import Plan, Route
from edgeplan.pareto import indicators
from edgeplan.pareto.front import TOLERANCE, route_words
from edgeplan.pareto.indicators import Array
from edgeplan.pareto.sets import PointSet

Kind = Literal["other plan", "gone", "new"]
Routes = tuple[Route, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A point that the two sets do not share, or share with other plans.

    Parameters
    ----------
    kind
        ``other plan``: both have the image, each with a plan of its own. ``gone``: only the
        first set has the image; ``new``: only the second.
    first, second
        Number of the point in the first set and in the second. Of an image that only one has,
        the other is the nearest there, with every objective divided by its range; ``None`` where
        there is no point.
    dominated
        Whether a point of the other set dominates it: what is gone and dominated was beaten.
    difference
        Values of the second less those of the first, in SI units; empty where one is missing.
    moved
        For each stream that is served differently, its routes before and after (`route_words`
        has words for them); empty where a plan is not known.
    replicas
        For each device with another number of copies, the numbers before and after; ``None``
        where a plan leaves it to the device.
    """

    kind: Kind
    first: int | None
    second: int | None
    dominated: bool = False
    difference: tuple[float, ...] = ()
    moved: Mapping[str, tuple[Routes, Routes]] = field(default_factory=dict)
    replicas: Mapping[str, tuple[int | None, int | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What changed from the first set of points to the second.

    Parameters
    ----------
    first, second
        Names of the sets.
    objectives
        Keys of the criteria, in the order of the differences.
    same
        How many images both have, with the same plan where both know it.
    items
        Everything else: other plans, then what is gone, then what is new, in the order of the
        points.
    """

    first: str
    second: str
    objectives: tuple[str, ...]
    same: int
    items: tuple[Change, ...]

    def of(self, kind: Kind) -> tuple[Change, ...]:
        """Return the changes of a kind."""
        return tuple(change for change in self.items if change.kind == kind)

    @property
    def streams(self) -> Mapping[str, int]:
        """In how many of the changes each stream is served differently, the most first."""
        counts = Counter(stream for change in self.items for stream in change.moved)
        return dict(counts.most_common())

    def as_json(self, *, details: bool = True) -> dict[str, Any]:
        """Return the changes for machines.

        Parameters
        ----------
        details
            Whether each change is listed, and not just how many.
        """
        tree: dict[str, Any] = {
            "first": self.first,
            "second": self.second,
            "same": self.same,
            "other_plan": len(self.of("other plan")),
            "gone": len(self.of("gone")),
            "new": len(self.of("new")),
            "streams_moved": dict(self.streams),
        }
        if details:
            tree["items"] = [self._item(change) for change in self.items]
        return tree

    def _item(self, change: Change) -> dict[str, Any]:
        return {
            "kind": change.kind,
            "first": change.first,
            "second": change.second,
            "dominated": change.dominated,
            "difference": dict(zip(self.objectives, change.difference, strict=False)),
            "moved": {
                stream: {"before": route_words(before), "after": route_words(after)}
                for stream, (before, after) in change.moved.items()
            },
            "replicas": {
                device: {"before": before, "after": after}
                for device, (before, after) in change.replicas.items()
            },
        }


def find_changes(first: PointSet, second: PointSet, *, tolerance: float = TOLERANCE) -> Changes:
    """Find what changed from one set of points to another.

    Parameters
    ----------
    first, second
        With the same objectives in the same order.
    tolerance
        Values that differ by no more than this share count as equal.
    """
    a, b = indicators.snap([first.array, second.array], tolerance)
    place_in_a, place_in_b = _places(a), _places(b)
    other, same = [], 0
    for row, i in place_in_a.items():
        j = place_in_b.get(row)
        if j is None:
            continue
        change = _change("other plan", first, second, i, j)
        if change.moved or change.replicas:
            other.append(change)
        else:
            same += 1
    gone = [i for i in range(len(a)) if a[i].tobytes() not in place_in_b]
    new = [j for j in range(len(b)) if b[j].tobytes() not in place_in_a]
    to_b, to_a = _nearest(a[gone], b, (a, b)), _nearest(b[new], a, (a, b))
    beaten_in_a = indicators.dominated(a[gone], b)
    beaten_in_b = indicators.dominated(b[new], a)
    items = [
        *other,
        *(
            _change("gone", first, second, i, j, dominated=bool(beaten))
            for i, j, beaten in zip(gone, to_b, beaten_in_a, strict=True)
        ),
        *(
            _change("new", first, second, i, j, dominated=bool(beaten))
            for j, i, beaten in zip(new, to_a, beaten_in_b, strict=True)
        ),
    ]
    return Changes(
        first=first.name,
        second=second.name,
        objectives=tuple(criterion.key for criterion in first.criteria),
        same=same,
        items=tuple(items),
    )


def _places(rows: Array) -> dict[bytes, int]:
    """Return the number of the first point of each image."""
    return {row.tobytes(): index for index, row in reversed(list(enumerate(rows)))}


def _nearest(rows: Array, others: Array, both: Sequence[Array]) -> list[int | None]:
    """Return for each image the number of the nearest of the others."""
    if not len(others) or not len(rows):
        return [None] * len(rows)
    from scipy.spatial import cKDTree

    joined = np.concatenate(list(both))
    ideal, worst = joined.min(axis=0), joined.max(axis=0)
    tree = cKDTree(indicators.normalised(others, ideal, worst))
    _, found = tree.query(indicators.normalised(rows, ideal, worst))
    return [int(index) for index in found]


def _change(
    kind: Kind,
    first: PointSet,
    second: PointSet,
    i: int | None,
    j: int | None,
    *,
    dominated: bool = False,
) -> Change:
    if i is None or j is None:
        return Change(kind=kind, first=i, second=j, dominated=dominated)
    moved: dict[str, tuple[Routes, Routes]] = {}
    replicas: dict[str, tuple[int | None, int | None]] = {}
    if first.plans is not None and second.plans is not None:
        before, after = first.plans[i], second.plans[j]
        moved, replicas = moves(before, after), _replica_changes(before, after)
    return Change(
        kind=kind,
        first=i,
        second=j,
        dominated=dominated,
        difference=tuple(
            new - old for old, new in zip(first.values[i], second.values[j], strict=True)
        ),
        moved=moved,
        replicas=replicas,
    )


def moves(before: Plan, after: Plan) -> dict[str, tuple[Routes, Routes]]:
    """Return for each stream that two plans serve differently its routes, the widest first.

    The order of a stream's routes does not count.

    Parameters
    ----------
    before, after
        The plans. A stream that only one has moves from or to nothing.
    """
    found = {}
    for stream in {**before.routes, **after.routes}:
        old, new = before.routes.get(stream, ()), after.routes.get(stream, ())
        if old == new:
            continue
        old, new = _ordered(old), _ordered(new)
        if len(old) == len(new) == 1 or old != new:
            found[stream] = (old, new)
    return found


def _ordered(routes: Routes) -> Routes:
    if len(routes) < 2:
        return routes
    return tuple(sorted(routes, key=lambda route: (-route.fraction, route.devices, route.batch)))


def _replica_changes(before: Plan, after: Plan) -> dict[str, tuple[int | None, int | None]]:
    return {
        device: (old, new)
        for device in {**before.replicas, **after.replicas}
        if (old := before.replicas.get(device)) != (new := after.replicas.get(device))
    }
