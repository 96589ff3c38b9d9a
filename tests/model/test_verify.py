"""The verifier against honest and dishonest claims. All at the origin costs 2, all on b 0.5."""

import math

import pytest

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError
from edgeplan.model.network import Layer, LayerCosts, Network
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, LayerRule, Link, Problem, Stream
from edgeplan.model.verify import verify

ENUMERATED = Certificate(basis="enumerated", witnesses=("e 1",), bounded="all plans", states=4)
CLAIMED = Certificate(basis="claimed", witnesses=("h 1",), bounded="this profile")


def problem(**stream):
    network = Network(
        "n",
        (Layer(name="l0"), Layer(name="l1")),
        (),
        {"o": LayerCosts(seconds=(1.0, 1.0)), "b": LayerCosts(seconds=(0.25, 0.25))},
    )
    return Problem(
        networks=(network,),
        devices=(Device(name="o"), Device(name="b")),
        links=(Link(source="o", target="b", bytes_per_second=1.0),),
        streams=(Stream(name="s", network="n", origin="o", **stream),),
        capacity="none",
    )


def check(device="b", *, bound=0.5, certificate=ENUMERATED, objective=0.5, stream=None, **more):
    instance = problem(**(stream or {}))
    plan = None if device is None else whole(instance, {"s": device})
    return verify(instance, plan, bound=bound, certificate=certificate, objective=objective, **more)


def test_an_honest_claim_stands():
    claim = check()
    assert claim.holds
    assert claim.proved
    assert (claim.objective, claim.bound, claim.gap) == (0.5, 0.5, 0.0)
    assert str(claim) == (
        "a plan at 0.5; no plan is below 0.5 (gap 0), "
        "proved, enumerated by e 1 in 4 states: all plans"
    )


def test_a_claim_of_one_solver_holds_but_is_not_proved():
    claim = check(certificate=CLAIMED)
    assert claim.holds
    assert not claim.proved


def test_a_gap_is_computed_from_the_evaluators_price():
    claim = check("o", objective=2.0)
    assert (claim.objective, claim.bound, claim.gap) == (2.0, 0.5, 0.75)


def test_a_plan_may_be_cheaper_than_claimed_but_not_dearer():
    assert check(objective=0.6).holds
    assert check(objective=0.6).objective == 0.5
    claim = check(objective=0.4, bound=None)
    assert claim.contradictions == ("the plan is claimed at 0.4, but costs 0.5",)
    assert not claim.proved
    assert str(claim).startswith("does not hold: the plan is claimed at 0.4")


def test_a_bound_above_the_plan_is_refuted():
    claim = check(bound=0.6)
    assert claim.bound is None
    assert claim.gap is None
    assert claim.contradictions == ("the bound 0.6 is above a plan that costs 0.5",)
    assert not claim.proved


def test_rounding_does_not_refute():
    claim = check(bound=0.5 * (1 + 5e-7), objective=0.5 * (1 - 5e-7))
    assert claim.holds
    assert claim.bound == 0.5


def test_a_bound_that_nothing_supports_does_not_stand():
    claim = check(certificate=None)
    assert claim.bound is None
    assert claim.contradictions == ("nothing is named on which the bound stands",)


def test_a_plan_without_a_bound_is_a_plan():
    claim = check(bound=None, certificate=None)
    assert claim.holds
    assert not claim.proved
    assert str(claim) == "a plan at 0.5; nothing is known of better ones"


def test_a_bound_without_a_plan_stands():
    claim = check(None, objective=None)
    assert claim.holds
    assert (claim.objective, claim.bound, claim.gap) == (None, 0.5, None)
    assert str(claim).startswith("no plan; no plan is below 0.5, proved")


def test_a_price_without_a_plan_is_refused():
    assert check(None, bound=None, certificate=None).contradictions == (
        "a price of 0.5 is claimed without a plan",
    )


def test_a_plan_that_breaks_a_limit_has_no_price():
    claim = check(stream={"bans": (LayerRule(devices=("b",), layers=("l0",)),)}, bound=2.0)
    assert claim.objective is None
    assert claim.evaluation is not None
    assert claim.contradictions == (
        "the plan breaks a limit (ban, stream s): layer 'l0' is on 'b', which is banned",
    )


def test_infeasibility_stands_on_a_certificate():
    claim = check(None, bound=None, objective=None, infeasible=True)
    assert claim.proved
    assert str(claim) == "no plan; proved, enumerated by e 1 in 4 states: all plans"


def test_infeasibility_without_a_certificate_does_not_stand():
    claim = check(None, bound=None, objective=None, infeasible=True, certificate=None)
    assert claim.contradictions == ("nothing is named on which infeasibility stands",)


def test_a_plan_refutes_infeasibility():
    claim = check(bound=None, infeasible=True)
    assert claim.contradictions == ("no plan is said to exist, but this one costs 0.5",)
    assert claim.certificate is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_does_not_stand(value):
    assert not check(bound=value).holds
    assert check(bound=value).bound is None
    assert not check(objective=value).holds


def test_a_plan_of_another_problem_is_an_input_error():
    plan = Plan(routes={"s": (Route(devices=("o",)),)})
    with pytest.raises(InputError, match="1 entries, but 'n' has 2 layers"):
        verify(problem(), plan, bound=None, certificate=None, objective=None)
