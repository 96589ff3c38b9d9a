"""Solve time of HiGHS beside plain enumeration, on problems where both know the answer."""

from __future__ import annotations

import math
import time

from edgeplan.instances.generators import random_problem
from edgeplan.model.problem import Problem
from edgeplan.solvers import registry
from edgeplan.solvers.result import SolverResult


def _timed(name: str, problem: Problem) -> tuple[float, SolverResult]:
    solver = registry.get(name)
    began = time.perf_counter()
    result = solver.solve(problem)
    return time.perf_counter() - began, result


def main(seeds: int = 12) -> None:
    """Assert that both agree, and print the ratio of their times."""
    ratios = []
    for seed in range(seeds):
        problem = random_problem(seed, kind="dag", layers=5, devices=3, streams=2, tight=False)
        slow, enumerated = _timed("enumerate", problem)
        fast, solved = _timed("highs", problem)
        assert enumerated.infeasible == solved.infeasible, f"seed {seed}"
        if not solved.infeasible:
            a, b = enumerated.claimed_objective, solved.claimed_objective
            assert a is not None
            assert b is not None
            assert math.isclose(a, b, rel_tol=1e-6), f"seed {seed}: {a} and {b}"
        ratios.append(fast / slow)
    ratios.sort()
    print(
        f"highs / enumerate over {seeds} random DAG problems (5 layers, 3 devices, 2 streams), all "
        f"answers equal: median {ratios[len(ratios) // 2]:.2f}, range {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}"
    )


if __name__ == "__main__":
    main()
