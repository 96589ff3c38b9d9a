import json
import math

import numpy as np
import pytest

from edgeplan.instances.bundled import load
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.pareto.compare import baseline_set, compare, point_set, table_set
from edgeplan.pareto.files import read_points
from edgeplan.pareto.front import Hypervolume
from edgeplan.pareto.objectives import criteria, image
from tests.pareto.fronts import front_of, plan_of, sphere

A = front_of([(1, 4), (2, 2), (4, 1)])
B = front_of([(2, 2), (3, 1.5)])
"""Has (2, 2) too, misses (1, 4); (3, 1.5) is new."""


def sets(*fronts, names="ABCDE"):
    return [point_set(front, name) for front, name in zip(fronts, names, strict=False)]


def test_a_case_by_hand():
    found = A.compare(B, reference={"latency": 5, "energy": 5})
    # A: 3·3 under (2, 2), 1·1 left of it from (1, 4), 1·1 below it from (4, 1).
    assert found.hypervolume == {"A": 11.0, "B": 10.0}
    # For (3, 1.5) A has (2, 2), 0.5 behind; for (1, 4) B has (2, 2), 1 behind.
    assert found.epsilon_additive == {"A->B": 0.5, "B->A": 1.0}
    # 2 / 1.5; 2 / 1.
    assert found.epsilon_multiplicative == {"A->B": pytest.approx(4 / 3), "B->A": 2.0}
    assert found.coverage == {"A->B": 0.5, "B->A": pytest.approx(1 / 3)}
    assert found.dominated_share == {"A->B": 0.0, "B->A": 0.0}
    assert found.common == {"A&B": 1}
    # All four images are non-dominated: A lacks (3, 1.5), 0.5 away; B (1, 4), 1, and (4, 1), 0.5.
    assert found.igd_plus == {"A": pytest.approx(0.5 / 4), "B": pytest.approx(1.5 / 4)}
    assert (found.normalised.ideal, found.normalised.nadir) == ((1, 1), (4, 4))
    assert found.normalised.hypervolume == {"A": 11 / 16, "B": 10 / 16}
    assert found.normalised.epsilon_additive == {
        "A->B": pytest.approx(0.5 / 3),
        "B->A": pytest.approx(1 / 3),
    }
    assert found.normalised.igd_plus == {"A": pytest.approx(0.5 / 12), "B": pytest.approx(1.5 / 12)}
    assert found.knees["A"]["hyperplane"].index == 1
    assert found.knees["B"] == {"hyperplane": None, "trade-off rate": None}


def test_the_contract_of_json():
    document = json.loads(json.dumps(A.compare(B).as_json(), allow_nan=False))
    assert document["hypervolume"].keys() == {"A", "B"}
    assert document["epsilon_additive"] == {"A->B": 0.5, "B->A": 1.0}
    assert document["coverage"].keys() == {"A->B", "B->A"}
    assert document["igd_plus"].keys() == {"A", "B"}
    assert document["knees"]["A"]["hyperplane"] == {
        "point": 1,
        "score": pytest.approx(1 / 3 / 2**0.5),
        "latency_seconds": 2.0,
        "energy_joules": 2.0,
    }
    assert document["knees"]["B"]["hyperplane"] is None
    assert document["reference"] == {"latency_seconds": 1000.0, "energy_joules": 1000.0}
    (change,) = document["changes"]
    assert (change["same"], change["other_plan"], change["gone"], change["new"]) == (0, 1, 2, 1)
    assert "items" not in change
    assert "items" in A.compare(B).as_json(details=True)["changes"][0]


def test_a_front_and_itself():
    found = A.compare(A, names=["mine", "yours"])
    assert found.hypervolume["mine"] == found.hypervolume["yours"]
    assert found.epsilon_additive == {"mine->yours": 0.0, "yours->mine": 0.0}
    assert set(found.coverage.values()) == {1.0}
    assert set(found.dominated_share.values()) == {0.0}
    assert set(found.igd_plus.values()) == {0.0}
    assert found.changes[0].same == 3
    assert found.changes[0].items == ()


