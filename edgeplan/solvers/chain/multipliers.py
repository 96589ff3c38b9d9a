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

from edgeplan.solvers.chain.charges import Arcs, Floats
from edgeplan.solvers.chain.paths import (
    Quantities,
    Stage,
    amounts,
    caused,
    reaches,
    shortest,
    weighted,
)

PATIENCE = 6
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
    """

    bound: float
    weights: Floats


def relax(
    arcs: Arcs,
    quantities: Quantities,
    capacities: Floats,
    *,
    begin: Floats,
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
        Weights to begin from.
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
    weights = begin.copy()
    found = Relaxed(bound=-np.inf, weights=weights)
    length, idle = 1.0, 0
    target = -np.inf
    seen: set[tuple[Stage, ...]] = set()
    for _ in range(steps):
        check()
        parts = weighted(arcs, quantities, weights)
        value, stages = shortest(arcs, parts, reaches(arcs, parts))
        if not stages:
            return Relaxed(bound=np.inf, weights=weights)
        bound = value - float(weights @ capacities)
        if tuple(stages) not in seen:
            seen.add(tuple(stages))
            target = max(target, price(stages))
        if bound > found.bound + 1e-6 * abs(found.bound):
            idle = 0
        else:
            idle += 1
        if bound > found.bound:
            found = Relaxed(bound=bound, weights=weights.copy())
        if found.bound >= best() or len(weights) == 1:
            return found
        if idle >= PATIENCE:
            length, idle = length / 2, 0
            weights = found.weights.copy()
            if length < SMALLEST_STEP:
                return found
            continue
        slope = amounts(arcs, quantities.parts, stages) - capacities
        share = (caused(arcs, stages) * _shares(arcs)).sum(axis=1)
        slope += share @ quantities.once
        slope[0] = 0.0
        # A multiplier at 0 stays there where its limit has room.
        slope[(weights <= 0) & (slope < 0)] = 0.0
        steepness = float(slope @ slope)
        if not steepness:
            return found
        goal = best() if np.isfinite(best()) else target
        gap = max(goal - bound, 1e-3 * max(abs(bound), abs(goal), 1e-300))
        weights = np.maximum(0.0, weights + length * gap / steepness * slope)
        weights[0] = 1.0
    return found


def _shares(arcs: Arcs) -> Floats:
    return np.array([charge.share for charge in arcs.once]).reshape(len(arcs.once), arcs.layers)
