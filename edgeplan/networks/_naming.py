"""The child's side of `edgeplan.networks.overlay`: nodes as graph viewers name them."""

from __future__ import annotations

from pathlib import Path

import onnx_ir
from onnx_ir.passes.common import NameFixPass

from edgeplan.networks._reading import hash_files, read_structure, reads


def nodes(path: str) -> dict[str, object]:
    """Return the nodes of the main graph of a file, in its order.

    Parameters
    ----------
    path
        The foreign file.

    Returns
    -------
    dict
        ``sha256``; ``graph``, its name; ``inputs``; ``nodes``: name, what it reads, what it
        makes. Nodes without a name have the one that onnx_ir gives them: that is the identifier
        under which Model Explorer's adapter for ONNX shows them.
    """
    file = Path(path)
    model, external = read_structure(file)
    named = onnx_ir.serde.deserialize_model(model)
    NameFixPass()(named)
    constants = {tensor.name for tensor in model.graph.initializer}
    return {
        "sha256": hash_files(file, external),
        "graph": model.graph.name,
        "inputs": [value.name for value in model.graph.input if value.name not in constants],
        "nodes": [
            [known.name or "", list(reads(proto)), [name for name in proto.output if name]]
            for known, proto in zip(named.graph, model.graph.node, strict=True)
        ],
    }
