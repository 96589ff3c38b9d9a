"""Multipliers that prove a bound: what `edgeplan.model.dual` recomputes is sought here.

``routes.py`` finds a stream's cheapest relaxed route under prices, ``function.py`` the dual
function with its planes, ``multipliers.py`` climbs it.
"""
