"""``edgeplan choose``: one plan of a front."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edgeplan.cli import quantities
from edgeplan.cli.load import reading
from edgeplan.cli.options import json_option, output_option
from edgeplan.cli.output import note, print_json
from edgeplan.model.errors import Fault, InputError

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.pareto.choose import Choice
    from edgeplan.pareto.front import Front

KNEES = ("hyperplane", "trade-off-rate")


@click.command("choose")
@click.argument("front", type=click.Path(path_type=Path), metavar="FRONT")
@output_option("PLAN", "Write the plan here.")
@click.option(
    "--max", "most", multiple=True, metavar="NAME=VALUE,…",
    help="Only points with that much at most: latency=50ms.",
)  # fmt: skip
@click.option(
    "--min", "least", multiple=True, metavar="throughput=RATE",
    help="Only points with that much throughput at least: throughput=20/s.",
)  # fmt: skip
@click.option("--prefer", metavar="NAMES", help="The least of this objective, of equals the next.")
@click.option(
    "--reference", multiple=True, metavar="NAME=VALUE,…",
    help="The point nearest by achievement to these values, which may be out of reach.",
)  # fmt: skip
@click.option(
    "--weights", multiple=True, metavar="NAME=NUMBER,…",
    help="The point whose shares of what could be gained are nearest to these weights.",
)  # fmt: skip
@click.option(
    "--knee", type=click.Choice(KNEES),
    help="The knee: farthest below the hyperplane through the ends (what is done if nothing is "
    "said), or the point that is dearest to leave.",
)  # fmt: skip
@json_option
def command(
    front: Path,
    output: Path | None,
    most: tuple[str, ...],
    least: tuple[str, ...],
    prefer: str | None,
    reference: tuple[str, ...],
    weights: tuple[str, ...],
    knee: str | None,
    as_json: bool,
) -> None:
    """Choose a plan of FRONT, a folder of edgeplan pareto or its front.json.

    Limits come first; then one of --prefer, --reference, --weights and --knee. Says what a little
    less of each objective would cost there.
    """
    from edgeplan.pareto.choose import choose
    from edgeplan.pareto.files import read_front

    with reading(front):
        found = read_front(front)
    names = found.objectives
    limits = quantities.values("--max", most, names)
    for name, limit in quantities.at_least("--min", least, names).items():
        limits[name] = min(limit, limits.get(name, limit))
    try:
        chosen = choose(
            found,
            limits=limits,
            prefer=None if prefer is None else [name.strip() for name in prefer.split(",")],
            reference=quantities.values("--reference", reference, names) or None,
            weights=quantities.numbers("--weights", weights, names) or None,
            knee=None if knee is None else _method(knee),
        )
    except InputError as error:
        raise InputError([_as_options(fault) for fault in error.faults]) from None
    if output is not None:
        _write(found, chosen, front, output)
    if as_json:
        from edgeplan.instances.plans import plan_tree

        tree = plan_tree(chosen.point.plan)
        print_json({**chosen.as_json(found), "plan": tree, "written": output})
        return
    from edgeplan.cli import tables

    tables.choice(found, chosen)
    if output is not None:
        tables.say(f"plan: {output}")
    else:
        note("the plan was not written; -o PLAN does")


def _method(knee: str) -> Any:
    from edgeplan.pareto.knees import Method

    return next(method for method in get_args(Method) if method.replace(" ", "-") == knee)


_OPTIONS = {"limits": "--max", "prefer": "--prefer", "reference": "--reference"}


def _as_options(fault: Fault) -> Fault:
    """Return a fault whose place is an option."""
    head, dot, rest = fault.place.partition(".")
    known = ("limits", "prefer", "reference", "weights", "knee")
    if head not in known:
        return fault
    return Fault(_OPTIONS.get(head, f"--{head}") + f" {rest}" * bool(dot), fault.message)


def _write(found: Front, chosen: Choice, place: Path, output: Path) -> None:
    from edgeplan.instances.plans import write_plan

    keys = [criterion.key for criterion in found.criteria]
    about: dict[str, object] = {
        "chosen_of": f"front of {len(found)} points",
        "point": chosen.index,
        "why": chosen.why,
        **dict(zip(keys, chosen.point.values, strict=True)),
    }
    problem = _problem(found, place if place.is_dir() else place.parent)
    write_plan(chosen.point.plan, output, problem=problem, about=about)
    if problem is None:
        note("note: the front's instance is not beside it: the plan does not say what it is for")


def _problem(found: Front, folder: Path) -> Problem | None:
    """Return the problem of a front, where its copy lies beside it."""
    from edgeplan.instances.plans import fingerprint
    from edgeplan.instances.read import read_instance
    from edgeplan.pareto.files import INSTANCE_NAME

    try:
        problem = read_instance(folder / INSTANCE_NAME).problem
    except InputError:
        return None
    return problem if fingerprint(problem) == found.fingerprint else None
