"""Fronts as files: JSON that is read back, CSV and Parquet for tables; and points from a CSV.

A front's JSON holds everything, a point on each line. The tables hold what `Front.frame` does:
they are for looking at, and only their numbers are read, as points of another planner are.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeplan.instances.codec import decode
from edgeplan.instances.document import Plain, parse_json, read_text, write_text
from edgeplan.instances.plans import plan_from_tree, plan_tree
from edgeplan.instances.profiles import checked_body
from edgeplan.instances.schema import VERSION
from edgeplan.instances.units import cut, cut_path
from edgeplan.model.errors import Fault, InputError
from edgeplan.pareto.front import TOLERANCE, Front, Hypervolume, Point
from edgeplan.pareto.objectives import CRITERIA, Criterion, criteria

FRONT_FORMAT = "edgeplan-front"
JSON_NAME, CSV_NAME, PARQUET_NAME = "front.json", "front.csv", "front.parquet"
JOURNAL_NAME, INSTANCE_NAME = "journal.log", "front.instance.json"
"""What a search leaves beside the front: what it goes on from, and a copy of the instance."""
MAX_FRONT_BYTES = 500_000_000
"""Largest front file: thousands of plans of many streams."""
MAX_POINTS_BYTES = 100_000_000
"""Largest CSV of points."""
_MAX_FAULTS = 100


@dataclass(frozen=True, kw_only=True)
class FrontHead:
    """A front file but for its points: the decoder knows the keys and types by the hints.

    Parameters
    ----------
    objectives
        Names of the criteria, two to four.
    exact
        Whether every image that no other dominates has its point.
    hypervolume
        Bounds on the hypervolume of the whole front, and the point it is measured to.
    resolution
        By objective, in SI units: every image y has a point p ≤ y + δ; ``null`` if not known.
    mips
        Programs solved.
    seconds
        Wall time of the search.
    tolerance
        Images that differ by no more than this share of each value count as one.
    instance
        Name of the problem.
    fingerprint
        Of the problem: fronts of different problems are not compared.
    complete
        Whether the search came to its end.
    message
        Why it did not, or what else is to be known.
    """

    objectives: tuple[str, ...]
    exact: bool
    hypervolume: Hypervolume
    resolution: tuple[float, ...] | None
    mips: int
    seconds: float
    tolerance: float = TOLERANCE
    instance: str = ""
    fingerprint: str = ""
    complete: bool = True
    message: str = ""


def front_tree(front: Front) -> dict[str, Any]:
    """Return a front as a JSON tree: as the file has it and ``pareto --json`` prints it."""
    tree = _head(front)
    tree["points"] = [_point_tree(point, front.criteria) for point in front.points]
    return tree


def front_text(front: Front) -> str:
    """Return a front as JSON text: a key or a point on each line."""
    chosen = front.criteria
    lines = []
    for key, value in _head(front).items():
        if key == "points":
            rows = [_line(_point_tree(point, chosen)) for point in front.points]
            text = "[\n  " + ",\n  ".join(rows) + "\n ]" if rows else "[]"
        else:
            text = _line(value)
        lines.append(f" {_line(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _head(front: Front) -> dict[str, Any]:
    """Return everything but the points, whose place is kept."""
    return {
        "format": FRONT_FORMAT,
        "version": VERSION,
        "instance": front.instance,
        "fingerprint": front.fingerprint,
        "objectives": list(front.objectives),
        "exact": front.exact,
        "resolution": None if front.resolution is None else list(front.resolution),
        "tolerance": front.tolerance,
        "complete": front.complete,
        "points": [],
        "hypervolume": {
            "lower": front.hypervolume.lower,
            "upper": front.hypervolume.upper,
            "reference": list(front.hypervolume.reference),
        },
        "mips": front.mips,
        "seconds": front.seconds,
        "message": front.message,
    }


def _point_tree(point: Point, chosen: Sequence[Criterion]) -> dict[str, Any]:
    values = {criterion.key: value for criterion, value in zip(chosen, point.values, strict=True)}
    return {**values, "plan": plan_tree(point.plan)}


def front_from_text(text: str) -> Front:
    """Return the front of a JSON text.

    Raises
    ------
    InputError
        With every fault found, placed in the text (``points[3].plan.routes``).
    """
    body = checked_body(parse_json(text).value, FRONT_FORMAT)
    stated = body.pop("points", None)
    if not isinstance(stated, list):
        raise InputError.at("points", "is missing" if stated is None else "must be a list")
    whole = decode(FrontHead, body)
    chosen = criteria(whole.objectives)
    faults: list[Fault] = []
    points: list[Point] = []
    for index, item in enumerate(stated):
        try:
            points.append(_point(item, chosen))
        except InputError as error:
            faults += [
                Fault(f"points[{index}].{fault.place}".rstrip("."), fault.message)
                for fault in error.faults
            ]
        # Faults of the whole name a point by its place in the order that a front keeps.
        if len(points) > 1 and points[-2].values > points[-1].values:
            faults.append(
                Fault(f"points[{index}]", "the points must be in ascending order of their values")
            )
        if len(faults) >= _MAX_FAULTS:
            break
    if faults:
        raise InputError(faults[:_MAX_FAULTS])
    return Front(points=tuple(points), **{key: getattr(whole, key) for key in _FIELDS})


_FIELDS = tuple(FrontHead.__dataclass_fields__)


def _point(item: Plain, chosen: Sequence[Criterion]) -> Point:
    if not isinstance(item, dict):
        raise InputError.at("", "must be an object")
    faults: list[Fault] = []
    known = (*(criterion.key for criterion in chosen), "plan")
    faults += [
        Fault(cut(key), f"unknown key; known: {', '.join(known)}")
        for key in item
        if key not in known
    ]
    values = []
    for key in known[:-1]:
        value = item.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            faults.append(Fault(key, "is missing" if key not in item else "must be a number"))
        else:
            values.append(float(value))
    try:
        plan = plan_from_tree(item.get("plan"))
    except InputError as error:
        faults += [Fault(f"plan.{f.place}".rstrip("."), f.message) for f in error.faults]
    if faults:
        raise InputError(faults)
    return Point(tuple(values), plan)


def write_front(front: Front, folder: Path) -> tuple[Path, ...]:
    """Write a front's files; see `Front.write`."""
    from edgeplan.networks.files import replacing

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = cut_path(folder)
        raise InputError.at(place, f"cannot be made: {error.strerror}") from None
    frame = front.frame
    table = io.StringIO()
    frame.to_csv(table, index=False, lineterminator="\n")
    write_text(folder / CSV_NAME, table.getvalue())
    written = [folder / JSON_NAME, folder / CSV_NAME]
    parquet = folder / PARQUET_NAME
    if importlib.util.find_spec("pyarrow") is not None:
        try:
            with replacing(parquet) as temporary:
                frame.to_parquet(temporary, index=False, engine="pyarrow")
        except OSError as error:
            raise InputError.at(cut_path(parquet), f"cannot be written: {error}") from None
        written.append(parquet)
    else:  # what an environment with pyarrow wrote is of an older front
        parquet.unlink(missing_ok=True)
    # Last: who sees a new front.json sees the tables that go with it.
    write_text(folder / JSON_NAME, front_text(front))
    return tuple(written)


