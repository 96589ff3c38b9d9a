"""Four edge sites and a cloud under load: ``python -m benchmarks.four_sites [options]``.

Every baseline and the plan for balanced and skewed load, with links that are mere delays and with
links at which requests queue: mean latencies, simulated with several seeds, with the half-width of
their 95 % confidence interval, beside what was predicted. The tables are Markdown, for
``docs/four-sites.md``; ``--figure FILE`` draws a sweep of the balanced load.

A plan whose objective is above that of a feasible baseline fails.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from edgeplan.cli import units
from edgeplan.cli.load_plot import draw
from edgeplan.comparison import NAMES, Compared, Comparison, compare, sweep
from edgeplan.comparison.report import half_width
from edgeplan.instances.generators import four_sites

Contention = Literal["none", "shared"]

BALANCED = (0.7, 0.85, 0.93, 0.97)
SKEWED = (0.95, 0.3, 0.3, 0.3)
REFERENCE = {0.7: 0.02, 0.85: 0.33, 0.93: 0.43, 0.97: 0.42}
"""Gains over the better pure choice, of the experiment that this repeats (no link queues)."""

HEADS = {
    "none": "Links are mere delays (`contention: none`)",
    "shared": "Requests queue at links too (`contention: shared`)",
}
TOLERANCE = 1e-4
"""The solver's gap: by so much a plan may be above a baseline."""


def name(load: float | tuple[float, ...]) -> str:
    """Return what a column is called."""
    return f"ρ = {load:g}" if isinstance(load, float) else "skewed"


def run(
    contention: Contention, *, requests: int, seeds: Sequence[int], time_limit: float, quick: bool
) -> dict[str, Comparison]:
    """Return the plans side by side, by load."""
    loads: tuple[float | tuple[float, ...], ...] = (0.85,) if quick else (*BALANCED, SKEWED)
    found = {}
    for load in loads:
        problem = four_sites(load, contention=contention)
        compared = compare(
            problem, requests=requests, seeds=seeds, gap=TOLERANCE, time_limit=time_limit
        )
        check(compared)
        found[name(load)] = compared
    return found


def check(compared: Comparison) -> None:
    """Fail where the plan is worse than a baseline."""
    plan = compared["plan"]
    assert plan.feasible, plan.baseline.why
    for each in compared.plans:
        if each.feasible:
            assert plan.price <= each.price * (1 + TOLERANCE), f"{each.name} beats the plan"


def table(found: dict[str, Comparison]) -> str:
    """Return a Markdown table: plans by load, simulated mean ± half-width (predicted mean)."""
    lines = [f"| | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
    for plan in NAMES:
        cells = [cell(compared[plan]) for compared in found.values()]
        lines.append(f"| {plan} | {' | '.join(cells)} |")
    for label, simulated in (("gain, simulated", True), ("gain, predicted", False)):
        cells = [gain(compared, simulated=simulated) for compared in found.values()]
        lines.append(f"| *{label}* | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(each: Compared) -> str:
    """Return a cell; ✗ marks a plan that breaks a limit."""
    priced, run_ = each.baseline.evaluation, each.simulated
    if priced is None:
        return "no plan"
    mark = "" if each.feasible else "✗ "
    if run_ is None:
        return f"{mark}grows"
    mean, width = run_.latency_seconds * 1e3, (run_.half_width or 0.0) * 1e3
    return f"{mark}{mean:.1f} ± {width:.1f} ({priced.latency_seconds * 1e3:.1f})"


def gain(compared: Comparison, *, simulated: bool) -> str:
    """Return by how much the plan's latency is below the better of all-edge and all-cloud.

    Simulated: the mean over the seeds, which all plans share, ± half-width.
    """
    plan = compared["plan"]
    pure = [each for each in (compared["all-edge"], compared["all-cloud"]) if each.simulated]
    best = min(pure, key=predicted)
    if not simulated:
        return f"{100 * (1 - predicted(plan) / predicted(best)):.1f} %"
    assert plan.simulated is not None
    assert best.simulated is not None
    gains = [
        100 * (1 - mine.latency_seconds / other.latency_seconds)
        for mine, other in zip(plan.simulated.runs, best.simulated.runs, strict=True)
    ]
    return f"{sum(gains) / len(gains):.1f} ± {half_width(gains) or 0.0:.1f} %"


def predicted(each: Compared) -> float:
    """Return the predicted mean latency in seconds; ``inf`` without a plan."""
    priced = each.baseline.evaluation
    return float("inf") if priced is None else priced.latency_seconds


def copies(found: dict[str, Comparison]) -> str:
    """Say what the plan does: share of requests in the cloud, its copies, and how it was found."""
    lines = ["| | in the cloud | copies (plan) | copies (all-cloud) | gap | basis |"]
    lines.append("|---|---:|---:|---:|---:|---|")
    for load, compared in found.items():
        result = compared.result
        assert result is not None
        assert result.evaluation is not None
        assert result.plan is not None
        problem = compared.problem
        away = sum(
            problem.stream[stream].rate_per_second * route.fraction
            for stream, routes in result.plan.routes.items()
            for route in routes
            if "cloud" in route.devices
        )
        cloud = problem.device["cloud"]
        pure = compared["all-cloud"].baseline.plan
        on = next(d for d in result.evaluation.devices if d.name == "cloud").on
        basis = "none" if result.certificate is None else result.certificate.basis
        lines.append(
            f"| {load} | {100 * away / problem.total_rate:.1f} % "
            f"| {result.plan.replica_count(cloud) if on else 0} "
            f"| {units.MISSING if pure is None else pure.replica_count(cloud)} "
            f"| {units.gap(result.gap)} | {basis} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="the four-site experiment")
    parser.add_argument("--requests", type=int, default=500_000, help="for each plan and seed")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each program")
    parser.add_argument("--contention", choices=("none", "shared"), help="one of the two tables")
    parser.add_argument("--figure", type=Path, help="draw a sweep with link queues here")
    parser.add_argument("--points", type=int, default=12, help="loads in the figure")
    parser.add_argument("--quick", action="store_true", help="one load only")
    options = parser.parse_args(arguments)
    seeds = range(1, options.seeds + 1)
    contentions: tuple[Contention, ...] = ("none", "shared")
    if options.contention is not None:
        contentions = (options.contention,)
    for contention in contentions:
        began = time.perf_counter()
        found = run(
            contention,
            requests=options.requests,
            seeds=seeds,
            time_limit=options.time_limit,
            quick=options.quick,
        )
        print(f"### {HEADS[contention]}\n")
        print(f"Milliseconds, simulated ± half-width of {len(seeds)} seeds (predicted).\n")
        print(table(found))
        if contention == "none" and not options.quick:
            known = " | ".join(f"{100 * value:.0f} %" for value in REFERENCE.values())
            print(f"| *gain, reference* | {known} | – |")
        print(f"\nThe plan:\n\n{copies(found)}\n")
        print(f"({time.perf_counter() - began:.0f} s)\n", flush=True)
    if options.figure is not None:
        low, high = 0.3, 0.97
        loads = [low + (high - low) * i / (options.points - 1) for i in range(options.points)]
        problem = four_sites(0.7, contention="shared")
        swept = sweep(
            problem,
            loads,
            requests=options.requests,
            seeds=seeds,
            gap=TOLERANCE,
            time_limit=options.time_limit,
        )
        draw("rho", list(swept), options.figure)
        print(options.figure)


if __name__ == "__main__":
    main()
