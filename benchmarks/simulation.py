"""Simulated, predicted and textbook queues, and how fast: ``python -m benchmarks.simulation``.

1. Means of plans whose waits are known exactly: the simulation, the textbook and the evaluator
   must agree within 2 % below ρ = 0.9 and 5 % from there (asserted).
2. Where the evaluator approximates: its error, printed.
3. Percentiles: a prediction labelled ``safe`` must not be below the simulation (asserted).
4. Requests per second of simpy, of events in a heap and of arrays; a million requests over three
   stages in a process of its own, with time and peak memory.

``--quick`` takes fewer requests and wider tolerances, for the tests.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from unittest import mock

from benchmarks.queue_cases import (
    Case,
    batches,
    bursts,
    exact_cases,
    revisit,
    shared,
    system_of,
    tail_cases,
    tandem,
)
from benchmarks.simpy_engine import run_recorded, simpy_latencies
from edgeplan.model.evaluate import evaluate
from edgeplan.simulation import simulate
from edgeplan.simulation.engine import run
from edgeplan.simulation.system import System

LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
SEED = 2


@dataclass(frozen=True)
class Size:
    """How much is simulated, and how much a mean may be off.

    Parameters
    ----------
    light, heavy
        Requests below ρ = 0.9 and from there.
    below, above
        Tolerance below ρ = 0.9 and from there.
    """

    light: int
    heavy: int
    below: float
    above: float

    def requests(self, rho: float) -> int:
        return self.light if rho < 0.9 else self.heavy

    def tolerance(self, rho: float) -> float:
        return self.below if rho < 0.9 else self.above


FULL = Size(10_000_000, 40_000_000, 0.02, 0.05)
QUICK = Size(200_000, 400_000, 0.10, 0.30)


def means(size: Size) -> None:
    """Print simulated, textbook and predicted means; assert that they agree."""
    print(
        f"{'exact':22} {'rho':>5} {'requests':>10} {'simulated s':>12} {'std. error':>10} "
        f"{'textbook':>10} {'predicted':>10} {'largest error':>13}"
    )
    for rho in LOADS:
        for case in exact_cases(rho):
            requests = size.requests(rho)
            found = simulate(case.problem, case.plan, requests=requests, seed=SEED)
            prediction = evaluate(case.problem, case.plan)
            errors = []
            for stream, price, textbook in zip(
                found.streams, prediction.streams, case.means, strict=True
            ):
                value = stream.mean.value
                errors += [abs(textbook / value - 1), abs(price.latency_seconds / value - 1)]
                assert stream.mean.standard_error is not None
                print(
                    f"{case.name + ' ' + stream.name:22} {rho:5.2f} {requests:10,} {value:12.5f} "
                    f"{stream.mean.standard_error / value:10.2%} {textbook:10.5f} "
                    f"{price.latency_seconds:10.5f} {max(errors[-2:]):13.2%}",
                    flush=True,
                )
            assert max(errors) <= size.tolerance(rho), f"{case.name} at {rho}: {max(errors):.2%}"


def _wait_error(case: Case, requests: int) -> tuple[float, float, float]:
    """Return predicted ÷ simulated − 1 of wait and of latency, and the latency's std. error."""
    found = simulate(case.problem, case.plan, requests=requests, seed=SEED)
    prediction = evaluate(case.problem, case.plan)
    (stream,), (price,) = found.streams, prediction.streams
    mean = stream.mean
    unloaded = price.latency_seconds - price.wait_seconds
    assert mean.standard_error is not None
    return (
        price.wait_seconds / (mean.value - unloaded) - 1,
        price.latency_seconds / mean.value - 1,
        mean.standard_error / mean.value,
    )


