"""All plans that may be on a front, by dynamic programming over the streams.

A label is a choice of routes for the first streams: its values of the objectives so far, and the
state in which it leaves what the streams share (busy times and energy towards limits, memory,
which devices are on, which weights are kept). Of labels in the same state, one whose values
another's dominate is dropped: whatever the streams to come add, they add to both. What is left
after the last stream has every non-dominated image. Only equal states are compared, so that this
pays where states are few, as where whole requests take up room of devices; where there would be
too many labels it is not tried further.

Reference: Villarreal, Karwan: Multicriteria integer programming: a (hybrid) dynamic programming
recursive approach, Mathematical Programming 21 (1981).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, evaluate, route_price
from edgeplan.model.network import quotient_cycle
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Objective, Problem, Stream
from edgeplan.pareto.by_enumeration import EnumeratedBoxes
from edgeplan.pareto.objectives import Criterion, image
from edgeplan.solvers.enumerate.limits import Limits
from edgeplan.solvers.route_costs import on_objective, route_objective
from edgeplan.solvers.route_lists import count_routes, enumerate_routes

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST_ROUTES = 20_000
"""Most routes of all streams together; each is priced once, in about 50 µs."""
MOST_LABELS = 4_000_000
"""Most labels that one stream may lead to before dominated ones are dropped."""
MOST_PASSAGES = 2_000_000
"""Most pairs of a state and a route of the next stream."""
ADDITIVE = ("latency", "energy", "cost", "throughput")
"""The criteria whose sums over routes are known here."""


class TooManyError(Exception):
    """There are too many labels, or the sums here are not the evaluator's: use another way."""


@dataclass(frozen=True)
class _Routes:
    """Routes of a stream as rows: values of the objectives, and what each uses of the shared.

    ``used`` has a column per limit, ``on`` and ``activations`` one per device, ``kept`` one per
    pair of device and layer.
    """

    stream: Stream
    routes: list[Route]
    values: Floats
    used: Floats
    on: Floats
    kept: Floats
    weights: Floats
    activations: Floats


def obstacle(problem: Problem, criteria: Sequence[Criterion]) -> str:
    """Return why labels cannot be tried on a problem; empty where they can."""
    if problem.load_features:
        return problem.load_features[0]
    for stream in problem.streams:
        if stream.route_limit > 1:
            return f"stream '{stream.name[:80]}' may be dealt by fractions"
    for criterion in criteria:
        if criterion.name not in ADDITIVE:
            return f"'{criterion.name}' is not known to be a sum over streams"
    if sum(count_routes(problem, stream) for stream in problem.streams) > MOST_ROUTES:
        return "there are too many routes"
    return ""


