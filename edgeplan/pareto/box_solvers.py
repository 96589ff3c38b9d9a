"""Which solver of boxes a problem gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edgeplan.model.errors import InputError
from edgeplan.model.problem import Objective, Problem
from edgeplan.pareto import by_enumeration
from edgeplan.pareto.boxes import Boxes
from edgeplan.pareto.objectives import Criterion

SOLVERS = ("auto", "highs", "cp-sat", "labels", "enumerate")


def make_boxes(problem: Problem, chosen: Sequence[Criterion], solver: str, seed: int) -> Boxes:
    """Return the solver of a problem's boxes, by its name (not ``auto``)."""
    if solver == "enumerate":
        return by_enumeration.EnumeratedBoxes(problem, chosen)
    if solver == "labels":
        from edgeplan.pareto.by_labels import LabelledBoxes

        return LabelledBoxes(problem, chosen)
    from edgeplan.pareto.program import program

    names = [criterion.name for criterion in chosen]
    stated = program(smaller(problem, names), names)
    if solver == "cp-sat":
        from edgeplan.pareto.by_cpsat import CpSatBoxes

        return CpSatBoxes(problem, chosen, stated, seed)
    from edgeplan.pareto.by_highs import HighsBoxes

    return HighsBoxes(stated, seed)


def smaller(problem: Problem, names: Sequence[str]) -> Problem:
    """Return the problem without choices that no point of a front needs.

    Places and cuts that are never worth it, orders of devices that are alike: what is left has a
    plan for every non-dominated image, and its plans are plans of the problem.

    Parameters
    ----------
    problem
        What is to be planned.
    names
        Of the objectives.
    """
    from edgeplan.solvers.reductions import reduce

    # The period is kept in mind where it has a price; other weights do not matter.
    priced = Objective(latency=1, throughput=float("throughput" in names))
    priced = dataclasses.replace(priced, aggregate=problem.objective.aggregate)
    stated = dataclasses.replace(problem, objective=priced)
    reduced = reduce(stated, keep="front").problem
    return dataclasses.replace(reduced, objective=problem.objective)


def check_solver(problem: Problem, chosen: Sequence[Criterion], asked: str) -> str:
    """Return the solver to use where one is asked for: itself, or what a problem needs.

    Raises
    ------
    InputError
        If there is none of that name, or it is not for the problem.
    """
    if asked not in SOLVERS:
        raise InputError.at("solver", f"there is no '{asked[:80]}'; choose {', '.join(SOLVERS)}")
    if problem.load_features:
        reason = by_enumeration.obstacle(problem)
        if reason and asked in ("auto", "enumerate"):
            raise InputError.at(
                "problem",
                f"{problem.load_features[0]}: fronts of such problems are found by walking all "
                f"plans, and {reason}; fewer layers or devices per stream make fewer plans, and "
                "without waiting and batches there is no such limit",
            )
        if asked not in ("auto", "enumerate"):
            raise InputError.at(
                "solver",
                f"'{asked}' knows no load, but {problem.load_features[0]}; choose 'enumerate'",
            )
        return "enumerate"
    if reason := _obstacle(problem, chosen, asked):
        raise InputError.at("solver", f"'{asked}' cannot be used here: {reason}")
    return asked


def _obstacle(problem: Problem, chosen: Sequence[Criterion], asked: str) -> str:
    """Return why a solver cannot be used on a problem; empty where it can."""
    if asked == "labels":
        from edgeplan.pareto import by_labels

        return by_labels.obstacle(problem, chosen)
    if asked == "cp-sat":
        from edgeplan.pareto import by_cpsat

        return by_cpsat.obstacle(problem)
    return by_enumeration.obstacle(problem) if asked == "enumerate" else ""
