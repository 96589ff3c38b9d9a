"""Reading files so that every fault says in which of them it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.cli.output import clean_text, note
from edgeplan.model.errors import Fault, InputError

if TYPE_CHECKING:
    from edgeplan.instances.instance import Instance
    from edgeplan.instances.plans import PlanFile
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Problem


class FileError(InputError):
    """Faults of one file.

    Parameters
    ----------
    error
        With the faults, their places as they are in the file.
    file
        The file's name as the user gave it.
    hint
        What probably happened, said before the faults; empty where nothing is known.
    """

    def __init__(self, error: InputError, file: Path, hint: str = "") -> None:
        super().__init__(error.faults)
        self.file = str(file)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (InputError(self.faults), Path(self.file), self.hint)


@contextmanager
def reading(file: Path, kind: str = "") -> Iterator[None]:
    """Name the file in the faults of reading it.

    Parameters
    ----------
    file
        The file that is read within.
    kind
        What it should be (``instance``, ``plan``, …): said where the file is something else.

    Raises
    ------
    FileError
        In place of an `InputError`.
    """
    try:
        yield
    except FileError:
        raise
    except InputError as error:
        raise FileError(error, file, _other_kind(file, kind) if kind else "") from error


def load_instance(path: Path) -> Instance:
    """Return an instance.

    Raises
    ------
    FileError
        If it is not valid, with every fault.
    """
    from edgeplan.instances.read import read_instance

    with reading(path, "instance"):
        return read_instance(path)


def is_for(problem: Problem, file: PlanFile) -> bool:
    """Say whether a plan file was made for this very problem."""
    from edgeplan.instances.plans import fingerprint

    return fingerprint(problem) == file.fingerprint


def as_made(problem: Problem, file: PlanFile) -> Problem:
    """Return the problem with the options of ``solve`` under which a plan was made.

    That is the problem itself where the file does not say, or was made for another problem.
    """
    from edgeplan.instances.plans import made_for

    variant, options = made_for(problem, file)
    if options:
        note(f"note: the plan was made with {' '.join(options)}; so is this")
    return variant


def load(
    instance: Path, plan: Path, objective: str | None = None, *, contiguous: bool = False
) -> tuple[Instance, Plan]:
    """Return an instance and a plan that speaks of its streams, layers and devices.

    Parameters
    ----------
    instance, plan
        The files.
    objective, contiguous
        What the problem is asked for instead; without either, that with which the plan was
        made.

    Raises
    ------
    FileError
        If either file is not valid, with every fault of the first that is not.
    """
    read, file = load_file(instance, plan)
    problem = as_made(read.problem, file)
    if file.fingerprint and not is_for(problem, file):
        made_for, this = clean_text(file.problem_name), clean_text(read.problem.name)
        which = (
            f"another version of '{this}'"
            if made_for == this
            else f"another problem, '{made_for}' (this instance is '{this}')"
        )
        note(f"note: {plan} was made for {which}: it fits, but was not optimised for this one")
    if objective is not None or contiguous:
        problem = read.problem.asked(objective, contiguous=contiguous)
    return dataclasses.replace(read, problem=problem), file.plan


def load_file(instance: Path, plan: Path) -> tuple[Instance, PlanFile]:
    """Return an instance, and all that a plan file for it holds.

    Raises
    ------
    FileError
        As `load` does.
    """
    from edgeplan.instances.plans import read_plan

    try:
        read = load_instance(instance)
    except FileError as error:
        if error.hint and _kind(instance) == "plan":
            error.hint += "; was the order meant to be INSTANCE PLAN?"
        raise
    try:
        file = read_plan(plan, read.problem)
    except InputError as error:
        hint = _other_kind(plan, "plan") or _other_problem(plan, read)
        raise FileError(error, plan, hint) from error
    return read, file


def _kind(file: Path) -> str:
    """Return the kind that a file says it is of; empty where it says nothing."""
    from edgeplan.instances.detect import detect

    try:
        return detect(file)
    except InputError:
        return ""


def _other_kind(file: Path, wanted: str) -> str:
    """Say what a file is, where it is not what was wanted."""
    kind = _kind(file)
    if kind in ("", wanted):
        return ""
    what = "an ONNX file" if kind == "network" else f"an edgeplan-{clean_text(kind)}"
    return f"{clean_text(file.name)} is {what}, not an edgeplan-{wanted}"


def _other_problem(file: Path, read: Instance) -> str:
    """Say that a plan was made for another problem, where it says so itself."""
    from edgeplan.instances.plans import fingerprint, read_plan

    try:
        plan = read_plan(file)
    except InputError:
        return ""
    if not plan.fingerprint or plan.fingerprint == fingerprint(read.problem):
        return ""
    made_for, this = clean_text(plan.problem_name), clean_text(read.problem.name)
    if made_for == this:
        return f"{clean_text(file.name)} was made for another version of '{this}'"
    return f"{clean_text(file.name)} was made for '{made_for}', this instance is '{this}'"


def with_names(error: InputError, names: Mapping[str, str]) -> InputError:
    """Return an error that names files in place of letters, and the option by its name.

    Parameters
    ----------
    error
        Of a comparison of sets that are called A, B, ….
    names
        The files by letter.
    """
    return InputError(
        [
            Fault(
                f"{fault.place} ({names[fault.place][:100]})"
                if fault.place in names
                else fault.place,
                fault.message.replace("force compares", "--force compares"),
            )
            for fault in error.faults
        ]
    )
