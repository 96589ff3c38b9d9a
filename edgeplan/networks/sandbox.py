"""Run a function in a child process with limits on memory and time.

Foreign ONNX files are parsed and run only here: a file that asks for terabytes, loops for ever
or crashes the runtime ends the child, and the caller gets a `NetworkError`. The child is a
fresh interpreter (never a fork: threads of the runtime would deadlock), its result comes back
as JSON and nothing else, and it never outlives the call.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from edgeplan.model.errors import Fault, InputError, NetworkError
from edgeplan.networks import _child

DEFAULT_MEMORY_BYTES = 4 * 2**30
"""Address space of a child: the runtime's libraries take about 1 GiB of it."""

DEFAULT_SECONDS = 15.0
"""Wall time of an inspection."""

_MAX_RESULT_BYTES = 256 * 2**20
_START = (
    "import sys, json; sys.path += [f for f in json.loads(sys.argv[1]) if f not in sys.path]; "
    "from edgeplan.networks._child import main; main()"
)


def call(
    target: str,
    /,
    *args: object,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    seconds: float = DEFAULT_SECONDS,
    place: str | None = None,
    on_report: Callable[[object], None] | None = None,
    **kwargs: object,
) -> object:
    """Run ``module:function`` in a child process and return its result.

    Parameters
    ----------
    target
        What to run, as ``package.module:function``.
    *args, **kwargs
        Its arguments: what JSON can hold; paths and tuples arrive as text and lists.
    memory_bytes
        Limit on the child's address space (and on any file that it writes).
    seconds
        Limit on wall time, the start of the interpreter included.
    place
        What errors name; by default the file name of the first path among the arguments.
    on_report
        Called with each value that the function passes to `report` while it runs.

    Returns
    -------
    object
        What the function returned, as JSON gives it back.

    Raises
    ------
    NetworkError
        If the function failed, crashed, or met a limit; the message says which.
    InputError
        If the function raised one.
    """
    where = one_line(_place(args) if place is None else place, 80)
    with _Child(target, args, kwargs, memory_bytes, seconds) as child:
        return child.result(where, on_report)


def report(data: object) -> None:
    """Send a value from inside the child to the caller's ``on_report``; elsewhere do nothing.

    Parameters
    ----------
    data
        What JSON can hold.
    """
    _child.write_line("report", data)


def one_line(text: object, most: int = 300) -> str:
    """Return a text from a foreign file such that it cannot control a terminal.

    Parameters
    ----------
    text
        Any value; its text counts.
    most
        Longest result; what is cut off is an ellipsis then.
    """
    line = " ".join(str(text).split())
    line = "".join(letter if letter.isprintable() else "?" for letter in line)
    return line if len(line) <= most else line[: most - 1] + "…"


