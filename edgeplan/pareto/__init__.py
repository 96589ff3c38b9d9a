"""Pareto fronts: the sets of plans none of which dominates another.

``objectives.py`` says what may be traded, ``front.py`` what a front is, ``compare.py`` how two or
more differ, ``choose.py`` how one plan is picked from a front, ``knees.py`` where it bends.
"""
