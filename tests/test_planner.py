"""The planner's promises, with solvers that break theirs."""

import dataclasses
import json
import math
from typing import ClassVar

import pytest

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.planner import plan
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop


@pytest.fixture
def problem():
    """Two layers; the far device is ten times faster and 5 ms away."""
    network = Network(
        "net",
        (Layer(name="l0", weight_bytes=10), Layer(name="l1", weight_bytes=10)),
        (
            Tensor(name="in", bytes=1000, producer=None, consumers=(0,)),
            Tensor(name="mid", bytes=200, producer=0, consumers=(1,)),
            Tensor(name="out", bytes=10, producer=1, output=True),
        ),
        {
            "near": LayerCosts(seconds=(0.010, 0.030)),
            "far": LayerCosts(seconds=(0.001, 0.003)),
        },
    )
    return Problem(
        networks=(network,),
        devices=(Device(name="near"), Device(name="far", tier="cloud")),
        links=(
            Link(source="near", target="far", bytes_per_second=1e5, latency_seconds=0.005),
            Link(source="far", target="near", bytes_per_second=1e5, latency_seconds=0.005),
        ),
        streams=(Stream(name="s", network="net", origin="near"),),
    )


# near, near: 0.040.   far, far: 0.004 + 0.005 + 0.010 + 0.005 + 0.0001 = 0.0241.
# near, far: 0.010 + 0.005 + 0.002 + 0.003 + 0.005 + 0.0001 = 0.0251.
BEST = 0.0241


def routed(*devices: str) -> Plan:
    return Plan(routes={"s": (Route(devices=devices),)})


@dataclasses.dataclass(frozen=True)
class Fake:
    """A solver that says what it is told to say."""

    result: SolverResult
    name: ClassVar[str] = "fake"

    @classmethod
    def availability(cls) -> Availability:
        return Availability(available=True, version="0", install="")

    def unsupported(self, problem):
        return ()

    def solve(self, problem, *, start=None, on_progress=None, stop=None):
        if on_progress:
            on_progress(Progress(seconds=0.0, incumbent=None, bound=0.0))
        return self.result


def says(**changes) -> Fake:
    certificate = Certificate(basis="claimed", witnesses=("fake 0",), bounded="a test")
    result = SolverResult(
        stop=Stop.COMPLETED,
        plan=None,
        claimed_objective=None,
        bound=None,
        infeasible=False,
        certificate=certificate,
        solver="fake 0",
        seconds=0.0,
    )
    return Fake(dataclasses.replace(result, **changes))


def test_an_honest_solver_is_optimal(problem):
    solver = says(plan=routed("far", "far"), claimed_objective=BEST, bound=BEST)
    result = plan(problem, solver=solver)
    assert result.status == "optimal"
    assert result.limit is None
    assert result.objective == pytest.approx(BEST, rel=1e-9)
    assert result.gap == pytest.approx(0.0, abs=2e-9)
    assert result.plan == routed("far", "far")


def test_a_plan_dearer_than_claimed_is_refused(problem):
    solver = says(plan=routed("near", "near"), claimed_objective=0.039, bound=0.02)
    with pytest.raises(SolverError, match=r"claimed at 0\.039, but costs 0\.04"):
        plan(problem, solver=solver)


def test_a_plan_cheaper_than_claimed_is_welcome(problem):
    solver = says(plan=routed("far", "far"), claimed_objective=0.03, bound=0.02)
    result = plan(problem, solver=solver)
    assert result.objective == pytest.approx(BEST)
    assert result.status == "optimal"  # proved by multipliers, above what the solver claims
    assert result.certificate.basis == "dual"


def test_a_bound_above_a_known_plan_is_refused(problem):
    with pytest.raises(SolverError, match=r"the bound 0\.05 is above a plan"):
        plan(problem, solver=says(bound=0.05))


def test_a_false_claim_of_infeasibility_is_refused(problem):
    with pytest.raises(SolverError, match="no plan is said to exist, but this one costs"):
        plan(problem, solver=says(infeasible=True))


def test_a_plan_that_breaks_a_limit_is_refused(problem):
    tight = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], deadline_seconds=0.03),)
    )
    solver = says(plan=routed("near", "near"), claimed_objective=0.04, bound=0.02)
    with pytest.raises(SolverError, match=r"deadline, stream s\): 0\.04 s, but at most 0\.03 s"):
        plan(tight, solver=solver)


