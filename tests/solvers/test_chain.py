"""The chain solver against the enumerator, on random chains and on ones worked out by hand."""

import dataclasses
import math
import random
import threading
import time

import numpy as np
import pytest

from edgeplan.instances.generators import random_plan, random_problem
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, whole
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Problem,
    Stream,
)
from edgeplan.model.verify import verify
from edgeplan.solvers.chain import Chain, labels, solver
from edgeplan.solvers.chain.dominance import undominated
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.highs import Highs
from edgeplan.solvers.result import Stop

TOLERANCE = 1e-6


# -- random problems -----------------------------------------------------------------------------


def enriched(problem, seed):
    """Add inputs that several layers read, some at home elsewhere, and results of inner layers.

    Some tensors state their transfer time, some devices have a free port, and more devices cost
    something while they are on.
    """
    draw = random.Random(seed)
    (stream,) = problem.streams
    network = problem.network[stream.network]
    layers = len(network.layers)
    tensors = list(network.tensors)
    homes = {}
    zones = stream.privacy.zones if stream.privacy else None
    holders = [d.name for d in problem.devices if zones is None or d.zone in zones]
    for number in range(draw.randint(1, 3)):
        name = f"mask{number}"
        readers = tuple(sorted(draw.sample(range(layers), draw.randint(1, layers))))
        volume = draw.choice((0, draw.randint(1_000, 300_000)))
        tensors.append(Tensor(name=name, bytes=volume, producer=None, consumers=readers))
        if draw.random() < 0.6:
            homes[name] = draw.choice(holders)
    if zones is None:
        tensors += [
            Tensor(name=f"side{k}", bytes=draw.randint(0, 20_000), producer=k, output=True)
            for k in range(layers)
            if draw.random() < 0.4
        ]
    tensors = [
        dataclasses.replace(
            tensor,
            output=tensor.output
            or (tensor.producer is not None and zones is None and draw.random() < 0.2),
            transfer_seconds=draw.uniform(0, 0.02) if draw.random() < 0.1 else None,
        )
        for tensor in tensors
    ]
    devices = tuple(
        dataclasses.replace(
            device,
            dollars_per_hour=device.dollars_per_hour or draw.choice((0.0, draw.uniform(0, 2))),
            charge_idle=device.charge_idle or draw.random() < 0.3,
            transfers=draw.choice(("links", "links", "free_port")),
        )
        for device in problem.devices
    )
    return dataclasses.replace(
        problem,
        networks=(dataclasses.replace(network, tensors=tuple(tensors)),),
        devices=devices,
        streams=(dataclasses.replace(stream, homes=homes),),
    )


def squeezed(problem, seed):
    """Put limits of all kinds around what a cheap one of a few random plans needs."""
    draw = random.Random(seed)
    plans = [random_plan(problem, 1000 * seed + k, stages=1 + k % 4) for k in range(16)]
    prices = [evaluate(problem, plan) for plan in plans]
    prices = [p for p in prices if p.feasible]
    if not prices:
        return problem
    price = draw.choice(sorted(prices, key=lambda p: p.objective)[:4])
    (stream,) = problem.streams
    low, high = draw.choice(((1.0, 1.1), (1.0, 1.3), (0.8, 1.1)))

    def limit(value, chance, least=0.0):
        return value * draw.uniform(low, high) if value > least and draw.random() < chance else None

    def cap(load):
        return min(0.95, limit(load, 0.4) or 0.95) if load < 0.9 else 0.95

    devices = tuple(
        dataclasses.replace(
            device,
            memory_bytes=limit(load.memory_bytes or 3e6, 0.6) or math.inf,
            power_budget_watts=limit(load.watts, 0.3) or math.inf,
            utilisation_cap=cap(load.utilisation),
        )
        for device, load in zip(problem.devices, price.devices, strict=True)
    )
    links = tuple(
        dataclasses.replace(link, utilisation_cap=cap(load.utilisation))
        for link, load in zip(problem.links, price.links, strict=True)
    )
    (found,) = price.streams
    watts = math.fsum(load.watts for load in price.devices)
    hourly = 3600 * stream.rate_per_second * found.cost_dollars
    return dataclasses.replace(
        problem,
        devices=devices,
        links=links,
        capacity="utilisation",
        streams=(
            dataclasses.replace(
                stream, deadline_seconds=limit(found.latency_seconds, 0.5) or math.inf
            ),
        ),
        budgets=Budgets(
            power_watts=limit(watts, 0.3) or math.inf,
            dollars_per_hour=limit(hourly, 0.3) or math.inf,
        ),
    )


