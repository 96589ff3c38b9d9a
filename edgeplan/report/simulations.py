"""The page of a simulation: what random arrivals make of a plan, beside what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.instances.document import read_document
from edgeplan.model.errors import InputError
from edgeplan.report import plots, stated
from edgeplan.report.blocks import Card, section
from edgeplan.report.figures import Figure
from edgeplan.report.page import Page
from edgeplan.report.plots import Dots
from edgeplan.report.stated import Stated, against, number, pair, part, parts, text
from edgeplan.report.tables import Cell, Part, Table, columns, row

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source

MAX_BYTES = 100_000_000
MOST_STREAMS = 40
"""Streams in a picture; the table has `MOST_ROWS`."""
MOST_ROWS = 300
PERCENTILES = ("p50", "p95", "p99")


def page(sources: Sequence[Source], problem: Problem | None) -> Page:
    """Return the page of what ``edgeplan simulate --json`` printed.

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
        raise InputError.at(source.name, "is not a simulation")
    return simulation_page(document, [source.name])


def simulation_page(document: Stated, sources: Sequence[str] = ()) -> Page:
    """Return the page of a simulation.

    Parameters
    ----------
    document
        What ``edgeplan simulate --json`` printed.
    sources
        Names of the files, for the page's foot.
    """
    name = text(document.get("instance"))
    streams = parts(document, "streams")
    warnings = stated.texts(document, "notes")
    if document.get("interrupted") is True:
        warnings.insert(0, "The simulation was stopped early.")
    if document.get("stable") is False:
        warnings.insert(
            0,
            "A queue grows without end: the numbers depend on how long the simulation is, and "
            "say nothing of a longer one.",
        )
    predicted = part(document, "predicted")
    stable = document.get("stable") is not False
    cards = [
        Card(
            name="Queues",
            value="stable" if stable else "unstable",
            source="from the plan's means",
            tone="good" if stable else "bad",
        )
    ]
    for key, title, unit in (
        ("latency_seconds", "Latency", units.seconds),
        ("energy_joules", "Energy", units.joules),
        ("cost_dollars", "Cost", units.dollars),
    ):
        value = number(document.get(key))
        before = unit(number(predicted.get(key)))
        cards.append(
            Card(name=title, value=unit(value), source=f"simulated, mean; predicted {before}")
        )
    requests = number(document.get("requests"))
    simulated = units.seconds(number(document.get("simulated_seconds")))
    facts = [
        ("requests", units.count(requests)),
        ("simulated time", simulated),
        ("not counted at its start", units.seconds(number(document.get("warm_up_seconds")))),
        ("seed", units.number(number(document.get("seed")))),
        ("engine", text(document.get("engine"))),
    ]
    return Page(
        kind="simulation",
        title=f"Simulation of {name}" if name else "Simulation",
        subtitle=f"{units.count(requests)} requests at random times through one plan, in "
        f"{simulated} of simulated time.",
        sections=(
            section("answer", "Answer", warnings=warnings, cards=cards, facts=facts),
            section(
                "latency",
                "Latency of each stream",
                "Simulated by discrete events, beside what the evaluator predicts. Intervals are "
                "of 95 % confidence.",
                figures=(_latency_figure(streams),) if streams else (),
                tables=(_streams(streams), _percentiles(streams), _deadlines(streams)),
            ),
            section(
                "loads",
                "Devices and links",
                "Share of the time busy, and mean wait: simulated beside predicted.",
                tables=(
                    _loads(parts(document, "devices"), "Devices"),
                    _loads(parts(document, "links"), "Links"),
                ),
            ),
        ),
        sources=tuple(sources),
        facts={"streams": len(streams), "stable": stable},
    )


def _latency_figure(streams: Sequence[Stated]) -> Figure:
    shown = streams[:MOST_STREAMS]
    half = [number(each.get("half_width")) for each in shown]
    mean = [number(each.get("mean_seconds")) for each in shown]
    series = [
        Dots(
            name="mean, simulated",
            series=plots.SIMULATED,
            marker="circle",
            values=_milli(mean),
            low=_milli([_minus(m, h) for m, h in zip(mean, half, strict=True)]),
            high=_milli([_plus(m, h) for m, h in zip(mean, half, strict=True)]),
        ),
        Dots(
            name="mean, predicted",
            series=plots.PREDICTED,
            marker="circle-open",
            values=_milli([number(part(each, "predicted").get("mean_seconds")) for each in shown]),
        ),
    ]
    for key, marker, colour in (("p95", "square", 1), ("p99", "diamond", 3)):
        ends = [pair(each.get(f"{key}_interval")) for each in shown]
        series.append(
            Dots(
                name=f"{key}, simulated",
                series=colour,
                marker=marker,
                values=_milli([number(each.get(key)) for each in shown]),
                low=_milli([low for low, _ in ends]),
                high=_milli([high for _, high in ends]),
            )
        )
        series.append(
            Dots(
                name=f"{key}, predicted",
                series=plots.PREDICTED,
                marker=f"{marker}-open",
                values=_milli([number(part(each, "predicted").get(key)) for each in shown]),
            )
        )
    more = len(streams) - len(shown)
    return plots.dots(
        Figure(
            id="latency",
            label="Mean and percentiles of the latency of each stream, simulated and predicted; "
            "the table below has the same numbers",
            data=(),
            note="Filled: simulated, with the interval of 95 % confidence. Hollow: predicted; "
            "percentiles are upper bounds, or estimates where waits are approximate."
            + (f" {units.counted(more, 'more stream')} in the table." if more > 0 else ""),
        ),
        [text(each.get("name")) for each in shown],
        series,
        "latency (ms)",
    )


