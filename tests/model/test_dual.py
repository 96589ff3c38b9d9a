"""The dual bound: valid for every plan, exact where it should be, each multiplier by hand."""

import dataclasses
import json
import math
import random
import subprocess
import sys
from fractions import Fraction

import pytest

from edgeplan.instances.generators import KINDS, random_plan, random_problem
from edgeplan.model import dual
from edgeplan.model.dual import dual_bound
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Objective, Problem, Stream
from edgeplan.solvers.enumerate import Enumerator

LATENCY = Objective(latency=1.0)
PERIOD = Objective(latency=0.0, throughput=1.0)


def varied(seed: int, **options) -> Problem:
    """A random problem of any kind: also throughput, occupied devices, groups, least rates."""
    rng = random.Random(seed)
    kind = KINDS[seed % 4]
    problem = random_problem(
        seed,
        kind=kind,
        tight=rng.random() < 0.6,
        spans=kind == "chain" and rng.random() < 0.5,
        streams=rng.choice([1, 2]),
        layers=rng.choice([2, 3, 4]),
        **options,
    )
    objective, devices, streams = problem.objective, problem.devices, problem.streams
    budgets = problem.budgets
    if rng.random() < 0.4:
        objective = dataclasses.replace(
            objective, throughput=rng.choice([0.5, 5.0]), latency=rng.choice([0, objective.latency])
        )
    if rng.random() < 0.5:
        ways = ["links", "occupy", "occupy", "free_port"]
        devices = tuple(dataclasses.replace(d, transfers=rng.choice(ways)) for d in devices)
    if rng.random() < 0.3:
        ends = {n.name: (n.layers[0].name, n.layers[-1].name) for n in problem.networks}
        streams = tuple(dataclasses.replace(s, together=(ends[s.network],)) for s in streams)
    if rng.random() < 0.3:
        budgets = dataclasses.replace(budgets, min_rate_per_second=rng.choice([2.0, 10.0, 40.0]))
    if rng.random() < 0.3:
        networks = tuple(
            dataclasses.replace(
                network,
                tensors=tuple(
                    dataclasses.replace(t, transfer_seconds=rng.choice([None, 1e-3, 2e-2]))
                    for t in network.tensors
                ),
            )
            for network in problem.networks
        )
        problem = dataclasses.replace(problem, networks=networks)
    return dataclasses.replace(
        problem,
        objective=objective,
        devices=devices,
        streams=streams,
        budgets=budgets,
        contiguous=rng.random() < 0.2,
    )


def drawn(problem: Problem, seed: int, size: float) -> Multipliers:
    """Random multipliers of a size, some of them 0."""
    rng = random.Random(seed)

    def price(unit: float) -> float:
        return 0.0 if rng.random() < 0.4 else rng.expovariate(1) * unit * size

    capacity = problem.capacity == "utilisation"
    names = [device.name for device in problem.devices]
    links = [ends for ends, link in problem.link.items() if problem.loads(link)]
    raw = [rng.random() for _ in (*names, *links)]
    shares = [value / math.fsum(raw) for value in raw]
    budgets = problem.budgets
    return Multipliers(
        device_period=dict(zip(names, shares, strict=False)),
        link_period=dict(zip(links, shares[len(names) :], strict=True)),
        device_busy={name: price(0.1) for name in names} if capacity else {},
        link_busy={ends: price(0.1) for ends in links} if capacity else {},
        memory={
            d.name: price(1 / d.memory_bytes)
            for d in problem.devices
            if math.isfinite(d.memory_bytes)
        },
        device_power={
            d.name: price(0.1 / d.power_budget_watts)
            for d in problem.devices
            if math.isfinite(d.power_budget_watts)
        },
        deadline={s.name: price(0.3) for s in problem.streams if math.isfinite(s.deadline_seconds)},
        power=price(0.1 / budgets.power_watts),
        money=price(360 / budgets.dollars_per_hour),
        min_rate=price(1.0) if budgets.min_rate_per_second else 0.0,
        kept={
            s.name: {
                name: tuple(price(0.02) for _ in problem.network[s.network].layers)
                for name in names
            }
            for s in problem.streams
            if rng.random() < 0.7
        },
    )


