"""Put the program of queues and routes together: arrays, text, and a Pyomo model of the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.formulation.queueing.constraints import EQUATIONS
from edgeplan.model.formulation.queueing.objective import TERMS
from edgeplan.model.formulation.queueing.rows import Equation, Term
from edgeplan.model.formulation.queueing.sets import Floats, Ints, Sets
from edgeplan.model.formulation.queueing.variables import Variables


@dataclass(frozen=True)
class Program:
    """min unit · cost·x, row_lower ≤ A x ≤ row_upper, lower ≤ x ≤ upper, some x whole.

    Parameters
    ----------
    variables
        Where the variables are.
    cost
        Per column, in the sets' unit of the objective.
    lower, upper, whole
        Per column.
    starts, indices, values
        A by rows.
    row_lower, row_upper
        Per row.
    first_row
        First row and the number of rows of each equation.
    labels
        The index of each of its rows.
    """

    variables: Variables
    cost: Floats
    lower: Floats
    upper: Floats
    whole: NDArray[np.bool_]
    starts: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: Floats
    row_lower: Floats
    row_upper: Floats
    first_row: Mapping[str, tuple[int, int]]
    labels: Mapping[str, Sequence[object]]

    @property
    def unit(self) -> float:
        """Price per unit of the objective."""
        return self.variables.sets.unit

    def rows(self, name: str) -> Ints:
        """Return the numbers of an equation's rows."""
        first, count = self.first_row[name]
        return np.arange(first, first + count, dtype=np.int64)


def build(
    sets: Sets,
    *,
    equations: Mapping[str, Equation] = EQUATIONS,
    terms: Mapping[str, Term] = TERMS,
) -> Program:
    """Assemble the program from the registered equations.

    Parameters
    ----------
    sets
        Index sets and data; their side says which of the two programs it is.
    equations, terms
        The registered mathematics; tests pass broken ones.

    Returns
    -------
    Program
        The plan program: each of its plans costs at most what it says, and keeps all limits. The
        bound program: no plan costs less.
    """
    variables = Variables(sets)
    cost = np.zeros(variables.count)
    for price in terms.values():
        columns, values = price(variables)
        np.add.at(cost, columns, values / sets.unit)
    made = {name: rule(variables) for name, rule in equations.items()}
    entries, limits, first, names = [], [], 0, {}
    for name, rows in made.items():
        row, column, value = rows.entries
        entries.append((row + first, column, value))
        limits.append(rows.limits)
        names[name] = (first, len(rows.labels))
        first += len(rows.labels)
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    starts, indices, values = _by_rows(row, column, value, first, variables.count)
    lower, upper = variables.bounds
    return Program(
        variables=variables,
        cost=cost,
        lower=lower,
        upper=upper,
        whole=variables.whole,
        starts=starts,
        indices=indices,
        values=values,
        row_lower=np.concatenate([part[0] for part in limits]),
        row_upper=np.concatenate([part[1] for part in limits]),
        first_row=names,
        labels={name: rows.labels for name, rows in made.items()},
    )


def _by_rows(
    row: Ints, column: Ints, value: Floats, rows: int, columns: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
    """Return entries sorted by rows and columns, those of one place added up."""
    key = row * columns + column
    order = np.argsort(key, kind="stable")
    key, value = key[order], value[order]
    fresh = np.concatenate([[True], key[1:] != key[:-1]]) if len(key) else np.zeros(0, bool)
    first = np.flatnonzero(fresh)
    values = np.add.reduceat(value, first) if len(first) else np.zeros(0)
    row, indices = np.divmod(key[first], max(columns, 1))
    starts = np.searchsorted(row, np.arange(rows + 1))
    return starts.astype(np.int32), indices.astype(np.int32), values


def text(program: Program, name: str) -> str:
    """Return the rows of one equation, one a line, terms in the order of their names.

    Raises
    ------
    KeyError
        If there is no such equation.
    """
    names = program.variables.names()
    lines = []
    for number, row in enumerate(program.rows(name)):
        first, stop = program.starts[row], program.starts[row + 1]
        terms = sorted(
            (names[column], value)
            for column, value in zip(
                program.indices[first:stop], program.values[first:stop], strict=True
            )
        )
        body = _sum(terms)
        lower, upper = program.row_lower[row], program.row_upper[row]
        sense, side = ("=", upper) if lower == upper else ("<=", upper)
        lines.append(f"{name}[{number}]: {body} {sense} {side + 0.0:.10g}\n")
    return "".join(lines)


def term_text(program: Program, name: str, all_terms: Mapping[str, Term] = TERMS) -> str:
    """Return one term of the objective."""
    names = program.variables.names()
    columns, values = all_terms[name](program.variables)
    terms = sorted((names[c], v) for c, v in zip(columns, values, strict=True) if v)
    return f"{name}: {_sum(terms)}\n"


def variables_text(program: Program) -> str:
    """Return every variable with its bounds and kind, one a line."""
    return "".join(
        f"{low:g} <= {name} <= {high:g} {'whole' if whole else 'continuous'}\n"
        for name, low, high, whole in zip(
            program.variables.names(), program.lower, program.upper, program.whole, strict=True
        )
    )


def _sum(terms: list[tuple[str, float]]) -> str:
    parts = [f"{'-' if value < 0 else '+'} {abs(value):.10g} {name}" for name, value in terms]
    return " ".join(parts) or "0"


def as_pyomo(program: Program) -> Any:
    """Return the same program as a Pyomo model, to read, extend or write to a file.

    Its variables are ``x[name]``, its rows ``eq_EQUATION[number]``, its objective ``price`` in
    the program's unit.
    """
    import pyomo.environ as pyo

    names = program.variables.names()
    model = pyo.ConcreteModel(name="edgeplan queues and routes")

    def kind(_: Any, name: str) -> Any:
        return pyo.Integers if whole[name] else pyo.Reals

    whole = dict(zip(names, program.whole.tolist(), strict=True))
    limits = dict(zip(names, zip(program.lower, program.upper, strict=True), strict=True))
    model.x = pyo.Var(
        names,
        domain=kind,
        bounds=lambda _, name: (
            limits[name][0],
            None if np.isinf(limits[name][1]) else limits[name][1],
        ),
    )
    columns = [model.x[name] for name in names]
    for equation in program.first_row:
        numbers = program.rows(equation)

        def row(_: Any, number: int, numbers: Ints = numbers) -> Any:
            index = numbers[number]
            first, stop = program.starts[index], program.starts[index + 1]
            body = sum(
                float(value) * columns[column]
                for column, value in zip(
                    program.indices[first:stop], program.values[first:stop], strict=True
                )
            )
            lower, upper = float(program.row_lower[index]), float(program.row_upper[index])
            if first == stop:
                return pyo.Constraint.Skip if lower <= 0 <= upper else pyo.Constraint.Infeasible
            return pyo.inequality(None if np.isinf(lower) else lower, body, upper)

        rows = pyo.Constraint(range(len(numbers)), rule=row)
        model.add_component(f"eq_{equation}", rows)
    used = np.flatnonzero(program.cost)
    model.price = pyo.Objective(expr=sum(float(program.cost[i]) * columns[i] for i in used))
    return model