def _streams(streams: Sequence[Stated]) -> Table:
    rows = []
    for place, each in enumerate(streams[:MOST_ROWS]):
        predicted = part(each, "predicted")
        mean = number(each.get("mean_seconds"))
        stable = each.get("stable") is not False
        rows.append(
            row(
                Cell(
                    text=text(each.get("name"), 80) + ("" if stable else " (unstable)"),
                    stream=place,
                ),
                text(each.get("arrivals")),
                units.request_rate(number(each.get("rate_per_second"))),
                units.count(number(each.get("requests"))),
                units.seconds(number(predicted.get("mean_seconds"))),
                Cell(text=units.seconds(mean), tone="strong"),
                units.seconds(number(each.get("half_width"))),
                against(mean, number(predicted.get("mean_seconds"))),
                text(predicted.get("basis")).replace("none", "without waits"),
            )
        )
    return Table(
        caption="Latency by stream (simulated, beside predicted)",
        columns=columns(
            *("stream", "?arrivals", "?>rate", "?>requests", "?>mean, predicted"),
            *(">mean, simulated", "?>± 95 %", ">to predicted", "?prediction is"),
        ),
        rows=tuple(rows),
        note=f"{len(streams) - MOST_ROWS} streams left out." if len(streams) > MOST_ROWS else "",
    )


def _percentiles(streams: Sequence[Stated]) -> Table:
    rows = []
    for place, each in enumerate(streams[:MOST_ROWS]):
        cells = []
        for key in PERCENTILES:
            low, high = pair(each.get(f"{key}_interval"))
            known = low is not None and high is not None
            cells += [
                Cell(text=units.seconds(number(each.get(key))), tone="strong"),
                Cell(text=f"{units.seconds(low)} – {units.seconds(high)}" if known else ""),
                Cell(text=units.seconds(number(part(each, "predicted").get(key)))),
            ]
        rows.append(row(Cell(text=text(each.get("name"), 80), stream=place), *cells))
    names = [
        name
        for key in PERCENTILES
        for name in (f">{key}, simulated", "?>95 % interval", f"?>{key}, predicted")
    ]
    return Table(
        caption="Percentiles of the latency by stream (simulated, beside predicted)",
        columns=columns("stream", *names),
        rows=tuple(rows),
    )


def _deadlines(streams: Sequence[Stated]) -> Table | None:
    rows = []
    for place, each in enumerate(streams):
        name = text(each.get("name"), 80)
        within = number(each.get("slo_attainment"))
        if within is not None:
            limit = units.seconds(number(each.get("slo_seconds")))
            half = units.percent(number(each.get("slo_half_width")))
            rows.append(
                row(Cell(text=name, stream=place), f"within {limit}", units.percent(within), half)
            )
        for deadline in parts(each, "deadlines"):
            met = deadline.get("met") is True
            rows.append(
                row(
                    Cell(text=name, stream=place),
                    f"{text(deadline.get('statistic'))} within "
                    f"{units.seconds(number(deadline.get('limit_seconds')))}",
                    Cell(
                        text=f"{units.percent(number(deadline.get('attainment')))}, "
                        + ("kept" if met else "missed"),
                        tone="good" if met else "bad",
                    ),
                    units.percent(number(deadline.get("half_width"))),
                )
            )
    if not rows:
        return None
    return Table(
        caption="Requests in time (simulated)",
        columns=columns("stream", "deadline", ">share in time", "?>± 95 %"),
        rows=tuple(rows[:MOST_ROWS]),
    )


def _loads(loads: Sequence[Stated], what: str) -> Table | None:
    used = [each for each in loads if number(each.get("jobs")) or number(each.get("utilisation"))]
    if not used:
        return None
    used.sort(key=lambda each: -(number(each.get("utilisation")) or 0.0))
    rows = []
    for each in used[:MOST_ROWS]:
        predicted = part(each, "predicted")
        busy, before = number(each.get("utilisation")), number(predicted.get("utilisation"))
        stable = each.get("stable") is not False
        rows.append(
            row(
                text(each.get("name"), 80).replace("->", " → "),
                units.count(number(each.get("jobs"))),
                units.percent(before),
                Cell(
                    text=units.percent(busy) + ("" if stable else ", unstable"),
                    tone="strong" if stable else "bad",
                ),
                Cell(
                    bar=(
                        Part(
                            start=0.0,
                            length=busy or 0.0,
                            kind="simulated" if stable else "over",
                            title=f"simulated {units.percent(busy)}",
                        ),
                    ),
                    mark=before,
                    mark_title=f"predicted {units.percent(before)}",
                ),
                units.seconds(number(predicted.get("mean_wait_seconds"))),
                units.seconds(number(each.get("mean_wait_seconds"))),
            )
        )
    return Table(
        caption=f"{what}: share of the time busy, and waits (simulated, beside predicted)",
        columns=columns(
            *("name", "?>jobs", "?>busy, predicted", ">busy, simulated", "=busy, as a bar"),
            *("?>mean wait, predicted", ">mean wait, simulated"),
        ),
        rows=tuple(rows),
        legend=(("simulated", "simulated"), ("mark-sample", "predicted")),
    )


def _milli(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else value * 1e3 for value in values]


def _minus(value: float | None, less: float | None) -> float | None:
    return None if value is None or less is None else max(value - less, value / 100)


def _plus(value: float | None, more: float | None) -> float | None:
    return None if value is None or more is None else value + more
