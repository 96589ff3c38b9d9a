"""What stands when two solvers have worked on the same problem."""

from __future__ import annotations

import dataclasses

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.solvers.result import SolverResult, Stop


def agreed(first: SolverResult, second: SolverResult) -> SolverResult:
    """Return the better plan of two solvers, under the bound that both claim.

    The lower of two bounds is claimed by both, so the answer's basis is ``agreed``; where one of
    them *proves* its bound, that proof stands instead. Where only one claims anything, its claim
    stands as it was, on the one solver.

    Parameters
    ----------
    first, second
        Results of unrelated solvers on one problem.

    Returns
    -------
    SolverResult
        Named after the first; seconds are those of both.

    Raises
    ------
    SolverError
        If one says that there is no plan and the other that there is one, or bounds it.
    """
    for one, other in ((first, second), (second, first)):
        if one.infeasible and other.plan is not None:
            raise SolverError(
                f"{one.solver} says that there is no plan, and {other.solver} has one. "
                "Please report this instance"
            )
    stands = first
    if _claims(second) and (_proves(second) or not _claims(first)) and not _proves(first):
        stands = second
    elif _claims(first) and _claims(second) and not _proves(first):
        stands = _both(first, second)
    better = min(
        (first, second), key=lambda r: (r.claimed_objective is None, r.claimed_objective or 0.0)
    )
    return dataclasses.replace(
        stands,
        stop=second.stop if first.stop is Stop.COMPLETED else first.stop,
        plan=better.plan,
        claimed_objective=better.claimed_objective,
        solver=first.solver,
        seconds=first.seconds + second.seconds,
        message="; ".join(filter(None, (first.message, f"{second.solver}: {second.message}"))),
    )


def continued(first: SolverResult, second: SolverResult) -> SolverResult:
    """Return what is held after a second solver went on where the first gave up.

    The better plan of the two, and the higher bound with what that stands on.

    Parameters
    ----------
    first
        Of the solver that gave up.
    second
        Of the one that began from its plan.
    """
    stands = second
    if not second.infeasible and first.bound is not None:
        higher = second.bound is None or first.bound > second.bound
        stands = first if higher else second
    better = min(
        (second, first), key=lambda r: (r.claimed_objective is None, r.claimed_objective or 0.0)
    )
    return dataclasses.replace(
        stands,
        stop=second.stop,
        plan=better.plan,
        claimed_objective=better.claimed_objective,
        solver=second.solver,
        seconds=first.seconds + second.seconds,
        message=f"{first.solver} gave up ({first.message}); {second.message}",
    )


def _both(first: SolverResult, second: SolverResult) -> SolverResult:
    one, other = first.certificate, second.certificate
    if one is None or other is None or first.infeasible != second.infeasible:
        return first
    bound = None
    if first.bound is not None and second.bound is not None:
        bound = min(first.bound, second.bound)
    certificate = Certificate(
        basis="agreed",
        witnesses=(*one.witnesses, *other.witnesses),
        bounded=one.bounded,
        tolerances=tuple(dict.fromkeys((*one.tolerances, *other.tolerances))),
    )
    return dataclasses.replace(first, bound=bound, certificate=certificate)


def _claims(result: SolverResult) -> bool:
    return result.infeasible or result.bound is not None


def _proves(result: SolverResult) -> bool:
    return _claims(result) and result.certificate is not None and result.certificate.proved
