"""Rows of the program as LP text, for people and for the golden files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyomo.environ as pyo
from pyomo.repn.standard_repn import generate_standard_repn

from edgeplan.model.formulation.build import Formulation
from edgeplan.model.formulation.objective import TERMS
from edgeplan.model.formulation.registry import Equation


def equation_text(formulation: Formulation, name: str) -> str:
    """Return the rows of one equation, one a line, terms in the order of their names.

    Raises
    ------
    KeyError
        If there is no such equation.
    """
    component = formulation.model.component(f"eq_{name}")
    if component is None:
        raise KeyError(name)
    return "".join(f"{line}\n" for line in _rows(component))


def term_text(formulation: Formulation, name: str, term: Equation | None = None) -> str:
    """Return one term of the objective."""
    expression = (term or TERMS[name]).rule(formulation.program)
    return f"{name}: {_sum(generate_standard_repn(expression, compute_values=True))}\n"


def variables_text(formulation: Formulation) -> str:
    """Return every variable with its bounds and kind, one a line."""
    lines = []
    for variable in formulation.model.component_data_objects(pyo.Var, active=True):
        kind = "continuous" if variable.is_continuous() else "whole"
        upper = "inf" if variable.ub is None else f"{variable.ub:g}"
        lines.append(f"{variable.lb:g} <= {variable.name} <= {upper} {kind}\n")
    return "".join(lines)


def _rows(component: Any) -> Iterator[str]:
    for index in component:
        row = component[index]
        body = generate_standard_repn(row.body, compute_values=True)
        lower, upper = pyo.value(row.lower), pyo.value(row.upper)
        if lower is not None and upper is not None:
            sense, bound = "=", upper
        else:
            sense, bound = ("<=", upper) if lower is None else (">=", lower)
        side = _number(bound - body.constant)
        yield f"{row.name}: {_sum(body, constant=False)} {sense} {side}"


def _sum(body: Any, *, constant: bool = True) -> str:
    pairs = zip(body.linear_vars, body.linear_coefs, strict=True)
    terms = sorted((variable.name, coefficient) for variable, coefficient in pairs if coefficient)
    parts = [
        f"{'-' if coefficient < 0 else '+'} {_number(abs(coefficient))} {name}"
        for name, coefficient in terms
    ]
    if constant and body.constant:
        parts.append(f"+ {_number(body.constant)}")
    return " ".join(parts) or "0"


def _number(value: float) -> str:
    return f"{value + 0.0:.10g}"
