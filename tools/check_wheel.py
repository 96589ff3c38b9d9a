"""Build the wheel, check what is in it, install it by itself and solve every example with it.

What is in it: one top-level name, data files, no strays. Installed: in an environment of its own,
with what it says it needs and nothing else, each example of ``edgeplan init --list-examples`` is
solved, and its price held against the recorded optimum.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from edgeplan.instances import bundled

ROOT = Path(__file__).resolve().parent.parent
REQUIRED = {
    "edgeplan/__init__.py",
    "edgeplan/py.typed",
    "edgeplan/cli/__init__.py",
    "edgeplan/instances/catalogue.yaml",
    "edgeplan/instances/starter.yaml",
    "edgeplan/instances/bundled/optima.yaml",
    "edgeplan/report/static/page.js",
    "edgeplan/report/templates/page.html.j2",
}
TOLERANCE = 1e-5
"""Relative, on the price of a plan: solvers stop within 1e-6, recorded optima are rounded."""


def faults(names: list[str]) -> list[str]:
    """Return what is wrong with the names in a wheel."""
    found = []
    tops = {name.split("/")[0] for name in names}
    distribution = {top for top in tops if top.endswith(".dist-info")}
    if tops - distribution != {"edgeplan"} or len(distribution) != 1:
        found.append(f"top-level names are {sorted(tops)}, expected edgeplan and its dist-info")
    found += [f"{name} is missing" for name in sorted(REQUIRED - set(names))]
    found += [
        f"{name} should not be shipped"
        for name in names
        if name.endswith((".pyc", ".onnx", ".so")) or "/tests/" in name
    ]
    packages = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "edgeplan").rglob("*.py")}
    shipped = {name.rpartition("/")[0] for name in names}
    found += [f"package {package} is missing" for package in sorted(packages - shipped)]
    return found


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel and what it needs into a new environment; return its folder of commands."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    binaries = folder / "bin"
    pip = [str(binaries / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", str(wheel)], check=True, env=_environment())
    return binaries


def example_faults(command: Path, folder: Path) -> list[str]:
    """Return what is wrong with the examples, solved by an installed command."""
    names = _run([str(command), "init", "--list-examples"], folder).stdout.split()
    recorded = {*bundled.names(), *bundled.load_names()}
    found = [f"example {name} is not listed" for name in sorted(recorded - set(names))]
    for name in names:
        _run([str(command), "init", name, "--example", name], folder)
        solved = _run([str(command), "solve", f"{name}/instance.yaml", "--json"], folder)
        if solved.returncode:
            found.append(f"example {name}: exit code {solved.returncode}\n{solved.stderr}")
            continue
        answer = json.loads(solved.stdout)
        best = bundled.record(name).objective
        if best is not None and not math.isclose(answer["objective"], best, rel_tol=TOLERANCE):
            found.append(f"example {name}: {answer['objective']} found, {best} recorded")
    if not names:
        found.append("there are no examples")
    return found


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )


def _environment() -> dict[str, str]:
    """Return the environment variables without those that would let this checkout be seen."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def main() -> int:
    """Build, look, install, solve, print, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="edgeplan-wheel-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", name, str(ROOT)]
        build = subprocess.run(command, capture_output=True, text=True, check=False)
        if build.returncode:
            print(build.stdout, build.stderr, sep="\n")
            return 1
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        began = time.monotonic()
        wrong = faults(names)
        if not wrong:
            size = wheel.stat().st_size / 1024
            print(f"{wheel.name}: {len(names)} files, {size:.0f} KiB, one top-level name: edgeplan")
            binaries = install(wheel, folder / "environment")
            installed = time.monotonic()
            wrong = example_faults(binaries / "edgeplan", folder)
            solved = time.monotonic()
            if not wrong:
                print(
                    f"installed by itself in {installed - began:.0f} s, "
                    f"every example solved in {solved - installed:.0f} s"
                )
        for fault in wrong:
            print(f"{wheel.name}: {fault}")
        return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
