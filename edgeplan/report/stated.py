"""What a JSON file states, taken out of it without trust: a part that is missing is empty."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Stated = Mapping[str, Any]


def number(value: object) -> float | None:
    """Return a finite number, ``None`` of anything else.

    Examples
    --------
    >>> number(2), number("2"), number(True), number(float("inf"))
    (2.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def text(value: object, longest: int = 200) -> str:
    """Return a text, empty of anything else, cut to a length."""
    if not isinstance(value, str):
        return ""
    return value if len(value) <= longest else value[: longest - 1] + "…"


def part(item: Stated, key: str) -> Stated:
    """Return an object within an object; an empty one where there is none."""
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}


def parts(item: Stated, key: str) -> list[Stated]:
    """Return the objects of a list within an object."""
    value = item.get(key)
    found = value if isinstance(value, list | tuple) else ()
    return [each for each in found if isinstance(each, Mapping)]


def texts(item: Stated, key: str) -> list[str]:
    """Return the texts of a list within an object."""
    value = item.get(key)
    found = value if isinstance(value, list | tuple) else ()
    return [text(each, 2000) for each in found if isinstance(each, str)]


def pair(value: object) -> tuple[float | None, float | None]:
    """Return the two numbers of a list."""
    if isinstance(value, Sequence) and len(value) == 2:
        return number(value[0]), number(value[1])
    return None, None


def against(value: float | None, other: float | None) -> str:
    """Return by how much a value differs from another, in percent; empty where not known.

    Examples
    --------
    >>> against(1.1, 1.0), against(None, 1.0), against(1.0, 0.0)
    ('+10.0 %', '', '')
    """
    return "" if value is None or not other else f"{100 * (value / other - 1):+.1f} %"


def predicted_latency(each: Stated) -> float | None:
    """Return the mean latency of a compared plan by the evaluator, in seconds."""
    return number(part(each, "predicted").get("latency_seconds"))


def simulated_latency(each: Stated) -> float | None:
    """Return its simulated mean latency, in seconds."""
    return number(part(each, "simulated").get("latency_seconds"))


def simulated_half_width(each: Stated) -> float | None:
    """Return half of the 95 % confidence interval of that mean, in seconds."""
    return number(part(each, "simulated").get("half_width"))


def predicted_objective(each: Stated) -> float | None:
    """Return its objective by the evaluator."""
    return number(part(each, "predicted").get("objective"))
