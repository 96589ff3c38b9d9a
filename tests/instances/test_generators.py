"""The generator: deterministic, valid, and every feature really occurs."""

from __future__ import annotations

import itertools
import math

import pytest

from edgeplan.instances.generators import KINDS, random_plan, random_problem, round3
from edgeplan.model.evaluate import evaluate
from edgeplan.model.network import SpanCosts
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem


def _many(count: int = 60) -> list[Problem]:
    return [
        random_problem(
            seed,
            kind=KINDS[seed % 4],
            layers=2 + seed % 4,
            devices=2 + seed % 3,
            streams=1 + seed % 3,
            tight=seed % 3 > 0,
            spans=seed % 5 > 2,
            splittable=seed % 2 == 0,
        )
        for seed in range(count)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tight", [False, True])
def test_equal_arguments_give_an_equal_problem(kind: str, tight: bool) -> None:
    assert random_problem(7, kind=kind, tight=tight) == random_problem(7, kind=kind, tight=tight)
    assert random_problem(7, kind=kind, tight=tight) != random_problem(8, kind=kind, tight=tight)


def test_sizes_are_as_asked() -> None:
    problem = random_problem(3, kind="dag", layers=6, devices=5, streams=4)
    assert len(problem.devices) == 5
    assert len(problem.streams) == 4
    assert {len(network.layers) for network in problem.networks} <= {5, 6}
    assert len(random_problem(3, kind="two-device", devices=7).devices) == 2


@pytest.mark.parametrize("sizes", [{"layers": 0}, {"devices": 0}, {"streams": 0}, {"kind": "ring"}])
def test_senseless_sizes_are_refused(sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"unknown kind|at least 1"):
        random_problem(0, **sizes)


def test_chains_have_single_tensor_cuts() -> None:
    for seed in range(30):
        for network in random_problem(seed, kind="chain", layers=6).networks:
            for tensor in network.tensors:
                last = tensor.producer == len(network.layers) - 1
                expected = () if last else (0 if tensor.producer is None else tensor.producer + 1,)
                assert tensor.consumers == expected


def test_two_loose_devices_couple_nothing() -> None:
    for seed in range(30):
        problem = random_problem(seed, kind="two-device", tight=False, streams=3)
        assert problem.capacity == "none"
        for device in problem.devices:
            assert not device.charge_idle
            assert device.dollars_per_hour == device.dollars_per_request == 0
            assert math.isinf(device.memory_bytes)
        for network in problem.networks:
            assert all(costs.boundary_seconds == 0 for costs in network.costs.values())


def test_every_feature_occurs() -> None:
    problems = _many(240)
    streams = [(p, s) for p in problems for s in p.streams]
    networks = [n for p in problems for n in p.networks]
    devices = [d for p in problems for d in p.devices]
    costs = [c for n in networks for c in n.costs.values()]
    seen = {
        "homes": any(home != s.origin for _, s in streams for home in s.homes.values()),
        "skip tensor": any(len(t.consumers) > 1 for n in networks for t in n.tensors),
        "output midway": any(t.output and t.consumers for n in networks for t in n.tensors),
        "missing link": any(len(p.links) < len(p.devices) * (len(p.devices) - 1) for p in problems),
        "missing costs": any(len(n.costs) < len(p.devices) for p in problems for n in p.networks),
        "cannot run": any(
            math.isinf(v)
            for c in costs
            for row in (c.seconds if isinstance(c, SpanCosts) else (c.seconds,))
            for v in row
        ),
        "shared network": any(
            len({s.network for s in p.streams}) < len(p.streams) for p in problems
        ),
        "several networks": any(len(p.networks) > 1 for p in problems),
        "memory": any(math.isfinite(d.memory_bytes) for d in devices),
        "device power": any(math.isfinite(d.power_budget_watts) for d in devices),
        "charge idle": any(d.charge_idle for d in devices),
        "provisioned": any(d.dollars_per_hour for d in devices),
        "serverless": any(d.dollars_per_second for d in devices),
        "fee": any(d.dollars_per_request for d in devices),
        "electricity": any(d.dollars_per_joule for d in devices),
        "replicas": any(d.replicas > 1 for d in devices),
        "no contention": any(k.contention == "none" for p in problems for k in p.links),
        "privacy of inputs": any(s.privacy and s.privacy.before is None for _, s in streams),
        "privacy of tensors": any(s.privacy and s.privacy.before for _, s in streams),
        "pins": any(s.pins for _, s in streams),
        "bans": any(s.bans for _, s in streams),
        "deadline": any(math.isfinite(s.deadline_seconds) for _, s in streams),
        "no returns": any(not s.returns for _, s in streams),
        "waits": any(s.waits for _, s in streams),
        "splittable": any(s.splittable for _, s in streams),
        "power budget": any(math.isfinite(p.budgets.power_watts) for p in problems),
        "money budget": any(math.isfinite(p.budgets.dollars_per_hour) for p in problems),
        "joules": any(c.joules for c in costs),
        "dollars": any(c.dollars for c in costs),
        "stated memory": any(c.memory_bytes for c in costs),
        "cv2": any(c.cv2 for c in costs),
        "denominators": any(p.objective.latency_denominator_seconds != 1 for p in problems),
    }
    assert not [name for name, there in seen.items() if not there]
    assert {p.objective.aggregate for p in problems} == {"mean", "total"}
    assert {p.capacity for p in problems} == {"none", "utilisation"}


def test_random_plans_speak_of_the_problem() -> None:
    for seed, problem in enumerate(_many(40)):
        plan = random_plan(problem, seed)
        plan.check(problem)
        assert plan == random_plan(problem, seed)
        whole = random_plan(problem, seed, stages=1)
        evaluate(problem, whole)


def test_feasible_and_infeasible_problems_mix() -> None:
    feasible = 0
    for seed in range(40):
        problem = random_problem(seed, kind=KINDS[seed % 4], layers=3, streams=1)
        stream = problem.streams[0]
        feasible += any(
            evaluate(problem, Plan(routes={stream.name: (Route(devices=devices),)})).feasible
            for devices in itertools.product(*problem.allowed(stream))
        )
    assert 24 <= feasible <= 38


def test_values_are_rounded() -> None:
    assert round3(0.0123456) == 0.0123
    for problem in _many(12):
        for stream in problem.streams:
            assert stream.rate_per_second == round3(stream.rate_per_second)
