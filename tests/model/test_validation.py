"""What is wrong with a network, a problem or a plan is said with its place, all at once."""

import dataclasses
import math

import pytest

from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import LARGEST, Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import (
    Budgets,
    Device,
    LayerRule,
    Link,
    Objective,
    Privacy,
    Problem,
    Stream,
)

NAN, INF = math.nan, math.inf
LAYERS = (Layer(name="l0"), Layer(name="l1"))
IN = Tensor(name="in", bytes=1, producer=None, consumers=(0,))
OUT = Tensor(name="out", bytes=1, producer=1, output=True)
GOOD = LayerCosts(seconds=(1.0, 1.0))
TABLE = ((1.0, 2.0), (1.0,))


def network(layers=LAYERS, tensors=(IN, OUT), costs=None, name="n"):
    return Network(name, layers, tensors, {"o": GOOD} if costs is None else costs)


def places(make):
    with pytest.raises(InputError) as error:
        make()
    return [fault.place for fault in error.value.faults]


def tensor(**changes):
    return dataclasses.replace(OUT, **changes)


NETWORK_FAULTS = {
    "no name": (lambda: network(name=""), "name"),
    "no layers": (lambda: network((), (), {}), "layers"),
    "repeated layer": (lambda: network((LAYERS[0], LAYERS[0])), "layers[1].name"),
    "weights": (
        lambda: network((LAYERS[0], Layer(name="l1", weight_bytes=-1))),
        "layers[1].weight_bytes",
    ),
    "activations": (
        lambda: network((LAYERS[0], Layer(name="l1", activation_bytes=-1))),
        "layers[1].activation_bytes",
    ),
    "repeated tensor": (lambda: network(tensors=(IN, IN)), "tensors[1].name"),
    "tensor bytes": (lambda: network(tensors=(IN, tensor(bytes=-1))), "tensors[1].bytes"),
    "unknown producer": (lambda: network(tensors=(tensor(producer=2),)), "tensors[0].producer"),
    "huge tensor": (lambda: network(tensors=(IN, tensor(bytes=10**31))), "tensors[1].bytes"),
    "huge time": (
        lambda: network(costs={"o": LayerCosts(seconds=(1e308, 1e308))}),
        "costs.o.seconds",
    ),
    "huge boundary": (
        lambda: network(costs={"o": LayerCosts(seconds=(1.0, 1.0), boundary_seconds=1e31)}),
        "costs.o.boundary_seconds",
    ),
    "negative producer": (lambda: network(tensors=(tensor(producer=-1),)), "tensors[0].producer"),
    "unknown consumer": (
        lambda: network(tensors=(tensor(producer=0, consumers=(5,)),)),
        "tensors[0].consumers",
    ),
    "consumer before producer": (
        lambda: network(tensors=(tensor(producer=1, consumers=(0,)),)),
        "tensors[0].consumers",
    ),
    "consumer is producer": (
        lambda: network(tensors=(tensor(producer=1, consumers=(1,)),)),
        "tensors[0].consumers",
    ),
    "unsorted consumers": (
        lambda: network(tensors=(dataclasses.replace(IN, consumers=(1, 0)),)),
        "tensors[0].consumers",
    ),
    "repeated consumers": (
        lambda: network(tensors=(dataclasses.replace(IN, consumers=(0, 0)),)),
        "tensors[0].consumers",
    ),
    "two cost forms": (
        lambda: network(costs={"o": GOOD, "b": SpanCosts(seconds=TABLE)}),
        "costs",
    ),
    "short times": (lambda: network(costs={"o": LayerCosts(seconds=(1.0,))}), "costs.o.seconds"),
    "time not a number": (
        lambda: network(costs={"o": LayerCosts(seconds=(1.0, NAN))}),
        "costs.o.seconds",
    ),
    "negative time": (
        lambda: network(costs={"o": LayerCosts(seconds=(1.0, -1.0))}),
        "costs.o.seconds",
    ),
    "boundary": (
        lambda: network(costs={"o": dataclasses.replace(GOOD, boundary_seconds=INF)}),
        "costs.o.boundary_seconds",
    ),
    "cv2": (lambda: network(costs={"o": dataclasses.replace(GOOD, cv2=-1.0)}), "costs.o.cv2"),
    "infinite joules": (
        lambda: network(costs={"o": dataclasses.replace(GOOD, joules=(1.0, INF))}),
        "costs.o.joules",
    ),
    "negative dollars": (
        lambda: network(costs={"o": dataclasses.replace(GOOD, dollars=(1.0, -1.0))}),
        "costs.o.dollars",
    ),
    "stated memory count": (
        lambda: network(costs={"o": dataclasses.replace(GOOD, memory_bytes=(1,))}),
        "costs.o.memory_bytes",
    ),
    "stated memory sign": (
        lambda: network(costs={"o": dataclasses.replace(GOOD, memory_bytes=(1, -1))}),
        "costs.o.memory_bytes",
    ),
    "span rows": (
        lambda: network(costs={"o": SpanCosts(seconds=((1.0, 2.0), (1.0, 1.0)))}),
        "costs.o.seconds",
    ),
    "span row count": (
        lambda: network(costs={"o": SpanCosts(seconds=((1.0, 2.0),))}),
        "costs.o.seconds",
    ),
    "span cv2 shape": (
        lambda: network(costs={"o": SpanCosts(seconds=TABLE, cv2=((1.0,), (1.0,)))}),
        "costs.o.cv2",
    ),
    "span joules": (
        lambda: network(costs={"o": SpanCosts(seconds=TABLE, joules=((1.0, NAN), (1.0,)))}),
        "costs.o.joules",
    ),
}


