"""Which routes and states a plan that is cheap enough can use, by the duals of the relaxation.

Every route that is not in the relaxed program joins it with rows of its own. With their duals
chosen best (each visit in the state where it is cheapest) its reduced cost says how much any
plan that takes it costs at least above the relaxation's value.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from edgeplan.model.formulation.queueing import EQUATIONS, PART, TERMS, Columns, Program
from edgeplan.model.formulation.queueing.sets import Floats, Ints, Sets
from edgeplan.model.formulation.queueing.variables import Variables
from edgeplan.solvers.queueing.highs_run import Relaxation

SHARED_ROWS = (
    "served",
    "few_routes",
    "within",
    "decaying",
    "in_time_on_average",
    "powered",
    "powered_in_all",
    "paid",
    "busiest",
    "exceeding",
)
"""Equations whose rows are the same whatever routes there are."""


def scores(program: Program, relaxation: Relaxation, columns: Columns) -> Floats:
    """Return the reduced cost of each of some other routes, in the program's unit.

    Parameters
    ----------
    program
        The relaxed program.
    relaxation
        Its optimum.
    columns
        Routes that are not in it.
    """
    sets = dataclasses.replace(program.variables.sets, columns=columns)
    f = Variables(sets)
    cost = np.zeros(f.count)
    for price in TERMS.values():
        where, values = price(f)
        np.add.at(cost, where, values / program.unit)
    for name in SHARED_ROWS:
        rows = EQUATIONS[name](f)
        row, column, value = rows.entries
        dual = relaxation.dual[program.first_row[name][0] :]
        if len(row):
            cost -= np.bincount(column, weights=dual[row] * value, minlength=f.count)
    for name, family, of in (("only_there", "at", "state"), ("only_at_it", "tail", "decay")):
        first, count = program.first_row[name]
        known = np.zeros((len(columns.groups), max(len(f[of]), 1)))
        if count:
            group, state = np.array(program.labels[name], dtype=np.int64).T
            known[group, state] = relaxation.dual[first : first + count]
        incidence, state = sets.pairs if family == "at" else sets.decay_pairs
        cost[f[family]] -= known[columns.group[columns.column[incidence]], state]
    return _per_route(sets, f, cost)


def own_scores(program: Program, relaxation: Relaxation) -> Floats:
    """Return the same for the routes in the relaxed program."""
    return _per_route(program.variables.sets, program.variables, relaxation.reduced)


def _per_route(sets: Sets, f: Variables, cost: Floats) -> Floats:
    """Return the cost of each route with every visit in its cheapest state."""
    columns = sets.columns
    upper = f.bounds[1]
    found = cost[f["route"]].copy()
    for family, (incidence, _), every in (
        ("at", sets.pairs, np.arange(len(columns.column))),
        ("tail", sets.decay_pairs, sets.tailed),
    ):
        value = np.where(upper[f[family]] > 0, cost[f[family]], np.inf)
        least = _least_by(incidence, value, len(columns.column))
        np.add.at(found, columns.column[every], least[every])
    part = np.flatnonzero(columns.kind == PART)
    found[part] += np.maximum(cost[f["use"]], 0.0)
    return found


def _least_by(index: Ints, value: Floats, size: int) -> Floats:
    found = np.full(size, np.inf)
    np.minimum.at(found, index, value)
    return found
