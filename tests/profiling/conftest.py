"""Small networks made for the tests, and the example networks where `make zoo` has put them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ZOO = Path(__file__).parents[2] / ".zoo"


@pytest.fixture(scope="session")
def zoo() -> Callable[[str], Path]:
    """Return the path of an example network by name."""

    def find(name: str) -> Path:
        path = ZOO / f"{name}.onnx"
        if not path.exists():
            pytest.skip(f"no example network '{name}': run `make zoo`")
        return path

    return find


def _save(path: Path, graph: onnx.GraphProto) -> Path:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def save_chain(path: Path, *, depth: int = 5, width: int = 32) -> Path:
    """Write Gemm, Relu, Gemm, Relu, …: ``2 × depth`` nodes with a free batch size."""
    random = np.random.default_rng(7)
    nodes, weights, last = [], [], "x"
    for index in range(depth):
        weight = random.standard_normal((width, width), dtype=np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(helper.make_node("Gemm", [last, f"w{index}"], [f"g{index}"], f"gemm{index}"))
        last = "y" if index == depth - 1 else f"r{index}"
        nodes.append(helper.make_node("Relu", [f"g{index}"], [last], f"relu{index}"))
    return _save(
        path,
        helper.make_graph(
            nodes,
            "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
            weights,
        ),
    )


def save_branches(path: Path, *, width: int = 16) -> Path:
    """Write two branches that meet again, and a mask that is read at the very end."""
    random = np.random.default_rng(7)
    weights = [
        numpy_helper.from_array(random.standard_normal((width, width), dtype=np.float32), name)
        for name in ("a", "b", "c", "d")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["stem"], "stem"),
        helper.make_node("MatMul", ["stem", "b"], ["left"], "left"),
        helper.make_node("MatMul", ["stem", "c"], ["right"], "right"),
        helper.make_node("Tanh", ["left"], ["bent"], "bent"),
        helper.make_node("Add", ["bent", "right"], ["sum"], "sum"),
        helper.make_node("MatMul", ["sum", "d"], ["wide"], "wide"),
        helper.make_node("Mul", ["wide", "mask"], ["y"], "masked"),
    ]
    return _save(
        path,
        helper.make_graph(
            nodes,
            "branches",
            [
                helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, width]),
                helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1, width]),
            ],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, width])],
            weights,
        ),
    )


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of ten nodes."""
    return save_chain(tmp_path_factory.mktemp("networks") / "chain.onnx")


@pytest.fixture(scope="session")
def wide_chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of four nodes that takes some milliseconds with a batch of 128."""
    return save_chain(tmp_path_factory.mktemp("networks") / "wide.onnx", depth=2, width=1024)


@pytest.fixture(scope="session")
def branches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two branches and a forwarded mask."""
    return save_branches(tmp_path_factory.mktemp("networks") / "branches.onnx")
