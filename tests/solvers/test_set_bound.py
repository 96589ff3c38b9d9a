"""The bound from sets of routes: never above the optimum, close where streams are many."""

from __future__ import annotations

import itertools
import random

import pytest

from edgeplan.instances.generators import loaded_fleet, random_loaded_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.queueing import solver as queueing_solver
from edgeplan.solvers.queueing.knapsack import best_set
from edgeplan.solvers.queueing.set_bound import SetBound
from edgeplan.solvers.queueing.solver import Queueing, _Run
from edgeplan.solvers.result import Stop


@pytest.mark.parametrize("seed", range(60))
def test_the_best_set_is_that_of_trying_all(seed):
    rng = random.Random(seed)
    count = rng.randint(1, 7)
    items = [(rng.random(), rng.uniform(0.05, 0.7), rng.randint(1, 3)) for _ in range(count)]
    items.sort(key=lambda item: -item[0] / item[1])
    profit, room, size = (list(values) for values in zip(*items, strict=True))
    value, found = best_set(profit, room, size)
    every = itertools.product(*[range(n + 1) for n in size])
    fits = [x for x in every if sum(a * r for a, r in zip(x, room, strict=True)) <= 1]
    best = max(sum(a * p for a, p in zip(x, profit, strict=True)) for x in fits)
    assert value == pytest.approx(best, rel=1e-12)
    assert found is not None
    assert sum(profit[item] * number for item, number in found) == pytest.approx(best)
    above = best * (1 + 1e-12)
    assert best_set(profit, room, size, least=above) == (above, None)


def test_a_search_that_gives_up_says_so():
    count = 60
    profit = [1.0 + 1e-9 * (count - k) for k in range(count)]
    room = [1.0 / 30.5] * count
    value, found = best_set(profit, room, [1] * count, most_nodes=10)
    assert value is None or value >= 30.0
    assert found is None or sum(number for _, number in found) <= 30


def _set_bound(problem, monkeypatch, gap=1e-5):
    """Return the bound of sets alone."""
    run_bound = []

    def refine(self):
        run_bound.append(self.by_sets)
        return Stop.WORK_LIMIT, False

    monkeypatch.setattr(_Run, "refine", refine)
    monkeypatch.setattr(queueing_solver, "MANY_STREAMS", 1)
    result = Queueing(gap=gap, search_moves=20_000, time_limit=2.0).solve(problem)
    return run_bound[0] if run_bound else result.bound


@pytest.mark.parametrize("seed", range(14))
def test_the_bound_is_never_above_the_optimum(seed, monkeypatch):
    problem = random_loaded_problem(7000 + seed, splittable=False, most_plans=4000)
    exact = Enumerator().solve(problem)
    if exact.claimed_objective is None:
        pytest.skip("this one has no plan")
    bound = _set_bound(problem, monkeypatch)
    assert bound is None or bound <= exact.claimed_objective * (1 + 1e-9)


def test_a_fleet_is_closed_to_a_thousandth():
    problem = loaded_fleet(1, streams=24, devices=5, deadlines=False)
    found = Queueing(gap=1e-3, time_limit=8.0).solve(problem)
    assert found.plan is not None
    assert found.bound is not None
    price = evaluate(problem, found.plan)
    assert price.feasible
    assert found.bound <= price.objective
    # Not gated on time: what is claimed as completed is closed.
    assert (
        found.stop is not Stop.COMPLETED or price.objective - found.bound <= 1e-3 * price.objective
    )


def _clockwork(count: int, *, poisson: int) -> Problem:
    """Streams that come and are served like clockwork beside Poisson ones, at shared copies."""
    network = Network(
        "n",
        (Layer(name="l"),),
        (),
        {"a": LayerCosts(seconds=(1.0,)), "b": LayerCosts(seconds=(1.4,))},
    )
    clocks = [
        Stream(
            name=f"c{i}",
            network="n",
            origin="a",
            rate_per_second=0.15 + 0.001 * i,
            arrival_cv2=0.0,
        )
        for i in range(count)
    ]
    others = [
        Stream(name=f"p{i}", network="n", origin="a", rate_per_second=0.01 + 0.001 * i)
        for i in range(poisson)
    ]
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name, replicas=2, dispatch="shared") for name in "ab"),
        links=(
            Link(source="a", target="b", bytes_per_second=1e9),
            Link(source="b", target="a", bytes_per_second=1e9),
        ),
        streams=(*clocks, *others),
        waiting="mg1",
    )


@pytest.mark.parametrize("count", [6, 9])
def test_sets_that_do_not_wait_are_at_a_level_too(count, monkeypatch):
    problem = _clockwork(count, poisson=2)
    exact = Enumerator().solve(problem).claimed_objective
    assert exact is not None
    bound = _set_bound(problem, monkeypatch)
    assert bound is not None
    assert bound <= exact * (1 + 1e-9)
    result = Queueing(search_moves=20_000, time_limit=3.0, gap=1e-5).solve(problem)
    assert result.bound is not None
    assert 0.99 * exact <= result.bound <= exact * (1 + 1e-9)


def test_a_bound_that_a_plan_refutes_is_no_proof(monkeypatch):
    problem = _clockwork(9, poisson=2)
    monkeypatch.setattr(SetBound, "bound", lambda self, at, ratio: 1.01 * 1.005972407)
    found = Queueing(search_moves=20_000).solve(problem)
    assert found.stop is Stop.FAILED
    assert found.bound is None
    assert found.plan is not None
    assert "report" in found.message
