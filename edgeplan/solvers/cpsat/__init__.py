"""Discrete problems by CP-SAT of OR-Tools.

``zero_one.py`` brings the program to 0/1 variables and whole numbers by relaxing it, ``model.py``
hands that to CP-SAT, ``solver.py`` is the solver. Pure throughput of one stream goes another way
(``throughput.py``, `edgeplan.solvers.pipeline.by_cpsat`).
"""
