"""How much each number of a conflict would have to give, alone, for a plan to exist.

Two ends are brought together by bisection: the best number for which a plan was found, and the
last one for which it is known that there is none. Every plan found moves its end as far as the
evaluator lets it. Where no answer comes in time the ends stay apart, and both are told.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from edgeplan.explain.amounts import TwoWay, bandwidths, directions, with_amount
from edgeplan.explain.checks import Checker
from edgeplan.explain.edits import DIGITS, above, below
from edgeplan.explain.items import Item, list_items
from edgeplan.explain.relaxed import fitted
from edgeplan.explain.without import only, without
from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import InputError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

PRECISION = 0.01
"""The two ends are brought together to so much, relatively; numbers of replicas to one."""

_MOST = 8
"""Most numbers of a conflict that are looked into."""
_QUESTIONS = 12
"""Most questions for each of them."""
_SHARE = 0.25
"""One question may take at most so much of the time left."""
_DOUBLINGS = 60
_STEPS = 4
_TIGHT = 1e-6
"""A plan moves its end to so much, relatively."""
_HIGHEST_CAP = 0.9995
_SLOW = 2.0**-20
"""Whether a lower rate helps at all is asked with this share of it."""

_FALLING = frozenset({"rate", "rates", "min rate"})
"""Kinds of numbers that give by becoming less."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a number would have to be for a plan to exist, alone.

    Parameters
    ----------
    item
        The statement; for a shared link its bandwidth, for several rates all of them together.
    enough
        The closest number for which a plan was found; ``None`` for none.
    too_little
        The last number for which it is known that there is none: with ``enough``, what is in
        between is open. That asked for at the least.
    helps
        Whether any number is enough; ``None`` where that is not known.
    whole
        Whether all else is as it is. If not, no number is enough for that, since there is
        another conflict; the numbers are then those for this conflict alone to go away.
    complete
        Whether both ends met (to `PRECISION`), or it is known that no number is enough.
    certificate
        On what it stands that there is no plan with ``too_little``.
    problem, plan
        With ``enough``: the problem, and the plan found.
    """

    item: Item
    enough: float | None
    too_little: float
    helps: bool | None
    complete: bool
    whole: bool = True
    certificate: Certificate | None = None
    problem: Problem | None = None
    plan: Plan | None = None


def find_needs(
    problem: Problem,
    conflict: Sequence[Item],
    checker: Checker,
    *,
    certificate: Certificate | None = None,
    two_way: TwoWay = (),
    on_progress: Callable[[str], None] | None = None,
) -> tuple[Need, ...]:
    """Find what each number of a conflict would have to be, alone.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        Statements that conflict.
    checker
        Asks solvers; knows when to stop.
    certificate
        On what it stands that the problem has no plan.
    two_way
        Links with one bandwidth for both directions.
    on_progress
        Told in words how far it is.
    """
    found = []
    for item in list(_numbers(problem, conflict, two_way))[:_MOST]:
        if on_progress is not None:
            on_progress(f"by how much: {item.item}")
        need = _Ends(problem, item, checker, certificate).find()
        if need.helps is False:
            alone = only(problem, conflict)
            there = _Ends(alone, same_item(alone, item), checker, certificate).find()
            need = dataclasses.replace(there, item=item, whole=False)
        found.append(need)
    return tuple(found)


def same_item(problem: Problem, item: Item) -> Item:
    """Return an item as a problem with fewer statements has it: with another index, perhaps."""
    return next((other for other in list_items(problem) if other.item == item.item), item)


def _numbers(problem: Problem, conflict: Iterable[Item], two_way: TwoWay) -> Iterator[Item]:
    """Yield the numbers that may give: those a user has thought about most first."""
    items = [item for item in conflict if item.amount is not None]
    links: dict[tuple[str, str], Item | None] = {
        ends: item for item in bandwidths(problem, two_way) for ends in directions(item)
    }
    for item in reversed(items):
        if item.kind == "link capacity":
            (ends,) = directions(item)
            if (wide := links.get(ends)) is not None:
                yield wide
                links |= dict.fromkeys(directions(wide))  # it stands for both of them
        elif item.kind != "rate":
            yield item
    rates = [item for item in items if item.kind == "rate"]
    if len(rates) > 1:
        names = [str(item.key[1]) for item in rates]
        yield Item(
            key=("rates", *names),
            item=f"arrival rates of streams {', '.join(names)} together",
            place=("streams",),
            amount=math.fsum(item.amount or 0.0 for item in rates),
            unit="/s",
        )
    yield from rates


class _Ends:
    """The two ends of a number's search."""

    def __init__(
        self, problem: Problem, item: Item, checker: Checker, certificate: Certificate | None
    ) -> None:
        assert item.amount is not None
        self.problem = problem
        self.item = item
        self.checker = checker
        self.certificate = certificate
        self.too_little = item.amount
        self.enough: float | None = None
        self.plan: Plan | None = None
        self.whole = item.unit == "count"
        self.sign = -1 if item.kind in _FALLING else 1

    def find(self) -> Need:
        answer = self.checker.check(self._easiest(), _SHARE)
        if answer.infeasible:
            return self._need(helps=False, complete=True)
        if answer.plan is not None:
            self._tighten(answer.plan)
        if self.enough is None and answer.plan is not None:
            self._reach()
        if self.enough is None:
            return self._need(helps=None, complete=False)
        self._bisect()
        return self._need(helps=True, complete=self._met())

    def _bisect(self) -> None:
        """Bring the ends together; where nobody can answer, up to what they can answer."""
        assert self.enough is not None
        hard = easy = None  # between them are the numbers about which nobody could answer
        for turn in range(_QUESTIONS):
            if self._met() or self.checker.ended:
                return
            if hard is None or easy is None:
                asked = self._between(self.too_little, self.enough)
            else:
                ways = [(self.too_little, hard), (easy, self.enough)]
                ways = [way for way in ways if not self._close(*way, PRECISION)]
                if not ways:
                    return
                asked = self._between(*ways[turn % len(ways)])
            answer = self.checker.check(with_amount(self.problem, self.item, asked), _SHARE)
            if answer.plan is not None:
                self.enough, self.plan = asked, answer.plan
                self._tighten(answer.plan)
                if hard is not None and not self._harder(hard, self.enough):
                    hard = easy = None
            elif answer.infeasible:
                self.too_little, self.certificate = asked, answer.certificate
                if easy is not None and not self._harder(self.too_little, easy):
                    hard = easy = None
            elif hard is None or easy is None:
                hard = easy = asked
            elif self._harder(asked, hard):
                hard = asked
            else:
                easy = asked

    def _harder(self, first: float, second: float) -> bool:
        """Whether the first number leaves fewer plans than the second."""
        return self.sign * first < self.sign * second

    def _reach(self) -> None:
        """Ask for a plan with more and more, where the one that asks for most cannot be had.

        Replicas that are taken out cost nothing more: real ones may cost more than is allowed.
        """
        value = self.too_little
        for _ in range(_STEPS):
            value = value * 2 if self.sign > 0 else value / 2
            try:
                asked = with_amount(self.problem, self.item, value)
            except InputError:
                return
            answer = self.checker.check(asked, _SHARE)
            if answer.plan is not None:
                self.enough, self.plan = value, answer.plan
                self._tighten(answer.plan)
                return
            if not answer.infeasible:
                return
            self.too_little, self.certificate = value, answer.certificate

    def _need(self, *, helps: bool | None, complete: bool) -> Need:
        enough = self.enough
        changed = plan = None
        if enough is not None:
            if not self.whole:
                outward = below(enough) if self.sign < 0 else above(enough)
                near = float(f"{enough:.{DIGITS}g}")
                enough = next((v for v in (near, outward) if self._holds(v, self.plan)), enough)
            changed = with_amount(self.problem, self.item, enough)
            assert self.plan is not None
            plan = fitted(changed, self.plan)
        little = self.too_little
        if little != self.item.amount and not self.whole:
            little = above(little) if self.sign < 0 else below(little)
        return Need(
            item=self.item,
            enough=enough,
            too_little=little,
            helps=helps,
            complete=complete,
            certificate=self.certificate,
            problem=changed,
            plan=plan,
        )

    def _easiest(self) -> Problem:
        """Return the problem in which the number gives as much as it can."""
        match self.item.kind:
            case "rate" | "rates":
                return with_amount(self.problem, self.item, self.too_little * _SLOW)
            case "bandwidth":
                return with_amount(self.problem, self.item, math.inf)
            case "device capacity":
                cap = max(_HIGHEST_CAP, self.too_little)
                return with_amount(self.problem, self.item, cap)
            case _:
                return without(self.problem, [self.item])

    def _holds(self, value: float, plan: Plan | None) -> bool:
        """Whether a plan breaks nothing with a number, with replicas that suit it."""
        if plan is None:
            return False
        try:
            changed = with_amount(self.problem, self.item, value)
        except InputError:  # more than a problem may state
            return False
        return evaluate(changed, fitted(changed, plan)).feasible

    def _tighten(self, plan: Plan) -> None:
        """Bring the end where there is a plan as close as this one allows."""
        fails, holds = self.too_little, self.enough
        if holds is None:
            step = fails
            for _ in range(_DOUBLINGS):
                step = step * 2 if self.sign > 0 else step / 2
                if self.item.kind == "device capacity":
                    step = _HIGHEST_CAP
                if self._holds(step, plan):
                    holds = step
                    break
                fails = step
            else:
                return
        while not self._close(fails, holds, _TIGHT):
            middle = self._between(fails, holds)
            if self._holds(middle, plan):
                holds = middle
            else:
                fails = middle
        self.enough, self.plan = holds, plan

    def _between(self, first: float, second: float) -> float:
        if self.whole:
            return float(round(first + second) // 2)
        return math.sqrt(first * second)

    def _close(self, first: float, second: float, precision: float) -> bool:
        if self.whole:
            return abs(first - second) <= 1
        low, high = sorted((first, second))
        return high <= low * (1 + precision)

    def _met(self) -> bool:
        return self.enough is not None and self._close(self.too_little, self.enough, PRECISION)
