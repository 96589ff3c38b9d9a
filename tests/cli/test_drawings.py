"""Plans drawn on tiers: nothing is lost from 60 to 200 columns, on pipes and in plain encodings."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from rich.text import Text

from edgeplan.cli import app, tables, units
from edgeplan.cli.encodings import make_safe
from edgeplan.instances import bundled
from edgeplan.instances.plans import write_plan
from edgeplan.instances.read import read_instance
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from tests.cli.cli_helpers import invoke, invoke_json, start, write_two_tiers

WIDTHS = (60, 72, 80, 100, 120, 160, 200)
ANSI = "\x1b["

THREE_TIERS = """\
format: edgeplan-instance
version: 1
name: three
networks:
  net:
    layers: [{name: a}, {name: b}, {name: c}, {name: d}]
    tensors:
      - {name: x, size: 600 kB, consumers: [a, c]}
      - {name: t, size: 803 kB, producer: a, consumers: b}
      - {name: u, size: 401 kB, producer: b, consumers: [c, d]}
      - {name: v, size: 333 kB, producer: c, consumers: d}
      - {name: y, size: 1 kB, producer: d, output: true}
    costs:
      camera-at-the-front-door: {times: 11 22 33 44 ms}
      shelf: {times: 11 22 33 44 ms}
      gateway: {times: 1 2 3 4 ms}
      server: {times: 0.1 0.2 0.3 0.4 ms}
devices:
  camera-at-the-front-door: {tier: device}
  shelf: {tier: device}
  server: {tier: cloud}
  gateway: {tier: edge}
links:
  - {from: camera-at-the-front-door, to: shelf, both: true, bandwidth: 100 Mbit/s, latency: 1 ms}
  - {from: camera-at-the-front-door, to: gateway, both: true, bandwidth: 100 Mbit/s, latency: 2 ms}
  - {from: camera-at-the-front-door, to: server, both: true, bandwidth: 10 Mbit/s, latency: 9 ms}
  - {from: shelf, to: gateway, both: true, bandwidth: 100 Mbit/s, latency: 2 ms}
  - {from: shelf, to: server, both: true, bandwidth: 10 Mbit/s, latency: 9 ms}
  - {from: gateway, to: server, both: true, bandwidth: 20 Mbit/s, latency: 5 ms}
streams:
  doors: {network: net, origin: camera-at-the-front-door, rate: 1 /s, deadline: 3 s}
