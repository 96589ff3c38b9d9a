"""Queues and numbers of replicas: what they add to a plan, at the least and exactly.

Everything here only grows as streams are added: a device's busy time, the waits, one over the
decay. So a partial plan has a least price: each queue with the number of replicas that makes its
waits and its copies cheapest together, under the load so far. With all streams chosen that is
the price itself, unless a limit wants other numbers; then all combinations are looked at.

Mean waits are computed for many routes at once; `evaluate`, which the search asks about every
plan that would become the incumbent, has the last word on them. Decays are those of the model.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, RoutePrice
from edgeplan.model.problem import Problem, Stream
from edgeplan.model.queueing import (
    Job,
    Queue,
    QueueKey,
    Wait,
    erlang_c,
    jobs,
    percentile,
    visits,
)
from edgeplan.solvers.enumerate.limits import SLACK, Bools, Floats, Limits
from edgeplan.solvers.route_costs import on_objective


@dataclass(frozen=True)
class Load:
    """What comes to each resource (last axis).

    Parameters
    ----------
    busy
        Σ λ E[S] over the jobs: busy seconds per second, of all replicas together.
    moments
        Q, the sum of the jobs' rates times second moments, in seconds.
    priced
        What a second's wait there adds to the objective.
    """

    busy: Floats
    moments: Floats
    priced: Floats

    def __add__(self, other: Load) -> Load:
        return Load(
            self.busy + other.busy, self.moments + other.moments, self.priced + other.priced
        )

    def of(self, rows: Any) -> Load:
        """Return some of its rows, or one."""
        return Load(self.busy[rows], self.moments[rows], self.priced[rows])

    def at_least(self) -> Load:
        """Return what any row brings, unpriced: the least of each column."""
        return Load(
            self.busy.min(axis=0), self.moments.min(axis=0), np.zeros(self.priced.shape[-1])
        )


@dataclass(frozen=True)
class Visitors:
    """What the routes of a stream bring to resources: rows are routes, columns resources.

    Parameters
    ----------
    stream
        Its name.
    load
        See `Load`.
    visits
        How often a request waits at each.
    latency
        Seconds without queues.
    latest
        The largest mean latency allowed.
    room
        The largest Σ visits ÷ θ with which all percentiles are in time; ``inf`` for no limit.
    kinds
        Which of ``jobs`` a route brings.
    jobs
        By resource: the different sets of jobs that routes bring.
    idle
        What waiting a second uses of each coupling limit.
    """

    stream: str
    load: Load
    visits: Floats
    latency: Floats
    latest: float
    room: Floats
    kinds: NDArray[np.int64]
    jobs: tuple[tuple[tuple[Job, ...], ...], ...]
    idle: Floats

    def of(self, rows: Bools) -> Visitors:
        """Return some of its rows."""
        return Visitors(
            stream=self.stream,
            load=self.load.of(rows),
            visits=self.visits[rows],
            latency=self.latency[rows],
            latest=self.latest,
            room=self.room[rows],
            kinds=self.kinds[rows],
            jobs=self.jobs,
            idle=self.idle,
        )


Chosen = Sequence[tuple[Visitors, int]]
"""Streams with the rows picked so far."""


class Crowd:
    """The resources of a problem with their numbers of replicas.

    Parameters
    ----------
    problem
        One with `load_features`.
    limits
        Its coupling limits.

    Notes
    -----
    Resources are the devices and then the links that transfers load. A *column* is a resource
    with one of its numbers of replicas; those of a resource are neighbours, the fewest first.
    """

    def __init__(self, problem: Problem, limits: Limits) -> None:
        self.problem = problem
        self.limits = limits
        self.waiting = problem.waiting != "none"
        links = [link for link in problem.links if problem.loads(link)]
        self.resources: list[QueueKey] = [
            *(("device", device.name) for device in problem.devices),
            *(("link", link.name) for link in links),
        ]
        ranges = [
            *(device.replica_range for device in problem.devices),
            *([range(1, 2)] * len(links)),
        ]
        sizes = np.array([len(counts) for counts in ranges])
        # By column.
        self.resource = np.repeat(np.arange(len(ranges)), sizes)
        self.count = np.array([count for counts in ranges for count in counts], dtype=float)
        self.first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        self.last = self.first + sizes - 1
        self.choice = np.flatnonzero(sizes > 1)
        self.shared = [
            (column, int(self.count[column]))
            for index, device in enumerate(problem.devices)
            for column in range(self.first[index], self.last[index] + 1)
            if device.dispatch == "shared" and self.count[column] > 1
        ]
        self.busiest = self._busiest(links) * self.count
        # By device: of one replica.
        fewest = np.array([device.replicas for device in problem.devices], dtype=float)
        on = np.array([on_objective(problem, device) for device in problem.devices])
        self.on_objective = np.concatenate((on / fewest, np.zeros(len(links))))
        self.on_used = limits.on / fewest[:, None]
        self._slowness: dict[tuple[Any, ...], float] = {}

    def _busiest(self, links: list[Any]) -> Floats:
        """Return, by column, the largest busy share of each replica."""
        caps = [item.utilisation_cap for item in (*self.problem.devices, *links)]
        if self.problem.capacity != "utilisation":
            caps = [math.inf] * len(caps)
        cap = np.minimum(caps, self.problem.total_rate * self.problem.budgets.period_seconds)
        return np.asarray(cap[self.resource] * (1 + RELATIVE_TOLERANCE) * (1 + SLACK))

    # --- routes -----------------------------------------------------------------------------

    def visitors(self, stream: Stream, prices: Sequence[RoutePrice]) -> Visitors:
        """Return what routes of a stream, priced without queues, bring to the resources."""
        problem = self.problem
        place = {key: index for index, key in enumerate(self.resources)}
        shape = (len(prices), len(place))
        busy, moments, visited = np.zeros((3, *shape))
        kinds = np.zeros(shape, dtype=np.int64)
        known: list[dict[tuple[Job, ...], int]] = [{(): 0} for _ in place]
        room = np.full(len(prices), math.inf)
        for row, price in enumerate(prices):
            coming: dict[int, list[Job]] = defaultdict(list)
            for key, job in jobs(problem, stream, price, split=False):
                busy[row, place[key]] += job.per_second * job.seconds
                coming[place[key]].append(job)
            for name, seconds in price.occupied_seconds:
                busy[row, place["device", name]] += stream.rate_per_second * seconds
            if not self.waiting:
                continue
            for at, brought in coming.items():
                moments[row, at] = math.fsum(job.per_second * job.second_moment for job in brought)
                visited[row, at] = len(brought)
                kinds[row, at] = known[at].setdefault(tuple(brought), len(known[at]))
            room[row] = self._room(stream, price)
        origin = problem.device[stream.origin]
        idle = origin.idle_watts if stream.waits and not origin.charge_idle else 0.0
        second = problem.share(stream) * problem.objective.value(
            1.0, idle, idle * origin.dollars_per_joule
        )
        return Visitors(
            stream=stream.name,
            load=Load(busy, moments, second * visited),
            visits=visited,
            latency=np.array([price.latency_seconds for price in prices], dtype=float),
            latest=stream.deadline_seconds * (1 + RELATIVE_TOLERANCE) * (1 + SLACK),
            room=room,
            kinds=kinds,
            jobs=tuple(tuple(found) for found in known),
            idle=self.limits.waiting(stream),
        )

    def _room(self, stream: Stream, price: RoutePrice) -> float:
        """Return the largest Σ 1/θ over the visits of a route with which it is in time.

        A percentile is linear in that sum; two sums tell the line.
        """
        room = math.inf
        count = sum(1 for _ in visits(self.problem, price))
        for tail in stream.tail_deadlines:
            none, one = (
                percentile(
                    self.problem,
                    stream,
                    price,
                    dict.fromkeys(self.resources, Wait(0.0, decay)),
                    tail.probability,
                    split=False,
                )
                for decay in (math.inf, 1.0)
            )
            latest = tail.seconds * (1 + RELATIVE_TOLERANCE) * (1 + SLACK)
            room = min(room, (latest - none) / ((one - none) / count))
        return room

    def alone(self, visitors: Visitors) -> tuple[Bools, Floats]:
        """Return which routes hold by themselves, and what waiting for itself costs a stream."""
        nowhere = np.zeros((len(visitors.latency), len(self.problem.devices)), dtype=np.bool_)
        _, waits, holds = self.least(visitors.load, nowhere)
        fits, _ = self.in_time((), visitors, waits)
        fits &= holds
        self.check_tails((), visitors, fits)
        return fits, (visitors.load.priced * waits).sum(axis=1)

    # --- partial plans ----------------------------------------------------------------------

    def waits(self, load: Load) -> Floats:
        """Return the mean wait by column; ``inf`` where the queue would grow without end."""
        shape = (*load.busy.shape[:-1], len(self.count))
        if not self.waiting:
            return np.zeros(shape)
        busy = load.busy[..., self.resource]
        moments = load.moments[..., self.resource]
        free = self.count - busy
        with np.errstate(divide="ignore", invalid="ignore"):
            found = moments / (2 * free)
            for column, count in self.shared:
                at = busy[..., column]
                # Its recursion does for arrays what it does for numbers.
                waiting = erlang_c(count, cast(Any, at))
                some = moments[..., column] * waiting / (2 * at * free[..., column])
                found[..., column] = np.where(at > 0, some, 0.0)
        found[free <= 0] = math.inf
        return np.asarray(found)

    def price(self, load: Load, on: Bools, waits: Floats) -> Floats:
        """Return by column what waiting and copies add; ``inf`` where it would be too busy."""
        copies = np.zeros((*on.shape[:-1], len(self.resources)))
        copies[..., : on.shape[-1]] = on
        copies *= self.on_objective
        allowed = (load.busy[..., self.resource] <= self.busiest) & np.isfinite(waits)
        paid = load.priced[..., self.resource] * np.where(allowed, waits, 0.0)
        paid += copies[..., self.resource] * self.count
        return np.where(allowed, paid, math.inf)

    def least(self, load: Load, on: Bools) -> tuple[Floats, Floats, Bools]:
        """Return the least price, the least waits by resource, and whether there is any number.

        Parameters
        ----------
        load, on
            Of each row: what comes to resources, and the devices that are on.
        """
        waits = self.waits(load)
        price = np.minimum.reduceat(self.price(load, on, waits), self.first, axis=-1).sum(axis=-1)
        holds = np.isfinite(price)
        least = waits[..., self.last]
        return price, np.where(np.isfinite(least), least, 0.0), holds

    def in_time(self, chosen: Chosen, visitors: Visitors, waits: Floats) -> tuple[Bools, Floats]:
        """Return which rows meet the mean deadlines, and what waiting uses of the limits.

        Parameters
        ----------
        chosen, visitors
            The routes picked before, and those of the next stream (rows).
        waits
            By row and resource.
        """
        own = (waits * visitors.visits).sum(axis=1)
        fits = visitors.latency + own <= visitors.latest
        used = own[:, None] * visitors.idle
        for other, row in chosen:
            waited = waits @ other.visits[row]
            fits &= other.latency[row] + waited <= other.latest
            used += waited[:, None] * other.idle
        return fits, used

    def check_tails(self, chosen: Chosen, visitors: Visitors, fits: Bools) -> None:
        """Take out of ``fits`` the rows with a percentile that is late whatever the replicas."""
        tight = [(other, row) for other, row in chosen if math.isfinite(other.room[row])]
        rows = np.flatnonzero(fits)
        if not len(rows) or not (tight or np.isfinite(visitors.room[rows]).any()):
            return
        slowness = np.zeros((len(rows), len(self.resources)))
        for at in range(len(self.resources)):
            visited = visitors.visits[rows, at].any() or any(o.visits[r, at] for o, r in tight)
            if visited:
                kinds, place = np.unique(visitors.kinds[rows, at], return_inverse=True)
                slow = [
                    self.slowness(int(self.last[at]), (*chosen, (visitors, kind)), of_kind=True)
                    for kind in kinds
                ]
                slowness[:, at] = np.array(slow)[place]
        late = (slowness * visitors.visits[rows]).sum(axis=1) > visitors.room[rows]
        for other, row in tight:
            late |= slowness @ other.visits[row] > other.room[row]
        fits[rows[late]] = False

    def slowness(self, column: int, chosen: Chosen, *, of_kind: bool = False) -> float:
        """Return 1/θ of a resource with a number of replicas; ``inf`` where it is overloaded.

        Parameters
        ----------
        column
            Which.
        chosen
            The routes that load it.
        of_kind
            Whether the last entry of ``chosen`` names a kind of jobs and not a row.
        """
        at = int(self.resource[column])
        kinds = [int(visitors.kinds[row, at]) for visitors, row in chosen[: len(chosen) - of_kind]]
        if of_kind:
            kinds.append(chosen[-1][1])
        brought = [
            (visitors, which)
            for (visitors, _), which in zip(chosen, kinds, strict=True)
            if visitors.jobs[at][which]
        ]
        key = (column, *((visitors.stream, which) for visitors, which in brought))
        found = self._slowness.get(key)
        if found is None:
            kind, name = self.resources[at]
            all_jobs = tuple(job for visitors, which in brought for job in visitors.jobs[at][which])
            dispatch = self.problem.device[name].dispatch if kind == "device" else "random"
            theta = Queue(int(self.count[column]), dispatch, all_jobs).decay_per_second
            found = 1 / theta if theta > 0 else math.inf
            self._slowness[key] = found
        return found

    # --- whole plans ------------------------------------------------------------------------

    def replicas(
        self,
        chosen: Chosen,
        load: Load,
        on: Bools,
        used: Floats,
        objective: float,
        period_price: float,
        best: float,
    ) -> Iterator[tuple[float, Mapping[str, int]]]:
        """Yield the numbers of replicas with which all holds, the cheapest first.

        Parameters
        ----------
        chosen, load, on
            A route of every stream, and what comes of it: one row.
        used
            What they use of the limits, with the most replicas, without waiting and being on.
        objective
            Without waiting, without what devices cost for being on, and without the period.
        period_price
            Of a busy share of 1 of the most loaded resource.
        best
            Only what is cheaper is of interest.

        Yields
        ------
        tuple of float and mapping
            The objective, and the numbers of those devices that are on and have a choice.
        """
        waits = self.waits(load)
        price = self.price(load, on, waits)
        least = np.minimum.reduceat(price, self.first)
        useful = np.isfinite(price)
        rest = objective + least.sum()
        useful[useful] = rest + (price - least[self.resource])[useful] < best
        choice = [int(at) for at in self.choice if on[at]]
        options = [
            self.first[at] + np.flatnonzero(useful[self.first[at] : self.last[at] + 1])
            for at in choice
        ]
        picks = np.tile(self.first, (math.prod(map(len, options)), 1))
        if choice:
            grid = np.meshgrid(*options, indexing="ij")
            picks[:, choice] = np.stack([axis.ravel() for axis in grid], axis=1)
        totals = objective + price[picks].sum(axis=1)
        count = self.count[picks[:, : len(self.problem.devices)]]
        shares = used * self.limits.per_column(self.count[self.last[: count.shape[1]]] / count)
        if self.limits.loading.any():
            totals = totals + period_price * shares[:, self.limits.loading].max(axis=1)
        used_now = shares + (count * on) @ self.on_used
        fits = totals < best
        slow = self._slow(chosen, picks[fits])
        for visitors, row in chosen:
            waited = np.where(fits[:, None], waits[picks], 0.0) @ visitors.visits[row]
            fits &= visitors.latency[row] + waited <= visitors.latest
            used_now += waited[:, None] * visitors.idle
            if slow is not None and math.isfinite(visitors.room[row]):
                fits &= slow[picks] @ visitors.visits[row] <= visitors.room[row]
        fits &= (used_now <= self.limits.most).all(axis=1)
        which = np.flatnonzero(fits)
        for index in which[np.argsort(totals[which], kind="stable")]:
            names = {self.problem.devices[at].name: int(count[index, at]) for at in choice}
            yield float(totals[index]), names

    def _slow(self, chosen: Chosen, picks: NDArray[np.int64]) -> Floats | None:
        """Return 1/θ of the columns that matter to a percentile; ``None`` if none does."""
        tight = [(visitors, row) for visitors, row in chosen if math.isfinite(visitors.room[row])]
        if not tight or not len(picks):
            return None
        found = np.zeros(len(self.count))
        for at in np.flatnonzero(sum(visitors.visits[row] for visitors, row in tight)):
            for column in np.unique(picks[:, at]):
                found[column] = self.slowness(int(column), chosen)
        return found
