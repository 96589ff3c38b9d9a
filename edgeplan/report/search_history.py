"""How a front's search went: bounds on the hypervolume over time, from its journal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.pareto.hypervolume import dominated_volume, possible_volume
from edgeplan.pareto.journal import read_entries

if TYPE_CHECKING:
    from edgeplan.pareto.front import Front
    from edgeplan.pareto.journal import Entry

MOMENTS = 60
"""So many moments are worked out, evenly spread over the findings."""


@dataclass(frozen=True, kw_only=True)
class History:
    """Bounds over the search, each as a share of the box from ideal to reference point.

    Parameters
    ----------
    seconds
        Of the search up to each moment, without the pauses between its processes; ``None`` where
        the journal is of a version that did not write them.
    programs
        Programs solved up to each moment.
    points
        Points found.
    lower, upper
        Shares that the points dominate, and that no plan is known not to.
    """

    seconds: tuple[float, ...] | None
    programs: tuple[int, ...]
    points: tuple[int, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


def history(front: Front, journal: Path) -> History | None:
    """Return how the bounds on a front's hypervolume met.

    Parameters
    ----------
    front
        The front.
    journal
        The file from which its search goes on.

    Returns
    -------
    History or None
        ``None`` where there is no journal of this front's search, or it found too little.
    """
    entries = read_entries(journal)
    width = len(front.objectives)
    reference = front.hypervolume.reference
    if len(entries) <= width or not reference:
        return None
    firsts = [entry.finding.values for entry in entries[:width]]
    if any(values is None or len(values) != width for values in firsts):
        return None
    ideal = tuple(min(values[k] for values in firsts if values) for k in range(width))
    box = math.prod(r - i for r, i in zip(reference, ideal, strict=True))
    if not box > 0:
        return None
    # An exact front of ten thousand points takes a second for each volume in four dimensions.
    steps = MOMENTS if width < 4 else MOMENTS // 3
    ends = sorted({round(width + (len(entries) - width) * k / steps) for k in range(steps + 1)})
    return _walk(entries, ends, ideal, reference, box)


def _walk(
    entries: Sequence[Entry],
    ends: Sequence[int],
    ideal: tuple[float, ...],
    reference: tuple[float, ...],
    box: float,
) -> History:
    programs, points, lower, upper = [], [], [], []
    images: list[tuple[float, ...]] = []
    corners: list[tuple[float, ...]] = []
    solved = done = 0
    for end in ends:
        for finding in (entry.finding for entry in entries[done:end]):
            solved += finding.mips
            if finding.corner is not None:
                corners.append(finding.corner)
            if finding.values is not None:
                images.append(finding.values)
        done = end
        programs.append(solved)
        points.append(len(set(images)))
        lower.append(dominated_volume(images, reference) / box)
        upper.append(possible_volume(corners, ideal, reference) / box)
    times = [entries[end - 1].seconds for end in ends]
    known = tuple(seconds for seconds in times if seconds is not None)
    return History(
        seconds=known if len(known) == len(times) else None,
        programs=tuple(programs),
        points=tuple(points),
        lower=tuple(lower),
        upper=tuple(upper),
    )
