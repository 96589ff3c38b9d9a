"""Box programs by looking at all plans: for small problems, and as a second witness.

Every plan is priced once by the evaluator, which also knows queues, numbers of replicas and
batches. Fractions cannot be enumerated.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.pareto.boxes import Box, BoxResult, BoxStatus, Vector
from edgeplan.pareto.objectives import Criterion, image
from edgeplan.solvers.route_lists import batched_routes, count_plans

MOST_PLANS = 20_000
"""Most plans that are walked; each takes up to a millisecond."""


def every_plan(problem: Problem) -> Iterator[Plan]:
    """Yield each plan with one route per stream, batch sizes and numbers of replicas varied."""
    routes = [list(batched_routes(problem, stream)) for stream in problem.streams]
    chosen = [device for device in problem.devices if len(device.replica_range) > 1]
    counts = list(itertools.product(*(device.replica_range for device in chosen)))
    for picked in itertools.product(*routes):
        plan_routes = {
            stream.name: (route,) for stream, route in zip(problem.streams, picked, strict=True)
        }
        for numbers in counts:
            yield Plan(
                routes=plan_routes,
                replicas={d.name: n for d, n in zip(chosen, numbers, strict=True)},
            )


def obstacle(problem: Problem, limit: int = MOST_PLANS) -> str:
    """Return why the plans of a problem cannot all be walked; empty where they can."""
    for stream in problem.streams:
        if stream.route_limit > 1:
            return (
                f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and "
                "fractions cannot be enumerated"
            )
    plans = count_plans(problem)
    if plans > limit:
        number = f"{plans:,}" if plans < 10**12 else f"10^{len(str(plans)) - 1}"
        return f"there are up to {number} plans, more than the {limit:,} that are walked"
    return ""


class EnumeratedBoxes:
    """All plans of a problem with their images.

    Parameters
    ----------
    problem
        With few plans and no fractions.
    criteria
        The objectives.

    Raises
    ------
    InputError
        If the plans cannot all be walked.
    """

    exact = True

    def __init__(self, problem: Problem, criteria: Sequence[Criterion]) -> None:
        if reason := obstacle(problem):
            raise InputError.at("problem", reason)
        self.plans: list[Plan] = []
        images = []
        for plan in every_plan(problem):
            evaluation = evaluate(problem, plan)
            values = image(evaluation, criteria)
            if evaluation.feasible and all(map(math.isfinite, values)):
                self.plans.append(plan)
                images.append(values)
        self.images = np.array(images, dtype=float).reshape(len(images), len(criteria))
        self.steps: Vector = (0.0,) * len(criteria)
        self.highest: Vector = (math.inf,) * len(criteria)

    def solve(self, box: Box, stop: threading.Event | None = None) -> BoxResult:
        """Return the plan with the least weighted sum in the box."""
        inside = np.flatnonzero((self.images <= np.asarray(box.limits)).all(axis=1))
        if not len(inside):
            return BoxResult(status=BoxStatus.EMPTY)
        best = inside[int(np.argmin(self.images[inside] @ np.asarray(box.weights)))]
        return BoxResult(status=BoxStatus.PLAN, plan=self.plans[best])
