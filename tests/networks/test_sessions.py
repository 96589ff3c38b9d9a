from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edgeplan.model.errors import InputError
from edgeplan.networks import digest, extract, sessions


def test_inputs_follow_their_names_and_types():
    wanted = [
        ("pixels", "float32", (1, 3, 8, 8)),
        ("half", "float16", (4,)),
        ("input_ids", "int64", (2, 128)),
        ("attention_mask", "int64", (2, 128)),
        ("token_type_ids", "int32", (2, 128)),
        ("position_ids", "int64", (2, 128)),
        ("lengths", "int64", (2,)),
        ("sr", "int64", ()),
        ("flag", "bool", (3,)),
        ("bytes_in", "uint8", (16,)),
        ("small", "int8", (16,)),
    ]
    made = sessions.draw(wanted, 5)
    for name, dtype, shape in wanted:
        assert made[name].shape == shape
        assert made[name].dtype == np.dtype(dtype)
    assert 1 <= made["input_ids"].min() <= made["input_ids"].max() < 1000
    assert (made["attention_mask"] == 1).all()
    assert (made["token_type_ids"] == 0).all()
    assert (made["position_ids"] == 0).all()
    assert (made["lengths"] == 128).all()
    assert made["sr"] == 16_000
    assert made["flag"].all()
    assert abs(made["pixels"].std() - 1) < 0.3
    again = sessions.draw(list(reversed(wanted)), 5)
    assert all((again[name] == made[name]).all() for name in made)
    assert (sessions.draw(wanted, 6)["pixels"] != made["pixels"]).any()


def test_an_unknown_type_is_refused():
    with pytest.raises(InputError, match="input t: type object"):
        sessions.draw([("t", "object", (1,))], 0)


def test_graph_and_session_give_the_same_inputs(prepared):
    network = prepared("minilm")
    session = sessions.open_session(network.folded, level="strict")
    first = sessions.random_inputs(network.graph, 1)
    second = sessions.random_inputs(session, 1)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_options_of_a_session(prepared):
    network = prepared("squeezenet")
    strict = sessions.open_session(network.folded, level="strict", threads=2).get_session_options()
    deployed = sessions.open_session(network.folded, level="deployed").get_session_options()
    assert strict.graph_optimization_level.name == "ORT_DISABLE_ALL"
    assert strict.intra_op_num_threads == 2
    assert deployed.graph_optimization_level.name == "ORT_ENABLE_ALL"
    assert deployed.intra_op_num_threads == 1
    assert deployed.inter_op_num_threads == 1
    assert deployed.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_an_unknown_provider_is_refused(prepared):
    with pytest.raises(InputError, match=r"known: .*CPUExecutionProvider"):
        sessions.open_session(prepared("squeezenet").folded, level="strict", provider="Abacus")


def test_the_digest_of_a_file_without_external_data_is_its_hash(zoo):
    path = zoo / "light_squeezenet.onnx"
    assert digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_part_that_needs_more_than_its_inputs_is_refused(prepared, tmp_path):
    network = prepared("squeezenet")
    first, second = network.graph.single_cuts[5], network.graph.single_cuts[3]
    with pytest.raises(InputError, match="not closed by its inputs"):
        extract(network.folded, first.tensors, second.tensors, tmp_path / "part.onnx")
    with pytest.raises(InputError, match="no value 'nowhere'"):
        extract(network.folded, ["nowhere"], second.tensors, tmp_path / "part.onnx")
    with pytest.raises(InputError, match=r"none\.onnx: cannot be read"):
        extract(tmp_path / "none.onnx", ["a"], ["b"], tmp_path / "part.onnx")
    assert list(tmp_path.iterdir()) == []


def test_stacked_inputs_are_those_of_the_single_requests():
    wanted = [("tokens", "int64", (1, 5)), ("pixels", "float32", (2, 3))]
    made = sessions.draw_stacked(wanted, 7, 3)
    assert {name: array.shape for name, array in made.items()} == {
        "tokens": (3, 5),
        "pixels": (6, 3),
    }
    for number in range(3):
        alone = sessions.draw(wanted, 7 + number)
        assert (made["tokens"][number] == alone["tokens"][0]).all()
        assert (made["pixels"][2 * number : 2 * number + 2] == alone["pixels"]).all()
    scalar = [("sr", "int64", ())]
    assert sessions.draw_stacked(scalar, 0, 1)["sr"].shape == ()
