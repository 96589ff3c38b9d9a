"""Small drawings of plans: tiers as columns, stages as boxes, transfers as arrows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.plans import MOST_STAGES, waits_matter
from edgeplan.cli.tables.table import console

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Evaluation, RoutePrice, Transfer
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Problem

MOST_LINES = 48
"""Lines drawn; of streams beyond them it is only said how many there are."""
_LEAST_COLUMN, _FAIR_COLUMN, _MOST_COLUMN = 20, 38, 46
"""Widths of a column: the least at which there are columns at all, that from which a column is
drawn although nothing is in it, and the largest."""
_LONGEST_NAME = 24
_TIERS: Mapping[str, int] = {"device": 0, "edge": 1, "cloud": 3}
"""Tiers whose place is known; others come between edge and cloud."""
_STYLES = ("green", "cyan", "magenta", "yellow", "blue")


@dataclass(frozen=True)
class _Stop:
    """A device on the way of a request.

    Parameters
    ----------
    device
        Its name.
    label
        What it does there, drawn as a box; empty where the request only starts or ends there.
    arrivals
        What comes, and from which device: the way from the stop before first.
    """

    device: str
    label: str
    arrivals: tuple[tuple[str, str], ...] = ()

    @property
    def box(self) -> str:
        name = clean_text(self.device, _LONGEST_NAME)
        return f"[{name} {self.label}]" if self.label else f"({name})"


@dataclass(frozen=True)
class _Way:
    """The way of the requests of a stream along one route."""

    title: str
    about: str
    stops: tuple[_Stop, ...]


def drawing(problem: Problem, evaluation: Evaluation) -> None:
    """Draw where the stages of every stream run, what each takes and what moves between them.

    Nothing is drawn of plans with so many stages that their tables are summed up by device.
    """
    if sum(len(r.stages) for price in evaluation.streams for r in price.routes) > MOST_STAGES:
        return
    tiers = sorted(
        dict.fromkeys(device.tier for device in problem.devices),
        key=lambda tier: _TIERS.get(tier, 2),
    )
    used = {device.name: device.tier for device in problem.devices}
    _draw("Where the stages run (predicted)", list(_ways(problem, evaluation)), used, tiers)


def plan_drawing(made: Plan) -> None:
    """Draw a plan without its problem: a column for each device, layers by number."""
    from edgeplan.model.network import stages

    ways = []
    for name, routes in made.routes.items():
        for number, route in enumerate(routes):
            stops: list[_Stop] = []
            for device, first, stop in stages(route.devices):
                arrivals = ((stops[-1].device, ""),) if stops else ()
                layers = f"{first}–{stop - 1}" if stop - first > 1 else f"{first}"
                stops.append(_Stop(device, layers, arrivals))
            share = "" if len(routes) == 1 else units.percent(route.fraction)
            ways.append(_Way(_numbered(name, number, len(routes)), share, tuple(stops)))
    if sum(len(way.stops) for way in ways) > MOST_STAGES:
        return
    devices = list(dict.fromkeys(stop.device for way in ways for stop in way.stops))
    columns = dict(zip(devices, devices, strict=True))
    _draw("Where the layers run (by number)", ways, columns, devices)


def _numbered(name: str, number: int, count: int) -> str:
    return clean_text(name, 40) + (f" #{number + 1}" if count > 1 else "")


# --- what is drawn ------------------------------------------------------------------------------


def _ways(problem: Problem, evaluation: Evaluation) -> Iterator[_Way]:
    for price in evaluation.streams:
        stream = problem.stream[price.name]
        for number, route in enumerate(price.routes):
            about = [units.seconds(route.latency_seconds)]
            if len(price.routes) > 1:
                about.insert(0, units.percent(route.fraction))
            if route.batch > 1:
                about.append(f"in batches of {route.batch}")
            if math.isfinite(stream.deadline_seconds):
                about.append(f"deadline {units.seconds(stream.deadline_seconds)}")
            yield _Way(
                _numbered(price.name, number, len(price.routes)),
                ", ".join(about),
                tuple(_stops(stream.origin, route, waits_matter(problem))),
            )


def _stops(origin: str, route: RoutePrice, waits: bool) -> Iterator[_Stop]:
    before = origin
    if route.stages and route.stages[0].device != origin:
        yield _Stop(origin, "")
    for stage in route.stages:
        label = units.seconds(stage.seconds)
        if waits and stage.wait_seconds:
            label += f", waits {units.seconds(stage.wait_seconds)}"
        first = [t for t in stage.transfers if t.source == before]
        others = [t for t in stage.transfers if t.source != before]
        arrivals = tuple((t.source, _moved(t)) for t in (*first, *others))
        yield _Stop(stage.device, label, arrivals)
        before = stage.device
    back = sorted(route.returned, key=lambda transfer: transfer.source != before)
    if back:
        yield _Stop(origin, "", tuple((t.source, f"results {_moved(t)}") for t in back))


def _moved(transfer: Transfer) -> str:
    label = f"{units.size(transfer.bytes)}, {units.seconds(transfer.seconds)}"
    if transfer.wait_seconds:
        label += f", waits {units.seconds(transfer.wait_seconds)}"
    return label


# --- how it is drawn ----------------------------------------------------------------------------


def _draw(
    title: str, ways: Sequence[_Way], column_of: Mapping[str, str], columns: Sequence[str]
) -> None:
    """Print ways below each other, in columns where there is room for them."""
    out = console()
    if not ways:
        return
    used = {column_of[stop.device] for way in ways for stop in way.stops}
    shown = list(columns)
    if len(shown) * _FAIR_COLUMN > out.width:
        shown = [column for column in columns if column in used]
    wide = len(shown) * _LEAST_COLUMN <= out.width
    if wide:
        pitch = min(_MOST_COLUMN, out.width // len(shown))
        at = {device: shown.index(c) * pitch for device, c in column_of.items() if c in used}
    else:
        at = dict.fromkeys(column_of, 0)
    styles = {device: _STYLES[columns.index(c) % len(_STYLES)] for device, c in column_of.items()}
    out.print(Text(title, style="bold"))
    if wide:
        row = _Row()
        for index, column in enumerate(shown):
            row.put(index * pitch, clean_text(column or "no tier", pitch - 2), "dim underline")
        out.print(row.text)
    lines = 0
    for number, way in enumerate(ways):
        picture = list(_way_lines(way, at, styles, out.width))
        if number and lines + len(picture) > MOST_LINES:
            more = units.counted(len(ways) - number, "more route")
            out.print(Text(f"… and {more}; the table has all", style="dim"))
            break
        lines += len(picture) + 1
        head = Text(way.title, style="bold")
        head.append(f"  {way.about}" if way.about else "", style="not bold")
        out.print(head)
        for line in picture:
            out.print(line.text, no_wrap=True, overflow="crop")
    out.print()


@dataclass
class _Row:
    """A line that is filled from left to right."""

    pieces: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The first free place."""
        return max((x + Text(text).cell_len for x, text, _ in self.pieces), default=0)

    def put(self, x: int, text: str, style: str) -> None:
        """Put text at a place to the right of all others, or move it there."""
        self.pieces.append((max(x, self.end), text, style))

    @property
    def text(self) -> Text:
        line = Text()
        for x, text, style in self.pieces:
            line.append(" " * (x - line.cell_len))
            line.append(text, style=style)
        return line