"""


def three_tiers(folder: Path):
    path = folder / "three.yaml"
    path.write_text(THREE_TIERS)
    return read_instance(path).problem


def drawn(capsys, problem, *devices: str) -> str:
    plan = Plan(routes={"doors": (Route(devices=devices),)})
    tables.drawing(problem, evaluate(problem, plan))
    return capsys.readouterr().out


ROUTES = [
    ("camera-at-the-front-door", "gateway", "server", "server"),
    ("gateway", "server", "gateway", "camera-at-the-front-door"),
    ("server", "shelf", "camera-at-the-front-door", "gateway"),
    ("shelf",) * 4,
    ("camera-at-the-front-door",) * 4,
]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("devices", ROUTES, ids=lambda names: "-".join(n[0] for n in names))
def test_every_stage_and_transfer_is_there(width, devices, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    problem = three_tiers(tmp_path)
    out = drawn(capsys, problem, *devices)
    assert max(map(len, out.splitlines())) <= width
    (price,) = evaluate(problem, Plan(routes={"doors": (Route(devices=devices),)})).streams
    route = price.routes[0]
    boxes = re.findall(r"\[([^\]]+)\]", out)
    assert boxes == [
        f"{stage.device if len(stage.device) <= 24 else stage.device[:23] + '…'} "
        f"{units.seconds(stage.seconds)}"
        for stage in route.stages
    ]
    for transfer in route.transfers:
        assert f"{units.size(transfer.bytes)}, {units.seconds(transfer.seconds)}" in out
    assert out.count("results") == len(route.returned)
    assert units.seconds(route.latency_seconds) in out
    assert "deadline 3.00 s" in out


def test_tiers_stand_in_order_and_boxes_in_their_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    lines = drawn(capsys, three_tiers(tmp_path), *ROUTES[0]).splitlines()
    assert lines[1].split() == ["device", "edge", "cloud"]
    for tier, box in (("device", "[camera"), ("edge", "[gateway"), ("cloud", "[server")):
        (line,) = [line for line in lines if box in line]
        assert line.index(box) == lines[1].index(tier)
    arrow = next(line for line in lines if "803 kB" in line)
    assert re.search(r"─ 803 kB, [^ ]+ ms ─+▶ \[gateway", arrow)


def test_inputs_from_elsewhere_say_where_they_come_from(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    # The third layer reads the picture too, which the server does not have.
    out = drawn(capsys, three_tiers(tmp_path), *ROUTES[0])
    assert re.search(r"\+ 600 kB, .* from camera-at-the-front-door", out)


def test_empty_tiers_are_left_out_where_room_is_short(tmp_path, capsys, monkeypatch):
    problem = three_tiers(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert drawn(capsys, problem, *ROUTES[4]).splitlines()[1].split() == ["device"]
    monkeypatch.setenv("COLUMNS", "120")
    assert drawn(capsys, problem, *ROUTES[4]).splitlines()[1].split() == [
        "device", "edge", "cloud",
    ]  # fmt: skip


def test_more_tiers_than_columns_stand_below_each_other(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    devices = [f"board-{n}" for n in range(6)]
    plan = Plan(routes={"s": (Route(devices=tuple(devices)),)})
    tables.plan_drawing(plan)
    out = capsys.readouterr().out
    assert re.findall(r"\[(board-\d) \d\]", out) == devices
    assert max(map(len, out.splitlines())) <= 60
    assert out.count("▼") == 5


def test_splits_and_waits_are_told(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    problem = bundled.load("four-sites").problem
    layers = len(problem.network[problem.streams[0].network].layers)
    plan = Plan(
        routes={
            stream.name: (
                Route(devices=(stream.origin,) * layers, fraction=0.75),
                Route(devices=("cloud",) * layers, fraction=0.25),
            )
            for stream in problem.streams
        },
        replicas={},
    )
    tables.drawing(problem, evaluate(problem, plan))
    out = capsys.readouterr().out
    assert re.search(r"^north #1  75\.0 %, [0-9.]+ m?s", out, re.MULTILINE)
    assert re.search(r"^north #2  25\.0 %, [0-9.]+ m?s", out, re.MULTILINE)
    assert re.search(r"\[[^\]]+, waits [0-9.]+ [mµ]?s\]", out)


def test_many_streams_are_counted(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    plan = Plan(routes={f"stream{n}": (Route(devices=("a", "b")),) for n in range(29)})
    tables.plan_drawing(plan)
    out = capsys.readouterr().out
    shown = out.count("\nstream")
    assert 10 < shown < 29
    assert f"… and {29 - shown} more routes; the table has all" in out


def test_names_of_files_cannot_write_to_the_terminal(capsys):
    tables.plan_drawing(Plan(routes={"s\x1b[31m": (Route(devices=("[red]\x1b]0;x\x07",)),)}))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[red]" in out


# --- the whole of what solve and show print -----------------------------------------------------


@pytest.mark.parametrize("width", WIDTHS)
def test_show_of_a_plan_with_its_instance(width, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke("solve", instance, "-o", plan)
    out = invoke("show", plan, "--instance", instance).stdout
    assert max(map(len, out.splitlines())) <= width
    for words in (
        "[board 10.0 ms]", "[server 4.00 ms]", "10.0 kB, 13.0 ms", "results 1.00 kB, 5.80 ms",
        "this plan", "all-at-origin", "cloud:server", "proved, enumerated",
    ):  # fmt: skip
        assert words in out, words
    assert re.search(r"bound claimed +0\.0328 s", out)
    ticked = next(line for line in out.splitlines() if "✓" in line)
    assert "this plan" in ticked
    assert "0.0328 s" in ticked


def test_show_of_a_plan_with_its_instance_for_machines(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke("solve", instance, "-o", plan)
    found = invoke_json("show", plan, "--instance", instance)
    assert found["evaluation"]["objective"] == pytest.approx(0.0328)
    assert found["claim"]["bound"] == pytest.approx(0.0328)
    assert found["baselines"]["all-at-origin"]["objective"] == pytest.approx(0.05)


def test_an_instance_is_for_plans_only(tmp_path):
    instance = write_two_tiers(tmp_path)
    again = invoke("show", instance, "--instance", instance)
    assert again.exit_code == 2
    assert "is for a plan" in again.stderr


def test_show_of_a_plan_alone_draws_devices_and_layers(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    invoke("solve", instance, "-o", plan)
    out = invoke("show", plan).stdout
    assert re.search(r"\[board 0\]─+▶ \[server 1\]", out)


# --- pipes, encodings, colours ------------------------------------------------------------------


def piped(words: list[object], encoding: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a command writes to a pipe of that encoding."""
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding=encoding))
    make_safe()
    with pytest.raises(SystemExit) as leaving:
        app.main([str(word) for word in words])
    sys.stdout.flush()
    assert leaving.value.code == 0
    return pipe.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8"])
