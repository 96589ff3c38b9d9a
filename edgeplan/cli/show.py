"""``edgeplan show``: any file of edgeplan, as tables."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli.load import load, load_file, load_instance, reading
from edgeplan.cli.options import input_option, json_option
from edgeplan.cli.output import print_json
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.instances.plans import PlanFile


@click.command("show")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE_OR_FOLDER")
@input_option("--instance", text="The instance of a plan: then it is priced, with what to beat.")
@json_option
def command(file: Path, instance: Path | None, as_json: bool) -> None:
    """Print FILE_OR_FOLDER as tables and small pictures.

    An instance, a profile, a plan, a run report, an ONNX file, a front or a sweep (the folder, or
    its front.json or sweep.json), and what solve, simulate and baselines give with --json. The
    file is read and checked as every command does it. --json gives what was read.
    """
    with reading(file):
        kind = _kind(file)
        if instance is not None and kind != "plan":
            raise InputError.at("--instance", f"is for a plan; this is a file of kind '{kind}'")
    match kind:
        case "network":
            _onnx(file, as_json)
        case "instance":
            _instance(file, as_json)
        case "profile":
            _profile(file, as_json)
        case "plan" if instance is not None:
            _priced_plan(file, instance, as_json)
        case "plan":
            _plan(file, as_json)
        case "run":
            _report(file, as_json)
        case "front":
            _front(file, as_json)
        case "sweep":
            _sweep(file, as_json)
        case "simulation":
            _simulation(file, as_json)
        case "result" | "comparison" | "load-sweep":
            _stated(file, kind, as_json)
        case other:
            with reading(file):
                raise InputError.at(
                    "format",
                    f"cannot show a file of format 'edgeplan-{other}' in a terminal; edgeplan "
                    "report makes a page of it",
                )


def _kind(file: Path) -> str:
    """Return what a file or a folder is.

    Raises
    ------
    InputError
        If it is missing or neither.
    """
    from edgeplan.instances.detect import detect
    from edgeplan.instances.units import cut_path

    if not file.is_dir():
        return detect(file)
    found = [kind for kind, name in _FOLDERS.items() if (file / name).is_file()]
    if not found:
        known = " or ".join(_FOLDERS.values())
        raise InputError.at(cut_path(file), f"is a folder without {known}: name a file")
    return found[0]


MOST_BYTES = 1 << 28
"""Of a file that ``--json`` printed."""
_FOLDERS = {"front": "front.json", "sweep": "sweep.json"}
"""By kind of folder, the file that is in it (those of `edgeplan.pareto` and `edgeplan.sweeps`)."""


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
    tables.say("")
    tables.plan_drawing(plan.plan)
    if plan.plan.replicas:
        tables.facts("Replicas", plan.plan.replicas)
    _made_for(plan)


def _priced_plan(file: Path, instance: Path, as_json: bool) -> None:
    """Print a plan with its price, the plans to beat, and the bound that its file claims."""
    from edgeplan.model.evaluate import evaluate
    from edgeplan.result import baseline_json, evaluation_json
    from edgeplan.solvers.baselines import baselines

    read, stated = load_file(instance, file)
    problem = load(instance, file)[0].problem
    evaluation = evaluate(problem, stated.plan)
    known = baselines(problem)
    if as_json:
        document = {
            "kind": "plan",
            "file": str(file),
            "instance": str(instance),
            "problem": read.problem.name,
            "evaluation": evaluation_json(evaluation),
            "baselines": {baseline.name: baseline_json(baseline) for baseline in known},
            "claim": stated.claim,
            "about": stated.about,
        }
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.drawing(problem, evaluation)
    tables.stages(problem, evaluation)
    tables.loads(problem, evaluation)
    tables.considered(problem, known, "this plan", evaluation)
    tables.totals(problem, evaluation)
    tables.violations(evaluation)
    tables.say("")
    if stated.claim is not None:
        tables.claimed(problem, stated.claim, evaluation)
    _made_for(stated, told=() if stated.claim is None else ("objective", "bound", "gap", "basis"))


def _made_for(plan: PlanFile, told: Collection[str] = ()) -> None:
    """Print what a plan file says of itself, but for what was told."""
    from edgeplan.cli import tables

    tables.facts(
        f"Made for '{plan.problem_name}'" if plan.problem_name else "Made for a problem not named",
        {
            "fingerprint": plan.fingerprint[:12],
            **{k: _rounded(k, value) for k, value in plan.about.items() if k not in told},
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


def _front(file: Path, as_json: bool) -> None:
    from edgeplan.pareto.files import read_front

    with reading(file):
        found = read_front(file)
    if as_json:
        print_json({"kind": "front", "file": str(file), **found.as_json()})
        return
    from edgeplan.cli import tables

    tables.front(found)


def _sweep(file: Path, as_json: bool) -> None:
    from edgeplan.sweeps.reading import read_sweeps

    folder = file if file.is_dir() else file.parent
    with reading(file):
        found = read_sweeps(folder)
    if as_json:
        print_json(
            {
                "kind": "sweep",
                "folder": str(folder),
                "sweeps": [each.as_json() for each in found],
            }
        )
        return
    from edgeplan.cli import tables

    for each in found:
        tables.parameter_sweep(each)


def _simulation(file: Path, as_json: bool) -> None:
    from edgeplan.cli.simulation_files import read_simulation

    with reading(file):
        document, found, predicted = read_simulation(file)
    if as_json:
        print_json({"kind": "simulation", "file": str(file), "simulation": document})
        return
    from edgeplan.cli import tables

    tables.simulation(found, predicted)


def _stated(file: Path, kind: str, as_json: bool) -> None:
    """Print what ``solve --json`` or ``baselines --json`` printed."""
    from edgeplan.instances.codec import decode
    from edgeplan.instances.document import read_document
    from edgeplan.model.plan import Plan

    part = "points" if kind == "load-sweep" else "baselines"
    with reading(file):
        document = read_document(file, max_bytes=MOST_BYTES).value
        if not isinstance(document, Mapping) or part not in document:
            raise InputError.at(part, "is missing")
        routes = document.get("routes")
        tree = {"routes": routes, "replicas": document.get("replicas") or {}}
        made = None if kind != "result" or routes is None else decode(Plan, tree)
    if as_json:
        print_json({"kind": kind, "file": str(file), kind.replace("-", "_"): document})
        return
    from edgeplan.cli import tables

    if made is not None:
        tables.plan(made)
        tables.say("")
        tables.plan_drawing(made)
    {
        "result": tables.stated_result,
        "comparison": tables.stated_comparison,
        "load-sweep": tables.stated_load_sweep,
    }[kind](document)


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
