"""The minimum cut against the enumerator and by hand; what it refuses; how it ends early."""

import dataclasses
import math
import re
import sys
import threading
import time

import pytest

from edgeplan.instances.generators import random_problem
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import LayerCosts, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Privacy,
)
from edgeplan.model.verify import verify
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.highs import Highs
from edgeplan.solvers.mincut import solver as mincut
from edgeplan.solvers.mincut.charges import (
    build,
)
from edgeplan.solvers.mincut.graph import maximum_flow
from edgeplan.solvers.mincut.solver import MinCut
from edgeplan.solvers.result import Stop
from tests.solvers.cut_problems import all_plans, large, pin, two, varied

# -- against the enumerator ----------------------------------------------------------------------


def hold_against_enumerator(problem):
    """Compare all that is claimed; return whether it is feasible (``None``: not supported)."""
    solver = MinCut()
    if solver.unsupported(problem):
        assert solver.solve(problem).stop is Stop.FAILED
        return None
    oracle = Enumerator().solve(problem)
    result = solver.solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.infeasible == oracle.infeasible
    assert result.certificate.basis == "dual"
    checked = verify(
        problem,
        result.plan,
        bound=result.bound,
        certificate=result.certificate,
        objective=result.claimed_objective,
        infeasible=result.infeasible,
    )
    assert checked.proved
    if result.infeasible:
        return False
    best = pytest.approx(oracle.claimed_objective, rel=1e-6)
    assert result.claimed_objective == best
    assert result.bound == best
    assert result.bound <= oracle.claimed_objective
    assert evaluate(problem, result.plan).objective == result.claimed_objective
    return True


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_equal_to_the_enumerator(streams):
    answers = [
        hold_against_enumerator(
            random_problem(
                1000 * streams + seed,
                kind="two-device",
                layers=2 + seed % 5,
                streams=streams,
                tight=False,
            )
        )
        for seed in range(120)
    ]
    assert answers.count(True) > 80
    assert answers.count(False) > 0
    assert answers.count(None) < 25


@pytest.mark.parametrize("part", range(4))
def test_equal_to_the_enumerator_on_anything_that_two_devices_can_have(part):
    answers = [
        hold_against_enumerator(varied(seed)) for seed in range(200 + 30 * part, 230 + 30 * part)
    ]
    assert answers.count(True) > 20


@pytest.mark.parametrize("name", ["latency", "energy", "cost"])
def test_single_objectives(name):
    answers = [hold_against_enumerator(varied(seed).with_objective(name)) for seed in range(30)]
    assert answers.count(True) > 20


def test_limits_that_cannot_bind_change_nothing():
    """Limits of what the dearest plan needs, and a little less than what it needs."""
    taken = 0
    for seed in range(24):
        problem = random_problem(seed, kind="two-device", layers=3, streams=2, tight=False)
        prices = [evaluate(problem, plan) for plan in all_plans(problem)]
        worst = [
            max(p.streams[i].latency_seconds for p in prices if p.feasible)
            for i in range(2)
            if any(p.feasible for p in prices)
        ]
        if len(worst) < 2:
            continue
        limited = dataclasses.replace(
            problem,
            streams=tuple(
                dataclasses.replace(stream, deadline_seconds=2.5 * seconds)
                for stream, seconds in zip(problem.streams, worst, strict=True)
            ),
        )
        if hold_against_enumerator(limited):
            taken += 1
            one = MinCut().solve(problem).claimed_objective
            assert MinCut().solve(limited).claimed_objective == one
    assert taken > 8


# -- by hand -------------------------------------------------------------------------------------

# The result t is read by l1: brought to the origin by ob's opposite, bo, or sent from bb.
READ_RESULT = (
    Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
    Tensor(name="t", bytes=32, producer=0, consumers=(1,), output=True),
    Tensor(name="out", bytes=16, producer=1),
)
LATER_READ_RESULT = (
    Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
    Tensor(name="t", bytes=32, producer=0, consumers=(1, 2), output=True),
    Tensor(name="u", bytes=32, producer=1, consumers=(2,)),
    Tensor(name="v", bytes=32, producer=2),
)

