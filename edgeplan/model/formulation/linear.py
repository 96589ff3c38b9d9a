"""Linear algebra of our own: the registered equations run on it as they run on Pyomo.

A rule of ``constraints.py`` or ``objective.py`` only adds, subtracts, scales and compares what
``program.model.NAME[index]`` gives it. With Pyomo that is a variable and the result a tree, which
costs some microseconds for each entry of the matrix to build and as much to walk. Here it is a
`Linear`, a flat tuple of columns and coefficients, and the result is a `Row` ready for the matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple, NoReturn

CONSTANT = -1
"""The column of a constant: it always has the value 1."""


class Linear(tuple[float, ...]):
    """A linear expression: column, coefficient, column, coefficient, and so on.

    A column may come several times (its coefficients add up), and `CONSTANT` is the column of what
    is no variable. It never changes: sums are new ones.

    Examples
    --------
    >>> x, y = variable(0), variable(1)
    >>> 2 * (x - 3 * y) + 1 <= 5
    Row(left=(0, 2.0, 1, -6.0, -1, 1), right=(), lower=-inf, upper=5)
    """

    __slots__ = ()
    __array_ufunc__ = None  # a NumPy number leaves the product to us

    def __repr__(self) -> str:
        return tuple.__repr__(self)

    def __add__(self, other: Any) -> Linear:  # a sum, no longer tuple
        if isinstance(other, Linear):
            return Linear(tuple.__add__(self, other))
        return Linear((*self, CONSTANT, _number(other))) if other else self

    def __radd__(self, other: Any) -> Linear:
        return Linear((CONSTANT, _number(other), *self)) if other else self

    def __neg__(self) -> Linear:
        return self * -1.0

    def __sub__(self, other: Any) -> Linear:
        if other.__class__ is Linear and len(other) == 2:  # a variable, mostly
            return Linear((*self, other[0], -other[1]))
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Linear:
        return (-self).__radd__(other)

    def __mul__(self, other: Any) -> Linear:  # a product, no repetition
        factor = other if other.__class__ is float else _number(other)
        if len(self) == 2:
            return Linear((self[0], factor * self[1]))
        scaled = list(self)
        scaled[1::2] = [factor * coefficient for coefficient in self[1::2]]
        return Linear(scaled)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Linear:
        divisor = _number(other)
        divided = list(self)
        divided[1::2] = [coefficient / divisor for coefficient in self[1::2]]
        return Linear(divided)

    def __le__(self, other: Any) -> Row:  # type: ignore[override]  # a row, no truth value
        if isinstance(other, Linear):
            return Row(self, other, -_INFINITY, 0.0)
        return Row(self, _NOTHING, -_INFINITY, _number(other))

    def __ge__(self, other: Any) -> Row:  # type: ignore[override]  # as above
        if isinstance(other, Linear):
            return Row(other, self, -_INFINITY, 0.0)
        return Row(self, _NOTHING, _number(other), _INFINITY)

    def __eq__(self, other: object) -> Row:  # type: ignore[override]  # as above
        if isinstance(other, Linear):
            return Row(self, other, 0.0, 0.0)
        side = _number(other)
        return Row(self, _NOTHING, side, side)

    def __lt__(self, other: object) -> NoReturn:
        raise TypeError("a row is <=, >= or ==")

    __gt__ = __lt__
    __ne__ = __lt__
    __hash__ = None  # type: ignore[assignment]  # equal to nothing: == makes a row


class Row(NamedTuple):
    """A row lower ≤ left − right ≤ upper, as a comparison of linear expressions makes it.

    Parameters
    ----------
    left, right
        Columns and coefficients; constants in them count against the limits.
    lower, upper
        Limits, infinite for none.
    """

    left: Linear
    right: Linear
    lower: float
    upper: float


def variable(column: int) -> Linear:
    """Return the variable of a column."""
    return Linear((column, 1.0))


def total(terms: Iterable[Any]) -> Any:
    """Return the sum of terms, as ``sum`` does: of Pyomo's, of numbers, or of `Linear` ones.

    A sum of linear expressions is put together at once, and not one by one.

    Examples
    --------
    >>> total(variable(column) for column in range(3))
    (0, 1.0, 1, 1.0, 2, 1.0)
    >>> total([1, 2.5])
    3.5
    """
    found = list(terms)
    if found and found[0].__class__ is Linear and set(map(type, found)) == {Linear}:
        return Linear(chain.from_iterable(found))
    return sum(found)


def pairs(expression: Linear) -> Iterator[tuple[int, float]]:
    """Yield (column, coefficient) as they stand."""
    return zip(map(int, expression[::2]), expression[1::2], strict=True)


_INFINITY = float("inf")
_NOTHING = Linear()


def _number(value: Any) -> float:
    """Return a number; of anything else a row would not be linear."""
    if isinstance(value, Linear) or not hasattr(value, "__float__"):
        raise ValueError(f"not linear: a factor or limit is a {type(value).__name__}")
    return value  # type: ignore[no-any-return]  # a number of any kind
