"""Foreign files that are broken or hostile: a NetworkError in time, nothing left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.model.errors import InputError, NetworkError
from edgeplan.networks import digest, prepare
from edgeplan.networks._inspection import inspect

pytestmark = pytest.mark.usefixtures("nothing_left")

FLOAT = TensorProto.FLOAT


def model(nodes, inputs=(("x", [1, 4]),), outputs=(("y", ["p", "q"]),), constants=()):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs],
        list(constants),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def int64(name, *values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def good():
    weight = numpy_helper.from_array(np.ones((4, 3), dtype=np.float32), "w")
    return model([helper.make_node("MatMul", ["x", "w"], ["y"])], constants=[weight])


def with_external(folder: Path, location: str, **extra: str) -> Path:
    made = good()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **extra}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    path = folder / "net.onnx"
    path.write_bytes(made.SerializeToString())
    return path


DATA = np.ones((4, 3), dtype=np.float32).tobytes()


def refuse(path: Path, match: str, seconds: float = 15, **options: object) -> None:
    start = time.monotonic()
    work = path.parent / "work"
    with pytest.raises(NetworkError, match=match) as caught:
        prepare(path, folder=work, seconds=seconds, **options)  # type: ignore[arg-type]
    assert time.monotonic() - start < 20
    assert all(len(str(fault)) < 700 for fault in caught.value.faults)
    assert "net.onnx" in caught.value.faults[0].place
    assert list(work.iterdir()) == []


def refuse_here(path: Path, match: str) -> None:
    """As `refuse`, without the child: for what is refused before the runtime sees it."""
    work = path.parent / "work"
    work.mkdir(exist_ok=True)
    with pytest.raises(NetworkError, match=match) as caught:
        inspect(str(path), {}, str(work))
    assert caught.value.faults[0].place == "net.onnx"
    assert list(work.iterdir()) == []


@pytest.fixture
def write(tmp_path: Path) -> Callable[[onnx.ModelProto], Path]:
    def save(made: onnx.ModelProto) -> Path:
        path = tmp_path / "net.onnx"
        path.write_bytes(made.SerializeToString())
        return path

    return save


def test_external_data_beside_the_model_is_read(tmp_path):
    path = with_external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(DATA)
    network = prepare(path, folder=tmp_path / "work")
    assert network.graph.parameters == 12
    assert network.graph.file_bytes == path.stat().st_size + len(DATA)
    before = digest(path)
    assert network.source.sha256 == before
    (tmp_path / "weights.bin").write_bytes(DATA[::-1])
    assert digest(path) != before


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("../weights.bin", "outside the model's folder"),
        ("a/../../weights.bin", "outside the model's folder"),
        ("/etc/hostname", "outside the model's folder"),
        ("C:\\weights.bin", "no usable file name"),
        ("C:weights.bin", "outside the model's folder"),
        ("", "no usable file name"),
        (".", "not a regular file|no usable file name"),
        ("missing.bin", "cannot be read"),
    ],
)
def test_external_data_elsewhere_is_refused(tmp_path, location, match):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(DATA)
    refuse_here(with_external(folder, location), match)


def test_external_data_by_links_is_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(DATA)
    (folder / "soft.bin").symlink_to(tmp_path / "weights.bin")
    refuse_here(with_external(folder, "soft.bin"), "symbolic link")
    os.link(tmp_path / "weights.bin", folder / "hard.bin")
    refuse(with_external(folder, "hard.bin"), "hard link")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "weights.bin").write_bytes(DATA)
    (folder / "sub").symlink_to(tmp_path / "elsewhere")
    refuse_here(with_external(folder, "sub/weights.bin"), "symbolic link")


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"offset": "-1"}, "bad offset"),
        ({"length": "many"}, "bad length"),
        ({"offset": "1000000"}, "shorter than the model says"),
        ({"length": "1000000"}, "shorter than the model says"),
    ],
)
def test_external_data_beyond_the_file_is_refused(tmp_path, extra, match):
    (tmp_path / "weights.bin").write_bytes(DATA)
    refuse_here(with_external(tmp_path, "weights.bin", **extra), match)


def test_a_missing_file_is_refused(tmp_path):
    refuse_here(tmp_path / "net.onnx", "cannot be read: No such file")


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "net.onnx").mkdir()
    refuse_here(tmp_path / "net.onnx", "not a regular file")


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "net.onnx")
    refuse(tmp_path / "net.onnx", "not a regular file")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not a model", b"\xff" * 4096])
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    refuse_here(path, "is empty|is not an ONNX file")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_is_refused(tmp_path, share):
    data = good().SerializeToString()
    path = tmp_path / "net.onnx"
    path.write_bytes(data[: int(len(data) * share)])
    refuse(path, "net.onnx: ")


def test_a_cycle_is_refused(write):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    refuse(write(model(nodes, outputs=[("b", ["p", "q"])])), "is not valid ONNX")


def test_an_unknown_operator_is_refused(write):
    refuse(write(model([helper.make_node("Nope", ["x"], ["y"])])), "Nope")


def test_an_operator_of_an_unknown_domain_is_refused(write):
    made = model([helper.make_node("Nope", ["x"], ["y"], domain="far.away")])
    made.opset_import.append(helper.make_opsetid("far.away", 1))
    refuse(write(made), "cannot load it")


def test_wrong_types_are_refused(write):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    refuse(write(model([node], constants=[int64("w", 1, 2, 3, 4)])), "net.onnx: ")


def test_a_constant_that_claims_more_than_it_holds_is_refused(write):
    made = good()
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend([20_000, 20_000])
    refuse_here(write(made), "less data than its shape claims")
    made.graph.initializer[0].dims.extend([20_000, 20_000])
    refuse_here(write(made), "at most 2 GiB")
    made.graph.initializer[0].dims[0] = -1
    refuse_here(write(made), "negative size")


BOMBS = {
    "ConstantOfShape": [helper.make_node("ConstantOfShape", ["s"], ["c"])],
    "Expand": [
        helper.make_node("ReduceMean", ["x"], ["m"]),
        helper.make_node("Expand", ["m", "s"], ["c"]),
    ],
    "Tile": [helper.make_node("Tile", ["x", "s"], ["c"])],
    "folded": [
        helper.make_node("ConstantOfShape", ["s"], ["k"]),
        helper.make_node("ReduceSum", ["k"], ["c"]),
    ],
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("sizes", [(33_000, 33_000), (2**31, 2**31)])
def test_a_tiny_model_that_asks_for_gigabytes_is_refused(write, kind, sizes):
    nodes = [*BOMBS[kind], helper.make_node("ReduceMean", ["c"], ["y"])]
    path = write(model(nodes, constants=[int64("s", *sizes)]))
    assert path.stat().st_size < 300
    refuse(path, "at most 2 GiB")


def test_inputs_of_gigabytes_are_refused(write):
    path = write(model([helper.make_node("Relu", ["x"], ["y"])], inputs=[("x", [50_000, 50_000])]))
    refuse(path, "GiB")


def test_a_shape_tensor_of_gigabytes_is_refused(write):
    """Inference of Range would make a list of so many numbers."""
    nodes = [
        helper.make_node("Range", ["a", "b", "c"], ["r"]),
        helper.make_node("ConstantOfShape", ["r"], ["k"]),
        helper.make_node("ReduceMean", ["k"], ["y"], keepdims=0),
    ]
    scalars = [
        numpy_helper.from_array(np.array(value, dtype=np.int64), name)
        for name, value in (("a", 0), ("b", 2**40), ("c", 1))
    ]
    refuse(write(model(nodes, outputs=[("y", [])], constants=scalars)), "net.onnx: ")


def endless(source: str):
    """A Loop whose condition stays true; ``source`` is what it carries: constant or input."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["cond"], ["cond_out"]),
            helper.make_node("Mul", ["v", "v"], ["v_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, ["n"]),
        ],
        [
            helper.make_tensor_value_info("cond_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", FLOAT, ["n"]),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["", "true", source], ["l"], body=body),
        helper.make_node("Add", ["l", "x"], ["y"]),
    ]
    return model(
        nodes,
        constants=[
            numpy_helper.from_array(np.array(True), "true"),
            numpy_helper.from_array(np.ones(4, dtype=np.float32), "k"),
        ],
        inputs=[("x", [4])],
        outputs=[("y", [4])],
    )


