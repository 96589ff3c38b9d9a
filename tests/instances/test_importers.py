"""Imported problems price plans as the formats' own mathematics, computed from the raw files.

The checks go from the JSON alone, by the formulas of the formats; they share nothing with the
importers. Files of others lie in ``../shared`` beside the repository and are read from there.
"""

from __future__ import annotations

import copy
import dataclasses
import graphlib
import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgeplan.instances import document
from edgeplan.instances.document import parse_yaml, to_yaml
from edgeplan.instances.importers import FORMATS, import_file
from edgeplan.instances.importers.saving import count_values, save
from edgeplan.instances.instance import Instance
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import instance_tree
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Objective, Problem
from edgeplan.solvers.enumerate import Enumerator
from edgeplan.solvers.highs import Highs
from edgeplan.solvers.result import Stop

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
GRAPHS = (
    "layer_bert24_inference",
    "layer_resnet50_inference",
    "operator_bert_l-3_inference",
    "operator_resnet50_inference",
)
ASSIGNMENTS = ("AP_p-3_n-5_ins-1", "AP_p-3_n-5_ins-2")
GENERALISED = "GAP_3x10"


def shared(name: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("the shared data is not beside this checkout")
    folder = "dnn-partitioning/throughput" if name in GRAPHS else "morepo-ap"
    return SHARED / folder / f"{name}.json"


def imported(kind: str, raw: object, folder: Path, **options: object) -> Problem:
    path = folder / "raw.json"
    path.write_text(json.dumps(raw))
    return import_file(kind, path, **options).problem


# --- dnn-partitioning: the formula of the format ------------------------------------------------

SMALL_GRAPH = {
    "maxFPGAs": 2,
    "maxCPUs": 1,
    "maxSizePerFPGA": 100.0,
    # Not in topological order: 30 and 10 come before what they wait for.
    "nodes": [
        {"id": 30, "name": "add", "supportedOnFpga": 1, "cpuLatency": 40, "fpgaLatency": 4,
         "size": 10.5, "isBackwardNode": 0, "colorClass": 7},
        {"id": 10, "name": "conv", "supportedOnFpga": True, "cpuLatency": 20.0, "fpgaLatency": 2.0,
         "size": 60, "isBackwardNode": False, "colorClass": 8},
        {"id": 5, "name": "read", "supportedOnFpga": 0, "cpuLatency": 1, "fpgaLatency": 0,
         "size": 0, "isBackwardNode": 0},
        {"id": 20, "name": "conv", "supportedOnFpga": 1, "cpuLatency": 30, "fpgaLatency": 3,
         "size": 50, "isBackwardNode": 0, "colorClass": 7},
    ],
    "edges": [
        {"sourceId": 5, "destId": 10, "cost": 0.5, "size": 99.2},
        {"sourceId": 5, "destId": 20, "cost": 0.5, "size": 99.2},
        {"sourceId": 10, "destId": 30, "cost": 0.25},
        {"sourceId": 20, "destId": 30, "cost": 0.125, "size": 7},
    ],
}  # fmt: skip
"""read → conv-10, conv-20 → add; conv-20 and add have a colour; read runs on a core only."""


def loads(raw: dict, where: dict[int, str]) -> Counter[str]:
    """Milliseconds per request of each device, by the format's definition."""
    successors: dict[int, set[int]] = defaultdict(set)
    cost = {edge["sourceId"]: edge["cost"] for edge in raw["edges"]}
    for edge in raw["edges"]:
        successors[edge["sourceId"]].add(edge["destId"])
    load: Counter[str] = Counter()
    for device in set(where.values()):
        held = {node["id"] for node in raw["nodes"] if where[node["id"]] == device}
        core = device.startswith("core")
        for node in raw["nodes"]:
            if node["id"] in held:
                able = core or node["supportedOnFpga"]
                load[device] += node["cpuLatency" if core else "fpgaLatency"] if able else math.inf
        if not core:
            load[device] += sum(
                c for i, c in cost.items() if i not in held and successors[i] & held
            )
            load[device] += sum(c for i, c in cost.items() if i in held and successors[i] - held)
    return load


def broken_rules(raw: dict, where: dict[int, str], *, contiguous: bool) -> set[str]:
    """What an assignment breaks, from the file alone."""
    kinds = set()
    sizes: Counter[str] = Counter()
    colours: dict[int, set[str]] = defaultdict(set)
    for node in raw["nodes"]:
        device = where[node["id"]]
        if device.startswith("accelerator"):
            sizes[device] += math.ceil(node["size"])
            if not node["supportedOnFpga"]:
                kinds.add("cannot run")
        if node.get("colorClass") is not None:
            colours[node["colorClass"]].add(device)
    if any(size > raw["maxSizePerFPGA"] * (1 + 1e-6) for size in sizes.values()):
        kinds.add("memory")
    if any(len(devices) > 1 for devices in colours.values()):
        kinds.add("together")
    if contiguous and not acyclic_quotient(raw, where):
        kinds.add("contiguous")
    return kinds


def acyclic_quotient(raw: dict, where: dict[int, str]) -> bool:
    before: dict[str, set[str]] = defaultdict(set)
    for edge in raw["edges"]:
        source, target = where[edge["sourceId"]], where[edge["destId"]]
        if source != target:
            before[target].add(source)
    try:
        graphlib.TopologicalSorter(before).prepare()
    except graphlib.CycleError:
        return False
    return True


def layer_of(raw: dict) -> dict[int, str]:
    """Layer names by node id, where names are unique or the rule for the others is known."""
    counts = Counter(node["name"] for node in raw["nodes"])
    return {
        node["id"]: node["name"] if counts[node["name"]] == 1 else f"{node['name']}-{node['id']}"
        for node in raw["nodes"]
    }


def plan_of(problem: Problem, raw: dict, where: dict[int, str]) -> Plan:
    (stream,) = problem.streams
    device = {name: where[node] for node, name in layer_of(raw).items()}
    layers = problem.network[stream.network].layers
    return Plan(routes={stream.name: (Route(devices=tuple(device[x.name] for x in layers)),)})


def check_assignment(problem: Problem, raw: dict, where: dict[int, str]) -> Evaluation:
    """Hold an evaluation against the formula; returns it."""
    evaluation = evaluate(problem, plan_of(problem, raw, where))
    expected = loads(raw, where)
    for load in evaluation.devices:
        assert load.period_seconds * 1000 == pytest.approx(expected[load.name], rel=1e-9, abs=1e-12)
    most = max(expected.values())
    assert evaluation.period_seconds * 1000 == pytest.approx(most, rel=1e-9, abs=1e-12)
    assert evaluation.objective == evaluation.period_seconds
    found = {violation.kind for violation in evaluation.violations}
    assert found == broken_rules(raw, where, contiguous=problem.contiguous)
    return evaluation


def assignments(raw: dict, problem: Problem, rng: random.Random) -> Iterable[dict[int, str]]:
    """Round robin, each device alone, uniform, colours together, and intervals of an order."""
    ids = [node["id"] for node in raw["nodes"]]
    devices = [device.name for device in problem.devices]
    yield {node: devices[k % len(devices)] for k, node in enumerate(ids)}
    for device in devices[:1] + devices[-1:]:
        yield dict.fromkeys(ids, device)
    yield {node: rng.choice(devices) for node in ids}
    yield {node: rng.choice(devices[:2]) for node in ids}
    by_colour: dict[object, str] = defaultdict(lambda: rng.choice(devices))
    yield {n["id"]: by_colour[n.get("colorClass", f"alone {n['id']}")] for n in raw["nodes"]}
    sorter = graphlib.TopologicalSorter(dict.fromkeys(ids, ()))
    for edge in raw["edges"]:
        sorter.add(edge["destId"], edge["sourceId"])
    order = list(sorter.static_order())
    for count in (2, len(devices)):
        cuts = sorted(rng.randrange(len(order) + 1) for _ in range(count - 1))
        yield {node: devices[sum(place >= cut for cut in cuts)] for place, node in enumerate(order)}


def check_links(problem: Problem) -> None:
    """Links take no time of their own and carry no load."""
    for link in problem.links:
        assert (link.latency_seconds, link.bytes_per_second) == (0.0, math.inf)
        assert link.contention == "none"


def test_a_small_graph_by_hand(tmp_path):
    problem = imported("dnn-partitioning", SMALL_GRAPH, tmp_path, name="small")
    assert problem.name == "small"
    (network,) = problem.networks
    (stream,) = problem.streams
    # Free at first: read. Then conv-10 before conv-20, as in the file; add waits for both.
    assert [layer.name for layer in network.layers] == ["read", "conv-10", "conv-20", "add"]
    assert [layer.weight_bytes for layer in network.layers] == [0, 60, 50, 11]
    assert [(t.name, t.bytes, t.producer, t.consumers) for t in network.tensors] == [
        ("read", 100, 0, (1, 2)), ("conv-10", 0, 1, (3,)), ("conv-20", 7, 2, (3,)),
    ]  # fmt: skip
    assert [tensor.transfer_seconds for tensor in network.tensors] == [0.0005, 0.00025, 0.000125]
    assert network.costs["accelerator-2"].seconds == (math.inf, 0.002, 0.003, 0.004)
    assert network.costs["core-1"].seconds == (0.001, 0.020, 0.030, 0.040)
    assert network.memory_bytes(1, "core-1") == 0
    assert stream.together == (("conv-20", "add"),)
    assert (stream.origin, stream.returns, stream.rate_per_second) == ("core-1", False, 1.0)
    assert [device.name for device in problem.devices] == [
        "accelerator-1", "accelerator-2", "core-1",
    ]  # fmt: skip
    assert [device.transfers for device in problem.devices] == ["occupy", "occupy", "free_port"]
    assert [device.memory_bytes for device in problem.devices] == [100.0, 100.0, math.inf]
    assert len(problem.links) == 6
    check_links(problem)
    assert (problem.capacity, problem.contiguous) == ("none", False)
    assert problem.objective == Objective(latency=0.0, throughput=1.0)

    where = {5: "core-1", 10: "accelerator-1", 20: "accelerator-2", 30: "accelerator-2"}
    evaluation = check_assignment(problem, SMALL_GRAPH, where)
    # accelerator-2: 3 + 4 ms, receives read (0.5) and conv-10 (0.25).
    assert evaluation.period_seconds == pytest.approx(0.00775, rel=1e-12)
    assert evaluation.bottleneck == "accelerator-2"
    assert evaluation.feasible
    # accelerator-1 sends read's output nowhere and conv-10's once: 2 + 0.5 + 0.25 ms.
    assert evaluation.devices[0].period_seconds == pytest.approx(0.00275, rel=1e-12)


@pytest.mark.parametrize("contiguous", [False, True])
def test_every_assignment_of_a_small_graph(contiguous, tmp_path):
    """All 81 of them, and the least feasible one is the enumerator's optimum."""
    problem = imported("dnn-partitioning", SMALL_GRAPH, tmp_path, contiguous=contiguous)
    check_exhaustively(problem, SMALL_GRAPH)


def check_exhaustively(problem: Problem, raw: dict) -> None:
    ids = [node["id"] for node in raw["nodes"]]
    best = math.inf
    for devices in itertools.product([d.name for d in problem.devices], repeat=len(ids)):
        where = dict(zip(ids, devices, strict=True))
        check_assignment(problem, raw, where)
        if not broken_rules(raw, where, contiguous=problem.contiguous):
            best = min(best, max(loads(raw, where).values()))
    result = Enumerator().solve(problem)
    assert result.stop is Stop.COMPLETED
    if math.isinf(best):
        assert result.infeasible
    else:
        assert result.bound is not None
        assert result.bound * 1000 == pytest.approx(best, rel=1e-9, abs=1e-12)


def random_graph(rng: random.Random) -> dict:
    """A small graph in shuffled order, with unsupported nodes, colours and a tight memory."""
    count = rng.randint(1, 5)
    ids = rng.sample(range(-5, 50), count)
    nodes = [
        {
            "id": identity,
            "name": rng.choice(["a", "b", "c", "d"]),
            "supportedOnFpga": rng.random() < 0.85,
            "cpuLatency": rng.choice([0, round(rng.uniform(1, 20), 3)]),
            "fpgaLatency": rng.choice([0, round(rng.uniform(0.1, 5), 3)]),
            "size": rng.choice([0, rng.uniform(0, 50)]),
            **({"colorClass": rng.randint(1, 3)} if rng.random() < 0.5 else {}),
        }
        for identity in ids
    ]
    edges = []
    for place, source in enumerate(ids):
        cost = rng.choice([0.0, round(rng.uniform(0.01, 3), 4)])
        for target in ids[place + 1 :]:
            if rng.random() < 0.5:
                edges.append({"sourceId": source, "destId": target, "cost": cost})
    rng.shuffle(nodes)
    rng.shuffle(edges)
    accelerators, cores = rng.choice([(1, 1), (2, 1), (1, 2), (3, 0), (0, 2)])
    return {
        "maxFPGAs": accelerators,
        "maxCPUs": cores,
        "maxSizePerFPGA": rng.uniform(30, 120),
        "nodes": nodes,
        "edges": edges,
    }


@pytest.mark.parametrize("seed", range(12))
def test_every_assignment_of_random_graphs(seed, tmp_path):
    rng = random.Random(seed)
    raw = random_graph(rng)
    check_exhaustively(imported("dnn-partitioning", raw, tmp_path, contiguous=bool(seed % 2)), raw)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("contiguous", [False, True])
def test_shared_graphs_are_priced_by_their_formula(name, contiguous):
    path = shared(name)
    raw = json.loads(path.read_text())
    problem = import_file("dnn-partitioning", path, contiguous=contiguous).problem
    (network,) = problem.networks
    assert len(network.layers) == len(raw["nodes"])
    colours = Counter(n["colorClass"] for n in raw["nodes"] if n.get("colorClass") is not None)
    groups = problem.groups(problem.streams[0])
    assert sorted(map(len, groups)) == sorted(count for count in colours.values() if count > 1)
    rng = random.Random(f"{name} {contiguous}")
    # A random route of 604 layers takes the evaluator a second.
    kinds: Counter[str] = Counter()
    for where in assignments(raw, problem, rng):
        evaluation = check_assignment(problem, raw, where)
        kinds.update({violation.kind for violation in evaluation.violations} or {"none"})
    assert kinds["none"] >= 1
    assert (kinds["contiguous"] > 0) == contiguous
    assert (kinds["together"] > 0) == any(count > 1 for count in colours.values())


def test_memory_of_a_shared_graph_is_limited_on_accelerators_only():
    path = shared("layer_resnet50_inference")
    raw = json.loads(path.read_text())
    problem = import_file("dnn-partitioning", path).problem
    ids = [node["id"] for node in raw["nodes"]]
    on_one = check_assignment(problem, raw, dict.fromkeys(ids, "accelerator-3"))
    (violation,) = on_one.violations
    assert (violation.kind, violation.place) == ("memory", "device accelerator-3")
    assert violation.value == sum(node["size"] for node in raw["nodes"]) > violation.limit
    assert check_assignment(problem, raw, dict.fromkeys(ids, "core-1")).feasible


def test_names_are_unique_and_kept_where_they_were(tmp_path):
    raw = copy.deepcopy(SMALL_GRAPH)
    names = ["a-20", None, "a", "a"]  # of the ids 30, 10, 5, 20
    for node, name in zip(raw["nodes"], names, strict=True):
        node["name"] = name
    (network,) = imported("dnn-partitioning", raw, tmp_path).networks
    assert [layer.name for layer in network.layers] == ["a-5", "node-10", "a-20-20", "a-20"]


def test_a_graph_without_cores_starts_on_an_accelerator(tmp_path):
    raw = {**SMALL_GRAPH, "maxCPUs": 0}
    problem = imported("dnn-partitioning", raw, tmp_path)
    assert problem.streams[0].origin == "accelerator-1"
    assert Enumerator().solve(problem).infeasible  # 'read' runs on cores only


def test_backward_nodes_are_told(tmp_path):
    path = tmp_path / "training.json"
    raw = copy.deepcopy(SMALL_GRAPH)
    path.write_text(json.dumps(raw))
    (note,) = import_file("dnn-partitioning", path).notes
    assert "rounded up to whole bytes" in note  # one of its sizes is not whole
    for node in raw["nodes"]:
        node["size"] = math.ceil(node["size"])
    path.write_text(json.dumps(raw))
    assert import_file("dnn-partitioning", path).notes == ()
    raw["nodes"][0]["isBackwardNode"] = 1
    path.write_text(json.dumps(raw))
    (note,) = import_file("dnn-partitioning", path).notes
    assert "1 of 4 nodes" in note
    assert "one graph" in note


# --- assignments: the formula of the format -----------------------------------------------------

SMALL_GENERALISED = {
    "profit": [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 0, 1]], [[2.5, 3, 4], [5, 6, 7]]],
    "weight": [[1, 2, 3], [4, 5, 6.0]],
    "capacity": [3, 9.5],
}


