"""The page of an instance planned over ranges of its parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.instances.document import parse_json, read_document, read_text
from edgeplan.instances.units import DIMENSIONS, UnitError
from edgeplan.model.errors import InputError
from edgeplan.pareto.front import route_words
from edgeplan.report import plots, stated
from edgeplan.report.blocks import section
from edgeplan.report.figures import Figure
from edgeplan.report.page import Page
from edgeplan.report.plots import Curve
from edgeplan.report.stated import Stated, number, text
from edgeplan.report.tables import Cell, Table, columns, row
from edgeplan.sweeps.points import POINT_FORMAT
from edgeplan.sweeps.sweep import INSTANCE_NAME, POINTS_NAME

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source

MAX_BYTES = 500_000_000
MOST_POINTS = 5000
MOST_LINES = 8
"""Lines in a picture: as many as there are colours."""
MOST_ROWS = 500
QUANTITIES: tuple[tuple[str, str, str, float, Callable[[float | None], str]], ...] = (
    ("objective", "Objective", "objective", 1.0, units.number),
    ("latency_seconds", "Latency", "latency (ms)", 1e3, units.seconds),
    ("energy_joules", "Energy", "energy (mJ)", 1e3, units.joules),
    ("cost_dollars", "Cost", "cost (µ$)", 1e6, units.dollars),
)
"""Key, name, axis, factor to the axis's unit, and how it is printed."""


@dataclass(frozen=True, kw_only=True)
class SweptPoint:
    """What was planned with some settings.

    Parameters
    ----------
    settings
        Value by parameter, as written.
    found
        What came of it, as the file states it.
    plan
        Its routes on one line; empty where there is none.
    """

    settings: Mapping[str, str]
    found: Stated
    plan: str


def page(sources: Sequence[Source], problem: Problem | None) -> Page:
    """Return the page of a sweep's folder, or of what ``edgeplan sweep --json`` printed.

    Parameters
    ----------
    sources
        One file: the folder's header, or the JSON.
    problem
        Not needed: the folder says all.

    Raises
    ------
    InputError
        If there are no points.
    """
    (source,) = sources
    if source.kind == "sweep":
        folder = source.file.parent
        trees = list(_kept(folder / POINTS_NAME))
        name = _name(folder / INSTANCE_NAME)
    else:
        document = read_document(source.file, max_bytes=MAX_BYTES).value
        if not isinstance(document, dict):
            raise InputError.at(source.name, "is not a sweep")
        trees = stated.parts(document, "points")[:MOST_POINTS]
        name = text(document.get("instance"))
    return sweep_page([_point(tree) for tree in trees], name, [source.name])


def _kept(folder: Path) -> Iterable[Stated]:
    """Yield the points of a folder; one that is being written or torn is left out."""
    for file in sorted(folder.glob("*.json"))[:MOST_POINTS]:
        try:
            tree = parse_json(read_text(file, max_bytes=MAX_BYTES)).value
        except InputError:
            continue
        if isinstance(tree, dict) and tree.get("format") == POINT_FORMAT:
            yield tree


def _name(file: Path) -> str:
    try:
        tree = read_document(file, max_bytes=MAX_BYTES).value
    except InputError:
        return ""
    return text(tree.get("name")) if isinstance(tree, dict) else ""


def _point(tree: Stated) -> SweptPoint:
    from edgeplan.instances.plans import plan_from_tree

    settings = {text(key): _written(value) for key, value in stated.part(tree, "settings").items()}
    words = ""
    if isinstance(tree.get("plan"), Mapping):
        try:
            plan = plan_from_tree(dict(tree["plan"]))
        except InputError:
            words = "cannot be read"
        else:
            several = len(plan.routes) > 1
            words = "; ".join(
                (f"{name}: " if several else "") + route_words(routes)
                for name, routes in plan.routes.items()
            )
    return SweptPoint(settings=settings, found=tree, plan=words)


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:80]


