"""Random throughput: pipelines of accelerators and cores, and its features in other problems."""

from __future__ import annotations

import dataclasses
import math

from edgeplan.instances.generators.draw import Draw, round3
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream


def random_pipeline(
    draw: Draw, name: str, *, layers: int, devices: int, tight: bool, contiguous: bool
) -> Problem:
    """Return a problem of the least period and nothing else, as planners of pipelines state it.

    One stream of a DAG of ``layers`` layers on two classes of identical devices: accelerators,
    which moving tensors occupies, and slower cores with free ports. Every tensor states its
    time; the network has no inputs and returns nothing; links neither delay nor load. Some
    layers cannot run on accelerators, some share a device.

    Parameters
    ----------
    draw
        The random choices.
    name
        Of the problem.
    layers, devices
        How many.
    tight
        Whether accelerators have little memory.
    contiguous
        Whether routes must be contiguous.
    """
    accelerators = devices if draw.chance(0.2) else draw.integer(min(1, devices - 1), devices)
    weights = tuple(0 if draw.chance(0.1) else draw.bytes(2e5, 2e7) for _ in range(layers))
    memory = math.inf
    if tight and accelerators:
        # From what is too little for a few layers to what is enough for most.
        share = draw.uniform(0.8, 1.8) / accelerators if draw.chance(0.7) else draw.uniform(0.5, 1)
        memory = float(math.ceil(max(1, sum(weights)) * share))
    machines = tuple(
        Device(name=f"accelerator{index}", memory_bytes=memory, transfers="occupy")
        for index in range(accelerators)
    ) + tuple(
        Device(name=f"core{index}", tier="edge", transfers="free_port")
        for index in range(devices - accelerators)
    )
    fast = tuple(draw.log(1e-3, 2e-2) for _ in range(layers))
    slow = LayerCosts(seconds=tuple(round3(value * draw.log(1, 10)) for value in fast))
    refuses = accelerators < devices and draw.chance(0.4)
    quick = LayerCosts(
        seconds=tuple(math.inf if refuses and draw.chance(0.15) else value for value in fast)
    )
    network = Network(
        "net0",
        tuple(Layer(name=f"l{i}", weight_bytes=size) for i, size in enumerate(weights)),
        _pipeline_tensors(draw, layers),
        {machine.name: quick if machine.transfers == "occupy" else slow for machine in machines},
    )
    stream = Stream(
        name="s0",
        network=network.name,
        origin=draw.pick(machines).name,
        rate_per_second=draw.log(0.5, 6),
        together=_groups(draw, network) if draw.chance(0.3) else (),
        returns=draw.chance(0.5),
    )
    return Problem(
        name=name,
        networks=(network,),
        devices=machines,
        links=tuple(
            Link(
                source=source.name,
                target=target.name,
                bytes_per_second=math.inf,
                contention="none",
            )
            for source in machines
            for target in machines
            if source is not target
        ),
        streams=(stream,),
        objective=Objective(latency=0.0, throughput=1.0),
        capacity="none",
        contiguous=contiguous,
    )


def _pipeline_tensors(draw: Draw, count: int) -> tuple[Tensor, ...]:
    tensors = []
    for index in range(count):
        for extra in range(2 if draw.chance(0.1) else 1):
            later = range(index + 1, count)
            consumers = [k for k in later if draw.chance(0.7 if k == index + 1 else 0.2)]
            tensors.append(
                Tensor(
                    name=f"t{index}" if extra == 0 else f"t{index}b",
                    bytes=draw.bytes(5e3, 5e5) if draw.chance(0.5) else 0,
                    producer=index,
                    consumers=tuple(consumers),
                    transfer_seconds=_transfer_seconds(draw),
                )
            )
    return tuple(tensors)


def _transfer_seconds(draw: Draw) -> float:
    return 0.0 if draw.chance(0.1) else draw.log(2e-4, 2e-2)


def _groups(draw: Draw, network: Network) -> tuple[tuple[str, ...], ...]:
    """Draw groups of layers that share a device; two of them may overlap."""
    names = [layer.name for layer in network.layers]
    groups = []
    for _ in range(draw.integer(1, 2)):
        first = draw.pick(names)
        rest = {draw.pick(names) for _ in range(draw.integer(1, 2))} - {first}
        groups.append((first, *sorted(rest)))
    return tuple(groups)


def with_throughput(draw: Draw, problem: Problem) -> Problem:
    """Return the problem with a price on its period and with what bears on the period.

    Devices that transfers occupy or that have a free port, tensors that state their time,
    layers that share a device, contiguous routes: each in some problems.
    """
    devices = tuple(
        dataclasses.replace(
            device, transfers=draw.pick(("links", "links", "occupy", "occupy", "free_port"))
        )
        for device in problem.devices
    )
    networks = []
    for network in problem.networks:
        stated = draw.pick((0.0, 0.3, 1.0))
        tensors = tuple(
            dataclasses.replace(tensor, transfer_seconds=_transfer_seconds(draw))
            if draw.chance(stated)
            else tensor
            for tensor in network.tensors
        )
        networks.append(dataclasses.replace(network, tensors=tensors))
    by_name = {network.name: network for network in networks}
    return dataclasses.replace(
        problem,
        devices=devices,
        networks=tuple(networks),
        streams=tuple(
            dataclasses.replace(stream, together=_groups(draw, by_name[stream.network]))
            if draw.chance(0.3)
            else stream
            for stream in problem.streams
        ),
        objective=_priced(draw, problem.objective),
        contiguous=draw.chance(0.4),
    )


def _priced(draw: Draw, objective: Objective) -> Objective:
    """Return an objective with the period in it, alone or beside what was there."""
    scale = draw.log(0.01, 0.2) if draw.chance(0.4) else 1.0
    if draw.chance(0.4):
        return Objective(
            latency=0.0,
            throughput=1.0,
            throughput_denominator_seconds=scale,
            aggregate=objective.aggregate,
        )
    # In few problems the period is limited, but has no price.
    weight = draw.pick((0.0, 0.5, 1.0, 3.0, 10.0))
    return dataclasses.replace(objective, throughput=weight, throughput_denominator_seconds=scale)
