"""The program as arrays, for solvers that take them.

Pyomo's own standard-form compiler needs SciPy, which nothing else here does; this one reads the
same public representation (`generate_standard_repn`) row by row.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.repn.standard_repn import generate_standard_repn

TINIEST = 1e-12
"""Smallest coefficient that HiGHS keeps; smaller ones are rounded up to it, never away."""


class Names(Sequence[str]):
    """Names that are put together when they are asked for: a large program has a million.

    Parameters
    ----------
    parts
        How many, and what gives the name by its number in the part; part after part.
    """

    def __init__(self, *parts: tuple[int, Callable[[int], str]]) -> None:
        self._name = [name for _, name in parts]
        self._stops = list(itertools.accumulate(count for count, _ in parts))

    def __len__(self) -> int:
        return self._stops[-1] if self._stops else 0

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        part = bisect.bisect_right(self._stops, number)
        return self._name[part](number - (self._stops[part - 1] if part else 0))


@dataclass(frozen=True)
class Arrays:
    """min cost·x + offset, row_lower ≤ A x ≤ row_upper, lower ≤ x ≤ upper, some x whole.

    Parameters
    ----------
    columns
        The variables of the columns: Pyomo's, or of `assemble`.
    cost, offset
        Objective.
    lower, upper, integral
        Per column; ``integral`` is boolean.
    starts, indices, values
        A by rows: the entries of row i are at ``starts[i]:starts[i + 1]``, by their columns.
    row_lower, row_upper
        Per row.
    row_names
        Name of each row's constraint.
    column_names
        Name of each column's variable.
    """

    columns: tuple[Any, ...]
    cost: NDArray[np.float64]
    offset: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integral: NDArray[np.bool_]
    starts: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]
    row_names: Sequence[str]
    column_names: Sequence[str]

    @property
    def span(self) -> float:
        """The largest entry of rows and costs divided by the smallest that is not 0."""
        entries = np.abs(np.concatenate([self.values, self.cost]))
        entries = entries[entries > 0]
        return float(entries.max() / entries.min()) if entries.size else 1.0


def compile_arrays(model: Any) -> Arrays:
    """Return the active rows and the objective of a linear Pyomo model as arrays.

    Raises
    ------
    ValueError
        If a row or the objective is not linear.
    """
    columns = tuple(model.component_data_objects(pyo.Var, active=True))
    position = {id(column): index for index, column in enumerate(columns)}
    cost = np.zeros(len(columns))
    (objective,) = model.component_data_objects(pyo.Objective, active=True)
    body = _linear(objective.expr, objective.name)
    for variable, coefficient in zip(body.linear_vars, body.linear_coefs, strict=True):
        cost[position[id(variable)]] += coefficient
    starts, indices, values = [0], [], []
    row_lower, row_upper, names = [], [], []
    for row in model.component_data_objects(pyo.Constraint, active=True):
        repn = _linear(row.body, row.name)
        entries = zip(repn.linear_vars, repn.linear_coefs, strict=True)
        for index, coefficient in sorted((position[id(v)], c) for v, c in entries if c):
            indices.append(index)
            values.append(float(np.copysign(max(abs(coefficient), TINIEST), coefficient)))
        starts.append(len(indices))
        lower, upper = pyo.value(row.lower), pyo.value(row.upper)
        row_lower.append(-np.inf if lower is None else lower - repn.constant)
        row_upper.append(np.inf if upper is None else upper - repn.constant)
        names.append(row.name)
    return Arrays(
        columns=columns,
        cost=cost,
        offset=float(body.constant),
        lower=np.array([-np.inf if v.lb is None else v.lb for v in columns], dtype=float),
        upper=np.array([np.inf if v.ub is None else v.ub for v in columns], dtype=float),
        integral=np.array([not v.is_continuous() for v in columns], dtype=bool),
        starts=np.array(starts, dtype=np.int32),
        indices=np.array(indices, dtype=np.int32),
        values=np.array(values, dtype=float),
        row_lower=np.array(row_lower, dtype=float),
        row_upper=np.array(row_upper, dtype=float),
        row_names=tuple(names),
        column_names=Names((len(columns), lambda index: str(columns[index].name))),
    )


def _linear(expression: Any, name: str) -> Any:
    repn = generate_standard_repn(expression, compute_values=True, quadratic=False)
    if not repn.is_linear():
        raise ValueError(f"'{name}' is not linear")
    return repn
