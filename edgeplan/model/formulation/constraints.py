r"""All constraints of the program: one function per equation.

Symbols are those of ``variables.py``; s is a stream, r a route slot, l a layer (from 0), d, a and
b devices, t a tensor, c a layer that reads it, p(t) the layer that makes it, o(s) the origin,
h(t) where a graph input lies. Each function returns the row of one index, with every quantity
in the units of ``units.py`` (the docstrings leave units out).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from edgeplan.model.formulation.linear import total
from edgeplan.model.formulation.registry import Register, Rule
from edgeplan.model.formulation.units import MIB, Stage
from edgeplan.model.formulation.variables import Program
from edgeplan.model.network import LayerCosts

EQUATIONS = Register()
equation: Callable[[str], Callable[[Rule], Rule]] = EQUATIONS.equation


# -- routes ------------------------------------------------------------------


@equation("split")
def dealt(f: Program, s: str) -> Any:
    r"""Deal all requests of a stream over its routes.

    .. math:: \sum_r \varphi_{s,r} = 1
    """
    return sum(f.model.fraction[t, r] for t, r in f.sets.slots if t == s) == 1


@equation("later_slots")
def ordered(f: Program, s: str, r: int) -> Any:
    r"""Order the routes by their fractions: routes that trade numbers are one plan.

    .. math:: \varphi_{s,r} \le \varphi_{s,r-1}
    """
    return f.model.fraction[s, r] <= f.model.fraction[s, r - 1]


@equation("layers")
def placed(f: Program, s: str, r: int, layer: int) -> Any:
    r"""Run each layer once: a route's requests run it on one device or another.

    .. math:: \sum_d x_{s,r,l,d} = \varphi_{s,r}
    """
    x, devices = f.model.place, f.sets.permitted[s][layer]
    return sum(x[s, r, layer, d] for d in devices) == f.fraction(s, r)


@equation("split_layers")
def decided(f: Program, s: str, r: int, layer: int) -> Any:
    r"""Choose one device for each layer of each route of a stream that may be split.

    .. math:: \sum_d u_{s,r,l,d} = 1
    """
    u, devices = f.model.choose, f.sets.permitted[s][layer]
    return sum(u[s, r, layer, d] for d in devices) == 1


@equation("split_places")
def followed(f: Program, s: str, r: int, layer: int, d: str) -> Any:
    r"""Let requests run a layer only where their route puts it.

    With the equations before, x = φu in every whole choice: the perspective of the choice, with
    no constant larger than 1.

    .. math:: x_{s,r,l,d} \le u_{s,r,l,d}
    """
    return f.model.place[s, r, layer, d] <= f.model.choose[s, r, layer, d]


@equation("shared")
def united(f: Program, s: str, r: int, first: int, layer: int, d: str) -> Any:
    r"""Run the layers of a group on one device.

    .. math:: u_{s,r,l,d} = u_{s,r,l',d} \qquad (x \text{ for a stream with one route})
    """
    return f.chosen(s, r, layer, d) == f.chosen(s, r, first, d)


# -- from layer to layer ------------------------------------------------------------------


@equation("run_places")
def covered(f: Program, s: str, r: int, layer: int, d: str) -> Any:
    r"""Cover a layer by the stage that runs it (networks with span times).

    .. math:: \sum_{i \le l < j} y_{s,r,i,j,d} = x_{s,r,l,d}
    """
    stages = (
        f.model.run[s, r, i, j, d] for i, j, b in f.sets.spans[s] if b == d and i <= layer < j
    )
    return sum(stages) == f.model.place[s, r, layer, d]


@equation("departures")
def departed(f: Program, s: str, r: int, layer: int, a: str) -> Any:
    r"""Leave each device as often as it was the place of the layer before.

    With span times a request leaves only where a stage stops, and only for another device: that
    makes the stages maximal runs.

    .. math::
        \sum_b z_{s,r,l,a,b} = x_{s,r,l-1,a}
        \quad\text{or with span times}\quad
        \sum_{b \ne a} z_{s,r,l,a,b} = \sum_i y_{s,r,i,l,a}
    """
    leaving = total(f.model.step[s, r, layer, a, b] for b in steps_from(f, s, layer, a))
    if f.sets.network(s).form == "layers":
        return leaving == f.model.place[s, r, layer - 1, a]
    stopping = (f.model.run[s, r, i, j, a] for i, j, d in f.sets.spans[s] if (j, d) == (layer, a))
    return leaving - sum(stopping) == 0


@equation("arrivals")
def arrived(f: Program, s: str, r: int, layer: int, b: str) -> Any:
    r"""Arrive at each device as often as it is the place of the layer.

    With span times a request arrives only where a stage begins.

    .. math::
        \sum_a z_{s,r,l,a,b} = x_{s,r,l,b}
        \quad\text{or with span times}\quad
        \sum_{a \ne b} z_{s,r,l,a,b} = \sum_j y_{s,r,l,j,b}
    """
    coming = total(f.model.step[s, r, layer, a, b] for a in steps_to(f, s, layer, b))
    if f.sets.network(s).form == "layers":
        return coming == f.model.place[s, r, layer, b]
    beginning = (f.model.run[s, r, i, j, b] for i, j, d in f.sets.spans[s] if (i, d) == (layer, b))
    return coming - sum(beginning) == 0


# -- tensors ------------------------------------------------------------------


@equation("sendings")
def sent(f: Program, s: str, r: int, t: str, c: int, a: str) -> Any:
    r"""Send a tensor to each layer that reads it later from where it was made.

    Links that do not exist have no flow: they forbid the pair of places.

    .. math:: \sum_b f_{s,r,t,c,a,b} = x_{s,r,p(t),a}
    """
    producer = f.sets.tensor[s, t].producer
    targets = (b for b in f.sets.permitted[s][c] if f.sets.linked(a, b))
    return sum(f.model.flow[s, r, t, c, a, b] for b in targets) == f.model.place[s, r, producer, a]


@equation("receptions")
def received(f: Program, s: str, r: int, t: str, c: int, b: str) -> Any:
    r"""Receive a tensor where a layer reads it later.

    .. math:: \sum_a f_{s,r,t,c,a,b} = x_{s,r,c,b}
    """
    sources = (a for a in f.sets.origins(s, f.sets.tensor[s, t]) if f.sets.linked(a, b))
    return sum(f.model.flow[s, r, t, c, a, b] for a in sources) == f.model.place[s, r, c, b]


@equation("shipped")
def shipped(f: Program, s: str, r: int, t: str, c: int, a: str, b: str) -> Any:
    r"""Ship a tensor once to a device where several layers read it, if any of them runs there.

    .. math:: t_{s,r,t,a,b} \ge f_{s,r,t,c,a,b}
        \qquad (f_{s,r,t,p(t)+1,a,b} \text{ is } z_{s,r,p(t)+1,a,b})
    """
    return f.model.ship[s, r, t, a, b] >= f.arrives(s, r, f.sets.tensor[s, t], c, a, b)


@equation("fetched")
def fetched(f: Program, s: str, r: int, t: str, c: int, a: str, b: str) -> Any:
    r"""Fetch a graph input once from its home to a device where several layers read it.

    .. math:: t_{s,r,t,h(t),b} \ge x_{s,r,c,b}
    """
    return f.model.ship[s, r, t, a, b] >= f.model.place[s, r, c, b]


@equation("replied")
def replied(f: Program, s: str, r: int, t: str, a: str) -> Any:
    r"""Return results from a device that holds one which the origin has not received to read.

    One latency for all results of a device, hence one variable for all of them.

    .. math:: q_{s,r,a} \ge x_{s,r,p(t),a} - \sum_c f_{s,r,t,c,a,o(s)}
        \qquad\text{(a graph input: } \varphi_{s,r} \text{ and } x_{s,r,c,o(s)}\text{)}
    """
    tensor, origin = f.sets.tensor[s, t], f.problem.stream[s].origin
    readers = f.sets.readers(s, tensor, a, origin)
    read = sum(f.arrives(s, r, tensor, c, a, origin) for c in readers)
    made = f.moved(s, r, tensor, a, origin)
    return f.model.reply[s, r, a] >= made - read


# -- contiguous routes ------------------------------------------------------------------


@equation("forward")
def forwarded(f: Program, s: str, r: int, t: str, c: int, a: str, b: str) -> Any:
    r"""Move tensors forward only, in an order of the devices.

    .. math:: f_{s,r,t,c,a,b} \le b_{s,r,a,b} \qquad (b_{s,r,b,a} = 1 - b_{s,r,a,b})
    """
    arriving = f.arrives(s, r, f.sets.tensor[s, t], c, a, b)
    return arriving <= f.precedes(s, r, a, b)


@equation("ordered_triples")
def acyclic(f: Program, s: str, r: int, a: str, b: str, c: str) -> Any:
    r"""Order the devices: no circle of three, and hence none at all.

    .. math:: b_{s,r,a,b} + b_{s,r,b,c} + b_{s,r,c,a} \le 2
    """
    return f.precedes(s, r, a, b) + f.precedes(s, r, b, c) + f.precedes(s, r, c, a) <= 2


# -- what a stream takes ------------------------------------------------------------------


@equation("stream_devices")
def computed(f: Program, s: str, d: str) -> Any:
    r"""Add up a stream's compute time on a device, per request.

    With layer times: the layers and one boundary cost β per stage; with span times: the stages.

    .. math::
        T_{s,d} = \sum_{r,l} \tau_{l,d}\, x_{s,r,l,d} + \beta_d \sum_r \text{starts}_{s,r,d}
        \quad\text{or}\quad T_{s,d} = \sum_{r,i,j} \tau_{i,j,d}\, y_{s,r,i,j,d}

    where a stage starts on d at the first layer or when a step enters d:

    .. math:: \text{starts}_{s,r,d} = x_{s,r,0,d} + \sum_l \sum_{a \ne d} z_{s,r,l,a,d}
    """
    unit, costs = f.units.seconds[s], f.sets.network(s).costs[d]
    time = total(stage.seconds / unit * share for stage, share in stages(f, s, d))
    if isinstance(costs, LayerCosts):
        time += costs.boundary_seconds / unit * total(starts(f, s, d))
    return f.model.compute[s, d] == time


@equation("crossed")
def crossed(f: Program, s: str, a: str, b: str) -> Any:
    r"""Count the latencies of a link that a request is charged.

    One for each step over the link, the one from the origin to the first layer included; one
    for each graph input that lies off the origin and is fetched over it; one for the results
    that return over it.

    .. math:: h_{s,a,b} = \sum_r \Bigl( \sum_l z_{s,r,l,a,b} + [a = o(s)]\, x_{s,r,0,b}
        + \sum_{t: h(t) = a \ne o(s)} t_{s,r,t,a,b} + [b = o(s)]\, q_{s,r,a} \Bigr)
    """
    origin = f.problem.stream[s].origin
    count = 0
    for r in slots(f, s):
        count += total(
            f.model.step[s, r, layer, a, b]
            for layer, passage in enumerate(f.sets.passages[s], start=1)
            if (a, b) in passage.known
        )
        if a == origin and (s, r, 0, b) in f.model.place:
            count += f.model.place[s, r, 0, b]
        count += sum(
            f.fetched(s, r, f.sets.tensor[s, t], a, b)
            for t, home, target in f.sets.forwarded[s]
            if (home, target) == (a, b)
        )
        if b == origin and (s, r, a) in f.model.reply:
            count += f.model.reply[s, r, a]
    return f.model.cross[s, a, b] == count


@equation("carried")
def carried(f: Program, s: str, a: str, b: str) -> Any:
    r"""Add up the bytes that a request sends over a link: each tensor once per device.

    Results get to the origin in any case, whether to be read there or returned.

    .. math:: v_{s,a,b} = \sum_{r,t} \text{bytes}_t \cdot \text{moved}_{s,r,t,a,b}, \qquad
        \text{moved} = \begin{cases}
        x_{s,r,p(t),a} & \text{a result, } b = o(s) \\
        f_{s,r,t,c,a,b} & \text{one layer } c \text{ may read it on } b \\
        t_{s,r,t,a,b} & \text{several may} \end{cases}
    """
    unit = f.units.bytes[s]
    return f.model.volume[s, a, b] == total(
        tensor.bytes / unit * f.moved(s, r, tensor, a, b)
        for r in slots(f, s)
        for t in f.sets.moves_over[s][a, b]
        for tensor in [f.sets.tensor[s, t]]
    )


@equation("timed")
def lasted(f: Program, s: str) -> Any:
    r"""Add up a stream's mean latency: compute, latencies of links, bytes over bandwidth.

    .. math:: L_s = \sum_d T_{s,d} + \sum_{a,b} \ell_{a,b}\, h_{s,a,b}
        + \sum_{a,b} v_{s,a,b} / B_{a,b}

    (for a tensor with a stated transfer time: that time in place of its bytes / B).
    """
    unit, link = f.units.seconds[s], f.problem.link
    compute = total(f.model.compute[t, d] for t, d in f.sets.stream_devices if t == s)
    latency = total(
        link[a, b].latency_seconds / unit * f.model.cross[t, a, b]
        for t, a, b in f.sets.crossed
        if t == s
    )
    transfer = total(transfer_time(f, s, a, b, unit) for a, b in f.sets.carrying[s])
    return f.model.latency[s] == compute + latency + transfer


@equation("powered")
def drawn(f: Program, s: str, d: str) -> Any:
    r"""Add up the energy that a request draws at a device.

    Stated joules or watts × time of its compute (above idle where the device charges idle), what
    its links send and receive, and the origin's idle watts while it waits and does not compute.

    .. math:: E_{s,d} = \sum_{r,l} e_{l,d}\, x_{s,r,l,d} + \sum_b \sigma_{d,b}\, v_{s,d,b}
        + \sum_a \rho_{a,d}\, v_{s,a,d} + \iota_d [d = o(s) \text{ waits}] (L_s - T_{s,d})

    (with stated joules or layer times; with span times e and y in place of e and x).
    """
    unit, seconds, volume = f.units.joules[s], f.units.seconds[s], f.units.bytes[s]
    used = (s, d) in f.model.compute
    energy = 0.0
    if used:
        if f.sets.network(s).costs[d].joules is None:
            watts = f.problem.device[d].compute_watts
            energy += watts * seconds / unit * f.model.compute[s, d]
        else:
            energy += total(stage.joules / unit * share for stage, share in stages(f, s, d))
    for a, b in f.sets.carrying[s]:
        if a == d:
            sending = f.problem.link[a, b].send_joules_per_byte
            energy += sending * volume / unit * f.model.volume[s, a, b]
        if b == d:
            receiving = f.problem.link[a, b].receive_joules_per_byte
            energy += receiving * volume / unit * f.model.volume[s, a, b]
    if f.sets.waits_idle(s, d):
        idle = f.problem.device[d].idle_watts * seconds / unit
        energy += idle * (f.model.latency[s] - (f.model.compute[s, d] if used else 0))
    return f.model.energy[s, d] == energy


@equation("paid")
def spent(f: Program, s: str) -> Any:
    r"""Add up a request's dollars: compute, a fee per stage, traffic, electricity.

    .. math:: C_s = \sum_d \Bigl( \pi_d\, T_{s,d} + \kappa_d \sum_r \text{starts}_{s,r,d}
        + \epsilon_d E_{s,d} \Bigr) + \sum_{a,b} \gamma_{a,b}\, v_{s,a,b}

    (with stated dollars: their sum over the layers or stages in place of πT).
    """
    unit, seconds, volume = f.units.dollars[s], f.units.seconds[s], f.units.bytes[s]
    joules, device = f.units.joules[s], f.problem.device
    money = 0.0
    for t, d in f.sets.stream_devices:
        if t == s:
            if f.sets.network(s).costs[d].dollars is not None:
                money += total(stage.dollars / unit * share for stage, share in stages(f, s, d))
            else:
                money += device[d].dollars_per_second * seconds / unit * f.model.compute[s, d]
            if fee := device[d].dollars_per_request:
                money += fee / unit * total(starts(f, s, d))
    for t, d in f.sets.powered:
        if t == s:
            money += device[d].dollars_per_joule * joules / unit * f.model.energy[s, d]
    for a, b in f.sets.carrying[s]:
        traffic = f.problem.link[a, b].dollars_per_byte
        money += traffic * volume / unit * f.model.volume[s, a, b]
    return f.model.cost[s] == money


@equation("due")
def punctual(f: Program, s: str) -> Any:
    r"""Keep a stream's deadline on the mean over its routes.

    .. math:: L_s \le D_s
    """
    deadline = f.problem.stream[s].deadline_seconds
    return f.units.seconds[s] / deadline * f.model.latency[s] <= 1


# -- devices and links ------------------------------------------------------------------


@equation("kept")
def kept(f: Program, n: str, layer: int, d: str, s: str, r: int) -> Any:
    r"""Keep the weights of every layer that some route runs on a device; once for all of them.

    .. math:: w_{n,l,d} \ge u_{s,r,l,d} \qquad (x \text{ for a stream with one route})
    """
    return f.model.keep[n, layer, d] >= f.chosen(s, r, layer, d)


@equation("keeps")
def peaked(f: Program, n: str, layer: int, d: str) -> Any:
    r"""Reserve the largest peak activation of the layers on a device.

    .. math:: A_d \ge \alpha_l\, w_{n,l,d}
    """
    limit = f.problem.device[d].memory_bytes / MIB
    activation = f.problem.network[n].layers[layer].activation_bytes / MIB
    return f.model.peak[d] >= activation / limit * f.model.keep[n, layer, d]


@equation("cramped")
def fitted(f: Program, d: str) -> Any:
    r"""Fit the weights kept and the peak activation into a device's memory.

    .. math:: \sum_{n,l} m_{n,l,d}\, w_{n,l,d} + A_d \le M_d
    """
    limit = f.problem.device[d].memory_bytes / MIB
    weights = total(
        f.problem.network[n].memory_bytes(layer, d) / MIB / limit * f.model.keep[n, layer, d]
        for n, layer, b in f.sets.keeps
        if b == d
    )
    return weights + f.model.peak[d] <= 1


@equation("switching")
def switched(f: Program, s: str, r: int, layer: int, d: str) -> Any:
    r"""Turn on a device that runs any layer of any route.

    .. math:: o_d \ge u_{s,r,l,d} \qquad (x \text{ for a stream with one route})
    """
    return f.model.on[d] >= f.chosen(s, r, layer, d)


@equation("limited_devices")
def device_capacity(f: Program, d: str) -> Any:
    r"""Keep each replica's busy share at or below its cap.

    .. math:: \sum_s \lambda_s (T_{s,d} + G_{s,d}) / c_d \le \bar\rho_d
    """
    device = f.problem.device[d]
    return busy_device(f, d, device.utilisation_cap * device.replicas) <= 1


@equation("limited_links")
def link_capacity(f: Program, a: str, b: str) -> Any:
    r"""Keep each shared link's busy share at or below its cap.

    .. math:: \sum_s \lambda_s v_{s,a,b} / B_{a,b} \le \bar\rho_{a,b}

    (for a tensor with a stated transfer time: that time in place of its bytes / B).
    """
    return busy_link(f, a, b, f.problem.link[a, b].utilisation_cap) <= 1


# -- throughput ------------------------------------------------------------------


@equation("sent_to_read")
def sent_once(f: Program, s: str, r: int, t: str, c: int, a: str) -> Any:
    r"""Keep the sender busy once for a tensor, as long as the slowest of its transfers.

    :math:`\theta_{t,a,b}` is the stated transfer time, or bytes over bandwidth.

    .. math:: g_{s,r,t,a} \ge \sum_{b \ne a} \theta_{t,a,b}\, f_{s,r,t,c,a,b}
        \qquad \text{(a graph input: } x_{s,r,c,b} \text{)}
    """
    unit, tensor = f.units.seconds[s], f.sets.tensor[s, t]
    longest = sum(
        f.sets.seconds_over(s, t, a, b) / unit * f.arrives(s, r, tensor, c, a, b)
        for b in f.sets.permitted[s][c]
        if b != a and f.sets.linked(a, b)
    )
    return f.model.sending[s, r, t, a] >= longest


@equation("sent_back")
def sent_back(f: Program, s: str, r: int, t: str, a: str) -> Any:
    r"""Keep the sender busy for a result that goes to the origin.

    .. math:: g_{s,r,t,a} \ge \theta_{t,a,o(s)}\, x_{s,r,p(t),a}
        \qquad \text{(a graph input: } \varphi_{s,r} \text{)}
    """
    unit, origin = f.units.seconds[s], f.problem.stream[s].origin
    seconds = f.sets.seconds_over(s, t, a, origin) / unit
    return f.model.sending[s, r, t, a] >= seconds * f.moved(s, r, f.sets.tensor[s, t], a, origin)


@equation("occupied")
def engaged(f: Program, s: str, d: str) -> Any:
    r"""Add up the time that transfers keep a device busy that they occupy.

    .. math:: G_{s,d} = \sum_{r,t} \Bigl( g_{s,r,t,d}
        + \sum_{a \ne d} \theta_{t,a,d} \cdot \text{moved}_{s,r,t,a,d} \Bigr)
    """
    unit = f.units.seconds[s]
    sending = sum(f.model.sending[z, r, t, a] for z, r, t, a in f.sets.sent if (z, a) == (s, d))
    receiving = sum(
        f.sets.seconds_over(s, t, a, d) / unit * f.moved(s, r, f.sets.tensor[s, t], a, d)
        for r in slots(f, s)
        for t, a, target in f.sets.moves[s]
        if target == d
    )
    return f.model.engaged[s, d] == sending + receiving


@equation("loaded_devices")
def device_period(f: Program, d: str) -> Any:
    r"""Make the period at least the time that an average request keeps a device busy.

    .. math:: \sum_s \frac{\lambda_s}{\Lambda} (T_{s,d} + G_{s,d}) / c_d \le P
    """
    share = f.problem.device[d].replicas * f.problem.total_rate * f.units.period
    return busy_device(f, d, share) <= f.model.period["all"]


@equation("loaded_links")
def link_period(f: Program, a: str, b: str) -> Any:
    r"""Make the period at least the time that an average request keeps a link busy.

    .. math:: \sum_s \frac{\lambda_s}{\Lambda} v_{s,a,b} / B_{a,b} \le P

    (for a tensor with a stated transfer time: that time in place of its bytes / B).
    """
    return busy_link(f, a, b, f.problem.total_rate * f.units.period) <= f.model.period["all"]


@equation("rate_limited")
def min_rate(f: Program, _: str) -> Any:
    r"""Carry the minimum rate.

    .. math:: P \le 1 / \Lambda_{\min}
    """
    return f.units.period / f.problem.budgets.period_seconds * f.model.period["all"] <= 1


@equation("power_limited")
def device_power(f: Program, d: str) -> Any:
    r"""Keep a device's mean power within its budget.

    .. math:: \sum_s \lambda_s E_{s,d} + c_d \iota_d\, o_d \le P_d
        \qquad (\iota_d \text{ where idle is charged})
    """
    return mean_watts(f, d, f.problem.device[d].power_budget_watts) <= 1


@equation("power_budget")
def power(f: Program, _: str) -> Any:
    r"""Keep the mean power of all devices within the budget.

    .. math:: \sum_d \Bigl( \sum_s \lambda_s E_{s,d} + c_d \iota_d\, o_d \Bigr) \le P
    """
    budget = f.problem.budgets.power_watts
    return sum(mean_watts(f, device.name, budget) for device in f.problem.devices) <= 1


@equation("money_budget")
def money(f: Program, _: str) -> Any:
    r"""Keep mean spending within the budget.

    .. math:: \sum_s \lambda_s C_s + \sum_d (c_d \eta_d + \epsilon_d c_d \iota_d)\, o_d \le K

    with η the provisioned price of a replica, all per second.
    """
    budget = f.problem.budgets.dollars_per_hour / 3600
    running = sum(
        f.problem.stream[s].rate_per_second * f.units.dollars[s] / budget * f.model.cost[s]
        for s in f.sets.paid
    )
    fixed = sum(fixed_dollars(f, d) / budget * f.model.on[d] for d in f.sets.switched)
    return running + fixed <= 1


# -- sums that several equations share -----------------------------------------------------------


def slots(f: Program, s: str) -> Iterator[int]:
    """Yield the route slots of a stream."""
    return iter(range(1, f.problem.stream[s].route_limit + 1))


def steps_from(f: Program, s: str, layer: int, a: str) -> tuple[str, ...]:
    """Return the devices that a step before a layer may go to from a device."""
    return f.sets.passages[s][layer - 1].following[a]


def steps_to(f: Program, s: str, layer: int, b: str) -> tuple[str, ...]:
    """Return the devices that a step before a layer may come from to a device."""
    return f.sets.passages[s][layer - 1].leading[b]


def stages(f: Program, s: str, d: str) -> Iterator[tuple[Stage, Any]]:
    """Yield what each layer (with span times: stage) takes on a device, and its share."""
    network, device = f.sets.network(s), f.problem.device[d]
    for r in slots(f, s):
        if network.form == "spans":
            for i, j, b in f.sets.spans[s]:
                if b == d:
                    taken = f.units.taken(network, device, i, j)
                    yield taken, f.model.run[s, r, i, j, d]
        else:
            for layer, devices in enumerate(f.sets.permitted[s]):
                if d in devices:
                    taken = f.units.taken(network, device, layer, layer + 1)
                    yield taken, f.model.place[s, r, layer, d]


def starts(f: Program, s: str, d: str) -> Iterator[Any]:
    """Yield the shares of requests that start a stage on a device."""
    for r in slots(f, s):
        for layer, devices in enumerate(f.sets.permitted[s]):
            if d in devices and layer == 0:
                yield f.model.place[s, r, 0, d]
            elif d in devices:
                for a in steps_to(f, s, layer, d):
                    if a != d:
                        yield f.model.step[s, r, layer, a, d]


def transfer_time(f: Program, s: str, a: str, b: str, unit: float) -> Any:
    """Return the time that a request of a stream keeps a link busy, in a unit of time."""
    moves = [f.sets.tensor[s, t] for t in f.sets.moves_over[s][a, b]]
    bandwidth = f.problem.link[a, b].bytes_per_second
    if all(tensor.transfer_seconds is None for tensor in moves):
        return f.units.bytes[s] / bandwidth / unit * f.model.volume[s, a, b]
    return sum(
        tensor.seconds_at(bandwidth) / unit * f.moved(s, r, tensor, a, b)
        for r in slots(f, s)
        for tensor in moves
    )


def busy_device(f: Program, d: str, share: float) -> Any:
    """Return the time per second that a device is busy, as a share of something."""
    rate, unit = {s.name: s.rate_per_second for s in f.problem.streams}, f.units.seconds
    computing = sum(
        rate[s] * unit[s] / share * f.model.compute[s, b]
        for s, b in f.sets.stream_devices
        if b == d
    )
    engaged = sum(
        rate[s] * unit[s] / share * f.model.engaged[s, b] for s, b in f.sets.occupied if b == d
    )
    return computing + engaged


def busy_link(f: Program, a: str, b: str, share: float) -> Any:
    """Return the time per second that a link is busy, as a share of something."""
    return sum(
        transfer_time(f, s, a, b, share / f.problem.stream[s].rate_per_second)
        for s, source, target in f.sets.carried
        if (source, target) == (a, b)
    )


def mean_watts(f: Program, d: str, budget: float) -> Any:
    """Return a device's mean power as a share of a budget."""
    device = f.problem.device[d]
    serving = sum(
        f.problem.stream[s].rate_per_second * f.units.joules[s] / budget * f.model.energy[s, b]
        for s, b in f.sets.powered
        if b == d
    )
    idle = idle_watts(f, d) / budget * f.model.on[device.name] if d in f.sets.switched else 0
    return serving + idle


def idle_watts(f: Program, d: str) -> float:
    """Return the idle watts that a device is charged while it is on."""
    device = f.problem.device[d]
    return device.replicas * device.idle_watts if device.charge_idle else 0.0


def fixed_dollars(f: Program, d: str) -> float:
    """Return the dollars per second that a device costs while it is on."""
    device = f.problem.device[d]
    hourly = device.replicas * device.dollars_per_hour
    return hourly / 3600 + device.dollars_per_joule * idle_watts(f, d)
