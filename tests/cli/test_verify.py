"""``edgeplan verify``: plans and claims, honest and not."""

from __future__ import annotations

import json

import pytest

from tests.cli.cli_helpers import invoke, write_two_tiers


@pytest.fixture
def solved(tmp_path):
    """An instance and its plan, solved by HiGHS."""
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    result = invoke("solve", instance, "-o", plan, "--solver", "highs", "--json")
    assert result.exit_code == 0
    return instance, plan, json.loads(result.stdout)


def verified(*words):
    result = invoke("verify", *words, "--json")
    return result, json.loads(result.stdout)


def changed(plan, **claim):
    tree = json.loads(plan.read_text())
    tree["claim"].update(claim)
    plan.write_text(json.dumps(tree))


def test_an_honest_plan_holds_and_says_on_what(solved):
    instance, plan, answer = solved
    result, document = verified(instance, plan)
    assert result.exit_code == 0
    assert document["feasible"]
    assert document["violations"] == []
    assert document["price"] == pytest.approx(answer["objective"], rel=1e-12)
    assert document["bound"] == pytest.approx(answer["bound"], rel=1e-9)
    assert document["gap"] == pytest.approx(answer["gap"], abs=1e-12)
    assert document["basis"] == answer["basis"]
    assert document["holds"]


def test_a_bound_with_multipliers_is_recomputed(solved):
    instance, plan, answer = solved
    assert answer["basis"] == "dual"  # one chain without binding limits
    _, document = verified(instance, plan)
    assert document["rechecked"]
    assert document["proved"]
    assert "not recomputed" not in invoke("verify", instance, plan).stdout


def test_multipliers_that_prove_less_than_is_claimed_are_told(solved):
    instance, plan, _ = solved
    tree = json.loads(plan.read_text())
    tree["claim"]["multipliers"] = {"device_busy": {"board": 1.0}}
    plan.write_text(json.dumps(tree))
    result, document = verified(instance, plan)
    assert result.exit_code == 1
    assert "prove" in document["contradictions"][0]
    tree["claim"]["multipliers"] = {"device_busy": {"nowhere": 1.0}}
    plan.write_text(json.dumps(tree))
    result = invoke("verify", instance, plan)
    assert result.exit_code == 2
    assert "nowhere" in result.stderr


def test_tables_for_people(solved):
    instance, plan, _ = solved
    result = invoke("verify", instance, plan)
    assert result.exit_code == 0
    assert "holds" in result.stdout
    assert "basis" in result.stdout


@pytest.mark.parametrize(
    ("claim", "says"),
    [
        ({"objective": 1e-9}, "is claimed at"),
        ({"bound": 1e9}, "prove"),
    ],
)
def test_a_false_claim_does_not_hold(solved, claim, says):
    instance, plan, _ = solved
    changed(plan, **claim)
    result, document = verified(instance, plan)
    assert result.exit_code == 1
    assert not document["holds"]
    assert any(says in text for text in document["contradictions"])
    assert "does not hold" in invoke("verify", instance, plan).stdout


def test_a_plan_that_breaks_a_limit_is_named(solved):
    instance, plan, _ = solved
    write_two_tiers(instance.parent, "1 ns")
    result, document = verified(instance, plan)
    assert result.exit_code == 1
    assert not document["feasible"]
    assert document["violations"][0]["kind"] == "deadline"
    assert "does not count" in result.stderr  # the claim is that of another problem
    assert document["basis"] == "dual"  # recomputed, of its own


def test_a_plan_made_with_options_is_verified_with_them(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    made = invoke(
        "solve", instance, "--objective", "throughput", "--contiguous", "-o", plan, "--json"
    )
    result, document = verified(instance, plan)
    assert "made with --objective throughput --contiguous" in result.stderr
    assert result.exit_code == 0
    assert document["price"] == pytest.approx(json.loads(made.stdout)["objective"])
    assert document["basis"] == "enumerated"
    assert not document["rechecked"]  # so says the file: anyone can write that
    assert not document["proved"]
    result, document = verified(instance, plan, "--objective", "cost")
    assert document["basis"] != "enumerated"


@pytest.mark.parametrize(
    ("claim", "place"),
    [
        ({"basis": "guess"}, "claim.basis"),
        ({"bound": "low"}, "claim.bound"),
        ({"certificate": {"basis": "guess", "witnesses": [], "bounded": ""}}, "claim.certificate"),
    ],
)
def test_a_broken_claim_is_bad_input(solved, claim, place):
    instance, plan, _ = solved
    changed(plan, **claim)
    result = invoke("verify", instance, plan)
    assert result.exit_code == 2
    assert place in result.stderr


def test_two_solvers_agree(tmp_path):
    instance = write_two_tiers(tmp_path)
    result = invoke("solve", instance, "--solver", "highs", "--witness", "enumerate", "--json")
    document = json.loads(result.stdout)
    assert document["basis"] == "enumerated"  # a proof is more than two claims
    result = invoke("solve", instance, "--solver", "highs", "--witness", "highs")
    assert result.exit_code == 2
    assert "name another" in result.stderr


def test_a_forged_basis_is_never_shown_as_recomputed(solved):
    """Whatever witnesses a file names, what was recomputed is the verifier's own certificate."""
    instance, plan, _ = solved
    forged = {"basis": "enumerated", "witnesses": ["multipliers 1"], "bounded": "all", "states": 9}
    tree = json.loads(plan.read_text())
    tree["claim"].update(certificate=forged, bound=1e-6)
    del tree["claim"]["multipliers"]
    plan.write_text(json.dumps(tree))
    _, document = verified(instance, plan)
    assert document["basis"] == "dual"  # what no multipliers at all prove, and no more


def test_a_bound_above_a_baseline_is_refuted(tmp_path):
    """Where multipliers prove nothing, the baselines still may."""
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    options = ("--objective", "throughput")
    invoke("solve", instance, *options, "-o", plan)
    tree = json.loads(plan.read_text())
    tree["routes"]["camera"][0]["devices"] = ["board", "board"]  # 50 ms; split: 10 ms
    tree["claim"].update(objective=0.05, bound=0.05)
    tree["claim"].pop("multipliers", None)
    plan.write_text(json.dumps(tree))
    result, document = verified(instance, plan)
    assert result.exit_code == 1
    assert "above a known plan" in document["contradictions"][0]


def test_evaluate_prices_a_plan_as_it_was_made(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    made = invoke("solve", instance, "--objective", "throughput", "-o", plan, "--json")
    result = invoke("evaluate", instance, plan, "--json")
    assert "made with --objective throughput" in result.stderr
    assert json.loads(result.stdout)["objective"] == json.loads(made.stdout)["objective"]
    result = invoke("evaluate", instance, plan, "--objective", "latency", "--json")
    document = json.loads(result.stdout)
    assert document["objective"] == document["latency_seconds"]
