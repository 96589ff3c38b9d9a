"""Cuts and layers on plain data: no ONNX, against a walk by the definition."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.model.errors import InputError
from edgeplan.model.graph import Graph, Node, SharedConstant, Value
from edgeplan.model.network import Network
from edgeplan.networks import group, part_io
from edgeplan.networks.cuts import find_cuts


def make(inputs, nodes, outputs, unknown=(), shared=()):
    names = [*inputs, *(name for node in nodes for name in node.outputs)]
    values = tuple(
        Value(
            name=name,
            dtype="float32",
            shape=None if name in unknown else (index + 1,),
            bytes=None if name in unknown else 4 * (index + 1),
        )
        for index, name in enumerate(names)
    )
    return Graph(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        values=values,
        nodes=tuple(nodes),
        cuts=find_cuts(inputs, nodes, values),
        parameters=0,
        weight_bytes=0,
        file_bytes=0,
        shared=tuple(shared),
    )


def node(name, inputs, outputs, replicated=False, weight_bytes=0):
    return Node(
        name=name,
        op_type="Op",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        replicated=replicated,
        weight_bytes=weight_bytes,
    )


@st.composite
def graphs(draw):
    """Random graphs: nodes read earlier values, nodes that read only masks are replicated."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    inputs = [f"x{i}" for i in range(rng.randint(1, 2))]
    masks = [f"m{i}" for i in range(rng.randint(0, 2))]
    known, small, nodes = list(inputs), list(masks), []
    for index in range(rng.randint(2, 12)):
        if small and rng.random() < 0.25:
            read = rng.sample(small, min(len(small), rng.randint(1, 2)))
            made = f"s{index}"
            nodes.append(node(f"n{index}", read, [made], replicated=True))
            small.append(made)
            continue
        read = rng.sample(known, min(len(known), rng.randint(1, 3)))
        if small and rng.random() < 0.4:
            read.append(rng.choice(small))
        made = [f"v{index}.{k}" for k in range(rng.randint(1, 2))]
        nodes.append(node(f"n{index}", read, made))
        known += made
    results = [name for item in nodes if not item.replicated for name in item.outputs]
    if not results:
        nodes.append(node("last", [inputs[0]], ["out"]))
        results = ["out"]
    outputs = sorted(set(rng.sample(results, rng.randint(1, min(3, len(results))))))
    return make([*inputs, *masks], nodes, outputs)


def live_by_definition(graph: Graph, position: int) -> tuple[set[str], set[str]]:
    """Walk back from what later nodes read; replicated nodes are made anew from their inputs."""
    maker = {name: index for index, item in enumerate(graph.nodes) for name in item.outputs}
    tensors, inputs = set(), set()
    pending = [
        name for item in graph.nodes[position:] if not item.replicated for name in item.inputs
    ]
    while pending:
        name = pending.pop()
        if name not in maker:
            inputs.add(name)
        elif graph.nodes[maker[name]].replicated:
            pending.extend(graph.nodes[maker[name]].inputs)
        elif maker[name] < position:
            tensors.add(name)
    return tensors, inputs


@given(graphs())
def test_live_sets_follow_the_definition(graph):
    sizes = {value.name: value.bytes for value in graph.values}
    for cut in graph.cuts:
        tensors, inputs = live_by_definition(graph, cut.position)
        assert set(cut.tensors) == tensors
        assert set(cut.inputs) == inputs
        assert cut.bytes == sum(sizes[name] for name in tensors)
        assert not graph.nodes[cut.position].replicated
        assert any(not item.replicated for item in graph.nodes[: cut.position])
    real = sum(not item.replicated for item in graph.nodes)
    assert len(graph.cuts) == real - 1


def run(graph: Graph, first: int, stop: int, held: set[str], wanted: tuple[str, ...]) -> None:
    """Run a part: nodes of its range, and replicated ones of any range on demand."""
    maker = {name: index for index, item in enumerate(graph.nodes) for name in item.outputs}

    def need(name: str) -> None:
        if name in held:
            return
        assert name in maker, f"{name} is a graph input that was not given"
        index = maker[name]
        assert graph.nodes[index].replicated or first <= index < stop, f"{name} is made elsewhere"
        for other in graph.nodes[index].inputs:
            need(other)
        held.add(name)

    for name in wanted:
        need(name)


@given(graphs(), st.data())
def test_layers_run_one_after_another_with_what_their_tensors_bring(graph, data):
    positions = sorted(
        data.draw(st.sets(st.sampled_from([cut.position for cut in graph.cuts]), max_size=4))
        if graph.cuts
        else []
    )
    layers, tensors = group(graph, positions)
    Network("net", layers, tensors)  # validates producers, consumers and names
    bounds = [0, *positions, len(graph.nodes)]
    assert len(layers) == len(bounds) - 1
    held = set(graph.inputs)
    for index in range(len(layers)):
        inputs, outputs = part_io(tensors, index, index + 1)
        assert set(inputs) <= held
        run(graph, bounds[index], bounds[index + 1], set(inputs), outputs)
        held |= set(outputs)
    assert set(graph.outputs) <= held
    assert {tensor.name for tensor in tensors if tensor.output} == set(graph.outputs)
    assert [tensor.name for tensor in tensors if tensor.producer is None] == list(graph.inputs)
    # The tensors that cross a chosen cut are its live set.
    cuts = {cut.position: cut for cut in graph.cuts}
    for index, position in enumerate(positions, start=1):
        crossing = {
            tensor.name
            for tensor in tensors
            if tensor.producer is not None
            and tensor.producer < index
            and any(layer >= index for layer in tensor.consumers)
        }
        assert crossing == set(cuts[position].tensors)


