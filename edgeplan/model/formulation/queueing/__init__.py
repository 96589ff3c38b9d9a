"""The program of queues and routes: plan program and bound program by levels of waits.

``sets.py`` holds the data, ``levels.py`` makes states of levels, ``variables.py``,
``constraints.py`` and ``objective.py`` are the mathematics, ``build.py`` puts them together as
arrays, as text and as a Pyomo model of the same rows. Whole routes are its columns.
"""

from __future__ import annotations

from edgeplan.model.formulation.queueing.build import (
    Program,
    as_pyomo,
    build,
    term_text,
    text,
    variables_text,
)
from edgeplan.model.formulation.queueing.constraints import EQUATIONS
from edgeplan.model.formulation.queueing.levels import Levels, decays, server, states
from edgeplan.model.formulation.queueing.objective import TERMS
from edgeplan.model.formulation.queueing.sets import (
    PART,
    SOLE,
    WHOLE,
    Columns,
    Decay,
    Group,
    Sets,
    Side,
    State,
    Tail,
)

__all__ = [
    "EQUATIONS",
    "PART",
    "SOLE",
    "TERMS",
    "WHOLE",
    "Columns",
    "Decay",
    "Group",
    "Levels",
    "Program",
    "Sets",
    "Side",
    "State",
    "Tail",
    "as_pyomo",
    "build",
    "decays",
    "server",
    "states",
    "term_text",
    "text",
    "variables_text",
]
