"""Conflicts and repairs of problems small enough to see them by eye; limits of time."""

import dataclasses
import math
import threading

import pytest

from edgeplan.explain import explain_infeasible, find_repair, list_items, only
from edgeplan.explain.checks import Checker
from edgeplan.explain.conflict import find_conflict
from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.problem import Budgets, Device, LayerRule, Link, Privacy, Problem, Stream
from edgeplan.solvers.elastic import Elastic
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop

BOARD, SERVER = LayerCosts(seconds=(1.0, 4.0)), LayerCosts(seconds=(0.1, 0.4))
"""All on the board: 5 s; on the server: 1 + 0.5 + 0.1 s; a on the board: 1 + 0.5 + 0.4 + 0.1 s."""


def net(costs=None):
    return Network(
        "net",
        (Layer(name="a", weight_bytes=2), Layer(name="b", weight_bytes=3)),
        (
            Tensor(name="x", bytes=100, producer=None, consumers=(0,)),
            Tensor(name="t", bytes=50, producer=0, consumers=(1,)),
            Tensor(name="y", bytes=10, producer=1, output=True),
        ),
        {"board": BOARD, "server": SERVER} if costs is None else costs,
    )


def problem_with(*, board=None, server=None, network=None, links=None, budgets=None, **stream):
    both = (("board", "server"), ("server", "board"))
    return Problem(
        networks=(network or net(),),
        devices=(
            Device(name="board", zone="home", **(board or {})),
            Device(name="server", zone="away", **(server or {})),
        ),
        links=tuple(
            Link(source=a, target=b, **({"bytes_per_second": 100.0} | (links or {})))
            for a, b in both
        ),
        streams=(Stream(**({"name": "s", "network": "net", "origin": "board"} | RARE | stream)),),
        budgets=budgets or Budgets(),
    )


RARE = {"rate_per_second": 0.01}


def explained(problem):
    """Return where the conflict is, and what the repair changes from and to."""
    found = explain_infeasible(problem)
    assert found.infeasible
    assert found.complete
    assert found.stop is Stop.COMPLETED
    assert evaluate(found.repair.problem, found.repair.plan).feasible
    edits = {
        edit.where: (
            edit.before if edit.before is not None else edit.text_before,
            edit.after if edit.after is not None else edit.text_after,
        )
        for edit in found.repair.edits
    }
    return [item.where for item in found.conflict.items], edits


def test_a_deadline_that_nothing_meets():
    conflict, edits = explained(problem_with(deadline_seconds=1.0))
    assert conflict == ["streams.s.deadline"]
    assert edits == {"streams.s.deadline": (1.0, 1.6)}


def test_a_deadline_against_privacy():
    problem = problem_with(deadline_seconds=1.9, privacy=Privacy(zones=("home",)))
    conflict, edits = explained(problem)
    assert conflict == ["streams.s.privacy", "streams.s.deadline"]
    # a at home and b away takes 2.0 s: cheaper than to give up privacy.
    assert edits == {"streams.s.deadline": (1.9, 2.0)}


def test_privacy_gives_by_zones_where_nothing_else_can():
    slow = LayerCosts(seconds=(math.inf, 4.0))
    problem = problem_with(
        network=net({"board": slow, "server": SERVER}), privacy=Privacy(zones=("home",))
    )
    found = explain_infeasible(problem)
    assert found.conflict.notes == (
        "no device may run layer 'a' of stream 's'; board has no time for it",
    )
    conflict, edits = explained(problem)
    assert conflict == ["streams.s.privacy"]
    assert edits == {"streams.s.privacy": ("zones home", "zones home, away")}


def test_memory_against_a_pin():
    problem = problem_with(board={"memory_bytes": 4.0}, pins=(LayerRule(devices=("board",)),))
    conflict, edits = explained(problem)
    assert conflict == ["streams.s.pins[0]", "devices.board.memory"]
    assert edits == {"devices.board.memory": (4.0, 5.0)}


