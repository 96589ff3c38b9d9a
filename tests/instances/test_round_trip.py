"""What is written is read back exactly: instances, profiles, plans, any text and number."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeplan.instances import bundled, units
from edgeplan.instances.codec import decode, encode
from edgeplan.instances.document import (
    parse_json,
    parse_yaml,
    to_json,
    to_yaml,
    write_text,
)
from edgeplan.instances.generators import (
    KINDS,
    PIPELINE,
    random_loaded_problem,
    random_plan,
    random_problem,
)
from edgeplan.instances.instance import Instance
from edgeplan.instances.plans import fingerprint, read_plan, write_plan
from edgeplan.instances.profiles import read_profile, write_profile
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import InputError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.network import LARGEST, Layer, LayerCosts, Network, SpanCosts, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, Device, Objective, Problem, Stream, TailDeadline
from edgeplan.model.profile import Timing
from tests.instances import strategies
from tests.instances.file_faults import good_profile

SLOW = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DIMENSIONS = sorted(units.DIMENSIONS)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@SLOW
@given(problem=strategies.problems())
def test_any_problem(suffix: str, tmp_path: Path, problem: Problem) -> None:
    path = tmp_path / f"instance.{suffix}"
    write_instance(problem, path)
    again = read_instance(path)
    assert again == Instance(problem)
    assert again.path == path
    assert fingerprint(again.problem) == fingerprint(problem)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208  # hidden files too


def _generated(seed: int) -> Problem:
    if seed >= 42:
        return random_loaded_problem(seed, splittable=seed % 2 > 0)
    if seed >= 36:
        return random_problem(seed, kind=PIPELINE, layers=2 + seed % 5, contiguous=seed % 2 > 0)
    return random_problem(
        seed,
        kind=KINDS[seed % 4],
        layers=2 + seed % 5,
        streams=1 + seed % 3,
        spans=seed % 2 > 0,
        splittable=seed % 3 == 0,
        pipelined=seed >= 24,
    )


@pytest.mark.parametrize("seed", range(60))
def test_generated_problems(seed: int, tmp_path: Path) -> None:
    problem = _generated(seed)
    for name in ("i.yaml", "i.json"):
        write_instance(problem, tmp_path / name)
        assert read_instance(tmp_path / name).problem == problem
    plan = random_plan(problem, seed)
    write_plan(plan, tmp_path / "plan.json", problem=problem, about={"objective": 1.5})
    file = read_plan(tmp_path / "plan.json", problem)
    assert file.plan == plan
    assert file.same_problem is True
    assert file.problem_name == problem.name
    assert file.about == {"objective": 1.5}


def test_what_throughput_needs_is_in_the_file_as_text(tmp_path: Path) -> None:
    network = Network(
        "n",
        (Layer(name="x"), Layer(name="y"), Layer(name="z")),
        (Tensor(name="t", bytes=8, producer=0, consumers=(1,), transfer_seconds=0.002),),
    )
    problem = Problem(
        networks=(network,),
        devices=(
            Device(name="a", transfers="occupy"),
            Device(name="c", transfers="free_port"),
            Device(name="e"),
        ),
        streams=(Stream(name="s", network="n", origin="a", together=(("x", "y"), ("z",))),),
        objective=Objective(latency=0.0, throughput=2.0, throughput_denominator_seconds=0.25),
        budgets=Budgets(min_rate_per_second=3.0),
        contiguous=True,
    )
    write_instance(problem, tmp_path / "i.json")
    tree = json.loads((tmp_path / "i.json").read_text())
    assert tree["networks"]["n"]["tensors"][0]["transfer_time"] == "2 ms"
    assert tree["devices"]["a"]["transfers"] == "occupy"
    assert tree["devices"]["c"]["transfers"] == "free_port"
    assert "transfers" not in tree["devices"]["e"]
    assert tree["streams"]["s"]["together"] == [["x", "y"], ["z"]]
    assert tree["objective"]["throughput"] == 2
    assert tree["objective"]["denominators"] == {"throughput": "250 ms"}
    assert tree["budgets"] == {"min_rate": "3/s"}
    assert tree["contiguous"] is True
    assert read_instance(tmp_path / "i.json").problem == problem


def test_what_load_needs_is_in_the_file_as_text(tmp_path: Path) -> None:
    single = LayerCosts(seconds=(0.01,), cv2=0.5)
    pair = LayerCosts(seconds=(0.016,), boundary_seconds=0.001, cv2=0.25, joules=(0.2,))
    problem = Problem(
        networks=(
            Network(
                "n",
                (Layer(name="x"),),
                (),
                {"a": dataclasses.replace(single, batches={2: pair}), "c": single},
            ),
        ),
        devices=(
            Device(name="a", max_replicas=8, dispatch="shared"),
            Device(name="c", replicas=3),
        ),
        streams=(
            Stream(
                name="s",
                network="n",
                origin="a",
                arrival_cv2=4.0,
                max_batch=8,
                deadline_seconds=0.08,
                tail_deadlines=(
                    TailDeadline(probability=0.95, seconds=0.12),
                    TailDeadline(probability=0.999, seconds=1.0),
                ),
            ),
            Stream(
                name="t",
                network="n",
                origin="a",
                tail_deadlines=(TailDeadline(probability=0.5, seconds=math.inf),),
            ),
            Stream(name="u", network="n", origin="a", deadline_seconds=0.5),
        ),
        waiting="mg1",
    )
    write_instance(problem, tmp_path / "i.json")
    tree = json.loads((tmp_path / "i.json").read_text())
    assert tree["waiting"] == "mg1"
    assert tree["devices"]["a"]["replicas"] == {"min": 1, "max": 8}
    assert tree["devices"]["a"]["dispatch"] == "shared"
    assert tree["devices"]["c"] == {"tier": "device", "zone": "default", "replicas": 3}
    stream = tree["streams"]["s"]
    assert stream["deadline"] == {"mean": "80 ms", "p95": "120 ms", "p99.9": "1 s"}
    assert (stream["arrival_cv2"], stream["batch"]) == (4, 8)
    assert tree["streams"]["t"]["deadline"] == {"p50": "unlimited"}
    assert tree["streams"]["u"]["deadline"] == "500 ms"
    assert tree["networks"]["n"]["costs"]["a"]["batches"] == {
        "2": {"times": "16 ms", "boundary": "1 ms", "cv2": 0.25, "energies": "0.2 J"}
    }
    assert read_instance(tmp_path / "i.json").problem == problem


def test_a_file_may_leave_out_what_load_adds(tmp_path: Path) -> None:
    """What files of old say, they say still: their words, fingerprints and plans."""
    problem = bundled.load("splittable-load").problem
    device, stream = problem.devices[0], problem.streams[0]
    assert (device.replicas, device.max_replicas, device.dispatch) == (1, None, "random")
    assert (stream.arrival_cv2, stream.tail_deadlines, stream.max_batch) == (1, (), 1)
    # As it was before there was load.
    old = "c5ac2bc8e56c23655576df2521bab938c60206bfadef44d53f39fff8d1116461"
    assert fingerprint(problem) == old
    plan = Plan(
        routes={
            "s": (
                Route(devices=("gateway",), fraction=0.75),
                Route(devices=("camera",), fraction=0.25),
            )
        }
    )
    write_plan(plan, tmp_path / "plan.json", problem=problem)
    tree = json.loads((tmp_path / "plan.json").read_text())
    assert "replicas" not in tree
    assert all(set(route) == {"devices", "fraction"} for route in tree["routes"]["s"])
    assert read_plan(tmp_path / "plan.json", problem).same_problem is True


def test_a_plan_keeps_its_batches_and_copies(tmp_path: Path) -> None:
    problem = bundled.load("batches-and-copies").problem
    plan = Plan(
        routes={"frames": (Route(devices=("server", "server"), batch=2),)}, replicas={"server": 3}
    )
    write_plan(plan, tmp_path / "plan.json", problem=problem)
    tree = json.loads((tmp_path / "plan.json").read_text())
    assert tree["replicas"] == {"server": 3}
    assert tree["routes"]["frames"][0]["batch"] == 2
    assert read_plan(tmp_path / "plan.json", problem).plan == plan


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda tree: tree["routes"]["frames"][0].update(batch=0), "routes.frames[0].batch"),
        (lambda tree: tree.update(replicas={"server": 0}), "replicas.server"),
    ],
)
def test_no_plan_has_batches_or_copies_of_nothing(
    change: Callable[[dict[str, object]], None], place: str, tmp_path: Path
) -> None:
    """Not even where no problem says what may be."""
    plan = Plan(routes={"frames": (Route(devices=("server", "server")),)})
    write_plan(plan, tmp_path / "plan.json")
    tree = json.loads((tmp_path / "plan.json").read_text())
    change(tree)
    (tmp_path / "plan.json").write_text(json.dumps(tree))
    with pytest.raises(InputError) as caught:
        read_plan(tmp_path / "plan.json")
    assert [fault.place for fault in caught.value.faults] == [place]


def test_each_field_of_load_changes_the_fingerprint() -> None:
    problem = random_loaded_problem(3, limits=False)
    (first, *rest), (stream, *others) = problem.devices, problem.streams
    net = problem.networks[0]
    name, costs = next(iter(net.costs.items()))
    job = dataclasses.replace(costs, batches={}, memory_bytes=None)
    batched = {**net.costs, name: dataclasses.replace(costs, batches={7: job})}
    tail = TailDeadline(probability=0.9, seconds=1.0)
    streams = [
        dataclasses.replace(stream, arrival_cv2=7.0),
        dataclasses.replace(stream, max_batch=7),
        dataclasses.replace(stream, tail_deadlines=(tail,)),
        dataclasses.replace(stream, tail_deadlines=(dataclasses.replace(tail, seconds=2.0),)),
    ]
    devices = [
        dataclasses.replace(first, max_replicas=7),
        dataclasses.replace(
            first, dispatch={"random": "shared", "shared": "random"}[first.dispatch]
        ),
    ]
    changed = [
        *(dataclasses.replace(problem, streams=(item, *others)) for item in streams),
        *(dataclasses.replace(problem, devices=(item, *rest)) for item in devices),
        dataclasses.replace(
            problem, networks=(dataclasses.replace(net, costs=batched), *problem.networks[1:])
        ),
        dataclasses.replace(problem, waiting="none"),
    ]
    prints = {fingerprint(other) for other in [problem, *changed]}
    assert len(prints) == len(changed) + 1


def test_each_new_field_changes_the_fingerprint() -> None:
    """A plan is matched with its problem by it."""
    problem = random_problem(5)
    (first, *rest), (stream, *others) = problem.devices, problem.streams
    names = tuple(layer.name for layer in problem.network[stream.network].layers)
    net = problem.networks[0]
    (tensor, *more) = net.tensors
    slow = dataclasses.replace(tensor, transfer_seconds=1.0)
    changes: list[dict[str, object]] = [
        {"contiguous": True},
        {"budgets": dataclasses.replace(problem.budgets, min_rate_per_second=1.0)},
        {"objective": dataclasses.replace(problem.objective, throughput=1.0)},
        {
            "objective": dataclasses.replace(
                problem.objective, throughput=1.0, throughput_denominator_seconds=2.0
            )
        },
        {"devices": (dataclasses.replace(first, transfers="occupy"), *rest)},
        {"devices": (dataclasses.replace(first, transfers="free_port"), *rest)},
        {"streams": (dataclasses.replace(stream, together=(names[:2],)), *others)},
        {
            "networks": (
                dataclasses.replace(net, tensors=(slow, *more)),
                *problem.networks[1:],
            )
        },
    ]
    prints = {fingerprint(dataclasses.replace(problem, **change)) for change in changes}
    assert len(prints | {fingerprint(problem)}) == len(changes) + 1


def test_onnx_sources_are_kept_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "a.onnx").write_bytes(b"x")
    (tmp_path / "here").mkdir()
    problem = random_problem(1)
    name = problem.networks[0].name
    source = OnnxSource(
        path=str(tmp_path / "nets" / "a.onnx"), sha256="a" * 64, shapes=(("x", (1, 3)), ("m", ()))
    )
    instance = Instance(problem, {name: source})
    path = tmp_path / "here" / "instance.yaml"
    write_instance(instance, path)
    assert "../nets/a.onnx" in path.read_text()
    assert str(tmp_path) not in path.read_text()
    assert read_instance(path) == instance


@SLOW
@given(plan=strategies.plans)
def test_any_plan(plan: Plan) -> None:
    assert decode(Plan, parse_json(to_json(encode(plan))).value) == plan


@SLOW
@given(
    seconds=st.lists(
        st.just(math.inf) | st.floats(min_value=0, max_value=LARGEST), min_size=5, max_size=5
    ),
    text=st.text(st.characters(exclude_categories=["Cs"])),
    energy=st.none() | st.just("rapl"),
)
def test_any_profile(tmp_path: Path, seconds: list[float], text: str, energy: str | None) -> None:
    mean, median, mad, cv2, cpu = seconds
    timing = Timing(
        mean_seconds=mean,
        median_seconds=median,
        mad_seconds=mad,
        cv2=0.0,
        cpu_seconds=cpu,
        runs=0,
        basis="interpolated",
    )
    timing = dataclasses.replace(timing, cv2=cv2 if math.isfinite(cv2) else 0.5)
    good = good_profile()
    profile = dataclasses.replace(
        good,
        network=text or "n",
        basis_detail=text,
        device=text or "d",
        whole=timing,
        spans=((timing, good.spans[0][1]), good.spans[1]),
        joules=None if energy is None else good.joules,
        energy_basis=energy,
    )
    write_profile(profile, tmp_path / "p.json")
    assert read_profile(tmp_path / "p.json") == profile


def test_infinity_in_a_profile_is_null(tmp_path: Path) -> None:
    good = good_profile()
    cannot = dataclasses.replace(good.spans[0][1], mean_seconds=math.inf)
    profile = dataclasses.replace(good, spans=((good.spans[0][0], cannot), good.spans[1]))
    write_profile(profile, tmp_path / "p.json")
    assert '"mean_seconds": null' in (tmp_path / "p.json").read_text()
    assert read_profile(tmp_path / "p.json") == profile


trees = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        strategies.names,
        st.sampled_from(
            ["5 ms", "5/s", "1 2 ms", "unlimited 3 s", "", " ", "yes", "-", "?", "{", "%a"]
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(strategies.names, inner, max_size=4)
    ),
    max_leaves=20,
)


@SLOW
@given(tree=st.dictionaries(strategies.names, trees, max_size=5))
def test_any_tree(tree: dict[str, object]) -> None:
    for again in (parse_yaml(to_yaml(tree)).value, parse_json(to_json(tree)).value):
        assert again == tree
        assert repr(again) == repr(tree)  # 1 is not 1.0 is not True


def test_a_large_span_table_fits(tmp_path: Path) -> None:
    count = 90
    rows = tuple(tuple(0.001 * (k + 1) for k in range(count - i)) for i in range(count))
    costs = SpanCosts(seconds=rows, cv2=rows, joules=rows)
    machines = tuple(Device(name=f"d{k}") for k in range(4))
    network = Network(
        "n",
        tuple(Layer(name=f"l{k}") for k in range(count)),
        (Tensor(name="x", bytes=1, producer=None, consumers=(0,)),),
        {device.name: costs for device in machines},
    )
    stream = Stream(name="s", network="n", origin="d0")
    problem = Problem(networks=(network,), devices=machines, streams=(stream,))
    write_instance(problem, tmp_path / "i.yaml")
    assert read_instance(tmp_path / "i.yaml").problem == problem


def test_long_names(tmp_path: Path) -> None:
    long = "é: x" * 700
    tree = {long: {long: [{long: [1, {}]}, {"a": {long: []}}]}, "b": {long: long}}
    assert parse_yaml(to_yaml(tree)).value == tree
    problem = random_problem(3, kind="multi-input")
    named = dataclasses.replace(problem.devices[0], name=long)
    links = tuple(k for k in problem.links if problem.devices[0].name not in (k.source, k.target))
    nets = tuple(
        dataclasses.replace(n, costs={long: n.costs[problem.devices[0].name]})
        for n in problem.networks
    )
    streams = (Stream(name=long, network=nets[0].name, origin=long),)
    other = Problem(
        networks=nets, devices=(named, *problem.devices[1:]), links=links, streams=streams
    )
    write_instance(other, tmp_path / "i.yaml")
    assert read_instance(tmp_path / "i.yaml").problem == other


@pytest.mark.parametrize("name", DIMENSIONS)
@settings(deadline=None)
@given(value=st.floats(min_value=0, allow_infinity=True, allow_nan=False))
def test_any_quantity(name: str, value: float) -> None:
    dimension = units.DIMENSIONS[name]
    text = dimension.format(value)
    assert dimension.parse(text, limit=True) == value


@pytest.mark.parametrize("name", DIMENSIONS)
@settings(deadline=None)
@given(values=st.lists(st.floats(min_value=0, allow_infinity=True, allow_nan=False), min_size=1))
def test_any_row(name: str, values: list[float]) -> None:
    dimension = units.DIMENSIONS[name]
    words = units.split_row(units.format_row(values, dimension), dimension)
    assert [dimension.parse(word, limit=True) for word in words] == values


def test_a_fingerprint_is_of_what_matters() -> None:
    problem = random_problem(5)
    same = dataclasses.replace(
        problem,
        name="other",
        networks=tuple(
            dataclasses.replace(n, costs=dict(reversed(n.costs.items()))) for n in problem.networks
        ),
    )
    assert fingerprint(same) == fingerprint(problem)
    assert len(fingerprint(problem)) == 64
    whole = dataclasses.replace(problem.devices[0], memory_bytes=5)
    real = dataclasses.replace(problem.devices[0], memory_bytes=5.0)
    rest = problem.devices[1:]
    assert fingerprint(dataclasses.replace(problem, devices=(whole, *rest))) == fingerprint(
        dataclasses.replace(problem, devices=(real, *rest))
    )
    for other in (
        dataclasses.replace(
            problem, capacity="none" if problem.capacity != "none" else "utilisation"
        ),
        dataclasses.replace(problem, links=problem.links[:-1]),
        random_problem(6),
    ):
        assert fingerprint(other) != fingerprint(problem)


def test_a_plan_of_another_problem_is_noticed(tmp_path: Path) -> None:
    problem = random_problem(5)
    path = tmp_path / "plan.json"
    write_plan(random_plan(problem, 0), path, problem=problem)
    device = dataclasses.replace(problem.devices[0], replicas=7)
    other = dataclasses.replace(problem, devices=(device, *problem.devices[1:]))
    assert read_plan(path, other).same_problem is False
    assert read_plan(path).same_problem is None
    write_plan(random_plan(problem, 0), path)
    assert read_plan(path, problem).same_problem is None


class TestAtomicWriting:
    def test_a_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.json"
        path.write_text("old")

        def refuse(self: Path, target: Path) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", refuse)
        with pytest.raises(InputError, match="No space left"):
            write_text(path, "new")
        assert path.read_text() == "old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]

    def test_an_interrupt_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(handle: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_text(tmp_path / "a.json", "new")
        assert not list(tmp_path.iterdir())

    def test_a_missing_folder_and_a_folder_in_the_way_are_faults(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="No such file"):
            write_text(tmp_path / "no" / "a.json", "new")
        with pytest.raises(InputError, match="directory"):
            write_text(tmp_path, "new")

    def test_half_of_a_surrogate_pair_is_a_fault(self, tmp_path: Path) -> None:
        problem = dataclasses.replace(random_problem(1), name="\ud800")
        for name in ("a.yaml", "a.json"):
            with pytest.raises(InputError, match="surrogate"):
                write_instance(problem, tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_what_json_cannot_hold_is_a_fault(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="about"):
            write_plan(Plan(routes={}), tmp_path / "p.json", about={"x": math.inf})
        with pytest.raises(InputError, match="about"):
            write_plan(Plan(routes={}), tmp_path / "p.json", about={"x": object()})
