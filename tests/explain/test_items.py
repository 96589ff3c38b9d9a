"""Taking a statement out of a problem takes out that statement and nothing else."""

import dataclasses
import math

import pytest

from edgeplan.explain.checks import broken
from edgeplan.explain.items import list_items, list_missing
from edgeplan.explain.without import only, without
from edgeplan.instances.generators import random_plan, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import whole
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Privacy, Problem, Stream
from tests.explain.explained_problems import varied


def two_devices(**changes):
    """Return a network of two layers, a board and a server, and a statement of every kind."""
    network = Network(
        "net",
        (Layer(name="a", weight_bytes=2), Layer(name="b", weight_bytes=3)),
        (
            Tensor(name="x", bytes=100, producer=None, consumers=(0,)),
            Tensor(name="t", bytes=50, producer=0, consumers=(1,)),
            Tensor(name="y", bytes=10, producer=1, output=True),
        ),
        {"board": LayerCosts(seconds=(1.0, 4.0)), "server": LayerCosts(seconds=(0.1, 0.4))},
    )
    stream = Stream(
        name="s",
        network="net",
        origin="board",
        rate_per_second=0.1,
        deadline_seconds=9.0,
        privacy=Privacy(zones=("home", "away")),
        pins=(LayerRule(devices=("board", "server"), layers=("a",)),),
        bans=(LayerRule(devices=(), layers=("b",)),),
        together=(("a", "b"),),
    )
    parts = {
        "networks": (network,),
        "devices": (
            Device(name="board", zone="home", memory_bytes=9, power_budget_watts=5.0),
            Device(name="server", zone="away"),
        ),
        "links": (
            Link(source="board", target="server", bytes_per_second=100.0),
            Link(source="server", target="board", bytes_per_second=100.0, contention="none"),
        ),
        "streams": (stream,),
        "budgets": Budgets(power_watts=7.0, dollars_per_hour=2.0, min_rate_per_second=0.2),
        "contiguous": True,
    }
    return Problem(**(parts | changes))


def test_every_statement_has_its_words_place_and_value():
    found = {item.where: (item.item, item.amount, item.unit) for item in list_items(two_devices())}
    assert found == {
        "links[0].utilisation_cap": ("utilisation cap of link 'board->server'", 0.95, "share"),
        "devices.board.utilisation_cap": ("utilisation cap of device 'board'", 0.95, "share"),
        "devices.server.utilisation_cap": ("utilisation cap of device 'server'", 0.95, "share"),
        "contiguous": ("contiguous routes", None, ""),
        "streams.s.together[0]": ("layers that share a device of stream 's'", None, ""),
        "streams.s.bans[0]": ("ban of stream 's'", None, ""),
        "streams.s.pins[0]": ("pin of stream 's'", None, ""),
        "devices.board.power_budget": ("power budget of device 'board'", 5.0, "W"),
        "budgets.min_rate": ("minimum rate", 0.2, "/s"),
        "budgets.power": ("power budget of all devices", 7.0, "W"),
        "budgets.money": ("money budget", 2.0, "USD/h"),
        "devices.board.memory": ("memory of device 'board'", 9, "B"),
        "streams.s.privacy": ("privacy rule of stream 's'", None, ""),
        "streams.s.deadline": ("deadline of stream 's'", 9.0, "s"),
    }


def test_without_all_statements_nothing_limits():
    problem = two_devices()
    bare = without(problem, list_items(problem))
    assert list_items(bare) == ()
    assert bare.capacity == "none"
    assert without(problem, []) is problem


def test_a_minimum_rate_that_caps_imply_is_no_statement_of_its_own():
    problem = two_devices(budgets=Budgets(min_rate_per_second=0.1))
    assert all(item.kind != "min rate" for item in list_items(problem))
    free = dataclasses.replace(problem, capacity="none")
    assert any(item.kind == "min rate" for item in list_items(free))


