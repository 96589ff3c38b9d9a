"""``edgeplan solve``: the best plan of an instance, and how good it is."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeplan.cli.explain import infeasibility_json
from edgeplan.cli.group import FAILED, INFEASIBLE, INTERRUPTED, NO_PLAN
from edgeplan.cli.interrupt import stop_on_interrupt
from edgeplan.cli.load import load_instance
from edgeplan.cli.options import (
    contiguous_option,
    input_argument,
    json_option,
    objective_option,
    output_option,
    threads_option,
)
from edgeplan.cli.output import note, print_json
from edgeplan.cli.places import FilePlaces
from edgeplan.model.certificate import Claim

if TYPE_CHECKING:
    import threading

    from edgeplan.closed_loop import Agreement
    from edgeplan.explain import Infeasibility
    from edgeplan.model.problem import Problem
    from edgeplan.result import Result
    from edgeplan.solvers.result import Progress

SOLVERS = (
    "highs", "enumerate", "chain", "mincut", "ideals", "cp-sat", "scip", "cbc", "gurobi",
    "queueing", "greedy",
)  # fmt: skip
"""Names of the registry, for the help, which is printed without importing it."""

RESULT_FORMAT = "edgeplan-result"
EXPLAIN_SECONDS = 20.0
"""Time for the reasons where there is no plan; ``edgeplan explain`` has no such limit."""


@click.command("solve")
@input_argument("instance")
@output_option("PLAN", "Write the plan here.")
@click.option(
    "--solver",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto takes the solver that suits the instance and says why. Else one of "
    f"{', '.join(SOLVERS)}.",
)
@objective_option
@contiguous_option
@click.option(
    "--witness", metavar="SOLVER", help="Ask this solver too, so that the bound stands on both."
)
@click.option("--time-limit", type=float, metavar="SECONDS", help="Stop with what is held then.")
@click.option(
    "--gap", type=float, default=1e-6, show_default=True, help="Relative gap that is closed enough."
)
@threads_option
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True)
@click.option(
    "--verify",
    "verified_by",
    type=click.Choice(["simulate"]),
    help="simulate: let random requests run through the plan; where a deadline does not surely "
    "hold (at 95 % over all of them), give the queue where the stream's requests wait longest 5 % "
    "less load and solve again, at most 40 times (the time limit holds for each solve). Without a "
    "confirmed plan the last one simulated is kept and the exit code is 1; after Ctrl-C, 130.",
)
@click.option(
    "--requests",
    type=click.IntRange(1, 200_000_000),
    default=200_000,
    show_default=True,
    help="Requests of each simulation of --verify; up to sixteen times as many where these do "
    "not suffice to tell.",
)
@click.option("--dry-run", is_flag=True, help="Read and check the instance, choose the solver.")
@json_option
def command(
    instance: Path,
    output: Path | None,
    solver: str,
    objective: str | None,
    contiguous: bool,
    witness: str | None,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    verified_by: str | None,
    requests: int,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find the best plan of INSTANCE and say how good it is.

    Prints every plan considered with its price, the limit that an infeasible one breaks, and the
    bound that the chosen one is measured against. Ctrl-C keeps the best plan so far.
    """
    _check("--time-limit", time_limit, zero=True)
    _check("--gap", gap, zero=True)
    from edgeplan.instances.plans import fingerprint, write_plan

    problem = load_instance(instance).problem.asked(objective, contiguous=contiguous)
    if dry_run:
        _dry_run(problem, solver, as_json=as_json)
        return
    with stop_on_interrupt("the best plan so far") as stop, _watching() as on_progress:
        agreement, result = _solve(
            problem,
            None if verified_by is None else requests,
            solver=solver,
            witness=witness,
            time_limit=time_limit,
            gap=gap,
            threads=threads,
            seed=seed,
            on_progress=on_progress,
            stop=stop,
        )
        none = result.status == "infeasible"
        places = FilePlaces.read(instance) if none else FilePlaces()
        why = _why_infeasible(problem, places, result, threads, seed, stop)
    written = None
    if output is not None and result.plan is not None:
        write_plan(
            result.plan,
            output,
            problem=problem,
            about=about(result),
            claim=claim(result),
            multipliers=result.multipliers,
        )
        written = output
    if as_json:
        document: dict[str, Any] = {
            "format": RESULT_FORMAT,
            "version": 1,
            "instance": problem.name,
            "fingerprint": fingerprint(problem),
            **result.as_json(written),
        }
        if agreement is not None:
            document["verified"] = agreement.as_json()
        if why is not None:
            found = infeasibility_json(why, places)
            keys = "conflict another_conflict rests_on_estimates needs shortage repair complete"
            document |= {key: found[key] for key in keys.split()}
        print_json(document)
    else:
        from edgeplan.cli import tables

        if result.evaluation is not None:
            tables.drawing(problem, result.evaluation)
            tables.stages(problem, result.evaluation)
            tables.loads(problem, result.evaluation)
        tables.decision(problem, result, estimated=why is not None and why.estimated)
        if agreement is not None:
            tables.agreement(agreement)
        if why is not None:
            tables.infeasibility(why, places)
            if not why.complete:
                note("note: there was not enough time for all of it; edgeplan explain takes more")
        if written is not None:
            tables.say(f"plan: {written}")
    if output is not None and written is None:
        note("no plan was written: there is none")
    elif output is None and result.plan is not None and not as_json:
        note("the plan was not written; -o PLAN does")
    if result.status == "infeasible":
        raise click.exceptions.Exit(INFEASIBLE)
    if result.plan is None:
        stopped = result.limit == "interrupted"
        raise click.exceptions.Exit(INTERRUPTED if stopped else NO_PLAN)
    if agreement is not None and not agreement.agrees:
        raise click.exceptions.Exit(INTERRUPTED if agreement.stopped else FAILED)


