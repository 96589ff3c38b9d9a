"""A lower bound for pipelines from prices on groups, checked by a dynamic program. No plan needed.

Let π be any prices, one per group, and P_c(T) the most that a set of groups of load at most T on a
device of class c can be worth. A plan of value T pays for all groups with one set per device, so

    Σ_g π_g ≤ Σ_c n_c P_c(T),

where n_c counts the devices of class c. Every T that breaks this is out of reach. The bound needs
π and one pass per class: whoever has π can check it (`bound_of`), whatever found π.

P_c is exact, by a sweep over the groups in an order of small frontier (`set_prices`). Where fronts
grow too long, points are merged to one of least load and most worth, which keeps the bound valid.

Prices come from column generation on the set-partitioning program (one column per device's set),
the dual of the linear relaxation of Dantzig and Wolfe, held in a box around the best prices so
far (Marsten, Hogan, Blankenship, *The boxstep method*, Operations Research 23, 1975).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeplan.solvers.highs import quiet_highs
from edgeplan.solvers.pipeline.arrays import Floats, Pipeline
from edgeplan.solvers.pipeline.set_prices import (
    FrontierError,
    SetPrices,
    interval_loads,
    sweep_order,
)

ROUNDING = 1e-9
"""Relative: what sums of floating-point numbers may be off, with much to spare."""

_COARSE, _FINE = 200, 3_000
"""Points kept per front: while prices are sought (×4 again and again where that is not fine
enough), and to check a bound (×10 where that fails)."""

ROUNDS = 250
"""A trial that takes more linear programs counts as within reach."""
NULLS = 15
"""So many prices that were worse than the best in a row halve the box."""

Column = tuple[int, tuple[int, ...]]
"""A class of devices and a set of groups."""


def bound_of(pipeline: Pipeline, prices: Floats, limit: float, *, points: int = _FINE) -> float:
    """Return the lower bound on any plan's value that prices prove, at most a limit.

    Parameters
    ----------
    pipeline
        The problem; memory limits and contiguity are left out, so it bounds with them too.
    prices
        One per group.
    limit
        Values above it are not looked at.
    points
        Most points of a front.
    """
    return _Sweep(pipeline).bound(prices, limit, points)


class _Sweep:
    """The pricing of all classes of a pipeline's devices."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        order = sweep_order(pipeline)
        self.counts = [len(devices) for devices in pipeline.classes]
        self.classes = [SetPrices(pipeline, devices[0], order) for devices in pipeline.classes]
        self.order = order

    def bound(self, prices: Floats, limit: float, points: int) -> float:
        """Return the least T at which all groups might be paid for, or the limit."""
        fronts = [sets.fronts(prices, limit, points, relax=True)[:2] for sets in self.classes]
        loads = np.unique(np.concatenate([loads for loads, _ in fronts]))
        worth = np.zeros(len(loads))
        for count, (load, value) in zip(self.counts, fronts, strict=True):
            worth += count * value[np.searchsorted(load, loads, side="right") - 1]
        slack = ROUNDING * float(np.abs(prices).sum())
        enough = np.flatnonzero(worth >= math.fsum(prices) - slack)
        least = float(loads[enough[0]]) if len(enough) else limit
        return least * (1 - ROUNDING)

    def best_sets(
        self, prices: Floats, limit: float, points: int, spread: int = 4
    ) -> tuple[float, list[Column]]:
        """Return Σπ − Σ n P (nearly) and some sets worth most, of several loads."""
        total = math.fsum(prices)
        columns: list[Column] = []
        for number, (count, sets) in enumerate(zip(self.counts, self.classes, strict=True)):
            _, worth, history = sets.fronts(prices, limit, points, relax=False)
            last = len(worth) - 1
            total -= count * float(worth[last])
            some = {last, *np.linspace(last // 2, last, spread).astype(int).tolist()}
            columns += [(number, tuple(sorted(sets.members(history, point)))) for point in some]
        return total, columns

    def intervals(self, limit: float) -> Iterable[Column]:
        """Yield the longest runs of the order, from each start and to each end, within a limit."""
        for number, devices in enumerate(self.pipeline.classes):
            loads = interval_loads(self.pipeline, devices[0], self.order)
            fits = loads <= limit
            for start in range(len(self.order)):
                ends = np.flatnonzero(fits[start])
                if len(ends):
                    yield number, tuple(sorted(self.order[start : int(ends[-1])]))
            for end in range(1, len(self.order) + 1):
                starts = np.flatnonzero(fits[:, end])
                if len(starts):
                    yield number, tuple(sorted(self.order[int(starts[0]) : end]))


@dataclass(frozen=True, kw_only=True)
class DualBound:
    """A bound with the prices that prove it, and the sets met on the way.

    Parameters
    ----------
    bound
        Lower bound on the value of every plan, contiguous or not, in seconds per request.
    prices
        One per group: `bound_of` recomputes the bound from them.
    columns
        Sets of groups that were worth most at some prices: parts of good plans.
    rounds
        Linear programs solved.
    """

    bound: float
    prices: Floats
    columns: tuple[Column, ...]
    rounds: int


def dual_bound(
    pipeline: Pipeline,
    value: float,
    *,
    time_limit: float = 60.0,
    ended: Callable[[], bool] = lambda: False,
    on_bound: Callable[[float], None] | None = None,
) -> DualBound | None:
    """Seek prices that prove that no plan is better than one in hand, or else the best bound.

    Parameters
    ----------
    pipeline
        The problem.
    value
        The value of a plan; the bound will not exceed it.
    time_limit
        Seconds of wall time.
    ended
        Asked now and then whether to stop.
    on_bound
        Called with each better bound.

    Returns
    -------
    DualBound or None
        Nothing where the frontier is too wide for the sweep.
    """
    try:
        sweep = _Sweep(pipeline)
    except FrontierError:
        return None
    end = time.monotonic() + time_limit
    search = _Boxstep(sweep, value, lambda: ended() or time.monotonic() > end, on_bound)
    search.run()
    return DualBound(
        bound=search.bound, prices=search.best, columns=tuple(search.seen), rounds=search.rounds
    )


class _Boxstep:
    """Column generation at a trial T, for prices that rule it out."""

    def __init__(
        self,
        sweep: _Sweep,
        value: float,
        ended: Callable[[], bool],
        on_bound: Callable[[float], None] | None,
    ) -> None:
        self.sweep, self.value, self.ended, self.on_bound = sweep, value, ended, on_bound
        self.pipeline = sweep.pipeline
        self.bound = self.pipeline.communication_free_bound()
        self.best = self.pipeline.least_seconds / value
        self.seen: dict[Column, float] = {}
        self.rounds = 0
        self.points = _COARSE

    def run(self) -> None:
        """Try the value itself; where that is within reach, halve the interval again and again."""
        reach = self.value
        trial = self.value * (1 - 1e-8)
        center = self.best.copy()
        while not self.ended():
            ruled_out, center = self._try(trial, center)
            if not ruled_out:
                # Prices that do not rule the trial out rule out most of what is below it.
                for points in (_FINE, 10 * _FINE):
                    self._raise_bound(center, points)
            if ruled_out is None:
                return
            if not ruled_out:
                reach = trial
                self.points = min(4 * self.points, _FINE)
            if reach - self.bound < 1e-4 * reach or self.bound >= self.value * (1 - 1e-7):
                return
            trial = (self.bound + reach) / 2

    def _prove(self, prices: Floats, trial: float) -> bool:
        """Recompute the bound that prices prove; say whether it rules the trial out."""
        for points in (_FINE, 10 * _FINE):
            if self.sweep.best_sets(prices, trial, points, 0)[0] <= 0:
                return False
            self._raise_bound(prices, points)
            if self.bound >= trial * (1 - 2 * ROUNDING):
                return True
        return False

    def _raise_bound(self, prices: Floats, points: int) -> None:
        bound = self.sweep.bound(prices, self.value, points)
        if bound > self.bound:
            self.bound, self.best = bound, prices.copy()
            if self.on_bound is not None:
                self.on_bound(bound)

    def _try(self, trial: float, center: Floats) -> tuple[bool | None, Floats]:
        """Return whether prices rule a value out (``None``: no time), and the best prices."""
        program = _Master(self.pipeline.groups, self.sweep.counts)
        for column in [*self.sweep.intervals(trial), *self.seen]:
            if self.seen.setdefault(column, self._load(column)) <= trial:
                program.add(column)
        base = self.pipeline.least_seconds / self.value
        width = 0.7 * np.maximum(base, float(base.mean()))
        program.box(center, width)
        nulls = misses = 0
        center_gain, columns = self.sweep.best_sets(center, trial, self.points)
        self._take(columns, program)
        misses = 0
        last = self.rounds + ROUNDS
        while not self.ended():
            self.rounds += 1
            if self.rounds > last:
                return False, center
            most, prices, rents = program.solve()
            if most <= 1e-9 and program.loose(prices, center, width):
                return False, center
            improved = False
            trial_prices = 0.3 * center + 0.7 * prices
            gain, columns = self.sweep.best_sets(trial_prices, trial, self.points)
            new = self._take(columns, program, prices, rents)
            expected = most - center_gain
            if gain > center_gain + 0.07 * expected:
                center_gain, center, improved = gain, trial_prices, True
                width = width * 1.3
                misses = nulls = 0
            elif new:
                nulls += 1
                if nulls % NULLS == 0:
                    width = width * 0.5
            else:
                gain, columns = self.sweep.best_sets(prices, trial, self.points)
                new = self._take(columns, program, prices, rents)
                if gain > center_gain:
                    center_gain, center, improved = gain, prices, True
                if not new:
                    misses += 1
                    width = width * 3
                    if misses > 8:
                        return False, center
            program.box(center, width)
            if center_gain > 1e-9 and improved:
                if self._prove(center, trial):
                    return True, center
                self.points = min(4 * self.points, _FINE)
                center_gain, columns = self.sweep.best_sets(center, trial, self.points)
                self._take(columns, program)
        return None, center

    def _load(self, column: Column) -> float:
        number, groups = column
        device = self.pipeline.classes[number][0]
        inside = set(groups)
        terms = [float(self.pipeline.seconds[group, device]) for group in groups]
        if self.pipeline.occupy[device]:
            terms += [
                tensor.seconds
                for tensor in self.pipeline.tensors
                if 0 < sum(group in inside for group in tensor.groups) < len(tensor.groups)
            ]
        return math.fsum(terms) / float(self.pipeline.replicas[device])

    def _take(
        self,
        columns: list[Column],
        program: _Master,
        prices: Floats | None = None,
        rents: Floats | None = None,
    ) -> int:
        taken = 0
        for column in columns:
            number, groups = column
            self.seen.setdefault(column, self._load(column))
            worth = math.inf if prices is None else float(prices[list(groups)].sum())
            if rents is None or worth + rents[number] > 1e-12:
                taken += program.add(column)
        return taken


class _Master:
    """The restricted master program: pay for all groups with the columns there are.

    min Σ (center + width) over − (center − width) under
    s.t. over_g − under_g + Σ_{columns with g} x = 1 for each group g; Σ_{columns of c} x ≤ n_c.

    Its duals are prices within the box, its value the most that Σπ − Σ n P can be there.
    """

    def __init__(self, groups: int, counts: Sequence[int]) -> None:
        self.groups = groups
        self.program: Any = quiet_highs()
        self.infinity = self.program.inf
        self.program.setOptionValue("threads", 1)
        none = np.array([], dtype=np.int32), np.array([])
        for _ in range(groups):
            self.program.addRow(1.0, 1.0, 0, *none)
        for count in counts:
            self.program.addRow(-self.infinity, float(count), 0, *none)
        for group in range(groups):
            row = np.array([group], dtype=np.int32)
            for sign in (1.0, -1.0):
                self.program.addCol(0.0, 0.0, self.infinity, 1, row, np.array([sign]))
        self.columns: set[Column] = set()

    def add(self, column: Column) -> int:
        """Add a column unless it is there; return how many were added."""
        if column in self.columns:
            return 0
        self.columns.add(column)
        number, groups = column
        rows = np.array([*groups, self.groups + number], dtype=np.int32)
        self.program.addCol(0.0, 0.0, self.infinity, len(rows), rows, np.ones(len(rows)))
        return 1

    def box(self, center: Floats, width: Floats) -> None:
        """Hold the prices within center ± width."""
        costs = np.empty(2 * self.groups)
        costs[0::2], costs[1::2] = center + width, width - center
        self.program.changeColsCost(
            2 * self.groups, np.arange(2 * self.groups, dtype=np.int32), costs
        )

    def solve(self) -> tuple[float, Floats, Floats]:
        """Return the value, the groups' prices and the classes' rents (not positive)."""
        self.program.run()
        duals = np.array(self.program.getSolution().row_dual)
        value = float(self.program.getObjectiveValue())
        return value, duals[: self.groups], duals[self.groups :]

    def loose(self, prices: Floats, center: Floats, width: Floats) -> bool:
        """Say whether the prices lie within the box and not at its sides."""
        return bool((np.abs(prices - center) < 0.999 * width).all())