def drawn(seed, *, rich, layers=None, devices=None):
    """A random problem: as generated, or with all that couples the stages of a chain."""
    problem = random_problem(
        seed,
        kind="chain",
        layers=layers or 2 + seed % 5,
        devices=devices or 2 + seed // 5 % 3,
        streams=1,
        spans=seed % 2 == 1,
        tight=not rich and seed % 3 > 0,
    )
    return squeezed(enriched(problem, seed), seed) if rich else problem


def compare(problem, chain, label):
    """Hold a solver against the enumerator; return both results."""
    expected = Enumerator().solve(problem)
    assert expected.stop is Stop.COMPLETED, (label, expected.message)
    result = chain.solve(problem)
    assert result.stop is Stop.COMPLETED, label
    assert result.infeasible == expected.infeasible, label
    assert result.certificate.basis == "enumerated"
    if expected.infeasible:
        assert (result.plan, result.bound, result.claimed_objective) == (None, None, None), label
        return result, expected
    best = pytest.approx(expected.claimed_objective, rel=TOLERANCE, abs=1e-15)
    assert result.claimed_objective == best, label
    assert result.bound == best, label
    price = evaluate(problem, result.plan)
    assert price.feasible, label
    assert price.objective == result.claimed_objective, label
    return result, expected


@pytest.mark.parametrize("rich", [False, True])
@pytest.mark.parametrize("part", range(8))
def test_equal_to_the_enumerator(part, rich):
    results = [
        compare(drawn(seed, rich=rich), Chain(), seed) for seed in range(25 * part, 25 * part + 25)
    ]
    assert any(result.plan is not None for result, _ in results)


@pytest.mark.parametrize("part", range(4))
def test_labels_alone_are_exact(part, monkeypatch):
    """Without narrow runs and with one step of multipliers nearly all is left to the labels."""
    monkeypatch.setattr(solver, "_WIDTHS", ())
    made = taken = 0
    for seed in range(500 + 25 * part, 525 + 25 * part):
        result, _ = compare(
            drawn(seed, rich=True, layers=6, devices=3), Chain(multiplier_steps=1), seed
        )
        made += labels_made(result)
        taken += "no limit" not in result.message
    # Not a test of much, unless limits bind and labels decide.
    assert made > 50
    assert taken >= 5


def coupled(seed):
    """Small whole numbers and cheap links: many routes cost nearly the same, and limits decide.

    Devices come on at a price, take few layers with very unequal activations, and have one
    to three replicas whose load is limited.
    """
    draw = random.Random(seed)
    layers = draw.randint(4, 6)
    names = "obc"
    weights = [draw.choice((0, 10, 20, 30)) for _ in range(layers)]
    peaks = [draw.choice((0, 5, 40)) for _ in range(layers)]
    network = Network(
        "n",
        tuple(
            Layer(name=f"l{k}", weight_bytes=weights[k], activation_bytes=peaks[k])
            for k in range(layers)
        ),
        (
            Tensor(
                name="mask", bytes=draw.choice((0, 3)), producer=None, consumers=(0, layers - 1)
            ),
            *(
                Tensor(
                    name=f"t{k}",
                    bytes=draw.choice((0, 1)),
                    producer=k,
                    consumers=(k + 1,) if k + 1 < layers else (),
                    output=k + 1 == layers or draw.random() < 0.3,
                )
                for k in range(layers)
            ),
        ),
        timed(
            draw.choice(("layers", "spans")),
            **{n: tuple(draw.choice((1.0, 2.0, 3.0, 5.0)) for _ in range(layers)) for n in names},
        ),
    )
    return Problem(
        networks=(network,),
        devices=tuple(
            Device(
                name=name,
                memory_bytes=max(1, sum(weights) * draw.choice((0.4, 0.6, 1.0)) + max(peaks)),
                dollars_per_hour=3600 * draw.choice((0.0, 0.5, 1.0, 4.0)),
                replicas=draw.randint(1, 3),
                utilisation_cap=draw.choice((0.3, 0.5, 0.9)),
            )
            for name in names
        ),
        links=tuple(
            Link(
                source=a,
                target=b,
                bytes_per_second=draw.choice((1.0, 4.0, math.inf)),
                latency_seconds=draw.choice((0.0, 0.25, 1.0)),
            )
            for a in names
            for b in names
            if a != b
        ),
        streams=(
            Stream(
                name="s",
                network="n",
                origin="o",
                rate_per_second=draw.choice((0.1, 0.125)),
                deadline_seconds=draw.choice((math.inf, 2.0 * layers, 2.5 * layers)),
            ),
        ),
        objective=Objective(latency=draw.choice((0.5, 1.0)), cost=draw.choice((0.5, 1.0))),
    )


