"""Properties that hold for every problem (DESIGN §9): searched by hypothesis, and on many."""

import dataclasses
import math
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgeplan.instances.generators import KINDS, PIPELINE, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.problem import Objective
from edgeplan.solvers import registry
from edgeplan.solvers.result import Stop
from tests.conformance.metamorphic import PROPERTIES
from tests.conformance.subjects import ORACLE, OTHERS, cheap, drawn, supporters, supports

FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@st.composite
def problems(draw, **fixed):
    kind = draw(st.sampled_from([*KINDS, PIPELINE]))
    options = {
        "kind": kind,
        "layers": draw(st.integers(2, 4)),
        "devices": draw(st.integers(2, 3)),
        "streams": draw(st.integers(1, 3)),
        "tight": draw(st.booleans()),
        "pipelined": draw(st.booleans()),
        "contiguous": draw(st.booleans()) and kind == PIPELINE,
        "spans": draw(st.booleans()) and kind == "chain",
    }
    return random_problem(draw(st.integers(0, 10**6)), **{**options, **fixed})


def optimum(problem, solver=ORACLE):
    """The optimal objective, `inf` where there is no plan."""
    result = registry.get(solver).solve(problem)
    assert result.stop is Stop.COMPLETED, result.message
    return math.inf if result.infeasible else result.claimed_objective


def close(one, other):
    return one == other or math.isclose(one, other, rel_tol=1e-6)


@FEW
@given(problem=problems())
@pytest.mark.parametrize("solver", OTHERS)
def test_every_solver_agrees_with_the_enumerator(solver, problem):
    assume(supports(solver, problem))
    assert close(optimum(problem, solver), optimum(problem))


@FEW
@given(problem=problems(), draw=st.randoms(use_true_random=False), data=st.data())
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_holds(name, problem, draw, data):
    """Each with one of the exact solvers that support both problems, whichever that is."""
    pair = PROPERTIES[name](problem, draw)
    solver = data.draw(st.sampled_from(supporters(pair.first, pair.other)), label="solver")
    first, other = optimum(pair.first, solver), optimum(pair.other, solver)
    assert pair.holds(first, other), (solver, first, other)


@pytest.mark.long
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_holds_on_many_problems(name):
    """1,000 problems of every class, each pair by one cheap exact solver that supports both."""
    counts = Counter()
    broken = []
    for number in range(1000):
        problem = drawn(200_000 + number, number)
        pair = PROPERTIES[name](problem, random.Random(number))
        solver = cheap(number, pair.first, pair.other)
        first, other = optimum(pair.first, solver), optimum(pair.other, solver)
        counts[f"by {solver}"] += 1
        counts["feasible"] += math.isfinite(first)
        counts["changed"] += not close(first * pair.factor, other)
        if not pair.holds(first, other):
            broken.append(f"drawn({200_000 + number}, {number}) by {solver}: {first} → {other}")
    shown = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"\n{name}: {shown}; broken {len(broken)} times")  # noqa: T201  # for `make test-long`
    assert broken == []
    assert counts["feasible"] >= 600


@FEW
@given(problem=problems(pipelined=False), weight=st.floats(0.1, 10.0))
def test_the_weighted_optimum_lies_between_the_single_ones(problem, weight):
    """Latency + w × energy is at least the sum of the least of each, and at most any plan's."""
    both = dataclasses.replace(problem, objective=Objective(latency=1.0, energy=weight))
    best = optimum(both)
    assume(math.isfinite(best))
    quick = registry.get("enumerate").solve(both.with_objective("latency"))
    thrifty = optimum(both.with_objective("energy"))
    assert best >= (quick.claimed_objective + weight * thrifty) * (1 - 1e-9)
    assert best <= evaluate(both, quick.plan).objective * (1 + 1e-9)
