"""Annealing of whole streams: prices kept up move by move, ends counted in moves."""

import dataclasses
import itertools
import math
import random
import threading

import numpy as np
import pytest

from edgeplan.instances.generators.fleet import loaded_fleet
from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.problem import Objective
from edgeplan.solvers.queueing.annealing import Annealing, default_moves
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.queueing.descent import Descent, Spot
from edgeplan.solvers.queueing.move_prices import MovePrices
from edgeplan.solvers.watch import Watch


def _descent(problem, seed=0, stopped=lambda: False):
    problem = with_tolerance(problem)
    routes = columns(problem, Watch(None, threading.Event()))
    return Descent(problem, routes, np.random.default_rng(seed), math.inf, stopped)


def _fleet(seed, *, deadlines, **changes):
    problem = loaded_fleet(seed, streams=12, devices=4, load=0.7, deadlines=deadlines)
    return dataclasses.replace(problem, **changes)


def _replicated(problem, dispatch):
    return dataclasses.replace(
        problem,
        objective=Objective(latency=1.0, cost=500.0),
        devices=tuple(
            dataclasses.replace(d, max_replicas=d.replicas + 2, dispatch=dispatch)
            if d.tier == "cloud"
            else d
            for d in problem.devices
        ),
    )


CASES = {
    "plain": _fleet(0, deadlines=False),
    "bursts": _fleet(5, deadlines=False),
    "deadlines": _fleet(1, deadlines=True),
    "no waiting": _fleet(2, deadlines=False, waiting="none"),
    "replicas": _replicated(_fleet(3, deadlines=False), "random"),
    "shared": _replicated(_fleet(3, deadlines=False), "shared"),
    "shared, deadlines": _replicated(_fleet(4, deadlines=True), "shared"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_price_kept_up_is_the_price_of_the_spot(name):
    # Any moves, broken caps and deadlines with them.
    descent = _descent(CASES[name])
    assert descent.timed.any() == ("deadlines" in name)
    draw = random.Random(7)
    spot = descent.first()
    prices = MovePrices(descent)
    value = prices.place(spot.column.tolist(), spot.replicas.tolist())
    own = [np.flatnonzero(descent.columns.group == g).tolist() for g in descent.members]
    for step in range(120):
        members = draw.sample(range(len(own)), draw.choice((1, 2)))
        value += prices.look([(m, draw.choice(own[m])) for m in members])
        prices.take()
        if step % 4 == 0:
            column, replicas = prices.spot()
            exact = descent.priced(Spot(np.array(column), np.array(replicas)))
            assert value == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("name", ["plain", "replicas", "shared, deadlines"])
def test_equal_seeds_give_equal_spots_no_worse_than_a_descent(name):
    found = []
    for _ in range(2):
        descent = _descent(CASES[name])
        start = descent.improve(descent.first(), 0)
        spot = Annealing(descent).improve(start, 3000)
        assert spot.price <= start.price
        assert spot.price == pytest.approx(descent.priced(spot), rel=1e-12)
        found.append((spot.column.tolist(), spot.replicas.tolist(), spot.price))
    assert found[0] == found[1]


@pytest.mark.parametrize("dispatch", ["random", "shared"])
@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_best_of_all_spots(seed, dispatch):
    problem = loaded_fleet(seed, streams=4, devices=3, load=0.7, deadlines=seed == 1)
    problem = _replicated(problem, dispatch)
    # Whole on one device: few enough for all of them.
    problem = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(
                s, together=(tuple(layer.name for layer in problem.network[s.network].layers),)
            )
            for s in problem.streams
        ),
    )
    descent = _descent(problem)
    own = [np.flatnonzero(descent.columns.group == g).tolist() for g in descent.members]
    counts = [serving.counts for serving in descent.servers]
    best = min(
        descent.priced(Spot(np.array(column), np.array(replicas)))
        for replicas in itertools.product(*counts)
        for column in itertools.product(*own)
    )
    spot = Annealing(descent).improve(descent.first())
    assert spot.price == pytest.approx(best, rel=1e-9)


def test_a_regrouping_that_no_descent_finds():
    # All streams begin at one place each; the descent ends where short wait behind long ones.
    problem = loaded_fleet(14, streams=30, devices=5, load=0.85, deadlines=False)
    descent = _descent(problem)
    start = descent.improve(descent.first(), 0)
    found = Annealing(descent).improve(start, 20_000)
    assert found.price < 0.99 * start.price


def test_a_descent_prices_the_deadline_of_the_stream_that_moves():
    descent = _descent(CASES["deadlines"])
    spot = descent.first()
    column, tables = spot.column, (descent.busy, descent.moment)
    for member, group in enumerate(descent.members):
        to = np.flatnonzero(descent.columns.group == group)
        loads = [t[column].sum(axis=0) - t[column[member]] + t[to] for t in tables]
        members = np.full(len(to), member)
        late = descent.late_after(column, members, to, *loads, spot.replicas)
        for each, penalty in zip(to, late, strict=True):
            moved = column.copy()
            moved[member] = each
            sums = [t[moved].sum(axis=0) for t in tables]
            assert penalty == pytest.approx(float(descent.late(moved, *sums, spot.replicas)))


def test_it_ends_when_told():
    told = threading.Event()
    descent = _descent(CASES["plain"], stopped=told.is_set)
    start = descent.first()
    told.set()
    assert Annealing(descent).improve(start, 10**9).price == start.price


def test_few_choices_are_worth_few_moves():
    tiny = _descent(loaded_fleet(0, streams=2, devices=2, deadlines=False))
    many = _descent(loaded_fleet(0, streams=60, devices=3, deadlines=False))
    assert default_moves(tiny) < 1000
    assert default_moves(many) > 50 * default_moves(tiny)
