r"""The objective of the program: a sum of four registered terms.

Aggregation: a stream's weight :math:`\omega_s` is :math:`\lambda_s / \Lambda` for the mean per
request and 1 for the total over streams. What a device costs while it is on is shared by all
requests, so that each stream bears :math:`1/\Lambda` of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edgeplan.model.formulation.constraints import fixed_dollars, idle_watts
from edgeplan.model.formulation.registry import Register, Rule
from edgeplan.model.formulation.variables import Program

TERMS = Register()
term: Callable[[str], Callable[[Rule], Rule]] = TERMS.equation


@term("timed")
def latency_price(f: Program) -> Any:
    r"""Price the streams' mean latencies.

    .. math:: p_L \sum_s \omega_s L_s
    """
    p = f.problem.objective.prices[0]
    return sum(
        p * weight(f, s) * f.units.seconds[s] / f.units.objective * f.model.latency[s]
        for s in f.sets.timed
    )


@term("powered")
def energy_price(f: Program) -> Any:
    r"""Price the energy drawn at all devices, charged idling included.

    .. math:: p_E \Bigl( \sum_s \omega_s \sum_d E_{s,d}
        + \frac{\sum_s \omega_s}{\Lambda} \sum_d c_d \iota_d\, o_d \Bigr)
    """
    p = f.problem.objective.prices[1]
    serving = sum(
        p * weight(f, s) * f.units.joules[s] / f.units.objective * f.model.energy[s, d]
        for s, d in f.sets.powered
    )
    idle = sum(
        p * shared(f) * idle_watts(f, d) / f.units.objective * f.model.on[d]
        for d in f.sets.switched
    )
    return serving + idle


@term("paid")
def cost_price(f: Program) -> Any:
    r"""Price the dollars spent, devices that are on included.

    .. math:: p_C \Bigl( \sum_s \omega_s C_s
        + \frac{\sum_s \omega_s}{\Lambda} \sum_d (c_d \eta_d + \epsilon_d c_d \iota_d)\, o_d \Bigr)
    """
    p = f.problem.objective.prices[2]
    running = sum(
        p * weight(f, s) * f.units.dollars[s] / f.units.objective * f.model.cost[s]
        for s in f.sets.paid
    )
    fixed = sum(
        p * shared(f) * fixed_dollars(f, d) / f.units.objective * f.model.on[d]
        for d in f.sets.switched
    )
    return running + fixed


@term("period")
def throughput_price(f: Program) -> Any:
    r"""Price the period: seconds per average request of the most loaded resource.

    .. math:: p_T P
    """
    p = f.problem.objective.period_price
    return sum(p * f.units.period / f.units.objective * f.model.period[i] for i in f.sets.period)


def weight(f: Program, s: str) -> float:
    """Return the weight of a stream's request in the aggregate."""
    return f.problem.share(f.problem.stream[s])


def shared(f: Program) -> float:
    """Return the share of a device's fixed price in the aggregate, per unit per second."""
    return math.fsum(weight(f, s) for s in f.sets.streams) / f.problem.total_rate
