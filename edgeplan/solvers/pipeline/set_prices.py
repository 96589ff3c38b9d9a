"""The most that sets of groups can be worth on a device, by load: an exact sweep.

The load of a set of groups is a sum over its groups plus the seconds of the hyperedges that it
splits. So all that a sweep over the groups must know of the past is which open hyperedges are so
far inside, outside or split, with the Pareto front of (load, worth) for each such state. The work
grows with the number of states: small where the graph is narrow, whatever its length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeplan.solvers.pipeline.arrays import Floats, Ints, Pipeline
from edgeplan.solvers.pipeline.orders import topological_orders

STATES_LIMIT = 300
"""Most states of the frontier; a sweep takes about 10 µs for each of a group's states."""


@dataclass(frozen=True)
class _Move:
    """From a state to a state by taking a group or not, at a load."""

    source: int
    taken: bool
    load: float


class SetPrices:
    """The most that sets of groups can be worth on a device, by load.

    Parameters
    ----------
    pipeline
        The problem.
    device
        One device of a class.
    order
        The order in which the sweep takes the groups.
    """

    def __init__(self, pipeline: Pipeline, device: int, order: Sequence[int]) -> None:
        self.order = list(order)
        self.moves: list[list[list[_Move]]] = []
        seconds = pipeline.seconds[:, device] / pipeline.replicas[device]
        position = {group: index for index, group in enumerate(self.order)}
        at: list[list[tuple[int, bool, bool, float]]] = [[] for _ in self.order]
        if pipeline.occupy[device]:
            for number, tensor in enumerate(pipeline.tensors):
                if tensor.seconds > 0:
                    places = sorted(position[group] for group in tensor.groups)
                    busy = tensor.seconds / float(pipeline.replicas[device])
                    for place in places:
                        first, last = place == places[0], place == places[-1]
                        at[place].append((number, first, last, busy))
        states: dict[tuple[tuple[int, int], ...], int] = {(): 0}
        for group, edges in zip(self.order, at, strict=True):
            states = self._step(states, float(seconds[group]), edges)
            if len(states) > STATES_LIMIT:
                raise FrontierError(len(states))

    def _step(
        self,
        states: dict[tuple[tuple[int, int], ...], int],
        seconds: float,
        edges: list[tuple[int, bool, bool, float]],
    ) -> dict[tuple[tuple[int, int], ...], int]:
        """List the moves by which a group is taken or not; 0: outside, 1: inside, 2: split."""
        reached: dict[tuple[tuple[int, int], ...], int] = {}
        moves: list[list[_Move]] = []
        for state, source in states.items():
            for taken in (False, True):
                if taken and math.isinf(seconds):
                    continue
                load = seconds if taken else 0.0
                now = dict(state)
                for number, first, last, busy in edges:
                    side = int(taken) if first else now[number]
                    if side != 2 and side != int(taken):
                        side = 2
                        load += busy
                    now[number] = side
                    if last:
                        del now[number]
                key = tuple(sorted(now.items()))
                if key not in reached:
                    reached[key] = len(moves)
                    moves.append([])
                moves[reached[key]].append(_Move(source, taken, load))
        self.moves.append(moves)
        return reached

    def fronts(
        self, prices: Floats, limit: float, points: int, *, relax: bool
    ) -> tuple[Floats, Floats, list[list[tuple[Ints, Ints] | None]]]:
        """Return the loads, ascending, what sets of at most so much load are worth, and the way.

        Parameters
        ----------
        prices
            Of the groups.
        limit
            Largest load.
        points
            Most points kept of each front.
        relax
            Whether merged points keep the least load and the most worth (no set is worth more);
            otherwise all points are sets.
        """
        nothing = np.zeros(1)
        fronts: list[tuple[Floats, Floats] | None] = [(nothing, nothing)]
        history: list[list[tuple[Ints, Ints] | None]] = []
        for group, moves in zip(self.order, self.moves, strict=True):
            price = float(prices[group])
            reached: list[tuple[Floats, Floats] | None] = []
            trace: list[tuple[Ints, Ints] | None] = []
            for into in moves:
                front, way = _merge(fronts, into, price, limit, points, relax=relax)
                reached.append(front)
                trace.append(way)
            fronts = reached
            history.append(trace)
        (last,) = fronts
        assert last is not None, "the empty set has no load"
        return last[0], last[1], history

    def members(self, history: list[list[tuple[Ints, Ints] | None]], point: int) -> list[int]:
        """Return the set at a point of the last front."""
        state = 0
        found = []
        for index in range(len(self.order) - 1, -1, -1):
            way = history[index][state]
            assert way is not None
            move = self.moves[index][state][int(way[0][point])]
            if move.taken:
                found.append(self.order[index])
            point, state = int(way[1][point]), move.source
        return found


