"""The program of ``model/formulation`` solved by HiGHS, a branch-and-bound solver.

The registered equations are assembled as arrays and passed to HiGHS directly, without Pyomo: its
trees take longer than many a solve, and its HiGHS interfaces raise on a result that is not
optimal, which loses a good incumbent at a time limit, and deadlock when two threads solve. HiGHS
runs in a thread of its own, so that Ctrl-C and ``stop`` are noticed at once and the incumbent is
kept; within its first linear program an interrupt may take HiGHS some seconds.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import math
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate, with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop

if TYPE_CHECKING:
    from edgeplan.model.formulation import Formulation
    from edgeplan.model.formulation.arrays import Arrays

FEASIBILITY_TOLERANCE = 1e-9
"""For rows, whole numbers and duals: with HiGHS's defaults Pareto points were lost (DESIGN §6)."""
SMALLEST_ENTRY = 1e-12
"""HiGHS takes smaller matrix entries for 0; its default would take 1e-9."""
PRESOLVE_RULES_OFF = 1 << 5
"""No reduction of dominated columns: with it HiGHS 1.16.0 called dearer plans optimal in 4 of 4,218
small random programs, by up to 35 %; without it, and by 1.15.1, in none, in the same time."""
POLL_SECONDS = 0.05
WIDE = 1e7
"""Where the largest entry is so many times the smallest, HiGHS is asked with and without
presolve: with tolerances of 1e-9, it was wrong on some such programs."""
WIDEST = 1e10
"""… and beyond this, its bounds and claims of infeasibility are not taken at all: on random
problems with a range above 1e14 it was wrong on 4 of 1,169."""
_VERSION = "1.15.1"


@dataclass(frozen=True, kw_only=True)
class Highs:
    """HiGHS on the mixed-integer program.

    Parameters
    ----------
    time_limit
        Seconds for building and solving, ``None`` for no limit.
    gap
        Relative gap at which the plan counts as optimal.
    threads
        Threads of HiGHS.
    seed
        Seed of its random choices.
    presolve
        Whether HiGHS simplifies the program first.

    Notes
    -----
    Huangfu, Hall: Parallelizing the dual revised simplex method, Mathematical Programming
    Computation 10 (2018).
    """

    name: ClassVar[str] = "highs"

    time_limit: float | None = None
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    presolve: bool = True

    @classmethod
    def availability(cls) -> Availability:
        """Say whether Pyomo and highspy are installed."""
        missing = [name for name in ("pyomo", "highspy") if importlib.util.find_spec(name) is None]
        version = "" if "highspy" in missing else importlib.metadata.version("highspy")
        return Availability(
            available=not missing,
            version=version,
            install=f"pip install pyomo 'highspy>={_VERSION}'",
        )

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for it: what comes of load; else empty."""
        return load_reasons(problem)

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
            A plan to begin from; where it is feasible, a claim that there is none is refused.
        on_progress
            Called in the calling thread with incumbents and bounds.
        stop
            Setting it ends the run with what it has.

        Returns
        -------
        SolverResult
            With HiGHS's claims; price the plan with `evaluate`.
        """
        from edgeplan.model.formulation.assemble import assemble

        began = time.monotonic()
        solver = f"highs {importlib.metadata.version('highspy')}"
        known = None if start is None else evaluate(problem, start)
        hint = known.objective if known is not None and known.feasible else None
        # Limits read more strictly than by the evaluator would be refuted by its plans.
        assembled = assemble(with_tolerance(problem), objective_hint=hint)
        formulation, arrays = assembled.formulation, assembled.arrays
        if formulation.obstacles:
            return SolverResult(
                stop=Stop.COMPLETED,
                plan=None,
                claimed_objective=None,
                bound=None,
                infeasible=True,
                certificate=self._certificate(problem, solver, "; ".join(formulation.obstacles)),
                solver=solver,
                seconds=time.monotonic() - began,
                message="; ".join(formulation.obstacles),
            )
        ends = math.inf if self.time_limit is None else began + self.time_limit
        run = Run(self, formulation, arrays, began, ends, on_progress, stop or threading.Event())
        outcome = run.solve(start if hint is not None else None, presolve=self.presolve)
        message = ""
        if outcome.inconsistent:
            outcome = run.solve(None, presolve=False)
            message = "solved again without presolve, since HiGHS contradicted itself"
        elif self.presolve and arrays.span > WIDE and outcome.stop is Stop.COMPLETED:
            outcome, message = _of_both(outcome, run.solve(outcome.plan, presolve=False))
        if outcome.inconsistent:
            message = "HiGHS claims a price or bound that does not fit the solution it returned"
            outcome = _Outcome(Stop.FAILED)
        if outcome.infeasible:
            # HiGHS was wrong on some programs with presolve on (DESIGN §6): ask again without.
            again = run.solve(None, presolve=False) if self.presolve else outcome
            outcome, message = _checked(again, start if hint is not None else None, hint)
        if arrays.span > WIDEST:
            outcome, message = _mistrusted(problem, outcome, arrays.span)
        if hint is not None and outcome.stop is not Stop.FAILED and _worse(outcome, hint):
            # Stopped before HiGHS had found one as good: it is still what we hold.
            outcome = dataclasses.replace(outcome, plan=start, objective=hint)
        claims = outcome.infeasible or outcome.bound is not None
        return SolverResult(
            stop=outcome.stop,
            plan=outcome.plan,
            claimed_objective=outcome.objective,
            bound=outcome.bound,
            infeasible=outcome.infeasible,
            certificate=self._certificate(problem, solver) if claims else None,
            solver=solver,
            seconds=time.monotonic() - began,
            message=message or outcome.message,
        )

    def _certificate(self, problem: Problem, solver: str, reason: str = "") -> Certificate:
        routes = max(stream.route_limit for stream in problem.streams)
        plural = "route" if routes == 1 else "routes"
        bounded = f"these profiles and their cuts, at most {routes} {plural} per stream"
        return Certificate(
            basis="claimed",
            witnesses=(solver,),
            bounded=f"{bounded}; {reason}" if reason else bounded,
            tolerances=(
                ("relative gap", self.gap),
                ("feasibility", FEASIBILITY_TOLERANCE),
                ("integrality", FEASIBILITY_TOLERANCE),
            ),
        )


