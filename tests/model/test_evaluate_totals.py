"""Energy, money, memory and totals by hand. Powers of two make `==` exact where it is used.

Two streams of one network of two layers on two devices, o (the origin) and b:
seconds per layer o 1, b 1/4; in 64 B, t 32 B, out 16 B; o->b 1/8 s, b->o 1/4 s, 64 B/s each.
Alone on o a request takes 2 s. On b: 1/8 + 1, then 1/2, then 1/4 + 1/4: 2.125 s.
Cut (o, b): 1, then 1/8 + 1/2, then 1/4, then 1/2: 2.375 s.
"""

import dataclasses
import math

import pytest

from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream

LAYERS = (
    Layer(name="l0", weight_bytes=100, activation_bytes=30),
    Layer(name="l1", weight_bytes=200, activation_bytes=50),
)
TENSORS = (
    Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
    Tensor(name="t", bytes=32, producer=0, consumers=(1,)),
    Tensor(name="out", bytes=16, producer=1, output=True),
)


def network(name="n", o=None, b=None):
    return Network(
        name,
        LAYERS,
        TENSORS,
        {
            "o": LayerCosts(seconds=(1.0, 1.0), **(o or {})),
            "b": LayerCosts(seconds=(0.25, 0.25), **(b or {})),
        },
    )


def build(*, o=None, b=None, up=None, down=None, networks=None, objective=None, streams=None):
    return Problem(
        networks=networks or (network(),),
        devices=(Device(name="o", **(o or {})), Device(name="b", **(b or {}))),
        links=(
            Link(source="o", target="b", bytes_per_second=64, latency_seconds=1 / 8, **(up or {})),
            Link(
                source="b", target="o", bytes_per_second=64, latency_seconds=1 / 4, **(down or {})
            ),
        ),
        streams=streams or (Stream(name="s", network="n", origin="o"),),
        objective=objective or Objective(),
        capacity="none",
    )


def plan(*routes, streams=("s",)):
    return Plan(
        routes={s: (Route(devices=tuple(r)),) for s, r in zip(streams, routes, strict=True)}
    )


def joules(problem, route):
    price = route_price(problem, problem.streams[0], Route(devices=tuple(route)))
    return dict(price.device_joules)


def test_the_latencies_of_the_header():
    for route, seconds in (("oo", 2.0), ("bb", 2.125), ("ob", 2.375)):
        assert evaluate(build(), plan(route)).latency_seconds == seconds


# -- energy ---------------------------------------------------------------------------------------


def test_energy_of_compute_is_active_watts_times_time():
    """o: 4 W × 1 s; b: 8 W × 1/4 s. Idle watts are not charged where charge_idle is off."""
    problem = build(o={"active_watts": 4.0, "idle_watts": 1.0}, b={"active_watts": 8.0})
    assert joules(problem, "ob") == {"o": 4.0, "b": 2.0}
    assert evaluate(problem, plan("ob")).energy_joules == 6.0


def test_the_boundary_cost_is_compute_too():
    """(1 + 1/2) s × 4 W."""
    problem = build(o={"active_watts": 4.0}, networks=(network(o={"boundary_seconds": 0.5}),))
    assert joules(problem, "ob")["o"] == 6.0


def test_energy_of_traffic_is_drawn_at_either_end():
    """o->b 32 B: 1/2 J/B sent by o, 1/4 received by b; b->o 16 B: 1 J/B sent, 2 received."""
    problem = build(
        up={"send_joules_per_byte": 0.5, "receive_joules_per_byte": 0.25},
        down={"send_joules_per_byte": 1.0, "receive_joules_per_byte": 2.0},
    )
    assert joules(problem, "ob") == {"o": 16.0 + 32.0, "b": 8.0 + 16.0}


def test_the_waiting_origin_draws_idle_watts_outside_its_compute():
    """Latency 2.375, of which o computes 1: waits 1.375 s × 2 W, beside 4 W × 1 s."""
    stream = Stream(name="s", network="n", origin="o", waits=True)
    problem = build(o={"active_watts": 4.0, "idle_watts": 2.0}, streams=(stream,))
    assert joules(problem, "ob")["o"] == 4.0 + 2.75
    # All on b: it waits all the time, 2.125 s × 2 W.
    assert joules(problem, "bb")["o"] == 4.25
    # All at o: it never waits.
    assert joules(problem, "oo")["o"] == 8.0


