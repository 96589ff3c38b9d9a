"""Compare what two ways of running a network make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

DEPLOYED_TOLERANCE = 1e-6
"""Largest difference, over the output's scale, of outputs that count as equal with all
optimisations on: kernels then add up in other orders."""


def scaled_error(found: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Return max |found − expected| ÷ max |expected|.

    ``inf`` where types, shapes, or the places of what is not finite differ; the scale is 1
    where all that is expected is zero.

    Examples
    --------
    >>> scaled_error(np.array([1.0, 2.5]), np.array([1.0, 2.0]))
    0.25
    >>> scaled_error(np.array([1.0]), np.array([1.0, 2.0]))
    inf
    """
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return math.inf
    if not expected.size:
        return 0.0
    a, b = found.astype(np.float64), expected.astype(np.float64)
    odd = ~np.isfinite(a) | ~np.isfinite(b)
    if odd.any():
        if not np.array_equal(a[odd], b[odd], equal_nan=True):
            return math.inf
        a, b = a[~odd], b[~odd]
        if not b.size:
            return 0.0
    return float(np.max(np.abs(a - b))) / (float(np.max(np.abs(b))) or 1.0)
