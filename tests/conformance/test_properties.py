"""Properties that hold for every problem (DESIGN §9), searched for exceptions by hypothesis."""

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.problem import Budgets, Objective, Problem
from edgeplan.solvers import registry
from edgeplan.solvers.result import Stop

EXACT = [name for name in registry.available() if name != "greedy"]
FEW = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def drawn(draw, **fixed):
    options = {
        "kind": draw(st.sampled_from(KINDS)),
        "layers": draw(st.integers(2, 4)),
        "devices": draw(st.integers(2, 3)),
        "streams": draw(st.integers(1, 3)),
        "tight": draw(st.booleans()),
    }
    return random_problem(draw(st.integers(0, 10**6)), **{**options, **fixed})


def optimum(problem, solver="enumerate"):
    """The optimal objective, `inf` where there is no plan."""
    result = registry.get(solver).solve(problem)
    assert result.stop is Stop.COMPLETED, result.message
    return math.inf if result.infeasible else result.claimed_objective


def close(one, other):
    return one == other or math.isclose(one, other, rel_tol=1e-6)


@FEW
@given(problem=drawn())
@pytest.mark.parametrize("solver", [name for name in EXACT if name != "enumerate"])
def test_every_solver_agrees_with_the_enumerator(solver, problem):
    assert close(optimum(problem, solver), optimum(problem))


@FEW
@given(problem=drawn(), factor=st.sampled_from([1.5, 10.0, math.inf]))
@pytest.mark.parametrize("solver", EXACT)
def test_more_bandwidth_never_raises_the_optimum(solver, problem, factor):
    faster = dataclasses.replace(
        problem,
        links=tuple(
            dataclasses.replace(link, bytes_per_second=link.bytes_per_second * factor)
            for link in problem.links
        ),
    )
    before = optimum(problem, solver)
    assert optimum(faster, solver) <= before * (1 + 1e-6)


@FEW
@given(problem=drawn(tight=True), factor=st.sampled_from([1.1, 2.0, math.inf]))
@pytest.mark.parametrize("solver", EXACT)
def test_looser_limits_never_raise_the_optimum(solver, problem, factor):
    looser = dataclasses.replace(
        problem,
        devices=tuple(
            dataclasses.replace(
                device,
                memory_bytes=device.memory_bytes * factor,
                power_budget_watts=device.power_budget_watts * factor,
            )
            for device in problem.devices
        ),
        streams=tuple(
            dataclasses.replace(stream, deadline_seconds=stream.deadline_seconds * factor)
            for stream in problem.streams
        ),
        budgets=Budgets(
            power_watts=problem.budgets.power_watts * factor,
            dollars_per_hour=problem.budgets.dollars_per_hour * factor,
        ),
    )
    assert optimum(looser, solver) <= optimum(problem, solver) * (1 + 1e-6)


@FEW
@given(problem=drawn(), data=st.data())
@pytest.mark.parametrize("solver", EXACT)
def test_the_order_of_devices_links_networks_and_streams_means_nothing(solver, problem, data):
    shuffled = dataclasses.replace(
        problem,
        **{
            key: tuple(data.draw(st.permutations(getattr(problem, key)), label=key))
            for key in ("devices", "links", "networks", "streams")
        },
    )
    assert close(optimum(problem, solver), optimum(shuffled, solver))


