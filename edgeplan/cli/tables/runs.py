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
    if report.get("open_loop"):
        _open_loop(report)
        return
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
        legend={
            "CPU error": "with compute in CPU time and transfers in wall time",
            "strict": "outputs equal the unsplit network's bit by bit, optimisation off",
            "deployed": "largest difference over the output's scale",
        },
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


def _open_loop(report: Mapping[str, Any]) -> None:
    """Print the report on a run under load: predicted, simulated and measured side by side."""
    streams = _items(report, "streams")
    lag = _part(report, "lag")
    show(
        f"Under load: {units.counted(report.get('requests'), 'request')} measured, "
        f"{units.request_rate(_number(report.get('rate_per_second')))}, after "
        f"{units.counted(report.get('warmup'), 'request')} to warm up",
        (
            "stream", "", ">predicted", ">simulated", ">measured", "?>± s.e.", ">error",
            "?>to simulated",
        ),
        (row for stream in streams for row in _latencies(stream)),
        legend={
            "predicted": "by the model of queues; its percentiles are upper bounds (estimated "
            "ones where a wait is approximate)",
            "± s.e.": "standard error, from batches",
            "error": "measured against predicted",
            "to simulated": "measured against simulated",
        },
    )  # fmt: skip
    show(
        "Outputs and deadlines",
        ("stream", ">rate", ">measured", ">in time", "strict", ">compared", ">deployed"),
        (
            (
                stream.get("name"),
                units.request_rate(_number(stream.get("rate_per_second"))),
                _part(stream, "measured").get("requests"),
                units.percent(_number(_part(stream, "measured").get("slo_attainment"))),
                _equal(stream.get("strict_equal")),
                stream.get("compared"),
                _plain(_number(stream.get("deployed_max_error"))),
            )
            for stream in streams
        ),
    )
    show(
        "Devices",
        (
            "device", ">busy, predicted", ">measured", ">wait, predicted", ">measured",
            ">service to profile",
        ),
        (
            (
                device.get("name"),
                units.percent(_number(_part(device, "predicted").get("utilisation"))),
                units.percent(_number(_part(device, "measured").get("utilisation"))),
                units.seconds(_number(_part(device, "predicted").get("wait_seconds"))),
                units.seconds(_number(_part(device, "measured").get("wait_seconds"))),
                _signed(_less_one(device.get("service_ratio"))),
            )
            for device in _items(report, "devices")
        ),
        footer=f"Requests were sent {units.seconds(_number(lag.get('mean_seconds')))} late on "
        f"average, {units.seconds(_number(lag.get('max_seconds')))} at most; the sender took "
        f"{units.percent(_number(report.get('controller_cpu_share')))} of one of "
        f"{units.counted(report.get('cores'), 'core')}.",
    )  # fmt: skip
    routes = [(stream, route) for stream in streams for route in _items(stream, "routes")]
    show(
        "Stages",
        (
            "stream", "device", ">predicted", ">measured", "?>cv²", ">CPU", ">wait, predicted",
            ">measured", "",
        ),
        (
            (
                stream.get("name") if index == 0 else "",
                stage.get("device"),
                units.seconds(_number(_part(stage, "predicted").get("service_seconds"))),
                units.seconds(_number(_part(stage, "measured").get("service_seconds"))),
                _plain(_number(_part(stage, "measured").get("service_cv2"))),
                units.seconds(_number(_part(stage, "measured").get("cpu_seconds"))),
                units.seconds(_number(_part(stage, "predicted").get("wait_seconds"))),
                units.seconds(_number(_part(stage, "measured").get("wait_seconds"))),
                "emulated" if stage.get("emulated") else "",
            )
            for stream, route in routes
            for index, stage in enumerate(_items(route, "stages"))
        ),
    )  # fmt: skip
    moves = [(stream, move) for stream, route in routes for move in _items(route, "transfers")]
    if moves:
        show(
            "Transfers",
            (
                "stream", "link", ">size", ">predicted", ">measured", ">wait, predicted",
                ">measured", "",
            ),
            (
                (
                    stream.get("name"),
                    _link(move),
                    units.size(_number(move.get("bytes"))),
                    units.seconds(_number(_part(move, "predicted").get("seconds"))),
                    units.seconds(_number(_part(move, "measured").get("seconds"))),
                    units.seconds(_number(_part(move, "predicted").get("wait_seconds"))),
                    units.seconds(_number(_part(move, "measured").get("wait_seconds"))),
                    "emulated" if move.get("emulated") else "real",
                )
                for stream, move in moves
            ),
            footer="emulated: held to the time of the instance's link; real: over the network.",
        )  # fmt: skip


def _latencies(stream: Mapping[str, Any]) -> Iterator[Sequence[object]]:
    """Yield a row for the mean and for each percentile."""
    predicted, measured = _part(stream, "predicted"), _part(stream, "measured")
    simulated = _part(stream, "simulated")
    for key, name, error in (
        ("mean_seconds", "mean", "standard_error"),
        ("p50", "p50", None),
        ("p95", "p95", "p95_standard_error"),
        ("p99", "p99", None),
    ):
        value = _number(measured.get(key))
        yield (
            stream.get("name") if name == "mean" else "",
            name,
            units.seconds(expected := _number(predicted.get(key))),
            units.seconds(played := _number(simulated.get(key))),
            units.seconds(value),
            units.seconds(_number(measured.get(error))) if error else "",
            _signed(_against(value, expected)),
            _signed(_against(value, played)),
        )


def _against(value: float | None, other: float | None) -> float | None:
    return value / other - 1 if value is not None and other else None


def _less_one(value: object) -> float | None:
    number = _number(value)
    return None if number is None else number - 1


def _part(item: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object within an object; an empty one where there is none."""
    value = item.get(key)
    return value if isinstance(value, Mapping) else {}


def _items(item: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list within an object."""
    value = item.get(key)
    items = value if isinstance(value, list | tuple) else ()
    return [found for found in items if isinstance(found, Mapping)]


def _link(transfer: Mapping[str, Any]) -> str:
    return (
        f"{clean_text(str(transfer.get('source')), 30)} → "
        f"{clean_text(str(transfer.get('target')), 30)}"
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
        _link(transfer),
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
