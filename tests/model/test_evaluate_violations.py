"""Every kind of violation, with its place, numbers and words; and where each limit just holds.

One stream at 1 request/s of two layers; o takes 1 s per layer, b 1/8; in 64 B, t 32 B, out
16 B; 256 B/s each way, latency 1/8 s. On b: 1/8 + 1/4, then 1/4, then 1/8 + 1/16 = 0.8125 s.
Links are busy 1/4 and 1/16 of the time, b 1/4. b keeps 300 B of weights and a peak of 50 B,
draws 8 W × 1/4 s = 2 W and costs 1/2 $ × 1/4 s = 1/8 $/s = 450 $/h.
"""

import dataclasses
import math

import pytest

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, with_tolerance
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Privacy, Problem, Stream

COSTS = {d: LayerCosts(seconds=(s, s)) for d, s in (("o", 1.0), ("b", 1 / 8))}


def build(*, b=None, up=None, budgets=None, capacity="utilisation", costs=None, links=None, **s):
    network = Network(
        "n",
        (
            Layer(name="l0", weight_bytes=100, activation_bytes=30),
            Layer(name="l1", weight_bytes=200, activation_bytes=50),
        ),
        (
            Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
            Tensor(name="t", bytes=32, producer=0, consumers=(1,)),
            Tensor(name="out", bytes=16, producer=1, output=True),
        ),
        COSTS if costs is None else costs,
    )
    both = tuple(
        Link(source=x, target=y, bytes_per_second=256, latency_seconds=1 / 8, **extra)
        for x, y, extra in (("o", "b", up or {}), ("b", "o", {}))
    )
    power = {"active_watts": 8.0, "dollars_per_second": 0.5}
    return Problem(
        networks=(network,),
        devices=(
            Device(name="o", zone="home", utilisation_cap=0.99),
            Device(name="b", zone="public", **{**power, **(b or {})}),
        ),
        links=both if links is None else links,
        streams=(Stream(name="s", network="n", origin="o", **s),),
        budgets=budgets or Budgets(),
        capacity=capacity,
    )


def found(problem, route="bb"):
    violations = evaluate(problem, Plan(routes={"s": (Route(devices=tuple(route)),)})).violations
    return [(v.kind, v.place, v.value, v.limit) for v in violations]


def words(problem, route="bb"):
    violations = evaluate(problem, Plan(routes={"s": (Route(devices=tuple(route)),)})).violations
    return [v.message for v in violations]


def test_nothing_is_broken_without_limits():
    assert found(build()) == []


LIMITS = {
    "deadline": (0.8125, "stream s", lambda x: build(deadline_seconds=x)),
    "memory": (350, "device b", lambda x: build(b={"memory_bytes": x})),
    "device power": (2.0, "device b", lambda x: build(b={"power_budget_watts": x})),
    "device capacity": (0.25, "device b", lambda x: build(b={"utilisation_cap": x})),
    "link capacity": (0.25, "link o->b", lambda x: build(up={"utilisation_cap": x})),
    "power budget": (2.0, "all devices", lambda x: build(budgets=Budgets(power_watts=x))),
    "money budget": (
        450.0,
        "all streams",
        lambda x: build(budgets=Budgets(dollars_per_hour=x)),
    ),
}


@pytest.mark.parametrize("kind", LIMITS)
def test_a_limit_below_the_value_is_broken(kind):
    value, place, limited = LIMITS[kind]
    assert found(limited(value * 0.75)) == [(kind, place, value, value * 0.75)]


@pytest.mark.parametrize("kind", LIMITS)
def test_a_limit_exactly_met_holds(kind):
    value, _, limited = LIMITS[kind]
    assert found(limited(value)) == []


@pytest.mark.parametrize("kind", LIMITS)
def test_the_tolerance_is_relative(kind):
    value, _, limited = LIMITS[kind]
    assert found(limited(value / (1 + 0.9 * RELATIVE_TOLERANCE))) == []
    assert [f[0] for f in found(limited(value / (1 + 1.1 * RELATIVE_TOLERANCE)))] == [kind]


@pytest.mark.parametrize("kind", LIMITS)
def test_the_message_has_both_numbers(kind):
    value, _, limited = LIMITS[kind]
    (message,) = words(limited(value * 0.75))
    assert f"{value:.6g}" in message
    assert f"{value * 0.75:.6g}" in message


def test_capacity_none_ignores_load():
    problem = build(b={"utilisation_cap": 0.1}, up={"utilisation_cap": 0.1}, capacity="none")
    assert found(problem) == []


def test_a_link_without_contention_is_never_too_busy():
    assert found(build(up={"utilisation_cap": 0.1, "contention": "none"})) == []


def test_replicas_share_the_load_and_raise_the_capacity():
    assert found(build(b={"utilisation_cap": 0.2})) == [("device capacity", "device b", 0.25, 0.2)]
    assert found(build(b={"utilisation_cap": 0.2, "replicas": 2})) == []


def test_a_device_without_times_cannot_run():
    problem = build(costs={"o": COSTS["o"]}, capacity="none")
    kinds = [f[:2] for f in found(problem)]
    assert kinds == [("cannot run", "stream s")]
    assert words(problem) == ["'b' has no time for layers l0 … l1"]


def test_a_layer_of_infinite_time_cannot_run():
    costs = {"o": COSTS["o"], "b": LayerCosts(seconds=(1.0, math.inf))}
    assert ("cannot run", "stream s") in [f[:2] for f in found(build(costs=costs))]
    assert "cannot run" not in [f[0] for f in found(build(costs=costs, capacity="none"), "bo")]


