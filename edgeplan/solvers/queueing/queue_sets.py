r"""One queue on its own: the cheapest set of routes there, when each is worth something.

With the worth γ of routes given, the price of a set at a queue is what its routes wait, and what
its replicas cost, less what they are worth. Sets are looked for by levels of waits
:math:`W_1 < W_2 < …`: one that waits between :math:`W_{k-1}` and :math:`W_k` costs at least

.. math::
    \sum_r (a_r W_{k-1} - \gamma_r)\, x_r \quad\text{with}\quad
    \sum_r \Bigl( \frac{m_r}{2 c W_k} + \frac{b_r}{c} \Bigr) x_r \le 1, \qquad
    0 \le x_r \le n_r \text{ whole},

a knapsack for each level. The fractional knapsacks of all levels are solved at once; whole ones
only at levels that may hold the cheapest set. Where c replicas share a queue, a level is a box:
with a utilisation in :math:`[\rho_{k-1}, \rho_k]` and waits as above, both
:math:`b x / (c \rho_k) \le 1` and :math:`m x\, g(\rho_{k-1}) / W \le 1` hold (g of `wait_factor`),
and so does any mixture of the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeplan.model.formulation.queueing import Columns, server
from edgeplan.model.formulation.queueing.sets import Bools, Floats, Ints
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import wait_factor
from edgeplan.solvers.queueing.knapsack import FITS, MOST_NODES, best_set
from edgeplan.solvers.queueing.prices import count_price

MIXTURES = (0.15, 0.5, 0.85)
"""Weights of the utilisation in a box's one row."""
BOX_STEP = 5.0
"""Steps of boxes, as a multiple of those of levels."""
ROUNDING = 1e-12
"""Worth less, relatively, does not make another level worth a look."""


@dataclass(frozen=True)
class SetLevels:
    """Levels of one queue with one number of replicas.

    Parameters
    ----------
    replicas, price
        How many, and what they cost.
    low
        Per level: no set there waits less.
    busy, moment
        Per row and level: room that a unit of busy time, or of moment, takes. Every row of a
        level is a valid one.
    """

    replicas: int
    price: float
    low: Floats
    busy: Floats
    moment: Floats


