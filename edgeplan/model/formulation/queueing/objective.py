r"""The objective of the program of queues and routes: a sum of registered terms.

A stream's weight is :math:`\lambda_s / \Lambda` for the mean per request and 1 for the total;
what a device costs while it is on is shared by all requests. Symbols as in ``constraints.py``.
"""

from __future__ import annotations

import math

import numpy as np

from edgeplan.model.formulation.queueing.constraints import fixed_dollars, idle_watts
from edgeplan.model.formulation.queueing.rows import Register, Term
from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.model.formulation.queueing.variables import Variables

TERMS: Register[Term] = Register()
term = TERMS.rule


@term
def route_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price the routes without their waits in queues.

    .. math:: \sum_{g,r} \pi_r\, y_{g,r}
    """
    return f["route"], f.sets.columns.objective


@term
def fill_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price the filling of batches on each route in use of a stream that is dealt out.

    .. math:: \sum_{g,r} h_g \phi_r\, u_{g,r}
    """
    columns, part = f.sets.columns, f.sets.parts
    return f["use"], columns.wait_price[columns.group[part]] * columns.fill[part]


@term
def wait_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price the waits in queues: latency, and what the origin draws meanwhile.

    .. math:: \sum_{g,r,q,k} h_g v_{r,q} W_k\, p_{g,r,q,k}
    """
    columns = f.sets.columns
    incidence, state = f.sets.pairs
    wait = f.sets.waits[state]
    price = columns.wait_price[columns.group[columns.column[incidence]]]
    return f["at"], price * columns.visits[incidence] * np.where(np.isfinite(wait), wait, 0.0)


@term
def excess_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price what waits exceed the lower end of their state by, at least (on request).

    .. math:: \sum_{q,k} H_{q,k} W_k\, e_{q,k}, \qquad
        H_{q,k} \le \frac{\sum_{g,r} h_g v_{r,q}\, y_{g,r}}{1 - \rho_q}
        \text{ wherever } q \text{ is in state } k
    """
    steep = f.sets.steep
    if steep is None:
        return f["excess"], np.zeros(0)
    low = [f.sets.states[q][k].low for q, k in f.sets.state]
    rate = [steep.get(pair, 0.0) for pair in f.sets.state]
    return f["excess"], np.array(low) * np.array(rate)


@term
def on_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price the devices that are on, replica by replica.

    .. math:: \frac{\sum_s \omega_s}{\Lambda} \sum_{d,c}
        (p_E\, c\, \iota_d + p_C\, \eta_{d,c})\, n_{d,c}
    """
    problem = f.sets.problem
    shares = math.fsum(problem.share(stream) for stream in problem.streams) / problem.total_rate
    found = np.zeros(len(f["count"]))
    for index, (q, c) in enumerate(f.sets.counts):
        kind, name = f.sets.columns.queues[q]
        if kind == "device":
            found[index] = shares * problem.objective.value(
                0.0, idle_watts(f, name, c), fixed_dollars(f, name, c)
            )
    return f["count"], found


@term
def period_price(f: Variables) -> tuple[Ints, Floats]:
    r"""Price the period.

    .. math:: p_T P
    """
    return f["period"], np.full(len(f["period"]), f.sets.problem.objective.period_price)
