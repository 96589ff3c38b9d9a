"""Import time is a feature: what must not load, and that the public names do."""

import json
import subprocess
import sys

import pytest

import edgeplan

HEAVY = [
    "pyomo",
    "highspy",
    "onnx",
    "onnxruntime",
    "onnx_ir",
    "pandas",
    "numpy",
    "pydantic",
    "rich",
    "joblib",
    "matplotlib",
    "moocore",
    "pyarrow",
    "scipy",
    "simpy",
]


def loaded(code: str) -> set[str]:
    script = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_import_loads_nothing_heavy():
    assert not loaded("import edgeplan") & set(HEAVY)


def test_help_loads_nothing_heavy():
    code = (
        "from click.testing import CliRunner\n"
        "from edgeplan.cli import main\n"
        "import sys\n"
        "sys.argv = ['edgeplan', '--help']\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
    )
    assert not loaded(code) & set(HEAVY)


def test_the_evaluator_loads_no_solver():
    assert not loaded("import edgeplan.model.evaluate") & {"pyomo", "highspy", "onnx"}


@pytest.mark.parametrize("name", edgeplan.__all__)
def test_public_names_load(name):
    assert getattr(edgeplan, name) is not None
    assert name in dir(edgeplan)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = edgeplan.no_such_name
