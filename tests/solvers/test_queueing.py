"""The solver for load: cases by hand, and its two programs against every plan there is."""

import dataclasses
import functools
import itertools
import math
import threading

import numpy as np
import pytest

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.instances.generators.problems import random_problem
from edgeplan.model.evaluate import evaluate, with_tolerance
from edgeplan.model.formulation.queueing import Levels
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import route_price
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream, TailDeadline
from edgeplan.solvers.queueing import solver as module
from edgeplan.solvers.queueing.at_levels import solve_at
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.highs_run import Outcome
from edgeplan.solvers.queueing.plans import crowd, round_waits
from edgeplan.solvers.queueing.solver import Queueing
from edgeplan.solvers.result import Stop
from edgeplan.solvers.route_lists import enumerate_routes
from edgeplan.solvers.watch import Watch

GAP = 1e-6
MOST_PLANS = 300


def network(seconds, cv2=0.0, size=0, layers=1):
    tensors = [Tensor(name="in", bytes=size, producer=None, consumers=(0,))]
    tensors += [
        Tensor(name=f"t{i}", bytes=0, producer=i, consumers=(i + 1,)) for i in range(layers - 1)
    ]
    tensors.append(Tensor(name="out", bytes=0, producer=layers - 1, output=True))
    return Network(
        "n",
        tuple(Layer(name=f"l{i}", weight_bytes=10) for i in range(layers)),
        tuple(tensors),
        {
            device: LayerCosts(seconds=(value / layers,) * layers, cv2=cv2)
            for device, value in seconds.items()
        },
    )


def problem(seconds, rates, *, cv2=0.0, links=(), size=0, layers=1, devices=None, **stream):
    names = list(seconds)
    return Problem(
        networks=(network(seconds, cv2, size, layers),),
        devices=devices or tuple(Device(name=name) for name in names),
        links=links,
        streams=tuple(
            Stream(name=f"s{i}", network="n", origin=names[0], rate_per_second=rate, **stream)
            for i, rate in enumerate(rates)
        ),
        waiting="mg1",
    )


def both_ways(seconds=0.0, bandwidth=math.inf):
    return tuple(
        Link(source=a, target=b, bytes_per_second=bandwidth, latency_seconds=seconds)
        for a, b in (("a", "b"), ("b", "a"))
    )


def solved(case, **options):
    result = Queueing(**{"gap": GAP, "search_moves": 2000, **options}).solve(case)
    assert result.stop is Stop.COMPLETED, result.message
    if result.plan is not None:
        price = evaluate(case, result.plan)
        assert price.feasible
        assert price.objective == result.claimed_objective
        assert result.bound <= result.claimed_objective
        assert result.claimed_objective - result.bound <= GAP * result.claimed_objective
    return result


def test_mm1_and_md1():
    # One exponential server: S / (1 - rho). A constant one: half of the wait.
    assert solved(problem({"a": 0.1}, [5.0], cv2=1.0)).claimed_objective == pytest.approx(0.2)
    assert solved(problem({"a": 0.1}, [5.0])).claimed_objective == pytest.approx(0.15)


def test_two_devices_share_the_load():
    # Two equal streams: together on a they would wait 0.1·1·/(2·0)…: only apart are they stable.
    case = problem({"a": 0.1, "b": 0.1}, [5.0, 5.0], links=both_ways(0.01))
    result = solved(case)
    # One stays (0.15), the other crosses twice.
    assert result.claimed_objective == pytest.approx(0.15 + 0.02 / 2)
    assert len(columns(case, Watch(None, None)).groups) == 1  # equal streams are counted


def test_queues_at_links_count():
    links = both_ways(0.0, bandwidth=100.0)
    # 1 byte takes 10 ms on the link; at 5 requests a second it waits 0.05·0.01 / (2·0.95).
    case = problem({"a": 1.0, "b": 0.1}, [5.0], links=links, size=1)
    expected = 0.15 + 0.01 + 5 * 0.01**2 / (2 * 0.95)
    assert solved(case).claimed_objective == pytest.approx(expected)
    free = dataclasses.replace(
        case, links=tuple(dataclasses.replace(link, contention="none") for link in links)
    )
    assert solved(free).claimed_objective == pytest.approx(0.16)


@pytest.mark.parametrize("dispatch", ["random", "shared"])
def test_replicas_are_bought_where_they_pay(dispatch):
    def case(dollars):
        device = Device(name="a", max_replicas=3, dispatch=dispatch, dollars_per_hour=dollars)
        base = problem({"a": 0.1}, [8.0], devices=(device,))
        return dataclasses.replace(base, objective=Objective(latency=1.0, cost=1.0))

    assert solved(case(0.0)).plan.replicas == {"a": 3}
    assert solved(case(1e5)).plan.replicas.get("a", 1) == 1


