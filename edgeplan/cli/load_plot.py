"""A picture of a sweep: predicted lines and simulated points with their errors."""

from __future__ import annotations

import importlib.util
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.comparison import Compared, Comparison

KINDS = (".svg", ".png", ".pdf")

COLOURS = {
    "all-edge": "#0072b2",
    "edge-pool": "#56b4e9",
    "all-cloud": "#d55e00",
    "best-cut": "#cc79a7",
    "min-cut": "#999999",
    "capacity-only": "#e69f00",
    "greedy": "#009e73",
    "plan": "#000000",
}
"""By plan: the palette of Okabe and Ito, which colour-blind people can tell apart."""

LABELS = {"rho": "mean load of the origins, if each serves its own (ρ)", "rate": "rates ×"}


def check(path: Path) -> None:
    """Refuse a file that no picture can be written to.

    Raises
    ------
    InputError
        With the remedy.
    """
    if path.suffix.lower() not in KINDS:
        raise InputError.at(str(path)[:200], f"a picture's name ends in {', '.join(KINDS)}")
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError.at(str(path)[:200], "cannot be written there")
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError.at(
            "--plot", "needs matplotlib; install it with: pip install 'edgeplan[plot]'"
        )


def draw(by: str, found: Sequence[tuple[float, Comparison]], path: Path) -> None:
    """Draw the mean latencies of every plan over the loads.

    Plans that coincide everywhere share a line. A hollow point is of a plan that breaks a limit.

    Parameters
    ----------
    by
        What the loads are: ``rho`` or ``rate``.
    found
        The plans at each load.
    path
        Where to; its ending says the format.
    """
    check(path)
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    # The same picture from the same numbers, and text as text.
    with mpl.rc_context({"svg.hashsalt": "edgeplan", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 4.8), layout="constrained")
        axes = figure.add_subplot()
        curves = list(_curves(found))
        for names, line, points in curves:
            colour = COLOURS.get(names[-1], "#000000")
            thick = 2.0 if "plan" in names else 1.1
            axes.plot(*zip(*line, strict=True), color=colour, lw=thick, label=", ".join(names))
            for load, mean, width, feasible in points:
                axes.errorbar(
                    [load],
                    [mean],
                    yerr=[width or 0.0],
                    fmt="o",
                    ms=4,
                    capsize=2,
                    color=colour,
                    mfc=colour if feasible else "white",
                )
        axes.set_yscale("log")
        axes.set_xlabel(LABELS[by])
        axes.set_ylabel("mean latency (ms)")
        axes.set_title(found[0][1].problem.name if found else "", fontsize=9)
        axes.grid(True, which="both", lw=0.3, alpha=0.5)
        means = [y for _, line, points in curves for y in (*(y for _, y in line), *_means(points))]
        if means:  # long error bars are cut
            axes.set_ylim(min(means) / 1.3, max(means) * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        figure.legend(
            loc="outside lower center",
            ncols=2,
            title="lines: predicted; points: simulated, ± 95 %",
            fontsize=8,
            title_fontsize=8,
        )
        buffer = io.BytesIO()
        kind = path.suffix.lower().removeprefix(".")
        about = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        figure.savefig(buffer, format=kind, metadata=about, dpi=160)
    _write(path, buffer.getvalue(), text=kind == "svg")


Point = tuple[float, float, float | None, bool]


def _curves(
    found: Sequence[tuple[float, Comparison]],
) -> Iterator[tuple[list[str], list[tuple[float, float]], list[Point]]]:
    """Yield names, predicted line and simulated points; the names of equal lines together."""
    curves: dict[tuple[tuple[float, float], ...], tuple[list[str], list[Point]]] = {}
    for name in COLOURS:
        line, points = [], []
        for load, compared in found:
            each = next((each for each in compared.plans if each.name == name), None)
            if each is None or each.baseline.evaluation is None:
                continue
            predicted = each.baseline.evaluation.latency_seconds
            if math.isfinite(predicted):
                line.append((load, round(predicted * 1e3, 6)))
            if (point := _point(load, each)) is not None:
                points.append(point)
        if line:
            curves.setdefault(tuple(line), ([], points))[0].append(name)
    for line_, (names, points) in curves.items():
        yield names, list(line_), points


def _point(load: float, each: Compared) -> Point | None:
    run = each.simulated
    if run is None:
        return None
    width = None if run.half_width is None else run.half_width * 1e3
    return load, run.latency_seconds * 1e3, width, each.feasible


def _means(points: Sequence[Point]) -> list[float]:
    return [mean for _, mean, _, _ in points]


def _write(path: Path, data: bytes, *, text: bool) -> None:
    from edgeplan.cli.output import write_text

    if text:
        lines = data.decode().splitlines()
        write_text(path, "\n".join(line.rstrip() for line in lines) + "\n")
    else:
        path.write_bytes(data)
