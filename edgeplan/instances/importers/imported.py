"""What an importer returns."""

from __future__ import annotations

from dataclasses import dataclass

from edgeplan.model.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A problem made from another format.

    Parameters
    ----------
    problem
        In edgeplan's terms.
    notes
        What a person should know: what the file says that the problem does not.
    """

    problem: Problem
    notes: tuple[str, ...] = ()
