"""The page of a front, or of several laid over each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.cli import units
from edgeplan.model.errors import Fault, InputError
from edgeplan.pareto.files import INSTANCE_NAME, JOURNAL_NAME, read_front, read_points
from edgeplan.pareto.sets import baseline_set, comparable, point_set, table_set
from edgeplan.report.figures import Figure, axis, line
from edgeplan.report.front_data import Shown, drawings_tree, set_tree
from edgeplan.report.page import Page, Section
from edgeplan.report.search_history import history

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.pareto.compare import Comparison
    from edgeplan.pareto.front import Front
    from edgeplan.pareto.objectives import Criterion
    from edgeplan.report.read import Source

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST_SETS = 8
"""Sets that can be told apart by colour and mark."""
_KNEE_WORDS: Mapping[str, str] = {
    "hyperplane": "knee: farthest below the plane through the front's ends",
    "trade-off rate": "knee: dearest to leave for a point near it",
}


@dataclasses.dataclass(frozen=True)
class _Given:
    """A file that was given: its points, and the front where it is one."""

    source: Source
    shown: Shown
    front: Front | None


NOTES = (
    ("notes", "What to know of these points", "", ("front", "points")),
    (
        "no-baselines",
        "Baselines that are not shown",
        "These rules have no plan that keeps every limit.",
        ("baselines",),
    ),
)
"""Sections of notes: id, title, lead, and of which kinds of sets."""


def page(sources: Sequence[Source], problem: Problem | None = None, *, force: bool = False) -> Page:
    """Return the page of fronts.

    Parameters
    ----------
    sources
        The fronts, and CSV files of points.
    problem
        Their instance, where it was given; else the copy beside each front is read.
    force
        Whether fronts of different instances, or with different objectives, go on one page.

    Raises
    ------
    InputError
        If a file cannot be read, a given instance is not that of the fronts, or (see
        `edgeplan.pareto.sets.comparable`) the fronts cannot be compared.
    """
    if len(sources) >= MOST_SETS:
        raise InputError.at("", f"at most {MOST_SETS - 1} fronts can be told apart on a page")
    given = [
        _read(source, letter, problem) for source, letter in zip(sources, LETTERS, strict=False)
    ]
    first = given[0]
    if not any(len(each.shown.points) for each in given):
        raise InputError.at(first.source.name[:200], "has no point: there is nothing to show")
    sets = [each.shown for each in given]
    if first.shown.problem is not None:
        found = baseline_set(first.shown.problem, first.shown.points.objectives)
        sets.append(
            Shown(points=found, title="baselines", kind="baselines", problem=first.shown.problem)
        )
    if len(sets) > 1:
        aligned = comparable([each.points for each in sets], force=force)
        sets = [
            dataclasses.replace(each, points=points)
            for each, points in zip(sets, aligned, strict=True)
        ]
    compared = _compared(sets)
    return Page(
        kind="front",
        title=_title(given),
        subtitle=_subtitle(given),
        sections=tuple(_sections(given, sets, compared)),
        sources=tuple(source.name for source in sources),
        facts={
            "points": sum(len(each.shown.points) for each in given),
            "sets": {each.shown.points.name: each.source.name for each in given},
            "baselines": sum(len(each.points) for each in sets if each.kind == "baselines"),
        },
    )


def _read(source: Source, letter: str, problem: Problem | None) -> _Given:
    try:
        if source.kind == "points":
            table = table_set(read_points(source.file), letter)
            return _Given(
                source, Shown(points=table, title=source.name, kind="points", problem=None), None
            )
        front = read_front(source.file)
    except InputError as error:
        raise InputError(
            [Fault(f"{source.name[:200]}: {f.place}".rstrip(": "), f.message) for f in error.faults]
        ) from None
    of = _problem(front, source, problem)
    shown = Shown(points=point_set(front, letter), title=source.name, kind="front", problem=of)
    return _Given(source, shown, front)


def _problem(front: Front, source: Source, given: Problem | None) -> Problem | None:
    """Return the problem of a front: the one given, or that of the copy beside it."""
    from edgeplan.instances.plans import fingerprint
    from edgeplan.instances.read import read_instance

    if given is not None:
        if front.fingerprint and fingerprint(given) != front.fingerprint:
            message = f"is not of this instance: its fingerprint is {front.fingerprint[:12]}…"
            raise InputError.at(source.name[:200], message)
        return given
    beside = source.file.parent / INSTANCE_NAME
    if not beside.is_file():
        return None
    try:
        problem = read_instance(beside).problem
    except InputError:
        return None
    return problem if fingerprint(problem) == front.fingerprint else None


def _compared(sets: Sequence[Shown]) -> Comparison | None:
    """Return what is known of several fronts together; ``None`` of one."""
    from edgeplan.pareto.compare import compare

    named = [each.points for each in sets if each.kind != "baselines"]
    filled = [each for each in named if len(each)]
    return compare(filled, force=True) if len(filled) > 1 else None


def _title(given: Sequence[_Given]) -> str:
    names = list(
        dict.fromkeys(
            (each.front.instance if each.front else "") or Path(each.source.name).name
            for each in given
        )
    )
    return f"{'Front' if len(given) == 1 else 'Fronts'} of {', '.join(names)}"


def _subtitle(given: Sequence[_Given]) -> str:
    objectives = [_word(each) for each in given[0].shown.points.criteria]
    listed = (
        f"{', '.join(objectives[:-1])} and {objectives[-1]}" if objectives[1:] else objectives[0]
    )
    if len(given) > 1:
        named = ((len(each.shown.points), each.shown.points.name) for each in given)
        counts = ", ".join(f"{number:,} in {name}" for number, name in named)
        return f"Points by {listed}: {counts}. Every number is predicted by the evaluator."
    number = len(given[0].shown.points)
    plans = "plan" if number == 1 else "plans"
    return (
        f"{number:,} {plans} that no other here beats in {listed}. Every number is predicted by "
        "the evaluator."
    )


def _sections(
    given: Sequence[_Given], sets: Sequence[Shown], compared: Comparison | None
) -> Iterator[Section]:
    chosen = sets[0].points.criteria
    yield Section(
        id="explore",
        title="Points and their plans",
        lead="Click a point, a row of the table or one of the buttons to see its plan. Drag along "
        "an axis of the lines below the first picture to keep only the points within.",
        template="front.html.j2",
        context={"objectives": chosen, "sets": sets},
        data={
            "front": _tree(sets, chosen),
            "drawings": [drawings_tree(each) for each in sets],
        },
        styles=("streams.css", "blocks.css", "drawing.css", "front.css"),
        scripts=(
            "front_points.js",
            "front_charts.js",
            "front_table.js",
            "front_plan.js",
            "front.js",
        ),
    )
    yield Section(
        id="known",
        title="How much of the front this is",
        lead="What the search proved, and how the bounds on its hypervolume met.",
        template="front_known.html.j2",
        context={"fronts": [(each, _known(each.front)) for each in given if each.front]},
        figures=tuple(_search_figures(given)),
    )
    if compared is not None:
        yield Section(
            id="compared",
            title="Beside each other",
            lead="Indicators of quality. Of two sets, A → B reads: how A stands to B.",
            template="front_compared.html.j2",
            context={
                "rows": list(_indicator_rows(compared)),
                "pairs": list(_pair_rows(compared)),
                "compared": compared,
                "titles": {each.points.name: each.title for each in sets},
            },
        )
    if compared is not None:
        return  # which has the notes of all sets
    for id_, title, lead, kinds in NOTES:
        notes = [note for each in sets if each.kind in kinds for note in each.points.notes]
        if notes:
            yield Section(
                id=id_,
                title=title,
                lead=lead,
                template="front_notes.html.j2",
                context={"notes": notes},
                listed=False,
            )


def _tree(sets: Sequence[Shown], chosen: Sequence[Criterion]) -> dict[str, Any]:
    """Return what the page's code works with; points are numbered through all sets."""
    trees = [set_tree(each) for each in sets]
    marks: list[dict[str, Any]] = []
    begin = 0
    for each in sets:
        if each.kind != "baselines":
            marks += [{**mark, "point": begin + mark["point"]} for mark in _marks(each, len(sets))]
        begin += len(each.points)
    return {
        "objectives": [
            {"name": _word(criterion), "unit": criterion.unit, "key": criterion.key}
            for criterion in chosen
        ],
        "sets": trees,
        "marks": marks,
    }


