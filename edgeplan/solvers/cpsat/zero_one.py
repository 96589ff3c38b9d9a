"""The program of a discrete problem over 0/1 variables only, and scaled to whole numbers.

Where no stream may be split, every column of the program (``model/formulation``) is one of these
at a plan:

* a share that is then 0 or 1: a 0/1 variable;
* a total that an equation defines (time, bytes, energy, money): substituted by what it is the
  total of, so that a row speaks of 0/1 variables only;
* the largest of several numbers, all known beforehand (peak activation, the time a sender is
  busy): 0/1 variables for its levels, each worth the step from the level below;
* the period: a whole number where it is priced, else replaced by its limit.

Whole numbers are made by rounding one way only, so that every plan of the problem is a solution
of the whole program and costs there at most what it costs: `Whole` is a relaxation, and a bound
of it is a bound of the problem.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeplan.model.errors import SolverError

if TYPE_CHECKING:
    from edgeplan.model.formulation.arrays import Arrays

Terms = dict[int, float]
"""Coefficients by variable."""

TOTALS = {
    "computed": "compute",
    "crossed": "cross",
    "carried": "volume",
    "lasted": "latency",
    "engaged": "engaged",
    "drawn": "energy",
    "spent": "cost",
}
"""Variables that equations define, by the equation; one uses those before it only."""
LARGEST = {"peaked": "peak", "sent_once": "sending", "sent_back": "sending"}
"""Variables that are the largest of what stands in these rows, by the equation."""
PERIOD = "period"

ONE = 0
"""The variable that is always 1: constants are its coefficients."""
SLACK = 2e-8
"""Share by which limits are relaxed: more than all rounding in building the program, and what
`with_tolerance` keeps back of the evaluator's tolerance."""
TINIEST = 1e-12
"""Coefficients this small stand for smaller ones or are noise (see `model.formulation.arrays`)."""
ROW_BITS = 28
"""A row's rounding stays below 2^-28 of its limit, …"""
PRICE_BITS = 28
"""… the objective's below 2^-28 of a price near the optimum, …"""
SUM_BITS = 52
"""… where sums stay below 2^52: exact as floats, and far from the solver's overflow."""


@dataclass(frozen=True)
class Row:
    """lower ≤ Σ terms ≤ upper; with ``whole``, of whole numbers, and exact."""

    terms: Terms
    lower: float
    upper: float
    whole: bool


@dataclass(frozen=True)
class ZeroOne:
    """min Σ cost x + period, over 0/1 variables x; rows; Σ load ≤ period for each load.

    Parameters
    ----------
    count
        Number of variables.
    columns
        Variables of the program's columns that are themselves 0/1, by column.
    cost
        Objective, in its units.
    rows
        What must hold.
    loads
        The priced period is at least each of these, in the objective's units; empty where the
        period is not priced.
    longest
        Largest priced period allowed, ``inf`` for any.
    """

    count: int
    columns: Mapping[int, int]
    cost: Terms
    rows: tuple[Row, ...]
    loads: tuple[Terms, ...]
    longest: float


@dataclass(frozen=True)
class Whole:
    """min (Σ cost x + period) / scale over 0/1 variables x, all in whole numbers.

    Parameters
    ----------
    cost
        Objective.
    scale
        A power of two: steps per unit of the objective.
    rows
        (terms, lower, upper), with ``None`` for no limit.
    loads
        Each at most the period.
    longest
        Largest period.
    zero
        Variables that are 0, since they alone would exceed a limit or a known price.
    error
        The objective of a plan is at most so much larger than here, in the objective's units.
    """

    cost: Mapping[int, int]
    scale: float
    rows: tuple[tuple[Mapping[int, int], int | None, int | None], ...]
    loads: tuple[Mapping[int, int], ...]
    longest: int
    zero: frozenset[int]
    error: float


def zero_one(arrays: Arrays) -> ZeroOne:
    """Return a discrete problem's program over 0/1 variables.

    Parameters
    ----------
    arrays
        The compiled program.

    Raises
    ------
    SolverError
        If it has a column that is none of the kinds above.
    """
    return _Substitution(arrays).program()


