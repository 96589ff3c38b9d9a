"""Prices on limits: the Lagrangian relaxation of a constrained shortest path.

For any multipliers λ ≥ 0 the shortest path under objective + Σ λ × (quantity − its capacity) is
a lower bound on every route within the limits. A subgradient method raises it (Beasley,
Christofides: An algorithm for the resource constrained shortest path problem, Networks 19,
1989; step lengths after Polyak). The routes met on the way are priced too: many are good plans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeplan.solvers.chain.charges import Arcs
from edgeplan.solvers.chain.paths import (
    Quantities,
    Stage,
    amounts,
    caused,
    reaches,
    shortest,
    weighted,
)
from edgeplan.solvers.chain.prices import Floats

PATIENCE = 10
"""Steps without a better bound before the step length is halved."""
SMALLEST_STEP = 0.02
"""Step length, as a share of Polyak's, at which the method stops."""


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """The best bound that multipliers gave.

    Parameters
    ----------
    bound
        Lower bound on the objective; ``inf`` where no route passes the walls.
    weights
        1 for the objective, then the multipliers.
    shares
        Of each charge that is paid once, by (charge, layer).
    """

    bound: float
    weights: Floats
    shares: Floats


def relax(
    arcs: Arcs,
    quantities: Quantities,
    capacities: Floats,
    *,
    begin: Relaxed,
    price: Callable[[list[Stage]], float],
    best: Callable[[], float],
    check: Callable[[], None],
    steps: int,
) -> Relaxed:
    """Raise the Lagrangian bound.

    Parameters
    ----------
    arcs, quantities
        The graph and what its arcs count.
    capacities
        By quantity; the objective's is 0.
    begin
        Weights and shares to begin from.
    price
        Called with every route met that is new; returns the price that it would have if it
        broke no limit.
    best
        The price of the incumbent, ``inf`` where there is none.
    check
        Called before each step; raises to end the run.
    steps
        Most shortest paths.
    """
    weights, shares = begin.weights.copy(), begin.shares.copy()
    causes = np.array([charge.causes for charge in arcs.once]).reshape(shares.shape)
    found = Relaxed(bound=-np.inf, weights=weights, shares=shares)
    length, idle = 1.0, 0
    target = -np.inf
    seen: set[tuple[Stage, ...]] = set()
    for _ in range(steps):
        check()
        costs = weighted(arcs, quantities, weights, shares)
        value, stages = shortest(arcs, costs, reaches(arcs, costs))
        if not stages:
            return Relaxed(bound=np.inf, weights=weights, shares=shares)
        bound = value - float(weights @ capacities)
        if tuple(stages) not in seen:
            seen.add(tuple(stages))
            target = max(target, price(stages))
        idle = 0 if bound > found.bound + 1e-6 * abs(found.bound) else idle + 1
        if bound > found.bound:
            found = Relaxed(bound=bound, weights=weights.copy(), shares=shares.copy())
        if found.bound >= best():
            return found
        if idle >= PATIENCE:
            length, idle = length / 2, 0
            weights, shares = found.weights.copy(), found.shares.copy()
            if length < SMALLEST_STEP:
                return found
            continue
        charges = quantities.once @ weights
        due = caused(arcs, stages)
        slope = amounts(arcs, quantities.parts, stages) - capacities
        slope += (due * shares).sum(axis=1) @ quantities.once
        slope[0] = 0.0
        # A multiplier at 0 stays there where its limit has room.
        slope[(weights <= 0) & (slope < 0)] = 0.0
        # A charge that is paid whole or not at all has shares that cannot be better placed.
        tilt = due * (charges > 0)[:, None] * ~np.equal(due, causes).all(axis=1)[:, None]
        steepness = float(slope @ slope + tilt.sum())
        if not steepness:
            return found
        goal = best() if np.isfinite(best()) else target
        gap = max(goal - bound, 1e-3 * max(abs(bound), abs(goal), 1e-300))
        step = length * gap / steepness
        weights = np.maximum(0.0, weights + step * slope)
        weights[0] = 1.0
        for index in np.flatnonzero(tilt.any(axis=1)):
            place = causes[index]
            moved = shares[index, place] + step / charges[index] * tilt[index, place]
            shares[index, place] = on_simplex(moved)
    return found


def on_simplex(values: Floats) -> Floats:
    """Return the nearest numbers that are not negative and add up to 1.

    Examples
    --------
    >>> on_simplex(np.array([0.5, 0.75, -1.0]))
    array([0.375, 0.625, 0.   ])
    """
    values = values - values.max()  # the same answer; a 1 is not lost beside huge numbers
    falling = np.sort(values)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(values) + 1)
    last = np.flatnonzero(falling > excess)[-1]
    found: Floats = np.maximum(values - excess[last], 0.0)
    return found
