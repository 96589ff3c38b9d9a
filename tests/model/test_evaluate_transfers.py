"""Rules (i), (ii) and (iii) by hand. Every number is a sum of powers of two, so `==` is exact.

Seconds per layer: o 1, b 1/2, c 1/4. Every link carries 64 B/s. Latencies (s):
o->b 1/8, b->o 1/4, b->c 1/2, c->b 1, o->c 2, c->o 4.
"""

import dataclasses
import math

import pytest

from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream

LATENCY = {"ob": 1 / 8, "bo": 1 / 4, "bc": 1 / 2, "cb": 1.0, "oc": 2.0, "co": 4.0}
SECONDS = {"o": 1.0, "b": 1 / 2, "c": 1 / 4}

CHAIN = (
    Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
    Tensor(name="t0", bytes=32, producer=0, consumers=(1,)),
    Tensor(name="t1", bytes=16, producer=1, consumers=(2,)),
    Tensor(name="out", bytes=8, producer=2, output=True),
)


def build(tensors=CHAIN, *, without=(), bandwidth=64.0, boundary=0.0, **stream):
    names = [f"l{i}" for i in range(3)]
    network = Network(
        "n",
        tuple(Layer(name=name) for name in names),
        tensors,
        {
            device: LayerCosts(seconds=(seconds,) * 3, boundary_seconds=boundary)
            for device, seconds in SECONDS.items()
        },
    )
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name) for name in SECONDS),
        links=tuple(
            Link(source=ends[0], target=ends[1], bytes_per_second=bandwidth, latency_seconds=s)
            for ends, s in LATENCY.items()
            if ends not in without
        ),
        streams=(Stream(name="s", network="n", origin="o", **stream),),
        capacity="none",
    )


def priced(problem, devices):
    return route_price(problem, problem.streams[0], Route(devices=tuple(devices)))


def moves(problem, devices):
    """What crosses which link, in order, as (link, tensors, bytes, seconds)."""
    return [
        (t.source + t.target, t.tensors, t.bytes, t.seconds)
        for t in priced(problem, devices).transfers
    ]


def tensor(name, size, producer, *consumers, output=False):
    return Tensor(name=name, bytes=size, producer=producer, consumers=consumers, output=output)


def test_all_at_the_origin_moves_nothing():
    """1 + 1 + 1; the origin makes and holds the result."""
    problem = build()
    assert moves(problem, "ooo") == []
    assert priced(problem, "ooo").latency_seconds == 3.0


def test_the_input_travels_when_the_first_stage_is_elsewhere():
    """The origin is stage 0: o->b 1/8 + 64/64; compute 3/2; return b->o 1/4 + 8/64."""
    problem = build()
    assert moves(problem, "bbb") == [
        ("ob", ("in",), 64, 1 / 8 + 1),
        ("bo", ("out",), 8, 1 / 4 + 1 / 8),
    ]
    assert priced(problem, "bbb").latency_seconds == 1.125 + 1.5 + 0.375


def test_a_cut_sends_the_live_tensor_with_one_latency():
    """o: 1; o->b 1/8 + 32/64; b: 1/2 + 1/2; b->o 1/4 + 8/64."""
    problem = build()
    assert moves(problem, "obb")[0] == ("ob", ("t0",), 32, 1 / 8 + 1 / 2)
    assert priced(problem, "obb").latency_seconds == 1 + 0.625 + 1 + 0.375


def test_three_stages_each_pay_their_link():
    """o 1; o->b 1/8 + 32/64; b 1/2; b->c 1/2 + 16/64; c 1/4; c->o 4 + 8/64."""
    problem = build()
    assert moves(problem, "obc") == [
        ("ob", ("t0",), 32, 0.625),
        ("bc", ("t1",), 16, 0.75),
        ("co", ("out",), 8, 4.125),
    ]
    assert priced(problem, "obc").latency_seconds == 1 + 0.625 + 0.5 + 0.75 + 0.25 + 4.125


def test_a_boundary_cost_is_paid_once_per_stage():
    """Stages o, b, c with 1/16 each on top of 7.25."""
    assert priced(build(boundary=1 / 16), "obc").latency_seconds == 7.25 + 3 / 16
    assert priced(build(boundary=1 / 16), "ooo").latency_seconds == 3 + 1 / 16


