"""Jobs of several requests: what is measured, what is refused and why, what is taken up again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeplan.model.errors import InputError, InterruptedRunError
from edgeplan.model.network import Network
from edgeplan.model.profile import Profile
from edgeplan.networks.preparing import Prepared
from edgeplan.profiling import columns
from edgeplan.profiling.measure import profile
from edgeplan.profiling.progress import ProfileProgress

Sizes = list[int | str | None]


class Watcher:
    """Collects what a profile tells."""

    def __init__(self) -> None:
        self.told: list[ProfileProgress] = []

    def __call__(self, progress: ProfileProgress) -> None:
        self.told.append(progress)

    def messages(self, stage: str) -> list[str]:
        return [progress.message for progress in self.told if progress.stage == stage]


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Sizes],
    constants: dict[str, np.ndarray],
    made: Sizes | None = None,
) -> Path:
    """Write a network with the output ``y``."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [
            helper.make_tensor_value_info(
                "y", TensorProto.FLOAT, [None, None] if made is None else made
            )
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def weight(rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((rows, width), dtype=np.float32)


def reasons(found: Profile) -> dict[int, str]:
    return {refused.requests: refused.reason for refused in found.refused_batches}


def test_each_batch_size_has_a_table_of_the_same_layers(chain: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    found = profile(
        chain, cuts=[4], batches=[4, 1, 2, 4], repeats=3, cache=tmp_path, on_progress=watcher
    )
    assert [batch.requests for batch in found.batches] == [2, 4]
    assert not found.refused_batches
    assert found.shapes == (("x", (1, 32)),)
    for batch in found.batches:
        assert [len(row) for row in batch.spans] == [2, 1]
        for timing in (batch.whole, *(timing for row in batch.spans for timing in row)):
            assert timing.runs >= 3
            assert timing.median_seconds > 0
            assert timing.basis == "measured"
        assert batch.boundary_seconds >= 0
        assert (batch.joules is None) == (found.joules is None)
        assert "3 of 3 spans run" in batch.detail
    network = Network("n", found.layers, found.tensors, {"here": found.costs()})
    job = network.costs["here"].job(4)
    assert job is not None
    assert job.stage_seconds(0, 2) == found.batches[1].spans[0][1].mean_seconds
    assert job.stage_cv2(1, 2) == found.batches[1].spans[1][0].cv2
    assert watcher.told[-1] == ProfileProgress(
        stage="done", done=9, total=9, message="every span is known"
    )
    assert any(line.startswith("batch 4: ") for line in watcher.messages("measure"))
    counts = [progress.done for progress in watcher.told]
    assert counts == sorted(counts), "progress goes on over all sizes"


def test_a_job_takes_about_as_long_as_the_work_in_it(wide_chain: Path, tmp_path: Path) -> None:
    # Matrix products of 64 rows: eight times the rows are nowhere near the same time.
    found = profile(
        wide_chain, shapes={"x": (64, 1024)}, cuts=[2], batches=[8], repeats=5, cache=tmp_path
    )
    (batch,) = found.batches
    assert batch.whole.cpu_seconds > 3 * found.whole.cpu_seconds


def test_sizes_are_stored_one_by_one_and_compared_once(chain: Path, tmp_path: Path) -> None:
    def measured(batches: list[int], *, fresh: bool = False) -> tuple[Profile, Watcher]:
        watcher = Watcher()
        found = profile(
            chain,
            cuts=[4],
            batches=batches,
            repeats=2,
            cache=tmp_path,
            fresh=fresh,
            on_progress=watcher,
        )
        return found, watcher

    first, watcher = measured([2])
    assert [m for m in watcher.messages("prepare") if "one by one" in m]
    again, watcher = measured([2])
    assert replace(again, created=first.created) == first
    assert not watcher.messages("measure")
    assert not [m for m in watcher.messages("prepare") if "one by one" in m]
    assert watcher.messages("reuse")[1].startswith("batch 2: reused 3 of 3 spans")
    more, watcher = measured([2, 3])
    assert more.batches[0] == first.batches[0]
    assert all(line.startswith("batch 3: ") for line in watcher.messages("measure"))
    alone, watcher = measured([])
    assert alone.batches == ()
    assert not watcher.messages("measure"), "single requests have a key of their own"
    _, watcher = measured([2], fresh=True)
    assert not watcher.messages("reuse")


def test_an_interrupted_batch_size_is_taken_up_again(chain: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def listen(progress: ProfileProgress) -> None:
        if progress.message.startswith("batch 2: timing"):
            stop.set()

    settings = {"cuts": [4], "batches": [2], "repeats": 2, "cache": tmp_path}
    with pytest.raises(InterruptedRunError, match="interrupted: 3 of 6 spans are measured"):
        profile(chain, **settings, on_progress=listen, stop=stop)  # type: ignore[arg-type]
    watcher = Watcher()
    found = profile(chain, **settings, on_progress=watcher)  # type: ignore[arg-type]
    assert len(found.batches) == 1
    assert watcher.messages("reuse")[0].startswith("reused 3 of 3 spans")


def test_a_size_that_the_file_fixes_is_multiplied(tmp_path: Path) -> None:
    path = save(
        tmp_path / "fixed.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Tanh", ["m"], ["y"]),
        ],
        {"x": [3, 8]},
        {"w": weight(8, 8)},
    )
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert [batch.requests for batch in found.batches] == [2]


def test_requests_that_change_each_other_are_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "mixing.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("ReduceMean", ["m"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["m", "mean"], ["y"]),
        ],
        {"x": ["tokens", 8]},
        {"w": weight(8, 8)},
    )
    watcher = Watcher()
    found = profile(
        path, shapes={"x": (5, 8)}, batches=[2, 3], repeats=2, cache=tmp_path / "cache",
        on_progress=watcher,
    )  # fmt: skip
    assert found.whole.runs >= 2
    assert not found.batches
    assert sorted(reasons(found)) == [2, 3]
    assert "mixing.onnx: with 2 requests its output 'y' is off by " in reasons(found)[2]
    assert "requests of one job change each other" in reasons(found)[2]
    assert "leave this batch size out" in reasons(found)[2]
    assert len(watcher.messages("refuse")) == 2
    last = watcher.told[-1]
    assert (last.stage, last.done) == ("done", last.total)


