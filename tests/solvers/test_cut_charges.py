"""Every plan's least cut is its price by the evaluator, and its use of limits is bounded."""

import dataclasses
import math
import random

import pytest

from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Tensor
from edgeplan.model.problem import (
    Budgets,
    LayerRule,
)
from edgeplan.solvers.mincut.charges import (
    build,
    cut_devices,
    objective_prices,
    unsolvable_results,
    usable_devices,
)
from edgeplan.solvers.mincut.graph import FlowNetwork, maximum_flow
from edgeplan.solvers.mincut.limits import limits
from tests.solvers.cut_problems import all_plans, two, varied


def cut_of(problem, plan):
    """The least cut with the plan's sides; ``inf`` where every such cut is forbidden."""
    graph = build(problem, objective_prices(problem))
    for stream, (route,) in plan.routes.items():
        for index, device in enumerate(route.devices):
            elsewhere = 1 - graph.devices.index(device)
            graph.when(graph.layers[stream] + index, elsewhere, math.inf)
    network = FlowNetwork.of(graph)
    value, _ = network.check(maximum_flow(network))
    return math.inf if value >= network.unlimited else network.amount(value)


def price_of(problem, plan):
    price = evaluate(problem, plan)
    return price.objective if price.feasible else math.inf


def compare_all_plans(seeds, most=32):
    """Compare cuts with the evaluator's prices; return what was seen."""
    seen = {"solvable": 0, "unsolvable": 0, "brought": 0, "third": 0, "forbidden": 0, "plans": 0}
    for seed in seeds:
        problem = varied(seed)
        prices = objective_prices(problem)
        unsolvable = bool(unsolvable_results(problem, prices))
        seen["unsolvable" if unsolvable else "solvable"] += 1
        seen["brought"] += bool(build(problem, prices).offset)
        seen["third"] += len(problem.devices) > 2
        plans = list(all_plans(problem))
        for plan in random.Random(seed).sample(plans, min(most, len(plans))):
            price, cut = price_of(problem, plan), cut_of(problem, plan)
            seen["plans"] += 1
            seen["forbidden"] += math.isinf(price)
            if unsolvable and math.isfinite(price):
                assert cut >= price * (1 - 1e-12), (seed, plan)
            else:
                assert cut == pytest.approx(price, rel=1e-12), (seed, plan)
    return seen


def test_each_plan_has_a_cut_that_is_its_price():
    seen = compare_all_plans(range(60))
    assert seen["solvable"] > 45
    assert min(seen.values()) > 0, seen


def tensor(name, producer, *consumers, output=True):
    return Tensor(name=name, bytes=16, producer=producer, consumers=consumers, output=output)


