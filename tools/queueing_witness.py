"""A small problem that uses every equation of queues and routes, and their text for it."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping

from edgeplan.model.formulation.queueing import (
    EQUATIONS,
    TERMS,
    Levels,
    Sets,
    Side,
    build,
    term_text,
    text,
    variables_text,
)
from edgeplan.model.formulation.queueing.rows import Equation, Term
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
from edgeplan.solvers.queueing.at_levels import program_at
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.watch import Watch

SIDED = ("in_time", "in_time_on_average", "in_time_at_a_percentile", "powered", "exceeding")
"""Equations that differ in the plan program, or without limits."""


def witness() -> Problem:
    """Return a small problem that uses every equation."""
    tensors = (
        Tensor(name="in", bytes=1000, producer=None, consumers=(0,)),
        Tensor(name="mid", bytes=400, producer=0, consumers=(1,)),
        Tensor(name="end", bytes=300, producer=1, consumers=(2,)),
        Tensor(name="out", bytes=10, producer=2, output=True),
    )
    batched = LayerCosts(seconds=(0.006, 0.009, 0.002), cv2=0.2)
    network = Network(
        "net",
        (
            Layer(name="x", weight_bytes=600, activation_bytes=50),
            Layer(name="y", weight_bytes=300, activation_bytes=70),
            Layer(name="z", weight_bytes=50, activation_bytes=20),
        ),
        tensors,
        {
            "hub": LayerCosts(seconds=(0.02, 0.03, 0.01), cv2=0.5),
            "sky": LayerCosts(seconds=(0.004, 0.006, 0.001), batches={2: batched}),
        },
    )
    return Problem(
        networks=(network,),
        devices=(
            Device(
                name="hub",
                memory_bytes=1000,
                active_watts=5,
                idle_watts=1,
                dollars_per_joule=0.01,
                power_budget_watts=40,
                max_replicas=2,
            ),
            Device(
                name="sky",
                max_replicas=2,
                dispatch="shared",
                charge_idle=True,
                active_watts=50,
                idle_watts=10,
                dollars_per_hour=0.5,
                dollars_per_joule=0.02,
                power_budget_watts=300,
                memory_bytes=5000,
            ),
        ),
        links=(
            Link(source="hub", target="sky", bytes_per_second=1e5, latency_seconds=0.01),
            Link(
                source="sky",
                target="hub",
                bytes_per_second=1e5,
                latency_seconds=0.01,
                contention="none",
            ),
        ),
        streams=(
            *(
                Stream(
                    name=name,
                    network="net",
                    origin="hub",
                    rate_per_second=4,
                    deadline_seconds=0.2,
                    waits=True,
                )
                for name in ("a", "b")
            ),
            Stream(
                name="c",
                network="net",
                origin="hub",
                rate_per_second=6,
                arrival_cv2=0.5,
                waits=True,
                deadline_seconds=0.3,
                tail_deadlines=(TailDeadline(probability=0.95, seconds=0.5),),
                splittable=True,
                max_batch=2,
            ),
        ),
        objective=Objective(latency=1, energy=0.02, cost=3, throughput=0.5),
        budgets=Budgets(power_watts=200, dollars_per_hour=90, min_rate_per_second=5),
        waiting="mg1",
    )


@functools.cache
def sets(side: Side = "bound") -> Sets:
    """Return the data of the witness's programs; the bound program has every equation.

    The plan program has a stream and a device without limit.
    """
    problem = witness()
    if side == "plan":
        hub, sky = problem.devices
        *others, split = problem.streams
        problem = dataclasses.replace(
            problem,
            devices=(hub, dataclasses.replace(sky, power_budget_watts=math.inf)),
            streams=(*others, dataclasses.replace(split, deadline_seconds=math.inf)),
        )
    levels = Levels(
        waits={("device", "hub"): (0.01, 0.05), ("link", "hub->sky"): (0.002,)},
        boxes={("device", "sky"): ((0.4,), (0.002,))},
        decays={("device", "hub"): (20.0,)},
    )
    routes = columns(problem, Watch(None, None))
    # One state of each number of copies of the hub, which come first.
    steep = {(0, 1): 0.4, (0, 2): 0.6, (0, 4): 0.3} if side == "bound" else None
    made = program_at(problem, routes, levels, side, unit=math.ldexp(1, -4), steep=steep)
    return made.variables.sets


def golden_texts(
    equations: Mapping[str, Equation] = EQUATIONS, terms: Mapping[str, Term] = TERMS
) -> dict[str, str]:
    """Return the text of every equation and term, and of the variables.

    Parameters
    ----------
    equations, terms
        The mathematics; broken ones to see whether that is noticed.
    """
    made = build(sets(), equations=equations, terms=terms)
    plan = build(sets("plan"), equations=equations, terms=terms)
    return {
        **{name: text(made, name) for name in equations},
        **{name: term_text(made, name, terms) for name in terms},
        "variables": variables_text(made),
        "plan_program": "".join(
            [text(plan, name) for name in SIDED]
            + [term_text(plan, name, terms) for name in ("wait_price", "excess_price")]
        ),
    }
