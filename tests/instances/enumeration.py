"""The cheapest plan by trying every one, through the evaluator only."""

from __future__ import annotations

import itertools
import math

from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem


def cheapest(problem: Problem) -> tuple[float, Plan | None, int]:
    """Return the price, the plan (one route per stream) and how many plans were tried.

    Every device for every layer is tried, also those that rules exclude: the evaluator judges; and
    every size of a batch and number of replicas, where there is a choice. Routes that break a
    limit which no other stream can mend are left out of the product.
    """
    routes: list[list[Route]] = []
    tried = 0
    chosen = [device for device in problem.devices if len(device.replica_range) > 1]
    counts = [
        dict(zip((device.name for device in chosen), numbers, strict=True))
        for numbers in itertools.product(*(device.replica_range for device in chosen))
    ]
    for stream in problem.streams:
        alone = []
        count = len(problem.network[stream.network].layers)
        for devices in itertools.product(problem.device, repeat=count):
            for batch in problem.batch_sizes(stream):
                route = Route(devices=devices, batch=batch)
                tried += 1
                if any(_possible(problem, stream.name, route, copies) for copies in counts):
                    alone.append(route)
        routes.append(alone)
    best, plan = math.inf, None
    for copies in counts:
        for combination in itertools.product(*routes):
            tried += 1
            candidate = Plan(
                routes={
                    s.name: (route,) for s, route in zip(problem.streams, combination, strict=True)
                },
                replicas=copies,
            )
            price = evaluate(problem, candidate)
            if price.feasible and price.objective < best:
                best, plan = price.objective, candidate
    return best, plan, tried


def _possible(problem: Problem, name: str, route: Route, copies: dict[str, int]) -> bool:
    """Say whether a route alone breaks nothing: other streams only add to what is used.

    A deadline, a link, a rule or a device without times concerns the stream by itself; memory
    and load can only grow when other streams come.
    """
    import dataclasses

    only = dataclasses.replace(problem, streams=(problem.stream[name],), networks=problem.networks)
    return evaluate(only, Plan(routes={name: (route,)}, replicas=copies)).feasible
