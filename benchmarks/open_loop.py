"""Two devices under load on this machine: predicted, simulated and measured side by side.

``python -m benchmarks.open_loop`` profiles three networks of the zoo on this machine (one
intra-op thread, one at a time), plans one whole on each of two devices and one split between
them, and sends Poisson requests at rates that make the busier device busy for 30, 60 and 80 % of
the time. Each device is a worker process with one thread. Latencies count from when a request
was due. Printed for each stream, mean and 95th percentile:

* *predicted*: the evaluator's (M/G/1, from the profile); its percentile is an upper bound;
* *simulated*: random requests with the profile's times;
* *replayed*: the very arrivals of the run, served first-come first-served with the profile's
  times: what is left of the error is not the luck of the arrivals;
* *re-timed*: the same with the mean times of service that were measured under load: what is
  left is neither that luck nor the drift of the times;
* *measured*, with its standard error from batches.

The controller needs time of the same cores, and so does whatever else runs; the shares of both
are printed. A run during which other programs took more than ``--quiet`` of the cores is made
again, up to ``--attempts`` runs in all; those that were quiet are counted together, and only if
there is none, all are (and it is said). ``--held 3`` has every stage take three times its profile,
asleep: with cores to spare the queues are what is measured, not the contention for cores.
Where other programs never rest, ``--prefer`` (root) has the scheduler serve this run's processes
before them (``SCHED_RR``, which the workers inherit; niceness does nothing between sessions of
which the kernel makes groups). Others then take what is left: set ``--quiet 1`` with it.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import itertools
import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.fidelity import _profiled
from edgeplan.execution.arrivals import arrivals
from edgeplan.execution.open_loop import run_open_loop, under_load
from edgeplan.execution.open_report import Latencies, OpenLoopReport, ServedStage
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import Network, SpanCosts
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import RoutePrice, route_price
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.simulation import simulate

NETWORKS = ("squeezenet", "shufflenet", "minilm")
"""One whole on the near device, one whole on the far one, one split between them."""
DEVICES = ("near", "far")
ORIGINS = ("near", "far", "near")
NEAR_SHARES = (0.5, 0.5)
"""Of the near device's busy time: the whole network's, and the head's of the split one."""
LATENCY_SECONDS = 2e-3
BYTES_PER_SECOND = 50e6
SIMULATED = 400_000
AIMS = {"mean": 0.05, "p95": 0.10}

Floats = NDArray[np.float64]
Times = Mapping[tuple[int, int, int], float]
"""Service times in seconds by stream, route and stage."""


def instance(networks: Sequence[Network]) -> tuple[Problem, Plan]:
    """Return the problem and plan at which both devices would be busy all the time.

    The first network runs whole near, the second whole far, the third is split where the tail
    is the shortest that takes at least as long as the head.
    """
    near, far, split = networks
    costs = split.costs["near"]
    count = len(split.layers)
    cut = min(
        range(1, count),
        key=lambda at: abs(costs.stage_seconds(0, at) - costs.stage_seconds(at, count)),
    )
    head, tail = costs.stage_seconds(0, cut), costs.stage_seconds(cut, count)
    split_rate = NEAR_SHARES[1] / head
    rates = (
        NEAR_SHARES[0] / near.costs["near"].stage_seconds(0, len(near.layers)),
        (1 - split_rate * tail) / far.costs["far"].stage_seconds(0, len(far.layers)),
        split_rate,
    )
    assert min(rates) > 0, "the tail alone would keep the far device busy"
    problem = Problem(
        networks=tuple(networks),
        devices=tuple(Device(name=name) for name in DEVICES),
        links=tuple(
            Link(
                source=source,
                target=target,
                latency_seconds=LATENCY_SECONDS,
                bytes_per_second=BYTES_PER_SECOND,
            )
            for source, target in itertools.permutations(DEVICES)
        ),
        streams=tuple(
            Stream(name=network.name, network=network.name, origin=origin, rate_per_second=rate)
            for network, origin, rate in zip(networks, ORIGINS, rates, strict=True)
        ),
    )
    places = (
        ("near",) * len(near.layers),
        ("far",) * len(far.layers),
        ("near",) * cut + ("far",) * (count - cut),
    )
    return problem, Plan(
        routes={
            network.name: (Route(devices=devices),)
            for network, devices in zip(networks, places, strict=True)
        }
    )


