"""Throughput by CP-SAT, contiguous or not, between a good plan and a strong bound.

`solve_pipeline` goes in stages, each of which may close the gap:

1. the best contiguous plan (`ideal_program`): it is the answer where plans must be contiguous, and
   a plan to begin from where they need not be;
2. prices that prove a bound (`pipeline_bound`), for a short time;
3. CP-SAT for as long as it keeps finding better plans;
4. prices again, with the better plan as the target;
5. CP-SAT between the two until the end.

In CP-SAT's program every group is on one device, and for each tensor and occupied device a
literal says that the device's set splits the tensor. Identical devices are told apart by the
groups in the order of their work: a group may be on a device only if a group before it is on the
device before. For contiguous plans devices are positions in the order of the quotient instead,
so that a tensor's consumers come no earlier than its producer.

CP-SAT counts in whole numbers. Seconds become multiples of a unit, rounded down, so that the
program's optimum is a lower bound of the pipeline's; plans are priced again in seconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from edgeplan.solvers.pipeline.arrays import Floats, Ints, Pipeline
from edgeplan.solvers.pipeline.ideal_program import solve_contiguous
from edgeplan.solvers.pipeline.price_bound import dual_bound
from edgeplan.solvers.result import Stop

UNITS = 10**9
"""Units in the bound at the start: n roundings move CP-SAT's bound by n / 10⁹ of it at most."""
LARGEST_LOAD = 10**14
"""Units in a load that no plan exceeds."""
GAP = 2e-7
"""Relative gap at which the search is complete: rounding may leave as much."""
MEMORY_UNITS = 10**9
"""Units in a device's memory; bytes are rounded down and the limit up, so that no plan is lost."""
LEAST_STALL_SECONDS = 3.0
"""The first search for plans ends after so long, or half its time so far, without a better one."""
FIRST_PRICES_SECONDS = 1.0
"""For the first search for prices."""
CONTIGUOUS_IDEALS = 50_000
"""Ideals listed for a plan to begin from, where plans need not be contiguous."""


@dataclass(frozen=True, kw_only=True)
class PipelineOutcome:
    """What the search found.

    Parameters
    ----------
    stop
        Why it stopped.
    assignment
        Device of each group of the pipeline given, or ``None``.
    value
        Seconds per request of the assignment, recomputed; ``inf`` without one.
    bound
        Lower bound on the value of every plan asked for, rounding included.
    infeasible
        Whether CP-SAT claims that no plan exists.
    basis
        Of the bound: ``enumerated`` (ideals), ``dual`` (prices), ``claimed`` (CP-SAT), ``even``
        (work shared evenly).
    prices
        Where the basis is ``dual``: the groups' prices in the reduced pipeline that proved it.
    """

    stop: Stop
    assignment: Ints | None
    value: float
    bound: float
    infeasible: bool = False
    basis: str = "even"
    prices: Floats | None = None


def solve_pipeline(
    pipeline: Pipeline,
    *,
    contiguous: bool,
    time_limit: float | None = None,
    workers: int = 2,
    seed: int = 0,
    hint: Ints | None = None,
    stop: threading.Event | None = None,
    on_progress: Callable[[float, float], None] | None = None,
    ideals: bool = True,
    prices: bool = True,
) -> PipelineOutcome:
    """Find the plan of the highest throughput.

    Parameters
    ----------
    pipeline
        The problem.
    contiguous
        Whether plans must be contiguous.
    time_limit
        Seconds of wall time; ``None`` for none.
    workers
        Threads of CP-SAT.
    seed
        Of CP-SAT's random choices.
    hint
        Device of each group, to begin from.
    stop
        Setting it ends the search with what it has, as Ctrl-C does.
    on_progress
        Called with (value, bound) in seconds at each improvement.
    ideals, prices
        Whether to use stage 1, and stages 2 and 4. Without both, the answer is CP-SAT's alone: a
        witness that shares the reductions at most.
    """
    search = _Search(pipeline, contiguous, time_limit, workers, seed, stop, on_progress)
    try:
        return search.run(hint, ideals=ideals, prices=prices)
    except KeyboardInterrupt:
        return search.outcome(Stop.INTERRUPTED)


