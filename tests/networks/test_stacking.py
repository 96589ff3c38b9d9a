"""Networks pinned for several requests: shapes, values, and what cannot be pinned so."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.model.errors import NetworkError
from edgeplan.networks import sessions
from edgeplan.networks.comparing import scaled_error
from edgeplan.networks.preparing import prepare


def save(path, nodes, inputs, constants):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def two_layers(path, sizes):
    random = np.random.default_rng(1)
    return save(
        path,
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Tanh", ["m"], ["y"]),
        ],
        {"x": sizes},
        {"w": random.standard_normal((4, 4), dtype=np.float32)},
    )


@pytest.mark.parametrize("sizes", [["n", 4], [None, 4], [2, 4]])
def test_the_first_size_is_multiplied_whether_or_not_the_file_fixes_it(tmp_path, sizes):
    path = two_layers(tmp_path / "net.onnx", sizes)
    one = prepare(path, folder=tmp_path / "work")
    three = prepare(path, folder=tmp_path / "work", requests=3)
    first = sizes[0] if isinstance(sizes[0], int) else 1
    assert one.source.shapes == (("x", (first, 4)),)
    assert three.source.shapes == (("x", (3 * first, 4)),)
    assert three.folded != one.folded
    alone = {value.name: value.bytes for value in one.graph.values}
    assert {value.name: value.bytes for value in three.graph.values} == {
        name: 3 * size for name, size in alone.items()
    }
    fed = sessions.draw_stacked([("x", "float32", (first, 4))], 0, 3)
    (job,) = sessions.open_session(three.folded, level="deployed").run(None, fed)
    session = sessions.open_session(one.folded, level="deployed")
    rows = [session.run(None, {"x": fed["x"][first * k : first * (k + 1)]})[0] for k in range(3)]
    assert scaled_error(job, np.concatenate(rows)) <= 1e-6


def test_given_shapes_are_those_of_a_single_request(tmp_path):
    path = two_layers(tmp_path / "net.onnx", ["n", 4])
    made = prepare(path, shapes={"x": (5, 4)}, folder=tmp_path / "work", requests=2)
    assert made.source.shapes == (("x", (10, 4)),)


def test_a_reshape_to_constant_sizes_is_named_before_anything_runs(tmp_path):
    path = save(
        tmp_path / "net.onnx",
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Reshape", ["r", "sizes"], ["y"], name="flatten"),
        ],
        {"x": [1, 2, 2]},
        {"sizes": np.array([1, 4], dtype=np.int64)},
    )
    prepare(path, folder=tmp_path / "work")
    with pytest.raises(NetworkError, match=r"its node 'flatten' reshapes to 1×4"):
        prepare(path, folder=tmp_path / "work", requests=2)


def test_a_reshape_is_blamed_where_what_follows_it_does_not_load(tmp_path):
    path = save(
        tmp_path / "net.onnx",
        [
            helper.make_node("Reshape", ["x", "sizes"], ["flat"], name="flatten"),
            helper.make_node("Concat", ["flat", "side"], ["y"], axis=1),
        ],
        {"x": [1, 2, 2], "side": [1, 3]},
        {"sizes": np.array([1, 4], dtype=np.int64)},
    )
    with pytest.raises(NetworkError, match=r"cannot load it.*perhaps because its node 'flatten'"):
        prepare(path, folder=tmp_path / "work", requests=2)


def test_a_reshape_that_keeps_the_batch_is_no_fault(tmp_path):
    path = save(
        tmp_path / "net.onnx",
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Reshape", ["r", "sizes"], ["y"], name="flatten"),
        ],
        {"x": [1, 2, 2]},
        {"sizes": np.array([0, 4], dtype=np.int64)},
    )
    values = prepare(path, folder=tmp_path / "work", requests=2).graph.values
    assert values[-1].shape == (2, 4)


def test_every_input_that_cannot_be_stacked_is_named(tmp_path):
    path = save(
        tmp_path / "net.onnx",
        [
            helper.make_node("Mul", ["x", "gain"], ["loud"]),
            helper.make_node("ReduceSum", ["state", "first"], ["sum"], keepdims=0),
            helper.make_node("Add", ["loud", "sum"], ["y"]),
        ],
        {"x": [None, 4], "state": [2, None, 4], "gain": []},
        {"first": np.array([0], dtype=np.int64)},
    )
    prepare(path, folder=tmp_path / "work")
    with pytest.raises(NetworkError) as error:
        prepare(path, folder=tmp_path / "work", requests=2)
    assert len(error.value.faults) == 2
    assert "'state' (2×?×4)" in str(error.value)
    assert "'gain' is a single number" in str(error.value)
