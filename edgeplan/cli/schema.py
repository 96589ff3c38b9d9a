"""``edgeplan schema``: the JSON Schema of a file format."""

from __future__ import annotations

import click

from edgeplan.cli.options import json_option
from edgeplan.cli.output import print_json

KINDS = ("instance", "profile", "plan", "front", "run", "simulation")


@click.command("schema")
@click.argument("kind", type=click.Choice(KINDS), default="instance")
@json_option
def command(kind: str, as_json: bool) -> None:
    """Print the JSON Schema of a file format, by default of instances."""
    from edgeplan.cli.documents import schema

    print_json(schema(kind))
