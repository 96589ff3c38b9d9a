"""Where a network may be split: which values are live at every position. Knows no ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.model.graph import Cut, Node, Value


@dataclass(frozen=True)
class Reads:
    """Which values must be at hand for which nodes, replicated nodes looked through.

    A replicated node (`Node.replicated`) derives only from small graph inputs. Every part
    makes it anew where it needs it, so a reader of its outputs reads those graph inputs.

    Parameters
    ----------
    made
        Index of the node that makes a value, for values that can be live at a cut.
    read
        Indices of the nodes that read a value (graph input or made), ascending.
    """

    made: dict[str, int]
    read: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, inputs: Sequence[str], nodes: Sequence[Node]) -> Reads:
        """Return who makes and who reads what, in one pass over the nodes."""
        sources: dict[str, frozenset[str]] = {}
        made: dict[str, int] = {}
        read: dict[str, list[int]] = {name: [] for name in inputs}
        for index, node in enumerate(nodes):
            needed = dict.fromkeys(
                source for name in node.inputs for source in sorted(sources.get(name, {name}))
            )
            if node.replicated:
                sources.update(dict.fromkeys(node.outputs, frozenset(needed)))
                continue
            for name in needed:
                read.setdefault(name, []).append(index)
            made.update(dict.fromkeys(node.outputs, index))
        return cls(made, {name: tuple(indices) for name, indices in read.items()})

    def last(self, name: str) -> int:
        """Return the index of the last reader, -1 where there is none."""
        return max(self.read.get(name, ()), default=-1)


def find_cuts(
    inputs: Sequence[str], nodes: Sequence[Node], values: Sequence[Value]
) -> tuple[Cut, ...]:
    """Return every valid cut strictly inside, with its live set.

    A position lies before a node that is not replicated (positions among replicated nodes
    have the live set of the next one and are left out), with a node that is not replicated on
    either side. It is valid if every live value is a tensor of known size.

    Parameters
    ----------
    inputs
        Names of the graph inputs.
    nodes
        In order of execution.
    values
        Everything that is not a constant.

    Returns
    -------
    tuple of Cut
        By position, ascending.
    """
    reads = Reads.of(inputs, nodes)
    sizes = {value.name: value.bytes for value in values}
    cuts: list[Cut] = []
    live: dict[str, int] = {}  # value -> last reader, in the order in which they are made
    forwarded = {name: reads.last(name) for name in inputs}
    started = False
    for position, node in enumerate(nodes):
        if node.replicated:
            continue
        if started:
            live = {name: last for name, last in live.items() if last >= position}
            known = [sizes.get(name) for name in live]
            ahead = tuple(name for name, last in forwarded.items() if last >= position)
            if None not in known and all(sizes.get(name) is not None for name in ahead):
                total = sum(size for size in known if size is not None)
                cuts.append(Cut(position=position, tensors=tuple(live), inputs=ahead, bytes=total))
        started = True
        live.update({name: reads.last(name) for name in node.outputs})
    return tuple(cuts)
