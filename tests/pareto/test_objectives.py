import dataclasses

import pytest

from edgeplan.instances.bundled import load
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.problem import Objective
from edgeplan.pareto import objectives
from edgeplan.pareto.objectives import CRITERIA, Criterion, criteria, image, register
from edgeplan.solvers.baselines import all_at_origin


@pytest.fixture
def problem():
    return load("total-aggregate").problem


@pytest.mark.parametrize("name", ["latency", "energy", "cost", "throughput"])
def test_alone_the_objective_is_the_value(problem, name):
    """A problem with one criterion alone is priced at exactly that criterion's value."""
    weighted = dataclasses.replace(
        problem,
        objective=Objective(
            latency=3, energy=5, cost=7, energy_denominator_joules=11, aggregate="total"
        ),
    )
    alone = CRITERIA[name].alone(weighted)
    assert alone.objective.aggregate == "total"
    plan = all_at_origin(problem).plan
    evaluation = evaluate(alone, plan)
    (value,) = image(evaluate(weighted, plan), criteria([name]))
    assert value > 0 or name == "cost"
    assert evaluation.objective == value


def test_images_are_in_the_order_asked_for(problem):
    evaluation = evaluate(problem, all_at_origin(problem).plan)
    assert image(evaluation, criteria(["energy", "latency"])) == (
        evaluation.energy_joules,
        evaluation.latency_seconds,
    )


def test_every_fault_of_names_is_told():
    with pytest.raises(InputError) as error:
        criteria(["latency", "speed", "latency", "energy", "cost"])
    assert [fault.place for fault in error.value.faults] == [
        "objectives[1]",
        "objectives[2]",
        "objectives",
    ]
    assert "latency, energy, cost, throughput" in str(error.value)
    with pytest.raises(InputError, match="1 to 4 objectives, not 0"):
        criteria([])


def test_a_new_criterion_registers_itself(monkeypatch):
    monkeypatch.setattr(objectives, "CRITERIA", dict(CRITERIA))
    memory = Criterion(
        name="memory",
        key="memory_bytes",
        unit="B",
        value=lambda evaluation: float(sum(d.memory_bytes for d in evaluation.devices)),
        weights=lambda objective: {},
    )
    assert register(memory) is memory
    assert criteria(["memory"]) == (memory,)
    with pytest.raises(ValueError, match="'memory' with key 'memory_bytes' already"):
        register(memory)
    with pytest.raises(ValueError, match="'latency' with key"):
        register(dataclasses.replace(memory, name="delay", key="latency_seconds"))


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("latency", 0.0123456, "12.35 ms"),
        ("latency", 0.99999, "1 s"),
        ("energy", 2345.6, "2.346 kJ"),
        ("cost", -2e-6, "-2 µ$"),
        ("cost", 0.0, "0 $"),
        ("throughput", 1e-15, "1e-15 s"),
    ],
)
def test_values_for_people(name, value, shown):
    assert CRITERIA[name].show(value) == shown
