"""The dumbest possible search under load: every plan of whole streams, priced by `evaluate`.

And waits rounded to levels, written from what levels mean and not from the program that has them.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

from edgeplan.model.evaluate import evaluate, route_price, with_tolerance
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import Queue, QueueKey, Wait, Waits, queues, wait_factor
from edgeplan.solvers.route_lists import batched_routes

Side = Literal["plan", "bound"]


class Levels(Protocol):
    """What levels are: see `edgeplan.model.formulation.queueing.levels`."""

    @property
    def waits(self) -> Mapping[QueueKey, tuple[float, ...]]: ...

    @property
    def boxes(self) -> Mapping[QueueKey, tuple[tuple[float, ...], tuple[float, ...]]]: ...

    @property
    def decays(self) -> Mapping[QueueKey, tuple[float, ...]]: ...


def counted(problem: Problem, routes: Mapping[str, tuple[Route, ...]]) -> Iterator[Plan]:
    """Every plan of some routes: all numbers of replicas of the devices that are on."""
    on = {device for taken in routes.values() for route in taken for device in route.devices}
    free = [d for d in problem.devices if d.name in on and len(d.replica_range) > 1]
    for counts in itertools.product(*(device.replica_range for device in free)):
        yield Plan(
            routes=routes,
            replicas={device.name: count for device, count in zip(free, counts, strict=True)},
        )


def whole_plans(problem: Problem) -> Iterator[Plan]:
    """Every plan with one route per stream: all devices, batches and numbers of replicas."""
    names = [stream.name for stream in problem.streams]
    lists = [list(batched_routes(problem, stream)) for stream in problem.streams]
    for pick in itertools.product(*lists):
        yield from counted(
            problem, {name: (route,) for name, route in zip(names, pick, strict=True)}
        )


def crowd(problem: Problem, plan: Plan) -> dict[QueueKey, Queue]:
    """The queues of a plan."""
    prices = {
        stream.name: tuple(
            route_price(problem, stream, route) for route in plan.routes[stream.name]
        )
        for stream in problem.streams
    }
    return queues(problem, plan, prices)


def interval(levels: tuple[float, ...], value: float, top: float) -> tuple[float, float]:
    """The levels around a value: 0 below all of them, ``top`` above."""
    at = bisect.bisect_left(levels, value)
    return (levels[at - 1] if at else 0.0), (levels[at] if at < len(levels) else top)


def rounded_wait(problem: Problem, key: QueueKey, queue: Queue, levels: Levels, side: Side) -> Wait:
    """A queue's wait and decay as the program knows them.

    The mean wait between the levels around it, the upper one in the plan program and the lower
    in the bound program. With one queue for several replicas the levels are those of utilisation
    and second moment. The decay: the level below in the plan program, above in the other.
    """
    if queue.dispatch == "shared" and queue.replicas > 1:
        cap = problem.device[key[1]].utilisation_cap
        loads, moments = levels.boxes.get(key, ((), ()))
        below, above = interval(tuple(load for load in loads if load < cap), queue.utilisation, cap)
        few, many = interval(moments, queue.moments, math.inf)
        low = few * wait_factor(queue.replicas, "shared", below)
        # An empty queue waits for nothing however many might come.
        factor = wait_factor(queue.replicas, "shared", above)
        high = math.inf if math.isinf(many) else many * factor
    else:
        low, high = interval(levels.waits.get(key, ()), queue.mean_wait_seconds, math.inf)
    known = tuple(reversed(levels.decays.get(key, ())))
    slow, fast = 0.0, math.inf
    for level in known:
        if level <= queue.decay_per_second:
            slow = level
        else:
            fast = level
            break
    return Wait(high, slow) if side == "plan" else Wait(low, fast)


def rounded(problem: Problem, plan: Plan, levels: Levels, side: Side) -> dict[QueueKey, Wait]:
    """The waits of a plan as the program knows them."""
    return {
        key: rounded_wait(problem, key, queue, levels, side)
        for key, queue in crowd(problem, plan).items()
    }


def price_with(problem: Problem, plan: Plan, waits: Waits | None = None) -> float:
    """The objective of a plan; ``inf`` where it breaks a limit or waits without end."""
    found = evaluate(problem, plan, waits=waits)
    if not found.feasible:
        return math.inf
    endless = any(math.isinf(load.wait_seconds or 0.0) for load in (*found.devices, *found.links))
    return math.inf if endless else found.objective


@dataclass
class Least:
    """The least price of all plans: with the true waits, and rounded up and down."""

    exact: float = math.inf
    plan: float = math.inf
    bound: float = math.inf
    plans: int = 0
    best: Plan | None = None


def least(problem: Problem, levels: Levels | None = None) -> Least:
    """Price every plan.

    The waits are rounded to the levels of the problem that solvers search (`with_tolerance`): the
    top level of a box is the cap.
    """
    found = Least()
    loose = with_tolerance(problem)
    for plan in whole_plans(problem):
        found.plans += 1
        price = price_with(problem, plan)
        if price < found.exact:
            found.exact, found.best = price, plan
        if levels is None:
            continue
        loaded = crowd(problem, plan)
        for side in ("plan", "bound"):
            waits = {
                key: rounded_wait(loose, key, queue, levels, side) for key, queue in loaded.items()
            }
            price = price_with(problem, plan, waits)
            setattr(found, side, min(getattr(found, side), price))
    return found


def drawn_levels(problem: Problem, draw: Random) -> dict[str, dict[QueueKey, object]]:
    """Levels near the waits of some random plans: of none to four each, by kind."""
    lists = {s.name: list(batched_routes(problem, s)) for s in problem.streams}
    seen: list[dict[QueueKey, Queue]] = []
    for _ in range(6):
        if all(lists.values()):
            routes = {name: (draw.choice(routes),) for name, routes in lists.items()}
            plans = list(counted(problem, routes))
            seen.append(crowd(problem, draw.choice(plans)))

    def near(values: list[float]) -> tuple[float, ...]:
        usable = sorted({v for v in values if v > 0 and math.isfinite(v)})
        count = min(draw.randrange(5), len(usable))
        return tuple(sorted(v * draw.uniform(0.7, 1.4) for v in draw.sample(usable, count)))

    keys = sorted({key for queues_ in seen for key in queues_})
    waits: dict[QueueKey, object] = {}
    boxes: dict[QueueKey, object] = {}
    decays: dict[QueueKey, object] = {}
    for key in keys:
        here = [queues_[key] for queues_ in seen if queues_[key].jobs]
        waits[key] = near([queue.mean_wait_seconds for queue in here])
        boxes[key] = (
            tuple(load for load in near([queue.utilisation for queue in here]) if load < 1),
            near([queue.moments for queue in here]),
        )
        decays[key] = tuple(reversed(near([queue.decay_per_second for queue in here])))
    return {"waits": waits, "boxes": boxes, "decays": decays}


# --- fractions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixture:
    """Routes of each stream, and how many parts of a whole each takes."""

    problem: Problem
    routes: tuple[tuple[Route, ...], ...]
    shares: tuple[tuple[float, ...], ...]

    def taken(self) -> dict[str, tuple[Route, ...]]:
        """The routes with their fractions."""
        return {
            stream.name: tuple(
                dataclasses.replace(route, fraction=share)
                for route, share in zip(routes, shares, strict=True)
            )
            for stream, routes, shares in zip(
                self.problem.streams, self.routes, self.shares, strict=True
            )
        }

    def price(self) -> tuple[float, Plan | None]:
        """The best with any numbers of replicas."""
        found: tuple[float, Plan | None] = (math.inf, None)
        for plan in counted(self.problem, self.taken()):
            price = price_with(self.problem, plan)
            if price < found[0]:
                found = (price, plan)
        return found

    def neighbours(self, step: float) -> Iterator[Mixture]:
        """Mixtures in which a stream's routes have a little more or less."""
        for at, shares in enumerate(self.shares):
            for one, other in itertools.permutations(range(len(shares)), 2):
                moved = list(shares)
                moved[one], moved[other] = moved[one] + step, moved[other] - step
                if moved[other] > 1e-9:
                    changed = (*self.shares[:at], tuple(moved), *self.shares[at + 1 :])
                    yield dataclasses.replace(self, shares=changed)


