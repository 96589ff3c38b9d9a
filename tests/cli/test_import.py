"""import: files of other formats become instances; bad ones are told and leave nothing."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from edgeplan.instances.importers import FORMATS, import_file
from edgeplan.instances.read import read_instance
from tests.cli.cli_helpers import invoke, invoke_json, start
from tests.instances.test_importers import (
    BAD,
    SMALL_ASSIGNMENT,
    SMALL_GENERALISED,
    SMALL_GRAPH,
    chain,
    shared,
    write_bad,
)


def write(tree: object, folder: Path) -> Path:
    path = folder / "small.json"
    path.write_text(json.dumps(tree))
    return path


def test_a_graph_becomes_an_instance_that_solves(tmp_path):
    file, instance = write(SMALL_GRAPH, tmp_path), tmp_path / "instance.yaml"
    result = invoke("import", "dnn-partitioning", file, "-o", instance)
    assert result.exit_code == 0, result.stderr
    assert f"instance: {instance}" in result.stdout
    assert "Imported small" in result.stdout
    assert "4 layers, 3 tensors" in result.stdout
    assert "2 × accelerator, 1 × core" in result.stdout
    assert "1 group" in result.stdout
    assert "1 × period [s]" in result.stdout
    assert result.stderr.endswith(f"next: edgeplan solve {instance} -o plan.json\n")
    assert read_instance(instance).problem == import_file("dnn-partitioning", file).problem
    # read on the core, conv-10 on one accelerator, conv-20 and add on the other, as counted by
    # hand in test_importers. All three do not fit on one, and the core is too slow.
    solved = invoke_json("solve", instance, "--objective", "throughput")
    assert solved["status"] == "optimal"
    assert solved["objective"] == pytest.approx(0.00775, rel=1e-6)


def test_an_assignment_becomes_an_instance_that_solves(tmp_path):
    file, instance = write(SMALL_ASSIGNMENT, tmp_path), tmp_path / "instance.json"
    result = invoke("import", "assignment", file, "-o", instance)
    assert result.exit_code == 0, result.stderr
    assert "1 × latency [s] + 1 × energy [J] + 1 × cost [$]" in result.stdout
    assert "note: the file has pure numbers" in result.stderr
    assert "profit" not in result.stderr
    assert result.stderr.endswith(f"next: edgeplan solve {instance} -o plan.json\n")
    assert invoke_json("solve", instance)["objective"] == pytest.approx(15)  # 3 × (1 + 4)


def test_profits_are_told_to_have_become_costs(tmp_path):
    file, instance = write(SMALL_GENERALISED, tmp_path), tmp_path / "instance.yaml"
    result = invoke("import", "assignment", file, "-o", instance)
    assert "the objective is 3 × 10 × 3 − the profit of all three" in result.stderr
    tables, weights = SMALL_GENERALISED["profit"], SMALL_GENERALISED["weight"]
    most = max(
        sum(table[j][i] for table in tables for i, j in enumerate(where))
        for where in itertools.product(range(2), repeat=3)
        if all(
            sum(weights[j][i] for i in range(3) if where[i] == j) <= capacity
            for j, capacity in enumerate(SMALL_GENERALISED["capacity"])
        )
    )
    assert invoke_json("solve", instance)["objective"] == pytest.approx(90 - most)


def test_json_says_what_was_imported(tmp_path):
    tree = json.loads(json.dumps(SMALL_GRAPH))
    tree["nodes"][1]["isBackwardNode"] = True
    file, instance = write(tree, tmp_path), tmp_path / "new.json"
    words = ("import", "dnn-partitioning", file, "-o", instance, "--contiguous", "--name", "mine")
    document = invoke_json(*words)
    backward, rounded = document.pop("notes")
    assert "backward" in backward
    assert "rounded up" in rounded  # one of the sizes is not whole
    assert document == {
        "name": "mine",
        "networks": 1,
        "layers": 4,
        "tensors": 3,
        "devices": {"accelerator": 2, "core": 1},
        "links": 6,
        "streams": 1,
        "groups": 1,
        "objective": {"throughput": 1.0},
        "contiguous": True,
        "instance": str(instance),
    }
    problem = read_instance(instance).problem
    assert problem.contiguous
    assert problem.name == "mine"
    assert f"note: {backward}" in invoke(*words).stderr


def test_a_process_of_its_own_imports_a_shared_file(tmp_path):
    file, instance = shared("layer_bert24_inference"), tmp_path / "bert24.yaml"
    done = start("import", "dnn-partitioning", file, "-o", instance, "--json")
    stdout, stderr = done.communicate(timeout=60)
    assert done.returncode == 0, stderr
    assert json.loads(stdout)["layers"] == 32
    assert read_instance(instance).problem == import_file("dnn-partitioning", file).problem


@pytest.mark.parametrize(
    ("good", "change", "place", "says"), BAD, ids=[f"{g}-{p}-{s[:20]}" for g, _, p, s in BAD]
)
def test_bad_files_are_told_and_leave_nothing(good, change, place, says, tmp_path):
    kind, path = write_bad(good, change, tmp_path)
    error = invoke_json("import", kind, path, "-o", tmp_path / "new.yaml", code=2)["error"]
    assert error["kind"] == "input"
    assert error["file"] == str(path)
    (fault,) = error["faults"]
    assert fault["place"] == place
    assert says in fault["message"]
    assert len(fault["message"]) < 1000
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    result = invoke("import", kind, path, "-o", tmp_path / "new.yaml")
    assert result.stdout == ""
    assert f"error: {path}: {place}: " in result.stderr


def test_the_help_names_every_format():
    text = " ".join(invoke("import", "--help").stdout.split())
    for name in FORMATS:
        assert name in text


def test_wrong_words_are_bad_input(tmp_path):
    file, instance = write(SMALL_GRAPH, tmp_path), tmp_path / "instance.yaml"
    before = file.read_text()
    for words, says in (
        (["nonsense", file, "-o", instance], "known are assignment"),
        (["dnn-partitioning", file], "--output: is missing"),
        (["dnn-partitioning", tmp_path / "absent", "-o", instance], "no such file"),
        (["dnn-partitioning", file, "-o", tmp_path / "no" / "instance.yaml"], "does not exist"),
        (["dnn-partitioning", file, "-o", file], "is the file to be imported"),
        (["dnn-partitioning", file, "-o", instance, "--name", ""], "name: must not be empty"),
    ):
        result = invoke("import", *words)
        assert result.exit_code == 2, words
        assert says in result.stderr
        assert not instance.exists()
    assert file.read_text() == before


def test_a_failed_import_leaves_the_old_instance(tmp_path):
    instance = tmp_path / "instance.yaml"
    instance.write_text("mine")
    file = write(chain(5400), tmp_path)
    result = invoke("import", "dnn-partitioning", file, "-o", instance)
    assert result.exit_code == 2
    assert "instance.json instead" in result.stderr
    assert instance.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"instance.yaml", "small.json"}
