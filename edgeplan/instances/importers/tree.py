"""Looking into the tree of a foreign file: wrong values become faults with their places.

An importer asks for all that it needs, goes on with stand-ins for what is wrong, and calls
`Faults.check` before it builds anything from them.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeplan.instances.document import Plain
from edgeplan.instances.units import cut
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.network import LARGEST

MAX_FAULTS = 100
"""Most faults that one reading reports."""


class Faults(list[Fault]):
    """The faults of a file, as they are found."""

    def note(self, place: str, message: str) -> None:
        """Add a fault."""
        self.append(Fault(place, message))

    def check(self) -> None:
        """Raise what was found, if anything was.

        Raises
        ------
        InputError
            With up to `MAX_FAULTS` faults.
        """
        if self:
            raise InputError(self[:MAX_FAULTS])


def number(value: Plain, place: str, faults: Faults, *, largest: float = LARGEST) -> float:
    """Return a number from 0 to the largest; 0 stands in for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        faults.note(place, f"must be a number, not {shown(value)}")
    elif value < 0:
        faults.note(place, f"must not be negative, but is {shown(value)}")
    elif value > largest:
        faults.note(place, f"must be at most {largest:g}, but is {shown(value)}")
    else:
        return float(value)
    return 0.0


def positive(value: Plain, place: str, faults: Faults) -> float:
    """Return a positive number that limits something; 1 stands in for anything else."""
    before = len(faults)
    found = number(value, place, faults)
    if len(faults) > before:
        return 1.0
    if found < 1 / LARGEST:
        faults.note(place, f"must be positive, but is {shown(value)}")
        return 1.0
    return found


def whole(value: Plain, place: str, faults: Faults) -> int | None:
    """Return a whole number of any sign, or ``None`` where it is something else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    faults.note(place, f"must be a whole number, not {shown(value)}")
    return None


def flag(value: Plain, place: str, faults: Faults) -> bool:
    """Return whether a flag is set; files have 0 and 1 or false and true."""
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    faults.note(place, f"must be true or false (or 1 or 0), not {shown(value)}")
    return False


def mapping(value: Plain, place: str, faults: Faults, required: Sequence[str]) -> dict[str, Plain]:
    """Return a mapping; nothing, where it is something else or lacks a required key."""
    if not isinstance(value, dict):
        faults.note(place, f"must be a mapping, not {shown(value)}")
        return {}
    missing = [key for key in required if key not in value]
    for key in missing:
        faults.note(f"{place}.{key}" if place else key, "is missing")
    return {} if missing else value


def items(value: Plain, place: str, faults: Faults, *, count: int | None = None) -> list[Plain]:
    """Return a list (of a given length, where stated); nothing, where it is something else."""
    if not isinstance(value, list):
        faults.note(place, f"must be a list, not {shown(value)}")
    elif count is not None and len(value) != count:
        faults.note(place, f"must have {count} entries, but has {len(value)}")
    else:
        return value
    return []


def shown(value: Plain) -> str:
    """Return a value as messages have it: never a whole container."""
    if value is None:
        return "null"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"'{cut(str(value).lower() if isinstance(value, bool) else value)}'"
