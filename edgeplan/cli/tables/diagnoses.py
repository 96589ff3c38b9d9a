"""What an installation has and lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.doctor import Diagnosis


def diagnosis(found: Diagnosis) -> None:
    """Print what there is, then what is not, what that costs and what helps."""
    facts("Versions", found.versions)
    show(
        "Dependencies",
        ("name", ">installed", ">wanted", "?for", ""),
        (
            (
                each.name,
                each.version or units.MISSING,
                each.wanted,
                "" if each.extra == "core" else f"edgeplan[{each.extra}]",
                _tick(each.fault, each.extra != "core"),
            )
            for each in found.dependencies
        ),
    )
    show(
        "Solvers",
        ("", "name", "version", "?why not"),
        ((_tick(s.fault, True), s.name, s.version, s.fault) for s in found.solvers),
    )
    facts("Machine", found.machine)
    facts("Tools", {name: there or units.MISSING for name, there in found.tools.items()})
    if found.lacks:
        facts(
            "What is not there, what that costs, and what helps",
            {each.what: f"{each.why}: {each.costs}\n→ {each.remedy}" for each in found.lacks},
        )
    if found.healthy:
        say("edgeplan works: all that it cannot do without is there", "green")
    else:
        say("edgeplan does not work as it is: see what is not there", "bold red")


def _tick(fault: str, optional: bool) -> Text:
    if not fault:
        return Text("✓", style="green")
    return Text("✗", style="yellow" if optional else "bold red")