def read_front(path: Path) -> Front:
    """Read a front.

    Parameters
    ----------
    path
        Its JSON file, or the folder where `Front.write` put it.

    Raises
    ------
    InputError
        With every fault found, placed in the file (``points[3].plan.routes.camera[0].devices``).
    """
    file = path / JSON_NAME if path.is_dir() else path
    return front_from_text(read_text(file, max_bytes=MAX_FRONT_BYTES))


@dataclass(frozen=True)
class Table:
    """Points without plans.

    Parameters
    ----------
    objectives
        Names of the criteria that the table has, in the order of its columns.
    values
        The images, in SI units.
    labels
        What the table calls its points, by its column ``name`` or ``label``; else empty texts.
    """

    objectives: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    labels: tuple[str, ...]


def read_points(path: Path) -> Table:
    """Read points of any planner from a CSV file.

    Parameters
    ----------
    path
        Its first line names the columns; those named as the criteria's keys are
        (``latency_seconds``, ``energy_joules``, ``cost_dollars``, ``period_seconds``) hold values
        in SI units, ``name`` or ``label`` what a point is called; others are left aside.

    Raises
    ------
    InputError
        If it has no such column or no point; or with every line that has no number where there
        should be one.
    """
    text = read_text(path, max_bytes=MAX_POINTS_BYTES)
    place = cut_path(path)
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error as error:
        raise InputError.at(place, f"is not valid CSV: {error}") from None
    header = [name.strip() for name in rows[0]] if rows else []
    by_key = {criterion.key: criterion.name for criterion in CRITERIA.values()}
    columns = {key: index for index, key in enumerate(header) if key in by_key}
    if not columns:
        keys = ", ".join(by_key)
        raise InputError.at(
            place, f"has no column that is named like an objective's values: {keys}"
        )
    if twice := sorted({cut(key) for key in columns if header.count(key) > 1}):
        raise InputError.at(place, f"has columns twice: {', '.join(twice)}")
    chosen = criteria([by_key[key] for key in columns])
    label = next((header.index(key) for key in ("name", "label") if key in header), None)
    faults = list(_cell_faults(place, rows, columns))
    if faults:
        raise InputError(faults[:_MAX_FAULTS])
    body = [row for row in rows[1:] if row]
    if not body:
        raise InputError.at(place, "has no points")
    return Table(
        tuple(criterion.name for criterion in chosen),
        tuple(tuple(float(row[index]) for index in columns.values()) for row in body),
        tuple("" if label is None or label >= len(row) else row[label] for row in body),
    )


def _cell_faults(
    place: str, rows: Sequence[Sequence[str]], columns: Mapping[str, int]
) -> Iterator[Fault]:
    for line, row in enumerate(rows[1:], start=2):
        for key, index in columns.items() if row else ():
            cell = row[index].strip() if index < len(row) else ""
            try:
                sound = math.isfinite(float(cell))
            except ValueError:
                sound = False
            if not sound:
                shown = f"not '{cut(cell)}'" if cell else "and is missing"
                yield Fault(f"{place}: row {line}, {key}", f"must be a finite number, {shown}")