def test_a_missing_link_is_named_once():
    problem = build(links=(Link(source="b", target="o", bytes_per_second=256),))
    assert [f[:2] for f in found(problem)] == [("no link", "stream s")]
    assert words(problem) == ["there is no link o->b"]


def test_a_pin_names_the_layer_and_where_it_belongs():
    problem = build(pins=(LayerRule(devices=("o",), layers=("l1",)),), capacity="none")
    assert [f[:2] for f in found(problem)] == [("pin", "stream s")]
    assert words(problem) == ["layer 'l1' is on 'b', pinned to o"]
    assert found(problem, "bo") == []


def test_a_pin_of_all_layers():
    problem = build(pins=(LayerRule(devices=("b",)),), capacity="none")
    assert found(problem) == []
    assert [f[0] for f in found(problem, "oo")] == ["pin", "pin"]


def test_a_pin_to_several_devices_is_met_by_any():
    problem = build(pins=(LayerRule(devices=("o", "b")),), capacity="none")
    assert found(problem) == found(problem, "oo") == []


def test_a_ban_names_the_layer():
    problem = build(bans=(LayerRule(devices=("b",), layers=("l0",)),))
    assert [f[:2] for f in found(problem)] == [("ban", "stream s")]
    assert words(problem) == ["layer 'l0' is on 'b', which is banned"]


def test_a_private_input_must_not_enter_another_zone():
    problem = build(privacy=Privacy(zones=("home",)), capacity="none")
    assert [f[:2] for f in found(problem)] == [("privacy", "stream s")]
    assert words(problem) == ["tensor 'in' enters 'b' in zone 'public'"]
    assert found(problem, "ob") == found(problem, "oo") == []


def test_privacy_before_a_layer_tags_all_that_is_made_before_it():
    """Before l1: `in` and `t`, so that l1, which reads t, must stay; out is free."""
    problem = build(privacy=Privacy(zones=("home",), before="l1"), capacity="none")
    assert words(problem, "ob") == ["tensor 't' enters 'b' in zone 'public'"]
    assert len(words(problem, "bb")) == 2
    assert found(problem, "oo") == []


def test_privacy_may_allow_several_zones():
    assert found(build(privacy=Privacy(zones=("home", "public")))) == []


def test_a_tagged_tensor_may_not_even_be_made_elsewhere():
    """l0 on b reads nothing tagged, but makes t, which is tagged (before l1)."""
    network = Network(
        "n",
        (Layer(name="l0"), Layer(name="l1")),
        (Tensor(name="t", bytes=1, producer=0, consumers=(1,)),),
        COSTS,
    )
    problem = dataclasses.replace(
        build(privacy=Privacy(zones=("home",), before="l1"), capacity="none"), networks=(network,)
    )
    assert words(problem, "bo") == ["tensor 't' enters 'b' in zone 'public'"]


def test_limits_are_over_all_routes_of_a_stream():
    """oo 2 s and bb 0.8125 s, half each: 1.40625 s on the mean, whichever deadline."""
    plan = Plan(routes={"s": tuple(Route(devices=tuple(r), fraction=0.5) for r in ("oo", "bb"))})
    for deadline, kinds in ((1.40625, []), (1.4, ["deadline"])):
        problem = build(splittable=True, deadline_seconds=deadline, capacity="none")
        assert [v.kind for v in evaluate(problem, plan).violations] == kinds


def test_every_broken_limit_is_listed():
    problem = build(
        b={"memory_bytes": 1, "power_budget_watts": 1.0, "utilisation_cap": 0.1},
        up={"utilisation_cap": 0.1},
        budgets=Budgets(power_watts=1.0, dollars_per_hour=1.0),
        deadline_seconds=0.1,
        bans=(LayerRule(devices=("b",)),),
        privacy=Privacy(zones=("home",)),
    )
    assert {f[0] for f in found(problem)} == {*LIMITS, "ban", "privacy"}
    assert not evaluate(problem, Plan(routes={"s": (Route(devices=("b", "b")),)})).feasible


def test_allowed_says_where_each_layer_may_run():
    problem = build(
        pins=(LayerRule(devices=("b",), layers=("l1",)),), privacy=Privacy(zones=("home",))
    )
    assert problem.allowed(problem.streams[0]) == (("o",), ("b",))
    banned = build(bans=(LayerRule(devices=("o",)),), costs={"o": COSTS["o"]})
    assert banned.allowed(banned.streams[0]) == ((), ())


@pytest.mark.parametrize("kind", LIMITS)
def test_with_tolerance_moves_each_limit_to_where_it_breaks(kind):
    """Read to the letter it allows what the evaluator allows, but for a hundredth."""
    value, _, limited = LIMITS[kind]
    moved = with_tolerance(limited(value))
    (stream,), (o_b, _), b = moved.streams, moved.links, moved.device["b"]
    limits = {
        "deadline": stream.deadline_seconds,
        "memory": b.memory_bytes,
        "device power": b.power_budget_watts,
        "device capacity": b.utilisation_cap,
        "link capacity": o_b.utilisation_cap,
        "power budget": moved.budgets.power_watts,
        "money budget": moved.budgets.dollars_per_hour,
    }
    assert value * (1 + 0.98e-6) < limits[kind] < value * (1 + RELATIVE_TOLERANCE)
    assert with_tolerance(limited(math.inf if kind not in CAPS else 0.9999999)) is not None


CAPS = ("device capacity", "link capacity")
