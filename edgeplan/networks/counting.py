"""Count multiply–accumulates and parameters. Runs in a sandboxed child."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import onnx

from edgeplan.networks._reading import all_nodes, graphs, item_bits

Shape = tuple[int, ...]

# Compute whose work is not a closed form of the shapes, or that is rare: named, not counted.
# Elementwise, normalising, pooling and shape operators hold no multiply-accumulates to speak of.
_UNCOUNTED = frozenset(
    (
        "Attention",
        "BiasAttention",
        "DFT",
        "DeformConv",
        "Einsum",
        "FusedAttention",
        "GRU",
        "GroupQueryAttention",
        "If",
        "LSTM",
        "Loop",
        "MatMulNBits",
        "MoE",
        "MultiHeadAttention",
        "PackedMultiHeadAttention",
        "QAttention",
        "QLinearConvTranspose",
        "QMoE",
        "RNN",
        "STFT",
        "Scan",
        "SequenceMap",
    )
)
_CONVOLUTIONS = frozenset(("Conv", "ConvInteger", "FusedConv"))
_PRODUCTS = frozenset(
    ("MatMul", "MatMulInteger", "FusedMatMul", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")
)
_PARAMETER_TYPES = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in onnx.TensorProto.DataType.keys()  # noqa: SIM118  (an enum wrapper, no mapping)
    if name not in ("UNDEFINED", "INT64", "UINT64", "BOOL", "STRING")
)


def macs(node: onnx.NodeProto, shapes: Mapping[str, Shape | None]) -> int | None:
    """Return a node's multiply–accumulates (1 MAC = 2 flop), ``None`` where not counted.

    Parameters
    ----------
    node
        Any node.
    shapes
        Of the values and constants around it, ``None`` where not known.
    """
    kind = node.op_type
    inputs = [shapes.get(name) for name in node.input]
    result = shapes.get(node.output[0]) if node.output else None
    if kind in _CONVOLUTIONS:
        return _convolution(result, inputs[1])
    if kind == "QLinearConv":
        return _convolution(result, inputs[3])
    if kind == "ConvTranspose":
        return _convolution(inputs[0], inputs[1])
    if kind in _PRODUCTS:
        transposed = kind == "FusedMatMul" and any(
            attribute.name == "transA" and attribute.i for attribute in node.attribute
        )
        return _product(result, inputs[0], transposed)
    if kind in ("QLinearMatMul", "QGemm", "Gemm", "FusedGemm"):
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return _product(result, inputs[0], transposed)
    return None


def is_uncounted(node: onnx.NodeProto, count: int | None) -> bool:
    """Return whether a node holds compute that `macs` did not count."""
    counted = _CONVOLUTIONS | _PRODUCTS | {"ConvTranspose", "Gemm", "QLinearConv", "QLinearMatMul"}
    foreign = node.domain not in ("", "ai.onnx", "ai.onnx.ml")
    return count is None and (foreign or node.op_type in _UNCOUNTED or node.op_type in counted)


def _convolution(positions: Shape | None, weight: Shape | None) -> int | None:
    """Return the positions that a kernel visits times the channels and taps of one visit.

    For a convolution these are the outputs and a weight of (out, in / group, taps…); for a
    transposed one the inputs and a weight of (in, out / group, taps…): the same product.
    """
    if positions is None or weight is None:
        return None
    return math.prod(positions) * math.prod(weight[1:])


def _product(result: Shape | None, left: Shape | None, transposed: bool) -> int | None:
    if result is None or not left:
        return None
    inner = left[-2] if transposed and len(left) > 1 else left[-1]
    return math.prod(result) * inner


def parameters(model: onnx.ModelProto) -> tuple[int, int]:
    """Return elements and bytes of a file's own constants, before anything is folded.

    Counted are initializers, Constant nodes and ConstantOfShape nodes of constant shape, at any
    depth. 64-bit integers, booleans and texts are sizes, indices and switches: left out.

    Parameters
    ----------
    model
        As read; external data need not be loaded.
    """
    elements = size = 0
    for data_type, count in _constants(model):
        if data_type in _PARAMETER_TYPES:
            elements += count
            size += tensor_bytes(data_type, count)
    return elements, size


def tensor_bytes(data_type: int, count: int) -> int:
    """Return the bytes of so many elements of an ONNX element type (texts count as 0)."""
    name = onnx.TensorProto.DataType.Name(data_type)
    if name in ("STRING", "UNDEFINED"):
        return 0
    return (count * item_bits(data_type) + 7) // 8


def _constants(model: onnx.ModelProto) -> Iterator[tuple[int, int]]:
    shapes: dict[str, onnx.TensorProto] = {}
    for graph in graphs(model):
        for tensor in graph.initializer:
            shapes[tensor.name] = tensor
            yield tensor.data_type, math.prod(tensor.dims)
        for sparse in graph.sparse_initializer:
            yield sparse.values.data_type, math.prod(sparse.values.dims)
    for node in all_nodes(model):
        if node.op_type != "Constant":
            continue
        for attribute in node.attribute:
            if attribute.name == "value":
                shapes[node.output[0]] = attribute.t
                yield attribute.t.data_type, math.prod(attribute.t.dims)
            elif attribute.name in ("value_float", "value_floats"):
                yield onnx.TensorProto.FLOAT, max(1, len(attribute.floats))
    for node in all_nodes(model):
        shape = shapes.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
        if shape is not None and shape.data_location != onnx.TensorProto.EXTERNAL:
            values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            kind = values[0].data_type if values else onnx.TensorProto.FLOAT
            yield kind, math.prod(int(size) for size in onnx.numpy_helper.to_array(shape))
