"""Random networks: layers, the tensors between them, and what they cost on each device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from edgeplan.instances.generators.draw import Draw, round3
from edgeplan.model.network import Costs, Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.problem import Device

Kind = Literal["chain", "dag", "two-device", "multi-input", "pipeline"]


def random_network(
    draw: Draw,
    name: str,
    kind: Kind,
    layers: int,
    machines: tuple[Device, ...],
    *,
    spans: bool,
) -> Network:
    """Return a network of a kind, with costs on most of the devices.

    Parameters
    ----------
    draw
        The random choices.
    name
        Of the network.
    kind
        See `random_problem`.
    layers
        How many; some have one less.
    machines
        The devices.
    spans
        Whether costs are span tables.
    """
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


def _chain_tensors(draw: Draw, count: int) -> tuple[Tensor, ...]:
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


def _dag_tensors(draw: Draw, count: int, kind: Kind) -> tuple[Tensor, ...]:
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


def _layer_costs(draw: Draw, seconds: list[float], device: Device, *, boundary: bool) -> LayerCosts:
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


def _span_costs(draw: Draw, seconds: list[float], device: Device) -> SpanCosts:
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
