"""What streams share: limits that only fill up as streams are added.

Columns are: each device's busy share and each link's, each device's watts; then all watts, then
dollars per second. Memory is apart, since weights are stored once for all streams.
Where the plan chooses numbers of replicas, devices have the most of them for their busy share and
the fewest for what they cost: a plan that exceeds a limit so exceeds it with any number.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeplan.model.evaluate import RELATIVE_TOLERANCE, RoutePrice
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.route_costs import on_dollars_per_second, on_watts, route_dollars

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SLACK = 1e-9
"""Sums here may differ from the evaluator's in their last digits. So much more, relatively, is
let pass, and the decision left to the evaluator."""


class Limits:
    """The limits that are there, as columns.

    Parameters
    ----------
    problem
        Whose limits.
    """

    most: Floats
    """By column: the limit, with the evaluator's tolerance."""
    on: Floats
    """By device and column: what the device uses by being on."""
    loading: Bools
    """By column: whether it is a busy share that a priced period covers."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        most, on = _limits(problem)
        loading = _loading(problem)
        self._kept = np.isfinite(most) | loading
        self.most, self.on, self.loading = most[self._kept], on[:, self._kept], loading[self._kept]
        self._device = {device.name: index for index, device in enumerate(problem.devices)}
        self._link = {
            (link.source, link.target): len(self._device) + index
            for index, link in enumerate(problem.links)
        }

    def used(self, stream: Stream, price: RoutePrice) -> Floats:
        """Return what a stream on a route uses of each, without waiting."""
        watts_at = len(self._device) + len(self._link)
        used = np.zeros(len(self._kept))
        for stage in price.stages:
            used[self._device[stage.device]] += stage.seconds / price.batch
        for name, seconds in price.occupied_seconds:
            used[self._device[name]] += seconds
        for transfer in price.transfers:
            used[self._link[transfer.source, transfer.target]] += (
                transfer.busy_seconds / price.batch
            )
        for name, joules in price.device_joules:
            used[watts_at + self._device[name]] += joules
            used[-2] += joules
        used[-1] = route_dollars(self._problem, price)
        for device, index in zip(self._problem.devices, self._device.values(), strict=True):
            used[index] /= device.replica_range[-1]
        used *= stream.rate_per_second
        return np.asarray(used[self._kept])

    def waiting(self, stream: Stream) -> Floats:
        """Return what the origin uses of each per second that a request of a stream waits."""
        used = np.zeros(len(self._kept))
        origin = self._problem.device[stream.origin]
        if stream.waits and not origin.charge_idle:
            watts = stream.rate_per_second * origin.idle_watts
            used[len(self._device) + len(self._link) + self._device[stream.origin]] = watts
            used[-2] = watts
            used[-1] = watts * origin.dollars_per_joule
        return np.asarray(used[self._kept])

    def per_column(self, of_devices: Floats) -> Floats:
        """Return numbers of devices (last axis) at the columns of their busy shares, else 1."""
        there = np.ones((*of_devices.shape[:-1], len(self._kept)))
        there[..., : len(self._device)] = of_devices
        return np.asarray(there[..., self._kept])


def _limits(problem: Problem) -> tuple[Floats, Floats]:
    """Return all limits, and what each device uses of them by being on."""
    capacity = problem.capacity == "utilisation"
    # The busy share at which a resource carries just the minimum rate.
    busiest = problem.total_rate * problem.budgets.period_seconds
    limits = [
        *(
            min(busiest, device.utilisation_cap if capacity else math.inf)
            for device in problem.devices
        ),
        *(
            min(busiest, link.utilisation_cap if capacity else math.inf)
            if problem.loads(link)
            else math.inf
            for link in problem.links
        ),
        *(device.power_budget_watts for device in problem.devices),
        problem.budgets.power_watts,
        problem.budgets.dollars_per_hour / 3600,
    ]
    on = np.zeros((len(problem.devices), len(limits)))
    watts = len(problem.devices) + len(problem.links)
    for index, device in enumerate(problem.devices):
        on[index, watts + index] = on_watts(device)
        on[index, -2] = on_watts(device)
        on[index, -1] = on_dollars_per_second(device)
    return np.array(limits) * (1 + RELATIVE_TOLERANCE) * (1 + SLACK), on


def _loading(problem: Problem) -> Bools:
    priced = problem.objective.period_price > 0
    return np.array(
        [
            *(priced for _ in problem.devices),
            *(priced and problem.loads(link) for link in problem.links),
            *(False for _ in problem.devices),
            False,
            False,
        ]
    )
