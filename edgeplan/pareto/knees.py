"""Knees: where a front bends, so that a little more of one objective costs much of another.

Two words for it, and a knee always says which:

``hyperplane``
    The point that lies farthest below the hyperplane through the points that are best in one
    objective each (I. Das, Structural Optimization 18, 1999, for two objectives: the distance to
    the line between the ends).
``trade-off rate``
    The point whose worst exchange is dearest: moving to any other point gives up at least that
    much, summed over the objectives that get worse, for each unit that the others gain
    (L. Rachmawati, D. Srinivasan, IEEE Transactions on Evolutionary Computation 13(4), 2009).

Both are of images normalised so that the front's ideal point is 0 and its nadir 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgeplan.pareto.indicators import Array, normalised, ranges

Method = Literal["hyperplane", "trade-off rate"]
METHODS: tuple[Method, ...] = ("hyperplane", "trade-off rate")
_ROWS = 128
_SAMPLE = 250


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
    if method == "trade-off rate":
        index, rate = _dearest(normalised(values, *ranges([values])))
        return Knee(method, index, rate) if math.isfinite(rate) and rate > 1 + 1e-9 else None
    scores = knee_scores(values, method)
    index = int(np.argmax(scores))
    # Rounding may put a point of a straight front below its line.
    if method == "hyperplane" and scores[index] <= 1e-9:
        return None
    return Knee(method, index, float(scores[index]))


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
    return _distances(unit) if method == "hyperplane" else _rates(unit, unit)


def _distances(unit: Array) -> Array:
    """Return the distances below the hyperplane through the ends, towards the ideal point."""
    width = unit.shape[1]
    # The end of an objective: best in it, and of those the best in sum.
    ends = unit[[np.lexsort((unit.sum(axis=1), unit[:, k]))[0] for k in range(width)]]
    # The plane n·y = 1 through the ends. Where they do not span one, or it leans so that less
    # of something would be above it, the plane that gives all objectives the same say.
    normal: Array = np.ones(width)
    if np.linalg.matrix_rank(ends) == width:
        solved = np.linalg.solve(ends, np.ones(width))
        if (solved > 0).all():
            normal = solved
    return np.asarray((1.0 - unit @ normal) / np.linalg.norm(normal))


def _rates(unit: Array, others: Array) -> Array:
    """Return for each image the least loss per gain of moving to one of the others.

    ``inf`` where no move gains anything.
    """
    least = np.full(len(unit), np.inf)
    sums = others.sum(axis=1)
    for start in range(0, len(unit), _ROWS):
        rows = unit[start : start + _ROWS]
        gain = np.zeros((len(rows), len(others)))
        step = np.empty_like(gain)
        for k in range(unit.shape[1]):
            np.subtract(rows[:, k, None], others[None, :, k], out=step)
            np.maximum(step, 0.0, out=step)
            gain += step
        # loss = gain + Σ y_j − Σ y_i; rounding may leave it below the 0 that it is.
        loss = np.subtract(sums[None, :], rows.sum(axis=1)[:, None], out=step)
        loss += gain
        np.maximum(loss, 0.0, out=loss)
        rate = np.full(gain.shape, np.inf)
        np.divide(loss, gain, out=rate, where=gain > 0)
        least[start : start + _ROWS] = rate.min(axis=1)
    return least


def _dearest(unit: Array) -> tuple[int, float]:
    """Return the image with the largest rate, the first of equals, and its rate.

    As the largest of `_rates` over all images; those whose rate is surely less are not looked
    at. What is known of all of them is the rate towards some of the others: it is no less.
    """
    known = _rates(unit, unit[:: max(1, len(unit) // _SAMPLE)])
    best, index = -np.inf, -1
    order = np.argsort(-known, kind="stable")
    for start in range(0, len(order), _ROWS):
        rows = np.sort(order[start : start + _ROWS])
        if known[order[start]] < best:
            break
        rates = _rates(unit[rows], unit)
        here = int(np.argmax(rates))
        if (rates[here], -rows[here]) > (best, -index):
            best, index = float(rates[here]), int(rows[here])
    return index, best
