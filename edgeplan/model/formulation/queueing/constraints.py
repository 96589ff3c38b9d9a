r"""All constraints of the program of queues and routes: one function per equation.

Symbols are those of ``variables.py``; g is a group of :math:`n_g` equal streams, r one of its
routes, q a queue (a device or a link), k a state of it with :math:`c_k` replicas, a a second
index of the same kind. What a route asks of a queue is per stream: :math:`b_{r,q} = \sum
\lambda E[S]`, :math:`m_{r,q} = \sum \lambda E[S^2]` (corrected for bursts), and :math:`v_{r,q}`
visits. A state's mean wait is :math:`W_k` of the program's side: its upper end in the plan
program, its lower end in the bound program.
"""

from __future__ import annotations

import math

import numpy as np

from edgeplan.model.formulation.queueing.rows import Equation, Register, Rows
from edgeplan.model.formulation.queueing.sets import PART, Floats, Ints
from edgeplan.model.formulation.queueing.variables import Variables

EQUATIONS: Register[Equation] = Register()
equation = EQUATIONS.rule


# -- routes ------------------------------------------------------------------


@equation
def served(f: Variables) -> Rows:
    r"""Give every stream a route, or all its requests to several.

    .. math:: \sum_r y_{g,r} = n_g
    """
    columns = f.sets.columns
    sizes = columns.sizes.astype(float)
    rows = Rows([group.streams[0] for group in columns.groups], sizes, sizes)
    return rows.add(columns.group, f["route"])


@equation
def followed(f: Variables) -> Rows:
    r"""Send requests along a route only if it is in use (a stream that is dealt out).

    .. math:: y_{g,r} \le u_{g,r}
    """
    parts = f.sets.parts
    index = np.arange(len(parts))
    return Rows(parts.tolist(), upper=0.0).add(index, f["route"][parts]).add(index, f["use"], -1.0)


@equation
def few_routes(f: Variables) -> Rows:
    r"""Use no more routes than allowed.

    .. math:: \sum_r u_{g,r} \le R_g
    """
    columns, parts = f.sets.columns, f.sets.parts
    split = [g for g, group in enumerate(columns.groups) if group.split]
    position = {g: index for index, g in enumerate(split)}
    limits = [float(f.sets.problem.stream[columns.groups[g].streams[0]].route_limit) for g in split]
    rows = Rows([columns.groups[g].streams[0] for g in split], upper=np.array(limits))
    return rows.add([position[int(g)] for g in columns.group[parts]], f["use"])


# -- states of queues ------------------------------------------------------------------


@equation
def counted(f: Variables) -> Rows:
    r"""Serve a queue by one number of replicas, or by none where it is off.

    .. math:: \sum_c n_{q,c} \le 1
    """
    names = [queue[1] for queue in f.sets.columns.queues]
    return Rows(names, upper=1.0).add([q for q, _ in f.sets.counts], f["count"])


@equation
def in_a_state(f: Variables) -> Rows:
    r"""Be in one of the states with that number of replicas.

    .. math:: \sum_{k: c_k = c} z_{q,k} = n_{q,c}
    """
    position = {pair: index for index, pair in enumerate(f.sets.counts)}
    rows = Rows(f.sets.counts, 0.0, 0.0).add(np.arange(len(position)), f["count"], -1.0)
    of = [position[q, f.sets.states[q][k].replicas] for q, k in f.sets.state]
    return rows.add(of, f["state"])


@equation
def placed(f: Variables) -> Rows:
    r"""Take a route in the states of the queues that it visits.

    .. math:: \sum_k p_{g,r,q,k} = y_{g,r}
    """
    columns = f.sets.columns
    incidence, _ = f.sets.pairs
    size = len(columns.column)
    rows = Rows(range(size), 0.0, 0.0).add(np.arange(size), f["route"][columns.column], -1.0)
    return rows.add(incidence, f["at"])


@equation
def only_there(f: Variables) -> Rows:
    r"""Take routes of a group at a queue in its state only: with the equations before, p = yz.

    .. math:: \sum_r p_{g,r,q,k} \le n_g z_{q,k}
    """
    return _only_there(f, "at", "state", *f.sets.pairs)


