"""Sweeps over parameters: what came of each setting, and where the plan changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.cli.tables.fronts import plan_words
from edgeplan.cli.tables.table import LONGEST_TABLE, facts, show

if TYPE_CHECKING:
    from edgeplan.sweeps.sweep import Sweep


def parameter_sweep(found: Sweep) -> None:
    """Print a sweep: a row for each setting."""
    names = [each.name for each in found.varied]
    limits = any(point.limit for point in found.points)
    show(
        f"Sweep (predicted; {len(found.points)} of {units.counted(found.count, 'point')})",
        (
            *(f">{name}" for name in names),
            "status",
            *(["stopped by"] if limits else []),
            ">objective",
            "?>gap",
            ">latency",
            "?>energy",
            "?>cost",
            "??>period",
            "?plan",
        ),
        (
            (
                *(point.settings[name] for name in names),
                point.status,
                *([point.limit or ""] if limits else []),
                units.number(point.objective),
                units.gap(point.gap),
                units.seconds(point.latency_seconds),
                units.joules(point.energy_joules),
                units.dollars(point.cost_dollars),
                units.seconds(point.period_seconds),
                "" if point.plan is None else plan_words(point.plan),
            )
            for point in found.points
        ),
        footer="the table of the folder has all" if len(found.points) > LONGEST_TABLE else "",
    )
    plans = [point.plan for point in found.points]
    distinct = sum(plan is not None and plan not in plans[:i] for i, plan in enumerate(plans))
    several = {each.name: len(each.places) for each in found.varied if len(each.places) > 1}
    pairs: dict[str, object] = {"different plans": distinct}
    if several:
        pairs["set together"] = ", ".join(
            f"{name}: {number} places" for name, number in several.items()
        )
    facts("In all", pairs)
    if found.failed:
        show(
            "Not planned",
            ("settings", "why"),
            (
                (", ".join(f"{key} = {value}" for key, value in settings.items()), why)
                for settings, why in found.failed
            ),
        )
