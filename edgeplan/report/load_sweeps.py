"""The page of plans compared, at one load or over a range of loads."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.instances.document import read_document
from edgeplan.model.errors import InputError
from edgeplan.report import plots
from edgeplan.report.blocks import section
from edgeplan.report.figures import Figure
from edgeplan.report.page import Page
from edgeplan.report.plots import Curve, Dots
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
from edgeplan.report.tables import Cell, Table, columns, plain_bar, row

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source

MAX_BYTES = 500_000_000
LOADS = {"rho": "load of the origins (ρ)", "rate": "rates, × the instance's"}
MEANS = {
    "rho": "ρ is the mean busy share of the streams' origins, if each served what arises there.",
    "rate": "The rates are multiples of the instance's.",
}
MEANINGS = {
    "all-edge": "each stream whole at its own origin",
    "edge-pool": "the best balance over the devices that are no cloud",
    "all-cloud": "everything on one cloud device, with as many copies as pay",
    "best-cut": "each stream cut once where it is best for it alone (Neurosurgeon)",
    "min-cut": "each stream cut by a minimum cut, alone (DADS)",
    "capacity-only": "the best plan for a world without waiting",
    "greedy": "the streams choose in turn, the heaviest first",
    "plan": "what edgeplan solve finds",
}
"""What the plans are, as ``edgeplan baselines --help`` has it."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """The plans at one load: its value, and by name what was found."""

    value: float
    plans: Mapping[str, Stated]


def page(sources: Sequence[Source], problem: Problem | None) -> Page:
    """Return the page of what ``edgeplan baselines --json`` printed, with a sweep or without.

    Parameters
    ----------
    sources
        One file.
    problem
        Not needed: the file has all that is shown.

    Raises
    ------
    InputError
        If the file is none.
    """
    (source,) = sources
    document = read_document(source.file, max_bytes=MAX_BYTES).value
    if not isinstance(document, dict):
        raise InputError.at(source.name, "is not a comparison of plans")
    if source.kind == "comparison":
        return comparison_page(document, [source.name])
    return sweep_page(document, [source.name])


def comparison_page(document: Stated, sources: Sequence[str] = ()) -> Page:
    """Return the page of plans compared at the instance's own load.

    Parameters
    ----------
    document
        What ``edgeplan baselines --json`` printed.
    sources
        Names of the files, for the page's foot.
    """
    found = Load(value=1.0, plans=_plans(part(document, "baselines")))
    name = text(document.get("instance"))
    return Page(
        kind="comparison",
        title=f"Plans for {name}, compared" if name else "Plans compared",
        subtitle="The plan beside the plans to beat, given the same means.",
        sections=(
            section(
                "plans",
                "Plans",
                "Predicted by the evaluator, and simulated with random arrivals. Intervals are of "
                "95 % confidence.",
                figures=(_dots(found),),
                tables=(_at_one_load(found), _meanings(found.plans)),
            ),
        ),
        sources=tuple(sources),
        facts={"plans": len(found.plans)},
    )


def sweep_page(document: Stated, sources: Sequence[str] = ()) -> Page:
    """Return the page of plans compared over a range of loads.

    Parameters
    ----------
    document
        What ``edgeplan baselines --sweep … --json`` printed.
    sources
        Names of the files, for the page's foot.

    Raises
    ------
    InputError
        If it has no loads.
    """
    by = text(document.get("sweep"))
    loads = [
        Load(value=value, plans=_plans(part(point, "baselines")))
        for point in parts(document, "points")
        if (value := number(point.get(by))) is not None
    ]
    if not loads:
        raise InputError.at("points", "are missing: no load was finished")
    name = text(document.get("instance"))
    first, last = loads[0].value, loads[-1].value
    seeds = _seeds(loads)
    objective = _differs(loads)
    sections = [
        section(
            "latency",
            "Latency over the load",
            "Lines with markers are simulated, with their 95 % confidence as a band; dotted lines "
            "are what the evaluator predicts. A hollow marker is a plan that breaks a limit. "
            "Where a line ends, there is no plan, or a queue grows without end. "
            + MEANS.get(by, ""),
            figures=(
                _latency_curves(by, loads),
                _curves(
                    "p95",
                    "95th percentile of the slowest stream (simulated)",
                    by,
                    loads,
                    _slowest,
                    1e3,
                    "p95, slowest stream (ms)",
                    log=True,
                ),
            ),
            tables=(
                _over_loads("Mean latency, simulated", by, loads, simulated_latency, units.seconds),
                _over_loads("Mean latency, predicted", by, loads, predicted_latency, units.seconds),
            ),
        )
    ]
    if objective:
        sections.append(
            section(
                "objective",
                "Objective over the load",
                "What is minimised, predicted by the evaluator.",
                figures=(
                    _curves(
                        "objective",
                        "Objective (predicted)",
                        by,
                        loads,
                        predicted_objective,
                        1.0,
                        "objective",
                    ),
                ),
                tables=(
                    _over_loads(
                        "Objective, predicted", by, loads, predicted_objective, units.number
                    ),
                ),
            )
        )
    sections.append(
        section(
            "busiest",
            "Busiest device over the load",
            "The largest share of the time that a device is busy; predicted by the evaluator.",
            figures=(
                _curves(
                    "busiest",
                    "Utilisation of the busiest device (predicted)",
                    by,
                    loads,
                    _busiest,
                    100.0,
                    "busiest device (% of the time)",
                ),
            ),
            tables=(_over_loads("Busiest device, predicted", by, loads, _busiest, units.percent),),
        )
    )
    sections.append(
        section(
            "plans",
            "The plans",
            tables=(_meanings(loads[0].plans), _reasons(by, loads)),
        )
    )
    return Page(
        kind="load-sweep",
        title=f"Plans for {name} over the load" if name else "Plans over the load",
        subtitle=f"{units.counted(len(loads), 'load')}, {by} {first:.3g} to {last:.3g}; {seeds}.",
        sections=tuple(sections),
        sources=tuple(sources),
        facts={"loads": len(loads), "plans": len(loads[0].plans)},
    )


def _plans(plans: Stated) -> dict[str, Stated]:
    return {text(name, 60): each for name, each in plans.items() if isinstance(each, Mapping)}


def _seeds(loads: Sequence[Load]) -> str:
    for load in loads:
        for each in load.plans.values():
            run = part(each, "simulated")
            seeds = run.get("seeds")
            if run and isinstance(seeds, list):
                requests = units.count(number(run.get("requests")))
                return f"{requests} requests simulated, {units.counted(len(seeds), 'seed')}"
    return "nothing was simulated"


Quantity = Callable[["Stated"], float | None]


def _slowest(each: Stated) -> float | None:
    found = [number(stream.get("p95")) for stream in parts(part(each, "simulated"), "streams")]
    return max((value for value in found if value is not None), default=None)


def _busiest(each: Stated) -> float | None:
    devices = parts(part(each, "predicted"), "devices")
    found = [number(device.get("utilisation")) for device in devices]
    return max((value for value in found if value is not None), default=None)


def _differs(loads: Sequence[Load]) -> bool:
    """Return whether the objective is more than the mean latency."""
    return any(
        (value := predicted_objective(each)) is not None
        and not math.isclose(value, predicted_latency(each) or 0.0, rel_tol=1e-3)
        for load in loads
        for each in load.plans.values()
    )


def _groups(
    loads: Sequence[Load], quantities: Sequence[Quantity]
) -> list[tuple[list[str], list[Stated]]]:
    """Return the plans by name, those together that are the same everywhere."""
    found: dict[tuple[object, ...], tuple[list[str], list[Stated]]] = {}
    for name in loads[0].plans:
        row_ = [load.plans.get(name, {}) for load in loads]
        values = tuple(
            None if (value := quantity(each)) is None else round(value, 9)
            for each in row_
            for quantity in quantities
        )
        if any(value is not None for value in values):
            found.setdefault(values, ([], row_))[0].append(name)
    return list(found.values())


def _series(names: Sequence[str], place: int) -> int:
    return plots.PLANS.get(names[-1], place)


def _latency_curves(by: str, loads: Sequence[Load]) -> Figure:
    x = [load.value for load in loads]
    curves = []
    for place, (names, plans) in enumerate(_groups(loads, (predicted_latency, simulated_latency))):
        series = _series(names, place)
        means = [simulated_latency(each) for each in plans]
        predicted = [predicted_latency(each) for each in plans]
        label = ", ".join(names)
        if any(value is not None for value in means):
            curves.append(
                Curve(
                    name=label,
                    series=series,
                    x=x,
                    y=_times(means, 1e3),
                    half_widths=_times([simulated_half_width(each) for each in plans], 1e3),
                    hollow=[each.get("feasible") is not True for each in plans],
                    texts=[
                        f"{label}\n{by} {load.value:.3g}\nsimulated "
                        f"{units.seconds(simulated_latency(each))} ± "
                        f"{units.seconds(simulated_half_width(each))}"
                        f"\npredicted {units.seconds(predicted_latency(each))}"
                        for load, each in zip(loads, plans, strict=True)
                    ],
                )
            )
        curves.append(
            Curve(name=label, series=series, x=x, y=_times(predicted, 1e3), predicted=True)
        )
    return plots.curves(
        Figure(
            id="latency-curves",
            label="Mean latency of every plan over the load, simulated and predicted; the tables "
            "below have the same numbers",
            data=(),
            height=460,
        ),
        curves,
        LOADS.get(by, by),
        "mean latency (ms)",
        log_y=True,
    )


def _curves(
    name: str,
    label: str,
    by: str,
    loads: Sequence[Load],
    quantity: Quantity,
    factor: float,
    y_title: str,
    *,
    log: bool = False,
) -> Figure:
    curves = [
        Curve(
            name=", ".join(names),
            series=_series(names, place),
            x=[load.value for load in loads],
            y=_times([quantity(each) for each in plans], factor),
            hollow=[each.get("feasible") is not True for each in plans],
        )
        for place, (names, plans) in enumerate(_groups(loads, (quantity,)))
    ]
    return plots.curves(
        Figure(id=f"{name}-curves", label=f"{label}, over the load", data=(), note=f"{label}."),
        curves,
        LOADS.get(by, by),
        y_title,
        log_y=log,
    )


def _times(values: Sequence[float | None], factor: float) -> list[float | None]:
    return [None if value is None else value * factor for value in values]


def _over_loads(
    what: str,
    by: str,
    loads: Sequence[Load],
    quantity: Quantity,
    unit: Callable[[float | None], str],
) -> Table | None:
    rows = []
    for name in loads[0].plans:
        plans = [load.plans.get(name, {}) for load in loads]
        values = [quantity(each) for each in plans]
        if all(value is None for value in values):
            continue
        cells = [
            Cell(
                text=unit(value) + ("" if value is None or each.get("feasible") is True else " ✗"),
                tone="" if value is None or each.get("feasible") is True else "bad",
            )
            for value, each in zip(values, plans, strict=True)
        ]
        rows.append(row(Cell(text=name, tone="strong" if name == "plan" else ""), *cells))
    if not rows:
        return None
    return Table(
        caption=f"{what}, by {by}",
        columns=columns("plan", *(f">{load.value:.3g}" for load in loads)),
        rows=tuple(rows),
        note="✗: the plan breaks a limit. –: there is none, or a queue grows without end.",
        folded=True,
    )


def _meanings(plans: Mapping[str, Stated]) -> Table:
    return Table(
        caption="What the plans are",
        columns=columns("plan", "*how it is made"),
        rows=tuple(row(name, MEANINGS.get(name, "")) for name in plans),
    )


def _reasons(by: str, loads: Sequence[Load]) -> Table | None:
    rows = [
        row(name, f"{load.value:.3g}", Cell(text=text(each.get("why"), 300), tone="bad"))
        for name in loads[0].plans
        for load in loads
        for each in (load.plans.get(name, {}),)
        if text(each.get("why"))
    ]
    if not rows:
        return None
    return Table(
        caption="Limits that plans break",
        columns=columns("plan", f">{by}", "*what"),
        rows=tuple(rows[:500]),
        folded=True,
    )


def _ranked(found: Load) -> list[str]:
    """Return the plans' names: ours, then those that keep every limit, the cheapest first."""

    def rank(name: str) -> tuple[bool, bool, float]:
        price = predicted_objective(found.plans[name])
        infeasible = found.plans[name].get("feasible") is not True
        return name != "plan", infeasible, float("inf") if price is None else price

    return sorted(found.plans, key=rank)


