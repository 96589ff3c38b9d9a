"""Instance, profile and plan files with one fault each, and the place that must be named.

Used by the readers' tests here and by the command line's. Each case writes its file into a
folder and says where the fault is, as messages name it. Everything follows from a seed.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeplan.instances.document import to_json, to_yaml
from edgeplan.instances.plans import write_plan
from edgeplan.instances.profiles import write_profile
from edgeplan.model.graph import Cut, Graph, Node, Value
from edgeplan.model.network import Layer, Tensor
from edgeplan.model.plan import Plan, Route
from edgeplan.model.profile import Machine, Profile, Timing

FileKind = Literal["instance", "profile", "plan"]
Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class FileFault:
    """A file with a fault.

    Parameters
    ----------
    name
        What is wrong; unique in the table.
    kind
        What the file should have been. A plan goes with `good_instance`.
    make
        Writes the file (and what it names) into an empty folder and returns its path.
    place
        Where the fault is, exactly as one of the messages must name it; empty for the file as a
        whole.
    """

    name: str
    kind: FileKind
    make: Callable[[Path], Path]
    place: str


# --- good files ---------------------------------------------------------------------------------


def good_instance() -> dict[str, Any]:
    """Return an instance that solves as it stands and uses every part of the format."""
    return {
        "format": "edgeplan-instance",
        "version": 1,
        "name": "good",
        "networks": {
            "detector": {
                "layers": [
                    {"name": "stem", "weights": "1 MB", "activations": "300 kB"},
                    {"name": "body", "weights": "4 MB", "activations": "500 kB"},
                    {"name": "head", "weights": "2 MB", "activations": "100 kB"},
                ],
                "tensors": [
                    {"name": "image", "size": "150 kB", "consumers": ["stem"]},
                    {"name": "mask", "size": "1 kB", "consumers": ["head"]},
                    {
                        "name": "t0",
                        "size": "80 kB",
                        "producer": "stem",
                        "consumers": ["body"],
                        "transfer_time": "16 ms",
                    },
                    {"name": "t1", "size": "20 kB", "producer": "body", "consumers": ["head"]},
                    {"name": "out", "size": "2 kB", "producer": "head", "output": True},
                ],
                "costs": {
                    "camera": {"times": "20 60 15 ms", "boundary": "0.5 ms", "cv2": 0.1},
                    "gateway": {
                        "times": ["5 ms", "15 ms", "4 ms"],
                        "energies": "0.1 0.3 0.1 J",
                        "prices": "1 2 1 µUSD",
                        "memory": "1 4 2 MB",
                    },
                    "cloud": {"times": "1 3 1 ms"},
                },
            },
            "reader": {
                "layers": [{"name": "a", "weights": "3 MB"}, {"name": "b", "weights": "3 MB"}],
                "tensors": [
                    {"name": "x", "size": "50 kB", "consumers": ["a"]},
                    {"name": "m", "size": "10 kB", "producer": "a", "consumers": ["b"]},
                    {"name": "y", "size": "1 kB", "producer": "b", "output": True},
                ],
                "costs": {
                    "camera": {"spans": ["30 50 ms", "25 ms"], "cv2": [[0.1, 0.1], [0.2]]},
                    "cloud": {"spans": [["2 ms", None], ["2 ms"]], "energies": ["1 2 J", "1 J"]},
                },
            },
        },
        "devices": {
            "camera": {
                "tier": "device",
                "zone": "home",
                "memory": "64 MB",
                "active_power": "5 W",
                "idle_power": "1 W",
                "power_budget": "20 W",
                "electricity_price": "0.3 USD/kWh",
                "transfers": "occupy",
            },
            "gateway": {
                "tier": "edge",
                "zone": "home",
                "memory": "1 GiB",
                "active_power": "30 W",
                "idle_power": "5 W",
                "charge_idle": True,
                "replicas": 2,
                "utilisation_cap": 0.9,
                "provisioned_price": "0.05 USD/h",
            },
            "cloud": {
                "tier": "cloud",
                "zone": "public",
                "active_power": "200 W",
                "serverless_price": "0.0001 USD/s",
                "request_fee": "0.2 USD/1M requests",
            },
        },
        "links": [
            {
                "from": "camera",
                "to": "gateway",
                "both": True,
                "bandwidth": "40 Mbit/s",
                "latency": "3 ms",
                "send_energy": "100 nJ/B",
                "receive_energy": "50 nJ/B",
            },
            {
                "from": "gateway",
                "to": "cloud",
                "both": True,
                "bandwidth": "100 Mbit/s",
                "latency": "20 ms",
                "price": "0.09 USD/GB",
                "utilisation_cap": 0.8,
                "contention": "none",
            },
            {"from": "camera", "to": "cloud", "bandwidth": "10 Mbit/s", "latency": "30 ms"},
            {"from": "cloud", "to": "camera", "bandwidth": "20 Mbit/s", "latency": "30 ms"},
        ],
        "streams": {
            "watch": {
                "network": "detector",
                "origin": "camera",
                "rate": "2/s",
                "deadline": "500 ms",
                "privacy": {"zones": ["home"], "before": "body"},
                "pins": [{"devices": ["camera", "gateway"], "layers": ["stem"]}],
                "bans": [{"devices": ["cloud"], "layers": ["stem"]}],
                "together": [["body", "head"]],
                "homes": {"mask": "gateway"},
                "waits": True,
                "splittable": True,
                "max_routes": 2,
            },
            "read": {"network": "reader", "origin": "camera", "rate": "30/min", "returns": False},
        },
        "objective": {
            "latency": 1,
            "energy": 0.1,
            "cost": 10,
            "throughput": 0.5,
            "denominators": {
                "latency": "100 ms",
                "energy": "1 J",
                "cost": "1 mUSD",
                "throughput": "50 ms",
            },
            "aggregate": "mean",
        },
        "budgets": {"power": "400 W", "money": "5 USD/h", "min_rate": "3/s"},
        "contiguous": True,
        "capacity": "utilisation",
        "waiting": "none",
    }


def good_loaded_instance() -> dict[str, Any]:
    """Return an instance with every part of the format that is about load."""
    tree = good_instance()
    tree["name"] = "loaded"
    tree["waiting"] = "mg1"
    tree["devices"]["camera"]["transfers"] = "links"
    tree["devices"]["gateway"]["dispatch"] = "shared"
    tree["devices"]["cloud"]["replicas"] = {"min": 1, "max": 4}
    tree["streams"]["watch"]["deadline"] = {"mean": "500 ms", "p95": "900 ms", "p99.9": "2 s"}
    tree["streams"]["read"] |= {"arrival_cv2": 2.5, "batch": 4}
    costs = tree["networks"]
    costs["detector"]["costs"]["cloud"]["batches"] = {
        "2": {"times": "1.5 4 1.5 ms", "boundary": "0.2 ms", "cv2": 0.05},
    }
    costs["reader"]["costs"]["cloud"]["batches"] = {
        "2": {"spans": ["3 8 ms", "3 ms"], "cv2": [[0.1, 0.1], [0.2]]},
        "4": {"spans": ["5 12 ms", "5 ms"]},
    }
    return tree


def good_plan() -> Plan:
    """Return a plan of `good_instance`."""
    return Plan(
        routes={
            "watch": (
                Route(devices=("camera", "gateway", "gateway"), fraction=0.5),
                Route(devices=("gateway",) * 3, fraction=0.5),
            ),
            "read": (Route(devices=("camera", "camera")),),
        }
    )


def good_profile(device: str = "camera") -> Profile:
    """Return a small profile."""

    def timing(seconds: float) -> Timing:
        return Timing(
            mean_seconds=seconds,
            median_seconds=seconds,
            mad_seconds=seconds / 50,
            cv2=0.01,
            cpu_seconds=seconds,
            runs=20,
        )

    return Profile(
        network="tiny",
        onnx="tiny.onnx",
        sha256="0123456789abcdef" * 4,
        shapes=(("x", (1, 3, 8, 8)),),
        graph=Graph(
            inputs=("x",),
            outputs=("y",),
            values=(
                Value(name="x", dtype="float32", shape=(1, 3, 8, 8), bytes=768),
                Value(name="h", dtype="float32", shape=None, bytes=None),
                Value(name="y", dtype="float32", shape=(1, 4), bytes=16),
            ),
            nodes=(
                Node(name="conv", op_type="Conv", inputs=("x",), outputs=("h",), macs=5000),
                Node(name="fc", op_type="Gemm", inputs=("h",), outputs=("y",), macs=None),
            ),
            cuts=(Cut(position=1, tensors=("h",), inputs=(), bytes=256),),
            parameters=1000,
            weight_bytes=4000,
            file_bytes=4500,
            uncounted=("Gemm",),
        ),
        positions=(1,),
        layers=(
            Layer(name="conv", weight_bytes=3000, activation_bytes=1024),
            Layer(name="fc", weight_bytes=1000, activation_bytes=272),
        ),
        tensors=(
            Tensor(name="x", bytes=768, producer=None, consumers=(0,)),
            Tensor(name="h", bytes=256, producer=0, consumers=(1,)),
            Tensor(name="y", bytes=16, producer=1, output=True),
        ),
        whole=timing(0.003),
        spans=((timing(0.002), timing(0.003)), (timing(0.0012),)),
        boundary_seconds=0.0002,
        joules=((0.1, 0.2), (0.1,)),
        energy_basis="power-model",
        device=device,
        basis="measured",
        basis_detail="every span was run",
        machine=Machine(
            cpu="a cpu",
            cores=2,
            memory_bytes=8 << 30,
            system="Linux",
            python="3.11",
            onnxruntime="1.20",
            onnx="1.18",
            provider="CPUExecutionProvider",
            threads=1,
        ),
        created="2025-01-01T00:00:00Z",
    )


def write_good(folder: Path) -> dict[FileKind, Path]:
    """Write the good files into a folder and return their paths."""
    paths: dict[FileKind, Path] = {
        "instance": folder / "instance.yaml",
        "profile": folder / "profile.json",
        "plan": folder / "plan.json",
    }
    paths["instance"].write_text(to_yaml(good_instance()))
    write_profile(good_profile(), paths["profile"])
    write_plan(good_plan(), paths["plan"])
    return paths


# --- the table ----------------------------------------------------------------------------------


def table(seed: int = 0) -> list[FileFault]:
    """Return all cases; the random ones follow from the seed."""
    draw = random.Random(seed)
    cases = [
        *_instance_values(draw),
        *_instance_structure(draw),
        *_instance_meaning(),
        *_loaded_cases(),
        *_instance_files(),
        *_instance_texts(),
        *_profile_cases(draw),
        *_plan_cases(draw),
    ]
    assert len({(case.kind, case.name) for case in cases}) == len(cases)
    return cases


def show(path: Path_) -> str:
    """Return a place as messages have it."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def leaves(tree: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Yield every scalar with its path."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from leaves(value, (*path, index))
    else:
        yield path, tree


