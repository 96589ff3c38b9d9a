"""Queues, replicas and batches: the bound program refined until a plan's price meets it.

The solver keeps two things: the best plan, priced by the evaluator, and a bound. A local search
finds plans; the *bound program* (waits rounded down to levels) gives the bound and hints at
plans. Where its solution pays too little for its waits, its levels are split there. First the
relaxation without whole numbers is driven close to its limit in this way, with the routes that
matter priced in; its reduced costs then leave out what no plan that is good enough can use, and
HiGHS solves the rest as it stands.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate, with_tolerance
from edgeplan.model.formulation.queueing import WHOLE, Columns, Levels, Program, states
from edgeplan.model.formulation.queueing.sets import Ints
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey
from edgeplan.solvers.highs import FEASIBILITY_TOLERANCE
from edgeplan.solvers.queueing.annealing import Annealing
from edgeplan.solvers.queueing.at_levels import program_at, unit_of
from edgeplan.solvers.queueing.by_sets import PROGRAM_GAP, bound_by_sets
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.descent import Descent, Spot
from edgeplan.solvers.queueing.fractions import ROUNDING, deal_streams
from edgeplan.solvers.queueing.highs_run import Clock, Outcome, Relaxation, relax, solve
from edgeplan.solvers.queueing.plans import plan_from, plan_of, values_of
from edgeplan.solvers.queueing.prices import Steepness
from edgeplan.solvers.queueing.pricing import own_scores, scores
from edgeplan.solvers.queueing.refinement import around_plan, first_levels, where_rounded
from edgeplan.solvers.queueing.set_bound import ROUNDING as SET_ROUNDING
from edgeplan.solvers.queueing.shifting import shifted
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.route_lists import count_routes
from edgeplan.solvers.watch import EndedError, Watch

FIRST_ROUTES = 5
"""Routes of a group in the first relaxation."""
PRICED_IN = 5
"""Routes of a group that are priced in at a time."""
ROUND_OFF_SECONDS = 1.0
"""Longest local search from a relaxation's solution."""
MANY_STREAMS = 10
"""With fewer streams the program by levels is closed sooner than sets of routes are found."""
REFUTED = 1e-6
"""A bound that is higher above a plan's price, relatively, is wrong."""
SEARCH_SHARE = 0.15
"""Largest share of the time limit for the local search before the first bound."""


