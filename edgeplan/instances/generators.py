"""Random small problems that together touch every feature of a problem.

Values have the magnitudes of real ones (milliseconds, megabytes, joules, rates of a few per
second) and three significant digits. A problem is drawn without limits first; a few random
plans are priced by the evaluator, and limits are then put around the price of the cheapest one
that can run: mostly a little above (so that this plan witnesses that the problem is feasible),
sometimes below.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.network import Costs, Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Privacy,
    Problem,
    Stream,
)

Kind = Literal["chain", "dag", "two-device", "multi-input"]
KINDS: tuple[Kind, ...] = ("chain", "dag", "two-device", "multi-input")

_TIERS = ("device", "edge", "cloud")
_ZONES = {"device": "home", "edge": "site", "cloud": "public"}
_REFERENCE_PLANS = 40
_T = TypeVar("_T")


def random_problem(
    seed: int,
    *,
    kind: Kind = "chain",
    layers: int = 4,
    devices: int = 3,
    streams: int = 2,
    tight: bool = True,
    spans: bool = False,
    splittable: bool = False,
) -> Problem:
    """Return a random problem; equal arguments give an equal problem.

    Parameters
    ----------
    seed
        Of every random choice.
    kind
        ``chain``: each layer reads just the tensor made before it (some tensors are graph
        outputs too). ``dag``: skip tensors, several tensors per layer, inputs read late.
        ``multi-input``: a DAG with two or three graph inputs, some at home elsewhere than the
        origin. ``two-device``: a DAG on two devices, additive layer times without boundary
        cost, and without ``tight`` nothing that couples streams or layers: what a minimum
        cut solves.
    layers, devices, streams
        Sizes: layers per network (some have one less), devices (``two-device``
        always has 2), streams (some share a network, and so its weights).
    tight
        Whether memory, load, deadlines, power and money are limited (each in some problems),
        mostly so that one known random plan stays feasible.
    spans
        Whether costs are span tables instead of layer times.
    splittable
        Whether streams (most of them) may be dealt over two routes.

    Returns
    -------
    Problem
        About 93 % of small problems are feasible without ``tight`` (the others miss a link, or
        rules leave a layer no device) and about 77 % with it.

    Raises
    ------
    ValueError
        If a size is too small or the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose {', '.join(KINDS)}")
    if layers < 1 or devices < 1 or streams < 1:
        raise ValueError("layers, devices and streams must be at least 1")
    draw = _Draw(seed)
    machines = _devices(draw, 2 if kind == "two-device" else devices, plain=_plain(kind, tight))
    count = 1 if streams == 1 or draw.chance(0.5) else draw.integer(1, streams)
    networks = tuple(
        _network(draw, f"net{index}", kind, layers, machines, spans=spans) for index in range(count)
    )
    problem = Problem(
        name=f"random-{kind}-{seed}",
        networks=networks,
        devices=machines,
        links=_links(draw, machines),
        streams=tuple(
            _stream(draw, index, networks, machines, kind, splittable=splittable)
            for index in range(streams)
        ),
        objective=_objective(draw),
        capacity="none",
    )
    return _with_limits(draw, problem) if tight else problem


def random_plan(problem: Problem, seed: int, *, stages: int | None = None) -> Plan:
    """Return a random plan over devices that may run each layer; limits may be broken.

    Parameters
    ----------
    problem
        The problem.
    seed
        Of every random choice.
    stages
        Largest number of stages of a route; ``None`` for any.

    Returns
    -------
    Plan
        One route per stream, or two where the stream may be split and the coin says so. A
        layer that no device may run is put on the origin.
    """
    return _random_plan(_Draw(seed), problem, stages)


def _plain(kind: Kind, tight: bool) -> bool:
    """Say whether nothing may couple layers or streams (charges of devices that are on do)."""
    return kind == "two-device" and not tight


