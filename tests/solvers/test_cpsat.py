"""CP-SAT on discrete problems: the enumerator, the relaxation, limits, interrupts, claims."""

from __future__ import annotations

import dataclasses
import math
import random
import threading
import time

import pytest

pytest.importorskip("ortools", reason="CP-SAT is an extra: pip install ortools")

from edgeplan.instances.generators import KINDS, random_plan, random_problem
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.formulation import build
from edgeplan.model.formulation.arrays import compile_arrays
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, whole
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream
from edgeplan.solvers.baselines import baselines
from edgeplan.solvers.cpsat import solver as module
from edgeplan.solvers.cpsat.model import Answer, WholeModel
from edgeplan.solvers.cpsat.solver import CpSat
from edgeplan.solvers.cpsat.zero_one import whole as in_whole_numbers
from edgeplan.solvers.cpsat.zero_one import zero_one
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop

RELATIVE = 1e-6


# -- random problems ------------------------------------------------------------------


def varied(number: int) -> Problem:
    """A random problem of any kind, often with throughput, contiguity or layers kept together."""
    kind, turn = KINDS[number % len(KINDS)], number // len(KINDS)
    problem = random_problem(
        number,
        kind=kind,
        layers=3 + turn % 3,
        devices=2 + turn % 2,
        streams=1 + turn % 3,
        tight=turn % 5 != 4,
        spans=turn % 2 == 1 and kind != "two-device",
    )
    draw = random.Random(number)
    if draw.random() < 0.3:
        problem = dataclasses.replace(problem, contiguous=True)
    if draw.random() < 0.4:
        transfers = ("occupy", "free_port", "links")
        devices = tuple(
            dataclasses.replace(device, transfers=draw.choice(transfers))
            for device in problem.devices
        )
        problem = dataclasses.replace(problem, devices=devices)
    if draw.random() < 0.3:
        problem = dataclasses.replace(
            problem, streams=tuple(together(problem, stream, draw) for stream in problem.streams)
        )
    chance = draw.random()
    if chance < 0.25:
        problem = problem.with_objective("throughput")
    elif chance < 0.5:
        objective = dataclasses.replace(problem.objective, throughput=draw.choice([0.3, 5.0]))
        problem = dataclasses.replace(problem, objective=objective)
    if draw.random() < 0.3:
        period = evaluate(problem, random_plan(problem, number)).period_seconds
        if 0 < period < math.inf:
            rate = draw.choice([0.7, 0.95, 1.2]) / period
            budgets = dataclasses.replace(problem.budgets, min_rate_per_second=rate)
            problem = dataclasses.replace(problem, budgets=budgets)
    return problem


def together(problem: Problem, stream: Stream, draw: random.Random) -> Stream:
    names = [layer.name for layer in problem.network[stream.network].layers]
    pair = tuple(draw.sample(names, 2)) if len(names) > 1 else ()
    return dataclasses.replace(stream, together=(pair,) if pair else ())


def best_baseline(problem: Problem) -> Plan | None:
    known = [item for item in baselines(problem) if item.feasible]
    best = min(known, key=lambda item: item.evaluation.objective, default=None)
    return None if best is None else best.plan


@pytest.mark.parametrize("part", range(10))
def test_the_enumerator_agrees(part):
    feasible, infeasible = 0, 0
    for number in range(20_000 + 16 * part, 20_016 + 16 * part):
        problem = varied(number)
        oracle = Enumerator().solve(problem)
        assert oracle.stop is Stop.COMPLETED
        start = best_baseline(problem) if number % 2 else None
        result = CpSat().solve(problem, start=start)
        assert result.stop is Stop.COMPLETED, (number, result.message)
        assert result.infeasible == oracle.infeasible, (number, result.message)
        assert result.certificate.basis == "claimed"
        if oracle.infeasible:
            infeasible += 1
            assert result.plan is None
            assert result.bound is None
            continue
        feasible += 1
        best = oracle.claimed_objective
        price = evaluate(problem, result.plan)
        assert price.feasible, number
        assert price.objective == result.claimed_objective
        assert price.objective == pytest.approx(best, rel=RELATIVE, abs=1e-15), number
        assert result.bound == pytest.approx(best, rel=RELATIVE, abs=1e-15), number
        assert result.bound <= best * (1 + 1e-12), number
    assert feasible >= 5
    assert infeasible >= 1


