"""The enumerator against the dumbest possible search: every plan priced by `evaluate`."""

import dataclasses
import itertools
import math
import threading

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, LayerRule, Link, Objective, Problem, Stream
from edgeplan.solvers.enumerate import Enumerator, rows
from edgeplan.solvers.result import Stop
from edgeplan.solvers.route_lists import count_routes, enumerate_routes


def brute_force(problem):
    """The least objective of all |devices|^layers plans, rules and links left to `evaluate`."""
    names = [device.name for device in problem.devices]
    per_stream = [
        [
            (stream.name, (Route(devices=devices),))
            for devices in itertools.product(
                names, repeat=len(problem.network[stream.network].layers)
            )
        ]
        for stream in problem.streams
    ]
    prices = (evaluate(problem, Plan(routes=dict(pick))) for pick in itertools.product(*per_stream))
    return min((price.objective for price in prices if price.feasible), default=None)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["chain", "dag", "multi-input"])
def test_equal_to_brute_force(kind, seed):
    problem = random_problem(
        seed, kind=kind, layers=3, devices=2 + seed % 2, streams=2, spans=seed % 4 > 1
    )
    expected = brute_force(problem)
    result = Enumerator().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.infeasible == (expected is None)
    assert result.claimed_objective == (
        None if expected is None else pytest.approx(expected, rel=1e-12)
    )
    assert result.bound == result.claimed_objective
    if result.plan is not None:
        assert evaluate(problem, result.plan).objective == result.claimed_objective


@pytest.mark.parametrize("seed", range(6))
def test_equal_to_brute_force_with_three_streams(seed):
    problem = random_problem(100 + seed, kind="dag", layers=2, devices=3, streams=3)
    expected = brute_force(problem)
    result = Enumerator().solve(problem)
    assert result.claimed_objective == (
        None if expected is None else pytest.approx(expected, rel=1e-12)
    )


@pytest.mark.long
def test_equal_to_brute_force_on_many():
    infeasible = 0
    for seed in range(400):
        problem = random_problem(
            1000 + seed,
            kind=("chain", "dag", "multi-input")[seed % 3],
            layers=3,
            devices=3,
            streams=2,
            spans=seed % 2 == 1,
        )
        expected = brute_force(problem)
        result = Enumerator().solve(problem)
        infeasible += expected is None
        assert result.claimed_objective == (
            None if expected is None else pytest.approx(expected, rel=1e-12)
        ), seed
    print(  # noqa: T201  # the summary that `make test-long` shows
        f"\nenumerator = brute force: 400 problems, {infeasible} infeasible, 0 disagreements"
    )


SECONDS = {"o": 1.0, "b": 0.25, "c": 0.125}


def build(count=2, layers=2, *, links=None, device=None, objective=None, **stream):
    """`count` equal streams of `layers` layers; b and c are faster than o; links cost nothing."""
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}", weight_bytes=100) for i in range(layers)),
        tuple(
            Tensor(name=f"t{i}", bytes=8, producer=i, consumers=(i + 1,)) for i in range(layers - 1)
        ),
        {name: LayerCosts(seconds=(seconds,) * layers) for name, seconds in SECONDS.items()},
    )
    ends = ["ob", "bo", "bc", "cb", "oc", "co"] if links is None else links
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name, **(device or {}).get(name, {})) for name in SECONDS),
        links=tuple(Link(source=e[0], target=e[1], bytes_per_second=math.inf) for e in ends),
        streams=tuple(
            Stream(name=f"s{i}", network="n", origin="o", **{"rate_per_second": 1.0, **stream})
            for i in range(count)
        ),
        objective=objective or Objective(),
    )


def test_unlimited_every_stream_takes_the_fastest_device():
    result = Enumerator().solve(build())
    assert result.plan == whole(build(), {"s0": "c", "s1": "c"})
    assert result.claimed_objective == 0.25


def test_shared_weights_fit_where_two_copies_would_not():
    """c keeps 200 B for both streams."""
    result = Enumerator().solve(build(device={"c": {"memory_bytes": 200}}))
    assert result.claimed_objective == 0.25