def slowed(network: Network, factor: float) -> Network:
    """Return the network on devices that take so many times as long, always the same."""

    def stretch(costs: Any) -> SpanCosts:
        return SpanCosts(
            seconds=tuple(tuple(value * factor for value in row) for row in costs.seconds)
        )

    return dataclasses.replace(
        network, costs={device: stretch(network.costs[device]) for device in DEVICES}
    )


@dataclass(order=True)
class _Event:
    at: float
    order: int
    request: int = dataclasses.field(compare=False)
    step: int = dataclasses.field(compare=False)


def replay(
    problem: Problem, plan: Plan, seed: int, measured: range, times: Times
) -> dict[str, Floats]:
    """Return the latencies by stream of a run's own arrivals, with constant times of service.

    Devices and shared links serve first come, first served; the rest is delay.
    """
    prices = [
        [route_price(problem, stream, route) for route in plan.routes[stream.name]]
        for stream in problem.streams
    ]
    coming = list(itertools.islice(arrivals(problem, plan, seed), measured.stop))
    walks = {
        (stream, route): list(_walk(problem, price, (stream, route), times))
        for stream, routes in enumerate(prices)
        for route, price in enumerate(routes)
    }
    order = itertools.count()
    events = [_Event(item.seconds, next(order), n, 0) for n, item in enumerate(coming)]
    heapq.heapify(events)
    free: dict[str, float] = {}
    latency = np.zeros(len(coming))
    while events:
        event = heapq.heappop(events)
        arrival = coming[event.request]
        walk = walks[arrival.stream, arrival.route]
        if event.step == len(walk):
            latency[event.request] = event.at - arrival.seconds
            continue
        server, busy, delay = walk[event.step]
        done = event.at + busy
        if server is not None:
            done = free[server] = max(event.at, free.get(server, 0.0)) + busy
        heapq.heappush(events, _Event(done + delay, next(order), event.request, event.step + 1))
    return {
        stream.name: np.array([latency[n] for n in measured if coming[n].stream == index])
        for index, stream in enumerate(problem.streams)
    }


def _walk(
    problem: Problem, price: RoutePrice, key: tuple[int, int], times: Times
) -> Iterator[tuple[str | None, float, float]]:
    """Yield what a request visits: a server or none, its busy time there, and a delay."""
    for index, stage in enumerate(price.stages):
        for transfer in stage.transfers:
            yield _crossing(problem, transfer)
        yield stage.device, times.get((*key, index), stage.seconds), 0.0
    for transfer in price.returned:
        yield _crossing(problem, transfer)


def _crossing(problem: Problem, transfer: Any) -> tuple[str | None, float, float]:
    link = problem.link[transfer.source, transfer.target]
    server = link.name if problem.loads(link) else None
    return server, transfer.busy_seconds, transfer.seconds - transfer.busy_seconds


def served_times(report: OpenLoopReport) -> Times:
    """Return the mean times of service that were measured."""
    return {
        (stream, route, index): stage.service_seconds
        for stream, found in enumerate(report.streams)
        for route, each in enumerate(found.routes)
        for index, stage in enumerate(s for s in each.steps if isinstance(s, ServedStage))
    }


def simulated(problem: Problem, plan: Plan) -> Mapping[str, Mapping[str, Any]]:
    """Return a simulation's figures by stream."""
    found = simulate(problem, plan, requests=SIMULATED, seed=1).as_json()
    return {stream["name"]: stream for stream in found["streams"]}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One run, with the other programs' share of the cores during it."""

    report: OpenLoopReport
    replayed: Mapping[str, Floats]
    retimed: Mapping[str, Floats]
    others: float


def segment(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    rho: float,
    *,
    seconds: float,
    seed: int,
    held: bool,
) -> Segment:
    """Run once, and replay the run's arrivals."""
    rate = problem.total_rate * rho
    watch = _Watch()
    report = run_open_loop(
        problem,
        plan,
        sources,
        requests=int(rate * seconds),
        rate_per_second=rate,
        seed=seed,
        slow_down=held,
    )
    others = watch.others()
    loaded = under_load(problem, rate)
    measured = range(report.warmup, report.warmup + report.requests)
    return Segment(
        report=report,
        replayed=replay(loaded, plan, seed, measured, {}),
        retimed=replay(loaded, plan, seed, measured, served_times(report)),
        others=others,
    )


