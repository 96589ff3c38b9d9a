from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def zoo() -> Path:
    """The folder of example networks that ``make zoo`` fills."""
    folder = Path(__file__).resolve().parent.parent / ".zoo"
    if not (folder / "reweighted.json").exists():
        pytest.skip("run make zoo")
    return folder
