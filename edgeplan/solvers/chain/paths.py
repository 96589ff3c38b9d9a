"""Shortest paths over (cut, device), vectorised over devices and over the stops of stages.

Every pass is a dynamic program along the layer order. Costs given as `spans` take an arc per
stage, so that a node may be entered only from another device (a stage is a maximal run);
costs given as `layers` add up, so that a route inside a stage is a node of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeplan.solvers.chain.charges import Arcs, Parts
from edgeplan.solvers.chain.prices import Bools, Floats

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


@dataclass(frozen=True, kw_only=True)
class Costs:
    """One cost on all arcs, ``inf`` at walls.

    Parameters
    ----------
    parts
        What every arc costs, but for the next two.
    begin, end
        By (cut, device), for costs as `spans`: a stage costs ``end`` where it stops, less
        ``begin`` where it begins, besides its body. Charges that are spread over layers are
        there: putting them on every span would take far longer.
    """

    parts: Parts
    begin: Floats
    end: Floats


def weighted(arcs: Arcs, quantities: Quantities, weights: Floats, shares: Floats | None) -> Costs:
    """Return Σ weight × quantity on all arcs.

    Each charge of `Arcs.once` is put on the layers that cause it by its ``shares`` (see
    `Arcs.even_shares`); ``None`` leaves the charges out.
    """
    arrays = []
    for table, wall in zip(quantities.parts.arrays, arcs.walls.arrays, strict=True):
        total = wall.copy()
        for weight, quantity in zip(weights, table, strict=True):
            if weight == 1:
                total += quantity
            elif weight:
                total += weight * quantity
        arrays.append(total)
    parts = Parts.of(arrays)
    begin, end = np.zeros((2, arcs.layers + 1, len(arcs.names)))
    if shares is not None and len(arcs.once):
        _spread(arcs, parts, begin, end, (quantities.once @ weights)[:, None] * shares)
    return Costs(parts=parts, begin=begin, end=end)


def _spread(arcs: Arcs, parts: Parts, begin: Floats, end: Floats, spread: Floats) -> None:
    count, devices, origin = arcs.layers, len(arcs.names), arcs.origin
    layers = np.zeros((count, devices))
    back = np.zeros((count, devices))
    for charge, prices in zip(arcs.once, spread, strict=True):
        (back if charge.kind == "return" else layers)[:, charge.device] += prices
    if back.any():
        others = np.arange(devices) != origin
        unread = np.array([bool(group) for group in arcs.unread])
        parts.cross[1:, :, others] += back[:-1, :, None]
        parts.cross[1:, :, origin] += back[:-1] * unread[:-1, None]
        parts.last[:] += back[-1]
    if arcs.spans:
        # The last layer's results are the crossing's business.
        begin[1:] = np.cumsum(layers + back, axis=0)
        end[1:] = begin[1:] - back
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


def completions(arcs: Arcs, costs: Costs) -> Completion:
    """Return the least completions under `weighted` costs."""
    count, devices, parts = arcs.layers, len(arcs.names), costs.parts
    enter = np.full((count, devices), np.inf)
    leave = np.full((count + 1, devices), np.inf)
    stay = leave if arcs.spans else leave.copy()
    leave[count] = stay[count] = parts.last
    for cut in range(count - 1, -1, -1):
        if arcs.spans:
            (stages,) = parts.body
            ended = (leave[cut + 1 :] + costs.end[cut + 1 :]).T
            enter[cut] = (stages[cut, :, cut + 1 :] + ended).min(axis=1) - costs.begin[cut]
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


def reaches(arcs: Arcs, costs: Costs) -> Reach:
    """Return the least costs from the start under `weighted` costs."""
    count, devices, parts = arcs.layers, len(arcs.names), costs.parts
    enter = np.full((count, devices), np.inf)
    leave = np.full((count + 1, devices), np.inf)
    enter[0] = parts.enter
    for cut in range(count):
        if cut:
            enter[cut] = (leave[cut][:, None] + parts.cross[cut]).min(axis=0)
        if arcs.spans:
            (stages,) = parts.body
            ended = (enter[cut] - costs.begin[cut])[:, None] + stages[cut, :, cut + 1 :]
            np.minimum(leave[cut + 1 :], ended.T + costs.end[cut + 1 :], out=leave[cut + 1 :])
        else:
            begin, more = parts.body
            leave[cut + 1] = np.minimum(enter[cut] + begin[cut], leave[cut] + more[cut])
    return Reach(enter=enter, leave=leave)


def shortest(arcs: Arcs, costs: Costs, reach: Reach) -> tuple[float, list[Stage]]:
    """Return the least cost of a route and its stages; ``inf`` and none where there is none."""
    parts = costs.parts
    ends = reach.leave[-1] + parts.last
    device = int(ends.argmin())
    value = float(ends[device])
    if not np.isfinite(value):
        return np.inf, []
    stages: list[Stage] = []
    stop = arcs.layers
    while stop:
        first = _begin(arcs, costs, reach, stop, device)
        stages.append((device, first, stop))
        if first:
            device = int((reach.leave[first] + parts.cross[first][:, device]).argmin())
        stop = first
    stages.reverse()
    return value, stages


def _begin(arcs: Arcs, costs: Costs, reach: Reach, stop: int, device: int) -> int:
    """Return where the best stage that ends at a node began."""
    if arcs.spans:
        (stages,) = costs.parts.body
        begun = reach.enter[:stop, device] - costs.begin[:stop, device]
        return int((begun + stages[:stop, device, stop]).argmin())
    begin, more = costs.parts.body
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
            (back if charge.kind == "return" else on)[charge.device] & charge.causes
            for charge in arcs.once
        ],
        dtype=np.bool_,
    ).reshape(len(arcs.once), count)
