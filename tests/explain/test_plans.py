"""Why a plan is as it is: alternatives, limits and worth against the evaluator and brute force."""

import dataclasses
import math
import threading

import pytest

from edgeplan.explain import explain_plan
from edgeplan.explain.amounts import with_amount
from edgeplan.explain.plans import find_binding
from edgeplan.explain.worth import GAP, LOADED_GAP
from edgeplan.instances.bundled import load, names
from edgeplan.instances.generators import KINDS, random_plan, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets
from edgeplan.solvers.enumerate import Enumerator
from tests.explain.explained_problems import plans_that_run, varied


def optimal(problem):
    return Enumerator().solve(problem).plan


def explained(name, **options):
    problem = load(name).problem
    return problem, explain_plan(problem, optimal(problem), **options)


def test_the_privacy_example_says_what_is_forbidden_and_what_it_costs():
    _, found = explained("privacy")
    hub, cloud = found.stages
    assert (hub.device, hub.first, hub.stop) == ("hub", 0, 2)
    assert (hub.next_best.kind, hub.next_best.device) == ("move", "door")
    assert hub.forbidden.device == "cloud"
    assert hub.forbidden.more == pytest.approx(-0.06252)
    assert {v.kind for v in hub.forbidden.violations} == {"privacy"}
    assert (cloud.forbidden.kind, cloud.forbidden.first, cloud.forbidden.stop) == ("border", 1, 2)


@pytest.mark.parametrize("seed", range(12))
def test_alternatives_are_what_the_evaluator_says(seed):
    problem = random_problem(seed, kind=KINDS[seed % 4], layers=4, devices=3, streams=2)
    plan = random_plan(problem, seed)
    found = explain_plan(problem, plan, time_limit=0.0)
    price = evaluate(problem, plan).objective
    for stage in found.stages:
        devices = plan.routes[stage.stream][stage.route].devices
        assert set(devices[stage.first : stage.stop]) == {stage.device}
        for other in stage.alternatives:
            moved = list(devices)
            moved[other.first : other.stop] = [other.device] * (other.stop - other.first)
            assert tuple(moved) != devices
            routes = {**plan.routes, stage.stream: (Route(devices=tuple(moved)),)}
            again = evaluate(problem, Plan(routes=routes))
            assert other.violations == again.violations
            assert other.objective == again.objective
            if math.isfinite(price) and math.isfinite(again.objective):
                assert other.more == pytest.approx(again.objective - price, abs=1e-9 * price)
        kinds = [(not other.feasible, other.objective) for other in stage.alternatives]
        assert kinds == sorted(kinds)
        assert stage.next_best is None or stage.next_best.feasible
        assert stage.forbidden is None or stage.forbidden.more < 0


@pytest.mark.parametrize("name", [name for name in names() if name != "splittable-load"])
def test_no_alternative_of_an_optimum_is_better(name):
    _, found = explained(name, time_limit=0.0)
    for stage in found.stages:
        assert stage.next_best is None or stage.next_best.more >= 0


def test_every_edge_and_device_is_an_alternative():
    problem = load("privacy").problem
    plan = Plan(routes={"ring": (Route(devices=("hub", "hub", "cloud", "cloud")),)})
    found = explain_plan(problem, plan, time_limit=0.0)
    changes = {(a.first, a.stop, a.device, a.kind) for a in found.stages[0].alternatives}
    assert changes == {
        (0, 2, "door", "move"),
        (0, 2, "cloud", "move"),
        (1, 2, "cloud", "border"),
        (2, 3, "hub", "border"),
    }


@pytest.mark.parametrize("seed", range(20))
def test_binding_agrees_with_the_evaluator(seed):
    problem = varied(random_problem(seed, kind=KINDS[seed % 4], layers=3), seed)
    problem = dataclasses.replace(
        problem, budgets=dataclasses.replace(problem.budgets, power_watts=20.0)
    )
    plan = next(plans_that_run(problem), None)
    if plan is None:
        pytest.skip("no plan can run")
    evaluation = evaluate(problem, plan)
    broken = {
        (violation.kind, violation.place): violation
        for violation in evaluation.violations
        if violation.value is not None
    }
    binding = find_binding(problem, evaluation)
    assert [b.share for b in binding] == sorted((b.share for b in binding), reverse=True)
    for found in binding:
        kind, *ends = found.item.key
        place = next((p for k, p in broken if k == kind and "->".join(ends) in p), None)
        if kind in ("power budget", "money budget", "min rate"):
            place = next((p for k, p in broken if k == kind), None)
        assert (found.binds == "broken") == (place is not None), found
        if place is not None:
            value = broken[kind, place].value
            used = found.used if kind != "min rate" else 1 / found.used
            assert used == pytest.approx(value, rel=1e-9)


