"""Make the plans that are compared, price and simulate them."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgeplan import planner
from edgeplan.comparison.report import NAMES, Compared, Comparison, Simulated
from edgeplan.model.errors import InterruptedRunError
from edgeplan.model.problem import LayerRule, Problem
from edgeplan.result import Result
from edgeplan.simulation import Simulation, simulate
from edgeplan.solvers.baselines import (
    Baseline,
    all_at_origin,
    all_on_one_cloud,
    best_cut,
    greedy,
    min_cut,
    priced,
)
from edgeplan.solvers.baselines.replicas import standing

if TYPE_CHECKING:
    from edgeplan.solvers.result import Solver

OnStep = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and of how much (0 where unknown)."""


def compare(
    problem: Problem,
    *,
    requests: int = 200_000,
    seeds: Sequence[int] = (0,),
    solver: str | Solver = "auto",
    time_limit: float | None = None,
    gap: float = 1e-4,
    threads: int = 1,
    on_step: OnStep | None = None,
    stop: threading.Event | None = None,
) -> Comparison:
    """Make every plan of `NAMES`, price it and simulate it.

    Parameters
    ----------
    problem
        What to plan.
    requests
        Simulated for each plan and seed; 0 for no simulation.
    seeds
        Of the simulations; the first is that of the solver too.
    solver, time_limit, gap, threads
        For each of the three plans that a program makes: the edge pool, the one without waiting,
        and the plan.
    on_step
        Told what is being done.
    stop
        Setting it ends the work with what there is: plans and whole simulations. A solver that
        was at work leaves the best plan that it had.

    Returns
    -------
    Comparison
        Baselines, feasible or with the limit that they break, and the plan.

    Raises
    ------
    InputError, SolverError
        As `planner.plan` and `simulate` do.
    """
    stop = stop or threading.Event()
    step: OnStep = on_step or (lambda what, done, total: None)
    results: list[Result] = []

    def plan(asked: Problem) -> Result:
        result = planner.plan(
            asked,
            solver=solver,
            time_limit=time_limit,
            gap=gap,
            threads=threads,
            seed=seeds[0] if seeds else 0,
            stop=stop,
        )
        results.append(result)
        return result

    def planned(asked: Problem) -> Baseline:
        return as_baseline("plan", problem, plan(asked), "keeps every limit")

    rules: dict[str, Callable[[Problem], Baseline]] = {
        "all-edge": _all_edge,
        "edge-pool": lambda problem: edge_pool(problem, plan),
        "all-cloud": _all_cloud,
        "best-cut": best_cut,
        "min-cut": min_cut,
        "capacity-only": lambda problem: capacity_only(problem, plan),
        "greedy": greedy,
        "plan": planned,
    }
    made: list[Baseline] = []
    for done, name in enumerate(NAMES):
        if stop.is_set():
            break
        step(name, done, len(NAMES))
        made.append(rules[name](problem))
    # A stop that comes when all is done leaves nothing out.
    whole = len(made) == len(NAMES)
    missing = not whole or any(result.limit == "interrupted" for result in results)
    plans: list[Compared] = []
    for baseline in made:
        # Rules often come to the same plan; with the same seeds that has the same simulation.
        twin = next((each for each in plans if each.baseline.plan == baseline.plan), None)
        simulated = twin.simulated if twin is not None else None
        # Where a queue grows without end a simulation says nothing of a long run.
        found = baseline.evaluation
        lasts = found is not None and math.isfinite(found.latency_seconds)
        if requests and seeds and lasts and twin is None:
            simulated = _simulated(problem, baseline, requests, seeds, step, stop)
            missing = missing or simulated is None or len(simulated.runs) < len(seeds)
        plans.append(Compared(baseline=baseline, simulated=simulated))
    return Comparison(
        problem=problem,
        plans=tuple(plans),
        result=results[-1] if whole else None,
        interrupted=missing,
    )


def edge_pool(problem: Problem, plan: Callable[[Problem], Result]) -> Baseline:
    """Balance the load as well as can be over the devices that are not of the tier ``cloud``.

    Parameters
    ----------
    problem
        What to plan.
    plan
        Plans the problem in which the cloud is banned.
    """
    clouds = tuple(device.name for device in problem.devices if device.tier == "cloud")
    if not clouds:
        return _without_plan("edge-pool", "no device is of the tier cloud: the plan is the pool")
    ban = LayerRule(devices=clouds)
    streams = tuple(
        dataclasses.replace(stream, bans=(*stream.bans, ban)) for stream in problem.streams
    )
    result = plan(dataclasses.replace(problem, streams=streams))
    return as_baseline("edge-pool", problem, result, "keeps every limit without the cloud")


def capacity_only(problem: Problem, plan: Callable[[Problem], Result]) -> Baseline:
    """Plan as if nobody waited, with all other limits, the utilisation caps among them.

    Parameters
    ----------
    problem
        What to plan.
    plan
        Plans the problem without waiting; percentiles, which come from waiting, have no limits
        in it.
    """
    streams = tuple(dataclasses.replace(stream, tail_deadlines=()) for stream in problem.streams)
    result = plan(dataclasses.replace(problem, streams=streams, waiting="none"))
    return as_baseline("capacity-only", problem, result, "keeps every limit even without waiting")


def as_baseline(name: str, problem: Problem, result: Result, keeps: str) -> Baseline:
    """Return what was planned for a variant of a problem as a plan for the problem itself.

    Parameters
    ----------
    name
        Of the baseline.
    problem
        That prices the plan.
    result
        Of planning the variant.
    keeps
        What no plan does where there is none.
    """
    if result.plan is None:
        surely = "no plan" if result.status == "infeasible" else "no plan that was found"
        return _without_plan(name, f"{surely} {keeps}")
    note = f"stopped by the {result.limit} limit" if result.limit in ("time", "work") else ""
    if result.limit == "interrupted":
        note = "interrupted: the best plan until then"
    return priced(name, problem, result.plan, note)


def _without_plan(name: str, why: str) -> Baseline:
    return Baseline(name=name, plan=None, evaluation=None, why=why)


def _all_edge(problem: Problem) -> Baseline:
    return dataclasses.replace(all_at_origin(problem), name="all-edge")


def _all_cloud(problem: Problem) -> Baseline:
    """Return the best of the plans with everything on one cloud device."""
    found = all_on_one_cloud(problem)
    if not found:
        return _without_plan("all-cloud", "no device is of the tier cloud")

    def rank(baseline: Baseline) -> tuple[float, float]:
        assert baseline.evaluation is not None
        return standing(baseline.evaluation)

    best = min(found, key=rank)
    note = f"the best of {len(found)}: {best.name}" if len(found) > 1 else ""
    return dataclasses.replace(best, name="all-cloud", note=note)


def _simulated(
    problem: Problem,
    baseline: Baseline,
    requests: int,
    seeds: Sequence[int],
    step: OnStep,
    stop: threading.Event,
) -> Simulated | None:
    assert baseline.plan is not None
    found: list[Simulation] = []
    for number, seed in enumerate(seeds):
        if stop.is_set():
            break

        def progress(done: int, total: int, before: int = number * requests) -> None:
            step(f"simulating {baseline.name}", before + done, len(seeds) * requests)

        try:
            run = simulate(
                problem,
                baseline.plan,
                requests=requests,
                seed=seed,
                on_progress=progress,
                stop=stop.is_set,
            )
        except InterruptedRunError:
            break
        if run.interrupted:  # fewer requests than the others: not to be set beside them
            break
        found.append(run)
    shares = tuple(problem.share(stream) for stream in problem.streams)
    return Simulated(runs=tuple(found), shares=shares) if found else None
