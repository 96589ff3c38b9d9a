"""``edgeplan init``: a commented starter instance."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.options import json_option
from edgeplan.cli.output import note, print_json


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite DIR/instance.yaml if it is there.")
@json_option
def command(folder: Path, force: bool, as_json: bool) -> None:
    """Write DIR/instance.yaml, a commented starter instance that solves as it stands."""
    from edgeplan.instances.init import init

    (path,) = init(folder, force=force)
    if as_json:
        print_json({"instance": str(path)})
    else:
        from edgeplan.cli import tables

        tables.say(str(path))
    note(f"next: edgeplan solve {path}")
