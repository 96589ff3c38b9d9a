"""What a solver of box programs is: the least weighted sum of the objectives below limits."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass
from typing import Protocol

from edgeplan.model.plan import Plan

Vector = tuple[float, ...]


class BoxStatus(enum.StrEnum):
    """What became of a box program."""

    EMPTY = "empty"
    """No plan lies in the box."""
    PLAN = "plan"
    """The best plan of the box is known."""
    LIMIT = "limit"
    """It ended before either was shown."""


@dataclass(frozen=True, kw_only=True)
class Box:
    """min weights · y over the plans whose image y is at most the limits.

    Parameters
    ----------
    limits
        Per objective, in SI units; ``inf`` for none.
    weights
        Per objective, per SI unit; not negative, at least one positive.
    start
        A plan that is known to lie in the box, or ``None``.
    time_limit
        Seconds, ``None`` for none.
    """

    limits: Vector
    weights: Vector
    start: Plan | None = None
    time_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class BoxResult:
    """The answer to a box program.

    Parameters
    ----------
    status
        What became of it.
    plan
        The best plan where the status is ``plan``; any that was found where it is ``limit``.
    mips
        Mixed-integer programs solved for it; 0 where its relaxation was enough.
    message
        For people.
    """

    status: BoxStatus
    plan: Plan | None = None
    mips: int = 0
    message: str = ""


class Boxes(Protocol):
    """A solver of box programs of one problem, for given objectives."""

    @property
    def steps(self) -> Vector:
        """A number per objective of which every value is a multiple, but for an offset; else 0."""
        ...

    @property
    def highest(self) -> Vector:
        """No value of an objective is above it; ``inf`` where none is known."""
        ...

    @property
    def exact(self) -> bool:
        """Whether its plans are all that there are: no fractions."""
        ...

    def solve(self, box: Box, stop: threading.Event | None = None) -> BoxResult:
        """Solve a box program.

        Parameters
        ----------
        box
            The program.
        stop
            Ends it when it is set.
        """
        ...
