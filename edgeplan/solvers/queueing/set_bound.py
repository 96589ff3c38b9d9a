r"""A bound from sets of routes: each queue on its own, and prices between them.

Dantzig–Wolfe: a column of the master is a set of routes at one queue with its exact price
(replicas, waits); each stream takes a route, and a route with several such queues is in a set at
each of them. Any multipliers give a bound: π for a stream, γ for a route at a queue,

.. math::
    \sum_s n_s \pi_s + \sum_q \min_{U} \Bigl( p_q(U) - \sum_{r \in U} \gamma_{q,r} \Bigr)
    + \sum_s n_s \min\bigl(0, \min_r c_r + \sum_q \gamma_{q,r} - \pi_s\bigr),

with whole sets U (`queue_sets`), which is what makes it stronger than the program by levels: a
stream cannot be spread over queues to thin out the load. Limits other than utilisation caps are
left out, and waits at queues that are left out as well: it bounds the problem without them. A
route at one such queue only needs no multiplier of its own, π − c does.

Multipliers come from the master's duals, smoothed (Wentges, International Transactions in
Operational Research 4, 1997; Pessoa et al., INFORMS Journal on Computing 30, 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeplan.model.formulation.queueing import Columns
from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.model.problem import Problem
from edgeplan.solvers.highs import FEASIBILITY_TOLERANCE, quiet_highs
from edgeplan.solvers.queueing.knapsack import MOST_NODES
from edgeplan.solvers.queueing.queue_sets import QueueSets

COARSE, FINE = 1.03, 1.002
"""Ratio of one level to the next, in the search for sets and in the bound."""
FIRST_ACTIVE = 6
"""Routes of a stream with several queues that the master has at first."""
IDLE_ROUNDS, IDLE_GAIN = 30, 2e-5
"""So many rounds that gain so little of the price, in bound or master, are enough …"""
QUICK_NODES = 200
"""Steps of one knapsack's search at coarse levels."""
NEAR = 0.01
"""… once the bound is so near the master, as a share of the price."""
CLOSE = 0.02
"""The master is solved when it is that share of the gap above the bound."""
ROUNDING = 1e-9
"""Taken off the bound, relatively."""


@dataclass(frozen=True)
class Multipliers:
    """Prices between queues, in the program's unit.

    Parameters
    ----------
    group
        By group of streams: π.
    queue
        By queue, and by its routes: γ.
    """

    group: Floats
    queue: tuple[Floats, ...]

    def mixed(self, other: Multipliers, share: float) -> Multipliers:
        """Return so much of these and the rest of others."""
        return Multipliers(
            share * self.group + (1 - share) * other.group,
            tuple(
                share * a + (1 - share) * b for a, b in zip(self.queue, other.queue, strict=True)
            ),
        )


