import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.model.errors import InputError
from edgeplan.pareto.choose import choose, find_rates
from edgeplan.pareto.front import Front, Point, keep_nondominated
from edgeplan.pareto.indicators import array
from tests.pareto.fronts import front_of, plan_of, sphere

FRONT = front_of([(0.010, 10), (0.020, 6), (0.030, 3), (0.060, 2), (0.110, 0)])
"""Seconds and joules. Normalised: (0, 1), (.1, .6), (.2, .3), (.5, .2), (1, 0)."""


# --- ways to choose -----------------------------------------------------------------------------


def test_a_limit_and_a_preference():
    choice = FRONT.choose(limits={"latency": 0.05}, prefer="energy")
    assert choice.point is FRONT.points[2]
    assert choice.index == 2
    assert (choice.passing, choice.count) == (3, 5)
    assert choice.why == "the least energy, of the 3 of 5 points with latency ≤ 50 ms"


def test_a_limit_is_met_by_equality():
    assert FRONT.choose(limits={"latency": 0.03}, prefer="energy").index == 2
    assert FRONT.choose(limits={"energy": 0}).index == 4


def test_of_equals_the_next_preference_decides():
    front = front_of([(1, 5, 3), (1, 6, 2), (2, 1, 9), (3, 1, 1)])
    # Alone the least sum decides: 0 + .8 + .25 against 0 + 1 + .125.
    assert front.choose(prefer="latency").point.values == (1, 5, 3)
    assert front.choose(prefer=["latency", "cost"]).point.values == (1, 6, 2)
    assert front.choose(prefer=["energy", "cost"]).point.values == (3, 1, 1)
    assert front.choose(prefer=["energy", "latency"]).why.startswith(
        "the least energy, then the least latency"
    )


def test_a_reference_point():
    # Shortfalls of (.2, .3) behind (.1, .2): .1 and .1, the least largest.
    choice = FRONT.choose(reference={"latency": 0.02, "energy": 2})
    assert choice.index == 2
    assert "to the reference point latency 20 ms, energy 2 J" in choice.why
    # What is not said is as good as the nadir, here 10 J.
    assert FRONT.choose(reference={"latency": 0.0}).index == 0
    # One that is worse than needed: the point that is ahead by most where it is least so, here
    # by .5 of the range of energy.
    assert FRONT.choose(reference={"latency": 0.2, "energy": 5}).index == 4


def test_pseudo_weights():
    assert FRONT.choose(weights={"latency": 1}).index == 0
    assert FRONT.choose(weights={"energy": 2}).index == 4
    # (.2, .3) has gained .8 and .7: weights 8/15 and 7/15.
    assert FRONT.choose(weights={"latency": 8, "energy": 7}).index == 2
    choice = FRONT.choose(weights={"latency": 1, "energy": 3})
    assert choice.why == "the pseudo-weights nearest to latency 0.25, energy 0.75, of 5 points"


def test_an_objective_that_is_everywhere_the_same_has_no_weight():
    front = front_of([(1, 3, 7), (3, 1, 7)])
    assert front.choose(weights={"latency": 1}).index == 0
    assert front.choose(weights={"energy": 1, "cost": 1}).index == 1


def test_the_knee_is_chosen_where_nothing_is_said():
    assert FRONT.choose().index == FRONT.choose(knee="hyperplane").index == 2
    assert FRONT.choose().why.startswith("the knee (farthest below the hyperplane")
    assert FRONT.choose(knee="trade-off rate").index == 2
    # Of those that pass.
    assert FRONT.choose(limits={"latency": 0.025}).index == 1


def test_where_nothing_bends_the_least_sum_is_chosen():
    front = front_of([(0, 10), (6, 9), (9, 5), (10, 0)])
    choice = front.choose()
    assert choice.index == 0
    assert "no knee" in choice.why
    assert front_of([(1, 1)]).choose().index == 0


# --- faults -------------------------------------------------------------------------------------


def test_a_limit_that_no_point_keeps_is_told_with_the_least():
    with pytest.raises(InputError) as error:
        FRONT.choose(limits={"latency": 0.005, "energy": 5})
    (fault,) = error.value.faults
    assert fault.place == "limits.latency"
    assert fault.message == "no point has latency ≤ 5 ms: the least is 10 ms"


def test_limits_that_conflict_are_told_with_the_nearest_point():
    with pytest.raises(InputError) as error:
        FRONT.choose(limits={"latency": 0.02, "energy": 3.5})
    text = str(error.value)
    assert "latency 2, energy 3" in text
    # (30 ms, 3 J) breaks one by a tenth of its range; (20 ms, 6 J) the other by a quarter.
    assert text.endswith("the nearest is point 2, which has latency 30 ms > 20 ms")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"limits": {"cost": 1}}, "limits.cost: is no objective of the front; it has latency, en"),
        ({"limits": {"latency": math.nan}}, "limits.latency: must be a finite number"),
        ({"prefer": "cost"}, "prefer.cost: is no objective"),
        ({"prefer": []}, "prefer: must name an objective"),
        ({"prefer": "energy", "weights": {"energy": 1}}, "weights: cannot be given together with"),
        ({"reference": {}}, "reference: must have a value"),
        ({"reference": {"speed": 1}}, "reference.speed: is no objective"),
        ({"weights": {"latency": -1, "energy": 2}}, "weights: must not be negative"),
        ({"weights": {}}, "weights: must not be negative, nor all 0"),
        ({"knee": "elbow"}, "knee: must be one of hyperplane, trade-off rate"),
    ],
)
def test_faults(how, expected):
    with pytest.raises(InputError) as error:
        FRONT.choose(**how)
    assert expected in str(error.value)


