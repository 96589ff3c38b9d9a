"""What is wrong with a wheel, or with the examples that it solves, is said."""

from __future__ import annotations

from pathlib import Path

import check_wheel

from edgeplan.instances import bundled

NAMES = [
    *check_wheel.REQUIRED,
    *(
        str(path.relative_to(check_wheel.ROOT))
        for path in (check_wheel.ROOT / "edgeplan").rglob("*.py")
    ),
    "edgeplan-0.1.0.dist-info/METADATA",
]


def test_a_whole_wheel_has_no_faults() -> None:
    assert check_wheel.faults(NAMES) == []


def test_strays_and_gaps_are_found() -> None:
    names = [name for name in NAMES if not name.startswith("edgeplan/pareto/")]
    found = "\n".join(check_wheel.faults([*names, "tests/x.py", "edgeplan/net.onnx"]))
    assert "package edgeplan/pareto is missing" in found
    assert "'tests'" in found
    assert "edgeplan/net.onnx should not be shipped" in found


def test_examples_that_fail_or_differ_are_found(tmp_path: Path) -> None:
    command = tmp_path / "edgeplan"
    command.write_text(
        """#!/bin/sh
case "$1 $2" in
    "init --list-examples") echo chain-two-tier privacy four-sites ;;
    "solve privacy/instance.yaml") echo no such device >&2; exit 2 ;;
    solve*) echo '{"objective": 1.0}' ;;
esac
"""
    )
    command.chmod(0o755)
    found = check_wheel.example_faults(command, tmp_path)
    assert "example dag-skip is not listed" in found
    assert (
        f"example chain-two-tier: 1.0 found, {bundled.optimum('chain-two-tier')} recorded" in found
    )
    assert "example privacy: exit code 2\nno such device\n" in found
    assert not any(fault.startswith("example four-sites:") for fault in found)