@pytest.mark.parametrize("source", ["k", "x"])
def test_an_endless_loop_is_stopped(write, source):
    refuse(write(endless(source)), "took longer than 2 s", seconds=2)


@pytest.mark.long
def test_an_endless_loop_is_stopped_at_the_default_limit(write):
    refuse(write(endless("x")), "took longer than 15 s")


def field(number: int, data: bytes) -> bytes:
    """Encode a field of a protocol buffer by hand: libraries refuse to write such depths."""
    head, size = [number << 3 | 2], len(data)
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    return bytes([*head, size]) + data


@pytest.mark.parametrize("depth", [40, 5000])
def test_deep_nesting_is_refused(tmp_path, depth):
    result = field(12, helper.make_tensor_value_info("y", FLOAT, [1, 4]).SerializeToString())
    nested = helper.make_node("Identity", ["x"], ["y"]).SerializeToString()
    for _ in range(depth):
        graph = field(2, b"g") + field(1, nested) + result
        kind = bytes([20 << 3 & 127 | 128, 1, onnx.AttributeProto.GRAPH])
        branch = field(1, b"then_branch") + field(6, graph) + kind
        nested = field(1, b"x") + field(2, b"y") + field(4, b"If") + field(5, branch)
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x08" + field(7, field(2, b"g") + field(1, nested) + result))
    refuse(path, "nests too deeply")


