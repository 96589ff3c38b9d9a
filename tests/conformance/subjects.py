"""Whom the suite examines, and the random problems that it does it with."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from edgeplan.instances.generators import KINDS, PIPELINE, Kind, random_problem
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers import registry
from edgeplan.solvers.baselines import baselines

HEURISTICS = frozenset({"greedy"})
"""They need not find the optimum, and claim no bound."""
ORACLE = "enumerate"
"""Whose answers the others must give."""
GENERAL = frozenset({"highs", "cp-sat", "scip", "cbc", "gurobi", "queueing", ORACLE})
"""Not for one class of problem."""
SOLVERS = registry.available()
EXACT = tuple(name for name in SOLVERS if name not in HEURISTICS)
OTHERS = tuple(name for name in EXACT if name != ORACLE)
LOADED = tuple(name for name in OTHERS if name == "queueing")
"""Those, but the oracle, that know queues, numbers of replicas and batches."""


def supports(solver: str, problem: Problem) -> bool:
    """Whether a solver says that it supports a problem."""
    return not registry.get(solver).unsupported(problem)


def supporters(*problems: Problem) -> list[str]:
    """The exact solvers that support all of some problems."""
    return [name for name in EXACT if all(supports(name, problem) for problem in problems)]


def cheap(number: int, *problems: Problem) -> str:
    """One solver that supports all of some problems, and is quick on small ones.

    A special case where there is one (in turn, by the number, where there are several), else
    the registry's choice for the first, or the enumerator where that fits the first only.
    """
    special = [
        name
        for name in OTHERS
        if name not in GENERAL and all(supports(name, problem) for problem in problems)
    ]
    if special:
        return special[number % len(special)]
    chosen, _ = registry.choose(problems[0])
    return chosen if all(supports(chosen, problem) for problem in problems) else ORACLE


def best_baseline(problem: Problem) -> Plan | None:
    """The plan that the planner would begin from."""
    known = [baseline for baseline in baselines(problem) if baseline.feasible]
    best = min(known, key=lambda baseline: baseline.evaluation.objective, default=None)
    return None if best is None else best.plan


def difference(one: float, other: float) -> float:
    """Relative difference; of prices that are both tiny, relative to 1e-12."""
    if one == other:
        return 0.0
    if not (math.isfinite(one) and math.isfinite(other)):
        return math.inf
    return abs(one - other) / max(abs(one), abs(other), 1e-12)


CLASSES = (
    "mixed", "mixed", "mixed", "mixed",
    "throughput", "throughput", "throughput",
    "pipeline", "lone chain", "loose pair",
)  # fmt: skip


@functools.lru_cache(maxsize=512)
def drawn(seed: int, number: int) -> Problem:
    """One of a cycle of classes of problem, small enough to enumerate, none split.

    ``mixed`` and ``throughput`` go through all kinds, cost forms and sizes, tight and not;
    ``pipeline``, ``lone chain`` (one stream) and ``loose pair`` (two devices, nothing coupled)
    are what some solvers are for, and larger.
    """
    turn, place = divmod(number, len(CLASSES))
    what = CLASSES[place]
    if what == "pipeline":
        return random_problem(
            seed,
            kind=PIPELINE,
            layers=3 + turn % 4,
            devices=2 + turn % 3,
            tight=turn % 4 != 3,
            contiguous=turn % 3 != 2,
        )
    if what == "lone chain":
        return random_problem(
            seed,
            kind="chain",
            layers=4 + turn % 3,
            devices=2 + turn % 3,
            streams=1,
            tight=turn % 4 != 3,
            spans=turn % 2 == 1,
        )
    if what == "loose pair":
        return random_problem(
            seed, kind="two-device", layers=4 + turn % 4, streams=1 + turn % 2, tight=False
        )
    kind: Kind = KINDS[(place + turn) % len(KINDS)]
    return random_problem(
        seed,
        kind=kind,
        layers=3 + turn % 3,
        devices=2 + turn % 2,
        streams=1 + turn % 3,
        tight=turn % 5 != 4,
        spans=turn // 4 % 2 == 1 and kind == "chain",
        pipelined=what == "throughput",
    )


def draws(count: int, first: int = 0) -> Iterator[tuple[str, Problem]]:
    """Problems of every class, with a label that tells how to draw them again."""
    for number in range(count):
        problem = drawn(first + number, number)
        yield f"{problem.name} (drawn({first + number}, {number}))", problem
