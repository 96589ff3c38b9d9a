"""Import time of `edgeplan` and of `edgeplan --help` beside `python -c pass`, interleaved."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import edgeplan": [sys.executable, "-c", "import edgeplan"],
    "edgeplan --help": [sys.executable, "-m", "edgeplan", "--help"],
    "edgeplan --version": [sys.executable, "-m", "edgeplan", "--version"],
}
HEAVY = ("pyomo", "highspy", "onnx", "onnxruntime", "pandas", "numpy", "pydantic", "rich")


def main(repeats: int = 15) -> None:
    """Time the commands in turn and print medians and ratios to an empty interpreter."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds[name].append(time.perf_counter() - began)
            if name == "edgeplan --help":
                assert "solve" in run.stdout, run.stdout
    empty = statistics.median(seconds["python -c pass"])
    for name, values in seconds.items():
        median = statistics.median(values)
        print(f"{name:22} median {median * 1e3:7.1f} ms   {median / empty:5.2f} × an empty python")
    script = (
        "import sys, edgeplan.cli; "
        "print(sum(m.split('.')[0] == 'edgeplan' for m in sys.modules), "
        "'click' in sys.modules, "
        f"sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    own, click, heavy = run.stdout.split(maxsplit=2)
    print(
        f"loaded with edgeplan.cli: {own} own modules, click {click}, "
        f"heavy libraries {heavy.strip()}"
    )


if __name__ == "__main__":
    main()
