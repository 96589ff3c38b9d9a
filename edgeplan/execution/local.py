"""Worker processes on this machine: started by the controller, and gone with it.

A worker gets its token and folder through standard input, never by its arguments or its
environment, and ends when that input does. It is a fresh interpreter, never a fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.model.errors import ExecutionError

_START = (
    "import json, sys; config = json.loads(sys.stdin.buffer.readline()); "
    # Behind the worker's own, so that no file of the current folder comes before a library.
    "sys.path += [f for f in config.pop('path') if f not in sys.path]; "
    "from edgeplan.execution.worker import local_main; local_main(config)"
)
GOODBYE = b"bye"
START_SECONDS = 60.0
GRACE_SECONDS = 3.0


class LocalWorker:
    """A worker process; starts at once, ready after `wait_ready`.

    Parameters
    ----------
    name
        Of the device that it stands for; named by errors.
    shared
        The controller's temporary folder; the worker's own is made in it.
    """

    def __init__(self, name: str, shared: Path) -> None:
        self.name = name
        self.folder = shared / f"worker-{secrets.token_hex(8)}"
        self.folder.mkdir(mode=0o700)
        self._log = self.folder / "errors.txt"
        self._token = secrets.token_hex(32)
        self._address: WorkerAddress | None = None
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C reaches the controller only, which then ends it.
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-P", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                bufsize=0,
            )
        config = {
            "path": sys.path,
            "token": self._token,
            "folder": str(self.folder),
            "shared": str(shared),
        }
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died already: wait_ready says so
            self.process.stdin.write(json.dumps(config).encode() + b"\n")

    @property
    def address(self) -> WorkerAddress:
        """Where the worker listens, once it is ready."""
        if self._address is None:
            raise ExecutionError(f"the worker of '{self.name[:80]}' is not ready")
        return self._address

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when the worker listens.

        Raises
        ------
        ExecutionError
            If it died or did not come up in time.
        """
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise ExecutionError(
                        f"the worker of '{self.name[:80]}' did not start within {seconds:g} seconds"
                    )
                piece = os.read(self.process.stdout.fileno(), 4096)
                if not piece:
                    raise ExecutionError(
                        f"the worker of '{self.name[:80]}' did not start{self.fate()}"
                    )
                line += piece
        try:
            port = int(json.loads(line)["port"])
        except (ValueError, TypeError, KeyError):
            said = line.decode(errors="replace").strip()[:80]
            raise ExecutionError(
                f"the worker of '{self.name[:80]}' said '{said}' instead of its port"
            ) from None
        self._address = WorkerAddress(host="127.0.0.1", port=port, token=self._token)

    def fate(self) -> str:
        """Return in words how the process ended, with the end of what it wrote to stderr."""
        try:
            code = self.process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return ""
        how = f": killed by {signal.Signals(-code).name}" if code < 0 else f": exit code {code}"
        try:
            lines = self._log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return how + (f" ({lines[-1][:200]})" if lines else "")

    def stop(self) -> None:
        """End the process, kindly at first, and reap it."""
        process = self.process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.write(GOODBYE)
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=GRACE_SECONDS)
        finally:
            # Also when interrupted. Killing a process that was reaped does nothing.
            process.kill()
            process.wait()
            process.stdout.close()


class LocalWorkers:
    """Worker processes for several devices; a context manager that ends and reaps them all.

    Parameters
    ----------
    names
        Of the devices.
    shared
        The controller's temporary folder.
    """

    def __init__(self, names: tuple[str, ...], shared: Path) -> None:
        self._names = names
        self._shared = shared
        self._workers: dict[str, LocalWorker] = {}

    def __enter__(self) -> dict[str, LocalWorker]:
        """Start the workers side by side and wait until all listen."""
        try:
            for name in self._names:
                self._workers[name] = LocalWorker(name, self._shared)
            for worker in self._workers.values():
                worker.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self._workers

    def __exit__(self, *exception: object) -> None:
        """End and reap all processes."""
        self.stop()

    def stop(self) -> None:
        """End and reap all processes, also when interrupted meanwhile."""
        interrupt: BaseException | None = None
        while self._workers:
            _, worker = self._workers.popitem()
            try:
                worker.stop()
            except BaseException as error:  # noqa: BLE001 - reap the others first
                interrupt = error
        if interrupt is not None:
            raise interrupt
