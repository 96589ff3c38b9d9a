"""The terms of a repair: what may give and at what price, and what every repair is made of."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from edgeplan.explain.amounts import TwoWay, statement_of
from edgeplan.explain.edits import Edit, broken_statements, mend
from edgeplan.explain.items import (
    MISSING,
    RULES,
    Item,
    implied_rate,
    list_items,
    list_missing,
)
from edgeplan.explain.without import without
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Elastic, ElasticResult, Key
from edgeplan.solvers.result import Stop

LIMIT_PRICE = 1.0
"""Price of doubling a limit (of halving a minimum rate); less pays in proportion."""
RULE_PRICE = 1.0
"""Price of giving up a pin, a ban, a group of layers or contiguity."""
PRIVACY_PRICE = 10.0
"""Price of letting tagged tensors into a zone that the rule does not name."""
MISSING_PRICE = 10.0
"""Price of a link or a time that is not there."""


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Changes that make a problem feasible.

    Parameters
    ----------
    edits
        The changes.
    price
        Their price before rounding: `LIMIT_PRICE` and the others times what gives.
    bound
        No repair is cheaper than this; ``None`` where that is not known.
    plan
        A plan that is feasible in the mended problem.
    problem
        The mended problem.
    evaluation
        The plan's price there.
    """

    edits: tuple[Edit, ...]
    price: float
    bound: float | None
    plan: Plan
    problem: Problem
    evaluation: Evaluation

    @property
    def cheapest(self) -> bool:
        """Whether no repair is cheaper (by more than rounding)."""
        return self.bound is not None and self.price <= self.bound + 1e-5 * max(1.0, self.price)


@dataclass(frozen=True, kw_only=True)
class RepairResult:
    """What came of the search for a repair.

    Parameters
    ----------
    repair
        The repair, or ``None``.
    stop
        Why the search stopped.
    message
        For people, where there is no repair.
    """

    repair: Repair | None
    stop: Stop
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a repair may change and at what price, and for how long it is looked for.

    Parameters
    ----------
    prices
        By statement that may give.
    fixed
        Statements that must not.
    lacking
        The links and times that may be added.
    two_way
        Links with one statement for both directions: it gives for both at once.
    ends
        When to stop, by ``time.monotonic``; ``inf`` for never.
    stop
        Setting it ends the search with what it has.
    threads, seed
        Of the solvers.
    """

    prices: Mapping[Key, float]
    fixed: frozenset[Key] = frozenset()
    lacking: tuple[Item, ...] = ()
    two_way: TwoWay = ()
    ends: float = math.inf
    stop: threading.Event | None = None
    threads: int = 1
    seed: int = 0

    @classmethod
    def of(
        cls,
        problem: Problem,
        *,
        missing: bool,
        fixed: Collection[Key],
        two_way: TwoWay,
        time_limit: float | None,
        stop: threading.Event | None,
        threads: int,
        seed: int,
    ) -> Terms:
        """Return the terms for a problem; see `edgeplan.explain.find_repair`."""
        lacking = list_missing(problem) if missing else ()
        items = (*list_items(problem), *lacking)
        kept = {statement_of(key, two_way) for key in fixed}
        firm = {item.key for item in items if statement_of(item.key, two_way) in kept}
        return cls(
            prices=prices(items, firm),
            fixed=frozenset(fixed) | firm,
            lacking=lacking,
            two_way=two_way,
            ends=math.inf if time_limit is None else time.monotonic() + time_limit,
            stop=stop,
            threads=threads,
            seed=seed,
        )

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left, ``None`` for no limit."""
        return None if math.isinf(self.ends) else max(0.0, self.ends - time.monotonic())

    @property
    def ended(self) -> bool:
        """Whether the time is up or the user has had enough."""
        return time.monotonic() > self.ends or (self.stop is not None and self.stop.is_set())

    def elastic(
        self, problem: Problem, opened: Problem, stated: Mapping[Key, float]
    ) -> ElasticResult:
        """Solve the elastic program of a problem at some prices; see `Elastic.solve`."""
        same = {
            key: statement_of(key, self.two_way)
            for key in stated
            if statement_of(key, self.two_way) != key
        }
        elastic = Elastic(
            prices=stated,
            time_limit=self.seconds_left,
            threads=self.threads,
            seed=self.seed,
            same=same,
        )
        return elastic.solve(problem, opened=opened, stop=self.stop)

    def added(self, problem: Problem, plan: Plan) -> tuple[Problem, tuple[Edit, ...], float]:
        """Return a problem with what it lacks for a plan to run, the edits and their price."""
        needed = [item for item in self.lacking if _runs_on(problem, plan, item)]
        edits = tuple(
            Edit(
                key=item.key,
                item=item.item,
                place=item.place,
                text_before="missing",
                text_after="a link" if item.kind == "no link" else "a time",
            )
            for item in needed
        )
        price = math.fsum(self.prices[item.key] for item in needed)
        return (without(problem, needed) if needed else problem), edits, price

    def mend(self, problem: Problem, plan: Plan) -> tuple[tuple[Edit, ...], Problem] | None:
        """Return the edits that a plan needs and the problem with them; see `mend`."""
        return mend(problem, plan, self.fixed, self.two_way)

    def nothing(self, found: ElasticResult, otherwise: str) -> RepairResult:
        """Return that there is no repair, with the reason where the elastic program has one."""
        told = otherwise
        if found.infeasible:
            told = "what must not give leaves no plan" if self.fixed else found.message
        return RepairResult(repair=None, stop=found.stop, message=told)