def test_a_revisit_is_a_stage_of_its_own():
    """b, o, b: three boundary costs, and t0, t1 cross in turn; out returns."""
    problem = build(boundary=1 / 16)
    assert moves(problem, "bob") == [
        ("ob", ("in",), 64, 1.125),
        ("bo", ("t0",), 32, 1 / 4 + 1 / 2),
        ("ob", ("t1",), 16, 1 / 8 + 1 / 4),
        ("bo", ("out",), 8, 0.375),
    ]
    assert [(s.device, s.first, s.stop) for s in priced(problem, "bob").stages] == [
        ("b", 0, 1), ("o", 1, 2), ("b", 2, 3),
    ]  # fmt: skip
    expected = 1.125 + 0.5 + 0.75 + 1 + 0.375 + 0.5 + 0.375 + 3 / 16
    assert priced(problem, "bob").latency_seconds == expected


def test_latency_is_charged_even_with_no_bytes():
    """Layers 0 | 1, 2 exchange nothing: o->b still costs 1/8, and nothing returns."""
    problem = build((tensor("in", 64, None, 0), tensor("t", 16, 1, 2)))
    assert moves(problem, "obb") == [("ob", (), 0, 1 / 8)]
    assert priced(problem, "obb").latency_seconds == 1 + 1 / 8 + 1


def test_a_network_without_inputs_still_pays_the_way_from_the_origin():
    problem = build((tensor("t", 16, 0, 1),))
    assert moves(problem, "bbb") == [("ob", (), 0, 1 / 8)]


def test_infinite_bandwidth_leaves_the_latencies():
    """o->b 1/8 + b->c 1/2 + c->o 4 and 1 + 1/2 + 1/4 of compute."""
    assert priced(build(bandwidth=math.inf), "obc").latency_seconds == 4.625 + 1.75


def test_no_relaying_a_skip_tensor_comes_from_its_producer():
    """t0 is needed by l2 on c: straight o->c 32/64, without that link's latency."""
    problem = build(
        (
            tensor("in", 64, None, 0),
            tensor("t0", 32, 0, 1, 2),
            tensor("t1", 16, 1, 2),
            tensor("out", 8, 2, output=True),
        )
    )
    assert moves(problem, "obc") == [
        ("ob", ("t0",), 32, 1 / 8 + 1 / 2),
        ("bc", ("t1",), 16, 1 / 2 + 1 / 4),
        ("oc", ("t0",), 32, 1 / 2),
        ("co", ("out",), 8, 4.125),
    ]


def test_a_missing_link_for_a_skip_tensor_is_infeasible():
    problem = build(
        (tensor("t0", 32, 0, 1, 2), tensor("t1", 16, 1, 2)), without=("oc",), returns=False
    )
    assert math.isinf(priced(problem, "obc").latency_seconds)
    assert math.isfinite(priced(problem, "obb").latency_seconds)


def test_a_missing_link_between_stages_is_infeasible_even_without_bytes():
    problem = build((tensor("in", 64, None, 0),), without=("ob",))
    assert math.isinf(priced(problem, "obb").latency_seconds)


def test_a_missing_way_back_matters_only_if_results_return():
    assert math.isinf(priced(build(without=("bo",)), "bbb").latency_seconds)
    assert priced(build(without=("bo",), returns=False), "bbb").latency_seconds == 2.625


def test_a_tensor_is_received_once_per_device_in_a_request():
    """t0 is read by l1 and l2, both on b: it crosses once."""
    tensors = (
        tensor("in", 64, None, 0),
        tensor("t0", 32, 0, 1, 2),
        tensor("t1", 16, 1, 2),
    )
    assert moves(build(tensors), "obb") == [("ob", ("t0",), 32, 0.625)]


def test_a_tensor_received_on_an_earlier_visit_is_not_sent_again():
    """Four layers o b c b: t0 reaches b for l1 and is still there for l3."""
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}") for i in range(4)),
        (
            tensor("t0", 32, 0, 1, 3),
            tensor("t1", 16, 1, 2),
            tensor("t2", 8, 2, 3),
        ),
        {device: LayerCosts(seconds=(s,) * 4) for device, s in SECONDS.items()},
    )
    problem = dataclasses.replace(build(), networks=(network,))
    assert moves(problem, "obcb") == [
        ("ob", ("t0",), 32, 0.625),
        ("bc", ("t1",), 16, 0.75),
        ("cb", ("t2",), 8, 1 + 1 / 8),
    ]


def test_a_tensor_produced_on_an_earlier_visit_is_still_there():
    """b makes t0, o makes t1, b needs both: only t1 travels."""
    problem = build(
        (tensor("t0", 32, 0, 1, 2), tensor("t1", 16, 1, 2), tensor("out", 8, 2, output=True))
    )
    assert moves(problem, "bob")[2] == ("ob", ("t1",), 16, 1 / 8 + 1 / 4)