def _word(criterion: Criterion) -> str:
    """Return what a criterion's value is: of throughput, its inverse, the period.

    Examples
    --------
    >>> from edgeplan.pareto.objectives import CRITERIA
    >>> _word(CRITERIA["latency"]), _word(CRITERIA["throughput"])
    ('latency', 'period')
    """
    return criterion.key.rpartition("_")[0]


def _marks(shown: Shown, count: int) -> Iterator[dict[str, Any]]:
    """Yield the points of a set that have a name: its knees, and the ends of each objective."""
    from edgeplan.pareto.knees import METHODS, find_knee

    points = shown.points
    if not len(points):
        return
    values = points.array
    for index, criterion in enumerate(points.criteria):
        least = min(range(len(points)), key=lambda row: (values[row, index], *points.values[row]))
        yield {"point": least, "kind": "end", "words": f"least {_word(criterion)}"}
    for method in METHODS:
        knee = find_knee(values, method)
        if knee is not None:
            yield {
                "point": knee.index,
                "kind": "knee",
                "method": method,
                "score": knee.score,
                "words": f"knee ({method})",
                "meaning": _KNEE_WORDS[method],
            }


def _known(front: Front) -> Iterator[tuple[str, str]]:
    """Yield what is known of the whole front, as pairs of words."""
    chosen = front.criteria
    yield "instance", front.instance or "not named"
    yield "points", f"{len(front):,}"
    if front.exact:
        yield (
            "exact",
            "yes: no plan is missing that no other beats (equal within a share of "
            + (f"{front.tolerance:g})"),
        )
    elif front.complete and front.resolution is not None:
        steps = ", ".join(
            f"{_word(criterion)} {criterion.show(step)}"
            for criterion, step in zip(chosen, front.resolution, strict=True)
        )
        yield "exact", f"no: every plan has a point that is worse by {steps} at most"
    else:
        yield "exact", "no: plans may be missing"
    if not front.complete:
        yield "stopped", front.message
    elif front.message:
        yield "note", front.message
    volume = front.hypervolume
    if volume.reference and volume.upper > 0:
        gap = max(0.0, (volume.upper - volume.lower) / volume.upper)
        yield (
            "hypervolume",
            (
                f"{units.number(volume.lower)} to {units.number(volume.upper)}, a gap of "
                f"{units.gap(gap)}"
            ),
        )
        corner = ", ".join(
            f"{_word(criterion)} {criterion.show(value)}"
            for criterion, value in zip(chosen, volume.reference, strict=True)
        )
        yield "measured to", corner
    if front.mips:
        each = f" ({front.mips / len(front):.2f} for each point)" if len(front) else ""
        yield "programs solved", f"{front.mips:,}{each}"
    if front.seconds:
        yield "time", f"{units.seconds(front.seconds)} (measured)"
    yield (
        "basis",
        (
            "every value is the evaluator's; that no plan is missing is claimed by a solver in "
            "floating point, or by walking all plans"
            if front.exact
            else "every value is the evaluator's"
        ),
    )
    if front.fingerprint.strip("0"):
        yield "fingerprint", front.fingerprint[:16]


