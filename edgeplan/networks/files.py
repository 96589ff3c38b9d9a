"""Files of networks: their hash, and writing them so that nobody sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeplan.networks import sandbox


def digest(path: Path | str, *, seconds: float = 60.0) -> str:
    """Return the SHA-256 over a model's bytes and its external data, hexadecimal.

    Without external data it is the hash of the file. Otherwise each external file follows, in
    the order of names, as its name, a zero byte and its own hash. The model is parsed in a
    sandboxed child, since only its content says which external files there are.

    Parameters
    ----------
    path
        The ONNX file.
    seconds
        Limit on the time.

    Raises
    ------
    NetworkError
        If the file is unsafe, invalid or too large.
    """
    file = Path(path)
    return str(
        sandbox.call(
            "edgeplan.networks._reading:digest",
            str(file.absolute()),
            seconds=seconds,
            memory_bytes=memory_for(file),
        )
    )


def memory_for(file: Path) -> int:
    """Return the address space in bytes that a child needs for a file of this size."""
    with contextlib.suppress(OSError):
        return sandbox.DEFAULT_MEMORY_BYTES + 8 * file.stat().st_size
    return sandbox.DEFAULT_MEMORY_BYTES


def seconds_for(file: Path) -> float:
    """Return the wall time in seconds that a child may take for a file of this size."""
    with contextlib.suppress(OSError):
        return sandbox.DEFAULT_SECONDS + file.stat().st_size / 2**23
    return sandbox.DEFAULT_SECONDS


@contextlib.contextmanager
def replacing(destination: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary file beside ``destination`` that takes its place when the block is left.

    On an error the temporary file goes and ``destination`` stays as it was. ``durable`` waits
    until the content is on the disk: not needed for what can be made again.
    """
    descriptor, name = tempfile.mkstemp(
        dir=destination.parent, prefix=f".{destination.name[:40]}.", suffix=".part"
    )
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "r+b") as stream:
            yield temporary
            if durable:
                os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)
