"""Fixed problems under load, each with its answer worked out by hand.

One layer takes 1 s on o and 1/4 s on c, exponentially distributed; requests arise at o, and c is
1 s away (the answer comes back at once); the link has no bytes to carry. Alone at a device with
load ρ a request takes 1/(1 − ρ) times as long as unloaded.
"""

import dataclasses
import math

from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import (
    Budgets,
    Device,
    Link,
    Objective,
    Problem,
    Stream,
    TailDeadline,
)

FULL = {"utilisation_cap": 0.01}
"""A device that can carry nothing."""
DEAR = {"max_replicas": 3, "dollars_per_hour": 3600.0}
"""1 $/s per replica, at 2 requests per second 1/2 $ each."""
PAIRS = {2: LayerCosts(seconds=(1.9,))}
FOURS = {**PAIRS, 4: LayerCosts(seconds=(2.0,))}


def build(
    *,
    rates=(0.5,),
    o=None,
    c=None,
    at_c=0.25,
    away=1.0,
    cv2=1.0,
    cost=0.0,
    batches=None,
    sent=0,
    contention="shared",
    budgets=None,
    **stream,
):
    """Streams s0, s1, … with these rates; ``sent`` B to c at 16 B/s; ``batches`` on o only."""
    network = Network(
        "n",
        (Layer(name="l", activation_bytes=8),),
        (Tensor(name="x", bytes=sent, producer=None, consumers=(0,)),) if sent else (),
        {
            "o": LayerCosts(seconds=(1.0,), cv2=cv2, batches=batches or {}),
            "c": LayerCosts(seconds=(at_c,), cv2=cv2),
        },
    )
    return Problem(
        networks=(network,),
        devices=(Device(name="o", **(o or {})), Device(name="c", **(c or {}))),
        links=(
            Link(
                source="o",
                target="c",
                bytes_per_second=16.0,
                latency_seconds=away,
                contention=contention,
            ),
            Link(source="c", target="o", bytes_per_second=math.inf),
        ),
        streams=tuple(
            Stream(name=f"s{i}", network="n", origin="o", rate_per_second=rate, **stream)
            for i, rate in enumerate(rates)
        ),
        objective=Objective(cost=cost),
        budgets=budgets or Budgets(),
        waiting="mg1",
    )


def second_in(seconds):
    """Two streams of 0.4/s, the second with a deadline."""
    problem = build(rates=(0.4, 0.4))
    first, second = problem.streams
    return dataclasses.replace(
        problem, streams=(first, dataclasses.replace(second, deadline_seconds=seconds))
    )


def copies(dollars):
    """Two requests per second, which only c can carry; a replica costs so much per second."""
    return build(
        rates=(2.0,),
        o=FULL,
        c={"max_replicas": 3, "dollars_per_hour": 3600 * dollars},
        cost=1.0,
    )


def p95(seconds):
    return build(rates=(0.2,), tail_deadlines=(TailDeadline(probability=0.95, seconds=seconds),))


def idle(watts):
    """o idles at 1 W while it waits."""
    return build(
        c=FULL,
        o={"active_watts": 1.0, "idle_watts": 1.0, "power_budget_watts": watts},
        waits=True,
    )


