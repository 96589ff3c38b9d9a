"""The program of a problem as arrays, from the registered equations and without Pyomo's trees.

Pyomo's model is what people read, extend and hand to any solver. A large one takes longer to
build and to compile than to solve; here the same functions of ``constraints.py`` and
``objective.py`` run over the columns themselves (see ``linear.py``), and the arrays are those that
`compile_arrays` makes of the Pyomo model: the same columns, rows, entries, limits and names, in
the same order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import InputError
from edgeplan.model.formulation.arrays import TINIEST, Arrays, Names
from edgeplan.model.formulation.build import Formulation
from edgeplan.model.formulation.constraints import EQUATIONS
from edgeplan.model.formulation.linear import CONSTANT, Linear, Row, pairs
from edgeplan.model.formulation.objective import TERMS
from edgeplan.model.formulation.registry import Equation
from edgeplan.model.formulation.sets import Sets
from edgeplan.model.formulation.units import Units
from edgeplan.model.formulation.variables import FAMILIES, Program
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Objective, Problem

OBJECTIVE_OF_TERM = {
    "latency_price": "latency",
    "energy_price": "energy",
    "cost_price": "cost",
    "throughput_price": "throughput",
}
"""The objective whose aggregated value each registered term prices."""


@dataclass(frozen=True)
class Value:
    """The value of one objective as a function of the columns: ``row · x + constant``.

    Parameters
    ----------
    row
        Per column, in SI units (seconds, joules, dollars, seconds) per unit of the column.
    constant
        In SI units.
    """

    row: NDArray[np.float64]
    constant: float


@dataclass(frozen=True)
class Assembled:
    """The program of a problem as arrays, with the way back from columns to plans.

    Parameters
    ----------
    formulation
        The columns in the place of Pyomo's variables: `Formulation.extract` and
        `Formulation.values` speak of ``arrays.columns``.
    arrays
        The program; without rows where there are `obstacles`.
    """

    formulation: Formulation
    arrays: Arrays

    @property
    def obstacles(self) -> tuple[str, ...]:
        """Why there is no plan, where that shows without a search."""
        return self.formulation.obstacles

    @property
    def objective_unit(self) -> float:
        """Price per unit of the program's objective."""
        return self.formulation.objective_unit

    def extract(self, values: Sequence[float]) -> Plan:
        """Read a plan out of the values of all columns; see `Formulation.extract`."""
        return self.formulation.extract(lambda column: values[column[0]])

    def columns_of(self, plan: Plan) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return the columns that a plan decides (choices and fractions), and their values.

        Empty where the plan puts a layer where the program has no place for it.
        """
        given = self.formulation.values(plan)
        columns = np.array([column[0] for column, _ in given], dtype=np.int32)
        return columns, np.array([value for _, value in given], dtype=np.float64)

    @cached_property
    def values(self) -> Mapping[str, Value]:
        """The objectives that the problem prices, each as a row of its own; by name.

        The value of a row at a plan is what `evaluate` says of it: latency in seconds, energy in
        joules, cost in dollars, aggregated as the problem says, and throughput as the period in
        seconds. An objective without weight is missing: what it adds up has no columns. For all
        four give each a weight, however small.
        """
        program = self.formulation.program
        problem = program.problem
        weights = dict(zip(OBJECTIVE_OF_TERM.values(), _weights(problem), strict=True))
        alone = Objective(**dict.fromkeys(weights, 1.0), aggregate=problem.objective.aggregate)
        plain = dataclasses.replace(
            program,
            problem=dataclasses.replace(problem, objective=alone),
            units=_plain(program.units),
        )
        found = {}
        for term, name in OBJECTIVE_OF_TERM.items():
            if weights[name] > 0 and not self.obstacles:
                row, constant = _dense(TERMS[term].rule(plain), len(self.arrays.columns))
                found[name] = Value(row, constant)
        return found


def assemble(
    problem: Problem,
    *,
    objective_hint: float | None = None,
    equations: Mapping[str, Equation] = EQUATIONS,
    terms: Mapping[str, Equation] = TERMS,
) -> Assembled:
    """Assemble the mixed-integer program of a problem as arrays.

    Parameters
    ----------
    problem
        What is to be planned.
    objective_hint
        A price near the optimum where one is known: the objective is scaled by it.
    equations, terms
        The registered mathematics.

    Returns
    -------
    Assembled
        Its arrays are those of ``compile_arrays(build(problem).model)``, number by number.

    Raises
    ------
    InputError
        If requests wait in queues, or replicas or batches are to be chosen.
    ValueError
        If a row holds for no values, or is not linear.
    """
    if problem.load_features:
        raise InputError.at("problem", f"this program knows no load: {problem.load_features[0]}")
    with _without_collection():
        return _assemble(problem, objective_hint, equations, terms)


def _assemble(
    problem: Problem,
    objective_hint: float | None,
    equations: Mapping[str, Equation],
    terms: Mapping[str, Equation],
) -> Assembled:
    sets = Sets(problem)
    columns = _Columns(sets)
    program = Program(columns.model, problem, sets, Units(sets, objective_hint))
    rows = _Rows()
    cost, offset = np.zeros(len(columns.variables)), 0.0
    if not sets.obstacles:
        for name, equation in equations.items():
            rows.add(name, equation, program)
        price = sum(item.rule(program) for item in terms.values())
        cost, offset = _dense(price, len(columns.variables))
    starts, indices, values, constants = rows.matrix(len(columns.variables))
    arrays = Arrays(
        columns=columns.variables,
        cost=cost,
        offset=offset,
        lower=np.zeros(len(columns.variables)),
        upper=columns.upper,
        integral=columns.whole,
        starts=starts,
        indices=indices,
        values=values,
        row_lower=np.array(rows.lower, dtype=float) - constants,
        row_upper=np.array(rows.upper, dtype=float) - constants,
        row_names=rows.names(),
        column_names=columns.names(),
    )
    return Assembled(Formulation(columns.model, program, sets.obstacles), arrays)


class _Columns:
    """The columns of a program: what stands in the place of Pyomo's variables."""

    def __init__(self, sets: Sets) -> None:
        families = [(family, family.indices(sets)) for family in FAMILIES]
        count = sum(len(indices) for _, indices in families)
        split = frozenset(sets.split)
        self.variables = tuple([Linear((column, 1.0)) for column in range(count)])
        self.upper = np.empty(count)
        self.whole = np.zeros(count, dtype=bool)
        self.model = SimpleNamespace()
        self._names = []
        stop = 0
        for family, indices in families:
            first, stop = stop, stop + len(indices)
            setattr(
                self.model, family.name, dict(zip(indices, self.variables[first:stop], strict=True))
            )
            self.upper[first:stop] = family.upper
            if family.whole == "unsplit":
                self.whole[first:stop] = [index[0] not in split for index in indices]
            else:
                self.whole[first:stop] = family.whole
            self._names.append(_named(family.name, indices))

    def names(self) -> Names:
        return Names(*self._names)


