"""Fleets under load: the gap between a plan's price and the bound, and the time it takes.

Each row asserts what must hold whatever the machine: the plan is feasible, its price is the
evaluator's, the bound is not above it, and an answer called optimal has closed the gap.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics

from edgeplan.instances.generators.fleet import loaded_fleet
from edgeplan.model.evaluate import evaluate
from edgeplan.model.problem import Problem
from edgeplan.solvers.queueing.solver import Queueing
from edgeplan.solvers.result import Stop

HEAD = f"{'seed':>4} {'streams':>7} {'devices':>7} {'price':>10} {'gap %':>8} {'s':>6}  stopped"


def uncut(problem: Problem) -> Problem:
    """Return the problem with every stream on one device as a whole."""
    return dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(
                stream,
                together=(tuple(layer.name for layer in problem.network[stream.network].layers),),
            )
            for stream in problem.streams
        ),
    )


def row(seed: int, options: argparse.Namespace) -> tuple[float, float]:
    """Solve one fleet, print its row, return its gap and seconds."""
    problem = loaded_fleet(seed, deadlines=options.deadlines)
    if options.uncut:
        problem = uncut(problem)
    solver = Queueing(gap=options.gap, time_limit=options.time_limit, threads=options.threads)
    result = solver.solve(problem)
    gap = float("inf")
    if result.plan is not None:
        price = evaluate(problem, result.plan)
        assert price.feasible, seed
        assert price.objective == result.claimed_objective, seed
        if result.bound is not None:
            assert result.bound <= price.objective, seed
            gap = 1 - result.bound / price.objective
        assert result.stop is not Stop.COMPLETED or gap <= options.gap, seed
    print(
        f"{seed:4} {len(problem.streams):7} {len(problem.devices):7} "
        f"{result.claimed_objective or float('nan'):10.6f} {100 * gap:8.3f} "
        f"{result.seconds:6.1f}  {result.stop.value}",
        flush=True,
    )
    return gap, result.seconds


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="plan fleets of whole streams under load")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--gap", type=float, default=1e-3)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--uncut", action="store_true", help="each stream on one device")
    parser.add_argument("--deadlines", action="store_true", help="some streams have deadlines")
    options = parser.parse_args(arguments)
    print(HEAD)
    found = [row(seed, options) for seed in range(options.first, options.first + options.seeds)]
    gaps, seconds = zip(*found, strict=True)
    closed = sum(gap <= options.gap for gap in gaps)
    print(
        f"{closed} of {len(gaps)} within {100 * options.gap:g} %; gap median "
        f"{100 * statistics.median(gaps):.3f} %, worst {100 * max(gaps):.3f} %; seconds median "
        f"{statistics.median(seconds):.1f}, worst {max(seconds):.1f}"
    )


if __name__ == "__main__":
    main()
