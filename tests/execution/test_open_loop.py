"""Plans of tiny networks under load: what must hold however busy the machine is."""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from edgeplan.cli import app
from edgeplan.execution import open_loop as module
from edgeplan.execution.arrivals import arrivals
from edgeplan.execution.open_loop import run_open_loop, under_load
from edgeplan.execution.open_report import OpenLoopReport, ServedStage, ServedTransfer
from edgeplan.execution.run import run
from edgeplan.instances.instance import Instance
from edgeplan.instances.plans import write_plan
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import ExecutionError, InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LayerCosts
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Device, Problem

Make = Callable[..., Problem]
Spread = Callable[..., Plan]
Sources = Mapping[str, OnnxSource]
TICK = 1e-6


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


def slow(problem: Problem, seconds: float) -> Problem:
    """Return the problem with layers that take so long, everywhere."""
    networks = tuple(
        replace(
            network,
            costs=dict.fromkeys("abc", LayerCosts(seconds=(seconds,) * len(network.layers))),
        )
        for network in problem.networks
    )
    return replace(problem, networks=networks)


def stages(report: OpenLoopReport, stream: int = 0) -> list[ServedStage]:
    steps = itertools.chain(*(route.steps for route in report.streams[stream].routes))
    return [step for step in steps if isinstance(step, ServedStage)]


def first_come_first_served(times: Sequence[float], seconds: float) -> list[float]:
    """Return the latencies of requests that one server takes so long for (Lindley)."""
    free, found = 0.0, []
    for at in times:
        free = max(free, at) + seconds
        found.append(free - at)
    return found