CASES = {
    # Both at o: ρ = .8, 5 s. Both at c: ρ = .2, 1 + .25/.8 = 21/16. One at c: 23/18 and 5/3.
    "waiting sends both away": (lambda: build(rates=(0.4, 0.4)), 21 / 16),
    # c for itself: 1 + .25/.9 = 23/18 = 1.278 s, shared 1.3125 s; the other at o 1/(1 − .4).
    "waiting keeps one at home": (lambda: second_in(1.3), (5 / 3 + 23 / 18) / 2),
    "neither is in time": (lambda: second_in(1.27), None),
    "too much for all": (lambda: build(rates=(0.9, 3.9), c={"utilisation_cap": 0.9}), None),
    # n replicas: 1 + .25/(1 − .5/n) = 1.5, 4/3, 1.3 s, and n p / 2.
    "three replicas pay": (lambda: copies(0.02), 1.3 + 0.03),
    "two replicas pay": (lambda: copies(0.1), 4 / 3 + 0.1),
    "one replica pays": (lambda: copies(0.5), 1.5 + 0.25),
    "a deadline wants two replicas": (
        lambda: build(rates=(2.0,), o=FULL, c=DEAR, cost=1.0, deadline_seconds=1.4),
        4 / 3 + 1.0,
    ),
    "no money for two replicas": (
        lambda: build(
            rates=(2.0,),
            o=FULL,
            c=DEAR,
            cost=1.0,
            deadline_seconds=1.4,
            budgets=Budgets(dollars_per_hour=3600.0),
        ),
        None,
    ),
    # M/M/2 at ρ = 1/2: C = 1/3, wait 1/3 s.
    "one queue for two replicas": (
        lambda: build(rates=(1.0,), c=FULL, o={"replicas": 2, "dispatch": "shared"}),
        4 / 3,
    ),
    "a queue for each of two replicas": (lambda: build(rates=(1.0,), c=FULL, o={"replicas": 2}), 2),
    # Jobs of 4 every 4 s: fill 3/2 s, 2 s of service, wait ¼ · 2² · ¼ / (2 · ½).
    "batches of four": (
        lambda: build(rates=(1.0,), c=FULL, batches=FOURS, max_batch=4),
        1.5 + 2.0 + 0.25,
    ),
    # Pairs keep o busy .95 of the time: fill 1/2 s, c_a² = 1/2.
    "batches of two": (
        lambda: build(rates=(1.0,), c=FULL, batches=PAIRS, max_batch=4),
        0.5 + 1.9 + 0.5 * 1.9**2 * 0.5 / (2 * 0.05),
    ),
    # Activations of 8 B for each of four.
    "no memory for a batch": (
        lambda: build(
            rates=(1.0,), c=FULL, o={"memory_bytes": 31.0}, batches={4: FOURS[4]}, max_batch=4
        ),
        None,
    ),
    # (c_a² + c_s²)/2 = 2 times the wait of M/M/1.
    "bursts": (lambda: build(c=FULL, arrival_cv2=3.0), 3.0),
    "constant times": (lambda: build(c=FULL, cv2=0.0), 1.5),
    # 8 B take 1/2 s: M/D/1 at ρ = 1/2 waits 1/4 s; at c .25/(1 − .25).
    "a queue at the link": (lambda: build(rates=(1.0,), o=FULL, sent=8), 1.75 + 1 / 3),
    "no queue at the link": (
        lambda: build(rates=(1.0,), o=FULL, sent=8, contention="none"),
        1.5 + 1 / 3,
    ),
    # Service and wait at 2.5 % each: at o ln 40 (1 + 1/.8) = 8.30 s, mean 1/(1 − .2); at c
    # 1 + ln 40 (1/4 + 1/3.8) = 2.89 s, mean 1 + .25/(1 − .05).
    "p95 held at home": (lambda: p95(8.31), 1.25),
    "p95 held far away": (lambda: p95(8.29), 1 + 0.25 / 0.95),
    "p95 barely held far away": (lambda: p95(2.9), 1 + 0.25 / 0.95),
    "p95 not held": (lambda: p95(2.89), None),
    # .5/s: active .5 W, and 1 s in the queue .5 W idle.
    "power for waiting": (lambda: idle(1.0), 2.0),
    "no power for waiting": (lambda: idle(0.999), None),
    # Two equal devices: half each, 1/(1 − .75) s.
    "two halves": (
        lambda: build(rates=(1.5,), at_c=1.0, away=0.0, splittable=True),
        4.0,
    ),
    # All at o 1/(1 − .5) s; the last request there costs 1/(1 − .5)² = 4 s, at c 10.25 s.
    "a split that does not pay": (lambda: build(away=10.0, splittable=True), 2.0),
}
"""How to make the problem, and its optimum (None: no plan exists)."""
