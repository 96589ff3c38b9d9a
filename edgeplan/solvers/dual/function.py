"""The dual function of a problem and planes above it, in arrays.

A point is a vector of multipliers. For it each stream takes its cheapest relaxed route
(`PricedRoutes`) and each device keeps what pays; what these use are the slopes of the planes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from edgeplan.model.evaluate import RELATIVE_TOLERANCE
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.problem import Problem, Stream
from edgeplan.solvers.dual.routes import Floats, Integers, PricedRoutes, RoutePrices
from edgeplan.solvers.route_costs import on_dollars_per_second, on_watts

KEPT_PRICES = 300
"""Most prices of kept layers: layers in blocks share one where there would be more."""


@dataclass(frozen=True)
class Cut:
    """The dual function's part ``owner`` is nowhere above ``constant + slope @ point``."""

    owner: int
    constant: float
    slope: Floats

    def at(self, point: Floats) -> float:
        """Return the plane's height at a point."""
        return self.constant + float(self.slope @ point)


class DualFunction:
    """The dual function, of a vector of scaled multipliers.

    A point has a coordinate per multiplier that the problem has a use for. Its parts are the
    streams' cheapest routes and the devices' values; the limits' prices are subtracted.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.streams = [PricedRoutes(problem, stream) for stream in problem.streams]
        self.ends = [
            (self.streams[0].at[link.source], self.streams[0].at[link.target])
            for link in problem.links
        ]
        self.period_price = problem.objective.period_price
        # Bytes of each network's layers by device.
        self.sizes = {
            network.name: [
                np.array(
                    [float(network.memory_bytes(i, d.name)) for i in range(len(network.layers))]
                )
                for d in problem.devices
            ]
            for network in problem.networks
        }
        self._columns()
        self._kept()
        self.size = len(self.cost)
        self.parts = len(self.streams) + len(problem.devices)

    def _columns(self) -> None:
        """Set `place`, the columns of the multipliers by kind (-1 for none), and `cost`."""
        problem = self.problem
        capacity = problem.capacity == "utilisation"
        budgets = problem.budgets
        periods = self.period_price > 0 or math.isfinite(budgets.period_seconds)
        devices, links, inf = problem.devices, problem.links, math.inf
        loads = [problem.loads(link) for link in links]
        limits: dict[str, list[float]] = {
            "device_period": [1.0 if periods else inf for _ in devices],
            "link_period": [1.0 if periods and load else inf for load in loads],
            "device_busy": [d.utilisation_cap if capacity else inf for d in devices],
            "link_busy": [
                link.utilisation_cap if capacity and load else inf
                for link, load in zip(links, loads, strict=True)
            ],
            "memory": [device.memory_bytes for device in devices],
            "device_power": [device.power_budget_watts for device in devices],
            "deadline": [stream.deadline_seconds for stream in problem.streams],
            "power": [budgets.power_watts],
            "money": [budgets.dollars_per_hour / 3600],
            "min_rate": [budgets.period_seconds],
        }
        self.place: dict[str, Integers] = {}
        costs: list[float] = []
        for kind, values in limits.items():
            finite = np.isfinite(values)
            at = np.full(len(values), -1)
            at[finite] = len(costs) + np.arange(finite.sum())
            self.place[kind] = at
            free = kind in ("device_period", "link_period")
            costs += [
                0.0 if free else v * (1 + RELATIVE_TOLERANCE) for v in np.array(values)[finite]
            ]
        self.cost = np.array(costs)

    def _kept(self) -> None:
        """Add columns for the prices of layers kept: of blocks of layers where there are many.

        A price is a block's profile times a coordinate; profiles are the layers' bytes, where
        memory is limited, and even, where the device costs something for being on.
        """
        problem = self.problem
        on = [bool(on_watts(d) or on_dollars_per_second(d)) for d in problem.devices]
        limited = [math.isfinite(device.memory_bytes) for device in problem.devices]
        pairs = sum(map(sum, zip(on, limited, strict=True))) * len(problem.streams)
        blocks = max(1, KEPT_PRICES // max(1, pairs))
        self.kept_at: list[tuple[Integers, Integers, Floats]] = []
        number = len(self.cost)
        for stream in problem.streams:
            network = problem.network[stream.network]
            layers, count = len(network.layers), len(problem.devices)
            rows: list[tuple[int, int, float]] = []
            for index, device in enumerate(problem.devices):
                sizes = self.sizes[network.name][index]
                number_of_blocks = min(blocks, layers)
                bounds = [layers * k // number_of_blocks for k in range(number_of_blocks + 1)]
                for first, last in pairwise(bounds):
                    even = on[index] or (limited[index] and last - first == 1)
                    profiles = []
                    if even:
                        profiles.append(np.full(last - first, 1.0 / layers))
                    if limited[index] and last - first > 1:
                        profiles.append(sizes[first:last] / device.memory_bytes)
                    for profile in profiles:
                        rows += [
                            (number, (first + k) * count + index, part)
                            for k, part in enumerate(profile)
                        ]
                        number += 1
            table = np.array(rows, dtype=float).reshape(len(rows), 3)
            self.kept_at.append(
                (table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2])
            )
        self.cost = np.append(self.cost, np.zeros(number - len(self.cost)))

    def start(self) -> Floats:
        """Return the point where the period is the even mean over the devices."""
        point = np.zeros(self.size)
        at = self.place["device_period"]
        if self.period_price and len(at := at[at >= 0]):
            point[at] = self.period_price / len(at)
        return point

    def magnitude(self) -> float:
        """Return what all devices cost for being on, in the objective's units."""
        return math.fsum(self._on(index)[0] for index in range(len(self.problem.devices)))

    def _of(self, point: Floats, kind: str) -> Floats:
        at = self.place[kind]
        return np.where(at >= 0, np.append(point, 0.0)[at], 0.0)

    def _kept_prices(self, point: Floats, number: int) -> Floats:
        columns, cells, parts = self.kept_at[number]
        routes = self.streams[number]
        size = routes.layers * routes.count
        found = np.bincount(cells, point[columns] * parts, minlength=size).astype(np.float64)
        return found.reshape(routes.layers, routes.count)

    def evaluate(self, point: Floats) -> tuple[float, list[Cut]]:
        """Return the dual function at a point and a cut for each part; ``inf`` without a route."""
        cuts = []
        value = -float(self.cost @ point)
        kept = [self._kept_prices(point, number) for number in range(len(self.streams))]
        for number, stream in enumerate(self.problem.streams):
            prices = self._prices(point, number, stream, kept[number])
            cost, devices = self.streams[number].cheapest(prices)
            if math.isinf(cost):
                return math.inf, []
            value += cost
            cuts.append(self._route_cut(number, stream, devices))
        for index in range(len(self.problem.devices)):
            cut = self._device_cut(point, index, kept)
            if cut is not None:
                value += cut.at(point)
                cuts.append(cut)
        return value, cuts

    def _prices(self, point: Floats, number: int, stream: Stream, kept: Floats) -> RoutePrices:
        problem = self.problem
        rate, share = stream.rate_per_second, problem.share(stream)
        second, joule, dollar = (share * price for price in problem.objective.prices)
        dollar += rate * float(self._of(point, "money")[0])
        electric = np.array([device.dollars_per_joule for device in problem.devices])
        watt = self._of(point, "device_power") + self._of(point, "power")[0]
        joules = joule + electric * dollar + rate * watt
        per_request = rate / problem.total_rate
        busy = per_request * self._of(point, "device_period") + rate * self._of(
            point, "device_busy"
        )
        link = per_request * self._of(point, "link_period") + rate * self._of(point, "link_busy")
        links = np.zeros((len(problem.devices),) * 2)
        for ends, price in zip(self.ends, link, strict=True):
            links[ends] = price
        return RoutePrices(
            latency=second + float(self._of(point, "deadline")[number]),
            waiting=self._waiting_watts(stream) * float(joules[self.streams[number].origin]),
            dollar=dollar,
            joule=joules,
            busy=busy,
            link_busy=links,
            kept=kept,
        )

    def _waiting_watts(self, stream: Stream) -> float:
        origin = self.problem.device[stream.origin]
        return origin.idle_watts if stream.waits and not origin.charge_idle else 0.0

    def _route_cut(self, number: int, stream: Stream, devices: Integers) -> Cut:
        problem, routes = self.problem, self.streams[number]
        used = routes.use(devices)
        rate, share = stream.rate_per_second, problem.share(stream)
        joules = used.joules.copy()
        joules[routes.origin] += self._waiting_watts(stream) * used.waiting
        electric = np.array([device.dollars_per_joule for device in problem.devices])
        dollars = used.dollars + float(electric @ joules)
        link = np.array([used.link_busy[ends] for ends in self.ends])
        uses = {
            "device_period": rate / problem.total_rate * used.busy,
            "link_period": rate / problem.total_rate * link,
            "device_busy": rate * used.busy,
            "link_busy": rate * link,
            "device_power": rate * joules,
            "power": np.array([rate * joules.sum()]),
            "money": np.array([rate * dollars]),
        }
        slope = np.zeros(self.size)
        for kind, amounts in uses.items():
            at = self.place[kind]
            slope[at[at >= 0]] = amounts[at >= 0]
        if (at := self.place["deadline"][number]) >= 0:
            slope[at] = used.latency
        columns, cells, parts = self.kept_at[number]
        here = devices[cells // routes.count] == cells % routes.count
        slope += np.bincount(columns[here], parts[here], minlength=self.size)
        second, joule, dollar = problem.objective.prices
        price = second * used.latency + joule * float(joules.sum()) + dollar * dollars
        return Cut(number, share * price, slope)

    def _device_cut(self, point: Floats, index: int, kept: list[Floats]) -> Cut | None:
        """Return the cut of what a device keeps: nothing, or what pays; ``None`` for nothing."""
        problem = self.problem
        paid: dict[str, Floats] = {}
        for stream, prices in zip(problem.streams, kept, strict=True):
            paid[stream.network] = prices[:, index] + paid.get(stream.network, 0.0)
        memory = self.place["memory"][index]
        byte = float(point[memory]) if memory >= 0 else 0.0
        constant, on = self._on(index)
        best: tuple[float, dict[str, Integers]] | None = None
        lowest = -1e-15
        offers = []
        for name, prices in paid.items():
            network = problem.network[name]
            sizes = self.sizes[name][index]
            gains = prices - byte * sizes
            for layer in map(int, np.flatnonzero(gains > 0)):
                activation = float(network.layers[layer].activation_bytes)
                offers.append((activation, float(gains[layer]), name, layer, float(sizes[layer])))
        offers.sort()
        cost = constant + float(on @ point)
        won = size = 0.0
        chosen: dict[str, list[int]] = defaultdict(list)
        for activation, gain, name, layer, own in offers:
            won += gain
            size += own
            chosen[name].append(layer)
            if (total := cost + byte * activation - won) < lowest:
                lowest = total
                best = (activation + size, {n: np.array(x) for n, x in chosen.items()})
        if best is None:
            return None
        slope = on.copy()
        if memory >= 0:
            slope[memory] += best[0]
        for number, stream in enumerate(problem.streams):
            columns, cells, parts = self.kept_at[number]
            routes = self.streams[number]
            held = np.zeros(routes.layers, dtype=np.bool_)
            held[best[1].get(stream.network, [])] = True
            here = (cells % routes.count == index) & held[cells // routes.count]
            slope -= np.bincount(columns[here], parts[here], minlength=self.size)
        return Cut(len(self.streams) + index, constant, slope)

    def _on(self, index: int) -> tuple[float, Floats]:
        """Return what a device costs for being on: without multipliers, and per multiplier."""
        problem = self.problem
        device = problem.devices[index]
        watts, dollars = on_watts(device), on_dollars_per_second(device)
        shares = math.fsum(problem.share(stream) for stream in problem.streams)
        _, joule, dollar = problem.objective.prices
        slope = np.zeros(self.size)
        for kind, at, amount in (
            ("device_power", index, watts),
            ("power", 0, watts),
            ("money", 0, dollars),
        ):
            if (column := self.place[kind][at]) >= 0:
                slope[column] = amount
        return shares / problem.total_rate * (joule * watts + dollar * dollars), slope

    def multipliers(self, point: Floats) -> Multipliers:
        """Return a point as multipliers by name."""
        problem = self.problem
        min_rate = float(self._of(point, "min_rate")[0])
        period = self.period_price + min_rate
        names = [device.name for device in problem.devices]
        ends = [(link.source, link.target) for link in problem.links]
        of = {kind: self._of(point, kind) for kind in self.place}
        shares = float(of["device_period"].sum() + of["link_period"].sum())
        if shares > 0:
            of["device_period"] = of["device_period"] / max(period, shares)
            of["link_period"] = of["link_period"] / max(period, shares)

        def named(kind: str, keys: list[Any]) -> dict[Any, float]:
            return {k: float(v) for k, v in zip(keys, of[kind], strict=True) if v > 0}

        kept = {
            stream.name: {
                name: tuple(map(float, row))
                for name, row in zip(names, self._kept_prices(point, number).T, strict=True)
                if row.any()
            }
            for number, stream in enumerate(problem.streams)
        }
        return Multipliers(
            device_period=named("device_period", names),
            link_period=named("link_period", ends),
            device_busy=named("device_busy", names),
            link_busy=named("link_busy", ends),
            memory=named("memory", names),
            device_power=named("device_power", names),
            deadline=named("deadline", [stream.name for stream in problem.streams]),
            power=float(of["power"][0]),
            money=float(of["money"][0]),
            min_rate=min_rate,
            kept={stream: rows for stream, rows in kept.items() if rows},
        )
