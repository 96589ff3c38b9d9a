"""explain: the contract's keys, places and lines of the file, words, exit codes."""

import pytest

from edgeplan.cli.places import FilePlaces
from edgeplan.instances.bundled import names
from edgeplan.instances.generators import random_problem
from edgeplan.instances.read import read_instance
from edgeplan.instances.write import write_instance
from tests.cli.cli_helpers import TWO_TIERS, invoke, invoke_json, write_two_tiers

LISTS = (
    TWO_TIERS.replace("DEADLINE", "1 s")
    .replace("rate: 2 /s", "rate: 300 /s")
    .replace("  board: {tier", "  - {name: board, replicas: 50, tier")
    .replace("  server: {tier", "  - {name: server, replicas: 50, tier")
    .replace(
        "  camera:\n    network: net",
        "  - {name: early, network: net, origin: server, rate: 1 /h}\n"
        "  - name: camera\n    network: net",
    )
    .replace("both: true, bandwidth: 10 Mbit/s", "both: true, bandwidth: 1 Mbit/s")
)
"""Devices and streams in lists; the board alone takes 15 s of work per second, on 50 replicas."""


def test_json_has_the_keys_of_the_contract(tmp_path):
    document = invoke_json("explain", write_two_tiers(tmp_path, deadline="20 ms"))
    (item,) = document["conflict"]
    assert item["item"] == "deadline of stream 'camera'"
    assert item["where"] == "streams.camera.deadline"
    assert item["value"] == "20 ms"
    assert item["amount"] == 0.02
    assert item["unit"] == "s"
    (edit,) = document["repair"]
    assert {"item", "from", "to"} <= set(edit)
    assert (edit["from"], edit["to"]) == ("20 ms", "32.8 ms")
    assert document["infeasible"] is True
    assert document["irreducible"]
    assert document["smallest"]
    assert document["complete"]
    assert document["basis"] == "enumerated"
    assert document["repair_price"] == pytest.approx(0.64)


def test_what_the_repair_says_can_be_typed_into_the_file(tmp_path):
    document = invoke_json("explain", write_two_tiers(tmp_path, deadline="20 ms"))
    mended = write_two_tiers(tmp_path, deadline=document["repair"][0]["to"])
    again = invoke_json("explain", mended)
    assert again["infeasible"] is False
    assert again["conflict"] == []
    assert again["repair"] == []
    assert invoke_json("solve", mended)["status"] == "optimal"


def test_lines_are_those_of_the_file(tmp_path):
    path = write_two_tiers(tmp_path, deadline="20 ms")
    (item,) = invoke_json("explain", path)["conflict"]
    assert path.read_text().splitlines()[item["line"] - 1].strip() == "deadline: 20 ms"


def test_people_get_words_numbers_and_a_remedy(tmp_path):
    path = write_two_tiers(tmp_path, deadline="20 ms")
    result = invoke("explain", path)
    assert result.exit_code == 0
    for words in (
        "Infeasible",
        "deadline of stream 'camera'",
        "20 ms",
        "streams.camera.deadline (line 26)",
        "it has to give",
        "The cheapest repair",
        "32.8 ms",
        "+64.0 %",
        "proved, enumerated",
    ):
        assert words in result.stdout


def test_a_feasible_instance_says_so(tmp_path):
    result = invoke("explain", write_two_tiers(tmp_path))
    assert result.exit_code == 0
    assert result.stdout.startswith("feasible: there is a plan")


@pytest.mark.parametrize("name", names())
def test_bundled_instances_are_feasible(name, tmp_path):
    from edgeplan.instances.bundled import load

    path = tmp_path / "instance.yaml"
    write_instance(load(name), path)
    assert invoke_json("explain", path)["infeasible"] is False


def test_what_is_to_be_kept_is_not_in_the_repair(tmp_path):
    path = write_two_tiers(tmp_path, deadline="20 ms")
    document = invoke_json("explain", path, "--keep", "streams.camera.deadline")
    assert document["repair"] == []
    assert "must not give" in document["message"]
    assert document["complete"]
    result = invoke("explain", path, "--keep", "streams.camera.deadline")
    assert "no repair: what must not give leaves no plan" in result.stdout


def test_a_place_to_keep_that_is_not_there_is_told(tmp_path):
    result = invoke("explain", write_two_tiers(tmp_path), "--keep", "streams.door.deadline")
    assert result.exit_code == 2
    assert "no limit or rule at 'streams.door.deadline'" in result.stderr
    assert "streams.camera.deadline" in result.stderr


