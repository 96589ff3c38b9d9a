"""The enumerator: every discrete plan, by exhaustive search with bounds. The oracle.

It shares nothing with the formulation or with any other solver. Routes are priced one by one
by the evaluator; then the streams' routes are combined depth first. A combination is left out
only where nothing in it can be both feasible and better than the plan in hand:

* every limit that couples streams (memory, busy time, power, money) only fills up as streams
  are added, so a partial plan that exceeds one never recovers. What the streams still to come
  use at the very least counts too;
* what the streams still to come add to the objective at the very least is known.

Each plan that would become the incumbent is priced by `evaluate` first, which has the last word
on its limits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import (
    RELATIVE_TOLERANCE,
    Evaluation,
    RoutePrice,
    evaluate,
    route_price,
)
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.route_costs import (
    on_dollars_per_second,
    on_objective,
    on_watts,
    route_dollars,
    route_objective,
)
from edgeplan.solvers.route_lists import count_routes, enumerate_routes
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "1"

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The search's own sums may differ from the evaluator's in their last digits. It lets so much
# more pass, and leaves the decision to the evaluator.
_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class Enumerator:
    """Exact search over all discrete plans (one route per stream).

    Parameters
    ----------
    limit
        Most states (routes priced and combinations looked at) that it will visit.
    route_limit
        Most routes of all streams together that it will price and hold; a route takes about
        50 µs and half a kilobyte.
    time_limit
        Seconds of wall time; ``None`` for none.

    Notes
    -----
    Depth-first branch and bound over the product of the streams' routes, in the order of the
    streams' route counts. A limit counts as met within the evaluator's relative tolerance of
    1e-6: the optimum is that of the problem as the evaluator reads it.
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
        reasons = list(load_reasons(problem))
        reasons += [
            f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and "
            "fractions cannot be enumerated: use the solver 'highs'"
            for stream in problem.streams
            if stream.route_limit > 1
        ]
        routes = sum(count_routes(problem, stream) for stream in problem.streams)
        limit = min(self.limit, self.route_limit)
        if routes > limit:
            reasons.append(
                f"there are up to {_count(routes)} routes, more than the limit of {limit:,}: "
                "use the solver 'highs' or raise the limit"
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
        search = _Search(problem, watch, on_progress)
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
        search: _Search | None,
        bound: float | None,
        message: str,
    ) -> SolverResult:
        plan = None if search is None else search.plan
        infeasible = stop is Stop.COMPLETED and plan is None
        if bound is not None and not math.isfinite(bound):
            bound = None
        solver = f"{self.name} {VERSION}"
        certificate = Certificate(
            basis="enumerated",
            witnesses=(solver,),
            bounded=f"all plans of '{problem.name[:80]}' with one route per stream",
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


@dataclass(frozen=True)
class _Routes:
    """The routes of a stream that can run and meet its own deadline, cheapest first.

    Rows are routes. ``kept`` has a column per (device, layer) pair, device by device, and
    ``weights`` their bytes; ``used`` has a column per coupling limit.
    """

    stream: Stream
    devices: list[tuple[str, ...]]
    objective: Floats
    used: Floats
    on: Bools
    kept: Bools
    weights: Floats
    activations: Floats

    def __len__(self) -> int:
        return len(self.devices)


class _Search:
    """The search's state: the incumbent, the bound, and where it is."""

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
        self.streams: list[_Routes] = []
        self.on_objective = np.array([on_objective(problem, d) for d in problem.devices])
        limits, on_used = _limits(problem)
        loading = _loading(problem)
        self.limited = np.isfinite(limits) | loading
        # What the period is the largest of, and the price of a busy share of 1 of these.
        self.loading = loading[self.limited]
        self.period_price = problem.objective.period_price / problem.total_rate
        self.limits, self.on_used = limits[self.limited], on_used[:, self.limited]
        self.memory = np.array(
            [device.memory_bytes * (1 + RELATIVE_TOLERANCE) for device in problem.devices]
        )

    def summary(self) -> str:
        routes = ", ".join(f"{len(s)} of '{s.stream.name[:80]}'" for s in self.streams)
        return (
            f"{self.watch.states:,} states; {self.priced:,} routes priced; able to run in time: "
            f"{routes or 'not all priced'}"
        )

    def offer(self, plan: Plan) -> bool:
        """Take a plan as the incumbent if the evaluator finds it feasible and cheaper."""
        evaluation = evaluate(self.problem, plan)
        if not evaluation.feasible or not evaluation.objective < self.best:
            return False
        self.plan, self.best = plan, evaluation.objective
        self.report()
        return True

    def report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    seconds=self.watch.seconds,
                    incumbent=self.best if self.plan is not None else None,
                    bound=self.bound if math.isfinite(self.bound) else None,
                )
            )

    def run(self) -> None:
        streams = [self._price(stream) for stream in self.problem.streams]
        # The stream with the fewest routes first: what it excludes is excluded early.
        streams.sort(key=len)
        self.streams = streams
        if not all(len(routes) for routes in streams):
            return
        # What the streams from each depth on add at the very least.
        count = len(self.limits)
        self.least_objective = [0.0] * (len(streams) + 1)
        self.least_used = [np.zeros(count) for _ in range(len(streams) + 1)]
        for depth in reversed(range(len(streams))):
            routes = streams[depth]
            least = self.least_objective[depth + 1] + float(routes.objective.min())
            self.least_objective[depth] = least
            self.least_used[depth] = self.least_used[depth + 1] + routes.used.min(axis=0)
        self.bound = min(self.least_objective[0], self.best)
        self.report()
        devices = len(self.problem.devices)
        self.kept = {
            network.name: np.zeros(devices * len(network.layers), dtype=np.bool_)
            for network in self.problem.networks
        }
        self._extend((), 0.0, np.zeros(count), np.zeros(devices, np.bool_), *np.zeros((2, devices)))

    def _price(self, stream: Stream) -> _Routes:
        """Price each route of a stream once, by the evaluator."""
        problem = self.problem
        network = problem.network[stream.network]
        position = {device.name: index for index, device in enumerate(problem.devices)}
        layers = len(network.layers)
        rows: list[tuple[float, tuple[str, ...], Floats]] = []
        for devices in enumerate_routes(problem, stream):
            self.watch.visit(1)
            if problem.contiguous and quotient_cycle(network, devices):
                continue
            self.priced += 1
            price = route_price(problem, stream, Route(devices=devices))
            latest = stream.deadline_seconds * (1 + RELATIVE_TOLERANCE)
            if not math.isfinite(price.latency_seconds) or price.latency_seconds > latest:
                continue
            objective = route_objective(problem, stream, price)
            rows.append((objective, devices, _used(problem, stream, price)[self.limited]))
        rows.sort(key=lambda row: row[0])
        kept = np.zeros((len(rows), len(position) * layers), dtype=np.bool_)
        for row, (_, devices, _) in enumerate(rows):
            kept[row, [position[d] * layers + index for index, d in enumerate(devices)]] = True
        placed = kept.reshape(len(rows), len(position), layers)
        activation = np.array([layer.activation_bytes for layer in network.layers], dtype=float)
        return _Routes(
            stream=stream,
            devices=[devices for _, devices, _ in rows],
            objective=np.array([objective for objective, _, _ in rows], dtype=float),
            used=np.array([used for _, _, used in rows]).reshape(len(rows), len(self.limits)),
            on=np.asarray(placed.any(axis=2)),
            kept=kept,
            weights=np.array(
                [
                    float(network.memory_bytes(index, device.name))
                    for device in problem.devices
                    for index in range(layers)
                ]
            ),
            activations=(placed * activation).max(axis=2, initial=0.0),
        )

    def _extend(
        self,
        chosen: tuple[int, ...],
        objective: float,
        used: Floats,
        on: Bools,
        weights: Floats,
        activations: Floats,
    ) -> None:
        """Add a route of the next stream to a partial plan, in every way that may pay.

        ``chosen`` holds the rows picked so far; ``objective`` and ``used`` what they add up to,
        without what devices use by being ``on``; ``weights`` and ``activations`` are bytes per
        device.
        """
        depth = len(chosen)
        routes = self.streams[depth]
        last = depth + 1 == len(self.streams)
        self.watch.visit(len(routes))
        on_now = on | routes.on
        bounds = (
            objective
            + routes.objective
            + on_now @ self.on_objective
            + self.least_objective[depth + 1]
        )
        used_now = used + routes.used
        if self.loading.any():
            load = (used_now + self.least_used[depth + 1])[:, self.loading]
            bounds = bounds + self.period_price * load.max(axis=1)
        fits = (used_now + on_now @ self.on_used + self.least_used[depth + 1] <= self.limits).all(
            axis=1
        )
        kept = self.kept[routes.stream.network]
        weights_now = weights + self._new_weights(routes, kept)
        activations_now = np.maximum(activations, routes.activations)
        fits &= (weights_now + activations_now <= self.memory).all(axis=1)
        rows = np.flatnonzero(fits)
        for row in rows[np.argsort(bounds[rows], kind="stable")]:
            bound = float(bounds[row])
            if depth == 0:
                # The rows are in the order of their bounds: nothing below this one is open.
                self._raise_bound(bound)
            if bound >= self.best:
                break
            pick = (*chosen, int(row))
            if last:
                if self._accept(pick, bound):
                    break
                continue
            self.kept[routes.stream.network] = kept | routes.kept[row]
            self._extend(
                pick,
                objective + float(routes.objective[row]),
                used_now[row],
                on_now[row],
                weights_now[row],
                activations_now[row],
            )
            self.kept[routes.stream.network] = kept

    def _new_weights(self, routes: _Routes, kept: Bools) -> Floats:
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
            self.report()

    def _accept(self, pick: tuple[int, ...], objective: float) -> bool:
        """Let the evaluator decide on a complete plan; say whether it is the new incumbent."""
        self.watch.visit(1)
        plan = Plan(
            routes={
                routes.stream.name: (Route(devices=routes.devices[row]),)
                for routes, row in zip(self.streams, pick, strict=True)
            }
        )
        evaluation = evaluate(self.problem, plan)
        self._compare(objective, evaluation)
        if not evaluation.feasible:
            return False
        if evaluation.objective < self.best:
            self.plan, self.best = plan, evaluation.objective
            self.report()
        # Equal to the last digits: nothing after it in this order is better.
        return True

    def _compare(self, objective: float, evaluation: Evaluation) -> None:
        scale = max(abs(objective), abs(evaluation.objective))
        if abs(objective - evaluation.objective) > _SLACK * scale:
            raise SolverError(
                f"{Enumerator.name}: the search adds a plan up to {objective:.17g}, the evaluator "
                f"to {evaluation.objective:.17g}"
            )
        # Where only rounding lets a plan pass here, the evaluator has the last word; more would
        # be a mistake of one of the two.
        for violation in evaluation.violations:
            if violation.value is None or violation.limit is None:
                raise SolverError(f"{Enumerator.name}: {violation.place}: {violation.message}")
            allowed = violation.limit * (1 + RELATIVE_TOLERANCE)
            if violation.value > allowed * (1 + 10 * _SLACK):
                raise SolverError(f"{Enumerator.name}: {violation.place}: {violation.message}")