IN = tensor("in", None, 0, output=False)
# Results that readers may bring to the origin: tensors; names of results that are not a cut with
# the graph inputs at home at the origin, and on b.
RESULTS = {
    "two of one layer, both read by the next": (
        (IN, tensor("t", 0, 1), tensor("u", 0, 1), tensor("v", 1, output=False)),
        ((), ()),
    ),
    "one after the other": ((IN, tensor("t", 0, 1), tensor("u", 1, 2), tensor("v", 2)), ((), ())),
    "… and nothing else returns": (
        (IN, tensor("t", 0, 1), tensor("u", 1, 2), tensor("v", 2, output=False)),
        ((), ()),
    ),
    "two inputs with the same readers": (
        (tensor("in", None, 0, 1), tensor("mask", None, 0, 1), tensor("t", 1)),
        ((), ()),
    ),
    "two inputs with other readers": (
        (tensor("in", None, 0), tensor("mask", None, 1), tensor("t", 1, output=False)),
        ((), ()),
    ),
    "an input that nothing reads": (
        (IN, tensor("mask", None), tensor("t", 0, 1, 2), tensor("u", 2, output=False)),
        (("t",), ()),
    ),
    "read by the last layer, whose result returns": (
        (IN, tensor("t", 0, 2), tensor("u", 1, 2), tensor("v", 2)),
        ((), ()),
    ),
    "made with another that nothing reads": (
        (IN, tensor("t", 0, 2), tensor("u", 0), tensor("v", 2, output=False)),
        ((), ()),
    ),
    "read by one later layer": (
        (IN, tensor("t", 0, 2), tensor("u", 1), tensor("v", 2, output=False)),
        (("t",), ("t",)),
    ),
    "read by two": (
        (IN, tensor("t", 0, 1, 2), tensor("u", 1, output=False), tensor("v", 2, output=False)),
        (("t",), ("t",)),
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_with_readers(name):
    tensors, unsolvable = RESULTS[name]
    homes = ({}, {item.name: "b" for item in tensors if item.producer is None})
    for where, expected in zip(homes, unsolvable, strict=True):
        problem = two(tensors, homes=where)
        found = unsolvable_results(problem, objective_prices(problem))
        assert tuple(result for _, result in found) == expected
        dearer = [cut_of(problem, plan) - price_of(problem, plan) for plan in all_plans(problem)]
        assert min(dearer) == pytest.approx(0, abs=1e-12)
        assert (max(dearer) > 1e-12) == bool(found)


@pytest.mark.long
def test_each_of_many_plans_has_a_cut_that_is_its_price():
    print(compare_all_plans(range(10_000, 13_000), most=64))  # noqa: T201  # for `make test-long`


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("transfers", ["links", "occupy"])
def test_no_plan_asks_more_of_a_limit_than_was_bounded(transfers, seed):
    """Each limit, set to a little less than its bound says, is broken by no plan."""
    problem = varied(seed)
    loose = dataclasses.replace(
        problem,
        capacity="utilisation",
        streams=tuple(dataclasses.replace(s, deadline_seconds=1e9) for s in problem.streams),
        devices=tuple(
            dataclasses.replace(d, memory_bytes=1e15, power_budget_watts=1e9, transfers=transfers)
            for d in problem.devices
        ),
        budgets=Budgets(power_watts=1e9, dollars_per_hour=1e9, min_rate_per_second=1e-9),
    )
    bounds = {limit.place: limit.largest * (1 + 1e-9) for limit in limits(loose)}
    kinds = (
        "deadline",
        "memory",
        "utilisation cap",
        "power budget",
        "money budget",
        "minimum rate",
    )
    assert all(any(kind in place for place in bounds) for kind in kinds)
    unlimited = dataclasses.replace(loose, capacity="none")
    for plan in all_plans(problem):
        price = evaluate(unlimited, plan)
        if not price.feasible:
            continue
        for stream in price.streams:
            assert stream.latency_seconds <= bounds[f"the deadline of stream '{stream.name}'"]
        for load in price.devices:
            assert load.watts <= bounds[f"the power budget of device '{load.name}'"]
            assert load.utilisation <= bounds[f"the utilisation cap of device '{load.name}'"]
            assert load.period_seconds <= bounds[f"the minimum rate at device '{load.name}'"]
            if load.name in cut_devices(problem):
                assert load.memory_bytes <= bounds[f"the memory of device '{load.name}'"]
        for load, link in zip(price.links, problem.links, strict=True):
            if link.contention == "shared":
                assert load.utilisation <= bounds[f"the utilisation cap of link '{load.name}'"]
                assert load.period_seconds <= bounds[f"the minimum rate at link '{load.name}'"]
        assert math.fsum(load.watts for load in price.devices) <= bounds["the power budget"]
        hourly = math.fsum(
            3600 * s.rate_per_second * p.cost_dollars
            for s, p in zip(problem.streams, price.streams, strict=True)
        )
        assert hourly <= bounds["the money budget"]


def test_usable_devices_are_those_of_any_stream():
    assert usable_devices(two(bans=(LayerRule(devices=("b",)),))) == ("o",)
    assert cut_devices(two(bans=(LayerRule(devices=("o",)),))) == ("b", "o")
