"""Plans for whole streams by simulated annealing over routes and replicas.

Prices are those of `Descent`, kept up queue by queue, so that a move costs what the few queues
that it touches cost. Ends are counted in moves: one seed, one answer.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import TypeAlias

import numpy as np

from edgeplan.model.queueing import wait_factor
from edgeplan.solvers.queueing.descent import OVER, Descent, Spot

PER_CHOICE = 900
"""Moves for each choice (a stream's route other than its own) of a fleet of many streams."""
FEW = 10
"""… and as many times the number of choices, where that is less."""
MOST_CHOICES = 12
"""A stream with more choices than that gets no more moves for them."""
ROUNDS = (0.1, 0.2, 0.3, 0.4)
"""Shares of the moves that go into one cooling each; every one begins at the best spot."""
HOT, COLD = 0.3, 3e-4
"""First and last temperature, as shares of what a stream costs on average."""
SWAPS = 0.5
"""Share of the moves that swap two streams."""
RESIZES = 0.02
"""Share of the moves that change replicas, where they are not simply the best at a load."""
REBUILDS = 3e-2
"""Share of the moves that take several streams out and put them back: many looks each."""
TRIED = 12
"""Cheapest routes of a stream that are tried when a device is emptied or opened."""
BLOCK = 256
"""Moves between two steps of the temperature, and looks at the clock."""
REFRESH = 4096
"""Moves, at least, between two orderings of the routes by their prices at the waits."""
MOST_DIFFERENCES = 200_000
"""Differences between routes that are kept."""
CLOSE = 1e-10
"""A relative improvement below this is rounding."""

Change: TypeAlias = tuple[int, float, float, float, float]
"""A queue, and what it gains in load, moments, price of waiting and visits."""
Load: TypeAlias = tuple[float, float, float, float, float]
"""A queue's load, moments, price of waiting, visits, and price."""


def default_moves(descent: Descent) -> int:
    """Return how many moves a problem is worth: about four seconds with 60 whole streams."""
    routes = np.bincount(descent.columns.group, minlength=len(descent.columns.groups))
    choices = int(np.minimum(routes - 1, MOST_CHOICES)[descent.members].sum())
    return choices * min(PER_CHOICE, FEW * choices)


class Annealing:
    """Simulated annealing over the columns of a `Descent`.

    Moves: a stream takes another route (any, the cheaper ones at the waits of the moment more
    often), two streams take routes by each other's devices, a queue gets other replicas, a device
    is emptied or opened, each stream going where it costs least. Where nobody has a deadline a
    queue always has the replicas that are best at its load.

    Source: Kirkpatrick, Gelatt and Vecchi, Science 220, 1983, with geometric cooling and reheats.

    Parameters
    ----------
    descent
        Prices, choices of replicas, and when to stop; its random numbers give the seed.
    """

    def __init__(self, descent: Descent) -> None:
        self.descent = descent
        columns = descent.columns
        # Of the standard library: one number at a time is what numpy is slow at.
        self.random = random.Random(int(descent.rng.integers(2**62)))  # noqa: S311 (no secrets)
        self.members: list[int] = descent.members.tolist()
        self.objective: list[float] = columns.objective.tolist()
        order = np.argsort(columns.column, kind="stable")
        self._incidence = order
        self._first: list[int] = np.searchsorted(
            columns.column[order], np.arange(len(columns) + 1)
        ).tolist()
        self._rows: dict[int, tuple[Change, ...]] = {}
        self._differences: dict[int, tuple[float, tuple[Change, ...]]] = {}
        self._paths: dict[int, dict[tuple[str, ...], list[int]]] = {}
        self.waits = descent.problem.waiting != "none"
        self.any_timed = bool(descent.timed.any())
        self.timed: list[bool] = descent.timed.tolist()
        self.room: list[float] = np.minimum(
            descent.deadline - columns.latency, descent.tail_room
        ).tolist()
        self.choices = [tuple(int(c) for c in serving.counts) for serving in descent.servers]
        self.resizable = [q for q, counts in enumerate(self.choices) if len(counts) > 1]
        self.device = {key[1]: q for q, key in enumerate(columns.queues) if key[0] == "device"}
        self.names = list(self.device)
        # A column of no route: where a stream is that was taken out.
        self.objective.append(0.0)
        self.timed.append(False)
        self._rows[len(columns)] = ()
        self.stride = len(self.objective)
        self._path_of: dict[int, tuple[str, ...]] = {}
        weight = np.zeros(len(columns.groups))
        np.maximum.at(weight, columns.group[columns.column], columns.busy)
        self.weight: list[float] = weight.tolist()
        # Devices that cost money while they are on.
        self.switches = [
            name for name, q in self.device.items() if min(descent.counts[q].values()) > 0
        ]
        self.cap: list[float] = descent.cap.tolist()
        self.shared = [serving.shared for serving in descent.servers]

    # -- what routes bring ---------------------------------------------------------

    def _row(self, column: int) -> tuple[Change, ...]:
        """Return what a column brings to its queues."""
        found = self._rows.get(column)
        if found is None:
            columns = self.descent.columns
            at = self._incidence[self._first[column] : self._first[column + 1]]
            price = columns.wait_price[columns.group[column]] * columns.visits[at]
            found = self._rows[column] = tuple(
                zip(
                    columns.queue[at].tolist(),
                    columns.busy[at].tolist(),
                    columns.moment[at].tolist(),
                    price.tolist(),
                    columns.visits[at].tolist(),
                    strict=True,
                )
            )
        return found

    def _difference(self, key: int) -> tuple[float, tuple[Change, ...]]:
        """Return what changes when a stream leaves a column for another, and keep it.

        The key is the column that it leaves times ``stride`` plus the other.
        """
        own, to = divmod(key, self.stride)
        change = {q: (-b, -m, -w, -v) for q, b, m, w, v in self._row(own)}
        for q, b, m, w, v in self._row(to):
            old = change.get(q, (0.0, 0.0, 0.0, 0.0))
            change[q] = (old[0] + b, old[1] + m, old[2] + w, old[3] + v)
        found = (
            self.objective[to] - self.objective[own],
            tuple((q, *values) for q, values in change.items() if any(values)),
        )
        if len(self._differences) >= MOST_DIFFERENCES:
            self._differences.clear()
        self._differences[key] = found
        return found

    def _path(self, column: int) -> tuple[str, ...]:
        found = self._path_of.get(column)
        if found is None:
            devices = self.descent.columns.devices[column]
            found = self._path_of[column] = tuple(name for name, _ in itertools.groupby(devices))
        return found

    def _by_path(self, group: int) -> dict[tuple[str, ...], list[int]]:
        """Return a group's columns by the devices that they pass, one after the other."""
        found = self._paths.get(group)
        if found is None:
            found = self._paths[group] = {}
            for column in np.flatnonzero(self.descent.columns.group == group).tolist():
                found.setdefault(self._path(column), []).append(column)
        return found

    # -- prices --------------------------------------------------------------------

    def _wait(self, queue: int, busy: float, moment: float, replicas: int) -> float:
        """Return the mean wait at a queue, as `Descent.waits` has it."""
        if not self.waits:
            return 0.0
        rho = min(busy / replicas, 1 - OVER)
        if self.shared[queue] and replicas > 1:
            return moment * wait_factor(replicas, "shared", max(rho, 1e-12))
        return moment / replicas / (2 * (1 - rho))

    def _at(self, queue: int, load: tuple[float, float, float, float], replicas: int) -> float:
        """Return the price of a queue with so many replicas."""
        busy, moment, waiting, visits = load
        price = waiting * self._wait(queue, busy, moment, replicas)
        if visits > 0.5:
            price += self.descent.counts[queue][replicas]
        over = busy / replicas - self.cap[queue]
        if over > 0:
            price += self.descent.scale * (over * 10 + (over > 1e-12))
        return price

    def _best_count(self, queue: int, load: tuple[float, float, float, float]) -> int:
        """Return the replicas, of those to choose from, at which a queue is cheapest."""
        return min(self.open[queue], key=lambda c: self._at(queue, load, c))

    def _lateness(self, column: int, waits: dict[int, float]) -> float:
        """Return the penalty of a stream on a column with a deadline; new waits over the old."""
        waited = 0.0
        for q, _, _, _, v in self._row(column):
            wait = waits.get(q)
            waited += v * (self.wait[q] if wait is None else wait)
        room = self.room[column]
        short = max(waited - room, 0.0) / max(abs(room), 1e-9)
        return self.descent.scale * ((short > 1e-9) + min(short, 10.0))

    # -- the state -----------------------------------------------------------------

    def place(self, column: list[int], replicas: list[int]) -> float:
        """Begin at a spot; return its price. Rounding gathered on the way is gone with that."""
        self.column, self.replicas = list(column), list(replicas)
        sums = [[0.0] * 4 for _ in self.choices]
        for own in self.column:
            for q, *brought in self._row(own):
                for index, value in enumerate(brought):
                    sums[q][index] += value
        # The replicas to choose from at every price.
        self.open = [(c,) for c in self.replicas] if self.any_timed else self.choices
        self._tune()
        self.loads: list[Load] = [
            (b, m, w, v, min(self._at(q, (b, m, w, v), c) for c in self.open[q]))
            for q, (b, m, w, v) in enumerate(sums)
        ]
        self.late: dict[int, float] = {}
        if self.any_timed:
            self.wait = [
                self._wait(q, load[0], load[1], self.replicas[q])
                for q, load in enumerate(self.loads)
            ]
            self.there: list[set[int]] = [set() for _ in self.loads]
            for member, own in enumerate(self.column):
                if self.timed[own]:
                    for row in self._row(own):
                        self.there[row[0]].add(member)
                    self.late[member] = self._lateness(own, {})
        self.total_late = math.fsum(self.late.values())
        queued = math.fsum(load[4] for load in self.loads)
        return queued + math.fsum(self.objective[c] for c in self.column) + self.total_late

    def _tune(self) -> None:
        """Note where a queue's price is the plain formula: up to which load, and with what."""
        self.plain = [
            (
                min(cap, 1 - OVER) * counts[0]
                if self.waits and len(counts) == 1 and (counts[0] == 1 or not shared)
                else -math.inf,
                float(counts[0]),
                prices[counts[0]],
            )
            for counts, cap, shared, prices in zip(
                self.open, self.cap, self.shared, self.descent.counts, strict=True
            )
        ]

    def spot(self) -> tuple[list[int], list[int]]:
        """Return columns and replicas of where the search is."""
        return list(self.column), [
            self._best_count(q, load[:4]) for q, load in enumerate(self.loads)
        ]

    def look(self, moves: list[tuple[int, int]], most: float = math.inf) -> float:
        """Return what moves of streams to columns would add to the price.

        Parameters
        ----------
        moves
            Members and columns, each member once; `take` does what was looked at last.
        most
            What the price may rise by; deadlines are not looked at where it rises by more.
        """
        member, to = moves[0]
        key = self.column[member] * self.stride + to
        added, change = self._differences.get(key) or self._difference(key)
        if len(moves) > 1:
            merged = {each[0]: each for each in change}
            member, to = moves[1]
            key = self.column[member] * self.stride + to
            more, other = self._differences.get(key) or self._difference(key)
            added += more
            for each in other:
                q, b, m, w, v = each
                if q in merged:
                    _, b2, m2, w2, v2 = merged[q]
                    each = (q, b + b2, m + m2, w + w2, v + v2)
                merged[q] = each
            change = tuple(merged.values())
        after: list[tuple[int, Load]] = []
        for q, b, m, w, v in change:
            b2, m2, w2, v2, old = self.loads[q]
            b += b2
            m += m2
            w += w2
            v += v2
            most_busy, servers, on = self.plain[q]
            if b <= most_busy:
                price = 0.5 * w * m / (servers - b)
                if v > 0.5:
                    price += on
            else:
                price = min([self._at(q, (b, m, w, v), c) for c in self.open[q]])
            added += price - old
            after.append((q, (b, m, w, v, price)))
        self.moves, self.after = moves, after
        if self.any_timed and added - self.total_late <= most:
            added += self._look_late()
        return added

    def _look_late(self) -> float:
        """Return what the moves looked at would add in penalties for deadlines."""
        self.new_wait = {
            q: self._wait(q, load[0], load[1], self.replicas[q]) for q, load in self.after
        }
        self.new_late: dict[int, float] = {}
        gone = 0.0
        moved = dict(self.moves)
        touched = set(moved).union(*(self.there[q] for q in self.new_wait))
        for member in touched:
            column = moved.get(member, self.column[member])
            gone += self.late.get(member, 0.0)
            if self.timed[column]:
                self.new_late[member] = self._lateness(column, self.new_wait)
        return math.fsum(self.new_late.values()) - gone

    def take(self) -> None:
        """Do what was looked at last."""
        if self.any_timed:
            for member, to in self.moves:
                for row in self._row(self.column[member]):
                    self.there[row[0]].discard(member)
                self.late.pop(member, None)
                if self.timed[to]:
                    for row in self._row(to):
                        self.there[row[0]].add(member)
            for q, wait in self.new_wait.items():
                self.wait[q] = wait
            self.late.update(self.new_late)
            self.total_late = math.fsum(self.late.values())
        for q, load in self.after:
            self.loads[q] = load
        for member, to in self.moves:
            self.column[member] = to

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
        self.routes = [routes[a:b] for a, b in itertools.pairwise(first)]

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
            self.done += BLOCK
            for _ in range(BLOCK):
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
