"""The one list of solvers. Importing it loads none of them."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from edgeplan.model.errors import Fault, InputError, SolverUnavailableError
from edgeplan.model.problem import Problem
from edgeplan.solvers.result import Solver

_PLACES: Mapping[str, tuple[str, str]] = {
    "highs": ("edgeplan.solvers.highs", "Highs"),
    "enumerate": ("edgeplan.solvers.enumerate", "Enumerator"),
    "chain": ("edgeplan.solvers.chain", "Chain"),
    "mincut": ("edgeplan.solvers.mincut.solver", "MinCut"),
    "ideals": ("edgeplan.solvers.pipeline.ideals", "Ideals"),
    "cp-sat": ("edgeplan.solvers.cpsat.solver", "CpSat"),
    "scip": ("edgeplan.solvers.through_pyomo.solvers", "Scip"),
    "cbc": ("edgeplan.solvers.through_pyomo.solvers", "Cbc"),
    "gurobi": ("edgeplan.solvers.through_pyomo.solvers", "Gurobi"),
    "queueing": ("edgeplan.solvers.queueing.solver", "Queueing"),
    "greedy": ("edgeplan.solvers.baselines", "Greedy"),
}
"""Module and class by name."""

AUTO = "auto"
"""Not a solver: `choose` names one."""

COMMON_OPTIONS = frozenset({"time_limit", "gap", "threads", "seed", "alone"})
"""Options that may be given for any solver; one that has no use for it does not see it."""

ENUMERABLE_ROUTES = 2_000
"""`choose` enumerates problems with at most so many routes (about 0.1 s to price) …"""
ENUMERABLE_PLANS = 1_000_000
"""… and at most so many combinations of them (about 0.5 s at the worst)."""
ENUMERABLE_LOADED = 100_000_000
"""The same under load, where waits leave little to try (about 0.3 s)."""


class _Lazy(Mapping[str, type[Solver]]):
    """Solver classes by name, each imported when it is looked up."""

    def __getitem__(self, name: str) -> type[Solver]:
        module, attribute = _PLACES[name]
        return cast("type[Solver]", getattr(importlib.import_module(module), attribute))

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


def solvers() -> Mapping[str, type[Solver]]:
    """Return every known solver class by name; looking one up imports it.

    Examples
    --------
    >>> list(solvers())
    ['highs', 'enumerate', 'chain', 'mincut', 'ideals', 'cp-sat', 'scip', 'cbc', 'gurobi',
     'queueing', 'greedy']
    """
    return _Lazy()


def available() -> tuple[str, ...]:
    """Return the names of the solvers that can be used here (this imports all of them)."""
    names = []
    for name in _PLACES:
        try:
            solver = _class(name)
        except SolverUnavailableError:
            continue
        if solver.availability().available:
            names.append(name)
    return tuple(names)


def get(name: str, **options: object) -> Solver:
    """Return a solver by name.

    Parameters
    ----------
    name
        Of `solvers`; for ``auto`` ask `choose` first.
    **options
        The solver's fields. Those of `COMMON_OPTIONS` that it does not have are left out.

    Raises
    ------
    InputError
        If there is no such solver, or it has no such option.
    SolverUnavailableError
        If it is not installed; the message has the install command.

    Examples
    --------
    >>> get("enumerate", time_limit=5.0, gap=1e-6)
    Enumerator(limit=5000000, route_limit=200000, time_limit=5.0)
    """
    solver = _class(name)
    there = solver.availability()
    if not there.available:
        raise SolverUnavailableError.at("solver", _install(name, there.install))
    known = [item.name for item in dataclasses.fields(solver) if item.init]  # type: ignore[arg-type]  # every solver is a dataclass, which the protocol cannot say
    if unknown := sorted(set(options) - set(known) - COMMON_OPTIONS):
        shown = ", ".join(known) or "none"
        raise InputError(
            Fault("solver", f"'{name}' has no option '{option[:80]}'; known: {shown}")
            for option in unknown
        )
    build = cast("Callable[..., Solver]", solver)
    return build(**{key: value for key, value in options.items() if key in known})


def choose(problem: Problem) -> tuple[str, str]:
    """Name the solver for a problem, and why.

    Small discrete problems are enumerated: that takes no longer than building the program, and
    the answer is *proved* by our own search instead of *claimed* by a solver. Then the first
    exact special case in `_SPECIAL` that supports the problem is taken. All others go to HiGHS,
    which handles fractions and does not grow with the number of plans.

    Parameters
    ----------
    problem
        What is to be planned.

    Returns
    -------
    tuple of str
        A name of `solvers`, and the reason for people.
    """
    # The enumerator itself is light: it imports numpy only.
    from edgeplan.solvers.route_lists import count_routes

    split = any(stream.route_limit > 1 for stream in problem.streams)
    if problem.load_features:
        from edgeplan.solvers.route_lists import count_plans

        routes = sum(
            count_routes(problem, s) * len(problem.batch_sizes(s)) for s in problem.streams
        )
        few = routes <= ENUMERABLE_ROUTES and count_plans(problem) <= ENUMERABLE_LOADED
        if few and not split and not get("enumerate").unsupported(problem):
            return "enumerate", "plans are few enough to try them all, which proves the answer"
        return "queueing", f"{problem.load_features[0]}: a program of queues and routes"
    if split:
        return "highs", "streams may be split by fraction, which cannot be enumerated"
    routes, plans = 0, 1
    for stream in problem.streams:
        count = count_routes(problem, stream)
        routes += count
        plans *= count
    if routes <= ENUMERABLE_ROUTES and plans <= ENUMERABLE_PLANS:
        return "enumerate", f"all {plans:,} plans can be tried, which proves the answer"
    for name, why in _SPECIAL.items():
        if _usable(name) and not get(name).unsupported(problem):
            return name, why
    # It supports every discrete problem; where it is by far the best is in one class.
    from edgeplan.solvers.pipeline.problem import reasons_against

    if _usable("cp-sat") and not reasons_against(problem):
        return "cp-sat", "throughput of one stream: CP-SAT between good plans and a bound by prices"
    return "highs", "there are too many plans to try them all, and no special case fits"


def _usable(name: str) -> bool:
    """Say whether a solver is installed, without loading the others."""
    try:
        return _class(name).availability().available
    except SolverUnavailableError:
        return False


def next_best(problem: Problem, name: str) -> str | None:
    """Name the solver that goes on where the one that `choose` named gave up; ``None`` for none.

    Parameters
    ----------
    problem
        What is to be planned.
    name
        The solver that used up its allowance of states or labels.
    """
    if name == "ideals" and _usable("cp-sat"):
        return "cp-sat"
    return "highs" if name in ("ideals", "chain", "enumerate") else None


AUTO_OPTIONS: Mapping[str, Mapping[str, object]] = {
    # Some ten seconds; where many limits bind at once HiGHS is faster from there on.
    "chain": {"label_limit": 300_000},
}
"""Options of solvers where `choose` named them, so that the next best has its turn."""

_SPECIAL: Mapping[str, str] = {
    "mincut": "two devices and no limit that binds: the best plan is a minimum cut",
    "chain": "one stream along a chain of cuts: the best plan is a shortest path",
    "ideals": "contiguous throughput: a dynamic program over the graph's ideals is exact",
}
"""Exact special cases with the reason for taking them, the fastest first."""


def _class(name: str) -> type[Solver]:
    if name not in _PLACES:
        known = ", ".join(_PLACES)
        hint = " ('auto' is a choice among them)" if name == AUTO else ""
        raise InputError.at("solver", f"there is no solver '{name[:80]}'{hint}; known: {known}")
    try:
        return solvers()[name]
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        command = f"pip install {_DISTRIBUTIONS.get(missing, missing)}"
        raise SolverUnavailableError.at("solver", _install(name, command)) from error


_DISTRIBUTIONS: Mapping[str, str] = {"edgeplan": "--force-reinstall edgeplan"}
"""Distributions whose name is not that of the missing module, or where more is wrong."""


def _install(name: str, command: str) -> str:
    return f"the solver '{name}' is not available here; install it with: {command}"
