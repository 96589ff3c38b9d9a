from __future__ import annotations

import signal
from pathlib import Path

import pytest

# A shell's background jobs ignore Ctrl-C, and so would every program that a test starts and
# interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of example networks that ``make zoo`` fills."""
    folder = Path(__file__).resolve().parent.parent / ".zoo"
    if not (folder / "reweighted.json").exists():
        pytest.skip("run make zoo")
    return folder
