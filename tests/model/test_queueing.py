"""Waits and tails against textbook closed forms, and what `evaluate` makes of them."""

from __future__ import annotations

import dataclasses
import math

import pytest

from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import Layer, LayerCosts, Network, Tensor
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Device, Link, Objective, Problem, Stream, TailDeadline
from edgeplan.model.queueing import Job, Queue, Wait, erlang_c

MS = 1e-3


def queue(*jobs: Job, replicas: int = 1, dispatch: str = "random") -> Queue:
    return Queue(replicas, dispatch, jobs)  # type: ignore[arg-type]


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8, 0.95])
def test_one_exponential_server(rho: float) -> None:
    found = queue(Job(rho / 2.0, 2.0, 1.0))
    assert found.mean_wait_seconds == pytest.approx(rho / (1 - rho) * 2.0)
    # P(W > x) = ρ e^{−(μ − λ) x}: the decay is exact.
    assert found.decay_per_second == pytest.approx((1 - rho) / 2.0)


@pytest.mark.parametrize("rho", [0.3, 0.5, 0.8, 0.95])
def test_one_constant_server(rho: float) -> None:
    found = queue(Job(rho / 2.0, 2.0, 0.0))
    assert found.mean_wait_seconds == pytest.approx(rho / (2 * (1 - rho)) * 2.0)
    theta = found.decay_per_second
    assert rho / 2.0 * math.expm1(2.0 * theta) == pytest.approx(theta)
    assert theta > 0


def test_mixed_jobs_wait_as_their_mixture() -> None:
    # Half of the jobs take 1 s, half 3 s: E[S²] = 5.
    found = queue(Job(0.2, 1.0, 0.0), Job(0.2, 3.0, 0.0))
    assert found.mean_wait_seconds == pytest.approx(0.4 * 5.0 / (2 * (1 - 0.8)))


def test_bursts_as_kingman_has_them() -> None:
    # λ E[S]² (c_a² + c_s²) / (2 (1 − ρ)) is ρ / (1 − ρ) · (c_a² + c_s²) / 2 · E[S].
    found = queue(Job(0.4, 2.0, 0.5, arrival_cv2=4.0, fresh=False))
    assert found.mean_wait_seconds == pytest.approx(0.8 / 0.2 * (4.0 + 0.5) / 2 * 2.0)
    assert found.basis == "approximate"