@dataclass(frozen=True)
class _Outcome:
    """What one run of HiGHS ended with, in the objective's units."""

    stop: Stop
    plan: Plan | None = None
    objective: float | None = None
    bound: float | None = None
    infeasible: bool = False
    inconsistent: bool = False
    message: str = ""


@dataclass(frozen=True)
class Run:
    """One program on its way through HiGHS."""

    options: Highs
    formulation: Formulation
    arrays: Arrays
    began: float
    ends: float
    on_progress: Callable[[Progress], None] | None
    stop: threading.Event
    moments: queue.SimpleQueue[Progress] = field(default_factory=queue.SimpleQueue)

    def solve(self, start: Plan | None, *, presolve: bool) -> _Outcome:
        """Run HiGHS once; return what it holds."""
        highs = quiet_highs()
        seconds = self.ends - time.monotonic()
        options: dict[str, bool | int | float | str] = {
            "mip_rel_gap": self.options.gap,
            "mip_abs_gap": 0.0,
            "threads": self.options.threads,
            "random_seed": self.options.seed,
            "presolve": "on" if presolve else "off",
            "presolve_rule_off": PRESOLVE_RULES_OFF,
            "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "small_matrix_value": SMALLEST_ENTRY,
        }
        if math.isfinite(seconds):
            options["time_limit"] = max(seconds, 0.0)
        for key, option in options.items():
            _check(highs.setOptionValue(key, option), f"option {key}")
        _check(highs.passModel(as_program(self.arrays)), "passing the program")
        interrupted = self._wait(highs, start)
        return self._outcome(highs, interrupted)

    def _complete(self, start: Plan) -> list[float] | None:
        """Return the values of all columns that stand for a plan; ``None`` where there are none."""
        import highspy
        import numpy as np

        position = {id(column): index for index, column in enumerate(self.arrays.columns)}
        given = self.formulation.values(start)
        if not given:
            return None
        indices = np.array([position[id(variable)] for variable, _ in given], dtype=np.int32)
        values = np.array([value for _, value in given], dtype=np.float64)
        highs = quiet_highs()
        for key, option in (
            ("threads", self.options.threads),
            ("primal_feasibility_tolerance", FEASIBILITY_TOLERANCE),
            ("small_matrix_value", SMALLEST_ENTRY),
        ):
            _check(highs.setOptionValue(key, option), f"option {key}")
        lp = as_program(self.arrays)
        lp.integrality_ = []
        _check(highs.passModel(lp), "passing the program")
        highs.changeColsBounds(len(given), indices, values, values)
        highs.run()
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        found: list[float] = highs.getSolution().col_value
        return found

    def _wait(self, highs: Any, start: Plan | None) -> bool:
        """Run HiGHS in a thread; return whether it was asked to stop.

        A plan to begin from is injected by a callback: given by ``setSolution``, with presolve
        on, HiGHS 1.16.0 called 8 of 3,477 random problems optimal at a price that was not that
        of the solution it returned; injected, none of 1,163, some that it had got wrong among them.
        """
        import numpy as np

        asked = threading.Event()
        unit = self.formulation.objective_unit

        def interrupt(event: Any) -> None:
            if asked.is_set() or self.stop.is_set():
                event.interrupt()

        def report(event: Any) -> None:
            data = event.data_out
            self.moments.put(
                Progress(
                    seconds=time.monotonic() - self.began,
                    incumbent=_finite(data.mip_primal_bound, unit),
                    bound=_finite(data.mip_dual_bound, unit),
                )
            )

        for descriptor in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
            descriptor.subscribe(interrupt)
        if self.on_progress is not None:
            highs.cbMipImprovingSolution.subscribe(report)
            highs.cbMipLogging.subscribe(report)
        failure: list[BaseException] = []
        waiting: list[list[float]] = []

        def inject(event: Any) -> None:
            if waiting:
                event.data_in.setSolution(np.array(waiting.pop(), dtype=np.float64))

        def work() -> None:
            try:
                # In the same thread: HiGHS keeps its scheduler, and so `threads`, per thread.
                known = None if start is None else self._complete(start)
                if known is not None:
                    waiting.append(known)
                    highs.cbMipUserSolution.subscribe(inject)
                highs.run()
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                failure.append(error)

        thread = threading.Thread(target=work, name="highs", daemon=True)
        thread.start()
        while thread.is_alive():
            try:
                thread.join(POLL_SECONDS)
                self._tell()
            except KeyboardInterrupt:
                if asked.is_set():
                    raise
                asked.set()
        self._tell()
        if failure:
            raise SolverError(f"HiGHS failed: {failure[0]}") from failure[0]
        return asked.is_set() or self.stop.is_set()

    def _tell(self) -> None:
        while self.on_progress is not None:
            try:
                moment = self.moments.get_nowait()
            except queue.Empty:
                return
            self.on_progress(moment)

    def _outcome(self, highs: Any, interrupted: bool) -> _Outcome:
        import highspy

        status = highs.getModelStatus()
        kinds = highspy.HighsModelStatus
        if status in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
            # Nothing here is unbounded: prices are not negative.
            return _Outcome(Stop.COMPLETED, infeasible=True)
        info = highs.getInfo()
        unit = self.formulation.objective_unit
        plan, objective = None, None
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            values = highs.getSolution().col_value
            by_id = dict(zip(map(id, self.arrays.columns), values, strict=True))
            plan = self.formulation.extract(lambda variable: by_id.get(id(variable)))
            objective = unit * (
                math.fsum(c * x for c, x in zip(self.arrays.cost, values, strict=True) if x)
                + self.arrays.offset
            )
        bound = _finite(info.mip_dual_bound, unit)
        stops = {
            kinds.kOptimal: Stop.COMPLETED,
            kinds.kTimeLimit: Stop.TIME_LIMIT,
            kinds.kInterrupt: Stop.INTERRUPTED,
        }
        why = stops.get(status, Stop.INTERRUPTED if interrupted else Stop.FAILED)
        said = info.objective_function_value * unit
        return _Outcome(
            why,
            plan,
            objective,
            bound,
            inconsistent=objective is not None
            and not (
                math.isclose(said, objective, rel_tol=1e-6, abs_tol=1e-9 * unit)
                # A lost optimum shows where a plan to begin from is better than the bound.
                and (bound is None or bound <= objective + 1e-6 * abs(objective) + 1e-9 * unit)
            ),
            message=(
                f"{highs.modelStatusToString(status)}; {len(self.arrays.columns)} columns, "
                f"{len(self.arrays.row_lower)} rows, {info.mip_node_count} nodes"
            ),
        )


