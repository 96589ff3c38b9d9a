"""The graph of an ONNX file as data: nodes, values and cuts, without any ONNX type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the graph.

    Parameters
    ----------
    name
        In the folded graph.
    dtype
        Element type by numpy's name (``float32``).
    shape
        Pinned sizes; ``None`` where it depends on data and no run has shown it.
    bytes
        Size; ``None`` where the shape is.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Node:
    """One ONNX node of the folded graph, in its place in the order of execution.

    Parameters
    ----------
    name
        Unique; made from the type and the position where the file has none.
    op_type
        Such as ``Conv``.
    inputs, outputs
        Names of values, outer values read by subgraphs included; constants left out.
    parameters, weight_bytes
        Elements and bytes of the constants that the node reads (as they are in the file).
    macs
        Multiply–accumulates; ``None`` where the type is not counted.
    replicated
        Whether the node derives only from small graph inputs, so that each part makes it anew.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: int = 0
    weight_bytes: int = 0
    macs: int | None = None
    replicated: bool = False


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A position where the network may be split, with its live set.

    Parameters
    ----------
    position
        The cut lies before the node of this index.
    tensors
        Values made before the cut and read after it (results that only return are not live).
    inputs
        Graph inputs read after the cut: they are forwarded from where they lie.
    bytes
        Sum over ``tensors``.
    """

    position: int
    tensors: tuple[str, ...]
    inputs: tuple[str, ...]
    bytes: int

    @property
    def single(self) -> bool:
        """Whether just one tensor crosses, and no graph input."""
        return len(self.tensors) == 1 and not self.inputs


@dataclass(frozen=True, kw_only=True)
class SharedConstant:
    """A constant that several nodes read: a group of nodes keeps it once.

    Parameters
    ----------
    name
        In the folded graph.
    bytes
        Size; it is part of ``weight_bytes`` of each node that reads it.
    nodes
        Indices of those nodes, ascending.
    """

    name: str
    bytes: int
    nodes: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A network file: pinned shapes, constants folded, nodes in order of execution.

    Parameters
    ----------
    inputs, outputs
        Names of the graph's inputs and outputs.
    values
        Every value that is not a constant.
    nodes
        In a topological order: the order of execution.
    cuts
        Every valid position strictly inside, single- and multi-tensor.
    parameters
        Elements of the file's own constants, before folding.
    weight_bytes, file_bytes
        Bytes of the file's own constants, and of the file with its external data.
    uncounted
        Node types whose MACs were not counted.
    shared
        Constants of the folded graph that more than one node reads.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    cuts: tuple[Cut, ...]
    parameters: int
    weight_bytes: int
    file_bytes: int
    uncounted: tuple[str, ...] = ()
    shared: tuple[SharedConstant, ...] = ()

    @property
    def macs(self) -> int:
        """Multiply–accumulates of all counted nodes."""
        return sum(node.macs or 0 for node in self.nodes)

    @property
    def single_cuts(self) -> tuple[Cut, ...]:
        """The cuts that just one tensor crosses."""
        return tuple(cut for cut in self.cuts if cut.single)


@dataclass(frozen=True, kw_only=True)
class OnnxSource:
    """Where a network's ONNX file is, and how it was pinned: all that splitting it needs.

    Parameters
    ----------
    path
        The file.
    sha256
        Hash of its bytes and external data, hexadecimal; empty where not known.
    shapes
        Shapes of the graph inputs.
    """

    path: str
    sha256: str = ""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