def test_a_tail_deadline_makes_streams_part():
    # Together on the fast device they are quicker on average, but their tail is too long.
    free = problem({"a": 0.1, "b": 0.12}, [3.0, 3.0], links=both_ways())
    apart = evaluate(
        free, Plan(routes={"s0": (Route(devices=("a",)),), "s1": (Route(devices=("b",)),)})
    )
    limit = 1.05 * max(dict(stream.tails)[0.95] for stream in apart.streams)
    tailed = dataclasses.replace(
        free,
        streams=tuple(
            dataclasses.replace(s, tail_deadlines=(TailDeadline(probability=0.95, seconds=limit),))
            for s in free.streams
        ),
    )
    result = solved(tailed)
    assert {routes[0].devices for routes in result.plan.routes.values()} == {("a",), ("b",)}
    tight = dataclasses.replace(
        tailed,
        streams=tuple(
            dataclasses.replace(s, tail_deadlines=(TailDeadline(probability=0.95, seconds=0.1),))
            for s in free.streams
        ),
    )
    assert solved(tight).infeasible


def test_too_much_load_is_infeasible():
    result = solved(problem({"a": 0.1}, [9.6]))  # 0.96 of a cap of 0.95
    assert result.infeasible
    assert result.plan is None
    assert result.certificate.basis == "claimed"


def test_a_split_stream_against_a_grid():
    case = problem(
        {"a": 0.1, "b": 0.1}, [12.0], links=both_ways(0.02), splittable=True, max_routes=2
    )
    result = Queueing(gap=1e-4).solve(case)
    assert result.stop is Stop.COMPLETED

    def price(share):
        routes = (
            Route(devices=("a",), fraction=share),
            Route(devices=("b",), fraction=1 - share),
        )
        return evaluate(case, Plan(routes={"s0": routes}))

    grid = [price(k / 2000) for k in range(400, 1600)]
    best = min(found.objective for found in grid if found.feasible)
    assert result.bound <= best
    assert result.claimed_objective <= best * (1 + 2e-4)
    assert evaluate(case, result.plan).objective == result.claimed_objective


def test_regular_arrivals_count_as_such_on_a_lone_route_only():
    # A clock and constant service: no wait at all, unless the stream is split.
    case = problem({"a": 0.1, "b": 0.1}, [5.0], links=both_ways(), arrival_cv2=0.0, splittable=True)
    result = solved(case)
    assert result.claimed_objective == pytest.approx(0.1)
    assert len(result.plan.routes["s0"]) == 1


# -- every plan ------------------------------------------------------------------


def all_plans(case):
    per_stream = []
    for stream in case.streams:
        routes = [
            (Route(devices=devices, batch=batch),)
            for devices in enumerate_routes(case, stream)
            for batch in case.batch_sizes(stream)
        ]
        per_stream.append(
            [r for r in routes if math.isfinite(route_price(case, stream, r[0]).latency_seconds)]
        )
    counts = [[(d.name, c) for c in d.replica_range] for d in case.devices]
    for routes in itertools.product(*per_stream):
        for replicas in itertools.product(*counts):
            yield Plan(
                routes={s.name: r for s, r in zip(case.streams, routes, strict=True)},
                replicas=dict(replicas),
            )