def tables(raw: dict) -> np.ndarray:
    """Costs by objective, request and device, from the file alone."""
    if "costs" in raw:
        return np.array(raw["costs"], dtype=float)
    return 10.0 - np.array(raw["profit"], dtype=float).transpose(0, 2, 1)


def feasible(raw: dict, choice: Sequence[int]) -> bool:
    if "costs" in raw:
        return len(set(choice)) == len(choice)
    load = [0.0] * len(raw["capacity"])
    for item, device in enumerate(choice):
        load[device] += raw["weight"][device][item]
    return all(used <= limit for used, limit in zip(load, raw["capacity"], strict=True))


def choices(raw: dict) -> Iterable[tuple[int, ...]]:
    _, requests, devices = tables(raw).shape
    if "costs" in raw:
        return itertools.permutations(range(devices))
    return itertools.product(range(devices), repeat=requests)


def values(raw: dict, choice: Sequence[int]) -> tuple[float, ...]:
    return tuple(tables(raw)[:, range(len(choice)), list(choice)].sum(axis=1))


def plan_of_choice(problem: Problem, choice: Sequence[int]) -> Plan:
    return Plan(
        routes={
            stream.name: (Route(devices=(f"device-{device + 1}",)),)
            for stream, device in zip(problem.streams, choice, strict=True)
        }
    )