@pytest.mark.long
def test_the_enumerator_agrees_on_many():
    for number in range(2_000):
        problem = varied(number)
        oracle, result = Enumerator().solve(problem), CpSat().solve(problem)
        assert result.stop is Stop.COMPLETED, (number, result.message)
        assert result.infeasible == oracle.infeasible, number
        if not oracle.infeasible:
            best = oracle.claimed_objective
            assert result.claimed_objective == pytest.approx(best, rel=RELATIVE, abs=1e-15), number
            assert result.bound == pytest.approx(best, rel=RELATIVE, abs=1e-15), number


def misled(number: int) -> Problem:
    """One of the problems whose second-best plan CP-SAT 9.15.6755 called optimal."""
    if number == 1899:
        problem = random_problem(
            1899, kind="multi-input", layers=3, devices=2, streams=1, tight=False
        )
        return problem.with_objective("throughput")
    if number == 1367:
        return random_problem(1367, kind="multi-input", layers=5, devices=3, streams=3, spans=True)
    problem = random_problem(1102, kind="two-device", layers=5, streams=3)
    one, other = problem.devices
    return dataclasses.replace(
        problem,
        devices=(one, dataclasses.replace(other, transfers="occupy")),
        objective=dataclasses.replace(problem.objective, throughput=5.0),
    )


@pytest.mark.parametrize("number", [1102, 1367, 1899])
def test_a_step_of_presolve_that_is_wrong_is_off(number):
    problem = misled(number)
    oracle, result = Enumerator().solve(problem), CpSat().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.claimed_objective == pytest.approx(oracle.claimed_objective, rel=RELATIVE)


# -- the relaxation ------------------------------------------------------------------


@pytest.mark.parametrize("number", range(30_000, 30_024))
def test_every_plan_is_a_solution_in_whole_numbers_and_costs_no_more_there(number):
    problem = varied(number)
    formulation = build(with_tolerance(problem))
    if formulation.obstacles:
        assert Enumerator().solve(problem).infeasible
        return
    arrays = compile_arrays(formulation.model)
    program = zero_one(arrays)
    variable = {id(arrays.columns[c]): v for c, v in program.columns.items()}
    for seed in range(12):
        plan = random_plan(problem, seed)
        price = evaluate(problem, plan)
        if not price.feasible:
            continue
        known = price.objective / formulation.objective_unit
        for numbers in (in_whole_numbers(program), in_whole_numbers(program, known)):
            model = WholeModel(program.count, numbers, [])
            for column, value in formulation.values(plan):
                model.model.add(model.variables[variable[id(column)]] == round(value))
            answer = model.run(
                {"num_workers": 1, "presolve_inclusion_work_limit": 0}, skip, Never()
            )
            assert answer.status == "OPTIMAL", (number, seed)
            assert answer.price <= known * (1 + 1e-12) + 1e-15
            assert known - answer.price <= numbers.error
            assert numbers.error <= 1e-6 * max(known, 1.0)


def skip(_moment: object) -> None:
    """Take no notice of a moment."""


class Never:
    interrupted = False
    asked = False


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
        streams=(Stream(name="s", network="net", origin="slow", rate_per_second=0.1),),
        objective=Objective(latency=0.0, cost=1.0),
    )
    return dataclasses.replace(problem, **changes)


def due(deadline: float) -> Problem:
    problem = two_machines()
    stream = dataclasses.replace(problem.streams[0], deadline_seconds=deadline)
    return dataclasses.replace(problem, streams=(stream,))


def test_a_plan_that_breaks_a_limit_by_a_hair_is_excluded():
    # 1 s is 1.005e-6 above this deadline: within the relaxation, not within the evaluator's.
    result = CpSat().solve(due(1 / (1 + 1.005 * RELATIVE_TOLERANCE)))
    assert result.stop is Stop.COMPLETED
    assert result.plan == whole(two_machines(), {"s": "fast"})
    assert result.claimed_objective == pytest.approx(1.0)
    assert result.bound == pytest.approx(1.0, rel=RELATIVE)
    assert "1 plan of the relaxation excluded" in result.message


