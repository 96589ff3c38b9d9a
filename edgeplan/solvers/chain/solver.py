"""The solver `chain`: from relaxed shortest paths to labels, as far as a problem needs it."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, Evaluation, evaluate
from edgeplan.model.network import Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from edgeplan.solvers.chain.charges import Arcs, Parts
from edgeplan.solvers.chain.labels import ROUNDING, LabelSearch
from edgeplan.solvers.chain.multipliers import Relaxed, relax
from edgeplan.solvers.chain.paths import Quantities, Stage, devices_of
from edgeplan.solvers.chain.prices import Floats, Limit, limits, objective_prices
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "1"

_AGREEMENT = 1e-9
"""Prices of one plan by the search and by the evaluator differ by less, relatively."""
_WIDTHS = (30, 1_000)
"""Labels kept at a node in the runs that look for plans, before the run that proves."""
_FIRST_STEPS = 15
"""Steps of the multipliers before the first narrow run; then `Chain.multiplier_steps`."""
_LOOKED_AT = 20
"""So many of the cheapest routes show which limits are missing, before they are taken up."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Exact shortest path for one stream on a chain of cuts, over any number of devices.

    Parameters
    ----------
    label_limit
        Most labels that it will make; half a million take a few seconds.
    multiplier_steps
        Most shortest paths for each set of limits that prices are tried on.
    time_limit
        Seconds of wall time; ``None`` for none.

    Notes
    -----
    Where no limit binds and nothing is charged once per device, one dynamic program over
    (cut, device) is the answer. Limits are taken up only when a route that would be optimal
    breaks them. Then multipliers give bounds on every completion of a partial route, and labels
    (see `LabelSearch`) decide. A limit counts as met within the evaluator's relative tolerance
    of 1e-6: the optimum is that of the problem as the evaluator reads it.
    """

    name: ClassVar[str] = "chain"

    label_limit: int = 5_000_000
    multiplier_steps: int = 150
    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say that it is always there."""
        return Availability(available=True, version=VERSION, install="")

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for this solver; empty where it is.

        A chain of cuts: each tensor that a layer makes is read by the next layer at most (it
        may be a graph output as well), so that whatever a route does, each cut carries just
        the tensors made immediately before it. Graph inputs may be read by any layers: they are
        forwarded from their homes.
        """
        if reasons := list(load_reasons(problem)):
            return tuple(reasons)
        other = "use the solver 'highs'"
        if len(problem.streams) > 1:
            return (
                f"there are {len(problem.streams)} streams, and a shortest path serves one: "
                f"{other}",
            )
        (stream,) = problem.streams
        network = problem.network[stream.network]
        reasons = []
        if stream.route_limit > 1:
            reasons.append(
                f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and "
                f"a shortest path is one: {other}"
            )
        reasons += [f"{reason}: {other}" for reason in _off_the_chain(network)]
        for tensor in network.inputs:
            home = stream.homes.get(tensor.name, stream.origin)
            if tensor.output and stream.returns and home != stream.origin:
                reasons.append(
                    f"graph input '{tensor.name[:80]}' is a graph output too and returns from "
                    f"'{home[:80]}', which is not on the path: {other}"
                )
        # None of what follows is additive along a path.
        if problem.objective.period_price:
            reasons.append(
                "throughput is in the objective, and the most loaded resource is no sum along a "
                f"path: {other}"
            )
        if problem.budgets.min_rate_per_second:
            reasons.append(f"a minimum rate is asked for, which a path does not limit: {other}")
        if problem.contiguous:
            reasons.append(f"plans must be contiguous, and a path may come back: {other}")
        if problem.groups(stream):
            reasons.append(
                f"layers of stream '{stream.name[:80]}' must share a device, wherever they are on "
                f"the path: {other}"
            )
        if problem.capacity == "utilisation":
            reasons += [
                f"transfers occupy device '{device.name[:80]}', whose load is limited, and a path "
                f"counts only compute there: {other}"
                for device in problem.devices
                if device.transfers == "occupy"
            ]
        return tuple(reasons)

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Find the best route.

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
            Its bound is the optimum where the search was completed; else that of the routes
            still open.

        Raises
        ------
        InputError
            If the start does not speak of this problem.
        SolverError
            If its sums and the evaluator's differ.
        """
        watch = _Watch(self.time_limit, stop, self.label_limit)
        search = _Search(problem, watch, on_progress, self.multiplier_steps)
        if reasons := self.unsupported(problem):
            message = "not supported: " + "; ".join(reasons)
            return self._result(search, Stop.FAILED, message)
        ended = Stop.COMPLETED
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
        return self._result(search, ended, search.summary())

    def _result(self, search: _Search, stop: Stop, message: str) -> SolverResult:
        plan, watch = search.plan, search.watch
        infeasible = stop is Stop.COMPLETED and plan is None
        bound = min(search.bound, search.best)
        known = math.isfinite(bound)
        solver = f"{self.name} {VERSION}"
        certificate = Certificate(
            basis="enumerated",
            witnesses=(solver,),
            bounded=f"all plans of '{search.problem.name[:80]}' with one route",
            states=watch.nodes + watch.states,
            tolerances=(
                ("limits, relative", RELATIVE_TOLERANCE),
                ("rounding of sums, relative", ROUNDING),
            ),
        )
        return SolverResult(
            stop=stop,
            plan=plan,
            claimed_objective=None if plan is None else search.best,
            bound=bound if known else None,
            infeasible=infeasible,
            certificate=certificate if infeasible or known else None,
            solver=solver,
            seconds=watch.seconds,
            message=message,
        )


