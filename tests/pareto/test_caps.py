"""Columns without an upper bound get one that loses nothing."""

import itertools

import numpy as np
import pytest

from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.boxes import Box
from edgeplan.pareto.by_highs import HighsBoxes
from edgeplan.pareto.caps import upper_bounds
from edgeplan.pareto.objectives import criteria, image
from edgeplan.pareto.program import program
from edgeplan.solvers.route_lists import enumerate_routes
from tests.pareto.small_fronts import small_problem


@pytest.mark.parametrize("seed", [3, 10, 15, 28])
def test_bounds_are_found_and_every_plan_keeps_them(seed):
    problem, objectives = small_problem(seed)
    stated = program(problem, objectives)
    upper = upper_bounds(stated)
    assert np.isinf(stated.upper).any()
    assert np.isfinite(upper).all()
    assert (upper[np.isfinite(stated.upper)] == stated.upper[np.isfinite(stated.upper)]).all()
    boxes, chosen = HighsBoxes(stated), criteria(objectives)
    routes = [list(enumerate_routes(problem, stream)) for stream in problem.streams]
    plans = [
        Plan(
            routes={
                stream.name: (Route(devices=devices),)
                for stream, devices in zip(problem.streams, picked, strict=True)
            }
        )
        for picked in itertools.islice(itertools.product(*routes), 200)
    ]
    found = 0
    for plan in plans:
        price = evaluate(problem, plan)
        if not price.feasible:
            continue
        # A box that has little more than this plan is not empty.
        values = image(price, chosen)
        limits = tuple(value * (1 + 1e-9) for value in values)
        answer = boxes.solve(Box(limits=limits, weights=(1.0,) * len(limits)))
        assert answer.plan is not None
        found += 1
        if found == 12:
            break
    assert found
