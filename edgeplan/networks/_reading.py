"""Read a foreign ONNX file: sizes capped, external data kept in its folder, checked.

Runs in a sandboxed child (`edgeplan.networks.sandbox`), never in the caller's process.
"""

from __future__ import annotations

import hashlib
import math
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx

from edgeplan.model.errors import NetworkError

MAX_FILE_BYTES = 2**31 - 1
"""Protocol buffers cannot hold more."""

MAX_TENSOR_BYTES = 2**31 - 1
"""Largest constant, and largest value that a constant shape may ask for."""


def read(path: Path) -> tuple[onnx.ModelProto, tuple[Path, ...]]:
    """Return the model with its external data loaded, after every check, and that data's files.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    tuple
        Model, checked by `onnx.checker`, and distinct external files in the order of names.

    Raises
    ------
    NetworkError
        If the file is unsafe, invalid or too large.
    """
    model, external = read_structure(path)
    total = path.stat().st_size + sum(file.stat().st_size for file in external)
    if total > MAX_FILE_BYTES:
        raise NetworkError.at(
            path.name[:80], f"takes {total / 2**30:.3g} GiB with its external data; at most 2 GiB"
        )
    for tensor in tensors(model):
        _check_tensor(path, tensor)
    for node in all_nodes(model):
        _check_node(path, node)
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise _invalid(path, error) from None
    if external:
        onnx.load_external_data_for_model(model, str(path.parent))
        for tensor in tensors(model):
            # The runtime would look for it in whatever folder it is started in.
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise NetworkError.at(
                    path.name[:80],
                    f"the external data of '{tensor.name[:80]}' is at a place where onnx does not "
                    "load it (a sparse constant, say); store it in the model",
                )
    return model, external