def test_a_stream_that_does_not_wait_charges_no_waiting():
    problem = build(o={"active_watts": 4.0, "idle_watts": 2.0})
    assert joules(problem, "bb").get("o", 0.0) == 0.0


def test_waiting_is_not_charged_where_idle_is_charged_already():
    """charge_idle: compute costs (4 − 2) W × 1 s and waiting nothing more."""
    stream = Stream(name="s", network="n", origin="o", waits=True)
    problem = build(
        o={"active_watts": 4.0, "idle_watts": 2.0, "charge_idle": True}, streams=(stream,)
    )
    assert joules(problem, "ob")["o"] == 2.0


def test_a_device_that_is_on_is_charged_idle_and_the_rest_by_load():
    """b on: 3 replicas × 1 W idle, shared by 4 requests/s: 3/4 J; compute (5 − 1) W × 1/2 s."""
    stream = Stream(name="s", network="n", origin="o", rate_per_second=4.0)
    problem = build(
        b={"active_watts": 5.0, "idle_watts": 1.0, "charge_idle": True, "replicas": 3},
        streams=(stream,),
    )
    priced = evaluate(problem, plan("bb"))
    assert priced.energy_joules == 0.75 + 2.0
    # Mean power: 3 W + 4 /s × 2 J. Per replica 4 /s × 1/2 s ÷ 3 busy.
    load = priced.devices[1]
    assert (load.watts, load.utilisation) == (3 + 8.0, 2 / 3)


def test_a_device_that_is_off_is_charged_nothing():
    problem = build(
        b={"active_watts": 5.0, "idle_watts": 1.0, "charge_idle": True, "dollars_per_hour": 3600.0}
    )
    priced = evaluate(problem, plan("oo"))
    assert (priced.energy_joules, priced.cost_dollars) == (0.0, 0.0)
    assert [load.on for load in priced.devices] == [True, False]


def test_an_origin_that_runs_nothing_is_not_on():
    problem = build(o={"idle_watts": 1.0, "active_watts": 1.0, "charge_idle": True})
    priced = evaluate(problem, plan("bb"))
    assert [load.on for load in priced.devices] == [False, True]
    assert priced.energy_joules == 0.0


def test_stated_joules_replace_watts_times_time():
    """b states 3 J and 5 J; its 100 W then count for nothing."""
    problem = build(b={"active_watts": 100.0}, networks=(network(b={"joules": (3.0, 5.0)}),))
    assert joules(problem, "bb")["b"] == 8.0
    assert joules(problem, "ob")["b"] == 5.0


# -- money ----------------------------------------------------------------------------------------


def test_serverless_money_is_busy_time():
    """2 $/s × 1/2 s."""
    assert evaluate(build(b={"dollars_per_second": 2.0}), plan("bb")).cost_dollars == 1.0


def test_a_fee_is_paid_for_each_stage_served():
    """b, o, … : bb is one stage, and two layers on b by way of o would be two."""
    problem = build(b={"dollars_per_request": 0.5})
    assert evaluate(problem, plan("bb")).cost_dollars == 0.5
    three = Network(
        "n",
        (*LAYERS, Layer(name="l2")),
        TENSORS,
        {d: LayerCosts(seconds=(1.0,) * 3) for d in "ob"},
    )
    again = dataclasses.replace(problem, networks=(three,))
    assert evaluate(again, plan("bob")).cost_dollars == 1.0


def test_a_provisioned_price_is_shared_by_the_requests():
    """2 replicas × 7200 $/h = 4 $/s, over 8 requests/s: 1/2 $."""
    stream = Stream(name="s", network="n", origin="o", rate_per_second=8.0)
    problem = build(b={"dollars_per_hour": 7200.0, "replicas": 2}, streams=(stream,))
    assert evaluate(problem, plan("bb")).cost_dollars == 0.5


def test_traffic_costs_per_byte():
    """32 B × 1/4 up and 16 B × 1/2 down."""
    problem = build(up={"dollars_per_byte": 0.25}, down={"dollars_per_byte": 0.5})
    assert evaluate(problem, plan("ob")).cost_dollars == 16.0


def test_electricity_is_priced_where_it_is_drawn():
    """o: 4 J × 1/2 $/J; b: 2 J × 1/4 $/J."""
    problem = build(
        o={"active_watts": 4.0, "dollars_per_joule": 0.5},
        b={"active_watts": 8.0, "dollars_per_joule": 0.25},
    )
    assert evaluate(problem, plan("ob")).cost_dollars == 2.5


