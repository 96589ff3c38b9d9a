"""Why a plan is as it is: the alternatives of each stage, what binds, what more would be worth."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgeplan.explain.amounts import TwoWay
from edgeplan.explain.items import Item, list_items
from edgeplan.explain.worth import WorthResult, find_worth
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, Evaluation, Violation, evaluate
from edgeplan.model.network import stages
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

NEARLY = 0.01
"""A limit nearly binds where it has at most this share of itself to spare."""

_CHEAPER = 1e-9
"""A relative difference of prices below this is rounding."""

Binds = Literal["broken", "binds", "nearly", "no"]


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A stage somewhere else, or with another border; all else as in the plan.

    Parameters
    ----------
    kind
        ``move``: the stage runs on another device. ``border``: a layer at its edge joins the
        neighbouring stage, or one of that stage joins it.
    first, stop
        The layers that change their device: ``first`` to ``stop - 1``.
    device
        Where they go.
    objective
        The price of the whole plan then, in the objective's units.
    more
        What that is more than the plan's; negative where it is less. ``inf`` where it cannot run.
    violations
        Limits and rules that it breaks.
    """

    kind: Literal["move", "border"]
    first: int
    stop: int
    device: str
    objective: float
    more: float
    violations: tuple[Violation, ...]

    @property
    def feasible(self) -> bool:
        """Whether it breaks nothing."""
        return not self.violations


