"""Explanations of problems with queues, replicas and batches, held against the enumerator."""

import dataclasses
import math

import pytest

from edgeplan.explain import explain_infeasible, explain_plan, list_items, only, without
from edgeplan.explain.amounts import with_amount
from edgeplan.explain.capacity import Capacity
from edgeplan.explain.checks import Checker, alone
from edgeplan.explain.edits import mend
from edgeplan.explain.needs import PRECISION, same_item
from edgeplan.explain.relaxed import fitted, unloaded
from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.instances.generators.plans import random_plan
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import (
    Budgets,
    Device,
    Link,
    Privacy,
    Problem,
    Stream,
    TailDeadline,
)
from edgeplan.solvers.elastic import Elastic
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.result import Stop

CLOUD = "cloud"


def sites(*rates, cloud=False, replicas=None, tail=None, bandwidth=20e6 / 8, **stream):
    """Return cameras, each at a site of its own: 12 ms of service there, 4 ms in the cloud."""
    names = [f"site-{index}" for index, _ in enumerate(rates, 1)]
    layers = (Layer(name="a", weight_bytes=1000), Layer(name="b", weight_bytes=1000))
    tensors = (
        Tensor(name="x", bytes=40_000, producer=None, consumers=(0,)),
        Tensor(name="t", bytes=20_000, producer=0, consumers=(1,)),
        Tensor(name="y", bytes=100, producer=1, consumers=(), output=True),
    )
    costs = {name: LayerCosts(seconds=(0.006, 0.006), cv2=0.2) for name in names}
    devices = [Device(name=name, max_replicas=replicas) for name in names]
    links = []
    if cloud:
        costs[CLOUD] = LayerCosts(seconds=(0.002, 0.002), cv2=0.2)
        devices.append(Device(name=CLOUD, zone="far"))
        for name in names:
            for source, target in ((name, CLOUD), (CLOUD, name)):
                links.append(
                    Link(
                        source=source,
                        target=target,
                        bytes_per_second=bandwidth,
                        latency_seconds=0.02,
                    )
                )
    tails = () if tail is None else (TailDeadline(probability=0.95, seconds=tail),)
    return Problem(
        networks=(Network("net", layers, tensors, costs),),
        devices=tuple(devices),
        links=tuple(links),
        streams=tuple(
            Stream(
                name=f"cam-{index}",
                network="net",
                origin=f"site-{index}",
                rate_per_second=rate,
                tail_deadlines=tails,
                **stream,
            )
            for index, rate in enumerate(rates, 1)
        ),
        waiting="mg1",
    )


def feasible(problem):
    """Say what the enumerator says, which must have gone through all plans."""
    found = Enumerator().solve(problem)
    assert found.stop is Stop.COMPLETED
    return not found.infeasible


def kinds(found):
    return sorted(item.kind for item in found.conflict.items)


def held(problem, found):
    """Hold an explanation against the enumerator."""
    conflict = found.conflict
    assert found.infeasible
    assert conflict.irreducible
    assert not feasible(only(problem, conflict.items))
    for item in conflict.items:
        assert feasible(only(problem, [i for i in conflict.items if i is not item])), item
    gives = [feasible(without(problem, [item])) for item in conflict.items]
    assert conflict.another is (not all(gives))
    for need in found.needs:
        base = problem if need.whole else only(problem, conflict.items)
        item = same_item(base, need.item)
        assert not feasible(with_amount(base, item, need.too_little)), need
        if need.enough is not None:
            changed = with_amount(base, item, need.enough)
            assert evaluate(changed, need.plan).feasible
            assert evaluate(need.problem, need.plan).feasible
        if need.complete and need.enough is not None and need.item.unit != "count":
            low, high = sorted((need.enough, need.too_little))
            assert high <= low * (1 + 3.5 * PRECISION)  # three digits of either, too
    if found.repair is not None:
        assert evaluate(found.repair.problem, found.repair.plan).feasible
        if found.repair.bound is not None:
            assert found.repair.price >= found.repair.bound * (1 - 1e-4) - 1e-6


