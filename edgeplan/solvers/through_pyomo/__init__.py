"""SCIP, CBC and Gurobi through Pyomo's interfaces.

``interface.py`` is what they have in common, ``solvers.py`` has one class for each.
"""