def test_an_empty_front():
    with pytest.raises(InputError, match="has no points to choose from"):
        front_of([]).choose()


# --- rates --------------------------------------------------------------------------------------


def test_rates_are_those_of_the_next_points():
    less_latency, less_energy = FRONT.choose(limits={"latency": 0.05}, prefer="energy").rates
    # To (20 ms, 6 J): 10 ms for 3 J.
    assert (less_latency.objective, less_latency.neighbour) == ("latency", 1)
    assert less_latency.step == pytest.approx(0.01)
    assert less_latency.per_unit["energy"] == pytest.approx(300)
    assert less_latency.words() == "1 ms less latency costs 300 mJ energy"
    # To (60 ms, 2 J): 1 J for 30 ms.
    assert (less_energy.objective, less_energy.neighbour) == ("energy", 3)
    assert less_energy.words() == "1 J less energy costs 30 ms latency"


def test_there_is_no_rate_of_what_is_at_its_least():
    assert [rate.objective for rate in find_rates(FRONT, 0)] == ["energy"]
    assert [rate.objective for rate in find_rates(FRONT, 4)] == ["latency"]
    assert find_rates(front_of([(1, 1)]), 0) == ()


def test_a_rate_may_save_too():
    front = front_of([(2, 2, 2), (1, 3, 1)])
    (energy,) = find_rates(front, 0)
    assert energy.words() == "1 J less energy costs 1 s latency and 1 $ cost"
    assert [rate.words() for rate in find_rates(front, 1)] == [
        "1 s less latency costs 1 J energy, and saves 1 $ cost",
        "1 $ less cost costs 1 J energy, and saves 1 s latency",
    ]


def test_of_near_points_the_cheapest_exchange_is_taken():
    # 1 of 10 less latency: for 2 of energy, or for 6 of energy and a little of cost less.
    front = front_of([(5, 5, 5), (4, 7, 5), (4.1, 9, 4.9), (10, 0, 9), (0, 10, 10), (9, 9, 0)])
    rate = find_rates(front, front.values.index((5, 5, 5)))[0]
    assert rate.objective == "latency"
    assert front.values[rate.neighbour] == (4, 7, 5)
    assert rate.changes == {"energy": 2.0, "cost": 0.0}


def test_as_json():
    document = json.loads(json.dumps(FRONT.choose().as_json(FRONT), allow_nan=False))
    assert document["point"] == 2
    assert (document["latency_seconds"], document["energy_joules"]) == (0.03, 3.0)
    assert document["rates"][0]["per_unit"] == {"energy_joules": pytest.approx(300)}


# --- properties ---------------------------------------------------------------------------------


@st.composite
def fronts(draw) -> Front:
    width = draw(st.integers(2, 4))
    rows = draw(st.lists(st.tuples(*[st.integers(0, 9)] * width), min_size=1, max_size=10))
    points = [Point(tuple(map(float, row)), plan_of("d")) for row in rows]
    kept = keep_nondominated(points)
    return front_of([p.values for p in kept], [p.plan for p in kept])


@given(fronts(), st.data())
@settings(max_examples=60)
def test_every_way_takes_a_point_that_keeps_the_limits(front, data):
    """Whatever is asked, the point keeps the limits and is as good as its rule says."""
    sound = data.draw(st.sampled_from(front.points)).values
    limits = {name: sound[k] for k, name in enumerate(front.objectives) if data.draw(st.booleans())}
    passing = [
        values
        for values in front.values
        if all(values[front.objectives.index(name)] <= limit for name, limit in limits.items())
    ]
    name = data.draw(st.sampled_from(front.objectives))
    by_name = choose(front, limits=limits, prefer=name)
    k = front.objectives.index(name)
    assert by_name.point.values[k] == min(values[k] for values in passing)
    wish = dict.fromkeys(front.objectives, data.draw(st.integers(-3, 12)))
    by_wish = choose(front, limits=limits, reference=wish)
    rows = array(front.values, len(front.objectives))
    span = np.where(np.ptp(rows, axis=0) > 0, np.ptp(rows, axis=0), 1)

    def shortfall(values):
        behind = (np.asarray(values) - np.asarray(list(wish.values()))) / span
        return behind.max() + 1e-4 * behind.sum()

    assert shortfall(by_wish.point.values) == pytest.approx(min(map(shortfall, passing)))
    for choice in (
        by_name,
        by_wish,
        choose(front, limits=limits),
        choose(front, limits=limits, knee="trade-off rate"),
        choose(front, limits=limits, weights={name: 1.0}),
    ):
        assert choice.point.values in passing
        assert choice.passing == len(passing)
        assert choice.point is front.points[choice.index]
        for rate in choice.rates:
            near = front.values[rate.neighbour]
            own = front.objectives.index(rate.objective)
            assert rate.step == choice.point.values[own] - near[own] > 0
            assert max(rate.changes.values(), default=0) > 0  # nothing is free on a front


def test_a_large_front_is_chosen_from():
    rows = sphere(2000, 3, 5)
    front = front_of(rows, [plan_of("d")] * len(rows))
    choice = front.choose(weights={"latency": 1, "energy": 1, "cost": 1})
    assert choice.point.values == pytest.approx([1.1 - 3**-0.5] * 3, abs=0.05)
    assert len(choice.rates) == 3
