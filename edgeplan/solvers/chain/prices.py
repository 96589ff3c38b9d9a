"""What counts towards the objective and towards each limit: prices of the same few things."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, ViolationKind
from edgeplan.model.problem import Problem
from edgeplan.solvers.route_costs import on_dollars_per_second, on_objective, on_watts

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

LIMIT_ROUNDING = 1e-11
"""Sums here may differ from the evaluator's in their last digits: so much more of a limit passes,
and the evaluator decides."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What a unit of each thing counts in one quantity. All are at least 0.

    Parameters
    ----------
    second
        Per second of latency.
    joule
        Per joule drawn, by device.
    dollar
        Per dollar, electricity apart.
    busy
        Per second of compute, by device.
    link
        Per second that bytes take on a link, by source and target.
    on
        Per device that is on.
    kept
        Per byte of weights kept, by device.
    """

    second: float
    joule: Floats
    dollar: float
    busy: Floats
    link: Floats
    on: Floats
    kept: Floats


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit that couples the stages of a route, counted in units of itself (1 is all of it).

    Parameters
    ----------
    kind, place
        As in the evaluator's violations.
    prices
        What counts towards it; for memory, the weights only.
    device
        Whose memory it is, by index; ``None`` for other limits.
    """

    kind: ViolationKind
    place: str
    prices: Prices
    device: int | None = None


def objective_prices(problem: Problem) -> Prices:
    """Return what counts towards the objective of a problem with one stream."""
    (stream,) = problem.streams
    share = problem.share(stream)
    second, joule, dollar = (share * price for price in problem.objective.prices)
    return _prices(
        problem,
        second=second,
        joule=np.array([joule + dollar * device.dollars_per_joule for device in problem.devices]),
        dollar=dollar,
        on=np.array([on_objective(problem, device) for device in problem.devices]),
    )


def limits(problem: Problem) -> tuple[Limit, ...]:
    """Return every limit of a problem with one stream that is finite."""
    return tuple(_limits(problem))


def _limits(problem: Problem) -> Iterator[Limit]:
    (stream,) = problem.streams
    rate = stream.rate_per_second
    devices = problem.devices
    place = f"stream {stream.name}"
    if part := _share(stream.deadline_seconds):
        yield Limit(kind="deadline", place=place, prices=_prices(problem, second=part))
    capped = problem.capacity == "utilisation"
    for index, device in enumerate(devices):
        place = f"device {device.name}"
        at = np.zeros(len(devices))
        at[index] = 1.0
        if part := _share(device.memory_bytes):
            yield Limit(
                kind="memory",
                place=place,
                prices=_prices(problem, kept=part * at),
                device=index,
            )
        if part := _share(device.power_budget_watts):
            yield Limit(
                kind="device power",
                place=place,
                prices=_prices(problem, joule=part * rate * at, on=part * on_watts(device) * at),
            )
        if capped and (part := _share(device.utilisation_cap)):
            busy = part * rate / device.replicas * at
            yield Limit(kind="device capacity", place=place, prices=_prices(problem, busy=busy))
    position = {device.name: index for index, device in enumerate(devices)}
    for link in problem.links:
        if capped and problem.loads(link):
            busy = np.zeros((len(devices), len(devices)))
            busy[position[link.source], position[link.target]] = _share(link.utilisation_cap) * rate
            yield Limit(
                kind="link capacity",
                place=f"link {link.name}",
                prices=_prices(problem, link=busy),
            )
    if part := _share(problem.budgets.power_watts):
        yield Limit(
            kind="power budget",
            place="all devices",
            prices=_prices(
                problem,
                joule=np.full(len(devices), part * rate),
                on=part * np.array([on_watts(device) for device in devices]),
            ),
        )
    if part := _share(problem.budgets.dollars_per_hour / 3600):
        yield Limit(
            kind="money budget",
            place="all streams",
            prices=_prices(
                problem,
                joule=part * rate * np.array([device.dollars_per_joule for device in devices]),
                dollar=part * rate,
                on=part * np.array([on_dollars_per_second(device) for device in devices]),
            ),
        )


def allowed_amount(limit: float) -> float:
    """Return how much may be used of a limit, as the evaluator reads it."""
    return limit * (1 + RELATIVE_TOLERANCE) * (1 + LIMIT_ROUNDING)


def _share(limit: float) -> float:
    """Return which share of a limit one unit is; 0 where there is no limit."""
    return 1 / allowed_amount(limit)


def _prices(
    problem: Problem,
    *,
    second: float = 0.0,
    joule: Floats | None = None,
    dollar: float = 0.0,
    busy: Floats | None = None,
    link: Floats | None = None,
    on: Floats | None = None,
    kept: Floats | None = None,
) -> Prices:
    count = len(problem.devices)
    none = np.zeros(count)
    return Prices(
        second=second,
        joule=none if joule is None else joule,
        dollar=dollar,
        busy=none if busy is None else busy,
        link=np.zeros((count, count)) if link is None else link,
        on=none if on is None else on,
        kept=none if kept is None else kept,
    )