def approximations(size: Size) -> None:
    """Print how far predictions that are labelled approximate are off."""
    loads = (0.5, 0.7, 0.9, 0.95)
    print("\napproximate: predicted / simulated − 1 of the mean wait (of the latency ± std. error)")
    print(f"{'':34}" + "".join(f"{f'ρ = {rho}':>26}" for rho in loads))
    rows: list[tuple[str, Sequence[Case]]] = [
        ("tandem, constant", [tandem(rho, 0.0) for rho in loads]),
        ("tandem, cv² 4", [tandem(rho, 4.0) for rho in loads]),
        ("revisit, constant", [revisit(rho, 0.0) for rho in loads]),
        ("revisit, exponential", [revisit(rho, 1.0) for rho in loads]),
        ("batches of 4, constant", [batches(rho, 0.0) for rho in loads]),
        ("batches of 4, exponential", [batches(rho, 1.0) for rho in loads]),
    ]
    rows += [
        (f"gamma arrivals, ca² {cv2}", [bursts(rho, cv2) for rho in loads]) for cv2 in (0.25, 4.0)
    ]
    rows += [
        (f"M/G/{count} shared, cv² {cv2:g}", [shared(rho, count, cv2) for rho in loads])
        for count in (2, 4, 8)
        for cv2 in (0.0, 1.0, 4.0)
    ]
    for name, cases in rows:
        cells = []
        for rho, case in zip(loads, cases, strict=True):
            wait, latency, error = _wait_error(case, size.requests(rho) // 4)
            cells.append(f"{wait:+9.1%} ({latency:+6.1%} ±{error:5.2%})")
        print(f"{name:34}" + "".join(cells), flush=True)


def tails(size: Size) -> None:
    """Print how tight the predicted percentiles are; assert that ``safe`` ones are."""
    print("\npercentiles: predicted / simulated (safe: never below 1)")
    print(f"{'':34} {'rho':>5} {'label':>10} {'p95':>8} {'p99':>8}")
    for rho in (0.3, 0.5, 0.7, 0.9, 0.95):
        for case in tail_cases(rho):
            found = simulate(case.problem, case.plan, requests=size.requests(rho) // 4, seed=SEED)
            prediction = evaluate(case.problem, case.plan)
            for stream, price in zip(found.streams, prediction.streams, strict=True):
                label = {"exact": "safe", "approximate": "estimated"}[price.basis]
                ratios = []
                for probability in (0.95, 0.99):
                    worst = math.inf
                    for route, priced in zip(stream.routes, price.routes, strict=True):
                        seen = next(p for p in route.percentiles if p.probability == probability)
                        predicted = dict(priced.tails)[probability]
                        worst = min(worst, predicted / seen.seconds)
                        if label == "safe" and seen.low_seconds is not None:
                            assert predicted >= seen.low_seconds, (case.name, rho, probability)
                    ratios.append(worst)
                print(
                    f"{case.name + ' ' + stream.name:34} {rho:5.2f} {label:>10} "
                    + " ".join(f"{ratio:8.2f}" for ratio in ratios),
                    flush=True,
                )


def speed(size: Size) -> None:
    """Print requests per second of each engine on three exponential queues in a row, ρ = 0.8."""
    system = system_of(tandem(0.8, 1.0, stages=3))
    print(f"\n{'three stages, rho 0.8':34} {'requests':>10} {'seconds':>9} {'requests/s':>11}")
    small = size.light // 500
    _, drawn = run_recorded(system, small, seed=SEED)
    began = time.perf_counter()
    simpy_latencies(system, drawn)
    _rate("simpy", small, time.perf_counter() - began)
    with mock.patch.object(System, "is_cyclic", return_value=True):
        began = time.perf_counter()
        run(system, size.light // 20, seed=SEED)
        _rate("events in a heap", size.light // 20, time.perf_counter() - began)
    run(system, 1000, seed=SEED)
    began = time.perf_counter()
    run(system, size.light, seed=SEED)
    _rate("arrays", size.light, time.perf_counter() - began)
    line = system_of(shared(0.8, 4, 1.0))
    began = time.perf_counter()
    run(line, size.light // 10, seed=SEED)
    _rate("one line before 4 servers, 1 stage", size.light // 10, time.perf_counter() - began)
    print("arrays where no job comes back to a queue; events only in the part where one does.")
    print(
        f"\n{'in a process of its own':34} {'requests':>10} {'seconds':>9} {'requests/s':>11} "
        f"{'peak MB':>8} {'of that imports':>15}"
    )
    for stages, requests in ((3, size.light // 10), (2, size.light)):
        words = [sys.executable, "-m", "benchmarks.simulation", "--child", f"{stages},{requests}"]
        print(subprocess.run(words, check=True, capture_output=True, text=True).stdout, end="")


def _child(stages: int, requests: int) -> None:
    """Simulate in this process and print time and memory, statistics included."""
    import resource

    case = tandem(0.8, 1.0, stages=stages)
    simulate(case.problem, case.plan, requests=1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    simulate(case.problem, case.plan, requests=requests, seed=SEED)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{f'{stages} stages, with all statistics':34} {requests:10,} {seconds:9.2f} "
        f"{requests / seconds:11,.0f} {peak / 1024:8.0f} {before / 1024:15.0f}"
    )


def _rate(name: str, requests: int, seconds: float) -> None:
    print(f"{name:34} {requests:10,} {seconds:9.2f} {requests / seconds:11,.0f}", flush=True)


def _parts() -> Iterator[str]:
    yield from ("means", "approximations", "tails", "speed")


def main(arguments: list[str] | None = None) -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description="simulated, predicted and textbook; and how fast")
    parser.add_argument("--quick", action="store_true", help="fewer requests, wider tolerances")
    parser.add_argument("--only", choices=tuple(_parts()), action="append")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        stages, requests = map(int, options.child.split(","))
        _child(stages, requests)
        return
    size = QUICK if options.quick else FULL
    for name in options.only or _parts():
        {"means": means, "approximations": approximations, "tails": tails, "speed": speed}[name](
            size
        )


if __name__ == "__main__":
    main()