def test_a_plan_that_keeps_a_limit_by_a_hair_is_found():
    result = CpSat().solve(due(1 / (1 + 0.999 * RELATIVE_TOLERANCE)))
    assert result.plan == whole(two_machines(), {"s": "slow"})
    assert result.claimed_objective == 0.0
    assert "excluded" not in result.message


def test_when_all_are_excluded_there_is_none():
    problem = due(1 / (1 + 1.005 * RELATIVE_TOLERANCE))
    pinned = dataclasses.replace(
        problem,
        networks=(
            dataclasses.replace(
                problem.networks[0], costs={"slow": problem.networks[0].costs["slow"]}
            ),
        ),
    )
    result = CpSat().solve(pinned)
    assert result.infeasible
    assert result.message.startswith("infeasible with presolve and without")


def test_exclusion_has_an_end(monkeypatch):
    monkeypatch.setattr(module, "MOST_EXCLUDED", 0)
    result = CpSat().solve(due(1 / (1 + 1.005 * RELATIVE_TOLERANCE)))
    assert result.stop is Stop.WORK_LIMIT
    assert result.plan is None
    assert result.bound == 0.0


def test_prices_twelve_orders_apart_leave_no_gap():
    """The dear choices are left out once a cheap plan is known, and the steps become small."""
    times = {"slow": (1e9,) * 3, "fast": (1.23456789e-3, 2.3456789e-3, 3.456789e-3)}
    network = Network(
        "net",
        tuple(Layer(name=f"l{k}") for k in range(3)),
        (
            Tensor(name="x", bytes=0, producer=None, consumers=(0,)),
            *(Tensor(name=f"t{k}", bytes=0, producer=k, consumers=(k + 1,)) for k in range(2)),
            Tensor(name="y", bytes=0, producer=2, output=True),
        ),
        {name: LayerCosts(seconds=seconds) for name, seconds in times.items()},
    )
    problem = two_machines(
        networks=(network,),
        objective=Objective(latency=1.0),
        capacity="none",
    )
    result = CpSat(gap=1e-7).solve(problem)
    assert result.stop is Stop.COMPLETED, result.message
    best = math.fsum(times["fast"])
    assert result.claimed_objective == pytest.approx(best, rel=1e-12)
    assert result.bound == pytest.approx(best, rel=1e-7)
    assert result.bound <= best


@pytest.mark.parametrize("objective", ["latency", "throughput", "energy"])
def test_an_input_that_is_a_result_too_costs_the_same_in_every_plan(objective):
    """It returns from its home in any case: a constant in the totals and in the period."""
    network = two_machines().networks[0]
    inputs = Tensor(name="x", bytes=3, producer=None, consumers=(0,), output=True)
    problem = two_machines(
        networks=(dataclasses.replace(network, tensors=(inputs, network.tensors[1])),),
        devices=tuple(
            dataclasses.replace(device, active_watts=2.0, transfers="occupy")
            for device in two_machines().devices
        ),
        links=tuple(
            dataclasses.replace(link, latency_seconds=0.25, send_joules_per_byte=5.0)
            for link in two_machines().links
        ),
        capacity="none",
    ).with_objective(objective)
    stream = dataclasses.replace(problem.streams[0], homes={"x": "fast"})
    problem = dataclasses.replace(problem, streams=(stream,))
    oracle, result = Enumerator().solve(problem), CpSat().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.claimed_objective == pytest.approx(oracle.claimed_objective, rel=RELATIVE)
    assert result.bound == pytest.approx(oracle.claimed_objective, rel=RELATIVE)
    assert oracle.claimed_objective > 3.0


# -- claims ------------------------------------------------------------------


