"""The front: points, each an image and the plan behind it, and what is known about the whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.objectives import Criterion, criteria

if TYPE_CHECKING:
    import pandas as pd

    from edgeplan.pareto.choose import Choice
    from edgeplan.pareto.compare import Comparison

TOLERANCE = 1e-9
"""Images that differ by no more than this share of each value count as one."""
_MAX_FAULTS = 100


@dataclass(frozen=True)
class Point:
    """An image and a plan that has it.

    Parameters
    ----------
    values
        The evaluator's word, in SI units, in the order of the front's objectives.
    plan
        The plan.
    """

    values: tuple[float, ...]
    plan: Plan


@dataclass(frozen=True)
class Hypervolume:
    """How much of a box the front dominates: what is known of the whole front's hypervolume.

    Parameters
    ----------
    lower
        Of the points found.
    upper
        No front of this problem has more; as ``lower`` where the front is exact.
    reference
        The corner of the box, in the order of the front's objectives; empty where no plan was
        found to place it by.
    """

    lower: float
    upper: float
    reference: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Front:
    """Plans none of which dominates another, and how much of the front they are.

    Parameters
    ----------
    objectives
        Names of the criteria, in the order of the values.
    points
        Kept in lexicographic order of their values, whatever the order given.
    exact
        Whether every non-dominated image of the problem has its point here.
    resolution
        δ by objective where not exact but complete: every image y of the problem has a point
        p ≤ y + δ. ``None`` where exact, or where no such thing is known.
    tolerance
        Images that differ by no more than this share of each value count as one.
    hypervolume
        What is known of the whole front's.
    mips
        Programs solved.
    seconds
        Wall time.
    instance, fingerprint
        Name of the problem and its `edgeplan.instances.plans.fingerprint`.
    complete
        Whether the search came to its end; what it has then is what ``exact`` or ``resolution``
        says.
    message
        In words, what ended the search or what else should be known.

    Raises
    ------
    InputError
        With every fault found: unknown objectives, values that are not finite or too few, points
        that dominate or equal others.
    """

    objectives: tuple[str, ...]
    points: tuple[Point, ...]
    exact: bool
    hypervolume: Hypervolume
    resolution: tuple[float, ...] | None = None
    tolerance: float = TOLERANCE
    mips: int = 0
    seconds: float = 0.0
    instance: str = ""
    fingerprint: str = ""
    complete: bool = True
    message: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple(sorted(self.points, key=lambda p: p.values)))
        faults = list(_front_faults(self))
        if faults:
            raise InputError(faults)

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Point]:
        return iter(self.points)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The objectives, with their units."""
        return criteria(self.objectives)

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plans, in the order of the points."""
        return tuple(point.plan for point in self.points)

    @property
    def values(self) -> tuple[tuple[float, ...], ...]:
        """The images, in the order of the points."""
        return tuple(point.values for point in self.points)

    @property
    def frame(self) -> pd.DataFrame:
        """A new pandas frame: a row for each point.

        Columns: the values by the criteria's keys (``latency_seconds``, …), then for each stream
        its routes in words (``route.<stream>``, see `route_words`).
        """
        import pandas as pd

        columns: dict[str, list[float] | list[str]] = {
            criterion.key: [values[index] for values in self.values]
            for index, criterion in enumerate(self.criteria)
        }
        for stream in self.points[0].plan.routes if self.points else ():
            columns[f"route.{stream}"] = [
                route_words(plan.routes.get(stream, ())) for plan in self.plans
            ]
        return pd.DataFrame(columns)

    def compare(
        self,
        *others: Front,
        names: Iterable[str] | None = None,
        reference: Mapping[str, float] | None = None,
        force: bool = False,
    ) -> Comparison:
        """Compare with other fronts; see `edgeplan.pareto.compare.compare`.

        Parameters
        ----------
        others
            The other fronts.
        names
            Of this front and the others; A, B, C… if absent.
        reference
            The hypervolume's reference point, by objective name.
        force
            Compare even fronts of different instances or objectives.
        """
        from edgeplan.pareto.compare import compare, point_set

        fronts = (self, *others)
        given = tuple(names) if names is not None else tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if len(given) < len(fronts):
            raise InputError.at("names", f"{len(given)} names for {len(fronts)} fronts")
        sets = [point_set(front, name) for front, name in zip(fronts, given, strict=False)]
        return compare(sets, reference=reference, force=force)

    def choose(self, **how: Any) -> Choice:
        """Choose a point; the arguments are those of `edgeplan.pareto.choose.choose`."""
        from edgeplan.pareto.choose import choose

        return choose(self, **how)

    def as_json(self) -> dict[str, Any]:
        """Return the front for machines, as `edgeplan pareto --json` prints it."""
        from edgeplan.pareto.files import front_tree

        return front_tree(self)

    def to_json(self) -> str:
        """Return the front as JSON text; `from_json` returns an equal front."""
        from edgeplan.pareto.files import front_text

        return front_text(self)

    @staticmethod
    def from_json(text: str) -> Front:
        """Return the front of a JSON text.

        Raises
        ------
        InputError
            With every fault found, placed in the text (``points[3].plan.routes``).
        """
        from edgeplan.pareto.files import front_from_text

        return front_from_text(text)

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write ``front.json`` and ``front.csv``, and ``front.parquet`` where pyarrow is there.

        Each file is written whole or not at all; `edgeplan.pareto.files.read_front` reads the
        JSON file.

        Parameters
        ----------
        folder
            Made where it is missing.

        Returns
        -------
        tuple of Path
            The files written.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        from edgeplan.pareto.files import write_front

        return write_front(self, folder)


def route_words(routes: Iterable[Route]) -> str:
    """Return the routes of a stream on one line, a stage as ``device[first-last layer]``.

    Examples
    --------
    >>> route_words([Route(devices=("phone", "phone", "edge"))])
    'phone[0-1] > edge[2]'
    >>> route_words([Route(devices=("phone",), fraction=0.25), Route(devices=("edge",),
    ...     fraction=0.75, batch=8)])
    '0.25: phone[0]; 0.75, batch 8: edge[0]'
    """
    lines = []
    for route in routes:
        stages: list[str] = []
        first = 0
        for index, device in enumerate(route.devices):
            if index + 1 == len(route.devices) or route.devices[index + 1] != device:
                layers = f"{first}-{index}" if index > first else f"{index}"
                stages.append(f"{device}[{layers}]")
                first = index + 1
        notes = [f"{route.fraction:.12g}"] if route.fraction != 1 else []
        notes += [f"batch {route.batch}"] if route.batch > 1 else []
        lines.append(f"{', '.join(notes)}: " * bool(notes) + " > ".join(stages))
    return "; ".join(lines)


def keep_nondominated(points: Iterable[Point], tolerance: float = TOLERANCE) -> tuple[Point, ...]:
    """Return the points that no other dominates, of images that count as one the first.

    Parameters
    ----------
    points
        With the same number of values each.
    tolerance
        Values that differ by no more than this share of them count as equal.
    """
    from edgeplan.pareto.indicators import array, nondominated, snap

    kept = list(points)
    if not kept:
        return ()
    (values,) = snap([array([p.values for p in kept], len(kept[0].values))], tolerance)
    mask = nondominated(values, equal_too=False)
    return tuple(point for point, stays in zip(kept, mask, strict=True) if stays)


def _front_faults(front: Front) -> Iterator[Fault]:
    """Yield what a front may not be."""
    chosen = criteria(front.objectives)  # raises where there is no such objective
    width = len(chosen)
    yield from _number_faults(front, width)
    sound = True
    for index, point in enumerate(front.points):
        place = f"points[{index}]"
        if len(point.values) != width:
            yield Fault(place, f"{len(point.values)} values, but there are {width} objectives")
            sound = False
        elif not all(map(math.isfinite, point.values)):
            yield Fault(place, "every value must be a finite number")
            sound = False
    if not sound or len(front.points) < 2:
        return
    # Imported here: fronts are made and read often where nothing is measured of them.
    from edgeplan.pareto.indicators import array, nondominated

    stays = nondominated(array(front.values, width), equal_too=False)
    for number in (~stays).nonzero()[0][:_MAX_FAULTS]:
        message = "its image is dominated by, or equal to, that of another point"
        yield Fault(f"points[{number}]", message)


def _number_faults(front: Front, width: int) -> Iterator[Fault]:
    """Yield the faults of what is said of the whole."""
    if front.resolution is not None:
        if len(front.resolution) != width:
            yield Fault("resolution", f"must have {width} numbers, one for each objective")
        if not all(math.isfinite(step) and step >= 0 for step in front.resolution):
            yield Fault("resolution", "must be finite numbers, not negative")
    if not (0 <= front.tolerance < 1):
        yield Fault("tolerance", "must be at least 0 and below 1")
    known = front.hypervolume
    if len(known.reference) not in (0, width) or (front.points and not known.reference):
        yield Fault("hypervolume.reference", f"must have {width} numbers, one for each objective")
    if not all(map(math.isfinite, (known.lower, known.upper, *known.reference))):
        yield Fault("hypervolume", "must be finite numbers")
    elif not 0 <= known.lower <= known.upper * (1 + 1e-9):
        yield Fault("hypervolume", "lower must be at least 0 and at most upper")
    if front.mips < 0 or not (math.isfinite(front.seconds) and front.seconds >= 0):
        yield Fault("mips", "and seconds must be finite numbers, not negative")
