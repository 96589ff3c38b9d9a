"""The formulae of a timing, checked by hand and by numpy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.model.profile import Timing
from edgeplan.profiling.statistics import (
    boundary,
    interpolate,
    median_deviation,
    quiet,
    squared_variation,
    summarise,
)

TIMES = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=30)


def timing(seconds: float, cv2: float = 0.0, mad: float = 0.0) -> Timing:
    return Timing(
        mean_seconds=seconds,
        median_seconds=seconds,
        mad_seconds=mad,
        cv2=cv2,
        cpu_seconds=seconds,
        runs=5,
    )


def table(seconds: list[list[float]]) -> dict[tuple[int, int], list[float]]:
    return {
        (first, first + entry + 1): [value]
        for first, row in enumerate(seconds)
        for entry, value in enumerate(row)
    }


@given(TIMES)
def test_cv2_is_the_unbiased_variance_over_the_squared_mean(values: list[float]) -> None:
    expected = np.var(values, ddof=1) / np.mean(values) ** 2 if len(values) > 1 else 0.0
    assert squared_variation(values) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(TIMES)
def test_median_deviation_agrees_with_numpy(values: list[float]) -> None:
    expected = np.median(np.abs(np.array(values) - np.median(values)))
    assert median_deviation(values) == pytest.approx(expected, abs=1e-15)


@given(TIMES, st.floats(0.1, 10.0))
def test_times_scale_and_variation_does_not(values: list[float], factor: float) -> None:
    before = summarise(values, values)
    after = summarise([value * factor for value in values], values)
    assert after.mean_seconds == pytest.approx(before.mean_seconds * factor)
    assert after.mad_seconds == pytest.approx(before.mad_seconds * factor, abs=1e-12)
    assert after.cv2 == pytest.approx(before.cv2, rel=1e-6, abs=1e-12)


def test_one_run_has_no_spread() -> None:
    found = summarise([0.5], [0.4])
    assert (found.cv2, found.mad_seconds, found.runs) == (0.0, 0.0, 1)
    assert (found.mean_seconds, found.cpu_seconds) == (0.5, 0.4)


def test_an_outlier_moves_the_mean_but_not_the_median() -> None:
    found = summarise([1.0, 1.0, 1.0, 1.0, 11.0], [1.0] * 5)
    assert (found.median_seconds, found.mad_seconds, found.mean_seconds) == (1.0, 0.0, 3.0)
    assert found.cv2 == pytest.approx(20.0 / 9.0)  # variance 20, mean 3


def test_boundary_is_the_median_extra_per_additional_part() -> None:
    # of the whole: 0.2 and 0.4; of its head: 0.2; of its tail: 0.4
    spans = table([[1.3, 2.3, 3.0], [1.2, 1.9], [1.1]])
    assert boundary(spans, 3) == pytest.approx(0.3)


@pytest.mark.parametrize("count", [4, 9])
@pytest.mark.parametrize("seed", range(8))
def test_boundary_stands_noise(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    true = 100e-6
    layers = random.uniform(0.5e-3, 3e-3, count)
    runs = {}
    for first, stop in itertools.combinations(range(count + 1), 2):
        seconds = true + layers[first:stop].sum()
        busy = random.random(10) < 0.3  # a neighbour takes up to as much again
        runs[first, stop] = list(
            seconds * (1 + 0.002 * random.random(10)) + busy * random.exponential(seconds / 2, 10)
        )
    assert 0.5 * true < boundary(runs, count) < 2 * true
    # Every run of one span is a third too long: that of all layers, which once set the tone.
    runs[0, count] = [value * 1.3 for value in runs[0, count]]
    assert 0.2 * true < boundary(runs, count) < 2 * true


def test_boundary_is_at_most_the_shortest_part() -> None:
    assert boundary(table([[1.0, 1.0, 1.0], [0.01, 1.0], [1.0]]), 3) == 0.01


def test_the_quiet_time_is_the_lower_quartile() -> None:
    assert quiet([3.0]) == 3.0
    assert quiet([5.0, 1.0, 9.0, 2.0, 9.0]) == 2.0


def test_boundary_is_never_negative_and_zero_for_one_layer() -> None:
    assert boundary(table([[1.0, 3.0], [1.0]]), 2) == 0.0
    assert boundary(table([[1.0]]), 1) == 0.0


def test_joined_parts_save_their_boundaries() -> None:
    parts = [timing(1.0, cv2=0.01, mad=0.3), timing(2.0, cv2=0.01, mad=0.4)]
    found = interpolate(parts, 0.25)
    assert found.mean_seconds == found.median_seconds == 2.75
    assert found.mad_seconds == pytest.approx(0.5)
    assert found.cv2 == pytest.approx(0.05 / 2.75**2)
    assert (found.basis, found.runs) == ("interpolated", 0)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=9), st.floats(0.0, 1.0))
def test_an_interpolated_span_is_never_below_its_dearest_part(
    values: list[float], extra: float
) -> None:
    found = interpolate([timing(value) for value in values], extra)
    assert max(values) <= found.mean_seconds <= math.fsum(values) * (1 + 1e-12)
