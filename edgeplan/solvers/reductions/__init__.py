"""Smaller problems with the same answer: each reduction is a function with its way back.

What rules, privacy, memory and links forbid a single layer is no variable of the program to begin
with (`RouteSets.permitted`); here is what follows from several layers, devices or streams.
"""

from __future__ import annotations

from edgeplan.solvers.reductions.cuts import join_dominated_cuts
from edgeplan.solvers.reductions.places import ban_hopeless_places
from edgeplan.solvers.reductions.reduced import Reduced, reduce
from edgeplan.solvers.reductions.twins import merge_identical_streams, order_identical_devices

__all__ = [
    "Reduced",
    "ban_hopeless_places",
    "join_dominated_cuts",
    "merge_identical_streams",
    "order_identical_devices",
    "reduce",
]
