"""Plan, simulate, tighten, plan again: until the simulation keeps every deadline too.

Waits after another queue, percentiles, shared replicas are approximations: a plan that keeps its
deadlines as predicted may break one in a simulation. Then the queue where that stream's requests
wait longest is given less load, and the problem is solved again. That is a heuristic: the bound
that is reported is the one from before the first such cut.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgeplan import planner
from edgeplan.model.errors import InterruptedRunError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.plan import Plan
from edgeplan.model.price import route_price
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey, visits
from edgeplan.model.verify import relative_gap
from edgeplan.result import Result
from edgeplan.simulation import SimulatedStream, Simulation, simulate
from edgeplan.simulation.engine import WARM_UP

LESS_LOAD = 0.95
"""A queue that is to blame may at most be so much as busy as it was."""

MOST_ROUNDS = 40
"""So many times it is tried: by then a queue's load has fallen to an eighth."""

LOOKS = (1, 4, 16)
"""Multiples of the requests asked for: the next where the one before does not suffice to tell."""

ENOUGH = 1000
"""Requests of a route with a deadline that a simulation should have, where `LOOKS` allow it."""

FAMILY_ERROR = 0.05
"""Probability of confirming a deadline that is in truth broken, over all deadlines, looks and
rounds: each test is made at its share."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A deadline that the simulation does not surely keep, though it had the requests to tell.

    Parameters
    ----------
    stream, statistic
        Whose, and of what: ``mean`` or ``p95``.
    simulated, required
        Of a mean: seconds. Of a percentile: the share of the requests in time.
    """

    stream: str
    statistic: str
    simulated: float
    required: float

    def __str__(self) -> str:
        if self.statistic == "mean":
            return (
                f"mean of '{self.stream[:80]}': {self.simulated:.4g} s simulated, at most "
                f"{self.required:.4g} s asked"
            )
        return (
            f"{self.statistic} of '{self.stream[:80]}': {self.simulated:.4%} in time in the "
            f"simulation, {self.required:.4%} asked"
        )


@dataclass(frozen=True, kw_only=True)
class Round:
    """One plan that was simulated.

    Parameters
    ----------
    objective
        Its price by the evaluator.
    broken
        Deadlines that the simulation does not surely keep.
    untested
        Streams with a deadline of which there were too few requests to tell.
    tightened
        The queues that were given less load after it, with their new utilisation caps.
    """

    objective: float
    broken: tuple[Broken, ...]
    untested: tuple[str, ...]
    tightened: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Where plan and simulation agree, or that they never did.

    Parameters
    ----------
    result
        The last plan that was simulated, with the bound of the problem as stated; no plan
        where none remained. Where the run was stopped before a simulation: the plan as solved.
    simulation
        Of that plan; ``None`` without one.
    agrees
        Whether the simulation keeps every deadline, at a family-wise level of 95 %.
    stopped
        Whether it ended because it was interrupted.
    rounds
        What was simulated on the way, in order.
    why
        For people: how it ended.
    """

    result: Result
    simulation: Simulation | None
    agrees: bool
    stopped: bool
    rounds: tuple[Round, ...]
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return what `Result.as_json` does not tell."""
        return {
            "agrees": self.agrees,
            "stopped": self.stopped,
            "why": self.why,
            "rounds": [dataclasses.asdict(each) for each in self.rounds],
            "simulation": None if self.simulation is None else self.simulation.as_json(),
        }


