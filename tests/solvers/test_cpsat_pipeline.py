import dataclasses
import math
import signal
import threading

import numpy as np
import pytest

from edgeplan.solvers.pipeline.arrays import Pipeline
from edgeplan.solvers.result import Stop
from tests.solvers.operator_graphs import bert, resnet
from tests.solvers.shared_graphs import KNOWN, pipeline_of_file
from tests.solvers.small_pipelines import best, small

pytest.importorskip("ortools")

from edgeplan.solvers.pipeline.by_cpsat import GAP, solve_pipeline


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("seed", range(60))
def test_it_finds_the_best_plan(seed, contiguous, alone):
    pipeline = small(seed)
    outcome = solve_pipeline(
        pipeline, contiguous=contiguous, workers=1, ideals=not alone, prices=not alone
    )
    optimum = best(pipeline, contiguous=contiguous)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.infeasible == math.isinf(optimum)
    if outcome.infeasible:
        assert outcome.assignment is None
        return
    assert outcome.value == pytest.approx(optimum, rel=1e-6)
    assert outcome.bound <= optimum
    assert outcome.bound >= optimum * (1 - 2 * GAP)
    assert pipeline.fits(outcome.assignment)
    assert pipeline.value(outcome.assignment) == outcome.value
    assert pipeline.contiguous(outcome.assignment) or not contiguous


def test_rounding_down_never_lifts_the_bound():
    # Seconds that are no multiples of any unit, so that every number is rounded.
    rng = np.random.default_rng(3)
    for seed in range(10):
        pipeline = _uneven(small(seed), rng)
        optimum = best(pipeline, contiguous=False)
        if math.isfinite(optimum):
            outcome = solve_pipeline(
                pipeline, contiguous=False, workers=1, ideals=False, prices=False
            )
            assert outcome.bound <= optimum <= outcome.value * (1 + 1e-12)


def _uneven(pipeline: Pipeline, rng: np.random.Generator) -> Pipeline:
    return dataclasses.replace(pipeline, seconds=pipeline.seconds * rng.uniform(0.9, 1.1) / 7e3)


def test_a_hint_counts():
    pipeline = resnet(4)
    found = solve_pipeline(pipeline, contiguous=True)
    again = solve_pipeline(
        pipeline, contiguous=False, hint=found.assignment, time_limit=0.0, ideals=False
    )
    assert again.value == found.value
    assert again.stop is Stop.TIME_LIMIT


def test_it_stops_when_told_to():
    stop = threading.Event()
    values: list[float] = []

    def report(value: float, bound: float) -> None:
        values.append(value)
        if math.isfinite(value):
            stop.set()

    outcome = solve_pipeline(bert(4), contiguous=False, stop=stop, on_progress=report)
    assert outcome.stop is Stop.INTERRUPTED
    assert outcome.assignment is not None
    assert outcome.bound <= outcome.value
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", ["operator_bert_l-3", "layer_bert24"])
def test_the_known_optima_without_contiguity(name):
    pipeline = pipeline_of_file(name)
    outcome = solve_pipeline(pipeline, contiguous=False, time_limit=120)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.value == pytest.approx(KNOWN[name][1], rel=1e-6)
    assert outcome.bound == pytest.approx(KNOWN[name][1], rel=1e-6)


@pytest.mark.long
def test_resnet50_by_operators_without_contiguity_is_proved():
    # Unknown in the folder's table: the contiguous optimum is the best of all plans.
    pipeline = pipeline_of_file("operator_resnet50")
    outcome = solve_pipeline(pipeline, contiguous=False, time_limit=300)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.value == pytest.approx(KNOWN["operator_resnet50"][0], rel=1e-6)
    assert outcome.bound == pytest.approx(KNOWN["operator_resnet50"][0], rel=1e-6)


def test_ctrl_c_keeps_the_plan():
    import _thread

    def report(value: float, bound: float) -> None:
        if math.isfinite(value) and not pressed:
            pressed.append(value)
            threading.Timer(0.2, _thread.interrupt_main).start()

    pressed: list[float] = []
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        outcome = solve_pipeline(bert(5), contiguous=False, on_progress=report, prices=False)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert outcome.stop is Stop.INTERRUPTED
    assert outcome.assignment is not None
    assert 0 < outcome.bound <= outcome.value


def test_times_that_are_far_apart_stay_within_whole_numbers():
    pipeline = small(12)
    seconds = pipeline.seconds.copy()
    seconds[0] = 1e-9
    far = dataclasses.replace(pipeline, seconds=seconds)
    seconds = seconds.copy()
    seconds[-1, -1] = 1e12
    far = dataclasses.replace(far, seconds=seconds)
    optimum = best(far, contiguous=False)
    outcome = solve_pipeline(far, contiguous=False, workers=1, ideals=False, prices=False)
    assert outcome.bound <= optimum <= outcome.value * (1 + 1e-9)
    assert outcome.value == pytest.approx(optimum, rel=1e-6)
