"""Properties of loaded problems: by the enumerator on many, by the program on some."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.problem import Problem
from edgeplan.solvers import registry
from edgeplan.solvers.result import Stop
from edgeplan.solvers.route_lists import count_plans
from tests.conformance.metamorphic_load import LOAD_PROPERTIES
from tests.conformance.subjects import LOADED, ORACLE

FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
GAP = 1e-4
"""Relative, that solvers other than the enumerator close."""
MOST_PLANS = 20_000


def optimum(problem: Problem, solver: str) -> float:
    """The objective of the best plan found, `inf` where there is none."""
    result = registry.get(solver, gap=GAP).solve(problem)
    assert result.stop is Stop.COMPLETED, result.message
    if result.infeasible:
        return math.inf
    assert result.claimed_objective is not None
    return result.claimed_objective


@FEW
@given(seed=st.integers(0, 10**6), draw=st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", LOAD_PROPERTIES)
def test_a_property_holds(name: str, seed: int, draw: Random) -> None:
    pair = LOAD_PROPERTIES[name](random_loaded_problem(seed, most_plans=2_000), draw)
    assume(max(count_plans(pair.first), count_plans(pair.other)) <= MOST_PLANS)
    first, other = optimum(pair.first, ORACLE), optimum(pair.other, ORACLE)
    assert pair.holds(first, other), (first, other)


@pytest.mark.long
@pytest.mark.parametrize("name", LOAD_PROPERTIES)
def test_a_property_holds_on_many_problems(name: str) -> None:
    """By the enumerator; every tenth small one by the program of queues and routes too."""
    counts: Counter[str] = Counter()
    broken = []
    for seed in range(300_000, 300_150):
        pair = LOAD_PROPERTIES[name](random_loaded_problem(seed), Random(seed))
        plans = max(count_plans(pair.first), count_plans(pair.other))
        if plans > 10**7:
            continue
        both = seed % 10 == 0 and plans <= MOST_PLANS
        for solver in (ORACLE, *LOADED) if both else (ORACLE,):
            first, other = optimum(pair.first, solver), optimum(pair.other, solver)
            counts[f"by {solver}"] += 1
            counts["feasible"] += math.isfinite(first)
            counts["changed"] += not math.isclose(first * pair.factor, other, rel_tol=GAP)
            if not pair.holds(first, other, 1e-6 if solver == ORACLE else 2 * GAP):
                broken.append(f"{seed} by {solver}: {first} → {other}")
    shown = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"\n{name}: {shown}; broken {len(broken)} times")  # noqa: T201  # for `make test-long`
    assert broken == []
    assert counts["feasible"] >= 90
