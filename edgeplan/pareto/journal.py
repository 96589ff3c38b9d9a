"""The journal of a front: every finding on disk before the search goes on.

A file of records, each its length and CRC-32 (4 bytes each, big-endian) and so many bytes of
JSON. The first says what the journal is of; each other is a `Finding` and the seconds that the
search had taken by then, in all the processes that went on with it. Findings are facts that
stay true in any order, so that reading them all again restores the search: whatever a process
died in the middle of is asked again. A record is forced to disk before the next is written; one
that is torn (too short, or with a wrong checksum) ends the journal and is cut off. A lock that
dies with its owner keeps a second process out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from edgeplan.model.errors import InputError
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from edgeplan.pareto.exploring import Finding

VERSION = 1
_HEAD = struct.Struct(">II")
LONGEST = 1 << 28
"""Bytes of the longest record; a longer length is a torn one."""

Header = dict[str, Any]


def header(
    problem: Problem,
    objectives: Sequence[str],
    tolerance: float,
    resolution: Sequence[float] | None,
) -> Header:
    """Return what a journal must agree with to be continued; see `begun_as` for the name."""
    return {
        "edgeplan": "front journal",
        "version": VERSION,
        "problem": hashlib.sha256(repr(problem).encode()).hexdigest(),
        "name": problem.name,
        "objectives": list(objectives),
        "tolerance": tolerance,
        "resolution": None if resolution is None else list(resolution),
    }


@dataclass(frozen=True)
class Entry:
    """A record of a journal.

    Parameters
    ----------
    finding
        What was found out.
    seconds
        How long the search had taken by then, without the pauses between its processes; ``None``
        where the journal was written by a version that did not say.
    """

    finding: Finding
    seconds: float | None


class Journal:
    """An open journal.

    Parameters
    ----------
    path
        The file; made where it is missing.
    stated
        The header; see `header`.

    Raises
    ------
    InputError
        If the file is of something else, or another process has it open.
    """

    def __init__(self, path: Path, stated: Header) -> None:
        import filelock

        self.path = path
        self._lock = filelock.FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout as error:
            message = "another process is writing this front"
            raise InputError.at(str(path), message) from error
        try:
            self.findings = self._open(stated)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, stated: Header) -> list[Finding]:
        self.path.touch()
        self._file: BinaryIO = self.path.open("r+b")
        try:
            records, sound = _read(self._file)
            if records:
                _agree(self.path, records[0], stated)
            findings = [_finding(record) for record in records[1:]]
            taken = _seconds(records[-1]) if len(records) > 1 else 0.0
            # Times that follow untimed records would be of another beginning.
            self._began = None if taken is None else time.monotonic() - taken
            self._file.seek(sound)
            self._file.truncate()
            if not records:
                self._write(stated)
                _sync_folder(self.path.parent)
        except BaseException:
            self._file.close()
            raise
        return findings

    def add(self, finding: Finding) -> None:
        """Write a finding; it is on disk when this returns."""
        tree = _tree(finding)
        if self._began is not None:
            tree["seconds"] = round(time.monotonic() - self._began, 6)
        self._write(tree)

    def _write(self, tree: dict[str, Any]) -> None:
        body = json.dumps(tree, separators=(",", ":")).encode()
        self._file.write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file and let others have it."""
        self._file.close()
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def begun_as(path: Path) -> str | None:
    """Return the problem's name in a journal; ``None`` where there is none.

    A name is for people, and no part of what is solved: the search goes on under the name that
    it was begun with, though the file of the instance has been renamed since.
    """
    try:
        with path.open("rb") as file:
            records, _ = _read(file)
    except OSError:
        return None
    name = records[0].get("name") if records else None
    return name if isinstance(name, str) else None


def read_entries(path: Path) -> list[Entry]:
    """Return the records of a journal, which may still be written to, in their order.

    Parameters
    ----------
    path
        The file; none where it is missing or not a journal of this version.
    """
    try:
        with path.open("rb") as file:
            records, _ = _read(file)
    except OSError:
        return []
    if not records or records[0].get("version") != VERSION:
        return []
    return [Entry(_finding(record), _seconds(record)) for record in records[1:]]


def _seconds(record: dict[str, Any]) -> float | None:
    seconds = record.get("seconds")
    return None if seconds is None else float(seconds)


def _read(file: BinaryIO) -> tuple[list[dict[str, Any]], int]:
    """Return the sound records from the beginning, and where they end."""
    records: list[dict[str, Any]] = []
    sound = 0
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, checksum = _HEAD.unpack(head)
        body = file.read(length) if length <= LONGEST else b""
        if len(body) != length or zlib.crc32(body) != checksum:
            break
        try:
            record = json.loads(body)
        except ValueError:
            break
        if not isinstance(record, dict):
            break
        records.append(record)
        sound = file.tell()
    return records, sound


def _agree(path: Path, found: Header, stated: Header) -> None:
    if found == stated:
        return
    if found.get("edgeplan") != stated["edgeplan"]:
        raise InputError.at(str(path), "is not the journal of a front")
    differing = [key for key in stated if found.get(key) != stated[key]]
    words = {
        "problem": "the instance has changed",
        "version": "it is of another version of edgeplan",
    }
    said = [
        words.get(key, f"{key} was {_shown(found.get(key))} and is {_shown(stated[key])}")
        for key in differing
    ]
    message = "this front was begun for something else: " + "; ".join(said)
    raise InputError.at(str(path), message)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _tree(finding: Finding) -> dict[str, Any]:
    plan = finding.plan
    return {
        "upper": [_number(value) for value in finding.upper],
        "corner": None if finding.corner is None else [_number(value) for value in finding.corner],
        "values": None if finding.values is None else list(finding.values),
        "plan": None
        if plan is None
        else {
            "routes": {
                name: [[list(route.devices), route.fraction, route.batch] for route in routes]
                for name, routes in plan.routes.items()
            },
            "replicas": dict(plan.replicas),
        },
        "mips": finding.mips,
        "trouble": finding.trouble,
    }


def _finding(tree: dict[str, Any]) -> Finding:
    plan = tree["plan"]
    return Finding(
        upper=tuple(_float(value) for value in tree["upper"]),
        corner=None if tree["corner"] is None else tuple(_float(value) for value in tree["corner"]),
        plan=None
        if plan is None
        else Plan(
            routes={
                name: tuple(
                    Route(devices=tuple(devices), fraction=fraction, batch=batch)
                    for devices, fraction, batch in routes
                )
                for name, routes in plan["routes"].items()
            },
            replicas=plan["replicas"],
        ),
        values=None if tree["values"] is None else tuple(map(float, tree["values"])),
        mips=tree["mips"],
        trouble=tree["trouble"],
    )


def _number(value: float) -> float | None:
    """JSON has no infinity: a component without limit is null."""
    return None if math.isinf(value) else value


def _float(value: float | None) -> float:
    return math.inf if value is None else float(value)


def _sync_folder(folder: Path) -> None:
    """Force a new file's name to disk, where folders can be opened."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
