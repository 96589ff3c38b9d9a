"""Box programs by HiGHS: one program in place, whose costs and limits change from box to box.

Before a mixed-integer program is solved, the relaxation is, once for each objective that has a
limit: its duals say which choices no plan of the box can make (reduced costs), and often that
there is no plan at all. The relaxation starts from the basis of the last box, so that this takes
a few pivots; the mixed-integer program then has a fraction of its columns left.

What is concluded from duals is computed anew from them (weak duality holds for any), less what
rounding may add, and not taken on HiGHS's word. An empty box that only the mixed-integer program
shows is such with presolve and without.

References
----------
Dantzig, Fulkerson, Johnson, Operations Research 2 (1954): fixing by reduced costs. Neumaier,
Shcherbina, Mathematical Programming 99 (2004): safe bounds from approximate duals.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import SolverError
from edgeplan.pareto.boxes import Box, BoxResult, BoxStatus, Vector
from edgeplan.pareto.branching import Branching, UnsureError
from edgeplan.pareto.caps import upper_bounds
from edgeplan.pareto.program import BoxProgram
from edgeplan.pareto.rows import Floats

FEASIBILITY_TOLERANCE = 1e-9
SAFETY = 1e-7
"""A choice is excluded where its price passes a limit by so much, in units of the limit's row."""
ROUNDS = 2
"""How often the objectives are gone through: what one excludes helps the others."""
POLL_SECONDS = 0.05
MOST_FREE = 400
"""Most choices left for which branching here is tried before HiGHS's own search."""
MOST_NODES = 600
"""Nodes after which branching here gives up."""
PRESOLVE_FROM = 3_000
"""Number of columns from which HiGHS simplifies the program at first."""


