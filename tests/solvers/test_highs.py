"""HiGHS on the program: brute force, fractions, limits, interrupts, claims."""

from __future__ import annotations

import dataclasses
import itertools
import math
import threading
import time

import pytest

from edgeplan.instances.generators import KINDS, random_plan, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream
from edgeplan.solvers import highs as module
from edgeplan.solvers.highs import Highs
from edgeplan.solvers.result import Stop

RELATIVE = 1e-6


def brute_force(problem: Problem) -> float | None:
    """Return the price of the best plan of whole streams, by pricing all of them."""
    routes = [
        [Route(devices=devices) for devices in itertools.product(*problem.allowed(stream))]
        for stream in problem.streams
    ]
    best = None
    for combination in itertools.product(*routes):
        plan = Plan(
            routes={
                stream.name: (route,)
                for stream, route in zip(problem.streams, combination, strict=True)
            }
        )
        priced = evaluate(problem, plan)
        if priced.feasible and (best is None or priced.objective < best):
            best = priced.objective
    return best


def check(problem: Problem, best: float | None) -> None:
    result = Highs().solve(problem)
    assert result.stop is Stop.COMPLETED, result
    assert result.infeasible == (best is None)
    assert result.certificate is not None
    assert result.certificate.basis == "claimed"
    if best is None:
        assert result.plan is None
        assert result.bound is None
        return
    priced = evaluate(problem, result.plan)
    assert priced.violations == ()
    assert priced.objective == pytest.approx(best, rel=RELATIVE)
    assert result.claimed_objective == pytest.approx(priced.objective, rel=RELATIVE)
    assert best * (1 - 2 * RELATIVE) - 1e-15 <= result.bound <= best * (1 + 1e-9) + 1e-15


