"""Baselines beside the plan: predicted, simulated, and over a range of loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.plans import single_unit
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.comparison import Compared, Comparison
    from edgeplan.model.evaluate import DeviceLoad, LinkLoad
    from edgeplan.model.problem import Objective

BAR_WIDTH = 24
"""Characters of the longest bar."""

Unit = Callable[[float | None], str]

_UNITS: dict[str | None, Unit] = {
    "s": units.seconds,
    "J": units.joules,
    "$": units.dollars,
    None: units.number,
}


def comparison(found: Comparison) -> None:
    """Print every plan, the chosen one ticked, then limits broken, notes and the gain."""
    problem = found.problem
    chosen = found.chosen
    plans = sorted(
        found.plans,
        key=lambda each: (each.name != chosen, not each.feasible, each.price),
    )
    objective = problem.objective
    energy, cost = (_rank(price) for price in objective.prices[1:])
    weighed = single_unit(objective) != "s"
    longest = max((value for each in plans if (value := _latency(each)) < math.inf), default=0.0)
    show(
        _title(found),
        (
            "", "plan", ">predicted latency", "?basis", ">simulated latency", ">± 95 %",
            "?>simulated p95", f"{energy}>predicted energy", f"{cost}>predicted cost",
            *((">predicted objective", "?>simulated objective") if weighed else ()),
            "??replicas", "limits", "??latency",
        ),
        (_row(each, chosen, objective, longest, weighed=weighed) for each in plans),
        footer="predicted: by the evaluator; basis: what its mean is, exact or approximate. "
        "simulated: by discrete events; ±: half of the 95 % confidence interval. "
        "p95: of the slowest stream.",
    )  # fmt: skip
    if limits := [(each.name, each.baseline.why) for each in plans if each.baseline.why]:
        show("Limits that they break", ("plan", "what"), limits)
    if notes := list(_notes(found)):
        show("Notes", ("plan", "what"), notes)
    if (gain := _gain(found)) is not None:
        facts("Answer", {"saved": gain})


def load_sweep(by: str, points: Sequence[tuple[float, Comparison]]) -> None:
    """Print the mean latencies of every plan over the loads."""
    if not points:
        return
    names = [compared.name for compared in points[0][1].plans]
    say(_title(points[0][1]), "bold")
    for what, latency in (("predicted", _predicted), ("simulated", _simulated)):
        rows = []
        for name in names:
            values = [_at(found, name, latency) for _, found in points]
            if all(value is None for value in values) and what == "simulated":
                continue
            cells = [
                units.MISSING
                if value is None
                else units.seconds(value) + ("" if _kept(found, name) else " ✗")
                for value, (_, found) in zip(values, points, strict=True)
            ]
            rows.append((name, *cells))
        if not rows:
            continue
        show(
            f"Mean latency, {what}, by {by}",
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


def _rank(price: float) -> str:
    """Return how easily a column is left out: what is not minimised goes first."""
    return "?" if price else "??"


def _row(
    each: Compared, chosen: str | None, objective: Objective, longest: float, *, weighed: bool
) -> Sequence[object]:
    priced, run = each.baseline.evaluation, each.simulated
    unit = _UNITS[single_unit(objective)]
    kinds = [] if priced is None else dict.fromkeys(v.kind for v in priced.violations)
    broken = " ".join(["✗", ", ".join(kinds)]).rstrip()
    # The period is not simulated: it is the plan's own load.
    simulated = None
    if run is not None and priced is not None:
        simulated = objective.value(
            run.latency_seconds, run.energy_joules, run.cost_dollars, priced.period_seconds
        )
    values = [None if priced is None else priced.objective, simulated]
    copies = {} if each.baseline.plan is None else each.baseline.plan.replicas
    return (
        Text("✓" if each.name == chosen else "", style="bold green"),
        each.name,
        units.seconds(_predicted(each)),
        "" if priced is None else _basis(each),
        units.seconds(_simulated(each)),
        units.seconds(None if run is None else run.half_width),
        units.seconds(_slowest(each)),
        units.joules(None if priced is None else priced.energy_joules),
        units.dollars(None if priced is None else priced.cost_dollars),
        *(map(unit, values) if weighed else ()),
        ", ".join(f"{clean_text(name, 30)} {count}" for name, count in copies.items()),
        Text("kept", style="green") if each.feasible else Text(broken, style="red"),
        Text(_bar(_latency(each), longest), style="cyan"),
    )


def _basis(each: Compared) -> str:
    from edgeplan.comparison.report import basis

    assert each.baseline.evaluation is not None
    return basis(each.baseline.evaluation).replace("none", "no waiting")


def _predicted(each: Compared) -> float | None:
    priced = each.baseline.evaluation
    return None if priced is None else priced.latency_seconds


def _simulated(each: Compared) -> float | None:
    return None if each.simulated is None else each.simulated.latency_seconds


def _latency(each: Compared) -> float:
    """Return the simulated mean, else the predicted one, else ``inf``."""
    found = _simulated(each)
    found = _predicted(each) if found is None else found
    return math.inf if found is None else found


def _slowest(each: Compared) -> float | None:
    """Return the largest simulated p95 of a stream."""
    if each.simulated is None:
        return None
    count = len(each.simulated.runs[0].streams)
    return max(each.simulated.percentile(stream, 0.95) for stream in range(count))


def _bar(value: float, longest: float) -> str:
    if not (0 < value < math.inf and longest > 0):
        return ""
    return "█" * max(1, round(BAR_WIDTH * value / longest))


def _at(found: Comparison, name: str, latency: Callable[[Compared], float | None]) -> float | None:
    each = next((each for each in found.plans if each.name == name), None)
    value = None if each is None else latency(each)
    return value if value is None or math.isfinite(value) else None


def _kept(found: Comparison, name: str) -> bool:
    return any(each.name == name and each.feasible for each in found.plans)


def _notes(found: Comparison) -> Iterator[tuple[str, str]]:
    for each in found.plans:
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