def test_unstable_load_is_explained_with_the_missing_capacity():
    problem = sites(118, 20)
    found = explain_infeasible(problem)
    assert {item.key for item in found.conflict.items} == {
        ("rate", "cam-1"),
        ("replicas", "site-1"),
    }
    (short,) = found.shortage.places
    assert short.name == "device 'site-1'"
    assert short.streams == ("cam-1",)
    assert short.needed == pytest.approx(1.416)
    assert short.given == pytest.approx(0.95)
    assert short.missing == pytest.approx(0.466)
    assert found.shortage.least == pytest.approx(0.466)
    needs = {need.item.kind: need for need in found.needs}
    assert needs["replicas"].enough == 2
    # 0.95 of a second for 12 ms each.
    assert needs["rate"].enough <= 0.95 / 0.012 * (1 + 1e-6) <= needs["rate"].too_little
    (edit,) = found.repair.edits
    assert (edit.place, edit.before, edit.after) == (("devices", "site-1", "replicas"), 1, 2)
    # A second replica is twice as much; that of all statements half as much must give is sure.
    assert found.repair.price == 1
    assert found.repair.bound == pytest.approx(1.416 / 0.95 - 1, rel=1e-4)
    assert found.conflict.certificate.proved
    assert found.complete
    held(problem, found)


def test_a_load_below_one_but_above_the_cap_names_the_cap():
    problem = sites(80.5, 20)  # 0.966 of the time
    found = explain_infeasible(problem)
    assert kinds(found) == ["device capacity", "rate", "replicas"]
    needs = {need.item.kind: need for need in found.needs}
    assert needs["device capacity"].enough == pytest.approx(0.966)
    held(problem, found)


def test_all_sites_and_links_overloaded_name_the_links_too():
    problem = sites(118, 30, cloud=True, bandwidth=1e6)
    found = explain_infeasible(problem)
    assert kinds(found) == ["link capacity", "rate", "replicas"]
    needs = {need.item.kind: need for need in found.needs}
    # All to the cloud after layer a, which site-1 can do: 118 × 20 kB ≤ 0.95 × bandwidth.
    assert needs["bandwidth"].enough == pytest.approx(118 * 20_000 / 0.95, rel=2 * PRECISION)
    assert found.shortage.least > 0
    held(problem, found)


def one_way_street(bandwidth=1e6, **cloud):
    """Return cameras whose requests must go to the cloud, with results as large as images."""
    problem = sites(118, cloud=True, bandwidth=bandwidth)
    (network,) = problem.networks
    tensors = [
        dataclasses.replace(t, bytes=30_000 if t.output else t.bytes) for t in network.tensors
    ]
    network = dataclasses.replace(
        network, tensors=tuple(tensors), costs={CLOUD: network.costs[CLOUD]}
    )
    return dataclasses.replace(problem, networks=(network,))


def test_a_link_stated_for_both_directions_gives_as_one():
    problem = one_way_street()
    up, down = ("site-1", CLOUD), (CLOUD, "site-1")
    apart = explain_infeasible(problem)
    # 118 × 40 kB up and 118 × 30 kB down, at most 95 % of the time.
    wide = {edit.key: edit for edit in apart.repair.edits}
    assert {("link capacity", *up), ("link capacity", *down)} == set(wide)
    together = explain_infeasible(problem, two_way={up})
    (edit,) = together.repair.edits
    assert edit.item == "bandwidth of link 'site-1->cloud', both ways"
    assert edit.after == max(edit.after for edit in wide.values())
    assert edit.after * 0.95 >= 118 * 40_000
    for link in together.repair.problem.links:
        assert link.bytes_per_second == edit.after
    assert evaluate(together.repair.problem, together.repair.plan).feasible
    # It is paid for once.
    assert together.repair.price == pytest.approx(118 * 40_000 / 0.95e6 - 1)
    assert together.repair.price < apart.repair.price
    assert together.repair.cheapest
    (need,) = [need for need in together.needs if need.item.kind == "bandwidth"]
    assert need.item.item == edit.item
    assert need.whole
    assert not any(n.whole for n in apart.needs if n.item.kind == "bandwidth")


def test_what_is_kept_of_one_direction_is_kept_of_both():
    up, down = ("site-1", CLOUD), (CLOUD, "site-1")
    for ends in (up, down):
        found = explain_infeasible(one_way_street(), two_way={up}, fixed=[("link capacity", *ends)])
        assert found.repair is None
        assert "must not give" in found.message


