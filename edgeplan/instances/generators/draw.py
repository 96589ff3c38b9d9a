"""Random values with three significant digits, as Python numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

_T = TypeVar("_T")


class Draw:
    """Random values with three significant digits, as Python numbers.

    Parameters
    ----------
    seed
        Of every choice; several numbers give choices apart from those of each of them.
    """

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(seed[0] if len(seed) == 1 else seed)

    def chance(self, probability: float) -> bool:
        """Say yes with a probability."""
        return bool(self._rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """Draw a whole number, both ends included."""
        return int(self._rng.integers(low, high + 1))

    def uniform(self, low: float, high: float) -> float:
        """Draw evenly."""
        return round3(float(self._rng.uniform(low, high)))

    def log(self, low: float, high: float) -> float:
        """Draw evenly on a logarithmic scale."""
        return round3(math.exp(float(self._rng.uniform(math.log(low), math.log(high)))))

    def bytes(self, low: float, high: float) -> int:
        """Draw a whole number evenly on a logarithmic scale."""
        return int(self.log(low, high))

    def pick(self, items: Sequence[_T]) -> _T:
        """Draw one of the items."""
        return items[int(self._rng.integers(len(items)))]


def round3(value: float) -> float:
    """Return the value with three significant digits.

    Examples
    --------
    >>> round3(0.0123456), round3(98765.0)
    (0.0123, 98800.0)
    """
    return float(f"{value:.3g}")


def ceil3(value: float) -> float:
    """Return a value of three significant digits that is not below."""
    rounded = round3(value)
    return rounded if rounded >= value else round3(value * 1.005)
