"""What the pages of both kinds of run say in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgeplan.cli import units
from edgeplan.report import stated
from edgeplan.report.blocks import Card
from edgeplan.report.stated import Stated, number, part, parts, text
from edgeplan.report.tables import Cell, Part, plain_bar

MOST_ROWS = 400
"""Rows of a table."""
MARK_LEGEND = ("mark-sample", "predicted")


def equal_card(streams: Sequence[Stated]) -> Card:
    """Return the card that says whether the outputs equal those of the unsplit networks."""
    equal = [each.get("strict_equal") for each in streams]
    known = [each for each in equal if isinstance(each, bool)]
    good = bool(known) and all(known)
    return Card(
        name="Outputs of the split networks",
        value=("bit-exact" if good else "DIFFER") if known else units.MISSING,
        source="measured, against the unsplit networks, optimisation off",
        tone=("good" if good else "bad") if known else "",
    )


def machine_facts(document: Stated) -> list[tuple[str, str]]:
    """Return how a run was made."""
    emulated = document.get("links_emulated")
    found = [
        ("threads of each worker", units.number(number(document.get("threads")))),
        (
            "links",
            "held to the times of the instance's links (emulated)"
            if emulated
            else "what they are (real)",
        ),
    ]
    if (cores := number(document.get("cores"))) is not None:
        found.append(("cores of this machine", units.number(cores)))
    return found


def layers_words(stage: Stated) -> str:
    """Return a stage in words: its device and its layers."""
    device = text(stage.get("device"), 30)
    first, stop = stated.pair(stage.get("layers"))
    if first is None or stop is None:
        return device
    last = int(stop) - 1
    return f"{device}: layer {last}" if last == first else f"{device}: layers {first:.0f}–{last}"


def link_words(transfer: Stated) -> str:
    """Return the ends of a transfer."""
    return f"{text(transfer.get('source'), 30)} → {text(transfer.get('target'), 30)}"


def longest(values: Iterable[float | None]) -> float:
    """Return what the bars of a table end at."""
    return 1.05 * max((value for value in values if value is not None), default=0.0) or 1.0


def bullet(
    predicted: float | None,
    measured: float | None,
    low: float | None,
    high: float | None,
    full: float,
    spread: str,
) -> Cell:
    """Return a bar of what was measured, its spread as a line, with a mark at the prediction."""
    whisker = None
    if low is not None and high is not None and high > low:
        ends = f"{units.seconds(low)} to {units.seconds(high)}"
        whisker = Part(
            start=low / full, length=(high - low) / full, kind="", title=f"{spread}: {ends}"
        )
    return Cell(
        bar=plain_bar(measured, full, "measured", f"measured {units.seconds(measured)}"),
        whisker=whisker,
        mark=None if predicted is None else predicted / full,
        mark_title=f"predicted {units.seconds(predicted)}",
    )


def worst(stream: Stated, key: str) -> float | None:
    """Return the largest of a measured number over a stream's routes."""
    found = [number(part(route, "measured").get(key)) for route in parts(stream, "routes")]
    return max((value for value in found if value is not None), default=None)


def signed(value: float | None) -> str:
    """Return a share with its sign, in percent."""
    return units.MISSING if value is None else f"{value * 100:+.1f} %"


def short(value: float | None) -> str:
    """Return a number to two digits."""
    return units.MISSING if value is None else f"{value:.2g}"


def equality(value: object) -> Cell:
    """Return the cell that says whether outputs are equal."""
    if not isinstance(value, bool):
        return Cell(text=units.MISSING)
    return Cell(text="bit\u2011exact" if value else "DIFFER", tone="good" if value else "bad")


def milli(values: Sequence[float | None]) -> list[float | None]:
    """Return seconds in milliseconds."""
    return [None if value is None else value * 1e3 for value in values]


def left_out(count: int, noun: str) -> str:
    """Say how many rows a table leaves out; empty for none."""
    more = count - MOST_ROWS
    return f"{units.counted(more, f'more {noun}')} left out." if more > 0 else ""
