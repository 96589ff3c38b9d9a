"""Plans of tiny networks, executed over loopback; and every way in which that can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from edgeplan.execution import controller as controller_module
from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.run import run
from edgeplan.execution.transport import listen
from edgeplan.execution.worker import serve
from edgeplan.model.errors import ExecutionError, InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LayerCosts
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Privacy, Problem

Make = Callable[..., Problem]
Spread = Callable[..., Plan]
Sources = Mapping[str, OnnxSource]
TOKEN = "correct horse battery staple"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Temporary files go here; after every test there are none, and no child process."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = set(psutil.Process().children(recursive=True))  # other tests' helpers
    yield folder
    assert set(psutil.Process().children(recursive=True)) <= before
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "pattern"),
    [
        ("chain", "a"),
        ("chain", "b"),
        ("chain", "abab"),
        ("chain", "abca"),
        ("skip", "aabb"),
        ("skip", "abbca"),
        ("ends", "ab"),
        ("ends", "babc"),
    ],
)
def test_parts_equal_the_whole_and_transfers_are_the_evaluators(
    network: str, pattern: str, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem(network)
    plan = spread(instance, pattern)
    report = run(instance, plan, sources, requests=4, warmup=1)
    (stream,) = report.streams
    (route,) = stream.routes
    assert stream.strict_equal
    assert stream.deployed_max_error <= 1e-6
    price = route_price(instance, instance.streams[0], plan.routes[stream.name][0])
    assert [(t.source, t.target, t.tensors, t.bytes) for t in route.transfers] == [
        (t.source, t.target, t.tensors, t.bytes) for t in price.transfers
    ]
    assert [(s.device, s.first, s.stop) for s in route.stages] == [
        (s.device, s.first, s.stop) for s in price.stages
    ]
    for transfer in route.transfers:
        # Never quicker than the emulated link.
        assert transfer.measured.median_seconds >= transfer.predicted_seconds - 1e-6
    assert stream.predicted_seconds == evaluate(instance, plan).latency_seconds


def test_streams_share_devices_and_splittable_ones_have_several_routes(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain", "ends", splittable=True)
    report = run(instance, spread(instance, "ab", "ca"), sources, requests=2, warmup=1)
    assert [stream.name for stream in report.streams] == ["on-chain", "on-ends"]
    for stream in report.streams:
        assert len(stream.routes) == 2
        assert stream.strict_equal
        assert stream.deployed_max_error <= 1e-6
        medians = [route.measured.median_seconds for route in stream.routes]
        assert stream.measured_seconds == pytest.approx(sum(medians) / 2)
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert content["requests"] == 2
    for item in content["streams"]:
        assert set(item) >= {
            "name", "predicted_seconds", "measured_seconds", "relative_error", "strict_equal",
            "deployed_max_error", "stages",
        }  # fmt: skip
        for stage in item["stages"]:
            assert set(stage) >= {
                "device", "predicted_seconds", "measured_seconds", "cpu_seconds"
            }  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "returns"), [("ab", True), ("bc", True), ("ab", False), ("c", False)]
)
def test_inputs_may_lie_elsewhere_and_results_may_stay(
    pattern: str, returns: bool, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("ends", homes={"z": "c"}, returns=returns)
    plan = spread(instance, pattern)
    (stream,) = run(instance, plan, sources, requests=1, warmup=0).streams
    price = route_price(instance, instance.streams[0], plan.routes[stream.name][0])
    (route,) = stream.routes
    assert [(t.source, t.target, t.tensors) for t in route.transfers] == [
        (t.source, t.target, t.tensors) for t in price.transfers
    ]
    assert stream.strict_equal
    assert stream.deployed_max_error <= 1e-6
    # Every step of the request was timed: they add up to no more than the whole.
    steps = sum(stage.wall.median_seconds for stage in route.stages)
    steps += sum(transfer.measured.median_seconds for transfer in route.transfers)
    assert steps <= route.measured.median_seconds


def test_a_stage_may_be_held_to_what_was_predicted_or_to_a_multiple(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    network = instance.networks[0]
    slow = LayerCosts(seconds=(0.004,) * len(network.layers))
    network = replace(network, costs={"a": slow, "b": slow})
    instance = replace(instance, networks=(network,))
    plan = spread(instance, "ab")
    (stream,) = run(instance, plan, sources, requests=2, warmup=0, slow_down=True).streams
    for stage in stream.routes[0].stages:
        assert stage.emulated
        assert stage.wall.median_seconds >= stage.predicted_seconds
        assert stage.cpu.median_seconds < stage.predicted_seconds
    (stream,) = run(instance, plan, sources, requests=2, warmup=0, slow_down={"b": 50.0}).streams
    first, second = stream.routes[0].stages
    assert not first.emulated
    assert second.emulated
    assert second.wall.median_seconds > 20 * second.cpu.median_seconds


def test_without_emulation_the_real_link_is_what_it_is(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    # Longer, too, than what the controller may wait for at once.
    instance = problem("chain", latency_seconds=1e6)
    report = run(
        instance, spread(instance, "aba"), sources, requests=2, warmup=0, emulate_links=False
    )
    (stream,) = report.streams
    assert not report.links_emulated
    assert stream.predicted_seconds > 2e6
    assert stream.measured_seconds < 60
    assert not any(transfer.emulated for transfer in stream.routes[0].transfers)


def test_workers_whose_clocks_differ_are_synchronised(
    problem: Make, spread: Spread, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller_module, "clock_identity", lambda: "")
    instance = problem("chain", latency_seconds=0.02)
    (stream,) = run(instance, spread(instance, "ab"), sources, requests=3, warmup=0).streams
    for transfer in stream.routes[0].transfers:
        assert transfer.measured.median_seconds >= transfer.predicted_seconds - 0.005


def test_progress_is_told_and_a_stop_keeps_what_was_measured(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    plan = spread(instance, "ab")
    seen: list[tuple[str, int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        seen.append((what, done, total))

    report = run(
        instance,
        plan,
        sources,
        requests=50,
        on_progress=progress,
        stop=lambda: sum(what.startswith("running") for what, _, _ in seen) >= 3,
    )
    assert report.streams[0].routes[0].requests == 3
    assert seen[0][0] == "splitting"
    assert seen[-1][0] == "done"
    with pytest.raises(InterruptedRunError):
        run(instance, plan, sources, stop=lambda: True)


def test_a_plan_that_needs_a_missing_link_cannot_run(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain", links=[("a", "b")])
    with pytest.raises(InputError, match="there is no link b->a"):
        run(instance, spread(instance, "ab"), sources)


def test_a_plan_that_breaks_a_privacy_rule_is_not_run(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    devices = [replace(d, zone="home" if d.name == "a" else "away") for d in instance.devices]
    stream = replace(instance.streams[0], privacy=Privacy(zones=("home",)))
    instance = replace(instance, devices=tuple(devices), streams=(stream,))
    with pytest.raises(InputError, match=r"tensor 'x' enters 'b' in zone 'away'") as caught:
        run(instance, spread(instance, "b"), sources)
    assert [fault.place for fault in caught.value.faults] == ["routes.on-chain"]


def test_numbers_out_of_range_are_refused_together(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    with pytest.raises(InputError) as caught:
        run(instance, spread(instance, "a"), sources, requests=0, warmup=-1, threads=0)
    assert [fault.place for fault in caught.value.faults] == ["requests", "warmup", "threads"]
    with pytest.raises(InputError, match=r"slow_down\.nobody"):
        run(instance, spread(instance, "a"), sources, slow_down={"nobody": 2.0, "a": -1.0})


def test_a_file_that_is_not_the_profiled_one_is_refused(
    problem: Make, spread: Spread, sources: Sources, tmp_path: Path
) -> None:
    instance = problem("chain")
    plan = spread(instance, "ab")
    other = {"chain": replace(sources["chain"], path=sources["skip"].path)}
    with pytest.raises(InputError, match="wrong model hash"):
        run(instance, plan, other)
    unknown = {"chain": replace(sources["skip"], sha256="")}
    with pytest.raises(InputError, match="has no tensor"):
        run(instance, plan, unknown)
    with pytest.raises(InputError, match="there is no ONNX file"):
        run(instance, plan, {})
    with pytest.raises(InputError, match=r"there is no file 'gone\.onnx'"):
        run(instance, plan, {"chain": OnnxSource(path=str(tmp_path / "gone.onnx"))})


def _is_worker(process: psutil.Process) -> bool:
    return any("local_main" in argument for argument in process.cmdline())


@pytest.mark.parametrize("moment", ["comparing bit by bit", "running on-chain"])
def test_a_worker_that_dies_is_told_and_nothing_stays(
    moment: str, problem: Make, spread: Spread, sources: Sources
) -> None:
    killed: list[int] = []

    def kill(what: str, done: int, total: int) -> None:
        if what == moment and not killed:
            # The second worker stands for device b.
            found = (child for child in psutil.Process().children() if _is_worker(child))
            children = sorted(found, key=lambda child: (child.create_time(), child.pid))
            killed.append(children[1].pid)
            os.kill(killed[0], signal.SIGKILL)

    instance = problem("chain")
    with pytest.raises(ExecutionError, match="the worker of 'b' died: killed by SIGKILL"):
        run(instance, spread(instance, "ab"), sources, on_progress=kill)


def test_a_worker_that_cannot_be_reached_is_told(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    gone = WorkerAddress(host="127.0.0.1", port=port, token=TOKEN)
    instance = problem("chain")
    with pytest.raises(ExecutionError, match="cannot reach 127"):
        run(instance, spread(instance, "ab"), sources, workers={"b": gone})
    with pytest.raises(InputError, match="the instance has no such device"):
        run(instance, spread(instance, "ab"), sources, workers={"d": gone})


class Elsewhere:
    """A worker as the command line starts it, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        token_file = folder / "token"
        token_file.write_text(TOKEN + "\n")
        code = (
            "import sys; from pathlib import Path; from edgeplan.execution.worker import serve;"
            "serve('127.0.0.1:0', Path(sys.argv[1]),"
            " announce=lambda line: print(line, flush=True))"
        )
        self.folder = folder / "temporary"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(token_file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.folder)},
        )
        assert self.process.stdout is not None
        listening = json.loads(self.process.stdout.readline())["listening"]
        self.address = WorkerAddress(
            host="127.0.0.1", port=int(listening.rpartition(":")[2]), token=TOKEN
        )

    def end(self, number: int) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    worker = Elsewhere(tmp_path)
    yield worker
    if worker.process.poll() is None:
        worker.end(signal.SIGTERM)
    assert list(worker.folder.iterdir()) == []


