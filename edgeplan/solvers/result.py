"""What a solver returns, and what every solver looks like.

*Why it stopped* and *what you hold* are separate: a run may stop at its time limit with a plan,
with a bound, with both or with neither. Nothing has an optimistic default.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Protocol

from edgeplan.model.certificate import Certificate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.verify import relative_gap


class Stop(Enum):
    """Why a solver stopped."""

    COMPLETED = "completed"
    """It did all it set out to do: closed the gap, proved infeasibility, or built its plan."""
    TIME_LIMIT = "time limit"
    INTERRUPTED = "interrupted"
    WORK_LIMIT = "work limit"
    """It used up its allowance of states, nodes or iterations."""
    FAILED = "failed"
    """Something went wrong inside; see the message."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A moment in a solver's run; prices in the objective's units, ``None`` where unknown."""

    seconds: float
    incumbent: float | None
    bound: float | None

    @property
    def gap(self) -> float | None:
        """Relative gap between incumbent and bound."""
        return relative_gap(self.incumbent, self.bound)


@dataclass(frozen=True, kw_only=True)
class SolverResult:
    """What a solver claims; the planner prices the plan again.

    Parameters
    ----------
    stop
        Why it stopped.
    plan
        The best plan found, or ``None``.
    claimed_objective
        The solver's own price of that plan, or ``None``.
    bound
        A lower bound on the objective, or ``None``.
    infeasible
        Whether the solver claims that no plan exists.
    certificate
        On what bound or infeasibility stands; ``None`` where neither is claimed.
    solver
        Name and version.
    seconds
        Wall time.
    message
        For people: a failure's cause, counts.
    """

    stop: Stop
    plan: Plan | None
    claimed_objective: float | None
    bound: float | None
    infeasible: bool
    certificate: Certificate | None
    solver: str
    seconds: float
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Availability:
    """Whether a solver can be used here, its version, and how to install it where not."""

    available: bool
    version: str
    install: str


class Solver(Protocol):
    """A frozen dataclass: its fields are its options, its capabilities are data."""

    name: ClassVar[str]

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the solver can be used here."""
        ...

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for this solver; empty where it is."""
        ...

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Solve; ``start`` is a plan to begin from; setting ``stop`` ends it with what it has."""
        ...
