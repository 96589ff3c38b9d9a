"""Runs: predicted beside measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.table import show


def run_report(report: Mapping[str, Any]) -> None:
    """Print a run report (the document of ``run --json``): predicted beside measured."""
    streams = [item for item in report.get("streams") or () if isinstance(item, Mapping)]
    requests = units.counted(report.get("requests"), "request")
    show(
        f"Predicted and measured ({requests} along each route)",
        (
            "stream", ">predicted", ">measured", "?>p95", ">error", ">CPU error", "strict",
            ">deployed",
        ),
        (
            (
                stream.get("name"),
                units.seconds(_number(stream.get("predicted_seconds"))),
                units.seconds(_number(stream.get("measured_seconds"))),
                units.seconds(_worst(stream, "p95_seconds")),
                _signed(_number(stream.get("relative_error"))),
                _signed(_number(stream.get("relative_error_cpu"))),
                _equal(stream.get("strict_equal")),
                _plain(_number(stream.get("deployed_max_error"))),
            )
            for stream in streams
        ),
        footer="CPU error: with compute in CPU time and transfers in wall time. strict: outputs "
        "equal the unsplit network's bit by bit, optimisation off; "
        "deployed: largest difference over the output's scale.",
    )  # fmt: skip
    show(
        "Stages",
        ("stream", "device", ">predicted", ">measured", ">CPU", ">error", ""),
        (
            (
                stream.get("name") if index == 0 else "",
                stage.get("device"),
                units.seconds(predicted := _number(stage.get("predicted_seconds"))),
                units.seconds(measured := _number(stage.get("measured_seconds"))),
                units.seconds(_number(stage.get("cpu_seconds"))),
                _signed(measured / predicted - 1 if measured is not None and predicted else None),
                "emulated" if stage.get("emulated") else "",
            )
            for stream in streams
            for index, stage in enumerate(stream.get("stages") or ())
            if isinstance(stage, Mapping)
        ),
    )
    transfers = [(stream, transfer) for stream in streams for transfer in _transfers(stream)]
    if transfers:
        show(
            "Transfers",
            ("stream", "link", ">size", ">predicted", ">measured", ">error", ""),
            (_transfer(stream, transfer) for stream, transfer in transfers),
            footer="emulated: held to the time of the instance's link; real: over the network.",
        )


def _transfers(stream: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the transfers of all routes in the order in which they happen."""
    for route in stream.get("routes") or ():
        if not isinstance(route, Mapping):
            continue
        stages = [stage for stage in route.get("stages") or () if isinstance(stage, Mapping)]
        lists = [*(stage.get("transfers") for stage in stages), route.get("returned")]
        for transfers in lists:
            yield from (item for item in transfers or () if isinstance(item, Mapping))


def _transfer(stream: Mapping[str, Any], transfer: Mapping[str, Any]) -> Sequence[object]:
    predicted = _number(transfer.get("predicted_seconds"))
    measured = _number(transfer.get("measured_seconds"))
    return (
        stream.get("name"),
        f"{clean_text(str(transfer.get('source')), 30)} → "
        f"{clean_text(str(transfer.get('target')), 30)}",
        units.size(_number(transfer.get("bytes"))),
        units.seconds(predicted),
        units.seconds(measured),
        _signed(measured / predicted - 1 if measured is not None and predicted else None),
        "emulated" if transfer.get("emulated") else "real",
    )


def _worst(stream: Mapping[str, Any], key: str) -> float | None:
    """Return the largest of a measured number over a stream's routes."""
    found = []
    for route in stream.get("routes") or ():
        measured = route.get("measured") if isinstance(route, Mapping) else None
        value = _number(measured.get(key)) if isinstance(measured, Mapping) else None
        if value is not None:
            found.append(value)
    return max(found, default=None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _signed(value: float | None) -> str:
    return units.MISSING if value is None else f"{value * 100:+.1f} %"


def _plain(value: float | None) -> str:
    return units.MISSING if value is None else f"{value:.2g}"


def _equal(value: object) -> Text:
    if value is None:
        return Text(units.MISSING)
    return Text("bit-exact", style="green") if value else Text("DIFFERS", style="bold red")