def test_several_tensors_over_one_boundary_are_one_transfer():
    """t0 32 B and u0 16 B: one latency 1/8 and 48/64."""
    problem = build((tensor("t0", 32, 0, 1), tensor("u0", 16, 0, 2)))
    assert moves(problem, "obb") == [("ob", ("t0", "u0"), 48, 1 / 8 + 3 / 4)]


FORWARDED = (
    tensor("in", 64, None, 0),
    tensor("mask", 16, None, 2),
    tensor("t0", 32, 0, 1),
    tensor("t1", 16, 1, 2),
    tensor("out", 8, 2, output=True),
)


def test_a_forwarded_input_comes_from_the_origin_without_a_latency():
    """mask is first needed by l2 on c: o->c 16/64; the stage change is b->c."""
    assert moves(build(FORWARDED), "bbc") == [
        ("ob", ("in",), 64, 1.125),
        ("bc", ("t1",), 16, 0.75),
        ("oc", ("mask",), 16, 1 / 4),
        ("co", ("out",), 8, 4.125),
    ]


def test_a_forwarded_input_needs_its_link():
    assert math.isinf(priced(build(FORWARDED, without=("oc",)), "bbc").latency_seconds)


def test_an_input_that_two_devices_read_is_sent_to_each_once():
    """mask is read by l1 and l2 on b (once) or by l1 on b and l2 on c (once each)."""
    tensors = (tensor("mask", 16, None, 0, 1, 2), tensor("t", 32, 0, 1), tensor("u", 32, 1, 2))
    assert moves(build(tensors), "bbb") == [("ob", ("mask",), 16, 1 / 8 + 1 / 4)]
    assert moves(build(tensors), "obc") == [
        ("ob", ("mask", "t"), 48, 1 / 8 + 3 / 4),
        ("bc", ("u",), 32, 1.0),
        ("oc", ("mask",), 16, 1 / 4),
    ]


def test_an_input_homed_off_the_origin_pays_its_own_links_latency():
    """in lies on c: l0 on o needs it over c->o: 4 + 64/64, though nothing precedes stage 0."""
    problem = build(homes={"in": "c"})
    assert moves(problem, "ooo") == [("co", ("in",), 64, 5.0)]
    assert priced(problem, "ooo").latency_seconds == 8.0


def test_the_stage_change_is_paid_beside_the_inputs_own_latency():
    """l0 on b: o->b 1/8 without bytes (the request itself), c->b 1 + 64/64 for the input."""
    problem = build(homes={"in": "c"}, returns=False)
    assert moves(problem, "bbb") == [("ob", (), 0, 1 / 8), ("cb", ("in",), 64, 2.0)]


def test_an_input_at_home_where_it_is_read_does_not_travel():
    """in lies on b: only the latency o->b."""
    problem = build(homes={"in": "b"}, returns=False)
    assert moves(problem, "bbb") == [("ob", (), 0, 1 / 8)]


def test_an_input_from_elsewhere_pays_its_latency_once_per_destination():
    """mask lies on c and is read by l0 and l2 on o (two visits) and by l1 on b."""
    tensors = (tensor("mask", 64, None, 0, 1, 2), tensor("t", 32, 0, 1), tensor("u", 32, 1, 2))
    problem = build(tensors, homes={"mask": "c"})
    assert moves(problem, "obo") == [
        ("co", ("mask",), 64, 4 + 1.0),
        ("ob", ("t",), 32, 1 / 8 + 1 / 2),
        ("cb", ("mask",), 64, 1 + 1.0),
        ("bo", ("u",), 32, 1 / 4 + 1 / 2),
    ]


def test_two_inputs_from_the_same_home_each_pay_their_latency():
    """Two inputs on c, both to o: 4 + 4 of latency and (64 + 16)/64."""
    problem = build(FORWARDED, homes={"in": "c", "mask": "c"})
    assert moves(problem, "ooo") == [("co", ("in", "mask"), 80, 8 + 1.25)]


def test_an_input_homed_on_the_device_before_pays_both_latencies():
    """Stages o -> c -> b with mask homed on c: (i) c->b 1, plus the input's own c->b 1."""
    problem = build(FORWARDED, homes={"mask": "c"}, returns=False)
    assert moves(problem, "ccb")[-1] == ("cb", ("mask", "t1"), 32, 2 + 1 / 2)


def test_homes_that_name_the_origin_change_nothing():
    assert moves(build(FORWARDED, homes={"in": "o", "mask": "o"}), "bbc") == moves(
        build(FORWARDED), "bbc"
    )


