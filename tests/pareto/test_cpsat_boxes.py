"""Boxes by CP-SAT: whole fronts, plans on the edge of a box, limits, and what it refuses."""

import dataclasses
import importlib.util
import math
import threading

import numpy as np
import pytest

from edgeplan.instances.generators import PIPELINE, random_problem
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.pareto import by_cpsat
from edgeplan.pareto.box_solvers import check_solver, make_boxes
from edgeplan.pareto.boxes import Box, BoxStatus
from edgeplan.pareto.by_enumeration import EnumeratedBoxes
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.objectives import criteria, image
from edgeplan.pareto.program import program
from edgeplan.pareto.whole_numbers import WholeProgram, levelled
from tests.pareto.assignments import assignment
from tests.pareto.small_fronts import small_problem
from tests.pareto.test_exact_fronts import hold

pytest.importorskip("ortools", reason="CP-SAT is an extra: pip install ortools")
NAMES = ("latency", "energy", "cost")


@pytest.mark.parametrize("seed", [0, 1, 4, 9, 17, 22, 26, 57])
def test_they_find_the_whole_front(seed):
    hold(seed, "cp-sat")


@pytest.mark.long
def test_they_find_200_whole_fronts():
    assert sum(hold(seed, "cp-sat") > 1 for seed in range(200)) > 100


def occupied(seed):
    """A pipeline whose devices are busy while they send, and its objectives."""
    for attempt in range(seed, seed + 100):
        problem = random_problem(
            attempt, kind=PIPELINE, layers=4, devices=3, streams=1, pipelined=True
        )
        stated = program(problem, ("latency", "throughput"))
        if levelled(stated) is not stated:
            return problem, criteria(("latency", "throughput")), stated
    raise AssertionError("no such problem")


def test_totals_that_meet_in_a_row_become_levels():
    problem, chosen, stated = occupied(0)
    whole = WholeProgram(stated)
    totals = whole.total
    assert totals.sum() < np.isinf(stated.upper).sum()
    rows = whole.program.rows
    assert rows.row_sums(totals[rows.indices].astype(float)).max() <= 1
    boxes, brute = make_boxes(problem, chosen, "cp-sat", 0), EnumeratedBoxes(problem, chosen)
    for limits in ((math.inf, math.inf), tuple(np.median(brute.images, axis=0))):
        for weights in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            box = Box(limits=limits, weights=weights)
            found, known = boxes.solve(box), brute.solve(box)
            assert found.status is known.status
            if known.plan is not None:
                prices = [
                    np.dot(weights, image(evaluate(problem, each.plan), chosen))
                    for each in (found, known)
                ]
                assert prices[0] == pytest.approx(prices[1], rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_every_plan_is_a_solution_in_whole_numbers(seed):
    """The relaxation loses no plan: where its row is at an image, the box is not empty."""
    problem, names = small_problem(seed)
    chosen = criteria(names)
    boxes, brute = make_boxes(problem, chosen, "cp-sat", 0), EnumeratedBoxes(problem, chosen)
    rng = np.random.default_rng(seed)
    for number in rng.permutation(len(brute.images))[:6]:
        limits = tuple(brute.images[number])
        found = boxes.solve(Box(limits=limits, weights=tuple(rng.random(len(chosen)) + 0.1)))
        assert found.status is BoxStatus.PLAN
        values = image(evaluate(problem, found.plan), chosen)
        assert all(y <= limit * (1 + 1e-12) for y, limit in zip(values, limits, strict=True))


def test_plans_on_the_edge_are_excluded_by_name():
    problem = assignment(4, 3, digits=12)
    chosen = criteria(NAMES)
    brute = EnumeratedBoxes(problem, chosen)
    boxes = make_boxes(problem, chosen, "cp-sat", 0)
    best = brute.images[np.argmin(brute.images[:, 0])]
    # Less than rounding here can tell, and more than the evaluator's sums are off.
    limits = (best[0] * (1 - 5e-12), math.inf, math.inf)
    found = boxes.solve(Box(limits=limits, weights=(1.0, 0.0, 0.0)))
    assert found.status is BoxStatus.EMPTY
    assert found.mips > 1


def test_a_limit_a_stop_and_an_end():
    problem, chosen = assignment(4, 3), criteria(NAMES)
    boxes = make_boxes(problem, chosen, "cp-sat", 0)
    box = Box(limits=(math.inf,) * 3, weights=(1.0, 1.0, 1.0))
    assert boxes.solve(dataclasses.replace(box, time_limit=0.0)).status is BoxStatus.LIMIT
    known = boxes.solve(box)
    assert known.status is BoxStatus.PLAN
    again = boxes.solve(dataclasses.replace(box, start=known.plan), threading.Event())
    assert evaluate(problem, again.plan).feasible
    empty = dataclasses.replace(box, limits=(0.0, math.inf, math.inf))
    assert boxes.solve(empty).status is BoxStatus.EMPTY


def test_what_it_refuses(monkeypatch):
    chosen = criteria(NAMES)
    split = next(
        problem
        for seed in range(50)
        if not (problem := random_problem(seed, splittable=True)).load_features
        and any(stream.route_limit > 1 for stream in problem.streams)
    )
    with pytest.raises(InputError, match=r"'cp-sat' cannot be used here: .* routes"):
        pareto(split, NAMES, solver="cp-sat")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ortools" else object()
    )
    with pytest.raises(InputError, match=r"not installed: pip install .*ortools"):
        check_solver(assignment(3, 1), chosen, "cp-sat")
    assert by_cpsat.obstacle(assignment(3, 1)).startswith("it is not installed")
