"""Exact shortest paths for one stream on a chain of cuts.

``prices.py`` says what counts towards the objective and each limit, ``charges.py`` writes it on
the arcs of the graph on (cut, device), ``paths.py`` is the dynamic program, ``multipliers.py``
prices limits, ``labels.py`` and ``dominance.py`` decide within limits and with charges that are
paid once per device; ``solver.py`` goes as far down this list as a problem needs.
"""

from __future__ import annotations

from edgeplan.solvers.chain.solver import Chain

__all__ = ["Chain"]
