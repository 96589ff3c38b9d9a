"""The search: routes of the streams combined depth first, with bounds.

It shares nothing with the formulation or with any other solver. Routes are priced one by one
by the evaluator; then the streams' routes are combined. A combination is left out only where
nothing in it can be both feasible and better than the plan in hand:

* every limit that couples streams (memory, busy time, power, money) only fills up as streams
  are added, so a partial plan that exceeds one never recovers. What the streams still to come
  use at the very least counts too;
* what the streams still to come add to the objective at the very least is known;
* queues only grow, and so do latencies and percentiles (`crowd`).

Each plan that would become the incumbent is priced by `evaluate` first, which has the last word
on its limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.enumerate.crowd import Chosen, Crowd, Load
from edgeplan.solvers.enumerate.limits import SLACK, Bools, Floats, Limits
from edgeplan.solvers.enumerate.rows import Routes, price_routes
from edgeplan.solvers.result import Progress
from edgeplan.solvers.route_costs import on_objective
from edgeplan.solvers.watch import Watch


@dataclass(frozen=True)
class _Partial:
    """Routes of the first streams and what they add up to.

    ``rows`` holds the rows picked; ``objective`` and ``used`` are without queues and without what
    devices use by being ``on``; ``weights`` and ``activations`` are bytes per device.
    """

    rows: tuple[int, ...]
    objective: float
    used: Floats
    on: Bools
    weights: Floats
    activations: Floats
    load: Load | None


class Search:
    """The search's state: the incumbent, the bound, and where it is.

    Parameters
    ----------
    problem
        What is to be planned; no stream of it may be split.
    watch
        Counts states and ends the search.
    on_progress
        Called with each improvement of incumbent or bound.
    """

    def __init__(
        self, problem: Problem, watch: Watch, on_progress: Callable[[Progress], None] | None
    ) -> None:
        self.problem = problem
        self.watch = watch
        self.on_progress = on_progress
        self.plan: Plan | None = None
        self.best = math.inf
        self.bound = -math.inf
        self.priced = 0
        self.streams: list[Routes] = []
        self.on_objective = np.array([on_objective(problem, d) for d in problem.devices])
        self.limits = Limits(problem)
        self.crowd = Crowd(problem, self.limits) if problem.load_features else None
        # The price of a busy share of 1 of what the period is the largest of.
        self.period_price = problem.objective.period_price / problem.total_rate
        self.memory = np.array(
            [device.memory_bytes * (1 + RELATIVE_TOLERANCE) for device in problem.devices]
        )

    def summary(self) -> str:
        """Return what was done, for people."""
        routes = ", ".join(f"{len(s)} of '{s.stream.name[:80]}'" for s in self.streams)
        return (
            f"{self.watch.states:,} states; {self.priced:,} routes priced; able to run in time: "
            f"{routes or 'not all priced'}"
        )

    def offer(self, plan: Plan) -> None:
        """Take a plan as the incumbent if the evaluator finds it feasible and cheaper."""
        evaluation = evaluate(self.problem, plan)
        if evaluation.feasible and evaluation.objective < self.best:
            self.plan, self.best = plan, evaluation.objective
            self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    seconds=self.watch.seconds,
                    incumbent=self.best if self.plan is not None else None,
                    bound=self.bound if math.isfinite(self.bound) else None,
                )
            )

    def run(self) -> None:
        """Search all plans.

        Raises
        ------
        EndedError
            Where the watch ends it.
        SolverError
            If a sum differs from the evaluator's.
        """
        streams = []
        for stream in self.problem.streams:
            routes = price_routes(self.problem, stream, self.limits, self.crowd, self.watch)
            self.priced += routes.priced
            streams.append(routes)
        # The stream with the fewest routes first: what it excludes is excluded early.
        streams.sort(key=len)
        self.streams = streams
        if not all(len(routes) for routes in streams):
            return
        # What the streams from each depth on add at the very least.
        columns, devices = len(self.limits.most), len(self.problem.devices)
        nothing = None
        if self.crowd is not None:
            nothing = Load(*np.zeros((3, len(self.crowd.resources))))
        self.least_objective = [0.0] * (len(streams) + 1)
        self.least_used = [np.zeros(columns) for _ in range(len(streams) + 1)]
        self.least_load: list[Load | None] = [nothing] * (len(streams) + 1)
        for depth in reversed(range(len(streams))):
            routes = streams[depth]
            least = self.least_objective[depth + 1] + float(routes.least.min())
            self.least_objective[depth] = least
            self.least_used[depth] = self.least_used[depth + 1] + routes.used.min(axis=0)
            after = self.least_load[depth + 1]
            if routes.visitors is not None and after is not None:
                self.least_load[depth] = after + routes.visitors.load.at_least()
        self.bound = min(self.least_objective[0], self.best)
        self._report()
        self.kept = {
            network.name: np.zeros(devices * len(network.layers), dtype=np.bool_)
            for network in self.problem.networks
        }
        self._extend(
            _Partial(
                rows=(),
                objective=0.0,
                used=np.zeros(columns),
                on=np.zeros(devices, dtype=np.bool_),
                weights=np.zeros(devices),
                activations=np.zeros(devices),
                load=nothing,
            )
        )

    def _extend(self, part: _Partial) -> None:
        """Add a route of the next stream to a partial plan, in every way that may pay."""
        depth = len(part.rows)
        routes = self.streams[depth]
        last = depth + 1 == len(self.streams)
        self.watch.visit(len(routes))
        on_now = part.on | routes.on
        used_now = part.used + routes.used
        objective_now = part.objective + routes.objective
        bounds = objective_now + self.least_objective[depth + 1]
        taken = used_now + on_now @ self.limits.on + self.least_used[depth + 1]
        load_now = None
        holds = np.ones(len(routes), dtype=np.bool_)
        if self.crowd is None:
            bounds += on_now @ self.on_objective
        else:
            after = self.least_load[depth + 1]
            assert part.load is not None
            assert after is not None
            assert routes.visitors is not None
            load_now = part.load + routes.visitors.load
            price, waits, holds = self.crowd.least(load_now + after, on_now)
            bounds += price
            in_time, waiting = self.crowd.in_time(self._chosen(part.rows), routes.visitors, waits)
            holds &= in_time
            taken += waiting
        if self.limits.loading.any():
            share = (used_now + self.least_used[depth + 1])[:, self.limits.loading]
            bounds += self.period_price * share.max(axis=1)
        kept = self.kept[routes.stream.network]
        weights_now = part.weights + self._new_weights(routes, kept)
        activations_now = np.maximum(part.activations, routes.activations)
        fits = holds & (taken <= self.limits.most).all(axis=1)
        fits &= (weights_now + activations_now <= self.memory).all(axis=1)
        if self.crowd is not None and routes.visitors is not None:
            fits &= bounds < self.best
            self.crowd.check_tails(self._chosen(part.rows), routes.visitors, fits)
        rows = np.flatnonzero(fits)
        for row in rows[np.argsort(bounds[rows], kind="stable")]:
            bound = float(bounds[row])
            if depth == 0:
                # The rows are in the order of their bounds: nothing below this one is open.
                self._raise_bound(bound)
            if bound >= self.best:
                break
            chosen = _Partial(
                rows=(*part.rows, int(row)),
                objective=float(objective_now[row]),
                used=used_now[row],
                on=on_now[row],
                weights=weights_now[row],
                activations=activations_now[row],
                load=None if load_now is None else load_now.of(row),
            )
            if last:
                if self._settle(chosen, bound):
                    break
                continue
            self.kept[routes.stream.network] = kept | routes.kept[row]
            self._extend(chosen)
            self.kept[routes.stream.network] = kept

    def _chosen(self, rows: tuple[int, ...]) -> Chosen:
        """Return the streams picked for, with their rows."""
        streams = zip(self.streams, rows, strict=False)
        return [(routes.visitors, row) for routes, row in streams if routes.visitors is not None]

    def _new_weights(self, routes: Routes, kept: Bools) -> Floats:
        """Return the bytes that each route adds to each device; weights are stored once."""
        layers = len(kept) // len(self.memory)
        added = np.zeros((len(routes), len(self.memory)))
        for device in np.flatnonzero(np.isfinite(self.memory)):
            here = slice(device * layers, (device + 1) * layers)
            added[:, device] = (routes.kept[:, here] & ~kept[here]) @ routes.weights[here]
        return added

    def _raise_bound(self, bound: float) -> None:
        if (bound := min(bound, self.best)) > self.bound:
            self.bound = bound
            self._report()

    def _settle(self, part: _Partial, bound: float) -> bool:
        """Finish a plan whose routes are chosen; say whether no later row can be better.

        ``bound`` is its objective where there are no numbers of replicas to choose.
        """
        if self.crowd is None:
            return self._accept(part.rows, bound, {})
        assert part.load is not None
        for objective, replicas in self.crowd.replicas(
            self._chosen(part.rows),
            part.load,
            part.on,
            part.used,
            part.objective,
            self.period_price,
            self.best,
        ):
            if self._accept(part.rows, objective, replicas):
                return not len(self.crowd.choice)
        return False

    def _accept(self, rows: tuple[int, ...], objective: float, replicas: Mapping[str, int]) -> bool:
        """Let the evaluator decide on a complete plan; say whether it is the new incumbent."""
        self.watch.visit(1)
        plan = Plan(
            routes={
                routes.stream.name: (routes.routes[row],)
                for routes, row in zip(self.streams, rows, strict=True)
            },
            replicas=replicas,
        )
        evaluation = evaluate(self.problem, plan)
        self._compare(objective, evaluation)
        if not evaluation.feasible:
            return False
        if evaluation.objective < self.best:
            self.plan, self.best = plan, evaluation.objective
            self._report()
        # Equal to the last digits: nothing after it in this order is better.
        return True

    def _compare(self, objective: float, evaluation: Evaluation) -> None:
        scale = max(abs(objective), abs(evaluation.objective))
        if abs(objective - evaluation.objective) > SLACK * scale:
            raise SolverError(
                f"enumerate: the search adds a plan up to {objective:.17g}, the evaluator "
                f"to {evaluation.objective:.17g}"
            )
        # Where only rounding lets a plan pass here, the evaluator has the last word; more would
        # be a mistake of one of the two.
        for violation in evaluation.violations:
            if violation.value is None or violation.limit is None:
                raise SolverError(f"enumerate: {violation.place}: {violation.message}")
            allowed = violation.limit * (1 + RELATIVE_TOLERANCE)
            if violation.value > allowed * (1 + 10 * SLACK):
                raise SolverError(f"enumerate: {violation.place}: {violation.message}")
