"""Where the parts of a drawing go: tiers as columns, or below each other on a narrow screen.

Pure arithmetic on a `Scene`: no text is measured, widths are estimated from numbers of characters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.cli import units
from edgeplan.report.scene import DrawnDevice, DrawnStage, DrawnTransfer, Scene

TIERS = ("device", "edge", "cloud")
"""Tiers that have a place; others stand between edge and cloud, as they come."""
MOST_STAGES = 6
"""Stages listed in a device's box."""
COLOURS = 8
"""Streams have as many colours: the style sheet has ``.stream-0`` to ``.stream-7``."""

# In pixels at full size.
BOX_WIDTH, HEAD_HEIGHT, STAGE_HEIGHT, LINE_HEIGHT, FOOT = 224, 44, 40, 18, 8
COLUMN_GAP, BOX_GAP, MARGIN, HEADING_HEIGHT = 156, 22, 14, 30
LANE_GAP, NARROW_LANES = 34, 8
LONGEST_NAME, LONGEST_STAGE = 27, 22
LETTER_WIDTH = 6.2
CORNER = 8.0

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class PlacedStage:
    """A stage in its box: corner, class of its stream's colour, two lines of text."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    title: str
    name: str
    layers: str
    time: str


@dataclass(frozen=True, kw_only=True)
class PlacedDevice:
    """A device's box: corner, size, words, the length of its bar if any, stages, closing lines."""

    x: float
    y: float
    width: float
    height: float
    on: bool
    title: str
    name: str
    about: str
    bar: float | None
    stages: tuple[PlacedStage, ...]
    lines: tuple[tuple[float, str], ...]


