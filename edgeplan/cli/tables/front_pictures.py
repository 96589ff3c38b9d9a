"""Fronts as text: two objectives across, the third as a digit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli.tables.table import console

if TYPE_CHECKING:
    from edgeplan.pareto.front import Front
    from edgeplan.pareto.objectives import Criterion

PICTURE_WIDTH, PICTURE_HEIGHT = 72, 14
"""Characters at most, without the labels."""
KNEE, CHOSEN = "K", "X"
_COLOURS = ("blue", "cyan", "green", "yellow", "magenta")
"""Of digits, two in each."""


def head(criterion: Criterion) -> str:
    """Return what an objective's values are called: those of throughput are periods."""
    return "period" if criterion.name == "throughput" else criterion.name


def front_picture(found: Front, chosen: int | None = None) -> None:
    """Print the points over the first two objectives.

    Parameters
    ----------
    found
        A front with two points or more.
    chosen
        Number of the point that is marked `CHOSEN`; the knee is marked `KNEE`.
    """
    criteria = found.criteria[:3]
    x, y = criteria[0], criteria[1]
    marks: dict[int, str] = {}
    if (knee := _knee(found)) is not None:
        marks[knee] = KNEE
    if chosen is not None:
        marks[chosen] = CHOSEN
    out = console()
    out.print(Text(f"{head(y)} (up) over {head(x)} (right), predicted", style="bold"))
    values = [point.values[:3] for point in found.points]
    if len({value[2:] for value in values}) == 1:  # alike in the third: no digits
        values = [value[:2] for value in values]
    margin = max(len(y.show(value[1])) for value in values)
    width = max(10, min(PICTURE_WIDTH, out.width - margin - 2))
    for line in picture(values, (x, y), width, marks=marks):
        out.print(_coloured(line), no_wrap=True, overflow="crop")
    words = []
    if len(criteria) > 2:
        low, high = (pick(point.values[2] for point in found.points) for pick in (min, max))
        words.append(
            f"digits: {head(criteria[2])} from 0 ({criteria[2].show(low)}) to 9 "
            f"({criteria[2].show(high)}), of several in one place the least"
            if high > low
            else f"{head(criteria[2])} of all: {criteria[2].show(low)}"
        )
    if chosen is not None:
        also = ", which is the knee" if chosen == knee else ""
        words.append(f"{CHOSEN}: the point chosen{also}")
    if knee is not None and chosen != knee:
        words.append(f"{KNEE}: the knee")
    if words:
        out.print(Text("; ".join(words), style="dim"))
    out.print()


def _knee(found: Front) -> int | None:
    from edgeplan.pareto.indicators import array
    from edgeplan.pareto.knees import find_knee

    knee = find_knee(array(found.values, len(found.objectives)), "hyperplane")
    return None if knee is None else knee.index


def _coloured(line: str) -> Text:
    """Return a line of a picture with its digits in colours, its marks bold."""
    label, bar, points = line.partition("│")
    if not bar:
        return Text(line)
    text = Text(label + bar)
    for mark in points:
        style = f"{_COLOURS[int(mark) // 2]}" if mark.isdigit() else ""
        text.append(mark, style="bold reverse" if mark in (KNEE, CHOSEN) else style)
    return text


def picture(
    values: Sequence[Sequence[float]],
    axes: tuple[Criterion, Criterion],
    width: int = PICTURE_WIDTH,
    height: int = PICTURE_HEIGHT,
    *,
    marks: Mapping[int, str] | None = None,
) -> Iterator[str]:
    """Yield the lines of a picture of points.

    Parameters
    ----------
    values
        Two or three numbers each: right, up, and the digit. Of points in one place that with the
        least digit is shown.
    axes
        The first two objectives.
    width, height
        In characters, without the labels.
    marks
        Characters of some points, by number: shown in front of all others.
    """
    ranges = [(min(column), max(column)) for column in zip(*values, strict=True)]
    cells: dict[tuple[int, int], str] = {}
    marked: dict[tuple[int, int], str] = {}
    for number, point in enumerate(values):
        at = [_share(value, *ranges[k]) for k, value in enumerate(point)]
        place = round(at[1] * (height - 1)), round(at[0] * (width - 1))
        mark = "•" if len(at) < 3 else str(min(9, int(at[2] * 10)))
        cells[place] = min(cells.get(place, mark), mark)
        if marks and number in marks:
            # The last of two in one place: the chosen point before the knee.
            marked[place] = max(marked.get(place, ""), marks[number])
    cells |= marked
    labels = {height - 1: axes[1].show(ranges[1][1]), 0: axes[1].show(ranges[1][0])}
    margin = max(map(len, labels.values()))
    for row in reversed(range(height)):
        line = "".join(cells.get((row, column), " ") for column in range(width))
        yield f"{labels.get(row, ''):>{margin}} │{line}".rstrip()
    yield f"{'':>{margin}} └{'─' * width}"
    low, high = axes[0].show(ranges[0][0]), axes[0].show(ranges[0][1])
    yield f"{'':>{margin}}  {low}{high:>{max(width - len(low), len(high) + 1)}}"


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.0
