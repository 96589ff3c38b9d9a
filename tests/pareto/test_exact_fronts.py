"""Fronts of small problems are those of brute force over all plans: none missing, none extra."""

import pytest

from edgeplan.pareto.engine import pareto
from tests.pareto.small_fronts import brute_force, differences, small_problem


def hold(seed, solver):
    problem, objectives = small_problem(seed)
    front = pareto(problem, objectives, solver=solver)
    expected = brute_force(problem, objectives)
    missing, extra = differences(front.values, expected)
    assert (missing, extra) == ([], []), (seed, solver, objectives, front.message)
    assert len(front) == len(expected)
    assert front.complete
    assert front.exact or not expected
    return len(front)


@pytest.mark.parametrize("seed", range(12))
def test_box_programs_find_the_whole_front(seed):
    hold(seed, "highs")


@pytest.mark.parametrize("seed", range(12, 26))
def test_labels_find_the_whole_front(seed):
    hold(seed, "labels")


@pytest.mark.long
@pytest.mark.parametrize("solver", ["highs", "labels", "enumerate"])
def test_200_fronts_are_whole(solver):
    sizes = [hold(seed, solver) for seed in range(200)]
    assert sum(size > 1 for size in sizes) > 100
