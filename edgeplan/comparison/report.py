"""Plans for one problem side by side: what is predicted of each, and what was simulated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeplan.model.evaluate import Evaluation
from edgeplan.model.problem import Problem
from edgeplan.result import Result, routes_json
from edgeplan.simulation import Simulation
from edgeplan.simulation.simulation import finite
from edgeplan.solvers.baselines import Baseline

NAMES = (
    "all-edge", "edge-pool", "all-cloud", "best-cut", "min-cut", "capacity-only", "greedy", "plan",
)  # fmt: skip
"""The plans that are compared, the one that is to beat the others last."""

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """What simulations of one plan, alike but for their seeds, say together.

    Parameters
    ----------
    runs
        At least one.
    shares
        Of the streams' latencies in the whole.
    """

    runs: tuple[Simulation, ...]
    shares: tuple[float, ...]

    @property
    def latency_seconds(self) -> float:
        """Mean latency, aggregated over the streams as the objective says."""
        return self.mean([run.latency_seconds for run in self.runs])

    @property
    def half_width(self) -> float | None:
        """Half of the 95 % confidence interval of the latency; ``None`` where unknown.

        Of several runs by their spread. Of one by the streams' own intervals, which are added:
        streams that share queues are late together.
        """
        if len(self.runs) > 1:
            return half_width([run.latency_seconds for run in self.runs])
        total = 0.0
        for stream, share in zip(self.runs[0].streams, self.shares, strict=True):
            if stream.mean.half_width is None:
                return None
            total += share * stream.mean.half_width
        return total

    @property
    def energy_joules(self) -> float:
        """Mean energy, aggregated likewise."""
        return self.mean([run.energy_joules for run in self.runs])

    @property
    def cost_dollars(self) -> float:
        """Mean cost, aggregated likewise."""
        return self.mean([run.cost_dollars for run in self.runs])

    def percentile(self, stream: int, probability: float) -> float:
        """Return a percentile of a stream's latency, the mean of those of the runs."""
        return self.mean(
            [
                each.seconds
                for run in self.runs
                for each in run.streams[stream].percentiles
                if each.probability == probability
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """Return the means over the runs for machines, in SI units."""
        first = self.runs[0]
        return {
            "requests": first.requests,
            "seeds": [run.seed for run in self.runs],
            "latency_seconds": finite(self.latency_seconds),
            "half_width": self.half_width,
            "energy_joules": finite(self.energy_joules),
            "cost_dollars": finite(self.cost_dollars),
            "streams": [self._stream(number) for number in range(len(first.streams))],
            "devices": [self._device(number) for number in range(len(first.devices))],
        }

    def _stream(self, number: int) -> dict[str, Any]:
        streams = [run.streams[number] for run in self.runs]
        means = [stream.mean.value for stream in streams]
        within = [stream.slo.value for stream in streams if stream.slo is not None]
        return {
            "name": streams[0].name,
            "mean_seconds": finite(self.mean(means)),
            **{
                f"p{each.probability * 100:.12g}": finite(self.percentile(number, each.probability))
                for each in streams[0].percentiles
            },
            "slo_attainment": finite(self.mean(within)) if within else None,
            "half_width": half_width(means) if len(means) > 1 else streams[0].mean.half_width,
        }

    def _device(self, number: int) -> dict[str, Any]:
        devices = [run.devices[number] for run in self.runs]
        waits = [d.mean_wait_seconds for d in devices if d.mean_wait_seconds is not None]
        return {
            "name": devices[0].name,
            "utilisation": finite(self.mean([device.utilisation for device in devices])),
            "mean_wait_seconds": self.mean(waits) if waits else None,
        }

    @staticmethod
    def mean(values: Sequence[float]) -> float:
        """Return the mean over the runs."""
        return math.fsum(values) / len(values)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One of the plans.

    Parameters
    ----------
    baseline
        The plan with its price, or why there is none.
    simulated
        ``None`` where there is no plan, it cannot run, a queue of it grows without end, or the
        work was stopped before.
    """

    baseline: Baseline
    simulated: Simulated | None = None

    @property
    def name(self) -> str:
        """One of `NAMES`."""
        return self.baseline.name

    @property
    def feasible(self) -> bool:
        """Whether it is a plan that breaks no limit."""
        return self.baseline.feasible

    @property
    def price(self) -> float:
        """The objective by the evaluator; ``inf`` without a plan."""
        return math.inf if self.baseline.evaluation is None else self.baseline.evaluation.objective

    def as_json(self) -> dict[str, Any]:
        """Return it for machines, in SI units; ``None`` where nothing is known."""
        evaluation = self.baseline.evaluation
        return {
            "feasible": self.feasible,
            "predicted": None if evaluation is None else predicted_json(evaluation),
            "simulated": None if self.simulated is None else self.simulated.as_json(),
            "why": self.baseline.why,
            "note": self.baseline.note,
            "replicas": None if self.baseline.plan is None else dict(self.baseline.plan.replicas),
            "routes": None if self.baseline.plan is None else routes_json(self.baseline.plan),
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Plans for one problem, side by side.

    Parameters
    ----------
    problem
        What they are for.
    plans
        In the order of `NAMES`, as far as they were made.
    result
        What planning gave; ``None`` where the work was stopped before.
    interrupted
        Whether it was stopped before the end, so that plans or simulations are missing.
    """

    problem: Problem
    plans: tuple[Compared, ...]
    result: Result | None
    interrupted: bool = False

    @property
    def chosen(self) -> str | None:
        """The name of the best plan that keeps every limit: ``plan``, where there is one."""
        feasible = [compared for compared in self.plans if compared.feasible]
        # The plan is never worse than another, but may be none where the work was stopped.
        feasible.sort(key=lambda compared: (compared.name != "plan", compared.price))
        return feasible[0].name if feasible else None

    def as_json(self) -> dict[str, Any]:
        """Return the plans for machines, by name, in SI units."""
        return {compared.name: compared.as_json() for compared in self.plans}

    def __getitem__(self, name: str) -> Compared:
        """Return a plan by its name."""
        return next(compared for compared in self.plans if compared.name == name)


def basis(evaluation: Evaluation) -> str:
    """Return what the mean latency is: ``exact``, ``approximate``, or ``none`` without waits."""
    found = {stream.basis for stream in evaluation.streams}
    return next((each for each in ("approximate", "exact") if each in found), "none")


def predicted_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return the evaluator's numbers in the shape of the simulated ones."""
    return {
        "objective": finite(evaluation.objective),
        "latency_seconds": finite(evaluation.latency_seconds),
        "basis": basis(evaluation),
        "energy_joules": finite(evaluation.energy_joules),
        "cost_dollars": finite(evaluation.cost_dollars),
        "streams": [
            {
                "name": stream.name,
                "mean_seconds": finite(stream.latency_seconds),
                "basis": stream.basis,
                **{f"p{p * 100:.12g}": finite(seconds) for p, seconds in stream.tails},
            }
            for stream in evaluation.streams
        ],
        "devices": [
            {
                "name": device.name,
                "utilisation": finite(device.utilisation),
                "mean_wait_seconds": None
                if device.wait_seconds is None
                else finite(device.wait_seconds),
                "replicas": device.replicas,
            }
            for device in evaluation.devices
        ],
        "violations": [
            {"kind": each.kind, "place": each.place, "message": each.message}
            for each in evaluation.violations
        ],
    }


def half_width(values: Sequence[float]) -> float | None:
    """Return half of the 95 % confidence interval of the mean of independent values.

    By Student's distribution; ``None`` of fewer than two.

    Examples
    --------
    >>> round(half_width([1.0, 2.0, 3.0]), 3)
    2.484
    """
    count = len(values)
    if count < 2:
        return None
    from scipy.special import stdtrit

    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return float(stdtrit(count - 1, 1 - (1 - CONFIDENCE) / 2)) * math.sqrt(variance / count)
