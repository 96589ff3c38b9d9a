"""The page of a front, or of several laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeplan.pareto.files import read_front
from edgeplan.report.page import Page, Section

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source


def page(sources: Sequence[Source], problem: Problem | None = None) -> Page:
    """Return the page of fronts.

    Parameters
    ----------
    sources
        The fronts, and CSV files of points.
    problem
        Their instance, where it was given.
    """
    front = read_front(sources[0].file)
    return Page(
        kind="front",
        title=f"Front of {front.instance or sources[0].name}",
        subtitle=f"{len(front)} plans that no other beats in {', '.join(front.objectives)}",
        sections=(Section(id="front", title="Front", scripts=("front.js",)),),
        sources=tuple(source.name for source in sources),
        facts={"points": len(front)},
    )
