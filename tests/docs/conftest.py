"""Lets the tests of this folder import the tools that write and run the documentation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