def plan_and_simulate(
    problem: Problem,
    *,
    requests: int = 200_000,
    gap: float = 1e-6,
    seed: int = 0,
    stop: threading.Event | None = None,
    on_round: Callable[[int, Round], None] | None = None,
    **options: Any,
) -> Agreement:
    """Plan until the simulation keeps the deadlines too.

    Parameters
    ----------
    problem
        What to plan.
    requests
        Requests of each simulation; where they do not suffice to tell, four times as many,
        twice. Where a route with a deadline would have fewer than `ENOUGH` of them, the first
        simulation is longer already, up to sixteen times.
    gap, seed, stop
        As for `planner.plan`; each round simulates with a seed of its own.
    on_round
        Called after each round with its number and what it showed.
    **options
        Passed to `planner.plan` (a time limit holds for each solve).

    Returns
    -------
    Agreement
        The first plan that the simulation confirms; else the last one, and why there is none.
    """
    asked = {**options, "gap": gap, "seed": seed, "stop": stop}
    first = planner.plan(problem, **asked)
    if first.plan is None:
        return Agreement(
            result=first,
            simulation=None,
            agrees=False,
            stopped=first.limit == "interrupted",
            rounds=(),
            why="there is no plan to simulate",
        )
    result, tightened = first, problem
    rounds: list[Round] = []
    # The last plan that was simulated.
    held, simulation = first, None

    def ended(why: str, *, agrees: bool = False, stopped: bool = False) -> Agreement:
        return Agreement(
            result=_under(first, held, problem, gap),
            simulation=simulation,
            agrees=agrees,
            stopped=stopped,
            rounds=tuple(rounds),
            why=why,
        )

    while True:
        plan = result.plan
        assert plan is not None
        try:
            test = _tested(problem, plan, requests, seed, len(rounds), stop)
        except InterruptedRunError:
            # The plan before is known to be broken; this one may be, but nobody looked.
            which = "a plan with less load" if rounds else "the plan"
            return ended(f"stopped before {which} was simulated", stopped=True)
        held, simulation = result, test.simulation
        cuts: dict[QueueKey, float] = {}
        if len(rounds) + 1 < MOST_ROUNDS and not simulation.interrupted:
            cuts = _cuts(tightened, plan, simulation, test.broken)
        done = Round(
            objective=0.0 if result.objective is None else result.objective,
            broken=test.broken,
            untested=test.untested,
            tightened=tuple((name, cap) for (_, name), cap in cuts.items()),
        )
        rounds.append(done)
        if on_round is not None:
            on_round(len(rounds), done)
        if simulation.interrupted:
            return ended("stopped before the simulation was done", stopped=True)
        if not cuts:
            why, agrees = _verdict(done, len(rounds))
            return ended(why, agrees=agrees)
        tightened = _with_caps(tightened, cuts)
        result = planner.plan(tightened, **asked)
        if result.plan is not None:
            continue
        if result.limit == "interrupted":
            why = f"stopped while looking for a plan with less load: {test.broken[0]}"
            return ended(why, stopped=True)
        if result.status != "infeasible":
            limit = "" if result.limit is None else f" within the limit of {result.limit}"
            why = f"no plan with less load was found{limit}: {test.broken[0]}"
            return ended(why)
        # The cuts are a heuristic: that none remains under them proves nothing.
        none = dataclasses.replace(
            first,
            status="unknown",
            limit=None,
            plan=None,
            evaluation=None,
            objective=None,
            gap=None,
            chosen=None,
        )
        return Agreement(
            result=none,
            simulation=None,
            agrees=False,
            stopped=False,
            rounds=tuple(rounds),
            why=f"no plan remains with less load: {test.broken[0]}",
        )


def _verdict(last: Round, rounds: int) -> tuple[str, bool]:
    """Return how it ended without a queue to give less load, and whether that is agreement."""
    if last.broken and rounds < MOST_ROUNDS:
        return f"its requests do not wait, so less load cannot help: {last.broken[0]}", False
    if last.broken:
        return f"no plan was confirmed within {rounds} rounds: {last.broken[0]}", False
    if last.untested:
        names = ", ".join(f"'{name[:40]}'" for name in last.untested[:12])
        return f"too few requests of {names} to tell: take more", False
    return "the simulation keeps every deadline", True


@dataclass(frozen=True)
class _Finding:
    """Whether a deadline is surely kept or surely missed, and whether requests sufficed to tell."""

    deadline: Broken
    kept: bool
    missed: bool
    enough: bool


@dataclass(frozen=True)
class _Test:
    """A simulation, the deadlines that it does not surely keep, and streams it says nothing of."""

    simulation: Simulation
    broken: tuple[Broken, ...]
    untested: tuple[str, ...]


def _tested(
    problem: Problem,
    plan: Plan,
    requests: int,
    seed: int,
    number: int,
    stop: threading.Event | None,
) -> _Test:
    """Simulate until each deadline is surely kept or surely missed, or enough is enough.

    Raises
    ------
    InterruptedRunError
        If it was stopped before any request was counted.
    """
    tests = sum(len(s.tail_deadlines) + 1 for s in problem.streams)
    # Shares of 1/2, 1/6, 1/12, … of the error for the rounds, which add up to all of it.
    error = FAMILY_ERROR / tests / len(LOOKS) / ((number + 1) * (number + 2))
    stopped = (lambda: False) if stop is None else stop.is_set
    needed = min(_requests_needed(problem, plan), requests * LOOKS[-1])
    for longer in LOOKS:
        if requests * longer < needed:
            continue
        simulation = simulate(
            problem,
            plan,
            requests=requests * longer,
            seed=seed + 1000 * number + longer,
            stop=stopped,
        )
        found = [each for stream in simulation.streams for each in _find(problem, stream, error)]
        if simulation.interrupted or all(each.kept or each.missed for each in found):
            break
    broken: dict[tuple[str, str], Broken] = {}
    for each in found:
        if not each.kept and each.enough:
            # Of a percentile the worst of the routes.
            key = each.deadline.stream, each.deadline.statistic
            if key not in broken or each.deadline.simulated < broken[key].simulated:
                broken[key] = each.deadline
    untested = dict.fromkeys(each.deadline.stream for each in found if not each.enough)
    return _Test(simulation, tuple(broken.values()), tuple(untested))


