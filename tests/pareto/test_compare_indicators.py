"""Indicators against cases worked out by hand and against their definitions, written out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.pareto import indicators
from edgeplan.pareto.indicators import array

whole = st.integers(0, 5).map(float)


def sets(width: int, least: int = 0):
    return st.lists(st.tuples(*[whole] * width), min_size=least, max_size=7)


def below(a, b) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True))


def dominates(a, b) -> bool:
    return below(a, b) and tuple(a) != tuple(b)


# --- by hand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_hypervolume_of_one_point_is_a_box(width):
    point = [tuple(range(1, width + 1))]
    volume = math.prod(10 - k for k in point[0])
    assert indicators.hypervolume(array(point, width), [10] * width) == pytest.approx(volume)


def test_hypervolume_of_a_staircase():
    # n steps of 1/n: Σ (k + 1) / n² for k below n.
    for count in (1, 2, 10, 1000):
        steps = [(k / count, 1 - (k + 1) / count) for k in range(count)]
        exact = (count + 1) / (2 * count)
        assert indicators.hypervolume(array(steps, 2), (1, 1)) == pytest.approx(exact)


def test_points_behind_the_reference_add_nothing():
    inside = array([(1, 1)], 2)
    with_outside = array([(1, 1), (0, 5), (4, 0), (4, 4)], 2)
    assert indicators.hypervolume(with_outside, (4, 4)) == indicators.hypervolume(inside, (4, 4))
    assert indicators.hypervolume(array([], 2), (4, 4)) == 0


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_shifted_set(width):
    """A set shifted by δ is δ behind, and the first is δ ahead; scaled likewise."""
    first = 1.0 + np.random.default_rng(3).random((20, width))
    first = first[indicators.nondominated(first)]
    assert indicators.epsilon_additive(first + 0.25, first) == pytest.approx(0.25)
    assert indicators.epsilon_additive(first, first + 0.25) == pytest.approx(-0.25)
    assert indicators.epsilon_multiplicative(first * 2, first) == pytest.approx(2)
    assert indicators.epsilon_multiplicative(first, first * 2) == pytest.approx(0.5)
    assert indicators.igd_plus(first, first + 0.25) == 0
    assert indicators.igd_plus(first[:1] + 0.25, first[:1]) == pytest.approx(
        0.25 * math.sqrt(width)
    )


def test_the_example_of_ishibuchi():
    """IGD+ of example 4 of Ishibuchi and others, 2015: A is better than B."""
    reference = array([(10, 0), (6, 1), (2, 2), (1, 6), (0, 10)], 2)
    a, b = array([(4, 2), (3, 3), (2, 4)], 2), array([(8, 2), (4, 4), (2, 8)], 2)
    # From (10, 0) it is 2 up to (4, 2), from (6, 1) it is 1, from (2, 2) (1, 1) to (3, 3).
    assert indicators.igd_plus(a, reference) == pytest.approx((2 * 2 + 2 * 1 + 2**0.5) / 5)
    assert indicators.igd_plus(b, reference) == pytest.approx((2 * 2 + 2 * 5**0.5 + 8**0.5) / 5)


def test_empty_sets():
    some, none = array([(1, 1)], 2), array([], 2)
    assert indicators.epsilon_additive(none, some) == math.inf
    assert indicators.epsilon_additive(some, none) == -math.inf
    assert indicators.epsilon_multiplicative(none, some) == math.inf
    assert indicators.epsilon_multiplicative(some, none) == 0
    assert indicators.igd_plus(none, some) == math.inf
    assert indicators.igd_plus(some, none) == 0
    assert indicators.dominated(none, some).tolist() == []
    assert indicators.nondominated(none).tolist() == []
    assert indicators.snap([], 0.1) == []


def test_multiplicative_epsilon_of_zeros_and_negative_values():
    zero, one = array([(0, 1)], 2), array([(1, 1)], 2)
    assert indicators.epsilon_multiplicative(zero, zero) == 1
    assert indicators.epsilon_multiplicative(one, zero) == math.inf
    assert indicators.epsilon_multiplicative(zero, one) == 1
    assert indicators.epsilon_multiplicative(-one, one) is None


# --- by definition ------------------------------------------------------------------------------


@given(st.integers(1, 4).flatmap(lambda width: st.tuples(sets(width, 1), sets(width, 1))))
@settings(max_examples=60)
def test_indicators_are_as_defined(both):
    first, second = both
    width = len(first[0])
    a, b = array(first, width), array(second, width)
    reference = (4.5,) * width
    # Unit cubes: corners are whole, the reference half a cube behind.
    volume = sum(
        math.prod(min(c + 1, 4.5) - c for c in cell)
        for cell in itertools.product(range(5), repeat=width)
        if any(below(point, cell) for point in first)
    )
    assert indicators.hypervolume(a, reference) == pytest.approx(volume)
    additive = max(
        min(max(x - y for x, y in zip(p, q, strict=True)) for p in first) for q in second
    )
    assert indicators.epsilon_additive(a, b) == additive

    def ratio(x, y):
        return x / y if y else (math.inf if x else 0.0)

    multiplicative = max(
        min(max(ratio(x, y) for x, y in zip(p, q, strict=True)) for p in first) for q in second
    )
    assert indicators.epsilon_multiplicative(a, b) == pytest.approx(multiplicative)
    distances = [
        min(math.hypot(*(max(x - y, 0) for x, y in zip(p, q, strict=True))) for p in first)
        for q in second
    ]
    assert indicators.igd_plus(a, b) == pytest.approx(sum(distances) / len(distances))


@given(st.integers(1, 4).flatmap(lambda width: st.tuples(sets(width, 1), sets(width, 1))))
@settings(max_examples=60)
def test_masks_are_as_defined(both):
    first, second = both
    a, b = array(first, len(first[0])), array(second, len(first[0]))
    assert indicators.dominated(b, a).tolist() == [
        any(dominates(p, q) for p in first) for q in second
    ]
    assert indicators.covered(b, a).tolist() == [any(below(p, q) for p in first) for q in second]
    assert indicators.present(b, a).tolist() == [q in first for q in second]
    assert indicators.nondominated(b).tolist() == [
        not any(dominates(p, q) for p in second) for q in second
    ]


@given(sets(2, 1), st.floats(-1e-10, 1e-10))
def test_snapping_makes_what_is_nearly_equal_equal(rows, noise):
    exact = array(rows, 2)
    noisy = exact * (1 + noise)
    one, two = indicators.snap([exact, noisy], 1e-9)
    assert (one == two).all()
    assert np.allclose(one, exact, rtol=1e-9, atol=0)
    unchanged = indicators.snap([exact, noisy], 0.0)
    assert all((x == y).all() for x, y in zip(unchanged, [exact, noisy], strict=True))


def test_snapping_changes_no_set_it_was_given():
    rows = array([(1.0, 2.0), (1.0 + 1e-12, 3.0)], 2)
    before = rows.copy()
    indicators.snap([rows], 1e-9)
    assert (rows == before).all()


def test_normalising():
    rows = array([(1, 5, 2), (3, 1, 2), (9, 9, 2)], 3)
    ideal, nadir = indicators.ranges([rows])
    assert (ideal.tolist(), nadir.tolist()) == ([1, 1, 2], [3, 5, 2])
    assert indicators.normalised(rows, ideal, nadir).tolist() == [[0, 1, 0], [1, 0, 0], [4, 2, 0]]