def test_the_claim_names_solver_tolerances_and_what_is_bounded():
    result = CpSat(gap=1e-5).solve(two_machines())
    version = CpSat.availability().version
    assert result.solver == f"cp-sat {version}"
    assert result.certificate.witnesses == (f"cp-sat {version}",)
    assert result.certificate.basis == "claimed"
    tolerances = dict(result.certificate.tolerances)
    assert tolerances["relative gap"] == 1e-5
    assert tolerances["limits, relative"] == RELATIVE_TOLERANCE
    assert 0 < tolerances["rounding of the objective"] < 1e-7
    assert "one route per stream" in result.certificate.bounded


def test_an_impossible_deadline_is_an_answer():
    result = CpSat().solve(due(0.05))
    assert result.infeasible
    assert result.stop is Stop.COMPLETED
    assert result.message == "infeasible with presolve and without"
    assert result.plan is None
    assert result.bound is None
    assert result.certificate is not None


def test_a_layer_that_no_device_may_run_is_named():
    devices = tuple(dataclasses.replace(item, memory_bytes=9) for item in two_machines().devices)
    result = CpSat().solve(two_machines(devices=devices))
    assert result.infeasible
    assert "no device may run layer 'l0'" in result.message


def claims(monkeypatch: pytest.MonkeyPatch, *answers: Answer) -> None:
    left = list(answers)
    monkeypatch.setattr(WholeModel, "run", lambda self, parameters, take, asked: left.pop(0))


NONE = Answer("INFEASIBLE", None, math.inf, "INFEASIBLE")


def test_a_claim_against_a_known_plan_is_a_failure(monkeypatch):
    known = whole(two_machines(), {"s": "fast"})
    claims(monkeypatch, NONE, NONE)
    result = CpSat().solve(two_machines(), start=known)
    assert result.stop is Stop.FAILED
    assert not result.infeasible
    assert result.plan == known
    assert result.bound is None
    assert "a plan in hand is feasible" in result.message


def test_a_claim_that_falls_without_presolve_is_a_failure(monkeypatch):
    claims(monkeypatch, NONE, Answer("OPTIMAL", frozenset({1}), 0.0, "OPTIMAL"))
    result = CpSat().solve(two_machines())
    assert result.stop is Stop.FAILED
    assert not result.infeasible
    assert result.bound is None
    assert "found one without presolve" in result.message


def test_a_claim_that_could_not_be_checked_is_not_made(monkeypatch):
    claims(monkeypatch, NONE, Answer("UNKNOWN", None, math.inf, "UNKNOWN"))
    result = CpSat(time_limit=100).solve(two_machines())
    assert result.stop is Stop.TIME_LIMIT
    assert not result.infeasible
    assert result.certificate is None


def test_a_price_that_is_not_the_plans_is_a_failure(monkeypatch):
    run = WholeModel.run

    def cheaper(self, parameters, take, asked):
        answer = run(self, parameters, take, asked)
        return dataclasses.replace(answer, price=answer.price + 0.5)

    monkeypatch.setattr(WholeModel, "run", cheaper)
    result = CpSat().solve(two_machines())
    assert result.stop is Stop.FAILED
    assert result.bound is None
    assert result.claimed_objective == 0.0


def test_splittable_streams_are_for_highs():
    problem = two_machines()
    stream = dataclasses.replace(problem.streams[0], splittable=True)
    split = dataclasses.replace(problem, streams=(stream,))
    (reason,) = CpSat().unsupported(split)
    assert "use the solver 'highs'" in reason
    result = CpSat().solve(split)
    assert result.stop is Stop.FAILED
    assert reason in result.message
    one = dataclasses.replace(stream, max_routes=1)
    assert CpSat().unsupported(dataclasses.replace(problem, streams=(one,))) == ()


# -- stopping ------------------------------------------------------------------


def large(seed: int = 3) -> Problem:
    """A problem that takes CP-SAT some seconds."""
    return random_problem(seed, layers=9, devices=5, streams=10, spans=True)


def test_the_time_limit_keeps_plan_and_bound():
    problem = large()
    start = CpSat(gap=0.5).solve(problem).plan
    result = CpSat(time_limit=1.5).solve(problem, start=start)
    assert result.stop in (Stop.TIME_LIMIT, Stop.COMPLETED)
    assert result.plan is not None
    price = evaluate(problem, result.plan)
    assert price.feasible
    assert price.objective == result.claimed_objective
    assert result.claimed_objective <= evaluate(problem, start).objective
    if result.bound is not None:
        assert result.bound <= result.claimed_objective


