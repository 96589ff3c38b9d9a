"""Build the wheel and check what is in it: one top-level name, data files, no strays."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

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


def main() -> int:
    """Build, look, print, and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)]
        build = subprocess.run(command, capture_output=True, text=True, check=False)
        if build.returncode:
            print(build.stdout, build.stderr, sep="\n")
            return 1
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        wrong = faults(names)
        for fault in wrong:
            print(f"{wheel.name}: {fault}")
        if not wrong:
            size = wheel.stat().st_size / 1024
            print(f"{wheel.name}: {len(names)} files, {size:.0f} KiB, one top-level name: edgeplan")
        return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
