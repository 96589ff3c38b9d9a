"""The plans to beat: what a sensible person would try first, priced by the evaluator.

``baselines`` are those that every planning begins from: all at the origin, all on one cloud
device, best single cut, greedy. ``min_cut`` joins them where baselines are compared. One that
breaks a limit is kept, with the limit in words.

``rules.py`` has the plans that streams choose alone, ``greedy.py`` the one where they choose in
turn, ``replicas.py`` the numbers of replicas that go with given routes.
"""

from edgeplan.solvers.baselines.baseline import Baseline, priced
from edgeplan.solvers.baselines.greedy import Greedy, greedy
from edgeplan.solvers.baselines.min_cut import min_cut
from edgeplan.solvers.baselines.replicas import with_best_replicas
from edgeplan.solvers.baselines.rules import (
    all_at_origin,
    all_on_one_cloud,
    baselines,
    best_cut,
)

__all__ = [
    "Baseline",
    "Greedy",
    "all_at_origin",
    "all_on_one_cloud",
    "baselines",
    "best_cut",
    "greedy",
    "min_cut",
    "priced",
    "with_best_replicas",
]
