"""``edgeplan run``: a plan executed, beside its prediction."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load, reading
from edgeplan.cli.options import (
    input_argument,
    input_option,
    json_option,
    output_option,
    threads_option,
)
from edgeplan.cli.output import clean_text, json_text, note, print_json, write_text
from edgeplan.model.errors import Fault, InputError, InterruptedRunError

if TYPE_CHECKING:
    from edgeplan.execution.addresses import WorkerAddress
    from edgeplan.instances.instance import Instance
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Problem

REPORT_FORMAT = "edgeplan-run"
ONE_AT_A_TIME = 20
OPEN_LOOP = 500
"""Measured requests where none are asked for: along each route, and in all."""
SIMULATED = 200_000
"""Requests of the simulation beside an open loop."""


@click.command("run")
@input_argument("instance")
@input_argument("plan")
@click.option(
    "--requests", type=click.IntRange(1, 1_000_000),
    help="Measured requests: 20 along each route of each stream if left out; with --open-loop of "
    "all streams together, 500 if left out.",
)  # fmt: skip
@click.option(
    "--open-loop",
    is_flag=True,
    help="Send requests at drawn times, whether or not earlier ones are done: they queue.",
)
@click.option(
    "--rate",
    type=float,
    metavar="PER_SECOND",
    help="Open loop: requests per second of all streams, in the instance's proportions; the "
    "instance's rates if left out.",
)
@click.option(
    "--duration",
    type=float,
    metavar="SECONDS",
    help="Open loop: measure what arrives in this time, instead of a number of requests.",
)
@click.option(
    "--warmup", type=click.IntRange(0, 1_000_000),
    help="Open loop: requests before the measured ones, not counted; a tenth of them, and no "
    "fewer than 20, if left out.",
)  # fmt: skip
@input_option("--workers", text="Workers elsewhere: {device: {address, token_file}} (YAML).")
@threads_option
@click.option("--slow-down", is_flag=True, help="Hold each stage to its predicted device's time.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@output_option("REPORT", "Write the run report here (JSON).")
@json_option
def command(
    instance: Path,
    plan: Path,
    requests: int | None,
    open_loop: bool,
    rate: float | None,
    duration: float | None,
    warmup: int | None,
    workers: Path | None,
    threads: int,
    slow_down: bool,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run PLAN of INSTANCE: one worker per device, links emulated, and compare with the prices.

    Reports per stage and end to end what was predicted and measured, and whether the outputs
    equal those of the unsplit networks. Links from or to a worker elsewhere are what they are.

    Without --open-loop requests go one at a time, and none waits. With it they arrive at drawn
    times, and latencies count from these: predicted, simulated and measured side by side.
    """
    _check_options(open_loop, requests, rate, duration, warmup)
    read, chosen = load(instance, plan)
    addresses = None if workers is None else _addresses(workers)
    with stop_on_interrupt("what was measured so far") as stop, watching() as on_progress:
        common = _Common(
            threads=threads,
            seed=seed,
            workers=addresses,
            slow_down=slow_down,
            on_progress=on_progress,
            stop=stop.is_set,
        )
        if open_loop:
            found = _under_load(read, chosen, common, requests, rate, duration, warmup)
        else:
            found = _one_at_a_time(read, chosen, common, requests)
    used = {d for routes in chosen.routes.values() for route in routes for d in route.devices}
    predicted = [name for name in read.predicted if name in used]
    head = {"format": REPORT_FORMAT, "version": 1, "instance": read.problem.name}
    document = {**head, **found, "predicted_devices": predicted}
    # A worker elsewhere may be the very machine that was predicted, and --slow-down plays it.
    played = [name for name in predicted if not slow_down and name not in (addresses or {})]
    if played:
        note(
            f"note: times of {', '.join(clean_text(name, 40) for name in played[:12])} are "
            "predictions for other machines: what was measured here cannot be compared with "
            "them; --slow-down plays them"
        )
    if output is not None:
        write_text(output, json_text(document))
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.run_report(document)
    if output is not None:
        tables.say(f"report: {output}")


class _Common(TypedDict):
    """What both kinds of run are asked."""

    threads: int
    seed: int
    workers: Mapping[str, WorkerAddress] | None
    slow_down: bool
    on_progress: Callable[[str, int, int], None] | None
    stop: Callable[[], bool]


def _check_options(
    open_loop: bool,
    requests: int | None,
    rate: float | None,
    duration: float | None,
    warmup: int | None,
) -> None:
    faults = []
    for name, value in (("--rate", rate), ("--duration", duration), ("--warmup", warmup)):
        if value is None:
            continue
        if not open_loop:
            faults.append(Fault(name, "has a meaning with --open-loop only: add it"))
        elif name != "--warmup" and not (math.isfinite(value) and value > 0):
            faults.append(Fault(name, "must be a finite positive number"))
    if requests is not None and duration is not None:
        faults.append(Fault("--duration", "is instead of --requests: leave one of them out"))
    if faults:
        raise InputError(faults)


def _one_at_a_time(
    read: Instance, plan: Plan, common: _Common, requests: int | None
) -> dict[str, Any]:
    from edgeplan.execution.run import run

    requests = ONE_AT_A_TIME if requests is None else requests
    return run(read.problem, plan, read.sources, requests=requests, **common).as_json()


def _under_load(
    read: Instance,
    plan: Plan,
    common: _Common,
    requests: int | None,
    rate: float | None,
    duration: float | None,
    warmup: int | None,
) -> dict[str, Any]:
    from edgeplan.execution.open_loop import run_open_loop, under_load

    report = run_open_loop(
        read.problem,
        plan,
        read.sources,
        requests=OPEN_LOOP if requests is None else requests,
        duration_seconds=duration,
        rate_per_second=rate,
        warmup=warmup,
        **common,
    )
    for warning in report.warnings:
        note(f"warning: {warning}")
    return report.as_json(_simulated(under_load(read.problem, rate), plan, common))


def _simulated(
    problem: Problem, plan: Plan, common: _Common
) -> Mapping[str, Mapping[str, Any]] | None:
    """Return a simulation's figures by stream: what random arrivals do, without this machine."""
    from edgeplan.simulation import simulate

    if common["stop"]():
        return None
    try:
        found = simulate(
            problem, plan, requests=SIMULATED, seed=common["seed"], stop=common["stop"]
        ).as_json()
    except InterruptedRunError:  # what was measured is kept all the same
        return None
    return {stream["name"]: stream for stream in found["streams"]}


def _addresses(file: Path) -> Mapping[str, WorkerAddress]:
    from edgeplan.execution.addresses import workers_from
    from edgeplan.instances.document import read_document, read_text

    def token(path: str) -> str:
        return read_text(file.parent / path, max_bytes=8192)

    with reading(file):
        return workers_from(read_document(file).value, token)


@contextmanager
def watching() -> Iterator[Callable[[str, int, int], None] | None]:
    """Yield what shows a progress bar on stderr; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from edgeplan.cli import tables

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=tables.console(errors=True), transient=True) as bar:
        task = bar.add_task("preparing", total=None)

        def update(what: str, done: int, total: int) -> None:
            bar.update(task, description=clean_text(what, 60), completed=done, total=total or None)

        yield update
