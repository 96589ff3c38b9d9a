"""Find the global poolings whose kernel a cut just before them would change.

Runs in a sandboxed child.

ONNX Runtime gives convolutions a layout of blocked channels (NCHWc), and a GlobalAveragePool too
if all that it reads is blocked already. It recognises that by the node's having no incoming edge
left. A node that reads a graph input has none either: at the head of a part it is always blocked,
although amid the network, behind a node that is not blocked, it is plain. The two kernels add up
in different orders, and where positive and negative numbers cancel the sums differ by far more
than a rounding error of the result (PP-OCRv4 rec, cuts 190 and 214: 3e-6 to 1e-5 of the output's
scale). So the folded file lists which of them are plain in the whole, and
`edgeplan.networks.parts` keeps them so. Of the nodes treated in that way (ONNX Runtime 1.32) only
this one adds up: the others need blocked inputs, or take a maximum.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from edgeplan.networks._runtime import open_model, refusals
from edgeplan.networks.parts import PLAIN_POOLS


def mark(model: onnx.ModelProto, scratch: Path, file: str) -> None:
    """Write the names of what plain global poolings make into the model's metadata.

    Parameters
    ----------
    model
        Folded.
    scratch
        Folder for the runtime's own output.
    file
        What errors name.

    Raises
    ------
    NetworkError
        If the runtime refuses the model at the deployed level.
    """
    kept = [entry for entry in model.metadata_props if entry.key != PLAIN_POOLS]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    names = _plain(model, scratch, file)
    if names:
        model.metadata_props.add(key=PLAIN_POOLS, value=json.dumps(names))


def _plain(model: onnx.ModelProto, scratch: Path, file: str) -> list[str]:
    made = {name for node in model.graph.node for name in node.output}
    if not any(_is_pool(node) and node.input[0] in made for node in model.graph.node):
        return []
    target = scratch / "deployed.onnx"
    with refusals(file, "ONNX Runtime cannot load it with all optimisations"):
        open_model(model, "all", target)
    deployed = onnx.load(str(target))
    target.unlink()
    return [node.output[0] for node in deployed.graph.node if _is_pool(node)]


def _is_pool(node: onnx.NodeProto) -> bool:
    # The blocked one is of another domain.
    return node.op_type == "GlobalAveragePool" and node.domain in ("", "ai.onnx")