@equation
def within(f: Variables) -> Rows:
    r"""Keep a queue within the wait and the utilisation of its state.

    With W the upper end of the state's waits, as :math:`w \le W \iff Q/(2cW) + \rho \le 1`:

    .. math::
        \sum_{g,r} \Bigl( \frac{b_{r,q}}{c} + \frac{m_{r,q}}{2 c W} \Bigr) p_{g,r,q,k}
        \le z_{q,k}, \qquad
        \sum_{g,r} \frac{b_{r,q}}{c \bar\rho_q} p_{g,r,q,k} \le z_{q,k}

    Shared dispatch with c > 1: :math:`\sum b\,p / (c \rho_k) \le z` and
    :math:`\sum m\,p / Q_k \le z` for the state's box.
    """
    sets = f.sets
    _, state = sets.pairs
    used = np.abs(f.factors).sum(axis=2) > 0
    number = np.cumsum(used.ravel()).reshape(used.shape) - 1
    labels = [(*sets.state[index], level) for index, level in zip(*np.nonzero(used), strict=True)]
    rows = Rows(labels, upper=0.0)
    upper = f.bounds[1][f["at"]]
    for level in range(used.shape[1]):
        here = used[:, level]
        rows.add(number[here, level], f["state"][here], -1.0)
        pair = np.flatnonzero(here[state] & (upper > 0))
        rows.add(number[state[pair], level], f["at"][pair], f.loads[pair, level])
    return rows


# -- levels of decay ------------------------------------------------------------------


@equation
def at_a_level(f: Variables) -> Rows:
    r"""Be at one level of decay, with the same number of replicas.

    .. math:: \sum_{k: c_k = c} x_{q,k} = n_{q,c}
    """
    tailed = [pair for pair in f.sets.counts if f.sets.decays[pair[0]]]
    position = {pair: index for index, pair in enumerate(tailed)}
    count = {pair: int(column) for pair, column in zip(f.sets.counts, f["count"], strict=True)}
    rows = Rows(tailed, 0.0, 0.0).add(range(len(tailed)), [count[p] for p in tailed], -1.0)
    of = [position[q, f.sets.decays[q][k].replicas] for q, k in f.sets.decay]
    return rows.add(of, f["decay"])


@equation
def trailed(f: Variables) -> Rows:
    r"""Take a route at the levels of decay of the queues that it visits.

    .. math:: \sum_k v_{g,r,q,k} = y_{g,r}
    """
    tailed = f.sets.tailed
    position = np.full(len(f.sets.columns.column), -1, dtype=np.int64)
    position[tailed] = np.arange(len(tailed))
    index = np.arange(len(tailed))
    rows = Rows(tailed.tolist(), 0.0, 0.0)
    rows.add(index, f["route"][f.sets.columns.column[tailed]], -1.0)
    return rows.add(position[f.sets.decay_pairs[0]], f["tail"])


@equation
def only_at_it(f: Variables) -> Rows:
    r"""Take routes of a group at a queue at its level of decay only.

    .. math:: \sum_r v_{g,r,q,k} \le n_g x_{q,k}
    """
    return _only_there(f, "tail", "decay", *f.sets.decay_pairs)


@equation
def decaying(f: Variables) -> Rows:
    r"""Keep the decay of a queue's waits at or above its level θ.

    .. math:: \sum_{g,r} \sum_j \frac{\lambda_j (E[e^{\theta S_j}] - 1)}{c\,\theta}\, v_{g,r,q,k}
        \le x_{q,k}

    (over the jobs j of the route at the queue; shared dispatch: :math:`S_j / c` for
    :math:`S_j` and :math:`\theta` for :math:`c\theta`).
    """
    _, level = f.sets.decay_pairs
    levels = [index for index, (q, k) in enumerate(f.sets.decay) if f.sets.decays[q][k].low > 0]
    position = np.full(len(f.sets.decay), -1, dtype=np.int64)
    position[levels] = np.arange(len(levels))
    rows = Rows([f.sets.decay[index] for index in levels], upper=0.0)
    rows.add(range(len(levels)), f["decay"][levels], -1.0)
    here = (position[level] >= 0) & (f.bounds[1][f["tail"]] > 0)
    return rows.add(position[level[here]], f["tail"][here], f.decay_moments[here])


