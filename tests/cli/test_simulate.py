"""`edgeplan simulate`: its document, its tables, and what it refuses."""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from edgeplan.instances.plans import write_plan
from edgeplan.instances.read import read_instance
from edgeplan.model.plan import Plan, Route
from tests.cli.cli_helpers import invoke, invoke_json, start, write_two_tiers

INSTANCE = """\
format: edgeplan-instance
version: 1
name: loaded
waiting: mg1
networks:
  net:
    layers:
      - {name: a}
      - {name: b}
    tensors:
      - {name: x, size: 100 kB, consumers: a}
      - {name: t, size: 10 kB, producer: a, consumers: b}
    costs:
      board: {times: 10 40 ms, cv2: 1}
      server: {times: 1 4 ms, cv2: 0.5}
devices:
  board: {active_power: 5 W, idle_power: 1 W}
  server: {tier: cloud, provisioned_price: 0.36 USD/h, replicas: {min: 1, max: 4}}
links:
  - {from: board, to: server, both: true, bandwidth: 10 Mbit/s, latency: 5 ms}
streams:
  camera: {network: net, origin: board, rate: 8 /s, deadline: {mean: 150 ms, p95: 300 ms}, \
returns: false, waits: true}
  door=bell: {network: net, origin: board, rate: 2 /s, returns: false}
"""
SPLIT = {
    "camera": (Route(devices=("board", "server")),),
    "door=bell": (Route(devices=("board", "board")),),
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    instance, plan = tmp_path / "loaded.yaml", tmp_path / "plan.json"
    instance.write_text(INSTANCE)
    made = Plan(routes=SPLIT, replicas={"server": 2})
    write_plan(made, plan, problem=read_instance(instance).problem)
    return instance, plan


def test_what_is_written_is_what_json_prints_and_has_a_page(files, tmp_path):
    words = ["simulate", *map(str, files), "--requests", "2000", "--seed", "3"]
    out, page = tmp_path / "sim.json", tmp_path / "page.html"
    written = invoke(*words, "-o", str(out))
    assert written.exit_code == 0, written.output
    assert f"simulation: {out}" in " ".join(written.stdout.split("\n"))
    assert json.loads(out.read_text(encoding="utf-8")) == invoke_json(*words)
    assert invoke("report", str(out), "-o", str(page)).exit_code == 0
    assert page.exists()


def test_the_document(files):
    document = invoke_json("simulate", *files, "--requests", 20_000, "--seed", 1)
    assert (document["requests"], document["seed"]) == (20_000, 1)
    camera, bell = document["streams"]
    assert camera["name"] == "camera"
    wanted = {"name", "mean_seconds", "p50", "p95", "p99", "slo_attainment", "half_width"}
    for stream in document["streams"]:
        assert wanted <= set(stream)
        assert 0 < stream["half_width"] < stream["mean_seconds"]
    # The board does 10 ms for eight and 50 ms for two of ten requests a second.
    board, server = document["devices"]
    assert board["utilisation"] == pytest.approx(0.18, rel=0.05)
    assert board["mean_wait_seconds"] > 0
    assert server["replicas"] == 2
    assert [link["name"] for link in document["links"]] == ["board->server", "server->board"]
    assert camera["slo_seconds"] == 0.15
    assert camera["deadlines"][0]["statistic"] == "p95"
    assert camera["deadlines"][0]["met"] is True
    assert bell["slo_attainment"] is None
    assert document["energy_joules"] > 0
    assert document["cost_dollars"] > 0
    for stream in document["streams"]:
        predicted = stream["predicted"]
        assert predicted["basis"] in ("exact", "approximate")
        # Light load: the prediction is within a few percent, as the simulation is.
        assert stream["mean_seconds"] == pytest.approx(predicted["mean_seconds"], rel=0.05)
    assert board["predicted"]["utilisation"] == pytest.approx(0.18)


def test_the_same_seed_prints_the_same_document(files):
    words = ("simulate", *files, "--requests", 5000, "--json", "--seed")
    one, same, other = (invoke(*words, seed).stdout for seed in (4, 4, 5))
    assert one == same != other


def test_the_tables_say_what_is_simulated_and_what_predicted(files):
    result = invoke("simulate", *files, "--requests", 20_000)
    assert result.exit_code == 0
    for text in (
        "Mean latencies (simulated: 20,000 requests",
        "predicted mean",
        "simulated mean",
        "± 95 %",
        "Percentiles (simulated, beside what is predicted",
        "Percentile deadlines (simulated",
        "Devices (predicted and simulated)",
        "Links (predicted and simulated)",
        "door=bell",
        "approximate",
        "estimated",
    ):
        assert text in result.stdout, text
    assert "Traceback" not in result.stderr


def test_an_unstable_device_is_said_to_be_and_the_exit_code_is_0(files):
    instance, _ = files
    instance.write_text(INSTANCE.replace("rate: 2 /s", "rate: 30 /s"))
    result = invoke("simulate", *files, "--requests", 5000)
    assert result.exit_code == 0
    assert "device 'board' is unstable: 1.58 s of work arrive per second for 1" in result.stderr
    assert "UNSTABLE" in result.stdout
    document = invoke_json("simulate", *files, "--requests", 5000)
    assert document["stable"] is False
    assert document["devices"][0]["stable"] is False
    assert document["streams"][1]["predicted"]["mean_seconds"] is None
    assert any("unstable" in text for text in document["notes"])


def test_kinds_of_arrivals(files, tmp_path):
    trace = tmp_path / "a=b.csv"
    trace.write_text("time\n" + "".join(f"{second / 4}\n" for second in range(400)))
    document = invoke_json(
        "simulate", *files, "--requests", 4000, "--arrivals", "gamma:4", "--trace",
        f"door=bell={trace}",
    )  # fmt: skip
    camera, bell = document["streams"]
    assert camera["arrivals"] == "gamma, ca² 4"
    assert bell["arrivals"] == "trace a=b.csv"
    assert bell["rate_per_second"] == pytest.approx(4.0)
    assert any("4 requests per second, the stream 2" in text for text in document["notes"])
    document = invoke_json(
        "simulate", *files, "--requests", 2000, "--arrivals", "camera=mmpp:4, 500 ms,0.2",
        "--arrivals", "door=bell=poisson",
    )  # fmt: skip
    assert document["streams"][0]["arrivals"].startswith("MMPP, bursts 4 times")
    document = invoke_json(
        "simulate", *files, "--requests", 2000, "--trace", f"camera={trace}", "--scale-traces"
    )
    assert document["streams"][0]["rate_per_second"] == 8.0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--requests", "0"], "--requests"),
        (["--requests", "-5"], "--requests"),
        (["--requests", "many"], "--requests"),
        (["--seed", "-1"], "--seed"),
        (["--arrivals", "camera=sometimes"], "must be poisson, gamma:CV2 or mmpp:RATIO,TIME"),
        (["--arrivals", "camera=gamma"], "must be poisson"),
        (["--arrivals", "camera=gamma:-1"], "cv2 must be a finite number, not negative"),
        (["--arrivals", "camera=gamma:nan"], "cv2 must be a finite number"),
        (["--arrivals", "camera=gamma:1e300"], "cv2 must be at most 1e+06"),
        (["--arrivals", "camera=mmpp:0.5,10s"], "ratio must be a finite number, at least 1"),
        (["--arrivals", "camera=mmpp:4,10"], "TIME: needs a unit"),
        (["--arrivals", "camera=mmpp:4,10s,1.5"], "share must be above 0 and below 1"),
        (["--arrivals", "window=poisson"], "no stream 'window'; write STREAM="),
        (["--arrivals", "camera=poisson", "--arrivals", "camera=gamma:2"], "two kinds"),
        (["--trace", "camera=none.csv"], "none.csv: cannot be read: No such file"),
        (["--trace", "none.csv"], "streams: camera, door=bell"),
        (["--scale-traces"], "there is no --trace to scale"),
    ],
)
def test_options_that_are_refused(files, words, says):
    result = invoke("simulate", *files, *words)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no arrivals"),
        ("time\n1\n0.5\n", "line 3: is earlier than the row above: sort the rows by time"),
        ("time\n-1\n", "line 2: is negative: count seconds from the start"),
        ("0\n1e-320\n", "has inf arrivals per second; from 1e-12 to 1e+12"),
        ("0\nsoon\n", "line 2: 'soon' is no time; write seconds (12.5) or a date"),
    ],
)
def test_malformed_traces_are_refused_with_file_and_line(files, tmp_path, text, says):
    trace = tmp_path / "trace.csv"
    trace.write_text(text)
    result = invoke("simulate", *files, "--trace", f"camera={trace}", "--json")
    assert result.exit_code == 2
    (fault,) = json.loads(result.stdout)["error"]["faults"]
    assert fault["place"].startswith(str(trace))
    assert says in f"{fault['place']}: {fault['message']}"