@pytest.mark.parametrize("block", range(8))
def test_no_optimum_is_below_the_bound_of_any_multipliers(block):
    found = 0
    for seed in range(50 * block, 50 * block + 50):
        problem = varied(seed)
        result = Enumerator().solve(problem)
        for size in (0.01, 0.1, 1.0):
            bound = dual_bound(problem, drawn(problem, seed, size))
            if result.plan is not None:
                assert bound <= result.claimed_objective, (seed, size)
        found += result.plan is not None
    assert found > 20


@pytest.mark.parametrize("block", range(4))
def test_no_plan_that_deals_streams_over_routes_is_below_the_bound(block):
    found = 0
    for seed in range(1000 + 50 * block, 1050 + 50 * block):
        problem = varied(seed, splittable=True)
        for number in range(6):
            evaluation = evaluate(problem, random_plan(problem, number, stages=number % 3 + 1))
            if evaluation.feasible:
                found += 1
                for size in (0.0, 0.1):
                    bound = dual_bound(problem, drawn(problem, seed + number, size))
                    assert bound <= evaluation.objective
    assert found > 30


@pytest.mark.parametrize("spans", [False, True])
def test_chains_that_nothing_couples_are_exact(spans):
    found = 0
    for seed in range(60):
        problem = random_problem(
            seed, kind="chain", tight=False, spans=spans, streams=1 + seed % 2, devices=3
        )
        networks = tuple(
            dataclasses.replace(
                network,
                tensors=tuple(
                    dataclasses.replace(t, output=t.output and not t.consumers)
                    for t in network.tensors
                ),
            )
            for network in problem.networks
        )
        devices = tuple(
            dataclasses.replace(d, charge_idle=False, dollars_per_hour=0.0) for d in problem.devices
        )
        problem = dataclasses.replace(problem, networks=networks, devices=devices)
        result = Enumerator().solve(problem)
        bound = dual_bound(problem, Multipliers())
        if result.plan is None:
            assert math.isinf(bound)
            continue
        found += 1
        # A route's fraction may be 1e-9 below 1.
        assert bound <= result.claimed_objective
        assert bound == pytest.approx(result.claimed_objective, rel=1.1e-9, abs=0)
    assert found > 45


def pinned(problem: Problem, plan: Plan) -> Problem:
    """The problem in which each stream has one route left, that of the plan."""
    return dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(
                stream,
                splittable=False,
                together=(),
                privacy=None,
                bans=(),
                pins=tuple(
                    LayerRule(devices=(device,), layers=(layer.name,))
                    for device, layer in zip(
                        plan.routes[stream.name][0].devices,
                        problem.network[stream.network].layers,
                        strict=True,
                    )
                ),
            )
            for stream in problem.streams
        ),
    )


def lagrangian(problem: Problem, plan: Plan, given: Multipliers) -> float:
    """A plan's objective where limits are priced instead of kept: by the evaluator's figures."""
    evaluation = evaluate(problem, plan)
    most = 1 + RELATIVE_TOLERANCE
    terms = [
        problem.objective.value(
            evaluation.latency_seconds, evaluation.energy_joules, evaluation.cost_dollars
        )
    ]
    period = problem.objective.period_price + given.min_rate
    for device, load in zip(problem.devices, evaluation.devices, strict=True):
        terms.append(period * given.device_period.get(device.name, 0) * load.period_seconds)
        for prices, value, limit in (
            (given.device_busy, load.utilisation, device.utilisation_cap),
            (given.memory, load.memory_bytes, device.memory_bytes),
            (given.device_power, load.watts, device.power_budget_watts),
        ):
            if price := prices.get(device.name, 0):
                terms.append(price * (value - most * limit))
    for (ends, link), load in zip(problem.link.items(), evaluation.links, strict=True):
        terms.append(period * given.link_period.get(ends, 0) * load.period_seconds)
        excess = load.utilisation - most * link.utilisation_cap
        terms.append(given.link_busy.get(ends, 0) * excess)
    spending = 0.0
    for stream, price in zip(problem.streams, evaluation.streams, strict=True):
        spending += stream.rate_per_second * price.cost_dollars
        if paid := given.deadline.get(stream.name, 0):
            terms.append(paid * (price.latency_seconds - most * stream.deadline_seconds))
    budgets = problem.budgets
    if given.power:
        watts = sum(load.watts for load in evaluation.devices)
        terms.append(given.power * (watts - most * budgets.power_watts))
    if given.money:
        terms.append(given.money * (spending - most * budgets.dollars_per_hour / 3600))
    if given.min_rate:
        terms.append(-given.min_rate * most * budgets.period_seconds)
    # What is kept is paid by all streams of the network, also by those that run it elsewhere.
    kept = plan.kept(problem)
    for stream in problem.streams:
        devices = plan.routes[stream.name][0].devices
        for device, row in given.kept.get(stream.name, {}).items():
            terms += [
                price * ((devices[k] == device) - ((stream.network, k) in kept[device]))
                for k, price in enumerate(row)
            ]
    return math.fsum(terms)