# -- deadlines ------------------------------------------------------------------


@equation
def in_time(f: Variables) -> Rows:
    r"""Hold the deadline on the mean: of each route of whole streams (all of a group wait alike).

    .. math:: L_r\, y_{g,r} + \sum_{q,k} v_{r,q} W_k\, p_{g,r,q,k} \le D_g\, y_{g,r}

    divided by D; L is the latency without waits in queues.
    """
    columns = f.sets.columns
    limit = _deadlines(f)[columns.group]
    split = np.array([group.split for group in columns.groups])[columns.group]
    chosen = np.flatnonzero(np.isfinite(limit) & ~split)
    position = np.full(len(columns), -1, dtype=np.int64)
    position[chosen] = np.arange(len(chosen))
    rows = Rows(chosen.tolist(), upper=0.0)
    rows.add(
        np.arange(len(chosen)), f["route"][chosen], columns.latency[chosen] / limit[chosen] - 1
    )
    return _add_waits(f, rows, position, 1 / limit)


@equation
def in_time_on_average(f: Variables) -> Rows:
    r"""Hold the deadline on the mean over the routes of a stream that may be split.

    .. math:: \sum_r \Bigl( L_r\, y_{g,r} + \phi_r u_{g,r} + \sum_{q,k} v_{r,q} W_k\, p_{g,r,q,k}
        \Bigr) \le D_g

    divided by D; φ is the time for the batch to fill if all requests take the route: it grows
    as the share of the requests falls, so that each route in use adds it once.
    """
    columns = f.sets.columns
    deadlines = _deadlines(f)
    split = [g for g, group in enumerate(columns.groups) if group.split and deadlines[g] < np.inf]
    position = np.full(len(columns.groups), -1, dtype=np.int64)
    position[split] = np.arange(len(split))
    rows = Rows([columns.groups[g].streams[0] for g in split], upper=1.0)
    chosen = np.flatnonzero(position[columns.group] >= 0)
    limit = deadlines[columns.group]
    row = position[columns.group]
    rows.add(row[chosen], f["route"][chosen], columns.latency[chosen] / limit[chosen])
    part = chosen[columns.kind[chosen] == PART]
    rows.add(row[part], f.use_of[part], columns.fill[part] / limit[part])
    return _add_waits(f, rows, row, 1 / limit)


@equation
def in_time_at_a_percentile(f: Variables) -> Rows:
    r"""Hold a deadline on a percentile on every route in use.

    .. math:: \sum_{q,k} v_{r,q} \frac{\ln(n_r/\alpha)}{\theta_k}\, v_{g,r,q,k} + \phi_r u_{g,r}
        \le (D - K_r)\, y_{g,r}

    divided by D; K is all that does not wait in queues, each of the :math:`n_r` random terms at
    its quantile of α/n; θ is the lower end of the level in the plan program, the upper end in
    the bound program.
    """
    sets, columns = f.sets, f.sets.columns
    incidence, level = sets.decay_pairs
    side = "low" if sets.side == "plan" else "high"
    theta = np.array([getattr(sets.decays[q][k], side) for q, k in sets.decay], dtype=float)
    with np.errstate(divide="ignore"):
        inverse = np.where(theta > 0, 1 / theta, 0.0)
    order = np.argsort(columns.column[incidence], kind="stable")
    sorted_columns = columns.column[incidence][order]
    rows = Rows(range(len(columns.tails)), upper=0.0)
    for index, tail in enumerate(columns.tails):
        part = columns.kind[tail.column] == PART
        own = -tail.seconds + (0.0 if part else tail.fill)
        rows.add([index], [f["route"][tail.column]], own / tail.limit)
        if part:
            rows.add([index], [f.use_of[tail.column]], tail.fill / tail.limit)
        first, stop = np.searchsorted(sorted_columns, [tail.column, tail.column + 1])
        pairs = order[first:stop]
        value = columns.visits[incidence[pairs]] * inverse[level[pairs]] * tail.log / tail.limit
        rows.add(np.full(len(pairs), index), f["tail"][pairs], value)
    return rows