@dataclass
class _Substitution:
    """A program on its way from columns to 0/1 variables."""

    arrays: Arrays
    value: dict[int, Terms] = field(default_factory=dict)
    columns: dict[int, int] = field(default_factory=dict)
    count: int = 1
    rows: list[Row] = field(default_factory=lambda: [Row({ONE: 1}, 1, 1, whole=True)])
    loads: list[Terms] = field(default_factory=list)

    def program(self) -> ZeroOne:
        kinds = [column.parent_component().local_name for column in self.arrays.columns]
        for index, kind in enumerate(kinds):
            if self.arrays.upper[index] <= 1 and kind != PERIOD:
                self.columns[index] = self._variable()
                self.value[index] = {self.columns[index]: 1.0}
        by_equation: dict[str, list[int]] = defaultdict(list)
        for index, name in enumerate(self.arrays.row_names):
            by_equation[name.removeprefix("eq_").partition("[")[0]].append(index)
        candidates: dict[int, list[Terms]] = {
            index: [] for index, kind in enumerate(kinds) if kind in LARGEST.values()
        }
        for equation, kind in LARGEST.items():
            for row in by_equation.pop(equation, ()):
                column, terms = self._apart(row, kind, kinds)
                candidates[column].append(terms)
        for index, found in candidates.items():
            self.value[index] = self._levels(found)
        for equation, kind in TOTALS.items():
            for row in by_equation.pop(equation, ()):
                column, terms = self._apart(row, kind, kinds)
                self.value[column] = terms
        longest = self._period(kinds, by_equation)
        for row in (row for rows in by_equation.values() for row in rows):
            self._row(row)
        cost: Terms = {ONE: self.arrays.offset} if self.arrays.offset else {}
        for index, price in enumerate(self.arrays.cost):
            if price and kinds[index] != PERIOD:
                self._add(cost, index, float(price))
        return ZeroOne(
            count=self.count,
            columns=self.columns,
            cost=cost,
            rows=tuple(self.rows),
            loads=tuple(self.loads),
            longest=longest,
        )

    def _variable(self) -> int:
        self.count += 1
        return self.count - 1

    def _entries(self, row: int) -> Iterator[tuple[int, float]]:
        start, stop = self.arrays.starts[row], self.arrays.starts[row + 1]
        for column, value in zip(
            self.arrays.indices[start:stop], self.arrays.values[start:stop], strict=True
        ):
            if abs(value) > TINIEST:
                yield int(column), float(value)

    def _add(self, terms: Terms, column: int, factor: float) -> None:
        if column not in self.value:
            name = self.arrays.columns[column].name
            raise SolverError(f"'{name}' is not 0/1, a total or the largest of something")
        for variable, value in self.value[column].items():
            terms[variable] = terms.get(variable, 0.0) + factor * value

    def _apart(self, row: int, kind: str, kinds: list[str]) -> tuple[int, Terms]:
        """Return a row's one column of a kind, and what the row says it is (at least)."""
        ((column, factor),) = ((c, value) for c, value in self._entries(row) if kinds[c] == kind)
        bounds = (float(self.arrays.row_lower[row]), float(self.arrays.row_upper[row]))
        (constant,) = {bound for bound in bounds if math.isfinite(bound)}
        terms: Terms = {ONE: constant / factor} if constant else {}
        for other, value in self._entries(row):
            if other != column:
                self._add(terms, other, -value / factor)
        return column, terms

    def _levels(self, candidates: list[Terms]) -> Terms:
        """Return the largest of the candidates as a sum of steps between the values it can have.

        At most one variable of a candidate is 1: it stands for one tensor on its way to one
        layer, or for one layer's weights.
        """
        values = sorted({c for terms in candidates for c in terms.values()})
        level = {value: self._variable() for value in values}
        for low, high in itertools.pairwise(values):
            self.rows.append(Row({level[high]: 1, level[low]: -1}, -math.inf, 0, whole=True))
        for terms in candidates:
            for value in sorted(set(terms.values())):
                reached: Terms = {v: 1 for v, c in terms.items() if c >= value}
                self.rows.append(Row({**reached, level[value]: -1}, -math.inf, 0, whole=True))
        return {level[high]: high - low for low, high in itertools.pairwise([0.0, *values])}

    def _period(self, kinds: list[str], by_equation: dict[str, list[int]]) -> float:
        """Take the period out of the program; return the largest allowed where it is priced."""
        if PERIOD not in kinds:
            return math.inf
        period = kinds.index(PERIOD)
        longest = math.inf
        for row in by_equation.pop("min_rate", ()):
            ((_, value),) = self._entries(row)
            longest = min(longest, float(self.arrays.row_upper[row]) / value)
        price = float(self.arrays.cost[period])
        for row in (*by_equation.pop("device_period", ()), *by_equation.pop("link_period", ())):
            _, terms = self._apart(row, PERIOD, kinds)
            if price > 0:
                self.loads.append({v: c * price for v, c in terms.items()})
            elif math.isfinite(longest):
                self.rows.append(Row(terms, -math.inf, longest, whole=False))
        return longest * price if price > 0 else math.inf

    def _row(self, row: int) -> None:
        terms: Terms = {}
        direct = True
        for column, value in self._entries(row):
            direct = direct and column in self.columns
            self._add(terms, column, value)
        lower, upper = float(self.arrays.row_lower[row]), float(self.arrays.row_upper[row])
        numbers = [*terms.values(), *(bound for bound in (lower, upper) if math.isfinite(bound))]
        whole = direct and all(number.is_integer() for number in numbers)
        if not whole and lower == upper:
            raise SolverError(f"'{self.arrays.row_names[row]}' is an equation of broken numbers")
        self.rows.append(Row(terms, lower, upper, whole=whole))