class HighsBoxes:
    """Box programs solved by HiGHS.

    Parameters
    ----------
    program
        Rows and objectives.
    seed
        Of HiGHS's random choices.
    """

    def __init__(self, program: BoxProgram, seed: int = 0) -> None:
        # Bounds on all columns let any duals prove something.
        program = dataclasses.replace(program, upper=upper_bounds(program))
        self.program = program
        self.exact = program.exact
        self.steps: Vector = tuple(float(value) for value in program.steps)
        self.highest: Vector = program.highest
        self.relaxations = 0
        count = len(program.criteria)
        rows = len(program.rows)
        # Objectives in units of their largest coefficient; a power of two changes no digit.
        largest = np.abs(program.criteria).max(axis=1, initial=0.0)
        self._unit = np.array([_power_of_two(value) for value in largest])
        self._criteria = program.criteria / self._unit[:, None]
        self._offset = program.offsets / self._unit
        self._rows = np.arange(rows, rows + count, dtype=np.int32)
        self._columns = np.arange(len(program.lower), dtype=np.int32)
        self._matrix = program.rows.and_dense(self._criteria)
        self._sizes = dataclasses.replace(self._matrix, values=np.abs(self._matrix.values))
        # Of sums of as many terms as there are rows and columns: Higham, Accuracy and Stability
        # of Numerical Algorithms (2002), section 3.1.
        self._rounding = (len(self._matrix) + len(program.lower) + 4) * np.finfo(float).eps
        self._low = np.concatenate([program.row_lower, np.full(count, -math.inf)])
        self._high = np.concatenate([program.row_upper, np.full(count, math.inf)])
        self._thread: ThreadPoolExecutor | None = None
        self._lp: Any = None
        self._mip: Any = None
        self._seed = seed
        self._until = math.inf
        self._asked = threading.Event()
        self._stop: threading.Event | None = None
        self._waiting: list[Floats] = []

    def solve(self, box: Box, stop: threading.Event | None = None) -> BoxResult:
        """Solve a box program; see `Boxes.solve`.

        HiGHS runs in a thread of its own, always the same, so that Ctrl-C is noticed.
        """
        if self.program.obstacles:
            return BoxResult(status=BoxStatus.EMPTY, message="; ".join(self.program.obstacles))
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="highs-boxes")
        self._asked.clear()
        self._stop = stop
        self._until = math.inf
        if box.time_limit is not None:
            self._until = time.monotonic() + box.time_limit
        answer: Future[BoxResult] = self._thread.submit(self._solve, box)
        while True:
            try:
                return answer.result(POLL_SECONDS)
            except NotYetError:
                if answer.done():
                    return answer.result()
            except KeyboardInterrupt:
                self._asked.set()
                raise

    # -- in HiGHS's thread -----------------------------------------------------------------

    def _solve(self, box: Box) -> BoxResult:
        if self._lp is None:
            import highspy

            self._statuses = highspy.HighsModelStatus
            self._lp, self._mip = self._instance(relaxed=True), self._instance(relaxed=False)
            self._mip.cbMipInterrupt.subscribe(self._interrupt)
            self._mip.cbSimplexInterrupt.subscribe(self._interrupt)
            self._mip.cbMipUserSolution.subscribe(self._inject)
        limits = np.asarray(box.limits) / self._unit - self._offset
        cost = (np.asarray(box.weights) * self._unit) @ self._criteria
        bounds = self._shrunk(limits)
        if bounds is None:
            return BoxResult(status=BoxStatus.EMPTY)
        cost = cost / _power_of_two(float(np.abs(cost).max()))
        branched = self._branch(box, cost, limits, *bounds)
        if branched is not None:
            return branched
        return self._search(box, cost, limits, *bounds)

    def _branch(
        self, box: Box, cost: Floats, limits: Floats, lower: Floats, upper: Floats
    ) -> BoxResult | None:
        """Settle a box with few choices left without HiGHS's own search; ``None`` if not so."""
        free = int((self.program.integral & (upper > lower)).sum())
        if free > MOST_FREE:
            return None
        high = self._high.copy()
        high[self._rows] = limits
        highs, columns = self._lp, self._columns
        highs.changeColsCost(len(columns), columns, cost)

        def relaxation(low: Floats, top: Floats) -> tuple[Floats, float, Floats] | None:
            if (low > top).any():
                return None
            highs.changeColsBounds(len(columns), columns, low, top)
            highs.run()
            self.relaxations += 1
            status = highs.getModelStatus()
            if status == self._statuses.kInfeasible and self._refuted(high, low, top):
                return None
            if status != self._statuses.kOptimal:
                # From no basis, what the last one has led to is left behind.
                highs.clearSolver()
                highs.run()
                self.relaxations += 1
                status = highs.getModelStatus()
            if status == self._statuses.kInfeasible and self._refuted(high, low, top):
                return None
            if status != self._statuses.kOptimal:
                raise UnsureError
            solution = highs.getSolution()
            bound, reduced = self._bound(cost, np.array(solution.row_dual), high, low, top)
            return np.array(solution.col_value), bound, reduced

        search = Branching(relaxation, self.program.integral, MOST_NODES, self._ended)
        try:
            search.run(lower, upper)
        except UnsureError:
            return None
        if search.best is None:
            return BoxResult(status=BoxStatus.EMPTY, mips=1)
        return BoxResult(status=BoxStatus.PLAN, plan=self.program.extract(search.best), mips=1)

    def _ended(self) -> bool:
        stopped = self._stop is not None and self._stop.is_set()
        return stopped or self._asked.is_set() or time.monotonic() > self._until

    def _instance(self, *, relaxed: bool) -> Any:
        import highspy

        from edgeplan.solvers.highs import PRESOLVE_RULES_OFF, SMALLEST_ENTRY, quiet_highs

        highs = quiet_highs()
        options: dict[str, bool | int | float | str] = {
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 0.0,
            "threads": 1,
            "random_seed": self._seed,
            "presolve": "off",
            "presolve_rule_off": PRESOLVE_RULES_OFF,
            "primal_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "dual_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "small_matrix_value": SMALLEST_ENTRY,
        }
        for key, value in options.items():
            _check(highs.setOptionValue(key, value), f"option {key}")
        program = self.program
        matrix, columns = self._matrix, len(program.lower)
        passed = highs.passModel(
            columns,
            len(self._low),
            len(matrix.values),
            int(highspy.MatrixFormat.kRowwise),
            int(highspy.ObjSense.kMinimize),
            0.0,
            np.zeros(columns),
            program.lower,
            program.upper,
            self._low,
            self._high,
            matrix.starts,
            matrix.indices,
            matrix.values,
            np.zeros(columns, dtype=np.int32) if relaxed else program.integral.astype(np.int32),
        )
        _check(passed, "passing the program")
        return highs

    def _interrupt(self, event: Any) -> None:
        if self._ended():
            event.interrupt()

    def _inject(self, event: Any) -> None:
        if self._waiting:
            event.data_in.setSolution(self._waiting.pop())

    def _place(self, highs: Any, limits: Floats, lower: Floats, upper: Floats) -> None:
        for row, limit in zip(self._rows, limits, strict=True):
            highs.changeRowBounds(int(row), -math.inf, float(limit))
        highs.changeColsBounds(len(self._columns), self._columns, lower, upper)

    def _shrunk(self, limits: Floats) -> tuple[Floats, Floats] | None:
        """Return the columns' bounds in a box; ``None`` where it is shown to be empty."""
        import highspy

        program = self.program
        lower, upper = program.lower.copy(), program.upper.copy()
        self._place(self._lp, limits, lower, upper)
        high = self._high.copy()
        high[self._rows] = limits
        limited = [k for k in range(len(limits)) if math.isfinite(limits[k])]
        for _ in range(ROUNDS):
            changed = False
            for k in limited:
                self._lp.changeColsCost(len(self._columns), self._columns, self._criteria[k])
                self._lp.run()
                self.relaxations += 1
                status = self._lp.getModelStatus()
                if status == highspy.HighsModelStatus.kInfeasible:
                    if self._refuted(high, lower, upper):
                        return None
                    return lower, upper
                if status != highspy.HighsModelStatus.kOptimal:
                    return lower, upper
                duals = np.array(self._lp.getSolution().row_dual)
                bound, reduced = self._bound(self._criteria[k], duals, high, lower, upper)
                room = limits[k] - bound + SAFETY
                if room < 0:
                    return None
                free = program.integral & (upper > lower)
                no = free & (reduced > room)
                yes = free & (-reduced > room)
                if no.any() or yes.any():
                    upper = np.where(no, lower, upper)
                    lower = np.where(yes, upper, lower)
                    if (lower > upper).any():
                        return None
                    self._lp.changeColsBounds(len(self._columns), self._columns, lower, upper)
                    changed = True
            if not changed:
                break
        return lower, upper

    def _bound(
        self, cost: Floats, duals: Floats, high: Floats, lower: Floats, upper: Floats
    ) -> tuple[float, Floats]:
        """Return the bound that duals prove, whatever they are, and the reduced costs."""
        # A dual of the wrong sign for a side that is open proves nothing: it counts as 0.
        duals = np.where((duals > 0) & np.isinf(self._low), 0.0, duals)
        duals = np.where((duals < 0) & np.isinf(high), 0.0, duals)
        reduced = cost - self._matrix.weighted_sum(duals)
        # Of columns without an upper bound, noise in the reduced cost is taken for 0.
        reduced = np.where(
            np.isinf(upper) & (np.abs(reduced) <= FEASIBILITY_TOLERANCE), 0.0, reduced
        )
        sides = _products(duals, np.where(duals > 0, self._low, high))
        ends = np.where(reduced > 0, lower, upper)
        sizes = np.abs(cost) + self._sizes.weighted_sum(np.abs(duals))
        error = (
            np.abs(sides).sum() + _products(np.where(reduced != 0, sizes, 0.0), np.abs(ends)).sum()
        )
        bound = float(sides.sum()) + float(_products(reduced, ends).sum())
        return bound - self._rounding * float(error), reduced

    def _refuted(self, high: Floats, lower: Floats, upper: Floats) -> bool:
        """Whether HiGHS's ray proves that the relaxation has no solution."""
        _, there, ray = self._lp.getDualRay()
        if not there:
            return False
        ray = np.array(ray)
        for sign in (1.0, -1.0):
            bound, _ = self._bound(np.zeros(len(lower)), sign * ray, high, lower, upper)
            if bound > 0:
                return True
        return False

    def _search(
        self, box: Box, cost: Floats, limits: Floats, lower: Floats, upper: Floats
    ) -> BoxResult:
        import highspy

        highs, columns = self._mip, self._columns
        self._place(highs, limits, lower, upper)
        highs.changeColsCost(len(columns), columns, cost)
        self._waiting.clear()
        if box.start is not None:
            known = self._completed(box, limits)
            if known is not None:
                self._waiting.append(known)
        presolve = len(columns) >= PRESOLVE_FROM
        mips = 0
        # Empty is what it is with presolve and without: either alone was seen to be wrong.
        for on in (presolve, not presolve):
            _check(highs.setOptionValue("presolve", "on" if on else "off"), "option presolve")
            highs.run()
            mips += 1
            status = highs.getModelStatus()
            kinds = highspy.HighsModelStatus
            if status == kinds.kOptimal:
                return BoxResult(
                    status=BoxStatus.PLAN,
                    plan=self.program.extract(np.array(highs.getSolution().col_value)),
                    mips=mips,
                )
            if status not in (kinds.kInfeasible, kinds.kUnboundedOrInfeasible):
                break
        else:
            return BoxResult(status=BoxStatus.EMPTY, mips=mips)
        found = highs.getInfo().primal_solution_status
        plan = None
        if found == highspy.SolutionStatus.kSolutionStatusFeasible:
            plan = self.program.extract(np.array(highs.getSolution().col_value))
        return BoxResult(
            status=BoxStatus.LIMIT,
            plan=plan,
            mips=mips,
            message=highs.modelStatusToString(status),
        )

    def _completed(self, box: Box, limits: Floats) -> Floats | None:
        """Return the values of all columns that stand for the plan to begin from."""
        import highspy

        assert box.start is not None
        given = self.program.values(box.start)
        if not given:
            return None
        lower, upper = self.program.lower.copy(), self.program.upper.copy()
        for column, value in given:
            lower[column] = upper[column] = value
        if self.program.integral.all():
            return lower
        self._place(self._lp, limits, lower, upper)
        self._lp.run()
        self.relaxations += 1
        if self._lp.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.array(self._lp.getSolution().col_value)


def _products(factors: Floats, ends: Floats) -> Floats:
    """Return products in which 0 times infinity is 0."""
    used: NDArray[np.bool_] = factors != 0
    return np.multiply(factors, ends, out=np.zeros_like(factors), where=used)


def _power_of_two(value: float) -> float:
    return math.ldexp(1.0, math.frexp(value)[1]) if 0 < value < math.inf else 1.0


def _check(status: Any, what: str) -> None:
    import highspy

    if status == highspy.HighsStatus.kError:
        raise SolverError(f"HiGHS refused {what}")
