"""Instances in: YAML's meaning, short-hands, profiles, catalogue, and faults gathered by place."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from edgeplan.instances.detect import detect
from edgeplan.instances.document import parse_json, parse_yaml, to_yaml
from edgeplan.instances.profiles import write_profile
from edgeplan.instances.read import MAX_FAULTS, read_instance
from edgeplan.instances.write import write_instance
from edgeplan.model.errors import Fault, InputError
from edgeplan.model.network import LayerCosts, SpanCosts
from edgeplan.model.problem import Privacy, Problem, TailDeadline
from tests.instances.file_faults import (
    good_instance,
    good_loaded_instance,
    good_profile,
    write_good,
)


def read(tmp_path: Path, tree: dict[str, Any]) -> Problem:
    path = tmp_path / "instance.yaml"
    path.write_text(to_yaml(tree))
    return read_instance(path).problem


def faults(tmp_path: Path, tree: dict[str, Any]) -> list[Fault]:
    with pytest.raises(InputError) as caught:
        read(tmp_path, tree)
    return list(caught.value.faults)


class TestMeaning:
    def test_every_field_arrives_in_si(self, tmp_path: Path) -> None:
        problem = read(tmp_path, good_instance())
        camera, gateway, cloud = problem.devices
        assert camera.memory_bytes == 64e6
        assert (camera.active_watts, camera.idle_watts, camera.power_budget_watts) == (5, 1, 20)
        assert camera.dollars_per_joule == float(Fraction(3, 36_000_000))
        assert gateway.memory_bytes == 2**30
        assert (gateway.charge_idle, gateway.replicas, gateway.utilisation_cap) == (True, 2, 0.9)
        assert gateway.dollars_per_hour == 0.05
        assert math.isinf(cloud.memory_bytes)
        assert cloud.dollars_per_second == 0.0001
        assert cloud.dollars_per_request == 2e-7
        link = problem.link["gateway", "cloud"]
        assert (link.bytes_per_second, link.latency_seconds) == (12.5e6, 0.02)
        assert (link.dollars_per_byte, link.utilisation_cap, link.contention) == (
            9e-11,
            0.8,
            "none",
        )
        watch, other = problem.streams
        assert (watch.rate_per_second, watch.deadline_seconds) == (2, 0.5)
        assert watch.privacy == Privacy(zones=("home",), before="body")
        assert watch.pins[0].devices == ("camera", "gateway")
        assert watch.homes == {"mask": "gateway"}
        assert (watch.waits, watch.splittable, watch.returns) == (True, True, True)
        assert (other.rate_per_second, other.returns) == (0.5, False)
        assert problem.objective.prices == (1 / 0.1, 0.1, 10 / 0.001)
        assert problem.budgets.power_watts == 400
        assert problem.budgets.dollars_per_hour == 5

    def test_both_cost_forms(self, tmp_path: Path) -> None:
        problem = read(tmp_path, good_instance())
        layers = problem.network["detector"].costs["camera"]
        assert isinstance(layers, LayerCosts)
        assert layers.seconds == (0.02, 0.06, 0.015)
        assert (layers.boundary_seconds, layers.cv2) == (0.0005, 0.1)
        spans = problem.network["reader"].costs["cloud"]
        assert isinstance(spans, SpanCosts)
        assert spans.seconds == ((0.002, math.inf), (0.002,))
        assert spans.joules == ((1, 2), (1,))

    def test_what_is_said_of_load(self, tmp_path: Path) -> None:
        problem = read(tmp_path, good_loaded_instance())
        assert problem.waiting == "mg1"
        gateway, cloud = problem.device["gateway"], problem.device["cloud"]
        assert (gateway.replicas, gateway.max_replicas, gateway.dispatch) == (2, None, "shared")
        assert (cloud.replicas, cloud.max_replicas, cloud.dispatch) == (1, 4, "random")
        watch, other = problem.streams
        assert watch.deadline_seconds == 0.5
        assert [(t.probability, t.seconds) for t in watch.tail_deadlines] == [
            (0.95, 0.9),
            (0.999, 2),
        ]
        assert [t.statistic for t in watch.tail_deadlines] == ["p95", "p99.9"]
        assert (watch.arrival_cv2, watch.max_batch) == (1, 1)
        assert (other.arrival_cv2, other.max_batch) == (2.5, 4)
        (pair,) = problem.network["detector"].costs["cloud"].batches.values()
        assert isinstance(pair, LayerCosts)
        assert pair.seconds == (0.0015, 0.004, 0.0015)
        assert (pair.boundary_seconds, pair.cv2) == (0.0002, 0.05)
        jobs = problem.network["reader"].costs["cloud"].batches
        assert {size: job.stage_seconds(0, 2) for size, job in jobs.items()} == {2: 0.008, 4: 0.012}
        assert [job.stage_cv2(0, 2) for job in jobs.values()] == [0.1, 0]
        assert problem.batch_sizes(other) == (1, 2, 4)

    def test_load_may_be_said_in_part(self, tmp_path: Path) -> None:
        tree = good_loaded_instance()
        tree["devices"]["cloud"]["replicas"] = {"max": 3}
        tree["streams"]["watch"]["deadline"] = {"p95": "900 ms"}
        tree["streams"]["read"]["deadline"] = {"mean": "800 ms"}
        problem = read(tmp_path, tree)
        assert list(problem.device["cloud"].replica_range) == [1, 2, 3]
        watch, other = problem.streams
        assert math.isinf(watch.deadline_seconds)
        assert len(watch.tail_deadlines) == 1
        assert (other.deadline_seconds, other.tail_deadlines) == (0.8, ())

    def test_a_range_of_copies_of_a_machine_in_the_catalogue(self, tmp_path: Path) -> None:
        tree = good_loaded_instance()
        tree["devices"]["cloud"] = {"catalog": "aws-lambda-1769mb", "replicas": {"max": 9}}
        cloud = read(tmp_path, tree).device["cloud"]
        assert (cloud.replicas, cloud.max_replicas) == (1, 9)
        del tree["devices"]["cloud"]["replicas"]
        cloud = read(tmp_path, tree).device["cloud"]
        assert (cloud.replicas, cloud.max_replicas) == (1, None)

    @pytest.mark.parametrize("probability", [0.5, 0.999999, 1e-9, 5e-324, 1 - 2**-53])
    def test_every_percentile_has_a_name(self, probability: float, tmp_path: Path) -> None:
        problem = read(tmp_path, good_loaded_instance())
        (watch, *rest) = problem.streams
        tail = TailDeadline(probability=probability, seconds=0.25)
        streams = (dataclasses.replace(watch, tail_deadlines=(tail,)), *rest)
        problem = dataclasses.replace(problem, streams=streams)
        write_instance(problem, tmp_path / "again.yaml")
        assert read_instance(tmp_path / "again.yaml").problem == problem

    def test_both_directions_of_a_link(self, tmp_path: Path) -> None:
        problem = read(tmp_path, good_instance())
        there, back = problem.link["camera", "gateway"], problem.link["gateway", "camera"]
        assert dataclasses.replace(back, source="camera", target="gateway") == there
        assert len(problem.links) == 6

    def test_lists_with_names_mean_the_same(self, tmp_path: Path) -> None:
        tree = good_instance()
        for kind in ("devices", "streams"):
            tree[kind] = [{"name": name, **part} for name, part in tree[kind].items()]
        assert read(tmp_path, tree) == read(tmp_path, good_instance())

    def test_json_means_the_same(self, tmp_path: Path) -> None:
        (tmp_path / "i.json").write_text(json.dumps(good_instance()))
        assert read_instance(tmp_path / "i.json").problem == read(tmp_path, good_instance())

    def test_weights_that_are_absent_are_zero(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["objective"] = {"energy": 2}
        assert read(tmp_path, tree).objective.prices == (0, 2, 0)
        tree["objective"] = {"aggregate": "total"}
        assert read(tmp_path, tree).objective.prices == (1, 0, 0)
        del tree["objective"]
        assert read(tmp_path, tree).objective.prices == (1, 0, 0)

    def test_one_name_for_a_list_of_one(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["streams"]["watch"]["privacy"]["zones"] = "home"
        tree["streams"]["watch"]["bans"] = [{"devices": "cloud", "layers": "stem"}]
        assert read(tmp_path, tree) == read(tmp_path, good_instance())

    def test_a_share_in_per_cent(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["devices"]["gateway"]["utilisation_cap"] = "90 %"
        assert read(tmp_path, tree) == read(tmp_path, good_instance())

    def test_keys_are_text_as_written(self, tmp_path: Path) -> None:
        text = """
            format: edgeplan-instance
            version: 1
            networks:
              7:
                layers: [{name: "1"}]
                tensors: [{name: x, size: 1 B, consumers: ["1"]}]
                costs: {1: {times: 1 ms}, on: {times: 1 ms}}
            devices: {1: {}, on: {}, null: {}}
            streams: {yes: {network: "7", origin: "1"}}
        """
        (tmp_path / "i.yaml").write_text(text)
        problem = read_instance(tmp_path / "i.yaml").problem
        assert list(problem.device) == ["1", "on", "null"]
        assert list(problem.network) == ["7"]
        assert list(problem.stream) == ["yes"]


class TestCatalogue:
    def test_an_entry_gives_what_is_not_stated(self, tmp_path: Path) -> None:
        from edgeplan.instances import catalogue

        entry = catalogue.device("raspberry-pi-4")
        tree = good_instance()
        tree["devices"]["camera"] = {"catalog": "raspberry-pi-4", "zone": "home", "memory": "1 GB"}
        camera = read(tmp_path, tree).device["camera"]
        assert entry.active_watts is not None
        assert camera.active_watts == entry.active_watts.value
        assert camera.memory_bytes == 1e9
        assert camera.tier == entry.tier

    def test_a_link_needs_no_bandwidth_then(self, tmp_path: Path) -> None:
        from edgeplan.instances import catalogue

        entry = catalogue.link("ethernet")
        tree = good_instance()
        tree["links"][2] = {"from": "camera", "to": "cloud", "catalog": "ethernet"}
        link = read(tmp_path, tree).link["camera", "cloud"]
        assert entry.bytes_per_second is not None
        assert link.bytes_per_second == entry.bytes_per_second.value
        tree["links"][2]["bandwidth"] = "1 MB/s"
        tree["links"][2]["latency"] = "9 ms"
        link = read(tmp_path, tree).link["camera", "cloud"]
        assert (link.bytes_per_second, link.latency_seconds) == (1e6, 0.009)


class TestProfiles:
    def tree(self, network: dict[str, Any]) -> dict[str, Any]:
        tree = good_instance()
        tree["networks"]["tiny"] = network
        return tree

    def test_structure_and_costs_come_from_profiles(self, tmp_path: Path) -> None:
        profile = good_profile()
        write_profile(profile, tmp_path / "tiny.json")
        fast = dataclasses.replace(profile, device="x", boundary_seconds=0.1)
        (tmp_path / "sub").mkdir()
        write_profile(fast, tmp_path / "sub" / "fast.json")
        (tmp_path / "tiny.onnx").write_bytes(b"x")
        tree = self.tree(
            {"profiles": {"camera": "tiny.json", "cloud": "sub/fast.json"}, "onnx": "tiny.onnx"}
        )
        path = tmp_path / "instance.yaml"
        path.write_text(to_yaml(tree))
        instance = read_instance(path)
        network = instance.problem.network["tiny"]
        assert network.layers == profile.layers
        assert network.tensors == profile.tensors
        assert network.costs == {"camera": profile.costs(), "cloud": fast.costs()}
        source = instance.sources["tiny"]
        assert source.path == str(tmp_path / "tiny.onnx")
        assert source.sha256 == profile.sha256
        assert source.shapes == profile.shapes

    def test_one_file_for_several_devices(self, tmp_path: Path) -> None:
        write_profile(good_profile("cloud"), tmp_path / "tiny.json")
        both = read(
            tmp_path,
            self.tree({"profiles": [{"file": "tiny.json", "devices": ["camera", "cloud"]}]}),
        )
        assert set(both.network["tiny"].costs) == {"camera", "cloud"}
        own = read(tmp_path, self.tree({"profiles": [{"file": "tiny.json"}]}))
        assert set(own.network["tiny"].costs) == {"cloud"}

    def test_files_may_lie_elsewhere(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        write_profile(good_profile(), tmp_path / "tiny.json")
        tree = self.tree({"profiles": {"camera": "../tiny.json"}})
        assert "tiny" in read(tmp_path / "a", tree).network
        tree = self.tree({"profiles": {"camera": str(tmp_path / "tiny.json")}})
        assert "tiny" in read(tmp_path / "a", tree).network

    def test_faults_of_a_profile_carry_both_places(self, tmp_path: Path) -> None:
        write_profile(good_profile(), tmp_path / "tiny.json")
        body = json.loads((tmp_path / "tiny.json").read_text())
        body["whole"]["runs"] = "many"
        body["colour"] = "red"
        (tmp_path / "tiny.json").write_text(json.dumps(body))
        found = faults(tmp_path, self.tree({"profiles": {"camera": "tiny.json"}}))
        assert {fault.place for fault in found} == {"networks.tiny.profiles.camera"}
        text = "\n".join(map(str, found))
        assert "tiny.json: whole.runs: must be a whole number" in text
        assert "tiny.json: colour: unknown key" in text

    def test_a_prediction_for_another_board_is_a_fault(self, tmp_path: Path) -> None:
        predicted = dataclasses.replace(good_profile("raspberry-pi-5"), basis="predicted")
        write_profile(predicted, tmp_path / "pi5.json")
        tree = self.tree({"profiles": {"camera": "pi5.json"}})
        tree["devices"]["camera"] = {"catalog": "raspberry-pi-4", "zone": "home"}
        (fault,) = faults(tmp_path, tree)
        assert fault.place == "networks.tiny.profiles.camera"
        assert "predict it with --device raspberry-pi-4" in fault.message
        tree["devices"]["camera"]["catalog"] = "raspberry-pi-5"
        assert "camera" in read(tmp_path, tree).network["tiny"].costs

    def test_a_pipe_is_not_opened(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "tiny.json")
        found = faults(tmp_path, self.tree({"profiles": {"camera": "tiny.json"}}))
        assert "not a regular file" in str(found[0])


class TestFaults:
    def test_all_rounds_are_gathered_with_lines(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["devices"]["camera"]["memory"] = 5
        tree["devices"]["camera"]["idle_power"] = "50 W"  # on an item with faults: not judged
        tree["streams"]["watch"]["origin"] = "attic"
        tree["streams"]["read"]["colour"] = "red"
        tree["networks"]["reader"]["layers"][0]["weights"] = "5 ms"
        tree["links"][2]["to"] = "camera"
        tree["budgets"]["power"] = "-1 W"
        found = faults(tmp_path, tree)
        assert {fault.place for fault in found} == {
            "devices.camera.memory",
            "streams.watch.origin",
            "streams.read.colour",
            "networks.reader.layers[0].weights",
            "links[2].to",
            "budgets.power",
        }
        lines = (tmp_path / "instance.yaml").read_text().splitlines()
        for fault in found:
            number = int(fault.message.rsplit("(line ", 1)[1].rstrip(")"))
            key = fault.place.rsplit(".", 1)[1].split("[")[0]
            assert f"{key}:" in lines[number - 1]

    @pytest.mark.parametrize(
        ("key", "value", "place"),
        [
            ("weights", "5 ms", "layers[0].weights"),  # refused as it stands
            ("name", "elsewhere", "tensors[1].producer"),  # refused when put together
        ],
    )
    def test_a_fault_of_a_network_hides_no_fault_of_its_costs(
        self, key: str, value: str, place: str, tmp_path: Path
    ) -> None:
        tree = good_instance()
        network = tree["networks"]["reader"]
        network["layers"][0][key] = value
        network["costs"]["attic"] = network["costs"]["camera"]
        found = {fault.place: fault.message for fault in faults(tmp_path, tree)}
        assert f"networks.reader.{place}" in found
        assert "there is no device 'attic'; known: " in found["networks.reader.costs.attic"]
        assert "(line " in found["networks.reader.costs.attic"]

    def test_a_list_is_named_by_index(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["streams"] = [{"name": name, **part} for name, part in tree["streams"].items()]
        tree["streams"][1]["deadline"] = "soon"
        tree["streams"][0]["network"] = "detektor"
        found = faults(tmp_path, tree)
        assert {fault.place for fault in found} == {"streams[1].deadline", "streams[0].network"}
        assert all("(line " in fault.message for fault in found)

    def test_load_in_lists_of_items(self, tmp_path: Path) -> None:
        tree = good_loaded_instance()
        for kind in ("devices", "streams"):
            tree[kind] = [{"name": name, **part} for name, part in tree[kind].items()]
        tree["devices"][2]["replicas"] = {"min": 3, "max": 2}
        tree["streams"][0]["deadline"] = {"mean": "0 s", "p101": "1 s", "p95": "0 s"}
        tree["streams"][1]["batch"] = 0
        assert {fault.place for fault in faults(tmp_path, tree)} == {
            "devices[2].replicas.max",
            "streams[0].deadline.mean",
            "streams[0].deadline.p95",
            "streams[0].deadline.p101",
            "streams[1].batch",
        }

    def test_a_word_on_waiting_that_cannot_be_read_is_one_fault(self, tmp_path: Path) -> None:
        tree = good_loaded_instance()
        tree["waiting"] = "mm1"
        assert [fault.place for fault in faults(tmp_path, tree)] == ["waiting"]

    def test_a_job_of_the_other_form_is_told(self, tmp_path: Path) -> None:
        tree = good_loaded_instance()
        batches = tree["networks"]["reader"]["costs"]["cloud"]["batches"]
        batches["4"] = {"spans": ["5 12 ms", "5 ms"], "times": "5 12 ms"}
        (found,) = faults(tmp_path, tree)
        assert found.place == "networks.reader.costs.cloud.batches.4.times"
        assert "other form" in found.message

    def test_unknown_keys_are_hinted_at(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["devices"]["camera"]["memoryy"] = "5 MB"
        tree["streamss"] = {}
        tree["streams"]["watch"]["privacy"]["zone"] = "home"
        text = "\n".join(map(str, faults(tmp_path, tree)))
        for hint in ("'memory'", "'streams'", "'zones'"):
            assert f"did you mean {hint}" in text

    def test_unknown_names_list_the_known(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["streams"]["watch"]["network"] = "detektor"
        tree["networks"]["reader"]["layers"] = []
        (network,) = [f for f in faults(tmp_path, tree) if f.place == "streams.watch.network"]
        assert "detector, reader" in network.message

    def test_si_names_do_not_show(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["devices"]["camera"]["idle_power"] = "50 W"
        (fault,) = faults(tmp_path, tree)
        assert fault.place == "devices.camera.idle_power"
        assert "active_power" in fault.message

    def test_their_number_is_limited(self, tmp_path: Path) -> None:
        tree = good_instance()
        tree["links"] = [{"from": "camera"} for _ in range(500)]
        assert len(faults(tmp_path, tree)) == MAX_FAULTS

    def test_no_message_prints_a_whole_value(self, tmp_path: Path) -> None:
        long = "x" * 5000
        tree = copy.deepcopy(good_instance())
        tree["devices"]["camera"]["zone"] = [long]
        tree["devices"][long] = {"memory": long, long: long}
        tree["streams"]["watch"]["network"] = long
        tree["capacity"] = long
        for fault in faults(tmp_path, tree):
            assert "x" * 81 not in str(fault)


class TestYaml:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("on", "on"), ("yes", "yes"), ("off", "off"), ("y", "y"), ("true", True),
            ("False", False), ("null", None), ("~", None), ("", None), ("1e3", 1000.0),
            ("0o17", 15), ("0x1F", 31), ("017", 17), ("1_000", "1_000"), ("1:30", "1:30"),
            ("2024-01-01", "2024-01-01"), ("'1'", "1"), ('"true"', "true"), ("+1", 1), (".5", 0.5),
            ("1.", 1.0), ("-0.0", -0.0), ("=", "="), ("!", None), ("<<", "<<"), ("0b1", "0b1"),
            ("1e", "1e"), ("0x", "0x"), ("--1", "--1"),
        ],
    )  # fmt: skip
    def test_scalars_by_yaml_1_2(self, text: str, value: object) -> None:
        if text == "!":
            with pytest.raises(InputError, match="tag"):
                parse_yaml(f"a: {text}")
            return
        tree = parse_yaml(f"a: {text}").value
        assert tree == {"a": value}
        assert isinstance(tree, dict)
        assert type(tree["a"]) is type(value)

    def test_every_duplicate_key_is_named(self) -> None:
        with pytest.raises(InputError) as caught:
            parse_yaml("a: 1\nb: {c: 1, c: 2}\na: 2\n")
        assert [fault.place for fault in caught.value.faults] == ["b.c", "a"]

    def test_fifty_levels_are_allowed(self) -> None:
        assert parse_yaml("[" * 50 + "]" * 50).value is not None
        assert parse_json("[" * 50 + "]" * 50).value is not None
        for parse in (parse_yaml, parse_json):
            with pytest.raises(InputError, match="deeper than 50"):
                parse("[" * 51 + "]" * 51)

    def test_brackets_in_json_text_are_no_depth(self) -> None:
        assert parse_json(json.dumps({"a": "[" * 200 + '"\\'})).value is not None
        with pytest.raises(InputError):
            parse_json('"\\' + '"[' * 100_000)


class TestDetect:
    def test_kinds(self, tmp_path: Path) -> None:
        paths = write_good(tmp_path)
        assert {kind: detect(path) for kind, path in paths.items()} == {k: k for k in paths}
        (tmp_path / "n.onnx").write_bytes(b"\x08")
        assert detect(tmp_path / "n.onnx") == "network"
        (tmp_path / "run.json").write_text('{"format": "edgeplan-run", "version": 1}')
        assert detect(tmp_path / "run.json") == "run"

    def test_the_format_may_come_late(self, tmp_path: Path) -> None:
        path = tmp_path / "i.yaml"
        path.write_text(
            "# " + "x" * 5000 + "\nversion: 1\nname: format\nformat: edgeplan-instance\n"
        )
        assert detect(path) == "instance"
        path.write_text('name: "format: edgeplan-plan"\nformat: edgeplan-instance\n')
        assert detect(path) == "instance"

    @pytest.mark.parametrize("text", ["", "a: 1", "format: other", "format: 5", "[", "\xff"])
    def test_other_files_are_refused(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError):
            detect(tmp_path / "x.yaml")
        with pytest.raises(InputError, match="no such file"):
            detect(tmp_path / "none")


def test_reading_loads_nothing_heavy(tmp_path: Path) -> None:
    path = write_good(tmp_path)["instance"]
    code = (
        "import sys, pathlib, edgeplan.instances.read as r;"
        f"r.read_instance(pathlib.Path({str(path)!r}));"
        "heavy = {'numpy', 'pandas', 'onnx', 'onnxruntime', 'pyomo', 'highspy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("file", "name"),
    [("ward.yaml", "ward"), ("ward/instance.yaml", "ward"), ("a.b.json", "a.b")],
)
def test_an_instance_without_a_name_is_called_by_its_file(tmp_path, file, name):
    tree = good_instance()
    tree.pop("name", None)
    write_good(tmp_path)
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(to_yaml(tree) if path.suffix == ".yaml" else json.dumps(tree))
    assert read_instance(path).problem.name == name


def test_a_wrong_end_of_a_link_both_ways_is_told_once_at_its_key(tmp_path):
    tree = good_instance()
    tree["links"][0] |= {"to": "clod", "both": True}
    (fault,) = [each for each in faults(tmp_path, tree) if "clod" in each.message]
    assert fault.place == "links[0].to"