def front(points: Iterable[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """The points that no other is at least as good as in everything."""
    kept: list[tuple[float, ...]] = []
    for point in sorted(set(points)):
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
    return set(kept)


def published(raw: dict) -> set[tuple[float, ...]]:
    points = {tuple(map(float, point)) for point in raw["nondominated"]}
    if "costs" in raw:
        return points
    return {tuple(10.0 * raw["n"] - value for value in point) for point in points}


def check_choice(problem: Problem, raw: dict, choice: Sequence[int]) -> tuple[float, ...] | None:
    """Hold an evaluation against the tables; return its values where it is feasible."""
    evaluation = evaluate(problem, plan_of_choice(problem, choice))
    found = (evaluation.latency_seconds, evaluation.energy_joules, evaluation.cost_dollars)
    assert found == pytest.approx(values(raw, choice), rel=1e-12, abs=1e-12)
    assert evaluation.objective == pytest.approx(sum(found), rel=1e-12)
    assert evaluation.feasible == feasible(raw, choice)
    assert {violation.kind for violation in evaluation.violations} <= {"memory"}
    return tuple(round(value, 9) for value in found) if evaluation.feasible else None


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_the_published_front_comes_from_evaluated_plans(name):
    """All 5^5 choices are priced; the 120 that fit give the published points and no others."""
    path = shared(name)
    raw = json.loads(path.read_text())
    problem = import_file("assignment", path).problem
    points = [
        point
        for choice in itertools.product(range(5), repeat=5)
        if (point := check_choice(problem, raw, choice)) is not None
    ]
    assert len(points) == 120
    assert front(points) == published(raw)


def test_the_front_of_the_generalised_assignment_comes_from_evaluated_plans():
    """Of 3^10 choices those on the front of the raw tables, and a thousand others, are priced."""
    path = shared(GENERALISED)
    raw = json.loads(path.read_text())
    problem = import_file("assignment", path).problem
    fitting = {choice: values(raw, choice) for choice in choices(raw) if feasible(raw, choice)}
    best = front(fitting.values())
    assert best == published(raw)
    on_front = [choice for choice, point in fitting.items() if point in best]
    assert {check_choice(problem, raw, choice) for choice in on_front} == published(raw)
    rng = random.Random(0)
    others = [tuple(rng.randrange(3) for _ in range(10)) for _ in range(1000)]
    fits = [check_choice(problem, raw, choice) is not None for choice in others]
    assert 0 < sum(fits) < len(fits)


@pytest.mark.long
def test_every_plan_of_the_generalised_assignment():
    path = shared(GENERALISED)
    raw = json.loads(path.read_text())
    problem = import_file("assignment", path).problem
    points = (check_choice(problem, raw, choice) for choice in choices(raw))
    assert front(point for point in points if point is not None) == published(raw)


WEIGHTINGS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (5.0, 1.0, 0.5),
              (0.1, 2.0, 3.0))  # fmt: skip


@pytest.mark.parametrize("name", [*ASSIGNMENTS, GENERALISED])
@pytest.mark.parametrize("solver", [Enumerator(), Highs()], ids=lambda solver: solver.name)
def test_optima_are_those_of_brute_force(name, solver):
    path = shared(name)
    raw = json.loads(path.read_text())
    problem = import_file("assignment", path).problem
    fitting = [values(raw, choice) for choice in choices(raw) if feasible(raw, choice)]
    for weights in WEIGHTINGS:
        latency, energy, cost = weights
        objective = Objective(latency=latency, energy=energy, cost=cost, aggregate="total")
        asked = dataclasses.replace(problem, objective=objective)
        if sorted(weights) == [0.0, 0.0, 1.0]:
            name_of = ("latency", "energy", "cost")[weights.index(1.0)]
            assert problem.with_objective(name_of) == asked
        best = min(sum(w * v for w, v in zip(weights, point, strict=True)) for point in fitting)
        result = solver.solve(asked)
        assert result.stop is Stop.COMPLETED
        assert result.plan is not None
        evaluation = evaluate(asked, result.plan)
        assert evaluation.feasible
        assert evaluation.objective == pytest.approx(best, rel=1e-9)
        assert result.bound == pytest.approx(best, rel=2e-6)


def test_a_small_generalised_assignment_by_hand(tmp_path):
    problem = imported("assignment", SMALL_GENERALISED, tmp_path)
    assert [d.memory_bytes for d in problem.devices] == [3.0, 9.5, math.inf]
    assert [d.name for d in problem.devices] == ["device-1", "device-2", "source"]
    assert [(link.source, link.target) for link in problem.links] == [
        ("source", "device-1"), ("source", "device-2"),
    ]  # fmt: skip
    check_links(problem)
    network = problem.network["request-3"]
    assert [network.memory_bytes(0, d) for d in ("device-1", "device-2")] == [3, 6]
    assert network.costs["device-1"].seconds == (7.0,)
    assert network.costs["device-2"].joules == (9.0,)
    assert network.costs["device-1"].dollars == (6.0,)
    assert "source" not in network.costs
    stream = problem.streams[0]
    assert (stream.origin, stream.returns, stream.splittable) == ("source", False, False)
    assert (problem.capacity, problem.waiting) == ("none", "none")
    for choice in itertools.product(range(2), repeat=3):
        check_choice(problem, SMALL_GENERALISED, choice)


def test_request_i_on_device_j_costs_entry_i_j(tmp_path):
    """Published fronts cannot tell a table from its transpose; the README's words can."""
    raw = {"n": 2, "costs": [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]]}
    problem = imported("assignment", raw, tmp_path)
    assert problem.network["request-1"].costs["device-2"].seconds == (2.0,)
    assert problem.network["request-2"].costs["device-1"].dollars == (11.0,)


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("name", [*GRAPHS, *ASSIGNMENTS, GENERALISED])
def test_instances_read_back_equal(name, suffix, tmp_path):
    kind = "dnn-partitioning" if name in GRAPHS else "assignment"
    problem = import_file(kind, shared(name), contiguous=name in GRAPHS).problem
    path = tmp_path / f"instance.{suffix}"
    save(problem, path)
    assert read_instance(path).problem == problem