def test_a_link_of_a_problem_without_queues_gives_both_ways_at_one_price():
    problem = dataclasses.replace(one_way_street(), waiting="none")
    up = ("site-1", CLOUD)
    apart = explain_infeasible(problem)
    assert len(apart.repair.edits) == 2
    found = explain_infeasible(problem, two_way={up})
    (edit,) = found.repair.edits
    assert edit.item.endswith(", both ways")
    assert found.repair.price == pytest.approx(118 * 40_000 / 0.95e6 - 1)
    assert found.repair.bound == pytest.approx(found.repair.price, rel=1e-5)
    assert {link.bytes_per_second for link in found.repair.problem.links} == {edit.after}


def test_a_cap_stated_for_both_directions_gives_as_one():
    found = explain_infeasible(one_way_street(4.85e6), two_way={("site-1", CLOUD)})
    (edit,) = found.repair.edits
    assert edit.item == "utilisation cap of link 'site-1->cloud', both ways"
    assert {link.utilisation_cap for link in found.repair.problem.links} == {edit.after}


def test_privacy_keeps_the_load_where_it_is_too_much():
    inside = Privacy(zones=("default",))
    assert explain_infeasible(sites(118, cloud=True, privacy=inside)).infeasible is False
    problem = sites(170, cloud=True, privacy=inside)  # layer a alone is 1.02 of the time
    found = explain_infeasible(problem)
    assert kinds(found) == ["privacy", "rate", "replicas"]
    held(problem, found)


def test_a_percentile_that_waits_break():
    problem = sites(70, replicas=3, tail=0.05)
    found = explain_infeasible(problem)
    assert kinds(found) == ["rate", "replicas", "tail deadline"]
    assert found.conflict.items[-1].where == "streams.cam-1.deadline.p95"
    needs = {need.item.kind: need for need in found.needs}
    assert needs["replicas"].enough == 4
    assert 0.05 < needs["tail deadline"].too_little < needs["tail deadline"].enough < 0.055
    assert all(need.complete and need.whole for need in found.needs)
    assert found.shortage.places == ()
    (edit,) = found.repair.edits  # 5 % more time is cheaper than a third more replicas
    assert edit.key == ("tail deadline", "cam-1", 0)
    held(problem, found)


def test_an_infeasibility_says_whether_percentiles_are_bounds_or_estimates():
    # One queue for each request: its percentile is an upper bound.
    found = explain_infeasible(sites(70, replicas=3, tail=0.05))
    assert set(found.judged.values()) == {"safe"}
    assert not found.estimated
    # At the site, over the link and in the cloud, one after another.
    problem = sites(130, cloud=True, tail=0.056, bandwidth=8e6)
    found = explain_infeasible(problem)
    assert "tail deadline" in kinds(found)
    for item in found.conflict.items:
        assert found.judged.get(item.key) == ("estimated" if item.kind == "tail deadline" else None)
    assert found.estimated
    plan = Plan(routes={"cam-1": (Route(devices=("site-1", CLOUD)),)})
    (price,) = evaluate(only(problem, found.conflict.items), plan).streams
    assert {deadline.basis for deadline in price.deadlines} == {"estimated"}


def test_a_mean_deadline_over_several_queues_is_an_approximation():
    found = explain_infeasible(sites(130, cloud=True, bandwidth=8e6, deadline_seconds=0.0515))
    assert "deadline" in kinds(found)
    assert set(found.judged.values()) == {"approximate"}
    assert found.estimated


def test_load_that_cannot_be_carried_rests_on_no_estimate():
    assert not explain_infeasible(sites(118, cloud=True, tail=0.5, bandwidth=1e6)).estimated


def test_a_percentile_that_service_alone_breaks_blames_no_rate():
    problem = sites(20, tail=0.01)
    found = explain_infeasible(problem)
    assert kinds(found) == ["tail deadline"]
    assert not found.judged
    held(problem, found)


def test_what_is_kept_is_not_in_the_repair():
    problem = sites(70, replicas=3, tail=0.05)
    found = explain_infeasible(problem, fixed=[("tail deadline", "cam-1", 0)])
    assert [(e.key, e.after) for e in found.repair.edits] == [(("replicas", "site-1"), 4)]


