"""edgeplan sweep: an instance over ranges of its parameters, each point on disk at once."""

from __future__ import annotations

import csv
import json
import os
import signal
import time

import psutil
import pytest

from edgeplan.instances.read import read_instance
from edgeplan.planner import plan
from edgeplan.sweeps.parameters import find_places, parse_values
from tests.cli.cli_helpers import SPLIT_SECONDS, invoke, invoke_json, start, write_two_tiers
from tests.cli.test_pareto import BUNDLED

TREE = {
    "devices": {"pi.4": {"memory": "1 GB"}, "edge": {"replicas": {"min": 1, "max": 2}}},
    "links": [
        {"from": "pi.4", "to": "edge", "both": True, "catalog": "wifi"},
        {"from": "edge", "to": "cloud", "bandwidth": "1 Gbit/s"},
        {"from": "cloud", "to": "edge", "catalog": "wifi"},
    ],
    "streams": [{"name": "a", "rate": "1/s"}, {"name": "b", "deadline": {"p99.9": "1 s"}}],
}


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("devices.pi.4.memory", [("devices", "pi.4", "memory")]),
        ("devices.edge.replicas.max", [("devices", "edge", "replicas", "max")]),
        ("streams.a.rate", [("streams", 0, "rate")]),
        ("streams[1].rate", [("streams", 1, "rate")]),
        ("streams.*.rate", [("streams", 0, "rate"), ("streams", 1, "rate")]),
        ("streams.b.deadline.p99.9", [("streams", 1, "deadline", "p99.9")]),
        ("links.pi.4->edge.latency", [("links", 0, "latency")]),
        ("links.edge->pi.4.latency", [("links", 0, "latency")]),
        ("links.wifi.bandwidth", [("links", 0, "bandwidth"), ("links", 2, "bandwidth")]),
        ("links.cloud.latency", [("links", 1, "latency"), ("links", 2, "latency")]),
        ("objective.denominators.energy", [("objective", "denominators", "energy")]),
    ],
)
def test_paths_name_places(path, places):
    assert list(find_places(TREE, path)) == places


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("devices.boord.memory=1..2GB:2", "--vary devices.boord: devices has only board, server"),
        ("device.board.memory=1..2GB:2", "the instance has only format, version, name"),
        ("links.wan.bandwidth=1..2Mbit/s:2", "there are board->server"),
        ("streams.camera.privacy=1,2", "holds several values; name one of zones"),
        ("devices.board.memory.x=1,2", "is a single value and has no 'x'"),
        ("devices.board.memory=1..2GB", "is not FROM..TO:COUNT"),
        ("devices.board.memory=1..2GB:1", "the number of values must be 2"),
        ("devices.board.memory=1GB..2s:2", "not units of one kind"),
        ("devices.board.memory=1..2GB:3:cubic", "there is no spacing 'cubic'"),
        ("devices.board.memory=0..2GB:3:geometric", "needs values above 0"),
        ("devices.board.memory=2GB,2 GB", "'2 GB' is there twice"),
        ("devices.board.memory=1,2", "--vary devices.board.memory=1: devices.board.memory: needs"),
        ("devices.board.memori=1,2", "devices.board.memori: unknown key"),
        ("devices.board.memory", "must be PATH=VALUES"),
    ],
)
def test_what_cannot_be_varied_is_told_before_any_work(tmp_path, word, told):
    refused = invoke("sweep", write_two_tiers(tmp_path), "--vary", word, "-o", tmp_path / "s")
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert not list((tmp_path / "s").glob("points/*"))


def test_ends_are_exact_and_units_may_differ():
    assert parse_values("100ms..1s:4", "") == ("0.1 s", "0.4 s", "0.7 s", "1 s")
    assert parse_values("1..64:7:geometric", "") == (1, 2, 4, 8, 16, 32, 64)
    assert parse_values("0.1..0.3:3", "") == (0.1, 0.2, 0.3)
    assert parse_values("5..1/s:2", "") == ("5/s", "1/s")


def test_points_are_those_that_solve_finds(tmp_path):
    file = write_two_tiers(tmp_path)
    words = ("--vary", "links.board->server.bandwidth=1,10Mbit/s", "--vary",
             "devices.server.active_power=50,500W")  # fmt: skip
    found = invoke_json("sweep", file, *words, "-o", tmp_path / "s", "--objective", "latency")
    assert (found["count"], found["reused"], found["complete"]) == (4, 0, True)
    assert [list(point["settings"].values()) for point in found["points"]] == [
        ["1 Mbit/s", "50 W"], ["1 Mbit/s", "500 W"], ["10 Mbit/s", "50 W"], ["10 Mbit/s", "500 W"],
    ]  # fmt: skip
    # On the slow link all stays on the board.
    assert found["points"][0]["latency_seconds"] == pytest.approx(0.05)
    assert found["points"][2]["latency_seconds"] == pytest.approx(SPLIT_SECONDS)
    text = file.read_text().replace("10 Mbit/s", "1 Mbit/s").replace("active_power: 50", "a_p: 500")
    file.write_text(text.replace("a_p", "active_power"))
    alone = plan(read_instance(file).problem.asked("latency"))
    assert found["points"][1]["objective"] == alone.objective
    rows = list(csv.DictReader((tmp_path / "s" / "sweep.csv").read_text().splitlines()))
    assert [float(row["latency_seconds"]) for row in rows] == [
        point["latency_seconds"] for point in found["points"]
    ]
    assert rows[2]["route.camera"] == "board[0] > server[1]"