@pytest.mark.parametrize("seed", range(60))
def test_brute_force(seed):
    kind = KINDS[seed % 4]
    problem = random_problem(
        seed,
        kind=kind,
        layers=3 + (seed // 8) % 2,
        devices=3,
        streams=1 if seed % 3 else 2,
        spans=(seed // 4) % 2 == 1 and kind != "two-device",
    )
    if math.prod(len(d) for s in problem.streams for d in problem.allowed(s)) > 2500:
        problem = dataclasses.replace(problem, streams=problem.streams[:1])
    check(problem, brute_force(problem))


def exact_split(problem: Problem) -> float | None:
    """Return the best price of one stream over at most two routes.

    For a given pair of routes all totals are linear in the fraction, so two evaluations give
    every line, and the best fraction lies where a line meets its limit or at an end. The ends
    are left out where both routes are used: one route alone is never dearer.
    """
    (stream,) = problem.streams
    routes = list(itertools.product(*problem.allowed(stream)))

    def priced(*parts: tuple[tuple[str, ...], float]):
        plan = {stream.name: tuple(Route(devices=d, fraction=f) for d, f in parts)}
        return evaluate(problem, Plan(routes=plan))

    best = math.inf
    for route in routes:
        one = priced((route, 1.0))
        if one.feasible:
            best = min(best, one.objective)
    for a, b in itertools.combinations(routes, 2):
        left, right = priced((a, 0.25), (b, 0.75)), priced((a, 0.75), (b, 0.25))
        if not math.isfinite(left.latency_seconds):
            continue
        low, high = 0.0, 1.0
        fixed = {"cannot run", "no link", "pin", "ban", "privacy", "memory"}
        if any(item.kind in fixed for item in left.violations):
            continue
        for x, y, limit in limits(problem, left, right):
            slope = (y - x) / 0.5
            start = x - 0.25 * slope
            if abs(slope) < 1e-15 * max(1.0, abs(start)):
                if start > limit * (1 + 1e-9):
                    low, high = 1.0, 0.0
            elif slope > 0:
                high = min(high, (limit - start) / slope)
            else:
                low = max(low, (limit - start) / slope)
        if low <= high:
            slope = (right.objective - left.objective) / 0.5
            start = left.objective - 0.25 * slope
            best = min(best, start + slope * low, start + slope * high)
    return None if math.isinf(best) else best


def limits(problem, left, right):
    """Yield (value at 1/4, value at 3/4, limit) of everything that is limited."""
    stream = problem.streams[0]
    yield left.latency_seconds, right.latency_seconds, stream.deadline_seconds
    for device, x, y in zip(problem.devices, left.devices, right.devices, strict=True):
        yield x.watts, y.watts, device.power_budget_watts
        if problem.capacity == "utilisation":
            yield x.utilisation, y.utilisation, device.utilisation_cap
    if problem.capacity == "utilisation":
        for link, x, y in zip(problem.links, left.links, right.links, strict=True):
            if link.contention == "shared":
                yield x.utilisation, y.utilisation, link.utilisation_cap
    watts = (math.fsum(load.watts for load in item.devices) for item in (left, right))
    yield (*watts, problem.budgets.power_watts)
    rate = problem.total_rate * 3600
    yield (
        left.streams[0].cost_dollars * rate,
        right.streams[0].cost_dollars * rate,
        problem.budgets.dollars_per_hour,
    )


@pytest.mark.parametrize("seed", range(40))
def test_fractions_are_the_best_of_all_pairs_of_routes(seed):
    problem = random_problem(
        seed,
        kind=KINDS[seed % 4],
        layers=3,
        devices=3,
        streams=1,
        spans=seed % 8 > 3 and seed % 4 != 2,
        splittable=True,
    )
    (stream,) = problem.streams
    problem = dataclasses.replace(
        problem, streams=(dataclasses.replace(stream, splittable=True, max_routes=2),)
    )
    check(problem, exact_split(problem))


# -- a problem whose answer is known by hand -----------------------------------------------------


def two_machines(**changes: object) -> Problem:
    """A slow free device and a fast paid one: 1 s against 0.1 s and 1 $ per request."""
    network = Network(
        "net",
        (Layer(name="l0", weight_bytes=10),),
        (
            Tensor(name="x", bytes=0, producer=None, consumers=(0,)),
            Tensor(name="y", bytes=0, producer=0, output=True),
        ),
        {"slow": LayerCosts(seconds=(1.0,)), "fast": LayerCosts(seconds=(0.1,))},
    )
    problem = Problem(
        networks=(network,),
        devices=(Device(name="slow"), Device(name="fast", dollars_per_request=1.0)),
        links=(
            Link(source="slow", target="fast", bytes_per_second=1.0),
            Link(source="fast", target="slow", bytes_per_second=1.0),
        ),
        streams=(
            Stream(
                name="s",
                network="net",
                origin="slow",
                rate_per_second=0.1,
                deadline_seconds=0.55,
                splittable=True,
            ),
        ),
        objective=Objective(latency=0.0, cost=1.0),
    )
    return dataclasses.replace(problem, **changes)


def test_a_deadline_on_the_mean_is_met_by_a_split_by_hand():
    # 1·φ + 0.1·(1 − φ) ≤ 0.55 ⇔ φ ≤ 1/2, and the rest pays 1 $ each. HiGHS uses the evaluator's
    # tolerance of 1e-6 of the deadline, which is worth 1.2e-6 of the price here.
    result = Highs().solve(two_machines())
    assert result.claimed_objective == pytest.approx(0.5, rel=2e-6)
    assert result.bound == pytest.approx(0.5, rel=4e-6)
    shares = {route.devices: route.fraction for route in result.plan.routes["s"]}
    assert shares == pytest.approx({("slow",): 0.5, ("fast",): 0.5}, rel=2e-6)
    assert math.fsum(shares.values()) == 1.0


def test_whole_streams_must_choose():
    problem = two_machines()
    stream = dataclasses.replace(problem.streams[0], splittable=False)
    result = Highs().solve(dataclasses.replace(problem, streams=(stream,)))
    assert result.claimed_objective == pytest.approx(1.0)
    assert result.plan.routes["s"] == (Route(devices=("fast",)),)


def test_an_impossible_deadline_is_an_answer():
    problem = two_machines()
    stream = dataclasses.replace(problem.streams[0], deadline_seconds=0.05)
    result = Highs().solve(dataclasses.replace(problem, streams=(stream,)))
    assert result.infeasible
    assert result.stop is Stop.COMPLETED
    assert result.message == "infeasible with presolve and without"
    assert result.plan is None
    assert result.bound is None


def test_a_layer_that_no_device_may_run_is_named():
    problem = two_machines()
    devices = tuple(dataclasses.replace(item, memory_bytes=9) for item in problem.devices)
    result = Highs().solve(dataclasses.replace(problem, devices=devices))
    assert result.infeasible
    assert "no device may run layer 'l0'" in result.message
    assert result.certificate is not None


# -- claims ------------------------------------------------------------------


def test_the_claim_names_solver_tolerances_and_what_is_bounded():
    result = Highs(gap=1e-5).solve(two_machines())
    version = Highs.availability().version
    assert result.solver == f"highs {version}"
    assert result.certificate.witnesses == (f"highs {version}",)
    assert dict(result.certificate.tolerances)["relative gap"] == 1e-5
    assert "at most 2 routes per stream" in result.certificate.bounded
    assert not result.certificate.proved


def test_a_claim_against_a_known_plan_is_a_failure(monkeypatch):
    problem = two_machines()
    known = whole(problem, {"s": "fast"})
    claim = module._Outcome(Stop.COMPLETED, infeasible=True)
    monkeypatch.setattr(module.Run, "solve", lambda self, start, presolve: claim)
    result = Highs().solve(problem, start=known)
    assert result.stop is Stop.FAILED
    assert not result.infeasible
    assert result.plan == known
    assert "the plan to start from is feasible" in result.message


def test_a_claim_that_falls_without_presolve_is_a_failure(monkeypatch):
    problem = two_machines()
    found = whole(problem, {"s": "fast"})

    def solve(self, start, presolve):
        if presolve:
            return module._Outcome(Stop.COMPLETED, infeasible=True)
        return module._Outcome(Stop.COMPLETED, found, 1.0, 1.0)

    monkeypatch.setattr(module.Run, "solve", solve)
    result = Highs().solve(problem)
    assert result.stop is Stop.FAILED
    assert result.plan == found
    assert result.bound is None
    assert "with presolve off" in result.message


def test_a_claim_that_could_not_be_checked_is_not_made(monkeypatch):
    def solve(self, start, presolve):
        if presolve:
            return module._Outcome(Stop.COMPLETED, infeasible=True)
        return module._Outcome(Stop.TIME_LIMIT)

    monkeypatch.setattr(module.Run, "solve", solve)
    result = Highs().solve(two_machines())
    assert result.stop is Stop.TIME_LIMIT
    assert not result.infeasible
    assert result.certificate is None


def test_an_option_that_highs_refuses_is_noticed():
    with pytest.raises(module.SolverError, match="option mip_rel_gap"):
        Highs(gap=-1.0).solve(two_machines())


# -- stopping ------------------------------------------------------------------


def large(seed: int = 3) -> Problem:
    """A problem that HiGHS does not close within seconds."""
    return random_problem(seed, layers=9, devices=5, streams=10, spans=True, splittable=True)


def test_the_time_limit_keeps_plan_and_bound():
    began = time.monotonic()
    result = Highs(time_limit=6.0).solve(large())
    assert time.monotonic() - began < 60
    assert result.stop in (Stop.TIME_LIMIT, Stop.COMPLETED)
    if result.plan is not None:
        assert evaluate(large(), result.plan).feasible
    if result.stop is Stop.TIME_LIMIT and result.bound is not None and result.plan is not None:
        assert result.bound <= result.claimed_objective


def test_no_time_at_all_leaves_the_plan_to_start_from():
    problem = two_machines()
    known = whole(problem, {"s": "fast"})
    result = Highs(time_limit=0.0).solve(problem, start=known)
    assert result.stop is Stop.TIME_LIMIT
    assert result.plan == known
    assert result.claimed_objective == pytest.approx(1.0)
    nothing = Highs(time_limit=0.0).solve(problem)
    assert nothing.stop is Stop.TIME_LIMIT
    assert nothing.plan is None
    assert nothing.claimed_objective is None


def test_ctrl_c_keeps_the_incumbent():
    problem = large()
    seen = []

    def once(progress):
        seen.append(progress)
        if progress.incumbent is not None and not any(p == "stopped" for p in seen):
            seen.append("stopped")
            raise KeyboardInterrupt

    result = Highs(time_limit=120).solve(problem, on_progress=once)
    assert "stopped" in seen
    assert result.stop is Stop.INTERRUPTED
    assert result.plan is not None
    assert evaluate(problem, result.plan).feasible


def test_the_stop_event_ends_the_run():
    event = threading.Event()
    event.set()
    began = time.monotonic()
    result = Highs(time_limit=120).solve(large(), stop=event)
    assert time.monotonic() - began < 60
    assert result.stop is Stop.INTERRUPTED
    assert not result.infeasible


def test_progress_is_told_in_the_calling_thread_in_the_objectives_units():
    problem = large(1)
    moments = []

    def told(progress):
        assert threading.current_thread() is threading.main_thread()
        moments.append(progress)

    result = Highs(time_limit=60).solve(problem, on_progress=told)
    assert result.plan is not None
    incumbents = [item.incumbent for item in moments if item.incumbent is not None]
    bounds = [item.bound for item in moments if item.bound is not None]
    assert incumbents
    assert min(incumbents) >= result.claimed_objective * (1 - 1e-6)
    assert all(bound <= result.claimed_objective * (1 + 1e-6) for bound in bounds)


# -- options ------------------------------------------------------------------


def test_a_plan_to_start_from_does_not_change_the_answer():
    for seed in (5, 9, 21):
        problem = random_problem(seed, layers=4, devices=3, streams=2, splittable=True)
        alone = Highs().solve(problem)
        if alone.plan is None:
            continue
        again = Highs().solve(problem, start=alone.plan)
        assert again.claimed_objective == pytest.approx(alone.claimed_objective, rel=RELATIVE)
        bad = whole(problem, {stream.name: problem.devices[0].name for stream in problem.streams})
        third = Highs().solve(problem, start=bad)
        assert third.claimed_objective == pytest.approx(alone.claimed_objective, rel=RELATIVE)


@pytest.mark.parametrize("seed", [105, 111, 217, 300, 312, 562, 1120])
def test_a_plan_to_start_from_is_not_given_by_set_solution(seed):
    # Given so, and with presolve on, HiGHS 1.16.0 claimed wrong prices for these.
    problem = random_problem(
        seed,
        kind=KINDS[seed % 4],
        layers=3 + seed % 3,
        devices=3,
        streams=1 + seed % 3,
        spans=(seed // 4) % 2 == 1 and seed % 4 != 2,
        splittable=(seed // 8) % 2 == 1,
    )
    plans = (random_plan(problem, seed * 100 + k) for k in range(30))
    start = next(plan for plan in plans if evaluate(problem, plan).feasible)
    began, alone = Highs().solve(problem, start=start), Highs().solve(problem)
    assert began.claimed_objective == pytest.approx(alone.claimed_objective, rel=3e-6)
    assert not began.message.startswith("solved again")


def test_the_plan_to_start_from_is_an_incumbent():
    problem = large()
    start = Highs(gap=0.5).solve(problem).plan
    price = evaluate(problem, start).objective
    result = Highs(time_limit=3.0).solve(problem, start=start)
    assert result.plan is not None
    assert result.claimed_objective <= price * (1 + 1e-6)


@pytest.mark.parametrize(
    "options", [{"presolve": False}, {"seed": 7}, {"threads": 2}, {"threads": 1}, {"gap": 0.0}]
)
def test_options_do_not_change_the_optimum(options):
    problem = random_problem(3, layers=4, devices=3, streams=2)
    expected = Highs().solve(problem)
    found = Highs(**options).solve(problem)
    assert found.stop is Stop.COMPLETED
    assert found.claimed_objective == pytest.approx(expected.claimed_objective, rel=RELATIVE)


def test_equal_seeds_give_equal_plans():
    problem = random_problem(3, layers=4, devices=3, streams=2)
    assert Highs(seed=4).solve(problem).plan == Highs(seed=4).solve(problem).plan


def test_nothing_is_printed(capfd):
    Highs().solve(two_machines(), on_progress=lambda _: None)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


def test_availability():
    found = Highs.availability()
    assert found.available
    assert found.version
    assert "highspy" in found.install
    assert Highs().unsupported(two_machines()) == ()


def test_numbers_beyond_its_tolerances_are_not_trusted(monkeypatch):
    """One time of 1e9 s beside zero ones: what HiGHS says of such a program is no claim."""
    network = Network(
        "n",
        (Layer(name="x"), Layer(name="y")),
        (Tensor(name="t", bytes=1, producer=0, consumers=(1,)),),
        {"a": LayerCosts(seconds=(1e9, 1e-3)), "b": LayerCosts(seconds=(1e-3, 2e-3))},
    )
    problem = Problem(
        networks=(network,),
        devices=(Device(name="a"), Device(name="b")),
        links=tuple(
            Link(source=x, target=y, bytes_per_second=1e9) for x, y in (("a", "b"), ("b", "a"))
        ),
        streams=(Stream(name="s", network="n", origin="a"),),
        capacity="none",
    )
    result = Highs().solve(problem)
    assert result.stop is Stop.WORK_LIMIT
    assert result.bound is None
    assert result.certificate is None
    assert "tolerances" in result.message
    assert evaluate(problem, result.plan).objective == result.claimed_objective
