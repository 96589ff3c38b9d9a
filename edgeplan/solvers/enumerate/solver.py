"""The enumerator as a solver: its options, what it supports, and what it answers."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.enumerate.search import Search
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.route_lists import count_replicas, count_routes
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "2"

MOST_COUNTS = 100_000
"""Most combinations of numbers of replicas; for each choice of routes all are looked at."""


@dataclass(frozen=True, kw_only=True)
class Enumerator:
    """Exact search over all discrete plans: one route per stream, and numbers of replicas.

    Parameters
    ----------
    limit
        Most states (routes priced and combinations looked at) that it will visit.
    route_limit
        Most routes of all streams together that it will price and hold, each size of batch
        counted; a route takes about 50 µs and half a kilobyte, with queues twice that.
    time_limit
        Seconds of wall time; ``None`` for none.

    Notes
    -----
    Depth-first branch and bound over the product of the streams' routes, in the order of the
    streams' route counts; then over the numbers of replicas of the devices that are on. A limit
    counts as met within the evaluator's relative tolerance of 1e-6: the optimum is that of the
    problem as the evaluator reads it.
    """

    name: ClassVar[str] = "enumerate"

    limit: int = 5_000_000
    route_limit: int = 200_000
    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say that it is always there."""
        return Availability(available=True, version=VERSION, install="")

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for enumeration; empty where it is."""
        other = "queueing" if problem.load_features else "highs"
        reasons = [
            f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and "
            f"fractions cannot be enumerated: use the solver '{other}'"
            for stream in problem.streams
            if stream.route_limit > 1
        ]
        routes = sum(
            count_routes(problem, stream) * len(problem.batch_sizes(stream))
            for stream in problem.streams
        )
        limit = min(self.limit, self.route_limit)
        if routes > limit:
            reasons.append(
                f"there are up to {_count(routes)} routes, more than the limit of {limit:,}: "
                f"use the solver '{other}' or raise the limit"
            )
        counts = count_replicas(problem)
        if counts > MOST_COUNTS:
            reasons.append(
                f"there are {_count(counts)} choices of numbers of replicas, more than "
                f"{MOST_COUNTS:,}: use the solver '{other}'"
            )
        return tuple(reasons)

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Search all plans.

        Parameters
        ----------
        problem
            The problem; see `unsupported`.
        start
            A plan to begin from; it counts if it is feasible.
        on_progress
            Called with each improvement of incumbent or bound.
        stop
            Setting it ends the search with what it has, as Ctrl-C does.

        Returns
        -------
        SolverResult
            Its bound is the optimum where the search was completed; else that of the part
            still open.

        Raises
        ------
        InputError
            If the start does not speak of this problem.
        SolverError
            If its sums and the evaluator's differ.
        """
        watch = Watch(self.time_limit, stop, self.limit)
        if reasons := self.unsupported(problem):
            return self._result(
                problem, watch, Stop.FAILED, None, None, "not supported: " + "; ".join(reasons)
            )
        search = Search(problem, watch, on_progress)
        ended: Stop | None = None
        try:
            if start is not None:
                search.offer(start)
            search.run()
        except EndedError as reason:
            ended = reason.stop
        except KeyboardInterrupt:
            ended = Stop.INTERRUPTED
            if search.plan is not None:
                # It may have come between two assignments.
                search.best = evaluate(problem, search.plan).objective
        bound = search.best if ended is None else search.bound
        return self._result(
            problem, watch, ended or Stop.COMPLETED, search, bound, search.summary()
        )

    def _result(
        self,
        problem: Problem,
        watch: Watch,
        stop: Stop,
        search: Search | None,
        bound: float | None,
        message: str,
    ) -> SolverResult:
        plan = None if search is None else search.plan
        infeasible = stop is Stop.COMPLETED and plan is None
        if bound is not None and not math.isfinite(bound):
            bound = None
        solver = f"{self.name} {VERSION}"
        replicas = " and every number of replicas" if count_replicas(problem) > 1 else ""
        certificate = Certificate(
            basis="enumerated",
            witnesses=(solver,),
            bounded=f"all plans of '{problem.name[:80]}' with one route per stream{replicas}",
            states=watch.states,
            tolerances=(("limits, relative", RELATIVE_TOLERANCE),),
        )
        return SolverResult(
            stop=stop,
            plan=plan,
            claimed_objective=None if search is None or plan is None else search.best,
            bound=bound,
            infeasible=infeasible,
            certificate=certificate if infeasible or bound is not None else None,
            solver=solver,
            seconds=watch.seconds,
            message=message,
        )


def _count(number: int) -> str:
    return f"{number:,}" if number < 10**12 else f"10^{len(str(number)) - 1}"
