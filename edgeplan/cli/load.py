"""Reading an instance and a plan of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeplan.cli.output import note

if TYPE_CHECKING:
    from edgeplan.instances.instance import Instance
    from edgeplan.model.plan import Plan


def load(instance: Path, plan: Path) -> tuple[Instance, Plan]:
    """Return an instance and a plan that speaks of its streams, layers and devices.

    Raises
    ------
    InputError
        If either file is not valid, with every fault of the first that is not.
    """
    from edgeplan.instances.plans import read_plan
    from edgeplan.instances.read import read_instance

    read = read_instance(instance)
    file = read_plan(plan, read.problem)
    if file.same_problem is False:
        note(
            f"note: {plan} was made for another problem ('{file.problem_name[:80]}'): "
            "it fits, but was not optimised for this one"
        )
    return read, file.plan
