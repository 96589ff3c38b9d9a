"""On what a bound stands, and what a plan file claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Basis = Literal["enumerated", "dual", "agreed", "claimed"]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """On what a bound stands, and what was bounded.

    Parameters
    ----------
    basis
        ``enumerated``: own exhaustive search or dynamic program. ``dual``: recomputed from
        stored multipliers. ``agreed``: two unrelated solvers claim it. ``claimed``: one solver.
    witnesses
        Solvers with versions, for example ``("highs 1.15.1",)``.
    bounded
        What the bound is a bound of: this profile, these cuts, at most so many routes.
    states
        Number of states that an enumeration visited.
    tolerances
        Named tolerances under which the claim was made.
    """

    basis: Basis
    witnesses: tuple[str, ...]
    bounded: str
    states: int | None = None
    tolerances: tuple[tuple[str, float], ...] = ()

    @property
    def proved(self) -> bool:
        """Whether the bound may be printed as proved."""
        return self.basis in ("enumerated", "dual")

    def __str__(self) -> str:
        proved = "proved, " if self.proved else ""
        detail = f" in {self.states:,} states" if self.states is not None else ""
        return f"{proved}{self.basis} by {' and '.join(self.witnesses)}{detail}: {self.bounded}"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is claimed of a plan: `edgeplan.model.verify` holds it against the evaluator.

    Parameters
    ----------
    objective
        Price of the plan, or ``None``.
    bound
        Lower bound on the objective of every plan, or ``None``.
    certificate
        On what the bound stands, or ``None``.
    """

    objective: float | None = None
    bound: float | None = None
    certificate: Certificate | None = None