@pytest.mark.parametrize("block", range(8))
def test_no_plan_is_charged_more_than_it_uses(block):
    """The Lagrangian of every plan, feasible or not, is at least what is computed for it."""
    compared = 0
    for seed in range(2000 + 50 * block, 2050 + 50 * block):
        problem = varied(seed)
        for number in range(6):
            plan = random_plan(problem, number)
            only = pinned(problem, plan)
            given = drawn(only, seed + number, (0.0, 0.1, 1.0)[number % 3])
            bound = dual._lagrangian(only, given, only.objective)
            evaluation = evaluate(only, plan)
            if not math.isfinite(evaluation.latency_seconds):
                continue
            compared += 1
            price = lagrangian(only, plan, given)
            assert bound <= price + 1e-12 * abs(price), (seed, number)
    assert compared > 100


@pytest.mark.parametrize("occupied", [False, True])
def test_chains_are_charged_all_that_they_use(occupied):
    """With one result and nothing that is paid for being kept, exactly so."""
    compared = 0
    for seed in range(80):
        problem = random_problem(seed, kind="chain", streams=2, spans=seed % 4 == 0)
        networks = tuple(
            dataclasses.replace(
                network,
                tensors=tuple(
                    dataclasses.replace(t, output=t.output and not t.consumers)
                    for t in network.tensors
                ),
            )
            for network in problem.networks
        )
        rng = random.Random(seed)
        devices = tuple(
            dataclasses.replace(
                d,
                charge_idle=False,
                dollars_per_hour=0.0,
                memory_bytes=math.inf,
                transfers=rng.choice(["occupy", "free_port"]) if occupied else "links",
            )
            for d in problem.devices
        )
        problem = dataclasses.replace(
            problem,
            networks=networks,
            devices=devices,
            objective=dataclasses.replace(problem.objective, throughput=1.0),
            budgets=dataclasses.replace(problem.budgets, min_rate_per_second=10.0),
        )
        plan = random_plan(problem, seed)
        only = pinned(problem, plan)
        if not math.isfinite(evaluate(only, plan).latency_seconds):
            continue
        compared += 1
        given = dataclasses.replace(drawn(only, seed, 0.1), kept={})
        bound = dual._lagrangian(only, given, only.objective)
        assert bound == pytest.approx(lagrangian(only, plan, given), rel=1e-7, abs=1e-8)
    assert compared > 40


def test_the_tolerance_is_the_evaluators():
    assert dual.RELATIVE_TOLERANCE == RELATIVE_TOLERANCE


def test_the_verifier_needs_no_solver_no_formulation_and_no_numpy():
    code = "import edgeplan.model.dual, sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    names = set(json.loads(run.stdout))
    assert not names & {"numpy", "pyomo", "highspy"}
    assert not any(n.startswith(("edgeplan.solvers", "edgeplan.model.formulation")) for n in names)


# --- by hand: two layers of 1 s on each of two devices, a tensor of 4 bytes between them


def pair(**changes) -> Problem:
    costs = LayerCosts(seconds=(1.0, 1.0))
    network = Network(
        "n",
        (Layer(name="x", weight_bytes=10), Layer(name="y", weight_bytes=30)),
        (Tensor(name="t", bytes=4, producer=0, consumers=(1,)),),
        {"a": costs, "b": costs},
    )
    given = {
        "networks": (network,),
        "devices": (Device(name="a"), Device(name="b")),
        "links": (
            Link(source="a", target="b", bytes_per_second=8.0, latency_seconds=0.25),
            Link(source="b", target="a", bytes_per_second=8.0, latency_seconds=0.25),
        ),
        "streams": (Stream(name="s", network="n", origin="a", rate_per_second=0.1),),
        "objective": LATENCY,
        "capacity": "none",
    }
    return Problem(**{**given, **changes})


