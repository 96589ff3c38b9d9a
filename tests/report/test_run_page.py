"""Pages of runs: what the report says, beside what was predicted, with its spread."""

from __future__ import annotations

import json
import math

import pytest

from edgeplan.execution.generator import Lag
from edgeplan.execution.open_report import (
    Expected,
    Latencies,
    OpenLoopReport,
    ServedRoute,
    ServedStage,
    ServedStream,
    ServedTransfer,
    ServingDevice,
)
from edgeplan.execution.report import (
    RouteReport,
    RunReport,
    StageReport,
    StreamReport,
    Summary,
    TransferReport,
)
from edgeplan.report.page import render
from edgeplan.report.read import build
from edgeplan.report.runs import run_page
from tests.report.hostile import IMAGE, PHONE, SCRIPT
from tests.report.page_helpers import read

HEAD = {"format": "edgeplan-run", "version": 1, "instance": SCRIPT}


def report(equal=True) -> RunReport:
    """Two stages with a transfer between them, measured three times."""
    times = Summary.of((0.010, 0.012, 0.020))
    transfer = TransferReport(
        source=PHONE,
        target="edge",
        tensors=("t",),
        bytes=50_000,
        predicted_seconds=0.004,
        emulated=True,
        measured=Summary.of((0.004, 0.005, 0.006)),
    )
    stages = tuple(
        StageReport(
            device=device,
            first=first,
            stop=first + 1,
            predicted_seconds=0.008,
            emulated=False,
            wall=times,
            cpu=times,
            transfers=moved,
        )
        for device, first, moved in ((PHONE, 0, ()), ("edge", 1, (transfer,)))
    )
    route = RouteReport(
        fraction=1.0,
        requests=3,
        predicted_seconds=0.020,
        measured=Summary.of((0.026, 0.030, 0.040)),
        stages=stages,
        returned=(),
        strict_equal=equal,
        deployed_max_error=3e-7,
    )
    stream = StreamReport(name=IMAGE, routes=(route,))
    return RunReport(requests=3, threads=1, links_emulated=True, streams=(stream,), folder=None)


def open_report() -> OpenLoopReport:
    stage = ServedStage(
        device=PHONE,
        first=0,
        stop=2,
        predicted_seconds=0.008,
        emulated=False,
        predicted_cv2=0.0,
        predicted_wait_seconds=0.001,
        service_seconds=0.010,
        service_cv2=0.25,
        cpu_seconds=0.009,
        wait_seconds=0.003,
    )
    move = ServedTransfer(
        source=PHONE,
        target="edge",
        tensors=("t",),
        bytes=50_000,
        predicted_seconds=0.004,
        emulated=True,
        predicted_wait_seconds=0.0005,
        measured_seconds=0.0041,
        wait_seconds=0.0007,
    )
    stream = ServedStream(
        name=IMAGE,
        rate_per_second=4.0,
        arrival_cv2=1.0,
        predicted=Expected(
            unloaded_seconds=0.012,
            mean_seconds=0.0135,
            p50=None,
            p95=0.040,
            p99=math.inf,
            basis="exact",
        ),
        measured=Latencies.of([0.010 + 0.0001 * (n % 50) for n in range(400)], 0.0145),
        routes=(
            ServedRoute(
                fraction=1.0,
                requests=400,
                predicted_seconds=0.0135,
                mean_seconds=0.0148,
                steps=(stage, move),
            ),
        ),
        strict_equal=True,
        compared=400,
        deployed_max_error=0.0,
    )
    device = ServingDevice(
        name=PHONE,
        predicted_utilisation=0.032,
        predicted_wait_seconds=0.001,
        utilisation=1.0,
        wait_seconds=0.003,
        service_ratio=1.25,
    )
    lag = Lag.of([0.0001] * 400, 0.0148)
    return OpenLoopReport(
        rate_per_second=4.0,
        warmup=20,
        after=0,
        seconds=100.0,
        threads=1,
        seed=0,
        links_emulated=True,
        lag=lag,
        controller_cpu_share=0.01,
        cores=2,
        stopped=False,
        piled_up=False,
        streams=(stream,),
        devices=(device,),
    )