def test_a_pin_gives_by_devices():
    problem = problem_with(pins=(LayerRule(devices=("board",)),), board={"memory_bytes": 1.0})
    conflict, edits = explained(problem)
    assert conflict == ["streams.s.pins[0]", "devices.board.memory"]
    pins = ("all layers on board", "all layers on board, server")
    assert edits == {"streams.s.pins[0]": pins}


def test_a_ban_gives_by_devices():
    bans = (LayerRule(devices=("server", "board"), layers=("b",)),)
    conflict, edits = explained(problem_with(deadline_seconds=3.0, bans=bans))
    assert conflict == ["streams.s.bans[0]"]
    bans = ("layers b not on server, board", "layers b not on board")
    assert edits == {"streams.s.bans[0]": bans}


def test_layers_that_share_a_device_and_others():
    pins = (
        LayerRule(devices=("board",), layers=("a",)),
        LayerRule(devices=("server",), layers=("b",)),
    )
    problem = problem_with(pins=pins, together=(("a", "b"),))
    found = explain_infeasible(problem)
    assert {item.kind for item in found.conflict.items} == {"pin", "together"}
    assert len(found.conflict.items) == 3
    assert found.repair.price == pytest.approx(1.0)
    assert evaluate(found.repair.problem, found.repair.plan).feasible


def test_contiguity_gives_whole():
    layers = tuple(Layer(name=name) for name in "abc")
    tensors = (
        Tensor(name="t", bytes=1, producer=0, consumers=(1,)),
        Tensor(name="u", bytes=1, producer=1, consumers=(2,), output=True),
    )
    costs = LayerCosts(seconds=(1.0, 1.0, 1.0))
    network = Network("net", layers, tensors, {"board": costs, "server": costs})
    pins = tuple(
        LayerRule(devices=(device,), layers=(layer,))
        for layer, device in (("a", "board"), ("b", "server"), ("c", "board"))
    )
    problem = dataclasses.replace(problem_with(network=network, pins=pins), contiguous=True)
    found = explain_infeasible(problem)
    assert {item.where for item in found.conflict.items} == {
        "contiguous", "streams.s.pins[0]", "streams.s.pins[1]", "streams.s.pins[2]",
    }  # fmt: skip
    assert found.repair.price == pytest.approx(1.0)
    kept = frozenset(item.key for item in list_items(problem) if item.kind == "pin")
    whole = find_repair(problem, fixed=kept).repair
    assert [(e.where, e.text_before, e.text_after) for e in whole.edits] == [
        ("contiguous", "true", "false")
    ]


def test_load_a_little_above_the_cap_raises_the_cap():
    problem = problem_with(
        rate_per_second=0.194, pins=(LayerRule(devices=("board",)),), board={"memory_bytes": 9.0}
    )
    conflict, edits = explained(problem)
    assert conflict == ["devices.board.utilisation_cap", "streams.s.pins[0]"]
    assert edits == {"devices.board.utilisation_cap": (0.95, 0.97)}


def test_load_above_one_adds_replicas():
    costs = {"board": BOARD}
    problem = problem_with(rate_per_second=0.5, network=net(costs), board={"replicas": 2})
    conflict, edits = explained(problem)
    assert conflict == ["devices.board.utilisation_cap"]
    # 2.5 s of work per second at most 95 % busy.
    assert edits == {"devices.board.replicas": (2, 3)}


def test_replicas_that_cost_money_raise_the_budget_too():
    problem = problem_with(
        rate_per_second=0.5,
        network=net({"board": BOARD}),
        board={"dollars_per_hour": 1.0},
        budgets=Budgets(dollars_per_hour=1.5),
    )
    _, edits = explained(problem)
    assert edits == {"devices.board.replicas": (1, 3), "budgets.money": (1.5, 3.0)}


def test_a_minimum_rate_that_the_caps_imply_gives_with_them():
    problem = problem_with(
        rate_per_second=0.5,
        network=net({"board": BOARD}),
        budgets=Budgets(min_rate_per_second=0.4),
    )
    conflict, edits = explained(problem)
    assert conflict == ["devices.board.utilisation_cap"]
    assert edits == {"devices.board.replicas": (1, 3)}