def test_two_conflicts_are_told_apart():
    problem = sites(118, 118)
    found = explain_infeasible(problem)
    assert found.complete
    assert found.conflict.another
    assert not any(need.whole for need in found.needs)
    assert {edit.item for edit in found.repair.edits} == {
        "replicas of device 'site-1'",
        "replicas of device 'site-2'",
    }
    held(problem, found)


def test_money_for_replicas_is_counted():
    problem = sites(150, replicas=4)
    device = dataclasses.replace(problem.devices[0], dollars_per_hour=1.0)
    problem = dataclasses.replace(problem, devices=(device,), budgets=Budgets(dollars_per_hour=1.5))
    found = explain_infeasible(problem)
    assert "money budget" in kinds(found)
    needs = {need.item.kind: need for need in found.needs}
    assert needs["money budget"].enough == pytest.approx(2.0)
    held(problem, found)


def test_fractions_have_no_more_than_their_sum():
    problem = sites(300, cloud=True, bandwidth=4e6, splittable=True)
    found = explain_infeasible(problem)
    assert found.infeasible
    assert {"rate", "replicas"} <= set(kinds(found))
    assert found.shortage.least > 0
    assert found.conflict.certificate.basis == "dual"


@pytest.mark.parametrize("seed", [5, 7, 10, 32])
def test_random_explanations_hold(seed):
    problem = random_loaded_problem(seed, most_plans=1500)
    held(problem, explain_infeasible(problem))


@pytest.mark.long
def test_many_random_explanations_hold():
    count = 0
    for seed in range(100, 220):
        problem = random_loaded_problem(seed, most_plans=1000)
        if not feasible(problem):
            found = explain_infeasible(problem)
            if not found.conflict.missing:
                held(problem, found)
                count += 1
    assert count >= 15


@pytest.mark.parametrize("seed", range(40))
def test_the_problem_without_queues_is_never_harder(seed):
    problem = random_loaded_problem(seed, splittable=seed % 3 == 0)
    easier = unloaded(problem)
    assert not easier.load_features
    for number in range(8):
        plan = random_plan(problem, 100 * seed + number)
        if plan is None:
            continue
        as_stands = evaluate(problem, plan)
        bare = fitted(easier, alone(plan))
        relaxed = evaluate(easier, bare)
        if as_stands.feasible:
            assert relaxed.feasible
        if not math.isfinite(as_stands.latency_seconds):
            continue
        slack = 1 + 1e-9
        for name in ("latency_seconds", "energy_joules", "cost_dollars", "period_seconds"):
            assert getattr(relaxed, name) <= getattr(as_stands, name) * slack
        for one, other in zip(relaxed.devices, as_stands.devices, strict=True):
            assert one.utilisation <= other.utilisation * slack
            assert one.watts <= other.watts * slack
            assert one.memory_bytes <= other.memory_bytes


@pytest.mark.parametrize("seed", range(30))
def test_the_least_load_is_a_bound_for_every_plan(seed):
    problem = random_loaded_problem(seed, limits=False, splittable=seed % 3 == 0)
    problem = dataclasses.replace(
        problem,
        streams=tuple(
            dataclasses.replace(stream, deadline_seconds=math.inf, tail_deadlines=())
            for stream in problem.streams
        ),
    )
    load = Capacity().find(problem)
    easier = unloaded(problem)
    caps = {device.name: device.utilisation_cap for device in problem.devices}
    for number in range(8):
        plan = random_plan(problem, 100 * seed + number)
        priced = None if plan is None else evaluate(easier, fitted(easier, alone(plan)))
        if priced is None or not math.isfinite(priced.latency_seconds):
            continue
        if any(v.kind not in ("device capacity", "link capacity") for v in priced.violations):
            continue
        shares = [used.utilisation / caps[used.name] for used in priced.devices]
        shares += [
            used.utilisation / link.utilisation_cap
            for link, used in zip(easier.links, priced.links, strict=True)
            if easier.loads(link)
        ]
        assert load.share <= max(shares) * (1 + 1e-9)


def test_the_least_load_is_recomputed_from_prices():
    load = Capacity().find(sites(118, 20))
    assert load.share == pytest.approx(1.416 / 0.95)
    assert load.too_much
    assert load.streams == {"cam-1"}
    assert set(load.prices) == {("device capacity", "site-1")}
    assert load.certificate.proved