def _of_both(with_presolve: _Outcome, without: _Outcome) -> tuple[_Outcome, str]:
    """Return the better plan under the lower bound of two runs on a program of wide range."""
    if with_presolve.infeasible or without.stop is Stop.FAILED:
        return with_presolve, ""
    better = min(
        (without, with_presolve), key=lambda o: math.inf if o.objective is None else o.objective
    )
    bounds = [o.bound for o in (with_presolve, without) if o.bound is not None]
    message = "numbers of very different sizes: solved with presolve and without"
    both = dataclasses.replace(better, stop=without.stop, bound=min(bounds, default=None))
    return both, f"{message}; {without.message}"


def _mistrusted(problem: Problem, outcome: _Outcome, span: float) -> tuple[_Outcome, str]:
    """Return what is left of a run whose numbers are beyond HiGHS's tolerances: its plan."""
    message = (
        f"the largest number is 10^{math.log10(span):.0f} times the smallest, beyond HiGHS's "
        "tolerances: what it claims is not taken; forbid what cannot be meant, or use the solver "
        "'cp-sat' or 'enumerate'"
    )
    price = None if outcome.plan is None else evaluate(problem, outcome.plan)
    if price is None or not price.feasible:
        return _Outcome(Stop.WORK_LIMIT), message
    return _Outcome(Stop.WORK_LIMIT, outcome.plan, price.objective), message


