"""Sweeps: an instance planned over ranges of its parameters, every point on disk at once.

``parameters.py`` says what is varied (places in the file and values), ``points.py`` how a point is
kept, ``sweep.py`` goes through them, in other processes where asked to.
"""