@pytest.mark.parametrize("raw", [SMALL_GRAPH, SMALL_GENERALISED], ids=["graph", "generalised"])
def test_small_instances_read_back_equal(raw, tmp_path):
    kind = "dnn-partitioning" if "nodes" in raw else "assignment"
    problem = imported(kind, raw, tmp_path)
    for suffix in ("yaml", "json"):
        save(problem, tmp_path / f"instance.{suffix}")
        assert read_instance(tmp_path / f"instance.{suffix}").problem == problem


def test_values_are_counted_as_the_yaml_parser_counts_them(tmp_path, monkeypatch):
    tree = instance_tree(Instance(imported("dnn-partitioning", SMALL_GRAPH, tmp_path)), tmp_path)
    count = count_values(tree)
    monkeypatch.setattr(document, "MAX_NODES", count)
    assert parse_yaml(to_yaml(tree)).value == tree
    monkeypatch.setattr(document, "MAX_NODES", count - 1)
    with pytest.raises(InputError, match="values"):
        parse_yaml(to_yaml(tree))


def chain(count: int, name: str = "node") -> dict:
    node = dict.fromkeys(["cpuLatency", "fpgaLatency", "size", "supportedOnFpga"], 1)
    return {
        "maxFPGAs": 1,
        "maxCPUs": 0,
        "maxSizePerFPGA": 1e9,
        "nodes": [{"id": k, "name": name, **node} for k in range(count)],
        "edges": [{"sourceId": k, "destId": k + 1, "cost": 1} for k in range(count - 1)],
    }


