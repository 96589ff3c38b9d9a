"""Predicted beside measured: random plans of real networks, profiled and executed here.

``python -m benchmarks.fidelity --plans 20 --seed 1`` profiles some networks of the zoo on this
machine (one intra-op thread), draws random feasible plans over three devices of its kind with
random emulated links, executes each, and compares. Two predictions are compared with two
measurements, both by the evaluator:

* *cpu*: the profile's CPU times and the links, with the run's CPU times and transfers' wall times;
* *wall*: the profile's wall times (what a plan is priced with) with the wall time end to end,
  which other programs on the machine disturb.

Links are drawn so that transfers do not drown the computation, whose own error is shown too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeplan.execution.report import RouteReport
from edgeplan.execution.run import run
from edgeplan.model.evaluate import evaluate
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import Network, SpanCosts
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.model.profile import Profile
from edgeplan.networks import reweight
from edgeplan.profiling.measure import profile

NETWORKS = ("squeezenet", "shufflenet", "inception_v1", "ppocr_cls", "resnet50", "minilm")
DEVICES = ("near", "mid", "far")
CUTS = 5
AIM = 0.05


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """A network's profile with its times as CPU times and as wall times."""

    source: OnnxSource
    cpu: Network
    wall: Network


@dataclass(frozen=True, kw_only=True)
class Row:
    """One stream of one plan; relative errors are (measured − predicted) ÷ predicted.

    Parameters
    ----------
    plan, network, stages
        Which plan, which network, on how many stages.
    predicted_cpu_seconds, measured_cpu_seconds
        Computation in CPU time, transfers in wall time.
    predicted_wall_seconds, measured_wall_seconds
        From end to end.
    compute_error
        Of the stages' CPU times alone.
    transfer_error
        Of the transfers alone; 0 where there are none.
    compute_share
        Part of the predicted time that is computation.
    strict_equal, deployed_max_error
        Equality with the unsplit network.
    """

    plan: int
    network: str
    stages: int
    predicted_cpu_seconds: float
    measured_cpu_seconds: float
    predicted_wall_seconds: float
    measured_wall_seconds: float
    compute_error: float
    transfer_error: float
    compute_share: float
    strict_equal: bool
    deployed_max_error: float

    @property
    def cpu_error(self) -> float:
        """Relative error in CPU time plus transfers."""
        return self.measured_cpu_seconds / self.predicted_cpu_seconds - 1

    @property
    def wall_error(self) -> float:
        """Relative error in wall time."""
        return self.measured_wall_seconds / self.predicted_wall_seconds - 1


def fidelity(
    zoo: Path,
    *,
    plans: int = 20,
    seed: int = 1,
    requests: int = 20,
    networks: Sequence[str] = NETWORKS,
    say: Callable[[str], object] = print,
) -> list[Row]:
    """Profile, draw plans, execute, compare.

    Parameters
    ----------
    zoo
        Folder that ``make zoo`` filled.
    plans, seed
        How many plans, drawn from which seed.
    requests
        Measured along each route.
    networks
        Of the zoo.
    say
        Called with each line of the table.
    """
    generator = random.Random(seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="edgeplan-fidelity-") as folder:
        profiled = {name: _profiled(zoo, name, Path(folder), say) for name in networks}
        say(_HEADER)
        for number in range(plans):
            cpu, plan = _draw(generator, profiled)
            assert evaluate(cpu, plan).feasible
            sources = {network.name: profiled[network.name].source for network in cpu.networks}
            wall = {stream.name: stream for stream in evaluate(_wall(cpu, profiled), plan).streams}
            report = run(cpu, plan, sources, requests=requests, threads=1, seed=seed + number)
            for stream in report.streams:
                (route,) = stream.routes
                row = _row(number, route, stream.name, wall[stream.name].latency_seconds)
                rows.append(row)
                say(_line(row))
    return rows


def summary(rows: Sequence[Row]) -> dict[str, object]:
    """Return the distribution of the absolute relative errors, over plans' streams."""
    found: dict[str, object] = {"rows": len(rows), "plans": len({row.plan for row in rows})}
    for name in ("cpu_error", "wall_error", "compute_error", "transfer_error"):
        errors = np.abs([getattr(row, name) for row in rows])
        found[name] = {
            "median": float(np.median(errors)),
            "mean": float(np.mean(errors)),
            "p95": float(np.percentile(errors, 95)),
            "max": float(np.max(errors)),
            "within_aim": float(np.mean(errors <= AIM)),
        }
    # Waking up late is what a busy machine does to transfers: say how busy it was.
    found["load_average"], found["cores"] = os.getloadavg()[1], os.cpu_count()
    found["compute_share"] = float(np.median([row.compute_share for row in rows]))
    found["strict_equal"] = all(row.strict_equal for row in rows)
    found["deployed_max_error"] = max(row.deployed_max_error for row in rows)
    return found


def _profiled(zoo: Path, name: str, folder: Path, say: Callable[[str], object]) -> Profiled:
    began = time.perf_counter()
    path = zoo / f"{name}.onnx"
    if not path.is_file():
        path = reweight(zoo / f"light_{name}.onnx", folder / f"{name}.onnx", 2020)
    # Fresh times: the machine that is measured is the one of this hour.
    found = profile(path, name=name, threads=1, max_cuts=CUTS, cache=folder / "cache", fresh=True)
    say(
        f"profiled {name}: {len(found.layers)} layers, whole {found.whole.cpu_seconds * 1e3:.1f} "
        f"ms of CPU time, in {time.perf_counter() - began:.0f} s"
    )
    return Profiled(
        source=OnnxSource(path=str(path), sha256=found.sha256, shapes=found.shapes),
        cpu=_network(name, found, _cpu(found)),
        wall=_network(name, found, found.costs()),
    )


