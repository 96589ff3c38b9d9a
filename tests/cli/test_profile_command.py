"""``edgeplan profile``: cuts named or taken from another profile, warnings, signs of life."""

from __future__ import annotations

import json
import re

import pytest

from tests.cli.cli_helpers import invoke, invoke_json
from tests.cli.onnx_faults import good, save

INSTANCE = """\
format: edgeplan-instance
version: 1
name: small
networks:
  small:
    onnx: net.onnx
    profiles: {board: board.json, server: server.json}
devices:
  board: {zone: home, memory: 200 B}
  server: {tier: cloud, zone: away}
links:
  - {from: board, to: server, both: true, bandwidth: 100 Mbit/s, latency: 2 ms}
streams:
  camera: {network: small, origin: board, pins: [{devices: board, layers: FIRST}]}
"""


def test_profiles_of_two_runs_fit_one_instance_with_cuts_from(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = save(good(), tmp_path)
    board, server = tmp_path / "board.json", tmp_path / "server.json"
    invoke_json("profile", net, "--cuts", "1", "-o", board)
    assert json.loads(board.read_text())["positions"] == [1]
    first = json.loads(board.read_text())["layers"][0]["name"]
    instance = tmp_path / "instance.yaml"
    instance.write_text(INSTANCE.replace("FIRST", json.dumps(first)))

    invoke_json("profile", net, "--cuts", "2", "-o", server)
    refused = invoke("solve", instance)
    assert refused.exit_code == 2
    assert "edgeplan profile --cuts-from" in refused.stderr
    invoke_json("profile", net, "--cuts-from", board, "-o", server)
    assert json.loads(server.read_text())["positions"] == [1]
    assert invoke_json("solve", instance, "-o", tmp_path / "plan.json")["status"] == "optimal"

    changed = good()
    changed.graph.node[1].op_type = "Sigmoid"
    other = invoke("profile", save(changed, tmp_path, "other.onnx"), "--cuts-from", board)
    assert other.exit_code == 2
    assert "give a profile of this file" in other.stderr
    both = invoke("profile", net, "--cuts-from", board, "--cuts", "1")
    assert both.exit_code == 2
    assert "leave one out" in both.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cuts", "1,two"], "--cuts"),
        (["--cuts", "7"], "cannot be cut"),
        (["--cuts-from", "nowhere.json"], "no such file"),
    ],
)
def test_wrong_cuts(words, says, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = invoke("profile", save(good(), tmp_path), *words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_without_a_terminal_it_says_what_it_does(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = save(good(), tmp_path)
    first = invoke("profile", net, "--json").stderr.splitlines()
    assert re.fullmatch(
        r"6 spans of net, about \d+ s on a quiet machine; Ctrl-C keeps what is measured", first[0]
    )
    assert not any("spans done" in line for line in first), "it takes less than 15 s"
    monkeypatch.setattr("edgeplan.cli.profile._EVERY_SECONDS", 0.0)
    lines = invoke("profile", net, "--json", "--fresh").stderr.splitlines()
    assert any(re.match(r"\d of 6 spans done: \d+ runs of \d spans", line) for line in lines)
    again = invoke("profile", net, "--json").stderr
    assert "spans of net" not in again, "nothing is left to measure"


def test_a_busy_machine_is_told_on_stderr(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("edgeplan.profiling.noise.warning", lambda whole, machine: "it was busy")
    result = invoke("profile", save(good(), tmp_path), "--json")
    assert result.stderr.splitlines()[-1] == "it was busy"
    json.loads(result.stdout)
