"""What more memory, bandwidth, time or money would be worth: by solving again.

Prices of a mixed-integer program are no duals: one more byte is worth nothing until a whole layer
fits. So each limit is raised by a stated step, one at a time, and the problem is solved again to
its optimum; the difference between two proved (or claimed) optima is what the step is worth.

Most limits are worth nothing. Where several are raised together and the optimum stays what it was,
each of them alone is worth nothing, too: to raise a limit takes away no plan and makes none dearer.
So limits that the plan is far from are raised by kind first, and halves of a kind only where it
gains. (A fixed number of replicas is no limit in this sense: one more is paid for.)
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeplan.explain.amounts import TwoWay, as_stated, bandwidths, directions, with_amount
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

_FULL = 0.99
"""Limits of which a plan uses so much are raised one by one, before the others."""


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
        The optimum then; where it was raised with others and that gained nothing, the optimum
        as the problem stands.
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
    shares: Mapping[Key, float],
    step: float = 0.1,
    two_way: TwoWay = (),
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
    shares
        By key of a limit, how much of it the plan uses: those used most come first.
    step
        Share of a limit by which it is raised; a utilisation cap at most to nearly 1, a number
        of replicas by at least one.
    two_way
        Links with one bandwidth for both directions: it is raised for both.
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
    steps = sorted(_raised(problem, step, two_way), key=lambda s: -_share(shares, s[0]))
    every = [item for item, _ in steps]
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
    groups = _groups(problem, steps, shares)
    while groups:
        group = groups.pop()
        told = len(found) + len(left_out)
        if on_progress is not None:
            words = group[0][0].item if len(group) == 1 else f"{len(group)} limits"
            on_progress(f"solving again with {words} raised ({told + 1} of {len(steps)})")
        changed = problem
        for item, raised in group:
            changed = with_amount(changed, item, raised)
        result = solve(changed)
        if result is None or result.plan is None:
            left_out += [item for item, _ in group]
            continue
        objective = evaluate(changed, result.plan).objective
        gain = optimum - objective
        if len(group) > 1 and gain > 2 * gap * abs(optimum):
            middle = len(group) // 2
            groups += [group[middle:], group[:middle]]
        elif len(group) > 1:
            found += [Worth(item=i, raised=r, objective=optimum, gain=0.0) for i, r in group]
        else:
            ((item, raised),) = group
            gain = gain if gain > 2 * gap * abs(optimum) else 0.0
            found.append(Worth(item=item, raised=raised, objective=objective, gain=gain))
    certificate = now.certificate
    stands = "" if certificate is None else f", {certificate.basis}"
    return WorthResult(
        found=tuple(sorted(found, key=lambda worth: -worth.gain)),
        left_out=tuple(left_out),
        optimum=optimum,
        basis=f"re-solved by {now.solver}{stands}",
    )


_Step = tuple[Item, float]
"""A number that may be raised, and its new value."""


def _groups(
    problem: Problem, steps: Sequence[_Step], shares: Mapping[Key, float]
) -> list[Sequence[_Step]]:
    """Return which limits are raised together, those whose turn is first at the end."""
    alone: list[Sequence[_Step]] = []
    kinds: dict[str, list[_Step]] = {}
    for step in steps:
        item = step[0]
        paid = item.kind == "replicas" and problem.device[str(item.key[1])].max_replicas is None
        felt = 0.0 if item.kind == "bandwidth" else _FULL  # a faster link saves at once
        if paid or _share(shares, item) > felt:
            alone.append([step])
        else:
            kinds.setdefault(item.kind, []).append(step)
    return [*alone, *kinds.values()][::-1]


def _share(shares: Mapping[Key, float], item: Item) -> float:
    """Return how much of a limit is used; of a bandwidth, how much of its link's cap on load."""
    if item.kind not in ("bandwidth", "link capacity"):
        return shares.get(item.key, 0.0)
    return max(shares.get(("link capacity", *ends), 0.0) for ends in directions(item))


def _raised(problem: Problem, step: float, two_way: TwoWay) -> Iterator[_Step]:
    """Yield each number that may be raised, with its new value."""
    for limit in list_items(problem):
        item = as_stated(limit, two_way) if limit.kind == "link capacity" else limit
        if item is None or item.amount is None or item.kind == "rate":
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
        yield item, more
    for item in bandwidths(problem, two_way):
        assert item.amount is not None
        yield item, _tidy(item.amount * (1 + step))


def _tidy(value: float) -> float:
    """Return a value without the rounding error of its last digits."""
    return float(f"{value:.12g}")