def mappings(tree: Any, path: Path_ = ()) -> Iterator[tuple[Path_, dict[str, Any]]]:
    """Yield every mapping with its path."""
    if isinstance(tree, dict):
        yield path, tree
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items if isinstance(tree, dict | list) else ():
        if isinstance(value, dict | list):
            yield from mappings(value, (*path, key))


def changed(tree: Any, path: Path_, value: Any) -> Any:
    """Return a copy with one value replaced (or, by `Ellipsis`, removed)."""
    result = copy.deepcopy(tree)
    inner = result
    for part in path[:-1]:
        inner = inner[part]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return result


def _instance(name: str, tree: Any, place: str, *, as_json: bool = False) -> FileFault:
    def make(folder: Path) -> Path:
        path = folder / ("instance.json" if as_json else "instance.yaml")
        path.write_text(to_json(tree) if as_json else to_yaml(tree))
        return path

    return FileFault(name, "instance", make, place)


def _text(name: str, text: str | bytes, place: str = "", *, suffix: str = ".yaml") -> FileFault:
    def make(folder: Path) -> Path:
        path = folder / f"instance{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return FileFault(name, "instance", make, place)


_QUANTITY = re.compile(r"[0-9.]+ ?[A-Za-zµ/].*")


def _instance_values(draw: random.Random) -> Iterator[FileFault]:
    """Every quantity once with a value that is none."""
    good = good_instance()
    wrong = ["7", "7 parsecs", "many", "", "7 ms GB", "0x10 s", "1,5 s", "nan s", "--5 s"]
    for path, value in leaves(good):
        if not (isinstance(value, str) and _QUANTITY.fullmatch(value)):
            continue
        if "costs" in path and path[-1] != "boundary":
            # Rows of a table in `reader`, rows in `detector`; lists of quantities in both.
            depth = sum(isinstance(part, int) for part in path)
            if depth == (1 if path[1] == "reader" and path[-1] != "memory" else 0):
                bad = draw.choice(["7 8 9 parsecs", "7 x 9 ms", "ms", "7 8 9"])
                # A row's own fault lies on it; that of one of its numbers on the number.
                place = show((*path, 0) if bad == "7 8 9 parsecs" else path)
                if bad == "7 x 9 ms":
                    place = show((*path, 0))
            else:
                bad, place = draw.choice(["7 parsecs", "x", "", 7, True, "5 GB"]), show(path)
            yield _instance(f"{show(path)} = {bad}", changed(good, path, bad), place)
            continue
        bad = draw.choice([*wrong, 7, 7.5, True, [value], {"value": value}])
        as_json = draw.random() < 0.3
        tree = changed(good, path, bad)
        yield _instance(f"{show(path)} = {bad}", tree, show(path), as_json=as_json)


