"""The plan program and the bound program for given levels."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

import numpy as np

from edgeplan.model.errors import SolverError
from edgeplan.model.formulation.queueing import (
    Columns,
    Levels,
    Program,
    Sets,
    Side,
    build,
    decays,
    states,
)
from edgeplan.model.problem import Problem
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.highs_run import Clock, Outcome, solve
from edgeplan.solvers.result import Stop
from edgeplan.solvers.watch import Watch


def program_at(
    problem: Problem,
    routes: Columns,
    levels: Levels,
    side: Side,
    *,
    unit: float = 1.0,
    steep: Mapping[tuple[int, int], float] | None = None,
) -> Program:
    """Build the plan program or the bound program of given levels.

    Parameters
    ----------
    problem
        The problem, its limits to the letter.
    routes
        Its routes.
    levels, side
        See `Levels`; ``plan`` or ``bound``.
    unit
        Price per unit of the objective.
    steep
        See `Sets`.
    """
    tailed = bool(routes.tails)
    sets = Sets(
        problem,
        routes,
        tuple(states(problem, key, levels) for key in routes.queues),
        tuple(
            # Without a level the bound program has nothing to charge.
            decays(problem, key, levels)
            if tailed and (side == "plan" or key in levels.decays)
            else ()
            for key in routes.queues
        ),
        side,
        unit,
        steep,
    )
    return build(sets)


def unit_of(routes: Columns) -> float:
    """Return a power of two near the price of every stream's cheapest route."""
    total = 0.0
    for g, size in enumerate(routes.sizes):
        own = routes.objective[routes.group == g]
        if len(own):
            total += float(size) * max(float(own.min()), 0.0)
    if not 0 < total < math.inf:
        total = float(routes.objective.max(initial=0.0)) or 1.0
    return float(2.0 ** round(math.log2(total)))


def solve_at(
    problem: Problem, levels: Levels, side: Side, *, gap: float = 1e-9, reduce: bool = True
) -> float:
    """Return the optimum of the plan program or the bound program for given levels.

    Parameters
    ----------
    problem
        The problem; its limits are read to the letter.
    levels
        Levels by queue.
    side
        ``plan`` or ``bound``.
    gap
        Relative gap of HiGHS.
    reduce
        Whether equal streams are counted together and dominated routes left out.

    Returns
    -------
    float
        The price, in the objective's units; ``inf`` where there is no plan.
    """
    routes = columns(problem, Watch(None, None), reduce=reduce)
    if any(not (routes.group == g).any() for g in range(len(routes.groups))):
        return math.inf
    program = program_at(problem, routes, levels, side, unit=unit_of(routes))
    outcome = _finish(program, gap)
    if outcome.infeasible:
        return math.inf
    if outcome.stop is not Stop.COMPLETED or outcome.objective is None:
        raise SolverError(f"HiGHS did not finish: {outcome.message}")
    return outcome.objective


def _finish(program: Program, gap: float) -> Outcome:
    if not np.any(program.upper > 0):
        return Outcome(Stop.COMPLETED, infeasible=True)
    clock = Clock(math.inf, threading.Event())
    return solve(program, clock, gap=gap, threads=1, seed=0)
