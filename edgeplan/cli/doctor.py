"""``edgeplan doctor``: what this installation has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgeplan.cli.group import FAILED
from edgeplan.cli.options import json_option
from edgeplan.cli.output import print_json

if TYPE_CHECKING:
    from edgeplan.doctor import Diagnosis


@click.command("doctor")
@json_option
def command(as_json: bool) -> None:
    """Say what is installed here and what is not, what each lack costs and what helps.

    Exit code 1 if something is missing that edgeplan cannot do without, else 0.
    """
    from edgeplan.doctor import diagnose

    found = diagnose()
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    if not found.healthy:
        raise click.exceptions.Exit(FAILED)


def _print(found: Diagnosis) -> None:
    try:
        from edgeplan.cli import tables
    except ImportError:  # what tables need may be just what is missing
        _print_plainly(found)
        return
    tables.diagnosis(found)


def _print_plainly(found: Diagnosis) -> None:
    for name, text in {**found.versions, **found.machine}.items():
        click.echo(f"{name}: {text}")
    for lack in found.lacks:
        click.echo(f"{lack.what}: {lack.why}. It costs: {lack.costs}. Remedy: {lack.remedy}")
    click.echo("edgeplan works" if found.healthy else "edgeplan does not work as it is")
