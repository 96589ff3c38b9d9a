"""Results and evaluations for machines."""

from __future__ import annotations

import json
import math

import pytest

from edgeplan.instances import bundled
from edgeplan.instances.generators import random_loaded_problem, random_plan
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.result import evaluation_json, replicas_json, routes_json


def _whole(device: str) -> Plan:
    return Plan(
        routes={
            "watch": (Route(devices=(device, device)),),
            "listen": (Route(devices=("gateway",)),),
        }
    )


def test_waits_deadlines_and_slack_are_told() -> None:
    problem = bundled.load("tail-deadline").problem
    evaluation = evaluate(problem, _whole("gateway"))
    document = evaluation_json(evaluation)
    assert document["source"] == "predicted"
    watch, listen = document["streams"]
    price = evaluation.streams[0]
    assert watch["basis"] == "approximate"
    assert watch["wait_seconds"] == price.wait_seconds > 0
    assert watch["tails"] == {"p95": dict(price.tails)[0.95], "p99": dict(price.tails)[0.99]}
    mean, tail = watch["deadlines"]
    assert (mean["statistic"], mean["limit_seconds"]) == ("mean", 0.1)
    assert (tail["statistic"], tail["basis"]) == ("p95", "estimated")
    for deadline, value in ((mean, price.latency_seconds), (tail, watch["tails"]["p95"])):
        assert deadline["value_seconds"] == value
        assert deadline["slack_seconds"] == pytest.approx(deadline["limit_seconds"] - value)
    assert tail["slack_seconds"] < 0 < mean["slack_seconds"]
    assert [item["kind"] for item in document["violations"]] == ["tail deadline"]
    assert listen["deadlines"] == []
    (route,) = watch["routes"]
    assert (route["batch"], route["fill_seconds"]) == (1, 0)
    assert route["wait_seconds"] == pytest.approx(route["stages"][0]["wait_seconds"])
    assert route["stages"][0]["cv2"] == 1
    gateway = document["devices"][0]
    assert gateway["wait_seconds"] == route["stages"][0]["wait_seconds"]
    assert gateway["decay_per_second"] > 0
    assert (gateway["basis"], gateway["replicas"]) == ("approximate", 1)
    uplink = document["links"][0]
    assert (uplink["wait_seconds"], uplink["basis"]) == (None, "none")


def test_what_crosses_a_link_waits_there() -> None:
    problem = bundled.load("tail-deadline").problem
    document = evaluation_json(evaluate(problem, _whole("cloud")))
    (transfer,) = document["streams"][0]["routes"][0]["stages"][0]["transfers"]
    assert transfer["wait_seconds"] == document["links"][0]["wait_seconds"] > 0
    assert document["links"][0]["basis"] == "exact"


def test_batches_and_copies_are_told() -> None:
    problem = bundled.load("batches-and-copies").problem
    route = Route(devices=("server", "server"), batch=2)
    plan = Plan(routes={"frames": (route,)}, replicas={"server": 3})
    evaluation = evaluate(problem, plan)
    (told,) = evaluation_json(evaluation)["streams"][0]["routes"]
    assert told["batch"] == 2
    assert told["fill_seconds"] == pytest.approx(1 / 240)
    assert routes_json(plan)["frames"][0]["batch"] == 2
    assert replicas_json(evaluation) == {"server": 3}


def test_a_queue_without_end_has_no_number() -> None:
    problem = bundled.load("batches-and-copies").problem
    plan = Plan(routes={"frames": (Route(devices=("server", "server")),)}, replicas={"server": 1})
    evaluation = evaluate(problem, plan)
    assert math.isinf(evaluation.streams[0].wait_seconds)
    document = evaluation_json(evaluation)
    assert document["streams"][0]["wait_seconds"] is None
    assert document["streams"][0]["tails"] == {"p95": None, "p99": None}
    assert document["devices"][1]["wait_seconds"] is None
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("seed", range(12))
def test_every_evaluation_is_strict_json(seed: int) -> None:
    problem = random_loaded_problem(seed, splittable=seed % 2 > 0)
    for number in range(8):
        evaluation = evaluate(problem, random_plan(problem, number))
        text = json.dumps(evaluation_json(evaluation), allow_nan=False)
        assert len(json.loads(text)["streams"]) == len(problem.streams)