@dataclass
class _Search:
    pipeline: Pipeline
    contiguous: bool
    time_limit: float | None
    workers: int
    seed: int
    stop: threading.Event | None
    on_progress: Callable[[float, float], None] | None
    assignment: Ints | None = None
    value: float = math.inf
    bound: float = 0.0
    basis: str = "even"
    prices: Floats | None = None
    infeasible: bool = False
    exhausted: bool = False
    began: float = field(default_factory=time.monotonic)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def run(self, hint: Ints | None, *, ideals: bool, prices: bool) -> PipelineOutcome:
        rough = self.pipeline.merge_cycles() if self.contiguous else self.pipeline
        self.raise_bound(rough.communication_free_bound(), "even")
        if math.isinf(self.bound):
            self.infeasible = True
            return self.outcome(Stop.COMPLETED)
        if hint is not None:
            self.offer(np.asarray(hint))
        if ideals:
            self._ideals()
        if self._done():
            return self._finished()
        if not self.contiguous and prices:
            self._prices(FIRST_PRICES_SECONDS)
            if not self._done():
                self._cpsat(stalls=True)
            if not self._done():
                self._prices(math.inf)
        if not self._done():
            self._cpsat(stalls=False)
        return self._finished()

    def _finished(self) -> PipelineOutcome:
        if self._closed():
            return self.outcome(Stop.COMPLETED)
        if self.stop is not None and self.stop.is_set():
            return self.outcome(Stop.INTERRUPTED)
        return self.outcome(Stop.TIME_LIMIT)

    def outcome(self, stop: Stop) -> PipelineOutcome:
        return PipelineOutcome(
            stop=stop,
            assignment=self.assignment,
            value=self.value,
            bound=min(self.bound, self.value),
            infeasible=self.infeasible,
            basis=self.basis,
            prices=self.prices,
        )

    def offer(self, assignment: Ints) -> None:
        """Take a plan if it is one, and better."""
        if not self.pipeline.fits(assignment):
            return
        if self.contiguous and not self.pipeline.contiguous(assignment):
            return
        value = self.pipeline.value(assignment)
        with self.lock:  # CP-SAT's threads bring plans and bounds
            if value < self.value:
                self.assignment, self.value = assignment, value
                self._report()

    def raise_bound(self, bound: float, basis: str) -> None:
        with self.lock:
            if (bound := min(bound, self.value)) > self.bound:
                self.bound, self.basis = bound, basis
                self._report()

    def _report(self) -> None:
        if self.on_progress is not None:
            self.on_progress(self.value, min(self.bound, self.value))

    def _closed(self) -> bool:
        if math.isinf(self.value):
            return self.infeasible
        if self.exhausted:
            return True
        return self.value - self.bound <= GAP * self.value

    def _left(self) -> float:
        if self.time_limit is None:
            return math.inf
        return self.began + self.time_limit - time.monotonic()

    def _ended(self) -> bool:
        return self._left() <= 0 or (self.stop is not None and self.stop.is_set())

    def _done(self) -> bool:
        return self._closed() or self._ended()

    def _ideals(self) -> None:
        left = self._left()
        outcome = solve_contiguous(
            self.pipeline,
            hint=self.assignment if self.contiguous else None,
            limit=CONTIGUOUS_IDEALS,
            time_limit=left / 3 if math.isfinite(left) else 60.0,
            stop=self.stop,
        )
        if outcome.assignment is not None:
            self.offer(outcome.assignment)
        if self.contiguous:
            self.infeasible = outcome.stop is Stop.COMPLETED and outcome.assignment is None
            self.raise_bound(outcome.bound, "enumerated")

    def _prices(self, seconds: float) -> None:
        if math.isinf(self.value):
            return
        reduced = self.pipeline.below(self.value, contiguous=False)
        left = self._left()
        found = dual_bound(
            reduced,
            self.value,
            time_limit=min(seconds, left / 2 if math.isfinite(left) else 300.0),
            ended=self._ended,
            on_bound=lambda bound: self.raise_bound(bound, "dual"),
        )
        if found is not None and self.basis == "dual":
            self.prices = found.prices

    def _cpsat(self, *, stalls: bool) -> None:
        reduced = self.pipeline
        if math.isfinite(self.value):
            reduced = reduced.below(self.value, contiguous=self.contiguous)
        elif self.contiguous:
            reduced = reduced.merge_cycles()
        if not np.isfinite(reduced.least_seconds).all():
            # A merged group runs nowhere: no plan is below the value in hand.
            self.infeasible = math.isinf(self.value)
            self.raise_bound(self.value, "claimed")
            return
        program = _Program(reduced, contiguous=self.contiguous, value=self.value, bound=self.bound)
        _CpSat(self, program, stalls=stalls).run()


