"""Plan, simulate, tighten, plan again: until the simulation keeps every deadline too.

Waits after another queue, percentiles, shared replicas are approximations: a plan that keeps its
deadlines as predicted may break one in a simulation. Then the queue where that stream's requests
wait longest is given less load, and the problem is solved again. That is a heuristic: the bound
that is reported is the one from before the first such cut.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgeplan import planner
from edgeplan.model.plan import Plan
from edgeplan.model.price import route_price
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey, visits
from edgeplan.model.verify import relative_gap
from edgeplan.result import Result
from edgeplan.simulation import SimulatedStream, Simulation, simulate

LESS_LOAD = 0.95
"""A queue that is to blame may at most be so much as busy as it was."""

MOST_ROUNDS = 40
"""So many times it is tried: by then a queue's load has fallen to an eighth."""

FAMILY_ERROR = 0.05
"""Probability of letting any deadline pass that is in truth broken, over all of them and all
rounds: each is tested at its share."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A deadline that the simulation does not surely keep.

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
    tightened
        The queues that were given less load after it, with their new utilisation caps.
    """

    objective: float
    broken: tuple[Broken, ...]
    tightened: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Where plan and simulation agree, or that they never did.

    Parameters
    ----------
    result
        The last plan with the bound of the problem as stated; no plan where none remained.
    simulation
        Of that plan; ``None`` without one.
    agrees
        Whether the simulation keeps every deadline, at a family-wise level of 95 %.
    rounds
        What was simulated on the way, in order.
    why
        For people: how it ended.
    """

    result: Result
    simulation: Simulation | None
    agrees: bool
    rounds: tuple[Round, ...]
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return what `Result.as_json` does not tell."""
        return {
            "agrees": self.agrees,
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
        Requests of each simulation; where they do not suffice to tell, four times as many, twice.
    gap, seed, stop
        As for `planner.plan`; each round simulates with a seed of its own.
    on_round
        Called after each round with its number and what it showed.
    **options
        Passed to `planner.plan` (a time limit holds for each solve).

    Returns
    -------
    Agreement
        The first plan that the simulation confirms.
    """
    asked = {**options, "gap": gap, "seed": seed, "stop": stop}
    first = planner.plan(problem, **asked)
    if first.plan is None:
        why = "there is no plan to simulate"
        return Agreement(result=first, simulation=None, agrees=False, rounds=(), why=why)
    result, tightened = first, problem
    rounds: list[Round] = []
    while True:
        assert result.plan is not None
        simulation, broken = _simulated(problem, result.plan, requests, seed, len(rounds), stop)
        cuts: dict[QueueKey, float] = {}
        if broken and len(rounds) + 1 < MOST_ROUNDS and not simulation.interrupted:
            cuts = _cuts(tightened, result.plan, simulation, broken)
        done = Round(
            objective=0.0 if result.objective is None else result.objective,
            broken=broken,
            tightened=tuple((name, cap) for (_, name), cap in cuts.items()),
        )
        rounds.append(done)
        if on_round is not None:
            on_round(len(rounds), done)
        if not cuts:
            why = "the simulation keeps every deadline"
            if simulation.interrupted:
                why = "stopped before the simulation was done"
            elif broken:
                why = f"no plan was confirmed within {len(rounds)} rounds: {broken[0]}"
            return Agreement(
                result=_under(first, result, problem, gap),
                simulation=simulation,
                agrees=not broken and not simulation.interrupted,
                rounds=tuple(rounds),
                why=why,
            )
        tightened = _with_caps(tightened, cuts)
        result = planner.plan(tightened, **asked)
        if result.plan is None:
            # The cuts are a heuristic: that none remains under them proves nothing.
            none = dataclasses.replace(
                first,
                status="unknown",
                limit=result.limit,
                plan=None,
                evaluation=None,
                objective=None,
                gap=None,
                chosen=None,
            )
            why = f"no plan remains with less load: {broken[0]}"
            return Agreement(
                result=none, simulation=None, agrees=False, rounds=tuple(rounds), why=why
            )


def _simulated(
    problem: Problem,
    plan: Plan,
    requests: int,
    seed: int,
    number: int,
    stop: threading.Event | None,
) -> tuple[Simulation, tuple[Broken, ...]]:
    """Simulate until each deadline is surely kept or surely broken, or enough is enough."""
    tests = sum(len(s.tail_deadlines) + 1 for s in problem.streams)
    # Shares of 1/2, 1/6, 1/12, … of the error for the rounds, which add up to all of it.
    error = FAMILY_ERROR / tests / ((number + 1) * (number + 2))
    stopped = (lambda: False) if stop is None else stop.is_set
    for longer in (1, 4, 16):
        simulation = simulate(
            problem,
            plan,
            requests=requests * longer,
            seed=seed + 1000 * number + longer,
            stop=stopped,
        )
        doubtful, broken = [], []
        for stream in simulation.streams:
            for deadline, kept, missed in _deadlines(problem, stream, 1 - error):
                if not kept:
                    broken.append(deadline)
                    doubtful += [] if missed else [deadline]
        if not doubtful or simulation.interrupted:
            break
    return simulation, tuple(broken)


def _deadlines(
    problem: Problem, stream: SimulatedStream, confidence: float
) -> list[tuple[Broken, bool, bool]]:
    """Return each deadline of a stream, whether it is surely kept, whether surely missed."""
    found = []
    limit = problem.stream[stream.name].deadline_seconds
    if limit < float("inf"):
        mean = Broken(
            stream=stream.name, statistic="mean", simulated=stream.mean.value, required=limit
        )
        found.append(
            (mean, stream.mean.below(limit, confidence), stream.mean.above(limit, confidence))
        )
    for deadline in stream.deadlines:
        tail = Broken(
            stream=stream.name,
            statistic=deadline.statistic,
            simulated=deadline.attainment.value,
            required=deadline.probability,
        )
        found.append((tail, deadline.surely_met(confidence), deadline.surely_missed(confidence)))
    return found


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
        if not waits:
            continue
        queue = max(waits, key=lambda key: waits[key])
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
        limit=None,
        bound=first.bound,
        gap=left,
        certificate=first.certificate,
        multipliers=first.multipliers,
        baselines=first.baselines,
        seconds=first.seconds + last.seconds,
        message="; ".join(filter(None, (f"tightened until '{problem.name}' held", last.message))),
    )
