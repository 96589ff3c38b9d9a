"""Confidence: what is said of a run is true as often as it is said to be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeplan.simulation.engine import run
from edgeplan.simulation.statistics import Estimate, Sample, student
from tests.simulation.systems import single


def test_percentiles_by_their_definition() -> None:
    sample = Sample(np.array([5.0, 1.0, 4.0, 2.0, 3.0, 10.0, 6.0, 9.0, 7.0, 8.0]))
    assert [sample.percentile(p).seconds for p in (0.05, 0.1, 0.11, 0.5, 0.9, 0.95, 0.99)] == [
        1.0, 1.0, 2.0, 5.0, 9.0, 10.0, 10.0,
    ]  # fmt: skip
    assert sample.mean.value == 5.5
    assert sample.within(7.0).value == 0.7


def test_student() -> None:
    assert student(0.975) == pytest.approx(2.093, abs=1e-3)  # 19 degrees of freedom
    estimate = Estimate(1.0, 0.1)
    assert estimate.half_width == pytest.approx(0.2093, abs=1e-4)
    assert estimate.above(0.8)
    assert not estimate.above(0.83)  # 1.729 standard errors
    assert estimate.below(1.2)
    assert not estimate.below(1.17)
    assert not Estimate(1.0, None).above(0.0)
    assert Estimate(1.0, None).half_width is None


def test_too_few_requests_say_nothing_of_confidence() -> None:
    sample = Sample(np.arange(199.0))
    assert sample.mean.half_width is None
    assert sample.percentile(0.5).low_seconds is None
    assert Sample(np.arange(200.0)).mean.half_width is not None
    nothing = Sample(np.empty(0))
    assert math.isnan(nothing.mean.value)
    assert math.isnan(nothing.percentile(0.9).seconds)
    assert math.isnan(nothing.within(1.0).value)


def test_all_in_time_is_not_certainty() -> None:
    share = Sample(np.ones(3000)).within(1.0)
    assert share.value == 1.0
    assert share.half_width == pytest.approx(3 / 3000)
    assert Sample(np.ones(3000)).mean.half_width == 0.0


def test_a_percentile_without_a_bound_says_so() -> None:
    generator = np.random.default_rng(0)
    found = Sample(generator.exponential(1.0, 300)).percentile(0.995)
    assert found.low_seconds is not None
    assert found.low_seconds <= found.seconds
    assert found.high_seconds is None


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_intervals_cover_the_truth_as_often_as_they_say(rho: float) -> None:
    runs = 200
    covered = dict.fromkeys(("mean", "p95", "within"), 0)
    for seed in range(runs):
        sample = Sample(run(single(rho), 20_000, seed=seed).latencies[0])
        mean, p95, within = sample.mean, sample.percentile(0.95), sample.within(2 / (1 - rho))
        assert mean.half_width is not None
        assert within.half_width is not None
        assert p95.low_seconds is not None
        covered["mean"] += abs(mean.value - 1 / (1 - rho)) < mean.half_width
        # Sojourns are exponential with mean 1 / (1 − ρ).
        high = math.inf if p95.high_seconds is None else p95.high_seconds
        covered["p95"] += p95.low_seconds < math.log(20) / (1 - rho) < high
        covered["within"] += abs(within.value - (1 - math.exp(-2))) < within.half_width
    # 95 % of 200 is 190, with a standard deviation of 3; short batches cost a few more.
    for name, count in covered.items():
        assert 178 <= count <= 199, (name, count)
