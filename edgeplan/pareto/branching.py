"""Small box programs by branch and bound on the relaxation, in place.

Where reduced costs have left few choices, a mixed-integer solver spends its time on getting ready.
Here the relaxation is solved again and again from its last basis with the bounds of a node, depth
first, until the box is settled or too many nodes were seen. What ends a node is computed from
duals, not taken on the solver's word.

Reference: Land, Doig, Econometrica 28 (1960); Dakin, The Computer Journal 8 (1965).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WHOLE = 1e-6
"""A value so near to a whole number is it; the rest is solved again with it fixed."""
BETTER = 1e-9
"""A node must promise to be better than the best plan by this share."""


class Relaxation(Protocol):
    """A relaxation that is solved for changing bounds of its columns."""

    def __call__(self, lower: Floats, upper: Floats, /) -> tuple[Floats, float, Floats] | None:
        """Return values, a proved bound and reduced costs; ``None`` where it is infeasible.

        Raises
        ------
        UnsureError
            Where neither is sure.
        """
        ...


class UnsureError(Exception):
    """The relaxation's answer is not good enough to build on, or the nodes are used up."""


@dataclass
class Branching:
    """A search over the bounds of whole columns.

    Parameters
    ----------
    relaxation
        Solves a node.
    integral
        Which columns are whole.
    most_nodes
        Nodes after which it gives up.
    ended
        Says whether it is to end early.
    """

    relaxation: Relaxation
    integral: NDArray[np.bool_]
    most_nodes: int
    ended: Callable[[], bool]
    best: Floats | None = None
    value: float = math.inf
    nodes: int = 0

    def run(self, lower: Floats, upper: Floats) -> None:
        """Find the best values within bounds; ``best`` stays ``None`` where there are none.

        Raises
        ------
        UnsureError
            Where it gives up; ``best`` is then what it found so far.
        """
        open_ = [(lower, upper)]
        while open_:
            lower, upper = open_.pop()
            self.nodes += 1
            if self.nodes > self.most_nodes or self.ended():
                raise UnsureError
            try:
                answer = self.relaxation(lower, upper)
            except UnsureError:
                # Too near to call. Parts of it may be clearer.
                free = self._free(lower, upper)
                if not len(free):
                    raise
                self._split(open_, lower, upper, int(free[0]), float(lower[free[0]]) + 0.5)
                continue
            if answer is None:
                continue
            values, bound, reduced = answer
            room = self.value - BETTER * abs(self.value) - bound if self.value < math.inf else None
            if room is not None and room <= 0:
                continue
            broken = np.where(self.integral, np.abs(values - np.rint(values)), 0.0)
            if broken.max(initial=0.0) <= WHOLE:
                if not self._settle(values, lower, upper):
                    # Whole only within tolerances: what else is there, with this taken apart?
                    free = self._free(lower, upper)
                    if not len(free):
                        raise UnsureError
                    most = int(free[values[free].argmax()])
                    at = max(float(np.rint(values[most])) - 0.5, float(lower[most]) + 0.5)
                    self._split(open_, lower, upper, most, at)
                continue
            if room is not None:
                still = self.integral & (upper > lower)
                upper = np.where(still & (reduced > room), lower, upper)
                lower = np.where(still & (-reduced > room), upper, lower)
            column = int(np.argmax(broken))
            self._split(open_, lower, upper, column, float(values[column]))

    def _split(
        self,
        open_: list[tuple[Floats, Floats]],
        lower: Floats,
        upper: Floats,
        column: int,
        value: float,
    ) -> None:
        """Put the two sides of a column's broken value on the stack, the nearer one on top."""
        down, up = upper.copy(), lower.copy()
        down[column], up[column] = math.floor(value), math.ceil(value)
        nodes = [(lower, down), (up, upper)]
        open_ += nodes if value - down[column] >= 0.5 else nodes[::-1]

    def _free(self, lower: Floats, upper: Floats) -> NDArray[np.int64]:
        """Return the whole columns that are not fixed."""
        return np.flatnonzero(self.integral & (upper > lower))

    def _settle(self, values: Floats, lower: Floats, upper: Floats) -> bool:
        """Take whole values as the best if they hold once they are exactly whole; say whether."""
        whole = np.rint(values)
        fixed = np.where(self.integral, whole, lower), np.where(self.integral, whole, upper)
        answer = self.relaxation(*fixed)
        if answer is None:
            return False
        found, bound, _ = answer
        if bound < self.value:
            self.best, self.value = np.where(self.integral, whole, found), bound
        return True
