"""A smallest set of statements that leave no plan, by deletion filter and hitting sets.

Statements that leave no plan by themselves come first: one is all there is to say.

The deletion filter leaves statements out, whole kinds first, and keeps out what the conflict
does not need: what remains is irreducible. There may be a smaller one elsewhere. Every plan found
on the way breaks some statements, and every conflict contains one of them: so the smallest set
that hits all of these is a lower bound on conflicts, and if it is a conflict itself, a smallest.

References
----------
Chinneck and Dravnieks, "Locating minimal infeasible constraint sets in linear programs", ORSA
Journal on Computing 3, 1991: the deletion filter. Ignatiev, Previti, Liffiton and Marques-Silva,
"Smallest MUS extraction with minimal hitting set dualization", CP 2015.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgeplan.explain.checks import Answer, Checker, broken, keys
from edgeplan.explain.items import RULES, Item, list_items, list_missing
from edgeplan.explain.relaxed import fitted
from edgeplan.explain.without import only, without
from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.baselines import Baseline, all_at_origin, all_on_one_cloud, baselines
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.pipeline.problem import reasons_against

_SINGLES = 12
"""Most statements that are tried by themselves …"""
_SINGLE_SHARE = 0.1
"""… each for at most so much of the time left …"""
_UNANSWERED = 2
"""… until so many of them were too hard for that."""
_ANOTHER_SHARE = 0.2
"""To ask whether a statement alone would do may take at most so much of the time left."""
_HITTING_CHECKS = 60
"""Most questions asked to make an irreducible conflict a smallest one."""
_MOST_FACTS = 200
"""Most links and times that may be missing for it to be looked which of them matter."""
_HITTING_SETS = 200_000
"""Most sets of statements tried in search of one that hits all that plans break."""


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Statements that leave no plan together.

    Parameters
    ----------
    items
        The statements; in the order of `list_items`.
    irreducible
        Whether it is known that each is needed: without any one of them the others, by
        themselves, leave a plan.
    smallest
        Whether it is known that no conflict has fewer statements.
    missing
        Whether they are links and times that are missing: then there is no plan even without
        any limit and rule.
    certificate
        On what it stands that there is no plan with these statements alone.
    checks
        Problems solved to find it.
    notes
        Facts that make a conflict of rules plain: layers that no device may run under them, or
        the links and times that are missing for them to hold.
    another
        Whether there is another conflict as well, which stays where one of these is taken out:
        then the problem has still no plan. ``False`` where it has one whichever of these is
        taken out; ``None`` where that is not known.
    """

    items: tuple[Item, ...]
    irreducible: bool
    smallest: bool
    missing: bool
    certificate: Certificate | None
    checks: int
    notes: tuple[str, ...] = ()
    another: bool | None = None


