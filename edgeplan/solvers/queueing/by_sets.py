"""Plans and bounds from sets of routes, around what a local search has found."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from edgeplan.model.formulation.queueing import Columns
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.model.problem import Problem
from edgeplan.solvers.queueing.descent import Descent, Spot
from edgeplan.solvers.queueing.highs_run import Clock
from edgeplan.solvers.queueing.set_bound import FINE, SetBound
from edgeplan.solvers.queueing.set_lists import MOST_HELD
from edgeplan.solvers.queueing.set_program import FIRST_SETS, GROWTH, MOST_SETS, SetProgram

WORTH_A_QUEUE = 1e-4
"""Links where less waiting is paid for, as a share of the price, are left out at first."""
LEFT_OUT = 3e-5
"""… and join when the relaxation makes so much of their waiting."""
BUSY = 0.5
"""… or makes them so busy."""
FEW_HELD = 30_000
"""Sets of one queue that a first list holds at once: for a better plan, where there are more."""
WIDER = 20.0
"""How many times as wide as that list's window may be one that holds more."""
PROGRAM_GAP = 0.25
"""Gap of the set program, as a share of the gap wanted."""
FINER = (1.01, 1.0033, FINE)
"""Levels of the bound where the master is above the target."""
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
    gap: float,
    clock: Clock,
    report: Callable[..., None],
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
    gap
        Relative gap wanted.
    clock
        Says when to end.
    report
        Told a bound, and with ``by_program=True`` that it is HiGHS's of a set program.
    offer
        Told of plans.

    Returns
    -------
    Spot
        The best place known at the end.
    """

    def over() -> bool:
        return clock.over is not None

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

        def aim(held: list[Spot] = held) -> tuple[float, float]:
            return held[0].price, target()

        at = sets.run(sets.guess(wait, rest, waiting), aim, report)
        usage = sets.usage()
        for number in range(ROUNDINGS):
            if over() or sets.best >= target():
                break
            spot = min(
                spot,
                _rounded(descent, columns, spot, usage, random=number > 0),
                key=lambda each: each.price,
            )
            offer(spot)
            held[0] = spot
        for ratio in FINER:
            # As far as the master is enough, finer levels close the gap; else whole sets must.
            if over() or sets.best >= target() or sets.master < target():
                break
            at = sets.run(at, aim, report, ratio=ratio)
        best = sets.best
        if best < target() and not over() and sets.best_at is not None:
            spot, best, usage, listed = _by_programs(
                descent, columns, spot, sets, usage, target, gap, clock, report, offer
            )
            held[0] = spot
            if best < target() and not listed and not over():
                # Too many sets to list: levels as fine as they go.
                sets.run(at, aim, report, ratio=FINE)
                best = max(best, sets.best)
        light = _ignored(descent, columns, usage, spot, heavy) if not over() else set()
        if best >= target() or (not light and spot.price >= before * (1 - 1e-9)):
            break
        heavy |= light
    return spot


def _by_programs(
    descent: Descent,
    columns: Columns,
    spot: Spot,
    sets: SetBound,
    usage: Floats,
    target: Callable[[], float],
    gap: float,
    clock: Clock,
    report: Callable[..., None],
    offer: Callable[[Spot], object],
) -> tuple[Spot, float, Floats, bool]:
    """Solve set programs, small ones first: each better plan leaves fewer sets to list.

    Returns
    -------
    tuple
        The best place, the best bound, how often the last program's plan takes each column, and
        whether the last program had every set that a plan below the target may need.
    """
    best, listed, reach = sets.best, False, math.inf
    assert sets.best_at is not None
    for held in FEW_HELD, MOST_HELD:
        if listed or best >= target() or clock.over is not None:
            break
        if target() - best > WIDER * reach:
            break  # hopelessly many
        program, most = SetProgram(sets, sets.best_at, target(), held), FIRST_SETS
        reach = program.window
        while clock.over is None:
            began = time.monotonic()
            found = program.solve(target(), clock, PROGRAM_GAP * gap, most)
            took = time.monotonic() - began
            report(found.bound, by_program=True)
            best, price, listed = max(best, found.bound), spot.price, found.complete
            if found.value is not None:
                usage = found.value
                spot = _better(descent, columns, spot, found.value, found.replicas)
                offer(spot)
            if best >= target() or not found.finished:
                break
            if spot.price < price * (1 - 1e-9):
                continue  # fewer sets are within what is left
            if listed or most >= min(MOST_SETS, program.count) or clock.left < GROWTH * took:
                # HiGHS looks at the clock seldom as it prepares a large program.
                break
            most *= GROWTH
    return spot, best, usage, listed


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
    descent: Descent, columns: Columns, spot: Spot, value: Floats, counts: dict[int, int]
) -> Spot:
    """Return the better of a spot and what a local search makes of a plan."""
    column, replicas = spot.column.copy(), spot.replicas.copy()
    for q, count in counts.items():
        replicas[q] = count
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