def test_a_limit_that_binds_and_one_that_nearly_does():
    problem = load("total-aggregate").problem
    _, found = explained("total-aggregate", time_limit=0.0)
    assert {b.item.where for b in found.binding if b.binds == "binds"} == {"devices.gateway.memory"}
    wider = dataclasses.replace(
        problem,
        devices=tuple(
            dataclasses.replace(d, memory_bytes=d.memory_bytes * 1.005) for d in problem.devices
        ),
    )
    found = explain_plan(wider, optimal(wider), time_limit=0.0)
    assert {b.item.where for b in found.binding if b.binds == "nearly"} == {
        "devices.gateway.memory"
    }


def test_worth_is_the_difference_of_two_optima():
    problem, found = explained("budget-bound", step=0.5)
    worth = {w.item.where: w for w in found.worth.found}
    money = worth["budgets.money"]
    assert money.raised == pytest.approx(0.45)
    raised = dataclasses.replace(problem, budgets=Budgets(dollars_per_hour=0.45))
    best = evaluate(raised, optimal(raised)).objective
    assert money.objective == pytest.approx(best)
    assert money.gain == pytest.approx(max(0.0, found.worth.optimum - best))
    assert money.per_unit == pytest.approx(money.gain / 0.15)
    assert found.worth.basis.startswith("re-solved by enumerate ")
    assert found.worth.basis.endswith(", enumerated")
    assert found.worth.left_out == ()
    for w in found.worth.found:
        assert w.gain >= 0
        assert w.objective <= found.worth.optimum * (1 + 1e-9)


def test_memory_is_worth_nothing_until_a_layer_fits():
    """One more byte does not help; twice the memory lets both streams share the gateway."""
    where = "devices.gateway.memory"
    _, little = explained("total-aggregate", step=0.1)
    _, much = explained("total-aggregate", step=1.0)
    gain = {w.item.where: w.gain for w in little.worth.found}
    assert gain[where] == 0.0
    gain = {w.item.where: w.gain for w in much.worth.found}
    assert gain[where] == pytest.approx(0.0419, rel=0.01)


@pytest.mark.parametrize("name", ["budget-bound", "total-aggregate", "batches-and-copies"])
def test_limits_raised_together_are_worth_what_each_is_alone(name):
    told = []
    problem, found = explained(name, on_progress=told.append)
    assert found.worth.left_out == ()
    for w in found.worth.found:
        raised = with_amount(problem, w.item, w.raised)
        gain = found.worth.optimum - evaluate(raised, optimal(raised)).objective
        precision = 2 * (LOADED_GAP if problem.load_features else GAP) * found.worth.optimum
        assert w.gain == pytest.approx(gain, abs=precision * 1.01)
    assert len(told) - 1 < len(found.worth.found)


def test_of_a_plan_that_is_not_optimal_the_optimum_is_known():
    problem = load("privacy").problem
    plan = Plan(routes={"ring": (Route(devices=("door",) * 4),)})
    found = explain_plan(problem, plan)
    assert found.evaluation.objective > found.worth.optimum
    assert found.worth.optimum == pytest.approx(evaluate(problem, optimal(problem)).objective)


def test_out_of_time_all_worth_is_left_out_and_said():
    _, found = explained("privacy", time_limit=0.0)
    assert found.worth.found == ()
    assert found.worth.optimum is None
    assert found.worth.left_out
    assert "not solved to its end" in found.worth.message


def test_a_stop_leaves_out_the_rest():
    stop = threading.Event()
    told = []

    def watch(text):
        told.append(text)
        if "(3 of" in text:
            stop.set()

    _, found = explained("privacy", stop=stop, on_progress=watch)
    assert len(found.worth.found) == 2
    assert found.worth.left_out
    assert told[0] == "solving again as it stands"


def test_a_plan_of_a_problem_without_any_says_where_to_ask():
    problem = load("privacy").problem
    plan = optimal(problem)
    hurried = dataclasses.replace(
        problem,
        streams=tuple(dataclasses.replace(s, deadline_seconds=1e-3) for s in problem.streams),
    )
    found = explain_plan(hurried, plan)
    assert not found.evaluation.feasible
    assert found.binding[0].binds == "broken"
    assert found.worth.optimum is None
    assert "no plan" in found.worth.message
