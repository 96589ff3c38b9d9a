"""The page of a run: predicted, simulated and measured side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.instances.document import read_document
from edgeplan.model.errors import InputError
from edgeplan.report import stated
from edgeplan.report.blocks import Card, section
from edgeplan.report.open_loops import open_loop_sections
from edgeplan.report.page import Page, Section
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
    short,
    signed,
    worst,
)
from edgeplan.report.stated import Stated, against, number, part, parts, text
from edgeplan.report.tables import Cell, Table, columns, row

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source

MAX_BYTES = 200_000_000


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
    sections = (
        open_loop_sections(document, streams, _warnings(document))
        if open_loop
        else _one_at_a_time(document, streams)
    )
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


# --- one at a time ------------------------------------------------------------------------------


def _one_at_a_time(document: Stated, streams: Sequence[Stated]) -> tuple[Section, ...]:
    errors = [number(each.get("relative_error")) for each in streams]
    known = [error for error in errors if error is not None]
    worst = max(known, key=abs, default=None)
    cards = [
        equal_card(streams),
        Card(
            name="Largest error of a stream",
            value=signed(worst),
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
            facts=machine_facts(document),
            tables=(_stream_table(streams),),
        ),
        section(
            "stages",
            "Stages and transfers",
            "What the evaluator predicts beside what was measured: the median and the 95th "
            "percentile of all requests.",
            tables=(_stage_table(stages),),
        ),
    )


def _stream_table(streams: Sequence[Stated]) -> Table:
    full = longest(
        value
        for each in streams
        for value in (
            number(each.get("predicted_seconds")),
            number(each.get("measured_seconds")),
            worst(each, "p95_seconds"),
        )
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
                units.seconds(worst(each, "p95_seconds")),
                signed(number(each.get("relative_error"))),
                signed(number(each.get("relative_error_cpu"))),
                bullet(
                    predicted,
                    measured,
                    measured,
                    worst(each, "p95_seconds"),
                    full,
                    "median to p95",
                ),
                equality(each.get("strict_equal")),
                short(number(each.get("deployed_max_error"))),
            )
        )
    return Table(
        caption="Latency by stream (predicted and measured)",
        columns=columns(
            *("stream", "?>predicted", ">measured, median", "?>p95", ">to predicted"),
            *("?>CPU time to predicted", "=as a bar", "?outputs", "?>deployed error"),
        ),
        rows=tuple(rows),
        legend=(("measured", "measured, with a line from the median to p95"), MARK_LEGEND),
        note=f"The bars end at {units.seconds(full)}; p95 is of the slowest route. The deployed "
        "error is the largest difference of an output over its scale.",
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
                    yield place, name, link_words(transfer), transfer
                yield place, name, layers_words(stage), stage
            for transfer in parts(route, "returned"):
                yield place, name, f"{link_words(transfer)}, results", transfer


def _spread(step: Stated) -> Stated:
    """Return the median, mean and p95 of a step, whatever it is."""
    return part(step, "wall") or part(step, "measured")


def _stage_table(stages: Sequence[tuple[int, str, str, Stated]]) -> Table:
    shown = stages[:MOST_ROWS]
    full = longest(
        value
        for *_, step in shown
        for value in (
            number(step.get("predicted_seconds")),
            number(step.get("measured_seconds")),
            number(_spread(step).get("p95_seconds")),
        )
    )
    rows = []
    for place, name, what, step in shown:
        predicted = number(step.get("predicted_seconds"))
        measured = number(step.get("measured_seconds"))
        p95 = number(_spread(step).get("p95_seconds"))
        size = number(step.get("bytes"))
        rows.append(
            row(
                Cell(text=name, stream=place),
                what,
                "" if size is None else units.size(size),
                units.seconds(predicted),
                Cell(text=units.seconds(measured), tone="strong"),
                units.seconds(p95),
                "" if size is not None else units.seconds(number(step.get("cpu_seconds"))),
                against(measured, predicted),
                bullet(predicted, measured, measured, p95, full, "median to p95"),
                ("emulated" if step.get("emulated") else "real"),
            )
        )
    return Table(
        caption="Stages and transfers (predicted and measured)",
        columns=columns(
            *("stream", "*step", "?>bytes", "?>predicted", ">measured, median", "?>p95"),
            *("?>CPU time", "?>to predicted", "=as a bar", "?machine or link"),
        ),
        rows=tuple(rows),
        legend=(("measured", "measured, with a line from the median to p95"), MARK_LEGEND),
        note=left_out(len(stages), "step")
        or f"The bars end at {units.seconds(full)}. emulated: held to a time of the instance; "
        "real: whatever it took here.",
    )
