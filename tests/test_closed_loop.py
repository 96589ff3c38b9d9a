"""Planning until a simulation agrees: what is cut, what is kept, and what is said of it."""

from __future__ import annotations

import dataclasses
import json
import threading

import pytest

from edgeplan import closed_loop, planner
from edgeplan.closed_loop import Agreement, plan_and_simulate
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream, TailDeadline
from edgeplan.result import Limit, Result, Status
from edgeplan.simulation import simulate

MS = 1e-3


def one_device(*streams: Stream, waiting: str = "mg1", cv2: float = 0.0) -> Problem:
    """Return a device that takes 10 ms for a request."""
    costs = {"a": LayerCosts(seconds=(10 * MS,), cv2=cv2)}
    return Problem(
        networks=(Network("n", (Layer(name="l"),), (), costs),),
        devices=(Device(name="a"),),
        streams=streams,
        waiting=waiting,  # type: ignore[arg-type]
    )


def stream(name: str = "s", **changes: object) -> Stream:
    fields: dict[str, object] = {"network": "n", "origin": "a", "rate_per_second": 50.0}
    return Stream(name=name, **(fields | changes))  # type: ignore[arg-type]


def revisit(*, other: bool, **limits: object) -> Problem:
    """Return a problem whose requests come back to 'a' right away, still among those they left.

    The formula takes the visits for independent ones: 60 ms for the stream. Devices 'c' (with
    ``other``) are slower, but visited once, so that their 63 ms are exact.
    """
    inf = float("inf")
    costs = {
        "a": LayerCosts(seconds=(10 * MS, inf, 10 * MS)),
        "b": LayerCosts(seconds=(inf, 0.01 * MS, inf)),
        "c": LayerCosts(seconds=(1 * MS, 1 * MS, 43 * MS) if other else (inf,) * 3),
    }
    tensors = (
        Tensor(name="x", bytes=1, producer=None, consumers=(0,)),
        Tensor(name="t", bytes=1, producer=0, consumers=(1,)),
        Tensor(name="u", bytes=1, producer=1, consumers=(2,)),
    )
    network = Network("n", tuple(Layer(name=name) for name in "123"), tensors, costs)
    return Problem(
        name="revisit",
        networks=(network,),
        devices=(Device(name="a"), Device(name="b"), Device(name="c", replicas=4)),
        links=tuple(
            Link(source=one, target=two, bytes_per_second=1e9, contention="none")
            for one, two in ("ab", "ba", "ac")
        ),
        streams=(stream(rate_per_second=40.0, returns=False, **limits),),
        waiting="mg1",
    )


REVISIT = Plan(routes={"s": (Route(devices=("a", "b", "a")),)})
OTHER = (Route(devices=("c", "c", "c")),)


def test_a_plan_that_is_only_predicted_to_hold_is_replaced_by_one_that_holds():
    problem = revisit(other=True, deadline_seconds=68 * MS)
    predicted = evaluate(problem, REVISIT)
    assert predicted.feasible
    assert predicted.streams[0].latency_seconds == pytest.approx(60 * MS, rel=0.01)
    found = plan_and_simulate(problem, requests=100_000)
    assert found.agrees
    assert found.why == "the simulation keeps every deadline"
    first, last = found.rounds
    assert first.objective == pytest.approx(predicted.objective)
    (broken,) = first.broken
    assert (broken.stream, broken.statistic, broken.required) == ("s", "mean", 68 * MS)
    assert broken.simulated > 70 * MS
    # The device was 80 % busy, and may be 5 % less.
    assert first.tightened == (("a", pytest.approx(0.76)),)
    assert (last.broken, last.untested, last.tightened) == ((), (), ())
    assert found.result.plan is not None
    assert found.result.plan.routes["s"] == OTHER
    # The bound is that of the problem as stated, which the first plan met.
    assert found.result.status == "feasible"
    assert found.result.bound == pytest.approx(predicted.objective)
    assert found.result.objective == pytest.approx(63.4 * MS, rel=0.01)
    # Somebody else's requests agree.
    other = simulate(problem, found.result.plan, requests=200_000, seed=99)
    assert other.streams[0].mean.below(68 * MS)
    same = plan_and_simulate(problem, requests=100_000)
    assert same.rounds == found.rounds
    assert same.simulation == found.simulation
    json.dumps(found.as_json(), allow_nan=False)


