"""Lets the tests of this folder import the tools that judge and document the formulation."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "tools"))
