import math

import numpy as np
import pytest

from tests.solvers.small_pipelines import best, small

SEEDS = range(150)


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_reductions_keep_the_best_plan(seed, contiguous):
    pipeline = small(seed)
    optimum = best(pipeline, contiguous=contiguous)
    for limit in (optimum * 1.0000001, optimum * 1.3 + 0.1, optimum * 3 + 1):
        if math.isinf(limit):
            continue
        reduced = pipeline.below(limit, contiguous=contiguous)
        assert reduced.groups <= pipeline.groups
        assert best(reduced, contiguous=contiguous) == pytest.approx(optimum, abs=1e-12)


@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_plans_below_the_limit_expand_to_plans_of_the_same_value(seed, contiguous):
    pipeline = small(seed)
    optimum = best(pipeline, contiguous=contiguous)
    if math.isinf(optimum):
        return
    limit = optimum * 1.5 + 0.1
    reduced = pipeline.below(limit, contiguous=contiguous)
    rng = np.random.default_rng(seed)
    for _ in range(50):
        plan = rng.integers(0, reduced.devices, reduced.groups)
        value = reduced.value(plan)
        if value >= limit or not reduced.fits(plan):
            continue
        placed = pipeline.restrict(reduced.expand(plan))
        assert placed is not None
        assert pipeline.fits(placed)
        assert pipeline.value(placed) == pytest.approx(value, abs=1e-12)
        if contiguous and reduced.contiguous(plan):
            assert pipeline.contiguous(placed)


@pytest.mark.parametrize("seed", SEEDS)
def test_gathered_plans_are_plans(seed):
    pipeline = small(seed)
    gathered = pipeline.gather(contiguous=False)
    value = best(gathered, contiguous=False)
    assert value >= best(pipeline, contiguous=False) - 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_the_communication_free_bound_is_one(seed):
    pipeline = small(seed)
    assert pipeline.communication_free_bound() <= best(pipeline, contiguous=False)


def test_the_reductions_are_exercised():
    merged = sum(small(seed).groups - small(seed).gather(contiguous=True).groups for seed in SEEDS)
    limited = sum(bool(small(seed).limits_memory.any()) for seed in SEEDS)
    cycles = sum(small(seed).merge_cycles().groups < small(seed).groups for seed in SEEDS)
    assert merged > 30
    assert limited > 30
    assert cycles > 20
