"""Simulations: what was simulated beside what is predicted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.table import facts, show

if TYPE_CHECKING:
    from edgeplan.model.evaluate import DeviceLoad, Evaluation, LinkLoad
    from edgeplan.simulation.simulation import (
        SimulatedDeadline,
        SimulatedLoad,
        SimulatedStream,
        Simulation,
    )

MEDIAN = 0.5
"""The percentile that nobody predicts."""


def simulation(found: Simulation, evaluation: Evaluation) -> None:
    """Print a simulation beside the evaluator's prediction for the same plan."""
    counted = sum(stream.requests for stream in found.streams)
    pairs = list(zip(found.streams, evaluation.streams, strict=True))
    show(
        f"Mean latencies (simulated: {units.count(found.requests)} requests, "
        f"{units.count(counted)} of them counted)",
        (
            "stream", ">predicted mean", "?prediction is", ">simulated mean", ">± 95 %",
            "?>deadline", "?>in time", "??arrivals",
        ),
        (
            (
                _stream(stream),
                units.seconds(price.latency_seconds),
                "" if price.basis == "none" else price.basis,
                units.seconds(stream.mean.value),
                units.seconds(stream.mean.half_width),
                units.seconds(stream.slo_seconds),
                units.percent(None if stream.slo is None else stream.slo.value),
                stream.arrivals,
            )
            for stream, price in pairs
        ),
        legend={
            "predicted mean": "by the evaluator",
            "± 95 %": "half of the confidence interval of the simulated mean, by batch means",
            "in time": "the share of simulated requests",
        },
    )  # fmt: skip
    show(
        "Percentiles (simulated, beside what is predicted for the slowest route)",
        (
            "stream",
            "??>p50",
            ">p95",
            "?>predicted p95",
            ">p99",
            "?>predicted p99",
            "?prediction is",
        ),
        (
            (
                _stream(stream),
                *(
                    text
                    for each in stream.percentiles
                    for text in (
                        units.seconds(each.seconds),
                        units.seconds(dict(price.tails).get(each.probability)),
                    )[: 1 if each.probability == MEDIAN else 2]
                ),
                {"exact": "safe", "approximate": "estimated"}.get(price.basis, ""),
            )
            for stream, price in pairs
        ),
        legend={"prediction is": "safe, an upper bound, or estimated: the simulation decides"},
    )
    deadlines = [(stream, item) for stream in found.streams for item in stream.deadlines]
    if deadlines:
        show(
            "Percentile deadlines (simulated, each on its worst route)",
            ("stream", "of", "?>deadline", ">in time", "?>± 95 %", ">must be", ""),
            (
                (
                    stream.name,
                    item.statistic,
                    units.seconds(item.limit_seconds),
                    units.percent(item.attainment.value),
                    units.percent(item.attainment.half_width),
                    units.percent(item.probability),
                    _verdict(item),
                )
                for stream, item in deadlines
            ),
        )
    _loads("Devices", found.devices, evaluation.devices)
    _loads("Links", found.links, evaluation.links)
    facts(
        "Simulated and predicted",
        {
            "latency": _pair(units.seconds, found.latency_seconds, evaluation.latency_seconds),
            "energy": _pair(units.joules, found.energy_joules, evaluation.energy_joules),
            "cost": _pair(units.dollars, found.cost_dollars, evaluation.cost_dollars),
            "simulated time": units.seconds(found.seconds),
            "not counted": f"the first {units.seconds(found.warm_up_seconds)}",
            "seed": found.seed,
        },
    )


def _loads(
    title: str, loads: Iterable[SimulatedLoad], predicted: Iterable[DeviceLoad | LinkLoad]
) -> None:
    used = [
        (load, price)
        for load, price in zip(loads, predicted, strict=True)
        if load.jobs or load.utilisation
    ]
    several = any(load.replicas > 1 for load, _ in used)
    rows = [
        (
            load.name,
            *((load.replicas,) if several else ()),
            units.percent(price.utilisation),
            units.percent(load.utilisation),
            units.seconds(price.wait_seconds),
            units.seconds(load.mean_wait_seconds),
            Text("") if load.stable else Text("UNSTABLE", style="bold red"),
        )
        for load, price in used
    ]
    if rows:
        show(
            f"{title} (predicted and simulated)",
            (
                "name", *(("??>replicas",) if several else ()), "?>predicted busy",
                ">simulated busy", "?>predicted wait", ">simulated wait", "",
            ),
            rows,
        )  # fmt: skip


def _stream(stream: SimulatedStream) -> Text:
    name = Text(clean_text(stream.name, 600))
    if not stream.stable:
        name.append(" (unstable)", style="bold red")
    return name


def _verdict(deadline: SimulatedDeadline) -> Text:
    if deadline.surely_met():
        return Text("met", style="green")
    if deadline.surely_missed():
        return Text("missed", style="bold red")
    which = "met" if deadline.met else "missed"
    return Text(f"{which}, within the error", style="yellow")


def _pair(unit: Callable[[float | None], str], simulated: float, predicted: float) -> str:
    error = ""
    if math.isfinite(simulated) and math.isfinite(predicted) and simulated:
        error = f" ({(predicted / simulated - 1) * 100:+.1f} %)"
    return f"{unit(simulated)}, predicted {unit(predicted)}{error}"
