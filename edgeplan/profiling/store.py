"""The store of measured times: one append-only file of checked records per key.

A file holds a header and then records: 4 bytes of length (little endian), the first 16 bytes
of the payload's SHA-256, and the payload (one JSON object in UTF-8). A record is on the disk
(fsync) before `Store.append` returns, so after a crash, even ``kill -9`` in the middle of a
write, every record but the last is whole; the torn tail is cut off when the file is opened
next. An operating-system lock on a file beside it keeps a second process out; it goes with
the process that holds it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from edgeplan.model.errors import InputError

MAGIC = b"edgeplan profile records 1\n"
"""First bytes of every file; another version's file is begun anew."""

_CHECK_BYTES = 16
_LARGEST_RECORD = 16 * 2**20
_POLL_SECONDS = 0.2

Record = dict[str, Any]
"""A JSON object; readers check what they take from it."""


def key_of(parts: Mapping[str, object]) -> str:
    """Return the hexadecimal SHA-256 of everything that the times depend on.

    Parameters
    ----------
    parts
        JSON-compatible values; their order does not matter.
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def default_folder() -> Path:
    """Return the folder of the store where the user names none: the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("edgeplan", appauthor=False)) / "profiles"


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record as it lies in the file."""
    payload = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return len(payload).to_bytes(4, "little") + _check(payload) + payload


def decode(data: bytes) -> tuple[list[Record], int]:
    """Return the whole records of a file and the number of bytes that they take.

    Parameters
    ----------
    data
        The file's bytes, magic included.

    Returns
    -------
    tuple of list of dict and int
        Records up to the first that is torn or fails its checksum, and the offset where it
        begins; ``([], 0)`` where the file is not one of this version.
    """
    if not data.startswith(MAGIC):
        return [], 0
    records: list[Record] = []
    offset = len(MAGIC)
    while True:
        start = offset + 4 + _CHECK_BYTES
        size = int.from_bytes(data[offset : offset + 4], "little")
        payload = data[start : start + size]
        if start > len(data) or size > _LARGEST_RECORD or len(payload) < size:
            return records, offset
        if data[offset + 4 : start] != _check(payload):
            return records, offset
        try:
            record = json.loads(payload)
        except (ValueError, RecursionError):
            return records, offset
        if not isinstance(record, dict):
            return records, offset
        records.append(record)
        offset = start + size


class Store:
    """The records of one key, held by one process at a time.

    Use it as a context manager: entering waits for the lock, reads the records and cuts off
    a torn tail; leaving gives the lock back.

    Parameters
    ----------
    folder
        Where the store lies; it is made if it is not there.
    key
        From :func:`key_of`.
    on_wait
        Called once if another process holds the lock.
    stop
        Waiting ends when it is set.

    Attributes
    ----------
    records
        What the file holds, in order.

    Raises
    ------
    InputError
        On entering, if the folder cannot be written.
    KeyboardInterrupt
        On entering, if ``stop`` was set while waiting.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        *,
        on_wait: Callable[[], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.path = folder / f"{key}.records"
        self.records: list[Record] = []
        self._folder = folder
        self._on_wait = on_wait
        self._stop = stop
        self._file: IO[bytes] | None = None
        self._lock = FileLock(folder / f"{key}.lock")

    def __enter__(self) -> Store:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._acquire()
        except OSError as error:
            raise InputError.at(
                "cache", f"the folder of measured times cannot be written: {error.strerror}"
            ) from error
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._lock.release()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record; it is on the disk when this returns.

        Raises
        ------
        InputError
            If the disk is full or cannot be written.
        """
        assert self._file is not None, "the store is not open"
        try:
            self._file.write(encode(record))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError.at(
                "cache", f"a measured time could not be stored: {error.strerror}"
            ) from error
        self.records.append(dict(record))

    def clear(self) -> None:
        """Forget every record."""
        assert self._file is not None, "the store is not open"
        self._file.truncate(len(MAGIC))
        self._file.seek(len(MAGIC))
        os.fsync(self._file.fileno())
        self.records.clear()

    def _acquire(self) -> None:
        told = False
        while True:
            try:
                self._lock.acquire(timeout=_POLL_SECONDS)
            except Timeout:
                if self._stop is not None and self._stop.is_set():
                    raise KeyboardInterrupt from None
                if not told and self._on_wait is not None:
                    self._on_wait()
                told = True
            else:
                return

    def _open(self) -> None:
        self._file = self.path.open("r+b" if self.path.exists() else "x+b")
        self.records, size = decode(self._file.read())
        if size == 0:
            self._file.seek(0)
            self._file.write(MAGIC)
            size = len(MAGIC)
        self._file.truncate(size)
        self._file.seek(size)
        self._file.flush()
        os.fsync(self._file.fileno())


def _check(payload: bytes) -> bytes:
    return hashlib.sha256(payload).digest()[:_CHECK_BYTES]
