"""The catalogue, each figure with its source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgeplan.cli import units
from edgeplan.cli.tables.table import say, show

if TYPE_CHECKING:
    from edgeplan.model.catalogue import CatalogueDevice, CatalogueLink, Figure


def catalogue(devices: Sequence[CatalogueDevice], links: Sequence[CatalogueLink]) -> None:
    """Print the catalogue's devices and links; details with their sources come by name."""
    if devices:
        show(
            "Devices",
            (
                "name", "?what", "?tier", ">flop/s", "?>memory/s", ">memory", "?>active",
                "?>idle", ">price",
            ),
            (
                (
                    device.name,
                    device.title,
                    device.tier,
                    _figure(device.flops_per_second, units.rate),
                    _figure(device.memory_bytes_per_second, units.size),
                    _figure(device.memory_bytes, units.size),
                    _figure(device.active_watts, units.watts),
                    _figure(device.idle_watts, units.watts),
                    _price(device),
                )
                for device in devices
            ),
        )  # fmt: skip
    if links:
        show(
            "Links",
            (
                "name",
                "?what",
                ">bandwidth",
                ">latency",
                "?>send J/MB",
                "?>receive J/MB",
                "?>$/GB",
            ),
            (
                (
                    link.name,
                    link.title,
                    _figure(link.bytes_per_second, units.bandwidth),
                    _figure(link.latency_seconds, units.seconds),
                    _figure(link.send_joules_per_byte, lambda v: f"{v * 1e6:.3g}"),
                    _figure(link.receive_joules_per_byte, lambda v: f"{v * 1e6:.3g}"),
                    _figure(link.dollars_per_byte, lambda v: f"{v * 1e9:.3g}"),
                )
                for link in links
            ),
        )


def catalogue_entry(entry: CatalogueDevice | CatalogueLink) -> None:
    """Print every figure of an entry: value, kind, source, year."""
    from edgeplan.model.catalogue import Figure

    figures = {key: value for key, value in vars(entry).items() if isinstance(value, Figure)}
    sources = dict.fromkeys(figure.source for figure in figures.values())
    numbers = {source: number for number, source in enumerate(sources, start=1)}
    show(
        f"{entry.name}: {entry.title}",
        ("figure", ">value", "kind", "year", "source"),
        (
            (key, f"{figure.value:.6g}", figure.kind, figure.year, f"[{numbers[figure.source]}]")
            for key, figure in figures.items()
        ),
        footer=entry.note,
    )
    # Below the table, where an address is in one piece, however long.
    for source, number in numbers.items():
        say(f"[{number}] {source}")


def _price(device: CatalogueDevice) -> str:
    if device.dollars_per_hour is not None:
        return _figure(device.dollars_per_hour, units.dollars) + "/h"
    if device.dollars_per_second is not None:
        return _figure(device.dollars_per_second, units.dollars) + "/s"
    return units.MISSING


def _figure(figure: Figure | None, unit: Any) -> str:
    if figure is None:
        return units.MISSING
    return ("~" if figure.kind == "estimate" else "") + str(unit(figure.value))
