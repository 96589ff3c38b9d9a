"""The child's side of `edgeplan.networks.sandbox`: one job in, lines of JSON out.

Runs in a freshly started interpreter. The job is read from standard input, the limits are set
before anything heavy is imported, and every line written to the result pipe is JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any, Protocol

from edgeplan.model.errors import InputError, NetworkError

_PR_SET_PDEATHSIG = 1

_result_descriptor: int | None = None


class _Function(Protocol):
    def __call__(self, *args: object, **kwargs: object) -> object: ...


def write_line(kind: str, data: object) -> bool:
    """Send one line of JSON to the parent; return False where there is no parent to send to."""
    if _result_descriptor is None:
        return False
    line = memoryview(json.dumps([kind, data]).encode() + b"\n")
    while line:
        line = line[os.write(_result_descriptor, line) :]
    return True


def main() -> None:
    """Read the job, run it under its limits, write its result."""
    global _result_descriptor
    job: dict[str, Any] = json.load(sys.stdin)
    _result_descriptor = int(job["descriptor"])
    os.set_inheritable(_result_descriptor, False)
    _die_with_parent(int(job["parent"]))
    _limit(int(job["memory_bytes"]), float(job["seconds"]))
    try:
        result = _target(job["target"])(*job["args"], **job["kwargs"])
        write_line("result", result)
    except InputError as error:
        kind = "faults" if isinstance(error, NetworkError) else "input"
        write_line(kind, [[fault.place, fault.message] for fault in error.faults])
    except MemoryError:
        write_line("memory", None)
    except KeyboardInterrupt:
        pass
    except BaseException as error:  # noqa: BLE001  (whatever foreign bytes caused is data here)
        text = str(error)
        kind = "memory" if _is_memory(text) else "error"
        write_line(kind, [type(error).__name__, text[:2000]])
    # The result is out: skip destructors, which a foreign model may have broken.
    os._exit(0)


def _is_memory(text: str) -> bool:
    return "bad_alloc" in text or "Failed to allocate memory" in text or "bad allocation" in text


def _target(name: str) -> _Function:
    module, _, function = name.partition(":")
    target: _Function = getattr(importlib.import_module(module), function)
    return target


def _die_with_parent(parent: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the request was in place
        os._exit(1)


def _limit(memory_bytes: int, seconds: float) -> None:
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, memory_bytes)
    _lower(resource.RLIMIT_FSIZE, memory_bytes)
    # A backstop where the parent is stopped or gone: the wall clock is the parent's business.
    _lower(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 30)


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))
