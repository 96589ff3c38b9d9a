import dataclasses
import json
import math
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.instances.plans import write_plan
from edgeplan.model.errors import InputError
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.files import read_front, read_points
from edgeplan.pareto.front import Front, Hypervolume, Point, keep_nondominated
from tests.pareto.fronts import front_of, plan_of

TWO = front_of([(2, 1), (1, 3)], instance="two", mips=5, seconds=0.25, message="done")

names = st.text(st.characters(categories=["L", "N", "P", "Z"]), min_size=1, max_size=8)
routes = st.builds(
    Route,
    devices=st.lists(names, min_size=1, max_size=3).map(tuple),
    fraction=st.floats(1e-6, 1),
    batch=st.integers(1, 8),
)
plans = st.builds(
    Plan,
    routes=st.dictionaries(names, st.lists(routes, min_size=1, max_size=2).map(tuple), max_size=3),
    replicas=st.dictionaries(names, st.integers(1, 5), max_size=2),
)
values = st.floats(-1e9, 1e9)
images = st.tuples(values, values, values)


@st.composite
def fronts(draw) -> Front:
    points = keep_nondominated(
        [Point(image, draw(plans)) for image in draw(st.lists(images, max_size=6))], 0.0
    )
    exact = draw(st.booleans())
    return Front(
        objectives=("cost", "latency", "throughput"),
        points=points,
        exact=exact,
        resolution=None if exact else draw(st.tuples(*[st.floats(0, 1)] * 3)),
        hypervolume=Hypervolume(1.5, 2.5, (1e9, 2e9, 3e9)),
        tolerance=draw(st.floats(0, 0.5)),
        mips=draw(st.integers(0, 10**6)),
        seconds=draw(st.floats(0, 1e6)),
        instance=draw(names),
        fingerprint="a" * 64,
        complete=draw(st.booleans()),
        message=draw(names),
    )


@settings(max_examples=40)
@given(fronts())
def test_json_gives_an_equal_front_back(front):
    assert Front.from_json(front.to_json()) == front
    assert json.loads(front.to_json()) == front.as_json()


def test_the_contract_of_json():
    document = json.loads(TWO.to_json())
    assert document["objectives"] == ["latency", "energy"]
    assert document["exact"] is True
    assert document["resolution"] is None
    assert document["points"] == [
        {
            "latency_seconds": 1.0,
            "energy_joules": 3.0,
            "plan": {"routes": {"camera": [{"devices": ["d1"], "fraction": 1.0}]}},
        },
        {
            "latency_seconds": 2.0,
            "energy_joules": 1.0,
            "plan": {"routes": {"camera": [{"devices": ["d0"], "fraction": 1.0}]}},
        },
    ]
    assert document["hypervolume"] == {"lower": 0.0, "upper": 0.0, "reference": [1e3, 1e3]}
    assert (document["mips"], document["seconds"]) == (5, 0.25)


def test_points_are_kept_in_order_with_their_plans():
    assert TWO.values == ((1.0, 3.0), (2.0, 1.0))
    assert [plan.routes["camera"][0].devices for plan in TWO.plans] == [("d1",), ("d0",)]
    assert len(TWO) == 2
    assert [point.values for point in TWO] == list(TWO.values)


def test_a_front_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TWO.points = ()
    frame = TWO.frame
    frame.loc[0, "latency_seconds"] = 99.0
    assert TWO.frame["latency_seconds"].tolist() == [1.0, 2.0]


def test_the_frame_has_values_and_routes():
    assert TWO.frame.columns.tolist() == ["latency_seconds", "energy_joules", "route.camera"]
    assert TWO.frame["route.camera"].tolist() == ["d1[0]", "d0[0]"]
    empty = front_of([])
    assert empty.frame.columns.tolist() == ["latency_seconds", "energy_joules"]
    assert empty.frame.empty


def test_files(tmp_path):
    folder = tmp_path / "a" / "b"
    written = TWO.write(folder)
    assert sorted(folder.iterdir()) == sorted(written)
    assert {path.name for path in written} == {"front.json", "front.csv", "front.parquet"}
    assert read_front(folder) == read_front(folder / "front.json") == TWO
    assert (folder / "front.csv").read_text() == (
        "latency_seconds,energy_joules,route.camera\n1.0,3.0,d1[0]\n2.0,1.0,d0[0]\n"
    )
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "front.parquet"), TWO.frame)
    table = read_points(folder / "front.csv")
    assert (table.objectives, table.values) == (TWO.objectives, TWO.values)


def test_without_pyarrow_there_is_no_parquet_and_no_old_one_stays(tmp_path, monkeypatch):
    TWO.write(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    written = front_of([(1, 1)]).write(tmp_path)
    assert {path.name for path in written} == {"front.json", "front.csv"}
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_a_failed_write_leaves_the_old_files(tmp_path, monkeypatch):
    TWO.write(tmp_path)

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match="No space left"):
        front_of([(1, 1)]).write(tmp_path)
    assert read_front(tmp_path) == TWO
    assert len(list(tmp_path.iterdir())) == 3


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        TWO.write(tmp_path / "file" / "folder")


def test_a_folder_without_a_front(tmp_path):
    with pytest.raises(InputError, match=r"front\.json: there is no such file"):
        read_front(tmp_path)


def test_another_file_is_not_a_front(tmp_path):
    write_plan(plan_of("d"), tmp_path / "plan.json")
    with pytest.raises(InputError, match="format: must be 'edgeplan-front'"):
        read_front(tmp_path / "plan.json")


