"""When requests arrive and which route each takes, drawn before any of them is sent."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem, Stream

_DRAWN_AT_ONCE = 1024


@dataclass(frozen=True, order=True)
class Arrival:
    """One request.

    Parameters
    ----------
    seconds
        When it arrives, counted from the beginning.
    stream, route
        Positions of its stream in the problem and of its route in the stream's routes.
    """

    seconds: float
    stream: int
    route: int


def at_rate(problem: Problem, rate_per_second: float | None) -> Problem:
    """Return the problem with its streams' rates scaled in proportion to a total.

    Parameters
    ----------
    problem
        The problem.
    rate_per_second
        Requests per second of all streams together; ``None`` keeps the instance's.

    Raises
    ------
    InputError
        If the problem is not valid at that rate.
    """
    if rate_per_second is None:
        return problem
    factor = rate_per_second / problem.total_rate
    return dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(stream, rate_per_second=stream.rate_per_second * factor)
            for stream in problem.streams
        ),
    )


def arrivals(problem: Problem, plan: Plan, seed: int) -> Iterator[Arrival]:
    """Yield the requests of all streams in the order in which they arrive, without end.

    Each stream's gaps are independent draws with mean 1 / rate: exponential where its
    ``arrival_cv2`` is 1 (Poisson), else gamma with that squared coefficient of variation;
    constant, with the first at a uniform time, where it is 0. Routes are picked by independent
    coin flips with the plan's fractions.

    Parameters
    ----------
    problem, plan
        Streams with their rates, and their routes.
    seed
        Of all draws. Each stream has a generator of its own, so its requests do not depend on
        which other streams there are behind it.
    """
    seeds = np.random.SeedSequence(seed).spawn(len(problem.streams))
    return heapq.merge(
        *(
            _of_stream(index, stream, plan, np.random.default_rng(item))
            for index, (stream, item) in enumerate(zip(problem.streams, seeds, strict=True))
        )
    )


def arrival_cv2(stream: Stream) -> float:
    """Return the squared coefficient of variation of the time between a stream's requests."""
    return float(getattr(stream, "arrival_cv2", 1.0))


def _of_stream(
    index: int, stream: Stream, plan: Plan, random: np.random.Generator
) -> Iterator[Arrival]:
    mean, cv2 = 1 / stream.rate_per_second, arrival_cv2(stream)
    shares = np.array([route.fraction for route in plan.routes[stream.name]])
    bounds = np.cumsum(shares / math.fsum(shares))[:-1]
    at = 0.0 if cv2 else float(random.uniform(-mean, 0))
    while True:
        gaps = (
            random.gamma(1 / cv2, cv2 * mean, _DRAWN_AT_ONCE)
            if cv2
            else np.full(_DRAWN_AT_ONCE, mean)
        )
        picked = np.searchsorted(bounds, random.random(_DRAWN_AT_ONCE), side="right")
        for gap, route in zip(gaps.tolist(), picked.tolist(), strict=True):
            at += gap
            yield Arrival(at, index, route)