class FrontierError(Exception):
    """The frontier has too many states for a sweep."""


def _merge(
    fronts: list[tuple[Floats, Floats] | None],
    moves: list[_Move],
    price: float,
    limit: float,
    points: int,
    *,
    relax: bool,
) -> tuple[tuple[Floats, Floats] | None, tuple[Ints, Ints] | None]:
    """Return the Pareto front of all that moves into a state, and where its points come from."""
    loads, worths, sources, origins = [], [], [], []
    for number, move in enumerate(moves):
        front = fronts[move.source]
        if front is None:
            continue
        load = front[0] + move.load
        count = int(np.searchsorted(load, limit, side="right"))
        if count:
            loads.append(load[:count])
            worths.append(front[1][:count] + (price if move.taken else 0.0))
            sources.append(np.full(count, number))
            origins.append(np.arange(count))
    if not loads:
        return None, None
    load, worth = np.concatenate(loads), np.concatenate(worths)
    order = np.lexsort((-worth, load)) if len(loads) > 1 else np.arange(len(load))
    load, worth = load[order], worth[order]
    kept = np.ones(len(load), dtype=np.bool_)
    kept[1:] = worth[1:] > np.maximum.accumulate(worth)[:-1]
    chosen = np.flatnonzero(kept)
    low = chosen
    if len(chosen) > points:
        bucket = (load[chosen] * (points / limit)).astype(np.int64)
        last = np.append(bucket[1:] != bucket[:-1], True)
        first = np.append(True, bucket[1:] != bucket[:-1])
        low = chosen[first] if relax else chosen[last]
        chosen = chosen[last]
    source = np.concatenate(sources)[order][chosen]
    origin = np.concatenate(origins)[order][chosen]
    return (load[low], worth[chosen]), (source, origin)


def interval_loads(pipeline: Pipeline, device: int, order: Sequence[int]) -> Floats:
    """Return the load of each run order[start:end] on a device; ``inf`` for empty runs."""
    count = len(order)
    position = {group: index for index, group in enumerate(order)}
    seconds = pipeline.seconds[order, device]
    sums = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(seconds), seconds, 0.0))])
    loads = sums[None, :] - sums[:count, None]
    cannot = np.concatenate([[0], np.cumsum(np.isinf(seconds))])
    if pipeline.occupy[device]:
        for tensor in pipeline.tensors:
            places = [position[group] for group in tensor.groups]
            seen = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=count))])
            inside = seen[None, :] - seen[:count, None]
            loads += tensor.seconds * ((inside > 0) & (inside < len(places)))
    loads[(cannot[None, :] - cannot[:count, None]) > 0] = np.inf
    loads[np.arange(count)[:, None] >= np.arange(count + 1)[None, :]] = np.inf
    return np.asarray(loads / float(pipeline.replicas[device]))


def sweep_order(pipeline: Pipeline) -> list[int]:
    """Return an order of the groups with few hyperedges open at a time."""
    edges = [tensor.groups for tensor in pipeline.tensors if tensor.seconds > 0]
    orders = [_narrow_order(pipeline.groups, edges)]
    acyclic = pipeline.merge_cycles().groups == pipeline.groups
    if acyclic:
        orders += topological_orders(pipeline)

    def width(order: list[int]) -> float:
        position = {group: index for index, group in enumerate(order)}
        opened = np.zeros(len(order))
        for groups in edges:
            places = [position[group] for group in groups]
            opened[min(places) : max(places)] += 1
        return float((2.0**opened).sum())

    return min(orders, key=width)


def _narrow_order(count: int, edges: list[tuple[int, ...]]) -> list[int]:
    """Return the order that always takes the group that leaves the fewest hyperedges open."""
    of_group: list[list[int]] = [[] for _ in range(count)]
    for number, groups in enumerate(edges):
        for group in groups:
            of_group[group].append(number)
    left = [len(groups) for groups in edges]
    order: list[int] = []
    unseen = set(range(count))
    near: set[int] = set()
    while unseen:
        pool = near or {min(unseen, key=lambda group: (len(of_group[group]), group))}

        def opens(group: int) -> tuple[int, int]:
            new = sum(left[edge] == len(edges[edge]) for edge in of_group[group])
            done = sum(left[edge] == 1 for edge in of_group[group])
            return new - done, group

        group = min(pool, key=opens)
        order.append(group)
        unseen.discard(group)
        near.discard(group)
        for edge in of_group[group]:
            left[edge] -= 1
            near.update(other for other in edges[edge] if other in unseen)
    return order
