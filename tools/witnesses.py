"""Small problems that between them use every equation, and the oracle that judges the program.

The oracle is the evaluator: for each problem a number of plans is fixed in the program, one
after the other. What remains is a linear program, whose optimum must be the evaluator's price
of the plan, and which must be infeasible exactly where the evaluator finds a violation.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.formulation import EQUATIONS, TERMS, Equation, build
from edgeplan.model.formulation.arrays import compile_arrays
from edgeplan.model.formulation.text import equation_text, term_text, variables_text
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Objective, Problem, Stream
from edgeplan.solvers.highs import FEASIBILITY_TOLERANCE, as_program, quiet_highs

TOLERANCE = 1e-6
DEVICES = ("cam", "hub", "sky")
Limit = Callable[[Problem, list[Evaluation]], Problem]
PLANS = 36
"""Plans fixed per problem: all of them where there are no more."""


@dataclass(frozen=True)
class Witness:
    """A problem with the plans that are fixed in its program, and their evaluations."""

    name: str
    problem: Problem
    plans: tuple[Plan, ...]
    evaluations: tuple[Evaluation, ...]


def disagreement(
    witness: Witness,
    equations: Mapping[str, Equation] = EQUATIONS,
    terms: Mapping[str, Equation] = TERMS,
) -> str | None:
    """Return where the program and the evaluator differ on a witness, or None."""
    import highspy
    import numpy as np

    formulation = build(witness.problem, equations=equations, terms=terms)
    if formulation.obstacles:
        feasible = sum(item.feasible for item in witness.evaluations)
        return f"{feasible} plans are feasible, but {formulation.obstacles}" if feasible else None
    arrays = compile_arrays(formulation.model)
    lp = as_program(arrays)
    lp.integrality_ = []
    highs = quiet_highs()
    highs.setOptionValue("primal_feasibility_tolerance", FEASIBILITY_TOLERANCE)
    highs.setOptionValue("dual_feasibility_tolerance", FEASIBILITY_TOLERANCE)
    highs.setOptionValue("small_matrix_value", 1e-12)
    highs.setOptionValue("threads", 1)
    highs.passModel(lp)
    position = {id(column): index for index, column in enumerate(arrays.columns)}
    optimal = highspy.HighsModelStatus.kOptimal
    for number, (plan, priced) in enumerate(zip(witness.plans, witness.evaluations, strict=True)):
        fixed = formulation.values(plan)
        if not fixed:
            if priced.feasible:
                return f"plan {number} has no place in the program, but is feasible"
            continue
        columns = np.array([position[id(variable)] for variable, _ in fixed], dtype=np.int32)
        values = np.array([value for _, value in fixed], dtype=np.float64)
        highs.changeColsBounds(len(columns), columns, values, values)
        highs.run()
        solved = highs.getModelStatus() == optimal
        if solved != priced.feasible:
            said = [item.message for item in priced.violations]
            return f"plan {number}: the program says {solved}, the evaluator {said}"
        price = highs.getInfo().objective_function_value * formulation.objective_unit
        if solved and abs(price - priced.objective) > TOLERANCE * abs(priced.objective) + 1e-15:
            return f"plan {number}: the program says {price}, the evaluator {priced.objective}"
    return None


# -- plans ------------------------------------------------------------------


def witness(name: str, problem: Problem, *, seed: int = 0, count: int = PLANS) -> Witness:
    """Return a problem with plans: all of them where there are few, else a random choice."""
    choice = random.Random(seed)
    routes = [
        [Route(devices=devices) for devices in itertools.product(*problem.allowed(stream))]
        for stream in problem.streams
    ]
    total = math.prod(map(len, routes))
    if total == 0:
        return Witness(name, problem, (), ())
    if total <= count and not any(stream.route_limit > 1 for stream in problem.streams):
        combinations = list(itertools.product(*routes))
    else:
        combinations = [tuple(map(choice.choice, routes)) for _ in range(count)]
    plans = tuple(
        Plan(
            routes={
                stream.name: _dealt(stream, route, routes[index], choice)
                for index, (stream, route) in enumerate(
                    zip(problem.streams, combination, strict=True)
                )
            }
        )
        for combination in combinations
    )
    return Witness(name, problem, plans, tuple(evaluate(problem, plan) for plan in plans))


def _dealt(
    stream: Stream, route: Route, routes: list[Route], choice: random.Random
) -> tuple[Route, ...]:
    """Return one route, or for most plans of a stream that may be split two or more."""
    count = choice.randint(1, stream.route_limit)
    if count == 1:
        return (route,)
    others = [choice.choice(routes) for _ in range(count - 1)]
    cuts = sorted(choice.random() for _ in range(count - 1))
    shares = [b - a for a, b in itertools.pairwise([0.0, *cuts, 1.0])]
    merged: dict[tuple[str, ...], float] = {}
    for item, share in zip([route, *others], shares, strict=True):
        merged[item.devices] = merged.get(item.devices, 0.0) + share
    return tuple(Route(devices=devices, fraction=share) for devices, share in merged.items())


def tightened(problem: Problem, limit: Limit) -> Problem:
    """Put limits around the prices of random plans, so that some keep them and some do not."""
    found = witness("", problem, count=60).evaluations
    runs = [item for item in found if math.isfinite(item.latency_seconds)]
    return limit(problem, runs)


def middle(values: list[float]) -> float:
    """Return a value that about half of the plans exceed, between two of theirs."""
    ordered = sorted(set(values))
    if len(ordered) < 2:
        return ordered[0] * 1.01
    index = ordered.index(statistics.median_low(ordered))
    return (ordered[index] + ordered[index + 1]) / 2


# -- problems ------------------------------------------------------------------


def topology(**changes: object) -> tuple[tuple[Device, ...], tuple[Link, ...]]:
    """Return a camera, a hub and a cloud, with every kind of price."""
    devices = (
        Device(name="cam", active_watts=4.0, idle_watts=1.5, dollars_per_joule=3e-6),
        Device(
            name="hub",
            tier="edge",
            active_watts=30.0,
            idle_watts=7.0,
            charge_idle=True,
            dollars_per_hour=0.03,
            dollars_per_joule=2e-6,
            replicas=2,
        ),
        Device(
            name="sky",
            tier="cloud",
            active_watts=90.0,
            idle_watts=20.0,
            dollars_per_hour=0.02,
            dollars_per_second=3e-4,
            dollars_per_request=2e-6,
        ),
    )
    speeds = {("cam", "hub"): 2e6, ("hub", "sky"): 8e6, ("cam", "sky"): 1e6}
    links = tuple(
        Link(
            source=a,
            target=b,
            bytes_per_second=speed,
            latency_seconds=latency,
            send_joules_per_byte=2e-7,
            receive_joules_per_byte=1.1e-7,
            dollars_per_byte=7e-11,
        )
        for (x, y), speed in speeds.items()
        for a, b, latency in ((x, y, 0.003 * speed / 1e6), (y, x, 0.002 * speed / 1e6))
    )
    return devices, links


def diamond(name: str = "diamond", scale: float = 1.0) -> Network:
    """Return a network with skips, shared tensors, two inputs and two outputs; layer times."""
    tensors = (
        Tensor(name="image", bytes=60_000, producer=None, consumers=(0, 2)),
        Tensor(name="mask", bytes=9_000, producer=None, consumers=(1, 3)),
        Tensor(name="t0", bytes=30_000, producer=0, consumers=(1, 2, 3)),
        Tensor(name="t1", bytes=17_000, producer=1, consumers=(3,), output=True),
        Tensor(name="t2", bytes=11_000, producer=2, consumers=(3,)),
        Tensor(name="t2b", bytes=5_000, producer=2, consumers=(), output=True),
        Tensor(name="t3", bytes=2_000, producer=3, consumers=(), output=True),
    )
    sizes = ((3_000_000, 400_000), (900_000, 800_000), (0, 300_000), (2_500_000, 100_000))
    layers = tuple(
        Layer(name=f"l{k}", weight_bytes=weights, activation_bytes=activation)
        for k, (weights, activation) in enumerate(sizes)
    )
    return Network(
        name,
        layers,
        tensors,
        {
            "cam": LayerCosts(
                seconds=tuple(scale * t for t in (0.05, 0.04, 0.02, 0.03)), boundary_seconds=0.002
            ),
            "hub": LayerCosts(
                seconds=tuple(scale * t for t in (0.02, 0.013, 0.008, 0.012)),
                boundary_seconds=0.003,
                joules=(0.4, 0.3, 0.15, 0.25),
            ),
            "sky": LayerCosts(
                seconds=tuple(scale * t for t in (0.004, 0.003, 0.001, 0.002)),
                boundary_seconds=0.005,
                dollars=(1e-6, 2e-6, 1.5e-6, 1e-6),
                memory_bytes=(3_500_000, 1_000_000, 10_000, 2_600_000),
            ),
        },
    )


def chain(name: str = "chain", layers: int = 3, *, spans: bool = True) -> Network:
    """Return a chain with span times, or layer times; the whole is faster than its parts."""
    tensors = [Tensor(name="x", bytes=50_000, producer=None, consumers=(0,))]
    for k in range(layers):
        last = k == layers - 1
        tensors.append(
            Tensor(
                name=f"t{k}",
                bytes=24_000 // (k + 1),
                producer=k,
                consumers=() if last else (k + 1,),
                output=last,
            )
        )
    base = {"cam": 0.03, "hub": 0.011, "sky": 0.003}
    work = [1.0, 0.6, 1.3, 0.8][:layers]

    def table(first: float, fixed: float) -> tuple[tuple[float, ...], ...]:
        return tuple(
            tuple(
                fixed + first * sum(work[i:j]) * 0.93 ** (j - i - 1)
                for j in range(i + 1, layers + 1)
            )
            for i in range(layers)
        )

    costs: dict[str, SpanCosts] = {}
    for index, (device, first) in enumerate(base.items()):
        seconds = table(first, 0.001 * (index + 1))
        if device == "sky" and layers > 2:  # the sky cannot run the first two layers alone
            seconds = ((seconds[0][0], math.inf, *seconds[0][2:]), *seconds[1:])
        costs[device] = SpanCosts(
            seconds=seconds,
            joules=table(0.5, 0.01) if device == "hub" else None,
            dollars=table(2e-6, 1e-7) if device == "sky" else None,
        )
    parts = tuple(
        Layer(
            name=f"l{k}", weight_bytes=1_500_000 + 400_000 * k, activation_bytes=300_000 // (k + 1)
        )
        for k in range(layers)
    )
    if spans:
        return Network(name, parts, tuple(tensors), costs)
    single = {
        device: LayerCosts(seconds=tuple(row[0] for row in item.seconds))
        for device, item in costs.items()
    }
    return Network(name, parts, tuple(tensors), single)


BOTH = Objective(
    latency=2.0,
    energy=0.1,
    cost=900.0,
    latency_denominator_seconds=0.5,
    energy_denominator_joules=3.0,
    cost_denominator_dollars=0.7,
)


@functools.cache
def witnesses() -> dict[str, Witness]:
    """Return every witness by name."""
    devices, links = topology()
    base = Stream(name="s", network="diamond", origin="cam", rate_per_second=4.0)
    far = dataclasses.replace(base, homes={"mask": "hub"}, waits=True)
    one = Problem(
        networks=(diamond(), chain()),
        devices=devices,
        links=links,
        streams=(far,),
        objective=BOTH,
        capacity="none",
    )
    put = dataclasses.replace
    spans = put(base, network="chain", waits=True)
    pair = put(
        one,
        streams=(
            put(base, name="a", homes={"mask": "sky", "image": "hub"}),
            put(spans, name="b", rate_per_second=7.0),
            put(base, name="c", origin="hub", rate_per_second=1.0, returns=False),
        ),
    )
    away = (
        LayerRule(devices=("cam",)),
        LayerRule(devices=("hub",), layers=("l0", "l1")),
    )
    late = (
        LayerRule(devices=("cam",), layers=("l0",)),
        LayerRule(devices=("sky",), layers=("l1",)),
        LayerRule(devices=("hub",), layers=("l2",)),
    )
    split = put(far, splittable=True, max_routes=2)
    three = put(spans, splittable=True, max_routes=3)
    problems: dict[str, Problem] = {
        "diamond": one,
        "diamond for energy": one.with_objective("energy"),
        "diamond for cost": one.with_objective("cost"),
        "diamond for latency": one.with_objective("latency"),
        "diamond, total": put(one, objective=put(BOTH, aggregate="total")),
        "diamond, no return": put(one, streams=(put(far, returns=False),)),
        "echo": put(
            one,
            networks=(_echo(),),
            streams=(put(base, network="echo", homes={"mask": "hub", "tag": "sky"}),),
        ),
        "spans": put(one, streams=(spans,)),
        "spans for energy": put(one, streams=(spans,)).with_objective("energy"),
        "plain chain": put(
            one, networks=(chain("chain", 3, spans=False),), streams=(put(base, network="chain"),)
        ),
        # Devices that may run some layers only: the origin none, the hub not the first two.
        "ruled": put(one, streams=(put(far, bans=away),)),
        "ruled for energy": put(one, streams=(put(far, bans=away),)).with_objective("energy"),
        "ruled spans": put(one, streams=(put(spans, bans=late),)),
        "missing links": put(one, links=tuple(link for link in links if link.name != "sky->hub")),
        "three streams": pair,
        "three streams, total": put(pair, objective=put(BOTH, aggregate="total")),
        "split": put(one, streams=(split,)),
        "split in three": put(one, streams=(three, put(base, name="t", rate_per_second=2.0))),
        "echo, throughput": _pipelined(
            put(
                one,
                networks=(_echo(),),
                streams=(put(base, network="echo", homes={"mask": "hub", "tag": "sky"}),),
            ),
            origin="occupy",
        ),
        "free port, throughput": _pipelined(one, origin="free_port"),
        "missing links, throughput": _pipelined(
            put(one, links=tuple(link for link in links if link.name != "sky->hub"))
        ),
        "chain of four, contiguous": put(
            one,
            networks=(chain("chain", 4, spans=False),),
            streams=(put(base, network="chain"),),
            contiguous=True,
        ),
        "diamond, together": put(one, streams=(put(far, together=(("l1", "l3"), ("l0",))),)),
        "split, together": put(one, streams=(put(split, together=(("l2", "l3"), ("l0", "l3"))),)),
        "spans, together": put(one, streams=(put(spans, together=(("l0", "l2"),)),)),
    }
    for name in ("diamond", "spans", "three streams", "split", "split in three"):
        problem = problems[name]
        for kind, limit in LIMITS.items():
            problems[f"{name}, {kind}"] = tightened(problem, limit)
    return {name: witness(name, problem) for name, problem in problems.items()}


Transfers = Literal["links", "occupy", "free_port"]


def _pipelined(problem: Problem, origin: Transfers = "links") -> Problem:
    """Return a problem for throughput alone, with transfers that occupy the hub and the sky.

    Two tensors of the diamond state their transfer times.
    """
    stated = {"t0": 0.021, "image": 0.034}
    networks = tuple(
        dataclasses.replace(
            network,
            tensors=tuple(
                dataclasses.replace(t, transfer_seconds=stated.get(t.name)) for t in network.tensors
            ),
        )
        if network.name.startswith("diamond")
        else network
        for network in problem.networks
    )
    modes: dict[str, Transfers] = {"cam": origin, "hub": "occupy", "sky": "occupy"}
    return dataclasses.replace(
        problem,
        networks=networks,
        devices=tuple(dataclasses.replace(d, transfers=modes[d.name]) for d in problem.devices),
        objective=Objective(
            latency=0.0, throughput=2.0, throughput_denominator_seconds=0.3, aggregate="total"
        ),
    )


def _echo() -> Network:
    """Return a network two of whose inputs are outputs as well, one read at the origin or not."""
    return Network(
        "echo",
        (Layer(name="l0"), Layer(name="l1")),
        (
            Tensor(name="image", bytes=40_000, producer=None, consumers=(0,), output=True),
            Tensor(name="mask", bytes=8_000, producer=None, consumers=(0, 1), output=True),
            Tensor(name="tag", bytes=3_000, producer=None, consumers=(), output=True),
            Tensor(name="t0", bytes=9_000, producer=0, consumers=(1,), output=True),
            Tensor(name="t1", bytes=1_000, producer=1, consumers=(), output=True),
        ),
        {
            "cam": LayerCosts(seconds=(0.03, 0.02)),
            "hub": LayerCosts(seconds=(0.01, 0.009)),
            "sky": LayerCosts(seconds=(0.002, 0.003)),
        },
    )


def _deadlines(problem: Problem, found: list[Evaluation]) -> Problem:
    limits = {
        stream.name: middle([item.streams[index].latency_seconds for item in found])
        for index, stream in enumerate(problem.streams)
    }
    streams = tuple(
        dataclasses.replace(stream, deadline_seconds=limits[stream.name])
        for stream in problem.streams
    )
    # Without a price of latency, only the deadline needs it.
    return dataclasses.replace(problem, streams=streams, objective=Objective(latency=0.0, cost=1.0))


def _one_device(key: str, put: Callable[[Device, float], Device], device: str) -> Limit:
    """Limit a device, without a price on what is limited."""

    def limit(problem: Problem, found: list[Evaluation]) -> Problem:
        index = [item.name for item in problem.devices].index(device)
        values = [getattr(item.devices[index], key) for item in found]
        bound = middle([value for value in values if value > 0])
        devices = list(problem.devices)
        devices[index] = put(devices[index], bound)
        return dataclasses.replace(problem, devices=tuple(devices), objective=Objective())

    return limit


def _memory(device: Device, limit: float) -> Device:
    return dataclasses.replace(device, memory_bytes=limit)


def _power(device: Device, limit: float) -> Device:
    return dataclasses.replace(device, power_budget_watts=limit)


def _scaled(problem: Problem, loads: list[float]) -> Problem:
    """Scale the rates so that a cap of 0.5 lies in the middle of the loads."""
    factor = 0.5 / middle([load for load in loads if load > 0])
    streams = tuple(
        dataclasses.replace(stream, rate_per_second=stream.rate_per_second * factor)
        for stream in problem.streams
    )
    return dataclasses.replace(problem, streams=streams, capacity="utilisation")


def _load(device: str) -> Limit:
    def limit(problem: Problem, found: list[Evaluation]) -> Problem:
        index = [item.name for item in problem.devices].index(device)
        devices = tuple(
            dataclasses.replace(item, utilisation_cap=0.5)
            if item.name == device
            else dataclasses.replace(item, replicas=10_000)
            for item in problem.devices
        )
        links = tuple(dataclasses.replace(link, contention="none") for link in problem.links)
        scaled = _scaled(problem, [item.devices[index].utilisation for item in found])
        return dataclasses.replace(scaled, devices=devices, links=links)

    return limit


def _link_load(name: str) -> Limit:
    def limit(problem: Problem, found: list[Evaluation]) -> Problem:
        index = [link.name for link in problem.links].index(name)
        links = tuple(
            dataclasses.replace(link, utilisation_cap=0.5)
            if link.name == name
            else dataclasses.replace(link, contention="none")
            for link in problem.links
        )
        devices = tuple(dataclasses.replace(item, replicas=10_000) for item in problem.devices)
        scaled = _scaled(problem, [item.links[index].utilisation for item in found])
        return dataclasses.replace(scaled, devices=devices, links=links)

    return limit


def _watts(problem: Problem, found: list[Evaluation]) -> Problem:
    total = middle([math.fsum(load.watts for load in item.devices) for item in found])
    return dataclasses.replace(
        problem, budgets=Budgets(power_watts=total), objective=Objective(latency=1.0)
    )


def _money(problem: Problem, found: list[Evaluation]) -> Problem:
    rate, aggregate = problem.total_rate, problem.objective.aggregate
    assert aggregate == "mean"
    hourly = middle([item.cost_dollars * rate * 3600 for item in found])
    return dataclasses.replace(
        problem, budgets=Budgets(dollars_per_hour=hourly), objective=Objective(latency=1.0)
    )


def _throughput(problem: Problem, found: list[Evaluation]) -> Problem:
    return _pipelined(problem)


def _rate(problem: Problem, found: list[Evaluation]) -> Problem:
    """Ask for a rate that about half of the plans can carry, with a price on latency only."""
    occupied = dataclasses.replace(_pipelined(problem), objective=Objective(latency=1.0))
    values = [item.period_seconds for item in witness("", occupied, count=60).evaluations]
    slowest = middle([value for value in values if math.isfinite(value)])
    return dataclasses.replace(occupied, budgets=Budgets(min_rate_per_second=1 / slowest))


def _contiguous(problem: Problem, found: list[Evaluation]) -> Problem:
    return dataclasses.replace(problem, contiguous=True)


def _occupied_load(problem: Problem, found: list[Evaluation]) -> Problem:
    """Limit the load of the sky, which transfers occupy."""
    return _load("sky")(_pipelined(problem), found)


LIMITS: dict[str, Limit] = {
    "throughput": _throughput,
    "rate": _rate,
    "contiguous": _contiguous,
    "load of occupied sky": _occupied_load,
    "deadline": _deadlines,
    **{f"memory of {d}": _one_device("memory_bytes", _memory, d) for d in DEVICES},
    **{f"power of {d}": _one_device("watts", _power, d) for d in DEVICES},
    **{f"load of {d}": _load(d) for d in DEVICES},
    **{f"load of {name}": _link_load(name) for name in ("cam->hub", "hub->sky", "sky->cam")},
    "power budget": _watts,
    "money budget": _money,
}


# -- golden problems ------------------------------------------------------------------


def golden_problems() -> dict[str, Problem]:
    """Return four tiny problems that between them have rows of every equation."""
    devices = (
        Device(
            name="cam",
            memory_bytes=2 * 2**20,
            active_watts=4.0,
            idle_watts=1.0,
            dollars_per_joule=1e-6,
            power_budget_watts=6.0,
        ),
        Device(
            name="sky",
            memory_bytes=3 * 2**20,
            active_watts=80.0,
            idle_watts=16.0,
            charge_idle=True,
            dollars_per_second=2e-4,
            dollars_per_hour=0.36,
            dollars_per_request=1e-6,
            dollars_per_joule=2e-6,
            replicas=2,
            utilisation_cap=0.5,
        ),
    )
    links = (
        Link(
            source="cam",
            target="sky",
            bytes_per_second=1e6,
            latency_seconds=0.01,
            send_joules_per_byte=2e-7,
            receive_joules_per_byte=1e-7,
            dollars_per_byte=5e-11,
            utilisation_cap=0.8,
        ),
        Link(source="sky", target="cam", bytes_per_second=2e6, latency_seconds=0.02),
    )
    layered = Network(
        "net",
        tuple(Layer(name=f"l{k}", weight_bytes=2**20, activation_bytes=2**19) for k in range(3)),
        (
            Tensor(name="x", bytes=40_000, producer=None, consumers=(0, 2)),
            Tensor(name="t0", bytes=20_000, producer=0, consumers=(1, 2), output=True),
            Tensor(name="t1", bytes=10_000, producer=1, consumers=(2,)),
            Tensor(name="t2", bytes=1_000, producer=2, output=True),
        ),
        {
            "cam": LayerCosts(seconds=(0.04, 0.03, 0.02), boundary_seconds=0.002),
            "sky": LayerCosts(
                seconds=(0.004, 0.003, 0.002),
                boundary_seconds=0.001,
                joules=(0.3, 0.2, 0.1),
                dollars=(1e-6, 2e-6, 3e-6),
            ),
        },
    )
    spanned = Network(
        "net",
        layered.layers[:2],
        (
            Tensor(name="x", bytes=40_000, producer=None, consumers=(0,)),
            Tensor(name="t0", bytes=20_000, producer=0, consumers=(1,)),
            Tensor(name="t1", bytes=1_000, producer=1, output=True),
        ),
        {
            "cam": SpanCosts(seconds=((0.04, 0.06), (0.03,))),
            "sky": SpanCosts(seconds=((0.004, 0.006), (0.003,)), joules=((0.3, 0.5), (0.2,))),
        },
    )
    stream = Stream(
        name="s",
        network="net",
        origin="cam",
        rate_per_second=4.0,
        deadline_seconds=0.09,
        homes={"x": "sky"},
        waits=True,
    )
    common = Problem(
        networks=(layered,),
        devices=devices,
        links=links,
        streams=(stream,),
        objective=BOTH,
        budgets=Budgets(power_watts=60.0, dollars_per_hour=1.0),
    )
    dealt = dataclasses.replace(stream, splittable=True)
    home = dataclasses.replace(stream, homes={})
    plain = {
        name: dataclasses.replace(c, joules=None, dollars=None) for name, c in layered.costs.items()
    }
    ring = ("cam", "hub", "sky")
    piped = Problem(
        networks=(
            dataclasses.replace(
                layered,
                tensors=(
                    *layered.tensors[:2],
                    dataclasses.replace(layered.tensors[2], transfer_seconds=0.007),
                    layered.tensors[3],
                ),
                costs={**plain, "hub": LayerCosts(seconds=(0.02, 0.01, 0.01))},
            ),
        ),
        devices=(
            Device(name="cam", transfers="occupy", utilisation_cap=0.9),
            Device(name="hub", transfers="free_port", replicas=2),
            Device(name="sky", transfers="occupy"),
        ),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=1e6 * (2 + k))
            for k, (a, b) in enumerate(itertools.permutations(ring, 2))
        ),
        streams=(
            Stream(
                name="s", network="net", origin="cam", rate_per_second=3.0, together=(("l0", "l1"),)
            ),
            Stream(
                name="t", network="net", origin="hub", splittable=True, together=(("l1", "l2"),)
            ),
        ),
        objective=Objective(latency=0.0, throughput=1.0, throughput_denominator_seconds=0.5),
        budgets=Budgets(min_rate_per_second=20.0),
        contiguous=True,
    )
    return {
        "piped": piped,
        "layered": common,
        "dealt": dataclasses.replace(common, streams=(dealt,)),
        "spanned": dataclasses.replace(common, networks=(spanned,), streams=(home,)),
    }


def golden_texts(
    equations: Mapping[str, Equation] = EQUATIONS, terms: Mapping[str, Equation] = TERMS
) -> dict[str, str]:
    """Return the golden text of every equation and objective term, and of the variables."""
    texts: dict[str, list[str]] = {name: [] for name in (*equations, *terms, "variables")}
    for title, problem in golden_problems().items():
        formulation = build(problem, equations=equations, terms=terms)
        for name in texts:
            if name in equations:
                body = equation_text(formulation, name)
            elif name in terms:
                body = term_text(formulation, name, terms[name])
            else:
                body = variables_text(formulation)
            if body:
                texts[name].append(f"\\ {title}\n{body}")
    return {name: "\n".join(parts) for name, parts in texts.items()}
