"""Fleets: many streams of a few networks at edge sites of different speed, with clouds behind."""

from __future__ import annotations

import dataclasses
import math

from edgeplan.instances.generators.draw import Draw, ceil3, round3
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Costs, Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import route_price
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream, TailDeadline
from edgeplan.model.queueing import QueueKey, visits

_MOST_LAYERS = 3


def loaded_fleet(
    seed: int,
    *,
    streams: int | None = None,
    devices: int | None = None,
    load: float | None = None,
    deadlines: bool = True,
) -> Problem:
    """Return whole streams at edge sites and clouds, with waiting; equal arguments, equal fleet.

    Two to five chain networks of one to three layers; edge sites of different speed, each the
    origin of some of the streams; one to three clouds behind wide-area links, with prices by the
    hour and (in some) replicas to choose. Edge sites are linked with each other, and all links
    queue. The load is that of a plan that is known: each stream, whole on one device, goes where
    the busiest device or link stays least busy, heavy streams first.

    Parameters
    ----------
    seed
        Of every random choice.
    streams, devices
        How many; ``None``: 24 to 96 streams, 5 to 9 devices (at least 2).
    load
        About the busy share of the busiest device or link of that plan; ``None``: 0.5 to 0.9.
    deadlines
        Whether some streams have deadlines on the mean or the 95th percentile, which that plan
        holds.

    Returns
    -------
    Problem
        Feasible: that plan (`balanced_plan` finds it) breaks no limit.

    Raises
    ------
    ValueError
        If there are no streams, fewer than two devices, or the load is not between 0 and 0.95.
    """
    draw = Draw(seed, 3)
    stream_count = draw.integer(24, 96) if streams is None else streams
    device_count = draw.integer(5, 9) if devices is None else devices
    goal = draw.uniform(0.5, 0.9) if load is None else load
    if stream_count < 1 or device_count < 2 or not 0 < goal < 0.95:
        raise ValueError("a fleet has a stream, two devices, and a load between 0 and 0.95")
    clouds = min(draw.integer(1, 3), device_count - 1)
    machines = tuple(_edge(draw, index) for index in range(device_count - clouds)) + tuple(
        _cloud(draw, index) for index in range(clouds)
    )
    speeds = [draw.uniform(0.5, 2.0) if d.tier == "edge" else draw.log(2, 8) for d in machines]
    networks = tuple(
        _network(draw, f"net{index}", machines, speeds) for index in range(draw.integer(2, 5))
    )
    problem = Problem(
        name=f"fleet-{seed}",
        networks=networks,
        devices=machines,
        links=_links(draw, machines),
        streams=tuple(
            Stream(
                name=f"s{index}",
                network=draw.pick(networks).name,
                origin=machines[index % (device_count - clouds)].name,
                rate_per_second=draw.log(0.5, 5),
                arrival_cv2=draw.pick((0.5, 2.0, 4.0)) if draw.chance(0.1) else 1.0,
            )
            for index in range(stream_count)
        ),
        objective=draw.pick(
            (Objective(latency=1.0), Objective(latency=1.0, cost=draw.log(100, 1000)))
        ),
        waiting="mg1",
    )
    _, busiest = balanced_plan(problem)
    problem = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(
                stream, rate_per_second=round3(stream.rate_per_second * goal / busiest)
            )
            for stream in problem.streams
        ),
    )
    # Of the rates as they now are, rounded: whoever balances the fleet finds the same plan.
    plan, _ = balanced_plan(problem)
    return _with_promises(draw, problem, plan) if deadlines else problem


def _edge(draw: Draw, index: int) -> Device:
    return Device(
        name=f"edge{index}",
        tier="edge",
        zone="site",
        active_watts=draw.log(15, 80),
        idle_watts=5.0,
        dollars_per_hour=draw.log(0.02, 0.1),
    )


def _cloud(draw: Draw, index: int) -> Device:
    fewest = draw.integer(1, 2)
    return Device(
        name=f"cloud{index}",
        tier="cloud",
        zone="public",
        active_watts=draw.log(100, 300),
        idle_watts=50.0,
        dollars_per_hour=draw.log(0.2, 1.0),
        replicas=fewest,
        max_replicas=fewest + draw.integer(1, 2) if draw.chance(0.4) else None,
        dispatch="shared" if draw.chance(0.2) else "random",
    )


