"""Sizes that were chosen for the user are named where the network does not run with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.model.errors import NetworkError
from edgeplan.networks import prepare
from edgeplan.networks.preparing import blame_defaults

HINT = "sizes not fixed by the file were taken as x=1,3,224,224; give others with --shape x=…"


@pytest.fixture
def picky(tmp_path: Path) -> Path:
    """Return a network that takes any picture by its inputs, and one of 48 columns by its nodes."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "picky",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "height", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])],
        [numpy_helper.from_array(np.ones((48, 4), np.float32), "w")],
    )
    path = tmp_path / "picky.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def test_defaults_are_named_when_the_network_refuses_them(picky: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as error:
        prepare(picky, folder=tmp_path / "work")
    (fault,) = error.value.faults
    assert fault.place == "picky.onnx"
    assert fault.message.endswith(HINT)
    found = prepare(picky, shapes={"x": (1, 3, 48, 48)}, folder=tmp_path / "work")
    assert found.defaults == ()


def test_given_sizes_are_not_blamed(picky: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as error:
        prepare(picky, shapes={"x": (1, 3, 48, 47)}, folder=tmp_path / "work")
    assert "--shape" not in str(error.value)


def test_defaults_are_kept_for_later_failures(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "free",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, None, 7])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c", "d"])],
    )
    path = tmp_path / "free.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    found = prepare(path, folder=tmp_path / "work")
    assert found.defaults == (("x", (1, 3, 224, 7)),)
    error = blame_defaults(NetworkError.at("free.onnx", "crashed"), found.defaults)
    assert str(error) == f"free.onnx: crashed; {HINT}".replace("224,224", "224,7")
    assert blame_defaults(error, ()) is error
