"""Each stream cut where a minimum cut says so, as if it were alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

from edgeplan.model.evaluate import route_price
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Budgets, LayerRule, Problem, Stream
from edgeplan.solvers.baselines.baseline import Baseline, nothing, priced
from edgeplan.solvers.baselines.replicas import with_best_replicas
from edgeplan.solvers.baselines.rules import best_single_cut
from edgeplan.solvers.mincut.solver import MinCut


def min_cut(problem: Problem, watch: Callable[[], None] = lambda: None) -> Baseline:
    """Cut each stream's network in two by a minimum cut, the stream alone (DADS's rule).

    The parts run at the origin and on one other device; each other device is tried, and no cut
    at all is one of the cuts. Best is the least that the stream costs by itself, without
    waiting and without the limits that it shares with others, if possible within its deadline.
    A stream whose plan is no cut (measured spans, a device alone, …) takes its best single cut;
    the note says why.

    Parameters
    ----------
    problem
        The problem.
    watch
        Called before each cut; may raise to end the work.

    References
    ----------
    Hu et al., "Dynamic adaptive DNN surgery for inference acceleration on the edge", INFOCOM
    2019: a network that is a DAG is split between edge and cloud by a minimum cut.
    """
    # Streams that differ by name only have the same cut.
    known: list[tuple[Stream, tuple[str, ...] | str]] = []
    routes: dict[str, tuple[Route, ...]] = {}
    refused: dict[str, str] = {}
    for stream in problem.streams:
        alike = dataclasses.replace(stream, name="stream")
        found = next((found for other, found in known if other == alike), None)
        if found is None:
            found = _best(problem, stream, watch)
            known.append((alike, found))
        if isinstance(found, str):
            cut = best_single_cut(problem, stream)
            if cut is None:
                return nothing("min-cut", stream, "no minimum cut and no single cut")
            refused[stream.name] = found
            found = cut.devices
        routes[stream.name] = (Route(devices=found),)
    plan = with_best_replicas(problem, Plan(routes=routes), watch)
    return priced("min-cut", problem, plan, _note(refused))


def _best(problem: Problem, stream: Stream, watch: Callable[[], None]) -> tuple[str, ...] | str:
    """Return a stream's devices by layer, or why there is no cut."""
    solver = MinCut()
    best: tuple[bool, float, float, tuple[str, ...]] | None = None
    reason = "there is no second device"
    for alone in _alone(problem, stream):
        watch()
        if unsupported := solver.unsupported(alone):
            reason = unsupported[0].rpartition(": use ")[0] or unsupported[0]
            continue
        found = solver.solve(alone)
        if found.plan is None or found.claimed_objective is None:
            reason = "no cut keeps its rules" if found.infeasible else found.message
            continue
        (route,) = found.plan.routes[stream.name]
        latency = route_price(problem, stream, route).latency_seconds
        late = latency > stream.deadline_seconds
        # Of equally cheap ones the fastest.
        candidate = (late, found.claimed_objective, latency, route.devices)
        best = candidate if best is None else min(best, candidate)
    return reason if best is None else best[3]


def _alone(problem: Problem, stream: Stream) -> Iterator[Problem]:
    """Yield for each other device the problem of the stream, its origin and that device.

    Without waiting, and without limits, which a cut does not know.
    """
    devices = tuple(
        dataclasses.replace(
            device, memory_bytes=math.inf, power_budget_watts=math.inf, max_replicas=None
        )
        for device in problem.devices
    )
    for other in problem.devices:
        if other.name == stream.origin:
            continue
        away = tuple(d.name for d in devices if d.name not in (stream.origin, other.name))
        alone = dataclasses.replace(
            stream,
            deadline_seconds=math.inf,
            tail_deadlines=(),
            splittable=False,
            max_batch=1,
            bans=(*stream.bans, LayerRule(devices=away)),
        )
        yield dataclasses.replace(
            problem,
            networks=(problem.network[stream.network],),
            devices=devices,
            streams=(alone,),
            budgets=Budgets(),
            capacity="none",
            waiting="none",
        )


def _note(refused: dict[str, str]) -> str:
    """Say which streams took their best single cut, and why the first did."""
    if not refused:
        return ""
    (first, reason), *others = refused.items()
    more = f" (and {len(others)} more)" if others else ""
    return f"best single cut in place of a minimum cut for stream {first}{more}: {reason}"
