"""What the other processes of a computation owe the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time

WATCH_SECONDS = 0.5


def be_child(parent: int) -> None:
    """Make this process one that leaves Ctrl-C to its parent, and does not outlive it.

    A terminal sends Ctrl-C to every process of a command; who started them decides what is kept.
    A parent that was killed can end nobody, so its children look for it.

    Parameters
    ----------
    parent
        Process id of the one that started this.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="edgeplan-parent").start()
