"""What kind of file a file is, by its header."""

from __future__ import annotations

import re
from pathlib import Path

from edgeplan.instances.document import check_file, read_document
from edgeplan.instances.profiles import MAX_PROFILE_BYTES
from edgeplan.instances.units import cut_path
from edgeplan.model.errors import InputError

_HEADER = re.compile(
    r"""\A(?:\s|\#[^\n]*\n|\{)*["']?format["']?\s*:\s*["']?edgeplan-([a-z][a-z-]{0,40})\b"""
)
_HEAD_BYTES = 4096


def detect(path: Path) -> str:
    """Return the kind of an edgeplan file: ``instance``, ``profile``, ``plan``, ``run``, ….

    Parameters
    ----------
    path
        Any file. ``.onnx`` files are ``network``; every other file says itself what it is, in
        its key ``format``.

    Raises
    ------
    InputError
        If it is missing, unreadable or says nothing of the kind.

    Notes
    -----
    Files that edgeplan wrote begin with their format, so that the first lines suffice; the kind
    does not mean that the file is valid.
    """
    check_file(path)
    if path.suffix.lower() == ".onnx":
        return "network"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8-sig", "replace")
    except OSError as error:
        raise InputError.at(cut_path(path), f"cannot be read: {error.strerror}") from None
    match = _HEADER.match(head)
    if match is not None:
        return match[1]
    tree = read_document(path, max_bytes=MAX_PROFILE_BYTES).value
    name = tree.get("format") if isinstance(tree, dict) else None
    if isinstance(name, str) and name.startswith("edgeplan-"):
        return name.removeprefix("edgeplan-")
    raise InputError.at(
        "format", "is missing: no edgeplan file; such files say 'format: edgeplan-…' at their top"
    )
