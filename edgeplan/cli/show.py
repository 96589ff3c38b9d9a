"""``edgeplan show``: any file of edgeplan, as tables."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from edgeplan.cli.load import load_instance, reading
from edgeplan.cli.options import input_argument, json_option
from edgeplan.cli.output import print_json
from edgeplan.model.errors import InputError


@click.command("show")
@input_argument("file")
@json_option
def command(file: Path, as_json: bool) -> None:
    """Print FILE as tables: an instance, a profile, a plan, a run report or an ONNX file.

    The file is read and checked as every command does it. --json gives what was read.
    """
    from edgeplan.instances.detect import detect

    with reading(file):
        kind = detect(file)
    match kind:
        case "network":
            _onnx(file, as_json)
        case "instance":
            _instance(file, as_json)
        case "profile":
            _profile(file, as_json)
        case "plan":
            _plan(file, as_json)
        case "run":
            _report(file, as_json)
        case other:
            with reading(file):
                raise InputError.at("format", f"cannot show a file of format 'edgeplan-{other}'")


def _instance(file: Path, as_json: bool) -> None:
    problem = load_instance(file).problem
    if as_json:
        print_json({"kind": "instance", "file": str(file), "problem": problem})
        return
    from edgeplan.cli import tables

    tables.instance(problem)


def _profile(file: Path, as_json: bool) -> None:
    from edgeplan.instances.profiles import read_profile

    with reading(file):
        profile = read_profile(file)
    if as_json:
        from edgeplan.cli.profile import summary

        print_json({"kind": "profile", "file": str(file), **summary(profile)})
        return
    from edgeplan.cli import tables

    tables.profile(profile)


def _plan(file: Path, as_json: bool) -> None:
    from edgeplan.instances.plans import read_plan

    with reading(file):
        plan = read_plan(file)
    if as_json:
        document = {
            "kind": "plan",
            "file": str(file),
            "problem": plan.problem_name,
            "fingerprint": plan.fingerprint,
            "routes": plan.plan.routes,
            "replicas": plan.plan.replicas,
            "about": plan.about,
        }
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.plan(plan.plan)
    if plan.plan.replicas:
        tables.facts("Replicas", plan.plan.replicas)
    tables.facts(
        f"Made for '{plan.problem_name}'" if plan.problem_name else "Made for a problem not named",
        {
            "fingerprint": plan.fingerprint[:12],
            **{key: _rounded(key, value) for key, value in plan.about.items()},
        },
    )


def _rounded(key: str, value: object) -> object:
    """Return what a plan file says of itself, its numbers for people."""
    from edgeplan.cli import units

    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    named = {"gap": units.percent, "seconds": units.seconds}
    return named.get(key, units.number)(float(value))


def _report(file: Path, as_json: bool) -> None:
    from edgeplan.instances.document import read_document

    with reading(file):
        report = read_document(file).value
    if not isinstance(report, Mapping):
        raise InputError.at(str(file)[:200], "is not a run report")
    if as_json:
        print_json({"kind": "run", "file": str(file), "report": report})
        return
    from edgeplan.cli import tables

    tables.run_report(report)


def _onnx(file: Path, as_json: bool) -> None:
    from edgeplan.networks.preparing import prepare

    with tempfile.TemporaryDirectory(prefix="edgeplan-show-") as folder:
        prepared = prepare(file, folder=folder)
    graph = prepared.graph
    document: dict[str, object] = {
        "kind": "onnx",
        "file": str(file),
        "sha256": prepared.source.sha256,
        "shapes": {name: list(shape) for name, shape in prepared.source.shapes},
        "layers": len(graph.nodes),
        "cuts": len(graph.single_cuts),
        "all_cuts": len(graph.cuts),
        "parameters": graph.parameters,
        "macs": graph.macs,
        "uncounted": list(graph.uncounted),
        "weight_bytes": graph.weight_bytes,
        "file_bytes": graph.file_bytes,
    }
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables, units

    tables.facts(
        file.name,
        {
            "file": f"{units.size(graph.file_bytes)}, sha256 {prepared.source.sha256[:12]}",
            "inputs": ", ".join(
                f"{name} {'×'.join(map(str, shape))}" for name, shape in prepared.source.shapes
            ),
            "outputs": ", ".join(graph.outputs),
            "nodes": units.count(len(graph.nodes)) + " (constants folded)",
            "cuts": f"{len(graph.cuts)}, {len(graph.single_cuts)} of a single tensor",
            "parameters": f"{units.count(graph.parameters)} ({units.size(graph.weight_bytes)})",
            "multiply-accumulates": units.count(graph.macs)
            + (f" (not counted: {', '.join(graph.uncounted[:8])})" if graph.uncounted else ""),
        },
    )
    tables.show(
        "Cuts",
        (">before node", "node", ">bytes", ">tensors", ">forwarded inputs"),
        (
            (
                cut.position,
                graph.nodes[cut.position].name,
                units.size(cut.bytes),
                len(cut.tensors),
                len(cut.inputs),
            )
            for cut in graph.cuts
        ),
    )
