"""A problem of queues, replicas and batches as one without: easier, and never harder to meet.

What has no plan in the relaxed problem has none as it stands, so that all that knows no queues
(special cases, the program of choices, the elastic program) may speak of it:

- nobody waits, neither in queues nor for a batch;
- each device has its largest number of replicas, at the price and the idle watts of the fewest;
- a request takes what it takes in the batch that takes least of it, layer by layer (span by
  span), and memory for one request;
- a deadline on a percentile holds for the mean without waits, where the percentile cannot be less.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterator, Sequence

from edgeplan.explain.without import with_copies
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Costs, LayerCosts, Network, SpanCosts
from edgeplan.model.plan import Plan
from edgeplan.model.price import times
from edgeplan.model.problem import Device, Problem, Stream
from edgeplan.model.queueing import CONSTANT, GammaTerm
from edgeplan.solvers.elastic import Key


def unloaded(problem: Problem, deadlines: Collection[Key] | None = None) -> Problem:
    """Return a relaxation of a problem in which nothing waits and nothing is chosen but routes.

    Parameters
    ----------
    problem
        The problem.
    deadlines
        Keys of those to keep; ``None`` for all.

    Returns
    -------
    Problem
        One without load features. Its plans, one request at a time, cost no more and load
        nothing more than the same routes do in the problem as it stands, with any numbers of
        replicas and batches that it allows.
    """
    if not problem.load_features:
        return problem
    return dataclasses.replace(
        problem,
        networks=tuple(_alone(problem, network) for network in problem.networks),
        devices=tuple(with_copies(device, device.replica_range[-1]) for device in problem.devices),
        streams=tuple(_unhurried(problem, stream, deadlines) for stream in problem.streams),
        waiting="none",
        name=f"{problem.name} without queues",
    )


def deadline_keys(problem: Problem, stream: Stream) -> tuple[Key, ...]:
    """Return the keys of the deadlines that the relaxed problem holds as one, on the mean."""
    found: list[Key] = []
    if math.isfinite(stream.deadline_seconds):
        found.append(("deadline", stream.name))
    for index, tail in enumerate(stream.tail_deadlines):
        if _above_mean(problem, stream, tail.probability):
            found.append(("tail deadline", stream.name, index))
    return tuple(found)


def _unhurried(problem: Problem, stream: Stream, kept: Collection[Key] | None) -> Stream:
    limits = [math.inf]
    for key in deadline_keys(problem, stream):
        if kept is None or key in kept:
            tail = key[0] == "tail deadline"
            limits.append(
                stream.tail_deadlines[int(key[2])].seconds if tail else stream.deadline_seconds
            )
    return dataclasses.replace(
        stream, deadline_seconds=min(limits), tail_deadlines=(), max_batch=1, arrival_cv2=1.0
    )


def _above_mean(problem: Problem, stream: Stream, probability: float) -> bool:
    """Whether a route's percentile is never below its mean without waits.

    It is the sum of its parts' quantiles, each further out than the percentile itself. That of a
    time which is nearly always short and now and then very long may lie below the mean.
    """
    spreads = {
        value
        for costs in problem.network[stream.network].costs.values()
        for job in (costs, *costs.batches.values())
        for value in _spreads(job)
        if value >= CONSTANT
    }
    return all(
        GammaTerm(1.0, spread, charged=1.0).exceeded_with(1 - probability) >= 1
        for spread in spreads
    )


def _spreads(costs: Costs) -> Iterator[float]:
    if isinstance(costs, LayerCosts):
        yield costs.cv2
    else:
        yield from (value for row in costs.cv2 for value in row)


def _alone(problem: Problem, network: Network) -> Network:
    """Return a network without batches, in which a request takes the least that it can take."""
    found = {
        name: _least(costs, problem.device.get(name), _sizes(problem, network, costs))
        for name, costs in network.costs.items()
        if costs.batches
    }
    return dataclasses.replace(network, costs={**network.costs, **found}) if found else network


def _sizes(problem: Problem, network: Network, costs: Costs) -> tuple[int, ...]:
    most = max((s.max_batch for s in problem.streams if s.network == network.name), default=1)
    return tuple(size for size in costs.batches if size <= most)


def _least(costs: Costs, device: Device | None, sizes: Sequence[int]) -> Costs:
    """Return the costs of one request that no batch of these sizes undercuts."""
    if isinstance(costs, SpanCosts):
        jobs = [(1, costs), *((size, costs.batches[size]) for size in sizes)]
        return dataclasses.replace(
            costs,
            seconds=_rows([(size, job.seconds) for size, job in jobs]),
            joules=_stated_rows(jobs, device, "joules"),
            dollars=_stated_rows(jobs, device, "dollars"),
            batches={},
        )
    every = [(1, costs), *((size, costs.batches[size]) for size in sizes)]
    return dataclasses.replace(
        costs,
        seconds=_row([(size, job.seconds) for size, job in every]),
        boundary_seconds=min(job.boundary_seconds / size for size, job in every),
        joules=_stated_row(every, device, "joules"),
        dollars=_stated_row(every, device, "dollars"),
        batches={},
    )


def _row(values: Sequence[tuple[int, Sequence[float]]]) -> tuple[float, ...]:
    """Return the least per request, entry by entry, of rows of whole jobs."""
    sizes = [size for size, _ in values]
    return tuple(
        min(value / size for size, value in zip(sizes, column, strict=True))
        for column in zip(*(row for _, row in values), strict=True)
    )


def _rows(
    values: Sequence[tuple[int, Sequence[Sequence[float]]]],
) -> tuple[tuple[float, ...], ...]:
    count = len(values[0][1])
    return tuple(_row([(size, table[i]) for size, table in values]) for i in range(count))


def _rate(device: Device | None, name: str) -> float:
    if device is None:
        return 0.0
    return device.compute_watts if name == "joules" else device.dollars_per_second


def _finite(value: float) -> float:
    """Return a number that a profile may state: what cannot run is told by its time."""
    return value if math.isfinite(value) else 0.0


def _stated_row(
    jobs: Sequence[tuple[int, LayerCosts]], device: Device | None, name: str
) -> tuple[float, ...] | None:
    """Return the least joules or dollars of each layer; ``None`` where no job states any."""
    if all(getattr(job, name) is None for _, job in jobs):
        return None
    rate = _rate(device, name)
    return _row(
        [
            (size, getattr(job, name) or [_finite(times(rate, s)) for s in job.seconds])
            for size, job in jobs
        ]
    )


def _stated_rows(
    jobs: Sequence[tuple[int, SpanCosts]], device: Device | None, name: str
) -> tuple[tuple[float, ...], ...] | None:
    if all(getattr(job, name) is None for _, job in jobs):
        return None
    rate = _rate(device, name)
    return _rows(
        [
            (
                size,
                getattr(job, name)
                or [[_finite(times(rate, s)) for s in row] for row in job.seconds],
            )
            for size, job in jobs
        ]
    )


def fitted(problem: Problem, plan: Plan) -> Plan:
    """Return a plan's routes with numbers of replicas that a problem allows and that suit it.

    Parameters
    ----------
    problem
        The problem, perhaps with other numbers of replicas than that for which the plan is.
    plan
        The plan.

    Returns
    -------
    Plan
        Of the numbers tried (the plan's own, the fewest that keep devices below their caps, the
        largest) those with which it breaks the fewest limits.
    """
    open_devices = [d for d in problem.devices if len(d.replica_range) > 1]
    if not open_devices:
        return dataclasses.replace(plan, replicas={}) if plan.replicas else plan
    own = {
        d.name: min(max(plan.replica_count(d), d.replicas), d.replica_range[-1])
        for d in open_devices
    }
    first = dataclasses.replace(plan, replicas=own)
    priced = evaluate(problem, first)
    if priced.feasible:
        return first
    load = {d.name: d.utilisation * d.replicas for d in priced.devices}
    sized = {
        d.name: min(max(_needed(load[d.name], d.utilisation_cap), d.replicas), d.replica_range[-1])
        for d in open_devices
    }
    most = {d.name: d.replica_range[-1] for d in open_devices}
    # With equally many broken, the numbers that the load asks for.
    tries = [dataclasses.replace(plan, replicas=counts) for counts in (sized, most)]
    return min((*tries, first), key=lambda tried: len(evaluate(problem, tried).violations))


def _needed(load: float, cap: float) -> int:
    """Return the fewest replicas that carry a load under a cap."""
    return math.ceil(load / cap * (1 - 1e-9)) if math.isfinite(load) else 1
