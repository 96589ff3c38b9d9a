"""Random problems: every exact solver, the enumerator and the evaluator must agree to 1e-6."""

import dataclasses
import math
from dataclasses import dataclass, field

import pytest

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.solvers import registry
from edgeplan.solvers.baselines import baselines
from edgeplan.solvers.enumerate import Enumerator, enumerate_routes
from edgeplan.solvers.result import Stop

TOLERANCE = 1e-6
OTHERS = [name for name in registry.available() if name not in ("enumerate", "greedy")]


def difference(one, other):
    """Relative difference; of prices that are both tiny, relative to 1e-12."""
    return abs(one - other) / max(abs(one), abs(other), 1e-12)


@dataclass
class Tally:
    """What a run over many problems found."""

    problems: int = 0
    feasible: int = 0
    infeasible: int = 0
    largest: float = 0.0
    states: int = 0
    disagreements: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.problems} problems, {self.feasible} feasible, {self.infeasible} infeasible, "
            f"{len(self.disagreements)} disagreements, largest relative difference "
            f"{self.largest:.2e}, {self.states:,} states enumerated"
        )

    def hold(self, label, one, other):
        gap = difference(one, other)
        self.largest = max(self.largest, gap)
        if gap > TOLERANCE:
            self.disagreements.append(f"{label}: {one!r} against {other!r}")

    def compare(self, label, problem, solver):
        """Solve with the enumerator and another solver, and compare all that they claim.

        The other solver begins from nothing and, as in the planner, from the best baseline:
        HiGHS 1.16.0 was wrong about problems with a plan to begin from.
        """
        oracle = Enumerator().solve(problem)
        assert oracle.stop is Stop.COMPLETED, (label, oracle.message)
        self.problems += 1
        self.states += oracle.certificate.states
        if oracle.infeasible:
            self.infeasible += 1
        else:
            self.feasible += 1
        for start in (None, best_baseline(problem)):
            self.hold_result(label, problem, solver, oracle, start)
            if start is None and oracle.infeasible:
                break

    def hold_result(self, label, problem, solver, oracle, start):
        result = registry.get(solver).solve(problem, start=start)
        if result.stop is not Stop.COMPLETED:
            self.disagreements.append(f"{label}: {result.stop} {result.message}")
            return
        if oracle.infeasible:
            if not result.infeasible:
                self.disagreements.append(f"{label}: only the enumerator says infeasible")
            for baseline in baselines(problem):
                if baseline.feasible:
                    self.disagreements.append(f"{label}: {baseline.name} is feasible")
            return
        if result.infeasible:
            self.disagreements.append(f"{label}: only {solver} says infeasible")
            return
        best = oracle.claimed_objective
        self.hold(f"{label}: claimed by {solver}", result.claimed_objective, best)
        self.hold(f"{label}: bound of {solver}", result.bound, best)
        for plan in (oracle.plan, result.plan):
            price = evaluate(problem, plan)
            if not price.feasible:
                self.disagreements.append(f"{label}: {price.violations[0].message}")
            self.hold(f"{label}: evaluator", price.objective, best)


def best_baseline(problem):
    """The plan that the planner would begin from."""
    known = [baseline for baseline in baselines(problem) if baseline.feasible]
    best = min(known, key=lambda baseline: baseline.evaluation.objective, default=None)
    return None if best is None else best.plan


def problems(count, first=0):
    """Problems of every kind, cost form, size and tightness, all discrete."""
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        turn = number // len(KINDS)
        problem = random_problem(
            first + number,
            kind=kind,
            layers=3 + turn % 3,
            devices=2 + turn % 2,
            streams=1 + turn % 3,
            tight=turn % 5 != 4,
            spans=turn % 2 == 1 and kind == "chain",
        )
        yield f"{problem.name} turn {turn}", problem


@pytest.mark.parametrize("solver", OTHERS)
@pytest.mark.parametrize("part", range(6))
def test_a_sample_agrees(solver, part):
    tally = Tally()
    for label, problem in problems(12, first=10_000 + 12 * part):
        tally.compare(label, problem, solver)
    assert tally.disagreements == []
    assert tally.feasible > 0


