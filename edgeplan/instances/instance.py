"""The instance: a problem in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeplan.model.graph import OnnxSource
from edgeplan.model.problem import Problem


@dataclass(frozen=True)
class Instance:
    """A problem with what its file adds.

    Parameters
    ----------
    problem
        What a solver sees.
    sources
        ONNX file by network name, for the networks that name one: what running a plan needs.
        Paths are absolute.
    path
        The file that it was read from; two instances may be equal without it.
    predicted
        Names of the devices with a profile that was predicted, not measured, in the problem's
        order; two instances may be equal without it.
    """

    problem: Problem
    sources: Mapping[str, OnnxSource] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)
    predicted: tuple[str, ...] = field(default=(), compare=False)
