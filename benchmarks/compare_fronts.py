"""Two fronts of 5,000 points, with plans: time to compare them, and what they come to.

The values are asserted against their definitions, written out in numpy: on samples of the points
where all pairs are looked at, and by Monte Carlo for the hypervolume.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.choose import choose
from edgeplan.pareto.compare import compare, point_set
from edgeplan.pareto.files import read_front
from edgeplan.pareto.front import Front, Hypervolume, Point
from edgeplan.pareto.indicators import Array

NAMES = ("latency", "energy", "cost", "throughput")
STREAMS, LAYERS = 10, 20
_T = TypeVar("_T")


def front(count: int, width: int, seed: int) -> Front:
    """Return a front whose images lie on a sphere's corner, with random plans of ten streams."""
    draw = np.random.default_rng(seed)
    images = np.abs(draw.normal(size=(count, width)))
    images = 1.1 - images / np.linalg.norm(images, axis=1)[:, None]
    devices = np.array(["phone", "edge", "cloud"])
    cuts = np.sort(draw.integers(0, LAYERS + 1, size=(count, STREAMS, 2)))
    points = []
    for row, image in zip(cuts, images, strict=True):
        routes = {
            f"stream-{s}": (Route(devices=tuple(np.repeat(devices, (a, b - a, LAYERS - b)))),)
            for s, (a, b) in enumerate(row)
        }
        points.append(Point(tuple(map(float, image)), Plan(routes=routes)))
    return Front(
        objectives=NAMES[:width],
        points=tuple(points),
        exact=True,
        hypervolume=Hypervolume(0.0, 0.0, (1.2,) * width),
        fingerprint="0" * 64,
    )


def epsilon(first: Array, second: Array) -> float:
    """Return the additive ε by its definition."""
    return float((first[:, None] - second[None]).max(axis=2).min(axis=0).max())


def covered(first: Array, second: Array) -> float:
    """Return the share of the second that the first covers, by its definition."""
    return float((first[:, None] <= second[None]).all(axis=2).any(axis=0).mean())


def sampled_volume(images: Array, corner: float, count: int = 4000) -> tuple[float, float]:
    """Return the hypervolume by Monte Carlo, and its standard error."""
    width = images.shape[1]
    draws = np.random.default_rng(0).random((count, width)) * corner
    hit = np.array([(images <= draw).all(axis=1).any() for draw in draws])
    share = float(hit.mean())
    return share * corner**width, (share * (1 - share) / count) ** 0.5 * corner**width


def check(count: int, width: int) -> None:
    """Assert a comparison's values against their definitions."""
    fronts = [front(count, width, seed) for seed in (1, 2)]
    a, b = (np.asarray(each.values) for each in fronts)
    found = fronts[0].compare(fronts[1])
    assert np.isclose(found.epsilon_additive["A->B"], epsilon(a, b), atol=1e-12)
    assert np.isclose(found.epsilon_additive["B->A"], epsilon(b, a), atol=1e-12)
    assert np.isclose(
        found.epsilon_multiplicative["A->B"] or 0, np.exp(epsilon(np.log(a), np.log(b)))
    )
    assert found.coverage == {"A->B": covered(a, b), "B->A": covered(b, a)}
    joined = np.concatenate([a, b])
    better = (joined[:, None] <= joined[None]).all(axis=2) & (joined[:, None] < joined).any(axis=2)
    best = joined[~better.any(axis=0)]
    behind = np.maximum(a[:, None] - best[None], 0.0)
    igd_plus = np.sqrt((behind**2).sum(axis=2)).min(axis=0).mean()
    assert np.isclose(found.igd_plus["A"], igd_plus)
    volume, error = sampled_volume(a, found.reference[0])
    assert abs(found.hypervolume["A"] - volume) < 5 * error, (found.hypervolume, volume, error)


def timed(what: Callable[[], _T], repeats: int = 5) -> tuple[float, float, _T]:
    """Return median seconds by the clock and by the processor, and what was made."""
    wall, busy = [], []
    for _ in range(repeats):
        began, worked = time.perf_counter(), time.process_time()
        made = what()
        wall.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    return statistics.median(wall), statistics.median(busy), made


def main(count: int = 5000) -> None:
    """Time comparisons of two fronts and print them."""
    for width in (2, 3, 4):
        check(300, width)
    print("indicators are as defined on samples of 300 points with 2, 3 and 4 objectives")
    print(f"two fronts of {count} points, {STREAMS} streams of {LAYERS} layers; medians of 5")
    for width in (2, 3, 4):
        fronts = [front(count, width, seed) for seed in (1, 2)]
        with tempfile.TemporaryDirectory() as folder:
            write = timed(lambda: fronts[0].write(Path(folder)), 1)  # noqa: B023 called at once
            read = timed(lambda: read_front(Path(folder)), 1)
        assert read[2] == fronts[0]
        sets = [point_set(each, name) for each, name in zip(fronts, "AB", strict=True)]
        compared = timed(lambda: compare(sets))  # noqa: B023 called at once
        changes = timed(lambda: compare(sets).changes)  # noqa: B023 called at once
        chosen = timed(lambda: choose(fronts[0]))  # noqa: B023 called at once
        gone, new = (len(changes[2][0].of(kind)) for kind in ("gone", "new"))
        assert changes[2][0].same + gone == changes[2][0].same + new == count
        for name, (wall, busy, _) in {
            "compare": compared,
            "compare, plan by plan": changes,
            "choose": chosen,
            "write": write,
            "read": read,
        }.items():
            print(f"{width} objectives  {name:22} {wall:7.3f} s by the clock, {busy:6.3f} s of CPU")


if __name__ == "__main__":
    main()
