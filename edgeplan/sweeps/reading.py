"""The sweeps that a folder keeps, read back without their instance."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeplan.instances.document import parse_json, read_text
from edgeplan.instances.units import cut_path
from edgeplan.model.errors import InputError
from edgeplan.sweeps.parameters import Value, Varied
from edgeplan.sweeps.points import SweepPoint, read_point
from edgeplan.sweeps.sweep import CSV_NAME, HEADER_NAME, POINTS_NAME, SWEEP_FORMAT, Sweep

Key = tuple[str, ...]


def read_sweeps(folder: Path) -> tuple[Sweep, ...]:
    """Return what a folder of ``edgeplan sweep`` keeps.

    Parameters
    ----------
    folder
        With the header, the points and the table of the last sweep.

    Returns
    -------
    tuple of Sweep
        One for each set of parameters that was varied, its points in the order of the table,
        those of earlier sweeps after them. Where the parameters stand in the instance is not
        known, nor which points are still to be planned.

    Raises
    ------
    InputError
        If the folder has no sweep, or none of its points can be read.
    """
    header = folder / HEADER_NAME
    tree = parse_json(read_text(header)).value
    if not isinstance(tree, dict) or tree.get("format") != SWEEP_FORMAT:
        raise InputError.at(cut_path(header), "is not the header of a sweep")
    rows = _rows(folder / CSV_NAME)
    sweeps: dict[Key, list[SweepPoint]] = {}
    for file in sorted((folder / POINTS_NAME).glob("[!.]*.json")):
        settings = _settings(file)
        point = None if settings is None else read_point(file, settings)
        if settings is not None and point is not None:
            sweeps.setdefault(tuple(sorted(settings)), []).append(point)
    if not sweeps:
        raise InputError.at(cut_path(folder), "has no point of a sweep that can be read")
    found = [_sweep(points, rows) for points in sweeps.values()]
    # The last sweep is the one of the table.
    return tuple(sorted(found, key=lambda each: [v.name for v in each.varied] != rows[0]))


def _settings(file: Path) -> Mapping[str, Value] | None:
    try:
        tree = parse_json(read_text(file, max_bytes=500_000_000)).value
    except InputError:
        return None
    settings = tree.get("settings") if isinstance(tree, dict) else None
    if not isinstance(settings, dict):
        return None
    values = {key: value for key, value in settings.items() if isinstance(value, Value)}
    return values if len(values) == len(settings) else None


def _rows(file: Path) -> tuple[list[str], Mapping[Key, int]]:
    """Return the parameters of the table, and the place of each row by its settings as text."""
    try:
        text = read_text(file, max_bytes=500_000_000)
    except InputError:
        return [], {}
    table = list(csv.reader(text.splitlines()))
    head = table[0] if table else []
    names = head[: head.index("status")] if "status" in head else []
    return names, {tuple(row[: len(names)]): place for place, row in enumerate(table[1:])}


def _row(point: SweepPoint, rows: tuple[list[str], Mapping[Key, int]]) -> int:
    names, places = rows
    texts = tuple(str(point.settings.get(name)) for name in names)
    return places.get(texts, len(places)) if set(names) == set(point.settings) else len(places)


def _sweep(points: Sequence[SweepPoint], rows: tuple[list[str], Mapping[Key, int]]) -> Sweep:
    ordered = sorted(points, key=lambda point: _row(point, rows))
    names = rows[0] if set(rows[0]) == set(points[0].settings) else list(points[0].settings)
    return Sweep(
        varied=tuple(
            Varied(name, tuple(dict.fromkeys(point.settings[name] for point in ordered)), ())
            for name in names
        ),
        points=tuple(ordered),
        count=len(ordered),
        reused=len(ordered),
        failed=(),
    )
