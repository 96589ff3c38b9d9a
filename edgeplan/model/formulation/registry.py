"""The register of equations: what is in the program, its index set and its words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from edgeplan.model.formulation.sets import Sets

Rule = Callable[..., Any]
"""Takes the program and an index; returns a Pyomo expression (Pyomo ships no types)."""


@dataclass(frozen=True)
class Equation:
    """A family of rows.

    Parameters
    ----------
    name
        Unique; the rows' name in the program.
    over
        The attribute of `Sets` that it ranges over.
    rule
        Returns the row of an index.
    """

    name: str
    over: str
    rule: Rule

    def indices(self, sets: Sets) -> Iterable[object]:
        """Return the indices of the rows."""
        found: Iterable[object] = getattr(sets, self.over)
        return found

    @property
    def words(self) -> str:
        """The docstring: words and mathematics."""
        return inspect.cleandoc(self.rule.__doc__ or "")


class Register(dict[str, Equation]):
    """Equations by name, in the order in which they were defined."""

    def equation(self, over: str) -> Callable[[Rule], Rule]:
        """Return a decorator that registers a rule under its function's name."""

        def add(rule: Rule) -> Rule:
            name = rule.__name__
            if name in self:
                raise ValueError(f"equation '{name}' is defined twice")
            self[name] = Equation(name, over, rule)
            return rule

        return add
