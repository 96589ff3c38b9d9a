"""``edgeplan init``: a commented starter instance."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.options import json_option
from edgeplan.cli.output import note, print_json, write_text


@click.command("init")
@click.argument(
    "folder", metavar="DIR", required=False, type=click.Path(file_okay=False, path_type=Path)
)
@click.option("--force", is_flag=True, help="Overwrite DIR/instance.yaml if it is there.")
@click.option("--example", metavar="NAME", help="An instance that comes with edgeplan, instead.")
@click.option("--list-examples", is_flag=True, help="Print the names of the examples and leave.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    folder: Path | None,
    force: bool,
    example: str | None,
    list_examples: bool,
    as_json: bool,
) -> None:
    """Write DIR/instance.yaml, a commented starter instance that solves as it stands."""
    from edgeplan.instances.init import init

    if list_examples or example == "?":
        _list_examples(as_json)
        return
    if folder is None:
        raise click.MissingParameter(ctx=ctx, param=ctx.command.params[0])
    text = None if example is None else _example(example)
    (path,) = init(folder, force=force)
    if text is not None:
        write_text(path, text)
    if as_json:
        print_json({"instance": str(path)})
    else:
        from edgeplan.cli import tables

        tables.say(str(path))
    note(f"next: edgeplan solve {path}")


def _list_examples(as_json: bool) -> None:
    from edgeplan.instances import bundled

    if as_json:
        print_json({"examples": (*bundled.names(), *bundled.load_names())})
        return
    from edgeplan.cli import tables

    for name in (*bundled.names(), *bundled.load_names()):
        tables.say(name)


def _example(name: str) -> str:
    """Return the text of a bundled instance; an unknown name is told with the known ones."""
    from edgeplan.instances import bundled

    return bundled.text(name)
