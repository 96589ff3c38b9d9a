"""Limits that a plan breaks, in words with the units that people use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgeplan.cli import units

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Violation


def _per_hour(value: float | None) -> str:
    return f"{units.dollars(value)}/h"


_LIMIT_UNITS: Mapping[str, Callable[[float | None], str]] = {
    "memory": units.size,
    "deadline": units.seconds,
    "tail deadline": units.seconds,
    "device capacity": units.percent,
    "link capacity": units.percent,
    "device power": units.watts,
    "power budget": units.watts,
    "money budget": _per_hour,
    "min rate": units.seconds,
}


def broken(violation: Violation) -> str:
    """Return a violation's message, its numbers in the units that people use."""
    unit = _LIMIT_UNITS.get(violation.kind)
    if unit is None or violation.value is None or violation.limit is None:
        return violation.message
    if violation.kind == "min rate":
        most, asked = units.request_rate(1 / violation.value), units.number(1 / violation.limit)
        return f"{most} can be carried, but at least {asked} /s asked for"
    return f"{unit(violation.value)}, but at most {unit(violation.limit)} allowed"
