"""Small problems and their fronts by brute force: every plan, priced by the evaluator."""

import itertools
import math

from edgeplan.instances.generators import KINDS, PIPELINE, random_problem
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.pareto.objectives import criteria, image
from edgeplan.solvers.route_lists import count_plans, enumerate_routes

CHOICES = (
    ("latency", "energy", "cost"),
    ("latency", "energy"),
    ("energy", "cost"),
    ("latency", "throughput"),
    ("latency", "cost", "throughput"),
    ("latency", "energy", "cost", "throughput"),
)
TOLERANCE = 1e-9
MOST_PLANS = 2_500


def small_problem(seed, least=0):
    """A random problem of whole streams with few plans, and objectives for it.

    Its front has so many points at least, by brute force.
    """
    objectives = CHOICES[seed % len(CHOICES)]
    kinds = [*KINDS, PIPELINE]
    for attempt in range(1000):
        kind = kinds[(seed + attempt) % len(kinds)]
        problem = random_problem(
            1000 * seed + attempt,
            kind=kind,
            layers=2 + seed % 3,
            devices=2 + seed % 2,
            streams=1 + seed % 3,
            tight=seed % 4 == 1,
            contiguous=kind == PIPELINE and seed % 3 == 0,
            pipelined=seed % 5 == 2,
        )
        whole = all(stream.route_limit == 1 for stream in problem.streams)
        few = 4 <= count_plans(problem) <= MOST_PLANS
        if not whole or problem.load_features or not few:
            continue
        if least == 0 or len(brute_force(problem, objectives)) >= least:
            return problem, objectives
    raise AssertionError("no such problem")


def brute_force(problem, objectives, tolerance=TOLERANCE):
    """The non-dominated images of all plans, those that count as one given once."""
    chosen = criteria(objectives)
    images = []
    streams = [list(enumerate_routes(problem, stream)) for stream in problem.streams]
    for picked in itertools.product(*streams):
        plan = Plan(
            routes={
                stream.name: (Route(devices=devices),)
                for stream, devices in zip(problem.streams, picked, strict=True)
            }
        )
        price = evaluate(problem, plan)
        values = image(price, chosen)
        if price.feasible and all(map(math.isfinite, values)):
            images.append(values)
    kept = []
    for y in sorted(set(images)):
        if not any(weakly(x, y, tolerance) for x in kept):
            kept = [x for x in kept if not weakly(y, x, tolerance)]
            kept.append(y)
    return kept


def weakly(x, y, tolerance=TOLERANCE):
    """Whether x is at most y in every value, but for what counts as the same."""
    return all(a <= b + tolerance * max(abs(a), abs(b)) for a, b in zip(x, y, strict=True))


def same(x, y, tolerance=10 * TOLERANCE):
    return all(abs(a - b) <= tolerance * max(abs(a), abs(b)) for a, b in zip(x, y, strict=True))


def differences(found, expected):
    """The images that are missing and those that are too many."""
    missing = [y for y in expected if not any(same(x, y) for x in found)]
    extra = [x for x in found if not any(same(x, y) for y in expected)]
    return missing, extra
