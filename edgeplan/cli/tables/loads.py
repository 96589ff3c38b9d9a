"""Loads: how busy a plan keeps devices and links, and how long jobs wait there."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.cli.tables.plans import period_matters, waits_matter
from edgeplan.cli.tables.table import say, show

if TYPE_CHECKING:
    from edgeplan.model.evaluate import DeviceLoad, Evaluation
    from edgeplan.model.problem import Problem

LEAST_SHARE = 1e-4
"""Links that are busy for less of the time are counted, not listed."""
_MOST_LINKS = 20


def loads(problem: Problem, evaluation: Evaluation) -> None:
    """Print what a plan asks of devices and links."""
    period = period_matters(problem)
    waits = waits_matter(problem)
    several = any(load.replicas > 1 for load in evaluation.devices)
    moving = _moving(evaluation)
    show(
        "Devices (predicted)",
        (
            *("device", "?tier", "?zone"),
            *((">replicas",) if several else ()),
            ">busy",
            *((">wait",) if waits else ()),
            *((">period",) if period else ()),
            *(">memory", ">limit", ">power"),
        ),
        (
            (
                load.name,
                problem.device[load.name].tier,
                problem.device[load.name].zone,
                *((load.replicas if load.on else "",) if several else ()),
                _busy(load, moving),
                *((units.seconds(load.wait_seconds),) if waits else ()),
                *((units.seconds(load.period_seconds),) if period else ()),
                units.size(load.memory_bytes),
                units.limit(units.size, problem.device[load.name].memory_bytes),
                units.watts(load.watts),
            )
            for load in evaluation.devices
        ),
    )
    _links(evaluation, period=period, waits=waits)


def _busy(load: DeviceLoad, moving: Set[str]) -> str:
    """Return the busy share of a device; without layers it is off, or sends and receives."""
    if load.on or load.utilisation:
        return units.percent(load.utilisation)
    return "transfers only" if load.name in moving else "off"


def _moving(evaluation: Evaluation) -> Set[str]:
    """Return the devices that send or receive something."""
    transfers = [
        transfer
        for price in evaluation.streams
        for route in price.routes
        for moved in (*(stage.transfers for stage in route.stages), route.returned)
        for transfer in moved
        if transfer.bytes
    ]
    return {transfer.source for transfer in transfers} | {t.target for t in transfers}


def _links(evaluation: Evaluation, *, period: bool, waits: bool) -> None:
    used = [load for load in evaluation.links if load.utilisation or load.bytes_per_second]
    loaded = [
        load
        for load in used
        if load.utilisation >= LEAST_SHARE
        or (period and load.period_seconds >= LEAST_SHARE * evaluation.period_seconds > 0)
    ]
    loaded.sort(key=lambda load: -(load.period_seconds if period else load.utilisation))
    notes = []
    if (more := len(loaded) - _MOST_LINKS) > 0:
        notes.append(f"{more} less loaded")
    if quiet := len(used) - len(loaded):
        notes.append(f"{quiet} busy for less than {units.percent(LEAST_SHARE)} of the time")
    footer = ", ".join(notes)
    if not loaded:
        if quiet:
            say(f"Links in use: {footer}; --json lists them\n")
        return
    show(
        "Links in use (predicted)",
        (
            *("link", ">busy"),
            *((">wait",) if waits else ()),
            *((">period",) if period else ()),
            ">traffic",
        ),
        (
            (
                load.name,
                units.percent(load.utilisation),
                *((units.seconds(load.wait_seconds),) if waits else ()),
                *((units.seconds(load.period_seconds),) if period else ()),
                units.bandwidth(load.bytes_per_second),
            )
            for load in loaded[:_MOST_LINKS]
        ),
        footer=f"and {footer}; --json lists them." if footer else "",
    )
