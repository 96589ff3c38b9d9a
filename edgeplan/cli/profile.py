"""``edgeplan profile``: what the parts of a network cost here, or on a catalogue device."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.options import input_option, json_option, output_option, threads_option
from edgeplan.cli.output import clean_text, note, print_json
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.model.catalogue import CatalogueDevice
    from edgeplan.model.profile import Profile, Timing
    from edgeplan.profiling.progress import ProfileProgress

_NOTES = frozenset({"reuse", "wait", "begin", "noise", "refuse"})
"""Stages whose message is a line of its own."""

_EVERY_SECONDS = 15.0
"""So often it is said how far measuring is, where there is no terminal to show it."""


@click.command("profile")
@click.argument("network", metavar="NET.onnx")
@output_option("PROFILE", "Write the profile here (JSON).")
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="INPUT=1,3,224,224",
    help="Pin the shape of a graph input; repeat for several.",
)
@click.option("--name", help="Name of the network; by default the file's.")
@click.option("--device", help="Predict for this catalogue device instead of measuring only.")
@click.option(
    "--max-cuts", type=click.IntRange(0, 200), default=8, show_default=True,
    help="At most so many cuts on the shortlist: each pair of them is a part that is timed.",
)  # fmt: skip
@click.option(
    "--cuts",
    metavar="12,40,77",
    callback=lambda ctx, param, text: _cuts(text),
    help="Cut before these nodes (`edgeplan show NET.onnx` lists them) instead of a shortlist.",
)
@input_option(
    "--cuts-from",
    text="Take cuts and shapes from this PROFILE of the same file, so that both fit one instance: "
    "a shortlist depends on the machine.",
)
@click.option(
    "--batch",
    "batches",
    metavar="1,2,4,8",
    callback=lambda ctx, param, text: _batches(text),
    help="Time jobs of so many requests too, stacked along the first dimension of every input. "
    "A size that the network cannot take is refused, with the reason; the others are timed.",
)
@threads_option
@click.option("--repeats", type=click.IntRange(1, 100_000), help="Timed runs of each part.")
@click.option(
    "--budget",
    type=click.FloatRange(0, 604_800, min_open=True),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="About how long to time all parts, for each batch size: where it would be more, each is "
    "run less often, down to five times.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0, 86_400, min_open=True),
    default=15.0,
    show_default=True,
    help="Limit on reading the file, and on one inference.",
)
@click.option(
    "--memory",
    type=click.FloatRange(0, 1e6, min_open=True),
    metavar="GIB",
    help="Limit on the memory of the process that reads and runs the file.",
)
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Store of times.")
@click.option("--fresh", is_flag=True, help="Measure again what the store already holds.")
@json_option
def command(
    network: str,
    output: Path | None,
    shapes: tuple[str, ...],
    name: str | None,
    device: str | None,
    max_cuts: int,
    cuts: tuple[int, ...] | None,
    cuts_from: Path | None,
    batches: tuple[int, ...],
    threads: int,
    repeats: int | None,
    budget: float,
    seconds: float,
    memory: float | None,
    cache: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Time the parts of NET.onnx on this machine at the optimisation level that is deployed.

    Every span between shortlisted cuts is timed, so a plan is priced by parts that were run.
    Times are stored as they come: after Ctrl-C, running it again goes on from there.
    """
    from edgeplan.profiling import measure, predict

    target = None if device is None else _catalogue_device(device)
    pinned = dict(_shape(text) for text in shapes)
    like = None
    if cuts_from is not None:
        from edgeplan.instances.profiles import read_profile

        if cuts is not None:
            raise InputError.at("--cuts", "and --cuts-from exclude each other: leave one out")
        like = read_profile(cuts_from)
    with stop_on_interrupt("the times measured so far") as stop, watching() as on_progress:
        profile = measure.profile(
            Path(network),
            shapes=pinned,
            name=name,
            max_cuts=max_cuts,
            cuts=cuts,
            like=like,
            batches=batches,
            threads=threads,
            repeats=repeats,
            budget_seconds=budget,
            seconds=seconds,
            memory_bytes=None if memory is None else int(memory * 2**30),
            cache=cache,
            fresh=fresh,
            on_progress=on_progress,
            stop=stop,
        )
    if target is not None:
        profile = predict.predict(profile, target)
    if output is not None:
        from edgeplan.instances.profiles import write_profile

        write_profile(profile, output)
    if as_json:
        print_json(summary(profile))
    else:
        from edgeplan.cli import tables

        tables.profile(profile)
        if output is not None:
            tables.say(f"profile: {output}")
    if output is None and not as_json:
        note("the profile was not written; -o PROFILE does")


