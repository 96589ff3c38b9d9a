"""Plans for whole streams by simulated annealing over routes and replicas.

Prices are those of `Descent`, kept up queue by queue, so that a move costs what the few queues
that it touches cost. Ends are counted in moves: one seed, one answer.
"""

from __future__ import annotations

import itertools
import math
import random

import numpy as np

from edgeplan.solvers.queueing.descent import Descent, Spot
from edgeplan.solvers.queueing.move_prices import MovePrices

PER_CHOICE = 1200
"""Moves for each choice (a stream's route other than its own) of a fleet of many streams."""
FEW = 10
"""… and as many times the number of choices, where that is less."""
MOST_CHOICES = 12
"""A stream with more choices than that gets no more moves for them."""
TIMED = 0.6
"""With deadlines, where a look takes longer, only this share of the moves."""
ROUNDS = (0.1, 0.2, 0.3, 0.4)
"""Shares of the moves that go into one cooling each; every one begins at the best spot."""
HOT, COLD = 0.3, 3e-4
"""First and last temperature, as shares of what a stream costs on average."""
SWAPS = 0.5
"""Share of the moves that swap two streams."""
RESIZES = 5e-3
"""Share of the moves that change replicas, where they are not simply the best at a load."""
REBUILDS = 3e-2
"""Share of the moves that take several streams out and put them back: many looks each."""
TRIED = 12
"""Cheapest routes of a stream that are tried when a device is emptied or opened."""
BLOCK = 256
"""Moves between two steps of the temperature, and looks at the clock."""
REFRESH = 4096
"""Moves, at least, between two orderings of the routes by their prices at the waits."""
CLOSE = 1e-10
"""A relative improvement below this is rounding."""


def default_moves(descent: Descent) -> int:
    """Return how many moves a problem is worth: about four seconds with 60 whole streams."""
    routes = np.bincount(descent.columns.group, minlength=len(descent.columns.groups))
    choices = int(np.minimum(routes - 1, MOST_CHOICES)[descent.members].sum())
    share = TIMED if descent.timed.any() else 1.0
    return round(share * choices * min(PER_CHOICE, FEW * choices))