def test_an_output_that_the_origin_made_does_not_return():
    """l0 on o makes an output; l1, l2 on b make none."""
    problem = build((tensor("out", 8, 0, 1, output=True), tensor("t1", 16, 1, 2)))
    assert [m[0] for m in moves(problem, "obb")] == ["ob"]


def test_an_output_that_the_origin_received_does_not_return():
    """l0 on b makes out, l1 on o reads it: it crossed b->o already, and l2 is on b."""
    problem = build((tensor("out", 8, 0, 1, output=True), tensor("t1", 16, 1, 2)))
    assert [m[0] + "".join(m[1]) for m in moves(problem, "bob")] == ["ob", "boout", "obt1"]


def test_one_latency_per_distinct_producing_device_on_the_way_back():
    """p, q from b share one latency 1/4 + 24/64; r from c pays 4 + 8/64."""
    problem = build(
        (
            tensor("p", 16, 0, 1, output=True),
            tensor("q", 8, 1, 2, output=True),
            tensor("r", 8, 2, output=True),
        )
    )
    returned = priced(problem, "bbc").returned
    assert [(t.source, t.tensors, t.seconds) for t in returned] == [
        ("b", ("p", "q"), 1 / 4 + 3 / 8),
        ("c", ("r",), 4 + 1 / 8),
    ]


def test_returns_off_leaves_the_results_where_they_are():
    """1.125 + 1.5 and no way back."""
    problem = build(returns=False)
    assert priced(problem, "bbb").returned == ()
    assert priced(problem, "bbb").latency_seconds == 2.625


def test_a_graph_input_that_is_an_output_never_leaves_its_home_at_the_origin():
    problem = build((tensor("in", 64, None, 0, output=True), tensor("t", 16, 0, 1)))
    assert priced(problem, "bbb").returned == ()


def test_a_graph_input_that_is_an_output_returns_from_its_home_elsewhere():
    """It lies on c and nobody at the origin read it: c->o 4 + 64/64."""
    problem = build(
        (tensor("in", 64, None, 0, output=True), tensor("t", 16, 0, 1)), homes={"in": "c"}
    )
    assert [(t.source, t.seconds) for t in priced(problem, "bbb").returned] == [("c", 5.0)]
    assert priced(problem, "obb").returned == ()


def test_span_costs_are_read_from_their_table():
    """Row i, entry k: layers i … i + k. o runs l0 alone (1), b runs l1, l2 together (5/8)."""
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}") for i in range(3)),
        CHAIN,
        {
            "o": SpanCosts(seconds=((1.0, 1.5, 2.5), (1.0, 1.5), (1.0,))),
            "b": SpanCosts(seconds=((0.5, 0.75, 1.25), (0.5, 0.625), (0.5,))),
        },
    )
    problem = dataclasses.replace(build(), networks=(network,))
    assert priced(problem, "obb").latency_seconds == 1 + 0.625 + 0.625 + 0.375
    assert priced(problem, "ooo").latency_seconds == 2.5
    # The whole is not the sum of its parts: o, then o after b, are two parts.
    assert [s.seconds for s in priced(problem, "obo").stages] == [1.0, 0.5, 1.0]
    assert math.isinf(priced(problem, "occ").latency_seconds)


def test_a_span_that_cannot_run_makes_the_route_infinite():
    table = ((math.inf, math.inf, 3.0), (math.inf, math.inf), (math.inf,))
    network = Network(
        "n", tuple(Layer(name=f"l{i}") for i in range(3)), CHAIN, {"o": SpanCosts(seconds=table)}
    )
    problem = dataclasses.replace(build(), networks=(network,))
    assert priced(problem, "ooo").latency_seconds == 3.0
    assert math.isinf(priced(problem, "oob").latency_seconds)


def test_routes_of_a_stream_are_averaged_by_fraction():
    """obc takes 7.25 and ooo 3: 1/4 × 7.25 + 3/4 × 3 = 4.0625."""
    assert priced(build(), "obc").latency_seconds == 7.25
    problem = build(splittable=True)
    plan = Plan(
        routes={
            "s": (
                Route(devices=tuple("obc"), fraction=0.25),
                Route(devices=tuple("ooo"), fraction=0.75),
            )
        }
    )
    assert evaluate(problem, plan).latency_seconds == 4.0625


@pytest.mark.parametrize("route", ["ooo", "bbb", "obc", "bob", "cco", "cbo"])
def test_the_latency_is_the_sum_of_what_is_listed(route):
    price = priced(build(FORWARDED, homes={"mask": "c"}), route)
    listed = sum(s.seconds for s in price.stages) + sum(t.seconds for t in price.transfers)
    assert price.latency_seconds == listed
