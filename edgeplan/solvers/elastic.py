r"""The elastic program: the plan whose broken limits and rules are the cheapest to mend.

Every limit of the program reads "at most 1" of itself; here it may be exceeded, for a price per
share. A rule (privacy, a pin, a ban, layers that share a device, contiguity) and what is missing
(a link, a time) cannot give by degrees: it holds or is given up, for a price.

.. math::
    \min \sum_i p_i e_i + \sum_k p_k g_k, \qquad
    \text{limit}_i \le 1 + e_i, \qquad x \le g_k \text{ where } x \text{ breaks rule } k

The rows of the limits are those of the formulation itself, with the excess taken from their left
side. All else of the formulation (routes, flows, what a stream takes) is as it stands.

References
----------
Chinneck, "Feasibility and infeasibility in optimization", Springer 2008, chapters 6 and 7:
elastic programs, and elastic filtering.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgeplan.model.errors import InputError, SolverError
from edgeplan.model.evaluate import with_tolerance
from edgeplan.model.network import Network, SpanCosts
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Device, LayerRule, Privacy, Problem, Stream
from edgeplan.solvers.result import Stop

if TYPE_CHECKING:
    from edgeplan.model.formulation import Formulation
    from edgeplan.model.formulation.sets import Sets

Key = tuple[str | int, ...]
"""Kind of a statement and the names (of a rule also the index) that it is about."""

LIMITS: Mapping[str, str] = {
    "punctual": "deadline",
    "fitted": "memory",
    "device_capacity": "device capacity",
    "link_capacity": "link capacity",
    "device_power": "device power",
    "power": "power budget",
    "money": "money budget",
    "min_rate": "min rate",
}
"""Kinds of limits by the equations that state them."""


@dataclass(frozen=True, kw_only=True)
class ElasticResult:
    """What the elastic program ended with.

    Parameters
    ----------
    stop
        Why it stopped.
    plan
        The plan that is the cheapest to make feasible, or the best found; ``None`` for none.
    bound
        A lower bound on the price of a repair, or ``None``.
    infeasible
        Whether the statements that must not give leave no plan.
    seconds
        Wall time.
    message
        For people.
    """

    stop: Stop
    plan: Plan | None
    bound: float | None
    infeasible: bool
    seconds: float
    message: str


@dataclass(frozen=True, kw_only=True)
class Elastic:
    """The elastic program of a problem, solved by HiGHS.

    Parameters
    ----------
    prices
        By statement: the price of exceeding a limit by itself (that is, of doubling it), or of
        giving a rule up or adding what is missing. What is not named, or has an infinite price,
        must hold.
    time_limit
        Seconds, ``None`` for no limit.
    gap
        Relative gap at which a repair counts as the cheapest.
    threads, seed
        Of HiGHS.
    same
        Of limits that are one statement, all but one by key: the key of that one, which gives
        for all of them at its price.
    """

    prices: Mapping[Key, float]
    time_limit: float | None = None
    gap: float = 1e-6
    threads: int = 1
    seed: int = 0
    same: Mapping[Key, Key] = field(default_factory=dict)

    def solve(
        self,
        problem: Problem,
        *,
        opened: Problem | None = None,
        stop: threading.Event | None = None,
    ) -> ElasticResult:
        """Find the plan that is the cheapest to make feasible.

        Parameters
        ----------
        problem
            The problem as stated.
        opened
            The same with the links and times added that it lacks and that are priced.
        stop
            Setting it ends the run with what it has.
        """
        # The one way to run HiGHS that keeps incumbents and notices Ctrl-C.
        from edgeplan.model.formulation.arrays import compile_arrays
        from edgeplan.solvers.highs import Highs, Run

        began = time.monotonic()
        formulation = self.build(problem, opened=opened)
        if formulation.obstacles:
            return ElasticResult(
                stop=Stop.COMPLETED,
                plan=None,
                bound=None,
                infeasible=True,
                seconds=time.monotonic() - began,
                message="; ".join(formulation.obstacles),
            )
        ends = math.inf if self.time_limit is None else began + self.time_limit
        options = Highs(gap=self.gap, threads=self.threads, seed=self.seed)
        event = stop or threading.Event()
        arrays = compile_arrays(formulation.model)
        run = Run(options, formulation, arrays, began, ends, None, event)
        outcome = run.solve(None, presolve=True)
        if outcome.inconsistent or outcome.infeasible:
            outcome = run.solve(None, presolve=False)
        if outcome.inconsistent:
            raise SolverError("HiGHS claims a price that is not that of the repair it returned")
        return ElasticResult(
            stop=outcome.stop,
            plan=outcome.plan,
            bound=outcome.bound,
            infeasible=outcome.infeasible,
            seconds=time.monotonic() - began,
            message=outcome.message,
        )

    def build(self, problem: Problem, *, opened: Problem | None = None) -> Formulation:
        """Build the elastic program of a problem; see `solve` for the parameters.

        Raises
        ------
        InputError
            If requests wait in queues, or replicas or batches are to be chosen: the equations
            are those of a program that knows none of them.
        """
        if features := problem.load_features:
            raise InputError.at("problem", f"the elastic program knows no load: {features[0]}")
        import pyomo.environ as pyo

        from edgeplan.model.formulation import EQUATIONS, Formulation
        from edgeplan.model.formulation.sets import Sets
        from edgeplan.model.formulation.units import Units
        from edgeplan.model.formulation.variables import Program, add_variables

        class Places(Sets):
            """The sets of a problem in which a layer that does not fit by itself may run."""

            def _fits(self, network: Network, layer: int, device: Device) -> bool:
                return True

        class Shares(Units):
            """Units of a program whose objective is a price of shares: about 1 as it is."""

            objective = 1.0

        # Limits count as met where the evaluator says so; rules are stated anew below.
        stated = with_tolerance(opened or problem)
        free = dataclasses.replace(
            stated, streams=tuple(_without_rules(stream) for stream in stated.streams)
        )
        sets = Places(free)
        model: Any = pyo.ConcreteModel(name="edgeplan-elastic")
        program = Program(model, free, sets, Shares(sets))
        add_variables(model, sets)
        if sets.obstacles:
            return Formulation(model, program, sets.obstacles)
        price = {k: p for k, p in self.prices.items() if math.isfinite(p) and k not in self.same}
        model.excess = pyo.Var(
            [_name(key) for key in price if key[0] in LIMITS.values()],
            domain=pyo.NonNegativeReals,
        )
        model.given = pyo.Var(
            [_name(key) for key in price if key[0] not in LIMITS.values()], domain=pyo.Binary
        )

        def given(key: Key) -> Any:
            return model.given[_name(key)] if key in price else 0

        def elastic(name: str) -> Any:
            def rule(_: Any, *index: Any) -> Any:
                row = EQUATIONS[name].rule(program, *index)
                if isinstance(row, bool):  # no variable is left in it
                    return pyo.Constraint.Feasible if row else pyo.Constraint.Infeasible
                key = _limit(name, index)
                if (key := self.same.get(key, key)) in price:
                    body, limit = row.args
                    return body - model.excess[_name(key)] <= limit
                if name == "forwarded":
                    body, limit = row.args
                    return body <= limit + given(("contiguous",))
                return row

            return rule

        for name, equation in EQUATIONS.items():
            rows = pyo.Constraint(list(equation.indices(sets)), rule=elastic(name))
            model.add_component(f"eq_{name}", rows)
        model.rules = pyo.ConstraintList()
        for key, use in _breaking(problem, program, self.prices):
            model.rules.add(use <= given(key))
        cost = sum(price[key] * model.excess[_name(key)] for key in price if _limits(key))
        cost += sum(price[key] * model.given[_name(key)] for key in price if not _limits(key))
        model.price = pyo.Objective(expr=cost, sense=pyo.minimize)
        return Formulation(model, program, ())


def _limit(equation: str, index: tuple[str, ...]) -> Key:
    """Return the statement whose limit a row is; of no interest where it is none."""
    kind = LIMITS.get(equation, "")
    return (kind,) if kind in ("power budget", "money budget", "min rate") else (kind, *index)


def _without_rules(stream: Stream) -> Stream:
    return dataclasses.replace(stream, privacy=None, pins=(), bans=(), together=())


def _limits(key: Key) -> bool:
    return key[0] in LIMITS.values()


def _name(key: Key) -> str:
    # Pyomo would take a tuple as an index of several dimensions, different ones in one set.
    return repr(key)


def _breaking(problem: Problem, f: Any, prices: Mapping[Key, float]) -> Iterator[tuple[Key, Any]]:
    """Yield each choice that breaks a rule, or needs what is missing, with its statement."""
    for stream in problem.streams:
        slots = range(1, stream.route_limit + 1)
        for key, layer, device in _forbidden(f.problem, stream):
            for r in slots:
                if device in f.sets.permitted[stream.name][layer]:
                    yield key, f.chosen(stream.name, r, layer, device)
        index = problem.network[stream.network].layer_index
        for number, names in enumerate(stream.together):
            key = ("together", stream.name, number)
            group = sorted({index[name] for name in names})
            for layer in group[1:]:
                for r in slots:
                    yield from ((key, use) for use in _apart(f, stream.name, r, group[0], layer))
    for key in prices:
        if key[0] == "no link":
            yield from ((key, use) for use in _crossings(f, str(key[1]), str(key[2])))
        elif key[0] == "no time":
            yield from ((key, use) for use in _runs(problem, f, key))


def _forbidden(problem: Problem, stream: Stream) -> Iterator[tuple[Key, int, str]]:
    """Yield (rule, layer, device) for each place that a rule of a stream forbids."""
    bare = _without_rules(stream)
    free = problem.allowed(bare)
    rules: list[tuple[Key, Privacy | LayerRule]] = []
    if stream.privacy is not None:
        rules.append((("privacy", stream.name), stream.privacy))
    rules += [(("pin", stream.name, i), rule) for i, rule in enumerate(stream.pins)]
    rules += [(("ban", stream.name, i), rule) for i, rule in enumerate(stream.bans)]
    for key, rule in rules:
        if isinstance(rule, Privacy):
            ruled = dataclasses.replace(bare, privacy=rule)
        elif key[0] == "pin":
            ruled = dataclasses.replace(bare, pins=(rule,))
        else:
            ruled = dataclasses.replace(bare, bans=(rule,))
        for layer, (before, after) in enumerate(zip(free, problem.allowed(ruled), strict=True)):
            yield from ((key, layer, device) for device in before if device not in after)


def _apart(f: Any, s: str, r: int, first: int, layer: int) -> Iterator[Any]:
    """Yield what is 1 where two layers of a group are on different devices."""
    permitted = f.sets.permitted[s]
    for d in dict.fromkeys((*permitted[first], *permitted[layer])):
        here = f.chosen(s, r, first, d) if d in permitted[first] else 0
        there = f.chosen(s, r, layer, d) if d in permitted[layer] else 0
        yield there - here


def _crossings(f: Any, a: str, b: str) -> Iterator[Any]:
    """Yield the shares of requests that need a link."""
    sets: Sets = f.sets
    model = f.model
    yield from (model.step[key] for key in sets.steps if key[3:] == (a, b))
    yield from (model.flow[key] for key in sets.flows if key[4:] == (a, b))
    for s, r in sets.slots:
        stream = f.problem.stream[s]
        if stream.origin == a and b in sets.permitted[s][0]:
            yield model.place[s, r, 0, b]
        for tensor in sets.network(s).inputs:
            if sets.home(s, tensor) == a:
                for consumer in tensor.consumers:
                    if b in sets.permitted[s][consumer]:
                        yield model.place[s, r, consumer, b]
        for tensor in sets.returned(s):
            if stream.origin == b and a in sets.origins(s, tensor):
                yield f.moved(s, r, tensor, a, b)


def _runs(problem: Problem, f: Any, key: Key) -> Iterator[Any]:
    """Yield what runs where there is no time."""
    sets: Sets = f.sets
    _, name, device, *rest = key
    costs = problem.network[str(name)].costs.get(str(device))
    for s, r in sets.slots:
        if problem.stream[s].network != name:
            continue
        if isinstance(costs, SpanCosts):
            for i, j, d in sets.spans[s]:
                if d == device and math.isinf(costs.stage_seconds(i, j)):
                    yield f.model.run[s, r, i, j, d]
            continue
        layers = rest or range(len(sets.permitted[s]))
        for layer in layers:
            if device in sets.permitted[s][int(layer)]:
                yield f.chosen(s, r, int(layer), str(device))
