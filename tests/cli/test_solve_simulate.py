"""`solve --verify simulate`: the document, the exit codes, and what Ctrl-C leaves."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from edgeplan import planner
from edgeplan.model.problem import Problem
from edgeplan.result import Result
from tests.cli.cli_helpers import invoke, invoke_json

INSTANCE = """\
format: edgeplan-instance
version: 1
name: loaded
waiting: WAITING
networks:
  net:
    layers: [{name: all}]
    tensors: [{name: x, size: 1 kB, consumers: all}]
    costs:
      board: {times: 10 ms, cv2: CV2}
devices:
  board: {}
streams:
  camera: {network: net, origin: board, rate: 50 /s, deadline: {mean: MEAN, p95: 10 s}}
  door: {network: net, origin: board, rate: RATE /s, deadline: {mean: 1 s}}
"""


@pytest.fixture
def instance(tmp_path: Path):
    def write(
        *, mean: str = "200 ms", rate: str = "5", waiting: str = "mg1", cv2: str = "0.5"
    ) -> Path:
        path = tmp_path / "loaded.yaml"
        text = INSTANCE.replace("MEAN", mean).replace("RATE", rate).replace("CV2", cv2)
        path.write_text(text.replace("WAITING", waiting))
        return path

    return write


def test_a_confirmed_plan_is_written_and_told(instance, tmp_path):
    plan = tmp_path / "plan.json"
    words = ("solve", instance(), "--verify", "simulate", "--requests", 20_000, "-o", plan)
    document = invoke_json(*words)
    verified = document["verified"]
    assert verified["agrees"] is True
    assert verified["stopped"] is False
    assert verified["simulation"]["requests"] == 20_000
    assert [each["broken"] for each in verified["rounds"]] == [[]]
    assert plan.is_file()
    result = invoke(*words[:-2])
    assert result.exit_code == 0
    assert "the simulation keeps every deadline" in result.stdout


def test_too_few_requests_are_told_and_the_plan_is_written(instance, tmp_path):
    plan = tmp_path / "plan.json"
    words = ("solve", instance(rate="0.0001"), "--verify", "simulate", "--requests", 1000)
    document = invoke_json(*words, "-o", plan, code=1)
    assert document["verified"]["why"] == "too few requests of 'door' to tell: take more"
    assert document["verified"]["rounds"][0]["tightened"] == []
    assert document["verified"]["rounds"][0]["untested"] == ["door"]
    assert document["status"] == "optimal"
    assert plan.is_file()
    result = invoke(*words)
    assert result.exit_code == 1
    assert "too few requests of 'door'" in result.stdout


def test_where_no_plan_remains_none_is_written(instance, tmp_path):
    plan = tmp_path / "plan.json"
    # M/D/1 at 55 %: 10 ms and 6.1 ms on average. The deadline is so close that no run is sure.
    path = instance(mean="16.1112 ms", cv2="0")
    words = ("solve", path, "--verify", "simulate", "--requests", 20_000, "-o", plan)
    document = invoke_json(*words, code=4)
    assert document["status"] == "unknown"
    assert document["bound"] is not None
    assert document["verified"]["why"].startswith("no plan remains with less load: mean of")
    assert not plan.exists()


def test_an_interrupt_while_solving_keeps_the_plan(instance, tmp_path, monkeypatch):
    plan, solve = tmp_path / "plan.json", planner.plan

    def solved(problem: Problem, *, stop: threading.Event, **options: object) -> Result:
        result = solve(problem, stop=stop, **options)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)
        assert stop.wait(10)
        return result

    monkeypatch.setattr(planner, "plan", solved)
    words = ("solve", instance(), "--verify", "simulate", "-o", plan)
    document = invoke_json(*words, code=130)
    assert document["verified"]["why"] == "stopped before the plan was simulated"
    assert document["verified"]["stopped"] is True
    assert document["plan"] == str(plan)
    assert plan.is_file()
    result = invoke(*words)
    assert result.exit_code == 130
    assert "stopped before the plan was simulated" in result.stdout
    assert "Traceback" not in result.stderr


def test_the_help_says_what_is_done():
    text = " ".join(invoke("solve", "--help").stdout.split())
    for said in ("at 95 % over all of them", "at most 40 times", "up to sixteen times as many"):
        assert said in text