def test_electricity_of_traffic_and_waiting_is_priced_too():
    """o sends 32 B × 1/2 J and waits 1.375 s × 2 W, all at 1/4 $/J."""
    stream = Stream(name="s", network="n", origin="o", waits=True)
    problem = build(
        o={"active_watts": 2.0, "idle_watts": 2.0, "dollars_per_joule": 0.25},
        up={"send_joules_per_byte": 0.5},
        streams=(stream,),
    )
    assert evaluate(problem, plan("ob")).cost_dollars == (2.0 + 16.0 + 2.75) / 4


def test_idle_electricity_of_a_device_that_is_on_is_priced():
    """1 W × 1/2 $/J ÷ 2 requests/s = 1/4 $; its compute above idle draws nothing."""
    stream = Stream(name="s", network="n", origin="o", rate_per_second=2.0)
    problem = build(
        b={
            "active_watts": 1.0,
            "idle_watts": 1.0,
            "charge_idle": True,
            "dollars_per_joule": 0.5,
        },
        streams=(stream,),
    )
    assert evaluate(problem, plan("bb")).cost_dollars == 0.25


def test_stated_dollars_replace_price_times_time():
    problem = build(
        b={"dollars_per_second": 100.0}, networks=(network(b={"dollars": (0.5, 0.25)}),)
    )
    assert evaluate(problem, plan("bb")).cost_dollars == 0.75


# -- memory ---------------------------------------------------------------------------------------


def two(rates=(1.0, 1.0), networks=("n", "n"), **common):
    return tuple(
        Stream(name=f"s{i}", network=name, origin="o", rate_per_second=rate, **common)
        for i, (rate, name) in enumerate(zip(rates, networks, strict=True))
    )


BOTH = ("s0", "s1")


def memory(problem, *routes):
    priced = evaluate(problem, plan(*routes, streams=BOTH))
    return tuple(load.memory_bytes for load in priced.devices)


def test_memory_is_weights_and_the_largest_peak_activation():
    """o keeps l0: 100 + 30; b keeps l1: 200 + 50. Whole on b: 300 + max(30, 50)."""
    loads = evaluate(build(), plan("ob")).devices
    assert [load.memory_bytes for load in loads] == [130, 250]
    assert [load.memory_bytes for load in evaluate(build(), plan("bb")).devices] == [0, 350]


def test_weights_of_a_layer_are_stored_once_however_many_streams_use_them():
    """Both whole on b: 350, not 650. Cut differently: o keeps l0; b keeps l0 and l1."""
    problem = build(streams=two())
    assert memory(problem, "bb", "bb") == (0, 350)
    assert memory(problem, "ob", "bb") == (130, 350)


def test_weights_of_different_networks_are_stored_apart():
    """Equal layers under two names: 300 + 300 and one peak of 50."""
    problem = build(networks=(network("n"), network("m")), streams=two(networks=("n", "m")))
    assert memory(problem, "bb", "bb") == (0, 650)


def test_stated_memory_replaces_weight_bytes_on_that_device():
    """b states 1 000 and 2 000 B; o keeps its 100."""
    problem = build(networks=(network(b={"memory_bytes": (1000, 2000)}),))
    assert [load.memory_bytes for load in evaluate(problem, plan("ob")).devices] == [130, 2050]


def test_memory_is_per_replica():
    problem = build(b={"replicas": 4})
    assert evaluate(problem, plan("bb")).devices[1].memory_bytes == 350


def test_all_routes_of_a_split_stream_keep_their_weights():
    problem = build(streams=(Stream(name="s", network="n", origin="o", splittable=True),))
    halves = Plan(routes={"s": tuple(Route(devices=tuple(r), fraction=0.5) for r in ("oo", "bb"))})
    assert [load.memory_bytes for load in evaluate(problem, halves).devices] == [350, 350]


# -- load -----------------------------------------------------------------------------------------


def test_busy_shares_add_up_over_streams_and_are_divided_by_replicas():
    """s0 (1/8 /s) whole on b: 1/2 s; s1 (1/4 /s) its second layer: 1/4 s. Σ = 1/8, halved."""
    problem = build(b={"replicas": 2}, streams=two(rates=(1 / 8, 1 / 4)))
    priced = evaluate(problem, plan("bb", "ob", streams=BOTH))
    assert [load.utilisation for load in priced.devices] == [1 / 4, (1 / 16 + 1 / 16) / 2]


