"""The enumerator with queues, replica counts and batches: by hand, and against every plan."""

from __future__ import annotations

import dataclasses
import math

import pytest

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import LayerCosts
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import TailDeadline
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop
from edgeplan.solvers.route_lists import (
    batched_routes,
    count_plans,
    count_replicas,
    enumerate_routes,
)
from tests.conformance.load_cases import FULL, build
from tests.conformance.load_oracle import least, whole_plans


def solved(problem):
    result = Enumerator().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.certificate.basis == "enumerated"
    if result.plan is not None:
        price = evaluate(problem, result.plan)
        assert price.feasible
        assert price.objective == result.claimed_objective == result.bound
    return result


def test_a_copy_is_taken_while_it_pays():
    """c with n copies at a price p per copy and second: 1 + .25/(1 − .5/n) + n p / 2."""
    waits = {n: 1 + 0.25 / (1 - 0.5 / n) for n in (1, 2, 3)}
    for price, best in ((0.02, 3), (0.1, 2), (0.5, 1)):
        problem = build(
            rates=(2.0,),
            c={"max_replicas": 3, "dollars_per_hour": 3600 * price},
            o=FULL,
            cost=1.0,
        )
        result = solved(problem)
        assert result.plan.replicas == {"c": best}
        assert result.claimed_objective == pytest.approx(waits[best] + best * price / 2)
        assert all(waits[n] + n * price / 2 >= result.claimed_objective for n in waits)


def test_a_limit_wants_more_copies_than_the_price():
    """Copies cost more than they save, but the deadline needs two; money for three is not there."""
    money = {"max_replicas": 3, "dollars_per_hour": 3600.0}
    problem = build(rates=(2.0,), c=money, o=FULL, cost=1.0, deadline_seconds=1.4)
    assert solved(problem).plan.replicas == {"c": 2}
    poor = dataclasses.replace(
        problem, budgets=dataclasses.replace(problem.budgets, dollars_per_hour=3600.0)
    )
    assert solved(poor).infeasible


def test_copies_of_devices_that_are_off_do_not_matter():
    problem = build(rates=(0.1,), c={"replicas": 2, "max_replicas": 40})
    result = solved(problem)
    assert result.plan.replicas == {}
    assert count_replicas(problem) == 39
    assert count_plans(problem) == 2 * 39


def test_a_batch_carries_what_single_requests_cannot():
    """Jobs of 4 take 2 s: at 1/s ρ = 1/2, fill 3/2 s, c_a² = 1/4, wait 2 · (1/4) / 2 s."""
    problem = build(
        rates=(1.0,),
        c=FULL,
        batches={2: LayerCosts(seconds=(1.9,)), 4: LayerCosts(seconds=(2.0,))},
        max_batch=4,
    )
    result = solved(problem)
    assert result.plan.routes["s0"] == (Route(devices=("o",), batch=4),)
    assert result.claimed_objective == pytest.approx(1.5 + 2.0 + 0.25)
    few = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], max_batch=2),)
    )
    # Pairs keep o busy for 0.95 of the time: c_a² = 1/2.
    wait = 0.5 * 1.9**2 * 0.5 / (2 * 0.05)
    assert solved(few).claimed_objective == pytest.approx(0.5 + 1.9 + wait)
    room = build(
        rates=(1.0,),
        o={"memory_bytes": 31.0},
        c=FULL,
        batches={4: LayerCosts(seconds=(2.0,))},
        max_batch=4,
    )
    assert solved(room).infeasible  # four activations of 8 B


def test_a_percentile_that_only_the_dearer_device_holds():
    """At .2/s o decays with .8/s and c with 3.8/s; service and wait each at 2.5 %.

    p95 at o: ln 40 (1 + 1/.8) = 8.3 s, at c 1 + ln 40 (1/4 + 1/3.8) = 2.9 s.
    """
    problem = build(rates=(0.2,))
    assert solved(problem).plan == whole(problem, {"s0": "o"})
    limits = {8.4: "o", 8.2: "c", 2.95: "c", 2.8: None}
    for seconds, device in limits.items():
        tight = build(
            rates=(0.2,), tail_deadlines=(TailDeadline(probability=0.95, seconds=seconds),)
        )
        result = solved(tight)
        assert result.infeasible == (device is None)
        if device:
            assert result.plan == whole(tight, {"s0": device})


def test_split_streams_and_too_many_counts_are_refused():
    (reason,) = Enumerator().unsupported(build(splittable=True))
    assert "use the solver 'queueing'" in reason
    many = build(o={"max_replicas": 1000}, c={"max_replicas": 1000})
    (reason,) = Enumerator().unsupported(many)
    assert "1,000,000 choices of numbers of replicas" in reason


def test_batches_are_routes():
    problem = build(
        batches={2: LayerCosts(seconds=(1.5,)), 8: LayerCosts(seconds=(3.0,))}, max_batch=4
    )
    (stream,) = problem.streams
    found = list(batched_routes(problem, stream))
    assert [(r.devices, r.batch) for r in found] == [
        (("o",), 1),
        (("o",), 2),
        (("c",), 1),
        (("c",), 2),
    ]
    assert len(list(enumerate_routes(problem, stream))) == 2
    assert count_plans(problem) == 4


def test_a_start_with_copies_is_kept():
    problem = build(rates=(2.0,), c={"max_replicas": 3}, o=FULL)
    best = solved(problem)
    assert best.plan.replicas == {"c": 3}
    assert Enumerator().solve(problem, start=best.plan).plan == best.plan
    poor = Plan(routes=best.plan.routes, replicas={"c": 1})
    assert Enumerator().solve(problem, start=poor).plan == best.plan


def test_limits_of_states_keep_a_valid_bound():
    problem = next(
        problem
        for problem in (random_loaded_problem(seed, streams=3, devices=3) for seed in range(40))
        if not Enumerator().solve(problem).infeasible
    )
    done = Enumerator().solve(problem)
    for limit in range(10, done.certificate.states, 17):
        result = Enumerator(limit=limit).solve(problem)
        if result.bound is not None:
            assert result.bound <= done.bound
        if result.plan is not None:
            assert result.claimed_objective >= done.bound


@pytest.mark.parametrize("part", range(4))
def test_equal_to_every_plan_priced(part):
    feasible = 0
    for seed in range(25 * part, 25 * part + 15):
        problem = random_loaded_problem(40_000 + seed, most_plans=300)
        if count_plans(problem) > 300:
            continue
        expected = least(problem)
        result = solved(problem)
        assert result.infeasible == math.isinf(expected.exact), seed
        if not result.infeasible:
            feasible += 1
            assert result.claimed_objective == pytest.approx(expected.exact, rel=1e-12), seed
    assert feasible >= 6


def test_every_plan_is_there_once():
    for seed in range(40):
        problem = random_loaded_problem(seed, most_plans=100)
        if count_plans(problem) <= 400:
            plans = [
                (tuple(sorted(plan.routes.items())), tuple(sorted(plan.replicas.items())))
                for plan in whole_plans(problem)
            ]
            assert len(plans) == len(set(plans)) <= count_plans(problem)
