"""``edgeplan run``: a plan executed, beside its prediction."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from edgeplan.execution.addresses import WorkerAddress

REPORT_FORMAT = "edgeplan-run"


@click.command("run")
@input_argument("instance")
@input_argument("plan")
@click.option(
    "--requests", type=click.IntRange(1, 1_000_000), default=20, show_default=True,
    help="Measured requests along each route of each stream.",
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
    requests: int,
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
    """
    from edgeplan.execution.run import run

    read, chosen = load(instance, plan)
    addresses = None if workers is None else _addresses(workers)
    with stop_on_interrupt("what was measured so far") as stop, watching() as on_progress:
        report = run(
            read.problem,
            chosen,
            read.sources,
            requests=requests,
            threads=threads,
            seed=seed,
            workers=addresses,
            slow_down=slow_down,
            on_progress=on_progress,
            stop=stop.is_set,
        )
    used = {d for routes in chosen.routes.values() for route in routes for d in route.devices}
    predicted = [name for name in read.predicted if name in used]
    document = {**report.as_json(), "predicted_devices": predicted}
    # A worker elsewhere may be the very machine that was predicted, and --slow-down plays it.
    played = [name for name in predicted if not slow_down and name not in (addresses or {})]
    if played:
        note(
            f"note: times of {', '.join(clean_text(name, 40) for name in played[:12])} are "
            "predictions for other machines: what was measured here cannot be compared with "
            "them; --slow-down plays them"
        )
    if output is not None:
        write_text(output, json_text({"format": REPORT_FORMAT, "version": 1, **document}))
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.run_report(document)
    if output is not None:
        tables.say(f"report: {output}")


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