# -- memory ------------------------------------------------------------------


@equation
def kept(f: Variables) -> Rows:
    r"""Keep the weights of the layers that run on a device, and room for their activations.

    .. math:: \sum_{r:\, l \text{ on } d,\, \text{batch } b} y_{g,r} \le n_g w_{n,l,b,d}, \qquad
        u_{g,r} \le w_{n,l,b,d}
    """
    sets, columns = f.sets, f.sets.columns
    keep = {key: int(index) for key, index in zip(sets.keeps, f["keep"], strict=True)}
    found: dict[tuple[int, int, int], list[int]] = {}
    cramped = set(sets.cramped)
    if not cramped:
        return Rows([])
    for index, devices in enumerate(columns.devices):
        g = int(columns.group[index])
        network = sets.problem.stream[columns.groups[g].streams[0]].network
        part = columns.kind[index] == PART
        column = int(f.use_of[index]) if part else int(f["route"][index])
        for layer, device in enumerate(devices):
            if device in cramped:
                key = keep[network, layer, int(columns.batch[index]), device]
                found.setdefault((key, g, index if part else -1), []).append(column)
    rows = Rows(list(found), upper=0.0)
    for number, ((key, g, _), members) in enumerate(found.items()):
        rows.add([number] * len(members), members)
        rows.add([number], [key], -float(columns.sizes[g]))  # 1 where it may be split
    return rows


@equation
def weighty(f: Variables) -> Rows:
    r"""Keep the weights of a layer whatever the batch.

    .. math:: w_{n,l,b,d} \le w_{n,l,0,d}
    """
    keep = {key: int(index) for key, index in zip(f.sets.keeps, f["keep"], strict=True)}
    batched = [key for key in keep if key[2] > 0]
    rows = Rows(batched, upper=0.0)
    index = range(len(batched))
    rows.add(index, [keep[key] for key in batched])
    return rows.add(index, [keep[key[0], key[1], 0, key[3]] for key in batched], -1.0)


@equation
def peaked(f: Variables) -> Rows:
    r"""Keep room for the largest activation of the layers that run on a device.

    .. math:: b\,\text{activation}_l\, w_{n,l,b,d} \le A_d
    """
    problem = f.sets.problem
    peak = dict(zip(f.sets.cramped, f["peak"].tolist(), strict=True))
    keep = [(key, int(i)) for key, i in zip(f.sets.keeps, f["keep"], strict=True) if key[2] > 0]
    rows = Rows([key for key, _ in keep], upper=0.0)
    for number, ((network, layer, batch, device), column) in enumerate(keep):
        size = batch * problem.network[network].layers[layer].activation_bytes
        rows.add([number], [column], size / problem.device[device].memory_bytes)
        rows.add([number], [peak[device]], -1.0)
    return rows


@equation
def fits(f: Variables) -> Rows:
    r"""Fit weights and activations into the memory of a device.

    .. math:: \sum_{n,l} \text{bytes}_{n,l,d}\, w_{n,l,0,d} + A_d \le M_d

    divided by M.
    """
    problem = f.sets.problem
    position = {device: index for index, device in enumerate(f.sets.cramped)}
    rows = Rows(f.sets.cramped, upper=1.0).add(range(len(position)), f["peak"])
    for (network, layer, batch, device), column in zip(f.sets.keeps, f["keep"], strict=True):
        if batch == 0:
            size = problem.network[network].memory_bytes(layer, device)
            rows.add([position[device]], [column], size / problem.device[device].memory_bytes)
    return rows


# -- budgets ------------------------------------------------------------------