@pytest.mark.parametrize("case", NETWORK_FAULTS)
def test_a_network_names_its_fault(case):
    make, place = NETWORK_FAULTS[case]
    assert places(make) == [place]


def test_infinite_times_are_allowed_they_say_cannot_run():
    assert network(costs={"o": LayerCosts(seconds=(1.0, INF))}).form == "layers"
    assert network(costs={"o": SpanCosts(seconds=((INF, 1.0), (1.0,)))}).form == "spans"


def base(**changes):
    fields = {
        "networks": (network(costs={"o": GOOD, "b": GOOD}),),
        "devices": (Device(name="o", zone="home"), Device(name="b", zone="public")),
        "links": (Link(source="o", target="b", bytes_per_second=1.0),),
        "streams": (Stream(name="s", network="n", origin="o"),),
    }
    return Problem(**{**fields, **changes})


def device(**changes):
    return {"devices": (Device(name="o", zone="home"), Device(name="b", **changes))}


def link(**changes):
    good = {"source": "o", "target": "b", "bytes_per_second": 1.0}
    return {"links": (Link(**{**good, **changes}),)}


def stream(**changes):
    return {"streams": (Stream(**{"name": "s", "network": "n", "origin": "o", **changes}),)}


PROBLEM_FAULTS = [
    ({"networks": ()}, "networks"),
    ({"devices": ()}, "devices"),
    ({"streams": ()}, "streams"),
    ({"devices": (Device(name="o"), Device(name="o"))}, "devices[1]"),
    ({"links": (Link(source="o", target="b", bytes_per_second=1.0),) * 2}, "links[1]"),
    ({"streams": (Stream(name="s", network="n", origin="o"),) * 2}, "streams[1]"),
    ({"networks": (network(), network())}, "networks[1]"),
    ({"streams": (Stream(name="", network="n", origin="o"),)}, "streams[0].name"),
    (device(active_watts=-1.0), "devices[1].active_watts"),
    (device(active_watts=INF), "devices[1].active_watts"),
    (device(active_watts=1.0, idle_watts=NAN), "devices[1].idle_watts"),
    (device(active_watts=1.0, idle_watts=2.0), "devices[1].idle_watts"),
    (device(dollars_per_second=NAN), "devices[1].dollars_per_second"),
    (device(dollars_per_hour=-1.0), "devices[1].dollars_per_hour"),
    (device(dollars_per_request=INF), "devices[1].dollars_per_request"),
    (device(dollars_per_joule=-1.0), "devices[1].dollars_per_joule"),
    (device(memory_bytes=0), "devices[1].memory_bytes"),
    (device(memory_bytes=NAN), "devices[1].memory_bytes"),
    (device(power_budget_watts=-1.0), "devices[1].power_budget_watts"),
    (device(replicas=0), "devices[1].replicas"),
    (device(utilisation_cap=0.0), "devices[1].utilisation_cap"),
    (device(utilisation_cap=1.0), "devices[1].utilisation_cap"),
    (device(utilisation_cap=NAN), "devices[1].utilisation_cap"),
    (link(source="x"), "links[0].source"),
    (link(target="x"), "links[0].target"),
    (link(target="o"), "links[0].target"),
    (link(bytes_per_second=0.0), "links[0].bytes_per_second"),
    (link(bytes_per_second=NAN), "links[0].bytes_per_second"),
    (link(latency_seconds=-1.0), "links[0].latency_seconds"),
    (link(latency_seconds=INF), "links[0].latency_seconds"),
    (link(send_joules_per_byte=NAN), "links[0].send_joules_per_byte"),
    (link(receive_joules_per_byte=-1.0), "links[0].receive_joules_per_byte"),
    (link(dollars_per_byte=INF), "links[0].dollars_per_byte"),
    (link(utilisation_cap=1.0), "links[0].utilisation_cap"),
    (stream(rate_per_second=0.0), "streams[0].rate_per_second"),
    (stream(rate_per_second=INF), "streams[0].rate_per_second"),
    (stream(rate_per_second=NAN), "streams[0].rate_per_second"),
    (stream(deadline_seconds=0.0), "streams[0].deadline_seconds"),
    (stream(deadline_seconds=NAN), "streams[0].deadline_seconds"),
    (stream(max_routes=0), "streams[0].max_routes"),
    (stream(origin="x"), "streams[0].origin"),
    (stream(network="x"), "streams[0].network"),
    (stream(homes={"x": "o"}), "streams[0].homes"),
    (stream(homes={"out": "o"}), "streams[0].homes"),
    (stream(homes={"in": "x"}), "streams[0].homes.in"),
    (stream(pins=(LayerRule(devices=("x",)),)), "streams[0].pins[0].devices"),
    (stream(pins=(LayerRule(devices=("o",), layers=("x",)),)), "streams[0].pins[0].layers"),
    (stream(bans=(LayerRule(devices=("x",)),)), "streams[0].bans[0].devices"),
    (stream(bans=(LayerRule(devices=("o",), layers=("x",)),)), "streams[0].bans[0].layers"),
    (stream(privacy=Privacy(zones=())), "streams[0].privacy.zones"),
    (stream(privacy=Privacy(zones=("home", "x"))), "streams[0].privacy.zones"),
    (stream(privacy=Privacy(zones=("home",), before="x")), "streams[0].privacy.before"),
    (
        stream(privacy=Privacy(zones=("home",)), homes={"in": "b"}),
        "streams[0].privacy.zones",
    ),
    ({"networks": (network(costs={"o": GOOD, "x": GOOD}),)}, "networks[0].costs.x"),
    ({"objective": Objective(latency=-1.0, cost=1.0)}, "objective.latency"),
    ({"objective": Objective(energy=NAN)}, "objective.energy"),
    ({"objective": Objective(cost=INF)}, "objective.cost"),
    ({"objective": Objective(latency=0.0)}, "objective"),
    (
        {"objective": Objective(latency_denominator_seconds=0.0)},
        "objective.latency_denominator_seconds",
    ),
    (
        {"objective": Objective(cost_denominator_dollars=INF)},
        "objective.cost_denominator_dollars",
    ),
    (
        {"objective": Objective(energy_denominator_joules=NAN)},
        "objective.energy_denominator_joules",
    ),
    (
        {"objective": Objective(energy=1.0, energy_denominator_joules=5e-324)},
        "objective.energy_denominator_joules",
    ),
    ({"objective": Objective(cost=1e200)}, "objective.cost"),
    ({"budgets": Budgets(power_watts=0.0)}, "budgets.power_watts"),
    ({"budgets": Budgets(power_watts=1e-200)}, "budgets.power_watts"),
    ({"budgets": Budgets(dollars_per_hour=1e200)}, "budgets.dollars_per_hour"),
    ({"budgets": Budgets(dollars_per_hour=NAN)}, "budgets.dollars_per_hour"),
]


