"""``edgeplan split``: the parts of a plan as ONNX files."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.load import load
from edgeplan.cli.options import input_argument, json_option
from edgeplan.cli.output import print_json


@click.command("split")
@input_argument("instance")
@input_argument("plan")
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files; made if it is not there.",
)
@json_option
def command(instance: Path, plan: Path, folder: Path, as_json: bool) -> None:
    """Write the parts that PLAN of INSTANCE cuts the networks into, one ONNX file per stage."""
    from edgeplan.execution.split import split

    read, chosen = load(instance, plan)
    result = split(read.problem, chosen, read.sources, folder)
    parts = [
        {
            "network": part.network,
            "first": part.first,
            "stop": part.stop,
            "file": str(part.path),
            "bytes": part.path.stat().st_size,
            "sha256": part.sha256,
            "inputs": [spec.name for spec in part.inputs],
            "outputs": [spec.name for spec in part.outputs],
        }
        for part in result.parts
    ]
    if as_json:
        print_json({"folder": str(result.folder), "manifest": str(result.manifest), "parts": parts})
        return
    from edgeplan.cli import tables, units

    tables.show(
        "Parts",
        ("network", "layers", "file", ">size", "inputs", "outputs"),
        (
            (
                part["network"],
                f"{part['first']}–{int(str(part['stop'])) - 1}",
                Path(str(part["file"])).name,
                units.size(float(str(part["bytes"]))),
                ", ".join(spec.name for spec in entry.inputs),
                ", ".join(spec.name for spec in entry.outputs),
            )
            for part, entry in zip(parts, result.parts, strict=True)
        ),
        footer=f"manifest: {result.manifest}",
    )