def simplex(parts: int, count: int) -> Iterator[tuple[float, ...]]:
    """All ways to deal a whole of ``parts`` parts to ``count`` routes, none empty."""
    for cuts in itertools.combinations(range(1, parts), count - 1):
        edges = (0, *cuts, parts)
        yield tuple((b - a) / parts for a, b in itertools.pairwise(edges))


def mixtures(problem: Problem, parts: int) -> Iterator[Mixture]:
    """Every plan in which streams are dealt in steps of 1/parts, each over as many as it may."""
    options = []
    for stream in problem.streams:
        routes = list(batched_routes(problem, stream))
        options.append(
            [
                (taken, shares)
                for count in range(1, stream.route_limit + 1)
                for taken in itertools.combinations(routes, count)
                for shares in simplex(parts, count)
            ]
        )
    for pick in itertools.product(*options):
        yield Mixture(problem, tuple(taken for taken, _ in pick), tuple(s for _, s in pick))


def count_mixtures(problem: Problem, parts: int) -> int:
    """How many `mixtures` there are, at most, with numbers of replicas."""
    total = math.prod(len(device.replica_range) for device in problem.devices)
    for stream in problem.streams:
        routes = len(list(batched_routes(problem, stream)))
        total *= sum(
            math.comb(routes, count) * math.comb(parts - 1, count - 1)
            for count in range(1, stream.route_limit + 1)
        )
    return total


