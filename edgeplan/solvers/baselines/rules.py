"""Baselines in which each stream is served by itself, whatever the others do."""

from __future__ import annotations

from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.baselines.baseline import Baseline, nothing, priced
from edgeplan.solvers.baselines.candidates import Candidate, single_cuts
from edgeplan.solvers.baselines.greedy import greedy
from edgeplan.solvers.baselines.replicas import with_best_replicas


def baselines(problem: Problem) -> tuple[Baseline, ...]:
    """Return every baseline that a planning begins from, priced.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    tuple of Baseline
        ``all-at-origin``; ``cloud:<device>`` for each device of the tier ``cloud``;
        ``best-cut``; ``greedy``. Where the plan chooses numbers of replicas, each has those that
        suit its routes.
    """
    return (
        all_at_origin(problem),
        *all_on_one_cloud(problem),
        best_cut(problem),
        greedy(problem),
    )


def all_at_origin(problem: Problem) -> Baseline:
    """Run each stream whole where its requests arise."""
    origins = {stream.name: stream.origin for stream in problem.streams}
    plan = with_best_replicas(problem, whole(problem, origins))
    return priced("all-at-origin", problem, plan)


def all_on_one_cloud(problem: Problem) -> tuple[Baseline, ...]:
    """Run all streams whole on the same cloud device, for each device of that tier."""
    found = []
    for device in problem.devices:
        if device.tier == "cloud":
            there = whole(problem, {stream.name: device.name for stream in problem.streams})
            plan = with_best_replicas(problem, there)
            found.append(priced(f"cloud:{device.name}", problem, plan))
    return tuple(found)


def best_cut(problem: Problem) -> Baseline:
    """Cut each stream once where that is best for the stream alone (Neurosurgeon's rule).

    The first part runs at the origin and the rest on one other device; both extremes (no cut)
    count. Best is the least that the stream adds to the objective, without waiting, among the
    routes that can run under the stream's own rules and, where there are any, that meet its
    deadline. Streams do not see each other, so that the whole may break limits. Of the cuts of
    very many layers an even sample is taken.

    References
    ----------
    Kang et al., "Neurosurgeon: collaborative intelligence between the cloud and mobile edge",
    ASPLOS 2017: the partition point with the best latency or energy is chosen per network.
    """
    routes = {}
    for stream in problem.streams:
        cut = best_single_cut(problem, stream)
        if cut is None:
            return nothing("best-cut", stream, "no single cut")
        routes[stream.name] = (Route(devices=cut.devices),)
    return priced("best-cut", problem, with_best_replicas(problem, Plan(routes=routes)))


def best_single_cut(problem: Problem, stream: Stream) -> Candidate | None:
    """Return the single cut that is best for a stream alone; ``None`` where none can run."""
    return min(
        single_cuts(problem, stream),
        key=lambda cut: (cut.latency > stream.deadline_seconds, cut.alone(problem)),
        default=None,
    )
