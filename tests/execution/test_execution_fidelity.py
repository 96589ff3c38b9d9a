"""Must show 3: random plans of real networks, predicted and measured, on this machine."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fidelity", ROOT / "benchmarks" / "fidelity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fidelity"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
def test_twenty_random_plans_run_as_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the distribution; only what other programs cannot disturb is asserted."""
    zoo = ROOT / ".zoo"
    if not zoo.is_dir():
        pytest.skip("make zoo fetches the networks")
    fidelity = _benchmark()
    with capsys.disabled():
        sys.stdout.write("\n")
        rows = fidelity.fidelity(
            zoo, plans=20, seed=1, say=lambda line: sys.stdout.write(line + "\n")
        )
        found = fidelity.summary(rows)
        sys.stdout.write(json.dumps(found) + "\n")
    assert found["plans"] == 20
    assert found["strict_equal"]
    assert found["deployed_max_error"] <= 1e-6
    assert max(row.stages for row in rows) >= 3
    # CPU times of the stages do not depend on the load of the machine, or little.
    assert found["compute_error"]["median"] <= 0.15
