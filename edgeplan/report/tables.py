"""Tables of a page: text, numbers and bars, ready to be written down by ``table.html.j2``.

A bar is drawn by the style sheet from shares of its cell, and its numbers stand beside it: the
table is the picture and its text alternative at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

Tone = Literal["", "good", "bad", "quiet", "strong"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a bar.

    Parameters
    ----------
    start, length
        Shares of the bar's full width, 0 to 1.
    kind
        A class of the style sheet: ``compute``, ``transfer``, ``wait``, ``busy``, ``other``….
    title
        What it is, with its number.
    """

    start: float
    length: float
    kind: str
    title: str

    @property
    def left(self) -> str:
        """Where it begins, in percent for the style sheet."""
        return f"{100 * min(1.0, max(0.0, self.start)):.3f}"

    @property
    def width(self) -> str:
        """How long it is, in percent for the style sheet."""
        room = 1.0 - min(1.0, max(0.0, self.start))
        return f"{100 * min(room, max(0.0, self.length)):.3f}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell.

    Parameters
    ----------
    text
        What it says.
    tone
        How it is set: ``good`` and ``bad`` say in words what the colour says again.
    stream
        Number of a stream whose colour stands before the text; ``None`` for no colour.
    bar
        Pieces of a bar; none in a cell of text.
    mark
        Where a limit stands on the bar, as a share of its width.
    mark_title
        What the mark is.
    whisker
        A thin line over the bar: the spread of its value.
    """

    text: str = ""
    tone: Tone = ""
    stream: int | None = None
    bar: tuple[Part, ...] = ()
    mark: float | None = None
    mark_title: str = ""
    whisker: Part | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Parameters
    ----------
    name
        Its heading.
    number
        Whether its cells are numbers, set to the right.
    minor
        Whether it is left out on a narrow screen.
    bar
        Whether its cells are bars.
    words
        Whether its cells are sentences, which need room.
    """

    name: str
    number: bool = False
    minor: bool = False
    bar: bool = False
    words: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Parameters
    ----------
    caption
        What it shows, and whether that is predicted, simulated, measured or proved.
    columns, rows
        Headings and cells.
    note
        Below it; empty for none.
    legend
        Kinds of the bars' pieces with their meaning.
    folded
        Whether it can be folded away, so that only its caption is seen.
    opened
        Whether what can be folded is open at first.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    folded: bool = False
    opened: bool = False


def columns(*names: str) -> tuple[Column, ...]:
    """Return columns by their names and the signs before them.

    ``>`` sets to the right, ``?`` is minor, ``=`` has bars, ``*`` has sentences.

    Examples
    --------
    >>> columns("device", "?>power")[1]
    Column(name='power', number=True, minor=True, bar=False, words=False)
    """
    found = []
    for name in names:
        bare = name.lstrip("?>=*")
        signs = name[: len(name) - len(bare)]
        found.append(
            Column(
                name=bare,
                number=">" in signs,
                minor="?" in signs,
                bar="=" in signs,
                words="*" in signs,
            )
        )
    return tuple(found)


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """Return cells; a text is a cell of nothing else."""
    return tuple(Cell(text=cell) if isinstance(cell, str) else cell for cell in cells)


def plain_bar(value: float | None, full: float, kind: str, title: str) -> tuple[Part, ...]:
    """Return a bar of one piece.

    Parameters
    ----------
    value
        Its length, in the unit of ``full``; none where not known.
    full
        What the whole width stands for.
    kind, title
        Of the piece.
    """
    if value is None or not full > 0 or not value > 0:
        return ()
    return (Part(start=0.0, length=value / full, kind=kind, title=title),)


def told(table: Table) -> Table:
    """Return a table without the columns that say nothing in any row."""
    kept = [
        number
        for number in range(len(table.columns))
        if not table.rows or any(cells[number].text or cells[number].bar for cells in table.rows)
    ]
    return dataclasses.replace(
        table,
        columns=tuple(table.columns[number] for number in kept),
        rows=tuple(tuple(cells[number] for number in kept) for cells in table.rows),
    )
