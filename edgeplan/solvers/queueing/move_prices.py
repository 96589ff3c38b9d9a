"""Prices of whole streams at queues, kept up move by move: what `Descent` prices, in its parts."""

from __future__ import annotations

import itertools
import math
from typing import TypeAlias

import numpy as np

from edgeplan.model.queueing import wait_factor
from edgeplan.solvers.queueing.descent import OVER, Descent

MOST_DIFFERENCES = 200_000
"""Differences between routes that are kept."""

Change: TypeAlias = tuple[int, float, float, float, float]
"""A queue, and what it gains in load, moments, price of waiting and visits."""
Load: TypeAlias = tuple[float, float, float, float, float]
"""A queue's load, moments, price of waiting, visits, and price."""


class MovePrices:
    """A spot of a `Descent`, and what moves of one or two streams would add to its price.

    A move costs what the few queues that it touches cost. What routes bring to queues is read
    when it is first asked for, so that many routes cost nothing until they are tried. Where
    nobody has a deadline a queue always has the replicas at which it is cheapest.

    Parameters
    ----------
    descent
        Prices, penalties and choices of replicas.
    """

    def __init__(self, descent: Descent) -> None:
        self.descent = descent
        columns = descent.columns
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
        # A column of no route: where a stream is that was taken out.
        self.objective.append(0.0)
        self.timed.append(False)
        self._rows[len(columns)] = ()
        self.stride = len(self.objective)
        self._path_of: dict[int, tuple[str, ...]] = {}
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