class _Child:
    """A running child; leaving the block kills and reaps it, however it is left."""

    def __init__(
        self,
        target: str,
        args: Sequence[object],
        kwargs: Mapping[str, object],
        memory_bytes: int,
        seconds: float,
    ) -> None:
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self.deadline = time.monotonic() + seconds
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed on leaving)
        self.read_end, write_end = os.pipe()
        job = {
            "target": target,
            "args": args,
            "kwargs": kwargs,
            "memory_bytes": memory_bytes,
            "seconds": seconds,
            "descriptor": write_end,
            "parent": os.getpid(),
        }
        # Last, behind the child's own: the folder that Python was started in may hold anything
        # (a grp.py, say), which must not come before the libraries.
        folders = [folder or str(Path.cwd()) for folder in sys.path]
        # One thread per numeric library, few allocator arenas: address space is limited.
        environment = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        try:
            with tempfile.TemporaryFile() as stdin:
                stdin.write(json.dumps(job, default=_as_json).encode())
                stdin.seek(0)
                self.process = subprocess.Popen(  # noqa: S603  (our own interpreter and code)
                    [sys.executable, "-P", "-c", _START, json.dumps(folders)],
                    stdin=stdin,
                    stdout=subprocess.DEVNULL,
                    stderr=self.errors,
                    pass_fds=(write_end,),
                    start_new_session=True,
                    env=environment,
                )
        except BaseException:
            os.close(self.read_end)
            self.errors.close()
            raise
        finally:
            os.close(write_end)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._kill()
        finally:
            os.close(self.read_end)
            self.errors.close()

    def result(self, where: str, on_report: Callable[[object], None] | None) -> object:
        """Wait for the child's last line and return what it holds, or raise what it means."""
        pending = bytearray()
        received = 0
        with selectors.DefaultSelector() as selector:
            selector.register(self.read_end, selectors.EVENT_READ)
            while True:
                remaining = self.deadline - time.monotonic()
                if remaining <= 0 or not selector.select(remaining):
                    raise NetworkError.at(
                        where,
                        f"took longer than {self.seconds:g} s and was stopped; a larger time "
                        "limit may help if the file is trusted and merely slow",
                    )
                piece = os.read(self.read_end, 2**16)
                if not piece:
                    raise self._crash(where)
                received += len(piece)
                if received > _MAX_RESULT_BYTES:
                    raise NetworkError.at(where, "describes more than can be taken in")
                pending += piece
                if b"\n" not in piece:
                    continue
                *lines, pending = pending.split(b"\n")
                for line in lines:
                    try:
                        kind, data = json.loads(line)
                    except (ValueError, TypeError, RecursionError):
                        raise NetworkError.at(where, "corrupted the reading process") from None
                    if kind == "result":
                        return data
                    if kind == "report":
                        if on_report is not None:
                            on_report(data)
                        continue
                    raise self._error(kind, data, where)

    def _error(self, kind: str, data: object, where: str) -> InputError:
        if kind in ("faults", "input"):
            assert isinstance(data, list)
            faults = [Fault(one_line(place, 200), one_line(text, 600)) for place, text in data]
            return InputError(faults) if kind == "input" else NetworkError(faults)
        if kind == "memory":
            return self._memory(where)
        assert isinstance(data, list)
        name, text = data
        return NetworkError.at(where, f"cannot be used: {name}: {one_line(text)}")

    def _memory(self, where: str) -> NetworkError:
        return NetworkError.at(
            where,
            f"needs more than the {self.memory_bytes / 2**30:.3g} GiB that it may take; use "
            "smaller shapes, or a larger memory limit if the file is trusted",
        )

    def _crash(self, where: str) -> NetworkError:
        """Say how a child ended that closed the pipe without a result."""
        try:
            code = self.process.wait(timeout=max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = 0
        self.errors.seek(0, os.SEEK_END)
        self.errors.seek(max(0, self.errors.tell() - 4000))
        text = self.errors.read().decode(errors="replace")
        if "bad_alloc" in text or "MemoryError" in text or "cannot allocate memory" in text.lower():
            return self._memory(where)
        if code < 0:
            try:
                ending = signal.Signals(-code).name
            except ValueError:
                ending = f"signal {-code}"
            return NetworkError.at(
                where,
                f"crashed the runtime ({ending}); the file is damaged, or needs more memory "
                "than it may take",
            )
        last = one_line(text.strip().rpartition("\n")[2])
        return NetworkError.at(
            where, f"ended the reading process (exit code {code}) {last}".strip()
        )

    def _kill(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        interrupted = False
        while self.process.returncode is None:
            try:
                self.process.wait()
            except KeyboardInterrupt:  # it has been killed: reap it before giving way
                interrupted = True
        if interrupted:
            raise KeyboardInterrupt


def _as_json(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be passed to a child process")


def _place(args: Sequence[object]) -> str:
    for value in args:
        if isinstance(value, Path):
            return value.name
    return next((Path(value).name for value in args if isinstance(value, str)), "network")
