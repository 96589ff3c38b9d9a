"""The routes that baselines choose from, priced for a stream alone."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edgeplan.model.evaluate import route_price
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Route
from edgeplan.model.problem import Problem, Stream
from edgeplan.model.queueing import Job, QueueKey, jobs
from edgeplan.solvers.route_costs import route_loads, route_objective

_CANDIDATES = 2000
"""Above so many single cuts over all pairs of devices, only those at the origin are tried."""
_MOST_VISITS = 1_000_000
"""The best cut is sought among so many routes that their layers are not more in all."""
_VISITS = 200_000
"""… and of these so many that their layers are not more in all."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A route with its price for the stream alone, without waits.

    Parameters
    ----------
    devices
        By layer.
    objective
        What it adds to the objective, without what devices cost for being on.
    latency, compute
        Seconds in all, and seconds of its stages.
    loads
        Seconds per average request, by device or link, for the period.
    jobs
        What it brings to queues; empty where the problem has nothing to do with them.
    """

    devices: tuple[str, ...]
    objective: float
    latency: float
    compute: float
    loads: dict[str, float]
    jobs: tuple[tuple[QueueKey, Job], ...] = ()

    def alone(self, problem: Problem) -> float:
        """Return what the route adds to the objective, the period of its loads included."""
        period = max(self.loads.values(), default=0.0)
        return self.objective + problem.objective.period_price * period


def permitted(
    problem: Problem,
    stream: Stream,
    routes: Iterator[tuple[str, ...]],
    watch: Callable[[], None] = lambda: None,
) -> list[Candidate]:
    """Return the distinct routes that can run under the stream's own rules, priced.

    Parameters
    ----------
    problem, stream
        The stream and what it belongs to.
    routes
        A device for each layer.
    watch
        Called for each that is priced; may raise to end it.
    """
    allowed = [frozenset(devices) for devices in problem.allowed(stream)]
    network, groups = problem.network[stream.network], problem.groups(stream)
    found: dict[tuple[str, ...], Candidate] = {}
    queued = bool(problem.load_features)
    for devices in routes:
        # The cheapest test first: there may be thousands of routes of hundreds of layers.
        if any(devices[layer] != devices[group[0]] for group in groups for layer in group):
            continue
        if devices in found or not all(map(operator.contains, allowed, devices)):
            continue
        if problem.contiguous and quotient_cycle(network, devices):
            continue
        watch()
        price = route_price(problem, stream, Route(devices=devices))
        if math.isfinite(price.latency_seconds):
            found[devices] = Candidate(
                devices=devices,
                objective=route_objective(problem, stream, price),
                latency=price.latency_seconds,
                compute=math.fsum(stage.seconds for stage in price.stages),
                loads=route_loads(problem, stream, price),
                jobs=tuple(jobs(problem, stream, price, split=False)) if queued else (),
            )
    return list(found.values())


def single_cuts(problem: Problem, stream: Stream) -> list[Candidate]:
    """Return the routes that begin at the origin and are cut at most once, priced.

    Of the cuts of very many layers an even sample.
    """
    layers = len(problem.network[stream.network].layers)
    every = 1 + len(problem.devices) * layers * layers // _MOST_VISITS
    return permitted(problem, stream, _cuts_from(problem, stream, stream.origin, every))


def _cuts_from(
    problem: Problem, stream: Stream, first: str, every: int = 1
) -> Iterator[tuple[str, ...]]:
    """Yield the routes that begin on a device and are cut at most once, extremes included.

    Of the cuts only ``every`` so-many-th is taken.
    """
    count = len(problem.network[stream.network].layers)
    for device in problem.devices:
        if device.name != first:
            for cut in range(0, count, every):
                yield (first,) * cut + (device.name,) * (count - cut)
    yield (first,) * count


def tried_routes(problem: Problem, stream: Stream) -> Iterator[tuple[str, ...]]:
    """Yield whole devices and single cuts, mended where a layer may not run as they want.

    Between any two devices where these are few, else from the origin only; of very many cuts
    an even sample.
    """
    count = len(problem.network[stream.network].layers)
    names = [device.name for device in problem.devices]
    firsts = names if len(names) ** 2 * count <= _CANDIDATES else [stream.origin]
    every = 1 + len(firsts) * len(names) * count * count // _VISITS
    allowed = [(frozenset(devices), devices[:1]) for devices in problem.allowed(stream)]
    leader = {layer: group[0] for group in problem.groups(stream) for layer in group[1:]}
    for first in firsts:
        for route in _cuts_from(problem, stream, first, every):
            mended = _mended(route, allowed, leader, stream.origin)
            if mended is not None:
                yield mended


def _mended(
    route: tuple[str, ...],
    allowed: list[tuple[frozenset[str], tuple[str, ...]]],
    leader: dict[int, int],
    origin: str,
) -> tuple[str, ...] | None:
    """Move each layer that may not run where it is to the device before it, or the origin.

    A layer that shares a device goes where the first of its group is.
    """
    devices: list[str] = []
    previous = origin
    for layer, (here, first) in enumerate(allowed):
        device = devices[leader[layer]] if layer in leader else route[layer]
        if device not in here:
            if not first:
                return None
            device = previous if previous in here else origin if origin in here else first[0]
        devices.append(device)
        previous = device
    return tuple(devices)
