"""edgeplan export-overlay: where each ONNX node runs, as node data for Model Explorer."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from edgeplan.instances.instance import Instance
from edgeplan.instances.plans import write_plan
from edgeplan.instances.write import write_instance
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.networks import group, prepare
from edgeplan.networks.overlay import COLOURS, placed_nodes
from tests.cli.cli_helpers import invoke, invoke_json, write_two_tiers

RESULT_KEYS = {"value", "bgColor", "textColor"}
DATA_KEYS = {
    "name", "results", "thresholds", "gradient", "hideInAggregatedStatsTable",
    "hideInChildrenStatsTable", "hideAggregatedStats", "showExpandedSummaryOnGroupNode",
    "showLabelCountColumnsInChildrenStatsTable",
}  # fmt: skip
"""What Model Explorer 0.1.34 knows of a graph's node data and of a node's result."""


@pytest.fixture(scope="module")
def scene(zoo, tmp_path_factory) -> tuple[Path, Instance]:
    """Return a folder with an instance of squeezenet in four layers, and a plan of two streams."""
    folder = tmp_path_factory.mktemp("overlay")
    prepared = prepare(zoo / "light_squeezenet.onnx", folder=folder)
    cuts = [cut.position for cut in prepared.graph.single_cuts]
    layers, tensors = group(prepared.graph, [cuts[5], cuts[15], cuts[25]])
    costs = {
        device: LayerCosts(seconds=tuple(speed * n for n in (1e-3, 2e-3, 3e-3, 4e-3)))
        for device, speed in (("board", 4.0), ("server", 1.0))
    }
    network = Network("squeeze", layers, tensors, costs)
    problem = Problem(
        name="two",
        networks=(network,),
        devices=(Device(name="board", tier="device"), Device(name="server", tier="cloud")),
        links=tuple(
            Link(source=source, target=target, bytes_per_second=1e6, latency_seconds=1e-3)
            for source, target in (("board", "server"), ("server", "board"))
        ),
        streams=tuple(
            Stream(name=name, network="squeeze", origin="board") for name in ("a", "b c")
        ),
    )
    instance = Instance(problem=problem, sources={"squeeze": prepared.source})
    write_instance(instance, folder / "instance.json")
    plan = Plan(
        routes={
            "a": (Route(devices=("board", "board", "server", "server")),),
            "b c": (Route(devices=("server",) * 4),),
        }
    )
    write_plan(plan, folder / "plan.json", problem=problem)
    return folder, instance


def export(scene, *words: object) -> dict[str, dict]:
    folder, _ = scene
    found = invoke_json(
        "export-overlay", folder / "plan.json", "--instance", folder / "instance.json",
        "-o", folder / "o.json", *words,
    )  # fmt: skip
    return {
        Path(each["file"]).name: json.loads(Path(each["file"]).read_text())
        for each in found["files"]
    }


def test_files_have_the_form_that_model_explorer_reads(scene):
    files = export(scene)
    assert set(files) == {
        f"o-{stream}{kind}.json" for stream in ("a", "b_c") for kind in ("", ".seconds", ".bytes")
    }
    for document in files.values():
        assert set(document) <= DATA_KEYS | {"edgeplan"}
        # Else Model Explorer would take the keys for graphs' names.
        assert "results" not in document["results"]
        for result in document["results"].values():
            assert set(result) <= RESULT_KEYS
        assert document["edgeplan"]["source"] == "predicted"
        assert document["edgeplan"]["onnx"].endswith("light_squeezenet.onnx")
        assert len(document["edgeplan"]["sha256"]) == 64
        assert document["edgeplan"]["graph"] == "squeezenet_old"
        for stop in document.get("gradient", ()):
            assert set(stop) == {"stop", "bgColor"}


def test_nodes_are_those_of_the_file_and_where_their_layers_run(scene, zoo):
    _, instance = scene
    files = export(scene)
    model = onnx.load(zoo / "light_squeezenet.onnx", load_external_data=False)
    made = {node.output[0]: node for node in model.graph.node}
    devices = files["o-a.json"]["results"]
    # Unnamed nodes make this file's constants: what runs has the names that the file gives.
    running = {node.name for node in model.graph.node if node.op_type != "ConstantOfShape"}
    assert set(devices) == running - {""}
    network = instance.problem.networks[0]
    for tensor in network.tensors:
        if tensor.producer is not None:
            device = "board" if tensor.producer < 2 else "server"
            assert devices[made[tensor.name].name]["value"] == device
    assert {result["bgColor"] for result in devices.values()} == set(COLOURS[:2])
    assert {r["value"] for r in files["o-b_c.json"]["results"].values()} == {"server"}
    # The same device has the same colour in every file.
    assert {r["bgColor"] for r in files["o-b_c.json"]["results"].values()} == {COLOURS[1]}


def test_seconds_are_the_layers_and_bytes_what_is_sent(scene, zoo):
    _, instance = scene
    files = export(scene)
    seconds = [result["value"] for result in files["o-a.seconds.json"]["results"].values()]
    assert sorted(set(seconds)) == pytest.approx([3e-3, 4e-3, 8e-3])  # 2 × 4 and 4 × 1 are equal
    network = instance.problem.networks[0]
    crossing = next(t for t in network.tensors if t.producer == 1)
    (result,) = network.outputs
    (given,) = network.inputs
    sent = {name: each["value"] for name, each in files["o-a.bytes.json"]["results"].items()}
    model = onnx.load(zoo / "light_squeezenet.onnx", load_external_data=False)
    names = {node.output[0]: node.name for node in model.graph.node}
    assert sent == {names[crossing.name]: crossing.bytes, names[result.name]: result.bytes}
    all_there = files["o-b_c.bytes.json"]["results"]
    assert all_there == {
        f"[value] {given.name}": {"value": given.bytes},
        names[result.name]: {"value": result.bytes},
    }


def test_one_stream_has_the_plain_name(scene):
    assert set(export(scene, "--stream", "a")) == {"o.json", "o.seconds.json", "o.bytes.json"}


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("inception_v2", "ppocr_cls")),
        # Folding makes a value at which it is cut.
        pytest.param("minilm", marks=pytest.mark.long),
    ],
)
def test_every_node_that_runs_is_of_the_layer_of_its_place(name, zoo, tmp_path):
    """The walk over the file as it is agrees with the order of the folded one."""
    prepared = prepare(zoo / f"{name}.onnx", folder=tmp_path)
    positions = [cut.position for cut in prepared.graph.cuts]
    positions = positions[:: max(1, len(positions) // 6)][1:]
    layers, tensors = group(prepared.graph, positions)
    costs = {"d": LayerCosts(seconds=(1.0,) * len(layers))}
    placed = placed_nodes(Network("n", layers, tensors, costs), prepared.source)
    of = {value: node.layer for node in placed.nodes for value in node.makes}
    for index, node in enumerate(prepared.graph.nodes):
        for value in node.outputs:
            if value in of and not node.replicated:
                assert of[value] == sum(position <= index for position in positions), value
    told = sum(value in of for node in prepared.graph.nodes for value in node.outputs)
    assert told >= 0.85 * len(prepared.graph.nodes)
    assert len({node.name for node in placed.nodes}) == len(placed.nodes)
    assert "" not in {node.name for node in placed.nodes}


# --- what cannot be ------------------------------------------------------------------------------


def test_another_file_than_the_profiled_one_is_refused(scene, tmp_path):
    _, instance = scene
    source = instance.sources["squeeze"]
    with pytest.raises(ValueError, match="wrong model hash"):
        placed_nodes(
            instance.problem.networks[0],
            OnnxSource(path=source.path, sha256="0" * 64, shapes=source.shapes),
        )


def test_faults_say_what_to_do(scene, tmp_path):
    folder, _ = scene
    words = ("export-overlay", folder / "plan.json", "--instance", folder / "instance.json")
    unknown = invoke(*words, "-o", tmp_path / "o.json", "--stream", "z")
    assert unknown.exit_code == 2
    assert "there is no stream 'z'; streams: a, b c" in unknown.stderr
    assert invoke(*words).exit_code == 2
    bare, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke("solve", bare, "-o", plan)
    none = invoke("export-overlay", plan, "--instance", bare, "-o", tmp_path / "o.json")
    assert none.exit_code == 2
    assert "there is no ONNX file for it" in none.stderr
    assert not (tmp_path / "o.json").exists()
