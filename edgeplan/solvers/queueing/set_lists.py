r"""All sets of routes at a queue that a plan may still need.

At any multipliers a plan's price is the bound plus what each of its sets costs, less its worth,
above the cheapest set of its queue, and what each route costs above its stream's cheapest
(`set_bound`). A plan below a target therefore has only sets that are within the target less the
bound of their queue's cheapest. Baldacci, Christofides and Mingozzi (Mathematical Programming
115, 2008) list the columns of a vehicle routing program in this way.

Sets grow by one stream after the other. What a queue's waits cost,
:math:`f(U) = \sum_U a \sum_U m\; g(\sum_U b)`, is supermodular in the set, since g (`wait_factor`)
grows and is convex: a route added later raises it by at least as much as one added now, so

.. math::
    f(U \cup V) - \gamma(U \cup V) \ge f(U) - \gamma(U)
    + \sum_{s} \min\bigl(0, \min_{v \in V_s} f(U + v) - f(U) - \gamma_v\bigr),

and a set that is too dear by the right-hand side, over the streams still to come, is dropped with
all that would grow of it. So is one that is too dear at every level of waits by a fractional
knapsack of the streams still to come in the room that it leaves (`queue_sets`), which is looked at
where there are many sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.solvers.queueing.prices import shared_factor
from edgeplan.solvers.queueing.queue_sets import QueueSets

MOST_HELD = 400_000
"""Sets that are held at once, at most; where there are more, none are told."""
MANY = 3_000
"""With as many sets a second, dearer look at what may grow of them pays."""
LEVELS = 1.01
"""Ratio of one level of that look to the next."""
ROUNDING = 1e-9
"""Sets may be dearer than the window by so much, relatively, of what they are worth."""


@dataclass(frozen=True)
class SetList:
    """Sets of routes at one queue with one number of replicas.

    Parameters
    ----------
    replicas
        How many.
    items
        Positions of routes at the queue.
    numbers
        Per set and item: how often it is in the set.
    price
        Per set: waits and replicas.
    reduced
        Per set: price less worth.
    """

    replicas: int
    items: Ints
    numbers: np.ndarray
    price: Floats
    reduced: Floats


@dataclass
class _Sets:
    """Sets on the way: numbers, sums of busy, moment, waiting and worth, and their bound."""

    numbers: np.ndarray
    sums: Floats
    bound: Floats

    def take(self, which: np.ndarray) -> _Sets:
        return _Sets(self.numbers[which], self.sums[which], self.bound[which])


class _Queue:
    """One queue with one number of replicas, and the routes that a set there may have by stream."""

    def __init__(self, queue: QueueSets, worth: Floats, replicas: int, window: float) -> None:
        self.replicas, self.cap = replicas, queue.cap * (1 + 1e-9)
        self.shared = queue.shared and replicas > 1
        items = queue.worthy(worth, -window)
        group = queue.group[items]
        most = np.zeros(int(group.max(initial=0)) + 1)
        np.maximum.at(most, group, worth[items])
        # Streams that are worth most first: what is left to come is then soon worth little.
        self.items = items[np.lexsort((group, -most[group]))]
        self.group = queue.group[self.items]
        self.size = queue.size[self.items]
        at = self.items
        self.table = np.stack([queue.busy[at], queue.moment[at], queue.waiting[at], worth[at]])
        starts = np.flatnonzero(np.concatenate([[True], self.group[1:] != self.group[:-1]]))
        self.starts = starts[: len(self.items)].tolist()
        self.stops = [*self.starts[1:], len(self.items)]
        levels = queue.levels(replicas, LEVELS)
        profit = worth[self.items] - queue.waiting[self.items] * levels.low[:, None]
        self.level_price, row = queue.fractional(levels, self.items, profit)
        at = np.arange(len(row))
        self.low, self.profit = levels.low, np.maximum(profit, 0.0)
        self.room = np.stack([levels.busy[row, at], levels.moment[row, at]])

    def waits(self, busy: Floats, moment: Floats, waiting: Floats) -> Floats:
        """Return the price of waits; ``inf`` over the cap."""
        rho = busy / self.replicas
        within = rho <= self.cap
        rho = np.where(within, rho, 0.0)
        if self.shared:
            factor = shared_factor(self.replicas, rho)
        else:
            factor = 1 / (2 * self.replicas * (1 - rho))
        found: Floats = np.where(within, waiting * moment * factor, math.inf)
        return found

    def reduced(self, sums: Floats) -> Floats:
        """Return waits less worth of sets by their sums."""
        found: Floats = self.waits(sums[:, 0], sums[:, 1], sums[:, 2]) - sums[:, 3]
        return found

    def saving(self, sets: _Sets, now: Floats, number: int) -> Floats:
        """Return what the streams of a place in the order may take off sets at most, ≥ 0."""
        first, stop = self.starts[number], self.stops[number]
        best = np.zeros(len(sets.sums))
        for item in range(first, stop):
            b, m, a, g = self.table[:, item]
            after = self.waits(sets.sums[:, 0] + b, sets.sums[:, 1] + m, sets.sums[:, 2] + a) - g
            best = np.maximum(best, now + sets.sums[:, 3] - after)
        found: Floats = best * float(self.size[first])
        return found

    def at_levels(self, sums: Floats, number: int, limit: float) -> Floats:
        """Return the least that sets with the streams from a place on come to at some level.

        Only levels at which a set, its replicas paid, may come to no more than the limit count.
        """
        found = np.full(len(sums), math.inf)
        first = self.starts[number] if number < len(self.starts) else len(self.items)
        busy, moment = self.table[:2, first:]
        size = self.size[first:]
        for k in np.flatnonzero(self.level_price <= limit):
            used = sums[:, :2] @ self.room[:, k]
            fits = np.flatnonzero(used <= 1 + ROUNDING)
            if not len(fits):
                continue
            room = busy * self.room[0, k] + moment * self.room[1, k]
            gain = self.profit[k, first:]
            may = (gain > 0) & (room <= 1 + ROUNDING)
            room, gain = np.maximum(room[may], 1e-300), gain[may]
            order = np.argsort(-gain / room, kind="stable")
            room, gain = (room * size[may])[order], (gain * size[may])[order]
            more = np.interp(
                1 + ROUNDING - used[fits],
                np.concatenate([[0.0], np.cumsum(room)]),
                np.concatenate([[0.0], np.cumsum(gain)]),
            )
            value = self.low[k] * sums[fits, 2] - sums[fits, 3] - more
            found[fits] = np.minimum(found[fits], value)
        return found


def sets_within(
    queue: QueueSets,
    worth: Floats,
    window: float,
    most: int = MOST_HELD,
    over: Callable[[], bool] = lambda: False,
) -> tuple[float, list[SetList]] | None:
    """Return all sets whose price less worth is within a window of the least.

    Parameters
    ----------
    queue
        The queue.
    worth
        Per route there, in the objective's units.
    window
        How much dearer a set may be.
    most
        Sets held at once at most.
    over
        Whether to end now.

    Returns
    -------
    tuple or None
        The least price less worth (at most 0, that of no set), and the sets by replicas, without
        the empty one; ``None`` where there are too many, or it had to end.
    """
    least, found = 0.0, []
    for replicas in queue.counts:
        here = _Queue(queue, worth, replicas, window)
        if not len(here.items):
            continue
        price = queue.price[replicas]
        for best, sets in _grown(here, price, least, window):
            least = min(least, best)
            if sets is None:
                continue
            if len(sets.sums) > most or over():
                return None
            kept = sets
        reduced = here.reduced(kept.sums) + price
        full = kept.numbers.any(axis=1) & (reduced <= least + window + ROUNDING * abs(least))
        found.append(
            SetList(
                replicas,
                here.items,
                kept.numbers[full],
                reduced[full] + kept.sums[full, 3],
                reduced[full],
            )
        )
    return least, found


def _grown(
    here: _Queue, price: float, least: float, window: float
) -> Iterator[tuple[float, _Sets | None]]:
    """Grow sets stream by stream; tell the least price less worth, and the sets held."""
    kind = np.min_scalar_type(int(here.size.max()))
    sets = _Sets(np.zeros((1, len(here.items)), kind), np.zeros((1, 4)), np.zeros(1))
    sets.bound = _bound(here, sets, 0)
    greedy = _greedy(here)
    least = min(least, greedy + price)
    yield least, None
    for number in range(len(here.starts)):
        # Who goes without this stream loses what it might have saved.
        sets.bound += here.saving(sets, here.reduced(sets.sums), number)
        kept = [sets]
        last = sets
        for _ in range(int(here.size[here.starts[number]])):
            last = _with_one(here, last, number)
            if not len(last.sums):
                break
            least = min(least, float(here.reduced(last.sums).min()) + price)
            last.bound = _bound(here, last, number + 1)
            # One more of this stream may save as much again.
            hope = last.bound - here.saving(last, here.reduced(last.sums), number)
            last = last.take(hope + price <= least + window + ROUNDING * abs(least))
            kept.append(last)
        sets = _Sets(
            np.concatenate([each.numbers for each in kept]),
            np.concatenate([each.sums for each in kept]),
            np.concatenate([each.bound for each in kept]),
        )
        limit = least + window + ROUNDING * abs(least)
        sets = sets.take(sets.bound + price <= limit)
        if len(sets.sums) > MANY:
            sets = sets.take(here.at_levels(sets.sums, number + 1, limit) + price <= limit)
        yield least, sets


def _with_one(here: _Queue, sets: _Sets, number: int) -> _Sets:
    """Return sets with one more request route of a stream, each once."""
    first, stop = here.starts[number], here.stops[number]
    grown = []
    for item in range(first, stop):
        # By rising item, so that no set is made twice.
        fits = ~sets.numbers[:, item + 1 : stop].any(axis=1)
        sums = sets.sums[fits] + here.table[:, item]
        within = sums[:, 0] / here.replicas <= here.cap
        numbers = sets.numbers[fits][within]
        numbers[:, item] += 1
        grown.append(_Sets(numbers, sums[within], np.zeros(int(within.sum()))))
    return _Sets(
        np.concatenate([each.numbers for each in grown]),
        np.concatenate([each.sums for each in grown]),
        np.concatenate([each.bound for each in grown]),
    )


def _bound(here: _Queue, sets: _Sets, start: int) -> Floats:
    """Return the least that sets can come to with the streams from a place in the order on."""
    now = here.reduced(sets.sums)
    found = now.copy()
    for number in range(start, len(here.starts)):
        found -= here.saving(sets, now, number)
    return found


def _greedy(here: _Queue) -> float:
    """Return the price less worth of a good set: the best route again and again."""
    sums, best = np.zeros((1, 4)), 0.0
    free = {g: int(here.size[first]) for g, first in enumerate(here.starts)}
    place = np.repeat(np.arange(len(here.starts)), np.diff([*here.starts, len(here.items)]))
    while True:
        open_ = np.array([free[int(g)] > 0 for g in place])
        values = here.reduced(sums + here.table.T)
        values[~open_] = math.inf
        k = int(values.argmin())
        if not values[k] < best:
            return best
        best, sums = float(values[k]), sums + here.table[:, k]
        free[int(place[k])] -= 1
