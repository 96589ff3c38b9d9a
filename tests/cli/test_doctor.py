"""edgeplan doctor: what is there, what is not, and the exit code."""

from __future__ import annotations

import importlib.metadata
import sys
import tomllib
from pathlib import Path

import pytest

from edgeplan import doctor
from tests.cli.cli_helpers import invoke, invoke_json

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text())[
    "project"
]
EXTRAS = {
    doctor._REQUIREMENT.fullmatch(text)[1]: extra
    for extra, texts in PROJECT["optional-dependencies"].items()
    for text in texts
    if "edgeplan" not in text
}


@pytest.fixture
def versions(monkeypatch):
    """Return a table of installed versions that stands in for the true one; ``None``: missing."""
    table: dict[str, str | None] = {}
    true = importlib.metadata.version

    def version(name: str) -> str:
        found = table.get(name, "") or (None if name in table else true(name))
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(
        importlib.metadata,
        "requires",
        lambda _: [
            *PROJECT["dependencies"],
            *(
                f"{text}; extra == '{extra}'"
                for extra, texts in PROJECT["optional-dependencies"].items()
                for text in texts
            ),
        ],
    )
    return table


def lacks(found: dict) -> dict[str, dict]:
    return {each["what"]: each for each in found["lacks"]}


def test_a_whole_installation_is_healthy(versions):
    found = invoke_json("doctor")
    assert found["healthy"] is True
    assert {each["name"] for each in found["dependencies"] if each["extra"] == "core"} == {
        doctor._REQUIREMENT.fullmatch(text)[1] for text in PROJECT["dependencies"]
    }
    assert all(each["version"] for each in found["dependencies"] if each["extra"] == "core")
    assert {each["name"] for each in found["solvers"]} >= {"highs", "enumerate", "gurobi"}
    assert "CPUExecutionProvider" in found["machine"]["ONNX Runtime providers"]
    assert found["versions"]["Python"].split()[1] == sys.version.split()[0]


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_extra_is_told_and_is_no_failure(name, versions):
    versions[name] = None
    found = lacks(invoke_json("doctor"))[name]
    assert found["why"] == "missing"
    assert found["remedy"] == f"pip install 'edgeplan[{EXTRAS[name]}]'"
    # Every extra says itself what is not there without it.
    assert found["costs"] == doctor._COSTS[doctor._key(name)]


@pytest.mark.parametrize(
    ("name", "version", "why"),
    [
        ("moocore", None, "missing"),
        ("highspy", "1.14.0", "too old: 1.14.0, but >=1.15.1 is needed"),
    ],
)
def test_a_core_dependency_that_cannot_do_is_a_failure(name, version, why, versions):
    versions[name] = version
    found = invoke_json("doctor", code=1)
    assert found["healthy"] is False
    assert lacks(found)[name]["why"] == why
    assert lacks(found)[name]["remedy"].startswith(f"pip install '{name}>=")
    told = invoke("doctor")
    assert told.exit_code == 1
    assert "edgeplan does not work as it is" in told.stdout


def test_a_core_dependency_that_does_not_load_is_a_failure(versions, monkeypatch):
    true = doctor.importlib.import_module

    def broken(name: str, *words: object):
        if name == "moocore":
            raise OSError("libmoo.so: cannot open shared object file")
        return true(name, *words)

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    found = lacks(invoke_json("doctor", code=1))["moocore"]
    assert found["why"] == "cannot be imported: libmoo.so: cannot open shared object file"


def test_newer_versions_are_new_enough():
    assert doctor._numbers("1.15.10") > doctor._numbers("1.15.2")
    assert doctor._numbers("26.0.1rc1") >= doctor._numbers("18")


def test_without_rich_it_still_speaks(versions, monkeypatch):
    versions["rich"] = None
    monkeypatch.setitem(sys.modules, "edgeplan.cli.tables", None)
    monkeypatch.delattr("edgeplan.cli.tables", raising=False)
    told = invoke("doctor")
    assert told.exit_code == 1
    assert "rich: missing. It costs: edgeplan does not work without it" in told.stdout


def test_a_solver_that_does_not_load_is_told(versions, monkeypatch):
    from edgeplan.solvers import registry

    monkeypatch.setitem(registry._PLACES, "broken", ("edgeplan.solvers.nowhere", "Broken"))
    states = {each["name"]: each for each in invoke_json("doctor")["solvers"]}
    assert states["broken"]["fault"].startswith("does not load: No module named")
    assert states["highs"]["fault"] == ""


