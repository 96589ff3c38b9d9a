"""solve and evaluate: the contract's keys, exit codes, Ctrl-C, limits."""

from __future__ import annotations

import json
import signal
import time

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.instances.write import write_instance
from tests.cli.cli_helpers import SPLIT_SECONDS, invoke, invoke_json, start, write_two_tiers

SOLVE_KEYS = {
    "status", "limit", "objective", "bound", "gap", "basis", "seconds", "solver", "plan",
    "evaluation", "baselines",
}  # fmt: skip
EVALUATION_KEYS = {"latency_seconds", "energy_joules", "cost_dollars", "violations"}


def test_solve_json_has_the_keys_of_the_contract(tmp_path):
    plan = tmp_path / "plan.json"
    document = invoke_json("solve", write_two_tiers(tmp_path), "-o", plan)
    assert set(document) >= SOLVE_KEYS
    assert document["status"] == "optimal"
    assert document["limit"] is None
    assert document["objective"] == pytest.approx(SPLIT_SECONDS)
    assert document["bound"] == pytest.approx(SPLIT_SECONDS)
    assert document["gap"] <= 1e-6
    assert document["basis"] in {"enumerated", "dual", "agreed", "claimed"}
    assert document["plan"] == str(plan)
    assert set(document["evaluation"]) >= EVALUATION_KEYS
    assert document["evaluation"]["violations"] == []
    for baseline in document["baselines"].values():
        assert {"feasible", "objective", "latency_seconds", "energy_joules", "cost_dollars"} <= set(
            baseline
        )
        assert baseline["feasible"] or baseline["why"]
    assert document["baselines"]["all-at-origin"]["latency_seconds"] == pytest.approx(0.05)
    assert "privacy" in document["baselines"]["cloud:server"]["why"]


