"""Tables that fit the width of the terminal; everything printed for people goes through here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeplan.cli.encodings import carries_all, in_encoding
from edgeplan.cli.output import clean_text

WIDTH_WITHOUT_TERMINAL = 140
_ASCII_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
"""`SIMPLE_HEAD` in ASCII: rich would put a whole frame in its place."""

LONGEST_TABLE = 60
"""Rows shown of a table that a file may make arbitrarily long."""

_NAMES = frozenset({"device", "figure", "link", "name", "network", "plan", "stream"})
_NAME_WIDTH = 40
_TEXT_WIDTH = 16
"""Widths that longer names and texts get at least, as long as there are optional columns to
leave out; what is longer is folded."""
_LEAST_WIDTH = 8
"""Width below which no name and no text is squeezed."""

Justify = Literal["left", "right"]


class SafeConsole(Console):
    """A console that spells what its encoding cannot carry, before anything is laid out."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print as `rich.console.Console.print` does."""
        super().print(*map(self.safe, objects), **options)

    @property
    def plain(self) -> bool:
        """Whether lines and arrows are drawn in ASCII.

        The raster fonts of old Windows consoles lack most of what is beyond it.
        """
        return self.legacy_windows or not carries_all(self.encoding)

    def safe(self, value: Any) -> Any:
        """Return text as this console can show it; anything else as it is."""
        encoding = "ascii" if self.legacy_windows else self.encoding
        if isinstance(value, Text) and (plain := in_encoding(value.plain, encoding)) != value.plain:
            value = value.copy()
            value.plain = plain
        return value


def console(*, errors: bool = False) -> SafeConsole:
    """Return the console of stdout, or of stderr; colours only on a terminal (and NO_COLOR)."""
    stream = sys.stderr if errors else sys.stdout
    width = None
    if not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = WIDTH_WITHOUT_TERMINAL
    return SafeConsole(file=stream, width=width, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Print a line of results."""
    console().print(Text(clean_text(text, 4000), style=style), soft_wrap=True)


def show(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    legend: Mapping[str, str] | None = None,
    footer: str = "",
) -> None:
    """Print a table.

    Parameters
    ----------
    title
        Above it.
    columns
        Headings; one that begins with ``>`` is aligned to the right, one that begins with
        ``?`` (before that) is left out where the terminal is narrow, the last one first;
        before all of those the ones with ``??``. Numbers and the column without a heading,
        for a tick, are never cut, names and texts folded where they must be.
    rows
        Cells; whatever is not text is printed by ``str``. More than `LONGEST_TABLE` rows are
        cut, and said to be.
    legend
        What columns hold, by heading without its marks; printed below of the columns that are
        shown, those with the same text together.
    footer
        A line below that.
    """
    every = list(rows)
    out = console()
    cells = [[out.safe(_cell(value)) for value in row] for row in every[:LONGEST_TABLE]]
    columns = [out.safe(Text(column)).plain for column in columns]
    widths = _fitting(columns, cells, out.width)
    table = Table(box=_ASCII_HEAD if out.plain else SIMPLE_HEAD, pad_edge=False)
    for index, width in widths.items():
        heading = columns[index].lstrip("?")
        justify: Justify = "right" if heading.startswith(">") else "left"
        table.add_column(
            heading.removeprefix(">"),
            justify=justify,
            overflow="fold",
            width=width,
            no_wrap=_kind(columns[index]) == "whole",
        )
    for row in cells:
        table.add_row(*(row[index] for index in widths))
    out.print(Text(clean_text(title, 200), style="bold"))
    room = out.width
    # In a terminal too narrow for its numbers a table rather breaks than loses them.
    out.width = max(room, _total(widths.values()))
    out.print(table)
    out.width = room
    if gone := [name.lstrip("?>") for i, name in enumerate(columns) if i not in widths]:
        out.print(Text(f"left out, as there is no room: {', '.join(gone)}", style="dim"))
    if len(every) > LONGEST_TABLE:
        out.print(Text(f"… and {len(every) - LONGEST_TABLE} more", style="dim"))
    shown = [columns[index].lstrip("?").removeprefix(">") for index in widths]
    explained = {out.safe(Text(heading)).plain: text for heading, text in (legend or {}).items()}
    if told := _legend(explained, shown):
        out.print(Text(clean_text(told, 2000)))
    if footer:
        out.print(Text(clean_text(footer, 2000)))
    out.print()


def _legend(legend: Mapping[str, str], shown: Sequence[str]) -> str:
    """Return what the columns that are shown hold."""
    headings: dict[str, list[str]] = {}
    for heading, text in legend.items():
        if heading in shown:
            headings.setdefault(text, []).append(heading)
    told = "; ".join(f"{', '.join(names)}: {text}" for text, names in headings.items())
    return f"{told}." if told else ""


def _kind(column: str) -> Literal["whole", "name", "text"]:
    """Say whether a column holds numbers or a tick, which are never broken, names or text."""
    heading = column.lstrip("?")
    if heading.startswith(">") or not heading:
        return "whole"
    return "name" if heading in _NAMES else "text"


def _total(widths: Iterable[int]) -> int:
    """Return the width of a table, with what is between and around its columns."""
    return sum(width + 3 for width in widths) - 1


def _fitting(columns: Sequence[str], cells: Sequence[Sequence[Text]], room: int) -> dict[int, int]:
    """Return the columns to show with their widths.

    Optional ones go until numbers are whole, names and texts of a fair width; then names and
    texts share what is left, the widest giving way first, texts before names.
    """
    widths = {
        index: max([len(column.lstrip("?>")), *(row[index].cell_len for row in cells)])
        for index, column in enumerate(columns)
    }
    fair = {"whole": max(widths.values(), default=0), "name": _NAME_WIDTH, "text": _TEXT_WIDTH}
    optional = [index for index in widths if columns[index].startswith("?")]
    optional.sort(key=lambda index: (columns[index].startswith("??"), index))
    while optional and room < _total(
        min(width, fair[_kind(columns[index])]) for index, width in widths.items()
    ):
        del widths[optional.pop()]
    for kind, least in (
        ("text", _TEXT_WIDTH),
        ("name", _TEXT_WIDTH),
        ("text", _LEAST_WIDTH),
        ("name", _LEAST_WIDTH),
    ):
        soft = [index for index in widths if _kind(columns[index]) == kind]
        while _total(widths.values()) > room:
            widest = max(soft, key=lambda index: widths[index], default=None)
            if widest is None or widths[widest] <= least:
                break
            widths[widest] -= 1
    return widths


def _cell(value: object) -> Text:
    return (
        value
        if isinstance(value, Text)
        else Text(clean_text("" if value is None else str(value), 600))
    )


def facts(title: str, pairs: Mapping[str, object]) -> None:
    """Print names and values below one another."""
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    out = console()
    for key, value in pairs.items():
        grid.add_row(out.safe(Text(clean_text(key, 40))), out.safe(_cell(value)))
    out.print(Text(clean_text(title, 200), style="bold"))
    out.print(grid)
    out.print()
