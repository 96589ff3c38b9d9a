"""Plans for whole streams by local search: moves of one or two streams, numbers of replicas.

Waits are exact at every step, so that a move's price tells what it does to everybody at its
queues. Limits are prices here: what breaks one costs more than any plan that does not. The
evaluator has the last word on every plan that comes out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edgeplan.model.formulation.queueing import Columns, server
from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey
from edgeplan.solvers.queueing.prices import count_price

CANDIDATES = 24
"""Cheapest routes of a group at the waits of the moment that a search looks at."""
TWO_MOVES = 60
"""Best single moves after which a second one is tried."""
OVER = 1e-3
"""A queue that is busier than 1 less this is priced as if it were not."""


@dataclass
class Spot:
    """Where a search is: the column of every stream and the replicas of every queue.

    Parameters
    ----------
    column
        By stream (one entry per member of a group).
    replicas
        By queue.
    price
        Its price, penalties included.
    """

    column: Ints
    replicas: Ints
    price: float = math.inf


@dataclass
class Descent:
    """A local search over columns.

    Parameters
    ----------
    problem, columns
        What is searched. Only `WHOLE` columns are used.
    rng
        Of its random choices.
    ends
        On the clock of ``time.monotonic``; ``inf`` to end by itself only.
    stopped
        Whether it is to end now.
    """

    problem: Problem
    columns: Columns
    rng: np.random.Generator
    ends: float
    stopped: Callable[[], bool]
    chosen: Ints = field(init=False)

    def __post_init__(self) -> None:
        columns = self.columns
        self.servers = [server(self.problem, key) for key in columns.queues]
        self.cap = np.array([min(s.cap, 1.0) for s in self.servers])
        self.members = np.repeat(np.arange(len(columns.groups)), columns.sizes)
        size = (len(columns), len(columns.queues))
        self.visits, self.busy, self.moment, self.waiting = (np.zeros(size) for _ in range(4))
        at = (columns.column, columns.queue)
        self.visits[at], self.busy[at], self.moment[at] = (
            columns.visits,
            columns.busy,
            columns.moment,
        )
        self.waiting = self.visits * columns.wait_price[columns.group][:, None]
        self.scale = max(float(np.abs(columns.objective).max(initial=0.0)), 1e-300) * 10
        stream = [self.problem.stream[g.streams[0]] for g in columns.groups]
        self.deadline = np.array([s.deadline_seconds for s in stream])[columns.group]
        # By heavy traffic a wait exceeds x with a probability of about e^{-x/w}.
        self.tail_room = np.full(len(columns), math.inf)
        self.tail_log = np.zeros(len(columns))
        for tail in columns.tails:
            room = (tail.seconds - tail.fill) / tail.log
            if room < self.tail_room[tail.column]:
                self.tail_room[tail.column] = room
        self.timed = np.isfinite(self.deadline) | np.isfinite(self.tail_room)
        self.counts = [
            {c: count_price(self.problem, key, c) for c in s.counts}
            for key, s in zip(columns.queues, self.servers, strict=True)
        ]
        self.on_price = np.zeros(len(self.servers))

    # -- prices ------------------------------------------------------------------

    def waits(self, busy: Floats, moment: Floats, replicas: Ints) -> tuple[Floats, Floats]:
        """Return mean waits, and by how much queues exceed their caps; any leading shape."""
        rho = busy / replicas
        over = np.maximum(rho - self.cap, 0.0)
        rest = 1 - np.minimum(rho, 1 - OVER)
        wait = moment / replicas / (2 * rest)
        for q, serving in enumerate(self.servers):
            c = int(replicas[q])
            if serving.shared and c > 1:
                load = np.maximum(np.minimum(rho[..., q], 1 - OVER), 1e-12)
                wait[..., q] = (
                    moment[..., q] * _erlang(c, c * load) / (2 * c * c * load * (1 - load))
                )
        if self.problem.waiting == "none":
            wait[...] = 0.0
        return wait, over

    def total(
        self, busy: Floats, moment: Floats, waiting: Floats, visits: Floats, replicas: Ints
    ) -> Floats:
        """Return the price of queues: waits, caps, devices that are on; any leading shape."""
        wait, over = self.waits(busy, moment, replicas)
        on = (visits > 0.5) @ self.on_price
        found: Floats = (
            (waiting * wait).sum(axis=-1)
            + on
            + self.scale * (over.sum(axis=-1) * 10 + (over > 1e-12).sum(axis=-1))
        )
        return found

    def late(self, column: Ints, busy: Floats, moment: Floats, replicas: Ints) -> Floats:
        """Return the penalty of missed deadlines for columns at (many) loads of the queues."""
        timed = column[self.timed[column]]
        if not len(timed):
            return np.zeros(busy.shape[:-1])
        wait, _ = self.waits(busy, moment, replicas)
        found: Floats = self._missed(timed, wait @ self.visits[timed].T).sum(axis=-1)
        return found

    def late_after(
        self, column: Ints, member: Ints, to: Ints, busy: Floats, moment: Floats, replicas: Ints
    ) -> Floats:
        """Return the penalty of missed deadlines after each of some moves of one stream.

        Loads are those after each move, by move and queue.
        """
        wait, _ = self.waits(busy, moment, replicas)
        stay = self._missed(column, wait @ self.visits[column].T)
        own = self._missed(to, (wait * self.visits[to]).sum(axis=-1))
        found: Floats = stay.sum(axis=-1) - stay[np.arange(len(to)), member] + own
        return found

    def _missed(self, column: Ints, waited: Floats) -> Floats:
        """Return the penalty of each column's deadlines when it waits so long in queues."""
        limit = self.deadline[column] - self.columns.latency[column]
        room = np.minimum(limit, self.tail_room[column])
        short = np.maximum(waited - room, 0.0) / np.maximum(np.abs(room), 1e-9)
        found: Floats = self.scale * ((short > 1e-9) + np.minimum(short, 10))
        return found

    def priced(self, spot: Spot) -> float:
        """Return the price of a spot, penalties included."""
        self._set_on(spot.replicas)
        column = spot.column
        sums = [t[column].sum(axis=0) for t in (self.busy, self.moment, self.waiting, self.visits)]
        busy, moment, waiting, visits = sums
        price = float(self.total(busy, moment, waiting, visits, spot.replicas)) + float(
            self.columns.objective[column].sum()
        )
        return price + float(self.late(column, sums[0], sums[1], spot.replicas))

    def _set_on(self, replicas: Ints) -> None:
        self.on_price = np.array(
            [prices[int(c)] for prices, c in zip(self.counts, replicas, strict=True)]
        )

    # -- search ------------------------------------------------------------------

    def over(self) -> bool:
        """Whether the search is to end now."""
        return self.stopped() or time.monotonic() >= self.ends

    def first(self) -> Spot:
        """Return each stream's cheapest route, heavy streams first, with waits as they grow."""
        columns = self.columns
        replicas = np.array([s.counts[-1] for s in self.servers])
        self._set_on(replicas)
        heavy = np.zeros(len(columns.groups))
        np.maximum.at(heavy, columns.group, self.busy.max(axis=1, initial=0.0))
        column = np.zeros(len(self.members), dtype=np.int64)
        nq = len(self.servers)
        busy, moment, waiting, visits = np.zeros((4, nq))
        for member in np.argsort(-heavy[self.members], kind="stable"):
            own = np.flatnonzero(columns.group == self.members[member])
            price = columns.objective[own] + self.total(
                busy + self.busy[own],
                moment + self.moment[own],
                waiting + self.waiting[own],
                visits + self.visits[own],
                replicas,
            )
            best = own[int(price.argmin())]
            column[member] = best
            busy, moment = busy + self.busy[best], moment + self.moment[best]
            waiting, visits = waiting + self.waiting[best], visits + self.visits[best]
        spot = Spot(column, replicas)
        spot.price = self.priced(spot)
        return spot

    def marginal(self, spot: Spot) -> Floats:
        """Return about what one more stream on each column would cost at the waits of a spot."""
        sums = [t[spot.column].sum(axis=0) for t in (self.busy, self.moment, self.waiting)]
        wait, _ = self.waits(sums[0], sums[1], spot.replicas)
        rest = np.maximum(spot.replicas - sums[0], 0.02 * spot.replicas)
        # What a route adds: its own waits, and what it does to the others' waits.
        found: Floats = (
            self.columns.objective
            + self.waiting @ wait
            + self.moment @ (sums[2] / (2 * rest))
            + self.busy @ (sums[2] * wait / rest)
        )
        return found

    def candidates(self, spot: Spot, count: int = CANDIDATES) -> Ints:
        """Return the columns worth looking at: the cheapest at the waits of a spot, and its own."""
        columns = self.columns
        order = np.lexsort((self.marginal(spot), columns.group))
        first = np.searchsorted(columns.group[order], np.arange(len(columns.groups)))
        rank = np.arange(len(order)) - first[columns.group[order]]
        return np.unique(np.concatenate([order[rank < count], spot.column]))

    def descend(self, spot: Spot, among: Ints) -> Spot:
        """Follow the best moves of one stream, then of two, until none is better."""
        columns = self.columns
        self._set_on(spot.replicas)
        column, replicas = spot.column.copy(), spot.replicas
        tables = (self.busy, self.moment, self.waiting, self.visits)
        groups = self.columns.group[among]
        near = {g: among[groups == g] for g in np.unique(self.members).tolist()}
        # A pair: a member (one of each group and column in use) and another column of its group.

        def look(column: Ints) -> tuple[Ints, Ints, Floats]:
            _, one = np.unique(column, return_index=True)
            own = [near[g] for g in self.members[one].tolist()]
            member = np.repeat(one, [len(each) for each in own])
            to = np.concatenate(own)
            moved = to != column[member]
            member, to = member[moved], to[moved]
            before = column[member]
            sums = [t[column].sum(axis=0) for t in tables]
            after = [s - t[before] + t[to] for s, t in zip(sums, tables, strict=True)]
            base = float(columns.objective[column].sum())
            price = base - columns.objective[before] + columns.objective[to]
            price = price + self.total(after[0], after[1], after[2], after[3], replicas)
            if self.timed[column].any() or self.timed[to].any():
                price = price + self.late_after(column, member, to, after[0], after[1], replicas)
            return member, to, price

        value = spot.price
        while not self.over():
            member, to, price = look(column)
            if not len(price):
                break
            best = int(price.argmin())
            if price[best] < value - 1e-10 * abs(value):
                moved = column.copy()
                moved[member[best]] = to[best]
                found = self.priced(Spot(moved, replicas))
                # Of the same price but for rounding: only what truly falls comes to an end.
                if found < value:
                    column, value = moved, found
                    continue
            better = False
            for move in np.argsort(price)[:TWO_MOVES]:
                second = column.copy()
                second[member[move]] = to[move]
                m2, t2, p2 = look(second)
                best = int(p2.argmin())
                if p2[best] < value - 1e-10 * abs(value):
                    second[m2[best]] = t2[best]
                    found = self.priced(Spot(second, replicas))
                    if found < value - 1e-10 * abs(value):
                        column, value, better = second, found, True
                        break
                if self.over():
                    break
            if not better:
                break
        return Spot(column, replicas, value)

    def resize(self, spot: Spot) -> Spot:
        """Change numbers of replicas, one queue at a time, while that pays."""
        best = spot
        for q, serving in enumerate(self.servers):
            for c in serving.counts:
                if c != best.replicas[q]:
                    replicas = best.replicas.copy()
                    replicas[q] = c
                    other = Spot(best.column, replicas)
                    other.price = self.priced(other)
                    if other.price < best.price - 1e-10 * abs(best.price):
                        best = other
        return best

    def improve(self, spot: Spot, kicks: int) -> Spot:
        """Descend, then again and again from the best spot with a few streams moved at random."""
        best = self._settle(spot)
        for _ in range(kicks):
            if self.over():
                break
            among = self.candidates(best)
            column = best.column.copy()
            count = int(self.rng.integers(2, 5))
            for member in self.rng.permutation(len(column))[:count]:
                own = among[self.columns.group[among] == self.members[member]]
                column[member] = self.rng.choice(own)
            replicas = best.replicas.copy()
            choices = [q for q, s in enumerate(self.servers) if len(s.counts) > 1]
            if choices and self.rng.random() < 0.3:
                q = int(self.rng.choice(choices))
                replicas[q] = self.rng.choice(self.servers[q].counts)
            kicked = Spot(column, replicas)
            kicked.price = self.priced(kicked)
            found = self._settle(kicked)
            if found.price < best.price - 1e-10 * abs(best.price):
                best = found
        return best

    def _settle(self, spot: Spot) -> Spot:
        while True:
            found = self.resize(self.descend(spot, self.candidates(spot)))
            if not found.price < spot.price - 1e-10 * abs(spot.price):
                return min(found, spot, key=lambda s: s.price)
            spot = found

    def route_values(self, spot: Spot) -> tuple[Floats, dict[str, int]]:
        """Return how often each column is taken, and the replicas of devices that may choose."""
        values = np.zeros(len(self.columns))
        np.add.at(values, spot.column, 1.0)
        keys: tuple[QueueKey, ...] = self.columns.queues
        replicas = {
            key[1]: int(c)
            for key, c, s in zip(keys, spot.replicas, self.servers, strict=True)
            if len(s.counts) > 1
        }
        return values, replicas


def _erlang(servers: int, load: Floats) -> Floats:
    """Return `erlang_c` for an array of loads."""
    blocked = np.ones_like(load)
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    found: Floats = servers * blocked / (servers - load * (1 - blocked))
    return found
