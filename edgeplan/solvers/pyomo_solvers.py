"""SCIP, CBC and Gurobi on the program of ``model/formulation``, through Pyomo's interfaces.

Pyomo 6.10 reaches SCIP by its ``scip_direct`` (PySCIPOpt), Gurobi by its ``gurobi_persistent``
(gurobipy; ``gurobi_direct`` would ask for SciPy) and CBC by its command line. All three are told
not to raise on a result that is not optimal, so that the incumbent of a time limit is kept.

What these interfaces do not do: they tell nothing while they run, so there is no progress, and
``stop`` is noticed before a run only (HiGHS and CP-SAT notice it at once). Ctrl-C in a terminal
ends them with their incumbent. SCIP holds Python's other threads up while it runs. SCIP's
``threads`` are those of its linear programs: its search has one. CBC notices its time limit
late, sometimes by many seconds.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import math
import re
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop

if TYPE_CHECKING:
    from edgeplan.model.formulation import Formulation

FEASIBILITY_TOLERANCE = 1e-9
"""For rows and whole numbers: with defaults Pareto points were lost (DESIGN §6)."""
BOUND_ROUNDING = 1e-7
"""Share taken off CBC's bounds, which it prints with eight or nine digits."""
GAP_SHARE = 0.5
"""Share of the gap that the solver gets: the rest is for its tolerances and the rounding."""
MOST_EXCLUDED = 100
"""Plans that the solver's tolerances let pass and the evaluator does not, before giving up."""

Ended = Literal["optimal", "infeasible", "limit", "interrupted", "failed"]


@dataclass(frozen=True)
class _Claim:
    """What a run ended with; the bound in the program's units."""

    ended: Ended
    value: Callable[[Any], float | None] | None
    bound: float | None
    message: str


