"""``edgeplan simulate -o``: what is written is what ``--json`` prints."""

import json

from click.testing import CliRunner

from edgeplan.cli import app


def test_a_simulation_is_written_and_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert runner.invoke(app, ["init", "sites", "--example", "four-sites"]).exit_code == 0
    instance, plan = "sites/instance.yaml", "plan.json"
    solved = runner.invoke(app, ["solve", instance, "-o", plan])
    assert solved.exit_code == 0, solved.output
    words = ["simulate", instance, plan, "--requests", "2000", "--seed", "3"]
    printed = runner.invoke(app, [*words, "-o", "sim.json"])
    assert printed.exit_code == 0, printed.output
    assert "simulation: sim.json" in printed.stdout
    written = json.loads((tmp_path / "sim.json").read_text(encoding="utf-8"))
    assert written["format"] == "edgeplan-simulation"
    again = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    assert written["streams"] == again["streams"]
    shown = runner.invoke(app, ["show", "sim.json"])
    assert shown.exit_code == 0, shown.output
