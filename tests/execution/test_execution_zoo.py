"""Real networks: masks that are forwarded, subgraphs that capture, many tensors at a cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeplan.execution.run import run
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Device, Link, Problem, Stream
from edgeplan.networks import prepare
from edgeplan.networks.grouping import group

SHAPES = {"ppocr_det": {"x": (1, 3, 320, 320)}, "ppocr_rec": {"x": (1, 3, 48, 320)}}
ZOO = Path(__file__).parents[2] / ".zoo"


@pytest.mark.parametrize(
    "name",
    [
        "squeezenet",
        "minilm",
        "silero_vad",
        pytest.param("ppocr_cls", marks=pytest.mark.long),
        pytest.param("densenet121", marks=pytest.mark.long),
        pytest.param("resnet50", marks=pytest.mark.long),
        pytest.param("ppocr_det", marks=pytest.mark.long),
        pytest.param("ppocr_rec", marks=pytest.mark.long),
    ],
)
def test_a_real_network_runs_on_three_devices_and_back(name: str, tmp_path: Path) -> None:
    path = ZOO / f"{name}.onnx"
    if not path.is_file():
        pytest.skip("make zoo fetches the networks")
    prepared = prepare(path, shapes=SHAPES.get(name), folder=tmp_path / "folded", seconds=60)
    cuts = prepared.graph.cuts
    # Five cuts spread over all, those that many tensors cross included.
    positions = sorted({cuts[len(cuts) * i // 6].position for i in range(1, 6)}) if cuts else []
    layers, tensors = group(prepared.graph, positions)
    costs = LayerCosts(seconds=(1e-3,) * len(layers))
    problem = Problem(
        networks=(Network(name, layers, tensors, dict.fromkeys("abc", costs)),),
        devices=tuple(Device(name=device) for device in "abc"),
        links=tuple(
            Link(source=source, target=target, latency_seconds=1e-3, bytes_per_second=1e9)
            for source in "abc"
            for target in "abc"
            if source != target
        ),
        streams=(Stream(name="s", network=name, origin="a", rate_per_second=0.01),),
    )
    devices = tuple("abcacb"[index % 6] for index in range(len(layers)))
    plan = Plan(routes={"s": (Route(devices=devices),)})
    report = run(problem, plan, {name: prepared.source}, requests=2, warmup=1, strict_requests=2)
    (stream,) = report.streams
    assert stream.strict_equal
    assert stream.deployed_max_error <= 1e-6
    assert [stage.device for stage in stream.routes[0].stages] == list(devices)
