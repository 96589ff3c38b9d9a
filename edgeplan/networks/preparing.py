"""Prepare a foreign ONNX file: pinned, folded, described; all in a sandboxed child."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeplan.model.errors import Fault, NetworkError
from edgeplan.model.graph import Cut, Graph, Node, OnnxSource, SharedConstant, Value
from edgeplan.networks import sandbox
from edgeplan.networks.files import memory_for, seconds_for

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""By input name."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A network that is ready to be profiled, split and run.

    Parameters
    ----------
    folded
        ONNX file with pinned shapes and folded constants.
    graph
        Its nodes, values and cuts.
    source
        The file it came from.
    defaults
        Shapes of the inputs that neither the file fixes nor the user gave.
    """

    folded: Path
    graph: Graph
    source: OnnxSource
    defaults: Shapes = ()


def prepare(
    path: Path | str,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    folder: Path | str,
    requests: int = 1,
    seconds: float | None = None,
    memory_bytes: int | None = None,
) -> Prepared:
    """Read a foreign ONNX file safely, pin its shapes, fold its constants, find its cuts.

    Everything that touches the file's content happens in a child process with limits.

    Parameters
    ----------
    path
        ONNX file; external data must lie in its folder.
    shapes
        Sizes by input name, for inputs whose sizes the file leaves free and that have no
        default (`edgeplan.networks._pinning.choose` lists the defaults).
    folder
        Where the folded file goes; made if it is not there. Its name comes from the content
        and the shapes, so that equal work lands in the same file.
    requests
        Pinned for a job of so many requests, stacked along the first dimension of every input:
        its size is that of ``shapes`` times their number, also where the file fixes it. Whether
        the network keeps them apart then is for the caller to try.
    seconds
        Limit on the time; by default 15 s and one second for every 8 MiB of the file.
    memory_bytes
        Limit on the child's address space; by default 4 GiB and eight times the file.

    Returns
    -------
    Prepared
        With the folded file in place.

    Raises
    ------
    NetworkError
        If the file is unsafe, invalid, too large, too slow or crashes the runtime; if its
        requests cannot be stacked.
    InputError
        If the shapes do not fit.
    """
    file = Path(path).absolute()
    target = Path(folder).absolute()
    target.mkdir(parents=True, exist_ok=True)
    given = {name: [int(size) for size in sizes] for name, sizes in (shapes or {}).items()}
    with tempfile.TemporaryDirectory(dir=target, prefix=".prepare.") as scratch:
        reports: list[object] = []
        try:
            data = sandbox.call(
                "edgeplan.networks._inspection:inspect",
                str(file),
                given,
                scratch,
                requests,
                seconds=seconds_for(file) if seconds is None else seconds,
                memory_bytes=memory_for(file) if memory_bytes is None else memory_bytes,
                on_report=reports.append,
            )
        except NetworkError as error:
            if requests > 1:
                raise
            raise blame_defaults(error, _defaults(reports)) from None
        try:
            graph, digest, pinned = _read(data)
        except (TypeError, KeyError, ValueError, AttributeError):
            raise NetworkError.at(file.name[:80], "corrupted the reading process") from None
        made = Path(scratch) / "folded.onnx"
        key = hashlib.sha256(json.dumps([digest, pinned]).encode()).hexdigest()[:12]
        folded = target / f"{_plain_name(file.stem)}-{key}.onnx"
        made.replace(folded)
    return Prepared(
        folded=folded,
        graph=graph,
        source=OnnxSource(path=str(file), sha256=digest, shapes=pinned),
        defaults=_defaults(reports),
    )


def blame_defaults(error: NetworkError, defaults: Shapes) -> NetworkError:
    """Return the error, with the sizes that were chosen for the user where there are such.

    Many networks take any number of channels or pixels by their file, and few by their nodes.
    """
    if not defaults:
        return error
    *others, last = error.faults
    taken = " ".join(
        f"{sandbox.one_line(name, 80)}={','.join(map(str, shape))}" for name, shape in defaults[:8]
    )
    example = f"--shape {sandbox.one_line(defaults[0][0], 80)}=…"
    hint = f"sizes not fixed by the file were taken as {taken}; give others with {example}"
    return NetworkError([*others, Fault(last.place, f"{last.message}; {hint}")])


def _defaults(reports: Sequence[object]) -> Shapes:
    """Return the shapes that the child has reported; it may be under a foreign file's sway."""
    for data in reports:
        items = data.get("defaults") if isinstance(data, dict) else None
        try:
            return tuple((str(name), tuple(map(int, shape))) for name, shape in items or ())
        except (TypeError, ValueError):
            return ()
    return ()


def _plain_name(text: str) -> str:
    """Return a foreign name as letters that any file system, shell and terminal takes."""
    letters = (letter if letter.isascii() and letter.isalnum() else "_" for letter in text[:60])
    return "".join(letters)


def _read(data: Any) -> tuple[Graph, str, tuple[tuple[str, tuple[int, ...]], ...]]:
    """Return what the child sent as types; it is data, so it may be anything."""
    graph = data["graph"]
    pinned = tuple((str(name), tuple(map(int, sizes))) for name, sizes in data["shapes"])
    return (
        Graph(
            inputs=_texts(graph["inputs"]),
            outputs=_texts(graph["outputs"]),
            values=tuple(
                Value(
                    name=str(item["name"]),
                    dtype=str(item["dtype"]),
                    shape=None if item["shape"] is None else tuple(map(int, item["shape"])),
                    bytes=None if item["bytes"] is None else int(item["bytes"]),
                )
                for item in graph["values"]
            ),
            nodes=tuple(
                Node(
                    name=str(item["name"]),
                    op_type=str(item["op_type"]),
                    inputs=_texts(item["inputs"]),
                    outputs=_texts(item["outputs"]),
                    parameters=int(item["parameters"]),
                    weight_bytes=int(item["weight_bytes"]),
                    macs=None if item["macs"] is None else int(item["macs"]),
                    replicated=bool(item["replicated"]),
                )
                for item in graph["nodes"]
            ),
            cuts=tuple(
                Cut(
                    position=int(item["position"]),
                    tensors=_texts(item["tensors"]),
                    inputs=_texts(item["inputs"]),
                    bytes=int(item["bytes"]),
                )
                for item in graph["cuts"]
            ),
            parameters=int(graph["parameters"]),
            weight_bytes=int(graph["weight_bytes"]),
            file_bytes=int(graph["file_bytes"]),
            uncounted=_texts(graph["uncounted"]),
            shared=tuple(
                SharedConstant(
                    name=str(item["name"]),
                    bytes=int(item["bytes"]),
                    nodes=tuple(map(int, item["nodes"])),
                )
                for item in graph["shared"]
            ),
        ),
        str(data["sha256"]),
        pinned,
    )


def _texts(items: Sequence[object]) -> tuple[str, ...]:
    return tuple(str(item) for item in items)
