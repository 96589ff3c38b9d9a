"""Throughput of one stream, as arrays.

``arrays.py`` holds the pipeline and its exact reductions, ``problem.py`` is the way there and back.
``ideals.py`` is the exact solver for contiguous plans, on the dynamic program of
``ideal_program.py``. ``price_bound.py`` proves bounds by prices, which ``set_prices.py`` checks;
``by_cpsat.py`` closes the gap between good plans and such bounds.
"""
