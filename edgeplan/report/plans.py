"""The page of a plan: what runs where, where the time goes, and how good it is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeplan.cli import units
from edgeplan.instances.document import read_document
from edgeplan.instances.plans import (
    PlanFile,
    fingerprint,
    made_for,
    plan_from_tree,
    read_plan,
)
from edgeplan.model.certificate import Claim
from edgeplan.model.errors import InputError
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.verify import Certified, verify
from edgeplan.report import plan_tables, stated
from edgeplan.report.blocks import Card, Picture, section
from edgeplan.report.drawing import Scene, drawing, scene, scene_of_routes
from edgeplan.report.page import Page, Section
from edgeplan.report.tables import Cell, Table, columns, plain_bar, row

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Evaluation
    from edgeplan.model.problem import Problem
    from edgeplan.report.read import Source
    from edgeplan.report.stated import Stated
    from edgeplan.solvers.baselines import Baseline

MISSING = (
    "The instance is missing: a plan file names its instance only by a fingerprint. Times, loads, "
    "energy, cost and baselines cannot be shown without it; give it with --instance FILE."
)
MOST_STREAMS = 200
MAX_RESULT_BYTES = 100_000_000
"""Largest JSON of ``edgeplan solve`` that is read: it states everything."""


def page(sources: Sequence[Source], problem: Problem | None) -> Page:
    """Return the page of a plan's file, or of what ``edgeplan solve --json`` printed.

    Parameters
    ----------
    sources
        One file.
    problem
        Of the instance that was named; where none was, one beside the file that has the
        fingerprint of the plan's is taken.

    Raises
    ------
    InputError
        If a file is not valid, or the plan does not speak of the problem's parts.
    """
    (source,) = sources
    names = [source.name]

    def known(print_: str) -> Problem | None:
        if problem is None and (beside := _beside(source.file, print_)) is not None:
            names.append(str(beside[0]))
            return beside[1]
        return problem

    if source.kind == "plan":
        file = read_plan(source.file)
        return plan_page(file, known(file.fingerprint), sources=names)
    document = read_document(source.file, max_bytes=MAX_RESULT_BYTES).value
    if not isinstance(document, dict):
        raise InputError.at(source.name, "is not a result")
    found = known(stated.text(document.get("fingerprint")))
    return result_page(document, found, sources=names)


def _beside(file: Path, print_: str) -> tuple[Path, Problem] | None:
    """Return an instance in the plan's folder, if it is the one that the plan was made for."""
    from edgeplan.instances.read import read_instance

    stem = file.name.partition(".")[0]
    names = dict.fromkeys(
        f"{name}.{end}" for name in ("instance", stem) for end in ("yaml", "json")
    )
    for name in names:
        path = file.parent / name
        if not print_ or path == file or not path.is_file():
            continue
        try:
            problem = read_instance(path).problem
        except InputError:  # whatever it is, it is not named by anyone
            continue
        made = PlanFile(Plan(routes={}), fingerprint=print_)
        if fingerprint(made_for(problem, made)[0]) == print_:
            return path, problem
    return None