def test_taking_out_replicas_rates_and_percentiles():
    problem = sites(118, 20, tail=0.03, replicas=2)
    by_key = {item.key: item for item in list_items(problem)}
    gone = without(problem, [by_key["replicas", "site-1"], by_key["tail deadline", "cam-2", 0]])
    assert gone.device["site-1"].replicas > 1e6
    assert gone.device["site-1"].max_replicas is None
    assert gone.streams[1].tail_deadlines == ()
    slow = without(problem, [by_key["rate", "cam-1"]])
    assert slow.streams[0].rate_per_second < 1e-3
    assert slow.streams[1].rate_per_second == 20
    assert slow.waiting == "mg1"


def test_a_problem_without_load_has_no_such_statements():
    problem = dataclasses.replace(sites(118, 20), waiting="none")
    assert not {"rate", "replicas"} & {item.kind for item in list_items(problem)}


def test_mending_counts_replicas_up_from_the_largest_number():
    problem = sites(250, replicas=2)
    plan = Plan(routes={"cam-1": (Route(devices=("site-1", "site-1")),)})
    edits, changed = mend(problem, plan)
    (edit,) = edits
    assert edit.where == "devices.site-1.replicas.max"
    assert (edit.before, edit.after) == (2, 4)  # 3 s of work per second at 0.95 each
    fit = fitted(changed, plan)
    assert fit.replicas["site-1"] == 4
    assert evaluate(changed, fit).feasible


def test_the_elastic_program_refuses_queues():
    with pytest.raises(InputError, match="knows no load"):
        Elastic(prices={}).build(sites(10))


def test_without_a_solver_that_knows_queues_it_is_not_known(monkeypatch):
    monkeypatch.setattr("edgeplan.explain.checks.solver_for", _only_without_queues)
    problem = sites(70, replicas=3, tail=0.05)
    found = explain_infeasible(problem)
    assert found.infeasible is None
    answer = Checker(ends=math.inf).check(problem)
    assert answer.plan is None
    assert not answer.infeasible
    # What needs no queues to be refuted is refuted all the same.
    assert Checker(ends=math.inf).check(sites(118)).infeasible


def _only_without_queues(problem):
    return None if problem.load_features else "highs"


def test_a_plan_under_load_is_explained():
    problem = sites(60, cloud=True, replicas=3, tail=0.2)
    plan = Enumerator().solve(problem).plan
    found = explain_plan(problem, plan)
    assert found.worth.optimum == pytest.approx(evaluate(problem, plan).objective)
    binding = {b.item.kind: b for b in found.binding}
    evaluation = evaluate(problem, plan)
    assert binding["tail deadline"].used == dict(evaluation.streams[0].tails)[0.95]
    assert binding["replicas"].used == evaluation.devices[0].replicas
    assert "rate" not in binding
    worth = {w.item.key: w for w in found.worth.found}
    more = worth["replicas", "site-1"]
    assert more.raised == 4
    best = Enumerator().solve(with_amount(problem, more.item, 4)).plan
    gain = (
        evaluate(problem, plan).objective
        - evaluate(with_amount(problem, more.item, 4), best).objective
    )
    assert more.gain == pytest.approx(gain if gain > 2e-4 * evaluation.objective else 0.0)


def test_alternatives_keep_batches_and_replicas():
    problem = sites(60, cloud=True, replicas=3)
    plan = Plan(routes={"cam-1": (Route(devices=("site-1", "site-1")),)}, replicas={"site-1": 3})
    found = explain_plan(problem, plan, time_limit=0)
    border = next(a for a in found.stages[0].alternatives if a.kind == "move")
    moved = Plan(routes={"cam-1": (Route(devices=(CLOUD, CLOUD)),)}, replicas={"site-1": 3})
    assert border.objective == evaluate(problem, moved).objective


def test_the_second_of_two_percentiles_is_told_where_another_conflict_stays():
    problem = sites(20, 20)
    tails = (
        TailDeadline(probability=0.95, seconds=1.0),
        TailDeadline(probability=0.99, seconds=0.01),
    )
    streams = tuple(dataclasses.replace(s, tail_deadlines=tails) for s in problem.streams)
    problem = dataclasses.replace(problem, streams=streams)
    found = explain_infeasible(problem)
    (item,) = found.conflict.items
    assert item.key[::2] == ("tail deadline", 1)
    (need,) = found.needs
    assert need.item is item
    assert not need.whole
    held(problem, found)
