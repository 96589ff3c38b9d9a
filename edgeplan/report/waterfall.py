"""Where the latency of a request goes: compute, transfer and wait, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edgeplan.model.evaluate import RoutePrice, Transfer

Kind = Literal["compute", "transfer", "wait"]
KINDS: tuple[Kind, ...] = ("compute", "transfer", "wait")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a request on its way.

    Parameters
    ----------
    kind
        What the time is spent on.
    stage
        Number of the stage that it belongs to; ``None`` for what comes before the first stage
        and after the last.
    what, where
        In words.
    start_seconds, seconds
        Mean time from the request's beginning, and mean length.
    """

    kind: Kind
    stage: int | None
    what: str
    where: str
    start_seconds: float
    seconds: float


def steps(route: RoutePrice) -> tuple[Step, ...]:
    """Return the steps of a request along a route, as the evaluator adds them up.

    Parameters
    ----------
    route
        Priced by `edgeplan.model.evaluate.evaluate`.

    Returns
    -------
    tuple of Step
        In order, without those that take no time; their lengths add up to the latency.
    """
    found: list[Step] = []
    now = 0.0
    for kind, stage, what, where, seconds in _all(route):
        if not seconds > 0:
            continue
        found.append(
            Step(
                kind=kind,
                stage=stage,
                what=what,
                where=where,
                start_seconds=now,
                seconds=seconds,
            )
        )
        now += seconds
    return tuple(found)


def totals(found: tuple[Step, ...]) -> dict[Kind, float]:
    """Return the seconds of each kind."""
    return {kind: math.fsum(s.seconds for s in found if s.kind == kind) for kind in KINDS}


_Item = tuple[Kind, int | None, str, str, float]


def _all(route: RoutePrice) -> Iterator[_Item]:
    yield "wait", None, f"until {route.batch} requests are gathered", "", route.fill_seconds
    for number, stage in enumerate(route.stages):
        for transfer in stage.transfers:
            yield from _crossing(number, transfer)
        yield "wait", number, "for the device", stage.device, stage.wait_seconds
        last = stage.stop - 1
        layers = f"layer {last}" if last == stage.first else f"layers {stage.first}–{last}"
        yield "compute", number, layers, stage.device, stage.seconds
    for transfer in route.returned:
        yield from _crossing(None, transfer)


def _crossing(stage: int | None, transfer: Transfer) -> Iterator[_Item]:
    where = f"{transfer.source} → {transfer.target}"
    yield "wait", stage, "for the link", where, transfer.wait_seconds
    what = "results" if stage is None else "data"
    yield "transfer", stage, what, where, transfer.seconds