def test_memory_for_one_layer_sends_the_other_to_the_next():
    """c holds one layer (1/8 s), b the other (1/4 s)."""
    result = Enumerator().solve(build(device={"c": {"memory_bytes": 100}}))
    assert result.claimed_objective == 0.375
    kept = result.plan.kept(build())
    assert len(kept["c"]) == len(kept["b"]) == 1


def test_capacity_exactly_met_holds():
    """Two streams at 1/s of 2 × 1/8 s: c is busy 1/2. A cap of 1/2 holds, a little less not."""
    full = build(device={"c": {"utilisation_cap": 0.5}})
    assert Enumerator().solve(full).claimed_objective == 0.25
    tight = build(device={"c": {"utilisation_cap": 0.499}})
    # One layer of one stream moves to b: mean (1/4 + 3/8) / 2.
    assert Enumerator().solve(tight).claimed_objective == 0.3125


def test_a_device_that_costs_to_be_on_is_shared_or_avoided():
    """c costs 1 $/s while on, 1 $ for each of two requests in 2 s; b is free.

    At p per dollar, both on c cost 0.25 + p and both on b 0.5, so that c pays below p = 1/4.
    """
    for price, expected in ((0.125, 0.375), (1.0, 0.5)):
        problem = build(
            device={"c": {"dollars_per_hour": 3600.0}},
            objective=Objective(cost=price),
            rate_per_second=0.5,
        )
        assert Enumerator().solve(problem).claimed_objective == expected


def test_infeasible_is_proved():
    result = Enumerator().solve(build(deadline_seconds=0.2))
    assert result.infeasible
    assert result.plan is None
    assert result.bound is None
    assert result.claimed_objective is None
    assert result.certificate.proved
    assert result.stop is Stop.COMPLETED


def test_no_route_at_all_is_infeasible():
    assert Enumerator().solve(build(pins=(LayerRule(devices=()),))).infeasible


def test_the_certificate_counts_states():
    result = Enumerator().solve(build())
    assert result.certificate.basis == "enumerated"
    assert result.certificate.witnesses == (result.solver,)
    # 9 routes for each stream, one look at the first stream's and one at the second's for the
    # best row, and the plan accepted.
    assert result.certificate.states >= 18 + 9 + 9 + 1
    assert "9 of 's0'" in result.message


def test_routes_are_counted_without_listing_them():
    problem = build(links=["ob", "bc"])
    (stream, _) = problem.streams
    routes = list(enumerate_routes(problem, stream))
    assert routes == [("o", "o"), ("o", "b"), ("b", "b"), ("b", "c")]
    assert count_routes(problem, stream) == 4
    assert math.prod(count_routes(problem, stream) for stream in problem.streams) == 16


@pytest.mark.parametrize("seed", range(8))
def test_the_count_is_that_of_the_list(seed):
    problem = random_problem(seed, kind="dag", layers=4, devices=3, streams=2)
    for stream in problem.streams:
        routes = list(enumerate_routes(problem, stream))
        assert len(routes) == len(set(routes)) == count_routes(problem, stream)


def test_very_many_layers_of_few_routes_do_not_overflow_the_stack():
    problem = build(count=1, layers=3000, links=[], rate_per_second=1e-4)
    result = Enumerator().solve(problem)
    assert result.claimed_objective == 3000.0


def test_split_streams_are_refused_with_the_way_out():
    problem = build(splittable=True)
    (first, second) = Enumerator().unsupported(problem)
    assert "stream 's0' may be dealt over 2 routes" in first
    assert "use the solver 'highs'" in first
    assert "'s1'" in second
    result = Enumerator().solve(problem)
    assert result.stop is Stop.FAILED
    assert result.certificate is None
    assert "use the solver 'highs'" in result.message


def test_a_splittable_stream_of_one_route_is_discrete():
    assert Enumerator().solve(build(splittable=True, max_routes=1)).claimed_objective == 0.25


def test_too_many_routes_are_refused_before_any_work():
    problem = build(layers=60)
    (reason,) = Enumerator().unsupported(problem)
    assert "there are up to 10^28 routes, more than the limit of 200,000" in reason
    assert "use the solver 'highs'" in reason
    assert Enumerator(limit=17).unsupported(build())
    assert not Enumerator(limit=18).unsupported(build())


