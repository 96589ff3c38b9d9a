"""Describe a folded model as data: nodes, values, cuts. Runs in a sandboxed child."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from edgeplan.model.errors import NetworkError
from edgeplan.model.graph import Graph, Node, SharedConstant, Value
from edgeplan.networks import counting, sessions
from edgeplan.networks._reading import MAX_TENSOR_BYTES, reads, subgraphs
from edgeplan.networks._runtime import open_model, refusals
from edgeplan.networks.cuts import find_cuts

SMALL_INPUT_BYTES = 2**16
"""A graph input of integers or booleans up to this size may be forwarded to several parts."""

SMALL_CONSTANT_BYTES = 2**12
"""A node that reads larger constants (an embedding's table) is not replicated."""

_Known = tuple[int, tuple[int, ...] | None]
"""Element type and shape of a value: -1 for a size, None for a rank that depends on data."""

_RANDOM = frozenset(
    (
        "Bernoulli",
        "Dropout",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    )
)

_COPIED_BYTES = 1024  # constants up to this size may be shapes: inference reads their values


def annotate(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], file: str
) -> tuple[Value, ...]:
    """Find every value's type and shape, write them into the model, and return them.

    By shape inference, and where that leaves sizes open, by two runs with random inputs: a shape
    that differs between them depends on data.

    Parameters
    ----------
    model
        Folded.
    shapes
        Of its inputs.
    file
        What errors name.

    Raises
    ------
    NetworkError
        If a value is larger than a tensor may be, or the run fails.
    """
    inferred = _infer(model)
    found: dict[str, _Known | None] = {}
    for value in model.graph.input:
        found[value.name] = value.type.tensor_type.elem_type, shapes[value.name]
    for node in model.graph.node:
        for name in filter(None, node.output):
            found[name] = inferred.get(name)
    missing = [name for name in found if (known := found[name]) is None or known[1] is None]
    if missing:
        found.update(_run(model, missing, found, file))
    values = tuple(_value(name, known, file) for name, known in found.items())
    _write(model, found)
    return values


def describe(
    model: onnx.ModelProto,
    values: tuple[Value, ...],
    parameters: int,
    weight_bytes: int,
    file_bytes: int,
) -> Graph:
    """Return the folded model as data.

    Parameters
    ----------
    model
        Folded, in order of execution.
    values
        As `annotate` returns them.
    parameters, weight_bytes, file_bytes
        Counted on the file as it came.
    """
    constants = {
        tensor.name: (tuple(tensor.dims), tensor.data_type) for tensor in model.graph.initializer
    }
    shapes: dict[str, tuple[int, ...] | None] = {value.name: value.shape for value in values}
    shapes.update({name: dims for name, (dims, _) in constants.items()})
    sizes = {value.name: value.bytes for value in values}
    small = {
        value.name
        for value in values[: len(model.graph.input)]
        if value.bytes is not None
        and value.bytes <= SMALL_INPUT_BYTES
        and (value.dtype == "bool" or "int" in value.dtype)
    }
    outputs = {value.name for value in model.graph.output}
    nodes: list[Node] = []
    uncounted: dict[str, None] = {}
    readers: dict[str, list[int]] = {}
    for index, proto in enumerate(model.graph.node):
        names = list(dict.fromkeys(reads(proto)))
        weights = [name for name in names if name in constants]
        for name in weights:
            readers.setdefault(name, []).append(index)
        inner_count, inner_bytes = _inner_constants(proto)
        elements = sum(math.prod(constants[name][0]) for name in weights) + inner_count
        taken = sum(_bytes(constants[name]) for name in weights) + inner_bytes
        read = tuple(name for name in names if name in sizes)
        made = tuple(name for name in proto.output if name)
        count = counting.macs(proto, shapes)
        if counting.is_uncounted(proto, count):
            uncounted[proto.op_type] = None
        replicated = (
            bool(read)
            and count is None
            and proto.op_type not in uncounted
            and proto.op_type not in _RANDOM  # each part would draw its own
            and not any(True for _ in subgraphs(proto))
            and taken <= SMALL_CONSTANT_BYTES
            and small.issuperset(read)
            and outputs.isdisjoint(made)
        )
        if replicated:
            small.update(made)
        nodes.append(
            Node(
                name=proto.name,
                op_type=proto.op_type,
                inputs=read,
                outputs=made,
                parameters=elements,
                weight_bytes=taken,
                macs=count,
                replicated=replicated,
            )
        )
    inputs = tuple(value.name for value in model.graph.input)
    return Graph(
        inputs=inputs,
        outputs=tuple(value.name for value in model.graph.output),
        values=values,
        nodes=tuple(nodes),
        cuts=find_cuts(inputs, nodes, values),
        parameters=parameters,
        weight_bytes=weight_bytes,
        file_bytes=file_bytes,
        uncounted=tuple(uncounted),
        shared=tuple(
            SharedConstant(name=name, bytes=_bytes(constants[name]), nodes=tuple(indices))
            for name, indices in readers.items()
            if len(indices) > 1
        ),
    )


