"""About how long timing will take, and how to keep it within what was asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgeplan.profiling.samples import Span
from edgeplan.profiling.timing import Effort

SITTING_SECONDS = 20.0
"""Spans are timed together for about so long: drift of the machine then hits all alike."""

SITTING_SPANS = 16
"""Spans timed together where it is not known how long they take."""

CUT_SECONDS = 0.1
"""Roughly what cutting out and opening a part takes."""

_LEAST_EFFORT = 1 / 64
"""Lower than this share of the effort goes no budget."""


@dataclass(frozen=True)
class Estimate:
    """About how long timing takes.

    Parameters
    ----------
    layers
        Number of them.
    guesses
        Roughly the seconds of one run of each layer; empty where not known.
    effort
        How long each span is measured.
    """

    layers: int
    guesses: tuple[float, ...]
    effort: Effort

    @property
    def known(self) -> bool:
        """Whether there is a guess for each layer."""
        return len(self.guesses) == self.layers

    def span(self, first: int, stop: int) -> float:
        """Return about how long timing a span will take, all its runs together, in seconds."""
        if not self.known:
            return SITTING_SECONDS / (SITTING_SPANS + 1)
        once = math.fsum(self.guesses[first:stop])
        runs = self.effort.warmup + self.effort.repeats
        fewest = self.effort.warmup + self.effort.least
        return max(
            min(once * runs, self.effort.part_seconds), once * fewest, self.effort.short_seconds
        )

    def whole(self) -> float:
        """Return about how long timing the unsplit network will take in each sitting."""
        return self.span(0, self.layers)

    def total(self, wanted: Sequence[Span]) -> float:
        """Return about how long timing every span will take."""
        seconds = math.fsum(self.span(*span) + CUT_SECONDS for span in wanted)
        return seconds + math.ceil(seconds / SITTING_SECONDS) * self.whole()

    def effort_within(self, budget_seconds: float, wanted: Sequence[Span]) -> Effort:
        """Return the effort lowered as far as a budget asks, down to the fewest runs of a span.

        It follows from the guesses alone, which the store keeps, so taking up an interrupted
        run lowers it alike.
        """
        if not self.known:
            return self.effort
        found = self
        least = self.effort.part_seconds * _LEAST_EFFORT
        while found.total(wanted) > budget_seconds and found.effort.part_seconds > least:
            part_seconds = found.effort.part_seconds / 2
            effort = replace(
                found.effort,
                part_seconds=part_seconds,
                short_seconds=min(found.effort.short_seconds, part_seconds),
            )
            found = replace(found, effort=effort)
        return found.effort
