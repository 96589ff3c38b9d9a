"""The plan beside the plans to beat, each priced by the evaluator and simulated.

All are given the same means: the same devices, links and numbers of replicas to choose from, and
fractions where a stream may be split. What differs is what they look at.
"""

from edgeplan.comparison.compare import compare
from edgeplan.comparison.report import NAMES, Compared, Comparison, Simulated
from edgeplan.comparison.sweep import at_rate, origin_load, sweep

__all__ = [
    "NAMES",
    "Compared",
    "Comparison",
    "Simulated",
    "at_rate",
    "compare",
    "origin_load",
    "sweep",
]
