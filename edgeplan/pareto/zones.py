"""The search region of a minimisation with several objectives, as its local upper bounds.

A *zone* u stands for {y : y < u in every component}. The region that no known point dominates
weakly is the union of the zones of all local upper bounds, and a zone that is a part of another
is not among them. Each zone knows its *defining points*: for component k those points y with
y_k = u_k and y_j < u_j for all other j, which is how a zone is told from a redundant one without
comparing it with all others.

References
----------
Klamroth, Lacour, Vanderpooten: On the representation of the search region in multi-objective
optimization, EJOR 245 (2015), algorithm 5 (update with several defining points a component, which
needs no general position). Dächert, Klamroth, Lacour, Vanderpooten: Efficient computation of the
search region in multi-objective optimization, EJOR 260 (2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, ...]

_FIRST_ROOM = 64


@dataclass(frozen=True)
class Zone:
    """A local upper bound.

    Parameters
    ----------
    index
        Number of the zone, never used twice by one `Zones`.
    upper
        u: the zone is what is below it in every component.
    defining
        For each component the indices of the points that define it; empty where it is ``inf``.
    """

    index: int
    upper: Vector
    defining: tuple[tuple[int, ...], ...]


class Zones:
    """The local upper bounds of the points added so far.

    Parameters
    ----------
    dimension
        Number of objectives, at least 2.
    start
        Upper bound of the region in the beginning; ``inf`` in every component if absent.

    Examples
    --------
    >>> zones = Zones(2)
    >>> added = zones.add((1.0, 2.0))
    >>> sorted(zone.upper for zone in zones)
    [(1.0, inf), (inf, 2.0)]
    >>> added = zones.add((2.0, 1.0))
    >>> sorted(zone.upper for zone in zones)
    [(1.0, inf), (2.0, 2.0), (inf, 1.0)]
    """

    def __init__(self, dimension: int, start: Vector | None = None) -> None:
        if dimension < 2:
            raise ValueError("zones need at least two objectives")
        self.dimension = dimension
        self.points: list[Vector] = []
        self._zones: dict[int, Zone] = {}
        self._next = 0
        # The upper bounds as rows, for one comparison with all; `_rows` says whose they are.
        self._upper: NDArray[np.float64] = np.full((_FIRST_ROOM, dimension), -math.inf)
        self._rows: list[int] = []
        self._row: dict[int, int] = {}
        outermost = start or (math.inf,) * dimension
        self._keep(outermost, ((),) * dimension)

    def __len__(self) -> int:
        return len(self._zones)

    def __iter__(self) -> Iterator[Zone]:
        return iter(list(self._zones.values()))

    def __contains__(self, index: object) -> bool:
        return index in self._zones

    def __getitem__(self, index: int) -> Zone:
        return self._zones[index]

    def containing(self, values: Sequence[float]) -> list[Zone]:
        """Return the zones that a vector lies in."""
        rows = self._upper[: len(self._rows)]
        inside = np.flatnonzero((rows > np.asarray(values)).all(axis=1))
        return [self._zones[self._rows[row]] for row in inside]

    def within(self, corner: Sequence[float], less: Sequence[float] | None = None) -> list[Zone]:
        """Return the zones that are parts of the zone of a corner.

        Parameters
        ----------
        corner
            Its upper bound.
        less
            What is taken from the zones' upper bounds first; nothing if absent.
        """
        rows = self._upper[: len(self._rows)]
        if less is not None:
            rows = rows - np.asarray(less)
        inside = np.flatnonzero((rows <= np.asarray(corner)).all(axis=1))
        return [self._zones[self._rows[row]] for row in inside]

    def close(self, index: int) -> None:
        """Take out a zone in which there is nothing to be found."""
        self._drop(index)

    def add(self, values: Sequence[float]) -> list[Zone]:
        """Take a point's domain out of the region.

        Parameters
        ----------
        values
            A point: any that lies in no zone changes nothing but the defining points.

        Returns
        -------
        list of Zone
            The new zones.
        """
        y = tuple(float(value) for value in values)
        point = len(self.points)
        self.points.append(y)
        split = self.containing(y)
        self._define(y, point)
        fresh = []
        for zone in split:
            self._drop(zone.index)
            for j in range(self.dimension):
                defining = tuple(
                    (point,) if k == j else self._below(zone.defining[k], j, y[j])
                    for k in range(self.dimension)
                )
                # A finite component that no point defines any more: part of another zone.
                if all(
                    found or math.isinf(zone.upper[k]) or k == j or not zone.defining[k]
                    for k, found in enumerate(defining)
                ):
                    upper = (*zone.upper[:j], y[j], *zone.upper[j + 1 :])
                    fresh.append(self._keep(upper, defining))
        return fresh

    def _below(self, points: tuple[int, ...], j: int, limit: float) -> tuple[int, ...]:
        return tuple(index for index in points if self.points[index][j] < limit)

    def _define(self, y: Vector, point: int) -> None:
        """Note the point where it lies in the face of a zone and so defines it too."""
        rows = self._upper[: len(self._rows)]
        value = np.asarray(y)
        equal, less = rows == value, rows > value
        touching = (equal.sum(axis=1) == 1) & ((equal | less).all(axis=1))
        for row in np.flatnonzero(touching):
            zone = self._zones[self._rows[row]]
            k = int(np.flatnonzero(equal[row])[0])
            defining = (*zone.defining[:k], (*zone.defining[k], point), *zone.defining[k + 1 :])
            self._zones[zone.index] = Zone(zone.index, zone.upper, defining)

    def _keep(self, upper: Vector, defining: tuple[tuple[int, ...], ...]) -> Zone:
        zone = Zone(self._next, upper, defining)
        self._next += 1
        row = len(self._rows)
        if row == len(self._upper):
            more = np.full_like(self._upper, -math.inf)
            self._upper = np.concatenate([self._upper, more])
        self._upper[row] = upper
        self._rows.append(zone.index)
        self._row[zone.index] = row
        self._zones[zone.index] = zone
        return zone

    def _drop(self, index: int) -> None:
        """Take a zone out; the last row takes its place."""
        row, last = self._row.pop(index), len(self._rows) - 1
        if row != last:
            self._upper[row] = self._upper[last]
            self._rows[row] = self._rows[last]
            self._row[self._rows[row]] = row
        self._upper[last] = -math.inf
        self._rows.pop()
        del self._zones[index]
