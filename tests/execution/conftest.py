"""Tiny ONNX networks, and problems around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.networks import prepare
from edgeplan.networks.grouping import group

SIZE = 64


def _weights(name: str, seed: int) -> TensorProto:
    random = np.random.default_rng(seed)
    return numpy_helper.from_array(
        (random.standard_normal((SIZE, SIZE)) / 8).astype(np.float32), name
    )


def _model(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], outputs: Sequence[str], weights: int
) -> onnx.ModelProto:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, SIZE])

    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [value(name) for name in inputs],
        [value(name) for name in outputs],
        [_weights(f"w{index}", index) for index in range(weights)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def chain() -> onnx.ModelProto:
    """x → four dense layers, each with its activation."""
    nodes = []
    last = "x"
    for index in range(4):
        nodes.append(
            helper.make_node("MatMul", [last, f"w{index}"], [f"m{index}"], f"dense{index}")
        )
        last = "y" if index == 3 else f"h{index}"
        nodes.append(helper.make_node("Tanh", [f"m{index}"], [last], f"tanh{index}"))
    return _model(nodes, ["x"], ["y"], 4)


def skip() -> onnx.ModelProto:
    """A tensor of the first layer is read again by the last."""
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "first"),
        helper.make_node("MatMul", ["a", "w1"], ["b"], "second"),
        helper.make_node("MatMul", ["b", "w2"], ["c"], "third"),
        helper.make_node("Add", ["a", "c"], ["d"], "join"),
        helper.make_node("MatMul", ["d", "w3"], ["y"], "last"),
    ]
    return _model(nodes, ["x"], ["y"], 4)


def ends() -> onnx.ModelProto:
    """Two inputs, the second read late; two outputs, the first made early."""
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["a"], "first"),
        helper.make_node("Tanh", ["a"], ["early"], "early"),
        helper.make_node("MatMul", ["early", "w1"], ["b"], "second"),
        helper.make_node("MatMul", ["z", "w2"], ["c"], "third"),
        helper.make_node("Add", ["b", "c"], ["d"], "join"),
        helper.make_node("Tanh", ["d"], ["late"], "late"),
    ]
    return _model(nodes, ["x", "z"], ["early", "late"], 3)


MODELS: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "chain": chain,
    "skip": skip,
    "ends": ends,
}


@dataclass(frozen=True)
class Tiny:
    """A network that is planned, and its file."""

    network: Network
    source: OnnxSource


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Tiny]:
    """Every tiny network, cut wherever it can be."""
    folder = tmp_path_factory.mktemp("tiny")
    found = {}
    for name, make in MODELS.items():
        path = folder / f"{name}.onnx"
        onnx.save(make(), path)
        prepared = prepare(path, folder=folder / "folded")
        layers, tensors = group(prepared.graph, [cut.position for cut in prepared.graph.cuts])
        costs = LayerCosts(seconds=(1e-4,) * len(layers))
        network = Network(name, layers, tensors, dict.fromkeys("abc", costs))
        found[name] = Tiny(network, prepared.source)
    return found


@pytest.fixture
def problem(tiny: Mapping[str, Tiny]) -> Callable[..., Problem]:
    """Return a maker of problems: three devices, all linked, one stream per network named."""

    def make(
        *names: str,
        latency_seconds: float = 2e-3,
        bytes_per_second: float = 1e6,
        links: Sequence[tuple[str, str]] = tuple((s, t) for s in "abc" for t in "abc" if s != t),
        **stream: object,
    ) -> Problem:
        return Problem(
            networks=tuple(tiny[name].network for name in names),
            devices=tuple(Device(name=name) for name in "abc"),
            links=tuple(
                Link(
                    source=source,
                    target=target,
                    latency_seconds=latency_seconds,
                    bytes_per_second=bytes_per_second,
                )
                for source, target in links
            ),
            streams=tuple(
                Stream(**{"name": f"on-{name}", "network": name, "origin": "a", **stream})
                for name in names
            ),
        )

    return make


@pytest.fixture
def sources(tiny: Mapping[str, Tiny]) -> Mapping[str, OnnxSource]:
    """The files of the tiny networks."""
    return {name: item.source for name, item in tiny.items()}


@pytest.fixture
def spread() -> Callable[..., Plan]:
    """Return a maker of plans: each route follows a pattern of devices over the layers."""

    def make(problem: Problem, *patterns: str) -> Plan:
        return Plan(
            routes={
                stream.name: tuple(
                    Route(
                        devices=_stretch(pattern, len(problem.network[stream.network].layers)),
                        fraction=1 / len(patterns),
                    )
                    for pattern in patterns
                )
                for stream in problem.streams
            }
        )

    return make


def _stretch(pattern: str, count: int) -> tuple[str, ...]:
    return tuple(pattern[index * len(pattern) // count] for index in range(count))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for parts."""
    return tmp_path / "parts"
