"""A plan as a system of queues: the route's list of stages and transfers, walked step by step.

`route_price` says which stages and transfers a request passes, in which order, with how many
seconds and bytes. Nothing else is taken from the evaluator: neither its sums nor its waits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.plan import Plan
from edgeplan.model.price import RoutePrice, Transfer, route_price
from edgeplan.model.problem import Problem, Stream
from edgeplan.simulation.arrivals import MOST_CV2, POISSON, Arrivals, Renewal
from edgeplan.simulation.system import JobClass, Queue, Source, System, Visit

Place = tuple[str, str]
"""``("device", name)``, or a link as ``(source, target)`` preceded by nothing."""


@dataclass(frozen=True, eq=False)
class Translation:
    """A plan as a system.

    Parameters
    ----------
    system
        Its sources are the problem's streams in order, its classes their routes in order.
    prices
        By class: the route as `route_price` lists it.
    stage_visits
        By class: the position among its visits of each of the route's stages.
    devices, links
        The queue of each device (by name) and link (by ends) that requests visit.
    """

    system: System
    prices: tuple[RoutePrice, ...]
    stage_visits: tuple[tuple[int, ...], ...]
    devices: Mapping[str, int]
    links: Mapping[tuple[str, str], int]


def translate(problem: Problem, plan: Plan, arrivals: Mapping[str, Arrivals]) -> Translation:
    """Return a plan as a system of queues.

    Parameters
    ----------
    problem, plan
        What is simulated.
    arrivals
        By stream, where its requests arrive otherwise than its ``arrival_cv2`` says.

    Raises
    ------
    InputError
        If the plan does not fit the problem or cannot run, or a stream is unknown.
    """
    plan.check(problem)
    faults = [
        Fault(f"arrivals of '{name[:80]}'", f"there is no such stream; known: {_known(problem)}")
        for name in arrivals
        if name not in problem.stream
    ]
    queues: list[Queue] = []
    devices: dict[str, int] = {}
    links: dict[tuple[str, str], int] = {}
    waits = problem.waiting != "none"

    def device_queue(name: str) -> int:
        if name not in devices:
            device = problem.device[name]
            servers = plan.replica_count(device) if waits else None
            devices[name] = len(queues)
            queues.append(Queue(name=name, servers=servers, dispatch=device.dispatch))
        return devices[name]

    def link_queue(source: str, target: str) -> int:
        key = source, target
        if key not in links:
            link = problem.link[key]
            links[key] = len(queues)
            servers = 1 if waits and problem.loads(link) else None
            queues.append(Queue(name=link.name, servers=servers))
        return links[key]

    def crossed(transfers: Iterable[Transfer]) -> Iterator[Visit]:
        for transfer in transfers:
            if transfer.busy_seconds > 0:
                queue = link_queue(transfer.source, transfer.target)
                yield Visit(queue=queue, mean_seconds=transfer.busy_seconds)
            latency = transfer.seconds - transfer.busy_seconds
            if latency > 0:
                yield Visit(queue=None, mean_seconds=latency)

    sources, classes, prices, stage_visits = [], [], [], []
    for number, stream in enumerate(problem.streams):
        said = arrivals.get(stream.name)
        if said is None and stream.arrival_cv2 > MOST_CV2:
            place = f"streams.{stream.name[:80]}.arrival_cv2"
            faults.append(Fault(place, f"must be at most {MOST_CV2:g} to be simulated"))
            said = POISSON
        sources.append(
            Source(
                name=stream.name,
                rate_per_second=stream.rate_per_second,
                arrivals=said or Renewal(cv2=stream.arrival_cv2),
            )
        )
        for index, route in enumerate(plan.routes[stream.name]):
            price = route_price(problem, stream, route)
            broken = list(_broken(problem, stream, index, price))
            faults += broken
            if broken:
                continue
            visits: list[Visit] = []
            places = []
            for stage in price.stages:
                visits.extend(crossed(stage.transfers))
                places.append(len(visits))
                queue = device_queue(stage.device)
                visits.append(Visit(queue=queue, mean_seconds=stage.seconds, cv2=stage.cv2))
            visits.extend(crossed(price.returned))
            classes.append(
                JobClass(
                    source=number,
                    fraction=route.fraction,
                    batch=route.batch,
                    visits=tuple(visits),
                )
            )
            prices.append(price)
            stage_visits.append(tuple(places))
    if faults:
        raise InputError(faults)
    return Translation(
        System(sources=tuple(sources), classes=tuple(classes), queues=tuple(queues)),
        tuple(prices),
        tuple(stage_visits),
        devices,
        links,
    )


def _known(problem: Problem) -> str:
    return ", ".join(stream.name[:40] for stream in problem.streams[:12])


def _broken(problem: Problem, stream: Stream, index: int, price: RoutePrice) -> Iterator[Fault]:
    """Yield why a request could not follow a route."""
    place = f"routes.{stream.name[:80]}[{index}]"
    names = problem.network[stream.network].layers
    for stage in price.stages:
        if math.isinf(stage.seconds):
            what = f"layers {names[stage.first].name[:40]} … {names[stage.stop - 1].name[:40]}"
            batch = f" in batches of {price.batch}" if price.batch > 1 else ""
            yield Fault(place, f"'{stage.device[:80]}' has no time for {what}{batch}")
    for transfer in price.transfers:
        if (transfer.source, transfer.target) not in problem.link:
            name = f"{transfer.source[:80]}->{transfer.target[:80]}"
            yield Fault(place, f"there is no link {name}")
