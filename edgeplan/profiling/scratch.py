"""A folder for the files of one profile, and the end of those whose owner was killed.

The owner holds an operating-system lock on a file in its folder, and the lock goes with the
process however it ends. A recorded process number would not do: numbers are used again, and
containers that share a folder for temporary files do not share numbers.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "edgeplan-profile-"
_LOCK = "owner.lock"
_YOUNG_SECONDS = 60.0
"""Younger folders are left alone: their owner may be about to take the lock."""


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, gone afterwards; remove abandoned ones first."""
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, FileLock(Path(name) / _LOCK):
        yield Path(name)


def _sweep(where: Path) -> None:
    """Remove folders of this user whose owner is gone; whatever cannot be removed stays."""
    with contextlib.suppress(OSError):
        for path in where.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError, Timeout):
                if _is_old_and_own(path.lstat()) and (path / _LOCK).is_file():
                    with FileLock(path / _LOCK, timeout=0):
                        shutil.rmtree(path)


def _is_old_and_own(status: os.stat_result) -> bool:
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and time.time() - status.st_mtime > _YOUNG_SECONDS
    )
