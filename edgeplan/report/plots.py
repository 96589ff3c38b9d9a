"""Figures of predicted, simulated and measured values: lines with bands, and points.

Every series has a marker beside its colour, so that none is told by that alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeplan.report.figures import SERIES, SYMBOLS, Figure, axis, band

Spec = dict[str, Any]

PREDICTED, SIMULATED, MEASURED = 0, 4, 2
"""Numbers of the series' colours by where a value comes from."""
PLANS = {
    "plan": 1, "all-edge": 0, "edge-pool": 5, "all-cloud": 3,
    "best-cut": 4, "min-cut": 7, "capacity-only": 6, "greedy": 2,
}  # fmt: skip
"""The same by the name of a plan."""
TALLEST = 2400


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line over a parameter.

    Parameters
    ----------
    name
        In the legend.
    series
        Number of its colour, marker and dash.
    x, y
        Its points; ``None`` leaves a gap.
    half_widths
        Of the 95 % confidence intervals; ``None`` where there are none.
    hollow
        Which points are of plans that break a limit.
    texts
        Shown with the points, in lines.
    marks
        Written at the points; none where empty.
    predicted
        Whether it is a prediction: a thin dotted line without markers.
    """

    name: str
    series: int
    x: Sequence[float | str]
    y: Sequence[float | None]
    half_widths: Sequence[float | None] | None = None
    hollow: Sequence[bool] = ()
    texts: Sequence[str] = ()
    marks: Sequence[str] = ()
    predicted: bool = False


def harmless(text: str) -> str:
    """Return text that plotly shows as it is: it would read some tags and entities.

    Examples
    --------
    >>> harmless("<b>&")
    '&lt;b&gt;&amp;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def curves(
    figure: Figure,
    found: Sequence[Curve],
    x_title: str,
    y_title: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure:
    """Return a figure with lines and bands.

    Parameters
    ----------
    figure
        Its name, label and note; data and layout are put in.
    found
        The lines; names are shown as they are.
    x_title, y_title
        Of the axes, with units.
    log_x, log_y
        Whether the axis is logarithmic.
    """
    data: list[Spec] = []
    for place, curve in enumerate(found):
        name, number = harmless(curve.name), curve.series % len(SERIES)
        if curve.half_widths is not None:
            data += _band(curve, number, name, log_y=log_y)
        symbol: str | list[str] = SYMBOLS[number]
        if any(curve.hollow):
            symbol = [SYMBOLS[number] + "-open" * hollow for hollow in curve.hollow]
        trace: Spec = {
            "type": "scatter",
            "mode": "lines" if curve.predicted else "lines+markers",
            "name": name,
            "legendgroup": name,
            "showlegend": not curve.predicted and len(found) > 1,
            "x": list(curve.x),
            "y": list(curve.y),
            "line": {
                "color": SERIES[number],
                "dash": "dot" if curve.predicted else "solid",
                "width": 1.5 if curve.predicted else 2,
            },
            "marker": {"symbol": symbol, "size": 9, "color": SERIES[number]},
        }
        if curve.texts:
            hover = [harmless(text).replace("\n", "<br>") for text in curve.texts]
            trace |= {"hovertext": hover, "hoverinfo": "text"}
        if any(curve.marks):
            trace |= {
                "mode": "lines+markers+text",
                "text": [harmless(mark) for mark in curve.marks],
                "textposition": ("top center", "bottom center", "middle right")[place % 3],
                "cliponaxis": False,
            }
        data.append(trace)
    values = [value for curve in found for value in curve.y]
    numbers = [x for curve in found for x in curve.x if isinstance(x, float)]
    vertical = _logarithmic(values) if log_y else {"rangemode": "tozero"}
    layout: Spec = {
        "xaxis": axis(harmless(x_title), **(_logarithmic(numbers) if log_x else {})),
        "yaxis": axis(harmless(y_title), **vertical),
        "hovermode": "closest",
    }
    return dataclasses.replace(figure, data=data, layout=layout)


def _band(curve: Curve, number: int, name: str, *, log_y: bool) -> list[Spec]:
    """Return the confidence band below a line."""
    assert curve.half_widths is not None
    known = [
        (x, y, width)
        for x, y, width in zip(curve.x, curve.y, curve.half_widths, strict=True)
        if y is not None and width is not None
    ]
    if not known:
        return []
    # A logarithmic axis has no place for what is not above 0.
    low = [max(y - width, y / 50) if log_y else max(0.0, y - width) for _, y, width in known]
    high = [y + width for _, y, width in known]
    return [
        {**trace, "x": [x for x, _, _ in known], "legendgroup": name}
        for trace in band(number, [], low, high)
    ]


@dataclass(frozen=True, kw_only=True)
class Dots:
    """A series of points, one for each label.

    Parameters
    ----------
    name, series, marker
        Of the series, with the number of its colour.
    values
        Where the points are; ``None`` for none.
    low, high
        Ends of an error bar, absolute; ``None`` for none.
    """

    name: str
    series: int
    marker: str
    values: Sequence[float | None]
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None


def dots(figure: Figure, labels: Sequence[str], series: Sequence[Dots], x_title: str) -> Figure:
    """Return a figure with points on horizontal lines, the first label on top.

    Parameters
    ----------
    figure
        Its name, label and note; the rest is put in.
    labels
        Of the lines; equal ones are told apart.
    series
        A point on each line.
    x_title
        Of the axis, with its unit.
    """
    names = [harmless(label) for label in _distinct(labels)]
    data = []
    for each in series:
        trace: Spec = {
            "type": "scatter",
            "mode": "markers",
            "name": each.name,
            "y": names,
            "x": list(each.values),
            "marker": {
                "color": SERIES[each.series],
                "symbol": each.marker,
                "size": 10,
                "line": {"width": 1.6, "color": SERIES[each.series]},
            },
        }
        if each.low is not None and each.high is not None:
            trace["error_x"] = _errors(each.values, each.low, each.high)
        data.append(trace)
    layout = {
        "xaxis": axis(x_title, **_logarithmic([v for each in series for v in each.values])),
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
    }
    height = min(TALLEST, 170 + 34 * len(names))
    return dataclasses.replace(figure, data=data, layout=layout, height=height, tall=True)


def _logarithmic(values: Sequence[float | None]) -> Spec:
    """Return a logarithmic axis that shows all values, with ticks at 1, 2 and 5.

    Long error bars are cut: they would press together what is to be compared.
    """
    known = [value for value in values if value is not None and value > 0]
    low, high = min(known, default=1.0) / 1.4, max(known, default=10.0) * 1.4
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _errors(
    values: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None]
) -> Spec:
    def length(end: float | None, value: float | None) -> float:
        return 0.0 if end is None or value is None else max(0.0, end - value)

    return {
        "type": "data",
        "symmetric": False,
        "array": [length(end, value) for end, value in zip(high, values, strict=True)],
        "arrayminus": [
            0.0 if end is None or value is None else max(0.0, value - end)
            for end, value in zip(low, values, strict=True)
        ],
        "thickness": 1.4,
        "width": 4,
    }


def _distinct(labels: Sequence[str]) -> list[str]:
    """Return labels of which no two are alike: plotly would put them on one line."""
    found: list[str] = []
    for label in labels:
        short = label if len(label) <= 40 else label[:39] + "…"
        number, name = 2, short
        while name in found:
            name, number = f"{short} ({number})", number + 1
        found.append(name)
    return found
