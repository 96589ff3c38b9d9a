"""The program whose boxes are solved: rows, and one more row for each objective.

The equations are those of ``model/formulation``. Columns that an equation defines (times, bytes,
energies) are substituted and columns that nothing but one lower bound holds up are tied to it, so
that what is left is small and its relaxation is solved fast and often.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Objective, Problem

Floats = NDArray[np.float64]

PRICED = ("latency", "energy", "cost", "throughput")
"""The criteria that the program has rows for."""
MOST_DIGITS = 9
"""Decimals up to which coefficients are recognised as multiples of a step."""
TINIEST = 1e-12


@dataclass(frozen=True)
class BoxProgram:
    """row_lower ≤ A x ≤ row_upper, lower ≤ x ≤ upper, some x whole; and objectives F x + offsets.

    Parameters
    ----------
    lower, upper, integral
        Per column.
    matrix
        A, dense.
    row_lower, row_upper
        Per row.
    criteria
        F: one row per objective, in SI units.
    offsets
        Constants of the objectives.
    steps
        For each objective a number of which every value is a multiple (plus the offset), 0 where
        none is known.
    exact
        Whether every choice is 0/1: no fractions.
    obstacles
        Why there is no plan, where that shows without a search.
    extract
        Reads a plan out of the columns' values.
    values
        Returns (column, value) of the choices that stand for a plan; empty where there are none.
    """

    lower: Floats
    upper: Floats
    integral: NDArray[np.bool_]
    matrix: Floats
    row_lower: Floats
    row_upper: Floats
    criteria: Floats
    offsets: Floats
    steps: Floats
    exact: bool
    obstacles: tuple[str, ...]
    extract: Callable[[Floats], Plan]
    values: Callable[[Plan], list[tuple[int, float]]]


def program(problem: Problem, criteria: Sequence[str]) -> BoxProgram:
    """Return the program of a problem's boxes.

    Parameters
    ----------
    problem
        What is to be planned; nothing of it waits in queues.
    criteria
        Names of objectives: latency, energy, cost, throughput.

    Raises
    ------
    InputError
        If requests wait in queues, or replicas or batches are to be chosen.
    """
    from edgeplan.model.formulation.assemble import assemble

    every = Objective(
        **{name: float(name in criteria) for name in PRICED}, aggregate=problem.objective.aggregate
    )
    # Limits read more strictly than by the evaluator would lose plans that it accepts.
    stated = with_tolerance(_replaced(problem, every))
    assembled = assemble(stated)
    exact = not any(stream.route_limit > 1 for stream in problem.streams)
    if assembled.obstacles:
        return _without_plan(assembled.obstacles, len(criteria), exact)
    arrays = assembled.arrays
    rows = [assembled.values[name] for name in criteria]
    reduction = _Reduction(
        np.array(arrays.lower),
        np.array(arrays.upper),
        arrays.integral,
        [
            dict(
                zip(
                    arrays.indices[start:stop].tolist(),
                    arrays.values[start:stop].tolist(),
                    strict=True,
                )
            )
            for start, stop in zip(arrays.starts[:-1], arrays.starts[1:], strict=True)
        ],
        arrays.row_lower.tolist(),
        arrays.row_upper.tolist(),
        [{int(c): float(row.row[c]) for c in np.flatnonzero(row.row)} for row in rows],
        [row.constant for row in rows],
    )
    reduction.substitute()
    reduction.drop()
    reduction.tie()
    kept = reduction.kept()
    place = {column: index for index, column in enumerate(kept)}
    matrix, row_lower, row_upper = reduction.rows_over(place)
    values = np.zeros((len(criteria), len(kept)))
    for k, row in enumerate(reduction.criteria):
        for column, value in row.items():
            values[k, place[column]] += value
    integral = arrays.integral[kept]
    kept_columns = np.array(kept, dtype=np.int64)

    def extract(found: Floats) -> Plan:
        values = np.zeros(len(arrays.columns))
        values[kept_columns] = found
        return assembled.extract(values.tolist())

    def start(plan: Plan) -> list[tuple[int, float]]:
        columns, values = assembled.columns_of(plan)
        return [
            (place[column], value)
            for column, value in zip(columns.tolist(), values.tolist(), strict=True)
            if column in place
        ]

    return BoxProgram(
        lower=reduction.lower[kept],
        upper=reduction.upper[kept],
        integral=integral,
        matrix=matrix,
        row_lower=row_lower,
        row_upper=row_upper,
        criteria=values,
        offsets=np.array(reduction.constants),
        steps=np.array([step(row, integral) for row in values]),
        exact=exact,
        obstacles=(),
        extract=extract,
        values=start,
    )


def step(coefficients: Floats, integral: NDArray[np.bool_]) -> float:
    """Return a number of which every coefficient is a multiple, 0 where none is found.

    Found are decimal numbers of up to `MOST_DIGITS` digits after the point. Coefficients of
    columns that are not whole have no step.

    Examples
    --------
    >>> step(np.array([4.0, 6.0, 0.0]), np.array([True, True, False]))
    2.0
    >>> step(np.array([0.25, 1.1]), np.array([True, True]))
    0.05
    >>> step(np.array([0.1, 1 / 3]), np.array([True, True]))
    0.0
    """
    used = coefficients != 0
    if not used.any() or not integral[used].all():
        return 0.0
    numbers = np.abs(coefficients[used])
    for digits in range(MOST_DIGITS + 1):
        scaled = numbers * 10.0**digits
        if scaled.max() > 2.0**48:
            return 0.0
        whole = np.rint(scaled)
        # Relative: a number that only looks whole because it is large is no multiple.
        if (np.abs(scaled - whole) <= 1e-12 * scaled).all() and whole.min() > 0:
            divisor = int(np.gcd.reduce(whole.astype(np.int64)))
            return float(Fraction(divisor, 10**digits))
    return 0.0


def _replaced(problem: Problem, objective: Objective) -> Problem:
    return dataclasses.replace(problem, objective=objective)


@dataclass
class _Reduction:
    """A program on its way to fewer columns and rows."""

    lower: Floats
    upper: Floats
    integral: NDArray[np.bool_]
    rows: list[dict[int, float]]
    row_lower: list[float]
    row_upper: list[float]
    criteria: list[dict[int, float]]
    constants: list[float]

    def __post_init__(self) -> None:
        self.gone: set[int] = set()
        self.users: list[set[int]] = [set() for _ in self.lower]
        for index, row in enumerate(self.rows):
            for column in row:
                self.users[column].add(index)

    def substitute(self) -> None:
        """Replace columns that an equation defines and whose bounds follow from it."""
        waiting = [
            index
            for index, row in enumerate(self.rows)
            if self.row_lower[index] == self.row_upper[index] and row
        ]
        while waiting:
            later = [index for index in waiting if not self._replace(index)]
            if len(later) == len(waiting):
                return
            waiting = later

    def _replace(self, index: int) -> bool:
        """Replace the one unbounded column of an equation; say whether it was done."""
        row = self.rows[index]
        open_ = [c for c in row if not self.integral[c] and math.isinf(self.upper[c])]
        if len(open_) != 1:
            return False
        (column,) = open_
        factor = row[column]
        constant = self.row_upper[index] / factor
        terms = {c: -value / factor for c, value in row.items() if c != column}
        least = constant + math.fsum(
            value * (self.lower[c] if value > 0 else self.upper[c]) for c, value in terms.items()
        )
        if not least >= self.lower[column]:
            return False
        for other in [*self.users[column]]:
            if other != index:
                self._put(self.rows[other], column, terms, users=other)
                share = self._share
                self.row_lower[other] -= share * constant
                self.row_upper[other] -= share * constant
        for k, criterion in enumerate(self.criteria):
            if column in criterion:
                self._put(criterion, column, terms, users=None)
                self.constants[k] += self._share * constant
        self._forget(index)
        self.gone.add(column)
        return True

    def _put(
        self, row: dict[int, float], column: int, terms: dict[int, float], users: int | None
    ) -> None:
        """Put terms in the place of a column; leave its coefficient in `_share`."""
        self._share = row.pop(column)
        for other, value in terms.items():
            row[other] = row.get(other, 0.0) + self._share * value
            if users is not None:
                self.users[other].add(users)

    def _forget(self, index: int) -> None:
        for column in self.rows[index]:
            self.users[column].discard(index)
        self.rows[index] = {}
        self.row_lower[index], self.row_upper[index] = -math.inf, math.inf

    def drop(self) -> None:
        """Drop rows that the columns' bounds imply."""
        for index, row in enumerate(self.rows):
            low, high = self._activity(row)
            if low >= self.row_lower[index] and high <= self.row_upper[index]:
                self._forget(index)

    def _activity(self, row: dict[int, float]) -> tuple[float, float]:
        """Return the least and the most that a row's terms may add up to."""
        terms = [
            (value * self.lower[c], value * self.upper[c]) for c, value in row.items() if value
        ]
        return math.fsum(min(pair) for pair in terms), math.fsum(max(pair) for pair in terms)

    def tie(self) -> None:
        """Set columns that all else wants small to the one column that holds them up, or to 0."""
        for column in np.flatnonzero(~self.integral).tolist():
            if column in self.gone or any(row.get(column, 0.0) < 0 for row in self.criteria):
                continue
            holding = [i for i in self.users[column] if self._holds(i, column)]
            if not holding and self.lower[column] == 0:
                for user in self.users[column]:
                    del self.rows[user][column]
                for criterion in self.criteria:
                    criterion.pop(column, None)
                self.gone.add(column)
            if len(holding) != 1:
                continue
            (index,) = holding
            row = self.rows[index]
            limit = self.row_lower[index] if row[column] > 0 else self.row_upper[index]
            if len(row) != 2 or limit != 0 or self._both(index):
                continue
            (other,) = (c for c in row if c != column)
            ratio = -row[other] / row[column]
            if (
                ratio <= 0
                or self.lower[column] > ratio * self.lower[other]
                or self.upper[column] < ratio * self.upper[other]
            ):
                continue
            self._forget(index)
            for user in [*self.users[column]]:
                self._put(self.rows[user], column, {other: ratio}, users=user)
            for criterion in self.criteria:
                if column in criterion:
                    self._put(criterion, column, {other: ratio}, users=None)
            self.gone.add(column)

    def _both(self, index: int) -> bool:
        return math.isfinite(self.row_lower[index]) and math.isfinite(self.row_upper[index])

    def _holds(self, index: int, column: int) -> bool:
        """Whether a row may forbid that a column is smaller."""
        value = self.rows[index][column]
        return math.isfinite(self.row_lower[index] if value > 0 else self.row_upper[index])

    def kept(self) -> list[int]:
        """Return the columns that are left."""
        return [column for column in range(len(self.lower)) if column not in self.gone]

    def rows_over(self, place: dict[int, int]) -> tuple[Floats, Floats, Floats]:
        """Return the rows that are left and can bind, scaled to a largest entry of about 1."""
        rows, lower, upper = [], [], []
        self.drop()
        for index, row in enumerate(self.rows):
            terms = {c: value for c, value in row.items() if abs(value) > TINIEST}
            if not terms and self.row_lower[index] <= 0 <= self.row_upper[index]:
                continue
            dense = np.zeros(len(place))
            for column, value in terms.items():
                dense[place[column]] = value
            # A power of two changes no digit.
            size = math.ldexp(1.0, -math.frexp(float(np.abs(dense).max(initial=1e-300)))[1])
            rows.append(dense * size)
            lower.append(self.row_lower[index] * size)
            upper.append(self.row_upper[index] * size)
        matrix = np.array(rows) if rows else np.zeros((0, len(place)))
        return matrix, np.array(lower, dtype=float), np.array(upper, dtype=float)


def _without_plan(obstacles: tuple[str, ...], count: int, exact: bool) -> BoxProgram:
    def extract(_: Floats) -> Plan:
        raise ValueError("there is no plan")

    none = np.zeros(0)
    return BoxProgram(
        lower=none,
        upper=none,
        integral=np.zeros(0, dtype=bool),
        matrix=np.zeros((0, 0)),
        row_lower=none,
        row_upper=none,
        criteria=np.zeros((count, 0)),
        offsets=np.zeros(count),
        steps=np.zeros(count),
        exact=exact,
        obstacles=obstacles,
        extract=extract,
        values=lambda _: [],
    )
