"""A front on its way: bounds that bracket the final hypervolume, limits, and Ctrl-C."""

import threading

import pytest

from edgeplan.model.errors import InputError
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.hypervolume import dominated_volume, possible_volume
from tests.pareto.assignments import assignment
from tests.pareto.small_fronts import small_problem

CLOSE = 1e-9


def hold_bounds(problem, objectives, solver="highs", **options):
    moments = []
    front = pareto(problem, objectives, solver=solver, on_progress=moments.append, **options)
    assert front.complete, front.message
    final = front.hypervolume
    assert final.upper == pytest.approx(final.lower, rel=CLOSE)
    lower, upper = 0.0, float("inf")
    for moment in moments:
        now = moment.hypervolume
        assert now.reference == final.reference
        assert lower * (1 - CLOSE) <= now.lower <= final.lower * (1 + CLOSE)
        assert final.upper * (1 - CLOSE) <= now.upper <= upper * (1 + CLOSE)
        lower, upper = now.lower, now.upper
    return moments


@pytest.mark.parametrize("seed", range(6))
def test_bounds_bracket_the_final_hypervolume(seed, monkeypatch):
    monkeypatch.setattr("edgeplan.pareto.engine.BOUND_SECONDS", 0.0)
    moments = hold_bounds(assignment(4, seed), ("latency", "energy", "cost"))
    assert moments[0].hypervolume.upper > moments[0].hypervolume.lower


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_bounds_bracket_on_many(seed, monkeypatch):
    monkeypatch.setattr("edgeplan.pareto.engine.BOUND_SECONDS", 0.0)
    hold_bounds(*small_problem(seed))
    hold_bounds(assignment(6, seed), ("latency", "energy", "cost"))


def test_a_number_of_points_is_enough():
    front = pareto(assignment(5, 1), ("latency", "energy", "cost"), points=4, solver="highs")
    assert 4 <= len(front) < 8
    assert not front.complete
    assert not front.exact
    assert front.hypervolume.lower < front.hypervolume.upper
    assert "points" in front.message


def test_a_gap_is_enough():
    problem, objectives = assignment(5, 1), ("latency", "energy", "cost")
    whole = pareto(problem, objectives)
    front = pareto(problem, objectives, gap=0.2, solver="highs")
    assert 3 <= len(front) < len(whole)
    known = front.hypervolume
    assert known.upper - known.lower <= 0.2 * known.upper
    assert known.lower <= whole.hypervolume.lower <= known.upper


@pytest.mark.parametrize("solver", ["auto", "highs"])
def test_stop_returns_what_there_is(solver):
    stop = threading.Event()

    def tell(moment):
        if moment.points >= 3:
            stop.set()

    problem = assignment(5, 2)
    front = pareto(
        problem, ("latency", "energy", "cost"), on_progress=tell, stop=stop, solver=solver
    )
    assert len(front) >= 1
    assert not front.complete
    assert front.message == "interrupted"


def test_ctrl_c_returns_what_there_is():
    def tell(moment):
        if moment.points >= 3:
            raise KeyboardInterrupt

    front = pareto(assignment(5, 2), ("latency", "energy", "cost"), on_progress=tell)
    assert len(front) >= 1
    assert not front.complete


def test_no_time_gives_no_point():
    front = pareto(assignment(5, 2), ("latency", "energy"), time_limit=0.0, solver="highs")
    assert not front.complete
    assert not front.exact
    assert "time limit" in front.message


def test_processes_find_the_same_front():
    problem, objectives = assignment(4, 3), ("latency", "energy", "cost")
    one = pareto(problem, objectives, solver="highs")
    two = pareto(problem, objectives, solver="highs", jobs=2)
    assert one.values == two.values
    assert two.exact


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gap": 1.0}, "gap"),
        ({"jobs": 0}, "jobs"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"solver": "simplex"}, "solver"),
        ({"resolution": (1.0,)}, "resolution"),
        ({"resolution": (1.0, -1.0, 0.0)}, "resolution"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        pareto(assignment(3, 0), ("latency", "energy", "cost"), **options)


def test_one_objective_is_no_front():
    with pytest.raises(InputError, match="two"):
        pareto(assignment(3, 0), ("latency",))


def test_volumes():
    assert dominated_volume([], (1.0, 1.0)) == 0.0
    assert dominated_volume([(2.0, 2.0)], (1.0, 1.0)) == 0.0
    corners = [(float("inf"), 1.0), (1.0, float("inf")), (2.0, 2.0)]
    assert possible_volume(corners, (1.0, 1.0), (3.0, 3.0)) == pytest.approx(3.0)
    assert possible_volume([], (1.0, 1.0), (3.0, 3.0)) == pytest.approx(4.0)
