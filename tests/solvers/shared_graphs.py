"""The throughput files of msr-fiddle/dnn-partitioning, read by path, with their known optima."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeplan.instances.importers.dnn_partitioning import import_dnn_partitioning
from edgeplan.model.problem import Problem
from edgeplan.solvers.pipeline.arrays import Pipeline

FOLDER = Path(__file__).parents[3] / "shared/data/dnn-partitioning/throughput"

KNOWN = {
    "operator_bert_l-3": (27.918568e-3, 21.908376e-3),
    "operator_resnet50": (124.348850e-3, None),
    "layer_bert24": (17.789906e-3, 17.714719e-3),
    "layer_resnet50": (33.774666e-3, None),
}
"""Contiguous and non-contiguous optimum in seconds (the folder's README)."""


def problem_of_file(name: str) -> Problem:
    path = FOLDER / f"{name}_inference.json"
    if not path.exists():
        pytest.skip(f"no shared data at {path}")
    return import_dnn_partitioning(json.loads(path.read_text()), name).problem


def pipeline_of_file(name: str) -> Pipeline:
    return Pipeline.of(problem_of_file(name))