@dataclass(frozen=True, kw_only=True)
class PlacedTransfer:
    """An arrow: its path, the triangle at its end, its label and where that is."""

    path: str
    head: str
    colour: int | None
    title: str
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A scene with a place for everything; sizes in pixels.

    Parameters
    ----------
    width, height
        Of the whole.
    headings
        Corner and text of each tier's name.
    devices, transfers
        Boxes and arrows.
    words
        The same as text.
    """

    width: float
    height: float
    headings: tuple[tuple[float, float, str], ...]
    devices: tuple[PlacedDevice, ...]
    transfers: tuple[PlacedTransfer, ...]
    words: str


def side_by_side(scene: Scene) -> Drawing:
    """Return the drawing with a column for each tier, for screens that are wide enough.

    Parameters
    ----------
    scene
        What is drawn.
    """
    columns = _columns(scene)
    inner = {
        (move.source, move.target)
        for devices in columns.values()
        for names in [[device.name for device in devices]]
        for move in scene.transfers
        if move.source in names and move.target in names
    }
    # Arrows within a column bulge out of it, the upward ones to the left.
    room = COLUMN_GAP * 0.75 if inner else 0.0
    left = MARGIN + room
    heights = [
        sum(_height(device) for device in devices) + BOX_GAP * (len(devices) - 1)
        for devices in columns.values()
    ]
    tallest = max(heights, default=0)
    boxes: dict[str, PlacedDevice] = {}
    column_of: dict[str, int] = {}
    headings = []
    for number, (tier, devices) in enumerate(columns.items()):
        x = left + number * (BOX_WIDTH + COLUMN_GAP)
        y = MARGIN + HEADING_HEIGHT + (tallest - heights[number]) / 2
        headings.append((x, MARGIN + 12.0, _cut(tier or "devices", LONGEST_NAME)))
        for device in devices:
            boxes[device.name] = _box(device, x, y, scene)
            column_of[device.name] = number
            y += _height(device) + BOX_GAP
    bottom = MARGIN + HEADING_HEIGHT + tallest
    arrows, lanes = _arrows(scene, boxes, column_of, bottom)
    width = left + len(columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP + room + MARGIN
    return Drawing(
        width=width,
        height=bottom + lanes * LANE_GAP + MARGIN,
        headings=tuple(headings),
        devices=tuple(boxes.values()),
        transfers=tuple(arrows),
        words=scene.words,
    )


def below_each_other(scene: Scene) -> Drawing:
    """Return the drawing with the boxes in one column, for narrow screens.

    Parameters
    ----------
    scene
        What is drawn; what arrives at a device is written in its box.
    """
    boxes: dict[str, PlacedDevice] = {}
    headings = []
    y = float(MARGIN)
    for tier, devices in _columns(scene).items():
        headings.append((MARGIN, y + 12.0, _cut(tier or "devices", LONGEST_NAME)))
        y += HEADING_HEIGHT - 8
        for device in devices:
            lines = [_arrival(move) for move in scene.transfers if move.target == device.name]
            box = _box(device, MARGIN, y, scene, lines)
            boxes[device.name] = box
            y += box.height + BOX_GAP
    arrows, lanes = _orthogonal(scene, boxes)
    return Drawing(
        width=2 * MARGIN + BOX_WIDTH + 18 + 11 * lanes,
        height=y,
        headings=tuple(headings),
        devices=tuple(boxes.values()),
        transfers=tuple(arrows),
        words=scene.words,
    )


def _columns(scene: Scene) -> dict[str, list[DrawnDevice]]:
    """Return the devices by tier, tiers in order."""
    found: dict[str, list[DrawnDevice]] = {}
    for device in scene.devices:
        found.setdefault(device.tier, []).append(device)
    places = {"device": 0, "edge": 1, "cloud": 3}
    return dict(sorted(found.items(), key=lambda item: places.get(item[0], 2)))


def _height(device: DrawnDevice) -> float:
    if not device.stages:
        return float(HEAD_HEIGHT)
    more = LINE_HEIGHT if len(device.stages) > MOST_STAGES else 0
    return HEAD_HEIGHT + STAGE_HEIGHT * min(len(device.stages), MOST_STAGES) + more + FOOT


def _box(
    device: DrawnDevice, x: float, y: float, scene: Scene, arrivals: Sequence[str] = ()
) -> PlacedDevice:
    shown = device.stages[:MOST_STAGES]
    stages = tuple(
        _stage(stage, x + 8, y + HEAD_HEIGHT + number * STAGE_HEIGHT)
        for number, stage in enumerate(shown)
    )
    words = []
    if more := len(device.stages) - len(shown):
        words.append(f"and {units.counted(more, 'more stage')}")
    words += [_cut(line, 37) for line in arrivals[:4]]
    if (more := len(arrivals) - 4) > 0:
        words.append(f"and {units.counted(more, 'more arrival')}")
    top = y + HEAD_HEIGHT + STAGE_HEIGHT * len(shown)
    lines = tuple((top + 13 + number * LINE_HEIGHT, text) for number, text in enumerate(words))
    foot = FOOT if shown or words else 0
    return PlacedDevice(
        x=x,
        y=y,
        width=BOX_WIDTH,
        height=HEAD_HEIGHT + STAGE_HEIGHT * len(shown) + LINE_HEIGHT * len(words) + foot,
        on=device.on,
        title=device.name,
        name=_cut(device.name, LONGEST_NAME - 4 * (device.replicas > 1)),
        about=_about(device),
        bar=_bar(device),
        stages=stages,
        lines=lines,
    )


def _bar(device: DrawnDevice) -> float | None:
    """Return how long the bar of a device is; ``None`` for one that is off or not known."""
    if not device.on or device.utilisation is None:
        return None
    return (BOX_WIDTH - 16) * min(1.0, max(0.0, device.utilisation))


def _about(device: DrawnDevice) -> str:
    words = []
    if device.replicas > 1 and device.on:
        words.append(f"×{device.replicas}")
    if device.on or device.utilisation:
        if device.utilisation is not None:
            words.append(f"{units.percent(device.utilisation)} busy")
    else:
        words.append(_starts(device) or "runs nothing")
    if device.zone:
        words.append(f"zone {_cut(device.zone, 14)}")
    return " · ".join(words)


def _starts(device: DrawnDevice) -> str:
    """Say which streams' requests begin at a device that runs none of their layers."""
    if not device.origin_of:
        return ""
    if len(device.origin_of) > 1:
        return f"{len(device.origin_of)} streams begin here"
    return f"{_cut(device.origin_of[0], 18)} begins here"