class _Program:
    """The whole-number program of a reduced pipeline: plans no worse than the one in hand."""

    def __init__(self, pipeline: Pipeline, *, contiguous: bool, value: float, bound: float) -> None:
        from ortools.sat.python import cp_model

        self.pipeline = pipeline
        self.model: Any = cp_model.CpModel()
        worst = _worst(pipeline) if math.isinf(value) else value
        # Loads must stay well within 64 bits, however far apart the largest and the least are.
        self.unit = max(bound / UNITS, worst / LARGEST_LOAD, 1e-300)
        self.period = self.model.new_int_var(
            max(0, self.floor(bound) - 1), self.floor(worst) + 1, "period"
        )
        groups, devices = pipeline.groups, pipeline.devices
        self.on = [
            [self.model.new_bool_var(f"on[{group},{device}]") for device in range(devices)]
            for group in range(groups)
        ]
        for row in self.on:
            self.model.add_exactly_one(row)
        for device in range(devices):
            self._load(device)
            self._memory(device)
        if contiguous:
            self._positions()
        else:
            self._tell_apart()
        self.model.minimize(self.period)

    def floor(self, seconds: float) -> int:
        """Return so many whole units; what a rounding error took below a whole stays there."""
        return math.floor(seconds / self.unit)

    def _load(self, device: int) -> None:
        pipeline = self.pipeline
        replicas = float(pipeline.replicas[device])
        terms = []
        for group in range(pipeline.groups):
            seconds = float(pipeline.seconds[group, device])
            if math.isinf(seconds):
                self.model.add(self.on[group][device] == 0)
            elif units := self.floor(seconds / replicas):
                terms.append(units * self.on[group][device])
        if pipeline.occupy[device]:
            for number, tensor in enumerate(pipeline.tensors):
                if units := self.floor(tensor.seconds / replicas):
                    split = self.model.new_bool_var(f"split[{number},{device}]")
                    here = self.on[tensor.producer][device]
                    for consumer in tensor.consumers:
                        there = self.on[consumer][device]
                        self.model.add_bool_or(split, ~here, there)
                        self.model.add_bool_or(split, here, ~there)
                    terms.append(units * split)
        self.model.add(sum(terms) <= self.period)

    def _memory(self, device: int) -> None:
        capacity = float(self.pipeline.capacity_bytes[device])
        memory = self.pipeline.memory_bytes[:, device]
        if not self.pipeline.limits_memory[device]:
            return
        unit = max(capacity, 1.0) / MEMORY_UNITS
        self.model.add(
            sum(
                math.floor(float(memory[group]) / unit) * self.on[group][device]
                for group in range(self.pipeline.groups)
            )
            <= math.ceil(capacity / unit)
        )

    def _tell_apart(self) -> None:
        """Use identical devices in order, the groups with the most work first."""
        work = self.pipeline.least_seconds
        order = sorted(range(self.pipeline.groups), key=lambda group: (-work[group], group))
        for devices in self.pipeline.classes:
            for before, device in pairwise(devices):
                for index, group in enumerate(order):
                    earlier = [self.on[other][before] for other in order[:index]]
                    self.model.add_bool_or(*earlier, ~self.on[group][device])

    def _positions(self) -> None:
        """Order the devices so that tensors go forward; like devices by their numbers."""
        count = self.pipeline.devices
        rank = [self.model.new_int_var(0, count - 1, f"rank[{d}]") for d in range(count)]
        self.model.add_all_different(rank)
        for devices in self.pipeline.classes:
            for before, device in pairwise(devices):
                self.model.add(rank[before] < rank[device])
        place = [
            self.model.new_int_var(0, count - 1, f"place[{group}]")
            for group in range(self.pipeline.groups)
        ]
        for group, row in enumerate(self.on):
            for device, literal in enumerate(row):
                self.model.add(place[group] == rank[device]).only_enforce_if(literal)
        for group, producers in enumerate(self.pipeline.before):
            for producer in producers:
                self.model.add(place[producer] <= place[group])


