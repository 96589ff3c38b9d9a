"""Put the program of a problem together, and read plans out of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyomo.environ as pyo

from edgeplan.model.errors import InputError
from edgeplan.model.formulation.constraints import EQUATIONS
from edgeplan.model.formulation.objective import TERMS
from edgeplan.model.formulation.registry import Equation
from edgeplan.model.formulation.sets import Sets
from edgeplan.model.formulation.units import Units
from edgeplan.model.formulation.variables import Program, add_variables
from edgeplan.model.network import Network
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem

SMALLEST_FRACTION = 1e-7
"""A route with a smaller share of the requests is rounding noise, and is dropped."""


@dataclass(frozen=True)
class Formulation:
    """The program of a problem.

    Parameters
    ----------
    model
        The Pyomo model: extend it with constraints of your own, hand it to any solver.
    program
        The data behind it: problem, index sets, units.
    obstacles
        Why there is no plan, where that shows without a search; the model then has variables
        but no rows.
    """

    model: Any
    program: Program
    obstacles: tuple[str, ...]

    @property
    def objective_unit(self) -> float:
        """Price per unit of the model's objective value."""
        return self.program.units.objective

    def extract(self, value: Callable[[Any], float | None]) -> Plan:
        """Read a plan out of the values of the model's variables.

        Parameters
        ----------
        value
            Returns a variable's value, ``None`` where it has none (it is then taken as 0).

        Returns
        -------
        Plan
            Each layer where most of its choice lies; fractions cleaned of rounding noise,
            adding up to 1; equal routes merged.
        """
        sets, model = self.program.sets, self.model
        routes: dict[str, dict[tuple[str, ...], float]] = {s: {} for s in sets.streams}
        for s, r in sets.slots:
            fraction = 1.0 if s not in sets.split else value(model.fraction[s, r]) or 0.0
            devices = tuple(
                max(places, key=lambda d: value(self.program.chosen(s, r, layer, d)) or 0.0)
                for layer, places in enumerate(sets.permitted[s])
            )
            routes[s][devices] = routes[s].get(devices, 0.0) + fraction
        return Plan(routes={s: _routes(found) for s, found in routes.items()})

    def values(self, plan: Plan) -> list[tuple[Any, float]]:
        """Return the values of the 0/1 variables and fractions that stand for a plan.

        Empty where the plan puts a layer where the program has no place for it.
        """
        sets, model = self.program.sets, self.model
        found: list[tuple[Any, float]] = []
        for s in sets.streams:
            routes = sorted(plan.routes[s], key=lambda route: -route.fraction)
            for route in routes:
                if any(d not in sets.permitted[s][k] for k, d in enumerate(route.devices)):
                    return []
            for r in range(1, sets.problem.stream[s].route_limit + 1):
                # A slot without requests follows the first route: it asks for nothing more.
                route = routes[r - 1] if r <= len(routes) else routes[0]
                fraction = route.fraction if r <= len(routes) else 0.0
                if s in sets.split:
                    found.append((model.fraction[s, r], fraction))
                for layer, places in enumerate(sets.permitted[s]):
                    for d in places:
                        here = float(route.devices[layer] == d)
                        found.append((self.program.chosen(s, r, layer, d), here))
                order = _order(sets.network(s), route.devices, sets.used(s))
                if not order and s in sets.split:
                    # Flows below 1/2 would pass either way: any whole order shows the circle.
                    order = {d: index for index, d in enumerate(sets.used(s))}
                for z, slot, a, b in sets.ordered_pairs if order else ():
                    if (z, slot) == (s, r):
                        found.append((model.before[z, slot, a, b], float(order[a] < order[b])))
        return found


def build(
    problem: Problem,
    *,
    objective_hint: float | None = None,
    equations: Mapping[str, Equation] = EQUATIONS,
    terms: Mapping[str, Equation] = TERMS,
) -> Formulation:
    """Build the mixed-integer program of a problem.

    Parameters
    ----------
    problem
        What is to be planned.
    objective_hint
        A price near the optimum where one is known: the objective is scaled by it.
    equations, terms
        The registered mathematics; tests pass broken ones.

    Returns
    -------
    Formulation
        Its feasible points are the plans that `evaluate` finds without violation (where a stream
        may be split: at most ``max_routes`` routes), and the objective is their price.

    Raises
    ------
    InputError
        If requests wait in queues, or replicas or batches are to be chosen.

    Notes
    -----
    The choice of a device for each layer is 0/1, all else is continuous: once the choices are
    whole, the flows between layers and the flows of tensors are determined. There is no big-M.
    The step and flow variables are those of the linearisation with marginals (Adams and Sherali,
    Management Science 32, 1986); the fractions enter through the perspective of the choice
    (Günlük and Linderoth, Mathematical Programming 124, 2010).
    """
    if problem.load_features:
        raise InputError.at("problem", f"this program knows no load: {problem.load_features[0]}")
    sets = Sets(problem)
    model = pyo.ConcreteModel(name="edgeplan")
    program = Program(model, problem, sets, Units(sets, objective_hint))
    add_variables(model, sets)
    if sets.obstacles:
        return Formulation(model, program, sets.obstacles)
    for name, equation in equations.items():
        rows = pyo.Constraint(list(equation.indices(sets)), rule=_rule(program, equation))
        model.add_component(f"eq_{name}", rows)
    price = sum(item.rule(program) for item in terms.values())
    model.price = pyo.Objective(expr=price, sense=pyo.minimize)
    return Formulation(model, program, ())


def _rule(program: Program, equation: Equation) -> Callable[..., Any]:
    def rule(_: Any, *index: Any) -> Any:
        row = equation.rule(program, *index)
        if isinstance(row, bool):  # no variable is left in it
            return pyo.Constraint.Skip if row else pyo.Constraint.Infeasible
        return row

    return rule


def _order(network: Network, route: tuple[str, ...], devices: tuple[str, ...]) -> dict[str, int]:
    """Return a position for each device so that tensors move forward; empty where none does."""
    after: dict[str, set[str]] = {d: set() for d in devices}
    for made, read in {(route[a], route[b]) for a, b in network.edges}:
        if made != read:
            after[made].add(read)
    order: dict[str, int] = {}
    while rest := [d for d in devices if d not in order]:
        free = [d for d in rest if not any(d in after[other] for other in rest)]
        if not free:
            return {}
        order[free[0]] = len(order)
    return order


def _routes(found: Mapping[tuple[str, ...], float]) -> tuple[Route, ...]:
    """Return routes by falling fraction, without noise and adding up to 1."""
    used = {devices: f for devices, f in found.items() if f > SMALLEST_FRACTION}
    if not used:  # nothing but noise: keep the largest
        used = {max(found, key=lambda devices: found[devices]): 1.0}
    total = math.fsum(used.values())
    order = sorted(used, key=lambda devices: (-used[devices], devices))
    return tuple(Route(devices=devices, fraction=used[devices] / total) for devices in order)
