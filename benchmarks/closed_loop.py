"""Do confirmed plans keep their deadlines? ``python -m benchmarks.closed_loop``.

Random loaded problems with percentile deadlines are planned with ``plan_and_simulate``; then each
plan that it confirms is simulated again, by other requests and more of them. At the family-wise
level that the loop promises, at most one confirmed plan in twenty may break a deadline in truth;
the second simulation's own test of each deadline errs as often (one-sided, 95 %).

``--edge 1.03`` sets all deadlines 3 % above the best plan's prediction, and a mean deadline for
every stream, so that many are broken in the first simulation and the tests are close.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator

from edgeplan import planner
from edgeplan.closed_loop import Agreement, plan_and_simulate
from edgeplan.instances.generators import random_loaded_problem
from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.problem import Problem
from edgeplan.simulation import Simulation, simulate

OTHER_SEED = 1_000_003
"""Far from the seeds of the loop, which go up by a thousand per round."""


def problems(count: int, first: int) -> Iterator[tuple[int, Problem]]:
    """Yield random problems of which at least one stream has a percentile deadline."""
    seed = first
    while count:
        problem = random_loaded_problem(seed)
        if any(stream.tail_deadlines for stream in problem.streams):
            count -= 1
            yield seed, problem
        seed += 1


def checked(problem: Problem, simulation: Simulation) -> tuple[int, int]:
    """Return how many deadlines a simulation tested, and how many it surely broke."""
    tested = broken = 0
    for stream in simulation.streams:
        limit = problem.stream[stream.name].deadline_seconds
        if limit < float("inf"):
            tested += 1
            broken += stream.mean.above(limit * (1 + RELATIVE_TOLERANCE))
        for deadlines in zip(*(route.deadlines for route in stream.routes), strict=True):
            tested += 1
            broken += any(deadline.surely_missed() for deadline in deadlines)
    return tested, broken


def on_the_edge(problem: Problem, factor: float, time_limit: float) -> Problem:
    """Return a problem whose deadlines are what is predicted for its best plan, times a factor.

    Every stream has a mean deadline then. Where the prediction is too low, the plan breaks it.
    """
    found = planner.plan(problem, gap=1e-3, time_limit=time_limit)
    if found.evaluation is None:
        return problem
    streams = []
    for stream, price in zip(problem.streams, found.evaluation.streams, strict=True):
        tails = dict(price.tails)
        streams.append(
            dataclasses.replace(
                stream,
                deadline_seconds=price.latency_seconds * factor,
                tail_deadlines=tuple(
                    dataclasses.replace(tail, seconds=tails[tail.probability] * factor)
                    for tail in stream.tail_deadlines
                ),
            )
        )
    return dataclasses.replace(problem, streams=tuple(streams))


def ending(found: Agreement) -> str:
    """Return how the loop ended, in a word or two."""
    if found.agrees:
        return "confirmed"
    if not found.rounds:
        return f"no plan to simulate ({found.result.status})"
    return found.why.partition(":")[0]


def main(arguments: list[str] | None = None) -> None:
    """Print a row per problem and the share of deadlines that a second simulation breaks."""
    parser = argparse.ArgumentParser(description="do confirmed plans keep their deadlines?")
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--again", type=int, default=1_000_000, help="requests of the second one")
    parser.add_argument("--time-limit", type=float, default=5.0)
    parser.add_argument(
        "--edge", type=float, metavar="FACTOR", help="deadlines at the prediction times this"
    )
    options = parser.parse_args(arguments)
    endings: dict[str, int] = {}
    rounds: dict[int, int] = {}
    tested = broken = plans = 0
    print(f"{'seed':>5} {'rounds':>6} {'s':>6} {'deadlines':>9} {'broken again':>12}  ending")
    for seed, drawn in problems(options.problems, options.first):
        problem = drawn
        if options.edge is not None:
            problem = on_the_edge(drawn, options.edge, options.time_limit)
        began = time.perf_counter()
        found = plan_and_simulate(
            problem, requests=options.requests, time_limit=options.time_limit, gap=1e-3
        )
        how = ending(found)
        endings[how] = endings.get(how, 0) + 1
        count = missed = 0
        if found.agrees:
            assert found.result.plan is not None, seed
            rounds[len(found.rounds)] = rounds.get(len(found.rounds), 0) + 1
            again = simulate(problem, found.result.plan, requests=options.again, seed=OTHER_SEED)
            count, missed = checked(problem, again)
            tested, broken, plans = tested + count, broken + missed, plans + bool(missed)
        print(
            f"{seed:5} {len(found.rounds):6} {time.perf_counter() - began:6.1f} {count:9} "
            f"{missed:12}  {how}",
            flush=True,
        )
    confirmed = endings.get("confirmed", 0)
    print(f"endings: {endings}")
    print(f"rounds of the confirmed: {dict(sorted(rounds.items()))}")
    print(
        f"{broken} of {tested} deadlines of {plans} of {confirmed} confirmed plans are surely "
        "(95 %, each) missed in a second simulation"
    )


if __name__ == "__main__":
    main()
