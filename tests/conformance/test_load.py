"""Random loaded problems: the program of queues and routes against every plan, priced one by one.

Whole streams: with waits rounded to levels the least price of all plans is that of the plan
program (up) and of the bound program (down); the solver's bound, the enumerator's optimum and the
price of the solver's plan come in that order. Streams that may be split: the solver's bound is at
most the best of a simplex grid.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.evaluate import evaluate, with_tolerance
from edgeplan.model.formulation.queueing import Levels
from edgeplan.model.problem import Problem
from edgeplan.model.verify import verify
from edgeplan.solvers import registry
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.queueing.at_levels import solve_at
from edgeplan.solvers.queueing.plans import round_waits
from edgeplan.solvers.result import SolverResult, Stop
from edgeplan.solvers.route_lists import count_plans
from tests.conformance.load_oracle import (
    FEATURES,
    Least,
    best_mixture,
    count_mixtures,
    crowd,
    drawn_levels,
    least,
    rounded,
    whole_plans,
)
from tests.conformance.subjects import difference

TOLERANCE = 1e-6
GAP = 1e-4
"""Relative, that the solver is asked to close."""
STEPS = (2, 3, 5, 10, 20, 50)
"""A stream's requests are dealt in steps of one of these."""


class Tally:
    """What many problems had, and where anything disagreed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.disagreements: list[str] = []
        self.plans = 0
        self.gaps: list[float] = []
        self.seconds: list[float] = []

    def note(self, problem: Problem, *, feasible: bool) -> None:
        self.counts["feasible" if feasible else "infeasible"] += 1
        for name, there in FEATURES.items():
            self.counts[name] += there(problem)

    def same(self, label: str, one: float, other: float, tolerance: float = TOLERANCE) -> None:
        if not difference(one, other) <= tolerance:
            self.disagreements.append(f"{label}: {one!r} against {other!r}")

    def hold(self, label: str, holds: bool) -> None:
        if not holds:
            self.disagreements.append(label)

    def at_most(self, label: str, one: float, other: float, tolerance: float = TOLERANCE) -> None:
        self.hold(
            f"{label}: {one!r} is above {other!r}",
            one <= other or difference(one, other) <= tolerance,
        )

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {name}" for name, number in self.counts.items())
        gaps, seconds = sorted(self.gaps), sorted(self.seconds)
        text = f"{counts}; {self.plans:,} plans priced; {len(self.disagreements)} disagreements"
        if gaps:
            text += f"; gap of the solver: median {gaps[len(gaps) // 2]:.1e}, most {gaps[-1]:.1e}"
        if seconds:
            middle = seconds[len(seconds) // 2]
            text += f"; its seconds: median {middle:.2f}, most {seconds[-1]:.2f}"
        return text


def loaded(first: int, count: int, most: int) -> Iterator[tuple[int, Problem]]:
    """So many problems of at most so many plans, with their seeds."""
    seed = first
    while count:
        problem = random_loaded_problem(seed, most_plans=most)
        if count_plans(problem) <= most:
            yield seed, problem
            count -= 1
        seed += 1


def compare_levels(tally: Tally, seed: int, problem: Problem) -> Least:
    """The two programs at random levels, the enumerator, and rounding, against all plans."""
    draw = Random(seed)
    levels = Levels(**drawn_levels(problem, draw))
    found = least(problem, levels)
    tally.plans += found.plans
    tally.note(problem, feasible=math.isfinite(found.exact))
    exact = Enumerator().solve(problem)
    assert exact.stop is Stop.COMPLETED
    optimum = math.inf if exact.infeasible else exact.claimed_objective
    assert optimum is not None
    tally.same(f"{seed}: enumerator", optimum, found.exact, 1e-9)
    loose = with_tolerance(problem)
    tally.same(f"{seed}: plan program", solve_at(loose, levels, "plan"), found.plan)
    tally.same(f"{seed}: bound program", solve_at(loose, levels, "bound"), found.bound)
    tally.hold(f"{seed}: rounded in order", found.bound <= found.exact <= found.plan)
    plans = list(whole_plans(problem))
    for plan in draw.sample(plans, min(3, len(plans))):
        queues = crowd(problem, plan)
        for side in ("plan", "bound"):
            theirs = round_waits(loose, plan, levels, side)
            for key, mine in rounded(loose, plan, levels, side).items():
                # A queue that nobody visits waits for nothing; one beyond its cap is no plan's.
                if queues[key].jobs and queues[key].utilisation <= _cap(problem, key):
                    label = f"{seed}: {side} rounding of {key}"
                    tally.same(label, theirs[key].seconds, mine.seconds, 1e-9)
                    one, other = theirs[key].decay_per_second, mine.decay_per_second
                    tally.same(f"{label}, decay", one, other, 1e-9)
    return found


def _cap(problem: Problem, key: tuple[str, str]) -> float:
    if key[0] == "device":
        return problem.device[key[1]].utilisation_cap
    return next(link.utilisation_cap for link in problem.links if link.name == key[1])


def solve(tally: Tally, label: str, problem: Problem, seconds: float | None = None) -> SolverResult:
    """Solve and check what the result says of itself; where time is limited it may end early."""
    result = registry.get("queueing", gap=GAP, time_limit=seconds).solve(problem)
    tally.seconds.append(result.seconds)
    done = result.stop is Stop.COMPLETED
    tally.counts["not completed"] += not done
    early = seconds is not None and result.stop in (Stop.TIME_LIMIT, Stop.WORK_LIMIT)
    tally.hold(f"{label}: {result.stop} {result.message}", done or early)
    checked = verify(
        problem,
        result.plan,
        bound=result.bound,
        certificate=result.certificate,
        objective=result.claimed_objective,
        infeasible=result.infeasible,
    )
    tally.hold(f"{label}: {checked.contradictions}", checked.contradictions == ())
    if result.plan is not None:
        price = evaluate(problem, result.plan)
        tally.hold(f"{label}: {price.violations}", price.feasible)
        assert result.claimed_objective is not None
        tally.at_most(f"{label}: evaluator", price.objective, result.claimed_objective)
        if result.bound is None:
            tally.hold(f"{label}: no bound", early)
            return result
        gap = (price.objective - result.bound) / max(abs(price.objective), 1e-12)
        tally.gaps.append(gap)
        tally.hold(f"{label}: a gap of {gap:.2e}", early or gap <= GAP * 1.01)
    return result


def compare_solver(tally: Tally, seed: int, problem: Problem, exact: float) -> None:
    """Bound ≤ optimum ≤ price of the plan."""
    result = solve(tally, str(seed), problem)
    label = f"{seed}: infeasible {result.infeasible}, but the optimum {exact}"
    tally.hold(label, result.infeasible == math.isinf(exact))
    if result.plan is not None and result.bound is not None:
        tally.at_most(f"{seed}: bound", result.bound, exact)
        tally.at_most(f"{seed}: plan", exact, evaluate(problem, result.plan).objective)


def compare_split(tally: Tally, seed: int, problem: Problem, most: int, seconds: float) -> None:
    """The bound is at most the best mixture of a grid; where it is the optimum, so is the plan."""
    parts = max(parts for parts in STEPS if count_mixtures(problem, parts) <= most)
    best, _ = best_mixture(problem, parts)
    tally.counts[f"in steps of 1/{parts}"] += 1
    tally.note(problem, feasible=math.isfinite(best))
    result = solve(tally, str(seed), problem, seconds)
    if result.infeasible:
        tally.hold(f"{seed}: infeasible, but a mixture costs {best}", math.isinf(best))
        return
    if result.bound is not None:
        tally.at_most(f"{seed}: bound", result.bound, best)
    if result.plan is not None:
        split = any(len(routes) > 1 for routes in result.plan.routes.values())
        tally.counts["with a split plan"] += split
        price = evaluate(problem, result.plan).objective
        tally.counts["with a plan at most as dear as the grid's"] += price <= best * (1 + GAP)
        if result.stop is Stop.COMPLETED:
            tally.at_most(f"{seed}: plan", price, best, 2 * GAP)


def splittable(first: int, count: int, most: int) -> Iterator[tuple[int, Problem]]:
    """So many problems of one or two streams on two or three devices, with fractions."""
    seed = first
    while count:
        streams = 1 + seed % 3 % 2
        problem = random_loaded_problem(
            seed,
            splittable=True,
            streams=streams,
            devices=2 + seed % 2,
            layers=1 if streams == 2 else 2,
        )
        routes = count_mixtures(problem, STEPS[0])
        if 1 < routes <= most and any(stream.route_limit > 1 for stream in problem.streams):
            yield seed, problem
            count -= 1
        seed += 1


@pytest.mark.parametrize("part", range(3))
def test_a_sample_equals_all_plans_at_levels(part: int) -> None:
    tally = Tally()
    for seed, problem in loaded(10_000 + 1000 * part, 15, 120):
        compare_levels(tally, seed, problem)
    assert tally.disagreements == []
    assert tally.counts["feasible"] >= 5


@pytest.mark.parametrize("part", range(2))
def test_a_sample_is_solved(part: int) -> None:
    tally = Tally()
    for seed, problem in loaded(20_000 + 1000 * part, 12, 5_000):
        exact = Enumerator().solve(problem)
        optimum = math.inf if exact.infeasible else exact.claimed_objective
        assert optimum is not None
        tally.note(problem, feasible=not exact.infeasible)
        compare_solver(tally, seed, problem, optimum)
    assert tally.disagreements == []
    assert tally.counts["feasible"] >= 5


def test_a_sample_with_fractions_is_bounded() -> None:
    tally = Tally()
    for seed, problem in splittable(30_000, 8, 300):
        compare_split(tally, seed, problem, 300, seconds=1.0)
    assert tally.disagreements == []
    assert tally.counts["feasible"] >= 4


@pytest.mark.long
def test_a_thousand_equal_all_plans() -> None:
    tally = Tally()
    for seed, problem in loaded(100_000, 1000, 1_000):
        found = compare_levels(tally, seed, problem)
        compare_solver(tally, seed, problem, found.exact)
    print(f"\n1,000 loaded problems of whole streams: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []
    assert tally.counts["feasible"] >= 500


@pytest.mark.long
def test_two_hundred_with_fractions_are_bounded() -> None:
    tally = Tally()
    for seed, problem in splittable(200_000, 200, 1_500):
        compare_split(tally, seed, problem, 1_500, seconds=10.0)
    print(f"\n200 loaded problems with fractions: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []
    assert tally.counts["feasible"] >= 100