def with_device(problem: Problem, name: str, **changes) -> Problem:
    return dataclasses.replace(
        problem,
        devices=tuple(
            dataclasses.replace(d, **changes) if d.name == name else d for d in problem.devices
        ),
    )


def with_stream(problem: Problem, **changes) -> Problem:
    return dataclasses.replace(
        problem, streams=tuple(dataclasses.replace(s, **changes) for s in problem.streams)
    )


def about(value: float) -> object:
    return pytest.approx(value, rel=1e-5, abs=1e-7)


def test_without_multipliers_the_cheapest_route_alone():
    assert dual_bound(pair(), Multipliers()) == about(2.0)


def test_shares_of_the_period_balance_two_devices():
    problem = pair(objective=PERIOD)
    assert dual_bound(problem, Multipliers()) == 0.0
    assert dual_bound(problem, Multipliers(device_period={"a": 1.0})) == 0.0
    half = Multipliers(device_period={"a": 0.5, "b": 0.5})
    assert dual_bound(problem, half) == about(1.0)
    tenth = Multipliers(device_period={"a": 0.1, "b": 0.1}, link_period={("a", "b"): 0.8})
    assert dual_bound(problem, tenth) == about(0.2)


def test_replicas_share_the_load():
    problem = with_device(pair(objective=PERIOD), "b", replicas=3)
    assert dual_bound(problem, Multipliers(device_period={"a": 0.25, "b": 0.75})) == about(0.5)


def test_a_busy_device_is_worth_going_away_from():
    # a may be busy 0.05 of the time; staying there takes 0.2. Going away costs 0.75 s.
    problem = with_device(pair(capacity="utilisation"), "a", utilisation_cap=0.05)
    bounds = [dual_bound(problem, Multipliers(device_busy={"a": p})) for p in (1.0, 1.25, 5.0)]
    # min(2 + 0.2 p, 2.25, 2.75 + 0.1 p) - 0.05 p, the second by starting on b.
    assert bounds == [about(2.15), about(2.1875), about(2.0)]


def test_a_busy_link():
    problem = with_stream(pair(capacity="utilisation", objective=Objective(latency=0, energy=1)))
    problem = with_device(problem, "a", active_watts=100.0)
    slow = tuple(
        dataclasses.replace(link, bytes_per_second=0.5, utilisation_cap=0.2)
        for link in problem.links
    )
    first = dataclasses.replace(problem.networks[0].tensors[0], bytes=1)
    start = Tensor(name="in", bytes=2, producer=None, consumers=(0,))
    network = dataclasses.replace(problem.networks[0], tensors=(start, first))
    problem = dataclasses.replace(problem, links=slow, networks=(network,))
    # Route bb loads a->b for 4 s of each request: 0.4 busy, 0.2 too much; aa costs 200 J.
    bound = dual_bound(problem, Multipliers(link_busy={("a", "b"): 10.0}))
    assert bound == about(0.4 * 10 - 0.2 * 10)


def test_a_deadline_has_a_price():
    problem = with_stream(pair(objective=Objective(latency=0, energy=1)), deadline_seconds=2.1)
    problem = with_device(with_device(problem, "a", active_watts=5.0), "b", active_watts=1.0)
    # aa: 10 J in 2 s; bb: 2 J in 2.25 s, too late. The best mix: 60 % aa.
    bounds = [dual_bound(problem, Multipliers(deadline={"s": p})) for p in (16.0, 32.0, 64.0)]
    late = 2.1 * RELATIVE_TOLERANCE
    expected = [4.4 - 16 * late, 6.8 - 32 * late, 3.6 - 64 * late]
    assert bounds == [about(value) for value in expected]


def test_power_and_money_have_prices():
    problem = with_device(
        with_device(pair(), "a", active_watts=10.0, power_budget_watts=1.5), "b", active_watts=1.0
    )
    # aa: 2 s, 20 J, 2 W; bb: 2.25 s, 2 J, 0.2 W.
    assert dual_bound(problem, Multipliers(device_power={"a": 0.125})) == about(2.25 - 1.5 / 8)
    limited = dataclasses.replace(problem, budgets=Budgets(power_watts=1.5))
    price = 0.25 / 1.8
    assert dual_bound(limited, Multipliers(power=price)) == about(2 + 0.5 * price)
    priced = with_device(pair(), "a", dollars_per_second=1.0)
    spending = dataclasses.replace(priced, budgets=Budgets(dollars_per_hour=360.0))
    # aa: 0.2 $/s where 0.1 are allowed.
    assert dual_bound(spending, Multipliers(money=1.0)) == about(2 + 0.2 - 0.1)


