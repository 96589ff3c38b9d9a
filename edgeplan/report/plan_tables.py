"""What a plan costs, as tables: latency by step, loads, objective, baselines, deadlines.

Everything here is predicted: the evaluator's prices of the plan, and nothing of a solver's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.report.limits import broken
from edgeplan.report.tables import Cell, Part, Table, columns, plain_bar, row
from edgeplan.report.waterfall import KINDS, Step, steps, totals

if TYPE_CHECKING:
    from edgeplan.model.evaluate import DeadlinePrice, Evaluation, RoutePrice, StreamPrice
    from edgeplan.model.problem import Problem
    from edgeplan.solvers.baselines import Baseline

MOST_ROUTES = 40
"""Routes whose latency is shown step by step."""
MOST_STEPS = 40
"""Steps of a route that are listed."""
MOST_ROWS = 200

LEGEND = (
    ("compute", "compute"),
    ("transfer", "transfer"),
    ("wait", "wait, in a queue or for a batch"),
)


def latencies(problem: Problem, evaluation: Evaluation) -> Table:
    """Return the latency of every route, split into compute, transfer and wait.

    Parameters
    ----------
    problem, evaluation
        What was planned, and the plan's price.
    """
    routes = list(_routes(evaluation))
    limits = [
        deadline.limit_seconds
        for price in evaluation.streams
        for deadline in price.deadlines
        if deadline.statistic == "mean"
    ]
    ends = [route.latency_seconds for _, _, _, route in routes]
    longest = max((end for end in ends if math.isfinite(end)), default=0.0)
    # A deadline far away would leave the bars too short to be read.
    near = [limit for limit in limits if limit <= 3 * longest]
    full = max([longest, *near], default=0.0) * 1.02 or 1.0
    rows = []
    for number, price, name, route in routes[:MOST_ROWS]:
        found = steps(route) if math.isfinite(route.latency_seconds) else ()
        sums = totals(found)
        deadline = _mean_deadline(price)
        rows.append(
            row(
                Cell(text=name, stream=number),
                _share(route),
                *(units.seconds(sums[kind]) for kind in KINDS),
                Cell(text=units.seconds(route.latency_seconds), tone="strong"),
                "" if deadline is None else units.seconds(deadline.limit_seconds),
                Cell(
                    bar=_parts(found, full),
                    mark=None if deadline is None else deadline.limit_seconds / full,
                    mark_title="deadline of the stream's mean",
                ),
            )
        )
    more = len(routes) - len(rows)
    note = f"The bars end at {units.seconds(full)}."
    if near:
        note += " A mark is the deadline of the stream's mean."
    return Table(
        caption="Latency of a request by route (predicted, mean)",
        columns=columns(
            *("stream", "?>share", "?>compute", "?>transfer", "?>wait", ">latency"),
            *("?>deadline", "=where the time goes"),
        ),
        rows=tuple(rows),
        note=note + (f" {units.counted(more, 'more route')} left out." if more > 0 else ""),
        legend=LEGEND,
    )


def waterfalls(evaluation: Evaluation) -> tuple[Table, ...]:
    """Return, for each route, its latency step by step.

    Parameters
    ----------
    evaluation
        Of the plan; routes that cannot run are left out, and all after the `MOST_ROUTES` slowest.
    """
    routes = [each for each in _routes(evaluation) if math.isfinite(each[3].latency_seconds)]
    slowest = sorted(routes, key=lambda each: -each[3].latency_seconds)[:MOST_ROUTES]
    shown = [each for each in routes if each in slowest]
    return tuple(
        _waterfall(number, name, route, folded=len(shown) > 1, opened=each is slowest[0])
        for each in shown
        for number, _, name, route in (each,)
    )


def _waterfall(number: int, name: str, route: RoutePrice, *, folded: bool, opened: bool) -> Table:
    found = steps(route)
    full = route.latency_seconds or 1.0
    rows = [
        row(
            Cell(text=_step_words(step), stream=number if step.kind == "compute" else None),
            step.where,
            units.seconds(step.start_seconds),
            Cell(text=units.seconds(step.seconds), tone="strong"),
            Cell(
                bar=(
                    Part(
                        start=step.start_seconds / full,
                        length=step.seconds / full,
                        kind=step.kind,
                        title=f"{_step_words(step)}: {units.seconds(step.seconds)}",
                    ),
                )
            ),
        )
        for step in found[:MOST_STEPS]
    ]
    more = len(found) - len(rows)
    return Table(
        caption=f"{name}: {units.seconds(route.latency_seconds)} step by step (predicted, mean)",
        columns=columns("step", "?where", "?>begins at", ">takes", "=when"),
        rows=tuple(rows),
        note=f"{units.counted(more, 'more step')} left out." if more > 0 else "",
        legend=LEGEND,
        folded=folded,
        opened=opened,
    )


def _step_words(step: Step) -> str:
    return f"{step.kind}: {step.what}"


def deadlines(evaluation: Evaluation) -> Table | None:
    """Return the deadlines and their slack; ``None`` where there are none."""
    rows = []
    for number, price in enumerate(evaluation.streams):
        for each in price.deadlines:
            kept = each.slack_seconds >= -1e-6 * each.limit_seconds
            rows.append(
                row(
                    Cell(text=price.name, stream=number),
                    each.statistic,
                    units.seconds(each.value_seconds),
                    units.seconds(each.limit_seconds),
                    Cell(
                        text=units.seconds(each.slack_seconds) + ("" if kept else " – missed"),
                        tone="good" if kept else "bad",
                    ),
                    _basis_words(each),
                    Cell(
                        bar=plain_bar(
                            each.value_seconds,
                            1.25 * each.limit_seconds,
                            "busy" if kept else "over",
                            f"{units.seconds(each.value_seconds)} of "
                            f"{units.seconds(each.limit_seconds)}",
                        ),
                        mark=0.8,
                        mark_title=f"deadline {units.seconds(each.limit_seconds)}",
                    ),
                )
            )
    if not rows:
        return None
    return Table(
        caption="Deadlines and their slack (predicted)",
        columns=columns(
            *("stream", "of", "?>predicted", "?>deadline", ">slack", "?prediction is"),
            "?=share of the deadline",
        ),
        rows=tuple(rows[:MOST_ROWS]),
        note=_left_out(len(rows), "deadline"),
    )


def _basis_words(deadline: DeadlinePrice) -> str:
    return {"none": "without waits", "safe": "an upper bound"}.get(deadline.basis, deadline.basis)


def devices(problem: Problem, evaluation: Evaluation) -> Table:
    """Return how busy the plan keeps the devices, and what they keep in memory.

    Parameters
    ----------
    problem, evaluation
        What was planned, and the plan's price.
    """
    waits = problem.waiting != "none"
    capped = problem.capacity == "utilisation"
    loads = sorted(evaluation.devices, key=lambda load: (not load.on, -load.utilisation))
    rows = []
    for load in loads[:MOST_ROWS]:
        device = problem.device[load.name]
        over = capped and load.utilisation > device.utilisation_cap * (1 + 1e-6)
        busy = units.percent(load.utilisation) if load.on or load.utilisation else "off"
        limit = "" if math.isinf(device.memory_bytes) else units.size(device.memory_bytes)
        rows.append(
            row(
                load.name,
                device.tier,
                str(load.replicas) if load.on else "",
                Cell(text=busy, tone="bad" if over else "strong"),
                Cell(
                    bar=plain_bar(
                        load.utilisation,
                        1.0,
                        "over" if over else "busy",
                        f"busy {busy} of the time",
                    ),
                    mark=device.utilisation_cap if capped else None,
                    mark_title=f"at most {units.percent(device.utilisation_cap)}",
                ),
                *((units.seconds(load.wait_seconds),) if waits else ()),
                units.size(load.memory_bytes) + (f" of {limit}" if limit else ""),
                Cell(
                    bar=plain_bar(
                        None if not limit else float(load.memory_bytes),
                        device.memory_bytes,
                        "busy" if load.memory_bytes <= device.memory_bytes * (1 + 1e-6) else "over",
                        f"{units.size(load.memory_bytes)} of {limit}",
                    )
                ),
                units.watts(load.watts),
            )
        )
    return Table(
        caption="Devices: share of the time busy, memory, power (predicted)",
        columns=columns(
            *("device", "?tier", "?>copies", ">busy", "=busy, as a bar"),
            *((">mean wait",) if waits else ()),
            *("?>memory", "?=memory, as a bar", "?>power"),
        ),
        rows=tuple(rows),
        note=_left_out(len(loads), "device")
        or ("A mark is the largest share that the instance allows." if capped else ""),
    )


def links(problem: Problem, evaluation: Evaluation) -> Table | None:
    """Return the links that carry something, the busiest first; ``None`` where none does."""
    waits = problem.waiting != "none"
    capped = problem.capacity == "utilisation"
    caps = {link.name: link for link in problem.links}
    used = [load for load in evaluation.links if load.utilisation or load.bytes_per_second]
    if not used:
        return None
    rows = []
    for load in sorted(used, key=lambda load: -load.utilisation)[:MOST_ROWS]:
        link = caps[load.name]
        cap = link.utilisation_cap if capped and problem.loads(link) else None
        over = cap is not None and load.utilisation > cap * (1 + 1e-6)
        rows.append(
            row(
                load.name.replace("->", " → "),
                Cell(text=units.percent(load.utilisation), tone="bad" if over else "strong"),
                Cell(
                    bar=plain_bar(
                        load.utilisation,
                        1.0,
                        "over" if over else "busy",
                        f"busy {units.percent(load.utilisation)} of the time",
                    ),
                    mark=cap,
                    mark_title="" if cap is None else f"at most {units.percent(cap)}",
                ),
                *((units.seconds(load.wait_seconds),) if waits else ()),
                units.bandwidth(load.bytes_per_second),
                units.bandwidth(link.bytes_per_second),
            )
        )
    return Table(
        caption="Links in use: share of the time busy, traffic (predicted)",
        columns=columns(
            *("link", ">busy", "=busy, as a bar"),
            *((">mean wait",) if waits else ()),
            *("?>traffic", "?>bandwidth"),
        ),
        rows=tuple(rows),
        note=_left_out(len(used), "link"),
    )


def objective_terms(problem: Problem, evaluation: Evaluation) -> Table:
    """Return what the objective is made of.

    Parameters
    ----------
    problem, evaluation
        What was planned, and the plan's price.
    """
    goal = problem.objective
    per = "mean per request" if goal.aggregate == "mean" else "sum over the streams"
    terms = (
        ("latency", evaluation.latency_seconds, units.seconds, goal.latency,
         goal.latency_denominator_seconds),
        ("energy", evaluation.energy_joules, units.joules, goal.energy,
         goal.energy_denominator_joules),
        ("cost", evaluation.cost_dollars, units.dollars, goal.cost,
         goal.cost_denominator_dollars),
        ("period", evaluation.period_seconds, units.seconds, goal.throughput,
         goal.throughput_denominator_seconds),
    )  # fmt: skip
    full = evaluation.objective
    rows = []
    for name, value, unit, weight, denominator in terms:
        part = weight * value / denominator if weight else 0.0
        rows.append(
            row(
                name,
                unit(value),
                units.number(weight) if weight else "not weighed",
                unit(denominator) if weight else "",
                Cell(text=units.number(part) if weight else "", tone="strong"),
                Cell(
                    bar=plain_bar(
                        part if math.isfinite(part) else None,
                        full,
                        "busy",
                        f"{name}: {units.number(part)} of {units.number(full)}",
                    )
                ),
            )
        )
    return Table(
        caption=f"What the objective is made of (predicted, {per})",
        columns=columns(
            *("term", ">value", "?>weight", "?>divided by", ">part of the objective"),
            "?=share",
        ),
        rows=tuple(rows),
        note="The period is the busy time of the most loaded device or link per average request: "
        "its inverse is the throughput.",
    )


def compared(
    problem: Problem, evaluation: Evaluation, name: str, baselines: Sequence[Baseline]
) -> Table:
    """Return the plan beside the baselines, the cheapest first.

    Parameters
    ----------
    problem, evaluation
        What was planned, and the plan's price.
    name
        What found the plan; empty where not known.
    baselines
        The plans to beat, priced likewise.
    """
    found = [(each.name, each.evaluation, each.why, False) for each in baselines]
    found.append((f"this plan ({name})" if name else "this plan", evaluation, "", True))
    found.sort(
        key=lambda each: (
            not each[3],
            each[1] is None or not each[1].feasible,
            math.inf if each[1] is None else each[1].objective,
        )
    )
    prices = [
        priced.objective
        for _, priced, _, _ in found
        if priced is not None and math.isfinite(priced.objective)
    ]
    full = max(prices, default=0.0)
    rows = []
    for label, priced, why, ours in found:
        feasible = priced is not None and priced.feasible
        value = None if priced is None else priced.objective
        rows.append(
            row(
                Cell(text=label, tone="strong" if ours else ""),
                *_prices(priced),
                Cell(text=units.number(value), tone="strong" if ours else ""),
                Cell(
                    bar=plain_bar(
                        None if value is None or not math.isfinite(value) else value,
                        full,
                        "ours" if ours else "busy",
                        f"objective {units.number(value)}",
                    )
                ),
                Cell(
                    text="keeps every limit" if feasible else broken_words(priced) or why,
                    tone="good" if feasible else "bad",
                ),
            )
        )
    return Table(
        caption="The plan beside the baselines (all predicted by the same evaluator)",
        columns=columns(
            *("plan", "?>latency", "?>energy", "?>cost", ">objective", "?=objective, as a bar"),
            "*limits",
        ),
        rows=tuple(rows),
    )


def _prices(priced: Evaluation | None) -> tuple[str, str, str]:
    if priced is None:
        return (units.MISSING,) * 3
    return (
        units.seconds(priced.latency_seconds),
        units.joules(priced.energy_joules),
        units.dollars(priced.cost_dollars),
    )


def broken_words(priced: Evaluation | None) -> str:
    """Say which limit a plan breaks first."""
    if priced is None or not priced.violations:
        return ""
    first, *others = priced.violations
    more = f" (and {len(others)} more)" if others else ""
    return f"{first.kind}, {first.place}: {broken(first)}{more}"


def violations(evaluation: Evaluation) -> Table | None:
    """Return the limits that the plan breaks; ``None`` where it keeps all."""
    if evaluation.feasible:
        return None
    return Table(
        caption="Limits that the plan breaks (predicted)",
        columns=columns("limit", "where", "*what"),
        rows=tuple(
            row(Cell(text=each.kind, tone="bad"), each.place, broken(each))
            for each in evaluation.violations[:MOST_ROWS]
        ),
        note=_left_out(len(evaluation.violations), "limit"),
    )


_Route = tuple[int, "StreamPrice", str, "RoutePrice"]


def _routes(evaluation: Evaluation) -> list[_Route]:
    """Return number and price of the stream, name and price of every route."""
    return [
        (
            number,
            price,
            price.name if len(price.routes) == 1 else f"{price.name}, route {index + 1}",
            route,
        )
        for number, price in enumerate(evaluation.streams)
        for index, route in enumerate(price.routes)
    ]


def _mean_deadline(price: StreamPrice) -> DeadlinePrice | None:
    return next((each for each in price.deadlines if each.statistic == "mean"), None)


def _share(route: RoutePrice) -> str:
    batch = f", batches of {route.batch}" if route.batch > 1 else ""
    return units.percent(route.fraction) + batch


def _parts(found: Sequence[Step], full: float) -> tuple[Part, ...]:
    return tuple(
        Part(
            start=step.start_seconds / full,
            length=step.seconds / full,
            kind=step.kind,
            title=f"{step.where}: {_step_words(step)}, {units.seconds(step.seconds)}",
        )
        for step in found[:MOST_STEPS]
    )


def _left_out(count: int, noun: str) -> str:
    more = count - MOST_ROWS
    return f"{units.counted(more, f'more {noun}')} left out." if more > 0 else ""
