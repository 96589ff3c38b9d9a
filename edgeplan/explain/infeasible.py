"""Why a problem has no plan, and what would mend it."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from edgeplan.explain.amounts import TwoWay
from edgeplan.explain.checks import Checker
from edgeplan.explain.conflict import Conflict, find_another, find_conflict
from edgeplan.explain.judged import ESTIMATES, Judged, judged_by
from edgeplan.explain.needs import Need, find_needs
from edgeplan.explain.repair import find_repair
from edgeplan.explain.shortfall import Shortage, find_shortage
from edgeplan.explain.terms import Repair
from edgeplan.model.certificate import Certificate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Key
from edgeplan.solvers.result import Stop

_ENOUGH = Shortage()
_REPAIR_SHARE = 0.5
"""The repair may take at most so much of the time left; the conflict has the rest."""

_NEEDS_SHARE = 0.7
"""Where load is planned for, so much of what the conflict left is for what each number needs."""


@dataclass(frozen=True, kw_only=True)
class Infeasibility:
    """Why a problem has no plan, and what would mend it.

    Parameters
    ----------
    infeasible
        Whether it has none; ``None`` where that was not found out in time.
    plan
        A plan, where it has one after all.
    conflict
        A smallest set of statements that leave no plan, or ``None``.
    repair
        The cheapest changes that leave one, or ``None``.
    message
        Why there is no repair.
    needs
        Where load is planned for: what each number of the conflict would have to be, alone.
    shortage
        There, too: the busy time that devices and links of the conflict lack.
    judged
        Where requests wait: by key of a deadline of the conflict, what the evaluator holds
        against it (see `edgeplan.explain.judged`).
    stop
        What ended the work early; ``COMPLETED`` where nothing did.
    seconds
        Wall time.
    """

    infeasible: bool | None
    plan: Plan | None
    conflict: Conflict | None
    repair: Repair | None
    message: str
    stop: Stop
    seconds: float
    needs: tuple[Need, ...] = ()
    shortage: Shortage = _ENOUGH
    judged: Mapping[Key, Judged] = field(default_factory=dict)

    @property
    def estimated(self) -> bool:
        """Whether it rests on estimates that there is no plan: one may do when it runs."""
        return not ESTIMATES.isdisjoint(self.judged.values())

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be found out.

        The conflict is irreducible, and the repair the cheapest; or there is none that leaves
        alone what it must, or none is needed. Where load is planned for, that no repair is
        cheaper can often not be known: it counts that what each number needs is known.
        """
        if self.infeasible is False:
            return True
        if self.conflict is None or not self.conflict.irreducible:
            return False
        if self.needs:
            return self.stop is Stop.COMPLETED and all(need.complete for need in self.needs)
        return self.stop is Stop.COMPLETED if self.repair is None else self.repair.cheapest


def explain_infeasible(
    problem: Problem,
    *,
    certificate: Certificate | None = None,
    fixed: Collection[Key] = (),
    two_way: TwoWay = (),
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> Infeasibility:
    """Explain why a problem has no plan.

    Parameters
    ----------
    problem
        The problem.
    certificate
        On what it stands that there is none, where a solver has found that already; else that
        is the first question.
    fixed
        Keys of the statements that a repair must leave alone.
    two_way
        Links, as (source, target), that the instance file states once for both directions:
        what one direction needs is told as a change of both.
    time_limit
        Seconds, ``None`` for no limit. When they are over, what is known by then is returned.
    stop
        Setting it ends the work with what is known.
    threads, seed
        Of the solvers.
    on_progress
        Told in words how far it is.

    Returns
    -------
    Infeasibility
        Conflict and repair, or a plan where there is one.

    Examples
    --------
    >>> from edgeplan.model.network import Layer, LayerCosts, Network
    >>> from edgeplan.model.problem import Device, Stream
    >>> network = Network("n", (Layer(name="l"),), (), {"cam": LayerCosts(seconds=(0.05,))})
    >>> stream = Stream(name="s", network="n", origin="cam", deadline_seconds=0.02)
    >>> problem = Problem(networks=(network,), devices=(Device(name="cam"),), streams=(stream,))
    >>> found = explain_infeasible(problem)
    >>> [str(item) for item in found.conflict.items]
    ["deadline of stream 's' (streams.s.deadline): 0.02 s"]
    >>> [(edit.before, edit.after) for edit in found.repair.edits]
    [(0.02, 0.05)]
    """
    began = time.monotonic()
    ends = math.inf if time_limit is None else began + time_limit
    checker = Checker(ends=ends, stop=stop, threads=threads, seed=seed)

    def result(
        infeasible: bool | None,
        plan: Plan | None = None,
        conflict: Conflict | None = None,
        repair: Repair | None = None,
        message: str = "",
        ended: Stop = Stop.COMPLETED,
    ) -> Infeasibility:
        return Infeasibility(
            infeasible=infeasible,
            plan=plan,
            conflict=conflict,
            repair=repair,
            message=message,
            stop=ended,
            seconds=time.monotonic() - began,
        )

    if certificate is None:
        if on_progress is not None:
            on_progress("is there a plan?")
        answer = checker.check(problem)
        if answer.plan is not None:
            return result(False, plan=answer.plan)
        if not answer.infeasible:
            return result(None, ended=answer.stop)
        certificate = answer.certificate
    filtering = dataclasses.replace(checker, ends=_part(ends, 1 - _REPAIR_SHARE))
    conflict = find_conflict(problem, filtering, certificate=certificate, on_progress=on_progress)
    needs: tuple[Need, ...] = ()
    shortage = Shortage()
    if problem.load_features and not conflict.missing:
        asking = dataclasses.replace(filtering, ends=_part(ends, _NEEDS_SHARE))
        needs = find_needs(
            problem,
            conflict.items,
            asking,
            certificate=certificate,
            two_way=two_way,
            on_progress=on_progress,
        )
        shortage = find_shortage(problem, conflict.items, filtering.capacity)
    if conflict.irreducible:
        # A need found for the conflict by itself only has told already that there is another.
        another = not all(need.whole for need in needs) or find_another(
            problem, conflict, filtering
        )
        conflict = dataclasses.replace(conflict, another=another)
    judged = {} if conflict.missing else judged_by(problem, conflict.items, filtering)
    if on_progress is not None:
        on_progress("looking for the cheapest repair")
    found = find_repair(
        problem,
        missing=conflict.missing,
        conflict=conflict.items,
        needs=needs,
        shortage=shortage,
        capacity=filtering.capacity,
        known=filtering.known,
        fixed=fixed,
        two_way=two_way,
        time_limit=_left(ends),
        stop=stop,
        threads=threads,
        seed=seed,
    )
    ended = found.stop
    if ended is Stop.COMPLETED and not conflict.irreducible:
        interrupted = stop is not None and stop.is_set()
        ended = Stop.INTERRUPTED if interrupted else Stop.TIME_LIMIT
    told = result(True, conflict=conflict, repair=found.repair, message=found.message, ended=ended)
    return dataclasses.replace(told, needs=needs, shortage=shortage, judged=judged)


def _left(ends: float) -> float | None:
    """Return the seconds until then, ``None`` for no limit."""
    return None if math.isinf(ends) else max(0.0, ends - time.monotonic())


def _part(ends: float, share: float) -> float:
    """Return when a share of the time that is left will be over."""
    now = time.monotonic()
    return ends if math.isinf(ends) else now + max(0.0, ends - now) * share
