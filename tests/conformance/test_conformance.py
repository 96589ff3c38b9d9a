"""What every solver must get right: fixed problems, each with its answer worked out by hand.

A solver joins by being registered. It is spared the problems that it says it does not support.
 Heuristics need not find the optimum, but may claim nothing false.
"""

import threading

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.verify import verify
from edgeplan.solvers import registry
from edgeplan.solvers.result import Progress, Stop
from tests.conformance.cases import CASES, WITHIN_AND_BEYOND, case, exceeded
from tests.conformance.subjects import EXACT, HEURISTICS, SOLVERS, supports

SAMPLE = [
    "far wins",
    "capacity for one and a half",
    "a deadline too tight",
    "a private prefix",
    "pipeline: a core helps",
    "pipeline: too little memory",
]
"""Cases for each class that some solver is for."""


def tolerance(problem):
    """Fractions can be tuned until a limit is exceeded by just its tolerance."""
    return 1e-5 if any(stream.route_limit > 1 for stream in problem.streams) else 1e-6


def solve(solver, problem, *, options=None, **more):
    return registry.get(solver, **(options or {})).solve(problem, **more)


def supported(solvers, names):
    """Pairs of a solver and a case that it says it supports."""
    return [
        (solver, name) for solver in solvers for name in names if supports(solver, case(name)[0])
    ]


def assert_honest(problem, result, answer):
    """Check every claim of a result against the known optimum (None: infeasible)."""
    if result.infeasible:
        assert answer is None
        assert result.plan is None
    if result.plan is None:
        assert result.claimed_objective is None
    else:
        price = evaluate(problem, result.plan)
        assert price.violations == ()
        assert price.objective <= result.claimed_objective * (1 + 1e-6)
        assert answer is not None
        assert price.objective >= answer * (1 - tolerance(problem))
    if result.bound is not None and answer is not None:
        assert result.bound <= answer * (1 + 1e-6)
    assert (result.certificate is not None) == (result.infeasible or result.bound is not None)
    assert result.solver.split()[0] in SOLVERS
    assert result.seconds >= 0
    checked = verify(
        problem,
        result.plan,
        bound=result.bound,
        certificate=result.certificate,
        objective=result.claimed_objective,
        infeasible=result.infeasible,
    )
    assert checked.contradictions == ()


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_has_cases(solver):
    assert len(supported([solver], CASES)) >= 10
    assert supported([solver], SAMPLE)


@pytest.mark.parametrize(("solver", "name"), supported(EXACT, CASES))
def test_exact_solvers_find_the_proved_answer(solver, name):
    problem, answer = case(name)
    result = solve(solver, problem)
    assert result.stop is Stop.COMPLETED, result.message
    assert_honest(problem, result, answer)
    if answer is None:
        assert result.infeasible
    else:
        near = pytest.approx(answer, rel=tolerance(problem))
        assert result.claimed_objective == near
        assert result.bound == near
        assert evaluate(problem, result.plan).objective == near


def limited(*shares):
    """Solvers, limits and by what share of it the limit is exceeded, where supported."""
    return [
        (solver, kind, share)
        for solver in EXACT
        for kind in WITHIN_AND_BEYOND
        for share in shares
        if supports(solver, exceeded(kind, share))
    ]


@pytest.mark.parametrize(("solver", "kind", "share"), limited(1e-12, 1e-9, 1e-8, 5e-7, 9e-7))
def test_a_limit_exceeded_within_the_evaluators_tolerance_holds(solver, kind, share):
    """Else a plan that the evaluator accepts would refute the solver's bound."""
    within, _ = WITHIN_AND_BEYOND[kind]
    problem = exceeded(kind, share)
    result = solve(solver, problem)
    assert result.claimed_objective == pytest.approx(within, rel=1e-6)
    assert_honest(problem, result, within)


@pytest.mark.parametrize(("solver", "kind", "share"), limited(1.1e-6, 1e-5))
def test_a_limit_exceeded_by_more_does_not(solver, kind, share):
    _, beyond = WITHIN_AND_BEYOND[kind]
    problem = exceeded(kind, share)
    result = solve(solver, problem)
    assert result.claimed_objective == pytest.approx(beyond, rel=1e-6)
    assert_honest(problem, result, beyond)


