"""profile, show, split, run, worker, measure-link on a small network, end to end."""

from __future__ import annotations

import dataclasses
import itertools
import json
import signal
from pathlib import Path

import onnx
import pytest

from edgeplan.cli.documents import Run
from edgeplan.instances.codec import decode
from tests.cli.cli_helpers import invoke, invoke_json, start
from tests.cli.onnx_faults import good, save

PROFILE_KEYS = {
    "network", "layers", "cuts", "parameters", "macs", "whole_seconds", "mad_seconds", "device",
    "basis",
}  # fmt: skip

INSTANCE = """\
format: edgeplan-instance
version: 1
name: small
networks:
  small:
    onnx: net.onnx
    profiles: [{file: profile.json, devices: [board, server]}]
devices:
  board: {zone: home, memory: 200 B}
  server: {tier: cloud, zone: away}
links:
  - {from: board, to: server, both: true, bandwidth: 100 Mbit/s, latency: 2 ms}
streams:
  camera: {network: small, origin: board, pins: [{devices: board, layers: FIRST}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a network, its profile, an instance of two devices, and a plan."""
    folder = tmp_path_factory.mktemp("small")
    save(good(), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        invoke_json(
            "profile", folder / "net.onnx", "-o", folder / "profile.json", "--name", "small"
        )
    profile = json.loads((folder / "profile.json").read_text())
    first = json.dumps(profile["layers"][0]["name"])
    (folder / "instance.yaml").write_text(INSTANCE.replace("FIRST", first))
    document = invoke_json("solve", folder / "instance.yaml", "-o", folder / "plan.json")
    assert document["status"] == "optimal"
    return folder


def test_profile_json_has_the_keys_of_the_contract(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    result = invoke("profile", folder / "net.onnx", "--name", "small", "--json")
    document = json.loads(result.stdout)
    assert set(document) >= PROFILE_KEYS
    assert document["network"] == "small"
    assert (document["layers"], document["cuts"]) == (3, 2)
    assert document["parameters"] == 4 * 8 + 8 * 3
    assert document["macs"] == 4 * 8 + 8 * 3
    assert all(type(document[key]) is int for key in ("layers", "cuts", "parameters", "macs"))
    assert document["basis"] == "measured"
    assert document["whole_seconds"] > 0
    assert "reused" in result.stderr


def test_profile_for_a_catalogue_device_is_predicted(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    document = invoke_json(
        "profile", folder / "net.onnx", "--name", "small", "--device", "raspberry-pi-4"
    )
    assert document["device"] == "raspberry-pi-4"
    assert document["basis"] == "predicted"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--device", "abacus"], "abacus"),
        (["--shape", "x"], "--shape"),
        (["--shape", "x=1,-4"], "--shape"),
        (["--shape", "x=1,two"], "--shape"),
        (["--shape", "x=1,5"], "x"),
        (["--shape", "x=1x5"], "x"),
        (["--shape", "nowhere=1,4"], "nowhere"),
        (["-o", "nowhere/profile.json"], "folder"),
    ],
)
def test_wrong_profile_options(words, says, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = invoke("profile", folder / "net.onnx", *words)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(
    ("name", "kind", "shows"),
    [
        ("instance.yaml", "instance", "Objective and limits"),
        ("profile.json", "profile", "Profile of small"),
        ("plan.json", "plan", "Routes"),
        ("net.onnx", "onnx", "Cuts"),
    ],
)
def test_show_every_kind(name, kind, shows, folder):
    assert invoke_json("show", folder / name)["kind"] == kind
    result = invoke("show", folder / name)
    assert result.exit_code == 0
    assert shows in result.stdout


def test_show_refuses_what_it_does_not_know(tmp_path):
    path = tmp_path / "future.json"
    path.write_text('{"format": "edgeplan-future", "version": 1}')
    result = invoke("show", path)
    assert result.exit_code == 2
    assert "edgeplan-future" in result.stderr


def test_split_writes_one_file_per_stage(folder, tmp_path):
    document = invoke_json("split", folder / "instance.yaml", folder / "plan.json", "-o", tmp_path)
    plan = json.loads((folder / "plan.json").read_text())
    devices = plan["routes"]["camera"][0]["devices"]
    stages = 1 + sum(a != b for a, b in itertools.pairwise(devices))
    assert stages > 1, "200 bytes of memory force a split"
    assert len(document["parts"]) == stages
    for part in document["parts"]:
        onnx.checker.check_model(onnx.load(part["file"]))
    result = invoke("split", folder / "instance.yaml", folder / "plan.json", "-o", tmp_path)
    assert "Parts" in result.stdout


def test_run_json_has_the_keys_of_the_contract(folder, tmp_path):
    report = tmp_path / "run.json"
    words = ("run", folder / "instance.yaml", folder / "plan.json", "--requests", 3, "-o", report)
    document = invoke_json(*words)
    assert document["requests"] == 3
    (stream,) = document["streams"]
    assert set(stream) >= {
        "name", "predicted_seconds", "measured_seconds", "relative_error", "strict_equal",
        "deployed_max_error", "stages",
    }  # fmt: skip
    assert stream["name"] == "camera"
    assert stream["strict_equal"] is True
    assert stream["deployed_max_error"] <= 1e-6
    assert stream["measured_seconds"] > 0.004
    for stage in stream["stages"]:
        assert set(stage) >= {"device", "predicted_seconds", "measured_seconds", "cpu_seconds"}
    assert (document.pop("format"), document.pop("version")) == ("edgeplan-run", 1)
    described = decode(Run, document)  # as `edgeplan schema run` says, without another key
    assert described.streams[0].stages[0].wall.p95_seconds > 0
    assert set(document) == {field.name for field in dataclasses.fields(Run)}
    shown = invoke("show", report)
    assert shown.exit_code == 0
    assert "bit-exact" in shown.stdout
    assert invoke_json("show", report)["kind"] == "run"


def test_run_tells_which_devices_were_predicted_and_shows_transfers(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    predicted = folder / "predicted.json"
    device = ("--name", "small", "--device", "raspberry-pi-4")
    invoke_json("profile", folder / "net.onnx", "-o", predicted, *device)
    text = (folder / "instance.yaml").read_text()
    both = "[{file: profile.json, devices: [board, server]}]"
    assert both in text
    instance = folder / "predicted.yaml"
    instance.write_text(text.replace(both, "{board: predicted.json, server: profile.json}"))
    invoke_json("solve", instance, "-o", tmp_path / "plan.json")
    words = ("run", instance, tmp_path / "plan.json", "--requests", 1)
    result = invoke(*words, "--json")
    assert json.loads(result.stdout)["predicted_devices"] == ["board"]
    notes = [line for line in result.stderr.splitlines() if "predictions" in line]
    assert len(notes) == 1
    assert "board" in notes[0]
    assert "server" not in notes[0]
    assert "--slow-down" in notes[0]
    result = invoke(*words, "--slow-down")
    assert "predictions" not in result.stderr
    table = result.stdout.partition("Transfers")[2]
    assert "board → server" in table
    assert "server → board" in table
    assert "emulated" in table
    real = invoke("run", folder / "instance.yaml", folder / "plan.json", "--requests", 1)
    assert "predictions" not in real.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("server: {address: nonsense, token_file: token}", "HOST:PORT"),
        ("server: {address: '127.0.0.1:9', token_file: gone}", "gone"),
        ("server: 5", "server"),
        ("- a\n- b", "mapping"),
        ("server: {address: '127.0.0.1:9', token_file: token, speed: 3}", "speed"),
        ("a: &x [1]\nb: *x", ""),
    ],
)
def test_wrong_workers_file(content, says, folder, tmp_path):
    (tmp_path / "token").write_text("0123456789abcdef0123")
    workers = tmp_path / "workers.yaml"
    workers.write_text(content)
    words = ("run", folder / "instance.yaml", folder / "plan.json", "--workers", workers)
    result = invoke(*words)
    assert result.exit_code == 2, result.stderr
    assert says in result.stderr


def test_workers_elsewhere_run_a_plan_and_measure_their_link(folder, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    workers = [start("worker", "--token-file", token, TMPDIR=str(tmp_path)) for _ in range(2)]
    try:
        addresses = []
        for worker in workers:
            assert worker.stdout is not None
            addresses.append(json.loads(worker.stdout.readline())["listening"])
        link = invoke_json("measure-link", *addresses, "--token-file", token)
        assert link["bytes_per_second"] > 0
        assert link["latency_seconds"] > 0
        assert "bandwidth" in invoke("measure-link", *addresses, "--token-file", token).stdout
        file = tmp_path / "workers.yaml"
        file.write_text(
            f"board: {{address: '{addresses[0]}', token_file: token}}\n"
            f"server: {{address: '{addresses[1]}', token_file: token}}\n"
        )
        words = ("run", folder / "instance.yaml", folder / "plan.json", "--requests", 2)
        document = invoke_json(*words, "--workers", file)
        assert document["streams"][0]["strict_equal"] is True
        token.write_text("another token that is long enough")
        refused = invoke(*words, "--workers", file)
        assert refused.exit_code == 1
        assert "Traceback" not in refused.stderr
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGINT)
        codes = [worker.wait(20) for worker in workers]
        for worker in workers:
            worker.communicate()
    assert codes == [0, 0]
    assert {path.name for path in tmp_path.iterdir()} == {"token", "workers.yaml"}


def test_worker_with_a_short_token_or_a_bad_address(tmp_path):
    token = tmp_path / "token"
    token.write_text("short")
    result = invoke("worker", "--token-file", token)
    assert result.exit_code == 2
    assert "--token-file" in result.stderr
    token.write_text("0123456789abcdef0123")
    result = invoke("worker", "--token-file", token, "--listen", "here")
    assert result.exit_code == 2
    assert "HOST:PORT" in result.stderr
