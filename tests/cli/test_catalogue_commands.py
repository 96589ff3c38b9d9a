"""catalog, schema, init."""

from __future__ import annotations

import json

import pytest

from edgeplan.cli.schema import KINDS
from edgeplan.instances import bundled
from tests.cli.cli_helpers import invoke, invoke_json


def test_catalog_lists_devices_and_links():
    document = invoke_json("catalog")
    assert len(document["devices"]) >= 10
    assert len(document["links"]) >= 6
    out = invoke("catalog").stdout
    for entry in (*document["devices"], *document["links"]):
        assert entry["name"] in out


def test_catalog_entry_shows_value_kind_source_and_year():
    entry = invoke_json("catalog", "raspberry-pi-4")
    figures = [value for value in entry.values() if isinstance(value, dict)]
    assert figures
    out = invoke("catalog", "raspberry-pi-4").stdout
    for figure in figures:
        assert set(figure) == {"value", "kind", "source", "year"}
        assert str(figure["year"]) in out
        assert figure["kind"] in out


def test_catalog_of_an_unknown_name_lists_the_known():
    result = invoke("catalog", "abacus")
    assert result.exit_code == 2
    assert "raspberry-pi-4" in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_schema_is_json(kind):
    document = json.loads(invoke("schema", kind).stdout)
    assert document["$schema"].startswith("https://json-schema.org/")
    assert document == invoke_json("schema", kind)
    assert document["properties"]["format"]["const"] == f"edgeplan-{kind}"


def test_init_writes_an_instance_that_solves_as_it_stands(tmp_path):
    folder = tmp_path / "new"
    document = invoke_json("init", folder)
    assert document["instance"] == str(folder / "instance.yaml")
    assert "#" in (folder / "instance.yaml").read_text()
    assert invoke_json("solve", folder / "instance.yaml")["status"] == "optimal"
    again = invoke("init", folder)
    assert again.exit_code == 2
    assert "is there already" in again.stderr
    assert invoke("init", folder, "--force").exit_code == 0


@pytest.mark.parametrize("name", bundled.names())
def test_examples_solve_to_their_proved_optimum(name, tmp_path):
    instance = invoke_json("init", tmp_path, "--example", name)["instance"]
    solved = invoke_json("solve", instance)
    assert solved["status"] == "optimal"
    assert solved["objective"] == pytest.approx(bundled.optimum(name), rel=1e-6)


def test_an_unknown_example_lists_the_known(tmp_path):
    result = invoke("init", tmp_path / "new", "--example", "nonsense")
    assert result.exit_code == 2
    assert bundled.names()[0] in result.stderr
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [["--list-examples"], ["--example", "?"]])
def test_the_examples_are_listed(words):
    result = invoke("init", *words)
    assert result.exit_code == 0
    every = [*bundled.names(), *bundled.load_names()]
    assert result.stdout.split() == every
    assert invoke_json("init", *words)["examples"] == every


@pytest.mark.parametrize("name", bundled.load_names())
def test_examples_under_load_are_written(name, tmp_path):
    instance = invoke_json("init", tmp_path, "--example", name)["instance"]
    assert invoke_json("show", instance)["problem"]["waiting"] == "mg1"


def test_init_without_a_folder_is_bad_input():
    result = invoke("init")
    assert result.exit_code == 2
    assert "DIR: is missing" in result.stderr


def test_sources_are_in_one_piece_in_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    entry = invoke_json("catalog", "raspberry-pi-4")
    lines = invoke("catalog", "raspberry-pi-4").stdout.splitlines()
    for figure in entry.values():
        if isinstance(figure, dict):
            assert any(line.endswith(figure["source"]) for line in lines)