@pytest.mark.parametrize("part", range(4))
def test_coupled_chains_by_labels_alone(part, monkeypatch):
    monkeypatch.setattr(solver, "_WIDTHS", ())
    made = 0
    for seed in range(60 * part, 60 * part + 60):
        result, _ = compare(coupled(seed), Chain(multiplier_steps=1), seed)
        made += labels_made(result)
    assert made > 1000


@pytest.mark.parametrize("width", [1, 2, 5])
def test_narrow_runs_bound_what_they_leave_out(width, monkeypatch):
    monkeypatch.setattr(solver, "_WIDTHS", (width,))
    for seed in range(700, 740):
        compare(drawn(seed, rich=True), Chain(multiplier_steps=2), seed)


@pytest.mark.long
@pytest.mark.parametrize("size", [(4, 3, 500), (5, 4, 150), (7, 3, 60)])
def test_many_equal_the_enumerator(size):
    layers, devices, count = size
    infeasible = made = taken = 0
    for seed in range(count):
        problem = drawn(10_000 + seed, rich=True, layers=layers, devices=devices)
        result, _ = compare(problem, Chain(), seed)
        infeasible += result.infeasible
        made += labels_made(result)
        taken += "no limit" not in result.message
    print(  # noqa: T201  # the summary that `make test-long` shows
        f"\nchain = enumerate: {count} problems of {layers} layers on {devices} devices, "
        f"{infeasible} infeasible, {taken} with limits taken up, {made:,} labels, 0 disagreements"
    )


@pytest.mark.long
@pytest.mark.parametrize("spans", [False, True])
def test_sixty_layers_on_eight_devices_equal_highs(spans):
    problem = random_problem(
        3, kind="chain", layers=60, devices=8, streams=1, spans=spans, tight=False
    )
    problem = squeezed(problem, 5)
    result = Chain().solve(problem)
    assert result.stop is Stop.COMPLETED
    began = time.perf_counter()
    other = Highs(time_limit=600).solve(problem, start=result.plan)
    seconds = time.perf_counter() - began
    print(  # noqa: T201  # the summary that `make test-long` shows
        f"\n60 layers, 8 devices, spans {spans}: chain {result.claimed_objective:.9g} in "
        f"{result.seconds:.1f} s ({result.message}); HiGHS {other.claimed_objective} to "
        f"{other.bound} in {seconds:.1f} s"
    )
    assert other.stop is Stop.COMPLETED
    assert result.claimed_objective == pytest.approx(other.claimed_objective, rel=TOLERANCE)
    assert other.bound <= result.claimed_objective * (1 + TOLERANCE)


# -- worked out by hand --------------------------------------------------------------------------

MASK = Tensor(name="mask", bytes=64, producer=None, consumers=(0, 2))


def three(*, tensors=(), device=None, costs=None, objective=None, links=None, **stream):
    """Three layers of 1 s on o, 1/4 s on b, 1/8 s on c; 64 B/s and 1/8 s on every link.

    Tensors of 0 B join the layers; weights are 100 B each, activations 8 B.
    """
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}", weight_bytes=100, activation_bytes=8) for i in range(3)),
        (
            Tensor(name="t0", bytes=0, producer=0, consumers=(1,)),
            Tensor(name="t1", bytes=0, producer=1, consumers=(2,)),
            *tensors,
        ),
        costs
        or {
            name: LayerCosts(seconds=(seconds,) * 3)
            for name, seconds in (("o", 1.0), ("b", 0.25), ("c", 0.125))
        },
    )
    ends = ["ob", "bo", "bc", "cb", "oc", "co"] if links is None else links
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name, **(device or {}).get(name, {})) for name in "obc"),
        links=tuple(
            Link(source=e[0], target=e[1], bytes_per_second=64.0, latency_seconds=0.125)
            for e in ends
        ),
        streams=(
            Stream(
                name="s",
                network="n",
                origin="o",
                **{"rate_per_second": 0.125, "returns": False} | stream,
            ),
        ),
        objective=objective or Objective(),
    )