@dataclass(frozen=True, kw_only=True)
class _ThroughPyomo(ABC):
    """A solver of mixed-integer programs that Pyomo has an interface to."""

    name: ClassVar[str]
    install: ClassVar[str]

    time_limit: float | None = None
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0

    @classmethod
    def availability(cls) -> Availability:
        """Say whether Pyomo and the solver are installed (not whether its licence suffices)."""
        version = cls._version() if importlib.util.find_spec("pyomo") else None
        return Availability(
            available=version is not None, version=version or "", install=cls.install
        )

    @classmethod
    @abstractmethod
    def _version(cls) -> str | None:
        """Return the version installed, ``None`` where there is none."""

    @abstractmethod
    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> _Claim:
        """Run the solver once; ``hint``: the whole variables' values are a plan's."""

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return nothing: the program covers every problem there is so far."""
        return ()

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
            Called at the end only.
        stop
            Noticed before the solver runs, not while it does.

        Returns
        -------
        SolverResult
            With the solver's claims; the price of the plan is the evaluator's.
        """
        from edgeplan.model.formulation import build

        began = time.monotonic()
        held = _Held(problem)
        if start is not None:
            held.offer(start)
        hint = held.plan
        ended, infeasible, bound, message = Stop.INTERRUPTED, False, None, "interrupted"
        try:
            price = held.price if hint is not None else None
            formulation = build(with_tolerance(problem), objective_hint=price)
            if formulation.obstacles:
                ended, message = Stop.COMPLETED, "; ".join(formulation.obstacles)
                infeasible = True
            else:
                ends = math.inf if self.time_limit is None else began + self.time_limit
                ended, infeasible, bound, message = self._rounds(
                    formulation, held, hint, ends, stop
                )
        except KeyboardInterrupt:
            pass
        if infeasible and held.plan is not None:
            ended, infeasible = Stop.FAILED, False
            message = f"{self.name} claims that no plan exists, but a plan in hand is feasible"
        if bound is not None and bound > held.price * (1 + RELATIVE_TOLERANCE):
            ended, bound = Stop.FAILED, None
            message = f"{self.name} claims a bound above the price of a plan in hand"
        if bound is not None:
            bound = min(bound, held.price)
            if ended is Stop.COMPLETED and held.price - bound > self.gap * abs(held.price):
                message += "; its bound stays below the price of its plan"
        solver = f"{self.name} {self._version()}"
        claims = infeasible or bound is not None
        result = SolverResult(
            stop=ended,
            plan=held.plan,
            claimed_objective=None if held.plan is None else held.price,
            bound=bound,
            infeasible=infeasible,
            certificate=self._certificate(problem, solver, message * infeasible)
            if claims
            else None,
            solver=solver,
            seconds=time.monotonic() - began,
            message=message,
        )
        if on_progress is not None:
            on_progress(
                Progress(
                    seconds=result.seconds, incumbent=result.claimed_objective, bound=result.bound
                )
            )
        return result

    def _rounds(
        self,
        formulation: Formulation,
        held: _Held,
        hint: Plan | None,
        ends: float,
        stop: threading.Event | None,
    ) -> tuple[Stop, bool, float | None, str]:
        """Run the solver; ask again without presolve where it claims that there is no plan."""
        given = [] if hint is None else formulation.values(hint)
        for variable, value in given:
            variable.set_value(value)
        presolve, message, excluded = True, "", 0
        while True:
            if stop is not None and stop.is_set():
                return Stop.INTERRUPTED, False, None, message or "stopped before it ran"
            seconds = ends - time.monotonic()
            if seconds <= 0:
                return Stop.TIME_LIMIT, False, None, message or "no time left to run"
            claim = self._claim(
                formulation.model, seconds, hint=bool(given) and presolve, presolve=presolve
            )
            if claim.ended == "infeasible":
                if not presolve:
                    return Stop.COMPLETED, True, None, "infeasible with presolve and without"
                presolve = False  # an unchecked claim is not made (DESIGN §6)
                message = "infeasible with presolve; stopped before it was checked without"
                continue
            plan = None if claim.value is None else formulation.extract(claim.value)
            found = plan is not None and held.offer(plan)
            if not presolve and found:
                text = f"{self.name} claimed that no plan exists, and found one without presolve"
                return Stop.FAILED, False, None, text
            if claim.ended == "optimal" and not found:
                if plan is not None and excluded < MOST_EXCLUDED and _exclude(formulation, plan):
                    excluded += 1
                    message = f"{excluded} plans broke a limit by a hair; stopped before the next"
                    continue
                text = f"the plan that {self.name} calls optimal breaks a limit; {claim.message}"
                return Stop.FAILED, False, None, text
            stops = {
                "optimal": Stop.COMPLETED,
                "limit": Stop.TIME_LIMIT,
                "interrupted": Stop.INTERRUPTED,
            }
            bound = None if claim.bound is None else claim.bound * formulation.objective_unit
            text = claim.message
            if excluded:
                text += f"; {excluded} plan{'s' * (excluded > 1)} excluded"
            if not presolve:
                text = f"infeasible with presolve, not checked without; {text}"
            return stops.get(claim.ended, Stop.FAILED), False, bound, text

    def _certificate(self, problem: Problem, solver: str, reason: str) -> Certificate:
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


def _exclude(formulation: Formulation, plan: Plan) -> bool:
    """Forbid a plan; return whether that can be done: not where its fractions may change."""
    import pyomo.environ as pyo

    if formulation.program.sets.split:
        return False
    model = formulation.model
    if not hasattr(model, "excluded"):
        model.excluded = pyo.ConstraintList()
    places = [
        formulation.program.chosen(s, 1, layer, d)
        for s, routes in plan.routes.items()
        for layer, d in enumerate(routes[0].devices)
    ]
    model.excluded.add(sum(places) <= len(places) - 1)
    return True


