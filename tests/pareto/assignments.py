"""Random assignment problems: n requests, n devices, three tables of costs."""

import numpy as np

from edgeplan.instances.importers.assignment import import_assignment


def assignment(count, seed, *, factor=1.0, digits=None, largest=20):
    """A random assignment with whole costs up to ``largest``, times a factor.

    ``digits``: broken costs with so many digits after the point instead.
    """
    rng = np.random.default_rng(seed)
    if digits is None:
        costs = (factor * rng.integers(1, largest + 1, size=(3, count, count))).tolist()
    else:
        costs = rng.uniform(0.1, 20, size=(3, count, count)).round(digits).tolist()
    return import_assignment({"n": count, "costs": costs}, f"assignment {count} {seed}").problem
