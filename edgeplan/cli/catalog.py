"""``edgeplan catalog``: the devices and links that come with edgeplan, with their sources."""

from __future__ import annotations

import click

from edgeplan.cli.options import json_option
from edgeplan.cli.output import print_json


@click.command("catalog")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the catalogue, or every figure of the entry NAME with its source and year.

    A tilde marks an estimate; a dash, a figure that was not found.
    """
    from edgeplan.instances import catalogue
    from edgeplan.model.errors import InputError

    devices, links = catalogue.devices(), catalogue.links()
    if name is not None:
        if name not in devices and name not in links:
            known = ", ".join([*devices, *links])
            raise InputError.at("NAME", f"the catalogue has no '{name[:80]}'; it has {known}")
        entry = devices[name] if name in devices else links[name]
        if as_json:
            print_json(entry)
            return
        from edgeplan.cli import tables

        tables.catalogue_entry(entry)
        return
    if as_json:
        print_json({"devices": list(devices.values()), "links": list(links.values())})
        return
    from edgeplan.cli import tables

    tables.catalogue(list(devices.values()), list(links.values()))
    tables.say("edgeplan catalog NAME shows each figure's source and year; ~ marks an estimate.")
