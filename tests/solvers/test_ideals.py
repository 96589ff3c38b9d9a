import dataclasses
import math
import threading

import numpy as np
import pytest

from edgeplan.instances.generators.problems import random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.problem import Budgets, Objective
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.pipeline.arrays import SharedTensor
from edgeplan.solvers.pipeline.ideal_program import list_ideals, solve_contiguous
from edgeplan.solvers.pipeline.ideals import Ideals
from edgeplan.solvers.pipeline.orders import topological_orders
from edgeplan.solvers.result import Stop
from tests.solvers.operator_graphs import bert, inception, resnet
from tests.solvers.shared_graphs import KNOWN, problem_of_file
from tests.solvers.small_pipelines import best, small


@pytest.mark.parametrize("seed", range(400))
def test_it_finds_the_best_contiguous_plan(seed):
    pipeline = small(seed)
    outcome = solve_contiguous(pipeline)
    optimum = best(pipeline, contiguous=True)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.value == pytest.approx(optimum, abs=1e-12)
    assert outcome.bound == outcome.value
    if math.isfinite(optimum):
        assert pipeline.fits(outcome.assignment)
        assert pipeline.contiguous(outcome.assignment)
        assert pipeline.value(outcome.assignment) == outcome.value
    else:
        assert outcome.assignment is None


@pytest.mark.parametrize("seed", range(120))
def test_problems_have_the_plans_that_trying_all_finds(seed):
    problem = random_problem(
        seed, kind="pipeline", layers=5, devices=3, tight=seed % 2 == 0, contiguous=True
    )
    assert not Ideals().unsupported(problem)
    result = Ideals().solve(problem)
    oracle = Enumerator().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.infeasible == oracle.infeasible
    if oracle.plan is None:
        assert result.plan is None
        assert result.bound is None
        return
    evaluation = evaluate(problem, result.plan)
    assert evaluation.feasible
    assert evaluation.objective == result.claimed_objective
    assert result.claimed_objective == pytest.approx(oracle.claimed_objective, rel=1e-9)
    assert result.bound == pytest.approx(oracle.claimed_objective, rel=1e-9)
    assert result.certificate.basis == "enumerated"
    assert result.certificate.states > 0


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_optima(name):
    problem = problem_of_file(name)
    problem = dataclasses.replace(problem, contiguous=True)
    result = Ideals().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.claimed_objective == pytest.approx(KNOWN[name][0], rel=1e-6)
    assert result.bound == pytest.approx(result.claimed_objective, rel=1e-9)
    assert "ideals" in result.message


def test_limits_on_the_period_make_it_infeasible():
    problem = random_problem(1, kind="pipeline", layers=5, devices=3, tight=False, contiguous=True)
    best_period = Ideals().solve(problem).claimed_objective
    for factor, infeasible in ((0.99, True), (1.01, False)):
        limited = dataclasses.replace(
            problem, budgets=Budgets(min_rate_per_second=1 / (best_period * factor))
        )
        result = Ideals().solve(limited)
        assert result.infeasible == infeasible
        assert Enumerator().solve(limited).infeasible == infeasible


def test_what_it_cannot_do_is_named_with_another_way():
    problem = random_problem(1, kind="pipeline", layers=5, devices=3, tight=False, contiguous=True)
    stream = problem.streams[0]
    cases = {
        "contiguous": dataclasses.replace(problem, contiguous=False),
        "throughput alone": dataclasses.replace(problem, objective=Objective()),
        "deadline": dataclasses.replace(
            problem, streams=(dataclasses.replace(stream, deadline_seconds=1.0),)
        ),
        "several routes": dataclasses.replace(
            problem, streams=(dataclasses.replace(stream, splittable=True),)
        ),
        "links carry load": dataclasses.replace(
            problem,
            links=tuple(dataclasses.replace(link, contention="shared") for link in problem.links),
            devices=tuple(
                dataclasses.replace(device, transfers="occupy") for device in problem.devices
            ),
        ),
        "linked": dataclasses.replace(problem, links=problem.links[1:]),
        "budget": dataclasses.replace(problem, budgets=Budgets(dollars_per_hour=1.0)),
    }
    for words, case in cases.items():
        (reason,) = Ideals().unsupported(case)
        assert words in reason
        assert "cp-sat" in reason
        result = Ideals().solve(case)
        assert result.stop is Stop.FAILED
        assert result.plan is None
        assert words in result.message


def test_beyond_its_limit_it_keeps_a_plan_and_names_another_way():
    problem = dataclasses.replace(problem_of_file("operator_bert_l-3"), contiguous=True)
    result = Ideals(limit=100).solve(problem)
    assert result.stop is Stop.WORK_LIMIT
    assert result.plan is not None
    assert result.bound < result.claimed_objective
    assert "cp-sat" in result.message


def test_a_stop_and_a_time_limit_keep_the_plan_in_hand():
    problem = dataclasses.replace(problem_of_file("operator_bert_l-3"), contiguous=True)
    best_plan = Ideals().solve(problem).plan
    stop = threading.Event()
    stop.set()
    for result in (
        Ideals().solve(problem, start=best_plan, stop=stop),
        Ideals(time_limit=0.0).solve(problem, start=best_plan),
    ):
        assert result.stop in (Stop.INTERRUPTED, Stop.TIME_LIMIT)
        assert result.plan == best_plan
        assert result.bound < result.claimed_objective


def test_progress_never_gets_worse():
    seen = []
    problem = dataclasses.replace(problem_of_file("operator_bert_l-3"), contiguous=True)
    result = Ideals().solve(problem, on_progress=seen.append)
    incumbents = [moment.incumbent for moment in seen if moment.incumbent is not None]
    assert incumbents == sorted(incumbents, reverse=True)
    assert [moment.bound for moment in seen] == sorted(moment.bound for moment in seen)
    assert seen[-1].bound == pytest.approx(result.bound)


@pytest.mark.parametrize(
    "pipeline",
    [
        pytest.param(bert(12), id="bert, 695 operators"),
        pytest.param(bert(12, colours=True), id="bert with colours"),
        pytest.param(resnet(33), id="resnet, 865 operators"),
        pytest.param(resnet(33, accelerators=12, cores=2), id="resnet on 14 devices"),
        pytest.param(inception(8), id="inception, 461 operators"),
    ],
)
def test_large_graphs_that_are_in_no_folder(pipeline):
    outcome = solve_contiguous(pipeline)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.bound == outcome.value
    assert pipeline.contiguous(outcome.assignment)
    assert pipeline.fits(outcome.assignment)
    # No cut of the layer order is better, nor is a plan moved by one group.
    for group in range(0, pipeline.groups, 7):
        for device in range(pipeline.devices):
            moved = outcome.assignment.copy()
            moved[group] = device
            if pipeline.contiguous(moved) and pipeline.fits(moved):
                assert pipeline.value(moved) >= outcome.value * (1 - 1e-12)


def test_the_ideals_of_a_diamond():
    diamond = small(0)
    diamond = dataclasses.replace(
        diamond,
        seconds=np.ones((4, 2)),
        memory_bytes=np.zeros((4, 2)),
        tensors=(
            SharedTensor(0, (1, 2), 1.0),
            SharedTensor(1, (3,), 1.0),
            SharedTensor(2, (3,), 1.0),
        ),
        group_of=np.arange(4),
    )
    assert sorted(list_ideals(diamond, 100)) == [0, 0b1, 0b11, 0b101, 0b111, 0b1111]
    assert list_ideals(diamond, 5) is None
    for order in topological_orders(diamond):
        assert order in ([0, 1, 2, 3], [0, 2, 1, 3])
