"""What the machine at hand is."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from edgeplan.model.profile import Machine


def this_machine(*, provider: str, threads: int) -> Machine:
    """Return the machine that this process runs on, and the versions that it uses.

    Parameters
    ----------
    provider
        ONNX Runtime's execution provider.
    threads
        Intra-op threads.
    """
    import psutil

    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
        onnxruntime=importlib.metadata.version("onnxruntime"),
        onnx=importlib.metadata.version("onnx"),
        provider=provider,
        threads=threads,
    )


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"
