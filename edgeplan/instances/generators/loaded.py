"""Random small problems whose requests wait in queues, with every feature of load."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from edgeplan.instances.generators.draw import Draw, ceil3, round3
from edgeplan.instances.generators.networks import random_network
from edgeplan.instances.generators.plans import draw_plan
from edgeplan.instances.generators.problems import random_objective, random_stream
from edgeplan.instances.generators.topology import random_devices, random_links
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.network import Costs, LayerCosts, Network, SpanCosts
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Budgets, Device, Problem, Stream, TailDeadline

_REFERENCE_PLANS = 60
_BURSTINESS = (0.0, 0.25, 0.5, 2.0, 4.0)
_BATCHES = ((2,), (2, 4), (4,))


def random_loaded_problem(
    seed: int,
    *,
    kind: Literal["chain", "dag"] | None = None,
    streams: int | None = None,
    devices: int | None = None,
    layers: int | None = None,
    spans: bool | None = None,
    splittable: bool = False,
    limits: bool = True,
    most_plans: int = 5_000,
) -> Problem:
    """Return a random small problem with ``waiting: mg1``; equal arguments give an equal problem.

    Each feature is in some problems and not in others: service times that vary, bursty arrivals,
    links with and without contention, ranges of replicas, shared dispatch, batches, deadlines on
    means and percentiles, origins that idle while they wait, limits on memory, power and money,
    privacy, pins and bans. Rates are such that the busiest device or link of a plan that is known
    is busy between 0.2 and 0.97 of its cap.

    Parameters
    ----------
    seed
        Of every random choice.
    kind
        ``chain`` or ``dag`` networks; ``None``: one of them.
    streams, devices
        How many; ``None``: 2 to 4.
    layers
        Layers per network at most; ``None``: 1 to 4.
    spans
        Whether costs are span tables; ``None``: in half of the problems.
    splittable
        Whether streams (most of them) may be dealt over two routes.
    limits
        Whether there are deadlines and limits on memory, power and money.
    most_plans
        Where layers are not given, so many that there are at most so many plans of whole
        streams, sizes of batches and numbers of replicas included (but at least one layer).

    Returns
    -------
    Problem
        At least 70 % have a feasible plan (so many have one among 300 random plans).

    Raises
    ------
    ValueError
        If a size is below 1, or a kind is unknown.
    """
    if kind not in (None, "chain", "dag"):
        raise ValueError(f"unknown kind {kind!r}; choose chain or dag")
    if any(size is not None and size < 1 for size in (streams, devices, layers)):
        raise ValueError("streams, devices and layers must be at least 1")
    draw = Draw(seed, 2)
    drawn: Literal["chain", "dag"] = draw.pick(("chain", "chain", "dag"))
    tables = draw.chance(0.5)
    stream_count, device_count = draw.integer(2, 4), draw.integer(2, 4)
    stream_count = stream_count if streams is None else streams
    device_count = device_count if devices is None else devices
    machines = tuple(
        _loaded_device(draw, device) for device in random_devices(draw, device_count, plain=False)
    )
    batched = draw.chance(0.3)
    drawn_layers = draw.integer(1, 4)
    if layers is None:
        layers = drawn_layers
        while layers > 1 and _plan_count(machines, stream_count, layers, batched) > most_plans:
            layers -= 1
    count = 1 if stream_count == 1 or draw.chance(0.3) else draw.integer(1, stream_count)
    networks = tuple(
        _varied(
            draw,
            random_network(
                draw,
                f"net{index}",
                kind or drawn,
                layers,
                machines,
                spans=tables if spans is None else spans,
            ),
            batched=batched,
        )
        for index in range(count)
    )
    problem = Problem(
        name=f"random-loaded-{seed}",
        networks=networks,
        devices=machines,
        links=random_links(draw, machines),
        streams=tuple(
            _loaded_stream(
                draw,
                random_stream(
                    draw, index, networks, machines, kind or drawn, splittable=splittable
                ),
                machines,
                batched=batched,
            )
            for index in range(stream_count)
        ),
        objective=random_objective(draw),
        capacity="none",
    )
    return _with_load(draw, problem, limits=limits)


def _plan_count(machines: tuple[Device, ...], streams: int, layers: int, batched: bool) -> int:
    """Return about how many plans of whole streams there are."""
    replicas = math.prod(len(device.replica_range) for device in machines)
    routes = len(machines) ** layers * (2 if batched else 1)
    return int(replicas * routes**streams)


def _loaded_device(draw: Draw, device: Device) -> Device:
    """Return a device with a range of replicas, shared dispatch, a free port: each in some."""
    extra = draw.integer(1, 2) if device.tier != "device" and draw.chance(0.4) else 0
    several = device.replicas + extra > 1
    return dataclasses.replace(
        device,
        max_replicas=device.replicas + extra if extra else None,
        dispatch="shared" if several and draw.chance(0.5) else "random",
        transfers="free_port" if draw.chance(0.05) else "links",
    )


def _loaded_stream(
    draw: Draw, stream: Stream, machines: tuple[Device, ...], *, batched: bool
) -> Stream:
    """Return the stream with bursts and batches, and (with no other rules) another origin."""
    near = [device.name for device in machines if device.tier != "cloud"]
    free = stream.privacy is None and not stream.homes
    return dataclasses.replace(
        stream,
        origin=draw.pick(near) if free and near and draw.chance(0.5) else stream.origin,
        arrival_cv2=draw.pick(_BURSTINESS) if draw.chance(0.35) else 1.0,
        max_batch=draw.pick((2, 4, 8)) if batched and draw.chance(0.7) else 1,
    )


def _varied(draw: Draw, network: Network, *, batched: bool) -> Network:
    """Return the network with service times that vary, and batches on some devices."""
    sizes = draw.pick(_BATCHES) if batched else ()
    cv2 = draw.pick((None, 0.0, 1.0))
    costs: dict[str, Costs] = {}
    for name, cost in network.costs.items():
        spread = draw.log(0.02, 2.0) if cv2 is None else cv2
        growth = draw.uniform(0.3, 0.9)  # of a job's time with each further request
        here = sizes if draw.chance(0.8) else ()
        if isinstance(cost, LayerCosts):
            varied = dataclasses.replace(cost, cv2=spread)
            costs[name] = dataclasses.replace(
                varied, batches={size: _layer_job(varied, size, growth) for size in here}
            )
        else:
            table = tuple(
                tuple(round3(spread * draw.uniform(0.7, 1.0)) for _ in row) for row in cost.seconds
            )
            spread_out = dataclasses.replace(cost, cv2=table if spread else ())
            costs[name] = dataclasses.replace(
                spread_out, batches={size: _span_job(spread_out, size, growth) for size in here}
            )
    return dataclasses.replace(network, costs=costs)


def _layer_job(single: LayerCosts, size: int, growth: float) -> LayerCosts:
    """Return what a job of so many requests costs; money and energy grow as its time does."""
    factor = 1 + growth * (size - 1)

    def scaled(row: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(round3(value * factor) for value in row)

    return LayerCosts(
        seconds=scaled(single.seconds),
        boundary_seconds=single.boundary_seconds,
        cv2=round3(single.cv2 / 2),
        joules=None if single.joules is None else scaled(single.joules),
        dollars=None if single.dollars is None else scaled(single.dollars),
    )


def _span_job(single: SpanCosts, size: int, growth: float) -> SpanCosts:
    """Return what a job of so many requests costs, as `_layer_job` does."""
    factor = 1 + growth * (size - 1)

    def scaled(
        table: tuple[tuple[float, ...], ...], factor: float = factor
    ) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(round3(value * factor) for value in row) for row in table)

    return SpanCosts(
        seconds=scaled(single.seconds),
        cv2=scaled(single.cv2, 0.5),
        joules=None if single.joules is None else scaled(single.joules),
        dollars=None if single.dollars is None else scaled(single.dollars),
    )


def _with_load(draw: Draw, problem: Problem, *, limits: bool) -> Problem:
    """Return the problem with rates, waiting and limits around one of a few random plans."""
    by_load = draw.chance(0.5)
    goal = draw.uniform(0.2, 0.97)
    best: tuple[float, Plan, float] | None = None
    for number in range(_REFERENCE_PLANS):
        plan = draw_plan(draw, problem, 1 + number % 3)
        price = evaluate(problem, plan)
        # The plan that could carry most, or the cheapest.
        key = _busiest(problem, price) if by_load else price.objective
        if price.feasible and (best is None or key < best[0]):
            best = (key, plan, _busiest(problem, price))
    if best is None or best[2] <= 0:
        # Nothing that can run was found; the problem is hard, or infeasible, as it stands.
        return dataclasses.replace(problem, capacity="utilisation", waiting="mg1")
    scale = goal / best[2]
    loaded = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(stream, rate_per_second=round3(stream.rate_per_second * scale))
            for stream in problem.streams
        ),
        capacity="utilisation",
        waiting="mg1",
    )
    return _with_loaded_limits(draw, loaded, best[1]) if limits else loaded


def _busiest(problem: Problem, price: Evaluation) -> float:
    """Return the largest busy share of a device or a link, of what is allowed."""
    return max(
        [
            load.utilisation / device.utilisation_cap
            for device, load in zip(problem.devices, price.devices, strict=True)
        ]
        + [
            load.utilisation / link.utilisation_cap
            for link, load in zip(problem.links, price.links, strict=True)
            if problem.loads(link)
        ]
    )


def _with_loaded_limits(draw: Draw, problem: Problem, plan: Plan) -> Problem:
    """Return the problem with limits a little above (or, in some, below) what a plan has."""
    price = evaluate(problem, plan)
    squeeze = draw.chance(0.3)

    def slack() -> float:
        return draw.uniform(0.7, 1.1) if squeeze and draw.chance(0.5) else draw.uniform(1.02, 1.8)

    streams = []
    for stream, found in zip(problem.streams, price.streams, strict=True):
        tails: tuple[TailDeadline, ...] = ()
        if draw.chance(0.4):
            wanted = draw.pick(((0.95,), (0.95,), (0.99,), (0.95, 0.99)))
            known = dict(found.tails)
            tails = tuple(
                TailDeadline(probability=share, seconds=ceil3(known[share] * slack()))
                for share in wanted
            )
        deadline = ceil3(found.latency_seconds * slack()) if draw.chance(0.4) else math.inf
        streams.append(dataclasses.replace(stream, deadline_seconds=deadline, tail_deadlines=tails))
    devices = []
    for device, load in zip(problem.devices, price.devices, strict=True):
        memory, power = math.inf, math.inf
        if draw.chance(0.4):
            memory = float(math.ceil((load.memory_bytes or draw.bytes(1e6, 2e7)) * slack()))
        if load.watts and draw.chance(0.15):
            power = ceil3(load.watts * slack())
        devices.append(dataclasses.replace(device, memory_bytes=memory, power_budget_watts=power))
    power = math.fsum(load.watts for load in price.devices)
    hourly = 3600 * math.fsum(
        stream.rate_per_second * found.cost_dollars
        for stream, found in zip(problem.streams, price.streams, strict=True)
    )
    budgets = Budgets(
        power_watts=ceil3(power * slack()) if power and draw.chance(0.15) else math.inf,
        dollars_per_hour=ceil3(hourly * slack()) if hourly and draw.chance(0.15) else math.inf,
    )
    return dataclasses.replace(
        problem, devices=tuple(devices), streams=tuple(streams), budgets=budgets
    )
