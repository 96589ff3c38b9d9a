"""What numbers of replicas cost, how they share waits, and how steeply waiting is paid for."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from edgeplan.model.formulation.queueing import Columns, State
from edgeplan.model.formulation.queueing.sets import Floats
from edgeplan.model.problem import Problem
from edgeplan.model.queueing import QueueKey, wait_factor
from edgeplan.solvers.route_costs import on_objective


def count_price(problem: Problem, key: QueueKey, replicas: int) -> float:
    """Return what so many replicas of a device that is on add to the objective."""
    kind, name = key
    if kind != "device":
        return 0.0
    device = problem.device[name]
    return on_objective(problem, dataclasses.replace(device, replicas=replicas, max_replicas=None))


def shared_factor(replicas: int, rho: Floats) -> Floats:
    """Return `wait_factor` of replicas that share a queue, at many utilisations."""
    blocked = np.ones_like(rho)
    load = replicas * rho
    for number in range(1, replicas + 1):
        blocked = load * blocked / (number + load * blocked)
    chance = replicas * blocked / (replicas - load * (1 - blocked))
    idle = wait_factor(replicas, "shared", 0.0)
    rho = np.where(rho > 0, rho, 1.0)
    found: Floats = np.where(
        load > 0, chance / (2 * replicas**2 * rho * np.maximum(1 - rho, 1e-300)), idle
    )
    return found


class Steepness:
    """Least price of waiters ÷ (1 − ρ) of a queue in a state: what `Sets.steep` wants.

    A queue whose wait is at least W has Σ(m/(2cW) + b/c) y ≥ 1. So much must come from
    somewhere: from the groups that bring it at the lowest price of waiters (or the lowest
    utilisation) first, each with no more than its most demanding route brings.
    """

    def __init__(self, problem: Problem, columns: Columns) -> None:
        self.problem = problem
        self.columns = columns
        price = columns.wait_price[columns.group[columns.column]] * columns.visits
        self.by_queue = []
        for q in range(len(columns.queues)):
            own = np.flatnonzero(columns.queue == q)
            group = columns.group[columns.column[own]]
            order = np.argsort(group, kind="stable")
            own, group = own[order], group[order]
            first = (
                np.flatnonzero(np.concatenate([[True], group[1:] != group[:-1]]))
                if len(own)
                else np.zeros(0, np.int64)
            )
            self.by_queue.append(
                (own, first, columns.sizes[group[first]].astype(float), price[own])
            )

    def __call__(self, queue: int, state: State) -> float:
        """Return it for a state of a queue; 0 where nothing is known."""
        key = self.columns.queues[queue]
        c = state.replicas
        shared = key[0] == "device" and self.problem.device[key[1]].dispatch == "shared"
        if state.low <= 0 or (shared and c > 1) or self.problem.waiting == "none":
            return 0.0
        own, first, sizes, price = self.by_queue[queue]
        if not len(own):
            return 0.0
        moment, busy = self.columns.moment[own], self.columns.busy[own]
        brought = (moment / (2 * state.low) + busy) / c
        if not (brought > 0).all():
            return 0.0
        supply = np.maximum.reduceat(brought, first) * sizes
        waiters = _least(np.minimum.reduceat(price / brought, first), supply)
        used = _least(np.minimum.reduceat(busy / c / brought, first), supply)
        if not (math.isfinite(waiters) and used < 1):
            return 0.0
        return waiters / (1 - used)


def _least(rate: Floats, supply: Floats) -> float:
    """Return the least Σ rate·x with Σ x = 1, 0 ≤ x ≤ supply; ``inf`` where supply is short."""
    order = np.argsort(rate, kind="stable")
    taken = np.minimum(np.cumsum(supply[order]), 1.0)
    if not len(taken) or taken[-1] < 1 - 1e-9:
        return math.inf
    parts = np.diff(np.concatenate([[0.0], taken]))
    return float(parts @ rate[order])
