"""A plan under random arrivals: the third witness, beside the program and the evaluator."""

from edgeplan.simulation.arrivals import Arrivals, Mmpp, Renewal, Trace
from edgeplan.simulation.simulate import simulate
from edgeplan.simulation.simulation import (
    SimulatedDeadline,
    SimulatedLoad,
    SimulatedRoute,
    SimulatedStream,
    Simulation,
)
from edgeplan.simulation.statistics import Estimate, Percentile
from edgeplan.simulation.traces import read_trace

__all__ = [
    "Arrivals",
    "Estimate",
    "Mmpp",
    "Percentile",
    "Renewal",
    "SimulatedDeadline",
    "SimulatedLoad",
    "SimulatedRoute",
    "SimulatedStream",
    "Simulation",
    "Trace",
    "read_trace",
    "simulate",
]
