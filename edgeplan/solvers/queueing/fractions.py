"""How to deal streams over routes: fractions moved until every route in use costs the same more.

At an optimum with given routes in use, one request more costs the same on each route of a stream,
and at least as much on any other (Wardrop's second principle). Fractions are moved within one
stream at a time, from the dearest route in use to the cheapest of all, as far as that pays: the
flow deviation method by pairs (Fratta, Gerla and Kleinrock, Networks 3, 1973). Waits are exact
here.

Where at every queue the price of a job's wait is in one proportion to what it adds to the wait
(jobs of one kind, or one server and E[S²] in one proportion to the price), the price is convex in
the fractions: a square over a linear function, or for shared replicas the number waiting in M/M/c
(Grassmann, Journal of the ACM 30, 1983). Its tangent at any point is then below it everywhere, and
the least of the tangent over all fractions bounds every plan (Frank and Wolfe, Naval Research
Logistics Quarterly 3, 1956), with whatever number of routes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.formulation.queueing import PART, Columns
from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import wait_factor
from edgeplan.solvers.queueing.prices import count_price

STEP = 1e-5
"""Step for the slope of a wait of shared replicas, as a share of the time that is free."""
LINE_STEPS = 45
"""Halvings of a move: to 3e-14 of the fraction."""
PRECISION = 1e-9
"""A move whose first-order gain is less, relatively, is not worth it."""
MOST_ROUNDS, TOGETHER_EVERY = 200, 10
"""Rounds over all streams at the most; after each ten all fractions are moved at once."""
MOST_TOGETHER = 300
"""More fractions than that are not moved at once."""
SMALLEST = 1e-12
"""A smaller fraction is none."""
FAR = 1e6
"""Price of what is over a cap, as a multiple of the best."""
ROUND_GAIN = 1e-13
"""A round over all streams that gains less, relatively, is the last."""
PROPORTION = 1e-9
"""Two quantities are in proportion where their ratio varies by no more than that, relatively."""
ROUNDING = 1e-8
"""Taken off a bound, relatively: slopes are differences where replicas are shared."""


class Fractions:
    """The price of dealing streams over their routes, at fixed numbers of replicas.

    Parameters
    ----------
    problem
        What is planned.
    columns
        Its routes.
    replicas
        Numbers of copies by device; the fewest where absent.
    """

    def __init__(self, problem: Problem, columns: Columns, replicas: Mapping[str, int]) -> None:
        self.columns = columns
        self.servers: list[tuple[int, str, float]] = []
        for kind, name in columns.queues:
            if kind == "device":
                device = problem.device[name]
                count = replicas.get(name, device.replicas)
                self.servers.append((count, device.dispatch, device.utilisation_cap))
            else:
                link = next(link for link in problem.links if link.name == name)
                self.servers.append((1, "random", link.utilisation_cap))
        self.waits = problem.waiting != "none"
        group = columns.group[columns.column]
        self.paid = columns.wait_price[group] * columns.visits
        order = np.argsort(columns.column, kind="stable")
        self.order = order
        self.first = np.searchsorted(columns.column[order], np.arange(len(columns) + 1))

    def loads(self, x: Floats) -> Floats:
        """Return price of waiting, busy share (of one server) and moments of each queue."""
        c = self.columns
        at = x[c.column]
        size = len(c.queues)
        return np.array(
            [
                np.bincount(c.queue, weights=at * value, minlength=size)
                for value in (self.paid, c.busy, c.moment)
            ]
        )

    def price(self, x: Floats) -> float:
        """Return the price of fractions; ``inf`` where a queue is busier than its cap."""
        return float(self.columns.objective @ x) + self._waiting(self.loads(x))

    def _waiting(self, loads: Floats) -> float:
        total = 0.0
        for q, (count, dispatch, cap) in enumerate(self.servers):
            paid, busy, moments = loads[:, q]
            if busy > cap * count:
                return float("inf")
            if self.waits and paid:
                total += paid * moments * wait_factor(count, dispatch, busy / count)
        return total

    def marginal(self, x: Floats) -> Floats:
        """Return what more of each column would cost, per unit."""
        c = self.columns
        if not self.waits:
            return c.objective.copy()
        wait, load, waiting = self._slopes(self.loads(x), range(len(self.servers)))
        more = self.paid * wait[c.queue] + c.moment * waiting[c.queue] + c.busy * load[c.queue]
        return c.objective + np.bincount(c.column, weights=more, minlength=len(c))

    def _slopes(self, loads: Floats, queues: range | Ints) -> Floats:
        """Return the slopes of the price in `loads`."""
        found = np.zeros((3, len(self.servers)))
        for q in queues:
            count, dispatch, cap = self.servers[q]
            paid, busy, moments = loads[:, q]
            rho = min(busy / count, cap)
            factor = wait_factor(count, dispatch, rho)
            if count == 1 or dispatch == "random":
                slope = factor / (1 - rho)
            else:
                step = STEP * (1 - rho)
                ahead, behind = (wait_factor(count, dispatch, rho + s) for s in (step, -step))
                slope = (ahead - behind) / (2 * step)
            found[:, q] = moments * factor, paid * moments * slope / count, paid * factor
        return found

    @property
    def convex(self) -> bool:
        """Whether the price is convex in the fractions."""
        if not self.waits:
            return True
        c = self.columns
        for q, (count, dispatch, _) in enumerate(self.servers):
            own = np.flatnonzero(c.queue == q)
            paid, busy, moment = self.paid[own], c.busy[own], c.moment[own]
            if not paid.any() or not moment.any():
                continue
            if not _proportional(paid, moment):
                return False
            if dispatch == "shared" and count > 1 and not _proportional(moment, busy):
                return False
        return True

    def floor(self, x: Floats) -> float:
        """Return what no fractions cost less than, by the tangent at some; where `convex`.

        Parameters
        ----------
        x
            Value of each column; the closer to the optimum the better.
        """
        price, more = self.price(x), self.marginal(x)
        least = price - float(more @ x)
        groups = len(self.columns.groups)
        cheapest = np.full(groups, np.inf)
        np.minimum.at(cheapest, self.columns.group, more)
        least += float(cheapest @ self.columns.sizes)
        least -= ROUNDING * abs(price)
        return least if math.isfinite(least) else -math.inf

    def deal(self, x: Floats, most_routes: Mapping[int, int], over: Callable[[], bool]) -> Floats:
        """Return better fractions of the streams that may be split, from some on.

        Parameters
        ----------
        x
            Value of each column, feasible for the caps.
        most_routes
            Largest number of routes in use, by group that may be split.
        over
            Asked now and then: whether to end with what there is.
        """
        x = x.copy()
        best = self.price(x)
        members = {
            g: np.flatnonzero((self.columns.group == g) & (self.columns.kind == PART))
            for g in most_routes
        }
        for number in range(MOST_ROUNDS):
            before = best
            for g, most in most_routes.items():
                best = self._deal_one(x, members[g], most, best, over)
            if over() or best >= before * (1 - ROUND_GAIN):
                break
            if number % TOGETHER_EVERY == TOGETHER_EVERY - 1:
                # Streams that lean on each other creep one at a time.
                best = self._together(x, members, most_routes, best)
        return x

    def _together(
        self, x: Floats, members: Mapping[int, Ints], most_routes: Mapping[int, int], best: float
    ) -> float:
        """Move all fractions at once, by sequential quadratic programs; keep what is better."""
        free = [
            own if most_routes[g] >= len(own) else own[x[own] > 0] for g, own in members.items()
        ]
        columns = np.concatenate(free)
        if len(columns) > MOST_TOGETHER or len(columns) == len(free):
            return best
        from scipy.optimize import LinearConstraint, minimize

        group = np.repeat(np.arange(len(free)), [len(own) for own in free])
        dealt = LinearConstraint(
            (group == np.arange(len(free))[:, None]).astype(float), np.ones(len(free)), 1.0
        )
        busy = np.zeros((len(self.servers), len(columns)))
        for position, column in enumerate(columns):
            at = self.rows(int(column))
            np.add.at(busy[:, position], self.columns.queue[at], self.columns.busy[at])
        loaded = busy.any(axis=1)
        rest = self.loads(x)[1] - busy @ x[columns]
        cap = np.array([count * cap for count, _, cap in self.servers])
        limits = LinearConstraint(busy[loaded], -np.inf, (cap - rest)[loaded])
        tried = x.copy()

        def price(part: Floats) -> float:
            tried[columns] = part
            found = self.price(tried)
            return found / best if math.isfinite(found) else FAR

        def slope(part: Floats) -> Floats:
            tried[columns] = part
            return self.marginal(tried)[columns] / best

        found = minimize(
            price,
            x[columns],
            jac=slope,
            bounds=[(0.0, 1.0)] * len(columns),
            constraints=[dealt, limits],
            method="SLSQP",
            options={"maxiter": 60, "ftol": 1e-15},
        )
        part = np.clip(found.x, 0.0, 1.0)
        part[part < SMALLEST] = 0.0
        part /= np.bincount(group, weights=part)[group]
        tried[columns] = part
        better = self.price(tried)
        if not better < best:  # nor where it is no number
            return best
        x[:] = tried
        return better

    def _deal_one(
        self, x: Floats, own: Ints, most: int, best: float, over: Callable[[], bool]
    ) -> float:
        for _ in range(4 * most + 8):
            if over():
                break
            more = self.marginal(x)[own]
            used = x[own] > 0
            source = int(own[np.where(used, more, -np.inf).argmax()])
            target = int(own[more.argmin()])
            if used.sum() >= most and not x[target] > 0:
                # A new route only in exchange for one, or else among those in use.
                swapped = x.copy()
                swapped[target], swapped[source] = x[source], 0.0
                if (price := self.price(swapped)) < best * (1 - PRECISION):
                    x[:], best = swapped, price
                    continue
                target = int(own[np.where(used, more, np.inf).argmin()])
            gain = float(more[own == source][0] - more[own == target][0])
            if gain * x[source] <= PRECISION * abs(best):
                break
            share = self._share(x, source, target)
            moved = x.copy()
            moved[target] += share
            moved[source] = 0.0 if share >= x[source] else x[source] - share
            if (price := self.price(moved)) >= best:
                break
            x[:], best = moved, price
        return best

    def _share(self, x: Floats, source: int, target: int) -> float:
        """Return how much to move from one column to another: until both cost the same more."""
        c = self.columns
        at = {column: self.rows(column) for column in (source, target)}
        queues = np.unique(c.queue[np.concatenate(list(at.values()))])
        base = self.loads(x)
        change = np.zeros_like(base)
        for column, sign in ((source, -1.0), (target, 1.0)):
            for row, value in enumerate((self.paid, c.busy, c.moment)):
                np.add.at(change[row], c.queue[at[column]], sign * value[at[column]])
        servers = np.array([count * cap for count, _, cap in self.servers])

        def pays(share: float) -> bool:
            loads = base + share * change
            if (loads[1, queues] > servers[queues]).any():
                return False
            slopes = self._slopes(loads, queues)
            extra = float(c.objective[target] - c.objective[source])
            return extra + float((slopes * change).sum()) < 0

        low, high = 0.0, float(x[source])
        if pays(high):
            return high
        for _ in range(LINE_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if pays(middle) else (low, middle)
        return low

    def rows(self, column: int) -> Ints:
        """Return the incidences of a column."""
        return self.order[self.first[column] : self.first[column + 1]]


def _proportional(one: Floats, other: Floats) -> bool:
    """Say whether two quantities are in one proportion; 0 only where both are."""
    if ((one > 0) != (other > 0)).any():
        return False
    ratio = one[one > 0] / other[one > 0]
    return not ratio.size or bool(ratio.max() - ratio.min() <= PROPORTION * ratio.max())


MOST_CHOICES = 100
"""With more combinations of devices that are on, and their copies, none is bounded."""
CAP_TOLERANCE = 1e-6
"""Caps are surely broken where every choice of fractions exceeds them by more, relatively."""
CHUNKS = 20
"""Parts in which a stream's requests are dealt at first, each to the cheapest route."""


