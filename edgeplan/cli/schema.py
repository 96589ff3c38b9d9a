"""``edgeplan schema``: the JSON Schema of a file format."""

from __future__ import annotations

import click

from edgeplan.cli.options import json_option
from edgeplan.cli.output import print_json


@click.command("schema")
@click.argument(
    "kind", type=click.Choice(["instance", "profile", "plan", "front"]), default="instance"
)
@json_option
def command(kind: str, as_json: bool) -> None:
    """Print the JSON Schema of a file format: instance (default), profile, plan or front."""
    if kind == "front":
        from edgeplan.pareto.schema import front_schema

        print_json(front_schema())
        return
    from edgeplan.instances.schema import schema

    print_json(schema(kind))
