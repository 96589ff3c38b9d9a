"""The assembled arrays are those of the Pyomo model, number by number, and lead back to plans."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from witnesses import golden_problems, witness, witnesses

from edgeplan.instances.generators import KINDS, random_problem
from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.errors import InputError
from edgeplan.model.formulation import EQUATIONS, build
from edgeplan.model.formulation.arrays import TINIEST, Names, compile_arrays
from edgeplan.model.formulation.assemble import assemble
from edgeplan.model.formulation.linear import Linear, Row, total, variable
from edgeplan.model.formulation.registry import Register
from edgeplan.model.problem import Objective, Problem

WITNESSES = witnesses()
NUMBERS = (
    *("cost", "offset", "lower", "upper", "integral", "starts", "indices", "values"),
    *("row_lower", "row_upper"),
)


def assert_same(problem: Problem, hint: float | None = None) -> None:
    """Assert that both ways to the arrays give the same."""
    formulation = build(problem, objective_hint=hint)
    assembled = assemble(problem, objective_hint=hint)
    assert assembled.obstacles == formulation.obstacles
    assert assembled.objective_unit == formulation.objective_unit
    names = [column.name for column in compile_columns(formulation.model)]
    assert list(assembled.arrays.column_names) == names
    if formulation.obstacles:
        return
    expected = compile_arrays(formulation.model)
    assert list(assembled.arrays.row_names) == list(expected.row_names)
    for name in NUMBERS:
        assert np.array_equal(getattr(assembled.arrays, name), getattr(expected, name)), name


def compile_columns(model):
    import pyomo.environ as pyo

    return list(model.component_data_objects(pyo.Var, active=True))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    features=st.tuples(*[st.booleans()] * 5),
)
def test_random_problems(seed, kind, features):
    names = ("tight", "spans", "splittable", "pipelined", "contiguous")
    chosen = dict(zip(names, features, strict=True))
    assert_same(random_problem(seed, kind=kind, layers=3, streams=1 + seed % 3, **chosen))


@pytest.mark.parametrize("name", WITNESSES)
def test_problems_of_every_equation(name):
    assert_same(WITNESSES[name].problem, hint=0.125)


def test_a_layer_without_a_device_is_an_obstacle():
    problem = golden_problems()["layered"]
    devices = tuple(dataclasses.replace(item, memory_bytes=100) for item in problem.devices)
    assert_same(dataclasses.replace(problem, devices=devices))


def test_plans_are_written_and_read_as_by_the_formulation():
    for name in ("split", "three streams", "split in three", "split, contiguous"):
        item = WITNESSES[name]
        assembled, formulation = assemble(item.problem), build(item.problem)
        names = list(assembled.arrays.column_names)
        for plan in item.plans[:6]:
            columns, values = assembled.columns_of(plan)
            expected = {v.name: value for v, value in formulation.values(plan)}
            found = {names[c]: v for c, v in zip(columns, values, strict=True)}
            assert found == expected
            full = np.zeros(len(names))
            full[columns] = values
            variables = compile_columns(formulation.model)
            read = {v.name: value for v, value in zip(variables, full, strict=True)}
            assert assembled.extract(full) == formulation.extract(lambda v, r=read: r[v.name])


@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), splittable=st.booleans())
def test_values_of_objectives_are_the_evaluators(seed, kind, splittable):
    """At the cheapest point that stands for a plan, each row gives what the evaluator says."""
    problem = random_problem(
        seed, kind=kind, layers=3, tight=False, pipelined=True, splittable=splittable
    )
    aggregate = problem.objective.aggregate
    prices = Objective(latency=1.0, energy=0.3, cost=40.0, throughput=0.5, aggregate=aggregate)
    problem = dataclasses.replace(problem, objective=prices)
    assembled = assemble(problem)
    if assembled.obstacles:
        return
    assert set(assembled.values) == {"latency", "energy", "cost", "throughput"}
    item = witness("", problem, seed=seed, count=4)
    for plan, priced in zip(item.plans, item.evaluations, strict=True):
        point = cheapest(assembled, plan)
        assert (point is not None) == priced.feasible
        if point is None:
            continue
        for name, said in (
            ("latency", priced.latency_seconds),
            ("energy", priced.energy_joules),
            ("cost", priced.cost_dollars),
            ("throughput", priced.period_seconds),
        ):
            value = assembled.values[name]
            assert value.row @ point + value.constant == pytest.approx(said, rel=1e-6, abs=1e-12)


def cheapest(assembled, plan):
    """Return the cheapest values of all columns that stand for a plan; None for none."""
    import highspy

    from edgeplan.solvers.highs import as_program, quiet_highs

    columns, values = assembled.columns_of(plan)
    if not len(columns):
        return None
    lp = as_program(assembled.arrays)
    lp.integrality_ = []
    highs = quiet_highs()
    for key, option in (("primal_feasibility_tolerance", 1e-9), ("small_matrix_value", 1e-12)):
        highs.setOptionValue(key, option)
    highs.setOptionValue("threads", 1)
    highs.passModel(lp)
    highs.changeColsBounds(len(columns), columns, values, values)
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    return np.array(highs.getSolution().col_value)


def test_an_objective_without_weight_has_no_row():
    problem = WITNESSES["plain chain"].problem.with_objective("energy")
    assert set(assemble(problem).values) == {"energy"}


def test_what_comes_of_load_is_refused():
    with pytest.raises(InputError, match="knows no load"):
        assemble(random_loaded_problem(0, streams=2, devices=2, layers=2))


def with_rule(rule):
    register = Register(EQUATIONS)
    register.equation("timed")(rule)
    return register


def test_rows_that_are_not_rows_are_refused():
    problem = WITNESSES["plain chain"].problem.with_objective("latency")

    def never(f, s):
        return False

    def squared(f, s):
        return f.model.latency[s] * f.model.latency[s] <= 1

    def loose(f, s):
        return f.model.latency[s]

    for rule, words in ((never, "no values"), (squared, "not linear"), (loose, "not linear")):
        with pytest.raises(ValueError, match=words):
            assemble(problem, equations=with_rule(rule))


def test_rows_of_users_count_too():
    problem = WITNESSES["plain chain"].problem.with_objective("latency")

    def capped(f, s):
        # A constant on either side, a column twice, one that vanishes, and a tiny coefficient.
        x = f.model.latency[s]
        y = next(iter(f.model.place.values()))
        return 3 + 2 * x + x / 4 - 0 * y >= 1 + 1e-20 * y

    def always(f, s):
        return True

    register = with_rule(capped)
    register.equation("timed")(always)
    arrays = assemble(problem, equations=register).arrays
    expected = compile_arrays(build(problem, equations=register).model)
    assert list(arrays.row_names) == list(expected.row_names)
    for name in NUMBERS:
        assert np.array_equal(getattr(arrays, name), getattr(expected, name)), name
    last = slice(arrays.starts[-2], arrays.starts[-1])
    assert sorted(np.abs(arrays.values[last])) == [TINIEST, 2.25]


def test_linear_expressions():
    x, y = variable(0), variable(1)
    assert total([]) == 0
    assert total([x, 1.0]) is not None
    assert tuple(total([x, y])) == (0, 1.0, 1, 1.0)
    assert tuple(np.float64(2) * (x - y)) == (0, 2.0, 1, -2.0)
    assert tuple(1 - x) == (-1, 1, 0, -1.0)
    assert tuple((x + y) / 2) == (0, 0.5, 1, 0.5)
    row = x <= y + 1
    assert isinstance(row, Row)
    assert isinstance(row.left, Linear)
    for wrong in (lambda: x < y, lambda: x > 1, lambda: x != y, lambda: {x: 1}):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(ValueError, match="not linear"):
        _ = x * y


def test_names_of_parts():
    names = Names((2, "a{}".format), (0, str), (1, "b{}".format))
    assert list(names) == ["a0", "a1", "b0"]
    assert names[-1] == "b0"
    assert names[1:] == ["a1", "b0"]
    with pytest.raises(IndexError):
        names[3]