def test_no_time_at_all_leaves_the_plan_to_start_from():
    known = whole(two_machines(), {"s": "fast"})
    result = CpSat(time_limit=0.0).solve(two_machines(), start=known)
    assert result.stop is Stop.TIME_LIMIT
    assert result.plan == known
    assert result.claimed_objective == pytest.approx(1.0)
    nothing = CpSat(time_limit=0.0).solve(two_machines())
    assert nothing.stop is Stop.TIME_LIMIT
    assert nothing.plan is None
    assert nothing.claimed_objective is None
    assert nothing.certificate is None


def test_ctrl_c_keeps_the_incumbent():
    problem = large()
    stopped = []

    def once(progress):
        if progress.incumbent is not None and not stopped:
            stopped.append(progress)
            raise KeyboardInterrupt

    result = CpSat(time_limit=120).solve(problem, on_progress=once)
    assert stopped
    assert result.stop is Stop.INTERRUPTED
    assert result.plan is not None
    assert evaluate(problem, result.plan).feasible


def test_a_second_ctrl_c_ends_at_once():
    def always(progress):
        raise KeyboardInterrupt

    result = CpSat(time_limit=120).solve(large(), on_progress=always)
    assert result.stop is Stop.INTERRUPTED


def test_the_stop_event_ends_the_run():
    event = threading.Event()
    problem = large()

    def stop(progress):
        event.set()

    began = time.monotonic()
    result = CpSat(time_limit=120).solve(problem, on_progress=stop, stop=event)
    assert time.monotonic() - began < 60
    assert result.stop is Stop.INTERRUPTED
    assert not result.infeasible


def test_an_error_in_the_callers_callback_is_the_callers():
    def broken(progress):
        raise ValueError("the caller's own")

    with pytest.raises(ValueError, match="the caller's own"):
        CpSat().solve(large(), on_progress=broken)


def test_progress_is_told_in_the_calling_thread_in_the_objectives_units():
    moments = []

    def told(progress):
        assert threading.current_thread() is threading.main_thread()
        moments.append(progress)

    result = CpSat(time_limit=60).solve(large(), on_progress=told)
    incumbents = [item.incumbent for item in moments if item.incumbent is not None]
    bounds = [item.bound for item in moments if item.bound is not None]
    assert incumbents == sorted(incumbents, reverse=True)
    assert bounds == sorted(bounds)
    assert min(incumbents) == result.claimed_objective
    assert max(bounds) <= result.claimed_objective


# -- options ------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"seed": 7}, {"threads": 2}, {"gap": 0.0}, {"gap": 1e-4}])
def test_options_do_not_change_the_optimum(options):
    problem = random_problem(3, layers=4, devices=3, streams=2)
    expected = Enumerator().solve(problem).claimed_objective
    found = CpSat(**options).solve(problem)
    assert found.claimed_objective == pytest.approx(expected, rel=1e-4)
    assert found.bound <= expected * (1 + 1e-12)


def test_a_gap_that_whole_numbers_cannot_close_is_said_to_be_open():
    problem = random_problem(3, layers=4, devices=3, streams=2)
    result = CpSat(gap=0.0).solve(problem)
    assert result.stop is Stop.WORK_LIMIT
    assert "the gap stays open by rounding" in result.message


def test_equal_seeds_give_equal_plans():
    problem = random_problem(3, layers=4, devices=3, streams=2)
    assert CpSat(seed=4).solve(problem).plan == CpSat(seed=4).solve(problem).plan


def test_nothing_is_printed(capfd):
    CpSat().solve(two_machines(), on_progress=lambda _: None)
    out, err = capfd.readouterr()
    assert out == ""
    assert err == ""


def test_availability_names_the_install_command(monkeypatch):
    found = CpSat.availability()
    assert found.available
    assert found.version
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    missing = CpSat.availability()
    assert not missing.available
    assert missing.version == ""
    assert "pip install" in missing.install
    assert "ortools" in missing.install
