"""Two devices without limits that bind, by a minimum cut.

``charges.py`` says what each charge of a request is as an arc, ``limits.py`` whether a limit can
bind at all, ``graph.py`` finds the cut in whole numbers and checks the flow, ``solver.py`` is the
solver.
"""