@functools.cache
def small(seed):
    """A random problem with its plans and the least price of one; None where it has too many."""
    case = random_loaded_problem(seed, most_plans=MOST_PLANS // 2)
    plans = list(itertools.islice(all_plans(case), MOST_PLANS + 1))
    if not plans or len(plans) > MOST_PLANS:
        return None
    return case, plans, least(case, plans)


def least(case, plans, waits=None):
    found = (evaluate(case, plan, waits=waits and waits(plan)) for plan in plans)
    return min((price.objective for price in found if price.feasible), default=math.inf)


def levels_for(case, plans):
    """Levels around the waits of one plan and, where it waits nowhere, anywhere."""
    queues = crowd(case, plans[len(plans) // 2])
    waits, boxes, decays = {}, {}, {}
    for key, queue in queues.items():
        wait = queue.mean_wait_seconds if queue.jobs else 0.0
        wait = wait if 0 < wait < math.inf else 0.03
        waits[key] = (wait * 0.6, wait * 1.0001, wait * 2, wait * 40, wait * 1e3)
        boxes[key] = ((0.3, 0.6, 0.85), (1e-4, 1e-2, 1.0, 1e3))
        theta = queue.decay_per_second if queue.jobs else 0.0
        theta = theta if 0 < theta < math.inf else 20.0
        decays[key] = (theta * 1.5, theta * 0.999, theta * 0.5, theta * 0.02)
    return Levels(waits, boxes, decays)


@pytest.mark.parametrize("reduce", [True, False], ids=["reduced", "as it stands"])
@pytest.mark.parametrize("seed", range(30))
def test_plan_and_bound_program_are_the_enumeration_with_rounded_waits(seed, reduce):
    drawn = small(seed)
    if drawn is None:
        pytest.skip("too many plans")
    case, plans, exact = drawn
    levels = levels_for(case, plans)
    searched = with_tolerance(case)
    for side in ("plan", "bound"):
        expected = least(case, plans, lambda plan, s=side: round_waits(case, plan, levels, s))
        found = solve_at(searched, levels, side, reduce=reduce)
        assert found == pytest.approx(expected, rel=1e-6)
        if side == "plan":
            assert exact <= expected * (1 + 1e-9)
        else:
            assert expected <= exact * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_bound_exact_and_plan_agree(seed):
    drawn = small(seed)
    if drawn is None:
        pytest.skip("too many plans")
    case, _, exact = drawn
    result = solved(case)
    assert result.infeasible == math.isinf(exact)
    if not result.infeasible:
        assert result.claimed_objective == pytest.approx(exact, rel=2 * GAP)
        assert result.bound <= exact * (1 + 1e-9)


# -- claims of infeasibility --------------------------------------------------------


def claim_infeasible(monkeypatch, without_presolve, *, pruned):
    """Let every run with presolve be infeasible, and give the ones without to a function."""
    asked = []

    def run(self, program, routes, *, presolve=True):
        asked.append(presolve)
        return Outcome(Stop.COMPLETED, infeasible=True) if presolve else without_presolve()

    monkeypatch.setattr(module._Run, "run", run)
    if pruned:
        monkeypatch.setattr(module._Run, "large", lambda self: True)
        monkeypatch.setattr(module._Run, "relaxed", lambda self: np.arange(len(self.routes) - 1))
    return asked


SHARED = problem({"a": 0.1, "b": 0.12}, [4.0, 3.0, 2.0], links=both_ways(0.01))


@pytest.mark.parametrize("pruned", [False, True])
def test_a_claim_of_infeasibility_is_checked_without_presolve(pruned, monkeypatch):
    claim = Outcome(Stop.COMPLETED, infeasible=True)
    case = SHARED if pruned else problem({"a": 0.1}, [9.6])
    asked = claim_infeasible(monkeypatch, lambda: claim, pruned=pruned)
    result = Queueing(gap=GAP, search_moves=1_000).solve(case)
    assert asked == [True, False]
    assert result.stop is Stop.COMPLETED
    assert result.infeasible is not pruned
    assert result.message == "infeasible with presolve and without"
    if pruned:  # of the plan in hand it says that none is better
        assert result.bound == pytest.approx(result.claimed_objective, rel=GAP)


@pytest.mark.parametrize("why", [Stop.COMPLETED, Stop.TIME_LIMIT])
@pytest.mark.parametrize("pruned", [False, True])
def test_a_claim_that_does_not_hold_without_presolve_is_not_taken(pruned, why, monkeypatch):
    case = SHARED if pruned else problem({"a": 0.1}, [9.6])
    claim_infeasible(monkeypatch, lambda: Outcome(why), pruned=pruned)
    result = Queueing(gap=GAP, search_moves=1_000).solve(case)
    assert result.stop is (Stop.FAILED if why is Stop.COMPLETED else why)
    assert not result.infeasible
    assert "with presolve off" in result.message
    if pruned:
        assert result.bound < result.claimed_objective * (1 - GAP)


# -- how it ends ------------------------------------------------------------------


def test_stopped_at_once_it_says_so():
    stop = threading.Event()
    stop.set()
    case = random_loaded_problem(3)
    result = Queueing().solve(case, stop=stop)
    assert result.stop is Stop.INTERRUPTED
    assert not result.infeasible


def test_a_plan_to_begin_from_is_kept_when_stopped():
    case = problem({"a": 0.1, "b": 0.1}, [5.0, 5.0], links=both_ways(0.01))
    start = Plan(routes={"s0": (Route(devices=("a",)),), "s1": (Route(devices=("b",)),)})
    stop = threading.Event()
    stop.set()
    result = Queueing().solve(case, start=start, stop=stop)
    assert result.plan == start
    assert result.claimed_objective == evaluate(case, start).objective


def test_progress_is_monotone():
    told = []
    case = problem({"a": 0.1, "b": 0.15}, [4.0, 3.0, 2.0], links=both_ways(0.01))
    Queueing(gap=GAP, search_moves=2000).solve(case, on_progress=told.append)
    bounds = [moment.bound for moment in told if moment.bound is not None]
    prices = [moment.incumbent for moment in told if moment.incumbent is not None]
    assert bounds == sorted(bounds)
    assert prices == sorted(prices, reverse=True)
    assert bounds[-1] <= prices[-1]


def test_too_many_routes_are_refused_with_a_way_out():
    case = problem({"a": 0.1, "b": 0.1}, [1.0], links=both_ways(), layers=8)
    (reason,) = Queueing(route_limit=100).unsupported(case)
    assert "route_limit" in reason
    assert not Queueing().unsupported(case)


def test_it_leaves_alone_what_is_on_for_transfers_only():
    """Found by hypothesis: without queues, a device that only sends is off, and free."""
    problem = random_problem(23, kind="chain", layers=2, devices=2, streams=2)
    device = dataclasses.replace(
        problem.devices[0], charge_idle=True, idle_watts=2.0, transfers="occupy"
    )
    occupied = dataclasses.replace(problem, devices=(device, *problem.devices[1:]))
    (reason,) = Queueing().unsupported(occupied)
    assert f"'{device.name}' costs while it is on" in reason
    free = dataclasses.replace(device, charge_idle=False, dollars_per_hour=0.0)
    assert not Queueing().unsupported(
        dataclasses.replace(problem, devices=(free, *problem.devices[1:]))
    )