@pytest.mark.long
@pytest.mark.parametrize("solver", OTHERS)
def test_many_agree(solver):
    tally = Tally()
    for label, problem in problems(600):
        tally.compare(label, problem, solver)
    print(f"\n{solver} = enumerate = evaluator: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []
    assert tally.feasible >= 300
    assert tally.infeasible >= 30


@pytest.mark.long
@pytest.mark.parametrize("solver", OTHERS)
def test_single_objectives_agree(solver):
    tally = Tally()
    for label, problem in problems(100, first=50_000):
        for name in ("latency", "energy", "cost"):
            tally.compare(f"{label} {name}", problem.with_objective(name), solver)
    print(f"\n{solver}, single objectives: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []


def mixtures(problem):
    """Every plan of a one-stream problem that deals it in tenths over two routes."""
    (stream,) = problem.streams

    routes = list(enumerate_routes(problem, stream))
    for first in routes:
        yield Plan(routes={stream.name: (Route(devices=first),)})
        for second in routes:
            for tenth in range(1, 10) if first < second else ():
                yield Plan(
                    routes={
                        stream.name: (
                            Route(devices=first, fraction=tenth / 10),
                            Route(devices=second, fraction=1 - tenth / 10),
                        )
                    }
                )


@pytest.mark.parametrize("solver", OTHERS)
@pytest.mark.parametrize("seed", range(6))
def test_no_mixture_in_tenths_beats_a_split_optimum(solver, seed):
    """With fractions nothing can be enumerated, but many mixtures can be tried."""
    problem = random_problem(
        500 + seed, kind="dag", layers=3, devices=2, streams=1, splittable=True
    )
    result = registry.get(solver).solve(problem)
    best = math.inf
    for plan in mixtures(problem):
        if len(plan.routes[problem.streams[0].name]) <= problem.streams[0].route_limit:
            price = evaluate(problem, plan)
            if price.feasible:
                best = min(best, price.objective)
    if result.infeasible:
        assert best == math.inf
    else:
        assert result.bound <= best * (1 + TOLERANCE)
        price = evaluate(problem, result.plan)
        assert price.feasible
        assert price.objective == pytest.approx(result.claimed_objective, rel=TOLERANCE)


@pytest.mark.parametrize("solver", OTHERS)
@pytest.mark.parametrize(
    ("seed", "kind", "layers", "devices", "streams"),
    [
        (3000080, "chain", 4, 2, 3),
        (3000195, "multi-input", 2, 3, 1),
        (3000551, "multi-input", 4, 3, 3),
        (3000993, "dag", 2, 3, 3),
    ],
)
def test_a_plan_to_begin_from_does_not_mislead(solver, seed, kind, layers, devices, streams):
    """Split streams where HiGHS 1.16.0, given the best baseline, claimed a wrong price."""
    problem = random_problem(
        seed, kind=kind, layers=layers, devices=devices, streams=streams, splittable=True
    )
    cold = registry.get(solver).solve(problem)
    warm = registry.get(solver).solve(problem, start=best_baseline(problem))
    assert warm.claimed_objective == pytest.approx(cold.claimed_objective, rel=1e-5)
    assert warm.bound == pytest.approx(cold.bound, rel=1e-5)
    price = evaluate(problem, warm.plan)
    assert price.feasible
    assert price.objective == pytest.approx(warm.claimed_objective, rel=TOLERANCE)


@pytest.mark.parametrize("solver", OTHERS)
@pytest.mark.parametrize("seed", range(4))
def test_permission_to_split_never_hurts(solver, seed):
    whole = random_problem(700 + seed, kind="chain", layers=3, devices=3, streams=2)
    split = dataclasses.replace(
        whole,
        streams=tuple(
            dataclasses.replace(stream, splittable=True, max_routes=2) for stream in whole.streams
        ),
    )
    discrete = Enumerator().solve(whole)
    if discrete.infeasible:
        pytest.skip("no discrete plan to compare with")
    result = registry.get(solver).solve(split)
    assert result.claimed_objective <= discrete.claimed_objective * (1 + TOLERANCE)
