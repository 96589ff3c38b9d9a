"""Run a plan: split, start workers, send requests one at a time, compare with the prediction."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.controller import Outcome
from edgeplan.execution.report import (
    RouteReport,
    RunReport,
    StageReport,
    StreamReport,
    Summary,
    TransferReport,
    scaled_error,
)
from edgeplan.execution.schedule import Compute, Move
from edgeplan.execution.session import (
    STOPPED,
    Prepared,
    Progress,
    Task,
    batch_faults,
    prepared,
)
from edgeplan.model.errors import Fault, InputError, InterruptedRunError
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan
from edgeplan.model.price import Transfer
from edgeplan.model.problem import Problem

CLOCK_REQUESTS = 20
"""Clocks of workers elsewhere are compared again after so many requests."""


def run(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    *,
    requests: int = 20,
    warmup: int = 3,
    strict_requests: int = 3,
    threads: int = 1,
    seed: int = 0,
    workers: Mapping[str, WorkerAddress] | None = None,
    emulate_links: bool = True,
    slow_down: bool | Mapping[str, float] = False,
    folder: Path | None = None,
    on_progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> RunReport:
    """Execute a plan and compare it with its prediction.

    Each device is a worker process: one that listens elsewhere where ``workers`` names it, else
    one that is started here and ends with the call. Requests go along their route one at a
    time; the workers pass tensors to each other directly, each transfer that the evaluator
    lists taking the time of its link. The unsplit network runs in a worker of its own, which
    is gone before anything is timed.

    Parameters
    ----------
    problem, plan
        What to run.
    sources
        ONNX file of each network, by the network's name.
    requests
        Measured along each route of each stream.
    warmup
        Requests before them, not counted (and without emulated links).
    strict_requests
        Requests compared bit by bit, optimisation off.
    threads
        Intra-op threads of each session.
    seed
        Of the inputs: request i of every stream draws its inputs from ``seed + i``.
    workers
        Workers that listen already, by device name.
    emulate_links
        Whether transfers between workers that are started here take the time of the problem's
        links. A link from or to a worker that listens elsewhere is always the real one.
    slow_down
        Hold each stage to the time that was predicted for its device; or, by device name, to
        so many times what it takes here. Such stages are labelled emulated.
    folder
        Where the parts go and stay; a temporary folder if ``None``.
    on_progress
        Called with what is done, how many are done, and how many there are.
    stop
        Asked before every request; when true, what was measured is reported.

    Returns
    -------
    RunReport
        Predicted and measured times, and equality.

    Raises
    ------
    InputError
        If the plan cannot run (a missing link), has batches, would bring a private tensor into a
        zone where it must not be, or a network's file is not the one that was profiled.
    ExecutionError
        If a worker cannot be reached, refuses the token, fails or dies.
    InterruptedRunError
        If ``stop`` was true before every route was measured at least once.
    """
    _check_numbers(requests, warmup, strict_requests, threads)
    # The times of a batch are not those of one request. Copies of a device are alike: one stands
    # for all of them where a single request is under way.
    if faults := batch_faults(plan):
        raise InputError(faults)
    with prepared(
        problem,
        plan,
        sources,
        requests=requests,
        strict_requests=strict_requests,
        threads=threads,
        seed=seed,
        workers=workers,
        emulate_links=emulate_links,
        slow_down=slow_down,
        folder=folder,
        on_progress=on_progress,
        stop=stop,
    ) as ready:
        tasks = ready.session.tasks
        routes = _measure(ready, requests, warmup)
    return RunReport(
        requests=requests,
        threads=threads,
        links_emulated=emulate_links,
        streams=tuple(
            StreamReport(
                name=stream.name,
                routes=tuple(
                    report
                    for task, report in zip(tasks, routes, strict=True)
                    if task.stream is stream
                ),
            )
            for stream in problem.streams
        ),
        folder=None if folder is None else str(folder),
    )


def _measure(ready: Prepared, requests: int, warmup: int) -> list[RouteReport]:
    """Time the requests of every route, in turn: what drifts then hits all alike."""
    session = ready.session
    session.warm_up(warmup)
    outcomes: list[list[Outcome]] = [[] for _ in session.tasks]
    errors = [0.0] * len(session.tasks)
    total = requests * len(session.tasks)
    turns = itertools.product(range(requests), enumerate(session.tasks))
    for done, (index, (number, task)) in enumerate(turns):
        if session.stop():
            break
        if done % CLOCK_REQUESTS == 0:
            session.controller.synchronise()
        session.on_progress(f"running {task.stream.name}", done, total)
        outcome = session.run_split(task, task.timed, session.inputs(task.network, index))
        outcomes[number].append(replace(outcome, outputs={}))
        whole = ready.expected[task.network.name]
        if index < len(whole):
            for name in task.holders:
                found = scaled_error(outcome.outputs[name], whole[index][name])
                errors[number] = max(errors[number], found)
    if not all(outcomes):
        raise InterruptedRunError(STOPPED)
    session.on_progress("done", total, total)
    return [
        _report(task, found, same, error)
        for task, found, same, error in zip(
            session.tasks, outcomes, ready.equal, errors, strict=True
        )
    ]


def _check_numbers(requests: int, warmup: int, strict_requests: int, threads: int) -> None:
    faults = [
        Fault(name, f"must be at least {least}")
        for name, value, least in (
            ("requests", requests, 1),
            ("warmup", warmup, 0),
            ("strict_requests", strict_requests, 1),
            ("threads", threads, 1),
        )
        if value < least
    ]
    if faults:
        raise InputError(faults)


def _report(
    task: Task, outcomes: list[Outcome], strict_equal: bool, deployed_max_error: float
) -> RouteReport:
    """Return a route's report: the schedule's steps are the evaluator's list, in its order."""
    price = task.price
    wall = [
        Summary.of([outcome.steps[index].wall_seconds for outcome in outcomes])
        for index in range(len(task.timed.steps))
    ]
    cpu = [
        Summary.of([outcome.steps[index].cpu_seconds for outcome in outcomes])
        for index in range(len(task.timed.steps))
    ]
    indices = iter(range(len(task.timed.steps)))

    def moved(transfer: Transfer) -> TransferReport:
        index = next(indices)
        step = task.timed.steps[index]
        assert isinstance(step, Move)
        return TransferReport.of(task.network, step, transfer, measured=wall[index])

    stages = []
    for stage in price.stages:
        transfers = tuple([moved(transfer) for transfer in stage.transfers])
        index = next(indices)
        step = task.timed.steps[index]
        assert isinstance(step, Compute)
        stages.append(
            StageReport.of(step, stage, wall=wall[index], cpu=cpu[index], transfers=transfers)
        )
    return RouteReport(
        fraction=price.fraction,
        requests=len(outcomes),
        predicted_seconds=price.latency_seconds,
        measured=Summary.of([outcome.wall_seconds for outcome in outcomes]),
        stages=tuple(stages),
        returned=tuple([moved(transfer) for transfer in price.returned]),
        strict_equal=strict_equal,
        deployed_max_error=deployed_max_error,
    )
