"""Two devices and nothing that couples layers or streams: a minimum cut is the best plan.

The charges become arcs (`edgeplan.solvers.mincut.charges`), networkx finds a maximum flow, and the
flow proves the answer: each plan is a cut, and no cut is less than any flow. The flow is checked
arc by arc (`edgeplan.solvers.mincut.graph`), in whole numbers that stand for the charges exactly,
so the bound does not depend on networkx being right.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from edgeplan.model.certificate import Certificate
from edgeplan.model.errors import SolverError
from edgeplan.model.evaluate import Evaluation, evaluate
from edgeplan.model.plan import Plan, Route
from edgeplan.model.problem import Problem
from edgeplan.solvers.load_features import load_reasons
from edgeplan.solvers.mincut.charges import (
    build,
    objective_prices,
    unsolvable_results,
    usable_devices,
)
from edgeplan.solvers.mincut.graph import (
    FAR,
    NEAR,
    ROUNDING,
    Arc,
    CutGraph,
    FlowNetwork,
    maximum_flow,
)
from edgeplan.solvers.mincut.limits import limits
from edgeplan.solvers.result import Availability, Progress, SolverResult, Stop
from edgeplan.solvers.watch import EndedError, Watch

VERSION = "1"
AGREEMENT = 1e-9
"""The cut and the evaluator's price may differ by this share."""
POLL_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class MinCut:
    """Exact minimum cut: two devices, additive layer times, no limit that could bind.

    Parameters
    ----------
    time_limit
        Seconds of wall time; ``None`` for none. There is no plan, other than the one to begin
        from, before the flow is complete.

    Notes
    -----
    Maximum flow of networkx: Goldberg, Tarjan: A new approach to the maximum-flow problem,
    Journal of the ACM 35 (1988). Of equally cheap plans it returns the one with the most layers
    on the first of the two devices.
    """

    name: ClassVar[str] = "mincut"

    time_limit: float | None = None

    @classmethod
    def availability(cls) -> Availability:
        """Say whether networkx is installed."""
        found = importlib.util.find_spec("networkx") is not None
        return Availability(
            available=found,
            version=importlib.metadata.version("networkx") if found else "",
            install="pip install networkx",
        )

    def unsupported(self, problem: Problem) -> tuple[str, ...]:
        """Return the reasons why this problem is not a minimum cut; empty where it is.

        A limit that no plan can exceed is none. What a plan can ask for at the most is
        estimated from above, so a limit a little above what any plan needs may be refused.
        """
        reasons = list(load_reasons(problem))
        reasons += [
            f"stream '{stream.name[:80]}' may be dealt over {stream.route_limit} routes, and a "
            "cut gives one: use the solver 'highs'"
            for stream in problem.streams
            if stream.route_limit > 1
        ]
        reasons.extend(
            f"network '{network.name[:80]}' has measured spans, whose times are not sums over "
            "layers: use the solver 'highs'"
            for network in problem.networks
            if network.form == "spans" and any(s.network == network.name for s in problem.streams)
        )
        usable = usable_devices(problem)
        if len(problem.devices) < 2:
            reasons.append(
                "there is one device, and a cut is between two: use the solver 'enumerate'"
            )
        if len(usable) > 2:
            reasons.append(
                f"layers may run on {len(usable)} devices ({_names(usable)}), and a cut is between "
                "two: use the solver 'highs'"
            )
        if problem.objective.period_price:
            reasons.append(
                "the objective weighs throughput, which is a largest load and no sum of charges: "
                "use the solver 'highs' or 'cp-sat'"
            )
        if problem.contiguous:
            reasons.append(
                "contiguous parts are asked for, which a cut does not keep: use the solver 'highs'"
            )
        if reasons:
            return tuple(reasons)
        reasons.extend(
            f"result '{result[:80]}' of stream '{stream[:80]}' has readers that may bring it to "
            "the origin, so that whether it asks for the link's latency is not a cut: use the "
            "solver 'highs', or 'enumerate' for few layers"
            for stream, result in unsolvable_results(problem, objective_prices(problem))
        )
        reasons.extend(
            f"{limit.place} may be exceeded (a plan may need up to {limit.largest:.6g} "
            f"{limit.unit} of {limit.allowed:.6g}), and a cut knows no limits: use the solver "
            "'highs', or 'enumerate' for few layers"
            for limit in limits(problem)
            if limit.may_bind
        )
        return tuple(reasons)

    def solve(
        self,
        problem: Problem,
        *,
        start: Plan | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> SolverResult:
        """Find the minimum cut.

        Parameters
        ----------
        problem
            The problem; see `unsupported`.
        start
            A plan to fall back on where the run ends early; it counts if it is feasible.
        on_progress
            Called with the price of ``start`` and with the answer.
        stop
            Setting it ends the run with what it has, as Ctrl-C does.

        Returns
        -------
        SolverResult
            Its bound is the flow's, less what rounding may have added.

        Raises
        ------
        InputError
            If the start does not speak of this problem.
        SolverError
            If the flow is not one, or the cut and the evaluator's price differ.
        """
        began = time.perf_counter()
        if reasons := self.unsupported(problem):
            message = "not supported: " + "; ".join(reasons)
            return self._result(problem, began, Stop.FAILED, message)
        known = None if start is None else evaluate(problem, start)
        if known is None or not known.feasible:
            start = known = None
        watch = _Watch(self.time_limit, stop, began=began, on_progress=on_progress)
        try:
            watch.report(known, None)
            result = self._cut(problem, known, watch)
        except EndedError as reason:
            ended = reason.stop
        except KeyboardInterrupt:
            ended = Stop.INTERRUPTED
        else:
            return result
        price = None if known is None else known.objective
        message = "ended before the flow was complete"
        return self._result(problem, began, ended, message, plan=start, price=price)

    def _cut(self, problem: Problem, known: Evaluation | None, watch: _Watch) -> SolverResult:
        network = FlowNetwork.of(build(problem, objective_prices(problem)))
        value, near = network.check(_maximum_flow(network, watch))
        message = f"a flow over {network.nodes} nodes and {len(network.capacity)} arcs"
        if value >= network.unlimited:
            if known is not None:
                raise SolverError(
                    f"{self.name}: every cut is forbidden, but the plan to begin from is feasible"
                )
            return self._result(problem, watch.began, Stop.COMPLETED, message, infeasible=True)
        plan = _plan(problem, network.graph, near)
        evaluation = evaluate(problem, plan)
        flow, bound = network.scaled(value), network.bound(value)
        self._compare(network.amount(value), flow, evaluation)
        if known is not None and known.objective < bound - AGREEMENT * flow:
            raise SolverError(
                f"{self.name}: no plan is below {bound:.17g} by the cut, but the plan to begin "
                f"from costs {known.objective:.17g}"
            )
        bound = min(bound, evaluation.objective)
        watch.report(evaluation, bound)
        return self._result(
            problem,
            watch.began,
            Stop.COMPLETED,
            message,
            plan=plan,
            price=evaluation.objective,
            bound=bound,
        )

    def _compare(self, cut: float, flow: float, evaluation: Evaluation) -> None:
        if evaluation.violations:
            first = evaluation.violations[0]
            raise SolverError(f"{self.name}: {first.place}: {first.message}")
        if not abs(cut - evaluation.objective) <= AGREEMENT * max(flow, evaluation.objective):
            raise SolverError(
                f"{self.name}: the cut adds up to {cut:.17g}, the evaluator's price is "
                f"{evaluation.objective:.17g}"
            )

    def _result(
        self,
        problem: Problem,
        began: float,
        stop: Stop,
        message: str,
        *,
        plan: Plan | None = None,
        price: float | None = None,
        bound: float | None = None,
        infeasible: bool = False,
    ) -> SolverResult:
        solver = f"{self.name} {VERSION}"
        there = self.availability()
        certificate = Certificate(
            basis="dual",
            witnesses=(f"{solver} (flow of networkx {there.version}, checked arc by arc)",),
            bounded=f"all plans of '{problem.name[:80]}' with one route per stream",
            tolerances=(("rounding, relative", ROUNDING),),
        )
        return SolverResult(
            stop=stop,
            plan=plan,
            claimed_objective=price,
            bound=bound,
            infeasible=infeasible,
            certificate=certificate if infeasible or bound is not None else None,
            solver=solver,
            seconds=time.perf_counter() - began,
            message=message,
        )


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:40] for name in names[:6])
    return shown if len(names) <= 6 else f"{shown}, …"


