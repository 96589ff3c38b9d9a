"""Recorded arrivals from CSV files: one request per row, its time in one column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import numpy as np

from edgeplan.model.errors import Fault, InputError
from edgeplan.simulation.arrivals import Trace

COLUMNS = ("timestamp", "time", "arrival", "arrival_time", "seconds", "datetime", "date")
"""Names under which a heading may have the times; else they are in the first column."""

MAX_BYTES = 2_000_000_000
MOST_FAULTS = 10
"""Faulty rows that are told before the reading ends."""

_REMEDY = "write seconds (12.5) or a date and time (2023-11-16 18:17:03.979)"


def read_trace(path: Path, *, scaled: bool = False) -> Trace:
    """Read a trace.

    A heading is skipped; where one of its names is among `COLUMNS`, that column has the times.
    A time is a number of seconds or a date and time (ISO 8601, also with a blank in place of
    the T), the same kind in all rows, and never before the time of the row above.

    Parameters
    ----------
    path
        A CSV file.
    scaled
        Whether to stretch the times to the rate of the stream that they are used for.

    Raises
    ------
    InputError
        If it is missing, too large, no text, has fewer than two different times, or a row is
        malformed, negative or earlier than the one above, with the line of each; or if its rate
        cannot be simulated.
    """
    place = str(path)[:200]
    try:
        if path.exists() and not path.is_file():
            raise InputError.at(place, "is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise InputError.at(place, f"is larger than {MAX_BYTES:,} bytes: take a part of it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            times = _times(place, csv.reader(file))
    except OSError as error:
        raise InputError.at(place, f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError.at(place, "is not UTF-8 text: a trace is a CSV file") from None
    if not times:
        raise InputError.at(place, f"has no arrivals: one per row; {_REMEDY}")
    if not times[-1] > times[0]:
        raise InputError.at(
            place, "needs arrivals at two different times at least: they give the rate"
        )
    try:
        return Trace(times=np.array(times), name=path.name, scaled=scaled)
    except InputError as error:
        raise InputError(Fault(place, fault.message) for fault in error.faults) from None


def _times(place: str, rows: Iterable[list[str]]) -> list[float]:
    """Return the times in seconds since the first."""
    faults: list[Fault] = []
    times: list[float] = []
    column, kind, begin, last = 0, "", 0.0, -math.inf
    numbered = _numbered(place, rows)
    for line, row in numbered:
        if not any(cell.strip() for cell in row):
            continue
        text = row[column].strip() if column < len(row) else ""
        try:
            found, seconds = _parse(text)
        except ValueError as error:
            if not (times or faults or kind) and _is_heading(text):
                kind = "heading"
                names = [cell.strip().lower() for cell in row]
                column = next((names.index(name) for name in COLUMNS if name in names), 0)
                continue
            faults.append(Fault(f"{place}, line {line}", str(error)))
        else:
            if kind in ("", "heading"):
                kind, begin = found, seconds if found != "seconds" else 0.0
            if found != kind:
                message = f"{found}, but {kind} in the rows above: all must be of one kind"
                faults.append(Fault(f"{place}, line {line}", message))
            elif seconds < last:
                message = "is earlier than the row above: sort the rows by time"
                faults.append(Fault(f"{place}, line {line}", message))
            else:
                last = seconds
                times.append(seconds - begin)
        if len(faults) == MOST_FAULTS:
            faults.append(Fault(place, "there may be more: reading ended here"))
            break
    if faults:
        raise InputError(faults)
    return times


def _is_heading(text: str) -> bool:
    """Say whether the first cell that is no time is a name, and no mistaken time."""
    words = ("nan", "inf", "infinity")
    return not (text[:1].isdigit() or text[:1] in ("-", "+", ".")) and text.lower() not in words


def _numbered(place: str, rows: Iterable[list[str]]) -> Iterator[tuple[int, list[str]]]:
    line = 0
    try:
        for line, row in enumerate(rows, start=1):
            yield line, row
    except csv.Error as error:
        raise InputError.at(f"{place}, line {line + 1}", f"is no CSV: {error}") from None


def _parse(text: str) -> tuple[str, float]:
    """Return the kind of a time and its value in seconds.

    Raises
    ------
    ValueError
        If it is neither kind; the message says what to do.
    """
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if not math.isfinite(seconds):
            raise ValueError(f"is no finite number; {_REMEDY}")
        if seconds < 0:
            raise ValueError("is negative: count seconds from the start of the trace")
        return "seconds", seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        shown = text[:40] + "…" * (len(text) > 40)
        what = f"'{shown}' is no time" if text else "has no time"
        raise ValueError(f"{what}; {_REMEDY}") from None
    if moment.tzinfo is None:
        # A day without summer time: differences are what the clock of the trace says.
        return "dates", (moment - datetime(1970, 1, 1)).total_seconds()
    return "dates with a zone", moment.timestamp()
