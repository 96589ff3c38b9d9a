"""Shortest paths over (cut, device), vectorised over devices and over the stops of stages.

Every pass is a dynamic program along the layer order. Costs given as `spans` take an arc per
stage, so that a node may be entered only from another device (a stage is a maximal run);
costs given as `layers` add up, so that a route inside a stage is a node of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeplan.solvers.chain.charges import Arcs, Bools, Floats, Parts, inner_sums, sums

Stage = tuple[int, int, int]
"""Device, first layer, stop."""


@dataclass(frozen=True, kw_only=True)
class Quantities:
    """Several quantities on all arcs: the objective first, then limits.

    Parameters
    ----------
    parts
        Along a leading axis.
    once
        What each charge of `Arcs.once` counts, by (charge, quantity).
    """

    parts: Parts
    once: Floats

    @property
    def count(self) -> int:
        """How many quantities there are."""
        return len(self.parts.enter)


def weighted(
    arcs: Arcs, quantities: Quantities, weights: Floats, *, spread: bool = True
) -> Parts:
    """Return Σ weight × quantity on all arcs, ``inf`` at walls.

    With ``spread`` each charge of `Arcs.once` is put on the layers that cause it by its shares,
    so that no route pays more than it, and a lower bound stays one; else it is left out.
    """
    walls = arcs.walls
    found = Parts.of(
        [
            np.tensordot(weights, table, axes=1) + wall
            for table, wall in zip(quantities.parts.arrays, walls.arrays, strict=True)
        ]
    )
    if spread and len(arcs.once):
        _spread(arcs, found, quantities.once @ weights)
    return found


def _spread(arcs: Arcs, parts: Parts, charges: Floats) -> None:
    count, devices, origin = arcs.layers, len(arcs.names), arcs.origin
    layers = np.zeros((count, devices))
    back = np.zeros((count, devices))
    for charge, price in zip(arcs.once, charges, strict=True):
        (back if charge.kind == "return" else layers)[:, charge.device] += price * charge.share
    if back.any():
        others = np.arange(devices) != origin
        for cut in range(1, count):
            parts.cross[cut][:, others] += back[cut - 1][:, None]
            if arcs.unread[cut - 1]:
                parts.cross[cut][:, origin] += back[cut - 1]
        parts.last[:] += back[-1]
    if arcs.spans:
        for device in range(devices):
            if layers[:, device].any():
                parts.body[0][:, device] += sums(layers[:, device])
            if back[:, device].any():
                parts.body[0][:, device] += inner_sums(back[:, device])
    else:
        for body in parts.body:
            body += layers
        parts.body[1][1:] += back[:-1]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The least that a route still costs from each node to its end.

    Parameters
    ----------
    enter
        By (cut, device): a stage begins there.
    leave
        By (cut, device): a stage has ended there, another begins elsewhere.
    stay
        By (cut, device): inside a stage, which may go on or end (costs as `layers` only; else
        as ``leave``).
    """

    enter: Floats
    leave: Floats
    stay: Floats


