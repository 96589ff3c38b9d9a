"""Small networks of every awkward shape: each cut is split and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.networks import Prepared, extract, group, part_io, prepare, sessions
from edgeplan.networks.parts import PLAIN_POOLS

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def value(name, kind=FLOAT, shape=(1, 4)):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(array, dtype=dtype), name)


def inner(nodes, outputs, inputs=(), constants=()):
    return helper.make_graph(nodes, "inner", list(inputs), outputs, list(constants))


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Prepared]:
    """Write a network of these nodes and prepare it."""

    def make(nodes, inputs, outputs, constants=(), **options):
        graph = helper.make_graph(nodes, "net", list(inputs), list(outputs), list(constants))
        opsets = [helper.make_opsetid("", options.pop("opset", 17))]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return prepare(path, folder=tmp_path / "work", **options)

    return make


def compare_every_cut(network: Prepared, compare) -> None:
    assert network.graph.cuts
    for cut in network.graph.cuts:
        equal, worst = compare(network, [cut.position])
        assert equal, cut
        assert worst <= 1e-6, cut
    assert compare(network, [cut.position for cut in network.graph.cuts])[0]


WEIGHT = constant("w", np.random.default_rng(0).standard_normal((4, 4)))


def test_branches_that_capture_values_of_other_parts(build, compare):
    """Values and constants read only inside of branches, one of them two levels down."""
    deepest = inner([node("Sub", ["b", "a"], ["d"])], [value("d")])
    shallow = inner([node("Relu", ["a"], ["d"])], [value("d")])
    then = inner(
        [
            node("If", ["positive"], ["i"], then_branch=deepest, else_branch=shallow),
            node("MatMul", ["i", "w"], ["t"]),
        ],
        [value("t")],
    )
    other = inner([node("MatMul", ["b", "w"], ["e"])], [value("e")])
    network = build(
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Tanh", ["a"], ["b"]),
            node("ReduceMean", ["b"], ["m"], keepdims=0),
            node("Greater", ["m", "zero"], ["positive"]),
            node("Abs", ["b"], ["c"]),
            node("If", ["positive"], ["z"], then_branch=then, else_branch=other),
            node("Add", ["z", "c"], ["y"]),
        ],
        [value("x")],
        [value("y")],
        [WEIGHT, constant("zero", 0)],
    )
    graph = network.graph
    branch = next(item for item in graph.nodes if item.op_type == "If")
    assert {"a", "b", "positive"} <= set(branch.inputs)
    assert any({"a", "b", "c"} <= set(cut.tensors) for cut in graph.cuts)
    assert [len(constants.nodes) for constants in graph.shared] == [2]
    compare_every_cut(network, compare)


def test_loops_that_capture_values_of_other_parts(build, compare):
    body = inner(
        [
            node("Identity", ["going"], ["still"]),
            node("MatMul", ["v", "w"], ["p"]),
            node("Add", ["p", "a"], ["q"]),
            node("Tanh", ["q"], ["v_out"]),
        ],
        [value("still", BOOL, []), value("v_out")],
        [value("i", INT64, []), value("going", BOOL, []), value("v")],
    )
    network = build(
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Relu", ["a"], ["r"]),
            node("Loop", ["times", "", "r"], ["l"], body=body),
            node("Mul", ["l", "r"], ["y"]),
        ],
        [value("x")],
        [value("y")],
        [WEIGHT, constant("times", 3, np.int64)],
    )
    loop = next(item for item in network.graph.nodes if item.op_type == "Loop")
    assert {"a", "r"} <= set(loop.inputs)
    assert "v" not in loop.inputs
    compare_every_cut(network, compare)


def test_results_midway_and_networks_in_two_pieces(build, compare):
    """A result that later nodes read too, one that none reads, and a piece of its own."""
    network = build(
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Split", ["a"], ["early", "rest"], axis=1),
            node("Tanh", ["rest"], ["both"]),
            node("Exp", ["both"], ["late"]),
            node("MatMul", ["u", "w"], ["k"]),
            node("Sin", ["k"], ["alone"]),
        ],
        [value("x"), value("u")],
        [value(name, shape=["p", "q"]) for name in ("early", "both", "late", "alone")],
        [WEIGHT],
    )
    assert () in [cut.tensors for cut in network.graph.cuts]  # between the pieces
    compare_every_cut(network, compare)


def test_what_nothing_reads_is_dropped(build, compare):
    network = build(
        [
            node("MatMul", ["x", "w"], ["a"]),
            node("Tanh", ["a"], ["y"]),
            node("Exp", ["a"], ["unread"]),
            node("Sin", ["unread"], ["unread too"]),
        ],
        [value("x")],
        [value("y")],
        [WEIGHT],
    )
    assert [item.op_type for item in network.graph.nodes] == ["MatMul", "Tanh"]
    compare_every_cut(network, compare)


def test_random_numbers_are_drawn_once(build):
    """What derives from a mask is made anew in every part, but not what is random."""
    network = build(
        [
            node("Cast", ["mask"], ["m"], to=FLOAT),
            node("RandomNormalLike", ["m"], ["noise"], dtype=FLOAT),
            node("Add", ["x", "noise"], ["a"]),
            node("Mul", ["a", "noise"], ["b"]),
            node("Add", ["b", "m"], ["y"]),
        ],
        [value("x"), value("mask", INT64)],
        [value("y")],
    )
    made = {item.op_type: item.replicated for item in network.graph.nodes}
    assert made["Cast"]
    assert not made["RandomNormalLike"]
    assert any("noise" in cut.tensors for cut in network.graph.cuts)


def test_shapes_that_depend_on_data_forbid_their_cuts(build, compare):
    network = build(
        [
            node("Sub", ["x", "half"], ["s"]),
            node("NonZero", ["x"], ["found"]),
            node("Cast", ["found"], ["places"], to=FLOAT),
            node("ReduceSum", ["places"], ["total"]),
            node("Mul", ["total", "s"], ["y"]),
        ],
        [value("x")],
        [value("y"), value("places", shape=["p", "q"])],
        [constant("half", [0.5])],
    )
    shapes = {item.name: item.shape for item in network.graph.values}
    assert shapes["found"] is None
    assert shapes["places"] is None
    assert shapes["total"] == (1, 1)
    crossing = {name for cut in network.graph.cuts for name in cut.tensors}
    assert crossing == {"s", "total"}
    session = sessions.open_session(network.folded, level="deployed")
    for count in (1, 3):
        held = np.array([[1.0] * count + [0.0] * (4 - count)], dtype=np.float32)
        assert session.run(["places"], {"x": held})[0].shape == (2, count)
    compare_every_cut(network, compare)


def pooled(build, *middle, channels=32):
    """Convolution, something, global pooling of it, and a product of both."""
    random = np.random.default_rng(1)
    kernel = random.standard_normal((channels, 3, 3, 3))
    return build(
        [
            node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
            *middle,
            node("GlobalAveragePool", ["v"], ["g"]),
            node("Sigmoid", ["g"], ["s"]),
            node("Mul", ["v", "s"], ["y"]),
        ],
        [value("x", shape=[1, 3, 20, 20])],
        [value("y", shape=list("nchw"))],
        [constant("k", kernel), constant("half", [0.5])],
    )


@pytest.mark.parametrize("middle", [node("Add", ["c", "half"], ["v"]), node("Relu", ["c"], ["v"])])
def test_a_cut_before_a_global_pooling_keeps_its_kernel(build, compare, tmp_path, middle):
    """ONNX Runtime would otherwise pool in its blocked layout, as it does not in the whole."""
    network = pooled(build, middle)
    place = next(i for i, item in enumerate(network.graph.nodes) if "Pool" in item.op_type)
    equal, worst = compare(network, [place])
    assert equal
    assert worst <= 1e-6
    _, tensors = group(network.graph, [place])
    tail = extract(network.folded, *part_io(tensors, 1, 2), tmp_path / "tail.onnx")
    assert pools(tail, tmp_path) == pools(network.folded, tmp_path)
    assert PLAIN_POOLS not in {entry.key for entry in onnx.load(tail).metadata_props}
    plain = "GlobalAveragePool" in pools(network.folded, tmp_path)
    assert [item.op_type for item in onnx.load(tail).graph.node].count("Reshape") == plain
    if middle.op_type == "Add":
        assert plain
        (entry,) = onnx.load(network.folded).metadata_props
        assert (entry.key, json.loads(entry.value)) == (PLAIN_POOLS, ["g"])


def pools(path: Path, folder: Path) -> list[str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "deployed.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [
        ".".join(filter(None, (item.domain, item.op_type)))
        for item in onnx.load(folder / "deployed.onnx").graph.node
        if item.op_type == "GlobalAveragePool"
    ]


def test_names_that_edgeplan_would_give_may_be_taken(build, compare):
    middle = [node("Add", ["c", "half"], ["v"]), node("Neg", ["v"], ["g.read"])]
    network = pooled(build, *middle, node("Abs", ["g.read"], ["g.read.sizes"]))
    place = next(i for i, item in enumerate(network.graph.nodes) if "Pool" in item.op_type)
    equal, worst = compare(network, [place])
    assert equal
    assert worst <= 1e-6


def test_a_long_and_odd_file_name(build, tmp_path):
    network = build([node("Tanh", ["x"], ["y"])], [value("x")], [value("y")])
    for name in ("🦉" * 60 + ".onnx", "-rf *\n\x1b[31m.onnx", "über net.v2.onnx"):
        path = tmp_path / name
        path.write_bytes((tmp_path / "net.onnx").read_bytes())
        made = prepare(path, folder=tmp_path / "work")
        assert made.folded.read_bytes() == network.folded.read_bytes()
        assert made.folded.name.isascii()
        assert made.folded.name.isprintable()
        assert not made.folded.name.startswith("-")


def test_inputs_of_the_whole_can_be_drawn_for_a_part(build, tmp_path):
    network = build(
        [node("MatMul", ["x", "w"], ["a"]), node("Tanh", ["a"], ["y"])],
        [value("x")],
        [value("y")],
        [WEIGHT],
    )
    part = extract(network.folded, ["a"], ["y"], tmp_path / "part.onnx")
    session = sessions.open_session(part, level="deployed")
    assert sessions.random_inputs(session, 1)["a"].shape == (1, 4)
