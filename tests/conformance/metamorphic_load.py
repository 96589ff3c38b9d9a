"""What must happen to the optimum of a loaded problem when it changes.

True of the model, in which arrivals at every queue count as independent: there a faster link only
shortens waits. (A real queue behind a faster link sees burstier arrivals.) Prices per request are
fixed, but for devices that are on: they are shared by the requests, so that fewer requests cost
more each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from random import Random

from edgeplan.model.problem import Objective, Problem, Stream
from tests.conformance.metamorphic import PROPERTIES, Pair, each, with_deadlines


def _streams(problem: Problem, change: Callable[[Stream], Stream]) -> Problem:
    return dataclasses.replace(problem, streams=tuple(map(change, problem.streams)))


def without_waiting(problem: Problem) -> Problem:
    """The problem in which nobody waits in queues."""
    calm = _streams(problem, lambda stream: dataclasses.replace(stream, tail_deadlines=()))
    return dataclasses.replace(calm, waiting="none")


def nobody_waits(problem: Problem, draw: Random) -> Pair:
    """Waiting only adds."""
    return Pair(problem, without_waiting(problem), "at most")


def more_replicas(problem: Problem, draw: Random) -> Pair:
    """A larger range of replicas, at either end."""
    devices = tuple(
        dataclasses.replace(
            device,
            replicas=draw.randint(1, device.replicas),
            max_replicas=device.replica_range[-1] + draw.randint(0, 2),
        )
        for device in problem.devices
    )
    return Pair(problem, dataclasses.replace(problem, devices=devices), "at most")


def one_queue(problem: Problem, draw: Random) -> Pair:
    """All replicas of a device fed from one queue."""
    devices = tuple(dataclasses.replace(d, dispatch="shared") for d in problem.devices)
    return Pair(problem, dataclasses.replace(problem, devices=devices), "at most")


def steadier(problem: Problem, draw: Random) -> Pair:
    """Less bursty arrivals and steadier service."""
    calm = _streams(problem, lambda stream: each(stream, arrival_cv2=0.5))
    return Pair(problem, calm, "at most")


def free_links(problem: Problem, draw: Random) -> Pair:
    """Links without contention delay, but nobody waits for them."""
    links = tuple(
        dataclasses.replace(link, contention=draw.choice([link.contention, "none"]))
        for link in problem.links
    )
    return Pair(problem, dataclasses.replace(problem, links=links), "at most")


def fewer_requests(problem: Problem, draw: Random) -> Pair:
    """Of single requests the least mean latency falls with their rates."""
    factor = draw.choice([0.1, 0.5, 0.9])
    single = _streams(problem, lambda stream: dataclasses.replace(stream, max_batch=1))
    quick = dataclasses.replace(single, objective=Objective(aggregate=single.objective.aggregate))
    return Pair(quick, _streams(quick, lambda s: each(s, rate_per_second=factor)), "at most")


def hardly_any(problem: Problem, draw: Random) -> Pair:
    """As rates go to 0 waits do, and the optimum to that without waiting."""
    rare = _streams(problem, lambda stream: each(stream, rate_per_second=1e-9))
    # A percentile does not go to the mean: service times still vary.
    rare = _streams(rare, lambda stream: dataclasses.replace(stream, tail_deadlines=()))
    return Pair(rare, without_waiting(rare), "same")


def merged_streams(problem: Problem, draw: Random) -> Pair:
    """Two equal whole streams may go apart, one of twice the rate may not.

    Batches of the one would fill faster, and in a total two streams count twice.
    """
    chosen = dataclasses.replace(draw.choice(problem.streams), max_batch=1)
    others = tuple(stream for stream in problem.streams if stream.name != chosen.name)
    mean = dataclasses.replace(problem.objective, aggregate="mean")
    one = dataclasses.replace(problem, streams=(*others, chosen), objective=mean)
    half = each(chosen, rate_per_second=0.5)
    two = dataclasses.replace(
        one, streams=(*others, half, dataclasses.replace(half, name="other half"))
    )
    return Pair(one, two, "at most")


def tighter(problem: Problem, draw: Random) -> Pair:
    """Shorter deadlines."""
    return Pair(problem, _streams(problem, lambda s: with_deadlines(s, 0.9)), "at least")


LOAD_PROPERTIES: Mapping[str, Callable[[Problem, Random], Pair]] = {
    **PROPERTIES,
    "without waiting the optimum is never higher": nobody_waits,
    "a larger range of replicas never raises the optimum": more_replicas,
    "one queue for all replicas never raises the optimum": one_queue,
    "steadier arrivals never raise the optimum": steadier,
    "links without queues never raise the optimum": free_links,
    "fewer requests never raise the least latency": fewer_requests,
    "without load the optimum is the unloaded one": hardly_any,
    "two halves of a stream are never dearer than the whole": merged_streams,
    "shorter deadlines never lower the optimum": tighter,
}
"""By what it says: those of every problem, and those of loaded ones."""
