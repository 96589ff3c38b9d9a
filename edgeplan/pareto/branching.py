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
            answer = self.relaxation(lower, upper)
            if answer is None:
                continue
            values, bound, reduced = answer
            room = self.value - BETTER * abs(self.value) - bound if self.value < math.inf else None
            if room is not None and room <= 0:
                continue
            broken = np.where(self.integral, np.abs(values - np.rint(values)), 0.0)
            if broken.max(initial=0.0) <= WHOLE:
                self._settle(values, lower, upper)
                continue
            if room is not None:
                free = self.integral & (upper > lower)
                upper = np.where(free & (reduced > room), lower, upper)
                lower = np.where(free & (-reduced > room), upper, lower)
            column = int(np.argmax(broken))
            down, up = upper.copy(), lower.copy()
            down[column] = math.floor(values[column])
            up[column] = math.ceil(values[column])
            nodes = [(lower, down), (up, upper)]
            # The nearer side first: it comes off the stack next.
            open_ += nodes if values[column] - down[column] >= 0.5 else nodes[::-1]

    def _settle(self, values: Floats, lower: Floats, upper: Floats) -> None:
        """Take whole values as the best where they hold, once they are exactly whole."""
        whole = np.rint(values)
        fixed = np.where(self.integral, whole, lower), np.where(self.integral, whole, upper)
        answer = self.relaxation(*fixed)
        if answer is None:
            # Whole only within tolerances: what these values hide cannot be told apart here.
            raise UnsureError
        found, bound, _ = answer
        if bound < self.value:
            self.best, self.value = np.where(self.integral, whole, found), bound
