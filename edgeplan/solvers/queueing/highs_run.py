"""The program of queues and routes in HiGHS: its relaxation, and the program itself."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgeplan.model.errors import SolverError
from edgeplan.model.formulation.queueing import Program
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.solvers.highs import (
    FEASIBILITY_TOLERANCE,
    POLL_SECONDS,
    PRESOLVE_RULES_OFF,
    SMALLEST_ENTRY,
    quiet_highs,
)
from edgeplan.solvers.result import Stop

RELAXED_TOLERANCE = 1e-7
"""Feasibility tolerance of relaxations, whose bounds are computed anew from their duals."""


@dataclass(frozen=True)
class Relaxation:
    """Optimum of a program without whole numbers, in its own unit.

    Parameters
    ----------
    value
        Its value; ``inf`` where it is infeasible.
    x, reduced, dual
        Values and reduced costs of the columns, duals of the rows.
    """

    value: float
    x: Floats
    reduced: Floats
    dual: Floats


@dataclass(frozen=True)
class Outcome:
    """What a run ended with, in the objective's units."""

    stop: Stop
    x: Floats | None = None
    objective: float | None = None
    bound: float | None = None
    infeasible: bool = False
    message: str = ""


@dataclass
class Clock:
    """When a run has to end, and how it tells of itself.

    Parameters
    ----------
    ends
        On the clock of ``time.monotonic``; ``inf`` for never.
    stop
        Ends it when set.
    tell
        Takes incumbent and bound of the running program.
    """

    ends: float
    stop: threading.Event
    tell: Callable[[float | None, float | None], None] | None = None
    interrupted: bool = field(default=False)

    @property
    def left(self) -> float:
        """Seconds left."""
        return max(self.ends - time.monotonic(), 0.0)

    @property
    def over(self) -> Stop | None:
        """Why work has to end now; ``None`` where it goes on."""
        if self.interrupted or self.stop.is_set():
            return Stop.INTERRUPTED
        return Stop.TIME_LIMIT if time.monotonic() >= self.ends else None


def relax(program: Program, clock: Clock, *, threads: int) -> Relaxation | None:
    """Solve a program without whole numbers; ``None`` where it did not get to an end."""
    import highspy

    highs = _ready(program, clock, threads=threads, relaxed=True)
    for key in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        # Three times as fast; what the duals lack is taken off the bound below.
        _check(highs.setOptionValue(key, RELAXED_TOLERANCE), f"option {key}")
    wait(highs, clock, lambda: highs.run())
    status = highs.getModelStatus()
    kinds = highspy.HighsModelStatus
    if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
        nothing = np.zeros(0)
        return Relaxation(math.inf, nothing, nothing, nothing)
    if status != kinds.kOptimal:
        return None
    solution = highs.getSolution()
    return _by_duals(program, np.array(solution.col_value), np.array(solution.row_dual))


def _by_duals(program: Program, x: Floats, dual: Floats) -> Relaxation:
    """Return the bound that duals give whatever they are: none is taken on trust.

    A dual with the wrong sign becomes 0; every column with a negative reduced cost counts at its
    upper bound.
    """
    dual = np.where((dual > 0) & np.isinf(program.row_lower), 0.0, dual)
    dual = np.where((dual < 0) & np.isinf(program.row_upper), 0.0, dual)
    row = np.repeat(np.arange(len(dual)), np.diff(program.starts))

    def reduced_cost() -> Floats:
        used: Floats = program.cost - np.bincount(
            program.indices, weights=dual[row] * program.values, minlength=len(program.cost)
        )
        return used

    reduced = reduced_cost()
    short = np.flatnonzero(np.isinf(program.upper) & (reduced < 0))
    if len(short):
        # An unbounded column is in rows whose duals, made smaller, cost the bound less.
        excess = program.rows("exceeding")
        dual[excess] *= 1 - 1e-6
        reduced = reduced_cost()
    side = np.where(dual > 0, program.row_lower, program.row_upper)
    rows = math.fsum((dual * np.where(dual != 0, side, 0.0)).tolist())
    low = np.where(reduced > 0, program.lower, program.upper)
    with np.errstate(invalid="ignore"):
        columns = math.fsum(np.where(reduced != 0, reduced * low, 0.0).tolist())
    return Relaxation(rows + columns, x, reduced, dual)