def _requests_needed(problem: Problem, plan: Plan) -> float:
    """Return how many requests make `ENOUGH` of each route with a deadline, tail ones included."""
    rate = sum(stream.rate_per_second for stream in problem.streams)
    needed = 0.0
    for stream in problem.streams:
        share = (1 - WARM_UP) * stream.rate_per_second / rate
        if stream.deadline_seconds < float("inf"):
            needed = max(needed, ENOUGH / share)
        if stream.tail_deadlines:
            # Where all are in time, a share of p is sure from some 5 / (1 - p) requests on.
            rarest = max(tail.probability for tail in stream.tail_deadlines)
            least = min(route.fraction for route in plan.routes[stream.name])
            needed = max(needed, max(ENOUGH, 10 / (1 - rarest)) / (share * least))
    return needed


def _find(problem: Problem, stream: SimulatedStream, error: float) -> Iterator[_Finding]:
    """Yield what a simulation says of a stream's deadlines, of percentiles on each route."""
    confidence = 1 - error
    limit = problem.stream[stream.name].deadline_seconds
    if limit < float("inf"):
        mean, within = stream.mean, limit * (1 + RELATIVE_TOLERANCE)
        kept = mean.below(within, confidence)
        if mean.standard_error == 0:
            kept = mean.value <= within
        yield _Finding(
            Broken(stream=stream.name, statistic="mean", simulated=mean.value, required=limit),
            kept=kept,
            missed=not kept and mean.above(within, confidence),
            enough=mean.standard_error is not None,
        )
    for deadline in (each for route in stream.routes for each in route.deadlines):
        share, kept = deadline.attainment, deadline.surely_met(confidence)
        yield _Finding(
            Broken(
                stream=stream.name,
                statistic=deadline.statistic,
                simulated=share.value,
                required=deadline.probability,
            ),
            kept=kept,
            missed=deadline.surely_missed(confidence),
            # All in time and still not sure: that is too few, and nothing against the plan.
            enough=kept or (share.standard_error is not None and share.value < 1),
        )


def _cuts(
    problem: Problem, plan: Plan, simulation: Simulation, broken: tuple[Broken, ...]
) -> dict[QueueKey, float]:
    """Return a lower utilisation cap for the queue where each broken stream waits longest."""
    loads = {("device", load.name): load for load in simulation.devices}
    loads |= {("link", load.name): load for load in simulation.links}
    caps: dict[QueueKey, float] = {}
    for name in dict.fromkeys(deadline.stream for deadline in broken):
        stream = problem.stream[name]
        waits: dict[QueueKey, float] = {}
        for route in plan.routes[name]:
            for visit in visits(problem, route_price(problem, stream, route)):
                waited = loads[visit.queue].mean_wait_seconds or 0.0
                waits[visit.queue] = waits.get(visit.queue, 0.0) + waited
        queue = max(waits, key=lambda key: waits[key], default=None)
        if queue is None or not waits[queue]:
            continue
        caps[queue] = min(_cap(problem, queue), loads[queue].offered) * LESS_LOAD
    return caps


def _cap(problem: Problem, queue: QueueKey) -> float:
    kind, name = queue
    if kind == "device":
        return problem.device[name].utilisation_cap
    return next(link.utilisation_cap for link in problem.links if link.name == name)


def _with_caps(problem: Problem, caps: dict[QueueKey, float]) -> Problem:
    return dataclasses.replace(
        problem,
        devices=tuple(
            dataclasses.replace(
                device, utilisation_cap=caps.get(("device", device.name), device.utilisation_cap)
            )
            for device in problem.devices
        ),
        links=tuple(
            dataclasses.replace(
                link, utilisation_cap=caps.get(("link", link.name), link.utilisation_cap)
            )
            for link in problem.links
        ),
    )


def _under(first: Result, last: Result, problem: Problem, gap: float) -> Result:
    """Return the last plan under the bound of the problem as it was stated."""
    if last is first:
        return first
    left = relative_gap(last.objective, first.bound)
    closed = left is not None and left <= gap
    return dataclasses.replace(
        last,
        status="optimal" if closed else "feasible",
        bound=first.bound,
        gap=left,
        certificate=first.certificate,
        multipliers=first.multipliers,
        baselines=first.baselines,
        seconds=first.seconds + last.seconds,
        message="; ".join(filter(None, (f"tightened until '{problem.name}' held", last.message))),
    )
