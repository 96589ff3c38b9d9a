"""The routes of a stream as rows of arrays, each priced once by the evaluator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, RoutePrice, route_price
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Route
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.enumerate.crowd import Crowd, Visitors
from edgeplan.solvers.enumerate.limits import Bools, Floats, Limits
from edgeplan.solvers.route_costs import route_objective
from edgeplan.solvers.route_lists import batched_routes
from edgeplan.solvers.watch import Watch


@dataclass(frozen=True)
class Routes:
    """The routes of a stream that can run and meet its own deadlines, cheapest first.

    Rows are routes. ``kept`` has a column per (device, layer) pair, device by device, and
    ``weights`` their bytes; ``used`` has a column per coupling limit. ``objective`` is without
    waiting in queues and without what devices cost for being on; ``least`` is at least the
    waiting that the stream causes itself. ``visitors`` says what the routes bring to queues.
    ``priced`` counts the routes priced.
    """

    stream: Stream
    routes: list[Route]
    objective: Floats
    least: Floats
    used: Floats
    on: Bools
    kept: Bools
    weights: Floats
    activations: Floats
    visitors: Visitors | None
    priced: int

    def __len__(self) -> int:
        return len(self.routes)


def price_routes(
    problem: Problem, stream: Stream, limits: Limits, crowd: Crowd | None, watch: Watch
) -> Routes:
    """Price each route of a stream once, by the evaluator.

    Parameters
    ----------
    problem, stream
        Whose routes.
    limits
        What they use of each is noted.
    crowd
        The queues and replicas; ``None`` where there are none to decide on.
    watch
        Counts each route.
    """
    network = problem.network[stream.network]
    latest = stream.deadline_seconds * (1 + RELATIVE_TOLERANCE)
    rows: list[tuple[float, Route, RoutePrice]] = []
    priced = 0
    for route in batched_routes(problem, stream):
        watch.visit(1)
        if problem.contiguous and quotient_cycle(network, route.devices):
            continue
        priced += 1
        price = route_price(problem, stream, route)
        if not math.isfinite(price.latency_seconds) or price.latency_seconds > latest:
            continue
        rows.append((route_objective(problem, stream, price), route, price))
    rows.sort(key=lambda row: row[0])
    objective = np.array([row[0] for row in rows], dtype=float)
    least = objective
    visitors = None
    if crowd is not None:
        visitors = crowd.visitors(stream, [price for _, _, price in rows])
        in_time, waiting = crowd.alone(visitors)
        rows = [rows[index] for index in np.flatnonzero(in_time)]
        objective, least = objective[in_time], (objective + waiting)[in_time]
        visitors = visitors.of(in_time)
    position = {device.name: index for index, device in enumerate(problem.devices)}
    layers = len(network.layers)
    kept = np.zeros((len(rows), len(position) * layers), dtype=np.bool_)
    for row, (_, route, _) in enumerate(rows):
        kept[row, [position[d] * layers + i for i, d in enumerate(route.devices)]] = True
    placed = kept.reshape(len(rows), len(position), layers)
    batch = np.array([route.batch for _, route, _ in rows], dtype=float)
    activation = np.array([layer.activation_bytes for layer in network.layers], dtype=float)
    return Routes(
        stream=stream,
        routes=[route for _, route, _ in rows],
        objective=objective,
        least=least,
        used=np.array([limits.used(stream, price) for _, _, price in rows]).reshape(
            len(rows), len(limits.most)
        ),
        on=np.asarray(placed.any(axis=2)),
        kept=kept,
        weights=np.array(
            [
                float(network.memory_bytes(index, device.name))
                for device in problem.devices
                for index in range(layers)
            ]
        ),
        activations=(placed * activation).max(axis=2, initial=0.0) * batch[:, None],
        visitors=visitors,
        priced=priced,
    )
