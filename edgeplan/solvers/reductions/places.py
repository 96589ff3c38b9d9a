"""Places that no feasible plan uses."""

from __future__ import annotations

import dataclasses
import itertools

from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.problem import LayerRule, Problem, Stream


def ban_hopeless_places(problem: Problem) -> Problem:
    """Ban a layer from each device where it leaves some other layer no device.

    The next layer, and each layer that reads what this one makes, must find a permitted device
    there or over a link; so must the layer before and the makers. Layers that share a device must
    fit its memory together. What that forbids may forbid more, until nothing changes: arc
    consistency (Mackworth, Artificial Intelligence 8, 1977).

    Keeps every feasible plan, and so the front and the optimum; plans need no way back.
    """
    streams = tuple(_banned(problem, stream) for stream in problem.streams)
    if all(new is old for new, old in zip(streams, problem.streams, strict=True)):
        return problem
    return dataclasses.replace(problem, streams=streams)


def permitted(problem: Problem) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the devices that the program has for each layer, by stream."""
    from edgeplan.model.formulation.route_sets import RouteSets

    return RouteSets(problem).permitted


def with_bans(problem: Problem, stream: Stream, left: list[set[str]]) -> Stream:
    """Return a stream whose layers are banned from all devices but those left."""
    layers = problem.network[stream.network].layers
    bans: dict[tuple[str, ...], list[str]] = {}
    for layer, allowed, kept in zip(layers, problem.allowed(stream), left, strict=True):
        if gone := tuple(d for d in allowed if d not in kept):
            bans.setdefault(gone, []).append(layer.name)
    if not bans:
        return stream
    rules = tuple(LayerRule(devices=gone, layers=tuple(names)) for gone, names in bans.items())
    return dataclasses.replace(stream, bans=(*stream.bans, *rules))


def _banned(problem: Problem, stream: Stream) -> Stream:
    network = problem.network[stream.network]
    left = [set(devices) for devices in permitted(problem)[stream.name]]
    groups = problem.groups(stream)
    for group in groups:
        for d in tuple(left[group[0]]):
            weights = sum(network.memory_bytes(layer, d) for layer in group)
            peak = max(network.layers[layer].activation_bytes for layer in group)
            if weights + peak > problem.device[d].memory_bytes * (1 + RELATIVE_TOLERANCE):
                left[group[0]].discard(d)
    arcs = [*itertools.pairwise(range(len(left))), *network.edges]
    before = None
    while before != (before := [len(devices) for devices in left]):
        for a, b in arcs:
            left[a] = {x for x in left[a] if any(_gets(problem, x, y) for y in left[b])}
            left[b] = {y for y in left[b] if any(_gets(problem, x, y) for x in left[a])}
        for group in groups:
            common = set.intersection(*(left[layer] for layer in group))
            for layer in group:
                left[layer] = common
    return with_bans(problem, stream, left)


def _gets(problem: Problem, source: str, target: str) -> bool:
    return source == target or (source, target) in problem.link
