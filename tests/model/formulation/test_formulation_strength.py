"""The linear relaxation: exact on chains that nothing couples, and never above the optimum."""

from __future__ import annotations

import dataclasses
import statistics

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.formulation import build
from edgeplan.model.formulation.arrays import TINIEST, compile_arrays
from edgeplan.solvers.highs import Highs, as_program, quiet_highs


def relaxed(problem):
    """Return the optimum of the linear relaxation, in the objective's units."""
    formulation = build(problem)
    lp = as_program(compile_arrays(formulation.model))
    lp.integrality_ = []
    highs = quiet_highs()
    highs.passModel(lp)
    highs.run()
    return highs.getInfo().objective_function_value * formulation.objective_unit


def uncoupled(seed, **options):
    """Return a random problem without limits and without charges of devices that are on."""
    problem = random_problem(seed, layers=7, devices=4, streams=1, tight=False, **options)
    devices = tuple(
        dataclasses.replace(device, charge_idle=False, dollars_per_hour=0.0)
        for device in problem.devices
    )
    return dataclasses.replace(problem, devices=devices)


@pytest.mark.parametrize("spans", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_the_relaxation_of_an_uncoupled_chain_is_its_optimum(seed, spans):
    problem = uncoupled(seed, kind="chain", spans=spans)
    best = Highs().solve(problem)
    if best.infeasible:
        pytest.skip("this one has no plan")
    network = problem.networks[0]
    several = sum(tensor.output for tensor in network.outputs) > 1
    found = relaxed(problem)
    assert found <= best.claimed_objective * (1 + 1e-7)
    # With a single result nothing is left to branch on: the steps are a path.
    if not several:
        assert found == pytest.approx(best.claimed_objective, rel=1e-7)


def test_the_relaxation_of_graphs_is_close():
    ratios = []
    for seed in range(12):
        problem = uncoupled(seed, kind="dag")
        best = Highs().solve(problem)
        if not best.infeasible:
            ratios.append(relaxed(problem) / best.claimed_objective)
    assert max(ratios) <= 1 + 1e-7
    assert statistics.median(ratios) > 0.95
    assert min(ratios) > 0.7


def test_the_bound_of_a_split_is_never_above_that_of_the_whole():
    for seed in range(6):
        problem = uncoupled(seed, kind="chain")
        split = dataclasses.replace(
            problem,
            streams=tuple(
                dataclasses.replace(stream, splittable=True, max_routes=2)
                for stream in problem.streams
            ),
        )
        if build(problem).obstacles:
            continue
        whole, dealt = Highs().solve(problem), Highs().solve(split)
        assert whole.infeasible == dealt.infeasible
        if not whole.infeasible:
            # Without limits a split has nothing to gain.
            expected = pytest.approx(whole.claimed_objective, rel=1e-6)
            assert dealt.claimed_objective == expected


@pytest.mark.parametrize("kind", ["chain", "dag", "multi-input"])
@pytest.mark.parametrize("seed", range(4))
def test_coefficients_are_moderate(kind, seed):
    problem = random_problem(seed, kind=kind, layers=5, devices=4, streams=4)
    formulation = build(problem)
    if formulation.obstacles:
        pytest.skip("this one has no plan")
    arrays = compile_arrays(formulation.model)
    sizes = abs(arrays.values)
    assert sizes.min() > TINIEST
    assert sizes.max() < 1e4
    assert statistics.median(sizes) == pytest.approx(1.0, rel=10.0)
    assert 1e-6 < arrays.cost.max() < 1e4
    assert set(arrays.row_lower) <= {-float("inf"), 0.0, 1.0}
    assert set(arrays.row_upper) <= {float("inf"), 0.0, 1.0}
