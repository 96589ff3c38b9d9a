"""The plan beside the plans to beat: same means, same seeds, prices by the evaluator."""

from __future__ import annotations

import dataclasses
import math
import threading

import pytest

from benchmarks import four_sites as benchmark
from edgeplan.comparison import NAMES, at_rate, compare, origin_load, sweep
from edgeplan.comparison.report import half_width
from edgeplan.instances.generators import four_sites, random_loaded_problem
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import whole

FEW = {"requests": 4000, "time_limit": 20.0}


@pytest.fixture(scope="module")
def skewed():
    problem = four_sites((0.95, 0.3, 0.3, 0.3))
    return compare(problem, seeds=(1, 2, 3), **FEW)


def on_cloud(compared):
    return any(
        "cloud" in route.devices
        for routes in compared.baseline.plan.routes.values()
        for route in routes
    )


def test_every_plan_is_there_and_priced_under_the_whole_problem(skewed):
    assert tuple(compared.name for compared in skewed.plans) == NAMES
    assert skewed.chosen == "plan"
    for compared in skewed.plans:
        assert compared.baseline.evaluation == evaluate(skewed.problem, compared.baseline.plan)


def test_the_pool_keeps_away_from_the_cloud_and_shares_the_load(skewed):
    pool = skewed["edge-pool"]
    assert not on_cloud(pool)
    assert len(pool.baseline.plan.routes["north"]) > 1
    assert pool.feasible
    # The reference: from 61–66 ms for the better pure option to 19 ms.
    assert pool.baseline.evaluation.latency_seconds == pytest.approx(0.0195, abs=5e-4)
    assert skewed["all-edge"].baseline.evaluation.latency_seconds > 0.06


def test_without_waiting_each_site_serves_its_own(skewed):
    capacity = skewed["capacity-only"]
    alone = whole(skewed.problem, {s.name: s.origin for s in skewed.problem.streams})
    assert {n: r[0].devices for n, r in capacity.baseline.plan.routes.items()} == {
        n: r[0].devices for n, r in alone.routes.items()
    }


def test_no_feasible_baseline_is_better_than_the_plan(skewed):
    for compared in skewed.plans:
        if compared.feasible:
            assert skewed["plan"].price <= compared.price * (1 + 1e-4)


def test_plans_that_coincide_have_the_same_simulation(skewed):
    edge, cut = skewed["all-edge"], skewed["best-cut"]
    assert edge.baseline.plan == cut.baseline.plan
    assert edge.simulated is cut.simulated
    assert len(edge.simulated.runs) == 3
    assert edge.simulated.runs[0].latency_seconds != edge.simulated.runs[1].latency_seconds


def test_the_simulation_confirms_the_prediction(skewed):
    """Not where a site is busy 95 %: that takes many more requests."""
    for name in ("edge-pool", "plan"):
        compared = skewed[name]
        assert compared.simulated.latency_seconds == pytest.approx(
            compared.baseline.evaluation.latency_seconds, rel=0.1
        )
        assert 0 < compared.simulated.half_width < 0.1 * compared.simulated.latency_seconds


def test_of_one_seed_the_half_width_is_by_batch_means():
    found = compare(four_sites(0.5), **FEW)
    one = found["plan"].simulated
    assert len(one.runs) == 1
    assert 0 < one.half_width < 0.2 * one.latency_seconds


def test_without_a_cloud_there_is_no_pool_of_its_own():
    problem = four_sites(0.5)
    devices = tuple(dataclasses.replace(d, tier="edge") for d in problem.devices)
    found = compare(dataclasses.replace(problem, devices=devices), requests=0, time_limit=20.0)
    for name in ("edge-pool", "all-cloud"):
        assert found[name].baseline.plan is None
        assert "no device is of the tier cloud" in found[name].baseline.why
    assert found["plan"].feasible


def test_too_much_for_the_edge_is_said():
    found = compare(at_rate(four_sites(0.9, contention="none"), 1.3), requests=0, gap=1e-2)
    assert found["edge-pool"].baseline.why == "no plan keeps every limit without the cloud"
    assert not found["all-edge"].feasible
    assert found["all-cloud"].feasible
    assert found["plan"].feasible