def scaled(problem: Problem, *, second: float, byte: float, joule: float, dollar: float) -> Problem:
    """The same problem in other units: a second becomes `second` of the new unit, and so on."""
    watt = joule / second

    def costs(given):
        def times(table, factor):
            if table is None:
                return None
            return tuple(
                tuple(value * factor for value in row) if isinstance(row, tuple) else row * factor
                for row in table
            )

        boundary = {}
        if isinstance(given, LayerCosts):
            boundary["boundary_seconds"] = given.boundary_seconds * second
        return dataclasses.replace(
            given,
            seconds=times(given.seconds, second),
            joules=times(given.joules, joule),
            dollars=times(given.dollars, dollar),
            memory_bytes=None
            if given.memory_bytes is None
            else tuple(round(value * byte) for value in given.memory_bytes),
            **boundary,
        )

    def each(item, **factors):
        return dataclasses.replace(
            item, **{key: getattr(item, key) * factor for key, factor in factors.items()}
        )

    objective = problem.objective
    return dataclasses.replace(
        problem,
        networks=tuple(
            Network(
                network.name,
                tuple(
                    dataclasses.replace(
                        layer,
                        weight_bytes=round(layer.weight_bytes * byte),
                        activation_bytes=round(layer.activation_bytes * byte),
                    )
                    for layer in network.layers
                ),
                tuple(
                    dataclasses.replace(tensor, bytes=round(tensor.bytes * byte))
                    for tensor in network.tensors
                ),
                {name: costs(given) for name, given in network.costs.items()},
            )
            for network in problem.networks
        ),
        devices=tuple(
            each(
                device,
                memory_bytes=byte,
                active_watts=watt,
                idle_watts=watt,
                power_budget_watts=watt,
                dollars_per_second=dollar / second,
                dollars_per_hour=dollar / second,
                dollars_per_request=dollar,
                dollars_per_joule=dollar / joule,
            )
            for device in problem.devices
        ),
        links=tuple(
            each(
                link,
                bytes_per_second=byte / second,
                latency_seconds=second,
                send_joules_per_byte=joule / byte,
                receive_joules_per_byte=joule / byte,
                dollars_per_byte=dollar / byte,
            )
            for link in problem.links
        ),
        streams=tuple(
            each(stream, rate_per_second=1 / second, deadline_seconds=second)
            for stream in problem.streams
        ),
        objective=dataclasses.replace(
            objective,
            latency_denominator_seconds=objective.latency_denominator_seconds * second,
            energy_denominator_joules=objective.energy_denominator_joules * joule,
            cost_denominator_dollars=objective.cost_denominator_dollars * dollar,
        ),
        budgets=each(problem.budgets, power_watts=watt, dollars_per_hour=dollar / second),
    )


@FEW
@given(
    problem=drawn(),
    second=st.sampled_from([0.5, 1.0, 1000.0]),
    byte=st.sampled_from([1, 8, 1024]),
    joule=st.sampled_from([0.25, 1.0, 3.6]),
    dollar=st.sampled_from([1.0, 100.0]),
)
@pytest.mark.parametrize("solver", EXACT)
def test_units_mean_nothing(solver, problem, second, byte, joule, dollar):
    other = scaled(problem, second=second, byte=byte, joule=joule, dollar=dollar)
    assert close(optimum(problem, solver), optimum(other, solver))


@FEW
@given(problem=drawn(), factor=st.sampled_from([1e-3, 7.0, 1e3]))
@pytest.mark.parametrize("solver", EXACT)
def test_scaling_all_prices_scales_the_optimum(solver, problem, factor):
    objective = problem.objective
    dearer = dataclasses.replace(
        problem,
        objective=dataclasses.replace(
            objective,
            latency=objective.latency * factor,
            energy=objective.energy * factor,
            cost=objective.cost * factor,
        ),
    )
    assert close(optimum(problem, solver) * factor, optimum(dearer, solver))


@FEW
@given(problem=drawn())
def test_twins_may_be_told_apart_by_name_only(problem):
    """A copy of a device under another name, linked likewise, never raises the optimum."""
    first = problem.devices[-1]
    twin = dataclasses.replace(first, name="twin")
    links = []
    for link in problem.links:
        if first.name in (link.source, link.target):
            ends = {
                key: "twin" if getattr(link, key) == first.name else getattr(link, key)
                for key in ("source", "target")
            }
            links.append(dataclasses.replace(link, **ends))
    networks = tuple(
        dataclasses.replace(
            network,
            costs={
                **network.costs,
                **({"twin": network.costs[first.name]} if first.name in network.costs else {}),
            },
        )
        for network in problem.networks
    )
    doubled = dataclasses.replace(
        problem,
        networks=networks,
        devices=(*problem.devices, twin),
        links=(*problem.links, *links),
    )
    assert optimum(doubled) <= optimum(problem) * (1 + 1e-9)


@FEW
@given(problem=drawn(), weight=st.floats(0.1, 10.0))
def test_the_weighted_optimum_lies_between_the_single_ones(problem, weight):
    """Latency + w × energy is at least the sum of the least of each, and at most any plan's."""
    both = dataclasses.replace(problem, objective=Objective(latency=1.0, energy=weight))
    best = optimum(both)
    assume(math.isfinite(best))
    quick = registry.get("enumerate").solve(both.with_objective("latency"))
    thrifty = optimum(both.with_objective("energy"))
    assert best >= (quick.claimed_objective + weight * thrifty) * (1 - 1e-9)
    assert best <= evaluate(both, quick.plan).objective * (1 + 1e-9)
