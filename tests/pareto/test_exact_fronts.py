"""Fronts of small problems are those of brute force over all plans: none missing, none extra."""

import pytest

from edgeplan.pareto.engine import pareto
from tests.pareto.small_fronts import brute_force, differences, small_problem


def hold(seed, solver, least=0):
    problem, objectives = small_problem(seed, least)
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


def test_a_box_that_highs_calls_empty_without_presolve_though_it_is_not():
    assert hold(149, "highs", least=3) == 9


@pytest.mark.long
@pytest.mark.parametrize("solver", ["highs", "labels", "enumerate"])
def test_200_fronts_are_whole(solver):
    # A quarter as they come: also infeasible ones, and such as one plan is the best of.
    sizes = [hold(seed, solver, least=3 if seed % 4 else 0) for seed in range(200)]
    print(  # noqa: T201  # for `make test-long`
        f"\n{solver}: 200 fronts, {sum(sizes)} points, {max(sizes)} at most; none missing or extra"
    )
    assert sum(size > 2 for size in sizes) >= 150