def plan_page(
    file: PlanFile, problem: Problem | None = None, *, sources: Sequence[str] = ()
) -> Page:
    """Return the page of a plan.

    Parameters
    ----------
    file
        What the plan's file holds.
    problem
        Of the instance that it was made for, as the instance states it; the options of ``solve``
        are found by the fingerprint. ``None``: only what the file states is shown.
    sources
        Names of the files, for the page's foot.

    Returns
    -------
    Page
        Prices are the evaluator's, not the file's; a bound that comes with multipliers is
        recomputed.

    Raises
    ------
    InputError
        If the plan does not speak of the problem's streams, layers and devices.
    """
    if problem is None:
        return _alone(file, sources)
    from edgeplan.solvers.baselines import baselines

    problem, options = made_for(problem, file)
    warnings = []
    if options:
        warnings.append(f"The plan was made with {' '.join(options)}; so is this page.")
    claim = file.claim or Claim()
    if file.fingerprint and file.fingerprint != fingerprint(problem):
        warnings.append(
            "The plan was made for another version of this instance: it fits, and is priced here "
            "on this one, but was not optimised for it. What its file claims does not count."
        )
        claim = Claim()
    known = baselines(problem)
    certified, faults = _certified(problem, file, claim, known)
    evaluation = certified.evaluation
    assert evaluation is not None
    shown = scene(problem, evaluation)
    name = problem.name
    label = _label(file)
    sections = (
        _answer(problem, evaluation, certified, file, [*warnings, *faults]),
        _drawn(shown, "predicted by the evaluator"),
        section(
            "latency",
            "Where the time goes",
            "Predicted by the evaluator: the mean of a request, from the moment it arises until "
            "its results are back.",
            tables=(
                plan_tables.latencies(problem, evaluation),
                *plan_tables.waterfalls(evaluation),
                plan_tables.deadlines(evaluation),
            ),
        ),
        section(
            "loads",
            "Devices and links",
            "Predicted by the evaluator, at the rates of the instance.",
            tables=(
                plan_tables.devices(problem, evaluation),
                plan_tables.links(problem, evaluation),
            ),
        ),
        section(
            "objective",
            "Objective and baselines",
            "The baselines are what a sensible person would try first.",
            tables=(
                plan_tables.objective_terms(problem, evaluation),
                plan_tables.compared(problem, evaluation, label, known),
            ),
        ),
    )
    return Page(
        kind="plan",
        title=f"Plan of {name}",
        subtitle=_subtitle(problem),
        sections=sections,
        sources=tuple(sources),
        facts={
            "feasible": evaluation.feasible,
            "objective": _finite(evaluation.objective),
            "bound": certified.bound,
            "gap": certified.gap,
        },
    )


def result_page(
    document: Stated, problem: Problem | None = None, *, sources: Sequence[str] = ()
) -> Page:
    """Return the page of what ``edgeplan solve --json`` printed.

    Parameters
    ----------
    document
        The JSON.
    problem
        As for `plan_page`.
    sources
        Names of the files.

    Raises
    ------
    InputError
        If the routes in it are none, or none of the problem's.
    """
    name = stated.text(document.get("instance"))
    keys = ("status", "limit", "objective", "bound", "gap", "basis", "solver", "chosen", "seconds")
    about = {key: document.get(key) for key in (*keys, "message")}
    if not isinstance(document.get("routes"), Mapping):
        return Page(
            kind="plan",
            title=f"No plan of {name}" if name else "No plan",
            subtitle="What edgeplan solve found.",
            sections=(
                section("answer", "Answer", facts=_stated_facts(about), listed=False),
                *_stated_baselines(document),
            ),
            sources=tuple(sources),
            facts={"feasible": False},
        )
    tree: dict[str, Any] = {"routes": document["routes"]}
    replicas = document.get("replicas")
    print_ = stated.text(document.get("fingerprint"))
    file = PlanFile(
        plan=_plan(tree, replicas if isinstance(replicas, Mapping) else {}, problem),
        problem_name=name,
        fingerprint=print_,
        about=about,
    )
    page = plan_page(file, problem, sources=sources)
    if problem is not None:
        return page
    return dataclasses.replace(page, sections=(*page.sections, *_stated_baselines(document)))


def _plan(tree: dict[str, Any], replicas: Stated, problem: Problem | None) -> Plan:
    plan = plan_from_tree(tree)
    counts = {
        name: count
        for name, count in replicas.items()
        if isinstance(count, int) and not isinstance(count, bool)
    }
    if problem is not None:  # what is printed are all that are on, chosen or not
        counts = {
            name: count
            for name, count in counts.items()
            if name in problem.device and len(problem.device[name].replica_range) > 1
        }
    plan = dataclasses.replace(plan, replicas=counts)
    if problem is not None:
        plan.check(problem)
    return plan


