"""A sparse matrix by rows, with the few operations that box programs need.

On NumPy alone: where Pyomo has been imported, importing ``scipy.sparse`` takes most of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.integer]


@dataclass(frozen=True)
class Rows:
    """A sparse matrix by rows.

    Parameters
    ----------
    starts
        Where each row begins in the entries, and where the last one ends.
    indices, values
        Column and coefficient of each entry; none is 0, no place comes twice.
    width
        Number of columns.
    """

    starts: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: Floats
    width: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def row(self) -> Whole:
        """The row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def times(self, vector: Floats) -> Floats:
        """Return the product with a vector, one number per column: one number per row."""
        return self.row_sums(self.values * vector[self.indices])

    def weighted_sum(self, weights: Floats) -> Floats:
        """Return the rows' sum with a weight for each: one number per column."""
        each = weights[self.row] * self.values
        total = np.bincount(self.indices, weights=each, minlength=self.width)
        return total.astype(float)  # whole where there is no entry

    def row_sums(self, numbers: Floats) -> Floats:
        """Return the sums by row of one number per entry."""
        total = np.bincount(self.row, weights=numbers, minlength=len(self))
        return total.astype(float)  # as above

    def largest(self) -> Floats:
        """Return the largest absolute value of each row, 0 where it is empty."""
        found = np.zeros(len(self))
        there = np.diff(self.starts) > 0
        if there.any():
            found[there] = np.maximum.reduceat(np.abs(self.values), self.starts[:-1][there])
        return found

    def take(self, rows: Whole) -> Rows:
        """Return some of the rows, in the order asked for."""
        counts = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(counts)])
        entries = np.repeat(self.starts[rows] - starts[:-1], counts) + np.arange(starts[-1])
        return Rows(
            starts.astype(np.int32), self.indices[entries], self.values[entries], self.width
        )

    def without(self, entries: NDArray[np.bool_]) -> Rows:
        """Return the matrix without some entries."""
        counts = np.bincount(self.row[~entries], minlength=len(self))
        return Rows(
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            self.indices[~entries],
            self.values[~entries],
            self.width,
        )

    def replaced(self, columns: Whole, terms: Rows) -> Rows:
        """Return the matrix with terms in the place of columns.

        Parameters
        ----------
        columns
            What is replaced, each once.
        terms
            For each of them a row: the column is this sum of others.
        """
        which = np.full(self.width, -1)
        which[columns] = np.arange(len(columns))
        which = which[self.indices]
        gone = np.flatnonzero(which >= 0)
        if not len(gone):
            return self
        there = terms.take(which[gone])
        counts = np.diff(there.starts)
        row = np.concatenate([self.row[which < 0], np.repeat(self.row[gone], counts)])
        indices = np.concatenate([self.indices[which < 0], there.indices])
        values = np.concatenate(
            [self.values[which < 0], there.values * np.repeat(self.values[gone], counts)]
        )
        return added_up(row, indices, values, len(self), self.width)

    def and_dense(self, rows: Floats) -> Rows:
        """Return the matrix with dense rows below it."""
        there = rows != 0
        ends = self.starts[-1] + np.cumsum(there.sum(axis=1))
        return Rows(
            np.concatenate([self.starts, ends]).astype(np.int32),
            np.concatenate([self.indices, np.nonzero(there)[1]]).astype(np.int32),
            np.concatenate([self.values, rows[there]]),
            self.width,
        )


def added_up(row: Whole, column: Whole, value: Floats, height: int, width: int) -> Rows:
    """Return entries in any order as a matrix; those of one place are added up."""
    key = row * width + column
    order = np.argsort(key, kind="stable")
    key, value = key[order], value[order]
    fresh = np.ones(len(key), dtype=bool)
    fresh[1:] = key[1:] != key[:-1]
    if len(key):
        value = np.add.reduceat(value, np.flatnonzero(fresh))
    key = key[fresh]
    used = value != 0
    key, value = key[used], value[used]
    starts = np.searchsorted(key, np.arange(height + 1) * width)
    return Rows(starts.astype(np.int32), (key % width).astype(np.int32), value, width)
