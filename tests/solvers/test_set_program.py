"""Lists of sets and the program over them, against all sets and all plans."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time

import numpy as np
import pytest

from edgeplan.instances.generators.fleet import loaded_fleet
from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.queueing import wait_factor
from edgeplan.solvers.enumerate.solver import Enumerator
from edgeplan.solvers.queueing import set_lists
from edgeplan.solvers.queueing.at_levels import unit_of
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.highs_run import Clock
from edgeplan.solvers.queueing.queue_sets import QueueSets
from edgeplan.solvers.queueing.set_bound import SetBound
from edgeplan.solvers.queueing.set_lists import sets_within, shared_factor
from edgeplan.solvers.queueing.set_program import SetProgram
from edgeplan.solvers.watch import Watch


def _fleet(seed, streams, devices):
    """Return a fleet with every stream on one device as a whole."""
    problem = loaded_fleet(seed, streams=streams, devices=devices, deadlines=False)
    whole = {n.name: (tuple(layer.name for layer in n.layers),) for n in problem.networks}
    together = tuple(
        dataclasses.replace(stream, together=whole[stream.network]) for stream in problem.streams
    )
    return dataclasses.replace(problem, streams=together)


def _routes(problem):
    return columns(with_tolerance(problem), Watch(None, threading.Event()))


def _device_queues(problem):
    routes = _routes(problem)
    kept = [q for q, key in enumerate(routes.queues) if key[0] == "device"]
    met = np.bincount(routes.column[np.isin(routes.queue, kept)], minlength=len(routes))
    return [QueueSets(with_tolerance(problem), routes, q, met == 1) for q in kept]


@pytest.mark.parametrize("many", [3_000, 1], ids=["by streams", "by levels too"])
@pytest.mark.parametrize("seed", range(12))
def test_the_list_has_every_set_of_the_window(seed, many, monkeypatch):
    monkeypatch.setattr(set_lists, "MANY", many)
    problem = _fleet(seed, 8, 3)
    rng = np.random.default_rng(seed)
    for queue in _device_queues(problem):
        worth = queue.waiting * rng.uniform(-0.01, 0.05, len(queue.column))
        every = {}
        for replicas in queue.counts:
            for taken in itertools.product(*(range(n + 1) for n in queue.size.tolist())):
                numbers = np.array(taken)
                groups = {}
                for g, n in zip(queue.group.tolist(), taken, strict=True):
                    groups[g] = groups.get(g, 0) + n
                if any(n > queue.size[queue.group == g][0] for g, n in groups.items()):
                    continue
                used = np.flatnonzero(numbers)
                price = queue.exact(queue.column[used], numbers[used], replicas)
                if len(used) and np.isfinite(price):
                    every[replicas, taken] = price - float(worth @ numbers)
        least = min(0.0, *every.values())
        window = 0.1 * max(-least, 1e-6)
        found = sets_within(queue, worth, window)
        assert found is not None
        assert found[0] == pytest.approx(least, abs=1e-15)
        listed = {}
        for each in found[1]:
            for row, reduced in zip(each.numbers, each.reduced, strict=True):
                numbers = np.zeros(len(queue.column), dtype=np.int64)
                numbers[each.items] = row
                listed[each.replicas, tuple(numbers.tolist())] = reduced
        alike = len(np.unique(queue.kind)) < len(queue.kind)
        wanted = {key: value for key, value in every.items() if value <= least + window}
        assert all(every[key] == pytest.approx(value, abs=1e-12) for key, value in listed.items())
        if not alike:
            assert set(wanted) <= set(listed)


@pytest.mark.parametrize("replicas", [2, 3, 5, 8, 16])
def test_waits_of_shared_replicas_are_convex_in_the_load(replicas):
    rho = np.linspace(0, 0.995, 4000)
    factor = shared_factor(replicas, rho)
    assert factor[1234] == pytest.approx(wait_factor(replicas, "shared", float(rho[1234])))
    assert (np.diff(factor) >= -1e-15).all()
    assert (np.diff(factor, 2) >= -1e-12).all()


def test_too_many_sets_are_not_told():
    queue = _device_queues(_fleet(0, 20, 2))[0]
    assert sets_within(queue, queue.waiting * 1.0, 10.0, most=50) is None


@pytest.mark.parametrize("seed", range(16))
def test_the_program_finds_the_optimum_or_a_bound(seed):
    problem = random_loaded_problem(7100 + seed, splittable=False, most_plans=4000)
    exact = Enumerator().solve(problem)
    if exact.claimed_objective is None:
        pytest.skip("this one has no plan")
    routes = _routes(problem)
    unit = unit_of(routes)
    queues = [q for q, key in enumerate(routes.queues) if key[0] == "device"]
    bound = SetBound(with_tolerance(problem), routes, queues, unit, lambda: False)
    price = exact.claimed_objective
    nothing = np.zeros(len(routes.queues))
    start = bound.guess(nothing, nothing + 1.0, nothing)
    bound.run(start, lambda: (price, price), lambda _: None)
    assert bound.best <= price * (1 + 1e-9)
    target = price * 1.01
    program = SetProgram(bound, bound.best_at, target)
    clock = Clock(time.monotonic() + 60, threading.Event())
    found = program.solve(target, clock, 1e-9, 10**6)
    assert found.finished
    assert found.complete
    # Limits other than caps, and waits at links, are not in it: it bounds from below.
    assert program.base - 1e-12 <= found.bound <= price * (1 + 1e-9)
    if found.value is not None:
        taken = np.bincount(routes.group, weights=found.value, minlength=len(routes.groups))
        assert (taken >= routes.sizes - 1e-9).all()
