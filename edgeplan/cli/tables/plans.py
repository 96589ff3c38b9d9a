"""Plans: the decision table, stages, prices, claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from edgeplan.cli import units
from edgeplan.cli.output import clean_text
from edgeplan.cli.tables.limits import kept, limits_broken
from edgeplan.cli.tables.table import facts, say, show

if TYPE_CHECKING:
    from edgeplan.model.certificate import Claim
    from edgeplan.model.evaluate import Evaluation, RoutePrice, Transfer
    from edgeplan.model.network import Network
    from edgeplan.model.plan import Plan
    from edgeplan.model.problem import Objective, Problem
    from edgeplan.model.verify import Certified
    from edgeplan.result import Result
    from edgeplan.solvers.baselines import Baseline


ESTIMATED = "of estimates, not of bounds: a simulation may show that a plan keeps the deadlines"
"""What is added to the basis of an infeasibility that rests on estimated waits."""


def decision(problem: Problem, result: Result, *, estimated: bool = False) -> None:
    """Print every plan that was considered, the chosen one ticked, then bound, gap and basis.

    Parameters
    ----------
    problem, result
        What was planned, and what came of it.
    estimated
        Whether it rests on estimates that there is no plan.
    """
    considered(problem, result.baselines, result.chosen, result.evaluation)
    objective = objective_unit(problem.objective)
    if result.plan is None and (gaps := _without_costs(problem)):
        facts("Devices without a profile, where the stream cannot run", gaps)
    pairs: dict[str, object] = {"status": Text(result.status, style=_STYLES[result.status])}
    if result.limit is not None:
        pairs["stopped by"] = _ENDED[result.limit]
    pairs["objective"] = objective(result.objective)
    pairs["bound"] = objective(result.bound)
    if period_matters(problem) and result.evaluation is not None:
        pairs["throughput"] = throughput(result.evaluation)
    pairs["gap"] = units.gap(result.gap)
    if (saved := _saved(result)) is not None:
        pairs["saved"] = saved
    pairs["basis"] = "none" if result.certificate is None else str(result.certificate)
    if estimated:
        pairs["basis"] = f"{pairs['basis']}; {ESTIMATED}"
    pairs["solver"] = f"{result.solver} ({result.why})"
    pairs["time"] = units.seconds(result.seconds)
    if result.message:
        pairs["note"] = result.message
    facts("Answer", pairs)


def considered(
    problem: Problem,
    baselines: Sequence[Baseline],
    chosen: str | None,
    evaluation: Evaluation | None,
) -> None:
    """Print plans with their prices, the chosen one ticked, and the limits that they break.

    Parameters
    ----------
    problem, baselines
        What was planned, and the plans to beat.
    chosen, evaluation
        Name and price of the plan that was chosen; it may be one of the baselines.
    """
    plans = [_Considered(b.name, b.evaluation, b.why) for b in baselines]
    if chosen is not None and chosen not in {plan.name for plan in plans}:
        plans.append(_Considered(chosen, evaluation, ""))
    plans.sort(key=lambda plan: (not plan.is_chosen(chosen), not plan.feasible, plan.price))
    period = period_matters(problem)
    objective = objective_unit(problem.objective)
    weighed = (*problem.objective.prices, problem.objective.period_price)
    # Where there is no room, what is not minimised goes first.
    numbers = [
        f"{'?' if weight else '??'}>{name}"
        for name, weight in zip(("latency", "energy", "cost", "period"), weighed, strict=True)
    ]
    show(
        "Plans considered (predicted)",
        ("", "plan", *(numbers if period else numbers[:-1]), ">objective", "limits"),
        (plan.row(plan.is_chosen(chosen), objective, period=period) for plan in plans),
    )
    limits_broken((plan.name, plan.evaluation, plan.why) for plan in plans)


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


def single_unit(objective: Objective) -> str | None:
    """Return the unit of an objective that is a single quantity; ``None`` of a weighted one."""
    match (*objective.prices, objective.period_price):
        case (1.0, 0.0, 0.0, 0.0) | (0.0, 0.0, 0.0, 1.0):
            return "s"
        case (0.0, 1.0, 0.0, 0.0):
            return "J"
        case (0.0, 0.0, 1.0, 0.0):
            return "$"
        case _:
            return None


def objective_unit(objective: Objective) -> Callable[[float | None], str]:
    """Return how the objective is printed: with its unit where it is a single quantity."""
    unit = single_unit(objective)
    return units.number if unit is None else lambda value: _with_unit(value, unit)


def _with_unit(value: float | None, unit: str) -> str:
    # Six digits, so that objective and bound can be compared.
    return units.number(value) + ("" if value is None else f" {unit}")


def period_matters(problem: Problem) -> bool:
    """Whether the period is minimised or limited."""
    return problem.objective.period_price > 0 or problem.budgets.min_rate_per_second > 0


def throughput(evaluation: Evaluation) -> str:
    """Say how many requests per second the most loaded resource can carry, and which it is."""
    if evaluation.bottleneck is None:
        return "unlimited: nothing is loaded"
    most = units.request_rate(1 / evaluation.period_seconds)
    period = units.seconds(evaluation.period_seconds)
    return f"{most}: a period of {period} on {clean_text(evaluation.bottleneck)}"


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

    def row(
        self, chosen: bool, objective: Callable[[float | None], str], *, period: bool
    ) -> Sequence[object]:
        priced = self.evaluation
        return (
            Text("✓" if chosen else "", style="bold green"),
            self.name,
            units.seconds(None if priced is None else priced.latency_seconds),
            units.joules(None if priced is None else priced.energy_joules),
            units.dollars(None if priced is None else priced.cost_dollars),
            *(
                (units.seconds(None if priced is None else priced.period_seconds),)
                if period
                else ()
            ),
            objective(None if priced is None else priced.objective),
            kept(priced),
        )


def stages(problem: Problem, evaluation: Evaluation) -> None:
    """Print the stages of every stream's routes: what runs where, what it takes.

    Routes with very many stages, as throughput plans have, are summed up by device.
    """
    count = sum(len(route.stages) for price in evaluation.streams for route in price.routes)
    if count > MOST_STAGES:
        _by_device(problem, evaluation, count)
        _streams(problem, evaluation)
        return
    rows: list[Sequence[object]] = []
    for price in evaluation.streams:
        stream = problem.stream[price.name]
        network = problem.network[stream.network]
        for number, route in enumerate(price.routes):
            name = price.name if len(price.routes) == 1 else f"{price.name} #{number + 1}"
            share = _share(route)
            for index, stage in enumerate(route.stages):
                rows.append(
                    (
                        name if index == 0 else "",
                        share if index == 0 else "",
                        stage.device,
                        layer_names(network, stage.first, stage.stop),
                        _moved(stage.transfers),
                        units.seconds(math.fsum(t.seconds for t in stage.transfers)),
                        *_waited(problem, stage.transfers, stage.wait_seconds),
                        units.seconds(stage.seconds),
                    )
                )
            if route.returned:
                seconds = math.fsum(t.seconds for t in route.returned)
                back = _moved(route.returned)
                waited = _waited(problem, route.returned, 0.0)
                rows.append(
                    ("", "", stream.origin, "results", back, units.seconds(seconds), *waited, "")
                )
    waits = (">wait",) if waits_matter(problem) else ()
    show(
        "Stages (predicted)",
        ("stream", "?>share", "device", "layers", "?arrives", ">transfer", *waits, ">compute"),
        rows,
    )
    _streams(problem, evaluation)


def waits_matter(problem: Problem) -> bool:
    """Whether requests wait in queues."""
    return problem.waiting != "none"


def _waited(problem: Problem, transfers: Sequence[Transfer], stage: float) -> tuple[str, ...]:
    """Return the cell for the waits of a stage and of what arrives for it, where any waits."""
    if not waits_matter(problem):
        return ()
    return (units.seconds(math.fsum([stage, *(t.wait_seconds for t in transfers)])),)


def _share(route: RoutePrice) -> str:
    batch = f" in batches of {route.batch}" if route.batch > 1 else ""
    return units.percent(route.fraction) + batch


MOST_STAGES = 60
"""Above so many stages in all, tables sum up by device."""


def _by_device(problem: Problem, evaluation: Evaluation, count: int) -> None:
    rows: list[Sequence[object]] = []
    for price in evaluation.streams:
        for number, route in enumerate(price.routes):
            name = price.name if len(price.routes) == 1 else f"{price.name} #{number + 1}"
            occupied = dict(route.occupied_seconds)
            for index, device in enumerate(dict.fromkeys(s.device for s in route.stages)):
                here = [stage for stage in route.stages if stage.device == device]
                rows.append(
                    (
                        name if index == 0 else "",
                        _share(route) if index == 0 else "",
                        device,
                        sum(stage.stop - stage.first for stage in here),
                        len(here),
                        units.seconds(math.fsum(stage.seconds for stage in here)),
                        units.seconds(occupied.get(device)),
                    )
                )
    show(
        f"Devices of the routes, which have {count} stages in all",
        ("stream", "?>share", "device", ">layers", ">stages", ">compute", "?>transfers"),
        rows,
        footer="--json lists every stage.",
    )


def _streams(problem: Problem, evaluation: Evaluation) -> None:
    if waits_matter(problem):
        _waiting_streams(problem, evaluation)
        return
    show(
        "Streams (predicted)",
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


def _waiting_streams(problem: Problem, evaluation: Evaluation) -> None:
    """Print streams whose requests wait, and what is left until each deadline."""
    show(
        "Streams (predicted)",
        (
            *("stream", "??network", "?origin", "?>rate", ">latency", ">wait", "waits are"),
            *("?>p95", "?>p99", "?>energy", "?>cost"),
        ),
        (
            (
                price.name,
                problem.stream[price.name].network,
                problem.stream[price.name].origin,
                f"{problem.stream[price.name].rate_per_second:.4g} /s",
                units.seconds(price.latency_seconds),
                units.seconds(price.wait_seconds),
                price.basis,
                *(units.seconds(dict(price.tails).get(p)) for p in (0.95, 0.99)),
                units.joules(price.energy_joules),
                units.dollars(price.cost_dollars),
            )
            for price in evaluation.streams
        ),
        legend=dict.fromkeys(("p95", "p99"), _percentiles_are(evaluation)),
    )
    rows = [
        (
            price.name,
            deadline.statistic,
            units.seconds(deadline.value_seconds),
            units.seconds(deadline.limit_seconds),
            units.seconds(deadline.slack_seconds),
            deadline.basis,
        )
        for price in evaluation.streams
        for deadline in price.deadlines
    ]
    if rows:
        show(
            "Deadlines (predicted)",
            ("stream", "of", ">predicted", ">deadline", ">slack", "prediction is"),
            rows,
        )


def _percentiles_are(evaluation: Evaluation) -> str:
    """Say what the percentiles are."""
    if all(price.basis == "exact" for price in evaluation.streams):
        return "upper bounds"
    return "upper bounds where waits are exact, else estimates (simulate tells)"


def certified(problem: Problem, found: Certified, claim: Claim) -> None:
    """Print what stands of the price and the bound that a plan file claims."""
    objective = objective_unit(problem.objective)
    if found.certificate is not None:
        basis = str(found.certificate)
        if not found.rechecked:
            said = basis.removeprefix("proved, ")
            basis = f"the file says: {said} (not recomputed here)"
    elif claim.bound is None:
        basis = "none: the plan's file claims no bound"
    else:
        basis = "none: see below"
    facts(
        "Claim",
        {
            "price": objective(found.objective),
            "price claimed": objective(claim.objective),
            "bound": objective(found.bound),
            "gap": units.gap(found.gap),
            "basis": basis,
        },
    )
    for contradiction in found.contradictions:
        say(f"does not hold: {contradiction}", "red")
    if found.holds:
        say("holds: nothing that is claimed is contradicted", "green")


def claimed(problem: Problem, claim: Claim, evaluation: Evaluation) -> None:
    """Print the bound that a plan file claims, beside the price that the plan has."""
    objective = objective_unit(problem.objective)
    gap = None
    if claim.bound is not None and evaluation.objective:
        gap = (evaluation.objective - claim.bound) / abs(evaluation.objective)
    facts(
        "The file's claim (edgeplan verify checks it)",
        {
            "objective claimed": objective(claim.objective),
            "objective": objective(evaluation.objective),
            "bound claimed": objective(claim.bound),
            "gap": units.gap(gap),
            "basis": "none" if claim.certificate is None else str(claim.certificate),
        },
    )


def plan(made: Plan) -> None:
    """Print a plan without its problem: devices by stage, layers by number."""
    from edgeplan.model.network import stages as stages_of

    batched = any(route.batch > 1 for routes in made.routes.values() for route in routes)
    show(
        "Routes",
        ("stream", ">share", *((">batch",) if batched else ()), "stages (layers by number)"),
        (
            (
                name,
                units.percent(route.fraction),
                *((route.batch,) if batched else ()),
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
        f"Price ({per}, predicted)",
        {
            "latency": units.seconds(evaluation.latency_seconds),
            "energy": units.joules(evaluation.energy_joules),
            "cost": units.dollars(evaluation.cost_dollars),
            "throughput": throughput(evaluation),
            "objective": objective_unit(problem.objective)(evaluation.objective),
        },
    )


def layer_names(network: Network, first: int, stop: int) -> str:
    """Return the layers of a stage by number and name, the middle left out."""
    names = [clean_text(layer.name, 34) for layer in network.layers[first:stop]]
    if len(names) == len(network.layers) and len(names) > 1:
        return f"all {len(names)}"
    if len(names) == 1:
        return f"{first}: {names[0]}"
    return f"{first}–{stop - 1}: {names[0]} … {names[-1]}"


def _moved(transfers: Sequence[Transfer]) -> str:
    parts = [f"{units.size(t.bytes)} from {clean_text(t.source, 30)}" for t in transfers]
    return ", ".join(parts)