def sweep_page(points: Sequence[SweptPoint], name: str = "", sources: Sequence[str] = ()) -> Page:
    """Return the page of points.

    Parameters
    ----------
    points
        In any order. Where some vary other parameters than most do, these are left out.
    name
        Of the instance.
    sources
        Names of the files, for the page's foot.

    Raises
    ------
    InputError
        If there are none.
    """
    if not points:
        raise InputError.at("points", "there are none: the sweep has no finished point")
    ((names, _),) = Counter(tuple(point.settings) for point in points).most_common(1)
    kept = [point for point in points if tuple(point.settings) == names]
    scales = {each: Scale.of([point.settings[each] for point in kept]) for each in names}
    kept.sort(key=lambda point: [scales[each].place(point.settings[each]) for each in names])
    # The parameter with most values goes along the axis; the others make lines.
    along = max(names, key=lambda each: len(scales[each].order), default="")
    lines: dict[tuple[str, ...], list[SweptPoint]] = {}
    for point in kept:
        key = tuple(point.settings[each] for each in names if each != along)
        lines.setdefault(key, []).append(point)
    labels = {
        key: ", ".join(
            f"{each} = {value}"
            for each, value in zip((n for n in names if n != along), key, strict=True)
        )
        or "plan"
        for key in lines
    }
    letters = _letters(kept)
    warnings = []
    if left := len(points) - len(kept):
        warnings.append(f"{units.counted(left, 'point')} vary other parameters: not shown.")
    if (more := len(lines) - MOST_LINES) > 0:
        warnings.append(f"{units.counted(more, 'more line')} in the table only.")
    shown = list(lines.items())[:MOST_LINES]
    figures = [
        _figure(quantity, [(labels[key], found) for key, found in shown], along, scales, letters)
        for quantity in QUANTITIES
        if _tells(quantity[0], kept)
    ]
    infeasible = sum(text(point.found.get("status")) == "infeasible" for point in kept)
    facts = [
        ("different plans", str(len(letters))),
        ("points without any plan that keeps the limits", str(infeasible)),
    ]
    return Page(
        kind="sweep",
        title=f"{name} over {' and '.join(names)}" if name else f"Sweep over {' and '.join(names)}",
        subtitle=f"{units.counted(len(kept), 'point')}, each planned on its own.",
        sections=(
            section(
                "sweep",
                "Over the parameter",
                "Predicted by the evaluator, of the plan that was found at each point. A letter "
                "names the plan from there on.",
                warnings=warnings,
                facts=facts,
                figures=figures,
            ),
            section("points", "Points", tables=(_table(kept, names, letters),)),
            section("plans", "Plans", tables=(_plans(letters),)),
        ),
        sources=tuple(sources),
        facts={"points": len(kept), "plans": len(letters)},
    )


@dataclass(frozen=True)
class Scale:
    """An axis of a parameter's values.

    Parameters
    ----------
    order
        Values as written, in order.
    numbers
        Their numbers in one unit; empty where they are no numbers.
    unit
        That unit; empty for plain numbers.
    even
        Whether the numbers are spread evenly by ratio rather than by difference.
    """

    order: tuple[str, ...]
    numbers: tuple[float, ...]
    unit: str
    even: bool = False

    @classmethod
    def of(cls, values: Iterable[str]) -> Scale:
        """Return the scale of values, each perhaps many times.

        Examples
        --------
        >>> Scale.of(["10 Mbit/s", "500 kbit/s", "10 Mbit/s"])
        Scale(order=('500 kbit/s', '10 Mbit/s'), numbers=(62500.0, 1250000.0), unit='B/s', even=True)
        >>> Scale.of(["wifi", "lan"]).numbers
        ()
        """  # noqa: E501  # a line of output
        distinct = list(dict.fromkeys(values))
        parsed, unit = _parsed(distinct)
        if not parsed:
            return cls(tuple(distinct), (), "")
        pairs = sorted(zip(parsed, distinct, strict=True))
        numbers = tuple(value for value, _ in pairs)
        even = numbers[0] > 0 and numbers[-1] > 8 * numbers[0]
        return cls(tuple(word for _, word in pairs), numbers, unit, even)

    def place(self, value: str) -> int:
        """Return the place of a value in the order."""
        return self.order.index(value)

    def at(self, value: str) -> float | str:
        """Return where a value stands on the axis."""
        return self.numbers[self.place(value)] if self.numbers else value


_SUFFIX = re.compile(r"[-+0-9.eE]+\s*(.*)", re.DOTALL)