def test_a_least_rate_has_a_price():
    problem = dataclasses.replace(pair(), budgets=Budgets(min_rate_per_second=1 / 1.5))
    given = Multipliers(min_rate=0.125, device_period={"a": 1.0})
    # aa keeps a busy 2 s per request where 1.5 are allowed.
    assert dual_bound(problem, given) == about(2 + 0.125 * (2 - 1.5))


def test_memory_is_paid_through_what_is_kept():
    problem = with_device(pair(), "a", memory_bytes=30)
    price = 0.00625
    given = Multipliers(memory={"a": price}, kept={"s": {"a": (10 * price, 30 * price)}})
    # aa needs 40 bytes; bb costs 2.25 s.
    assert dual_bound(problem, given) == about(2 + 10 * price)
    # Paid more than the bytes cost: the difference is lost.
    more = dataclasses.replace(given, kept={"s": {"a": (10 * price + 0.1, 30 * price)}})
    assert dual_bound(problem, more) == about(2.25 - 30 * price - 0.1)


def test_activations_take_memory_too():
    problem = with_device(pair(), "a", memory_bytes=30)
    layers = (
        Layer(name="x", weight_bytes=10, activation_bytes=4),
        Layer(name="y", weight_bytes=10, activation_bytes=12),
    )
    network = dataclasses.replace(problem.networks[0], layers=layers)
    problem = dataclasses.replace(problem, networks=(network,))
    # Weights of 20 and an activation of 12.
    given = Multipliers(memory={"a": 0.01}, kept={"s": {"a": (0.1, 0.22)}})
    assert dual_bound(problem, given) == about(2.25 - 0.3)
    given = Multipliers(memory={"a": 0.005}, kept={"s": {"a": (0.05, 0.11)}})
    assert dual_bound(problem, given) == about(2 + 0.16 - 0.15)


def test_a_device_keeps_what_pays_in_the_order_of_activations():
    problem = with_device(pair(), "a", memory_bytes=1000)
    layers = (
        Layer(name="x", weight_bytes=10, activation_bytes=10),
        Layer(name="y", weight_bytes=10, activation_bytes=100),
    )
    network = dataclasses.replace(problem.networks[0], layers=layers)
    problem = dataclasses.replace(problem, networks=(network,))
    # x is paid 0.5 for 0.01 x (10 + 10): 0.3 lost; y 0.5 more for 0.01 x 100 more: not kept.
    given = Multipliers(memory={"a": 0.01}, kept={"s": {"a": (0.5, 0.5)}})
    alone = dual._device_value(problem, given, LATENCY, problem.devices[0], 0.0)
    assert alone == about(-0.3)
    # Paid 0.15 for bytes that cost 0.1, y adds 0.05.
    cheap = dataclasses.replace(given, memory={"a": 0.001}, kept={"s": {"a": (0.5, 0.015)}})
    alone = dual._device_value(problem, cheap, LATENCY, problem.devices[0], 0.0)
    assert alone == about(-0.48)


def test_two_streams_share_what_is_kept():
    problem = with_device(pair(), "a", memory_bytes=30)
    twin = dataclasses.replace(problem.streams[0], name="u")
    problem = dataclasses.replace(problem, streams=(*problem.streams, twin))
    row = {"a": (0.05, 0.15)}
    once = Multipliers(memory={"a": 0.01}, kept={"s": {"a": (0.1, 0.3)}})
    both = Multipliers(memory={"a": 0.01}, kept={"s": row, "u": row})
    # s alone would go to b; with halves both stay: 2 s on average, 40 bytes paid, 30 allowed.
    assert dual_bound(problem, once) == about((2.25 + 2) / 2 - 0.3)
    assert dual_bound(problem, both) == about(2 + 0.25 - 0.3)