def _instance_structure(draw: random.Random) -> Iterator[FileFault]:
    """Unknown keys, missing keys, wrong types."""
    good = good_instance()
    for path, _ in mappings(good):
        named = path[-1:] in (("networks",), ("devices",), ("streams",), ("costs",), ("homes",))
        if not named:
            key = draw.choice(["colour", "memoryy", "x" * 300, "Name"])
            # A network with other keys is still a network; so is everything else.
            shown = key if len(key) <= 80 else key[:79] + "…"
            yield _instance(
                f"unknown key in {show(path) or 'file'}",
                changed(good, (*path, key), 1),
                show((*path, shown)),
            )
        if path and not named and "costs" not in path:
            bad = draw.choice([5, "text", [1]])
            yield _instance(f"{show(path)} is {bad}", changed(good, path, bad), show(path))
    for path in [
        ("format",),
        ("version",),
        ("networks",),
        ("devices",),
        ("streams",),
        ("networks", "detector", "layers"),
        ("networks", "reader", "tensors"),
        ("networks", "detector", "layers", 1, "name"),
        ("networks", "detector", "tensors", 2, "size"),
        ("networks", "detector", "costs", "cloud", "times"),
        ("links", 0, "from"),
        ("links", 1, "to"),
        ("links", 2, "bandwidth"),
        ("streams", "watch", "network"),
        ("streams", "read", "origin"),
        ("streams", "watch", "privacy", "zones"),
        ("streams", "watch", "pins", 0, "devices"),
    ]:
        as_json = draw.random() < 0.3
        tree = changed(good, path, ...)
        yield _instance(f"without {show(path)}", tree, show(path), as_json=as_json)
    for path, value in leaves(good):
        if isinstance(value, bool):
            bad = draw.choice(["yes", 1, None])
            yield _instance(f"{show(path)} is {bad}", changed(good, path, bad), show(path))
        elif path[-1] in ("replicas", "max_routes"):
            bad = draw.choice(["two", 1.5, None, [2]])
            yield _instance(f"{show(path)} is {bad}", changed(good, path, bad), show(path))
        elif path[-1] in (
            "capacity",
            "waiting",
            "contention",
            "transfers",
            "aggregate",
            "version",
        ):
            bad = draw.choice(["some", 7, True, []])
            yield _instance(f"{show(path)} is {bad}", changed(good, path, bad), show(path))
        elif path[-1] in ("tier", "zone", "network", "origin", "from", "to"):
            bad = draw.choice([7, False, None, ["camera"], {}])
            yield _instance(f"{show(path)} is {bad}", changed(good, path, bad), show(path))


