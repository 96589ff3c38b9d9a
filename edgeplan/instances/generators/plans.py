"""Random plans over devices that may run each layer."""

from __future__ import annotations

from edgeplan.instances.generators.draw import Draw
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem, Stream


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
        One route per stream, or two where the stream may be split and the coin says so; sizes of
        batches and numbers of replicas where there is a choice. A layer that no device may run is
        put on the origin.
    """
    return draw_plan(Draw(seed), problem, stages)


def draw_plan(draw: Draw, problem: Problem, stages: int | None) -> Plan:
    """Return a random plan, as `random_plan` does, by the random choices of ``draw``."""
    return Plan(
        routes={
            stream.name: _random_routes(draw, problem, stream, stages) for stream in problem.streams
        },
        replicas={
            device.name: draw.pick(device.replica_range)
            for device in problem.devices
            if len(device.replica_range) > 1
        },
    )


def _random_routes(
    draw: Draw, problem: Problem, stream: Stream, stages: int | None
) -> tuple[Route, ...]:
    allowed = problem.allowed(stream)
    split = stream.route_limit > 1 and draw.chance(0.5)
    fraction = draw.uniform(0.1, 0.9)
    fractions = (fraction, 1 - fraction) if split else (1.0,)
    leader = {layer: group[0] for group in problem.groups(stream) for layer in group[1:]}
    sizes = problem.batch_sizes(stream)
    return tuple(
        Route(
            devices=_random_devices(draw, stream, allowed, leader, stages),
            fraction=share,
            # No choice, no draw: problems without batches get the plans that they always got.
            batch=draw.pick(sizes) if len(sizes) > 1 else 1,
        )
        for share in fractions
    )


def _random_devices(
    draw: Draw,
    stream: Stream,
    allowed: tuple[tuple[str, ...], ...],
    leader: dict[int, int],
    stages: int | None,
) -> tuple[str, ...]:
    switches = len(allowed) if stages is None else stages
    devices: list[str] = []
    used = 0
    for index, choices in enumerate(allowed):
        # A layer of a group follows the group's first.
        together = (devices[leader[index]],) if index in leader else ()
        options = together or choices or (stream.origin,)
        stay = bool(devices) and devices[-1] in options
        if stay and (used >= switches or draw.chance(0.6)):
            devices.append(devices[-1])
            continue
        devices.append(draw.pick(options))
        used += len(devices) < 2 or devices[-1] != devices[-2]
    return tuple(devices)
