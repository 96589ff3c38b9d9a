"""Sections made of the same blocks: warnings, cards, a drawing, facts, charts, tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeplan.report.page import Section
from edgeplan.report.tables import Table, told

if TYPE_CHECKING:
    from markupsafe import Markup

    from edgeplan.report.figures import Figure


@dataclass(frozen=True, kw_only=True)
class Card:
    """A number that is seen first.

    Parameters
    ----------
    name, value
        What it is, and the number with its unit.
    source
        Where it comes from: predicted, simulated, measured, proved.
    tone
        ``good``, ``bad`` or nothing.
    """

    name: str
    value: str
    source: str = ""
    tone: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing with what it shows and what stands below it."""

    markup: Markup
    label: str
    note: str = ""


def section(
    name: str,
    title: str,
    lead: str = "",
    *,
    warnings: Sequence[str] = (),
    cards: Sequence[Card] = (),
    picture: Picture | None = None,
    facts: Sequence[tuple[str, str]] = (),
    figures: Sequence[Figure] = (),
    tables: Sequence[Table | None] = (),
    listed: bool = True,
) -> Section:
    """Return a section; what is empty or ``None`` is left out.

    Parameters
    ----------
    name, title, lead, listed
        As of `edgeplan.report.page.Section`, whose ``id`` is the name.
    warnings
        What must be known to read the numbers.
    cards, picture, facts, figures, tables
        The blocks, in this order.
    """
    return Section(
        id=name,
        title=title,
        lead=lead,
        template="blocks.html.j2",
        context={
            "warnings": tuple(warnings),
            "cards": tuple(cards),
            "picture": picture,
            "facts": tuple(facts),
            "tables": tuple(told(table) for table in tables if table is not None),
        },
        figures=tuple(dataclasses.replace(figure, placed=True) for figure in figures),
        styles=("streams.css", "blocks.css", *(("drawing.css",) if picture is not None else ())),
        listed=listed,
    )