def completions(arcs: Arcs, parts: Parts) -> Completion:
    """Return the least completions under `weighted` costs."""
    count, devices = arcs.layers, len(arcs.names)
    enter = np.full((count, devices), np.inf)
    leave = np.full((count + 1, devices), np.inf)
    stay = leave if arcs.spans else leave.copy()
    leave[count] = stay[count] = parts.last
    for cut in range(count - 1, -1, -1):
        if arcs.spans:
            (stages,) = parts.body
            enter[cut] = (stages[cut, :, cut + 1 :] + leave[cut + 1 :].T).min(axis=1)
        else:
            begin, more = parts.body
            enter[cut] = begin[cut] + stay[cut + 1]
        if cut:
            leave[cut] = (parts.cross[cut] + enter[cut]).min(axis=1)
            if not arcs.spans:
                stay[cut] = np.minimum(leave[cut], more[cut] + stay[cut + 1])
    return Completion(enter=enter, leave=leave, stay=stay)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The least that a route has cost at each node, by (cut, device); nodes of `Completion`."""

    enter: Floats
    leave: Floats


def reaches(arcs: Arcs, parts: Parts) -> Reach:
    """Return the least costs from the start under `weighted` costs."""
    count, devices = arcs.layers, len(arcs.names)
    enter = np.full((count, devices), np.inf)
    leave = np.full((count + 1, devices), np.inf)
    enter[0] = parts.enter
    for cut in range(count):
        if cut:
            enter[cut] = (leave[cut][:, None] + parts.cross[cut]).min(axis=0)
        if arcs.spans:
            (stages,) = parts.body
            ended = enter[cut][:, None] + stages[cut, :, cut + 1 :]
            np.minimum(leave[cut + 1 :], ended.T, out=leave[cut + 1 :])
        else:
            begin, more = parts.body
            leave[cut + 1] = np.minimum(enter[cut] + begin[cut], leave[cut] + more[cut])
    return Reach(enter=enter, leave=leave)


def shortest(arcs: Arcs, parts: Parts, reach: Reach) -> tuple[float, list[Stage]]:
    """Return the least cost of a route and its stages; ``inf`` and none where there is none."""
    ends = reach.leave[-1] + parts.last
    device = int(ends.argmin())
    value = float(ends[device])
    if not np.isfinite(value):
        return np.inf, []
    stages: list[Stage] = []
    stop = arcs.layers
    while stop:
        first = _begin(arcs, parts, reach, stop, device)
        stages.append((device, first, stop))
        if first:
            device = int((reach.leave[first] + parts.cross[first][:, device]).argmin())
        stop = first
    stages.reverse()
    return value, stages


def _begin(arcs: Arcs, parts: Parts, reach: Reach, stop: int, device: int) -> int:
    """Return where the best stage that ends at a node began."""
    if arcs.spans:
        (stages,) = parts.body
        return int((reach.enter[:stop, device] + stages[:stop, device, stop]).argmin())
    begin, more = parts.body
    while (
        reach.leave[stop - 1, device] + more[stop - 1, device]
        < reach.enter[stop - 1, device] + begin[stop - 1, device]
    ):
        stop -= 1
    return stop - 1


def devices_of(arcs: Arcs, stages: Sequence[Stage]) -> tuple[str, ...]:
    """Return a device for each layer.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> devices_of(SimpleNamespace(names=("a", "b")), [(1, 0, 2), (0, 2, 3)])
    ('b', 'b', 'a')
    """
    return tuple(arcs.names[d] for d, first, stop in stages for _ in range(first, stop))


def amounts(arcs: Arcs, parts: Parts, stages: Sequence[Stage]) -> Floats:
    """Return what a route counts in each of several stacked quantities, ``once`` apart."""
    device = stages[0][0]
    found: Floats = parts.enter[:, device].copy()
    for index, (device, first, stop) in enumerate(stages):
        if index:
            found += parts.cross[:, first, stages[index - 1][0], device]
        if arcs.spans:
            found += parts.body[0][:, first, device, stop]
        else:
            found += parts.body[0][:, first, device]
            found += parts.body[1][:, first + 1 : stop, device].sum(axis=1)
    found += parts.last[:, device]
    return found


def caused(arcs: Arcs, stages: Sequence[Stage]) -> Bools:
    """Return which layers cause each charge of `Arcs.once` on a route, by (charge, layer)."""
    count = arcs.layers
    on = np.zeros((len(arcs.names), count), dtype=np.bool_)
    back = np.zeros((len(arcs.names), count), dtype=np.bool_)
    for index, (device, first, stop) in enumerate(stages):
        on[device, first:stop] = True
        to_origin = index + 1 < len(stages) and stages[index + 1][0] == arcs.origin
        for layer in range(first, stop):
            groups = arcs.unread if to_origin and layer == stop - 1 else arcs.results
            back[device, layer] = bool(groups[layer])
    return np.array(
        [
            (back if charge.kind == "return" else on)[charge.device] & (charge.share > 0)
            for charge in arcs.once
        ],
        dtype=np.bool_,
    ).reshape(len(arcs.once), count)
