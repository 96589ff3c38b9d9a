import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.pareto.indicators import array, nondominated, normalised, ranges
from edgeplan.pareto.knees import METHODS, find_knee, knee_scores
from tests.pareto.fronts import sphere


def test_the_corner_of_an_l_is_the_knee():
    rows = array([(0, 10), (1, 9), (2, 2), (9, 1), (10, 0)], 2)
    distance, rate = (find_knee(rows, method) for method in METHODS)
    # Normalised (0.2, 0.2): (1 − 0.4) / √2 below the line; leaving it gains at most 0.2.
    assert (distance.index, distance.score) == (2, pytest.approx(0.6 / 2**0.5))
    assert (rate.index, rate.score) == (2, pytest.approx(0.8 / 0.2))


def test_units_do_not_matter():
    rows = array([(0, 10), (1, 9), (2, 2), (9, 1), (10, 0)], 2)
    other = rows * (1e-6, 3e4) + (5, -7)
    for method in METHODS:
        knee, scaled = find_knee(rows, method), find_knee(other, method)
        assert scaled.index == knee.index
        assert scaled.score == pytest.approx(knee.score)


def test_one_looks_at_the_whole_and_the_other_for_the_sharpest_bend():
    # Straight pieces, 100 points each, of slopes −5, −2/9, −13/4 and −10/62.
    corners = array([(0, 1), (0.12, 0.4), (0.3, 0.36), (0.38, 0.1), (1, 0)], 2)
    share = np.linspace(0, 1, 100, endpoint=False)[:, None]
    pieces = [a + share * (b - a) for a, b in itertools.pairwise(corners)]
    rows = np.concatenate([*pieces, corners[-1:]])
    whole, sharpest = (find_knee(rows, method) for method in METHODS)
    assert (rows[whole.index] == corners[3]).all()
    assert whole.score == pytest.approx((1 - 0.48) / 2**0.5)
    # Leaving it to the left costs 5 for 1, to the right 4.5.
    assert (rows[sharpest.index] == corners[1]).all()
    assert sharpest.score == pytest.approx(4.5)


def test_three_objectives_bend_towards_the_ideal_point():
    rows = array([(0, 6, 6), (6, 0, 6), (6, 6, 0), (2, 2, 2), (1, 5.5, 5)], 3)
    distance = find_knee(rows, "hyperplane")
    # The plane through the ends is Σ y = 2 where the ends are (0, 1, 1) and the like.
    assert distance.index == 3
    assert distance.score == pytest.approx((2 - 1) / 3**0.5)
    assert find_knee(rows, "trade-off rate").index == 3


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(1, 1)],
        [(1, 2), (2, 1)],
        [(k, 10 - k) for k in range(11)],
        [(0, 10), (6, 9), (9, 6), (10, 0)],
    ],
    ids=["empty", "one", "two", "straight", "bulges outwards"],
)
def test_no_knee(rows, method):
    assert find_knee(array(rows, 2), method) is None


def test_one_objective_has_no_knee():
    assert find_knee(array([(1,)], 1), "hyperplane") is None


@given(
    st.integers(2, 4).flatmap(
        lambda width: st.lists(
            st.tuples(*[st.integers(0, 12)] * width), min_size=3, max_size=15, unique=True
        )
    )
)
@settings(max_examples=60)
def test_rates_are_as_defined(rows):
    # All are near one another: there are at most 16 others.
    rows = array(rows, len(rows[0]))
    rows = rows[nondominated(rows)]
    unit = normalised(rows, *ranges([rows]))
    expected = np.full(len(rows), np.inf)
    for i, j in itertools.permutations(range(len(rows)), 2):
        loss = np.maximum(unit[j] - unit[i], 0).sum()
        gain = np.maximum(unit[i] - unit[j], 0).sum()
        expected[i] = min(expected[i], loss / gain)
    assert knee_scores(rows, "trade-off rate") == pytest.approx(expected)


@pytest.mark.parametrize("width", [2, 3, 4])
def test_a_sphere_bends_in_the_middle(width):
    """By the hyperplane the knee of a sphere's corner is on the diagonal."""
    rows = sphere(1500, width, 0)
    knee = find_knee(rows, "hyperplane")
    assert rows[knee.index] == pytest.approx([1.1 - width**-0.5] * width, abs=0.15)