def test_where_no_plan_remains_the_bound_is_kept_and_nothing_is_claimed():
    problem = revisit(other=False, deadline_seconds=68 * MS)
    found = plan_and_simulate(problem, requests=100_000)
    assert not found.agrees
    assert not found.stopped
    assert found.result.status == "unknown"
    assert found.result.plan is None
    assert found.result.objective is None
    assert found.result.bound == pytest.approx(evaluate(problem, REVISIT).objective)
    assert found.simulation is None
    assert found.why.startswith("no plan remains with less load: mean of 's'")


def _then(monkeypatch: pytest.MonkeyPatch, *later: tuple[Status, Limit | None]) -> None:
    """Let solves after the first end so, without a plan."""
    plan, ends = planner.plan, iter(later)
    first: list[Result] = []

    def planned(problem: Problem, **options: object) -> Result:
        if not first:
            first.append(plan(problem, **options))  # type: ignore[arg-type]
            return first[0]
        status, limit = next(ends)
        return dataclasses.replace(
            first[0], status=status, limit=limit, plan=None, evaluation=None, objective=None
        )

    monkeypatch.setattr(planner, "plan", planned)


@pytest.mark.parametrize(
    ("limit", "says", "stopped"),
    [
        ("time", "no plan with less load was found within the limit of time: mean of 's'", False),
        ("interrupted", "stopped while looking for a plan with less load: mean of 's'", True),
        (None, "no plan with less load was found: mean of 's'", False),
    ],
)
def test_a_later_solve_that_was_cut_short_is_not_told_as_no_plan(
    monkeypatch: pytest.MonkeyPatch, limit: Limit | None, says: str, stopped: bool
):
    _then(monkeypatch, ("unknown", limit))
    problem = revisit(other=True, deadline_seconds=68 * MS)
    found = plan_and_simulate(problem, requests=100_000)
    assert found.why.startswith(says)
    assert (found.agrees, found.stopped) == (False, stopped)
    assert found.result.plan == REVISIT
    assert found.simulation is not None
    assert len(found.rounds) == 1


def _stop_after(monkeypatch: pytest.MonkeyPatch, solves: int) -> Agreement:
    """Run with a stop that comes while a solve ends."""
    stop, plan, done = threading.Event(), planner.plan, []

    def planned(problem: Problem, **options: object) -> Result:
        result = plan(problem, **options)  # type: ignore[arg-type]
        done.append(result)
        if len(done) == solves:
            stop.set()
        return result

    monkeypatch.setattr(planner, "plan", planned)
    problem = revisit(other=True, deadline_seconds=68 * MS)
    return plan_and_simulate(problem, requests=100_000, stop=stop)


def test_a_stop_before_the_first_simulation_keeps_the_plan(monkeypatch: pytest.MonkeyPatch):
    found = _stop_after(monkeypatch, 1)
    assert found.why == "stopped before the plan was simulated"
    assert (found.agrees, found.stopped, found.simulation, found.rounds) == (False, True, None, ())
    assert found.result.plan == REVISIT
    json.dumps(found.as_json(), allow_nan=False)


def test_a_stop_before_a_later_simulation_keeps_the_last_simulated_plan(
    monkeypatch: pytest.MonkeyPatch,
):
    found = _stop_after(monkeypatch, 2)
    assert found.why == "stopped before a plan with less load was simulated"
    assert (found.agrees, found.stopped) == (False, True)
    assert found.result.plan == REVISIT
    assert found.simulation is not None


def test_a_stop_within_a_simulation_keeps_the_plan_without_cuts(monkeypatch: pytest.MonkeyPatch):
    def stopped_soon(*args: object, **options: object) -> object:
        asked = iter([False] * 3)
        return simulate(*args, **(options | {"stop": lambda: next(asked, True)}))  # type: ignore[arg-type]

    monkeypatch.setattr(closed_loop, "simulate", stopped_soon)
    found = plan_and_simulate(revisit(other=True, deadline_seconds=68 * MS), requests=500_000)
    assert found.why == "stopped before the simulation was done"
    assert (found.agrees, found.stopped) == (False, True)
    assert found.result.plan == REVISIT
    assert found.simulation is not None
    assert found.rounds[0].tightened == ()


