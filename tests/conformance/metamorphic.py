"""What must happen to the optimum when a problem changes (DESIGN §9).

Each property makes two problems of one and says how their optima compare.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from edgeplan.model.network import Costs, Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import LayerRule, Problem, Stream

Relation = Literal["same", "at most", "at least"]


@dataclass(frozen=True)
class Pair:
    """A problem, another, and what the other's optimum is of the first's times a factor."""

    first: Problem
    other: Problem
    relation: Relation
    factor: float = 1.0

    def holds(self, first: float, other: float, tolerance: float = 1e-6) -> bool:
        """Whether two optima (`inf` where there is no plan) are related as they must be."""
        expected = first * self.factor
        if expected == other:
            return True
        slack = tolerance * abs(expected)
        not_above = other <= expected + slack
        not_below = other >= expected - slack
        return {
            "same": not_above and not_below,
            "at most": not_above,
            "at least": not_below,
        }[self.relation]


def each(item: Any, **factors: float) -> Any:
    """Return an item with some of its numbers multiplied."""
    return dataclasses.replace(
        item, **{key: getattr(item, key) * factor for key, factor in factors.items()}
    )


def with_deadlines(stream: Stream, factor: float) -> Stream:
    """Return a stream with other deadlines, on the mean and on percentiles."""
    tails = tuple(each(tail, seconds=factor) for tail in stream.tail_deadlines)
    return dataclasses.replace(each(stream, deadline_seconds=factor), tail_deadlines=tails)


def _tensors(problem: Problem, change: Callable[[Tensor], Tensor]) -> tuple[Network, ...]:
    return tuple(
        dataclasses.replace(network, tensors=tuple(map(change, network.tensors)))
        for network in problem.networks
    )


def _seconds(tensor: Tensor, factor: float) -> Tensor:
    if tensor.transfer_seconds is None:
        return tensor
    return each(tensor, transfer_seconds=factor)


# --- the optimum can only fall ------------------------------------------------------------------


def more_bandwidth(problem: Problem, draw: Random) -> Pair:
    """Faster links, and stated times of tensors that are shorter likewise."""
    factor = draw.choice([1.5, 10.0, math.inf])
    faster = dataclasses.replace(
        problem,
        links=tuple(each(link, bytes_per_second=factor) for link in problem.links),
        networks=_tensors(problem, lambda tensor: _seconds(tensor, 1 / factor)),
    )
    return Pair(problem, faster, "at most")


def looser_limits(problem: Problem, draw: Random) -> Pair:
    """More memory, power, time and money, and a lower rate to be carried."""
    factor = draw.choice([1.1, 2.0, math.inf])
    looser = dataclasses.replace(
        problem,
        devices=tuple(
            each(device, memory_bytes=factor, power_budget_watts=factor)
            for device in problem.devices
        ),
        streams=tuple(with_deadlines(stream, factor) for stream in problem.streams),
        budgets=each(
            problem.budgets,
            power_watts=factor,
            dollars_per_hour=factor,
            min_rate_per_second=1 / factor,
        ),
    )
    return Pair(problem, looser, "at most")


def fewer_rules(problem: Problem, draw: Random) -> Pair:
    """Without one of: contiguity, groups, pins, bans, privacy, limits of load."""
    rules = ["contiguous", "together", "pins", "bans", "privacy"]
    # Where requests wait, load is limited.
    rule = draw.choice(rules if problem.waiting != "none" else [*rules, "capacity"])
    if rule == "contiguous":
        return Pair(problem, dataclasses.replace(problem, contiguous=False), "at most")
    if rule == "capacity":
        return Pair(problem, dataclasses.replace(problem, capacity="none"), "at most")
    nothing: dict[str, Any] = {rule: None if rule == "privacy" else ()}
    streams = tuple(dataclasses.replace(stream, **nothing) for stream in problem.streams)
    return Pair(problem, dataclasses.replace(problem, streams=streams), "at most")


def lighter_transfers(problem: Problem, draw: Random) -> Pair:
    """A device occupied by transfers no longer is; or one has a free port that had none."""
    index = draw.randrange(len(problem.devices))
    devices = list(problem.devices)
    lighter: Literal["links", "free_port"] = (
        "links" if devices[index].transfers == "occupy" else "free_port"
    )
    devices[index] = dataclasses.replace(devices[index], transfers=lighter)
    return Pair(problem, dataclasses.replace(problem, devices=tuple(devices)), "at most")


def a_twin(problem: Problem, draw: Random) -> Pair:
    """A copy of a device under another name, linked likewise, is a choice more."""
    first = draw.choice(problem.devices)
    links = []
    for link in problem.links:
        if first.name in (link.source, link.target):
            ends = {
                key: "twin" if getattr(link, key) == first.name else getattr(link, key)
                for key in ("source", "target")
            }
            links.append(dataclasses.replace(link, **ends))
    networks = tuple(
        dataclasses.replace(
            network,
            costs={
                **network.costs,
                **({"twin": network.costs[first.name]} if first.name in network.costs else {}),
            },
        )
        for network in problem.networks
    )
    doubled = dataclasses.replace(
        problem,
        networks=networks,
        devices=(*problem.devices, dataclasses.replace(first, name="twin")),
        links=(*problem.links, *links),
    )
    return Pair(problem, doubled, "at most")


# --- the optimum can only rise ------------------------------------------------------------------


def more_rules(problem: Problem, draw: Random) -> Pair:
    """Contiguous, or two layers of a stream together."""
    if draw.random() < 0.5:
        return Pair(problem, dataclasses.replace(problem, contiguous=True), "at least")
    streams = list(problem.streams)
    index = draw.randrange(len(streams))
    names = [layer.name for layer in problem.network[streams[index].network].layers]
    pair = tuple(draw.sample(names, min(2, len(names))))
    streams[index] = dataclasses.replace(streams[index], together=(*streams[index].together, pair))
    return Pair(problem, dataclasses.replace(problem, streams=tuple(streams)), "at least")


# --- the optimum stays --------------------------------------------------------------------------


def permuted(problem: Problem, draw: Random) -> Pair:
    """The order of devices, links, networks, streams and tensors means nothing."""

    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(draw.sample(items, len(items)))

    networks = tuple(
        dataclasses.replace(
            network,
            tensors=shuffled(network.tensors),
            costs=dict(shuffled(tuple(network.costs.items()))),
        )
        for network in shuffled(problem.networks)
    )
    return Pair(
        problem,
        dataclasses.replace(
            problem,
            networks=networks,
            devices=shuffled(problem.devices),
            links=shuffled(problem.links),
            streams=shuffled(problem.streams),
        ),
        "same",
    )


def renamed(problem: Problem, draw: Random) -> Pair:
    """Names of devices mean nothing; these come in the opposite alphabetical order."""
    count = len(problem.devices)
    name = {device.name: f"d{count - i}" for i, device in enumerate(problem.devices)}

    def rules(given: tuple[LayerRule, ...]) -> tuple[LayerRule, ...]:
        return tuple(
            dataclasses.replace(rule, devices=tuple(name[d] for d in rule.devices))
            for rule in given
        )

    return Pair(
        problem,
        dataclasses.replace(
            problem,
            networks=tuple(
                dataclasses.replace(n, costs={name[d]: costs for d, costs in n.costs.items()})
                for n in problem.networks
            ),
            devices=tuple(dataclasses.replace(d, name=name[d.name]) for d in problem.devices),
            links=tuple(
                dataclasses.replace(k, source=name[k.source], target=name[k.target])
                for k in problem.links
            ),
            streams=tuple(
                dataclasses.replace(
                    s,
                    origin=name[s.origin],
                    homes={tensor: name[home] for tensor, home in s.homes.items()},
                    pins=rules(s.pins),
                    bans=rules(s.bans),
                )
                for s in problem.streams
            ),
        ),
        "same",
    )


def other_units(problem: Problem, draw: Random) -> Pair:
    """A second is 1000 of a smaller unit, and so on."""
    return Pair(
        problem,
        scaled(
            problem,
            second=draw.choice([0.5, 1.0, 1000.0]),
            byte=draw.choice([1, 8, 1024]),
            joule=draw.choice([0.25, 1.0, 3.6]),
            dollar=draw.choice([1.0, 100.0]),
        ),
        "same",
    )


def dearer(problem: Problem, draw: Random) -> Pair:
    """All weights of the objective times a factor."""
    factor = draw.choice([1e-3, 7.0, 1e3])
    objective = each(
        problem.objective, latency=factor, energy=factor, cost=factor, throughput=factor
    )
    return Pair(problem, dataclasses.replace(problem, objective=objective), "same", factor)


def without_the_useless(problem: Problem, draw: Random) -> Pair:
    """A device that no layer can run on, an unread tensor and an unused network change nothing."""
    host = draw.choice(problem.devices)
    extra = dataclasses.replace(host, name="useless")
    links = tuple(
        dataclasses.replace(link, target="useless")
        for link in problem.links
        if link.target == host.name
    )
    spare = dataclasses.replace(problem.networks[0], name="spare")
    networks = tuple(
        dataclasses.replace(
            network,
            tensors=(
                *network.tensors,
                Tensor(
                    name="unread",
                    bytes=10**9,
                    producer=draw.randrange(len(network.layers)),
                    transfer_seconds=draw.choice([None, 1e3]),
                ),
            ),
        )
        for network in problem.networks
    )
    return Pair(
        problem,
        dataclasses.replace(
            problem,
            networks=(spare, *networks),
            devices=(extra, *problem.devices),
            links=(*links, *problem.links),
        ),
        "same",
    )


def merged_layers(problem: Problem, draw: Random) -> Pair:
    """Two consecutive layers that share a device on every stream are as good as one layer."""
    network = draw.choice(problem.networks)
    # A layer that a privacy rule names as the first that may go elsewhere keeps its name.
    named = {stream.privacy.before for stream in problem.streams if stream.privacy}
    free = [i for i, layer in enumerate(network.layers) if i and layer.name not in named]
    if not free:
        return Pair(problem, problem, "same")
    index = draw.choice(free) - 1
    kept, gone = (network.layers[i].name for i in (index, index + 1))
    held = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(stream, together=(*stream.together, (kept, gone)))
            if stream.network == network.name
            else stream
            for stream in problem.streams
        ),
    )

    def names(given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kept if name == gone else name for name in given))

    def rules(given: tuple[LayerRule, ...]) -> tuple[LayerRule, ...]:
        return tuple(
            dataclasses.replace(rule, layers=None if rule.layers is None else names(rule.layers))
            for rule in given
        )

    merged = dataclasses.replace(
        problem,
        networks=tuple(
            _merged(other, index) if other is network else other for other in problem.networks
        ),
        streams=tuple(
            dataclasses.replace(
                stream,
                pins=rules(stream.pins),
                bans=rules(stream.bans),
                together=tuple(map(names, stream.together)),
            )
            if stream.network == network.name
            else stream
            for stream in problem.streams
        ),
    )
    return Pair(held, merged, "same")


def _merged(network: Network, index: int) -> Network:
    """Return a network in which a layer and the next are one."""

    def place(layer: int) -> int:
        return layer if layer <= index else layer - 1

    def summed(row: Any) -> Any:
        if row is None:
            return None
        return (*row[:index], row[index] + row[index + 1], *row[index + 2 :])

    def table(rows: Any) -> Any:
        """Leave out the spans that begin or end between the two."""
        if not rows:
            return rows
        return tuple(
            tuple(value for stop, value in enumerate(row, first + 1) if stop != index + 1)
            for first, row in enumerate(rows)
            if first != index + 1
        )

    def costs(given: Costs) -> Costs:
        change = summed if isinstance(given, LayerCosts) else table
        return dataclasses.replace(
            given,
            batches={size: costs(job) for size, job in given.batches.items()},
            **{key: change(getattr(given, key)) for key in ("seconds", "joules", "dollars")},
            **({} if isinstance(given, LayerCosts) else {"cv2": table(given.cv2)}),
            memory_bytes=summed(given.memory_bytes),
        )

    one, two = network.layers[index : index + 2]
    both = Layer(
        name=one.name,
        weight_bytes=one.weight_bytes + two.weight_bytes,
        activation_bytes=max(one.activation_bytes, two.activation_bytes),
    )
    tensors = []
    for tensor in network.tensors:
        producer = None if tensor.producer is None else place(tensor.producer)
        consumers = {place(consumer) for consumer in tensor.consumers} - {producer}
        tensors.append(
            dataclasses.replace(tensor, producer=producer, consumers=tuple(sorted(consumers)))
        )
    return Network(
        network.name,
        (*network.layers[:index], both, *network.layers[index + 2 :]),
        tuple(tensors),
        {device: costs(given) for device, given in network.costs.items()},
    )


def scaled(problem: Problem, *, second: float, byte: float, joule: float, dollar: float) -> Problem:
    """Return the same problem in other units: a second becomes `second` of the new unit, …."""
    watt = joule / second

    def costs(given: Costs) -> Costs:
        def times(table: Any, factor: float) -> Any:
            if table is None:
                return None
            return tuple(
                tuple(value * factor for value in row) if isinstance(row, tuple) else row * factor
                for row in table
            )

        boundary: dict[str, float] = {}
        if isinstance(given, LayerCosts):
            boundary["boundary_seconds"] = given.boundary_seconds * second
        return dataclasses.replace(
            given,
            batches={size: costs(job) for size, job in given.batches.items()},
            seconds=times(given.seconds, second),
            joules=times(given.joules, joule),
            dollars=times(given.dollars, dollar),
            memory_bytes=None
            if given.memory_bytes is None
            else tuple(round(value * byte) for value in given.memory_bytes),
            **boundary,
        )

    objective = problem.objective
    return dataclasses.replace(
        problem,
        networks=tuple(
            Network(
                network.name,
                tuple(
                    dataclasses.replace(
                        layer,
                        weight_bytes=round(layer.weight_bytes * byte),
                        activation_bytes=round(layer.activation_bytes * byte),
                    )
                    for layer in network.layers
                ),
                tuple(
                    _seconds(dataclasses.replace(tensor, bytes=round(tensor.bytes * byte)), second)
                    for tensor in network.tensors
                ),
                {name: costs(given) for name, given in network.costs.items()},
            )
            for network in problem.networks
        ),
        devices=tuple(
            each(
                device,
                memory_bytes=byte,
                active_watts=watt,
                idle_watts=watt,
                power_budget_watts=watt,
                dollars_per_second=dollar / second,
                dollars_per_hour=dollar / second,
                dollars_per_request=dollar,
                dollars_per_joule=dollar / joule,
            )
            for device in problem.devices
        ),
        links=tuple(
            each(
                link,
                bytes_per_second=byte / second,
                latency_seconds=second,
                send_joules_per_byte=joule / byte,
                receive_joules_per_byte=joule / byte,
                dollars_per_byte=dollar / byte,
            )
            for link in problem.links
        ),
        streams=tuple(
            with_deadlines(each(stream, rate_per_second=1 / second), second)
            for stream in problem.streams
        ),
        objective=dataclasses.replace(
            objective,
            latency_denominator_seconds=objective.latency_denominator_seconds * second,
            energy_denominator_joules=objective.energy_denominator_joules * joule,
            cost_denominator_dollars=objective.cost_denominator_dollars * dollar,
            throughput_denominator_seconds=objective.throughput_denominator_seconds * second,
        ),
        budgets=each(
            problem.budgets,
            power_watts=watt,
            dollars_per_hour=dollar / second,
            min_rate_per_second=1 / second,
        ),
    )


PROPERTIES: Mapping[str, Callable[[Problem, Random], Pair]] = {
    "more bandwidth never raises the optimum": more_bandwidth,
    "looser limits never raise the optimum": looser_limits,
    "fewer rules never raise the optimum": fewer_rules,
    "more rules never lower the optimum": more_rules,
    "lighter transfers never raise the optimum": lighter_transfers,
    "a twin of a device never raises the optimum": a_twin,
    "order means nothing": permuted,
    "names mean nothing": renamed,
    "units mean nothing": other_units,
    "dearer by a factor is dearer by that factor": dearer,
    "what is useless changes nothing": without_the_useless,
    "layers that share a device are one layer": merged_layers,
}
"""By what it says."""
