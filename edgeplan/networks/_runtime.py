"""Open ONNX Runtime on a foreign model. Runs in a sandboxed child."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime

from edgeplan.model.errors import InputError, NetworkError

Level = Literal["off", "basic", "all"]


def open_model(
    model: onnx.ModelProto, level: Level, written: Path | None = None
) -> onnxruntime.InferenceSession:
    """Open a session on a model in memory.

    Parameters
    ----------
    model
        Without external data.
    level
        Of optimisation.
    written
        Where the optimised model goes, if it is wanted.
    """
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = {
        "off": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "all": levels.ORT_ENABLE_ALL,
    }[level]
    if written is not None:
        options.optimized_model_filepath = str(written)
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


@contextlib.contextmanager
def refusals(file: str, what: str) -> Iterator[None]:
    """Turn whatever the runtime raises into a NetworkError that says ``what`` failed.

    Raises
    ------
    MemoryError
        Where the runtime could not allocate.
    NetworkError
        For everything else: the runtime's classes share no base but Exception.
    """
    try:
        yield
    except (MemoryError, InputError):
        raise
    except Exception as error:  # noqa: BLE001  (see above)
        text = " ".join(str(error).split())
        if "allocate" in text or "bad_alloc" in text:
            raise MemoryError from None
        raise NetworkError.at(file, f"{what}: {text[:300]}") from None