def test_a_device_is_paid_for_being_on():
    problem = with_device(
        pair(objective=Objective(latency=0.0, cost=1.0)), "a", dollars_per_hour=360.0
    )
    problem = with_device(problem, "b", dollars_per_second=1.0)
    # a costs 0.1 $/s over 0.1 requests/s: 1 $ per request; bb 2 $.
    assert dual_bound(problem, Multipliers()) == 0.0
    assert dual_bound(problem, Multipliers(kept={"s": {"a": (0.5, 0.5)}})) == about(1.0)
    assert dual_bound(problem, Multipliers(kept={"s": {"a": (1.0, 1.0)}})) == about(2.0 - 1.0)


# --- tolerances and rounding


def test_a_plan_within_the_tolerance_is_not_below_the_bound():
    problem = with_stream(pair(), deadline_seconds=2.0 / (1 + 0.999 * RELATIVE_TOLERANCE))
    evaluation = evaluate(problem, Plan(routes={"s": (Route(devices=("a", "a")),)}))
    assert evaluation.feasible
    for price in (1.0, 1e6, 1e12):
        bound = dual_bound(problem, Multipliers(deadline={"s": price}))
        assert bound <= evaluation.objective


def test_a_fraction_just_below_one_is_not_below_the_bound():
    problem = pair()
    plan = Plan(routes={"s": (Route(devices=("a", "a"), fraction=1 - 0.9e-9),)})
    evaluation = evaluate(problem, plan)
    assert evaluation.feasible
    assert evaluation.objective < 2
    assert dual_bound(problem, Multipliers()) <= evaluation.objective


def test_rounding_never_lifts_the_bound_over_exact_sums(monkeypatch):
    monkeypatch.setattr(dual, "FRACTION_TOLERANCE", 0.0)  # larger than all rounding
    rng = random.Random(0)
    for _ in range(30):
        seconds = tuple(rng.random() for _ in range(400))
        network = Network(
            "n",
            tuple(Layer(name=str(index)) for index in range(400)),
            (),
            {"a": LayerCosts(seconds=seconds, boundary_seconds=0.1)},
        )
        problem = Problem(
            networks=(network,),
            devices=(Device(name="a"),),
            streams=(Stream(name="s", network="n", origin="a"),),
            objective=Objective(latency=0.1),
            capacity="none",
        )
        exact = Fraction(0.1) * (Fraction(0.1) + sum(map(Fraction, seconds)))
        bound = Fraction(dual_bound(problem, Multipliers()))
        assert exact * (1 - Fraction(1, 10**10)) < bound < exact


def test_shares_that_add_up_to_a_rounding_above_one_are_shares_of_their_sum(monkeypatch):
    monkeypatch.setattr(dual, "FRACTION_TOLERANCE", 0.0)
    problem = with_stream(pair(objective=PERIOD, links=()))
    given = Multipliers(device_period={"a": 0.7, "b": 0.3 + 9e-10})
    exact = Multipliers(device_period={"a": 0.7, "b": 0.3})
    # aa, which loads a by 2 s, is all there is: the share of a counts.
    assert dual_bound(problem, given) < dual_bound(problem, exact) == about(1.4)


# --- no plan at all


def test_no_way_through_proves_that_there_is_no_plan():
    banned = with_stream(pair(links=()), origin="b")
    network = dataclasses.replace(banned.networks[0], costs={"a": LayerCosts(seconds=(1.0, 1.0))})
    assert dual_bound(dataclasses.replace(banned, networks=(network,)), Multipliers()) == math.inf


def test_limits_that_no_plan_keeps_are_proved_so():
    problem = with_stream(pair(), deadline_seconds=1.9)
    assert dual_bound(problem, Multipliers()) == about(2.0)
    assert dual_bound(problem, Multipliers(deadline={"s": 1.0})) == math.inf
    just = with_stream(pair(), deadline_seconds=2.0 / (1 + 0.99 * RELATIVE_TOLERANCE))
    assert math.isfinite(dual_bound(just, Multipliers(deadline={"s": 1.0})))


# --- files and faults


def test_json_brings_back_the_bound():
    for seed in range(40):
        problem = varied(seed)
        given = drawn(problem, seed, 0.1)
        text = json.dumps(given.as_json(), allow_nan=False)
        back = Multipliers.from_json(json.loads(text), problem)
        assert dual_bound(problem, back) == dual_bound(problem, given)


def test_only_what_is_not_zero_is_written():
    given = Multipliers(deadline={"s": 0.0}, kept={"s": {"a": (0.0, 0.0)}}, power=0.0)
    assert given.as_json() == {}