def _stage(stage: DrawnStage, x: float, y: float) -> PlacedStage:
    share = "" if stage.share >= 1 - 1e-9 else f" {units.percent(stage.share)}"
    last = stage.stop - 1
    if stage.stop - stage.first == stage.layers:
        layers = f"all {units.counted(stage.layers, 'layer')}" if stage.layers > 1 else "1 layer"
    elif last == stage.first:
        layers = f"layer {last} of {stage.layers}"
    else:
        layers = f"layers {stage.first}–{last} of {stage.layers}"
    time = "" if stage.seconds is None else units.seconds(stage.seconds)
    waits = f", waits {units.seconds(stage.wait_seconds)}" if stage.wait_seconds else ""
    return PlacedStage(
        x=x,
        y=y,
        width=BOX_WIDTH - 16,
        height=STAGE_HEIGHT - 6,
        colour=stage.stream_number % COLOURS,
        title=f"{stage.stream}{share}: {layers}" + (f", computes {time}" if time else "") + waits,
        name=_cut(stage.stream, LONGEST_STAGE - len(share)) + share,
        layers=layers,
        time=time,
    )


def _label(move: DrawnTransfer) -> str:
    if move.seconds is None:
        return ""
    return f"{units.size(move.bytes)} · {units.seconds(move.seconds)}"


def _arrival(move: DrawnTransfer) -> str:
    label = _label(move)
    return f"← {_cut(move.source, 16)}" + (f" {label}" if label else "")


def _title(move: DrawnTransfer, scene: Scene) -> str:
    names = [scene.streams[number] for number in move.streams]
    who = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    label = _label(move)
    waits = f", waits {units.seconds(move.wait_seconds)}" if move.wait_seconds else ""
    return f"{move.source} → {move.target}: " + (f"{label}{waits}; " if label else "") + who


def _colour(move: DrawnTransfer) -> int | None:
    return move.streams[0] % COLOURS if len(move.streams) == 1 else None


# --- arrows between columns ---------------------------------------------------------------------


def _arrows(
    scene: Scene, boxes: dict[str, PlacedDevice], column_of: dict[str, int], bottom: float
) -> tuple[list[PlacedTransfer], int]:
    """Return the arrows, and how many lanes below the boxes they take."""
    sides: dict[tuple[str, str], list[tuple[float, int, bool]]] = defaultdict(list)
    for number, move in enumerate(scene.transfers):
        out, into = _sides(move, boxes, column_of)
        source, target = boxes[move.source], boxes[move.target]
        sides[move.source, out].append((target.y + target.height / 2, number, True))
        sides[move.target, into].append((source.y + source.height / 2, number, False))
    ports: dict[tuple[int, bool], Point] = {}
    for (name, side), ends in sides.items():
        box = boxes[name]
        x = box.x + (box.width if side == "right" else 0.0)
        for place, (_, number, leaves) in enumerate(sorted(ends)):
            ports[number, leaves] = (x, box.y + box.height * (place + 1) / (len(ends) + 1))
    arrows: list[PlacedTransfer] = []
    taken: list[Point] = []
    lanes = 0
    for number, move in enumerate(scene.transfers):
        start, end = ports[number, True], ports[number, False]
        out, into = _sides(move, boxes, column_of)
        away = abs(column_of[move.source] - column_of[move.target])
        if away > 1:
            lane = bottom + LANE_GAP * (lanes + 0.6)
            lanes += 1
            curve = _by_lane(start, end, lane)
            spots: list[Point] = [((start[0] + end[0]) / 2, lane)]
        else:
            curve = [_bezier(start, end, out, into)]
            spots = [_at(curve[0], t) for t in (0.5, 0.38, 0.62, 0.28, 0.72, 0.2, 0.8)]
        label = _label(move)
        spot = next((each for each in spots if _free(each, label, taken)), spots[0])
        taken.append(spot)
        arrows.append(
            PlacedTransfer(
                path=_path(curve),
                head=_head(end, 1.0 if into == "left" else -1.0),
                colour=_colour(move),
                title=_title(move, scene),
                label=label,
                label_x=spot[0],
                label_y=spot[1] - 4,
            )
        )
    return arrows, lanes


def _sides(
    move: DrawnTransfer, boxes: dict[str, PlacedDevice], column_of: dict[str, int]
) -> tuple[str, str]:
    """Return from which side of the source and into which of the target an arrow goes."""
    source, target = column_of[move.source], column_of[move.target]
    if source == target:
        side = "right" if boxes[move.source].y < boxes[move.target].y else "left"
        return side, side
    return ("right", "left") if source < target else ("left", "right")


Curve = tuple[Point, Point, Point, Point]


