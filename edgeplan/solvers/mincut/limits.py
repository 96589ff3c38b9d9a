"""Limits that no plan on two devices can exceed: they are none.

What plans ask of a limit is a sum of charges like the objective, at other prices; so the graph of
`edgeplan.solvers.mincut.charges` bounds it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.problem import Problem
from edgeplan.solvers.mincut.charges import Prices, StreamPrices, build, cut_devices
from edgeplan.solvers.route_costs import on_dollars_per_second, on_watts


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit, and what plans ask of it at the most.

    Parameters
    ----------
    place
        The limit in words.
    largest, allowed
        What no plan that can run exceeds, and what the limit allows.
    unit
        Of both, for people.
    """

    place: str
    largest: float
    allowed: float
    unit: str

    @property
    def may_bind(self) -> bool:
        """Whether some plan might exceed it."""
        # Half of the evaluator's tolerance: sums here may be rounded.
        return self.largest > self.allowed * (1 + RELATIVE_TOLERANCE / 2)


def limits(problem: Problem) -> Iterator[Limit]:
    """Yield every limit of a problem."""
    for stream in problem.streams:
        if math.isfinite(stream.deadline_seconds):
            yield Limit(
                place=f"the deadline of stream '{stream.name[:80]}'",
                largest=build(
                    problem, Prices(streams={stream.name: StreamPrices(latency=1.0)})
                ).largest(),
                allowed=stream.deadline_seconds,
                unit="s",
            )
    for name in cut_devices(problem) or ():  # nothing is kept elsewhere
        if math.isfinite(problem.device[name].memory_bytes):
            yield Limit(
                place=f"the memory of device '{name[:80]}'",
                largest=_largest_memory(problem, name),
                allowed=problem.device[name].memory_bytes,
                unit="B",
            )
    yield from _load_limits(problem)
    yield from _spending_limits(problem)


def _largest_memory(problem: Problem, device: str) -> float:
    """Return the bytes of all weights that may be kept, and the largest activation beside them."""
    keeps = {
        (stream.network, layer)
        for stream in problem.streams
        for layer, devices in enumerate(problem.allowed(stream))
        if device in devices
    }
    weights = sum(problem.network[name].memory_bytes(layer, device) for name, layer in keeps)
    peaks = (problem.network[name].layers[layer].activation_bytes for name, layer in keeps)
    return float(weights + max(peaks, default=0))


def _load_limits(problem: Problem) -> Iterator[Limit]:
    """Yield the caps on the busy shares of devices and links, and the minimum rate at each."""
    resources: list[tuple[str, float, dict[str, StreamPrices]]] = []
    for device in problem.devices:
        prices = {
            s.name: StreamPrices(busy={device.name: s.rate_per_second / device.replicas})
            for s in problem.streams
        }
        resources.append((f"device '{device.name[:80]}'", device.utilisation_cap, prices))
    for link in problem.links:
        if problem.loads(link):
            ends = (link.source, link.target)
            prices = {s.name: StreamPrices(load={ends: s.rate_per_second}) for s in problem.streams}
            resources.append((f"link '{link.name[:80]}'", link.utilisation_cap, prices))
    capped = problem.capacity == "utilisation"
    rated = math.isfinite(problem.budgets.period_seconds)
    for name, cap, prices in resources if capped or rated else ():
        largest = build(problem, Prices(streams=prices)).largest()
        if capped:
            yield Limit(
                place=f"the utilisation cap of {name}", largest=largest, allowed=cap, unit="busy"
            )
        if rated:
            yield Limit(
                place=f"the minimum rate at {name}",
                largest=largest / problem.total_rate,
                allowed=problem.budgets.period_seconds,
                unit="s per request",
            )


def _spending_limits(problem: Problem) -> Iterator[Limit]:
    """Yield the budgets of power and money."""
    on = {device.name: on_watts(device) for device in problem.devices}
    everywhere = tuple(on)
    budgets: list[tuple[str, tuple[str, ...], float]] = [
        (f"the power budget of device '{d.name[:80]}'", (d.name,), d.power_budget_watts)
        for d in problem.devices
    ]
    budgets.append(("the power budget", everywhere, problem.budgets.power_watts))
    for place, names, allowed in budgets:
        if math.isfinite(allowed):
            prices = {
                s.name: StreamPrices(joule=dict.fromkeys(names, s.rate_per_second))
                for s in problem.streams
            }
            graph = build(problem, Prices(streams=prices, on={name: on[name] for name in names}))
            yield Limit(place=place, largest=graph.largest(), allowed=allowed, unit="W")
    if math.isfinite(problem.budgets.dollars_per_hour):
        hourly = {
            s.name: StreamPrices(
                joule={
                    d.name: 3600 * s.rate_per_second * d.dollars_per_joule for d in problem.devices
                },
                dollar=3600 * s.rate_per_second,
            )
            for s in problem.streams
        }
        on = {device.name: 3600 * on_dollars_per_second(device) for device in problem.devices}
        yield Limit(
            place="the money budget",
            largest=build(problem, Prices(streams=hourly, on=on)).largest(),
            allowed=problem.budgets.dollars_per_hour,
            unit="$/h",
        )
