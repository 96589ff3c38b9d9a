"""``edgeplan import``: an instance made of a file in another format."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli.load import reading
from edgeplan.cli.options import input_argument, json_option, output_option
from edgeplan.cli.output import note, print_json
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem


@click.command("import")
@click.argument("kind", metavar="FORMAT")
@input_argument("file")
@output_option("INSTANCE", "Write the instance here: YAML, or JSON by the suffix .json.")
@click.option("--contiguous", is_flag=True, help="Ask for routes whose tensors move forward only.")
@click.option("--name", metavar="NAME", help="The instance's name; else the file's.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    kind: str,
    file: Path,
    output: Path | None,
    contiguous: bool,
    name: str | None,
    as_json: bool,
) -> None:
    """Make an instance of FILE, which is in another FORMAT.

    FORMAT is assignment ((generalised) assignment problems with three objectives) or
    dnn-partitioning (graphs of msr-fiddle/dnn-partitioning, NeurIPS 2020).
    """
    if output is None:
        option = next(param for param in ctx.command.params if param.name == "output")
        raise click.MissingParameter(ctx=ctx, param=option)
    from edgeplan.instances.importers import check_format, import_file
    from edgeplan.instances.importers.saving import save

    check_format(kind)
    if output.exists() and output.samefile(file):
        raise InputError.at(str(output)[:200], "is the file to be imported; choose another")
    with reading(file):
        imported = import_file(kind, file, name=name, contiguous=contiguous)
    problem = imported.problem
    save(problem, output)
    if as_json:
        print_json({**_summary(problem), "notes": imported.notes, "instance": output})
    else:
        _show(problem)
        from edgeplan.cli import tables

        tables.say(f"instance: {output}")
    for text in imported.notes:
        note(f"note: {text}")
    note(f"next: edgeplan solve {shlex.quote(str(output))} -o plan.json")


def _summary(problem: Problem) -> dict[str, object]:
    """Return what an instance holds, in numbers."""
    weights = ("latency", "energy", "cost", "throughput")
    return {
        "name": problem.name,
        "networks": len(problem.networks),
        "layers": sum(len(network.layers) for network in problem.networks),
        "tensors": sum(len(network.tensors) for network in problem.networks),
        "devices": Counter(device.tier for device in problem.devices),
        "links": len(problem.links),
        "streams": len(problem.streams),
        "groups": sum(len(problem.groups(stream)) for stream in problem.streams),
        "objective": {
            key: weight for key in weights if (weight := getattr(problem.objective, key))
        },
        "contiguous": problem.contiguous,
    }


def _show(problem: Problem) -> None:
    from edgeplan.cli import tables, units

    summary = _summary(problem)
    tiers = Counter(device.tier for device in problem.devices)
    weights = {
        "latency": ("latency", "s"),
        "energy": ("energy", "J"),
        "cost": ("cost", "$"),
        "throughput": ("period", "s"),
    }
    pairs: dict[str, object] = {
        "holds": units.counted(summary["networks"], "network")
        + f", {units.counted(summary['layers'], 'layer')}"
        + f", {units.counted(summary['tensors'], 'tensor')}",
        "devices": ", ".join(f"{count} × {tier}" for tier, count in tiers.items())
        + f", {units.counted(summary['links'], 'link')}",
        "streams": summary["streams"],
        "layers that share a device": units.counted(summary["groups"], "group"),
        "minimise": " + ".join(
            f"{weight:g} × {name} [{unit}]"
            for key, (name, unit) in weights.items()
            if (weight := getattr(problem.objective, key))
        ),
        "aggregate": problem.objective.aggregate,
        "contiguous": "yes" if problem.contiguous else "no",
    }
    tables.facts(f"Imported {problem.name}", pairs)
