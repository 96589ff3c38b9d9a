"""Profiles of real runs: what they hold, what is reused, and how they end when they must."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from edgeplan.model.errors import InputError, InterruptedRunError, NetworkError
from edgeplan.model.network import Network
from edgeplan.model.profile import Profile
from edgeplan.networks import sandbox
from edgeplan.profiling import campaign, energy, tables, timing
from edgeplan.profiling.measure import profile
from edgeplan.profiling.progress import ProfileProgress
from edgeplan.profiling.samples import Samplings


class Watcher:
    """Collects what a profile tells."""

    def __init__(self) -> None:
        self.told: list[ProfileProgress] = []

    def __call__(self, progress: ProfileProgress) -> None:
        self.told.append(progress)

    def messages(self, stage: str) -> list[str]:
        return [progress.message for progress in self.told if progress.stage == stage]


def _children():
    """Return this process's children, but for helpers of worker pools that other tests left."""
    return [
        child
        for child in psutil.Process().children()
        if "resource_tracker" not in " ".join(child.cmdline())
    ]


def check(found: Profile) -> None:
    """What holds for every measured profile."""
    count = len(found.layers)
    assert count == len(found.positions) + 1
    assert [len(row) for row in found.spans] == list(range(count, 0, -1))
    for value in (found.whole, *(value for row in found.spans for value in row)):
        assert value.runs >= 2
        assert value.median_seconds > 0
        assert value.cv2 >= 0
        assert value.mad_seconds >= 0
        assert value.basis == "measured"
    assert found.boundary_seconds >= 0
    assert found.basis == "measured"
    assert len(found.sha256) == 64
    assert found.machine.onnxruntime
    assert found.machine.threads == 1
    network = Network(found.network, found.layers, found.tensors, {"here": found.costs()})
    assert network.form == "spans"
    assert sum(layer.weight_bytes for layer in found.layers) > 0


def test_a_chain_is_cut_and_every_span_is_timed(chain: Path, tmp_path: Path) -> None:
    watcher = Watcher()
    found = profile(chain, max_cuts=3, repeats=3, cache=tmp_path, on_progress=watcher)
    check(found)
    assert (found.network, found.onnx, found.device) == ("chain", "chain.onnx", "this-machine")
    assert found.shapes == (("x", (1, 32)),)
    assert 1 <= len(found.positions) <= 3
    assert found.graph.parameters == 5 * 32 * 32
    assert found.energy_basis in ("rapl", "power-model")
    total = len(found.layers) * (len(found.layers) + 1) // 2
    assert watcher.told[-1] == ProfileProgress(
        stage="done", done=total, total=total, message="every span is known"
    )
    assert not watcher.messages("reuse")
    assert {path.suffix for path in tmp_path.iterdir()} <= {".records", ".lock"}


def test_branches_and_a_forwarded_input(branches: Path, tmp_path: Path) -> None:
    found = profile(branches, max_cuts=6, repeats=2, cache=tmp_path, name="two ways")
    check(found)
    assert found.network == "two ways"
    mask = next(tensor for tensor in found.tensors if tensor.name == "mask")
    assert (mask.producer, mask.consumers) == (None, (len(found.layers) - 1,))


def test_named_cuts_are_taken_and_wrong_ones_refused(branches: Path, tmp_path: Path) -> None:
    found = profile(branches, cuts=[5, 1], repeats=2, cache=tmp_path)
    assert found.positions == (1, 5)
    with pytest.raises(InputError, match=r"cuts\[1\]: position 99 cannot be cut"):
        profile(branches, cuts=[1, 99], repeats=2, cache=tmp_path)


def test_a_profile_like_another_has_its_cuts_and_shapes(chain: Path, tmp_path: Path) -> None:
    first = profile(chain, shapes={"x": (3, 32)}, cuts=[2, 7], repeats=2, cache=tmp_path / "one")
    other = profile(chain, like=first, max_cuts=1, repeats=2, cache=tmp_path / "two")
    assert other.positions == (2, 7)
    for same in ("sha256", "shapes", "layers", "tensors"):
        assert getattr(other, same) == getattr(first, same)
    whole = profile(chain, max_cuts=0, repeats=2, cache=tmp_path)
    assert profile(chain, like=whole, repeats=2, cache=tmp_path).positions == ()


def test_a_profile_like_one_of_something_else_is_refused(
    chain: Path, branches: Path, tmp_path: Path
) -> None:
    first = profile(chain, cuts=[2, 7], repeats=2, cache=tmp_path)
    with pytest.raises(InputError, match="leave one of the two out"):
        profile(chain, like=first, cuts=[1], cache=tmp_path)
    with pytest.raises(InputError, match=r"shape x: .* measured with 1,32: leave the shape out"):
        profile(chain, like=first, shapes={"x": (2, 32)}, cache=tmp_path)
    with pytest.raises(InputError, match=r"cuts: .* another file \(chain.onnx"):
        profile(branches, like=replace(first, shapes=()), cache=tmp_path)
    merged = replace(first, layers=(replace(first.layers[0], name="old"), *first.layers[1:]))
    with pytest.raises(InputError, match="install the same versions"):
        profile(chain, like=merged, cache=tmp_path)


