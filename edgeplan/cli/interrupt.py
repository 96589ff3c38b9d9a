"""Ctrl-C: the first asks the work to stop and keeps what it has, the second ends it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from edgeplan.cli.output import note

GRACE_SECONDS = 5.0
"""How long native code may hold the main thread after the second Ctrl-C."""


@contextmanager
def stop_on_interrupt(keeps: str) -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets; the second raises `KeyboardInterrupt`.

    Python runs its signal handlers between byte codes of the main thread, which may be inside
    a solver's native code for long. The wake-up pipe is written at once, so a thread that
    reads it sets the event without that delay.

    Parameters
    ----------
    keeps
        What is kept, for the message: ``the best plan so far``.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        stop.set()
        if count > 1:
            raise KeyboardInterrupt

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.signal(signal.SIGINT, handle)
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    finished = threading.Event()

    def watch() -> None:
        seen = 0
        while signals := os.read(reader, 64):
            seen += signals.count(signal.SIGINT)
            if seen == 1 and not stop.is_set():
                stop.set()
            if seen == 1:
                note(f"stopping: keeping {keeps} (Ctrl-C again to leave at once)")
            if seen > 1:
                if not finished.wait(GRACE_SECONDS):
                    _leave_at_once()
                return

    watcher = threading.Thread(target=watch, daemon=True, name="edgeplan-interrupt")
    watcher.start()
    try:
        yield stop
    finally:
        finished.set()
        signal.set_wakeup_fd(wakeup_before)
        signal.signal(signal.SIGINT, before)
        os.close(writer)
        watcher.join(timeout=1.0)
        os.close(reader)


def _leave_at_once() -> None:
    """End the process and its children, when native code does not give the thread back."""
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.Error):
            child.terminate()
    time.sleep(0.2)
    for child in children:
        with suppress(psutil.Error):
            child.kill()
    os._exit(130)
