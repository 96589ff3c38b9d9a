"""Energy counters of the processor (Linux powercap, "RAPL"), where they can be read.

A package's counter holds microjoules since some time ago and wraps around at
``max_energy_range_uj``. It counts everything that the package does, so a reading holds for
the network only while the machine is otherwise idle. Recent kernels let only root read it.
Source: the Linux kernel's documentation of the power capping framework.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters."""


@dataclass(frozen=True)
class Counter:
    """One package's energy counter.

    Parameters
    ----------
    path
        File with the present value in microjoules.
    range_microjoules
        Where it wraps around.
    """

    path: Path
    range_microjoules: int


def counters(root: Path = POWERCAP) -> tuple[Counter, ...]:
    """Return the packages' counters that this process may read; empty where there are none.

    Only whole packages (``intel-rapl:0``, …) are taken: their subzones (cores, memory) are
    counted in them already.
    """
    found = []
    for zone in sorted(root.glob("intel-rapl:*")):
        if zone.name.count(":") != 1:
            continue
        try:
            if not (zone / "name").read_text().startswith("package"):
                continue
            wrap = int((zone / "max_energy_range_uj").read_text())
            int((zone / "energy_uj").read_text())
        except (OSError, ValueError):
            continue
        found.append(Counter(zone / "energy_uj", wrap))
    return tuple(found)


def read(sources: Sequence[Counter]) -> tuple[int, ...]:
    """Return the present values in microjoules.

    Raises
    ------
    OSError
        If a counter can no longer be read.
    """
    return tuple(int(source.path.read_text()) for source in sources)


def joules(sources: Sequence[Counter], before: Sequence[int], after: Sequence[int]) -> float:
    """Return the energy between two readings in joules, one wrap-around per counter allowed."""
    total = 0
    for source, first, last in zip(sources, before, after, strict=True):
        total += last - first if last >= first else last - first + source.range_microjoules
    return total * 1e-6