def _cpu(found: Profile) -> SpanCosts:
    return SpanCosts(
        seconds=tuple(tuple(timing.cpu_seconds for timing in row) for row in found.spans)
    )


def _network(name: str, found: Profile, costs: SpanCosts) -> Network:
    return Network(name, found.layers, found.tensors, dict.fromkeys(DEVICES, costs))


def _draw(generator: random.Random, profiled: dict[str, Profiled]) -> tuple[Problem, Plan]:
    """Return a problem with one or two networks, and a plan of one to four stages for each."""
    names = generator.sample(sorted(profiled), k=min(len(profiled), generator.choice((1, 2))))
    links = tuple(
        Link(
            source=source,
            target=target,
            latency_seconds=10 ** generator.uniform(-3.5, -2),
            bytes_per_second=10 ** generator.uniform(7, 8.5),
        )
        for source in DEVICES
        for target in DEVICES
        if source != target
    )
    problem = Problem(
        networks=tuple(profiled[name].cpu for name in names),
        devices=tuple(Device(name=name) for name in DEVICES),
        links=links,
        streams=tuple(
            Stream(
                name=name,
                network=name,
                origin=generator.choice(DEVICES),
                rate_per_second=0.01,
            )
            for name in names
        ),
    )
    routes = {}
    for name in names:
        count = len(profiled[name].cpu.layers)
        stages = min(count, generator.randint(1, 4))
        bounds = [0, *sorted(generator.sample(range(1, count), stages - 1)), count]
        devices: list[str] = []
        last = ""
        for first, stop in itertools.pairwise(bounds):
            last = generator.choice([device for device in DEVICES if device != last])
            devices += [last] * (stop - first)
        routes[name] = (Route(devices=tuple(devices)),)
    return problem, Plan(routes=routes)


def _wall(problem: Problem, profiled: dict[str, Profiled]) -> Problem:
    return Problem(
        networks=tuple(profiled[network.name].wall for network in problem.networks),
        devices=problem.devices,
        links=problem.links,
        streams=problem.streams,
    )


def _row(number: int, route: RouteReport, network: str, wall_seconds: float) -> Row:
    compute = sum(stage.predicted_seconds for stage in route.stages)
    moving = sum(transfer.predicted_seconds for transfer in route.transfers)
    measured_compute = sum(stage.cpu.median_seconds for stage in route.stages)
    measured_moving = sum(transfer.measured.median_seconds for transfer in route.transfers)
    return Row(
        plan=number,
        network=network,
        stages=len(route.stages),
        predicted_cpu_seconds=route.predicted_seconds,
        measured_cpu_seconds=route.measured_cpu_seconds,
        predicted_wall_seconds=wall_seconds,
        measured_wall_seconds=route.measured_seconds,
        compute_error=measured_compute / compute - 1,
        transfer_error=measured_moving / moving - 1 if moving else 0.0,
        compute_share=compute / route.predicted_seconds,
        strict_equal=route.strict_equal,
        deployed_max_error=route.deployed_max_error,
    )


_HEADER = (
    f"{'plan':>4} {'network':14} {'stages':>6} {'predicted':>10} {'measured':>10} {'error':>7} "
    f"{'wall pred':>10} {'wall meas':>10} {'error':>7} {'compute':>8} {'transfer':>8} {'equal':>6}"
)


def _line(row: Row) -> str:
    return (
        f"{row.plan:4} {row.network:14} {row.stages:6} "
        f"{row.predicted_cpu_seconds * 1e3:7.2f} ms {row.measured_cpu_seconds * 1e3:7.2f} ms "
        f"{row.cpu_error:+7.1%} "
        f"{row.predicted_wall_seconds * 1e3:7.2f} ms {row.measured_wall_seconds * 1e3:7.2f} ms "
        f"{row.wall_error:+7.1%} {row.compute_error:+8.1%} {row.transfer_error:+8.1%} "
        f"{'yes' if row.strict_equal and row.deployed_max_error <= 1e-6 else 'NO':>6}"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table, and a line of JSON with the distribution."""
    parser = argparse.ArgumentParser(prog="benchmarks.fidelity", description=__doc__)
    parser.add_argument("--plans", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--zoo", type=Path, default=Path(".zoo"))
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    given = parser.parse_args(arguments)
    rows = fidelity(
        given.zoo,
        plans=given.plans,
        seed=given.seed,
        requests=given.requests,
        networks=given.networks,
    )
    found = summary(rows)
    for name in ("cpu_error", "wall_error", "compute_error", "transfer_error"):
        item = found[name]
        assert isinstance(item, dict)
        print(
            f"{name:15} median {item['median']:6.1%}  mean {item['mean']:6.1%}  "
            f"p95 {item['p95']:6.1%}  max {item['max']:6.1%}  "
            f"within {AIM:.0%}: {item['within_aim']:.0%}"
        )
    print(json.dumps(found))
    assert found["strict_equal"], "a split network's outputs differ from the whole's"


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
