"""The catalogue: devices and links whose every figure names its source.

The figures lie in ``catalogue.yaml`` beside this file. A figure that was not found is absent; an
entry turned into a device or a link takes 0 for an absent power, energy, price or latency, and
:func:`missing` names what that concerns.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import types
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Literal, TypedDict, TypeVar, Unpack, get_args

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from edgeplan.model.catalogue import CatalogueDevice, CatalogueLink, Figure, FigureKind
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.problem import Device, Link

FORMAT = 1
KINDS: tuple[FigureKind, ...] = get_args(FigureKind)
FIRST_YEAR, LAST_YEAR = 1990, 2100

_FIGURE_KEYS = frozenset(field.name for field in dataclasses.fields(Figure))
_WORDS = frozenset({"name", "title", "tier", "note"})

Entry = TypeVar("Entry")


class DeviceOverrides(TypedDict, total=False):
    """Fields of a :class:`~edgeplan.model.problem.Device` that replace the catalogue's."""

    tier: str
    zone: str
    memory_bytes: float
    active_watts: float
    idle_watts: float
    charge_idle: bool
    dollars_per_second: float
    dollars_per_hour: float
    dollars_per_request: float
    dollars_per_joule: float
    replicas: int
    max_replicas: int | None
    dispatch: Literal["random", "shared"]
    utilisation_cap: float
    power_budget_watts: float
    transfers: Literal["links", "occupy", "free_port"]


