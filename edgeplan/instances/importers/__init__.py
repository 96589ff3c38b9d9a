"""Other people's files as problems: one small importer per format, listed in `FORMATS`.

An importer takes the checked tree of a JSON file and returns a problem in edgeplan's terms. It
says in its module where the format comes from, what the file's numbers mean there, and what was
assumed to put them into an instance; it gathers every fault of the file with its place.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeplan.instances.document import Plain, parse_json, read_text
from edgeplan.instances.importers.assignment import import_assignment
from edgeplan.instances.importers.dnn_partitioning import import_dnn_partitioning
from edgeplan.instances.importers.imported import Imported
from edgeplan.instances.units import cut
from edgeplan.model.errors import InputError

__all__ = ["FORMATS", "Format", "Imported", "import_file"]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format that can be imported.

    Parameters
    ----------
    summary
        What such files hold, in one line.
    importer
        Takes a file's tree and the name that the problem is to have. Raises `InputError` with
        every fault, placed as the file has it (``nodes[3].size``).
    """

    summary: str
    importer: Callable[[Plain, str], Imported]


FORMATS: Mapping[str, Format] = {
    "assignment": Format(
        summary="(generalised) assignment problems with three objectives, JSON",
        importer=import_assignment,
    ),
    "dnn-partitioning": Format(
        summary="graphs of msr-fiddle/dnn-partitioning (NeurIPS 2020), JSON",
        importer=import_dnn_partitioning,
    ),
}
"""Importers by the name of their format."""


def import_file(
    kind: str, path: Path, *, name: str | None = None, contiguous: bool = False
) -> Imported:
    """Read a file of another format as a problem.

    Parameters
    ----------
    kind
        A name in `FORMATS`.
    path
        A JSON file, whatever its suffix, of at most `edgeplan.instances.document.MAX_BYTES`.
    name
        The problem's name; the file's, without its suffix, where absent.
    contiguous
        Whether the problem asks for contiguous routes (see `Problem.contiguous`).

    Returns
    -------
    Imported
        The problem, and what a person should know about it.

    Raises
    ------
    InputError
        If there is no such format, or with every fault found in the file.
    """
    check_format(kind)
    if name == "":
        raise InputError.at("name", "must not be empty")
    tree = parse_json(read_text(path)).value
    imported = FORMATS[kind].importer(tree, path.stem if name is None else name)
    if not contiguous:
        return imported
    problem = dataclasses.replace(imported.problem, contiguous=True)
    return dataclasses.replace(imported, problem=problem)


def check_format(kind: str) -> None:
    """Check that a format can be imported.

    Raises
    ------
    InputError
        If not; the known ones are listed.
    """
    if kind not in FORMATS:
        known = "; ".join(f"{key}: {entry.summary}" for key, entry in FORMATS.items())
        raise InputError.at("FORMAT", f"there is no format '{cut(kind)}'; known are {known}")
