"""The program whose boxes are solved: rows, and one more row for each objective.

The equations are those of ``model/formulation``. Columns that an equation defines (times, bytes,
energies) are substituted and columns that nothing but one lower bound holds up are tied to it
(`substitution`), so that what is left is small and its relaxation is solved fast and often.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Objective, Problem
from edgeplan.pareto.rows import Floats, Rows

PRICED = ("latency", "energy", "cost", "throughput")
"""The criteria that the program has rows for."""
MOST_DIGITS = 9
"""Decimals up to which coefficients are recognised as multiples of a step."""


@dataclass(frozen=True)
class BoxProgram:
    """row_lower ≤ A x ≤ row_upper, lower ≤ x ≤ upper, some x whole; and objectives F x + offsets.

    Parameters
    ----------
    lower, upper, integral
        Per column.
    rows
        A.
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
    rows: Rows
    row_lower: Floats
    row_upper: Floats
    criteria: Floats
    offsets: Floats
    steps: Floats
    exact: bool
    obstacles: tuple[str, ...]
    extract: Callable[[Floats], Plan]
    values: Callable[[Plan], list[tuple[int, float]]]

    @property
    def highest(self) -> tuple[float, ...]:
        """No value of an objective is above it; ``inf`` where none is known."""
        ends = np.where(self.criteria > 0, self.upper, self.lower)
        products = np.multiply(
            self.criteria, ends, out=np.zeros_like(self.criteria), where=self.criteria != 0
        )
        return tuple((products.sum(axis=1) + self.offsets).tolist())


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
    from edgeplan.pareto.substitution import Substitution

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
    objectives = [assembled.values[name] for name in criteria]
    smaller = Substitution(
        Rows(arrays.starts, arrays.indices, arrays.values, len(arrays.columns)),
        arrays.row_lower,
        arrays.row_upper,
        arrays.lower,
        arrays.upper,
        arrays.integral,
        np.array([objective.row for objective in objectives]),
        np.array([objective.constant for objective in objectives]),
    )
    smaller.run()
    kept = np.flatnonzero(~smaller.gone)
    place = np.full(len(arrays.columns), -1)
    place[kept] = np.arange(len(kept))
    integral = arrays.integral[kept]
    values = smaller.criteria[:, kept]
    matrix = smaller.matrix
    # A power of two changes no digit.
    size = np.ldexp(1.0, -np.frexp(matrix.largest())[1])

    def extract(found: Floats) -> Plan:
        values = np.zeros(len(arrays.columns))
        values[kept] = found
        return assembled.extract(values.tolist())

    def start(plan: Plan) -> list[tuple[int, float]]:
        columns, values = assembled.columns_of(plan)
        return [
            (column, value)
            for column, value in zip(place[columns].tolist(), values.tolist(), strict=True)
            if column >= 0
        ]

    return BoxProgram(
        lower=smaller.lower[kept],
        upper=smaller.upper[kept],
        integral=integral,
        rows=Rows(
            matrix.starts,
            place[matrix.indices].astype(np.int32),
            matrix.values * size[matrix.row],
            len(kept),
        ),
        row_lower=smaller.row_lower * size,
        row_upper=smaller.row_upper * size,
        criteria=values,
        offsets=smaller.constants,
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


def _without_plan(obstacles: tuple[str, ...], count: int, exact: bool) -> BoxProgram:
    def extract(_: Floats) -> Plan:
        raise ValueError("there is no plan")

    none = np.zeros(0)
    return BoxProgram(
        lower=none,
        upper=none,
        integral=np.zeros(0, dtype=bool),
        rows=Rows(np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.int32), none, 0),
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
