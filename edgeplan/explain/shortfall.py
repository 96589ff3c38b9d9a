"""How much time devices and links lack: what a conflict asks of them, and what they give.

Of all ways to deal requests out over routes, the one that overloads least tells (the linear
program of `edgeplan.explain.capacity`): nobody waits and every device has its most replicas, so
that no plan of the problem as it stands lacks less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgeplan.explain.capacity import Capacity, lacking
from edgeplan.explain.items import Item, list_items
from edgeplan.explain.relaxed import unloaded
from edgeplan.explain.without import only
from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.problem import Problem
from edgeplan.solvers.elastic import Key


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """A device or link that has more to do than it can, where requests are dealt out best.

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
        Which may run there.
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
        Where it is missing, where requests are dealt out best.
    least
        Busy seconds per second that every plan lacks at the least, over all of the conflict's
        devices and links; ``None`` where that was not found out.
    """

    places: tuple[Shortfall, ...] = ()
    least: float | None = None


def find_shortage(
    problem: Problem,
    conflict: Sequence[Item],
    capacity: Capacity,
) -> Shortage:
    """Find how much time the devices and links of a conflict lack.

    Parameters
    ----------
    problem
        A problem without a plan.
    conflict
        Statements that conflict.
    capacity
        What routes ask for.

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
    ways = capacity.ways(easier)
    if ways is None or not all(ways.values()):
        return Shortage()
    given = {key: (item.amount or 0.0) * _count(problem, key) for key, item in caps.items()}
    least, loads = lacking(easier, ways, given)
    if not least > 10 * RELATIVE_TOLERANCE or not math.isfinite(least):
        return Shortage()
    places = tuple(
        Shortfall(
            item=item,
            name=_name(key),
            needed=loads[key],
            given=given[key],
            replicas=_count(problem, key),
            streams=tuple(
                stream.name
                for stream in problem.streams
                if any(key == used for way in ways[stream.name] for used, _ in way.busy)
            ),
        )
        for key, item in caps.items()
        if loads[key] > given[key] * (1 + 10 * RELATIVE_TOLERANCE)
    )
    return Shortage(places=places, least=least)


def _name(key: Key) -> str:
    return f"device '{key[1]}'" if key[0] == "device capacity" else f"link '{key[1]}->{key[2]}'"


def _count(problem: Problem, key: Key) -> int:
    """Return the most servers that a device or link may have."""
    return problem.device[str(key[1])].replica_range[-1] if key[0] == "device capacity" else 1