def labels_made(result):
    return int(result.message.split(" labels")[0].replace(",", ""))


def test_without_limits_and_charges_one_dynamic_program_is_all():
    """All on c: 1/8 + 3/8."""
    result = Chain().solve(three())
    assert result.plan == whole(three(), {"s": "c"})
    assert result.claimed_objective == 0.5
    assert labels_made(result) == 0
    assert result.certificate.states == 9
    assert "no limit taken up" in result.message


def timed(form, **seconds):
    """Costs in either form, from a time of each layer on each device."""
    if form == "layers":
        return {name: LayerCosts(seconds=times) for name, times in seconds.items()}
    return {
        name: SpanCosts(
            seconds=tuple(
                tuple(math.fsum(times[i : k + 1]) for k in range(i, len(times)))
                for i in range(len(times))
            )
        )
        for name, times in seconds.items()
    }


@pytest.mark.parametrize("form", ["layers", "spans"])
def test_memory_of_one_stage(form):
    """Of c's 208 B two layers take all: c, c, b (or b, c, c) is 1/8 + 2/8 + 1/8 + 1/4."""
    costs = timed(form, o=(1.0,) * 3, b=(0.25,) * 3, c=(0.125,) * 3)
    problem = three(costs=costs, device={"c": {"memory_bytes": 208}})
    assert Chain().solve(problem).claimed_objective == 0.75


@pytest.mark.parametrize("form", ["layers", "spans"])
def test_memory_counts_over_all_visits(form):
    """The middle layer must leave c, and b costs 1 $ per second.

    c, b, c is 3/8 + 1/4 + 2/8 and 1/4 $; c, b, b is 2/8 + 1/8 + 2/4 and 1/2 $.
    """
    costs = timed(form, o=(9.0,) * 3, b=(0.25,) * 3, c=(0.125, math.inf, 0.125))
    for memory, expected, devices in ((208, 1.125, "cbc"), (207, 1.375, "cbb")):
        problem = three(
            costs=costs,
            device={"b": {"dollars_per_second": 1.0}, "c": {"memory_bytes": memory}},
            objective=Objective(latency=1.0, cost=1.0),
        )
        result = Chain().solve(problem)
        assert result.claimed_objective == expected
        assert result.plan.routes["s"][0].devices == tuple(devices)
    assert "1 limit taken up" in result.message


@pytest.mark.parametrize("form", ["layers", "spans"])
def test_a_small_peak_does_not_stand_for_a_large_one_to_come(form, monkeypatch):
    """c must run l3, whose peak is 40 B, in 60 B; b must run l2; neither can keep l0 and l1.

    l0 (50 B) on c is faster, and with no peak yet takes 50 B where l1 (20 B, peak 40 B) takes
    60 B; but then l3 makes it 90 B. So l1 is on c.
    """
    monkeypatch.setattr(solver, "_WIDTHS", ())
    never = math.inf
    weights, peaks = (50, 20, 0, 0, 0), (0, 40, 0, 40, 0)
    base = three()
    network = Network(
        "n",
        tuple(
            Layer(name=f"l{k}", weight_bytes=weights[k], activation_bytes=peaks[k])
            for k in range(5)
        ),
        (),
        timed(form, b=(1.0, 0.25, 0.25, never, never), c=(0.25, 1.0, never, 0.25, 0.25)),
    )
    problem = dataclasses.replace(
        base,
        networks=(network,),
        devices=tuple(dataclasses.replace(d, memory_bytes=60.0) for d in base.devices),
    )
    result = Chain(multiplier_steps=1).solve(problem)
    assert result.plan.routes["s"][0].devices == ("b", "c", "b", "c", "c")