def _off_the_chain(network: Network) -> list[str]:
    """Say which tensors cross more than the cut behind their layer, in words."""
    reasons = []
    for tensor in network.tensors:
        made = tensor.producer
        if made is not None and (far := [k for k in tensor.consumers if k > made + 1]):
            reasons.append(
                f"network '{network.name[:80]}' is not a chain of cuts: tensor "
                f"'{tensor.name[:80]}' of layer '{network.layers[made].name[:80]}' is read by "
                f"'{network.layers[far[0]].name[:80]}', which is not the next layer"
            )
    if len(reasons) > 3:
        reasons[3:] = [f"and {len(reasons) - 3} more tensors of '{network.name[:80]}' likewise"]
    return reasons


@dataclass
class _Watch(Watch):
    """Counts nodes of the shortest paths beside the states, which are labels here."""

    nodes: int = 0


class _Search:
    """The search's state: incumbent, bound, and the limits taken up so far."""

    def __init__(
        self,
        problem: Problem,
        watch: _Watch,
        on_progress: Callable[[Progress], None] | None,
        multiplier_steps: int,
    ) -> None:
        self.problem = problem
        self.watch = watch
        self.on_progress = on_progress
        self.multiplier_steps = multiplier_steps
        self.plan: Plan | None = None
        self.best = math.inf
        self.bound = -math.inf
        self.limits: list[Limit] = []
        self.wanted: list[Limit] = []

    def summary(self) -> str:
        count = len(self.limits)
        taken = f"{count or 'no'} limit{'s' * (count > 1)} taken up"
        return (
            f"{self.watch.states:,} labels, {self.watch.nodes:,} nodes of shortest paths; {taken}"
        )

    def offer(self, plan: Plan) -> Evaluation:
        """Take a plan as the incumbent if the evaluator finds it feasible and cheaper."""
        evaluation = evaluate(self.problem, plan)
        if evaluation.feasible and evaluation.objective < self.best:
            self.plan, self.best = plan, evaluation.objective
            self.report()
        return evaluation

    def report(self) -> None:
        if self.on_progress is not None:
            bound = min(self.bound, self.best)
            self.on_progress(
                Progress(
                    seconds=self.watch.seconds,
                    incumbent=self.best if self.plan is not None else None,
                    bound=bound if math.isfinite(bound) else None,
                )
            )

    def raise_bound(self, bound: float) -> None:
        """Note a lower bound on all routes within the limits."""
        before = min(self.bound, self.best)
        self.bound = max(self.bound, bound)
        if min(self.bound, self.best) > before:
            self.report()

    def run(self) -> None:
        """Search; on return the incumbent is optimal, or there is no route."""
        self.watch.check()
        self.arcs = Arcs(self.problem)
        self.known: dict[tuple[str, str], list[Limit]] = {}
        for limit in limits(self.problem):
            # Links may share a name where devices have '->' in theirs.
            self.known.setdefault((limit.kind, limit.place), []).append(limit)
        objective = objective_prices(self.problem)
        tables: list[Parts] = [self.arcs.parts(objective)]
        once: list[Floats] = [self.arcs.charges(objective)]
        relaxed = Relaxed(bound=-math.inf, weights=np.ones(1), shares=self.arcs.even_shares())
        while True:
            for limit in self.wanted:
                self.limits.append(limit)
                tables.append(self.arcs.parts(limit.prices))
                once.append(self.arcs.charges(limit.prices))
            self.wanted = []
            quantities = Quantities(parts=Parts.stack(tables), once=np.stack(once, axis=1))
            capacities = self._capacities()
            weights = np.zeros(quantities.count)
            weights[: len(relaxed.weights)] = relaxed.weights
            relaxed = dataclasses.replace(relaxed, weights=weights)
            relaxed = self._relax(quantities, capacities, relaxed, _FIRST_STEPS)
            if relaxed.bound == math.inf and self.plan is not None:
                raise SolverError("chain: a plan is in hand, but the graph has no route")
            self.raise_bound(relaxed.bound)
            if self._closed(relaxed.bound):
                return
            if self.wanted:
                continue
            if not self.limits and not quantities.once.any():
                # The dynamic program was exact, and its route breaks no limit: it is in hand.
                raise SolverError("chain: the shortest path breaks a limit that is not known")
            if self._label(quantities, capacities, relaxed):
                return

    def _closed(self, bound: float) -> bool:
        """Say whether no route within the limits is cheaper than the incumbent; note that."""
        slack = ROUNDING * abs(self.best) if math.isfinite(self.best) else 0.0
        if bound < self.best - slack:
            return False
        self.bound = math.inf
        return True

    def _capacities(self) -> Floats:
        """Return how much of each quantity multipliers count as free; the objective's is 0."""
        found = [0.0]
        for limit in self.limits:
            if limit.device is None:
                found.append(1.0)
                continue
            # Beside weights a device needs room for the least activation of what may run there.
            here = self.arcs.allowed[:, limit.device]
            peak = self.arcs.peaks[here, limit.device].min(initial=math.inf)
            room = self.arcs.memory_limit(limit.device)
            found.append(max(0.0, 1 - peak / room) if math.isfinite(peak) else 1.0)
        return np.array(found)

    def _relax(
        self, quantities: Quantities, capacities: Floats, begin: Relaxed, steps: int
    ) -> Relaxed:
        def check() -> None:
            self.watch.nodes += self.arcs.layers * len(self.arcs.names)
            self.watch.check()

        return relax(
            self.arcs,
            quantities,
            capacities,
            begin=begin,
            price=lambda stages: self._price(stages).objective,
            best=lambda: self.best,
            check=check,
            steps=min(steps, self.multiplier_steps),
        )

    def _price(self, stages: list[Stage]) -> Evaluation:
        """Let the evaluator price a route; note limits that it breaks and that are not taken up."""
        plan = Plan(
            routes={self.problem.streams[0].name: (Route(devices=devices_of(self.arcs, stages)),)}
        )
        evaluation = self.offer(plan)
        taken = {(limit.kind, limit.place) for limit in self.limits}
        broken = [(violation.kind, violation.place) for violation in evaluation.violations]
        for key in broken:
            if key not in self.known:
                raise SolverError(f"chain: a route breaks a rule of its graph: {key[0]}, {key[1]}")
        if evaluation.objective < self.best and not any(key in taken for key in broken):
            # It would be the incumbent if these limits were not.
            held = {(limit.kind, limit.place) for limit in self.wanted}
            self.wanted += [x for key in broken if key not in held for x in self.known[key]]
        return evaluation

    def _label(self, quantities: Quantities, capacities: Floats, relaxed: Relaxed) -> bool:
        """Run over the labels, narrow runs first; return whether that settled the problem."""
        for number, width in enumerate((*_WIDTHS, math.inf)):
            before = self.best
            search = LabelSearch(
                self.arcs,
                quantities,
                self.limits,
                weights=relaxed.weights,
                shares=relaxed.shares,
                capacities=capacities,
                best=self.best,
                width=width,
                visit=self.watch.visit,
                report=self.raise_bound,
            )
            cheapest = self._look_at(search.run())
            self.raise_bound(min(cheapest, search.dropped))
            if self.wanted:
                return False
            if self._closed(search.dropped):
                return True
            if not number or self.best < before:
                # Step lengths, and so the bound, gain from a better incumbent.
                relaxed = self._relax(quantities, capacities, relaxed, self.multiplier_steps)
                self.raise_bound(relaxed.bound)
                if self._closed(relaxed.bound):
                    return True
                if self.wanted:
                    return False
        raise AssertionError("the widest run drops nothing")

    def _look_at(self, routes: list[tuple[float, list[Stage]]]) -> float:
        """Take the best feasible route, and note which limits cheaper ones break.

        Return the price of the cheapest, ``inf`` for none.
        """
        for number, (price, stages) in enumerate(routes):
            if self.wanted and number >= _LOOKED_AT:
                break
            evaluation = self._price(stages)
            if not math.isclose(price, evaluation.objective, rel_tol=_AGREEMENT, abs_tol=1e-300):
                raise SolverError(
                    f"chain: the search adds a plan up to {price:.17g}, the evaluator to "
                    f"{evaluation.objective:.17g}"
                )
            if evaluation.feasible:
                break
        return routes[0][0] if routes else math.inf
