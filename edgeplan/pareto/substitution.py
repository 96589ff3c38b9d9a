"""Fewer columns and rows for a program in sparse rows, with the same choices and objectives.

Three steps: columns that an equation defines (times, bytes, energies) are replaced by what defines
them; rows that the columns' bounds imply are dropped; columns that all else wants small are tied
to the one column that holds them up, or to 0. Each is done for all columns at once that do not
depend on each other, in one go over the entries, until nothing changes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from edgeplan.pareto.rows import Floats, Rows, Whole

Flags = NDArray[np.bool_]

TINIEST = 1e-12
"""Smaller entries are noise of the substitution."""


class Substitution:
    """row_lower ≤ A x ≤ row_upper and objectives F x + constants, on the way to fewer columns.

    Parameters
    ----------
    matrix
        A.
    row_lower, row_upper
        Per row.
    lower, upper, integral
        Per column.
    criteria
        F, dense: one row per objective.
    constants
        Per objective.
    """

    def __init__(
        self,
        matrix: Rows,
        row_lower: Floats,
        row_upper: Floats,
        lower: Floats,
        upper: Floats,
        integral: Flags,
        criteria: Floats,
        constants: Floats,
    ) -> None:
        self.matrix = matrix
        self.row_lower, self.row_upper = row_lower.copy(), row_upper.copy()
        self.lower, self.upper, self.integral = lower, upper, integral
        self.criteria, self.constants = criteria.copy(), constants.copy()
        self.gone = np.zeros(len(lower), dtype=bool)

    def run(self) -> None:
        """Take all steps, again and again: what is tied may leave an equation that defines."""
        changed = True
        while changed:
            changed = False
            while self._substitute():
                changed = True
            self._drop()
            while self._tie():
                changed = True
        self._drop()

    def _substitute(self) -> bool:
        """Replace columns that an equation defines and whose bounds follow from it."""
        matrix, open_ = self.matrix, ~self.integral & np.isinf(self.upper)
        entry = open_[matrix.indices]
        defines = np.bincount(matrix.row[entry], minlength=len(matrix)) == 1
        defines &= self.row_lower == self.row_upper
        entry &= defines[matrix.row]
        # The first equation of a column defines it; others of it are rows of the rest then.
        column, first = np.unique(matrix.indices[entry], return_index=True)
        equation, factor = matrix.row[entry][first], matrix.values[entry][first]
        constant = self.row_upper[equation] / factor
        terms = matrix.take(equation)
        terms = terms.without(terms.indices == column[terms.row])
        terms = dataclasses.replace(terms, values=-terms.values / factor[terms.row])
        least, _ = self._activity(terms)
        sure = np.flatnonzero(least + constant >= self.lower[column])
        if not len(sure):
            return False
        column, equation, constant = column[sure], equation[sure], constant[sure]
        moved = np.zeros(matrix.width)
        moved[column] = constant
        shift = matrix.times(moved)
        self.row_lower -= shift
        self.row_upper -= shift
        self.constants += self.criteria @ moved
        self._forget(equation)
        self.put(column, terms.take(sure))
        return True

    def put(self, column: Whole, terms: Rows) -> None:
        """Put terms in the place of columns; the terms have none of these columns."""
        self.matrix = self.matrix.replaced(column, terms)
        for criterion in self.criteria:
            share = criterion[column]
            criterion[column] = 0.0
            criterion += terms.weighted_sum(share)
        self.gone[column] = True

    def _forget(self, rows: Whole) -> None:
        """Take rows out of the program."""
        kept = np.ones(len(self.matrix), dtype=bool)
        kept[rows] = False
        self._keep(kept)

    def _keep(self, kept: Flags) -> None:
        self.matrix = self.matrix.take(np.flatnonzero(kept))
        self.row_lower, self.row_upper = self.row_lower[kept], self.row_upper[kept]

    def _drop(self) -> None:
        """Drop rows that the columns' bounds imply, and entries that are noise."""
        self.matrix = self.matrix.without(np.abs(self.matrix.values) <= TINIEST)
        low, high = self._activity(self.matrix)
        self._keep((low < self.row_lower) | (high > self.row_upper))

    def _activity(self, matrix: Rows) -> tuple[Floats, Floats]:
        """Return the least and the most that the terms of rows may add up to."""
        low = matrix.values * self.lower[matrix.indices]
        high = matrix.values * self.upper[matrix.indices]
        least, most = np.minimum(low, high), np.maximum(low, high)
        return matrix.row_sums(least), matrix.row_sums(most)

    def _tie(self) -> bool:
        """Set columns that all else wants small to the one column that holds them up, or to 0."""
        matrix = self.matrix
        row, column, value = matrix.row, matrix.indices, matrix.values
        size = matrix.width
        may = ~self.integral & ~self.gone & (self.criteria >= 0).all(axis=0)
        # A row holds a column up where it may forbid that the column is smaller.
        side = np.where(value > 0, self.row_lower[row], self.row_upper[row])
        holding = np.isfinite(side)
        holders = np.bincount(column[holding], minlength=size)
        free = np.flatnonzero(may & (holders == 0) & (self.lower == 0))
        if len(free):
            nothing = Rows(
                np.zeros(len(free) + 1, dtype=np.int32), np.zeros(0, np.int32), np.zeros(0), size
            )
            self.put(free, nothing)
            return True
        # … one row, of two columns, without limits of its own, and one-sided.
        both = np.isfinite(self.row_lower) & np.isfinite(self.row_upper)
        paired = (np.diff(matrix.starts) == 2) & ~both
        entry = np.flatnonzero(holding & (may & (holders == 1))[column] & paired[row] & (side == 0))
        start = matrix.starts[row[entry]]
        partner = np.where(start == entry, start + 1, start)
        tied, other = column[entry], column[partner]
        ratio = -value[partner] / value[entry]
        sure = (
            (ratio > 0)
            & (self.lower[tied] <= ratio * self.lower[other])
            & (self.upper[tied] >= ratio * self.upper[other])
        )
        # What holds one up must not be tied itself in the same product.
        sure &= ~np.isin(other, tied[sure])
        if not sure.any():
            return False
        entry, tied, other, ratio = entry[sure], tied[sure], other[sure], ratio[sure]
        self._forget(row[entry])
        starts = np.arange(len(tied) + 1, dtype=np.int32)
        self.put(tied, Rows(starts, other.astype(np.int32), ratio, size))
        return True
