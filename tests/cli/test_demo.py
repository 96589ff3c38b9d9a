"""The demo: refuses an empty zoo; its files read as they should; in full on the real networks."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from edgeplan.cli import demo
from edgeplan.cli import demo_scene as scene
from edgeplan.instances import catalogue
from tests.cli.cli_helpers import invoke, invoke_json

ZOO = Path(__file__).parents[2] / ".zoo"


def test_an_empty_zoo_is_bad_input_and_leaves_nothing(tmp_path):
    out = tmp_path / "out"
    result = invoke("demo", "--zoo", tmp_path, "--output", out)
    assert result.exit_code == 2
    assert "make zoo" in result.stderr
    assert not out.exists()


def test_every_board_is_in_the_catalogue():
    for entry in scene.BOARDS.values():
        assert catalogue.device(entry).flops_per_second is not None


def test_times_fit_a_narrow_terminal(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    machines = [f"{device} ({entry})" for device, entry in scene.BOARDS.items()]
    names = [network.name for network in scene.NETWORKS]
    times = [(name, machine, "12.3 ms", "predicted") for name in names for machine in machines]
    demo._show_profiles([(name, "4.94 MB", 30, 12) for name in names], times)
    out = capsys.readouterr().out
    for _, machine, time, _ in times:
        assert any(machine in line and time in line for line in out.splitlines()), out


@dataclasses.dataclass
class NamedLayer:
    name: str


@dataclasses.dataclass
class LayersOnly:
    layers: tuple[NamedLayer, ...]


def test_the_instance_is_yaml_whatever_layers_are_called():
    from edgeplan.instances.document import parse_yaml

    odd = 'a "quoted" \\ name: {x} # é'
    profiles = {n.name: LayersOnly((NamedLayer("first"), NamedLayer(odd))) for n in scene.NETWORKS}
    for text in (scene.instance_text(profiles), scene.here_text(profiles)):
        tree = parse_yaml(text).value
        assert tree["streams"]["doors"]["privacy"]["before"] == odd
        assert set(tree["devices"]) == set(scene.BOARDS)
        assert set(tree["networks"]) == {n.name for n in scene.NETWORKS}


@pytest.mark.long
def test_the_demo_in_full(tmp_path):
    document = invoke_json("demo", "--zoo", ZOO, "--output", tmp_path)
    assert document["seconds"] < 180
    solved = document["solve"]
    assert solved["status"] == "optimal"
    assert solved["gap"] <= 1e-6
    baselines = solved["baselines"]
    assert baselines
    for name in ("all-at-origin", "cloud:cloud"):
        assert not baselines[name]["feasible"]
        assert baselines[name]["why"]
    for baseline in baselines.values():
        if baseline["feasible"]:
            assert solved["objective"] <= baseline["objective"] * (1 + 1e-9)
    for stream in document["run"]["streams"]:
        assert stream["strict_equal"] is True
        assert stream["deployed_max_error"] <= 1e-6
    for name in (scene.INSTANCE, scene.PLAN, scene.HERE, scene.REPORT):
        assert (tmp_path / name).is_file()
        assert invoke("show", tmp_path / name).exit_code == 0
    assert list((tmp_path / scene.PARTS).rglob("*.onnx"))
    evaluated = invoke_json("evaluate", tmp_path / scene.INSTANCE, tmp_path / scene.PLAN)
    assert evaluated == json.loads(json.dumps(solved["evaluation"]))
