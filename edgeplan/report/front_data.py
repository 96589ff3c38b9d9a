"""What the page of a front carries of its points and their plans, small enough for thousands.

Columns in place of records: a value of every point side by side. What a stream does is listed
once and named by its number; of thousands of plans few differ in all streams. The page works out
the waterfall of a point from these: seconds of stages and transfers belong to the route, waits to
the devices and links of the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.network import stages
from edgeplan.model.plan import Plan, Route
from edgeplan.model.price import RoutePrice, Transfer
from edgeplan.model.queueing import link_queue
from edgeplan.report.drawing import drawings, scene, scene_of_routes

if TYPE_CHECKING:
    from edgeplan.model.problem import Problem
    from edgeplan.pareto.sets import PointSet

Tree = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A set of points on the page.

    Parameters
    ----------
    points
        The set; its name is a letter where there are several fronts.
    title
        What the page calls it.
    kind
        ``front``, ``baselines`` or ``points`` (of another planner, without plans).
    problem
        What the plans are of, where known.
    """

    points: PointSet
    title: str
    kind: str
    problem: Problem | None

    @cached_property
    def priced(self) -> list[Evaluation] | None:
        """The prices of its plans; ``None`` where the problem is not known."""
        if self.problem is None:
            return None
        return [evaluate(self.problem, plan) for plan in self.points.plans or ()]


def drawings_tree(shown: Shown) -> Tree | None:
    """Return the drawings of a set's plans, as `edgeplan.report.drawing.drawings` has them."""
    if not shown.points.plans:
        return None
    if shown.problem is None or shown.priced is None:
        return drawings(scene_of_routes(plan) for plan in shown.points.plans)
    return drawings(scene(shown.problem, each) for each in shown.priced)


def set_tree(shown: Shown) -> Tree:
    """Return what the page carries of a set of points: values by objective, labels and plans."""
    points, width = shown.points, len(shown.points.objectives)
    tree: Tree = {
        "name": points.name,
        "title": shown.title,
        "kind": shown.kind,
        "values": [[values[k] for values in points.values] for k in range(width)],
        "labels": list(points.labels) if points.labels is not None else None,
        "plans": None,
    }
    if points.plans:
        tree["plans"] = plans_tree(points.plans, shown.problem, shown.priced)
    return tree


def plans_tree(
    plans: Sequence[Plan], problem: Problem | None, priced: Sequence[Evaluation] | None
) -> Tree:
    """Return what the page carries of plans.

    Parameters
    ----------
    plans
        One or more, of one problem.
    problem
        The problem; ``None`` where not known: then there are stages without times, and no loads.
    priced
        What the evaluator says of each plan; ``None`` without the problem.
    """
    names = [stream.name for stream in problem.streams] if problem else list(plans[0].routes)
    devices = [device.name for device in problem.devices] if problem else _devices(plans)
    number = {name: index for index, name in enumerate(devices)}
    ways: list[list[Any]] = []
    taken: list[list[int]] = []
    for place, name in enumerate(names):
        known: dict[tuple[Route, ...], int] = {}
        listed: list[Any] = []
        column = []
        for index, plan in enumerate(plans):
            routes = tuple(plan.routes.get(name, ()))
            if routes not in known:
                known[routes] = len(known)
                if priced is None or problem is None:
                    listed.append([_bare(route, number) for route in routes])
                else:
                    prices = priced[index].streams[place].routes
                    listed.append([_way(problem, price, number) for price in prices])
            column.append(known[routes])
        ways.append(listed)
        taken.append(column)
    tree: Tree = {"streams": names, "devices": devices, "ways": ways, "taken": taken}
    if problem is not None and priced is not None:
        tree["problem"] = _problem_tree(problem)
        tree["loads"] = _loads(problem, priced)
    else:
        tree["layers"] = [len(plans[0].routes[name][0].devices) for name in names]
    return tree


def _devices(plans: Sequence[Plan]) -> list[str]:
    """Return the devices that plans name, as they come up."""
    seen: dict[str, None] = {}
    for plan in plans:
        for routes in plan.routes.values():
            for route in routes:
                seen.update(dict.fromkeys(route.devices))
    return list(seen)


