"""The published schema accepts every front that is written, and refuses what is none."""

from __future__ import annotations

import json

import jsonschema
import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.files import front_text
from edgeplan.pareto.schema import front_schema


@pytest.fixture(scope="module")
def published() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(front_schema())
    return jsonschema.Draft202012Validator(front_schema())


@pytest.mark.parametrize("objectives", [("latency", "energy"), ("latency", "energy", "cost")])
@pytest.mark.parametrize("points", [None, 1])
def test_it_accepts_fronts(published, objectives, points):
    found = pareto(random_problem(3), objectives, points=points)
    assert found.points
    published.validate(json.loads(front_text(found)))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "edgeplan-plan"},
        {"exact": "yes"},
        {"points": [{"latency_seconds": 1.0}]},
        {"points": [{"speed": 1.0, "plan": {"routes": {}}}]},
        {"more": 1},
    ],
)
def test_it_refuses_others(published, change):
    tree = json.loads(front_text(pareto(random_problem(3), ("latency", "energy"), points=1)))
    assert not published.is_valid({**tree, **change})


def test_every_key_is_described(published):
    for name, part in published.schema["properties"].items():
        assert part.get("description"), name
