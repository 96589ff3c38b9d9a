"""Baselines beside the plan: predicted, simulated, and over a range of loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.limits import kept, limits_broken
from edgeplan.cli.tables.plans import objective_unit, single_unit
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.comparison import Compared, Comparison
    from edgeplan.model.evaluate import DeviceLoad, Evaluation, LinkLoad
    from edgeplan.model.problem import Objective

BAR_WIDTH = 24
"""Characters of the longest bar."""

Unit = Callable[[float | None], str]
Column = tuple[str, "Callable[[Compared], object]"]


def comparison(found: Comparison) -> None:
    """Print every plan, the chosen one ticked, then limits broken, notes and the gain."""
    problem = found.problem
    chosen = found.chosen
    plans = sorted(
        found.plans,
        key=lambda each: (each.name != chosen, not each.feasible, each.price),
    )
    columns = [*_latencies(plans), *_costs(plans, problem.objective)]
    show(
        _title(found),
        ("", "plan", *(heading for heading, _ in columns), "limits", "??bars"),
        (
            (
                Text("✓" if each.name == chosen else "", style="bold green"),
                each.name,
                *(cell(each) for _, cell in columns),
                kept(each.baseline.evaluation),
                _bar(_latency(each), plans),
            )
            for each in plans
        ),
        legend={
            "predicted mean": "by the evaluator",
            "prediction is": "exact, an approximation, or without waits",
            "simulated mean": "by discrete events",
            "± 95 %": "half of the confidence interval of the simulated mean",
            "simulated p95": "of the slowest stream",
            "bars": "mean latency",
        },
    )
    limits_broken((each.name, each.baseline.evaluation, each.baseline.why) for each in plans)
    if notes := list(_notes(found)):
        show("Notes", ("plan", "what"), notes)
    if (gain := _gain(found)) is not None:
        facts("Answer", {"saved": gain})


def load_sweep(by: str, points: Sequence[tuple[float, Comparison]]) -> None:
    """Print the mean latencies (and the objective) of every plan over the loads."""
    if not points:
        return
    names = [compared.name for compared in points[0][1].plans]
    say(_title(points[0][1]), "bold")
    objective = points[0][1].problem.objective
    quantities: list[tuple[str, Unit, Callable[[Compared], float | None]]] = [
        ("Mean latency, predicted", units.seconds, _predicted),
        ("Mean latency, simulated", units.seconds, _simulated),
    ]
    if single_unit(objective) != "s":
        quantities.append(("Objective, predicted", objective_unit(objective), _objective))
    for what, unit, quantity in quantities:
        rows = []
        for name in names:
            values = [_at(found, name, quantity) for _, found in points]
            if all(value is None for value in values):
                continue
            cells = [
                units.MISSING
                if value is None
                else unit(value) + ("" if _kept(found, name) else " ✗")
                for value, (_, found) in zip(values, points, strict=True)
            ]
            rows.append((name, *cells))
        if not rows:
            continue
        show(
            f"{what}, by {by}",
            ("plan", *(f">{load:.3g}" for load, _ in points)),
            rows,
            footer="✗: the plan breaks a limit. –: there is none, or a queue grows without end.",
        )


def _title(found: Comparison) -> str:
    runs = next((each.simulated for each in found.plans if each.simulated is not None), None)
    if runs is None:
        return "Plans compared (predicted; nothing was simulated)"
    seeds = len(runs.runs)
    return (
        f"Plans compared (predicted, and simulated with {units.count(runs.runs[0].requests)} "
        f"requests and {units.counted(seeds, 'seed')})"
    )


def _latencies(plans: Sequence[Compared]) -> Iterator[Column]:
    """Yield the columns of latencies; without simulations those of the prediction."""
    yield ">predicted mean", lambda each: units.seconds(_predicted(each))
    yield "?prediction is", _basis
    if any(each.simulated is not None for each in plans):
        yield ">simulated mean", lambda each: units.seconds(_simulated(each))
        yield ">± 95 %", lambda each: units.seconds(_half_width(each))
        yield "?>simulated p95", lambda each: units.seconds(_slowest(each))


def _costs(plans: Sequence[Compared], objective: Objective) -> Iterator[Column]:
    """Yield the columns of energy, cost and objective where they are more than the latency."""
    kinds: list[tuple[str, Unit, Callable[[Evaluation], float], float]] = [
        ("energy", units.joules, lambda priced: priced.energy_joules, objective.prices[1]),
        ("cost", units.dollars, lambda priced: priced.cost_dollars, objective.prices[2]),
    ]
    for name, unit, value, price in kinds:
        if price or any(
            each.baseline.evaluation and value(each.baseline.evaluation) for each in plans
        ):
            yield f"{'?' if price else '??'}>predicted {name}", _cell(unit, value)
    if single_unit(objective) != "s":
        yield (
            ">predicted objective",
            _cell(objective_unit(objective), lambda priced: priced.objective),
        )
    if any(each.baseline.plan is not None and each.baseline.plan.replicas for each in plans):
        yield "?replicas", _replicas


def _cell(unit: Unit, value: Callable[[Evaluation], float]) -> Callable[[Compared], str]:
    def cell(each: Compared) -> str:
        priced = each.baseline.evaluation
        return unit(None if priced is None else value(priced))

    return cell


def _replicas(each: Compared) -> str:
    plan, priced = each.baseline.plan, each.baseline.evaluation
    if plan is None or priced is None:
        return ""
    return ", ".join(
        f"{clean_text(load.name, 30)} {load.replicas}"
        for load in priced.devices
        if load.on and load.name in plan.replicas
    )


def _basis(each: Compared) -> str:
    from edgeplan.comparison.report import basis

    priced = each.baseline.evaluation
    return "" if priced is None else basis(priced).replace("none", "without waits")


def _predicted(each: Compared) -> float | None:
    priced = each.baseline.evaluation
    return None if priced is None else priced.latency_seconds


def _objective(each: Compared) -> float | None:
    priced = each.baseline.evaluation
    return None if priced is None else priced.objective


def _simulated(each: Compared) -> float | None:
    return None if each.simulated is None else each.simulated.latency_seconds


def _latency(each: Compared) -> float:
    """Return the simulated mean, else the predicted one, else ``inf``."""
    found = _simulated(each)
    found = _predicted(each) if found is None else found
    return math.inf if found is None else found


def _half_width(each: Compared) -> float | None:
    return None if each.simulated is None else each.simulated.half_width


def _slowest(each: Compared) -> float | None:
    """Return the largest simulated p95 of a stream."""
    if each.simulated is None:
        return None
    count = len(each.simulated.runs[0].streams)
    return max(each.simulated.percentile(stream, 0.95) for stream in range(count))


def _bar(value: float, plans: Sequence[Compared]) -> Text:
    longest = max((_latency(each) for each in plans if _latency(each) < math.inf), default=0.0)
    if not 0 < value < math.inf:
        return Text("")
    return Text("█" * max(1, round(BAR_WIDTH * value / longest)), style="cyan")


def _at(found: Comparison, name: str, quantity: Callable[[Compared], float | None]) -> float | None:
    each = next((each for each in found.plans if each.name == name), None)
    value = None if each is None else quantity(each)
    return value if value is None or math.isfinite(value) else None


def _kept(found: Comparison, name: str) -> bool:
    return any(each.name == name and each.feasible for each in found.plans)


def _notes(found: Comparison) -> Iterator[tuple[str, str]]:
    seeds = max((len(each.simulated.runs) for each in found.plans if each.simulated), default=0)
    for each in found.plans:
        if each.simulated is not None and (runs := len(each.simulated.runs)) < seeds:
            yield each.name, f"simulated with {runs} of the {seeds} seeds"
        if each.baseline.note:
            yield each.name, each.baseline.note
        priced = each.baseline.evaluation
        if each.simulated is None and priced is not None and _grows(each):
            yield each.name, "not simulated: a queue grows without end"


def _grows(each: Compared) -> bool:
    priced = each.baseline.evaluation
    assert priced is not None
    loads: list[DeviceLoad | LinkLoad] = [*priced.devices, *priced.links]
    full = any(load.wait_seconds is not None and load.utilisation >= 1 for load in loads)
    return full and math.isinf(priced.latency_seconds)


def _gain(found: Comparison) -> str | None:
    """Say by how much the plan beats the best other one, as predicted and as simulated."""
    plan = next((each for each in found.plans if each.name == "plan"), None)
    others = [each for each in found.plans if each.name != "plan" and each.feasible]
    if plan is None or not plan.feasible:
        return None
    if not others:
        return "no baseline is feasible"
    best = min(others, key=lambda each: each.price)
    if not best.price > 0:
        return None
    text = f"{units.percent(max(0.0, 1 - plan.price / best.price))} of the objective as predicted"
    mine, other = _simulated(plan), _simulated(best)
    if mine is not None and other:
        text += f", {units.percent(1 - mine / other)} of the latency as simulated"
    return f"{text}, against {best.name}"
