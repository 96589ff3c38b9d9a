"""baselines: the contract's keys, the tables, sweeps, pictures, bad input, Ctrl-C."""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import os
import re
import signal
import time

import pytest

from edgeplan.cli import units
from edgeplan.cli.baselines import loads
from edgeplan.model.errors import InputError
from tests.cli.cli_helpers import TWO_TIERS, invoke, invoke_json, write_two_tiers

NAMES = [
    "all-edge", "edge-pool", "all-cloud", "best-cut", "min-cut", "capacity-only", "greedy", "plan",
]  # fmt: skip
FEW = ("--requests", 3000)


@pytest.fixture
def waiting(tmp_path):
    """At 2 requests per second, board and server serve their own queues."""
    path = tmp_path / "waiting.yaml"
    text = TWO_TIERS.replace("DEADLINE", "1 s").replace("rate: 2 /s", "rate: 12 /s")
    path.write_text(text.replace("objective:", "waiting: mg1\nobjective:"))
    return path


def test_json_has_the_keys_of_the_contract(waiting):
    compared = invoke_json("baselines", waiting, *FEW)
    assert (compared["format"], compared["version"]) == ("edgeplan-comparison", 1)
    document = compared["baselines"]
    assert list(document) == NAMES
    for each in document.values():
        assert {"feasible", "predicted", "simulated", "why"} <= set(each)
        assert each["feasible"] == (not each["why"])
    plan = document["plan"]
    assert plan["feasible"]
    assert plan["predicted"]["objective"] == min(
        each["predicted"]["objective"] for each in document.values() if each["feasible"]
    )
    simulated = plan["simulated"]
    assert simulated["requests"] == 3000
    assert simulated["latency_seconds"] == pytest.approx(
        plan["predicted"]["latency_seconds"], rel=0.2
    )
    (stream,) = simulated["streams"]
    assert {"name", "mean_seconds", "p50", "p95", "p99", "slo_attainment", "half_width"} <= set(
        stream
    )
    assert {"name", "utilisation", "mean_wait_seconds"} <= set(simulated["devices"][0])
    # Privacy keeps the input at home, whatever the cloud could do.
    assert "privacy" in document["all-cloud"]["why"]
    assert document["all-edge"]["predicted"]["basis"] == "exact"


@pytest.mark.parametrize("sweep", [(), ("--sweep", "rate=0.5:1", "--points", 2)])
def test_what_is_written_has_what_json_prints_and_has_a_page(waiting, tmp_path, sweep):
    out, page = tmp_path / "compared.json", tmp_path / "page.html"
    printed = invoke_json("baselines", waiting, *FEW, *sweep, "-o", out)
    assert json.loads(out.read_text(encoding="utf-8")) == printed
    assert invoke("report", out, "-o", page).exit_code == 0
    assert page.exists()


def test_seeds_make_the_numbers_and_their_spread(waiting):
    once = invoke_json("baselines", waiting, *FEW, "--seed", 5, "--seeds", 3)
    again = invoke_json("baselines", waiting, *FEW, "--seed", 5, "--seeds", 3)
    assert once == again
    simulated = once["baselines"]["plan"]["simulated"]
    assert simulated["seeds"] == [5, 6, 7]
    assert simulated["half_width"] > 0
    other = invoke_json("baselines", waiting, *FEW, "--seed", 6)["baselines"]
    assert other["plan"] != once["baselines"]["plan"]


def test_the_table_says_what_is_predicted_and_what_simulated(waiting):
    result = invoke("baselines", waiting, *FEW)
    assert result.exit_code == 0, result.stderr
    for word in ("predicted mean", "simulated mean", "± 95 %", "all-cloud", "✓", "privacy"):
        assert word in result.stdout
    (ticked,) = [line for line in result.stdout.splitlines() if "✓" in line]
    assert "plan" in ticked
    assert "against" in result.stdout


def test_nothing_is_simulated_where_nobody_asks(waiting):
    document = invoke_json("baselines", waiting, "--requests", 0)["baselines"]
    assert all(each["simulated"] is None for each in document.values())
    assert "nothing was simulated" in invoke("baselines", waiting, "--requests", 0).stdout


def test_without_waiting_it_works_too(tmp_path):
    document = invoke_json("baselines", write_two_tiers(tmp_path), *FEW)["baselines"]
    assert document["plan"]["predicted"]["basis"] == "none"
    assert document["plan"]["predicted"]["objective"] == pytest.approx(0.0328)
    assert document["plan"]["simulated"]["latency_seconds"] == pytest.approx(0.0328)


