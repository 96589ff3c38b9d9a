"""What this machine and this installation have, what they lack, and what each lack costs.

Importing this module loads the standard library only, so that it can say what else is missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORE = "core"
TOOL_SECONDS = 10.0
"""Time for another program to say what there is."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """A distribution that edgeplan uses.

    Parameters
    ----------
    name
        Of the distribution.
    wanted
        Least version, like ``>=1.15.1``; empty where not known.
    version
        Installed; ``None`` where it is not.
    extra
        `CORE`, or the extra of edgeplan that asks for it.
    fault
        Why it cannot be used: missing, too old, cannot be imported; empty where it can.
    """

    name: str
    wanted: str
    version: str | None
    extra: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class SolverState:
    """A solver and whether it can be used.

    Parameters
    ----------
    name
        As ``--solver`` takes it.
    version
        Empty where it cannot be used.
    fault
        Why it cannot; empty where it can.
    """

    name: str
    version: str
    fault: str


@dataclass(frozen=True, kw_only=True)
class Lack:
    """Something that is not there.

    Parameters
    ----------
    what
        Its name.
    why
        In what way it is not there.
    costs
        What cannot be done, or is worse, without it.
    remedy
        What brings it.
    """

    what: str
    why: str
    costs: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What there is.

    Parameters
    ----------
    versions
        Of edgeplan, Python and the system.
    dependencies, solvers
        What is installed.
    machine
        What the machine is, in words, by name.
    tools
        What else may be used: where it is, or ``None``.
    lacks
        What is not there, what that costs and what helps.
    """

    versions: Mapping[str, str]
    dependencies: tuple[Dependency, ...]
    solvers: tuple[SolverState, ...]
    machine: Mapping[str, str]
    tools: Mapping[str, str | None]
    lacks: tuple[Lack, ...]

    @property
    def healthy(self) -> bool:
        """Whether everything is there that edgeplan cannot do without."""
        return not any(each.extra == CORE and each.fault for each in self.dependencies)

    def as_json(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "healthy": self.healthy,
            "versions": dict(self.versions),
            "dependencies": [vars(each) for each in self.dependencies],
            "solvers": [vars(each) for each in self.solvers],
            "machine": dict(self.machine),
            "tools": dict(self.tools),
            "lacks": [vars(each) for each in self.lacks],
        }


def diagnose(*, system: Path = Path("/")) -> Diagnosis:
    """Look at this installation and this machine.

    Parameters
    ----------
    system
        Root of the file system in which ``/proc`` and ``/sys`` are read.

    Notes
    -----
    Every core dependency is imported, which takes some seconds; the others are only looked for.
    """
    found = tuple(dependencies())
    states = tuple(solvers())
    tools = _tools(system)
    lacks = [
        *(_dependency_lack(each) for each in found if each.fault),
        *(_solver_lack(each, found) for each in states if each.fault),
        *(_tool_lack(name, system) for name, there in tools.items() if there is None),
    ]
    return Diagnosis(
        versions=_versions(),
        dependencies=found,
        solvers=states,
        machine=_machine(system),
        tools=tools,
        lacks=tuple(lack for lack in lacks if lack is not None),
    )


def _versions() -> dict[str, str]:
    from edgeplan import __version__

    return {
        "edgeplan": __version__,
        "installed in": str(Path(__file__).parent),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "interpreter": sys.executable,
        "system": platform.platform(),
    }


# --- what is installed --------------------------------------------------------------------------

_COSTS: Mapping[str, str] = {
    "ortools": "no solver 'cp-sat': the slower 'highs' takes over throughput of one stream",
    "pyscipopt": "no solver 'scip': one witness less for a bound (--witness)",
    "pulp": "no solver 'cbc', unless a cbc is on the path: one witness less for a bound",
    "gurobipy": "no solver 'gurobi': one witness less for a bound (it needs a licence too)",
    "matplotlib": "no baselines --plot",
    "pyarrow": "no front.parquet beside front.csv",
    "jinja2": "no edgeplan report",
    "plotly": "no edgeplan report",
}
"""By distribution of an extra: what cannot be done without it."""

_MODULES: Mapping[str, str] = {"pyomo": "pyomo.environ", "ruamel-yaml": "ruamel.yaml"}
"""What is imported of a distribution that is not named like its module."""

_REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;\s*(.*))?"
)
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def dependencies() -> Iterator[Dependency]:
    """Yield what edgeplan asks for, those of extras too, and whether it can be used."""
    try:
        stated = importlib.metadata.requires("edgeplan") or []
    except importlib.metadata.PackageNotFoundError:
        yield Dependency(
            name="edgeplan",
            wanted="",
            version=None,
            extra=CORE,
            fault="is not installed, only its source is there: what it asks for is not known",
        )
        return
    for text in stated:
        match = _REQUIREMENT.fullmatch(text)
        if match is None:
            continue
        name, wanted, marker = match[1], match[2].strip("() "), match[3] or ""
        extra = _EXTRA.search(marker)
        yield _dependency(name, wanted, extra[1] if extra else CORE)


def _dependency(name: str, wanted: str, extra: str) -> Dependency:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Dependency(name=name, wanted=wanted, version=None, extra=extra, fault="missing")
    fault = ""
    least = re.search(r">=\s*([0-9.]+)", wanted)
    if least and _numbers(version) < _numbers(least[1]):
        fault = f"too old: {version}, but {wanted} is needed"
    elif extra == CORE:
        fault = _import_fault(_MODULES.get(_key(name), name.replace("-", "_")))
    return Dependency(name=name, wanted=wanted, version=version, extra=extra, fault=fault)


def _key(name: str) -> str:
    """Return the one spelling of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a release; what comes after them does not count."""
    release = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(part) for part in release[0].split(".")) if release else ()


def _import_fault(module: str) -> str:
    try:
        importlib.import_module(module)
    except Exception as error:  # noqa: BLE001  # a broken package may raise anything as it loads
        return f"cannot be imported: {' '.join(str(error).split())[:160] or type(error).__name__}"
    return ""


def _dependency_lack(each: Dependency) -> Lack:
    core = each.extra == CORE
    return Lack(
        what=each.name,
        why=each.fault,
        costs="edgeplan does not work without it"
        if core
        else _COSTS.get(_key(each.name), f"nothing of the extra '{each.extra}'"),
        remedy=f"pip install '{each.name}{each.wanted}'"
        if core
        else f"pip install 'edgeplan[{each.extra}]'",
    )


# --- solvers ------------------------------------------------------------------------------------


def solvers() -> Iterator[SolverState]:
    """Yield every solver of the registry and whether it can be used."""
    try:
        from edgeplan.solvers import registry
    except Exception as error:  # noqa: BLE001  # whatever a broken dependency raises
        yield SolverState(
            name="all", version="", fault=f"the registry does not load: {error}"[:200]
        )
        return
    for name in registry.solvers():
        try:
            there = registry.solvers()[name].availability()
        except Exception as error:  # noqa: BLE001  # likewise
            yield SolverState(name=name, version="", fault=f"does not load: {error}"[:200])
            continue
        fault = "" if there.available else f"not installed: {there.install}"
        yield SolverState(name=name, version=there.version, fault=fault)


def _solver_lack(each: SolverState, found: tuple[Dependency, ...]) -> Lack | None:
    """Return what the lack of a solver costs, unless that of its package was told."""
    told = " ".join(_COSTS.get(_key(d.name), "") for d in found if d.fault)
    if f"'{each.name}'" in told or each.name == "all":
        return None
    return Lack(
        what=f"solver {each.name}",
        why=each.fault.partition(":")[0],
        costs="one solver less to choose from",
        remedy=each.fault.removeprefix("not installed: "),
    )


# --- the machine --------------------------------------------------------------------------------


def _machine(system: Path) -> dict[str, str]:
    """Return what the machine is, as far as it says so."""
    found = {"processor": _processor(system), "cores": _cores()}
    memory = _memory(system)
    if memory:
        found["memory"] = memory
    cpu = system / "sys/devices/system/cpu"
    governor = _line(cpu / "cpu0/cpufreq/scaling_governor")
    found["frequency governor"] = governor or "not readable"
    found["turbo"] = _turbo(cpu)
    if (load := _line(system / "proc/loadavg")) is not None:
        found["load (1, 5, 15 min)"] = ", ".join(load.split()[:3])
    if (limit := _line(system / "sys/fs/cgroup/cpu.max")) is not None:
        quota, _, period = limit.partition(" ")
        if quota.isdigit() and period.isdigit():
            found["limit of the container"] = f"{int(quota) / int(period):.2f} cores"
    found["ONNX Runtime providers"] = ", ".join(_providers()) or "none: onnxruntime does not load"
    return found


