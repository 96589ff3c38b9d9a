"""Contiguous throughput on a graph, exactly, by dynamic programming over its ideals."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.pipeline.arrays import Ints
from edgeplan.solvers.pipeline.ideal_program import (
    IDEALS_LIMIT,
    ContiguousOutcome,
    solve_contiguous,
)
from edgeplan.solvers.pipeline.problem import (
    assignment_of,
    check,
    largest_period,
    pipeline_of,
    plan_of,
    reasons_against,
)
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop

VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class Ideals:
    """The highest throughput of one stream whose devices each hold a contiguous part.

    Parameters
    ----------
    limit
        Most ideals (sets of layers that hold all that their layers read) that it will list.
    time_limit
        Seconds of wall time; ``None`` for none.

    Notes
    -----
    See `edgeplan.solvers.pipeline.ideal_program`. A memory limit counts as met within the
    evaluator's relative tolerance of 1e-6.
    """

    name: ClassVar[str] = "ideals"

    limit: int = IDEALS_LIMIT
    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say that it is always there."""
        return Availability(available=True, version=VERSION, install="")

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for it; empty where it is."""
        reasons = list(reasons_against(problem))
        if not problem.contiguous:
            reasons.append("plans need not be contiguous")
        return tuple(f"{reason}: use the solver 'cp-sat' or 'highs'" for reason in reasons)

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Find the best contiguous plan.

        Parameters
        ----------
        problem
            The problem; see `unsupported`.
        start
            A plan to begin from; it counts if it is feasible.
        on_progress
            Called with each improvement.
        stop
            Setting it ends the search with what it has, as Ctrl-C does.

        Returns
        -------
        SolverResult
            Its bound is the optimum where the search was completed; else that of sharing all
            work evenly, without transfers.

        Raises
        ------
        InputError
            If the start does not speak of this problem.
        """
        began = time.monotonic()
        if start is not None:
            start.check(problem)
        if reasons := self.unsupported(problem):
            message = "not supported: " + "; ".join(reasons)
            return self._result(problem, began, None, None, None, message)
        pipeline = pipeline_of(problem)
        price = problem.objective.period_price
        hint: Ints | None = None
        if start is not None and evaluate(problem, start).feasible:
            hint = assignment_of(problem, pipeline, start)

        def report(value: float, bound: float) -> None:
            if on_progress is not None:
                known = value * price if math.isfinite(value) else None
                seconds = time.monotonic() - began
                on_progress(Progress(seconds=seconds, incumbent=known, bound=bound * price))

        outcome = solve_contiguous(
            pipeline,
            hint=hint,
            limit=self.limit,
            time_limit=self.time_limit,
            stop=stop,
            on_progress=report,
        )
        message = (
            f"{outcome.ideals:,} ideals, {outcome.states:,} states, "
            f"{outcome.transitions:,} transitions"
        )
        if outcome.stop is Stop.WORK_LIMIT:
            message = (
                f"more than {self.limit:,} ideals, or too many states of used devices: use the "
                "solver 'cp-sat' or raise the limit"
            )
        plan = None
        if outcome.assignment is not None:
            plan = plan_of(problem, pipeline, outcome.assignment)
            check(problem, plan, outcome.value)
            # Limits on the period are met by the best plan or by none.
            if outcome.value > largest_period(problem):
                plan = None
        return self._result(problem, began, outcome, plan, price, message)

    def _result(
        self,
        problem: Problem,
        began: float,
        outcome: ContiguousOutcome | None,
        plan: Plan | None,
        price: float | None,
        message: str,
    ) -> SolverResult:
        stop = Stop.FAILED if outcome is None else outcome.stop
        infeasible = stop is Stop.COMPLETED and plan is None
        bound = None
        states = None
        if outcome is not None and price is not None:
            states = outcome.states
            bound = outcome.bound * price
            if infeasible or not math.isfinite(bound):
                bound = None
        solver = f"{self.name} {VERSION}"
        certificate = Certificate(
            basis="enumerated",
            witnesses=(solver,),
            bounded=f"all contiguous plans of '{problem.name[:80]}'",
            states=states,
            tolerances=(("limits, relative", RELATIVE_TOLERANCE),),
        )
        return SolverResult(
            stop=stop,
            plan=plan,
            claimed_objective=None if plan is None else evaluate(problem, plan).objective,
            bound=bound,
            infeasible=infeasible,
            certificate=certificate if infeasible or bound is not None else None,
            solver=solver,
            seconds=time.monotonic() - began,
            message=message,
        )