def _limits(problem: Problem) -> tuple[Floats, Floats]:
    """Return the coupling limits, and what each device uses of them by being on.

    One column per device's busy share, shared link's busy share, device's watts; then all
    watts, then dollars per second. Memory is apart, since weights are shared.
    """
    capacity = problem.capacity == "utilisation"
    # The busy share at which a resource carries just the minimum rate.
    busiest = problem.total_rate * problem.budgets.period_seconds
    limits = [
        *(
            min(busiest, device.utilisation_cap if capacity else math.inf)
            for device in problem.devices
        ),
        *(
            min(busiest, link.utilisation_cap if capacity else math.inf)
            if problem.loads(link)
            else math.inf
            for link in problem.links
        ),
        *(device.power_budget_watts for device in problem.devices),
        problem.budgets.power_watts,
        problem.budgets.dollars_per_hour / 3600,
    ]
    on = np.zeros((len(problem.devices), len(limits)))
    watts = len(problem.devices) + len(problem.links)
    for index, device in enumerate(problem.devices):
        on[index, watts + index] = on_watts(device)
        on[index, -2] = on_watts(device)
        on[index, -1] = on_dollars_per_second(device)
    return np.array(limits) * (1 + RELATIVE_TOLERANCE) * (1 + _SLACK), on


