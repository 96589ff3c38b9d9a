"""edgeplan choose: one plan of a front, and what a little more of each costs."""

from __future__ import annotations

import json

import pytest

from edgeplan.instances.plans import fingerprint, read_plan
from edgeplan.instances.read import read_instance
from edgeplan.pareto.files import read_front
from tests.cli.cli_helpers import invoke, invoke_json, write_two_tiers
from tests.pareto.fronts import front_of

VALUES = [(0.02, 9.0, 0.001), (0.04, 3.0, 0.002), (0.06, 2.0, 0.0005), (0.08, 1.0, 0.003)]


@pytest.fixture
def folder(tmp_path):
    front_of(VALUES).write(tmp_path / "f")
    return tmp_path / "f"


@pytest.mark.parametrize(
    ("words", "point"),
    [
        (("--prefer", "cost"), 2),
        (("--max", "latency=50ms", "--prefer", "energy"), 1),
        (("--max", "latency=0.05 s,energy=5J"), 1),
        (("--max", "cost=1 m$", "--prefer", "latency"), 0),
        (("--reference", "latency=80ms,energy=1J"), 3),
        (("--weights", "latency=1"), 0),
        (("--max", "latency=70ms", "--knee", "trade-off-rate"), 2),
    ],
)
def test_ways_to_choose(folder, words, point):
    found = invoke_json("choose", folder, *words)
    assert found["point"] == point
    assert (found["latency_seconds"], found["energy_joules"]) == VALUES[point][:2]
    assert found["count"] == 4


def test_rates_are_said_and_printed(folder):
    found = invoke_json("choose", folder, "--max", "latency=50ms", "--prefer", "energy")
    (rate,) = (rate for rate in found["rates"] if rate["objective"] == "latency")
    # From 40 ms, 3 J to 20 ms, 9 J.
    assert rate["per_unit"]["energy_joules"] == pytest.approx(6 / 0.02)
    said = invoke("choose", folder / "front.json", "--max", "latency=50ms", "--prefer", "energy")
    assert "1 ms less latency costs 300 mJ energy" in said.stdout
    assert "of the 2 of 4 points with latency ≤ 50 ms" in said.stdout
    assert "was not written" in said.stderr


def test_the_plan_is_written_for_its_instance(tmp_path):
    instance = write_two_tiers(tmp_path)
    assert invoke("pareto", instance, "-o", tmp_path / "f").exit_code == 0
    plan = tmp_path / "plan.json"
    found = invoke_json("choose", tmp_path / "f", "--prefer", "latency", "-o", plan)
    assert found["written"] == str(plan)
    problem = read_instance(instance).problem
    file = read_plan(plan, problem)
    assert file.same_problem
    assert file.fingerprint == fingerprint(problem)
    assert file.plan == read_front(tmp_path / "f").points[found["point"]].plan
    assert json.loads(plan.read_text())["routes"] == found["plan"]["routes"]
    priced = invoke_json("evaluate", instance, plan)
    assert priced["latency_seconds"] == found["latency_seconds"]
    assert invoke("verify", instance, plan).exit_code == 0


def test_a_plan_of_a_front_alone_says_that_it_does_not_say_what_it_is_for(folder, tmp_path):
    said = invoke("choose", folder, "-o", tmp_path / "plan.json")
    assert said.exit_code == 0
    assert "does not say what it is for" in said.stderr
    assert read_plan(tmp_path / "plan.json").fingerprint == ""


def test_throughput_is_limited_from_below_as_a_rate(tmp_path):
    rows = [(0.01, 9.0, 1.0, 0.05), (0.02, 3.0, 1.0, 0.1)]
    front_of(rows).write(tmp_path / "f")
    words = ("choose", tmp_path / "f", "--prefer", "energy")
    assert invoke_json(*words, "--min", "throughput=15/s")["point"] == 0
    assert invoke_json(*words, "--min", "throughput=10/s")["point"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--max", "latency=10ms"), "--max latency: no point has latency ≤ 10 ms: the least is"),
        (("--max", "latency=50ms,energy=2J"), "--max: no point keeps all of them together"),
        (("--max", "latency=50"), "--max latency=50: needs a unit"),
        (("--max", "speed=5"), "must begin with one of latency, energy, cost"),
        (("--min", "latency=5ms"), "give the most with --max"),
        (("--prefer", "speed"), "is no objective of the front"),
        (("--prefer", "cost", "--weights", "cost=1"), "choose one"),
        (("--weights", "cost=much"), "could not convert"),
    ],
)
def test_what_cannot_be_chosen_is_told(folder, words, told):
    refused = invoke("choose", folder, *words)
    assert refused.exit_code == 2
    assert told in refused.stderr