class _Held:
    """The best plan that the evaluator finds feasible."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.plan: Plan | None = None
        self.price = math.inf

    def offer(self, plan: Plan) -> bool:
        """Hold a plan if it is feasible and cheaper; return whether it is feasible."""
        evaluation = evaluate(self.problem, plan)
        if evaluation.feasible and evaluation.objective < self.price:
            self.plan, self.price = plan, evaluation.objective
        return evaluation.feasible


@dataclass(frozen=True, kw_only=True)
class Scip(_ThroughPyomo):
    """SCIP on the mixed-integer program.

    Parameters
    ----------
    time_limit
        Seconds for building and solving, ``None`` for no limit.
    gap
        Relative gap at which the plan counts as optimal.
    threads
        Threads of its linear programs; its search has one.
    seed
        Seed of its random choices.

    Notes
    -----
    Bestuzheva et al.: The SCIP Optimization Suite 8.0, ZIB-Report 21-41 (2021).
    """

    name: ClassVar[str] = "scip"
    install: ClassVar[str] = "pip install pyomo pyscipopt"

    @classmethod
    def _version(cls) -> str | None:
        if importlib.util.find_spec("pyscipopt") is None:
            return None
        return f"(pyscipopt {importlib.metadata.version('pyscipopt')})"

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> _Claim:
        from pyomo.contrib.solver.solvers.scip.scip_direct import ScipDirect

        options: dict[str, Any] = {
            "limits/absgap": 0.0,
            "numerics/feastol": FEASIBILITY_TOLERANCE,
            "randomization/randomseedshift": self.seed,
        }
        if not presolve:
            options |= {"presolving/maxrounds": 0, "propagating/maxroundsroot": 0}
        return _direct(self, ScipDirect(), program, seconds, options, hint=hint)


@dataclass(frozen=True, kw_only=True)
class Gurobi(_ThroughPyomo):
    """Gurobi on the mixed-integer program.

    Parameters
    ----------
    time_limit
        Seconds for building and solving, ``None`` for no limit.
    gap
        Relative gap at which the plan counts as optimal.
    threads
        Threads.
    seed
        Seed of its random choices.

    Notes
    -----
    The licence that comes with the package ends at 2,000 variables and 2,000 rows; a larger
    program is a failure that says so.
    """

    name: ClassVar[str] = "gurobi"
    install: ClassVar[str] = "pip install pyomo gurobipy"

    @classmethod
    def _version(cls) -> str | None:
        if importlib.util.find_spec("gurobipy") is None:
            return None
        return importlib.metadata.version("gurobipy")

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> _Claim:
        from pyomo.contrib.solver.solvers.gurobi.gurobi_persistent import GurobiPersistent

        options: dict[str, Any] = {
            "MIPGapAbs": 0.0,
            "FeasibilityTol": FEASIBILITY_TOLERANCE,
            "OptimalityTol": FEASIBILITY_TOLERANCE,
            "IntFeasTol": FEASIBILITY_TOLERANCE,
            "Seed": self.seed,
        }
        if not presolve:
            options["Presolve"] = 0
        gurobipy = importlib.import_module("gurobipy")
        try:
            return _direct(self, GurobiPersistent(), program, seconds, options, hint=hint)
        except gurobipy.GurobiError as error:
            return _Claim("failed", None, None, f"Gurobi: {error}; use the solver 'highs'")


@dataclass(frozen=True, kw_only=True)
class Cbc(_ThroughPyomo):
    """CBC, COIN-OR's branch and cut, on the mixed-integer program.

    Parameters
    ----------
    time_limit
        Seconds for building and solving, ``None`` for no limit. CBC may take much longer within
        its first linear program.
    gap
        Relative gap at which the plan counts as optimal.
    threads
        Threads, where it was built with them.
    seed
        Seed of its random choices.

    Notes
    -----
    The program ``cbc`` is looked for on the path, then in the packages PuLP (3.3.2 brings CBC
    2.10.3) and cbcbox (2.935 brings a development version, whose bounds were up to 2e-4 below
    the optimum: valid, but the gap stays open).
    Forrest, Lougee-Heimer: CBC user guide, INFORMS TutORials (2005).
    """

    name: ClassVar[str] = "cbc"
    install: ClassVar[str] = "pip install pyomo pulp"

    @classmethod
    def _version(cls) -> str | None:
        executable = _cbc()
        if executable is None:
            return None
        asked = subprocess.run(  # noqa: S603 - the CBC found on the path or in a package
            [executable, "-stop"], capture_output=True, text=True, timeout=10, check=False
        )
        found = re.search(r"[Vv]ersion:?\s+(\S+)", asked.stdout)
        return found.group(1) if found else "of unknown version"

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> _Claim:
        import pyomo.environ as pyo

        solver = pyo.SolverFactory("cbc", executable=_cbc())
        options: dict[str, Any] = {
            "ratioGap": GAP_SHARE * self.gap,
            "allowableGap": 0,
            "primalTolerance": FEASIBILITY_TOLERANCE,
            "dualTolerance": FEASIBILITY_TOLERANCE,
            "integerTolerance": FEASIBILITY_TOLERANCE,
            "randomCbcSeed": self.seed + 1,  # 0 would be the time of day
        }
        if self.threads > 1:
            options["threads"] = self.threads
        if not presolve:
            options |= {"presolve": "off", "preprocess": "off"}
        if math.isfinite(seconds):
            # Given to Pyomo as its time limit, CBC is killed a second later, plan and all.
            options |= {"sec": seconds, "timeMode": "elapsed"}
        solver.options.update(options)
        with _quiet():
            results, interrupted = _through_interrupts(
                lambda: solver.solve(program, load_solutions=False, warmstart=hint)
            )
            value = None
            if len(results.solution) > 0:
                program.solutions.load_from(results)
                value = _value
        condition = str(results.solver.termination_condition)
        kinds: dict[str, Ended] = {
            "optimal": "optimal",
            "infeasible": "infeasible",
            "maxTimeLimit": "limit",
            "intermediateNonInteger": "limit",
            "userInterrupt": "interrupted",
        }
        ended = kinds.get(condition, "failed")
        if interrupted and ended != "optimal":
            ended = "interrupted"
        bound = None if ended == "infeasible" else _finite(results.problem.lower_bound)
        best = _finite(results.problem.upper_bound)
        if ended == "optimal" and best is not None:
            # It names its plan's price as the bound even where it stopped at the gap.
            bound = best - GAP_SHARE * self.gap * abs(best)
        elif bound is not None:
            bound -= BOUND_ROUNDING * abs(bound)
        return _Claim(ended, None if ended == "infeasible" else value, bound, condition)


def _cbc() -> str | None:
    """Return the path of CBC, ``None`` where there is none."""
    if found := shutil.which("cbc"):
        return found
    candidates = []
    if importlib.util.find_spec("pulp") is not None:
        shipped = getattr(importlib.import_module("pulp"), "PULP_CBC_CMD", None)
        candidates.append(getattr(shipped, "pulp_cbc_path", None))
    if importlib.util.find_spec("cbcbox") is not None:
        candidates.append(importlib.import_module("cbcbox").cbc_bin_path())
    return next((found for path in candidates if path and (found := shutil.which(path))), None)


def _direct(
    solver: _ThroughPyomo,
    interface: Any,
    program: Any,
    seconds: float,
    options: dict[str, Any],
    *,
    hint: bool,
) -> _Claim:
    """Run one of Pyomo's newer interfaces (``pyomo.contrib.solver``)."""
    from pyomo.contrib.solver.common.results import TerminationCondition

    with _quiet():
        results = interface.solve(
            program,
            load_solutions=False,
            raise_exception_on_nonoptimal_result=False,
            time_limit=seconds if math.isfinite(seconds) else None,
            rel_gap=GAP_SHARE * solver.gap,
            threads=solver.threads,
            warmstart_discrete_vars=hint,
            solver_options=options,
        )
        values = None
        if results.solution_loader.get_number_of_solutions() > 0:
            values = results.solution_loader.get_vars()
    condition = results.termination_condition
    kinds: dict[Any, Ended] = {
        TerminationCondition.convergenceCriteriaSatisfied: "optimal",
        TerminationCondition.provenInfeasible: "infeasible",
        # Nothing here is unbounded: prices are not negative.
        TerminationCondition.infeasibleOrUnbounded: "infeasible",
        TerminationCondition.maxTimeLimit: "limit",
        TerminationCondition.interrupted: "interrupted",
    }
    ended = kinds.get(condition, "failed")
    return _Claim(
        ended,
        None if values is None else values.get,
        None if ended == "infeasible" else _finite(results.objective_bound),
        str(condition.name),
    )


def _through_interrupts(work: Callable[[], Any]) -> tuple[Any, bool]:
    """Return what work returns, and whether Ctrl-C came: a terminal sends it to CBC as well."""
    found: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            failure.append(error)
        finally:
            done.set()

    done = threading.Event()  # `join` may take a thread for ended that Ctrl-C has come between
    threading.Thread(target=run, daemon=True).start()
    interrupted = False
    try:
        done.wait()
    except KeyboardInterrupt:
        interrupted = True
        done.wait()
    if failure:
        raise failure[0]
    return found[0], interrupted


def _value(variable: Any) -> float | None:
    found: float | None = variable.value
    return found


def _finite(value: Any) -> float | None:
    """Return a number that is one; solvers say 1e20 (SCIP) or more where they know none."""
    known = isinstance(value, int | float) and abs(value) < 1e20
    return float(value) if known else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Pyomo's warnings about results that are not optimal to ourselves."""
    logger = logging.getLogger("pyomo")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