def _infer(model: onnx.ModelProto) -> dict[str, _Known]:
    """Return types and shapes by inference on a copy that leaves the large constants out."""
    light = onnx.ModelProto()
    light.ir_version = model.ir_version
    light.opset_import.extend(model.opset_import)
    light.functions.extend(model.functions)
    light.graph.name = model.graph.name or "graph"
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) <= _COPIED_BYTES and tensor.ByteSize() <= 2 * _COPIED_BYTES:
            light.graph.initializer.append(tensor)
        else:
            light.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    light.graph.output.extend(model.graph.output)
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True)
    found: dict[str, _Known] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        if not value.type.HasField("tensor_type"):
            continue
        tensor = value.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim]
        known = tensor.HasField("shape") and all(size >= 0 for size in dims)
        found[value.name] = tensor.elem_type, tuple(dims) if known else None
    return found


def _run(
    model: onnx.ModelProto,
    missing: list[str],
    found: Mapping[str, _Known | None],
    file: str,
) -> dict[str, _Known | None]:
    """Return types and shapes of the missing values, from runs with random inputs."""
    outputs = {value.name for value in model.graph.output}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in missing if name not in outputs
    )
    wanted = [
        (value.name, _numpy_type(value.type.tensor_type.elem_type), known[1])
        for value in model.graph.input
        if (known := found[value.name]) is not None and known[1] is not None
    ]
    sizes = "; ".join(f"{name}={','.join(map(str, shape))}" for name, _, shape in wanted)
    with refusals(file, f"does not run with the shapes {sizes[:160]} (--shape sets others)"):
        session = open_model(probe, "off")
        # Half of the numbers of the second are zero: what is selected by value then differs.
        second = {
            name: np.maximum(array, 0) if array.dtype.kind == "f" else array
            for name, array in sessions.draw(wanted, 1).items()
        }
        runs = [session.run(missing, inputs) for inputs in (sessions.draw(wanted, 0), second)]
    shown: dict[str, _Known | None] = {}
    for name, first, other in zip(missing, *runs, strict=True):
        if hasattr(first, "shape") and first.dtype.kind in "fiub":
            kind = onnx.helper.np_dtype_to_tensor_dtype(first.dtype)
            shown[name] = int(kind), _agreed(first.shape, other.shape)
    return shown


def _agreed(first: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(first) != len(other):
        return None
    return tuple(size if size == also else -1 for size, also in zip(first, other, strict=True))


def _value(name: str, known: _Known | None, file: str) -> Value:
    if known is None:
        return Value(name=name, dtype="object", shape=None, bytes=None)
    kind, shape = known
    dtype = _numpy_type(kind)
    if shape is not None and -1 in shape:
        shape = None
    if shape is None or dtype == "object":
        return Value(name=name, dtype=dtype, shape=shape, bytes=None)
    size = counting.tensor_bytes(kind, math.prod(shape))
    if size > MAX_TENSOR_BYTES:
        raise NetworkError.at(
            file,
            f"the value '{name[:80]}' would take {size / 2**30:.3g} GiB; at most 2 GiB: use "
            "smaller shapes",
        )
    return Value(name=name, dtype=dtype, shape=shape, bytes=size)


def _write(model: onnx.ModelProto, found: Mapping[str, _Known | None]) -> None:
    """Write types and shapes into the model: a part's inputs need them."""
    del model.graph.value_info[:]
    outputs = {value.name: value for value in model.graph.output}
    inputs = {value.name for value in model.graph.input}
    for name, known in found.items():
        if known is None or name in inputs:
            continue
        kind, shape = known
        sizes = None if shape is None else [None if size < 0 else size for size in shape]
        info = onnx.helper.make_tensor_value_info(name, kind, sizes)
        if name in outputs:
            outputs[name].CopyFrom(info)
        else:
            model.graph.value_info.append(info)


def _inner_constants(node: onnx.NodeProto) -> tuple[int, int]:
    """Return elements and bytes of the constants inside a node's subgraphs."""
    elements = size = 0
    for graph in subgraphs(node):
        held = list(graph.initializer)
        for child in graph.node:
            if child.op_type == "Constant":
                held.extend(item.t for item in child.attribute if item.name == "value")
            inner_elements, inner_size = _inner_constants(child)
            elements += inner_elements
            size += inner_size
        for tensor in held:
            count = math.prod(tensor.dims)
            elements += count
            size += counting.tensor_bytes(tensor.data_type, count)
    return elements, size


def _bytes(constant: tuple[tuple[int, ...], int]) -> int:
    dims, kind = constant
    return counting.tensor_bytes(kind, math.prod(dims))


def _numpy_type(kind: int) -> str:
    if kind in (onnx.TensorProto.STRING, onnx.TensorProto.UNDEFINED):
        return "object"
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind).name)


def save(model: onnx.ModelProto, destination: Path) -> None:
    """Check the folded model and write it.

    Raises
    ------
    NetworkError
        If it is not valid or over 2 GiB.
    """
    data = model.SerializeToString()
    onnx.checker.check_model(data)
    destination.write_bytes(data)
