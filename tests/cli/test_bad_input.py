"""Bad input of every kind through the command line, from one table.

Each case is (fault, file kind, expected place). The command must leave with exit code 2 within
20 s, name the place, show no traceback, and leave nothing behind: no temporary file, no child.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from edgeplan.cli import app
from tests.cli.onnx_faults import ONNX_FAULTS, good, save
from tests.instances.file_faults import FileFault, table, write_good

SEED = 0
LONGEST_SECONDS = 20.0


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Parameters
    ----------
    fault
        What is wrong.
    kind
        ``instance``, ``profile``, ``plan`` or ``onnx``.
    place
        What a message must name; empty for the file as a whole.
    words
        Makes the file in a folder and returns the command line that reads it.
    """

    fault: str
    kind: str
    place: str
    words: Callable[[Path], Sequence[str | Path]]


def _of_file(fault: FileFault) -> Case:
    def words(folder: Path) -> Sequence[str | Path]:
        good = folder / "good"
        bad = folder / "bad"
        good.mkdir()
        bad.mkdir()
        path = fault.make(bad)
        match fault.kind:
            case "instance":
                return "solve", path
            case "profile":
                return "show", path
            case "plan":
                return "evaluate", write_good(good)["instance"], path

    place = fault.place
    if fault.kind == "profile" and place == "format":
        place = ""  # `show` believes the format, and finds that the rest is not of it.
    return Case(fault.name, fault.kind, place, words)


def _cases() -> Iterator[Case]:
    for fault in table(SEED):
        yield _of_file(fault)
    for bad in ONNX_FAULTS:

        def words(folder: Path, bad=bad) -> Sequence[str | Path]:
            return "profile", bad.make(folder, random.Random(f"{SEED} {bad.name}"))

        yield Case(bad.name, "onnx", "net.onnx", words)


TABLE = tuple(_cases())
KINDS = ("instance", "profile", "plan", "onnx")


def _id(case: Case) -> str:
    return f"{case.kind}-{case.fault[:60]}"


def _contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _check(case: Case, code: int, stdout: str, stderr: str) -> None:
    assert code == 2, (stdout, stderr)
    error = json.loads(stdout)["error"]
    assert error["kind"] == "input"
    assert error["faults"]
    places = [fault["place"] for fault in error["faults"]]
    assert not case.place or case.place in places, places
    for fault in error["faults"]:
        assert fault["message"]
        assert len(fault["message"]) < 1000
    assert "Traceback" not in stdout + stderr
    assert "error: " in stderr
    if case.place:
        assert case.place in stderr


def test_the_table_is_large_and_covers_every_kind():
    counts = {kind: sum(case.kind == kind for case in TABLE) for kind in KINDS}
    assert len(TABLE) >= 200
    assert all(count >= 20 for count in counts.values()), counts
    assert len({(case.kind, case.fault) for case in TABLE}) == len(TABLE)


@pytest.mark.parametrize("case", TABLE, ids=_id)
def test_bad_input_is_told_and_leaves_nothing(case, tmp_path, monkeypatch):
    scratch, cache, work = (tmp_path / name for name in ("scratch", "cache", "work"))
    for folder in (scratch, cache, work):
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    words = [str(word) for word in case.words(work)]
    monkeypatch.chdir(work)
    before = _contents(work)
    children = {child.pid for child in psutil.Process().children(recursive=True)}

    began = time.monotonic()
    result = CliRunner().invoke(app, [*words, "--json"])
    seconds = time.monotonic() - began

    _check(case, result.exit_code, result.stdout, result.stderr)
    assert seconds < LONGEST_SECONDS
    assert _contents(work) == before
    assert not _contents(scratch)
    assert not [name for name in _contents(cache) if (cache / name).is_file()]
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert after <= children


_SAMPLE = [case for kind in KINDS for case in [c for c in TABLE if c.kind == kind][::29]]


@pytest.mark.parametrize("case", _SAMPLE, ids=_id)
def test_bad_input_of_a_process(case, tmp_path):
    scratch, work = tmp_path / "scratch", tmp_path / "work"
    scratch.mkdir()
    work.mkdir()
    mark = uuid.uuid4().hex
    environment = {
        **os.environ,
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "EDGEPLAN_TEST_MARK": mark,
    }
    words = [str(word) for word in case.words(work)]
    done = subprocess.run(
        [sys.executable, "-m", "edgeplan", *words, "--json"],
        capture_output=True,
        text=True,
        timeout=3 * LONGEST_SECONDS,
        check=False,
        env=environment,
    )
    _check(case, done.returncode, done.stdout, done.stderr)
    assert not _contents(scratch)
    assert not list(_marked(mark))


def _marked(mark: str) -> Iterator[int]:
    """Yield the processes that inherited a mark: children that outlived their parent."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("EDGEPLAN_TEST_MARK") == mark:
                yield process.pid
        except psutil.Error:
            continue


def test_the_good_files_are_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = write_good(tmp_path)
    network = save(good(), tmp_path)
    for words in (
        ["solve", paths["instance"]],
        ["show", paths["profile"]],
        ["evaluate", paths["instance"], paths["plan"]],
        ["show", network],
    ):
        result = CliRunner().invoke(app, [*map(str, words), "--json"])
        assert result.exit_code == 0, result.stderr
        json.loads(result.stdout)