class QueueSets:
    """One queue with the routes that may be in its sets.

    Parameters
    ----------
    problem, columns
        The problem and all its routes, which are whole.
    index
        Which queue.
    direct
        By column: whether it has no other queue that counts.
    """

    def __init__(self, problem: Problem, columns: Columns, index: int, direct: Bools) -> None:
        self.index = index
        own = np.flatnonzero(columns.queue == index)
        self.column = columns.column[own]
        self.group = group = columns.group[self.column]
        self.busy, self.moment = columns.busy[own], columns.moment[own]
        self.waiting = columns.visits[own] * columns.wait_price[group]
        self.size = columns.sizes[group]
        self.direct = direct[self.column]
        serving = server(problem, columns.queues[index])
        self.cap = min(serving.cap, 1 - 1e-9)
        self.shared, self.counts = serving.shared, serving.counts
        key = columns.queues[index]
        self.price = {c: count_price(problem, key, c) for c in serving.counts}
        self.position = np.full(len(columns), -1, dtype=np.int64)
        self.position[self.column] = np.arange(len(own))
        # Routes of a stream that ask the same of this queue: a set has the most worthy of them.
        alike = np.stack([group, self.direct, self.busy, self.moment, self.waiting], axis=1)
        self.kind = np.unique(alike, axis=0, return_inverse=True)[1].reshape(-1)
        self._levels: dict[tuple[int, float], SetLevels] = {}

    def levels(self, replicas: int, ratio: float) -> SetLevels:
        """Return levels, each so many times the one before."""
        key = replicas, ratio
        if key not in self._levels:
            boxes = self.shared and replicas > 1
            make = self._boxes if boxes else self._thresholds
            self._levels[key] = make(replicas, ratio)
        return self._levels[key]

    def _thresholds(self, c: int, ratio: float) -> SetLevels:
        busy, moment = self.busy / c, self.moment / c
        used = (busy > 0) & (busy <= self.cap) & (moment > 0)
        if not used.any():
            one = np.ones((1, 1))
            return SetLevels(c, self.price[c], np.zeros(1), one / self.cap / c, 0 * one)
        least = float((moment[used] / (2 * (1 - busy[used]))).min())
        most = float((moment[used] / busy[used]).max()) / 2 * self.cap / (1 - self.cap)
        count = max(math.ceil(math.log(max(most / least, 1.01)) / math.log(ratio)), 1)
        high = least * ratio ** np.arange(1, count + 1)
        # A set waits at least as long as its smallest item alone, up to the wait at the cap.
        low = np.concatenate([[0.0, least], high])
        load = np.concatenate([np.ones(count + 1), [1 / self.cap]])
        factor = np.concatenate([[1 / (2 * least)], 1 / (2 * high), [0.0]])
        return SetLevels(c, self.price[c], low, load[None] / c, factor[None] / c)

    def _boxes(self, c: int, ratio: float) -> SetLevels:
        ratio = 1 + BOX_STEP * (ratio - 1)  # there are many more boxes than levels
        per = self.moment[self.busy > 0] / self.busy[self.busy > 0]
        # Some may come and be served like clockwork: a set of them does not wait.
        clockwork = not per.size or not per.min() > 0
        per = per[per > 0] if (per > 0).any() else np.ones(1)
        steps = max(math.ceil(-math.log(1 - self.cap) / math.log(ratio) / 2), 8)
        high = 1 - np.geomspace(1, 1 - self.cap, steps + 1)[1:]
        high[-1] = self.cap
        lower = np.concatenate([[0.0], high[:-1]])
        lows, busy, moment = [], [], []
        for below, above in zip(lower, high, strict=True):
            factor, most = (wait_factor(c, "shared", float(rho)) for rho in (below, above))
            first = factor * c * below * float(per.min())
            last = most * c * above * float(per.max())
            if first <= 0:
                lows.append(0.0)
                busy.append([1 / (c * above)] * len(MIXTURES))
                moment.append([0.0] * len(MIXTURES))
                continue
            count = max(math.ceil(math.log(max(last / first, 1.01)) / math.log(ratio)), 1)
            for k in range(-1 if clockwork else 0, count):
                limit = first * ratio ** (k + 1)
                lows.append(first * ratio**k if k >= 0 else 0.0)
                busy.append([mix / (c * above) for mix in MIXTURES])
                moment.append([(1 - mix) * factor / limit for mix in MIXTURES])
        return SetLevels(
            c, self.price[c], np.array(lows), np.array(busy).T.copy(), np.array(moment).T.copy()
        )

    def cheapest(
        self, worth: Floats, ratio: float, most_nodes: int = MOST_NODES
    ) -> tuple[float, list[tuple[Ints, Ints, int]]]:
        """Return the least price of a set less its worth, and sets on the way to it.

        Parameters
        ----------
        worth
            Per route at this queue.
        ratio
            Of the levels.
        most_nodes
            Steps of one knapsack's search.

        Returns
        -------
        tuple
            A lower bound on every set (the empty one costs 0), and (columns, numbers, replicas)
            of sets, the cheapest last.
        """
        best, sets = 0.0, []
        items = self.worthy(worth)
        for c in self.counts:
            levels = self.levels(c, ratio)
            if not len(items):
                continue
            profit = worth[items] - self.waiting[items] * levels.low[:, None]
            value, row = self.fractional(levels, items, profit)
            for k in np.argsort(value, kind="stable"):
                if value[k] >= best - ROUNDING * abs(best):
                    break
                room = self.busy[items] * levels.busy[row[k], k]
                room = room + self.moment[items] * levels.moment[row[k], k]
                fit = np.flatnonzero((profit[k] > 0) & (room <= 1 + FITS) & (room > 0))
                fit = fit[np.argsort(-profit[k, fit] / room[fit], kind="stable")]
                gain, found = best_set(
                    profit[k, fit].tolist(),
                    room[fit].tolist(),
                    self.size[items[fit]].tolist(),
                    levels.price - best,
                    most_nodes,
                )
                if gain is None:
                    best = min(best, float(value[k]))
                elif found is not None:
                    best = levels.price - gain
                if found is not None:
                    chosen = items[fit[[item for item, _ in found]]]
                    numbers = np.array([number for _, number in found], dtype=np.int64)
                    sets.append((self.column[chosen], numbers, c))
        return best, sets

    def worthy(self, worth: Floats, least: float = 0.0) -> Ints:
        """Return, of the routes that are alike, the one worth most, if that is more than least."""
        order = np.lexsort((-worth, self.kind))
        first = np.concatenate([[True], self.kind[order][1:] != self.kind[order][:-1]])
        best = order[first[: len(order)]]
        found: Ints = best[worth[best] > least]
        return found

    def fractional(self, levels: SetLevels, items: Ints, profit: Floats) -> tuple[Floats, Ints]:
        """Return the fractional knapsack's price of each level by its best row, and that row."""
        values = []
        size = self.size[items]
        at = np.arange(len(levels.low))[:, None]
        for busy, moment in zip(levels.busy, levels.moment, strict=True):
            room = self.busy[items] * busy[:, None] + self.moment[items] * moment[:, None]
            room = np.maximum(room, 1e-300)
            number = np.minimum(size, np.floor(1 / room + 1e-9))  # 0 of what does not fit
            gain = np.maximum(profit, 0.0)
            order = np.argsort(-gain / room, axis=1, kind="stable")
            taken = np.where(gain > 0, room * number, 0.0)[at, order]
            before = np.cumsum(taken, axis=1) - taken
            share = np.clip((1 - before) / np.maximum(taken, 1e-300), 0.0, 1.0)
            values.append(
                levels.price
                - (np.where(taken > 0, share, 0.0) * (gain * number)[at, order]).sum(axis=1)
            )
        table = np.array(values)
        row = table.argmax(axis=0)
        return table[row, np.arange(table.shape[1])], row

    def exact(self, columns: Ints, numbers: Ints, replicas: int) -> float:
        """Return the price of a set: waits and replicas; ``inf`` where it is over the cap."""
        at = self.position[columns]
        rho = float(self.busy[at] @ numbers) / replicas
        if rho > self.cap * (1 + 1e-9):
            return math.inf
        factor = wait_factor(replicas, "shared" if self.shared else "random", rho)
        moment = float(self.moment[at] @ numbers)
        return self.price[replicas] + moment * factor * float(self.waiting[at] @ numbers)