def test_a_repair_never_touches_what_must_not_give():
    """Three replicas would be needed, which cost more than the budget that is kept."""
    problem = problem_with(
        rate_per_second=0.5,
        network=net({"board": BOARD}),
        board={"dollars_per_hour": 1.0},
        budgets=Budgets(dollars_per_hour=1.5),
    )
    found = find_repair(problem, fixed={("money budget",)})
    assert found.repair is None
    assert found.stop is Stop.FAILED
    assert "did not hold" in found.message


@pytest.mark.parametrize("stated", [None, 1.0])
def test_a_link_that_is_too_slow(stated):
    """Its bandwidth is raised, unless tensors state their times: then it is shared no more."""
    network = net({"server": SERVER})
    tensors = tuple(dataclasses.replace(t, transfer_seconds=stated) for t in network.tensors)
    problem = problem_with(
        network=dataclasses.replace(network, tensors=tensors),
        rate_per_second=1.4,
        server={"replicas": 9},
    )
    found = explain_infeasible(problem)
    assert found.complete
    assert found.conflict.items[0].key[0] == "link capacity"
    edits = {edit.where: (edit.before, edit.after, edit.text_after) for edit in found.repair.edits}
    if stated is None:
        assert edits == {"links[0].bandwidth": (100.0, 148.0, "")}
    else:
        assert edits["links[0].contention"] == (None, None, "none")
    assert evaluate(found.repair.problem, found.repair.plan).feasible


def test_budgets_and_power():
    heavy = {"active_watts": 100.0}
    problem = problem_with(
        board=heavy, network=net({"board": BOARD}), budgets=Budgets(power_watts=2.0)
    )
    assert explained(problem) == (["budgets.power"], {"budgets.power": (2.0, 5.0)})
    problem = problem_with(board=heavy | {"power_budget_watts": 4.0}, network=net({"board": BOARD}))
    place = "devices.board.power_budget"
    assert explained(problem) == ([place], {place: (4.0, 5.0)})


def test_a_minimum_rate_gives_downwards():
    problem = problem_with(network=net({"board": BOARD}), budgets=Budgets(min_rate_per_second=0.3))
    assert explained(problem) == (["budgets.min_rate"], {"budgets.min_rate": (0.3, 0.2)})


def test_a_missing_link_and_a_missing_profile_are_told():
    problem = problem_with(network=net({"server": SERVER}))
    alone = dataclasses.replace(problem, links=problem.links[:1])
    found = explain_infeasible(alone)
    assert found.conflict.missing
    assert [item.item for item in found.conflict.items] == [
        "there is no link 'server->board'",
        "there is no profile of network 'net' on device 'board'",
    ]
    assert found.conflict.irreducible
    assert found.repair.price == pytest.approx(10.0)
    assert len(found.repair.edits) == 1
    assert evaluate(found.repair.problem, found.repair.plan).feasible


def test_a_rule_that_a_missing_link_forbids_names_the_link():
    problem = problem_with(pins=(LayerRule(devices=("server",), layers=("b",)),))
    alone = dataclasses.replace(problem, links=problem.links[:1])
    found = explain_infeasible(alone)
    assert [item.where for item in found.conflict.items] == ["streams.s.pins[0]"]
    assert not found.conflict.missing
    assert found.conflict.notes == ("there is no link 'server->board'",)
    assert found.repair.price == pytest.approx(1.0)


def test_a_missing_time_of_a_layer():
    some = LayerCosts(seconds=(1.0, math.inf))
    problem = problem_with(network=net({"board": some, "server": some}))
    found = explain_infeasible(problem)
    assert {item.item for item in found.conflict.items} == {
        "layer 'b' has no time: network 'net' on device 'board'",
        "layer 'b' has no time: network 'net' on device 'server'",
    }
    (edit,) = found.repair.edits
    assert edit.where.endswith(".times")
    assert (edit.text_before, edit.text_after) == ("missing", "a time")