def broken(**changes):
    document = TWO.as_json()
    document.update(changes)
    return json.dumps(document)


def point(**changes):
    return {"latency_seconds": 1, "energy_joules": 1, "plan": {"routes": {}}, **changes}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must be a mapping"),
        (broken(version=2), "version: must be 1, not '2'"),
        (broken(points=None), "points: is missing"),
        (broken(points={}), "points: must be a list"),
        (broken(points=[3]), "points[0]: must be an object"),
        (broken(points=[point(plan=None)]), "points[0].plan: must be an object, not null"),
        (broken(points=[point(energy_joules=None)]), "points[0].energy_joules: must be a number"),
        (broken(points=[point(energy_joules=True)]), "points[0].energy_joules: must be a number"),
        (broken(points=[point(energy_joules=10**400)]), "not valid JSON: a number with more"),
        (broken(points=[point(cost_dollars=1)]), "points[0].cost_dollars: unknown key; known: la"),
        (
            broken(points=[point(plan={"routes": {"s": [{"devices": [1]}]}})]),
            "points[0].plan.routes.s[0].devices[0]: must be text",
        ),
        (
            broken(points=[point(plan={"routes": {"s": [{"devices": ["d"], "fraction": 2}]}})]),
            "points[0].plan.routes.s[0].fraction: must be above 0 and at most 1",
        ),
        (
            broken(points=[point(latency_seconds=2), point(energy_joules=2)]),
            "points[1]: the points must be in ascending order",
        ),
        (broken(points=[point(), point()]), "points[1]: its image is dominated by, or equal to"),
        (broken(points=[point(), point(latency_seconds=2)]), "points[1]: its image is dominated"),
        (broken(objectives=["speed"]), "objectives[0]: there is no objective 'speed'"),
        (broken(objectives="latency"), "objectives: must be a list"),
        (broken(exact=1), "exact: must be true or false"),
        (broken(resolution=[1.0]), "resolution: must have 2 numbers"),
        (broken(resolution=[1.0, -1.0]), "resolution: must be finite numbers, not negative"),
        (broken(tolerance=1), "tolerance: must be at least 0 and below 1"),
        (broken(mips=-1), "mips: and seconds must be"),
        (broken(mips=1.5), "mips: must be a whole number"),
        (broken(seconds=None), "mips: and seconds must be finite"),
        (broken(surprise=1), "surprise: unknown key"),
        (broken(hypervolume={"lower": 1, "upper": 2}), "hypervolume.reference: is missing"),
        (
            broken(hypervolume={"lower": 1, "upper": 2, "reference": []}),
            "hypervolume.reference: must have 2 numbers",
        ),
        (
            broken(hypervolume={"lower": 3, "upper": 2, "reference": [1, 1]}),
            "hypervolume: lower must be",
        ),
        (
            broken(hypervolume={"lower": 1, "upper": None, "reference": [1, 1]}),
            "hypervolume: must be finite numbers",
        ),
        (broken().replace('"exact"', '"exact": true, "exact"'), "exact: is there twice"),
        (broken().replace("1.0", "NaN", 1), "must be a finite number"),
    ],
)
def test_faults_are_told_with_their_place(text, expected):
    with pytest.raises(InputError) as error:
        Front.from_json(text)
    assert expected in str(error.value)


def test_all_faults_are_told_at_once():
    text = broken(points=[point(plan=None), point(energy_joules="x", latency_seconds="y")])
    with pytest.raises(InputError) as error:
        Front.from_json(text)
    assert [fault.place for fault in error.value.faults] == [
        "points[0].plan",
        "points[1].latency_seconds",
        "points[1].energy_joules",
    ]


def test_values_must_be_finite_and_as_many_as_objectives():
    with pytest.raises(InputError, match=r"points\[0\]: every value must be a finite number"):
        front_of([(math.inf, 1)])
    box = Hypervolume(0, 0, (1, 1, 1))
    with pytest.raises(InputError, match=r"points\[0\]: 2 values, but there are 3"):
        front_of([(1, 1)], objectives=("latency", "energy", "cost"), hypervolume=box)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=12))
def test_keep_nondominated(rows):
    """What stays is what no other dominates, each image once."""
    kept = keep_nondominated([Point(tuple(map(float, row)), plan_of("d")) for row in rows])
    expected = {
        row
        for row in rows
        if not any(
            all(o <= r for o, r in zip(other, row, strict=True)) and other != row for other in rows
        )
    }
    assert len(kept) == len(expected)
    assert {point.values for point in kept} == expected


def test_images_within_the_tolerance_count_once():
    near = [Point((1.0, 2.0), plan_of("a")), Point((1.0 + 1e-12, 2.0 - 1e-12), plan_of("b"))]
    assert keep_nondominated(near) == (near[0],)
    assert keep_nondominated(near, 0.0) == tuple(near)
    # Within the tolerance in one value, the other decides.
    beaten = [Point((1.0, 3.0), plan_of("a")), Point((1.0 + 1e-12, 2.0), plan_of("b"))]
    assert keep_nondominated(beaten) == (beaten[1],)


def test_importing_the_front_loads_nothing_heavy():
    code = (
        "import sys, edgeplan.pareto.front, edgeplan.pareto.objectives\n"
        "print(sorted({'pandas', 'moocore', 'numpy', 'pydantic', 'scipy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
