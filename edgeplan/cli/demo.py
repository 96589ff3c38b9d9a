"""``edgeplan demo``: three real networks on three tiers, from ONNX files to a measured plan."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli import demo_scene as scene
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.options import json_option
from edgeplan.cli.output import json_text, note, print_json, write_text
from edgeplan.model.errors import InputError, InterruptedRunError

if TYPE_CHECKING:
    import threading

    from edgeplan.execution.report import RunReport
    from edgeplan.model.plan import Plan
    from edgeplan.model.profile import Profile
    from edgeplan.result import Result


@click.command("demo")
@click.option(
    "--zoo",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".zoo"),
    show_default=True,
    help="Folder with the ONNX files (make zoo).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for everything that the demo makes.",
)
@click.option("--requests", type=click.IntRange(1, 1000), default=10, show_default=True)
@click.option("--fresh", is_flag=True, help="Measure again what the store already holds.")
@json_option
def command(zoo: Path, output: Path, requests: int, fresh: bool, as_json: bool) -> None:
    """Profile three networks, predict the boards, plan, prove, run, and compare.

    A shop: two cameras, a gateway and a cloud machine. Pictures of people must not leave the
    site, the cameras and the gateway have little memory left, and the cloud is far.
    """
    began = time.perf_counter()
    with stop_on_interrupt("what the demo has written") as stop:
        _check_zoo(zoo)
        output.mkdir(parents=True, exist_ok=True)
        measured = _profiles(zoo, output, stop, fresh=fresh, quiet=as_json)
        result = _plan(output, measured, stop, quiet=as_json)
        if result.plan is None:
            raise InputError.at(str(output / scene.INSTANCE), "has no feasible plan")
        report = _run(output, measured, result.plan, requests, stop, quiet=as_json)
    seconds = time.perf_counter() - began
    if as_json:
        print_json(
            {
                "folder": str(output),
                "seconds": seconds,
                "solve": result.as_json(output / scene.PLAN),
                "run": report.as_json(),
            }
        )
        return
    from edgeplan.cli import tables

    tables.facts(
        f"Left in {output}/ after {seconds:.0f} s",
        {
            scene.INSTANCE: "the shop, with profiles predicted for its machines",
            scene.PLAN: "the plan, with its price",
            scene.HERE: "the same shop with every machine played by this one",
            f"{scene.PARTS}/": "the networks split as planned, one ONNX file per stage",
            scene.REPORT: "what the run measured",
        },
    )
    tables.say(f"try: edgeplan solve {output / scene.INSTANCE} --objective energy")


def _check_zoo(zoo: Path) -> None:
    gone = [str(zoo / n.file) for n in scene.NETWORKS if not (zoo / n.file).is_file()]
    if gone:
        raise InputError.at(str(zoo), f"{', '.join(gone)} missing; make zoo fetches the networks")


def _step(number: int, text: str, quiet: bool) -> None:
    """Announce a step among the results, or as chatter under ``--json``."""
    if quiet:
        note(f"{number}. {text}")
        return
    from edgeplan.cli import tables

    tables.say(f"{number}. {text}", "bold cyan")


def _profiles(
    zoo: Path, output: Path, stop: threading.Event, *, fresh: bool, quiet: bool
) -> Mapping[str, Profile]:
    """Measure every network here, predict it for the boards, and write all profiles."""
    from edgeplan.cli import units
    from edgeplan.cli.profile import watching
    from edgeplan.instances import catalogue
    from edgeplan.instances.profiles import write_profile
    from edgeplan.profiling import measure, predict

    _step(1, "Profile the networks here, and predict them for the machines of the shop", quiet)
    folder = output / scene.PROFILES
    folder.mkdir(exist_ok=True)
    measured: dict[str, Profile] = {}
    networks: list[tuple[str, str, int, int]] = []
    times: list[tuple[str, str, str, str]] = []
    for network in scene.NETWORKS:
        file = output / f"{network.name}.onnx"
        shutil.copyfile(zoo / network.file, file)
        with watching() as on_progress:
            profile = measure.profile(
                file,
                name=network.name,
                shapes=dict(network.shapes),
                max_cuts=network.cuts,
                fresh=fresh,
                on_progress=on_progress,
                stop=stop,
            )
        measured[network.name] = profile
        write_profile(profile, folder / f"{network.name}.here.json")
        graph = profile.graph
        weights = units.size(graph.weight_bytes)
        networks.append((network.name, weights, len(graph.cuts), len(profile.positions)))
        here = units.seconds(profile.whole.median_seconds)
        times.append((network.name, "this machine", here, "measured"))
        for device, entry in scene.BOARDS.items():
            predicted = predict.predict(profile, catalogue.device(entry))
            write_profile(predicted, folder / f"{network.name}.{entry}.json")
            there = units.seconds(predicted.whole.mean_seconds)
            times.append(("", f"{device} ({entry})", there, "predicted"))
    if not quiet:
        _show_profiles(networks, times)
    return measured


def _show_profiles(
    networks: Sequence[tuple[str, str, int, int]], times: Sequence[tuple[str, str, str, str]]
) -> None:
    """Print the networks, and what each takes on each machine."""
    from edgeplan.cli import tables

    tables.show("Networks", ("network", ">weights", ">cuts", ">cuts kept"), networks)
    tables.show(
        "Unsplit, a request at a time",
        ("network", "machine", ">time", "basis"),
        times,
        footer="predicted: by a roofline from the measured time and the catalogue's figures.",
    )


def _plan(
    output: Path, measured: Mapping[str, Profile], stop: threading.Event, *, quiet: bool
) -> Result:
    """Write the instance, solve it to a closed gap and print the plan beside the baselines."""
    from edgeplan import planner
    from edgeplan.cli import tables
    from edgeplan.cli.solve import about
    from edgeplan.instances.plans import write_plan
    from edgeplan.instances.read import read_instance

    _step(2, "Plan: where does each layer run?", quiet)
    file = output / scene.INSTANCE
    write_text(file, scene.instance_text(measured))
    problem = read_instance(file).problem
    result = planner.plan(problem, solver="auto", gap=1e-6, time_limit=60, stop=stop)
    if stop.is_set():
        raise InterruptedRunError("the demo was stopped while it planned")
    if result.plan is not None:
        write_plan(result.plan, output / scene.PLAN, problem=problem, about=about(result))
    if not quiet:
        if result.evaluation is not None:
            tables.stages(problem, result.evaluation)
            tables.loads(problem, result.evaluation)
        tables.decision(problem, result)
    return result


def _run(
    output: Path,
    measured: Mapping[str, Profile],
    plan: Plan,
    requests: int,
    stop: threading.Event,
    *,
    quiet: bool,
) -> RunReport:
    """Run the plan with every machine played by this one and print predicted beside measured."""
    from edgeplan.cli import tables
    from edgeplan.cli.run import REPORT_FORMAT, watching
    from edgeplan.execution.run import run
    from edgeplan.instances.plans import write_plan
    from edgeplan.instances.read import read_instance

    _step(3, "Run it: every machine is a process here, the links are emulated", quiet)
    file = output / scene.HERE
    write_text(file, scene.here_text(measured))
    here = read_instance(file)
    write_plan(plan, output / scene.HERE_PLAN, problem=here.problem)
    with watching() as on_progress:
        report = run(
            here.problem,
            plan,
            here.sources,
            requests=requests,
            folder=output / scene.PARTS,
            on_progress=on_progress,
            stop=stop.is_set,
        )
    document = {
        "format": REPORT_FORMAT,
        "version": 1,
        "instance": here.problem.name,
        **report.as_json(),
        "predicted_devices": list(here.predicted),
    }
    write_text(output / scene.REPORT, json_text(document))
    if not quiet:
        tables.run_report(json.loads(json_text(document)))
    return report
