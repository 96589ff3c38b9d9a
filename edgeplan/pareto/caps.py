"""Upper bounds of columns that have none: the most that can hold them up.

No choice is lost: a column that all else wants small, and that is larger than what holds it up, can
be made smaller. With bounds on all columns, any multipliers prove something (Neumaier,
Shcherbina, Mathematical Programming 99, 2004).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeplan.pareto.program import BoxProgram
from edgeplan.pareto.rows import Floats, Rows

ROOM = 1e-9
"""Relative room above the most that a column needs, for rounding."""


def upper_bounds(program: BoxProgram) -> Floats:
    """Return an upper bound for each column, infinite where none follows.

    Parameters
    ----------
    program
        Rows, bounds and objectives.

    Returns
    -------
    array
        By column; those that have a bound keep it.
    """
    upper = program.upper.copy()
    wanted_small = ~program.integral & (program.criteria >= 0).all(axis=0)
    while True:
        open_ = wanted_small & np.isinf(upper)
        level = _needed(program, upper, open_)
        known = open_ & np.isfinite(level)
        if not known.any():
            return upper
        # A bound may give another column one.
        upper[known] = level[known] + ROOM * np.abs(level[known])


def _needed(program: BoxProgram, upper: Floats, columns: NDArray[np.bool_]) -> Floats:
    """Return the most that rows may hold columns up to, infinite where a row has no end."""
    matrix = program.rows
    low, high = matrix.values * program.lower[matrix.indices], matrix.values * upper[matrix.indices]
    least, most = np.minimum(low, high), np.maximum(low, high)
    side = np.where(matrix.values > 0, program.row_lower[matrix.row], program.row_upper[matrix.row])
    entry = np.flatnonzero(np.isfinite(side) & columns[matrix.indices])
    value = matrix.values[entry]
    others = np.where(value > 0, _but_one(matrix, least)[entry], _but_one(matrix, most)[entry])
    level = program.lower.copy()
    np.maximum.at(level, matrix.indices[entry], (side[entry] - others) / value)
    return level


def _but_one(matrix: Rows, terms: Floats) -> Floats:
    """Return for each entry the sum of the other terms of its row; infinities have one sign."""
    infinite = np.isinf(terms)
    finite = np.where(infinite, 0.0, terms)
    rest = matrix.row_sums(finite)[matrix.row] - finite
    endless = matrix.row_sums(infinite.astype(float))[matrix.row] - infinite > 0
    up = matrix.row_sums(np.where(infinite, np.sign(terms), 0.0))[matrix.row] > 0
    return np.where(endless, np.where(up, np.inf, -np.inf), rest)
