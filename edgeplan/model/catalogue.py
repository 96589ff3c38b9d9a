"""Catalogue entries: devices and links whose every figure states where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FigureKind = Literal["datasheet", "list price", "measured", "estimate"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number with its provenance.

    Parameters
    ----------
    value
        In SI units (dollars for prices).
    source
        Address of the page, or for an estimate from what and how it was derived.
    year
        Of the page or the estimate.
    kind
        How the number is known.
    """

    value: float
    source: str
    year: int
    kind: FigureKind


@dataclass(frozen=True, kw_only=True)
class CatalogueDevice:
    """A device of the catalogue; a figure that was not found is ``None``.

    Parameters
    ----------
    name, title, tier
        Key, words for people, tier.
    flops_per_second
        Sustained single-precision (or the deployed type's) rate used for prediction.
    memory_bytes_per_second
        Memory bandwidth.
    memory_bytes
        Memory for weights and activations.
    active_watts, idle_watts
        Power.
    dollars_per_hour, dollars_per_second, dollars_per_request
        Provisioned price, serverless price, fee.
    overhead_seconds
        Fixed time of a stage (launch and boundary), for prediction.
    note
        What the entry stands for and its caveats.
    """

    name: str
    title: str
    tier: str
    flops_per_second: Figure | None = None
    memory_bytes_per_second: Figure | None = None
    memory_bytes: Figure | None = None
    active_watts: Figure | None = None
    idle_watts: Figure | None = None
    dollars_per_hour: Figure | None = None
    dollars_per_second: Figure | None = None
    dollars_per_request: Figure | None = None
    overhead_seconds: Figure | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class CatalogueLink:
    """A link of the catalogue; a figure that was not found is ``None``.

    Parameters
    ----------
    name, title
        Key and words for people.
    bytes_per_second, latency_seconds
        Bandwidth and one-way latency.
    send_joules_per_byte, receive_joules_per_byte
        Energy at either end.
    dollars_per_byte
        Price of traffic.
    note
        What the entry stands for and its caveats.
    """

    name: str
    title: str
    bytes_per_second: Figure | None = None
    latency_seconds: Figure | None = None
    send_joules_per_byte: Figure | None = None
    receive_joules_per_byte: Figure | None = None
    dollars_per_byte: Figure | None = None
    note: str = ""
