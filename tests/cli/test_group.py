"""The lazy group: help without imports, exit codes, where output goes."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from edgeplan.cli import COMMANDS, app
from edgeplan.cli.group import LazyGroup
from edgeplan.model.errors import (
    ExecutionError,
    Fault,
    InputError,
    InterruptedRunError,
    NetworkError,
    SolverError,
)

HEAVY = {
    "pyomo",
    "highspy",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "pandas",
    "numpy",
    "pydantic",
    "rich",
}


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(words):
    code = (
        "import sys\n"
        "from edgeplan.cli import app\n"
        f"try: app.main({words!r}, prog_name='edgeplan')\n"
        "except SystemExit as leave: code = leave.code\n"
        "print(code, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    code_, *loaded = python(code).stdout.splitlines()[-1].split()
    assert code_ == "0"
    assert not HEAVY & set(loaded)


def test_import_of_edgeplan_loads_nothing_heavy():
    code = "import sys, edgeplan; print(*{name.partition('.')[0] for name in sys.modules})"
    assert not (HEAVY | {"click"}) & set(python(code).stdout.split())


def test_help_of_every_command_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from edgeplan.cli import app, COMMANDS\n"
        "for name in COMMANDS:\n"
        "    try: app.main([name, '--help'], prog_name='edgeplan')\n"
        "    except SystemExit as leave: assert leave.code == 0, name\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert not (HEAVY - {"rich"}) & set(done.stdout.splitlines()[-1].split())


def test_help_lists_every_command_of_the_issue():
    text = CliRunner().invoke(app, ["--help"]).stdout
    for name in COMMANDS:
        assert f"\n  {name} " in text
    assert set(COMMANDS) == {
        "init", "import", "profile", "solve", "pareto", "compare", "choose", "sweep", "baselines",
        "evaluate", "simulate", "explain", "verify", "run", "split", "worker", "measure-link",
        "report", "export-overlay", "show", "catalog", "schema", "doctor", "demo",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_help(name):
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout


@pytest.mark.parametrize(
    "words", [["nonsense"], ["solve"], ["solve", "--nonsense"], ["schema", "nonsense"]]
)
def test_wrong_usage_is_bad_input(words):
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "error" in result.stderr


@pytest.mark.parametrize(
    ("word", "says"),
    [("slove", "did you mean solve?"), ("catalogue", "catalog"), ("zzz", "edgeplan --help")],
)
def test_an_unknown_command_is_told_what_is_close(word, says):
    assert says in CliRunner().invoke(app, [word]).stderr


def test_a_missing_argument_is_named():
    result = CliRunner().invoke(app, ["solve"])
    assert "error: INSTANCE: is missing" in result.stderr
    assert "error: --token-file: is missing" in CliRunner().invoke(app, ["worker"]).stderr


@pytest.mark.parametrize(
    ("error", "head"),
    [(ExecutionError("x"), "the run failed: x"), (SolverError("x"), "the solver failed: x")],
)
def test_a_failure_is_not_called_internal(error, head):
    stderr = CliRunner().invoke(raising(error), ["fail"]).stderr
    assert head in stderr
    assert "internal" not in stderr


def test_no_command_shows_the_help_on_stderr():
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "measure-link" in result.stderr


def raising(error: BaseException) -> LazyGroup:
    """Return the group with a single command that raises."""
    group = LazyGroup(name="edgeplan", commands_help={"fail": "Fail."}, help="")

    @click.command("fail")
    @click.option("--json", "as_json", is_flag=True)
    def fail(as_json: bool) -> None:
        raise error

    group.get_command = lambda ctx, name: fail if name == "fail" else None
    return group


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (InputError([Fault("a.b", "wrong"), Fault("c", "too")]), 2, "input"),
        (NetworkError.at("net.onnx", "cut short"), 2, "input"),
        (SolverError("broke its promise"), 1, "solver"),
        (ExecutionError("worker died"), 1, "execution"),
        (InterruptedRunError("nothing kept"), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RuntimeError("oops"), 1, "internal"),
        (FileNotFoundError(2, "No such file or directory", "gone.yaml"), 2, "input"),
        (PermissionError(13, "Permission denied", "secret.yaml"), 2, "input"),
    ],
)
def test_errors_become_exit_codes_and_documents(error, code, kind):
    result = CliRunner().invoke(raising(error), ["fail", "--json"])
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert document["error"]["kind"] == kind
    assert all(set(fault) == {"place", "message"} for fault in document["error"]["faults"])
    assert "Traceback" not in result.stderr
    for fault in document["error"]["faults"]:
        assert fault["message"] in result.stderr


def test_all_faults_are_told_with_their_places():
    error = InputError([Fault("streams[3].deadline", "no unit"), Fault("devices[0]", "no name")])
    result = CliRunner().invoke(raising(error), ["fail"])
    assert "streams[3].deadline: no unit" in result.stderr
    assert "devices[0]: no name" in result.stderr


def test_traceback_only_with_debug():
    group = raising(RuntimeError("oops"))
    assert "Traceback" not in CliRunner().invoke(group, ["fail"]).stderr
    assert "Traceback" in CliRunner().invoke(group, ["--debug", "fail"]).stderr
    variable = {"EDGEPLAN_DEBUG": "1"}
    assert "Traceback" in CliRunner().invoke(group, ["fail"], env=variable).stderr


def test_escape_sequences_do_not_reach_the_terminal():
    result = CliRunner().invoke(raising(InputError.at("x\x1b[31m", "bad\x07")), ["fail"])
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr


def test_native_prints_do_not_reach_stdout_under_json():
    code = (
        "import os, sys\n"
        "sys.argv = ['edgeplan', '--json']\n"
        "from edgeplan.cli.group import guard_process\n"
        "from edgeplan.cli.output import print_json\n"
        "with guard_process():\n"
        "    os.write(1, b'banner of a native library')\n"
        "    print_json({'a': float('nan')})\n"
    )
    done = python(code)
    assert json.loads(done.stdout) == {"a": None}
    assert "banner" in done.stderr
