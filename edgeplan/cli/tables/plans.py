"""Plans: the decision table, stages, loads, broken limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.model.evaluate import Evaluation, Transfer, Violation
    from edgeplan.model.network import Network
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Objective, Problem
    from edgeplan.planner import Result


def decision(problem: Problem, result: Result) -> None:
    """Print every plan that was considered, the chosen one ticked, then bound, gap and basis."""
    plans = [_Considered(b.name, b.evaluation, b.why) for b in result.baselines]
    if result.chosen is not None and result.chosen not in {plan.name for plan in plans}:
        plans.append(_Considered(result.chosen, result.evaluation, ""))
    chosen = result.chosen
    plans.sort(key=lambda plan: (not plan.is_chosen(chosen), not plan.feasible, plan.price))
    show(
        "Plans considered",
        ("", "plan", ">latency", ">energy", ">cost", ">objective", "limits"),
        (plan.row(plan.is_chosen(chosen)) for plan in plans),
    )
    limits = [(plan.name, reason) for plan in plans for reason in plan.reasons]
    if limits:
        show("Limits that they break", ("plan", "what"), limits)
    if result.plan is None and (gaps := _without_costs(problem)):
        facts("Devices without a profile, where the stream cannot run", gaps)
    pairs: dict[str, object] = {"status": Text(result.status, style=_STYLES[result.status])}
    if result.limit is not None:
        pairs["stopped by"] = _ENDED[result.limit]
    objective = _objective_unit(problem.objective)
    pairs["objective"] = objective(result.objective)
    pairs["bound"] = objective(result.bound)
    # A gap of rounding errors is none.
    gap = result.gap
    pairs["gap"] = units.percent(0.0 if gap is not None and 0 <= gap < 1e-9 else gap)
    if (saved := _saved(result)) is not None:
        pairs["saved"] = saved
    pairs["basis"] = "none" if result.certificate is None else str(result.certificate)
    pairs["solver"] = f"{result.solver} ({result.why})"
    pairs["time"] = units.seconds(result.seconds)
    if result.message:
        pairs["note"] = result.message
    facts("Answer", pairs)


def _saved(result: Result) -> str | None:
    """Say by how much the plan beats the best feasible baseline."""
    prices = [
        (b.evaluation.objective, b.name)
        for b in result.baselines
        if b.feasible and b.evaluation is not None
    ]
    if result.objective is None:
        return None
    if not prices:
        return "no baseline is feasible"
    price, name = min(prices)
    if not price > 0:
        return None
    return f"{units.percent(max(0.0, 1 - result.objective / price))} against {name}"


def _objective_unit(objective: Objective) -> Callable[[float | None], str]:
    """Return how the objective is printed: with its unit where it is a single quantity."""
    match objective.prices:
        case (1.0, 0.0, 0.0):
            return lambda value: _with_unit(value, "s")
        case (0.0, 1.0, 0.0):
            return lambda value: _with_unit(value, "J")
        case (0.0, 0.0, 1.0):
            return lambda value: _with_unit(value, "$")
        case _:
            return units.number


def _with_unit(value: float | None, unit: str) -> str:
    # Six digits, so that objective and bound can be compared.
    return units.number(value) + ("" if value is None else f" {unit}")


def _without_costs(problem: Problem) -> Mapping[str, str]:
    """Return, by stream, the devices that have no costs of its network."""
    found: dict[str, str] = {}
    for stream in problem.streams:
        known = problem.network[stream.network].costs
        gone = [clean_text(d.name, 40) for d in problem.devices if d.name not in known]
        if gone:
            more = f" and {len(gone) - 12} more" if len(gone) > 12 else ""
            network = clean_text(stream.network, 40)
            found[stream.name] = f"{', '.join(gone[:12])}{more} (network {network})"
    return found


_ENDED = {
    "time": "time limit",
    "work": "the solver's own limit on work (see the note)",
    "interrupted": "Ctrl-C",
}
_STYLES = {"optimal": "green", "feasible": "yellow", "infeasible": "red", "unknown": "red"}


@dataclass(frozen=True)
class _Considered:
    """A row of the decision table."""

    name: str
    evaluation: Evaluation | None
    why: str

    def is_chosen(self, chosen: str | None) -> bool:
        return self.name == chosen

    @property
    def feasible(self) -> bool:
        return self.evaluation is not None and self.evaluation.feasible

    @property
    def price(self) -> float:
        return math.inf if self.evaluation is None else self.evaluation.objective

    @property
    def reasons(self) -> Sequence[str]:
        """The limits that the plan breaks, in words: of each kind the first."""
        if self.evaluation is None:
            return [self.why or "there is no such plan"]
        kinds: dict[str, list[Violation]] = {}
        for violation in self.evaluation.violations:
            kinds.setdefault(violation.kind, []).append(violation)
        return [
            f"{kind}, {clean_text(first.place)}: {_broken(first)}"
            + (f" (and {len(others)} more)" if others else "")
            for kind, (first, *others) in kinds.items()
        ]

    def row(self, chosen: bool) -> Sequence[object]:
        priced = self.evaluation
        kinds = {} if priced is None else dict.fromkeys(v.kind for v in priced.violations)
        kind = " ".join(["✗", ", ".join(kinds)]).rstrip()
        return (
            Text("✓" if chosen else "", style="bold green"),
            self.name,
            units.seconds(None if priced is None else priced.latency_seconds),
            units.joules(None if priced is None else priced.energy_joules),
            units.dollars(None if priced is None else priced.cost_dollars),
            units.number(None if priced is None else priced.objective),
            Text("kept", style="green") if self.feasible else Text(kind, style="red"),
        )


def stages(problem: Problem, evaluation: Evaluation) -> None:
    """Print the stages of every stream's routes: what runs where, what it takes."""
    rows: list[Sequence[object]] = []
    for price in evaluation.streams:
        stream = problem.stream[price.name]
        network = problem.network[stream.network]
        for number, route in enumerate(price.routes):
            name = price.name if len(price.routes) == 1 else f"{price.name} #{number + 1}"
            share = units.percent(route.fraction)
            for index, stage in enumerate(route.stages):
                rows.append(
                    (
                        name if index == 0 else "",
                        share if index == 0 else "",
                        stage.device,
                        _layers(network, stage.first, stage.stop),
                        _moved(stage.transfers),
                        units.seconds(math.fsum(t.seconds for t in stage.transfers)),
                        units.seconds(stage.seconds),
                    )
                )
            if route.returned:
                seconds = math.fsum(t.seconds for t in route.returned)
                back = _moved(route.returned)
                rows.append(("", "", stream.origin, "results", back, units.seconds(seconds), ""))
    show(
        "Stages",
        ("stream", "?>share", "device", "layers", "?arrives", ">transfer", ">compute"),
        rows,
    )
    show(
        "Streams",
        ("stream", "?network", "?origin", "?>rate", ">latency", ">deadline", ">energy", ">cost"),
        (
            (
                price.name,
                problem.stream[price.name].network,
                problem.stream[price.name].origin,
                f"{problem.stream[price.name].rate_per_second:.4g} /s",
                units.seconds(price.latency_seconds),
                units.limit(units.seconds, problem.stream[price.name].deadline_seconds),
                units.joules(price.energy_joules),
                units.dollars(price.cost_dollars),
            )
            for price in evaluation.streams
        ),
    )


