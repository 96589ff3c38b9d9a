"""Every explanation of a random infeasible problem is checked by the enumerator."""

from dataclasses import dataclass

import pytest

from edgeplan.explain import explain_infeasible, list_items, list_missing, only, without
from edgeplan.model.evaluate import evaluate
from tests.explain.explained_problems import (
    cheapest_repair,
    count_plans_that_run,
    feasible,
    infeasible_problems,
)

BRUTE_FORCE = 1500
"""Repairs are held against brute force where there are at most so many plans."""


@dataclass
class Tally:
    problems: int = 0
    items: int = 0
    smallest: int = 0
    missing: int = 0
    compared: int = 0
    checks: int = 0
    seconds: float = 0.0

    def __str__(self):
        return (
            f"{self.problems} problems, all conflicts irreducible ({self.items} statements, "
            f"{self.smallest} conflicts known to be smallest, {self.missing} of missing links or "
            f"times), all repairs feasible, {self.compared} cheapest by brute force, "
            f"{self.checks} questions, {self.seconds:.1f} s"
        )


def kept_only(problem, conflict, items):
    """Return the problem of a conflict's own statements (or of some of them)."""
    if not conflict.missing:
        return only(problem, items)
    bare = without(problem, list_items(problem))
    kept = {item.key for item in items}
    return without(bare, [item for item in list_missing(bare) if item.key not in kept])


def hold(problem, tally):
    found = explain_infeasible(problem)
    conflict, repair = found.conflict, found.repair
    assert found.infeasible
    assert found.complete
    assert conflict.items
    assert conflict.irreducible
    assert not feasible(kept_only(problem, conflict, conflict.items))
    for item in conflict.items:
        rest = [other for other in conflict.items if other is not item]
        assert feasible(kept_only(problem, conflict, rest)), item
    assert repair.edits
    assert evaluate(repair.problem, repair.plan).feasible
    assert feasible(repair.problem)
    assert repair.cheapest
    if not conflict.missing and count_plans_that_run(problem) <= BRUTE_FORCE:
        assert repair.price == pytest.approx(cheapest_repair(problem), rel=1e-5, abs=1e-5)
        tally.compared += 1
    tally.problems += 1
    tally.items += len(conflict.items)
    tally.smallest += conflict.smallest
    tally.missing += conflict.missing
    tally.checks += conflict.checks
    tally.seconds += found.seconds


@pytest.mark.parametrize("first", [0, 1000, 2000])
def test_a_sample_of_explanations_holds(first):
    tally = Tally()
    for problem in infeasible_problems(4, first):
        hold(problem, tally)
    assert tally.problems == 4


@pytest.mark.long
def test_fifty_explanations_hold():
    tally = Tally()
    for problem in infeasible_problems(50, 5000):
        hold(problem, tally)
    print(f"\nexplain against enumerate: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.problems == 50
    assert tally.compared >= 30
