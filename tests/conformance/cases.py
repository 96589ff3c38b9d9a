"""Fixed problems, each with its answer worked out by hand.

The base is two layers on two devices, o (1 s per layer) and b (1/4 s); `in` 64 B, `t` 32 B,
`out` 16 B; 256 B/s each way, 1/8 s to b and 1/4 s back. Seconds of a request:
    oo  1 + 1                                                   = 2
    bb  1/8 + 1/4, 1/4 + 1/4, 1/4 + 1/16                        = 1.1875
    ob  1, 1/8 + 1/8, 1/4, 1/4 + 1/16                           = 1.8125
    bo  1/8 + 1/4, 1/4, 1/4 + 1/8, 1                            = 2
Weights are 100 B and 200 B. A stream has 1/2 request per second unless it says otherwise: on b
it is busy 1/4 (bb) or 1/8 of the time, and o->b 1/8 (bb) or 1/16 (ob). o has four replicas.
"""

import dataclasses
import functools
import math

from edgeplan.instances import bundled
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Privacy,
    Problem,
    Stream,
)
from tests.conformance import load_cases, throughput_cases

PERIOD = throughput_cases.PERIOD
ENERGY = Objective(latency=0.0, energy=1.0)
COST = Objective(latency=0.0, cost=1.0)


def chain(costs=None, name="n", moved=None):
    return Network(
        name,
        (Layer(name="l0", weight_bytes=100), Layer(name="l1", weight_bytes=200)),
        (
            Tensor(name="in", bytes=64, producer=None, consumers=(0,)),
            Tensor(name="t", bytes=32, producer=0, consumers=(1,), transfer_seconds=moved),
            Tensor(name="out", bytes=16, producer=1, output=True),
        ),
        costs or {"o": LayerCosts(seconds=(1.0, 1.0)), "b": LayerCosts(seconds=(0.25, 0.25))},
    )


def base(
    *,
    o=None,
    b=None,
    up=None,
    down=None,
    count=1,
    objective=None,
    budgets=None,
    networks=None,
    links=None,
    **stream,
):
    ways = (
        Link(
            source="o",
            target="b",
            **{"bytes_per_second": 256.0, "latency_seconds": 1 / 8, **(up or {})},
        ),
        Link(
            source="b",
            target="o",
            **{"bytes_per_second": 256.0, "latency_seconds": 1 / 4, **(down or {})},
        ),
    )
    return Problem(
        networks=networks or (chain(),),
        devices=(
            Device(name="o", zone="home", **{"replicas": 4, **(o or {})}),
            Device(name="b", zone="public", tier="cloud", **(b or {})),
        ),
        links=ways if links is None else tuple(ways[i] for i in links),
        streams=tuple(
            Stream(
                name=f"s{i}", **{"network": "n", "origin": "o", "rate_per_second": 0.5, **stream}
            )
            for i in range(count)
        ),
        objective=objective or Objective(),
        budgets=budgets or Budgets(),
    )


WATTS = {"o": {"active_watts": 1.0}, "b": {"active_watts": 8.0}}
"""Joules: oo 2, bb 4, ob and bo 3. Watts at 1/2 request per second: 1, 2, 1.5."""


def pin(layer, *devices):
    return LayerRule(devices=devices, layers=(layer,))


def three(*, links="ob bo oc co bc cb", tensors=(), pins="", returns=False):
    """Three layers, 1 s each on o, b and c; links without latency at 64 B/s."""
    costs = {name: LayerCosts(seconds=(1.0,) * 3) for name in "obc"}
    network = Network("n", tuple(Layer(name=f"l{i}") for i in range(3)), tensors, costs)
    return Problem(
        networks=(network,),
        devices=tuple(Device(name=name) for name in "obc"),
        links=tuple(
            Link(source=e[0], target=e[1], bytes_per_second=64.0, latency_seconds=1 / 16)
            for e in links.split()
        ),
        streams=(
            Stream(
                name="s",
                network="n",
                origin="o",
                rate_per_second=1 / 8,
                pins=tuple(pin(f"l{i}", device) for i, device in enumerate(pins)),
                returns=returns,
            ),
        ),
    )


SKIP = (
    Tensor(name="t0", bytes=32, producer=0, consumers=(1, 2)),
    Tensor(name="t1", bytes=16, producer=1, consumers=(2,)),
)