@dataclass(frozen=True)
class Dealt:
    """Streams dealt over routes.

    Parameters
    ----------
    value
        Value of each column.
    replicas
        Copies by device that is on.
    price
        What they cost, as far as `Fractions` knows.
    """

    value: Floats
    replicas: Mapping[str, int]
    price: float


def deal_streams(
    problem: Problem,
    columns: Columns,
    whole: Floats,
    most_routes: Mapping[int, int],
    over: Callable[[], bool],
) -> tuple[list[Dealt], float]:
    """Deal the streams that may be split, for each choice of devices and copies.

    Parameters
    ----------
    problem
        What is planned.
    columns
        Its routes.
    whole
        Values of the columns of streams that may not be split.
    most_routes
        Largest number of routes in use, by group that may be split.
    over
        Asked now and then: whether to end with what there is.

    Returns
    -------
    tuple
        What was found, the cheapest first (limits but caps are not looked at), and a lower bound
        on the price of every plan; −inf where there is none.
    """
    choices = _choices(problem, columns)
    bounded = math.prod(len(options) for options in choices.values()) <= MOST_CHOICES
    found: list[Dealt] = []
    floor = math.inf
    combinations = itertools.product(*choices.values()) if bounded else [_most(choices)]
    for combination in combinations:
        counts = dict(zip(choices, combination, strict=True))
        allowed = ~_using(columns, {name for name, count in counts.items() if not count})
        groups = np.unique(columns.group[allowed])
        if len(groups) < len(columns.groups) or over():
            floor = floor if not over() else -math.inf
            continue
        charge = math.fsum(
            count_price(problem, ("device", name), count) for name, count in counts.items() if count
        )
        replicas = {name: count for name, count in counts.items() if count}
        kept = np.flatnonzero(allowed)
        fractions = Fractions(problem, columns.take(kept), replicas)
        start, sure = _first(fractions, whole[kept], most_routes)
        if start is None:
            # Nothing keeps the caps; or nothing was found that does, which proves nothing.
            floor = floor if sure else -math.inf
            continue
        free = fractions.deal(start, {g: len(kept) for g in most_routes}, over)
        if fractions.convex and not over():
            floor = min(floor, charge + fractions.floor(free))
        else:
            floor = -math.inf
        best = fractions.deal(_fewer(fractions, free, most_routes), most_routes, over)
        value = np.zeros(len(columns))
        value[kept] = best
        # A device that is on and not used is off in truth.
        used = {name for r in np.flatnonzero(value > 0) for name in columns.devices[r]}
        price = fractions.price(best) + math.fsum(
            count_price(problem, ("device", name), count)
            for name, count in replicas.items()
            if name in used
        )
        found.append(Dealt(value, {n: c for n, c in replicas.items() if n in used}, price))
    return sorted(found, key=lambda each: each.price), floor if bounded and found else -math.inf


