"""Open ONNX Runtime sessions in the two ways that matter, and make inputs to try them with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.errors import InputError
from edgeplan.model.graph import Graph

if TYPE_CHECKING:
    import onnxruntime

Level = Literal["strict", "deployed"]
Array = NDArray[Any]

_RATES = ("sr", "sample_rate", "sampling_rate", "samplerate")
_SAMPLES_PER_SECOND = 16_000
_TOKENS = 1000


def open_session(
    path: Path | str,
    *,
    level: Level,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
) -> onnxruntime.InferenceSession:
    """Open a session on a file that edgeplan wrote.

    Parameters
    ----------
    path
        ONNX file, of trusted origin: foreign ones go through `edgeplan.networks.prepare`.
    level
        ``strict``: every optimisation off, so that parts and whole are equal bit by bit;
        ``deployed``: all on, as it would be deployed.
    threads
        Threads within an operator; operators run one after another and idle threads sleep.
    provider
        Execution provider of ONNX Runtime.

    Raises
    ------
    InputError
        If the provider is not there.
    """
    import onnxruntime

    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise InputError.at("provider", f"there is no '{provider[:80]}'; known: {', '.join(known)}")
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_DISABLE_ALL if level == "strict" else levels.ORT_ENABLE_ALL
    )
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=[provider])


def random_inputs(source: Graph | onnxruntime.InferenceSession, seed: int) -> dict[str, Array]:
    """Return inputs of sensible type and range for a network or a part.

    Real numbers are normal (mean 0, deviation 1); integers are token numbers below 1000, but
    masks are ones, type and position numbers zeros, lengths the longest size, and sampling
    rates 16 kHz; booleans are true.

    Parameters
    ----------
    source
        Graph, or an open session whose input shapes are fixed.
    seed
        Of the random numbers; inputs are drawn in the order of their names.

    Returns
    -------
    dict
        Arrays by input name.

    Raises
    ------
    InputError
        If an input's shape or type is not known.
    """
    return draw(_wanted(source), seed)


def draw(wanted: Sequence[tuple[str, str, Sequence[int]]], seed: int) -> dict[str, Array]:
    """Return inputs as `random_inputs` does, for (name, numpy type, shape) triples."""
    longest = max((size for _, _, shape in wanted for size in shape), default=1)
    random = np.random.default_rng(seed)
    return {
        name: _fill(name, dtype, shape, longest, random)
        for name, dtype, shape in sorted(wanted, key=lambda item: item[0])
    }


def draw_stacked(
    wanted: Sequence[tuple[str, str, Sequence[int]]], seed: int, requests: int
) -> dict[str, Array]:
    """Return the inputs of several requests, stacked along the first dimension.

    Parameters
    ----------
    wanted
        Name, numpy type and shape of each input of a single request.
    seed
        Of the first request; each further one has the next seed.
    requests
        How many, at least 1; the inputs of a single one may have no dimension.
    """
    singles = [draw(wanted, seed + number) for number in range(requests)]
    if requests == 1:
        return singles[0]
    return {name: np.concatenate([single[name] for single in singles]) for name in singles[0]}


def _wanted(
    source: Graph | onnxruntime.InferenceSession,
) -> list[tuple[str, str, Sequence[int]]]:
    wanted: list[tuple[str, str, Sequence[int]]] = []
    if isinstance(source, Graph):
        values = {value.name: value for value in source.values}
        for name in source.inputs:
            shape = values[name].shape
            if shape is None:
                raise InputError.at(f"shape {name[:80]}", "is not known")
            wanted.append((name, values[name].dtype, shape))
        return wanted
    for argument in source.get_inputs():
        if not all(isinstance(size, int) for size in argument.shape):
            raise InputError.at(f"shape {argument.name[:80]}", "is not fixed")
        wanted.append((argument.name, _numpy_name(argument.type), tuple(argument.shape)))
    return wanted


def _numpy_name(text: str) -> str:
    """Return numpy's name for a type as ONNX Runtime writes it (``tensor(float)``)."""
    inner = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(inner, inner)


def _fill(
    name: str, dtype: str, shape: Sequence[int], longest: int, random: np.random.Generator
) -> Array:
    lower = name.lower().rpartition("/")[2]
    size = tuple(shape)
    if dtype == "bool":
        return np.ones(size, dtype=np.bool_)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InputError.at(f"input {name[:80]}", f"type {dtype[:80]} is not supported") from None
    if kind.kind == "f":
        if "mask" in lower:
            return np.ones(size, dtype=kind)
        return np.asarray(random.standard_normal(size), dtype=kind)
    if kind.kind not in "iu":
        raise InputError.at(f"input {name[:80]}", f"type {dtype[:80]} is not supported")
    if lower in _RATES:
        return np.full(size, _SAMPLES_PER_SECOND, dtype=kind)
    if "mask" in lower:
        return np.ones(size, dtype=kind)
    if "type" in lower or "segment" in lower or "position" in lower:
        return np.zeros(size, dtype=kind)
    if "length" in lower or "size" in lower:
        return np.full(size, longest, dtype=kind)
    if math.prod(size) == 1 and len(size) == 0:
        return np.ones(size, dtype=kind)
    top = min(_TOKENS, int(np.iinfo(kind).max))
    return np.asarray(random.integers(1, top, size), dtype=kind)
