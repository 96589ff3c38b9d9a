"""The program of boxes in whole numbers: every plan of a box is a solution of it.

Columns that are choices keep their values 0 and 1. Totals that are no choices (the period, times
of senders, peaks of memory) are wanted small by all else, so that each has a largest value that it
ever needs. They are counted in small steps, rounded down; where several meet in a row, those that
are the largest of numbers known beforehand become 0/1 columns for their levels, each worth the
step from the level below. Coefficients are rounded down and limits relaxed; where all numbers of a
row are multiples of one, nothing is rounded.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import InputError
from edgeplan.pareto.program import BoxProgram, step
from edgeplan.pareto.rows import Floats, Rows, added_up
from edgeplan.pareto.substitution import Substitution
from edgeplan.solvers.cpsat.zero_one import SLACK

EDGE = 1e-11
"""Share by which limits of objectives are relaxed: more than rounding in building the program."""
SUM_BITS = 56
"""Sums stay below 2^56, far from the solver's overflow."""
TOTAL_BITS = 42
"""Totals are counted in about 2^-42 of their largest value."""


@dataclass(frozen=True)
class WholeRow:
    """lower ≤ Σ factors · columns ≤ upper, in whole numbers; ``None`` for no limit."""

    columns: list[int]
    factors: list[int]
    lower: int | None
    upper: int | None


@dataclass(frozen=True)
class _Side:
    """One side of a row, Σ values · columns ≤ limit; the total in it, and whether it is held up."""

    columns: NDArray[np.int32]
    values: Floats
    limit: float
    total: int | None
    held: bool


