"""Knees: where a front bends, so that a little more of one objective costs much of another.

Two words for it, and a knee always says which:

``hyperplane``
    The point that lies farthest below the hyperplane through the points that are best in one
    objective each (I. Das, Structural Optimization 18, 1999, for two objectives: the distance to
    the line between the ends).
``trade-off rate``
    The point whose cheapest exchange is dearest: moving to any point near it gives up at least
    that much, summed over the objectives that get worse, for each unit that the others gain
    (L. Rachmawati, D. Srinivasan, IEEE Transactions on Evolutionary Computation 13(4), 2009,
    there over all points: with two objectives that could only ever be the hyperplane's knee).
    Near are the nearest tenth of the front's points, at least 16 and at most 64.

The first looks at the front as a whole, the second for the sharpest bend anywhere. Both are of
images normalised so that the front's ideal point is 0 and its nadir 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeplan.pareto.indicators import Array, normalised, ranges

Method = Literal["hyperplane", "trade-off rate"]
METHODS: tuple[Method, ...] = ("hyperplane", "trade-off rate")
FLAT: Mapping[Method, float] = {"hyperplane": 1e-9, "trade-off rate": 1 + 1e-9}
"""Scores up to which there is no knee: those of a straight front, and its rounding."""
_LEAST_NEAR, _MOST_NEAR = 16, 64


@dataclass(frozen=True)
class Knee:
    """A knee of a set of images.

    Parameters
    ----------
    method
        What is meant by it; see the module.
    index
        Row of the image.
    score
        The normalised distance below the hyperplane, or the trade-off rate.
    """

    method: Method
    index: int
    score: float


def find_knee(values: Array, method: Method) -> Knee | None:
    """Return the knee of a set of images, the first of equals.

    Parameters
    ----------
    values
        A row for each image, a column for each objective; none dominates another.
    method
        What is meant by a knee.

    Returns
    -------
    Knee or None
        ``None`` where nothing bends: fewer than three images, none below the hyperplane, or some
        move from each that loses no more than it gains.
    """
    if len(values) < 3 or values.shape[1] < 2:
        return None
    scores = knee_scores(values, method)
    index = int(np.argmax(scores))
    bends = FLAT[method] < scores[index] < np.inf
    return Knee(method, index, float(scores[index])) if bends else None


def knee_scores(values: Array, method: Method) -> Array:
    """Return how much of a knee each image is; see the module.

    Parameters
    ----------
    values
        A row for each image, a column for each objective; none dominates another.
    method
        What is meant by a knee.

    Returns
    -------
    array
        ``hyperplane``: distances below the hyperplane, negative above it. ``trade-off rate``:
        the least rates; ``inf`` where there is no move.
    """
    if not len(values):
        return np.empty(0)
    unit = normalised(values, *ranges([values]))
    return _distances(unit) if method == "hyperplane" else _rates(unit)


def _distances(unit: Array) -> Array:
    """Return the distances below the hyperplane through the ends, towards the ideal point."""
    width = unit.shape[1]
    # The end of an objective: best in it, and of those the best in sum.
    ends = unit[[np.lexsort((unit.sum(axis=1), unit[:, k]))[0] for k in range(width)]]
    # The plane n·y = 1 through the ends. Where they do not span one, or it leans so that less
    # of something would be above it, the plane that gives all objectives the same say.
    normal: Array = np.ones(width)
    if np.linalg.matrix_rank(ends) == width:
        solved = np.linalg.solve(ends, normal)
        normal = np.where((solved > 0).all(), solved, normal)
    return np.asarray((1.0 - unit @ normal) / np.linalg.norm(normal))


def _rates(unit: Array) -> Array:
    """Return for each image the least loss per gain of moving to another near it.

    ``inf`` where no move gains anything.
    """
    from scipy.spatial import cKDTree

    near = min(len(unit), 1 + max(_LEAST_NEAR, min(_MOST_NEAR, len(unit) // 10)))
    _, neighbours = cKDTree(unit).query(unit, k=[*range(1, near + 1)])
    gain, loss = np.zeros(neighbours.shape), np.zeros(neighbours.shape)
    for column in unit.T:
        step = column[neighbours] - column[:, None]
        loss += np.maximum(step, 0.0)
        gain -= np.minimum(step, 0.0)
    # The image itself is no move, nor is one to an equal image.
    rate = np.full(gain.shape, np.inf)
    np.divide(loss, gain, out=rate, where=gain > 0)
    return np.asarray(rate.min(axis=1))
