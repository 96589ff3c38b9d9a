"""Explanations: what cannot hold together and what would mend it; why a plan is as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.plans import ESTIMATED, layer_names, single_unit
from edgeplan.cli.tables.table import facts, say, show
from edgeplan.report.limits import broken
from edgeplan.solvers.result import Stop

if TYPE_CHECKING:
    from edgeplan.cli.places import FilePlaces
    from edgeplan.explain import Conflict, Infeasibility, PlanExplanation, Repair
    from edgeplan.explain.items import Part, Unit
    from edgeplan.explain.judged import Judged
    from edgeplan.explain.needs import Need
    from edgeplan.explain.plans import Alternative, StageReason
    from edgeplan.explain.shortfall import Shortage
    from edgeplan.model.network import Network
    from edgeplan.model.problem import Objective, Problem


def in_file(amount: float | None, unit: Unit) -> str:
    """Return an amount as an instance file states it.

    Examples
    --------
    >>> in_file(0.02, "s"), in_file(0.95, "share"), in_file(2.0, "count")
    ('20 ms', '0.95', '2')
    """
    from edgeplan.instances import units as quantities

    dimensions = {
        "s": quantities.TIME,
        "B": quantities.DATA,
        "W": quantities.POWER,
        "USD/h": quantities.PRICE_PER_HOUR,
        "/s": quantities.RATE,
        "B/s": quantities.BANDWIDTH,
    }
    if amount is None:
        return ""
    dimension = dimensions.get(unit)
    return f"{amount:.12g}" if dimension is None else dimension.format(amount)


_SHOWN: Mapping[str, Callable[[float | None], str]] = {
    "s": units.seconds,
    "B": units.size,
    "W": units.watts,
    "USD/h": lambda value: f"{units.dollars(value)}/h",
    "/s": lambda value: f"{units.number(value)} /s",
    "share": units.percent,
    "B/s": units.bandwidth,
    "count": units.number,
}


_HELD: Mapping[Judged, str] = {
    "exact": "the exact mean of waits",
    "approximate": "an approximation of the mean (requests visit several queues)",
    "safe": "an upper bound on the percentile (safe); the percentile itself may be lower",
    "estimated": "an estimate of the percentile (estimated): it is no upper bound",
}
"""What a deadline was held against."""


def infeasibility(found: Infeasibility, places: FilePlaces) -> None:
    """Print why there is no plan and the cheapest repair, or that there is one."""
    if found.infeasible is False:
        say("feasible: there is a plan; edgeplan solve INSTANCE finds the best", "green")
        return
    if found.infeasible is None:
        say("it is not known whether there is a plan: a longer --time-limit may tell", "yellow")
        return
    conflict = found.conflict
    if conflict is not None:
        many = len(conflict.items) != 1
        head = "These cannot hold together" if many else "No plan can do this"
        if conflict.missing:
            head = "Even without any limit or rule nothing could run, since"
        show(
            f"Infeasible. {head}:",
            ("what", "value", "where"),
            (
                (
                    item.item,
                    item.text or in_file(item.amount, item.unit),
                    _at(places, item.place),
                )
                for item in conflict.items
            ),
            footer="\n".join(
                [*(clean_text(note, 300) for note in conflict.notes[:3]), _gives(conflict)]
            ),
        )
    _shortage(found.shortage)
    _needs(found.needs, places)
    if found.repair is None:
        say(f"no repair: {found.message or 'there was no time to look for one'}", "yellow")
    else:
        _repair(found.repair, places)
    pairs: dict[str, object] = {}
    if conflict is not None and conflict.certificate is not None:
        pairs["no plan"] = str(conflict.certificate)
        if found.estimated:
            pairs["no plan"] = f"{conflict.certificate}; {ESTIMATED}"
        if held := [
            f"{clean_text(item.item, 80)}: {_HELD[found.judged[item.key]]}"
            for item in conflict.items
            if item.key in found.judged
        ]:
            pairs["held against"] = "\n".join(held)
    if found.stop in (Stop.TIME_LIMIT, Stop.INTERRUPTED):
        pairs["stopped by"] = f"{found.stop.value}: more time may tell more"
    pairs["time"] = units.seconds(found.seconds)
    facts("Basis", pairs)


def _gives(conflict: Conflict) -> str:
    """Say how far a conflict is known, and what it takes for it to go away."""
    many = len(conflict.items) != 1
    told = "No conflict has fewer statements. " if conflict.smallest else ""
    if not conflict.irreducible:
        told = "Time was up: the conflict may be smaller than this. "
    elif many and conflict.another is False and not conflict.missing:
        told += "Without any one of them there is a plan. "
    elif many and not conflict.smallest:
        told = "Each of them is needed for this conflict. "
    if conflict.missing:
        gives = "one of them has to be added" if many else "it has to be added"
    else:
        gives = "at least one of them has to give" if many else "it has to give"
    told += f"To get a plan, {gives}"
    if conflict.another:
        told += "; that alone may not do, since there is another conflict as well"
    elif conflict.another is None and conflict.irreducible:
        told += "; whether there is another conflict as well was not found out in time"
    return told + "."


def _shortage(shortage: Shortage) -> None:
    """Say what devices and links would have to do, what they can, and what is missing."""
    for short in shortage.places:
        count, cap = short.replicas, units.percent(short.item.amount)
        gives = f"{short.given:.3g} at a cap of {cap}"
        if short.item.kind == "device capacity":
            gives += f" ({units.counted(count, 'replica')})"
        say(
            f"{clean_text(short.name, 60)}: {clean_text(', '.join(short.streams), 120)} "
            f"{'need' if len(short.streams) > 1 else 'needs'} {short.needed:.3g} busy seconds "
            f"per second, it gives {gives}: {short.missing:.3g} missing"
        )
    if len(shortage.places) > 1 and shortage.least:
        say(
            "where requests are dealt out best, in fractions; every plan lacks at least "
            f"{shortage.least:.3g} busy seconds per second"
        )


def _needs(needs: Sequence[Need], places: FilePlaces) -> None:
    """Print what each number of a conflict would have to be, alone."""
    if not needs:
        return
    told = "With the one number a plan was found, with the other there is none; what lies between "
    told += "them is open."
    standings = [_standing(need) for need in needs]
    noted = len(set(standings)) > 1
    if not noted and standings[0]:  # said once: the numbers need the room
        told += f" Each {standings[0]}."
    show(
        "What would be enough, each alone",
        (
            "what",
            ">asked for",
            ">a plan with",
            ">none with",
            "?where",
            *(("note",) if noted else ()),
        ),
        (
            (
                need.item.item,
                in_file(need.item.amount, need.item.unit),
                in_file(need.enough, need.item.unit) or "-",
                in_file(need.too_little, need.item.unit),
                _at(places, need.item.place),
                *((standing,) if noted else ()),
            )
            for need, standing in zip(needs, standings, strict=True)
        ),
        footer=told,
    )


def _standing(need: Need) -> str:
    """Return in words how far an answer goes."""
    if need.helps is False:
        return "has no number that is enough"
    told = "" if need.complete else "is not known closer in time"
    if need.helps is None:
        asked = need.too_little == need.item.amount
        told = "is not known in time" if asked else "has no number that was found to be enough"
    if not need.whole:
        told += f"{', and ' if told else ''}is for this conflict to go away; there is another"
    return told


def _repair(repair: Repair, places: FilePlaces) -> None:
    head = "The cheapest repair" if repair.cheapest else "A repair (a cheaper one may exist)"
    show(
        f"{head}, with which there is a plan:",
        ("change", "from", "to", ">by", "where"),
        (
            (
                edit.item,
                edit.text_before or in_file(edit.before, edit.unit),
                edit.text_after or in_file(edit.after, edit.unit),
                _change(edit.before, edit.after),
                _at(places, edit.place),
            )
            for edit in repair.edits
        ),
        footer=("Cheapest" if repair.cheapest else "Repairs are compared")
        + " by relative change: doubling a limit counts as much as giving up a rule, "
        "a tenth as much as widening a privacy rule. --keep WHERE leaves one as it is.",
    )


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None or not before:
        return ""
    sign = "+" if after >= before else ""
    return f"{sign}{units.percent(after / before - 1)}"


def _at(places: FilePlaces, place: tuple[Part, ...]) -> str:
    line = places.line(place)
    return places.where(place) + ("" if line is None else f" (line {line})")


def plan_explanation(problem: Problem, found: PlanExplanation, places: FilePlaces) -> None:
    """Print what else each stage could be, which limits bind and what more is worth."""
    price = _price_unit(problem.objective)
    rows: list[Sequence[object]] = []
    for stage in found.stages:
        network = problem.network[problem.stream[stage.stream].network]
        rows.append(
            (
                stage.stream if stage.route == 0 else f"{stage.stream} #{stage.route + 1}",
                stage.device,
                layer_names(network, stage.first, stage.stop),
                _change_of(stage.next_best, network),
                _more(stage.next_best, price),
                _refused(stage, network, price),
            )
        )
    show(
        "Why there: the next best for each stage, all else as it is",
        ("stream", "device", "layers", "next best", ">costs more", "not allowed"),
        rows,
    )
    tight = [b for b in found.binding if b.binds != "no"]
    if tight:
        show(
            "Limits that bind",
            ("limit", ">used", ">of", ">share", "binds", "where"),
            (
                (
                    b.item.item,
                    _SHOWN[b.item.unit](b.used),
                    in_file(b.item.amount, b.item.unit),
                    units.percent(b.share),
                    {"binds": "yes", "nearly": "nearly", "broken": "BROKEN"}[b.binds],
                    _at(places, b.item.place),
                )
                for b in tight
            ),
        )
    elif found.binding:
        most = found.binding[0]
        say(f"no limit binds; the fullest is the {most.item.item} with {units.percent(most.share)}")
    _worth(found, places, price)


def _price_unit(objective: Objective) -> Callable[[float | None], str]:
    """Return how prices are printed: with a unit where a single quantity is minimised."""
    scaled = {"s": units.seconds, "J": units.joules, "$": units.dollars}
    return scaled.get(single_unit(objective) or "", units.number)


def _change_of(other: Alternative | None, network: Network) -> str:
    if other is None:
        return "none is allowed"
    return f"{layer_names(network, other.first, other.stop)} on {clean_text(other.device, 30)}"


def _more(other: Alternative | None, price: Callable[[float | None], str]) -> str:
    if other is None:
        return ""
    return f"{'+' if other.more >= 0 else ''}{price(other.more)}"


def _refused(stage: StageReason, network: Network, price: Callable[[float | None], str]) -> str:
    """Say what would be cheaper but is not allowed; with no next best, what comes closest."""
    other = stage.forbidden or (stage.refused if stage.next_best is None else None)
    if other is None:
        return ""
    first = other.violations[0]
    cost = f" ({_more(other, price)})" if other.more != float("inf") else ""
    return (
        f"{_change_of(other, network)}{cost}: {first.kind}, {clean_text(first.place)}: "
        f"{broken(first)}"
    )


def _worth(
    found: PlanExplanation, places: FilePlaces, price: Callable[[float | None], str]
) -> None:
    worth = found.worth
    objective = found.evaluation.objective
    if worth.optimum is None:
        say(f"what more of a limit would be worth is left out: {worth.message}", "yellow")
        return
    if objective > worth.optimum * (1 + 1e-6):
        say(
            f"the plan costs {price(objective)}, the optimum {price(worth.optimum)}: "
            "edgeplan solve INSTANCE finds it",
            "yellow",
        )
    gains = [w for w in worth.found if w.gain > 0]
    left = len(worth.left_out)
    told = f"Each {worth.basis}"
    if nothing := len(worth.found) - len(gains):
        told += f"; {units.counted(nothing, 'other limit')} raised likewise: worth nothing"
    if left:
        told += f"; {units.counted(left, 'limit')} left out for lack of time"
    if not gains:
        say(f"no limit is worth more by itself. {told}")
        return
    show(
        "What more would be worth (one at a time)",
        ("what", "from", "to", ">saves", ">share", "where"),
        (
            (
                w.item.item,
                in_file(w.item.amount, w.item.unit),
                in_file(w.raised, w.item.unit),
                price(w.gain),
                units.percent(w.gain / worth.optimum if worth.optimum else None),
                _at(places, w.item.place),
            )
            for w in gains
        ),
        footer=told,
    )