def _search_figures(given: Sequence[_Given]) -> Iterator[Figure]:
    """Yield for each front that has a journal how its bounds met."""
    for each in given:
        beside = each.source.file.parent / JOURNAL_NAME
        if each.front is None or not beside.is_file():
            continue
        found = history(each.front, beside)
        if found is None:
            continue
        percent = [[100 * share for share in shares] for shares in (found.lower, found.upper)]
        if found.seconds is not None:
            over, along, unit = "time", list(found.seconds), "%{x:.3g} s of search"
            label, told = "time of the search (s)", ""
        else:
            over, along, unit = "the programs solved", list(found.programs), "%{x} programs"
            label = "programs solved"
            told = " This journal says the order of what was found, not the time."
        hover = f"%{{y:.4g}} % after {unit}"
        yield Figure(
            id=f"search-{each.shown.points.name}",
            label=f"Lower and upper bound on the hypervolume over {over}",
            height=300,
            data=[
                line(1, "at most (proved)", along, percent[1], mode="lines", hovertemplate=hover),
                line(
                    0,
                    "dominated by the points found",
                    along,
                    percent[0],
                    mode="lines",
                    hovertemplate=hover,
                    fill="tonexty",
                    fillcolor="--band-7",
                ),
            ],
            layout={
                "xaxis": axis(label, rangemode="tozero"),
                "yaxis": axis("share of the box (%)", rangemode="tozero"),
            },
            note=f"{each.source.name}: hypervolume as a share of the box from the ideal point to "
            f"the reference point, replayed from the journal of the search "
            f"({found.points[-1]:,} points, {found.programs[-1]:,} programs"
            + (f", {found.seconds[-1]:,.3g} s" if found.seconds else "")
            + f").{told}",
        )


def _indicator_rows(found: Comparison) -> Iterator[dict[str, Any]]:
    for each in found.sets:
        name = each.name
        yield {
            "name": name,
            "points": len(each),
            "hypervolume": found.hypervolume[name],
            "share": found.normalised.hypervolume[name],
            "igd_plus": found.normalised.igd_plus[name],
        }


def _pair_rows(found: Comparison) -> Iterator[dict[str, Any]]:
    for pair in found.coverage:
        first, second = pair.split("->")
        yield {
            "pair": f"{first} → {second}",
            "epsilon": found.normalised.epsilon_additive[pair],
            "factor": found.epsilon_multiplicative[pair],
            "coverage": found.coverage[pair],
            "dominated": found.dominated_share[pair],
        }