def _plan(problem: Problem, graph: CutGraph, near: frozenset[int]) -> Plan:
    """Return the plan that a cut stands for."""
    routes = {}
    for stream in problem.streams:
        first = graph.layers[stream.name]
        nodes = range(first, first + len(problem.network[stream.network].layers))
        devices = tuple(graph.devices[NEAR if node in near else FAR] for node in nodes)
        routes[stream.name] = (Route(devices=devices),)
    return Plan(routes=routes)


@dataclass
class _Watch(Watch):
    """Says when to end, and tells the caller what there is."""

    on_progress: Callable[[Progress], None] | None = None

    def report(self, evaluation: Evaluation | None, bound: float | None) -> None:
        if self.on_progress is not None and evaluation is not None:
            moment = Progress(seconds=self.seconds, incumbent=evaluation.objective, bound=bound)
            self.on_progress(moment)


class _AbandonedError(Exception):
    """Raised in the thread of a flow that nobody waits for any more."""


def _maximum_flow(network: FlowNetwork, watch: _Watch) -> dict[Arc, int]:
    """Return the net flows of a maximum flow.

    networkx cannot be asked to stop, so it runs in a thread of its own, which is ended from here
    by an exception at its next step.
    """
    flows: list[dict[Arc, int]] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            flows.append(maximum_flow(network))
        except _AbandonedError:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the calling thread
            failure.append(error)

    watch.check()
    thread = threading.Thread(target=work, name="mincut", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            if thread.is_alive():
                watch.check()
    except (EndedError, KeyboardInterrupt):
        assert thread.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident), ctypes.py_object(_AbandonedError)
        )
        raise
    if failure:
        raise SolverError(f"networkx failed: {failure[0]}") from failure[0]
    return flows[0]