class WholeProgram:
    """A program of boxes in whole numbers.

    Parameters
    ----------
    program
        Of a problem without fractions.

    Attributes
    ----------
    sizes
        What 1 of each column stands for.
    upper
        The largest value of each column; the least is 0.
    rows
        What holds in every box.

    Raises
    ------
    InputError
        If it has a column that is neither 0/1 nor a total that all else wants small.
    """

    def __init__(self, program: BoxProgram) -> None:
        choices = program.upper[np.isfinite(program.upper)]
        if (choices > 1).any() or (program.lower != 0).any():
            raise _not_whole("a column is neither 0/1 nor a total")
        self.program = program = levelled(program)
        self.total = np.isinf(program.upper)
        if (program.criteria[:, self.total] < 0).any():
            raise _not_whole("an objective wants a total large")
        self.rows: list[WholeRow] = []
        sides = list(self._sides())
        most = np.ones(len(program.upper))
        for side in sides:
            if side.held:
                own = side.columns == side.total
                needed = np.maximum(side.values[~own], 0.0).sum() - side.limit
                most[side.total] = max(most[side.total], needed / -side.values[own][0])
        # A power of two changes no digit.
        exponents = np.frexp(most)[1] - TOTAL_BITS
        self.sizes = np.where(self.total, np.ldexp(1.0, exponents), 1.0)
        ends = np.where(self.total, np.ceil(most / self.sizes), program.upper)
        self.upper: list[int] = ends.astype(np.int64).tolist()
        self.rows += [self._rounded(side, SLACK) for side in sides]

    def limit(self, k: int, limit: float) -> WholeRow:
        """Return the row that keeps an objective at most at a limit, in SI units."""
        row, limit = self.program.criteria[k], limit - float(self.program.offsets[k])
        columns = np.flatnonzero(row).astype(np.int32)
        if unit := float(self.program.steps[k]):
            factors = np.rint(row[columns] / unit).astype(np.int64)
            return WholeRow(
                columns.tolist(), factors.tolist(), None, math.floor(limit / unit * (1 + EDGE))
            )
        return self._rounded(self._side(columns, row[columns], limit), EDGE)

    def cost(self, weights: Floats) -> tuple[WholeRow, float]:
        """Return the weighted sum of the objectives as a row, and what 1 of it is worth."""
        cost = weights @ self.program.criteria
        columns = np.flatnonzero(cost).astype(np.int32)
        values = cost[columns]
        unit = 0.0
        if len(columns) and not self.total[columns].any():
            # Steps that outweigh each other are whole numbers in units of the least.
            least = float(np.abs(values).min())
            unit = least * step(values / least, np.ones(len(values), dtype=bool))
            if np.abs(values).sum() >= math.ldexp(unit, SUM_BITS):
                unit = 0.0
        factors = np.rint(values / unit) if unit else values
        if not unit:
            values = values * self.sizes[columns]
            unit = self._unit(columns, values)
            factors = np.floor(values / unit)
        factors = factors.astype(np.int64)
        return WholeRow(columns.tolist(), factors.tolist(), None, None), unit

    def _sides(self) -> Iterator[_Side]:
        """Yield the sides of rows that are to be rounded; keep the others as they are."""
        program = self.program
        for columns, values, lower, upper in _each(program):
            if self._as_it_is(columns, values, lower, upper):
                continue
            if lower == upper:
                raise _not_whole("an equation of broken numbers")
            for sign, end in ((1.0, upper), (-1.0, -lower)):
                if math.isfinite(end):
                    yield self._side(columns, sign * values, end)

    def _as_it_is(
        self, columns: NDArray[np.int32], values: Floats, lower: float, upper: float
    ) -> bool:
        """Keep a row of choices whose numbers are multiples of one; say whether it is such."""
        unit = step(values, ~self.total[columns])
        if not unit:
            return False
        ends = [end / unit for end in (lower, upper)]
        if any(math.isfinite(end) and abs(end - round(end)) > 1e-9 for end in ends):
            return False
        low, high = (round(end) if math.isfinite(end) else None for end in ends)
        factors = np.rint(values / unit).astype(np.int64)
        self.rows.append(WholeRow(columns.tolist(), factors.tolist(), low, high))
        return True

    def _side(self, columns: NDArray[np.int32], values: Floats, limit: float) -> _Side:
        totals = np.flatnonzero(self.total[columns])
        if len(totals) > 1:
            raise _not_whole("several totals meet in a row")
        if not len(totals):
            return _Side(columns, values, limit, None, held=False)
        (at,) = totals.tolist()
        return _Side(columns, values, limit, int(columns[at]), held=bool(values[at] < 0))

    def _rounded(self, side: _Side, slack: float) -> WholeRow:
        """Return a side with coefficients rounded down and its limit relaxed."""
        values = side.values * self.sizes[side.columns]
        unit = self._unit(side.columns, values, side.limit)
        # A total that is held up is less than one step more than its count.
        more = -float(values[side.columns == side.total].sum()) if side.held else 0.0
        most = side.limit + slack * abs(side.limit) + more
        return WholeRow(
            side.columns.tolist(),
            np.floor(values / unit).astype(np.int64).tolist(),
            None,
            math.floor(most / unit),
        )

    def _unit(self, columns: NDArray[np.int32], values: Floats, limit: float = 0.0) -> float:
        """Return what the numbers of a row are counted in: its sums stay below 2^`SUM_BITS`.

        The coefficient of a total, small since the total is counted in small steps, is a multiple
        of it: rounded, it would be far off.
        """
        ends = np.array([self.upper[column] for column in columns.tolist()], dtype=float)
        total = float(np.abs(values) @ ends) + abs(limit)
        unit = math.ldexp(1.0, math.frexp(total or 1.0)[1] - SUM_BITS)
        for counted in np.abs(values[self.total[columns]]).tolist():
            return float(counted / max(1, math.floor(counted / unit)))
        return unit


def levelled(program: BoxProgram) -> BoxProgram:
    """Return a program in which no two totals meet in a row, where that can be.

    Totals that are the largest of several numbers are replaced by their levels, and what an
    equation then defines by them too. The columns of the program stay, further ones follow.
    """
    total = np.isinf(program.upper)
    meets = total[program.rows.indices]
    meets &= (program.rows.row_sums(meets.astype(float)) > 1)[program.rows.row]
    if not meets.any():
        return program
    largest = _Largest(program, set(program.rows.indices[meets].tolist()))
    width = len(program.lower) + largest.count
    added = np.zeros(largest.count)
    whole = np.concatenate([program.integral, np.ones(largest.count, dtype=bool)])
    row, column, value = (np.array(numbers) for numbers in zip(*largest.entries, strict=True))
    smaller = Substitution(
        added_up(row.astype(np.int64), column.astype(np.int64), value, largest.height, width),
        np.concatenate([program.row_lower, np.full(largest.height - len(program.rows), -math.inf)]),
        np.concatenate([program.row_upper, np.zeros(largest.height - len(program.rows))]),
        np.concatenate([program.lower, added]),
        np.concatenate([program.upper, added + 1]),
        whole,
        np.pad(program.criteria, ((0, 0), (0, largest.count))),
        program.offsets,
    )
    smaller.put(np.array(largest.columns, dtype=np.int64), largest.terms(width))
    smaller.run()
    return dataclasses.replace(
        program,
        lower=smaller.lower,
        upper=np.where(smaller.gone, 0.0, smaller.upper),
        integral=whole,
        rows=smaller.matrix,
        row_lower=smaller.row_lower,
        row_upper=smaller.row_upper,
        criteria=smaller.criteria,
        offsets=smaller.constants,
    )


