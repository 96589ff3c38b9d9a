"""A busy machine is told from a quiet one; CPU times are never zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgeplan.profiling import noise, tables
from edgeplan.profiling.machine import this_machine
from edgeplan.profiling.measure import profile
from edgeplan.profiling.progress import ProfileProgress
from edgeplan.profiling.samples import Samples
from edgeplan.profiling.statistics import summarise

MACHINE = this_machine(provider="CPUExecutionProvider", threads=1)


def test_a_quiet_machine_is_not_warned_of() -> None:
    wall = [10e-3, 10.2e-3, 9.9e-3, 10.1e-3, 14e-3]
    assert noise.warning(summarise(wall, wall), MACHINE) is None


def test_waiting_for_the_processor_is_told() -> None:
    whole = summarise([13e-3] * 5, [10e-3] * 5)
    said = noise.warning(whole, MACHINE)
    assert said is not None
    assert said.startswith("this machine was busy: the unsplit network took 1.3 times its CPU")
    assert said.endswith("run again with --fresh on a quiet machine")
    assert noise.warning(whole, replace(MACHINE, threads=2)) is None


def test_runs_that_differ_much_are_told() -> None:
    said = noise.warning(summarise([8e-3, 10e-3, 13e-3], [8e-3, 10e-3, 13e-3]), MACHINE)
    assert said is not None
    assert "differ by 20% (median deviation)" in said
    short = summarise([8e-6, 10e-6, 13e-6], [8e-6, 10e-6, 13e-6])
    assert noise.warning(short, MACHINE) is None


def test_a_profile_says_so_last(
    chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tables.whole

    def slow(sittings: dict[str, Samples]) -> object:
        return replace(whole(sittings), median_seconds=0.4, cpu_seconds=0.1)

    monkeypatch.setattr(tables, "whole", slow)
    told: list[ProfileProgress] = []
    profile(chain, max_cuts=0, repeats=2, cache=tmp_path, on_progress=told.append)
    assert [progress.stage for progress in told[-2:]] == ["noise", "done"]
    assert "took 4 times its CPU time" in told[-2].message


@pytest.mark.parametrize("threads", [1, 2])
def test_every_span_has_cpu_time(chain: Path, tmp_path: Path, threads: int) -> None:
    found = profile(chain, cuts=[5], threads=threads, repeats=3, cache=tmp_path)
    for value in (found.whole, *(value for row in found.spans for value in row)):
        assert value.cpu_seconds > 0


def test_a_clock_too_coarse_for_a_run_gives_the_mean_or_the_wall_time() -> None:
    assert summarise([1.0] * 5, [0.0, 0.0, 0.0, 0.0, 4.0]).cpu_seconds == 0.8
    assert summarise([1.0] * 5, [0.0] * 5).cpu_seconds == 1.0