class Annealing(MovePrices):
    """Simulated annealing over the columns of a `Descent`.

    Moves: a stream takes another route (any, the cheaper ones at the waits of the moment more
    often); two streams take routes by each other's devices; a queue gets other replicas; some
    streams, such as all of a device, are taken out and put back one by one where each costs
    least, where a device costs money also so as to empty one or to open one. The last kind
    regroups what single moves cannot: short requests away from long ones.

    Source: Kirkpatrick, Gelatt and Vecchi, Science 220, 1983, with geometric cooling and reheats;
    taking out and putting back: Schrimpf, Schneider, Stamm-Wilbrandt and Dueck, Journal of
    Computational Physics 159, 2000 (ruin and recreate).

    Parameters
    ----------
    descent
        Prices, choices of replicas, and when to stop; its random numbers give the seed.
    """

    def __init__(self, descent: Descent) -> None:
        super().__init__(descent)
        columns = descent.columns
        # Of the standard library: one number at a time is what numpy is slow at.
        self.random = random.Random(int(descent.rng.integers(2**62)))  # noqa: S311 (no secrets)
        self.names = list(self.device)
        weight = np.zeros(len(columns.groups))
        np.maximum.at(weight, columns.group[columns.column], columns.busy)
        self.weight: list[float] = weight.tolist()

    # -- moves ---------------------------------------------------------------------

    def _order(self) -> None:
        """Order the routes of each group by what they would add at the waits of the moment."""
        descent = self.descent
        column, replicas = self.spot()
        spot = Spot(np.array(column), np.array(replicas))
        group = descent.columns.group
        order = np.lexsort((descent.marginal(spot), group))
        first = np.searchsorted(group[order], np.arange(len(descent.columns.groups) + 1)).tolist()
        routes = order.tolist()
        self.routes: list[list[int]] = [routes[a:b] for a, b in itertools.pairwise(first)]

    def _pick(self, member: int) -> int:
        """Return a route of a member: the k-th cheapest with a probability of about 1/k."""
        own = self.routes[self.members[member]]
        return own[int(math.pow(len(own) + 1, self.random.random())) - 1]

    def _swap(self, member: int) -> list[tuple[int, int]]:
        """Return a swap with another member by devices; empty where there is none."""
        other = int(self.random.random() * len(self.members))
        mine, its = self.members[member], self.members[other]
        if mine == its:
            return []
        here, there = self._path(self.column[member]), self._path(self.column[other])
        if here == there:
            return []
        to, back = self._by_path(mine).get(there), self._by_path(its).get(here)
        if not to or not back:
            return []
        choose = self.random.choice
        return [
            (member, to[0] if len(to) == 1 else choose(to)),
            (other, back[0] if len(back) == 1 else choose(back)),
        ]

    def _resize(self, heat: float) -> float:
        """Try other replicas of a queue; return what the price rises by."""
        q = self.random.choice(self.resizable)
        column, old = self.column, list(self.replicas)
        before = self.value
        replicas = list(old)
        replicas[q] = self.random.choice(self.choices[q])
        if replicas == old:
            return 0.0
        rise = self.place(column, replicas) - before
        if rise > self._bar(heat):
            self.place(column, old)
            return 0.0
        return rise

    def _rebuild(self, heat: float) -> float:
        """Try to take some streams out and put them back; return what the price rises by.

        Those of a device, or of two, or any few; back to where each costs least, one by one. A
        device that costs money while it is on may stay empty, or be opened.
        """
        names = self.random.sample(self.names, min(2, len(self.names)))
        kind = self.random.randrange(4)
        wanted = names[: 1 + kind % 2]
        banned = opened = ""
        if self.switches:
            if kind in (1, 2):
                banned = self.random.choice(self.switches)
                wanted.append(banned)
            off = [n for n in self.switches if self.loads[self.device[n]][3] <= 0.5 and n != banned]
            if off and kind in (2, 3):
                opened = self.random.choice(off)
        devices = self.descent.columns.devices
        taken = [m for m, own in enumerate(self.column) if any(n in devices[own] for n in wanted)]
        share = 0.1 + 0.4 * self.random.random()
        if kind == 3 or not taken:
            taken = [m for m in range(len(self.members)) if self.random.random() < share]
        if not taken:
            return 0.0
        self.random.shuffle(taken)
        if self.random.random() < 0.5:
            taken.sort(key=lambda m: -self.weight[self.members[m]])
        before = list(self.column)
        replicas = list(self.replicas)
        out = self.stride - 1
        rise = 0.0
        for member in taken:
            rise += self.look([(member, out)])
            self.take()
        for member in taken:
            best, least = out, math.inf
            near = self._tried(member, banned)
            self.done += len(near)
            for to in near:
                price = self.look([(member, to)])
                if opened and opened in devices[to] and self.loads[self.device[opened]][3] <= 0.5:
                    price -= min(self.descent.counts[self.device[opened]].values())
                if price < least:
                    best, least = to, price
            rise += self.look([(member, best)])
            self.take()
        if rise >= self._bar(heat):
            self.place(before, replicas)
            return 0.0
        return rise

    def _tried(self, member: int, banned: str) -> list[int]:
        """Return a member's cheapest routes, those without a device first choice."""
        routes = self.routes[self.members[member]]
        if banned:
            devices = self.descent.columns.devices
            found = list(
                itertools.islice((to for to in routes if banned not in devices[to]), TRIED)
            )
            if found:
                return found
        return routes[:TRIED]

    # -- the search ----------------------------------------------------------------

    def _bar(self, heat: float) -> float:
        """Return the rise that is taken at a temperature: any less than it (Metropolis)."""
        return -heat * math.log(1.0 - self.random.random())

    def improve(self, spot: Spot, moves: int | None = None) -> Spot:
        """Search from a spot.

        Parameters
        ----------
        spot
            Where to begin.
        moves
            How many to try; ``None``: `default_moves`.

        Returns
        -------
        Spot
            The best one found, after a descent from it; no worse than the one given.
        """
        moves = default_moves(self.descent) if moves is None else moves
        if moves <= 0:
            return self.descent.improve(spot, 0)
        replicas: list[int] = spot.replicas.tolist()
        best = (self.place(spot.column.tolist(), replicas), spot.column.tolist(), replicas)
        for share in ROUNDS:
            if self.descent.over():
                break
            best = self._cool(best, round(share * moves))
        found = Spot(np.array(best[1], dtype=np.int64), np.array(best[2], dtype=np.int64))
        found.price = self.descent.priced(found)
        found = self.descent.improve(found, 0)
        return min(found, spot, key=lambda each: each.price)

    def _cool(
        self, best: tuple[float, list[int], list[int]], moves: int
    ) -> tuple[float, list[int], list[int]]:
        """Return the best of a cooling from a spot and the spot itself."""
        self.value = self.place(best[1], best[2])
        # What breaks a limit is priced above all routes, and is no measure of heat.
        hot = HOT * min(abs(best[0]) / len(self.members), self.descent.scale)
        draw, count = self.random.random, len(self.members)
        refresh = max(REFRESH, self.stride)
        self.done, ordered = 0, -refresh
        while self.done < moves and not self.descent.over():
            if self.done - ordered >= refresh:
                self.value = self.place(*self.spot())
                self._order()
                ordered = self.done
            heat = hot * (COLD / HOT) ** (self.done / moves)
            block = min(BLOCK, moves - self.done)
            self.done += block
            for _ in range(block):
                kind = draw()
                if kind < REBUILDS:
                    self.value += self._rebuild(heat)
                elif kind < REBUILDS + RESIZES and self.any_timed and self.resizable:
                    self.value += self._resize(heat)
                else:
                    member = int(draw() * count)
                    if kind < SWAPS:
                        tried = self._swap(member)
                        if not tried:
                            continue
                    else:
                        to = self._pick(member)
                        if to == self.column[member]:
                            continue
                        tried = [(member, to)]
                    bar = self._bar(heat)
                    rise = self.look(tried, bar)
                    if rise >= bar:
                        continue
                    self.take()
                    self.value += rise
                if self.value < best[0] - CLOSE * abs(best[0]):
                    best = (self.value, *self.spot())
        return best
