"""Whole routes as columns: enumerated, priced by the evaluator, merged and thinned out.

Streams with the same network, origin and rules have the same routes, which are priced once for
all of them: what a request takes does not depend on how often requests come. Two reductions keep
the optimum: streams that are equal but for their names are counted together, and a route that is
nowhere better than another of its stream is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from edgeplan.model.evaluate import RoutePrice, route_price
from edgeplan.model.formulation.queueing import PART, SOLE, WHOLE, Columns, Group, Tail
from edgeplan.model.formulation.queueing.sets import Floats, Ints
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Route
from edgeplan.model.problem import Problem, Stream
from edgeplan.model.queueing import (
    Job,
    QueueKey,
    Visit,
    Wait,
    random_terms,
    route_cv2,
    visits,
    with_waits,
)
from edgeplan.solvers.route_costs import route_dollars, route_objective
from edgeplan.solvers.route_lists import enumerate_routes
from edgeplan.solvers.watch import Watch

MOST_COMPARED = 600
"""Routes of a stream among which dominated ones are looked for."""


@dataclass(frozen=True)
class _Kind:
    """The routes of streams with equal networks, origins and rules, priced for one of them.

    Parameters
    ----------
    devices, batch, prices
        Per route; its price is that of ``stream`` with all requests.
    visits
        Per route: its jobs in their order.
    objective
        Per route: price per request (the stream's share taken out), the filling of batches
        taken out.
    """

    stream: Stream
    devices: tuple[tuple[str, ...], ...]
    batch: Ints
    prices: tuple[RoutePrice, ...]
    visits: tuple[tuple[Visit, ...], ...]
    objective: Floats


def queue_keys(problem: Problem) -> tuple[QueueKey, ...]:
    """Return every queue: all devices, and the links that requests load."""
    devices: list[QueueKey] = [("device", device.name) for device in problem.devices]
    return (*devices, *(("link", link.name) for link in problem.links if problem.loads(link)))


def columns(problem: Problem, watch: Watch, *, reduce: bool = True) -> Columns:
    """Return all routes of all streams that can run and may be in time.

    Parameters
    ----------
    problem
        The problem whose limits are meant to the letter (see `with_tolerance`).
    watch
        Ends the work early by `EndedError`.
    reduce
        Whether equal streams are counted together and dominated routes left out.

    Returns
    -------
    Columns
        Groups without a column cannot be served.
    """
    groups = list(_groups(problem, merge=reduce))
    kinds: dict[Hashable, _Kind] = {}
    members: list[list[_Column]] = []
    for group in groups:
        stream = problem.stream[group.streams[0]]
        key = _kind_key(problem, stream)
        if key not in kinds:
            kind = _kind(problem, stream, watch)
            # Percentiles are no sums of what routes are compared by.
            tailed = any(
                other.tail_deadlines and _kind_key(problem, other) == key
                for other in problem.streams
            )
            kinds[key] = _undominated(problem, kind) if reduce and not tailed else kind
        members.append(list(_columns_of(problem, group, stream, kinds[key])))
    return _assemble(problem, tuple(groups), members)


def _groups(problem: Problem, *, merge: bool) -> Iterator[Group]:
    """Yield equal streams together; one that may be split, or keeps another's layers, alone."""
    found: dict[Hashable, list[str]] = {}
    for stream in problem.streams:
        key: Hashable = stream.name
        if merge and stream.route_limit == 1:
            key = _stream_key(problem, stream)
        found.setdefault(key, []).append(stream.name)
    for names in found.values():
        yield Group(tuple(names), problem.stream[names[0]].route_limit > 1)


def _stream_key(problem: Problem, stream: Stream) -> Hashable:
    """Return what a stream is but for its name."""
    values = (
        getattr(stream, field.name) for field in dataclasses.fields(stream) if field.name != "name"
    )
    return tuple(tuple(sorted(v.items())) if isinstance(v, dict) else v for v in values)


def _kind_key(problem: Problem, stream: Stream) -> Hashable:
    plain = dataclasses.replace(
        stream,
        rate_per_second=1.0,
        arrival_cv2=1.0,
        deadline_seconds=math.inf,
        tail_deadlines=(),
        splittable=False,
        max_routes=2,
        homes=dict(stream.homes),
    )
    return _stream_key(problem, plain)


def _kind(problem: Problem, stream: Stream, watch: Watch) -> _Kind:
    """Enumerate and price the routes of a stream."""
    network = problem.network[stream.network]
    zones = None if stream.privacy is None else set(stream.privacy.zones)
    tagged = problem.tagged(stream)
    homes = {stream.homes.get(t.name, stream.origin) for t in network.inputs if t.name in tagged}
    kept: list[tuple[tuple[str, ...], int, RoutePrice]] = []
    barred = zones is not None and any(problem.device[home].zone not in zones for home in homes)
    for devices in () if barred else enumerate_routes(problem, stream):
        watch.visit(1)
        if problem.contiguous and quotient_cycle(network, devices):
            continue
        for batch in problem.batch_sizes(stream):
            price = route_price(problem, stream, Route(devices=devices, batch=batch))
            if not math.isfinite(price.latency_seconds):
                continue
            if zones is not None and any(
                name in tagged and problem.device[transfer.target].zone not in zones
                for transfer in price.transfers
                for name in transfer.tensors
            ):
                continue
            kept.append((devices, batch, price))
    share = problem.share(stream)
    fill_price = _wait_price(problem, stream, kept[0][2])[0] if kept else 0.0
    return _Kind(
        stream=stream,
        devices=tuple(devices for devices, _, _ in kept),
        batch=np.array([batch for _, batch, _ in kept], dtype=np.int64),
        prices=tuple(price for _, _, price in kept),
        visits=tuple(tuple(visits(problem, price)) for _, _, price in kept),
        objective=np.array(
            [
                (route_objective(problem, stream, p) - fill_price * p.fill_seconds) / share
                for _, _, p in kept
            ]
        ),
    )


def _wait_price(problem: Problem, stream: Stream, price: RoutePrice) -> tuple[float, float, float]:
    """Return price, mean watts and dollars per second of one second of a stream's waiting.

    By the evaluator: the route's price with a wait of one second at its first visit, less that
    without.
    """
    if problem.waiting == "none" and price.batch == 1:
        # Nothing waits; a batch that fills does so by the same price.
        plain = problem.objective.value(1.0, 0.0, 0.0)
        origin = problem.device[stream.origin]
        if not (stream.waits and not origin.charge_idle and origin.idle_watts):
            return problem.share(stream) * plain, 0.0, 0.0
    seen = list(visits(problem, price))
    unit = {visit.queue: Wait(1.0, math.inf) for visit in seen}
    plain_stream = dataclasses.replace(stream, tail_deadlines=())
    waited = with_waits(problem, plain_stream, price, unit, split=False)
    count = len(seen)
    objective = route_objective(problem, stream, waited) - route_objective(problem, stream, price)
    joules = math.fsum(j for _, j in waited.device_joules) - math.fsum(
        j for _, j in price.device_joules
    )
    dollars = route_dollars(problem, waited) - route_dollars(problem, price)
    rate = stream.rate_per_second
    return objective / count, rate * max(joules, 0.0) / count, rate * max(dollars, 0.0) / count


def _undominated(problem: Problem, kind: _Kind) -> _Kind:
    """Leave out routes that another is nowhere worse than.

    The other asks no more of any queue, visit by visit and in the moments of its jobs, costs no
    more, is no later, draws no more at any device, and keeps no layer elsewhere where memory is
    limited.
    """
    count = len(kind.devices)
    if not 1 < count <= MOST_COMPARED:
        return kind
    keys = sorted({visit.queue for found in kind.visits for visit in found})
    position = {key: index for index, key in enumerate(keys)}
    table = np.zeros((count, 4, len(keys)))
    rest = np.zeros((count, 4 + 2 * len(problem.devices)))
    device = {d.name: index for index, d in enumerate(problem.devices)}
    for row, (found, price) in enumerate(zip(kind.visits, kind.prices, strict=True)):
        for visit in found:
            at = position[visit.queue]
            scaled = np.array([1.0, visit.seconds, visit.seconds**2, visit.seconds**2 * visit.cv2])
            table[row, :, at] += scaled / np.array([1.0, price.batch, price.batch, price.batch])
        rest[row, 0] = kind.objective[row]
        rest[row, 1] = price.latency_seconds
        rest[row, 2] = route_dollars(problem, price)
        rest[row, 3] = price.batch
        for name, joules in price.device_joules:
            rest[row, 4 + 2 * device[name]] = joules
        for name, seconds in price.occupied_seconds:
            rest[row, 5 + 2 * device[name]] = seconds
    full = table.reshape(count, -1)
    used = (full > 0).any(axis=0)
    full = np.hstack([full[:, used], rest])
    placed = np.array([[device[name] for name in devices] for devices in kind.devices])
    limited = np.array([math.isfinite(d.memory_bytes) for d in problem.devices])
    alive = np.ones(count, dtype=bool)
    order = np.argsort(rest[:, 0], kind="stable")
    for row in order[::-1]:
        # The cheaper ones that are nowhere worse.
        others = np.flatnonzero(alive & (rest[:, 0] <= rest[row, 0]))
        better = others[(full[others] <= full[row]).all(axis=1)]
        for other in better:
            # Batches differ in moments that depend on how requests come: not compared.
            if other == row or kind.batch[other] != kind.batch[row]:
                continue
            same = (placed[other] == placed[row]) | ~limited[placed[other]]
            if same.all() and (not (full[other] == full[row]).all() or other < row):
                alive[row] = False
                break
    keep = np.flatnonzero(alive)
    return dataclasses.replace(
        kind,
        devices=tuple(kind.devices[i] for i in keep),
        batch=kind.batch[keep],
        prices=tuple(kind.prices[i] for i in keep),
        visits=tuple(kind.visits[i] for i in keep),
        objective=kind.objective[keep],
    )


@dataclass(frozen=True)
class _Column:
    kind: int
    route: int
    source: _Kind
    price: RoutePrice


def _columns_of(problem: Problem, group: Group, stream: Stream, kind: _Kind) -> Iterator[_Column]:
    """Yield the columns of a group: one per route, two where a lone route has lighter bursts."""
    sole = group.split and stream.arrival_cv2 < 1
    for index, price in enumerate(kind.prices):
        if price.batch > stream.max_batch:
            continue
        fill = (price.batch - 1) / (2 * stream.rate_per_second)
        own = dataclasses.replace(
            price,
            latency_seconds=price.latency_seconds - price.fill_seconds + fill,
            fill_seconds=fill,
        )
        if group.split:
            yield _Column(PART, index, kind, own)
        # The only route of a stream that is too slow without any waiting is too slow. (A mean
        # over several may well make up for a slow one.)
        in_time = own.latency_seconds <= stream.deadline_seconds * (1 + 1e-9)
        if in_time and (sole or not group.split):
            yield _Column(SOLE if group.split else WHOLE, index, kind, own)


def _assemble(problem: Problem, groups: tuple[Group, ...], members: list[list[_Column]]) -> Columns:
    queues = queue_keys(problem)
    position = {key: index for index, key in enumerate(queues)}
    device = {d.name: index for index, d in enumerate(problem.devices)}
    decays = any(stream.tail_deadlines for stream in problem.streams)
    every = [column for found in members for column in found]
    group = np.repeat(np.arange(len(groups)), [len(found) for found in members])
    size = len(every)
    objective, latency, fill, dollars = np.zeros((4, size))
    watts = np.zeros((size, len(problem.devices)))
    wait_price, wait_watts, wait_dollars = np.zeros((3, len(groups)))
    for g, found in enumerate(members):
        if found:
            stream = problem.stream[groups[g].streams[0]]
            wait_price[g], wait_watts[g], wait_dollars[g] = _wait_price(
                problem, stream, found[0].price
            )
    incidences: list[tuple[int, int, float, float, float, tuple[Job, ...]]] = []
    tails: list[Tail] = []
    for index, column in enumerate(every):
        g = int(group[index])
        stream, price = problem.stream[groups[g].streams[0]], column.price
        rate = stream.rate_per_second
        part = column.kind == PART
        own_fill = price.fill_seconds
        fill[index] = own_fill
        latency[index] = price.latency_seconds - (own_fill if part else 0.0)
        objective[index] = problem.share(stream) * column.source.objective[column.route]
        if not part:
            objective[index] += wait_price[g] * own_fill
        # The kind's joules and dollars hold the filling of its own stream's batches.
        kind_price = column.source.prices[column.route]
        refill = (own_fill if not part else 0.0) - kind_price.fill_seconds
        for name, joules in kind_price.device_joules:
            watts[index, device[name]] = rate * joules
        watts[index, device[stream.origin]] += wait_watts[g] * refill
        dollars[index] = rate * route_dollars(problem, kind_price) + wait_dollars[g] * refill
        bursts = route_cv2(stream, split=part) / price.batch
        by_queue: dict[int, list[Job]] = {}
        for visit in column.source.visits[column.route]:
            job = Job(rate / price.batch, visit.seconds, visit.cv2, bursts)
            by_queue.setdefault(position[visit.queue], []).append(job)
        if problem.waiting == "none":
            for name, seconds in price.occupied_seconds:
                if seconds > 0:
                    job = Job(rate, seconds, 0.0)
                    by_queue.setdefault(position["device", name], []).append(job)
        for q, jobs in by_queue.items():
            incidences.append(
                (
                    index,
                    q,
                    float(len(jobs)),
                    math.fsum(job.per_second * job.seconds for job in jobs),
                    math.fsum(job.per_second * job.second_moment for job in jobs),
                    tuple(jobs) if decays else (),
                )
            )
        tails.extend(
            _tail(stream, column, index, deadline.probability, deadline.seconds)
            for deadline in stream.tail_deadlines
        )
    return Columns(
        groups=groups,
        group=group.astype(np.int64),
        kind=np.array([column.kind for column in every], dtype=np.int64),
        batch=np.array([column.price.batch for column in every], dtype=np.int64),
        devices=tuple(column.source.devices[column.route] for column in every),
        objective=objective,
        latency=latency,
        fill=fill,
        wait_price=wait_price,
        wait_watts=wait_watts,
        wait_dollars=wait_dollars,
        watts=watts,
        dollars=dollars,
        column=np.array([i[0] for i in incidences], dtype=np.int64),
        queue=np.array([i[1] for i in incidences], dtype=np.int64),
        visits=np.array([i[2] for i in incidences], dtype=float),
        busy=np.array([i[3] for i in incidences], dtype=float),
        moment=np.array([i[4] for i in incidences], dtype=float),
        jobs=tuple(i[5] for i in incidences) if decays else (),
        queues=queues,
        tails=tuple(tails),
    )


def _tail(stream: Stream, column: _Column, index: int, probability: float, limit: float) -> Tail:
    """Return a deadline on a percentile of a route, as `queueing.percentile` adds it up."""
    price = column.price
    split = column.kind == PART
    terms = random_terms(stream, price, split=split)
    count = len(column.source.visits[column.route]) + len(terms)
    share = (1 - probability) / max(count, 1)
    fill = 0.0
    constant = price.latency_seconds - price.fill_seconds
    for number, term in enumerate(terms):
        if price.batch > 1 and number == len(terms) - 1:
            # The time for the batch to fill: it is inverse to the share of the requests.
            fill = term.exceeded_with(share)
        else:
            constant += term.exceeded_with(share) - term.charged
    return Tail(index, limit - constant, fill, math.log(1 / share), limit)