def test_an_input_read_twice_is_sent_once():
    """The mask takes 1 s to c. All on c: 1/8 + 1 + 3/8; sent twice it would be 2.5."""
    assert Chain().solve(three(tensors=(MASK,))).claimed_objective == 1.5
    # The middle layer must be on b: c, b, c still gets the mask once.
    costs = dict(three().networks[0].costs)
    costs["c"] = LayerCosts(seconds=(0.125, math.inf, 0.125))
    costs["o"] = LayerCosts(seconds=(9.0,) * 3)
    costs["b"] = LayerCosts(seconds=(9.0, 0.25, 9.0))
    problem = three(tensors=(MASK,), costs=costs)
    result = Chain().solve(problem)
    assert result.plan.routes["s"][0].devices == ("c", "b", "c")
    assert result.claimed_objective == 3 * 0.125 + 0.25 + 0.25 + 1.0
    # From b, which is not the origin, it pays the latency of its own link as well, once.
    at_b = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], homes={"mask": "b"}),)
    )
    assert Chain().solve(at_b).claimed_objective == 3 * 0.125 + 0.25 + 0.25 + 1.0 + 0.125


def test_results_of_a_device_pay_one_latency():
    """All on c with two results of 16 B: 1/8 + 3/8, then 1/8 + 2 x 1/4."""
    results = (
        Tensor(name="early", bytes=16, producer=0, output=True),
        Tensor(name="late", bytes=16, producer=2, output=True),
    )
    problem = three(tensors=results, returns=True)
    result = Chain().solve(problem)
    assert result.claimed_objective == 0.5 + 0.125 + 0.5
    # Read by the origin at once, the first is there already.
    costs = {
        "o": LayerCosts(seconds=(9.0, 0.5, 9.0)),
        "b": LayerCosts(seconds=(9.0,) * 3),
        "c": LayerCosts(seconds=(0.125, 9.0, 0.125)),
    }
    tensors = (Tensor(name="late", bytes=16, producer=2, output=True),)
    problem = three(tensors=tensors, costs=costs, returns=True)
    read = dataclasses.replace(problem.networks[0].tensors[0], bytes=16, output=True)
    network = dataclasses.replace(
        problem.networks[0], tensors=(read, *problem.networks[0].tensors[1:])
    )
    problem = dataclasses.replace(problem, networks=(network,))
    result = Chain().solve(problem)
    assert result.plan.routes["s"][0].devices == ("c", "o", "c")
    # To c, to o with 16 B, to c, and back with the last result.
    assert result.claimed_objective == 0.125 + 0.125 + 0.375 + 0.5 + 0.125 + 0.125 + 0.375


def test_being_on_is_charged_once():
    """c costs 1/8 $ per request while on: 3/4 in all on c; b is free: 7/8."""
    for hourly, expected in ((0.125 * 0.125 * 3600, 0.625), (0.125 * 3600, 0.875)):
        problem = three(
            device={"c": {"dollars_per_hour": hourly}}, objective=Objective(latency=1.0, cost=1.0)
        )
        assert Chain().solve(problem).claimed_objective == pytest.approx(expected, rel=1e-12)


def test_a_deadline_exactly_met_holds():
    """Energy is least at o (free); within 3.0 s it is, within less it is not."""
    watts = {"b": {"active_watts": 1.0}, "c": {"active_watts": 8.0}}
    energy = Objective(latency=0.0, energy=1.0)
    free = Chain().solve(three(device=watts, objective=energy, deadline_seconds=3.0))
    assert free.claimed_objective == 0.0
    # o, o, b: 2 + 1/8 + 1/4 s and 1/4 J; o, o, c: 2.25 s and 1 J.
    less = Chain().solve(three(device=watts, objective=energy, deadline_seconds=2.99))
    assert less.claimed_objective == 0.25
    assert "1 limit taken up" in less.message


def test_missing_links_leave_no_way():
    assert Chain().solve(three(links=[])).plan == whole(three(), {"s": "o"})
    costs = {"b": LayerCosts(seconds=(1.0,) * 3)}
    nowhere = Chain().solve(three(links=["bo"], costs=costs))
    assert nowhere.infeasible
    assert nowhere.stop is Stop.COMPLETED
    assert nowhere.certificate.proved
    # Without the way back the result stays on c, so that it is not asked for c.
    result = (Tensor(name="out", bytes=0, producer=2, output=True),)
    one_way = three(links=["ob", "oc", "bo"], tensors=result, returns=True)
    assert Chain().solve(one_way).plan == whole(one_way, {"s": "b"})


# -- what it refuses -----------------------------------------------------------------------------