@pytest.mark.parametrize(
    ("raw", "says"),
    [(chain(5400), "values"), (chain(1, "x" * 200_000), "a line of")],
    ids=["values", "line"],
)
def test_what_yaml_could_not_read_back_is_refused_and_json_takes_it(raw, says, tmp_path):
    problem = imported("dnn-partitioning", raw, tmp_path)
    with pytest.raises(InputError, match=says) as caught:
        save(problem, tmp_path / "large.yaml")
    assert "large.json" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["raw.json"]
    save(problem, tmp_path / "large.json")
    assert read_instance(tmp_path / "large.json").problem == problem


def test_an_unknown_format_lists_the_known(tmp_path):
    with pytest.raises(InputError) as caught:
        import_file("nonsense", tmp_path / "not there")
    assert all(name in str(caught.value) for name in FORMATS)


def test_a_file_over_the_size_limit_is_refused_unread(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(10_000_001)
    with pytest.raises(InputError, match="larger than 10,000,000 bytes"):
        import_file("assignment", path)


# --- bad files ----------------------------------------------------------------------------------

SMALL_ASSIGNMENT = {
    "n": 2,
    "sense": "min",
    "costs": [[[1, 2], [3, 4]], [[1, 2], [3, 4]], [[1, 2], [3, 4]]],
}

GOOD = {
    "graph": ("dnn-partitioning", SMALL_GRAPH),
    "assignment": ("assignment", SMALL_ASSIGNMENT),
    "generalised": ("assignment", SMALL_GENERALISED),
}
REMOVED = object()


def put(*place: str | int, value: object = REMOVED) -> Callable[[dict], None]:
    """Return what sets (or removes) a value of a tree."""

    def change(tree: dict) -> None:
        inner = tree
        for part in place[:-1]:
            inner = inner[part]
        if value is REMOVED:
            del inner[place[-1]]
        else:
            inner[place[-1]] = value

    return change


def append(key: str, entry: object) -> Callable[[dict], None]:
    return lambda tree: tree[key].append(entry)


BAD = [
    # file, change, place, part of the message
    ("graph", put("maxFPGAs"), "maxFPGAs", "is missing"),
    ("graph", put("maxCPUs", value=-1), "maxCPUs", "from 0 to 200"),
    ("graph", put("maxCPUs", value=10**250), "maxCPUs", "from 0 to 200"),
    ("graph", put("maxFPGAs", value=199.0), "maxFPGAs", "must be a whole number, not '199.0'"),
    ("graph", put("maxFPGAs", value=200), "maxFPGAs", "at most 200 together"),
    ("graph", put("maxFPGAs", value=True), "maxFPGAs", "must be a whole number, not 'true'"),
    ("graph", lambda t: t.update(maxFPGAs=0, maxCPUs=0), "maxFPGAs", "there is no device"),
    ("graph", put("maxSizePerFPGA", value=0), "maxSizePerFPGA", "must be positive"),
    ("graph", put("maxSizePerFPGA", value="1 GB"), "maxSizePerFPGA", "must be a number"),
    ("graph", put("nodes", value={}), "nodes", "must be a list, not a mapping"),
    ("graph", lambda t: t.update(nodes=[], edges=[]), "nodes", "at least one"),
    ("graph", put("nodes", 1, value=7), "nodes[1]", "must be a mapping"),
    ("graph", put("nodes", 3, "size"), "nodes[3].size", "is missing"),
    ("graph", put("nodes", 3, "size", value=-1), "nodes[3].size", "must not be negative"),
    ("graph", put("nodes", 3, "size", value=None), "nodes[3].size", "not null"),
    ("graph", put("nodes", 3, "size", value=1e31), "nodes[3].size", "at most 1e+30"),
    ("graph", put("nodes", 3, "size", value=10**290), "nodes[3].size", "at most 1e+30"),
    ("graph", put("nodes", 0, "cpuLatency", value="4"), "nodes[0].cpuLatency", "a number"),
    ("graph", put("nodes", 0, "fpgaLatency", value=[4]), "nodes[0].fpgaLatency", "not a list"),
    ("graph", put("nodes", 0, "cpuLatency", value=False), "nodes[0].cpuLatency", "not 'false'"),
    ("graph", put("nodes", 0, "supportedOnFpga", value=2), "nodes[0].supportedOnFpga", "true or"),
    ("graph", put("nodes", 0, "isBackwardNode", value="no"), "nodes[0].isBackwardNode", "true or"),
    ("graph", put("nodes", 0, "colorClass", value="red"), "nodes[0].colorClass", "whole number"),
    ("graph", put("nodes", 0, "name", value=3), "nodes[0].name", "must be text"),
    ("graph", put("nodes", 0, "id", value="a"), "nodes[0].id", "whole number"),
    ("graph", put("nodes", 0, "id", value=1.5), "nodes[0].id", "whole number"),
    ("graph", put("nodes", 1, "id", value=5), "nodes[2].id", "'5' is the id of nodes[1] as well"),
    ("graph", put("edges"), "edges", "is missing"),
    ("graph", put("edges", 1, "destId"), "edges[1].destId", "is missing"),
    ("graph", put("edges", 1, "destId", value=99), "edges[1].destId", "no node with id '99'"),
    ("graph", put("edges", 1, "sourceId", value=5.0), "edges[1].sourceId", "whole number"),
    ("graph", put("edges", 1, "destId", value=5), "edges[1]", "'read' (id '5') to itself"),
    ("graph", put("edges", 1, "destId", value=10), "edges[1]", "same nodes as edges[0]"),
    ("graph", put("edges", 1, "cost", value=-0.5), "edges[1].cost", "must not be negative"),
    ("graph", put("edges", 1, "cost", value=0.6), "edges[1].cost", "node 'read' (id '5')"),
    ("graph", put("edges", 1, "size", value="x"), "edges[1].size", "must be a number"),
    (
        "graph",
        append("edges", {"sourceId": 30, "destId": 5, "cost": 1}),
        "edges",
        "go round in a circle of 3 nodes: 'read' (id '5')",
    ),
    ("assignment", put("costs"), "costs", "is missing"),
    ("assignment", put("profit", value=[]), "costs", "and profit are both there"),
    ("assignment", put("n"), "n", "is missing"),
    ("assignment", put("n", value=0), "n", "at least 1"),
    ("assignment", lambda t: t["costs"][0].append([5, 6]), "costs[0]", "2 entries, but has 3"),
    ("assignment", put("n", value="2"), "n", "whole number"),
    ("assignment", put("sense", value="max"), "sense", "must be 'min'"),
    ("assignment", put("costs", value=[[[1, 2], [3, 4]]] * 2), "costs", "3 entries"),
    ("assignment", put("costs", 1, 0, value=[1]), "costs[1][0]", "2 entries"),
    ("assignment", put("costs", 2, 1, value="ab"), "costs[2][1]", "must be a list"),
    ("assignment", put("costs", 0, 1, 0, value=None), "costs[0][1][0]", "not null"),
    ("assignment", put("costs", 0, 1, 0, value=-3), "costs[0][1][0]", "not be negative"),
    ("generalised", put("weight"), "weight", "is missing"),
    ("generalised", put("capacity"), "capacity", "is missing"),
    ("generalised", put("capacity", value=3), "capacity", "must be a list"),
    ("generalised", put("capacity", 1, value=0), "capacity[1]", "must be positive"),
    ("generalised", put("capacity", value=[1.0]), "weight", "must have 1 entries"),
    ("generalised", put("weight", 1, 2, value=0.5), "weight[1][2]", "whole number"),
    ("generalised", put("weight", 1, value=[1]), "weight[1]", "3 entries"),
    ("generalised", lambda t: t.update(weight=[[], []]), "weight", "at least one device"),
    ("generalised", lambda t: t.update(m=3), "m", "capacity and weight have 2"),
    ("generalised", lambda t: t.update(n=2), "n", "capacity and weight have 3"),
    ("generalised", lambda t: t.update(sense="min"), "sense", "must be 'max'"),
    ("generalised", put("profit", 0, 1, 2, value=10.5), "profit[0][1][2]", "at most 10"),
    ("generalised", put("profit", 0, 1, 2, value=-1), "profit[0][1][2]", "not be negative"),
    ("generalised", put("profit", 2, value=[]), "profit[2]", "must have 2 entries"),
]


def write_bad(good: str, change: Callable[[dict], object], folder: Path) -> tuple[str, Path]:
    """Write a file with a fault; return its format and where it is."""
    kind, tree = GOOD[good]
    tree = copy.deepcopy(tree)
    change(tree)
    path = folder / "bad.json"
    path.write_text(json.dumps(tree))
    return kind, path


@pytest.mark.parametrize(
    ("good", "change", "place", "says"), BAD, ids=[f"{g}-{p}-{s[:20]}" for g, _, p, s in BAD]
)
def test_a_fault_is_refused_at_its_place(good, change, place, says, tmp_path):
    kind, path = write_bad(good, change, tmp_path)
    with pytest.raises(InputError) as caught:
        import_file(kind, path)
    messages = {fault.place: fault.message for fault in caught.value.faults}
    assert says in messages.get(place, ""), messages
    assert len(messages) == 1, messages


@pytest.mark.parametrize("good", GOOD)
def test_the_good_files_are_good(good, tmp_path):
    kind, path = write_bad(good, lambda tree: None, tmp_path)
    assert import_file(kind, path).problem


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"n": NaN}', '{"n": 1, "n": 1}', "a: b"])
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_no_such_file_is_refused(kind, text, tmp_path):
    path = tmp_path / "bad"
    path.write_text(text)
    with pytest.raises(InputError):
        import_file(kind, path)


