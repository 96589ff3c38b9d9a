"""edgeplan compare: fronts beside each other, beside baselines, beside others' points."""

from __future__ import annotations

import pytest

from tests.cli.cli_helpers import invoke, invoke_json
from tests.pareto.fronts import front_of, plan_of

A = [(0.1, 4.0), (0.2, 2.0), (0.4, 1.0)]
B = [(0.1, 4.0), (0.3, 2.0)]


@pytest.fixture
def two(tmp_path):
    front_of(A).write(tmp_path / "a")
    front_of(B).write(tmp_path / "b")
    return tmp_path / "a", tmp_path / "b"


def test_json_has_what_was_agreed(two):
    document = invoke_json("compare", *two)
    assert document["sets"] == {"A": str(two[0]), "B": str(two[1])}
    assert set(document["hypervolume"]) == {"A", "B"}
    assert document["hypervolume"]["A"] > document["hypervolume"]["B"]
    # B lacks (0.2, 2) by 0.1 s and (0.4, 1) by 1 J; nothing is needed the other way.
    assert document["epsilon_additive"] == pytest.approx({"A->B": 0.0, "B->A": 1.0})
    assert document["coverage"] == pytest.approx({"A->B": 1.0, "B->A": 1 / 3})
    assert document["dominated_share"] == pytest.approx({"A->B": 0.5, "B->A": 0.0})
    assert document["igd_plus"]["A"] == 0
    assert set(document["knees"]["A"]) == {"hyperplane", "trade-off rate"}
    assert "items" not in document["changes"][0]


def test_tables_say_which_front_is_which_and_by_what_reference(two):
    said = invoke("compare", *two)
    assert said.exit_code == 0
    for text in (str(two[0]), str(two[1]), "A->B", "B->A", "reference point", "hyperplane"):
        assert text in said.stdout
    assert "gone" not in said.stdout


def test_changes_are_listed_plan_by_plan(tmp_path):
    plans = [plan_of("phone"), plan_of("edge")]
    front_of([(0.1, 4.0), (0.2, 2.0)], plans).write(tmp_path / "a")
    front_of([(0.1, 4.0), (0.2, 1.0)], plans[::-1]).write(tmp_path / "b")
    said = invoke("compare", tmp_path / "a", tmp_path / "b", "--changes")
    assert "camera: phone[0] → edge[0]" in said.stdout
    assert "gone (dominated)" in said.stdout
    document = invoke_json("compare", tmp_path / "a", tmp_path / "b", "--changes")
    kinds = [item["kind"] for item in document["changes"][0]["items"]]
    assert kinds == ["other plan", "gone", "new"]


def test_points_of_another_planner_and_a_reference_point(two, tmp_path):
    table = tmp_path / "other.csv"
    table.write_text("name,latency_seconds,energy_joules\ntheirs,0.15,3\n")
    words = ("compare", two[0], table, "--reference", "latency=500ms,energy=5 J")
    document = invoke_json(*words)
    # The box from (0.15, 3) to (0.5, 5).
    assert document["hypervolume"]["B"] == pytest.approx(0.35 * 2)
    assert document["reference"] == {"latency_seconds": 0.5, "energy_joules": 5.0}
    assert any("B: nothing says of which instance" in text for text in document["notes"])


def test_baselines_beside_a_front(tmp_path):
    from tests.cli.test_pareto import DAG

    assert invoke("pareto", DAG, "-o", tmp_path / "f").exit_code == 0
    document = invoke_json("compare", tmp_path / "f", "--baselines", DAG)
    assert document["sets"]["B"] == f"baselines of {DAG}"
    assert document["coverage"]["A->B"] == 1
    assert document["epsilon_additive"]["A->B"] == 0
    assert document["hypervolume"]["A"] >= document["hypervolume"]["B"]


def test_what_is_not_comparable_is_refused_unless_forced(tmp_path, two):
    front_of(B, fingerprint="1" * 64, instance="other").write(tmp_path / "c")
    refused = invoke("compare", two[0], tmp_path / "c")
    assert refused.exit_code == 2
    assert f"B ({tmp_path / 'c'})" in refused.stderr
    assert "--force compares" in refused.stderr
    document = invoke_json("compare", two[0], tmp_path / "c", "--force")
    assert any("different instances" in text for text in document["notes"])
    front_of([(0.1, 4.0, 1.0)]).write(tmp_path / "d")
    refused = invoke("compare", two[0], tmp_path / "d")
    assert refused.exit_code == 2
    assert "objectives latency, energy, cost" in refused.stderr
    document = invoke_json("compare", two[0], tmp_path / "d", "--force")
    assert document["objectives"] == ["latency", "energy"]


def test_bad_files_are_told(two, tmp_path):
    for word, told in (
        (tmp_path / "none", "there is no such file"),
        (tmp_path / "empty.csv", "no column"),
    ):
        (tmp_path / "empty.csv").write_text("x\n1\n")
        refused = invoke("compare", two[0], word)
        assert refused.exit_code == 2
        assert told in refused.stderr
    alone = invoke("compare", two[0])
    assert alone.exit_code == 2
    assert "two sets" in alone.stderr
