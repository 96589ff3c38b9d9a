"""What ``--json`` printed of plans, as tables: without the problem, only what the file states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.tables.table import facts, show
from edgeplan.report.stated import (
    Stated,
    number,
    part,
    parts,
    predicted_latency,
    predicted_objective,
    simulated_half_width,
    simulated_latency,
    text,
)

NOTHING = "–: there is none, or a queue grows without end."


def stated_result(document: Stated) -> None:
    """Print what ``solve --json`` states of its answer and of the plans to beat."""
    chosen = document.get("chosen")
    plans = dict(_named(part(document, "baselines")))
    if isinstance(chosen, str) and chosen not in plans and part(document, "evaluation"):
        plans[chosen] = {**part(document, "evaluation"), "feasible": True}
    show(
        "Plans considered (predicted)",
        ("", "plan", "?>latency", "??>energy", "??>cost", ">objective", "limits"),
        (
            (
                _tick(name == chosen),
                name,
                units.seconds(number(each.get("latency_seconds"))),
                units.joules(number(each.get("energy_joules"))),
                units.dollars(number(each.get("cost_dollars"))),
                units.number(number(each.get("objective"))),
                _limits(each),
            )
            for name, each in sorted(
                plans.items(), key=lambda item: (item[0] != chosen, not _kept(item[1]))
            )
        ),
    )
    facts(
        "Answer",
        {
            "instance": text(document.get("instance")),
            "status": text(document.get("status")),
            "objective": units.number(number(document.get("objective"))),
            "bound": units.number(number(document.get("bound"))),
            "gap": units.gap(number(document.get("gap"))),
            "basis": text(document.get("basis")) or "none",
            "solver": f"{text(document.get('solver'))} ({text(document.get('why'))})",
            "time": units.seconds(number(document.get("seconds"))),
            **({"note": text(document.get("message"))} if document.get("message") else {}),
        },
    )


def stated_comparison(document: Stated) -> None:
    """Print what ``baselines --json`` states of the plans."""
    plans = sorted(
        _named(part(document, "baselines")),
        key=lambda item: (item[0] != "plan", not _kept(item[1])),
    )
    show(
        f"Plans for {text(document.get('instance'))}, compared",
        (
            "", "plan", ">predicted mean", "?>simulated mean", "??>± 95 %", "??>energy", "??>cost",
            ">objective", "limits",
        ),
        (
            (
                _tick(name == "plan"),
                name,
                units.seconds(predicted_latency(each)),
                units.seconds(simulated_latency(each)),
                units.seconds(simulated_half_width(each)),
                units.joules(number(part(each, "predicted").get("energy_joules"))),
                units.dollars(number(part(each, "predicted").get("cost_dollars"))),
                units.number(predicted_objective(each)),
                _limits(each),
            )
            for name, each in plans
        ),
        legend={
            "predicted mean": "latency, energy, cost and objective by the evaluator",
            "simulated mean": "latency by discrete events",
            "± 95 %": "half of the confidence interval of the simulated mean",
        },
        footer=NOTHING,
    )  # fmt: skip


def stated_load_sweep(document: Stated) -> None:
    """Print what ``baselines --sweep … --json`` states of the plans over the loads."""
    by = text(document.get("sweep"))
    points = parts(document, "points")
    names = list(dict.fromkeys(n for point in points for n, _ in _named(part(point, "baselines"))))
    quantities: Sequence[tuple[str, Callable[[float | None], str], Callable[[Stated], object]]] = (
        ("Mean latency, predicted", units.seconds, predicted_latency),
        ("Mean latency, simulated", units.seconds, simulated_latency),
        ("Objective, predicted", units.number, predicted_objective),
    )
    for what, unit, quantity in quantities:
        rows = []
        for name in names:
            plans = [part(part(point, "baselines"), name) for point in points]
            values = [number(quantity(each)) for each in plans]
            if any(value is not None for value in values):
                cells = (
                    unit(value) + ("" if value is None or _kept(each) else " ✗")
                    for value, each in zip(values, plans, strict=True)
                )
                rows.append((name, *cells))
        if rows:
            show(
                f"{what}, by {by}: {text(document.get('instance'))}",
                ("plan", *(f">{number(point.get(by)) or 0:.3g}" for point in points)),
                rows,
                footer=f"✗: the plan breaks a limit. {NOTHING}",
            )


def _named(plans: Stated) -> list[tuple[str, Stated]]:
    return [(text(name), each) for name, each in plans.items() if isinstance(each, Mapping)]


def _tick(chosen: bool) -> Text:
    return Text("✓" if chosen else "", style="bold green")


def _kept(each: Stated) -> bool:
    return each.get("feasible") is True


def _limits(each: Stated) -> str:
    return "kept" if _kept(each) else text(each.get("why")) or "broken"