def test_bursts_too_short_to_be_noticed_are_no_work(files):
    document = invoke_json("simulate", *files, "--requests", 2000, "--arrivals", "mmpp:4,20us")
    assert any("simulated as Poisson" in text for text in document["notes"])


def test_a_plan_that_cannot_run_is_refused(files):
    instance, plan = files
    instance.write_text(
        INSTANCE.replace("both: true, ", "").replace(
            "from: board, to: server", "from: server, to: board"
        )
    )
    result = invoke("simulate", instance, plan)
    assert result.exit_code == 2
    assert "routes.camera[0]: there is no link board->server" in result.stderr


def test_ctrl_c_keeps_what_was_simulated(files):
    process = start("simulate", *files, "--requests", 40_000_000, "--json")
    try:
        deadline = time.monotonic() + 30
        busy = 0.0
        # Until it has worked for a while: it counts from a tenth of the way on, or says nothing.
        while busy < 1.5 and time.monotonic() < deadline and process.poll() is None:
            times = psutil.Process(process.pid).cpu_times()
            busy = times.user + times.system
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert "keeping what was simulated so far" in err
    assert "Traceback" not in err
    document = json.loads(out)
    if process.returncode == 130:  # interrupted within the warm-up
        assert document["error"]["kind"] == "interrupted"
        assert "within the warm-up" in err
    else:
        assert process.returncode == 0
        assert document["interrupted"] is True
        assert document["requests"] < 40_000_000


def test_an_interrupt_within_the_warm_up_says_that_nothing_was_counted(tmp_path, monkeypatch):
    """It comes after the first chunk of the requests, when a tenth of them is yet to be made."""
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    assert invoke("solve", instance, "-o", plan).exit_code == 0
    module = importlib.import_module("edgeplan.simulation")
    simulate, told = module.simulate, []

    def interrupted(*words, **options):
        def progress(done, total):
            told.append(done)
            if len(told) == 2:
                os.kill(os.getpid(), signal.SIGINT)

        return simulate(*words, **{**options, "on_progress": progress})

    monkeypatch.setattr(module, "simulate", interrupted)
    result = invoke("simulate", instance, plan, "--requests", 2_000_000)
    assert result.exit_code == 130
    assert result.stdout == ""
    assert "within the warm-up, after 6" in result.stderr
    assert "nothing was counted yet" in result.stderr