def forwarded():
    """o 1 s per layer, b 1/4; in 128 B to l0, mask 32 B to l1 and l2, t0 and t1 16 B, out 0.

    64 B/s and 1/8 s each way. ooo 3; obb 1, 1/8 + 1/4 + 1/2, 1/2, 1/8 = 2.5 with the mask
    once (twice would be 3); bbb 1/8 + 2 + 1/2, 3/4, 1/8 = 3.5; oob 2, 1/8 + 1/4 + 1/2, 1/4,
    1/8 = 3.25; all others more.
    """
    network = Network(
        "n",
        tuple(Layer(name=f"l{i}") for i in range(3)),
        (
            Tensor(name="in", bytes=128, producer=None, consumers=(0,)),
            Tensor(name="mask", bytes=32, producer=None, consumers=(1, 2)),
            Tensor(name="t0", bytes=16, producer=0, consumers=(1,)),
            Tensor(name="t1", bytes=16, producer=1, consumers=(2,)),
            Tensor(name="out", bytes=0, producer=2, output=True),
        ),
        {"o": LayerCosts(seconds=(1.0,) * 3), "b": LayerCosts(seconds=(0.25,) * 3)},
    )
    way = {"bytes_per_second": 64.0, "latency_seconds": 1 / 8}
    return base(networks=(network,), up=way, down=way, rate_per_second=1 / 16)


def spans(o, b):
    return base(
        networks=(chain({"o": SpanCosts(seconds=o), "b": SpanCosts(seconds=b)}),),
        rate_per_second=1 / 8,
    )


def exceeded(kind, share):
    """A problem whose best plan exceeds one limit by a share of it."""
    less = 1 / (1 + share)
    return {
        "deadline": lambda: base(**WATTS, objective=ENERGY, deadline_seconds=1.8125 * less),
        "memory": lambda: base(b={"memory_bytes": 300 * less}),
        "device capacity": lambda: base(count=2, b={"utilisation_cap": 0.5 * less}),
        "link capacity": lambda: base(up={"utilisation_cap": 0.125 * less}),
        "device power": lambda: base(b={"active_watts": 8.0, "power_budget_watts": 2.0 * less}),
        "power": lambda: base(**WATTS, budgets=Budgets(power_watts=2.0 * less)),
        "money": lambda: base(
            b={"dollars_per_second": 1.0}, budgets=Budgets(dollars_per_hour=900.0 * less)
        ),
        # b is busy for 1/2 s per request with bb, 1/4 s with ob.
        "min rate": lambda: base(budgets=Budgets(min_rate_per_second=2.0 / less)),
        # The accelerators hold a layer each, or the core has to do it all.
        "pipeline memory": lambda: throughput_cases.pipeline(
            (1, 2, 1), throughput_cases.LINE, memory=100 * less, core_seconds=(8, 4, 2)
        ),
    }[kind]()


WITHIN_AND_BEYOND = {
    "deadline": (3.0, 4.0),
    "memory": (1.1875, 1.8125),
    "device capacity": (1.1875, 1.5),
    "link capacity": (1.1875, 1.8125),
    "device power": (1.1875, 1.8125),
    "power": (1.1875, 1.8125),
    "money": (1.1875, 1.8125),
    "min rate": (1.1875, 1.8125),
    "pipeline memory": (2.5, 14.0),
}
"""The optimum where the limit is exceeded by less, and by more, than the tolerance."""

