"""Fronts: their points, a small picture, how they compare, and the point that was chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.front_pictures import front_picture, head
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.model.plan import Plan
    from edgeplan.pareto.changes import Change, Changes
    from edgeplan.pareto.choose import Choice
    from edgeplan.pareto.compare import Comparison
    from edgeplan.pareto.front import Front, Hypervolume
    from edgeplan.pareto.objectives import Criterion
    from edgeplan.pareto.sets import PointSet

MOST_POINTS = 40
"""Points listed of a longer front, evenly spread over it."""
MOST_CHANGES = 25


def front(found: Front) -> None:
    """Print a front: points, picture, and what is known of the whole."""
    if found.points:
        _points(found)
        if len(found) > 1:
            front_picture(found)
    facts("Front", _known(found))


def hypervolume_gap(known: Hypervolume) -> float | None:
    """Return which share of the hypervolume's upper bound may still be missing."""
    if not known.reference or not known.upper > 0:
        return None
    return max(0.0, (known.upper - known.lower) / known.upper)


def _points(found: Front) -> None:
    count = len(found)
    listed: Sequence[int] = range(count)
    footer = ""
    if count > MOST_POINTS:
        step = (count - 1) / (MOST_POINTS - 1)
        listed = sorted({round(index * step) for index in range(MOST_POINTS)})
        footer = f"{len(listed)} of {count} points, evenly spaced; front.csv has all"
    show(
        f"Points (predicted; {units.counted(count, 'point')}, ordered by {found.objectives[0]})",
        (">point", *(f">{head(criterion)}" for criterion in found.criteria), "?plan"),
        (
            (
                index,
                *_shown(found.criteria, found.points[index].values),
                plan_words(found.points[index].plan),
            )
            for index in listed
        ),
        footer=footer,
    )


def _shown(chosen: Sequence[Criterion], values: Sequence[float]) -> list[str]:
    return [criterion.show(value) for criterion, value in zip(chosen, values, strict=True)]


def plan_words(plan: Plan) -> str:
    """Return a plan on one line: of a single stream its routes, of several the devices passed."""
    from edgeplan.pareto.front import route_words

    if len(plan.routes) == 1:
        return route_words(next(iter(plan.routes.values())))
    passed: Counter[str] = Counter()
    for routes in plan.routes.values():
        passed[" or ".join(" > ".join(_stages(route.devices)) for route in routes)] += 1
    parts = [f"{number} × {path}" if number > 1 else path for path, number in passed.most_common()]
    return clean_text(", ".join(parts), 100)


def _stages(devices: Sequence[str]) -> list[str]:
    return [
        device for index, device in enumerate(devices) if not index or devices[index - 1] != device
    ]


def _known(found: Front) -> dict[str, object]:
    chosen = found.criteria
    pairs: dict[str, object] = {"instance": found.instance, "points": len(found)}
    if found.exact:
        pairs["exact"] = Text("yes: no plan is missing that no other beats", style="green")
    elif found.complete and found.resolution is not None:
        steps = ", ".join(
            f"{head(criterion)} {criterion.show(step)}"
            for criterion, step in zip(chosen, found.resolution, strict=True)
        )
        pairs["exact"] = f"no: every plan has a point that is worse by {steps} at most"
    else:
        pairs["exact"] = Text("no", style="yellow")
    if not found.complete:
        pairs["stopped"] = found.message
    elif found.message:
        pairs["note"] = found.message
    known = found.hypervolume
    if known.reference:
        pairs["hypervolume"] = (
            f"{units.number(known.lower)} to {units.number(known.upper)} "
            f"(gap {units.gap(hypervolume_gap(known))})"
        )
        pairs["to the reference point"] = ", ".join(_shown(chosen, known.reference))
    pairs["programs solved"] = found.mips
    if found.points and found.mips:
        pairs["programs solved"] = f"{found.mips} ({found.mips / len(found):.2f} a point)"
    pairs["time"] = units.seconds(found.seconds)
    return pairs


# --- comparing ----------------------------------------------------------------------------------


def fronts_compared(found: Comparison, files: Mapping[str, str], *, changes: bool = False) -> None:
    """Print how sets of points compare.

    Parameters
    ----------
    found
        The comparison.
    files
        What each set is, by its name.
    changes
        Whether every change is listed.
    """
    norm = found.normalised
    show(
        "Sets",
        ("set", "what", ">points", ">hypervolume", ">share", ">IGD+"),
        (
            (
                each.name,
                files.get(each.name, each.instance),
                len(each),
                units.number(found.hypervolume[each.name]),
                units.percent(norm.hypervolume[each.name]),
                units.number(norm.igd_plus[each.name]),
            )
            for each in found.sets
        ),
        footer="reference point of the hypervolume: "
        f"{', '.join(_shown(found.criteria, found.reference))} ({found.reference_basis}). Share: "
        "of the box between the best values and that point. IGD+ and the normalised ε below: with "
        "each objective between 0 (best) and 1 (worst) over all points that no other beats; "
        "less is better.",
    )
    show(
        "Pairs",
        ("pair", ">ε+ normalised", ">ε×", ">covers", ">dominates", ">in common"),
        (
            (
                pair,
                units.number(norm.epsilon_additive[pair]),
                units.number(found.epsilon_multiplicative[pair]),
                units.percent(found.coverage[pair]),
                units.percent(found.dominated_share[pair]),
                _in_common(found, pair),
            )
            for pair in found.coverage
        ),
        footer="A->B: the least ε by which A must be moved to cover all of B; shares of B's points "
        "that A meets or dominates (covers), or dominates.",
    )
    rows = list(_knees(found))
    if rows:
        heads = [f">{head(criterion)}" for criterion in found.criteria]
        show("Knees", ("set", "meant by knee", ">point", *heads), rows)
    for each in found.changes:
        _changes(each, found, listed=changes)
    for text in found.notes:
        say(f"note: {text}", style="dim")