def _instance_meaning() -> Iterator[FileFault]:
    """Values that are well formed and mean nonsense."""
    good = good_instance()
    cases: list[tuple[Path_, Any, str]] = [
        (("streams", "watch", "network"), "detektor", "streams.watch.network"),
        (("streams", "watch", "origin"), "kamera", "streams.watch.origin"),
        (("streams", "watch", "deadline"), "0 s", "streams.watch.deadline"),
        (("streams", "watch", "rate"), "-1/s", "streams.watch.rate"),
        (("streams", "watch", "rate"), "unlimited", "streams.watch.rate"),
        (("streams", "watch", "max_routes"), 0, "streams.watch.max_routes"),
        (("streams", "watch", "privacy", "zones"), ["moon"], "streams.watch.privacy.zones"),
        (("streams", "watch", "privacy", "zones"), ["public"], "streams.watch.privacy.zones"),
        (("streams", "watch", "privacy", "before"), "tail", "streams.watch.privacy.before"),
        (("streams", "watch", "pins", 0, "devices"), ["tv"], "streams.watch.pins[0].devices"),
        (("streams", "watch", "bans", 0, "layers"), ["tail"], "streams.watch.bans[0].layers"),
        (("streams", "watch", "homes"), {"sound": "camera"}, "streams.watch.homes"),
        (("streams", "watch", "homes", "mask"), "attic", "streams.watch.homes.mask"),
        (("links", 0, "to"), "attic", "links[0].to"),
        (("links", 0, "to"), "camera", "links[0].to"),
        (("links", 3), {"from": "camera", "to": "cloud", "bandwidth": "1 MB/s"}, "links[3]"),
        (("links", 1, "bandwidth"), "0 bit/s", "links[1].bandwidth"),
        (("links", 1, "latency"), "-3 ms", "links[1].latency"),
        (("links", 1, "utilisation_cap"), 1, "links[1].utilisation_cap"),
        (("links", 1, "catalog"), "telepathy", "links[1].catalog"),
        (("devices", "camera", "catalog"), "abacus", "devices.camera.catalog"),
        (("devices", "camera", "idle_power"), "9 W", "devices.camera.idle_power"),
        (("devices", "camera", "memory"), "-1 B", "devices.camera.memory"),
        (("devices", "gateway", "replicas"), 0, "devices.gateway.replicas"),
        (("devices", "gateway", "utilisation_cap"), "150 %", "devices.gateway.utilisation_cap"),
        (("devices", "cloud", "request_fee"), "-1 USD/request", "devices.cloud.request_fee"),
        (("objective", "latency"), -1, "objective.latency"),
        (("objective", "denominators", "cost"), "0 USD", "objective.denominators.cost"),
        (("objective",), {"latency": 0}, "objective"),
        (("objective", "throughput"), -1, "objective.throughput"),
        (("objective", "throughput"), "fast", "objective.throughput"),
        (
            ("objective", "denominators", "throughput"),
            "0 s",
            "objective.denominators.throughput",
        ),
        (("budgets", "power"), "0 W", "budgets.power"),
        (("budgets", "min_rate"), "-3/s", "budgets.min_rate"),
        (("budgets", "min_rate"), "unlimited", "budgets.min_rate"),
        (("budgets", "min_rate"), "1e31/s", "budgets.min_rate"),
        (("devices", "camera", "transfers"), "free port", "devices.camera.transfers"),
        (("devices", "camera", "transfers"), ["occupy"], "devices.camera.transfers"),
        (("streams", "watch", "together"), [["body", "tail"]], "streams.watch.together[0]"),
        (("streams", "watch", "together"), [["body"], {}], "streams.watch.together[1]"),
        (("streams", "watch", "together", 0), 7, "streams.watch.together[0]"),
        (("streams", "watch", "together"), "body", "streams.watch.together"),
        (("streams", "watch", "together", 0, 1), 7, "streams.watch.together[0][1]"),
        (("contiguous",), "true", "contiguous"),
        (("contiguous",), 1, "contiguous"),
        (
            ("networks", "detector", "tensors", 2, "transfer_time"),
            "-1 ms",
            "networks.detector.tensors[2].transfer_time",
        ),
        (
            ("networks", "detector", "tensors", 2, "transfer_time"),
            "unlimited",
            "networks.detector.tensors[2].transfer_time",
        ),
        (
            ("networks", "detector", "tensors", 2, "transfer_time"),
            "1e31 s",
            "networks.detector.tensors[2].transfer_time",
        ),
        (
            ("networks", "detector", "tensors", 3, "producer"),
            "tail",
            "networks.detector.tensors[3].producer",
        ),
        (
            ("networks", "detector", "tensors", 3, "producer"),
            "head",
            "networks.detector.tensors[3].consumers",
        ),
        (
            ("networks", "detector", "tensors", 2, "consumers"),
            ["body", "feet"],
            "networks.detector.tensors[2].consumers[1]",
        ),
        (
            ("networks", "detector", "tensors", 1, "size"),
            "1.5 B",
            "networks.detector.tensors[1].size",
        ),
        (
            ("networks", "detector", "layers", 1, "name"),
            "stem",
            "networks.detector.layers[1].name",
        ),
        (
            ("networks", "detector", "layers", 1, "weights"),
            "-5 kB",
            "networks.detector.layers[1].weights",
        ),
        (("networks", "detector", "layers"), [], "networks.detector.layers"),
        (
            ("networks", "detector", "costs", "camera", "times"),
            "1 2 ms",
            "networks.detector.costs.camera.times",
        ),
        (
            ("networks", "reader", "costs", "camera", "spans"),
            ["1 2 ms"],
            "networks.reader.costs.camera.spans",
        ),
        (
            ("networks", "reader", "costs", "camera"),
            {"times": "1 2 ms"},
            "networks.reader.costs",
        ),
        (
            ("networks", "detector", "costs", "attic"),
            {"times": "1 2 3 ms"},
            "networks.detector.costs.attic",
        ),
        (("networks", "detector", "sha256"), "0" * 64, "networks.detector"),
        (("networks", "detector", "sha256"), "xyz", "networks.detector.sha256"),
        (("devices",), {}, "devices"),
        (("streams",), {}, "streams"),
        (("networks",), {}, "networks"),
        (("streams",), [{"network": "reader", "origin": "camera"}], "streams[0].name"),
        (("format",), "edgeplan-plan", "format"),
        (("version",), 2, "version"),
    ]
    for number, (path, value, place) in enumerate(cases):
        name = f"{number} {show(path)} = {str(value)[:40]}"
        yield _instance(name, changed(good, path, value), place)