def _bare(route: Route, number: Mapping[str, int]) -> Tree:
    """Return a route whose times are not known: [device, first layer, stop] of each stage."""
    found = [[number[device], first, stop] for device, first, stop in stages(route.devices)]
    return {"share": route.fraction, "batch": route.batch, "stages": found}


def _way(problem: Problem, price: RoutePrice, number: Mapping[str, int]) -> Tree:
    """Return a route with its times; see `_moves` for transfers."""
    return {
        "share": price.fraction,
        "batch": price.batch,
        "fill": price.fill_seconds,
        "stages": [
            [
                number[stage.device],
                stage.first,
                stage.stop,
                stage.seconds,
                _moves(problem, stage.transfers, number),
            ]
            for stage in price.stages
        ],
        "back": _moves(problem, price.returned, number),
    }


def _moves(
    problem: Problem, transfers: Sequence[Transfer], number: Mapping[str, int]
) -> list[list[Any]]:
    """Return transfers: from, to, bytes, seconds, and the link whose queue they join, or -1."""
    link_number = {link.name: index for index, link in enumerate(problem.links)}
    found: list[list[Any]] = []
    for transfer in transfers:
        queue = link_queue(problem, transfer) if problem.waiting != "none" else None
        place = -1 if queue is None else link_number[queue[1]]
        ends = [number[transfer.source], number[transfer.target]]
        found.append([*ends, transfer.bytes, transfer.seconds, place])
    return found


def _problem_tree(problem: Problem) -> Tree:
    """Return what belongs to all plans of a problem."""
    capped = problem.capacity != "none"
    network = {each.name: index for index, each in enumerate(problem.networks)}
    return {
        "waiting": problem.waiting,
        "aggregate": problem.objective.aggregate,
        "networks": [
            {"name": each.name, "layers": [layer.name for layer in each.layers]}
            for each in problem.networks
        ],
        "streams": [
            {
                "network": network[stream.network],
                "origin": stream.origin,
                "rate": stream.rate_per_second,
                "deadline": stream.deadline_seconds,
            }
            for stream in problem.streams
        ],
        "devices": [
            {
                "tier": device.tier,
                "zone": device.zone,
                "memory": device.memory_bytes,
                "cap": device.utilisation_cap if capped else math.inf,
            }
            for device in problem.devices
        ],
        "links": [
            {"from": link.source, "to": link.target, "cap": link.utilisation_cap if capped else 0}
            for link in problem.links
        ],
    }


def _loads(problem: Problem, priced: Sequence[Evaluation]) -> Tree:
    """Return loads and waits by device and by link; ``null`` for what is 0 in every plan."""
    waiting = problem.waiting != "none"
    tree: Tree = {
        "devices": list(_columns([[_short(d.utilisation) for d in e.devices] for e in priced])),
        "memory": list(_columns([[d.memory_bytes for d in e.devices] for e in priced])),
        "replicas": list(_columns([[d.replicas for d in e.devices] for e in priced], still=1)),
        "links": list(_columns([[_short(link.utilisation) for link in e.links] for e in priced])),
        "broken": {
            index: [violation.message for violation in e.violations[:5]]
            for index, e in enumerate(priced)
            if e.violations
        },
    }
    if waiting:
        tree["device_waits"] = list(
            _columns([[_short(d.wait_seconds or 0.0) for d in e.devices] for e in priced])
        )
        tree["link_waits"] = list(
            _columns([[_short(link.wait_seconds or 0.0) for link in e.links] for e in priced])
        )
        tree["basis"] = [[stream.basis for stream in e.streams] for e in priced]
    return tree


def _columns(rows: Sequence[Sequence[float]], still: float = 0) -> Iterator[list[float] | None]:
    """Yield the columns of a table; ``None`` for one that is ``still`` everywhere."""
    for column in zip(*rows, strict=True):
        yield list(column) if any(value != still for value in column) else None


def _short(value: float) -> float:
    """Return a number with as many digits as a bar can show."""
    return float(f"{value:.4g}")
