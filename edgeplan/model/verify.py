"""The verifier: what stands of a claim. It knows no solver, only the evaluator.

The plan is priced again, every limit is checked, and the claimed objective and bound are held
against that price. Where multipliers come with the claim, the bound is recomputed from them: that
much is proved here and now. Of any other bound it can only tell whether this plan refutes it; on
what such a bound stands is the certificate's to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgeplan.model.certificate import Certificate
from edgeplan.model.dual import dual_bound
from edgeplan.model.evaluate import RELATIVE_TOLERANCE, Evaluation, evaluate
from edgeplan.model.multipliers import Multipliers
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

WITNESS = "multipliers 1"
"""On what a bound stands that `edgeplan.model.dual.dual_bound` recomputes."""
ABSOLUTE_TOLERANCE = 1e-12
"""Allowed beside the relative tolerance, for prices of zero."""


@dataclass(frozen=True, kw_only=True)
class Certified:
    """What stands of a claim.

    Parameters
    ----------
    evaluation
        The evaluator's price of the plan; ``None`` without a plan.
    objective
        The evaluator's objective where the plan is feasible, else ``None``.
    bound
        The lower bound where one was claimed, something supports it and the plan does not
        refute it; at most ``objective``.
    gap
        (objective − bound) / |objective|; ``None`` where either is.
    certificate
        On what the bound, or the claim that there is no plan, stands; ``None`` where nothing
        does.
    contradictions
        Every part of the claim that does not hold, in words; empty for an honest one.
    rechecked
        Whether the bound (or that there is no plan) was recomputed here, from multipliers.
    """

    evaluation: Evaluation | None
    objective: float | None
    bound: float | None
    gap: float | None
    certificate: Certificate | None
    contradictions: tuple[str, ...]
    rechecked: bool = False

    @property
    def holds(self) -> bool:
        """Whether no part of the claim is contradicted."""
        return not self.contradictions

    @property
    def proved(self) -> bool:
        """Whether the claim holds and its bound may be printed as proved."""
        return self.holds and self.certificate is not None and self.certificate.proved

    def __str__(self) -> str:
        if self.contradictions:
            return "does not hold: " + "; ".join(self.contradictions)
        plan = "no plan" if self.objective is None else f"a plan at {self.objective:.9g}"
        if self.certificate is None:
            return f"{plan}; nothing is known of better ones"
        if self.bound is None:
            return f"{plan}; {self.certificate}"
        gap = "" if self.gap is None else f" (gap {self.gap:.3g})"
        return f"{plan}; no plan is below {self.bound:.9g}{gap}, {self.certificate}"


def verify(
    problem: Problem,
    plan: Plan | None,
    *,
    bound: float | None,
    certificate: Certificate | None,
    objective: float | None,
    infeasible: bool = False,
    multipliers: Multipliers | None = None,
    known: Iterable[Plan] = (),
) -> Certified:
    """Hold a claim against the evaluator.

    Parameters
    ----------
    problem
        What was planned.
    plan
        The plan claimed, or ``None``.
    bound
        The lower bound claimed on the objective of every plan, or ``None``.
    certificate
        On what the bound (or infeasibility) is said to stand.
    objective
        The price claimed for the plan, or ``None``. The plan may be cheaper than claimed (a
        solver may round prices up), not dearer.
    infeasible
        Whether it is claimed that there is no plan.
    multipliers
        What a bound can be recomputed from, or ``None``.
    known
        Other plans, such as baselines: a bound above the price of one is refuted.

    Returns
    -------
    Certified
        What stands.

    Raises
    ------
    InputError
        If the plan or the multipliers do not speak of this problem.
    """
    contradictions: list[str] = []
    evaluation = None if plan is None else evaluate(problem, plan)
    price: float | None = None
    if evaluation is None:
        if objective is not None:
            contradictions.append(f"a price of {objective:.9g} is claimed without a plan")
    elif evaluation.feasible:
        price = evaluation.objective
    else:
        contradictions.extend(
            f"the plan breaks a limit ({v.kind}, {v.place}): {v.message}"
            for v in evaluation.violations
        )
    for name, value in (("price", objective), ("bound", bound)):
        if value is not None and not math.isfinite(value):
            contradictions.append(f"the {name} claimed is {value}, not a number")
    if evaluation is not None and objective is not None and _above(evaluation.objective, objective):
        contradictions.append(
            f"the plan is claimed at {objective:.9g}, but costs {evaluation.objective:.9g}"
        )
    stands = bound if bound is not None and math.isfinite(bound) else None
    proved = None if multipliers is None else dual_bound(problem, multipliers)
    if proved is not None and certificate is not None and WITNESS in certificate.witnesses:
        if stands is not None and _above(stands, proved):
            contradictions.append(
                f"the bound is claimed at {stands:.9g}, but the multipliers prove {proved:.9g} only"
            )
            stands = None
        if infeasible and math.isfinite(proved):
            contradictions.append("the multipliers do not prove that there is no plan")
            infeasible = False
    if proved is not None and price is not None and _above(proved, price):
        contradictions.append(
            f"the multipliers prove {proved:.9g}, but this plan costs {price:.9g}: please report it"
        )
        proved = None
    rechecked = False
    if proved is not None and not infeasible and not _above(stands or 0.0, proved):
        # Proved here, and as much as is claimed or more.
        rechecked = proved > 0 or stands is not None
        if rechecked:
            certificate, stands = _recomputed(), proved
    elif proved == math.inf:
        rechecked, certificate = True, _recomputed()
    for other in known:
        cheaper = evaluate(problem, other)
        if cheaper.feasible and stands is not None and _above(stands, cheaper.objective):
            contradictions.append(
                f"the bound {stands:.9g} is above a known plan that costs {cheaper.objective:.9g}"
            )
            stands = None
    if stands is not None and price is not None:
        if _above(stands, price):
            contradictions.append(f"the bound {stands:.9g} is above a plan that costs {price:.9g}")
            stands = None
        else:
            stands = min(stands, price)
    if infeasible and price is not None:
        contradictions.append(f"no plan is said to exist, but this one costs {price:.9g}")
    if certificate is None and (stands is not None or infeasible):
        what = "infeasibility" if infeasible else "the bound"
        contradictions.append(f"nothing is named on which {what} stands")
        stands = None
    supported = stands is not None or (infeasible and price is None)
    return Certified(
        evaluation=evaluation,
        objective=price,
        bound=stands,
        gap=relative_gap(price, stands),
        certificate=certificate if supported else None,
        contradictions=tuple(contradictions),
        rechecked=rechecked and supported,
    )


def _recomputed() -> Certificate:
    """Return the certificate of a bound that the verifier has recomputed itself.

    Nothing of what was claimed goes into it.
    """
    return Certificate(
        basis="dual",
        witnesses=(WITNESS,),
        bounded="these profiles and their cuts, streams dealt over any routes",
        tolerances=(("limits, relative", RELATIVE_TOLERANCE),),
    )


def _above(value: float, limit: float) -> bool:
    """Whether a value exceeds another by more than tolerance (and is one at all)."""
    return not value <= limit + RELATIVE_TOLERANCE * abs(limit) + ABSOLUTE_TOLERANCE


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    """Return (objective − bound) / |objective|, not below 0; ``None`` where either is unknown.

    Examples
    --------
    >>> relative_gap(10.0, 9.0)
    0.1
    >>> relative_gap(0.0, 0.0)
    0.0
    """
    if objective is None or bound is None:
        return None
    difference = max(0.0, objective - bound)
    if difference == 0.0:
        return 0.0
    return difference / abs(objective) if objective else math.inf
