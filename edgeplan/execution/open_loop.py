"""Run a plan under load: requests arrive at drawn times, whether or not earlier ones are done.

Each device is one worker that serves its stage jobs first-come first-served, one at a time;
emulated links are servers of their own. So what the model of queues predicts is what happens
here, but for what real machines add: that is the comparison.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeplan.execution.addresses import WorkerAddress
from edgeplan.execution.arrivals import Arrival, arrivals, at_rate
from edgeplan.execution.generator import Generator, Lag
from edgeplan.execution.open_report import OpenLoopReport
from edgeplan.execution.open_tally import Found, Tally
from edgeplan.execution.report import scaled_error
from edgeplan.execution.session import Prepared, Progress, Session, Task, batch_faults, prepared
from edgeplan.model.errors import ExecutionError, Fault, InputError, InterruptedRunError
from edgeplan.model.evaluate import evaluate
from edgeplan.model.graph import OnnxSource
from edgeplan.model.plan import Plan
from edgeplan.model.problem import Problem

POOL = 8
"""Different inputs of each network, taken in turn."""
STOCK_BYTES = 64 << 20
"""Inputs kept on a worker for each network; where they are larger there are fewer."""
KEPT_BYTES = 64 << 20
COMPARED = 500
"""Outputs kept and requests compared with the unsplit networks; beyond that, every k-th."""
PLAIN_REQUESTS = 3
"""Sent along each route one at a time before the first arrival, so that all is loaded."""
LEAST_WARMUP = 20
MOST_REQUESTS = 1_000_000
"""Requests measured, and requests to warm up: every one's times are kept until the end."""
MOST_PER_SECOND = 100_000.0
"""Far above what one sender gets rid of."""
MOST_SECONDS = 30 * 86400.0
IN_FLIGHT_LIMIT = 2000
"""Requests under way at once, above which a run ends: more come than are served."""
LEAD_SECONDS = 0.2
"""From telling the workers until time 0 of the arrivals."""
POLL_SECONDS = 0.1

_STOPPED = "stopped before a request of every stream was measured"


