"""What is measured of sets of images, all objectives to be small; the arithmetic is moocore's.

An array has a row for each image and a column for each objective. Sets are not changed, and need
not be free of dominated images unless a function says so.

References: E. Zitzler and others, IEEE Transactions on Evolutionary Computation 7(2), 2003
(hypervolume, ε, coverage); H. Ishibuchi and others, EMO 2015 (IGD+).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import moocore
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ROWS = 256
"""Rows compared with all others at a time: their tables stay in the processor's cache."""


def array(values: Sequence[Sequence[float]], width: int) -> Array:
    """Return images as an array, which has its columns even where there is no image."""
    # Adding 0 makes -0.0 of a file the 0.0 that it equals.
    return np.asarray(values, dtype=float).reshape(len(values), width) + 0.0


def snap(sets: Sequence[Array], tolerance: float) -> list[Array]:
    """Return the sets with values that differ by no more than a share of them made equal.

    Value by value, in ascending order over all sets, one that exceeds the last by at most
    ``tolerance`` × its size takes that one's place. Afterwards images can be compared exactly.

    Parameters
    ----------
    sets
        Arrays with the same columns.
    tolerance
        The share.
    """
    joined = np.concatenate(list(sets)) if sets else np.empty((0, 0))
    for column in joined.T:  # each a view: written in place
        order = np.argsort(column, kind="stable")
        ascending = column[order]
        far = np.diff(ascending) > tolerance * np.abs(ascending[1:])
        first = np.concatenate(([True], far)) if len(ascending) else np.empty(0, dtype=bool)
        column[order] = ascending[first][np.cumsum(first) - 1]
    ends = np.cumsum([len(each) for each in sets])[:-1]
    return [np.asarray(part) for part in np.split(joined, ends)] if sets else []


def nondominated(values: Array, *, equal_too: bool = True) -> Mask:
    """Say of each image whether no other dominates it.

    Parameters
    ----------
    values
        The images.
    equal_too
        Whether of equal images all may stay; else only the first does.
    """
    if not len(values):
        return np.zeros(0, dtype=bool)
    found = moocore.is_nondominated(values, keep_weakly=equal_too)
    return np.asarray(found, dtype=bool)


def hypervolume(values: Array, reference: Sequence[float]) -> float:
    """Return the volume of what the images dominate of {y : y ≤ reference}.

    Images that are not below the reference in every objective add nothing.

    Examples
    --------
    >>> hypervolume(array([(1, 3), (2, 1)], 2), (4, 4))
    7.0
    """
    if not len(values):
        return 0.0
    return float(moocore.hypervolume(values, ref=np.asarray(reference, dtype=float)))


def epsilon_additive(first: Array, second: Array) -> float:
    """Return the least ε with which every image b of the second has an a ≤ b + ε in the first.

    ``inf`` where the first is empty, ``-inf`` where only the second is.

    Examples
    --------
    >>> epsilon_additive(array([(2, 2)], 2), array([(1, 3), (3, 1)], 2))
    1.0
    """
    if not len(first) or not len(second):
        return -math.inf if len(first) else math.inf
    return float(moocore.epsilon_additive(first, ref=second))


def epsilon_multiplicative(first: Array, second: Array) -> float | None:
    """Return the least ε with which every image b of the second has an a ≤ ε × b in the first.

    ``None`` where there are negative values, which have no such thing; ``inf`` where a zero of
    the second can be met by no zero of the first, or the first is empty.

    Examples
    --------
    >>> epsilon_multiplicative(array([(2, 2)], 2), array([(1, 4)], 2))
    2.0
    """
    if min(np.min(first, initial=0.0), np.min(second, initial=0.0)) < 0:
        return None
    if not len(first) or not len(second):
        return 0.0 if len(first) else math.inf
    if first.all() and second.all():
        return float(moocore.epsilon_mult(first, ref=second))
    return _epsilon_with_zeros(first, second)


def _epsilon_with_zeros(first: Array, second: Array) -> float:
    """Return the multiplicative ε where moocore, which divides, has none."""
    most = 0.0
    for start in range(0, len(second), _ROWS):
        rows = second[start : start + _ROWS]
        worst = np.zeros((len(rows), len(first)))
        for a, b in zip(first.T, rows.T, strict=True):
            # Nothing is 0 times nothing; nothing times anything else never reaches a value.
            ratio = np.full(worst.shape, math.inf)
            ratio[:, a == 0] = 0.0
            np.divide(a[None, :], b[:, None], out=ratio, where=b[:, None] > 0)
            np.maximum(worst, ratio, out=worst)
        most = max(most, float(worst.min(axis=1).max()))
    return most


def igd_plus(values: Array, reference: Array) -> float:
    """Return how far the images lie behind those of a reference set, on average over the latter.

    The distance of a reference image r to a set is the least ‖max(y − r, 0)‖ over its images y:
    what is better than r counts nothing.

    Examples
    --------
    >>> igd_plus(array([(2, 2)], 2), array([(1, 3), (3, 1)], 2))
    1.0
    """
    if not len(reference):
        return 0.0
    if not len(values):
        return math.inf
    # Reference images that the set has itself are at no distance: often the most of them.
    own = {row.tobytes() for row in values}
    rest = reference[[row.tobytes() not in own for row in reference]]
    if not len(rest):
        return 0.0
    return float(moocore.igd_plus(values, ref=rest)) * len(rest) / len(reference)


def dominated(second: Array, first: Array) -> Mask:
    """Say of each image of the second set whether one of the first dominates it.

    Equal images do not: compare what `snap` returned where that should have a tolerance.
    """
    alone = nondominated(second)
    mask = np.zeros(len(second), dtype=bool)
    # Within a set free of dominated images only the other set can have dominated anything.
    joined = np.concatenate([second[alone], first])
    mask[alone] = ~nondominated(joined)[: int(alone.sum())]
    for index in np.flatnonzero(~alone):
        below = (first <= second[index]).all(axis=1)
        mask[index] = bool((below & (first < second[index]).any(axis=1)).any())
    return mask


def present(second: Array, first: Array) -> Mask:
    """Say of each image of the second set whether the first has an equal one."""
    own = {row.tobytes() for row in first}
    return np.asarray([row.tobytes() in own for row in second], dtype=bool)


def covered(second: Array, first: Array) -> Mask:
    """Say of each image of the second set whether one of the first is as good everywhere."""
    return np.asarray(dominated(second, first) | present(second, first))


def ranges(sets: Sequence[Array]) -> tuple[Array, Array]:
    """Return the least and the largest value of each objective over the non-dominated images.

    Over the non-dominated images of all sets together: the ideal and the nadir point.

    Raises
    ------
    ValueError
        If there is no image.
    """
    joined = np.concatenate(list(sets))
    best = joined[nondominated(joined)]
    return best.min(axis=0), best.max(axis=0)


def normalised(values: Array, ideal: Array, nadir: Array) -> Array:
    """Return images with the ideal point at 0 and the nadir at 1.

    An objective whose ideal and nadir are the same is only moved.
    """
    span = nadir - ideal
    return np.asarray((values - ideal) / np.where(span > 0, span, 1.0))
