"""In what units the program counts: the one place where it is scaled.

HiGHS compares with absolute tolerances and drops entries below 1e-9 of nothing in particular, so
the program counts each quantity in a unit that makes its coefficients about 1:

* the times, bytes, joules and dollars of a stream in a unit of its own: the largest that a
  layer, a span or a tensor of it contributes (a deadline below that bounds the unit of time);
* memory in MiB, and each row of memory, load or budget divided by its limit, so that it reads
  "at most 1";
* the objective in a unit near its optimum: the price of every stream's cheapest compute, and at
  least a millionth of the largest coefficient.

Units are powers of two, so that scaling changes no digit of any coefficient.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from edgeplan.model.formulation.sets import Sets
from edgeplan.model.network import LayerCosts, Network
from edgeplan.model.problem import Device

MIB = float(2**20)
LARGEST_RATIO = 1e4
"""A deadline makes the unit of time at most so much smaller than the longest time."""
SMALLEST_RATIO = 1e-6
"""The unit of the objective is at least this share of the largest coefficient."""


def power_of_two(values: Iterable[float]) -> float:
    """Return the power of two at or above the largest positive finite value; 1 where none is.

    Examples
    --------
    >>> power_of_two([0.3, 5.0])
    8.0
    >>> power_of_two([0.0])
    1.0
    """
    top = max((value for value in values if value > 0 and math.isfinite(value)), default=1.0)
    return float(2.0 ** math.ceil(math.log2(top)))


def units(values: Mapping[str, Iterable[float]]) -> dict[str, float]:
    """Return a unit for each stream; one that has no positive value takes the smallest other.

    Examples
    --------
    >>> units({"a": [3.0], "b": [0.0], "c": [70.0]})
    {'a': 4.0, 'b': 4.0, 'c': 128.0}
    """
    positive = {s: [value for value in found if value > 0] for s, found in values.items()}
    least = min((power_of_two(found) for found in positive.values() if found), default=1.0)
    return {s: power_of_two(found) if found else least for s, found in positive.items()}


@dataclass(frozen=True)
class Stage:
    """What a layer (its boundary aside) or a span takes on a device, for one request.

    Parameters
    ----------
    seconds
        Time.
    joules, dollars
        Compute energy (above idle where the device charges idle) and price of time.
    """

    seconds: float
    joules: float
    dollars: float


def price(network: Network, device: Device, first: int, stop: int) -> Stage:
    """Return what layers ``first`` to ``stop - 1`` take on a device.

    With the cost form ``layers`` the boundary cost of a stage is not in.
    """
    costs = network.costs[device.name]
    if isinstance(costs, LayerCosts):
        seconds = math.fsum(costs.seconds[first:stop])
    else:
        seconds = costs.stage_seconds(first, stop)
    joules = costs.stage_joules(first, stop)
    dollars = costs.stage_dollars(first, stop)
    return Stage(
        seconds,
        device.compute_watts * seconds if joules is None else joules,
        device.dollars_per_second * seconds if dollars is None else dollars,
    )


@dataclass(frozen=True)
class Units:
    """Units of a problem's program.

    Parameters
    ----------
    sets
        Its index sets.
    objective_hint
        A price near the optimum where one is known, in the objective's units.
    """

    sets: Sets
    objective_hint: float | None = None

    @cached_property
    def seconds(self) -> dict[str, float]:
        """Seconds per unit of time, by stream."""
        problem = self.sets.problem
        units = {}
        for s in self.sets.streams:
            costs = self.sets.network(s).costs
            longest = power_of_two(
                [
                    *(stage.seconds for _, _, stage in self._stages(s)),
                    *(
                        item.boundary_seconds
                        for d, item in costs.items()
                        if isinstance(item, LayerCosts) and (s, d) in self.sets.stream_devices
                    ),
                    *(
                        problem.link[a, b].latency_seconds
                        for t, a, b in self.sets.crossed
                        if t == s
                    ),
                    *self._transfers(s),
                ]
            )
            deadline = power_of_two([problem.stream[s].deadline_seconds])
            if not math.isfinite(problem.stream[s].deadline_seconds):
                deadline = longest
            units[s] = min(longest, max(deadline, longest / power_of_two([LARGEST_RATIO])))
        return units

    @cached_property
    def bytes(self) -> dict[str, float]:
        """Bytes per unit of volume, by stream."""
        return units(
            {
                s: [
                    float(self.sets.tensor[s, name].bytes)
                    for name in dict.fromkeys(name for name, _, _ in moves)
                ]
                for s, moves in self.sets.moves.items()
            }
        )

    @cached_property
    def joules(self) -> dict[str, float]:
        """Joules per unit of energy, by stream."""
        problem = self.sets.problem
        return units(
            {
                s: [
                    *(stage.joules for _, _, stage in self._stages(s)),
                    *(
                        self.bytes[s] * max(link.send_joules_per_byte, link.receive_joules_per_byte)
                        for t, a, b in self.sets.carried
                        if t == s
                        for link in [problem.link[a, b]]
                    ),
                    *(
                        self.seconds[s] * problem.device[d].idle_watts
                        for t, d in self.sets.powered
                        if t == s and self.sets.waits_idle(s, d)
                    ),
                ]
                for s in self.sets.streams
            }
        )

    @cached_property
    def dollars(self) -> dict[str, float]:
        """Dollars per unit of money, by stream."""
        problem = self.sets.problem
        return units(
            {
                s: [
                    *(stage.dollars for _, _, stage in self._stages(s)),
                    *(
                        problem.device[d].dollars_per_request
                        for t, d in self.sets.stream_devices
                        if t == s
                    ),
                    *(
                        self.bytes[s] * problem.link[a, b].dollars_per_byte
                        for t, a, b in self.sets.carried
                        if t == s
                    ),
                    *(
                        self.joules[s] * problem.device[d].dollars_per_joule
                        for t, d in self.sets.powered
                        if t == s
                    ),
                ]
                for s in self.sets.streams
            }
        )

    @cached_property
    def period(self) -> float:
        """Seconds per unit of the period: a stream's time, weighted by its share of requests."""
        problem = self.sets.problem
        return power_of_two(
            problem.stream[s].rate_per_second / problem.total_rate * self.seconds[s]
            for s in self.sets.streams
        )

    @cached_property
    def objective(self) -> float:
        """Price per unit of the objective."""
        problem = self.sets.problem
        prices = problem.objective.prices
        largest = max(
            problem.share(problem.stream[s]) * p * unit
            for s in self.sets.streams
            for p, unit in zip(
                prices, (self.seconds[s], self.joules[s], self.dollars[s]), strict=True
            )
        )
        largest = max(largest, problem.objective.period_price * self.period)
        hint = self.objective_hint
        if hint is None:
            hint = math.fsum(
                problem.share(problem.stream[s]) * self._floor(s, prices) for s in self.sets.streams
            )
            if problem.objective.period_price > 0:
                hint += self._period_floor() * problem.objective.period_price
        if not 0 < hint < math.inf:
            return power_of_two([largest])
        return power_of_two([max(hint, largest * SMALLEST_RATIO)])

    def _period_floor(self) -> float:
        """Return the period of the cheapest compute, spread evenly over all replicas."""
        problem = self.sets.problem
        replicas = sum(problem.device[d].replicas for d in {d for _, d in self.sets.stream_devices})
        busy = math.fsum(
            problem.stream[s].rate_per_second * self._floor(s, (1.0, 0.0, 0.0))
            for s in self.sets.streams
        )
        return busy / problem.total_rate / replicas

    def _floor(self, stream: str, prices: tuple[float, float, float]) -> float:
        """Return the price of a stream's cheapest compute: a shortest path over its stages."""
        reached = [0.0] + [math.inf] * len(self.sets.permitted[stream])
        for first, stop, stage in self._stages(stream):
            values = (stage.seconds, stage.joules, stage.dollars)
            total = math.fsum(p * value for p, value in zip(prices, values, strict=True) if p)
            reached[stop] = min(reached[stop], reached[first] + total)
        return reached[-1]

    def _transfers(self, stream: str) -> Iterator[float]:
        """Yield the times of the transfers over each link that take the longest."""
        tensor = self.sets.tensor
        for (a, b), names in self.sets.moves_over[stream].items():
            moved = [tensor[stream, name] for name in names]
            link = self.sets.problem.link[a, b]
            # The times grow with the bytes: of those the largest is enough.
            yield max(item.bytes for item in moved) / link.bytes_per_second
            yield from (t for item in moved if (t := item.transfer_seconds) is not None)

    def taken(self, network: Network, device: Device, first: int, stop: int) -> Stage:
        """Return the `price` of a stage; streams of one network share it."""
        key = (network.name, device.name, first, stop)
        found = self._taken.get(key)
        if found is None:
            found = self._taken[key] = price(network, device, first, stop)
        return found

    @cached_property
    def _taken(self) -> dict[tuple[str, str, int, int], Stage]:
        return {}

    def _stages(self, stream: str) -> list[tuple[int, int, Stage]]:
        """Return (first, stop, price) of each layer, or of each span, in their order."""
        problem, sets = self.sets.problem, self.sets
        network = sets.network(stream)
        key = (network.name, sets.permitted[stream])
        if key in self._stage_lists:
            return self._stage_lists[key]
        if network.form == "spans":
            places = sets.spans[stream]
        else:
            places = tuple(
                (layer, layer + 1, d)
                for layer, devices in enumerate(sets.permitted[stream])
                for d in devices
            )
        found = [
            (first, stop, self.taken(network, problem.device[d], first, stop))
            for first, stop, d in sorted(places, key=lambda place: place[:2])
        ]
        self._stage_lists[key] = found
        return found

    @cached_property
    def _stage_lists(self) -> dict[tuple[object, ...], list[tuple[int, int, Stage]]]:
        """What `_stages` has returned: streams of one network mostly share it."""
        return {}