def test_the_state_limit_keeps_plan_and_bound():
    """18 states price the routes; the next ones do not suffice to finish."""
    problem = build(device={"c": {"memory_bytes": 100}})
    done = Enumerator().solve(problem)
    for limit in range(18, done.certificate.states):
        result = Enumerator(limit=limit).solve(problem)
        assert result.stop is Stop.WORK_LIMIT
        assert not result.infeasible
        if result.bound is not None:
            assert result.bound <= 0.375
            assert result.certificate.states <= limit
        if result.plan is not None:
            assert result.claimed_objective >= 0.375
    assert Enumerator(limit=done.certificate.states).solve(problem).stop is Stop.COMPLETED


def test_no_time_leaves_nothing_but_the_start():
    problem = build()
    result = Enumerator(time_limit=0.0).solve(problem)
    assert result.stop is Stop.TIME_LIMIT
    assert (result.plan, result.bound, result.certificate) == (None, None, None)
    assert not result.infeasible
    start = whole(problem, {"s0": "b", "s1": "c"})
    held = Enumerator(time_limit=0.0).solve(problem, start=start)
    assert held.plan == start
    assert held.claimed_objective == 0.375
    assert held.bound is None


def test_stop_keeps_the_incumbent_and_a_valid_bound():
    problem = random_problem(4, kind="dag", layers=6, devices=4, streams=3)
    stop = threading.Event()
    seen = []

    def watch(progress):
        seen.append(progress)
        if progress.incumbent is not None:
            stop.set()

    result = Enumerator().solve(problem, on_progress=watch, stop=stop)
    assert result.stop is Stop.INTERRUPTED
    assert result.plan is not None
    assert evaluate(problem, result.plan).feasible
    assert result.bound < result.claimed_objective
    # More states bring better plans, never one below that bound.
    more = Enumerator(limit=60_000).solve(problem, start=result.plan)
    assert result.bound <= more.bound <= more.claimed_objective <= result.claimed_objective


def test_ctrl_c_keeps_the_incumbent():
    def press(progress):
        if progress.incumbent is not None:
            raise KeyboardInterrupt

    problem = random_problem(4, kind="dag", layers=6, devices=4, streams=3)
    result = Enumerator().solve(problem, on_progress=press)
    assert result.stop is Stop.INTERRUPTED
    assert evaluate(problem, result.plan).objective == result.claimed_objective
    assert result.bound <= result.claimed_objective


def test_progress_only_improves():
    seen = []
    Enumerator().solve(
        random_problem(7, kind="dag", layers=4, devices=3, streams=3), on_progress=seen.append
    )
    assert seen
    bounds = [p.bound for p in seen if p.bound is not None]
    prices = [p.incumbent for p in seen if p.incumbent is not None]
    assert bounds == sorted(bounds)
    assert prices == sorted(prices, reverse=True)
    assert all(
        p.bound <= p.incumbent for p in seen if p.bound is not None and p.incumbent is not None
    )


def test_a_good_start_is_kept_and_a_bad_one_ignored():
    problem = build(device={"c": {"memory_bytes": 100}})
    best = Enumerator().solve(problem)
    assert Enumerator().solve(problem, start=best.plan).plan == best.plan
    too_big = whole(problem, {"s0": "c", "s1": "c"})
    assert Enumerator().solve(problem, start=too_big).claimed_objective == 0.375
    with pytest.raises(InputError):
        Enumerator().solve(problem, start=Plan(routes={}))


def test_a_difference_to_the_evaluator_is_an_error(monkeypatch):
    true = rows.route_objective
    monkeypatch.setattr(rows, "route_objective", lambda *a: true(*a) * 1.001)
    with pytest.raises(SolverError, match="the search adds a plan up to"):
        Enumerator().solve(build())


def test_it_is_a_frozen_dataclass():
    assert Enumerator().availability().available
    with pytest.raises(dataclasses.FrozenInstanceError):
        Enumerator().limit = 3
