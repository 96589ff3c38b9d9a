"""``edgeplan baselines``: the plan beside the plans to beat, predicted and simulated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeplan.cli.group import INFEASIBLE, INTERRUPTED
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load_instance
from edgeplan.cli.options import (
    input_argument,
    json_option,
    objective_option,
    output_option,
    threads_option,
)
from edgeplan.cli.output import clean_text, json_text, note, print_json, write_text
from edgeplan.cli.run import watching
from edgeplan.model.errors import InputError, InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeplan.comparison import Comparison

POINTS = 8
MOST_POINTS = 200
SECONDS = 60.0
"""A load where the gap does not close must not hold up the others."""
SWEEPS = ("rho", "rate")
SWEEP_FORMAT, COMPARISON_FORMAT = "edgeplan-load-sweep", "edgeplan-comparison"


@click.command("baselines")
@input_argument("instance")
@objective_option
@click.option(
    "--requests", type=click.IntRange(0, 200_000_000), default=200_000, show_default=True,
    help="Requests simulated for each plan and seed, of all streams together; 0: nothing is "
    "simulated.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(1, 1000), default=1, show_default=True,
    help="Simulate each plan with so many seeds, from --seed on.",
)  # fmt: skip
@click.option(
    "--sweep",
    metavar="NAME=FROM:TO",
    help="Compare the plans over a range of loads, all rates in proportion. rho=0.3:0.97: the "
    "mean busy share of the streams' origins, if each served all that arises there. rate=0.5:2: "
    "multiples of the instance's rates.",
)
@click.option(
    "--points", type=click.IntRange(1, MOST_POINTS), default=POINTS, show_default=True,
    help="Loads of the sweep, evenly spaced.",
)  # fmt: skip
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw the sweep: .svg, .png or .pdf.",
)
@click.option("--solver", default="auto", show_default=True, metavar="NAME")
@click.option(
    "--time-limit", type=float, metavar="SECONDS", default=SECONDS, show_default=True,
    help="For each of the three plans that a program makes (edge-pool, capacity-only, plan).",
)  # fmt: skip
@click.option(
    "--gap", type=float, default=1e-4, show_default=True, help="Relative gap that is closed enough."
)
@threads_option
@output_option("COMPARISON", "Write the comparison here (JSON).")
@json_option
def command(
    instance: Path,
    objective: str | None,
    requests: int,
    seed: int,
    seeds: int,
    sweep: str | None,
    points: int,
    plot: Path | None,
    solver: str,
    time_limit: float,
    gap: float,
    threads: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare the plan of INSTANCE with the plans to beat, given the same means.

    \b
    all-edge       each stream whole at its own origin
    edge-pool      the best balance over the devices that are no cloud
    all-cloud      everything on one cloud device, with as many replicas as pay
    best-cut       each stream cut once where it is best for it alone (Neurosurgeon)
    min-cut        each stream cut by a minimum cut, alone (DADS)
    capacity-only  the best plan for a world without waiting, utilisation caps kept
    greedy         the streams choose in turn, the heaviest first
    plan           what solve finds

    Each is priced by the evaluator (predicted) and run through random arrivals (simulated).
    Ctrl-C keeps what is done, of a sweep the loads that are, and ends with 130.
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    _check("--time-limit", time_limit)
    _check("--gap", gap)
    swept = None if sweep is None else loads(sweep, points)
    if plot is not None:
        _check_plot(plot, swept is not None)
    from edgeplan import comparison

    problem = load_instance(instance).problem.asked(objective)
    with stop_on_interrupt("what is done so far") as stop, watching() as on_progress:
        prefix = ""

        def step(what: str, done: int, total: int) -> None:
            if on_progress is not None:
                on_progress(prefix + what, done, total)

        options: dict[str, Any] = {
            "requests": requests,
            "seeds": range(seed, seed + seeds),
            "solver": solver,
            "time_limit": time_limit,
            "gap": gap,
            "threads": threads,
            "on_step": step,
            "stop": stop,
        }
        if swept is None:
            by = ""
            found = [(1.0, comparison.compare(problem, **options))]
            interrupted = found[0][1].interrupted
        else:
            by, values = swept
            found = []
            prefix = f"{by} {values[0]:.3g}: "
            for load, compared in comparison.sweep(problem, values, by=by, **options):
                found.append((load, compared))
                after = values[len(found)] if len(found) < len(values) else load
                prefix = f"{by} {after:.3g}: "
            interrupted = len(found) < len(values)
    if interrupted and not any(compared.plans for _, compared in found):
        raise InterruptedRunError("stopped before any of it was done")
    _show(by, found, plot, output, as_json=as_json)
    if interrupted:
        note("note: stopped early: what was not done is missing")
        raise click.exceptions.Exit(INTERRUPTED)
    if all(_impossible(compared) for _, compared in found):
        raise click.exceptions.Exit(INFEASIBLE)


def _show(
    by: str,
    found: Sequence[tuple[float, Comparison]],
    plot: Path | None,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    if plot is not None:
        from edgeplan.cli.load_plot import draw

        draw(by, found, plot)
        note(f"plot: {plot}")
    document = sweep_json(by, found) if by else comparison_json(found[0][1])
    if output is not None:
        write_text(output, json_text(document))
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables

    if by:
        tables.load_sweep(by, found)
    else:
        tables.comparison(found[0][1])
    if output is not None:
        tables.say(f"comparison: {output}")


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return a comparison for machines: the plans by name."""
    head = {"format": COMPARISON_FORMAT, "version": 1, "instance": found.problem.name}
    return {**head, "baselines": found.as_json()}