def _loaded_cases() -> Iterator[FileFault]:
    """What is said of load and means nonsense."""
    good = good_loaded_instance()
    cloud: Path_ = ("devices", "cloud", "replicas")
    watch: Path_ = ("streams", "watch", "deadline")
    rows: Path_ = ("networks", "detector", "costs", "cloud", "batches")
    spans: Path_ = ("networks", "reader", "costs", "cloud", "batches")
    cases: list[tuple[Path_, Any, str]] = [
        (("waiting",), "mm1", "waiting"),
        (("waiting",), True, "waiting"),
        (("waiting",), "none", "streams.watch.deadline"),
        (("capacity",), "none", "capacity"),
        (("devices", "camera", "transfers"), "occupy", "devices.camera.transfers"),
        (cloud, 0, "devices.cloud.replicas"),
        (cloud, -3, "devices.cloud.replicas"),
        (cloud, 1.5, "devices.cloud.replicas"),
        (cloud, "many", "devices.cloud.replicas"),
        (cloud, [1, 4], "devices.cloud.replicas"),
        (cloud, {"min": 1}, "devices.cloud.replicas.max"),
        (cloud, {"max": 4, "most": 4}, "devices.cloud.replicas.most"),
        ((*cloud, "min"), 0, "devices.cloud.replicas.min"),
        ((*cloud, "min"), -1, "devices.cloud.replicas.min"),
        ((*cloud, "min"), 5, "devices.cloud.replicas.max"),
        ((*cloud, "min"), "one", "devices.cloud.replicas.min"),
        ((*cloud, "max"), 0, "devices.cloud.replicas.max"),
        ((*cloud, "max"), 4.5, "devices.cloud.replicas.max"),
        ((*cloud, "max"), 1_000_000, "devices.cloud.replicas.max"),
        (("devices", "gateway", "dispatch"), "round robin", "devices.gateway.dispatch"),
        (("devices", "gateway", "dispatch"), 2, "devices.gateway.dispatch"),
        (("streams", "read", "rate"), "-5/s", "streams.read.rate"),
        (("streams", "read", "rate"), "0/s", "streams.read.rate"),
        (("streams", "read", "arrival_cv2"), -1, "streams.read.arrival_cv2"),
        (("streams", "read", "arrival_cv2"), "bursty", "streams.read.arrival_cv2"),
        (("streams", "read", "batch"), 0, "streams.read.batch"),
        (("streams", "read", "batch"), "4", "streams.read.batch"),
        (watch, {"p95": "0 s"}, "streams.watch.deadline.p95"),
        (watch, {"mean": "0 s"}, "streams.watch.deadline.mean"),
        (watch, {"mean": "-1 s", "p95": "1 s"}, "streams.watch.deadline.mean"),
        (watch, {"p95": 80}, "streams.watch.deadline.p95"),
        (watch, {"p95": "1 GB"}, "streams.watch.deadline.p95"),
        (watch, {"p100": "1 s"}, "streams.watch.deadline.p100"),
        (watch, {"p0": "1 s"}, "streams.watch.deadline.p0"),
        (watch, {"p-5": "1 s"}, "streams.watch.deadline.p-5"),
        (watch, {"95": "1 s"}, "streams.watch.deadline.95"),
        (watch, {"median": "1 s"}, "streams.watch.deadline.median"),
        (watch, {"p95": "1 s", "p95.0": "2 s"}, "streams.watch.deadline.p95.0"),
        (watch, {"p95." + "9" * 5000: "1 s"}, "streams.watch.deadline.p95." + "9" * 75 + "…"),
        (watch, {"p" + "9" * 5000: "1 s"}, "streams.watch.deadline.p" + "9" * 78 + "…"),
        (watch, ["1 s"], "streams.watch.deadline"),
        ((*rows, "1"), {"times": "1 3 1 ms"}, show((*rows, "1"))),
        ((*rows, "0"), {"times": "1 3 1 ms"}, show((*rows, "0"))),
        ((*rows, "-2"), {"times": "1 3 1 ms"}, show((*rows, "-2"))),
        ((*rows, "two"), {"times": "1 3 1 ms"}, show((*rows, "two"))),
        ((*rows, "02"), {"times": "1 3 1 ms"}, show((*rows, "02"))),
        ((*rows, "2", "times"), "1 3 ms", show((*rows, "2", "times"))),
        ((*rows, "2", "times"), "1 -3 1 ms", show((*rows, "2", "times"))),
        ((*rows, "2", "cv2"), -1, show((*rows, "2", "cv2"))),
        ((*rows, "2", "memory"), "1 2 3 MB", show((*rows, "2", "memory"))),
        ((*rows, "2", "batches"), {}, show((*rows, "2", "batches"))),
        ((*rows, "2"), {"spans": ["1 2 3 ms", "2 3 ms", "3 ms"]}, show((*rows, "2", "spans"))),
        ((*rows, "2"), "1 3 1 ms", show((*rows, "2"))),
        (rows, ["1 3 1 ms"], show(rows)),
        ((*spans, "4", "spans"), ["5 12 ms"], show((*spans, "4", "spans"))),
        ((*spans, "4"), {"times": "5 12 ms"}, show((*spans, "4", "times"))),
    ]
    for number, (path, value, place) in enumerate(cases):
        name = f"load {number} {show(path)} = {str(value)[:40]}"
        yield _instance(name, changed(good, path, value), place, as_json=number % 4 == 0)


