"""The plans to beat: all at the origin, all on one cloud device, best single cut, greedy.

Baselines are honest: each is what a sensible person would try first, and each is priced by the
evaluator. One that breaks a limit is kept, with the limit in words.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from edgeplan.model.evaluate import Evaluation, evaluate, route_price
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Plan, Route, whole
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.route_costs import on_objective, route_loads, route_objective
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "1"

_CANDIDATES = 2000
"""Above so many single cuts over all pairs of devices, only those at the origin are tried."""
_MOST_VISITS = 1_000_000
"""The best cut is sought among so many routes that their layers are not more in all."""
_VISITS = 200_000
"""… and of these so many that their layers are not more in all."""
_TRIES = 300
"""The greedy rule gives a stream up after so many routes that do not fit."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A plan to beat.

    Parameters
    ----------
    name
        ``all-at-origin``, ``cloud:<device>``, ``best-cut`` or ``greedy``.
    plan
        ``None`` where the rule finds nothing that could run.
    evaluation
        Its price by the evaluator; ``None`` without a plan.
    why
        In words, why it is not feasible: the first limit that it breaks. Empty where it is.
    """

    name: str
    plan: Plan | None
    evaluation: Evaluation | None
    why: str

    @property
    def feasible(self) -> bool:
        """Whether it is a plan that breaks no limit."""
        return self.evaluation is not None and self.evaluation.feasible


def baselines(problem: Problem) -> tuple[Baseline, ...]:
    """Return every baseline of a problem, priced.

    Parameters
    ----------
    problem
        The problem.

    Returns
    -------
    tuple of Baseline
        ``all-at-origin``; ``cloud:<device>`` for each device of the tier ``cloud``;
        ``best-cut``; ``greedy``.
    """
    return (
        all_at_origin(problem),
        *all_on_one_cloud(problem),
        best_cut(problem),
        greedy(problem),
    )


def all_at_origin(problem: Problem) -> Baseline:
    """Run each stream whole where its requests arise."""
    origins = {stream.name: stream.origin for stream in problem.streams}
    return _priced("all-at-origin", problem, whole(problem, origins))


def all_on_one_cloud(problem: Problem) -> tuple[Baseline, ...]:
    """Run all streams whole on the same cloud device, for each device of that tier."""
    return tuple(
        _priced(
            f"cloud:{device.name}",
            problem,
            whole(problem, {stream.name: device.name for stream in problem.streams}),
        )
        for device in problem.devices
        if device.tier == "cloud"
    )


def best_cut(problem: Problem) -> Baseline:
    """Cut each stream once where that is best for the stream alone (Neurosurgeon's rule).

    The first part runs at the origin and the rest on one other device; both extremes (no cut)
    count. Best is the least that the stream adds to the objective, among the routes that can
    run under the stream's own rules and, where there are any, that meet its deadline. Streams
    do not see each other, so that the whole may break limits. Of the cuts of very many layers
    an even sample is taken.

    References
    ----------
    Kang et al., "Neurosurgeon: collaborative intelligence between the cloud and mobile edge",
    ASPLOS 2017: the partition point with the best latency or energy is chosen per network.
    """
    routes = {}
    for stream in problem.streams:
        layers = len(problem.network[stream.network].layers)
        every = 1 + len(problem.devices) * layers * layers // _MOST_VISITS
        cuts = _cuts_from(problem, stream, stream.origin, every)
        candidates = _permitted(problem, stream, cuts)
        if not candidates:
            return _nothing("best-cut", stream, "no single cut")
        candidates.sort(key=lambda c: (c.latency > stream.deadline_seconds, _alone(problem, c)))
        routes[stream.name] = (Route(devices=candidates[0].devices),)
    return _priced("best-cut", problem, Plan(routes=routes))


def greedy(problem: Problem) -> Baseline:
    """Let the streams choose in turn, the heaviest first, each the cheapest route that fits.

    Load is rate × the least compute time of the stream's routes. Routes are whole devices and
    single cuts between any two devices; a layer that may not run where such a route wants it
    stays where the layer before it ran. Cheapest is the least increase of the objective, with
    what newly used devices cost for being on. A route fits where the streams placed so far
    break no limit by the evaluator. A stream that nothing fits takes its cheapest route, and
    the baseline is not feasible.
    """
    return _greedy(problem, lambda: None)


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The greedy rule as a solver: a plan at once, without a bound.

    Parameters
    ----------
    time_limit
        Seconds of wall time; ``None`` for none.
    """

    name: ClassVar[str] = "greedy"

    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say that it is always there."""
        return Availability(available=True, version=VERSION, install="")

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return nothing: every problem is supported (streams are not split)."""
        return ()

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Build a plan by the greedy rule; a feasible ``start`` that is better is kept."""
        watch = Watch(self.time_limit, stop)
        best: Plan | None = None
        price: float | None = None
        message = ""
        ended = Stop.COMPLETED

        def offer(plan: Plan, evaluation: Evaluation) -> None:
            nonlocal best, price
            if evaluation.feasible and (price is None or evaluation.objective < price):
                best, price = plan, evaluation.objective
                if on_progress is not None:
                    seconds = watch.seconds
                    on_progress(Progress(seconds=seconds, incumbent=price, bound=None))

        if start is not None:
            offer(start, evaluate(problem, start))
        try:
            built = _greedy(problem, watch.check)
            message = built.why
            if built.plan is not None and built.evaluation is not None:
                offer(built.plan, built.evaluation)
        except EndedError as reason:
            ended = reason.stop
        except KeyboardInterrupt:
            ended = Stop.INTERRUPTED
        return SolverResult(
            stop=ended,
            plan=best,
            claimed_objective=price,
            bound=None,
            infeasible=False,
            certificate=None,
            solver=f"{self.name} {VERSION}",
            seconds=watch.seconds,
            message=message,
        )


@dataclass(frozen=True, kw_only=True)
class _Candidate:
    """A route with its price for the stream alone."""

    devices: tuple[str, ...]
    objective: float
    latency: float
    compute: float
    loads: dict[str, float]


def _greedy(problem: Problem, watch: Callable[[], None]) -> Baseline:
    options: dict[str, list[_Candidate]] = {}
    load: dict[str, float] = {}
    for stream in problem.streams:
        watch()
        candidates = _permitted(problem, stream, _routes(problem, stream), watch)
        if not candidates:
            return _nothing("greedy", stream, "no route that was tried")
        options[stream.name] = candidates
        load[stream.name] = stream.rate_per_second * min(c.compute for c in candidates)

    placed: list[Stream] = []
    routes: dict[str, tuple[Route, ...]] = {}
    on: set[str] = set()
    loads: dict[str, float] = {}
    for stream in sorted(problem.streams, key=lambda s: -load[s.name]):
        placed.append(stream)
        candidates = options[stream.name]
        chosen = _cheapest_that_fits(problem, placed, routes, on, loads, candidates, watch)
        routes[stream.name] = (Route(devices=chosen.devices),)
        on.update(chosen.devices)
        for name, seconds in chosen.loads.items():
            loads[name] = loads.get(name, 0.0) + seconds
    return _priced("greedy", problem, Plan(routes=routes))


def _cheapest_that_fits(
    problem: Problem,
    placed: list[Stream],
    routes: dict[str, tuple[Route, ...]],
    on: set[str],
    loads: dict[str, float],
    candidates: list[_Candidate],
    watch: Callable[[], None],
) -> _Candidate:
    """Return the last placed stream's route; its cheapest where none fits."""
    price_on = {device.name: on_objective(problem, device) for device in problem.devices}
    period_price = problem.objective.period_price

    def increase(candidate: _Candidate) -> float:
        loaded = {name: load + candidate.loads.get(name, 0.0) for name, load in loads.items()}
        period = max((candidate.loads | loaded).values(), default=0.0)
        switched = math.fsum(price_on[d] for d in set(candidate.devices) - on)
        return candidate.objective + switched + period_price * period

    ordered = sorted(candidates, key=increase)
    # Limits are per unit of time or per stream: those of the streams so far do not depend on
    # the streams to come.
    sofar = dataclasses.replace(problem, streams=tuple(placed))
    for candidate in ordered[:_TRIES]:
        watch()
        plan = Plan(routes={**routes, placed[-1].name: (Route(devices=candidate.devices),)})
        if evaluate(sofar, plan).feasible:
            return candidate
    return ordered[0]


def _alone(problem: Problem, candidate: _Candidate) -> float:
    """Return what a route adds to the objective by itself, the period of its loads included."""
    period = max(candidate.loads.values(), default=0.0)
    return candidate.objective + problem.objective.period_price * period


def _permitted(
    problem: Problem,
    stream: Stream,
    routes: Iterator[tuple[str, ...]],
    watch: Callable[[], None] = lambda: None,
) -> list[_Candidate]:
    """Price the distinct routes that can run under the stream's own rules."""
    allowed = [frozenset(devices) for devices in problem.allowed(stream)]
    network, groups = problem.network[stream.network], problem.groups(stream)
    found: dict[tuple[str, ...], _Candidate] = {}
    for devices in routes:
        # The cheapest test first: there may be thousands of routes of hundreds of layers.
        if any(devices[layer] != devices[group[0]] for group in groups for layer in group):
            continue
        if devices in found or not all(map(operator.contains, allowed, devices)):
            continue
        if problem.contiguous and quotient_cycle(network, devices):
            continue
        watch()
        price = route_price(problem, stream, Route(devices=devices))
        if math.isfinite(price.latency_seconds):
            found[devices] = _Candidate(
                devices=devices,
                objective=route_objective(problem, stream, price),
                latency=price.latency_seconds,
                compute=math.fsum(stage.seconds for stage in price.stages),
                loads=route_loads(problem, stream, price),
            )
    return list(found.values())


def _cuts_from(
    problem: Problem, stream: Stream, first: str, every: int = 1
) -> Iterator[tuple[str, ...]]:
    """Yield the routes that begin on a device and are cut at most once, extremes included.

    Of the cuts only ``every`` so-many-th is taken.
    """
    count = len(problem.network[stream.network].layers)
    for device in problem.devices:
        if device.name != first:
            for cut in range(0, count, every):
                yield (first,) * cut + (device.name,) * (count - cut)
    yield (first,) * count


def _routes(problem: Problem, stream: Stream) -> Iterator[tuple[str, ...]]:
    """Yield whole devices and single cuts, mended where a layer may not run as they want.

    Between any two devices where these are few, else from the origin only; of very many cuts
    an even sample.
    """
    count = len(problem.network[stream.network].layers)
    names = [device.name for device in problem.devices]
    firsts = names if len(names) ** 2 * count <= _CANDIDATES else [stream.origin]
    every = 1 + len(firsts) * len(names) * count * count // _VISITS
    allowed = [(frozenset(devices), devices[:1]) for devices in problem.allowed(stream)]
    leader = {layer: group[0] for group in problem.groups(stream) for layer in group[1:]}
    for first in firsts:
        for route in _cuts_from(problem, stream, first, every):
            mended = _mended(route, allowed, leader, stream.origin)
            if mended is not None:
                yield mended


def _mended(
    route: tuple[str, ...],
    allowed: list[tuple[frozenset[str], tuple[str, ...]]],
    leader: dict[int, int],
    origin: str,
) -> tuple[str, ...] | None:
    """Move each layer that may not run where it is to the device before it, or the origin.

    A layer that shares a device goes where the first of its group is.
    """
    devices: list[str] = []
    previous = origin
    for layer, (here, first) in enumerate(allowed):
        device = devices[leader[layer]] if layer in leader else route[layer]
        if device not in here:
            if not first:
                return None
            device = previous if previous in here else origin if origin in here else first[0]
        devices.append(device)
        previous = device
    return tuple(devices)


def _priced(name: str, problem: Problem, plan: Plan) -> Baseline:
    evaluation = evaluate(problem, plan)
    why = ""
    if evaluation.violations:
        first, *others = evaluation.violations
        why = f"{first.kind}, {first.place}: {first.message}"
        if others:
            why += f" (and {len(others)} more)"
    return Baseline(name=name, plan=plan, evaluation=evaluation, why=why)


def _nothing(name: str, stream: Stream, what: str) -> Baseline:
    why = f"stream {stream.name}: {what} can run under its pins, bans, privacy rule and links"
    return Baseline(name=name, plan=None, evaluation=None, why=why)
