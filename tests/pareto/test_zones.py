"""The zones of points are the maximal boxes that no point dominates, by brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.pareto.zones import Zones


def local_upper_bounds(points, dimension):
    """All maximal u with no point below it, among the corners that points can make."""
    axes = [[*sorted({point[k] for point in points}), math.inf] for k in range(dimension)]
    empty = [
        u
        for u in itertools.product(*axes)
        if not any(all(y < b for y, b in zip(point, u, strict=True)) for point in points)
    ]
    return {
        u
        for u in empty
        if not any(v != u and all(a <= b for a, b in zip(u, v, strict=True)) for v in empty)
    }


@settings(max_examples=150, deadline=None)
@given(
    st.integers(2, 4).flatmap(
        lambda p: st.lists(st.tuples(*[st.integers(0, 4)] * p), min_size=1, max_size=7)
    )
)
def test_zones_are_the_maximal_boxes_without_a_point(points):
    dimension = len(points[0])
    zones = Zones(dimension)
    for point in points:
        zones.add(point)
    found = [zone.upper for zone in zones]
    assert len(found) == len(set(found))
    assert set(found) == local_upper_bounds([tuple(map(float, p)) for p in points], dimension)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=8))
def test_defining_points_lie_in_the_face_they_define(points):
    zones = Zones(3)
    for point in points:
        zones.add(point)
    for zone in zones:
        for k, defining in enumerate(zone.defining):
            assert defining or math.isinf(zone.upper[k])
            for index in defining:
                y = zones.points[index]
                assert y[k] == zone.upper[k]
                assert all(y[j] < zone.upper[j] for j in range(3) if j != k)


@pytest.mark.parametrize("seed", range(3))
def test_random_order_gives_the_same_zones(seed):
    rng = np.random.default_rng(seed)
    points = [tuple(row) for row in rng.integers(0, 8, size=(40, 3)).tolist()]
    first, second = Zones(3), Zones(3)
    for point in points:
        first.add(point)
    for index in rng.permutation(len(points)):
        second.add(points[index])
    assert {z.upper for z in first} == {z.upper for z in second}


def test_a_closed_zone_stays_closed():
    zones = Zones(2)
    zones.add((1.0, 1.0))
    (left,) = [zone for zone in zones if zone.upper == (1.0, math.inf)]
    zones.close(left.index)
    assert [zone.upper for zone in zones] == [(math.inf, 1.0)]
    zones.add((0.5, 3.0))
    assert [zone.upper for zone in zones] == [(math.inf, 1.0)]
    assert left.index not in zones


def test_containing_and_within():
    zones = Zones(2)
    zones.add((1.0, 2.0))
    assert [z.upper for z in zones.containing((0.0, 5.0))] == [(1.0, math.inf)]
    assert [z.upper for z in zones.within((1.0, math.inf))] == [(1.0, math.inf)]