def test_a_stream_of_which_nothing_was_seen_is_no_reason_to_cut():
    problem = one_device(
        stream(deadline_seconds=1.0),
        stream("slow", rate_per_second=1e-3, deadline_seconds=1.0),
    )
    found = plan_and_simulate(problem, requests=2000)
    assert found.why == "too few requests of 'slow' to tell: take more"
    assert not found.agrees
    (only,) = found.rounds
    assert (only.broken, only.untested, only.tightened) == ((), ("slow",), ())
    assert found.result.plan is not None
    assert found.result.status == "optimal"
    json.dumps(found.as_json(), allow_nan=False)


def test_the_run_is_as_long_as_the_slowest_stream_with_a_deadline_needs():
    quick = stream(deadline_seconds=1.0)
    slow = stream("slow", rate_per_second=1.0, deadline_seconds=1.0)
    # A thousand of a stream that has one of 51 requests, a tenth of them not counted.
    found = plan_and_simulate(one_device(quick, slow), requests=20_000)
    assert found.agrees
    assert found.simulation is not None
    assert found.simulation.requests == 80_000
    free = dataclasses.replace(slow, deadline_seconds=float("inf"))
    found = plan_and_simulate(one_device(quick, free), requests=20_000)
    assert found.simulation is not None
    assert found.simulation.requests == 20_000


def test_all_in_time_but_too_few_for_the_percentile_is_no_reason_to_cut():
    rare = (TailDeadline(probability=0.9999, seconds=10.0),)
    found = plan_and_simulate(one_device(stream(tail_deadlines=rare)), requests=1000)
    assert found.why == "too few requests of 's' to tell: take more"
    found = plan_and_simulate(one_device(stream(tail_deadlines=rare)), requests=20_000)
    assert found.agrees


def test_a_constant_latency_at_its_deadline_keeps_it():
    problem = one_device(stream(deadline_seconds=10 * MS), waiting="none")
    found = plan_and_simulate(problem, requests=2000)
    assert found.agrees
    assert found.simulation is not None
    assert found.simulation.requests == 2000


def test_where_nobody_waits_less_load_is_not_tried():
    # The mean is at its deadline: no run can be sure that it is not above.
    problem = one_device(stream(deadline_seconds=10 * MS), waiting="none", cv2=1.0)
    found = plan_and_simulate(problem, requests=2000)
    assert not found.agrees
    assert found.why.startswith("its requests do not wait, so less load cannot help: mean of 's'")
    assert len(found.rounds) == 1
    assert found.result.plan is not None


def test_the_error_is_shared_by_deadlines_looks_and_rounds(monkeypatch: pytest.MonkeyPatch):
    spent: list[float] = []
    find = closed_loop._find

    def counted(problem: Problem, stream: object, error: float) -> object:
        spent.append(error * (1 + len(problem.streams[0].tail_deadlines)))
        # Never sure, so that each round takes all of its looks.
        for each in find(problem, stream, error):  # type: ignore[arg-type]
            yield dataclasses.replace(each, kept=False, missed=False, enough=True)

    monkeypatch.setattr(closed_loop, "_find", counted)
    tails = (TailDeadline(probability=0.9, seconds=0.2),)
    problem = one_device(stream(deadline_seconds=0.1, tail_deadlines=tails))
    # Half of the device is asked for, so that no plan remains under a lower cap.
    found = plan_and_simulate(problem, requests=1200)
    assert len(found.rounds) == 1
    assert len(spent) == 3
    monkeypatch.setattr(closed_loop, "_with_caps", lambda made, caps: made)
    spent.clear()
    found = plan_and_simulate(problem, requests=1200)
    assert len(found.rounds) == closed_loop.MOST_ROUNDS
    assert len(spent) == 3 * closed_loop.MOST_ROUNDS
    assert sum(spent) <= closed_loop.FAMILY_ERROR
    assert found.why.startswith("no plan was confirmed within 40 rounds")