def test_a_queue_that_grows_without_end_is_not_simulated(tmp_path, waiting):
    text = waiting.read_text().replace("rate: 12 /s", "rate: 30 /s")
    waiting.write_text(text)
    document = invoke_json("baselines", waiting, *FEW)["baselines"]
    assert document["all-edge"]["simulated"] is None
    broken = {each["kind"] for each in document["all-edge"]["predicted"]["violations"]}
    assert "device capacity" in broken
    assert document["plan"]["feasible"]
    assert "a queue grows without end" in invoke("baselines", waiting, *FEW).stdout


def test_no_plan_at_all_is_an_answer(waiting):
    waiting.write_text(waiting.read_text().replace("rate: 12 /s", "rate: 300 /s"))
    document = invoke_json("baselines", waiting, *FEW, code=3)["baselines"]
    assert document["plan"]["predicted"] is None
    assert document["plan"]["why"] == "no plan keeps every limit"


def test_a_sweep_goes_through_the_loads(waiting):
    document = invoke_json("baselines", waiting, *FEW, "--sweep", "rho=0.3:0.6", "--points", 3)
    assert document["sweep"] == "rho"
    assert [point["rho"] for point in document["points"]] == pytest.approx([0.3, 0.45, 0.6])
    for point in document["points"]:
        (board, _) = point["baselines"]["all-edge"]["predicted"]["devices"]
        assert board["utilisation"] == pytest.approx(point["rho"])
    result = invoke("baselines", waiting, *FEW, "--sweep", "rate=1:1.5", "--points", 2)
    assert "Mean latency, predicted, by rate" in result.stdout
    assert "Mean latency, simulated, by rate" in result.stdout


def test_a_sweep_is_drawn(waiting, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "load.svg"
    words = ("baselines", waiting, *FEW, "--sweep", "rho=0.3:0.6", "--points", 2)
    assert invoke(*words, "--plot", picture).exit_code == 0
    first = picture.read_text()
    assert first.startswith("<?xml")
    for word in ("mean latency (ms)", "all-edge", "plan", "simulated"):
        assert word in first
    assert invoke(*words, "--plot", picture).exit_code == 0
    assert picture.read_text() == first


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rho", "two numbers"),
        ("rho=0.3", "two numbers"),
        ("rho=a:b", "two numbers"),
        ("rho=0.3:0.5:0.7", "two numbers"),
        ("rho=0.9:0.3", "not above TO"),
        ("rho=0:0.5", "above 0"),
        ("rho=-1:0.5", "above 0"),
        ("rho=0.3:inf", "above 0"),
        ("rho=nan:1", "above 0"),
        ("load=0.3:0.5", "begin with rho= or rate="),
        ("", "begin with rho= or rate="),
    ],
)
def test_a_bad_sweep_is_told_with_its_place_and_a_remedy(waiting, text, fault):
    result = invoke("baselines", waiting, "--sweep", text)
    assert result.exit_code == 2
    assert "--sweep" in result.stderr
    assert fault in result.stderr
    assert "write rho=0.3:0.97" in result.stderr


def test_loads_are_evenly_spaced():
    assert loads("rate=1:2", 5) == ("rate", [1.0, 1.25, 1.5, 1.75, 2.0])
    assert loads("rho=0.5:0.9", 1) == ("rho", [0.5])
    assert loads("rho=0.5:0.5", 8) == ("rho", [0.5])
    with pytest.raises(InputError):
        loads("rho=0.5:0.4", 2)


def test_a_sweep_of_origins_that_cannot_serve_is_refused(waiting):
    text = waiting.read_text().replace("      board: {times: 10 40 ms}\n", "")
    waiting.write_text(text.replace("privacy: {zones: home}", "").replace("privacy:", ""))
    result = invoke("baselines", waiting, "--sweep", "rho=0.3:0.5")
    assert result.exit_code == 2
    assert "'board' has no time for" in result.stderr
    assert "rate=" in result.stderr


def test_a_picture_that_cannot_be_drawn_is_told_before_any_work(waiting, tmp_path, monkeypatch):
    def told(*words):
        result = invoke("baselines", waiting, "--requests", 200_000_000, *words)
        assert result.exit_code == 2
        return result.stderr

    sweep = ("--sweep", "rho=0.3:0.5")
    assert "add --sweep" in told("--plot", tmp_path / "a.svg")
    assert "ends in .svg, .png, .pdf" in told(*sweep, "--plot", tmp_path / "a.gif")
    assert "cannot be written" in told(*sweep, "--plot", tmp_path / "no" / "a.svg")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name)
    )
    assert "pip install 'edgeplan[plot]'" in told(*sweep, "--plot", tmp_path / "a.svg")


