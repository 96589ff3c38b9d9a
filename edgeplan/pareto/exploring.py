"""One zone: the point that is found in it, or that there is none, and what that proves.

Two stages: the least value v of one objective k in the zone's box, then the least sum of all with
y_k ≤ v, which makes the point non-dominated whatever shares the least value. Where every value is
a multiple of a step, one stage does both: the other objectives enter the sum with so little weight
that together they never make up for one step of k.

What is proved is a *corner* e: no plan has an image y < e. Corners stay true whatever is found
later, in whatever order and by whatever process.
"""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.pareto.boxes import Box, Boxes, BoxStatus, Vector
from edgeplan.pareto.objectives import Criterion, image

MOST_STEPS = 2e5
"""Most steps of the other objectives in one stage: beyond, weights differ more than a solver's
tolerances allow."""
MOST_TIGHTER = 8
"""How often limits are tightened where a plan lies on a zone's edge."""


@dataclass(frozen=True)
class Task:
    """What is to be found out.

    Parameters
    ----------
    index
        Number of the zone.
    upper
        Its upper bound.
    objective
        Index of the objective to begin with.
    scales
        Sizes of the objectives' ranges, to make their sum one of alike numbers.
    time_limit
        Seconds, ``None`` for none.
    """

    index: int
    upper: Vector
    objective: int
    scales: Vector
    time_limit: float | None = None


@dataclass(frozen=True)
class Finding:
    """What was found out.

    Parameters
    ----------
    upper
        The zone's upper bound.
    corner
        No plan has an image below it in every component; ``None`` where nothing was proved.
    plan
        A non-dominated plan (where nothing was proved: just a plan), or ``None``.
    values
        Its image.
    mips
        Programs solved.
    trouble
        What the solver's answers contradict; empty where they do not.
    """

    upper: Vector
    corner: Vector | None
    plan: Plan | None
    values: Vector | None
    mips: int
    trouble: str = ""


