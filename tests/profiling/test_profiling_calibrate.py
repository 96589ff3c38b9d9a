"""Calibration is measured once and then kept; what is kept is not trusted blindly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeplan.model.errors import InputError
from edgeplan.profiling.calibrate import _kept, calibrate
from edgeplan.profiling.machine import this_machine


def test_figures_are_measured_once_and_kept(tmp_path: Path) -> None:
    first = calibrate(cache=tmp_path)
    assert first.flops_per_second > 1e6
    assert first.bytes_per_second > 1e6
    (path,) = tmp_path.iterdir()  # no temporary file beside it
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "flops_per_second": 123.0}))
    again = calibrate(cache=tmp_path)
    assert again.flops_per_second == 123.0
    assert again.bytes_per_second == first.bytes_per_second


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "null",
        '{"flops_per_second": 1e9, "bytes_per_second": -1, "created": ""}',
        '{"flops_per_second": 1e9, "bytes_per_second": NaN, "created": ""}',
        '{"flops_per_second": "many", "bytes_per_second": 1e9, "created": ""}',
        '{"flops_per_second": 1e9, "created": ""}',
    ],
)
def test_a_kept_file_that_makes_no_sense_is_not_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "figures.json"
    machine = this_machine(provider="CPUExecutionProvider", threads=1)
    path.write_text(text)
    assert _kept(path, machine) is None
    assert _kept(tmp_path / "none", machine) is None


def test_there_is_no_benchmark_for_other_providers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="CPUExecutionProvider"):
        calibrate(provider="CUDAExecutionProvider", cache=tmp_path)
