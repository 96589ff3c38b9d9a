import dataclasses
import itertools
import math

import numpy as np
import pytest

from edgeplan.solvers.pipeline.price_bound import bound_of, dual_bound
from edgeplan.solvers.pipeline.set_prices import FrontierError, SetPrices, sweep_order
from tests.solvers.operator_graphs import bert, resnet
from tests.solvers.shared_graphs import KNOWN, pipeline_of_file
from tests.solvers.small_pipelines import best, small


def load_of(pipeline, device, groups):
    seconds = sum(pipeline.seconds[group, device] for group in groups)
    if pipeline.occupy[device]:
        seconds += sum(
            tensor.seconds
            for tensor in pipeline.tensors
            if 0 < sum(group in groups for group in tensor.groups) < len(tensor.groups)
        )
    return seconds / pipeline.replicas[device]


@pytest.mark.parametrize("seed", range(80))
def test_the_sweep_finds_what_sets_are_worth(seed):
    pipeline = small(seed)
    rng = np.random.default_rng(seed)
    prices = rng.uniform(-1, 3, pipeline.groups)
    limit = float(rng.uniform(1, 20))
    for device in range(pipeline.devices):
        sets = SetPrices(pipeline, device, rng.permutation(pipeline.groups).tolist())
        loads, worths, history = sets.fronts(prices, limit, 10**6, relax=False)
        assert (np.diff(loads) > 0).all()
        assert (np.diff(worths) > 0).all()
        for point, (load, worth) in enumerate(zip(loads, worths, strict=True)):
            groups = sets.members(history, point)
            assert load_of(pipeline, device, set(groups)) == pytest.approx(load, abs=1e-9)
            assert sum(prices[group] for group in groups) == pytest.approx(worth, abs=1e-9)
        for size in range(pipeline.groups + 1):
            for groups in itertools.combinations(range(pipeline.groups), size):
                load = load_of(pipeline, device, set(groups))
                if load <= limit - 1e-9:
                    reached = worths[np.searchsorted(loads, load + 1e-9, side="right") - 1]
                    assert sum(prices[group] for group in groups) <= reached + 1e-9


@pytest.mark.parametrize("points", [3, 1000])
@pytest.mark.parametrize("seed", range(80))
def test_any_prices_prove_a_true_bound(seed, points):
    pipeline = small(seed)
    optimum = best(pipeline, contiguous=False)
    if math.isinf(optimum):
        return
    rng = np.random.default_rng(seed)
    for _ in range(5):
        prices = rng.uniform(-0.3, 1, pipeline.groups)
        assert bound_of(pipeline, prices, 3 * optimum + 1, points=points) <= optimum


@pytest.mark.parametrize("seed", range(80))
def test_the_bound_found_is_true_and_its_prices_prove_it(seed):
    pipeline = small(seed)
    # Prices know nothing of memory: the bound holds, but need not be close, where it binds.
    free = dataclasses.replace(pipeline, capacity_bytes=np.full(pipeline.devices, np.inf))
    optimum = best(free, contiguous=False)
    if math.isinf(optimum) or optimum == 0:
        return
    found = dual_bound(free, optimum, time_limit=10)
    assert found.bound <= optimum
    assert bound_of(free, found.prices, optimum) >= min(
        found.bound, bound_of(free, found.prices, optimum, points=30_000)
    ) * (1 - 1e-9)
    assert found.bound >= free.communication_free_bound()


def test_it_is_tight_where_evenly_shared_work_is_not():
    tight = 0
    loose = 0
    for seed in range(80):
        pipeline = small(seed)
        free = dataclasses.replace(pipeline, capacity_bytes=np.full(pipeline.devices, np.inf))
        optimum = best(free, contiguous=False)
        if 0 < optimum < math.inf:
            loose += free.communication_free_bound() < optimum * (1 - 1e-6)
            tight += dual_bound(free, optimum, time_limit=10).bound > optimum * (1 - 1e-6)
    assert loose > 30
    assert tight > 50


def test_bert24_is_proved_by_prices():
    # CP-SAT alone took 39 s for this bound.
    pipeline = pipeline_of_file("layer_bert24")
    optimum = KNOWN["layer_bert24"][1]
    reduced = pipeline.below(optimum * (1 + 1e-6), contiguous=False)
    found = dual_bound(reduced, optimum * (1 + 1e-6), time_limit=60)
    assert found.bound == pytest.approx(optimum, rel=1e-6)
    assert bound_of(reduced, found.prices, optimum * (1 + 1e-6)) == found.bound


def test_a_wide_frontier_is_refused():
    pipeline = bert(2)
    star = dataclasses.replace(
        pipeline,
        tensors=tuple(
            dataclasses.replace(tensor, consumers=(pipeline.groups - 1 - index,))
            for index, tensor in enumerate(pipeline.tensors[:40])
            if tensor.producer < pipeline.groups - 1 - index
        ),
    )
    with pytest.raises(FrontierError):
        SetPrices(star, 0, range(pipeline.groups))


def test_the_order_is_one():
    for pipeline in (bert(2), resnet(4), small(3), small(8)):
        assert sorted(sweep_order(pipeline)) == list(range(pipeline.groups))
