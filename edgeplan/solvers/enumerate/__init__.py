"""The enumerator: every discrete plan, by exhaustive search with bounds. The oracle.

``solver.py`` says what it supports, ``rows.py`` prices every route once by the evaluator,
``limits.py`` lists what the streams share, ``crowd.py`` knows queues and numbers of replicas, and
``search.py`` combines the routes, depth first.
"""

from __future__ import annotations

from edgeplan.solvers.enumerate.solver import Enumerator

__all__ = ["Enumerator"]
