"""The benchmark's assertions, on short runs."""

from __future__ import annotations

import pytest

from benchmarks import simulation

SHORT = simulation.Size(40_000, 80_000, 0.25, 0.75)


def test_exact_means(capsys: pytest.CaptureFixture[str]) -> None:
    simulation.means(SHORT)
    assert len(capsys.readouterr().out.splitlines()) == 1 + 6 * 6


def test_safe_percentiles_are_not_below_the_simulation(capsys: pytest.CaptureFixture[str]) -> None:
    simulation.tails(SHORT, (0.3, 0.7))
    rows = capsys.readouterr().out.splitlines()[3:]
    assert sum(" safe " in row for row in rows) == 2 * 9
    assert sum(" estimated " in row for row in rows) == 2 * 6


def test_a_mean_that_is_off_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"M/M/1 at 0\.3"):
        simulation.means(simulation.Size(2000, 2000, 1e-4, 1e-4))
