"""Every exception that edgeplan raises on purpose.

::

    EdgeplanError
    ├── InputError                 what the user gave is wrong (exit code 2)
    │   ├── NetworkError           an ONNX file that is unsafe, invalid, too large or crashes
    │   └── SolverUnavailableError an optional solver that is not installed
    ├── SolverError                a solver broke its promise (exit code 1)
    ├── ExecutionError             a run failed: a worker died, a link broke (exit code 1)
    └── InterruptedRunError        the user pressed Ctrl-C and nothing could be kept (exit code 130)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    place
        Where: a path into a file (``streams[3].deadline``), an object or a file name.
    message
        What is wrong there and what would mend it, without a full stop.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class EdgeplanError(Exception):
    """Base of every exception that edgeplan raises on purpose."""


class InputError(EdgeplanError, ValueError):
    """What the user gave is wrong.

    Parameters
    ----------
    faults
        Every fault found, so that one run shows them all.

    Examples
    --------
    >>> raise InputError([Fault("streams[0].rate", "must be positive")])
    Traceback (most recent call last):
    ...
    edgeplan.model.errors.InputError: streams[0].rate: must be positive
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.faults,)

    @classmethod
    def at(cls, place: str, message: str) -> Self:
        """Return an error with a single fault."""
        return cls([Fault(place, message)])


class NetworkError(InputError):
    """An ONNX file that is unsafe, invalid, too large, too slow or crashes the runtime."""


class SolverUnavailableError(InputError):
    """An optional solver that is not installed; the message has the install command."""


class SolverError(EdgeplanError):
    """A solver broke its promise, for example a plan dearer than the price it claimed."""


class ExecutionError(EdgeplanError):
    """A run failed: a worker died, a port was taken, a token or a hash did not match."""


class InterruptedRunError(EdgeplanError):
    """The user interrupted and there was nothing to keep."""
