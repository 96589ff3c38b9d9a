"""From the times that an open loop noted to its figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeplan.execution.arrivals import Arrival
from edgeplan.execution.open_report import (
    Expected,
    Latencies,
    ServedRoute,
    ServedStage,
    ServedStream,
    ServedTransfer,
    ServingDevice,
)
from edgeplan.execution.schedule import Compute, Move
from edgeplan.execution.session import Task
from edgeplan.execution.station import RECORD_FIELDS
from edgeplan.model.evaluate import Evaluation, StreamPrice
from edgeplan.model.price import RoutePrice, StagePrice, Transfer
from edgeplan.model.problem import Problem, Stream

Times = NDArray[np.int64]
"""Rows of `RECORD_FIELDS`."""

_REQUEST, _STEP, _READY, _START, _END, _CPU = range(len(RECORD_FIELDS))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of an open loop, before it is counted.

    Parameters
    ----------
    sent
        Every request that was sent, by its number.
    due_ns, sent_ns
        When it was due and sent, by number.
    ended_ns
        When it was done, by number.
    measured
        Numbers of the requests that count.
    records
        Table of each device's times.
    errors
        Difference to the unsplit network's outputs, by number, of those compared.
    seconds, cpu_seconds
        The loop's duration and the CPU time of this process in it.
    stopped, piled_up
        Whether it ended early, and whether since too many requests waited.
    """

    sent: list[Arrival]
    due_ns: list[int]
    sent_ns: list[int]
    ended_ns: Mapping[int, int]
    measured: range
    records: Mapping[str, Times]
    errors: Mapping[int, float]
    seconds: float
    cpu_seconds: float
    stopped: bool
    piled_up: bool


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts what an open loop found.

    Parameters
    ----------
    problem
        What was run: at its rates, with queues.
    prediction
        The evaluator's.
    tasks, equal
        The routes, and whether their parts were equal to the whole bit by bit.
    found
        What was noted.
    """

    problem: Problem
    prediction: Evaluation
    tasks: Sequence[Task]
    equal: Sequence[bool]
    found: Found

    @cached_property
    def seconds(self) -> float:
        """From the first measured arrival to the last."""
        numbers = self.found.measured
        if len(numbers) < 2:
            return 0.0
        return (self.found.due_ns[numbers[-1]] - self.found.due_ns[numbers[0]]) * 1e-9

    @property
    def late_seconds(self) -> list[float]:
        """How late each measured request was sent."""
        found = self.found
        return [(found.sent_ns[n] - found.due_ns[n]) * 1e-9 for n in found.measured]

    def latencies(self, stream: Stream) -> list[float]:
        """Return the latencies of a stream's measured requests in order of arrival."""
        index = self.problem.streams.index(stream)
        return [
            self._latency(number)
            for number in self.found.measured
            if self.found.sent[number].stream == index
        ]

    def _latency(self, number: int) -> float:
        return (self.found.ended_ns[number] - self.found.due_ns[number]) * 1e-9

    def stream(self, stream: Stream) -> ServedStream:
        """Return the report on a stream of which requests were measured."""
        index = self.problem.streams.index(stream)
        price = self.prediction.streams[index]
        pairs = [
            (task, equal)
            for task, equal in zip(self.tasks, self.equal, strict=True)
            if task.stream.name == stream.name
        ]
        errors = [
            error
            for number, error in self.found.errors.items()
            if self.found.sent[number].stream == index
        ]
        return ServedStream(
            name=stream.name,
            rate_per_second=stream.rate_per_second,
            arrival_cv2=stream.arrival_cv2,
            predicted=_expected(price, [task.price for task, _ in pairs]),
            measured=Latencies.of(self.latencies(stream), slo_seconds(stream)),
            routes=tuple(
                self._route(task, index, route)
                for (task, _), route in zip(pairs, price.routes, strict=True)
            ),
            strict_equal=all(equal for _, equal in pairs),
            compared=len(errors),
            deployed_max_error=max(errors) if errors else None,
        )

    def devices(self) -> tuple[ServingDevice, ...]:
        """Return the report on the devices that serve."""
        return tuple(
            self._device(load.name, load.utilisation, load.wait_seconds)
            for load in self.prediction.devices
            if any(load.name == step.device for task in self.tasks for step in _computes(task))
        )

    # The tables of times.

    @cached_property
    def _served(self) -> Times:
        """All computations: request, step, ready, start, end, CPU in nanoseconds."""
        return self._table(Compute)

    @cached_property
    def _moved(self) -> Times:
        """All transfers, the times at source and target joined."""
        table = self._table(Move)
        begun, done = table[table[:, _END] == 0], table[table[:, _END] != 0]
        by = (_STEP, _REQUEST)
        begun = begun[np.lexsort([begun[:, key] for key in by])]
        done = done[np.lexsort([done[:, key] for key in by])]
        begun[:, _END] = done[:, _END]
        joined: Times = begun
        return joined

    def _table(self, kind: type[Compute] | type[Move]) -> Times:
        rows = np.concatenate(list(self.found.records.values()))
        steps = {(self._index(task), task.route): task.timed.steps for task in self.tasks}
        of_kind = [
            isinstance(steps[arrival.stream, arrival.route][step], kind)
            for arrival, step in (
                (self.found.sent[number], step) for number, step in rows[:, :2].tolist()
            )
        ]
        chosen: Times = rows[np.array(of_kind, dtype=bool)]
        return chosen

    def _index(self, task: Task) -> int:
        return next(
            index
            for index, stream in enumerate(self.problem.streams)
            if stream.name == task.stream.name
        )

    def _of(self, table: Times, numbers: Sequence[int], step: int) -> Times:
        rows: Times = table[(table[:, _STEP] == step) & np.isin(table[:, _REQUEST], numbers)]
        return rows

    # One route, one device.

    def _route(self, task: Task, index: int, price: RoutePrice) -> ServedRoute:
        numbers = [
            number
            for number in self.found.measured
            if (self.found.sent[number].stream, self.found.sent[number].route)
            == (index, task.route)
        ]
        steps: list[ServedStage | ServedTransfer] = []
        if numbers:
            for position, (step, planned) in enumerate(
                zip(task.timed.steps, _in_order(price), strict=True)
            ):
                if isinstance(step, Compute):
                    assert isinstance(planned, StagePrice)
                    rows = self._of(self._served, numbers, position)
                    steps.append(_served_stage(step, planned, rows))
                else:
                    assert isinstance(planned, Transfer)
                    rows = self._of(self._moved, numbers, position)
                    steps.append(_served_transfer(task, step, planned, rows))
        return ServedRoute(
            fraction=price.fraction,
            requests=len(numbers),
            predicted_seconds=price.latency_seconds,
            mean_seconds=(
                float(np.mean([self._latency(number) for number in numbers])) if numbers else None
            ),
            steps=tuple(steps),
        )

    def _device(self, name: str, utilisation: float, wait: float | None) -> ServingDevice:
        table = self.found.records[name]
        busy = table[(table[:, _START] != 0) & (table[:, _END] != 0)]
        begin, end = (self.found.due_ns[self.found.measured[position]] for position in (0, -1))
        inside = np.minimum(busy[:, _END], end) - np.maximum(busy[:, _START], begin)
        measured = busy[np.isin(busy[:, _REQUEST], self.found.measured)]
        waits = (measured[:, _START] - measured[:, _READY]) * 1e-9
        planned = {
            (self._index(task), task.route, position): stage.seconds
            for task in self.tasks
            for position, stage in enumerate(_in_order(task.price))
            if isinstance(stage, StagePrice)
        }
        expected = sum(
            planned[self.found.sent[number].stream, self.found.sent[number].route, step]
            for number, step in measured[:, :2].tolist()
        )
        served = float(np.sum(measured[:, _END] - measured[:, _START])) * 1e-9
        return ServingDevice(
            name=name,
            predicted_utilisation=utilisation,
            predicted_wait_seconds=0.0 if wait is None else wait,
            utilisation=float(np.sum(np.maximum(inside, 0))) / max(end - begin, 1),
            wait_seconds=float(np.mean(waits)) if len(waits) else None,
            service_ratio=served / expected if 0 < expected < math.inf else None,
        )


