"""The plans to beat, by hand. Two streams of three layers; o, b and the cloud c.

Seconds per layer: o 1, b 1/2, c 1/8. in 64 B, t0 8 B, t1 32 B, out 0 B. o->b and b->o: no
latency, 64 B/s. To and from c: 1/4 s, 16 B/s. Routes of one stream:
ooo 3; bbb 1 + 1.5 = 2.5; occ 1 + (1/4 + 1/2) + 1/4 + 1/4 = 2.25; ccc (1/4 + 4) + 3/8 + 1/4 =
4.875; ooc 2 + (1/4 + 2) + 1/8 + 1/4 = 4.625; obb 1 + 1/8 + 1 = 2.125; oob 2 + 1/2 + 1/2 = 3.
"""

import dataclasses
import math
import threading

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, LayerRule, Link, Privacy, Problem, Stream
from edgeplan.solvers.baselines import (
    Greedy,
    all_at_origin,
    all_on_one_cloud,
    baselines,
    best_cut,
    greedy,
)
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop

SECONDS = {"o": 1.0, "b": 0.5, "c": 0.125}
CUTS = {"ooo": 3.0, "bbb": 2.5, "occ": 2.25, "ccc": 4.875, "ooc": 4.625, "obb": 2.125, "oob": 3.0}


def build(*, device=None, costs=None, count=2, rates=None, **stream):
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}", weight_bytes=100) for i in range(3)),
        (
            Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
            Tensor(name="t0", bytes=8, producer=0, consumers=(1,)),
            Tensor(name="t1", bytes=32, producer=1, consumers=(2,)),
            Tensor(name="out", bytes=0, producer=2, output=True),
        ),
        costs or {name: LayerCosts(seconds=(s,) * 3) for name, s in SECONDS.items()},
    )
    tiers = {"o": "device", "b": "edge", "c": "cloud"}
    return Problem(
        networks=(network,),
        devices=tuple(
            Device(name=name, tier=tier, zone=tier, **(device or {}).get(name, {}))
            for name, tier in tiers.items()
        ),
        links=tuple(
            Link(source=e[0], target=e[1], bytes_per_second=bandwidth, latency_seconds=latency)
            for e, bandwidth, latency in (
                ("ob", 64, 0), ("bo", 64, 0), ("oc", 16, 0.25), ("co", 16, 0.25),
            )
        ),
        streams=tuple(
            Stream(
                name=f"s{i}",
                network="n",
                origin="o",
                **{"rate_per_second": (rates or (0.1,) * count)[i], **stream},
            )
            for i in range(count)
        ),
    )  # fmt: skip


def devices(baseline):
    return {name: "".join(routes[0].devices) for name, routes in baseline.plan.routes.items()}


@pytest.mark.parametrize("route", CUTS)
def test_the_prices_of_the_header(route):
    problem = build(count=1)
    plan = Plan(routes={"s0": (Route(devices=tuple(route)),)})
    assert evaluate(problem, plan).latency_seconds == CUTS[route]


def test_the_names_and_their_order():
    assert [b.name for b in baselines(build())] == [
        "all-at-origin", "cloud:c", "best-cut", "greedy",
    ]  # fmt: skip


def test_all_at_origin():
    baseline = all_at_origin(build())
    assert devices(baseline) == {"s0": "ooo", "s1": "ooo"}
    assert baseline.feasible
    assert baseline.why == ""
    assert baseline.evaluation.latency_seconds == 3.0


def test_all_on_one_cloud_is_one_plan_per_cloud_device():
    (baseline,) = all_on_one_cloud(build())
    assert baseline.name == "cloud:c"
    assert devices(baseline) == {"s0": "ccc", "s1": "ccc"}
    # 64 B at 16 B/s for 0.2 requests/s: the link o->c is 80 % busy, which holds.
    assert baseline.evaluation.latency_seconds == 4.875
    problem = build()
    two = tuple(dataclasses.replace(d, tier="cloud") for d in problem.devices[1:])
    both = dataclasses.replace(problem, devices=(problem.devices[0], *two))
    assert [b.name for b in all_on_one_cloud(both)] == ["cloud:b", "cloud:c"]
    none = dataclasses.replace(
        problem, devices=tuple(dataclasses.replace(d, tier="edge") for d in problem.devices)
    )
    assert all_on_one_cloud(none) == ()


def test_best_cut_finds_the_best_of_all_single_cuts():
    assert devices(best_cut(build())) == {"s0": "obb", "s1": "obb"}
    assert best_cut(build()).evaluation.latency_seconds == 2.125


def test_best_cut_keeps_the_streams_own_rules():
    banned = build(bans=(LayerRule(devices=("b",)),))
    assert devices(best_cut(banned)) == {"s0": "occ", "s1": "occ"}
    pinned = build(pins=(LayerRule(devices=("c",), layers=("l0",)),))
    assert devices(best_cut(pinned)) == {"s0": "ccc", "s1": "ccc"}
    private = build(privacy=Privacy(zones=("device",), before="l2"), bans=())
    assert devices(best_cut(private)) == {"s0": "ooo", "s1": "ooo"}


def test_best_cut_does_not_see_the_other_stream():
    """b may be busy 15 %: one stream's 10 % fit, both streams' 20 % do not."""
    baseline = best_cut(build(device={"b": {"utilisation_cap": 0.15}}))
    assert devices(baseline) == {"s0": "obb", "s1": "obb"}
    assert not baseline.feasible
    assert baseline.why == "device capacity, device b: 0.2 busy, but at most 0.15 busy allowed"