def _solve(
    problem: Problem, requests: int | None, **options: Any
) -> tuple[Agreement | None, Result]:
    """Plan, and where requests are to be simulated until the simulation agrees."""
    if requests is None:
        from edgeplan import planner

        return None, planner.plan(problem, **options)
    from edgeplan.closed_loop import Round, plan_and_simulate

    def tell(number: int, done: Round) -> None:
        if done.tightened:
            where = ", ".join(f"{name} at most {cap:.1%} busy" for name, cap in done.tightened)
            note(f"round {number}: {done.broken[0]}; again with {where}")

    found = plan_and_simulate(problem, requests=requests, on_round=tell, **options)
    return found, found.result


def _why_infeasible(
    problem: Problem,
    places: FilePlaces,
    result: Result,
    threads: int,
    seed: int,
    stop: threading.Event,
) -> Infeasibility | None:
    """Explain why there is no plan, where that is the answer, in a few seconds."""
    if result.status != "infeasible":
        return None
    from edgeplan.explain import explain_infeasible

    return explain_infeasible(
        problem,
        certificate=result.certificate,
        two_way=places.two_way(problem),
        time_limit=EXPLAIN_SECONDS,
        stop=stop,
        threads=threads,
        seed=seed,
    )


def claim(result: Result) -> Claim:
    """Return what a plan file claims of its plan."""
    return Claim(objective=result.objective, bound=result.bound, certificate=result.certificate)


def about(result: Result) -> dict[str, object]:
    """Return what a plan file says of how it was found."""
    return {
        "status": result.status,
        "objective": result.objective,
        "bound": result.bound,
        "gap": result.gap,
        "basis": None if result.certificate is None else str(result.certificate),
        "solver": result.solver,
        "chosen": result.chosen,
        "seconds": result.seconds,
    }


def _check(name: str, value: float | None, *, zero: bool) -> None:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise click.UsageError(f"{name} must be a finite number, not negative")


def _dry_run(problem: Problem, solver: str, *, as_json: bool) -> None:
    from edgeplan.solvers import registry
    from edgeplan.solvers.search import refused

    chosen, why = registry.choose(problem) if solver == "auto" else (solver, "asked for")
    if unsupported := registry.get(chosen).unsupported(problem):
        raise refused(chosen, unsupported)
    document = {
        "instance": problem.name,
        "networks": len(problem.networks),
        "layers": sum(len(problem.network[s.network].layers) for s in problem.streams),
        "devices": len(problem.devices),
        "links": len(problem.links),
        "streams": len(problem.streams),
        "solver": chosen,
        "why": why,
    }
    if as_json:
        print_json(document)
        return
    from edgeplan.cli import tables

    tables.facts("Dry run: nothing was solved", document)


@contextmanager
def _watching() -> Iterator[Callable[[Progress], None] | None]:
    """Yield what shows incumbent, bound and gap live on stderr; ``None`` without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    from edgeplan.cli import tables, units

    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=tables.console(errors=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("solving", total=None)

        def update(moment: Progress) -> None:
            bar.update(
                task,
                description=f"incumbent {units.number(moment.incumbent)}   "
                f"bound {units.number(moment.bound)}   gap {units.gap(moment.gap)}",
            )

        yield update