def slo_seconds(stream: Stream) -> float:
    """Return the time within which a stream's requests are to be done, ``inf`` for any.

    Its deadline; where it has none, the shortest of its limits on percentiles.
    """
    if math.isfinite(stream.deadline_seconds):
        return stream.deadline_seconds
    return min((tail.seconds for tail in stream.tail_deadlines), default=math.inf)


def _expected(price: StreamPrice, unloaded: Sequence[RoutePrice]) -> Expected:
    tails = dict(price.tails)
    return Expected(
        unloaded_seconds=math.fsum(route.fraction * route.latency_seconds for route in unloaded),
        mean_seconds=price.latency_seconds,
        p50=tails.get(0.5),
        p95=tails.get(0.95),
        p99=tails.get(0.99),
        basis=price.basis,
    )


def _in_order(price: RoutePrice) -> Iterator[StagePrice | Transfer]:
    """Yield transfers and stages as a schedule has them."""
    for stage in price.stages:
        yield from stage.transfers
        yield stage
    yield from price.returned


def _computes(task: Task) -> Iterator[Compute]:
    return (step for step in task.timed.steps if isinstance(step, Compute))


def _served_stage(step: Compute, planned: StagePrice, rows: Times) -> ServedStage:
    service = (rows[:, _END] - rows[:, _START]) * 1e-9
    return ServedStage.of(
        step,
        planned,
        predicted_cv2=planned.cv2,
        predicted_wait_seconds=planned.wait_seconds,
        service_seconds=float(np.mean(service)),
        service_cv2=float(np.var(service) / np.mean(service) ** 2),
        cpu_seconds=float(np.mean(rows[:, _CPU])) * 1e-9,
        wait_seconds=float(np.mean(rows[:, _START] - rows[:, _READY])) * 1e-9,
    )


def _served_transfer(task: Task, step: Move, planned: Transfer, rows: Times) -> ServedTransfer:
    return ServedTransfer.of(
        task.network,
        step,
        planned,
        predicted_wait_seconds=planned.wait_seconds,
        measured_seconds=float(np.mean(rows[:, _END] - rows[:, _START])) * 1e-9,
        wait_seconds=float(np.mean(rows[:, _START] - rows[:, _READY])) * 1e-9,
    )
