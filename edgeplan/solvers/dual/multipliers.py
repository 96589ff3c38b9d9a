"""Multipliers that raise the dual bound: cutting planes, kept near the best point found.

For given multipliers each stream takes its cheapest relaxed route (`PricedRoutes`) and each device
keeps what pays. What they use gives a plane above the dual function; the highest point under all
planes so far, found by HiGHS, says where to look next. Steps go only part of the way there from
the best point (in-out), which avoids the long tail of the plain method.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np

from edgeplan.model.dual import dual_bound
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.problem import Problem
from edgeplan.solvers.dual.function import Cut, DualFunction
from edgeplan.solvers.dual.routes import Floats
from edgeplan.solvers.highs import quiet_highs

GAP = 1e-8
"""Relative distance to the highest bound possible at which the search ends."""
_LARGEST_BOX = 1e7
_LOOSE = 0.5
"""Relative distance to the highest bound within the box at which the box grows."""
_ITERATIONS = 2000
_FEASIBILITY = 1e-9


def best_multipliers(
    problem: Problem,
    *,
    upper: float | None = None,
    time_limit: float | None = None,
    stop: threading.Event | None = None,
) -> tuple[Multipliers, float]:
    """Return multipliers with a high dual bound, and that bound.

    Parameters
    ----------
    problem
        What is planned.
    upper
        Objective of a known plan; the search ends when the bound reaches it.
    time_limit
        Seconds of wall time, beside one evaluation at the beginning and `dual_bound` at the end;
        ``None`` for as long as it improves.
    stop
        Ends the search with the best multipliers so far.

    Returns
    -------
    tuple
        The multipliers, and ``dual_bound(problem, multipliers)``: ``inf`` where they prove that
        no plan exists.

    Notes
    -----
    Kelley: The cutting-plane method for solving convex programs, Journal of SIAM 8 (1960).
    Ben-Ameur, Neto: Acceleration of cutting-plane and column generation algorithms, Networks 49
    (2007).
    """
    ends = math.inf if time_limit is None else time.monotonic() + time_limit
    dual = DualFunction(problem)
    point = _climb(dual, upper, ends, stop)
    multipliers = dual.multipliers(point)
    bound = dual_bound(problem, multipliers)
    if bound <= 0.0 or math.isinf(bound):
        # Where none are needed for that, none.
        plain = dual_bound(problem, Multipliers())
        if plain >= bound:
            return Multipliers(), plain
    return multipliers, bound


def _climb(
    dual: DualFunction, upper: float | None, ends: float, stop: threading.Event | None
) -> Floats:
    """Return the best point found."""
    best = dual.start()
    value, cuts = dual.evaluate(best)
    if math.isinf(value) or not dual.size:
        return best
    other = np.zeros(dual.size)
    if best.any():
        plain, more = dual.evaluate(other)
        cuts += more
        if plain > value:
            best, value = other, plain
    unit = max(value, 1e-3 * abs(upper or 0.0)) or dual.magnitude() or 1.0
    least_unit = 1e-12 * unit
    planes = list(cuts)
    step, box, checked = 0.5, 1.0, 1.0
    master = _Master(dual, unit, box, planes)
    for _ in range(_ITERATIONS):
        if time.monotonic() >= ends or (stop is not None and stop.is_set()):
            break
        if upper is not None and value >= upper - GAP * abs(upper):
            break
        highest, target = master.solve()
        if target is None:
            break
        if least_unit < highest < 1e-3 * unit:
            # The unit was a guess, and far too large for the tolerances of HiGHS.
            unit = highest
            master = _Master(dual, unit, box, planes)
            continue
        left = highest - value
        scale = max(abs(value), abs(upper or 0.0), 1e-9 * unit)
        if left <= _LOOSE * scale and box < _LARGEST_BOX and master.on_box(target):
            # Nearly as good as it gets in this box: look further out.
            box *= 10
            master.enlarge(box)
            continue
        if left <= GAP * scale:
            break
        trial = best + step * (target - best)
        found, cuts = dual.evaluate(trial)
        planes += cuts
        master.add(cuts)
        reached = sum(cut.at(target) for cut in cuts) - float(dual.cost @ target)
        if found > value:
            best, value = trial, found
            step = min(1.0, 1.5 * step)
            if box > 10 * checked:
                checked = box
                if math.isinf(dual_bound(dual.problem, dual.multipliers(best))):
                    break
        elif highest - reached <= dual.parts * 10 * _FEASIBILITY * unit:
            # The planes do not cut the target off (for HiGHS): nearer to it they would.
            if step == 1.0:
                break
            step = 1.0
        else:
            step = max(0.1, 0.7 * step)
    return best


class _Master:
    """The highest point under all cuts, in a box, by HiGHS; in scaled units.

    Columns are the multipliers, then one for each part of the dual function.
    """

    def __init__(self, dual: DualFunction, unit: float, box: float, planes: list[Cut]) -> None:
        self.dual, self.unit = dual, unit
        # A coordinate of 1: the multiplier whose limit, or whose typical use, is worth `unit`.
        use = dual.cost.copy()
        typical = _typical_use(dual)
        use[use == 0.0] = typical[use == 0.0]
        self.scale = unit / np.where(use > 0, use, 1.0)
        self.highs = highs = quiet_highs()
        highs.setOptionValue("threads", 1)
        for key in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
            highs.setOptionValue(key, _FEASIBILITY)
        highs.changeObjectiveSense(_maximise())
        for cost in dual.cost * self.scale / unit:
            highs.addCol(-float(cost), 0.0, 1.0, 0, np.zeros(0, np.int32), np.zeros(0))
        for part in range(dual.parts):
            top = math.inf if part < len(dual.streams) else 0.0
            highs.addCol(1.0, -math.inf, top, 0, np.zeros(0, np.int32), np.zeros(0))
        self._add_period()
        self.enlarge(box)
        self.add(planes)

    def _add_period(self) -> None:
        """Add that the resources' shares of the period are not above its price."""
        place = self.dual.place
        row = np.zeros(self.dual.size)
        for kind in ("device_period", "link_period"):
            row[place[kind][place[kind] >= 0]] = 1.0
        if not row.any():
            return
        row[place["min_rate"][place["min_rate"] >= 0]] = -1.0
        row *= self.scale
        size = float(np.abs(row).max())
        if not size:  # the scale has vanished: there is nothing to price
            return
        columns = np.flatnonzero(row).astype(np.int32)
        top = self.dual.period_price / size
        self.highs.addRow(-math.inf, top, len(columns), columns, row[columns] / size)

    def enlarge(self, box: float) -> None:
        """Let the scaled multipliers go up to ``box``."""
        self.box = box
        size = self.dual.size
        columns = np.arange(size, dtype=np.int32)
        self.highs.changeColsBounds(size, columns, np.zeros(size), np.full(size, box))

    def on_box(self, point: Floats) -> bool:
        """Whether the box keeps a point from going further."""
        return bool((point / self.scale >= 0.999 * self.box).any())

    def add(self, cuts: list[Cut]) -> None:
        """Add planes that the parts are not above."""
        for cut in cuts:
            slope = cut.slope * self.scale / self.unit
            columns = np.flatnonzero(np.abs(slope) > 1e-12)
            indices = np.append(columns, self.dual.size + cut.owner).astype(np.int32)
            values = np.append(-slope[columns], 1.0)
            top = cut.constant / self.unit
            self.highs.addRow(-math.inf, top, len(indices), indices, values)

    def solve(self) -> tuple[float, Floats | None]:
        """Return the highest value and its point; ``None`` where HiGHS has none."""
        self.highs.run()
        if self.highs.getModelStatus() != _optimal():
            return math.inf, None
        values = np.array(self.highs.getSolution().col_value[: self.dual.size])
        point = np.clip(values, 0.0, self.box) * self.scale
        return self.highs.getInfo().objective_function_value * self.unit, point


def _typical_use(dual: DualFunction) -> Floats:
    """Return for each multiplier what the streams' cheapest routes at no prices use, or so."""
    use = np.ones(dual.size)
    _, cuts = dual.evaluate(np.zeros(dual.size))
    total = np.sum([cut.slope for cut in cuts], axis=0)
    for kind in ("device_period", "link_period"):
        at = dual.place[kind]
        at = at[at >= 0]
        if len(at) and (largest := float(total[at].max())) > 0:
            use[at] = largest
        elif len(at):
            devices = dual.place["device_period"]
            use[at] = float(total[devices[devices >= 0]].max()) or 1.0
    return use


def _maximise() -> Any:
    import highspy

    return highspy.ObjSense.kMaximize


def _optimal() -> Any:
    import highspy

    return highspy.HighsModelStatus.kOptimal
