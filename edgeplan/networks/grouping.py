"""Group the nodes between chosen cuts into the layers that the planner places."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from edgeplan.model.errors import InputError
from edgeplan.model.graph import Graph, Node
from edgeplan.model.network import Layer, Tensor
from edgeplan.networks.cuts import Reads

_MAX_NAME = 80


def group(graph: Graph, positions: Sequence[int]) -> tuple[tuple[Layer, ...], tuple[Tensor, ...]]:
    """Return the layers between chosen cuts, and the tensors that they exchange.

    Parameters
    ----------
    graph
        The folded network.
    positions
        Node positions of some of ``graph.cuts``, ascending; none for a single layer.

    Returns
    -------
    tuple
        ``len(positions) + 1`` layers in order, and every tensor that crosses between them,
        graph inputs first. A graph input is consumed also by layers that make replicated nodes
        from it. A layer's ``activation_bytes`` is the largest sum, over its nodes, of the
        values that are at hand while the node runs: what it reads and makes, and what later
        nodes or the caller still need.

    Raises
    ------
    InputError
        If a position is not that of a cut, or they do not ascend.
    """
    valid = {cut.position for cut in graph.cuts}
    for index, position in enumerate(positions):
        if position not in valid:
            raise InputError.at(f"positions[{index}]", f"there is no cut at position {position}")
        if index and position <= positions[index - 1]:
            raise InputError.at(f"positions[{index}]", "positions must ascend")
    reads = Reads.of(graph.inputs, graph.nodes)
    sizes = {value.name: value.bytes or 0 for value in graph.values}
    starts = list(positions)

    def layer_of(node: int) -> int:
        return bisect_right(starts, node)

    outputs = set(graph.outputs)
    tensors: list[Tensor] = []
    for name in (*graph.inputs, *reads.made):
        producer = layer_of(reads.made[name]) if name in reads.made else None
        readers = {layer_of(node) for node in reads.read.get(name, ())}
        consumers = tuple(sorted(layer for layer in readers if layer != producer))
        if producer is None or consumers or name in outputs:
            tensors.append(
                Tensor(
                    name=name,
                    bytes=sizes.get(name, 0),
                    producer=producer,
                    consumers=consumers,
                    output=name in outputs,
                )
            )
    bounds = [0, *positions, len(graph.nodes)]
    live = _live_bytes(graph, reads, sizes)
    names = _names(graph.nodes, bounds)
    layers = tuple(
        Layer(
            name=names[index],
            weight_bytes=_weight_bytes(graph, first, stop),
            activation_bytes=max(live[first:stop], default=0),
        )
        for index, (first, stop) in enumerate(pairwise(bounds))
    )
    return layers, tuple(tensors)


def part_io(
    tensors: Sequence[Tensor], first: int, stop: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the part of layers ``first`` to ``stop - 1`` reads and makes for others.

    Parameters
    ----------
    tensors
        Of the network, as `group` returns them.
    first, stop
        Layers of the part.

    Returns
    -------
    inputs, outputs
        Names of the tensors needed and made outside, and of those made inside that are read
        outside or are graph outputs: what `edgeplan.networks.parts.extract` asks for.
    """
    inside = range(first, stop)
    inputs = tuple(
        tensor.name
        for tensor in tensors
        if tensor.producer not in inside and any(layer in inside for layer in tensor.consumers)
    )
    outputs = tuple(
        tensor.name
        for tensor in tensors
        if tensor.producer in inside
        and (tensor.output or any(layer not in inside for layer in tensor.consumers))
    )
    return inputs, outputs


def _live_bytes(graph: Graph, reads: Reads, sizes: dict[str, int]) -> list[int]:
    """Return, for each node, the bytes of the values at hand while it runs."""
    count = len(graph.nodes)
    change = [0] * (count + 1)
    outputs = set(graph.outputs)
    for name in (*graph.inputs, *reads.made):
        begin = reads.made.get(name, 0)
        end = count - 1 if name in outputs else max(begin, reads.last(name))
        if name not in reads.made and reads.last(name) < 0:
            continue
        change[begin] += sizes.get(name, 0)
        change[end + 1] -= sizes.get(name, 0)
    # What a replicated node makes is made where it is first read; counted from its own place.
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    for index, node in enumerate(graph.nodes):
        if node.replicated:
            for name in node.outputs:
                change[index] += sizes.get(name, 0)
                change[max(index, last.get(name, index)) + 1] -= sizes.get(name, 0)
    live: list[int] = []
    total = 0
    for index in range(count):
        total += change[index]
        live.append(total)
    return live


def _weight_bytes(graph: Graph, first: int, stop: int) -> int:
    """Return the bytes of the constants that nodes read; one that several read counts once."""
    total = sum(node.weight_bytes for node in graph.nodes[first:stop])
    for shared in graph.shared:
        readers = sum(first <= node < stop for node in shared.nodes)
        total -= shared.bytes * max(0, readers - 1)
    return total


def _names(nodes: Sequence[Node], bounds: Sequence[int]) -> list[str]:
    """Return a unique readable name for each group: its first and last node."""
    names: list[str] = []
    taken: set[str] = set()
    for first, stop in pairwise(bounds):
        real = [node.name for node in nodes[first:stop] if not node.replicated]
        ends = list(dict.fromkeys((real[0], real[-1]))) if real else [nodes[first].name]
        room = (_MAX_NAME - 6) // len(ends) - 1
        name = "…".join(_short(end, room) for end in ends)
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name} #{number}"
        taken.add(unique)
        names.append(unique)
    return names


def _short(name: str, room: int) -> str:
    clean = "".join(letter if letter.isprintable() else "?" for letter in name)
    # The end tells more than the beginning: exporters prefix the path of the module.
    return clean if len(clean) <= room else "~" + clean[-(room - 1) :]