@equation
def powered(f: Variables) -> Rows:
    r"""Hold the power budget of a device: serving, idling while on, its streams' waiting.

    .. math:: \sum_{g,r} \Bigl( e_{r,d}\, y_{g,r} + [d = o(g)]\, \iota_g \bigl( \phi_r u_{g,r} +
        \sum_{q,k} v_{r,q} W_k\, p_{g,r,q,k} \bigr) \Bigr) + \sum_c c\, \iota_d\, n_{d,c} \le B_d

    divided by B.
    """
    problem, columns = f.sets.problem, f.sets.columns
    limited = [d for d in problem.devices if math.isfinite(d.power_budget_watts)]
    rows = Rows([d.name for d in limited], upper=1.0)
    index = {d.name: i for i, d in enumerate(problem.devices)}
    for number, device in enumerate(limited):
        origin = [problem.stream[g.streams[0]].origin == device.name for g in columns.groups]
        waiting = columns.wait_watts * np.array(origin)
        scale = 1 / device.power_budget_watts
        _add_budget(f, rows, number, columns.watts[:, index[device.name]], waiting, scale)
        for (q, c), column in zip(f.sets.counts, f["count"], strict=True):
            if columns.queues[q] == ("device", device.name):
                rows.add([number], [column], idle_watts(f, device.name, c) * scale)
    return rows


@equation
def powered_in_all(f: Variables) -> Rows:
    r"""Hold the power budget of all devices together.

    .. math:: \sum_{g,r} \Bigl( \sum_d e_{r,d}\, y_{g,r} + \iota_g \bigl( \phi_r u_{g,r} +
        \sum_{q,k} v_{r,q} W_k\, p_{g,r,q,k} \bigr) \Bigr) + \sum_{d,c} c\, \iota_d\, n_{d,c} \le B
    """
    problem, columns = f.sets.problem, f.sets.columns
    budget = problem.budgets.power_watts
    if not math.isfinite(budget):
        return Rows([])
    rows = Rows(["all"], upper=1.0)
    _add_budget(f, rows, 0, columns.watts.sum(axis=1), columns.wait_watts, 1 / budget)
    for (q, c), column in zip(f.sets.counts, f["count"], strict=True):
        kind, name = columns.queues[q]
        if kind == "device":
            rows.add([0], [column], idle_watts(f, name, c) / budget)
    return rows


@equation
def paid(f: Variables) -> Rows:
    r"""Hold the money budget.

    .. math:: \sum_{g,r} \Bigl( s_r\, y_{g,r} + \epsilon_g \bigl( \phi_r u_{g,r} +
        \sum_{q,k} v_{r,q} W_k\, p_{g,r,q,k} \bigr) \Bigr) + \sum_{d,c} \eta_{d,c}\, n_{d,c}
        \le \frac{B}{3600}
    """
    problem, columns = f.sets.problem, f.sets.columns
    budget = problem.budgets.dollars_per_hour / 3600
    if not math.isfinite(budget):
        return Rows([])
    scale = 1 / budget
    rows = Rows(["all"], upper=1.0)
    _add_budget(f, rows, 0, columns.dollars, columns.wait_dollars, scale)
    for (q, c), column in zip(f.sets.counts, f["count"], strict=True):
        kind, name = columns.queues[q]
        if kind == "device":
            rows.add([0], [column], fixed_dollars(f, name, c) * scale)
    return rows


@equation
def busiest(f: Variables) -> Rows:
    r"""Let the period be that of the busiest queue.

    .. math:: \sum_{g,r,k} \frac{b_{r,q}}{c_k \Lambda}\, p_{g,r,q,k} \le P
    """
    sets, columns = f.sets, f.sets.columns
    if not sets.periodic:
        return Rows([])
    rows = Rows([queue[1] for queue in columns.queues], upper=0.0)
    incidence, state = sets.pairs
    replicas = np.array([sets.states[q][k].replicas for q, k in sets.state], dtype=float)
    load = columns.busy[incidence] / replicas[state] / sets.problem.total_rate
    rows.add(columns.queue[incidence], f["at"], load)
    return rows.add(range(len(columns.queues)), int(f["period"][0]), -1.0)


# -- valid inequality ------------------------------------------------------------------


