"""How fast this machine computes and moves memory: the reference of every prediction.

Two short benchmarks, about three seconds together, in a process of their own:

* *compute*: ONNX Runtime's MatMul of two 1024 × 1024 single-precision matrices, 2 · 1024³
  operations a run, with the threads that the profile was measured with;
* *memory*: ``c = a + b`` on single-precision arrays of 64 MiB each, three times 64 MiB moved
  a run (the *Add* kernel of McCalpin's STREAM, which counts likewise), one slice per thread.

As in STREAM the best run counts: what is sought is the machine's roof, not its mean. The
figures are kept beside the measured times, so one machine is calibrated once.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgeplan.model.errors import InputError
from edgeplan.model.profile import Machine
from edgeplan.networks import sandbox
from edgeplan.profiling import store
from edgeplan.profiling.machine import this_machine

_MATRIX = 1024
_ARRAY_BYTES = 64 * 2**20
_SECONDS = 1.2
_LEAST_RUNS = 5


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The roofs of the machine that a profile was measured on.

    Parameters
    ----------
    flops_per_second
        Single-precision operations per second (1 multiply–accumulate = 2).
    bytes_per_second
        Memory bandwidth, bytes read plus bytes written per second.
    cpu, threads
        What they hold for.
    created
        ISO 8601 time.
    """

    flops_per_second: float
    bytes_per_second: float
    cpu: str
    threads: int
    created: str


def calibrate(
    *,
    threads: int = 1,
    provider: str = "CPUExecutionProvider",
    cache: Path | None = None,
    fresh: bool = False,
) -> Calibration:
    """Return this machine's compute rate and memory bandwidth, measured once and then kept.

    Parameters
    ----------
    threads
        Threads that may be used.
    provider
        Of the profile that is to be predicted from; only ``CPUExecutionProvider`` has a
        benchmark.
    cache
        Folder of the store; by default in the user's cache folder.
    fresh
        Whether to measure even if the figures are kept.

    Raises
    ------
    InputError
        For another provider, or if the cache folder cannot be written.
    """
    if provider != "CPUExecutionProvider":
        raise InputError.at(
            "provider",
            f"there is no calibration for '{provider[:80]}': measure the profile that "
            "predictions start from with CPUExecutionProvider",
        )
    machine = this_machine(provider=provider, threads=threads)
    folder = store.default_folder() if cache is None else cache
    path = folder / f"{store.key_of({'calibration': 1, **asdict(machine)})}.calibration.json"
    if not fresh:
        kept = _kept(path, machine)
        if kept is not None:
            return kept
    figures = sandbox.call(
        "edgeplan.profiling.calibrate:_benchmark", threads, seconds=60.0, place="calibration"
    )
    assert isinstance(figures, list)
    flops, bandwidth = figures
    found = Calibration(
        flops_per_second=float(flops),
        bytes_per_second=float(bandwidth),
        cpu=machine.cpu,
        threads=threads,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    _keep(path, found)
    return found


def _kept(path: Path, machine: Machine) -> Calibration | None:
    try:
        data = json.loads(path.read_text())
        found = Calibration(
            flops_per_second=float(data["flops_per_second"]),
            bytes_per_second=float(data["bytes_per_second"]),
            cpu=machine.cpu,
            threads=machine.threads,
            created=str(data["created"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    usable = 0 < found.flops_per_second < float("inf") and 0 < found.bytes_per_second < float("inf")
    return found if usable else None


def _keep(path: Path, found: Calibration) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(asdict(found), file)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError.at(
            "cache", f"the folder of measured times cannot be written: {error.strerror}"
        ) from error


def _benchmark(threads: int) -> tuple[float, float]:
    """Return flop/s and bytes/s; runs in the child."""
    return _compute(threads), _bandwidth(threads)


def _compute(threads: int) -> float:
    import numpy as np
    import onnx
    import onnxruntime as ort
    from onnx import TensorProto, helper

    shape = [_MATRIX, _MATRIX]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "matmul",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "ab"],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=onnx.IR_VERSION_2019_9_19
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    feed = {name: random.standard_normal(shape, dtype=np.float32) for name in "ab"}
    return 2.0 * _MATRIX**3 / _best(lambda: session.run(None, feed))


def _bandwidth(threads: int) -> float:
    import numpy as np

    count = _ARRAY_BYTES // 4
    first, second = (np.full(count, value, np.float32) for value in (1.0, 2.0))
    out = np.zeros(count, np.float32)
    edges = [count * index // threads for index in range(threads + 1)]
    slices = [slice(low, high) for low, high in itertools.pairwise(edges)]

    def add(part: slice) -> None:
        np.add(first[part], second[part], out=out[part])

    with ThreadPoolExecutor(threads) as pool:
        if threads == 1:
            seconds = _best(lambda: add(slices[0]))
        else:
            seconds = _best(lambda: list(pool.map(add, slices)))
    return 3.0 * _ARRAY_BYTES / seconds


def _best(run: Callable[[], object]) -> float:
    run()
    best = float("inf")
    runs = 0
    until = time.perf_counter() + _SECONDS
    while runs < _LEAST_RUNS or time.perf_counter() < until:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best