class Explorer:
    """Explores zones of one problem.

    Parameters
    ----------
    problem
        The problem.
    criteria
        The objectives.
    boxes
        Solves box programs.
    tolerance
        Images that differ by no more than this share of each value count as one.
    resolution
        δ: a zone is searched for images below u − δ; zeros for all of it.
    """

    def __init__(
        self,
        problem: Problem,
        criteria: Sequence[Criterion],
        boxes: Boxes,
        tolerance: float,
        resolution: Vector,
    ) -> None:
        self.problem = problem
        self.criteria = tuple(criteria)
        self.boxes = boxes
        self.tolerance = tolerance
        self.resolution = resolution

    def explore(self, task: Task, stop: threading.Event | None = None) -> Finding:
        """Find the best point of a zone for its objective, or that there is none."""
        mips = 0
        edge = tuple(u - self.tolerance * abs(u) if math.isfinite(u) else u for u in task.upper)
        beyond = [0.0] * len(edge)
        for _ in range(MOST_TIGHTER):
            limits = self._limits(task.upper, beyond)
            finding = self._once(task, limits, stop)
            mips += finding.mips
            finding = dataclasses.replace(finding, mips=mips)
            if finding.values is None or finding.corner is None:
                return finding
            outside = [y - u for y, u in zip(finding.values, edge, strict=True)]
            if all(excess < 0 for excess in outside):
                return finding
            beyond = [
                2 * (more + max(excess, 0.0) + self.tolerance * abs(u) * (excess >= 0))
                for more, excess, u in zip(beyond, outside, edge, strict=True)
            ]
        trouble = "a plan on the edge of a zone is found again and again, within tolerances"
        return Finding(task.upper, None, None, None, mips, trouble)

    def _limits(self, upper: Vector, beyond: Sequence[float]) -> Vector:
        """Return the largest values that lie in a zone, with what solvers took for such."""
        limits = []
        for u, step, delta, more in zip(
            upper, self.boxes.steps, self.resolution, beyond, strict=True
        ):
            if not math.isfinite(u):
                limits.append(math.inf)
            elif delta:
                limits.append(u - max(delta, self.tolerance * abs(u)) - more)
            else:
                limits.append(u - max(step / 2, self.tolerance * abs(u) + more))
        return tuple(limits)

    def _once(self, task: Task, limits: Vector, stop: threading.Event | None) -> Finding:
        k, upper = task.objective, task.upper
        # In the resolution's terms a zone without images below u − δ proves just that.
        proved = tuple(u - delta for u, delta in zip(upper, self.resolution, strict=True))
        weights = self._one_stage(task, limits)
        first = self.boxes.solve(
            Box(
                limits=limits,
                weights=weights or _only(k, task.scales),
                time_limit=task.time_limit,
            ),
            stop,
        )
        if first.status is BoxStatus.EMPTY:
            return Finding(upper, proved, None, None, first.mips)
        if first.plan is None:
            return Finding(upper, None, None, None, first.mips)
        evaluation = evaluate(self.problem, first.plan)
        values = image(evaluation, self.criteria)
        if trouble := _trouble(evaluation, values):
            return Finding(upper, None, None, None, first.mips, trouble)
        if first.status is BoxStatus.LIMIT:
            return Finding(upper, None, first.plan, values, first.mips)
        plan, mips, least = first.plan, first.mips, values[k]
        if weights is None and not _at_ideal(values, limits, k):
            within = tuple(
                least + self._slack(least, k) if j == k else limit for j, limit in enumerate(limits)
            )
            second = self.boxes.solve(
                Box(
                    limits=within,
                    weights=tuple(1 / scale for scale in task.scales),
                    start=plan,
                    time_limit=task.time_limit,
                ),
                stop,
            )
            mips += second.mips
            if second.status is BoxStatus.LIMIT:
                return Finding(upper, None, plan, values, mips)
            if second.plan is not None:
                evaluation = evaluate(self.problem, second.plan)
                other = image(evaluation, self.criteria)
                if trouble := _trouble(evaluation, other):
                    return Finding(upper, None, plan, values, mips, trouble)
                # An empty answer to a box with a plan in it, or a worse sum, is a tolerance's.
                if _sum(other, task.scales) < _sum(values, task.scales):
                    plan, values = second.plan, other
        corner = tuple(min(least, values[k]) if j == k else u for j, u in enumerate(proved))
        return Finding(upper, corner, plan, values, mips)

    def _slack(self, value: float, k: int) -> float:
        return max(self.boxes.steps[k] / 2, self.tolerance * abs(value))

    def _one_stage(self, task: Task, limits: Vector) -> Vector | None:
        """Return weights with which one step of k outweighs all others; ``None`` without."""
        steps, k = self.boxes.steps, task.objective
        if any(self.resolution) or not all(steps):
            return None
        others = [j for j in range(len(steps)) if j != k]
        # Values are not negative: no other objective is better than the best by more than this.
        counts = sum(min(limits[j], self.boxes.highest[j]) / steps[j] for j in others)
        if not counts < MOST_STEPS:
            return None
        return tuple(
            1 / steps[j] if j == k else 1 / (steps[j] * (counts + 1)) for j in range(len(steps))
        )


def _only(k: int, scales: Vector) -> Vector:
    return tuple(1 / scale if j == k else 0.0 for j, scale in enumerate(scales))


def _sum(values: Vector, scales: Vector) -> float:
    return math.fsum(value / scale for value, scale in zip(values, scales, strict=True))


def _at_ideal(values: Vector, limits: Vector, k: int) -> bool:
    """Whether the other objectives leave nothing to improve: there are none."""
    return len(values) == 1


def _trouble(evaluation: Evaluation, values: Vector) -> str:
    if evaluation.violations:
        first = evaluation.violations[0]
        return f"a plan of the box program breaks a limit: {first.message}"
    if not all(map(math.isfinite, values)):
        return "a plan of the box program has an infinite value"
    return ""
