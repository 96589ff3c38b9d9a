"""Whether a machine was busy with something else while it was measured."""

from __future__ import annotations

from edgeplan.model.profile import Machine, Timing

MOST_WALL_PER_CPU = 1.2
"""Of one thread: more wall time than this per CPU time, and it was kept waiting."""

MOST_DEVIATION = 0.1
"""Median absolute deviation over median: on a quiet machine it stays below some per cent."""

_LEAST_SECONDS = 1e-4
"""Shorter runs spread this much by themselves."""


def warning(whole: Timing, machine: Machine) -> str | None:
    """Return what to tell the user if the unsplit file's runs look disturbed.

    Parameters
    ----------
    whole
        Time of the unsplit file.
    machine
        Where it was measured; only one thread on the processor can be compared with CPU time.

    Returns
    -------
    str or None
        One line with a remedy; ``None`` for a quiet machine.
    """
    if whole.median_seconds < _LEAST_SECONDS:
        return None
    signs = []
    if machine.threads == 1 and machine.provider == "CPUExecutionProvider":
        ratio = whole.median_seconds / whole.cpu_seconds if whole.cpu_seconds > 0 else 0.0
        if ratio > MOST_WALL_PER_CPU:
            signs.append(f"the unsplit network took {ratio:.2g} times its CPU time")
    deviation = whole.mad_seconds / whole.median_seconds
    if deviation > MOST_DEVIATION:
        signs.append(f"its runs differ by {deviation:.0%} (median deviation)")
    if not signs:
        return None
    return (
        f"this machine was busy: {' and '.join(signs)}; run again with --fresh on a quiet machine"
    )
