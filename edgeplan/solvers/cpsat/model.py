"""A program in whole numbers as CP-SAT takes it, and runs of CP-SAT on it.

CP-SAT runs in a thread of its own, so that Ctrl-C and ``stop`` are noticed at once, and what it
finds is told in the calling thread.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgeplan.model.errors import SolverError
from edgeplan.solvers.cpsat.zero_one import Whole

POLL_SECONDS = 0.02


class Asked(Protocol):
    """Whether a run is to end early; it sets ``interrupted`` at Ctrl-C."""

    interrupted: bool

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C has come or ``stop`` is set."""
        ...


@dataclass(frozen=True)
class Answer:
    """What one run of CP-SAT ended with.

    Parameters
    ----------
    status
        CP-SAT's: OPTIMAL, FEASIBLE, INFEASIBLE or UNKNOWN.
    ones
        The places at 1 in the best solution, ``None`` without one.
    price
        Its price in the objective's units.
    detail
        For people.
    """

    status: str
    ones: frozenset[int] | None
    price: float
    detail: str


class WholeModel:
    """A program in whole numbers, as CP-SAT takes it.

    Parameters
    ----------
    count
        Number of its 0/1 variables.
    numbers
        The program.
    places
        The variables that make a plan: all others follow from them.
    """

    def __init__(self, count: int, numbers: Whole, places: Sequence[int]) -> None:
        from ortools.sat.python import cp_model

        self.scale = numbers.scale
        self.least = sum(min(value, 0) for value in numbers.cost.values())
        self.places = places
        self.model = cp_model.CpModel()
        self.variables = [self.model.new_bool_var("") for _ in range(count)]
        self._state(numbers)

    def hint(self, values: Mapping[int, int]) -> None:
        """Give values of variables to begin from."""
        for variable, value in values.items():
            self.model.add_hint(self.variables[variable], value)

    def exclude(self, ones: frozenset[int]) -> None:
        """Exclude the one plan whose places at 1 are these."""
        self.model.add(sum(self.variables[v] for v in ones) <= len(ones) - 1)

    def run(
        self,
        parameters: Mapping[str, Any],
        take: Callable[[frozenset[int] | float], None],
        asked: Asked,
    ) -> Answer:
        """Run CP-SAT once.

        Parameters
        ----------
        parameters
            CP-SAT's, by name.
        take
            Called in the calling thread with the places at 1 of each solution that is found, and
            with each bound in the objective's units.
        asked
            Says when to end early.

        Raises
        ------
        SolverError
            If CP-SAT refuses the program or fails.
        """
        from ortools.sat.python import cp_model

        moments: queue.SimpleQueue[frozenset[int] | float] = queue.SimpleQueue()
        places = [(v, self.variables[v]) for v in self.places]
        scale = self.scale

        class Found(cp_model.CpSolverSolutionCallback):
            def on_solution_callback(self) -> None:
                moments.put(frozenset(v for v, item in places if self.boolean_value(item)))

        solver = cp_model.CpSolver()
        solver.parameters.catch_sigint_signal = False
        for name, value in parameters.items():
            setattr(solver.parameters, name, value)
        solver.best_bound_callback = lambda bound: moments.put(bound / scale)
        failure: list[BaseException] = []
        statuses: list[Any] = []
        done = threading.Event()

        def work() -> None:
            try:
                statuses.append(solver.solve(self.model, Found()))
            except BaseException as error:  # noqa: BLE001 - handed to the calling thread
                failure.append(error)
            finally:
                done.set()

        def tell() -> None:
            while not moments.empty():
                take(moments.get())

        threading.Thread(target=work, name="cp-sat", daemon=True).start()
        try:
            while not done.is_set():
                try:
                    # Not `join`: it may take a thread for ended that Ctrl-C has come between.
                    done.wait(POLL_SECONDS)
                    tell()
                    if asked.asked:
                        solver.stop_search()
                except KeyboardInterrupt:
                    if asked.interrupted:
                        raise
                    asked.interrupted = True
            tell()
        finally:
            if not done.is_set():
                solver.stop_search()
        if failure:
            raise SolverError(f"CP-SAT failed: {failure[0]}") from failure[0]
        return self._answer(solver, solver.status_name(statuses[0]), take)

    def _answer(
        self, solver: Any, status: str, take: Callable[[frozenset[int] | float], None]
    ) -> Answer:
        if status == "MODEL_INVALID":
            raise SolverError(f"CP-SAT refused the program: {self.model.validate()[:200]}")
        if status == "INFEASIBLE":
            return Answer(status, None, math.inf, status)
        found = status in ("OPTIMAL", "FEASIBLE")
        # Without a plan or a bound CP-SAT says 0, which is none where prices may be negative.
        if found or solver.best_objective_bound > self.least:
            take(max(solver.best_objective_bound, self.least) / self.scale)
        detail = (
            f"{status}; {len(self.variables)} 0/1 variables, "
            f"{len(self.model.proto.constraints)} rows, {solver.num_branches} branches"
        )
        if not found:
            return Answer(status, None, math.inf, detail)
        ones = frozenset(v for v in self.places if solver.boolean_value(self.variables[v]))
        return Answer(status, ones, solver.objective_value / self.scale, detail)

    def _state(self, numbers: Whole) -> None:
        model, variables = self.model, self.variables
        for variable in numbers.zero:
            model.add(variables[variable] == 0)
        for terms, lower, upper in numbers.rows:
            if lower == upper == 1 and set(terms.values()) == {1}:
                model.add_exactly_one(variables[v] for v in terms)
            elif lower is not None and lower == upper:
                model.add(self._sum(terms) == lower)
            else:
                if lower is not None:
                    model.add(self._sum(terms) >= lower)
                if upper is not None:
                    model.add(self._sum(terms) <= upper)
        price = self._sum(numbers.cost)
        if numbers.loads:
            period = model.new_int_var(0, numbers.longest, "period")
            for load in numbers.loads:
                model.add(self._sum(load) <= period)
            price = price + period
        model.minimize(price)

    def _sum(self, terms: Mapping[int, int]) -> Any:
        from ortools.sat.python.cp_model import LinearExpr

        return LinearExpr.weighted_sum([self.variables[v] for v in terms], list(terms.values()))
