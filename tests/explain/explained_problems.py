"""Infeasible random problems of every kind, and what brute force says of repairs."""

import dataclasses
import itertools
import math

import numpy as np

from edgeplan.explain.items import list_items
from edgeplan.explain.terms import repair_price
from edgeplan.explain.without import without
from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.route_lists import enumerate_routes


def varied(problem, seed):
    """Return the problem with some of the rules that the generator does not draw."""
    rng = np.random.default_rng(seed)
    streams = []
    for stream in problem.streams:
        names = [layer.name for layer in problem.network[stream.network].layers]
        together = ()
        if rng.random() < 0.3 and len(names) > 1:
            together = (tuple(rng.choice(names, 2, replace=False).tolist()),)
        streams.append(dataclasses.replace(stream, together=together))
    devices = [
        dataclasses.replace(device, transfers=str(rng.choice(["links", "links", "occupy"])))
        for device in problem.devices
    ]
    budgets = problem.budgets
    if rng.random() < 0.4:
        rate = float(problem.total_rate * rng.choice([0.5, 1.5, 4.0]))
        budgets = dataclasses.replace(budgets, min_rate_per_second=rate)
    return dataclasses.replace(
        problem,
        streams=tuple(streams),
        devices=tuple(devices),
        budgets=budgets,
        contiguous=bool(rng.random() < 0.3),
    )


def infeasible_problems(count, first=0):
    """Yield problems that the enumerator proves to have no plan."""
    found, number = 0, first
    while found < count:
        turn = number // len(KINDS)
        kind = KINDS[number % len(KINDS)]
        problem = random_problem(
            number,
            kind=kind,
            layers=2 + turn % 3,
            devices=2 + turn % 2,
            streams=1 + turn % 3,
            tight=turn % 7 != 6,
            spans=turn % 2 == 1 and kind == "chain",
        )
        if turn % 2:
            problem = varied(problem, number)
        number += 1
        if Enumerator().solve(problem).infeasible:
            found += 1
            yield problem


def feasible(problem):
    """Say what the enumerator says; it must have gone through all plans."""
    result = Enumerator().solve(problem)
    assert result.infeasible or evaluate(problem, result.plan).feasible
    return not result.infeasible


def plans_that_run(problem):
    """Yield every plan that the networks and links allow, whatever it breaks."""
    bare = without(problem, list_items(problem))
    routes = [list(enumerate_routes(bare, stream)) for stream in bare.streams]
    for chosen in itertools.product(*routes):
        plan = Plan(
            routes={
                stream.name: (Route(devices=devices),)
                for stream, devices in zip(bare.streams, chosen, strict=True)
            }
        )
        if math.isfinite(evaluate(bare, plan).latency_seconds):
            yield plan


def count_plans_that_run(problem):
    """Return how many plans `plans_that_run` looks at."""
    bare = without(problem, list_items(problem))
    return math.prod(len(list(enumerate_routes(bare, s))) for s in bare.streams)


def cheapest_repair(problem):
    """Return the price of the cheapest repair, by brute force."""
    return min(repair_price(problem, plan) for plan in plans_that_run(problem))