def test_links_are_known_by_their_ends():
    names = {"a": "a->b", "b": "c"}
    problem = pair(
        devices=(Device(name="a->b"), Device(name="c"), Device(name="b->c"), Device(name="a")),
        networks=(dataclasses.replace(pair().networks[0], costs={}),),
        links=(
            Link(source=names["a"], target="c", bytes_per_second=1.0),
            Link(source="a", target="b->c", bytes_per_second=1.0),
        ),
        capacity="utilisation",
    )
    given = Multipliers(link_busy={("a", "b->c"): 2.0, ("a->b", "c"): 3.0})
    assert Multipliers.from_json(given.as_json(), problem).link_busy == given.link_busy


LIMITED = with_stream(
    with_device(pair(capacity="utilisation"), "a", memory_bytes=50), deadline_seconds=3.0
)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "multipliers: must be an object"),
        ({"speed": 1}, "speed: there is no such multiplier"),
        ({"deadline": {"t": 1.0}}, "deadline.t: there is no such stream"),
        ({"deadline": {"s": -1.0}}, "deadline.s: must be a finite number, not negative"),
        ({"deadline": {"s": math.nan}}, "deadline.s: must be a finite number"),
        ({"deadline": {"s": math.inf}}, "deadline.s: must be a finite number"),
        ({"deadline": {"s": 1e31}}, "deadline.s: must be a finite number"),
        ({"deadline": {"s": "1"}}, "deadline.s: must be a number"),
        ({"deadline": {"s": True}}, "deadline.s: must be a number"),
        ({"deadline": [1.0]}, "deadline: must be an object"),
        ({"device_busy": {"z": 1.0}}, "device_busy.z: there is no such device"),
        ({"memory": {"b": 1.0}}, "memory.b: has a price, but the problem sets no limit"),
        ({"power": 1.0}, "power: has a price, but the problem sets no limit"),
        ({"money": 1.0}, "money: has a price, but the problem sets no limit"),
        ({"min_rate": 1.0}, "min_rate: has a price, but the problem sets no limit"),
        ({"device_period": {"a": 0.6, "b": 0.6}}, "device_period: all shares add up to 1.2"),
        ({"link_busy": {"a->b": 1.0}}, "link_busy: must be a list"),
        (
            {"link_busy": [{"source": "a", "target": "b", "price": 1}] * 2},
            "link_busy[1]: this link is there twice",
        ),
        ({"link_busy": [{"source": "a"}]}, "link_busy[0]: needs source, target and price"),
        (
            {"link_busy": [{"source": "a", "target": 1, "price": 1.0}]},
            "link_busy[0]: source and target are names",
        ),
        (
            {"link_busy": [{"source": "a", "target": [], "price": 1.0}]},
            "link_busy[0]: source and target are names",
        ),
        (
            {"link_busy": [{"source": "a", "target": "z", "price": 1.0}]},
            "link_busy.a->z: there is no such link",
        ),
        ({"kept": {"t": {}}}, "kept.t: there is no such stream"),
        ({"kept": {"s": {"z": [0, 0]}}}, "kept.s.z: there is no such device"),
        ({"kept": {"s": {"a": [1.0]}}}, "kept.s.a: needs 2 entries"),
        ({"kept": {"s": {"a": [1.0, -1.0]}}}, "kept.s.a[1]: must be a finite number"),
        ({"kept": {"s": {"a": 1.0}}}, "kept.s.a: must be a list"),
    ],
)
def test_faults_are_named(document, fault):
    with pytest.raises(InputError) as caught:
        Multipliers.from_json(document, LIMITED)
    assert fault in str(caught.value)


def test_every_fault_is_named_at_once():
    with pytest.raises(InputError) as caught:
        dual_bound(LIMITED, Multipliers(power=-1.0, deadline={"x": 1.0}, memory={"b": 1.0}))
    assert len(caught.value.faults) == 3


def test_a_link_that_nothing_loads_has_no_price():
    problem = pair(capacity="utilisation", objective=PERIOD)
    free = with_device(problem, "b", transfers="free_port")
    for given in (
        Multipliers(link_busy={("a", "b"): 1.0}),
        Multipliers(link_period={("a", "b"): 1}),
    ):
        dual_bound(problem, given)
        with pytest.raises(InputError, match="nothing loads this link"):
            dual_bound(free, given)
