"""edgeplan show of fronts, sweeps, simulations, and what --json printed, at any width."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from edgeplan.cli import units
from edgeplan.cli.documents import Simulation
from edgeplan.instances.codec import decode
from edgeplan.pareto.files import read_front
from tests.cli.cli_helpers import invoke, invoke_json, write_two_tiers
from tests.cli.test_pareto import DAG

WIDTHS = (60, 80, 120, 200)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fronts") / "f"
    assert invoke("pareto", DAG, "-o", folder).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweeps")
    instance = write_two_tiers(folder)
    words = (
        "--vary",
        "links.board->server.bandwidth=20,5Mbit/s",
        "--vary",
        "streams.camera.rate=1,2/s",
    )
    assert invoke("sweep", instance, *words, "-o", folder / "s").exit_code == 0
    assert invoke("sweep", instance, *words[:2], "-o", folder / "s").exit_code == 0
    return folder / "s"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_front_by_folder_or_file(width, front, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    by_folder, by_file = invoke("show", front), invoke("show", front / "front.json")
    assert by_folder.exit_code == 0
    assert by_folder.stdout == by_file.stdout
    found = read_front(front)
    lines = by_folder.stdout.splitlines()
    assert max(map(len, lines)) <= width
    points = lines[: lines.index("Front")]
    for point in found.points:
        row = [c.show(v) for c, v in zip(found.criteria, point.values, strict=True)]
        assert any(all(text in line for text in row) for line in points)
    (axis,) = [line for line in lines if "└" in line]
    assert len(axis.rstrip()) == min(width, axis.index("└") + 1 + 72)
    assert "hypervolume" in by_folder.stdout


def test_a_front_for_machines(front):
    found = invoke_json("show", front)
    assert found["kind"] == "front"
    assert len(found["points"]) == len(read_front(front))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_chosen_point_is_marked(width, front, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    found = read_front(front)
    out = invoke("choose", front, "--prefer", "latency").stdout
    assert max(map(len, out.splitlines())) <= width
    rows = [line.partition("│")[2] for line in out.splitlines() if "│" in line]
    marked = [(row, line.index("X")) for row, line in enumerate(rows) if "X" in line]
    # The least latency is at the left; where it is in energy, from the top down, is its row.
    ((row, column),) = marked
    best = min(found.points, key=lambda point: point.values)
    energies = [point.values[1] for point in found.points]
    share = (best.values[1] - min(energies)) / (max(energies) - min(energies))
    assert column == 0
    assert row == 13 - round(13 * share)
    assert "X: the point chosen" in " ".join(out.split())


def test_what_a_picture_says_is_in_the_encoding(front, monkeypatch):
    from tests.cli.test_drawings import piped

    monkeypatch.setenv("COLUMNS", "80")
    out = piped(["show", front], "ascii", monkeypatch)
    assert re.search(r"^ +\+-{40,}$", out, re.MULTILINE)
    assert re.search(r"^[0-9.]+ \w+ \|", out, re.MULTILINE)


# --- sweeps --------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
def test_a_sweep_by_folder_or_header(width, swept, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    by_folder = invoke("show", swept)
    assert by_folder.exit_code == 0
    assert by_folder.stdout == invoke("show", swept / "sweep.json").stdout
    # That of the table first, then what an earlier one left.
    first, second = by_folder.stdout.split("Sweep (predicted")[1:]
    assert "2 of 2 points" in first
    assert "4 of 4 points" in second
    rows = [line for line in first.splitlines() if "optimal" in line]
    assert [row.split()[0] for row in rows] == ["20", "5"]  # as they were swept, not sorted


def test_a_sweep_for_machines(swept):
    sweeps = invoke_json("show", swept)["sweeps"]
    assert [len(each["points"]) for each in sweeps] == [2, 4]
    assert {point["status"] for each in sweeps for point in each["points"]} == {"optimal"}


def test_a_torn_point_of_a_sweep_is_left_out(swept, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(swept, copy)
    torn = sorted((copy / "points").glob("*.json"))[0]
    torn.write_text(torn.read_text()[:40])
    sweeps = invoke_json("show", copy)["sweeps"]
    assert sum(len(each["points"]) for each in sweeps) == 5


def test_folders_without_results_are_refused(tmp_path):
    empty = invoke("show", tmp_path)
    assert empty.exit_code == 2
    assert "without front.json or sweep.json" in empty.stderr
    (tmp_path / "sweep.json").write_text('{"format": "edgeplan-sweep", "version": 1}')
    none = invoke("show", tmp_path)
    assert none.exit_code == 2
    assert "has no point of a sweep" in none.stderr


# --- simulations ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[object]]:
    """Return what simulate --json prints as a file, and the words that print it as tables."""
    folder = tmp_path_factory.mktemp("simulations")
    instance, plan = write_two_tiers(folder), folder / "plan.json"
    text = instance.read_text().replace("objective:", "waiting: mg1\nobjective:")
    instance.write_text(text.replace("deadline: 200 ms", "deadline: {mean: 200 ms, p95: 90 ms}"))
    assert invoke("solve", instance, "-o", plan).exit_code == 0
    words = ["simulate", instance, plan, "--requests", 2000]
    head = {"format": "edgeplan-simulation", "version": 1}
    document = {**head, **invoke_json(*words)}
    (folder / "simulation.json").write_text(json.dumps(document))
    return folder / "simulation.json", words


def test_a_simulation_is_as_its_schema_says(simulated):
    tree = {**json.loads(simulated[0].read_text())}
    assert (tree.pop("format"), tree.pop("version")) == ("edgeplan-simulation", 1)
    document = decode(Simulation, tree)
    assert document.streams[0].deadlines[0].statistic == "p95"
    assert set(tree) == {field.name for field in dataclasses.fields(Simulation)}


@pytest.mark.parametrize("width", WIDTHS)
def test_a_simulation_that_was_kept_reads_as_it_did(width, simulated, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    file, words = simulated
    out = invoke("show", file).stdout
    assert out == invoke(*words).stdout
    assert "Percentile deadlines" in out
    assert max(map(len, out.splitlines())) <= width


def test_a_simulation_for_machines(simulated):
    file, words = simulated
    shown = invoke_json("show", file)["simulation"]
    assert {key: shown[key] for key in ("requests", "seed")} == {"requests": 2000, "seed": 0}
    assert shown["streams"] == invoke_json(*words)["streams"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tree: tree.pop("streams"), "'streams' is missing"),
        (lambda tree: tree.update(devices=3), "not what simulate --json prints"),
        (lambda tree: tree["streams"][0].update(predicted=None), "not what simulate --json"),
    ],
)
def test_a_file_that_is_no_simulation_is_refused(change, says, simulated, tmp_path):
    tree = json.loads(simulated[0].read_text())
    change(tree)
    (tmp_path / "s.json").write_text(json.dumps(tree))
    shown = invoke("show", tmp_path / "s.json")
    assert shown.exit_code == 2
    assert says in shown.stderr


# --- results, comparisons, load sweeps ------------------------------------------------------------

FEW = ("--requests", 2000)
PRINTED = {
    "result": (),
    "comparison": FEW,
    "load-sweep": (*FEW, "--sweep", "rho=0.3:0.6", "--points", 2),
}
"""By kind: options of the command that prints it with --json."""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, object]]]:
    """Return by kind the file of what --json printed, and the same as a tree."""
    folder = tmp_path_factory.mktemp("printed")
    instance = write_two_tiers(folder)
    found = {}
    for kind, words in PRINTED.items():
        command = "solve" if kind == "result" else "baselines"
        tree = invoke_json(command, instance, *words)
        (folder / f"{kind}.json").write_text(json.dumps(tree))
        found[kind] = (folder / f"{kind}.json", tree)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", PRINTED)
def test_what_json_printed_fits_every_width(kind, width, printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    out = invoke("show", printed[kind][0]).stdout
    assert max(map(len, out.splitlines())) <= width


def row(out: str, *words: str) -> list[str]:
    """Return the cells of the one row that begins with words."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    (found,) = [cells for cells in rows if cells[: len(words)] == list(words)]
    return found[len(words) :]


