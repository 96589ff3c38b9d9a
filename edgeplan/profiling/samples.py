"""The runs measured so far, as the store's records hold them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgeplan.profiling.timing import ORIGINAL

Span = tuple[int, int]
"""First layer, stop."""


@dataclass
class Samples:
    """Runs of one thing.

    Parameters
    ----------
    wall, cpu
        Seconds of each run.
    joules
        Of all runs together; ``None`` where they were not measured.
    days
        On which they were measured, ISO 8601.
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    joules: float | None = 0.0
    days: set[str] = field(default_factory=set)

    @property
    def joules_per_run(self) -> float | None:
        """Mean energy."""
        return None if self.joules is None else self.joules / len(self.wall)


@dataclass
class Samplings:
    """All runs of one profile.

    Parameters
    ----------
    spans
        By span.
    whole
        Of the unsplit network, by sitting.
    disturbed
        How many runs were thrown away because another process got the processor.
    """

    spans: dict[Span, Samples] = field(default_factory=dict)
    whole: dict[str, Samples] = field(default_factory=dict)
    disturbed: int = 0

    def take(self, record: Mapping[str, Any]) -> None:
        """Add the runs of a record; what makes no sense in it is left out.

        Parameters
        ----------
        record
            Of the kind ``runs``: a list of items (first layer, stop, wall, cpu, joules), the
            sitting, the time of day, the number of runs thrown away.
        """
        day = str(record.get("created", ""))[:10]
        items = record.get("items")
        for item in items if isinstance(items, list) else []:
            if not _makes_sense(item):
                continue
            first, stop, wall, cpu, joules = item
            if first == ORIGINAL:
                samples = self.whole.setdefault(str(record.get("sitting", "")), Samples())
            else:
                samples = self.spans.setdefault((first, stop), Samples())
            samples.wall.extend(wall)
            samples.cpu.extend(cpu)
            samples.days.add(day)
            if joules is None or samples.joules is None:
                samples.joules = None
            else:
                samples.joules += joules
        disturbed = record.get("disturbed")
        if isinstance(disturbed, int) and disturbed > 0:
            self.disturbed += disturbed


def is_time(value: object) -> bool:
    """Whether a value from a file is a finite number, not negative."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


def _makes_sense(item: object) -> bool:
    if not isinstance(item, list) or len(item) != 5:
        return False
    first, stop, wall, cpu, joules = item
    return (
        type(first) is int
        and type(stop) is int
        and isinstance(wall, list)
        and isinstance(cpu, list)
        and 0 < len(wall) == len(cpu)
        and all(map(is_time, [*wall, *cpu]))
        and (joules is None or is_time(joules))
    )