def test_constants_whose_data_onnx_does_not_load_are_refused(tmp_path):
    """The runtime would look for the file in the folder that it was started in."""
    path = with_external(tmp_path, "weights.bin")
    (tmp_path / "weights.bin").write_bytes(DATA)
    made = onnx.load(path, load_external_data=False)
    sparse = made.graph.sparse_initializer.add(dims=[4, 8])
    sparse.values.CopyFrom(made.graph.initializer.pop())
    sparse.values.dims[:] = [12]
    sparse.indices.CopyFrom(int64("", *range(12)))
    path.write_bytes(made.SerializeToString())
    refuse_here(path, "is at a place where onnx does not load it")


def test_shapes_that_do_not_fit_are_told_with_their_place(write, tmp_path):
    made = good()
    made.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = write(made)
    for shapes, place, match in [
        ({"z": (1, 4)}, "shape z", "no such input; known: 'x'"),
        ({"x": (1, 4, 1)}, "shape x", "needs 2 sizes"),
        ({"x": (1, 5)}, "shape x", "the file fixes"),
        ({"x": (0, 4)}, "shape x", "must be positive"),
    ]:
        with pytest.raises(InputError, match=match) as caught:
            inspect(str(path), shapes, str(tmp_path))
        assert caught.value.faults[0].place == place
    assert prepare(path, folder=tmp_path / "work").source.shapes == (("x", (1, 4)),)
    two = prepare(path, shapes={"x": (2, 4)}, folder=tmp_path / "work")
    assert two.source.shapes == (("x", (2, 4)),)


def test_a_free_size_without_default_is_asked_for(write, tmp_path):
    made = model(
        [helper.make_node("Relu", ["x"], ["y"])],
        inputs=[("x", ["a", "b", "c"])],
        outputs=[("y", ["a", "b", "c"])],
    )
    with pytest.raises(InputError, match=r"give them: --shape x=N,N,N"):
        prepare(write(made), folder=tmp_path / "work")
