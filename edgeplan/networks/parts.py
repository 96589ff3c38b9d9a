"""Extract a part of a folded network as an ONNX file of its own."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.model.errors import InputError, NetworkError
from edgeplan.networks.files import replacing

if TYPE_CHECKING:
    import onnx

PLAIN_POOLS = "edgeplan.plain_pools"
"""Key of a folded file's metadata: what its plain global poolings make (JSON, names)."""


def extract(
    folded: Path | str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    destination: Path | str,
) -> Path:
    """Write the part of a network that computes ``outputs`` from ``inputs``.

    Walks back from the outputs to the inputs with onnx_ir, which follows outer values that
    subgraphs capture (the extractor of onnx.utils silently loses them). Constants come along;
    so does whatever derives from graph inputs that are among ``inputs`` (replicated nodes).
    Operator sets, IR version, metadata and functions stay. A global pooling at the head of the
    part reads through a reshape to the same sizes where ONNX Runtime would otherwise choose
    another kernel for it than in the whole (`edgeplan.networks._pooling` says when and why).

    Parameters
    ----------
    folded
        File that `edgeplan.networks.prepare` wrote: values carry types and shapes.
    inputs, outputs
        Names of values, as `edgeplan.networks.grouping.part_io` returns them; their order is
        that of the part's inputs and outputs.
    destination
        File to write; it appears whole or not at all.

    Returns
    -------
    Path
        ``destination``.

    Raises
    ------
    InputError
        If a value does not exist, or the outputs need more than the inputs.
    NetworkError
        If the part is not valid ONNX.
    """
    return Splitter(folded).extract(inputs, outputs, destination)


class Splitter:
    """A folded network that is read once, for many parts.

    Parameters
    ----------
    folded
        As for `extract`.
    """

    def __init__(self, folded: Path | str) -> None:
        import onnx_ir

        source = Path(folded)
        self._place = source.name[:80]
        try:
            self._model = onnx_ir.load(source)
        except OSError as error:
            raise InputError.at(self._place, f"cannot be read: {error.strerror}") from None
        self._known = onnx_ir.convenience.create_value_mapping(
            self._model.graph, include_subgraphs=False
        )
        self._plain = frozenset(json.loads(self._model.metadata_props.get(PLAIN_POOLS, "[]")))

    def extract(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        destination: Path | str,
        *,
        check: bool = True,
    ) -> Path:
        """Write a part as the function `extract` does.

        Parameters
        ----------
        inputs, outputs, destination
            As there.
        check
            Whether to have the part checked by onnx (half of the time, with large weights);
            opening a session finds the same faults.
        """
        import onnx
        import onnx_ir

        place, model, target = self._place, self._model, Path(destination)
        if not outputs:
            raise InputError.at(place, "a part needs at least one output")
        for name in (*inputs, *outputs):
            if name not in self._known:
                raise InputError.at(place, f"there is no value '{name[:80]}' to cut at")
        try:
            graph = onnx_ir.convenience.extract(model.graph, list(inputs), list(outputs))
        except ValueError as error:
            text = " ".join(str(error).split())[:300]
            raise InputError.at(place, f"the part is not closed by its inputs: {text}") from None
        part = onnx_ir.Model(
            graph,
            ir_version=model.ir_version,
            producer_name=model.producer_name,
            producer_version=model.producer_version,
            domain=model.domain,
            model_version=model.model_version,
            doc_string=model.doc_string,
            functions=list(model.functions.values()),
            metadata_props={
                key: text for key, text in model.metadata_props.items() if key != PLAIN_POOLS
            },
        )
        proto = onnx_ir.to_proto(part)
        _keep_plain(proto, self._plain, self._known)
        try:
            if check:
                onnx.checker.check_model(proto)
        except onnx.checker.ValidationError as error:
            text = " ".join(str(error).split())[:300]
            raise NetworkError.at(place, f"its part is not valid ONNX: {text}") from None
        with replacing(target, durable=False) as temporary:
            temporary.write_bytes(proto.SerializeToString())
        return target


def _keep_plain(part: onnx.ModelProto, plain: frozenset[str], taken: Container[str]) -> None:
    """Give the part's inputs an edge to those poolings that shall not be blocked.

    A reshape copies nothing and is not optimised away, as an Identity would be.
    """
    import onnx

    graph = part.graph
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in graph.input}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type != "GlobalAveragePool" or node.output[0] not in plain:
            continue
        source = node.input[0]
        if source not in ranks:
            continue
        same = f"{node.output[0]}.read"
        while same in taken or f"{same}.sizes" in taken:
            same += "_"
        sizes = f"{same}.sizes"
        node.input[0] = same
        graph.node.insert(
            index, onnx.helper.make_node("Reshape", [source, sizes], [same], name=same)
        )
        # 0 stands for the size that is there.
        graph.initializer.append(
            onnx.helper.make_tensor(
                sizes, onnx.TensorProto.INT64, [ranks[source]], [0] * ranks[source]
            )
        )
