"""Bundled instances: each recorded optimum is proved again, through the evaluator alone."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from edgeplan.instances import bundled
from edgeplan.instances.generators.four_sites import SITES, four_sites
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from tests.instances.enumeration import cheapest

SPLIT = "splittable-load"
SINGLE = [name for name in bundled.names() if name != SPLIT]

PROVED_UNDER_LOAD = [
    name for name in bundled.load_names() if bundled.record(name).objective is not None
]


def _without(problem: Problem, **changes: object) -> float:
    return cheapest(dataclasses.replace(problem, **changes))[0]


def test_there_are_at_least_six() -> None:
    assert len(bundled.names()) >= 6
    assert all(bundled.load(name).problem.name == name for name in bundled.names())
    folder = Path(bundled.__file__).parent
    files = {path.stem for path in folder.glob("*.yaml")} - {"optima"}
    assert files == {*bundled.names(), *bundled.load_names()}
    assert not set(bundled.names()) & set(bundled.load_names())


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


def test_each_under_load_is_one() -> None:
    for name in bundled.load_names():
        problem = bundled.load(name).problem
        assert problem.name == name
        assert problem.load_features
    assert not any(bundled.load(name).problem.load_features for name in bundled.names())


@pytest.mark.parametrize("name", PROVED_UNDER_LOAD)
def test_the_recorded_optimum_under_load_is_the_cheapest_of_all_plans(name: str) -> None:
    problem = bundled.load(name).problem
    assert not any(stream.splittable for stream in problem.streams)
    price, plan, tried = cheapest(problem)
    assert plan is not None
    assert tried >= 8
    assert math.isclose(price, bundled.optimum(name), rel_tol=1e-12)


def test_without_a_proof_there_is_no_optimum() -> None:
    assert bundled.record("four-sites").objective is None
    with pytest.raises(InputError, match="dealt by fraction"):
        bundled.optimum("four-sites")


@pytest.mark.parametrize("name", [*bundled.names(), *bundled.load_names()])
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


def test_load_changes_the_optimum() -> None:
    load = bundled.load

    tail = load("tail-deadline").problem
    plan = cheapest(tail)[1]
    free = tuple(dataclasses.replace(stream, tail_deadlines=()) for stream in tail.streams)
    near = cheapest(dataclasses.replace(tail, streams=free))[1]
    assert plan is not None
    assert near is not None
    assert plan.routes["watch"][0].devices == ("cloud", "cloud")
    assert near.routes["watch"][0].devices == ("gateway", "gateway")

    batches = load("batches-and-copies").problem
    plan = cheapest(batches)[1]
    single = tuple(dataclasses.replace(stream, max_batch=1) for stream in batches.streams)
    alone = cheapest(dataclasses.replace(batches, streams=single))[1]
    assert plan is not None
    assert alone is not None
    assert (plan.routes["frames"][0].batch, plan.replicas) == (2, {"server": 1})
    assert (alone.routes["frames"][0].batch, alone.replicas) == (1, {"server": 2})


class TestFourSites:
    def test_the_files_are_what_the_generator_makes(self) -> None:
        assert bundled.load("four-sites").problem == four_sites()
        skewed = bundled.load("four-sites-skewed").problem
        assert dataclasses.replace(skewed, name="four-sites") == four_sites((0.95, 0.3, 0.3, 0.3))

    @pytest.mark.parametrize("load", [0, 1, 1.2, -0.5, (0.5, 0.5), (0.5, 0.5, 0.5, 0.0)])
    def test_loads_must_be_four_shares(self, load: float | tuple[float, ...]) -> None:
        with pytest.raises(ValueError, match="four loads between 0 and 1"):
            four_sites(load)

    @pytest.mark.parametrize(
        ("load", "gain"), [(0.7, 0.02), (0.85, 0.33), (0.93, 0.43), (0.97, 0.42)]
    )
    def test_the_balanced_mix_gains_what_the_file_says(self, load: float, gain: float) -> None:
        """Every share to the cloud in steps of 1 %, with every number of copies."""
        problem = four_sites(load, contention="none")
        edge = _mixed(problem, 0.0, 1)
        clouds = [_mixed(problem, 1.0, copies) for copies in range(1, 9)]
        cloud = min(price for price in clouds if price[0] < math.inf)
        # By the objective, as a solver would choose; what is compared is the latency.
        best = min(
            _mixed(problem, share / 100, copies) for share in range(0, 40) for copies in range(1, 9)
        )
        assert round(1 - best[1] / min(edge[1], cloud[1]), 2) == gain
        assert math.isclose(edge[1], 0.012 + 0.012 * load * 1.1 / (2 * (1 - load)))

    def test_uplinks_are_loaded_four_thirds_of_the_sites(self) -> None:
        problem = four_sites(0.7)
        routes = {site: (Route(devices=("cloud",)),) for site in SITES}
        price = evaluate(problem, Plan(routes=routes, replicas={"cloud": 8}))
        uplink = next(load for load in price.links if load.name == "north->cloud")
        assert math.isclose(uplink.utilisation, 0.7 * 4 / 3)
        assert price.feasible

    def test_an_edge_pool_mends_the_skew(self) -> None:
        problem = bundled.load("four-sites-skewed").problem
        own = {site: (Route(devices=(site,)),) for site in SITES}
        alone = evaluate(problem, Plan(routes=own))
        assert round(alone.latency_seconds, 3) == 0.078
        hot = (
            Route(devices=("north",), fraction=0.55),
            *(Route(devices=(site,), fraction=0.15) for site in SITES[1:]),
        )
        pooled = evaluate(problem, Plan(routes={**own, "north": hot}))
        assert pooled.feasible
        assert 0.019 < pooled.latency_seconds < 0.0196


def _mixed(problem: Problem, share: float, copies: int) -> tuple[float, float]:
    """Return objective and latency where each site sends a share of its requests to the cloud."""
    shares = (("own", 1 - share), ("cloud", share))
    routes = {
        site: tuple(
            Route(devices=(site if where == "own" else where,), fraction=fraction)
            for where, fraction in shares
            if fraction > 0
        )
        for site in SITES
    }
    price = evaluate(problem, Plan(routes=routes, replicas={"cloud": copies}))
    return (price.objective, price.latency_seconds) if price.feasible else (math.inf, math.inf)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match="chain-two-tier"):
        bundled.load("../../etc/passwd")
