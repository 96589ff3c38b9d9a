"""The program and the evaluator agree on every plan that is fixed in the program."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from witnesses import disagreement, golden_problems, witness, witnesses

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.formulation import EQUATIONS, build
from edgeplan.model.formulation.sets import Sets
from edgeplan.model.network import LayerCosts, Network, SpanCosts
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem

WITNESSES = witnesses()


@pytest.mark.parametrize("name", WITNESSES)
def test_fixed_plans_cost_what_the_evaluator_says(name):
    assert disagreement(WITNESSES[name]) is None


def test_the_witnesses_keep_and_break_every_limit():
    for name, item in WITNESSES.items():
        feasible = sum(priced.feasible for priced in item.evaluations)
        assert feasible > 0, name
        if "," in name and not name.endswith(("total", "no return", "throughput")):
            assert feasible < len(item.plans), name


def test_the_witnesses_have_rows_of_every_equation():
    used: dict[str, int] = dict.fromkeys(EQUATIONS, 0)
    for item in WITNESSES.values():
        sets = Sets(item.problem)
        for name, equation in EQUATIONS.items():
            used[name] += len(list(equation.indices(sets)))
    assert min(used.values()) > 0, used


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    spans=st.booleans(),
    splittable=st.booleans(),
    tight=st.booleans(),
)
def test_random_problems(seed, kind, spans, splittable, tight):
    problem = random_problem(
        seed,
        kind=kind,
        layers=3 + seed % 3,
        devices=3,
        streams=1 + seed % 3,
        spans=spans,
        splittable=splittable,
        tight=tight,
    )
    assert disagreement(witness("random", problem, seed=seed, count=20)) is None


def scaled(problem: Problem, seconds: float, bytes_: int) -> Problem:
    """Return the problem with every time and every size multiplied."""

    def costs(item: LayerCosts | SpanCosts) -> LayerCosts | SpanCosts:
        if isinstance(item, LayerCosts):
            return dataclasses.replace(
                item,
                seconds=tuple(t * seconds for t in item.seconds),
                boundary_seconds=item.boundary_seconds * seconds,
            )
        table = tuple(tuple(t * seconds for t in row) for row in item.seconds)
        return dataclasses.replace(item, seconds=table)

    networks = tuple(
        Network(
            network.name,
            tuple(
                dataclasses.replace(
                    layer,
                    weight_bytes=layer.weight_bytes * bytes_,
                    activation_bytes=layer.activation_bytes * bytes_,
                )
                for layer in network.layers
            ),
            tuple(dataclasses.replace(t, bytes=t.bytes * bytes_) for t in network.tensors),
            {device: costs(item) for device, item in network.costs.items()},
        )
        for network in problem.networks
    )
    devices = tuple(
        dataclasses.replace(device, memory_bytes=device.memory_bytes * bytes_)
        for device in problem.devices
    )
    streams = tuple(
        dataclasses.replace(s, deadline_seconds=s.deadline_seconds * seconds)
        for s in problem.streams
    )
    return dataclasses.replace(problem, networks=networks, devices=devices, streams=streams)


@pytest.mark.parametrize("seconds", [1e-4, 1.0, 1e5])
@pytest.mark.parametrize("bytes_", [1, 10_000])
@pytest.mark.parametrize("name", ["diamond", "spans, deadline", "diamond, memory of hub", "split"])
def test_extreme_magnitudes(name, seconds, bytes_):
    problem = scaled(WITNESSES[name].problem, seconds, bytes_)
    assert disagreement(witness(name, problem)) is None


def test_streams_of_very_different_magnitudes():
    item = WITNESSES["three streams"].problem
    micro = scaled(item, 1e-5, 1).networks[0]
    both = dataclasses.replace(
        item,
        networks=(dataclasses.replace(micro, name="micro"), *item.networks),
        streams=(
            dataclasses.replace(item.streams[0], network="micro", rate_per_second=1e4),
            *item.streams[1:],
        ),
    )
    assert disagreement(witness("mixed", both)) is None


def test_a_plan_is_read_back_from_its_values():
    for name in ("split", "three streams", "split in three"):
        problem = WITNESSES[name].problem
        formulation = build(problem)
        for plan in WITNESSES[name].plans[:10]:
            values = {id(variable): value for variable, value in formulation.values(plan)}
            read = formulation.extract(lambda variable, v=values: v.get(id(variable)))
            read.check(problem)
            for stream, routes in plan.routes.items():
                expected = {route.devices: route.fraction for route in routes}
                found = {route.devices: route.fraction for route in read.routes[stream]}
                assert found == pytest.approx(expected)


def test_noise_is_cleaned_and_equal_routes_are_merged():
    problem = golden_problems()["dealt"]
    formulation = build(problem)
    same = ("cam", "sky", "sky")
    routes = {"s": (Route(devices=same, fraction=0.6), Route(devices=same, fraction=0.4))}
    values = {id(variable): value for variable, value in formulation.values(Plan(routes=routes))}
    plan = formulation.extract(lambda variable: values.get(id(variable)))
    assert plan.routes["s"] == (Route(devices=same, fraction=1.0),)
    values[id(formulation.model.fraction["s", 1])] = 1 - 1e-10
    values[id(formulation.model.fraction["s", 2])] = 1e-10
    values[id(formulation.model.choose["s", 2, 0, "cam"])] = 0.0
    values[id(formulation.model.choose["s", 2, 0, "sky"])] = 1.0
    plan = formulation.extract(lambda variable: values.get(id(variable)))
    assert plan.routes["s"] == (Route(devices=same, fraction=1.0),)


def test_a_layer_without_a_device_is_an_obstacle():
    problem = golden_problems()["layered"]
    devices = tuple(dataclasses.replace(item, memory_bytes=100) for item in problem.devices)
    formulation = build(dataclasses.replace(problem, devices=devices))
    assert formulation.obstacles == tuple(
        f"stream 's': no device may run layer 'l{k}'" for k in range(3)
    )


def test_only_what_matters_has_a_variable():
    roomy = dataclasses.replace(WITNESSES["plain chain"].problem, capacity="none").with_objective(
        "latency"
    )
    model = build(roomy).model
    for name in ("fraction", "choose", "run", "flow", "ship", "keep", "peak", "on"):
        assert len(model.component(name)) == 0, name
    for name in ("energy", "cost"):
        assert len(model.component(name)) == 0, name
    assert len(model.place) == 9