@dataclass(frozen=True, kw_only=True)
class StageReason:
    """A stage and what else was possible.

    Parameters
    ----------
    stream, route
        Its stream, and the number of the route from 0.
    device, first, stop
        It runs layers ``first`` to ``stop - 1`` on the device.
    alternatives
        All of them: feasible ones first, then by price.
    """

    stream: str
    route: int
    device: str
    first: int
    stop: int
    alternatives: tuple[Alternative, ...]

    @property
    def next_best(self) -> Alternative | None:
        """The cheapest alternative that breaks nothing."""
        return next((a for a in self.alternatives if a.feasible), None)

    @property
    def forbidden(self) -> Alternative | None:
        """The cheapest alternative that would cost less than the plan but is not allowed."""
        refused = self.refused
        return refused if refused is not None and refused.more < 0 else None

    @property
    def refused(self) -> Alternative | None:
        """The cheapest alternative that is not allowed."""
        return next((a for a in self.alternatives if not a.feasible), None)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A limit and how much of it the plan uses.

    Parameters
    ----------
    item
        The limit.
    used
        What the plan has, in the limit's unit.
    share
        Share of the limit that is used.
    binds
        Whether the limit is broken, binds (nothing to spare but rounding), nearly binds (at
        most `NEARLY` to spare) or does not.
    """

    item: Item
    used: float
    share: float
    binds: Binds


@dataclass(frozen=True, kw_only=True)
class PlanExplanation:
    """Why a plan is as it is.

    Parameters
    ----------
    evaluation
        The plan's price.
    stages
        Each stage with its alternatives.
    binding
        The limits, the most used first.
    worth
        What raised limits would be worth, by solving again; and what was left out.
    seconds
        Wall time.
    """

    evaluation: Evaluation
    stages: tuple[StageReason, ...]
    binding: tuple[Binding, ...]
    worth: WorthResult
    seconds: float


def explain_plan(
    problem: Problem,
    plan: Plan,
    *,
    step: float = 0.1,
    two_way: TwoWay = (),
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> PlanExplanation:
    """Explain a plan.

    Parameters
    ----------
    problem
        What was planned.
    plan
        The plan; it may break limits.
    step
        By what share a limit is raised to find its worth.
    two_way
        Links that the instance file states once for both directions.
    time_limit
        Seconds for all, ``None`` for no limit; what is not done by then is left out.
    stop
        Setting it leaves out what is not done.
    threads, seed
        Of the solvers.
    on_progress
        Told in words how far it is.

    Raises
    ------
    InputError
        If the plan does not speak of this problem.
    """
    began = time.monotonic()
    evaluation = evaluate(problem, plan)
    reasons = tuple(_reasons(problem, plan, evaluation.objective))
    binding = tuple(find_binding(problem, evaluation))
    left = None if time_limit is None else max(0.0, time_limit - (time.monotonic() - began))
    worth = find_worth(
        problem,
        plan,
        shares={b.item.key: b.share for b in binding},
        step=step,
        two_way=two_way,
        time_limit=left,
        stop=stop,
        threads=threads,
        seed=seed,
        on_progress=on_progress,
    )
    return PlanExplanation(
        evaluation=evaluation,
        stages=reasons,
        binding=binding,
        worth=worth,
        seconds=time.monotonic() - began,
    )


def _reasons(problem: Problem, plan: Plan, price: float) -> Iterator[StageReason]:
    for stream in problem.streams:
        costs = problem.network[stream.network].costs
        for number, route in enumerate(plan.routes[stream.name]):
            runs = list(stages(route.devices))
            for index, (device, first, stop) in enumerate(runs):
                changes: dict[tuple[int, int, str], Literal["move", "border"]] = {}
                for other in problem.devices:
                    if other.name != device and other.name in costs:
                        changes[first, stop, other.name] = "move"
                if index > 0:
                    before = runs[index - 1][0]
                    changes.setdefault((first, first + 1, before), "border")
                    changes.setdefault((first - 1, first, device), "border")
                if index + 1 < len(runs):
                    after = runs[index + 1][0]
                    changes.setdefault((stop - 1, stop, after), "border")
                    changes.setdefault((stop, stop + 1, device), "border")
                found = [
                    _alternative(problem, plan, stream.name, number, change, kind, price)
                    for change, kind in changes.items()
                ]
                found.sort(key=lambda a: (not a.feasible, a.objective))
                yield StageReason(
                    stream=stream.name,
                    route=number,
                    device=device,
                    first=first,
                    stop=stop,
                    alternatives=tuple(found),
                )


def _alternative(
    problem: Problem,
    plan: Plan,
    stream: str,
    number: int,
    change: tuple[int, int, str],
    kind: Literal["move", "border"],
    price: float,
) -> Alternative:
    first, stop, device = change
    routes = list(plan.routes[stream])
    devices = routes[number].devices
    moved = (*devices[:first], *(device for _ in range(first, stop)), *devices[stop:])
    routes[number] = dataclasses.replace(routes[number], devices=moved)
    changed = dataclasses.replace(plan, routes={**plan.routes, stream: tuple(routes)})
    evaluation = evaluate(problem, changed)
    more = evaluation.objective - price if math.isfinite(evaluation.objective) else math.inf
    if math.isfinite(price) and abs(more) <= _CHEAPER * abs(price):
        more = 0.0
    return Alternative(
        kind=kind,
        first=first,
        stop=stop,
        device=device,
        objective=evaluation.objective,
        more=more,
        violations=evaluation.violations,
    )


def find_binding(problem: Problem, evaluation: Evaluation) -> list[Binding]:
    """Return every limit with what a plan uses of it, the most used first.

    Rates and fixed numbers of replicas are statements, but no limits that a plan may use less of.

    Parameters
    ----------
    problem
        What was planned.
    evaluation
        The plan's price.
    """
    streams = {price.name: price for price in evaluation.streams}
    devices = {load.name: load for load in evaluation.devices}
    links = {
        (link.source, link.target): load
        for link, load in zip(problem.links, evaluation.links, strict=True)
    }
    found = []
    for item in list_items(problem):
        kind, *names = item.key
        name = str(names[0]) if names else ""
        if item.amount is None or kind == "rate":
            continue
        if kind == "replicas" and len(problem.device[name].replica_range) == 1:
            continue
        match kind:
            case "deadline":
                used = streams[name].latency_seconds
            case "tail deadline":
                probability = problem.stream[name].tail_deadlines[int(names[1])].probability
                used = dict(streams[name].tails)[probability]
            case "replicas":
                used = float(devices[name].replicas) if devices[name].on else 0.0
            case "memory":
                used = float(devices[name].memory_bytes)
            case "device power":
                used = devices[name].watts
            case "device capacity":
                used = devices[name].utilisation
            case "link capacity":
                used = links[name, str(names[1])].utilisation
            case "power budget":
                used = math.fsum(load.watts for load in evaluation.devices)
            case "money budget":
                used = _hourly(problem, evaluation)
            case _:
                used = 1 / evaluation.period_seconds if evaluation.period_seconds else math.inf
        if kind == "min rate":
            share = item.amount / used if used else math.inf
        else:
            share = used / item.amount
        found.append(Binding(item=item, used=used, share=share, binds=_binds(share)))
    return sorted(found, key=lambda b: -b.share)


def _hourly(problem: Problem, evaluation: Evaluation) -> float:
    """Return the dollars per hour of all streams, what devices cost for being on included."""
    return 3600 * math.fsum(
        problem.stream[price.name].rate_per_second * price.cost_dollars
        for price in evaluation.streams
    )


def _binds(share: float) -> Binds:
    if share > 1 + RELATIVE_TOLERANCE:
        return "broken"
    if share >= 1 - RELATIVE_TOLERANCE:
        return "binds"
    return "nearly" if share >= 1 - NEARLY else "no"
