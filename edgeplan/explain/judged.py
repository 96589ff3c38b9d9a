"""What the deadlines of a conflict were held against: exact waits, safe bounds or estimates.

That there is no plan is said of the evaluator's numbers. Where requests visit one queue after
another, its mean waits are approximations and its percentiles estimates (`evaluate` labels them):
then a plan that breaks a deadline there may keep it when it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from edgeplan.explain.checks import Checker
from edgeplan.explain.items import Item
from edgeplan.explain.relaxed import unloaded
from edgeplan.explain.without import only
from edgeplan.model.plan import Route
from edgeplan.model.price import route_price
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import visits
from edgeplan.solvers.elastic import Key

Judged = Literal["exact", "approximate", "safe", "estimated"]
"""The evaluator's words: of a mean that waits are ``exact`` or ``approximate``, of a percentile
that it is ``safe`` (an upper bound) or ``estimated``."""

ESTIMATES = frozenset({"approximate", "estimated"})
"""What does not surely hold when a plan runs."""

_SHARE = 0.2
"""One question may take at most so much of the time left."""


def judged_by(problem: Problem, conflict: Sequence[Item], checker: Checker) -> Mapping[Key, Judged]:
    """Return what the deadlines of a conflict were held against.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        Statements that conflict.
    checker
        Asks solvers; knows when to stop.

    Returns
    -------
    Mapping
        By key of a deadline: the weakest label that a plan may have got. Empty where the
        conflict rests on no waits, since nobody would have to wait for it to be one.
    """
    deadlines = [item for item in conflict if item.kind in ("deadline", "tail deadline")]
    if problem.waiting == "none" or not deadlines:
        return {}
    kept = only(problem, conflict)
    easier = unloaded(kept)
    if checker.check(easier, _SHARE).infeasible:
        return {}
    exact = not _may_approximate(kept, easier, checker)
    found: dict[Key, Judged] = {}
    for item in deadlines:
        if item.kind == "deadline":
            found[item.key] = "exact" if exact else "approximate"
        else:
            found[item.key] = "safe" if exact else "estimated"
    return found


def _may_approximate(problem: Problem, easier: Problem, checker: Checker) -> bool:
    """Whether a plan that is in time without waits may have a queue whose wait is no exact one."""
    if any(d.dispatch == "shared" and d.replica_range[-1] > 1 for d in problem.devices):
        return True
    if any(s.arrival_cv2 != 1 or s.max_batch > 1 for s in problem.streams):
        return True
    ways = checker.capacity.ways(easier)
    return ways is None or any(
        len(list(visits(problem, route_price(problem, stream, Route(devices=way.devices))))) > 1
        for stream in problem.streams
        for way in ways[stream.name]
    )
