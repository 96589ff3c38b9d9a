"""What the README shows works: its instance solves with profiles of a real network."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgeplan.cli import app
from edgeplan.instances import catalogue
from edgeplan.instances.profiles import write_profile
from edgeplan.profiling.measure import profile
from edgeplan.profiling.predict import predict

README = Path(__file__).parent.parent / "README.md"


def test_the_instance_of_the_readme_solves(zoo, tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "instance.yaml").write_text(text, encoding="utf-8")
    # Squeezenet stands in for resnet50, which takes long to measure.
    shutil.copy(zoo / "squeezenet.onnx", tmp_path / "resnet50.onnx")
    measured = profile(tmp_path / "resnet50.onnx", max_cuts=2, repeats=2, cache=tmp_path / "cache")
    for file, device in (
        ("resnet.pi5.json", "raspberry-pi-5"),
        ("resnet.n100.json", "mini-pc-n100"),
    ):
        write_profile(predict(measured, catalogue.device(device)), tmp_path / file)
    run = CliRunner().invoke(app, ["solve", str(tmp_path / "instance.yaml"), "--json"])
    assert run.exit_code == 0, run.output
    answer = json.loads(run.stdout)
    assert answer["status"] == "optimal"
    assert answer["evaluation"]["violations"] == []


def test_every_command_of_the_readme_exists():
    blocks = re.findall(r"```\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shown = set(re.findall(r"^edgeplan ([a-z-]+)", "\n".join(blocks), re.MULTILINE))
    assert {"profile", "init", "solve", "evaluate", "run", "show"} <= shown
    assert shown <= set(app.list_commands(None))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_target_that_is_named_exists(page):
    text = (README.parent / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
    assert {"test", "docs"} <= targets
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
