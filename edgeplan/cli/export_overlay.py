"""``edgeplan export-overlay``: a plan as node data for graph viewers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli.load import load
from edgeplan.cli.options import input_argument, input_option, json_option, output_option
from edgeplan.cli.output import clean_text, json_text, note, print_json, write_text
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem


@click.command("export-overlay")
@input_argument("plan")
@input_option("--instance", text="The instance of the plan.", required=True)
@output_option(
    "FILE.json",
    "Write the node data here: devices as FILE.json, the others as FILE.seconds.json and "
    "FILE.bytes.json. Of several routes each has its own, as FILE-STREAM.json.",
    required=True,
)
@click.option("--stream", metavar="NAME", help="Only this stream.")
@json_option
def command(plan: Path, instance: Path, output: Path, stream: str | None, as_json: bool) -> None:
    """Write where PLAN runs each ONNX node as node data for Google's Model Explorer.

    \b
    device   the device that runs the node, a colour for each
    seconds  predicted time of the layer that holds the node
    bytes    what the node makes and is sent over links

    Open the ONNX file that is named in Model Explorer (with its adapter for ONNX) and add the node
    data there.
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from edgeplan.model.evaluate import evaluate
    from edgeplan.networks.overlay import PlacedNodes, overlays, placed_nodes

    read, chosen = load(instance, plan)
    problem = read.problem
    _check_stream(problem, stream)
    evaluation = evaluate(problem, chosen)
    routes = [
        (price.name, number, route)
        for price in evaluation.streams
        if stream in (None, price.name)
        for number, route in enumerate(price.routes)
    ]
    known: dict[str, PlacedNodes] = {}
    written = []
    for name, number, route in routes:
        network = problem.network[problem.stream[name].network]
        source = read.sources.get(network.name)
        if source is None:
            message = "there is no ONNX file for it: profile it, or name one"
            raise InputError.at(f"networks.{network.name[:80]}", message)
        if network.name not in known:
            known[network.name] = placed_nodes(network, source)
            if gone := known[network.name].not_found:
                shown = clean_text(", ".join(gone[:4]))
                note(
                    f"note: {clean_text(network.name)}: folding made {shown}, which the file "
                    "itself has not: nodes that it stands for may be shown with the layer after"
                )
        placed = known[network.name]
        several = sum(each[0] == name for each in routes) > 1
        label = f"{clean_text(name, 40)}" + (f" #{number + 1}" if several else "")
        made = overlays(
            network,
            route,
            placed,
            devices=[device.name for device in problem.devices],
            of=f"{label} ({clean_text(problem.name, 40)})",
            about={
                "onnx": str(source.path),
                "sha256": placed.sha256,
                "graph": placed.graph,
                "instance": problem.name,
                "network": network.name,
                "stream": name,
                "route": number,
            },
        )
        for kind, document in made.items():
            file = _file(output, name if len(routes) > 1 else "", number if several else None, kind)
            write_text(file, json_text(document))
            written.append(
                {
                    "file": str(file),
                    "shows": kind,
                    "stream": name,
                    "route": number,
                    "onnx": str(source.path),
                    "nodes": len(document["results"]),
                }
            )
    if as_json:
        print_json({"files": written})
        return
    from edgeplan.cli import tables

    tables.show(
        "Node data",
        ("file", "shows", "stream", ">nodes", "of the ONNX file"),
        ((each["file"], each["shows"], each["stream"], each["nodes"], each["onnx"])
         for each in written),
        footer="In Model Explorer open the ONNX file, then add the node data.",
    )  # fmt: skip


def _check_stream(problem: Problem, stream: str | None) -> None:
    known = [each.name for each in problem.streams]
    if stream is not None and stream not in known:
        shown = ", ".join(clean_text(name, 40) for name in known[:12])
        message = f"there is no stream '{clean_text(stream, 40)}'; streams: {shown}"
        raise InputError.at("--stream", message)


def _file(output: Path, stream: str, route: int | None, kind: str) -> Path:
    """Return the name of a file beside the one that was asked for."""
    from edgeplan.execution.split import safe_name

    stem = output.name.removesuffix(".json")
    if stream:
        stem += f"-{safe_name(stream)}"
    if route is not None:
        stem += f"-{route + 1}"
    ending = "" if kind == "device" else f".{kind}"
    return output.with_name(f"{stem}{ending}.json")