def test_all_faults_are_told_at_once(tmp_path):
    raw = copy.deepcopy(SMALL_GRAPH)
    raw["maxSizePerFPGA"] = -1
    raw["nodes"][0]["size"] = "large"
    raw["nodes"][2]["cpuLatency"] = -4
    raw["edges"][1]["cost"] = None
    raw["edges"][3]["destId"] = 31
    raw["edges"].append({"sourceId": 10, "destId": 5, "cost": 0.25})
    with pytest.raises(InputError) as caught:
        imported("dnn-partitioning", raw, tmp_path)
    assert [fault.place for fault in caught.value.faults] == [
        "maxSizePerFPGA", "nodes[0].size", "nodes[2].cpuLatency", "edges[1].cost",
        "edges[3].destId", "edges",
    ]  # fmt: skip


def test_a_thousand_faults_are_told_in_part(tmp_path):
    raw = {"n": 40, "costs": [[["x"] * 40] * 40] * 3}
    with pytest.raises(InputError) as caught:
        imported("assignment", raw, tmp_path)
    assert len(caught.value.faults) == 100


def test_a_large_circle_is_told_shortly_and_soon(tmp_path):
    raw = chain(20_000)
    raw["edges"].append({"sourceId": 19_999, "destId": 0, "cost": 1})
    with pytest.raises(InputError, match="a circle of 20000 nodes") as caught:
        imported("dnn-partitioning", raw, tmp_path)
    assert len(str(caught.value)) < 500
