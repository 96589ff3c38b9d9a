"""Run a plan: split, start workers, send requests one at a time, compare with the prediction."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.controller import Controller, Outcome
from edgeplan.execution.local import LocalWorkers
from edgeplan.execution.protocol import Array
from edgeplan.execution.report import (
    RouteReport,
    RunReport,
    StageReport,
    StreamReport,
    Summary,
    TransferReport,
    equal_bits,
    scaled_error,
)
from edgeplan.execution.schedule import Compute, Move, Schedule, steps_of
from edgeplan.execution.split import SplitNetwork, SplitResult, split
from edgeplan.model.errors import Fault, InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan
from edgeplan.model.price import RoutePrice, StagePrice, Transfer, route_price
from edgeplan.model.problem import Problem, Stream

LOAD_SECONDS = 300.0
REQUEST_SECONDS = 60.0
CLOCK_REQUESTS = 20
"""Clocks of workers elsewhere are compared again after so many requests."""
REFERENCE_BYTES = 256 << 20
"""Outputs of the unsplit networks kept for comparison; beyond that fewer requests are."""

_STOPPED = "stopped before every route was measured"

Progress = Callable[[str, int, int], object]


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
        If the plan cannot run (a missing link), would bring a private tensor into a zone where
        it must not be, or a network's file is not the one that was profiled.
    ExecutionError
        If a worker cannot be reached, refuses the token, fails or dies.
    InterruptedRunError
        If ``stop`` was true before every route was measured at least once.
    """
    _check_numbers(requests, warmup, strict_requests, threads)
    plan.check(problem)
    prices = {
        stream.name: tuple(
            route_price(problem, stream, route) for route in plan.routes[stream.name]
        )
        for stream in problem.streams
    }
    _check_runs(problem, plan, workers or {}, slow_down)
    # Only what is simulated here can be given another machine's link.
    emulated = [name for name in problem.device if name not in (workers or {})]
    with tempfile.TemporaryDirectory(prefix="edgeplan-run-") as temporary:
        shared = Path(temporary)
        if on_progress is not None:
            on_progress("splitting", 0, 1)
        parts = split(problem, plan, sources, shared / "parts" if folder is None else folder)
        reference = "unsplit"
        while reference in problem.device:
            reference += "'"
        tasks = list(
            _tasks(problem, prices, parts, reference, emulated if emulate_links else (), slow_down)
        )
        devices = dict.fromkeys(d for task in tasks for d in task.timed.devices)
        remote = {name: address for name, address in (workers or {}).items() if name in devices}
        local = (*(name for name in devices if name not in remote), reference)
        if on_progress is not None:
            on_progress("starting workers", 0, len(local))
        with LocalWorkers(local, shared) as processes:
            addresses = {
                **{name: worker.address for name, worker in processes.items()},
                **remote,
            }
            with Controller(addresses, processes, threads=threads) as controller:
                session = _Run(
                    controller=controller,
                    reference=reference,
                    tasks=tasks,
                    parts=parts,
                    seed=seed,
                    on_progress=on_progress or (lambda what, done, total: None),
                    stop=stop or (lambda: False),
                )
                session.send_parts()
                equal = session.compare_strict(strict_requests)
                expected = session.expect_deployed(requests)
                controller.release(reference)
                processes.pop(reference).stop()
                routes = session.measure(requests, warmup, expected, equal)
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


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One route of one stream, with its schedules without and with emulation."""

    stream: Stream
    price: RoutePrice
    network: SplitNetwork
    plain: Schedule
    timed: Schedule
    homes: Mapping[str, str]
    holders: Mapping[str, str]
    whole: Schedule

    @property
    def seconds(self) -> float:
        """How long to wait for a request."""
        predicted = self.price.latency_seconds
        factors = [s.hold_factor or 1.0 for s in self.timed.steps if isinstance(s, Compute)]
        return REQUEST_SECONDS * max(factors) + (10 * predicted if math.isfinite(predicted) else 0)


@dataclass(frozen=True, kw_only=True)
class _Run:
    controller: Controller
    reference: str
    tasks: list[_Task]
    parts: SplitResult
    seed: int
    on_progress: Progress
    stop: Callable[[], bool]

    def heed(self) -> None:
        """Raise if the run is to stop and there is nothing yet to report."""
        if self.stop():
            raise InterruptedRunError(_STOPPED)

    def send_parts(self) -> None:
        """Send every part where it is needed, and tell every route."""
        files = {part.sha256: part.path for part in self.parts.parts}
        for network in self.parts.networks.values():
            self.controller.send_parts(self.reference, {network.whole.sha256: network.whole.path})
        for task in self.tasks:
            self.heed()
            for step in task.timed.steps:
                if isinstance(step, Compute):
                    self.controller.send_parts(step.device, {step.part: files[step.part]})
            for schedule in (task.plain, task.timed, task.whole):
                self.controller.install(schedule)

    def load(self, level: str) -> None:
        """Open the parts on all devices at a level."""
        needed: dict[str, set[str]] = {}
        for task in self.tasks:
            for step in task.timed.steps:
                if isinstance(step, Compute):
                    needed.setdefault(step.device, set()).add(step.part)
        for device, parts in needed.items():
            self.controller.load(device, level, parts, LOAD_SECONDS)

    def load_reference(self, level: str) -> None:
        """Open the unsplit networks at a level."""
        whole = [network.whole.sha256 for network in self.parts.networks.values()]
        self.controller.load(self.reference, level, whole, LOAD_SECONDS)

    def inputs(self, network: SplitNetwork, index: int) -> dict[str, Array]:
        """Return the inputs of the request of an index."""
        from edgeplan.networks.sessions import draw

        wanted = [(spec.name, spec.dtype, spec.shape) for spec in network.whole.inputs]
        return dict(draw(wanted, self.seed + index))

    def run_whole(self, task: _Task, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs of the unsplit network."""
        return self.controller.request(
            task.whole,
            dict.fromkeys(inputs, self.reference),
            inputs,
            {spec.name: self.reference for spec in task.network.whole.outputs},
            REQUEST_SECONDS * 5,
        ).outputs

    def run_split(self, task: _Task, schedule: Schedule, inputs: Mapping[str, Array]) -> Outcome:
        """Send a request along a route."""
        return self.controller.request(schedule, task.homes, inputs, task.holders, task.seconds)

    def compare_strict(self, requests: int) -> list[bool]:
        """Return, for each task, whether parts and whole are equal bit by bit."""
        self.load_reference("strict")
        self.load("strict")
        equal = []
        for number, task in enumerate(self.tasks):
            self.on_progress("comparing bit by bit", number, len(self.tasks))
            same = True
            for index in range(requests):
                self.heed()
                inputs = self.inputs(task.network, index)
                whole = self.run_whole(task, inputs)
                parts = self.run_split(task, task.plain, inputs).outputs
                same = same and all(equal_bits(parts[n], whole[n]) for n in task.holders)
            equal.append(same)
        return equal

    def expect_deployed(self, requests: int) -> dict[str, list[Mapping[str, Array]]]:
        """Return the unsplit networks' outputs at the deployed level, by network."""
        self.load_reference("deployed")
        expected: dict[str, list[Mapping[str, Array]]] = {}
        share = REFERENCE_BYTES // len(self.parts.networks)
        for task in self.tasks:
            if task.network.name in expected:
                continue
            size = sum(spec.bytes for spec in task.network.whole.outputs)
            count = min(requests, max(1, share // max(1, size)))
            expected[task.network.name] = []
            for index in range(count):
                self.heed()
                self.on_progress("asking the unsplit network", index, count)
                inputs = self.inputs(task.network, index)
                expected[task.network.name].append(self.run_whole(task, inputs))
        return expected

    def measure(
        self,
        requests: int,
        warmup: int,
        expected: Mapping[str, list[Mapping[str, Array]]],
        equal: list[bool],
    ) -> list[RouteReport]:
        """Time the requests of every route, in turn: what drifts then hits all alike."""
        self.load("deployed")
        for task in self.tasks:
            for index in range(warmup):
                self.heed()
                self.run_split(task, task.plain, self.inputs(task.network, index))
        outcomes: list[list[Outcome]] = [[] for _ in self.tasks]
        errors = [0.0] * len(self.tasks)
        total = requests * len(self.tasks)
        turns = itertools.product(range(requests), enumerate(self.tasks))
        for done, (index, (number, task)) in enumerate(turns):
            if self.stop():
                break
            if done % CLOCK_REQUESTS == 0:
                self.controller.synchronise()
            self.on_progress(f"running {task.stream.name}", done, total)
            outcome = self.run_split(task, task.timed, self.inputs(task.network, index))
            outcomes[number].append(replace(outcome, outputs={}))
            whole = expected[task.network.name]
            if index < len(whole):
                for name in task.holders:
                    found = scaled_error(outcome.outputs[name], whole[index][name])
                    errors[number] = max(errors[number], found)
        if not all(outcomes):
            raise InterruptedRunError(_STOPPED)
        self.on_progress("done", total, total)
        return [
            _report(task, found, same, error)
            for task, found, same, error in zip(self.tasks, outcomes, equal, errors, strict=True)
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


def _check_runs(
    problem: Problem,
    plan: Plan,
    workers: Mapping[str, WorkerAddress],
    slow_down: bool | Mapping[str, float],
) -> None:
    faults = [
        Fault(f"workers.{name[:80]}", "the instance has no such device")
        for name in workers
        if name not in problem.device
    ]
    if isinstance(slow_down, Mapping):
        for name, factor in slow_down.items():
            if name not in problem.device:
                faults.append(Fault(f"slow_down.{name[:80]}", "the instance has no such device"))
            elif not (math.isfinite(factor) and factor > 0):
                faults.append(Fault(f"slow_down.{name[:80]}", "must be a finite positive number"))
    # Other limits may be broken to see what happens; these must not or cannot be.
    faults += [
        Fault(f"routes.{violation.place.removeprefix('stream ')[:80]}", violation.message)
        for violation in evaluate(problem, plan).violations
        if violation.kind in ("no link", "privacy")
    ]
    if faults:
        raise InputError(faults)


def _tasks(
    problem: Problem,
    prices: Mapping[str, tuple[RoutePrice, ...]],
    parts: SplitResult,
    reference: str,
    emulated: Collection[str],
    slow_down: bool | Mapping[str, float],
) -> Iterator[_Task]:
    numbers = itertools.count()
    wholes = {
        name: Schedule(
            number=next(numbers),
            origin=reference,
            steps=(
                Compute(
                    device=reference,
                    part=network.whole.sha256,
                    inputs=tuple(spec.name for spec in network.whole.inputs),
                    outputs=tuple(spec.name for spec in network.whole.outputs),
                ),
            ),
            specs=network.specs,
        )
        for name, network in parts.networks.items()
    }
    for stream in problem.streams:
        network = parts.networks[stream.network]
        planned = problem.network[stream.network]
        homes = {t.name: stream.homes.get(t.name, stream.origin) for t in planned.inputs}
        for price in prices[stream.name]:
            computes = [_compute(network, stage, hold=False) for stage in price.stages]
            held = [_compute(network, stage, hold=slow_down) for stage in price.stages]
            plain = steps_of(problem, price, computes, emulated=())
            timed = steps_of(problem, price, held, emulated=emulated)
            layer_devices = [
                stage.device for stage in price.stages for _ in range(stage.first, stage.stop)
            ]
            holders = {
                tensor.name: stream.origin
                if stream.returns
                else homes[tensor.name]
                if tensor.producer is None
                else layer_devices[tensor.producer]
                for tensor in planned.outputs
            }
            on_route = {stream.origin, *(end for step in timed for end in step.ends)}
            yield _Task(
                stream=stream,
                price=price,
                network=network,
                plain=Schedule(
                    number=next(numbers), origin=stream.origin, steps=plain, specs=network.specs
                ),
                timed=Schedule(
                    number=next(numbers), origin=stream.origin, steps=timed, specs=network.specs
                ),
                homes=homes,
                # An input that is an output may lie where the request never comes.
                holders={n: d for n, d in holders.items() if d in on_route},
                whole=wholes[stream.network],
            )


def _compute(
    network: SplitNetwork, stage: StagePrice, *, hold: bool | Mapping[str, float]
) -> Compute:
    part = network.parts[stage.first, stage.stop]
    predicted = stage.seconds if hold is True and math.isfinite(stage.seconds) else None
    return Compute(
        device=stage.device,
        part=part.sha256,
        inputs=tuple(spec.name for spec in part.inputs),
        outputs=tuple(spec.name for spec in part.outputs),
        hold_seconds=predicted,
        hold_factor=hold.get(stage.device) if isinstance(hold, Mapping) else None,
    )


def _report(
    task: _Task, outcomes: list[Outcome], strict_equal: bool, deployed_max_error: float
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
        return TransferReport(
            source=step.source,
            target=step.target,
            tensors=step.tensors,
            bytes=sum(task.network.specs[name].bytes for name in step.tensors),
            predicted_seconds=transfer.seconds,
            measured=wall[index],
            emulated=step.seconds is not None,
        )

    stages = []
    for stage in price.stages:
        transfers = tuple([moved(transfer) for transfer in stage.transfers])
        index = next(indices)
        step = task.timed.steps[index]
        assert isinstance(step, Compute)
        stages.append(
            StageReport(
                device=step.device,
                first=stage.first,
                stop=stage.stop,
                predicted_seconds=stage.seconds,
                wall=wall[index],
                cpu=cpu[index],
                emulated=step.hold_seconds is not None or step.hold_factor is not None,
                transfers=transfers,
            )
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