def sweep_json(by: str, found: Sequence[tuple[float, Comparison]]) -> dict[str, Any]:
    """Return a sweep for machines: the plans by name at each load."""
    return {
        "format": SWEEP_FORMAT,
        "version": 1,
        "instance": found[0][1].problem.name if found else "",
        "sweep": by,
        "points": [{by: load, "baselines": compared.as_json()} for load, compared in found],
    }


def _impossible(compared: Comparison) -> bool:
    return compared.result is not None and compared.result.status == "infeasible"


def loads(text: str, points: int) -> tuple[str, list[float]]:
    """Return what a sweep is over, and its loads.

    Parameters
    ----------
    text
        ``rho=0.3:0.97`` or ``rate=0.5:2``.
    points
        How many, evenly spaced.

    Raises
    ------
    InputError
        If the text is neither, or the range is empty.

    Examples
    --------
    >>> loads("rho=0.25:0.75", 3)
    ('rho', [0.25, 0.5, 0.75])
    """
    place = f"--sweep '{clean_text(text, 40)}'"
    name, _, values = text.partition("=")
    words = values.split(":")
    remedy = "write rho=0.3:0.97, or rate=0.5:2"
    if name.strip() not in SWEEPS:
        raise InputError.at(place, f"must begin with rho= or rate=; {remedy}")
    try:
        low, high = (float(word) for word in words)
    except ValueError:
        raise InputError.at(place, f"needs two numbers, FROM:TO; {remedy}") from None
    if not (0 < low <= high < math.inf):
        raise InputError.at(place, f"FROM must be above 0 and not above TO; {remedy}")
    if points == 1 or low == high:
        return name.strip(), [low]
    return name.strip(), [low + (high - low) * i / (points - 1) for i in range(points)]


def _check(name: str, value: float) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise click.UsageError(f"{name} must be a finite number, not negative")


def _check_plot(plot: Path, swept: bool) -> None:
    """Refuse a picture that could not be drawn, before any work."""
    from edgeplan.cli.load_plot import check

    if not swept:
        raise InputError.at("--plot", "draws a sweep: add --sweep rho=0.3:0.97")
    check(plot)