def refusals(problem):
    reasons = Chain().unsupported(problem)
    assert all("use the solver 'highs'" in reason for reason in reasons)
    return reasons


def test_only_chains_are_supported():
    far = Tensor(name="far", bytes=1, producer=0, consumers=(1, 2))
    (reason,) = refusals(three(tensors=(far,)))
    assert "not a chain of cuts: tensor 'far' of layer 'l0' is read by 'l2'" in reason
    many = tuple(Tensor(name=f"x{i}", bytes=1, producer=0, consumers=(2,)) for i in range(9))
    assert "and 6 more" in refusals(three(tensors=many))[-1]
    result = Chain().solve(three(tensors=(far,)))
    assert result.stop is Stop.FAILED
    assert result.certificate is None
    assert "not a chain of cuts" in result.message


def test_other_reasons():
    base = three()
    (stream,) = base.streams

    def changed(**changes):
        return dataclasses.replace(base, **changes)

    second = dataclasses.replace(stream, name="t")
    assert "there are 2 streams" in refusals(changed(streams=(stream, second)))[0]
    split = dataclasses.replace(stream, splittable=True)
    assert "dealt over 2 routes" in refusals(changed(streams=(split,)))[0]
    assert not refusals(changed(streams=(dataclasses.replace(split, max_routes=1),)))
    groups = dataclasses.replace(stream, together=(("l0", "l2"),))
    assert "must share a device" in refusals(changed(streams=(groups,)))[0]
    loaded = Objective(throughput=1.0)
    assert "throughput" in refusals(changed(objective=loaded))[0]
    rate = Budgets(min_rate_per_second=1.0)
    assert "minimum rate" in refusals(changed(budgets=rate))[0]
    assert "contiguous" in refusals(changed(contiguous=True))[0]
    busy = three(device={"b": {"transfers": "occupy"}})
    assert "occupy device 'b'" in refusals(busy)[0]
    assert not refusals(dataclasses.replace(busy, capacity="none"))


def test_an_input_that_is_a_result_must_be_at_the_origin():
    both = Tensor(name="both", bytes=8, producer=None, consumers=(0,), output=True)
    (reason,) = refusals(three(tensors=(both,), homes={"both": "b"}, returns=True))
    assert "graph input 'both' is a graph output too and returns from 'b'" in reason
    assert not refusals(three(tensors=(both,), returns=True))
    assert not refusals(three(tensors=(both,), homes={"both": "b"}))


# -- ends ----------------------------------------------------------------------------------------


def hard():
    """Sixteen layers on four devices, six limits: ten thousand labels and more."""
    problem = random_problem(
        4, kind="chain", layers=16, devices=4, streams=1, spans=True, tight=False
    )
    return squeezed(enriched(problem, 4), 4)


@pytest.fixture
def labels_only(monkeypatch):
    monkeypatch.setattr(solver, "_WIDTHS", (2,))
    return Chain(multiplier_steps=1)