def _loading(problem: Problem) -> Bools:
    """Return which limits of `_limits` are busy shares that a priced period covers."""
    priced = problem.objective.period_price > 0
    return np.array(
        [
            *(priced for _ in problem.devices),
            *(priced and problem.loads(link) for link in problem.links),
            *(False for _ in problem.devices),
            False,
            False,
        ]
    )


def _used(problem: Problem, stream: Stream, price: RoutePrice) -> Floats:
    """Return what a stream on a route uses of each limit, in the order of `_limits`."""
    device_at = {device.name: index for index, device in enumerate(problem.devices)}
    link_at = {
        (link.source, link.target): len(device_at) + index
        for index, link in enumerate(problem.links)
    }
    watts_at = len(device_at) + len(link_at)
    used = np.zeros(watts_at + len(device_at) + 2)
    for stage in price.stages:
        used[device_at[stage.device]] += stage.seconds / problem.device[stage.device].replicas
    for name, seconds in price.occupied_seconds:
        used[device_at[name]] += seconds / problem.device[name].replicas
    for transfer in price.transfers:
        used[link_at[transfer.source, transfer.target]] += transfer.busy_seconds
    for name, joules in price.device_joules:
        used[watts_at + device_at[name]] += joules
        used[-2] += joules
    used[-1] = route_dollars(problem, price)
    used *= stream.rate_per_second
    return used