# --- the machine --------------------------------------------------------------------------------


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def bare(monkeypatch) -> None:
    """Leave out what takes long or is of this machine."""
    monkeypatch.setattr(doctor, "dependencies", lambda: iter(()))
    monkeypatch.setattr(doctor, "solvers", lambda: iter(()))
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)


def test_a_machine_that_says_everything(bare, tmp_path, monkeypatch):
    cpu = tmp_path / "sys/devices/system/cpu"
    write(tmp_path / "proc/cpuinfo", "processor: 0\nmodel name\t: Quick 9000\n")
    write(tmp_path / "proc/meminfo", "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    write(tmp_path / "proc/loadavg", "0.10 0.20 0.30 1/100 1\n")
    write(tmp_path / "sys/fs/cgroup/cpu.max", "150000 100000\n")
    write(cpu / "cpu0/cpufreq/scaling_governor", "performance\n")
    write(cpu / "intel_pstate/no_turbo", "1\n")
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    for name, text in (
        ("name", "package-0"), ("max_energy_range_uj", "262143328850"), ("energy_uj", "17"),
    ):  # fmt: skip
        write(zone / name, text)
    places = {"tc": "/sbin/tc", "google-chrome": "/opt/chrome", "nvidia-smi": "/usr/bin/nvidia-smi"}
    monkeypatch.setattr(doctor.shutil, "which", places.get)

    class Said:
        returncode = 0
        stdout = "GPU 0: Fast 1 (UUID: GPU-1)\nGPU 1: Fast 1 (UUID: GPU-2)\n"

    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: Said)
    found = doctor.diagnose(system=tmp_path)
    assert found.machine["processor"] == "Quick 9000"
    assert found.machine["memory"] == "8.2 GB, 4.1 GB free"
    assert found.machine["frequency governor"] == "performance"
    assert found.machine["turbo"] == "off"
    assert found.machine["load (1, 5, 15 min)"] == "0.10, 0.20, 0.30"
    assert found.machine["limit of the container"] == "1.50 cores"
    assert found.tools == {
        "energy counters (RAPL)": "1 readable",
        "fixed processor frequency": "governor performance",
        "tc": "/sbin/tc",
        "Chromium": "/opt/chrome",
        "GPU": "GPU 0: Fast 1; GPU 1: Fast 1",
    }
    assert found.lacks == ()


def test_a_machine_that_says_nothing(bare, tmp_path):
    found = doctor.diagnose(system=tmp_path)
    assert found.machine["frequency governor"] == "not readable"
    assert found.machine["turbo"] == "not readable"
    assert [lack.what for lack in found.lacks] == list(found.tools)
    assert all(lack.costs and lack.remedy and lack.why for lack in found.lacks)


def test_counters_that_only_root_may_read_have_another_remedy(bare, tmp_path):
    write(tmp_path / "sys/class/powercap/intel-rapl:0/name", "package-0")
    (lack,) = [each for each in doctor.diagnose(system=tmp_path).lacks if "RAPL" in each.what]
    assert lack.why == "not readable by this user"
    assert "chmod a+r" in lack.remedy


def test_another_governor_is_named(bare, tmp_path):
    cpu = tmp_path / "sys/devices/system/cpu"
    write(cpu / "cpu0/cpufreq/scaling_governor", "powersave\n")
    write(cpu / "cpufreq/boost", "1\n")
    found = doctor.diagnose(system=tmp_path)
    assert found.machine["turbo"] == "on"
    assert "the governor is powersave" in [lack.why for lack in found.lacks]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_its_tables_fit(width, versions, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    versions["pyscipopt"] = None
    told = invoke("doctor")
    assert told.exit_code == 0
    head, _, after = told.stdout.partition("What is not there")
    assert max(map(len, after.splitlines())) <= width
    assert "pip install 'edgeplan[scip]'" in after
    # Versions are long by themselves; nothing else is.
    tables = head.partition("\nDependencies")[2]
    assert max(map(len, tables.splitlines())) <= width


def test_it_loads_nothing_but_the_standard_library():
    import subprocess

    code = (
        "import sys, edgeplan.doctor; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('rich', 'pydantic', 'numpy', 'onnx', 'pyomo', 'highspy', 'psutil')])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