def _waiting_probability(servers: int, load: float) -> float:
    """Erlang's C as it stands in books, with factorials."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize("servers", [1, 2, 5, 20])
@pytest.mark.parametrize("rho", [0.1, 0.6, 0.95])
def test_shared_queue_of_exponential_servers(servers: int, rho: float) -> None:
    load = servers * rho
    assert erlang_c(servers, load) == pytest.approx(_waiting_probability(servers, load))
    found = queue(Job(load / 2.0, 2.0, 1.0), replicas=servers, dispatch="shared")
    expected = _waiting_probability(servers, load) * 2.0 / (servers - load)
    assert found.mean_wait_seconds == pytest.approx(expected)
    assert found.basis == ("exact" if servers == 1 else "approximate")


def test_random_dispatch_is_a_queue_at_each_replica() -> None:
    one, three = queue(Job(0.4, 2.0, 1.0)), queue(Job(1.2, 2.0, 1.0), replicas=3)
    assert three.utilisation == pytest.approx(one.utilisation)
    assert three.mean_wait_seconds == pytest.approx(one.mean_wait_seconds)
    assert three.decay_per_second == pytest.approx(one.decay_per_second)


def test_queues_that_grow_without_end_and_idle_ones() -> None:
    full = queue(Job(1.0, 1.0, 0.0))
    assert (full.mean_wait_seconds, full.decay_per_second) == (math.inf, 0.0)
    idle = queue()
    assert (idle.mean_wait_seconds, idle.decay_per_second, idle.basis) == (0.0, math.inf, "none")


def _problem(**changes: object) -> Problem:
    """A site and a cloud: a network of 10 ms, 40 KB up, nothing back; 50 requests a second."""
    network = Network(
        "n",
        (Layer(name="l", activation_bytes=100),),
        (Tensor(name="x", bytes=40_000, producer=None, consumers=(0,)),),
        {
            "site": LayerCosts(
                seconds=(10 * MS,), cv2=1.0, batches={4: LayerCosts(seconds=(16 * MS,))}
            ),
            "cloud": LayerCosts(seconds=(2 * MS,)),
        },
    )
    problem = Problem(
        networks=(network,),
        devices=(
            Device(name="site", idle_watts=2.0, active_watts=5.0),
            Device(name="cloud", tier="cloud", max_replicas=4, dollars_per_hour=3.6),
        ),
        links=(
            Link(
                source="site", target="cloud", bytes_per_second=4_000_000, latency_seconds=40 * MS
            ),
            Link(source="cloud", target="site", bytes_per_second=4_000_000),
        ),
        streams=(
            Stream(
                name="s", network="n", origin="site", rate_per_second=50.0, waits=True, max_batch=4
            ),
        ),
        waiting="mg1",
    )
    return dataclasses.replace(problem, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("cv2", [0.0, 0.5, 4.0])
def test_a_split_stream_that_is_not_poisson_is_not_exact(cv2: float) -> None:
    stream = dataclasses.replace(_problem().streams[0], splittable=True, arrival_cv2=cv2)
    problem = _problem(streams=(stream,))
    routes = (Route(devices=("site",), fraction=0.9), Route(devices=("cloud",), fraction=0.1))
    found = evaluate(problem, Plan(routes={"s": routes}))
    assert found.streams[0].basis == "approximate"
    assert found.devices[0].basis == "approximate"


def test_times_too_short_to_wait_for_do_not_break_the_decay() -> None:
    assert queue(Job(1.0, 1e-310, 0.0)).decay_per_second >= 1e29
    assert queue(Job(1.0, 1e-31, 1.0)).decay_per_second >= 1e29


def test_no_tolerance_lets_a_queue_grow_without_end() -> None:
    devices = (Device(name="site", utilisation_cap=1 - 1e-7), Device(name="cloud"))
    stream = dataclasses.replace(_problem().streams[0], rate_per_second=100.0, waits=False)
    problem = _problem(devices=devices, streams=(stream,), objective=Objective(latency=0, cost=1))
    found = evaluate(problem, whole(problem, {"s": "site"}))
    assert [violation.kind for violation in found.violations] == ["device capacity"]


def test_a_request_waits_at_its_device() -> None:
    problem = _problem()
    found = evaluate(problem, whole(problem, {"s": "site"}))
    assert found.latency_seconds == pytest.approx(20 * MS)  # M/M/1 at ρ = 0.5
    (stream,) = found.streams
    assert (stream.basis, stream.wait_seconds) == ("exact", pytest.approx(10 * MS))
    assert found.devices[0].wait_seconds == pytest.approx(10 * MS)
    assert found.devices[1].wait_seconds is None
    # Active for 10 ms, idle while it waits.
    assert found.energy_joules == pytest.approx(5.0 * 10 * MS + 2.0 * 10 * MS)
    # Wait and service at 2.5 % each: ln(40) / 50 and ln(40) · 10 ms.
    assert dict(stream.tails)[0.95] == pytest.approx(math.log(40) / 50 + math.log(40) * 10 * MS)


def test_a_request_waits_at_the_link_and_in_the_cloud() -> None:
    problem = _problem()
    found = evaluate(problem, whole(problem, {"s": "cloud"}))
    link = 0.5 / (2 * 0.5) * 10 * MS  # M/D/1 at ρ = 0.5
    cloud = 0.1 / (2 * 0.9) * 2 * MS
    assert found.latency_seconds == pytest.approx(10 * MS + 40 * MS + 2 * MS + link + cloud)
    assert found.streams[0].basis == "approximate"
    assert [load.basis for load in found.links] == ["exact", "none"]
    (route,) = found.streams[0].routes
    assert route.stages[0].transfers[0].wait_seconds == pytest.approx(link)


def test_links_without_contention_delay_only() -> None:
    problem = _problem()
    links = tuple(dataclasses.replace(link, contention="none") for link in problem.links)
    problem = dataclasses.replace(problem, links=links)
    found = evaluate(problem, whole(problem, {"s": "cloud"}))
    assert found.latency_seconds == pytest.approx((10 + 40 + 2 + 0.1 / 1.8 * 2) * MS)
    assert found.streams[0].basis == "exact"
    assert found.links[0].wait_seconds is None


def test_replicas_share_the_load_and_are_paid() -> None:
    problem = _problem()
    routes = whole(problem, {"s": "cloud"}).routes
    found = evaluate(problem, Plan(routes=routes, replicas={"cloud": 4}))
    assert found.devices[1].utilisation == pytest.approx(0.1 / 4)
    assert found.devices[1].replicas == 4
    assert found.cost_dollars * problem.total_rate * 3600 == pytest.approx(4 * 3.6)
    with pytest.raises(InputError, match="5 replicas, but the device may have 1 to 4"):
        evaluate(problem, Plan(routes=routes, replicas={"cloud": 5}))
    with pytest.raises(InputError, match="no such device"):
        evaluate(problem, Plan(routes=routes, replicas={"clown": 1}))


def test_a_batch_is_one_job_and_waits_until_it_is_full() -> None:
    problem = _problem()
    plan = Plan(routes={"s": (Route(devices=("site",), batch=4),)})
    found = evaluate(problem, plan)
    rho = 50 / 4 * 16 * MS
    fill = 3 / (2 * 50)
    # Batches come as every fourth request: c_a² = 1/4.
    wait = rho * 16 * MS * 0.25 / (2 * (1 - rho))
    assert found.latency_seconds == pytest.approx(fill + 16 * MS + wait)
    assert found.devices[0].utilisation == pytest.approx(rho)
    assert found.devices[0].memory_bytes == 4 * 100
    assert found.streams[0].basis == "approximate"
    # 16 ms at 5 W for four; each of them waits, the origin idle, for the rest of its latency.
    assert found.energy_joules == pytest.approx(5.0 * 16 * MS / 4 + 2.0 * (fill + wait))
    with pytest.raises(InputError, match="batches of 5, but at most 4"):
        evaluate(problem, Plan(routes={"s": (Route(devices=("site",), batch=5),)}))
    # There is no batch of 3 in the profile: it cannot run.
    missing = evaluate(problem, Plan(routes={"s": (Route(devices=("site",), batch=3),)}))
    assert [v.kind for v in missing.violations if v.kind == "cannot run"] == ["cannot run"]


def test_tail_deadlines_hold_on_every_route() -> None:
    stream = dataclasses.replace(
        _problem().streams[0],
        splittable=True,
        tail_deadlines=(TailDeadline(probability=0.95, seconds=90 * MS),),
    )
    problem = _problem(streams=(stream,))
    routes = (Route(devices=("site",), fraction=0.8), Route(devices=("cloud",), fraction=0.2))
    found = evaluate(problem, Plan(routes={"s": routes}))
    (deadline,) = found.streams[0].deadlines
    slowest = max(dict(route.tails)[0.95] for route in found.streams[0].routes)
    assert deadline.statistic == "p95"
    assert deadline.value_seconds == slowest
    assert deadline.basis == "estimated"
    assert deadline.slack_seconds == pytest.approx(90 * MS - slowest)
    assert (deadline.slack_seconds < 0) == ("tail deadline" in {v.kind for v in found.violations})
    assert deadline.slack_seconds < 0


def test_other_waits_can_be_priced() -> None:
    problem = _problem()
    waits = {("device", d): Wait(0.5, 1.0) for d in ("site", "cloud")}
    waits |= {("link", link.name): Wait(0.25, 2.0) for link in problem.links}
    found = evaluate(problem, whole(problem, {"s": "site"}), waits=waits)  # type: ignore[arg-type]
    assert found.latency_seconds == pytest.approx(0.51)


def test_what_a_problem_with_waiting_may_not_be() -> None:
    with pytest.raises(InputError, match="set capacity to utilisation"):
        _problem(capacity="none")
    with pytest.raises(InputError, match="set waiting to mg1"):
        _problem(
            waiting="none",
            streams=(
                dataclasses.replace(
                    _problem().streams[0],
                    tail_deadlines=(TailDeadline(probability=0.9, seconds=1.0),),
                ),
            ),
        )
    with pytest.raises(InputError, match="max_replicas"):
        _problem(devices=(Device(name="site"), Device(name="cloud", replicas=3, max_replicas=2)))