class _Rows:
    """The rows of a program, one after the other."""

    def __init__(self) -> None:
        self.entries: list[float] = []
        self.ends: list[int] = []  # of each row's left side and its right side
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._names: list[tuple[int, Any]] = []

    def add(self, name: str, equation: Equation, program: Program) -> None:
        """Add the rows of an equation."""
        rule, kept = equation.rule, []
        for index in equation.indices(program.sets):
            row = rule(program, *index) if isinstance(index, tuple) else rule(program, index)
            if row.__class__ is not Row:
                if row is True:  # no variable is left in it
                    continue
                if row is False:
                    raise ValueError(f"the row {name}{index} holds for no values")
                raise ValueError(f"the row {name}{index} is not linear")
            self.entries.extend(row.left)
            self.ends.append(len(self.entries))
            self.entries.extend(row.right)
            self.ends.append(len(self.entries))
            self.lower.append(row.lower)
            self.upper.append(row.upper)
            kept.append(index)
        self._names.append(_named(f"eq_{name}", kept))

    def names(self) -> Names:
        return Names(*self._names)

    def matrix(
        self, columns: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        """Return starts, columns and values of the entries by rows, and each row's constant."""
        flat = np.fromiter(self.entries, dtype=float, count=len(self.entries))
        column, value = flat[::2].astype(np.int64), flat[1::2].copy()
        counts = np.diff(np.array([0, *self.ends])) // 2
        rows = len(counts) // 2
        row = np.repeat(np.arange(2 * rows) // 2, counts)
        right = np.repeat(np.arange(2 * rows) % 2 == 1, counts)
        np.negative(value, out=value, where=right)
        constants = np.zeros(rows)
        if (fixed := column == CONSTANT).any():
            np.add.at(constants, row[fixed], value[fixed])
            row, column, value = row[~fixed], column[~fixed], value[~fixed]
        row, column, value = _added_up(row, column, value, columns)
        if not (used := value != 0).all():
            row, column, value = row[used], column[used], value[used]
        tiny = np.abs(value) < TINIEST
        value[tiny] = np.copysign(TINIEST, value[tiny])
        starts = np.searchsorted(row, np.arange(rows + 1))
        return starts.astype(np.int32), column.astype(np.int32), value, constants


def _added_up(
    row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float64], columns: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the entries by rows and columns, those of one place added up in their order."""
    key = row * columns + column
    order = np.argsort(key, kind="stable")
    column, value = column[order], value[order]  # rows stand in their order as it is
    fresh = np.ones(len(row), dtype=bool)
    fresh[1:] = (column[1:] != column[:-1]) | (row[1:] != row[:-1])
    if fresh.all():
        return row, column, value
    sums = np.zeros(np.count_nonzero(fresh))
    np.add.at(sums, np.cumsum(fresh) - 1, value)
    return row[fresh], column[fresh], sums


def _dense(expression: Any, columns: int) -> tuple[NDArray[np.float64], float]:
    """Return an expression as a coefficient for each column, and its constant."""
    row, constant = np.zeros(columns), 0.0
    if not isinstance(expression, Linear):
        return row, float(expression)
    for column, coefficient in pairs(expression):
        if column == CONSTANT:
            constant += coefficient
        else:
            row[column] += coefficient
    return row, constant


def _plain(units: Units) -> Any:
    """Return units that count the objective in seconds, joules and dollars."""
    return SimpleNamespace(
        seconds=units.seconds,
        bytes=units.bytes,
        joules=units.joules,
        dollars=units.dollars,
        period=units.period,
        objective=1.0,
    )


def _weights(problem: Problem) -> tuple[float, ...]:
    return (*problem.objective.prices, problem.objective.period_price)


def _named(prefix: str, indices: Sequence[Any]) -> tuple[int, Any]:
    from pyomo.core.base.component_namer import index_repr

    return len(indices), lambda number: prefix + index_repr(indices[number])


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Keep Python from searching a million new tuples for circles again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
