"""The page of a run: predicted, simulated and measured side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.instances.document import read_document
from edgeplan.model.errors import InputError
from edgeplan.report import plots, stated
from edgeplan.report.blocks import Card, section
from edgeplan.report.figures import Figure
from edgeplan.report.page import Page, Section
from edgeplan.report.plots import Bars, Dots
from edgeplan.report.stated import Stated, against, number, part, parts, text
from edgeplan.report.tables import Cell, Part, Table, columns, row

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source

MAX_BYTES = 200_000_000
MOST_BARS = 40
"""Stages or streams in a picture; the table has `MOST_ROWS`."""
MOST_ROWS = 400
Z95 = 1.96
"""Standard errors that make half of a 95 % interval."""


def page(sources: Sequence[Source], problem: Problem | None) -> Page:
    """Return the page of a run report, of requests one at a time or of an open loop.

    Parameters
    ----------
    sources
        One file.
    problem
        Not needed: the file says all.

    Raises
    ------
    InputError
        If the file is none.
    """
    (source,) = sources
    document = read_document(source.file, max_bytes=MAX_BYTES).value
    if not isinstance(document, dict):
        raise InputError.at(source.name, "is not a run report")
    return run_page(document, [source.name])


def run_page(document: Stated, sources: Sequence[str] = ()) -> Page:
    """Return the page of a run report.

    Parameters
    ----------
    document
        What ``edgeplan run`` wrote.
    sources
        Names of the files, for the page's foot.
    """
    name = text(document.get("instance"))
    open_loop = document.get("open_loop") is True
    streams = parts(document, "streams")
    sections = _open_loop(document, streams) if open_loop else _one_at_a_time(document, streams)
    requests = units.count(number(document.get("requests")))
    if open_loop:
        rate = units.request_rate(number(document.get("rate_per_second")))
        subtitle = f"{requests} requests measured, sent at drawn times: {rate} of all streams."
    else:
        subtitle = f"{requests} requests measured along each route, one at a time: none waits."
    return Page(
        kind="run",
        title=f"Run of {name}" if name else "Run",
        subtitle=subtitle,
        sections=sections,
        sources=tuple(sources),
        facts={"streams": len(streams), "open_loop": open_loop},
    )


def _warnings(document: Stated) -> list[str]:
    found = stated.texts(document, "warnings")
    if document.get("stopped") is True:
        found.append("The run was stopped before all requests were sent.")
    if devices := stated.texts(document, "predicted_devices"):
        found.append(
            f"Times of {', '.join(devices[:12])} are predictions for other machines: what was "
            "measured here can be compared with them only where the run played them (emulated)."
        )
    return found


def _equal_card(streams: Sequence[Stated]) -> Card:
    equal = [each.get("strict_equal") for each in streams]
    known = [each for each in equal if isinstance(each, bool)]
    good = bool(known) and all(known)
    return Card(
        name="Outputs of the split networks",
        value=("bit-exact" if good else "DIFFER") if known else units.MISSING,
        source="measured, against the unsplit networks, optimisation off",
        tone=("good" if good else "bad") if known else "",
    )


def _machine_facts(document: Stated) -> list[tuple[str, str]]:
    emulated = document.get("links_emulated")
    found = [
        ("threads of each worker", units.number(number(document.get("threads")))),
        (
            "links",
            "held to the times of the instance's links (emulated)"
            if emulated
            else "what they are (real)",
        ),
    ]
    if (cores := number(document.get("cores"))) is not None:
        found.append(("cores of this machine", units.number(cores)))
    return found


# --- one at a time ------------------------------------------------------------------------------


def _one_at_a_time(document: Stated, streams: Sequence[Stated]) -> tuple[Section, ...]:
    errors = [number(each.get("relative_error")) for each in streams]
    known = [error for error in errors if error is not None]
    worst = max(known, key=abs, default=None)
    cards = [
        _equal_card(streams),
        Card(
            name="Largest error of a stream",
            value=_signed(worst),
            source="measured (median, wall time) against predicted",
        ),
    ]
    stages = list(_stages(streams))
    return (
        section(
            "answer",
            "Answer",
            warnings=_warnings(document),
            cards=cards,
            facts=_machine_facts(document),
            tables=(_stream_table(streams),),
        ),
        section(
            "stages",
            "Stages and transfers",
            "What the evaluator predicts beside what was measured: medians, and the 95th "
            "percentile as the error bar's end.",
            figures=(_stage_figure(stages),) if stages else (),
            tables=(_stage_table(stages),),
        ),
    )


def _stream_table(streams: Sequence[Stated]) -> Table:
    longest = max(
        (
            value
            for each in streams
            for key in ("predicted_seconds", "measured_seconds")
            if (value := number(each.get(key))) is not None
        ),
        default=0.0,
    )
    rows = []
    for place, each in enumerate(streams[:MOST_ROWS]):
        predicted, measured = (
            number(each.get("predicted_seconds")),
            number(each.get("measured_seconds")),
        )
        rows.append(
            row(
                Cell(text=text(each.get("name"), 80), stream=place),
                units.seconds(predicted),
                Cell(text=units.seconds(measured), tone="strong"),
                units.seconds(_worst(each, "p95_seconds")),
                _signed(number(each.get("relative_error"))),
                _signed(number(each.get("relative_error_cpu"))),
                Cell(
                    bar=(
                        Part(
                            start=0.0,
                            length=(measured or 0.0) / (longest * 1.05) if longest else 0.0,
                            kind="measured",
                            title=f"measured {units.seconds(measured)}",
                        ),
                    ),
                    mark=None if predicted is None or not longest else predicted / (longest * 1.05),
                    mark_title=f"predicted {units.seconds(predicted)}",
                ),
                _equality(each.get("strict_equal")),
                _short(number(each.get("deployed_max_error"))),
            )
        )
    return Table(
        caption="Latency by stream (predicted and measured)",
        columns=columns(
            *("stream", "?>predicted", ">measured, median", "?>p95", ">to predicted"),
            *("?>CPU time to predicted", "=measured, as a bar", "?outputs", "?>deployed error"),
        ),
        rows=tuple(rows),
        note="Bars are measured medians; a mark is what was predicted. p95 is of the slowest "
        "route. The deployed error is the largest difference of an output over its scale.",
    )


def _stages(streams: Sequence[Stated]) -> Iterator[tuple[int, str, str, Stated]]:
    """Yield number and name of the stream, what, and the step, in the order of the routes."""
    for place, each in enumerate(streams):
        routes = parts(each, "routes")
        for index, route in enumerate(routes):
            name = text(each.get("name"), 40)
            name += f" #{index + 1}" if len(routes) > 1 else ""
            for stage in parts(route, "stages"):
                for transfer in parts(stage, "transfers"):
                    yield place, name, _link(transfer), transfer
                yield place, name, _layers(stage), stage
            for transfer in parts(route, "returned"):
                yield place, name, f"{_link(transfer)}, results", transfer


def _layers(stage: Stated) -> str:
    device = text(stage.get("device"), 30)
    first, stop = stated.pair(stage.get("layers"))
    if first is None or stop is None:
        return device
    last = int(stop) - 1
    return f"{device}: layer {last}" if last == first else f"{device}: layers {first:.0f}–{last}"


def _link(transfer: Stated) -> str:
    return f"{text(transfer.get('source'), 30)} → {text(transfer.get('target'), 30)}"


def _spread(step: Stated) -> Stated:
    """Return the median, mean and p95 of a step, whatever it is."""
    return part(step, "wall") or part(step, "measured")


def _stage_figure(stages: Sequence[tuple[int, str, str, Stated]]) -> Figure:
    shown = stages[:MOST_BARS]
    measured = [number(step.get("measured_seconds")) for *_, step in shown]
    p95 = [number(_spread(step).get("p95_seconds")) for *_, step in shown]
    series = [
        Bars(
            name="predicted",
            series=plots.PREDICTED,
            values=_milli([number(step.get("predicted_seconds")) for *_, step in shown]),
        ),
        Bars(
            name="measured, median (to p95)",
            series=plots.MEASURED,
            pattern="/",
            values=_milli(measured),
            low=_milli(measured),
            high=_milli(p95),
        ),
    ]
    more = len(stages) - len(shown)
    return plots.grouped_bars(
        Figure(
            id="stages",
            label="Time of every stage and transfer, predicted and measured; the table below has "
            "the same numbers",
            data=(),
            note=f"{units.counted(more, 'more step')} in the table." if more > 0 else "",
        ),
        [f"{name} · {what}" for _, name, what, _ in shown],
        series,
        "time (ms)",
    )


def _stage_table(stages: Sequence[tuple[int, str, str, Stated]]) -> Table:
    rows = []
    for place, name, what, step in stages[:MOST_ROWS]:
        predicted = number(step.get("predicted_seconds"))
        measured = number(step.get("measured_seconds"))
        size = number(step.get("bytes"))
        rows.append(
            row(
                Cell(text=name, stream=place),
                what,
                "" if size is None else units.size(size),
                units.seconds(predicted),
                Cell(text=units.seconds(measured), tone="strong"),
                units.seconds(number(_spread(step).get("p95_seconds"))),
                "" if size is not None else units.seconds(number(step.get("cpu_seconds"))),
                against(measured, predicted),
                ("emulated" if step.get("emulated") else "real"),
            )
        )
    return Table(
        caption="Stages and transfers (predicted and measured)",
        columns=columns(
            *("stream", "step", "?>bytes", "?>predicted", ">measured, median", "?>p95"),
            *("?>CPU time", ">to predicted", "?machine or link"),
        ),
        rows=tuple(rows),
        note=_left_out(len(stages), "step")
        or "emulated: held to a time of the instance; real: whatever it took here.",
    )


# --- open loop ----------------------------------------------------------------------------------


def _open_loop(document: Stated, streams: Sequence[Stated]) -> tuple[Section, ...]:
    lag = part(document, "lag")
    within = [number(part(each, "measured").get("slo_attainment")) for each in streams]
    known = [share for share in within if share is not None]
    cards = [
        _equal_card(streams),
        Card(
            name="Largest error of a mean",
            value=_signed(
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
        *_machine_facts(document),
        ("requests to warm up, not counted", units.count(number(document.get("warmup")))),
        ("measured time", units.seconds(number(document.get("seconds")))),
        (
            "the sender took",
            f"{units.percent(number(document.get('controller_cpu_share')))} of a core",
        ),
    ]
    served = list(_served(streams))
    return (
        section("answer", "Answer", warnings=_warnings(document), cards=cards, facts=facts),
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
            figures=(_served_figure(served),) if served else (),
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
    for each in streams[: MOST_BARS // 2]:
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
            values=_milli(found["p"]),
        ),
        Dots(
            name="simulated",
            series=plots.SIMULATED,
            marker="square",
            values=_milli(found["s"]),
            low=_milli(found["sl"]),
            high=_milli(found["sh"]),
        ),
        Dots(
            name="measured",
            series=plots.MEASURED,
            marker="circle",
            values=_milli(measured),
            low=_milli(low),
            high=_milli(high),
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
        note=_left_out(4 * len(streams), "row"),
    )


def _outputs(streams: Sequence[Stated]) -> Table:
    rows = [
        row(
            Cell(text=text(each.get("name"), 80), stream=place),
            units.request_rate(number(each.get("rate_per_second"))),
            units.count(number(part(each, "measured").get("requests"))),
            units.percent(number(part(each, "measured").get("slo_attainment"))),
            _equality(each.get("strict_equal")),
            units.count(number(each.get("compared"))),
            _short(number(each.get("deployed_max_error"))),
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
                yield place, name, _layers(stage), stage
            for transfer in parts(route, "transfers"):
                yield place, name, _link(transfer), transfer


def _service(values: Stated) -> float | None:
    return number(values.get("service_seconds", values.get("seconds")))


def _deviation(values: Stated) -> float | None:
    mean, cv2 = number(values.get("service_seconds")), number(values.get("service_cv2"))
    return None if mean is None or cv2 is None or cv2 < 0 else mean * math.sqrt(cv2)


def _served_figure(served: Sequence[tuple[int, str, str, Stated]]) -> Figure:
    shown = served[:MOST_BARS]
    real = [part(step, "measured") for *_, step in shown]
    planned = [part(step, "predicted") for *_, step in shown]
    series = []
    for name, colour, pattern, found in (
        ("service, predicted", plots.PREDICTED, "", planned),
        ("service, measured", plots.MEASURED, "/", real),
    ):
        values = [_service(each) for each in found]
        spread = [_deviation(each) for each in found]
        pairs = list(zip(values, spread, strict=True))
        series.append(
            Bars(
                name=name,
                series=colour,
                pattern=pattern,
                values=_milli(values),
                low=_milli([None if v is None or s is None else max(0.0, v - s) for v, s in pairs]),
                high=_milli([None if v is None or s is None else v + s for v, s in pairs]),
            )
        )
    for name, colour, pattern, found in (
        ("wait, predicted", 5, "", planned),
        ("wait, measured", 7, "x", real),
    ):
        series.append(
            Bars(
                name=name,
                series=colour,
                pattern=pattern,
                values=_milli([number(each.get("wait_seconds")) for each in found]),
            )
        )
    more = len(served) - len(shown)
    return plots.grouped_bars(
        Figure(
            id="served",
            label="Service and wait of every stage and transfer, predicted and measured; the "
            "table below has the same numbers",
            data=(),
            note=f"{units.counted(more, 'more step')} in the table." if more > 0 else "",
        ),
        [f"{name} · {what}" for _, name, what, _ in shown],
        series,
        "time (ms)",
    )


def _served_table(served: Sequence[tuple[int, str, str, Stated]]) -> Table:
    rows = []
    for place, name, what, step in served[:MOST_ROWS]:
        predicted, measured = part(step, "predicted"), part(step, "measured")
        size = number(step.get("bytes"))
        rows.append(
            row(
                Cell(text=name, stream=place),
                what,
                "" if size is None else units.size(size),
                units.seconds(_service(predicted)),
                Cell(text=units.seconds(_service(measured)), tone="strong"),
                "" if (spread := _deviation(measured)) is None else f"± {units.seconds(spread)}",
                against(_service(measured), _service(predicted)),
                units.seconds(number(predicted.get("wait_seconds"))),
                units.seconds(number(measured.get("wait_seconds"))),
                "emulated" if step.get("emulated") else "real",
            )
        )
    return Table(
        caption="Stages and transfers (predicted and measured)",
        columns=columns(
            *("stream", "step", "?>bytes", "?>service, predicted", ">service, measured"),
            *("?>spread", ">to predicted", "?>wait, predicted", "?>wait, measured"),
            "?machine or link",
        ),
        rows=tuple(rows),
        note=_left_out(len(served), "step"),
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
                    bar=(
                        Part(
                            start=0.0,
                            length=busy or 0.0,
                            kind="measured",
                            title=f"measured {units.percent(busy)}",
                        ),
                    ),
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
        note="Bars are measured; a mark is what was predicted.",
    )


# --- words --------------------------------------------------------------------------------------


def _worst(stream: Stated, key: str) -> float | None:
    found = [number(part(route, "measured").get(key)) for route in parts(stream, "routes")]
    return max((value for value in found if value is not None), default=None)


def _signed(value: float | None) -> str:
    return units.MISSING if value is None else f"{value * 100:+.1f} %"


def _short(value: float | None) -> str:
    return units.MISSING if value is None else f"{value:.2g}"


def _equality(value: object) -> Cell:
    if not isinstance(value, bool):
        return Cell(text=units.MISSING)
    return Cell(text="bit-exact" if value else "DIFFER", tone="good" if value else "bad")


def _milli(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else value * 1e3 for value in values]


def _left_out(count: int, noun: str) -> str:
    more = count - MOST_ROWS
    return f"{units.counted(more, f'more {noun}')} left out." if more > 0 else ""