def test_the_label_limit_keeps_plan_and_bound(labels_only):
    problem = hard()
    done = labels_only.solve(problem)
    assert done.stop is Stop.COMPLETED
    total = labels_made(done)
    assert total > 1000
    bounds = []
    for limit in range(0, total, total // 8):
        result = dataclasses.replace(labels_only, label_limit=limit).solve(problem)
        assert result.stop is Stop.WORK_LIMIT
        assert not result.infeasible
        assert labels_made(result) <= limit
        assert result.bound <= done.claimed_objective * (1 + 1e-12)
        bounds.append(result.bound)
        if result.plan is not None:
            assert result.claimed_objective >= done.claimed_objective
            assert evaluate(problem, result.plan).objective == result.claimed_objective
        checked = verify(
            problem,
            result.plan,
            bound=result.bound,
            certificate=result.certificate,
            objective=result.claimed_objective,
        )
        assert checked.holds
    assert bounds == sorted(bounds)
    assert bounds[-1] > bounds[0]
    full = dataclasses.replace(labels_only, label_limit=total).solve(problem)
    assert full.stop is Stop.COMPLETED


def test_no_time_leaves_nothing_but_the_start():
    problem = three()
    result = Chain(time_limit=0.0).solve(problem)
    assert result.stop is Stop.TIME_LIMIT
    assert (result.plan, result.bound, result.certificate) == (None, None, None)
    assert not result.infeasible
    start = whole(problem, {"s": "b"})
    held = Chain(time_limit=0.0).solve(problem, start=start)
    assert held.plan == start
    assert held.claimed_objective == 0.875
    assert held.bound is None


def test_stop_keeps_the_incumbent_and_a_valid_bound(labels_only):
    problem = hard()
    best = labels_only.solve(problem).claimed_objective
    stop = threading.Event()

    def watch(progress):
        if progress.incumbent is not None and progress.bound is not None:
            stop.set()

    result = labels_only.solve(problem, on_progress=watch, stop=stop)
    assert result.stop is Stop.INTERRUPTED
    assert evaluate(problem, result.plan).objective == result.claimed_objective
    assert result.bound <= best * (1 + 1e-12)
    assert best <= result.claimed_objective


def test_ctrl_c_keeps_the_incumbent(labels_only):
    def press(progress):
        if progress.incumbent is not None:
            raise KeyboardInterrupt

    problem = hard()
    result = labels_only.solve(problem, on_progress=press)
    assert result.stop is Stop.INTERRUPTED
    assert evaluate(problem, result.plan).objective == result.claimed_objective
    assert result.bound <= result.claimed_objective


def test_progress_only_improves(labels_only):
    seen = []
    labels_only.solve(hard(), on_progress=seen.append)
    bounds = [p.bound for p in seen if p.bound is not None]
    prices = [p.incumbent for p in seen if p.incumbent is not None]
    assert len(set(bounds)) > 2
    assert prices
    assert bounds == sorted(bounds)
    assert prices == sorted(prices, reverse=True)


def test_a_good_start_is_kept_and_a_bad_one_ignored():
    problem = three(device={"c": {"memory_bytes": 208}})
    best = Chain().solve(problem)
    assert Chain().solve(problem, start=best.plan).plan == best.plan
    too_big = whole(problem, {"s": "c"})
    assert Chain().solve(problem, start=too_big).claimed_objective == best.claimed_objective
    with pytest.raises(InputError):
        Chain().solve(problem, start=Plan(routes={}))


def test_a_difference_to_the_evaluator_is_an_error(monkeypatch):
    true = labels.LabelSearch.run
    monkeypatch.setattr(
        labels.LabelSearch,
        "run",
        lambda self: [(price * 1.001, stages) for price, stages in true(self)],
    )
    monkeypatch.setattr(solver, "_WIDTHS", ())
    with pytest.raises(SolverError, match="the search adds a plan up to"):
        Chain(multiplier_steps=1).solve(hard())


def test_a_route_that_breaks_a_rule_is_an_error(monkeypatch):
    """The graph must leave out what no limit speaks of, such as a ban."""
    true = Problem.allowed
    banned = three(bans=())
    monkeypatch.setattr(
        Problem, "allowed", lambda self, stream: tuple(("o", "b", "c") for _ in range(3))
    )
    assert Chain().solve(banned).claimed_objective == 0.5
    banned = three(bans=(LayerRule(devices=("c",)),))
    with pytest.raises(SolverError, match="breaks a rule of its graph: ban"):
        Chain().solve(banned)
    monkeypatch.setattr(Problem, "allowed", true)
    assert Chain().solve(banned).claimed_objective == 0.875


def test_dominance_needs_all_quantities_and_unpaid_charges():
    use = np.array([[1.0, 0.5], [2.0, 0.6], [3.0, 0.1], [1.0, 0.5]])
    unpaid = np.zeros((4, 0), dtype=bool)
    none = np.zeros((0, 2))
    # 1 is worse than 0 in both; 2 is dearer with less; 3 equals 0, of which one stays.
    kept = undominated(use, use, unpaid, none, lambda: None)
    assert sorted(kept) in ([0, 2], [2, 3])
    # 1 has paid what 0 has not: 0 may yet pay 1.5, and is then no better.
    paid = np.array([[False], [True], [False], [False]])
    kept = undominated(use, use, paid, np.array([[1.5, 0.0]]), lambda: None)
    assert 1 in kept
    kept = undominated(use, use, paid, np.array([[0.5, 0.0]]), lambda: None)
    assert 1 not in kept


def test_it_is_a_frozen_dataclass():
    assert Chain().availability().available
    with pytest.raises(dataclasses.FrozenInstanceError):
        Chain().label_limit = 3
