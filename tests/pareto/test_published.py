"""The published fronts of assignment problems; what ranges and broken numbers must not spoil."""

import json
from pathlib import Path

import pytest

from edgeplan.instances.importers import import_file
from edgeplan.pareto.engine import pareto
from tests.pareto.assignments import assignment
from tests.pareto.small_fronts import brute_force, differences

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "morepo-ap"
NAMES = ("latency", "energy", "cost")


def hold(file, count, solver):
    if solver == "cp-sat":
        pytest.importorskip("ortools")
    path = DATA / f"{file}.json"
    if not path.exists():
        pytest.skip("the published sets are not here")
    tree = json.loads(path.read_text())
    expected = {tuple(map(float, y)) for y in tree["nondominated"]}
    if "profit" in tree:
        expected = {tuple(10.0 * tree["n"] - v for v in y) for y in expected}
    assert len(expected) == count
    front = pareto(import_file("assignment", path).problem, NAMES, solver=solver)
    assert set(front.values) == expected
    assert len(front) == count
    assert front.exact
    assert front.hypervolume.lower == pytest.approx(front.hypervolume.upper, rel=1e-12)


@pytest.mark.parametrize("solver", ["labels", "highs", "cp-sat"])
@pytest.mark.parametrize(
    ("file", "count"), [("AP_p-3_n-5_ins-1", 21), ("AP_p-3_n-5_ins-2", 13), ("GAP_3x10", 42)]
)
def test_the_small_published_fronts(file, count, solver):
    hold(file, count, solver)


def test_the_published_front_of_161():
    hold("AP_p-3_n-10_ins-1", 161, "auto")


@pytest.mark.long
@pytest.mark.parametrize(
    ("file", "count", "solver"),
    [("AP_p-3_n-10_ins-1", 161, "highs"), ("AP_p-3_n-15_ins-1", 878, "auto")],
)
def test_the_large_published_fronts(file, count, solver):
    hold(file, count, solver)


@pytest.mark.parametrize("solver", ["labels", "highs", "cp-sat"])
@pytest.mark.parametrize(
    "numbers", [{"factor": 1e5}, {"digits": 3}, {"largest": 2_000_000}, {"digits": 12}]
)
def test_ranges_and_broken_numbers_lose_no_point(numbers, solver):
    if solver == "cp-sat":
        pytest.importorskip("ortools")
    problem = assignment(4, 7, **numbers)
    front = pareto(problem, NAMES, solver=solver)
    expected = brute_force(problem, NAMES)
    assert differences(front.values, expected) == ([], [])
    assert len(front) == len(expected) > 5
    assert front.exact
