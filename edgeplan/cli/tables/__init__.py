"""Everything that is printed for people, by what it shows."""

from edgeplan.cli.tables.agreements import agreement
from edgeplan.cli.tables.baselines import comparison, load_sweep
from edgeplan.cli.tables.catalogues import catalogue, catalogue_entry
from edgeplan.cli.tables.diagnoses import diagnosis
from edgeplan.cli.tables.drawings import drawing, plan_drawing
from edgeplan.cli.tables.explanations import in_file, infeasibility, plan_explanation
from edgeplan.cli.tables.fronts import choice, front, fronts_compared, hypervolume_gap
from edgeplan.cli.tables.instances import instance
from edgeplan.cli.tables.limits import violations
from edgeplan.cli.tables.loads import loads
from edgeplan.cli.tables.plans import (
    certified,
    claimed,
    considered,
    decision,
    plan,
    stages,
    totals,
)
from edgeplan.cli.tables.profiles import profile
from edgeplan.cli.tables.runs import run_report
from edgeplan.cli.tables.simulations import simulation
from edgeplan.cli.tables.stated import stated_comparison, stated_load_sweep, stated_result
from edgeplan.cli.tables.sweeps import parameter_sweep
from edgeplan.cli.tables.table import console, facts, say, show

__all__ = [
    "agreement",
    "catalogue",
    "catalogue_entry",
    "certified",
    "choice",
    "claimed",
    "comparison",
    "considered",
    "console",
    "decision",
    "diagnosis",
    "drawing",
    "facts",
    "front",
    "fronts_compared",
    "hypervolume_gap",
    "in_file",
    "infeasibility",
    "instance",
    "load_sweep",
    "loads",
    "parameter_sweep",
    "plan",
    "plan_drawing",
    "plan_explanation",
    "profile",
    "run_report",
    "say",
    "show",
    "simulation",
    "stages",
    "stated_comparison",
    "stated_load_sweep",
    "stated_result",
    "totals",
    "violations",
]
