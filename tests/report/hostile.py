"""A small front whose names are as bad as names can be, and large ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeplan import Device, Layer, LayerCosts, Link, Network, Problem, Stream, Tensor
from edgeplan.instances.instance import Instance
from edgeplan.instances.kept import keep
from edgeplan.instances.plans import fingerprint
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.engine import pareto
from edgeplan.pareto.files import INSTANCE_NAME, JOURNAL_NAME, JSON_NAME
from edgeplan.pareto.front import Front, Hypervolume, Point

SCRIPT = "<script>alert(1)</script>"
IMAGE = "<img src=x onerror=alert(2)>"
QUOTES = '"quoted\' & \u2028named" onclick="alert(3)'
CLOSING = "</title></style><svg onload=alert(4)>"
PHONE, EDGE, CLOUD = QUOTES, "--ink", "cloud"


def hostile_problem() -> Problem:
    """Two streams on three devices, in names that are code."""
    networks = tuple(
        Network(
            name,
            layers=tuple(Layer(name=f"{IMAGE}{k}", weight_bytes=1_000_000) for k in range(3)),
            tensors=(
                Tensor(name="image", bytes=150_000, producer=None, consumers=(0,)),
                *(
                    Tensor(name=f"t{k}", bytes=80_000 // (k + 1), producer=k, consumers=(k + 1,))
                    for k in range(2)
                ),
                Tensor(name="answer", bytes=100, producer=2, output=True),
            ),
            costs={
                PHONE: LayerCosts(seconds=(0.02, 0.03 * size, 0.03)),
                EDGE: LayerCosts(seconds=(0.006, 0.01 * size, 0.01)),
                CLOUD: LayerCosts(seconds=(0.002, 0.003, 0.002)),
            },
        )
        for name, size in ((IMAGE, 1.0), ("net", 1.7))
    )
    devices = (
        Device(name=PHONE, active_watts=2.0, memory_bytes=8e6),
        Device(name=EDGE, tier="edge", zone=SCRIPT, active_watts=9.0),
        Device(name=CLOUD, tier="cloud", zone="far", active_watts=4.0, dollars_per_second=1e-4),
    )
    pairs = ((PHONE, EDGE, 4e6, 0.004), (EDGE, CLOUD, 1.5e6, 0.03), (PHONE, CLOUD, 1e6, 0.05))
    links = tuple(
        Link(
            source=a,
            target=b,
            bytes_per_second=speed,
            latency_seconds=delay,
            send_joules_per_byte=2e-7,
        )
        for one, other, speed, delay in pairs
        for a, b in ((one, other), (other, one))
    )
    streams = (
        Stream(name=SCRIPT, network=IMAGE, origin=PHONE, deadline_seconds=0.9),
        Stream(name=QUOTES, network="net", origin=EDGE, rate_per_second=2.0),
    )
    return Problem(networks=networks, devices=devices, links=links, streams=streams, name=CLOSING)


def hostile_front(folder: Path) -> Front:
    """Write the front of `hostile_problem` as ``edgeplan pareto`` does."""
    problem = hostile_problem()
    folder.mkdir(parents=True, exist_ok=True)
    keep(Instance(problem=problem), folder / INSTANCE_NAME)
    front = pareto(
        problem,
        ("latency", "energy", "cost"),
        solver="enumerate",
        journal=folder / JOURNAL_NAME,
        fingerprint=fingerprint(problem),
    )
    front.write(folder)
    return front


def large_front(folder: Path, count: int = 5000, streams: int = 10, layers: int = 20) -> Front:
    """Write a front of random plans whose images lie on a sphere's corner."""
    draw = np.random.default_rng(1)
    images = np.abs(draw.normal(size=(count, 3)))
    images = 1.1 - images / np.linalg.norm(images, axis=1)[:, None]
    devices = np.array(["phone", "edge", "cloud"])
    cuts = np.sort(draw.integers(0, layers + 1, size=(count, streams, 2)))
    points = []
    for row, image in zip(cuts, images, strict=True):
        routes = {
            f"stream-{s}": (Route(devices=tuple(np.repeat(devices, (a, b - a, layers - b)))),)
            for s, (a, b) in enumerate(row)
        }
        points.append(Point(tuple(map(float, image)), Plan(routes=routes)))
    front = Front(
        objectives=("latency", "energy", "cost"),
        points=tuple(points),
        exact=False,
        complete=False,
        message="a limit was reached",
        hypervolume=Hypervolume(0.0, 1.0, (1.2,) * 3),
        fingerprint="0" * 64,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON_NAME).write_text(front.to_json(), encoding="utf-8")
    return front