def test_latencies_count_from_when_requests_were_due_and_include_the_queue(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    # The device is held 8 × 2.5 ms for each request, and one comes every 10 ms: they pile up.
    instance = slow(problem("chain"), 0.0025)
    plan = spread(instance, "a")
    report = run_open_loop(
        instance, plan, sources, requests=30, warmup=0, rate_per_second=100, seed=3, slow_down=True
    )
    (stream,) = report.streams
    loaded = under_load(instance, 100)
    due = [item.seconds for item in itertools.islice(arrivals(loaded, plan, 3), 30)]
    least = first_come_first_served(due, 0.02)
    found = stream.measured.seconds
    assert len(found) == stream.measured.requests == report.requests == 30
    # No machine is quicker than that, and a sender that waits for answers would show 20 ms.
    assert all(a >= b - TICK for a, b in zip(found, least, strict=True))
    assert max(least) > 0.1
    (stage,) = stages(report)
    assert stage.emulated
    assert stage.service_seconds >= 0.02
    assert stage.wait_seconds >= sum(least) / 30 - 0.02 - report.lag.max_seconds
    (device,) = report.devices
    assert device.predicted_utilisation == pytest.approx(2.0)
    # All the time, but for what a busy machine takes between two requests.
    assert device.utilisation > 0.6
    assert stream.predicted.mean_seconds == float("inf")
    assert any("busy all the time" in warning for warning in report.warnings)
    assert stream.as_json()["predicted"]["mean_seconds"] is None


def test_several_requests_are_under_way_along_different_stages(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    # 20 ms at either device and 20 ms on each of two links: at 40 requests a second no request
    # could be served alone, but each device is busy only 80 % of the time.
    instance = slow(problem("chain", latency_seconds=0.02, bytes_per_second=1e9), 0.005)
    plan = spread(instance, "ab")
    report = run_open_loop(
        instance, plan, sources, requests=60, warmup=5, rate_per_second=40, slow_down=True
    )
    (stream,) = report.streams
    moves = [step for step in stream.routes[0].steps if isinstance(step, ServedTransfer)]
    assert [(move.source, move.target) for move in moves] == [("a", "b"), ("b", "a")]
    for move in moves:
        assert move.emulated
        assert move.measured_seconds >= move.predicted_seconds - TICK
    assert min(stream.measured.seconds) >= 0.08 - TICK
    assert report.warmup == 5
    assert stream.strict_equal
    assert stream.compared > 0
    assert stream.deployed_max_error is not None
    assert stream.deployed_max_error <= 1e-6
    # Together the steps are what a request takes: the rest is lateness and passing on.
    steps = sum(stage.wait_seconds + stage.service_seconds for stage in stages(report))
    steps += sum(move.wait_seconds + move.measured_seconds for move in moves)
    assert steps <= stream.measured.mean_seconds + TICK


def test_tensors_queue_for_a_shared_link_and_not_for_one_without_contention(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    # 512 bytes take 51.2 ms of the link; one request comes every 20 ms.
    waits = {}
    for contention in ("shared", "none"):
        instance = slow(problem("chain", latency_seconds=0.0, bytes_per_second=1e4), 1e-6)
        links = tuple(replace(link, contention=contention) for link in instance.links)
        instance = replace(instance, links=links)
        report = run_open_loop(
            instance, spread(instance, "ab"), sources, requests=15, warmup=0, rate_per_second=50
        )
        steps = report.streams[0].routes[0].steps
        move = next(step for step in steps if isinstance(step, ServedTransfer))
        assert move.measured_seconds >= 0.0512 - TICK
        waits[contention] = move.wait_seconds
    assert waits["none"] == 0
    assert waits["shared"] > 0.1


def test_streams_and_routes_share_devices(problem: Make, spread: Spread, sources: Sources) -> None:
    instance = problem("chain", "ends", splittable=True, deadline_seconds=10.0)
    report = run_open_loop(
        instance, spread(instance, "ab", "ca"), sources, requests=80, rate_per_second=200, seed=2
    )
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    assert content["open_loop"] is True
    assert (content["requests"], content["warmup"]) == (80, 20)
    assert [item["name"] for item in content["streams"]] == ["on-chain", "on-ends"]
    assert sum(item["measured"]["requests"] for item in content["streams"]) == 80
    for item in content["streams"]:
        assert item["simulated"] is None
        assert item["strict_equal"] is True
        assert item["deployed_max_error"] <= 1e-6
        assert item["measured"]["slo_attainment"] == 1.0
        assert item["rate_per_second"] == 100.0
        counts = [route["requests"] for route in item["routes"]]
        assert len(counts) == 2
        assert min(counts) > 0
        assert sum(counts) == item["measured"]["requests"]
    assert {item["name"] for item in content["devices"]} == {"a", "b", "c"}
    for item in content["devices"]:
        assert 0 < item["measured"]["utilisation"] < 1
    played = {"on-ends": {"mean_seconds": 2.0, "p95": 4.0}}
    filled = report.as_json(played)["streams"]
    assert filled[0]["simulated"] is None
    assert filled[1]["simulated"] == played["on-ends"]
    mean = report.streams[1].measured.mean_seconds
    assert filled[1]["relative_errors"]["simulated"]["mean"] == pytest.approx(mean / 2 - 1)


@pytest.mark.parametrize(("pattern", "returns"), [("bc", True), ("ab", False), ("c", False)])
def test_inputs_may_lie_elsewhere_and_results_may_stay(
    pattern: str, returns: bool, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("ends", homes={"z": "c"}, returns=returns)
    report = run_open_loop(
        instance, spread(instance, pattern), sources, requests=10, warmup=0, rate_per_second=100
    )
    (stream,) = report.streams
    assert stream.compared == 10
    assert stream.deployed_max_error is not None
    assert stream.deployed_max_error <= 1e-6


def test_a_duration_measures_what_arrives_in_it(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain")
    plan = spread(instance, "a")
    report = run_open_loop(
        instance, plan, sources, duration_seconds=0.5, warmup=4, rate_per_second=100, seed=5
    )
    due = [a.seconds for a in itertools.islice(arrivals(under_load(instance, 100), plan, 5), 500)]
    assert report.requests == sum(due[4] <= at < due[4] + 0.5 for at in due)
    assert report.seconds <= 0.5


def test_a_stop_keeps_what_was_measured(problem: Make, spread: Spread, sources: Sources) -> None:
    instance = problem("chain")
    plan = spread(instance, "ab")
    seen: list[int] = []

    def progress(what: str, done: int, total: int) -> None:
        if what == "running":
            seen.append(done)

    report = run_open_loop(
        instance, plan, sources, requests=100_000, warmup=3, rate_per_second=100,
        on_progress=progress, stop=lambda: len(seen) >= 3,
    )  # fmt: skip
    assert report.stopped
    assert not report.piled_up
    assert max(seen[:3]) <= report.requests < 100_000
    assert len(report.streams[0].measured.seconds) == report.requests
    with pytest.raises(InterruptedRunError):
        run_open_loop(instance, plan, sources, stop=lambda: True)


def test_a_run_ends_when_too_many_requests_wait(
    problem: Make, spread: Spread, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IN_FLIGHT_LIMIT", 10)
    instance = slow(problem("chain"), 0.005)
    report = run_open_loop(
        instance, spread(instance, "a"), sources, requests=1000, warmup=0, rate_per_second=500,
        slow_down=True,
    )  # fmt: skip
    assert report.piled_up
    assert 10 < report.requests < 1000
    assert any("faster than they were served" in warning for warning in report.warnings)


def test_a_worker_that_dies_is_told(problem: Make, spread: Spread, sources: Sources) -> None:
    killed: list[int] = []

    def kill(what: str, done: int, total: int) -> None:
        if what == "running" and not killed:
            workers = [
                child
                for child in psutil.Process().children()
                if any("local_main" in word for word in child.cmdline())
            ]
            killed.append(workers[-1].pid)
            os.kill(killed[0], signal.SIGKILL)

    instance = problem("chain")
    with pytest.raises(ExecutionError, match="died: killed by SIGKILL"):
        run_open_loop(
            instance, spread(instance, "ab"), sources, requests=100_000, warmup=0,
            rate_per_second=50, on_progress=kill,
        )  # fmt: skip


def test_one_at_a_time_a_copy_of_a_device_stands_for_all_of_them(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = under_load(problem("chain"))
    devices = (Device(name="a", max_replicas=3), *instance.devices[1:])
    instance = replace(instance, devices=devices)
    plan = replace(spread(instance, "ab"), replicas={"a": 3})
    report = run(instance, plan, sources, requests=2, warmup=0)
    (stream,) = report.streams
    (route,) = stream.routes
    assert stream.strict_equal
    # Nobody waits, whatever the number of copies: the prediction is that of an idle machine.
    price = route_price(instance, instance.streams[0], plan.routes[stream.name][0])
    assert route.predicted_seconds == price.latency_seconds
    assert evaluate(instance, plan).streams[0].latency_seconds > price.latency_seconds


def test_what_one_worker_per_device_cannot_serve_is_refused(
    problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem("chain", max_batch=4)
    devices = (Device(name="a", max_replicas=3), *instance.devices[1:])
    instance = replace(instance, devices=devices)
    plan = spread(instance, "ab")
    (route,) = plan.routes["on-chain"]
    costs = {
        name: replace(item, batches={2: LayerCosts(seconds=item.seconds)})
        for name, item in instance.networks[0].costs.items()
    }
    instance = replace(instance, networks=(replace(instance.networks[0], costs=costs),))
    batched = replace(plan, routes={"on-chain": (replace(route, batch=2),)}, replicas={"a": 3})
    with pytest.raises(InputError) as caught:
        run_open_loop(instance, batched, sources)
    places = [fault.place for fault in caught.value.faults]
    assert places == ["routes.on-chain[0].batch", "replicas.a"]
    assert "max_batch 1" in str(caught.value)
    with pytest.raises(InputError, match="max_batch 1") as caught:
        run(instance, batched, sources)
    assert [fault.place for fault in caught.value.faults] == ["routes.on-chain[0].batch"]
    with pytest.raises(InputError) as caught:
        run_open_loop(
            instance, plan, sources, requests=0, warmup=-1, rate_per_second=0,
            duration_seconds=float("nan"),
        )  # fmt: skip
    places = [fault.place for fault in caught.value.faults]
    assert places == ["requests", "warmup", "duration", "rate"]
    occupied = replace(instance, devices=(replace(devices[0], transfers="occupy"), *devices[1:]))
    with pytest.raises(InputError, match="occupied"):
        run_open_loop(occupied, plan, sources)


# The command.


@pytest.fixture
def files(problem: Make, spread: Spread, sources: Sources, tmp_path: Path) -> tuple[Path, Path]:
    instance = problem("chain", deadline_seconds=10.0)
    paths = tmp_path / "instance.yaml", tmp_path / "plan.json"
    used = {"chain": sources["chain"]}
    write_instance(Instance(instance, used), paths[0])
    write_plan(spread(instance, "ab"), paths[1], problem=instance)
    return paths


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_puts_three_witnesses_side_by_side(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    report = tmp_path / "report.json"
    words = ("--open-loop", "--rate", 50, "--requests", 40, "--warmup", 5, "--seed", 1)
    result = invoke("run", *files, *words, "--json", "-o", report)
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    (stream,) = document["streams"]
    assert (document["requests"], document["rate_per_second"]) == (40, 50.0)
    for witness in ("predicted", "simulated", "measured"):
        assert stream[witness]["mean_seconds"] > 0.004, witness
        assert stream[witness]["p95"] > 0.004, witness
    assert set(stream["measured"]) >= {"p50", "p99", "standard_error", "slo_attainment"}
    assert set(stream["relative_errors"]) == {"predicted", "simulated"}
    assert {"mean_seconds", "p95_seconds", "fell_behind"} <= set(document["lag"])
    shown = invoke("show", report)
    assert shown.exit_code == 0
    for words_ in (
        "Under load: 40 requests",
        "predicted",
        "simulated",
        "p95",
        "bit-exact",
        "a → b",
    ):
        assert words_ in shown.stdout


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["--rate", "5"], "--rate: has a meaning with --open-loop only"),
        (["--duration", "5", "--warmup", "3"], "--warmup"),
        (["--open-loop", "--rate", "0"], "--rate: must be"),
        (["--open-loop", "--rate", "-3"], "--rate: must be"),
        (["--open-loop", "--rate", "nan"], "--rate: must be"),
        (["--open-loop", "--duration", "inf"], "--duration: must be"),
        (["--open-loop", "--duration", "5", "--requests", "3"], "instead of --requests"),
        (["--open-loop", "--rate", "fast"], "--rate"),
        (["--open-loop", "--rate", "1e9"], "rate: 1e+09 requests per second cannot be sent"),
        (["--open-loop", "--rate", "1e308"], "rate: 1e+308 requests per second cannot be sent"),
        (["--open-loop", "--rate", "5e4", "--duration", "1e3"], "duration: about 5e+07 requests"),
        (["--open-loop", "--duration", "1e300"], "requests would arrive within 1e+300 s"),
        (["--open-loop", "--rate", "1e-9"], "rate: the run would take 6.37e+06 days"),
        (["--open-loop", "--rate", "1e-300"], "days, at most 30 are allowed"),
    ],
)
def test_wrong_options_are_refused(
    words: list[str], place: str, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeplan.execution.open_loop.prepared", None)  # no worker is started
    result = invoke("run", *files, *words)
    assert result.exit_code == 2
    assert place in result.stderr