def test_a_transposed_batch_is_refused(tmp_path: Path) -> None:
    # Right sizes, right numbers, wrong places: requests interleave in the output.
    path = save(
        tmp_path / "interleaved.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Transpose", ["m"], ["t"], perm=[1, 0]),
            helper.make_node("Reshape", ["t", "flat"], ["y"]),
        ],
        {"x": ["n", 8]},
        {"w": weight(8, 8), "flat": np.array([-1, 8], dtype=np.int64)},
    )
    two = {"x": (2, 8)}
    found = profile(path, shapes=two, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert "is off by" in reasons(found)[2]
    # With one row neither moves anything, and ONNX Runtime drops both.
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert "with 2 requests it folds to other nodes (3, 1 for a single one)" in reasons(found)[2]


def test_an_output_without_a_batch_is_refused(tmp_path: Path) -> None:
    path = save(
        tmp_path / "sum.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("ReduceSum", ["m"], ["y"], keepdims=0),
        ],
        {"x": ["n", 8]},
        {"w": weight(8, 8)},
        [],
    )
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert "'y' has other sizes than those of the single requests stacked" in reasons(found)[2]


def test_a_reshape_to_constant_sizes_is_named(tmp_path: Path) -> None:
    path = save(
        tmp_path / "baked.onnx",
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Reshape", ["r", "sizes"], ["flat"], name="flatten"),
            helper.make_node("MatMul", ["flat", "w"], ["y"]),
        ],
        {"x": [1, 2, 4]},
        {"w": weight(8, 8), "sizes": np.array([1, 8], dtype=np.int64)},
    )
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert reasons(found)[2].startswith(
        "baked.onnx: its node 'flatten' reshapes to 1×8, whatever the number of requests"
    )


def test_inputs_that_cannot_be_stacked_are_all_named(tmp_path: Path) -> None:
    path = save(
        tmp_path / "state.onnx",
        [
            helper.make_node("Mul", ["x", "gain"], ["loud"]),
            helper.make_node("ReduceSum", ["state", "first"], ["summed"], keepdims=0),
            helper.make_node("Add", ["loud", "summed"], ["y"]),
        ],
        {"x": [None, 8], "state": [2, None, 8], "gain": []},
        {"first": np.array([0], dtype=np.int64)},
    )
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert "the first size of the input 'state' (2×?×8)" in reasons(found)[2]
    assert "'gain' is a single number for all requests" in reasons(found)[2]


def test_what_does_not_run_is_refused(branches: Path, tmp_path: Path) -> None:
    found = profile(branches, batches=[2], max_cuts=1, repeats=2, cache=tmp_path)
    assert found.positions
    assert reasons(found)[2].startswith("branches.onnx: ")


def test_an_output_that_never_varies_proves_nothing(tmp_path: Path) -> None:
    path = save(
        tmp_path / "constant.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Relu", ["m"], ["r"]),
            helper.make_node("Mul", ["r", "zero"], ["y"]),
        ],
        {"x": ["n", 8]},
        {"w": weight(8, 8), "zero": np.zeros((1, 8), dtype=np.float32)},
    )
    found = profile(path, batches=[2], repeats=2, cache=tmp_path / "cache")
    assert "makes the same of every random request" in reasons(found)[2]


def test_a_value_that_grows_faster_than_the_batch_is_refused(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(*args: object, **options: object) -> Prepared:
        made = real(*args, **options)  # type: ignore[arg-type]
        wide = replace(made.graph.values[2], bytes=10**6)
        values = (*made.graph.values[:2], wide, *made.graph.values[3:])
        return replace(made, graph=replace(made.graph, values=values))

    real = columns.prepare
    monkeypatch.setattr(columns, "prepare", prepare)
    found = profile(chain, batches=[2], max_cuts=0, repeats=2, cache=tmp_path)
    assert "more than 2 times the 128" in reasons(found)[2]


def test_a_limit_that_a_job_meets_refuses_that_size_only(chain: Path, tmp_path: Path) -> None:
    found = profile(
        chain,
        shapes={"x": (20_000, 32)},
        batches=[2, 1024],
        max_cuts=0,
        repeats=2,
        cache=tmp_path,
    )
    assert [batch.requests for batch in found.batches] == [2]
    assert "would take 2.44 GiB; at most 2 GiB" in reasons(found)[1024]


@pytest.mark.parametrize("batches", [[0], [-2], [2, 5000]])
def test_senseless_sizes_are_refused(chain: Path, batches: list[int]) -> None:
    with pytest.raises(InputError, match="batches: must be numbers of requests from 1 to 1024"):
        profile(chain, batches=batches)


def test_example_networks(zoo: Callable[[str], Path], tmp_path: Path) -> None:
    def found(name: str) -> Profile:
        return profile(zoo(name), max_cuts=0, batches=[2], repeats=2, warmup=1, cache=tmp_path)

    assert [batch.requests for batch in found("squeezenet").batches] == [2]
    assert [batch.requests for batch in found("minilm").batches] == [2]
    assert "'state' (2×?×128)" in reasons(found("silero_vad"))[2]