def test_noise_within_the_tolerance_is_no_difference():
    noisy = front_of([(1 + 1e-12, 4 - 1e-12), (2 - 1e-13, 2 + 1e-12), (4, 1)])
    found = A.compare(noisy)
    assert set(found.coverage.values()) == {1.0}
    assert set(found.dominated_share.values()) == {0.0}
    assert found.common == {"A&B": 3}
    assert found.changes[0].same == 3


def test_three_fronts_are_compared_pair_by_pair():
    found = A.compare(B, front_of([(0.5, 0.5)]))
    assert found.coverage["C->A"] == found.dominated_share["C->B"] == 1.0
    assert found.coverage["A->C"] == 0.0
    assert found.igd_plus["C"] == 0.0
    assert len(found.epsilon_additive) == 6
    assert [change.second for change in found.changes] == ["B", "C"]


# --- the reference point ------------------------------------------------------------------------


def test_fronts_with_the_same_reference_keep_it():
    found = A.compare(B)
    assert found.reference == (1e3, 1e3)
    assert found.reference_basis.startswith("the one by which")


def test_else_the_reference_is_behind_the_worst_point():
    other = front_of([(3, 1.5)], hypervolume=Hypervolume(0, 0, (7, 7)))
    found = A.compare(other)
    assert found.reference == pytest.approx((4 + 0.3, 4 + 0.3))
    assert "worst value of any point and 10 % of" in found.reference_basis
    flat = front_of([(2, 0)], hypervolume=Hypervolume(0, 0, (1, 1)))
    # No range: a tenth of the value, or of 1.
    assert flat.compare(flat).reference == pytest.approx((2.2, 0.1))


def test_points_that_do_not_count_are_told():
    found = A.compare(B, reference={"latency": 3, "energy": 3})
    assert any("A: 2 of 3 points are not before" in note for note in found.notes)
    assert found.hypervolume == {"A": 1.0, "B": 1.0}


@pytest.mark.parametrize(
    "reference", [{"latency": 1}, {"latency": 1, "cost": 1}, {"latency": 1, "energy": math.inf}]
)
def test_a_reference_must_be_complete(reference):
    with pytest.raises(InputError, match="reference: must"):
        A.compare(B, reference=reference)


# --- what is comparable -------------------------------------------------------------------------


def test_other_instances_are_refused_unless_forced():
    other = front_of([(3, 1.5)], instance="elsewhere", fingerprint="f" * 64)
    with pytest.raises(InputError) as error:
        A.compare(other)
    assert "is of 'elsewhere' (fingerprint ffffffffffff…), but A of 'test'" in str(error.value)
    found = A.compare(other, force=True)
    assert found.epsilon_additive["A->B"] == 0.5
    assert "the sets are of different instances: their numbers alone are compared" in found.notes


def test_other_objectives_are_refused_unless_forced():
    three = front_of([(2, 2, 9), (3, 1.5, 8), (9, 9, 1)])
    with pytest.raises(InputError, match="force compares them by latency, energy"):
        A.compare(three)
    found = A.compare(three, force=True)
    assert found.objectives == ("latency", "energy")
    assert found.coverage["A->B"] == pytest.approx(2 / 3)
    assert any("B: 1 of 3 points are dominated by" in note for note in found.notes)
    # A reference point of three objectives is none of two.
    assert found.reference == (1e3, 1e3)
    cost = front_of([(1,)], objectives=("cost",))
    for force in (False, True):
        with pytest.raises(InputError, match=r"none is common|no objective that all"):
            A.compare(cost, force=force)


def test_objectives_in_another_order_are_the_same():
    turned = front_of(
        [(y, x) for x, y in B.values],
        objectives=("energy", "latency"),
        hypervolume=Hypervolume(0, 0, (2e3, 1e3)),
    )
    same_box = front_of(A.values, hypervolume=Hypervolume(0, 0, (1e3, 2e3)))
    found = same_box.compare(turned)
    assert found.reference == (1e3, 2e3)
    assert found.epsilon_additive == A.compare(B).epsilon_additive


def test_names_must_differ_and_be_enough():
    with pytest.raises(InputError, match="two sets are called A"):
        compare(sets(A, B, names="AA"))
    with pytest.raises(InputError, match="1 names for 2 fronts"):
        A.compare(B, names=["A"])
    with pytest.raises(InputError, match="two sets of points or more"):
        compare(sets(A))