@pytest.mark.parametrize(
    "words", [("--time-limit", "-1"), ("--gap", "nan"), ("--seeds", "0"), ("--points", "0")]
)
def test_bad_numbers_are_refused(waiting, words):
    result = invoke("baselines", waiting, *words)
    assert result.exit_code == 2
    assert words[0].removeprefix("--").split("-")[0] in result.stderr


def test_ctrl_c_keeps_what_is_done(waiting, monkeypatch):
    """It comes while the second plan is simulated: the plans are there, one simulation is."""
    module = importlib.import_module("edgeplan.comparison.compare")
    simulate, runs = module.simulate, []

    def interrupted(*words, **options):
        runs.append(options["requests"])
        if len(runs) == 2:
            os.kill(os.getpid(), signal.SIGINT)
            assert wait_for(options["stop"])
            options["requests"] = 200_000_000
        return simulate(*words, **options)

    monkeypatch.setattr(module, "simulate", interrupted)
    result = invoke("baselines", waiting, *FEW, "--json")
    assert result.exit_code == 130
    document = json.loads(result.stdout)["baselines"]
    assert list(document) == NAMES
    assert document["plan"]["feasible"]
    assert document["all-edge"]["simulated"]["requests"] == 3000
    assert document["greedy"]["simulated"] is None
    assert "what was not done is missing" in result.stderr
    assert len(runs) == 2


@pytest.mark.parametrize(("done", "loads"), [(1, [0.3]), (0, [])])
def test_ctrl_c_drops_the_load_that_is_half_done(waiting, monkeypatch, tmp_path, done, loads):
    """It comes while plans are made for the load after those that are done."""
    module = importlib.import_module("edgeplan.comparison.compare")
    greedy, asked = module.greedy, []

    def interrupted(problem):
        asked.append(problem)
        if len(asked) > done:
            os.kill(os.getpid(), signal.SIGINT)
        return greedy(problem)

    monkeypatch.setattr(module, "greedy", interrupted)
    words = ("baselines", waiting, "--requests", 0, "--sweep", "rho=0.3:0.5", "--points", 3)
    result = invoke(*words, "--json")
    assert result.exit_code == 130
    document = json.loads(result.stdout)
    assert len(asked) == done + 1
    if loads:
        assert [point["rho"] for point in document["points"]] == loads
        assert "what was not done is missing" in result.stderr
    else:
        assert document["error"]["kind"] == "interrupted"
        assert "stopped before any of it was done" in result.stderr


def test_a_second_ctrl_c_leaves_at_once(waiting, monkeypatch):
    def interrupted(problem):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        importlib.import_module("edgeplan.comparison.compare"), "_all_edge", interrupted
    )
    assert invoke("baselines", waiting, *FEW).exit_code == 130


def wait_for(stop, seconds=10.0):
    ends = time.monotonic() + seconds
    while not stop() and time.monotonic() < ends:
        time.sleep(0.01)
    return stop()


def test_limits_are_told_in_the_words_of_solve_and_evaluate(tmp_path, waiting):
    """At 30 requests per second the board alone is overloaded: its requests wait for ever."""
    waiting.write_text(waiting.read_text().replace("rate: 12 /s", "rate: 30 /s"))
    plan = tmp_path / "board.json"
    routes = {"camera": [{"devices": ["board", "board"], "fraction": 1.0}]}
    plan.write_text(json.dumps({"format": "edgeplan-plan", "version": 1, "routes": routes}))
    for words in (
        ("baselines", waiting, "--requests", 0),
        ("solve", waiting),
        ("evaluate", waiting, plan),
    ):
        told = " ".join(invoke(*words).stdout.split())
        for place, what in (
            ("deadline, stream camera:", "∞, but at most 1.00 s allowed"),
            ("device capacity, device board:", "150.0 %, but at most 95.0 % allowed"),
        ):
            place = place.replace(",", "").rstrip(":") if words[0] == "evaluate" else place
            assert f"{place} {what}" in told, words
        assert not re.search(r"\binf\b", told), words


def test_no_number_is_written_inf():
    every = [
        units.seconds, units.joules, units.watts, units.dollars, units.size, units.bandwidth,
        units.rate, units.request_rate, units.count, units.percent, units.gap, units.number,
    ]  # fmt: skip
    assert {unit(math.inf) for unit in every} == {"∞"}
    assert {unit(None) for unit in every} == {units.MISSING}