def test_no_cuts_make_one_layer(chain: Path, tmp_path: Path) -> None:
    found = profile(chain, max_cuts=0, repeats=2, cache=tmp_path)
    check(found)
    assert (len(found.layers), found.boundary_seconds) == (1, 0.0)


def test_the_second_run_measures_nothing_and_says_so_in_one_line(
    chain: Path, tmp_path: Path
) -> None:
    first = profile(chain, max_cuts=2, repeats=2, cache=tmp_path)
    watcher = Watcher()
    again = profile(chain, max_cuts=2, repeats=2, cache=tmp_path, on_progress=watcher)
    assert replace(again, created=first.created) == first
    (line,) = watcher.messages("reuse")
    assert line.startswith("reused 6 of 6 spans measured on 20")
    assert "key " in line
    assert "\n" not in line
    assert not watcher.messages("measure")


def test_fresh_measures_again(chain: Path, tmp_path: Path) -> None:
    profile(chain, max_cuts=0, repeats=2, cache=tmp_path)
    watcher = Watcher()
    profile(chain, max_cuts=0, repeats=2, cache=tmp_path, fresh=True, on_progress=watcher)
    assert not watcher.messages("reuse")
    assert watcher.messages("measure")


def begin(path: Path, **settings: object) -> Watcher:
    """Profile up to where measuring would begin, and return what was told."""
    watcher = Watcher()
    stop = threading.Event()

    def listen(progress: ProfileProgress) -> None:
        watcher(progress)
        if progress.stage == "measure":
            stop.set()

    with pytest.raises(InterruptedRunError):
        profile(path, **settings, on_progress=listen, stop=stop)  # type: ignore[arg-type]
    return watcher


def test_other_settings_and_other_networks_are_other_keys(chain: Path, tmp_path: Path) -> None:
    settings = {"max_cuts": 0, "repeats": 2, "cache": tmp_path}
    profile(chain, **settings)  # type: ignore[arg-type]  # options vary by case
    changes: list[dict[str, object]] = [
        {"repeats": 3},
        {"shapes": {"x": (2, 32)}},
        {"device": "other"},
        {"threads": 2},
        {"max_cuts": 1},
    ]
    for change in changes:
        assert not begin(chain, **{**settings, **change}).messages("reuse"), change
    model = onnx.load(chain)
    data = bytearray(model.graph.initializer[0].raw_data)
    data[0] ^= 1  # one bit of one weight
    model.graph.initializer[0].raw_data = bytes(data)
    other = tmp_path / chain.name
    onnx.save(model, other)
    assert not begin(other, **settings).messages("reuse")


def test_a_store_cut_off_anywhere_still_gives_a_profile(chain: Path, tmp_path: Path) -> None:
    profile(chain, max_cuts=0, repeats=2, cache=tmp_path)
    (path,) = tmp_path.glob("*.records")
    data = path.read_bytes()
    for size in (len(data) - 1, len(data) * 2 // 3, 5):
        path.write_bytes(data[:size])
        check(profile(chain, max_cuts=0, repeats=2, cache=tmp_path))


def test_records_that_make_no_sense_are_left_out() -> None:
    found = Samplings()
    found.take({"kind": "runs", "items": [[0, 1, [0.1], [0.1], None]], "created": "2026-01-01T"})
    for items in (
        None,
        7,
        [None],
        [[0, 1, [], [], None]],
        [[0, 1, [0.1], [0.1, 0.2], None]],
        [[0, 1, [-0.1], [0.1], None]],
        [[0, 1, [float("nan")], [0.1], None]],
        [[0, 1, ["x"], [0.1], None]],
        [[0, True, [0.1], [0.1], None]],
        [[0, 1, [0.1], [0.1], "much"]],
    ):
        found.take({"kind": "runs", "items": items, "disturbed": "x"})
    assert list(found.spans) == [(0, 1)]
    assert found.spans[0, 1].wall == [0.1]
    assert found.disturbed == 0


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"max_cuts": -1}, "max_cuts"),
        ({"threads": 0}, "threads"),
        ({"repeats": 0}, "repeats"),
        ({"budget_seconds": 0.0}, "budget_seconds"),
        ({"warmup": -1}, "warmup"),
        ({"memory_bytes": 0}, "memory_bytes"),
        ({"seconds": float("nan")}, "seconds"),
    ],
)
def test_senseless_settings_are_refused(
    chain: Path, settings: dict[str, object], place: str
) -> None:
    with pytest.raises(InputError) as error:
        profile(chain, **settings)  # type: ignore[arg-type]  # options vary by case
    assert [fault.place for fault in error.value.faults] == [place]