def _way_lines(
    way: _Way, at: Mapping[str, int], styles: Mapping[str, str], room: int
) -> Iterator[_Row]:
    """Yield the lines of one way.

    A step to the right stays on its line where its arrow fits, else it turns into the next; a
    step to the left takes the next line, from right to left; one within a column goes down.
    """
    row = _Row()
    turn = 0  # where an arrow leaves the last box downwards
    for number, stop in enumerate(way.stops):
        box = Text(stop.box).plain
        x = max(0, min(at[stop.device], room - Text(box).cell_len))
        style = styles[stop.device]
        main, *others = stop.arrivals or (("", ""),)
        label = main[1]
        before = way.stops[number - 1] if number else None
        if before is not None and main[0] and main[0] != before.device:
            label += f" from {clean_text(main[0], _LONGEST_NAME)}"
        if before is None:
            row.put(x, box, style)
        elif at[before.device] < at[stop.device]:
            arrow = _right(label, x - row.end - 1)
            if arrow is None:
                yield row
                row = _Row()
                row.put(turn, "└", "dim")
                arrow = _right(label, x - row.end - 1)
            if arrow is None:
                row.put(row.end, _right("", x - row.end - 1) or "▶", "dim")
                others = [("", label), *others]
            else:
                row.put(row.end, arrow, "dim")
            row.put(x, box, style)
        elif at[before.device] > at[stop.device]:
            yield row
            row = _Row()
            row.put(x, box, style)
            arrow = _left(label, turn - row.end - 1)
            if arrow is None:
                row = _Row()
                row.put(x + 1, "┌", "dim")
                filled = _filled(label, turn - x - 2)
                if filled is None:
                    filled = "─" * max(0, turn - x - 2)
                    others = [("", label), *others]
                row.put(row.end, filled + "┘", "dim")
                yield row
                row = _Row()
                row.put(x, box, style)
            else:
                row.put(row.end + 1, arrow, "dim")
        else:
            yield row
            row = _Row()
            row.put(x + 1, f"▼ {label}".rstrip(), "dim")
            yield row
            row = _Row()
            row.put(x, box, style)
        turn = x + 1
        for source, text in others:
            yield row
            row = _Row()
            origin = f" from {clean_text(source, _LONGEST_NAME)}" if source else ""
            words = f"+ {text}{origin}"
            row.put(max(0, min(x + 1, room - len(words))), words, "dim")
    yield row


def _right(label: str, room: int) -> str | None:
    """Return an arrow of just that length, with its label; ``None`` where there is no room."""
    filled = _filled(label, room - 1)
    return None if filled is None else f"{filled}▶"


def _left(label: str, room: int) -> str | None:
    filled = _filled(label, room - 1)
    return None if filled is None else f"◀{filled}┘"


def _filled(label: str, room: int) -> str | None:
    """Return a line of that length around a label."""
    spare = room - len(label) - (2 if label else 0)
    if spare < 1:
        return None
    left = spare // 2
    middle = f" {label} " if label else ""
    return "─" * left + middle + "─" * (spare - left)