@pytest.mark.parametrize("charge_idle", [False, True])
def test_a_device_without_its_cap_draws_and_costs_what_it_did(charge_idle):
    device = Device(
        name="server",
        active_watts=50.0,
        idle_watts=20.0,
        charge_idle=charge_idle,
        dollars_per_hour=3.0,
        replicas=2,
    )
    problem = two_devices(
        devices=(Device(name="board", zone="home"), device),
        streams=(Stream(name="s", network="net", origin="board", rate_per_second=7.0),),
        budgets=Budgets(),
        contiguous=False,
    )
    cap = next(i for i in list_items(problem) if i.key == ("device capacity", "server"))
    plan = whole(problem, {"s": "server"})
    before, after = evaluate(problem, plan), evaluate(without(problem, [cap]), plan)
    assert "device capacity" in {v.kind for v in before.violations}
    assert "device capacity" not in {v.kind for v in after.violations}
    for key in ("latency_seconds", "energy_joules", "cost_dollars"):
        assert getattr(after, key) == pytest.approx(getattr(before, key), rel=1e-12)
    for one, other in zip(before.devices, after.devices, strict=True):
        assert other.watts == pytest.approx(one.watts, rel=1e-12)


def test_with_a_minimum_rate_a_cap_goes_and_the_rate_stays():
    problem = two_devices(budgets=Budgets(min_rate_per_second=0.5))
    caps = [item for item in list_items(problem) if item.key == ("device capacity", "board")]
    plan = whole(problem, {"s": "board"})
    kinds = {v.kind for v in evaluate(without(problem, caps), plan).violations}
    assert kinds == {"min rate"}


@pytest.mark.parametrize("seed", range(40))
def test_a_plan_breaks_just_what_is_kept_of_what_it_breaks(seed):
    """Each subset of the statements is broken by a random plan as its statements are."""
    problem = random_problem(seed, kind=("dag", "chain")[seed % 2], layers=4, devices=3)
    problem = varied(problem, seed)
    items = list_items(problem)
    bare = without(problem, items)
    plan = random_plan(bare, seed)
    if not math.isfinite(evaluate(bare, plan).latency_seconds):
        pytest.skip("the plan cannot run")
    assert evaluate(bare, plan).feasible
    breaks = broken(problem, plan)
    assert bool(breaks) == (not evaluate(problem, plan).feasible)
    for item in items:
        alone = evaluate(only(problem, [item]), plan)
        assert alone.feasible == (item.key not in breaks), item


def test_what_is_missing_is_listed_and_can_be_added():
    network = Network(
        "net",
        (Layer(name="a"), Layer(name="b")),
        (),
        {"board": LayerCosts(seconds=(1.0, math.inf))},
    )
    problem = two_devices(
        networks=(network,),
        links=(Link(source="board", target="server", bytes_per_second=1.0),),
        streams=(Stream(name="s", network="net", origin="board"),),
    )
    missing = {item.where: item for item in list_missing(problem)}
    assert set(missing) == {
        "links",
        "networks.net.costs.server",
        "networks.net.costs.board.times",
    }
    assert missing["links"].item == "there is no link 'server->board'"
    opened = without(problem, list(missing.values()))
    assert list_missing(opened) == ()
    assert evaluate(opened, whole(opened, {"s": "server"})).latency_seconds == 0.0


def test_missing_spans_are_filled_and_others_kept():
    spans = SpanCosts(seconds=((1.0, math.inf), (2.0,)))
    network = Network("net", (Layer(name="a"), Layer(name="b")), (), {"board": spans})
    problem = two_devices(
        networks=(network,), streams=(Stream(name="s", network="net", origin="board"),)
    )
    opened = without(problem, list_missing(problem))
    assert opened.networks[0].costs["board"].seconds == ((1.0, 0.0), (2.0,))
    assert opened.networks[0].costs["server"].seconds == ((0.0, 0.0), (0.0,))
