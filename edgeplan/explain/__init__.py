"""Why there is no plan and what would have to give, and why a plan is as it is."""

from edgeplan.explain.conflict import Conflict, find_conflict
from edgeplan.explain.edits import Edit
from edgeplan.explain.infeasible import Infeasibility, explain_infeasible
from edgeplan.explain.items import Item, list_items, list_missing
from edgeplan.explain.needs import Need
from edgeplan.explain.plans import PlanExplanation, explain_plan
from edgeplan.explain.repair import find_repair
from edgeplan.explain.shortfall import Shortage, Shortfall
from edgeplan.explain.terms import Repair
from edgeplan.explain.without import only, without

__all__ = [
    "Conflict",
    "Edit",
    "Infeasibility",
    "Item",
    "Need",
    "PlanExplanation",
    "Repair",
    "Shortage",
    "Shortfall",
    "explain_infeasible",
    "explain_plan",
    "find_conflict",
    "find_repair",
    "list_items",
    "list_missing",
    "only",
    "without",
]
