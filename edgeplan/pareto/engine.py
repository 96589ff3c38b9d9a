"""The front of a problem: exact where it can be, with bounds at every moment.

The search region is kept as zones (`zones`). A zone is explored (`exploring`): it yields a point,
which splits the zones it lies in, or is proved empty. What was proved for one zone closes others
that it covers. Zones are taken by volume, the largest first, so that early points spread over the
front; the hypervolume is bounded from both sides throughout (`hypervolume`).

References
----------
Tamby, Vanderpooten: Enumeration of the nondominated set of multiobjective discrete optimization
problems, INFORMS Journal on Computing 33 (2021). Dächert, Fleuren, Klamroth: A simple, efficient
and versatile objective space algorithm for multiobjective integer programming, Mathematical
Methods of Operations Research 100 (2024).
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgeplan.model.errors import InputError
from edgeplan.model.problem import Problem
from edgeplan.pareto.box_solvers import check_solver, make_boxes
from edgeplan.pareto.boxes import Boxes, Vector
from edgeplan.pareto.exploring import Explorer, Finding, Task
from edgeplan.pareto.front import Front, Hypervolume, Point, keep_nondominated
from edgeplan.pareto.hypervolume import dominated_volume, possible_volume, reference_point
from edgeplan.pareto.journal import Journal, begun_as, header
from edgeplan.pareto.objectives import Criterion, criteria, image
from edgeplan.pareto.zones import Zone, Zones

SHARE = 0.01
"""The resolution that is used where none is stated and fractions ask for one, of the ranges."""
FIRST = 0
"""The objective that zones are explored by. Always the same: what is proved of one zone then covers
more of the others (1.75 programs a point on the 10 × 10 assignment, against 1.83 with the objective
of each zone's shortest side)."""
LABEL_SHARE = 0.3
"""Share of the time limit after which labels give way to box programs."""
BOUND_SECONDS = 0.1
"""Bounds on the hypervolume are computed anew at most so often."""


@dataclass(frozen=True, kw_only=True)
class FrontProgress:
    """How far a front is.

    Parameters
    ----------
    seconds
        Since the beginning.
    points
        Found so far.
    zones
        Still to be explored.
    mips
        Programs solved.
    hypervolume
        Bounds on the whole front's.
    found
        The point that was found last, ``None`` where the last zone was empty.
    """

    seconds: float
    points: int
    zones: int
    mips: int
    hypervolume: Hypervolume
    found: Point | None


def pareto(
    problem: Problem,
    objectives: Sequence[str],
    *,
    time_limit: float | None = None,
    points: int | None = None,
    gap: float = 0.0,
    resolution: Sequence[float] | None = None,
    tolerance: float = 1e-9,
    jobs: int = 1,
    seed: int = 0,
    on_progress: Callable[[FrontProgress], None] | None = None,
    stop: threading.Event | None = None,
    journal: Path | None = None,
    solver: str = "auto",
    fingerprint: str = "",
) -> Front:
    """Find the front of a problem.

    Parameters
    ----------
    problem
        What is to be planned; its weights do not matter, its ``aggregate`` does.
    objectives
        Two to four names of criteria.
    time_limit
        Seconds, ``None`` for none.
    points
        Points after which to stop, ``None`` for all.
    gap
        Stop where the hypervolume is known to within this share of its upper bound.
    resolution
        δ by objective, in SI units: every image y then has a point p ≤ y + δ. By default that is
        0 where the choices are discrete and `SHARE` of each range where requests may be dealt by
        fractions.
    tolerance
        Images that differ by no more than this share of each value count as one.
    jobs
        Processes that explore zones.
    seed
        Of the solver's random choices.
    on_progress
        Called in the calling thread after each finding.
    stop
        Setting it ends the search with what it has, as Ctrl-C does.
    journal
        File in which findings are kept, and from which a search that was cut off goes on.
    solver
        ``highs``, ``cp-sat`` (OR-Tools, where no stream may be dealt by fractions), ``labels``
        (dynamic programming over streams), ``enumerate`` (all plans: also with queues), or
        ``auto``: labels where they are few, else HiGHS.
    fingerprint
        Of the instance, for the front.

    Returns
    -------
    Front
        ``exact`` where every non-dominated image has its point.

    Raises
    ------
    InputError
        If the objectives are not two to four known ones, the numbers are out of range, the
        problem is of a kind whose fronts cannot be searched, or the journal is of another.
    """
    chosen = criteria(objectives)
    _check(chosen, gap, resolution, tolerance, jobs)
    search = _Search(
        problem=problem,
        chosen=chosen,
        tolerance=tolerance,
        stated=None if resolution is None else tuple(map(float, resolution)),
        limits=_Limits(time_limit, points, gap, stop),
        on_progress=on_progress,
        solver=check_solver(problem, chosen, solver),
        jobs=jobs,
        seed=seed,
    )
    if journal is None:
        search.run(None)
    else:
        begun = replace(problem, name=begun_as(journal) or problem.name)
        with Journal(journal, header(begun, objectives, tolerance, resolution)) as book:
            search.run(book)
    return search.front(fingerprint)


def _check(
    chosen: Sequence[Criterion],
    gap: float,
    resolution: Sequence[float] | None,
    tolerance: float,
    jobs: int,
) -> None:
    if len(chosen) < 2:
        raise InputError.at("objectives", "a front has at least two objectives")
    if not 0 <= gap < 1:
        raise InputError.at("gap", f"must be at least 0 and below 1, but is {gap:g}")
    if not 0 < tolerance < 0.01:
        raise InputError.at("tolerance", f"must be above 0 and below 0.01, but is {tolerance:g}")
    if jobs < 1:
        raise InputError.at("jobs", f"must be at least 1, but is {jobs}")
    if resolution is not None:
        if len(resolution) != len(chosen):
            raise InputError.at("resolution", f"must have {len(chosen)} numbers, one an objective")
        if not all(math.isfinite(delta) and delta >= 0 for delta in resolution):
            raise InputError.at("resolution", "must be finite numbers, not negative")


class _EndedError(Exception):
    """The search was asked to end."""


@dataclass(frozen=True)
class _Limits:
    """When to stop."""

    time_limit: float | None
    points: int | None
    gap: float
    stop: threading.Event | None


@dataclass
class _Search:
    """A front on its way."""

    problem: Problem
    chosen: tuple[Criterion, ...]
    tolerance: float
    stated: Vector | None
    limits: _Limits
    on_progress: Callable[[FrontProgress], None] | None
    solver: str
    jobs: int
    seed: int
    began: float = field(default_factory=time.monotonic)
    mips: int = 0
    message: str = ""

    def __post_init__(self) -> None:
        count = len(self.chosen)
        self.zones = Zones(count)
        self.points: list[Point] = []
        self.waiting: list[tuple[float, int]] = []
        self.stuck: set[int] = set()
        self.busy: set[int] = set()
        self.exact = False
        self.complete = False
        self.ideal: Vector = (0.0,) * count
        self.reference: Vector = ()
        self.scales: Vector = (1.0,) * count
        self.resolution: Vector | None = None
        self._snapped: list[list[float]] = [[] for _ in range(count)]
        self._corners = np.zeros((0, count))
        self._bounds = Hypervolume(0.0, 0.0, ())
        self._bounded = -math.inf
        self._found: Point | None = None

    # -- the run ---------------------------------------------------------------------------

    def run(self, book: Journal | None) -> None:
        """Search until all is known or a limit is reached."""
        try:
            boxes = self._boxes()
            self.exact = boxes.exact
            if self._begin(boxes, book):
                self._explore(boxes, book)
        except (KeyboardInterrupt, _EndedError):
            self.message = "interrupted"

    def _boxes(self) -> Boxes:
        """Return the solver of boxes; where the choice is free, labels where they are few."""
        from edgeplan.pareto import by_labels

        if self.solver == "auto":
            self.solver = "highs"
            if not by_labels.obstacle(self.problem, self.chosen):
                try:
                    boxes = by_labels.LabelledBoxes(self.problem, self.chosen, self._check_labels)
                except by_labels.TooManyError:
                    pass
                else:
                    self.solver = "labels"
                    return boxes
        return make_boxes(self.problem, self.chosen, self.solver, self.seed)

    def _check_labels(self) -> None:
        """Raise where labels have had their time."""
        from edgeplan.pareto.by_labels import TooManyError

        if self.limits.stop is not None and self.limits.stop.is_set():
            raise _EndedError
        limit = self.limits.time_limit
        if limit is not None and time.monotonic() - self.began > LABEL_SHARE * limit:
            raise TooManyError

    def _begin(self, boxes: Boxes, book: Journal | None) -> bool:
        """Find the best value of each objective; say whether the search may go on."""
        count = len(self.chosen)
        replayed = [] if book is None else book.findings
        explorer = Explorer(self.problem, self.chosen, boxes, self.tolerance, (0.0,) * count)
        everything = (math.inf,) * count
        firsts: list[Finding] = []
        for k in range(count):
            if len(replayed) > k:
                finding = replayed[k]
            else:
                task = Task(-1, everything, k, self.scales, self._left())
                finding = explorer.explore(task, self.limits.stop)
                if finding.corner is None:
                    self.mips += finding.mips
                    if finding.values is not None:
                        self._keep_feasible(finding)
                        self.reference = reference_point([finding.values])
                    self.message = finding.trouble or self._why() or "a limit was reached"
                    return False
                if book is not None:
                    book.add(finding)
            firsts.append(finding)
            self.mips += finding.mips
            if finding.values is None:
                self.complete = True
                self.message = "there is no plan"
                return False
        images = [f.values for f in firsts if f.values is not None]
        self._frame(images)
        self._set_resolution(boxes)
        for finding in firsts:
            self._take(finding)
        for finding in replayed[count:]:
            self.mips += finding.mips
            self._take(finding)
        return True

    def _frame(self, images: list[Vector]) -> None:
        """Fix the ideal point, the ranges and the reference point."""
        from edgeplan.solvers.baselines import baselines

        count = len(self.chosen)
        self.ideal = tuple(min(y[k] for y in images) for k in range(count))
        known = [
            image(baseline.evaluation, self.chosen)
            for baseline in baselines(self.problem)
            if baseline.evaluation is not None and baseline.feasible
        ]
        self.reference = reference_point([*images, *known])
        worst = [max(y[k] for y in images) for k in range(count)]
        self.scales = tuple(
            (high - low) or abs(high) or 1.0 for low, high in zip(self.ideal, worst, strict=True)
        )

    def _set_resolution(self, boxes: Boxes) -> None:
        count = len(self.chosen)
        if self.stated is not None and any(self.stated):
            self.resolution = self.stated
        elif not boxes.exact:
            self.resolution = tuple(SHARE * scale for scale in self.scales)
        self.delta = self.resolution or (0.0,) * count
        self.exact = boxes.exact and self.resolution is None

    def _explore(self, boxes: Boxes, book: Journal | None) -> None:
        from edgeplan.pareto.workers import explorers

        # Where all plans are listed, other processes would only list them again.
        jobs = 1 if self.solver in ("labels", "enumerate") else self.jobs
        with explorers(
            self.problem,
            self.chosen,
            boxes,
            self.tolerance,
            self.delta,
            self.solver,
            self.seed,
            jobs,
            self.limits.stop,
        ) as pool:
            while True:
                reason = self._why()
                while not reason and len(self.busy) < jobs:
                    task = self._next()
                    if task is None:
                        break
                    self.busy.add(task.index)
                    pool.submit(task)
                if not self.busy:
                    break
                for task, finding in pool.results():
                    self.busy.discard(task.index)
                    if finding.corner is not None and book is not None:
                        book.add(finding)
                    self.mips += finding.mips
                    self._take(finding, task.index)
        left = len(self.zones)
        self.complete = left == 0
        if self.stuck:
            self.exact = False
        if left:
            self.message = self.message or self._why() or f"{left} zones could not be settled"

    def _why(self) -> str:
        """Return why the search must end; empty where it need not."""
        limits = self.limits
        if limits.stop is not None and limits.stop.is_set():
            return "interrupted"
        left = self._left()
        if left is not None and left <= 0:
            return "the time limit was reached"
        if limits.points is not None and len(self.points) >= limits.points:
            return "the number of points was reached"
        if limits.gap and self.reference:
            bounds = self.bounds()
            if bounds.upper - bounds.lower <= limits.gap * bounds.upper:
                return "the hypervolume gap was reached"
        return ""

    def _left(self) -> float | None:
        if self.limits.time_limit is None:
            return None
        return self.began + self.limits.time_limit - time.monotonic()

    # -- zones -----------------------------------------------------------------------------

    def _next(self) -> Task | None:
        """Return the open zone of the largest volume as a task."""
        while self.waiting:
            _, index = heapq.heappop(self.waiting)
            if index in self.zones:
                zone = self.zones[index]
                return Task(index, zone.upper, FIRST, self.scales, self._left())
        return None

    def _sides(self, upper: Vector) -> list[float]:
        """Return how far a zone reaches above the ideal point, as shares of the ranges."""
        return [
            (min(u, r) - low) / scale
            for u, r, low, scale in zip(upper, self.reference, self.ideal, self.scales, strict=True)
        ]

    def _queue(self, zone: Zone) -> None:
        if self._covered(zone):
            self.zones.close(zone.index)
            return
        volume = math.prod(max(side, 0.0) for side in self._sides(zone.upper))
        heapq.heappush(self.waiting, (-volume, zone.index))

    def _covered(self, zone: Zone) -> bool:
        """Whether a corner proves that there is nothing in a zone."""
        below = np.asarray(zone.upper) - np.asarray(self.delta)
        return bool((self._corners >= below).all(axis=1).any())

    def _take(self, finding: Finding, index: int | None = None) -> None:
        """Learn from a finding."""
        self._found = None
        if finding.trouble:
            self.message = finding.trouble
        if finding.corner is None:
            if finding.values is not None and self.zones.containing(finding.values):
                self._keep_feasible(finding)
            # Unsettled: it stays open, and is not asked again.
            if index is not None and index in self.zones:
                self.stuck.add(index)
            self._tell()
            return
        corner = np.asarray(finding.corner)
        keep = ~(self._corners <= corner).all(axis=1)
        self._corners = np.vstack([self._corners[keep], corner])
        if finding.values is not None and finding.plan is not None:
            self._add(Point(finding.values, finding.plan))
        for zone in self.zones.within(finding.corner, self.delta):
            self.zones.close(zone.index)
        if index is not None and index in self.zones:
            # What was found lies in the zone, and so has split it; else that is a tolerance's.
            self.stuck.add(index)
        self._tell()

    def _add(self, point: Point) -> None:
        values = tuple(self._snap(k, value) for k, value in enumerate(point.values))
        inside = self.zones.containing(values)
        fresh = self.zones.add(values)
        if inside or not self.points:
            self.points.append(point)
            self._found = point
        for zone in fresh:
            self._queue(zone)

    def _snap(self, k: int, value: float) -> float:
        """Return the value met before that counts as the same, or the value itself."""
        import bisect

        known = self._snapped[k]
        at = bisect.bisect_left(known, value)
        for near in known[max(at - 1, 0) : at + 1]:
            if abs(near - value) <= self.tolerance * max(abs(near), abs(value)):
                return near
        known.insert(at, value)
        return value

    def _keep_feasible(self, finding: Finding) -> None:
        """Keep a plan that is not known to be non-dominated; `front` drops it if it is not."""
        if finding.plan is not None and finding.values is not None:
            self.points.append(Point(finding.values, finding.plan))

    # -- what is told ------------------------------------------------------------------------

    def bounds(self, *, now: bool = True) -> Hypervolume:
        """Return bounds on the hypervolume; not ``now``: those of a moment ago will do."""
        if not self.reference:
            return Hypervolume(0.0, 0.0, ())
        if now or time.monotonic() - self._bounded >= BOUND_SECONDS:
            images = [point.values for point in self.points]
            lower = dominated_volume(images, self.reference)
            upper = possible_volume(self._corners, self.ideal, self.reference)
            self._bounds = Hypervolume(lower, max(lower, upper), self.reference)
            self._bounded = time.monotonic()
        return self._bounds

    def _tell(self) -> None:
        if self.on_progress is None:
            return
        self.on_progress(
            FrontProgress(
                seconds=time.monotonic() - self.began,
                points=len(self.points),
                zones=len(self.zones),
                mips=self.mips,
                hypervolume=self.bounds(now=False),
                found=self._found,
            )
        )

    def front(self, fingerprint: str) -> Front:
        """Return what is known."""
        return Front(
            objectives=tuple(criterion.name for criterion in self.chosen),
            points=keep_nondominated(self.points, self.tolerance),
            exact=self.exact and self.complete,
            resolution=self.resolution if self.complete else None,
            tolerance=self.tolerance,
            hypervolume=self.bounds(),
            mips=self.mips,
            seconds=time.monotonic() - self.began,
            instance=self.problem.name,
            fingerprint=fingerprint,
            complete=self.complete,
            message=self.message,
        )
