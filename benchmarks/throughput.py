"""The published throughput graphs: ``python -m benchmarks.throughput [FOLDER] [options]``.

For every dnn-partitioning file, contiguous and not: the best period found, its bound, on what the
bound stands, which solver was picked and how long the whole plan took, beside the optimum that is
known (the README of the data folder). A known optimum that is not reproduced to 1e-6 fails.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

from edgeplan import planner
from edgeplan.instances.importers import import_file
from edgeplan.result import Result

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "dnn-partitioning" / "throughput"
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Case:
    """A file with its known optima in milliseconds (None: unknown)."""

    file: str
    contiguous: float | None
    free: float | None


CASES = (
    Case("operator_bert_l-3_inference.json", 27.918568, 21.908376),
    Case("operator_resnet50_inference.json", 124.348850, None),
    Case("layer_bert24_inference.json", 17.789906, 17.714719),
    Case("layer_resnet50_inference.json", 33.774666, None),
)
HEAD = (
    f"{'file':34} {'contiguous':10} {'objective ms':>13} {'bound ms':>13} {'gap':>9} "
    f"{'known ms':>11} {'status':9} {'basis':11} {'solver':18} {'seconds':>8}"
)


def row(case: Case, *, contiguous: bool, solver: str, time_limit: float, threads: int) -> str:
    """Plan one file; return its row of the table."""
    problem = import_file("dnn-partitioning", DATA / case.file).problem
    began = time.perf_counter()
    result = planner.plan(
        problem.asked("throughput", contiguous=contiguous),
        solver=solver,
        time_limit=time_limit,
        threads=threads,
    )
    seconds = time.perf_counter() - began
    known = case.contiguous if contiguous else case.free
    check(case.file, result, known)
    return (
        f"{case.file:34} {'yes' if contiguous else 'no':10} {_ms(result.objective):>13} "
        f"{_ms(result.bound):>13} {_gap(result.gap):>9} "
        f"{'unknown' if known is None else f'{known:.6f}':>11} {result.status:9} "
        f"{result.certificate.basis if result.certificate else '–':11} "
        f"{result.solver:18} {seconds:8.2f}"
    )


def check(file: str, result: Result, known: float | None) -> None:
    """Fail where a known optimum is contradicted, or not reproduced by an optimal answer."""
    if known is None or result.objective is None:
        return
    # The known values are printed with six decimals.
    slack = TOLERANCE * known + 5e-7
    assert result.objective * 1e3 >= known - slack, f"{file}: better than the known optimum"
    if result.bound is not None:
        assert result.bound * 1e3 <= known + slack, f"{file}: the bound is above the optimum"
    if result.status == "optimal":
        assert math.isclose(result.objective * 1e3, known, rel_tol=0, abs_tol=slack), file


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value * 1e3:.6f}"


def _gap(value: float | None) -> str:
    return "–" if value is None else f"{value:.1e}"


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="plan the published throughput graphs")
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("contiguous", "free"), help="one half of the table")
    options = parser.parse_args(arguments)
    if not DATA.is_dir():
        print("the shared data folder is not beside the project: nothing to do")
        return
    print(HEAD)
    for contiguous in (True, False):
        if options.only == ("free" if contiguous else "contiguous"):
            continue
        for case in CASES:
            print(
                row(
                    case,
                    contiguous=contiguous,
                    solver=options.solver,
                    time_limit=options.time_limit,
                    threads=options.threads,
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
