"""Charts: what plotly draws, with colours by name so that light, dark and print can differ.

A colour that begins with ``--`` is a variable of the style sheet (``--series-0``, ``--ink``);
``static/page.js`` puts in what it stands for, and draws anew when the theme changes. Fonts,
margins, grid lines and the look of axes come from there too: a figure says only what is its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SERIES = tuple(f"--series-{number}" for number in range(8))
"""Colours of series: Okabe and Ito's palette, whose colours colour-blind people can tell apart."""
DASHES = (
    "solid",
    "dash",
    "dot",
    "dashdot",
    "longdash",
    "longdashdot",
    "5px,2px,2px,2px",
    "2px,6px",
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "triangle-down", "star")
"""Lines and markers differ in shape too, for those who see no colours."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart.

    Parameters
    ----------
    id
        Name in the page: letters, digits, hyphens.
    label
        What it shows, in words, for those who do not see it.
    data, layout
        Plotly's traces and layout. Axes take their titles from ``layout``.
    note
        Caption: what the numbers are (predicted, simulated, measured), their units.
    height
        In pixels on a wide screen.
    tall
        Whether it has that height on narrow screens too: it goes with what there is to show.
    placed
        Whether a template places it (``{{ chart(figure) }}``), not the section's end.
    """

    id: str
    label: str
    data: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    height: int = 380
    tall: bool = False
    placed: bool = False

    def spec(self) -> dict[str, Any]:
        """Return what the page's code draws it from."""
        return {"data": list(self.data), "layout": dict(self.layout), "height": self.height}


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with a title; ``more`` is plotly's."""
    return {"title": {"text": title}, **more}


def line(
    number: int, name: str, x: Sequence[float], y: Sequence[float], **more: Any
) -> dict[str, Any]:
    """Return a line of a series: colour, dash and marker by its number."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": SERIES[number % 8], "dash": DASHES[number % 8], "width": 2},
        "marker": {"color": SERIES[number % 8], "symbol": SYMBOLS[number % 8], "size": 7},
        **more,
    }


def band(
    number: int, x: Sequence[float], low: Sequence[float], high: Sequence[float], **more: Any
) -> list[dict[str, Any]]:
    """Return the two traces that fill between two lines in a series' colour."""
    common = {
        "type": "scatter",
        "mode": "lines",
        "x": list(x),
        "line": {"width": 0, "color": SERIES[number % 8]},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }
    return [
        {**common, "y": list(low)},
        {**common, "y": list(high), "fill": "tonexty", "fillcolor": f"--band-{number % 8}"},
    ]
