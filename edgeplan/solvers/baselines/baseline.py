"""What a baseline is: a plan made by a rule, with its price or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem, Stream


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """A plan to beat.

    Parameters
    ----------
    name
        ``all-at-origin``, ``cloud:<device>``, ``best-cut``, ``greedy``…
    plan
        ``None`` where the rule finds nothing that could run.
    evaluation
        Its price by the evaluator; ``None`` without a plan.
    why
        In words, why it is not feasible: the first limit that it breaks. Empty where it is.
    note
        What else should be known of how it was made; empty where nothing.
    """

    name: str
    plan: Plan | None
    evaluation: Evaluation | None
    why: str
    note: str = ""

    @property
    def feasible(self) -> bool:
        """Whether it is a plan that breaks no limit."""
        return self.evaluation is not None and self.evaluation.feasible


def priced(name: str, problem: Problem, plan: Plan, note: str = "") -> Baseline:
    """Return a baseline of a plan as it stands, with its price.

    Parameters
    ----------
    name, note
        Of the baseline.
    problem, plan
        What is priced.
    """
    evaluation = evaluate(problem, plan)
    why = ""
    if evaluation.violations:
        first, *others = evaluation.violations
        why = f"{first.kind}, {first.place}: {first.message}"
        if others:
            why += f" (and {len(others)} more)"
    return Baseline(name=name, plan=plan, evaluation=evaluation, why=why, note=note)


def nothing(name: str, stream: Stream, what: str) -> Baseline:
    """Return the baseline without a plan: for a stream nothing of a kind can run."""
    why = f"stream {stream.name}: {what} can run under its pins, bans, privacy rule and links"
    return Baseline(name=name, plan=None, evaluation=None, why=why)
