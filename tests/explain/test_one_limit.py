"""Minimum rates of pipelines and deadlines: one limit that gives alone, and when it is cheapest."""

import dataclasses
import itertools
import math
from pathlib import Path

import pytest

from edgeplan.cli.tables import explanations
from edgeplan.explain import explain_infeasible, find_repair, list_items
from edgeplan.explain.checks import Checker
from edgeplan.explain.conflict import find_conflict
from edgeplan.explain.one_limit import best_for_one_limit
from edgeplan.explain.terms import prices
from edgeplan.instances.importers import import_file
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Problem, Stream
from edgeplan.solvers import registry
from edgeplan.solvers.elastic import ElasticResult
from edgeplan.solvers.result import Stop
from tests.explain.explained_problems import cheapest_repair

FOLDER = Path(__file__).parents[3] / "shared/data/dnn-partitioning/throughput"


def pipeline(seconds, rate, *, devices=2, memory=math.inf, contiguous=True, **stream):
    """Return a chain of layers of one byte each on like devices, with links that take no time."""
    count = len(seconds)
    layers = tuple(Layer(name=f"l{i}", weight_bytes=1) for i in range(count))
    tensors = tuple(
        Tensor(name=f"t{i}", bytes=0, producer=i, consumers=(i + 1,)) for i in range(count - 1)
    )
    names = [f"d{i}" for i in range(devices)]
    costs = {name: LayerCosts(seconds=tuple(seconds)) for name in names}
    return Problem(
        networks=(Network("net", layers, tensors, costs),),
        devices=tuple(Device(name=name, memory_bytes=memory) for name in names),
        links=tuple(
            Link(source=a, target=b, bytes_per_second=math.inf, contention="none")
            for a, b in itertools.permutations(names, 2)
        ),
        streams=(Stream(name="s", network="net", origin="d0", rate_per_second=1e-3, **stream),),
        budgets=Budgets(min_rate_per_second=rate),
        capacity="none",
        contiguous=contiguous,
    ).with_objective("throughput")


def no_elastic(monkeypatch, **found):
    """Let the elastic program find nothing, or fail the test where it must not be asked."""

    def solve(*args, **kwargs):
        assert found, "the elastic program was asked"
        return ElasticResult(
            **({"plan": None, "bound": None, "infeasible": False, "seconds": 0.0} | found)
        )

    monkeypatch.setattr("edgeplan.explain.terms.Elastic.solve", solve)


def explained(problem):
    """Return the keys of the conflict and the edits, with what must hold of every explanation."""
    found = explain_infeasible(problem)
    assert found.complete
    assert found.conflict.irreducible
    assert found.repair.cheapest
    assert evaluate(found.repair.problem, found.repair.plan).feasible
    return [i.key for i in found.conflict.items], [(e.where, e.after) for e in found.repair.edits]


@pytest.mark.parametrize("contiguous", [True, False])
def test_the_rate_of_a_pipeline_gives_alone_without_the_elastic_program(monkeypatch, contiguous):
    """At best 0.4 | 0.3 + 0.3 s, contiguous or not."""
    no_elastic(monkeypatch)
    problem = pipeline((0.4, 0.3, 0.3), 5.0, contiguous=contiguous)
    assert explained(problem) == ([("min rate",)], [("budgets.min_rate", 1.66)])
    assert cheapest_repair(problem) == pytest.approx(2.0)


def test_a_large_pipeline_is_asked_as_one(monkeypatch):
    """30 layers of 0.1 s on six devices: five on each; too many plans to be enumerated."""
    no_elastic(monkeypatch)

    def refuse(*args, **kwargs):
        raise AssertionError("HiGHS was asked")

    monkeypatch.setattr("edgeplan.solvers.highs.Highs.solve", refuse)
    problem = pipeline((0.1,) * 30, 10.0, devices=6, memory=20.0)
    assert registry.choose(problem)[0] == "ideals"
    assert explained(problem) == ([("min rate",)], [("budgets.min_rate", 2.0)])


def test_plans_that_break_the_rate_do_not_end_the_search():
    problem = pipeline((0.1,) * 30, 2.0, devices=6, memory=20.0)
    for contiguous in (True, False):
        asked = dataclasses.replace(problem, contiguous=contiguous)
        answer = Checker(ends=math.inf).check(asked)
        assert evaluate(asked, answer.plan).feasible
        faster = dataclasses.replace(asked, budgets=Budgets(min_rate_per_second=2.01))
        none = Checker(ends=math.inf).check(faster)
        assert none.infeasible
        assert none.certificate is not None


