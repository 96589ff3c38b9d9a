"""Fewer columns and rows for a program in sparse rows, with the same choices and objectives.

Three steps: columns that an equation defines (times, bytes, energies) are replaced by what defines
them; rows that the columns' bounds imply are dropped; columns that all else wants small are tied
to the one column that holds them up, or to 0. Each is done for all columns at once that do not
depend on each other, by one product of sparse matrices, until nothing changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Flags = NDArray[np.bool_]

TINIEST = 1e-12
"""Smaller entries are noise of the substitution."""


class Substitution:
    """row_lower ≤ A x ≤ row_upper and objectives F x + constants, on the way to fewer columns.

    Parameters
    ----------
    matrix
        A, sparse, one row per row.
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
        matrix: sparse.csr_array,
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
        """Take all steps."""
        while self._substitute():
            pass
        self._drop()
        while self._tie():
            pass
        self._drop()

    def _substitute(self) -> bool:
        """Replace columns that an equation defines and whose bounds follow from it."""
        matrix, open_ = self.matrix, ~self.integral & np.isinf(self.upper)
        row = _row_of(matrix)
        entry = open_[matrix.indices]
        defines = np.bincount(row[entry], minlength=matrix.shape[0]) == 1
        defines &= self.row_lower == self.row_upper
        entry &= defines[row]
        # The first equation of a column defines it; others of it are rows of the rest then.
        column, first = np.unique(matrix.indices[entry], return_index=True)
        equation, factor = row[entry][first], matrix.data[entry][first]
        constant = self.row_upper[equation] / factor
        terms = matrix[equation]
        terms.data = terms.data / np.repeat(-factor, np.diff(terms.indptr))
        terms.data[terms.indices == np.repeat(column, np.diff(terms.indptr))] = 0.0
        terms.eliminate_zeros()
        least, _ = self._activity(terms)
        sure = least + constant >= self.lower[column]
        column, equation, constant, terms = (
            column[sure],
            equation[sure],
            constant[sure],
            terms[np.flatnonzero(sure)],
        )
        if not len(column):
            return False
        moved = np.zeros(len(self.lower))
        moved[column] = constant
        self.row_lower -= matrix @ moved
        self.row_upper -= matrix @ moved
        self.constants += self.criteria @ moved
        self._forget(equation)
        self._put(column, terms)
        return True

    def _put(self, column: Whole, terms: sparse.csr_array) -> None:
        """Put terms in the place of columns; the terms have none of these columns."""
        size = len(self.lower)
        stays = np.ones(size)
        stays[column] = 0.0
        place = sparse.csr_array(
            (np.ones(len(column)), (column, np.arange(len(column)))), shape=(size, len(column))
        )
        change = sparse.csr_array(sparse.diags_array(stays) + place @ terms)
        self.matrix = sparse.csr_array(self.matrix @ change)
        self.matrix.eliminate_zeros()
        self.matrix.sort_indices()
        self.criteria = np.asarray(self.criteria @ change)
        self.gone[column] = True

    def _forget(self, rows: Whole) -> None:
        """Take rows out of the program."""
        kept = np.ones(self.matrix.shape[0], dtype=bool)
        kept[rows] = False
        self._keep(kept)

    def _keep(self, kept: Flags) -> None:
        self.matrix = self.matrix[np.flatnonzero(kept)]
        self.row_lower, self.row_upper = self.row_lower[kept], self.row_upper[kept]

    def _drop(self) -> None:
        """Drop rows that the columns' bounds imply, and entries that are noise."""
        self.matrix.data[np.abs(self.matrix.data) <= TINIEST] = 0.0
        self.matrix.eliminate_zeros()
        low, high = self._activity(self.matrix)
        self._keep((low < self.row_lower) | (high > self.row_upper))

    def _activity(self, matrix: sparse.csr_array) -> tuple[Floats, Floats]:
        """Return the least and the most that the terms of rows may add up to."""
        row, count = _row_of(matrix), matrix.shape[0]
        ends = matrix.data * self.lower[matrix.indices], matrix.data * self.upper[matrix.indices]
        low = np.bincount(row, weights=np.minimum(*ends), minlength=count)
        high = np.bincount(row, weights=np.maximum(*ends), minlength=count)
        return low.astype(float), high.astype(float)  # whole where there is no entry

    def _tie(self) -> bool:
        """Set columns that all else wants small to the one column that holds them up, or to 0."""
        matrix = self.matrix
        row, column, value = _row_of(matrix), matrix.indices, matrix.data
        size = len(self.lower)
        may = ~self.integral & ~self.gone & (self.criteria >= 0).all(axis=0)
        # A row holds a column up where it may forbid that the column is smaller.
        side = np.where(value > 0, self.row_lower[row], self.row_upper[row])
        holding = np.isfinite(side)
        holders = np.bincount(column[holding], minlength=size)
        free = np.flatnonzero(may & (holders == 0) & (self.lower == 0))
        if len(free):
            self._put(free, sparse.csr_array((len(free), size)))
            return True
        # … one row, of two columns, without limits of its own, and one-sided.
        both = np.isfinite(self.row_lower) & np.isfinite(self.row_upper)
        paired = (np.diff(matrix.indptr) == 2) & ~both
        entry = np.flatnonzero(holding & (may & (holders == 1))[column] & paired[row] & (side == 0))
        start = matrix.indptr[row[entry]]
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
        terms = sparse.csr_array((ratio, (np.arange(len(tied)), other)), shape=(len(tied), size))
        self._forget(row[entry])
        self._put(tied, terms)
        return True


def _row_of(matrix: Any) -> Whole:
    """Return the row of each entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def sparse_rows(
    starts: NDArray[np.int32], indices: NDArray[np.int32], values: Floats, columns: int
) -> sparse.csr_array:
    """Return rows of entries as a sparse matrix."""
    return sparse.csr_array((values, indices, starts), shape=(len(starts) - 1, columns))
