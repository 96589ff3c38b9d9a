"""Box programs by CP-SAT, where every choice is 0 or 1.

CP-SAT gets the program of boxes in whole numbers, a relaxation of it (`whole_numbers`): no plan of
a box is lost, and the bound is one of the box. What is found is priced by the evaluator. A plan
that lies outside the box after all, by a hair, or is dearer than it looked is excluded by name,
and the search goes on until the best plan in hand is as cheap as the bound says. On CP-SAT's word
are taken that bound and that a box is empty, nothing else; its presolve, which was wrong on some
programs (see `solvers.cpsat.solver`), is off.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from typing import Any

import numpy as np

from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.pareto.boxes import Box, BoxResult, BoxStatus, Vector
from edgeplan.pareto.objectives import Criterion, image
from edgeplan.pareto.program import BoxProgram
from edgeplan.pareto.whole_numbers import WholeProgram, WholeRow

CLOSED = 1e-10
"""A plan is the best where the bound is below its price by no more than this share."""
WRONG = 1e-9
"""A bound that is above a plan's price by more than this share is no bound."""
INSIDE = 1e-12
"""A plan lies in a box that it leaves by no more than this share: rounding of sums."""
MOST_EXCLUDED = 300
"""Plans that may be excluded from a box before giving up."""
POLL_SECONDS = 0.05


def obstacle(problem: Problem) -> str:
    """Return why CP-SAT cannot be used on a problem's boxes; empty where it can."""
    from edgeplan.solvers.cpsat.solver import CpSat

    there = CpSat.availability()
    if not there.available:
        return f"it is not installed: {there.install}"
    return "; ".join(CpSat().unsupported(problem))


class CpSatBoxes:
    """Box programs solved by CP-SAT, with one worker.

    Parameters
    ----------
    problem
        See `obstacle`.
    criteria
        The objectives.
    program
        Rows and objectives.
    seed
        Of CP-SAT's random choices.

    Raises
    ------
    InputError
        If the program cannot be brought to whole numbers.
    """

    exact = True

    def __init__(
        self, problem: Problem, criteria: Sequence[Criterion], program: BoxProgram, seed: int = 0
    ) -> None:
        self.problem = problem
        self.criteria = tuple(criteria)
        self.program = program
        self.steps: Vector = tuple(float(value) for value in program.steps)
        self.highest: Vector = program.highest
        self.seed = seed
        self._thread: ThreadPoolExecutor | None = None
        if not program.obstacles:
            self.whole = WholeProgram(program)
            self._model, self._columns = self._stated()

    def solve(self, box: Box, stop: threading.Event | None = None) -> BoxResult:
        """Solve a box program; see `Boxes.solve`.

        CP-SAT runs in a thread of its own, so that Ctrl-C is noticed.
        """
        if self.program.obstacles:
            return BoxResult(status=BoxStatus.EMPTY, message="; ".join(self.program.obstacles))
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="cp-sat-boxes")
        run = _Run(self, box)
        answer: Future[BoxResult] = self._thread.submit(run.solve)
        try:
            while True:
                try:
                    return answer.result(POLL_SECONDS)
                except NotYetError:
                    if answer.done():
                        return answer.result()
                    if stop is not None and stop.is_set():
                        run.end()
        except KeyboardInterrupt:
            run.end()
            raise

    def model_of(self, box: Box) -> tuple[Any, float]:
        """Return CP-SAT's model of a box, and what 1 of its objective is worth."""
        model = self._model.clone()
        for k, limit in enumerate(box.limits):
            if math.isfinite(limit):
                self._add(model, self.whole.limit(k, limit))
        cost, unit = self.whole.cost(np.asarray(box.weights))
        model.minimize(self._sum(cost))
        if box.start is not None:
            for column, value in self.program.values(box.start):
                model.add_hint(self._columns[column], round(value))
        return model, unit

    def exclude(self, model: Any, plan: Plan) -> None:
        """Exclude a plan by name."""
        places = [column for column, value in self.program.values(plan) if value > 0.5]
        self._add(model, WholeRow(places, [1] * len(places), None, len(places) - 1))

    def plan(self, solver: Any) -> Plan:
        """Return the plan that CP-SAT found."""
        columns = self._columns[: len(self.program.lower)]  # levels of totals come after them
        counts = np.array([solver.value(column) for column in columns], dtype=float)
        return self.program.extract(counts * self.whole.sizes[: len(columns)])

    def _stated(self) -> tuple[Any, list[Any]]:
        """Return the model of what holds in every box, and its columns."""
        from ortools.sat.python import cp_model

        model = cp_model.CpModel()
        self._columns = [model.new_int_var(0, upper, "") for upper in self.whole.upper]
        for row in self.whole.rows:
            self._add(model, row)
        return model, self._columns

    def _add(self, model: Any, row: WholeRow) -> None:
        if row.lower == row.upper == 1 and set(row.factors) == {1}:
            model.add_exactly_one(self._columns[column] for column in row.columns)
            return
        if row.lower == row.upper:
            model.add(self._sum(row) == row.lower)
            return
        if row.upper is not None:
            model.add(self._sum(row) <= row.upper)
        if row.lower is not None:
            model.add(self._sum(row) >= row.lower)

    def _sum(self, row: WholeRow) -> Any:
        from ortools.sat.python.cp_model import LinearExpr

        return LinearExpr.weighted_sum([self._columns[c] for c in row.columns], row.factors)