def test_other_values_add_to_it_and_infeasible_is_an_answer(tmp_path):
    words = ("sweep", write_two_tiers(tmp_path), "-o", tmp_path / "s", "--vary")
    invoke_json(*words, "streams.camera.deadline=1,40ms")
    found = invoke_json(*words, "streams.camera.deadline=20..40ms:2")
    assert found["reused"] == 1
    assert [point["status"] for point in found["points"]] == ["infeasible", "optimal"]
    assert found["points"][0]["plan"] is None
    assert invoke(*words, "streams.camera.deadline=1,2ms").exit_code == 3
    said = invoke(*words, "streams.camera.deadline=1,40ms")
    for text in ("40 ms", "infeasible", "32.8 ms", "board[0] > server[1]", "different plans"):
        assert text in said.stdout
    assert "2 of the 2 points were there already" in said.stderr


def test_another_instance_or_other_options_are_refused(tmp_path):
    file = write_two_tiers(tmp_path)
    words = ("sweep", file, "-o", tmp_path / "s", "--vary", "streams.camera.rate=1,2/s")
    invoke_json(*words)
    refused = invoke(*words, "--objective", "energy")
    assert refused.exit_code == 2
    assert "objective was not stated and is energy" in refused.stderr
    file.write_text(file.read_text().replace("8 MB", "9 MB"))
    refused = invoke(*words)
    assert refused.exit_code == 2
    assert "devices.board.memory: was '8 MB' and is '9 MB'" in refused.stderr


def test_a_torn_or_foreign_point_is_planned_again(tmp_path):
    words = ("sweep", write_two_tiers(tmp_path), "-o", tmp_path / "s")
    words = (*words, "--vary", "streams.camera.rate=1,2,3/s")
    first = invoke_json(*words)
    torn, foreign, _ = sorted((tmp_path / "s" / "points").glob("*.json"))
    torn.write_bytes(torn.read_bytes()[:100])
    foreign.write_text('{"format": "edgeplan-sweep-point", "settings": {}, "status": "optimal"}')
    again = invoke_json(*words)
    assert again["reused"] == 1
    for point in (*first["points"], *again["points"]):
        point.pop("seconds")
    assert again["points"] == first["points"]


def test_points_that_fail_are_told_and_tried_again(tmp_path):
    words = ("sweep", BUNDLED / "dag-skip.yaml", "-o", tmp_path / "s", "--solver", "chain")
    said = invoke(*words, "--vary", "streams.s.rate=1,2/s")
    assert said.exit_code == 1
    assert "chain" in said.stdout
    assert "2 points could not be planned" in said.stderr
    assert not list((tmp_path / "s" / "points").iterdir())


def kept(points):
    """What the files of points hold, and when they were written."""
    return {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in points.glob("*.json")
    }


@pytest.mark.parametrize(("jobs", "count"), [(1, 200), (2, 60)])
def test_a_killed_sweep_loses_nothing_and_does_nothing_twice(tmp_path, jobs, count):
    words = ("sweep", write_two_tiers(tmp_path), "-o", tmp_path / "s")
    words = (*words, "--vary", f"streams.camera.rate=0.1..9/s:{count}")
    points = tmp_path / "s" / "points"
    process = start(*words, "--jobs", jobs)
    try:
        until = time.monotonic() + 60
        while len(list(points.glob("*.json"))) < 20:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        others = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    # Workers leave by themselves; what they still finish counts.
    _, alive = psutil.wait_procs(others, timeout=20)
    assert not alive
    before = kept(points)
    assert 20 <= len(before) < count
    found = invoke_json(*words)
    assert (found["reused"], found["complete"]) == (len(before), True)
    after = kept(points)
    assert before.items() <= after.items()
    assert len(after) == count
    assert len({json.dumps(point["settings"]) for point in found["points"]}) == count
    assert all(point["status"] == "optimal" for point in found["points"])
    assert not list(points.glob(".*"))


def test_ctrl_c_keeps_finished_points(tmp_path):
    words = ("sweep", write_two_tiers(tmp_path), "-o", tmp_path / "s", "--json")
    process = start(*words, "--vary", "streams.camera.rate=0.1..9/s:400")
    try:
        until = time.monotonic() + 60
        while not list((tmp_path / "s" / "points").glob("*.json")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGINT)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130, said
    found = json.loads(out)
    assert 1 <= len(found["points"]) < 400
    assert len(found["points"]) == len(list((tmp_path / "s" / "points").glob("*.json")))
    assert "the same command goes on" in said
