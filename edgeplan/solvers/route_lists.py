"""All routes of a stream, how many there are, and which; and all numbers of replicas."""

from __future__ import annotations

import math
from collections.abc import Iterator

from edgeplan.model.plan import Route
from edgeplan.model.problem import Problem, Stream


def count_routes(problem: Problem, stream: Stream) -> int:
    """Return how many routes there are for a stream, by its rules and the links that exist.

    Counts the sequences of devices in which each layer may run on its device and consecutive
    stages are linked; tensors that skip a stage may need further links, so that fewer can run.

    Examples
    --------
    >>> from edgeplan.model.network import Layer, LayerCosts, Network
    >>> from edgeplan.model.problem import Device, Link
    >>> costs = LayerCosts(seconds=(1.0, 1.0))
    >>> network = Network("n", (Layer(name="x"), Layer(name="y")), (), {"a": costs, "b": costs})
    >>> stream = Stream(name="s", network="n", origin="a")
    >>> devices = (Device(name="a"), Device(name="b"))
    >>> links = (Link(source="a", target="b", bytes_per_second=1.0),)
    >>> problem = Problem(
    ...     networks=(network,), devices=devices, links=links, streams=(stream,)
    ... )
    >>> count_routes(problem, stream)  # aa, ab, bb; there is no way back for ba
    3
    """
    counts = {stream.origin: 1}
    for devices in problem.allowed(stream):
        counts = {
            device: total
            for device in devices
            if (
                total := sum(
                    count
                    for previous, count in counts.items()
                    if previous == device or (previous, device) in problem.link
                )
            )
        }
    return sum(counts.values())


def enumerate_routes(problem: Problem, stream: Stream) -> Iterator[tuple[str, ...]]:
    """Yield the routes that `count_routes` counts, each as a device per layer."""
    allowed = problem.allowed(stream)
    chosen: list[str] = []
    leader = {layer: group[0] for group in problem.groups(stream) for layer in group[1:]}

    def extend(previous: str) -> Iterator[tuple[str, ...]]:
        if len(chosen) == len(allowed):
            yield tuple(chosen)
            return
        first = leader.get(len(chosen))
        for device in allowed[len(chosen)] if first is None else (chosen[first],):
            if device == previous or (previous, device) in problem.link:
                chosen.append(device)
                yield from extend(device)
                chosen.pop()

    # Recursion is as deep as there are layers; problems that can be enumerated have few. One
    # device for very many layers is enumerable as well, and must not overflow the stack.
    if len(allowed) > 500:
        yield from _breadth_first(problem, stream, allowed, leader)
    else:
        yield from extend(stream.origin)


def batched_routes(problem: Problem, stream: Stream) -> Iterator[Route]:
    """Yield each route of `enumerate_routes` with each size of batch that the stream may have."""
    sizes = problem.batch_sizes(stream)
    for devices in enumerate_routes(problem, stream):
        for size in sizes:
            yield Route(devices=devices, batch=size)


def count_replicas(problem: Problem) -> int:
    """Return how many combinations of numbers of replicas there are, with all devices on."""
    return math.prod(len(device.replica_range) for device in problem.devices)


def count_plans(problem: Problem) -> int:
    """Return how many plans there are with one route per stream, each size of batch counted.

    Times the numbers of replicas; as `count_routes`, an upper bound on what can run.
    """
    return count_replicas(problem) * math.prod(
        count_routes(problem, stream) * len(problem.batch_sizes(stream))
        for stream in problem.streams
    )


def _breadth_first(
    problem: Problem,
    stream: Stream,
    allowed: tuple[tuple[str, ...], ...],
    leader: dict[int, int],
) -> Iterator[tuple[str, ...]]:
    partial: list[tuple[str, ...]] = [()]
    for layer, devices in enumerate(allowed):
        partial = [
            (*route, device)
            for route in partial
            for previous in [route[-1] if route else stream.origin]
            for device in (devices if layer not in leader else (route[leader[layer]],))
            if device == previous or (previous, device) in problem.link
        ]
    yield from partial
