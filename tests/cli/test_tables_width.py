"""Tables in terminals of any width: numbers and the tick stay whole, the rest folds or goes."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeplan.cli import tables, units
from edgeplan.cli.solve import SOLVERS
from edgeplan.model.errors import InputError
from edgeplan.solvers import registry
from edgeplan.solvers.search import refused
from tests.cli.cli_helpers import invoke, invoke_json, write_two_tiers

WIDTHS = (60, 80, 100, 120, 140)


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    path = tmp_path / "starter.yaml"
    path.write_text(resources.files("edgeplan.instances").joinpath("starter.yaml").read_text())
    return path


def table(out: str, title: str) -> list[str]:
    """Return the lines of a table, from its headings to what follows it."""
    lines = out.partition(f"{title}\n")[2].splitlines()
    end = next(i for i, line in enumerate(lines) if i > 2 and not line.strip())
    return [*lines[1:end], *lines[end + 1 : end + 2]]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("words", [(), ("--objective", "throughput")])
def test_plans_and_stages_can_be_read(width, words, starter, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    answer = invoke_json("solve", starter, *words)
    result = invoke("solve", starter, *words)
    assert "…" not in result.stdout.replace(" … head", "").replace("…\n", "")
    assert max(map(len, result.stdout.splitlines())) <= width
    plans = table(result.stdout, "Plans considered (predicted)")
    (ticked,) = [line for line in plans if "✓" in line]
    assert f"{answer['objective']:.6g}" in ticked
    assert ticked.split()[1:3] == ["enumerate", "2"]
    for name in ("all-at-origin", "cloud:cloud", "best-cut", "greedy"):
        assert any(name in line for line in plans)
    told = " ".join(" ".join(plans).split())
    for kind in ("memory", "privacy, ban,", "deadline,", "capacity"):
        assert kind in told
    stages = table(result.stdout, "Stages (predicted)")
    for heading in ("device", "layers", "compute"):
        assert heading in stages[0]
    assert "gateway" in " ".join(stages)
    assert "41.5 ms" in " ".join(stages)
    for heading in ("share", "arrives", "transfer"):
        assert (heading in stages[0]) != (heading in stages[-1])


@pytest.mark.parametrize("width", WIDTHS)
def test_an_infeasible_answer_can_be_read(width, starter, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    starter.write_text(starter.read_text().replace("deadline: 250 ms", "deadline: 20 ms"))
    result = invoke("solve", starter)
    assert result.exit_code == 3
    assert max(map(len, result.stdout.splitlines())) <= width
    plans = table(result.stdout, "Plans considered (predicted)")
    (worst,) = [line for line in plans if "cloud:cloud" in line]
    assert "7.71" in worst
    assert "✗ privacy" in worst


def test_what_is_not_minimised_goes_first(starter, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = invoke("solve", starter, "--objective", "throughput").stdout
    plans = table(out, "Plans considered (predicted)")
    assert "period" in plans[0]
    assert "cost" not in plans[0]
    assert "energy, cost" in plans[-1]


def test_columns_with_two_marks_go_before_those_with_one(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "28")
    tables.show("t", ("", "??>first", "?>second", ">last"), [("✓", *["123.4 Mbit/s"] * 3)])
    out = capsys.readouterr().out
    assert "second" not in out.splitlines()[2]
    monkeypatch.setenv("COLUMNS", "40")
    tables.show("t", ("", "??>first", "?>second", ">last"), [("✓", *["123.4 Mbit/s"] * 3)])
    out = capsys.readouterr().out
    assert re.search(r"second +last", out)
    assert out.count("first") == 1
    assert "left out, as there is no room: first" in out


def test_a_legend_is_of_the_columns_that_are_shown(capsys, monkeypatch):
    legend = {"first": "one", "second": "one", "last": "other", "never": "no column"}
    rows = [("✓", *["123.4 Mbit/s"] * 3)]
    for width, told in (
        (28, "last: other."),
        (40, "second: one; last: other."),
        (80, "first, second: one; last: other."),
    ):
        monkeypatch.setenv("COLUMNS", str(width))
        tables.show("t", ("", "??>first", "?>second", ">last"), rows, legend=legend, footer="end")
        assert capsys.readouterr().out.splitlines()[-3:-1] == [told, "end"]


EXPLAINED = {
    "Plans compared": {
        "predicted mean", "prediction is", "simulated mean", "± 95 %", "simulated p95", "bars",
    },
    "Mean latencies": {"predicted mean", "± 95 %", "in time"},
    "Percentiles": {"prediction is"},
    "Streams (predicted)": {"p95", "p99"},
}  # fmt: skip
"""By table, the columns that its legend explains."""


@pytest.mark.parametrize("width", [60, 100, 220])
def test_legends_of_results_under_load(width, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    instance.write_text(instance.read_text().replace("objective:", "waiting: mg1\nobjective:"))
    out = invoke("solve", instance, "-o", plan).stdout
    out += invoke("simulate", instance, plan, "--requests", 2000).stdout
    out += invoke("baselines", instance, "--requests", 2000).stdout
    for title, explained in EXPLAINED.items():
        lines = out.partition(f"\n{title}")[2].splitlines()[1:]
        rule = next(i for i, line in enumerate(lines) if "───" in line)
        shown = {
            heading
            for heading in explained
            if re.search(rf"(?:^|  ){re.escape(heading)}(?:  |$)", lines[rule - 1].strip())
        }
        below = lines[rule:]
        start = next(i for i, line in enumerate(below) if not line.strip())
        told = " ".join(below[start + 1 : below.index("", start + 1)])
        for heading in explained:
            found = re.search(rf"{re.escape(heading)}(?:, p99)?: ", told)
            assert (found is not None) == (heading in shown), told
        assert shown == explained or width < 220
    assert "copies" not in out
    assert "replicas" not in out


def test_a_terminal_too_narrow_for_its_numbers_cuts_none(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    tables.show("t", ("", "plan", ">a", ">b"), [("✓", "name " * 9, "123.4 Mbit/s", "567.8 ms")])
    out = capsys.readouterr().out
    for text in ("✓", "123.4 Mbit/s", "567.8 ms"):
        assert text in out


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_a_rate_that_is_printed_can_be_asked_for(value):
    text, unit = units.request_rate(value).split()
    assert unit == "/s"
    assert value * (1 - 1.001e-3) <= float(text) <= value * (1 + 1e-8)


def test_the_throughput_that_is_printed_is_feasible_as_min_rate(starter):
    out = invoke("solve", starter, "--objective", "throughput").stdout
    rate = re.search(r"throughput +(\S+ /s): a period of", out)[1]
    assert rate == "14.58 /s"
    starter.write_text(starter.read_text() + f"\nbudgets: {{min_rate: {rate}}}\n")
    assert invoke_json("solve", starter)["status"] == "optimal"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (units.percent, 4e-9, "<0.01 %"),
        (units.percent, 0.0002, "0.02 %"),
        (units.percent, -4e-9, ">-0.01 %"),
        (units.gap, 1e-8, "0 %"),
        (units.gap, 1e-9, "0 %"),
        (units.gap, 1.1e-8, "<0.0001 %"),
        (units.gap, 2e-6, "0.0002 %"),
        (units.gap, 0.01, "1.0 %"),
        (units.gap, None, "–"),
        (units.gap, float("inf"), "∞"),
    ],
)
def test_small_shares_and_gaps(unit, value, text):
    assert unit(value) == text


def test_a_negative_gap_shows():
    assert units.gap(-1e-7).startswith("-")


def test_a_device_without_layers_is_not_off_if_it_sends(tmp_path):
    instance = write_two_tiers(tmp_path)
    text = instance.read_text().replace("    privacy: {zones: home}\n", "")
    instance.write_text(text.replace("active_power: 5 W", "memory: 1 B", 1))
    instance.write_text(instance.read_text().replace("memory: 8 MB, ", ""))
    devices = table(invoke("solve", instance).stdout, "Devices (predicted)")
    (board,) = [line for line in devices if "board" in line]
    assert "transfers only" in board


def test_links_that_carry_next_to_nothing_are_counted(tmp_path):
    instance = write_two_tiers(tmp_path)
    instance.write_text(instance.read_text().replace("rate: 2 /s", "rate: 0.001 /s"))
    out = invoke("solve", instance).stdout
    assert "Links in use: 2 busy for less than 0.01 % of the time" in out
    priced = invoke("solve", instance, "--objective", "throughput").stdout
    links = table(priced, "Links in use (predicted)")
    assert links[0].split() == ["link", "busy", "period", "traffic"]
    assert [line.split()[0] for line in links[2:4]] == ["board->server", "server->board"]


def test_one_quantity_has_its_unit_in_every_table(tmp_path):
    instance, plan = write_two_tiers(tmp_path), tmp_path / "plan.json"
    plans = table(invoke("solve", instance, "-o", plan).stdout, "Plans considered (predicted)")
    assert any("0.0328 s" in line for line in plans if "✓" in line)
    assert re.search(r"objective +0.0328 s", invoke("evaluate", instance, plan).stdout)


def test_the_help_lists_objectives_and_solvers():
    from edgeplan.model.problem import OBJECTIVES

    assert tuple(registry.solvers()) == SOLVERS
    text = " ".join(invoke("solve", "--help").stdout.split())
    for name in (*OBJECTIVES, *SOLVERS, "auto takes the solver that suits"):
        assert name in text


def test_init_again_names_force(tmp_path):
    assert invoke("init", tmp_path).exit_code == 0
    again = invoke("init", tmp_path)
    assert again.exit_code == 2
    assert "--force" in again.stderr


def test_a_remedy_is_said_once():
    error = refused("x", ["a: use 'highs'", "b", "c: use 'cp-sat'", "d: use 'highs'"])
    assert isinstance(error, InputError)
    told = ["a", "b", "c: use 'cp-sat'", "d: use 'highs'"]
    assert [fault.message for fault in error.faults] == told


def test_an_unsupported_solver_is_told_line_by_line(starter):
    for words in ((), ("--dry-run",)):
        result = invoke("solve", starter, "--solver", "mincut", *words)
        assert result.exit_code == 2
        assert result.stderr.count("use the solver 'highs'") == 1
        assert max(map(len, result.stderr.splitlines())) < 300


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("rates", [(118, 20), (118, 118)])
def test_what_would_be_enough_can_be_read(width, rates, tmp_path, monkeypatch):
    from edgeplan.instances.write import write_instance
    from tests.explain.test_loaded import sites

    path = tmp_path / "overload.yaml"
    write_instance(sites(*rates, cloud=True, bandwidth=1e6), path)
    monkeypatch.setenv("COLUMNS", str(width))
    result = invoke("explain", path, "--time-limit", "20")
    rows = table(result.stdout, "What would be enough, each alone")
    assert max(map(len, rows)) <= width
    told = " ".join(" ".join(rows).split())
    for number in ("118/s", "8 Mbit/s", "19.92 Mbit/s"):
        assert number in told
    # No word of what gives is broken, and where it stands is told or left out as a whole.
    first = {word for row in rows[2:-1] for word in row[1:].split("  ")[0].split()}
    assert {"replicas", "bandwidth", "arrival", "stream", "device", "link"} <= first
    assert ("where" in rows[0]) is (width > 60)
    if width == 60:
        assert "left out, as there is no room: where" in rows[-1]
