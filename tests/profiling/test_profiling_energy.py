"""Energy counters, from a folder that looks like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeplan.profiling.energy import counters, joules, read


def zone(root: Path, name: str, label: str, value: str, wrap: str = "1000000") -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "name").write_text(f"{label}\n")
    (folder / "energy_uj").write_text(f"{value}\n")
    (folder / "max_energy_range_uj").write_text(f"{wrap}\n")
    return folder


def test_packages_are_taken_and_their_parts_are_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "100")
    zone(tmp_path, "intel-rapl:0:0", "core", "50")
    zone(tmp_path, "intel-rapl:1", "package-1", "7")
    zone(tmp_path, "intel-rapl:2", "psys", "900")
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", "100")
    found = counters(tmp_path)
    assert read(found) == (100, 7)


def test_no_folder_and_unreadable_values_mean_no_counters(tmp_path: Path) -> None:
    assert counters(tmp_path / "none") == ()
    zone(tmp_path, "intel-rapl:0", "package-0", "not a number")
    assert counters(tmp_path) == ()
    (zone(tmp_path, "intel-rapl:1", "package-1", "1") / "energy_uj").unlink()
    assert counters(tmp_path) == ()


def test_joules_add_packages_and_survive_a_wrap(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", "999000")
    second = zone(tmp_path, "intel-rapl:1", "package-1", "10")
    found = counters(tmp_path)
    before = read(found)
    (first / "energy_uj").write_text("500")  # wrapped at 1 000 000: 1 500 µJ
    (second / "energy_uj").write_text("2010")  # 2 000 µJ
    assert joules(found, before, read(found)) == pytest.approx(3500e-6)