def _certified(
    problem: Problem, file: PlanFile, claim: Claim, known: Sequence[Baseline]
) -> tuple[Certified, list[str]]:
    """Return what stands of the file's claim, and in words what does not."""
    faults = []
    multipliers = None if problem.load_features else Multipliers()
    if file.multipliers is not None and file.claim is claim:
        try:
            multipliers = Multipliers.from_json(file.multipliers, problem)
        except InputError as error:
            faults.append(f"The multipliers of the file's claim are not used: {error}")
    certified = verify(
        problem,
        file.plan,
        bound=claim.bound,
        certificate=claim.certificate,
        objective=claim.objective,
        multipliers=multipliers,
        known=[each.plan for each in known if each.plan is not None],
    )
    faults += [f"Does not hold: {text}" for text in certified.contradictions]
    return certified, faults


def _answer(
    problem: Problem,
    evaluation: Evaluation,
    certified: Certified,
    file: PlanFile,
    warnings: Sequence[str],
) -> Section:
    per = "mean per request" if problem.objective.aggregate == "mean" else "sum over the streams"
    predicted = f"predicted, {per}"
    rate = 1 / evaluation.period_seconds if evaluation.period_seconds > 0 else math.inf
    cards = [
        Card(
            name="Limits",
            value="all kept" if evaluation.feasible else f"{len(evaluation.violations)} broken",
            source="predicted",
            tone="good" if evaluation.feasible else "bad",
        ),
        Card(name="Objective", value=units.number(evaluation.objective), source="predicted"),
        Card(
            name="Bound",
            value=units.number(certified.bound),
            source=_bound_source(certified),
        ),
        Card(name="Gap", value=units.gap(certified.gap), source="objective to bound"),
        Card(name="Latency", value=units.seconds(evaluation.latency_seconds), source=predicted),
        Card(name="Energy", value=units.joules(evaluation.energy_joules), source=predicted),
        Card(name="Cost", value=units.dollars(evaluation.cost_dollars), source=predicted),
        Card(
            name="Throughput",
            value=units.request_rate(rate),
            source="at most, predicted"
            + (f"; {_short(evaluation.bottleneck)}" if evaluation.bottleneck else ""),
        ),
    ]
    basis = "none: the file claims no bound"
    if certified.certificate is not None:
        basis = str(certified.certificate)
        if not certified.rechecked:
            basis = f"the file says: {basis.removeprefix('proved, ')} (not recomputed here)"
    elif (said := stated.text(file.about.get("basis"))) and file.claim is None:
        bound = units.number(stated.number(file.about.get("bound")))
        basis = f"the file says: bound {bound}, {said} (not checked here)"
    facts = [("basis of the bound", basis)]
    facts += [pair for pair in _stated_facts(file.about) if pair[0] in _FOUND]
    return section(
        "answer",
        "Answer",
        "Prices are the evaluator's, whatever found the plan.",
        warnings=warnings,
        cards=cards,
        facts=facts,
        tables=(plan_tables.violations(evaluation),),
    )


def _bound_source(certified: Certified) -> str:
    if certified.bound is None:
        return "none is known"
    if certified.rechecked:
        return "proved, recomputed here"
    return "proved, the file says" if certified.proved else "claimed, the file says"


def _drawn(shown: Scene, source: str) -> Section:
    note = "A box is a device; its bar is the share of the time that it is busy. "
    note += "An arrow is what a request sends over a link: bytes and time."
    if shown.left_out:
        note += f" Not drawn: {', '.join(shown.left_out)}."
    return section(
        "drawing",
        "What runs where",
        f"Stages of the streams on the topology; {source}.",
        picture=Picture(
            markup=drawing(shown), label="Stages of the streams on the topology", note=note
        ),
    )


_FOUND = ("status", "stopped by", "found by", "plan from", "time to find it", "note")