def whole(program: ZeroOne, price: float | None = None) -> Whole:
    """Return a program in whole numbers whose solutions include those of the program.

    Parameters
    ----------
    program
        The program over 0/1 variables.
    price
        The price of a known plan, in the objective's units: dearer ones need not be solutions.

    Returns
    -------
    Whole
        With coefficients rounded down, and limits relaxed by `SLACK` and then rounded down.
    """
    zero: set[int] = set()
    if price is not None and min(program.cost.values(), default=0.0) >= 0:
        dearest = price * (1 + 1e-6) + TINIEST
        for terms in (program.cost, *program.loads):
            zero.update(v for v, value in terms.items() if value > dearest)
    rows = [_exact(row) for row in program.rows if row.whole]
    limits = list(_limits(program.rows))
    for terms, limit in limits:
        if min(terms.values(), default=0.0) >= 0:
            zero.update(v for v, value in terms.items() if value > limit)
    for terms, limit in limits:
        left = _without(terms, zero)
        if math.fsum(max(value, 0.0) for value in left.values()) > limit:
            scale = _scale(list(left.values()), abs(limit), ROW_BITS)
            rows.append((_down(left, scale), None, math.floor(limit * scale)))
    cost = _without(program.cost, zero)
    loads = [_without(load, zero) for load in program.loads]
    heaviest = max((math.fsum(load.values()) for load in loads), default=0.0)
    longest = min(heaviest, program.longest * (1 + SLACK))
    terms_used = len(cost) + max((len(load) for load in loads), default=0)
    scale = _scale([*cost.values(), heaviest], price or 1.0, PRICE_BITS, terms_used)
    return Whole(
        cost=_down(cost, scale),
        scale=scale,
        rows=tuple(rows),
        loads=tuple(_down(load, scale) for load in loads),
        longest=math.ceil(longest * scale),
        zero=frozenset(zero),
        error=(terms_used + 1) / scale,
    )


def _limits(rows: Iterable[Row]) -> Iterator[tuple[Terms, float]]:
    """Yield (terms, limit) of Σ terms ≤ limit, relaxed."""
    for row in rows:
        if not row.whole:
            if math.isfinite(row.upper):
                yield row.terms, row.upper + SLACK * abs(row.upper)
            if math.isfinite(row.lower):
                negated = {v: -value for v, value in row.terms.items()}
                yield negated, -row.lower + SLACK * abs(row.lower)


def _exact(row: Row) -> tuple[dict[int, int], int | None, int | None]:
    lower = round(row.lower) if math.isfinite(row.lower) else None
    upper = round(row.upper) if math.isfinite(row.upper) else None
    return {v: round(value) for v, value in row.terms.items() if value}, lower, upper


def _without(terms: Terms, zero: set[int]) -> Terms:
    """Return terms without variables that are 0 and without positive noise.

    Negative noise stays: it is rounded down to -1, which is on the safe side.
    """
    return {v: value for v, value in terms.items() if v not in zero and not 0 <= value <= TINIEST}


def _scale(values: list[float], size: float, bits: int, count: int | None = None) -> float:
    """Return a power of two: rounding all is below 2^-bits of a size, sums are below 2^52."""
    wanted = bits + (count or len(values)).bit_length() - math.frexp(size or 1.0)[1]
    most = math.fsum(map(abs, values))
    if most > 0:
        wanted = min(wanted, SUM_BITS - math.frexp(most)[1])
    return math.ldexp(1.0, wanted)


def _down(terms: Terms, scale: float) -> dict[int, int]:
    """Return terms rounded down (a power of two keeps their digits), without zeros."""
    rounded = {v: math.floor(value * scale) for v, value in terms.items()}
    return {v: value for v, value in rounded.items() if value}
