"""The search for multipliers: the arrays agree with the verifier, and the bounds are high."""

import dataclasses
import math
import threading

import numpy as np
import pytest

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.dual import dual_bound
from edgeplan.model.evaluate import evaluate
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import FRACTION_TOLERANCE, Plan, Route
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream
from edgeplan.solvers.dual import function as dual_function
from edgeplan.solvers.dual.function import DualFunction
from edgeplan.solvers.dual.multipliers import best_multipliers
from edgeplan.solvers.enumerate import Enumerator


def varied(seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % 4]
    problem = random_problem(
        seed,
        kind=kind,
        tight=bool(rng.integers(2)),
        spans=kind == "chain" and seed % 8 == 0,
        streams=1 + seed % 2,
        layers=2 + seed % 6,
    )
    ways = ["links", "occupy", "free_port"]
    objective = problem.objective
    if rng.random() < 0.4:
        objective = dataclasses.replace(objective, throughput=2.0)
    return dataclasses.replace(
        problem,
        objective=objective,
        devices=tuple(
            dataclasses.replace(d, transfers=ways[rng.integers(3)] if seed % 3 else "links")
            for d in problem.devices
        ),
        budgets=dataclasses.replace(
            problem.budgets, min_rate_per_second=8.0 if rng.random() < 0.3 else 0.0
        ),
    )


@pytest.mark.parametrize("seed", range(80))
def test_the_arrays_and_the_verifier_agree(seed):
    problem = varied(seed)
    function = DualFunction(problem)
    rng = np.random.default_rng(seed)
    value, _ = function.evaluate(function.start())
    assert math.isinf(value) == math.isinf(dual_bound(problem, Multipliers()))
    if math.isinf(value):
        return
    compared = 0
    for size in (0.0, 0.003, 0.03, 0.3):
        point = rng.exponential(size, function.size) / np.where(
            function.cost > 0, function.cost, 10.0
        )
        for kind in ("device_period", "link_period"):
            at = function.place[kind][function.place[kind] >= 0]
            point[at] = (
                0.4 * function.period_price * rng.dirichlet(np.ones(len(at))) if len(at) else 0.0
            )
        value, cuts = function.evaluate(point)
        bound = dual_bound(problem, function.multipliers(point))
        if value <= 0 or math.isinf(bound):
            continue
        compared += 1
        routes = value + float(function.cost @ point)
        paid = max(stream.route_limit for stream in problem.streams) * FRACTION_TOLERANCE
        assert bound == pytest.approx(value, rel=1e-9, abs=3 * paid * routes)
        # The planes touch the function here, and are nowhere below it.
        at_point = sum(cut.at(point) for cut in cuts) - float(function.cost @ point)
        assert at_point == pytest.approx(value, rel=1e-9, abs=1e-11 * routes)
        other = point * rng.uniform(0.0, 2.0, function.size)
        above = sum(cut.at(other) for cut in cuts) - float(function.cost @ other)
        assert function.evaluate(other)[0] <= above + 1e-9 * (abs(above) + routes)
    assert compared


def test_bounds_are_valid_and_often_close_the_gap():
    closed = feasible = refuted = infeasible = 0
    for seed in range(120):
        problem = random_problem(seed, kind=KINDS[seed % 4], tight=seed % 8 < 4, streams=2)
        result = Enumerator().solve(problem)
        multipliers, bound = best_multipliers(problem, upper=result.claimed_objective)
        assert bound == dual_bound(problem, multipliers)
        if result.plan is None:
            infeasible += 1
            refuted += math.isinf(bound)
            continue
        feasible += 1
        assert bound <= result.claimed_objective
        closed += bound >= result.claimed_objective * (1 - 1e-6)
    # With these seeds: 73 of 95, and 24 of 25.
    assert closed > 0.6 * feasible
    assert refuted > 0.6 * infeasible


def balanced(layers: int, speeds: tuple[float, ...], **options) -> Problem:
    """A chain for throughput alone: its load may be spread as one likes, without the tensors."""
    names = [f"d{index}" for index in range(len(speeds))]
    network = Network(
        "n",
        tuple(Layer(name=str(index), weight_bytes=1) for index in range(layers)),
        tuple(
            Tensor(name=f"t{index}", bytes=1, producer=index, consumers=(index + 1,))
            for index in range(layers - 1)
        ),
        {
            name: LayerCosts(seconds=tuple(speed * (1 + index % 3) for index in range(layers)))
            for name, speed in zip(names, speeds, strict=True)
        },
    )
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name, transfers="occupy", **options) for name in names),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=1e3, contention="none")
            for a in names
            for b in names
            if a != b
        ),
        streams=(Stream(name="s", network="n", origin="d0", returns=False),),
        objective=Objective(latency=0.0, throughput=1.0),
        capacity="none",
    )


def test_throughput_alone_reaches_the_balance_of_loads():
    problem = balanced(60, (0.001, 0.002, 0.004))
    _, bound = best_multipliers(problem)
    # 120 units of work; three devices do 1000, 500 and 250 of them a second.
    assert bound == pytest.approx(120 / 1750, rel=1e-6)


def test_blocks_of_layers_share_prices_where_there_are_many(monkeypatch):
    # Each device holds 21 of 60 layers, so that the slow one has 18. The best are those of the
    # least work, every third, which send and receive a tensor each.
    monkeypatch.setattr(dual_function, "KEPT_PRICES", 12)
    free = balanced(60, (0.001, 0.001, 0.005))
    problem = balanced(60, (0.001, 0.001, 0.005), memory_bytes=21)
    slow = set(range(0, 54, 3))
    others = [index for index in range(60) if index not in slow]
    devices = ["d2" if index in slow else "d0" for index in range(60)]
    for index in others[21:]:
        devices[index] = "d1"
    evaluation = evaluate(problem, Plan(routes={"s": (Route(devices=tuple(devices)),)}))
    assert evaluation.feasible
    _, without = best_multipliers(free)
    multipliers, bound = best_multipliers(problem)
    assert multipliers.memory
    assert without < 0.06
    assert 0.12 < bound <= evaluation.objective


def test_it_ends_when_asked_with_a_valid_bound():
    problem = random_problem(1, layers=30, devices=5, streams=1)
    stop = threading.Event()
    stop.set()
    for options in ({"stop": stop}, {"time_limit": 0.0}):
        multipliers, bound = best_multipliers(problem, **options)
        assert bound == dual_bound(problem, multipliers)
        assert 0 <= bound < 5.2


def test_it_ends_at_a_known_plan():
    problem = random_problem(2, tight=False)
    best = Enumerator().solve(problem).claimed_objective
    _, bound = best_multipliers(problem, upper=best * 0.5)
    assert best * 0.5 * (1 - 1e-6) <= bound <= best


def test_no_way_through_is_said_at_once():
    problem = balanced(3, (1.0,))
    networks = (dataclasses.replace(problem.networks[0], costs={}),)
    multipliers, bound = best_multipliers(dataclasses.replace(problem, networks=networks))
    assert bound == math.inf
    assert multipliers == Multipliers()