class _Run:
    """One box on its way."""

    def __init__(self, boxes: CpSatBoxes, box: Box) -> None:
        from ortools.sat.python import cp_model

        self._boxes, self._box = boxes, box
        self._ends = math.inf if box.time_limit is None else time.monotonic() + box.time_limit
        self._asked = False
        self._runs = 0
        self._best: Plan | None = None
        self._price = math.inf
        self._solver = cp_model.CpSolver()
        for name, value in (
            ("num_workers", 1),
            ("random_seed", boxes.seed),
            ("cp_model_presolve", False),
            ("linearization_level", 2),
            ("catch_sigint_signal", False),
        ):
            setattr(self._solver.parameters, name, value)

    def end(self) -> None:
        """End it early; from another thread."""
        self._asked = True
        self._solver.stop_search()

    def solve(self) -> BoxResult:
        """Run CP-SAT until the best plan in hand is as cheap as the bound says."""
        model, unit = self._boxes.model_of(self._box)
        offset = float(np.asarray(self._box.weights) @ self._boxes.program.offsets)
        for _ in range(MOST_EXCLUDED):
            left = self._ends - time.monotonic()
            if self._asked or left <= 0:
                return self._result(BoxStatus.LIMIT)
            if math.isfinite(left):
                self._solver.parameters.max_time_in_seconds = left
            status = self._solver.status_name(self._solver.solve(model))
            self._runs += 1
            if status == "INFEASIBLE":
                return self._result(BoxStatus.EMPTY if self._best is None else BoxStatus.PLAN)
            if status == "MODEL_INVALID":
                raise SolverError(f"CP-SAT refused a box program: {model.validate()[:200]}")
            if status == "UNKNOWN":
                return self._result(BoxStatus.LIMIT)
            plan = self._boxes.plan(self._solver)
            price = self._offer(plan)
            if status != "OPTIMAL":
                return self._result(BoxStatus.LIMIT)
            bound = self._solver.best_objective_bound * unit + offset
            if price < bound - WRONG * abs(price):
                message = "CP-SAT claims a bound above the price of the plan that it found"
                return self._result(BoxStatus.LIMIT, message)
            if self._best is not None and self._price - bound <= CLOSED * abs(self._price):
                return self._result(BoxStatus.PLAN)
            self._boxes.exclude(model, plan)
        return self._result(BoxStatus.LIMIT, f"{MOST_EXCLUDED} plans lie on the edge of a box")

    def _result(self, status: BoxStatus, message: str = "") -> BoxResult:
        return BoxResult(status=status, plan=self._best, mips=self._runs, message=message)

    def _offer(self, plan: Plan) -> float:
        """Hold a plan where it is the cheapest so far; return its price, inf outside the box."""
        evaluation = evaluate(self._boxes.problem, plan)
        values = image(evaluation, self._boxes.criteria)
        inside = all(
            y <= limit + INSIDE * abs(limit)
            for y, limit in zip(values, self._box.limits, strict=True)
        )
        if not (evaluation.feasible and inside):
            return math.inf
        price = math.fsum(w * y for w, y in zip(self._box.weights, values, strict=True))
        if price < self._price:
            self._best, self._price = plan, price
        return price
