"""The part of a run's page that shows an open loop: requests at drawn times, which wait."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from edgeplan.cli import units
from edgeplan.report import plots, stated
from edgeplan.report.blocks import Card, section
from edgeplan.report.figures import Figure
from edgeplan.report.page import Section
from edgeplan.report.plots import Dots
from edgeplan.report.run_words import (
    MARK_LEGEND,
    MOST_ROWS,
    bullet,
    equal_card,
    equality,
    layers_words,
    left_out,
    link_words,
    longest,
    machine_facts,
    milli,
    short,
    signed,
)
from edgeplan.report.stated import Stated, against, number, part, parts, text
from edgeplan.report.tables import Cell, Table, columns, plain_bar, row

MOST_STREAMS = 20
"""Streams in the picture; the tables have more."""
Z95 = 1.96
"""Standard errors that make half of a 95 % interval."""


def open_loop_sections(
    document: Stated, streams: Sequence[Stated], warnings: Sequence[str]
) -> tuple[Section, ...]:
    """Return the sections of an open loop's report.

    Parameters
    ----------
    document
        The report.
    streams
        Its streams.
    warnings
        What must be known to read it.
    """
    lag = part(document, "lag")
    within = [number(part(each, "measured").get("slo_attainment")) for each in streams]
    known = [share for share in within if share is not None]
    cards = [
        equal_card(streams),
        Card(
            name="Largest error of a mean",
            value=signed(
                max(
                    (
                        error
                        for each in streams
                        if (
                            error := number(
                                part(part(each, "relative_errors"), "predicted").get("mean")
                            )
                        )
                        is not None
                    ),
                    key=abs,
                    default=None,
                )
            ),
            source="measured against predicted",
        ),
        Card(
            name="Requests in time",
            value=units.percent(min(known)) if known else units.MISSING,
            source="measured, of the stream with fewest" if known else "no stream has a deadline",
        ),
        Card(
            name="Sent late by",
            value=units.seconds(number(lag.get("mean_seconds"))),
            source="measured, mean of all requests",
        ),
    ]
    facts = [
        *machine_facts(document),
        ("requests to warm up, not counted", units.count(number(document.get("warmup")))),
        ("measured time", units.seconds(number(document.get("seconds")))),
        (
            "the sender took",
            f"{units.percent(number(document.get('controller_cpu_share')))} of a core",
        ),
    ]
    served = list(_served(streams))
    return (
        section("answer", "Answer", warnings=warnings, cards=cards, facts=facts),
        section(
            "latency",
            "Latency of each stream",
            "From the drawn moment of arrival to the results: predicted by the evaluator, "
            "simulated with random arrivals, measured here. Intervals are of 95 % confidence.",
            figures=(_open_figure(streams),) if streams else (),
            tables=(_open_table(streams), _outputs(streams)),
        ),
        section(
            "stages",
            "Stages and transfers",
            "Time of service and mean wait of each stage and transfer. The spread is one "
            "standard deviation.",
            tables=(_served_table(served),),
        ),
        section("devices", "Devices", tables=(_device_table(parts(document, "devices")),)),
    )


def _open_figure(streams: Sequence[Stated]) -> Figure:
    labels: list[str] = []
    found: dict[str, list[float | None]] = {key: [] for key in ("p", "s", "sl", "sh")}
    measured: list[float | None] = []
    low: list[float | None] = []
    high: list[float | None] = []
    for each in streams[:MOST_STREAMS]:
        predicted, simulated = part(each, "predicted"), part(each, "simulated")
        real = part(each, "measured")
        for key, title, error in (
            ("mean_seconds", "mean", "standard_error"),
            ("p95", "p95", "p95_standard_error"),
        ):
            labels.append(f"{text(each.get('name'), 40)} · {title}")
            value, spread = number(real.get(key)), number(real.get(error))
            measured.append(value)
            low.append(None if value is None or spread is None else value - Z95 * spread)
            high.append(None if value is None or spread is None else value + Z95 * spread)
            found["p"].append(number(predicted.get(key)))
            mean = number(simulated.get(key))
            half = number(simulated.get("half_width")) if title == "mean" else None
            ends = stated.pair(simulated.get("p95_interval")) if title == "p95" else (None, None)
            if mean is not None and half is not None:
                ends = (mean - half, mean + half)
            found["s"].append(mean)
            found["sl"].append(ends[0])
            found["sh"].append(ends[1])
    series = [
        Dots(
            name="predicted",
            series=plots.PREDICTED,
            marker="diamond-open",
            values=milli(found["p"]),
        ),
        Dots(
            name="simulated",
            series=plots.SIMULATED,
            marker="square",
            values=milli(found["s"]),
            low=milli(found["sl"]),
            high=milli(found["sh"]),
        ),
        Dots(
            name="measured",
            series=plots.MEASURED,
            marker="circle",
            values=milli(measured),
            low=milli(low),
            high=milli(high),
        ),
    ]
    return plots.dots(
        Figure(
            id="latency",
            label="Mean and 95th percentile of the latency of each stream, predicted, simulated "
            "and measured; the table below has the same numbers",
            data=(),
            note="Predicted percentiles are upper bounds, or estimates where waits are "
            "approximate.",
        ),
        labels,
        series,
        "latency (ms)",
    )


def _open_table(streams: Sequence[Stated]) -> Table:
    rows = []
    for place, each in enumerate(streams[: MOST_ROWS // 4]):
        predicted, simulated = part(each, "predicted"), part(each, "simulated")
        measured = part(each, "measured")
        for key, title, error in (
            ("mean_seconds", "mean", "standard_error"),
            ("p50", "p50", ""),
            ("p95", "p95", "p95_standard_error"),
            ("p99", "p99", ""),
        ):
            value, expected = number(measured.get(key)), number(predicted.get(key))
            played, spread = number(simulated.get(key)), number(measured.get(error))
            rows.append(
                row(
                    Cell(text=text(each.get("name"), 80), stream=place),
                    title,
                    units.seconds(expected),
                    units.seconds(played),
                    Cell(text=units.seconds(value), tone="strong"),
                    "" if spread is None else f"± {units.seconds(Z95 * spread)}",
                    against(value, expected),
                    against(value, played),
                )
            )
    return Table(
        caption="Latency by stream (predicted, simulated, measured)",
        columns=columns(
            *("stream", "of", "?>predicted", "?>simulated", ">measured", "?>± 95 %"),
            *(">to predicted", "?>to simulated"),
        ),
        rows=tuple(rows),
        note=left_out(4 * len(streams), "row"),
    )


def _outputs(streams: Sequence[Stated]) -> Table:
    rows = [
        row(
            Cell(text=text(each.get("name"), 80), stream=place),
            units.request_rate(number(each.get("rate_per_second"))),
            units.count(number(part(each, "measured").get("requests"))),
            units.percent(number(part(each, "measured").get("slo_attainment"))),
            equality(each.get("strict_equal")),
            units.count(number(each.get("compared"))),
            short(number(each.get("deployed_max_error"))),
        )
        for place, each in enumerate(streams[:MOST_ROWS])
    ]
    return Table(
        caption="Deadlines and outputs (measured)",
        columns=columns(
            *("stream", "?>rate", "?>requests", ">in time", "outputs", "?>compared"),
            "?>deployed error",
        ),
        rows=tuple(rows),
    )


def _served(streams: Sequence[Stated]) -> Iterator[tuple[int, str, str, Stated]]:
    for place, each in enumerate(streams):
        routes = parts(each, "routes")
        for index, route in enumerate(routes):
            name = text(each.get("name"), 40)
            name += f" #{index + 1}" if len(routes) > 1 else ""
            for stage in parts(route, "stages"):
                yield place, name, layers_words(stage), stage
            for transfer in parts(route, "transfers"):
                yield place, name, link_words(transfer), transfer


def _service(values: Stated) -> float | None:
    return number(values.get("service_seconds", values.get("seconds")))


def _deviation(values: Stated) -> float | None:
    mean, cv2 = number(values.get("service_seconds")), number(values.get("service_cv2"))
    return None if mean is None or cv2 is None or cv2 < 0 else mean * math.sqrt(cv2)


def _served_table(served: Sequence[tuple[int, str, str, Stated]]) -> Table:
    shown = served[:MOST_ROWS]
    full = longest(
        value
        for *_, step in shown
        for each in (part(step, "predicted"), part(step, "measured"))
        for value in (_service(each), number(each.get("wait_seconds")))
    )
    rows = []
    for place, name, what, step in shown:
        predicted, measured = part(step, "predicted"), part(step, "measured")
        size = number(step.get("bytes"))
        before, service, spread = _service(predicted), _service(measured), _deviation(measured)
        wait = number(measured.get("wait_seconds"))
        known = service is not None and spread is not None
        rows.append(
            row(
                Cell(text=name, stream=place),
                what,
                "" if size is None else units.size(size),
                units.seconds(before),
                Cell(text=units.seconds(service), tone="strong"),
                "" if spread is None else f"± {units.seconds(spread)}",
                against(service, before),
                bullet(
                    before,
                    service,
                    max(0.0, service - spread) if known and service and spread else None,
                    service + spread if known and service and spread else None,
                    full,
                    "one standard deviation",
                ),
                units.seconds(number(predicted.get("wait_seconds"))),
                units.seconds(wait),
                bullet(number(predicted.get("wait_seconds")), wait, None, None, full, ""),
                "emulated" if step.get("emulated") else "real",
            )
        )
    return Table(
        caption="Stages and transfers (predicted and measured)",
        columns=columns(
            *("stream", "*step", "?>bytes", "?>service, predicted", ">service, measured"),
            *("?>spread", "?>to predicted", "=service", "?>wait, predicted"),
            *("?>wait, measured", "?=wait", "?machine or link"),
        ),
        rows=tuple(rows),
        legend=(
            ("measured", "measured, with a line of one standard deviation to each side"),
            MARK_LEGEND,
        ),
        note=left_out(len(served), "step") or f"The bars end at {units.seconds(full)}.",
    )


def _device_table(devices: Sequence[Stated]) -> Table:
    rows = []
    for each in devices[:MOST_ROWS]:
        predicted, measured = part(each, "predicted"), part(each, "measured")
        before, busy = number(predicted.get("utilisation")), number(measured.get("utilisation"))
        rows.append(
            row(
                text(each.get("name"), 80),
                units.percent(before),
                Cell(text=units.percent(busy), tone="strong"),
                Cell(
                    bar=plain_bar(busy, 1.0, "measured", f"measured {units.percent(busy)}"),
                    mark=before,
                    mark_title=f"predicted {units.percent(before)}",
                ),
                units.seconds(number(predicted.get("wait_seconds"))),
                units.seconds(number(measured.get("wait_seconds"))),
                against(number(each.get("service_ratio")), 1.0),
            )
        )
    return Table(
        caption="Share of the time busy, and waits (predicted and measured)",
        columns=columns(
            *("device", "?>busy, predicted", ">busy, measured", "=busy, as a bar"),
            *("?>mean wait, predicted", ">mean wait, measured", "?>service to profile"),
        ),
        rows=tuple(rows),
        legend=(("measured", "measured"), MARK_LEGEND),
    )
