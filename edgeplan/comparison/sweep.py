"""Plans side by side over a range of loads."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

from edgeplan.comparison.compare import compare
from edgeplan.comparison.report import Comparison
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import whole
from edgeplan.model.problem import Problem

_INSTEAD = "sweep the rates instead: rate=0.5:2"


def at_rate(problem: Problem, factor: float) -> Problem:
    """Return the problem with all rates multiplied.

    Parameters
    ----------
    problem
        As it stands.
    factor
        Positive.
    """
    streams = tuple(
        dataclasses.replace(stream, rate_per_second=stream.rate_per_second * factor)
        for stream in problem.streams
    )
    return dataclasses.replace(problem, streams=streams)


def origin_load(problem: Problem) -> float:
    """Return the mean busy share of the streams' origins, if each served what arises there.

    Origins count once each, with the fewest replicas that they may have.

    Raises
    ------
    InputError
        If an origin cannot run a network, or no time is spent there.
    """
    origins = {stream.name: stream.origin for stream in problem.streams}
    evaluation = evaluate(problem, whole(problem, origins))
    for violation in evaluation.violations:
        if violation.kind == "cannot run":
            raise InputError.at(violation.place, f"{violation.message}; {_INSTEAD}")
    shares = [load.utilisation for load in evaluation.devices if load.name in origins.values()]
    mean = math.fsum(shares) / len(shares)
    if not 0 < mean < math.inf:
        raise InputError.at("streams", f"spend no time at their origins; {_INSTEAD}")
    return mean


def sweep(
    problem: Problem,
    loads: Sequence[float],
    *,
    by: str = "rho",
    **options: Any,
) -> Iterator[tuple[float, Comparison]]:
    """Compare the plans at several loads, all rates in proportion.

    Parameters
    ----------
    problem
        At any load.
    loads
        To go through.
    by
        ``rho``: a load is the mean busy share of the origins (`origin_load`). ``rate``: it is
        what the rates are multiplied with.
    options
        Of `compare`.

    Yields
    ------
    tuple
        The load and the plans there. A load at which the work was stopped is left out.

    Raises
    ------
    InputError
        As `origin_load` and `compare` do.
    """
    base = origin_load(problem) if by == "rho" else 1.0
    for load in loads:
        found = compare(at_rate(problem, load / base), **options)
        if found.interrupted:
            return
        yield load, found
