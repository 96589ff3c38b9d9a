"""The program of boxes has fewer columns and rows, and the same best values."""

import dataclasses
import math
import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.formulation.assemble import assemble
from edgeplan.model.problem import Objective
from edgeplan.pareto.program import program
from edgeplan.pareto.rows import Rows

NAMES = ("latency", "energy", "cost", "throughput")


def least(cost, of):
    """The least value of a relaxation: of an assembled program or of one of boxes."""
    entries = of.rows if hasattr(of, "rows") else of
    matrix = csr_array(
        (entries.values, entries.indices, entries.starts),
        shape=(len(of.row_lower), len(of.lower)),
    )
    same = of.row_lower == of.row_upper
    above, below = ~same & np.isfinite(of.row_upper), ~same & np.isfinite(of.row_lower)
    size = np.abs(cost).max(initial=1e-300)  # the solver's tolerances are absolute
    found = linprog(
        cost / size,
        A_ub=np.vstack([matrix[above].toarray(), -matrix[below].toarray()]),
        b_ub=np.concatenate([of.row_upper[above], -of.row_lower[below]]),
        A_eq=matrix[same].toarray(),
        b_eq=of.row_upper[same],
        bounds=np.column_stack([of.lower, of.upper]),
    )
    return size * found.fun if found.status == 0 else math.inf


@pytest.mark.parametrize("splittable", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_relaxation_keeps_its_best_values(kind, splittable):
    problem = random_problem(5, kind=kind, tight=False, splittable=splittable)
    priced = Objective(**dict.fromkeys(NAMES, 1.0), aggregate=problem.objective.aggregate)
    whole = assemble(with_tolerance(dataclasses.replace(problem, objective=priced)))
    small = program(problem, NAMES)
    assert len(small.lower) < len(whole.arrays.lower)
    assert len(small.rows) < len(whole.arrays.row_lower)
    for k, name in enumerate(NAMES):
        row = whole.values[name]
        found = least(small.criteria[k], small) + small.offsets[k]
        assert found == pytest.approx(least(row.row, whole.arrays) + row.constant, rel=1e-6)


def test_rows_are_those_of_the_dense_matrix():
    dense = np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, -3.0, 0.5]])
    more = np.array([[0.0, 4.0, 0.0]])
    empty = Rows(
        starts=np.zeros(1, dtype=np.int32),
        indices=np.zeros(0, dtype=np.int32),
        values=np.zeros(0),
        width=3,
    )
    rows = empty.and_dense(dense).and_dense(more)
    assert len(rows) == 4
    assert len(rows.values) == 5
    both = np.vstack([dense, more])
    weights, vector = np.array([2.0, 7.0, -1.0, 0.5]), np.array([3.0, 5.0, 7.0])
    assert rows.weighted_sum(weights) == pytest.approx(weights @ both)
    assert rows.times(vector) == pytest.approx(both @ vector)
    assert rows.largest() == pytest.approx(np.abs(both).max(axis=1))
    taken = rows.take(np.array([2, 0]))
    assert taken.times(vector) == pytest.approx(both[[2, 0]] @ vector)
    # x1 = 2 x0 + x2 / 6
    terms = Rows(
        np.array([0, 2], dtype=np.int32), np.array([0, 2], np.int32), np.array([2.0, 1 / 6]), 3
    )
    left = rows.replaced(np.array([1]), terms)
    change = np.array([[1.0, 0.0, 0.0], [2.0, 0.0, 1 / 6], [0.0, 0.0, 1.0]])
    assert left.times(vector) == pytest.approx(both @ change @ vector)
    assert len(left.values) == 5  # the entry of x2 in the third row is cancelled


def test_no_dense_matrix_is_made():
    problem = random_problem(1, layers=15, devices=6, streams=10, tight=False)
    tracemalloc.start()
    small = program(problem, NAMES)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * len(small.lower) * len(small.rows) / 2