def test_a_pipe_of_any_encoding(encoding, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    path = write_two_tiers(tmp_path)
    path.write_text(path.read_text().replace("board", "börd→1"), encoding="utf-8")
    out = piped(["solve", path], encoding, monkeypatch)
    assert ANSI not in out
    line, tip = {"utf-8": ("─", "▶"), "cp437": ("─", ">")}.get(encoding, ("-", ">"))
    assert re.search(rf"{line}{{3,}} 10\.0 kB, .* ms {line}{{3,}}{tip} \[server 4\.00 ms\]", out)
    assert ("börd" in out) is (encoding != "ascii")
    if encoding == "ascii":
        assert "[b\\xf6rd->1 10.0 ms]" in out


def test_tables_in_ascii_keep_their_columns(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = piped(["solve", write_two_tiers(tmp_path)], "ascii", monkeypatch)
    lines = out.partition("Plans considered (predicted)\n")[2].splitlines()
    head, row = lines[1], next(line for line in lines if "enumerate" in line)
    assert row.startswith(" + ")
    assert row.index("32.8 ms") + len("32.8 ms") == head.index("latency") + len("latency")
    assert max(map(len, out.splitlines())) <= 100


def test_a_process_with_a_plain_pipe(tmp_path):
    """The whole way, with the interpreter's own encoding of stdout."""
    plan = Plan(routes={"s→1": (Route(devices=("börd", "server")),)})
    write_plan(plan, tmp_path / "plan.json")
    process = start("show", tmp_path / "plan.json", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.isascii()
    assert re.search(r"\[b\\xf6rd 0\]-+> \[server 1\]", out)


def test_old_windows_consoles_get_ascii(monkeypatch, capsys):
    from edgeplan.cli.tables import table

    made = table.SafeConsole
    monkeypatch.setattr(table, "SafeConsole", lambda **kw: made(legacy_windows=True, **kw))
    tables.show("t", ("", "plan", ">µs"), [("✓", "a → b", "∞")])
    tables.plan_drawing(Plan(routes={"s": (Route(devices=("a", "b")),)}))
    out = capsys.readouterr().out
    assert out.isascii()
    assert "a -> b" in out
    assert re.search(r"\[a 0\]-+> \[b 1\]", out)


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False), ({}, False)],
)
def test_colours_on_terminals_only_and_not_against_ones_wish(
    environment, colours, monkeypatch, capsys
):
    for key in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    tables.plan_drawing(Plan(routes={"s": (Route(devices=("a", "b")),)}))
    out = capsys.readouterr().out
    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", out) for code in codes.split(";")}
    assert bool({"32", "36"} & codes) is colours
    if not environment:
        assert ANSI not in out
    assert "[a 0]" in Text.from_ansi(out).plain
