"""Limits around the price of the cheapest of a few random plans."""

from __future__ import annotations

import dataclasses
import math

from edgeplan.instances.generators.draw import Draw, ceil3, round3
from edgeplan.instances.generators.plans import draw_plan
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Budgets, Problem

_REFERENCE_PLANS = 40


def with_limits(draw: Draw, problem: Problem, *, rate: bool) -> Problem:
    """Return the problem with limits around the cheapest of a few random plans.

    Parameters
    ----------
    draw
        The random choices.
    problem
        The problem without limits.
    rate
        Whether a minimum rate may be among them.
    """
    best: tuple[float, Plan, Evaluation] | None = None
    for number in range(_REFERENCE_PLANS):
        plan = draw_plan(draw, problem, 1 + number % 3)
        price = evaluate(problem, plan)
        if price.feasible and (best is None or price.objective < best[0]):
            best = (price.objective, plan, price)
    if best is None:
        # Nothing that can run was found; the problem is hard, or infeasible, as it stands.
        return dataclasses.replace(problem, capacity="utilisation")
    price = best[2]
    squeeze = draw.chance(0.35)

    def slack() -> float:
        """Draw a factor: a little above 1, or (in squeezed problems) perhaps below."""
        return draw.uniform(0.6, 1.1) if squeeze and draw.chance(0.5) else draw.uniform(1.02, 1.6)

    devices = []
    for device, load in zip(problem.devices, price.devices, strict=True):
        memory = device.memory_bytes
        if draw.chance(0.6):
            memory = float(math.ceil((load.memory_bytes or draw.bytes(1e6, 2e7)) * slack()))
        powered = bool(load.watts) and draw.chance(0.2)
        devices.append(
            dataclasses.replace(
                device,
                memory_bytes=memory,
                # Any finite mark: the figure follows below, from the final rates.
                power_budget_watts=1.0 if powered else math.inf,
            )
        )
    deadlines = {
        stream.name: ceil3(stream.latency_seconds * slack()) if draw.chance(0.5) else math.inf
        for stream in price.streams
    }
    # Load: scale all rates so that the busiest resource of the reference plan is this busy.
    capped = [
        load.utilisation / device.utilisation_cap
        for device, load in zip(problem.devices, price.devices, strict=True)
    ] + [
        load.utilisation / link.utilisation_cap
        for link, load in zip(problem.links, price.links, strict=True)
        if problem.loads(link)
    ]
    busiest = max(capped)
    limited = draw.chance(0.7)
    scale = draw.uniform(0.4, 0.95) / busiest if limited and busiest else 1.0
    limited = limited or busiest <= 1
    streams = tuple(
        dataclasses.replace(
            stream,
            rate_per_second=round3(stream.rate_per_second * scale),
            deadline_seconds=deadlines[stream.name],
        )
        for stream in problem.streams
    )
    loaded = dataclasses.replace(
        problem,
        devices=tuple(devices),
        streams=streams,
        capacity="utilisation" if limited else "none",
    )
    # Power and money follow the rates, so they are priced again.
    again = evaluate(loaded, best[1])
    power = math.fsum(load.watts for load in again.devices)
    devices = [
        dataclasses.replace(
            device,
            power_budget_watts=ceil3(load.watts * slack())
            if math.isfinite(device.power_budget_watts)
            else math.inf,
        )
        for device, load in zip(devices, again.devices, strict=True)
    ]
    hourly = 3600 * math.fsum(
        stream.rate_per_second * price.cost_dollars
        for stream, price in zip(streams, again.streams, strict=True)
    )
    budgets = Budgets(
        power_watts=ceil3(power * slack()) if power and draw.chance(0.2) else math.inf,
        dollars_per_hour=ceil3(hourly * slack()) if hourly and draw.chance(0.2) else math.inf,
    )
    if rate and again.period_seconds and draw.chance(0.4):
        least = round3(1 / (again.period_seconds * slack()))
        budgets = dataclasses.replace(budgets, min_rate_per_second=least)
    return dataclasses.replace(loaded, devices=tuple(devices), budgets=budgets)
