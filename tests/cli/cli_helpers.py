"""What the tests of commands share: running them and a small instance with its network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

from edgeplan.cli import app

TWO_TIERS = """\
format: edgeplan-instance
version: 1
name: two-tiers
networks:
  net:
    layers:
      - {name: a, weights: 1 MB, activations: 100 kB}
      - {name: b, weights: 2 MB, activations: 100 kB}
    tensors:
      - {name: x, size: 100 kB, consumers: a}
      - {name: t, size: 10 kB, producer: a, consumers: b}
      - {name: y, size: 1 kB, producer: b, output: true}
    costs:
      board: {times: 10 40 ms}
      server: {times: 1 4 ms}
devices:
  board: {tier: device, zone: home, memory: 8 MB, active_power: 5 W}
  server: {tier: cloud, zone: away, active_power: 50 W, provisioned_price: 0.36 USD/h}
links:
  - {from: board, to: server, both: true, bandwidth: 10 Mbit/s, latency: 5 ms}
streams:
  camera:
    network: net
    origin: board
    rate: 2 /s
    deadline: DEADLINE
    privacy: {zones: home}
objective: {latency: 1}
"""
"""The only feasible plans are all on the board (50 ms) and a on the board, b on the server.

The split takes 10 ms, 5 ms + 8 ms for the tensor, 4 ms, and 5 ms + 0.8 ms for the result: 32.8 ms.
"""

SPLIT_SECONDS = 0.0328


def write_two_tiers(folder: Path, deadline: str = "200 ms") -> Path:
    path = folder / "two-tiers.yaml"
    path.write_text(TWO_TIERS.replace("DEADLINE", deadline))
    return path


def invoke(*words: object) -> Result:
    """Run a command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def invoke_json(*words: object, code: int = 0) -> dict:
    """Run a command line with --json and return its one document."""
    result = invoke(*words, "--json")
    assert result.exit_code == code, result.stdout + result.stderr

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(result.stdout, parse_constant=refuse)


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    """Start a command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edgeplan", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