def solve(
    program: Program,
    clock: Clock,
    *,
    gap: float,
    threads: int,
    seed: int,
    start: Floats | None = None,
    enough: float = math.inf,
    presolve: bool = True,
) -> Outcome:
    """Solve a program.

    Parameters
    ----------
    program
        What to solve.
    clock
        When to end.
    gap, threads, seed, presolve
        Options of HiGHS.
    start
        Values of its routes to begin from, and of its counts of replicas (others: completed).
    enough
        A bound, in the objective's units, at which it may stop.
    """
    import highspy

    unit = program.unit
    if program.variables.count == 0 or clock.over is not None:
        return Outcome(clock.over or Stop.COMPLETED)
    highs = _ready(program, clock, threads=threads, relaxed=False)
    for key, option in (
        ("mip_rel_gap", gap),
        ("mip_abs_gap", 0.0),
        ("random_seed", seed),
        ("presolve", "on" if presolve else "off"),
    ):
        _check(highs.setOptionValue(key, option), f"option {key}")
    reached = threading.Event()
    moments: queue.SimpleQueue[tuple[float | None, float | None]] = queue.SimpleQueue()

    def watch(event: Any) -> None:
        data = event.data_out
        if data.mip_dual_bound * unit >= enough:
            reached.set()
        moments.put((_finite(data.mip_primal_bound, unit), _finite(data.mip_dual_bound, unit)))

    highs.cbMipLogging.subscribe(watch)
    highs.cbMipImprovingSolution.subscribe(watch)

    def stop_early(event: Any) -> None:
        if event.data_out.mip_dual_bound * unit >= enough:
            reached.set()
        if reached.is_set():
            event.interrupt()

    highs.cbMipInterrupt.subscribe(stop_early)
    waiting = [] if start is None else [start]

    def inject(event: Any) -> None:
        if waiting:
            event.data_in.setSolution(waiting.pop())

    if waiting:
        highs.cbMipUserSolution.subscribe(inject)
    wait(highs, clock, lambda: highs.run(), moments)
    status = highs.getModelStatus()
    kinds = highspy.HighsModelStatus
    if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
        return Outcome(Stop.COMPLETED, infeasible=True)
    info = highs.getInfo()
    x, objective = None, None
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        x = np.array(highs.getSolution().col_value)
        objective = unit * float(program.cost @ x)
    stops = {kinds.kOptimal: Stop.COMPLETED, kinds.kTimeLimit: Stop.TIME_LIMIT}
    why = stops.get(status, Stop.COMPLETED if reached.is_set() else _reason(clock))
    bound = _finite(info.mip_dual_bound, unit)
    if objective is not None and bound is not None and bound > objective * (1 + 1e-6) + 1e-9 * unit:
        return Outcome(Stop.FAILED, x, objective, message="HiGHS's bound is above its solution")
    return Outcome(
        why,
        x,
        objective,
        bound,
        message=(
            f"{highs.modelStatusToString(status)}; {program.variables.count} columns, "
            f"{len(program.row_lower)} rows, {info.mip_node_count} nodes"
        ),
    )


def _ready(program: Program, clock: Clock, *, threads: int, relaxed: bool) -> Any:
    import highspy

    highs = quiet_highs()
    options: dict[str, bool | int | float | str] = {
        "threads": threads,
        "presolve_rule_off": PRESOLVE_RULES_OFF,
        "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
        "small_matrix_value": SMALLEST_ENTRY,
    }
    if math.isfinite(clock.left):
        options["time_limit"] = clock.left
    for key, option in options.items():
        _check(highs.setOptionValue(key, option), f"option {key}")
    lp = highspy.HighsLp()
    lp.num_col_ = program.variables.count
    lp.num_row_ = len(program.row_lower)
    lp.col_cost_ = program.cost
    lp.col_lower_ = program.lower
    lp.col_upper_ = program.upper
    lp.row_lower_ = program.row_lower
    lp.row_upper_ = program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_ = lp.num_col_
    lp.a_matrix_.num_row_ = lp.num_row_
    lp.a_matrix_.start_ = program.starts
    lp.a_matrix_.index_ = program.indices
    lp.a_matrix_.value_ = program.values
    if not relaxed:
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(whole)] for whole in program.whole]
    _check(highs.passModel(lp), "passing the program")
    return highs


def wait(
    highs: Any,
    clock: Clock,
    work: Callable[[], object],
    moments: queue.SimpleQueue[tuple[float | None, float | None]] | None = None,
) -> None:
    """Run in a thread of its own, so that Ctrl-C and ``stop`` are noticed at once."""

    def interrupt(event: Any) -> None:
        if clock.interrupted or clock.stop.is_set():
            event.interrupt()

    for descriptor in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
        descriptor.subscribe(interrupt)
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the calling thread
            failure.append(error)

    def tell() -> None:
        while moments is not None:
            try:
                moment = moments.get_nowait()
            except queue.Empty:
                return
            if clock.tell is not None:
                clock.tell(*moment)

    thread = threading.Thread(target=run, name="highs", daemon=True)
    thread.start()
    while thread.is_alive():
        try:
            thread.join(POLL_SECONDS)
            tell()
        except KeyboardInterrupt:
            if clock.interrupted:
                raise
            clock.interrupted = True
    tell()
    if failure:
        raise SolverError(f"HiGHS failed: {failure[0]}") from failure[0]


def _reason(clock: Clock) -> Stop:
    """Return why a run ended that came to no end of its own."""
    return clock.over or Stop.FAILED


def _finite(value: float, unit: float) -> float | None:
    return value * unit if math.isfinite(value) else None


def _check(status: Any, what: str) -> None:
    import highspy

    if status == highspy.HighsStatus.kError:
        raise SolverError(f"HiGHS refused {what}")