def _instance_files() -> Iterator[FileFault]:
    """Profiles and ONNX files that an instance names and that are not as they should be."""

    def with_network(network: dict[str, Any]) -> dict[str, Any]:
        tree = good_instance()
        tree["networks"]["tiny"] = network
        return tree

    def case(
        name: str,
        network: dict[str, Any],
        place: str,
        prepare: Callable[[Path], None] = lambda folder: None,
    ) -> FileFault:
        def make(folder: Path) -> Path:
            write_profile(good_profile(), folder / "tiny.json")
            prepare(folder)
            path = folder / "instance.yaml"
            path.write_text(to_yaml(with_network(network)))
            return path

        return FileFault(name, "instance", make, place)

    def other(folder: Path) -> None:
        tree = json.loads((folder / "tiny.json").read_text())
        tree["sha256"] = "f" * 64
        (folder / "other.json").write_text(json.dumps(tree))

    def truncated(folder: Path) -> None:
        (folder / "cut.json").write_text((folder / "tiny.json").read_text()[:900])

    where = "networks.tiny.profiles"
    yield case("no such profile", {"profiles": {"camera": "none.json"}}, f"{where}.camera")
    yield case("a folder as profile", {"profiles": {"camera": "."}}, f"{where}.camera")
    yield case("a device as profile", {"profiles": {"camera": "/dev/zero"}}, f"{where}.camera")
    yield case(
        "an instance as profile",
        {"profiles": {"camera": "instance.yaml"}},
        f"{where}.camera",
    )
    yield case(
        "a truncated profile", {"profiles": {"camera": "cut.json"}}, f"{where}.camera", truncated
    )
    yield case(
        "profiles that disagree",
        {"profiles": {"camera": "tiny.json", "cloud": "other.json"}},
        f"{where}.cloud",
        other,
    )
    yield case("a profile for no device", {"profiles": {"attic": "tiny.json"}}, f"{where}.attic")
    yield case("no profiles", {"profiles": {}}, where)
    yield case(
        "two profiles for a device",
        {"profiles": [{"file": "tiny.json", "devices": ["camera", "camera"]}]},
        f"{where}[0].file",
    )
    yield case("a list without file", {"profiles": [{"devices": ["cloud"]}]}, f"{where}[0].file")
    yield case(
        "a listed profile that is not there",
        {"profiles": [{"file": "none.json"}]},
        f"{where}[0].file",
    )
    yield case(
        "no such ONNX file",
        {"profiles": {"camera": "tiny.json"}, "onnx": "../../none.onnx"},
        "networks.tiny.onnx",
    )
    yield case(
        "a folder as ONNX file",
        {"profiles": {"camera": "tiny.json"}, "onnx": ".."},
        "networks.tiny.onnx",
    )
    yield case(
        "a NUL in a path",
        {"profiles": {"camera": "tiny.json"}, "onnx": "a\0b"},
        "networks.tiny.onnx",
    )


