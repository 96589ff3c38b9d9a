"""Parts of an instance file to the model's: streams, costs, objective."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from edgeplan.instances import parts
from edgeplan.instances.document import Place, show_place
from edgeplan.model.errors import Fault
from edgeplan.model.network import Costs, LayerCosts, SpanCosts
from edgeplan.model.problem import LayerRule, Objective, Privacy, Stream, TailDeadline

_T = TypeVar("_T")
_Part = TypeVar("_Part", parts.LayerJobPart, parts.SpanJobPart)


def stream(name: str, part: parts.StreamPart, place: Place, faults: list[Fault]) -> Stream:
    """Return a stream; what is wrong with it is added to the faults."""
    mean, tails = _deadlines(part, place, faults)
    return Stream(
        name=name,
        network=part.network,
        origin=part.origin,
        rate_per_second=part.rate,
        arrival_cv2=part.arrival_cv2,
        deadline_seconds=mean,
        tail_deadlines=tails,
        privacy=(
            None
            if part.privacy is None
            else Privacy(zones=tuple(part.privacy.zones), before=part.privacy.before)
        ),
        pins=tuple(map(_rule, part.pins)),
        bans=tuple(map(_rule, part.bans)),
        together=tuple(tuple(group) for group in part.together),
        homes=part.homes,
        returns=part.returns,
        waits=part.waits,
        splittable=part.splittable,
        max_routes=part.max_routes,
        max_batch=part.batch,
    )


def _deadlines(
    part: parts.StreamPart, place: Place, faults: list[Fault]
) -> tuple[float, tuple[TailDeadline, ...]]:
    """Return the limit on the mean and those on percentiles."""
    if not isinstance(part.deadline, dict):
        return part.deadline, ()
    tails = []
    for key, seconds in part.deadline.items():
        probability = parts.probability_of(key)
        if probability is not None:
            tails.append(TailDeadline(probability=probability, seconds=seconds))
        elif key != "mean":
            message = "is no statistic of the latency; write mean, p95 or p99.9"
            faults.append(Fault(show_place((*place, "deadline", key)), message))
    return part.deadline.get("mean", math.inf), tuple(tails)


def costs(
    part: parts.LayerCostsPart | parts.SpanCostsPart, place: Place, faults: list[Fault]
) -> Costs:
    """Return what a device's jobs cost; what is wrong with it is added to the faults."""
    memory = None if part.memory is None else tuple(part.memory)
    if isinstance(part, parts.LayerCostsPart):
        return dataclasses.replace(
            _layer_costs(part),
            memory_bytes=memory,
            batches=_batches(part.batches, _layer_costs, place, faults),
        )
    return dataclasses.replace(
        _span_costs(part),
        memory_bytes=memory,
        batches=_batches(part.batches, _span_costs, place, faults),
    )


def _batches(
    jobs: Mapping[str, _Part],
    job: Callable[[_Part], _T],
    place: Place,
    faults: list[Fault],
) -> dict[int, _T]:
    found: dict[int, _T] = {}
    for key, part in jobs.items():
        if re.fullmatch(parts.BATCH_SIZE, key):
            found[int(key)] = job(part)
        else:
            message = "a batch's size is a whole number, 2 or more"
            faults.append(Fault(show_place((*place, "batches", key)), message))
    return found


def _rule(part: parts.RulePart) -> LayerRule:
    layers = None if part.layers is None else tuple(part.layers)
    return LayerRule(devices=tuple(part.devices), layers=layers)


def objective(part: parts.ObjectivePart) -> Objective:
    """Return the objective; without any weight it is the latency."""
    weights = (part.latency, part.energy, part.cost, part.throughput)
    latency, energy, cost, throughput = (weight or 0.0 for weight in weights)
    if all(weight is None for weight in weights):
        latency = 1.0
    return Objective(
        latency=latency,
        energy=energy,
        cost=cost,
        throughput=throughput,
        latency_denominator_seconds=part.denominators.latency,
        energy_denominator_joules=part.denominators.energy,
        cost_denominator_dollars=part.denominators.cost,
        throughput_denominator_seconds=part.denominators.throughput,
        aggregate=part.aggregate,
    )


def _layer_costs(part: parts.LayerJobPart) -> LayerCosts:
    return LayerCosts(
        seconds=tuple(part.times),
        boundary_seconds=part.boundary,
        cv2=part.cv2,
        joules=None if part.energies is None else tuple(part.energies),
        dollars=None if part.prices is None else tuple(part.prices),
    )


def _span_costs(part: parts.SpanJobPart) -> SpanCosts:
    return SpanCosts(
        seconds=_table(part.spans),
        cv2=_table(part.cv2),
        joules=None if part.energies is None else _table(part.energies),
        dollars=None if part.prices is None else _table(part.prices),
    )


def _table(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in rows)