def _processor(system: Path) -> str:
    for line in (_text(system / "proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> str:
    count = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    return str(count) if usable == count else f"{count}, of which this process may use {usable}"


def _memory(system: Path) -> str:
    amounts = dict(
        re.findall(
            r"^(MemTotal|MemAvailable):\s+(\d+) kB", _text(system / "proc/meminfo") or "", re.M
        )
    )
    shown = {key: f"{int(kib) * 1024 / 1e9:.1f} GB" for key, kib in amounts.items()}
    if "MemTotal" not in shown:
        return ""
    free = f", {shown['MemAvailable']} free" if "MemAvailable" in shown else ""
    return shown["MemTotal"] + free


def _turbo(cpu: Path) -> str:
    if (off := _line(cpu / "intel_pstate/no_turbo")) is not None:
        return "off" if off == "1" else "on"
    if (on := _line(cpu / "cpufreq/boost")) is not None:
        return "on" if on == "1" else "off"
    return "not readable"


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return None


def _line(file: Path) -> str | None:
    text = _text(file)
    return None if text is None else text.strip()


def _providers() -> list[str]:
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        return [str(name) for name in onnxruntime.get_available_providers()]
    except Exception:  # noqa: BLE001  # the dependency's own entry says why
        return []


# --- what else may be used ----------------------------------------------------------------------

_TOOL_LACKS: Mapping[str, Mapping[str, str]] = {
    "energy counters (RAPL)": {
        "costs": "profiles have no measured energy: watts of the device times seconds stand in",
        "remedy": "Linux on an Intel or AMD machine of your own, not a virtual one",
    },
    "fixed processor frequency": {
        "costs": "measured times may spread more",
        "remedy": "on a machine of your own: cpupower frequency-set -g performance",
    },
    "tc": {
        "costs": "nothing: edgeplan run emulates links itself; shaping real interfaces needs it",
        "remedy": "the package iproute2",
    },
    "Chromium": {
        "costs": "the browser tests of the report do not run; the report opens in any browser",
        "remedy": "the package chromium (Debian), or any Chrome",
    },
    "GPU": {
        "costs": "profiles of this machine are of its processor only",
        "remedy": "none needed: commands use the processor; a profile may have a GPU's times",
    },
}


def _tool_lack(name: str, system: Path) -> Lack:
    stated = dict(_TOOL_LACKS[name])
    why = "not found"
    if name.startswith("energy") and any((system / "sys/class/powercap").glob("intel-rapl:*")):
        why = "not readable by this user"
        stated["remedy"] = "sudo chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
    elif name.startswith("fixed"):
        cpu = system / "sys/devices/system/cpu"
        governor = _line(cpu / "cpu0/cpufreq/scaling_governor")
        why = f"the governor is {governor}" if governor else "not readable"
    return Lack(what=name, why=why, **stated)


def _tools(system: Path) -> dict[str, str | None]:
    checks: Mapping[str, Callable[[], str | None]] = {
        "energy counters (RAPL)": lambda: _rapl(system),
        "fixed processor frequency": lambda: _fixed_frequency(system),
        "tc": lambda: shutil.which("tc"),
        "Chromium": lambda: next(filter(None, map(shutil.which, BROWSERS)), None),
        "GPU": _gpu,
    }
    return {name: check() for name, check in checks.items()}


def _rapl(system: Path) -> str | None:
    try:
        from edgeplan.profiling.energy import counters
    except Exception:  # noqa: BLE001  # whatever a broken dependency raises
        return None
    readable = counters(system / "sys/class/powercap")
    return f"{len(readable)} readable" if readable else None


def _fixed_frequency(system: Path) -> str | None:
    cpu = system / "sys/devices/system/cpu"
    governor = _line(cpu / "cpu0/cpufreq/scaling_governor")
    return "governor performance" if governor == "performance" else None


def _gpu() -> str | None:
    """Return the graphics processors that their driver's own program lists."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603 - the driver's program found on the path
            [program, "-L"], capture_output=True, text=True, timeout=TOOL_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    names = [line.split(" (UUID")[0].strip() for line in asked.stdout.splitlines() if line.strip()]
    return "; ".join(names) if asked.returncode == 0 and names else None