@pytest.mark.parametrize(("solver", "name"), supported(sorted(HEURISTICS), CASES))
def test_heuristics_claim_nothing_false(solver, name):
    problem, answer = case(name)
    result = solve(solver, problem)
    assert result.bound is None
    assert not result.infeasible
    assert_honest(problem, result, answer)


@pytest.mark.parametrize(("solver", "name"), supported(SOLVERS, SAMPLE))
def test_no_time(solver, name):
    problem, answer = case(name)
    result = solve(solver, problem, options={"time_limit": 0.0})
    assert result.stop in (Stop.TIME_LIMIT, Stop.COMPLETED)
    assert_honest(problem, result, answer)


@pytest.mark.parametrize(("solver", "name"), supported(SOLVERS, SAMPLE))
def test_stopped_before_it_begins(solver, name):
    problem, answer = case(name)
    stop = threading.Event()
    stop.set()
    result = solve(solver, problem, stop=stop)
    assert result.stop in (Stop.INTERRUPTED, Stop.COMPLETED)
    assert_honest(problem, result, answer)


@pytest.mark.parametrize("solver", SOLVERS)
def test_stopped_on_the_way(solver):
    """A problem that takes minutes: stopping leaves a priced plan or none, and a true bound."""
    problem = random_problem(5, kind="dag", layers=7, devices=4, streams=3)
    chosen = registry.get(solver)
    if reasons := chosen.unsupported(problem):
        pytest.skip("; ".join(reasons))
    stop = threading.Event()
    timer = threading.Timer(1.0, stop.set)
    timer.start()
    try:
        result = chosen.solve(problem, stop=stop)
    finally:
        timer.cancel()
    assert not result.infeasible
    assert result.seconds < 60
    if result.plan is not None:
        price = evaluate(problem, result.plan)
        assert price.feasible
        assert price.objective == pytest.approx(result.claimed_objective, rel=1e-6)
        if result.bound is not None:
            assert result.bound <= price.objective * (1 + 1e-6)


@pytest.mark.parametrize(("solver", "name"), supported(SOLVERS, SAMPLE))
def test_progress_is_told(solver, name):
    problem, answer = case(name)
    seen: list[Progress] = []
    result = solve(solver, problem, on_progress=seen.append)
    for moment in seen:
        if answer is None:
            assert moment.incumbent is None
            continue
        assert moment.incumbent is None or moment.incumbent >= answer * (1 - 1e-6)
        assert moment.bound is None or moment.bound <= answer * (1 + 1e-6)
        assert 0 <= moment.seconds <= result.seconds + 1


STARTS = {
    "capacity for one and a half": [("bb", "ob"), ("oo", "oo"), ("bb", "bb")],
    "far wins": [("bb",), ("oo",)],
    "pipeline: a core helps": [
        (("a0", "a1", "c0"),),
        (("c0", "c0", "c0"),),
        (("a0", "c0", "a0"),),
        (("a0", "a0", "a0"),),
    ],
}
"""Plans to begin from: the best, poor ones, and some that break a limit."""


@pytest.mark.parametrize(
    ("solver", "name", "start"),
    [(*pair, start) for pair in supported(SOLVERS, STARTS) for start in STARTS[pair[1]]],
)
def test_a_start_never_hurts(solver, name, start):
    problem, answer = case(name)
    plan = Plan(
        routes={
            stream.name: (Route(devices=tuple(route)),)
            for stream, route in zip(problem.streams, start, strict=True)
        }
    )
    result = solve(solver, problem, start=plan)
    assert_honest(problem, result, answer)
    if solver not in HEURISTICS:
        assert result.claimed_objective == pytest.approx(answer, rel=1e-6)


@pytest.mark.parametrize(("solver", "name"), supported(SOLVERS, SAMPLE))
def test_the_same_problem_twice_gives_the_same_answer(solver, name):
    problem, _ = case(name)
    first, second = (solve(solver, problem) for _ in range(2))
    assert first.plan == second.plan
    assert first.claimed_objective == second.claimed_objective
    assert first.bound == second.bound