def _dots(found: Load) -> Figure:
    names = _ranked(found)
    plans = [found.plans[name] for name in names]
    simulated = [simulated_latency(each) for each in plans]
    half = [simulated_half_width(each) for each in plans]
    low = [
        None if mean is None or width is None else max(mean - width, mean / 100)
        for mean, width in zip(simulated, half, strict=True)
    ]
    high = [
        None if mean is None or width is None else mean + width
        for mean, width in zip(simulated, half, strict=True)
    ]
    series = [
        Dots(
            name="simulated, ± 95 %",
            series=plots.SIMULATED,
            marker="circle",
            values=_times(simulated, 1e3),
            low=_times(low, 1e3),
            high=_times(high, 1e3),
        ),
        Dots(
            name="predicted",
            series=plots.PREDICTED,
            marker="diamond-open",
            values=_times([predicted_latency(each) for each in plans], 1e3),
        ),
        Dots(
            name="p95 of the slowest stream, simulated",
            series=1,
            marker="square",
            values=_times([_slowest(each) for each in plans], 1e3),
        ),
    ]
    return plots.dots(
        Figure(
            id="plans",
            label="Mean latency of every plan, simulated and predicted; the table below has the "
            "same numbers",
            data=(),
        ),
        names,
        series,
        "latency (ms)",
    )


