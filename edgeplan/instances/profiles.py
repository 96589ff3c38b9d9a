"""Profile files: JSON with a header, strictly read and atomically written."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from edgeplan.instances.codec import decode, encode
from edgeplan.instances.document import Plain, parse_json, read_text, to_json, write_text
from edgeplan.instances.schema import PROFILE_FORMAT, VERSION
from edgeplan.instances.units import cut
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.profile import Profile, Timing

MAX_PROFILE_BYTES = 64_000_000
"""Largest profile file."""


def read_profile(path: Path) -> Profile:
    """Read a profile.

    Parameters
    ----------
    path
        JSON file that `write_profile` wrote.

    Raises
    ------
    InputError
        With every fault found, placed in the file (``spans[0][2].mean_seconds``).
    """
    tree = parse_json(read_text(path, max_bytes=MAX_PROFILE_BYTES)).value
    body = checked_body(tree, PROFILE_FORMAT)
    try:
        profile = decode(Profile, body)
    except InputError as error:
        raise InputError(_in_file_terms(fault, body) for fault in error.faults) from None
    faults = list(_profile_faults(profile))
    if faults:
        raise InputError(faults)
    return profile


def write_profile(profile: Profile, path: Path) -> None:
    """Write a profile atomically; `read_profile` returns an equal one.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    body: dict[str, Plain] = {"format": PROFILE_FORMAT, "version": VERSION, **encode(profile)}
    for key in ("batches", "refused_batches"):
        if not body[key]:  # so that versions which do not know them yet read the file
            del body[key]
    write_text(path, to_json(body))


def checked_body(tree: Plain, name: str) -> dict[str, Plain]:
    """Return a file's content without its header.

    Raises
    ------
    InputError
        If the header is missing, of another format or of a newer version.
    """
    check_header(tree, name)
    assert isinstance(tree, dict)
    return {key: value for key, value in tree.items() if key not in ("format", "version")}


def check_header(tree: Plain, name: str) -> None:
    """Check a file's format and version.

    Raises
    ------
    InputError
        If they are missing or others.
    """
    if not isinstance(tree, dict):
        raise InputError.at("", f"must be a mapping with 'format: {name}'")
    if "format" not in tree:
        raise InputError.at("format", f"is missing; this should be a file of format '{name}'")
    if tree["format"] != name:
        raise InputError.at("format", f"must be '{name}', not '{cut(tree['format'])}'")
    version = tree.get("version")
    if version is None:
        raise InputError.at("version", f"is missing; write version: {VERSION}")
    if isinstance(version, bool) or version != VERSION or not isinstance(version, int):
        raise InputError.at(
            "version", f"must be {VERSION}, not '{cut(version)}'; a newer edgeplan may read it"
        )


def _in_file_terms(fault: Fault, body: Mapping[str, Plain]) -> Fault:
    """Translate a place in the network's cost tables to the profile's."""
    table = f"costs.{body.get('device')}."
    if not fault.place.startswith(table):
        return fault
    names = {"seconds": "spans", "cv2": "spans"}
    key = fault.place.removeprefix(table)
    batch = re.fullmatch(r"batches\.(-?\d+)(?:\.(\w+))?", key)
    if batch is None:
        return Fault(names.get(key, key), fault.message)
    # The types were in order, or there would be no tables to find a fault in.
    batches = cast("list[Mapping[str, Plain]]", body["batches"])
    index = [item["requests"] for item in batches].index(int(batch[1]))
    key = "requests" if batch[2] is None else names.get(batch[2], batch[2])
    return Fault(f"batches[{index}].{key}", fault.message)


def _profile_faults(profile: Profile) -> Iterator[Fault]:
    """Yield what the types cannot say; the planner's tables are checked by `Network`."""
    nodes = len(profile.graph.nodes)
    if profile.sha256 and not re.fullmatch(r"[0-9a-f]{64}", profile.sha256):
        yield Fault("sha256", "must be 64 hexadecimal digits")
    positions = profile.positions
    if any(not 0 <= position <= nodes for position in positions):
        yield Fault("positions", f"must lie between 0 and the number of nodes, {nodes}")
    if any(a >= b for a, b in itertools.pairwise(positions)):
        yield Fault("positions", "must ascend")
    for index, (name, shape) in enumerate(profile.shapes):
        if name not in profile.graph.inputs:
            yield Fault(f"shapes[{index}][0]", f"the graph has no input '{cut(name)}'")
        if any(size < 0 for size in shape):
            yield Fault(f"shapes[{index}][1]", "must not be negative")
    for index, cut_ in enumerate(profile.graph.cuts):
        if not 0 < cut_.position < nodes:
            yield Fault(f"graph.cuts[{index}].position", f"must be inside the {nodes} nodes")
    if not (math.isfinite(profile.boundary_seconds) and profile.boundary_seconds >= 0):
        yield Fault("boundary_seconds", "must be a finite number, not negative")
    yield from _timing_faults("whole", profile.whole)
    for first, row in enumerate(profile.spans):
        for length, timing in enumerate(row):
            yield from _timing_faults(f"spans[{first}][{length}]", timing)
    yield from _batch_faults(profile)


def _batch_faults(profile: Profile) -> Iterator[Fault]:
    sizes = [batch.requests for batch in profile.batches]
    if any(a >= b for a, b in itertools.pairwise(sizes)):
        yield Fault("batches", "must ascend by requests, each size once")
    for index, batch in enumerate(profile.batches):
        place = f"batches[{index}]"
        if not (math.isfinite(batch.boundary_seconds) and batch.boundary_seconds >= 0):
            yield Fault(f"{place}.boundary_seconds", "must be a finite number, not negative")
        yield from _timing_faults(f"{place}.whole", batch.whole)
        for first, row in enumerate(batch.spans):
            for length, timing in enumerate(row):
                yield from _timing_faults(f"{place}.spans[{first}][{length}]", timing)
    for index, refused in enumerate(profile.refused_batches):
        if refused.requests < 2:
            yield Fault(f"refused_batches[{index}].requests", "must be at least 2")


def _timing_faults(place: str, timing: Timing) -> Iterator[Fault]:
    for key in ("mean_seconds", "median_seconds", "mad_seconds", "cv2", "cpu_seconds", "runs"):
        if getattr(timing, key) < 0:
            yield Fault(f"{place}.{key}", "must not be negative")