class LabelledBoxes(EnumeratedBoxes):
    """The plans that may be on the front of a problem, with their images.

    Parameters
    ----------
    problem
        See `obstacle`.
    criteria
        The objectives.
    check
        Called often; may raise to end the search for labels.

    Raises
    ------
    TooManyError
        Where labels get too many.
    """

    def __init__(
        self,
        problem: Problem,
        criteria: Sequence[Criterion],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.plans = []
        images = []
        for plan in nondominated_plans(problem, criteria, check):
            evaluation = evaluate(problem, plan)
            if not evaluation.feasible:
                raise TooManyError
            self.plans.append(plan)
            images.append(image(evaluation, criteria))
        self.images = np.array(images, dtype=float).reshape(len(images), len(criteria))
        self.steps = (0.0,) * len(criteria)
        self.highest = (math.inf,) * len(criteria)


def nondominated_plans(
    problem: Problem, criteria: Sequence[Criterion], check: Callable[[], None]
) -> list[Plan]:
    """Return plans with every non-dominated image, by labels; see `LabelledBoxes`."""
    names = [criterion.name for criterion in criteria]
    priced = _with(problem, **{name: float(name in names) for name in ADDITIVE})
    alone = [_with(problem, **{name: 1.0}) for name in names]
    limits = Limits(priced)
    streams = []
    for stream in problem.streams:
        routes = _routes(problem, alone, limits, stream, check)
        if not routes.routes:
            return []
        streams.append(routes)
    shared = _Shared(problem, alone, limits, streams)
    labels = _Labels(problem, names, shared)
    for routes in streams:
        check()
        labels.extend(routes)
    return labels.plans(streams)


def _with(problem: Problem, **weights: float) -> Problem:
    none = dict.fromkeys(ADDITIVE, 0.0)
    objective = Objective(**{**none, **weights}, aggregate=problem.objective.aggregate)
    return dataclasses.replace(problem, objective=objective)


def _routes(
    problem: Problem,
    alone: Sequence[Problem],
    limits: Limits,
    stream: Stream,
    check: Callable[[], None],
) -> _Routes:
    network = problem.network[stream.network]
    latest = stream.deadline_seconds * (1 + RELATIVE_TOLERANCE)
    layers = len(network.layers)
    position = {device.name: index for index, device in enumerate(problem.devices)}
    routes, values, used, places = [], [], [], []
    for devices in enumerate_routes(problem, stream):
        check()
        if problem.contiguous and quotient_cycle(network, devices):
            continue
        route = Route(devices=devices)
        price = route_price(problem, stream, route)
        if not math.isfinite(price.latency_seconds) or price.latency_seconds > latest:
            continue
        routes.append(route)
        values.append([route_objective(one, stream, price) for one in alone])
        used.append(limits.used(stream, price))
        places.append([position[d] * layers + i for i, d in enumerate(devices)])
    count = len(routes)
    kept = np.zeros((count, len(position) * layers))
    if count:
        kept[np.arange(count)[:, None], np.array(places)] = 1.0
    placed = kept.reshape(count, len(position), layers)
    activation = np.array([layer.activation_bytes for layer in network.layers], dtype=float)
    bytes_ = np.array(
        [network.memory_bytes(i, device.name) for device in problem.devices for i in range(layers)],
        dtype=float,
    )
    return _Routes(
        stream=stream,
        routes=routes,
        values=np.array(values, dtype=float).reshape(count, len(alone)),
        used=np.array(used, dtype=float).reshape(count, len(limits.most)),
        on=placed.max(axis=2, initial=0.0),
        kept=kept,
        weights=bytes_,
        activations=(placed * activation).max(axis=2, initial=0.0),
    )


class _Shared:
    """What the streams share and that matters: the columns of a state.

    A state is a row: uses of limits; whether devices are on; kept (device, layer) pairs of
    networks that several streams run; bytes of weights and the peak activation of devices.
    """

    def __init__(
        self,
        problem: Problem,
        alone: Sequence[Problem],
        limits: Limits,
        streams: Sequence[_Routes],
    ) -> None:
        self.on_values = np.array(
            [[on_objective(one, device) for one in alone] for device in problem.devices]
        ).reshape(len(problem.devices), len(alone))
        self.limits = limits
        most_used = sum(routes.used.max(axis=0) for routes in streams) + limits.on.clip(0).sum(0)
        # A limit that no choice of routes can reach does not tell states apart.
        self.bound = (most_used > limits.most) | limits.loading
        self.most = limits.most[self.bound]
        self.on_uses = limits.on[:, self.bound]
        self.switched = (self.on_values > 0).any(axis=1) | (self.on_uses > 0).any(axis=1)
        self.memory = np.array([d.memory_bytes * (1 + RELATIVE_TOLERANCE) for d in problem.devices])
        full = sum(self._of_device(routes, routes.weights) for routes in streams)
        peak = np.max([routes.activations.max(axis=0) for routes in streams], axis=0)
        self.cramped = full + peak > self.memory
        self.devices = len(problem.devices)
        users: dict[str, int] = {}
        for routes in streams:
            users[routes.stream.network] = users.get(routes.stream.network, 0) + 1
        self.kept: dict[str, slice] = {}
        begin = 0
        if self.cramped.any():
            for routes in streams:
                name = routes.stream.network
                if users[name] > 1 and name not in self.kept:
                    self.kept[name] = slice(begin, begin + routes.kept.shape[1])
                    begin += routes.kept.shape[1]
        self.pairs = begin

    def _of_device(self, routes: _Routes, per_pair: Floats) -> Floats:
        """Return the sums per device of numbers per (device, layer) that some route keeps."""
        there = routes.kept.any(axis=0)
        count = routes.on.shape[1]
        return np.asarray((per_pair * there).reshape(count, -1).sum(axis=1))

    def first(self) -> Floats:
        """Return the state before any stream, as the one row."""
        width = len(self.most) + self.switched.sum() + self.pairs + 2 * self.cramped.sum()
        return np.zeros((1, int(width)))

    def after(self, states: Floats, routes: _Routes) -> tuple[Whole, Whole, Floats]:
        """Return the passages that hold the limits: state, route, and the state then."""
        old, way = np.divmod(np.arange(len(states) * len(routes.routes)), len(routes.routes))
        used, on, kept, weights, peaks = self._split(states)
        used_now = used[old] + routes.used[:, self.bound][way]
        on_now = np.maximum(on[old], routes.on[:, self.switched][way])
        fits = (used_now + on_now @ self.on_uses[self.switched] <= self.most).all(axis=1)
        kept_now = kept[old]
        added = routes.kept[way]
        if routes.stream.network in self.kept:
            here = self.kept[routes.stream.network]
            added = np.where(kept_now[:, here] > 0, 0.0, added)
            kept_now[:, here] = np.maximum(kept_now[:, here], routes.kept[way])
        layers = len(routes.weights) // self.devices
        new = (added * routes.weights).reshape(len(way), self.devices, layers).sum(axis=2)
        weights_now = weights[old] + new[:, self.cramped]
        peaks_now = np.maximum(peaks[old], routes.activations[:, self.cramped][way])
        fits &= (weights_now + peaks_now <= self.memory[self.cramped]).all(axis=1)
        after = np.hstack([used_now, on_now, kept_now, weights_now, peaks_now])
        return old[fits], way[fits], after[fits]

    def _split(self, states: Floats) -> list[Floats]:
        room = int(self.cramped.sum())
        widths = [len(self.most), int(self.switched.sum()), self.pairs, room, room]
        return np.split(states, np.cumsum(widths)[:-1], axis=1)

    def totals(self, states: Floats, names: Sequence[str], problem: Problem) -> Floats:
        """Return what states add to the values of labels: devices that are on, the period."""
        used, on, *_ = self._split(states)
        values = on @ self.on_values[self.switched]
        if "throughput" in names:
            busy = used[:, self.limits.loading[self.bound]].max(axis=1, initial=0.0)
            values[:, names.index("throughput")] += busy / problem.total_rate
        return np.asarray(values)


class _Labels:
    """The labels after some streams."""

    def __init__(self, problem: Problem, names: Sequence[str], shared: _Shared) -> None:
        self._problem = problem
        self._names = names
        self._shared = shared
        self._states = shared.first()
        self._state = np.zeros(1, dtype=np.int64)
        self._values = np.zeros((1, len(names)))
        # For each stream the label before and the route, by label.
        self._steps: list[tuple[Whole, Whole]] = []

    def extend(self, routes: _Routes) -> None:
        """Add a route of the next stream to every label."""
        if len(self._states) * len(routes.routes) > MOST_PASSAGES:
            raise TooManyError
        old, way, after = self._shared.after(self._states, routes)
        states, target = _distinct(after)
        # The passages of a state are next to each other, in its order.
        first = np.searchsorted(old, np.arange(len(self._states)))
        count = np.bincount(old, minlength=len(self._states))
        times = count[self._state]
        if times.sum() > MOST_LABELS:
            raise TooManyError
        label = np.repeat(np.arange(len(self._state)), times)
        begun = np.repeat(np.cumsum(times) - times, times)
        passage = first[self._state][label] + (np.arange(len(label)) - begun)
        values = self._values[label] + routes.values[way[passage]]
        kept = _best_of_each(target[passage], values)
        self._states = states
        self._state, self._values = target[passage][kept], values[kept]
        self._steps.append((label[kept], way[passage][kept]))

    def plans(self, streams: Sequence[_Routes]) -> list[Plan]:
        """Return the plans of the labels that no other dominates."""
        totals = self._shared.totals(self._states, self._names, self._problem)
        values = self._values + totals[self._state]
        label = _best_of_each(np.zeros(len(values), dtype=np.int64), values)
        routes = []
        for stream, (before, way) in zip(reversed(streams), reversed(self._steps), strict=True):
            routes.append([(stream.stream.name, stream.routes[w]) for w in way[label]])
            label = before[label]
        return [
            Plan(routes={name: (route,) for name, route in reversed(chosen)})
            for chosen in zip(*routes, strict=True)
        ]


def _distinct(rows: Floats) -> tuple[Floats, Whole]:
    """Return the distinct rows, and which of them each row is."""
    if not rows.shape[1]:
        return rows[:1], np.zeros(len(rows), dtype=np.int64)
    solid = np.ascontiguousarray(rows)
    keys = solid.view(np.dtype((np.void, solid.dtype.itemsize * solid.shape[1]))).ravel()
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], which.astype(np.int64)


def _best_of_each(group: Whole, values: Floats) -> Whole:
    """Return the indices of the rows that no other of their group dominates."""
    import moocore

    order = np.argsort(group, kind="stable")
    ordered = values[order]
    ends = np.flatnonzero(np.diff(group[order])) + 1
    kept = []
    for start, stop in zip([0, *ends], [*ends, len(order)], strict=True):
        if stop - start > 1:
            best = moocore.is_nondominated(ordered[start:stop], keep_weakly=False)
            kept.append(order[start:stop][best])
        elif stop > start:
            kept.append(order[start:stop])
    return np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
