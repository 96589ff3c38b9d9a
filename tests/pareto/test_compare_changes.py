from hypothesis import given, settings
from hypothesis import strategies as st

from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.changes import find_changes, moves
from edgeplan.pareto.front import Point, keep_nondominated, route_words
from edgeplan.pareto.sets import point_set
from tests.pareto.fronts import front_of, plan_of


def plan_for(camera: str, robot: str, **replicas: int) -> Plan:
    return Plan(
        routes={"camera": (Route(devices=(camera, "edge")),), "robot": (Route(devices=(robot,)),)},
        replicas=replicas,
    )


BEFORE = point_set(
    front_of(
        [(1, 9), (2, 5), (4, 4), (8, 1)],
        [
            plan_for("phone", "edge"),
            plan_for("phone", "cloud", edge=2),
            plan_for("a", "b"),
            plan_for("c", "d"),
        ],
    ),
    "before",
)
AFTER = point_set(
    front_of(
        [(1, 9), (2, 5), (3, 3), (9, 0.5)],
        [
            plan_for("phone", "edge"),
            plan_for("edge", "cloud", edge=3),
            plan_for("a", "c"),
            plan_for("c", "d"),
        ],
    ),
    "after",
)


def words(moved):
    return {stream: tuple(map(route_words, routes)) for stream, routes in moved.items()}


def test_what_changed_plan_by_plan():
    found = find_changes(BEFORE, AFTER)
    assert (found.first, found.second, found.same) == ("before", "after", 1)
    (other,) = found.of("other plan")
    assert (other.first, other.second, other.difference) == (1, 1, (0.0, 0.0))
    assert words(other.moved) == {"camera": ("phone[0] > edge[1]", "edge[0-1]")}
    assert other.replicas == {"edge": (2, 3)}
    beaten, missing = found.of("gone")
    assert (beaten.first, beaten.second, beaten.dominated) == (2, 2, True)
    assert beaten.difference == (-1.0, -1.0)
    assert words(beaten.moved) == {"robot": ("b[0]", "c[0]")}
    assert (missing.first, missing.second, missing.dominated) == (3, 3, False)
    assert missing.moved == {}
    assert [(new.first, new.second, new.dominated) for new in found.of("new")] == [
        (2, 2, False),
        (3, 3, False),
    ]
    assert found.streams == {"robot": 2, "camera": 1}


def test_as_json():
    document = find_changes(BEFORE, AFTER).as_json()
    assert document["streams_moved"] == {"robot": 2, "camera": 1}
    assert document["items"][0] == {
        "kind": "other plan",
        "first": 1,
        "second": 1,
        "dominated": False,
        "difference": {"latency_seconds": 0.0, "energy_joules": 0.0},
        "moved": {"camera": {"before": "phone[0] > edge[1]", "after": "edge[0-1]"}},
        "replicas": {"edge": {"before": 2, "after": 3}},
    }


def test_the_order_of_routes_does_not_count():
    one, two = Route(devices=("a",), fraction=0.25), Route(devices=("b",), fraction=0.75)
    first, second = Plan(routes={"s": (one, two)}), Plan(routes={"s": (two, one)})
    assert moves(first, second) == {}
    only = Plan(routes={"s": (Route(devices=("b",)),)})
    assert words(moves(first, only)) == {"s": ("0.75: b[0]; 0.25: a[0]", "b[0]")}


def test_streams_that_only_one_plan_has():
    assert words(moves(plan_of("a"), plan_of("a", stream="other"))) == {
        "camera": ("a[0]", ""),
        "other": ("", "a[0]"),
    }


def test_nothing_to_compare_with():
    empty = point_set(front_of([]), "empty")
    found = find_changes(BEFORE, empty)
    assert [(c.kind, c.first, c.second) for c in found.items] == [
        ("gone", k, None) for k in range(4)
    ]
    assert all(c.kind == "new" and c.first is None for c in find_changes(empty, AFTER).items)


images = st.lists(st.tuples(*[st.integers(1, 8).map(float)] * 2), max_size=8)


@given(images, images)
@settings(max_examples=50)
def test_every_point_is_accounted_for_once(first, second):
    fronts = []
    for rows in (first, second):
        points = keep_nondominated([Point(row, plan_of("d")) for row in rows])
        fronts.append(front_of([p.values for p in points], [p.plan for p in points]))
    a, b = fronts
    found = find_changes(point_set(a, "a"), point_set(b, "b"))
    assert found.same == len(set(a.values) & set(b.values))
    assert [c.first for c in found.of("gone")] == [
        k for k, row in enumerate(a.values) if row not in b.values
    ]
    assert [c.second for c in found.of("new")] == [
        k for k, row in enumerate(b.values) if row not in a.values
    ]
    for change in found.of("gone"):
        mine = a.values[change.first]
        better = any(x <= mine[0] and y <= mine[1] for x, y in b.values)
        assert change.dominated == better