def test_best_cut_prefers_meeting_the_deadline():
    """By energy alone o is free and b is not; the deadline asks for less than 3 s."""
    problem = build(device={"b": {"active_watts": 1.0}, "c": {"active_watts": 9.0}})
    for deadline, expected in ((math.inf, "ooo"), (2.4, "obb")):
        streams = tuple(dataclasses.replace(s, deadline_seconds=deadline) for s in problem.streams)
        thrifty = dataclasses.replace(problem, streams=streams).with_objective("energy")
        assert devices(best_cut(thrifty))["s0"] == expected


def test_greedy_makes_way():
    """b may be busy 15 %: the heavier s1 takes obb, s0 the next best, occ."""
    problem = build(device={"b": {"utilisation_cap": 0.15}}, rates=(0.09, 0.1))
    baseline = greedy(problem)
    assert devices(baseline) == {"s1": "obb", "s0": "occ"}
    assert baseline.feasible


def test_greedy_counts_what_a_device_costs_for_being_on():
    """b costs 360 $/h = 0.1 $/s, over 0.2 requests/s 1/2 $ a request, at 1 per second of delay.

    For the first stream obb is then 2.125 × 1/2 + 1/2 and occ 2.25 × 1/2.
    """
    problem = build(device={"b": {"dollars_per_hour": 360.0}})
    priced = dataclasses.replace(
        problem, objective=dataclasses.replace(problem.objective, cost=1.0)
    )
    assert set(devices(greedy(priced)).values()) == {"occ"}
    assert set(devices(greedy(problem)).values()) == {"obb"}


def test_greedy_mends_what_rules_forbid():
    """l0 must stay at o and l2 return there: o b o is no single cut, but is found."""
    pins = (LayerRule(devices=("o",), layers=("l0", "l2")),)
    baseline = greedy(build(pins=pins))
    assert baseline.feasible
    # l1 on b: 1 + 1/8 + 1/2 + 1/2 + 1 = 3.125; all at o 3.
    assert devices(baseline) == {"s0": "ooo", "s1": "ooo"}
    away = build(pins=pins, bans=(LayerRule(devices=("o",), layers=("l1",)),))
    assert devices(greedy(away)) == {"s0": "obo", "s1": "obo"}


def test_greedy_says_what_stops_it():
    baseline = greedy(build(deadline_seconds=0.5))
    assert not baseline.feasible
    assert baseline.why == ("deadline, stream s0: 2.125 s, but at most 0.5 s allowed (and 1 more)")


def test_nothing_can_run():
    nowhere = build(pins=(LayerRule(devices=()),))
    for baseline in (best_cut(nowhere), greedy(nowhere)):
        assert baseline.plan is None
        assert not baseline.feasible
        assert "stream s0" in baseline.why


def test_an_origin_that_cannot_run_the_network_is_said():
    costs = {"c": LayerCosts(seconds=(0.125,) * 3)}
    origin = all_at_origin(build(costs=costs))
    assert not origin.feasible
    assert origin.why.startswith("cannot run, stream s0: 'o' has no time for layers l0 … l2")
    assert devices(best_cut(build(costs=costs)))["s0"] == "ccc"


@pytest.mark.parametrize("seed", range(30))
def test_no_baseline_beats_the_enumerator(seed):
    problem = random_problem(
        seed, kind=("chain", "dag", "multi-input")[seed % 3], layers=3, devices=3, streams=2
    )
    best = Enumerator().solve(problem)
    for baseline in baselines(problem):
        assert baseline.feasible == (not baseline.why)
        if baseline.evaluation is not None:
            assert baseline.evaluation == evaluate(problem, baseline.plan)
        if baseline.feasible:
            assert not best.infeasible
            assert baseline.evaluation.objective >= best.claimed_objective * (1 - 1e-12)


def test_baselines_of_a_larger_problem_take_no_time():
    problem = random_problem(1, kind="dag", layers=40, devices=8, streams=6, tight=False)
    assert any(b.feasible for b in baselines(problem))


def test_greedy_as_a_solver():
    problem = build()
    seen = []
    result = Greedy().solve(problem, on_progress=seen.append)
    assert result.stop is Stop.COMPLETED
    assert result.plan == greedy(problem).plan
    assert result.claimed_objective == 2.125
    assert (result.bound, result.certificate, result.infeasible) == (None, None, False)
    assert [p.incumbent for p in seen] == [2.125]


def test_greedy_never_claims_infeasibility():
    result = Greedy().solve(build(deadline_seconds=0.5))
    assert (result.plan, result.claimed_objective, result.infeasible) == (None, None, False)
    assert "deadline" in result.message


def test_greedy_keeps_a_better_start():
    problem = build(device={"b": {"dollars_per_hour": 360.0}})
    priced = dataclasses.replace(
        problem, objective=dataclasses.replace(problem.objective, cost=1.0)
    )
    best = Enumerator().solve(priced)
    assert Greedy().solve(priced, start=best.plan).claimed_objective <= best.claimed_objective


def test_greedy_stops():
    problem = build()
    stop = threading.Event()
    stop.set()
    start = whole(problem, {"s0": "o", "s1": "o"})
    result = Greedy().solve(problem, start=start, stop=stop)
    assert result.stop is Stop.INTERRUPTED
    assert result.plan == start
    assert Greedy(time_limit=0.0).solve(problem).stop is Stop.TIME_LIMIT
