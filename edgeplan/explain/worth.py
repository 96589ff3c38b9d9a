"""What more memory, bandwidth, time or money would be worth: by solving again.

Prices of a mixed-integer program are no duals: one more byte is worth nothing until a whole layer
fits. So each limit is raised by a stated step, one at a time, and the problem is solved again to
its optimum; the difference between two proved (or claimed) optima is what the step is worth.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from edgeplan.explain.amounts import bandwidths, with_amount
from edgeplan.explain.checks import solver_for
from edgeplan.explain.items import Item, list_items
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.model.validation import MOST_REPLICAS
from edgeplan.solvers import registry
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.result import SolverResult, Stop
from edgeplan.solvers.search import search

GAP = 1e-6
"""Relative gap of each optimum; a difference within it counts as none."""
LOADED_GAP = 1e-4
"""The same where requests wait, since levels of waiting are refined step by step."""

_MOST = 40
"""Most limits that are raised; the least used are left out."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What raising a limit is worth.

    Parameters
    ----------
    item
        The limit, or the bandwidth of a link.
    raised
        What it was raised to (a minimum rate: lowered to), in the item's unit.
    objective
        The optimum then.
    gain
        How much less than the optimum as the problem stands; 0 within the gap.
    """

    item: Item
    raised: float
    objective: float
    gain: float

    @property
    def step(self) -> float:
        """By how much the limit was changed, in its unit."""
        assert self.item.amount is not None
        return abs(self.raised - self.item.amount)

    @property
    def per_unit(self) -> float:
        """The gain per unit (second, byte, watt, …), on average over the step."""
        return self.gain / self.step if self.step else 0.0


@dataclass(frozen=True, kw_only=True)
class WorthResult:
    """What raised limits are worth, and what was not found out.

    Parameters
    ----------
    found
        The worths, the largest gain first.
    left_out
        The limits for which there was no time.
    optimum
        The optimum as the problem stands, which the plan explained may miss; ``None`` where it
        is not known, and then no worth is.
    basis
        How it was found: ``re-solved`` with the solver's name and what its optima stand on.
    message
        Why there is nothing, where there is not.
    """

    found: tuple[Worth, ...] = ()
    left_out: tuple[Item, ...] = ()
    optimum: float | None = None
    basis: str = ""
    message: str = ""


def find_worth(
    problem: Problem,
    plan: Plan,
    *,
    order: Mapping[Key, int],
    step: float = 0.1,
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> WorthResult:
    """Raise one limit at a time by a step and solve again.

    Parameters
    ----------
    problem
        The problem.
    plan
        A plan to begin from.
    order
        By key of a limit, when its turn comes: the most used first.
    step
        Share of a limit by which it is raised; a utilisation cap at most to nearly 1, a number
        of replicas by at least one.
    time_limit
        Seconds for all, ``None`` for no limit.
    stop
        Setting it leaves out the rest.
    threads, seed
        Of the solvers.
    on_progress
        Told in words how far it is.
    """
    ends = math.inf if time_limit is None else time.monotonic() + time_limit
    steps = sorted(_raised(problem, step), key=lambda s: order.get(s[0].key, len(order)))
    every = [item for item, _, _ in steps]
    gap = LOADED_GAP if problem.load_features else GAP
    start = plan if evaluate(problem, plan).feasible else None

    def solve(changed: Problem) -> SolverResult | None:
        if stop is not None and stop.is_set():
            return None
        solver = solver_for(changed) if changed.load_features else registry.AUTO
        if solver is None:
            return None
        left = ends - time.monotonic()
        if left <= 0:
            return None
        result, _ = search(
            changed,
            solver=solver,
            witness=None,
            start=start,
            time_limit=None if math.isinf(left) else left / 2,
            gap=gap,
            threads=threads,
            seed=seed,
            on_progress=None,
            stop=stop,
        )
        return result if result.stop is Stop.COMPLETED else None

    if solver_for(problem) is None:
        reason = "; ".join(problem.load_features)
        return WorthResult(left_out=tuple(every), message=f"no solver here knows that {reason}")
    if on_progress is not None:
        on_progress("solving again as it stands")
    now = solve(problem)
    if now is None:
        return WorthResult(left_out=tuple(every), message="the problem was not solved to its end")
    if now.plan is None:
        return WorthResult(
            left_out=tuple(every),
            message="the problem has no plan: edgeplan explain INSTANCE says why",
        )
    optimum = evaluate(problem, now.plan).objective
    start = now.plan
    found: list[Worth] = []
    left_out: list[Item] = []
    for number, (item, raised, changed) in enumerate(steps):
        if on_progress is not None:
            on_progress(f"solving again with {item.item} raised ({number + 1} of {len(steps)})")
        result = solve(changed) if number < _MOST else None
        if result is None or result.plan is None:
            left_out.append(item)
            continue
        objective = evaluate(changed, result.plan).objective
        gain = optimum - objective
        found.append(
            Worth(
                item=item,
                raised=raised,
                objective=objective,
                gain=gain if gain > 2 * gap * abs(optimum) else 0.0,
            )
        )
    certificate = now.certificate
    stands = "" if certificate is None else f", {certificate.basis}"
    return WorthResult(
        found=tuple(sorted(found, key=lambda worth: -worth.gain)),
        left_out=tuple(left_out),
        optimum=optimum,
        basis=f"re-solved by {now.solver}{stands}",
    )


def _raised(problem: Problem, step: float) -> Iterator[tuple[Item, float, Problem]]:
    """Yield each number that may be raised: the item, its new value, the problem with it."""
    for item in list_items(problem):
        if item.amount is None or item.kind == "rate":
            continue
        more = _tidy(item.amount * (1 + step))
        if item.unit == "count":
            more = max(math.floor(more), item.amount + 1)
            if more - problem.device[str(item.key[1])].replicas >= MOST_REPLICAS:
                continue
        if item.unit == "share":
            more = min(more, (1 + item.amount) / 2 if more >= 1 else more)
        if item.kind == "min rate":
            more = _tidy(item.amount / (1 + step))
        yield item, more, with_amount(problem, item, more)
    for item in bandwidths(problem):
        assert item.amount is not None
        more = _tidy(item.amount * (1 + step))
        yield item, more, with_amount(problem, item, more)


def _tidy(value: float) -> float:
    """Return a value without the rounding error of its last digits."""
    return float(f"{value:.12g}")