def page_of(document, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**HEAD, **document}))
    return build([path])


def rows(page, section, number=0):
    found = {each.id: each for each in page.sections}
    table = found[section].context["tables"][number]
    return [column.name for column in table.columns], table.rows


def test_one_at_a_time(tmp_path):
    page = page_of(report().as_json(), tmp_path)
    names, ((first, move, second)) = rows(page, "stages")
    assert [cells[1].text for cells in (first, move, second)] == [
        f"{PHONE[:29]}…: layer 0" if len(PHONE) > 30 else f"{PHONE}: layer 0",
        f"{PHONE[:29]}… → edge" if len(PHONE) > 30 else f"{PHONE} → edge",
        "edge: layer 1",
    ]
    assert first[names.index("measured, median")].text == "12.0 ms"
    assert first[names.index("to predicted")].text == "+50.0 %"
    bar = first[names.index("as a bar")]
    # The bar ends at the median, the line at p95, the mark stands at the prediction.
    full = 0.008 / bar.mark
    assert bar.bar[0].length * full == pytest.approx(0.012)
    assert bar.whisker.start * full == pytest.approx(0.012)
    assert (bar.whisker.start + bar.whisker.length) * full == pytest.approx(0.0192)
    text = read(render(page)).text
    for words in ("bit‑exact", "+50.0 %", IMAGE, "emulated", "real"):
        assert words in text
    assert "DIFFER" not in text


def test_different_outputs_are_said_first(tmp_path):
    text = read(render(page_of(report(equal=False).as_json(), tmp_path))).text
    assert text.index("DIFFER") < text.index("Stages and transfers (")


def test_an_open_loop_has_three_sources_side_by_side(tmp_path):
    simulated = {IMAGE: {"mean_seconds": 0.0136, "half_width": 0.0002, "p95": 0.030}}
    page = page_of(open_report().as_json(simulated), tmp_path)
    assert page.facts["open_loop"] is True
    names, found = rows(page, "latency")
    mean, _, p95, _ = found
    assert mean[names.index("predicted")].text == "13.5 ms"
    assert mean[names.index("simulated")].text == "13.6 ms"
    assert p95[names.index("simulated")].text == "30.0 ms"
    spread = float(mean[names.index("± 95 %")].text.split()[1])
    error = open_report().streams[0].measured.standard_error
    assert spread == pytest.approx(1.96e6 * error, rel=0.01) or spread == pytest.approx(
        1.96e3 * error, rel=0.01
    )
    names, (stage, move) = rows(page, "stages")
    assert stage[names.index("spread")].text == "± 5.00 ms"
    assert stage[names.index("wait, measured")].text == "3.00 ms"
    assert move[names.index("service, measured")].text == "4.10 ms"
    (figure,) = next(each for each in page.sections if each.id == "latency").figures
    assert [trace["name"] for trace in figure.data] == ["predicted", "simulated", "measured"]
    assert figure.data[1]["x"] == pytest.approx([13.6, 30.0])


def test_warnings_of_the_run_are_on_the_page(tmp_path):
    page = page_of(open_report().as_json(), tmp_path)
    text = read(render(page)).text
    assert "busy all the time" in text


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"streams": 5},
        {"streams": [5, {}, {"name": 7, "routes": [{"stages": [{}], "returned": 1}]}]},
        {"open_loop": True, "streams": [{"name": SCRIPT, "routes": [{"transfers": [{}]}]}]},
        {"open_loop": True, "devices": [{"predicted": {"utilisation": "x"}}], "lag": []},
    ],
)
def test_reports_with_parts_missing_make_a_page(document):
    read(render(run_page(document)))


def test_hostile_names_stay_text(tmp_path):
    for document in (report().as_json(), open_report().as_json()):
        text = render(page_of(document, tmp_path))
        assert SCRIPT in read(text).text
        assert IMAGE in read(text).text
        assert SCRIPT not in text
