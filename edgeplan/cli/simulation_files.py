"""What ``edgeplan simulate --json`` printed, read back for the tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeplan.instances.document import Plain, read_document
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import DeviceLoad, Evaluation, LinkLoad, StreamPrice
from edgeplan.simulation import Simulation
from edgeplan.simulation.simulation import (
    SimulatedDeadline,
    SimulatedLoad,
    SimulatedRoute,
    SimulatedStream,
)
from edgeplan.simulation.statistics import CONFIDENCE, Estimate, Percentile, student

MAX_BYTES = 100_000_000
_PERCENTILES = (0.5, 0.95, 0.99)


def read_simulation(file: Path) -> tuple[Plain, Simulation, Evaluation]:
    """Return a simulation with the predictions beside it.

    Parameters
    ----------
    file
        JSON of ``simulate --json``.

    Returns
    -------
    document, simulation, predicted
        The file as it is, and its numbers; the evaluation has only what the file predicts.

    Raises
    ------
    InputError
        If something that the tables show is missing or of another type.
    """
    document = read_document(file, max_bytes=MAX_BYTES).value
    try:
        tree: Any = document
        found = Simulation(
            requests=int(tree["requests"]),
            seed=int(tree["seed"]),
            seconds=_number(tree["simulated_seconds"]),
            warm_up_seconds=_number(tree["warm_up_seconds"]),
            latency_seconds=_number(tree["latency_seconds"]),
            energy_joules=_number(tree["energy_joules"]),
            cost_dollars=_number(tree["cost_dollars"]),
            streams=tuple(map(_stream, tree["streams"])),
            devices=tuple(map(_load, tree["devices"])),
            links=tuple(map(_load, tree["links"])),
            engine=tree["engine"],
            interrupted=bool(tree["interrupted"]),
            notes=tuple(map(str, tree["notes"])),
        )
        return document, found, _predicted(tree)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        message = f"is not what simulate --json prints: {what[:200]}"
        raise InputError.at("", message) from None


def _number(value: float | None) -> float:
    """Return a number; what JSON had no number for is none."""
    return math.nan if value is None else float(value)


def _or_none(value: float | None) -> float | None:
    return None if value is None else float(value)


def _estimate(value: float | None, half_width: float | None) -> Estimate:
    error = None if half_width is None else half_width / student(1 - (1 - CONFIDENCE) / 2)
    return Estimate(_number(value), error)


def _percentiles(tree: Mapping[str, Any]) -> tuple[Percentile, ...]:
    found = []
    for probability in _PERCENTILES:
        name = f"p{probability * 100:.12g}"
        low, high = tree.get(f"{name}_interval") or (None, None)
        found.append(Percentile(probability, _number(tree[name]), low, high))
    return tuple(found)


def _deadlines(items: Sequence[Mapping[str, Any]]) -> tuple[SimulatedDeadline, ...]:
    return tuple(
        SimulatedDeadline(
            statistic=str(item["statistic"]),
            probability=float(str(item["statistic"]).removeprefix("p")) / 100,
            limit_seconds=_number(item["limit_seconds"]),
            attainment=_estimate(item["attainment"], item["half_width"]),
        )
        for item in items
    )


def _stream(tree: Mapping[str, Any]) -> SimulatedStream:
    slo = tree["slo_attainment"]
    return SimulatedStream(
        name=str(tree["name"]),
        arrivals=str(tree["arrivals"]),
        rate_per_second=_number(tree["rate_per_second"]),
        requests=int(tree["requests"]),
        mean=_estimate(tree["mean_seconds"], tree["half_width"]),
        percentiles=_percentiles(tree),
        slo_seconds=_or_none(tree["slo_seconds"]),
        slo=None if slo is None else _estimate(slo, tree["slo_half_width"]),
        energy_joules=_number(tree["energy_joules"]),
        cost_dollars=_number(tree["cost_dollars"]),
        routes=tuple(
            SimulatedRoute(
                requests=int(route["requests"]),
                mean=_estimate(route["mean_seconds"], route["half_width"]),
                percentiles=_percentiles(route),
                deadlines=_deadlines(route["deadlines"]),
            )
            for route in tree["routes"]
        ),
        stable=bool(tree["stable"]),
    )


def _load(tree: Mapping[str, Any]) -> SimulatedLoad:
    return SimulatedLoad(
        name=str(tree["name"]),
        replicas=int(tree["replicas"]),
        jobs=int(tree["jobs"]),
        utilisation=_number(tree["utilisation"]),
        offered=_number(tree["offered"]),
        mean_wait_seconds=_or_none(tree["mean_wait_seconds"]),
    )


def _predicted(tree: Mapping[str, Any]) -> Evaluation:
    """Return the predictions that the file has, and nothing where it has none."""
    streams = []
    for stream in tree["streams"]:
        said = stream["predicted"]
        tails = ((p, said.get(f"p{p * 100:.12g}")) for p in _PERCENTILES)
        streams.append(
            StreamPrice(
                name=str(stream["name"]),
                latency_seconds=_number(said["mean_seconds"]),
                energy_joules=_number(said["energy_joules"]),
                cost_dollars=_number(said["cost_dollars"]),
                routes=(),
                basis=said["basis"],
                tails=tuple((p, float(seconds)) for p, seconds in tails if seconds is not None),
            )
        )
    whole = tree["predicted"]
    return Evaluation(
        latency_seconds=_number(whole["latency_seconds"]),
        energy_joules=_number(whole["energy_joules"]),
        cost_dollars=_number(whole["cost_dollars"]),
        period_seconds=math.nan,
        bottleneck=None,
        objective=math.nan,
        violations=(),
        streams=tuple(streams),
        devices=tuple(
            DeviceLoad(
                name=str(each["name"]),
                on=True,
                utilisation=_number(each["predicted"]["utilisation"]),
                period_seconds=math.nan,
                memory_bytes=0,
                watts=math.nan,
                replicas=int(each["replicas"]),
                wait_seconds=_or_none(each["predicted"]["mean_wait_seconds"]),
            )
            for each in tree["devices"]
        ),
        links=tuple(
            LinkLoad(
                name=str(each["name"]),
                utilisation=_number(each["predicted"]["utilisation"]),
                period_seconds=math.nan,
                bytes_per_second=math.nan,
                wait_seconds=_or_none(each["predicted"]["mean_wait_seconds"]),
            )
            for each in tree["links"]
        ),
    )