@dataclass(frozen=True, kw_only=True)
class Queueing:
    """The program of queues and routes, by HiGHS.

    Parameters
    ----------
    time_limit
        Seconds of wall time; ``None`` for none.
    gap
        Relative gap between plan and bound at which the plan counts as optimal.
    threads
        Threads of HiGHS.
    seed
        Of HiGHS and of the local search.
    route_limit
        Most routes of all streams together that it will price and hold.
    rounds
        Most times that levels are refined.
    search_moves
        Moves of the local search before the first bound; ``None``: as many as the problem is
        worth (`annealing.default_moves`).

    Notes
    -----
    Columns are whole routes (paths of stages), so that any DAG of layers is covered. Levels:
    piecewise constant relaxation of the Pollaczek–Khinchine wait, adaptively refined as by
    Boland, Hewitt, Marshall and Savelsbergh (Operations Research 65, 2017, dynamic
    discretisation).
    """

    name: ClassVar[str] = "queueing"

    time_limit: float | None = None
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    route_limit: int = 200_000
    rounds: int = 60
    search_moves: int | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say whether highspy is installed."""
        there = importlib.util.find_spec("highspy") is not None
        return Availability(
            available=there,
            version=importlib.metadata.version("highspy") if there else "",
            install="pip install 'highspy>=1.15.1'",
        )

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for it; else empty."""
        if problem.waiting == "none":
            # Transfers may keep a device busy that is off: it is on where it keeps layers. In
            # this program what is busy is on.
            for device in problem.devices:
                fixed = device.dollars_per_hour > 0 or (
                    device.charge_idle and device.idle_watts > 0
                )
                if device.transfers == "occupy" and fixed:
                    return (
                        f"device '{device.name[:80]}' costs while it is on and is kept busy by "
                        "transfers: state transfers: links, or no fixed price",
                    )
        total = sum(
            count_routes(problem, stream) * len(problem.batch_sizes(stream))
            for stream in problem.streams
        )
        if total <= self.route_limit:
            return ()
        return (
            f"there are up to {total:.3g} routes, more than the limit of {self.route_limit:,}: "
            "use fewer cuts, pins or bans to forbid routes, or raise route_limit",
        )

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Solve a problem.

        Parameters
        ----------
        problem
            What is to be planned.
        start
            A plan to begin from; it counts if it is feasible.
        on_progress
            Called in the calling thread with incumbents and bounds.
        stop
            Setting it ends the run with what it has.

        Returns
        -------
        SolverResult
            With a bound that HiGHS claims; the price of its plan is the evaluator's.
        """
        began = time.monotonic()
        ends = math.inf if self.time_limit is None else began + self.time_limit
        solver = f"queueing (highs {importlib.metadata.version('highspy')})"
        run = _Run(self, problem, Clock(ends, stop or threading.Event()), began, on_progress)
        if reasons := self.unsupported(problem):
            why, infeasible = Stop.FAILED, False
            run.message = "not supported: " + "; ".join(reasons)
        else:
            try:
                why, infeasible = run.work(start)
            except EndedError as ended:
                why, infeasible = ended.stop, False
            except KeyboardInterrupt:
                why, infeasible = Stop.INTERRUPTED, False
            except SolverError as error:
                # What broke may have spoiled the bound; the plan is the evaluator's.
                why, infeasible = Stop.FAILED, False
                run.message, run.bound = str(error), -math.inf
        bound = run.bound if math.isfinite(run.bound) and not infeasible else None
        claims = infeasible or bound is not None
        return SolverResult(
            stop=why,
            plan=run.plan,
            claimed_objective=run.price if run.plan is not None else None,
            bound=bound,
            infeasible=infeasible,
            certificate=self._certificate(problem, run) if claims else None,
            solver=solver,
            seconds=time.monotonic() - began,
            message=run.message,
        )

    def _certificate(self, problem: Problem, run: _Run) -> Certificate:
        routes = max(stream.route_limit for stream in problem.streams)
        plural = "route" if routes == 1 else "routes"
        if run.bound <= run.tangent:
            return Certificate(
                basis="claimed",
                witnesses=("queueing 1",),
                bounded="these profiles and their cuts, any number of routes per stream; the price "
                "is convex in the fractions, and above its tangent at the best of them",
                tolerances=(("rounding", ROUNDING),),
            )
        if run.bound <= run.by_sets and run.by_program:
            return Certificate(
                basis="claimed",
                witnesses=("queueing 1", f"highs {importlib.metadata.version('highspy')}"),
                bounded="these profiles and their cuts, the cheapest choice of one set of routes "
                "at each queue; limits other than caps and light queues left out",
                tolerances=(
                    ("rounding", SET_ROUNDING),
                    ("relative gap", PROGRAM_GAP * self.gap),
                    ("feasibility", FEASIBILITY_TOLERANCE),
                ),
            )
        if run.bound <= run.by_sets:
            return Certificate(
                basis="claimed",
                witnesses=("queueing 1",),
                bounded="these profiles and their cuts, each queue's cheapest set of routes at "
                "prices between queues; waits rounded down to levels",
                tolerances=(("rounding", SET_ROUNDING),),
            )
        count = sum(len(levels) for levels in run.levels.waits.values())
        level = (
            f"; waits rounded down to {count} levels of {len(run.levels.waits)} queues"
            if problem.waiting != "none"
            else ""
        )
        return Certificate(
            basis="claimed",
            witnesses=(f"highs {importlib.metadata.version('highspy')}",),
            bounded=f"these profiles and their cuts, at most {routes} {plural} per stream{level}",
            tolerances=(
                ("relative gap", self.gap),
                ("feasibility", FEASIBILITY_TOLERANCE),
                ("integrality", FEASIBILITY_TOLERANCE),
            ),
        )


@dataclass
class _Run:
    """One run: the best plan, the bound, and what is known of routes and levels."""

    options: Queueing
    problem: Problem
    clock: Clock
    began: float
    on_progress: Callable[[Progress], None] | None
    plan: Plan | None = None
    price: float = math.inf
    bound: float = -math.inf
    levels: Levels = field(default_factory=Levels)
    message: str = ""
    descent: Descent | None = None
    tangent: float = -math.inf
    by_sets: float = -math.inf
    by_program: bool = False

    def work(self, start: Plan | None) -> tuple[Stop, bool]:
        """Search; return why it stopped, and whether there is no plan."""
        self.searched = with_tolerance(self.problem)
        self.clock.tell = self._told
        watch = Watch(self.options.time_limit, self.clock.stop, began=self.began_on_watch())
        if start is not None:
            self.offer(start)
        if (why := self.clock.over) is not None:
            return why, False
        self.routes = columns(self.searched, watch)
        routes = self.routes
        for g, group in enumerate(routes.groups):
            if not (routes.group == g).any():
                self.message = f"stream '{group.streams[0][:80]}' has no route that can run in time"
                return Stop.COMPLETED, self.plan is None
        self.unit = unit_of(routes)
        self.steepness = Steepness(self.searched, routes)
        self.rng = np.random.default_rng(self.options.seed)
        if (routes.kind == WHOLE).all():
            self.local_search(start)
        else:
            self.deal(start)
        self.raise_bound(self.floor())
        many = sum(group.size for group in routes.groups) >= MANY_STREAMS
        if self.descent is not None and self.plan is not None and many:
            self.bound_by_sets(self.descent)
        if self.closed():
            return Stop.COMPLETED, False
        allowed = self.options.gap * abs(self.price) if self.plan is not None else math.inf
        self.levels = first_levels(self.searched, self.plan, self.wait_prices(), allowed)
        return self.refine()

    def began_on_watch(self) -> float:
        """Return when the run began, on the clock of `Watch`."""
        return time.perf_counter() - (time.monotonic() - self.began)

    # -- plans ------------------------------------------------------------------

    def offer(self, plan: Plan) -> bool:
        """Take a plan if it is feasible and cheaper; say whether it is feasible."""
        found = evaluate(self.problem, plan)
        if found.feasible and found.objective < self.price:
            self.plan, self.price = plan, found.objective
            self._refute(self.bound)
            self.report()
        return found.feasible

    def local_search(self, start: Plan | None) -> None:
        """Look for plans around the cheapest routes: a descent, then annealing."""
        ends = math.inf
        if self.options.time_limit is not None:
            ends = time.monotonic() + SEARCH_SHARE * self.options.time_limit
        self.descent = Descent(
            self.searched, self.routes, self.rng, ends, lambda: self.clock.over is not None
        )
        spot = self.descent.improve(self.descent.first(), 0)
        self.offer(self._plan_at(spot))
        self.spot = Annealing(self.descent).improve(spot, self.options.search_moves)
        self.offer(self._plan_at(self.spot))

    def _plan_at(self, spot: Spot) -> Plan:
        assert self.descent is not None
        values, replicas = self.descent.route_values(spot)
        return plan_from(self.problem, self.routes, values, replicas)

    def round_off(self, program: Program, relaxation: Relaxation, active: Ints) -> None:
        """Look for a plan by local search from where a relaxation has most of each stream."""
        descent = self.descent
        if descent is None:
            return
        f = program.variables
        column = np.zeros(len(descent.members), dtype=np.int64)
        left = relaxation.x[f["route"]].copy()
        for member, g in enumerate(descent.members):
            own = np.flatnonzero(self.routes.group[active] == g)
            best = own[int(left[own].argmax())]
            left[best] -= 1
            column[member] = active[best]
        replicas = self.spot.replicas.copy()
        share = relaxation.x[f["count"]]
        for q in range(len(replicas)):
            known = [i for i, (queue, _) in enumerate(f.sets.counts) if queue == q]
            replicas[q] = f.sets.counts[max(known, key=lambda i: float(share[i]))][1]
        spot = Spot(column, replicas)
        spot.price = descent.priced(spot)
        descent.ends = min(time.monotonic() + ROUND_OFF_SECONDS, self.clock.ends)
        spot = descent.improve(spot, 10)
        if spot.price < self.spot.price:
            self.spot = spot
            self.offer(self._plan_at(spot))

    def improve(self, plan: Plan) -> Plan:
        """Take a plan with its fractions shifted for the better; return it."""
        if any(len(routes) > 1 for routes in plan.routes.values()):
            plan = shifted(self.problem, plan, lambda: self.clock.over is not None)
        self.offer(plan)
        return plan

    def deal(self, start: Plan | None) -> None:
        """Deal the streams that may be split, those that may not where the start has them."""
        routes = self.routes
        values = None if start is None else values_of(self.problem, routes, start)
        whole = np.where(routes.kind == WHOLE, 0.0 if values is None else values, 0.0)
        most_routes = {
            g: self.problem.stream[group.streams[0]].route_limit
            for g, group in enumerate(routes.groups)
            if group.split
        }
        fixed = np.bincount(routes.group, weights=whole, minlength=len(routes.groups))
        if any(fixed[g] != size for g, size in enumerate(routes.sizes) if g not in most_routes):
            return
        found, floor = deal_streams(
            self.searched, routes, whole, most_routes, lambda: self.clock.over is not None
        )
        for each in found[:3]:
            if self.offer(plan_from(self.problem, routes, each.value, each.replicas)):
                break
        if len(most_routes) == len(routes.groups) and floor > self.bound:
            self.raise_bound(floor)
            self.tangent = self.bound

    def bound_by_sets(self, descent: Descent) -> None:
        """Bound by sets of routes at each queue; take the plans that come of it."""
        if self.problem.waiting == "none":
            return

        def report(bound: float, *, by_program: bool = False) -> None:
            if bound > self.bound:
                self.raise_bound(bound)
                self.by_sets, self.by_program = self.bound, by_program

        descent.ends = math.inf
        self.spot = bound_by_sets(
            self.searched,
            self.routes,
            descent,
            self.spot,
            unit=self.unit,
            target=self.target,
            gap=self.options.gap,
            clock=self.clock,
            report=report,
            offer=lambda spot: self.offer(self._plan_at(spot)),
        )

    # -- bounds ------------------------------------------------------------------

    def raise_bound(self, bound: float | None) -> None:
        """Take a higher bound."""
        if bound is not None and bound > self.bound:
            self._refute(bound)
            self.bound = min(bound, self.price)
            self.report()

    def _refute(self, bound: float) -> None:
        """Refuse a bound that the plan in hand is below."""
        if self.plan is not None and bound > self.price + REFUTED * abs(self.price):
            raise SolverError(
                f"a bound of {bound:.9g} is above a plan of {self.price:.9g}: please report it"
            )

    def floor(self) -> float:
        """Return the price of every stream's cheapest route without waits."""
        routes = self.routes
        return math.fsum(
            float(size) * float(routes.objective[routes.group == g].min())
            for g, size in enumerate(routes.sizes)
        )

    def closed(self) -> bool:
        """Whether plan and bound are close enough."""
        return self.plan is not None and self.price - self.bound <= self.options.gap * abs(
            self.price
        )

    def wait_prices(self) -> dict[QueueKey, float]:
        """Return the price of a second of waiting at each queue of the plan."""
        if self.plan is None:
            return {}
        values = values_of(self.problem, self.routes, self.plan)
        if values is None:
            return {}
        routes = self.routes
        price = routes.wait_price[routes.group[routes.column]] * routes.visits
        total = np.bincount(
            routes.queue, weights=price * values[routes.column], minlength=len(routes.queues)
        )
        return dict(zip(routes.queues, total.tolist(), strict=True))

    def target(self) -> float:
        """Return the bound that closes the gap; ``inf`` without a plan."""
        if self.plan is None:
            return math.inf
        return self.price - 0.9 * self.options.gap * abs(self.price)

    def program(self, routes: Columns) -> Program:
        """Build the bound program of the levels of the moment."""
        steep = {}
        if self.problem.waiting != "none":
            for q, key in enumerate(self.routes.queues):
                for k, state in enumerate(states(self.searched, key, self.levels)):
                    steep[q, k] = self.steepness(q, state)
        return program_at(self.searched, routes, self.levels, "bound", unit=self.unit, steep=steep)

    def refine(self) -> tuple[Stop, bool]:
        """Solve bound programs, with finer and finer levels, until the gap is closed."""
        close = 0.01
        for _number in range(self.options.rounds):
            if (why := self.clock.over) is not None:
                return why, False
            chosen = self.relaxed() if self.large() else np.arange(len(self.routes))
            if self.closed():
                return Stop.COMPLETED, False
            if (why := self.clock.over) is not None:
                return why, False
            routes = self.routes.take(chosen)
            program = self.program(routes)
            outcome = self.run(program, routes)
            self.message = outcome.message
            if outcome.infeasible:
                return self.nothing(program, routes, pruned=len(chosen) < len(self.routes))
            if outcome.bound is not None:
                self.raise_bound(min(outcome.bound, self.target()))
            if outcome.x is not None:
                plan = plan_of(self.problem, program, outcome.x)
                better = self.improve(plan)
            if self.closed():
                return Stop.COMPLETED, False
            if outcome.stop is not Stop.COMPLETED:
                return outcome.stop, False
            if outcome.x is None:
                return Stop.FAILED, False
            before = self.levels
            if self.plan is not None:
                allowed = self.options.gap * abs(self.price) / (4 * len(self.problem.devices))
                self.levels, _ = where_rounded(program, outcome.x, self.levels, allowed)
            self.levels = around_plan(self.searched, plan, self.levels, close)
            if better is not plan:
                self.levels = around_plan(self.searched, better, self.levels, close)
            if self.levels == before:
                close /= 10
                self.levels = around_plan(self.searched, plan, self.levels, close)
            close = max(close / 2, self.options.gap / 4)
            if self.levels == before:
                return Stop.WORK_LIMIT, False
        return Stop.WORK_LIMIT, False

    def run(self, program: Program, routes: Columns, *, presolve: bool = True) -> Outcome:
        """Solve a bound program."""
        gap = min(max(self.options.gap / 4, 1e-9), 1e-3)
        return solve(
            program,
            self.clock,
            gap=gap,
            threads=self.options.threads,
            seed=self.options.seed,
            enough=self.target(),
            presolve=presolve,
        )

    def nothing(self, program: Program, routes: Columns, *, pruned: bool) -> tuple[Stop, bool]:
        """Check a claim that there is no plan: with presolve off, and by the plans known.

        Where routes were left out of the program, the claim is that no plan is better than the
        target: every plan with one of those routes costs at least as much.
        """
        claimed = f"that no {'better ' if pruned else ''}plan exists"
        if self.plan is not None and not pruned:
            self.message = f"HiGHS claims {claimed}, but one is known"
            return Stop.FAILED, False
        again = self.run(program, routes, presolve=False)
        enough = again.bound is not None and again.bound >= self.target()
        if again.infeasible or (pruned and enough):
            self.message = "infeasible with presolve and without"
            if pruned:
                self.raise_bound(self.target())
            return Stop.COMPLETED, not pruned
        if again.x is not None:
            self.improve(plan_of(self.problem, program, again.x))
        if again.stop is Stop.COMPLETED:
            self.message = f"HiGHS claimed {claimed}, and found one with presolve off"
            return Stop.FAILED, False
        if pruned and again.bound is not None:
            self.raise_bound(min(again.bound, self.target()))
        self.message = f"HiGHS claims {claimed}; stopped before it was checked with presolve off"
        return again.stop, False

    def large(self) -> bool:
        """Whether the relaxation is worth its time."""
        return self.plan is not None and len(self.routes) > 60

    # -- the relaxation ------------------------------------------------------------------

    def relaxed(self) -> Ints:
        """Refine levels by the relaxation; return the routes that a better plan may use."""
        active = self._first_routes()
        last = -math.inf
        while True:
            program, relaxation, active = self._priced(active)
            if relaxation is None:
                return np.arange(len(self.routes))
            value = relaxation.value * self.unit
            self.round_off(program, relaxation, active)
            self.raise_bound(min(value, self.target()))
            if self.closed() or self.clock.over is not None:
                return active
            target = self.target()
            allowed = max(0.1 * (target - value), 0.05 * self.options.gap * self.price) / max(
                len(self.problem.devices), 1
            )
            levels, unpaid = where_rounded(program, relaxation.x, self.levels, allowed)
            slow = value - last < 0.03 * (target - value)
            last = value
            if levels == self.levels or slow or unpaid < 0.15 * self.options.gap * self.price:
                return self._kept(program, relaxation, active)
            self.levels = levels

    def _first_routes(self) -> Ints:
        if self.descent is not None:
            return self.descent.candidates(self.spot, FIRST_ROUTES)
        return np.arange(len(self.routes))

    def _priced(self, active: Ints) -> tuple[Program, Relaxation | None, Ints]:
        """Solve the relaxation with all routes that have a negative reduced cost priced in."""
        while True:
            routes = self.routes.take(active)
            program = self.program(routes)
            relaxation = relax(program, self.clock, threads=self.options.threads)
            if relaxation is None or not math.isfinite(relaxation.value):
                return program, None, active
            rest = np.setdiff1d(np.arange(len(self.routes)), active)
            if not len(rest):
                return program, relaxation, active
            score = scores(program, relaxation, self.routes.take(rest))
            self.left = (rest, score)
            low = rest[score < -1e-7]
            if not len(low):
                return program, relaxation, active
            order = np.lexsort((score[score < -1e-7], self.routes.group[low]))
            low = low[order]
            group = self.routes.group[low]
            first = np.searchsorted(group, group)
            active = np.union1d(active, low[np.arange(len(low)) - first < PRICED_IN])

    def _kept(self, program: Program, relaxation: Relaxation, active: Ints) -> Ints:
        """Return the routes with which a plan may cost less than the target."""
        room = self.target() / self.unit - relaxation.value + 1e-9
        own = own_scores(program, relaxation)
        rest, score = getattr(self, "left", (np.zeros(0, np.int64), np.zeros(0)))
        rest, score = (rest, score) if len(active) < len(self.routes) else (rest[:0], score[:0])
        return np.union1d(active[own <= room], rest[score <= room])

    # -- telling ------------------------------------------------------------------

    def report(self) -> None:
        """Tell of the plan and the bound."""
        if self.on_progress is not None:
            self.on_progress(
                Progress(
                    seconds=time.monotonic() - self.began,
                    incumbent=self.price if self.plan is not None else None,
                    bound=self.bound if math.isfinite(self.bound) else None,
                )
            )

    def _told(self, _: float | None, bound: float | None) -> None:
        if bound is not None and math.isfinite(self.target()):
            self.raise_bound(min(bound, self.target()))