def test_a_worker_that_listens_already_takes_part_again_and_again(
    elsewhere: Elsewhere, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("skip")
    for _ in range(2):
        report = run(
            instance,
            spread(instance, "abca"),
            sources,
            requests=2,
            warmup=0,
            workers={"b": elsewhere.address},
        )
        (stream,) = report.streams
        assert stream.strict_equal
        # Its links are what they are; those between processes of this machine are emulated.
        for transfer in stream.routes[0].transfers:
            local = "b" not in (transfer.source, transfer.target)
            assert transfer.emulated == local
            if local:
                assert transfer.measured.median_seconds >= transfer.predicted_seconds - 1e-6
    assert elsewhere.end(signal.SIGTERM)[0] == 128 + signal.SIGTERM


def test_a_wrong_token_is_told_and_the_worker_stays(
    elsewhere: Elsewhere, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    wrong = replace(elsewhere.address, token="a wrong but long token")
    with pytest.raises(ExecutionError, match=r"the worker of 'b' .* the token is wrong"):
        run(instance, spread(instance, "ab"), sources, workers={"b": wrong})
    right = {"b": elsewhere.address}
    run(instance, spread(instance, "ab"), sources, requests=1, warmup=0, workers=right)


def test_a_remote_worker_that_dies_is_told(
    elsewhere: Elsewhere, problem: Make, spread: Spread, sources: Sources
) -> None:
    def kill(what: str, done: int, total: int) -> None:
        if what.startswith("running") and done == 2:
            elsewhere.end(signal.SIGTERM)

    instance = problem("chain")
    with pytest.raises(ExecutionError, match="the worker of 'b' at 127"):
        run(
            instance,
            spread(instance, "ab"),
            sources,
            workers={"b": elsewhere.address},
            on_progress=kill,
        )


def test_ctrl_c_ends_a_worker_and_removes_its_folder(elsewhere: Elsewhere) -> None:
    code, errors = elsewhere.end(signal.SIGINT)
    assert code != 0
    assert "KeyboardInterrupt" in errors


def test_what_a_worker_is_started_with_is_checked(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    with pytest.raises(InputError, match="--token-file: cannot be read"):
        serve("127.0.0.1:0", token_file, announce=print)
    token_file.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="--token-file: is not text"):
        serve("127.0.0.1:0", token_file, announce=print)
    token_file.write_text(TOKEN)
    with pytest.raises(InputError, match="--listen"):
        serve("nowhere", token_file, announce=print)
    for mode, count in ((0o640, 1), (0o600, 0)):
        token_file.chmod(mode)
        told: list[str] = []
        stop = threading.Event()
        stop.set()
        serve("127.0.0.1:0", token_file, announce=print, stop=stop, warn=told.append)
        assert len(told) == count
        assert all("chmod 600" in line for line in told)
    with (
        listen("127.0.0.1", 0) as taken,
        pytest.raises(ExecutionError, match="is in use"),
    ):
        serve(f"127.0.0.1:{taken.getsockname()[1]}", token_file, announce=print)


_CONTROLLER = """
import sys
from edgeplan.execution.run import run
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.networks import prepare
from edgeplan.networks.grouping import group

path, folder = sys.argv[1:]
prepared = prepare(path, folder=folder)
layers, tensors = group(prepared.graph, [prepared.graph.cuts[0].position])
costs = LayerCosts(seconds=(1e-4,) * 2)
problem = Problem(
    networks=(Network("n", layers, tensors, {"a": costs, "b": costs}),),
    devices=(Device(name="a"), Device(name="b")),
    links=tuple(
        Link(source=s, target=t, latency_seconds=0.05, bytes_per_second=1e6)
        for s, t in ("ab", "ba")
    ),
    streams=(Stream(name="s", network="n", origin="a"),),
)
plan = Plan(routes={"s": (Route(devices=("a", "b")),)})
run(
    problem, plan, {"n": prepared.source}, requests=300,
    on_progress=lambda what, done, total: print(what, done, flush=True),
)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_controller(
    number: signal.Signals, sources: Sources, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", _CONTROLLER, sources["chain"].path, str(tmp_path / "folded")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("running"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 2
        process.send_signal(number)
        process.wait(30)
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
    deadline = time.monotonic() + 5
    while list(temporary.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(temporary.iterdir()) == []
