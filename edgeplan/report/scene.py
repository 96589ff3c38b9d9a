"""What a drawing of a plan shows: devices with their stages, and what moves between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgeplan.cli import units

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Evaluation, Transfer
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Problem

MOST_DEVICES = 24
MOST_ARROWS = 40
MOST_WORDS = 40
"""Stages and transfers that are told in words."""


@dataclass(frozen=True, kw_only=True)
class DrawnStage:
    """A run of layers on a device.

    Parameters
    ----------
    stream, stream_number
        Whose, and its place among the streams.
    share
        Of the stream's requests that take this route.
    first, stop, layers
        It runs layers ``first`` to ``stop - 1`` of so many.
    seconds, wait_seconds
        Compute and mean wait for the device; ``None`` where not known.
    """

    stream: str
    stream_number: int
    share: float
    first: int
    stop: int
    layers: int
    seconds: float | None
    wait_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class DrawnDevice:
    """A device and what runs there.

    Parameters
    ----------
    name, tier, zone
        As the problem has it; empty where not known, the zone where there is but one.
    on
        Whether it keeps layers.
    replicas
        Copies while it is on.
    utilisation
        Busy share of each; ``None`` where not known.
    stages
        In the order of streams and routes.
    origin_of
        Streams whose requests arise here.
    """

    name: str
    tier: str
    zone: str
    on: bool
    replicas: int
    utilisation: float | None
    stages: tuple[DrawnStage, ...]
    origin_of: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DrawnTransfer:
    """What crosses a link, of all streams together.

    Parameters
    ----------
    source, target
        Device names.
    bytes
        Per request that takes it, the mean over them; ``None`` where not known.
    seconds, wait_seconds
        Mean time and mean wait of one crossing; ``None`` where not known.
    streams
        Numbers of the streams whose requests cross.
    """

    source: str
    target: str
    bytes: float | None
    seconds: float | None
    wait_seconds: float | None
    streams: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is drawn.

    Parameters
    ----------
    streams
        Names in the problem's order.
    devices, transfers
        What they do.
    left_out
        In words, what was too much to be drawn.
    """

    streams: tuple[str, ...]
    devices: tuple[DrawnDevice, ...]
    transfers: tuple[DrawnTransfer, ...]
    left_out: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What the picture shows, for those who do not see it."""
        told = []
        for device in self.devices:
            for stage in device.stages:
                time = "" if stage.seconds is None else f", {units.seconds(stage.seconds)}"
                told.append(
                    f"{stage.stream}: layers {stage.first} to {stage.stop - 1} of {stage.layers} "
                    f"on {device.name}{time}"
                )
        for move in self.transfers:
            size = "" if move.bytes is None else f" {units.size(move.bytes)}"
            told.append(f"{move.source} sends{size} to {move.target}")
        more = f"; and {len(told) - MOST_WORDS} more" if len(told) > MOST_WORDS else ""
        return "; ".join(told[:MOST_WORDS]) + more + "."


def scene(problem: Problem, evaluation: Evaluation) -> Scene:
    """Return the scene of a plan that was priced.

    Parameters
    ----------
    problem
        What was planned.
    evaluation
        Of the plan.
    """
    stages: dict[str, list[DrawnStage]] = {device.name: [] for device in problem.devices}
    moved: dict[tuple[str, str], list[tuple[int, float, Transfer]]] = {}
    for number, price in enumerate(evaluation.streams):
        stream = problem.stream[price.name]
        layers = len(problem.network[stream.network].layers)
        for route in price.routes:
            weight = stream.rate_per_second * route.fraction
            for stage in route.stages:
                stages[stage.device].append(
                    DrawnStage(
                        stream=price.name,
                        stream_number=number,
                        share=route.fraction,
                        first=stage.first,
                        stop=stage.stop,
                        layers=layers,
                        seconds=stage.seconds,
                        wait_seconds=stage.wait_seconds,
                    )
                )
            for transfer in route.transfers:
                key = (transfer.source, transfer.target)
                moved.setdefault(key, []).append((number, weight, transfer))
    zones = {device.zone for device in problem.devices}
    devices = [
        DrawnDevice(
            name=load.name,
            tier=problem.device[load.name].tier,
            zone=problem.device[load.name].zone if len(zones) > 1 else "",
            on=load.on,
            replicas=load.replicas,
            utilisation=load.utilisation,
            stages=tuple(stages[load.name]),
            origin_of=tuple(s.name for s in problem.streams if s.origin == load.name),
        )
        for load in evaluation.devices
    ]
    transfers = [_transfer(ends, found) for ends, found in moved.items()]
    return _capped([stream.name for stream in evaluation.streams], devices, transfers)


def scene_of_routes(plan: Plan) -> Scene:
    """Return the scene of a plan whose problem is not known: stages without times.

    Parameters
    ----------
    plan
        The plan.
    """
    from edgeplan.model.network import stages as stages_of

    stages: dict[str, list[DrawnStage]] = {}
    moved: dict[tuple[str, str], list[int]] = {}
    for number, (name, routes) in enumerate(plan.routes.items()):
        for route in routes:
            before = ""
            for device, first, stop in stages_of(route.devices):
                stages.setdefault(device, []).append(
                    DrawnStage(
                        stream=name,
                        stream_number=number,
                        share=route.fraction,
                        first=first,
                        stop=stop,
                        layers=len(route.devices),
                        seconds=None,
                        wait_seconds=None,
                    )
                )
                if before:
                    moved.setdefault((before, device), []).append(number)
                before = device
    devices = [
        DrawnDevice(
            name=name,
            tier="",
            zone="",
            on=True,
            replicas=plan.replicas.get(name, 1),
            utilisation=None,
            stages=tuple(found),
        )
        for name, found in stages.items()
    ]
    transfers = [
        DrawnTransfer(
            source=source,
            target=target,
            bytes=None,
            seconds=None,
            wait_seconds=None,
            streams=tuple(dict.fromkeys(numbers)),
        )
        for (source, target), numbers in moved.items()
    ]
    return _capped(list(plan.routes), devices, transfers)


def without_idle(shown: Scene) -> Scene:
    """Return a scene without the devices that run nothing and send or receive nothing.

    Parameters
    ----------
    shown
        The scene; what is taken from it is told first in ``left_out`` of the new one.
    """
    used = {end for move in shown.transfers for end in (move.source, move.target)}
    devices = tuple(each for each in shown.devices if each.stages or each.name in used)
    idle = len(shown.devices) - len(devices)
    told = (f"{units.counted(idle, 'device')} that {'runs' if idle == 1 else 'run'} nothing",)
    return replace(shown, devices=devices, left_out=told * bool(idle) + shown.left_out)


def _transfer(ends: tuple[str, str], found: Sequence[tuple[int, float, Transfer]]) -> DrawnTransfer:
    total = math.fsum(weight for _, weight, _ in found)

    def mean(values: Iterable[float]) -> float:
        weighed = zip((weight for _, weight, _ in found), values, strict=True)
        return math.fsum(weight * value for weight, value in weighed) / total

    return DrawnTransfer(
        source=ends[0],
        target=ends[1],
        bytes=mean(transfer.bytes for _, _, transfer in found),
        seconds=mean(transfer.seconds for _, _, transfer in found),
        wait_seconds=mean(transfer.wait_seconds for _, _, transfer in found),
        streams=tuple(dict.fromkeys(number for number, _, _ in found)),
    )


def _capped(
    streams: Sequence[str], devices: list[DrawnDevice], transfers: list[DrawnTransfer]
) -> Scene:
    """Leave out what would not be readable, and say so."""
    left_out = []
    used = {end for move in transfers for end in (move.source, move.target)}
    rank = {
        device.name: (not device.stages, device.name not in used, -(device.utilisation or 0.0))
        for device in devices
    }
    if (more := len(devices) - MOST_DEVICES) > 0:
        kept = set(sorted(rank, key=rank.__getitem__)[:MOST_DEVICES])
        idle = sum(not d.stages for d in devices if d.name not in kept)
        words = "" if idle < more else " that run nothing"
        left_out.append(f"{units.counted(more, 'more device')}{words}")
        devices = [device for device in devices if device.name in kept]
        shown = [move for move in transfers if {move.source, move.target} <= kept]
        hidden, transfers = len(transfers) - len(shown), shown
        if hidden:
            left_out.append(f"{units.counted(hidden, 'link')} from or to them")
    if (more := len(transfers) - MOST_ARROWS) > 0:
        order = sorted(transfers, key=lambda move: -(move.seconds or 0.0))[:MOST_ARROWS]
        transfers = [move for move in transfers if move in order]
        left_out.append(f"{units.counted(more, 'quicker transfer')}")
    return Scene(
        streams=tuple(streams),
        devices=tuple(devices),
        transfers=tuple(transfers),
        left_out=tuple(left_out),
    )