class _Draw:
    """Random values with three significant digits, as Python numbers."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high + 1))

    def uniform(self, low: float, high: float) -> float:
        return round3(float(self._rng.uniform(low, high)))

    def log(self, low: float, high: float) -> float:
        """Draw evenly on a logarithmic scale."""
        return round3(math.exp(float(self._rng.uniform(math.log(low), math.log(high)))))

    def bytes(self, low: float, high: float) -> int:
        return int(self.log(low, high))

    def pick(self, items: Sequence[_T]) -> _T:
        return items[int(self._rng.integers(len(items)))]


def round3(value: float) -> float:
    """Return the value with three significant digits.

    Examples
    --------
    >>> round3(0.0123456), round3(98765.0)
    (0.0123, 98800.0)
    """
    return float(f"{value:.3g}")


def _devices(draw: _Draw, count: int, *, plain: bool) -> tuple[Device, ...]:
    machines = []
    for index in range(count):
        level = 0 if index == 0 else 2 if index == count - 1 else 1
        if count > 3 and index == count - 2 and draw.chance(0.3):
            level = 2
        tier = _TIERS[level]
        active = draw.log(*((2, 10), (15, 80), (60, 300))[level])
        idle = round3(active * draw.uniform(0.1, 0.6))
        provisioned = level > 0 and draw.chance(0.4) and not plain
        serverless = level > 0 and not provisioned
        machines.append(
            Device(
                name=f"{tier}{index}",
                tier=tier,
                zone=_ZONES[tier],
                active_watts=active,
                idle_watts=idle,
                charge_idle=draw.chance(0.3) and not plain,
                dollars_per_second=draw.log(1e-5, 4e-4) if serverless else 0.0,
                dollars_per_hour=draw.log(0.05, 1.5) if provisioned else 0.0,
                dollars_per_request=(
                    draw.log(2e-7, 5e-6) if serverless and draw.chance(0.4) and not plain else 0.0
                ),
                dollars_per_joule=draw.log(3e-8, 1e-7) if draw.chance(0.3) else 0.0,
                replicas=draw.integer(2, 3) if level > 0 and draw.chance(0.2) else 1,
                utilisation_cap=draw.pick((0.95, 0.9, 0.8)),
            )
        )
    return tuple(machines)


def _links(draw: _Draw, machines: tuple[Device, ...]) -> tuple[Link, ...]:
    links = []
    missing = 0.1 if len(machines) > 2 else 0.02
    for source in machines:
        for target in machines:
            if source is target or draw.chance(missing):
                continue
            wan = "cloud" in (source.tier, target.tier)
            wireless = "device" in (source.tier, target.tier)
            links.append(
                Link(
                    source=source.name,
                    target=target.name,
                    bytes_per_second=draw.log(1e6, 2e7) if wireless else draw.log(1e7, 1.2e8),
                    latency_seconds=draw.log(5e-3, 4e-2) if wan else draw.log(2e-4, 4e-3),
                    send_joules_per_byte=draw.log(2e-8, 5e-7) if wireless else 0.0,
                    receive_joules_per_byte=draw.log(1e-8, 2e-7) if draw.chance(0.4) else 0.0,
                    dollars_per_byte=(
                        draw.log(2e-11, 9e-11)
                        if source.tier == "cloud" or draw.chance(0.2)
                        else 0.0
                    ),
                    utilisation_cap=draw.pick((0.95, 0.9, 0.7)),
                    contention="none" if draw.chance(0.2) else "shared",
                )
            )
    return tuple(links)


def _network(
    draw: _Draw,
    name: str,
    kind: Kind,
    layers: int,
    machines: tuple[Device, ...],
    *,
    spans: bool,
) -> Network:
    count = layers - 1 if layers > 2 and draw.chance(0.3) else layers
    tensors = _chain_tensors(draw, count) if kind == "chain" else _dag_tensors(draw, count, kind)
    parts = tuple(
        Layer(
            name=f"l{index}",
            weight_bytes=0 if draw.chance(0.15) else draw.bytes(2e5, 2e7),
            activation_bytes=draw.bytes(1e5, 4e6),
        )
        for index in range(count)
    )
    # Work of a layer: seconds on the slowest device.
    work = [draw.log(4e-3, 4e-2) for _ in range(count)]
    costs: dict[str, Costs] = {}
    for index, device in enumerate(machines):
        if index and len(machines) > 2 and draw.chance(0.05):
            continue  # this device has no time for the network
        speed = draw.log(*{"device": (0.8, 1.6), "edge": (2, 6), "cloud": (6, 25)}[device.tier])
        seconds = [round3(value / speed * draw.uniform(0.6, 1.5)) for value in work]
        costs[device.name] = (
            _span_costs(draw, seconds, device)
            if spans
            else _layer_costs(draw, seconds, device, boundary=kind != "two-device")
        )
    return Network(name, parts, tensors, costs)


def _chain_tensors(draw: _Draw, count: int) -> tuple[Tensor, ...]:
    tensors = [Tensor(name="in", bytes=draw.bytes(3e4, 6e5), producer=None, consumers=(0,))]
    for index in range(count):
        last = index == count - 1
        tensors.append(
            Tensor(
                name=f"t{index}",
                bytes=draw.bytes(1e3, 1e4) if last else draw.bytes(5e3, 5e5),
                producer=index,
                consumers=() if last else (index + 1,),
                output=last or draw.chance(0.15),
            )
        )
    return tuple(tensors)


def _dag_tensors(draw: _Draw, count: int, kind: Kind) -> tuple[Tensor, ...]:
    consumers: dict[str, set[int]] = {}
    producer: dict[str, int | None] = {}
    inputs = draw.integer(2, 3) if kind == "multi-input" else 1
    for index in range(inputs):
        name = f"in{index}" if inputs > 1 else "in"
        producer[name] = None
        consumers[name] = {0 if index == 0 else draw.integer(0, count - 1)}
        if draw.chance(0.25):
            consumers[name].add(draw.integer(0, count - 1))
    for index in range(count):
        for extra in range(2 if draw.chance(0.2) else 1):
            name = f"t{index}" if extra == 0 else f"t{index}b"
            producer[name] = index
            later = range(index + 1, count)
            consumers[name] = {k for k in later if draw.chance(0.7 if k == index + 1 else 0.2)}
    fed = {layer for layers in consumers.values() for layer in layers}
    for layer in range(count):
        if layer not in fed:
            earlier = [name for name, made in producer.items() if made is None or made < layer]
            consumers[draw.pick(earlier)].add(layer)
    return tuple(
        Tensor(
            name=name,
            bytes=(
                draw.bytes(3e4, 6e5)
                if made is None
                else draw.bytes(5e3, 5e5)
                if consumers[name]
                else draw.bytes(1e3, 1e4)
            ),
            producer=made,
            consumers=tuple(sorted(consumers[name])),
            output=made is not None and (not consumers[name] or draw.chance(0.15)),
        )
        for name, made in producer.items()
    )


def _layer_costs(
    draw: _Draw, seconds: list[float], device: Device, *, boundary: bool
) -> LayerCosts:
    cannot = device.tier == "device" or draw.chance(0.3)
    times = tuple(math.inf if cannot and draw.chance(0.06) else value for value in seconds)
    return LayerCosts(
        seconds=times,
        boundary_seconds=draw.log(1e-4, 2e-3) if boundary and draw.chance(0.7) else 0.0,
        cv2=draw.log(1e-3, 0.3) if draw.chance(0.5) else 0.0,
        joules=(
            tuple(round3(value * device.active_watts * draw.uniform(0.6, 1)) for value in seconds)
            if draw.chance(0.2)
            else None
        ),
        dollars=(
            tuple(round3(value * draw.log(1e-5, 4e-4)) for value in seconds)
            if draw.chance(0.15)
            else None
        ),
        memory_bytes=(tuple(draw.bytes(2e5, 2e7) for _ in seconds) if draw.chance(0.15) else None),
    )


def _span_costs(draw: _Draw, seconds: list[float], device: Device) -> SpanCosts:
    count = len(seconds)
    overhead = draw.log(1e-4, 2e-3)

    def span(first: int, stop: int) -> float:
        # Fusion across layers makes a long span cheaper than the sum of its layers.
        together = math.fsum(seconds[first:stop]) * (1 - 0.04 * (stop - first - 1) / count)
        return round3(overhead + together * draw.uniform(0.95, 1.05))

    def table(
        value: Sequence[Sequence[float]], low: float, high: float
    ) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(round3(entry * draw.log(low, high)) for entry in row) for row in value)

    times = tuple(
        tuple(span(first, stop) for stop in range(first + 1, count + 1)) for first in range(count)
    )
    ones = tuple((1.0,) * (count - first) for first in range(count))
    cannot = draw.chance(0.3)
    return SpanCosts(
        seconds=tuple(
            tuple(math.inf if cannot and draw.chance(0.1) else value for value in row)
            for row in times
        ),
        cv2=table(ones, 1e-3, 0.3) if draw.chance(0.5) else (),
        joules=(
            table(times, 0.6 * device.active_watts, device.active_watts)
            if draw.chance(0.3)
            else None
        ),
        dollars=table(times, 1e-5, 4e-4) if draw.chance(0.15) else None,
        memory_bytes=(tuple(draw.bytes(2e5, 2e7) for _ in seconds) if draw.chance(0.15) else None),
    )


def _stream(
    draw: _Draw,
    index: int,
    networks: tuple[Network, ...],
    machines: tuple[Device, ...],
    kind: Kind,
    *,
    splittable: bool,
) -> Stream:
    network = draw.pick(networks)
    names = [layer.name for layer in network.layers]
    origin = machines[0] if draw.chance(0.85) else draw.pick(machines)
    homes: dict[str, str] = {}
    if kind == "multi-input":
        for tensor in network.inputs:
            if draw.chance(0.5):
                homes[tensor.name] = draw.pick(machines).name
    holders = {origin.zone} | {device.zone for device in machines if device.name in homes.values()}
    privacy = None
    if draw.chance(0.3):
        extra = draw.pick(machines).zone
        privacy = Privacy(
            zones=tuple(sorted(holders | ({extra} if draw.chance(0.5) else set()))),
            before=draw.pick(names) if draw.chance(0.7) else None,
        )
    pins: tuple[LayerRule, ...] = ()
    if draw.chance(0.15):
        allowed = {draw.pick(machines).name, draw.pick(machines).name}
        layers = (draw.pick(names),) if draw.chance(0.8) else None
        pins = (LayerRule(devices=tuple(sorted(allowed)), layers=layers),)
    bans: tuple[LayerRule, ...] = ()
    if draw.chance(0.15):
        layers = (draw.pick(names),) if draw.chance(0.7) else None
        bans = (LayerRule(devices=(draw.pick(machines).name,), layers=layers),)
    return Stream(
        name=f"s{index}",
        network=network.name,
        origin=origin.name,
        rate_per_second=draw.log(0.5, 6),
        privacy=privacy,
        pins=pins,
        bans=bans,
        homes=homes,
        returns=not draw.chance(0.25),
        waits=draw.chance(0.4),
        splittable=splittable and draw.chance(0.8),
    )


def _objective(draw: _Draw) -> Objective:
    aggregate: Literal["mean", "total"] = "total" if draw.chance(0.4) else "mean"
    if draw.chance(0.3):
        return Objective(
            latency=1.0,
            energy=draw.pick((0.0, 0.5, 1.0)),
            cost=draw.pick((0.0, 0.5, 1.0)),
            latency_denominator_seconds=draw.log(0.05, 0.5),
            energy_denominator_joules=draw.log(0.2, 5),
            cost_denominator_dollars=draw.log(1e-6, 1e-4),
            aggregate=aggregate,
        )
    weights = draw.pick(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1.0, 0.05, 1000.0), (1.0, 0.2, 100.0)))
    return Objective(latency=weights[0], energy=weights[1], cost=weights[2], aggregate=aggregate)


def _with_limits(draw: _Draw, problem: Problem) -> Problem:
    """Return the problem with limits around the cheapest of a few random plans."""
    best: tuple[float, Plan, Evaluation] | None = None
    for number in range(_REFERENCE_PLANS):
        plan = _random_plan(draw, problem, 1 + number % 3)
        price = evaluate(problem, plan)
        if price.feasible and (best is None or price.objective < best[0]):
            best = (price.objective, plan, price)
    if best is None:
        # Nothing that can run was found; the problem is hard, or infeasible, as it stands.
        return dataclasses.replace(problem, capacity="utilisation")
    price = best[2]
    squeeze = draw.chance(0.35)

    def slack() -> float:
        """Draw a factor: a little above 1, or (in squeezed problems) perhaps below."""
        return draw.uniform(0.6, 1.1) if squeeze and draw.chance(0.5) else draw.uniform(1.02, 1.6)

    devices = []
    for device, load in zip(problem.devices, price.devices, strict=True):
        memory = device.memory_bytes
        if draw.chance(0.6):
            memory = float(math.ceil((load.memory_bytes or draw.bytes(1e6, 2e7)) * slack()))
        powered = bool(load.watts) and draw.chance(0.2)
        devices.append(
            dataclasses.replace(
                device,
                memory_bytes=memory,
                # Any finite mark: the figure follows below, from the final rates.
                power_budget_watts=1.0 if powered else math.inf,
            )
        )
    deadlines = {
        stream.name: _ceil3(stream.latency_seconds * slack()) if draw.chance(0.5) else math.inf
        for stream in price.streams
    }
    # Load: scale all rates so that the busiest resource of the reference plan is this busy.
    capped = [
        load.utilisation / device.utilisation_cap
        for device, load in zip(problem.devices, price.devices, strict=True)
    ] + [
        load.utilisation / link.utilisation_cap
        for link, load in zip(problem.links, price.links, strict=True)
        if link.contention == "shared"
    ]
    busiest = max(capped)
    limited = draw.chance(0.7)
    scale = draw.uniform(0.4, 0.95) / busiest if limited and busiest else 1.0
    limited = limited or busiest <= 1
    streams = tuple(
        dataclasses.replace(
            stream,
            rate_per_second=round3(stream.rate_per_second * scale),
            deadline_seconds=deadlines[stream.name],
        )
        for stream in problem.streams
    )
    loaded = dataclasses.replace(
        problem,
        devices=tuple(devices),
        streams=streams,
        capacity="utilisation" if limited else "none",
    )
    # Power and money follow the rates, so they are priced again.
    again = evaluate(loaded, best[1])
    power = math.fsum(load.watts for load in again.devices)
    devices = [
        dataclasses.replace(
            device,
            power_budget_watts=_ceil3(load.watts * slack())
            if math.isfinite(device.power_budget_watts)
            else math.inf,
        )
        for device, load in zip(devices, again.devices, strict=True)
    ]
    hourly = 3600 * math.fsum(
        stream.rate_per_second * price.cost_dollars
        for stream, price in zip(streams, again.streams, strict=True)
    )
    budgets = Budgets(
        power_watts=_ceil3(power * slack()) if power and draw.chance(0.2) else math.inf,
        dollars_per_hour=_ceil3(hourly * slack()) if hourly and draw.chance(0.2) else math.inf,
    )
    return dataclasses.replace(loaded, devices=tuple(devices), budgets=budgets)


def _ceil3(value: float) -> float:
    """Return a value of three significant digits that is not below."""
    rounded = round3(value)
    return rounded if rounded >= value else round3(value * 1.005)


def _random_plan(draw: _Draw, problem: Problem, stages: int | None) -> Plan:
    return Plan(
        routes={
            stream.name: _random_routes(draw, problem, stream, stages) for stream in problem.streams
        }
    )


def _random_routes(
    draw: _Draw, problem: Problem, stream: Stream, stages: int | None
) -> tuple[Route, ...]:
    allowed = problem.allowed(stream)
    split = stream.route_limit > 1 and draw.chance(0.5)
    fraction = draw.uniform(0.1, 0.9)
    fractions = (fraction, 1 - fraction) if split else (1.0,)
    return tuple(
        Route(devices=_random_devices(draw, stream, allowed, stages), fraction=share)
        for share in fractions
    )


def _random_devices(
    draw: _Draw, stream: Stream, allowed: tuple[tuple[str, ...], ...], stages: int | None
) -> tuple[str, ...]:
    switches = len(allowed) if stages is None else stages
    devices: list[str] = []
    used = 0
    for choices in allowed:
        options = choices or (stream.origin,)
        stay = bool(devices) and devices[-1] in options
        if stay and (used >= switches or draw.chance(0.6)):
            devices.append(devices[-1])
            continue
        devices.append(draw.pick(options))
        used += len(devices) < 2 or devices[-1] != devices[-2]
    return tuple(devices)