def _instance_texts() -> Iterator[FileFault]:
    """Text that the parser must refuse."""
    good = to_yaml(good_instance())
    head = "format: edgeplan-instance\nversion: 1\n"
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 30)
    )
    yield _text("alias bomb", head + bomb, "a0")
    yield _text("an alias", good.replace("tier: device", "tier: &t device"), "devices.camera.tier")
    yield _text(
        "a merge key",
        good.replace("    tier: device", "    <<: {tier: device}"),
        "devices.camera.<<",
    )
    yield _text("depth bomb, flow", head + "networks: " + "[" * 100_000)
    yield _text("depth bomb, mappings", head + "networks: " + "{a: " * 20_000)
    yield _text("depth bomb, block", head + "".join(" " * k + "a:\n" for k in range(2000)))
    yield _text("depth bomb, JSON", '{"a":' * 100_000, suffix=".json")
    yield _text(
        "python tag",
        good.replace("name: good", "name: !!python/object/apply:os.system [id]"),
        "name",
    )
    yield _text(
        "python name tag", good.replace("name: good", "name: !!python/name:os.system"), "name"
    )
    yield _text("own tag", good.replace("name: good", "name: !x good"), "name")
    yield _text("standard tag", good.replace("version: 1", "version: !!int 1"), "version")
    yield _text("a duplicate key", good + "capacity: none\n", "capacity")
    yield _text(
        "a duplicate key inside",
        good.replace("    zone: home", "    zone: home\n    zone: away", 1),
        "devices.camera.zone",
    )
    yield _text(
        "a duplicate JSON key",
        '{"format": "edgeplan-instance", "version": 1, "a": [{"b": 1, "b": 1}]}',
        "a[0].b",
        suffix=".json",
    )
    yield _text("NaN", good.replace("cv2: 0.1", "cv2: .nan"), "networks.detector.costs.camera.cv2")
    yield _text(
        "infinity", good.replace("cv2: 0.1", "cv2: .inf"), "networks.detector.costs.camera.cv2"
    )
    yield _text(
        "overflow", good.replace("cv2: 0.1", "cv2: 1e999"), "networks.detector.costs.camera.cv2"
    )
    yield _text(
        "NaN in JSON",
        to_json(good_instance()).replace('"cv2": 0.1', '"cv2": NaN'),
        "networks.detector.costs.camera.cv2",
        suffix=".json",
    )
    yield _text(
        "YAML 1.1 booleans", good.replace("waits: true", "waits: on"), "streams.watch.waits"
    )
    yield _text(
        "YAML 1.1 sexagesimals",
        good.replace("replicas: 2", "replicas: 1:30"),
        "devices.gateway.replicas",
    )
    yield _text("empty", "")
    yield _text("blank", "\n \n# nothing\n")
    yield _text("a list", "- a\n- b\n")
    yield _text("a word", "hello\n")
    yield _text("two documents", good + "---\n" + good)
    yield _text("a directive", "%YAML 1.1\n---\n" + good)
    yield _text("a tab", good.replace("  reader:", "\treader:"))
    yield _text("a quote left open", good.replace("name: good", 'name: "good'))
    yield _text("a bracket left open", good.replace("zones: [home]", "zones: [home"))
    yield _text("a control character", good.replace("name: good", "name: go\x01od"))
    yield _text("half of a surrogate pair", good.replace("name: good", 'name: "\\ud800"'), "name")
    yield _text("an escape beyond Unicode", good.replace("name: good", 'name: "\\UFFFFFFFF"'))
    yield _text("not UTF-8", b"\xff\xfe\x00name: x")
    yield _text("an ONNX file", b"\x08\x09\x12\x07pytorch" + bytes(range(256)))
    yield _text("truncated JSON", to_json(good_instance())[:700], suffix=".json")
    yield _text("JSON with a comment", '{"format": "edgeplan-instance" // x\n}', suffix=".json")
    yield _text("YAML as JSON", good, suffix=".json")
    yield _text("a huge integer", good.replace("version: 1", "version: " + "9" * 5000), "version")
    yield _text("a complex key", head + "? [a, b]\n: c\n")
    yield _text("a very long line", head + "name: " + "x" * 300_000)
    yield _text("too large", head + "# padding\n" * 1_100_000)
    yield _text("too many values", head + "links:\n" + "- 1\n" * 110_000)

    def missing(folder: Path) -> Path:
        return folder / "nowhere.yaml"

    def directory(folder: Path) -> Path:
        (folder / "instance.yaml").mkdir()
        return folder / "instance.yaml"

    yield FileFault("no such file", "instance", missing, "")
    yield FileFault("a folder", "instance", directory, "")


def _json_case(
    kind: FileKind, name: str, tree: Any, place: str, edit: Callable[[str], str] | None = None
) -> FileFault:
    def make(folder: Path) -> Path:
        path = folder / f"{kind}.json"
        text = json.dumps(tree)
        path.write_text(edit(text) if edit else text)
        return path

    return FileFault(name, kind, make, place)


def _tree(kind: FileKind) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return json.loads(write_good(Path(folder))[kind].read_text())


