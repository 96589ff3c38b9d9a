"""The starter instance solves as it stands and never replaces a file unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeplan.instances.detect import detect
from edgeplan.instances.init import init, starter
from edgeplan.instances.read import read_instance
from edgeplan.model.errors import InputError
from tests.instances.enumeration import cheapest


def test_the_starter_has_a_plan_with_a_split(tmp_path: Path) -> None:
    (path,) = init(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "instance.yaml"
    problem = read_instance(path).problem
    assert len({device.tier for device in problem.devices}) == 3
    assert len(problem.streams) == 2
    assert any(stream.privacy for stream in problem.streams)
    _, plan, _ = cheapest(problem)
    assert plan is not None
    assert len(set(plan.routes["watch"][0].devices)) > 1


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "instance.yaml").write_text("mine")
    with pytest.raises(InputError, match="there already"):
        init(tmp_path)
    assert (tmp_path / "instance.yaml").read_text() == "mine"
    init(tmp_path, force=True)
    assert detect(tmp_path / "instance.yaml") == "instance"


def test_a_link_that_leads_nowhere_counts_as_there(tmp_path: Path) -> None:
    (tmp_path / "instance.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="there already"):
        init(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        init(tmp_path / "file" / "folder")


def test_the_starter_explains_every_field() -> None:
    """Each field of devices, links and streams is there, if only in a comment."""
    from edgeplan.instances import parts

    text = starter()
    for part in (parts.DevicePart, parts.LinkPart, parts.StreamPart, parts.ObjectivePart):
        for name, field in part.model_fields.items():
            assert f"{field.alias or name}:" in text or f"`{name}`" in text, name


OPTIONS = [
    line
    for line in starter().splitlines()
    if re.match(
        r" *# (catalog|charge_idle|power_budget|electricity_price|replicas|utilisation_cap"
        r"|provisioned_price|request_fee|contention|returns|splittable|max_routes|homes|budgets"
        r"|transfers|together|contiguous|dispatch|arrival_cv2|batch):",
        line,
    )
]


def test_there_are_options_to_uncomment() -> None:
    assert len(OPTIONS) >= 14


@pytest.mark.parametrize("line", OPTIONS, ids=str.strip)
def test_commented_out_fields_hold_when_uncommented(line: str, tmp_path: Path) -> None:
    text = starter().replace(line, line.replace("# ", "", 1), 1)
    (tmp_path / "instance.yaml").write_text(text)
    changed = read_instance(tmp_path / "instance.yaml").problem
    (tmp_path / "starter.yaml").write_text(starter())
    problem = read_instance(tmp_path / "starter.yaml").problem
    assert changed == problem or "for example" in line
