"""A route of a plan as node data for graph viewers: which device runs each node of an ONNX file.

The form is that of Model Explorer's custom node data: ``results`` by node, each with a ``value``
and a colour, or a ``gradient`` for all. A file without a graph's name is laid over whatever graph
is open, so that it does not matter how the viewer calls it. Further keys are ignored there:
``edgeplan`` says what the file is of.

References
----------
Google AI Edge, Model Explorer, "Create custom node data" (ai-edge-model-explorer 0.1.34).
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeplan.model.errors import InputError, NetworkError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import Network
from edgeplan.model.price import RoutePrice
from edgeplan.networks import sandbox
from edgeplan.networks.files import memory_for, seconds_for
from edgeplan.networks.preparing import prepare

COLOURS = (
    "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#f0e442", "#0072b2", "#d55e00", "#999999",
)  # fmt: skip
"""Of devices, in the problem's order: distinct for the colour-blind (M. Okabe, K. Ito, 2008)."""
_GRADIENT = ({"stop": 0, "bgColor": "#fff7ec"}, {"stop": 1, "bgColor": "#d55e00"})


@dataclass(frozen=True, kw_only=True)
class PlacedNode:
    """A node of the file as it is, before constants are folded.

    Parameters
    ----------
    name
        As a viewer knows it.
    makes
        Names of its values.
    layer
        Number of the layer that holds it.
    """

    name: str
    makes: tuple[str, ...]
    layer: int


@dataclass(frozen=True, kw_only=True)
class PlacedNodes:
    """The nodes of a file that run for a request, by layer.

    Parameters
    ----------
    graph
        Name of the file's graph.
    sha256
        Of the file.
    nodes
        In the file's order; those that only make constants are left out.
    not_found
        Names of values at which the network is cut and that the file does not have, since folding
        made them: the few nodes that they stand for are told to be of the layer after theirs.
    """

    graph: str
    sha256: str
    nodes: tuple[PlacedNode, ...]
    not_found: tuple[str, ...]


def placed_nodes(network: Network, source: OnnxSource) -> PlacedNodes:
    """Return which layer each node of a network's file belongs to.

    Layers come in order, so that a node is of the first layer of which some result needs it: the
    walk is over the file as it is, since that is what a viewer shows. Constants that folding
    computed, and nodes that it merged with others, have their place in it too.

    Parameters
    ----------
    network
        With its layers and the tensors between them.
    source
        Its ONNX file.

    Raises
    ------
    InputError
        If the file is missing, or is not the one that was profiled.
    NetworkError
        If it is unsafe or invalid.
    """
    file = Path(source.path)
    place = f"networks.{network.name[:80]}"
    if not file.is_file():
        raise InputError.at(place, f"there is no file '{file.name[:80]}'")
    data: Any = sandbox.call(
        "edgeplan.networks._naming:nodes",
        str(file),
        seconds=seconds_for(file),
        memory_bytes=memory_for(file),
    )
    try:
        found = [(str(name), tuple(reads), tuple(makes)) for name, reads, makes in data["nodes"]]
        graph, sha256, inputs = str(data["graph"]), str(data["sha256"]), tuple(data["inputs"])
    except (TypeError, KeyError, ValueError):
        raise NetworkError.at(file.name[:80], "corrupted the reading process") from None
    if source.sha256 and sha256 != source.sha256:
        message = f"wrong model hash: '{file.name[:80]}' is not the file that was profiled"
        raise InputError.at(place, message)
    makers = {value: index for index, (_, _, makes) in enumerate(found) for value in makes}
    made_by = [[network.tensors[i].name for i in made] for made in network.made_by]
    missing = [value for made in made_by for value in made if value not in makers]
    stand_ins = _stand_ins(missing, makers, source) if missing else {}
    layer_of: dict[int, int] = {}
    for layer, made in enumerate(made_by):
        known = [name for value in made for name in stand_ins.get(value, (value,))]
        pending = [makers[value] for value in known if value in makers]
        while pending:
            node = pending.pop()
            if node not in layer_of:
                layer_of[node] = layer
                pending += [makers[value] for value in found[node][1] if value in makers]
    live = set(inputs)
    nodes = []
    for index, (name, reads, makes) in enumerate(found):
        if not live.isdisjoint(reads):
            live.update(makes)
            if index in layer_of:
                nodes.append(PlacedNode(name=name, makes=makes, layer=layer_of[index]))
    return PlacedNodes(graph=graph, sha256=sha256, nodes=tuple(nodes), not_found=tuple(missing))


