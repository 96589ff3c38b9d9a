"""Cuts that an earlier cut dominates."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.network import LayerCosts, Network, Tensor
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.reductions.places import permitted

Charge = NDArray[np.float64]
"""Seconds, joules, dollars, and seconds of compute at the origin."""


def join_dominated_cuts(problem: Problem) -> Problem:
    """Put two layers of a chain together where cutting between them never pays.

    It never does where the cut one layer earlier is no worse in latency, energy and cost, for
    each pair of devices and each device of the layer before; cuts then move forward to the first
    that is worth it. For networks with layer times, where what is cut is the one tensor of the
    chain, and where neither the load nor the power of single devices matters and memory on the
    later device has no limit.

    Keeps for every feasible plan one that is no worse in latency, energy and cost, and so every
    non-dominated image and the optimum; plans need no way back.
    """
    if (
        problem.capacity != "none"
        or problem.load_features
        or problem.objective.period_price > 0
        or math.isfinite(problem.budgets.period_seconds)
        or any(math.isfinite(device.power_budget_watts) for device in problem.devices)
    ):
        return problem
    streams = tuple(_joined(problem, stream) for stream in problem.streams)
    if all(new is old for new, old in zip(streams, problem.streams, strict=True)):
        return problem
    return dataclasses.replace(problem, streams=streams)


def _joined(problem: Problem, stream: Stream) -> Stream:
    network = problem.network[stream.network]
    if network.form != "layers":
        return stream
    bound = {layer for group in problem.groups(stream) for layer in group}
    places, charges = permitted(problem)[stream.name], _Charges(problem, stream, network)
    joined = tuple(
        (network.layers[layer].name, network.layers[layer + 1].name)
        for layer in range(len(network.layers) - 1)
        if layer not in bound and layer + 1 not in bound and charges.dominated(layer, places)
    )
    return dataclasses.replace(stream, together=(*stream.together, *joined)) if joined else stream


@dataclass(frozen=True)
class _Charges:
    """What parts of a route of a stream cost."""

    problem: Problem
    stream: Stream
    network: Network

    def dominated(self, layer: int, places: tuple[tuple[str, ...], ...]) -> bool:
        """Whether the cut after a layer is never better than the one before it."""
        tensors = self._chained(layer)
        if tensors is None or not all(map(self._roomy, places[layer + 1])):
            return False
        coming, going = tensors
        before = places[layer - 1] if layer else (self.stream.origin,)
        for a, b in itertools.product(places[layer], places[layer + 1]):
            if a == b or not self._linked(a, b):
                continue
            for c in before:
                if not self._linked(c, a):
                    continue
                if b not in places[layer] or not self._linked(c, b):
                    return False
                # The stage on b begins a layer earlier; on a none does where this was its only.
                late = self._run(a, layer) + self._move(c, a, coming) + self._move(a, b, going)
                late = late + self._start(b) + self._start(a) * (c != a or layer == 0)
                early = self._run(b, layer) + self._move(c, b, coming)
                early = early + self._start(b) * (c != b or layer == 0)
                if (self._total(early) > self._total(late)).any():
                    return False
        return True

    def _chained(self, layer: int) -> tuple[Tensor, Tensor] | None:
        """Return what comes to a layer and what goes to the next, where that is one tensor each."""
        network = self.network
        ends = (network.read_by[layer], network.made_by[layer], network.read_by[layer + 1])
        read, made, next_read = ([network.tensors[index] for index in found] for found in ends)
        if len(read) != 1 or len(made) != 1 or next_read != made:
            return None
        coming, going = read[0], made[0]
        if coming.output or going.output:
            return None
        if coming.consumers != (layer,) or going.consumers != (layer + 1,):
            return None
        if layer == 0:
            home = self.stream.homes.get(coming.name, self.stream.origin)
            return (coming, going) if home == self.stream.origin else None
        return (coming, going) if coming.producer == layer - 1 else None

    def _roomy(self, device: str) -> bool:
        return math.isinf(self.problem.device[device].memory_bytes)

    def _linked(self, source: str, target: str) -> bool:
        return source == target or (source, target) in self.problem.link

    def _charge(self, device: str, seconds: float, joules: float, dollars: float) -> Charge:
        dollars += self.problem.device[device].dollars_per_joule * joules
        at_origin = seconds if device == self.stream.origin else 0.0
        return np.array([seconds, joules, dollars, at_origin])

    def _run(self, device: str, layer: int) -> Charge:
        item, costs = self.problem.device[device], self._costs(device)
        seconds = costs.seconds[layer]
        return self._charge(
            device,
            seconds,
            item.compute_watts * seconds if costs.joules is None else costs.joules[layer],
            item.dollars_per_second * seconds if costs.dollars is None else costs.dollars[layer],
        )

    def _start(self, device: str) -> Charge:
        item, costs = self.problem.device[device], self._costs(device)
        seconds = costs.boundary_seconds
        return self._charge(
            device,
            seconds,
            item.compute_watts * seconds if costs.joules is None else 0.0,
            item.dollars_per_request
            + (item.dollars_per_second * seconds if costs.dollars is None else 0.0),
        )

    def _costs(self, device: str) -> LayerCosts:
        costs = self.network.costs[device]
        assert isinstance(costs, LayerCosts)
        return costs

    def _move(self, source: str, target: str, tensor: Tensor) -> Charge:
        if source == target:
            return np.zeros(4)
        link, device = self.problem.link[source, target], self.problem.device
        sent = tensor.bytes * link.send_joules_per_byte
        received = tensor.bytes * link.receive_joules_per_byte
        dollars = tensor.bytes * link.dollars_per_byte
        dollars += device[source].dollars_per_joule * sent
        dollars += device[target].dollars_per_joule * received
        seconds = link.latency_seconds + tensor.seconds_at(link.bytes_per_second)
        return np.array([seconds, sent + received, dollars, 0.0])

    def _total(self, charge: Charge) -> Charge:
        """Return seconds, joules and dollars, with what the origin draws while it waits."""
        origin = self.problem.device[self.stream.origin]
        seconds, joules, dollars, at_origin = charge
        if self.stream.waits and not origin.charge_idle:
            idle = origin.idle_watts * (seconds - at_origin)
            joules, dollars = joules + idle, dollars + origin.dollars_per_joule * idle
        return np.array([seconds, joules, dollars])
