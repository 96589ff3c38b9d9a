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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from edgeplan.solvers.through_pyomo.interface import (
    FEASIBILITY_TOLERANCE,
    Claim,
    Ended,
    ThroughPyomo,
)

BOUND_ROUNDING = 1e-7
"""Share taken off CBC's bounds, which it prints with eight or nine digits."""
GAP_SHARE = 0.5
"""Share of the gap that the solver gets: the rest is for its tolerances and the rounding."""


@dataclass(frozen=True, kw_only=True)
class Scip(ThroughPyomo):
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

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> Claim:
        from pyomo.contrib.solver.solvers.scip.scip_direct import ScipDirect

        options: dict[str, Any] = {
            "limits/absgap": 0.0,
            "numerics/feastol": FEASIBILITY_TOLERANCE,
            # With them SCIP 10.0 called plans optimal that were up to 35 % too dear, as HiGHS
            # 1.16.0 did on the same programs (tests/conformance/test_agreement.py).
            "misc/allowstrongdualreds": False,
            "randomization/randomseedshift": self.seed,
        }
        if not presolve:
            options |= {"presolving/maxrounds": 0, "propagating/maxroundsroot": 0}
        return _direct(self, ScipDirect(), program, seconds, options, hint=hint)


@dataclass(frozen=True, kw_only=True)
class Gurobi(ThroughPyomo):
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

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> Claim:
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
            return Claim("failed", None, None, f"Gurobi: {error}; use the solver 'highs'")


@dataclass(frozen=True, kw_only=True)
class Cbc(ThroughPyomo):
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

    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> Claim:
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
        return Claim(ended, None if ended == "infeasible" else value, bound, condition)


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
    solver: ThroughPyomo,
    interface: Any,
    program: Any,
    seconds: float,
    options: dict[str, Any],
    *,
    hint: bool,
) -> Claim:
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
    return Claim(
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
