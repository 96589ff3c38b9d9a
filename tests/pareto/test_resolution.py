"""Fronts with fractions: every image y of the problem has a point p ≤ y + δ."""

import math

import pytest

from edgeplan.instances.generators import random_loaded_problem, random_problem
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.objectives import criteria, image
from edgeplan.pareto.program import program
from tests.pareto.assignments import assignment
from tests.pareto.small_fronts import CHOICES, brute_force


def split_problem(seed, least=0):
    """A random small problem with a stream that may be split.

    Its plans without fractions alone have so many points at least on their front.
    """
    objectives = CHOICES[seed % 3]
    for attempt in range(1000):
        problem = random_problem(
            5000 + 100 * seed + attempt,
            layers=2,
            devices=2 + seed % 2,
            streams=1 + seed % 2,
            splittable=True,
            tight=seed % 2 == 0,
        )
        if problem.load_features or all(s.route_limit == 1 for s in problem.streams):
            continue
        if least == 0 or len(brute_force(problem, objectives)) >= least:
            return problem, objectives
    raise AssertionError("no such problem")


def epsilon_grid(problem, objectives, front, steps):
    """Images of the least value of each objective under a fine grid of limits on the others."""
    from edgeplan.pareto.boxes import Box, BoxStatus
    from edgeplan.pareto.by_highs import HighsBoxes

    boxes, chosen = HighsBoxes(program(problem, objectives)), criteria(objectives)
    values = list(zip(*front.values, strict=True))
    low, high = [min(v) for v in values], [max(v) for v in values]
    count = len(objectives)
    for k in range(count):
        j = (k + 1) % count
        for step in range(steps + 1):
            limits = [math.inf] * count
            limits[j] = low[j] + (high[j] - low[j]) * step / steps
            weights = tuple(1.0 if i == k else 1e-6 for i in range(count))
            answer = boxes.solve(Box(limits=tuple(limits), weights=weights))
            if answer.status is BoxStatus.PLAN:
                price = evaluate(problem, answer.plan)
                assert price.feasible
                yield image(price, chosen)


def hold(seed, steps, least=0):
    problem, objectives = split_problem(seed, least)
    front = pareto(problem, objectives)
    assert front.complete, front.message
    assert not front.exact
    if not front.points:
        return 0
    assert len(front.resolution) == len(objectives)
    assert all(delta > 0 for delta in front.resolution)
    for point in front:
        price = evaluate(problem, point.plan)
        assert price.feasible
        assert image(price, criteria(objectives)) == point.values
    for y in epsilon_grid(problem, objectives, front, steps):
        assert any(
            all(
                p <= v + delta + 1e-7 * abs(v)
                for p, v, delta in zip(q, y, front.resolution, strict=True)
            )
            for q in front.values
        ), (seed, y, front.resolution)
    return len(front)


@pytest.mark.parametrize("seed", range(4))
def test_every_image_has_a_point_within_the_resolution(seed):
    hold(seed, 6)


@pytest.mark.long
def test_50_fronts_with_fractions_keep_the_resolution():
    sizes = [hold(seed, 25, least=3 if seed % 5 else 0) for seed in range(50)]
    print(f"\n50 fronts with fractions: {sum(sizes)} points")  # noqa: T201  # for `make test-long`
    assert sum(size > 2 for size in sizes) >= 30


def test_a_resolution_asked_for_makes_a_front_coarse():
    problem, objectives = assignment(5, 0), ("latency", "energy", "cost")
    whole = pareto(problem, objectives)
    delta = (5.0, 5.0, 5.0)
    coarse = pareto(problem, objectives, resolution=delta, solver="highs")
    assert coarse.complete
    assert not coarse.exact
    assert coarse.resolution == delta
    assert len(coarse) < len(whole)
    for y in whole.values:
        assert any(
            all(p <= v + d for p, v, d in zip(q, y, delta, strict=True)) for q in coarse.values
        )


def test_a_problem_with_queues_is_walked_where_it_is_small():
    for seed in range(100):
        problem = random_loaded_problem(seed, layers=2, devices=2, streams=1)
        if any(stream.route_limit > 1 for stream in problem.streams):
            continue
        front = pareto(problem, ("latency", "energy"))
        if len(front) > 1:
            break
    assert front.exact
    assert problem.load_features
    for point in front:
        assert evaluate(problem, point.plan).feasible
    with pytest.raises(InputError, match="knows no load"):
        pareto(problem, ("latency", "energy"), solver="highs")
