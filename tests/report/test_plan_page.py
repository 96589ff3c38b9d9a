"""Pages of plans: the evaluator's numbers, what stands of a claim, and hostile names."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from edgeplan.instances.bundled import load, names
from edgeplan.instances.plans import PlanFile, fingerprint, read_plan
from edgeplan.model.certificate import Certificate, Claim
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import whole
from edgeplan.report import plan_tables
from edgeplan.report.page import render
from edgeplan.report.plans import plan_page, result_page
from edgeplan.report.read import build
from edgeplan.report.waterfall import KINDS, steps, totals
from edgeplan.solvers.baselines import baselines
from tests.cli.cli_helpers import SPLIT_SECONDS, invoke_json, write_two_tiers
from tests.report.hostile import SCRIPT, hostile_problem
from tests.report.page_helpers import hostile_plan, read, write_hostile_plan


@pytest.fixture(scope="module")
def problem():
    return hostile_problem()


@pytest.fixture
def two_tiers(tmp_path):
    """The small instance and its best plan: a on the board, b on the server."""
    instance = write_two_tiers(tmp_path)
    invoke_json("solve", instance, "-o", tmp_path / "best.json")
    return instance, tmp_path / "best.json"


def cell(table, row_name, column):
    place = [each.name for each in table.columns].index(column)
    (found,) = [cells for cells in table.rows if cells[0].text == row_name]
    return found[place]


@pytest.mark.parametrize("name", names())
def test_steps_add_up_to_the_latency(name):
    made = load(name).problem
    plans = [each.plan for each in baselines(made) if each.plan is not None]
    plans.append(whole(made, {stream.name: stream.origin for stream in made.streams}))
    checked = 0
    for plan in plans:
        for price in evaluate(made, plan).streams:
            for route in price.routes:
                if not math.isfinite(route.latency_seconds):
                    continue
                found = steps(route)
                assert sum(step.seconds for step in found) == pytest.approx(route.latency_seconds)
                assert totals(found)["wait"] == pytest.approx(route.wait_seconds)
                assert math.fsum(totals(found).values()) == pytest.approx(route.latency_seconds)
                ends = [step.start_seconds + step.seconds for step in found]
                assert [step.start_seconds for step in found[1:]] == pytest.approx(ends[:-1])
                assert {step.kind for step in found} <= set(KINDS)
                checked += 1
    assert checked


def test_the_split_is_told_step_by_step(two_tiers):
    instance, plan = two_tiers
    made = load_problem(instance)
    (table,) = plan_tables.waterfalls(evaluate(made, read_plan(plan, made).plan))
    told = [(cells[0].text, cells[1].text, cells[3].text) for cells in table.rows]
    assert told == [
        ("compute: layer 0", "board", "10.0 ms"),
        ("transfer: data", "board → server", "13.0 ms"),
        ("compute: layer 1", "server", "4.00 ms"),
        ("transfer: results", "server → board", "5.80 ms"),
    ]
    bars = [cells[-1].bar[0] for cells in table.rows]
    assert sum(part.length for part in bars) == pytest.approx(1.0)
    assert bars[1].start == pytest.approx(0.010 / SPLIT_SECONDS)


def load_problem(path):
    from edgeplan.instances.read import read_instance

    return read_instance(path).problem


def test_the_page_says_price_bound_and_gap(two_tiers):
    instance, plan = two_tiers
    page = build([plan], instance)
    assert page.facts["feasible"] is True
    assert page.facts["objective"] == pytest.approx(SPLIT_SECONDS)
    assert page.facts["bound"] == pytest.approx(SPLIT_SECONDS, rel=1e-6)
    text = read(render(page)).text
    for words in ("Plan of two-tiers", "32.8 ms", "all kept", "all-at-origin", "keeps every limit"):
        assert words in text
    # The cloud is barred by privacy, and the page says so.
    assert "privacy" in text


def test_an_instance_beside_the_plan_is_found_by_its_fingerprint(two_tiers):
    instance, plan = two_tiers
    assert build([plan]).facts["feasible"] is None
    beside = instance.rename(instance.with_name("instance.yaml"))
    page = build([plan])
    assert page.facts["feasible"] is True
    assert page.sources == (str(plan), str(beside))
    beside.write_text(beside.read_text().replace("rate: 2 /s", "rate: 3 /s"))
    assert build([plan]).facts["feasible"] is None


def test_without_the_instance_the_page_says_what_is_missing(two_tiers):
    _, plan = two_tiers
    text = read(render(build([plan]))).text
    assert "The instance is missing" in text
    assert "--instance" in text
    assert "none of it was checked here" in text
    assert "board 0 → server 1" in text


def test_the_plan_of_another_version_is_priced_and_its_claim_does_not_count(two_tiers):
    instance, plan = two_tiers
    instance.write_text(instance.read_text().replace("times: 1 4 ms", "times: 1 8 ms"))
    page = build([plan], instance)
    assert page.facts["objective"] == pytest.approx(SPLIT_SECONDS + 0.004)
    text = read(render(page)).text
    assert "was not optimised for it" in text


def test_the_options_of_solve_are_found_again(tmp_path):
    instance = write_two_tiers(tmp_path)
    plan = tmp_path / "energy.json"
    invoke_json("solve", instance, "--objective", "energy", "-o", plan)
    page = build([plan], instance)
    assert "--objective energy" in read(render(page)).text
    made = load_problem(instance).asked("energy")
    assert page.facts["objective"] == evaluate(made, read_plan(plan, made).plan).objective


def test_a_false_claim_is_contradicted_on_the_page(problem, tmp_path):
    claim = Claim(
        objective=1e-3,
        bound=5.0,
        certificate=Certificate(basis="claimed", witnesses=("somebody 1",), bounded="all"),
    )
    path = write_hostile_plan(tmp_path, problem, claim=claim)
    text = read(render(plan_page(read_plan(path, problem), problem))).text
    assert "Does not hold" in text


def test_a_broken_limit_is_shown_with_its_numbers(problem):
    tight = dataclasses.replace(
        problem,
        streams=(
            dataclasses.replace(problem.streams[0], deadline_seconds=0.05),
            *problem.streams[1:],
        ),
    )
    page = plan_page(PlanFile(hostile_plan()), tight)
    assert page.facts["feasible"] is False
    text = read(render(page)).text
    assert "1 broken" in text
    assert "but at most 50.0 ms allowed" in text
    assert "– missed" in text


def test_terms_of_the_objective_add_up():
    made = load("budget-bound").problem
    plan = whole(made, {stream.name: stream.origin for stream in made.streams})
    evaluation = evaluate(made, plan)
    table = plan_tables.objective_terms(made, evaluation)
    parts = [cells[4].text for cells in table.rows if cells[4].text]
    assert sum(map(float, parts)) == pytest.approx(evaluation.objective, rel=1e-4)


def test_bars_are_shares_of_what_their_mark_limits(problem):
    evaluation = evaluate(problem, hostile_plan())
    table = plan_tables.devices(problem, evaluation)
    for cells in table.rows:
        load_ = next(each for each in evaluation.devices if each.name == cells[0].text)
        bar = next(each for each in cells if each.mark is not None)
        assert sum(part.length for part in bar.bar) == pytest.approx(load_.utilisation)
        assert bar.mark == problem.device[load_.name].utilisation_cap


def test_the_result_of_solve_is_a_page_too(tmp_path):
    instance = write_two_tiers(tmp_path)
    document = invoke_json("solve", instance)
    assert document["format"] == "edgeplan-result"
    assert document["fingerprint"] == fingerprint(load_problem(instance))
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document))
    alone = build([path])
    assert alone.facts["feasible"] is None
    text = read(render(alone)).text
    assert "as the file states them" in text
    assert "all-at-origin" in text
    assert build([path], instance).facts["objective"] == pytest.approx(SPLIT_SECONDS)


def test_no_plan_is_a_page_that_says_so(tmp_path):
    document = invoke_json("solve", write_two_tiers(tmp_path, "1 ms"), code=3)
    page = result_page(document)
    assert page.facts["feasible"] is False
    text = read(render(page)).text
    assert "No plan of two-tiers" in text
    assert "infeasible" in text


@pytest.mark.parametrize("routes", [5, {"s": 5}, {"s": [{"devices": [5]}]}, {"s": [{"x": 1}]}])
def test_results_that_are_none_are_refused_or_empty(routes):
    document = {"routes": routes, "instance": "<b>"}
    if isinstance(routes, dict):
        with pytest.raises(InputError):
            result_page(document)
    else:
        assert "&lt;b&gt;" in render(result_page(document))


def test_hostile_names_stay_text(problem, tmp_path):
    path = write_hostile_plan(
        tmp_path, problem, about={"status": SCRIPT, "basis": SCRIPT, "chosen": SCRIPT}
    )
    for given in (problem, None):
        text = render(plan_page(read_plan(path), given, sources=(SCRIPT,)))
        found = read(text)
        # Its own code, and nothing that a name asked for.
        assert found.tags.count("script") == 1
        assert SCRIPT in found.text


def test_equal_plans_make_equal_pages(problem):
    one, two = (render(plan_page(PlanFile(hostile_plan()), problem)) for _ in range(2))
    assert one == two
    assert len(one) < 200_000
