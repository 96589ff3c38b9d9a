"""Plans and bounds from sets of routes, around what a local search has found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeplan.model.formulation.queueing import Columns
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.model.problem import Problem
from edgeplan.solvers.queueing.descent import Descent, Spot
from edgeplan.solvers.queueing.set_bound import SetBound

WORTH_A_QUEUE = 1e-4
"""Links where less waiting is paid for, as a share of the price, are left out at first."""
LEFT_OUT = 3e-5
"""… and join when the relaxation makes so much of their waiting."""
BUSY = 0.5
"""… or makes them so busy."""
MASTER_SECONDS = 3.0
"""Longest search for a plan among the sets found."""
ROUNDINGS = 3
"""Plans made of the relaxation's, each time that one is shown: the likeliest, and random ones."""


def bound_by_sets(
    problem: Problem,
    columns: Columns,
    descent: Descent,
    spot: Spot,
    *,
    unit: float,
    target: Callable[[], float],
    over: Callable[[], bool],
    report: Callable[[float], None],
    offer: Callable[[Spot], object],
) -> Spot:
    """Bound the price of every plan, and look for better ones on the way.

    Parameters
    ----------
    problem, columns
        What is planned, and its routes, all whole.
    descent, spot
        The local search and where it ended.
    unit
        Price per unit.
    target
        The bound that would do, by the best plan of the moment.
    over
        Whether to end now.
    report
        Told the bound.
    offer
        Told of plans.

    Returns
    -------
    Spot
        The best place known at the end.
    """
    heavy = {q for q, key in enumerate(columns.queues) if key[0] == "device"}
    while not over():
        busy, moment, waiting = (
            table[spot.column].sum(axis=0)
            for table in (descent.busy, descent.moment, descent.waiting)
        )
        wait, _ = descent.waits(busy, moment, spot.replicas)
        heavy |= set(np.flatnonzero(waiting * wait > WORTH_A_QUEUE * spot.price).tolist())
        sets = SetBound(problem, columns, sorted(heavy), unit, over)
        value, _ = descent.route_values(spot)
        sets.add_plan(value, spot.replicas)
        rest = np.maximum(spot.replicas - busy, 0.02)
        before = spot.price
        held = [spot]

        def improve(usage: Floats, held: list[Spot] = held) -> None:
            for number in range(ROUNDINGS):
                if over():
                    return
                other = _rounded(descent, columns, held[0], usage, random=number > 0)
                if other.price < held[0].price * (1 - 1e-9):
                    held[0] = other
                    offer(other)

        def aim(held: list[Spot] = held) -> tuple[float, float]:
            return held[0].price, target()

        best = sets.run(sets.guess(wait, rest, waiting), aim, report, improve)
        spot = held[0]
        room = max(spot.price - best, 0.0)
        found = sets.whole(MASTER_SECONDS, room) if not over() and best < target() else None
        if found is not None:
            replicas = spot.replicas.copy()
            for q, count in found[1].items():
                replicas[q] = count
            spot = _better(descent, columns, spot, found[0], replicas)
            offer(spot)
        light = _ignored(descent, columns, sets.usage(), spot, heavy) if not over() else set()
        if best >= target() or (not light and spot.price >= before * (1 - 1e-9)):
            break
        heavy |= light
    return spot


def _rounded(
    descent: Descent, columns: Columns, spot: Spot, usage: Floats, *, random: bool
) -> Spot:
    """Return what a local search makes of a relaxation's routes, one for each stream."""
    column = spot.column.copy()
    for member, group in enumerate(descent.members):
        own = np.flatnonzero(columns.group == group)
        share = np.maximum(usage[own], 0.0)
        if not share.sum() > 0:
            continue
        if random:
            column[member] = descent.rng.choice(own, p=share / share.sum())
        else:
            column[member] = own[share.argmax()]
    other = Spot(column, spot.replicas.copy())
    other.price = descent.priced(other)
    return descent.improve(other, 0)


def _better(
    descent: Descent, columns: Columns, spot: Spot, value: Floats, replicas: np.ndarray
) -> Spot:
    """Return the better of a spot and what a local search makes of a plan."""
    column = spot.column.copy()
    for g in range(len(columns.groups)):
        members = np.flatnonzero(descent.members == g)
        own = np.flatnonzero((columns.group == g) & (value > 0.5))
        taken = np.repeat(own, np.round(value[own]).astype(np.int64))[: len(members)]
        column[members[: len(taken)]] = taken
    other = Spot(column, replicas)
    other.price = descent.priced(other)
    other = descent.improve(other, 0)
    return min(spot, other, key=lambda each: each.price)


def _ignored(
    descent: Descent, columns: Columns, usage: Floats, spot: Spot, heavy: set[int]
) -> set[int]:
    """Return queues left out that the relaxation loads or where its requests would wait."""
    busy, moment, waiting = (
        usage @ table for table in (descent.busy, descent.moment, descent.waiting)
    )
    wait, _ = descent.waits(busy, moment, spot.replicas)
    paid = waiting * wait > LEFT_OUT * spot.price
    return set(np.flatnonzero(paid | (busy > BUSY * spot.replicas)).tolist()) - heavy