def test_places_of_lists_and_of_links_that_go_both_ways(tmp_path):
    path = tmp_path / "lists.yaml"
    path.write_text(LISTS)
    problem = read_instance(path).problem
    places = FilePlaces.read(path)
    lines = path.read_text().splitlines()
    assert [link.name for link in problem.links] == ["board->server", "server->board"]
    assert places.where(("links", 1, "bandwidth")) == "links[0].bandwidth"
    assert places.where(("devices", "server", "memory")) == "devices[1].memory"
    assert places.where(("streams", "camera", "deadline")) == "streams[1].deadline"
    assert "name: server" in lines[places.line(("devices", "server", "memory")) - 1]
    assert "deadline" in lines[places.line(("streams", "camera", "deadline")) - 1]
    assert places.where(("budgets", "money")) == "budgets.money"
    assert places.line(("budgets", "money")) is None


def test_a_conflict_in_a_file_of_lists(tmp_path):
    path = tmp_path / "lists.yaml"
    path.write_text(LISTS.replace("memory: 8 MB", "memory: 2 MB"))
    document = invoke_json("explain", path)
    where = [item["where"] for item in document["conflict"]]
    assert "devices[0].memory" in where
    assert document["complete"]


def test_without_time_nothing_is_known(tmp_path):
    path = write_two_tiers(tmp_path, deadline="20 ms")
    document = invoke_json("explain", path, "--time-limit", "0", code=4)
    assert document["infeasible"] is None
    assert document["stopped"] == "time limit"
    result = invoke("explain", path, "--time-limit", "0")
    assert result.exit_code == 4
    assert "longer --time-limit" in result.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--time-limit", "nan"], "--time-limit"),
        (["--time-limit", "-1"], "--time-limit"),
        (["--step", "0"], "--step"),
        (["nowhere.json"], "no such file"),
    ],
)
def test_wrong_options_are_bad_input(words, says, tmp_path):
    result = invoke("explain", write_two_tiers(tmp_path), *words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr


def write_small_input(folder):
    """Write an instance whose input would take 8 ms to the server, if it may go there.

    The whole on the server would then take 23.8 ms, the split takes 32.8 ms.
    """
    path = write_two_tiers(folder)
    path.write_text(path.read_text().replace("name: x, size: 100 kB", "name: x, size: 10 kB"))
    return path


def test_a_plan_is_explained(tmp_path):
    instance, plan = write_small_input(tmp_path), tmp_path / "plan.json"
    invoke_json("solve", instance, "-o", plan)
    document = invoke_json("explain", instance, plan)
    assert set(document) >= {"stages", "binding", "worth", "objective", "optimum", "basis"}
    board, server = document["stages"]
    assert (board["device"], board["layers"]) == ("board", ["a"])
    assert board["next_best"]["layers"] == ["b"]
    assert board["next_best"]["more"] == pytest.approx(0.05 - 0.0328)
    assert board["forbidden"]["device"] == "server"
    assert "privacy" in board["forbidden"]["violations"][0]
    assert board["forbidden"]["more"] == pytest.approx(-0.009)
    assert server["device"] == "server"
    worth = {entry["where"]: entry for entry in document["worth"]}
    # 8 ms for the tensor and 0.8 ms for the result at 10 Mbit/s, 1/11 of them less at 11 Mbit/s.
    assert len(worth) == len(document["worth"])
    assert worth["links[0].bandwidth"]["to"] == "11 Mbit/s"
    assert worth["links[0].bandwidth"]["gain"] == pytest.approx(0.0088 / 11)
    assert max(w["gain"] for w in document["worth"]) == worth["links[0].bandwidth"]["gain"]
    assert document["left_out"] == []
    assert document["basis"].startswith("re-solved by")
    assert {b["binds"] for b in document["binding"]} == {"no"}


def test_a_plan_is_explained_in_words(tmp_path):
    instance, plan = write_small_input(tmp_path), tmp_path / "plan.json"
    invoke_json("solve", instance, "-o", plan)
    text = invoke("explain", instance, plan).stdout
    for words in ("next best", "1: b on board", "+17.2 ms", "privacy, stream camera", "re-solved"):
        assert words in text
    tight = write_two_tiers(tmp_path, deadline="32.8 ms")
    text = invoke("explain", tight, plan, "--time-limit", "0").stdout
    assert "Limits that bind" in text
    assert "left out" in text


def test_keep_goes_without_a_plan(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke_json("solve", instance, "-o", plan)
    result = invoke("explain", instance, plan, "--keep", "streams.camera.deadline")
    assert result.exit_code == 2


@pytest.mark.parametrize("seed", [0, 1, 18, 42])
def test_random_instances_from_files(seed, tmp_path):
    """Infeasible problems of the generator, as the random tests draw them."""
    kind = ("chain", "dag", "two-device")[seed % 4]
    turn = seed // 4
    problem = random_problem(
        seed, kind=kind, layers=3 + turn % 2, devices=2 + turn % 2, streams=1 + turn % 3
    )
    path = tmp_path / "random.yaml"
    write_instance(problem, path)
    document = invoke_json("explain", path)
    assert document["infeasible"] is True
    assert document["complete"]
    assert document["conflict"]
    for part in (*document["conflict"], *document["repair"]):
        assert part["where"]
        assert part["line"] is not None
        assert part["item"]
    assert all(edit["from"] and edit["to"] for edit in document["repair"])
    assert invoke("explain", path).exit_code == 0


def write_overload(folder):
    """Write two cameras at sites of their own, of which one is asked for 1.42 of its time."""
    from tests.explain.test_loaded import sites

    path = folder / "overload.yaml"
    write_instance(sites(118, 20, replicas=1), path)
    return path


def test_an_overload_is_told_with_what_is_missing(tmp_path):
    path = write_overload(tmp_path)
    document = invoke_json("explain", path)
    assert [item["where"] for item in document["conflict"]] == [
        "streams.cam-1.rate",
        "devices.site-1.replicas.max",
    ]
    lines = path.read_text().splitlines()
    assert "cam-1" in lines[document["conflict"][0]["line"] - 1]
    (place,) = document["shortage"]["places"]
    assert place["name"] == "device 'site-1'"
    assert place["missing"] == pytest.approx(0.466)
    needs = {need["item"]: need for need in document["needs"]}
    rate = needs["arrival rate of stream 'cam-1'"]
    assert (rate["value"], rate["enough"]) == ("118/s", "79.1/s")
    assert rate["basis"] == "dual"
    assert rate["all_else_as_it_is"]
    assert document["complete"]
    (edit,) = document["repair"]
    assert (edit["from"], edit["to"], edit["where"]) == ("1", "2", "devices.site-1.replicas.max")


def test_solve_tells_why_an_overload_has_no_plan(tmp_path):
    path = write_overload(tmp_path)
    result = invoke("solve", path)
    assert result.exit_code == 3
    text = " ".join(result.stdout.split())
    for words in (
        "These cannot hold together",
        "device 'site-1': cam-1 needs 1.42 busy seconds per second, it gives 0.95",
        "0.466 missing",
        "What would be enough, each alone",
        "79.1/s",
        "streams.cam-1.rate",
    ):
        assert words in text
    solved, explained = invoke_json("solve", path, code=3), invoke_json("explain", path)
    assert solved["conflict"]
    assert solved["shortage"] == explained["shortage"]
    # explain takes longer, and may prove what solve only says.
    amounts = [[(n["where"], n["enough"]) for n in d["needs"]] for d in (solved, explained)]
    assert amounts[0] == amounts[1] != []
    assert solved["shortage"]["places"][0]["missing"] == pytest.approx(0.466, abs=1e-3)


def test_a_plan_under_load_is_explained_from_its_file(tmp_path):
    from tests.explain.test_loaded import sites

    instance, plan = tmp_path / "cameras.yaml", tmp_path / "plan.json"
    write_instance(sites(50, cloud=True, replicas=2, tail=0.15), instance)
    invoke_json("solve", instance, "-o", plan)
    document = invoke_json("explain", instance, plan)
    binding = {b["where"]: b for b in document["binding"]}
    assert binding["streams.cam-1.deadline.p95"]["used"] < 0.15
    assert "devices.site-1.replicas.max" in binding
    assert document["optimum"] is not None
    assert "Why there" in invoke("explain", instance, plan).stdout


def test_a_second_conflict_is_told_and_no_plan_is_promised_that_there_is_not(tmp_path):
    from tests.explain.test_loaded import sites

    path = tmp_path / "two.yaml"
    write_instance(sites(118, 118), path)
    assert invoke_json("explain", path)["another_conflict"] is True
    text = " ".join(invoke("explain", path).stdout.split())
    assert "there is another conflict as well" in text
    assert "Without any one of them there is a plan" not in text
    write_instance(sites(118, 20), path)
    assert invoke_json("explain", path)["another_conflict"] is False
    text = " ".join(invoke("explain", path).stdout.split())
    assert "Without any one of them there is a plan. " in text
    assert "another conflict" not in text


TAILED = """
format: edgeplan-instance
version: 1
name: tailed
networks:
  net:
    layers: [{name: a}]
    tensors: [{name: x, size: 1 kB, consumers: a}, {name: y, size: 1 kB, producer: a, output: true}]
    costs: {board: {times: 10 ms}}
devices:
  board: {replicas: 2}
streams:
  - {name: early, network: net, origin: board, rate: 1 /h}
  - name: cam
    network: net
    origin: board
    rate: 20 /s
    deadline:
      p99.0: 2 s
      mean: 5 ms
waiting: mg1
objective: {latency: 1}
"""


def test_deadlines_by_statistic_are_told_and_kept_where_the_file_has_them(tmp_path):
    path = tmp_path / "tailed.yaml"
    path.write_text(TAILED)
    lines = path.read_text().splitlines()
    document = invoke_json("explain", path)
    (item,) = document["conflict"]
    assert item["where"] == "streams[1].deadline.mean"
    assert lines[item["line"] - 1].strip() == "mean: 5 ms"
    (edit,) = document["repair"]
    assert edit["where"] == "streams[1].deadline.mean"
    places = FilePlaces.read(path)
    tail = ("streams", "cam", "deadline", "p99")
    assert places.where(tail) == "streams[1].deadline.p99.0"
    assert lines[places.line(tail) - 1].strip() == "p99.0: 2 s"
    for place in ("streams[1].deadline.mean", "streams[1].deadline", "streams[1]"):
        assert invoke_json("explain", path, "--keep", place)["repair"] == []
    assert invoke_json("explain", path, "--keep", "streams[1].deadline.p99.0")["repair"]
    assert invoke("explain", path, "--keep", "streams[1].dead").exit_code == 2


def test_that_percentiles_are_estimates_is_said_wherever_infeasible_is(tmp_path):
    from tests.explain.test_loaded import sites

    path = tmp_path / "estimated.yaml"
    write_instance(sites(130, cloud=True, tail=0.056, bandwidth=8e6), path)
    for command, code in (("explain", 0), ("solve", 3)):
        document = invoke_json(command, path, code=code)
        assert document["rests_on_estimates"] is True
        assert "estimated" in [item["judged_by"] for item in document["conflict"]]
        text = " ".join(invoke(command, path).stdout.split())
        assert text.count("; of estimates, not of bounds") == (1 if command == "explain" else 2)
        assert "p95 deadline of stream 'cam-1': an estimate of the percentile" in text
    write_instance(sites(70, replicas=3, tail=0.05), path)
    assert invoke_json("explain", path)["rests_on_estimates"] is False
    text = " ".join(invoke("explain", path).stdout.split())
    assert "of estimates" not in text
    assert "an upper bound on the percentile (safe)" in text


def test_a_link_that_goes_both_ways_is_mended_as_the_one_entry_that_it_is(tmp_path):
    path = tmp_path / "both.yaml"
    text = TWO_TIERS.replace("DEADLINE", "1 h").replace("rate: 2 /s", "rate: 30 /s")
    text = text.replace("size: 1 kB, producer: b", "size: 8 kB, producer: b")
    text = text.replace("      board: {times: 10 40 ms}\n", "").replace(
        "{zones: home}", "{zones: [home, away]}"
    )
    text = text.replace("size: 100 kB, consumers", "size: 10 kB, consumers")
    path.write_text(text.replace("bandwidth: 10 Mbit/s", "bandwidth: 1 Mbit/s"))
    document = invoke_json("explain", path)
    (edit,) = document["repair"]
    assert edit["where"] == "links[0].bandwidth"
    assert edit["item"] == "bandwidth of link 'board->server', both ways"
    assert document["complete"]
    assert "both ways" in " ".join(invoke("explain", path).stdout.split())
    (solved,) = invoke_json("solve", path, code=3)["repair"]
    assert solved == edit
    # What it says can be typed into the file.
    path.write_text(text.replace("bandwidth: 10 Mbit/s", f"bandwidth: {edit['to']}"))
    assert invoke_json("explain", path)["infeasible"] is False