@pytest.mark.parametrize(
    ("changes", "place"),
    PROBLEM_FAULTS,
    ids=[f"{i}-{p}" for i, (_, p) in enumerate(PROBLEM_FAULTS)],
)
def test_a_problem_names_its_fault(changes, place):
    assert place in places(lambda: base(**changes))


def test_the_base_is_good():
    assert base().total_rate == 1.0


def test_all_faults_are_gathered():
    found = places(
        lambda: base(
            **device(replicas=0, utilisation_cap=2.0),
            **link(bytes_per_second=-1.0),
            **stream(rate_per_second=-1.0),
        )
    )
    assert found == [
        "devices[1].replicas",
        "devices[1].utilisation_cap",
        "links[0].bytes_per_second",
        "streams[0].rate_per_second",
    ]


def test_a_tagged_output_cannot_return_to_an_origin_outside_the_zones():
    """Made before l1 and returned: refused at once, unless results do not return."""
    early = tensor(producer=0)
    private = Privacy(zones=("public",), before="l1")
    networks = (network(tensors=(early,), costs={"o": GOOD, "b": GOOD}),)
    assert places(lambda: base(networks=networks, **stream(privacy=private))) == [
        "streams[0].privacy.zones"
    ]
    base(networks=networks, **stream(privacy=private, returns=False))


def test_long_names_are_cut_in_messages():
    with pytest.raises(InputError) as error:
        base(**stream(network="x" * 10_000))
    assert len(str(error.value)) < 400


def test_an_unknown_objective_is_refused():
    with pytest.raises(InputError, match="choose weighted, latency, energy, cost"):
        base().with_objective("speed")


