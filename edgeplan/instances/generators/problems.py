"""A random problem of a kind, with the features asked for."""

from __future__ import annotations

import dataclasses
from typing import Literal

from edgeplan.instances.generators.draw import Draw
from edgeplan.instances.generators.limits import with_limits
from edgeplan.instances.generators.networks import Kind, random_network
from edgeplan.instances.generators.pipeline import random_pipeline, with_throughput
from edgeplan.instances.generators.topology import random_devices, random_links
from edgeplan.model.network import Network
from edgeplan.model.problem import Device, LayerRule, Objective, Privacy, Problem, Stream

KINDS: tuple[Kind, ...] = ("chain", "dag", "two-device", "multi-input")
PIPELINE: Kind = "pipeline"


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
    pipelined: bool = False,
    contiguous: bool = False,
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
        cut solves. ``pipeline``: the least period of one stream on accelerators and cores (see
        `random_pipeline`), limited in memory only: what a dynamic program over down-sets
        solves.
    layers, devices, streams
        Sizes: layers per network (some have one less, but not of a ``pipeline``), devices
        (``two-device`` always has 2), streams (``pipeline`` always has 1; some share a network,
        and so its weights).
    tight
        Whether memory, load, deadlines, power and money are limited (each in some problems),
        mostly so that one known random plan stays feasible.
    spans
        Whether costs are span tables instead of layer times.
    splittable
        Whether streams (most of them) may be dealt over two routes.
    pipelined
        Whether to add throughput: the problem is that without it, with a price on its period
        (in most), a minimum rate (in some that are ``tight``), devices that transfers occupy or
        that have free ports, tensors that state their time, layers that share a device, and
        contiguous routes (in some).
    contiguous
        Whether routes must be contiguous in any case.

    Returns
    -------
    Problem
        About 93 % of small problems are feasible without ``tight`` (the others miss a link, or
        rules leave a layer no device) and about 77 % with it.

    Raises
    ------
    ValueError
        If a size is too small, the kind is unknown, or a ``pipeline`` is to have spans or split
        streams.
    """
    if kind not in (*KINDS, PIPELINE):
        raise ValueError(f"unknown kind {kind!r}; choose {', '.join((*KINDS, PIPELINE))}")
    if layers < 1 or devices < 1 or streams < 1:
        raise ValueError("layers, devices and streams must be at least 1")
    if kind == PIPELINE:
        if spans or splittable:
            raise ValueError("a pipeline has layer times, and its stream is not split")
        return random_pipeline(
            Draw(seed),
            f"random-{kind}-{seed}",
            layers=layers,
            devices=devices,
            tight=tight,
            contiguous=contiguous,
        )
    draw = Draw(seed)
    machines = random_devices(
        draw, 2 if kind == "two-device" else devices, plain=_plain(kind, tight)
    )
    count = 1 if streams == 1 or draw.chance(0.5) else draw.integer(1, streams)
    networks = tuple(
        random_network(draw, f"net{index}", kind, layers, machines, spans=spans)
        for index in range(count)
    )
    problem = Problem(
        name=f"random-{kind}-{seed}",
        networks=networks,
        devices=machines,
        links=random_links(draw, machines),
        streams=tuple(
            random_stream(draw, index, networks, machines, kind, splittable=splittable)
            for index in range(streams)
        ),
        objective=random_objective(draw),
        capacity="none",
    )
    if pipelined:
        # By choices of their own: the rest stays what it is without them.
        problem = with_throughput(Draw(seed, 1), problem)
    if contiguous:
        problem = dataclasses.replace(problem, contiguous=True)
    return with_limits(draw, problem, rate=pipelined) if tight else problem


def _plain(kind: Kind, tight: bool) -> bool:
    """Say whether nothing may couple layers or streams (charges of devices that are on do)."""
    return kind == "two-device" and not tight


def random_stream(
    draw: Draw,
    index: int,
    networks: tuple[Network, ...],
    machines: tuple[Device, ...],
    kind: Kind,
    *,
    splittable: bool,
) -> Stream:
    """Return a stream without limits; see `random_problem` for the arguments."""
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


def random_objective(draw: Draw) -> Objective:
    """Return an objective of latency, energy and cost, with or without denominators."""
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