def _bezier(start: Point, end: Point, out: str, into: str) -> Curve:
    same = out == into
    reach = 40 + 0.16 * abs(end[1] - start[1]) if same else abs(end[0] - start[0]) * 0.45
    reach = min(reach, COLUMN_GAP * 0.9)
    one = start[0] + (reach if out == "right" else -reach)
    two = end[0] + (reach if into == "right" else -reach)
    return (start, (one, start[1]), (two, end[1]), end)


def _by_lane(start: Point, end: Point, lane: float) -> list[Curve]:
    """Return a path that passes below the columns between."""
    step = 0.5 * COLUMN_GAP * (1 if end[0] > start[0] else -1)
    one, two = (start[0] + 1.3 * step, lane), (end[0] - 1.3 * step, lane)
    return [
        (start, (start[0] + step, start[1]), (start[0] + step * 0.3, lane), one),
        (one, one, two, two),
        (two, (end[0] - step * 0.3, lane), (end[0] - step, end[1]), end),
    ]


def _at(curve: Curve, t: float) -> Point:
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x = sum(weight * point[0] for weight, point in zip(weights, curve, strict=True))
    y = sum(weight * point[1] for weight, point in zip(weights, curve, strict=True))
    return x, y


def _free(spot: Point, label: str, taken: Sequence[Point]) -> bool:
    width = LETTER_WIDTH * max(14, len(label))
    return all(abs(spot[0] - x) > width or abs(spot[1] - y) > 14 for x, y in taken)


def _path(curves: Sequence[Curve]) -> str:
    parts = [f"M{_n(curves[0][0][0])} {_n(curves[0][0][1])}"]
    for _, one, two, end in curves:
        parts.append("C" + " ".join(f"{_n(x)} {_n(y)}" for x, y in (one, two, end)))
    return "".join(parts)


def _head(end: Point, direction: float) -> str:
    x, y = end
    back = x - 8 * direction
    return f"{_n(x)},{_n(y)} {_n(back)},{_n(y - 4)} {_n(back)},{_n(y + 4)}"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


# --- arrows beside one column -------------------------------------------------------------------


def _orthogonal(scene: Scene, boxes: dict[str, PlacedDevice]) -> tuple[list[PlacedTransfer], int]:
    """Return arrows at the right of the boxes, and in how many lanes they go."""
    ends: dict[str, list[tuple[float, int, bool]]] = defaultdict(list)
    for number, move in enumerate(scene.transfers):
        ends[move.source].append((boxes[move.target].y, number, True))
        ends[move.target].append((boxes[move.source].y, number, False))
    ports: dict[tuple[int, bool], float] = {}
    for name, found in ends.items():
        box = boxes[name]
        for place, (_, number, leaves) in enumerate(sorted(found)):
            ports[number, leaves] = box.y + box.height * (place + 1) / (len(found) + 1)
    arrows = []
    taken: list[list[tuple[float, float]]] = []
    order = sorted(range(len(scene.transfers)), key=lambda n: abs(ports[n, True] - ports[n, False]))
    for number in order:
        move = scene.transfers[number]
        start, end = ports[number, True], ports[number, False]
        lane = _lane(taken, min(start, end), max(start, end))
        edge = MARGIN + BOX_WIDTH
        x = edge + 16 + 11 * lane
        turn = CORNER if end > start else -CORNER
        path = (
            f"M{_n(edge)} {_n(start)}H{_n(x - CORNER)}q{CORNER:g} 0 {CORNER:g} {turn:g}"
            f"V{_n(end - turn)}q0 {turn:g} {-CORNER:g} {turn:g}H{_n(edge)}"
        )
        arrows.append(
            PlacedTransfer(
                path=path,
                head=_head((edge, end), -1.0),
                colour=_colour(move),
                title=_title(move, scene),
                label="",
                label_x=0.0,
                label_y=0.0,
            )
        )
    return arrows, len(taken)


def _lane(taken: list[list[tuple[float, float]]], low: float, high: float) -> int:
    """Return the innermost lane with room, a new one where there is none."""
    for number, spans in enumerate(taken):
        if all(high < start - 6 or low > stop + 6 for start, stop in spans):
            spans.append((low, high))
            return number
    if len(taken) < NARROW_LANES:
        taken.append([(low, high)])
    return len(taken) - 1


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
