"""The hypervolume of a front that is not all known, from both sides.

All volumes are of a box between an ideal and a reference point. What the points found dominate is
a lower bound. A corner e with no image y < e says that nothing in {z : z < e} is dominated: what
is left of the box after all such corners is an upper bound. Both move towards the final value
only, and meet where the corners cover all that the points do not dominate.

Reference: Zitzler and others, IEEE Transactions on Evolutionary Computation 7(2), 2003.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = tuple[float, ...]

BEYOND = 1.1
"""The reference point is so many times the estimate of the nadir."""


def reference_point(images: Sequence[Sequence[float]]) -> Vector:
    """Return the componentwise worst of images, moved outwards by `BEYOND`.

    Examples
    --------
    >>> reference_point([(1.0, 4.0), (2.0, 0.0)])
    (2.2, 4.4)
    """
    worst = np.asarray(images, dtype=float).max(axis=0)
    # A worst value of 0 leaves no box: any size will do then, and it must not be 0.
    return tuple(float(value) * BEYOND if value > 0 else 1.0 for value in worst)


def dominated_volume(
    images: Sequence[Sequence[float]] | NDArray[np.float64], reference: Vector
) -> float:
    """Return the volume that images dominate below the reference point.

    Examples
    --------
    >>> dominated_volume([(1.0, 2.0), (2.0, 1.0)], (3.0, 3.0))
    3.0
    """
    inside = [tuple(y) for y in images if all(a < r for a, r in zip(y, reference, strict=True))]
    if not inside:
        return 0.0
    import moocore

    # Of the unit box, since volumes of joules times dollars may be tiny numbers.
    low = np.asarray(inside, dtype=float).min(axis=0)
    size = np.asarray(reference) - low
    unit = (np.asarray(inside, dtype=float) - low) / size
    share = float(moocore.hypervolume(unit, ref=np.ones(len(reference))))
    return share * float(np.prod(size))


def possible_volume(
    corners: Sequence[Sequence[float]] | NDArray[np.float64], ideal: Vector, reference: Vector
) -> float:
    """Return the volume of the box between two points that no corner excludes.

    Parameters
    ----------
    corners
        Points e of which it is known that no image is below e in every component.
    ideal
        No image is below it in any component.
    reference
        The other end of the box.

    Examples
    --------
    >>> possible_volume([(2.0, 2.0)], (1.0, 1.0), (3.0, 3.0))
    3.0
    """
    box = math.prod(max(high - low, 0.0) for low, high in zip(ideal, reference, strict=True))
    clipped = np.minimum(np.asarray(corners, dtype=float).reshape(-1, len(ideal)), reference)
    # What lies between the ideal point and the corners is what their mirror images dominate.
    excluded = dominated_volume(-clipped, tuple(-low for low in ideal))
    return max(box - excluded, 0.0)