def _profile_cases(draw: random.Random) -> Iterator[FileFault]:
    good = _tree("profile")
    paths = [(path, value) for path, value in leaves(good) if path[0] not in ("format", "version")]
    for path, value in draw.sample(paths, 40):
        if isinstance(value, bool):
            bad = draw.choice(["yes", 1, None])
        elif isinstance(value, int | float):
            bad = draw.choice(["7", True, [value], {}])
        elif value is None:
            bad = draw.choice([True, {}])
        else:
            bad = draw.choice([7, True, [value], {}])
        yield _json_case("profile", f"{show(path)} = {bad}", changed(good, path, bad), show(path))
    for path, _ in draw.sample(list(mappings(good)), 10):
        tree = changed(good, (*path, "colour"), 1)
        yield _json_case("profile", f"colour in {show(path)}", tree, show((*path, "colour")))
    for path, mapping in draw.sample(list(mappings(good)), 12):
        key = draw.choice(sorted(set(mapping) - {"runs", "format"}))
        optional = {"parameters", "weight_bytes", "macs", "replicated", "uncounted", "consumers"}
        optional |= {"output", "activation_bytes", "basis"} if path else set()
        if (
            path and path[0] in ("layers", "tensors", "whole", "spans", "graph")
        ) and key in optional:
            key = "name" if "name" in mapping else next(iter(mapping))
        tree = changed(good, (*path, key), ...)
        yield _json_case("profile", f"no {key} in {show(path)}", tree, show((*path, key)))
    meaning: list[tuple[Path_, Any, str]] = [
        (("spans", 0, 1, "mean_seconds"), -1.0, "spans"),
        (("spans", 0, 1, "median_seconds"), -1.0, "spans[0][1].median_seconds"),
        (("whole", "cv2"), -0.1, "whole.cv2"),
        (("boundary_seconds",), -1.0, "boundary_seconds"),
        (("sha256",), "short", "sha256"),
        (("positions",), [7], "positions"),
        (("positions",), [1, 1], "positions"),
        (("shapes", 0, 0), "z", "shapes[0][0]"),
        (("shapes", 0), ["x"], "shapes[0]"),
        (("basis",), "guessed", "basis"),
        (("energy_basis",), "guessed", "energy_basis"),
        (("layers", 0, "weight_bytes"), -1, "layers[0].weight_bytes"),
        (("layers", 1, "name"), "conv", "layers[1].name"),
        (("tensors", 1, "producer"), 9, "tensors[1].producer"),
        (("tensors", 1, "consumers"), [0], "tensors[1].consumers"),
        (("tensors", 1, "bytes"), -1, "tensors[1].bytes"),
        (("graph", "cuts", 0, "position"), 9, "graph.cuts[0].position"),
        (("joules",), [[0.1], [0.1]], "joules"),
        (("layers",), [], "layers"),
        (("version",), 2, "version"),
        (("format",), "edgeplan-plan", "format"),
    ]
    for number, (path, value, place) in enumerate(meaning):
        tree = changed(good, path, value)
        yield _json_case("profile", f"{number} {show(path)} = {value}", tree, place)
    yield _json_case("profile", "truncated", good, "", lambda text: text[: len(text) // 2])
    yield _json_case("profile", "empty", good, "", lambda text: "")
    yield _json_case("profile", "null", None, "")
    yield _json_case("profile", "depth bomb", good, "", lambda text: "[" * 100_000)
    yield _json_case(
        "profile", "NaN", good, "boundary_seconds", lambda text: text.replace("0.0002", "NaN")
    )
    yield _json_case(
        "profile", "a duplicate key", good, "sha256", lambda text: text[:-1] + ', "sha256": ""}'
    )


def _plan_cases(draw: random.Random) -> Iterator[FileFault]:
    good = _tree("plan")
    watch: Path_ = ("routes", "watch", 0)
    cases: list[tuple[Path_, Any, str]] = [
        (("routes", "tv"), [{"devices": ["camera"]}], "routes.tv"),
        (("routes", "read"), ..., "routes.read"),
        (("routes", "read"), [], "routes.read"),
        (("routes", "read"), {}, "routes.read"),
        (("routes", "read", 0), 5, "routes.read[0]"),
        (("routes", "read", 0, "devices"), ["camera"], "routes.read[0].devices"),
        (("routes", "read", 0, "devices"), ["camera"] * 3, "routes.read[0].devices"),
        (("routes", "read", 0, "devices"), "camera", "routes.read[0].devices"),
        (("routes", "read", 0, "devices"), ..., "routes.read[0].devices"),
        (("routes", "read", 0, "devices", 1), "attic", "routes.read[0].devices"),
        (("routes", "read", 0, "devices", 1), 7, "routes.read[0].devices[1]"),
        (("routes", "read", 0, "devices", 1), None, "routes.read[0].devices[1]"),
        (("routes", "read", 0, "colour"), "red", "routes.read[0].colour"),
        ((*watch, "fraction"), 0, "routes.watch[0].fraction"),
        ((*watch, "fraction"), -0.5, "routes.watch[0].fraction"),
        ((*watch, "fraction"), 2, "routes.watch[0].fraction"),
        ((*watch, "fraction"), "half", "routes.watch[0].fraction"),
        ((*watch, "fraction"), True, "routes.watch[0].fraction"),
        ((*watch, "fraction"), 0.4, "routes.watch"),
        (("routes", "watch"), good["routes"]["watch"] * 2, "routes.watch"),
        (("routes", "read"), good["routes"]["read"] * 2, "routes.read"),
        ((*watch, "batch"), 0, "routes.watch[0].batch"),
        ((*watch, "batch"), 2, "routes.watch[0].batch"),
        ((*watch, "batch"), "two", "routes.watch[0].batch"),
        ((*watch, "batch"), 1.5, "routes.watch[0].batch"),
        (("replicas",), {"attic": 1}, "replicas.attic"),
        (("replicas",), {"gateway": 3}, "replicas.gateway"),
        (("replicas",), {"cloud": 0}, "replicas.cloud"),
        (("replicas",), {"cloud": -1}, "replicas.cloud"),
        (("replicas",), {"cloud": "1"}, "replicas.cloud"),
        (("replicas",), [1], "replicas"),
        (("replicas",), 2, "replicas"),
        (("routes",), [], "routes"),
        (("routes",), ..., "routes"),
        (("routes",), {}, "routes.watch"),
        (("colour",), 1, "colour"),
        (("about",), "text", "about"),
        (("problem",), "text", "problem"),
        (("problem",), {"fingerprint": "abc"}, "problem.fingerprint"),
        (("problem",), {"name": 5}, "problem.name"),
        (("problem",), {"colour": 5}, "problem.colour"),
        (("version",), "1", "version"),
        (("version",), ..., "version"),
        (("format",), "edgeplan-profile", "format"),
        (("format",), ..., "format"),
    ]
    for number, (path, value, place) in enumerate(cases):
        tree = changed(good, path, value)
        yield _json_case("plan", f"{number} {show(path)} = {str(value)[:40]}", tree, place)
    for number in range(6):
        text = json.dumps(good)
        stop = draw.randrange(1, len(text) - 1)
        yield _json_case(
            "plan", f"truncated {number}", good, "", lambda text, stop=stop: text[:stop]
        )
    yield _json_case("plan", "a list", [], "")
    yield _json_case("plan", "depth bomb", good, "", lambda text: '{"routes":' * 100_000)
    yield _json_case(
        "plan", "NaN", good, "routes.watch[0].fraction", lambda text: text.replace("0.5", "NaN", 1)
    )
    yield _json_case(
        "plan",
        "a duplicate stream",
        good,
        "routes.read",
        lambda text: text.replace('"routes": {', '"routes": {"read": [], '),
    )
    yield _json_case("plan", "too large", good, "", lambda text: text + " " * 10_000_001)