class _Watch:
    """How much of the cores programs take that are not part of this run."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy(), _own()

    def others(self) -> float:
        """Return their share of all cores since the watch began."""
        spent = (_busy() - self._busy) - (_own() - self._own)
        return max(0.0, spent / (time.monotonic() - self._began) / (os.cpu_count() or 1))


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))


def _own() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    rho: float,
    given: argparse.Namespace,
) -> list[dict[str, Any]]:
    """Run at a utilisation until enough was quiet; print what came out, return it row by row."""
    loaded = under_load(problem, problem.total_rate * rho)
    print(f"\nρ = {rho}: {loaded.total_rate:.1f} requests/s")
    found: list[Segment] = []
    for attempt in range(given.attempts):
        if sum(each.others <= given.quiet for each in found) == given.runs:
            break
        found.append(
            segment(
                problem,
                plan,
                sources,
                rho,
                seconds=given.seconds,
                seed=given.seed + attempt,
                held=given.held is not None,
            )
        )
        _tell(found[-1])
    quiet = [each for each in found if each.others <= given.quiet]
    kept = quiet or found
    print(
        f"  counted: {len(kept)} of {len(found)} runs; in {len(quiet)} others took at most "
        f"{given.quiet:.0%} of the cores"
    )
    _stages(kept)
    played = simulated(loaded, plan)
    print(_HEADER)
    rows = []
    for index, stream in enumerate(kept[0].report.streams):
        expected = stream.predicted
        together = Latencies.of(
            [value for each in kept for value in each.report.streams[index].measured.seconds]
        )
        again = {
            name: np.concatenate([getattr(each, name)[stream.name] for each in kept])
            for name in ("replayed", "retimed")
        }
        for statistic, predicted, value, error in (
            ("mean", expected.mean_seconds, together.mean_seconds, together.standard_error),
            ("p95", expected.p95, together.p95, together.p95_standard_error),
        ):
            row = {
                "rho": rho,
                "stream": stream.name,
                "statistic": statistic,
                "basis": expected.basis if statistic == "mean" else expected.tail_basis,
                "predicted": predicted,
                "simulated": played.get(stream.name, {}).get(
                    "mean_seconds" if statistic == "mean" else statistic
                ),
                **{
                    name: float(np.mean(v) if statistic == "mean" else np.percentile(v, 95))
                    for name, v in again.items()
                },
                "measured": value,
                "standard_error": error,
                "requests": together.requests,
                "quiet": bool(quiet),
            }
            rows.append(row)
            print(_line(row))
    return rows


def _tell(each: Segment) -> None:
    """Print what disturbs a run, and whether."""
    report = each.report
    busy = ", ".join(
        f"{device.name} busy {device.utilisation:.3f} (predicted "
        f"{device.predicted_utilisation:.3f}), service {device.service_ratio or 0:.3f} × profile"
        for device in report.devices
    )
    lag = report.lag
    print(
        f"  {report.requests} requests in {report.seconds:.0f} s after {report.warmup}; others "
        f"took {each.others:.1%} of the {report.cores} cores, the controller "
        f"{report.controller_cpu_share:.1%} of one; sent {lag.mean_seconds * 1e6:.0f} µs late "
        f"({lag.share:.1%} of the shortest mean); {busy}"
    )
    for warning in report.warnings:
        print(f"  warning: {warning}")


def _stages(kept: Sequence[Segment]) -> None:
    """Print what the stages took under load, beside the profile: means over the runs."""
    for index, stream in enumerate(kept[0].report.streams):
        crossings = zip(
            *(
                [s for r in each.report.streams[index].routes for s in r.steps if not _is_stage(s)]
                for each in kept
            ),
            strict=True,
        )
        for moves in crossings:
            first = moves[0]
            measured, wait = (
                float(np.mean([getattr(move, name) for move in moves])) * 1e3
                for name in ("measured_seconds", "wait_seconds")
            )
            print(
                f"  {stream.name:13} {first.source} → {first.target} {first.bytes / 1e3:.1f} kB "
                f"{measured:.2f} ms (predicted {first.predicted_seconds * 1e3:.2f}), wait "
                f"{wait:.2f} ms (predicted {first.predicted_wait_seconds * 1e3:.2f})"
            )
        every = [
            [s for r in each.report.streams[index].routes for s in r.steps if _is_stage(s)]
            for each in kept
        ]
        for stages in zip(*every, strict=True):
            first = stages[0]
            mean = {
                name: float(np.mean([getattr(stage, name) for stage in stages]))
                for name in ("service_seconds", "cpu_seconds", "service_cv2", "wait_seconds")
            }
            print(
                f"  {stream.name:13} on {first.device:5} service "
                f"{mean['service_seconds'] * 1e3:6.2f} ms (profile "
                f"{first.predicted_seconds * 1e3:6.2f}, CPU {mean['cpu_seconds'] * 1e3:6.2f}), "
                f"cv² {mean['service_cv2']:.3f} (profile {first.predicted_cv2:.3f}), wait "
                f"{mean['wait_seconds'] * 1e3:6.2f} ms (predicted "
                f"{first.predicted_wait_seconds * 1e3:6.2f})"
            )


def _is_stage(step: object) -> TypeGuard[ServedStage]:
    return isinstance(step, ServedStage)


_COLUMNS = ("predicted", "simulated", "replayed", "retimed")
_HEADER = (
    f"  {'stream':13} {'':4} {'predicted':>17} {'simulated':>17} {'replayed':>17} "
    f"{'re-timed':>17} {'measured':>18}"
)


def _line(row: Mapping[str, Any]) -> str:
    cells = []
    for name in _COLUMNS:
        value = row[name]
        if value is None:
            cells.append(f"{'–':>17}")
        else:
            cells.append(f"{value * 1e3:7.2f} {row['measured'] / value - 1:+8.1%} ")
    error = row["standard_error"]
    spread = "" if error is None else f" ± {error * 1e3:5.2f}"
    return (
        f"  {row['stream']:13} {row['statistic']:4} {' '.join(cells)} "
        f"{row['measured'] * 1e3:7.2f}{spread} ms"
    )


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the absolute errors: largest and mean by statistic and column, and the aim."""
    found: dict[str, Any] = {"aims": AIMS}
    for statistic, name in itertools.product(AIMS, _COLUMNS):
        errors = [
            abs(row["measured"] / row[name] - 1)
            for row in rows
            if row["statistic"] == statistic and row[name] is not None
        ]
        if errors:
            found[f"{statistic} to {name}"] = {
                "mean": float(np.mean(errors)),
                "max": float(np.max(errors)),
                "within_aim": float(np.mean(np.array(errors) <= AIMS[statistic])),
            }
    return found


