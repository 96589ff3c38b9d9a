"""All reductions of a problem, one after the other, with the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.reductions.cuts import join_dominated_cuts
from edgeplan.solvers.reductions.places import ban_hopeless_places
from edgeplan.solvers.reductions.twins import merge_identical_streams, order_identical_devices


@dataclass(frozen=True)
class Reduced:
    """A reduced problem.

    Parameters
    ----------
    problem
        What is left to be planned.
    restore
        Makes a plan of it one of the original problem: feasible there, with the same image.
    """

    problem: Problem
    restore: Callable[[Plan], Plan]


def reduce(problem: Problem, *, keep: Literal["front", "optimum"] = "front") -> Reduced:
    """Reduce a problem by all means that keep what is asked for.

    Parameters
    ----------
    problem
        What is to be planned.
    keep
        ``front``: every non-dominated image of latency, energy and cost has a plan left, whatever
        their weights, and of the period too where the problem prices or limits it.
        ``optimum``: a plan of the best weighted price is left.

    Returns
    -------
    Reduced
        Its problem differs by more rules of its streams (and, for the optimum, by fewer streams).
    """
    small = join_dominated_cuts(ban_hopeless_places(problem))
    if keep == "front":
        return Reduced(order_identical_devices(small), lambda plan: plan)
    # Streams first: the order of devices gives equal streams different rules.
    merged, restore = merge_identical_streams(small)
    return Reduced(order_identical_devices(merged), restore)
