"""Discrete problems by CP-SAT, the constraint solver of OR-Tools.

The program of ``model/formulation`` is brought to 0/1 variables and whole numbers
(`edgeplan.solvers.cpsat.zero_one`) by rounding that only relaxes it. So CP-SAT's bound, divided by
the scale, is a bound of the problem as it stands, and a plan of the relaxation that `evaluate`
finds to break a limit after all is excluded by name, and the search goes on. The price of a plan
is always the evaluator's.

One step of CP-SAT's presolve is off: with it, 9.15.6755 called plans optimal that were not (3 of
800 random problems, by up to 5 %), on any seed and number of workers. It merges linear rows with
at-most-one constraints that they include; `presolve_inclusion_work_limit` = 0 leaves that out
(google/or-tools issue 5293).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.cpsat.model import WholeModel
from edgeplan.solvers.cpsat.throughput import solve_throughput
from edgeplan.solvers.cpsat.zero_one import SLACK, ZeroOne, whole, zero_one
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.pipeline.problem import reasons_against
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop

if TYPE_CHECKING:
    from edgeplan.model.formulation import Formulation
    from edgeplan.model.formulation.arrays import Arrays

ROUNDING = 1e-12
"""Share taken off bounds for rounding in floating-point sums."""
GAP_SHARE = 0.5
"""Share of the gap that CP-SAT gets: the rest is for rounding to whole numbers."""
MOST_EXCLUDED = 1_000
"""Plans of the relaxation that break a limit by a hair, before giving up."""
_VERSION = "9.15"


@dataclass(frozen=True, kw_only=True)
class CpSat:
    """CP-SAT on the program in whole numbers, where no stream may be split.

    Parameters
    ----------
    time_limit
        Seconds for building and solving, ``None`` for no limit.
    gap
        Relative gap at which the plan counts as optimal.
    threads
        Workers of CP-SAT; its strategies are made for 8 and more.
    seed
        Seed of its random choices. Equal seeds give equal plans with one thread.
    alone
        Whether throughput problems are CP-SAT's alone: as a witness it must do without the
        ideals and prices that begin the search otherwise.

    Notes
    -----
    Perron, Didier: CP-SAT, OR-Tools (Google). Lazy clause generation: Ohrimenko, Stuckey,
    Codish: Propagation via lazy clause generation, Constraints 14 (2009).
    """

    name: ClassVar[str] = "cp-sat"

    time_limit: float | None = None
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    alone: bool = False

    @classmethod
    def availability(cls) -> Availability:
        """Say whether Pyomo and OR-Tools are installed."""
        missing = [name for name in ("pyomo", "ortools") if importlib.util.find_spec(name) is None]
        version = "" if "ortools" in missing else importlib.metadata.version("ortools")
        return Availability(
            available=not missing,
            version=version,
            install=f"pip install pyomo 'ortools>={_VERSION}'",
        )

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not for CP-SAT; empty where it is."""
        return (
            *load_reasons(problem),
            *(
                f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and "
                "fractions are not whole numbers: use the solver 'highs'"
                for stream in problem.streams
                if stream.route_limit > 1
            ),
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
            What is to be planned; see `unsupported`.
        start
            A plan to begin from; where it is feasible, a claim that there is none is refused.
        on_progress
            Called in the calling thread with incumbents and bounds.
        stop
            Setting it ends the run with what it has, as Ctrl-C does.

        Returns
        -------
        SolverResult
            With CP-SAT's claims; the price of the plan is the evaluator's.

        Raises
        ------
        InputError
            If the start does not speak of this problem.
        SolverError
            If CP-SAT refuses the program.
        """
        if not reasons_against(problem):
            return solve_throughput(
                problem,
                time_limit=self.time_limit,
                gap=self.gap,
                threads=self.threads,
                seed=self.seed,
                alone=self.alone,
                start=start,
                on_progress=on_progress,
                stop=stop,
            )
        watch = _Watch(self.time_limit, on_progress, stop or threading.Event())
        search = _Search(self, problem, watch)
        if reasons := self.unsupported(problem):
            message = "not supported: " + "; ".join(reasons)
            return search.result(_Outcome(Stop.FAILED, message=message))
        try:
            if start is not None:
                search.offer(start)
            outcome = search.run()
        except KeyboardInterrupt:
            outcome = _Outcome(Stop.INTERRUPTED, message="interrupted")
        return search.result(outcome)


@dataclass
class _Watch:
    """When to end, and whom to tell."""

    time_limit: float | None
    on_progress: Callable[[Progress], None] | None
    stop: threading.Event
    interrupted: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        return math.inf if self.time_limit is None else max(self.time_limit - self.seconds, 0.0)

    @property
    def asked(self) -> bool:
        return self.interrupted or self.stop.is_set()

    @property
    def ended(self) -> Stop | None:
        if self.asked:
            return Stop.INTERRUPTED
        return Stop.TIME_LIMIT if self.left <= 0 else None


@dataclass(frozen=True)
class _Outcome:
    """Why a search ended."""

    stop: Stop
    infeasible: bool = False
    message: str = ""


class _Search:
    """A problem, what is held of it, and the runs of CP-SAT on it."""

    def __init__(self, options: CpSat, problem: Problem, watch: _Watch) -> None:
        self.options = options
        self.problem = problem
        self.watch = watch
        self.plan: Plan | None = None
        self.price = math.inf
        self.bound = -math.inf
        self.unit = 1.0
        self.error = 0.0
        self.excluded: list[frozenset[int]] = []
        self.detail = ""

    # -- what is held ------------------------------------------------------------------

    def offer(self, plan: Plan) -> bool:
        """Hold a plan if it is feasible and cheaper; return whether it is feasible."""
        evaluation = evaluate(self.problem, plan)
        if evaluation.feasible and evaluation.objective < self.price:
            # Ctrl-C may come between two assignments; a price that is not the plan's is worse.
            self.plan, self.price = plan, evaluation.objective
            self.tell()
        return evaluation.feasible

    def raise_bound(self, whole_price: float) -> None:
        """Take a bound of the program in whole numbers."""
        bound = whole_price * self.unit
        bound -= ROUNDING * abs(bound)
        if bound > self.bound:
            self.bound = min(bound, self.price)
            self.tell()

    def tell(self) -> None:
        if self.watch.on_progress is not None:
            self.watch.on_progress(
                Progress(
                    seconds=self.watch.seconds,
                    incumbent=self.price if self.plan is not None else None,
                    bound=self.bound if math.isfinite(self.bound) else None,
                )
            )

    @property
    def closed(self) -> bool:
        """Whether the plan in hand is within the gap."""
        return self.price - self.bound <= self.options.gap * abs(self.price)

    # -- the search ------------------------------------------------------------------

    def run(self) -> _Outcome:
        """Search until the gap is closed or something ends it."""
        from edgeplan.model.formulation import build
        from edgeplan.model.formulation.arrays import compile_arrays

        hint = self.price if self.plan is not None else None
        formulation = build(with_tolerance(self.problem), objective_hint=hint)
        if formulation.obstacles:
            return self._no_plan("; ".join(formulation.obstacles))
        arrays = compile_arrays(formulation.model)
        self.unit = formulation.objective_unit
        program = zero_one(arrays)
        known = self.price
        outcome = self._rounds(formulation, arrays, program)
        if outcome.stop is Stop.COMPLETED and not outcome.infeasible and not self.closed:
            # Dear variables left out, the objective can be counted in smaller steps.
            if self.price < known:
                outcome = self._rounds(formulation, arrays, program)
            if outcome.stop is Stop.COMPLETED and not self.closed:
                message = f"the gap stays open by rounding to whole numbers; {outcome.message}"
                return _Outcome(Stop.WORK_LIMIT, message=message)
        return outcome

    def _rounds(self, formulation: Formulation, arrays: Arrays, program: ZeroOne) -> _Outcome:
        """Run CP-SAT until its best plan is one of the evaluator's too."""
        variable = {id(arrays.columns[c]): v for c, v in program.columns.items()}
        places = [
            v
            for c, v in program.columns.items()
            if arrays.integral[c] and arrays.columns[c].parent_component().local_name == "place"
        ]
        numbers = whole(program, None if self.plan is None else self.price / self.unit)
        self.error = numbers.error
        model = WholeModel(program.count, numbers, places)
        if self.plan is not None:
            model.hint({variable[id(c)]: round(x) for c, x in formulation.values(self.plan)})
        for ones in self.excluded:
            model.exclude(ones)

        def plan(ones: frozenset[int]) -> Plan:
            return formulation.extract(lambda c: float(variable.get(id(c), -1) in ones))

        def take(moment: frozenset[int] | float) -> None:
            if isinstance(moment, frozenset):
                self.offer(plan(moment))
            else:
                self.raise_bound(moment)

        presolve = True
        while True:
            if (ended := self.watch.ended) is not None:
                return _Outcome(ended, message=self._unchecked(presolve) + self.detail)
            answer = model.run(self._parameters(presolve), take, self.watch)
            self.detail = answer.detail
            if answer.status == "INFEASIBLE":
                if not presolve:
                    return self._no_plan("infeasible with presolve and without")
                presolve = False  # an unchecked claim is not made (DESIGN §6)
                continue
            if not presolve and answer.ones is not None:
                self.bound = -math.inf
                return _Outcome(
                    Stop.FAILED,
                    message="CP-SAT claimed that no plan exists, and found one without presolve",
                )
            if answer.status != "OPTIMAL":
                return _Outcome(self._ended(), message=self._unchecked(presolve) + answer.detail)
            assert answer.ones is not None
            found = plan(answer.ones)
            if not self.offer(found):
                self.excluded.append(answer.ones)
                model.exclude(answer.ones)
                if len(self.excluded) > MOST_EXCLUDED:
                    message = f"{MOST_EXCLUDED} plans break a limit by a hair; {answer.detail}"
                    return _Outcome(Stop.WORK_LIMIT, message=message)
                continue
            price = evaluate(self.problem, found).objective
            claimed = answer.price * self.unit
            slack = RELATIVE_TOLERANCE * abs(price) + self.error * self.unit
            if price < claimed - slack:  # a relaxation is never dearer
                self.bound = -math.inf
                message = "CP-SAT claims a price above that of the plan it returned"
                return _Outcome(Stop.FAILED, message=message)
            if price > claimed + slack:
                # Times of very different sizes: the small ones are lost in whole numbers.
                message = f"the bound stays open by rounding to whole numbers; {answer.detail}"
                return _Outcome(Stop.WORK_LIMIT, message=message)
            return _Outcome(Stop.COMPLETED, message=answer.detail)

    def _parameters(self, presolve: bool) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "num_workers": self.options.threads,
            "random_seed": self.options.seed,
            "relative_gap_limit": GAP_SHARE * self.options.gap,
            "cp_model_presolve": presolve,
            "presolve_inclusion_work_limit": 0,  # else wrong: see the module's docstring
        }
        if math.isfinite(self.watch.left):
            parameters["max_time_in_seconds"] = self.watch.left
        return parameters

    def _ended(self) -> Stop:
        """Return why CP-SAT stopped early; its only limit is time, and its clock is its own."""
        early = Stop.FAILED if self.watch.time_limit is None else Stop.TIME_LIMIT
        return self.watch.ended or early

    @staticmethod
    def _unchecked(presolve: bool) -> str:
        return "" if presolve else "infeasible with presolve; stopped before checked without; "

    def _no_plan(self, reason: str) -> _Outcome:
        if self.plan is None:
            return _Outcome(Stop.COMPLETED, infeasible=True, message=reason)
        self.bound = -math.inf
        message = "CP-SAT claims that no plan exists, but a plan in hand is feasible"
        return _Outcome(Stop.FAILED, message=message)

    def result(self, outcome: _Outcome) -> SolverResult:
        """Return what is held, and on what it stands."""
        version = CpSat.availability().version
        solver = f"{CpSat.name} {version}"
        bound = self.bound if math.isfinite(self.bound) and not outcome.infeasible else None
        price = None
        if self.plan is not None:
            # Ctrl-C may have come between two assignments.
            price = evaluate(self.problem, self.plan).objective
            bound = None if bound is None else min(bound, price)
        reason = outcome.message if outcome.infeasible else ""
        bounded = "these profiles and their cuts, one route per stream"
        certificate = Certificate(
            basis="claimed",
            witnesses=(solver,),
            bounded=f"{bounded}; {reason}" if reason else bounded,
            tolerances=(
                ("relative gap", self.options.gap),
                ("limits, relative", RELATIVE_TOLERANCE),
                ("limits of the relaxation, relative", RELATIVE_TOLERANCE + SLACK),
                ("rounding of the objective", self.error * self.unit),
            ),
        )
        message = outcome.message
        if self.excluded:
            count = len(self.excluded)
            message += f"; {count} plan{'s' * (count > 1)} of the relaxation excluded"
        return SolverResult(
            stop=outcome.stop,
            plan=self.plan,
            claimed_objective=price,
            bound=bound,
            infeasible=outcome.infeasible,
            certificate=certificate if outcome.infeasible or bound is not None else None,
            solver=solver,
            seconds=self.watch.seconds,
            message=message,
        )
