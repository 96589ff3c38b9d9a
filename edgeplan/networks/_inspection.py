"""The child's side of `edgeplan.networks.prepare`: from a foreign file to data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import onnx

from edgeplan.model.errors import NetworkError
from edgeplan.networks import counting, sandbox
from edgeplan.networks._describing import annotate, describe, save
from edgeplan.networks._folding import fold
from edgeplan.networks._pinning import choose, free_inputs, normalise, pin
from edgeplan.networks._pooling import mark
from edgeplan.networks._reading import all_nodes, hash_files, read, subgraphs
from edgeplan.networks._stacking import blame_reshapes, check_reshapes, stacked_shapes


def inspect(
    path: str, shapes: dict[str, list[int]], scratch: str, requests: int = 1
) -> dict[str, object]:
    """Read, pin, fold and describe a file; leave the folded model in ``scratch``.

    Parameters
    ----------
    path
        The foreign file.
    shapes
        As the user gave them.
    scratch
        Existing folder; the folded model becomes ``folded.onnx`` in it.
    requests
        How many are stacked along the first dimension of every input.

    Returns
    -------
    dict
        ``graph`` (a `Graph` as data), ``sha256`` and ``shapes``.
    """
    file = Path(path)
    name = file.name[:80]
    model, external = read(file)
    digest = hash_files(file, external)
    file_bytes = file.stat().st_size + sum(other.stat().st_size for other in external)
    elements, weight_bytes = counting.parameters(model)
    normalise(model)
    chosen = choose(model, shapes, name)
    defaults = [[key, chosen[key]] for key in free_inputs(model) if key not in shapes]
    sandbox.report({"defaults": defaults})  # now: what follows may fail for them
    chosen = stacked_shapes(model, chosen, requests, name)
    try:
        folded = _fold_pinned(model, chosen, Path(scratch), name)
        _check_outputs(folded, name)
        values = annotate(folded, chosen, name)
    except NetworkError as error:
        if requests == 1:
            raise
        raise blame_reshapes(error, model) from None
    del model
    if requests > 1:
        check_reshapes(folded, values, name)
    graph = describe(folded, values, elements, weight_bytes, file_bytes)
    mark(folded, Path(scratch), name)
    save(folded, Path(scratch) / "folded.onnx")
    return {
        "graph": dataclasses.asdict(graph),
        "sha256": digest,
        "shapes": [[key, list(shape)] for key, shape in chosen.items()],
    }


def _check_outputs(folded: onnx.ModelProto, name: str) -> None:
    """Refuse a network whose result no node makes: there is nothing to place."""
    made = {output for node in folded.graph.node for output in node.output}
    for value in folded.graph.output:
        if value.name not in made:
            raise NetworkError.at(
                name,
                f"the output '{value.name[:80]}' is a constant or an input once constants are "
                "folded: remove it, there is nothing to place",
            )


def _fold_pinned(
    model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], scratch: Path, name: str
) -> onnx.ModelProto:
    """Fold with pinned shapes, or with the file's own where a branch never taken forbids that.

    A branch for other shapes (another sampling rate, say) is invalid under the pinned ones
    although it never runs; ONNX Runtime then refuses the whole file.
    """
    free = onnx.GraphProto()  # what pinning changes; a copy of all would double large weights
    free.input.extend(model.graph.input)
    free.output.extend(model.graph.output)
    pin(model, shapes)
    try:
        return fold(model, scratch, name)
    except NetworkError:
        if not any(True for node in all_nodes(model) for _ in subgraphs(node)):
            raise
    for field in ("input", "output"):
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(getattr(free, field))
    return fold(model, scratch, name)
