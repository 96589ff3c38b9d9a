"""The worker process: listens, authenticates, and serves one controller at a time.

``serve`` is what ``edgeplan worker`` runs. ``local_main`` is what the controller starts on its
own machine: its token and folder come through standard input, and when that ends, because the
controller closed it or died, so does the worker.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edgeplan.execution.addresses import clean_token, parse_address, show_address
from edgeplan.execution.engagement import Engagement
from edgeplan.execution.handshake import welcome
from edgeplan.execution.local import GOODBYE
from edgeplan.execution.protocol import Channel
from edgeplan.execution.transport import listen
from edgeplan.model.errors import ExecutionError, InputError

STRANGERS = 64
"""Most connections at once that have not shown yet that they hold the token."""
BUSY_SECONDS = 2.0
HANDSHAKE_SECONDS = 15.0
POLL_SECONDS = 0.1


class Worker:
    """A listening worker.

    Parameters
    ----------
    listener
        Listening socket, owned by the worker from now on.
    token
        The shared secret.
    folder
        Private folder for the parts of whoever uses the worker.
    foreign_parts
        Whether parts may come from elsewhere and are checked before they are opened.
    """

    def __init__(
        self, listener: socket.socket, token: str, folder: Path, *, foreign_parts: bool = True
    ) -> None:
        self._foreign_parts = foreign_parts
        self._listener = listener
        self._token = token.encode()
        self._folder = folder
        self._strangers: dict[Channel, None] = {}
        self._lock = threading.Lock()
        self._change = threading.Condition()
        self._engagement: Engagement | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port on which the worker listens."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def serve(self, stop: threading.Event | None = None) -> None:
        """Accept connections until ``stop`` is set (or a signal raises)."""
        self._listener.settimeout(POLL_SECONDS)
        try:
            while stop is None or not stop.is_set():
                try:
                    sock, _ = self._listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    # A client that left while it waited, or no descriptor free for it: neither
                    # may end the worker.
                    time.sleep(POLL_SECONDS)
                    continue
                self._welcome(sock)
        finally:
            self._listener.close()
            if self._engagement is not None:
                self._engagement.close()

    def _welcome(self, sock: socket.socket) -> None:
        """Serve a connection in a thread of its own.

        Where too many have not shown yet that they hold the token, the oldest of them goes:
        whoever holds it needs an instant only, so strangers who wait keep nobody out.
        """
        try:
            channel = Channel(sock)
        except OSError:  # it left already
            sock.close()
            return
        with self._lock:
            crowd = len(self._strangers) >= STRANGERS
            oldest = next(iter(self._strangers)) if crowd else None
            if oldest is not None:
                del self._strangers[oldest]
            self._strangers[channel] = None
        if oldest is not None:
            oldest.close()
        try:
            threading.Thread(target=self._connection, args=(channel,), daemon=True).start()
        except RuntimeError:  # no thread could be started
            self._forget(channel)
            channel.close()

    def _forget(self, channel: Channel) -> None:
        """Count a connection among the strangers no longer."""
        with self._lock:
            self._strangers.pop(channel, None)

    def _connection(self, channel: Channel) -> None:
        # Who dribbles bytes gets no longer than who is silent.
        limit = threading.Timer(HANDSHAKE_SECONDS, channel.close)
        limit.daemon = True
        try:
            limit.start()
            realm, key = welcome(channel, self._secret_of)
            limit.cancel()
            self._forget(channel)
            frame = channel.receive(10.0)
            if realm == "token" and frame.kind == "open":
                foreign = self._foreign_parts
                self._engage(Engagement(channel, key, frame, self._folder, foreign_parts=foreign))
            elif realm != "token" and frame.kind == "peer":
                engagement = self._engagement
                if engagement is not None and engagement.identity == realm:
                    engagement.welcome_peer(channel, frame.text("device"))
        except ExecutionError:
            pass  # whoever it was is refused; the worker lives on
        finally:
            limit.cancel()
            self._forget(channel)
            channel.close()

    def _secret_of(self, realm: str) -> bytes | None:
        if realm == "token":
            return self._token
        engagement = self._engagement
        return engagement.secret if engagement and engagement.identity == realm else None

    def _engage(self, engagement: Engagement) -> None:
        with self._change:
            # The last controller may have left a moment ago, its engagement still ending.
            free = self._change.wait_for(lambda: self._engagement is None, BUSY_SECONDS)
            if free:
                self._engagement = engagement
        if not free:
            why = "it serves another controller"
            engagement.control.send({"kind": "failed", "why": why})
            return
        try:
            engagement.serve()
        finally:
            with self._change:
                self._engagement = None
                self._change.notify()


def serve(
    address: str,
    token_file: Path,
    *,
    announce: Callable[[str], object],
    stop: threading.Event | None = None,
    warn: Callable[[str], object] | None = None,
) -> None:
    """Run a worker until it is interrupted.

    Parameters
    ----------
    address
        ``HOST:PORT`` to listen on; port 0 picks a free one.
    token_file
        File with the token that controllers must hold.
    announce
        Called with one line of JSON, ``{"listening": "HOST:PORT"}``, once it listens.
    stop
        Ends it when set.
    warn
        Called with what is unwise though possible: a token file that others may read.

    Raises
    ------
    InputError
        If the address or the token file is not valid.
    ExecutionError
        If the port is taken.
    """
    host, port = parse_address(address, "--listen")
    try:
        token = clean_token(token_file.read_text(encoding="utf-8"), "--token-file")
        if warn is not None and token_file.stat().st_mode & 0o077:
            warn(f"others may read the token: chmod 600 {shlex.quote(str(token_file)[:80])}")
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise InputError.at("--token-file", f"cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise InputError.at("--token-file", "is not text") from None
    with tempfile.TemporaryDirectory(prefix="edgeplan-worker-") as folder:
        worker = Worker(listen(host, port), token, Path(folder))
        previous = _terminate_by_exit()
        try:
            announce(json.dumps({"listening": show_address(*worker.address)}))
            worker.serve(stop)
        finally:
            if previous is not None:
                signal.signal(signal.SIGTERM, previous)


def _terminate_by_exit() -> signal._HANDLER | None:
    """Let SIGTERM end the process the way Ctrl-C does, so that folders are removed."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, leave)


def local_main(config: dict[str, str]) -> NoReturn:
    """Run a worker for the controller that started this process; never returns.

    Parameters
    ----------
    config
        ``token``, ``folder`` (the worker's own) and ``shared`` (the controller's, which is
        removed should the controller have died) as read from standard input.
    """
    folder = Path(config["folder"])
    # The one that holds the token is the process that started this one.
    worker = Worker(listen("127.0.0.1", 0), config["token"], folder, foreign_parts=False)

    def leave() -> None:
        if sys.stdin.buffer.read() != GOODBYE:
            shutil.rmtree(config["shared"], ignore_errors=True)
        os._exit(0)

    threading.Thread(target=leave, daemon=True).start()
    import onnxruntime  # noqa: F401 - loaded before the worker says that it is ready

    sys.stdout.write(json.dumps({"port": worker.address[1]}) + "\n")
    sys.stdout.flush()
    try:
        worker.serve()
    finally:
        os._exit(1)
