"""edgeplan pareto: the front in a folder, from which it goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from edgeplan.cli.tables.front_pictures import picture
from edgeplan.instances.importers import import_file
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import write_instance
from edgeplan.pareto.files import read_front
from edgeplan.pareto.objectives import COST, LATENCY
from tests.cli.cli_helpers import invoke, invoke_json, start, write_two_tiers
from tests.pareto.assignments import assignment

BUNDLED = Path(__file__).resolve().parents[2] / "edgeplan" / "instances" / "bundled"
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "morepo-ap"
DAG = BUNDLED / "dag-skip.yaml"


def test_json_has_what_was_agreed_and_the_folder_the_same_front(tmp_path):
    document = invoke_json("pareto", DAG, "-o", tmp_path / "new" / "f")
    agreed = {"objectives", "exact", "resolution", "points", "hypervolume", "mips", "seconds"}
    assert agreed <= set(document)
    assert document["objectives"] == ["latency", "energy", "cost"]
    assert document["exact"] is True
    assert document["resolution"] is None
    assert set(document["hypervolume"]) == {"lower", "upper", "reference"}
    for point in document["points"]:
        assert set(point) == {"latency_seconds", "energy_joules", "cost_dollars", "plan"}
        assert set(point["plan"]["routes"]) == {"s"}
    front = read_front(tmp_path / "new" / "f")
    assert json.loads(json.dumps(front.as_json())) == document
    assert len((tmp_path / "new" / "f" / "front.csv").read_text().splitlines()) == len(front) + 1
    copy = read_instance(tmp_path / "new" / "f" / "front.instance.json")
    assert copy.problem == read_instance(DAG).problem


def test_a_published_front_is_there_point_for_point(tmp_path):
    file = DATA / "AP_p-3_n-5_ins-1.json"
    if not file.exists():
        pytest.skip("the published sets are not here")
    write_instance(import_file("assignment", file).problem, tmp_path / "ap.yaml")
    document = invoke_json("pareto", tmp_path / "ap.yaml", "-o", tmp_path / "f")
    found = {
        (point["latency_seconds"], point["energy_joules"], point["cost_dollars"])
        for point in document["points"]
    }
    assert found == {tuple(map(float, y)) for y in json.loads(file.read_text())["nondominated"]}
    assert len(found) == 21


def test_tables_show_points_picture_and_how_exact_it_is(tmp_path):
    said = invoke("pareto", DAG, "-o", tmp_path / "f", "--objectives", "latency,energy")
    assert said.exit_code == 0
    for text in ("7 points", "108.8 ms", "612 mJ", "no plan is missing", "•", "energy (up)"):
        assert text in said.stdout
    assert "edgeplan choose" in said.stderr


def test_a_second_run_adds_nothing(tmp_path):
    first = invoke_json("pareto", DAG, "-o", tmp_path / "f")
    journal = (tmp_path / "f" / "journal.log").read_bytes()
    again = invoke_json("pareto", DAG, "-o", tmp_path / "f")
    assert (tmp_path / "f" / "journal.log").read_bytes() == journal
    assert again.pop("seconds") >= first.pop("seconds")
    assert again == first


def test_points_end_it_and_the_same_command_goes_on(tmp_path):
    write_instance(assignment(5, 3), tmp_path / "ap.yaml")
    words = ("pareto", tmp_path / "ap.yaml", "--solver", "highs")
    some = invoke_json(*words, "-o", tmp_path / "f", "--points", 4)
    assert (len(some["points"]), some["complete"], some["exact"]) == (4, False, False)
    rest = invoke_json(*words, "-o", tmp_path / "f")
    whole = invoke_json("pareto", tmp_path / "ap.yaml", "-o", tmp_path / "g", "--solver", "labels")
    assert rest["exact"]
    assert rest["mips"] > some["mips"]
    values = [[p[k] for k in p if k != "plan"] for p in rest["points"]]
    assert values == [[p[k] for k in p if k != "plan"] for p in whole["points"]]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.long)])
def test_ctrl_c_keeps_what_there_is(tmp_path, jobs):
    write_instance(assignment(9, 1), tmp_path / "ap.yaml")
    folder = tmp_path / "f"
    words = ("pareto", tmp_path / "ap.yaml", "-o", folder, "--solver", "highs", "--json")
    process = start(*words, "--jobs", jobs)
    try:
        journal, until = folder / "journal.log", time.monotonic() + 60
        while not (journal.exists() and journal.stat().st_size > 6000):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        others = psutil.Process(process.pid).children(recursive=True)
        # As a terminal does it: to every process of the command.
        for each in (*others, process):
            each.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not psutil.wait_procs(others, timeout=20)[1]
    document = json.loads(out)
    assert document["complete"] is False
    assert document["message"] == "interrupted"
    assert len(read_front(folder)) == len(document["points"]) >= 3
    assert "the points found so far" in said


@pytest.mark.long
def test_killed_it_leaves_no_process_behind(tmp_path):
    write_instance(assignment(9, 1), tmp_path / "ap.yaml")
    journal = tmp_path / "f" / "journal.log"
    words = ("pareto", tmp_path / "ap.yaml", "-o", tmp_path / "f", "--solver", "highs")
    process = start(*words, "--jobs", 2)
    try:
        until = time.monotonic() + 60
        while not (journal.exists() and journal.stat().st_size > 3000):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        others = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        _, alive = psutil.wait_procs(others, timeout=20)
        assert others
        assert not alive
    finally:
        process.kill()
        process.communicate()
    # What the journal has is there: the lock died with its owner.
    assert len(invoke_json(*words, "--points", 1)["points"]) >= 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("10 Mbit/s", "20 Mbit/s", "links.board->server.bandwidth: was '10 Mbit/s' and is '20"),
        ("rate: 2 /s", "rate: 3 /s", "streams.camera.rate: was '2/s' and is '3/s'"),
    ],
)
def test_another_instance_is_refused_by_what_differs(tmp_path, old, new, told):
    file = write_two_tiers(tmp_path)
    assert invoke("pareto", file, "-o", tmp_path / "f").exit_code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()}
    file.write_text(file.read_text().replace(old, new))
    refused = invoke("pareto", file, "-o", tmp_path / "f")
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert "choose another folder" in refused.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "f").iterdir()} == before


def test_other_objectives_are_refused(tmp_path):
    invoke("pareto", DAG, "-o", tmp_path / "f")
    refused = invoke("pareto", DAG, "-o", tmp_path / "f", "--objectives", "latency,cost")
    assert refused.exit_code == 2
    assert "objectives was latency, energy, cost and is latency, cost" in refused.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--objectives", "latency,speed"), "there is no objective 'speed'"),
        (("--objectives", "latency"), "at least two objectives"),
        (("--resolution", "latency=5"), "needs a unit"),
        (("--resolution", "latency=5 J"), "not a unit of a time"),
        (("--resolution", "speed=5"), "must begin with one of latency, energy, cost"),
        (("--resolution", "latency=1ms,latency=2ms"), "latency is there twice"),
        (("--time-limit", "nan"), "finite"),
        (("--solver", "cp"), "there is no 'cp'"),
    ],
)
def test_bad_options_are_told(tmp_path, words, told):
    refused = invoke("pareto", DAG, "-o", tmp_path / "f", *words)
    assert refused.exit_code == 2
    assert told in refused.stderr


def test_resolution_of_split_streams_is_needed_for_every_objective(tmp_path):
    file = BUNDLED / "splittable-load.yaml"
    refused = invoke("pareto", file, "-o", tmp_path / "f", "--resolution", "latency=1ms")
    assert refused.exit_code == 2
    assert "give energy, cost a resolution too" in refused.stderr


def test_no_plan_is_3_and_no_time_4(tmp_path):
    infeasible = invoke("pareto", write_two_tiers(tmp_path, "1 ms"), "-o", tmp_path / "f")
    assert infeasible.exit_code == 3
    assert "there is no plan" in infeasible.stdout
    late = invoke("pareto", DAG, "-o", tmp_path / "g", "--time-limit", 0, "--solver", "highs")
    assert late.exit_code == 4


def test_a_front_without_its_journal_is_not_written_over(tmp_path):
    invoke("pareto", DAG, "-o", tmp_path / "f")
    (tmp_path / "f" / "journal.log").unlink()
    refused = invoke("pareto", DAG, "-o", tmp_path / "f")
    assert refused.exit_code == 2
    assert "without the journal" in refused.stderr


def test_the_picture_puts_ends_in_corners_and_the_least_digit_first():
    lines = list(picture([(0, 9, 5), (1, 0, 0), (0, 9, 10)], (LATENCY, COST), 5, 3))
    assert lines == [
        "9 $ │5",
        "    │",
        "0 $ │    0",
        "    └─────",
        "     0 s 1 s",
    ]


def test_a_front_that_cannot_be_searched_leaves_the_folder_free(tmp_path):
    instance = write_two_tiers(tmp_path)
    text = instance.read_text()
    loaded = tmp_path / "loaded.yaml"
    loaded.write_text(text.replace("objective:", "waiting: mg1\nobjective:"))
    refused = invoke("pareto", loaded, "-o", tmp_path / "f", "--solver", "highs")
    assert refused.exit_code == 2
    assert invoke("pareto", instance, "-o", tmp_path / "f").exit_code == 0


def test_a_front_goes_on_though_its_instance_has_moved(tmp_path):
    instance = write_two_tiers(tmp_path)
    text = instance.read_text()
    assert "name: two-tiers\n" in text
    instance.write_text(text.replace("name: two-tiers\n", ""))
    assert invoke("pareto", instance, "-o", tmp_path / "f").exit_code == 0
    moved = instance.rename(tmp_path / "moved.yaml")
    assert invoke("pareto", moved, "-o", tmp_path / "f").exit_code == 0
