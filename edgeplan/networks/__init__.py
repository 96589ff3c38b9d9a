"""ONNX networks: read safely, pin shapes, fold, find cuts, extract parts, open sessions.

The usual way::

    prepared = prepare(Path("net.onnx"), folder=Path("work"))        # safe: a child reads it
    layers, tensors = grouping.group(prepared.graph, positions)      # what the planner places
    inputs, outputs = grouping.part_io(tensors, first, stop)         # a part's border
    part = extract(prepared.folded, inputs, outputs, Path("part.onnx"))
    session = sessions.open_session(part, level="deployed")
"""

from __future__ import annotations

from edgeplan.networks.files import digest
from edgeplan.networks.grouping import group, part_io
from edgeplan.networks.parts import extract
from edgeplan.networks.preparing import Prepared, prepare
from edgeplan.networks.reweighting import reweight

__all__ = ["Prepared", "digest", "extract", "group", "part_io", "prepare", "reweight"]
