import math

import pytest

from edgeplan.solvers.ideal_program import solve_contiguous
from edgeplan.solvers.result import Stop
from tests.solvers.small_pipelines import best, small


@pytest.mark.parametrize("seed", range(400))
def test_it_finds_the_best_contiguous_plan(seed):
    pipeline = small(seed)
    outcome = solve_contiguous(pipeline)
    optimum = best(pipeline, contiguous=True)
    assert outcome.stop is Stop.COMPLETED
    assert outcome.value == pytest.approx(optimum, abs=1e-12)
    assert outcome.bound == outcome.value
    if math.isfinite(optimum):
        assert pipeline.fits(outcome.assignment)
        assert pipeline.contiguous(outcome.assignment)
        assert pipeline.value(outcome.assignment) == outcome.value
    else:
        assert outcome.assignment is None