def read_structure(path: Path) -> tuple[onnx.ModelProto, tuple[Path, ...]]:
    """Return the model without external data, and the files of that data, their places checked.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    tuple
        Model and distinct external files in the order of their names.

    Raises
    ------
    NetworkError
        If the file is not a regular one, too large or garbled, or external data lies outside.
    """
    name = path.name[:80]
    try:
        status = path.stat()
    except OSError as error:
        raise NetworkError.at(name, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise NetworkError.at(name, "is not a regular file; give an ONNX file")
    if status.st_size > MAX_FILE_BYTES:
        raise NetworkError.at(
            name, "is over 2 GiB, more than ONNX allows; keep weights as external data"
        )
    if not status.st_size:
        raise NetworkError.at(name, "is empty; give an ONNX file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  (protobuf's own class differs between its back ends)
        raise NetworkError.at(
            name, "is not an ONNX file, is truncated, or nests too deeply"
        ) from None
    if not model.HasField("graph") or not model.graph.node:
        raise NetworkError.at(name, "is not an ONNX file, or has no nodes")
    if not model.graph.output:
        raise NetworkError.at(name, "has no outputs")
    files = {
        _external_file(path, tensor)
        for tensor in tensors(model)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    }
    return model, tuple(sorted(files))


def digest(path: str) -> str:
    """Return the SHA-256 over model bytes and external data, hexadecimal.

    Without external data it is the hash of the file. Otherwise each external file follows, in
    the order of names, as its name, a zero byte and its own hash.
    """
    file = Path(path)
    _, external = read_structure(file)
    return hash_files(file, external)


def hash_files(file: Path, external: Iterable[Path]) -> str:
    """Return the hash of a model file and its external data (see `digest`)."""
    total = hashlib.sha256()
    _add(total, file)
    for other in external:
        own = hashlib.sha256()
        _add(own, other)
        total.update(other.relative_to(file.parent).as_posix().encode() + b"\0" + own.digest())
    return total.hexdigest()


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """Yield the main graph and every graph inside attributes, those of functions included."""
    yield model.graph
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield attribute.g
            yield from attribute.graphs


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield every node, at any depth, those of functions included."""
    pending: list[Iterable[onnx.NodeProto]] = [model.graph.node]
    pending.extend(function.node for function in model.functions)
    while pending:
        for node in pending.pop():
            yield node
            pending.extend(graph.node for graph in subgraphs(node))


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield the names that a node reads, outer ones that its subgraphs capture included."""
    yield from filter(None, node.input)
    for graph in subgraphs(node):
        inner = {value.name for value in graph.input}
        inner.update(tensor.name for tensor in graph.initializer)
        inner.update(tensor.values.name for tensor in graph.sparse_initializer)
        for child in graph.node:
            yield from (name for name in reads(child) if name not in inner)
            inner.update(child.output)
        yield from (value.name for value in graph.output if value.name not in inner)


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Yield every constant: initializers and attributes, dense and sparse, at any depth."""
    for graph in graphs(model):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield sparse.values
            yield sparse.indices
    for node in all_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (
                *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
                *attribute.sparse_tensors,
            ):
                yield sparse.values
                yield sparse.indices


def _external_file(path: Path, tensor: onnx.TensorProto) -> Path:
    name = path.name[:80]
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"the external data '{location[:80]}' of '{tensor.name[:80]}'"
    parts = PurePosixPath(location).parts
    windows = PureWindowsPath(location)
    if not parts or "\0" in location or "\\" in location:
        raise NetworkError.at(name, f"{what} has no usable file name")
    if parts[:1] == ("/",) or windows.drive or ".." in parts:
        raise NetworkError.at(
            name, f"{what} lies outside the model's folder; move it there and name it so"
        )
    for key in ("offset", "length"):
        if not entries.get(key, "0").isdecimal():
            raise NetworkError.at(name, f"{what} has a bad {key}")
    file = path.parent
    for part in parts:
        file = file / part
        try:
            status = file.lstat()
        except OSError as error:
            raise NetworkError.at(name, f"{what} cannot be read: {error.strerror}") from None
        if stat.S_ISLNK(status.st_mode):
            raise NetworkError.at(name, f"{what} is a symbolic link; put the file itself there")
    if not stat.S_ISREG(status.st_mode):
        raise NetworkError.at(name, f"{what} is not a regular file")
    if status.st_nlink > 1:
        raise NetworkError.at(name, f"{what} is a hard link to another file; put a copy there")
    if int(entries.get("offset", "0")) + int(entries.get("length", "0")) > status.st_size:
        raise NetworkError.at(name, f"{what} is shorter than the model says")
    return file


def _check_tensor(path: Path, tensor: onnx.TensorProto) -> None:
    what = f"the constant '{tensor.name[:80]}'"
    if any(size < 0 for size in tensor.dims):
        raise NetworkError.at(path.name[:80], f"{what} has a negative size")
    claimed = math.prod(tensor.dims) * item_bits(tensor.data_type) // 8
    if claimed > MAX_TENSOR_BYTES:
        raise NetworkError.at(
            path.name[:80], f"{what} claims {claimed / 2**30:.3g} GiB; at most 2 GiB"
        )
    # onnx's shape inference allocates what the sizes claim, whether data follows or not.
    if tensor.HasField("raw_data") and len(tensor.raw_data) < claimed:
        raise NetworkError.at(path.name[:80], f"{what} has less data than its shape claims")


def _check_node(path: Path, node: onnx.NodeProto) -> None:
    """Refuse attribute lists that stand for a shape of absurd size."""
    if len(node.input) > 2**16 or len(node.output) > 2**16:
        raise NetworkError.at(path.name[:80], f"a {node.op_type[:80]} node has too many values")


def item_bits(data_type: int) -> int:
    """Return the bits of one element of an ONNX element type (8 for texts and unknown ones)."""
    small = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
    try:
        name = onnx.TensorProto.DataType.Name(data_type)
        if name in small:
            return small[name]
        return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize) * 8
    except (KeyError, ValueError):
        return 8


def _add(total: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as stream:
        while piece := stream.read(2**20):
            total.update(piece)


def _invalid(path: Path, error: Exception) -> NetworkError:
    text = " ".join(str(error).split())
    return NetworkError.at(path.name[:80], f"is not valid ONNX: {text[:300]}")
