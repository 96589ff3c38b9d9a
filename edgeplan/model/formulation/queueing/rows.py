"""Families of rows in arrays, and the register of the equations that make them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.formulation.queueing.sets import Floats, Ints

if TYPE_CHECKING:
    from edgeplan.model.formulation.queueing.variables import Variables


@dataclass
class Rows:
    """Rows lower ≤ A x ≤ upper of one equation; entries of one place are added.

    Parameters
    ----------
    labels
        The index of each row.
    lower, upper
        Limits: numbers, or one per row.
    """

    labels: Sequence[object]
    lower: float | Floats = -np.inf
    upper: float | Floats = np.inf
    _entries: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)

    def add(
        self,
        rows: NDArray[np.int64] | Sequence[int],
        columns: NDArray[np.int64] | Sequence[int] | int,
        values: Floats | Sequence[float] | float = 1.0,
    ) -> Rows:
        """Add entries; a single column or value stands for all of them."""
        row = np.asarray(rows, dtype=np.int64)
        column = np.broadcast_to(np.asarray(columns, dtype=np.int64), row.shape)
        value = np.broadcast_to(np.asarray(values, dtype=np.float64), row.shape)
        used = value != 0
        self._entries.append((row[used], column[used], value[used]))
        return self

    @property
    def entries(self) -> tuple[Ints, Ints, Floats]:
        """Row, column and value of every entry."""
        if not self._entries:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
        row, column, value = (np.concatenate(part) for part in zip(*self._entries, strict=True))
        return row, column, value

    @property
    def limits(self) -> tuple[Floats, Floats]:
        """Lower and upper limit of every row."""
        shape = (len(self.labels),)
        return (
            np.broadcast_to(np.asarray(self.lower, dtype=float), shape),
            np.broadcast_to(np.asarray(self.upper, dtype=float), shape),
        )


Equation = Callable[["Variables"], Rows]
Term = Callable[["Variables"], tuple[Ints, Floats]]


Rule = TypeVar("Rule", bound=Callable[..., object])


class Register(dict[str, Rule]):
    """Rules by name, in the order in which they were defined."""

    def rule(self, function: Rule) -> Rule:
        """Register a rule under its function's name."""
        name = function.__name__
        if name in self:
            raise ValueError(f"'{name}' is defined twice")
        self[name] = function
        return function

    def words(self, name: str) -> str:
        """Return the docstring of a rule: words and mathematics."""
        return inspect.cleandoc(self[name].__doc__ or "")
