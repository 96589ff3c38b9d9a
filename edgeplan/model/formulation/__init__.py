"""The mixed-integer program of a problem, as a Pyomo model that people can read and extend.

``sets.py`` says which variables exist, ``units.py`` in what units they are counted,
``variables.py``, ``constraints.py`` and ``objective.py`` are the mathematics, ``build.py`` puts
them together. The evaluator (``edgeplan.model.evaluate``) is the authority on what they mean.
"""

from __future__ import annotations

from edgeplan.model.formulation.build import Formulation, build
from edgeplan.model.formulation.constraints import EQUATIONS
from edgeplan.model.formulation.objective import TERMS
from edgeplan.model.formulation.registry import Equation

__all__ = ["EQUATIONS", "TERMS", "Equation", "Formulation", "build"]
