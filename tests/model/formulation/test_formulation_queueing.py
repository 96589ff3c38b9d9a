"""The program of queues and routes: golden files, words, and the same rows three ways."""

from __future__ import annotations

import numpy as np
import pytest
import queueing_witness
import write_golden

from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.model.evaluate import route_price
from edgeplan.model.formulation.arrays import compile_arrays
from edgeplan.model.formulation.queueing import EQUATIONS, TERMS, Levels, as_pyomo
from edgeplan.model.formulation.queueing.rows import Register
from edgeplan.model.plan import Route
from edgeplan.solvers.queueing.at_levels import program_at
from edgeplan.solvers.queueing.columns import columns
from edgeplan.solvers.watch import Watch

GOLDEN = write_golden.QUEUEING
NAMES = (*EQUATIONS, *TERMS, "variables", "plan_program")
TEXTS = queueing_witness.golden_texts()


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_the_golden_ones(name):
    path = GOLDEN / f"{name}.lp"
    assert path.exists(), f"no golden file for '{name}': run python tools/write_golden.py"
    assert path.read_text(encoding="utf-8") == TEXTS[name], (
        f"'{name}' has changed; if that was meant, run python tools/write_golden.py"
    )
    assert any(c.isdigit() for c in TEXTS[name]), f"the golden problem has no row of '{name}'"


def test_no_golden_file_is_left_over():
    assert {path.stem for path in GOLDEN.iterdir()} == set(NAMES)


@pytest.mark.parametrize(
    ("register", "name"),
    [(EQUATIONS, n) for n in EQUATIONS] + [(TERMS, n) for n in TERMS],
    ids=[*EQUATIONS, *TERMS],
)
def test_every_equation_has_words_and_mathematics(register, name):
    words, _, rest = register.words(name).partition("\n")
    assert words.endswith(".")
    assert ".. math::" in rest


def test_an_equation_cannot_be_defined_twice():
    register = Register()
    register.rule(test_no_golden_file_is_left_over)
    with pytest.raises(ValueError, match="defined twice"):
        register.rule(test_no_golden_file_is_left_over)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", ["plan", "bound"])
def test_the_pyomo_model_is_the_same_program(seed, side):
    problem = random_loaded_problem(seed, streams=2, devices=2, layers=2, splittable=seed % 2 == 0)
    routes = columns(problem, Watch(None, None))
    levels = Levels(
        dict.fromkeys(routes.queues, (0.01, 0.1)),
        dict.fromkeys(routes.queues, ((0.5,), (0.1,))),
        dict.fromkeys(routes.queues, (10.0, 1.0)),
    )
    made = program_at(problem, routes, levels, side)
    arrays = compile_arrays(as_pyomo(made))
    assert [column.index() for column in arrays.columns] == made.variables.names()
    assert np.array_equal(arrays.cost, made.cost)
    assert np.array_equal(arrays.lower, made.lower)
    assert np.array_equal(arrays.upper, made.upper)
    assert np.array_equal(arrays.integral, made.whole)
    used = np.diff(made.starts) > 0
    assert np.array_equal(arrays.row_lower, made.row_lower[used])
    assert np.array_equal(arrays.row_upper, made.row_upper[used])
    assert np.array_equal(
        arrays.starts, np.concatenate([[0], np.cumsum(np.diff(made.starts)[used])])
    )
    for row in range(len(arrays.row_lower)):
        at = slice(arrays.starts[row], arrays.starts[row + 1])
        order = np.argsort(arrays.indices[at])
        assert np.array_equal(arrays.indices[at][order], made.indices[at])
        assert np.allclose(arrays.values[at][order], made.values[at], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_columns_are_the_evaluators_prices(seed):
    problem = random_loaded_problem(seed)
    routes = columns(problem, Watch(None, None), reduce=False)
    rng = np.random.default_rng(seed)
    for index in rng.permutation(len(routes))[:20]:
        stream = problem.stream[routes.groups[routes.group[index]].streams[0]]
        route = Route(devices=routes.devices[index], batch=int(routes.batch[index]))
        price = route_price(problem, stream, route)
        rate = stream.rate_per_second
        assert routes.latency[index] == pytest.approx(price.latency_seconds, rel=1e-12)
        assert routes.fill[index] == pytest.approx(price.fill_seconds, rel=1e-12)
        joules = dict(price.device_joules)
        for d, device in enumerate(problem.devices):
            expected = rate * joules.get(device.name, 0.0)
            assert routes.watts[index, d] == pytest.approx(expected, rel=1e-9, abs=1e-12)
