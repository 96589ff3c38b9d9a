"""Plans that a simulation confirms: the rounds until it did, and what it showed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.tables.simulations import simulation
from edgeplan.cli.tables.table import facts, show

if TYPE_CHECKING:
    from edgeplan.closed_loop import Agreement


def agreement(found: Agreement) -> None:
    """Print what was simulated, what broke on the way, and whether the simulation agrees."""
    evaluation = found.result.evaluation
    if found.simulation is not None and evaluation is not None:
        simulation(found.simulation, evaluation)
    if len(found.rounds) > 1:
        show(
            "Rounds (simulated)",
            ("", ">objective", "did not surely hold", "then at most so busy"),
            (
                (
                    number,
                    units.number(each.objective),
                    str(each.broken[0]) + _more(len(each.broken)) if each.broken else "",
                    ", ".join(f"{name} {units.percent(cap)}" for name, cap in each.tightened),
                )
                for number, each in enumerate(found.rounds, 1)
            ),
            footer="Less load is a heuristic: the bound is that of the problem as stated.",
        )
    verdict = Text("agrees", style="green") if found.agrees else Text("no", style="bold red")
    facts("Simulation", {"agrees with the plan": verdict, "because": found.why})


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