def _network(draw: Draw, name: str, machines: tuple[Device, ...], speeds: list[float]) -> Network:
    count = draw.integer(1, _MOST_LAYERS)
    work = [draw.log(5e-3, 3e-2) for _ in range(count)]
    cv2 = draw.pick((0.0, 0.1, 0.3, 1.0))
    tensors = [Tensor(name="in", bytes=draw.bytes(1e4, 1e5), producer=None, consumers=(0,))]
    for index in range(count):
        last = index == count - 1
        tensors.append(
            Tensor(
                name=f"t{index}",
                bytes=1000 if last else draw.bytes(5e3, 2e5),
                producer=index,
                consumers=() if last else (index + 1,),
                output=last,
            )
        )
    costs: dict[str, Costs] = {
        device.name: LayerCosts(
            seconds=tuple(round3(value / speed * draw.uniform(0.8, 1.25)) for value in work),
            boundary_seconds=3e-4,
            cv2=cv2,
        )
        for device, speed in zip(machines, speeds, strict=True)
    }
    layers = tuple(
        Layer(
            name=f"l{i}", weight_bytes=draw.bytes(2e6, 5e7), activation_bytes=draw.bytes(1e5, 4e6)
        )
        for i in range(count)
    )
    return Network(name, layers, tuple(tensors), costs)


def _links(draw: Draw, machines: tuple[Device, ...]) -> tuple[Link, ...]:
    """Return a link each way between any two devices: local, wide-area, between clouds."""
    links = []
    for source in machines:
        for target in machines:
            if source is target:
                continue
            wide = "cloud" in (source.tier, target.tier)
            links.append(
                Link(
                    source=source.name,
                    target=target.name,
                    bytes_per_second=draw.log(5e6, 5e7) if wide else 1.25e8,
                    latency_seconds=draw.log(1e-2, 4e-2) if wide else draw.log(5e-4, 2e-3),
                )
            )
    return tuple(links)


def balanced_plan(problem: Problem) -> tuple[Plan, float]:
    """Return a plan that balances load, and the busy share of its busiest device or link.

    Each stream goes whole to one device: heavy streams first, each to where the busiest device
    or link that it uses stays least busy.
    """
    busy: dict[QueueKey, float] = dict.fromkeys(
        [("device", device.name) for device in problem.devices]
        + [("link", link.name) for link in problem.links],
        0.0,
    )
    copies = {("device", d.name): d.replicas for d in problem.devices}
    loads: dict[str, dict[str, dict[QueueKey, float]]] = {}
    for stream in problem.streams:
        count = len(problem.network[stream.network].layers)
        loads[stream.name] = {}
        for device in problem.devices:
            added: dict[QueueKey, float] = {}
            price = route_price(problem, stream, Route(devices=(device.name,) * count))
            for visit in visits(problem, price):
                share = stream.rate_per_second * visit.seconds / copies.get(visit.queue, 1)
                added[visit.queue] = added.get(visit.queue, 0.0) + share
            loads[stream.name][device.name] = added
    routes: dict[str, tuple[Route, ...]] = {}

    def weight(stream: Stream) -> float:
        return max(added["device", name] for name, added in loads[stream.name].items())

    for stream in sorted(problem.streams, key=weight, reverse=True):
        best = min(
            loads[stream.name],
            key=lambda name: max(busy[q] + s for q, s in loads[stream.name][name].items()),
        )
        for queue, share in loads[stream.name][best].items():
            busy[queue] += share
        count = len(problem.network[stream.network].layers)
        routes[stream.name] = (Route(devices=(best,) * count),)
    return Plan(routes=routes), max(busy.values())


def _with_promises(draw: Draw, problem: Problem, plan: Plan) -> Problem:
    """Return the problem with deadlines that a plan holds with some slack."""
    streams = []
    for stream, found in zip(problem.streams, evaluate(problem, plan).streams, strict=True):
        deadline = math.inf
        tails: tuple[TailDeadline, ...] = ()
        if draw.chance(0.25):
            deadline = ceil3(found.latency_seconds * draw.uniform(1.1, 2.0))
        if draw.chance(0.1):
            limit = ceil3(dict(found.tails)[0.95] * draw.uniform(1.1, 2.0))
            tails = (TailDeadline(probability=0.95, seconds=limit),)
        streams.append(dataclasses.replace(stream, deadline_seconds=deadline, tail_deadlines=tails))
    return dataclasses.replace(problem, streams=tuple(streams))
