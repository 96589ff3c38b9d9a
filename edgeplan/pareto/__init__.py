"""Pareto fronts: the sets of plans none of which dominates another.

``objectives.py`` says what may be traded, ``front.py`` what a front is, ``files.py`` how it is
written and read. ``sets.py`` has what can be compared (fronts, baselines, points of others),
``compare.py`` how it differs, by the numbers of ``indicators.py`` and plan by plan by
``changes.py``. ``knees.py`` says where a front bends and ``choose.py`` picks one plan.
"""
