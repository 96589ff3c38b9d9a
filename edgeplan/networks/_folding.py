"""Fold a pinned model's constants with ONNX Runtime's basic level. Runs in a sandboxed child."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgeplan.networks._reading import all_nodes, graphs, reads
from edgeplan.networks._runtime import open_model, refusals


def fold(model: onnx.ModelProto, scratch: Path, file: str) -> onnx.ModelProto:
    """Return the model as ONNX Runtime's basic level rewrites it, tidied.

    Constants are folded, redundant nodes and those that nothing reads go, batch normalisations
    merge into convolutions;
    the basic level writes standard operators only, so that the result runs anywhere. Domains
    that nothing uses are dropped, nodes get unique names, the result is checked.

    Parameters
    ----------
    model
        Pinned.
    scratch
        Folder for the runtime's own output.
    file
        What errors name.

    Raises
    ------
    NetworkError
        If the runtime refuses the model.
    """
    target = scratch / "optimised.onnx"
    with refusals(file, "ONNX Runtime cannot load it"):
        open_model(model, "basic", target)
    folded = onnx.load(str(target))
    target.unlink()
    _tidy(folded, _names(model))
    return folded


def _tidy(model: onnx.ModelProto, own: set[str]) -> None:
    """Drop unused domains; give nodes unique names, and new names to what the runtime made.

    The runtime names the constants that its rewriting makes without looking whether such a name
    is taken: a part of a folded file that is optimised again would not load.
    """
    used = {node.domain for node in all_nodes(model)} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.producer_name = "edgeplan"
    _drop_unread(model.graph)
    taken: set[str] = set()
    for index, node in enumerate(model.graph.node):
        name = node.name or f"{node.op_type}_{index}"
        if name in taken:
            name = f"{name}_{index}"
        while name in taken:
            name += "_"
        taken.add(name)
        node.name = name
    _rename(model, own)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Drop nodes that no result needs, and constants that no node reads.

    The runtime keeps a node whose outputs nothing reads; a layer of such would make nothing.
    """
    needed = {value.name for value in graph.output}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if needed.isdisjoint(filter(None, node.output)):
            del graph.node[index]
        else:
            needed.update(reads(node))
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in needed:
            del graph.initializer[index]


def _rename(model: onnx.ModelProto, own: set[str]) -> None:
    """Rename constants and values of the main graph that are not in the file's own names."""
    new: dict[str, str] = {}

    def name_for(old: str, wanted: str) -> None:
        if old in own or not old:
            return
        while wanted in own:
            wanted += "_"
        own.add(wanted)
        new[old] = wanted

    for index, tensor in enumerate(model.graph.initializer):
        name_for(tensor.name, f"edgeplan.constant.{index}")
    for index, node in enumerate(model.graph.node):
        for place, name in enumerate(node.output):
            name_for(name, f"edgeplan.{node.op_type}.{index}" + (f".{place}" if place else ""))
    for tensor in model.graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    for node in all_nodes(model):
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = new.get(name, name)
    for graph in graphs(model):
        for value in (*graph.output, *graph.value_info):
            value.name = new.get(value.name, value.name)


def _names(model: onnx.ModelProto) -> set[str]:
    """Return the names of all values and constants of a file, at any depth."""
    names = {name for node in all_nodes(model) for name in (*node.input, *node.output)}
    for graph in graphs(model):
        names.update(tensor.name for tensor in graph.initializer)
        names.update(value.name for value in (*graph.input, *graph.output))
    return names
