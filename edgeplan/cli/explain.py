"""``edgeplan explain``: why there is no plan, or why a plan is as it is."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeplan.cli.group import INTERRUPTED, NO_PLAN
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load, load_instance
from edgeplan.cli.options import (
    contiguous_option,
    input_argument,
    json_option,
    objective_option,
    threads_option,
)
from edgeplan.cli.output import print_json
from edgeplan.cli.places import FilePlaces
from edgeplan.model.errors import Fault, InputError

if TYPE_CHECKING:
    from edgeplan.explain import Infeasibility, Item, PlanExplanation
    from edgeplan.explain.needs import Need
    from edgeplan.explain.plans import Alternative
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Problem
    from edgeplan.solvers.elastic import Key


@click.command("explain")
@input_argument("instance")
@click.argument("plan", type=click.Path(path_type=Path), required=False)
@click.option(
    "--time-limit",
    type=float,
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Tell what is known then.",
)
@click.option(
    "--keep",
    multiple=True,
    metavar="PLACE",
    help="A limit or rule that the repair must leave alone, as in streams.cam.deadline (or a part "
    "of the file with several of them); may be repeated.",
)
@click.option(
    "--step",
    type=float,
    default=10.0,
    show_default=True,
    metavar="PERCENT",
    help="With a plan: by how much a limit is raised to find what more of it is worth.",
)
@objective_option
@contiguous_option
@threads_option
@json_option
def command(
    instance: Path,
    plan: Path | None,
    objective: str | None,
    contiguous: bool,
    time_limit: float,
    keep: tuple[str, ...],
    step: float,
    threads: int,
    as_json: bool,
) -> None:
    """Explain INSTANCE, or PLAN on INSTANCE.

    Without a plan: where no plan exists, which limits and rules cannot hold together, and the
    cheapest way to mend that. With one: what else each stage could be and what that would cost,
    which limits bind, and what more of them would be worth.
    """
    for name, value, zero in (("--time-limit", time_limit, True), ("--step", step, False)):
        if not (math.isfinite(value) and (value >= 0 if zero else value > 0)):
            raise click.UsageError(f"{name} must be a finite number, not negative")
    if plan is not None:
        if keep:
            raise click.UsageError("--keep is about repairs: it goes with an instance alone")
        read, chosen = load(instance, plan, objective, contiguous=contiguous)
        problem = read.problem
        places = FilePlaces.read(instance)
        _plan(problem, chosen, places, time_limit, step / 100, threads, as_json=as_json)
        return
    from edgeplan.explain import explain_infeasible

    problem = load_instance(instance).problem.asked(objective, contiguous=contiguous)
    places = FilePlaces.read(instance)
    fixed = _fixed(problem, places, keep)
    with stop_on_interrupt("what is known so far") as stop, _watching() as on_progress:
        found = explain_infeasible(
            problem,
            fixed=fixed,
            two_way=places.two_way(problem),
            time_limit=time_limit,
            stop=stop,
            threads=threads,
            on_progress=on_progress,
        )
    if as_json:
        print_json(infeasibility_json(found, places))
    else:
        from edgeplan.cli import tables

        tables.infeasibility(found, places)
    if found.infeasible is None:
        raise click.exceptions.Exit(INTERRUPTED if stop.is_set() else NO_PLAN)


def _plan(
    problem: Problem,
    chosen: Plan,
    places: FilePlaces,
    time_limit: float,
    step: float,
    threads: int,
    *,
    as_json: bool,
) -> None:
    from edgeplan.explain import explain_plan

    with stop_on_interrupt("what is known so far") as stop, _watching() as on_progress:
        found = explain_plan(
            problem,
            chosen,
            step=step,
            two_way=places.two_way(problem),
            time_limit=time_limit,
            stop=stop,
            threads=threads,
            on_progress=on_progress,
        )
    if as_json:
        print_json(plan_json(problem, found, places))
        return
    from edgeplan.cli import tables

    tables.plan_explanation(problem, found, places)


def _fixed(problem: Problem, places: FilePlaces, keep: tuple[str, ...]) -> frozenset[Key]:
    """Return the keys of the statements that the user wants to keep."""
    from edgeplan.explain import list_items

    # Both directions of a link may be one entry of the file, and a deadline several of them.
    known: dict[str, set[Key]] = {}
    for item in list_items(problem):
        known.setdefault(places.where(item.place), set()).add(item.key)
    meant = {
        place: [
            where
            for where in known
            if where == place or where.startswith((f"{place}.", f"{place}["))
        ]
        for place in keep
    }
    if unknown := [place for place in keep if not meant[place]]:
        shown = ", ".join(list(known)[-12:]) or "none"
        raise InputError(
            Fault("--keep", f"there is no limit or rule at '{place[:80]}'; known: {shown}")
            for place in unknown
        )
    return frozenset(key for place in keep for where in meant[place] for key in known[where])


def infeasibility_json(found: Infeasibility, places: FilePlaces) -> dict[str, Any]:
    """Return an explanation of infeasibility for machines; numbers in SI units beside the text."""
    from edgeplan.cli.tables import in_file

    conflict, repair = found.conflict, found.repair
    certificate = None if conflict is None else conflict.certificate
    return {
        "infeasible": found.infeasible,
        "conflict": [
            _item_json(item, places) | {"judged_by": found.judged.get(item.key)}
            for item in (() if conflict is None else conflict.items)
        ],
        "rests_on_estimates": found.estimated,
        "repair": [
            {
                "item": edit.item,
                "where": places.where(edit.place),
                "line": places.line(edit.place),
                "from": edit.text_before or in_file(edit.before, edit.unit),
                "to": edit.text_after or in_file(edit.after, edit.unit),
                "from_amount": edit.before,
                "to_amount": edit.after,
                "unit": edit.unit,
            }
            for edit in (() if repair is None else repair.edits)
        ],
        "irreducible": conflict is not None and conflict.irreducible,
        "smallest": conflict is not None and conflict.smallest,
        "another_conflict": None if conflict is None else conflict.another,
        "needs": [_need_json(need, places) for need in found.needs],
        "shortage": {
            "least": found.shortage.least,
            "places": [
                {
                    "name": short.name,
                    "where": places.where(short.item.place),
                    "line": places.line(short.item.place),
                    "streams": list(short.streams),
                    "replicas": short.replicas,
                    "needed": short.needed,
                    "given": short.given,
                    "missing": short.missing,
                }
                for short in found.shortage.places
            ],
        },
        "notes": [] if conflict is None else list(conflict.notes),
        "repair_price": None if repair is None else repair.price,
        "repair_bound": None if repair is None else repair.bound,
        "basis": None if certificate is None else certificate.basis,
        "complete": found.complete,
        "stopped": found.stop.value,
        "message": found.message,
        "seconds": found.seconds,
    }


def _need_json(need: Need, places: FilePlaces) -> dict[str, Any]:
    from edgeplan.cli.tables import in_file

    unit = need.item.unit
    return _item_json(need.item, places) | {
        "enough": None if need.enough is None else in_file(need.enough, unit),
        "enough_amount": need.enough,
        "too_little": in_file(need.too_little, unit),
        "too_little_amount": need.too_little,
        "helps": need.helps,
        "all_else_as_it_is": need.whole,
        "complete": need.complete,
        "basis": None if need.certificate is None else need.certificate.basis,
    }


def _item_json(item: Item, places: FilePlaces) -> dict[str, Any]:
    from edgeplan.cli.tables import in_file

    return {
        "item": item.item,
        "where": places.where(item.place),
        "line": places.line(item.place),
        "value": item.text or in_file(item.amount, item.unit),
        "amount": item.amount,
        "unit": item.unit,
    }


def plan_json(problem: Problem, found: PlanExplanation, places: FilePlaces) -> dict[str, Any]:
    """Return an explanation of a plan for machines."""
    from edgeplan.cli.tables import in_file

    def alternative(other: Alternative | None, names: list[str]) -> dict[str, Any] | None:
        if other is None:
            return None
        return {
            "kind": other.kind,
            "layers": names[other.first : other.stop],
            "device": other.device,
            "objective": other.objective,
            "more": other.more,
            "feasible": other.feasible,
            "violations": [f"{v.kind}, {v.place}: {v.message}" for v in other.violations],
        }

    stages = []
    for stage in found.stages:
        network = problem.network[problem.stream[stage.stream].network]
        names = [layer.name for layer in network.layers]
        stages.append(
            {
                "stream": stage.stream,
                "route": stage.route,
                "device": stage.device,
                "layers": names[stage.first : stage.stop],
                "next_best": alternative(stage.next_best, names),
                "forbidden": alternative(stage.forbidden, names),
                "alternatives": [alternative(other, names) for other in stage.alternatives],
            }
        )
    worth = found.worth
    return {
        "objective": found.evaluation.objective,
        "feasible": found.evaluation.feasible,
        "optimum": worth.optimum,
        "stages": stages,
        "binding": [
            _item_json(b.item, places) | {"used": b.used, "share": b.share, "binds": b.binds}
            for b in found.binding
        ],
        "worth": [
            {
                "item": w.item.item,
                "where": places.where(w.item.place),
                "line": places.line(w.item.place),
                "from": in_file(w.item.amount, w.item.unit),
                "to": in_file(w.raised, w.item.unit),
                "unit": w.item.unit,
                "objective": w.objective,
                "gain": w.gain,
                "gain_per_unit": w.per_unit,
            }
            for w in worth.found
        ],
        "left_out": [
            {"item": item.item, "where": places.where(item.place)} for item in worth.left_out
        ],
        "basis": worth.basis or None,
        "message": worth.message,
        "seconds": found.seconds,
    }


@contextmanager
def _watching() -> Iterator[Callable[[str], None] | None]:
    """Yield what shows how far it is, live on stderr; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from edgeplan.cli import tables

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=tables.console(errors=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("explaining", total=None)
        yield lambda text: bar.update(task, description=text)