BY_HAND = {
    "far": (lambda: two(), "bb", 1.1875),
    "private input": (lambda: two(privacy=Privacy(zones=("home",))), "ob", 1.8125),
    "private before a layer": (
        lambda: two(privacy=Privacy(zones=("home",), before="l1")),
        "oo",
        2.0,
    ),
    "an input at home far away": (lambda: two(homes={"in": "b"}), "bb", 0.9375),
    "… first layer near": (lambda: two(homes={"in": "b"}, pins=(pin("l0", "o"),)), "ob", 2.3125),
    "layers that share a device": (
        lambda: two(together=(("l1", "l0"),), pins=(pin("l0", "o"),)),
        "oo",
        2.0,
    ),
    # t takes 1/2 s over any link, so ob 1, 1/8 + 1/2, 1/4, 1/4 + 1/16 = 2.1875.
    "a stated transfer time": (
        lambda: two(
            (
                Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
                Tensor(name="t", bytes=32, producer=0, consumers=(1,), transfer_seconds=0.5),
                Tensor(name="out", bytes=16, producer=1, output=True),
            ),
            pins=(pin("l0", "o"), pin("l1", "b")),
        ),
        "ob",
        2.1875,
    ),
    "no results back": (lambda: two(returns=False), "bb", 0.875),
    "no way back": (lambda: two(links=(0,)), "oo", 2.0),
    "no way there": (lambda: two(links=(1,)), "oo", 2.0),
    "a layer that b cannot run": (
        lambda: two(
            costs={"o": LayerCosts(seconds=(1.0, 1.0)), "b": LayerCosts(seconds=(math.inf, 0.25))}
        ),
        "ob",
        1.8125,
    ),
    # bb 1/8 + 1/4, 1/2, 1/4 + 1/8 (t back) = 1.25; bo 1/8 + 1/4, 1/4, 1/4 + 1/8, 1.
    "a result with a reader, all far": (lambda: two(READ_RESULT), "bb", 1.25),
    "… brought by its reader": (
        lambda: two(READ_RESULT, pins=(pin("l0", "b"), pin("l1", "o"))),
        "bo",
        2.0,
    ),
    # b draws 8 W, o 4 W and 1 W idle: oo 8; bb 4 + 1.1875; ob 4 + 2 + 0.8125.
    "the origin waits": (
        lambda: two(
            o={"active_watts": 4.0, "idle_watts": 1.0},
            b={"active_watts": 8.0},
            objective=Objective(latency=0.0, energy=1.0),
            waits=True,
        ),
        "bb",
        5.1875,
    ),
    # c runs nothing and is the origin: c->b 1/8 + 1/4, 1/2, b->c 1/4 + 1/16.
    "an origin that runs nothing": (
        lambda: two(
            origin="c",
            more=(Device(name="c"),),
            third=(
                Link(source="c", target="b", bytes_per_second=256.0, latency_seconds=1 / 8),
                Link(source="b", target="c", bytes_per_second=256.0, latency_seconds=1 / 4),
            ),
        ),
        "bb",
        1.1875,
    ),
    # in lies on c and moves to b: 1/2 + 1/4, and 1/8 for the request itself; 1/2; 1/4 + 1/16.
    "a home that runs nothing": (
        lambda: two(
            homes={"in": "c"},
            more=(Device(name="c"),),
            third=(Link(source="c", target="b", bytes_per_second=256.0, latency_seconds=1 / 2),),
        ),
        "bb",
        1.6875,
    ),
    "pin against ban": (
        lambda: two(pins=(pin("l0", "o"),), bans=(LayerRule(devices=("o",)),)),
        None,
        None,
    ),
    "no way there, and a pin": (lambda: two(links=(1,), pins=(pin("l1", "b"),)), None, None),
    "only one of them has times": (
        lambda: two(costs={"o": LayerCosts(seconds=(1.0, 0.5))}),
        "oo",
        1.5,
    ),
    "equally cheap: the first device": (
        lambda: two(
            (
                Tensor(name="t", bytes=0, producer=0, consumers=(1,)),
                Tensor(name="u", bytes=0, producer=1),
            ),
            up={},
            objective=Objective(latency=0.0, cost=1.0),
        ),
        "oo",
        0.0,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    make, devices, price = BY_HAND[name]
    problem = make()
    assert MinCut().unsupported(problem) == ()
    result = MinCut().solve(problem)
    if devices is None:
        assert result.infeasible
        assert result.plan is None
        assert result.bound is None
        assert result.certificate.proved
        return
    assert result.plan.routes["s"][0].devices == tuple(devices)
    assert result.claimed_objective == pytest.approx(price, rel=1e-12)
    assert result.bound == pytest.approx(price, rel=1e-12)
    assert result.bound <= result.claimed_objective


# -- what is refused -----------------------------------------------------------------------------

SPANS = {
    "o": SpanCosts(seconds=((1.0, 2.0), (1.0,))),
    "b": SpanCosts(seconds=((0.25, 0.5), (0.25,))),
}
THREE = {name: LayerCosts(seconds=(1.0, 1.0)) for name in ("o", "b", "c")}

REFUSED = {
    "split": (lambda: two(splittable=True), "dealt over 2 routes"),
    "spans": (lambda: two(costs=SPANS), "measured spans"),
    "three devices": (
        lambda: two(costs=THREE, more=(Device(name="c"),)),
        r"3 devices \(o, b, c\)",
    ),
    "one device": (
        lambda: dataclasses.replace(
            two(costs={"o": LayerCosts(seconds=(1.0, 1.0))}), devices=(Device(name="o"),), links=()
        ),
        "there is one device",
    ),
    "a result with a later reader": (lambda: two(LATER_READ_RESULT), "result 't' of stream 's'"),
    "throughput": (lambda: two(objective=Objective(throughput=0.1)), "weighs throughput"),
    "contiguous": (
        lambda: dataclasses.replace(two(), contiguous=True),
        "contiguous parts are asked for",
    ),
    "a minimum rate": (
        lambda: two(o={"replicas": 8}, budgets=Budgets(min_rate_per_second=2.1)),
        "minimum rate at device 'b' may be exceeded",
    ),
    "a device that transfers occupy": (
        lambda: two(
            o={"replicas": 8},
            b={"utilisation_cap": 0.45, "transfers": "occupy"},
            capacity="utilisation",
        ),
        "utilisation cap of device 'b' may be exceeded",
    ),
    "deadline": (lambda: two(deadline_seconds=2.1), "deadline of stream 's' may be exceeded"),
    "memory": (lambda: two(b={"memory_bytes": 209}), "memory of device 'b' may be exceeded"),
    "capacity": (
        lambda: two(o={"utilisation_cap": 0.9}, capacity="utilisation"),
        "utilisation cap of device 'o' may be exceeded",
    ),
    "link": (
        lambda: two(up={"utilisation_cap": 0.12}, o={"replicas": 4}, capacity="utilisation"),
        "utilisation cap of link 'o->b' may be exceeded",
    ),
    "device power": (
        lambda: two(b={"active_watts": 8.0, "power_budget_watts": 1.9}),
        "power budget of device 'b' may be exceeded",
    ),
    "power": (
        lambda: two(b={"active_watts": 8.0}, budgets=Budgets(power_watts=1.9)),
        "the power budget may be exceeded",
    ),
    "money": (
        lambda: two(b={"dollars_per_second": 1.0}, budgets=Budgets(dollars_per_hour=899.0)),
        "the money budget may be exceeded",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name):
    make, reason = REFUSED[name]
    problem = make()
    (said,) = MinCut().unsupported(problem)
    assert re.search(reason, said)
    assert "use the solver '" in said
    result = MinCut().solve(problem)
    assert result.stop is Stop.FAILED
    assert said in result.message
    assert (result.plan, result.bound, result.certificate) == (None, None, None)
    assert not result.infeasible


TAKEN = {
    "deadline": lambda: two(deadline_seconds=4.0),
    "memory exactly enough": lambda: two(b={"memory_bytes": 210}),
    "capacity for all of it": lambda: two(o={"replicas": 4}, capacity="utilisation"),
    "a minimum rate exactly met": lambda: two(
        o={"replicas": 4}, budgets=Budgets(min_rate_per_second=2.0)
    ),
    "a device with a free port": lambda: two(
        up={"utilisation_cap": 0.01},
        o={"transfers": "free_port", "replicas": 4},
        capacity="utilisation",
    ),
    "link exactly enough": lambda: two(
        up={"utilisation_cap": 0.1875}, o={"replicas": 4}, capacity="utilisation"
    ),
    "power exactly enough": lambda: two(b={"active_watts": 8.0, "power_budget_watts": 2.0}),
    "all power": lambda: two(b={"active_watts": 8.0}, budgets=Budgets(power_watts=2.0)),
    "money exactly enough": lambda: two(
        b={"dollars_per_second": 1.0}, budgets=Budgets(dollars_per_hour=900.0)
    ),
    "a result with a later reader, no latency priced": lambda: two(
        LATER_READ_RESULT, objective=Objective(latency=0.0, cost=1.0)
    ),
    "… whose last reader is near anyway": lambda: two(LATER_READ_RESULT, pins=(pin("l2", "o"),)),
    "… whose readers are far anyway": lambda: two(
        LATER_READ_RESULT, pins=(pin("l1", "b"), pin("l2", "b"))
    ),
    "… that need not return": lambda: two(LATER_READ_RESULT, returns=False),
    "a third device that nothing may use": lambda: two(
        costs=THREE, more=(Device(name="c"),), bans=(LayerRule(devices=("c",)),)
    ),
    "spans that no stream runs": lambda: dataclasses.replace(
        two(),
        networks=(*two().networks, dataclasses.replace(two(costs=SPANS).networks[0], name="m")),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name):
    assert hold_against_enumerator(TAKEN[name]())


# -- what the solver notices ---------------------------------------------------------------------
def test_a_wrong_flow_of_the_library_is_noticed(monkeypatch):
    def less(network):
        return dict.fromkeys(maximum_flow(network), 0)

    monkeypatch.setattr(mincut, "maximum_flow", less)
    with pytest.raises(SolverError, match="not a maximum"):
        MinCut().solve(two())


def test_a_failure_of_the_library_is_told(monkeypatch):
    def fail(network):
        raise RuntimeError("no flow today")

    monkeypatch.setattr(mincut, "maximum_flow", fail)
    with pytest.raises(SolverError, match="no flow today"):
        MinCut().solve(two())


def tampered(monkeypatch, change):
    def wrong(problem, prices):
        graph = build(problem, prices)
        change(graph)
        return graph

    monkeypatch.setattr(mincut, "build", wrong)


def test_a_cut_that_is_not_the_evaluators_price_is_refused(monkeypatch):
    tampered(monkeypatch, lambda graph: graph.always(1e-6))
    with pytest.raises(SolverError, match=r"up to 1\.18750\d*, the evaluator's price is 1\.1875$"):
        MinCut().solve(two())


def test_a_plan_that_refutes_the_cut_is_noticed(monkeypatch):
    tampered(monkeypatch, lambda graph: graph.when(graph.layers["s"], 1, math.inf))
    assert MinCut().solve(two()).claimed_objective == pytest.approx(1.8125)
    with pytest.raises(SolverError, match="no plan is below"):
        MinCut().solve(two(), start=whole(two(), {"s": "b"}))


def test_a_plan_that_refutes_infeasibility_is_noticed(monkeypatch):
    tampered(monkeypatch, lambda graph: graph.always(math.inf))
    assert MinCut().solve(two()).infeasible
    with pytest.raises(SolverError, match="every cut is forbidden"):
        MinCut().solve(two(), start=whole(two(), {"s": "b"}))


def test_a_plan_that_breaks_a_rule_is_refused(monkeypatch):
    problem = two(bans=(LayerRule(devices=("b",)),))
    monkeypatch.setattr(mincut, "build", lambda _, prices: build(two(), prices))
    with pytest.raises(SolverError, match="banned"):
        MinCut().solve(problem)


# -- ending early --------------------------------------------------------------------------------


def endless(network):
    while True:
        time.sleep(0.001)


def running():
    return [thread for thread in threading.enumerate() if thread.name == "mincut"]


@pytest.mark.parametrize("start", [None, "o", "nowhere"])
def test_stopped_on_the_way(monkeypatch, start):
    monkeypatch.setattr(mincut, "maximum_flow", endless)
    problem = two(pins=(pin("l0", "o"),)) if start == "nowhere" else two()
    plan = {None: None, "o": whole(problem, {"s": "o"}), "nowhere": whole(problem, {"s": "b"})}[
        start
    ]
    stop = threading.Event()
    seen = []
    threading.Timer(0.1, stop.set).start()
    result = MinCut().solve(problem, start=plan, stop=stop, on_progress=seen.append)
    assert result.stop is Stop.INTERRUPTED
    assert result.plan == (plan if start == "o" else None)
    assert result.claimed_objective == (2.0 if start == "o" else None)
    assert [moment.incumbent for moment in seen] == ([2.0] if start == "o" else [])
    assert (result.bound, result.certificate, result.infeasible) == (None, None, False)
    assert_no_thread_is_left()


def assert_no_thread_is_left():
    for thread in running():
        thread.join(10)
    assert running() == []


@pytest.mark.parametrize("limit", [0.0, 0.05])
def test_the_time_limit_holds(monkeypatch, limit):
    monkeypatch.setattr(mincut, "maximum_flow", endless)
    result = MinCut(time_limit=limit).solve(two(), start=whole(two(), {"s": "o"}))
    assert result.stop is Stop.TIME_LIMIT
    assert result.claimed_objective == 2.0
    assert result.bound is None
    assert_no_thread_is_left()


@pytest.mark.parametrize("place", ["build", "evaluate"])
def test_ctrl_c_keeps_the_plan(monkeypatch, place):
    problem, plan = two(), whole(two(), {"s": "o"})
    calls = []

    def pressed(*given):
        calls.append(given)
        if place == "build" or len(calls) > 1:
            raise KeyboardInterrupt
        return evaluate(*given)

    monkeypatch.setattr(mincut, place, pressed)
    result = MinCut().solve(problem, start=plan)
    assert result.stop is Stop.INTERRUPTED
    assert result.plan == plan
    assert result.claimed_objective == 2.0


def test_ctrl_c_while_the_flow_runs(monkeypatch):
    class Pressed(threading.Thread):
        def join(self, timeout=None):
            if timeout == mincut.POLL_SECONDS:
                raise KeyboardInterrupt
            super().join(timeout)

    monkeypatch.setattr(mincut, "maximum_flow", endless)
    monkeypatch.setattr(mincut.threading, "Thread", Pressed)
    result = MinCut().solve(two(), start=whole(two(), {"s": "o"}))
    assert result.stop is Stop.INTERRUPTED
    assert result.claimed_objective == 2.0
    assert_no_thread_is_left()


def test_progress_ends_with_the_answer():
    seen = []
    result = MinCut().solve(two(), start=whole(two(), {"s": "o"}), on_progress=seen.append)
    assert [moment.incumbent for moment in seen] == [2.0, result.claimed_objective]
    assert [moment.bound for moment in seen] == [None, result.bound]


def test_a_start_of_another_problem_is_refused():
    with pytest.raises(InputError, match="no such stream"):
        MinCut().solve(two(), start=Plan(routes={"x": (Route(devices=("o", "o")),)}))


def test_available():
    there = MinCut.availability()
    assert there.available
    assert there.version
    assert "pip install networkx" in there.install


def test_unavailable_without_networkx(monkeypatch):
    monkeypatch.setitem(sys.modules, "networkx", None)
    monkeypatch.setattr(mincut.importlib.util, "find_spec", lambda name: None)
    assert not MinCut.availability().available


# -- size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [1, 3])
def test_six_hundred_layers(streams):
    problem = large(1, layers=600, streams=streams)
    result = MinCut().solve(problem)
    assert result.stop is Stop.COMPLETED
    assert result.certificate.proved
    # A proved gap of rounding only, and a split that beats both devices alone.
    assert result.bound == pytest.approx(result.claimed_objective, rel=1e-12)
    alone = [
        evaluate(problem, whole(problem, {s.name: name for s in problem.streams})).objective
        for name in ("o", "b")
    ]
    assert result.claimed_objective < min(alone) * 0.999
    assert len({*result.plan.routes["s0"][0].devices}) == 2


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_sixty_layers_as_highs_finds(seed):
    problem = large(seed, layers=60, streams=2)
    result = MinCut().solve(problem)
    other = Highs(time_limit=300).solve(problem)
    assert other.stop is Stop.COMPLETED
    assert result.claimed_objective == pytest.approx(other.claimed_objective, rel=1e-6)
    assert result.bound == pytest.approx(other.bound, rel=1e-5)
