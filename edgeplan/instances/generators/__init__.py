"""Random small problems that together touch every feature of a problem.

Values have the magnitudes of real ones (milliseconds, megabytes, joules, rates of a few per
second) and three significant digits. A problem is drawn without limits first; a few random
plans are priced by the evaluator, and limits are then put around the price of the cheapest one
that can run: mostly a little above (so that this plan witnesses that the problem is feasible),
sometimes below. Problems with waiting and fleets of many streams get their rates from the load of
a plan that is known.
"""

from edgeplan.instances.generators.draw import round3
from edgeplan.instances.generators.fleet import loaded_fleet
from edgeplan.instances.generators.four_sites import four_sites
from edgeplan.instances.generators.loaded import random_loaded_problem
from edgeplan.instances.generators.networks import Kind
from edgeplan.instances.generators.plans import random_plan
from edgeplan.instances.generators.problems import KINDS, PIPELINE, random_problem

__all__ = [
    "KINDS",
    "PIPELINE",
    "Kind",
    "four_sites",
    "loaded_fleet",
    "random_loaded_problem",
    "random_plan",
    "random_problem",
    "round3",
]
