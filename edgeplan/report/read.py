"""From files and folders to the page that shows them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.instances.detect import detect
from edgeplan.instances.units import cut_path
from edgeplan.model.errors import Fault, InputError
from edgeplan.pareto.files import JSON_NAME
from edgeplan.sweeps.sweep import HEADER_NAME

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.page import Page

BUILDERS: Mapping[str, str] = {
    "front": "edgeplan.report.fronts",
    "plan": "edgeplan.report.plans",
    "result": "edgeplan.report.plans",
    "run": "edgeplan.report.runs",
    "simulation": "edgeplan.report.simulations",
    "load-sweep": "edgeplan.report.load_sweeps",
    "comparison": "edgeplan.report.load_sweeps",
    "sweep": "edgeplan.report.sweeps",
    "parameter-sweep": "edgeplan.report.sweeps",
}
"""By kind of file: the module whose ``page(sources, problem)`` makes the page."""


@dataclass(frozen=True)
class Source:
    """A file to be shown.

    Parameters
    ----------
    given
        As the user named it: the file, or its folder.
    file
        The file.
    kind
        What it is: ``front``, ``plan``, ``run``, …; ``points`` is a CSV file of any planner's.
    """

    given: Path
    file: Path
    kind: str

    @property
    def name(self) -> str:
        """What the page calls it."""
        return str(self.given)


def find(path: Path) -> Source:
    """Return what a file or a folder is.

    Raises
    ------
    InputError
        If it is missing, or no file that can be shown.
    """
    if path.is_dir():
        if (path / JSON_NAME).is_file():
            return Source(path, path / JSON_NAME, "front")
        if (path / HEADER_NAME).is_file():
            return Source(path, path / HEADER_NAME, "sweep")
        raise InputError.at(
            cut_path(path),
            f"is a folder without {JSON_NAME} or {HEADER_NAME}: name the file to be shown",
        )
    if path.suffix.lower() == ".csv":
        return Source(path, path, "points")
    try:
        return Source(path, path, detect(path))
    except InputError as error:
        raise InputError([_in_file(path, fault) for fault in error.faults]) from None


def build(paths: Sequence[Path], instance: Path | None = None, *, force: bool = False) -> Page:
    """Return the page of files.

    Parameters
    ----------
    paths
        Files and folders that edgeplan wrote: one of any kind, or several fronts.
    instance
        The instance that they are of, where it does not lie beside them.
    force
        Lay even fronts of different instances over each other, or fronts with different
        objectives by those that all have.

    Raises
    ------
    InputError
        If something cannot be read or shown, or the files do not go on one page.
    """
    sources = [find(path) for path in paths]
    kind = sources[0].kind
    if kind not in BUILDERS:
        known = ", ".join(BUILDERS)
        raise InputError.at(
            cut_path(paths[0]),
            f"is a file of kind '{kind}', of which there is no page; there is one of: {known}",
        )
    for source in sources[1:]:
        together = kind == "front" and source.kind in ("front", "points")
        if not together:
            message = f"is of kind '{source.kind}': only fronts go on one page together"
            raise InputError.at(cut_path(source.given), message)
    problem = None if instance is None else _problem(instance)
    maker = importlib.import_module(BUILDERS[kind])
    page: Page
    if kind == "front":
        page = maker.page(sources, problem, force=force)
    elif force:
        raise InputError.at(cut_path(paths[0]), f"is of kind '{kind}': only fronts are compared")
    else:
        page = maker.page(sources, problem)
    return page


def _problem(path: Path) -> Problem:
    from edgeplan.instances.read import read_instance

    try:
        return read_instance(path).problem
    except InputError as error:
        raise InputError([_in_file(path, fault) for fault in error.faults]) from None


def _in_file(path: Path, fault: Fault) -> Fault:
    place = cut_path(path)
    return (
        fault
        if place in fault.place
        else Fault(f"{place}: {fault.place}".rstrip(": "), fault.message)
    )
