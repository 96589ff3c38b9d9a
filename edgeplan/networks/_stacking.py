"""Pin a model for several requests at once, stacked along the first dimension. In a child."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import onnx

from edgeplan.model.errors import Fault, NetworkError
from edgeplan.model.graph import Value
from edgeplan.networks._pinning import stated_sizes


def stacked_shapes(
    model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]], requests: int, file: str
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs for several requests: the first size times their number.

    Parameters
    ----------
    model
        Normalised, its inputs as the file states them.
    shapes
        Of a single request, by input name.
    requests
        How many, at least 1.
    file
        What errors name.

    Raises
    ------
    NetworkError
        If an input has no dimension to stack along, or the file leaves free another one than
        the first: a recurrent state, say. Every such input is named.
    """
    if requests == 1:
        return {name: tuple(shape) for name, shape in shapes.items()}
    faults = []
    for value in model.graph.input:
        name = value.name
        if not shapes[name]:
            faults.append(f"the input '{name[:80]}' is a single number for all requests")
        elif value.type.tensor_type.HasField("shape"):
            sizes = stated_sizes(value.type.tensor_type.shape)
            if sizes[0] is not None and sizes[0] > 1 and None in sizes:
                text = "×".join("?" if size is None else str(size) for size in sizes)
                faults.append(
                    f"the file fixes the first size of the input '{name[:80]}' ({text}) and "
                    "leaves another one free"
                )
    if faults:
        faults[-1] += ": requests do not stack along the first size of every input"
        raise NetworkError(Fault(file, text) for text in faults)
    return {name: (requests * shape[0], *shape[1:]) for name, shape in shapes.items()}


def check_reshapes(folded: onnx.ModelProto, values: Sequence[Value], file: str) -> None:
    """Refuse a folded model that reshapes to constant sizes that its data cannot take.

    Shape inference believes a constant, so such a node is found only when it runs.

    Raises
    ------
    NetworkError
        With the first such node.
    """
    shapes = {value.name: value.shape for value in values}
    for node, sizes in _constant_reshapes(folded):
        shape = shapes.get(node.input[0])
        known = shape is not None and all(size > 0 for size in sizes)
        if known and math.prod(shape or ()) != math.prod(sizes):
            raise NetworkError.at(file, _says(node, sizes))


def blame_reshapes(error: NetworkError, model: onnx.ModelProto) -> NetworkError:
    """Return the error, with the first reshape to constant sizes where the model has one."""
    for node, sizes in _constant_reshapes(model):
        if sizes and sizes[0] > 0:
            *others, last = error.faults
            message = f"{last.message} (perhaps because {_says(node, sizes)})"
            return NetworkError([*others, Fault(last.place, message)])
    return error


def _says(node: onnx.NodeProto, sizes: Sequence[int]) -> str:
    text = "×".join(map(str, sizes))
    return (
        f"its node '{(node.name or node.output[0])[:80]}' reshapes to {text}, whatever the number "
        "of requests (0 as the first size would keep it)"
    )


def _constant_reshapes(model: onnx.ModelProto) -> Iterator[tuple[onnx.NodeProto, tuple[int, ...]]]:
    """Yield reshapes of what is no constant to sizes that are."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            for item in node.attribute:
                if item.name == "value":
                    constants[node.output[0]] = item.t
    for node in model.graph.node:
        if node.op_type == "Reshape" and len(node.input) > 1 and node.input[0] not in constants:
            sizes = constants.get(node.input[1])
            if sizes is not None:
                yield node, tuple(int(size) for size in onnx.numpy_helper.to_array(sizes).flat)
