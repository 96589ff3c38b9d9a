"""What a route adds to the objective, and what a device adds by being on.

Both come from the evaluator's prices: nothing of DESIGN §4 is written down a second time here.
"""

from __future__ import annotations

import math

from edgeplan.model.evaluate import RoutePrice
from edgeplan.model.problem import Device, Problem, Stream


def route_dollars(problem: Problem, price: RoutePrice) -> float:
    """Return the dollars per request of a route, the electricity that it draws included."""
    electricity = (
        problem.device[name].dollars_per_joule * joules
        for name, joules in price.device_joules
        if problem.device[name].dollars_per_joule
    )
    return math.fsum([price.dollars, *electricity])


def route_objective(problem: Problem, stream: Stream, price: RoutePrice) -> float:
    """Return what a stream adds to the objective if all its requests take a route.

    Parameters
    ----------
    problem, stream
        Where the objective, the rates and the device prices come from.
    price
        The route's price by the evaluator.

    Returns
    -------
    float
        In the objective's units, without what devices cost for being on; ``inf`` where the
        route cannot run.
    """
    if not math.isfinite(price.latency_seconds):
        return math.inf
    return problem.share(stream) * problem.objective.value(
        price.latency_seconds,
        math.fsum(joules for _, joules in price.device_joules),
        route_dollars(problem, price),
    )


def route_loads(problem: Problem, stream: Stream, price: RoutePrice) -> dict[str, float]:
    """Return the seconds per average request that a route keeps each resource busy.

    Resources are devices (per replica) and loaded links, by name; the stream sends all its
    requests along the route. The period is the largest sum over the streams.
    """
    share = stream.rate_per_second / problem.total_rate
    loads: dict[str, float] = {}
    busy = [(stage.device, stage.seconds) for stage in price.stages]
    for name, seconds in (*busy, *price.occupied_seconds):
        loads[name] = loads.get(name, 0.0) + share * seconds / problem.device[name].replicas
    for transfer in price.transfers:
        link = problem.link.get((transfer.source, transfer.target))
        if link is not None and problem.loads(link):
            loads[link.name] = loads.get(link.name, 0.0) + share * transfer.busy_seconds
    return loads


def on_watts(device: Device) -> float:
    """Return the idle power that a device is charged while it is on."""
    return device.replicas * device.idle_watts if device.charge_idle else 0.0


def on_dollars_per_second(device: Device) -> float:
    """Return what a device costs per second while it is on: price and idle electricity."""
    return (
        device.replicas * device.dollars_per_hour / 3600
        + on_watts(device) * device.dollars_per_joule
    )


def on_objective(problem: Problem, device: Device) -> float:
    """Return what a device adds to the objective by being on, in the objective's units.

    Every request carries an equal share of it, so that the sum over streams (``total``)
    counts it once per stream.
    """
    shares = math.fsum(problem.share(stream) for stream in problem.streams)
    rate = problem.total_rate
    return shares * problem.objective.value(
        0.0, on_watts(device) / rate, on_dollars_per_second(device) / rate
    )
