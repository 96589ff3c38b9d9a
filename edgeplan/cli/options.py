"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from edgeplan.model.errors import InputError

Decorated = TypeVar("Decorated", bound=Callable[..., object])

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else."
)

threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads to use."
)

objective_option = click.option(
    "--objective",
    metavar="NAME",
    help="Minimise this instead of what the instance says: latency, energy, cost or throughput "
    "(that is the period, its inverse); weighted keeps it.",
)

contiguous_option = click.option(
    "--contiguous", is_flag=True, help="Ask for routes whose devices can be put in order."
)


def input_argument(name: str) -> Callable[[Decorated], Decorated]:
    """Return an argument for a regular file that is there.

    A pipe or a device is refused, since it may never end.
    """
    return click.argument(name, type=click.Path(path_type=Path), callback=_input)


def input_option(
    *names: str,
    text: str,
    required: bool = False,
) -> Callable[[Decorated], Decorated]:
    """Return an option for a regular file that is there."""
    return click.option(
        *names,
        type=click.Path(path_type=Path),
        callback=_input,
        metavar="FILE",
        help=text,
        required=required,
    )


def output_option(
    metavar: str, text: str, *, required: bool = False
) -> Callable[[Decorated], Decorated]:
    """Return ``-o``: a file to be written in a folder that is there, told before any work."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        callback=_output,
        metavar=metavar,
        help=text,
        required=required,
    )


def folder_option(text: str) -> Callable[[Decorated], Decorated]:
    """Return ``-o``: a folder for several files, made where it is missing."""
    return click.option(
        "-o",
        "--output",
        "folder",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        required=True,
        help=text,
    )


def make_folder(folder: Path) -> None:
    """Make a folder that is to be written to.

    Raises
    ------
    InputError
        If that cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fault = "" if os.access(folder, os.W_OK) else "may not be written to"
    except (OSError, ValueError) as error:
        fault = f"cannot be made: {getattr(error, 'strerror', None) or error}"
    if fault:
        raise InputError.at(str(folder)[:200], fault)


def _input(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        if path.is_file():
            return path
        fault = "is not a file" if path.exists() else "there is no such file"
    except (OSError, ValueError) as error:  # a name too long or with a zero byte
        fault = str(getattr(error, "strerror", None) or error)
    raise InputError.at(str(path)[:200], fault)


def _output(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        folder = path.absolute().parent
        if path.is_dir():
            fault = "is a folder"
        elif not folder.is_dir():
            fault = f"its folder does not exist; mkdir -p {folder} makes it"
        elif not os.access(folder, os.W_OK):
            fault = "its folder may not be written to"
        else:
            return path
    except (OSError, ValueError) as error:
        fault = str(getattr(error, "strerror", None) or error)
    raise InputError.at(str(path)[:200], fault)
