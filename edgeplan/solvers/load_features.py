"""What most solvers cannot do: queues, numbers of replicas, batches."""

from __future__ import annotations

from edgeplan.model.problem import Problem


def load_reasons(problem: Problem) -> tuple[str, ...]:
    """Return why a problem is for the program of queues and routes only, in the user's words."""
    return tuple(f"{feature}: use the solver 'queueing'" for feature in problem.load_features)
