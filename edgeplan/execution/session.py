"""What every kind of run begins with: workers, parts sent, bits compared, outputs to expect.

`prepared` opens it as a context: when its body begins the split networks were found equal to
the unsplit ones bit by bit, and the worker that ran those is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.controller import Controller, Outcome
from edgeplan.execution.local import LocalWorkers
from edgeplan.execution.protocol import Array
from edgeplan.execution.report import equal_bits
from edgeplan.execution.schedule import Compute, Schedule, steps_of
from edgeplan.execution.split import SplitNetwork, SplitResult, split
from edgeplan.model.errors import Fault, InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan
from edgeplan.model.price import RoutePrice, StagePrice, route_price
from edgeplan.model.problem import Problem, Stream

LOAD_SECONDS = 300.0
REQUEST_SECONDS = 60.0
REFERENCE_BYTES = 256 << 20
"""Outputs of the unsplit networks kept for comparison; beyond that fewer requests are."""

STOPPED = "stopped before every route was measured"

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One route of one stream, by its position, with its schedules without and with emulation."""

    stream: Stream
    route: int
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
class Session:
    """Workers that hold a plan's parts, and the routes that requests take through them."""

    controller: Controller
    reference: str
    tasks: list[Task]
    parts: SplitResult
    seed: int
    on_progress: Progress
    stop: Callable[[], bool]

    def heed(self) -> None:
        """Raise if the run is to stop and there is nothing yet to report."""
        if self.stop():
            raise InterruptedRunError(STOPPED)

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

    def run_whole(self, task: Task, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return the outputs of the unsplit network."""
        return self.controller.request(
            task.whole,
            dict.fromkeys(inputs, self.reference),
            inputs,
            {spec.name: self.reference for spec in task.network.whole.outputs},
            REQUEST_SECONDS * 5,
        ).outputs

    def run_split(self, task: Task, schedule: Schedule, inputs: Mapping[str, Array]) -> Outcome:
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

    def warm_up(self, requests: int) -> None:
        """Open the parts as deployed, and send requests along every route that are not timed."""
        self.load("deployed")
        for task in self.tasks:
            for index in range(requests):
                self.heed()
                self.run_split(task, task.plain, self.inputs(task.network, index))


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A session ready to be timed.

    Parameters
    ----------
    session
        Its workers hold the parts and know the routes; nothing is loaded yet.
    expected
        The unsplit networks' outputs at the deployed level, by network, for the first inputs.
    equal
        For each task, whether parts and whole were equal bit by bit.
    """

    session: Session
    expected: Mapping[str, list[Mapping[str, Array]]]
    equal: list[bool]


@contextlib.contextmanager
def prepared(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    *,
    requests: int,
    strict_requests: int,
    threads: int,
    seed: int,
    workers: Mapping[str, WorkerAddress] | None,
    emulate_links: bool,
    slow_down: bool | Mapping[str, float],
    folder: Path | None,
    on_progress: Progress | None,
    stop: Callable[[], bool] | None,
) -> Iterator[Prepared]:
    """Split, start workers, compare with the unsplit networks; yield what is ready.

    Parameters are those of `run`; ``requests`` says how many of the unsplit networks' outputs
    are worth keeping.
    """
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
                session = Session(
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
                yield Prepared(session=session, expected=expected, equal=equal)


def batch_faults(plan: Plan) -> list[Fault]:
    """Return a fault for each route whose requests travel in batches: workers take one by one."""
    return [
        Fault(
            f"routes.{name[:80]}[{index}].batch",
            f"batches of {route.batch} requests cannot be run: plan with max_batch 1",
        )
        for name, routes in plan.routes.items()
        for index, route in enumerate(routes)
        if route.batch > 1
    ]


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
) -> Iterator[Task]:
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
        for index, price in enumerate(prices[stream.name]):
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
            yield Task(
                stream=stream,
                route=index,
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
