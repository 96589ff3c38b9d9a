"""``edgeplan sweep``: an instance planned over ranges of its parameters."""

from __future__ import annotations

import math
from pathlib import Path

import click

from edgeplan.cli.group import FAILED, INFEASIBLE, INTERRUPTED
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load_instance
from edgeplan.cli.options import (
    folder_option,
    input_argument,
    json_option,
    make_folder,
    objective_option,
)
from edgeplan.cli.output import note, print_json
from edgeplan.cli.run import watching

SWEEP_FORMAT = "edgeplan-parameter-sweep"


@click.command("sweep")
@input_argument("instance")
@click.option(
    "--vary",
    "words",
    multiple=True,
    required=True,
    metavar="PATH=VALUES",
    help="A value of the instance file and what it is set to; several give every combination. "
    "devices.edge.memory=1..8GB:8 (evenly spaced), links.edge->cloud.latency=1..100ms:5:geometric, "
    "streams.*.rate=1,2,5/s.",
)
@folder_option(
    "Folder of the sweep: a file for each point, written as soon as it is found, and sweep.csv. "
    "Made where it is missing.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
@objective_option
@click.option("--solver", default="auto", show_default=True, metavar="NAME")
@click.option("--time-limit", type=float, metavar="SECONDS", help="For each point.")
@click.option(
    "--gap", type=float, default=1e-6, show_default=True, help="Relative gap that is closed enough."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@json_option
def command(
    instance: Path,
    words: tuple[str, ...],
    folder: Path,
    jobs: int,
    objective: str | None,
    solver: str,
    time_limit: float | None,
    gap: float,
    seed: int,
    as_json: bool,
) -> None:
    """Plan INSTANCE over ranges of its parameters.

    \b
    A path has the file's keys with dots between; items of lists by name or number, links by their
    ends, their catalogue entry or a device: links.wifi.bandwidth sets every link of that entry.
      5..100Mbit/s:10          ten values, evenly spaced
      5..80Mbit/s:5:geometric  each twice the one before
      1,2,8/s                  these

    Whatever ends the sweep, the same command goes on with what is left; other values add to it.
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    for name, value in (("--time-limit", time_limit), ("--gap", gap)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise click.UsageError(f"{name} must be a finite number, not negative")
    from edgeplan.sweeps.sweep import CSV_NAME, Options, sweep

    name = load_instance(instance).problem.name  # so that its faults are told as everywhere
    make_folder(folder)
    with stop_on_interrupt("every point that is finished") as stop, watching() as on_progress:

        def tell(done: int, count: int) -> None:
            if on_progress is not None:
                on_progress("planning", done, count)

        options = Options(
            objective=objective, solver=solver, time_limit=time_limit, gap=gap, seed=seed
        )
        found = sweep(instance, words, folder, options=options, jobs=jobs, on_point=tell, stop=stop)
        interrupted = stop.is_set() and not found.complete
    if as_json:
        head = {"format": SWEEP_FORMAT, "version": 1, "instance": name}
        print_json({**head, **found.as_json()})
    else:
        from edgeplan.cli import tables

        tables.parameter_sweep(found)
        tables.say(f"table: {folder / CSV_NAME}")
    if found.reused:
        note(f"note: {found.reused} of the {found.count} points were there already")
    if interrupted:
        note("note: stopped early; the same command goes on with what is left")
        raise click.exceptions.Exit(INTERRUPTED)
    if found.failed:
        note(f"note: {len(found.failed)} points could not be planned; the same command tries again")
        raise click.exceptions.Exit(FAILED)
    if all(point.status == "infeasible" for point in found.points):
        raise click.exceptions.Exit(INFEASIBLE)
