r"""The cheapest plan made of listed sets: a set partitioning program, solved by HiGHS.

With the sets :math:`\mathcal U_q` of each queue that are within a window of its cheapest
(`set_lists`), prices :math:`p_U` and the routes with several queues within the same window,

.. math::
    \min \sum_q \sum_{U \in \mathcal U_q} p_U z_U + \sum_r c_r y_r \quad\text{with}\quad
    \sum_{U \in \mathcal U_q} z_U \le 1, \quad
    \sum_U \sum_{r \in U \cap s} z_U + \sum_{r \in s} y_r \ge n_s, \quad
    \sum_{U \in \mathcal U_q} n_{U,k} z_U \ge \sum_{r \in k} y_r

(k: routes of a stream that are alike at a queue), all whole. Its value, or what the window adds to
the bound if that is less, is a bound on every plan. A queue with too many sets is priced by its
multipliers instead: every route there pays its worth, and the queue its cheapest set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.solvers.highs import FEASIBILITY_TOLERANCE, PRESOLVE_RULES_OFF, quiet_highs
from edgeplan.solvers.queueing.highs_run import Clock, wait
from edgeplan.solvers.queueing.set_bound import FINE, ROUNDING, Multipliers, SetBound
from edgeplan.solvers.queueing.set_lists import MOST_HELD, SetList, sets_within

FIRST_SETS, MOST_SETS = 2_000, 120_000
"""Sets of all queues together that the first program has, and the last."""
GROWTH = 4
"""How many times as many sets the next program has."""
NARROWINGS, NARROWER = 8, 0.25
"""Times that the window is made narrower where a queue has too many sets, and how much."""


@dataclass(frozen=True)
class Partition:
    """What the program says.

    Parameters
    ----------
    bound
        On every plan, in the objective's units.
    value, replicas
        How often the best plan found takes each column, and by queue its replicas; ``None``.
    complete
        Whether it had every set that a plan below the target may need.
    finished
        Whether HiGHS solved the program to its end.
    """

    bound: float
    value: Floats | None
    replicas: dict[int, int]
    complete: bool
    finished: bool


class SetProgram:
    """The program of one set bound at one set of multipliers.

    Parameters
    ----------
    bound
        The set bound.
    at
        Multipliers: the best.
    target
        Plans that cost as much or more are not looked for.
    held
        Sets of one queue that are held at once, at most.
    """

    def __init__(
        self, bound: SetBound, at: Multipliers, target: float, held: int = MOST_HELD
    ) -> None:
        self.bound, self.held = bound, held
        worths, self.short = bound.worths(at)
        self.worths = [worth * bound.unit for worth in worths]
        self.lowest = bound.lowest(self.short)
        constant = float((at.group + self.lowest) @ bound.columns.sizes) * bound.unit
        known = [q.cheapest(w, FINE)[0] for q, w in zip(bound.queues, self.worths, strict=True)]
        self.window = max(target - (constant + sum(known)) * (1 - 2 * ROUNDING), 0.0)
        listed = [self._listed(i) for i in range(len(bound.queues))]
        # Without a list a queue is priced by what routes are worth there.
        self.lists = [() if each is None else each[1] for each in listed]
        self.priced = [i for i, each in enumerate(listed) if each is None]
        self.least = [
            least if each is None else max(each[0], least)
            for each, least in zip(listed, known, strict=True)
        ]
        self.windows = [self.window if each is None else each[2] for each in listed]
        self.window = min(self.windows)
        self.base = (constant + sum(self.least)) * (1 - ROUNDING)

    def _listed(self, i: int) -> tuple[float, list[SetList], float] | None:
        """List the sets of a queue; return least price less worth, sets, and their window."""
        window = self.window
        for _ in range(NARROWINGS + 1):
            if self.bound.over():
                return None
            found = sets_within(self.bound.queues[i], self.worths[i], window, self.held)
            if found is not None:
                return *found, window
            window *= NARROWER
        return None

    @property
    def count(self) -> int:
        """Sets listed."""
        return sum(len(each.price) for lists in self.lists for each in lists)

    def window_of(self, most: int) -> float:
        """Return the widest window with at most so many sets."""
        if self.count <= most:
            return max(self.windows)
        above = [
            each.reduced - least
            for lists, least in zip(self.lists, self.least, strict=True)
            for each in lists
        ]
        return float(np.partition(np.concatenate(above), most)[most])

    def solve(self, target: float, clock: Clock, gap: float, most: int) -> Partition:
        """Solve the program.

        Parameters
        ----------
        target
            Plans that cost as much or more are not looked for.
        clock
            Says when to end.
        gap
            Relative gap of HiGHS.
        most
            Sets that it may have.
        """
        window = min(self.window_of(most), max(target - self.base, 0.0))
        # A set that is not listed is dearer than its queue's cheapest by the window at least.
        reach = min(self.base + min(window, self.window), target)
        complete = reach >= target
        model, columns = self._model(window)
        highs = quiet_highs()
        options: dict[str, bool | int | float | str] = {
            "threads": 1,
            "presolve_rule_off": PRESOLVE_RULES_OFF,
            "mip_feasibility_tolerance": FEASIBILITY_TOLERANCE,
            "mip_rel_gap": gap,
            "objective_bound": target / self.bound.unit,
        }
        if math.isfinite(clock.left):
            options["time_limit"] = clock.left
        for key, option in options.items():
            highs.setOptionValue(key, option)
        highs.passModel(model)
        if not self._without_dear(highs, clock, target):
            return Partition(reach, None, {}, complete, finished=True)
        wait(highs, clock, highs.run)
        return self._read(highs, columns, reach, target, complete)

    def _read(
        self,
        highs: Any,
        columns: list[tuple[int, SetList, int] | int],
        reach: float,
        target: float,
        complete: bool,
    ) -> Partition:
        import highspy

        status, info = highs.getModelStatus(), highs.getInfo()
        states = highspy.HighsModelStatus
        finished = status in (states.kOptimal, states.kInfeasible, states.kObjectiveBound)
        if status == states.kInfeasible or status == states.kObjectiveBound:
            bound = target
        else:
            bound = info.mip_dual_bound * self.bound.unit
        bound = self.base if not math.isfinite(bound) else bound
        bound = max(min(bound, reach), self.base)
        if info.primal_solution_status != 2:
            return Partition(bound, None, {}, complete, finished)
        value = np.zeros(len(self.bound.columns))
        replicas: dict[int, int] = {}
        for x, column in zip(highs.getSolution().col_value, columns, strict=True):
            number = round(x)
            if not number:
                continue
            if isinstance(column, int):
                value[column] += number
                continue
            i, listed, row = column
            queue = self.bound.queues[i]
            replicas[queue.index] = listed.replicas
            for item in np.flatnonzero(listed.numbers[row]):
                position = listed.items[item]
                if queue.direct[position]:
                    value[queue.column[position]] += listed.numbers[row, item]
        return Partition(bound, value, replicas, complete, finished)

    def _without_dear(self, highs: Any, clock: Clock, target: float) -> bool:
        """Shut columns that by the relaxation's reduced costs are in no plan below the target.

        Returns
        -------
        bool
            Whether there may be such a plan.
        """
        import highspy

        highs.setOptionValue("solve_relaxation", True)
        wait(highs, clock, highs.run)
        highs.setOptionValue("solve_relaxation", False)
        if highs.getModelStatus() == highspy.HighsModelStatus.kInfeasible:
            return False
        if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return True
        value = highs.getInfo().objective_function_value
        room = target / self.bound.unit - value
        if room <= 0:
            return False
        dear = np.flatnonzero(np.array(highs.getSolution().col_dual) > room * (1 + 1e-9))
        nothing = np.zeros(len(dear))
        highs.changeColsBounds(len(dear), dear.astype(np.int32), nothing, nothing)
        return True

    def _model(self, window: float) -> tuple[Any, list[tuple[int, SetList, int] | int]]:
        """Return the program for HiGHS, and what its columns stand for."""
        import highspy

        bound, groups = self.bound, len(self.bound.columns.groups)
        group, sizes = bound.columns.group, bound.columns.sizes
        lower = [float(n) for n in sizes] + [-math.inf] * len(bound.queues)
        upper = [math.inf] * groups + [1.0] * len(bound.queues)
        room = window / bound.unit
        routes = np.flatnonzero(~bound.direct & (self.short - self.lowest[group] <= room))
        link: dict[tuple[int, int], int] = {}
        cost, entries = [], []
        columns: list[tuple[int, SetList, int] | int] = []
        for r in routes.tolist():
            price, mine = float(bound.cost[r]), {int(group[r]): 1.0}
            for i, queue in enumerate(bound.queues):
                position = int(queue.position[r])
                if position < 0:
                    continue
                if i in self.priced:
                    price += float(self.worths[i][position]) / bound.unit
                    continue
                key = i, int(queue.kind[position])
                if key not in link:
                    link[key] = len(lower)
                    lower.append(0.0)
                    upper.append(math.inf)
                mine[link[key]] = mine.get(link[key], 0.0) - 1.0
            cost.append(price)
            entries.append(mine)
            columns.append(r)
        for i in self.priced:  # a route with that queue alone is worth its stream's price
            queue = bound.queues[i]
            own = np.flatnonzero(queue.direct)
            worth = self.worths[i][own] / bound.unit
            for position in own[worth >= -room].tolist():
                r = int(queue.column[position])
                cost.append(float(bound.cost[r] + self.worths[i][position] / bound.unit))
                entries.append({int(group[r]): 1.0})
                columns.append(r)
        for i, found in enumerate(self.lists):
            queue = bound.queues[i]
            for listed in found:
                fixed, row = [], []
                for position in listed.items.tolist():
                    if queue.direct[position]:
                        r = int(queue.column[position])
                        fixed.append(float(bound.cost[r]))
                        row.append(int(group[r]))
                    else:
                        fixed.append(0.0)
                        row.append(link.get((i, int(queue.kind[position])), -1))
                near = np.flatnonzero(listed.reduced <= self.least[i] + window)
                prices = listed.price[near] / bound.unit + listed.numbers[near] @ np.array(fixed)
                for k, price in zip(near.tolist(), prices.tolist(), strict=True):
                    mine = {groups + i: 1.0}
                    for item in np.flatnonzero(listed.numbers[k]).tolist():
                        if row[item] >= 0:
                            number = float(listed.numbers[k, item])
                            mine[row[item]] = mine.get(row[item], 0.0) + number
                    cost.append(price)
                    entries.append(mine)
                    columns.append((i, listed, k))
        constant = sum(self.least[i] for i in self.priced) / bound.unit
        most = [float(sizes[group[c]]) if isinstance(c, int) else 1.0 for c in columns]
        return _program(highspy, cost, entries, lower, upper, most, constant), columns


def _program(
    highspy: Any,
    cost: list[float],
    entries: list[dict[int, float]],
    lower: list[float],
    upper: list[float],
    most: list[float],
    constant: float,
) -> Any:
    """Return a program of whole columns."""
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = len(cost), len(lower)
    program.col_cost_ = np.array(cost)
    program.offset_ = constant
    program.col_lower_, program.col_upper_ = np.zeros(len(cost)), np.array(most)
    program.row_lower_, program.row_upper_ = np.array(lower), np.array(upper)
    program.integrality_ = [highspy.HighsVarType.kInteger] * len(cost)
    matrix = program.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kColwise
    matrix.start_ = np.cumsum([0] + [len(each) for each in entries]).astype(np.int32)
    matrix.index_ = np.array([row for each in entries for row in each], dtype=np.int32)
    matrix.value_ = np.array([number for each in entries for number in each.values()])
    return program