def test_never_worse_than_a_baseline(problem):
    solver = says(
        plan=routed("near", "near"), claimed_objective=0.04, bound=0.0, stop=Stop.TIME_LIMIT
    )
    result = plan(problem, solver=solver)
    assert result.objective == pytest.approx(BEST)
    assert result.chosen != "fake 0"
    # Stopped at its time limit, but multipliers prove that the baseline is best.
    assert (result.status, result.limit) == ("optimal", None)


def test_a_bound_that_multipliers_do_not_reach_stays_claimed(problem):
    """Memory for half of the layers on either device: what is lost by it is no linear matter."""
    cramped = dataclasses.replace(
        problem,
        devices=tuple(dataclasses.replace(d, memory_bytes=15.0) for d in problem.devices),
    )
    best = plan(cramped, solver="enumerate")
    near_far = best.plan
    honest = says(plan=near_far, claimed_objective=best.objective, bound=best.objective * 0.999)
    result = plan(cramped, solver=honest)
    assert result.status == "feasible"
    assert result.certificate.basis == "claimed"
    assert result.multipliers is None


def test_a_baseline_and_a_bound_close_the_gap_without_a_solver_plan(problem):
    result = plan(problem, solver=says(bound=BEST, stop=Stop.INTERRUPTED))
    assert result.status == "optimal"
    assert result.limit is None


def test_nothing_established_is_none(problem):
    alone = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], deadline_seconds=1e-6),)
    )
    result = plan(alone, solver=says(stop=Stop.TIME_LIMIT, certificate=None))
    document = result.as_json()
    assert document["status"] == "unknown"
    assert document["limit"] == "time"
    for key in ("objective", "bound", "gap", "basis", "plan", "evaluation"):
        assert document[key] is None
    assert all(not b["feasible"] and b["why"] for b in document["baselines"].values())


def test_infeasible_is_an_answer(problem):
    alone = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], deadline_seconds=1e-6),)
    )
    result = plan(alone, solver=says(infeasible=True))
    assert result.status == "infeasible"
    assert result.plan is None


def test_a_failed_solver_is_an_error(problem):
    with pytest.raises(SolverError, match="broke"):
        plan(problem, solver=says(stop=Stop.FAILED, message="broke"))


def test_an_unknown_solver_is_named(problem):
    with pytest.raises(InputError, match="highs"):
        plan(problem, solver="no-such-solver")


def test_the_contract_of_as_json(problem):
    solver = says(plan=routed("far", "far"), claimed_objective=BEST, bound=BEST)
    document = plan(problem, solver=solver).as_json()
    assert {
        "status", "limit", "objective", "bound", "gap", "basis", "seconds", "solver", "plan",
        "evaluation", "baselines",
    } <= set(document)  # fmt: skip
    assert {"latency_seconds", "energy_joules", "cost_dollars", "violations"} <= set(
        document["evaluation"]
    )
    for baseline in document["baselines"].values():
        assert {"feasible", "objective", "latency_seconds", "energy_joules", "cost_dollars"} <= set(
            baseline
        )


@pytest.mark.parametrize("solver", ["auto", "highs", "enumerate"])
def test_the_registered_solvers_agree_with_enumeration_by_hand(problem, solver):
    result = plan(problem, solver=solver)
    by_hand = min(
        evaluate(problem, routed(a, b)).objective for a in ("near", "far") for b in ("near", "far")
    )
    assert result.status == "optimal"
    assert math.isclose(result.objective, by_hand, rel_tol=1e-6)


def test_the_routes_and_their_prices_are_in_the_json(problem):
    solver = says(plan=routed("near", "far"), claimed_objective=0.0251, bound=0.0)
    lone = dataclasses.replace(
        problem, streams=(dataclasses.replace(problem.streams[0], returns=False),)
    )
    document = plan(lone, solver=solver).as_json()
    (route,) = document["routes"]["s"]
    (priced,) = document["evaluation"]["streams"][0]["routes"]
    stages = [device for stage in priced["stages"] for device in [stage["device"]]]
    assert stages == list(dict.fromkeys(route["devices"]))
    assert priced["latency_seconds"] == pytest.approx(document["evaluation"]["latency_seconds"])
    assert {load["name"] for load in document["evaluation"]["devices"]} == {"near", "far"}
    json.dumps(document, allow_nan=False)