def _worst(pipeline: Pipeline) -> float:
    """Return a value that no plan exceeds."""
    finite = np.where(np.isfinite(pipeline.seconds), pipeline.seconds, 0.0)
    moved = math.fsum(tensor.seconds for tensor in pipeline.tensors)
    return float(((finite.sum(axis=0) + moved * pipeline.occupy) / pipeline.replicas).max())


class _CpSat:
    """A run of CP-SAT on a program, with plans and bounds passed on as they come."""

    def __init__(self, search: _Search, program: _Program, *, stalls: bool) -> None:
        from ortools.sat.python import cp_model

        self.search, self.program, self.stalls = search, program, stalls
        self.solver: Any = cp_model.CpSolver()
        parameters = self.solver.parameters
        parameters.num_workers = search.workers
        parameters.random_seed = search.seed
        # Else wrong (google/or-tools issue 5293): see docs/decisions/0009-special-cases.md.
        parameters.presolve_inclusion_work_limit = 0
        left = search._left()
        if math.isfinite(left):
            parameters.max_time_in_seconds = max(left, 0.01)
        self.improved = self.began = time.monotonic()
        self.statuses = cp_model
        self.enough = False

    def run(self) -> None:
        search, program = self.search, self.program
        self._hint()
        status = self._solve()
        if status in (self.statuses.OPTIMAL, self.statuses.FEASIBLE):
            self._take([self.solver.value(literal) for row in program.on for literal in row])
            self._bound(self.solver.best_objective_bound)
            # What gap is left is rounding.
            search.exhausted = bool(status == self.statuses.OPTIMAL)
        elif status == self.statuses.INFEASIBLE:
            # Of plans no worse than the one in hand there are none: the one in hand is best.
            search.infeasible = math.isinf(search.value)
            search.raise_bound(search.value, "claimed")
        elif status == self.statuses.UNKNOWN:
            self._bound(self.solver.best_objective_bound)

    def _hint(self) -> None:
        search, program = self.search, self.program
        if search.assignment is None:
            return
        placed = program.pipeline.restrict(search.pipeline.expand(search.assignment))
        if placed is None:
            return
        for row, device in zip(program.on, placed.tolist(), strict=True):
            for number, literal in enumerate(row):
                program.model.add_hint(literal, number == device)

    def _callback(self) -> Any:
        from ortools.sat.python import cp_model

        run = self

        class Callback(cp_model.CpSolverSolutionCallback):
            def on_solution_callback(self) -> None:
                literals = [literal for row in run.program.on for literal in row]
                run._take([self.value(literal) for literal in literals])

        return Callback()

    def _take(self, values: list[int]) -> None:
        pipeline = self.program.pipeline
        placed = np.array(values).reshape(pipeline.groups, pipeline.devices).argmax(axis=1)
        assignment = self.search.pipeline.restrict(pipeline.expand(placed))
        assert assignment is not None, "reductions only merge groups"
        before = self.search.value
        self.search.offer(assignment)
        if self.search.value < before * (1 - 1e-9):
            self.improved = time.monotonic()

    def _bound(self, units: float) -> None:
        # Every number was rounded down, so the units of the best plan are at least as many;
        # the last factor is for the division and the product.
        if math.isfinite(units):
            least = math.ceil(units - 1e-6) * self.program.unit * (1 - 1e-12)
            self.search.raise_bound(least, "claimed")

    def _solve(self) -> Any:
        """Run CP-SAT beside a watch: it ends when asked to, or when nothing better comes.

        In a thread of its own, so that Ctrl-C is noticed at once and the plan in hand is kept.
        """
        self.solver.best_bound_callback = self._bound
        self.solver.parameters.catch_sigint_signal = False
        ended: list[Any] = []

        def solve() -> None:
            try:
                ended.append(self.solver.solve(self.program.model, self._callback()))
            except BaseException as error:  # noqa: BLE001 - passed on below
                ended.append(error)

        thread = threading.Thread(target=solve, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.02)
                now = time.monotonic()
                patience = max(LEAST_STALL_SECONDS, (now - self.began) / 2)
                stalled = self.stalls and now - self.improved > patience
                if stalled or self.search._done():
                    self.solver.stop_search()
        except KeyboardInterrupt:
            while thread.is_alive():
                self.solver.stop_search()
                thread.join(0.02)
            raise
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]