@given(graphs())
def test_activations_of_the_whole_cover_those_of_the_layers(graph):
    whole, _ = group(graph, [])
    layers, _ = group(graph, [cut.position for cut in graph.cuts])
    peak = max(layer.activation_bytes for layer in layers)
    assert whole[0].activation_bytes == peak
    for cut in graph.cuts:
        before = max(layer.activation_bytes for layer in group(graph, [cut.position])[0])
        assert before == peak
        assert peak >= cut.bytes


def chain(count=4, **options):
    nodes = [node(f"n{i}", [f"v{i}"], [f"v{i + 1}"], weight_bytes=10) for i in range(count)]
    return make(["v0"], nodes, [f"v{count}"], **options)


def test_a_chain_has_a_single_cut_between_any_two_nodes():
    graph = chain()
    assert [cut.position for cut in graph.single_cuts] == [1, 2, 3]
    assert [cut.tensors for cut in graph.cuts] == [("v1",), ("v2",), ("v3",)]


def test_a_value_of_unknown_size_forbids_its_cut():
    assert [cut.position for cut in chain(unknown={"v2"}).cuts] == [1, 3]


def test_a_skip_connection_makes_its_cuts_multiple():
    nodes = [
        node("a", ["x"], ["a"]),
        node("b", ["a"], ["b"]),
        node("c", ["b", "a"], ["c"]),
        node("d", ["c"], ["d"]),
    ]
    graph = make(["x"], nodes, ["d"])
    assert [cut.tensors for cut in graph.cuts] == [("a",), ("a", "b"), ("c",)]
    assert len(graph.single_cuts) == 2


def test_a_result_that_only_returns_is_not_live():
    nodes = [node("a", ["x"], ["a", "side"]), node("b", ["a"], ["b"])]
    graph = make(["x"], nodes, ["side", "b"])
    assert graph.cuts[0].tensors == ("a",)
    _, tensors = group(graph, [1])
    assert part_io(tensors, 0, 1) == (("x",), ("a", "side"))
    assert part_io(tensors, 0, 2) == (("x",), ("side", "b"))


def test_a_mask_is_forwarded_instead_of_what_derives_from_it():
    nodes = [
        node("expand", ["mask"], ["wide"], replicated=True),
        node("a", ["x", "wide"], ["a"]),
        node("b", ["a", "wide"], ["b"]),
    ]
    graph = make(["x", "mask"], nodes, ["b"])
    (cut,) = graph.cuts
    assert (cut.position, cut.tensors, cut.inputs) == (2, ("a",), ("mask",))
    assert not cut.single
    _, tensors = group(graph, [2])
    assert {tensor.name: tensor.consumers for tensor in tensors} == {
        "x": (0,),
        "mask": (0, 1),
        "a": (1,),
        "b": (),
    }


def test_a_constant_that_two_nodes_of_a_layer_read_counts_once():
    graph = chain(shared=[SharedConstant(name="w", bytes=10, nodes=(0, 1, 3))])
    assert [layer.weight_bytes for layer in group(graph, [])[0]] == [20]
    assert [layer.weight_bytes for layer in group(graph, [2])[0]] == [10, 20]


def test_activations_of_a_chain_are_what_a_node_reads_and_makes():
    layers, _ = group(chain(), [1, 2, 3])
    assert [layer.activation_bytes for layer in layers] == [4 + 8, 8 + 12, 12 + 16, 16 + 20]


def test_layer_names_are_readable_unique_and_short():
    nodes = [node("very/long/path/" * 9 + f"n{i}\n", [f"v{i}"], [f"v{i + 1}"]) for i in range(6)]
    graph = make(["v0"], [*nodes, *(node("same", ["v6"], [f"w{i}"]) for i in range(2))], ["w1"])
    layers, _ = group(graph, [cut.position for cut in graph.cuts])
    names = [layer.name for layer in layers]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 80 and name.isprintable() for name in names)
    assert names[-2:] == ["same", "same #2"]
    layers, _ = group(chain(), [2])
    assert [layer.name for layer in layers] == ["n0…n1", "n2…n3"]


@pytest.mark.parametrize(("positions", "place"), [([9], "positions[0]"), ([2, 1], "positions[1]")])
def test_positions_must_be_cuts_and_ascend(positions, place):
    with pytest.raises(InputError) as caught:
        group(chain(), positions)
    assert caught.value.faults[0].place == place
