"""Bundled instances: each recorded optimum is proved again, through the evaluator alone."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from edgeplan.instances import bundled
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from tests.instances.enumeration import cheapest

SPLIT = "splittable-load"
SINGLE = [name for name in bundled.names() if name != SPLIT]


def _without(problem: Problem, **changes: object) -> float:
    return cheapest(dataclasses.replace(problem, **changes))[0]


def test_there_are_at_least_six() -> None:
    assert len(bundled.names()) >= 6
    assert all(bundled.load(name).problem.name == name for name in bundled.names())
    folder = Path(bundled.__file__).parent
    files = {path.stem for path in folder.glob("*.yaml")} - {"optima"}
    assert files == set(bundled.names())


@pytest.mark.parametrize("name", SINGLE)
def test_the_recorded_optimum_is_the_cheapest_of_all_plans(name: str) -> None:
    problem = bundled.load(name).problem
    assert not any(stream.splittable for stream in problem.streams)
    price, plan, tried = cheapest(problem)
    assert plan is not None
    assert tried > 10
    assert math.isclose(price, bundled.optimum(name), rel_tol=1e-12)
    assert "enumerated" in bundled.record(name).proof


def test_the_split_optimum_holds_on_a_fine_grid() -> None:
    problem = bundled.load(SPLIT).problem
    assert cheapest(problem)[1] is None
    best = math.inf
    for share in range(1, 2000):
        fraction = share / 2000
        routes = (
            Route(devices=("gateway",), fraction=fraction),
            Route(devices=("camera",), fraction=1 - fraction),
        )
        price = evaluate(problem, Plan(routes={"s": routes}))
        if price.feasible:
            best = min(best, price.objective)
    assert math.isclose(best, bundled.optimum(SPLIT), rel_tol=1e-9)


@pytest.mark.parametrize("name", bundled.names())
def test_round_trip(name: str, tmp_path: Path) -> None:
    instance = bundled.load(name)
    write_instance(instance, tmp_path / "again.yaml")
    assert read_instance(tmp_path / "again.yaml") == instance


def test_each_shows_what_it_says() -> None:
    """Without the feature in question, each would have another optimum."""
    load = bundled.load

    plan = cheapest(load("chain-two-tier").problem)[1]
    assert plan is not None
    assert plan.routes["s"][0].devices == ("board", "board", "server", "server", "server")

    privacy = load("privacy").problem
    free = tuple(dataclasses.replace(stream, privacy=None) for stream in privacy.streams)
    assert _without(privacy, streams=free) < bundled.optimum("privacy") * 0.9

    budget = load("budget-bound").problem
    rich = dataclasses.replace(budget.budgets, dollars_per_hour=math.inf)
    assert _without(budget, budgets=rich) < bundled.optimum("budget-bound") * 0.9

    total = load("total-aggregate").problem
    mean = dataclasses.replace(total.objective, aggregate="mean")
    rare, often = cheapest(total)[1], cheapest(dataclasses.replace(total, objective=mean))[1]
    assert rare is not None
    assert often is not None
    assert rare != often

    shared = load("memory-shared-weights").problem
    (network,) = shared.networks
    twice = (network, dataclasses.replace(network, name="copy"))
    streams = (shared.streams[0], dataclasses.replace(shared.streams[1], network="copy"))
    apart = _without(shared, networks=twice, streams=streams)
    assert apart > bundled.optimum("memory-shared-weights") * 1.05

    idle = load("idle-consolidation").problem
    free_idle = tuple(
        dataclasses.replace(device, charge_idle=False, dollars_per_hour=0.0)
        for device in idle.devices
    )
    best = cheapest(dataclasses.replace(idle, devices=free_idle))[1]
    assert best is not None
    assert {route.devices[0] for routes in best.routes.values() for route in routes} == {
        "cpu",
        "gpu",
    }

    homes = load("multi-input-homes").problem
    home = tuple(dataclasses.replace(stream, homes={}) for stream in homes.streams)
    assert _without(homes, streams=home) != bundled.optimum("multi-input-homes")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="chain-two-tier"):
        bundled.load("../../etc/passwd")
