"""The greedy rule: streams choose in turn, the heaviest first."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.baselines.baseline import Baseline, nothing, priced
from edgeplan.solvers.baselines.candidates import Candidate, permitted, tried_routes
from edgeplan.solvers.baselines.crowd import Crowd
from edgeplan.solvers.baselines.replicas import with_best_replicas
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.route_costs import on_objective
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "1"

_TRIES = 300
"""The greedy rule gives a stream up after so many routes that do not fit …"""
_TRIES_WITH_REPLICAS = 20
"""… or after so many where numbers of replicas are sought for each."""
_FEW_STREAMS = 12
"""With more streams placed, numbers of replicas are sought once, at the end."""


def greedy(problem: Problem) -> Baseline:
    """Let the streams choose in turn, the heaviest first, each the cheapest route that fits.

    Load is rate × the least compute time of the stream's routes. Routes are whole devices and
    single cuts between any two devices; a layer that may not run where such a route wants it
    stays where the layer before it ran. Cheapest is the least increase of the objective, with
    what newly used devices cost for being on and, where requests wait, what all wait longer. A
    route fits where the streams placed so far break no limit by the evaluator, at numbers of
    replicas that suit them. A stream that nothing fits takes its cheapest route, and the
    baseline is not feasible.
    """
    return _greedy(problem, lambda: None)


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The greedy rule as a solver: a plan at once, without a bound.

    Parameters
    ----------
    time_limit
        Seconds of wall time; ``None`` for none.
    """

    name: ClassVar[str] = "greedy"

    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say that it is always there."""
        return Availability(available=True, version=VERSION, install="")

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return nothing: every problem is supported (streams are not split)."""
        return ()

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Build a plan by the greedy rule; a feasible ``start`` that is better is kept."""
        watch = Watch(self.time_limit, stop)
        best: Plan | None = None
        price: float | None = None
        message = ""
        ended = Stop.COMPLETED

        def offer(plan: Plan, evaluation: Evaluation) -> None:
            nonlocal best, price
            if evaluation.feasible and (price is None or evaluation.objective < price):
                best, price = plan, evaluation.objective
                if on_progress is not None:
                    seconds = watch.seconds
                    on_progress(Progress(seconds=seconds, incumbent=price, bound=None))

        if start is not None:
            offer(start, evaluate(problem, start))
        try:
            built = _greedy(problem, watch.check)
            message = built.why
            if built.plan is not None and built.evaluation is not None:
                offer(built.plan, built.evaluation)
        except EndedError as reason:
            ended = reason.stop
        except KeyboardInterrupt:
            ended = Stop.INTERRUPTED
        return SolverResult(
            stop=ended,
            plan=best,
            claimed_objective=price,
            bound=None,
            infeasible=False,
            certificate=None,
            solver=f"{self.name} {VERSION}",
            seconds=watch.seconds,
            message=message,
        )


def _greedy(problem: Problem, watch: Callable[[], None]) -> Baseline:
    options: dict[str, list[Candidate]] = {}
    load: dict[str, float] = {}
    for stream in problem.streams:
        watch()
        candidates = permitted(problem, stream, tried_routes(problem, stream), watch)
        if not candidates:
            return nothing("greedy", stream, "no route that was tried")
        options[stream.name] = candidates
        load[stream.name] = stream.rate_per_second * min(c.compute for c in candidates)

    table = _Table(problem)
    for stream in sorted(problem.streams, key=lambda s: -load[s.name]):
        table.place(stream, options[stream.name], watch)
    plan = with_best_replicas(problem, Plan(routes=table.routes), watch)
    return priced("greedy", problem, plan)


class _Table:
    """The streams placed so far."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.placed: list[Stream] = []
        self.routes: dict[str, tuple[Route, ...]] = {}
        self.on: set[str] = set()
        self.loads: dict[str, float] = {}
        self.crowd = Crowd(problem)
        self.broken = False
        self.price_on = {device.name: on_objective(problem, device) for device in problem.devices}

    def place(self, stream: Stream, candidates: list[Candidate], watch: Callable[[], None]) -> None:
        """Give the next stream its route: the cheapest that fits, or that where none does."""
        self.placed.append(stream)
        ordered = sorted(candidates, key=lambda each: (self.increase(stream, each), each.objective))
        # Limits are per unit of time or per stream: streams to come make none of them looser.
        sofar = dataclasses.replace(self.problem, streams=tuple(self.placed))
        fitting = (
            candidate
            for candidate in ordered[: self.tries]
            if self.fits(sofar, stream, candidate, watch)
        )
        # Once a stream has broken a limit, nothing that comes mends it.
        chosen = None if self.broken else next(fitting, None)
        self.broken = chosen is None
        chosen = chosen or ordered[0]
        self.routes[stream.name] = (Route(devices=chosen.devices),)
        self.on.update(chosen.devices)
        self.crowd.add(stream, chosen)
        for name, seconds in chosen.loads.items():
            self.loads[name] = self.loads.get(name, 0.0) + seconds

    @property
    def tries(self) -> int:
        chooses = any(len(device.replica_range) > 1 for device in self.problem.devices)
        return _TRIES_WITH_REPLICAS if chooses else _TRIES

    def increase(self, stream: Stream, candidate: Candidate) -> float:
        """Return what a route adds to the objective, given the streams placed so far."""
        loads = self.loads
        loaded = {name: load + candidate.loads.get(name, 0.0) for name, load in loads.items()}
        period = max((candidate.loads | loaded).values(), default=0.0)
        if self.problem.load_features:
            switched = self.crowd.added(stream, candidate)
        else:
            switched = math.fsum(self.price_on[d] for d in set(candidate.devices) - self.on)
        return candidate.objective + switched + self.problem.objective.period_price * period

    def fits(
        self, sofar: Problem, stream: Stream, candidate: Candidate, watch: Callable[[], None]
    ) -> bool:
        """Say whether the streams so far, with a route for the last, can keep every limit."""
        watch()
        plan = Plan(
            routes={**self.routes, stream.name: (Route(devices=candidate.devices),)},
            replicas=self.crowd.replicas(stream, candidate),
        )
        if evaluate(sofar, plan).feasible:
            return True
        if not plan.replicas or len(self.placed) > _FEW_STREAMS:
            return False
        return evaluate(sofar, with_best_replicas(sofar, plan, watch)).feasible
