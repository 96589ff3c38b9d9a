"""``edgeplan verify``: what stands of a plan and of the bound that its file claims."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeplan.cli.group import FAILED
from edgeplan.cli.load import as_made, is_for, load_file, reading
from edgeplan.cli.options import (
    contiguous_option,
    input_argument,
    json_option,
    objective_option,
)
from edgeplan.cli.output import note, print_json
from edgeplan.model.certificate import Claim
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.multipliers import Multipliers

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem


@click.command("verify")
@input_argument("instance")
@input_argument("plan")
@objective_option
@contiguous_option
@json_option
def command(
    instance: Path, plan: Path, objective: str | None, contiguous: bool, as_json: bool
) -> None:
    """Check PLAN on INSTANCE: every limit, its price, and the bound that its file claims.

    No solver is asked. The evaluator prices the plan and checks its limits; the claimed price
    and bound are held against that, and against the baselines' prices. A bound that comes with
    multipliers is recomputed from them, and then proved; of any other the basis says on what it
    is said to stand. Exit code 1: the plan breaks a limit, or something claimed does not hold.
    """
    from edgeplan.model.verify import verify
    from edgeplan.solvers.baselines import baselines

    read, file = load_file(instance, plan)
    problem = read.problem.asked(objective, contiguous=contiguous)
    claim = file.claim
    if objective is None and not contiguous:
        problem = as_made(problem, file)
    if claim is not None and file.fingerprint and not is_for(problem, file):
        note("note: the plan was made for another problem: what its file claims does not count")
        claim = None
    claim = claim or Claim()
    # No multipliers prove something too: 0, or that a stream has no way. Under load none speak.
    multipliers = None if problem.load_features else Multipliers()
    if file.multipliers is not None:
        with reading(plan):
            multipliers = _multipliers(file.multipliers, problem)
    certified = verify(
        problem,
        file.plan,
        bound=claim.bound,
        certificate=claim.certificate,
        objective=claim.objective,
        multipliers=multipliers,
        known=[b.plan for b in baselines(problem) if b.plan is not None],
    )
    evaluation = certified.evaluation
    assert evaluation is not None
    if as_json:
        print_json(
            {
                "feasible": evaluation.feasible,
                "price": evaluation.objective,
                "bound": certified.bound,
                "gap": certified.gap,
                "basis": certified.certificate.basis if certified.certificate else None,
                "proved": certified.proved and certified.rechecked,
                "rechecked": certified.rechecked,
                "violations": [dataclasses.asdict(v) for v in evaluation.violations],
                "holds": certified.holds,
                "contradictions": certified.contradictions,
                "claimed": dataclasses.asdict(claim),
            }
        )
    else:
        from edgeplan.cli import tables

        tables.totals(problem, evaluation)
        tables.violations(evaluation)
        tables.certified(problem, certified, claim)
    if not certified.holds:
        raise click.exceptions.Exit(FAILED)


def _multipliers(document: object, problem: Problem) -> Multipliers:
    try:
        return Multipliers.from_json(document, problem)
    except InputError as error:
        raise InputError(
            Fault(f"claim.multipliers.{fault.place}".rstrip("."), fault.message)
            for fault in error.faults
        ) from None
