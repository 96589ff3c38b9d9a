"""Problems on two devices for the minimum cut, and every plan of one."""

import dataclasses
import itertools
import math
import random

from edgeplan.instances.generators import random_problem
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import (
    Device,
    LayerRule,
    Link,
    Objective,
    Problem,
    Stream,
)
from edgeplan.solvers.mincut.charges import (
    cut_devices,
)


def two(tensors=None, *, up=None, down=None, links=(0, 1), third=(), costs=None, more=(), **stream):
    """Layers of 1 s on o and 1/4 s on b; links of 256 B/s, 1/8 s to b and 1/4 s back.

    As in the conformance suite: oo 2, bb 1.1875, ob 1.8125, bo 2 with the tensors of a chain.
    """
    tensors = tensors or (
        Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
        Tensor(name="t", bytes=32, producer=0, consumers=(1,)),
        Tensor(name="out", bytes=16, producer=1, output=True),
    )
    count = 1 + max(t.producer for t in tensors if t.producer is not None)
    ways = (
        Link(source="o", target="b", bytes_per_second=256.0, latency_seconds=1 / 8, **(up or {})),
        Link(source="b", target="o", bytes_per_second=256.0, latency_seconds=1 / 4, **(down or {})),
        *third,
    )
    known = ("objective", "budgets", "capacity")
    problem = {key: stream.pop(key) for key in known if key in stream}
    devices = {key: stream.pop(key, {}) for key in ("o", "b")}
    return Problem(
        networks=(
            Network(
                "n",
                tuple(
                    Layer(name=f"l{i}", weight_bytes=100, activation_bytes=10) for i in range(count)
                ),
                tensors,
                costs
                or {
                    "o": LayerCosts(seconds=(1.0,) * count),
                    "b": LayerCosts(seconds=(0.25,) * count),
                },
            ),
        ),
        devices=(
            Device(name="o", zone="home", **devices["o"]),
            Device(name="b", zone="public", **devices["b"]),
            *more,
        ),
        links=tuple(way for i, way in enumerate(ways) if i > 1 or i in links),
        streams=(
            Stream(**{"name": "s", "network": "n", "origin": "o", "rate_per_second": 0.5} | stream),
        ),
        **{"capacity": "none"} | problem,
    )


def pin(layer, *devices):
    return LayerRule(devices=devices, layers=(layer,))


def varied(seed):
    """A problem without limits on two devices (of at most three), with everything else.

    More results, also such with readers; layers that share a device; stated transfer times;
    inputs at home on either device or on a third one, which may be the origin too; devices that
    cost by being on.
    """
    chance = random.Random(seed)
    kind = chance.choice(("two-device", "dag", "multi-input", "chain"))
    problem = random_problem(
        seed,
        kind=kind,
        layers=chance.randint(2, 5),
        devices=2,
        streams=chance.choice((1, 1, 2)),
        tight=False,
    )
    networks = tuple(
        dataclasses.replace(
            network,
            tensors=tuple(
                dataclasses.replace(
                    tensor,
                    output=tensor.output or chance.random() < 0.35,
                    transfer_seconds=chance.uniform(1e-3, 0.1) if chance.random() < 0.2 else None,
                )
                for tensor in network.tensors
            ),
        )
        for network in problem.networks
    )
    third = chance.random() < 0.35
    devices, links = problem.devices, problem.links
    if third:
        # Linked as the middle one of three devices is; no network has a time on it.
        donor = random_problem(seed, kind="dag", layers=2, devices=3, streams=1, tight=False)
        names = (devices[0].name, "third", devices[1].name)
        name = dict(zip((device.name for device in donor.devices), names, strict=True))
        devices += (dataclasses.replace(donor.devices[1], name="third", zone="anywhere"),)
        links += tuple(
            dataclasses.replace(link, source=name[link.source], target=name[link.target])
            for link in donor.links
            if "third" in (name[link.source], name[link.target])
        )
    groups = {
        network.name: (tuple(layer.name for layer in chance.sample(network.layers, 2)),)
        for network in networks
        if len(network.layers) > 1
    }
    streams = tuple(
        dataclasses.replace(
            stream,
            together=groups.get(stream.network, ()) if chance.random() < 0.3 else (),
            # A private input must not lie just anywhere.
            privacy=None if third else stream.privacy,
            origin="third" if third and chance.random() < 0.4 else stream.origin,
            homes={
                tensor.name: chance.choice(devices).name
                for network in problem.networks
                if network.name == stream.network
                for tensor in network.inputs
                if stream.privacy is None and chance.random() < 0.6
            },
        )
        for stream in problem.streams
    )
    zones = {zone for stream in problem.streams if stream.privacy for zone in stream.privacy.zones}
    if zones and not third:
        networks = problem.networks  # a tagged result may not return just anywhere
    return dataclasses.replace(
        problem, networks=networks, devices=devices, links=links, streams=streams
    )


def all_plans(problem):
    devices = cut_devices(problem)
    routes = [
        itertools.product(devices, repeat=len(problem.network[stream.network].layers))
        for stream in problem.streams
    ]
    for pick in itertools.product(*routes):
        yield Plan(
            routes={
                stream.name: (Route(devices=devices),)
                for stream, devices in zip(problem.streams, pick, strict=True)
            }
        )


def large(seed, *, layers, streams=1):
    """A DAG of layers that read one to three earlier tensors, mostly near ones."""
    chance = random.Random(seed)
    readers = {made: set() for made in range(-1, layers)}
    for layer in range(layers):
        readers[layer - 1].add(layer)
        for _ in range(chance.randint(0, 2)):
            readers[max(-1, layer - 1 - int(chance.expovariate(1 / 20)))].add(layer)
    tensors = tuple(
        Tensor(
            name=f"t{made}",
            bytes=int(math.exp(chance.uniform(8, 14))),
            producer=None if made < 0 else made,
            consumers=tuple(sorted(layers_after)),
            output=not layers_after,
        )
        for made, layers_after in readers.items()
    )
    near = [math.exp(chance.uniform(-8, -4)) for _ in range(layers)]
    far = [seconds / chance.uniform(0.5, 20) for seconds in near]
    costs = {
        "o": LayerCosts(seconds=tuple(near), boundary_seconds=1e-4),
        "b": LayerCosts(seconds=tuple(far), boundary_seconds=1e-4),
    }
    network = Network("n", tuple(Layer(name=f"l{i}") for i in range(layers)), tensors, costs)
    return Problem(
        networks=(network,),
        devices=(
            Device(name="o", active_watts=2.0, idle_watts=1.0),
            Device(name="b", active_watts=60.0, dollars_per_hour=0.1),
        ),
        links=(
            Link(source="o", target="b", bytes_per_second=2e7, latency_seconds=1e-3),
            Link(source="b", target="o", bytes_per_second=4e7, latency_seconds=1e-3),
        ),
        streams=tuple(
            Stream(name=f"s{i}", network="n", origin="o", rate_per_second=1.0 + i, waits=True)
            for i in range(streams)
        ),
        objective=Objective(latency=1.0, energy=0.05, cost=100.0),
        capacity="none",
    )