def find_conflict(
    problem: Problem,
    checker: Checker,
    *,
    certificate: Certificate | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> Conflict:
    """Find a smallest conflict of a problem that has no plan.

    Parameters
    ----------
    problem
        A problem without a plan.
    checker
        Asks solvers; knows when to stop. When it does, the conflict found so far is returned.
    certificate
        On what it stands that the problem has no plan.
    on_progress
        Told in words how far it is.
    """
    filter_ = _Filter(problem, checker, certificate, on_progress)
    if filter_.begin() and not filter_.find_single():
        filter_.shrink_by_kind()
    smallest = filter_.complete and filter_.make_smallest()
    return Conflict(
        items=tuple(filter_.current),
        irreducible=filter_.complete,
        smallest=smallest,
        missing=filter_.missing,
        certificate=filter_.certificate,
        checks=checker.count,
        notes=_notes(problem, filter_, on_progress),
    )


def find_another(problem: Problem, conflict: Conflict, checker: Checker) -> bool | None:
    """Say whether there is a conflict besides this one: see `Conflict.another`.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        One of its conflicts.
    checker
        Asks solvers; its known plans answer most of it.
    """
    base = without(problem, list_items(problem)) if conflict.missing else problem
    unanswered = 0
    for item in conflict.items:
        answer = checker.check(without(base, [item]), _ANOTHER_SHARE)
        if answer.infeasible:
            return True
        unanswered += answer.plan is None
        if unanswered >= _UNANSWERED or (unanswered and checker.ended):
            break
    return None if unanswered else False


def _notes(
    problem: Problem, filter_: _Filter, on_progress: Callable[[str], None] | None
) -> tuple[str, ...]:
    """Return facts that make a conflict of rules plain: layers without a device, missing links."""
    if filter_.missing or not filter_.complete:
        return ()
    ruled = only(problem, filter_.current)
    if homeless := tuple(_homeless(ruled)):
        return homeless
    if not RULES.issuperset(item.kind for item in filter_.current):
        return ()
    facts = _Filter(ruled, filter_.checker, filter_.certificate, on_progress)
    facts.every = facts.current = list(list_missing(ruled))
    if len(facts.every) > _MOST_FACTS or filter_.checker.ended:
        return ()
    if filter_.checker.check(without(ruled, facts.every)).plan is None:
        return ()
    facts.shrink_by_kind()
    return tuple(item.item for item in facts.current) if facts.complete else ()


def _homeless(problem: Problem) -> Iterator[str]:
    """Yield the layers that no device may run, and which devices have no time for them."""
    for stream in problem.streams:
        network = problem.network[stream.network]
        bare = dataclasses.replace(stream, privacy=None, pins=(), bans=(), together=())
        able = problem.allowed(bare)
        for index, devices in enumerate(problem.allowed(stream)):
            if devices:
                continue
            gone = [device.name for device in problem.devices if device.name not in able[index]]
            yield (
                f"no device may run layer '{network.layers[index].name}' of stream '{stream.name}'"
                + (
                    f"; {', '.join(gone)} {'has' if len(gone) == 1 else 'have'} no time for it"
                    if gone
                    else ""
                )
            )


def _simple_plans(problem: Problem) -> tuple[Baseline, ...]:
    """Return the baselines; where load is planned for without those that try many plans."""
    if problem.load_features:
        return (all_at_origin(problem), *all_on_one_cloud(problem))
    return baselines(problem)


class _Filter:
    """The search's state: the conflict so far, of which it is known that it is one."""

    def __init__(
        self,
        problem: Problem,
        checker: Checker,
        certificate: Certificate | None,
        on_progress: Callable[[str], None] | None,
    ) -> None:
        self.problem = problem
        self.checker = checker
        self.certificate = certificate
        self.on_progress = on_progress
        self.complete = True
        self.missing = False
        self.every = list(list_items(problem))
        self.current = list(self.every)
        self._breaks: dict[int, frozenset[Key]] = {}

    def begin(self) -> bool:
        """Look at what is missing where limits and rules have no part; say whether it is known."""
        bare = without(self.problem, self.every)
        # Baselines break little, and every plan that can run answers some questions.
        self.checker.known += [
            baseline.plan
            for baseline in _simple_plans(self.problem)
            if baseline.plan is not None and evaluate(bare, fitted(bare, baseline.plan)).feasible
        ]
        answer = self.checker.check(bare)
        if answer.infeasible:
            self.problem, self.missing = bare, True
            self._breaks.clear()
            self.certificate = answer.certificate
            self.every = list(list_missing(bare))
            self.current = list(self.every)
        elif answer.plan is None:
            self.complete = False
        elif self.problem.load_features:
            self._keep_scarce()
        return self.complete

    def _keep_scarce(self) -> None:
        """Leave out at once what has no part in it where the load cannot be carried."""
        if self.problem.capacity != "utilisation":
            return
        load = self.checker.capacity.find(self.problem)
        if load is None or not load.too_much:
            return
        names = {*load.streams, *(key[1] for key in load.prices if key[0] == "device capacity")}

        def apart(item: Item) -> bool:
            if item.kind == "link capacity":
                return item.key not in load.prices
            return len(item.key) > 1 and item.key[1] not in names

        self._left_out([item for item in self.every if apart(item)])

    def find_single(self) -> bool:
        """Look for a statement that leaves no plan by itself; say whether there is one.

        It must be one that every plan known breaks; those that leave a problem which a special
        case solves are tried first.
        """
        if self.missing:
            return False

        def slow(item: Item) -> bool:
            return bool(reasons_against(only(self.problem, (item,)).with_objective("throughput")))

        unanswered = 0
        for item in sorted(self._broken_by_all(self.every[::-1]), key=slow)[:_SINGLES]:
            if not self._broken_by_all([item]):  # a plan found meanwhile keeps it
                continue
            answer = self._check([item], _SINGLE_SHARE)
            if answer.infeasible:
                self.current, self.certificate = [item], answer.certificate
                return True
            unanswered += answer.plan is None
            if unanswered >= _UNANSWERED or self.checker.ended:
                break
        return False

    def _broken(self, plan: Plan) -> frozenset[Key]:
        """Return what one of the known plans breaks; each is asked about many times."""
        if id(plan) not in self._breaks:  # known plans stay, so that no other gets its id
            self._breaks[id(plan)] = frozenset(broken(self.problem, plan))
        return self._breaks[id(plan)]

    def _broken_by_all(self, items: Sequence[Item]) -> list[Item]:
        """Return those of the items that every known plan breaks."""
        left = list(items)
        for plan in self.checker.known:
            if not left:
                break
            found = self._broken(plan)
            left = [item for item in left if item.key in found]
        return left

    def shrink_by_kind(self) -> None:
        """Leave out whole kinds, then halves of those that are needed in part."""
        kinds = dict.fromkeys(item.kind for item in self.current)
        groups = [[item for item in self.current if item.kind == kind] for kind in kinds]
        needed = [group for group in groups if not self._left_out(group)]
        for group in needed:
            if len(group) > 1:
                self._halve(group)

    def _halve(self, group: Sequence[Item]) -> None:
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            if not self._left_out(half) and len(half) > 1:
                self._halve(half)

    def _left_out(self, group: Sequence[Item]) -> bool:
        """Leave a group out of the conflict if it is one without it; say whether."""
        gone = keys(list(group))
        rest = [item for item in self.current if item.key not in gone]
        answer = self._check(rest)
        if answer.infeasible:
            self.current, self.certificate = rest, answer.certificate
            return True
        if answer.plan is None:
            self.complete = False
        return False

    def _check(self, kept: Sequence[Item], share: float = 0.5) -> Answer:
        """Say whether there is a plan with just these statements."""
        if self.on_progress is not None:
            self.on_progress(f"conflict: {len(self.current)} of {len(self.every)} statements left")
        names = keys(list(kept))
        gone = [item for item in self.every if item.key not in names]
        return self.checker.check(without(self.problem, gone), share)

    def make_smallest(self) -> bool:
        """Look for a conflict of fewer statements; say whether none is left to be found."""
        if len(self.current) <= 1:
            return True
        if self.missing:
            return False
        by_key = {item.key: item for item in self.every}
        for _ in range(_HITTING_CHECKS):
            broken_sets = [
                frozenset(self._broken(plan)) & by_key.keys() for plan in self.checker.known
            ]
            if not all(broken_sets):
                raise SolverError("a problem without a plan, as it was claimed, has one")
            hitting = _smallest_hitting_set(broken_sets, list(by_key), len(self.current) - 1)
            if hitting is None:
                return False
            if not hitting:  # every set of fewer statements is kept by some plan
                return True
            items = [item for item in self.every if item.key in hitting]
            answer = self._check(items)
            if answer.infeasible:
                self.current, self.certificate = items, answer.certificate
                return True
            if answer.plan is None:
                return False
        return False


def _smallest_hitting_set(
    sets: Sequence[frozenset[Key]], order: Sequence[Key], most: int
) -> frozenset[Key] | None:
    """Return a smallest set of at most ``most`` keys that meets all sets.

    Empty where there is none; ``None`` where there are too many to try.
    """
    tried = 0
    used = frozenset().union(*sets)
    candidates = [key for key in reversed(order) if key in used]
    for size in range(1, most + 1):
        for chosen in itertools.combinations(candidates, size):
            tried += 1
            if tried > _HITTING_SETS:
                return None
            if all(not found.isdisjoint(chosen) for found in sets):
                return frozenset(chosen)
    return frozenset()
