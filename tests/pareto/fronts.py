"""Fronts for tests: of given images, with a plan for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.front import Front, Hypervolume, Point

NAMES = ("latency", "energy", "cost", "throughput")


def plan_of(*devices: str, stream: str = "camera") -> Plan:
    return Plan(routes={stream: (Route(devices=devices),)})


def front_of(
    values: Sequence[Sequence[float]], plans: Sequence[Plan] | None = None, **fields: Any
) -> Front:
    """A front of images; the plan of the n-th runs on device dn unless given."""
    width = len(values[0]) if len(values) else 2
    if plans is None:
        plans = [plan_of(f"d{index}") for index in range(len(values))]
    return Front(
        **{
            "objectives": NAMES[:width],
            "points": tuple(
                Point(tuple(map(float, row)), plan) for row, plan in zip(values, plans, strict=True)
            ),
            "exact": True,
            "hypervolume": Hypervolume(0.0, 0.0, tuple(1e3 for _ in range(width))),
            "instance": "test",
            "fingerprint": "0" * 64,
            **fields,
        }
    )


def sphere(count: int, width: int, seed: int) -> np.ndarray:
    """Images of a convex front: 1.1 minus the unit sphere's corner."""
    drawn = np.abs(np.random.default_rng(seed).normal(size=(count, width)))
    return 1.1 - drawn / np.linalg.norm(drawn, axis=1)[:, None]