# Each case: how to make the problem, and its optimum (None: no plan exists).
CASES = {
    # One stream, nothing limited.
    "far wins": (lambda: base(), 1.1875),
    "only one device": (
        lambda: base(networks=(chain({"o": LayerCosts(seconds=(1.0, 0.5))}),)),
        1.5,
    ),
    # 64 B/s: bb 1/8 + 1, 1/2, 1/4 + 1/4 = 2.125; ob 2.375; oo 2.
    "near wins": (
        lambda: base(up={"bytes_per_second": 64.0}, down={"bytes_per_second": 64.0}),
        2.0,
    ),
    "returns off": (lambda: base(returns=False), 0.875),
    "infinite bandwidth": (
        lambda: base(up={"bytes_per_second": math.inf}, down={"bytes_per_second": math.inf}),
        0.875,
    ),
    "layers fixed to one route": (lambda: base(pins=(pin("l0", "b"), pin("l1", "o"))), 2.0),
    "a layer costs a boundary": (
        # bb + 1: 2.1875; ob + 1: 2.8125; oo 2.
        lambda: base(
            networks=(
                chain(
                    {
                        "o": LayerCosts(seconds=(1.0, 1.0)),
                        "b": LayerCosts(seconds=(0.25, 0.25), boundary_seconds=1.0),
                    }
                ),
            ),
        ),
        2.0,
    ),
    "spans: the whole is less than its parts": (
        # oo 1.25 as measured whole (2 as parts); bb 0.75 + 0.6875 = 1.4375.
        lambda: spans(((1.0, 1.25), (1.0,)), ((0.25, 0.75), (0.25,))),
        1.25,
    ),
    "spans: only the parts can run far": (
        # bb cannot run as one stage; ob 1.8125 beats oo 3.
        lambda: spans(((1.0, 3.0), (1.0,)), ((0.25, math.inf), (0.25,))),
        1.8125,
    ),
    # Inputs and tensors.
    "a forwarded input is paid once": (forwarded, 2.5),
    # in lies on b: bb 1/8, 1/2, 5/16; oo 1/4 + 1/4, 2 = 2.5; ob 1/2 + 1.8125; bo 1/8, 1/4, 3/8, 1.
    "an input at home on the far device": (lambda: base(homes={"in": "b"}), 0.9375),
    "… with the last layer near": (
        lambda: base(homes={"in": "b"}, pins=(pin("l1", "o"),)),
        1.75,
    ),
    "… with the first layer near": (
        lambda: base(homes={"in": "b"}, pins=(pin("l0", "o"),)),
        2.3125,
    ),
    "a skip tensor takes its own link": (
        # 3; o->b 1/16 + 1/2; b->c 1/16 + 1/4; o->c 1/2 for t0, without a latency.
        lambda: three(tensors=SKIP, pins="obc"),
        4.375,
    ),
    "no relaying": (lambda: three(tensors=SKIP, pins="obc", links="ob bc co"), None),
    "latency without bytes": (lambda: three(pins="obc", links="ob bc"), 3.125),
    "no link, no bytes, no plan": (lambda: three(pins="obc", links="ob oc co bo"), None),
    "received once in a revisit": (
        # o, b, o with t0 made on o: o->b 9/16; b->o 1/16 + 1/4 for t1; t0 is still there.
        lambda: three(tensors=SKIP, pins="obo"),
        3.875,
    ),
    # Objectives.
    "energy": (lambda: base(**WATTS, objective=ENERGY), 2.0),
    "weights": (
        # 2 × s + 1/2 × J: oo 5, bb 4.375, ob 5.125, bo 5.5.
        lambda: base(**WATTS, objective=Objective(latency=2.0, energy=0.5)),
        4.375,
    ),
    "denominators": (
        lambda: base(
            **WATTS,
            objective=Objective(
                latency=8.0,
                energy=4.0,
                latency_denominator_seconds=4.0,
                energy_denominator_joules=8.0,
            ),
        ),
        4.375,
    ),
    # o 4 W, 1 W idle, b 8 W: oo 8 J; bb 4 + 1.1875; ob 4 + 2 + 0.8125; bo 2 + 4 + 1.
    "the origin waits": (
        lambda: base(
            o={"active_watts": 4.0, "idle_watts": 1.0},
            b={"active_watts": 8.0},
            objective=ENERGY,
            waits=True,
        ),
        5.1875,
    ),
    # b: 2 replicas × 1 W ÷ 1/2 = 4 J, and 4 W × 1/2 s; o 4 W: oo 8, bb 6, ob 4 + 4 + 1.
    "a device is charged for being on": (
        lambda: base(
            o={"active_watts": 4.0},
            b={"active_watts": 5.0, "idle_watts": 1.0, "charge_idle": True, "replicas": 2},
            objective=ENERGY,
        ),
        6.0,
    ),
    # Up 1/64 J/B sent, 1/64 received: bb 64/32 = 2 J; down free. o 4 W, b 1 W: oo 8, bb 2.5,
    # ob 4 + 1 + 1/4; bo 2 + 1/4 + 4.
    "traffic draws energy at both ends": (
        lambda: base(
            o={"active_watts": 4.0},
            b={"active_watts": 1.0},
            up={"send_joules_per_byte": 1 / 64, "receive_joules_per_byte": 1 / 64},
            objective=ENERGY,
        ),
        2.5,
    ),
    "stated joules": (
        # b states 1 and 1/2 J, o 1 W: oo 2; bb 1.5; ob 1.5; bo 2.
        lambda: base(
            o={"active_watts": 1.0},
            b={"active_watts": 100.0},
            networks=(
                chain(
                    {
                        "o": LayerCosts(seconds=(1.0, 1.0)),
                        "b": LayerCosts(seconds=(0.25, 0.25), joules=(1.0, 0.5)),
                    }
                ),
            ),
            objective=ENERGY,
        ),
        1.5,
    ),
    # o 1 $/s: oo 2; b 1 $ per stage: bb 1; ob 1 + 1.
    "a fee per stage": (
        lambda: base(o={"dollars_per_second": 1.0}, b={"dollars_per_request": 1.0}, objective=COST),
        1.0,
    ),
    # Traffic 1/64 $/B both ways: bb 1 + 1/4; ob 1/2 + 1/4 + 1; oo 2.
    "traffic costs": (
        lambda: base(
            o={"dollars_per_second": 1.0},
            up={"dollars_per_byte": 1 / 64},
            down={"dollars_per_byte": 1 / 64},
            objective=COST,
        ),
        1.25,
    ),
    # o 2 W at 1 $/J: oo 4; b 8 W at 1/4 $/J: bb 1.
    "electricity": (
        lambda: base(
            o={"active_watts": 2.0, "dollars_per_joule": 1.0},
            b={"active_watts": 8.0, "dollars_per_joule": 0.25},
            objective=COST,
        ),
        1.0,
    ),
    # b 1 $/s while on, over 2 × 1/2 requests/s: 1 $ each. At 1/2 per dollar both bb: 1.6875.
    "a provisioned device is shared": (
        lambda: base(count=2, b={"dollars_per_hour": 3600.0}, objective=Objective(cost=0.5)),
        1.6875,
    ),
    "… or is too dear": (
        lambda: base(count=2, b={"dollars_per_hour": 3600.0}, objective=Objective(cost=1.0)),
        2.0,
    ),
    "… and the total counts it for each stream": (
        lambda: base(
            count=2,
            b={"dollars_per_hour": 3600.0},
            objective=Objective(cost=0.5, aggregate="total"),
        ),
        3.375,
    ),
    # Rules.
    "a pin": (lambda: base(pins=(pin("l0", "o"),)), 1.8125),
    "a pin to either": (lambda: base(pins=(pin("l0", "o", "b"),)), 1.1875),
    "a ban": (lambda: base(bans=(LayerRule(devices=("b",)),)), 2.0),
    "a private input": (lambda: base(privacy=Privacy(zones=("home",))), 1.8125),
    "a private prefix": (lambda: base(privacy=Privacy(zones=("home",), before="l1")), 2.0),
    "private, but all zones will do": (
        lambda: base(privacy=Privacy(zones=("home", "public"))),
        1.1875,
    ),
    "pin against ban": (
        lambda: base(pins=(pin("l0", "o"),), bans=(LayerRule(devices=("o",)),)),
        None,
    ),
    "privacy against the only device that can": (
        lambda: base(
            privacy=Privacy(zones=("home",)),
            networks=(chain({"b": LayerCosts(seconds=(0.25, 0.25))}),),
        ),
        None,
    ),
    "no way there": (lambda: base(links=(1,), pins=(pin("l1", "b"),)), None),
    "no way back": (lambda: base(links=(0,), pins=(pin("l1", "b"),)), None),
    "no way back is needed": (
        lambda: base(links=(0,), pins=(pin("l1", "b"),), returns=False),
        0.875,
    ),
    # Memory.
    "memory exactly enough": (lambda: base(b={"memory_bytes": 300}), 1.1875),
    "memory for the last layer": (lambda: base(b={"memory_bytes": 299}), 1.8125),
    "memory for no layer that helps": (lambda: base(b={"memory_bytes": 199}), 2.0),
    "two streams share weights": (lambda: base(b={"memory_bytes": 300}, count=2), 1.1875),
    "stated memory": (
        lambda: base(
            b={"memory_bytes": 300},
            networks=(
                chain(
                    {
                        "o": LayerCosts(seconds=(1.0, 1.0)),
                        "b": LayerCosts(seconds=(0.25, 0.25), memory_bytes=(200, 200)),
                    }
                ),
            ),
        ),
        1.8125,
    ),
    "no memory anywhere": (
        lambda: base(o={"memory_bytes": 99}, b={"memory_bytes": 199}),
        None,
    ),
    # Deadlines, for energy (oo 2 J, ob 3, bb 4).
    "a deadline": (lambda: base(**WATTS, objective=ENERGY, deadline_seconds=1.9), 3.0),
    "a deadline exactly met": (
        lambda: base(**WATTS, objective=ENERGY, deadline_seconds=1.8125),
        3.0,
    ),
    "a tight deadline": (lambda: base(**WATTS, objective=ENERGY, deadline_seconds=1.2), 4.0),
    "a deadline too tight": (lambda: base(deadline_seconds=1.18), None),
    # Load: two streams on b are busy 1/4 each.
    "capacity exactly enough": (lambda: base(count=2, b={"utilisation_cap": 0.5}), 1.1875),
    "capacity for one and a half": (lambda: base(count=2, b={"utilisation_cap": 0.4}), 1.5),
    "capacity exactly for one and a half": (
        lambda: base(count=2, b={"utilisation_cap": 0.375}),
        1.5,
    ),
    "replicas double the capacity": (
        lambda: base(count=2, b={"utilisation_cap": 0.25, "replicas": 2}),
        1.1875,
    ),
    "too much for both": (lambda: base(rate_per_second=4.0), None),
    "capacity is not limited": (
        lambda: dataclasses.replace(base(rate_per_second=4.0), capacity="none"),
        1.1875,
    ),
    "link capacity exactly enough": (lambda: base(up={"utilisation_cap": 0.125}), 1.1875),
    "link capacity for the cut": (lambda: base(up={"utilisation_cap": 0.1}), 1.8125),
    "a link without contention": (
        lambda: base(up={"utilisation_cap": 0.1, "contention": "none"}),
        1.1875,
    ),
    # Power: bb draws 2 W on b, ob 1 W on b and 1.5 W together, oo 1 W.
    "device power exactly enough": (
        lambda: base(b={"active_watts": 8.0, "power_budget_watts": 2.0}),
        1.1875,
    ),
    "device power for one layer": (
        lambda: base(b={"active_watts": 8.0, "power_budget_watts": 1.5}),
        1.8125,
    ),
    "power budget exactly enough": (
        lambda: base(**WATTS, budgets=Budgets(power_watts=2.0)),
        1.1875,
    ),
    "power budget for the cut": (lambda: base(**WATTS, budgets=Budgets(power_watts=1.75)), 1.8125),
    "power budget for the origin": (lambda: base(**WATTS, budgets=Budgets(power_watts=1.25)), 2.0),
    "no power": (lambda: base(**WATTS, budgets=Budgets(power_watts=0.9)), None),
    # Money: b 1 $/s: bb 1/2 $ × 1/2 /s = 900 $/h, ob 450.
    "money exactly enough": (
        lambda: base(b={"dollars_per_second": 1.0}, budgets=Budgets(dollars_per_hour=900.0)),
        1.1875,
    ),
    "money for the cut": (
        lambda: base(b={"dollars_per_second": 1.0}, budgets=Budgets(dollars_per_hour=450.0)),
        1.8125,
    ),
    "no money": (
        lambda: base(
            b={"dollars_per_second": 1.0},
            budgets=Budgets(dollars_per_hour=449.0),
            pins=(pin("l1", "b"),),
        ),
        None,
    ),
    # Fractions: b may be busy 1/8. Half of the requests go bb (1/8), half oo: 1.59375. Unsplit
    # they all go ob.
    "a stream is dealt over two routes": (
        lambda: base(b={"utilisation_cap": 0.125}, splittable=True),
        1.59375,
    ),
    "… or must not be": (lambda: base(b={"utilisation_cap": 0.125}), 1.8125),
    # The mean deadline 1.59375 asks for as much: by energy (oo 2, bb 4) half and half is 3 J,
    # as is ob alone at 1.8125; at 1.6 s a share x on bb: 2 − 0.8125 x = 1.6.
    "a mean deadline is met by a mixture": (
        lambda: base(**WATTS, objective=ENERGY, deadline_seconds=1.59375, splittable=True),
        3.0,
    ),
    # The period. Layers keep one of the four replicas of o busy for 1/4 s each, b 1/4 s each;
    # in o->b 1/4 s, t 1/8 s either way, out b->o 1/16 s: oo 1/2, bb 1/2, ob and bo 1/4.
    "the least period": (lambda: base(objective=PERIOD), 0.25),
    "… of two streams": (lambda: base(objective=PERIOD, count=2), 0.25),
    "… does not depend on the rate": (
        lambda: dataclasses.replace(base(objective=PERIOD, rate_per_second=9.0), capacity="none"),
        0.25,
    ),
    # o 1 s per layer on one replica: oo 2, bb 1/2, ob and bo 1.
    "… where the origin is slow": (lambda: base(o={"replicas": 1}, objective=PERIOD), 0.5),
    # in 2 s, t 1 s, so that only oo stays below 1.
    "a slow link is the most loaded": (
        lambda: base(objective=PERIOD, up={"bytes_per_second": 32.0}),
        0.5,
    ),
    "… unless nothing loads it": (
        lambda: base(objective=PERIOD, up={"bytes_per_second": 32.0, "contention": "none"}),
        0.25,
    ),
    "… or it ends at a free port": (
        lambda: base(objective=PERIOD, b={"transfers": "free_port"}, up={"bytes_per_second": 32.0}),
        0.25,
    ),
    # bb 1/2 + 1/4 + 1/16; ob 1/4 + 1/8 + 1/16; bo 1/4 + 1/4 + 1/8; oo 1/2 on o.
    "a device that transfers occupy": (
        lambda: base(objective=PERIOD, b={"transfers": "occupy"}),
        0.4375,
    ),
    # t takes 1/2 s anywhere: ob 1/4 + 1/2 + 1/16, bo 1/4 + 1/4 + 1/2 on b; oo 1/2, bb 13/16.
    "… with a stated time": (
        lambda: base(objective=PERIOD, b={"transfers": "occupy"}, networks=(chain(moved=0.5),)),
        0.5,
    ),
    # ob: 1, 1/8 + 1 (stated), 1/4, 1/4 + 1/16.
    "a stated time counts in the latency": (
        lambda: base(networks=(chain(moved=1.0),), pins=(pin("l1", "b"), pin("l0", "o"))),
        2.6875,
    ),
    # oo 2 + 2, bb 1.1875 + 2, ob 1.8125 + 1, bo 2 + 1.
    "latency and period": (lambda: base(objective=Objective(throughput=4.0)), 2.8125),
    "… with a denominator": (
        lambda: base(
            objective=Objective(throughput=8.0, throughput_denominator_seconds=2.0),
        ),
        2.8125,
    ),
    # Summed over two streams: 2 × 1.8125 + the period once. Mixed oo, bb: 3.1875 + 4 × 1/4.
    "… in total counts the period once": (
        lambda: base(count=2, objective=Objective(throughput=4.0, aggregate="total")),
        4.1875,
    ),
    "a minimum rate exactly met": (
        lambda: base(budgets=Budgets(min_rate_per_second=2.0)),
        1.1875,
    ),
    "a minimum rate for the cut": (lambda: base(budgets=Budgets(min_rate_per_second=3.0)), 1.8125),
    "a minimum rate that nothing carries": (
        lambda: base(budgets=Budgets(min_rate_per_second=4.1)),
        None,
    ),
    # Half of the requests oo, half bb: o and b are busy for 1/4 s per average request.
    "a minimum rate met by a mixture": (
        lambda: base(budgets=Budgets(min_rate_per_second=4.0), splittable=True),
        1.59375,
    ),
    "together": (lambda: base(objective=PERIOD, together=(("l0", "l1"),)), 0.5),
    "together, and one may not leave": (
        lambda: base(together=(("l0", "l1"),), pins=(pin("l1", "o"),)),
        2.0,
    ),
    "contiguous": (
        lambda: dataclasses.replace(base(), contiguous=True),
        1.1875,
    ),
    "contiguous, but pinned to a circle": (
        lambda: dataclasses.replace(three(tensors=SKIP, pins="obo"), contiguous=True),
        None,
    ),
    "contiguous without tensors": (
        lambda: dataclasses.replace(three(pins="obo"), contiguous=True),
        3.125,
    ),
}

CASES |= {f"pipeline: {name}": made for name, made in throughput_cases.CASES.items()}
CASES |= {f"load: {name}": made for name, made in load_cases.CASES.items()}
CASES |= {
    f"bundled {name}": (
        lambda name=name: bundled.load(name).problem,
        bundled.optimum(name),
    )
    for name in bundled.names()
}


@functools.cache
def case(name):
    make, answer = CASES[name]
    return make(), answer
