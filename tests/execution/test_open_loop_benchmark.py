"""What the benchmark of the open loop plans and replays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from benchmarks import open_loop
from edgeplan.execution.arrivals import arrivals
from edgeplan.execution.open_loop import under_load
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

LAYERS = 4


def network(name: str, seconds: float) -> Network:
    """A chain whose spans take as long as their layers together."""
    layers = tuple(Layer(name=f"l{index}") for index in range(LAYERS))
    tensors = (
        Tensor(name="x", bytes=100, producer=None, consumers=(0,)),
        *(
            Tensor(name=f"t{index}", bytes=50_000, producer=index, consumers=(index + 1,))
            for index in range(LAYERS - 1)
        ),
        Tensor(name="y", bytes=100, producer=LAYERS - 1, consumers=(), output=True),
    )
    spans = tuple(
        tuple(seconds * (k + 1) / LAYERS for k in range(LAYERS - first)) for first in range(LAYERS)
    )
    return Network(name, layers, tensors, dict.fromkeys(["near", "far"], SpanCosts(seconds=spans)))


@pytest.fixture
def planned() -> tuple[Problem, Plan]:
    return open_loop.instance([network("one", 0.01), network("two", 0.008), network("three", 0.04)])


def test_rho_is_what_both_devices_are_busy_for(planned: tuple[Problem, Plan]) -> None:
    problem, plan = planned
    found = evaluate(under_load(problem, 0.6 * problem.total_rate), plan)
    assert [load.utilisation for load in found.devices] == pytest.approx([0.6, 0.6])
    assert [len(price.stages) for stream in found.streams for price in stream.routes] == [1, 1, 2]
    assert found.feasible


def test_a_replay_serves_first_come_first_served(planned: tuple[Problem, Plan]) -> None:
    problem, plan = planned
    loaded = under_load(problem, 0.7 * problem.total_rate)
    found = open_loop.replay(loaded, plan, 4, range(100, 2100), {})
    coming = list(itertools.islice(arrivals(loaded, plan, 4), 2100))
    # The near device serves two streams that come to it first: Lindley's recursion.
    free, expected = 0.0, []
    for number, item in enumerate(coming):
        if item.stream == 1:
            continue
        free = max(free, item.seconds) + (0.01 if item.stream == 0 else 0.02)
        if item.stream == 0 and number >= 100:
            expected.append(free - item.seconds)
    np.testing.assert_allclose(found["one"], expected, rtol=1e-9)
    # 50 kB and twice the latency on the way there, 100 bytes on the way back.
    least = 0.04 + 2 * open_loop.LATENCY_SECONDS + 50_100 / open_loop.BYTES_PER_SECOND
    assert min(found["three"]) >= least - 1e-12
    assert min(found["three"]) == pytest.approx(least)


def test_other_times_of_service_can_be_replayed(planned: tuple[Problem, Plan]) -> None:
    problem, plan = planned
    loaded = under_load(problem, 0.01 * problem.total_rate)
    found = open_loop.replay(loaded, plan, 1, range(200), {(1, 0, 0): 0.1})
    assert min(found["two"]) == pytest.approx(0.1)
    assert min(found["one"]) == pytest.approx(0.01)


def test_the_simulation_agrees_with_long_replays(
    planned: tuple[Problem, Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_loop, "SIMULATED", 100_000)
    problem, plan = planned
    loaded = under_load(problem, 0.6 * problem.total_rate)
    played = open_loop.simulated(loaded, plan)
    replayed = open_loop.replay(loaded, plan, 1, range(1000, 60_000), {})
    for name, latencies in replayed.items():
        assert np.mean(latencies) == pytest.approx(played[name]["mean_seconds"], rel=0.04)
        assert np.percentile(latencies, 95) == pytest.approx(played[name]["p95"], rel=0.06)