def _checked(again: _Outcome, known: Plan | None, price: float | None) -> tuple[_Outcome, str]:
    """Return what stands of a claim that no plan exists, after asking without presolve."""
    if again.plan is not None:
        message = "HiGHS claimed that no plan exists, and found one with presolve off"
        return _Outcome(Stop.FAILED, again.plan, again.objective), message
    if known is not None:
        message = "HiGHS claims that no plan exists, but the plan to start from is feasible"
        return _Outcome(Stop.FAILED, known, price), message
    if again.infeasible:
        return again, "infeasible with presolve and without"
    return _Outcome(again.stop), "infeasible with presolve; stopped before it was checked without"


def _worse(outcome: _Outcome, price: float) -> bool:
    return outcome.objective is None or outcome.objective > price


def _finite(value: float, unit: float) -> float | None:
    return value * unit if math.isfinite(value) else None


def as_program(arrays: Arrays) -> Any:
    """Return a program in arrays as a ``highspy.HighsLp``."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_col_ = len(arrays.columns)
    lp.num_row_ = len(arrays.row_lower)
    lp.col_cost_ = arrays.cost
    lp.offset_ = arrays.offset
    lp.col_lower_ = arrays.lower
    lp.col_upper_ = arrays.upper
    lp.row_lower_ = arrays.row_lower
    lp.row_upper_ = arrays.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.num_col_ = lp.num_col_
    lp.a_matrix_.num_row_ = lp.num_row_
    lp.a_matrix_.start_ = arrays.starts
    lp.a_matrix_.index_ = arrays.indices
    lp.a_matrix_.value_ = arrays.values
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    lp.integrality_ = [kinds[int(whole)] for whole in arrays.integral]
    return lp


def quiet_highs() -> Any:
    """Return a HiGHS that prints nothing, not even its banner when callbacks are set up."""
    import highspy

    class Quiet(highspy.Highs):
        def enableCallbacks(self) -> None:  # noqa: N802 - HiGHS's name; its constructor calls it
            _check(self.setOptionValue("output_flag", False), "option output_flag")
            super().enableCallbacks()  # type: ignore[no-untyped-call]  # highspy's own omission

    return Quiet()  # type: ignore[no-untyped-call]  # highspy's own omission


def _check(status: Any, what: str) -> None:
    import highspy

    if status == highspy.HighsStatus.kError:
        raise SolverError(f"HiGHS refused {what}")