def test_a_result_reads_as_solve_printed_it(printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    file, tree = printed["result"]
    out = invoke("show", file).stdout
    assert row(out, "status") == ["optimal"]
    assert row(out, "objective") == [units.number(tree["objective"])]
    assert row(out, "✓", tree["chosen"])[-1] == "kept"
    for name, each in tree["baselines"].items():
        if name != tree["chosen"]:
            assert row(out, name)[-2] == units.number(each["objective"])
    assert row(out, "camera", "100.0 %")[-1].startswith("board 0")


def test_a_result_without_a_plan_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    tree = invoke_json("solve", write_two_tiers(tmp_path, "1 ms"), code=3)
    (tmp_path / "r.json").write_text(json.dumps(tree))
    out = invoke("show", tmp_path / "r.json").stdout
    assert row(out, "status") == ["infeasible"]
    assert "Routes" not in out


def test_a_comparison_has_a_row_for_each_plan(printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    file, tree = printed["comparison"]
    out = invoke("show", file).stdout
    for name, each in tree["baselines"].items():
        cells = row(out, *(["✓"] if name == "plan" else []), name)
        assert cells[0] == units.seconds(each["predicted"]["latency_seconds"])
        assert cells[-1] == ("kept" if each["feasible"] else each["why"])


def test_a_load_sweep_has_a_column_for_each_load(printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    file, tree = printed["load-sweep"]
    out = invoke("show", file).stdout.partition("Mean latency, simulated")[0]
    plans = [point["baselines"]["plan"]["predicted"] for point in tree["points"]]
    assert row(out, "plan", "0.3") == ["0.6"]
    expected = [units.seconds(each["latency_seconds"]) for each in plans]
    assert row(out, "plan", expected[0]) == expected[1:]


@pytest.mark.parametrize("kind", PRINTED)
def test_what_json_printed_for_machines(kind, printed):
    file, tree = printed[kind]
    shown = invoke_json("show", file)
    assert shown["kind"] == kind
    assert shown[kind.replace("-", "_")] == tree


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tree: tree.pop("baselines"), "baselines: is missing"),
        (lambda tree: tree.update(routes=3), "routes"),
    ],
)
def test_a_file_that_is_no_result_is_refused(change, says, printed, tmp_path):
    tree = json.loads(printed["result"][0].read_text())
    change(tree)
    (tmp_path / "r.json").write_text(json.dumps(tree))
    shown = invoke("show", tmp_path / "r.json")
    assert shown.exit_code == 2
    assert says in shown.stderr


def test_a_constant_objective_is_named_once(front, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    found = read_front(front)
    points = tuple(
        dataclasses.replace(p, values=(*p.values[:2], 0.0, *p.values[3:])) for p in found.points
    )
    dataclasses.replace(found, points=points).write(tmp_path / "flat")
    out = invoke("show", tmp_path / "flat").stdout
    assert "cost of all: 0 $" in out
    assert "digits:" not in out
    assert "•" in out
