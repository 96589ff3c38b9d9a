"""What a request does along a route, step by step: the evaluator's list, made executable.

The list of transfers is not computed here a second time: it is `route_price`'s. Workers pass a
request along it as in a relay: whoever holds the request does the next step if it is the step's
actor, and hands the request on otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from edgeplan.execution.protocol import (
    Frame,
    ProtocolError,
    TensorSpec,
    number_from,
    spec_from,
    texts_from,
)
from edgeplan.model.evaluate import RoutePrice, Transfer
from edgeplan.model.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Move:
    """Tensors that cross a link; none where only the latency is charged.

    Parameters
    ----------
    source, target
        Devices.
    tensors
        Names.
    seconds
        What the transfer takes on the emulated link; ``None`` where the real link is used.
    bytes_per_second
        Bandwidth of the emulated link; ``None`` for none or no limit.
    busy_seconds
        Of these, how long the emulated link is taken by the tensors where many requests are in
        flight; ``None`` or 0 where they do not queue for it.
    """

    source: str
    target: str
    tensors: tuple[str, ...]
    seconds: float | None = None
    bytes_per_second: float | None = None
    busy_seconds: float | None = None

    @property
    def actor(self) -> str:
        """The device that begins the step."""
        return self.source

    @property
    def ends(self) -> tuple[str, ...]:
        """The devices that take part."""
        return self.source, self.target


@dataclass(frozen=True, kw_only=True)
class Compute:
    """A part that runs on a device.

    Parameters
    ----------
    device
        Where.
    part
        SHA-256 of the part's ONNX file.
    inputs, outputs
        Names of the part's tensors.
    hold_seconds
        Least time the stage takes, to emulate a slower device.
    hold_factor
        Least time as a multiple of what it really took.
    """

    device: str
    part: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    hold_seconds: float | None = None
    hold_factor: float | None = None

    @property
    def actor(self) -> str:
        """The device that runs the part."""
        return self.device

    @property
    def ends(self) -> tuple[str, ...]:
        """The devices that take part."""
        return (self.device,)


Step = Move | Compute


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A route as steps.

    Parameters
    ----------
    number
        Identity of the route within a session.
    origin
        Where the request begins.
    steps
        In order, one after another.
    specs
        Type and shape of every tensor that the steps name.
    """

    number: int
    origin: str
    steps: tuple[Step, ...]
    specs: Mapping[str, TensorSpec]

    @property
    def devices(self) -> tuple[str, ...]:
        """Every device that takes part, the origin first."""
        found = dict.fromkeys([self.origin])
        for step in self.steps:
            found.update(dict.fromkeys(step.ends))
        return tuple(found)

    def last_step(self, device: str) -> int:
        """Return the last step in which a device takes part, -1 for none."""
        took = [index for index, step in enumerate(self.steps) if device in step.ends]
        return took[-1] if took else -1

    @property
    def hops(self) -> Iterator[tuple[str, str]]:
        """Every pair of devices between which the request, or the word to go on, is sent."""
        holder = self.origin
        for step in self.steps:
            if step.actor != holder:
                yield holder, step.actor
            holder = step.actor
            if isinstance(step, Move):
                yield step.source, step.target
                holder = step.target

    def as_json(self) -> dict[str, object]:
        """Return the schedule as a header's fields."""
        steps: list[dict[str, object]] = []
        for step in self.steps:
            if isinstance(step, Move):
                steps.append(
                    {
                        "step": "move",
                        "source": step.source,
                        "target": step.target,
                        "tensors": list(step.tensors),
                        "seconds": step.seconds,
                        "bytes_per_second": step.bytes_per_second,
                        "busy_seconds": step.busy_seconds,
                    }
                )
            else:
                steps.append(
                    {
                        "step": "compute",
                        "device": step.device,
                        "part": step.part,
                        "inputs": list(step.inputs),
                        "outputs": list(step.outputs),
                        "hold_seconds": step.hold_seconds,
                        "hold_factor": step.hold_factor,
                    }
                )
        return {
            "number": self.number,
            "origin": self.origin,
            "steps": steps,
            "specs": [spec.as_json() for spec in self.specs.values()],
        }


def schedule_from(frame: Frame) -> Schedule:
    """Read a schedule from a header.

    Raises
    ------
    ProtocolError
        If it is not a schedule, or names a tensor without type and shape.
    """
    specs = {spec.name: spec for spec in map(spec_from, frame.items("specs"))}
    steps = tuple(_step_from(item) for item in frame.items("steps"))
    for step in steps:
        names = step.tensors if isinstance(step, Move) else (*step.inputs, *step.outputs)
        for name in names:
            if name not in specs:
                raise ProtocolError(f"tensor '{name[:80]}' has no type and shape")
    return Schedule(
        number=frame.integer("number"), origin=frame.text("origin"), steps=steps, specs=specs
    )


def _step_from(item: object) -> Step:
    if not isinstance(item, dict):
        raise ProtocolError("a step must be an object")

    def text(key: str) -> str:
        value = item.get(key)
        if not isinstance(value, str):
            raise ProtocolError(f"'{key}' must be a text")
        return value

    if text("step") == "move":
        return Move(
            source=text("source"),
            target=text("target"),
            tensors=tuple(texts_from(item.get("tensors"), "tensors")),
            seconds=number_from(item.get("seconds"), "seconds"),
            bytes_per_second=number_from(item.get("bytes_per_second"), "bytes_per_second") or None,
            busy_seconds=number_from(item.get("busy_seconds"), "busy_seconds"),
        )
    return Compute(
        device=text("device"),
        part=text("part"),
        inputs=tuple(texts_from(item.get("inputs"), "inputs")),
        outputs=tuple(texts_from(item.get("outputs"), "outputs")),
        hold_seconds=number_from(item.get("hold_seconds"), "hold_seconds"),
        hold_factor=number_from(item.get("hold_factor"), "hold_factor"),
    )


def steps_of(
    problem: Problem,
    price: RoutePrice,
    computes: Sequence[Compute],
    *,
    emulated: Collection[str],
) -> tuple[Step, ...]:
    """Return a route's steps: before each stage its transfers, at the end the results'.

    Parameters
    ----------
    problem
        Has the links.
    price
        The route as the evaluator walks it.
    computes
        What its stages run, in order.
    emulated
        Devices between which transfers take the time of the problem's links. Where one end is
        not among them, the real link is what it is.
    """

    def move(transfer: Transfer) -> Move:
        link = problem.link.get((transfer.source, transfer.target))
        move = Move(source=transfer.source, target=transfer.target, tensors=transfer.tensors)
        if link is None or not {transfer.source, transfer.target} <= set(emulated):
            return move
        bandwidth = link.bytes_per_second
        return replace(
            move,
            seconds=transfer.seconds,
            bytes_per_second=bandwidth if math.isfinite(bandwidth) else None,
            busy_seconds=transfer.busy_seconds if problem.loads(link) else None,
        )

    steps: list[Step] = []
    for stage, compute in zip(price.stages, computes, strict=True):
        steps.extend(move(transfer) for transfer in stage.transfers)
        steps.append(compute)
    steps.extend(move(transfer) for transfer in price.returned)
    return tuple(steps)
