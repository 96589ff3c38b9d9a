"""Reductions keep what they say: all plans of small problems, before and after."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream
from edgeplan.solvers.reductions import (
    ban_hopeless_places,
    join_dominated_cuts,
    merge_identical_streams,
    order_identical_devices,
    reduce,
)

SEEDS = range(14)


def feasible(problem: Problem) -> dict[tuple[tuple[str, ...], ...], tuple]:
    """Return (latency, energy, cost, price) of every feasible plan of whole streams, by routes."""
    choices = [
        [
            route
            for route in itertools.product(*problem.allowed(stream))
            if all(len({route[k] for k in group}) == 1 for group in problem.groups(stream))
        ]
        for stream in problem.streams
    ]
    found = {}
    for routes in itertools.product(*choices):
        plan = as_plan(problem, routes)
        priced = evaluate(problem, plan)
        if priced.feasible:
            values = (priced.latency_seconds, priced.energy_joules, priced.cost_dollars)
            found[routes] = (*values, priced.objective)
    return found


def as_plan(problem: Problem, routes) -> Plan:
    names = [stream.name for stream in problem.streams]
    return Plan(
        routes={n: (Route(devices=r),) for n, r in zip(names, routes, strict=True)},
    )


def near(one, two) -> bool:
    return all(
        math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-15) for a, b in zip(one, two, strict=True)
    )


def covered(images, others) -> bool:
    """Whether each image has another that is no worse anywhere."""
    return all(
        any(
            all(b <= a + 1e-9 * abs(a) for a, b in zip(image, other, strict=True))
            for other in others
        )
        for image in images
    )


def same_images(one, two) -> bool:
    return all(any(near(a, b) for b in two) for a in one) and all(
        any(near(a, b) for a in one) for b in two
    )


def plain(problem: Problem, **changes) -> Problem:
    """Return a problem without limits on load."""
    return dataclasses.replace(problem, capacity="none", **changes)


def with_twin(problem: Problem) -> Problem:
    """Return the problem with its last device twice, linked both ways where it is linked."""
    device = problem.devices[-1]
    twin = dataclasses.replace(device, name="twin")
    links = [*problem.links]
    for link in problem.links:
        if link.source == device.name:
            links.append(dataclasses.replace(link, source="twin"))
        if link.target == device.name:
            links.append(dataclasses.replace(link, target="twin"))
    between = {"bytes_per_second": 1e7, "latency_seconds": 1e-3}
    links.append(Link(source=device.name, target="twin", **between))
    links.append(Link(source="twin", target=device.name, **between))
    streams = tuple(
        dataclasses.replace(
            s,
            pins=(),
            bans=(),
            homes={},
            origin=problem.devices[0].name,
            privacy=s.privacy if s.origin == problem.devices[0].name else None,
        )
        for s in problem.streams
    )
    networks = tuple(
        dataclasses.replace(n, costs={**n.costs, "twin": n.costs[device.name]})
        if device.name in n.costs
        else n
        for n in problem.networks
    )
    return dataclasses.replace(
        problem,
        devices=(*problem.devices, twin),
        links=tuple(links),
        streams=streams,
        networks=networks,
    )


@pytest.mark.parametrize("kind", ["chain", "dag", "multi-input"])
def test_no_feasible_plan_is_banned(kind):
    banned = 0
    for seed in SEEDS:
        problem = random_problem(seed, kind=kind, layers=3, devices=4, streams=1)
        # Few links: half of the pairs of devices cannot be reached.
        links = tuple(k for i, k in enumerate(problem.links) if (i * 7 + seed) % 3)
        problem = dataclasses.replace(problem, links=links)
        reduced = ban_hopeless_places(problem)
        plans = feasible(problem)
        assert feasible(reduced) == plans
        banned += reduced is not problem
    assert banned > len(SEEDS) / 4


def test_what_shares_a_device_must_fit_together():
    problem = pair_of_devices()
    streams = tuple(dataclasses.replace(s, together=(("l0", "l1"),)) for s in problem.streams)
    small = dataclasses.replace(problem.devices[1], memory_bytes=150)
    problem = dataclasses.replace(
        problem, streams=streams, devices=(problem.devices[0], small), capacity="utilisation"
    )
    reduced = ban_hopeless_places(problem)
    assert reduced.allowed(reduced.streams[0])[:2] == (("cam",), ("cam",))
    assert feasible(reduced) == feasible(problem)


@pytest.mark.parametrize("tight", [False, True])
def test_identical_devices_keep_all_images(tight):
    ordered = 0
    for seed in SEEDS:
        problem = with_twin(
            random_problem(seed, layers=2 + seed % 2, devices=2, streams=2, tight=tight)
        )
        reduced = order_identical_devices(problem)
        before, after = feasible(problem), feasible(reduced)
        assert after.keys() <= before.keys()
        assert same_images(before.values(), after.values())
        ordered += len(after) < len(before)
    assert ordered >= 3


def test_devices_that_differ_are_not_identical():
    problem = with_twin(random_problem(3, layers=2, devices=2, streams=1, tight=False))
    assert order_identical_devices(problem) is not problem
    *others, twin = problem.devices
    dearer = dataclasses.replace(twin, active_watts=twin.active_watts * 1.5)
    slower = tuple(
        dataclasses.replace(k, latency_seconds=0.5) if "twin" in (k.source, k.target) else k
        for k in problem.links
    )
    homes = tuple(dataclasses.replace(s, origin="twin") for s in problem.streams)
    for changes in (
        {"devices": (*others, dearer)},
        {"links": slower},
        {"streams": homes},
    ):
        changed = dataclasses.replace(problem, **changes)
        assert order_identical_devices(changed) is changed


def pair_of_devices() -> Problem:
    """Return a chain whose second layer is quick and makes more than it reads."""
    layers = tuple(Layer(name=f"l{k}", weight_bytes=100, activation_bytes=10) for k in range(4))
    sizes = (1000, 500, 4000, 300, 50)
    tensors = tuple(
        Tensor(
            name=f"t{k}",
            bytes=size,
            producer=k - 1 if k else None,
            consumers=(k,) if k < 4 else (),
            output=k == 4,
        )
        for k, size in enumerate(sizes)
    )
    costs = {
        "cam": LayerCosts(seconds=(0.02, 0.001, 0.03, 0.01), boundary_seconds=0.001),
        "hub": LayerCosts(seconds=(0.01, 0.001, 0.01, 0.02), boundary_seconds=0.002),
    }
    return Problem(
        networks=(Network("n", layers, tensors, costs),),
        devices=(
            Device(name="cam", active_watts=5, idle_watts=1),
            Device(name="hub", active_watts=5, dollars_per_second=1e-5),
        ),
        links=tuple(
            Link(
                source=a,
                target=b,
                bytes_per_second=1e5,
                latency_seconds=0.001,
                send_joules_per_byte=1e-5,
                dollars_per_byte=1e-9,
            )
            for a, b in (("cam", "hub"), ("hub", "cam"))
        ),
        streams=(Stream(name="s", network="n", origin="cam", waits=True),),
        objective=Objective(latency=1, energy=0.1, cost=1000),
        capacity="none",
    )


def test_a_dominated_cut_is_joined():
    problem = pair_of_devices()
    dearer = dataclasses.replace(problem.devices[1], dollars_per_second=0.0)
    problem = dataclasses.replace(problem, devices=(problem.devices[0], dearer))
    reduced = join_dominated_cuts(problem)
    assert ("l1", "l2") in reduced.streams[0].together
    before, after = feasible(problem), feasible(reduced)
    assert len(after) < len(before)
    assert covered(before.values(), after.values())
    # In another order of the sizes the earlier cut is no better.
    n = problem.networks[0]
    tensors = tuple(dataclasses.replace(t, bytes=10_000 - t.bytes) for t in n.tensors)
    other = dataclasses.replace(problem, networks=(dataclasses.replace(n, tensors=tensors),))
    assert ("l1", "l2") not in join_dominated_cuts(other).streams[0].together


def alike(problem: Problem, seed: int) -> Problem:
    """Return the problem with devices of like speed and tensors of very different sizes."""
    networks = tuple(
        dataclasses.replace(
            n,
            tensors=tuple(
                dataclasses.replace(t, bytes=t.bytes * 20 ** ((i * 5 + seed) % 4), output=False)
                if t.consumers
                else t
                for i, t in enumerate(n.tensors)
            ),
        )
        for n in problem.networks
    )
    return plain(problem, networks=networks)


def test_dominated_cuts_keep_the_front():
    joined = 0
    for seed in range(80):
        problem = random_problem(seed, layers=4, devices=2 + seed % 2, streams=1, tight=False)
        problem = alike(problem, seed)
        reduced = join_dominated_cuts(problem)
        if reduced is problem:
            continue
        before, after = feasible(problem), feasible(reduced)
        assert after.keys() <= before.keys()
        assert covered(before.values(), after.values()), seed
        joined += len(after) < len(before)
    assert joined >= 10


def test_load_keeps_cuts_apart():
    problem = pair_of_devices()
    loaded = dataclasses.replace(problem, capacity="utilisation")
    assert join_dominated_cuts(loaded) is loaded


def test_identical_streams_keep_the_optimum():
    merged = 0
    for seed in SEEDS:
        problem = random_problem(seed, layers=2, devices=3, streams=1, tight=False)
        stream = problem.streams[0]
        more = (
            dataclasses.replace(stream, name="again", rate_per_second=0.7),
            dataclasses.replace(stream, name="other", waits=not stream.waits),
        )
        memory = tuple(
            dataclasses.replace(d, memory_bytes=1e7 if seed % 3 == 0 else math.inf)
            for d in problem.devices
        )
        objective = dataclasses.replace(problem.objective, aggregate="mean")
        problem = plain(problem, streams=(stream, *more), devices=memory, objective=objective)
        reduced, restore = merge_identical_streams(problem)
        assert [s.name for s in reduced.streams] == ["s0", "other"]
        before, after = feasible(problem), feasible(reduced)
        assert bool(before) == bool(after)
        if not before:
            continue
        best = min(after, key=lambda routes: after[routes][-1])
        assert after[best][-1] == pytest.approx(min(v[-1] for v in before.values()), rel=1e-9)
        restored = evaluate(problem, restore(as_plan(reduced, best)))
        assert restored.feasible
        assert restored.objective == pytest.approx(after[best][-1], rel=1e-9)
        merged += 1
    assert merged > len(SEEDS) / 2


def test_streams_that_compete_are_not_merged():
    problem = plain(random_problem(5, layers=2, devices=2, streams=1, tight=False))
    stream = problem.streams[0]
    both = (stream, dataclasses.replace(stream, name="again"))
    mean = dataclasses.replace(problem.objective, aggregate="mean")
    problem = dataclasses.replace(problem, streams=both, objective=mean)
    assert len(merge_identical_streams(problem)[0].streams) == 1
    for changes in (
        {"capacity": "utilisation"},
        {"objective": dataclasses.replace(mean, aggregate="total")},
        {"objective": dataclasses.replace(mean, throughput=1.0)},
        {"budgets": dataclasses.replace(problem.budgets, power_watts=1e6)},
        {"streams": (stream, dataclasses.replace(both[1], deadline_seconds=3.0))},
    ):
        changed = dataclasses.replace(problem, **changes)
        assert merge_identical_streams(changed)[0] is changed


@pytest.mark.parametrize("keep", ["front", "optimum"])
def test_all_together(keep):
    smaller = 0
    for seed in SEEDS:
        problem = with_twin(random_problem(seed, layers=2, devices=2, streams=1, tight=seed % 2))
        twice = dataclasses.replace(problem.streams[0], name="again")
        problem = alike(dataclasses.replace(problem, streams=(*problem.streams, twice)), seed)
        reduced = reduce(problem, keep=keep)
        before, after = feasible(problem), feasible(reduced.problem)
        assert bool(before) == bool(after)
        restored = [
            evaluate(problem, reduced.restore(as_plan(reduced.problem, routes))) for routes in after
        ]
        assert all(item.feasible for item in restored)
        for item, image in zip(restored, after.values(), strict=True):
            assert item.objective == pytest.approx(image[-1], rel=1e-9)
        if before and keep == "front":
            assert covered(before.values(), after.values())
        if before:
            best = min(image[-1] for image in before.values())
            assert min(i.objective for i in restored) == pytest.approx(best, rel=1e-9)
        smaller += len(after) < len(before)
    assert smaller >= 4
