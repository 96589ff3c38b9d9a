"""``edgeplan evaluate``: the price of a plan."""

from __future__ import annotations

from pathlib import Path

import click

from edgeplan.cli.load import load
from edgeplan.cli.options import (
    contiguous_option,
    input_argument,
    json_option,
    objective_option,
)
from edgeplan.cli.output import print_json


@click.command("evaluate")
@input_argument("instance")
@input_argument("plan")
@objective_option
@contiguous_option
@json_option
def command(
    instance: Path, plan: Path, objective: str | None, contiguous: bool, as_json: bool
) -> None:
    """Price PLAN on INSTANCE by the rules, and name every limit that it breaks.

    An infeasible plan is priced too: the exit code is 0, the limits are in the answer.
    """
    from edgeplan.model.evaluate import evaluate
    from edgeplan.result import evaluation_json

    read, chosen = load(instance, plan, objective, contiguous=contiguous)
    problem = read.problem
    evaluation = evaluate(problem, chosen)
    if as_json:
        print_json(evaluation_json(evaluation))
        return
    from edgeplan.cli import tables

    tables.stages(problem, evaluation)
    tables.loads(problem, evaluation)
    tables.totals(problem, evaluation)
    tables.violations(evaluation)