class LinkOverrides(TypedDict, total=False):
    """Fields of a :class:`~edgeplan.model.problem.Link` that replace the catalogue's."""

    bytes_per_second: float
    latency_seconds: float
    send_joules_per_byte: float
    receive_joules_per_byte: float
    dollars_per_byte: float
    utilisation_cap: float
    contention: Literal["shared", "none"]


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Devices and links by name.

    Parameters
    ----------
    devices, links
        Entries in the order of the file.
    """

    devices: Mapping[str, CatalogueDevice]
    links: Mapping[str, CatalogueLink]


def devices() -> Mapping[str, CatalogueDevice]:
    """Return the catalogue's devices by name.

    Examples
    --------
    >>> devices()["raspberry-pi-5"].active_watts.kind
    'measured'
    """
    return _bundled().devices


def links() -> Mapping[str, CatalogueLink]:
    """Return the catalogue's links by name.

    Examples
    --------
    >>> round(links()["ethernet"].bytes_per_second.value * 8 / 1e6)
    941
    """
    return _bundled().links


def device(name: str) -> CatalogueDevice:
    """Return a device of the catalogue.

    Raises
    ------
    InputError
        If there is none of that name; close names are listed.
    """
    return _named("device", name, devices())


def link(name: str) -> CatalogueLink:
    """Return a link of the catalogue.

    Raises
    ------
    InputError
        If there is none of that name; close names are listed.
    """
    return _named("link", name, links())


def figures(entry: CatalogueDevice | CatalogueLink) -> Mapping[str, Figure]:
    """Return the figures that an entry has, by field name, in the order of the fields."""
    found = ((name, getattr(entry, name)) for name in _figure_names(type(entry)))
    return {name: figure for name, figure in found if isinstance(figure, Figure)}


def missing(entry: CatalogueDevice | CatalogueLink) -> tuple[str, ...]:
    """Return the names of the figures that an entry lacks.

    A device pays by the hour, or by busy time and requests: the other way of paying is not
    missing. :func:`to_device` and :func:`to_link` take 0 for a missing power, energy, price or
    latency and no limit for a missing memory.
    """
    present = figures(entry)
    irrelevant: set[str] = set()
    if "dollars_per_hour" in present:
        irrelevant = {"dollars_per_second", "dollars_per_request"}
    elif "dollars_per_second" in present:
        irrelevant = {"dollars_per_hour", "idle_watts"}
    return tuple(
        name
        for name in _figure_names(type(entry))
        if name not in present and name not in irrelevant
    )


def to_device(
    entry: CatalogueDevice, name: str | None = None, **overrides: Unpack[DeviceOverrides]
) -> Device:
    """Return a device of a problem made from a catalogue entry.

    Parameters
    ----------
    entry
        The catalogue's device.
    name
        Name in the topology; the entry's where absent.
    **overrides
        Fields that replace the catalogue's, in SI units.

    Raises
    ------
    InputError
        If an override is not a field of a device.
    """
    _check_overrides(f"devices.{name or entry.name}", overrides, DeviceOverrides)
    made = Device(
        name=name or entry.name,
        tier=entry.tier,
        memory_bytes=_value(entry.memory_bytes, math.inf),
        active_watts=_value(entry.active_watts),
        idle_watts=_value(entry.idle_watts),
        dollars_per_second=_value(entry.dollars_per_second),
        dollars_per_hour=_value(entry.dollars_per_hour),
        dollars_per_request=_value(entry.dollars_per_request),
    )
    return dataclasses.replace(made, **overrides)


def to_link(
    entry: CatalogueLink, source: str, target: str, **overrides: Unpack[LinkOverrides]
) -> Link:
    """Return a directed link of a problem made from a catalogue entry.

    Parameters
    ----------
    entry
        The catalogue's link.
    source, target
        Device names.
    **overrides
        Fields that replace the catalogue's, in SI units.

    Raises
    ------
    InputError
        If the entry has no bandwidth and none is given, or an override is not a field of a link.
    """
    place = f"links.{source}->{target}"
    _check_overrides(place, overrides, LinkOverrides)
    if entry.bytes_per_second is None and "bytes_per_second" not in overrides:
        raise InputError.at(
            place, f"catalogue link '{entry.name[:80]}' has no bandwidth; state bytes_per_second"
        )
    made = Link(
        source=source,
        target=target,
        bytes_per_second=_value(entry.bytes_per_second),
        latency_seconds=_value(entry.latency_seconds),
        send_joules_per_byte=_value(entry.send_joules_per_byte),
        receive_joules_per_byte=_value(entry.receive_joules_per_byte),
        dollars_per_byte=_value(entry.dollars_per_byte),
    )
    return dataclasses.replace(made, **overrides)


def to_links(
    entry: CatalogueLink,
    source: str,
    target: str,
    back: CatalogueLink | None = None,
    **overrides: Unpack[LinkOverrides],
) -> tuple[Link, Link]:
    """Return the links source → target and target → source.

    Parameters
    ----------
    entry
        The catalogue's link from source to target.
    source, target
        Device names.
    back
        The catalogue's link from target to source (``lte-down`` for ``lte-up``); the same entry
        where absent.
    **overrides
        Fields that replace the catalogue's in both directions, in SI units.

    Raises
    ------
    InputError
        As :func:`to_link`.
    """
    return (
        to_link(entry, source, target, **overrides),
        to_link(back or entry, target, source, **overrides),
    )


def load_catalogue(text: str, place: str = "catalogue") -> Catalogue:
    """Read and check a catalogue in YAML.

    Parameters
    ----------
    text
        The file's content. Keys that are not known are refused.
    place
        Name of the file for messages.

    Raises
    ------
    InputError
        With every fault found and its place.
    """
    # Deep nesting ends in a RecursionError of the parser, a number beyond the interpreter's
    # limit on digits or an impossible date in a ValueError, a mapping as a key in a TypeError.
    try:
        content: object = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, RecursionError, ValueError, TypeError) as error:
        raise InputError.at(place, f"not valid YAML: {_problem(error)}") from error
    faults: list[Fault] = []
    try:
        catalogue = _catalogue(content, place, faults)
    except RecursionError as error:  # an alias to its own ancestor
        raise InputError.at(place, "nested too deeply") from error
    if faults:
        raise InputError(faults)
    return catalogue


@functools.lru_cache(maxsize=1)
def _bundled() -> Catalogue:
    file = resources.files("edgeplan.instances").joinpath("catalogue.yaml")
    return load_catalogue(file.read_text(encoding="utf-8"), "catalogue.yaml")


def _problem(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem.splitlines()[0][:80]}"
    first = str(error).strip().splitlines() or ["unreadable"]
    return first[0][:80]


def _named(kind: str, name: str, entries: Mapping[str, Entry]) -> Entry:
    if name in entries:
        return entries[name]
    close = difflib.get_close_matches(name[:80].lower(), entries, n=3, cutoff=0.4)
    close = close or [known for known in entries if name[:80].lower() in known]
    hint = f"close: {', '.join(close)}" if close else f"known: {', '.join(entries)}"
    raise InputError.at("catalogue", f"there is no {kind} '{name[:80]}'; {hint}")


def _value(figure: Figure | None, absent: float = 0.0) -> float:
    return absent if figure is None else figure.value


def _figure_names(kind: type[CatalogueDevice] | type[CatalogueLink]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind) if field.name not in _WORDS)


def _check_overrides(place: str, given: Mapping[str, object], known: type) -> None:
    faults = [
        Fault(f"{place}.{key[:80]}", f"not a field; known: {', '.join(known.__annotations__)}")
        for key in given
        if key not in known.__annotations__
    ]
    if faults:
        raise InputError(faults)


def _catalogue(content: object, place: str, faults: list[Fault]) -> Catalogue:
    top = _mapping(content, place, faults)
    faults.extend(_unknown_keys(top, {"format", "devices", "links"}, place))
    if top.get("format") != FORMAT or isinstance(top.get("format"), bool):
        faults.append(Fault(f"{place}.format", f"must be {FORMAT}"))
    found_devices: dict[str, CatalogueDevice] = {}
    for name, entry, where in _entries(top, "devices", place, faults):
        read = _figures(entry, CatalogueDevice, {"title", "tier", "note"}, where, faults)
        made = CatalogueDevice(
            name=name,
            title=_text(entry, "title", where, faults),
            tier=_text(entry, "tier", where, faults),
            note=_text(entry, "note", where, faults, needed=False),
            **read,
        )
        if _value(made.idle_watts) > _value(made.active_watts, math.inf):
            faults.append(Fault(f"{where}.idle_watts", "must not exceed active_watts"))
        found_devices[name] = made
    found_links: dict[str, CatalogueLink] = {}
    for name, entry, where in _entries(top, "links", place, faults):
        read = _figures(entry, CatalogueLink, {"title", "note"}, where, faults)
        found_links[name] = CatalogueLink(
            name=name,
            title=_text(entry, "title", where, faults),
            note=_text(entry, "note", where, faults, needed=False),
            **read,
        )
    return Catalogue(types.MappingProxyType(found_devices), types.MappingProxyType(found_links))


def _entries(
    top: Mapping[str, object], kind: str, place: str, faults: list[Fault]
) -> Iterator[tuple[str, Mapping[str, object], str]]:
    for name, entry in _mapping(top.get(kind, {}), f"{place}.{kind}", faults).items():
        where = f"{place}.{kind}.{name[:80]}"
        yield name, _mapping(entry, where, faults), where


def _figures(
    entry: Mapping[str, object],
    kind: type[CatalogueDevice] | type[CatalogueLink],
    words: set[str],
    place: str,
    faults: list[Fault],
) -> dict[str, Figure]:
    names = _figure_names(kind)
    faults.extend(_unknown_keys(entry, {*names, *words}, place))
    found: dict[str, Figure] = {}
    for name in names:
        if name in entry:
            figure = _figure(entry[name], name, f"{place}.{name}", faults)
            if figure is not None:
                found[name] = figure
    return found


def _figure(content: object, name: str, place: str, faults: list[Fault]) -> Figure | None:
    before = len(faults)
    parts = _mapping(content, place, faults)
    faults.extend(_unknown_keys(parts, _FIGURE_KEYS, place))
    value, year, kind = parts.get("value"), parts.get("year"), parts.get("kind")
    number = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e30 else math.nan
    free = name.startswith(("dollars_", "idle_")) or name.endswith("_joules_per_byte")
    if math.isnan(number) or number < 0 or (number == 0 and not free):
        want = "a number that is not negative" if free else "a positive number"
        faults.append(Fault(f"{place}.value", f"must be {want}"))
    whole = year if isinstance(year, int) and not isinstance(year, bool) else 0
    if not FIRST_YEAR <= whole <= LAST_YEAR:
        faults.append(Fault(f"{place}.year", f"must be a year, {FIRST_YEAR} to {LAST_YEAR}"))
    known = next((known for known in KINDS if known == kind), None)
    if known is None:
        faults.append(Fault(f"{place}.kind", f"must be one of {', '.join(KINDS)}"))
    source = _text(parts, "source", place, faults)
    if known not in (None, "estimate") and not source.startswith(
        ("https://", "http://", "dataset: ")
    ):
        faults.append(
            Fault(f"{place}.source", f"a {known} figure needs an address or 'dataset: …'")
        )
    if known is None or len(faults) > before:
        return None
    return Figure(value=number, source=source, year=whole, kind=known)


def _mapping(content: object, place: str, faults: list[Fault]) -> Mapping[str, object]:
    if not isinstance(content, dict):
        faults.append(Fault(place, "must be a mapping of keys to values"))
        return {}
    if not all(isinstance(key, str) for key in content):
        faults.append(Fault(place, "every key must be text"))
    return {key: value for key, value in content.items() if isinstance(key, str)}


def _text(
    parts: Mapping[str, object], key: str, place: str, faults: list[Fault], *, needed: bool = True
) -> str:
    content = parts.get(key, "")
    if isinstance(content, str) and (content.strip() or not needed):
        return content.strip()
    faults.append(Fault(f"{place}.{key}", "must be text" + (", not empty" if needed else "")))
    return ""


def _unknown_keys(
    parts: Mapping[str, object], known: frozenset[str] | set[str], place: str
) -> Iterator[Fault]:
    for key in parts:
        if key not in known:
            yield Fault(f"{place}.{key[:80]}", f"unknown key; known: {', '.join(sorted(known))}")
