"""Streams dealt over routes: against brute force over a grid, and bounded by a tangent."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from edgeplan.instances.generators import four_sites
from edgeplan.model.evaluate import evaluate, with_tolerance
from edgeplan.model.network import Layer, LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.fractions import Fractions
from edgeplan.solvers.queueing.solver import Queueing
from edgeplan.solvers.watch import Watch


def _two_devices(rate: float, **slow: object) -> Problem:
    network = Network(
        "n",
        (Layer(name="l"),),
        (),
        {"fast": LayerCosts(seconds=(0.010,), cv2=1.0), "slow": LayerCosts(seconds=(0.015,))},
    )
    return Problem(
        networks=(network,),
        devices=(Device(name="fast", utilisation_cap=0.99), Device(name="slow", **slow)),  # type: ignore[arg-type]
        links=(
            Link(source="fast", target="slow", bytes_per_second=1e6, latency_seconds=0.01),
            Link(source="slow", target="fast", bytes_per_second=1e6),
        ),
        streams=(
            Stream(name="s", network="n", origin="fast", rate_per_second=rate, splittable=True),
        ),
        waiting="mg1",
    )


@pytest.mark.parametrize("rate", [20.0, 60.0, 95.0, 140.0])
def test_a_split_is_the_best_of_a_fine_grid(rate):
    problem = _two_devices(rate)
    found = Queueing().solve(problem)
    assert found.plan is not None
    assert found.bound is not None
    prices = []
    for step in range(2001):
        share = step / 2000
        routes = [
            Route(devices=(d,), fraction=f) for d, f in (("fast", share), ("slow", 1 - share))
        ]
        plan = Plan(routes={"s": tuple(route for route in routes if route.fraction > 0)})
        evaluation = evaluate(problem, plan)
        if evaluation.feasible:
            prices.append(evaluation.objective)
    assert found.claimed_objective is not None
    assert found.claimed_objective <= min(prices) * (1 + 1e-9)
    assert found.claimed_objective >= min(prices) * (1 - 1e-4)
    assert found.bound == pytest.approx(found.claimed_objective, rel=1e-6)


@pytest.mark.parametrize("load", [0.7, 0.93, (0.95, 0.3, 0.3, 0.3)])
@pytest.mark.parametrize("contention", ["none", "shared"])
def test_four_sites_are_proved_to_a_millionth(load, contention):
    problem = four_sites(load, contention=contention)
    found = Queueing().solve(problem)
    assert found.plan is not None
    assert found.bound is not None
    price = evaluate(problem, found.plan).objective
    assert price - found.bound <= 1e-6 * price
    assert found.certificate is not None
    assert "tangent" in found.certificate.bounded


def test_the_tangent_is_below_every_choice_of_fractions():
    problem = four_sites((0.9, 0.5, 0.4, 0.2), contention="shared")
    routes = columns(with_tolerance(problem), Watch(None, None))
    fractions = Fractions(problem, routes, {"cloud": 3})
    assert fractions.convex
    rng = np.random.default_rng(5)
    points = []
    for _ in range(60):
        x = np.zeros(len(routes))
        for g in range(len(routes.groups)):
            own = np.flatnonzero(routes.group == g)
            x[own] = rng.dirichlet(np.full(len(own), 0.5))
        points.append(x)
    prices = [fractions.price(x) for x in points]
    inside = [x for x, price in zip(points, prices, strict=True) if np.isfinite(price)]
    assert len(inside) > 10
    least = min(price for price in prices if np.isfinite(price))
    for x in inside:
        assert fractions.floor(x) <= least


def test_slopes_are_those_of_the_price():
    problem = four_sites(0.8, contention="shared")
    shared = dataclasses.replace(
        problem,
        devices=tuple(dataclasses.replace(d, dispatch="shared") for d in problem.devices),
    )
    for problem_, count in itertools.product((problem, shared), (1, 4)):
        routes = columns(with_tolerance(problem_), Watch(None, None))
        fractions = Fractions(problem_, routes, {"cloud": count})
        x = np.zeros(len(routes))
        for g in range(len(routes.groups)):
            own = np.flatnonzero(routes.group == g)
            x[own] = 1 / len(own)
        more = fractions.marginal(x)
        for column in range(len(routes)):
            ahead, behind = x.copy(), x.copy()
            ahead[column] += 1e-5
            behind[column] -= 1e-5
            slope = (fractions.price(ahead) - fractions.price(behind)) / 2e-5
            assert more[column] == pytest.approx(slope, rel=1e-6)


def test_jobs_of_different_sizes_are_not_called_convex():
    problem = four_sites(0.5)
    (network,) = problem.networks
    slow = {d: LayerCosts(seconds=(0.03,), cv2=0.1) for d in network.costs}
    other = dataclasses.replace(network, name="other", costs=slow)
    mixed = dataclasses.replace(
        problem,
        networks=(network, other),
        streams=(
            *problem.streams[:-1],
            dataclasses.replace(problem.streams[-1], network="other", rate_per_second=8.0),
        ),
    )
    routes = columns(with_tolerance(mixed), Watch(None, None))
    assert not Fractions(mixed, routes, {"cloud": 2}).convex


def test_no_more_routes_than_allowed_and_copies_are_chosen():
    problem = four_sites(0.97)
    (first, *others) = problem.streams
    problem = dataclasses.replace(
        problem, streams=(dataclasses.replace(first, max_routes=2), *others)
    )
    found = Queueing(time_limit=20.0, gap=1e-3).solve(problem)
    assert found.plan is not None
    assert len(found.plan.routes[first.name]) <= 2
    assert evaluate(problem, found.plan).feasible
    assert found.bound is not None
    assert found.claimed_objective is not None
    assert found.bound <= found.claimed_objective
    assert found.plan.replicas.get("cloud", 1) >= 2
