"""ONNX files that must be refused: each is made from a seed, small, and named by its fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
Make = Callable[[Path, random.Random], Path]


@dataclass(frozen=True)
class OnnxFault:
    """A fault of an ONNX file.

    Parameters
    ----------
    name
        What is wrong.
    make
        Writes the file into a folder and returns its path.
    says
        One of these must be in the message, the file's name besides; empty for any message.
    """

    name: str
    make: Make
    says: tuple[str, ...] = ()


def weights(*shape: int) -> np.ndarray:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)


def model(
    nodes: list[onnx.NodeProto],
    *,
    inputs: dict[str, tuple[int | str | None, ...]] | None = None,
    outputs: tuple[str, ...] = ("y",),
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 17,
    functions: list[onnx.FunctionProto] | None = None,
    domains: tuple[str, ...] = (),
) -> onnx.ModelProto:
    """Return a model without any check of it."""
    given = inputs if inputs is not None else {"x": (1, 4)}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in given.items()],
        [helper.make_tensor_value_info(name, FLOAT, [None, None]) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=9, functions=functions or [])


def good() -> onnx.ModelProto:
    """Return a small network that is right: three layers, two cuts."""
    return model(
        [
            helper.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"], name="second"),
            helper.make_node("MatMul", ["b", "w2"], ["y"], name="third"),
        ],
        constants={"w1": weights(4, 8), "w2": weights(8, 3)},
    )


def save(made: onnx.ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def of(build: Callable[[], onnx.ModelProto]) -> Make:
    return lambda folder, rng: save(build(), folder)


def raw(content: Callable[[random.Random], bytes]) -> Make:
    def make(folder: Path, rng: random.Random) -> Path:
        path = folder / "net.onnx"
        path.write_bytes(content(rng))
        return path

    return make


# -- bytes --------------------------------------------------------------------------------------


def _truncated(rng: random.Random) -> bytes:
    data = good().SerializeToString()
    # The last fields are metadata: a cut inside the graph is what leaves a broken message.
    return data[: rng.randrange(3, len(data) - 40)]


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(1, 5000))


def _torn(rng: random.Random) -> bytes:
    """Overwrite the length of the graph field, so that the message cannot be read."""
    data = bytearray(good().SerializeToString())
    at = data.index(b"\x3a", 2)
    data[at + 1 : at + 3] = b"\xff\x7f"
    return bytes(data) + rng.randbytes(3)


def _bytes_faults() -> Iterator[OnnxFault]:
    for index in range(10):
        yield OnnxFault(f"truncated {index}", raw(_truncated))
    for index in range(6):
        yield OnnxFault(f"noise {index}", raw(_noise))
    for index in range(3):
        yield OnnxFault(f"torn length {index}", raw(_torn))
    yield OnnxFault("empty", raw(lambda rng: b""))
    yield OnnxFault("text", raw(lambda rng: b"this is no network\n" * 20))
    yield OnnxFault("json", raw(lambda rng: b'{"ir_version": 9, "graph": {}}'))
    yield OnnxFault("zip", raw(lambda rng: b"PK\x03\x04" + rng.randbytes(200)))
    yield OnnxFault("gzip", raw(lambda rng: b"\x1f\x8b\x08" + rng.randbytes(200)))
    yield OnnxFault("pickle", raw(lambda rng: b"\x80\x04\x95" + rng.randbytes(60) + b"."))
    yield OnnxFault("zeros", raw(lambda rng: bytes(4096)))


# -- structure ----------------------------------------------------------------------------------


def _cycle(length: int) -> onnx.ModelProto:
    ring = [f"r{index}" for index in range(length)]
    nodes = [
        helper.make_node("Add", [ring[index - 1], "x"], [ring[index]], name=f"ring{index}")
        for index in range(length)
    ]
    return model([*nodes, helper.make_node("Relu", [ring[0]], ["y"])])


def _node(op: str, inputs: list[str], outputs: list[str], **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs, outputs, **attributes)


def _no_graph() -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.ir_version = 9
    made.opset_import.append(helper.make_opsetid("", 17))
    return made


def _changed(change: Callable[[onnx.ModelProto], object]) -> Make:
    def build() -> onnx.ModelProto:
        made = good()
        change(made)
        return made

    return of(build)


def _dims(made: onnx.ModelProto, dims: list[int]) -> None:
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend(dims)


def _short_data(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-4]


def _integer_weight(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(np.ones((4, 8), dtype=np.int64), "w1")
    )


def _unknown_type(made: onnx.ModelProto) -> None:
    made.graph.initializer[0].data_type = 99


def _recursive_function() -> onnx.ModelProto:
    function = helper.make_function(
        "own", "again", ["a"], ["b"],
        [helper.make_node("again", ["a"], ["b"], domain="own")],
        [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )  # fmt: skip
    call = helper.make_node("again", ["x"], ["y"], domain="own")
    return model([call], functions=[function], domains=("own",))


def _field(number: int, payload: bytes) -> bytes:
    """Return a length-delimited field of the protobuf wire format."""
    size, length = len(payload), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def _deep(levels: int) -> bytes:
    """Nest If in If: a reader that recurses without a limit overflows its stack.

    Written by hand, since protobuf's own writer refuses more than 100 levels.
    """
    graph = _field(1, helper.make_node("Identity", ["x"], ["y"]).SerializeToString())
    for _ in range(levels):
        attribute = _field(1, b"then_branch") + _field(6, graph) + b"\xa0\x01\x05"
        graph = _field(
            1, _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + _field(5, attribute)
        )
    made = good()
    made.ClearField("graph")
    return made.SerializeToString() + _field(7, graph)


def _structure_faults() -> Iterator[OnnxFault]:
    for length in (1, 2, 3, 10):
        yield OnnxFault(f"cycle of {length}", of(lambda length=length: _cycle(length)))
    relu = _node("Relu", ["x"], ["y"])
    yield OnnxFault("no graph", of(_no_graph))
    yield OnnxFault("no nodes", of(lambda: model([])))
    yield OnnxFault("no outputs", of(lambda: model([relu], outputs=())))
    yield OnnxFault("output nobody makes", of(lambda: model([relu], outputs=("y", "nowhere"))))
    yield OnnxFault("input nobody makes", of(lambda: model([_node("Relu", ["gone"], ["y"])])))
    yield OnnxFault("made twice", of(lambda: model([relu, _node("Sigmoid", ["x"], ["y"])])))
    yield OnnxFault("input made again", of(lambda: model([_node("Relu", ["x"], ["x"]), relu])))
    yield OnnxFault("unknown operator", of(lambda: model([_node("Frobnicate", ["x"], ["y"])])))
    yield OnnxFault(
        "unknown domain",
        of(lambda: model([helper.make_node("Relu", ["x"], ["y"], domain="nobody.knows")])),
    )
    yield OnnxFault("no operator name", of(lambda: model([_node("", ["x"], ["y"])])))
    yield OnnxFault("too few inputs", of(lambda: model([_node("Add", ["x"], ["y"])])))
    yield OnnxFault("too many inputs", of(lambda: model([_node("Relu", ["x", "x", "x"], ["y"])])))
    yield OnnxFault(
        "attribute of a wrong type", of(lambda: model([_node("Softmax", ["x"], ["y"], axis="up")]))
    )
    yield OnnxFault(
        "unknown attribute", of(lambda: model([_node("Relu", ["x"], ["y"], nonsense=3)]))
    )
    yield OnnxFault(
        "axis out of range", of(lambda: model([_node("Softmax", ["x"], ["y"], axis=7)]))
    )
    yield OnnxFault(
        "shapes that do not fit",
        of(lambda: model([_node("MatMul", ["x", "w"], ["y"])], constants={"w": weights(5, 2)})),
    )
    yield OnnxFault("operator set of the future", of(lambda: model([relu], opset=999)))
    yield OnnxFault("operator set 0", of(lambda: model([relu], opset=0)))
    yield OnnxFault(
        "file format of the future", _changed(lambda made: setattr(made, "ir_version", 4000))
    )
    yield OnnxFault("no operator set", _changed(lambda made: made.ClearField("opset_import")))
    yield OnnxFault("negative size of a weight", _changed(lambda made: _dims(made, [-4, 8])))
    yield OnnxFault("weight larger than its data", _changed(lambda made: _dims(made, [4, 80])))
    yield OnnxFault("weight of 2^62 elements", _changed(lambda made: _dims(made, [2**31, 2**31])))
    yield OnnxFault("weight cut short", _changed(_short_data))
    yield OnnxFault("integer weight for a float layer", _changed(_integer_weight))
    yield OnnxFault("weight of an unknown type", _changed(_unknown_type))
    yield OnnxFault("function that calls itself", of(_recursive_function))
    for levels in (200, 5000):
        yield OnnxFault(f"nested {levels} deep", raw(lambda rng, levels=levels: _deep(levels)))
    yield OnnxFault(
        "input of 2^60 elements", of(lambda: model([relu], inputs={"x": (2**30, 2**30)}))
    )


# -- data in other files ------------------------------------------------------------------------


def _external(location: str, **more: str) -> Make:
    """Return a maker of the good model whose first weight claims to lie in another file."""

    def make(folder: Path, rng: random.Random) -> Path:
        inside = folder / "inside"
        inside.mkdir(exist_ok=True)
        secret = folder / "secret.bin"
        secret.write_bytes(weights(4, 8).tobytes())
        place = location.replace("{absolute}", str(secret.resolve()))
        if place == "link.bin":
            (inside / place).symlink_to(secret)
        elif place == "hard.bin":
            (inside / place).hardlink_to(secret)
        elif place == "folder.bin":
            (inside / place).mkdir()
        elif place == "short.bin":
            (inside / place).write_bytes(b"\0" * 16)
        elif place == "right.bin":
            (inside / place).write_bytes(secret.read_bytes())
        elif place == "sub/link.bin":
            (inside / "sub").symlink_to(folder)
            (folder / "link.bin").write_bytes(secret.read_bytes())
        made = good()
        first = made.graph.initializer[0]
        first.ClearField("raw_data")
        first.data_location = TensorProto.EXTERNAL
        for key, value in {"location": place, **more}.items():
            entry = first.external_data.add()
            entry.key, entry.value = key, value
        return save(made, inside)

    return make


def _external_faults() -> Iterator[OnnxFault]:
    for name, location in {
        "a folder above": "../secret.bin",
        "a folder above, hidden": "sub/../../secret.bin",
        "an absolute path": "{absolute}",
        "a system file": "/etc/passwd",
        "a symbolic link": "link.bin",
        "a linked folder": "sub/link.bin",
        "a hard link": "hard.bin",
        "a folder": "folder.bin",
        "a missing file": "missing.bin",
        "no name": "",
        "a name with a zero": "a\0b",
        "a file too short": "short.bin",
        "a device": "../../../../../../../../../dev/zero",
        "a home folder": "~/secret.bin",
        "an address": "file:///etc/passwd",
    }.items():
        yield OnnxFault(f"external data: {name}", _external(location))
    yield OnnxFault("external data: negative offset", _external("right.bin", offset="-4"))
    yield OnnxFault("external data: offset past the end", _external("right.bin", offset="100000"))
    yield OnnxFault("external data: length too large", _external("right.bin", length="99999999999"))
    yield OnnxFault("external data: offset is text", _external("right.bin", offset="many"))


# -- bombs --------------------------------------------------------------------------------------


def _of_shape(sizes: list[int]) -> onnx.ModelProto:
    return model(
        [
            _node("ConstantOfShape", ["s"], ["big"]),
            _node("ReduceSum", ["big"], ["sum"], keepdims=0),
            _node("Add", ["x", "sum"], ["y"]),
        ],
        constants={"s": np.array(sizes, dtype=np.int64)},
    )


def _expand(sizes: list[int]) -> onnx.ModelProto:
    return model(
        [
            _node("ReduceMax", ["x"], ["m"], keepdims=0),
            _node("Expand", ["m", "s"], ["big"]),
            _node("Relu", ["big"], ["y"]),
        ],
        constants={"s": np.array(sizes, dtype=np.int64)},
    )


def _tile(times: int) -> onnx.ModelProto:
    return model(
        [_node("Tile", ["x", "t"], ["big"]), _node("Relu", ["big"], ["y"])],
        constants={"t": np.array([times, times], dtype=np.int64)},
    )


def _range(limit: float) -> onnx.ModelProto:
    return model(
        [
            _node("Range", ["zero", "limit", "one"], ["big"]),
            _node("ReduceSum", ["big"], ["sum"], keepdims=0),
            _node("Add", ["x", "sum"], ["y"]),
        ],
        constants={
            "zero": np.array(0, np.float32),
            "limit": np.array(limit, np.float32),
            "one": np.array(1, np.float32),
        },
    )


def _random(sizes: list[int]) -> onnx.ModelProto:
    return model(
        [
            _node("RandomNormal", [], ["big"], shape=sizes),
            _node("ReduceSum", ["big"], ["sum"], keepdims=0),
            _node("Add", ["x", "sum"], ["y"]),
        ]
    )


def _pad(amount: int) -> onnx.ModelProto:
    return model(
        [_node("Pad", ["x", "p"], ["big"]), _node("Relu", ["big"], ["y"])],
        constants={"p": np.array([0, 0, 0, amount], dtype=np.int64)},
    )


def _doubling(times: int) -> onnx.ModelProto:
    """Concatenate with itself again and again: 2^times values from a file of a few kB."""
    nodes = [
        _node("Concat", [f"d{index}", f"d{index}"], [f"d{index + 1}"], axis=1)
        for index in range(times)
    ]
    nodes[0].input[0] = nodes[0].input[1] = "x"
    return model([*nodes, _node("Relu", [f"d{times}"], ["y"])])


def _endless_loop() -> onnx.ModelProto:
    body = helper.make_graph(
        [_node("Identity", ["go_in"], ["go"]), _node("Relu", ["v"], ["v_out"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_out", FLOAT, [1, 4]),
        ],
    )
    made = model([_node("Loop", ["", "true", "x"], ["y"], body=body)])
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    return made


def _bomb_faults() -> Iterator[OnnxFault]:
    for index, sizes in enumerate(([2**30], [2**15, 2**15, 8], [2**40], [1 << 20, 1 << 20, 1024])):
        yield OnnxFault(f"shape tensor {index}", of(lambda sizes=sizes: _of_shape(sizes)))
    yield OnnxFault("negative shape tensor", of(lambda: _of_shape([-5, 3])))
    for index, sizes in enumerate(([2**34], [2**20, 2**20])):
        yield OnnxFault(f"expand {index}", of(lambda sizes=sizes: _expand(sizes)))
    yield OnnxFault("tile", of(lambda: _tile(2**20)))
    yield OnnxFault("range", of(lambda: _range(1e12)))
    yield OnnxFault("random", of(lambda: _random([2**20, 2**14])))
    yield OnnxFault("pad", of(lambda: _pad(2**36)))
    for times in (34, 60):
        yield OnnxFault(f"doubled {times} times", of(lambda times=times: _doubling(times)))
    yield OnnxFault("endless loop", of(_endless_loop))


ONNX_FAULTS: tuple[OnnxFault, ...] = (
    *_bytes_faults(),
    *_structure_faults(),
    *_external_faults(),
    *_bomb_faults(),
)