def test_one_statement_is_found_among_many_that_could_not_be_left_out():
    """Each memory holds half the layers, and the rate is too high even without memories."""
    problem = pipeline((0.1,) * 12, 20.0, devices=6, memory=6.0)
    checker = Checker(ends=math.inf)
    conflict = find_conflict(problem, checker)
    assert [item.key for item in conflict.items] == [("min rate",)]
    assert conflict.irreducible
    assert conflict.smallest
    assert conflict.checks <= 3


def test_a_rate_against_memory_is_no_single_statement():
    """Without memories 2 | 2 layers; they allow one layer on the one and three on the other."""
    problem = pipeline((0.1, 0.1, 0.1, 0.1), 4.5)
    small = dataclasses.replace(problem.devices[0], memory_bytes=1.0)
    problem = dataclasses.replace(problem, devices=(small, problem.devices[1]))
    keys, edits = explained(problem)
    assert keys == [("min rate",), ("memory", "d0")]
    # 0.3 s instead of 0.222 s is +35 %, one byte more of memory +100 %.
    assert edits == [("budgets.min_rate", 3.33)]
    assert cheapest_repair(problem) == pytest.approx(0.35)


def test_a_cheaper_repair_by_the_elastic_program_is_taken():
    """A pin on one device costs 1 to give up, and four times the rate costs 3 to lower."""
    pins = (LayerRule(devices=("d0",)),)
    problem = pipeline((0.1, 0.1, 0.1, 0.1), 10.0, devices=4, pins=pins)
    one = best_for_one_limit(
        problem, list_items(problem), prices(list_items(problem)), time_limit=None
    )
    assert one[1] == pytest.approx(1.0)
    keys, edits = explained(problem)
    assert ("min rate",) in keys
    assert [where for where, _ in edits] == ["streams.s.pins[0]"]


def test_a_repair_that_is_not_proved_cheapest_does_not_say_so(monkeypatch, capsys):
    no_elastic(monkeypatch, stop=Stop.TIME_LIMIT, message="")
    pins = (LayerRule(devices=("d0",)),)
    problem = pipeline((0.1, 0.1, 0.1, 0.1), 10.0, devices=4, pins=pins)
    found = find_repair(problem, conflict=list_items(problem), time_limit=60.0)
    assert found.stop is Stop.TIME_LIMIT
    assert not found.repair.cheapest
    assert [(e.where, e.after) for e in found.repair.edits] == [("budgets.min_rate", 2.5)]

    class Places:
        def line(self, place):
            return None

        def where(self, place):
            return ".".join(map(str, place))

    def shown(repair):
        explanations._repair(repair, Places())
        taken = capsys.readouterr()
        return taken.out + taken.err

    assert "Cheapest" not in shown(found.repair)
    proved = dataclasses.replace(found.repair, bound=found.repair.price)
    assert "Cheapest by relative change" in shown(proved)


def test_what_must_not_give_is_left_alone():
    problem = pipeline((0.1, 0.1), 20.0)
    none = find_repair(problem, conflict=list_items(problem), fixed={("min rate",)})
    assert none.repair is None


def test_a_rate_keeps_a_digit_more_where_rounding_loses_much():
    """0.9911 s is 1.00898 per second: 1.00 would be 0.9 % less, 1.008 is 0.1 % less."""
    _, edits = explained(pipeline((0.9911, 0.5), 5.0))
    assert edits == [("budgets.min_rate", 1.008)]


def test_the_deadline_of_one_stream_gives_alone(monkeypatch):
    no_elastic(monkeypatch)
    problem = dataclasses.replace(
        pipeline((0.4, 0.3, 0.3), 0.0, deadline_seconds=0.5), budgets=Budgets()
    )
    assert explained(problem) == ([("deadline", "s")], [("streams.s.deadline", 1.0)])


@pytest.mark.parametrize("contiguous", [True, False])
def test_bert24_keeps_contiguity_and_lowers_the_rate(contiguous):
    path = FOLDER / "layer_bert24_inference.json"
    if not path.is_file():
        pytest.skip("the shared data are not here")
    problem = import_file("dnn-partitioning", path).problem
    problem = dataclasses.replace(
        problem, contiguous=contiguous, budgets=Budgets(min_rate_per_second=200.0)
    )
    found = explain_infeasible(problem, time_limit=120.0)
    assert [item.key for item in found.conflict.items] == [("min rate",)]
    assert found.conflict.smallest
    (edit,) = found.repair.edits
    assert edit.key == ("min rate",)
    assert edit.after == (56.2 if contiguous else 56.4)
    assert found.repair.cheapest
    assert evaluate(found.repair.problem, found.repair.plan).feasible