def loads(problem: Problem, evaluation: Evaluation) -> None:
    """Print what a plan asks of devices and links."""
    show(
        "Devices",
        ("device", "tier", "zone", ">busy", ">memory", ">limit", ">power"),
        (
            (
                load.name,
                problem.device[load.name].tier,
                problem.device[load.name].zone,
                units.percent(load.utilisation) if load.on else "off",
                units.size(load.memory_bytes),
                units.limit(units.size, problem.device[load.name].memory_bytes),
                units.watts(load.watts),
            )
            for load in evaluation.devices
        ),
    )
    used = [load for load in evaluation.links if load.utilisation or load.bytes_per_second]
    if used:
        show(
            "Links in use",
            ("link", ">busy", ">traffic"),
            (
                (load.name, units.percent(load.utilisation), units.bandwidth(load.bytes_per_second))
                for load in used
            ),
        )


_LIMIT_UNITS: Mapping[str, Callable[[float | None], str]] = {
    "memory": units.size,
    "deadline": units.seconds,
    "device capacity": units.percent,
    "link capacity": units.percent,
    "device power": units.watts,
    "power budget": units.watts,
}


def _broken(violation: Violation) -> str:
    """Return a violation's message, its numbers in the units that people use."""
    unit = _LIMIT_UNITS.get(violation.kind)
    if unit is None or violation.value is None or violation.limit is None:
        return violation.message
    return f"{unit(violation.value)}, but at most {unit(violation.limit)} allowed"


def violations(evaluation: Evaluation) -> None:
    """Print the limits that a plan breaks, or that it breaks none."""
    if evaluation.feasible:
        say("feasible: the plan breaks no limit", "green")
        return
    show(
        "Limits broken",
        ("limit", "place", "what"),
        ((v.kind, v.place, _broken(v)) for v in evaluation.violations),
    )


def plan(made: Plan) -> None:
    """Print a plan without its problem: devices by stage, layers by number."""
    from edgeplan.model.network import stages as stages_of

    show(
        "Routes",
        ("stream", ">share", "stages (layers by number)"),
        (
            (
                name,
                units.percent(route.fraction),
                " → ".join(
                    f"{clean_text(device, 30)} {first}–{stop - 1}"
                    for device, first, stop in stages_of(route.devices)
                ),
            )
            for name, routes in made.routes.items()
            for route in routes
        ),
        footer="edgeplan evaluate INSTANCE PLAN prices it.",
    )


def totals(problem: Problem, evaluation: Evaluation) -> None:
    """Print the aggregated price of a plan."""
    per = "mean per request" if problem.objective.aggregate == "mean" else "sum over streams"
    facts(
        f"Price ({per})",
        {
            "latency": units.seconds(evaluation.latency_seconds),
            "energy": units.joules(evaluation.energy_joules),
            "cost": units.dollars(evaluation.cost_dollars),
            "objective": units.number(evaluation.objective),
        },
    )


def _layers(network: Network, first: int, stop: int) -> str:
    names = [clean_text(layer.name, 34) for layer in network.layers[first:stop]]
    if len(names) == len(network.layers) and len(names) > 1:
        return f"all {len(names)}"
    if len(names) == 1:
        return f"{first}: {names[0]}"
    return f"{first}–{stop - 1}: {names[0]} … {names[-1]}"


def _moved(transfers: Sequence[Transfer]) -> str:
    parts = [f"{units.size(t.bytes)} from {clean_text(t.source, 30)}" for t in transfers]
    return ", ".join(parts)