class _Largest:
    """Which of a program's totals are the largest of known numbers, and their levels."""

    def __init__(self, program: BoxProgram, asked: set[int]) -> None:
        self.columns: list[int] = []
        self.entries: list[tuple[int, int, float]] = []
        self.count = 0
        self.height = len(program.rows)
        self._levels: list[list[tuple[int, float]]] = []
        total = np.isinf(program.upper)
        candidates: dict[int, dict[int, float]] = {column: {} for column in asked}
        free: set[int] = set()
        for index, (columns, values, lower, upper) in enumerate(_each(program)):
            self.entries += [
                (index, c, v) for c, v in zip(columns.tolist(), values.tolist(), strict=True)
            ]
            if lower == upper:
                # It says what the one total is that has its sign for itself; it gives the others
                # no least value. One that nothing else gives one either is 0.
                for sign in (1.0, -1.0):
                    if np.count_nonzero(sign * values > 0) == 1 < np.count_nonzero(values) - 1:
                        free.update(columns[total[columns] & (sign * values < 0)].tolist())
                continue
            for at in np.flatnonzero(total[columns]).tolist():
                column, factor = int(columns[at]), float(values[at])
                limit = lower if factor > 0 else upper
                if column not in candidates or not math.isfinite(limit):
                    continue
                shares = -values / factor
                others = np.arange(len(columns)) != at
                if total[columns[others]].any() or limit != 0 or (shares[others] < 0).any():
                    del candidates[column]  # more than the largest of numbers
                    continue
                for c, share in zip(columns[others].tolist(), shares[others].tolist(), strict=True):
                    numbers = candidates[column]
                    numbers[c] = max(numbers.get(c, 0.0), share)
        first = len(program.lower)
        for column, numbers in candidates.items():
            if not numbers and column not in free:
                continue
            heights = sorted(set(numbers.values()))
            level = {value: first + self.count + k for k, value in enumerate(heights)}
            self.count += len(heights)
            self.columns.append(column)
            self._levels.append(
                [(level[high], high - low) for low, high in itertools.pairwise([0.0, *heights])]
            )
            for low, high in itertools.pairwise(heights):
                self._at_most(level[high], level[low])
            for choice, value in numbers.items():
                self._at_most(choice, level[value])

    def _at_most(self, one: int, other: int) -> None:
        """Add the row that one column is at most another."""
        self.entries += [(self.height, one, 1.0), (self.height, other, -1.0)]
        self.height += 1

    def terms(self, width: int) -> Rows:
        """Return what each total is the sum of."""
        counts = [len(levels) for levels in self._levels]
        flat = [pair for levels in self._levels for pair in levels]
        return Rows(
            np.cumsum([0, *counts]).astype(np.int32),
            np.array([column for column, _ in flat], dtype=np.int32),
            np.array([value for _, value in flat], dtype=float),
            width,
        )


def _each(program: BoxProgram) -> Iterator[tuple[NDArray[np.int32], Floats, float, float]]:
    """Yield columns, coefficients and limits of each row."""
    rows = program.rows
    for index in range(len(rows)):
        entries = slice(rows.starts[index], rows.starts[index + 1])
        lower, upper = float(program.row_lower[index]), float(program.row_upper[index])
        yield rows.indices[entries], rows.values[entries], lower, upper


def _not_whole(why: str) -> InputError:
    return InputError.at("solver", f"'cp-sat' cannot be used here: {why}")
