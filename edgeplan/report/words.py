"""Numbers and names as pages say them: the filters of the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgeplan.cli import units

FILTERS: Mapping[str, Callable[..., Any]] = {
    "seconds": units.seconds,
    "joules": units.joules,
    "watts": units.watts,
    "dollars": units.dollars,
    "size": units.size,
    "bandwidth": units.bandwidth,
    "rate": units.rate,
    "request_rate": units.request_rate,
    "count": units.count,
    "percent": units.percent,
    "gap": units.gap,
    "number": units.number,
}
"""By name: ``{{ value|seconds }}`` is ``12.3 ms``."""
