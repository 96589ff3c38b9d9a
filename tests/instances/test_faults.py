"""Every fault of the table is refused, with its place and a short message, quickly."""

from __future__ import annotations

import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

from edgeplan.instances.document import to_yaml
from edgeplan.instances.plans import read_plan
from edgeplan.instances.profiles import read_profile
from edgeplan.instances.read import read_instance
from edgeplan.model.errors import InputError
from edgeplan.model.problem import Problem
from tests.instances.file_faults import (
    FileFault,
    good_loaded_instance,
    good_plan,
    good_profile,
    table,
    write_good,
)

CASES = table(0)


@cache
def _good_problem() -> Problem:
    with tempfile.TemporaryDirectory() as folder:
        return read_instance(write_good(Path(folder))["instance"]).problem


def _read(case: FileFault, folder: Path) -> None:
    path = case.make(folder)
    if case.kind == "instance":
        read_instance(path)
    elif case.kind == "profile":
        read_profile(path)
    else:
        read_plan(path, _good_problem())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name[:60]}")
def test_a_fault_is_refused_at_its_place(case: FileFault, tmp_path: Path) -> None:
    begin = time.process_time()
    with pytest.raises(InputError) as caught:
        _read(case, tmp_path)
    assert time.process_time() - begin < 20
    faults = caught.value.faults
    if case.place:
        assert case.place in [fault.place for fault in faults], str(caught.value)
    assert 0 < len(faults) <= 100
    for fault in faults:
        assert fault.message
        assert len(fault.message) < 700
        assert "Traceback" not in fault.message
        assert "xxxxxxxxxx" * 9 not in str(fault)


def test_the_table_is_large_and_follows_from_its_seed() -> None:
    assert len(CASES) >= 200
    assert [case.name for case in table(0)] == [case.name for case in CASES]
    assert [case.name for case in table(1)] != [case.name for case in CASES]
    assert {case.kind for case in CASES} == {"instance", "profile", "plan"}


def test_the_good_files_are_good(tmp_path: Path) -> None:
    paths = write_good(tmp_path)
    problem = read_instance(paths["instance"]).problem
    (tmp_path / "loaded.yaml").write_text(to_yaml(good_loaded_instance()))
    assert len(read_instance(tmp_path / "loaded.yaml").problem.load_features) == 3
    assert read_profile(paths["profile"]) == good_profile()
    assert read_plan(paths["plan"], problem).plan == good_plan()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 6))
def test_more_seeds(seed: int, tmp_path: Path) -> None:
    for number, case in enumerate(table(seed)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(InputError) as caught:
            _read(case, folder)
        places = [fault.place for fault in caught.value.faults]
        assert not case.place or case.place in places, (case.name, str(caught.value))
