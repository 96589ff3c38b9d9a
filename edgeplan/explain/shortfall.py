"""How much time devices and links lack: what a conflict asks of them, and what they give.

Of all ways to place the work, the one that overloads least tells: found by the elastic program of
the problem in which nobody waits and every device has its most replicas, so that no plan of the
problem as it stands lacks less.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.explain.items import Item, list_items
from edgeplan.explain.relaxed import unloaded
from edgeplan.explain.without import only
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Elastic, Key


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """A device or link that has more to do than it can, in the plan that overloads least.

    Parameters
    ----------
    item
        Its cap on load.
    name
        Of the device or link.
    needed
        Busy seconds per second that the work takes.
    given
        Busy seconds per second allowed: cap × largest number of replicas.
    replicas
        That number; 1 for a link.
    streams
        Whose work it is.
    """

    item: Item
    name: str
    needed: float
    given: float
    replicas: int
    streams: tuple[str, ...]

    @property
    def missing(self) -> float:
        """Busy seconds per second that are missing."""
        return self.needed - self.given


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """What devices and links lack.

    Parameters
    ----------
    places
        Where it is missing, in the plan that overloads least.
    least
        Busy seconds per second that every plan lacks at the least, over all of the conflict's
        devices and links; ``None`` where that was not found out.
    """

    places: tuple[Shortfall, ...] = ()
    least: float | None = None


def find_shortage(
    problem: Problem,
    conflict: Sequence[Item],
    *,
    time_limit: float | None = None,
    stop: threading.Event | None = None,
    threads: int = 1,
    seed: int = 0,
) -> Shortage:
    """Find how much time the devices and links of a conflict lack.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        Statements that conflict.
    time_limit
        Seconds, ``None`` for no limit.
    stop
        Setting it ends the search.
    threads, seed
        Of HiGHS.

    Returns
    -------
    Shortage
        Empty where the conflict is not about time of devices and links, or is so only because
        of waits.
    """
    by_key = {item.key: item for item in list_items(problem)}
    caps: dict[Key, Item] = {}
    kept = {item.key: item for item in conflict}
    for item in conflict:
        if item.kind in ("device capacity", "replicas"):
            for kind in ("device capacity", "replicas"):
                kept[kind, item.key[1]] = by_key[kind, item.key[1]]
            key: Key = ("device capacity", item.key[1])
            caps[key] = by_key[key]
        elif item.kind == "link capacity":
            caps[item.key] = item
    if not caps:
        return Shortage()
    easier = unloaded(only(problem, kept.values()))
    # An excess is a share of what is given: priced by that, the sum is in busy seconds a second.
    given = {key: (item.amount or 0.0) * _count(problem, key) for key, item in caps.items()}
    elastic = Elastic(prices=given, time_limit=time_limit, threads=threads, seed=seed)
    found = elastic.solve(easier, stop=stop)
    if found.plan is None:
        return Shortage()
    priced = evaluate(easier, found.plan)
    loads: dict[Key, tuple[str, float]] = {
        ("device capacity", load.name): (f"device '{load.name}'", load.utilisation * load.replicas)
        for load in priced.devices
    }
    for link, used in zip(easier.links, priced.links, strict=True):
        loads["link capacity", link.source, link.target] = (f"link '{link.name}'", used.utilisation)
    users: dict[Key, set[str]] = {key: set() for key in caps}
    for stream in priced.streams:
        for route in stream.routes:
            for stage in route.stages:
                users.get(("device capacity", stage.device), set()).add(stream.name)
            for transfer in route.transfers:
                key = ("link capacity", transfer.source, transfer.target)
                if transfer.busy_seconds > 0:
                    users.get(key, set()).add(stream.name)
    places = tuple(
        Shortfall(
            item=item,
            name=loads[key][0],
            needed=loads[key][1],
            given=given[key],
            replicas=_count(problem, key),
            streams=tuple(s.name for s in problem.streams if s.name in users[key]),
        )
        for key, item in caps.items()
        if loads[key][1] > given[key] * (1 + 10 * RELATIVE_TOLERANCE)
    )
    return Shortage(places=places, least=found.bound if places else None)


def _count(problem: Problem, key: Key) -> int:
    """Return the most servers that a device or link may have."""
    return problem.device[str(key[1])].replica_range[-1] if key[0] == "device capacity" else 1