def test_evaluate_prices_what_solve_wrote(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    solved = invoke_json("solve", instance, "-o", plan)
    evaluated = invoke_json("evaluate", instance, plan)
    assert evaluated == solved["evaluation"]


def test_evaluate_of_an_infeasible_plan_names_the_limit_and_is_an_answer(tmp_path):
    plan = tmp_path / "plan.json"
    invoke_json("solve", write_two_tiers(tmp_path), "-o", plan)
    tight = write_two_tiers(tmp_path, deadline="20 ms")
    evaluated = invoke_json("evaluate", tight, plan)
    assert [v["kind"] for v in evaluated["violations"]] == ["deadline"]
    result = invoke("evaluate", tight, plan)
    assert "32.8 ms, but at most 20.0 ms allowed" in result.stdout
    assert "another version of 'two-tiers'" in result.stderr


def test_faults_name_their_file_and_keep_their_places(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    plan.write_text('{"format": "edgeplan-front", "version": 1}')
    error = invoke_json("evaluate", instance, plan, code=2)["error"]
    assert error["file"] == str(plan)
    assert [fault["place"] for fault in error["faults"]] == ["format"]
    assert f"error: {plan}: format: must be" in invoke("evaluate", instance, plan).stderr
    instance.write_bytes(b"\xff")
    faults = invoke("solve", instance).stderr
    assert faults.count(instance.name) == 1, "a fault of the file as a whole has it as its place"


@pytest.mark.parametrize("command", ["evaluate", "run"])
def test_an_instance_and_a_plan_in_the_wrong_order_are_told(command, tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke_json("solve", instance, "-o", plan)
    error = invoke_json(command, plan, instance, code=2)["error"]
    assert error["hint"] == (
        "plan.json is an edgeplan-plan, not an edgeplan-instance; "
        "was the order meant to be INSTANCE PLAN?"
    )
    twice = invoke(command, instance, instance)
    assert "two-tiers.yaml is an edgeplan-instance, not an edgeplan-plan" in twice.stderr


def test_a_plan_of_another_instance_says_so_first(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke_json("solve", instance, "-o", plan)
    text = instance.read_text().replace("camera", "door")
    instance.write_text(text)
    first = invoke("evaluate", instance, plan).stderr.splitlines()[0]
    assert first == "error: plan.json was made for another version of 'two-tiers'"
    instance.write_text(text.replace("name: two-tiers", "name: shop"))
    first, second, *_ = invoke("evaluate", instance, plan).stderr.splitlines()
    assert first == "error: plan.json was made for 'two-tiers', this instance is 'shop'"
    assert "routes" in second


def test_show_rounds_what_a_plan_says_of_itself(tmp_path):
    plan = tmp_path / "plan.json"
    invoke_json("solve", write_two_tiers(tmp_path), "-o", plan)
    document = json.loads(plan.read_text())
    document["about"] |= {"objective": 1 / 3, "gap": 0.0, "seconds": 0.123456789}
    plan.write_text(json.dumps(document))
    about = invoke("show", plan).stdout.partition("Made for")[2].splitlines()
    pairs = {line.split()[0]: " ".join(line.split()[1:]) for line in about if len(line.split()) > 1}
    assert pairs["objective"] == "0.333333"
    assert pairs["gap"] == "0 %"
    assert pairs["seconds"] == "123 ms"


def test_without_o_nothing_is_written(tmp_path):
    instance = write_two_tiers(tmp_path)
    assert invoke_json("solve", instance)["plan"] is None
    assert [path.name for path in tmp_path.iterdir()] == [instance.name]


def test_infeasible_is_exit_code_3_and_still_a_document(tmp_path):
    plan = tmp_path / "plan.json"
    instance = write_two_tiers(tmp_path, deadline="20 ms")
    document = invoke_json("solve", instance, "-o", plan, code=3)
    assert document["status"] == "infeasible"
    assert document["plan"] is None
    assert document["evaluation"] is None
    assert not plan.exists()
    result = invoke("solve", instance)
    assert result.exit_code == 3
    assert "infeasible" in result.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--objective", "beauty"], "weighted, latency, energy, cost, throughput"),
        (["--solver", "oracle"], "highs"),
        (["--gap", "nan"], "--gap"),
        (["--gap", "-1"], "--gap"),
        (["--time-limit", "inf"], "--time-limit"),
        (["--time-limit", "soon"], "soon"),
        (["--threads", "0"], "--threads"),
        (["-o", "nowhere/plan.json"], "folder"),
    ],
)
def test_wrong_options_are_bad_input_and_say_what_is_known(words, says, tmp_path):
    result = invoke("solve", write_two_tiers(tmp_path), *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr


@pytest.mark.parametrize("objective", ["weighted", "latency", "energy", "cost"])
def test_objectives(objective, tmp_path):
    document = invoke_json("solve", write_two_tiers(tmp_path), "--objective", objective)
    key = {"energy": "energy_joules", "cost": "cost_dollars"}.get(objective, "latency_seconds")
    assert document["objective"] == pytest.approx(document["evaluation"][key])


@pytest.mark.parametrize("solver", ["highs", "enumerate"])
def test_solvers_by_name(solver, tmp_path):
    document = invoke_json("solve", write_two_tiers(tmp_path), "--solver", solver)
    assert solver in document["solver"]
    assert document["objective"] == pytest.approx(SPLIT_SECONDS)


def test_decision_table(tmp_path):
    out = invoke("solve", write_two_tiers(tmp_path)).stdout
    ticked = [line for line in out.splitlines() if "✓" in line]
    assert len(ticked) == 1
    assert "32.8 ms" in ticked[0]
    for text in ("all-at-origin", "cloud:server", "✗ privacy", "bound", "gap", "basis"):
        assert text in out


def test_an_objective_of_one_quantity_has_its_unit(tmp_path):
    def shown(*words: str) -> str:
        out = invoke("solve", write_two_tiers(tmp_path), *words).stdout.partition("Answer")[2]
        return next(line for line in out.splitlines() if line.startswith("objective")).strip()

    assert shown().split() == ["objective", "0.0328", "s"]
    assert shown("--objective", "energy").endswith(" J")
    assert shown("--objective", "cost").endswith(" $")


def test_infeasible_lists_every_kind_of_limit_and_devices_without_a_profile(tmp_path):
    instance = write_two_tiers(tmp_path, deadline="2 ms")
    text = instance.read_text().replace(
        "  server: {tier: cloud", "  spare: {tier: cloud, zone: home}\n  server: {tier: cloud"
    )
    instance.write_text(text.replace("memory: 8 MB", "memory: 1 MB"))
    result = invoke("solve", instance)
    assert result.exit_code == 3
    origin = [line for line in result.stdout.splitlines() if "all-at-origin" in line]
    assert "deadline, memory" in origin[0]
    limits = result.stdout.partition("Limits that they break")[2].partition("Answer")[0]
    broken = [line.split()[1] for line in limits.splitlines() if "all-at-origin" in line]
    assert broken == ["deadline,", "memory,"]
    told = limits.partition("without a profile")[2]
    assert "camera" in told
    assert "spare (network net)" in told


def test_dry_run_solves_nothing(tmp_path):
    document = invoke_json("solve", write_two_tiers(tmp_path), "--dry-run")
    assert document["streams"] == 1
    assert document["solver"] in {"highs", "enumerate"}


def write_random(path, seed, **sizes):
    write_instance(random_problem(seed, kind="dag", tight=True, **sizes), path)
    return path


def test_interrupt_keeps_the_incumbent(tmp_path):
    plan = tmp_path / "plan.json"
    # HiGHS takes minutes on it; greedy finds a plan.
    hard = write_random(tmp_path / "hard.json", 2, layers=24, devices=8, streams=12)
    process = start("solve", hard, "--solver", "highs", "-o", plan, "--json")
    try:
        time.sleep(4)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, stderr
    document = json.loads(stdout)
    assert document["status"] == "feasible"
    assert document["limit"] == "interrupted"
    assert document["evaluation"]["violations"] == []
    assert plan.exists()
    assert "stopping" in stderr
    assert "Traceback" not in stderr


def test_time_limit_with_a_plan_is_an_answer(tmp_path):
    path = write_random(tmp_path / "medium.json", 7, layers=16, devices=8, streams=10)
    document = invoke_json("solve", path, "--solver", "highs", "--time-limit", "0.5")
    assert document["status"] == "feasible"
    assert document["limit"] == "time"


def test_limit_without_a_plan_is_exit_code_4(tmp_path):
    # No baseline is feasible here, and no time is left to search.
    path = write_random(tmp_path / "unknown.json", 78, layers=4, devices=3, streams=2)
    document = invoke_json("solve", path, "--solver", "highs", "--time-limit", "0", code=4)
    assert document["status"] == "unknown"
    assert document["limit"] == "time"
    assert document["plan"] is None
    assert document["evaluation"] is None


def test_interrupt_without_a_plan_is_130_and_still_a_document(tmp_path, monkeypatch):
    from edgeplan import planner

    def stopped(problem, **options):
        options["stop"].set()
        return planner_plan(problem, **options)

    planner_plan = planner.plan
    monkeypatch.setattr(planner, "plan", stopped)
    path = write_random(tmp_path / "unknown.json", 78, layers=4, devices=3, streams=2)
    document = invoke_json("solve", path, "--solver", "highs", code=130)
    assert document["status"] == "unknown"
    assert document["limit"] == "interrupted"
    assert document["plan"] is None