def summary(profile: Profile) -> dict[str, object]:
    """Return the document of ``profile --json``; counts are integers."""
    graph = profile.graph
    return {
        "network": profile.network,
        "layers": len(graph.nodes),
        "placed_layers": len(profile.layers),
        "cuts": len(graph.single_cuts),
        "all_cuts": len(graph.cuts),
        "parameters": graph.parameters,
        "macs": graph.macs,
        "uncounted": list(graph.uncounted),
        "whole_seconds": profile.whole.median_seconds,
        "mad_seconds": profile.whole.mad_seconds,
        "cpu_seconds": profile.whole.cpu_seconds,
        "boundary_seconds": profile.boundary_seconds,
        "device": profile.device,
        "basis": profile.basis,
        "basis_detail": profile.basis_detail,
        "batches": [
            _job(1, profile.whole, profile.boundary_seconds),
            *(_job(b.requests, b.whole, b.boundary_seconds) for b in profile.batches),
        ],
        "refused_batches": [
            {"requests": refused.requests, "reason": refused.reason}
            for refused in profile.refused_batches
        ],
    }


def _job(requests: int, whole: Timing, boundary_seconds: float) -> dict[str, object]:
    return {
        "requests": requests,
        "whole_seconds": whole.median_seconds,
        "seconds_per_request": whole.median_seconds / requests,
        "mad_seconds": whole.mad_seconds,
        "cv2": whole.cv2,
        "cpu_seconds": whole.cpu_seconds,
        "boundary_seconds": boundary_seconds,
    }


def _catalogue_device(name: str) -> CatalogueDevice:
    from edgeplan.instances import catalogue

    return catalogue.device(name)


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read ``input=1,3,224,224`` (names may contain ``=``; a scalar has nothing after it).

    The ``1x3x224x224`` of other tools is understood too.
    """
    name, equals, sizes = text.rpartition("=")
    try:
        shape = tuple(int(size) for size in re.split(r"[,x×]", sizes)) if sizes.strip() else ()
    except ValueError:
        shape = (0,)
    if not equals or not name or any(size < 1 for size in shape):
        raise InputError.at(
            "--shape", f"'{text[:80]}' is not of the form INPUT=1,3,224,224 with positive sizes"
        )
    return name, shape


def _cuts(text: str | None) -> tuple[int, ...] | None:
    """Read ``12,40,77``."""
    if text is None:
        return None
    try:
        return tuple(int(position) for position in text.split(","))
    except ValueError:
        raise InputError.at(
            "--cuts", f"'{text[:80]}' is not of the form 12,40,77 (node positions)"
        ) from None


def _batches(text: str | None) -> tuple[int, ...]:
    """Read ``1,2,4,8``."""
    if text is None:
        return ()
    try:
        return tuple(int(requests) for requests in text.split(","))
    except ValueError:
        raise InputError.at(
            "--batch", f"'{text[:80]}' is not of the form 1,2,4,8 (requests in a job)"
        ) from None


@contextmanager
def watching() -> Iterator[Callable[[ProfileProgress], None]]:
    """Yield what shows a progress bar on stderr, or says a line now and then without a terminal."""
    if not sys.stderr.isatty():
        yield _teller()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from edgeplan.cli import tables

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=tables.console(errors=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("preparing", total=None)

        def update(moment: ProfileProgress) -> None:
            if moment.stage in _NOTES:
                bar.console.print(clean_text(moment.message, 600))
            bar.update(
                task,
                description=clean_text(moment.message, 60),
                completed=moment.done,
                total=moment.total or None,
            )

        yield update


def _teller() -> Callable[[ProfileProgress], None]:
    said = time.monotonic()

    def tell(moment: ProfileProgress) -> None:
        nonlocal said
        if moment.stage in _NOTES:
            note(moment.message)
        elif moment.stage == "measure" and time.monotonic() - said >= _EVERY_SECONDS:
            note(f"{int(moment.done)} of {moment.total} spans done: {moment.message}")
        else:
            return
        said = time.monotonic()

    return tell
