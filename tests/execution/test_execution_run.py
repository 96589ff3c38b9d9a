"""Plans of tiny networks, executed over loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from edgeplan.execution import run as run_module
from edgeplan.execution.run import run
from edgeplan.model.errors import InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate, route_price
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

Make = Callable[..., Problem]
Spread = Callable[..., Plan]
Sources = Mapping[str, OnnxSource]


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test no child process lives and no temporary file lies about."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    yield
    children = psutil.Process().children(recursive=True)
    assert children == []
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("network", "pattern"),
    [
        ("chain", "a"),
        ("chain", "b"),
        ("chain", "ab"),
        ("chain", "abab"),
        ("chain", "abca"),
        ("skip", "aabb"),
        ("skip", "abbca"),
        ("ends", "ab"),
        ("ends", "babc"),
    ],
)
def test_parts_equal_the_whole_and_transfers_are_the_evaluators(
    network: str, pattern: str, problem: Make, spread: Spread, sources: Sources
) -> None:
    instance = problem(network)
    plan = spread(instance, pattern)
    report = run(instance, plan, sources, requests=4, warmup=1)
    (stream,) = report.streams
    (route,) = stream.routes
    assert stream.strict_equal
    assert stream.deployed_max_error <= 1e-6
    price = route_price(instance, instance.streams[0], plan.routes[stream.name][0])
    assert [(t.source, t.target, t.tensors, t.bytes) for t in route.transfers] == [
        (t.source, t.target, t.tensors, t.bytes) for t in price.transfers
    ]
    assert [(s.device, s.first, s.stop) for s in route.stages] == [
        (s.device, s.first, s.stop) for s in price.stages
    ]
    for transfer in route.transfers:
        # Never quicker than the emulated link.
        assert transfer.measured.median_seconds >= transfer.predicted_seconds - 1e-6
    assert stream.predicted_seconds == evaluate(instance, plan).latency_seconds
