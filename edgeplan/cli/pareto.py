"""``edgeplan pareto``: the front of an instance, in a folder from which it goes on."""

from __future__ import annotations

import dataclasses
import math
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli import quantities
from edgeplan.cli.group import INFEASIBLE, INTERRUPTED, NO_PLAN
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load_instance
from edgeplan.cli.options import folder_option, input_argument, json_option, make_folder
from edgeplan.cli.output import note, print_json
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.pareto.engine import FrontProgress
    from edgeplan.pareto.front import Front


@click.command("pareto")
@input_argument("instance")
@folder_option(
    "Folder of the front: front.json, front.csv, a copy of the instance, and the journal from "
    "which a search that was cut off goes on. Made where it is missing.",
)
@click.option(
    "--objectives",
    default="latency,energy,cost",
    show_default=True,
    metavar="NAMES",
    help="Two to four of latency, energy, cost and throughput (by its inverse, the period).",
)
@click.option("--time-limit", type=float, metavar="SECONDS", help="Stop with what is held then.")
@click.option("--points", type=click.IntRange(1), help="Stop with so many points.")
@click.option(
    "--gap", type=float, default=0.0, show_default=True,
    help="Stop where the hypervolume is known to within this share of its upper bound.",
)  # fmt: skip
@click.option(
    "--resolution",
    multiple=True,
    metavar="NAME=VALUE,…",
    help="δ of objectives, like latency=1ms,energy=5mJ (0 where left out): every plan then has a "
    "point that is worse by δ at most. By default 0, but where requests may be split by fractions "
    "1 % of each objective's range.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--tolerance", type=float, default=1e-9, show_default=True,
    help="Points whose values differ by no more than this share count as one.",
)  # fmt: skip
@click.option(
    "--solver", default="auto", show_default=True, metavar="NAME",
    help="One of auto, highs, cp-sat, labels, enumerate.",
)  # fmt: skip
@json_option
def command(
    instance: Path,
    folder: Path,
    objectives: str,
    time_limit: float | None,
    points: int | None,
    gap: float,
    resolution: tuple[str, ...],
    jobs: int,
    seed: int,
    tolerance: float,
    solver: str,
    as_json: bool,
) -> None:
    """Find the front of INSTANCE: the plans that no other beats in every objective.

    Points come with bounds on how much of the front they are (hypervolume). Ctrl-C keeps what is
    found; the same command goes on from there, also after the process was killed. The instance's
    own weights do not matter.
    """
    if time_limit is not None and not (math.isfinite(time_limit) and time_limit >= 0):
        raise click.UsageError("--time-limit must be a finite number, not negative")
    names = quantities.objectives(objectives)
    read = load_instance(instance)
    problem = read.problem
    deltas = _resolution(resolution, names, problem)
    make_folder(folder)
    from edgeplan.pareto.files import INSTANCE_NAME, JOURNAL_NAME

    if (folder / "front.json").exists() and not (folder / JOURNAL_NAME).exists():
        message = "has a front without the journal to go on from: choose another folder"
        raise InputError.at(str(folder)[:200], message)
    from edgeplan.instances.kept import keep
    from edgeplan.instances.plans import fingerprint
    from edgeplan.pareto.box_solvers import check_solver
    from edgeplan.pareto.engine import pareto
    from edgeplan.pareto.objectives import criteria

    check_solver(problem, criteria(names), solver)  # else the folder would be of this instance
    keep(read, folder / INSTANCE_NAME)
    with stop_on_interrupt("the points found so far") as stop, _watching() as on_progress:
        front = pareto(
            problem,
            names,
            time_limit=time_limit,
            points=points,
            gap=gap,
            resolution=deltas,
            tolerance=tolerance,
            jobs=jobs,
            seed=seed,
            on_progress=on_progress,
            stop=stop,
            journal=folder / JOURNAL_NAME,
            solver=solver,
            fingerprint=fingerprint(problem),
        )
        interrupted = stop.is_set() and not front.complete
    front = _with_earlier_seconds(front, folder)
    written = front.write(folder)
    if as_json:
        print_json(front.as_json())
    else:
        from edgeplan.cli import tables

        tables.front(front)
        tables.say(f"front: {', '.join(map(str, written))}")
    if not front.complete:
        note(f"note: not the whole front: {front.message}. The same command goes on from here")
    if front.points:
        quoted = shlex.quote(str(folder))
        note(f"next: edgeplan choose {quoted} --prefer {names[0]} -o plan.json")
    if interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    if not front.points:
        raise click.exceptions.Exit(INFEASIBLE if front.complete else NO_PLAN)


def _resolution(
    words: tuple[str, ...], names: tuple[str, ...], problem: Problem
) -> tuple[float, ...] | None:
    if not words:
        return None
    stated = quantities.values("--resolution", words, names)
    left_out = [name for name in names if not stated.get(name)]
    split = next((stream.name for stream in problem.streams if stream.route_limit > 1), None)
    if left_out and split is not None:
        message = (
            f"requests of '{split[:80]}' may be split by fractions, so that there are points "
            f"without end: give {', '.join(left_out)} a resolution too"
        )
        raise InputError.at("--resolution", message)
    return tuple(stated.get(name, 0.0) for name in names)


def _with_earlier_seconds(front: Front, folder: Path) -> Front:
    """Add the time of the runs that this one went on from, as far as their fronts say it."""
    from edgeplan.pareto.files import JSON_NAME, read_front

    if not (folder / JSON_NAME).exists():
        return front
    try:
        earlier = read_front(folder)
    except InputError:
        return front
    if earlier.fingerprint != front.fingerprint or earlier.mips > front.mips:
        return front
    return dataclasses.replace(front, seconds=front.seconds + earlier.seconds)


@contextmanager
def _watching() -> Iterator[Callable[[FrontProgress], None] | None]:
    """Yield what shows points, zones and gap live on stderr; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from edgeplan.cli import tables, units

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=tables.console(errors=True), transient=True) as bar:
        task = bar.add_task("looking for the best of each objective", total=None)

        def update(moment: FrontProgress) -> None:
            bar.update(
                task,
                description=f"points {moment.points}   zones open {moment.zones}   "
                f"hypervolume gap {units.gap(tables.hypervolume_gap(moment.hypervolume))}   "
                f"programs {moment.mips}",
            )

        yield update
