"""Whether a problem has a plan at all: the question that an explanation asks again and again."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgeplan.explain.capacity import Capacity
from edgeplan.explain.items import Item, asks_of_load, implied_rate
from edgeplan.explain.relaxed import fitted, unloaded
from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, Evaluation, Violation, evaluate
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Plan
from edgeplan.model.problem import LayerRule, Objective, Problem, Stream
from edgeplan.solvers import registry
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.pipeline.problem import largest_period, reasons_against
from edgeplan.solvers.result import Progress, SolverResult, Stop
from edgeplan.solvers.route_lists import count_plans

_ANY_PLAN = 1e9
"""A relative gap that the first plan closes."""
_LEVELS_GAP = 1e-6
"""Where requests wait: levels of waiting are refined only while a gap is open. The first plan
ends the search there, too."""
_TRIES_ALL = "enumerate"
"""The solver that proves what it says of small problems of load."""
_BUILD_SECONDS = 5e-3
"""Seconds to build what a layer and a pair of devices add to the program of choices …"""
_BUILD_SHARE = 0.25
"""… which is left out where it takes more than so much of the time left."""
_OVERLOADED = 0.9995
"""A device that is busier than that is short of replicas, whatever its cap."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Whether there is a plan.

    Parameters
    ----------
    plan
        One, which the evaluator finds feasible, or ``None``.
    infeasible
        Whether there is none; with no plan either, it is not known.
    certificate
        On what infeasibility stands.
    stop
        Why the solver stopped.
    """

    plan: Plan | None = None
    infeasible: bool = False
    certificate: Certificate | None = None
    stop: Stop = Stop.COMPLETED


class _Enough(threading.Event):
    """Set where another event is, too: by the user, or since one plan is enough."""

    def __init__(self, outer: threading.Event | None) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return super().is_set() or (self._outer is not None and self._outer.is_set())


@dataclass
class Checker:
    """Asks an exact solver for a plan, any plan, and remembers those found.

    A problem with queues, replicas or batches is first asked whether the load can be carried at
    all (`edgeplan.explain.capacity`), then about itself without them
    (`edgeplan.explain.relaxed`): where that has no plan, it has none either.

    Parameters
    ----------
    ends
        When to stop, by ``time.monotonic``; ``inf`` for never.
    stop
        Setting it ends the work.
    threads, seed
        Of the solvers.
    """

    ends: float
    stop: threading.Event | None = None
    threads: int = 1
    seed: int = 0
    count: int = 0
    known: list[Plan] = field(default_factory=list)
    relaxed: list[Plan] = field(default_factory=list)
    capacity: Capacity = field(default_factory=Capacity)

    @property
    def seconds_left(self) -> float:
        """Time that is left, at least 0."""
        return max(0.0, self.ends - time.monotonic())

    @property
    def ended(self) -> bool:
        """Whether the time is up or the user has had enough."""
        return self.seconds_left <= 0 or (self.stop is not None and self.stop.is_set())

    def check(self, problem: Problem, share: float = 0.5) -> Answer:
        """Say whether a problem has a plan.

        A plan found before for another problem is tried first.

        Parameters
        ----------
        problem
            The problem; its objective does not matter.
        share
            One question takes at most so much of the time that is left, so that a hard one
            leaves time for others.
        """
        if (plan := self._remembered(problem)) is not None:
            return Answer(plan=plan)
        if self.ended:
            stopped = self.stop is not None and self.stop.is_set()
            return Answer(stop=Stop.INTERRUPTED if stopped else Stop.TIME_LIMIT)
        self.count += 1
        if problem.load_features:
            answer = self._carried(problem)
            if answer.infeasible or answer.plan is not None or self.ended:
                return answer
            answer = self._relaxed(problem, share)
            if answer.infeasible or answer.plan is not None or self.ended:
                return answer
        return self._asked(problem, share, self.known)

    def _remembered(self, problem: Problem) -> Plan | None:
        """Return a known plan that breaks nothing, ``None`` where there is none."""
        easier = unloaded(problem) if problem.load_features else None
        for plan in reversed(self.known):
            if easier is not None:  # to price queues takes long
                if self.ended:
                    return None
                if not evaluate(easier, fitted(easier, alone(plan))).feasible:
                    continue
            fit = fitted(problem, plan)
            if evaluate(problem, fit).feasible:
                return fit
        return None

    def _carried(self, problem: Problem) -> Answer:
        """Say whether devices and links can carry the load; a plan only where it keeps all."""
        load = self.capacity.find(problem) if problem.capacity == "utilisation" else None
        if load is None:
            return Answer()
        if load.too_much:
            return Answer(infeasible=True, certificate=load.certificate)
        plan = None if load.plan is None else fitted(problem, load.plan)
        if plan is None or not evaluate(problem, plan).feasible:
            return Answer()
        self.known.append(plan)
        return Answer(plan=plan)

    def _relaxed(self, problem: Problem, share: float) -> Answer:
        """Say whether there is a plan if nobody waits; a plan only where it keeps all limits."""
        easier = unloaded(problem)
        if build_seconds(easier) > _BUILD_SHARE * self.seconds_left:
            return Answer()
        if any(evaluate(easier, fitted(easier, alone(plan))).feasible for plan in self.relaxed):
            return Answer()
        answer = self._asked(easier, share, self.relaxed)
        if answer.plan is None:
            return answer
        plan = fitted(problem, answer.plan)
        self.known.append(plan)  # it can run, and breaks little
        feasible = evaluate(problem, plan).feasible
        return Answer(plan=plan if feasible else None, stop=answer.stop)

    def _asked(self, problem: Problem, share: float, known: list[Plan]) -> Answer:
        """Ask a solver; add the plan that it finds to those known."""
        asked, most = _asked(problem)
        enough = _Enough(self.stop)

        def watch(moment: Progress) -> None:
            # A price above the most is that of a plan which breaks a limit on the period.
            if (moment.incumbent is not None and moment.incumbent <= most) or (
                moment.bound is not None and moment.bound > most
            ):
                enough.set()

        left = self.seconds_left
        found = solve_fastest(
            asked,
            time_limit=None if math.isinf(left) else left * share,
            gap=_LEVELS_GAP if asked.load_features else _ANY_PLAN,
            threads=self.threads,
            seed=self.seed,
            on_progress=watch,
            stop=enough,
        )
        if found.plan is not None and evaluate(problem, found.plan).feasible:
            known.append(found.plan)
            return Answer(plan=found.plan, stop=found.stop)
        infeasible = found.plan is None and (
            found.infeasible or (found.bound is not None and found.bound > most)
        )
        return Answer(
            infeasible=infeasible,
            certificate=found.certificate if infeasible else None,
            stop=found.stop,
        )


def build_seconds(problem: Problem) -> float:
    """Return roughly how long it takes to build the program of choices of a problem."""
    devices = len(problem.devices)
    layers = sum(
        stream.route_limit * len(problem.network[stream.network].layers)
        for stream in problem.streams
    )
    return _BUILD_SECONDS * layers * devices**2


def alone(plan: Plan) -> Plan:
    """Return a plan without batches."""
    if all(route.batch == 1 for routes in plan.routes.values() for route in routes):
        return plan
    return dataclasses.replace(
        plan,
        routes={
            name: tuple(dataclasses.replace(route, batch=1) for route in routes)
            for name, routes in plan.routes.items()
        },
    )


def _asked(problem: Problem) -> tuple[Problem, float]:
    """Return a problem with the same plans that a solver answers fast, and its highest price.

    Where a problem is a pipeline, that asks for the least period: limits on the period are met
    by the best plan or by none, and the special cases of throughput do the work.
    """
    fast = problem.with_objective("throughput")
    if not reasons_against(fast):
        return fast, largest_period(fast) * fast.objective.period_price
    return dataclasses.replace(problem, objective=Objective(latency=1.0)), math.inf


def solve_fastest(
    problem: Problem,
    *,
    time_limit: float | None,
    gap: float,
    threads: int,
    seed: int,
    on_progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> SolverResult:
    """Solve by the solver that the registry names, and where that gives up by the next best."""
    began = time.monotonic()
    name = solver_for(problem)
    while True:
        if name is None:
            return _nobody(problem)
        spent = time.monotonic() - began
        solver = registry.get(
            name,
            time_limit=None if time_limit is None else max(0.0, time_limit - spent),
            gap=gap,
            threads=threads,
            seed=seed,
        )
        found = solver.solve(problem, on_progress=on_progress, stop=stop)
        if found.stop is not Stop.WORK_LIMIT or found.plan is not None:
            return found
        if (name := next_solver(problem, name)) is None:
            return found


def solver_for(problem: Problem) -> str | None:
    """Name the solver for a problem; ``None`` where none can be used that supports it.

    Small problems of load are enumerated, so that the answer is proved.
    """
    small = bool(problem.load_features) and _supports(problem, _TRIES_ALL)
    if small and count_plans(problem) <= registry.ENUMERABLE_PLANS:
        return _TRIES_ALL
    name = registry.choose(problem)[0]
    return name if _supports(problem, name) else None


def next_solver(problem: Problem, name: str) -> str | None:
    """Name the solver that goes on where one gave up; ``None`` for none."""
    if problem.load_features:
        following: str | None = registry.choose(problem)[0]
    else:
        following = registry.next_best(problem, name)
    if following is None or following == name or not _supports(problem, following):
        return None
    return following


def _supports(problem: Problem, name: str) -> bool:
    try:
        return not registry.get(name).unsupported(problem)
    except InputError:  # it is not there
        return False


def _nobody(problem: Problem) -> SolverResult:
    return SolverResult(
        stop=Stop.WORK_LIMIT,
        plan=None,
        claimed_objective=None,
        bound=None,
        infeasible=False,
        certificate=None,
        solver="none",
        seconds=0.0,
        message=f"no solver here knows that {'; '.join(problem.load_features)}",
    )


def broken(problem: Problem, plan: Plan) -> dict[Key, Violation | None]:
    """Return the limits (with what the evaluator says) and rules that a plan breaks, by key.

    Missing links and times are not among them: the plan must be able to run. Without the
    statements returned it breaks none: a device that is busy all the time is short of replicas.
    """
    found: dict[Key, Violation | None] = {}
    links = {f"link {link.name}": link for link in problem.links}
    plan = fitted(problem, plan)
    evaluation = evaluate(problem, plan)
    for violation in evaluation.violations:
        kind, place = violation.kind, violation.place
        if kind in ("deadline", "privacy"):
            found[kind, place.removeprefix("stream ")] = violation
        elif kind == "device capacity":
            name = place.removeprefix("device ")
            short = asks_of_load(problem) and not (violation.value or 0.0) <= _OVERLOADED
            found["replicas" if short else kind, name] = violation
        elif kind in ("memory", "device power"):
            found[kind, place.removeprefix("device ")] = violation
        elif kind == "link capacity":
            found[kind, links[place].source, links[place].target] = violation
        elif kind in ("power budget", "money budget") or (
            kind == "min rate" and not implied_rate(problem)
        ):
            found[(kind,)] = violation
    found |= _broken_tails(problem, evaluation)
    for stream in problem.streams:
        for key in _broken_rules(problem, stream, plan):
            found[key] = None
    return found


def _broken_tails(problem: Problem, evaluation: Evaluation) -> dict[Key, Violation | None]:
    """Return the deadlines on percentiles that a plan breaks, each with its index."""
    found: dict[Key, Violation | None] = {}
    for price in evaluation.streams:
        places = {
            tail.statistic: index
            for index, tail in enumerate(problem.stream[price.name].tail_deadlines)
        }
        for deadline in price.deadlines:
            value, limit = deadline.value_seconds, deadline.limit_seconds
            index = places.get(deadline.statistic)
            if index is not None and value > limit * (1 + RELATIVE_TOLERANCE):
                found["tail deadline", price.name, index] = Violation(
                    kind="tail deadline",
                    place=f"stream {price.name}",
                    message=deadline.statistic,
                    value=value,
                    limit=limit,
                )
    return found


def _broken_rules(problem: Problem, stream: Stream, plan: Plan) -> list[Key]:
    network = problem.network[stream.network]
    found: list[Key] = []
    for route in plan.routes[stream.name]:
        used = dict(zip((layer.name for layer in network.layers), route.devices, strict=True))

        def covered(rule: LayerRule, used: dict[str, str] = used) -> list[str]:
            return list(used.values()) if rule.layers is None else [used[x] for x in rule.layers]

        for index, pin in enumerate(stream.pins):
            if any(device not in pin.devices for device in covered(pin)):
                found.append(("pin", stream.name, index))
        for index, ban in enumerate(stream.bans):
            if any(device in ban.devices for device in covered(ban)):
                found.append(("ban", stream.name, index))
        for index, group in enumerate(stream.together):
            if len({used[name] for name in group}) > 1:
                found.append(("together", stream.name, index))
        if problem.contiguous and quotient_cycle(network, route.devices):
            found.append(("contiguous",))
    return found


def keys(items: tuple[Item, ...] | list[Item]) -> frozenset[Key]:
    """Return the keys of items."""
    return frozenset(item.key for item in items)
