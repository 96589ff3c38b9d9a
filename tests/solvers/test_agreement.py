"""What stands of two solvers' claims."""

import dataclasses

import pytest

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.plan import Plan, Route
from edgeplan.solvers.agreement import agreed, continued
from edgeplan.solvers.result import SolverResult, Stop

PLAN = Plan(routes={"s": (Route(devices=("a",)),)})


def result(name, *, price=None, bound=None, infeasible=False, basis="claimed"):
    claims = infeasible or bound is not None
    return SolverResult(
        stop=Stop.COMPLETED,
        plan=None if price is None else PLAN,
        claimed_objective=price,
        bound=bound,
        infeasible=infeasible,
        certificate=Certificate(basis=basis, witnesses=(name,), bounded="all") if claims else None,
        solver=name,
        seconds=1.0,
    )


def test_the_lower_bound_stands_on_both_and_the_better_plan_is_kept():
    both = agreed(result("a", price=3.0, bound=2.0), result("b", price=2.5, bound=1.9))
    assert both.claimed_objective == 2.5
    assert both.bound == 1.9
    assert both.certificate.basis == "agreed"
    assert both.certificate.witnesses == ("a", "b")
    assert both.solver == "a"
    assert both.seconds == 2.0


@pytest.mark.parametrize("first", ["claimed", "enumerated"])
def test_a_proof_is_more_than_an_agreement(first):
    second = {"claimed": "enumerated", "enumerated": "claimed"}[first]
    both = agreed(
        result("a", price=2.0, bound=2.0, basis=first),
        result("b", price=2.0, bound=1.5, basis=second),
    )
    assert both.certificate.basis == "enumerated"
    assert both.bound == (2.0 if first == "enumerated" else 1.5)


def test_one_claim_stands_on_one_solver():
    for pair in ((result("a", price=2.0, bound=1.0), result("b", price=1.5)),):
        for first, second in (pair, pair[::-1]):
            both = agreed(first, second)
            assert both.certificate.witnesses == ("a",)
            assert both.bound == 1.0
            assert both.claimed_objective == 1.5


def test_both_say_infeasible():
    both = agreed(result("a", infeasible=True), result("b", infeasible=True))
    assert both.infeasible
    assert both.certificate.basis == "agreed"
    assert both.bound is None


def test_a_plan_against_infeasible_is_refused():
    with pytest.raises(SolverError, match="no plan"):
        agreed(result("a", price=1.0, bound=1.0), result("b", infeasible=True))
    with pytest.raises(SolverError, match="no plan"):
        agreed(result("a", infeasible=True), result("b", price=1.0, bound=1.0))


def test_infeasible_is_not_agreed_with_one_that_ran_out_of_time():
    late = dataclasses.replace(result("b"), stop=Stop.TIME_LIMIT)
    both = agreed(result("a", infeasible=True), late)
    assert both.infeasible
    assert both.certificate.basis == "claimed"


def test_one_that_gave_up_is_continued():
    first = dataclasses.replace(
        result("a", price=3.0, bound=1.0, basis="enumerated"), stop=Stop.WORK_LIMIT, message="why"
    )
    after = continued(first, result("b", price=2.5, bound=2.0))
    assert (after.claimed_objective, after.bound, after.stop) == (2.5, 2.0, Stop.COMPLETED)
    assert after.certificate.witnesses == ("b",)
    assert "a gave up (why)" in after.message
    low = continued(first, result("b", price=3.5, bound=0.5))
    assert (low.claimed_objective, low.bound) == (3.0, 1.0)
    assert low.certificate.basis == "enumerated"
    none = continued(
        dataclasses.replace(first, plan=None, claimed_objective=None), result("b", infeasible=True)
    )
    assert none.infeasible
    assert none.bound is None