def test_what_must_not_give_is_left_alone():
    problem = problem_with(deadline_seconds=1.9, privacy=Privacy(zones=("home",)))
    kept = find_repair(problem, fixed={("deadline", "s")})
    assert [edit.where for edit in kept.repair.edits] == ["streams.s.privacy"]
    none = find_repair(problem, fixed={("deadline", "s"), ("privacy", "s")})
    assert none.repair is None
    assert none.stop is Stop.COMPLETED
    assert "must not give" in none.message


def test_requests_that_are_dealt_over_routes():
    """One device carries 0.19 and the other 1.9 requests per second, together less than 2.2."""
    problem = problem_with(rate_per_second=2.2, splittable=True, links={"bytes_per_second": 1e6})
    found = explain_infeasible(problem)
    assert found.complete
    assert {item.kind for item in found.conflict.items} == {"device capacity"}
    assert len(found.conflict.items) == 2
    assert evaluate(found.repair.problem, found.repair.plan).feasible
    # What must be carried beyond the caps, on the device where that is the smaller share.
    assert found.repair.price < 0.11


def test_a_feasible_problem_says_so():
    found = explain_infeasible(problem_with(deadline_seconds=9.0))
    assert found.infeasible is False
    assert found.complete
    assert evaluate(problem_with(deadline_seconds=9.0), found.plan).feasible
    assert found.conflict is None
    assert found.repair is None


def test_a_claim_that_a_known_plan_refutes_is_not_explained():
    problem = problem_with(deadline_seconds=9.0, board={"memory_bytes": 90.0})
    claim = Certificate(basis="claimed", witnesses=("someone",), bounded="all plans")
    with pytest.raises(SolverError, match="has one"):
        explain_infeasible(problem, certificate=claim)


def test_no_time_at_all_is_said():
    problem = problem_with(deadline_seconds=1.0)
    found = explain_infeasible(problem, time_limit=0.0)
    assert found.infeasible is None
    assert found.stop is Stop.TIME_LIMIT
    assert not found.complete


def test_out_of_time_within_the_conflict_it_may_be_larger_than_need_be():
    problem = problem_with(deadline_seconds=1.0, privacy=Privacy(zones=("home",)))
    claim = Certificate(basis="claimed", witnesses=("someone",), bounded="all plans")
    conflict = find_conflict(problem, Checker(ends=-math.inf), certificate=claim)
    assert not conflict.irreducible
    assert not conflict.smallest
    assert {"deadline", "privacy"} <= {item.kind for item in conflict.items}
    assert Enumerator().solve(only(problem, conflict.items)).infeasible


def test_a_stop_before_the_beginning():
    stop = threading.Event()
    stop.set()
    found = explain_infeasible(problem_with(deadline_seconds=1.0), stop=stop)
    assert found.infeasible is None
    assert found.stop is Stop.INTERRUPTED


def test_a_stop_within_the_conflict_keeps_what_is_known():
    stop = threading.Event()
    told = []

    def watch(text):
        told.append(text)
        if text.startswith("conflict"):
            stop.set()

    problem = problem_with(deadline_seconds=1.0, privacy=Privacy(zones=("home",)))
    found = explain_infeasible(problem, stop=stop, on_progress=watch)
    assert found.infeasible
    assert found.stop is Stop.INTERRUPTED
    assert not found.complete
    assert found.conflict.items
    assert told[0] == "is there a plan?"


def test_the_smallest_conflict_is_found_beside_a_larger_irreducible_one():
    """Without the ban, memory and deadline conflict too; the ban alone is a conflict."""
    bans = (LayerRule(devices=("board", "server"), layers=("a",)),)
    problem = problem_with(deadline_seconds=2.0, server={"memory_bytes": 1.0}, bans=bans)
    found = explain_infeasible(problem)
    assert [item.where for item in found.conflict.items] == ["streams.s.bans[0]"]
    assert found.conflict.smallest


def test_the_elastic_program_of_a_feasible_problem_costs_nothing():
    problem = problem_with(deadline_seconds=9.0)
    prices = {item.key: 1.0 for item in list_items(problem)}
    found = Elastic(prices=prices).solve(problem)
    assert found.bound == pytest.approx(0.0, abs=1e-9)
    assert evaluate(problem, found.plan).feasible
