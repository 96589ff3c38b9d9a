"""``edgeplan profile``: cuts named or taken from another profile, warnings, signs of life."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from onnx import helper

from edgeplan.instances.read import read_instance
from tests.cli.cli_helpers import invoke, invoke_json
from tests.cli.onnx_faults import good, model, save, weights

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
        (["--batch", "1,two"], "--batch"),
        (["--batch", "0"], "must be numbers of requests from 1 to 1024"),
    ],
)
def test_wrong_words(words, says, tmp_path, monkeypatch):
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


def test_batch_sizes_reach_the_plan_s_costs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    net = save(good(), tmp_path)
    board = tmp_path / "board.json"
    found = invoke_json("profile", net, "--cuts", "1", "--batch", "1,2,4", "-o", board)
    assert [job["requests"] for job in found["batches"]] == [1, 2, 4]
    assert found["refused_batches"] == []
    for job in found["batches"]:
        assert job["seconds_per_request"] * job["requests"] == pytest.approx(job["whole_seconds"])
    assert found["batches"][0]["whole_seconds"] == found["whole_seconds"]
    text = invoke("profile", net, "--cuts", "1", "--batch", "4,2").stdout
    assert "Jobs of several requests" in text
    assert "per request" in text

    first = json.loads(board.read_text())["layers"][0]["name"]
    instance = tmp_path / "instance.yaml"
    instance.write_text(
        INSTANCE.replace("FIRST", json.dumps(first)).replace("server.json", "board.json")
    )
    (network,) = read_instance(instance).problem.networks
    for device in ("board", "server"):
        assert sorted(network.costs[device].batches) == [2, 4]


def test_a_batch_size_that_is_refused_is_said_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nodes = [
        helper.make_node("Reshape", ["x", "sizes"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    constants = {"w": weights(4, 4), "sizes": np.array([1, 4])}
    net = save(model(nodes, constants=constants), tmp_path)
    result = invoke("profile", net, "--batch", "2", "--json")
    assert result.exit_code == 0
    (refused,) = json.loads(result.stdout)["refused_batches"]
    assert refused["requests"] == 2
    assert "reshapes to 1×4" in refused["reason"]
    assert "batch 2: refused: net.onnx: its node" in result.stderr
    text = invoke("profile", net, "--batch", "2").stdout
    assert "Batch sizes that were refused" in text