def _parsed(values: Sequence[str]) -> tuple[list[float], str]:
    """Return values as numbers in one unit: that in which all are written, else the base unit."""
    matches = [_SUFFIX.fullmatch(value) for value in values]
    suffixes = {match[1] for match in matches if match is not None}
    if all(matches) and len(suffixes) == 1:
        (suffix,) = suffixes
        try:
            return [float(value.removesuffix(suffix)) for value in values], suffix
        except ValueError:
            return [], ""
    for dimension in DIMENSIONS.values():
        try:
            return [dimension.parse(value) for value in values], dimension.base
        except UnitError:
            continue
    return [], ""


def _letters(points: Sequence[SweptPoint]) -> dict[str, str]:
    """Return a short name for each plan, in the order in which they come up."""
    found: dict[str, str] = {}
    for point in points:
        if point.plan and point.plan not in found:
            place, name = len(found), ""
            while place >= 0:
                place, letter = divmod(place, 26)
                name = chr(ord("A") + letter) + name
                place -= 1
            found[point.plan] = name
    return found


def _tells(key: str, points: Sequence[SweptPoint]) -> bool:
    """Return whether a quantity has something to show: it is not 0 everywhere."""
    return any(number(point.found.get(key)) for point in points)


def _figure(
    quantity: tuple[str, str, str, float, Callable[[float | None], str]],
    lines: Sequence[tuple[str, Sequence[SweptPoint]]],
    along: str,
    scales: Mapping[str, Scale],
    letters: Mapping[str, str],
) -> Figure:
    key, name, axis, factor, unit = quantity
    scale = scales[along]
    curves = []
    for place, (label, points) in enumerate(lines):
        values = [number(point.found.get(key)) for point in points]
        curves.append(
            Curve(
                name=label,
                series=place,
                x=[scale.at(point.settings[along]) for point in points],
                y=[None if value is None else value * factor for value in values],
                texts=[
                    f"{label}\n{along} = {point.settings[along]}\n{name.lower()} {unit(value)}\n"
                    f"plan {letters.get(point.plan, '–')}"
                    for point, value in zip(points, values, strict=True)
                ],
                marks=_changes(points, letters),
            )
        )
    return plots.curves(
        Figure(
            id=key.partition("_")[0],
            label=f"{name} over {along}; the table of points has the same numbers",
            data=(),
            note=f"{name}, predicted.",
        ),
        curves,
        along + (f" ({scale.unit})" if scale.unit else ""),
        axis,
        log_x=scale.even,
    )


def _changes(points: Sequence[SweptPoint], letters: Mapping[str, str]) -> list[str]:
    """Return the plan's letter for each point where it is another than at the point before."""
    found = [letters.get(point.plan, "") for point in points]
    return [
        letter if place == 0 or letter != found[place - 1] else ""
        for place, letter in enumerate(found)
    ]


def _table(points: Sequence[SweptPoint], names: Sequence[str], letters: Mapping[str, str]) -> Table:
    rows = []
    for point in points[:MOST_ROWS]:
        status = text(point.found.get("status"))
        rows.append(
            row(
                *(point.settings[name] for name in names),
                Cell(text=letters.get(point.plan, units.MISSING), tone="strong"),
                Cell(text=status, tone="bad" if status in ("infeasible", "unknown") else ""),
                *(unit(number(point.found.get(key))) for key, _, _, _, unit in QUANTITIES),
                units.number(number(point.found.get("bound"))),
                units.gap(number(point.found.get("gap"))),
                text(point.found.get("basis")).partition(":")[0],
            )
        )
    more = len(points) - len(rows)
    return Table(
        caption="Every point (predicted; bounds as the solver's certificate states them)",
        columns=columns(
            *(f">{name}" for name in names),
            *("plan", "status", ">objective", "?>latency", "?>energy", "?>cost"),
            *("?>bound", "?>gap", "?*basis of the bound"),
        ),
        rows=tuple(rows),
        note=f"{units.counted(more, 'more point')} in the folder's table." if more > 0 else "",
    )


def _plans(letters: Mapping[str, str]) -> Table:
    return Table(
        caption="Plans that were found, a stage as device[first–last layer]",
        columns=columns("plan", "*routes"),
        rows=tuple(
            row(letter, text(words, 600)) for words, letter in list(letters.items())[:MOST_ROWS]
        ),
    )