@equation
def exceeding(f: Variables) -> Rows:
    r"""Measure what a wait exceeds the lower end of its state by (bound program, on request).

    With :math:`w (1 - \rho) = Q / 2c`: a wait above :math:`W` has
    :math:`w - W = (Q / 2c + W \rho - W) / (1 - \rho)`, so that

    .. math:: \sum_{g,r} \Bigl( \frac{m_{r,q}}{2c} + \frac{W_k b_{r,q}}{c} \Bigr) p_{g,r,q,k}
        - W_k z_{q,k} \le W_k e_{q,k}

    and the objective charges e with the least rate of waiters ÷ (1 − ρ) of the state.
    """
    sets, columns = f.sets, f.sets.columns
    if sets.steep is None:
        return Rows([])
    chosen = [i for i, pair in enumerate(sets.state) if sets.steep.get(pair, 0.0) > 0]
    position = np.full(len(sets.state), -1, dtype=np.int64)
    position[chosen] = np.arange(len(chosen))
    low = np.array([sets.states[q][k].low for q, k in sets.state])
    count = np.array([sets.states[q][k].replicas for q, k in sets.state], dtype=float)
    rows = Rows([sets.state[i] for i in chosen], upper=0.0)
    rows.add(range(len(chosen)), f["state"][chosen], -1.0)
    rows.add(range(len(chosen)), f["excess"][chosen], -1.0)
    incidence, state = sets.pairs
    here = position[state] >= 0
    i, k = incidence[here], state[here]
    load = (columns.moment[i] / (2 * low[k]) + columns.busy[i]) / count[k]
    return rows.add(position[k], f["at"][here], load)


# -- shared by several ------------------------------------------------------------------


def idle_watts(f: Variables, device: str, replicas: int) -> float:
    """Return the idle power that a device is charged while it is on."""
    found = f.sets.problem.device[device]
    return replicas * found.idle_watts if found.charge_idle else 0.0


def fixed_dollars(f: Variables, device: str, replicas: int) -> float:
    """Return what a device costs per second while it is on: price and idle electricity."""
    found = f.sets.problem.device[device]
    return (
        replicas * found.dollars_per_hour / 3600
        + idle_watts(f, device, replicas) * found.dollars_per_joule
    )


def _deadlines(f: Variables) -> Floats:
    stream = f.sets.problem.stream
    return np.array(
        [stream[g.streams[0]].deadline_seconds for g in f.sets.columns.groups], dtype=float
    )


def _only_there(f: Variables, family: str, of: str, incidence: Ints, state: Ints) -> Rows:
    columns = f.sets.columns
    group = columns.group[columns.column[incidence]]
    size = len(f[of])
    keys, row = np.unique(group * max(size, 1) + state, return_inverse=True)
    groups, states = np.divmod(keys, max(size, 1))
    rows = Rows(list(zip(groups.tolist(), states.tolist(), strict=True)), upper=0.0)
    rows.add(np.arange(len(keys)), f[of][states], -columns.sizes[groups].astype(float))
    return rows.add(row.ravel(), f[family])


def _add_waits(f: Variables, rows: Rows, position: Ints, factor: Floats) -> Rows:
    """Add every visit's wait, times its column's factor, to its column's row (-1: none)."""
    columns = f.sets.columns
    incidence, state = f.sets.pairs
    column = columns.column[incidence]
    wait = f.sets.waits[state]
    here = (position[column] >= 0) & np.isfinite(wait)
    value = columns.visits[incidence[here]] * wait[here] * factor[column[here]]
    return rows.add(position[column[here]], f["at"][here], value)


def _add_budget(
    f: Variables, rows: Rows, row: int, serving: Floats, waiting: Floats, scale: float
) -> None:
    """Add what serving takes, and what each second of waiting does, to a budget's row."""
    columns = f.sets.columns
    every = np.full(len(columns), row)
    rows.add(every, f["route"], serving * scale)
    part = f.sets.parts
    rows.add(every[part], f["use"], waiting[columns.group[part]] * columns.fill[part] * scale)
    _add_waits(f, rows, every, waiting[columns.group] * scale)