def test_link_load_is_bytes_without_latency():
    """s0 sends 64 B × 1/8 /s, s1 32 B × 1/4 /s: 16 B/s of 64; back 16 B × 3/8 /s."""
    problem = build(streams=two(rates=(1 / 8, 1 / 4)))
    up, down = evaluate(problem, plan("bb", "ob", streams=BOTH)).links
    assert (up.bytes_per_second, up.utilisation) == (16.0, 0.25)
    assert (down.bytes_per_second, down.utilisation) == (6.0, 6 / 64)


# -- totals ---------------------------------------------------------------------------------------


def test_the_mean_weights_streams_by_rate():
    """s0 at 3/s takes 2 s, s1 at 1/s 2.125 s: (3 × 2 + 2.125) ÷ 4."""
    problem = build(streams=two(rates=(3.0, 1.0)))
    assert evaluate(problem, plan("oo", "bb", streams=BOTH)).latency_seconds == 8.125 / 4


def test_the_total_adds_streams_whatever_their_rates():
    problem = build(streams=two(rates=(3.0, 1.0)), objective=Objective(aggregate="total"))
    assert evaluate(problem, plan("oo", "bb", streams=BOTH)).latency_seconds == 4.125


def test_every_request_carries_its_share_of_what_is_on():
    """b: 3600 $/h = 1 $/s over 4 requests/s: 1/4 $ for each request, s0's too."""
    problem = build(b={"dollars_per_hour": 3600.0}, streams=two(rates=(3.0, 1.0)))
    priced = evaluate(problem, plan("oo", "bb", streams=BOTH))
    assert [stream.cost_dollars for stream in priced.streams] == [0.25, 0.25]
    assert priced.cost_dollars == 0.25
    total = dataclasses.replace(problem, objective=Objective(aggregate="total"))
    assert evaluate(total, plan("oo", "bb", streams=BOTH)).cost_dollars == 0.5


def test_absolute_prices_weigh_the_three():
    """2 × 2.375 s + 1/2 × 6 J + 4 × 1/4 $."""
    problem = build(
        o={"active_watts": 4.0},
        b={"active_watts": 8.0, "dollars_per_second": 1.0},
        objective=Objective(latency=2.0, energy=0.5, cost=4.0),
    )
    assert evaluate(problem, plan("ob")).objective == 4.75 + 3.0 + 1.0


def test_denominators_divide_the_weights():
    """2 × 2.375 ÷ 4 + 1/2 × 6 ÷ 8."""
    objective = Objective(
        latency=2.0, energy=0.5, latency_denominator_seconds=4.0, energy_denominator_joules=8.0
    )
    problem = build(o={"active_watts": 4.0}, b={"active_watts": 8.0}, objective=objective)
    assert evaluate(problem, plan("ob")).objective == 1.1875 + 0.375


@pytest.mark.parametrize(
    ("name", "value"), [("latency", 2.375), ("energy", 6.0), ("cost", 0.25), ("weighted", 8.75)]
)
def test_with_objective_keeps_one_of_the_three_in_si_units(name, value):
    problem = build(
        o={"active_watts": 4.0},
        b={"active_watts": 8.0, "dollars_per_second": 1.0},
        objective=Objective(latency=2.0, energy=0.5, cost=4.0),
    )
    assert evaluate(problem.with_objective(name), plan("ob")).objective == value


def test_a_plan_that_cannot_run_costs_infinity_and_never_no_number():
    """o cannot run l1 (inf s): no 0 × inf or inf − inf creeps in, whatever is priced."""
    costs = {"o": LayerCosts(seconds=(1.0, math.inf)), "b": LayerCosts(seconds=(1.0, 1.0))}
    stream = Stream(name="s", network="n", origin="o", waits=True)
    problem = build(
        o={"active_watts": 4.0, "idle_watts": 1.0},
        networks=(Network("n", LAYERS, TENSORS, costs),),
        streams=(stream,),
        objective=Objective(latency=1.0, energy=1.0, cost=1.0),
    )
    priced = evaluate(problem, plan("oo"))
    assert priced.latency_seconds == math.inf
    assert priced.energy_joules == math.inf
    assert priced.objective == math.inf
    # Nothing is paid for here, so that it costs nothing even if it never ends.
    assert priced.cost_dollars == 0.0
    assert not priced.feasible


def test_a_zero_weight_ignores_even_infinity():
    assert Objective(latency=1.0).value(2.0, math.inf, math.inf) == 2.0