def prices(items: Collection[Item], fixed: Collection[Key] = ()) -> dict[Key, float]:
    """Return the price of each statement that may give."""
    return {
        item.key: (
            PRIVACY_PRICE
            if item.kind == "privacy"
            else RULE_PRICE
            if item.kind in RULES
            else MISSING_PRICE
            if item.kind in MISSING
            else LIMIT_PRICE
        )
        for item in items
        if item.key not in fixed
    }


def repair_price(problem: Problem, plan: Plan, two_way: TwoWay = ()) -> float:
    """Return the price of mending all that a plan breaks, which must be able to run."""
    total = 0.0
    given = prices(list_items(problem))
    for key, violation in broken_statements(problem, plan, two_way).items():
        excess = 1.0
        if violation is not None and violation.value is not None and violation.limit is not None:
            excess = violation.value / violation.limit - 1
        total += given[key] * excess
    return total


def priced(
    edits: tuple[Edit, ...], price: float, bound: float | None, problem: Problem, plan: Plan
) -> Repair:
    """Return a repair, with the plan's price in the mended problem."""
    return Repair(
        edits=edits,
        price=price,
        bound=bound,
        plan=plan,
        problem=problem,
        evaluation=evaluate(problem, plan),
    )


def without_implied(problem: Problem) -> Problem:
    """Return the problem without a minimum rate that caps on load imply: they are what gives."""
    if not implied_rate(problem):
        return problem
    budgets = dataclasses.replace(problem.budgets, min_rate_per_second=0.0)
    return dataclasses.replace(problem, budgets=budgets)


def _runs_on(problem: Problem, plan: Plan, item: Item) -> bool:
    """Whether a plan runs over a missing link, or where there is no time."""
    evaluation = evaluate(without(problem, list_items(problem)), Plan(routes=plan.routes))
    if item.kind == "no link":
        return any(
            (transfer.source, transfer.target) == item.key[1:]
            for price in evaluation.streams
            for route in price.routes
            for transfer in route.transfers
        )
    _, network, device, *layer = item.key
    return any(
        stage.device == device
        and problem.stream[price.name].network == network
        and math.isinf(stage.seconds)
        and (not layer or stage.first <= int(layer[0]) < stage.stop)
        for price in evaluation.streams
        for route in price.routes
        for stage in route.stages
    )
