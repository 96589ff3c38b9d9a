"""Simulated means against textbook formulas, written here on their own.

Tolerances are standard errors of the run itself (by batch means), plus nothing.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeplan.simulation.arrivals import Renewal
from edgeplan.simulation.engine import run
from edgeplan.simulation.statistics import Sample
from edgeplan.simulation.system import JobClass, Queue, Source, System, Visit
from tests.simulation.systems import line, single

REQUESTS = 1_000_000
ERRORS = 4.0
"""Standard errors allowed: with some thirty comparisons, 1 in 100 seeds would fail."""


def check(system: System, expected: float, *, seed: int = 11, requests: int = REQUESTS) -> None:
    found = Sample(run(system, requests, seed=seed).latencies[0]).mean
    assert found.standard_error is not None
    assert found.standard_error < 0.02 * expected, "the run says too little"
    assert abs(found.value - expected) < ERRORS * found.standard_error


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8, 0.9])
def test_exponential_services(rho: float) -> None:
    check(single(rho), 1 / (1 - rho))


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8, 0.9])
def test_constant_services(rho: float) -> None:
    check(single(rho, cv2=0.0), 1 + rho / (2 * (1 - rho)))


@pytest.mark.parametrize("cv2", [0.25, 4.0])
def test_gamma_services(cv2: float) -> None:
    check(single(0.7, cv2=cv2), 1 + 0.7 * (1 + cv2) / (2 * 0.3))


def test_mixed_services() -> None:
    # Short and long jobs: λ E[S²] = 0.5 · 2 · 0.5² + 0.04 · 2 · 5².
    system = System(
        sources=(
            Source(name="short", rate_per_second=0.5),
            Source(name="long", rate_per_second=0.04),
        ),
        classes=(
            JobClass(source=0, visits=(Visit(queue=0, mean_seconds=0.5, cv2=1.0),)),
            JobClass(source=1, visits=(Visit(queue=0, mean_seconds=5.0, cv2=1.0),)),
        ),
        queues=(Queue(name="q"),),
    )
    wait = (0.5 * 2 * 0.25 + 0.04 * 2 * 25) / (2 * (1 - 0.45))
    check(system, 0.5 + wait)


def test_exponential_tandem() -> None:
    # Burke: the second queue is M/M/1 too.
    check(line(0.75, (1.0, 1.0), (1.1, 1.0)), 1 / (1 - 0.75) + 1 / (1 / 1.1 - 0.75))


@pytest.mark.parametrize("servers", [2, 5])
def test_shared_line(servers: int) -> None:
    load = 0.8 * servers
    last = load**servers / math.factorial(servers) / (1 - 0.8)
    waits = last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)
    check(single(load, servers=servers, dispatch="shared"), 1 + waits / (servers - load))


def test_random_lines_are_queues_of_their_own() -> None:
    check(single(0.8 * 5, servers=5), 1 / (1 - 0.8))


@pytest.mark.parametrize("cv2", [0.5, 4.0])
def test_bursty_arrivals(cv2: float) -> None:
    # GI/M/1: the sojourn is exponential with rate 1 − σ, where σ = A*(1 − σ) and A* is the
    # transform of the gamma-distributed gap, (1 + s cv² / λ)^(−1 / cv²).
    rate, sigma = 0.7, 0.5
    for _ in range(500):
        sigma = (1 + (1 - sigma) * cv2 / rate) ** (-1 / cv2)
    check(single(rate, arrivals=Renewal(cv2=cv2)), 1 / (1 - sigma))


def test_full_batches() -> None:
    # Every fourth request of a Poisson stream: gaps of cv² ¼; a request waits for 1.5 more.
    rate, sigma = 2.8, 0.5
    for _ in range(500):
        sigma = (1 + (1 - sigma) / rate) ** -4
    check(single(rate, batch=4), 1.5 / rate + 1 / (1 - sigma))


def test_percentiles_of_exponential_sojourns() -> None:
    values = run(single(0.5), REQUESTS, seed=4).latencies[0]
    for probability in (0.5, 0.95, 0.99):
        found = Sample(values).percentile(probability)
        assert found.low_seconds is not None
        assert found.high_seconds is not None
        middle, width = found.seconds, found.high_seconds - found.low_seconds
        # M/M/1: exponential with mean 2; twice the 95 % interval.
        assert abs(middle - 2 * math.log(1 / (1 - probability))) < width


def test_little_and_the_load() -> None:
    record = run(single(0.75), REQUESTS, seed=9)
    seconds = record.seconds - record.warm_up_seconds
    (seen,) = record.queues
    assert seen.busy_seconds / seconds == pytest.approx(0.75, abs=4 * np.sqrt(1.5 / seconds))
    # The mean number in the line is λ W, and in service the busy share.
    assert seen.wait_seconds / seconds == pytest.approx(
        seen.jobs / seconds * (record.latencies[0].mean() - record.work_seconds[0][0]), rel=1e-9
    )
