"""What a front may trade: criteria, each a number of a plan that is to be small.

A new one registers itself with `register`; everything else knows criteria by their names only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeplan.model.errors import Fault, InputError
from edgeplan.model.evaluate import Evaluation
from edgeplan.model.problem import Objective, Problem

MOST_CRITERIA = 4
"""How many criteria a front may have at most."""


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """One number of a plan that is to be small.

    Parameters
    ----------
    name
        As people ask for it: ``latency``.
    key
        As files and tables have it, with its unit: ``latency_seconds``.
    unit
        The SI unit as a symbol: ``s``, ``J``, ``$``.
    value
        Takes it from the evaluator's word on a plan.
    weights
        From the instance's objective to the fields of the `Objective` that is this criterion
        alone: weight 1, denominator 1, the instance's ``aggregate``.
    """

    name: str
    key: str
    unit: str
    value: Callable[[Evaluation], float]
    weights: Callable[[Objective], Mapping[str, Any]]

    def alone(self, problem: Problem) -> Problem:
        """Return the problem with this criterion as its only objective."""
        objective = Objective(**self.weights(problem.objective))
        return dataclasses.replace(problem, objective=objective)

    def show(self, value: float) -> str:
        """Return a value for people: four digits and the unit.

        Examples
        --------
        >>> CRITERIA["latency"].show(0.01234567), CRITERIA["cost"].show(0.0)
        ('12.35 ms', '0 $')
        """
        factor, prefix = prefix_of(value)
        return f"{value / factor:.4g} {prefix}{self.unit}"


def prefix_of(value: float) -> tuple[float, str]:
    """Return the SI prefix that shows a value best, with its factor.

    Examples
    --------
    >>> prefix_of(0.02), prefix_of(7.0)
    ((0.001, 'm'), (1.0, ''))
    """
    # What is printed as 1000 of a unit is 1 of the next.
    size = abs(value) * 1.00005
    return next(((factor, name) for factor, name in _PREFIXES if size >= factor), (1.0, ""))


_PREFIXES = ((1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))

CRITERIA: dict[str, Criterion] = {}
"""The criteria by name, in the order in which they registered."""


def register(criterion: Criterion) -> Criterion:
    """Make a criterion known.

    Parameters
    ----------
    criterion
        With a name and a key that no other has.

    Returns
    -------
    Criterion
        The same.

    Raises
    ------
    ValueError
        If its name or its key is taken.
    """
    for other in CRITERIA.values():
        if criterion.name == other.name or criterion.key == other.key:
            raise ValueError(f"there is a criterion '{other.name}' with key '{other.key}' already")
    CRITERIA[criterion.name] = criterion
    return criterion


def criteria(names: Sequence[str]) -> tuple[Criterion, ...]:
    """Return the criteria of the given names, in their order.

    Raises
    ------
    InputError
        If one is unknown or named twice, or they are fewer than one or more than four.

    Examples
    --------
    >>> [criterion.key for criterion in criteria(["latency", "cost"])]
    ['latency_seconds', 'cost_dollars']
    """
    faults = []
    for index, name in enumerate(names):
        place = f"objectives[{index}]"
        if name not in CRITERIA:
            known = ", ".join(CRITERIA)
            faults.append(Fault(place, f"there is no objective '{name[:80]}'; choose from {known}"))
        elif name in names[:index]:
            faults.append(Fault(place, f"'{name}' is named twice"))
    if not 1 <= len(names) <= MOST_CRITERIA:
        faults.append(
            Fault("objectives", f"must be 1 to {MOST_CRITERIA} objectives, not {len(names)}")
        )
    if faults:
        raise InputError(faults)
    return tuple(CRITERIA[name] for name in names)


def image(evaluation: Evaluation, chosen: Sequence[Criterion]) -> tuple[float, ...]:
    """Return a plan's values of the given criteria, in SI units, by the evaluator's word."""
    return tuple(float(criterion.value(evaluation)) for criterion in chosen)


def _weights_of(name: str) -> Callable[[Objective], Mapping[str, Any]]:
    """Return the weights that price a term of `Objective` alone."""
    zero = {"latency": 0.0, "energy": 0.0, "cost": 0.0, "throughput": 0.0}

    def weights(objective: Objective) -> Mapping[str, Any]:
        return {**zero, name: 1.0, "aggregate": objective.aggregate}

    return weights


LATENCY = register(
    Criterion(
        name="latency",
        key="latency_seconds",
        unit="s",
        value=lambda evaluation: evaluation.latency_seconds,
        weights=_weights_of("latency"),
    )
)
ENERGY = register(
    Criterion(
        name="energy",
        key="energy_joules",
        unit="J",
        value=lambda evaluation: evaluation.energy_joules,
        weights=_weights_of("energy"),
    )
)
COST = register(
    Criterion(
        name="cost",
        key="cost_dollars",
        unit="$",
        value=lambda evaluation: evaluation.cost_dollars,
        weights=_weights_of("cost"),
    )
)
# More throughput is better: the value is the period, seconds per average request of the most
# loaded resource.
THROUGHPUT = register(
    Criterion(
        name="throughput",
        key="period_seconds",
        unit="s",
        value=lambda evaluation: evaluation.period_seconds,
        weights=_weights_of("throughput"),
    )
)