def _at_one_load(found: Load) -> Table:
    prices = {name: predicted_objective(each) for name, each in found.plans.items()}
    full = max((price for price in prices.values() if price is not None), default=0.0)
    rows = []
    for name in _ranked(found):
        each = found.plans[name]
        predicted = part(each, "predicted")
        feasible = each.get("feasible") is True
        rows.append(
            row(
                Cell(text=name, tone="strong" if name == "plan" else ""),
                units.seconds(predicted_latency(each)),
                text(predicted.get("basis")).replace("none", "without waits"),
                units.seconds(simulated_latency(each)),
                units.seconds(simulated_half_width(each)),
                units.seconds(_slowest(each)),
                units.joules(number(predicted.get("energy_joules"))),
                units.dollars(number(predicted.get("cost_dollars"))),
                units.number(prices[name]),
                Cell(
                    bar=plain_bar(
                        prices[name],
                        full,
                        "ours" if name == "plan" else "busy",
                        f"objective {units.number(prices[name])}",
                    )
                ),
                Cell(
                    text="keeps every limit" if feasible else text(each.get("why"), 300),
                    tone="good" if feasible else "bad",
                ),
            )
        )
    return Table(
        caption="Plans side by side",
        columns=columns(
            *("plan", "?>mean, predicted", "?prediction is", ">mean, simulated", "?>± 95 %"),
            *("?>p95, simulated", "?>energy, predicted", "?>cost, predicted"),
            *("?>objective, predicted", "?=objective, as a bar", "*limits"),
        ),
        rows=tuple(rows),
        note="p95 is that of the slowest stream.",
    )
