"""Limits: which a plan keeps, and which it breaks, in the units that people use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.table import say, show
from edgeplan.report.limits import broken

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Evaluation, Violation


def violations(evaluation: Evaluation) -> None:
    """Print the limits that a plan breaks, or that it breaks none."""
    if evaluation.feasible:
        say("feasible: the plan breaks no limit", "green")
        return
    show(
        "Limits broken",
        ("limit", "place", "what"),
        ((v.kind, v.place, broken(v)) for v in evaluation.violations),
    )


def kept(priced: Evaluation | None) -> Text:
    """Return the cell that says whether a plan keeps all limits, else which kinds it breaks.

    Parameters
    ----------
    priced
        The plan's evaluation; ``None`` where there is no plan.
    """
    if priced is not None and priced.feasible:
        return Text("kept", style="green")
    kinds = [] if priced is None else dict.fromkeys(v.kind for v in priced.violations)
    return Text(" ".join(["✗", ", ".join(kinds)]).rstrip(), style="red")


def limits_broken(plans: Iterable[tuple[str, Evaluation | None, str]]) -> None:
    """Print the limits that plans break, of each kind the first, where any breaks one.

    Parameters
    ----------
    plans
        Name, evaluation, and why there is no plan where there is none.
    """
    rows = [(name, reason) for name, priced, why in plans for reason in _reasons(priced, why)]
    if rows:
        show("Limits that they break", ("plan", "what"), rows)


def _reasons(priced: Evaluation | None, why: str) -> Iterator[str]:
    if priced is None:
        yield why or "there is no such plan"
        return
    kinds: dict[str, list[Violation]] = {}
    for violation in priced.violations:
        kinds.setdefault(violation.kind, []).append(violation)
    for kind, (first, *others) in kinds.items():
        more = f" (and {len(others)} more)" if others else ""
        yield f"{kind}, {clean_text(first.place)}: {broken(first)}{more}"
