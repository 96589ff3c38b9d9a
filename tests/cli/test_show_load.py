"""``edgeplan show`` of what is about load."""

from __future__ import annotations

import pytest

from edgeplan.instances import bundled
from edgeplan.instances.plans import write_plan
from edgeplan.model.plan import Plan, Route
from tests.cli.cli_helpers import invoke, invoke_json


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("four-sites", ["1 to 8", "up to 5", "mg1: requests queue at devices"]),
        ("tail-deadline", ["mean 100 ms, p95 150 ms", "cv² 2"]),
        ("batches-and-copies", ["2, 4", "1 to 4, one queue", "up to 4"]),
    ],
)
def test_an_instance_under_load(name, words, tmp_path):
    path = tmp_path / "instance.yaml"
    path.write_text(bundled.text(name))
    shown = invoke("show", path)
    assert shown.exit_code == 0
    for word in words:
        assert word in shown.stdout


def test_without_load_nothing_is_said_of_it(tmp_path):
    path = tmp_path / "instance.yaml"
    path.write_text(bundled.text("privacy"))
    shown = invoke("show", path).stdout
    for word in ("arrivals", "batch", "one queue", "mg1"):
        assert word not in shown


def test_a_plan_with_copies(tmp_path):
    plan = Plan(
        routes={"frames": (Route(devices=("server", "server"), batch=2),)}, replicas={"server": 3}
    )
    write_plan(plan, tmp_path / "plan.json")
    shown = invoke("show", tmp_path / "plan.json").stdout
    assert "Replicas" in shown
    assert shown.split("Replicas")[1].split()[:2] == ["server", "3"]
    routes = shown.partition("Replicas")[0]
    assert "batch" in routes
    row = next(line for line in routes.splitlines() if "frames" in line)
    assert row.split()[-3:] == ["2", "server", "0–1"]
    document = invoke_json("show", tmp_path / "plan.json")
    assert document["replicas"] == {"server": 3}
    assert document["routes"]["frames"][0]["batch"] == 2