def test_an_unknown_provider_is_the_users_fault(chain: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="provider: there is no 'NoSuchProvider'"):
        profile(chain, provider="NoSuchProvider", repeats=2, cache=tmp_path)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"\x00\x01 not a network")
    with pytest.raises(NetworkError):
        profile(path, cache=tmp_path)


def test_many_spans_are_interpolated_and_labelled(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MOST_SPANS", 10)
    found = profile(chain, cuts=[2, 4, 6, 8], repeats=2, cache=tmp_path)
    bases = [[value.basis for value in row] for row in found.spans]
    for first, row in enumerate(bases):
        for entry, basis in enumerate(row):
            ran = entry == 0 or first == 0 or first + entry + 1 == 5
            assert basis == ("measured" if ran else "interpolated")
    assert "12 of 15 spans" in found.basis_detail
    assert "interpolated" in found.basis_detail


def test_a_small_budget_means_fewer_runs(wide_chain: Path, tmp_path: Path) -> None:
    watcher = Watcher()

    def runs(budget: float) -> list[int]:
        found = profile(
            wide_chain,
            shapes={"x": (128, 1024)},
            cuts=[2],
            repeats=20,
            budget_seconds=budget,
            cache=tmp_path,
            on_progress=watcher,
        )
        return [value.runs for row in found.spans for value in row]

    assert min(runs(60.0)) >= 20
    little = runs(0.01)
    assert min(little) >= 5
    assert max(little) < 20
    watcher.told.clear()
    assert runs(0.01) == little
    assert not watcher.messages("measure"), "what was kept is enough the second time too"


def test_energy_counters_give_a_table_of_joules(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = tmp_path / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text("12345\n")  # stands still: every run takes nothing
    (zone / "max_energy_range_uj").write_text("1000000\n")
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")
    found = profile(chain, cuts=[5], repeats=2, cache=tmp_path / "cache")
    assert found.energy_basis == "rapl"
    assert found.joules == ((0.0, 0.0), (0.0,))
    assert "RAPL counters of the whole package" in found.basis_detail


def test_a_crash_in_the_child_is_a_typed_error_and_leaves_nothing(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The runtime dies in the middle of measuring: what was reported before is kept.
    hook = tmp_path / "hook"
    hook.mkdir()
    monkeypatch.setattr(campaign, "_MEASURE", "crashing_timing:measure")
    (hook / "crashing_timing.py").write_text(
        "import os, signal\n"
        "from edgeplan.networks import sandbox\n"
        "def measure(**job):\n"
        "    sandbox.report({'event': 'runs', 'sitting': 0, 'disturbed': 0,\n"
        "                    'items': [[0, 1, [0.1] * 9, [0.1] * 9, None]]})\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.syspath_prepend(hook)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(NetworkError, match=r"chain\.onnx: crashed the runtime \(SIGSEGV\)"):
        profile(chain, cuts=[5], repeats=2, cache=tmp_path / "cache")
    assert list(temporary.iterdir()) == []
    assert not _children()
    monkeypatch.undo()
    watcher = Watcher()
    found = profile(chain, cuts=[5], repeats=2, cache=tmp_path / "cache", on_progress=watcher)
    assert watcher.messages("reuse")[0].startswith("reused 1 of 3 spans")
    assert found.spans[0][0].median_seconds == 0.1


def test_a_first_run_that_fails_names_the_sizes_that_were_chosen(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "_MEASURE", "no_such_module:measure")
    with pytest.raises(NetworkError, match=r"taken as x=1,32; give others with --shape x=…"):
        profile(chain, max_cuts=0, repeats=2, cache=tmp_path)
    with pytest.raises(NetworkError) as error:
        profile(chain, shapes={"x": (1, 32)}, max_cuts=0, repeats=2, cache=tmp_path)
    assert "--shape" not in str(error.value)


def endless(path: Path) -> Path:
    """Write a network whose loop does not end before the sun does."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes_on"]),
            helper.make_node("Sin", ["before"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [4]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [4]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)],
        "endless",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]),
            helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def test_a_network_that_does_not_end_is_stopped(tmp_path: Path) -> None:
    path = endless(tmp_path / "endless.onnx")
    with pytest.raises(NetworkError, match=r"endless\.onnx: .*took longer than 3 s"):
        profile(path, seconds=3.0, repeats=2, cache=tmp_path / "cache")
    assert not _children()


def test_the_measuring_process_says_when_an_inference_is_late(tmp_path: Path) -> None:
    path = endless(tmp_path / "endless.onnx")
    said: list[object] = []

    def listen(data: object) -> None:
        assert isinstance(data, dict)
        if data["event"] == "late":
            said.append(data["what"])
            raise KeyboardInterrupt

    effort = timing.Effort(repeats=1, least=1, warmup=1, part_seconds=1.0, short_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        sandbox.call(
            "edgeplan.profiling.timing:measure",
            seconds=60.0,
            on_report=listen,
            folded=path,
            original=path,
            folder=tmp_path,
            parts=[],
            sittings=[[timing.ORIGINAL]],
            requests=1,
            inputs=[["x", "float32", [4]], ["yes", "bool", []]],
            effort=asdict(effort),
            threads=1,
            provider="CPUExecutionProvider",
            run_seconds=0.5,
            open_seconds=30.0,
            powercap=tmp_path,
        )
    assert said == ["one inference"]


def test_a_network_that_exceeds_its_memory_is_refused(chain: Path, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"GiB|allocate"):
        profile(
            chain,
            shapes={"x": (600_000, 32)},
            memory_bytes=500 * 2**20,
            repeats=2,
            cache=tmp_path,
        )


def test_a_stop_event_keeps_what_was_measured(chain: Path, tmp_path: Path) -> None:
    stop = threading.Event()

    def stop_early(progress: ProfileProgress) -> None:
        if progress.stage == "measure" and "runs of" in progress.message:
            stop.set()

    settings = {"cuts": [2, 4, 6], "repeats": 20_000, "cache": tmp_path}
    with pytest.raises(InterruptedRunError, match=r"kept.*the same command goes on from there"):
        profile(chain, **settings, on_progress=stop_early, stop=stop)  # type: ignore[arg-type]
    assert not _children()
    with pytest.raises(InterruptedRunError, match="interrupted before any span was measured"):
        profile(chain, cuts=[2], repeats=3, cache=tmp_path, stop=stop)


SCRIPT = """
import sys
from pathlib import Path
from edgeplan.model.errors import InterruptedRunError
from edgeplan.profiling.measure import profile

def say(progress):
    print(progress.stage, progress.message, flush=True)

try:
    profile(Path(sys.argv[1]), cuts=[5], repeats=int(sys.argv[3]),
            cache=Path(sys.argv[2]), on_progress=say)
except InterruptedRunError as error:
    print("ENDED", error, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_taken_up_again(
    chain: Path, tmp_path: Path, number: signal.Signals
) -> None:
    repeats = 30_000  # takes seconds, so that the signal comes in the middle
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(chain), str(tmp_path), str(repeats)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "runs of" in line:
                break
        children = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, number)
        rest = process.stdout.read()
        process.wait(timeout=20)
    assert children
    psutil.wait_procs(children, timeout=10)
    assert not any(
        child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children
    )
    if number == signal.SIGINT:
        assert "ENDED interrupted: 3 of 3 spans are measured and kept" in rest
    watcher = Watcher()
    found = profile(chain, cuts=[5], repeats=repeats, cache=tmp_path, on_progress=watcher)
    check(found)
    (line,) = watcher.messages("reuse")
    assert line.startswith("reused 3 of 3 spans measured on 20")
    assert "in part" in line


def test_two_processes_share_one_measurement(chain: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(chain), str(tmp_path), "1000"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("done every span is known" in text for text in said)
    assert sum("reuse reused 3 of 3" in text for text in said) == 1
    assert sum("wait another process" in text for text in said) == 1


def test_effort_stops_when_enough_is_known() -> None:
    effort = timing.Effort(repeats=10, least=3, warmup=1, part_seconds=2.0, short_seconds=0.02)
    assert not effort.finished(9, 1.0)
    assert effort.finished(10, 1.0)
    assert effort.finished(3, 2.5)
    assert not effort.finished(2, 9.0)
    assert not effort.finished(99, 0.001)
    assert effort.finished(100, 0.001)


def test_silero_with_state_and_ifs_is_one_layer(zoo: Callable[[str], Path], tmp_path: Path) -> None:
    found = profile(zoo("silero_vad"), repeats=3, cache=tmp_path)
    check(found)
    assert not found.graph.single_cuts


def test_minilm_forwards_its_mask(zoo: Callable[[str], Path], tmp_path: Path) -> None:
    found = profile(zoo("minilm"), max_cuts=2, repeats=2, warmup=1, cache=tmp_path)
    check(found)
    assert len(found.positions) == 2
    forwarded = [tensor for tensor in found.tensors if tensor.producer is None]
    assert any(len(tensor.consumers) > 1 for tensor in forwarded)


def test_squeezenet_has_the_parameters_of_its_paper(
    zoo: Callable[[str], Path], tmp_path: Path
) -> None:
    found = profile(zoo("squeezenet"), max_cuts=3, repeats=2, cache=tmp_path)
    check(found)
    assert found.graph.parameters == 1_235_496
    assert len(found.positions) == 3