def _choices(problem: Problem, columns: Columns) -> dict[str, tuple[int, ...]]:
    """Return the numbers of copies to choose from, 0 for off, where there is a choice."""
    found = {}
    for kind, name in columns.queues:
        if kind != "device":
            continue
        counts = tuple(problem.device[name].replica_range)
        if len(counts) > 1 or count_price(problem, ("device", name), counts[0]) > 0:
            found[name] = (0, *counts)
    return found


def _most(choices: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(max(options) for options in choices.values())


def _using(columns: Columns, off: set[str]) -> NDArray[np.bool_]:
    """Say which columns run a layer on one of some devices."""
    return np.array([not off.isdisjoint(devices) for devices in columns.devices], dtype=bool)


def _first(
    fractions: Fractions, whole: Floats, most_routes: Mapping[int, int]
) -> tuple[Floats | None, bool]:
    """Deal requests in parts, each to the route where it costs least.

    Returns the fractions, ``None`` where none were found, and whether that is sure.
    """
    x = whole.copy()
    c = fractions.columns
    members = {g: np.flatnonzero((c.group == g) & (c.kind == PART)) for g in most_routes}
    for _ in range(CHUNKS):
        for own in members.values():
            for column in own[np.argsort(fractions.marginal(x)[own], kind="stable")]:
                x[column] += 1 / CHUNKS
                if math.isfinite(fractions.price(x)):
                    break
                x[column] -= 1 / CHUNKS
            else:
                return _within_caps(fractions, whole, members)
    return x, True


def _within_caps(
    fractions: Fractions, whole: Floats, members: Mapping[int, Ints]
) -> tuple[Floats | None, bool]:
    """Return fractions that load queues least against their caps; ``None`` and whether surely."""
    from scipy.optimize import linprog

    c = fractions.columns
    columns = np.concatenate(list(members.values()))
    group = np.repeat(np.arange(len(members)), [len(own) for own in members.values()])
    caps = np.array([count * cap for count, _, cap in fractions.servers])
    busy = np.zeros((len(caps), len(columns) + 1))
    for position, column in enumerate(columns):
        at = fractions.rows(int(column))
        np.add.at(busy[:, position], c.queue[at], c.busy[at])
    busy[:, -1] = -caps
    dealt = np.zeros((len(members), len(columns) + 1))
    dealt[group, np.arange(len(columns))] = 1.0
    found = linprog(
        np.append(np.zeros(len(columns)), 1.0),
        A_ub=busy,
        b_ub=-fractions.loads(whole)[1],
        A_eq=dealt,
        b_eq=np.ones(len(members)),
        method="highs",
    )
    if not found.success:
        return None, found.status == 2
    if found.x[-1] > 1:
        return None, bool(found.x[-1] > 1 + CAP_TOLERANCE)
    x = whole.copy()
    x[columns] = np.clip(found.x[:-1], 0.0, 1.0)
    for own in members.values():
        x[own] /= x[own].sum()
    return (x, True) if math.isfinite(fractions.price(x)) else (None, False)


def _fewer(fractions: Fractions, x: Floats, most_routes: Mapping[int, int]) -> Floats:
    """Return fractions with no more routes than allowed: the largest, grown in proportion."""
    x = x.copy()
    c = fractions.columns
    for g, most in most_routes.items():
        own = np.flatnonzero((c.group == g) & (c.kind == PART))
        kept = own[np.argsort(-x[own], kind="stable")[:most]]
        total = x[kept].sum()
        x[own] = np.where(np.isin(own, kept), x[own] / total, 0.0)
    return x
