"""Sets of points that can be compared: of a front, of the baselines, of another planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgeplan.model.errors import InputError
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem
from edgeplan.pareto.front import Front
from edgeplan.pareto.objectives import Criterion, criteria, image

if TYPE_CHECKING:
    from edgeplan.pareto.files import Table
    from edgeplan.pareto.indicators import Array
    from edgeplan.solvers.baselines import Baseline


@dataclass(frozen=True, kw_only=True)
class PointSet:
    """Points under a name.

    Parameters
    ----------
    name
        What they are called in a comparison.
    objectives
        Names of the criteria, in the order of the values.
    values
        The images, in SI units.
    plans
        The plan of each, or ``None`` where only numbers are known.
    labels
        What each is called; ``None`` where nothing more than its number.
    instance, fingerprint
        Of the problem, where known.
    reference
        The corner of the hypervolume's box that belongs to the set, where there is one.
    notes
        What else should be known.
    """

    name: str
    objectives: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    plans: tuple[Plan, ...] | None = None
    labels: tuple[str, ...] | None = None
    instance: str = ""
    fingerprint: str = ""
    reference: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """The objectives, with their units."""
        return criteria(self.objectives)

    @property
    def array(self) -> Array:
        """The images as an array: a row for each, a column for each objective."""
        from edgeplan.pareto.indicators import array

        return array(self.values, len(self.objectives))

    def ordered(self, objectives: Sequence[str]) -> PointSet:
        """Return the set with these of its objectives only, in this order."""
        if tuple(objectives) == self.objectives:
            return self
        columns = [self.objectives.index(name) for name in objectives]
        whole = len(columns) == len(self.objectives)
        return replace(
            self,
            objectives=tuple(objectives),
            values=tuple(tuple(values[k] for k in columns) for values in self.values),
            # A corner of a box that has fewer sides is another matter.
            reference=tuple(self.reference[k] for k in columns)
            if whole and self.reference is not None
            else None,
        )


def point_set(front: Front, name: str) -> PointSet:
    """Return the points of a front under a name."""
    notes = []
    if not front.complete:
        notes.append("its search was cut off: points may be missing")
    elif not front.exact:
        steps = ", ".join(
            criterion.show(step)
            for step, criterion in zip(front.resolution or (), front.criteria, strict=False)
        )
        notes.append(f"is not exact: every plan is within {steps}" if steps else "is not exact")
    return PointSet(
        name=name,
        objectives=front.objectives,
        values=front.values,
        plans=front.plans,
        instance=front.instance,
        fingerprint=front.fingerprint,
        reference=front.hypervolume.reference or None,
        notes=tuple(notes),
    )


def table_set(table: Table, name: str) -> PointSet:
    """Return the points of a table under a name."""
    return PointSet(
        name=name,
        objectives=table.objectives,
        values=table.values,
        labels=table.labels if any(table.labels) else None,
    )


def baseline_set(problem: Problem, objectives: Sequence[str], name: str = "baselines") -> PointSet:
    """Return the feasible baselines of a problem as points, priced by the evaluator.

    Each rule is given the problem as it stands and with each of the objectives alone, so that
    it has a plan for every end of a front; a plan that comes up again is left out.

    Parameters
    ----------
    problem
        The problem.
    objectives
        Names of criteria.
    name
        Of the set.

    Returns
    -------
    PointSet
        Labels: the rule's name, and for which objective alone (``greedy (energy)``). Notes: the
        rules that kept the limits with no objective, and the first that they broke.
    """
    from edgeplan.instances.plans import fingerprint
    from edgeplan.solvers.baselines import baselines, min_cut

    def rules(asked: Problem) -> tuple[Baseline, ...]:
        return (*baselines(asked), min_cut(asked))

    chosen = criteria(objectives)
    found = [(baseline.name, baseline) for baseline in rules(problem)]
    for criterion in chosen:
        alone = rules(criterion.alone(problem))
        found += [(f"{baseline.name} ({criterion.name})", baseline) for baseline in alone]
    points: list[tuple[str, tuple[float, ...], Plan]] = []
    kept: set[str] = set()
    broken: dict[str, str] = {}
    for label, baseline in found:
        if baseline.plan is None or baseline.evaluation is None or not baseline.feasible:
            broken.setdefault(baseline.name, baseline.why)
            continue
        kept.add(baseline.name)
        if all(baseline.plan != plan for _, _, plan in points):
            points.append((label, image(baseline.evaluation, chosen), baseline.plan))
    return PointSet(
        name=name,
        objectives=tuple(objectives),
        values=tuple(values for _, values, _ in points),
        plans=tuple(plan for _, _, plan in points),
        labels=tuple(label for label, _, _ in points),
        instance=problem.name,
        fingerprint=fingerprint(problem),
        notes=tuple(f"{rule}: {why}" for rule, why in broken.items() if rule not in kept),
    )


def comparable(sets: Sequence[PointSet], *, force: bool = False) -> tuple[PointSet, ...]:
    """Return sets that can be compared: with the same objectives in the order of the first's.

    Parameters
    ----------
    sets
        At least two, of different names.
    force
        Whether sets of different instances may be compared, and sets with different objectives
        by those that all have.

    Raises
    ------
    InputError
        If they are fewer, or (unless forced) of different instances or objectives; or, forced,
        if there is no objective that all have.
    """
    if len(sets) < 2:
        raise InputError.at("", "a comparison needs two sets of points or more")
    names = [each.name for each in sets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError.at("", f"two sets are called {twice[0][:80]}: they must be told apart")
    first = sets[0]
    common = [name for name in first.objectives if all(name in each.objectives for each in sets)]
    for each in sets[1:]:
        if set(each.objectives) != set(first.objectives) and not force:
            remedy = f"force compares them by {', '.join(common)}" if common else "none is common"
            raise InputError.at(
                each.name,
                f"has the objectives {', '.join(each.objectives)}, but {first.name} has "
                f"{', '.join(first.objectives)}: {remedy}",
            )
    if not common:
        raise InputError.at("", "there is no objective that all of the sets have")
    known = [each for each in sets if each.fingerprint]
    for each in known[1:]:
        if each.fingerprint != known[0].fingerprint and not force:
            raise InputError.at(
                each.name,
                f"is of {_instance(each)}, but {known[0].name} of {_instance(known[0])}: plans of "
                "different problems; force compares their numbers",
            )
    return tuple(each.ordered(common) for each in sets)


def _instance(each: PointSet) -> str:
    return f"'{each.instance[:80]}' (fingerprint {each.fingerprint[:12]}…)"