def best_mixture(problem: Problem, parts: int, *, refined: int = 4) -> tuple[float, Plan | None]:
    """The best of a simplex grid, the ``refined`` best routes of it with ever smaller steps."""
    best: dict[tuple[tuple[Route, ...], ...], tuple[float, Mixture]] = {}
    found: tuple[float, Plan | None] = (math.inf, None)
    for mixture in mixtures(problem, parts):
        price, plan = mixture.price()
        if price < found[0]:
            found = (price, plan)
        if price < best.get(mixture.routes, (math.inf, mixture))[0]:
            best[mixture.routes] = (price, mixture)
    for price, mixture in sorted(best.values(), key=lambda pair: pair[0])[:refined]:
        step = 1 / parts / 2
        least_price, least_mixture = price, mixture
        while step > 1e-4:
            tried = [(m.price(), m) for m in least_mixture.neighbours(step)]
            (candidate, plan), near = min(
                tried, key=lambda pair: pair[0][0], default=((math.inf, None), least_mixture)
            )
            if candidate < least_price:
                least_price, least_mixture = candidate, near
                if candidate < found[0]:
                    found = (candidate, plan)
            else:
                step /= 2
    return found


FEATURES = {
    "with ranges of replicas": lambda p: any(len(d.replica_range) > 1 for d in p.devices),
    "shared dispatch": lambda p: any(
        d.dispatch == "shared" and d.replica_range[-1] > 1 for d in p.devices
    ),
    "percentile deadlines": lambda p: any(s.tail_deadlines for s in p.streams),
    "queues at links": lambda p: any(p.loads(link) for link in p.links),
    "batches": lambda p: any(len(p.batch_sizes(s)) > 1 for s in p.streams),
    "bursts": lambda p: any(s.arrival_cv2 != 1 for s in p.streams),
    "mean deadlines": lambda p: any(math.isfinite(s.deadline_seconds) for s in p.streams),
    "origins that wait": lambda p: any(s.waits for s in p.streams),
    "memory": lambda p: any(math.isfinite(d.memory_bytes) for d in p.devices),
    "power or money": lambda p: math.isfinite(
        min(
            p.budgets.power_watts,
            p.budgets.dollars_per_hour,
            *(d.power_budget_watts for d in p.devices),
        )
    ),
}
"""What a loaded problem may have, to be counted."""