class SetBound:
    """The master, its sets and its multipliers.

    Parameters
    ----------
    problem, columns
        What is bounded; all columns are whole.
    queues
        Queues whose waits and caps count.
    unit
        Price per unit.
    over
        Says when to end.
    """

    def __init__(
        self,
        problem: Problem,
        columns: Columns,
        queues: Sequence[int],
        unit: float,
        over: Callable[[], bool],
    ) -> None:
        self.columns, self.unit, self.over = columns, unit, over
        met = np.zeros(len(columns), dtype=np.int64)
        np.add.at(met, columns.column[np.isin(columns.queue, list(queues))], 1)
        self.direct = met == 1
        self.queues = [QueueSets(problem, columns, q, self.direct) for q in queues]
        self.active = np.zeros(len(columns), dtype=bool)
        self.cost = columns.objective / unit
        self.link_row: dict[tuple[int, int], int] = {}
        self.known: set[tuple[int, int, tuple[tuple[int, int], ...]]] = set()
        # What a column of the master stands for: a route, or queue, columns, numbers, replicas.
        self.route_of: dict[int, int] = {}
        self.set_of: dict[int, tuple[int, Ints, Ints, int]] = {}
        self.best, self.master = -math.inf, math.inf
        self.best_at: Multipliers | None = None
        self.short = np.zeros(len(columns))
        self.guessed: tuple[Floats, ...] = ()
        self.guessed_in_all = np.zeros(len(columns))
        highs = quiet_highs()
        highs.setOptionValue("threads", 1)
        highs.setOptionValue("dual_feasibility_tolerance", FEASIBILITY_TOLERANCE)
        nothing = np.zeros(0, dtype=np.int32), np.zeros(0)
        for size in columns.sizes:
            highs.addRow(float(size), math.inf, 0, *nothing)
        for _ in self.queues:
            highs.addRow(-math.inf, 1.0, 0, *nothing)
        self.highs: Any = highs
        self.rows, self.count = len(columns.groups) + len(self.queues), 0

    # -- the master ------------------------------------------------------------------

    def _add(self, cost: float, entries: dict[int, float]) -> int:
        self.highs.addCol(
            cost,
            0.0,
            math.inf,
            len(entries),
            np.array(list(entries), dtype=np.int32),
            np.array(list(entries.values())),
        )
        self.count += 1
        return self.count - 1

    def activate(self, routes: Ints) -> None:
        """Take routes with several queues, or none, into the master."""
        for r in routes[~self.active[routes] & ~self.direct[routes]]:
            self.active[r] = True
            entries = {int(self.columns.group[r]): 1.0}
            for i, queue in enumerate(self.queues):
                if queue.position[r] >= 0:
                    self.highs.addRow(0.0, math.inf, 0, np.zeros(0, np.int32), np.zeros(0))
                    self.link_row[int(r), i] = self.rows
                    entries[self.rows] = -1.0
                    self.rows += 1
            self.route_of[self._add(float(self.cost[r]), entries)] = int(r)

    def add_set(self, i: int, columns: Ints, numbers: Ints, replicas: int) -> None:
        """Take a set of routes at a queue into the master."""
        if not len(columns):
            return
        key = (i, replicas, tuple(sorted(zip(columns.tolist(), numbers.tolist(), strict=True))))
        if key in self.known:
            return
        self.known.add(key)
        price = self.queues[i].exact(columns, numbers, replicas) / self.unit
        if not math.isfinite(price):
            return
        self.activate(columns)
        entries = {len(self.columns.groups) + i: 1.0}
        for r, n in zip(columns.tolist(), numbers.tolist(), strict=True):
            row = int(self.columns.group[r]) if self.direct[r] else self.link_row[r, i]
            price += float(self.cost[r]) * n if self.direct[r] else 0.0
            entries[row] = entries.get(row, 0.0) + n
        self.set_of[self._add(price, entries)] = (i, columns, numbers, replicas)

    def add_plan(self, value: Floats, replicas: Ints) -> None:
        """Take the sets of a plan into the master: how often each column, replicas by queue."""
        taken = np.flatnonzero(value > 0.5)
        self.activate(taken)
        for i, queue in enumerate(self.queues):
            here = taken[queue.position[taken] >= 0]
            numbers = np.round(value[here]).astype(np.int64)
            self.add_set(i, here, numbers, int(replicas[queue.index]))

    # -- multipliers ------------------------------------------------------------------

    def guess(self, wait: Floats, rest: Floats, waiting: Floats) -> Multipliers:
        """Return multipliers by what routes add to waits, at a plan's loads of the queues.

        Parameters
        ----------
        wait, rest, waiting
            By queue: mean wait, replicas × (1 − ρ), and price of a second of waiting.
        """
        total, gamma = self.cost.copy(), []
        for queue in self.queues:
            q = queue.index
            others = waiting[q] / rest[q] * (queue.moment / 2 + wait[q] * queue.busy)
            gamma.append((queue.waiting * wait[q] + others) / self.unit)
            total[queue.column] += gamma[-1]
        pi = np.full(len(self.columns.groups), np.inf)
        np.minimum.at(pi, self.columns.group, total)
        order = np.lexsort((total, self.columns.group))
        first = np.searchsorted(self.columns.group[order], np.arange(len(pi)))
        rank = np.arange(len(order)) - first[self.columns.group[order]]
        self.activate(order[rank < FIRST_ACTIVE])
        self.guessed = tuple(gamma)
        self.guessed_in_all = total - self.cost
        return Multipliers(pi, self.guessed)

    def worths(self, at: Multipliers) -> tuple[list[Floats], Floats]:
        """Return what multipliers make routes worth at each queue, and what routes are short of.

        Returns
        -------
        tuple
            By queue, its routes' worth; by column, its cost and what it is worth at its queues
            less its stream's price (0 where one queue's worth says it all).
        """
        pi, group = at.group, self.columns.group
        charge, found = self.cost.copy(), []
        # A route that is not in the master has no multipliers from it: it is worth what was
        # guessed, or less where less is enough to make it no bargain for its stream.
        needed = np.maximum(pi[group] - self.cost, 0.0)
        part = np.minimum(needed / np.maximum(self.guessed_in_all, 1e-300), 1.0)
        for i, (queue, gamma) in enumerate(zip(self.queues, at.queue, strict=True)):
            direct, active = self.direct[queue.column], self.active[queue.column]
            worth = np.where(
                direct,
                pi[group[queue.column]] - self.cost[queue.column],
                np.where(active, gamma, self.guessed[i] * part[queue.column]),
            )
            charge[queue.column] += np.where(direct, 0.0, worth)
            found.append(worth)
        return found, np.where(self.direct, 0.0, charge - pi[group])

    def lowest(self, short: Floats) -> Floats:
        """Return by group the least that its routes are short of, at most 0."""
        found = np.zeros(len(self.columns.groups))
        np.minimum.at(found, self.columns.group, short)
        return found

    def bound(self, at: Multipliers, ratio: float) -> float:
        """Return the bound at some multipliers; the sets found join the master."""
        nodes = QUICK_NODES if ratio >= COARSE else MOST_NODES
        value = float(at.group @ self.columns.sizes)
        worths, self.short = self.worths(at)
        for i, (queue, worth) in enumerate(zip(self.queues, worths, strict=True)):
            least, sets = queue.cheapest(worth * self.unit, ratio, nodes)
            value += least / self.unit
            for columns, numbers, replicas in sets[-3:]:
                self.add_set(i, columns, numbers, replicas)
        value += float(self.lowest(self.short) @ self.columns.sizes)
        value *= self.unit * (1 - ROUNDING)
        if value > self.best:
            self.best_at = at
        return value

    def _duals(self, before: Multipliers) -> Multipliers | None:
        self.highs.run()
        if self.highs.getModelStatus() != _optimal():
            return None
        self.master = self.highs.getInfo().objective_function_value * self.unit
        dual = np.array(self.highs.getSolution().row_dual)
        gamma = [each.copy() for each in before.queue]
        for (r, i), row in self.link_row.items():
            gamma[i][self.queues[i].position[r]] = dual[row]
        return Multipliers(dual[: len(self.columns.groups)], tuple(gamma))

    def run(
        self,
        start: Multipliers,
        aim: Callable[[], tuple[float, float]],
        report: Callable[[float], None],
        *,
        ratio: float = COARSE,
        rounds: int = 600,
    ) -> Multipliers:
        """Improve multipliers until the bound reaches the target, or hardly rises any more.

        Parameters
        ----------
        start
            Multipliers to begin from.
        aim
            Returns the price of the best plan of the moment, and the bound that would do.
        report
            Told the bound now and then.
        ratio
            Of the levels.
        rounds
            Most times that the master is solved.

        Returns
        -------
        Multipliers
            Where it ended; `best` has the bound.
        """
        center, share, value = start, 0.8, self.bound(start, ratio)
        idle, last = 0, math.inf
        self._take(value, report)
        for _ in range(rounds):
            price, target = aim()
            if self.over() or self.best >= target:
                return center
            duals = self._duals(center)
            if duals is None:
                return center
            if self.master - value < CLOSE * max(price - target, 1e-12):
                break  # all that these levels can tell is known
            before = self.count
            tried = center.mixed(duals, share)
            found = self.bound(tried, ratio)
            self.activate(self._joining())
            self._take(found, report)
            gained = max(found - value, last - self.master)
            far = self.master - value > NEAR * price
            idle, last = (0 if far or gained > IDLE_GAIN * price else idle + 1), self.master
            if found > value:
                value, center = found, tried
                share = min(share + 0.02, 0.95)
            elif self.count == before:
                if share <= 0 and not far:
                    break
                share = max(share - 0.3, 0.0)
            else:
                share = max(share - 0.1, 0.0)
            if idle > IDLE_ROUNDS:
                break
        if self.over():
            return center
        self._fine(center, report)
        if self.best < aim()[1] and (duals := self._duals(center)) is not None:
            self._fine(duals, report)
        return center

    def _fine(self, at: Multipliers, report: Callable[[float], None]) -> None:
        self._take(self.bound(at, FINE), report)

    def _take(self, value: float, report: Callable[[float], None]) -> None:
        if value > self.best:
            self.best = value
            report(value)

    def _joining(self) -> Ints:
        """Return routes that ought to be in the master: of each group the two that miss it most."""
        low = np.flatnonzero((self.short < -1e-9) & ~self.active & ~self.direct)
        order = low[np.lexsort((self.short[low], self.columns.group[low]))]
        group = self.columns.group[order]
        return order[np.arange(len(order)) - np.searchsorted(group, group) < 2]

    # -- plans ------------------------------------------------------------------

    def usage(self) -> Floats:
        """Return how often the master's relaxation takes each column."""
        return self._usage(np.array(self.highs.getSolution().col_value))

    def _usage(self, x: Floats) -> Floats:
        found = np.zeros(len(self.columns))
        for column, r in self.route_of.items():
            found[r] += x[column]
        for column, (_, routes, numbers, _) in self.set_of.items():
            direct = self.direct[routes]
            found[routes[direct]] += x[column] * numbers[direct]
        return found


def _optimal() -> Any:
    import highspy

    return highspy.HighsModelStatus.kOptimal
