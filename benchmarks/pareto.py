"""Exact fronts beside the published ones: ``python -m benchmarks.pareto [options]``.

For each published assignment problem with three objectives: whether the front is the published
set, point for point, seconds and programs per point. Then the range test: the same with costs
times 1e5 (up to 2e6), and times 1.237 (floats of three decimals). A set that differs fails.

With ``--peer PYTHON``, the path of a Python ≥ 3.12 that has ``pyaugmecon[highs]`` 2, the peer runs
with one worker, in turns with edgeplan (``--repeats``), each run in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "morepo-ap"
OBJECTIVES = ("latency", "energy", "cost")
FILES = {
    "AP_p-3_n-5_ins-1": 21,
    "AP_p-3_n-5_ins-2": 13,
    "GAP_3x10": 42,
    "AP_p-3_n-10_ins-1": 161,
    "AP_p-3_n-15_ins-1": 878,
}
RANGES = (1e5, 1.237)
RANGE_FILES = ("AP_p-3_n-5_ins-1", "AP_p-3_n-5_ins-2", "AP_p-3_n-10_ins-1")
MATCH = 1e-9
"""Two values are the same where they differ by no more than this share."""
HEAD = (
    f"{'file':18} {'costs ×':>8} {'by':12} {'points':>7} {'missing':>8} {'extra':>6} "
    f"{'programs/point':>15} {'ms/point':>9} {'seconds':>8}"
)


@dataclass(frozen=True)
class Run:
    """One front: its points, wall seconds, programs solved; ``failure`` where it has none."""

    points: list[list[float]]
    seconds: float
    mips: int
    failure: str = ""


def ours(file: str, factor: float, solver: str) -> Run:
    """Find a front here, in a process of its own; importing is not in its seconds."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_front, (file, factor, solver))


def _front(file: str, factor: float, solver: str) -> Run:
    import moocore  # noqa: F401 - loaded before the clock starts, as the peer's modules are

    from edgeplan.instances.importers.assignment import import_assignment
    from edgeplan.pareto.engine import pareto

    tree = json.loads((DATA / f"{file}.json").read_text())
    if "costs" in tree:
        tree["costs"] = [[[factor * c for c in row] for row in t] for t in tree["costs"]]
    problem = import_assignment(tree, file).problem
    began = time.perf_counter()
    front = pareto(problem, OBJECTIVES, solver=solver)
    seconds = time.perf_counter() - began
    failure = "" if front.exact else f"not exact: {front.message}"
    return Run([list(values) for values in front.values], seconds, front.mips, failure)


def peer(python: str, file: str, factor: float, time_limit: float) -> Run:
    """Find a front with the peer, in its own Python."""
    script = Path(__file__).with_name("pareto_peer.py")
    command = [python, str(script), str(DATA / f"{file}.json"), repr(factor)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=time_limit, check=False
        )
    except subprocess.TimeoutExpired:
        return Run([], time_limit, 0, f"not done after {time_limit:g} s")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return Run([], 0.0, 0, f"failed: {lines[-1][:100] if lines else done.returncode}")
    return Run(**json.loads(done.stdout.strip().splitlines()[-1]))


def published(file: str, factor: float) -> list[list[float]]:
    """Return the published points as costs."""
    tree = json.loads((DATA / f"{file}.json").read_text())
    if "profit" in tree:
        return [[10.0 * tree["n"] - value for value in y] for y in tree["nondominated"]]
    return [[factor * value for value in y] for y in tree["nondominated"]]


def differences(found: list[list[float]], expected: list[list[float]]) -> tuple[int, int]:
    """Return how many points are missing and how many are too many."""

    def same(x: list[float], y: list[float]) -> bool:
        return all(abs(a - b) <= MATCH * max(abs(a), abs(b)) for a, b in zip(x, y, strict=True))

    missing = sum(not any(same(x, y) for x in found) for y in expected)
    extra = sum(not any(same(x, y) for y in expected) for x in found)
    return missing, extra


def rows(
    file: str, factor: float, solvers: list[str], python: str | None, repeats: int, limit: float
) -> None:
    """Print a row for each solver of one problem; fail where a front of ours is not the known."""
    runs: dict[str, list[Run]] = {}
    for _ in range(repeats):
        for solver in solvers:
            runs.setdefault(solver, []).append(ours(file, factor, solver))
        if python is not None:
            runs.setdefault("pyaugmecon", []).append(peer(python, file, factor, limit))
    expected = published(file, factor)
    for by, found in runs.items():
        last = found[-1]
        if last.failure and by == "pyaugmecon":
            print(f"{file:18} {factor:>8g} {by:12} {last.failure}", flush=True)
            continue
        seconds = statistics.median(run.seconds for run in found)
        missing, extra = differences(last.points, expected)
        count = len(last.points)
        print(
            f"{file:18} {factor:>8g} {by:12} {count:>7} {missing:>8} {extra:>6} "
            f"{last.mips / count:>15.2f} {1e3 * seconds / count:>9.2f} {seconds:>8.2f}",
            flush=True,
        )
        if by != "pyaugmecon":
            assert not last.failure, last.failure
            assert (missing, extra, count) == (0, 0, len(expected)), f"{file} by {by}"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", metavar="PYTHON", help="a Python with pyaugmecon[highs] 2")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--solvers", default="auto,highs", help="of boxes, separated by commas")
    parser.add_argument("--files", default=",".join(FILES), help="separated by commas")
    parser.add_argument("--peer-limit", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--no-ranges", action="store_true", help="leave the range test out")
    asked = parser.parse_args()
    solvers, files = asked.solvers.split(","), asked.files.split(",")
    for file in files:
        assert len(published(file, 1.0)) == FILES[file]
    print(HEAD)
    for file in files:
        rows(file, 1.0, solvers, asked.peer, asked.repeats, asked.peer_limit)
    if not asked.no_ranges:
        print("\nrange test")
        for factor in RANGES:
            for file in RANGE_FILES:
                if file in files:
                    rows(file, factor, solvers, asked.peer, asked.repeats, asked.peer_limit)
    if asked.peer is None:
        print("\nthe peer was not run: no --peer PYTHON")


if __name__ == "__main__":
    main()
