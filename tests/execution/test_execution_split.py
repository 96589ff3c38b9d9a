"""Parts as files: their names, their manifest, and what they must be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.execution.split import safe_name, split
from edgeplan.model.errors import InputError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem

Make = Callable[..., Problem]
Spread = Callable[..., Plan]
Sources = Mapping[str, OnnxSource]


def test_the_manifest_tells_what_every_file_holds(
    problem: Make, spread: Spread, sources: Sources, folder: Path
) -> None:
    instance = problem("skip", "ends", splittable=True)
    result = split(instance, spread(instance, "ab", "abc"), sources, folder)
    manifest = json.loads(result.manifest.read_text())
    assert (manifest["format"], manifest["kind"]) == (1, "split")
    files = set()
    for stream in manifest["streams"]:
        assert len(stream["routes"]) == 2
        for route in stream["routes"]:
            assert route["fraction"] == 0.5
            for index, stage in enumerate(route["stages"]):
                assert stage["stage"] == index
                path = folder / stage["file"]
                files.add(path)
                content = path.read_bytes()
                assert len(content) == stage["bytes"]
                assert hashlib.sha256(content).hexdigest() == stage["sha256"]
                graph = onnx.load(path).graph
                for key, values in (("inputs", graph.input), ("outputs", graph.output)):
                    assert [item["name"] for item in stage[key]] == [v.name for v in values]
                    assert {item["dtype"] for item in stage[key]} == {"float32"}
                    assert {tuple(item["shape"]) for item in stage[key]} == {(2, 64)}
    for network in manifest["networks"]:
        assert network["sha256"] == sources[network["name"]].sha256
        files.add(folder / network["whole"]["file"])
    # Nothing else was left there, no scratch folder either.
    assert {path for path in folder.rglob("*") if path.is_file()} == {*files, result.manifest}
    assert {path.name for path in folder.iterdir()} == {"manifest.json", "00-skip", "01-ends"}


def test_equal_parts_are_written_once(
    problem: Make, spread: Spread, sources: Sources, folder: Path
) -> None:
    instance = problem("chain", splittable=True, max_routes=4)
    count = len(instance.networks[0].layers)
    routes = tuple(
        Route(devices=(first,) * 2 + (second,) * (count - 2), fraction=0.25)
        for first, second in ("ab", "ba", "ac", "cb")
    )
    result = split(instance, Plan(routes={"on-chain": routes}), sources, folder)
    assert len(list(result.parts)) == 2
    assert len(list(folder.rglob("*.onnx"))) == 3  # and the whole


def test_a_plan_without_cuts_needs_the_whole_only(
    problem: Make, spread: Spread, sources: Sources, folder: Path
) -> None:
    instance = problem("chain")
    result = split(instance, spread(instance, "b"), sources, folder)
    (part,) = result.parts
    assert part.path == result.networks["chain"].whole.path
    assert [path.name for path in folder.rglob("*.onnx")] == ["whole.onnx"]


def test_splitting_again_replaces_the_files(
    problem: Make, spread: Spread, sources: Sources, folder: Path
) -> None:
    instance = problem("skip")
    plan = spread(instance, "abc")
    split(instance, plan, sources, folder)
    before = sorted(folder.rglob("*"))
    again = split(instance, plan, sources, folder)
    assert sorted(folder.rglob("*")) == before
    for part in again.parts:
        assert hashlib.sha256(part.path.read_bytes()).hexdigest() == part.sha256


def test_parts_of_an_earlier_split_go_and_nothing_else(
    problem: Make, spread: Spread, sources: Sources, folder: Path, tmp_path: Path
) -> None:
    first = problem("chain", "skip")
    split(first, spread(first, "abc"), sources, folder)
    (folder / "01-skip" / "notes.txt").write_text("mine")
    (folder / "02-mine").mkdir()
    (folder / "02-mine" / "whole.onnx").write_text("mine")
    second = problem("ends")
    result = split(second, spread(second, "ab"), sources, folder)
    written = {part.path for part in result.parts} | {result.networks["ends"].whole.path}
    kept = {folder / "01-skip" / "notes.txt", folder / "02-mine" / "whole.onnx"}
    assert {path for path in folder.rglob("*") if path.is_file()} == {
        *written, *kept, result.manifest
    }  # fmt: skip
    assert not (folder / "00-chain").exists()


@pytest.mark.parametrize(
    "name",
    ["../outside.onnx", "00-x/../../outside.onnx", "..-x/whole.onnx", "00-link/whole.onnx"],
)
def test_a_forged_manifest_removes_nothing(
    name: str, problem: Make, spread: Spread, sources: Sources, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.onnx").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "whole.onnx").write_text("mine")
    folder.mkdir()
    (folder / "00-x").mkdir()
    (folder / "00-link").symlink_to(tmp_path / "other")
    manifest = {"kind": "split", "networks": [{"whole": {"file": name}}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    instance = problem("chain")
    split(instance, spread(instance, "ab"), sources, folder)
    assert (tmp_path / "outside.onnx").read_text() == "mine"
    assert (tmp_path / "other" / "whole.onnx").read_text() == "mine"


def test_hostile_names_stay_in_the_folder(
    problem: Make, spread: Spread, sources: Sources, folder: Path, tmp_path: Path
) -> None:
    instance = problem("chain")
    (network,) = instance.networks
    names = ("../../../up", "/etc/passwd", "..", "a\x00b", "CON:\\x" * 40, "‮fdp", ".", "~root")
    layers = tuple(
        replace(layer, name=f"{names[index % len(names)]}{'' if index < len(names) else index}")
        for index, layer in enumerate(network.layers)
    )
    hostile = replace(network, name="../../../evil\n", layers=layers)
    stream = replace(instance.streams[0], network=hostile.name)
    instance = replace(instance, networks=(hostile,), streams=(stream,))
    plan = spread(instance, "abcab")
    result = split(instance, plan, {hostile.name: sources["chain"]}, folder)
    for path in (result.manifest, *(part.path for part in result.parts)):
        assert path.resolve().is_relative_to(folder.resolve())
    assert {path.name for path in tmp_path.iterdir()} == {"parts"}
    for path in folder.rglob("*"):
        assert path.name.isascii()
        assert path.name.isprintable()


@given(st.text(max_size=300))
def test_safe_names_are_plain_file_names(name: str) -> None:
    safe = safe_name(name)
    assert 1 <= len(safe) <= 40
    assert not safe.startswith((".", "-"))
    assert set(safe) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def test_a_link_in_the_way_is_not_followed(
    problem: Make, spread: Spread, sources: Sources, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder.mkdir()
    (folder / "00-chain").symlink_to(outside)
    instance = problem("chain")
    with pytest.raises(InputError, match="is in the way"):
        split(instance, spread(instance, "ab"), sources, folder)
    assert list(outside.iterdir()) == []
    assert [path.name for path in folder.iterdir()] == ["00-chain"]


def test_a_network_that_was_profiled_with_other_shapes_is_refused(
    problem: Make, spread: Spread, sources: Sources, folder: Path
) -> None:
    instance = problem("chain")
    (network,) = instance.networks
    tensors = (replace(network.tensors[0], bytes=4), *network.tensors[1:])
    instance = replace(instance, networks=(replace(network, tensors=tensors),))
    with pytest.raises(InputError, match="profile it again with the same shapes"):
        split(instance, spread(instance, "ab"), sources, folder)
    assert list(folder.rglob("*.onnx")) == []
