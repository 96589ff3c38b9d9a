"""``edgeplan compare``: fronts beside each other, beside baselines, beside others' points."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli import quantities
from edgeplan.cli.load import load_instance, reading, with_names
from edgeplan.cli.options import input_option, json_option
from edgeplan.cli.output import print_json
from edgeplan.model.errors import InputError

if TYPE_CHECKING:
    from edgeplan.pareto.sets import PointSet

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@click.command("compare")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A B…")
@input_option("--baselines", text="Compare with the baselines of this instance too.")
@click.option(
    "--reference",
    multiple=True,
    metavar="NAME=VALUE,…",
    help="The hypervolume's reference point, like latency=2s,cost=1mUSD: every objective.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Compare fronts of different instances, or by the objectives that all have.",
)
@click.option("--changes", is_flag=True, help="List what changed from A to each other, by plans.")
@json_option
def command(
    files: tuple[Path, ...],
    baselines: Path | None,
    reference: tuple[str, ...],
    force: bool,
    changes: bool,
    as_json: bool,
) -> None:
    """Compare fronts A, B and more, each a folder of edgeplan pareto, a front.json or a CSV file.

    A CSV file has the points of any planner, in columns latency_seconds, energy_joules,
    cost_dollars or period_seconds. In the answer the sets are called A, B, C… in the order given.
    """
    from edgeplan.pareto.compare import compare

    if len(files) + (baselines is not None) > len(LETTERS):
        raise InputError.at("", f"at most {len(LETTERS)} sets can be compared")
    sets = [_read(path, letter) for path, letter in zip(files, LETTERS, strict=False)]
    names = {each.name: str(path) for each, path in zip(sets, files, strict=True)}
    if baselines is not None:
        from edgeplan.pareto.compare import baseline_set

        problem = load_instance(baselines).problem
        letter = LETTERS[len(sets)]
        sets.append(baseline_set(problem, sets[0].objectives, letter))
        names[letter] = f"baselines of {baselines}"
    corner = quantities.values("--reference", reference, sets[0].objectives) or None
    try:
        found = compare(sets, reference=corner, force=force)
    except InputError as error:
        raise with_names(error, names) from None
    if as_json:
        print_json({"sets": names, **found.as_json(details=changes)})
        return
    from edgeplan.cli import tables

    tables.fronts_compared(found, names, changes=changes)


def _read(path: Path, name: str) -> PointSet:
    from edgeplan.pareto.compare import point_set, table_set
    from edgeplan.pareto.files import read_front, read_points

    with reading(path):
        if path.suffix.lower() == ".csv":
            return table_set(read_points(path), name)
        return point_set(read_front(path), name)
