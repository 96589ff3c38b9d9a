"""What holds of every queue, searched by hypothesis."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import (
    Job,
    Queue,
    Wait,
    erlang_c,
    percentile,
    queues,
    visits,
    wait_factor,
)
from edgeplan.solvers.route_lists import batched_routes

SOME = settings(max_examples=80, deadline=None, derandomize=True)
FEW = settings(max_examples=25, deadline=None, derandomize=True)

Dispatch = Literal["random", "shared"]
dispatches: st.SearchStrategy[Dispatch] = st.sampled_from(["random", "shared"])
spreads = st.one_of(st.just(0.0), st.just(1.0), st.floats(0.01, 4.0))


@st.composite
def job_lists(draw: st.DrawFn, most: float = 0.98) -> tuple[int, tuple[Job, ...]]:
    """Replicas, and jobs that keep them busy for less than a share ``most`` of the time."""
    replicas = draw(st.integers(1, 12))
    weights = draw(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4))
    load = draw(st.floats(0.02, most)) * replicas
    second = draw(st.sampled_from([1e-4, 1.0, 300.0]))
    found = []
    for weight in weights:
        seconds = second * draw(st.floats(0.05, 20.0))
        found.append(
            Job(
                per_second=load * weight / sum(weights) / seconds,
                seconds=seconds,
                cv2=draw(spreads),
                arrival_cv2=draw(st.sampled_from([0.0, 0.25, 1.0, 1.0, 4.0])),
                fresh=draw(st.booleans()),
            )
        )
    return replicas, tuple(found)


def smooth(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    """The same jobs arriving independently of each other."""
    return tuple(dataclasses.replace(job, arrival_cv2=1.0) for job in jobs)


def scaled(jobs: tuple[Job, ...], factor: float) -> tuple[Job, ...]:
    """The same jobs, more often."""
    return tuple(dataclasses.replace(job, per_second=job.per_second * factor) for job in jobs)


def not_above(one: float, other: float) -> bool:
    return one <= other * (1 + 1e-9)


@SOME
@given(drawn=job_lists(), dispatch=dispatches, factor=st.floats(0.1, 0.99))
def test_more_jobs_wait_longer(
    drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch, factor: float
) -> None:
    replicas, jobs = drawn
    less = Queue(replicas, dispatch, scaled(jobs, factor))
    more = Queue(replicas, dispatch, jobs)
    assert less.mean_wait_seconds <= more.mean_wait_seconds
    assert not_above(more.decay_per_second, less.decay_per_second)
    if more.moments > 0 and more.mean_wait_seconds > 1e-9 * jobs[0].seconds:
        assert less.mean_wait_seconds < more.mean_wait_seconds


@SOME
@given(drawn=job_lists(), dispatch=dispatches)
def test_a_job_more_in_the_mixture_never_shortens_waits(
    drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch
) -> None:
    replicas, jobs = drawn
    fewer = Queue(replicas, dispatch, jobs[:-1])
    every = Queue(replicas, dispatch, jobs)
    assert fewer.mean_wait_seconds <= every.mean_wait_seconds
    assert not_above(every.decay_per_second, fewer.decay_per_second)


@SOME
@given(drawn=job_lists(), dispatch=dispatches, share=st.floats(0.05, 0.95))
def test_a_stream_in_two_parts_is_the_same_stream(
    drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch, share: float
) -> None:
    """The mixture adds up: two kinds of equal jobs are one kind of all of them."""
    replicas, jobs = drawn
    parts = scaled(jobs, share) + scaled(jobs, 1 - share)
    one, two = Queue(replicas, dispatch, jobs), Queue(replicas, dispatch, parts)
    assert two.mean_wait_seconds == pytest.approx(one.mean_wait_seconds, rel=1e-9)
    assert two.decay_per_second == pytest.approx(one.decay_per_second, rel=1e-9)
    assert two.moments == pytest.approx(math.fsum(j.per_second * j.second_moment for j in jobs))


@SOME
@given(drawn=job_lists())
def test_one_queue_for_all_replicas_is_never_worse(drawn: tuple[int, tuple[Job, ...]]) -> None:
    replicas, jobs = drawn
    apart, together = Queue(replicas, "random", jobs), Queue(replicas, "shared", jobs)
    assert not_above(together.mean_wait_seconds, apart.mean_wait_seconds)
    # Of a queue of c-fold speed: the drift is that of one replica, c times as fast.
    assert together.decay_per_second == pytest.approx(replicas * apart.decay_per_second)


@SOME
@given(drawn=job_lists(), dispatch=dispatches)
def test_a_replica_more_never_hurts(drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch) -> None:
    replicas, jobs = drawn
    fewer, more = Queue(replicas, dispatch, jobs), Queue(replicas + 1, dispatch, jobs)
    assert not_above(more.mean_wait_seconds, fewer.mean_wait_seconds)
    assert not_above(fewer.decay_per_second, more.decay_per_second)


@SOME
@given(drawn=job_lists(), dispatch=dispatches, unit=st.sampled_from([1e-3, 60.0]))
def test_units_mean_nothing(
    drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch, unit: float
) -> None:
    replicas, jobs = drawn
    other = tuple(
        dataclasses.replace(job, per_second=job.per_second / unit, seconds=job.seconds * unit)
        for job in jobs
    )
    one, two = Queue(replicas, dispatch, jobs), Queue(replicas, dispatch, other)
    assert two.mean_wait_seconds == pytest.approx(one.mean_wait_seconds * unit, rel=1e-9)
    assert two.decay_per_second == pytest.approx(one.decay_per_second / unit, rel=1e-9)


@SOME
@given(drawn=job_lists(), dispatch=dispatches)
def test_more_spread_waits_longer(drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch) -> None:
    """Of service times and of the times between arrivals."""
    replicas, jobs = drawn
    before = Queue(replicas, dispatch, jobs)
    for key in ("cv2", "arrival_cv2"):
        wider = tuple(dataclasses.replace(j, **{key: getattr(j, key) + 0.5}) for j in jobs)
        after = Queue(replicas, dispatch, wider)
        assert after.mean_wait_seconds > before.mean_wait_seconds or replicas > 1
        assert not_above(before.mean_wait_seconds, after.mean_wait_seconds)
        assert not_above(after.decay_per_second, before.decay_per_second)


@SOME
@given(rho=st.floats(0.01, 0.999), seconds=st.floats(1e-4, 1e3), x=st.floats(0.0, 30.0))
def test_the_decay_bounds_the_tail_of_one_exponential_server(
    rho: float, seconds: float, x: float
) -> None:
    """P(W > t) = ρ e^{−(1 − ρ) t / E[S]}: the decay is that rate, the bound above by 1/ρ."""
    theta = Queue(1, "random", (Job(rho / seconds, seconds, 1.0),)).decay_per_second
    assert theta == pytest.approx((1 - rho) / seconds, rel=1e-9)
    time = x * seconds
    exact = rho * math.exp(-(1 - rho) * time / seconds)
    assert exact <= math.exp(-theta * time) * (1 + 1e-9)


@SOME
@given(drawn=job_lists(most=0.95))
def test_the_decay_bounds_the_mean_of_independent_jobs(drawn: tuple[int, tuple[Job, ...]]) -> None:
    """E[W] = ∫ P(W > t) dt ≤ 1/θ: true of the exact mean, so the decay must allow it."""
    replicas, jobs = drawn
    queue = Queue(replicas, "random", smooth(jobs))
    assert queue.mean_wait_seconds <= 1 / queue.decay_per_second * (1 + 1e-9)


@SOME
@given(drawn=job_lists(), dispatch=dispatches)
def test_the_decay_is_the_largest_that_satisfies_its_inequality(
    drawn: tuple[int, tuple[Job, ...]], dispatch: Dispatch
) -> None:
    replicas, jobs = drawn
    theta = Queue(replicas, dispatch, jobs).decay_per_second
    speed = replicas if dispatch == "shared" else 1

    def excess(t: float) -> float:
        total = math.fsum(job.per_second * job.excess(t / speed) for job in jobs)
        return total - t * (1 if dispatch == "shared" else replicas)

    assert excess(theta) <= 1e-9 * theta * replicas
    assert excess(theta * (1 + 1e-6)) > 0


@SOME
@given(servers=st.integers(1, 30), rho=st.floats(0.01, 0.99), step=st.floats(1.0001, 1.5))
def test_erlangs_c_is_a_probability_that_rises_with_the_load(
    servers: int, rho: float, step: float
) -> None:
    some = erlang_c(servers, servers * rho)
    assert 0 <= some <= 1
    assert some <= rho * (1 + 1e-12)  # one of c servers is no better than one of one
    higher = min(rho * step, 0.999)
    assert some <= erlang_c(servers, servers * higher) * (1 + 1e-12)
    for dispatch in ("random", "shared"):
        factors = [wait_factor(servers, dispatch, load) for load in (0.0, rho, higher, 1.0)]
        assert factors == sorted(factors)


# --- plans of random problems ---------------------------------------------------------------


@st.composite
def planned(draw: st.DrawFn) -> tuple[Problem, Plan]:
    """A loaded problem and a plan of whole streams that may break limits, but is stable."""
    problem = random_loaded_problem(draw(st.integers(0, 10**6)), limits=False)
    routes = {}
    for stream in problem.streams:
        lists = list(batched_routes(problem, stream))
        assume(lists)
        routes[stream.name] = (draw(st.sampled_from(lists)),)
    plan = Plan(
        routes=routes,
        replicas={d.name: draw(st.sampled_from(list(d.replica_range))) for d in problem.devices},
    )
    found = evaluate(problem, plan)
    assume(all(load.utilisation < 0.999 for load in found.devices))
    assume(all(load.utilisation < 0.999 for load in found.links))
    assume(math.isfinite(found.latency_seconds))
    return problem, plan


@FEW
@given(given_plan=planned(), shares=st.lists(st.floats(0.5, 0.9999), min_size=2, max_size=5))
def test_percentiles_rise_with_their_probability(
    given_plan: tuple[Problem, Plan], shares: list[float]
) -> None:
    problem, plan = given_plan
    crowd = _crowd(problem, plan)
    waits = {key: Wait(q.mean_wait_seconds, q.decay_per_second) for key, q in crowd.items()}
    for stream in problem.streams:
        (route,) = plan.routes[stream.name]
        price = route_price(problem, stream, route)
        values = [
            percentile(problem, stream, price, waits, share, split=False)
            for share in sorted(shares)
        ]
        assert values == sorted(values)
        slower = {key: Wait(wait.seconds, wait.decay_per_second / 2) for key, wait in waits.items()}
        for share, value in zip(sorted(shares), values, strict=True):
            assert percentile(problem, stream, price, slower, share, split=False) >= value


def _crowd(problem: Problem, plan: Plan) -> dict[tuple[Literal["device", "link"], str], Queue]:
    return queues(
        problem,
        plan,
        {
            stream.name: tuple(
                route_price(problem, stream, route) for route in plan.routes[stream.name]
            )
            for stream in problem.streams
        },
    )


@FEW
@given(given_plan=planned())
def test_the_labels_say_when_means_are_exact(given_plan: tuple[Problem, Plan]) -> None:
    """A queue: each job fresh from outside, Poisson, single, one server or random dispatch."""
    problem, plan = given_plan
    found = evaluate(problem, plan)
    first: dict[tuple[str, str], list[bool]] = {}
    for stream in problem.streams:
        (route,) = plan.routes[stream.name]
        price = route_price(problem, stream, route)
        for index, visit in enumerate(visits(problem, price)):
            plain = stream.arrival_cv2 == 1 and route.batch == 1
            first.setdefault(visit.queue, []).append(index == 0 and plain)
    labels = {("device", load.name): load for load in found.devices}
    labels |= {("link", load.name): load for load in found.links}
    for key, load in labels.items():
        if key not in first:
            assert load.basis == "none"
            assert load.wait_seconds is None
            continue
        device = problem.device[key[1]] if key[0] == "device" else None
        simple = device is None or device.dispatch == "random" or load.replicas == 1
        assert load.basis == ("exact" if simple and all(first[key]) else "approximate")
    for stream, price in zip(problem.streams, found.streams, strict=True):
        visited = {v.queue for route in price.routes for v in visits(problem, route)}
        exact = all(labels[key].basis == "exact" for key in visited)
        assert price.basis == ("exact" if exact else "approximate")
        for deadline in price.deadlines:
            stated = price.basis if deadline.statistic == "mean" else None
            assert deadline.basis == (stated or ("safe" if exact else "estimated")), stream.name


@FEW
@given(given_plan=planned(), factor=st.floats(0.05, 0.9))
def test_lower_rates_never_make_a_plan_slower_without_batches(
    given_plan: tuple[Problem, Plan], factor: float
) -> None:
    """A batch waits longer to fill when fewer requests come."""
    problem, plan = given_plan
    assume(all(route.batch == 1 for routes in plan.routes.values() for route in routes))
    slower = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(s, rate_per_second=s.rate_per_second * factor)
            for s in problem.streams
        ),
    )
    before, after = evaluate(problem, plan), evaluate(slower, plan)
    for one, other in zip(before.streams, after.streams, strict=True):
        assert not_above(other.latency_seconds, one.latency_seconds)
        assert all(not_above(b, a) for (_, a), (_, b) in zip(one.tails, other.tails, strict=True))


@FEW
@given(given_plan=planned())
def test_latency_is_the_unloaded_one_plus_every_wait(given_plan: tuple[Problem, Plan]) -> None:
    problem, plan = given_plan
    found = evaluate(problem, plan)
    for stream, price in zip(problem.streams, found.streams, strict=True):
        (route,) = price.routes
        bare = route_price(problem, stream, plan.routes[stream.name][0])
        waits = [stage.wait_seconds for stage in route.stages]
        waits += [transfer.wait_seconds for transfer in route.transfers]
        assert route.wait_seconds == pytest.approx(math.fsum(waits) + route.fill_seconds)
        assert price.latency_seconds == pytest.approx(bare.latency_seconds + math.fsum(waits))
