"""Tables that fit the width of the terminal; everything printed for people goes through here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgeplan.cli.output import clean_text

WIDTH_WITHOUT_TERMINAL = 140
LONGEST_TABLE = 60
"""Rows shown of a table that a file may make arbitrarily long."""

_NAMES = frozenset({"device", "figure", "limits", "link", "name", "network", "plan", "stream"})

Justify = Literal["left", "right"]


def console(*, errors: bool = False) -> Console:
    """Return the console of stdout, or of stderr; colours only on a terminal (and NO_COLOR)."""
    stream = sys.stderr if errors else sys.stdout
    width = None
    if not stream.isatty() and not os.environ.get("COLUMNS", "").isdigit():
        width = WIDTH_WITHOUT_TERMINAL
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def say(text: str, style: str = "") -> None:
    """Print a line of results."""
    console().print(Text(clean_text(text, 4000), style=style), soft_wrap=True)


def show(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    footer: str = "",
) -> None:
    """Print a table.

    Parameters
    ----------
    title
        Above it.
    columns
        Headings; one that begins with ``>`` is aligned to the right, one that begins with
        ``?`` (before that) is left out where the terminal is narrow, the last one first.
    rows
        Cells; whatever is not text is printed by ``str``. More than `LONGEST_TABLE` rows are
        cut, and said to be.
    footer
        A line below it.
    """
    every = list(rows)
    cells = [[_cell(value) for value in row] for row in every[:LONGEST_TABLE]]
    out = console()
    kept = _fitting(columns, cells, out.width)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index in kept:
        heading = columns[index].removeprefix("?")
        whole = _in_one_piece(columns[index])
        justify: Justify = "right" if heading.startswith(">") else "left"
        table.add_column(
            heading.removeprefix(">"),
            justify=justify,
            overflow="ellipsis" if whole else "fold",
            no_wrap=whole,
        )
    for row in cells:
        table.add_row(*(row[index] for index in kept))
    out.print(Text(clean_text(title, 200), style="bold"))
    out.print(table)
    if len(every) > LONGEST_TABLE:
        out.print(Text(f"… and {len(every) - LONGEST_TABLE} more", style="dim"))
    if footer:
        out.print(Text(clean_text(footer, 2000)))
    out.print()


def _in_one_piece(column: str) -> bool:
    """Say whether a column holds numbers or names, which are not broken over lines."""
    heading = column.removeprefix("?")
    return heading.startswith(">") or heading in _NAMES


def _fitting(columns: Sequence[str], cells: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Return the columns to show: optional ones go, the last first, until the rest fit."""

    def needed(index: int) -> int:
        heading = columns[index].lstrip("?>")
        longest = max([len(heading), *(row[index].cell_len for row in cells)])
        return min(longest, 40 if _in_one_piece(columns[index]) else 24)

    kept = list(range(len(columns)))
    optional = [index for index in kept if columns[index].startswith("?")]
    while optional and sum(needed(index) + 3 for index in kept) > width:
        kept.remove(optional.pop())
    return kept


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
    for key, value in pairs.items():
        grid.add_row(Text(clean_text(key, 40)), _cell(value))
    out = console()
    out.print(Text(clean_text(title, 200), style="bold"))
    out.print(grid)
    out.print()
