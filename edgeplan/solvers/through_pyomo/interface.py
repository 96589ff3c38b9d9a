"""Solvers of mixed-integer programs that Pyomo has an interface to: what they have in common.

The program is built, the solver's claim is asked for, its plan priced by the evaluator. Nothing
is taken on trust that can be asked again: see `ThroughPyomo.solve`.
"""

from __future__ import annotations

import importlib.util
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgeplan.model.certificate import Certificate
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop

if TYPE_CHECKING:
    from edgeplan.model.formulation import Formulation

FEASIBILITY_TOLERANCE = 1e-9
"""For rows and whole numbers: with defaults Pareto points were lost (DESIGN §6)."""
MOST_EXCLUDED = 100
"""Plans that the solver's tolerances let pass and the evaluator does not, before giving up."""

Ended = Literal["optimal", "infeasible", "limit", "interrupted", "failed"]


@dataclass(frozen=True)
class Claim:
    """What a run of a solver ended with.

    Parameters
    ----------
    ended
        Why.
    value
        Returns a variable's value in the best point found; ``None`` without one.
    bound
        Lower bound in the program's units, ``None`` where unknown.
    message
        For people.
    """

    ended: Ended
    value: Callable[[Any], float | None] | None
    bound: float | None
    message: str


@dataclass(frozen=True, kw_only=True)
class ThroughPyomo(ABC):
    """A solver of mixed-integer programs that Pyomo has an interface to.

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
    """

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
    def _claim(self, program: Any, seconds: float, *, hint: bool, presolve: bool) -> Claim:
        """Run the solver once; ``hint``: the whole variables' values are a plan's."""

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