def run_open_loop(
    problem: Problem,
    plan: Plan,
    sources: Mapping[str, OnnxSource],
    *,
    requests: int = 500,
    duration_seconds: float | None = None,
    rate_per_second: float | None = None,
    warmup: int | None = None,
    strict_requests: int = 3,
    threads: int = 1,
    seed: int = 0,
    workers: Mapping[str, WorkerAddress] | None = None,
    emulate_links: bool = True,
    slow_down: bool | Mapping[str, float] = False,
    folder: Path | None = None,
    on_progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> OpenLoopReport:
    """Send requests at drawn times and compare their latencies with the prediction.

    The latency of a request counts from the time that was drawn for it, whenever it was really
    sent. Requests go on arriving until the last measured one is done, so that it meets the
    same load as the others.

    Parameters
    ----------
    problem, plan, sources, strict_requests, threads, workers, emulate_links, slow_down, folder
        As for `edgeplan.execution.run.run`.
    requests
        Measured, of all streams together.
    duration_seconds
        Measure those that arrive within this time instead.
    rate_per_second
        Requests per second of all streams together, in the instance's proportions; ``None`` for
        the instance's rates.
    warmup
        Requests before the measured ones, not counted: queues are empty at first. ``None`` for
        a tenth of them, and no fewer than `LEAST_WARMUP`.
    seed
        Of arrivals, routes and inputs.
    on_progress
        Called with what is done, how many are done, and how many there are.
    stop
        Asked all the time; when true nothing more is sent, and what was measured is reported.

    Returns
    -------
    OpenLoopReport
        Predicted and measured latencies, waits and utilisations.

    Raises
    ------
    InputError
        If the plan cannot run, or has batches or replicas, which one worker per device cannot
        serve; or if more is asked for than can be sent or kept. Before any worker is started.
    ExecutionError
        If a worker cannot be reached, refuses the token, fails or dies.
    InterruptedRunError
        If ``stop`` was true before a request of every stream was measured.
    """
    _check(problem, plan, requests, duration_seconds, rate_per_second, warmup)
    loaded = under_load(problem, rate_per_second)
    prediction = evaluate(loaded, plan)
    if duration_seconds is not None:
        warmup, requests = _within(loaded, plan, seed, duration_seconds, warmup)
    else:
        warmup = _warm_up(requests, warmup)
    with prepared(
        loaded,
        plan,
        sources,
        requests=POOL,
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
        loop = _Loop(problem=loaded, plan=plan, ready=ready, warmup=warmup, requests=requests)
        found = loop.run(seed)
        tally = Tally(
            problem=loaded,
            prediction=prediction,
            tasks=ready.session.tasks,
            equal=ready.equal,
            found=found,
        )
    if not all(tally.latencies(stream) for stream in loaded.streams):
        raise InterruptedRunError(_STOPPED)
    streams = tuple(tally.stream(stream) for stream in loaded.streams)
    lag = Lag.of(tally.late_seconds, min(stream.measured.mean_seconds for stream in streams))
    return OpenLoopReport(
        rate_per_second=loaded.total_rate,
        warmup=min(warmup, len(found.sent)),
        after=max(0, len(found.sent) - warmup - requests),
        seconds=tally.seconds,
        threads=threads,
        seed=seed,
        links_emulated=emulate_links,
        lag=lag,
        controller_cpu_share=found.cpu_seconds / found.seconds,
        cores=len(os.sched_getaffinity(0)),
        stopped=found.stopped,
        piled_up=found.piled_up,
        streams=streams,
        devices=tally.devices(),
    )


def under_load(problem: Problem, rate_per_second: float | None = None) -> Problem:
    """Return the problem at a total rate and with queues: what an open loop executes.

    Raises
    ------
    InputError
        If transfers occupy a device, which queues have no place for.
    """
    scaled = at_rate(problem, rate_per_second)
    return dataclasses.replace(scaled, waiting="mg1", capacity="utilisation")


def _check(
    problem: Problem,
    plan: Plan,
    requests: int,
    duration_seconds: float | None,
    rate_per_second: float | None,
    warmup: int | None,
) -> None:
    plan.check(problem)
    faults = []
    for name, count, least in (("requests", requests, 1), ("warmup", warmup, 0)):
        if count is not None and not least <= count <= MOST_REQUESTS:
            faults.append(Fault(name, f"must be at least {least} and at most {MOST_REQUESTS:,}"))
    for name, value in (("duration", duration_seconds), ("rate", rate_per_second)):
        if value is not None and not (math.isfinite(value) and value > 0):
            faults.append(Fault(name, "must be a finite positive number"))
    if not faults:
        rate = problem.total_rate if rate_per_second is None else rate_per_second
        faults += _too_much(rate, requests, duration_seconds, warmup)
    serving = {d for routes in plan.routes.values() for route in routes for d in route.devices}
    faults += batch_faults(plan)
    faults += [
        Fault(
            f"replicas.{device.name[:80]}",
            f"one worker cannot stand for {plan.replica_count(device)} replicas: plan with one, "
            "or state each replica as a device of its own",
        )
        for device in problem.devices
        if device.name in serving and plan.replica_count(device) > 1
    ]
    if faults:
        raise InputError(faults)


def _too_much(
    rate: float, requests: int, duration_seconds: float | None, warmup: int | None
) -> Iterator[Fault]:
    """Yield why a run could not send, keep or await what it is asked for."""
    if rate > MOST_PER_SECOND:
        yield Fault(
            "rate",
            f"{rate:.3g} requests per second cannot be sent from here; lower it to at most "
            f"{MOST_PER_SECOND:,.0f}",
        )
    expected: float = requests if duration_seconds is None else rate * duration_seconds
    if expected > MOST_REQUESTS:
        yield Fault(
            "duration",
            f"about {expected:.3g} requests would arrive within {duration_seconds:g} s, and at "
            f"most {MOST_REQUESTS:,} can be kept; lower it, or the rate",
        )
    elif (seconds := (_warm_up(expected, warmup) + expected) / rate) > MOST_SECONDS:
        yield Fault(
            "rate",
            f"the run would take {seconds / 86400:.3g} days, at most {MOST_SECONDS / 86400:.0f} "
            "are allowed; raise it, or lower the requests and those to warm up",
        )


def _warm_up(requests: float, warmup: int | None) -> int:
    """Return how many requests come before so many measured ones."""
    return max(LEAST_WARMUP, int(requests / 10)) if warmup is None else warmup


def _within(
    problem: Problem, plan: Plan, seed: int, duration_seconds: float, warmup: int | None
) -> tuple[int, int]:
    """Return how many requests come before the measured time, and in it."""
    warmup = _warm_up(problem.total_rate * duration_seconds, warmup)
    coming = itertools.islice(arrivals(problem, plan, seed), warmup, None)
    begin = next(coming).seconds
    count = 1
    for arrival in coming:
        if arrival.seconds >= begin + duration_seconds:
            break
        count += 1
    return warmup, count


@dataclass(frozen=True, kw_only=True)
class _Loop:
    problem: Problem
    plan: Plan
    ready: Prepared
    warmup: int
    requests: int

    @property
    def session(self) -> Session:
        return self.ready.session

    def run(self, seed: int) -> Found:
        """Send everything and gather what is known of it."""
        session = self.session
        session.warm_up(PLAIN_REQUESTS)
        tasks = {(t.stream.name, t.route): t for t in session.tasks}
        names = [stream.name for stream in self.problem.streams]

        def task_of(arrival: Arrival) -> Task:
            return tasks[names[arrival.stream], arrival.route]

        pool, keep_every = self._pool(), self._keep_every()
        while math.gcd(pool, keep_every) > 1:  # or some of the inputs would never be compared
            keep_every += 1
        self._tell(pool, keep_every)
        session.controller.synchronise()

        def send(number: int, arrival: Arrival) -> None:
            session.controller.arrive(task_of(arrival).timed, number)

        generator = Generator(
            arrivals=arrivals(self.problem, self.plan, seed),
            send=send,
            start_ns=time.monotonic_ns() + int(LEAD_SECONDS * 1e9),
        )
        began, cpu_began = time.monotonic(), time.process_time()
        ended: dict[int, int] = {}
        with generator:
            stopped, piled_up = self._watch(generator, ended)
        self._drain(generator, ended)
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
        session.controller.synchronise()
        measured = range(self.warmup, min(len(generator.sent), self.warmup + self.requests))
        devices = dict.fromkeys(d for task in session.tasks for d in task.timed.devices)
        records = {device: session.controller.records(device) for device in devices}
        errors = {}
        for number in measured[(-self.warmup) % keep_every :: keep_every]:
            task = task_of(generator.sent[number].arrival)
            errors[number] = self._error(task, number, pool)
        return Found(
            sent=[item.arrival for item in generator.sent],
            due_ns=[item.due_ns for item in generator.sent],
            sent_ns=[item.sent_ns for item in generator.sent],
            ended_ns=ended,
            measured=measured,
            records=records,
            errors=errors,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            stopped=stopped,
            piled_up=piled_up,
        )

    def _pool(self) -> int:
        """Return how many different inputs of each network there are."""
        largest = max(
            sum(spec.bytes for spec in task.network.whole.inputs) for task in self.session.tasks
        )
        known = min(len(outputs) for outputs in self.ready.expected.values())
        return max(1, min(known, STOCK_BYTES // max(1, largest)))

    def _keep_every(self) -> int:
        """Return of how many requests one keeps its outputs."""
        largest = max(
            sum(task.network.specs[name].bytes for name in task.holders)
            for task in self.session.tasks
        )
        count = max(1, min(COMPARED, KEPT_BYTES // max(1, largest)))
        return math.ceil((self.warmup + self.requests) / count)

    def _tell(self, pool: int, keep_every: int) -> None:
        """Tell every worker what will come, and give it the inputs that lie there."""
        controller = self.session.controller
        by_device: dict[str, list[Task]] = {}
        for task in self.session.tasks:
            for device in task.timed.devices:
                by_device.setdefault(device, []).append(task)
        for device, tasks in by_device.items():
            routes = [
                {
                    "route": task.timed.number,
                    "stock": self._stock(task),
                    "keep": [name for name, holder in task.holders.items() if holder == device],
                }
                for task in tasks
            ]
            header = {"routes": routes, "pool": pool, "keep_every": keep_every}
            controller.ask(device, {"kind": "open loop", **header})
        for device, tasks in by_device.items():
            for task in {self._stock(task): task for task in tasks}.values():
                names = [name for name, home in task.homes.items() if home == device]
                for index in range(pool if names else 0):
                    self.session.heed()
                    inputs = self.session.inputs(task.network, index)
                    controller.ask(
                        device,
                        {
                            "kind": "stock",
                            "route": task.timed.number,
                            "stock": self._stock(task),
                            "index": index,
                            "names": names,
                        },
                        tensors=[(task.timed.specs[name], inputs[name]) for name in names],
                    )

    @staticmethod
    def _stock(task: Task) -> str:
        # Streams of one network may have their inputs at different homes.
        return f"{task.network.name} {sorted(task.homes.items())}"

    def _watch(self, generator: Generator, ended: dict[int, int]) -> tuple[bool, bool]:
        """Note what is done until all that counts is; say whether that was early, and why."""
        counted = range(self.warmup, self.warmup + self.requests)
        left, told = len(counted), 0.0
        news = self._news(generator, ended)
        while left:
            left -= sum(number in counted for number in next(news))
            now = time.monotonic()
            if now - told > POLL_SECONDS:
                what = "running" if len(ended) >= self.warmup else "warming up"
                self.session.on_progress(what, self.requests - left, self.requests)
                told = now
            piled_up = len(generator.sent) - len(ended) > IN_FLIGHT_LIMIT
            if piled_up or self.session.stop():
                return True, piled_up
        return False, False

    def _drain(self, generator: Generator, ended: dict[int, int]) -> None:
        """Wait until nothing is under way any more."""
        news = self._news(generator, ended)
        while len(ended) < len(generator.sent):
            next(news)
        if generator.error is not None:
            raise generator.error
        self.session.on_progress("done", self.requests, self.requests)

    def _news(self, generator: Generator, ended: dict[int, int]) -> Iterator[list[int]]:
        """Yield, again and again, which requests ended meanwhile.

        Raises
        ------
        ExecutionError
            If sending failed, or if requests are under way but none of them ends for long.
        """
        limit = max(task.seconds for task in self.session.tasks)
        heard = time.monotonic()
        while True:
            news = dict(self.session.controller.ended(POLL_SECONDS))
            ended.update(news)
            if generator.error is not None:
                raise generator.error
            if news or len(ended) == len(generator.sent):
                heard = time.monotonic()
            elif time.monotonic() - heard > limit:
                raise ExecutionError(f"no request was done within {limit:g} seconds")
            yield list(news)

    def _error(self, task: Task, number: int, pool: int) -> float:
        """Return the largest difference of a request's outputs to the unsplit network's."""
        outputs = self.session.controller.collect(task.timed, number, task.holders)
        whole = self.ready.expected[task.network.name][number % pool]
        return max((scaled_error(outputs[n], whole[n]) for n in task.holders), default=0.0)