def _stand_ins(
    missing: Sequence[str], makers: Container[str], source: OnnxSource
) -> dict[str, tuple[str, ...]]:
    """Return, for values that folding made, the values of the file that they come from."""
    with tempfile.TemporaryDirectory(prefix="edgeplan-overlay-") as folder:
        graph = prepare(source.path, shapes=dict(source.shapes), folder=folder).graph
    reads = {value: node.inputs for node in graph.nodes for value in node.outputs}

    def origins(value: str) -> Iterator[str]:
        pending = [value]
        while pending:
            name = pending.pop()
            if name in makers:
                yield name
            else:
                pending += reads.get(name, ())

    return {value: tuple(dict.fromkeys(origins(value))) for value in missing}


def overlays(
    network: Network,
    route: RoutePrice,
    placed: PlacedNodes,
    *,
    devices: Sequence[str],
    of: str,
    about: Mapping[str, object],
) -> dict[str, dict[str, Any]]:
    """Return node data of a route: by device, by seconds and by bytes that leave it.

    Parameters
    ----------
    network
        That the route serves.
    route
        Its stages and transfers.
    placed
        The nodes of the network's file.
    devices
        Of the problem, in order: they have the same colours in every file.
    of
        What the route is of, for the viewer's list.
    about
        What the files say of themselves, besides.

    Returns
    -------
    dict
        ``device``: the device's name and colour. ``seconds``: predicted time of the layer that
        holds the node, were it run alone on its device, to four digits; the same on each of its
        nodes, so that sums over nodes mean nothing. ``bytes``: what the node makes and a request
        of this route sends over links; nodes that send nothing are left out.
    """
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(devices)}
    device_of = {
        layer: stage.device for stage in route.stages for layer in range(stage.first, stage.stop)
    }
    by_device = {
        node.name: {"value": device, "bgColor": colours[device]}
        for node in placed.nodes
        if (device := device_of.get(node.layer)) is not None
    }
    seconds = {
        layer: float(f"{network.costs[device].stage_seconds(layer, layer + 1):.4g}")
        for layer, device in device_of.items()
    }
    by_seconds = {
        node.name: {"value": seconds[node.layer]} for node in placed.nodes if node.layer in seconds
    }
    by_bytes = {name: {"value": moved} for name, moved in _sent(network, route, placed)}
    common = {"source": "predicted", **about}
    return {
        "device": _document(f"device, {of}", by_device, common),
        "seconds": _document(
            f"seconds of the layer, {of}", by_seconds, {**common, "unit": "s"}, gradient=True
        ),
        "bytes": _document(
            f"bytes sent, {of}", by_bytes, {**common, "unit": "B"}, gradient=True, sums=True
        ),
    }


def _sent(network: Network, route: RoutePrice, placed: PlacedNodes) -> Iterator[tuple[str, int]]:
    """Yield the nodes whose values cross links, graph inputs too, with the bytes."""
    sizes = {tensor.name: tensor.bytes for tensor in network.tensors}
    crossed: dict[str, int] = defaultdict(int)
    for transfer in route.transfers:
        for name in transfer.tensors:
            crossed[name] += sizes[name]
    for tensor in network.inputs:
        if crossed[tensor.name]:
            yield f"[value] {tensor.name}", crossed[tensor.name]
    for node in placed.nodes:
        if moved := sum(crossed.get(value, 0) for value in node.makes):
            yield node.name, moved


def _document(
    name: str,
    results: Mapping[str, Mapping[str, object]],
    about: Mapping[str, object],
    *,
    gradient: bool = False,
    sums: bool = False,
) -> dict[str, Any]:
    document: dict[str, Any] = {"name": name, "results": results}
    if not sums:
        document["hideInAggregatedStatsTable"] = True
    if gradient:
        document["gradient"] = list(_GRADIENT)
        if not sums:
            document["hideInChildrenStatsTable"] = True
    else:
        document["showExpandedSummaryOnGroupNode"] = True
        document["showLabelCountColumnsInChildrenStatsTable"] = True
    return {**document, "edgeplan": dict(about)}
