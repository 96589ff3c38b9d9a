"""Runs: predicted beside measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.tables.table import show


def run_report(report: Mapping[str, Any]) -> None:
    """Print a run report (the document of ``run --json``): predicted beside measured."""
    streams = [item for item in report.get("streams") or () if isinstance(item, Mapping)]
    show(
        f"Predicted and measured ({report.get('requests')} requests along each route)",
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
