"""Folders of killed profiles go, those of living ones and of others stay."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeplan.profiling import scratch

OWNER = """
import sys
from edgeplan.profiling import scratch
with scratch.folder() as folder:
    (folder / "part.onnx").write_bytes(b"x")
    print(folder, flush=True)
    sys.stdin.readline()
"""


def age(path: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))


def test_only_the_folder_of_a_killed_owner_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    foreign = tmp_path / "edgeplan-profile-without-lock"
    foreign.mkdir()
    age(foreign)
    (tmp_path / "edgeplan-profile-link").symlink_to(foreign)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        age(other)
        with scratch.folder() as own:
            assert own.is_dir()
            assert (other / "part.onnx").exists(), "its owner lives"
        process.kill()
        process.wait()
    with scratch.folder():
        pass
    assert not other.exists()
    assert {path.name for path in tmp_path.iterdir()} == {foreign.name, "edgeplan-profile-link"}


def test_a_young_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    young = tmp_path / "edgeplan-profile-young"
    young.mkdir()
    (young / "owner.lock").touch()
    with scratch.folder():
        pass
    assert young.exists()
    age(young)
    with scratch.folder():
        pass
    assert not young.exists()
