"""Arrival processes: their rates, their burstiness, and that asking changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgeplan.model.errors import InputError
from edgeplan.simulation.arrivals import Arrivals, Mmpp, Renewal, Trace


def times(process: Arrivals, rate: float, until: float, seed: int = 0) -> np.ndarray:
    return process.sampler(rate, np.random.default_rng(seed)).until(until)


@pytest.mark.parametrize("cv2", [0.0, 0.25, 1.0, 6.0])
def test_renewal_processes(cv2: float) -> None:
    found = times(Renewal(cv2=cv2), 4.0, 50_000.0)
    gaps = np.diff(found)
    # Standard errors of a mean and of a variance (gamma: fourth moment 3 + 6 cv²).
    assert gaps.mean() == pytest.approx(0.25, abs=5 * 0.25 * np.sqrt(cv2 / gaps.size) + 1e-9)
    error = np.sqrt((2 + 6 * cv2) / gaps.size) * cv2
    assert gaps.var() * 16 == pytest.approx(cv2, abs=5 * error + 1e-9)
    assert found[-1] <= 50_000.0


@pytest.mark.parametrize("cv2", [0.0, 0.25, 1.0, 6.0])
def test_renewal_processes_are_stationary_from_the_start(cv2: float) -> None:
    # As many arrivals within the first tenth of a gap as within any other.
    seen = [times(Renewal(cv2=cv2), 1.0, 0.1, seed).size for seed in range(1000)]
    error = np.std(seen) / np.sqrt(len(seen))
    assert np.mean(seen) == pytest.approx(0.1, abs=4.5 * error)


def test_mmpp_has_its_rate_and_its_dispersion() -> None:
    process = Mmpp(ratio=4.0, burst_seconds=2.0, share=0.25)
    rate, length = 8.0, 200_000.0
    found = times(process, rate, length)
    # Counts of a stationary MMPP: the variance of the rate over its decay, twice, is what the
    # index of dispersion tends to above 1 (Fischer and Meier-Hellstern 1993).
    quiet = rate / (1 - 0.25 + 4 * 0.25)
    variance = 0.25 * 0.75 * (3 * quiet) ** 2
    decay = 1 / 2.0 + 1 / 6.0
    dispersion = 1 + 2 * variance / decay / rate
    windows = np.bincount((found / 100.0).astype(int), minlength=2000)[:2000]
    assert found.size / length == pytest.approx(rate, rel=5 * np.sqrt(dispersion / rate / length))
    # Windows of 100 s are long against 1 / decay = 1.5 s: what is left is below 2 %.
    assert windows.var() / windows.mean() == pytest.approx(dispersion, rel=0.02 + 5 * 0.032)


def test_mmpp_with_equal_rates_is_poisson() -> None:
    gaps = np.diff(times(Mmpp(ratio=1.0, burst_seconds=1.0), 2.0, 30_000.0))
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(1.0, abs=0.06)


def test_traces_keep_their_rate_or_take_the_stream_s() -> None:
    recorded = np.array([100.0, 100.5, 101.0, 104.0])
    own = times(Trace(times=recorded), 50.0, 12.0)
    # Three gaps in 4 s; the mean gap stands before the first and between the rounds.
    mean = 4 / 3
    expected = mean + (recorded - 100.0)
    expected = np.concatenate([expected, expected + 4 + mean, expected + 2 * (4 + mean)])
    np.testing.assert_allclose(own, expected[expected <= 12.0])
    scaled = times(Trace(times=recorded, scaled=True), 50.0, 1000.0)
    assert scaled.size == pytest.approx(50_000, abs=4)
    assert Trace(times=recorded).rate_per_second(50.0) == pytest.approx(0.75)
    assert Trace(times=recorded, scaled=True).rate_per_second(50.0) == 50.0


@pytest.mark.parametrize(
    "process",
    [
        Renewal(),
        Renewal(cv2=3.0),
        Mmpp(ratio=9.0, burst_seconds=3.0),
        Trace(times=np.array([0.0, 1.0, 1.0, 5.0])),
    ],
    ids=str,
)
def test_how_often_one_asks_changes_nothing(process: Arrivals) -> None:
    whole = times(process, 3.0, 9000.0)
    sampler = process.sampler(3.0, np.random.default_rng(0))
    parts = [sampler.until(float(until)) for until in np.linspace(0, 9000.0, 77)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert np.all(np.diff(whole) >= 0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Renewal(cv2=-1.0), "cv2"),
        (lambda: Renewal(cv2=float("nan")), "cv2"),
        (lambda: Mmpp(ratio=0.5, burst_seconds=1.0), "ratio"),
        (lambda: Mmpp(ratio=2.0, burst_seconds=0.0), "burst_seconds"),
        (lambda: Mmpp(ratio=2.0, burst_seconds=1.0, share=1.0), "share"),
        (lambda: Renewal(cv2=1e300), "cv2: must be at most 1e"),
        (lambda: Mmpp(ratio=2.0, burst_seconds=1e300), "too far apart"),
        (lambda: Mmpp(ratio=2.0, burst_seconds=1.0, share=1e-300), "too far apart"),
        (lambda: Trace(times=np.array([0.0, 1e-320])), "inf arrivals per second"),
        (lambda: Trace(times=np.array([0.0, 1e308])), "1e-308 arrivals per second"),
        (lambda: Trace(times=np.array([1.0])), "two arrivals"),
        (lambda: Trace(times=np.array([1.0, 1.0])), "two arrivals"),
        (lambda: Trace(times=np.array([1.0, 3.0, 2.0, 4.0])), "never decrease"),
    ],
)
def test_processes_that_there_are_not(make, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("share", [0.5, 0.02])
def test_bursts_with_few_requests_each_are_not_slow_to_draw(share: float) -> None:
    # Two switches to a twentieth of a request, and more of them than a block has.
    process = Mmpp(ratio=4 / share, burst_seconds=0.05 * share, share=share)
    assert process.excess(1.0) > 0.01
    found = times(process, 1.0, 40_000.0)
    error = np.sqrt((1 + process.excess(1.0)) / 40_000)
    assert found.size / 40_000 == pytest.approx(1.0, abs=5 * error)
    windows = np.bincount(found.astype(int), minlength=40_000)[:40_000]
    assert windows.var() / windows.mean() == pytest.approx(1 + process.excess(1.0), rel=0.05)


@pytest.mark.parametrize(("burst_seconds", "rate"), [(1e-3, 10.0), (2e-5, 120.0), (1e-6, 10.0)])
def test_bursts_far_shorter_than_a_gap_are_none(burst_seconds: float, rate: float) -> None:
    process = Mmpp(ratio=4.0, burst_seconds=burst_seconds)
    assert 0 < process.excess(rate) < 0.01
    found = times(process, rate, 20_000 / rate)
    np.testing.assert_array_equal(found, times(Renewal(), rate, 20_000 / rate))


def test_what_the_dispersion_exceeds_is_that_of_the_counts() -> None:
    process = Mmpp(ratio=4.0, burst_seconds=2.0, share=0.25)
    quiet = 8.0 / (1 - 0.25 + 4 * 0.25)
    variance, decay = 0.25 * 0.75 * (3 * quiet) ** 2, 1 / 2.0 + 1 / 6.0
    assert process.excess(8.0) == pytest.approx(2 * variance / decay / 8.0)


def test_a_burst_without_end_is_drawn_only_as_far_as_asked() -> None:
    sampler = Mmpp(ratio=1e12, burst_seconds=10.0, share=1e-11).sampler(
        50.0, np.random.default_rng(0)
    )
    begin = sampler.peek()
    found = sampler.until(begin + 5e11, 1000)
    assert found[0] == begin
    assert 1000 <= found.size <= 20_000


@pytest.mark.parametrize("cv2", [1e-310, 1e-300, 1e-13])
def test_almost_no_variation_is_a_clock(cv2: float) -> None:
    np.testing.assert_allclose(np.diff(times(Renewal(cv2=cv2), 4.0, 100.0)), 0.25)