def test_shares():
    two = tuple(
        Stream(name=n, network="n", origin="o", rate_per_second=r) for n, r in (("s", 3), ("t", 1))
    )
    problem = base(streams=two)
    assert [problem.share(s) for s in problem.streams] == [0.75, 0.25]
    total = dataclasses.replace(problem, objective=Objective(aggregate="total"))
    assert [total.share(s) for s in total.streams] == [1.0, 1.0]


def routes(*given):
    return {"s": tuple(Route(devices=d, fraction=f) for d, f in given)}


OO, OB = ("o", "o"), ("o", "b")
PLAN_FAULTS = {
    "unknown stream": ({**routes((OO, 1.0)), "x": ()}, "routes.x"),
    "missing stream": ({}, "routes.s"),
    "no routes": (routes(), "routes.s"),
    "too many routes": (routes((OO, 0.25), (OB, 0.25), (OO, 0.5)), "routes.s"),
    "too short": (routes((("o",), 1.0)), "routes.s[0].devices"),
    "too long": (routes((("o",) * 3, 1.0)), "routes.s[0].devices"),
    "unknown device": (routes((("o", "x"), 1.0)), "routes.s[0].devices"),
    "no fraction": (routes((OO, 0.0), (OB, 1.0)), "routes.s[0].fraction"),
    "negative fraction": (routes((OO, 1.5), (OB, -0.5)), "routes.s[1].fraction"),
    "fraction not a number": (routes((OO, NAN)), "routes.s[0].fraction"),
    "fractions too few": (routes((OO, 0.5), (OB, 0.4)), "routes.s"),
    "fractions too many": (routes((OO, 0.75), (OB, 0.5)), "routes.s"),
}


@pytest.mark.parametrize("case", PLAN_FAULTS)
def test_a_plan_names_its_fault(case):
    given, place = PLAN_FAULTS[case]
    problem = base(**stream(splittable=True, max_routes=2))
    assert place in places(lambda: Plan(routes=given).check(problem))


def test_a_stream_that_is_not_splittable_has_one_route():
    plan = Plan(routes=routes((OO, 0.5), (OB, 0.5)))
    assert places(lambda: plan.check(base())) == ["routes.s"]
    plan.check(base(**stream(splittable=True)))


def test_whole_puts_all_layers_on_one_device():
    problem = base()
    plan = whole(problem, {"s": "b"})
    plan.check(problem)
    assert plan.routes["s"][0].devices == ("b", "b")
    assert plan.kept(problem) == {"o": frozenset(), "b": frozenset({("n", 0), ("n", 1)})}


def test_links_are_told_apart_by_their_ends_not_by_their_names():
    devices = tuple(Device(name=name) for name in ("a", "b", "a->b", "b->c", "c"))
    costs = {"a": LayerCosts(seconds=(1.0, 1.0))}
    ends = (("a->b", "c"), ("a", "b->c"))
    links = tuple(Link(source=s, target=t, bytes_per_second=1.0) for s, t in ends)
    assert links[0].name == links[1].name

    def make(links):
        return Problem(
            networks=(network(costs=costs),),
            devices=devices,
            links=links,
            streams=(Stream(name="s", network="n", origin="a"),),
        )

    assert len(make(links).link) == 2
    assert places(lambda: make((*links, links[0]))) == ["links[2]"]


def test_the_largest_amounts_allowed_are_priced_without_overflow():
    """Every amount at its extreme: sums and quotients stay numbers."""
    costs = LayerCosts(seconds=(LARGEST, LARGEST), boundary_seconds=LARGEST)
    big = {"bytes": int(LARGEST)}
    tensors = (dataclasses.replace(IN, **big), dataclasses.replace(OUT, **big))
    price = {"active_watts": LARGEST, "dollars_per_second": LARGEST, "dollars_per_joule": LARGEST}
    link = {"bytes_per_second": 1 / LARGEST, "latency_seconds": LARGEST}
    weights = {"latency": LARGEST, "energy": LARGEST, "cost": LARGEST}
    problem = Problem(
        networks=(network(tensors=tensors, costs={"o": costs, "e": costs}),),
        devices=(Device(name="o", idle_watts=LARGEST, **price), Device(name="e", **price)),
        links=(
            Link(source="o", target="e", send_joules_per_byte=LARGEST, **link),
            Link(source="e", target="o", dollars_per_byte=LARGEST, **link),
        ),
        streams=(
            Stream(name="s", network="n", origin="o", rate_per_second=LARGEST, waits=True),
            Stream(name="t", network="n", origin="o", rate_per_second=1 / LARGEST),
        ),
        objective=Objective(**weights, cost_denominator_dollars=1 / LARGEST),
    )
    for device in "oe":
        evaluation = evaluate(problem, whole(problem, {"s": device, "t": device}))
        assert math.isfinite(evaluation.objective)
        assert "deadline" not in {violation.kind for violation in evaluation.violations}