def test_fronts_without_points():
    empty = front_of([])
    with pytest.raises(InputError, match="nothing to compare"):
        empty.compare(empty)
    found = A.compare(empty)
    assert found.hypervolume["B"] == 0.0
    assert found.coverage == {"A->B": 0.0, "B->A": 0.0}
    document = json.loads(json.dumps(found.as_json(details=True), allow_nan=False))
    assert document["epsilon_additive"] == {"A->B": None, "B->A": None}
    assert document["changes"][0]["gone"] == 3


def test_what_is_known_of_a_front_is_noted():
    cut_off = front_of(B.values, complete=False, exact=False)
    rough = front_of(B.values, exact=False, resolution=(0.01, 2.0))
    notes = A.compare(cut_off, rough).notes
    assert "B: its search was cut off: points may be missing" in notes
    assert "C: is not exact: every plan is within 10 ms, 2 J" in notes


# --- other planners and baselines ---------------------------------------------------------------


def test_points_of_another_planner(tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("name,energy_joules,latency_seconds,x\nfirst,1.5,3,?\n\nsecond,9,9,?\n")
    theirs = table_set(read_points(path), "theirs")
    assert theirs.objectives == ("energy", "latency")
    found = compare([point_set(A, "ours"), theirs])
    assert found.epsilon_additive["ours->theirs"] == 0.5
    assert found.dominated_share["ours->theirs"] == 0.5
    assert found.sets[1].labels == ("first", "second")
    assert "theirs: nothing says of which instance its points are" in found.notes
    assert any("theirs: 1 of 2 points are dominated" in note for note in found.notes)
    (change,) = found.changes
    assert change.same == 0
    assert not change.streams


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has no column"),
        ("speed\n1\n", "latency_seconds, energy_joules, cost_dollars, period_seconds"),
        ("latency_seconds,latency_seconds\n1,1\n", "has columns twice: latency_seconds"),
        ("latency_seconds\n", "has no points"),
        ("latency_seconds\n1\nx\n", "row 3, latency_seconds: must be a finite number, not 'x'"),
        ("cost_dollars,latency_seconds\n1\n", "row 2, latency_seconds: must be a finite number, a"),
        ("latency_seconds\nnan\n", "not 'nan'"),
        ('latency_seconds\n"1\n', "is not valid CSV"),
    ],
)
def test_faults_of_a_table(tmp_path, text, expected):
    path = tmp_path / "points.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_points(path)
    assert expected in str(error.value)


@pytest.mark.parametrize("name", ["privacy", "total-aggregate"])
def test_baselines_are_priced_by_the_evaluator(name):
    problem = load(name).problem
    found = baseline_set(problem, ("latency", "energy"))
    assert len(found) >= 1
    for values, plan in zip(found.values, found.plans, strict=True):
        evaluation = evaluate(problem, plan)
        assert evaluation.feasible
        assert image(evaluation, criteria(found.objectives)) == values
    assert len(set(map(repr, found.plans))) == len(found.plans)
    assert len(set(found.labels)) == len(found.labels)
    ours = front_of([min(found.values)], fingerprint=found.fingerprint)
    comparison = compare([point_set(ours, "front"), found])
    assert comparison.coverage["front->baselines"] > 0


def test_baselines_that_break_a_limit_are_noted():
    found = baseline_set(load("privacy").problem, ("latency", "energy"))
    assert any("privacy" in note for note in found.notes)


# --- size ---------------------------------------------------------------------------------------


def test_coverage_of_a_large_front_is_that_of_pairs():
    first, second = sphere(400, 3, 1), sphere(300, 3, 2) - 0.01
    plans = [plan_of("d")] * 400
    found = front_of(first, plans).compare(front_of(second, plans[:300]))
    pairs = (first[:, None] <= second[None]).all(axis=2)
    assert found.coverage["A->B"] == pairs.any(axis=0).mean()
    assert found.coverage["B->A"] == (second[:, None] <= first[None]).all(axis=2).any(axis=0).mean()
    assert 0 < np.mean(list(found.coverage.values())) < 1
