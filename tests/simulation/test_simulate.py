"""`simulate`: a plan's walk, its energy and cost, deadlines, and what it says of itself."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from edgeplan.model.errors import InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream, TailDeadline
from edgeplan.simulation import Mmpp, Renewal, Trace, simulate

MS = 1e-3
SITE_CLOUD_SITE = ("site", "cloud", "site")


def problem(**changes: object) -> Problem:
    """Return a board and a cloud: three layers of 4, 6 and 2 ms on the board."""
    costs = {
        "site": LayerCosts(
            seconds=(4 * MS, 6 * MS, 2 * MS),
            cv2=1.0,
            batches={4: LayerCosts(seconds=(8 * MS, 12 * MS, 4 * MS), cv2=0.5)},
        ),
        "cloud": LayerCosts(
            seconds=(MS, 2 * MS, MS), cv2=0.5, joules=(0.1, 0.2, 0.1), dollars=(1e-6, 2e-6, 1e-6)
        ),
    }
    network = Network(
        "n",
        tuple(Layer(name=name, activation_bytes=100) for name in "abc"),
        (
            Tensor(name="x", bytes=40_000, producer=None, consumers=(0,)),
            Tensor(name="t", bytes=20_000, producer=0, consumers=(1,)),
            Tensor(name="u", bytes=10_000, producer=1, consumers=(2,)),
            Tensor(name="y", bytes=4_000, producer=2, output=True),
        ),
        costs,
    )
    made = Problem(
        networks=(network,),
        devices=(
            Device(
                name="site", idle_watts=2.0, active_watts=5.0, dollars_per_joule=1e-6,
                dollars_per_second=1e-3,
            ),
            Device(
                name="cloud", tier="cloud", max_replicas=4, dollars_per_hour=3.6, idle_watts=10.0,
                active_watts=60.0, charge_idle=True, dollars_per_request=1e-6,
            ),
        ),
        links=(
            Link(
                source="site", target="cloud", bytes_per_second=4e6, latency_seconds=20 * MS,
                send_joules_per_byte=1e-7, dollars_per_byte=1e-10,
            ),
            Link(
                source="cloud", target="site", bytes_per_second=8e6, latency_seconds=20 * MS,
                receive_joules_per_byte=2e-7,
            ),
        ),
        streams=(
            Stream(
                name="s", network="n", origin="site", rate_per_second=40.0, waits=True,
                splittable=True, max_batch=4,
            ),
        ),
        waiting="mg1",
    )  # fmt: skip
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def with_stream(made: Problem, **changes: object) -> Problem:
    stream = dataclasses.replace(made.streams[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(made, streams=(stream,))


PLANS = {
    "site": Plan(routes={"s": (Route(devices=("site",) * 3),)}),
    "cloud": Plan(routes={"s": (Route(devices=("cloud",) * 3),)}, replicas={"cloud": 2}),
    "there and back": Plan(routes={"s": (Route(devices=SITE_CLOUD_SITE),)}),
    "split": Plan(
        routes={
            "s": (
                Route(devices=("site",) * 3, fraction=0.6),
                Route(devices=("site", "cloud", "cloud"), fraction=0.4),
            )
        }
    ),
    "batches": Plan(routes={"s": (Route(devices=("site",) * 3, batch=4),)}),
}


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("waiting", ["none", "mg1"])
def test_everything_but_the_waits_is_as_predicted(name: str, waiting: str) -> None:
    made = problem(waiting=waiting)
    prediction = evaluate(made, PLANS[name])
    found = simulate(made, PLANS[name], requests=120_000, seed=3)
    assert found.requests == 120_000
    (stream,), (price,) = found.streams, prediction.streams
    # Loads, energy and money follow from means of service: a fraction of a percent of noise.
    for mine, theirs in zip(found.devices, prediction.devices, strict=True):
        assert mine.name == theirs.name
        assert mine.utilisation == pytest.approx(theirs.utilisation, rel=0.02)
        assert mine.offered == pytest.approx(theirs.utilisation, rel=1e-9)
        assert mine.replicas == theirs.replicas
        assert (mine.mean_wait_seconds is None) == (theirs.wait_seconds is None)
    for mine, theirs in zip(found.links, prediction.links, strict=True):
        assert mine.name == theirs.name
        assert mine.utilisation == pytest.approx(theirs.utilisation, rel=0.02)
        # One that carries nothing has no queue.
        assert (mine.mean_wait_seconds is None) == (theirs.wait_seconds is None)
    # What the origin draws while it waits goes with the simulated latency.
    waited = 2.0 * (stream.mean.value - price.latency_seconds)
    assert stream.energy_joules == pytest.approx(price.energy_joules + waited, rel=0.01)
    assert stream.cost_dollars == pytest.approx(price.cost_dollars, rel=0.01)
    assert found.energy_joules == stream.energy_joules
    if waiting == "none":
        error = stream.mean.standard_error
        assert error is not None
        assert abs(stream.mean.value - price.latency_seconds) < 5 * error
        assert any("nobody queues" in note for note in found.notes)
    assert stream.requests == pytest.approx(108_000, rel=0.02)
    assert sum(route.requests for route in stream.routes) == stream.requests


@pytest.mark.parametrize("name", ["site", "cloud"])
def test_exact_waits_are_as_predicted(name: str) -> None:
    made = problem()
    (price,) = evaluate(made, PLANS[name]).streams
    (stream,) = simulate(made, PLANS[name], requests=300_000, seed=8).streams
    assert stream.mean.standard_error is not None
    # The link comes before the cloud, which then is no M/G/1; at such a load it hardly matters.
    slack = 0.0 if price.basis == "exact" else 0.005 * price.latency_seconds
    error = 4 * stream.mean.standard_error + slack
    assert abs(stream.mean.value - price.latency_seconds) < error


def test_routes_visit_queues_in_the_evaluator_s_order() -> None:
    # Constant times and hardly any load: each request takes the sum of its stages and transfers.
    network = problem().networks[0]
    costs = {
        "site": LayerCosts(seconds=(4 * MS, 6 * MS, 2 * MS)),
        "cloud": LayerCosts(seconds=(MS, 2 * MS, MS)),
    }
    made = with_stream(
        problem(networks=(dataclasses.replace(network, costs=costs),)), rate_per_second=1e-3
    )
    found = simulate(made, PLANS["there and back"], requests=2000)
    expected = (4 + 20 + 20_000 / 4e6 / MS + 2 + 20 + 10_000 / 8e6 / MS + 2) * MS
    (stream,) = found.streams
    assert stream.percentiles[0].seconds == pytest.approx(expected, rel=1e-6)
    assert stream.mean.value == pytest.approx(expected, rel=1e-3)
    assert found.engine == "events"
    assert simulate(made, PLANS["site"], requests=200).engine == "vectorised"


def test_streams_are_weighted_as_the_objective_says() -> None:
    made = problem()
    second = dataclasses.replace(made.streams[0], name="t", rate_per_second=10.0)
    made = dataclasses.replace(made, streams=(made.streams[0], second))
    plan = whole(made, {"s": "site", "t": "cloud"})
    found = simulate(made, plan, requests=50_000)
    one, two = found.streams
    assert found.latency_seconds == pytest.approx(0.8 * one.mean.value + 0.2 * two.mean.value)
    total = dataclasses.replace(made, objective=Objective(aggregate="total"))
    both = simulate(total, plan, requests=50_000)
    assert both.latency_seconds == pytest.approx(one.mean.value + two.mean.value)


def test_deadlines() -> None:
    tails = (
        TailDeadline(probability=0.95, seconds=0.2),
        TailDeadline(probability=0.5, seconds=0.02),
        TailDeadline(probability=0.95, seconds=0.06),
    )
    made = with_stream(problem(), deadline_seconds=0.03, tail_deadlines=tails[:2])
    (stream,) = simulate(made, PLANS["split"], requests=60_000, seed=2).streams
    assert stream.slo_seconds == 0.03
    assert stream.slo is not None
    loose, tight = stream.deadlines
    assert (loose.statistic, loose.limit_seconds) == ("p95", 0.2)
    assert loose.met
    assert loose.surely_met(0.9999)
    # No request comes back from the cloud within 20 ms: the worst route tells.
    assert tight.attainment.value == 0.0
    assert not tight.met
    assert tight.surely_missed(0.9999)
    assert [route.deadlines[1].met for route in stream.routes] == [True, False]
    only_tails = with_stream(problem(), tail_deadlines=tails[1:2])
    (stream,) = simulate(only_tails, PLANS["site"], requests=5000).streams
    assert stream.slo_seconds == 0.02
    (stream,) = simulate(problem(), PLANS["site"], requests=5000).streams
    assert (stream.slo_seconds, stream.slo, stream.deadlines) == (None, None, ())


def test_a_request_that_takes_just_the_deadline_is_in_time() -> None:
    costs = {"site": LayerCosts(seconds=(4 * MS, 6 * MS, 2 * MS))}
    network = dataclasses.replace(problem().networks[0], costs=costs)
    made = problem(networks=(network,), waiting="none")
    made = with_stream(made, deadline_seconds=12 * MS)
    (stream,) = simulate(made, PLANS["site"], requests=20_000).streams
    assert stream.slo is not None
    assert stream.slo.value == 1.0


def test_an_unstable_device_is_named_with_what_is_missing() -> None:
    made = with_stream(problem(), rate_per_second=100.0)
    short = simulate(made, PLANS["site"], requests=20_000)
    long = simulate(made, PLANS["site"], requests=80_000)
    assert not short.stable
    (stream,) = short.streams
    assert not stream.stable
    assert short.devices[0].offered == pytest.approx(1.2)
    assert short.devices[0].utilisation == pytest.approx(1.0)
    unstable, grows, *_ = short.notes
    assert unstable == (
        "device 'site' is unstable: 1.2 s of work arrive per second for 1; it needs 2 replicas "
        "or more than 17 % less work"
    )
    assert "latencies of s grow with the number of requests" in grows
    # They do: four times the run, four times the wait.
    assert long.latency_seconds == pytest.approx(4 * short.latency_seconds, rel=0.15)
    assert math.isinf(evaluate(made, PLANS["site"]).latency_seconds)


def test_a_run_that_is_short_for_its_load_says_so() -> None:
    made = with_stream(problem(), rate_per_second=80.0)  # ρ = 0.96
    (note,) = simulate(made, PLANS["site"], requests=100_000).notes
    assert "short for a load of 0.96 at 'site'" in note
    needed = int(note.split(";")[1].split()[0])
    assert simulate(made, PLANS["site"], requests=needed).notes == ()
    few = simulate(made, PLANS["site"], requests=100).notes
    assert any("too few requests of s" in note for note in few)


def test_arrivals_can_be_given() -> None:
    made = problem()
    calm = simulate(made, PLANS["site"], requests=60_000)
    bursts = {"s": Mmpp(ratio=5.0, burst_seconds=10.0)}
    burst = simulate(made, PLANS["site"], requests=60_000, arrivals=bursts)
    assert burst.latency_seconds > 1.3 * calm.latency_seconds
    assert burst.streams[0].arrivals.startswith("MMPP")
    own = with_stream(made, arrival_cv2=4.0)
    as_told = simulate(made, PLANS["site"], requests=20_000, arrivals={"s": Renewal(cv2=4.0)})
    by_itself = simulate(own, PLANS["site"], requests=20_000)
    assert by_itself.streams == as_told.streams
    assert by_itself.notes != as_told.notes
    trace = Trace(times=np.arange(1000.0), name="clock.csv")
    slow = simulate(made, PLANS["site"], requests=5000, arrivals={"s": trace})
    assert slow.streams[0].rate_per_second == pytest.approx(1.0)
    assert slow.devices[0].utilisation == pytest.approx(0.012, rel=0.05)
    repeated, own_rate, otherwise = slow.notes
    assert "requests of s arrive otherwise than the problem says" in otherwise
    assert "otherwise" in burst.notes[0]
    assert calm.notes == ()
    assert "1000 arrivals and was repeated to make 5000" in repeated
    assert "has 1 requests per second, the stream 40" in own_rate
    with pytest.raises(InputError, match="no such stream; known: s"):
        simulate(made, PLANS["site"], arrivals={"nobody": Renewal()})


def test_more_replicas_wait_less_and_are_paid() -> None:
    made = with_stream(problem(), rate_per_second=200.0)
    made = dataclasses.replace(
        made, links=tuple(dataclasses.replace(link, contention="none") for link in made.links)
    )
    routes = PLANS["cloud"].routes
    two, four = (
        simulate(made, Plan(routes=routes, replicas={"cloud": n}), requests=40_000) for n in (2, 4)
    )
    assert two.devices[1].utilisation == pytest.approx(2 * four.devices[1].utilisation, rel=0.02)
    assert (two.devices[1].mean_wait_seconds or 0) > 2 * (four.devices[1].mean_wait_seconds or 0)
    # Two more at 3.6 dollars and 10 W.
    rent = 2 * 3.6 / 3600 / 200
    assert four.cost_dollars - two.cost_dollars == pytest.approx(rent, rel=0.05)
    shared = dataclasses.replace(made.devices[1], dispatch="shared")
    made = dataclasses.replace(made, devices=(made.devices[0], shared))
    one_line = simulate(made, Plan(routes=routes, replicas={"cloud": 4}), requests=40_000)
    assert (one_line.devices[1].mean_wait_seconds or 0) < 0.5 * (
        four.devices[1].mean_wait_seconds or 0
    )


def test_transfers_that_occupy_devices_load_them() -> None:
    made = problem(waiting="none")
    site = dataclasses.replace(made.devices[0], transfers="occupy")
    made = dataclasses.replace(made, devices=(site, made.devices[1]))
    found = simulate(made, PLANS["cloud"], requests=50_000)
    expected = evaluate(made, PLANS["cloud"]).devices[0].utilisation
    assert expected > 0
    assert found.devices[0].utilisation == pytest.approx(expected, rel=0.02)


def test_the_document_has_the_keys_of_the_contract() -> None:
    made = with_stream(problem(), tail_deadlines=(TailDeadline(probability=0.95, seconds=1.0),))
    found = simulate(made, PLANS["split"], requests=3000, seed=7)
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["requests"] == 3000
    assert document["seed"] == 7
    (stream,) = document["streams"]
    wanted = {"name", "mean_seconds", "p50", "p95", "p99", "slo_attainment", "half_width"}
    assert wanted <= set(stream)
    assert stream["p50"] <= stream["p95"] <= stream["p99"]
    assert [set(d) >= {"name", "utilisation", "mean_wait_seconds"} for d in document["devices"]]
    assert [load["name"] for load in document["links"]] == ["site->cloud", "cloud->site"]
    assert document["energy_joules"] > 0
    assert document["cost_dollars"] > 0
    # As few as there can be still are a document.
    nothing = simulate(made, PLANS["split"], requests=1)
    json.dumps(nothing.as_json(), allow_nan=False)


def test_plans_that_cannot_run_are_refused() -> None:
    made = problem(links=problem().links[:1])
    with pytest.raises(InputError, match="there is no link cloud->site"):
        simulate(made, PLANS["cloud"])
    three = Plan(routes={"s": (Route(devices=("cloud",) * 3, batch=4),)})
    with pytest.raises(InputError, match="no time for layers a … c in batches of 4"):
        simulate(problem(), three)
    with pytest.raises(InputError, match="gives the stream no route"):
        simulate(problem(), Plan(routes={}))
    with pytest.raises(InputError, match="at least 1"):
        simulate(problem(), PLANS["site"], requests=0)
    with pytest.raises(InputError, match="warm_up"):
        simulate(problem(), PLANS["site"], warm_up=1.0)


def test_an_interrupted_run_keeps_what_was_counted() -> None:
    asked = iter([False] * 5)
    found = simulate(problem(), PLANS["site"], requests=1_000_000, stop=lambda: next(asked, True))
    assert found.interrupted
    assert 0 < found.streams[0].requests < found.requests < 1_000_000
    assert "stopped after" in found.notes[0]
    told = r"within the warm-up, after 6\d{4} of 1000000 requests: nothing was counted.*first 10%"
    asked = iter([False])
    with pytest.raises(InterruptedRunError, match=told):
        simulate(problem(), PLANS["site"], requests=1_000_000, stop=lambda: next(asked, True))


def test_a_batch_that_is_never_filled_is_no_count() -> None:
    with pytest.raises(InputError, match="requests: of 1 not one was counted"):
        simulate(problem(), PLANS["batches"], requests=1)


def test_a_stream_without_requests_is_left_out_of_the_sums() -> None:
    made = problem()
    rare = dataclasses.replace(made.streams[0], name="rare", rate_per_second=1e-6)
    made = dataclasses.replace(made, streams=(*made.streams, rare))
    route = PLANS["site"].routes["s"]
    found = simulate(made, Plan(routes={"s": route, "rare": route}), requests=2000)
    often, never = found.streams
    assert never.requests == 0
    assert found.latency_seconds == pytest.approx(often.mean.value)
    assert found.energy_joules == pytest.approx(often.energy_joules)
    assert found.cost_dollars == pytest.approx(often.cost_dollars)
    assert any("no request of rare was counted" in note for note in found.notes)
    document = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert document["streams"][1]["mean_seconds"] is None


def test_burstier_arrivals_than_can_be_simulated_are_refused() -> None:
    made = with_stream(problem(), arrival_cv2=1e20)
    with pytest.raises(InputError, match=r"streams\.s\.arrival_cv2: must be at most 1e\+06"):
        simulate(made, PLANS["site"], requests=1000)
    found = simulate(made, PLANS["site"], requests=1000, arrivals={"s": Renewal()})
    assert any("arrive otherwise" in note for note in found.notes)
    slow = with_stream(problem(), rate_per_second=1e-20)
    with pytest.raises(InputError, match=r"rate_per_second: must be from 1e-12 to 1e\+12"):
        simulate(slow, PLANS["site"], requests=1000)


def test_long_silences_are_passed_at_once() -> None:
    # A burst of some seconds once in 300 years: chunk by chunk it would take a million of them.
    rare = Mmpp(ratio=1e15, burst_seconds=10.0, share=1e-9)
    found = simulate(problem(), PLANS["cloud"], requests=2000, arrivals={"s": rare}, seed=1)
    assert found.requests == 2000
    assert found.seconds > 1e7


def test_bursts_too_short_to_be_noticed_are_said_to_be() -> None:
    arrivals = {"s": Mmpp(ratio=4.0, burst_seconds=2e-5)}
    found = simulate(problem(), PLANS["site"], requests=2000, arrivals=arrivals)
    assert any("simulated as Poisson" in note for note in found.notes)
