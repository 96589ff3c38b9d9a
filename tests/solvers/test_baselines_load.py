"""Baselines where requests wait and the plan chooses numbers of replicas.

By hand: M/D/1 with rate λ and time S waits λ S² / (2 (1 − λ S)).
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from edgeplan.instances.generators import random_loaded_problem, random_problem
from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, LayerRule, Link, Objective, Problem, Stream
from edgeplan.solvers.baselines import (
    all_at_origin,
    all_on_one_cloud,
    baselines,
    best_cut,
    greedy,
    min_cut,
    with_best_replicas,
)
from edgeplan.solvers.baselines.candidates import permitted, tried_routes
from edgeplan.solvers.baselines.crowd import Crowd
from edgeplan.solvers.baselines.replicas import standing
from edgeplan.solvers.enumerate import Enumerator

ORIGIN, CLOUD = 1.0, 0.5


def problem(*, rates=(0.4, 0.4), cloud=None, objective=None, waiting="mg1", **stream):
    """Two streams of one layer at two origins (1 s) and a cloud (0.5 s, 0.1 s away)."""
    network = Network(
        "n",
        (Layer(name="l"),),
        (
            Tensor(name="in", bytes=0, producer=None, consumers=(0,)),
            Tensor(name="out", bytes=0, producer=0, output=True),
        ),
        {
            "o0": LayerCosts(seconds=(ORIGIN,)),
            "o1": LayerCosts(seconds=(ORIGIN,)),
            "c": LayerCosts(seconds=(CLOUD,)),
        },
    )
    return Problem(
        networks=(network,),
        devices=(
            Device(name="o0", tier="edge"),
            Device(name="o1", tier="edge"),
            Device(name="c", tier="cloud", **(cloud or {})),
        ),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=1e9, latency_seconds=0.1)
            for a, b in itertools.permutations(("o0", "o1", "c"), 2)
        ),
        streams=tuple(
            Stream(name=f"s{i}", network="n", origin=f"o{i}", rate_per_second=rate, **stream)
            for i, rate in enumerate(rates)
        ),
        objective=objective or Objective(),
        waiting=waiting,
    )


def md1(rate, seconds):
    return rate * seconds**2 / (2 * (1 - rate * seconds))


def devices(baseline):
    return {name: routes[0].devices[0] for name, routes in baseline.plan.routes.items()}


def test_all_at_origin_waits_as_the_textbook_says():
    baseline = all_at_origin(problem())
    assert baseline.feasible
    assert baseline.evaluation.latency_seconds == pytest.approx(ORIGIN + md1(0.4, ORIGIN))


def test_the_cloud_has_the_replicas_that_pay():
    """Requests go to each copy by chance: a wait is that of M/D/1 with rate 1.6 / copies."""
    hourly = 3600 * 0.05  # a copy costs 0.05 $/s, and a request comes every 1/1.6 s
    objective = Objective(latency=1.0, cost=1.0)
    asked = problem(
        rates=(0.8, 0.8),
        cloud={"max_replicas": 6, "dollars_per_hour": hourly},
        objective=objective,
    )
    (baseline,) = all_on_one_cloud(asked)
    prices = {
        count: 0.2 + CLOUD + md1(1.6 / count, CLOUD) + count * 0.05 / 1.6 for count in range(1, 7)
    }
    best = min(prices, key=prices.__getitem__)
    assert 1 < best < 6
    assert baseline.plan.replicas == {"c": best}
    assert baseline.evaluation.objective == pytest.approx(prices[best])


def test_without_waits_there_are_as_few_replicas_as_keep_the_cap():
    asked = problem(rates=(2.0, 2.0), cloud={"max_replicas": 6}, waiting="none")
    (baseline,) = all_on_one_cloud(asked)
    # 4 requests of half a second: two copies would be busy all the time.
    assert baseline.plan.replicas == {"c": 3}
    assert baseline.feasible


def test_replicas_make_way_for_a_deadline():
    asked = problem(
        rates=(0.8, 0.8),
        cloud={"max_replicas": 6, "dollars_per_hour": 1.0},
        objective=Objective(latency=0.0, cost=1.0),
        deadline_seconds=0.2 + CLOUD + md1(0.4, CLOUD) * 1.001,
    )
    (baseline,) = all_on_one_cloud(asked)
    assert baseline.feasible
    assert baseline.plan.replicas == {"c": 4}
    loose = dataclasses.replace(
        asked, streams=tuple(dataclasses.replace(s, deadline_seconds=9.0) for s in asked.streams)
    )
    assert all_on_one_cloud(loose)[0].plan.replicas == {"c": 1}


def test_too_few_replicas_are_the_most_and_said():
    (baseline,) = all_on_one_cloud(problem(rates=(5.0, 5.0), cloud={"max_replicas": 3}))
    assert baseline.plan.replicas == {"c": 3}
    assert not baseline.feasible
    assert baseline.why.startswith("device capacity, device c: 1.66667 busy")


def test_devices_without_a_choice_have_no_counts():
    plan = whole(problem(), {"s0": "c", "s1": "o1"})
    assert with_best_replicas(problem(), plan).replicas == {}
    choice = problem(cloud={"max_replicas": 3})
    assert set(with_best_replicas(choice, plan).replicas) == {"c"}
    # One that is off has none to choose.
    assert with_best_replicas(choice, whole(choice, {"s0": "o0", "s1": "o1"})).replicas == {}


@pytest.mark.parametrize("seed", range(25))
def test_no_other_counts_are_better(seed):
    """Against all counts, where nothing but the cap and the objective bears on them."""
    drawn = random_loaded_problem(seed, limits=False)
    asked = dataclasses.replace(
        drawn,
        devices=tuple(dataclasses.replace(d, max_replicas=d.replicas + 2) for d in drawn.devices),
        objective=dataclasses.replace(drawn.objective, throughput=0.0)
        if drawn.objective.latency
        else Objective(),
    )
    for baseline in (all_at_origin(asked), best_cut(asked)):
        if baseline.plan is None:
            continue
        ranges = [d.replica_range for d in asked.devices]
        kept = baseline.plan.kept(asked)
        every = (
            {d.name: count for d, count in zip(asked.devices, counts, strict=True) if kept[d.name]}
            for counts in itertools.product(*ranges)
        )
        best = min(
            standing(evaluate(asked, dataclasses.replace(baseline.plan, replicas=counts)))
            for counts in every
        )
        excess, price = standing(baseline.evaluation)
        assert excess <= best[0] + 1e-12
        assert price == pytest.approx(best[1], rel=1e-9) or (math.isinf(price) and best[0] > 0)


@pytest.mark.parametrize("seed", range(20))
def test_what_the_crowd_adds_is_what_the_evaluator_says(seed):
    drawn = random_loaded_problem(seed, limits=False, kind="chain")
    asked = dataclasses.replace(
        drawn,
        devices=tuple(dataclasses.replace(d, max_replicas=None) for d in drawn.devices),
        streams=tuple(dataclasses.replace(s, waits=False, max_batch=1) for s in drawn.streams),
        objective=Objective(aggregate="total"),
    )
    crowd = Crowd(asked)
    routes = {}
    price = 0.0
    for number, stream in enumerate(asked.streams):
        candidates = permitted(asked, stream, tried_routes(asked, stream))
        if not candidates:
            return
        candidate = candidates[(seed + number) % len(candidates)]
        routes[stream.name] = (Route(devices=candidate.devices),)
        sofar = dataclasses.replace(asked, streams=asked.streams[: number + 1])
        found = evaluate(sofar, Plan(routes=routes)).objective
        added = candidate.objective + crowd.added(stream, candidate)
        assert price + added == pytest.approx(found, rel=1e-9)
        if math.isinf(found):
            return
        crowd.add(stream, candidate)
        price = found


def test_greedy_sees_who_waits_already():
    """Both prefer the cloud alone: 0.7 s against 1 s; together there they would wait 1 s."""
    busy = {"rates": (1.0, 0.8), "cloud": {"utilisation_cap": 0.99}}
    assert devices(best_cut(problem(**busy))) == {"s0": "c", "s1": "c"}
    unaware = problem(**busy, waiting="none")
    assert devices(greedy(unaware)) == {"s0": "c", "s1": "c"}
    aware = greedy(problem(**busy))
    assert sorted(devices(aware).values()) == ["c", "o1"]
    assert aware.evaluation.objective < best_cut(problem(**busy)).evaluation.objective


def test_greedy_takes_copies_into_account():
    busy = {"rates": (1.0, 0.8), "cloud": {"utilisation_cap": 0.99, "max_replicas": 4}}
    baseline = greedy(problem(**busy))
    assert devices(baseline) == {"s0": "c", "s1": "c"}
    assert baseline.plan.replicas == {"c": 4}


@pytest.mark.parametrize("seed", range(25))
def test_baselines_of_loaded_problems_are_priced_as_they_are(seed):
    asked = random_loaded_problem(seed, splittable=seed % 2 == 0)
    for baseline in (*baselines(asked), min_cut(asked)):
        assert baseline.feasible == (not baseline.why)
        if baseline.plan is not None:
            baseline.plan.check(asked)
            assert baseline.evaluation == evaluate(asked, baseline.plan)


@pytest.mark.parametrize("seed", range(15))
def test_min_cut_is_the_best_of_all_plans_on_two_devices(seed):
    """Against the enumerator, without limits: the origin and one other device."""
    drawn = random_problem(seed, kind="dag", layers=4, devices=2, streams=1, tight=False)
    (stream,) = drawn.streams
    alone = dataclasses.replace(stream, deadline_seconds=math.inf, splittable=False)
    asked = dataclasses.replace(
        drawn,
        streams=(alone,),
        devices=tuple(
            dataclasses.replace(d, memory_bytes=math.inf, power_budget_watts=math.inf)
            for d in drawn.devices
        ),
        budgets=type(drawn.budgets)(),
        objective=dataclasses.replace(drawn.objective, throughput=0.0, latency=1.0),
        capacity="none",
        contiguous=False,
    )
    found, best = min_cut(asked), Enumerator().solve(asked)
    if best.plan is None:
        assert found.plan is None
    elif not found.note:
        assert found.evaluation.objective == pytest.approx(best.claimed_objective, rel=1e-9)


def test_min_cut_of_waiting_streams_does_not_see_them_wait():
    busy = problem(rates=(1.0, 0.8), cloud={"utilisation_cap": 0.99})
    found = min_cut(busy)
    assert devices(found) == {"s0": "c", "s1": "c"}
    assert found.note == ""
    assert found.evaluation.latency_seconds == pytest.approx(0.2 + CLOUD + md1(1.8, CLOUD))


def test_min_cut_keeps_pins_and_prefers_what_is_in_time():
    pinned = problem(pins=(LayerRule(devices=("o0", "o1")),))
    assert devices(min_cut(pinned)) == {"s0": "o0", "s1": "o1"}
    # By energy the origin is free; by time it is too slow.
    asked = problem(
        objective=Objective(latency=0.0, energy=1.0),
        cloud={"active_watts": 5.0},
        deadline_seconds=0.8,
    )
    assert set(devices(min_cut(asked)).values()) == {"o0", "o1"}
    assert not min_cut(asked).feasible
    assert "deadline" in min_cut(asked).why


def test_min_cut_of_spans_is_the_best_single_cut_and_says_so():
    asked = problem()
    network = asked.networks[0]
    spans = {name: SpanCosts(seconds=((cost.seconds[0],),)) for name, cost in network.costs.items()}
    tables = dataclasses.replace(asked, networks=(dataclasses.replace(network, costs=spans),))
    found = min_cut(tables)
    assert devices(found) == devices(best_cut(tables))
    assert found.note == (
        "best single cut in place of a minimum cut for stream s0 (and 1 more): network "
        "'n' has measured spans, whose times are not sums over layers"
    )


def test_min_cut_of_a_stream_that_can_run_nowhere():
    nowhere = min_cut(problem(pins=(LayerRule(devices=()),)))
    assert nowhere.plan is None
    assert "stream s0" in nowhere.why


def test_an_origin_alone_is_no_cut():
    asked = problem()
    single = dataclasses.replace(
        asked, devices=asked.devices[:1], links=(), streams=asked.streams[:1],
        networks=(
            dataclasses.replace(asked.networks[0], costs={"o0": LayerCosts(seconds=(1.0,))}),
        ),
    )  # fmt: skip
    found = min_cut(single)
    assert devices(found) == {"s0": "o0"}
    assert "there is no second device" in found.note
    stream = single.streams[0]
    (route,) = found.plan.routes["s0"]
    assert route_price(single, stream, route).latency_seconds == 1.0
