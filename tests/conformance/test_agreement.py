"""Random problems: every exact solver, the enumerator and the evaluator must agree to 1e-6."""

import dataclasses
import math
from dataclasses import dataclass, field

import pytest

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.solvers import registry
from edgeplan.solvers.baselines import baselines
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop
from edgeplan.solvers.route_lists import enumerate_routes
from tests.conformance.subjects import (
    OTHERS,
    best_baseline,
    difference,
    draws,
    supports,
)

TOLERANCE = 1e-6


@dataclass
class Tally:
    """What a solver's run over many problems found."""

    solver: str
    drawn: int = 0
    problems: int = 0
    feasible: int = 0
    infeasible: int = 0
    largest: float = 0.0
    states: int = 0
    seconds: float = 0.0
    disagreements: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.solver} supports {self.problems} of {self.drawn} problems, {self.feasible} "
            f"feasible, {self.infeasible} infeasible: {len(self.disagreements)} disagreements, "
            f"largest relative difference {self.largest:.2e}, {self.states:,} states enumerated, "
            f"{self.seconds:.0f} s of its own"
        )

    def hold(self, label, one, other):
        gap = math.inf if one is None else difference(one, other)
        self.largest = max(self.largest, gap)
        if gap > TOLERANCE:
            self.disagreements.append(f"{label}: {one!r} against {other!r}")

    def compare(self, label, problem):
        """Solve with the enumerator and the solver, and compare all that they claim.

        The solver begins from nothing and, as in the planner, from the best baseline: HiGHS
        1.16.0 was wrong about problems with a plan to begin from.
        """
        self.drawn += 1
        if not supports(self.solver, problem):
            return
        oracle = Enumerator().solve(problem)
        assert oracle.stop is Stop.COMPLETED, (label, oracle.message)
        self.problems += 1
        self.states += oracle.certificate.states
        if oracle.infeasible:
            self.infeasible += 1
        else:
            self.feasible += 1
        for start in (None, best_baseline(problem)):
            self.hold_result(label, problem, oracle, start)
            if start is None and oracle.infeasible:
                break

    def hold_result(self, label, problem, oracle, start):
        try:
            result = registry.get(self.solver).solve(problem, start=start)
        except SolverError as error:
            self.disagreements.append(f"{label}: {error}")
            return
        self.seconds += result.seconds
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
            self.disagreements.append(f"{label}: only {self.solver} says infeasible")
            return
        best = oracle.claimed_objective
        self.hold(f"{label}: claimed by {self.solver}", result.claimed_objective, best)
        self.hold(f"{label}: bound of {self.solver}", result.bound, best)
        for plan in (oracle.plan, result.plan):
            price = evaluate(problem, plan)
            if not price.feasible:
                self.disagreements.append(f"{label}: {price.violations[0].message}")
            self.hold(f"{label}: evaluator", price.objective, best)


def test_the_classes_hold_what_they_are_for():
    """The sample that all solvers see has memory, privacy, budgets and shared networks."""
    sample = [problem for part in range(2) for _, problem in draws(100, 10_000 + 100 * part)]
    seen = {
        "memory": lambda p: any(math.isfinite(d.memory_bytes) for d in p.devices),
        "privacy": lambda p: any(s.privacy for s in p.streams),
        "power or money": lambda p: math.isfinite(
            min(p.budgets.power_watts, p.budgets.dollars_per_hour)
        ),
        "shared networks": lambda p: len({s.network for s in p.streams}) < len(p.streams),
        "other homes": lambda p: any(h != s.origin for s in p.streams for h in s.homes.values()),
        "spans": lambda p: any(n.form == "spans" for n in p.networks),
        "a minimum rate": lambda p: p.budgets.min_rate_per_second > 0,
        "contiguous": lambda p: p.contiguous,
        "throughput": lambda p: p.objective.throughput > 0,
        "one stream": lambda p: len(p.streams) == 1,
        "two devices": lambda p: len(p.devices) == 2,
    }
    for name, there in seen.items():
        count = sum(map(there, sample))
        assert 8 <= count <= 192, (name, count)


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("solver", OTHERS)
def test_a_sample_agrees(solver, part):
    """As many as all solvers together can do in a few seconds."""
    tally = Tally(solver)
    for label, problem in draws(100, first=10_000 + 100 * part):
        if tally.problems < 30:
            tally.compare(label, problem)
    assert tally.disagreements == []
    assert tally.feasible > 0


@pytest.mark.long
@pytest.mark.parametrize("solver", OTHERS)
def test_many_agree(solver):
    tally = Tally(solver)
    for label, problem in draws(2000):
        tally.compare(label, problem)
    print(f"\n{tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []
    assert tally.feasible >= 50


@pytest.mark.long
@pytest.mark.parametrize("solver", OTHERS)
def test_single_objectives_agree(solver):
    tally = Tally(solver)
    for label, problem in draws(100, first=50_000):
        for name in ("latency", "energy", "cost", "throughput"):
            tally.compare(f"{label} {name}", problem.with_objective(name))
    print(f"\nsingle objectives: {tally}")  # noqa: T201  # for `make test-long`
    assert tally.disagreements == []


SPLITTING = [name for name in OTHERS if supports(name, random_problem(500, splittable=True))]
"""Those that can deal a stream over several routes."""


@pytest.mark.parametrize("solver", OTHERS)
@pytest.mark.parametrize("seed", [901_592, 901_626, 902_044, 902_578])
def test_presolve_does_not_mislead(solver, seed):
    """HiGHS 1.16.0 called a dearer plan optimal, with presolve on (1.15.1 did not)."""
    problem = random_problem(
        seed,
        kind=KINDS[seed % 4],
        layers=3 + seed % 3,
        devices=2 + seed % 2,
        streams=1 + seed // 4 % 3,
    )
    tally = Tally(solver)
    tally.compare(problem.name, problem.with_objective("latency"))
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


@pytest.mark.parametrize("solver", SPLITTING)
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_no_mixture_in_tenths_beats_a_split_optimum(solver, pipelined, seed):
    """With fractions nothing can be enumerated, but many mixtures can be tried."""
    problem = random_problem(
        500 + seed,
        kind="dag",
        layers=3,
        devices=2,
        streams=1,
        splittable=True,
        pipelined=pipelined,
    )
    if reasons := registry.get(solver).unsupported(problem):
        pytest.skip("; ".join(reasons))
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


@pytest.mark.parametrize("solver", SPLITTING)
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


@pytest.mark.parametrize("solver", SPLITTING)
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