def _in_common(found: Comparison, pair: str) -> object:
    first, second = pair.split("->")
    return found.common.get(f"{first}&{second}", found.common.get(f"{second}&{first}"))


def _knees(found: Comparison) -> Iterator[tuple[object, ...]]:
    for each in found.sets:
        for method, knee in found.knees[each.name].items():
            if knee is not None:
                label = each.labels[knee.index] if each.labels else knee.index
                shown = _shown(found.criteria, each.values[knee.index])
                yield each.name, method, label, *shown


def _changes(found: Changes, compared: Comparison, *, listed: bool) -> None:
    counts = {
        "points in both": found.same,
        "in both, by other plans": len(found.of("other plan")),
        f"only in {found.first}": _count_of(found, "gone", found.second),
        f"only in {found.second}": _count_of(found, "new", found.first),
    }
    moved = [f"{clean_text(stream, 40)} ({n})" for stream, n in list(found.streams.items())[:8]]
    if moved:
        counts["streams served otherwise"] = ", ".join(moved)
    facts(f"From {found.first} to {found.second}", counts)
    if not listed or not found.items:
        return
    first = next(each for each in compared.sets if each.name == found.first)
    second = next(each for each in compared.sets if each.name == found.second)
    heads = [f">Δ {head(criterion)}" for criterion in compared.criteria]
    show(
        "Changes (Δ: the second less the first; what only one has stands beside the nearest point)",
        (f">{found.first}", f">{found.second}", "change", *heads, "?plan"),
        (_change(change, first, second, compared) for change in found.items[:MOST_CHANGES]),
        footer=f"… and {len(found.items) - MOST_CHANGES} more; --json --changes has all"
        if len(found.items) > MOST_CHANGES
        else "",
    )


def _count_of(found: Changes, kind: str, other: str) -> str:
    items = [change for change in found.items if change.kind == kind]
    beaten = sum(change.dominated for change in items)
    return f"{len(items)}" + f", {beaten} of them dominated by {other}" * bool(beaten)


def _change(
    change: Change, first: PointSet, second: PointSet, compared: Comparison
) -> tuple[object, ...]:
    from edgeplan.pareto.front import route_words

    numbers = [
        criterion.show(value)
        for criterion, value in zip(compared.criteria, change.difference, strict=False)
    ] or [units.MISSING] * len(compared.criteria)
    plan = "; ".join(
        f"{stream}: {route_words(before)} → {route_words(after)}"
        for stream, (before, after) in list(change.moved.items())[:3]
    )
    beaten = " (dominated)" if change.dominated else ""
    return (
        _name(first, change.first),
        _name(second, change.second),
        change.kind + beaten,
        *numbers,
        clean_text(plan, 160),
    )


def _name(each: PointSet, index: int | None) -> object:
    if index is None:
        return units.MISSING
    return each.labels[index] if each.labels else index


# --- choosing -----------------------------------------------------------------------------------


def choice(found: Front, chosen: Choice) -> None:
    """Print the point that was chosen of a front, why, and the rates there."""
    from edgeplan.pareto.front import route_words

    point = chosen.point
    pairs: dict[str, object] = {"why": chosen.why}
    for criterion, value, column in zip(
        found.criteria, point.values, zip(*found.values, strict=True), strict=True
    ):
        span = f"{criterion.show(min(column))} to {criterion.show(max(column))}"
        pairs[head(criterion)] = f"{criterion.show(value)} (of {span})"
    facts(f"Point {chosen.index} of {chosen.count} (predicted)", pairs)
    if len(found) > 1:
        front_picture(found, chosen.index)
    show(
        "Plan",
        ("stream", "routes"),
        ((stream, route_words(routes)) for stream, routes in point.plan.routes.items()),
    )
    if point.plan.replicas:
        facts("Replicas", point.plan.replicas)
    if chosen.rates:
        show(
            "What a little less of each would cost here",
            ("exchange", ">to point", ">step"),
            (
                (
                    rate.words(),
                    rate.neighbour,
                    next(c for c in found.criteria if c.name == rate.objective).show(rate.step),
                )
                for rate in chosen.rates
            ),
        )