def _stated_facts(about: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what a file says of itself."""
    known: tuple[tuple[str, str, Any], ...] = (
        ("status", "status", None),
        ("limit", "stopped by", None),
        ("objective", "objective", units.number),
        ("bound", "bound", units.number),
        ("gap", "gap", units.gap),
        ("basis", "basis", None),
        ("solver", "found by", None),
        ("chosen", "plan from", None),
        ("seconds", "time to find it", units.seconds),
        ("message", "note", None),
    )
    found = []
    for key, name, unit in known:
        value = about.get(key)
        if unit is not None and stated.number(value) is not None:
            found.append((name, str(unit(stated.number(value)))))
        elif unit is None and isinstance(value, str) and value:
            found.append((name, stated.text(value, 2000)))
    return found


def _alone(file: PlanFile, sources: Sequence[str]) -> Page:
    """Return the page of a plan without its instance."""
    shown = scene_of_routes(file.plan)
    name = file.problem_name
    rows = [
        row(
            Cell(text=stream, stream=number),
            units.percent(route.fraction),
            str(route.batch) if route.batch > 1 else "",
            " → ".join(_stage_words(route.devices)),
        )
        for number, (stream, routes) in enumerate(file.plan.routes.items())
        for route in routes
    ]
    return Page(
        kind="plan",
        title=f"Plan of {name}" if name else "Plan",
        subtitle=f"{units.counted(len(file.plan.routes), 'stream')}; the instance is missing.",
        sections=(
            section(
                "answer",
                "Answer",
                "What the file says of itself; none of it was checked here.",
                warnings=(MISSING,),
                facts=[
                    *_stated_facts(file.about),
                    *([("fingerprint", file.fingerprint)] if file.fingerprint else []),
                ],
            ),
            _drawn(shown, "without times, which need the instance"),
            section(
                "routes",
                "Routes",
                tables=(
                    Table(
                        caption="Stages of every route, layers by number",
                        columns=columns("stream", ">share", "?>batch", "*stages"),
                        rows=tuple(rows[:MOST_STREAMS]),
                        note=f"{len(rows) - MOST_STREAMS} more routes left out."
                        if len(rows) > MOST_STREAMS
                        else "",
                    ),
                ),
            ),
        ),
        sources=tuple(sources),
        facts={"feasible": None},
    )


def _stage_words(devices: Sequence[str]) -> list[str]:
    from edgeplan.model.network import stages

    return [
        f"{_short(device)} {first}–{stop - 1}" if stop - first > 1 else f"{_short(device)} {first}"
        for device, first, stop in stages(devices)
    ]


def _stated_baselines(document: Stated) -> tuple[Section, ...]:
    """Return the baselines as a result states them."""
    found = stated.part(document, "baselines")
    prices = {name: stated.number(stated.part(found, name).get("objective")) for name in found}
    full = max((price for price in prices.values() if price is not None), default=0.0)
    rows = []
    for name in found:
        each = stated.part(found, name)
        feasible = each.get("feasible") is True
        rows.append(
            row(
                stated.text(name),
                units.seconds(stated.number(each.get("latency_seconds"))),
                units.joules(stated.number(each.get("energy_joules"))),
                units.dollars(stated.number(each.get("cost_dollars"))),
                units.number(prices[name]),
                Cell(bar=plain_bar(prices[name], full, "busy", units.number(prices[name]))),
                Cell(
                    text="keeps every limit" if feasible else stated.text(each.get("why")),
                    tone="good" if feasible else "bad",
                ),
            )
        )
    if not rows:
        return ()
    table = Table(
        caption="Baselines, as the file states them (predicted)",
        columns=columns(
            *("plan", "?>latency", "?>energy", "?>cost", ">objective", "?=objective, as a bar"),
            "*limits",
        ),
        rows=tuple(rows),
    )
    return (section("baselines", "Baselines", tables=(table,)),)


def _label(file: PlanFile) -> str:
    return stated.text(file.about.get("chosen"), 60)


def _subtitle(problem: Problem) -> str:
    layers = sum(len(problem.network[stream.network].layers) for stream in problem.streams)
    return (
        f"{units.counted(len(problem.streams), 'stream')} of "
        f"{units.counted(layers, 'layer')} in all on "
        f"{units.counted(len(problem.devices), 'device')}, "
        f"{problem.total_rate:.4g} requests per second"
    )


def _short(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "…"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