def _all(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Profile, plan, and measure at every utilisation."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="edgeplan-open-loop-") as folder:
        profiled = [_profiled(given.zoo, name, Path(folder), print) for name in given.networks]
        networks = [
            dataclasses.replace(
                item.wall, costs={device: item.wall.costs[device] for device in DEVICES}
            )
            for item in profiled
        ]
        if given.held:
            networks = [slowed(network, given.held) for network in networks]
        sources = {
            network.name: item.source for network, item in zip(networks, profiled, strict=True)
        }
        problem, plan = instance(networks)
        for rho in given.rho:
            rows += measure(problem, plan, sources, rho, given)
    return rows


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables, and a line of JSON with the errors."""
    parser = argparse.ArgumentParser(prog="benchmarks.open_loop", description=__doc__)
    parser.add_argument("--zoo", type=Path, default=Path(".zoo"))
    parser.add_argument("--networks", nargs=3, default=NETWORKS)
    parser.add_argument("--rho", nargs="+", type=float, default=(0.3, 0.6, 0.8))
    parser.add_argument("--seconds", type=float, default=60.0, help="of each run")
    parser.add_argument("--runs", type=int, default=3, help="wanted quiet at each utilisation")
    parser.add_argument("--attempts", type=int, default=6, help="runs at each, at most")
    parser.add_argument("--quiet", type=float, default=0.05, help="others' share of the cores")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held", type=float, metavar="FACTOR", help="times the profile, asleep")
    parser.add_argument("--prefer", action="store_true", help="before other programs (root)")
    parser.add_argument("--output", type=Path, help="write all rows here (JSON)")
    given = parser.parse_args(arguments)
    if given.prefer:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
    rows = _all(given)
    found = summary(rows)
    print(json.dumps(found))
    if given.output is not None:
        given.output.write_text(json.dumps({"rows": rows, "summary": found}, indent=2))


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