def test_percentile_deadlines_do_not_bear_on_the_world_without_waiting():
    problem = random_loaded_problem(3)
    for seed in range(40):
        problem = random_loaded_problem(seed, streams=2, devices=2, layers=1)
        if any(stream.tail_deadlines for stream in problem.streams):
            break
    found = compare(problem, requests=0, time_limit=10.0)
    compared = found["capacity-only"]
    assert compared.baseline.plan is None or compared.baseline.evaluation == evaluate(
        problem, compared.baseline.plan
    )


def test_a_stop_keeps_what_is_done():
    stop = threading.Event()

    def step(what, done, total):
        if what == "min-cut":
            stop.set()

    found = compare(four_sites(0.5), on_step=step, stop=stop, **FEW)
    assert found.interrupted
    assert [compared.name for compared in found.plans] == list(NAMES[:5])
    assert found.result is None
    assert all(compared.simulated is None for compared in found.plans)
    assert found.chosen in NAMES[:5]


def test_a_stop_while_a_program_is_solved_shows_at_its_plan():
    """The solver gives what it has: all plans are there, but not as good as asked for."""
    stop = threading.Event()

    def step(what, done, total):
        if what == "plan":
            stop.set()

    found = compare(four_sites(0.5), on_step=step, stop=stop, requests=0)
    assert [compared.name for compared in found.plans] == list(NAMES)
    assert found.interrupted
    assert found["plan"].baseline.note == "interrupted: the best plan until then"


def test_a_stop_when_all_is_done_leaves_nothing_out():
    stop, steps = threading.Event(), []
    compare(four_sites(0.5), on_step=lambda *step: steps.append(step), **FEW)
    last = len(steps)

    def step(what, done, total):
        steps.append(what)
        if len(steps) == 2 * last:
            stop.set()

    assert not compare(four_sites(0.5), on_step=step, stop=stop, **FEW).interrupted
    assert stop.is_set()


def test_simulations_count_when_they_are_whole():
    stop = threading.Event()

    def step(what, done, total):
        if what.startswith("simulating") and done > 300_000:  # within the second run
            stop.set()

    found = compare(four_sites(0.5), on_step=step, stop=stop, requests=200_000, seeds=(0, 1, 2))
    assert found.interrupted
    first, *others = found.plans
    assert [run.seed for run in first.simulated.runs] == [0]
    assert first.simulated.runs[0].requests == 200_000
    assert all(other.simulated is None or other.simulated is first.simulated for other in others)


def test_loads_are_those_of_the_origins():
    assert origin_load(four_sites((0.9, 0.5, 0.3, 0.3))) == pytest.approx(0.5)
    loads = [load for load, _ in sweep(four_sites(0.9), (0.2, 0.4), requests=0, time_limit=20.0)]
    assert loads == [0.2, 0.4]
    for load, found in sweep(four_sites(0.9), (0.4,), requests=0, time_limit=20.0):
        assert origin_load(found.problem) == pytest.approx(load)
    problem = four_sites(0.5)
    network = problem.networks[0]
    costs = {name: cost for name, cost in network.costs.items() if name != "north"}
    gone = dataclasses.replace(problem, networks=(dataclasses.replace(network, costs=costs),))
    with pytest.raises(InputError, match="sweep the rates instead"):
        origin_load(gone)


def test_half_widths():
    # Student's quantile for one degree of freedom is 12.706.
    assert half_width([1.0, 3.0]) == pytest.approx(12.706, rel=1e-4)
    assert half_width([2.0]) is None
    assert half_width([2.0, 2.0]) == 0.0


def test_the_benchmark_prints_its_tables(capsys):
    benchmark.main(["--quick", "--requests", "2000", "--seeds", "2", "--contention", "none"])
    printed = capsys.readouterr().out
    for name in NAMES:
        assert f"| {name} |" in printed
    gain = next(line for line in printed.splitlines() if "gain, predicted" in line)
    share = float(gain.split("|")[2].split("%")[0])
    assert math.isclose(share, 33, abs_tol=1.5)
