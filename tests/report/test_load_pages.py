"""Pages of simulations, comparisons and sweeps, made from what the commands write."""

from __future__ import annotations

import json

import pytest

from edgeplan.instances.detect import detect
from edgeplan.model.errors import InputError
from edgeplan.report.load_sweeps import comparison_page, sweep_page
from edgeplan.report.page import render
from edgeplan.report.plots import Curve, curves, harmless
from edgeplan.report.read import build, find
from edgeplan.report.simulations import simulation_page
from edgeplan.report.sweeps import Scale
from edgeplan.report.sweeps import sweep_page as parameters_page
from tests.cli.cli_helpers import invoke_json, write_two_tiers
from tests.report.hostile import IMAGE, SCRIPT
from tests.report.page_helpers import read, waiting_tiers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What each command writes of the small instance with queues."""
    folder = tmp_path_factory.mktemp("written")
    instance = waiting_tiers(folder)
    plan = folder / "plan.json"
    few = ("--requests", 3000)

    def keep(name, document):
        (folder / name).write_text(json.dumps(document))

    keep("result.json", invoke_json("solve", instance, "-o", plan))
    keep("simulation.json", invoke_json("simulate", instance, plan, *few))
    keep("comparison.json", invoke_json("baselines", instance, *few))
    swept = ("--sweep", "rho=0.3:0.6", "--points", 2, "--seeds", 2)
    keep("load-sweep.json", invoke_json("baselines", instance, *few, *swept))
    # The deadline is tight, so that one of the points has no plan.
    (folder / "tight").mkdir()
    tight = write_two_tiers(folder / "tight", "45 ms")
    varied = ("--vary", "links.*.bandwidth=500kbit/s,10Mbit/s", "--vary", "streams.*.rate=1,2/s")
    keep("parameter-sweep.json", invoke_json("sweep", tight, *varied, "-o", folder / "sweep"))
    return folder


def document(folder, name):
    return json.loads((folder / f"{name}.json").read_text())


def figures(page):
    return {figure.id: figure for each in page.sections for figure in each.figures}


def tables(page):
    return {
        table.caption: table for each in page.sections for table in each.context.get("tables", ())
    }


@pytest.mark.parametrize(
    "name", ["plan", "result", "simulation", "comparison", "load-sweep", "parameter-sweep"]
)
def test_what_commands_write_is_recognised_and_shown(folder, name):
    path = folder / f"{name}.json"
    assert detect(path) == name
    page = build([path])
    text = render(page)
    assert page.title in read(text).text
    assert len(text) < 3_000_000


def test_a_sweeps_folder_is_recognised(folder):
    assert find(folder / "sweep").kind == "sweep"
    assert build([folder / "sweep"]).facts == build([folder / "parameter-sweep.json"]).facts


def test_formats_stand_at_the_top_beside_the_keys_of_the_contract(folder):
    for name, keys in {
        "result": {"status", "objective", "bound", "gap", "evaluation", "baselines"},
        "simulation": {"requests", "streams", "devices", "energy_joules", "cost_dollars"},
        "load-sweep": {"sweep", "points"},
        "comparison": {"baselines"},
        "parameter-sweep": {"varied", "points", "complete"},
    }.items():
        found = document(folder, name)
        assert list(found)[:3] == ["format", "version", "instance"]
        assert found["format"] == f"edgeplan-{name}"
        assert keys <= set(found)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        '{"a": 1}',
        '{"plan": {"feasible": true, "predicted": 1, "simulated": 1}}',
    ],
)
def test_json_without_a_format_is_no_file_of_edgeplan(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError):
        detect(tmp_path / "x.json")


def test_a_simulation_stands_beside_its_prediction(folder):
    found = document(folder, "simulation")
    page = build([folder / "simulation.json"])
    (stream,) = found["streams"]
    data = {trace["name"]: trace for trace in figures(page)["latency"].data}
    assert data["mean, simulated"]["x"] == pytest.approx([1e3 * stream["mean_seconds"]])
    spread = data["mean, simulated"]["error_x"]
    assert spread["array"] == pytest.approx([1e3 * stream["half_width"]])
    assert spread["arrayminus"] == pytest.approx([1e3 * stream["half_width"]])
    low, high = stream["p95_interval"]
    assert data["p95, simulated"]["error_x"]["array"] == pytest.approx(
        [1e3 * (high - stream["p95"])]
    )
    assert data["p95, simulated"]["error_x"]["arrayminus"] == pytest.approx(
        [1e3 * (stream["p95"] - low)]
    )
    assert data["mean, predicted"]["x"] == pytest.approx(
        [1e3 * stream["predicted"]["mean_seconds"]]
    )
    devices = tables(page)[
        "Devices: share of the time busy, and waits (simulated, beside predicted)"
    ]
    bars = next(cells for cells in devices.rows if cells[0].text == "board")
    bar = next(each for each in bars if each.mark is not None)
    board = next(each for each in found["devices"] if each["name"] == "board")
    assert bar.bar[0].length == pytest.approx(board["utilisation"])
    assert bar.mark == pytest.approx(board["predicted"]["utilisation"])


def test_an_unstable_simulation_says_so_first(folder):
    found = document(folder, "simulation")
    found["stable"] = False
    text = read(render(simulation_page(found))).text
    assert text.index("A queue grows without end") < text.index("simulated, mean")


def test_curves_over_the_load_have_bands_of_their_confidence(folder):
    found = document(folder, "load-sweep")
    page = build([folder / "load-sweep.json"])
    traces = figures(page)["latency-curves"].data
    (line,) = [
        trace
        for trace in traces
        if trace["mode"] == "lines+markers" and "plan" in trace["name"].split(", ")
    ]
    runs = [point["baselines"]["plan"]["simulated"] for point in found["points"]]
    assert line["x"] == [point["rho"] for point in found["points"]]
    assert line["y"] == pytest.approx([1e3 * run["latency_seconds"] for run in runs])
    low, high = [
        trace
        for trace in traces
        if trace["legendgroup"] == line["legendgroup"] and trace["line"].get("width") == 0
    ]
    assert high["y"] == pytest.approx(
        [1e3 * (run["latency_seconds"] + run["half_width"]) for run in runs]
    )
    assert all(value > 0 for value in low["y"])
    (dotted,) = [
        trace
        for trace in traces
        if trace["legendgroup"] == line["legendgroup"] and trace["mode"] == "lines"
        if trace["line"].get("dash") == "dot"
    ]
    assert dotted["y"] == pytest.approx(
        [
            1e3 * point["baselines"]["plan"]["predicted"]["latency_seconds"]
            for point in found["points"]
        ]
    )


def test_a_plan_that_breaks_a_limit_is_hollow():
    plan = {"feasible": True, "predicted": {"latency_seconds": 0.1}, "simulated": None}
    broken = {**plan, "feasible": False, "why": SCRIPT}
    point = {"rate": 1.0, "baselines": {"plan": plan, "all-cloud": broken}}
    page = sweep_page({"sweep": "rate", "points": [point]})
    assert SCRIPT in read(render(page)).text
    shown = curves(
        figures(page)["busiest-curves"],
        [Curve(name="a", series=0, x=[1.0], y=[1.0], hollow=[True])],
        "x",
        "y",
    )
    assert shown.data[0]["marker"]["symbol"] == ["circle-open"]


def test_plans_at_one_load_are_ranked_with_ours_first(folder):
    page = build([folder / "comparison.json"])
    table = tables(page)["Plans side by side"]
    names = [cells[0].text for cells in table.rows]
    assert names[0] == "plan"
    assert len(names) == 8
    assert list(figures(page)["plans"].data[0]["y"]) == names
    limits = [column.name for column in table.columns].index("limits")
    kept = [cells[limits].text == "keeps every limit" for cells in table.rows]
    assert kept == sorted(kept, reverse=True)


def test_points_of_a_sweep_are_in_order_with_their_plans(folder):
    page = build([folder / "sweep"])
    assert page.facts["points"] == 4
    table = next(table for name, table in tables(page).items() if name.startswith("Every point"))
    told = [tuple(cell.text for cell in cells[:4]) for cells in table.rows]
    assert [words[:2] for words in told] == [
        ("500 kbit/s", "1/s"),
        ("500 kbit/s", "2/s"),
        ("10 Mbit/s", "1/s"),
        ("10 Mbit/s", "2/s"),
    ]
    assert [words[3] for words in told] == ["infeasible", "infeasible", "optimal", "optimal"]
    assert [words[2] for words in told] == ["–", "–", "A", "A"]
    objective = figures(page)["objective"]
    assert [trace["y"] for trace in objective.data] == [[None, pytest.approx(0.0328)]] * 2
    assert objective.layout["xaxis"]["type"] == "log"


@pytest.mark.parametrize(
    ("values", "numbers", "unit"),
    [
        (["2 /s", "10 /s", "1 /s"], (1.0, 2.0, 10.0), "/s"),
        (["1 s", "20 ms"], (0.02, 1.0), "s"),
        (["3", "1.5"], (1.5, 3.0), ""),
        (["wifi", "lan"], (), ""),
        (["1 ms", "1 Mbit/s"], (), ""),
    ],
)
def test_values_of_a_parameter_make_an_axis(values, numbers, unit):
    scale = Scale.of(values)
    assert scale.numbers == pytest.approx(numbers)
    assert scale.unit == unit
    assert set(scale.order) == set(values)


def test_a_sweep_without_points_is_refused():
    with pytest.raises(InputError, match="no finished point"):
        parameters_page([])
    with pytest.raises(InputError, match="no load"):
        sweep_page({"sweep": "rho", "points": []})


@pytest.mark.parametrize("make", [simulation_page, comparison_page])
@pytest.mark.parametrize(
    "stated",
    [{}, {"streams": [5, {}]}, {"plan": {}}, {"plan": {"predicted": 3, "simulated": []}}],
)
def test_files_with_parts_missing_make_a_page(make, stated):
    read(render(make(stated)))


def test_hostile_names_stay_text(folder):
    found = document(folder, "simulation")
    found["instance"] = SCRIPT
    found["notes"] = [IMAGE]
    found["streams"][0]["name"] = found["devices"][0]["name"] = SCRIPT
    text = render(simulation_page(found, [IMAGE]))
    assert SCRIPT not in text
    assert SCRIPT in read(text).text
    assert IMAGE in read(text).text
    # Plotly reads some tags in its own texts.
    labels = figures(simulation_page(found))["latency"].data[0]["y"]
    assert labels == [harmless(SCRIPT)]
